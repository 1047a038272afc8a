"""Which requests mean the same, by the vectors of a model that is configured for it."""

from collections.abc import Mapping

from llmrr.catalogue import Resolved, place
from llmrr.choosing.host import Host
from llmrr.choosing.lookup import Wanted
from llmrr.choosing.setup import Setup
from llmrr.errors import LlmrrError


class Meaning:
    """The comparison of one request with others, by ``model``."""

    def __init__(self, host: Host, setup: Setup, model: str) -> None:
        self._host, self._setup = host, setup
        self._shared, self._model = host.cache, model

    def name(self, wanted: Wanted, about: Mapping[str, object]) -> None:
        """Note which requests it may be compared with; ``about`` is the model that answers."""
        if self._model in self._shared.failed:
            return
        from llmrr.choosing.identity import identity
        from llmrr.routing import cache

        try:
            here = self._setup.catalogue
            model = here.for_running(here.wanted(self._model, None))
            measure = identity(self._setup.config, model, {}, None)
            if self._model not in self._shared.judged:
                self._judge(model)
        except (LlmrrError, OSError) as error:
            self._fail(error)
            return
        if found := cache.family(wanted.request, about, measure):
            wanted.family, wanted.words = found

    def embed(self, wanted: Wanted) -> bool:
        """Find out what it means; whether that could be done."""
        from llmrr.routing import cache

        try:
            (vector,) = self._host.vectors([wanted.words], self._model, self._setup)
            wanted.vector = cache.unit(vector)
            return True
        except (LlmrrError, OSError) as error:
            self._fail(error)
            wanted.family = None
            return False

    def _judge(self, model: Resolved) -> None:
        """Warn once of a model that was not made to tell texts apart."""
        from llmrr.choosing import infos

        self._shared.judged.add(self._model)
        if model.endpoint is None and not infos.inspect(
            place(model).path, self._host.with_database
        ).pooling:
            self._host.warn(
                f"[cache] semantic: {model.name} is no embedding model, and may take different "
                "questions for the same one"
            )

    def _fail(self, error: Exception) -> None:
        """One warning; from then on it is as if nothing were configured."""
        if self._model not in self._shared.failed:
            self._shared.failed.add(self._model)
            said = error.message if isinstance(error, LlmrrError) else str(error)
            self._host.warn(
                f"prompts are not compared by their meaning: {self._model} failed ({said})"
            )
