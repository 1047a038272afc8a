"""Changing values in TOML text: what is not changed stays as it is written, to the byte.

What was changed is parsed again, and kept only if it says what it is to say and nothing else.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from llmrr.tomllayout import Layout, Place, Span, layout, line_end
from llmrr.tomltext import key_text, toml_text

_BYTE_ORDER = "\N{ZERO WIDTH NO-BREAK SPACE}"


class UnusualText(ValueError):
    """A value cannot be changed where it stands; the text is that of the place."""


def with_value(text: str, key: str, value: object) -> str:
    """The text with one plain setting, by its dotted key, replaced, added to its table or, for
    None, taken out. Raises ``TOMLDecodeError`` for a text that is none, ``UnusualText``.

    >>> print(with_value("a = 1  # why\\n[t]\\nb = 2\\n", "a", 3), end="")
    a = 3  # why
    [t]
    b = 2
    """
    return with_values(text, [(tuple(key.split(".")), value)])


def with_values(text: str, changes: Iterable[tuple[Place, object]]) -> str:
    """The text with several values changed, one after the other; None takes one out, and a table
    for the index behind the last of an array adds one. Raises what ``with_value`` does.

    >>> text = "models = [{ name = 'a' }]\\n"
    >>> with_values(text, [(("models", 0, "weight"), 0.5), (("models", 1), {"name": "b"})])
    'models = [{ name = \\'a\\', weight = 0.5 }, { name = "b" }]\\n'
    """
    import tomllib

    mark = _BYTE_ORDER if text.startswith(_BYTE_ORDER) else ""
    text = text.removeprefix(mark)
    for place, value in changes:
        try:
            wanted = _changed(tomllib.loads(text), place, value)
            text = _edited(text, place, value)
            is_kept = _says(text, wanted)
        except RecursionError:  # nested too deeply
            is_kept = False
        if not is_kept:
            raise UnusualText(".".join(map(str, place)))
    return mark + text


def _says(text: str, wanted: dict[str, Any]) -> bool:
    import tomllib

    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _edited(text: str, place: Place, value: object) -> str:
    found = layout(text)
    if place in found.values:
        span = found.values[place]
        if value is None:
            return _without(text, span)
        return text[: span.start] + toml_text(value) + text[span.end :]
    if value is None:
        return text
    if isinstance(place[-1], int):
        return _appended(text, found, place, value)
    return _inserted(text, found, place, value)


def _without(text: str, span: Span) -> str:
    """Without the lines of a statement."""
    start = text.rfind("\n", 0, span.key) + 1
    if text[start : span.key].strip():
        return text  # inside an inline table
    return text[:start] + text[line_end(text, span.end) :]


def _inserted(text: str, found: Layout, place: Place, value: object) -> str:
    """With a key that its table does not have."""
    *above, leaf = place
    table = tuple(above)
    written = f"{key_text(str(leaf))} = {toml_text(value)}"
    if table in found.values:  # an inline table
        return _into_inline(text, found.values[table], _last_inside(found, table), written)
    if table in found.headers or not table:
        own = [span.end for other, span in found.values.items()
               if span.header == table and not _is_inside(other, found)]  # fmt: skip
        if own:
            return _with_line(text, line_end(text, max(own)), written)
        if table:
            return _with_line(text, found.headers[table][1], written)
        return _with_line(text, _top(text, found), written)
    dotted = [(span, other) for other, span in found.values.items()
              if other[: len(table)] == table and not _is_inside(other, found)
              and len(span.header) < len(table)]  # fmt: skip
    if dotted:
        span = max(dotted)[0]
        names = [key_text(str(part)) for part in table[len(span.header) :]]
        return _with_line(text, line_end(text, span.end), ".".join([*names, written]))
    header = ".".join(key_text(str(part)) for part in table)
    return _at_the_end(text, [f"[{header}]", written])


def _appended(text: str, found: Layout, place: Place, value: object) -> str:
    """With one more table of an array."""
    array = place[:-1]
    if not isinstance(value, Mapping):
        raise UnusualText(".".join(map(str, place)))
    if array in found.values:
        return _into_inline(
            text, found.values[array], _last_inside(found, array), toml_text(dict(value)), space=""
        )
    header = ".".join(key_text(str(part)) for part in array)
    lines = [f"[[{header}]]"]
    lines += [f"{key_text(str(name))} = {toml_text(each)}" for name, each in value.items()]
    ends = [end for at, (_, end) in found.headers.items() if at[: len(array)] == array]
    ends += [span.end for span in found.values.values() if span.header[: len(array)] == array]
    if not ends or place[-1] == 0:
        return _at_the_end(text, lines)
    return _with_line(text, line_end(text, max(ends) - 1), "", *lines)


def _into_inline(text: str, span: Span, last: int | None, written: str, space: str = " ") -> str:
    """With one more thing in an inline table or an array."""
    if last is not None:
        return f"{text[:last]}, {written}{text[last:]}"
    opening, closing = text[span.start], text[span.end - 1]
    return f"{text[: span.start]}{opening}{space}{written}{space}{closing}{text[span.end :]}"


def _last_inside(found: Layout, place: Place) -> int | None:
    """Where the last value in an inline table or an array ends."""
    inner = (
        span.end for other, span in found.values.items()
        if len(other) > len(place) and other[: len(place)] == place
    )  # fmt: skip
    return max(inner, default=None)


def _is_inside(place: Place, found: Layout) -> bool:
    """Whether a value stands in an inline table or an array."""
    return any(place[:depth] in found.values for depth in range(1, len(place)))


def _top(text: str, found: Layout) -> int:
    """Where a first key at the top goes: before the first table, and the comment that is its."""
    if found.first_header is None:
        return len(text)
    header = text.rfind("\n", 0, found.first_header) + 1
    at = header
    while at and text[text.rfind("\n", 0, at - 1) + 1 : at].lstrip().startswith("#"):
        at = text.rfind("\n", 0, at - 1) + 1
    return at or header


def _with_line(text: str, at: int, *lines: str) -> str:
    """With whole lines at ``at``, which begins a line or ends the text."""
    end = "\r\n" if "\r\n" in text else "\n"
    before = text[:at] + (end if at and text[at - 1] != "\n" else "")
    return before + "".join(line + end for line in lines) + text[at:]


def _at_the_end(text: str, lines: Iterable[str]) -> str:
    return _with_line(text, len(text), *([""] if text.strip() else []), *lines)


def _changed(table: dict[str, Any], place: Place, value: object) -> dict[str, Any]:
    """The parsed text as it is to be. Raises ``UnusualText`` where there is no such place."""
    wanted: Any = copy.deepcopy(table)
    here = wanted
    *above, leaf = place
    try:
        for part, inner in zip(above, place[1:], strict=True):
            empty: object = [] if isinstance(inner, int) else {}
            here = here.setdefault(part, empty) if isinstance(part, str) else here[part]
        if isinstance(leaf, int) and leaf == len(here):
            here.append(value)
        elif value is None and isinstance(here, dict):
            here.pop(leaf, None)
        else:
            here[leaf] = list(value) if isinstance(value, tuple) else value
    except (AttributeError, IndexError, KeyError, TypeError) as exc:
        raise UnusualText(".".join(map(str, place))) from exc
    return dict(wanted)
