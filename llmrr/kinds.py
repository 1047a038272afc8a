"""Kinds of values in ``llmrr.toml``: what each accepts, and what it is in use.

Values leave here as the engines take them: "auto" of a size is None, true of a switch is "on", an
adapter is its path and scale.
"""

import math
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote

from llmrr.errors import nearest
from llmrr.paths import real, user_path
from llmrr.prompts import role_problem

# Every provider that a source may name, whether or not this version acts on it.
PROVIDERS = (
    "huggingface", "file", "builtin", "ollama", "lmstudio", "openai", "azure", "anthropic",
    "google", "vertex", "cohere", "bedrock", "mistral", "groq", "together", "fireworks",
    "deepinfra", "deepseek", "openrouter", "perplexity", "novita", "nvidia", "cerebras", "xai",
    "qianfan",
)  # fmt: skip
# Those whose models lie on this machine or are fetched to it.
LOCAL_PROVIDERS = frozenset({"huggingface", "hf", "file", "local", "builtin", "ollama", "lmstudio"})
_PROVIDER_ALIASES = {"hf": "huggingface", "local": "file", "gemini": "google"}
_HUB_ADDRESSES = tuple(
    f"{scheme}{host}/"
    for scheme in ("https://", "http://", "")
    for host in ("huggingface.co", "www.huggingface.co", "hf.co")
)
_HUB_SCHEMES = ("hf://", "huggingface://")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(:[\w.+-]+)?(@[\w./-]+)?")  # owner/repo:quant@revision

_LARGEST_TEMPLATE = 400_000  # bytes of a file

_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
          "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}  # fmt: skip
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Kind(NamedTuple):
    """A kind of value. ``parse`` takes what TOML gave and the folder that relative paths start
    from, and returns the value in use; a ``ValueError`` means it is not ``expected``, and its
    text, if any, says more."""

    expected: str
    parse: Callable[[object, Path], object]


def whole(low: int, high: int | None = None, *, word: str | None = None) -> Kind:
    """A whole number from ``low`` to ``high``, or ``word``, which is None in use."""

    def parse(value: object, _folder: Path) -> object:
        if word is not None and value == word:
            return None
        if type(value) is not int or value < low or (high is not None and value > high):
            raise ValueError
        return value

    span = f"from {low} to {high}" if high is not None else f"of at least {low}"
    return Kind(f"a whole number {span}" + (f', or "{word}"' if word else ""), parse)


def number(low: float, high: float = math.inf, *, above: bool = False) -> Kind:
    """A finite number from ``low`` (or ``above`` it) to ``high``."""

    def parse(value: object, _folder: Path) -> object:
        if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
            raise ValueError
        exact = float(value)  # type: ignore[arg-type]
        if exact > high or exact < low or (above and exact == low):
            raise ValueError
        return exact

    if high < math.inf:
        return Kind(f"a number from {low:g} to {high:g}", parse)
    return Kind(f"a number {'above' if above else 'of at least'} {low:g}", parse)


def one_of(*words: str, stray: Mapping[str, str | None] = MappingProxyType({})) -> Kind:
    """One of a few words, or one that stands for another; None is: not stated."""

    def parse(value: object, _folder: Path) -> object:
        if isinstance(value, str) and value in stray:
            return stray[value]
        if value not in words:
            raise ValueError
        return value

    return Kind("one of " + ", ".join(f'"{word}"' for word in words), parse)


def _flag(value: object, _folder: Path) -> object:
    if type(value) is not bool:
        raise ValueError
    return value


def _on_off_auto(value: object, _folder: Path) -> object:
    if type(value) is bool:
        return "on" if value else "off"
    if value != "auto":
        raise ValueError
    return value


def _layers(value: object, _folder: Path) -> object:
    if value != "auto" and (type(value) is not int or value < -1):
        raise ValueError
    return value


def _text(value: object, _folder: Path) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _name(value: object, _folder: Path) -> object:
    if not isinstance(value, str) or not value or re.search(r"[\s\x00-\x1f\x7f]", value):
        raise ValueError
    if value.startswith("-"):
        raise ValueError
    return value


def _stop(value: object, _folder: Path) -> object:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise ValueError
    return tuple(texts)


def _texts(value: object, _folder: Path) -> object:
    if not isinstance(value, dict):
        raise ValueError
    if not all(isinstance(text, str) for text in value.values()):
        raise ValueError
    return dict(value)


def _messages(value: object, _folder: Path) -> object:
    """A list of tables with just a role and a content."""
    if not isinstance(value, list) or not value:
        raise ValueError
    for entry in value:
        if not isinstance(entry, dict) or set(entry) != {"role", "content"}:
            raise ValueError
        if problem := role_problem(entry["role"]):
            raise ValueError(problem)
        if not isinstance(entry["content"], str):
            raise ValueError
    return tuple((entry["role"], entry["content"]) for entry in value)


