"""Functions of JavaScript whose result is known when their arguments are. Pure."""

import json
import posixpath
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urljoin

from llmrr.migrate.javascript.texts import read_number, written
from llmrr.migrate.terms.texts import literal
from llmrr.migrate.values import Env, Prompt, Value

HERE: Final = "."
LONGEST: Final = 200_000  # characters of a text that is put together


class NotKnown(Exception):
    """The result is not known."""


def variable(name: str) -> Env | None:
    """The environment variable that a dotted name stands for, or None.

    >>> variable("process.env.KEY").name, variable("./env.env.OPENAI_API_KEY").name
    ('KEY', 'OPENAI_API_KEY')
    >>> variable("c.env.KEY").name, variable("env.model"), variable("$env/static/private.K").name
    ('KEY', None, 'K')
    """
    patterns = (
        r"(?:.*[./])?(?:process(?:\.default)?|import\.meta|Bun)\.env\.([A-Za-z_]\w*)",
        r"(?:.*\.)?env\.([A-Z][A-Z0-9_]*)",
        r"\$env/(?:static|dynamic)/(?:private|public)\.(?:env\.)?([A-Za-z_]\w*)",
    )
    for pattern in patterns:
        if match := re.fullmatch(pattern, name):
            return Env(match[1])
    return None


def common(name: str) -> str:
    """A dotted name without what differs between ways of importing.

    >>> common("node:path.default.join"), common("globalThis.Number"), common("fs/promises.x")
    ('path.join', 'Number', 'fs/promises.x')
    """
    plain = name.removeprefix("node:").replace(".default.", ".")
    plain = re.sub(r"^(?:globalThis|window|global)\.", "", plain)
    return re.sub(r"^path(?:/|\.)posix\.", "path.", plain)


def called(name: str, args: Sequence[Value]) -> Value:
    """The result of a function. Raises ``NotKnown``.

    >>> called("node:path.join", [".", "models", "x.gguf"]), called("parseInt", ["12px"])
    ('./models/x.gguf', 12)
    """
    function = _FUNCTIONS.get(common(name))
    if function is None:
        raise NotKnown
    return function(args)


def method(value: Value, name: str, args: Sequence[Value]) -> Value:
    """The result of a method of a known value. Raises ``NotKnown``.

    >>> method(" a ", "trim", []), method(["a", "b"], "join", ["-"])
    ('a', 'a-b')
    """
    if isinstance(value, Env):
        if name not in _TEXTUAL:
            raise NotKnown
        has_default = isinstance(value.default, str | Env)
        return Env(value.name, method(value.default, name, args) if has_default else value.default)
    if isinstance(value, str) and name in _TEXTUAL:
        return _TEXTUAL[name](value)
    if isinstance(value, Prompt) and name in ("trim", "trimStart", "trimEnd", "toString"):
        return Prompt(_TEXTUAL[name](value.text), value.holes)
    if isinstance(value, str) and name == "split" and len(args) == 1 and isinstance(args[0], str):
        return list(value.split(args[0])) if args[0] else list(value)
    if isinstance(value, str | Prompt) and name == "concat":
        return joined([value, *args], "")
    if isinstance(value, list) and name == "join":
        separator = args[0] if args else ","
        if isinstance(separator, str):
            return joined(value, separator)
    if isinstance(value, list) and name == "concat":
        parts = [part if isinstance(part, list) else [part] for part in args]
        return [*value, *(one for part in parts for one in part)]
    raise NotKnown


def joined(parts: Sequence[Value], separator: str = "") -> str | Prompt:
    """Texts as one; a ``Prompt`` where one of them is. Raises ``NotKnown``.

    >>> joined(["a{", Prompt("{x}", ("x",)), 1])
    Prompt(text='a{{{x}1', holes=('x',))
    """
    holes: dict[str, None] = {}
    is_prompt = any(isinstance(one, Prompt) for one in parts)
    texts = []
    for one in parts:
        if isinstance(one, Prompt):
            texts.append(one.text)
            holes.update(dict.fromkeys(one.holes))
        elif one is None or isinstance(one, str | int | float):
            text = written(one)
            texts.append(literal(text) if is_prompt else text)
        else:
            raise NotKnown
    if sum(map(len, texts)) + len(separator) * len(texts) > LONGEST:
        raise NotKnown
    if is_prompt:
        separator = literal(separator)
        return Prompt(separator.join(texts), tuple(holes))
    return separator.join(texts)


def dedented(value: Value) -> Value:
    """What a tag like ``dedent`` makes of a text. Raises ``NotKnown``."""
    if isinstance(value, str):
        return textwrap.dedent(value).strip()
    if isinstance(value, Prompt):
        return Prompt(textwrap.dedent(value.text).strip(), value.holes)
    raise NotKnown


def number_of(value: Value, *, whole: bool = False, prefix: bool = False) -> Value:
    """A number, also of a variable's default. Raises ``NotKnown``.

    >>> number_of(Env("N", "7")), number_of("7.5", whole=True, prefix=True)
    (Env(name='N', default=7), 7)
    """
    if isinstance(value, Env):
        if value.default is None:
            return value
        return Env(value.name, number_of(value.default, whole=whole, prefix=prefix))
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return int(value) if whole else value
    if isinstance(value, str):
        found = read_number(value, whole=whole, prefix=prefix)
        if found is not None:
            return found
    raise NotKnown


