"""Keys in other tools' files: recognised, named by a variable, and never repeated.

A value is a secret by the name of its field first, by how it looks second.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import Any, Final, TypeVar

from llmrr.migrate.values import Env

Found = TypeVar("Found")

# Names are compared without "-", "_" and case.
_FIELD: Final = (
    r"(?:.*(?:apikey|accesskey|secretkey|subscriptionkey|authkey|privatekey|masterkey|saltkey)s?"
    r"|.*(?:secret|password|passwd|passphrase|credentials?|bearer)"
    r"|.*(?:access|auth|api|hf|bearer|hub|refresh|session|admin)token|token|authorization|auth"
    r"|.*(?:openai|anthropic|claude|groq|gemini|mistral|cohere|azure|deepseek|openrouter|hf)key"
    r"|.*(?:qianfan|baidu)(?:ak|sk)|ak|sk|key|keys|apikeys|cookie|xapikey|proxyauthorization"
    r"|awsaccesskeyid|awssecretaccesskey|awssessiontoken|vertexcredentials|databaseurl|redisurl"
    r"|connectionstring|dsn|webhooksecret)"
)
# Fields that speak of keys and hold none.
_NO_SECRET: Final = frozenset({
    "apikeyenv", "apikeyname", "apikeyfile", "apikeyenvvar", "maxtokens", "keepalive", "tokens",
    "addbostoken", "padtokenid", "eostokenid", "bostokenid", "eostoken", "padtoken", "bostoken",
    "tokenizer", "nkeep", "tokencount",
})  # fmt: skip
# How keys look that stand in texts; strict, for much looks alike.
_LOOKS: Final = re.compile(
    r"(?<![\w-])(?:sk-(?:ant-|proj-|or-|svcacct-)?[\w-]{16,}|(?:hf|gsk|ghp|glpat|pplx|r8)[_-]\w{16,}"
    r"|github_pat_\w{20,}|xai-\w{16,}|nvapi-[\w-]{16,}|AIza[\w-]{30,}|AKIA[A-Z0-9]{16}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+)"
)
_IN_ADDRESS: Final = re.compile(r"(?<=://)[^\s/@'\"]+@")
_IN_QUERY: Final = re.compile(
    r"(?i)([?&](?:api[-_]?key|key|token|access[-_]?token|secret|sig|password)=)[^&\s'\"]+"
)
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)\s+(?!\$|\{|<)[\w.~+/=-]{6,}")
_IN_COMMAND: Final = re.compile(
    r"(?i)(--?(?:api-?key|token|password|secret|hf-?token)[= ]+)(?!\$)[^\s'\"]+"
)
# In prose only what can hardly be a word: "the password: swordfish" of a prompt is kept.
_IN_PROSE: Final = re.compile(
    r"(?i)\b(\w*(?:api[-_ ]?key|password|passwd|secret|token)['\"]?\s*[=:]\s*['\"]?)"
    r"(?=[^\s'\",;&]*\d)(?=[^\s'\",;&]*[a-z])[\w.~+/=-]{16,}"
)
PLACEHOLDERS: Final = frozenset({
    "", "fake-key", "fake", "not-needed", "not_needed", "notneeded", "lm-studio", "lmstudio",
    "ollama", "localai", "a", "dummy", "empty", "none", "null", "sk-1234", "sk-", "sk-xxx", "xxx",
    "x", "api_key", "apikey", "api-key", "key", "test", "placeholder", "changeme", "change-me",
    "stub", "no-key", "nokey", "no-key-required", "not-required", "unused", "ignored", "anything",
    "secret", "sk-no-key-required", "local", "llama.cpp", "llama-cpp", "llamacpp", "vllm", "sglang",
    "tgi", "token-abc123", "token", "mlx", "jan", "koboldcpp", "-", "hf", "no", "foo", "bar",
    "na", "n/a", "bearer", "undefined", "true", "false",
})  # fmt: skip
_PLACEHOLDER: Final = re.compile(
    r"(?i)<[^>]*>|\[[^\]]*\]|your[-_ ].*|.*[-_ ]your[-_ ].*|.*(?:-|_|\b)here>?|x{3,}.*|.*x{4,}"
    r"|\*+|\.{3,}|…+|(?:sk|key|api|my)?[-_]?(?:dummy|fake|test|example|placeholder|mock)[-_]?"
    r"(?:key|api[-_]?key|token)?"
    r"|(?:[^\W\d_]+ ){0,3}(?:api|key|token)(?: [^\W\d_]+){1,3}|(?:[^\W\d_]+ ){1,3}(?:api|key|token)"
    r"|(?:insert|enter|put|add|replace|set)[-_ ].*|[A-Z][A-Z0-9_]*_(?:API_)?(?:KEY|TOKEN)"
)
# Every spelling of a variable in the files of the tools that are read.
_REFERENCES: Final = (
    re.compile(r"os\.environ/(\w+)"),
    re.compile(r"\$\{\{\s*(?:secrets|inputs|env|vars)\.(\w+)\s*\}\}"),
    re.compile(r"\$\{(?:env[.:])?(\w+)(?::?-([^}]*))?\}"),
    re.compile(r"\$\{([A-Z]\w*):(?![-+?=])([^}]*)\}"),  # as Spring has it
    re.compile(r"\{env:(\w+)\}"), re.compile(r"\{\{\s*(?:env|secrets)\.(\w+)\s*\}\}"),
    re.compile(r"\$([A-Za-z_]\w*)"), re.compile(r"env[:.]([A-Za-z_]\w*)"),
    re.compile(r"(?:process|import\.meta|Deno|Bun)\.env\.(\w+)"),
    re.compile(r"(?:process|import\.meta|Deno|Bun)\.env\[['\"](\w+)['\"]\]"),
    re.compile(r"Deno\.env\.get\(['\"](\w+)['\"]\)"),
    re.compile(r"os\.environ\[['\"](\w+)['\"]\]"),
    re.compile(r"os\.(?:environ\.get|getenv)\(['\"](\w+)['\"](?:,\s*['\"]([^'\"]*)['\"])?\)"),
    re.compile(r"%(\w+)%"), re.compile(r"!ENV\s+\$?\{?(\w+)\}?"),
)  # fmt: skip


@lru_cache(maxsize=8192)
def is_secret_field(name: str) -> bool:
    """Whether a field of this name holds a secret.

    >>> [is_secret_field(one) for one in ("apiKey", "OPENAI_KEY", "max_tokens", "api_key_env")]
    [True, True, False, False]
    """
    plain = re.sub(r"[\s_.-]", "", name).lower()
    return plain not in _NO_SECRET and bool(re.fullmatch(_FIELD, plain))


def looking(text: str) -> Iterator[str]:
    """What in a text has the spelling of a provider's keys."""
    yield from (match[0] for match in _LOOKS.finditer(text))


