"""TOML as text: writing values, and finding the line of a key.

Lines are read without understanding TOML, which may be damaged: good enough to point at.
"""

import re
from collections.abc import Mapping

Place = tuple[str | int, ...]

# Patterns are texts: compiled when first used, not at every start.
# Names under which people keep secrets, and how the common providers' keys look.
_SECRET_NAME = r"(?i)(api|access|secret|auth)?[_-]?(key|token|secret|password)"
_SECRET_VALUE = r"(sk-|hf_|gsk_|xai-|r8_|AIza|ghp_|github_pat_|AKIA)[\w-]{12,}"
_KEY_PART = r""""([^"]*)"|'([^']*)'|([\w-]+)"""
_HEADER = r"\s*(\[\[?)([^\[\]]+)\]"
_KEY = r"""\s*((?:[\w.-]|"[^"]*"|'[^']*')(?:[\w.\s-]|"[^"]*"|'[^']*')*?)\s*="""


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


def line_of(text: str, place: Place) -> int | None:
    """The line where the key at ``place`` is written, or else the nearest table around it.

    >>> line_of("[a]\\nb = 1\\n[[c]]\\n[[c]]\\nd.e = 2", ("c", 1, "d", "e"))
    5
    """
    found, depth = None, 0
    header: Place = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if match := re.match(_HEADER, line):
            names = key_parts(match[2])
            if match[1] == "[[" and len(names) == 1:
                counts[names[0]] = counts.get(names[0], -1) + 1
            header = _indexed(names, counts)
            here = header
        elif match := re.match(_KEY, line):
            here = header + key_parts(match[1])
        else:
            continue
        shared = min(len(here), len(place))  # a header may lie deeper than what is looked for
        if shared > depth and here[:shared] == place[:shared]:
            found, depth = number, shared
    return found


def is_secret(key: str, value: object) -> bool:
    """Whether this looks like a key that should not be written down.

    >>> is_secret("apiKey", "x"), is_secret("source", "sk-abcdefghijklmnop"), is_secret("seed", 1)
    (True, True, False)
    """
    if not isinstance(value, str) or not value:
        return False
    return bool(re.fullmatch(_SECRET_NAME, key) or re.fullmatch(_SECRET_VALUE, value.strip()))


def _indexed(names: tuple[str, ...], counts: Mapping[str, int]) -> Place:
    """``[models.params]`` belongs to the last ``[[models]]``."""
    return (names[0], counts[names[0]], *names[1:]) if names[0] in counts else names


def key_parts(text: str) -> tuple[str, ...]:
    """The parts of a dotted key as it is written."""
    return tuple(next(filter(None, parts), "") for parts in re.findall(_KEY_PART, text)) or ("",)


def key_text(key: str) -> str:
    """A part of a key as TOML would write it."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_text(key)
