"""What a file can state, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from llmrr.errors import Unsupported
from llmrr.flags import Flag
from llmrr.prompts import PromptTemplate
from llmrr.strategies import Cost, Limits
from llmrr.types import Message, Sampling


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that cannot be used. The message says where it stands."""

    message: str
    hint: str = ""
    line: int | None = None


class Template(NamedTuple):
    """A ``[templates.NAME]`` of ``file``: a text, or messages, with ``{name}`` holes."""

    name: str
    template: str | None
    messages: tuple[Message, ...]
    defaults: Mapping[str, str]
    model: str | None
    format: str
    file: Path

    @property
    def prompt(self) -> PromptTemplate:
        """What fills its holes. Raises ``Unsupported`` for another format than braces."""
        if self.format != "braces":
            raise Unsupported(
                f"the template {self.name!r} is written as {self.format!r}, which is kept but not "
                "rendered",
                'rewrite it with {name} holes and format = "braces"',
            )
        return PromptTemplate.named(self.name, self.template, self.messages, self.defaults)

    @property
    def holes(self) -> tuple[str, ...]:
        """The names to be filled, each once, in the order of the text; none of a format that is not
        rendered."""
        return self.prompt.holes if self.format == "braces" else ()


def render(template: Template, values: Mapping[str, object]) -> tuple[Message, ...] | str:
    """Fill the holes of a template: its messages, or its text.

    ``UsageError`` for a hole without a value, or a value without a hole; ``Unsupported`` for a
    template that is written in another format than braces.
    """
    prompt = template.prompt
    return prompt.format(values) if prompt.is_text else prompt.format_messages(values)


class ConfiguredModel(NamedTuple):
    """A ``[[models]]``. ``path`` is the file or folder of a ``file:`` source, seen from ``file``,
    the TOML file that names it; ``options`` are those of ``engines.base.Options`` that are
    stated; ``engine`` is the one that it must be run by, ``format`` what its files must be. The
    rest is how it is chosen."""

    name: str
    source: str
    provider: str
    path: Path | None
    params: Sampling
    system: str | None
    options: Mapping[str, object]
    file: Path
    engine: str | None = None
    format: str | None = None
    priority: int | None = None
    weight: float = 1.0
    tags: tuple[str, ...] = ()
    group: str | None = None
    fallback: tuple[str, ...] = ()
    resume: bool = False
    quality: float | None = None
    cost: Cost | None = None


class KeyRules(NamedTuple):
    """A ``[serve.keys.NAME]`` of ``file``: a key of the server, by the variable that holds it or by
    its hash (both are two keys of one owner), and what he may; None is no limit, and no ``models``
    are all."""

    env: str | None = None
    hash: str | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    concurrent: int | None = None
    models: tuple[str, ...] = ()
    may_manage: bool = False
    file: Path | None = None


class TomlFile(NamedTuple):
    """What a file states. ``values`` maps dotted keys to (in use, as written); ``models`` is None
    where it has no ``[[models]]``."""

    path: Path
    values: Mapping[str, tuple[object, object]]
    models: tuple[ConfiguredModel, ...] | None
    templates: Mapping[str, Template]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()
    flags: Mapping[str, Flag] = MappingProxyType({})
    budgets: Mapping[str, Limits] = MappingProxyType({})
    keys: Mapping[str, KeyRules] = MappingProxyType({})
