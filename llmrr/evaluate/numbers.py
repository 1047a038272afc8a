"""Perplexity, and how far one model's predictions are from another's.

Logits are worked on a few rows at a time in double precision: beside what the models return
(window x vocabulary x 4 bytes each) next to nothing is allocated.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmrr.errors import EngineFailed, Unsupported
from llmrr.evaluate.texts import WINDOW, beginning, too_short, windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from llmrr.engines.base import Model

ROWS = 16  # of logits at once: 32 MB in double precision for a vocabulary of 256,000

Progress = Callable[[int, int], None]  # windows done, and how many there are


@dataclass(frozen=True, slots=True)
class Perplexity:
    """``value`` is exp of the mean negative log-likelihood of ``tokens`` predicted tokens, and
    ``error`` its standard error."""

    value: float
    error: float
    tokens: int

    @property
    def log(self) -> float:
        """The mean negative log-likelihood, in nats per token."""
        return math.log(self.value)


@dataclass(frozen=True, slots=True)
class Divergence:
    """The Kullback-Leibler divergence KL(P_reference || Q) over ``tokens`` predictions, in nats,
    and the share of them whose likeliest token is the same, 0 to 1."""

    mean: float
    median: float
    p90: float
    p99: float
    maximum: float
    same_top: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A model beside the one that it was made from, on the same text. ``ratio`` is that of their
    perplexities, above 1 where the model is worse; ``ratio_error`` its standard error, which is far
    smaller than those of the two: they err on the same tokens."""

    reference: Perplexity
    perplexity: Perplexity
    divergence: Divergence
    ratio: float
    ratio_error: float


class PerplexitySum:
    """Perplexity, fed one piece of text after another."""

    def __init__(self) -> None:
        self.tokens, self._sum, self._squares = 0, 0.0, 0.0

    def add(self, logits: "ArrayLike", targets: Sequence[int]) -> "NDArray[np.float64]":
        """Take the logits (tokens, vocabulary) and the tokens that did follow; return the negative
        log-likelihood of each, in nats. Raises ``EngineFailed`` for what is no number."""
        import numpy as np

        losses = np.concatenate(
            [
                -rows[np.arange(len(rows)), np.asarray(targets[start : start + len(rows)], int)]
                for start, rows in _log_softmax(np.asarray(logits))
            ]
            or [np.empty(0)]
        )
        self.take(losses)
        return losses

    def take(self, losses: "NDArray[np.float64]") -> None:
        """Take what ``add`` returned for other tokens."""
        self.tokens += len(losses)
        self._sum += float(losses.sum())
        self._squares += float((losses**2).sum())

    def result(self) -> Perplexity:
        """What it is so far. Raises ``UsageError`` where nothing was counted."""
        if not self.tokens:
            raise too_short(0)
        mean = self._sum / self.tokens
        value = _exp(mean)
        return Perplexity(value, value * _error(mean, self._squares, self.tokens), self.tokens)


