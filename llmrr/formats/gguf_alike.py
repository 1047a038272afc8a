"""The header of one quantization from that of another: what differs is the table of tensors, which
is a hundredth of a header with a large vocabulary. For files that lie elsewhere."""

import struct
from dataclasses import replace

from llmrr.formats.gguf_header import Header, TensorInfo
from llmrr.formats.gguf_reader import MAX_DIMENSIONS
from llmrr.formats.source import Source

SLACK = 64 << 10  # bytes by which their other metadata may differ in length


def read_alike(source: Source, known: Header) -> Header | None:
    """The header of the GGUF file ``source``, a quantization of the same model as ``known``: its
    own tensors with the metadata of ``known``. None when they are not so alike."""
    count = len(known.tensors)
    if not count or source.read(0, 16) != b"GGUF" + struct.pack("<IQ", known.version, count):
        return None
    table = sum(24 + len(tensor.name.encode()) + 8 * len(tensor.dims) for tensor in known.tensors)
    begin = max(0, known.data_offset - table - SLACK)
    window = source.read(begin, table + 2 * SLACK)
    found = window.find(_name(known.tensors[0].name))
    tensors = _tensors(window, found, known) if found >= 0 else None
    if tensors is None:
        return None
    read, end = tensors
    start = -(-(begin + end) // known.alignment) * known.alignment
    last = read[-1]
    if start + last.offset + last.bytes > source.size:
        return None
    return replace(known, source=source, tensors=read, data_offset=start)


def _name(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _tensors(
    window: bytes, at: int, known: Header
) -> tuple[tuple[TensorInfo, ...], int] | None:
    """The table that begins ``at``, if it has the tensors of ``known`` in their order, and where it
    ends."""
    found = []
    for tensor in known.tensors:
        name = _name(tensor.name)
        if window[at : at + len(name)] != name:
            return None
        at += len(name)
        size = 4 + 8 * len(tensor.dims) + 12
        if len(tensor.dims) > MAX_DIMENSIONS or at + size > len(window):
            return None
        count, *dims, kind, offset = struct.unpack_from(f"<I{len(tensor.dims)}QIQ", window, at)
        if count != len(tensor.dims) or tuple(dims) != tensor.dims:
            return None
        found.append(TensorInfo(tensor.name, tensor.dims, kind, offset))
        at += size
    return tuple(found), at
