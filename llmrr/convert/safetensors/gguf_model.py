"""A GGUF file as the model of transformers that it was made from: what its tensors are put together
from, and its rows as numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmrr import formats
from llmrr.convert.gguf.encoding import floats
from llmrr.convert.gguf.entry import Entry, Rule, dimensions
from llmrr.convert.gguf.planning import instances, shape_of, shown
from llmrr.convert.gguf.settings import Values
from llmrr.convert.safetensors import rebuilt_config, tokenizer
from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats import gguf
from llmrr.formats.gguf_header import Header, TensorInfo
from llmrr.formats.messages import damaged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

UNPREFIXED: Final = ("lm_head.", "embed_out.")
CHUNK: Final = 1 << 22  # numbers that are dequantized at once


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a tensor of transformers: what ``rule`` makes the tensor ``target`` of the file of;
    ``expert`` where it is one of several that the file has stacked."""

    rule: Rule
    target: str
    expert: int | None


class Model:
    """A GGUF file with the configuration that it stands for."""

    def __init__(self, path: Path) -> None:
        """Raises ``Unsupported`` for an architecture, tokenizer or type that is not rebuilt."""
        self.headers = [gguf.read_header(one) for one in gguf.part_paths(formats.locate(path).path)]
        self.header = self.headers[0]
        self.there: dict[str, tuple[Header, TensorInfo]] = {
            one.name: (header, one) for header in self.headers for one in header.tensors
        }
        names = frozenset(self.there)
        self.entry, self.config = rebuilt_config.rebuild(self.header, names)
        self.values = Values(
            self.config, self.header.where, self.entry.defaults, self.entry.aliases
        )
        self.vocabulary = tokenizer.read(self.header)
        tokenizer.require(self.vocabulary)
        _require_whole(self)
        self.pieces = _pieces(self.entry, self.values, names)

    def rows(self, target: str, expert: int | None = None) -> Iterator["Floats"]:
        """The rows of a tensor of the file, of the one expert, in single precision."""
        return _rows(self, target, expert)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor of transformers, rows first."""
        rule = self.pieces[name][0].rule
        return dimensions(rule.shape, self.entry.sizes(self.values))


def _require_whole(model: Model) -> None:
    """Raise ``DamagedFile`` for a tensor that is missing or has another shape than the metadata
    says."""
    sizes = model.entry.sizes(model.values)
    lacking: set[str] = set()
    for rule, target, sources in instances(model.entry, model.values, sizes):
        if target not in model.there:
            if rule.need(model.values):
                lacking.add(target)
            continue
        expected = shape_of(rule, len(sources), sizes, model.values)
        found = model.there[target][1].dims[::-1]
        if _without_ones(found) != _without_ones(expected):
            raise damaged(
                model.header.where,
                f"{target!r} has the shape {shown(found)}, where its metadata says "
                f"{shown(expected)}",
            )
    if lacking:
        raise damaged(
            model.header.where, f"it lacks {min(lacking)!r}, which {model.entry.classes[0]} has"
        )


def _without_ones(shape: tuple[int, ...]) -> list[int]:
    """What ggml tells shapes by."""
    return [one for one in shape if one != 1]


def _pieces(
    entry: Entry, values: Values, names: frozenset[str]
) -> dict[str, list[Piece]]:
    """The tensors of transformers, each with what of the file it is put together from."""
    found: dict[str, list[Piece]] = {}
    covered: set[str] = set()
    for rule, target, sources in instances(entry, values, entry.sizes(values)):
        if target in covered or target not in names:
            continue
        covered.add(target)
        stacked = "*" in rule.source
        for number, name in enumerate(sources):
            full = name if name.startswith(UNPREFIXED) else entry.prefixes[0] + name
            found.setdefault(full, []).append(Piece(rule, target, number if stacked else None))
    return found


def _rows(model: Model, target: str, expert: int | None) -> Iterator["Floats"]:
    """The rows of a tensor of the file, of the one expert, in single precision."""
    import numpy as np

    header, info = model.there[target]
    width = info.dims[0]
    count = info.elements // width
    first = 0
    if expert is not None:
        count //= info.dims[-1]
        first = expert * count
    row = info.bytes // (info.elements // width)
    start = header.data_offset + info.offset + first * row
    step = max(1, CHUNK // width)
    for at in range(0, count, step):
        number = min(step, count - at)
        raw = header.source.read(start + at * row, number * row)
        if len(raw) != number * row:
            raise DamagedFile(f"{header.where} became shorter while it was read")
        yield dequantized(np.frombuffer(raw, np.uint8).reshape(number, row), info, header.where)


def dequantized(raw: "NDArray[np.uint8]", info: TensorInfo, where: str) -> "Floats":
    """Rows of bytes of any type of GGUF as numbers. Raises ``Unsupported`` for a type that the
    library ``gguf`` has no table of."""
    import numpy as np
    from gguf import GGMLQuantizationType, quants

    if info.type_name == "BF16":
        return floats(raw.view("<u2"), "BF16")
    try:
        found = quants.dequantize(raw, GGMLQuantizationType(info.type))
    except (NotImplementedError, ValueError, KeyError) as exc:
        raise Unsupported(
            f"{where}: {info.name} is of the type {info.type_name}, which is not dequantized",
            "get the model's own repository from the hub",
        ) from exc
    return np.ascontiguousarray(found, np.float32)
