"""The same token ids from the source's tokenizer and from llama.cpp with what was converted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr.convert.base import Check, Told
from llmrr.convert.gguf.vocabulary import library, pretokenizer, roles
from llmrr.convert.gguf.vocabulary.folder import Folder
from llmrr.convert.verify import source_tokenizer
from llmrr.convert.verify.differences import KNOWN, Target, together
from llmrr.convert.verify.texts import TEXTS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from llmrr.engines.llamacpp.api import Vocab

__all__ = ["TEXTS", "check"]
OWN = 24  # special tokens of the tokenizer's own that are put into texts: the first and the last
SHOWN = 60  # characters of a text that differs
MOST = 0.5  # of the texts may differ for a reason that is known
SEVERAL = "does several of these things otherwise"


@dataclass(frozen=True, slots=True)
class Difference:
    """A text whose tokens are not the same; ``why`` is None where nobody knows."""

    text: str
    wanted: list[int]
    found: list[int]
    why: str | None = None

    @property
    def position(self) -> int:
        """The first token that is another one."""
        pairs = zip(self.wanted, self.found, strict=False)
        same = (number for number, (one, other) in enumerate(pairs) if one != other)
        return next(same, min(len(self.wanted), len(self.found)))

    def __str__(self) -> str:
        at = self.position
        wanted, found = self.wanted[at : at + 4], self.found[at : at + 4]
        return f"{self.text[:SHOWN]!r} from token {at} on ({wanted} there, {found} here)"


def check(settings: Path, gguf: Path, told: Told) -> Check:
    """Compare the tokens of ``TEXTS``, and of texts with the tokenizer's own special tokens, as the
    folder ``settings`` and the file ``gguf`` cut them; what is put around a text; what ends a turn.

    Where llama.cpp is known not to do what the source does, the detail says so and the check
    passes, unless that concerns more than half of the texts. Raises ``DamagedFile``,
    ``Unsupported``.
    """
    from llmrr.engines.llamacpp.vocabulary import open_vocabulary
    from llmrr.formats.gguf import read_parts

    header = read_parts(gguf)[0]
    architecture = header.text("general.architecture") or ""
    size = header.count("tokenizer.ggml.tokens") or 0
    pre = header.text("tokenizer.ggml.pre") or "default"
    target = Target(header.text("tokenizer.ggml.model") or "", pre, size)
    folder = Folder(settings)
    made = source_tokenizer.described(folder, architecture)
    source = library.tokenizer(made, settings)
    texts = (*TEXTS, *_own(made))
    with library.errors(settings), open_vocabulary(gguf) as vocab:
        differing = _compare(source, vocab, texts, told)
        wrong = _around(folder, made, source, vocab) + _ends(folder, vocab, size)
    explained = _explained(differing, made, target, settings)
    notes = _proof(folder, architecture) if target.model == "gpt2" else ()
    return _judged(explained, len(texts), wrong, notes)


def _own(made: Mapping[str, Any]) -> list[str]:
    """Texts with the special tokens of this tokenizer, where they touch words and spaces."""
    special = [one["content"] for one in made["added_tokens"]]
    some = special if len(special) <= OWN else [*special[: OWN // 2], *special[-OWN // 2 :]]
    return [f"{one}Hi there {one} friend\n{one}{one}\n\n  {one}end" for one in some]


def _compare(
    source: "Tokenizer", vocab: "Vocab", texts: tuple[str, ...], told: Told
) -> list[Difference]:
    found = []
    for number, text in enumerate(texts):
        told("comparing tokens", number, len(texts))
        wanted = source.encode(text, add_special_tokens=False).ids
        if (ids := vocab.tokenize(text)) != wanted:
            found.append(Difference(text, wanted, ids))
    told("comparing tokens", len(texts), len(texts))
    return found


def _explained(
    differing: list[Difference], made: Mapping[str, Any], target: Target, settings: Path
) -> list[Difference]:
    """With the reason where the tokens are the same without what llama.cpp does otherwise."""
    found = differing
    for known in KNOWN:
        changed = known.change(made, target)
        if changed and (left := [one for one in found if one.why is None]):
            spelled = [known.spell(made, one.text) for one in left]
            same = _same(changed, left, spelled, settings)
            found = [replace(one, why=known.why) if one in same else one for one in found]
    if left := [one for one in found if one.why is None]:
        changed = together(made, target, "")[0]
        spelled = [together(made, target, one.text)[1] for one in left]
        same = _same(changed, left, spelled, settings)
        found = [replace(one, why=SEVERAL) if one in same else one for one in found]
    return found


def _same(
    made: Mapping[str, Any], differing: list[Difference], spelled: list[str], settings: Path
) -> list[Difference]:
    """Those whose texts, so spelled, ``made`` cuts as llama.cpp does."""
    source = library.tokenizer(made, settings)
    with library.errors(settings):
        return [
            one for one, text in zip(differing, spelled, strict=True)
            if source.encode(text, add_special_tokens=False).ids == one.found
        ]  # fmt: skip


def _around(
    folder: Folder, made: Mapping[str, Any], source: "Tokenizer", vocab: "Vocab"
) -> list[str]:
    """What is wrong with the tokens that are put before and after a text."""
    text = "Hello"
    plain = source.encode(text, add_special_tokens=False).ids
    if made.get("post_processor"):
        wanted = source.encode(text).ids
    else:
        adds, stated = roles.roles(folder).adds, roles.stated(folder)
        begin, end = (
            [number for number in [source.token_to_id(stated.get(role, ""))] if number is not None]
            if adds.get(role)
            else []
            for role in ("bos", "eos")
        )
        wanted = [*begin, *plain, *end]
    found = vocab.tokenize(text, add_special=True)
    return [] if found == wanted else [f"{text!r} becomes {found} instead of {wanted}"]


def _ends(folder: Folder, vocab: "Vocab", size: int) -> list[str]:
    """What is wrong with the tokens that end a turn."""
    return [
        f"the token {token} does not end a turn"
        for token in roles.ending(folder)
        if token < size and not vocab.is_end(token)
    ]


def _proof(folder: Folder, architecture: str) -> tuple[str, ...]:
    cutting = pretokenizer.recognise(folder, architecture)
    if not cutting.proven:
        return ()
    return (f"its pattern is not a known one, and cuts all of them as {cutting.pre.name} does",)


def _judged(
    differing: list[Difference], count: int, wrong: list[str], notes: tuple[str, ...]
) -> Check:
    unknown = [one for one in differing if one.why is None]
    said = [f"{count - len(differing)} of {count} texts have the same tokens", *notes, *wrong]
    if unknown:
        said.append(f"{len(unknown)} differ, the first is {unknown[0]}")
    reasons = dict.fromkeys(one.why for one in differing if one.why)
    for why in reasons:
        of = [one for one in differing if one.why == why]
        said.append(f"{len(of)} differ because llama.cpp {why}: {of[0]}")
    passed = not unknown and not wrong and len(differing) <= MOST * count
    rows = tuple(
        {"text": one.text[:SHOWN], "position": one.position,
         "source": one.wanted[one.position :][:4], "result": one.found[one.position :][:4],
         "reason": one.why}
        for one in differing
    )  # fmt: skip
    return Check("tokens", passed, "; ".join(said), rows)
