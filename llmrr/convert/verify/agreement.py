"""How far two models agree on the same tokens: differences of their logits, the same first choice.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Agreement:
    """``largest`` difference of two numbers; ``error``, the root mean square of the differences as
    a share of the reference's own spread; ``same``, the share of positions with the same largest
    logit, None where that has no meaning."""

    largest: float
    error: float
    same: float | None = None
    positions: int = 0

    @property
    def sound(self) -> bool:
        """Are there numbers at all?"""
        return math.isfinite(self.error)

    def __str__(self) -> str:
        told = f"largest difference {self.largest:.2g}, error {self.error:.2g} of the spread"
        if self.same is None:
            return told
        return f"{told}, same first choice at {self.same:.1%} of {self.positions} positions"


def of_blocks(pairs: "Iterable[tuple[Floats, Floats]]") -> Agreement:
    """Of the reference's and the result's logits, both (positions, tokens), in blocks of the
    vocabulary that follow each other."""
    import numpy as np

    sums: list[Floats] = []
    best: list[Floats] = []
    largest = 0.0
    with np.errstate(invalid="ignore", over="ignore"):  # what is no number makes the error none
        for reference, result in pairs:
            off = result - reference
            largest = np.maximum(largest, np.abs(off).max())  # keeps a NaN
            sums.append(np.stack([
                reference.sum(-1, dtype=np.float64), (reference.astype(np.float64) ** 2).sum(-1),
                (off.astype(np.float64) ** 2).sum(-1), np.full(len(off), off.shape[-1]),
            ]))  # fmt: skip
            best.append(np.stack([_best(reference), _best(result)]))
        total, squares, wrong, count = np.sum(sums, 0)
        variance = (squares / count - (total / count) ** 2).mean()
        error = math.sqrt((wrong / count).mean() / variance) if variance > 0 else math.nan
    # The block with the largest logit, of each position; then where in it that stands.
    places = np.stack(best)  # (blocks, two models, positions, value and place)
    blocks = places[..., 0].argmax(0)
    chosen = np.take_along_axis(places[..., 1], blocks[None], 0)[0]
    same = (blocks[0] == blocks[1]) & (chosen[0] == chosen[1])
    return Agreement(float(largest), error, float(same.mean()), len(same))


def of_vectors(reference: "Floats", result: "Floats") -> Agreement:
    """Of two sets of vectors, shape (texts, size), by what tells the texts apart."""
    import numpy as np

    off = result - reference
    spread = np.sqrt(((reference - reference.mean(0)) ** 2).mean())
    error = float(np.sqrt((off**2).mean()) / spread) if spread > 0 else math.nan
    return Agreement(float(np.abs(off).max()), error)


def blocks_of(
    reference: "Iterable[tuple[int, Floats]]", result: "Floats"
) -> "Iterator[tuple[Floats, Floats]]":
    """Blocks of logits that are being computed, (first token, (positions, tokens)), beside those
    that are there, as far as both have tokens."""
    for start, block in reference:
        flat = block.reshape(-1, block.shape[-1])
        beside = result[:, start : start + flat.shape[-1]]
        if beside.shape[-1]:
            yield flat[:, : beside.shape[-1]], beside


def _best(logits: "Floats") -> "Floats":
    """The largest logit of each position and where it stands, shape (positions, 2)."""
    import numpy as np

    places = logits.argmax(-1)
    values = np.take_along_axis(logits, places[:, None], -1)[:, 0]
    return np.stack([values, places], -1)
