"""Models that a store of another tool holds, beside what settings say of the same models.

A cache knows which weights there are, not how they are used: a model that code asks and whose
weights a cache holds is one model, with the settings of the code.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from llmrr.migrate.artefact import Artefact, Model
from llmrr.migrate.merging.placing import Placer

_STORES: Final = ("hf-cache", "ollama-store")
_FOLDERS: Final = ("hf-cache", "transformers-dir", "mlx-dir")
_PATHS: Final = ("mmproj", "lora", "chat_template")
_CONTEXT: Final = 32_768  # tokens: what a chat takes where it fits


def joined(
    artefacts: Iterable[Artefact], folder: Path, named_too: Collection[str] = ()
) -> list[Artefact]:
    """The artefacts, for an ``llmrr.toml`` in ``folder``, with the models of stores as other
    artefacts have them; without files of a plain folder that others, or the user, name; and
    without a length of training that nobody asked for: a context is as long as it needs to be up
    to that."""
    given = _without_named(list(artefacts), folder, named_too)
    named: dict[tuple[str, str], Model] = {}
    for artefact in given:
        if artefact.kind not in _STORES:
            for model in artefact.models:
                if _is_of_the_store(model):
                    named.setdefault(_place(model), model)
    return [
        replace(one, models=tuple(_as_named(one, named))) if one.kind in (*_STORES, *_FOLDERS)
        else one for one in given
    ]  # fmt: skip


def _without_named(
    given: list[Artefact], folder: Path, too: Collection[str]
) -> list[Artefact]:
    plain = [one for one in given if _is_plain(one)]
    if not plain:
        return given
    named = {
        path for one in given if not _is_plain(one) for model in one.models
        for path in _files(one, model, folder)
    }.union(too)  # fmt: skip
    return [
        replace(one, models=tuple(
            model for model in one.models if not named & {*_files(one, model, folder)}))
        if _is_plain(one) else one for one in given
    ]  # fmt: skip


def _is_plain(artefact: Artefact) -> bool:
    """Whether it is a folder of models and no more."""
    return artefact.kind == "custom" and artefact.confidence is None and bool(
        artefact.models) and artefact.path.is_dir()  # fmt: skip


def _files(artefact: Artefact, model: Model, folder: Path) -> Iterator[str]:
    """The path of a model that is one."""
    if model.source.startswith("file:"):
        with suppress(ValueError):
            yield Placer(artefact.path, folder).source(model.source)


def _as_named(artefact: Artefact, named: dict[tuple[str, str], Model]) -> Iterator[Model]:
    for model in artefact.models:
        known = named.get(_place(model)) if artefact.kind in _STORES else None
        size = model.options.get("context_size")
        if known is not None:
            yield replace(known, name=model.name, line=None, call_sites=[], bytes=model.bytes,
                          weights=model.weights)  # fmt: skip
        elif artefact.kind in _FOLDERS and isinstance(size, int) and size > _CONTEXT:
            kept = {name: one for name, one in model.options.items() if name != "context_size"}
            yield replace(model, options=kept)
        else:
            yield model


def _is_of_the_store(model: Model) -> bool:
    """Whether the weights on this machine are meant, and nothing is said by a relative path."""
    apart = {"base_url", "revision", *_PATHS} & set(model.options)
    return not apart and model.engine in (None, "llamacpp")


def _place(model: Model) -> tuple[str, str]:
    """What tells the weights of one model from those of another."""
    provider, _, name = model.source.partition(":")
    if provider == "ollama":
        name = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    return f"{provider}:{name}".lower(), str(model.options.get("file", ""))
