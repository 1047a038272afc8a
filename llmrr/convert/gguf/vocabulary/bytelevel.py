"""Byte-level BPE: tokens are spelled in the letters that GPT-2 gives to bytes."""

from collections.abc import Mapping
from typing import Any

from llmrr.convert.gguf.vocabulary import pretokenizer
from llmrr.convert.gguf.vocabulary.folder import Added, Folder
from llmrr.convert.gguf.vocabulary.roles import stated
from llmrr.convert.gguf.vocabulary.table import ADDED_SCORE, MAX_TOKENS, Token, Type
from llmrr.errors import Unsupported
from llmrr.formats.json_file import table
from llmrr.formats.messages import damaged

# What llama.cpp's converter takes for control tokens though the files call them plain.
CONTROLS = frozenset({"<pad>", "<mask>", "<2mass>", "[@BOS@]"})
AROUND = (("<|", "|>"), ("<\uff5c", "\uff5c>"), ("<unused", ">"))


def read(folder: Folder, architecture: str) -> tuple[dict[int, Token], dict[str, Any]]:
    """The tokens, and the keys that a byte-level vocabulary has besides.

    Raises ``Unsupported`` for a pre-tokenizer that llama.cpp lacks, ``DamagedFile``.
    """
    cutting = pretokenizer.recognise(folder, architecture)
    ids = vocabulary(folder)
    tokens = {number: Token(text) for text, number in ids.items()}
    tokens.update(added(folder, ids))
    joined = merges(folder)
    if not joined:
        raise Unsupported(
            f"the tokenizer of {folder.path} has no merges, without which llama.cpp reads no BPE",
            "get the tokenizer.json that belongs to the model",
        )
    return tokens, {"model": "gpt2", "pre": cutting.pre.name, "merges": joined}


def vocabulary(folder: Folder) -> dict[str, int]:
    """Text: id, of tokenizer.json or vocab.json. Raises ``DamagedFile``."""
    if folder.tokenizer:
        found: Mapping[str, Any] = table(folder.model, "vocab")
    else:
        found = folder.vocabulary("vocab.json")
    for text, number in found.items():
        if type(number) is not int or not 0 <= number < MAX_TOKENS:
            raise damaged(folder.path, f"the token {text[:99]!r} has the id {str(number)[:99]}")
    return dict(found)


def added(folder: Folder, ids: Mapping[str, int]) -> dict[int, Token]:
    """The tokens that were added, and those that the settings give a role."""
    # A text that the vocabulary has keeps the id that it has there.
    found = {ids.get(one.text, number): token(one) for number, one in folder.added.items()}
    contents = {one.text for one in folder.added.values()}
    for text in stated(folder).values():
        if text in ids and text not in contents:
            found[ids[text]] = token(Added(text, special=True))
    return found


def token(one: Added) -> Token:
    """An added token as GGUF has it."""
    if one.special or looks_special(one.text):
        return Token(one.text, Type.CONTROL, ADDED_SCORE)
    return Token(one.text.replace("▁", " "), Type.USER_DEFINED, ADDED_SCORE)


def looks_special(text: str) -> bool:
    """Would llama.cpp's converter call it a control token?"""
    return text in CONTROLS or any(
        text.startswith(begin) and text.endswith(end) for begin, end in AROUND
    )


def merges(folder: Folder) -> list[str]:
    """The pairs that become one, the first that does so first. Raises ``DamagedFile``."""
    if not folder.tokenizer:
        lines = folder.lines("merges.txt") if folder.has("merges.txt") else []
        begin = 1 if lines and lines[0].startswith("#version") else 0
        return [_joined(line.split(" "), folder) for line in lines[begin:] if line.strip()]
    stated = folder.model.get("merges")
    return [
        _joined(merge.split(" ") if isinstance(merge, str) else merge, folder)
        for merge in (stated if isinstance(stated, list) else ())
    ]


def _joined(merge: Any, folder: Folder) -> str:
    """GGUF puts a space between the two parts, so one inside is written as its letter."""
    sound = isinstance(merge, list) and len(merge) == 2
    if not sound or not all(isinstance(part, str) and part for part in merge):
        raise damaged(folder.path, f"{str(merge)[:99]!r} is no merge of two tokens")
    return " ".join(part.replace(" ", "Ġ") for part in merge)
