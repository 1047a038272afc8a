"""What llama.cpp is known to do otherwise than the source's tokenizer, whatever a converter writes.

Each is a change of tokenizer.json that takes away what GGUF cannot state. Where the tokens of a
text become the same through one, that is why they were not.
"""

import struct
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from llmrr.convert.gguf.vocabulary import pretokenizer, roles
from llmrr.convert.gguf.vocabulary.folder import Added
from llmrr.convert.gguf.vocabulary.patterns import BY_NAME
from llmrr.convert.gguf.vocabulary.spm import BYTE, NEVER, pretokens
from llmrr.convert.gguf.vocabulary.wordpiece import flat
from llmrr.convert.verify import charsmap, source_tokenizer
from llmrr.formats.json_file import table

Made = Mapping[str, Any]
KEPT = ("Prepend", "Replace")  # of an SPM's normalizer: what llama.cpp does too
FLAGS = ("lstrip", "rstrip", "single_word", "normalized")
LONG_WORD = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """What GGUF calls the tokenizer, and how many tokens it has there."""

    model: str
    pre: str
    size: int


def _same(made: Made, text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Difference:
    """``why`` finishes the sentence "llama.cpp …"; ``change`` takes it out of a tokenizer, and says
    None where that does not show it; ``spell`` does to a text what the tokenizer then does not."""

    why: str
    change: Callable[[Made, Target], Made | None]
    spell: Callable[[Made, str], str] = _same


def _without_normalizer(made: Made, target: Target) -> Made | None:
    if target.model not in ("gpt2", "llama"):
        return None
    steps = list(flat(table(made, "normalizer")))
    kept = [one for one in steps if target.model == "llama" and _stays(one)]
    if len(kept) == len(steps):
        return None
    return {**made, "normalizer": {"type": "Sequence", "normalizers": kept} if kept else None}


def _stays(step: Mapping[str, Any]) -> bool:
    return step.get("type") in KEPT and step.get("content", "▁") == "▁"


def _with_pattern(made: Made, target: Target) -> Made | None:
    if target.model != "gpt2" or target.pre not in BY_NAME or BY_NAME[target.pre].found is None:
        return None
    return {**made, "pre_tokenizer": pretokenizer.view(BY_NAME[target.pre])}


def _without_space(made: Made, target: Target) -> Made | None:
    steps = pretokenizer.read_steps(table(made, "pre_tokenizer"))
    if target.model != "gpt2" or not steps.prefix:
        return None
    return {**made, "pre_tokenizer": _set(made["pre_tokenizer"], "ByteLevel",
                                          {"add_prefix_space": False})}  # fmt: skip


def _with_spaces(made: Made, target: Target) -> Made | None:
    """A prefix for the first text alone is one for each text between tokens there."""
    before = made.get("pre_tokenizer") or {}
    after = _set(before, "Metaspace", {"prepend_scheme": "always"})
    fits = target.model in ("llama", "t5") and "'first'" in repr(before)
    return {**made, "pre_tokenizer": after} if fits else None


def _set(step: Any, kind: str, values: Mapping[str, Any]) -> Any:
    if step.get("type") == "Sequence":
        inner = [_set(one, kind, values) for one in step["pretokenizers"]]
        return {**step, "pretokenizers": inner}
    return {**step, **values} if step.get("type") == kind else step


def _without_flags(made: Made, target: Target) -> Made | None:
    added = made["added_tokens"]
    if not any(one[flag] for one in added for flag in FLAGS):
        return None
    return {**made, "added_tokens": [{**one, **dict.fromkeys(FLAGS, False)} for one in added]}


def _without_bytes(made: Made, target: Target) -> Made | None:
    if target.model != "t5" or made["model"].get("byte_fallback") is not True:
        return None
    unlikely = [[one, NEVER if BYTE.fullmatch(one) else score]
                for one, score in made["model"]["vocab"]]  # fmt: skip
    return {**made, "model": {**made["model"], "byte_fallback": False, "vocab": unlikely}}


def _with_short_scores(made: Made, target: Target) -> Made | None:
    """GGUF has 32 bits for a score; what is equally probable there is cut otherwise."""
    if target.model != "t5":
        return None
    rounded = [[one, struct.unpack("f", struct.pack("f", score))[0]]
               for one, score in made["model"]["vocab"]]  # fmt: skip
    if rounded == made["model"]["vocab"]:
        return None
    return {**made, "model": {**made["model"], "vocab": rounded}}


def _without_longest(made: Made, target: Target) -> Made | None:
    if made["model"].get("type") != "WordPiece":
        return None
    return {**made, "model": {**made["model"], "max_input_chars_per_word": LONG_WORD}}


def _within(made: Made, target: Target) -> Made | None:
    kept = [one for one in made["added_tokens"] if one["id"] < target.size]
    return {**made, "added_tokens": kept} if len(kept) < len(made["added_tokens"]) else None


def _with_controls(made: Made, target: Target) -> Made | None:
    """llama.cpp knows some control tokens by their texts, whatever a file says of them."""
    ids = source_tokenizer.ids(made["model"])
    contents = {one["content"] for one in made["added_tokens"]}
    taken = sorted((roles.KNOWN_ENDS | roles.KNOWN_FILLS) & ids.keys() - contents)
    if not taken:
        return None
    added = [source_tokenizer.entry(ids[text], Added(text, special=True)) for text in taken]
    return {**made, "added_tokens": [*made["added_tokens"], *added]}


def _with_merges(made: Made, target: Target) -> Made | None:
    ignores = made["model"].get("ignore_merges") is True
    pre = BY_NAME.get(target.pre)
    if target.model != "gpt2" or pre is None or pre.ignores_merges == ignores:
        return None
    return {**made, "model": {**made["model"], "ignore_merges": not ignores}}


def _as_sentencepiece(made: Made, target: Target) -> Made | None:
    """The library normalizes one character that people see after the other, strips and splits at
    whatever is white; SentencePiece and llama.cpp replace what the table has, and know spaces."""
    if target.model != "t5":
        return None
    steps = list(flat(table(made, "normalizer")))
    kept = [one for one in steps if one.get("type") not in ("Precompiled", "Strip")]
    before = pretokens(table(made, "pre_tokenizer"))
    plain = [one for one in before if one.get("type") != "WhitespaceSplit"]
    splits = len(plain) < len(before)
    for one in steps:
        if one.get("type") == "Strip":
            kept = [*source_tokenizer.trimmed(one["strip_left"], one["strip_right"]), *kept]
    if splits:
        kept += source_tokenizer.single_spaces()
    return {
        **made,
        "normalizer": {"type": "Sequence", "normalizers": kept},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": plain},
    }


def _normalized(made: Made, text: str) -> str:
    for one in flat(table(made, "normalizer")):
        if one.get("type") == "Precompiled":
            text = charsmap.Charsmap(b64decode(one["precompiled_charsmap"])).normalize(text)
    return text


def _with_marks(made: Made, target: Target) -> Made | None:
    """BERT leaves away the marks that take no room, llama.cpp whatever is a mark."""
    one = table(made, "normalizer")
    if one.get("type") != "BertNormalizer":
        return None
    strips = one.get("strip_accents")
    if not (one.get("lowercase") if strips is None else strips):
        return None
    bare = {"type": "Replace", "pattern": {"Regex": r"\p{M}"}, "content": ""}
    lower = [{"type": "Lowercase"}] if one.get("lowercase") else []
    first = {**one, "strip_accents": False, "lowercase": False}
    steps = [first, bare, *lower]
    return {**made, "normalizer": {"type": "Sequence", "normalizers": steps}}


def _bases(made: Made, text: str) -> str:
    """llama.cpp takes the first part of what a character consists of, also where the others are
    no marks, as those of Korean syllables."""
    return "".join(normalize("NFD", one)[0] for one in text)


def _stripped(made: Made, target: Target) -> Made | None:
    steps = list(flat(table(made, "normalizer")))
    if target.model != "t5":
        return None
    end = source_tokenizer.trimmed(False, True)
    return {**made, "normalizer": {"type": "Sequence", "normalizers": [*steps, *end]}}


def _of_words(made: Made, target: Target) -> Made | None:
    return made if made["model"].get("type") == "WordPiece" else None


def _spaced(made: Made, text: str) -> str:
    """Control characters that are white are dropped there, and are spaces for llama.cpp."""
    return text.translate(dict.fromkeys((0x0B, 0x0C, 0x85), " "))


KNOWN = (
    Difference("does not normalize texts as this tokenizer does", _without_normalizer),
    Difference("takes some plain tokens for control tokens, by their texts", _with_controls),
    Difference("has a plainer pattern to cut texts with", _with_pattern),
    Difference("normalizes and splits as SentencePiece does, the library of the source otherwise",
               _as_sentencepiece, _normalized),
    Difference("leaves away every mark, and all but the first letter of a Korean syllable",
               _with_marks, _bases),
    Difference("drops spaces at the end of a text", _stripped),
    Difference("takes control characters that are white for spaces", _of_words, _spaced),
    Difference("puts no space before the first word", _without_space),
    Difference("puts a space before what follows a special token", _with_spaces),
    Difference("does not look at what stands around a special token", _without_flags),
    Difference("knows no tokens for bytes in a unigram vocabulary", _without_bytes),
    Difference("keeps the scores of pieces in 32 bits", _with_short_scores),
    Difference("takes words of any length apart", _without_longest),
    Difference("has no token beyond the rows of the embeddings", _within),
    Difference("joins pieces otherwise that are tokens as a whole", _with_merges),
)  # fmt: skip


def together(made: Made, target: Target, text: str) -> tuple[Made, str]:
    """``made`` and ``text`` with everything out of them that llama.cpp does otherwise."""
    for one in KNOWN:
        if changed := one.change(made, target):
            made, text = changed, one.spell(made, text)
    return made, text
