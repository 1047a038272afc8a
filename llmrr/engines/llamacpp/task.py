"""A sequence to be generated, as the batching sees it."""

from collections.abc import Sequence

from llmrr.engines import task
from llmrr.engines.llamacpp.context import Context, Shape


class Task(task.Task):
    """One sequence of a context; subclassed by whoever samples."""

    def __init__(self, prompt: Sequence[int], shape: Shape) -> None:
        super().__init__(prompt)
        self.shape = shape  # the context that it takes, where none that is large enough is open
        self.slot = -1
        self.row = -1  # of the batch, where its logits are; -1 for none

    def sampled(self, context: Context) -> int | None:
        """Draw the next token from batch row ``self.row``; None when the answer is complete."""
        raise NotImplementedError
