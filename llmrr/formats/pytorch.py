"""Files of ``torch.save`` and other pickles: what loading one would import, and its tensors.

Since version 1.6 a file is a zip archive with a pickle NAME/data.pkl; before, several pickles one
after the other (a magic number, a protocol number, facts about the system, the object, the keys of
its storages) and then the storages. Nothing is unpickled.
https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from llmrr.errors import Unsupported
from llmrr.formats.archive import Member, is_data, open_member, read_directory
from llmrr.formats.detection import UNPACK, require
from llmrr.formats.layout import Layout
from llmrr.formats.messages import damaged, listed
from llmrr.formats.parts import numbered
from llmrr.formats.pickle_machine import Rebuilt
from llmrr.formats.pickle_names import ALLOWED, item_type
from llmrr.formats.pickles import MAGIC, MAX_OPCODES, Pickle, scan
from llmrr.formats.safetensors import of_tensors
from llmrr.formats.source import Files, Source
from llmrr.formats.tensors import BITS, Tensor
from llmrr.types import Format, ModelInfo

__all__ = ["ALLOWED", "Contents", "describe", "read_contents"]

LEGACY_PICKLES = 5
# What an optimizer keeps for each weight; it is not the model.
OPTIMIZER = frozenset({"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "step"})


class Contents(NamedTuple):
    """What a file holds: ``container`` is zip, torchscript, legacy or pickle; ``imports`` are the
    names that unpickling it would look up, in order."""

    container: str
    protocol: int
    imports: tuple[str, ...]
    tensors: tuple[Tensor, ...]


def describe(files: Files, layout: Layout) -> ModelInfo:
    """What the pickles that ``layout`` found in ``files`` say, and what stands beside them.

    ``metadata`` has ``pytorch.container`` (zip, torchscript, legacy, pickle) and
    ``pytorch.protocol``, and the keys of config.json. Raises ``DamagedFile``, ``Unsupported``.
    """
    names = numbered(files, layout.weights)
    found = [read_contents(files.source(name)) for name in names]
    imports = tuple(dict.fromkeys(name for one in found for name in one.imports))
    tensors = [tensor for one in found for tensor in one.tensors]
    described = of_tensors(files, layout, tensors)
    own = {"pytorch.container": found[0].container, "pytorch.protocol": found[0].protocol}
    return replace(
        described,
        imports=imports,
        unsafe=tuple(name for name in imports if name not in ALLOWED),
        metadata={**own, **described.metadata},
    )


def read_contents(source: Source) -> Contents:
    """Walk every pickle in the file ``source``.

    Raises ``DamagedFile`` for one that breaks off, naming what it would import before, and what
    ``foreign`` gives for another file.
    """
    require(source, Format.PYTORCH)
    return _File(source).contents()


class _File:
    """A file whose pickles have ``left`` opcodes in all."""

    def __init__(self, source: Source) -> None:
        self.source, self.left = source, MAX_OPCODES

    def contents(self) -> Contents:
        if self.source.read(0, 4) == b"PK\x03\x04":
            return self._of_archive()
        found = list(self._in_a_row(self.source))
        legacy = found[0].value == MAGIC
        if legacy and len(found) < LEGACY_PICKLES:
            raise damaged(self.source, "it ends before its storages")
        return _contents("legacy" if legacy else "pickle", found)

    def _of_archive(self) -> Contents:
        members = read_directory(self.source)
        script = any(member.name.lower().endswith("/constants.pkl") for member in members)
        data_first = sorted(members, key=lambda member: not is_data(member.name))
        found = [pickle for member in data_first for pickle in self._in_member(member)]
        if not found or not is_data(data_first[0].name):
            raise Unsupported(f"{self.source} is a zip archive without a data.pkl", UNPACK)
        _storages_are_there(self.source, members, found[0])
        return _contents("torchscript" if script else "zip", found)

    def _in_member(self, member: Member) -> Iterator[Pickle]:
        """Every pickle in a member, whatever its name: those called .pkl must be sound."""
        name = member.name.lower()
        storage = name.rpartition("/")[2].isdecimal()
        if storage or not max(member.packed, member.size):
            return
        inside = open_member(self.source, member)
        if name.endswith(".pkl"):
            yield from self._in_a_row(inside)
            return
        found = self._scan(inside, 0)
        if found.broke is None or (found.names and inside.read(0, 1) == b"\x80"):
            yield found

    def _in_a_row(self, source: Source) -> Iterator[Pickle]:
        """Every pickle where one follows the other, up to the storages of a legacy file. What
        stands after the object is looked at too: someone may load it."""
        first = self._whole(source, 0)
        yield first
        legacy, end, count = first.value == MAGIC, first.end, 1
        while end < source.size and (not legacy or count < LEGACY_PICKLES):
            found = self._whole(source, end) if legacy else self._scan(source, end)
            if found.broke is None or found.names:
                yield found
            if found.broke is not None:
                return
            end, count = found.end, count + 1

    def _whole(self, source: Source, offset: int) -> Pickle:
        found = self._scan(source, offset)
        if found.broke is None:
            return found
        if any(name.startswith("joblib.numpy_pickle.") for name in found.names):
            raise Unsupported(
                f"{source} was written by joblib; unpickling it imports {listed(found.names)}",
                "name a model file or folder",
            )
        before = f"; before that it imports {listed(found.names)}" if found.names else ""
        where = f"its pickle makes no sense at {found.end}, as {found.broke}{before}"
        raise damaged(source, where)

    def _scan(self, source: Source, offset: int) -> Pickle:
        found = scan(source, offset, self.left)
        self.left -= found.opcodes
        if self.left <= 0:
            raise damaged(source, f"its pickles have more than {MAX_OPCODES} opcodes")
        return found


def _contents(container: str, pickles: Iterable[Pickle]) -> Contents:
    found = list(pickles)
    names = dict.fromkeys(name for one in found for name in one.names)
    tensors = tuple(_tensors(pair for one in found for pair in one.tensors))
    return Contents(container, max(one.protocol for one in found), tuple(names), tensors)


def _tensors(stored: Iterable[tuple[str, Rebuilt]]) -> Iterator[Tensor]:
    """Those of a model; a part of a storage that two of them share counts once."""
    left: dict[str, int] = {}
    for name, rebuilt in stored:
        kind = item_type(rebuilt.storage.kind, rebuilt.dtype)
        if kind is None or name in OPTIMIZER:
            continue
        where = rebuilt.storage
        room = left.setdefault(where.key, where.items)
        own = Tensor(name, kind, rebuilt.shape, 0)
        if room > 0:
            left[where.key] = room - own.elements
            yield own._replace(bytes=own.elements * BITS[kind] // 8)


def _storages_are_there(source: Source, members: Iterable[Member], found: Pickle) -> None:
    """A storage K lies in the member NAME/data/K."""
    keys = {name.rpartition("/")[2] for name in (one.name for one in members) if "/data/" in name}
    for _, rebuilt in found.tensors:
        if rebuilt.storage.items and rebuilt.storage.key not in keys:
            raise damaged(source, f"the storage {rebuilt.storage.key[:99]!r} is not in it")
