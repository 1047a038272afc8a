"""A model of mlx-lm as a backend: one token, or a piece of a prompt, after what is cached.

A piece of a prompt is computed without its logits, which MLX then never calculates: only its last
token asks for them.
"""

import copy
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from llmrr.engines.backend import Backend
from llmrr.engines.mlx import weights
from llmrr.engines.mlx.complaints import loading, running
from llmrr.engines.mlx.together import State, Together, can_merge
from llmrr.errors import EngineFailed, FeatureMissing

if TYPE_CHECKING:
    from llmrr.engines.backend import Logits

# Tokens of a piece: a step cannot be stopped, and a CPU takes long for many. There 16 at once took
# no longer for each than 128 (a Llama of 135 million in float32).
ON_GPU, ON_CPU = 512, 32
KEPT: Final = 256  # steps between two times that MLX gives memory back which it keeps for reuse
PROBE: Final = (range(1, 4), range(5, 45))  # tokens of two sequences, one much longer
CLOSE: Final = 0.05  # how far logits of a batch may be off: they are rounded elsewhere


class Decoder(Backend[State]):
    """``build`` makes the model; it is called on the thread that computes, as is everything else.
    ``vocabulary`` is how many tokens it knows, where that is stated."""

    engine = "mlx"
    chunk = ON_CPU
    together = 16
    forks = True

    def __init__(
        self, build: Callable[[], Any], vocabulary: int | None, *, cpu_only: bool = False
    ) -> None:
        self._build, self._vocabulary, self._cpu_only = build, vocabulary, cpu_only
        self._together = Together()
        self._steps = 0
        self._model: Any = None

    def open(self) -> None:
        """Load the weights. Raises ``DamagedFile``, ``DoesNotFit``, ``Unsupported``."""
        import mlx.core as mx

        with loading():
            if self._cpu_only:
                mx.set_default_device(mx.cpu)
            on_gpu = mx.default_device() == mx.gpu
            self.accelerated, self.where = on_gpu, "the GPU" if on_gpu else "the CPU"
            if on_gpu and mx.metal.is_available():
                mx.set_wired_limit(mx.device_info()["max_recommended_working_set_size"])
            self.chunk = ON_GPU if on_gpu else ON_CPU
            self._model = self._build()

    def start(self) -> State:
        """The state of a sequence without tokens."""
        return State(weights.caches().make_prompt_cache(self._model))

    def read(self, state: State, tokens: Sequence[int]) -> None:
        """Compute ``tokens`` after those of ``state``, and no logits."""
        import mlx.core as mx

        self._require_known(tokens)
        self._together.leave(state)
        with running():
            self._model(mx.array([tokens]), cache=state.caches)
            mx.eval([cache.state for cache in state.caches])
            mx.clear_cache()
        state.length += len(tokens)

    def advance(self, state: State, tokens: Sequence[int]) -> "Logits":
        """Compute ``tokens`` after those of ``state``; the logits of the last one."""
        if len(tokens) > 1:
            self.read(state, tokens[:-1])
        self._require_known(tokens)
        self._together.leave(state)
        row: Logits = self._rows(state.caches, [tokens[-1:]])[0, -1]
        state.length += 1
        return row

    def step(self, batch: Sequence[tuple[State, int]]) -> "list[Logits]":
        """``advance`` by one token for each."""
        if len(batch) == 1 or not self._merges:
            return super().step(batch)
        self._require_known([token for _, token in batch])
        states = [state for state, _ in batch]
        rows = self._rows(self._together.of(states), [[token] for _, token in batch])
        for state in states:
            state.length += 1
        return list(rows[:, -1])

    def every(self, state: State, tokens: Sequence[int]) -> "Logits":
        """``advance`` with the logits after each of the tokens."""
        self._require_known(tokens)
        self._together.leave(state)
        rows: Logits = self._rows(state.caches, [tokens])[0]
        state.length += len(tokens)
        return rows

    def trim(self, state: State, length: int) -> bool:
        """Forget all but the first ``length`` tokens."""
        self._together.leave(state)
        if length == state.length:
            return True
        less = state.length - length
        if not all(one.is_trimmable() for one in state.caches):
            return False
        state.length = length
        return all(one.trim(less) == less for one in state.caches)

    def fork(self, state: State, length: int) -> State | None:
        """A state of its own with the first ``length`` tokens. MLX copies what is written to."""
        self._together.leave(state)
        made = State(copy.deepcopy(state.caches), state.length)
        return made if self.trim(made, length) else None

    def embed(self, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """mlx-lm has no models that make vectors. Raises ``FeatureMissing``."""
        raise FeatureMissing(
            "the mlx engine makes no embeddings: mlx-lm writes text",
            "llmrr convert SOURCE --to gguf makes what llama.cpp embeds with",
        )

    def close(self) -> None:
        """Free the model, and the streams of this thread: MLX ends the process with an abort where
        a thread ends and leaves them. Twice is allowed."""
        self._together.clear()
        self._model = None
        if self.where is not None:
            import mlx.core as mx

            mx.clear_cache()
            mx.synchronize()
            mx.clear_streams()
            self.where = None

    # -- computing -----------------------------------------------------------------------------

    def _rows(self, caches: list[Any], tokens: Sequence[Sequence[int]]) -> "Logits":
        """The logits after each of the tokens of each sequence."""
        import mlx.core as mx
        import numpy as np

        with running():
            made = self._model(mx.array(tokens), cache=caches).astype(mx.float32)
            self._steps += 1
            if self._steps % KEPT == 0:
                mx.clear_cache()
            return np.array(made)

    def _require_known(self, tokens: Sequence[int]) -> None:
        """MLX reads whatever lies behind the table for a token that is not in it."""
        known = self._vocabulary
        if known is not None and (worst := max(tokens)) >= known:
            raise EngineFailed(f"the model has no token {worst}: it knows {known}")

    @cached_property
    def _merges(self) -> bool:
        """Do sequences give the same logits together as alone? Not every model of mlx-lm was made
        for that, so it is tried out once, where it matters."""
        alone, states = [], []
        for tokens in PROBE:
            *before, last = (one % (self._vocabulary or 1000) for one in tokens)
            state, other = self.start(), self.start()
            if not can_merge(state.caches):
                return False
            alone.append(self.advance(state, [*before, last]))
            self.read(other, before)
            states.append((other, last))
        try:
            rows = self._rows(Together().of([one for one, _ in states]), [[t] for _, t in states])
        except Exception:  # whatever a model says that cannot do it
            return False
        return all(map(_alike, rows[:, -1], alone))


def _alike(got: "Logits", expected: "Logits") -> bool:
    import numpy as np

    spread = float(np.linalg.norm(expected - expected.mean()))
    return float(np.linalg.norm(got - expected)) <= CLOSE * spread
