"""What a pickle would import, found by walking its opcodes; nothing is unpickled.

A name that cannot be told, as one that is put together while it is unpickled, is ``unknown``.
"""

import struct
from typing import NamedTuple

from llmrr.formats.pickle_machine import Broken, Machine, Rebuilt, Storage, Table
from llmrr.formats.pickle_opcodes import ACTS, STOP
from llmrr.formats.source import Source

MAX_OPCODES = 500_000  # of a whole file; a state dict has 35 for each tensor
MAX_FIRST = 16  # pickles in a row that are tried
MAGIC = 0x1950A86A20F9469CFC6C  # what the first one of torch.save is, before version 1.6


class Pickle(NamedTuple):
    """One pickle: the names that it looks up, in order; the tensors that it puts under a text; its
    value where that is a number or a dictionary; how many ``opcodes`` were walked; where it ends,
    and why where it ``broke`` off. ``storages`` are all that it refers to."""

    names: tuple[str, ...]
    tensors: tuple[tuple[str, Rebuilt], ...]
    protocol: int
    value: int | Table | None
    opcodes: int
    end: int
    broke: str | None
    storages: tuple[Storage, ...] = ()


def scan(source: Source, offset: int = 0, limit: int = MAX_OPCODES) -> Pickle:
    """Walk the pickle at ``offset`` up to its STOP, or to where it breaks off, at the latest after
    ``limit`` opcodes."""
    machine, broke = Machine(source, offset), None
    value: int | Table | None = None
    try:
        value = _run(machine, limit)
    except Broken as why:
        broke = str(why)
    except LookupError:  # an empty stack, nothing in the memo
        broke = "it takes what was never put there"
    except (ValueError, struct.error):
        broke = "an argument of an opcode is not what it must be"
    names, tensors = tuple(machine.names), tuple(machine.tensors)
    return Pickle(
        names, tensors, machine.protocol, value, machine.opcodes, machine.offset, broke,
        tuple(machine.storages.values()),
    )  # fmt: skip


def is_pickle(source: Source) -> bool:
    """Whether ``source`` is a pickle without a mark at its beginning (protocols 0 and 1): it, or
    several in a row, must parse, and end the file unless something is imported."""
    end, left = 0, MAX_OPCODES
    for _ in range(MAX_FIRST):
        found = scan(source, end, left)
        left -= found.opcodes
        if found.broke is not None:
            return False
        end = found.end
        if found.names or found.value == MAGIC or end == source.size:
            return True
    return False


def _run(machine: Machine, limit: int) -> int | Table | None:
    while machine.opcodes < limit:
        machine.opcodes += 1
        code = machine.take(1)[0]
        if code == STOP:
            value = machine.pop()
            return value if type(value) is int or isinstance(value, Table) else None
        act = ACTS.get(code)
        if act is None:
            raise Broken(f"the byte {code} is no opcode")
        act(machine)
    raise Broken(f"its file has more than {MAX_OPCODES} opcodes")