class DivergenceSum:
    """The divergence of two models, fed one piece of text after another. It keeps one number per
    token."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.float64]] = []
        self._same = 0

    def add(self, reference: "ArrayLike", logits: "ArrayLike") -> None:
        """Take the logits (tokens, vocabulary) of both after the same tokens. Raises
        ``Unsupported`` where the shapes differ, ``EngineFailed`` for what is no number."""
        import numpy as np

        one, other = np.asarray(reference), np.asarray(logits)
        if one.shape != other.shape:
            raise Unsupported(
                f"the vocabularies differ: {one.shape[-1]:,} and {other.shape[-1]:,} tokens",
                "compare models that have the same tokenizer",
            )
        for (_, p), (_, q) in zip(_log_softmax(one), _log_softmax(other), strict=True):
            self._same += int((p.argmax(axis=1) == q.argmax(axis=1)).sum())
            likely = np.exp(p)
            with np.errstate(invalid="ignore"):  # what P excludes adds nothing, whatever Q says
                terms = np.where(likely == 0, 0.0, likely * (p - q))
            self._parts.append(np.maximum(terms.sum(axis=1), 0.0))  # below 0 it is rounding

    def result(self) -> Divergence:
        """What it is so far. Raises ``UsageError`` where nothing was counted."""
        import numpy as np

        if not self._parts:
            raise too_short(0)
        found = np.sort(np.concatenate(self._parts))
        return Divergence(
            mean=float(found.mean()),
            median=_quantile(found, 0.5),
            p90=_quantile(found, 0.9),
            p99=_quantile(found, 0.99),
            maximum=float(found[-1]),
            same_top=self._same / len(found),
            tokens=len(found),
        )


class ComparisonSum:
    """A model beside its reference, fed one piece of text after another."""

    def __init__(self) -> None:
        self._apart = DivergenceSum()
        self._sums = PerplexitySum(), PerplexitySum()
        self._changes: list[NDArray[np.float64]] = []

    def add(
        self, reference: "ArrayLike", logits: "ArrayLike", targets: Sequence[int],
        losses: "NDArray[np.float64] | None" = None,
    ) -> None:  # fmt: skip
        """Take the logits of both, and the tokens that did follow; ``losses`` are the reference's,
        where its logits are not exact. Raises what the two sums do."""
        self._apart.add(reference, logits)
        if losses is None:
            losses = self._sums[0].add(reference, targets)
        else:
            self._sums[0].take(losses)
        self._changes.append(self._sums[1].add(logits, targets) - losses)

    def result(self) -> Comparison:
        """What it is so far. Raises ``UsageError`` where nothing was counted."""
        import numpy as np

        one, other = (each.result() for each in self._sums)
        change = np.concatenate(self._changes)
        ratio = _exp(float(change.mean()))
        error = _error(float(change.mean()), float((change**2).sum()), len(change))
        return Comparison(one, other, self._apart.result(), ratio, ratio * error)


def perplexity(
    model: "Model",
    tokens: Sequence[int],
    *,
    window: int = WINDOW,
    progress: Progress | None = None,
) -> Perplexity:
    """How well a model predicts a text, given as tokens (``text_tokens``); lower is better.

    Needs ``window`` x vocabulary x 4 bytes. Raises ``UsageError`` for fewer than 3 tokens, and what
    ``Model.logits`` does.
    """
    found = PerplexitySum()
    parts = windows(tokens, window, beginning(model.info))
    for done, part in enumerate(parts, 1):
        found.add(part.logits(model), part.targets)
        if progress is not None:
            progress(done, len(parts))
    return found.result()


def divergence(reference: "ArrayLike", logits: "ArrayLike") -> Divergence:
    """How far ``logits`` are from ``reference``, both (tokens, vocabulary) after the same tokens.

    >>> found = divergence([[0.0, 1.0], [2.0, 0.0]], [[5.0, 6.0], [0.0, 2.0]])
    >>> found.same_top, round(found.maximum, 4), found.tokens
    (0.5, 1.5232, 2)
    """
    found = DivergenceSum()
    found.add(reference, logits)
    return found.result()


def compare(
    reference: "Model",
    model: "Model",
    tokens: Sequence[int],
    *,
    window: int = WINDOW,
    progress: Progress | None = None,
) -> Comparison:
    """Perplexity of both on the same windows, and the divergence of ``model`` from ``reference``.

    Needs 2 x ``window`` x vocabulary x 4 bytes. Raises what ``perplexity`` and ``DivergenceSum``
    do.
    """
    found = ComparisonSum()
    parts = windows(tokens, window, beginning(reference.info))
    for done, part in enumerate(parts, 1):
        found.add(part.logits(reference), part.logits(model), part.targets)
        if progress is not None:
            progress(done, len(parts))
    return found.result()


def _log_softmax(logits: "NDArray[np.floating]") -> "Iterator[tuple[int, NDArray[np.float64]]]":
    """Log-probabilities in double precision, a few rows at a time, each part with its first row."""
    import numpy as np

    for start in range(0, len(logits), ROWS):
        rows = logits[start : start + ROWS].astype(np.float64)
        highest = rows.max(axis=1, keepdims=True)
        if not np.isfinite(highest).all():
            raise EngineFailed(
                "the model gives no numbers for a text", "its weights are damaged: convert anew"
            )
        rows -= highest
        rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
        yield start, rows


def _quantile(values: "NDArray[np.float64]", share: float) -> float:
    """Of sorted values, between two of them where it falls there; numpy's own fails at infinity."""
    place = share * (len(values) - 1)
    below, above = float(values[math.floor(place)]), float(values[math.ceil(place)])
    return below if below == above else below + (above - below) * (place - math.floor(place))


def _error(mean: float, squares: float, count: int) -> float:
    """The standard error of a mean, from the sum of squares."""
    if not math.isfinite(mean):
        return math.inf
    if count < 2:
        return 0.0
    return math.sqrt(max(0.0, squares / count - mean * mean) / (count - 1))


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def finite(value: float) -> float | None:
    """A number as JSON can hold it: None for one without end."""
    return value if math.isfinite(value) else None
