"""From GGUF: weights dequantized and put back into the order of transformers, with config.json and
the tokenizer rebuilt. The rules of the table of architectures are followed backwards, and forwards
again to check the result."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr import formats
from llmrr.convert.base import Check, Source, Step, Told, Wish
from llmrr.convert.gguf.encoding import pack
from llmrr.convert.gguf.entry import Entry, Rule, add_one, dimensions
from llmrr.convert.gguf.planning import instances
from llmrr.convert.gguf.settings import Values
from llmrr.convert.quantize import dequantize
from llmrr.convert.safetensors import comparing, complete, rebuilt_config, tokenizer, writer
from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats import gguf
from llmrr.formats.gguf_header import Header, TensorInfo
from llmrr.formats.tensors import BITS, Tensor
from llmrr.types import Format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

TITLE: Final = "GGUF → safetensors"
BYTES_PER_SECOND: Final = 150e6  # of the result, from Q4_K: measured on two cores
SHARD: Final = 5 * 10**9  # bytes, as save_pretrained divides a model
KINDS: Final = {"f32": "F32", "f16": "F16", "bf16": "BF16"}
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
        _require_types(self.header, (one for _, one in self.there.values()))
        self.entry, self.config = rebuilt_config.rebuild(self.header, names)
        self.values = Values(
            self.config, self.header.where, self.entry.defaults, self.entry.aliases
        )
        self.vocabulary = tokenizer.read(self.header)
        tokenizer.require(self.vocabulary)
        shapes = {name: one.dims[::-1] for name, (_, one) in self.there.items()}
        complete.require(self.entry, self.values, shapes, self.header.where)
        self.pieces = _pieces(self.entry, self.values, names)

    def rows(self, target: str) -> Iterator["Floats"]:
        """The rows of a tensor of the file, in single precision."""
        return _rows(self, target, None)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor of transformers, rows first."""
        rule = self.pieces[name][0].rule
        return dimensions(rule.shape, self.entry.sizes(self.values))


def step(source: Source, wish: Wish) -> Step:
    """Plan it. Raises ``Unsupported``."""
    model = Model(source.path)
    kind = _kind(model, wish.quant.lower())
    tensors = _tensors(model, kind)
    size = sum(one.bytes for one in tensors)

    def work(path: Path, target: Path, told: Told) -> None:
        target.mkdir()
        found = Model(path)
        _write_settings(found, kind, target)
        _write(found, tensors, target, told, verified=wish.verify)

    return Step(
        title=TITLE,
        format=Format.SAFETENSORS,
        is_folder=True,
        bytes=size,
        memory_bytes=8 * max((math.prod(one.shape) for one in _whole(model, tensors)), default=0)
        + 8 * CHUNK,
        seconds=size / BYTES_PER_SECOND,
        work=work,
        verify=lambda path, target, told: _verify(path, target, told),
        quant=kind.lower(),
        tensors=tensors,
    )


def _pieces(
    entry: Entry, values: Values, names: frozenset[str]
) -> dict[str, list[Piece]]:
    """The tensors of transformers, each with what of the file it is put together from."""
    found: dict[str, list[Piece]] = {}
    covered: set[str] = set()
    all_ = list(instances(entry, values, entry.sizes(values)))
    needed = {target for rule, target, _ in all_ if rule.need(values)}
    for rule, target, sources in all_:
        if target in covered or target not in names:
            continue
        if target in needed and not rule.need(values):
            continue  # another rule of it is the one of this configuration
        covered.add(target)
        stacked = "*" in rule.source
        for number, name in enumerate(sources):
            full = name if name.startswith(UNPREFIXED) else entry.prefixes[0] + name
            found.setdefault(full, []).append(Piece(rule, target, number if stacked else None))
    return found


def _kind(model: Model, wanted: str) -> str:
    """The type that matrices are written in: as stated, else that of most of the file, and single
    numbers of half precision for what was quantized."""
    if wanted != "auto":
        return KINDS[wanted]
    sizes: dict[str, int] = {}
    for _, one in model.there.values():
        sizes[one.type_name] = sizes.get(one.type_name, 0) + one.elements
    most = max(sizes, key=lambda name: sizes[name])
    return most if most in KINDS.values() else "F16"


def _tensors(model: Model, kind: str) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name, one, shape, math.prod(shape) * BITS[one] // 8)
        for name in model.pieces
        for shape in [model.shape(name)]
        for one in ["F32" if len(shape) == 1 and kind != "BF16" else kind]
    )


def _whole(model: Model, tensors: Sequence[Tensor]) -> Iterator[Tensor]:
    """Those that are put together in memory."""
    return (one for one in tensors if not _streams(model.pieces[one.name], one.shape))


def _streams(pieces: Sequence[Piece], shape: tuple[int, ...]) -> bool:
    """Do the rows lie in the file as they are written?"""
    [first, *others] = pieces
    return not others and len(shape) <= 2 and first.rule.rows is None and not first.rule.transposed


