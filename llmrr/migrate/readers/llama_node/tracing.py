"""Which model a context, a session or a completion belongs to."""

from collections.abc import Mapping

from llmrr.migrate.artefact import Model
from llmrr.migrate.values import Call, Code, Value

_STEPS = 20


class Tracing:
    """Follows what was made of what. Where a file loads one model, it is that one's."""

    def __init__(self, code: Code, models: Mapping[int, Model]) -> None:
        self._models = models
        self._loading = {one.targets[0] for one in code.calls if id(one) in models and one.targets}
        self._only = next(iter(models.values())) if len(models) == 1 else None

    def model_of(self, value: Value) -> Model | None:
        """The model that something was made of, or None."""
        for _ in range(_STEPS):
            if not isinstance(value, Call):
                return self._only
            if id(value) in self._models:
                return self._models[id(value)]
            if value.name in ("loadModel", "LlamaModel", "LlamaCpp"):
                return None  # one that has no place
            named = value.named
            stated = [named[one] for one in ("contextSequence", "context", "model") if one in named]
            value = stated[0] if stated else value.receiver
        return None
