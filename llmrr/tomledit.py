"""Changing values in TOML text: what is not changed stays as it is written, to the byte.

What was changed is parsed again, and kept only if it says what it is to say and nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from llmrr.tomllayout import Layout, Place, Span, layout, line_end
from llmrr.tomltext import key_text, toml_text

_BYTE_ORDER = "\N{ZERO WIDTH NO-BREAK SPACE}"


class Edit(NamedTuple):
    """What takes the place of ``start`` to ``end``; others of the same reading may be made with
    it, unless it ``is_alone``: they might build on it."""

    start: int
    end: int
    text: str
    is_alone: bool = False


class UnusualText(ValueError):
    """A value cannot be changed where it stands; the text is that of the place."""


_NOTHING = Edit(0, 0, "")


def with_values(text: str, changes: Sequence[tuple[Place, object]]) -> str:
    """The text with several values changed, one after the other; None takes one out, and a table
    for the index behind the last of an array adds one. Raises
    ``TOMLDecodeError`` for a text that is none, ``UnusualText``.

    >>> text = "models = [{ name = 'a' }]\\n"
    >>> with_values(text, [(("models", 0, "weight"), 0.5), (("models", 1), {"name": "b"})])
    'models = [{ name = \\'a\\', weight = 0.5 }, { name = "b" }]\\n'
    """
    import tomllib

    mark = _BYTE_ORDER if text.startswith(_BYTE_ORDER) else ""
    text = text.removeprefix(mark)
    try:
        wanted, left = tomllib.loads(text), list(changes)
        for place, value in left:
            _change(wanted, place, value)
        while left:
            edits = _batch(text, left)
            text = _applied(text, edits)
            left = left[len(edits) :]
        is_kept = _says(text, wanted)
    except RecursionError:  # nested too deeply
        is_kept = False
    if not is_kept:
        raise UnusualText(_named(place for place, _ in changes))
    return mark + text


def with_tables(text: str, family: str, written: str) -> str:
    """The text with whole tables, as they are written, with comments, behind the last of their
    family (``[[models]]``, ``[templates.…]``), or at the end. Raises what ``with_values`` does.

    >>> print(with_tables("[[a]]\\nb = 1\\n[c]\\n", "a", "# why\\n[[a]]\\nb = 2\\n"), end="")
    [[a]]
    b = 1
    <BLANKLINE>
    # why
    [[a]]
    b = 2
    [c]
    """
    import tomllib

    mark = _BYTE_ORDER if text.startswith(_BYTE_ORDER) else ""
    text = text.removeprefix(mark)
    wanted = tomllib.loads(text)
    for name, value in tomllib.loads(written).items():
        if isinstance(value, list):
            wanted[name] = [*wanted.get(name, ()), *value]
        else:
            wanted[name] = {**wanted.get(name, {}), **value}
    found, lines = layout(text), written.rstrip("\n").split("\n")
    ends = [end for at, (_, end) in found.headers.items() if at[:1] == (family,)]
    ends += [span.end for span in found.values.values() if span.header[:1] == (family,)]
    if ends:
        edit = _with_line(text, line_end(text, max(ends) - 1), "", *lines)
    else:
        edit = _at_the_end(text, lines)
    text = _applied(text, [edit])
    if not _says(text, wanted):
        raise UnusualText(family)
    return mark + text


def _says(text: str, wanted: dict[str, Any]) -> bool:
    import tomllib

    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _named(places: Iterable[Place]) -> str:
    return ", ".join(".".join(map(str, place)) for place in places)


def _batch(text: str, changes: Sequence[tuple[Place, object]]) -> list[Edit]:
    """What the first of the changes come to, as many as can be made from one reading."""
    found, edits = layout(text), list[Edit]()
    for place, value in changes:
        before = (other for other, _ in changes[: len(edits)])
        if any(place[: len(other)] == other for other in before):
            break
        edit = _edit(text, found, place, value)
        if edits and (edit.is_alone or any(_overlap(edit, other) for other in edits)):
            break
        edits.append(edit)
        if edit.is_alone:
            break
    return edits


def _overlap(one: Edit, other: Edit) -> bool:
    return one.start < other.end and other.start < one.end


def _applied(text: str, edits: Iterable[Edit]) -> str:
    pieces, at = [], 0
    for edit in sorted(edits, key=lambda one: one.start):  # those of one place keep their order
        pieces += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*pieces, text[at:]])


def _edit(text: str, found: Layout, place: Place, value: object) -> Edit:
    if place in found.values:
        span = found.values[place]
        if value is None:
            return _without(text, span)
        return Edit(span.start, span.end, toml_text(value))
    if value is None:
        return _NOTHING
    if isinstance(place[-1], int):
        return _appended(text, found, place, value)
    return _inserted(text, found, place, value)


def _without(text: str, span: Span) -> Edit:
    """Without the lines of a statement."""
    start = text.rfind("\n", 0, span.key) + 1
    if text[start : span.key].strip():
        return _NOTHING  # inside an inline table
    return Edit(start, line_end(text, span.end), "")


def _inserted(text: str, found: Layout, place: Place, value: object) -> Edit:
    """With a key that its table does not have."""
    *above, leaf = place
    table = tuple(above)
    written = f"{key_text(str(leaf))} = {toml_text(value)}"
    if table in found.values:  # an inline table
        return _into_inline(text, found.values[table], _last_inside(found, table), written)
    if table in found.headers or not table:
        at = found.ends.get(table)
        if at is not None:
            return _with_line(text, line_end(text, at), written)
        return _with_line(text, found.headers[table][1] if table else _top(text, found), written)
    dotted = [(span, other) for other, span in found.values.items()
              if other[: len(table)] == table and not _is_inside(other, found)
              and len(span.header) < len(table)]  # fmt: skip
    if dotted:
        span = max(dotted)[0]
        names = [key_text(str(part)) for part in table[len(span.header) :]]
        return _with_line(text, line_end(text, span.end), ".".join([*names, written]))
    header = ".".join(key_text(str(part)) for part in table)
    return _at_the_end(text, [f"[{header}]", written])


def _appended(text: str, found: Layout, place: Place, value: object) -> Edit:
    """With one more table of an array."""
    array = place[:-1]
    if not isinstance(value, Mapping):
        raise UnusualText(_named([place]))
    if array in found.values:
        last = _last_inside(found, array)
        if last is not None and (line := _below(text, found.values[array], last, value)):
            return line
        return _into_inline(text, found.values[array], last, toml_text(dict(value)), space="")
    header = ".".join(key_text(str(part)) for part in array)
    lines = [f"[[{header}]]"]
    lines += [f"{key_text(str(name))} = {toml_text(each)}" for name, each in value.items()]
    ends = [end for at, (_, end) in found.headers.items() if at[: len(array)] == array]
    ends += [span.end for span in found.values.values() if span.header[: len(array)] == array]
    if not ends:
        return _at_the_end(text, lines)
    return _with_line(text, line_end(text, max(ends) - 1), "", *lines)._replace(is_alone=True)


def _below(text: str, array: Span, last: int, value: Mapping[str, Any]) -> Edit | None:
    """With one more table in a line of its own, where the last one has one; None elsewhere."""
    import re

    start, end = text.rfind("\n", 0, last) + 1, text.find("\n", last)
    after = re.fullmatch(r"([^\S\n]*,)?[^\S\n]*(#[^\n]*)?", text[last:end].rstrip("\r"))
    if start <= array.start or end == -1 or end >= array.end or after is None:
        return None
    newline = "\r\n" if text[:end].endswith("\r") else "\n"
    indent = text[start : len(text) - len(text[start:].lstrip(" \t"))]
    comma = after[1] is not None
    written = f"{newline}{indent}{toml_text(dict(value))}{',' if comma else ''}"
    return Edit(last, last + after.end(), ("" if comma else ",") + after[0] + written, True)


def _into_inline(text: str, span: Span, last: int | None, written: str, space: str = " ") -> Edit:
    """With one more thing in an inline table or an array."""
    if last is not None:
        return Edit(last, last, f", {written}", True)
    opening, closing = text[span.start], text[span.end - 1]
    return Edit(span.start, span.end, f"{opening}{space}{written}{space}{closing}", True)


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


def _with_line(text: str, at: int, *lines: str) -> Edit:
    """With whole lines at ``at``, which begins a line or ends the text."""
    end = "\r\n" if "\r\n" in text else "\n"
    is_open = at > 0 and text[at - 1] != "\n"
    return Edit(at, at, (end if is_open else "") + "".join(line + end for line in lines), is_open)


def _at_the_end(text: str, lines: Iterable[str]) -> Edit:
    edit = _with_line(text, len(text), *([""] if text.strip() else []), *lines)
    return edit._replace(is_alone=True)


def _change(table: dict[str, Any], place: Place, value: object) -> None:
    """Change the parsed text as it is to be. Raises ``UnusualText`` where there is no such place.
    """
    here: Any = table
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
        raise UnusualText(_named([place])) from exc
