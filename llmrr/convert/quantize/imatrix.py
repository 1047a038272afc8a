"""Importance matrices: how large the inputs of each matrix are on average, column by column.

Two formats, as ``tools/imatrix`` of llama.cpp writes and ``common/imatrix-loader.cpp`` reads them:
GGUF files of the type ``imatrix`` (``NAME.in_sum2``, sums of squares, and ``NAME.counts``, both
F32), and the older binary one (``.dat``), which has no magic number.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr.errors import DamagedFile
from llmrr.formats.gguf_header import Header, TensorInfo
from llmrr.formats.gguf_reader import MAGIC, read_header
from llmrr.formats.source import FileSource

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float32]]
else:
    Floats = Any

SUMS, COUNTS = ".in_sum2", ".counts"
DATASETS, CHUNKS, CHUNK_SIZE = "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"
MAX_ENTRIES, MAX_NAME, MAX_DATASET = 1 << 20, 1 << 10, 1 << 16  # of the older format
_MEND = "compute it again: --calibrate TEXT, or llama-imatrix"


@dataclass(frozen=True, slots=True)
class Entry:
    """One matrix: sums of squares, (experts, columns), and over how many tokens, (experts,) or one
    for all of them. float32 both."""

    sums: Floats
    counts: Floats

    def weights(self) -> Floats:
        """Means of squares, flat, as llama.cpp wants them; 1 where an expert was never used."""
        import numpy as np

        counts = self.counts[:, None]
        sums = self.sums.reshape(len(self.counts), -1)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), np.float32(1))
        return np.ascontiguousarray(means, np.float32).reshape(-1)


@dataclass(frozen=True, slots=True)
class Imatrix:
    """``entries`` by the name of the tensor; ``chunks`` of ``chunk_size`` tokens of the texts
    ``datasets``. Zero and empty where the file does not say it."""

    entries: Mapping[str, Entry]
    datasets: tuple[str, ...] = ()
    chunks: int = 0
    chunk_size: int = 0

    def weights(self) -> dict[str, Floats]:
        """The importances of each tensor's columns, expert after expert."""
        return {name: entry.weights() for name, entry in self.entries.items()}


def read(path: Path) -> Imatrix:
    """The matrix in ``path``, of either format.

    Raises ``NotFound``, and ``DamagedFile`` for what is none, is cut off or not finite.
    """
    source = FileSource.of(path)
    is_gguf = source.read(0, 4) == MAGIC
    found = _of_gguf(read_header(path)) if is_gguf else _of_legacy(source)
    if not found.entries:
        raise _damaged(source, "there is no matrix in it")
    for name, entry in found.entries.items():
        _check(source, name, entry)
    return found


def _check(source: FileSource, name: str, entry: Entry) -> None:
    import numpy as np

    if entry.sums.size == 0 or entry.counts.size == 0 or entry.sums.size % entry.counts.size:
        raise _damaged(source, f"{name} has {entry.sums.size} sums and {entry.counts.size} counts")
    if not (np.isfinite(entry.sums).all() and np.isfinite(entry.counts).all()):
        raise _damaged(source, f"{name} has numbers that are not finite")
    if (entry.sums < 0).any() or (entry.counts < 0).any():
        raise _damaged(source, f"{name} has sums of squares below zero")


def _of_gguf(header: Header) -> Imatrix:
    source, entries = header.source, {}
    if (kind := header.text("general.type")) not in (None, "imatrix"):
        raise _damaged(source, f"it is a GGUF file of the type {kind}")
    named = {tensor.name: tensor for tensor in header.tensors}
    if not any(name.endswith(SUMS) for name in named):
        raise _damaged(source, "it is a GGUF file without any .in_sum2")
    for name, tensor in named.items():
        if not name.endswith(SUMS):
            continue
        stem = name.removesuffix(SUMS)
        if (counts := named.get(stem + COUNTS)) is None:
            raise _damaged(source, f"{name} has no {stem}{COUNTS} with it")
        entries[stem] = Entry(_floats(header, tensor), _floats(header, counts))
    datasets = tuple(text.decode(errors="replace") for text in header.strings(DATASETS) or ())
    chunks, size = header.integer(CHUNKS) or 0, header.integer(CHUNK_SIZE) or 0
    return Imatrix(entries, datasets, chunks, size)


