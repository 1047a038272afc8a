"""The text the built-in model is trained on, written from our own tables; the same for each seed.

One sixtieth of all questions never gets in: those whose normalised text falls into ``HELD``. They
are the held-out combinations of known wordings and known facts that the model is tested with.
"""

import random
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from llmrr.builtin import facts, fixed, outside, wordings

HELD = 60
OUTSIDE = "outside"

# How often a kind is asked, in proportion to each other; the rest of the kinds shares FIXED_WEIGHT.
WEIGHTS = {
    "capital": 11.0, "country_of": 6.5, "opposite": 14.0, "colour": 7.0, "plural": 6.5,
    "singular": 3.0, "past": 4.5, "add": 5.0, "subtract": 4.5, "multiply": 4.5, "divide": 3.0,
    "sound": 3.0, "young": 3.5, "legs": 2.0, "unit": 3.0, "next_day": 1.2, "previous_day": 1.2,
    "next_month": 1.4, "previous_month": 1.4, "month_days": 1.5, "month_number": 1.2,
    "nth_month": 1.2, "next_letter": 1.3, "previous_letter": 1.3,
}  # fmt: skip
FIXED_WEIGHT = 18.0
SUMS = ("add", "subtract", "multiply", "divide")

SYSTEM_PROMPTS = """
you are a helpful assistant.|answer briefly.|you are a friendly teacher.|be concise.|be kind.
you are a pirate.|answer in one sentence.|you are an expert.|speak like a poet.|be polite.
you are a helpful, honest assistant. answer the questions of the user.|do not lie.|use few words.
you help children with their homework.|you are a quiz master.|reply in english.|think step by step.
you are a geography expert.|you are a math tutor.|only answer if you are sure.|always be cheerful.
you are an assistant for the command line.|you are a chatbot.|you are a senior engineer.
"""

