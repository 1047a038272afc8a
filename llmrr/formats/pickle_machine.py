"""The stack and the memo of an unpickler that builds nothing.

They are followed as ``Modules/_pickle.c`` of CPython does, with everything ``OPAQUE`` that is
neither a name, a short text, a number, a tuple nor a tensor of PyTorch.
"""

from typing import Any, NamedTuple

from llmrr.formats.source import Source

MAX_NAMES = 4_096
MAX_MEMO = 200_000
MAX_STACK = 100_000  # pickle hands over lists by the thousand
MAX_TEXT = 512  # a longer text is no name
MAX_KEPT = 4 << 20  # bytes of all texts that are kept
MAX_LINE = 1 << 20
MAX_LINES = 32 << 20  # bytes of all arguments that end with their line
BLOCK = 1 << 16
UNKNOWN = "unknown"  # a name that cannot be told
OPAQUE = object()
REBUILD = frozenset({"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"})


class Name(str):
    """A class or function that was looked up: ``module.name``."""


class Storage(NamedTuple):
    """The bytes of a tensor, which lie outside of the pickle: ``kind`` is their class
    (torch.FloatStorage), ``items`` how many numbers there are."""

    kind: str
    key: str
    items: int


class Rebuilt(NamedTuple):
    """A tensor as ``torch._utils`` rebuilds it; ``dtype`` where the storage does not say it.
    ``offset`` and ``stride`` are in items of the storage; an empty ``stride`` for no sound one."""

    storage: Storage
    shape: tuple[int, ...]
    dtype: str | None
    offset: int = 0
    stride: tuple[int, ...] = ()


class Table(dict[str, Any]):
    """A dictionary that the pickle builds, as far as its keys are texts."""


class Broken(Exception):
    """The opcodes make no sense from here on."""


class Machine:
    """A window of the file, and what the opcodes did so far: ``names`` that were looked up,
    ``tensors`` that were put into a dictionary under a text."""

    def __init__(self, source: Source, offset: int) -> None:
        self.source, self.base, self.window, self.at = source, offset, b"", 0
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.names: dict[str, None] = {}
        self.tensors: list[tuple[str, Rebuilt]] = []
        self.storages: dict[str, Storage] = {}
        self.protocol = self.kept = self.lines = self.opcodes = self.below = 0

    @property
    def offset(self) -> int:
        """Where the next opcode stands."""
        return self.base + self.at

    def take(self, length: int) -> bytes:
        """The next bytes; raises ``Broken`` at the end."""
        end = self.at + length
        if end > len(self.window):
            self.base, self.at, end = self.base + self.at, 0, length
            self.window = self.source.read(self.base, max(BLOCK, length))
            if len(self.window) < length:
                raise Broken("it ends before its last opcode")
        raw = self.window[self.at : end]
        self.at = end
        return raw

    def skip(self, length: int) -> None:
        """Pass bytes over without reading them."""
        if self.offset + length > self.source.size:
            raise Broken("it ends before its last opcode")
        self.at += length
        if self.at > len(self.window):
            self.base, self.at, self.window = self.base + self.at, 0, b""

    def number(self, size: int) -> int:
        """The next ``size`` bytes as a number."""
        return int.from_bytes(self.take(size), "little")

    def line(self) -> bytes:
        """The rest of the line, without its end."""
        end = self.window.find(b"\n", self.at)
        if end < 0:
            self.base, self.at = self.base + self.at, 0
            self.window = self.source.read(self.base, MAX_LINE)
            end = self.window.find(b"\n")
        self.lines += end - self.at
        if end < 0 or self.lines > MAX_LINES:
            raise Broken("one of its lines does not end")
        raw = self.window[self.at : end]
        self.at = end + 1
        return raw

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)
        if self.below + len(self.stack) > MAX_STACK:
            raise Broken(f"it has more than {MAX_STACK} values on its stack")

    def pop(self) -> Any:
        """Take the last value off the stack; raises ``IndexError`` where there is none."""
        return self.stack.pop()

    def push_text(self, text: str) -> None:
        """Put a text on the stack, as long as there is room for texts."""
        self.kept += len(text)
        self.push(text if len(text) <= MAX_TEXT and self.kept <= MAX_KEPT else OPAQUE)

    def remember(self, key: int) -> None:
        """Put the last value on the stack into the memo."""
        self.memo[key] = self.stack[-1]
        if len(self.memo) > MAX_MEMO:
            raise Broken(f"it remembers more than {MAX_MEMO} values")

    def mark(self) -> None:
        """Begin a new stack on top of this one."""
        self.below += len(self.stack) + 1
        self.marks.append(self.stack)
        self.stack = []
        if self.below > MAX_STACK:
            raise Broken(f"it has more than {MAX_STACK} values on its stack")

    def to_mark(self) -> list[Any]:
        """What was put on the stack since the last mark; raises ``IndexError`` without one."""
        items, self.stack = self.stack, self.marks.pop()
        self.below -= len(self.stack) + 1
        return items

    def look_up(self, module: Any, name: Any) -> None:
        """Put the name of a class or function on the stack."""
        found = UNKNOWN
        if type(module) is str and type(name) is str:
            if self.protocol < 3:
                module, name = _in_python_3(module, name)
            found = f"{module}.{name}"[: 2 * MAX_TEXT].encode("utf-8", "backslashreplace").decode()
        self.names.setdefault(found)
        if len(self.names) > MAX_NAMES:
            raise Broken(f"it imports more than {MAX_NAMES} names")
        self.push(Name(found))

    def call(self) -> None:
        """Call a name with a tuple: what comes of it matters where that is a tensor or a shape."""
        arguments, function = self.pop(), self.pop()
        self.push(_result(function, arguments))

    def store(self, pairs: list[Any], table: Any) -> None:
        """Put keys and values, in turn, into a dictionary."""
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if isinstance(value, Rebuilt) and type(key) is str:
                self.tensors.append((key, value))
            if isinstance(table, Table) and type(key) is str:
                table[key] = value

    def look_outside(self) -> None:
        """Put on the stack what ``torch.save`` keeps elsewhere as ("storage", class, key, device,
        count)."""
        identity, found = self.pop(), OPAQUE
        if type(identity) is tuple and len(identity) >= 5 and identity[0] == "storage":
            _, kind, key, _, count = identity[:5]
            if isinstance(kind, Name) and type(key) is str and type(count) is int:
                found = self.storages.setdefault(key, Storage(kind, key, count))
        self.push(found)


