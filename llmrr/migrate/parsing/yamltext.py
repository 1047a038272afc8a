"""YAML, read event by event: libyaml parses, and what it says becomes a tree here.

So unknown tags, aliases, depth and size are in our hands, keys keep their lines, and nothing is
constructed but texts, numbers, lists and tables. Keys are texts as they are written (``on``, 8080);
so are dates and times, for an ``api_version`` is one, and times of the day (``1:30``).
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.parsing.shapes import DEEPEST

_LARGEST: Final = 4_000_000  # characters
_NODES: Final = 400_000  # with every alias written out
TEMPLATE: Final = "a template (Jinja, Go or the like), not YAML: it has to be rendered first"
_TEMPLATE: Final = re.compile(r"\{%-?\s*\w|\{\{")
_STANDARD: Final = "tag:yaml.org,2002:"
_VARIABLE: Final = re.compile(r"(?i)!(?:env\w*|secret\w*|var)$")
_MERGE: Final = "<<"


class Several(list[Any]):
    """The documents of one YAML file that holds more than one."""


@dataclass(slots=True)
class _Table:
    """A collection that is being read; ``size`` counts its nodes, aliases written out."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    key: str | None = None
    wants_key: bool = True
    size: int = 1
    merged: list[Any] = field(default_factory=list)


def load(text: str) -> Any:
    """The tree of a text, or the ``Several`` of its documents. Raises ``DamagedFile``.

    >>> load("a: &x {b: 1}\\nc: {<<: *x, on: no}\\nd: 2024-02-01")
    {'a': {'b': 1}, 'c': {'on': False, 'b': 1}, 'd': '2024-02-01'}
    """
    documents = [one for one in _read(text)[0] if one is not None]
    return documents[0] if len(documents) == 1 else Several(documents)


def duplicates(text: str) -> list[tuple[str, int]]:
    """Keys that stand twice in one table, with the line of the second. Raises ``DamagedFile``.

    >>> duplicates("a: 1\\nb: {a: 2}\\na: 3")
    [('a', 3)]
    """
    return _read(text)[1]


@lru_cache(maxsize=1)
def _read(text: str) -> tuple[list[Any], list[tuple[str, int]]]:
    import yaml

    if len(text) > _LARGEST:
        raise DamagedFile(f"YAML of more than {_LARGEST:,} characters is not read", "")
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            reader.take(event)
    except yaml.YAMLError as error:
        raise _damaged(text, error) from None
    except DamagedFile as error:
        if reader.has_holes:
            raise _template() from None
        raise error
    if reader.has_holes and _TEMPLATE.search(text):
        raise _template()
    return reader.documents, reader.duplicates


def _damaged(text: str, error: Any) -> DamagedFile:
    if _TEMPLATE.search(text):
        return _template()
    mark = getattr(error, "problem_mark", None)
    where = f" (line {mark.line + 1})" if mark else ""
    return DamagedFile(f"not YAML: {getattr(error, 'problem', None) or 'damaged'}{where}", "")


def _template() -> DamagedFile:
    return DamagedFile(TEMPLATE, "render it, and scan what comes out")


