"""The options of ``docker run``, and of programs that take the same. Pure."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

# Those that take no value.
_ALONE: Final = frozenset({
    "rm", "d", "detach", "i", "t", "it", "ti", "dit", "interactive", "tty", "init", "privileged",
    "read-only", "P", "publish-all", "no-healthcheck", "oom-kill-disable", "q", "quiet",
})  # fmt: skip


def mounted(words: Sequence[str]) -> dict[str, str]:
    """The folders that a container sees: inside to outside."""
    found: dict[str, str] = {}
    for word, following in pairwise([*words, ""]):
        name, equals, inline = word.partition("=")
        stated = inline if equals else following
        if name in ("-v", "--volume"):
            outside, colon, inside = stated.rpartition(":")
            if inside in ("ro", "rw", "z", "Z"):
                outside, colon, inside = outside.rpartition(":")
            if colon:
                found[inside] = outside
        elif name == "--mount":
            parts = dict(one.partition("=")[::2] for one in stated.split(","))
            inside = parts.get("target") or parts.get("dst") or parts.get("destination") or ""
            outside = parts.get("source") or parts.get("src") or ""
            if inside and outside:
                found[inside] = outside
    return found


def behind_image(words: list[str]) -> list[str]:
    """What a container is given to run: the words behind ``run``, its options and the image; all
    of them where there is no container."""
    if "run" not in words[:4]:
        return words
    at = words.index("run") + 1
    while at < len(words) and words[at].startswith("-"):
        name, equals, _ = words[at].lstrip("-").partition("=")
        at += 1 if equals or name in _ALONE else 2
    return words[at + 1 :]
