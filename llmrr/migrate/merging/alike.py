"""When two models that were found are one, and what else a model answers to. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from llmrr.migrate.artefact import Artefact, Model
from llmrr.migrate.merging.variables import Say
from llmrr.migrate.terms import naming

_FINGERPRINT: Final = (
    "source", "params", "options", "format", "engine", "group", "weight", "priority", "tags",
)  # fmt: skip


def fingerprint(model: Model) -> str:
    """What a model is, whatever it is called and wherever it was found."""
    found = {name: getattr(model, name) for name in _FINGERPRINT}
    return json.dumps(found, sort_keys=True, default=str)


def is_automatic(model: Model, other: Model, artefact: Artefact) -> bool:
    """Whether two models of one artefact were named by a reader, not by a person: the same call
    twice in a file of code is one model."""
    return artefact.kind.endswith("-code") or (is_usual(model) and is_usual(other))


def is_usual(model: Model) -> bool:
    """Whether a model is called as its source ends."""
    usual = re.escape(naming.model_name(model.source))
    return re.fullmatch(rf"{usual}(-\d+)?", model.name) is not None


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
