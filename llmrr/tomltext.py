"""TOML as text: how values are written, and which of them are secrets."""

import re

# Patterns are texts: compiled when first used, not at every start.
# Names under which people keep secrets, and how the common providers' keys look.
_SECRET_NAME = r"(?i)(api|access|secret|auth)?[_-]?(key|token|secret|password)"
_SECRET_VALUE = r"(sk-|hf_|gsk_|xai-|r8_|AIza|ghp_|github_pat_|AKIA)[\w-]{12,}"
_SECRET_ALONE = rf"(\w+:)?{_SECRET_VALUE}"  # perhaps behind a provider
# A name before an @ and what follows a ? in an address.
_SECRET_PART = rf"//[^\s/]*@|://\S*[?#]|(?<![\w-]){_SECRET_VALUE}"
# Where a key often stands that should have been the name of its variable.
_BESIDE_SECRETS = ("api_key_env", "headers_env")


def toml_text(value: object) -> str:
    """A value as TOML would write it.

    >>> toml_text({"stop": ["\\n"], "mmap": True})
    '{ stop = ["\\\\n"], mmap = true }'
    """
    import json

    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_text, value))}]"
    if isinstance(value, dict):
        pairs = [f"{key_text(key)} = {toml_text(each)}" for key, each in value.items()]
        return "{ " + ", ".join(pairs) + " }" if pairs else "{}"
    return str(value)


def is_secret(key: str, value: object) -> bool:
    """Whether this looks like a key that should not be written down.

    >>> is_secret("apiKey", "x"), is_secret("source", "sk-abcdefghijklmnop"), is_secret("seed", 1)
    (True, True, False)
    >>> is_secret("headers_env", {"X-Auth": "sk-abcdefghijklmnop"})
    True
    """
    if isinstance(value, dict | list | tuple):
        inside = value.values() if isinstance(value, dict) else value
        return any(is_secret("", one) for one in inside)
    if not isinstance(value, str) or not value:
        return False
    return bool(re.fullmatch(_SECRET_NAME, key) or re.fullmatch(_SECRET_ALONE, value.strip()))


def complaint(
    key: str, value: object, expected: str, why: str, *, named: str, written: str
) -> str:
    """What is wrong with the value of a setting: that it is not ``expected``, or ``why``, which may
    repeat it as ``written`` does. Neither is said of what may hold a secret.

    >>> complaint("port", 0, "a port", "", named="serve.port", written=" = 0")
    'serve.port = 0 is not a port'
    >>> complaint("base_url", "http://me:pw@h", "an address", "", named="-o base_url", written="…")
    '-o base_url holds a key: it is not an address'
    """
    if may_hold_secret(key, value):
        return f"{named} holds a key: it is not {expected}"
    return f"{named}{written}{f': {why}' if why else f' is not {expected}'}"


def may_hold_secret(key: str, value: object) -> bool:
    """Whether a value that cannot be used is better not repeated."""
    if is_secret(key, value):
        return True
    inside = value.values() if isinstance(value, dict) else [value]
    if key in _BESIDE_SECRETS and any(re.search(r"\S{12}", str(one)) for one in inside):
        return True
    return bool(re.search(_SECRET_PART, value if isinstance(value, str) else toml_text(value)))


def host_of(address: str) -> str:
    """An address without what may be secret in it.

    >>> host_of("https://hooks.example.org/services/T0/B0/abc?sig=x")
    'https://hooks.example.org'
    """
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def key_text(key: str) -> str:
    """A part of a key as TOML would write it."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_text(key)