def _floats(header: Header, tensor: TensorInfo) -> Floats:
    import numpy as np

    if tensor.type_name != "F32":
        raise _damaged(header.source, f"{tensor.name} has the type {tensor.type_name}, not F32")
    start = header.data_offset + tensor.offset
    if start + tensor.bytes > header.source.size:
        raise _damaged(header.source, f"{tensor.name} reaches beyond its end")
    return np.frombuffer(header.source.read(start, tensor.bytes), np.dtype("<f4"))


def _of_legacy(source: FileSource) -> Imatrix:
    """Entries of (name, calls, means times calls), then calls and the name of the text."""
    import numpy as np

    reader = _Reader(source)
    entries = {}
    for number in range(reader.count("matrices", MAX_ENTRIES, least=1)):
        name = reader.text(f"the name of matrix {number + 1}", MAX_NAME)
        calls = reader.i32()
        values = np.frombuffer(reader.take(4 * reader.count(f"numbers of {name}")), "<f4")
        # Already divided by the tokens, multiplied by the calls: one of 0 counts as one.
        entries[name] = Entry(values, np.array([max(calls, 1)], np.float32))
    if reader.left < 4:
        return Imatrix(entries)
    chunks = max(reader.i32(), 0)
    named = reader.left >= 4
    text = reader.text("the name of its text", MAX_DATASET, least=0) if named else ""
    return Imatrix(entries, (text,) if text else (), chunks)


class _Reader:
    """Reads the older format from its start to its end, which nothing may reach beyond."""

    def __init__(self, source: FileSource) -> None:
        self.source, self.at = source, 0

    @property
    def left(self) -> int:
        return self.source.size - self.at

    def take(self, length: int) -> bytes:
        if length > self.left:
            raise _damaged(self.source, f"it ends {length - self.left} bytes too early")
        raw = self.source.read(self.at, length)
        if len(raw) != length:
            raise _damaged(self.source, "it became shorter while it was read")
        self.at += length
        return raw

    def i32(self) -> int:
        (value,) = struct.unpack("<i", self.take(4))
        return int(value)

    def count(self, what: str, most: int = 2**31, *, least: int = 1) -> int:
        value = self.i32()
        if not least <= value <= most:
            raise _damaged(self.source, f"it claims {value} {what}")
        return value

    def text(self, what: str, most: int, *, least: int = 1) -> str:
        raw = self.take(self.count(f"bytes for {what}", most, least=least))
        try:
            return raw.decode()
        except UnicodeDecodeError as exc:
            raise _damaged(self.source, f"{what} is not UTF-8") from exc


def write(path: Path, matrix: Imatrix) -> None:
    """Write ``matrix`` as a GGUF file, under its name only when it is whole.

    llama-imatrix and llama-quantize read it.
    """
    import gguf

    partial = path.with_name(path.name + ".partial")
    writer = gguf.GGUFWriter(partial, "")
    writer.kv_data[0].clear()  # an architecture that nobody asked for
    writer.add_type("imatrix")
    writer.add_array(DATASETS, list(matrix.datasets) or [""])
    writer.add_uint32(CHUNKS, matrix.chunks)
    writer.add_uint32(CHUNK_SIZE, matrix.chunk_size)
    for name, entry in sorted(matrix.entries.items()):
        writer.add_tensor(name + SUMS, entry.sums.reshape(len(entry.counts), -1))
        writer.add_tensor(name + COUNTS, entry.counts.reshape(-1, 1))
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def metadata(matrix: Imatrix, file: str | None) -> dict[str, int | str]:
    """What llama-quantize notes in the result about the matrix that it used."""
    noted: dict[str, int | str] = {"quantize.imatrix.file": file} if file else {}
    if matrix.datasets:
        noted["quantize.imatrix.dataset"] = matrix.datasets[0]
    noted["quantize.imatrix.entries_count"] = len(matrix.entries)
    if matrix.chunks > 0:
        noted["quantize.imatrix.chunks_count"] = matrix.chunks
    return noted


def _damaged(source: object, why: str) -> DamagedFile:
    return DamagedFile(f"{source} is no importance matrix, or is damaged: {why}", _MEND)