def _write(
    model: Model, tensors: Sequence[Tensor], target: Path, told: Told, *, verified: bool
) -> None:
    metadata = {"format": "pt", "llmrr.verified": str(verified).lower()}
    shards = list(_shards(tensors))
    total, done = sum(one.bytes for one in tensors), 0
    where: dict[str, str] = {}
    for number, shard in enumerate(shards):
        name = writer.shard_name(number, len(shards))
        with writer.writing(target / name, shard, metadata) as out:
            for one in shard:
                for numbers in _numbers(model, one):
                    packed = pack(numbers.reshape(1, -1), one.type)
                    _require_finite(packed, one)
                    writer.put(out, packed)
                where[one.name] = name
                done += one.bytes
                told("writing", done, total)
    writer.write_index(target, where, total, len(shards))


def _shards(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    shard: list[Tensor] = []
    size = 0
    for one in tensors:
        if shard and size + one.bytes > SHARD:
            yield shard
            shard, size = [], 0
        shard.append(one)
        size += one.bytes
    yield shard


def _numbers(model: Model, tensor: Tensor) -> Iterator["Floats"]:
    """The numbers of a tensor of transformers, in its order."""
    import numpy as np

    pieces = model.pieces[tensor.name]
    if _streams(pieces, tensor.shape):
        for part in _rows(model, pieces[0].target, pieces[0].expert):
            yield _undone(part, pieces[0].rule)
        return
    whole = np.zeros(tensor.shape, np.float32)
    for piece in pieces:
        matrices = np.concatenate([*_rows(model, piece.target, piece.expert)])
        _put(whole, _undone(matrices, piece.rule), piece.rule, model.values)
    yield whole


def _put(whole: "Floats", numbers: "Floats", rule: Rule, values: Values) -> None:
    """Put what the file has back where ``rule`` took it from."""
    if whole.ndim == 1:
        order = rule.rows(values, len(whole)) if rule.rows else slice(None)
        whole[order] = numbers.reshape(-1)
        return
    side = whole.swapaxes(-1, -2) if rule.transposed else whole
    order = rule.rows(values, side.shape[-2]) if rule.rows else slice(None)
    flat = side.reshape(-1, *side.shape[-2:]) if side.ndim > 2 else side[None]
    parts = numbers.reshape(flat.shape[0], -1, flat.shape[-1])
    for matrix, part in zip(flat, parts, strict=True):
        matrix[order] = part


def _undone(numbers: "Floats", rule: Rule) -> "Floats":
    import numpy as np

    if rule.change is None:
        return numbers
    if rule.change is add_one:
        return numbers - np.float32(1)
    raise Unsupported(f"what {rule.target} had done to it cannot be undone", "--to gguf")


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
        yield dequantized(np.frombuffer(raw, np.uint8).reshape(number, row), info)


def dequantized(raw: "NDArray[np.uint8]", info: TensorInfo) -> "Floats":
    """Rows of bytes of any type of GGUF as numbers."""
    import numpy as np

    return np.ascontiguousarray(dequantize.floats(raw, info.type_name), np.float32)


def _require_types(header: Header, tensors: Iterable[TensorInfo]) -> None:
    """Raise ``Unsupported`` for a type whose numbers nothing here can tell."""
    for one in {one.type_name: one for one in tensors}.values():
        if not dequantize.can_read(one.type_name):
            raise Unsupported(
                f"{header.where}: {one.name} is of the type {one.type_name},"
                " which is not dequantized",
                "get the model's own repository from the hub",
            )


def _require_finite(packed: "NDArray[Any]", tensor: Tensor) -> None:
    import numpy as np

    bits = {"F32": ("<u4", 0x7F800000), "F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80)}
    kind, limit = bits[tensor.type]
    if ((packed.view(kind) & np.array(limit, kind)) == limit).any():
        raise DamagedFile(
            f"{tensor.name} has numbers that are not finite, or too large for {tensor.type}",
            "--quant f32, or another file of the model",
        )


def _write_settings(model: Model, kind: str, target: Path) -> None:
    dtype = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[kind]
    config = {**model.config, "torch_dtype": dtype}
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tokenizer.write(model.vocabulary, target)
    generation = {
        key: value for key, value in model.config.items() if key.endswith("_token_id")
    }  # fmt: skip
    ends = [model.config.get("eos_token_id"), model.header.integer("tokenizer.ggml.eot_token_id")]
    known = [one for one in dict.fromkeys(ends) if one is not None]
    if len(known) > 1:
        generation["eos_token_id"] = known
    (target / "generation_config.json").write_text(
        json.dumps(generation, indent=2) + "\n", encoding="utf-8"
    )


def _verify(path: Path, target: Path, told: Told) -> Sequence[Check]:
    from llmrr.convert.verify import structure, tokens

    file = formats.locate(path).path
    return [
        comparing.compare(Model(path), target, told),
        tokens.check(target, file, told),
        structure.check_rebuilt(file, target, told),
    ]
