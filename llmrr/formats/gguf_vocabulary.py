"""Checks of a GGUF file's vocabulary, whose mistakes llama.cpp meets with an abort while loading,
or much later, while it tokenizes a text."""

import re
from collections.abc import Iterable

from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats.gguf_header import Array, Header
from llmrr.formats.gguf_types import STRING

# The default bos and eos of each tokenizer in src/llama-vocab.cpp, and whether bos is put before a
# text (None: the pre-tokenizer decides).
TOKENIZERS: dict[str, tuple[int | None, int | None, bool | None]] = {
    "llama": (1, 2, True),
    "bert": (101, None, True),
    "gpt2": (11, 11, None),
    "hybriddna": (11, 11, None),
    "whitespace": (11, 11, None),
    "gemma4": (None, None, True),
    "t5": (None, 1, False),
    "rwkv": (None, None, False),
    "plamo2": (1, 2, None),
}
INTEGER, FLOAT = 5, 6
BYTE_TOKEN = 6
RWKV_UNIT = re.compile(rb"\\x([0-9a-fA-F]{2})|\\.|[^\\]", re.DOTALL)
RWKV_ESCAPES = {b"\\t": 9, b"\\n": 10, b"\\r": 13}
STRICT = ("bos", "eos", "eot", "eom")


def check_vocabulary(header: Header) -> None:
    """Raise ``DamagedFile`` or ``Unsupported`` for a vocabulary that llama.cpp should not see."""
    model = header.text("tokenizer.ggml.model")
    if model in (None, "no_vocab", "none"):
        raise Unsupported(
            f"{header.where} has no tokenizer, so it cannot read a text",
            "get another conversion of the model",
        )
    if model not in TOKENIZERS:
        raise Unsupported(
            f"{header.where} has the tokenizer {model!r}, which llama.cpp does not know",
            "get another conversion of the model",
        )
    tokens = _table(header, "tokens", (STRING,), None)
    if not tokens:
        raise _damaged(header, "its vocabulary is empty (tokenizer.ggml.tokens)")
    _table(header, "scores", (FLOAT, INTEGER), tokens)
    _table(header, "token_type", (INTEGER,), tokens)
    _table(header, "merges", (STRING,), None)
    _special(header, model, tokens)
    _texts(header, model)


def _table(header: Header, name: str, kinds: tuple[int, ...], count: int | None) -> int:
    """How many items the table ``name`` has; it may be missing unless it is the tokens."""
    table = header.metadata.get("tokenizer.ggml." + name)
    if table is None:
        return 0
    if not isinstance(table, Array) or table.kind not in kinds:
        raise _damaged(header, f"its tokenizer.ggml.{name} is not a list of the right kind")
    if count is not None and table.count != count:
        raise _damaged(header, f"it has {count} tokens and {table.count} {name} of them")
    return table.count


def _special(header: Header, model: str, tokens: int) -> None:
    for role in STRICT:
        token = header.integer(f"tokenizer.ggml.{role}_token_id")
        if token is not None and token >= tokens and token != 2**32 - 1:
            raise _damaged(header, f"its {role} token is {token}, and it has {tokens} tokens")
    default_bos, default_eos, adds = TOKENIZERS[model]
    adds_bos = header.metadata.get("tokenizer.ggml.add_bos_token", adds)
    if adds_bos is not False and _missing(header, "bos", default_bos, tokens):
        raise _damaged(header, "texts begin with a bos token, and it has none")
    adds_eos = header.metadata.get("tokenizer.ggml.add_eos_token", model == "t5")
    if adds_eos is True and _missing(header, "eos", default_eos, tokens):
        raise _damaged(header, "texts end with an eos token, and it has none")
    if model == "bert" and _missing(header, "seperator", 102, tokens):
        raise _damaged(header, "texts end with a separator token, and it has none")


def _missing(header: Header, role: str, default: int | None, tokens: int) -> bool:
    token = header.integer(f"tokenizer.ggml.{role}_token_id")
    if token is not None and token < tokens:
        return False
    return default is None or default >= tokens


def _texts(header: Header, model: str) -> None:
    """llama.cpp asserts that no two tokens are the same text, and takes a text up to its first
    zero byte; its SentencePiece tokenizer needs a token for every byte."""
    texts = header.strings("tokenizer.ggml.tokens") or []
    distinct = set(texts)
    if len(distinct) != len(texts) or b"\0" in b"".join(texts) or b"" in distinct:
        distinct = {
            text.split(b"\0", 1)[0] or b"[EMPTY_%d]" % number for number, text in enumerate(texts)
        }
        if len(distinct) != len(texts):
            raise _damaged(header, "its vocabulary has the same token twice")
    if model == "llama":
        for byte in range(256):
            if b"<0x%02X>" % byte not in distinct and bytes((byte,)) not in distinct:
                raise _damaged(header, f"its vocabulary has no token for the byte {byte}")
    if model == "rwkv" and (endless := _unfinished_byte(texts)) is not None:
        raise _damaged(header, f"its tokenizer cannot get past the byte {endless}")
    if model == "bert" and BYTE_TOKEN in (header.values("tokenizer.ggml.token_type") or ()):
        raise _damaged(header, "its vocabulary has byte tokens, which its tokenizer does not know")


def _unfinished_byte(texts: Iterable[bytes]) -> int | None:
    """A byte that begins a token of an RWKV vocabulary and is none itself: there llama.cpp's
    longest match starts again at the beginning, for ever."""
    begins, whole = set(), set()
    for text in texts:
        unit = RWKV_UNIT.match(text)
        if unit:
            byte = int(unit[1], 16) if unit[1] else RWKV_ESCAPES.get(unit[0], unit[0][-1])
            begins.add(byte)
            if unit.end() == len(text):
                whole.add(byte)
    return min(begins - whole, default=None)


def _damaged(header: Header, why: str) -> DamagedFile:
    return DamagedFile(f"{header.where} is damaged: {why}", "copy or download the file again")
