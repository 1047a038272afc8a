"""Values of other tools' files in the types that our parameters have. Pure."""

import math
from collections.abc import Mapping
from typing import Any, Final

# What stands for "not stated" under a name of ours.
_NONE: Final[Mapping[str, tuple[object, ...]]] = {
    "max_tokens": (-1, -2, 0), "context_size": (0, -1, "auto"), "threads": (0, -1),
    "gpu_layers": ("auto",), "timeout": (0, -1),
}  # fmt: skip
_WHOLE: Final = frozenset({
    "max_tokens", "context_size", "top_k", "seed", "threads", "max_retries", "gpu_layers",
})  # fmt: skip
_LARGEST: Final = 2**63 - 1  # of TOML
_FLAGS: Final = frozenset({"mmap", "mlock", "flash_attention"})
_SWITCHES: Final = {
    "true": True, "yes": True, "on": True, "1": True, "enabled": True,
    "false": False, "no": False, "off": False, "0": False, "disabled": False,
}  # fmt: skip


def converted(ours: str, value: Any) -> Any:
    """A value in the type that our parameter has; None for one that stands for "not stated".

    Texts hold numbers in files that know no types. Raises ``ValueError``.

    >>> converted("temperature", "1e-1"), converted("max_tokens", "-1"), converted("mmap", "no")
    (0.1, None, False)
    >>> converted("stop", "END"), converted("context_size", {"max": 8096})
    (['END'], 8096)
    """
    if isinstance(value, dict) and ours in ("context_size", "gpu_layers"):
        value = value.get("max", value.get("min"))
    if isinstance(value, dict) and ours == "repeat_penalty":
        value = value.get("penalty")
    if value is None or (value in _NONE.get(ours, ()) and not isinstance(value, bool)):
        return None
    if ours == "repeat_penalty" and value is False:
        return None
    if ours == "stop":
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
            raise ValueError("which is no text or list of texts")
        return [one for one in texts if one] or None
    if ours in _FLAGS:
        return _flag(value)
    if ours == "gpu_layers" and isinstance(value, str) and value.strip() in ("max", "all"):
        return -1
    if ours in ("system", "base_url", "api_version", "organization", "kv_type", "lora", "mmproj",
                "revision"):  # fmt: skip
        return _text(value)
    found = _number(value)
    if ours in _WHOLE:
        if not float(found).is_integer():
            raise ValueError("which is no whole number")
        found = int(found)
    return None if found in _NONE.get(ours, ()) else found


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("which is no text")
    return str(value) if str(value).strip() else None


def _flag(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word == "auto":
        return None
    if word not in _SWITCHES:
        raise ValueError("which is neither true nor false")
    return _SWITCHES[word]


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("which is no number")
    found: int | float
    if isinstance(value, str):
        text = value.strip()
        try:
            found = int(text)
        except ValueError:
            try:
                found = float(text)
            except ValueError:
                raise ValueError("which is no number") from None
    else:
        found = value
    if isinstance(found, float) and not math.isfinite(found):
        raise ValueError("which is no number")
    if isinstance(found, int) and abs(found) > _LARGEST:
        raise ValueError("which is too large a number")
    return found
