"""SentencePiece unigram: the most probable way to cut a text into pieces.

llama.cpp calls it t5. From tokenizer.json, which has the ids that the model knows, else from the
SentencePiece model.
"""

from base64 import b64decode
from binascii import Error
from typing import Any

from llmrr.convert.gguf.vocabulary import proto
from llmrr.convert.gguf.vocabulary.bytelevel import added
from llmrr.convert.gguf.vocabulary.folder import Folder
from llmrr.convert.gguf.vocabulary.spm import BYTE, prefixes, pretokens, put_added
from llmrr.convert.gguf.vocabulary.table import Token, Type
from llmrr.convert.gguf.vocabulary.wordpiece import flat
from llmrr.errors import Unsupported
from llmrr.formats.json_file import table
from llmrr.formats.messages import damaged

FAIRSEQ = (
    Token("<s>", Type.CONTROL), Token("<pad>", Type.CONTROL), Token("</s>", Type.CONTROL),
    Token("<unk>", Type.UNKNOWN),
)  # fmt: skip
SPACES = (" {2,}", "  +", r"\s{2,}", r"\s+")


def from_model(folder: Folder, model: proto.Model) -> tuple[dict[int, Token], dict[str, Any]]:
    """The tokens of a SentencePiece model with what was added to it, and the keys besides.

    XLM-RoBERTa's numbers are those of fairseq: four tokens first, then the pieces from the fourth
    on, then the mask. Raises ``Unsupported`` for what llama.cpp cannot do.
    """
    if model.suffix:
        raise Unsupported(
            f"the tokenizer of {folder.path} writes spaces after words, and llama.cpp before them",
            "convert it --to onnx, which keeps the tokenizer as it is",
        )
    tokens = {
        number: Token(one.text, Type(one.type), one.score)
        for number, one in enumerate(model.pieces)
    }
    if _is_fairseq(folder):
        pieces = [tokens[number] for number in range(3, len(tokens))]
        tokens = dict(enumerate((*FAIRSEQ, *pieces, Token("<mask>", Type.CONTROL))))
    unknown = next((number for number, one in tokens.items() if one.type is Type.UNKNOWN), None)
    put_added(tokens, folder, {one.text: number for number, one in tokens.items()})
    return tokens, _keys(
        folder, tokens, unknown, model.dummy_prefix, model.remove_extra_whitespaces, model.charsmap
    )


def _is_fairseq(folder: Folder) -> bool:
    name = folder.stated.get("tokenizer_class")
    if isinstance(name, str):
        return name.startswith("XLMRoberta")
    return folder.has("sentencepiece.bpe.model")


def from_json(folder: Folder) -> tuple[dict[int, Token], dict[str, Any]]:
    """The same from tokenizer.json. Raises ``DamagedFile``."""
    pieces = folder.model.get("vocab")
    tokens: dict[int, Token] = {}
    for number, one in enumerate(pieces if isinstance(pieces, list) else ()):
        if not (isinstance(one, list) and len(one) == 2 and isinstance(one[0], str)
                and isinstance(one[1], int | float)):  # fmt: skip
            raise damaged(folder.path, f"the piece {number} is {str(one)[:99]}")
        kind = Type.BYTE if BYTE.fullmatch(one[0]) else Type.NORMAL
        tokens[number] = Token(one[0], kind, float(one[1]))
    unknown = folder.model.get("unk_id")
    unknown = unknown if type(unknown) is int and unknown in tokens else None
    for number, token in added(folder, {one.text: n for n, one in tokens.items()}).items():
        score = tokens[number].score if number in tokens else token.score
        tokens[number] = token._replace(score=score)
    steps = pretokens(table(folder.tokenizer, "pre_tokenizer"))
    merges = any(one.get("type") == "WhitespaceSplit" for one in steps) or any(
        _joins_spaces(one) for one in flat(table(folder.tokenizer, "normalizer"))
    )
    return tokens, _keys(folder, tokens, unknown, prefixes(folder), merges, _charsmap(folder))


def _joins_spaces(step: Any) -> bool:
    return step.get("type") == "Replace" and table(step, "pattern").get("Regex") in SPACES


def _charsmap(folder: Folder) -> bytes:
    """The table of characters that are written otherwise, compiled by SentencePiece."""
    for one in flat(table(folder.tokenizer, "normalizer")):
        stated = one.get("precompiled_charsmap")
        if one.get("type") == "Precompiled" and isinstance(stated, str):
            try:
                return b64decode(stated, validate=True)
            except Error as exc:
                raise damaged(folder.path, f"its precompiled_charsmap is no base64: {exc}") from exc
    return b""


def _keys(
    folder: Folder,
    tokens: dict[int, Token],
    unknown: int | None,
    prefix: bool,
    merges: bool,
    charsmap: bytes,
) -> dict[str, Any]:
    if unknown is None:
        raise Unsupported(
            f"the vocabulary of {folder.path} has no token for what it does not know, which"
            " llama.cpp needs",
            "convert it --to onnx, which keeps the tokenizer as it is",
        )
    tokens[unknown] = tokens[unknown]._replace(type=Type.UNKNOWN)
    if charsmap and not _is_sound(charsmap):
        raise damaged(folder.path, "its precompiled_charsmap is cut off")
    keys = {"model": "t5", "pre": "default", "add_space_prefix": prefix,
            "remove_extra_whitespaces": merges, "unknown_token_id": unknown}  # fmt: skip
    return keys | ({"precompiled_charsmap": charsmap} if charsmap else {})


def _is_sound(charsmap: bytes) -> bool:
    """A length, that many bytes of a trie, then texts that each end in a zero: llama.cpp ends the
    process where it reads beyond them."""
    trie = int.from_bytes(charsmap[:4], "little")
    return len(charsmap) > trie + 4 and trie % 4 == 0 and charsmap[-1] == 0
