"""``--as-files``: Ollama's models by their files in its store, with what it puts around them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from llmrr.errors import LlmrrError
from llmrr.migrate.artefact import Model, Notice
from llmrr.migrate.merging.setup import Setup
from llmrr.parameters import fields_of
from llmrr.store.holders import Holding

Find = Callable[[str], Holding]
_PARAMS: Final = frozenset(fields_of("params"))
_OPTIONS: Final = frozenset(fields_of("options"))


def as_files(setup: Setup, find: Find) -> Setup:
    """The setup with the files of Ollama's models in place of their names: those that were seen in
    a store; of others ``find`` gives the model, or raises ``LlmrrError`` where there is none."""
    models, warnings = [], list(setup.warnings)
    for model in setup.models:
        if model.source.startswith("ollama:") and "base_url" not in model.options:
            try:
                model = _of(model, _seen(model) or find(model.source))
            except LlmrrError as error:
                said = f"{model.source} stays as it is: {error.message}"
                warnings.append(Notice("incomplete", setup.origins[model.name], said))
        models.append(model)
    return replace(setup, models=tuple(models), warnings=tuple(warnings))


def held(source: str) -> Holding:
    """A model that Ollama holds on this machine. Raises ``LlmrrError``."""
    from llmrr.store import holders

    found = holders.find(source)
    if found.problem is not None:
        raise LlmrrError(f"{source}: {found.problem}")
    return found


def _seen(model: Model) -> Holding | None:
    """A model of the store that was looked at, which may be none of this machine's."""
    from llmrr.store import holders

    path = Path(model.weights).absolute() if model.weights else None
    if path is None or not path.is_file():
        return None
    known: list[Holding] = []
    with suppress(LlmrrError):
        known = [one for one in holders.holdings("ollama", path.parent.parent)
                 if one.path.absolute() == path and one.problem is None]  # fmt: skip
    named = (model.source, f"{model.source}:latest")
    alone = Holding("ollama", model.name, model.source, path, (path,))
    return next((one for one in known if one.source in named), known[0] if known else alone)


def _of(model: Model, found: Holding) -> Model:
    """The model as a file; what is stated of it counts before what Ollama puts around it."""
    params = dict(_params(found))
    options = {name: one for name, one in found.recipe.options.items() if name in _OPTIONS}
    if adapters := [str(path) for path, _ in options.pop("lora", ())]:
        options["lora"] = adapters[0] if len(adapters) == 1 else adapters
    if encoder := _encoder(found, adapters):
        options["mmproj"] = encoder
    return replace(
        model, source=f"file:{found.path}", engine=None, params={**params, **model.params},
        options={**options, **model.options},
    )  # fmt: skip


def _params(found: Holding) -> Iterator[tuple[str, Any]]:
    sampling = found.recipe.params
    stated: Mapping[str, Any] = {one.name: getattr(sampling, one.name) for one in fields(sampling)}
    for name, value in stated.items():
        if value is not None and name in _PARAMS:
            yield name, list(value) if isinstance(value, tuple) else value
    if found.recipe.system:
        yield "system", found.recipe.system


def _encoder(found: Holding, adapters: list[str]) -> str | None:
    """The image encoder among the files of a model: by its header, for blobs have no names."""
    from llmrr.formats import companions

    for path in found.files[1:]:
        if str(path) not in adapters:
            with suppress(LlmrrError, OSError):
                companions.require(path, "mmproj")
                return str(path)
    return None
