"""TOML as text: how values are written, and which of them are secrets."""

import re

# Patterns are texts: compiled when first used, not at every start.
# Names under which people keep secrets, and how the common providers' keys look.
_SECRET_NAME = r"(?i)(api|access|secret|auth)?[_-]?(key|token|secret|password)"
_SECRET_VALUE = r"(sk-|hf_|gsk_|xai-|r8_|AIza|ghp_|github_pat_|AKIA)[\w-]{12,}"


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
    """
    if not isinstance(value, str) or not value:
        return False
    return bool(re.fullmatch(_SECRET_NAME, key) or re.fullmatch(_SECRET_VALUE, value.strip()))


def key_text(key: str) -> str:
    """A part of a key as TOML would write it."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_text(key)
