"""What a local engine brings to the core that it shares with others.

An engine other than llama.cpp writes a ``Backend``: it computes tokens of a sequence whose past is
in a ``State``. All calls come from one thread, that of ``runner.Runner``, but ``abort``. The rest
(requests, templates, sampling, streams, batching, structured output) is ``local.LocalModel``,
which takes a backend, a ``tokens.Tokens`` and ``ModelInfo``, and is what ``Engine.load`` returns:

    opening = Later(lambda: MyBackend(place, options)).start()      # on a thread: Ctrl-C is heard
    tokens = Tokens.of(folders, info)
    return LocalModel(place, info, options, tokens, opening, began)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from llmrr.errors import FeatureMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Logits = NDArray[np.float32]


class State(Protocol):
    """What is kept of a sequence: the keys and values of its first ``length`` tokens, say."""

    length: int


S = TypeVar("S", bound=State)


class Aborted(Exception):
    """``advance`` was stopped by ``abort``; the state is as it was before."""


class Backend(Generic[S]):
    """A model that computes. The defaults are those of a backend that can do no more than advance.

    ``engine`` is its engine's name, for errors. ``chunk`` is how many tokens of a prompt are
    computed at once at most; ``together`` how many sequences ``step`` computes at once; ``forks``
    says whether ``fork`` can copy a state. ``largest_context`` is how many tokens a sequence may
    have as far as the backend knows, None where only the configuration says it; ``where`` is what
    computes, in words; ``accelerated`` whether that is no CPU; ``threads`` how many compute on the
    CPU, None where that is not known.
    """

    engine = "local"
    chunk = 512
    together = 1
    forks = False
    largest_context: int | None = None
    where: str | None = None
    accelerated = False
    threads: int | None = None

    @property
    def whole(self) -> bool:
        """Must a prompt be computed in one piece, with no regard to ``chunk``?"""
        return False

    def open(self) -> None:
        """What must happen on the thread that computes before anything else does. Raises what
        ``Engine.load`` does."""

    def start(self) -> S:
        """The state of a sequence without tokens."""
        raise NotImplementedError

    def advance(self, state: S, tokens: Sequence[int]) -> "Logits":
        """Compute ``tokens`` after those of ``state``, which then has them too; the logits of the
        last one, shape (vocabulary,), float32, to be changed by the caller. Raises ``Aborted``."""
        raise NotImplementedError

    def read(self, state: S, tokens: Sequence[int]) -> None:
        """``advance`` where the logits are not wanted. Raises ``Aborted``."""
        self.advance(state, tokens)

    def step(self, batch: "Sequence[tuple[S, int]]") -> "list[Logits]":
        """``advance`` by one token for each of at most ``together`` sequences."""
        return [self.advance(state, (token,)) for state, token in batch]

    def every(self, state: S, tokens: Sequence[int]) -> "Logits":
        """``advance`` with the logits after each of the tokens, shape (tokens, vocabulary)."""
        raise NotImplementedError

    def trim(self, state: S, length: int) -> bool:
        """Forget all but the first ``length`` tokens. False, and the state is of no use any more,
        where that cannot be done."""
        return length == state.length

    def fork(self, state: S, length: int) -> S | None:
        """A state of its own with the first ``length`` tokens; None where that cannot be done."""
        return None

    def embed(self, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """One vector of length 1 per text of tokens. Raises ``FeatureMissing``."""
        raise FeatureMissing(
            f"the {self.engine} engine makes no embeddings with this model: it writes answers",
            "use an embedding model",
        )

    def abort(self) -> None:
        """Stop what is being computed, from any thread; it may also go on to its end."""

    def resume(self) -> None:
        """After an abort: compute again."""

    def close(self) -> None:
        """Free the model. Twice is allowed."""
