"""An Ollama Modelfile, read and written, and the parameters as Ollama's store keeps them. Pure but
for one question: whether what ``FROM`` names exists.

The grammar is that of Ollama's parser, ``parser/parser.go`` of https://github.com/ollama/ollama.
"""

import codecs
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from llmrr import parameters
from llmrr.errors import BadConfig, Unsupported, UsageError, nearest
from llmrr.paths import exists, user_path
from llmrr.types import Message, Recipe, Sampling

COMMANDS = (
    "FROM", "PARAMETER", "TEMPLATE", "SYSTEM", "ADAPTER", "MESSAGE", "LICENSE", "DRAFT",
    "RENDERER", "PARSER", "REQUIRES",
)  # fmt: skip
ROLES = ("system", "user", "assistant")

# Ollama's parameters that mean something here.
OLLAMA = (
    "num_ctx", "num_predict", "num_gpu", "num_thread", "use_mmap", "use_mlock", "seed", "stop",
    "temperature", "top_k", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty",
    "frequency_penalty",
)  # fmt: skip
# Those that only its engine has, and those that it has given up.
_NO_EFFECT = (
    "num_keep", "num_batch", "main_gpu", "repeat_last_n", "draft_num_predict", "mirostat",
    "mirostat_tau", "mirostat_eta", "penalize_newline", "low_vram", "f16_kv", "logits_all",
    "vocab_only", "embedding_only", "tfs_z", "numa", "num_gqa", "rope_frequency_base",
    "rope_frequency_scale",
)  # fmt: skip
# What Ollama calls "as it thinks best"; -1 layers are all of them here.
_AUTOMATIC = {("num_gpu", "-1"), ("num_thread", "0")}
_AS_OLLAMA = {
    "max_tokens": "num_predict",
    "context_size": "num_ctx",
    "gpu_layers": "num_gpu",
    "threads": "num_thread",
    "mmap": "use_mmap",
}
_UNUSED = {
    "TEMPLATE": "TEMPLATE, a Go template, is kept but not used: the model's own is",
    "DRAFT": "DRAFT has no effect here",
    "RENDERER": "RENDERER has no effect here",
    "PARSER": "PARSER has no effect here",
    "REQUIRES": "REQUIRES speaks of versions of Ollama and has no effect here",
}
_SOURCES = ("huggingface:", "hf:", "ollama:", "lmstudio:", "builtin:")
_HUB = ("hf.co/", "huggingface.co/")
_BLOB = re.compile(r"blobs[/\\]sha256[-:][0-9a-f]{64}$")
_PATH = re.compile(r"[./~\\]|[A-Za-z]:[/\\]|.*\.(gguf|bin|safetensors)$", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Modelfile:
    """What a Modelfile says. ``base`` is what ``FROM`` names, ``base_path`` where it lies if that
    is a path. MESSAGEs of every role stand in ``recipe.messages`` in their order, adapters in
    ``recipe.options["lora"]``."""

    base: str
    base_path: Path | None = None
    projector: Path | None = None
    recipe: Recipe = field(default_factory=Recipe)
    warnings: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The base as a source.

        >>> Modelfile("hf.co/owner/repo:Q4_K_M").source, Modelfile("mistral:7b").source
        ('huggingface:owner/repo:Q4_K_M', 'ollama:mistral:7b')
        """
        if self.base_path is not None:
            return f"file:{self.base_path}"
        if self.base.startswith(_SOURCES):
            return self.base
        for address in _HUB:
            if self.base.lower().startswith(address):
                repo, colon, tag = self.base[len(address) :].partition(":")
                named = colon and tag.lower().endswith(".gguf")  # a file of it, not a quantization
                return f"huggingface:{repo}{'/' if named else colon}{tag}"
        return f"ollama:{self.base}"


class Stated(NamedTuple):
    """A parameter as it was written, and where."""

    place: str
    name: str
    text: str


class Command(NamedTuple):
    """``name`` is in capitals, ``word`` the name of a parameter or the role of a message; ``cut``:
    what cannot be printed was left out of the value. ``line`` is from 1."""

    line: int
    place: str
    name: str
    word: str
    value: str
    cut: bool


def parse(text: bytes | str, folder: Path, where: str, *, base: str | None = None) -> Modelfile:
    """Read a Modelfile; relative paths start at ``folder``, and ``where`` names the file in what is
    said about it. What has no effect here and values that cannot be used become warnings.

    Raises ``BadConfig`` for an unknown command or role, a quote that is never closed, and a file
    without ``FROM``, unless there is a ``base`` already.
    """
    plain = decoded(text)
    commands = tuple(commands_of(plain, where))
    found, projector, about_base = _bases(commands, folder, plain, where, base)
    stated = (Stated(c.place, c.word, c.value) for c in commands if c.name == "PARAMETER")
    accepted = set(parameters.known_options()) - {"lora"}
    params, options, about_parameters = read_stated(stated, accepted, folder)
    if adapters := [folder / user_path(value) for value in _values(commands, "ADAPTER")]:
        options["lora"] = tuple((path, 1.0) for path in adapters)
    messages = tuple(Message(c.word, c.value) for c in commands if c.name == "MESSAGE")
    return Modelfile(
        base=found.name,
        base_path=found.path,
        projector=projector,
        recipe=Recipe(
            system=_last(commands, "SYSTEM"),
            params=params,
            options=options,
            messages=messages,
            template=_last(commands, "TEMPLATE"),
            license="\n\n".join(_values(commands, "LICENSE")) or None,
        ),
        warnings=(*about_base, *about_parameters, *_remarks(commands)),
    )


def render(base: str, recipe: Recipe, projector: Path | None = None) -> str:
    """Write a Modelfile that ``parse`` reads as the same recipe. What has no place in one is left
    out: a schema, a grammar, logit biases, scales of adapters.

    Raises ``Unsupported`` for a text that no quotes can hold.
    """
    lines = [f"FROM {_quoted(str(one))}" for one in (base, projector) if one is not None]
    for name in parameters.known_options():
        value = recipe.options.get(name, getattr(recipe.params, name, None))
        if name != "lora" and value is not None:
            lines += _parameter_lines(name, value)
    lines += [f"ADAPTER {_quoted(str(path))}" for path, _ in recipe.options.get("lora", ())]
    if recipe.system is not None:
        lines.append(f"SYSTEM {_quoted(recipe.system)}")
    if recipe.template is not None:
        lines.append(f"TEMPLATE {_quoted(recipe.template)}")
    lines += [f"MESSAGE {one.role} {_quoted(one.content)}" for one in recipe.messages]
    if recipe.license is not None:
        lines.append(f"LICENSE {_quoted(recipe.license)}")
    return "\n".join(lines) + "\n"


def read_params(raw: bytes, where: str) -> tuple[Sampling, dict[str, object], tuple[str, ...]]:
    """What a params blob of Ollama's store sets, as (sampling, loading options, warnings): a JSON
    object of scalars and lists. Only Ollama's own names count.

    >>> read_params(b'{"num_ctx": 8192, "num_keep": 24}', "m")[1:]
    ({'context_size': 8192}, ('num_keep has no effect here (m)',))
    """
    table = json_value(raw)
    if not isinstance(table, dict):
        return Sampling(), {}, (f"the parameters are not a JSON object ({where})",)
    accepted = {parameters.option_name(name) for name in OLLAMA}
    return read_stated(stated_in(table, where), accepted)


def json_value(raw: bytes) -> object:
    """What JSON says; None for what is not JSON or holds halves of characters."""
    try:
        value = json.loads(raw)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def stated_in(table: Mapping[str, object], where: str) -> Iterator[Stated]:
    """The entries of a table of scalars and lists, as they would be written one by one."""
    for name, value in table.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, float) and item.is_integer():
                item = int(item)
            if item is not None:
                text = str(item)
                yield Stated(where, name, text.lower() if isinstance(item, bool) else text)


def read_stated(
    stated: Iterable[Stated], accepted: Collection[str], folder: Path = Path()
) -> tuple[Sampling, dict[str, object], tuple[str, ...]]:
    """What parameters set, as (sampling, loading options, warnings). ``accepted`` holds our names
    of those that may be set. The last value of a name counts, those of ``stop`` add up."""
    sampling: dict[str, object] = {}
    loading: dict[str, object] = {}
    warnings = []
    for one in stated:
        more, options, warning = _setting(one, accepted, folder)
        if "stop" in more:
            more["stop"] = (*_texts(sampling.get("stop")), *_texts(more["stop"]))
        sampling |= more
        loading |= options
        warnings += [f"{warning} ({one.place})"] if warning else []
    known = {name: value for name, value in sampling.items() if value is not None}
    kept = {name: value for name, value in loading.items() if value is not None}
    return Sampling(**known), kept, tuple(warnings)  # type: ignore[arg-type]


# -- commands --------------------------------------------------------------------------------------


def decoded(text: bytes | str) -> str:
    """The text without a byte order mark, each line ended by a line feed."""
    if isinstance(text, bytes):
        wide = text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = text.decode("utf-16" if wide else "utf-8", errors="replace")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def commands_of(text: str, where: str) -> Iterator[Command]:
    """The commands of a decoded Modelfile, one by one. Raises ``BadConfig`` where Ollama would."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line, place = lines[at].lstrip(" \t"), f"{where}, line {at + 1}"
        at += 1
        number = at
        if not line or line.startswith("#"):
            continue
        name, word, start = _head(line, place)
        value, at = _value(lines, at, start)
        if value is None:
            raise BadConfig(f"the quote of {name} is never closed ({place})", f"edit {place}")
        # Ollama leaves out what cannot be printed, so that is what people have seen at work.
        shown = "".join(c for c in value if c.isprintable() or c in "\n\t")
        yield Command(number, place, name, word, shown, shown != value)


def _head(line: str, place: str) -> tuple[str, str, str]:
    """The command in capitals, its word if it has one, and what follows on the line."""
    written, *rest = re.split(r"[ \t]", line, maxsplit=1)
    name = written.upper()
    if name not in COMMANDS:
        # No more than a word of it: the file may be anything.
        said = "".join(re.findall(r"^\w{1,30}", written)) or "that"
        near = nearest(said, COMMANDS)
        hint = f"did you mean {near}?" if near else f"the commands are {', '.join(COMMANDS)}"
        raise BadConfig(f"{said} is not a command of a Modelfile ({place})", hint)
    if rest and name not in ("PARAMETER", "MESSAGE"):
        return name, "", rest[0]
    word, *after = re.split(r"[ \t]", rest[0].lstrip(" \t") if rest else "", maxsplit=1)
    if name == "MESSAGE" and word not in ROLES:
        said = f'the role "{word[:30]}" of MESSAGE is not one of {", ".join(ROLES)}'
        raise BadConfig(f"{said} ({place})", f"edit {place}")
    if not after or not re.fullmatch(r"[A-Za-z0-9_]+", word):
        lacks = "a name and a value" if name == "PARAMETER" else "a value"
        raise BadConfig(f"{name} needs {lacks} ({place})", f"edit {place}")
    return name, word, after[0]


def _value(lines: Sequence[str], at: int, start: str) -> tuple[str | None, int]:
    """The value that begins with ``start``, and the number of the line after it.

    Quotes may hold several lines, and nothing is escaped: a value ends with the first line that
    ends with its quote, so text after a quote makes it go on. None: it is never closed.
    """
    first = start.strip()
    quote = '"""' if first.startswith('"""') else '"' if first.startswith('"') else ""
    pieces = [start]
    closed = len(first) >= 2 * len(quote) and first.endswith(quote)
    while not closed and at < len(lines):
        pieces.append(lines[at])
        closed = lines[at].rstrip().endswith(quote)
        at += 1
    value = "\n".join(pieces).strip()
    return (value[len(quote) : len(value) - len(quote)] if closed else None), at


def _quoted(text: str) -> str:
    for candidate in (text or '""', f'"""{text}"""', f'"{text}"'):
        lines = candidate.split("\n")
        if _value(lines, 1, lines[0]) == (text, len(lines)):
            return candidate
    said = text if len(text) < 40 else f"{text[:40]}…"
    raise Unsupported(
        f"a Modelfile cannot hold {said!r}: a line of it ends with quotation marks",
        "write a full stop or another sign after them",
    )


def _values(commands: Iterable[Command], name: str) -> list[str]:
    """The values of a command, without the blank ones."""
    return [c.value for c in commands if c.name == name and c.value.strip()]


def _last(commands: Iterable[Command], name: str) -> str | None:
    """The value of the last command of that name, None for a blank one."""
    values = [c.value for c in commands if c.name == name]
    return values[-1] if values and values[-1].strip() else None


def _remarks(commands: Iterable[Command]) -> Iterator[str]:
    for command in commands:
        if command.name in _UNUSED:
            yield f"{_UNUSED[command.name]} ({command.place})"
        if command.cut:
            what = "characters that cannot be printed are left out, as Ollama does, of"
            yield f"{what} {command.name} ({command.place})"


# -- FROM ------------------------------------------------------------------------------------------


class _Base(NamedTuple):
    place: str
    name: str
    path: Path | None


def _bases(
    commands: Iterable[Command], folder: Path, text: str, where: str, known: str | None
) -> tuple[_Base, Path | None, list[str]]:
    """The base, the image encoder that a further FROM names, and warnings. As in Ollama a name
    counts before files."""
    stated = [c for c in commands if c.name == "FROM" and c.value.strip()]
    if not stated and known is not None:
        return _Base(where, known, None), None, []
    if not stated:
        raise BadConfig(f"{where} has no FROM line", "add one: FROM with a model's name or file")
    bases = [_Base(c.place, c.value, _base_path(c.value, folder)) for c in stated]
    names = [base for base in bases if base.path is None]
    files = sorted((base for base in bases if base.path), key=lambda base: "mmproj" in base.name)
    base, files = (names[-1], files) if names else (files[0], files[1:])
    projector = files[0].path if files else None
    unused = len(bases) - 1 - bool(projector)
    warnings = [f"of several FROM lines {base.name} counts ({base.place})"] if unused else []
    if elsewhere := _other_machine(base, text):
        warnings.append(f"{base.name} is not here; its remark names {elsewhere} ({base.place})")
        base = _Base(base.place, elsewhere, None)
    return base, projector, warnings


def _base_path(value: str, folder: Path) -> Path | None:
    """Where the base lies if it is a path: whatever exists there, and what looks like one."""
    if value.startswith(("file:", "local:")):
        return folder / user_path(value.partition(":")[2])
    if value.startswith(_SOURCES):
        return None
    path = folder / user_path(value)
    if exists(path) or (not value.lower().startswith(_HUB) and _PATH.match(value)):
        return path
    return None


def _other_machine(base: _Base, text: str) -> str | None:
    """The name in the remark that ``ollama show --modelfile`` writes above a blob's path, where
    that blob is not on this machine."""
    if base.path is None or not _BLOB.search(base.name) or exists(base.path):
        return None
    remark = re.search(r"^# FROM[ \t]+(\S+)[ \t]*$", text, re.MULTILINE)
    return remark[1] if remark else None


# -- PARAMETER -------------------------------------------------------------------------------------


def _setting(
    one: Stated, accepted: Collection[str], folder: Path
) -> tuple[dict[str, object], dict[str, object], str]:
    """What one parameter sets, as (sampling, loading options, warning)."""
    name = one.name.lower()
    if name in _NO_EFFECT:
        return {}, {}, f"{one.name} has no effect here"
    if (name, one.text.strip()) in _AUTOMATIC:
        return {}, {parameters.option_name(name): None}, ""
    ours = parameters.FOREIGN.get(name, name)
    if ours not in accepted:
        near = nearest(name, [*OLLAMA, *accepted])
        meant = f"; did you mean {near}?" if near else ""
        return {}, {}, f'there is no parameter "{one.name[:40]}", and it is left out{meant}'
    for text, warning in _readings(one):
        try:
            return *parameters.read_options([(name, text)], folder), warning
        except UsageError:
            continue
    expected = parameters.known_options()[ours].expected
    return {}, {}, f'{one.name} "{one.text[:40]}" is not {expected}, and is left out'


def _readings(one: Stated) -> Iterator[tuple[str, str]]:
    yield one.text, ""
    before, mark, _ = one.text.partition("#")
    if mark:
        yield before.strip(), f"what follows # is not part of {one.name}"


def _parameter_lines(name: str, value: object) -> Iterator[str]:
    if name != "gpu_layers" or (isinstance(value, int) and value >= 0):
        name = _AS_OLLAMA.get(name, name)
    for item in value if isinstance(value, tuple) else (value,):
        text = str(item).lower() if isinstance(item, bool) else str(item)
        yield f"PARAMETER {name} {_quoted(text)}"


def _texts(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()
