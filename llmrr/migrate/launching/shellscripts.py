"""The commands of shell scripts, units of systemd and makefiles, as words. Nothing is run: a
variable counts where the same file states it."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from llmrr.migrate.launching.commands import words_of

Command = tuple[int, list[str], dict[str, str], dict[str, str]]
"""A command line: where it stands, its words, what is set for it, and what a container sees."""

HINT: Final = re.compile(
    r"(?i)llama|mlx|vllm|kobold|ollama|litellm|sglang|text-generation|\.gguf|local-?ai"
    r"|services:[\s\S]{0,20000}model:"
)
# What a line begins with that installs, shows or ends a program.
_WORDS: Final = (
    "pip pip3 brew apt apt-get dnf yum pacman git which echo printf cd kill pkill killall if elif"
    " while curl wget systemctl conda mamba npm pnpm yarn cmake make cp mv rm ln test [ [[ source ."
    " mkdir chmod grep find ls cat tail head read for case function export.exe rem @echo write-host"
    " set setx rem: pgrep command type huggingface-cli hf rsync scp tar unzip sed awk tee sleep"
)
_OTHER_COMMANDS: Final = frozenset(_WORDS.split())
_ASSIGNED: Final = re.compile(
    r"(?m)^[ \t]*(?:export[ \t]+|set[ \t]+|\$)?([A-Za-z_]\w*)[ \t]*=(.*)$"
)
_MADE: Final = re.compile(r"(?m)^(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*[:?]{0,2}=[ \t]*(.*)$")
_VARIABLE: Final = re.compile(
    r"\$\{([A-Za-z_]\w*|\d)(?::?[-=]([^{}]*))?\}|\$([A-Za-z_]\w*)|%(\w+)%"
)
_IF_SET: Final = re.compile(r"\$\{([A-Za-z_]\w*):?\+[^{}]*\}")
_IN_RECIPE: Final = re.compile(r"\$[({](\w+)[)}]")
_SHELLS: Final = re.compile(r"(?:.*/)?(?:ba|z|da|a)?sh")
_SPLIT: Final = frozenset({"&&", "||", ";", ";;", "|", "&"})
_LINE: Final = 20_000  # characters of a command
_VALUE: Final = 2_000  # characters of a variable
_DEEPEST: Final = 3
_MOST: Final = 1_000  # recipes that are taken apart


def lines(text: str) -> Iterator[Command]:
    """The commands of a script with the variables that are set once in it; of a unit of systemd
    what is started."""
    known = assigned(text)
    for line, said in joined(text):
        if len(said) > _LINE:
            continue
        command = re.sub(r"^\s*ExecStart\s*=\s*[-@:+!]*", "", said)
        if command == said and re.match(r"\s*[A-Za-z]+\s*=", said) and "Exec" in said:
            continue
        if not HINT.search(filled(command, known)):
            continue
        words = words_of(filled(command, known))
        if not is_other(words) and not said.lstrip().startswith("#"):
            yield line, words, {key: one for key, one in known.items() if one is not None}, {}


def recipes(text: str) -> Iterator[Command]:
    """The commands of a makefile, with its variables."""
    known: dict[str, str | None] = {}
    for name, value in _MADE.findall(text):
        value = value.partition(" #")[0].strip()
        known[name] = value if known.get(name, value) == value else None
    known = {name: one and _IN_RECIPE.sub(r"${\1}", one) for name, one in known.items()}
    left = _MOST
    for line, said in joined(text):
        if said[:1] not in (" ", "\t") or len(said) > _LINE:
            continue
        command = filled(_IN_RECIPE.sub(r"${\1}", said.strip().lstrip("@-+")), known)
        if not HINT.search(command):
            continue
        left -= 1
        for words in _groups(command.replace("$$", "$")) if left >= 0 else ():
            if HINT.search(" ".join(words)) and not is_other(words):
                yield line, words, {}, {}


def each(commands: Iterable[Command]) -> Iterator[Command]:
    """The same, with what a shell or another machine is given to run in place of that."""
    for line, words, environment, mounts in commands:
        for inner in _inner(words, 0):
            yield line, inner, environment, mounts


def _inner(words: list[str], depth: int) -> Iterator[list[str]]:
    if asked := _pulled(words):
        yield asked
        return
    text = _handed_on(words)
    if text is None or depth > _DEEPEST:
        yield words
        return
    for _, said in joined(text):
        for group in _groups(said):
            if _pulled(group) or not is_other(group):
                yield from _inner(group, depth + 1)


def _pulled(words: list[str]) -> list[str] | None:
    """The model that Ollama's server is asked to fetch, as the command for it."""
    if not {"curl", "wget"} & {*words[:4]} or not any(one.endswith("/api/pull") for one in words):
        return None
    for one in words:
        found = re.search(r"""["']?\b(?:name|model)["']?\s*:\s*["']?([\w./:-]+)""", one)
        if found:
            return ["ollama", "pull", found[1]]
    return None