def looks_secret(text: str) -> bool:
    """Whether a text holds something that looks as keys do.

    >>> looks_secret("Authorization: sk-ant-0123456789abcdef0"), looks_secret("sk-learn is nice")
    (True, False)
    """
    patterns = (_LOOKS, _IN_ADDRESS, _IN_QUERY, _BEARER, _IN_COMMAND, _IN_PROSE)
    return any(one.search(text) for one in patterns)


def is_placeholder(text: str) -> bool:
    """Whether what stands for a key is none.

    >>> [is_placeholder(one) for one in ("EMPTY", "<your key>", "sk-1234", "YOUR_API_KEY")]
    [True, True, True, True]
    >>> is_placeholder("0123456789abcdef0123456789abcdef"), is_placeholder("sk-Imn")
    (False, False)
    """
    plain = text.strip()
    return plain.lower() in PLACEHOLDERS or bool(_PLACEHOLDER.fullmatch(plain))


def reference(text: str) -> Env | None:
    """The variable that a text stands for, in any of the spellings, or None.

    >>> reference("os.environ/OPENAI_KEY"), reference("${{ secrets.GROQ }}").name
    (Env(name='OPENAI_KEY', default=None), 'GROQ')
    >>> reference("${HOST:-localhost}"), reference("gpt-4o")
    (Env(name='HOST', default='localhost'), None)
    """
    plain = text.strip()
    for pattern in _REFERENCES:
        if match := pattern.fullmatch(plain):
            default = match[2] if pattern.groups > 1 else None
            return Env(match[1], default)
    return None


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without the given secrets, and without what looks like one: at most three characters
    of each remain.

    >>> masked("key 0a1b2c3d4e", ["0a1b2c3d4e"]), masked("http://me:pw@host/?api_key=abc&v=1")
    ('key 0a…', 'http://…@host/?api_key=…&v=1')
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > 3:  # a shorter one would be found in any word
            text = text.replace(secret, _short(secret))
    text = _LOOKS.sub(lambda found: _short(found[0]), text)
    text = _IN_ADDRESS.sub("…@", text)
    text = _IN_QUERY.sub(lambda found: f"{found[1]}…", text)
    text = _IN_COMMAND.sub(lambda found: f"{found[1]}…", text)
    text = _IN_PROSE.sub(lambda found: f"{found[1]}…", text)
    return _BEARER.sub(lambda found: f"{found[1]} …", text)


def digest(secret: str) -> str:
    """What tells two keys apart without holding one; it is not written anywhere."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


_MANY: Final = 500  # keys of one artefact
_END: Final = 8  # characters of one


def scrubbed(found: Found, secrets: Iterable[str]) -> Found:
    """A value of ours with every text in it ``masked``."""
    known = [one for one in secrets if one]
    text = "\0".join(_texts(found)) if known else ""
    if len(known) > _MANY:  # most are in no text, and to look for each takes the time of both
        ends = {text[at : at + _END] for at in range(len(text) - _END + 1)}
        known = [one for one in known if len(one) < _END or one[-_END:] in ends]
    present = tuple(one for one in known if one in text)
    return _scrubbed(found, present)  # type: ignore[no-any-return]


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _texts(key)
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _texts(getattr(value, field.name))


def _scrubbed(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return masked(value, secrets)
    if isinstance(value, Mapping):
        return {_scrubbed(key, secrets): _scrubbed(one, secrets) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_scrubbed(one, secrets) for one in value])
    if is_dataclass(value) and not isinstance(value, type):
        changed = {
            one.name: _scrubbed(getattr(value, one.name), secrets)
            for one in fields(value) if one.name not in ("path", "key", "kind", "code")
        }  # fmt: skip
        return replace(value, **changed)
    return value


def _short(secret: str) -> str:
    return f"{secret[: min(3, len(secret) // 4)]}…"
