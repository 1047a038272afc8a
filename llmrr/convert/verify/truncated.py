"""The first layers of a GGUF file as a file of their own, for a check that runs only them.

Metadata and tensors are copied as they are, by ranges; what counts layers, or has an entry for each
of them, is cut, and so is the vocabulary where that is asked for. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from llmrr.formats.gguf_header import Array, Header, Scalar, TensorInfo
from llmrr.formats.gguf_types import ARRAY, SCALARS, STRING, UINT32

PIECE: Final = 8 << 20  # bytes that are copied at once
BY_TOKEN: Final = ("token_embd.weight", "output.weight", "output.bias")  # a row for each token


def write_first_layers(
    parts: Sequence[Header],
    target: Path,
    layers: int,
    replaced: Mapping[str, Scalar],
    tokens: int | None = None,
) -> None:
    """Write the model of ``parts``, the headers of its files, with its first ``layers`` only.
    ``replaced`` are values that take the place of those in its metadata. With ``tokens`` it keeps
    the rows of its first tokens only, and nothing of its tokenizer."""
    first = parts[0]
    architecture = first.text("general.architecture")
    replaced = {f"{architecture}.block_count": layers, **replaced}
    kept = [(part, one) for part in parts for one in part.tensors if _is_kept(one, layers)]
    keys = [key for key in first.metadata if not key.startswith("split.")]
    added: dict[str, tuple[int, Scalar]] = {}
    if tokens is not None:
        kept = [(part, _with_rows(one, tokens)) for part, one in kept]
        size = f"{architecture}.vocab_size"
        keys = [key for key in keys if not key.startswith("tokenizer.") and key != size]
        added = {"tokenizer.ggml.model": (STRING, "none"), size: (UINT32, tokens)}
    with target.open("wb") as given:
        given.write(struct.pack("<4sIQQ", b"GGUF", 3, len(kept), len(keys) + len(added)))
        for key in keys:
            given.write(_text(key.encode()))
            value = replaced.get(key, first.metadata[key])
            _write_value(first, given, first.kinds[key], value, _cut(first, key, layers))
        for key, (kind, value) in added.items():
            given.write(_text(key.encode()))
            _write_value(first, given, kind, value, None)
        given.writelines(_table([one for _, one in kept], first.alignment))
        for part, tensor in kept:
            _pad(given, first.alignment)
            _copy(part, given, part.data_offset + tensor.offset, tensor.bytes)
        _pad(given, first.alignment)


def _is_kept(tensor: TensorInfo, layers: int) -> bool:
    return tensor.layer is None or tensor.layer < layers


def _with_rows(tensor: TensorInfo, tokens: int) -> TensorInfo:
    if tensor.name not in BY_TOKEN:
        return tensor
    return replace(tensor, dims=(*tensor.dims[:-1], min(tokens, tensor.dims[-1])))


def _cut(header: Header, key: str, layers: int) -> int | None:
    """How many items remain of an array that has one for each layer."""
    architecture = header.text("general.architecture")
    value = header.metadata[key]
    each = isinstance(value, Array) and value.count == header.integer(f"{architecture}.block_count")
    own = key.startswith(f"{architecture}.") and not key.endswith(".dimension_sections")
    return layers if each and own else None


def _write_value(
    header: Header, given: BinaryIO, kind: int, value: Scalar | Array, cut: int | None
) -> None:
    given.write(struct.pack("<I", kind))
    if isinstance(value, Array):
        count, end = value.count, value.end
        if kind == ARRAY:
            if cut is not None and value.kind in SCALARS:
                count, end = cut, value.offset + cut * SCALARS[value.kind].size
            given.write(struct.pack("<I", value.kind))
        given.write(struct.pack("<Q", count))  # of items; of bytes where it is a long text
        _copy(header, given, value.offset, end - value.offset)
    elif kind == STRING:
        given.write(_text(str(value).encode()))
    else:
        given.write(SCALARS[kind].pack(value))


def _table(tensors: list[TensorInfo], alignment: int) -> Iterator[bytes]:
    offset = 0
    for one in tensors:
        dims = struct.pack(f"<I{len(one.dims)}Q", len(one.dims), *one.dims)
        yield _text(one.name.encode()) + dims + struct.pack("<IQ", one.type, offset)
        offset += -(-one.bytes // alignment) * alignment


def _text(raw: bytes) -> bytes:
    return struct.pack("<Q", len(raw)) + raw


def _pad(file: BinaryIO, alignment: int) -> None:
    file.write(bytes(-file.tell() % alignment))


def _copy(header: Header, given: BinaryIO, offset: int, length: int) -> None:
    for start in range(offset, offset + length, PIECE):
        given.write(header.source.read(start, min(PIECE, offset + length - start)))