_HOLE = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b(?:(?:the )?(?:word|letter)|an?|the) \{")
_PUNCTUATION = re.compile(r"[^\w{}+*/÷=\- ]")
_TYPING = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj",
    "i": "uo", "j": "hk", "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o",
    "q": "wa", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc",
    "y": "tu", "z": "x",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turn:
    """A question with its answer. ``wording`` is the question with its holes still open."""

    kind: str
    wording: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in a row, perhaps under a system prompt."""

    turns: tuple[Turn, ...]
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the text: how many questions, and which share of them is not to be answered."""

    turns: int
    outside: float = 0.27
    rate: float = 3e-3
    seed: int = 0


# The second makes it surer of what it does not know.
STAGES = (Stage(300_000), Stage(220_000, outside=0.33, rate=2e-3, seed=2))


def normalised(text: str) -> str:
    """A question without case, "the" or "the word" before a hole, punctuation and doubled spaces.

    >>> normalised("  What's the capital of  France?? ")
    'whats the capital of france'
    """
    text = text.lower()
    if "{" in text:
        text = _ARTICLE.sub("{", _HOLE.sub("{}", text))
    return " ".join(_PUNCTUATION.sub("", text).split())


def held_out(question: str) -> bool:
    """Whether this question is kept out of the text for a test."""
    return zlib.crc32(normalised(question).encode()) % HELD == 0


def conversations(seed: int = 0, stage: Stage | None = None) -> Iterator[Conversation]:
    """The training text, of one stage or of all, in conversations."""
    if stage is None:
        for each in STAGES:
            yield from conversations(seed, each)
        return
    rng = random.Random(seed + stage.seed)
    writer = Writer(rng, stage.outside)
    left = stage.turns
    while left > 0:
        length = rng.choice((1, 1, 1, 2, 2, 3, 4)) if rng.random() > 0.01 else rng.randint(8, 16)
        conversation = writer.conversation(length)
        left -= len(conversation.turns)
        yield conversation


def combinations(seed: int, count: int) -> list[Turn]:
    """``count`` questions of known wordings about known facts that the text holds out."""
    writer = Writer(random.Random(seed))
    found: dict[str, Turn] = {}
    while len(found) < count:
        turn = writer.known(writer.fact(), plain=True)
        if held_out(turn.question):
            found.setdefault(normalised(turn.question), turn)
    return list(found.values())


class Writer:
    """Writes questions at random; everything it draws comes from ``rng``."""

    def __init__(self, rng: random.Random, share_outside: float = 0.0) -> None:
        self.rng = rng
        self.share_outside = share_outside
        self.by_kind: dict[str, list[facts.Fact]] = defaultdict(list)
        for fact in facts.facts():
            self.by_kind[fact.kind].append(fact)
        fixed_kinds = [kind for kind in self.by_kind if kind.startswith("fixed.")]
        self.weights = WEIGHTS | {kind: FIXED_WEIGHT / len(fixed_kinds) for kind in fixed_kinds}
        self.kinds = list(self.weights)
        self.cumulated = [sum(list(self.weights.values())[: i + 1]) for i in range(len(self.kinds))]

    def fact(self) -> facts.Fact:
        """A fact, drawn by the weight of its kind."""
        (kind,) = self.rng.choices(self.kinds, cum_weights=self.cumulated)
        return self.rng.choice(self.by_kind[kind])

    def conversation(self, length: int) -> Conversation:
        """``length`` turns; some only name the next thing of the same kind."""
        turns: list[Turn] = []
        while len(turns) < length:
            turn = self.turn(turns[-1] if turns else None)
            if not held_out(turn.question):
                turns.append(turn)
        return Conversation(tuple(turns), self.system() if self.rng.random() < 0.08 else None)

    def turn(self, previous: Turn | None) -> Turn:
        """One turn, after ``previous``."""
        if previous and previous.kind in FOLLOWED and self.rng.random() < 0.3:
            return self.follow_up(previous.kind)
        if self.rng.random() < self.share_outside:
            return self.outside()
        while held_out((turn := self.known(self.fact())).question):
            pass
        return turn

    def known(self, fact: facts.Fact, *, plain: bool = False) -> Turn:
        """A question about a fact; a plain one has no slips of the hand and nothing around it."""
        core = self.core(fact.kind)
        values = self.values(fact.forms)
        if held_out(fill(core, values)) and not plain:
            return Turn(fact.kind, core, fill(core, values), fact.answer)
        wording = core if plain else self.rough(core)
        question = self.punctuated(fill(wording, values if plain else self.slipped(values)))
        return Turn(fact.kind, wording, question, fact.answer)

    def core(self, kind: str) -> str:
        """A wording of a kind, with nothing around it."""
        rng = self.rng
        if kind.startswith("fixed."):
            return wordings.expand(*_fixed_pattern(kind.removeprefix("fixed."), rng), rng=rng)
        phrases, clauses = _patterns(kind)
        if rng.random() < (0.55 if kind not in SUMS else 0.4):
            phrase = wordings.expand(rng.choice(phrases), rng)
            frame = wordings.expand(rng.choice(_frames()), rng)
            return frame.replace("{np}", phrase)
        return wordings.expand(rng.choice(clauses), rng)

    def values(self, forms: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
        """What goes into the holes: for sums both in digits or both in words."""
        rng = self.rng
        if "a" in forms:
            style = int(rng.random() < 0.3)
            return {hole: names[style] for hole, names in forms.items()}
        values = {
            hole: names[0] if rng.random() < 0.6 else rng.choice(names)
            for hole, names in forms.items()
        }
        return self.completed(values)

    def completed(self, values: dict[str, str]) -> dict[str, str]:
        """The holes that every wording may have, from those that a fact has."""
        x = values.get("x", "")
        quoted = (x, x, x, x, f'"{x}"', f"'{x}'", f"the word {x}" if len(x) > 1 else f"letter {x}")
        other = self.rng.choice(self.by_kind["country_of"]).forms["x"][0]
        return {"ax": x, "xs": x, "q": self.rng.choice(quoted), "other": other} | values

    def rough(self, wording: str) -> str:
        """The wording as it is typed: words around it, words dropped, slips of the hand."""
        rng = self.rng
        if rng.random() < 0.12:
            wording = self.loosened(wording)
        if rng.random() < 0.20:
            wording = rng.choice(_openers()) + wording
        if rng.random() < 0.15:
            wording += rng.choice(_closers())
        if "'" in wording and rng.random() < 0.3:
            wording = wording.replace("'", "", 1)
        if rng.random() < 0.10:
            wording = self.mistyped(wording)
        return wording

    def loosened(self, wording: str) -> str:
        """Some small words left out, and some that say nothing put in."""
        rng = self.rng
        kept = [
            word
            for word in wording.split()
            if "{" in word or word not in _SMALL_WORDS or rng.random() > 0.35
        ]
        for _ in range(rng.randint(0, 2)):
            kept.insert(rng.randint(0, len(kept)), rng.choice(wordings.FILLERS))
        return " ".join(kept) or wording

    def mistyped(self, text: str) -> str:
        """One slip in one word of at least four letters that is no hole."""
        words = text.split(" ")
        places = [i for i, w in enumerate(words) if len(w) > 3 and w.isalpha()]
        if places:
            place = self.rng.choice(places)
            words[place] = self.slip(words[place])
        return " ".join(words)

    def slip(self, word: str) -> str:
        """A letter lost, doubled, swapped with the next, or hit beside."""
        rng = self.rng
        i = rng.randrange(1, len(word) - 1)
        match rng.randrange(4):
            case 0:
                return word[:i] + word[i + 1 :]
            case 1:
                return word[:i] + word[i] + word[i:]
            case 2:
                return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        return word[:i] + rng.choice(_TYPING.get(word[i], word[i])) + word[i + 1 :]

    def slipped(self, values: dict[str, str]) -> dict[str, str]:
        """The values, now and then with a slip in a long name."""
        if self.rng.random() > 0.03 or len(values.get("x", "")) < 6 or not values["x"].isalpha():
            return values
        x = values["x"]
        wrong = self.slip(x)
        return {hole: value.replace(x, wrong) for hole, value in values.items()}

    def punctuated(self, question: str) -> str:
        """The question with what people end it with, which is often nothing."""
        if question.endswith(("?", "...", "!", ".")):
            return question
        marks = ("?", "", ".", "!", "??", " ?", "...", "?!", " ")
        (mark,) = self.rng.choices(marks, (45, 42, 5, 2, 2, 1, 1, 1, 1))
        return question + mark

    def follow_up(self, kind: str) -> Turn:
        """A turn that only names the next thing of the kind of the last one."""
        rng = self.rng
        wording = wordings.expand(rng.choice(_follow_ups()), rng)
        if rng.random() < 0.12 and kind in outside.STRANGERS:
            values, answer = self.stranger(kind), facts.UNKNOWN
        else:
            fact = rng.choice(self.by_kind[kind])
            values, answer = self.slipped(self.values(fact.forms)), fact.answer
        if kind not in ("colour", "sound", "young", "legs"):
            wording = wording.replace("{ax}", "{x}")
        question = self.punctuated(fill(wording, values))
        return Turn(kind, f"{wording} ({kind})", question, answer)

    def outside(self) -> Turn:
        """A question that is not to be answered."""
        rng = self.rng
        lot = rng.random()
        if lot < 0.45:
            kind = rng.choice(list(outside.STRANGERS))
            wording = self.rough(self.core(kind))
            question = fill(wording, self.stranger(kind))
        elif lot < 0.52:
            wording = self.rough(self.core(rng.choice(SUMS)))
            question = fill(wording, self.large())
        else:
            wording = wordings.expand(rng.choice(wordings.lines(outside.TOPICS)), rng)
            wording = self.rough(wording)
            question = _HOLE.sub(lambda hole: self.word(hole[1]), wording)
        return Turn(OUTSIDE, wording, self.punctuated(question), facts.UNKNOWN)

    def stranger(self, kind: str) -> dict[str, str]:
        """Values for the holes of a kind that name something it knows nothing of."""
        x = self.word(self.rng.choice(outside.STRANGERS[kind].split()))
        ax = x if kind == "unit" or x.startswith("the ") else facts.with_article(x)
        u = self.rng.choice(self.by_kind["unit"]).forms["u"][0]
        values = {"x": x, "ax": ax, "xs": facts.plural_of(x), "u": u}
        if kind == "unit" and self.rng.random() < 0.5:
            values |= {"u": self.word("odd"), "ax": self.rng.choice(("a year", "a week", "a car"))}
        return self.completed(values)

    def large(self) -> dict[str, str]:
        """Two numbers of a sum that is too large."""
        rng = self.rng
        numbers = [rng.choice((rng.randint(60, 999), rng.randint(1000, 99999))), rng.randint(2, 999)]
        rng.shuffle(numbers)
        return {"a": str(numbers[0]), "b": str(numbers[1])}

    def word(self, group: str) -> str:
        """A word of a group of ``outside.WORDS``, an invented one, or a number."""
        rng = self.rng
        match group:
            case "odd":
                return self.invented()
            case "blend":
                return self.blended()
            case "big":
                return str(rng.choice((rng.randint(60, 999), rng.randint(1000, 999999))))
            case "u":
                return rng.choice(self.by_kind["unit"]).forms["u"][0]
        return rng.choice(_words(group)) if rng.random() < 0.85 else self.invented()

    def invented(self) -> str:
        """A word that nobody knows."""
        rng = self.rng
        syllables = rng.randint(2, 4)
        parts = (
            rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(syllables)
        )
        return "".join(parts)

    def blended(self) -> str:
        """A word that begins or ends like one that is known."""
        rng = self.rng
        name = self.fact().forms.get("x", ("paris",))[0]
        cut = max(2, len(name) // 2)
        return name[:cut] + self.invented()[:6] if rng.random() < 0.5 else self.invented() + name[cut:]

    def system(self) -> str:
        """A system prompt."""
        prompts = SYSTEM_PROMPTS.replace("\n", "|").strip("|").split("|")
        return " ".join(self.rng.sample(prompts, self.rng.choice((1, 1, 2))))


FOLLOWED = frozenset(WEIGHTS) - {*SUMS, "unit", "nth_month"}
_ONSETS = "b c d f g h j k l m n p r s t v w z br ch cl cr dr fl gr kl pl pr sh sk st th tr x qu".split()
_VOWELS = "a e i o u a e i o u ai ea ee oo ou ia".split()
_CODAS = ["", "", "", "", "n", "r", "s", "l", "m", "t", "x", "k", "nd", "rk", "sh", "ng", "b"]
_SMALL_WORDS = frozenset(
    "what is the a an of in for do does you i to which are me tell it name can could please".split()
)


def fill(wording: str, values: dict[str, str]) -> str:
    return _HOLE.sub(lambda hole: values[hole[1]], wording)


@cache
def _patterns(kind: str) -> tuple[list[str], list[str]]:
    phrases, clauses = wordings.KINDS[kind].split("--")
    return wordings.lines(phrases), wordings.lines(clauses)


def _fixed_pattern(key: str, rng: random.Random) -> tuple[str]:
    if key in fixed.SAYINGS:
        return (rng.choice(wordings.lines(fixed.SAYINGS[key])),)
    phrase = wordings.expand(rng.choice(wordings.lines(fixed.COMMANDS[key])), rng)
    return (rng.choice(wordings.lines(fixed.COMMAND_FRAMES)).replace("{vp}", phrase),)


@cache
def _frames() -> list[str]:
    return wordings.lines(wordings.FRAMES)


@cache
def _follow_ups() -> list[str]:
    return wordings.lines(wordings.FOLLOW_UPS)


@cache
def _openers() -> list[str]:
    return wordings.alternatives(wordings.OPENERS)


@cache
def _closers() -> list[str]:
    return wordings.alternatives(wordings.CLOSERS)


@cache
def _words(group: str) -> list[str]:
    return outside.WORDS[group].replace("\n", "").split("|")
