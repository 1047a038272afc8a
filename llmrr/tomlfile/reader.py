"""Reads the tables of one file, each key held against the settings that there are."""

import errno
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import settings
from llmrr.errors import masked, nearest
from llmrr.tomlfile.stated import Problem
from llmrr.tomltext import complaint, is_secret, key_text, toml_text

if TYPE_CHECKING:
    from llmrr.tomllayout import Layout, Place


class Reader:
    """Collects what a file states and what is wrong with it."""

    def __init__(self, path: Path, folder: Path, *, is_file: bool = True) -> None:
        self.path, self.folder, self.is_file = path, folder, is_file
        self.text = ""
        self.models: dict[int, str] = {}  # their names, by place
        self.layout: Layout | None = None
        self.values: dict[str, tuple[object, object]] = {}
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def table(self, content: bytes | None) -> dict[str, object]:
        """The parsed file; empty with a problem noted when it cannot be parsed."""
        import tomllib

        try:
            raw = _content(self.path) if content is None else content
            self.text = raw.decode("utf-8-sig").replace("\r\n", "\n")
            return tomllib.loads(self.text)
        except OSError as exc:
            self.problems.append(
                Problem(f"cannot read {self.path}: {exc.strerror}", f"ls -ld {self.path}")
            )
        except UnicodeDecodeError as exc:
            self.problems.append(
                Problem(f"{self.path} is not UTF-8 (byte {exc.start})", "save it as UTF-8")
            )
        except tomllib.TOMLDecodeError as exc:
            self.problems.append(_syntax_problem(self.path, self.text, str(exc)))
        except RecursionError:
            self.problems.append(
                Problem(f"{self.path} is nested too deeply", f"edit {self.path}")
            )
        return {}

    def fail(self, place: "Place", message: str, hint: str = "") -> None:
        """Note a problem at ``place``; the message gets where that is."""
        line = self.line(place)
        where = in_line(self.path, line)
        number = f"models[{place[1]}]" if len(place) > 1 else ""
        if number and message.startswith(number) and (name := self.models.get(place[1])):  # type: ignore[arg-type]
            message = f"the model {name!r}: {message}"
        mend = f"edit {where}" if self.is_file else ""
        self.problems.append(Problem(masked(f"{message} ({where})"), masked(hint or mend), line))

    def note(self, place: "Place", message: str) -> None:
        """The same for what can be used, and is told."""
        self.notes.append(masked(f"{message} ({in_line(self.path, self.line(place))})"))

    def line(self, place: "Place") -> int | None:
        """Where a key is written, or the nearest table around it."""
        from llmrr.tomllayout import Layout, layout

        if self.layout is None:
            try:
                self.layout = layout(self.text)
            except RecursionError:
                self.layout = Layout()
        return self.layout.line(self.text, place)

    def value(self, spec: settings.Spec, raw: object, place: "Place") -> object:
        """The value in use of one setting, or None with a problem noted."""
        key = shown(place)
        if self.secret(raw, place):
            return None
        try:
            return spec.kind.parse(raw, self.folder)
        except ValueError as exc:
            why = str(exc)
            said = complaint(
                spec.leaf, raw, spec.kind.expected, why,
                named=key, written="" if why else f" = {_short(raw)}",
            )  # fmt: skip
            self.fail(place, said, f"for example: {spec.leaf} = {spec.example}")
        return None

    def secret(self, raw: object, place: "Place") -> bool:
        """Whether a key is written there, which is refused without repeating it."""
        if not is_secret(str(place[-1]), raw):
            return False
        self.fail(
            place,
            f"{shown(place)} holds a key, which does not belong into "
            f"{'this file' if self.is_file else 'a configuration'}",
            f"{_naming(place)} names its variable; replace a key that others could have read",
        )
        return True

    def unknown(self, place: "Place", raw: object, known: Iterable[str]) -> None:
        """Note an unknown key, with the known one that was probably meant."""
        if self.secret(raw, place):
            return
        name, known = str(place[-1]), list(known)
        near = nearest(name, known)
        elsewhere = [setting.key for setting in settings.SETTINGS if setting.leaf == name]
        if near:
            hint = f"did you mean {near}?"
        elif elsewhere:
            hint = f"it belongs elsewhere: {' or '.join(elsewhere)}"
        else:
            hint = f"known here: {', '.join(sorted(known))}; see man llmrr.toml"
        self.fail(place, f"unknown key {shown(place)}", hint)

    def plain(self, table: Mapping[str, object], above: tuple[str, ...]) -> None:
        """The settings of one value each, table by table."""
        known = settings.plain_settings()
        for name, raw in table.items():
            place = (*above, name)
            key = ".".join(place)
            inside = [other for other in known if other.startswith(f"{key}.")]
            if key in known and "." not in name:
                value = self.value(known[key], raw, place)
                self.values[key] = (value, raw)
            elif inside and "." not in name and isinstance(raw, dict):
                self.plain(raw, place)
            elif inside:
                self.fail(place, f"{key} = {_short(raw)} is not a table", f"write [{key}]")
            else:
                self.unknown(place, raw, _children(above))

    def fields(self, table: object, above: "Place", pattern: str) -> dict[str, object]:
        """The settings ``pattern.*`` that a table of a repeated thing states, in use."""
        if not isinstance(table, dict):
            self.fail(above, f"{shown(above)} = {_short(table)} is not a table")
            return {}
        known = {spec.leaf: spec for spec in settings.SETTINGS if spec.table == pattern}
        inside = f"{pattern}."
        tables = {
            spec.table.removeprefix(inside) for spec in settings.SETTINGS
            if spec.table.startswith(inside)
        }  # fmt: skip
        found = {}
        for name, raw in table.items():
            place = (*above, name)
            if name in known:
                found[name] = self.value(known[name], raw, place)
            elif name not in tables:
                self.unknown(place, raw, (*known, *tables))
        return found