class _Reader:
    """Takes events, and gives documents."""

    def __init__(self) -> None:
        self.documents: list[Any] = []
        self.duplicates: list[tuple[str, int]] = []
        self.has_holes = False  # a table as a key: an unquoted {{ name }}
        self._open: list[_Table] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._size = 0

    def take(self, event: Any) -> None:
        name = type(event).__name__
        if name == "ScalarEvent":
            self._scalar(event)
        elif name in ("MappingStartEvent", "SequenceStartEvent"):
            self._begin(event, {} if name[0] == "M" else [])
        elif name in ("MappingEndEvent", "SequenceEndEvent"):
            self._end(event)
        elif name == "AliasEvent":
            if event.anchor not in self._anchors:
                line = event.start_mark.line + 1
                raise DamagedFile(f"not YAML: an alias of nothing that stands before (line {line})")
            value, size = self._anchors[event.anchor]
            self._add(value, size, event, isinstance(value, str))
        elif name == "DocumentStartEvent":
            self._anchors = {}

    def _scalar(self, event: Any) -> None:
        wants_key = bool(self._open) and self._open[-1].wants_key
        is_table = bool(self._open) and isinstance(self._open[-1].value, dict)
        if is_table and wants_key:
            value: Any = event.value
        elif event.tag is None and event.implicit[0]:
            value = plain(event.value)
        else:
            value = _tagged(event.tag, event.value)
        if event.anchor:
            self._anchors[event.anchor] = value, 1
        self._add(value, 1, event, True)

    def _begin(self, event: Any, value: dict[str, Any] | list[Any]) -> None:
        if len(self._open) >= DEEPEST:
            raise DamagedFile(f"nested deeper than {DEEPEST} levels", "")
        self._open.append(_Table(value, event.anchor))

    def _end(self, event: Any) -> None:
        table = self._open.pop()
        if isinstance(table.value, dict):
            for one in table.merged:
                for key, value in one.items():
                    table.value.setdefault(key, value)
        if table.anchor:
            self._anchors[table.anchor] = table.value, table.size
        self._add(table.value, table.size, event, False)

    def _add(self, value: Any, size: int, event: Any, is_scalar: bool) -> None:
        """Put a finished value where it belongs."""
        if not self._open:
            self._size += size
            self.documents.append(value)
            return
        table = self._open[-1]
        table.size += size
        if self._size + table.size > _NODES:
            raise DamagedFile(f"more than {_NODES:,} values, its aliases written out", "")
        if isinstance(table.value, list):
            table.value.append(value)
        elif table.wants_key:
            if not is_scalar:
                self.has_holes = True
            table.key = value if isinstance(value, str) else "?"
            table.wants_key = False
            if table.key in table.value and table.key != _MERGE:
                self.duplicates.append((table.key, event.start_mark.line + 1))
        else:
            table.wants_key = True
            self._store(table, value)

    def _store(self, table: _Table, value: Any) -> None:
        assert isinstance(table.value, dict) and table.key is not None
        if table.key == _MERGE:
            tables = value if isinstance(value, list) else [value]
            table.merged += [one for one in tables if isinstance(one, dict)]
        else:
            table.value[table.key] = value


@lru_cache(maxsize=4096)
def plain(text: str) -> Any:
    """The value of a scalar without quotes, by the rules of YAML 1.1, but for dates and times.

    >>> plain("no"), plain("1_000"), plain("010"), plain("1e-5"), plain("1:30"), plain("~")
    (False, 1000, 8, '1e-5', '1:30', None)
    """
    import yaml

    loader = yaml.SafeLoader
    first = text[:1]
    for tag, pattern in loader.yaml_implicit_resolvers.get(first, []):
        if pattern.match(text):
            return _converted(tag.removeprefix(_STANDARD), text)
    return text


def _converted(kind: str, text: str) -> Any:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("yes", "true", "on")
    if kind not in ("int", "float") or ":" in text:
        return text
    digits = text.replace("_", "").lower()
    try:
        return _whole(digits) if kind == "int" else float(_spelled(digits))
    except ValueError:
        return text


def _whole(digits: str) -> int:
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if digits.startswith(("0b", "0x")):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if digits.startswith("0") and digits != "0" else 10)


def _spelled(digits: str) -> str:
    return digits.replace(".inf", "inf").replace(".nan", "nan")


def _tagged(tag: str | None, text: str) -> Any:
    """A value in quotes, or with a tag. A variable of a tool is written as one; other tags of tools
    stay in the text, for without them it would say something else."""
    if tag is None or tag in ("!", f"{_STANDARD}str", f"{_STANDARD}binary"):
        return text
    if _VARIABLE.match(tag):
        return text if "$" in text or not re.fullmatch(r"\w+", text) else f"${{{text}}}"
    if tag.startswith(_STANDARD):
        kind = tag.removeprefix(_STANDARD)
        return _converted(kind, text) if kind in ("null", "bool", "int", "float") else text
    return f"{tag} {text}".strip()

