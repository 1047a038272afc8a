"""From the pickles of PyTorch: each file becomes one of safetensors, tensor after tensor."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr import formats
from llmrr.convert.base import Check, Source, Step, Told, Wish
from llmrr.convert.gguf.encoding import encode, refuse_overflow
from llmrr.convert.safetensors import writer
from llmrr.convert.safetensors.state import State, Stored
from llmrr.errors import DamagedFile
from llmrr.formats import FolderFiles, companions
from llmrr.formats.json_file import read_object
from llmrr.formats.messages import damaged, listed
from llmrr.formats.safetensors_header import read_header
from llmrr.formats.source import FileSource
from llmrr.formats.tensors import BITS, FLOATS, Tensor
from llmrr.types import Format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TITLE: Final = "pickle → safetensors"
BYTES_PER_SECOND: Final = 400e6  # read, written and compared: measured on two cores with an SSD
PART: Final = 1 << 22  # numbers that are converted at once
TORCH: Final = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
WRAPPED: Final = "module."  # what DataParallel puts before every name


def step(source: Source, wish: Wish) -> Step:
    """Plan it; every pickle is walked. Numbers with a fraction become ``wish.quant``: f32, f16 or
    bf16; ``auto`` keeps every type. Raises ``Unsupported`` and ``DamagedFile``."""
    kind = wish.quant.upper() if wish.quant.lower() != "auto" else None
    states = _states(source.path)
    tensors = tuple(tensor for _, own in _named(states, kind) for tensor in own)
    _require_distinct(source.path, tensors)
    size = sum(one.bytes for one in tensors)
    settings = source.settings
    assert settings is not None  # ``open_source`` saw to it

    def work(path: Path, target: Path, told: Told) -> None:
        target.mkdir()
        _write(_states(path), target, kind, size, told, verified=wish.verify)
        copy_settings(settings, target)
        if kind is not None:
            _state_type(target / "config.json", kind)

    return Step(
        title=TITLE,
        format=Format.SAFETENSORS,
        is_folder=True,
        bytes=size,
        memory_bytes=2 * max((one.bytes for state in states for one in state.tensors), default=0),
        seconds=size / BYTES_PER_SECOND,
        work=work,
        verify=lambda path, target, told: [_compared(_states(path), target, kind, size, told)],
        quant=source.info.quant if kind is None else kind.lower(),
        tensors=tensors,
    )


def _state_type(config: Path, kind: str) -> None:
    """Have config.json name the type that the weights have now."""
    if config.is_file():
        stated = read_object(FileSource.of(config))
        stated["dtype" if "dtype" in stated else "torch_dtype"] = TORCH[kind]
        config.write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")


def copy_settings(settings: Path, target: Path) -> None:
    """Take along configuration, tokenizer, and what tells of the model."""
    for name in FolderFiles(settings).sizes:
        if name.endswith(".index.json"):
            continue
        if companions.is_configuration(name) or companions.is_about(name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(settings / name, target / name)


def _states(path: Path) -> list[State]:
    files, layout = formats.laid_out(path)
    found = {name: State(files.source(name)) for name in layout.weights}
    for name, state in found.items():
        absent = set(layout.index.get(name, ())) - {one.name for one in state.tensors}
        if absent:
            raise damaged(state.source, f"{min(absent)[:99]!r}, which the index has, is not in it")
    return list(found.values())


def _named(
    states: Sequence[State], kind: str | None
) -> Iterator[tuple[State, tuple[Tensor, ...]]]:
    """The tensors of each file as they are written: of the type ``kind``, and without what a
    wrapper put before the names."""
    wrapped = all(one.name.startswith(WRAPPED) for state in states for one in state.tensors)
    for state in states:
        yield state, tuple(
            Tensor(one.name.removeprefix(WRAPPED) if wrapped else one.name, own, one.shape,
                   one.bytes * BITS[own] // BITS[one.type])
            for one in state.tensors
            for own in [kind if kind and one.type in FLOATS else one.type]
        )  # fmt: skip


def _require_distinct(path: Path, tensors: Sequence[Tensor]) -> None:
    counts = Counter(one.name for one in tensors)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise DamagedFile(f"{path} has {listed(twice)} twice", "name one of its files")


def _write(
    states: Sequence[State], target: Path, kind: str | None, size: int, told: Told, *,
    verified: bool,
) -> None:  # fmt: skip
    metadata = {"format": "pt", "llmrr.verified": str(verified).lower()}
    places: dict[str, str] = {}
    done = 0
    for number, (state, tensors) in enumerate(_named(states, kind)):
        name = writer.shard_name(number, len(states))
        with writer.writing(target / name, tensors, metadata) as out:
            for stored, tensor in zip(state.tensors, tensors, strict=True):
                array = state.read(stored)
                _require_finite(state, stored, array)
                for part in _converted(array, stored, tensor):
                    if stored.type != tensor.type:
                        refuse_overflow(part, tensor.type, f"{state.source}: {stored.name[:99]!r}")
                    writer.put(out, part)
                places[tensor.name] = name
                done += tensor.bytes
                told("writing", done, size)
    writer.write_index(target, places, size, len(states))


def _converted(
    array: "NDArray[Any]", stored: Stored, tensor: Tensor
) -> Iterator["NDArray[Any]"]:
    """The items as they are written, in parts."""
    flat = array.reshape(-1)
    for start in range(0, flat.size, PART):
        part = flat[start : start + PART]
        yield part if stored.type == tensor.type else encode(part, stored.type, tensor.type)


def _require_finite(state: State, stored: Stored, array: "NDArray[np.generic]") -> None:
    """Raise ``DamagedFile`` for weights that are no numbers."""
    import numpy as np

    if stored.type == "BF16":
        bad = bool(((array.view(np.uint16) & 0x7F80) == 0x7F80).any())
    else:
        bad = array.dtype.kind == "f" and not np.isfinite(array).all()
    if bad:
        raise DamagedFile(
            f"{state.source}: {stored.name[:99]!r} has items that are not finite numbers",
            "save the model again",
        )


def _compared(
    states: Sequence[State], target: Path, kind: str | None, size: int, told: Told
) -> Check:
    """Every tensor that was written, read back, has the bits of its source, or what these are in
    another type."""
    done = count = rounded = 0
    for number, (state, tensors) in enumerate(_named(states, kind)):
        path = target / writer.shard_name(number, len(states))
        places = offsets(path)
        for stored, tensor in zip(state.tensors, tensors, strict=True):
            if not _is_same(state.read(stored), stored, path, places, tensor):
                return Check("tensors", False, f"{tensor.name} is not what its source is")
            count, done = count + 1, done + tensor.bytes
            rounded += stored.type != tensor.type
            told("comparing", done, size)
    said = f", {rounded} of them rounded to {kind.lower()}" if kind and rounded else ""
    return Check("tensors", True, f"{count} tensors have the bits of their source{said}")


def offsets(path: Path) -> Mapping[str, tuple[Tensor, int]]:
    """Every tensor of a safetensors file with where its bytes begin."""
    source = FileSource.of(path)
    at = 8 + int.from_bytes(source.read(0, 8), "little")
    found = {}
    for tensor in read_header(source).tensors:
        found[tensor.name] = tensor, at
        at += tensor.bytes
    return found


def _is_same(
    array: "NDArray[Any]",
    stored: Stored,
    path: Path,
    places: Mapping[str, tuple[Tensor, int]],
    tensor: Tensor,
) -> bool:
    import numpy as np

    there, at = places.get(tensor.name, (None, 0))
    if there is None or there[1:3] != tensor[1:3]:
        return False
    with path.open("rb") as file:
        file.seek(at)
        return all(
            np.array_equal(np.fromfile(file, np.uint8, part.nbytes), part.view(np.uint8))
            for part in _converted(array, stored, tensor)
        )
