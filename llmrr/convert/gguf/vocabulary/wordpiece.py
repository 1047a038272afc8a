"""WordPiece, in llama.cpp's form: ▁ before what begins a word, nothing before the rest."""

from collections.abc import Iterator, Mapping
from typing import Any

from llmrr.convert.gguf.vocabulary.bytelevel import added, vocabulary
from llmrr.convert.gguf.vocabulary.folder import Folder
from llmrr.convert.gguf.vocabulary.table import Token, Type
from llmrr.errors import Unsupported
from llmrr.formats.json_file import table

CONTINUES = "##"


def read(folder: Folder) -> tuple[dict[int, Token], dict[str, Any]]:
    """The tokens, and the keys of the normalizer. Raises ``Unsupported``, ``DamagedFile``."""
    prefix = folder.model.get("continuing_subword_prefix", CONTINUES)
    if prefix != CONTINUES:
        raise Unsupported(
            f"the tokenizer of {folder.path} continues words with {str(prefix)[:99]!r}, and"
            f" llama.cpp with {CONTINUES!r} alone",
            "convert it --to onnx, which keeps the tokenizer as it is",
        )
    if folder.tokenizer:
        ids = vocabulary(folder)
    else:
        ids = {text: number for number, text in enumerate(folder.lines("vocab.txt"))}
    tokens = {number: Token(phantom(text)) for text, number in ids.items()}
    for number, token in added(folder, ids).items():
        control = token.type is Type.CONTROL
        tokens[number] = token if control else token._replace(text=phantom(token.text))
    return tokens, {"model": "bert", "pre": "bert-bge", **_normalizer(folder)}


def phantom(text: str) -> str:
    """A token's text as llama.cpp looks for it.

    >>> phantom("##ing"), phantom("word")
    ('ing', '▁word')
    """
    return text.removeprefix(CONTINUES) if text.startswith(CONTINUES) else "▁" + text


def _normalizer(folder: Folder) -> dict[str, Any]:
    """Whether texts are put in lower case, and accents left away."""
    if not folder.tokenizer:
        lower = folder.stated.get("do_lower_case", True) is not False
        strip = folder.stated.get("strip_accents")
        found: dict[str, Any] = {"normalizer.lowercase": lower}
        return found | ({"normalizer.strip_accents": strip} if isinstance(strip, bool) else {})
    found = {"normalizer.lowercase": False, "normalizer.strip_accents": False}
    for one in flat(table(folder.tokenizer, "normalizer")):
        if one.get("type") == "Lowercase":
            found["normalizer.lowercase"] = True
        elif one.get("type") == "StripAccents":
            found["normalizer.strip_accents"] = True
        elif one.get("type") == "BertNormalizer":
            lower, strip = one.get("lowercase", True), one.get("strip_accents")
            found["normalizer.lowercase"] = lower is not False
            found["normalizer.strip_accents"] = strip if isinstance(strip, bool) else bool(lower)
    return found


def flat(normalizer: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The steps of a normalizer, one after the other."""
    if normalizer.get("type") != "Sequence":
        if normalizer:
            yield normalizer
        return
    inner = normalizer.get("normalizers")
    for one in inner if isinstance(inner, list) and depth < 4 else ():
        if isinstance(one, dict):
            yield from flat(one, depth + 1)
