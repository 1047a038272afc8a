"""SentencePiece BPE: the two neighbours whose union has the best score become one.

From tokenizer.model, or from a tokenizer.json that was made from one: its scores are then the ranks
of the merges.
"""

import re
from collections.abc import Mapping
from typing import Any

from llmrr.convert.gguf.vocabulary import proto
from llmrr.convert.gguf.vocabulary.bytelevel import added, vocabulary
from llmrr.convert.gguf.vocabulary.folder import Folder
from llmrr.convert.gguf.vocabulary.table import Token, Type
from llmrr.convert.gguf.vocabulary.wordpiece import flat
from llmrr.errors import Unsupported
from llmrr.formats.json_file import table
from llmrr.formats.messages import damaged

BYTE = re.compile(r"<0x[0-9A-F]{2}>")
NEVER = -1e6  # of a token that no merge makes: it is never chosen before one that a merge makes


def from_model(folder: Folder, model: proto.Model) -> tuple[dict[int, Token], dict[str, Any]]:
    """The tokens of a SentencePiece model with what was added to it, and the keys besides."""
    tokens = {number: piece(one, model) for number, one in enumerate(model.pieces)}
    put_added(tokens, folder, {one.text: number for number, one in enumerate(model.pieces)})
    _complete(tokens, folder)
    prefix = model.dummy_prefix
    if folder.tokenizer:
        prefix = prefixes(folder)
    return tokens, {"model": "llama", "pre": "default", **space_prefix(folder, prefix)}


def piece(one: proto.Piece, model: proto.Model) -> Token:
    """A piece as llama.cpp has it. What the user defined is found before anything else there, with
    its spaces as spaces; a run of spaces stays a piece like others where every text gets one more
    in front."""
    if one.type == proto.USER_DEFINED and not (model.dummy_prefix and not one.text.strip("▁")):
        return Token(one.text.replace("▁", " "), Type.USER_DEFINED, one.score)
    kind = Type.NORMAL if one.type == proto.USER_DEFINED else Type(one.type)
    return Token(one.text, kind, one.score)


def from_json(folder: Folder) -> tuple[dict[int, Token], dict[str, Any]]:
    """The same from tokenizer.json alone. Raises ``DamagedFile``, ``Unsupported``."""
    ids = vocabulary(folder)
    scores = _ranks(folder, ids)
    tokens = {}
    unknown = folder.model.get("unk_token")
    for text, number in ids.items():
        kind = Type.BYTE if BYTE.fullmatch(text) else Type.NORMAL
        kind = Type.UNKNOWN if text == unknown else kind
        score = scores.get(text, 0.0 if kind is not Type.NORMAL else NEVER)
        tokens[number] = Token(text, kind, score)
    put_added(tokens, folder, ids)
    _complete(tokens, folder)
    keys = {"model": "llama", "pre": "default"}
    return tokens, keys | space_prefix(folder, prefixes(folder))


def put_added(tokens: dict[int, Token], folder: Folder, ids: Mapping[str, int]) -> None:
    """Put in what was added; a piece that is a token of its own anyway keeps what it is."""
    for number, token in added(folder, ids).items():
        known = tokens.get(number)
        if known and known.type in (Type.CONTROL, Type.UNKNOWN) and number not in folder.added:
            continue  # it only has a role besides
        tokens[number] = token


def _complete(tokens: Mapping[int, Token], folder: Folder) -> None:
    """llama.cpp needs a token for every byte, and ends the process where it finds none."""
    texts = {token.text for token in tokens.values()}
    for byte in range(256):
        if f"<0x{byte:02X}>" not in texts and not (byte < 128 and chr(byte) in texts):
            raise Unsupported(
                f"the vocabulary of {folder.path} has no token for the byte {byte}, and llama.cpp"
                " needs one where a character is not in the vocabulary",
                "convert it --to onnx, which keeps the tokenizer as it is",
            )


def _ranks(folder: Folder, ids: Mapping[str, int]) -> dict[str, float]:
    """The score of each token that a merge makes: the earlier the merge, the better."""
    found: dict[str, float] = {}
    merges = folder.model.get("merges")
    for rank, merge in enumerate(merges if isinstance(merges, list) else ()):
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(parts, list) or len(parts) != 2 or not all(
            isinstance(part, str) for part in parts
        ):
            raise damaged(folder.path, f"{str(merge)[:99]!r} is no merge of two tokens")
        text = parts[0] + parts[1]
        if text not in ids:
            raise damaged(folder.path, f"a merge makes {text[:99]!r}, which is no token")
        found.setdefault(text, -float(rank + 1))
    return found


def prefixes(folder: Folder) -> bool:
    """Does tokenizer.json put a space before a text?"""
    for one in flat(table(folder.tokenizer, "normalizer")):
        if one.get("type") == "Prepend" and one.get("prepend") == "▁":
            return True
    return any(
        one.get("type") == "Metaspace"
        and one.get("prepend_scheme", "always" if one.get("add_prefix_space", True) else "never")
        != "never"
        for one in pretokens(table(folder.tokenizer, "pre_tokenizer"))
    )


def pretokens(step: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The steps of a pre-tokenizer, one after the other."""
    inner = step.get("pretokenizers")
    several = inner if step.get("type") == "Sequence" and isinstance(inner, list) else [step]
    return [one for one in several if isinstance(one, dict)]


def space_prefix(folder: Folder, prefix: bool) -> dict[str, Any]:
    """add_space_prefix, where it is not what llama.cpp does by itself."""
    stated = folder.stated.get("add_prefix_space")
    if not folder.tokenizer and isinstance(stated, bool):
        prefix = stated
    return {} if prefix and not isinstance(stated, bool) else {"add_space_prefix": prefix}