def _naming(place: "Place") -> str:
    """What is to be written in place of a key.

    >>> _naming(("serve", "keys", "team", "hash")), _naming(("models", 0, "options", "api_key"))
    ('env = "NAME"', 'api_key_env = "NAME"')
    """
    if place[-1] == "headers_env":
        return 'headers_env = { HEADER = "NAME" }'
    is_named = place[:2] == ("serve", "keys") or place[-1] == "env"
    return 'env = "NAME"' if is_named else 'api_key_env = "NAME"'


def shown(place: "Place") -> str:
    """A place as a reader would name it.

    >>> shown(("models", 0, "params", "top k"))
    'models[0].params."top k"'
    """
    parts = (f"[{part}]" if isinstance(part, int) else f".{key_text(part)}" for part in place)
    return "".join(parts).removeprefix(".")


def line_of(path: Path, place: "Place") -> int | None:
    """Where a key is written in a file, or the nearest table around it."""
    reader = Reader(path, path.parent)
    reader.table(None)
    return reader.line(place)


def _content(path: Path) -> bytes:
    """What a file holds. Raises ``OSError``, also for what is none and may never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    return path.read_bytes()


def in_line(path: Path, line: int | None) -> str:
    """A file and where in it, as messages name them."""
    return f"{path}, line {line}" if line else str(path)


def _short(value: object) -> str:
    text = toml_text(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _children(above: tuple[str, ...]) -> list[str]:
    """The names that may stand in a table of plain settings."""
    prefix = "".join(f"{name}." for name in above)
    keys = [*settings.plain_settings(), *(() if above else ("models", "templates", "flags"))]
    inside = (key.removeprefix(prefix) for key in keys if key.startswith(prefix))
    return list(dict.fromkeys(key.partition(".")[0] for key in inside))


def _syntax_problem(path: Path, text: str, message: str) -> Problem:
    reason, _, place = message.rpartition(" (at ")
    match = re.fullmatch(r"line (\d+), column (\d+)\)", place)
    line = int(match[1]) if match else text.rstrip("\n").count("\n") + 1
    column = f", column {match[2]}" if match else ""
    reason = (reason or message)[:1].lower() + (reason or message)[1:]
    said = f"not valid TOML: {reason} ({path}, line {line}{column})"
    return Problem(said, f"edit {path}, line {line}", line)
