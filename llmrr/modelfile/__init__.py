"""An Ollama Modelfile, read and written: ``commands`` has its grammar, ``bases`` what ``FROM``
names, ``stated`` the parameters, also as Ollama's store keeps them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from llmrr import parameters
from llmrr.modelfile.bases import bases_of, source_of
from llmrr.modelfile.commands import Command, commands_of, decoded, quoted
from llmrr.modelfile.stated import OLLAMA, Stated, read_stated
from llmrr.paths import user_path
from llmrr.types import Message, Recipe

__all__ = ["OLLAMA", "Modelfile", "parse", "render"]

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
        return source_of(self.base, self.base_path)


def parse(text: bytes | str, folder: Path, where: str, *, base: str | None = None) -> Modelfile:
    """Read a Modelfile; relative paths start at ``folder``, and ``where`` names the file in what is
    said about it. What has no effect here and values that cannot be used become warnings.

    Raises ``BadConfig`` for an unknown command or role, a quote that is never closed, and a file
    without ``FROM``, unless there is a ``base`` already.
    """
    plain = decoded(text)
    commands = tuple(commands_of(plain, where))
    stated_base, projector, about_base = bases_of(commands, folder, plain, where, base)
    stated = (Stated(c.place, c.word, c.value) for c in commands if c.name == "PARAMETER")
    accepted = set(parameters.known_options()) - {"lora"}
    params, options, about_parameters = read_stated(stated, accepted, folder)
    if adapters := [folder / user_path(value) for value in _values(commands, "ADAPTER")]:
        options["lora"] = tuple((path, 1.0) for path in adapters)
    messages = tuple(Message(c.word, c.value) for c in commands if c.name == "MESSAGE")
    return Modelfile(
        base=stated_base.name,
        base_path=stated_base.path,
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
    lines = [f"FROM {quoted(str(one))}" for one in (base, projector) if one is not None]
    for name in parameters.known_options():
        value = recipe.options.get(name, getattr(recipe.params, name, None))
        if name != "lora" and value is not None:
            lines += _parameter_lines(name, value)
    lines += [f"ADAPTER {quoted(str(path))}" for path, _ in recipe.options.get("lora", ())]
    if recipe.system is not None:
        lines.append(f"SYSTEM {quoted(recipe.system)}")
    if recipe.template is not None:
        lines.append(f"TEMPLATE {quoted(recipe.template)}")
    lines += [f"MESSAGE {one.role} {quoted(one.content)}" for one in recipe.messages]
    if recipe.license is not None:
        lines.append(f"LICENSE {quoted(recipe.license)}")
    return "\n".join(lines) + "\n"


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


def _parameter_lines(name: str, value: object) -> Iterator[str]:
    if name != "gpu_layers" or (isinstance(value, int) and value >= 0):
        name = _AS_OLLAMA.get(name, name)
    for item in value if isinstance(value, tuple) else (value,):
        text = str(item).lower() if isinstance(item, bool) else str(item)
        yield f"PARAMETER {name} {quoted(text)}"
