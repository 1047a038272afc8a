"""A sequence to be generated, as the batching sees it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from llmrr.engines import prompting, task
from llmrr.engines.llamacpp.context import Context, Outcome, Shape
from llmrr.engines.llamacpp.drafting import Drafter


class Picture(NamedTuple):
    """An image in a prompt, or a slice of one: how many positions it takes, and how many cells of
    the memory; what puts it into the memory of a sequence, from a position on; what holds it."""

    positions: int
    cells: int
    compute: Callable[[Context, int, int], Outcome]
    owner: object


class Pictured(NamedTuple):
    """The positions of a prompt, and the images by where they begin."""

    known: list[int]
    pictures: Mapping[int, Picture] = MappingProxyType({})

    def beginning(self, bos: int | None, *, adds: bool) -> "Pictured":
        """With BOS in front, as ``prompting.with_bos`` has it."""
        known = prompting.with_bos(self.known, bos, adds=adds)
        shift = len(known) - len(self.known)
        return Pictured(known, {at + shift: one for at, one in self.pictures.items()})

    @property
    def text(self) -> list[int]:
        """The tokens of its text."""
        return [token for token in self.known if token >= 0] if self.pictures else self.known

    @property
    def spare(self) -> int:
        """Cells of the memory that images take beyond their positions."""
        return sum(one.cells - one.positions for one in self.pictures.values())


class Task(task.Task):
    """One sequence of a context; subclassed by whoever samples. ``drafted`` are the tokens guessed
    to follow those that are known, which the next batch checks."""

    def __init__(self, prompt: Pictured, shape: Shape, most: int) -> None:
        super().__init__(prompt.known)
        self.pictures, self.spare = prompt.pictures, prompt.spare
        self.shape = shape  # the context that it takes, where none that is large enough is open
        self.most = most  # tokens that it may have in all, if the context can grow so far
        self.row = -1  # of the batch, where its logits are; -1 for none
        self.arrived = 0  # its place among all that came
        self.drafted: list[int] = []
        self._drafter = Drafter(shape.drafted) if shape.drafted else None

    @property
    def generated(self) -> int:
        """Tokens of the answer so far."""
        raise NotImplementedError

    def guess(self, size: int) -> None:
        """Guess what follows, as far as a context of ``size`` tokens has room for it."""
        if self._drafter is not None:
            room = size - len(self.known) - self.spare - 1
            self.drafted = self._drafter.draft(self.known, room) if room > 0 else []

    def guessed(self, accepted: int) -> None:
        """So many of the guesses were right."""
        if self._drafter is not None:
            self._drafter.learn(len(self.drafted), accepted)
        self.drafted = []

    def before_picture(self, position: int, end: int) -> int:
        """``end``, or where the first picture behind ``position`` begins before it."""
        return min((at for at in self.pictures if position < at < end), default=end)

    def whole(self, length: int) -> int:
        """How many leading positions there are without a part of a picture."""
        for at, picture in self.pictures.items():
            if at < length < at + picture.positions:
                return at
        return length

    def sampled(self, context: Context) -> int | None:
        """Draw the next token from batch row ``self.row``; None when the answer is complete."""
        raise NotImplementedError