def _join(args: Sequence[Value]) -> Value:
    texts = [one for one in _texts(args) if one]
    # what is absolute does not start anew, as it would in posixpath
    found = posixpath.normpath("/".join(texts)) if texts else HERE
    return _from_here(found.replace("//", "/"), texts)


def _resolve(args: Sequence[Value]) -> Value:
    found = posixpath.normpath(posixpath.join(HERE, *_texts(args)))
    return _from_here(found, [HERE])


def _from_here(found: str, texts: Sequence[str]) -> str:
    """A path that began in the file's folder says so."""
    is_here = bool(texts) and (texts[0] == HERE or texts[0].startswith("./"))
    if found == HERE or not is_here or found.startswith(("/", "../", "~")) or found == "..":
        return found
    return f"./{found}"


def _texts(args: Sequence[Value]) -> list[str]:
    texts = [one for one in args if isinstance(one, str)]
    if len(texts) != len(args) or sum(map(len, texts)) > 10_000:
        raise NotKnown
    return [one.replace("\\", "/") for one in texts]


def _dirname(args: Sequence[Value]) -> Value:
    (path,) = _texts(args[:1]) or [""]
    if path in (".", "./"):
        return ".."
    return posixpath.dirname(path) or HERE


def _basename(args: Sequence[Value]) -> Value:
    texts = _texts(args[:2])
    if not texts:
        raise NotKnown
    found = posixpath.basename(texts[0])
    return found.removesuffix(texts[1]) if len(texts) > 1 else found


def _address(args: Sequence[Value]) -> Value:
    """``new URL(path, base)``: beside the file, or below an address."""
    texts = _texts(args[:2])
    if not texts:
        raise NotKnown
    path, base = texts[0], texts[1] if len(texts) > 1 else ""
    if base.startswith(("http:", "https:", "ws:", "wss:")):
        try:
            return urljoin(base, path)
        except ValueError:
            raise NotKnown from None
    if not base or re.match(r"[a-z][a-z+.-]*:", path, re.IGNORECASE):
        return path
    return _resolve([posixpath.dirname(base), path])


def _first(args: Sequence[Value]) -> Value:
    if not args:
        raise NotKnown
    return args[0]


def _text(args: Sequence[Value]) -> Value:
    value = _first(args)
    return value if isinstance(value, Env | Prompt) else joined([value])


def _merged(args: Sequence[Value]) -> Value:
    found: dict[str, Value] = {}
    for one in args:
        if not isinstance(one, dict):
            raise NotKnown
        found.update(one)
    return found


def _environment(args: Sequence[Value]) -> Value:
    name = _first(args)
    if not isinstance(name, str):
        raise NotKnown
    return Env(name)


def _parsed(args: Sequence[Value]) -> Value:
    text = _first(args)
    if not isinstance(text, str) or len(text) > 20_000:
        raise NotKnown
    try:
        found: Value = json.loads(text)
    except (ValueError, RecursionError):
        raise NotKnown from None
    return found


def _integer(args: Sequence[Value]) -> Value:
    if len(args) > 1 and args[1] != 10:
        raise NotKnown
    return number_of(_first(args), whole=True, prefix=True)


def _float(args: Sequence[Value]) -> Value:
    return number_of(_first(args), prefix=True)


def _here(args: Sequence[Value]) -> Value:
    return HERE


_FUNCTIONS: Final[dict[str, Callable[[Sequence[Value]], Value]]] = {
    "path.join": _join, "path.resolve": _resolve, "path.dirname": _dirname,
    "path.basename": _basename, "path.normalize": _join, "join": _join, "resolve": _resolve,
    "dirname": _dirname, "url.fileURLToPath": _first, "fileURLToPath": _first,
    "url.pathToFileURL": _first, "URL": _address, "url.URL": _address,
    "process.cwd": _here, "Deno.cwd": _here, "os.homedir": lambda args: "~",
    "homedir": lambda args: "~", "Deno.env.get": _environment, "Netlify.env.get": _environment,
    "Object.freeze": _first, "Object.seal": _first, "structuredClone": _first,
    "Object.assign": _merged, "Number": lambda args: number_of(_first(args)),
    "parseInt": _integer, "parseFloat": _float, "Number.parseInt": _integer,
    "Number.parseFloat": _float, "String": _text, "JSON.parse": _parsed,
    "@langchain/core/utils/env.getEnvironmentVariable": _environment,
    "getEnvironmentVariable": _environment, "encodeURI": _first,
}  # fmt: skip
_TEXTUAL: Final[dict[str, Callable[[str], str]]] = {
    "trim": str.strip, "trimStart": str.lstrip, "trimEnd": str.rstrip, "toString": str,
    "valueOf": str, "toLowerCase": str.lower, "toUpperCase": str.upper,
}  # fmt: skip
