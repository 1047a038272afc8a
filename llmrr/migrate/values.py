"""What an expression in code, or a value in a file, is known to be without running anything.

A value is a plain one (``str``, ``int``, ``float``, ``bool``, ``None``), a ``list`` or a ``dict``
of values, or one of the classes here. Both languages are evaluated to the same values, so that one
reader serves both.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, Union

Value: TypeAlias = Union[
    str, int, float, bool, list["Value"], dict[str, "Value"],
    "Env", "Prompt", "Unresolved", "Call", None,
]  # fmt: skip


_PUT_TOGETHER: Final = re.compile(
    r"""^\(?\s*[fFrRbB]{0,2}["'`](?!data:|https?:)|\+\s*[fFrR]{0,2}["'`]"""
)


@dataclass(frozen=True, slots=True)
class Env:
    """The value of an environment variable; ``default`` where it is not set (None: there is none).
    """

    name: str
    default: Value = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text with holes that are plain names, written ``{name}``; braces of its own are doubled."""

    text: str
    holes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unresolved:
    """What only running the code would tell: the source of it, and the line, from 1. ``calls`` are
    those of which one gave it, where branches decide that."""

    text: str
    line: int | None = None
    origin: str | None = field(default=None, kw_only=True)  # the dotted name that is imported
    calls: tuple["Call", ...] = field(default=(), kw_only=True, compare=False)

    @property
    def is_text(self) -> bool:
        """Whether it is a text that code puts together.

        >>> Unresolved('f"Hi {user.name}"').is_text, Unresolved('row["text"]').is_text
        (True, False)
        """
        return _PUT_TOGETHER.search(self.text) is not None


@dataclass(frozen=True, slots=True)
class OneOf(Unresolved):
    """What has one of several values: a parameter, or a name that depends on a condition. The first
    is ``assumed`` where it holds unless somebody says otherwise; None among them is "not stated".
    ``is_each``: the calls of a function in the file give it each of them.
    """

    values: tuple[Value, ...] = ()
    assumed: bool = False
    is_each: bool = False

    @property
    def stated(self) -> tuple[Value, ...]:
        """The values that say something."""
        return tuple(one for one in self.values if one is not None and one != "")


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call or a construction; two of them are the same only if they stand in the same place.

    ``callee`` is the dotted name with what was imported written out
    (``langchain_openai.ChatOpenAI``, for ``import x as y`` too); where it is called on something
    that a call gave, that is ``receiver``, and ``callee`` the rest (``chat.completions.create``).
    ``a | b`` is a call of ``|``. ``args`` are by position; ``fields`` by name: Python's keywords.
    ``rest`` is what was spread into it and is not known. ``targets`` are the names that it was
    assigned to (``llm``, ``self.llm``, ``Settings.llm``); ``within`` is the function around it.
    ``span`` is where it stands: line, column in bytes, and the same of its end. ``among`` are the
    calls of which one gave what it is called on, where branches decide which.
    """

    callee: str
    args: tuple[Value, ...] = ()
    fields: Mapping[str, Value] = field(default_factory=dict)
    receiver: "Call | None" = None
    rest: tuple[Unresolved, ...] = ()
    targets: tuple[str, ...] = ()
    within: str | None = None
    line: int = 1
    text: str = ""
    span: tuple[int, int, int, int] | None = None
    among: "tuple[Call, ...]" = ()

    @property
    def name(self) -> str:
        """The last part of ``callee``: a class, a function or a method.

        >>> Call("langchain_openai.ChatOpenAI").name
        'ChatOpenAI'
        """
        return self.callee.rpartition(".")[2]

    @property
    def named(self) -> dict[str, Value]:
        """What it is told by name, in either language: keywords, and the members of a first
        argument that is an object.

        >>> Call("OpenAI", ({"apiKey": "x"},)).named, Call("OpenAI", (), {"model": "m"}).named
        ({'apiKey': 'x'}, {'model': 'm'})
        """
        first = self.args[0] if self.args and isinstance(self.args[0], dict) else {}
        return {**first, **self.fields}


@dataclass(frozen=True, slots=True)
class Code:
    """A file of code. ``imports`` maps local names to dotted ones; ``calls`` are all of the file in
    the order of their lines, an inner one before the one around it; ``names`` are the variables,
    attributes (``Settings.llm``) and constants that were assigned once; ``exports`` is what a
    JavaScript file exports: by name, ``default`` for the whole."""

    language: Literal["python", "javascript"]
    imports: Mapping[str, str]
    calls: tuple[Call, ...]
    names: Mapping[str, Value]
    exports: Mapping[str, Value] = field(default_factory=dict)

    def imports_from(self, *packages: str) -> bool:
        """Whether something of one of these packages is imported.

        >>> Code("python", {"C": "langchain_openai.ChatOpenAI"}, (), {}).imports_from("langchain")
        False
        """
        return any(
            name == package or name.startswith((f"{package}.", f"{package}/"))
            for name in self.imports.values() for package in packages
        )  # fmt: skip


def plain(value: Value) -> object:
    """A value as JSON has it, for those that are known through and through; ``ValueError`` else."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ValueError("not known without running it")


def inside(value: Value) -> Iterator[Value]:
    """A value and all that is in it, but for the arguments of calls."""
    yield value
    if isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from inside(one)


def default_text(value: Value) -> str | None:
    """A text, or the default that is one of a variable."""
    while isinstance(value, Env):
        value = value.default
    return value if isinstance(value, str) else None
