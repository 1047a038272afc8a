"""What comes of a name: the model that it means, whatever it is found in."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr import formats, paths
from llmrr.config import ConfiguredModel
from llmrr.errors import BadConfig, LlmrrError, Unsupported
from llmrr.types import Endpoint, Format, Recipe

if TYPE_CHECKING:
    from llmrr.store.holders import Holding
    from llmrr.store.records import Entry

BUILTIN = "builtin:mini"


@dataclass(frozen=True, slots=True)
class Resolved:
    """Which model answers, and why. ``stated`` is False when nobody named it; ``label`` is that of
    an installed one. ``format`` is None where it has yet to be looked at; ``engine`` is the one
    that the configuration names. ``endpoint`` is where a remote one answers, which has no
    ``path``; ``mmproj`` is the image encoder among its files."""

    name: str
    source: str
    path: Path
    stated: bool = True
    why: str = ""
    recipe: Recipe = field(default_factory=Recipe)
    format: Format | None = None
    label: str | None = None
    engine: str | None = None
    endpoint: Endpoint | None = None
    mmproj: Path | None = None

    @property
    def options(self) -> dict[str, Any]:
        """How it is loaded, unless the call says otherwise: its recipe, and the image encoder that
        lies with its files."""
        found = {} if self.mmproj is None else {"mmproj": self.mmproj}
        return {**found, **self.recipe.options}


def builtin() -> Resolved:
    return Resolved(BUILTIN, BUILTIN, paths.builtin_model(), format=Format.GGUF)


def served(name: str) -> Resolved:
    """A model of Ollama's server."""
    source = f"ollama:{name}"
    return Resolved(source, source, Path(), endpoint=Endpoint("ollama", name))


def of_entry(entry: "Entry") -> Resolved:
    path = paths.builtin_model() if entry.origin == BUILTIN else entry.path
    return Resolved(
        entry.label, entry.origin, path, recipe=entry.recipe, format=entry.format,
        label=entry.label,
        mmproj=_mmproj(entry.format, [file.path for file in entry.files]) or _beside(path),
    )  # fmt: skip


def of_holding(holding: "Holding") -> Resolved:
    return Resolved(
        holding.name, holding.source, holding.path, recipe=holding.recipe, format=holding.format,
        mmproj=_mmproj(holding.format, holding.files),
    )  # fmt: skip


def of_file(path: Path, name: str | None = None, source: str | None = None) -> Resolved:
    return Resolved(name or path.name, source or f"file:{path}", path, mmproj=_beside(path))


def as_format(found: Resolved, wanted: Format, model: ConfiguredModel) -> Resolved:
    """The same, in the format that the configuration states."""
    try:
        path = formats.of_format(found.path, wanted)
    except Unsupported as error:
        raise BadConfig(
            f"{error.message}; {model.name} has format = {model.format} ({model.file})",
            "take out the format, or name the right file",
        ) from None
    return replace(found, path=path, format=wanted if path.is_file() else found.format)


def _mmproj(form: Format | None, files: Sequence[Path]) -> Path | None:
    """The image encoder among the files of a model, told by what it says."""
    for path in files[1:] if form is Format.GGUF else ():
        with suppress(LlmrrError):
            if formats.inspect(path).kind == "mmproj":
                return path
    return None


def _beside(path: Path) -> Path | None:
    """The image encoder that lies beside a model's file."""
    with suppress(OSError):
        if path.is_file() and any(
            "mmproj" in one.name.lower() for one in path.parent.iterdir()
        ):
            from llmrr.store.variants import encoder_beside

            return encoder_beside(path)
    return None
