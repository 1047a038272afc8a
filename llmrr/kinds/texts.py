"""Texts: names, addresses, commands, messages, and tables of them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from llmrr.kinds.base import Kind
from llmrr.prompts import role_problem

# What clients of the server mean by them, so that no model can be called so.
RESERVED: Final[Mapping[str, str]] = {
    "auto": "leaves the choice to the router, and is no model's name",
    "*": "stands for all names that mean nothing, and is no model's name",
}


def _matching(expected: str, pattern: str) -> Kind:
    """A text that matches a pattern from end to end."""

    def parse(value: object, _folder: Path) -> object:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError
        return value

    return Kind(expected, parse)


def _text(value: object, _folder: Path) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _name(value: object, _folder: Path) -> object:
    if not isinstance(value, str) or not value or re.search(r"[\s\x00-\x1f\x7f]", value):
        raise ValueError
    if value.startswith("-"):
        raise ValueError
    if value in RESERVED:
        raise ValueError(f"{value} {RESERVED[value]}")
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


def _aliases(value: object, folder: Path) -> object:
    found = _texts(value, folder)
    for name in cast("dict[str, str]", found):
        if problem := alias_problem(name):
            raise ValueError(problem)
    return found


def alias_problem(name: str) -> str:
    """What is wrong with an alias; empty where nothing is.

    >>> alias_problem("claude-*"), alias_problem("*-mini")
    ('', 'the alias *-mini has a * that is not its end, as in claude-*')
    """
    if not name:
        return "an alias is empty"
    is_wrong = "*" in name[:-1]
    return f"the alias {name} has a * that is not its end, as in claude-*" if is_wrong else ""


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


def _url(value: object, _folder: Path) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/?#@]+[^\s?#@]*", value):
        raise ValueError
    return value.rstrip("/")


def _sites(value: object, _folder: Path) -> object:
    sites = [one.strip() for one in value.split(",")] if isinstance(value, str) else value
    if not isinstance(sites, list) or not all(isinstance(one, str) for one in sites):
        raise ValueError
    return tuple(dict.fromkeys(map(_site, sites)))


def _site(text: str) -> str:
    """A site as a browser names it.

    >>> _site("HTTP://LocalHost:3000/")
    'http://localhost:3000'
    """
    found = text.strip().lower().removesuffix("/")
    scheme, mark, host = found.partition("://")
    if not (scheme and mark and host) or set("/*? ").intersection(host):
        raise ValueError(f"{text!r} is no site such as http://localhost:3000")
    return found


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


def _variables(value: object, folder: Path) -> object:
    if not isinstance(value, dict) or not value:
        raise ValueError
    for header, name in value.items():
        if not re.fullmatch(r"[!#$%&'*+.^`|~\w-]+", header, re.ASCII):
            raise ValueError(f"{header!r} is no name of a header")
        VARIABLE.parse(name, folder)
    return dict(value)


TEXT = Kind("a text with something in it", _text)
SITES = Kind("a site as a browser names it, or a list of such", _sites)
NAME = Kind("a name without spaces that does not begin with -", _name)
STOP = Kind("a text or a list of texts, none empty", _stop)
TEXTS = Kind("a table of texts", _texts)
ALIASES = Kind("a table of names and models", _aliases)
MESSAGES = Kind("a list of {role, content}", _messages)
WORD = _matching("a word of letters, digits and -_.:", r"(?a)[\w.:-]+")
REVISION = _matching("the name of a branch or tag, or a commit", r"[\w./-]+")
URL = Kind("an address such as http://HOST:PORT/v1, without a key in it", _url)
# What follows a ? may be needed, as at Teams.
HOOK = _matching(
    "an address such as https://HOST/PATH, without a password",
    r"https?://[^\s/?#@]+[^\s#@]*",
)
COMMAND = Kind('a command line such as "notify-send llmrr"', _command)
VARIABLE = _matching("the name of an environment variable", r"(?a)[A-Za-z_]\w*")
VARIABLES = Kind("a table of headers and names of environment variables", _variables)
KEY_HASH = _matching("a hash such as llmrr serve --hash-key prints", r"sha256:[0-9a-f]{64}")
