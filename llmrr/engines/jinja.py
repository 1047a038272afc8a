"""Renders one Jinja text as Hugging Face does: minijinja where it gives the same, else jinja2.

A template comes out of a model's file, so it is not trusted, and neither library bounds what a
template takes: minijinja counts steps, and forty of them that each double a text fill any memory,
which ends the process; jinja2 counts nothing. So this is run where that does no harm: in a process
of its own (``rendering``), or for a text that cannot grow (``plain``). What is seen to here is that
a template comes at nothing but its values: minijinja knows no Python objects, and jinja2 has its
immutable sandbox.

This module imports nothing of ours: it is what that process loads, and shall start quickly.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

# 70 real templates need 200 to 1,000 steps for one turn, and up to 170 for each turn more. What
# takes longer goes to jinja2: a loop could nest lists until Rust's stack overflows.
FUEL = 20_000
MOST_CHARACTERS = 16_000_000

# minijinja's parser recurses per operator without a bound: 18,800 of them take a stack of 8 MiB.
# Real templates have up to 17,000 characters in all.
LONGEST_FAST = 20_000

# Hugging Face's tag around what the assistant said, for training: here it means nothing.
_GENERATION = re.compile(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}")

# What minijinja renders without an error and yet differently from jinja2, found by comparing both
# over all filters, tests, methods and operators: what the text shows …
DIFFERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("title() begins a word at other places", re.compile(r"\.title\(")),
    ("a macro has no varargs", re.compile(r"\bvarargs\b")),
    ("a width in a format is not bounded", re.compile(r"\d{7}")),
)
# … and what is only known once it is used: these stop it, and jinja2 is asked. A string marked safe
# escapes what is joined to it; indent drops a newline at the end; pprint sorts keys, and so on.
# Left are floats in exponent notation and as whole numbers in tojson, and loop.last over letters.
DIFFERENT_FILTERS = (
    "safe",
    "escape",
    "e",
    "forceescape",
    "urlize",
    "xmlattr",
    "striptags",
    "indent",
    "pprint",
    "urlencode",
)

_OPTIONAL = re.compile(
    r"(?<![.\w'\"])([A-Za-z_]\w*)\s*(?:\|\s*default\b|is\s+(?:not\s+)?(?:un)?defined\b)"
)


class Refused(Exception):
    """The template called ``raise_exception``: its own words."""


class Unrenderable(Exception):
    """The template is broken, or went over a limit."""


_EXTENSIONS = ("jinja2.ext.loopcontrols",)
Renderer = Callable[[Mapping[str, Any]], str]
Clock = Callable[[], "datetime"]


def differs(text: str) -> str | None:
    """Why minijinja would render this text differently; None where it renders the same."""
    return next((why for why, pattern in DIFFERS if pattern.search(text)), None)


def prepare(text: str) -> str:
    """The text without ``{% generation %}``, with the spaces that it controls as before, and with
    line ends as jinja2 reads them."""
    return _GENERATION.sub(
        lambda tag: f"{{%{tag[1]} {'endif' if tag[2] else 'if true'} {tag[3]}%}}",
        re.sub(r"\r\n?", "\n", text),
    )


class Jinja:
    """One template, rendered by minijinja until that fails, and then by jinja2."""

    def __init__(self, text: str, now: Clock) -> None:
        self._text, self._now = prepare(text), now
        self._fast: Renderer | None = None
        self._thorough: Renderer | None = None

    @property
    def by(self) -> str:
        """Which library rendered it last."""
        return "jinja2" if self._thorough else "minijinja"

    def render(self, values: Mapping[str, Any]) -> str:
        """The text. Raises ``Refused`` and ``Unrenderable``."""
        if self._thorough is None and differs(self._text) is None:
            try:
                self._fast = self._fast or fast(self._text, self._now)
                return self._fast(values)
            except Refused:
                raise
            except Exception:  # whatever minijinja cannot do, or stopped: jinja2 has the last word
                self._fast = None
        self._thorough = self._thorough or thorough(self._text, self._now)
        return self._thorough(values)


def fast(text: str, now: Clock, *, fuel: int = FUEL) -> Renderer:
    """The minijinja renderer. Raises ``Refused``, or anything else where jinja2 has to be asked."""
    import minijinja

    if len(text) > LONGEST_FAST:
        raise Unrenderable("minijinja does not bound its recursion")
    environment = minijinja.Environment(
        templates={"chat": text}, trim_blocks=True, lstrip_blocks=True, fuel=fuel, debug=False
    )
    environment.add_filter("tojson", lambda value, **form: to_json(_certain(value), **form))
    for name in DIFFERENT_FILTERS:
        environment.add_filter(name, _ask_jinja2)
    environment.add_test("sequence", lambda value: _sized(_certain(value)))
    environment.add_test("iterable", lambda value: _sized(_certain(value)))
    environment.add_global("raise_exception", _refuse)
    environment.add_global("strftime_now", lambda form: now().strftime(form))
    return lambda values: _panicless(lambda: str(environment.render_template("chat", **values)))


def check(text: str) -> None:
    """Raise ``Unrenderable``, with the line, for a text that jinja2 cannot read: it has the last
    word in rendering too."""
    from jinja2 import Environment, TemplateError

    try:
        Environment(extensions=_EXTENSIONS).parse(prepare(text))
    except TemplateError as exc:
        raise _broken(exc) from exc
    except Exception as exc:  # nested deeper than Python can go
        raise Unrenderable(f"{type(exc).__name__}: {exc}") from exc


def free_names(text: str) -> list[str]:
    """The names that the template reads and does not define; all of them in a broken one."""
    import minijinja

    text = prepare(text)
    environment = minijinja.Environment(templates={"chat": text})
    try:
        if len(text) > LONGEST_FAST:
            raise Unrenderable
        read = _panicless(lambda: environment.undeclared_variables_in_template("chat"))
        # minijinja takes the name in ``set x = x | default(1)`` for one that is defined.
        return sorted({*read, *_OPTIONAL.findall(text)})
    except Exception:  # a syntax that only jinja2 knows: then any name that occurs may be read
        return sorted(set(re.findall(r"[A-Za-z_]\w*", text)))


def _panicless(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception:
        raise
    except BaseException as exc:  # a panic in Rust derives from BaseException
        if type(exc).__name__ != "PanicException":
            raise
        raise Unrenderable(f"minijinja panics: {exc}") from exc


def thorough(text: str, now: Clock) -> Renderer:
    """The jinja2 renderer. Raises ``Refused`` and ``Unrenderable``."""
    from jinja2 import Template, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=_EXTENSIONS
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: now().strftime(form)

    compiled: list[Template] = []

    def render(values: Mapping[str, Any]) -> str:
        try:
            if not compiled:
                compiled.append(environment.from_string(text))
            return _joined(compiled[0].generate(**values))
        except (Refused, Unrenderable):
            raise
        except TemplateError as exc:
            raise _broken(exc) from exc
        except MemoryError as exc:
            raise Unrenderable("it takes too much memory") from exc
        except Exception as exc:  # whatever Python raises for what the template wrote
            raise Unrenderable(f"{type(exc).__name__}: {exc}") from exc

    return render


def _broken(exc: Exception) -> Unrenderable:
    line = getattr(exc, "lineno", None)
    return Unrenderable(f"{exc}{f' (line {line})' if line else ''}")


def no_clock() -> "datetime":
    """The clock of a template that asks for no time."""
    raise Unrenderable("there is no clock here")


def to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as Hugging Face's templates expect it: nothing escaped for HTML, no sorted keys."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=(separators[0], separators[1]) if separators else None,
        sort_keys=sort_keys,
    )


def _ask_jinja2(*values: Any, **form: Any) -> str:
    raise Unrenderable("minijinja renders it differently")


def _certain(value: Any) -> Any:
    """The value, unless it is None: what is undefined looks the same, and jinja2 differs there."""
    return _ask_jinja2() if value is None else value


def _sized(value: Any) -> bool:
    return hasattr(value, "__len__")


def _refuse(message: object) -> str:
    raise Refused(str(message)[:1000])


def _joined(pieces: Iterator[str]) -> str:
    parts, characters = [], 0
    for piece in pieces:
        characters += len(piece)
        if characters > MOST_CHARACTERS:
            raise Unrenderable(f"it makes more than {MOST_CHARACTERS:,} characters")
        parts.append(piece)
    return "".join(parts)
