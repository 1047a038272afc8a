"""Functions and methods whose result is known without running them: the environment, paths,
texts."""

import inspect
import posixpath
import textwrap
from collections.abc import Sequence
from typing import Final, NamedTuple

from llmrr.migrate.values import Call, Env, Prompt, Unresolved, Value

_LONGEST: Final = 1_000_000  # characters
ENVIRONMENTS: Final = frozenset({
    "os.environ", "streamlit.secrets", "google.colab.userdata", "st.secrets",
})  # fmt: skip
_GETTERS: Final = frozenset({
    "os.getenv", "os.environ.get", "os.environ.pop", "os.environ.setdefault", "decouple.config",
    "google.colab.userdata.get", "streamlit.secrets.get", "st.secrets.get", "dotenv.get_key",
})  # fmt: skip
_ENVS: Final = ("environs.Env", "environ.Env", "starlette.config.Config", "decouple.Config")
_SAME: Final = frozenset({
    "os.path.abspath", "os.path.realpath", "os.path.normpath", "os.path.expanduser",
    "os.path.expandvars", "os.fspath", "pydantic.SecretStr", "pydantic.v1.SecretStr",
    "pydantic.types.SecretStr", "langchain_core.pydantic_v1.SecretStr", "SecretStr", "copy.copy",
    "copy.deepcopy", "pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath",
    "pathlib.PurePosixPath", "pydantic.HttpUrl", "pydantic.AnyHttpUrl",
})  # fmt: skip
_CONTAINERS: Final = frozenset({"list", "tuple", "dict", "str", "int", "float", "bool"})
_SAME_METHODS: Final = frozenset({
    "resolve", "absolute", "as_posix", "expanduser", "get_secret_value", "copy", "__str__",
    "encode", "unicode_string",
})  # fmt: skip
_TEXT_METHODS: Final = frozenset({
    "strip", "lstrip", "rstrip", "lower", "upper", "title", "removesuffix", "removeprefix",
})  # fmt: skip


class Result(NamedTuple):
    """What is known of a call; without one, nothing is."""

    value: Value


def result(call: Call) -> Result | None:
    """What a function gives.

    >>> result(Call("os.getenv", ("X", "y"))), result(Call("openai.OpenAI"))
    (Result(value=Env(name='X', default='y')), None)
    """
    callee, args = call.callee, call.args
    if call.receiver is not None:
        return _of_env(call) if call.receiver.callee in _ENVS else None
    if callee in _GETTERS:
        return _variable(call)
    if callee in ("os.path.dirname", "posixpath.dirname") and args and isinstance(args[0], str):
        return Result(folder(args[0]))
    if callee in ("os.path.join", "posixpath.join") or (callee == "pathlib.Path" and args[1:]):
        known = [one for one in args if isinstance(one, str)]
        return Result(joined(known)) if known and len(known) == len(args) else None
    if callee == "pathlib.Path.home":
        return Result("~")
    if callee in ("typing.cast", "cast") and len(args) == 2:
        return Result(args[1])
    if callee in ("textwrap.dedent", "inspect.cleandoc") and args:
        return _dedented(callee, args[0])
    if callee in _SAME and len(args) == 1 and not isinstance(args[0], Unresolved):
        return Result(args[0])
    if callee in _CONTAINERS and not call.rest:
        return _converted(callee, call)
    return None


