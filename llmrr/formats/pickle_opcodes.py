"""What each opcode of a pickle does to the machine. Their table: ``Lib/pickletools.py``."""

import codecs
from collections.abc import Callable

from llmrr.formats.pickle_machine import MAX_TEXT, OPAQUE, Broken, Machine, Table

Act = Callable[[Machine], None]
STOP = ord(".")
HIGHEST_PROTOCOL = 5


def _opaque(argument: int = 0, popped: int = 0) -> Act:
    """Take ``popped`` values off the stack and push something of ``argument`` bytes."""

    def act(machine: Machine) -> None:
        machine.skip(argument)
        for _ in range(popped):
            machine.pop()
        machine.push(OPAQUE)

    return act


def _counted(prefix: int) -> Act:
    """Push bytes that stand after their length."""

    def act(machine: Machine) -> None:
        machine.skip(machine.number(prefix))
        machine.push(OPAQUE)

    return act


def _text(prefix: int, errors: str) -> Act:
    """Push a text that stands after its length; one that is no UTF-8 is bytes of Python 2."""

    def act(machine: Machine) -> None:
        length = machine.number(prefix)
        if length > MAX_TEXT:
            machine.skip(length)
            return machine.push(OPAQUE)
        try:
            machine.push_text(machine.take(length).decode("utf-8", errors))
        except UnicodeDecodeError:
            machine.push(OPAQUE)

    return act


def _integer(size: int, *, signed: bool = False) -> Act:
    def act(machine: Machine) -> None:
        machine.push(int.from_bytes(machine.take(size), "little", signed=signed))

    return act


def _long(prefix: int) -> Act:
    def act(machine: Machine) -> None:
        length = machine.number(prefix)
        if length <= 16:
            return machine.push(int.from_bytes(machine.take(length), "little", signed=True))
        machine.skip(length)
        machine.push(OPAQUE)

    return act


def _tuple(count: int) -> Act:
    def act(machine: Machine) -> None:
        items = machine.stack[len(machine.stack) - count :] if count else []
        for _ in range(count):
            machine.pop()
        machine.push(tuple(items))

    return act


def _get(size: int) -> Act:
    def act(machine: Machine) -> None:
        machine.push(machine.memo[machine.number(size)])

    return act


def _put(size: int) -> Act:
    def act(machine: Machine) -> None:
        machine.remember(machine.number(size))

    return act


def _extension(size: int) -> Act:
    """A number that stands for a name which somebody registered with ``copyreg``."""

    def act(machine: Machine) -> None:
        name = f"extension {machine.number(size)}"
        machine.names.setdefault(name)
        machine.push(OPAQUE)

    return act


def _pop(count: int) -> Act:
    """Take values off the stack that go into the one below."""

    def act(machine: Machine) -> None:
        for _ in range(count):
            machine.pop()
        machine.stack[-1]

    return act


def _decimal(machine: Machine) -> None:
    line = machine.line().rstrip(b"L")
    number = int(line)
    machine.push(OPAQUE if line in (b"00", b"01") or len(line) > 40 else number)


def _float(machine: Machine) -> None:
    float(machine.line())
    machine.push(OPAQUE)


def _quoted(machine: Machine) -> None:
    line = machine.line().rstrip()
    if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b"'", b'"'):
        raise Broken("a text in it has no quotes")
    machine.push_text(codecs.escape_decode(line[1:-1])[0].decode("utf-8", "replace"))


def _unicode(machine: Machine) -> None:
    machine.push_text(machine.line().decode("raw-unicode-escape"))


def _get_line(machine: Machine) -> None:
    machine.push(machine.memo[int(machine.line())])


def _put_line(machine: Machine) -> None:
    machine.remember(int(machine.line()))


def _memoize(machine: Machine) -> None:
    machine.remember(len(machine.memo))


def _collect(machine: Machine) -> None:
    machine.push(tuple(machine.to_mark()))


def _gather(machine: Machine) -> None:
    machine.to_mark()
    machine.push(OPAQUE)


def _dictionary(machine: Machine) -> None:
    pairs, table = machine.to_mark(), Table()
    machine.store(pairs, table)
    machine.push(table)


def _set_item(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.store([key, value], machine.stack[-1])


def _set_items(machine: Machine) -> None:
    pairs = machine.to_mark()
    machine.store(pairs, machine.stack[-1])


def _append_all(machine: Machine) -> None:
    machine.to_mark()
    machine.stack[-1]


def _forget(machine: Machine) -> None:
    machine.to_mark()


def _drop(machine: Machine) -> None:
    """The last value, or a mark with nothing on it."""
    if machine.stack:
        machine.pop()
    else:
        machine.to_mark()


def _global(machine: Machine) -> None:
    module, name = machine.line().decode(), machine.line().decode()
    machine.look_up(module, name)


def _stack_global(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    machine.look_up(module, name)


def _instance(machine: Machine) -> None:
    _global(machine)
    machine.pop()
    _gather(machine)


def _object(machine: Machine) -> None:
    machine.to_mark()[0]
    machine.push(OPAQUE)


def _protocol(machine: Machine) -> None:
    machine.protocol = machine.number(1)
    if machine.protocol > HIGHEST_PROTOCOL:
        raise Broken(f"it is of protocol {machine.protocol}, where {HIGHEST_PROTOCOL} is the last")


def _frame(machine: Machine) -> None:
    length = machine.number(8)
    if machine.offset + length > machine.source.size:
        raise Broken("it ends before its last opcode")


def _persistent_line(machine: Machine) -> None:
    machine.line()
    machine.push(OPAQUE)


ACTS: dict[int, Act] = {
    ord(code): act
    for code, act in {
        "(": Machine.mark, "0": _drop, "1": _forget, "2": lambda m: m.push(m.stack[-1]),
        "N": _opaque(), "\x88": _opaque(), "\x89": _opaque(), "G": _opaque(8), "F": _float,
        "I": _decimal, "L": _decimal, "J": _integer(4, signed=True), "K": _integer(1),
        "M": _integer(2), "\x8a": _long(1), "\x8b": _long(4),
        "S": _quoted, "V": _unicode, "T": _text(4, "strict"), "U": _text(1, "strict"),
        "X": _text(4, "surrogatepass"), "\x8c": _text(1, "surrogatepass"),
        "\x8d": _text(8, "surrogatepass"), "B": _counted(4), "C": _counted(1),
        "\x8e": _counted(8), "\x96": _counted(8), "\x97": _opaque(), "\x98": _pop(0),
        "]": _opaque(), "}": lambda m: m.push(Table()), "\x8f": _opaque(), ")": _tuple(0),
        "t": _collect, "\x85": _tuple(1), "\x86": _tuple(2), "\x87": _tuple(3), "l": _gather,
        "d": _dictionary, "\x91": _gather, "a": _pop(1), "e": _append_all, "\x90": _append_all,
        "s": _set_item, "u": _set_items, "g": _get_line, "h": _get(1), "j": _get(4), "p": _put_line,
        "q": _put(1), "r": _put(4), "\x94": _memoize, "\x82": _extension(1),
        "\x83": _extension(2), "\x84": _extension(4), "c": _global, "\x93": _stack_global,
        "R": Machine.call, "b": _pop(1), "i": _instance, "o": _object,
        "\x81": _opaque(popped=2), "\x92": _opaque(popped=3), "\x80": _protocol, "\x95": _frame,
        "P": _persistent_line, "Q": Machine.look_outside,
    }.items()
}  # fmt: skip
