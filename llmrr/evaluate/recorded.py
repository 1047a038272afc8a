"""A model's predictions in a file, so that another one can be compared with it without both in
memory, as ``llama-perplexity --kl-divergence-base`` does.

Of each position: the size of a step, float32, and for every token by how many steps its logit is
below the highest one, 16 bits. What is ``DEPTH`` nats below or more counts as excluded; a step
is 1e-3 nats at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmrr.evaluate.numbers import Comparison, ComparisonSum, PerplexitySum, Progress
from llmrr.evaluate.texts import WINDOW, Window, beginning, windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmrr.engines.base import Model

DEPTH: Final = 64.0
STEPS: Final = 65535
MOST_BYTES: Final = 1 << 30


@dataclass(slots=True)
class Recording:
    """Predictions in the file at ``path``, those of one window after the other."""

    path: Path
    windows: list[Window] = field(default_factory=list)
    losses: "list[NDArray[np.float64]]" = field(default_factory=list)

    def add(self, window: Window, logits: "NDArray[np.float32]") -> None:
        """Append those of a window. Raises ``EngineFailed`` for what is no number."""
        self.losses.append(PerplexitySum().add(logits, window.targets))
        self.windows.append(window)
        with self.path.open("ab") as file:
            for row in logits:
                file.write(_packed(row))

    def logits(self, number: int) -> "NDArray[np.float32]":
        """Those of a window, but for a constant in each row."""
        import numpy as np

        rows = len(self.windows[number].targets)
        before = sum(len(window.targets) for window in self.windows[:number])
        row_bytes = self.path.stat().st_size // sum(len(one.targets) for one in self.windows)
        raw = np.fromfile(self.path, np.uint8, rows * row_bytes, offset=before * row_bytes)
        raw = raw.reshape(rows, row_bytes)
        steps = np.ascontiguousarray(raw[:, :4]).view(np.float32)
        below = np.ascontiguousarray(raw[:, 4:]).view(np.uint16)
        found: NDArray[np.float32] = below * -steps
        found[(below == STEPS) & (steps >= np.float32(DEPTH / STEPS))] = -np.inf
        return found


def record_predictions(
    model: "Model",
    tokens: Sequence[int],
    path: Path,
    *,
    window: int = WINDOW,
    most_bytes: int = MOST_BYTES,
    progress: Progress | None = None,
) -> Recording:
    """Record what a model predicts of a text, given as tokens (``text_tokens``), in a new file: of
    as many windows as ``most_bytes`` have room for, evenly spread, and of one at least.

    Raises ``UsageError`` for fewer than 3 tokens, and what ``Model.logits`` does.
    """
    found = Recording(path)
    parts = windows(tokens, window, beginning(model.info))
    found.add(parts[0], parts[0].logits(model))
    room = max(1, most_bytes // path.stat().st_size)
    parts = parts[:: -(-len(parts) // room)]
    for done, part in enumerate(parts[1:], 2):
        found.add(part, part.logits(model))
        if progress is not None:
            progress(done, len(parts))
    return found


def compare_recorded(
    reference: Recording, model: "Model", progress: Progress | None = None
) -> Comparison:
    """What ``compare`` finds, with the reference's predictions out of a file."""
    found = ComparisonSum()
    for number, window in enumerate(reference.windows):
        found.add(
            reference.logits(number), window.logits(model), window.targets, reference.losses[number]
        )
        if progress is not None:
            progress(number + 1, len(reference.windows))
    return found.result()


def _packed(row: "NDArray[np.float32]") -> bytes:
    import numpy as np

    below = np.minimum(row.max() - row, np.float32(DEPTH))
    step = np.array(max(float(below.max()) / STEPS, 1e-30), np.float32)
    packed: bytes = step.tobytes() + np.rint(below / step).astype(np.uint16).tobytes()
    return packed
