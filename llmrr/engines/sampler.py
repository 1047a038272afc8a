"""Drawing a token from logits in numpy: the parameters mean what they mean in llama.cpp's sampler
chain, and apply in its order (``llama-sampler.cpp`` of llama.cpp): bias, penalties, top-k,
typical-p, top-p, min-p, temperature, draw.

Full sorts of a vocabulary are avoided: 150,000 logits take 10 ms to sort, and 0.2 ms to find the
best forty of.
"""

import math
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from llmrr.errors import EngineFailed
from llmrr.types import Sampling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Logits = NDArray[np.float32]

REPEAT_WINDOW = 64  # tokens that the repeat, frequency and presence penalties look back on
_RANDOM_SEED = 0xFFFFFFFF  # LLAMA_DEFAULT_SEED: llama.cpp would draw its own
BLOCK = 64  # logits whose largest is looked at before they are
FIRST_TRY = 512  # candidates for top-p, before many more are sorted


class Sampler:
    """Draws the tokens of one sequence; ``ends`` are those that end a turn."""

    def __init__(
        self, sampling: Sampling, prompt: Sequence[int], choice: int, ends: Iterable[int]
    ) -> None:
        from random import Random

        self._sampling = sampling
        self._held = sampling.min_tokens or 0  # for how many tokens more nothing ends the answer
        self._ends = (*ends, *(sampling.stop_tokens or ())) if self._held else ()
        self._bias = dict(sampling.logit_bias or {})
        if sampling.ignore_eos:
            self._bias |= dict.fromkeys(ends, -math.inf)
        self._temperature = sampling.temperature or 0.0
        self._repeat = sampling.repeat_penalty or 1.0
        self._frequency = sampling.frequency_penalty or 0.0
        self._presence = sampling.presence_penalty or 0.0
        self._penalised = (self._repeat, self._frequency, self._presence) != (1.0, 0.0, 0.0)
        self._window: deque[int] = deque(prompt[-REPEAT_WINDOW:], REPEAT_WINDOW)
        self._random = Random(draw_seed(sampling.seed, choice)).random

    def sample(self, logits: "Logits") -> int:
        """Draw from a row of logits, which is changed. Raises ``EngineFailed`` for no numbers."""
        self._adjust(logits)
        if self._temperature <= 0.0:
            token = int(logits.argmax())
            if not math.isfinite(logits[token]):
                raise _no_numbers()
        else:
            token = self._drawn(logits)
        self._window.append(token)
        return token

    def _adjust(self, logits: "Logits") -> None:
        size = len(logits)
        if self._held:
            self._held -= 1
            logits[[token for token in self._ends if 0 <= token < size]] = -math.inf
        for token, bias in self._bias.items():
            if 0 <= token < size:
                logits[token] += bias
        if not self._penalised:
            return
        for token, count in Counter(self._window).items():
            if 0 <= token < size:
                value = float(logits[token])
                value = value * self._repeat if value <= 0 else value / self._repeat
                logits[token] = value - count * self._frequency - self._presence

    def _drawn(self, logits: "Logits") -> int:
        import numpy as np

        tokens, values = self._candidates(logits)
        values = (values - values.max()) / self._temperature
        heights = np.cumsum(np.exp(values, dtype=np.float64))
        place = int(np.searchsorted(heights, self._random() * heights[-1], side="right"))
        place = min(place, len(heights) - 1)
        return place if tokens is None else int(tokens[place])

    def _candidates(self, logits: "Logits") -> "tuple[NDArray[np.intp] | None, Logits]":
        """The tokens that may be drawn, and their logits; None for all of them."""
        sampling = self._sampling
        tokens: Any = None
        values = logits
        if sampling.top_k:
            tokens = best(logits, sampling.top_k)
            values = logits[tokens]
        if not math.isfinite(values.max()):
            raise _no_numbers()
        for narrow, share, neutral in (
            (_typical, sampling.typical_p, 1.0),
            (_top_p, sampling.top_p, 1.0),
            (_min_p, sampling.min_p, 0.0),
        ):
            if share is not None and share != neutral:
                kept = narrow(values, share)
                values = values[kept]
                tokens = kept if tokens is None else tokens[kept]
        return tokens, values


def best(logits: "Logits", count: int) -> "NDArray[np.intp]":
    """The tokens of the ``count`` largest logits, the largest first; of equals the lower first.

    The ``count`` largest are none below the ``count``-th largest of the blocks' maxima.
    """
    import numpy as np

    size = len(logits)
    blocks = size // BLOCK
    if count < blocks:
        maxima = logits[: blocks * BLOCK].reshape(blocks, BLOCK).max(axis=1)
        floor = np.partition(maxima, blocks - count)[blocks - count]
        found = np.flatnonzero(logits >= floor)
    elif count < size:
        found = np.argpartition(logits, size - count)[size - count :]
        found = np.flatnonzero(logits >= logits[found].min())
    else:
        found = np.arange(size)
    return found[np.argsort(-logits[found], kind="stable")[:count]]


def _typical(values: "Logits", share: float) -> "NDArray[np.intp]":
    """Locally typical sampling: those whose surprise is closest to the expected one, until they
    hold more than ``share``. https://arxiv.org/abs/2202.00666"""
    import numpy as np

    logprobs = _logprobs(values)
    probabilities = np.exp(logprobs)
    some = probabilities > 0
    entropy = -float((probabilities[some] * logprobs[some]).sum())
    order = np.argsort(np.abs(-logprobs - entropy), kind="stable")
    held = np.cumsum(probabilities[order])
    return order[: int(np.searchsorted(held, share, side="right")) + 1]


def _top_p(values: "Logits", share: float) -> "NDArray[np.intp]":
    """The likeliest that hold at least ``share`` together."""
    import numpy as np

    probabilities = np.exp(_logprobs(values))
    count = min(FIRST_TRY, len(values))
    while True:
        order = best(values, count)
        held = np.cumsum(probabilities[order])
        if held[-1] >= share or count == len(values):
            return order[: int(np.searchsorted(held, share, side="left")) + 1]
        count = min(count * 16, len(values))


def _min_p(values: "Logits", share: float) -> "NDArray[np.intp]":
    """Those at least ``share`` times as likely as the likeliest."""
    import numpy as np

    floor = values.max() + math.log(share) if share > 0 else -math.inf
    return np.flatnonzero(values >= min(floor, values.max()))


def _logprobs(values: "Logits") -> "NDArray[np.float64]":
    import numpy as np

    shifted = values.astype(np.float64)
    shifted -= shifted.max()
    shifted -= math.log(float(np.exp(shifted).sum()))
    return shifted


def top_logprobs(
    logits: "Logits", count: int
) -> tuple[Callable[[int], float], list[tuple[int, float]]]:
    """Log probabilities (natural) of a row of logits: a look-up by token, and the best."""
    logprobs = _logprobs(logits)
    likeliest = best(logits, min(count, len(logits))) if count else ()
    return (lambda token: float(logprobs[token])), [(int(i), float(logprobs[i])) for i in likeliest]


def draw_seed(seed: int | None, choice: int) -> int:
    """A 32-bit seed for one of several choices; a random one where none was stated.

    >>> draw_seed(7, 0), draw_seed(7, 2)
    (7, 9)
    """
    if seed is None:
        return int.from_bytes(os.urandom(4)) % _RANDOM_SEED
    return (seed + choice) % _RANDOM_SEED


def _no_numbers() -> EngineFailed:
    return EngineFailed(
        "the model gives no numbers for its next token: its weights are damaged",
        "get the model again, or another variant of it",
    )