def _in_python_3(module: str, name: str) -> tuple[str, str]:
    """What Python 2 called otherwise; ``pickle`` translates it below protocol 3."""
    from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

    if (module, name) in NAME_MAPPING:
        module, name = NAME_MAPPING[module, name]
        return module, name
    return IMPORT_MAPPING.get(module, module), name


def _result(function: Any, arguments: Any) -> Any:
    if not isinstance(function, Name) or type(arguments) is not tuple:
        return OPAQUE
    if not arguments:
        return Table() if function == "collections.OrderedDict" else OPAQUE
    first, called = arguments[0], function.removeprefix("torch._utils.")
    if called == "torch.Size":
        return first
    if called == "torch._tensor._rebuild_from_type_v2" and len(arguments) > 2:
        return _result(first, arguments[2])
    if called in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
        return first if isinstance(first, Rebuilt) else OPAQUE
    if called not in REBUILD or not isinstance(first, Storage) or len(arguments) < 4:
        return OPAQUE
    dtype = arguments[6] if called == "_rebuild_tensor_v3" and len(arguments) > 6 else None
    return _tensor(first, arguments[1:4], dtype)


def _tensor(where: Storage, place: tuple[Any, ...], dtype: Any) -> Any:
    offset, shape, stride = place
    if not _sizes(shape):
        return OPAQUE
    if not (_sizes((offset,)) and _sizes(stride) and len(stride) == len(shape)):
        offset, stride = 0, ()
    return Rebuilt(where, shape, dtype if isinstance(dtype, Name) else None, offset, stride)


def _sizes(values: Any) -> bool:
    """Whether it is a tuple of numbers that a shape can have."""
    if type(values) is not tuple or len(values) > 64:
        return False
    return all(type(size) is int and 0 <= size < 2**48 for size in values)
