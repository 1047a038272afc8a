"""What a job would make: the type of each tensor and the size of the file, from llama.cpp's own
dry run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llmrr.convert.quantize.job import Job
from llmrr.convert.quantize.process import Helper
from llmrr.convert.quantize.table import (
    IMPOSSIBLE_WITHOUT,
    NEVER_BLIND,
    QuantType,
    is_blind,
    is_quantized,
)
from llmrr.errors import DamagedFile, EngineFailed, Unsupported, UsageError
from llmrr.formats.gguf_header import Array, Header, TensorInfo
from llmrr.formats.gguf_types import SCALARS, STRING, TENSOR_TYPES

ALIGNMENT = 32  # GGUF_DEFAULT_ALIGNMENT: what llama.cpp writes, whatever the source had
FIXED_BYTES = 150 << 20  # of the helper: the interpreter, llama.cpp, the header
SPLIT = {"split.no": 2, "split.count": 2, "split.tensors.count": 4}  # key: bytes of its value
_SIZES = {name: (block, size) for name, block, size in TENSOR_TYPES.values()}


@dataclass(frozen=True, slots=True)
class Plan:
    """``types`` of the result's tensors by their names there; ``bytes`` of all its files."""

    types: Mapping[str, str]
    bytes: int


def plan(parts: Sequence[Header], job: Job, helper: Helper) -> Plan:
    """What ``job`` would make of the model in ``parts``, as ``helper`` finds out. Raises what
    llama.cpp refuses."""
    names = renamed(parts, job.prune)
    types: dict[str, str] = {}
    sources = {names[one.name]: one for part in parts for one in part.tensors if one.name in names}

    def note(words: list[object]) -> None:
        _, name, new = words
        if name not in sources:
            raise EngineFailed(f"llama.cpp would make {name}, which is not in {parts[0].where}")
        types[str(name)] = str(new) if new else sources[str(name)].type_name

    helper.run(replace(job, target=None, calibrate=None, save_imatrix=None, imatrix=None), note)
    if absent := sources.keys() - types.keys():
        raise EngineFailed(f"llama.cpp would leave out {min(absent)} of {parts[0].where}")
    return Plan(types, _bytes(parts, names, types, job))


def renamed(parts: Sequence[Header], prune: Sequence[int]) -> dict[str, str]:
    """The name in the result of each tensor that is kept: with some layers left out, those that
    follow get their numbers."""
    layers = sorted({one.layer for part in parts for one in part.tensors if one.layer is not None})
    kept = [layer for layer in layers if layer not in prune]
    numbers = dict(zip(kept, range(len(kept)), strict=True)) if prune else {}
    names = {}
    for tensor in (one for part in parts for one in part.tensors):
        if not prune or tensor.layer is None:
            names[tensor.name] = tensor.name
        elif tensor.layer in numbers:
            old, new = f"blk.{tensor.layer}.", f"blk.{numbers[tensor.layer]}."
            names[tensor.name] = tensor.name.replace(old, new, 1)
    return names


def check_requantizing(parts: Sequence[Header], job: Job, found: Plan) -> None:
    """Raise ``Unsupported`` where weights that are quantized already would be quantized again."""
    if job.allow_requantize or job.only_copy:
        return
    names = renamed(parts, job.prune)
    for tensor in (one for part in parts for one in part.tensors if one.name in names):
        new = found.types[names[tensor.name]]
        if is_quantized(tensor.type_name) and new != tensor.type_name:
            raise Unsupported(
                f"{parts[0].where} is already quantized: {tensor.name} is {tensor.type_name},"
                f" and would become {new}, with the errors of both",
                "quantize the F16, BF16 or F32 file of the model, or add --allow-requantize",
            )


def check_overrides(job: Job, kind: QuantType, found: Plan) -> None:
    """Raise ``UsageError`` for an override that would change nothing: a typing error, mostly."""
    import re

    if job.overrides and not is_quantized(kind.tensor):
        raise UsageError(
            f"types of single tensors have no effect with {kind.name}, which is not a quantization",
            "leave them out, or choose another --quant",
        )
    for pattern, _ in job.overrides:
        try:
            matcher = re.compile(pattern)
        except re.error:  # it may still be one for llama.cpp, which took it
            continue
        if not any(matcher.search(name) for name in found.types):
            example = next(iter(found.types))
            raise UsageError(
                f"no tensor has a name that {pattern!r} matches", f"names are like {example}"
            )


def check_imatrix(
    parts: Sequence[Header], job: Job, kind: QuantType, found: Plan, have: Mapping[str, int] | None
) -> None:
    """Raise ``Unsupported`` where llama.cpp would want an importance matrix of a tensor that
    ``have``, numbers by name, lacks; ``DamagedFile`` where it has another size than the tensor."""
    names = renamed(parts, job.prune)
    for tensor in (one for part in parts for one in part.tensors if one.name in names):
        new = found.types[names[tensor.name]]
        if new == tensor.type_name:
            continue
        wanted = _importances(tensor)
        given = (have or {}).get(tensor.name)
        if given is None and is_blind(names[tensor.name], new, kind):
            raise needs_imatrix(kind, f": {tensor.name} would become {new}", have is not None)
        if given not in (None, wanted) and not tensor.name.endswith("token_embd.weight"):
            raise DamagedFile(
                f"the importance matrix is of another model: it has {given} numbers for"
                f" {tensor.name}, which needs {wanted}",
                "compute one for this model: --calibrate TEXT",
            )


