"""Which of llama.cpp's pre-tokenizers does what tokenizer.json says: found by the pattern."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llmrr.convert.gguf.vocabulary import library
from llmrr.convert.gguf.vocabulary.folder import Folder
from llmrr.convert.gguf.vocabulary.patterns import BLOOM, FAVOURITES, GPT2, KNOWN, PUNCTUATION, Pre
from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats.json_file import table, text

MAX_STEPS = 32
MAX_PATTERN = 4096
# Classes of transformers whose files are vocab.json and merges.txt alone: how they cut.
GPT2_CLASSES = ("GPT2", "Roberta", "Bart", "CodeGen", "Longformer", "LED", "GPTNeoX", "OPT", "Phi")
SPELLINGS = (
    ("\r", r"\r"), ("\n", r"\n"), ("\t", r"\t"),
    # the same with possessive quantifiers, which change nothing where the next part cannot match
    ("?+", "?"), ("++", "+"), (r"\p{N}{1}", r"\p{N}"), (r"\d{1}", r"\d"),
    ("(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)"),
    (BLOOM.replace("|", "|[").replace(")]+", "])]+"), BLOOM),
)  # fmt: skip
WHOLE = re.compile(r"^\((.*)\)$")


@dataclass(frozen=True, slots=True)
class Cutting:
    """What was recognised. ``proven`` is where the pattern itself is not known, and cuts the
    built-in texts as the known one does."""

    pre: Pre
    proven: bool = False


@dataclass(frozen=True, slots=True)
class Steps:
    """A pre-tokenizer as expressions that cut one after the other; ``strange`` names what is no
    such thing. ``prefix``: a space is put before a text."""

    cuts: tuple[str, ...]
    strange: str | None = None
    prefix: bool = False


def recognise(folder: Folder, architecture: str) -> Cutting:
    """The pre-tokenizer of llama.cpp that cuts as this byte-level tokenizer does.

    Raises ``Unsupported`` naming the pattern where there is none.
    """
    if not folder.tokenizer:
        return Cutting(_by_class(folder, architecture))
    steps = read_steps(table(folder.tokenizer, "pre_tokenizer"))
    ignores = folder.model.get("ignore_merges") is True
    if steps.strange is None:
        cuts = tuple(map(_spelled, steps.cuts))
        same = [pre for pre in KNOWN if tuple(map(_spelled, pre.cuts)) == cuts]
        if same:
            return Cutting(_choose(same, ignores, architecture))
    if equal := _equivalent(folder.tokenizer):
        return Cutting(_choose(equal, ignores, architecture), proven=True)
    pattern = steps.strange or " then ".join(steps.cuts) or "none at all"
    raise Unsupported(
        f"llama.cpp has no pre-tokenizer that cuts texts as {folder.path} does:"
        f" {pattern[:MAX_PATTERN]}",
        "convert it --to onnx, which keeps the tokenizer as it is",
    )


def read_steps(pre_tokenizer: Mapping[str, Any]) -> Steps:
    """The steps of tokenizer.json's ``pre_tokenizer``."""
    cuts: list[str] = []
    strange, prefix = None, False
    for step in _flat(pre_tokenizer):
        kind = step.get("type")
        if kind == "ByteLevel":
            prefix = prefix or step.get("add_prefix_space") is True
            cuts += [GPT2] if step.get("use_regex", True) else []
        elif kind == "Digits":
            cuts.append(r"\p{N}" if step.get("individual_digits") else r"\p{N}+")
        elif kind == "Punctuation" and step.get("behavior") in ("Contiguous", "Isolated"):
            whole = step.get("behavior") == "Contiguous"
            cuts.append(PUNCTUATION if whole else PUNCTUATION.removesuffix("+"))
        elif kind == "Split" and (pattern := _split(step)):
            cuts.append(pattern)
        else:
            strange = strange or f"{kind} {str(step)[:MAX_PATTERN]}"
    return Steps(tuple(cuts), strange, prefix)


def _split(step: Mapping[str, Any]) -> str | None:
    """The expression of a split that keeps everything."""
    pattern = table(step, "pattern")
    inverted = step.get("invert") is True
    keeps = (step.get("behavior"), inverted) in (("Isolated", False), ("Removed", True))
    if not keeps or len(str(pattern)) > MAX_PATTERN:
        return None
    if plain := text(pattern, "String"):
        return re.escape(plain)
    return text(pattern, "Regex")


def _flat(step: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    if step.get("type") != "Sequence":
        if step:
            yield step
        return
    inner = step.get("pretokenizers")
    for one in inner[:MAX_STEPS] if isinstance(inner, list) and depth < 4 else ():
        if isinstance(one, dict):
            yield from _flat(one, depth + 1)


def _spelled(pattern: str) -> str:
    """A pattern in the spelling of ``patterns``."""
    for other, ours in SPELLINGS:
        pattern = pattern.replace(other, ours)
    return WHOLE.sub(r"\1", pattern) if pattern.count("(") == 1 else pattern


def _choose(same: list[Pre], ignores: bool, architecture: str) -> Pre:
    """One of several that cut alike: the merges decide first, then what the architecture is used
    to."""
    favourites = FAVOURITES.get(architecture, ())
    return min(same, key=lambda pre: (pre.ignores_merges != ignores, pre.name not in favourites))


def _by_class(folder: Folder, architecture: str) -> Pre:
    name = folder.stated.get("tokenizer_class")
    name = name if isinstance(name, str) else {"qwen2": "Qwen2"}.get(architecture, "GPT2")
    if name.startswith("Qwen2"):
        return next(pre for pre in KNOWN if pre.name == "qwen2")
    if name.startswith(GPT2_CLASSES):
        return _choose([pre for pre in KNOWN if pre.cuts == (GPT2,)], False, architecture)
    raise Unsupported(
        f"{folder.path} has no tokenizer.json, and how a {name[:99]} cuts texts is not known",
        "get the tokenizer.json that belongs to the model",
    )


def view(pre: Pre) -> dict[str, Any]:
    """``pre`` as tokenizer.json would state it, with the expressions that llama.cpp really has."""
    splits = [
        {"type": "Split", "pattern": {"Regex": cut}, "behavior": "Isolated", "invert": False}
        for cut in pre.found or pre.cuts
    ]
    end = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "Sequence", "pretokenizers": [*splits, end]}


def _equivalent(tokenizer: Mapping[str, Any]) -> list[Pre]:
    """Those that cut every text of the built-in set, and each of its lines, as this one does."""
    from llmrr.convert.verify.texts import TEXTS

    samples = [part for text in TEXTS for part in (text, *text.splitlines())]
    try:
        cut = _cutter(tokenizer.get("pre_tokenizer"))
        own = [(text, cut(text)) for text in samples]
    except DamagedFile:
        return []
    alike = {cuts for cuts in dict.fromkeys(pre.cuts for pre in KNOWN) if _agrees(cuts, own)}
    return [pre for pre in KNOWN if pre.cuts in alike]


def _agrees(cuts: tuple[str, ...], own: list[tuple[str, Any]]) -> bool:
    cut = _cutter(view(Pre("", cuts)))
    return all(cut(text) == pieces for text, pieces in own)


def _cutter(pre_tokenizer: Any) -> Callable[[str], Any]:
    """How the library cuts. Raises ``DamagedFile`` for what it cannot use."""
    empty = {"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}
    made = library.tokenizer({**empty, "pre_tokenizer": pre_tokenizer}, "its pre-tokenizer")

    def cut(text: str) -> Any:
        with library.errors("its pre-tokenizer"):
            return made.pre_tokenizer.pre_tokenize_str(text)

    return cut