def method(base: Value, name: str, call: Call) -> Result | None:
    """What a method of a known value gives."""
    if isinstance(base, str | Env | dict | list) and name in _SAME_METHODS:
        return Result(base)
    if isinstance(base, Env | Prompt) and name in ("strip", "rstrip", "lstrip"):
        return Result(base)
    if isinstance(base, dict) and name == "get" and call.args and isinstance(call.args[0], str):
        if "..." in base:
            return None
        return Result(base.get(call.args[0], call.args[1] if len(call.args) > 1 else None))
    if not isinstance(base, str):
        return None
    texts = [one for one in call.args if isinstance(one, str)]
    if name in _TEXT_METHODS and len(texts) == len(call.args) <= 1:
        return _changed(base, name, texts)
    if name == "replace" and len(texts) == len(call.args) == 2:
        longest = base.count(texts[0]) * len(texts[1]) + len(base)
        return Result(base.replace(texts[0], texts[1])) if longest < _LONGEST else None
    if name == "joinpath" and texts and len(texts) == len(call.args):
        return Result(joined([base, *texts]))
    if name == "join" and len(call.args) == 1 and isinstance(call.args[0], list):
        parts = [one for one in call.args[0] if isinstance(one, str)]
        longest = sum(map(len, parts)) + len(base) * len(parts)
        is_known = len(parts) == len(call.args[0]) and longest < _LONGEST
        return Result(base.join(parts)) if is_known else None
    return None


def _changed(text: str, name: str, given: Sequence[str]) -> Result | None:
    try:
        found: object = getattr(text, name)(*given)
    except TypeError:
        return None
    return Result(found) if isinstance(found, str) else None


def folder(path: str) -> str:
    """The folder that a path lies in.

    >>> folder("./app.py"), folder("."), folder("./a/b.py"), folder("..")
    ('.', '..', './a', '../..')
    """
    plain = path.rstrip("/") or path
    if plain in (".", ""):
        return ".."
    if plain == ".." or plain.endswith("/.."):
        return f"{plain}/.."
    return posixpath.dirname(plain) or "."


def joined(parts: Sequence[str]) -> str:
    """Paths one below the other, what goes up taken away; ``./`` is kept.

    >>> joined([".", "models", "a.gguf"]), joined(["./src", "..", "a"]), joined(["a", "/b"])
    ('./models/a.gguf', './a', '/b')
    """
    path = posixpath.join(*parts)
    plain = posixpath.normpath(path)
    is_here = path.startswith("./") and not plain.startswith(("../", "/")) and plain != ".."
    return f"./{plain}" if is_here and plain != "." else plain


def _variable(call: Call) -> Result | None:
    name = call.args[0] if call.args else call.fields.get("key", call.fields.get("option"))
    if not isinstance(name, str):
        return None
    default = call.args[1] if len(call.args) > 1 else call.fields.get("default")
    if isinstance(default, Unresolved):
        default = None
    return Result(Env(name, default))


def _of_env(call: Call) -> Result | None:
    """``env("X")``, ``env.str("X", default=…)`` of environs, django-environ and starlette."""
    typed = ("", "str", "int", "float", "bool", "url", "get_value")
    return _variable(call) if call.callee in typed else None


def _dedented(callee: str, text: Value) -> Result | None:
    clean = textwrap.dedent if callee == "textwrap.dedent" else inspect.cleandoc
    if isinstance(text, str):
        return Result(clean(text))
    if isinstance(text, Prompt):
        return Result(Prompt(clean(text.text), text.holes))
    return None


def _converted(callee: str, call: Call) -> Result | None:
    args = call.args
    if callee == "dict":
        first = args[0] if args else {}
        return Result({**first, **call.fields}) if isinstance(first, dict) else None
    if len(args) != 1:
        return Result([]) if callee in ("list", "tuple") and not args else None
    value = args[0]
    if isinstance(value, Env):
        return Result(value)
    if callee in ("list", "tuple"):
        return Result(value) if isinstance(value, list) else None
    if callee == "bool":
        return Result(value) if isinstance(value, bool) else None
    if not isinstance(value, str | int | float):
        return Result(value) if callee == "str" and isinstance(value, Prompt) else None
    try:
        kinds: dict[str, type[str] | type[int] | type[float]] = {
            "str": str, "int": int, "float": float,
        }  # fmt: skip
        return Result(kinds[callee](value))
    except (ValueError, OverflowError):
        return None
