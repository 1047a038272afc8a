"""The functions of a Python file as tools: their names, annotations and docstrings are what a model
is told of them."""

import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from shlex import quote
from typing import Any, Final, Literal, NamedTuple

from llmrr import paths
from llmrr.errors import NotFound, UsageError
from llmrr.types import Tool

_PLAIN: Final[Mapping[object, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    list: {"type": "array"},
    dict: {"type": "object"},
    Any: {},
    inspect.Parameter.empty: {},
}
KNOWN: Final = "str, int, float, bool, None, list, dict, Literal, Enum, Annotated, Any and unions"


class Function(NamedTuple):
    """A tool, and what is called for it."""

    tool: Tool
    call: Callable[..., object]


def load(files: Sequence[str]) -> dict[str, Function]:
    """The functions of Python files by their names. The files are run, as Python imports them.

    Raises ``NotFound``, and ``UsageError`` for a file that cannot be imported, that holds no
    function, or one that says not what it takes."""
    found: dict[str, Function] = {}
    for file in files:
        path = paths.user_path(file)
        if not path.is_file():
            raise NotFound(f'--tool names no file: "{file}"', f"ls {quote(str(path.parent))}")
        functions = [*_functions(_imported(path))]
        if not functions:
            raise UsageError(
                f"{file} defines no function", "a tool is a function whose name begins without _"
            )
        for function in functions:
            one = Function(tool_of(function, file), function)
            if one.tool.name in found:
                said = f"{file} defines {one.tool.name}, which is a tool already"
                raise UsageError(said, "give one of them another name")
            found[one.tool.name] = one
    return found


def tool_of(function: Callable[..., object], file: str) -> Tool:
    """What a model is told of a function. Raises ``UsageError``.

    >>> def weather(city: str, days: int = 1) -> str:
    ...     '''The weather.
    ...
    ...     Args:
    ...         city: Where.
    ...     '''
    >>> tool = tool_of(weather, "f.py")
    >>> tool.description, tool.parameters["properties"]["city"], tool.parameters["required"]
    ('The weather.', {'type': 'string', 'description': 'Where.'}, ['city'])
    """
    name = function.__name__
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as exc:  # whatever the file has written for a type
        said = f"{file}: the annotations of {name} cannot be read: {exc}"
        raise UsageError(said, f"mend {file}") from exc
    text, told = _documented(inspect.getdoc(function) or "")
    properties: dict[str, Any] = {}
    required = []
    for one in inspect.signature(function).parameters.values():
        if one.kind not in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
            said = f"{file}: {name} takes {one}, and a model gives arguments by name"
            raise UsageError(said, f"name each parameter of {name}")
        schema = _schema(hints.get(one.name, one.annotation), f"{file}: {one.name} of {name}")
        if one.name in told:
            schema = {**schema, "description": told[one.name]}
        if one.default is one.empty:
            required.append(one.name)
        elif isinstance(one.default, str | int | float | bool | None):
            schema = {**schema, "default": one.default}
        properties[one.name] = schema
    parameters = {"type": "object", "properties": properties, "required": required,
                  "additionalProperties": False}  # fmt: skip
    return Tool(name, text, parameters)


def _imported(path: Path) -> types.ModuleType:
    from importlib.util import module_from_spec, spec_from_file_location

    name = f"llmrr_tools_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f'--tool takes Python files, and "{path.name}" is none', "--tool FILE.py")
    module = module_from_spec(spec)
    # As for a program: what lies beside the file can be imported.
    sys.path.insert(0, str(path.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as exc:
        line = f" at line {exc.lineno}" if isinstance(exc, SyntaxError) else ""
        said = f"{path} cannot be imported: {type(exc).__name__}: {exc}{line}"
        raise UsageError(said, f"python3 {quote(str(path))}") from exc
    return module


def _functions(module: types.ModuleType) -> Iterator[Callable[..., object]]:
    """Those that the module names in ``__all__``, or else its own without an underscore."""
    listed = getattr(module, "__all__", None)
    for name, value in vars(module).items():
        wanted = name in listed if listed is not None else not name.startswith("_")
        if wanted and inspect.isfunction(value) and (listed or value.__module__ == module.__name__):
            yield value


def _schema(kind: Any, place: str) -> dict[str, Any]:
    """The JSON Schema of an annotation."""
    if isinstance(kind, typing.Hashable) and kind in _PLAIN:
        return dict(_PLAIN[kind])
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        words = next((one for one in inner[1:] if isinstance(one, str)), None)
        return {**_schema(inner[0], place), **({"description": words} if words else {})}
    if origin is Literal:
        return {"enum": list(inner)}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [one.value for one in kind]}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(one, place) for one in inner]}
    if origin in (list, Sequence):
        return {"type": "array", "items": _schema(inner[0], place)}
    if origin in (dict, Mapping) and inner[0] is str:
        return {"type": "object", "additionalProperties": _schema(inner[1], place)}
    shown = getattr(kind, "__name__", None) or str(kind)
    raise UsageError(f"{place} is a {shown}, which JSON has not", f"known are {KNOWN}")


_SECTION = re.compile(r"^(?:args|arguments|parameters|params)\s*:?\s*$", re.IGNORECASE)
_OTHER = re.compile(r"^(?:returns?|raises|yields?|examples?|notes?)\s*:\s*$", re.IGNORECASE)
_ITEM = re.compile(r"^\s+(\*{0,2}\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_FIELD = re.compile(r"^:param\s+(?:[\w\[\], |]+\s)?(\w+)\s*:\s*(.*)$")


def _documented(text: str) -> tuple[str, dict[str, str]]:
    """What a docstring says of a function, and of its parameters: as Google or Sphinx write it."""
    kept: list[str] = []
    told: dict[str, str] = {}
    inside, last = False, ""
    for line in text.splitlines():
        if field := _FIELD.match(line.strip()):
            told[field[1]] = field[2]
        elif _SECTION.match(line):
            inside, last = True, ""
        elif _OTHER.match(line) or (inside and line.strip() and not line[0].isspace()):
            inside = False
            kept.append(line)
        elif inside and (item := _ITEM.match(line)):
            last = item[1]
            told[last] = item[2]
        elif inside and last and line.strip():
            told[last] = f"{told[last]} {line.strip()}".strip()
        elif not inside:
            kept.append(line)
    return "\n".join(kept).strip(), told
