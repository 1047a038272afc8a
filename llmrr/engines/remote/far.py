"""What a model that computes elsewhere does not do here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from llmrr.errors import EngineFailed, FeatureMissing
from llmrr.types import Endpoint, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Connection(Protocol):
    """What speaks to the provider."""

    def close(self) -> None:
        """End it."""


C = TypeVar("C", bound=Connection)


class Far(Generic[C]):
    """A model of a provider; subclassed by whoever asks it, with ``_client``."""

    threads: int | None = None  # the provider's business
    _client: C

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._closed = False

    def tokenize(self, text: str) -> list[int] | None:
        """None: only the provider knows."""
        return None

    def pieces(self, tokens: Sequence[int]) -> list[bytes] | None:
        """None: only the provider knows."""
        return None

    def prompt_tokens(self, request: Request) -> list[int] | None:
        """None: only the provider knows."""
        return None

    def logits(self, tokens: Sequence[int]) -> "NDArray[np.float32]":
        """Raises ``FeatureMissing``: a provider shows none."""
        raise FeatureMissing(
            f"{self._endpoint.provider} shows no logits", "use a model on this machine"
        )

    def close(self) -> None:
        """Close its connections. Twice is allowed."""
        self._closed = True
        self._client.close()

    def _require_open(self) -> None:
        if self._closed:
            raise EngineFailed("the model was closed")