def _lora(value: object, folder: Path) -> object:
    """Adapter files as ``(path, scale)``."""
    entries = value if isinstance(value, list) else [value]
    adapters = []
    for entry in entries:
        entry = {"path": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or not {"path"} <= set(entry) <= {"path", "scale"}:
            raise ValueError
        scale = entry.get("scale", 1.0)
        if not isinstance(entry["path"], str) or not entry["path"]:
            raise ValueError
        if type(scale) not in (int, float) or not math.isfinite(scale):
            raise ValueError
        adapters.append((file_path(entry["path"], folder), float(scale)))
    return tuple(adapters)


def _chat_template(value: object, folder: Path) -> object:
    """The Jinja text itself, or that of the file it names."""
    text = str(_text(value, folder))
    if not text.startswith("file:"):
        return text
    path = file_path(text, folder)
    try:
        # What is no file may never end, or never begin: a device, a pipe that nobody writes to.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"the template {path} is not a regular file")
        with path.open("rb") as file:
            data = file.read(_LARGEST_TEMPLATE + 1)
        if len(data) > _LARGEST_TEMPLATE:
            raise ValueError(f"the template {path} has more than {_LARGEST_TEMPLATE:,} bytes")
        return data.decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"the template {path} cannot be read: {exc}") from exc


def parse_duration(value: object, _folder: Path | None = None) -> float:
    """Seconds from a number or a text with a unit of s, m, h, d or w; ``ValueError`` otherwise.

    >>> parse_duration("30d"), parse_duration("1.5 h"), parse_duration(20)
    (2592000.0, 5400.0, 20.0)
    """
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", value)
        if match is None:
            raise ValueError
        return float(match[1]) * _SECONDS[match[2]]
    if type(value) not in (int, float) or not 0 <= value < math.inf:  # type: ignore[operator]
        raise ValueError
    return float(value)  # type: ignore[arg-type]


def parse_size(value: object, _folder: Path | None = None) -> int:
    """Bytes from a number, or a text with a unit: MB is 1,000,000 bytes, MiB 1,048,576;
    ``ValueError`` otherwise.

    >>> parse_size("256 MB"), parse_size("1.5GiB"), parse_size(1000), parse_size("20 kb")
    (256000000, 1610612736, 1000, 20000)
    """
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", value, re.IGNORECASE)
        if match is None:
            raise ValueError
        return int(float(match[1]) * _BYTES[(match[2] or "").lower()])
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _duration(value: object, folder: Path) -> object:
    if not (seconds := parse_duration(value, folder)):
        raise ValueError
    return seconds


def _retention(value: object, folder: Path) -> object:
    return None if value == "forever" else parse_duration(value, folder)


def _source(value: object, _folder: Path) -> object:
    split_source(str(_text(value, _folder)))
    return value


def split_source(text: str) -> tuple[str, str]:
    """The provider and the rest of a source; ``ValueError`` says what is wrong with it.

    A path is ``file``; a plain ``owner/repo``, with what may follow it, and an address of the hub
    are ``huggingface``.

    >>> split_source("local:./x.gguf"), split_source("~/models/a:b.gguf")
    (('file', './x.gguf'), ('file', '~/models/a:b.gguf'))
    >>> split_source("file:///models/my%20model.gguf")
    ('file', '/models/my model.gguf')
    >>> split_source("HF:owner/repo")
    ('huggingface', 'owner/repo')
    >>> split_source("builtin:mini"), split_source("hf.co/owner/repo:Q4_K_M")
    (('builtin', 'mini'), ('huggingface', 'owner/repo:Q4_K_M'))
    >>> split_source("owner/repo:Q4_K_M@v1.0")
    ('huggingface', 'owner/repo:Q4_K_M@v1.0')
    """
    if text.startswith(("/", "./", "../", "~")):
        return "file", text
    for address in (*_HUB_SCHEMES, *_HUB_ADDRESSES):
        if text.startswith(address) and len(text) > len(address):
            return "huggingface", text.removeprefix(address)
    prefix, colon, rest = text.partition(":")
    provider = _PROVIDER_ALIASES.get(prefix.lower(), prefix.lower())
    if colon and provider in PROVIDERS:
        if not rest:
            raise ValueError(f"the source {text!r} names no model after {prefix}:")
        if provider == "file" and rest.startswith("///"):  # an address, as RFC 8089 has it
            return provider, unquote(rest[2:])
        return provider, rest
    if prefix == "mock" and colon:
        raise ValueError("there is no mock model: mock: is not a provider")
    if rest.startswith("//"):
        raise ValueError(f"the address {text!r} is not one that a model can be had from")
    if text.lower().endswith(".gguf"):
        return "file", text
    if _HUB_NAME.fullmatch(text):
        return "huggingface", text
    if not colon:
        raise ValueError(f"the source {text!r} has no provider, as in file:./model.gguf")
    near = nearest(prefix, (*PROVIDERS, *_PROVIDER_ALIASES))
    raise ValueError(
        f"{prefix!r} is not a known provider" + (f"; did you mean {near}:?" if near else "")
    )


