"""Renders one Jinja text as Hugging Face does: minijinja where it gives the same, else jinja2.

A template comes out of a model's file, so it is not trusted. minijinja runs with a fuel limit and
no access to Python objects. jinja2 runs in its immutable sandbox, with a bound on steps, on what
is written and on the strings and lists that ``+`` and ``*`` make. What neither bounds is memory
that other operations take: a template that doubles a string by ``~`` can still exhaust it.
"""

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import FrameType
from typing import Any, TypeVar

# 70 real templates need 200 to 1,000 steps for one turn, and up to 170 for each turn more. What
# takes longer goes to jinja2: a loop could nest lists until Rust's stack overflows.
FUEL = 20_000
STEPS = 2_000_000
MOST_CHARACTERS = 16_000_000
LONGEST_TEMPLATE = 100_000

# minijinja's parser recurses per operator without a bound: 18,800 of them end the process on a
# stack of 8 MiB, and one that reads a variable takes time by their square. Real templates have up
# to 17,000 characters in all.
LONGEST_FAST = 20_000
FITS_ANY_STACK = 8_000
STACK_BYTES = 64 << 20

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


Renderer = Callable[[Mapping[str, Any]], str]
Result = TypeVar("Result")

_stack_lock = threading.Lock()


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


def fast(text: str, now: Callable[[], datetime]) -> Renderer:
    """The minijinja renderer. Raises ``Refused``, or anything else where jinja2 has to be asked."""
    import minijinja

    if len(text) > LONGEST_FAST:
        raise Unrenderable("minijinja does not bound its recursion")
    environment = minijinja.Environment(
        templates={"chat": text}, trim_blocks=True, lstrip_blocks=True, fuel=FUEL, debug=False
    )
    environment.add_filter("tojson", lambda value, **form: to_json(_certain(value), **form))
    for name in DIFFERENT_FILTERS:
        environment.add_filter(name, _ask_jinja2)
    environment.add_test("sequence", lambda value: _sized(_certain(value)))
    environment.add_test("iterable", lambda value: _sized(_certain(value)))
    environment.add_global("raise_exception", _refuse)
    environment.add_global("strftime_now", lambda form: now().strftime(form))

    def render(values: Mapping[str, Any]) -> str:
        return _roomy(text, lambda: str(environment.render_template("chat", **values)))

    return render


def free_names(text: str) -> frozenset[str]:
    """The names that the template reads and does not define; all of them in a broken one."""
    import minijinja

    environment = minijinja.Environment(templates={"chat": text})
    try:
        if len(text) > LONGEST_FAST:
            raise Unrenderable
        read = _roomy(text, lambda: environment.undeclared_variables_in_template("chat"))
        # minijinja takes the name in ``set x = x | default(1)`` for one that is defined.
        return frozenset([*read, *_OPTIONAL.findall(text)])
    except Exception:  # a syntax that only jinja2 knows: then any name that occurs may be read
        return frozenset(re.findall(r"[A-Za-z_]\w*", text))


def _roomy(text: str, work: Callable[[], Result]) -> Result:
    """What minijinja's work gives, on a larger stack where its recursion could need one."""
    if len(text) <= FITS_ANY_STACK:
        return _panicless(work)
    done: list[Result] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(_panicless(work))
        except Exception as exc:  # raised again below, in the thread that asked
            failed.append(exc)

    with _stack_lock:
        before = threading.stack_size(STACK_BYTES)
        try:
            thread = threading.Thread(target=run)
            thread.start()
        finally:
            threading.stack_size(before)
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _panicless(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except Exception:
        raise
    except BaseException as exc:  # a panic in Rust derives from BaseException
        if type(exc).__name__ != "PanicException":
            raise
        raise Unrenderable(f"minijinja panics: {exc}") from exc


def thorough(text: str, now: Callable[[], datetime]) -> Renderer:
    """The jinja2 renderer. Raises ``Refused`` and ``Unrenderable``."""
    from jinja2 import Template, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(["+", "*", "**", "%"])

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            _bound(_length(operator, left, right))
            return super().call_binop(context, operator, left, right)

        def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
            form = super().wrap_str_format(value)
            return form and _narrow(form, value.__self__)

        def call(self, context: Any, called: Any, *values: Any, **named: Any) -> Any:
            if isinstance(owner := getattr(called, "__self__", None), str):
                _bound(_width(owner, *values))
            return super().call(context, called, *values, **named)

    environment = Environment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = to_json
    for name in ("center", "format", "indent"):
        environment.filters[name] = _narrow(environment.filters[name])
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: now().strftime(form)

    compiled: list[Template] = []

    def render(values: Mapping[str, Any]) -> str:
        try:
            if not compiled:
                compiled.append(environment.from_string(text))
            with _bounded():
                return _joined(compiled[0].generate(**values))
        except (Refused, Unrenderable):
            raise
        except TemplateError as exc:
            line = getattr(exc, "lineno", None)
            raise Unrenderable(f"{exc}{f' (line {line})' if line else ''}") from exc
        except Exception as exc:  # whatever Python raises for what the template wrote
            raise Unrenderable(f"{type(exc).__name__}: {exc}") from exc

    return render


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


def _bound(characters: int) -> None:
    if characters > MOST_CHARACTERS:
        raise Unrenderable(f"it makes more than {MOST_CHARACTERS:,} characters")


def _length(operator: str, left: Any, right: Any) -> int:
    """How long the result of an operation may be, in characters, items or digits."""
    if operator == "%":
        return _width(left) if isinstance(left, str) else 0
    sizes = [len(side) if hasattr(side, "__len__") else 0 for side in (left, right)]
    if operator == "+":
        return sum(sizes)
    numbers = [abs(side) for side in (left, right) if isinstance(side, int)]
    if operator == "*":
        return max(sizes) * max(numbers, default=0)
    return numbers[0].bit_length() * numbers[1] if len(numbers) == 2 else 0


def _width(*values: Any) -> int:
    """The widest field that a format string, or a number beside it, asks for."""
    widths = [int(found) for found in re.findall(r"[:%][^\s{}]*?(\d{6,18})", str(values[0]))]
    return max([*widths, *(value for value in values if isinstance(value, int))], default=0)


def _narrow(made: Callable[..., Any], *first: str) -> Callable[..., Any]:
    """What ``made`` makes, with no number that asks for more characters than there may be."""

    def bounded(*values: Any, **named: Any) -> Any:
        _bound(_width(*first, *values, *named.values()))
        return made(*values, **named)

    return bounded


def _joined(pieces: Iterator[str]) -> str:
    parts, characters = [], 0
    for piece in pieces:
        characters += len(piece)
        _bound(characters)
        parts.append(piece)
    return "".join(parts)


@contextmanager
def _bounded() -> Iterator[None]:
    """Count the lines of compiled template that run in this thread, and stop at ``STEPS``.

    jinja2 has no limit of its own. Its templates are Python code, so the interpreter's trace hook
    sees each of their lines; other code only pays for its calls.
    """
    left = STEPS

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Unrenderable(f"it takes more than {STEPS:,} steps")
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        return line if frame.f_code.co_filename == "<template>" else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(before)
