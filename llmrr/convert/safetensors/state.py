"""The tensors of a file that ``torch.save`` wrote, read without PyTorch and without unpickling.

The opcodes are walked by ``formats.pickles``, which calls nothing; what it finds are names, shapes
and places of storages, and these are read as the numbers that they are. Since version 1.6 a storage
is a member of a zip archive, stored as it is; before, all of them follow the pickles, each after
its count of items. https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmrr.convert.source import unsupported
from llmrr.errors import Unsupported
from llmrr.formats.archive import is_data, open_member, read_directory
from llmrr.formats.messages import damaged, listed, shown
from llmrr.formats.pickle_machine import Rebuilt, Storage, Table
from llmrr.formats.pickle_names import item_type
from llmrr.formats.pickles import MAGIC, Pickle, scan
from llmrr.formats.source import Slice, Source
from llmrr.formats.tensors import BITS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What tensors are rebuilt with that are no plain blocks of numbers; others of the allow-list of
# ``formats`` are called by nothing here either.
NOT_PLAIN = (
    "qtensor", "sparse_tensor", "meta_tensor_no_storage", "nested_tensor", "wrapper_subclass",
    "device_tensor_from_cpu_tensor", "device_tensor_from_numpy",
)  # fmt: skip
# Under which key a checkpoint keeps the model, where there is more in it.
MODEL_KEYS = ("state_dict", "model_state_dict", "model", "module", "net", "params", "weights")
UNTYPED = ".UntypedStorage"  # counts bytes
# numpy's name of what holds the items; bf16 and fp8 have none of their own there.
ITEMS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "|i1", "U8": "|u1", "BOOL": "|u1", "U16": "<u2", "U32": "<u4",
    "U64": "<u8", "F8_E4M3": "|u1", "F8_E5M2": "|u1", "F8_E4M3FNUZ": "|u1", "F8_E5M2FNUZ": "|u1",
    "F8_E8M0": "|u1", "C64": "<c8",
}  # fmt: skip


class Stored(NamedTuple):
    """A tensor of a state dict: ``type`` as safetensors names it, ``bytes`` of it alone."""

    name: str
    type: str
    shape: tuple[int, ...]
    rebuilt: Rebuilt

    @property
    def bytes(self) -> int:
        """What it takes when it is written out."""
        product = BITS[self.type] // 8
        for size in self.shape:
            product *= size
        return product


class State:
    """The state dict in one file."""

    def __init__(self, source: Source) -> None:
        """Raises ``Unsupported`` for tensors that are no plain ones and for a checkpoint that does
        not say which of its parts is the model; ``DamagedFile``."""
        self.source = source
        self._places, pickle = _opened(source)
        _require_plain(source, pickle)
        self.tensors = tuple(_tensors(source, _model(source, pickle)))

    def read(self, tensor: Stored) -> "NDArray[np.generic]":
        """Its items in the order of its rows; those of bf16 and fp8 as the integers of their bits.
        Raises ``DamagedFile`` for one that reaches beyond its storage."""
        import numpy as np

        where, rebuilt = tensor.rebuilt.storage, tensor.rebuilt
        items = np.dtype(ITEMS[tensor.type])
        place = self._places.get(where.key)
        if place is None:
            raise damaged(self.source, f"the storage {where.key[:99]!r} is not in it")
        count = place.size // items.itemsize
        first, end = rebuilt.offset, rebuilt.offset + _span(rebuilt)
        if end > count:
            raise damaged(
                self.source, f"{tensor.name[:99]!r} needs {end} items of a storage with {count}"
            )
        raw = place.read(first * items.itemsize, (end - first) * items.itemsize)
        flat = np.frombuffer(raw, items)
        if 0 in tensor.shape:
            return np.empty(tensor.shape, items)
        strides = tuple(step * items.itemsize for step in rebuilt.stride)
        view = np.lib.stride_tricks.as_strided(flat, tensor.shape, strides, writeable=False)
        return np.ascontiguousarray(view).reshape(tensor.shape)


def _span(rebuilt: Rebuilt) -> int:
    """How many items of the storage lie between its first and its last."""
    if 0 in rebuilt.shape:
        return 0
    steps = zip(rebuilt.shape, rebuilt.stride, strict=True)
    return 1 + sum((size - 1) * step for size, step in steps)


def _opened(source: Source) -> tuple[Mapping[str, Source], Pickle]:
    """Where each storage lies, and the pickle of the object."""
    if source.read(0, 4) == b"PK\x03\x04":
        return _of_archive(source)
    first = scan(source)
    if first.value != MAGIC:
        return {}, first
    found, end = [first], first.end
    for _ in range(4):
        found.append(scan(source, end))
        end = found[-1].end
    pickle = found[3]
    return _in_a_row(source, end, pickle.storages), pickle


def _of_archive(source: Source) -> tuple[Mapping[str, Source], Pickle]:
    members = read_directory(source)
    data = next(member for member in members if is_data(member.name))
    folder = data.name[: -len("data.pkl")]
    order = next((one for one in members if one.name == f"{folder}byteorder"), None)
    if order and open_member(source, order).read(0, 16).strip() == b"big":
        raise Unsupported(f"{source} was written on a big-endian machine", "save it on this one")
    inside = open_member(source, data)
    places = {
        member.name.removeprefix(f"{folder}data/"): open_member(source, member)
        for member in members if member.name.startswith(f"{folder}data/")
    }  # fmt: skip
    return places, scan(inside)


def _in_a_row(
    source: Source, end: int, storages: tuple[Storage, ...]
) -> Mapping[str, Source]:
    """Storages that follow the pickles, in the order of their keys as texts."""
    places: dict[str, Source] = {}
    for one in sorted(storages, key=lambda one: one.key):
        kind = "U8" if one.kind.endswith(UNTYPED) else item_type(one.kind, None)
        if kind is None:
            raise Unsupported(f"{source} has a storage of {shown(one.kind)}", "save it anew")
        count, size = int.from_bytes(source.read(end, 8), "little"), one.items * BITS[kind] // 8
        if count != one.items or end + 8 + size > source.size:
            raise damaged(source, f"the storage {one.key[:99]!r} is not where it must be")
        places[one.key] = Slice(source, end + 8, size, f"{source}: {one.key}")
        end += 8 + size
    return places


def _require_plain(source: Source, pickle: Pickle) -> None:
    odd = [f"torch._utils._rebuild_{name}" for name in NOT_PLAIN]
    found = [name for name in pickle.names if name in odd or name.startswith("numpy.")]
    if found:
        why = f"it asks for {listed(found)}, which makes no plain tensor"
        raise unsupported(Path(str(source)), why)


def _model(source: Source, pickle: Pickle) -> Mapping[str, Any]:
    """The dictionary of the model's tensors in what was saved."""
    root = pickle.value
    if not isinstance(root, Table):
        raise _no_state_dict(source, "it is no dictionary")
    if any(isinstance(value, Rebuilt) for value in root.values()):
        return root
    tables = {key: one for key, one in root.items() if isinstance(one, Table) and _holds(one)}
    named = next((key for key in MODEL_KEYS if key in tables), None)
    if named is not None:
        return tables[named]
    if len(tables) == 1:
        return next(iter(tables.values()))
    why = f"its tensors are under {listed(tables)}" if tables else "there are no tensors in it"
    raise _no_state_dict(source, why)


def _holds(table: Table) -> bool:
    return any(isinstance(value, Rebuilt) for value in table.values())


def _no_state_dict(source: Source, why: str) -> Unsupported:
    return unsupported(Path(str(source)), f"it is no state dict of PyTorch: {why}")


def _tensors(source: Source, model: Mapping[str, Any]) -> Iterator[Stored]:
    for name, value in model.items():
        if not isinstance(value, Rebuilt):  # a number, a text or a list, which is no weight
            continue
        kind = item_type(value.storage.kind, value.dtype)
        if kind not in ITEMS:
            said = value.dtype or value.storage.kind
            raise Unsupported(f"{source}: {shown(name)} is of {shown(said)}", "save it as float32")
        if len(value.stride) != len(value.shape):
            raise damaged(source, f"{name[:99]!r} does not say where its items lie")
        stored = Stored(name, kind, value.shape, value)
        if stored.bytes > value.storage.items * BITS[kind] // 8:
            raise unsupported(
                Path(str(source)), f"{shown(name)} repeats the items of a smaller storage"
            )
        yield stored