def _handed_on(words: list[str]) -> str | None:
    """What ``sh -c`` or ``ssh HOST`` is to run; in a container too."""
    if words and re.fullmatch(r"(?:.*/)?ssh", words[0]) and len(words) > 2:
        return words[-1] if " " in words[-1] else None
    for at, word in enumerate(words[:-2] if len(words) > 2 else []):
        if _SHELLS.fullmatch(word) and re.fullmatch(r"-\w*c", words[at + 1]):
            return words[at + 2]
        if at >= 3:  # docker run IMAGE
            break
    return None


def _groups(text: str) -> Iterator[list[str]]:
    """The commands of a line: ``a && b; c``."""
    reader = shlex.shlex(text[:_LINE], posix=True, punctuation_chars=";&|")
    reader.whitespace_split, reader.commenters = True, ""
    group: list[str] = []
    try:
        for word in reader:
            if word in _SPLIT:
                yield group
                group = []
            else:
                group.append(word)
    except ValueError:  # a quote that is not closed
        return
    yield group


def is_other(words: list[str]) -> bool:
    """Whether a command installs, shows or ends something, whatever it names.

    >>> is_other(["sudo", "echo", "llama-server"]), is_other(["A=1", "llama-server"])
    (True, False)
    """
    first = next((one for one in words if "=" not in one and one not in ("sudo", "exec")), "")
    return first.lower() in _OTHER_COMMANDS


def joined(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a script; those that go on with the next are one."""
    whole, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not whole:
            start = number
        plain = line.rstrip()
        if plain.endswith(("\\", "^", "`")) and not plain.lstrip().startswith("#"):
            whole += plain[:-1] + " "
            continue
        yield start, whole + line
        whole = ""
    if whole:
        yield start, whole


def assigned(text: str) -> dict[str, str | None]:
    """The variables that a script sets, None for one that it sets to several values."""
    known: dict[str, str | None] = {}
    for match in _ASSIGNED.finditer(text):
        name, value = match[1], match[2].strip()
        if name == "Environment":
            name, _, value = value.strip("\"'").partition("=")
        value = value.partition(" #")[0].strip().strip("\"'")
        known[name] = value if known.get(name, value) == value else None
    for match in re.finditer(r"(?m)^[ \t]*:[ \t]+\"?\$\{(\w+):?=([^{}]*)\}", text):
        known.setdefault(match[1], f"${{{match[1]}:-{match[2]}}}")
    for name, one in list(known.items()):
        if one is not None and ("$(" in one or len(one) > _VALUE):
            known[name] = None
    return known


def filled(text: str, known: Mapping[str, str | None]) -> str:
    """A command with its variables, where the file says what they are; a default counts where it
    does not."""

    def one(match: re.Match[str]) -> str:
        name = match[1] or match[3] or match[4]
        value = known.get(name)
        if value is None and name not in known and match[2] is not None:
            value = match[2]
        return match[0] if value is None else value

    text = _IF_SET.sub(lambda match: match[0] if known.get(match[1]) else "", text)
    for _ in range(5):
        changed = _VARIABLE.sub(one, text)
        if changed == text or len(changed) > _LINE:
            break
        text = changed
    return text