def check_tables(
    parts: Sequence[Header], job: Job, found: Plan, have: Mapping[str, int] | None
) -> None:
    """Raise ``Unsupported`` where ggml would break off for want of importances of a table of
    tokens or of the output, which no matrix has that is computed here."""
    names = renamed(parts, job.prune)
    for tensor in (one for part in parts for one in part.tensors if one.name in names):
        new = found.types[names[tensor.name]]
        lacks = names[tensor.name] in NEVER_BLIND and tensor.name not in (have or {})
        if lacks and new in IMPOSSIBLE_WITHOUT and new != tensor.type_name:
            flag = "--output-tensor-type" if tensor.name == "output.weight" else (
                "--token-embedding-type"
            )  # fmt: skip
            raise Unsupported(
                f"{tensor.name} cannot become {new}: the importance matrix says nothing of it",
                f"{flag} Q4_K",
            )


def needs_imatrix(kind: QuantType, why: str = "", has_one: bool = False) -> Unsupported:
    """The error for a type that needs a matrix where there is none, or an incomplete one."""
    if has_one:
        return Unsupported(
            f"the importance matrix says nothing of a tensor that {kind.name} needs it for{why}",
            "--imatrix with a file of this model, or --calibrate TEXT with more text",
        )
    return Unsupported(
        f"{kind.name} needs an importance matrix, or the result would be garbage{why}",
        "--imatrix FILE, or --calibrate TEXT to compute one",
    )


def memory_bytes(parts: Sequence[Header], found: Plan | None, slab: int) -> int:
    """What quantizing takes at its peak: the rows of the largest tensor, or a slab of them, as they
    are, as floats and as they become. The source is mapped, not loaded."""
    types = found.types if found else {}
    most = 0
    for tensor in (one for part in parts for one in part.tensors):
        new = types.get(tensor.name, "F16")
        floats = 0 if tensor.type_name == "F32" else 4 * tensor.elements
        most = max(most, tensor.bytes + floats + tensor_bytes(tensor, new))
    return FIXED_BYTES + min(most, slab)


def tensor_bytes(tensor: TensorInfo, tensor_type: str) -> int:
    """What a tensor takes as this type, without padding."""
    block, size = _SIZES[tensor_type]
    return tensor.elements // block * size


def _importances(tensor: TensorInfo) -> int:
    """How many numbers llama.cpp wants for a tensor: one for each column of each matrix."""
    return tensor.dims[0] * (tensor.dims[2] if len(tensor.dims) > 2 else 1)


def _bytes(
    parts: Sequence[Header], names: Mapping[str, str], types: Mapping[str, str], job: Job
) -> int:
    """The size of the result's files: their headers, and each tensor padded."""
    split = job.keep_split and len(parts) > 1
    groups = [part.tensors for part in parts]
    if not split:
        groups = [tuple(tensor for group in groups for tensor in group)]
    total = 0
    for number, group in enumerate(groups):
        kept = [tensor for tensor in group if tensor.name in names]
        header = 24 + sum(_row_bytes(tensor, names[tensor.name]) for tensor in kept)
        header += _metadata_bytes(parts[0], job) if number == 0 else 0
        header += sum(12 + len(key) + size for key, size in SPLIT.items()) if split else 0
        data = (tensor_bytes(tensor, types[names[tensor.name]]) for tensor in kept)
        total += _padded(header) + sum(map(_padded, data))
    return total


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _row_bytes(tensor: TensorInfo, name: str) -> int:
    """A row of the table of tensors; ggml forgets dimensions of one at the end."""
    dims = list(tensor.dims)
    while len(dims) > 1 and dims[-1] == 1:
        dims.pop()
    return 8 + len(name.encode()) + 4 + 8 * len(dims) + 4 + 8


def _metadata_bytes(header: Header, job: Job) -> int:
    written: dict[str, int] = {
        key: _value_bytes(header.kinds[key], value)
        for key, value in header.metadata.items()
        if key not in SPLIT
    }
    written |= dict.fromkeys(("general.quantization_version", "general.file_type"), 4)
    for key, value in job.metadata.items():
        written[key] = {bool: 1, int: 4}.get(type(value)) or 8 + len(_short(value))
    return sum(8 + len(key.encode()) + 4 + size for key, size in written.items())


def _short(value: object) -> bytes:
    from llmrr.convert.quantize.native import short

    return short(str(value))


def _value_bytes(kind: int, value: object) -> int:
    if isinstance(value, Array):
        return value.end - value.offset + (8 if kind == STRING else 12)
    return 8 + len(value.encode()) if isinstance(value, str) else SCALARS[kind].size
