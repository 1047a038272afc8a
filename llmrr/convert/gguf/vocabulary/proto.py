"""A SentencePiece model, read from its protobuf.
https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto"""

import struct
from dataclasses import dataclass, replace
from typing import NamedTuple

from llmrr.convert.gguf.vocabulary.table import MAX_TOKENS
from llmrr.formats.messages import damaged
from llmrr.formats.protobuf import FIXED_32, Field, Reader, varint
from llmrr.formats.source import Source

MAX_MODEL = 64 << 20
MAX_PIECE = 1 << 16
UNIGRAM, BPE, WORD, CHAR = 1, 2, 3, 4
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


class Piece(NamedTuple):
    """One token: its text with ▁ for a space, its score, its type."""

    text: str
    score: float
    type: int


@dataclass(frozen=True, slots=True)
class Model:
    """A model's pieces by id, and how texts are prepared for it."""

    pieces: tuple[Piece, ...] = ()
    kind: int = UNIGRAM
    byte_fallback: bool = False
    suffix: bool = False
    charsmap: bytes = b""
    dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True


def read_model(source: Source) -> Model:
    """What ``source`` holds. Raises ``DamagedFile``."""
    if source.size > MAX_MODEL:
        raise damaged(source, f"it has {source.size} bytes, where {MAX_MODEL} are allowed")
    reader, model = Reader(source, MAX_TOKENS), Model()
    pieces: list[Piece] = []
    for field in reader.fields(0, source.size):
        if field.number == 1:
            pieces.append(_piece(reader.bytes(field, MAX_PIECE), source))
        elif field.number == 2:
            model = _trainer(reader, field, model)
        elif field.number == 3:
            model = _normalizer(reader, field, model)
    if not pieces:
        raise damaged(source, "it holds no pieces")
    return replace(model, pieces=tuple(pieces))


def _piece(raw: bytes, source: Source) -> Piece:
    """There may be a quarter of a million of them, so this goes over the bytes itself."""
    text, score, kind, at = b"", 0.0, NORMAL, 0
    while at < len(raw):
        tag, value = raw[at], 0
        if tag == 0x15 and at + 5 <= len(raw):
            (score,) = struct.unpack_from("<f", raw, at + 1)
            at += 5
            continue
        value, after = varint(raw, at + 1)
        if tag == 0x0A:
            text = raw[after : after + value]
            after += value
        elif tag == 0x18:
            kind = value
        elif tag & 7 == 2:
            after += value
        elif tag & 7 or tag >= 128:
            raise damaged(source, f"a piece has a field of the kind {tag}")
        at = after
    if at > len(raw) or not NORMAL <= kind <= BYTE:
        raise damaged(source, f"the piece {text[:99]!r} is cut off or of the type {kind}")
    try:
        return Piece(text.decode(), score, kind)
    except UnicodeDecodeError as exc:
        raise damaged(source, f"the piece {text[:99]!r} is not UTF-8") from exc


def _trainer(reader: Reader, message: Field, model: Model) -> Model:
    for field in reader.fields(message.offset, message.offset + message.length):
        if field.number == 3:
            model = replace(model, kind=field.value)
        elif field.number == 24:
            model = replace(model, suffix=bool(field.value))
        elif field.number == 35:
            model = replace(model, byte_fallback=bool(field.value))
    return model


def _normalizer(reader: Reader, message: Field, model: Model) -> Model:
    for field in reader.fields(message.offset, message.offset + message.length):
        if field.number == 2 and field.wire != FIXED_32:
            model = replace(model, charsmap=reader.bytes(field, MAX_MODEL))
        elif field.number == 3:
            model = replace(model, dummy_prefix=bool(field.value))
        elif field.number == 4:
            model = replace(model, remove_extra_whitespaces=bool(field.value))
    return model
