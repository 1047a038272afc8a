"""When two models that were found are one, and what else a model answers to. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from llmrr.engines.remote.providers import PROVIDERS as REMOTE
from llmrr.migrate.artefact import Artefact, Model
from llmrr.migrate.merging.variables import Say
from llmrr.migrate.terms import naming

_FINGERPRINT: Final = (
    "source", "params", "options", "format", "engine", "group", "weight", "priority", "tags",
)  # fmt: skip


def fingerprint(model: Model) -> str:
    """What a model is, whatever it is called and wherever it was found."""
    found = {name: getattr(model, name) for name in _FINGERPRINT}
    found["options"] = _telling(model)
    return json.dumps(found, sort_keys=True, default=str)


def _telling(model: Model) -> Mapping[str, Any]:
    """Its options, without the variable of its key where that is the one which its provider's own
    address is asked with anyway."""
    provider = REMOTE.get(model.source.partition(":")[0])
    usual = provider.keys if provider and "base_url" not in model.options else ()
    if usual != (model.options.get("api_key_env"),):
        return model.options
    return {name: one for name, one in model.options.items() if name != "api_key_env"}


def is_automatic(model: Model, other: Model, artefact: Artefact) -> bool:
    """Whether two models of one artefact were named by a reader, not by a person: the same call
    twice in a file of code is one model."""
    return artefact.kind.endswith("-code") or (is_usual(model) and is_usual(other))


def is_usual(model: Model) -> bool:
    """Whether a model is called as its source ends."""
    usual = re.escape(naming.model_name(model.source))
    return re.fullmatch(rf"{usual}(-\d+)?", model.name) is not None


def with_code(artefacts: Iterable[Artefact]) -> list[Artefact]:
    """The artefacts, with no model of a file of variables that code asks too: it names what the
    code reads. What the code does not state is as in the file, where the code asks it in one way;
    an address only of Azure, which has none of its own."""
    given = list(artefacts)
    asked: dict[str, list[Model]] = {}
    for one in given:
        for model in one.models if one.kind.endswith("-code") else ():
            asked.setdefault(model.source, []).append(model)
    stated: dict[str, Model] = {}
    for one in given:
        for model in one.models if one.kind == "dotenv" else ():
            if _reads(asked.get(model.source, ()), model):
                stated.setdefault(model.source, model)
    return [replace(one, models=tuple(_joined(one, stated, asked))) for one in given]


def _reads(known: Sequence[Model], model: Model) -> bool:
    """Whether what code asks is what a file of variables names."""
    address = model.options.get("base_url")
    is_free = address is None or model.source.startswith("azure:")
    return bool(known) and is_usual(model) and all(
        one.options.get("base_url", address if is_free else None) == address for one in known
    )


def _joined(
    artefact: Artefact, stated: Mapping[str, Model], asked: Mapping[str, Sequence[Model]]
) -> Iterator[Model]:
    for model in artefact.models:
        found = stated.get(model.source)
        if found is None or not (artefact.kind == "dotenv" or artefact.kind.endswith("-code")):
            yield model
        elif artefact.kind == "dotenv":
            if not _reads(asked[model.source], model):
                yield model
        elif len({fingerprint(one) for one in asked[model.source]}) > 1:
            yield replace(model, options={**found.options, **model.options})
        else:
            yield replace(
                model, params={**found.params, **model.params}, key=model.key or found.key,
                options={**found.options, **model.options},
            )  # fmt: skip


def answering(models: list[Model], origins: Mapping[str, str], say: Say) -> list[Model]:
    """The models with a further name each: a group of one answers to it."""
    taken, found = {one.name for one in models} | {one.group for one in models}, []
    for model in models:
        for alias in model.aliases:
            name = naming.model_name(alias)
            if model.group is None and name not in taken:
                taken.add(name)
                model = replace(model, group=name)
            elif name not in (model.name, model.group):
                said = f"{model.name} is also called {alias}, which is not taken over"
                say("alias", origins[model.name], said)
        found.append(model)
    return found
