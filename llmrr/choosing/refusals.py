"""Refusals of one request. That a provider refuses it says nothing of a model, unless another one
then answers it.
"""

from llmrr.choosing.attempts import Ended
from llmrr.errors import ContentRefused, RequestRefused


class Refusals:
    """The models that have refused a request which nobody has answered yet."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._is_answered = False

    def failures(self, ended: Ended) -> dict[str, str]:
        """The models whose refusals are failures, now that this attempt has ended, each once, with
        what they said. Room and features that a model lacks are none."""
        error = ended.error
        if error is None and ended.finish_reason != "cancelled":
            self._is_answered = True
            self._said.pop(ended.name, None)
        elif isinstance(error, RequestRefused | ContentRefused):
            self._said[ended.name] = f"{type(error).__name__}: {error.message}"[:500]
        if not self._is_answered:
            return {}
        found, self._said = self._said, {}
        return found