def placed(source: str, file: str | None, revision: str | None) -> str:
    """A source with the file and the revision that are stated beside it; ``ValueError`` says why
    they cannot be.

    >>> placed("huggingface:o/r", "sub/a.gguf", "v1"), placed("file:./models", "a.gguf", None)
    ('huggingface:o/r/sub/a.gguf@v1', 'file:./models/a.gguf')
    """
    provider, rest = split_source(source)
    for name, value, those in (
        ("file", file, ("huggingface", "file", "lmstudio")),
        ("revision", revision, ("huggingface",)),
    ):
        if value is not None and provider not in those:
            raise ValueError(f"a source of {provider}: has no {name}")
    if file is not None:
        parts = file.split("/")
        if file.startswith(("/", "~")) or {"", ".", ".."} & set(parts):
            raise ValueError(f"{file!r} is no path inside the folder")
        if provider == "huggingface" and (":" in rest or "://" in source or rest.count("/") > 1):
            raise ValueError(f"the source {source!r} names a part already")
        name, at, pinned = rest.partition("@")
        source = f"{provider}:{name.rstrip('/')}/{file}{at}{pinned}"
    if revision is not None:
        if "@" in rest or "://" in source:
            raise ValueError(f"the source {source!r} names a revision already")
        source = f"{source}@{revision}"
    return source


def path_of(text: str) -> str | None:
    """The path that a source can mean and nothing else, or None.

    >>> path_of("file:a.gguf"), path_of("~/models"), path_of("owner/repo")
    ('a.gguf', '~/models', None)
    """
    try:
        provider, rest = split_source(text)
    except ValueError:
        return None
    return rest if provider == "file" else None


def file_path(text: str, folder: Path) -> Path:
    """The path that a text or a ``file:`` source means, seen from ``folder``."""
    text = text.removeprefix("file:").removeprefix("local:")
    return folder / user_path(text)


def _word(value: object, _folder: Path) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.:-]+", value, re.ASCII):
        raise ValueError
    return value


def _revision(value: object, _folder: Path) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[\w./-]+", value):
        raise ValueError
    return value


def _url(value: object, _folder: Path) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/?#@]+[^\s?#@]*", value):
        raise ValueError
    return value.rstrip("/")


def _hook(value: object, _folder: Path) -> object:
    """An address that is posted to; what follows a ? may be needed, as at Teams."""
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/?#@]+[^\s#@]*", value):
        raise ValueError
    return value


def _command(value: object, _folder: Path) -> object:
    """A command line as its words."""
    import shlex

    if not isinstance(value, str):
        raise ValueError
    try:
        words = shlex.split(value)
    except ValueError as exc:
        raise ValueError(f"the command cannot be read: {exc}") from exc
    if not words or not words[0] or "\0" in value:
        raise ValueError
    return tuple(words)


def _variable(value: object, _folder: Path) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_]\w*", value, re.ASCII):
        raise ValueError
    return value


def _variables(value: object, folder: Path) -> object:
    if not isinstance(value, dict) or not value:
        raise ValueError
    for header, name in value.items():
        if not re.fullmatch(r"[!#$%&'*+.^`|~\w-]+", header, re.ASCII):
            raise ValueError(f"{header!r} is no name of a header")
        _variable(name, folder)
    return dict(value)


def _file(value: object, folder: Path) -> object:
    return real(folder / user_path(str(_text(value, folder))))


def _path(value: object, folder: Path) -> object:
    return file_path(str(_text(value, folder)), folder)


FLAG = Kind("true or false", _flag)
ON_OFF_AUTO = Kind('true, false or "auto"', _on_off_auto)
LAYERS = Kind('a whole number of layers, -1 for all, or "auto"', _layers)
TEXT = Kind("a text that is not empty", _text)
FILE = Kind("the path of a file", _file)
NAME = Kind("a name without spaces that does not begin with -", _name)
SOURCE = Kind("a source such as file:./model.gguf", _source)
STOP = Kind("a text or a list of texts, none empty", _stop)
TEXTS = Kind("a table of texts", _texts)
MESSAGES = Kind("a list of {role, content}", _messages)
PATH = Kind("the path of a file", _path)
LORA = Kind("a path, or a list of paths or {path, scale}", _lora)
CHAT_TEMPLATE = Kind("a Jinja text, or file:PATH", _chat_template)
RETENTION = Kind('a time such as "30d", "12h" or a number of seconds, or "forever"', _retention)
SIZE = Kind('a size such as "256 MB" or "1 GiB", or a number of bytes', parse_size)
DURATION = Kind('a number of seconds above 0, or a time such as "5m"', _duration)
SHARE = number(0, 1)
WORD = Kind("a word of letters, digits and -_.:", _word)
REVISION = Kind("the name of a branch or tag, or a commit", _revision)
SECONDS = number(0, above=True)
URL = Kind("an address such as http://HOST:PORT/v1, without a key in it", _url)
HOOK = Kind("an address such as https://HOST/PATH, without a password", _hook)
COMMAND = Kind('a command line such as "notify-send llmrr"', _command)
VARIABLE = Kind("the name of an environment variable", _variable)
VARIABLES = Kind("a table of headers and names of environment variables", _variables)
