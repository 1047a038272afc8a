"""``[migration]``: the two sides that run beside each other, and what they cannot be."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from llmrr.errors import nearest
from llmrr.kinds import Kind
from llmrr.strategies import NAMES

# How they run, and the side whose answer is wanted.
MODES: Final = {"hybrid": "new", "new-primary": "new", "legacy-primary": "legacy"}
HYBRID: Final = "hybrid"
SIDES: Final = ("new", "legacy")


class Sides(NamedTuple):
    """How the sides run, and the names of the models of each."""

    mode: str
    new: tuple[str, ...]
    legacy: tuple[str, ...]

    @property
    def order(self) -> tuple[str, str]:
        """The side whose answer is wanted, then the one that answers where that fails.

        >>> Sides("hybrid", ("a",), ("b",)).order, Sides("legacy-primary", ("a",), ("b",)).order
        (('new', 'legacy'), ('legacy', 'new'))
        """
        first = MODES[self.mode]
        return first, "legacy" if first == "new" else "new"

    @property
    def at_once(self) -> bool:
        """Whether both are asked, whatever becomes of the first."""
        return self.mode == HYBRID

    def names(self, side: str) -> tuple[str, ...]:
        """The models of a side."""
        return self.new if side == "new" else self.legacy


class Wrong(NamedTuple):
    """What a side, or the mode, cannot be: the key below ``[migration]``, what is said of it, a
    hint, and the name of the model, where it is of one that there is not."""

    leaf: str
    message: str
    hint: str
    absent: str | None = None


def wrong(
    mode: str | None,
    new: Sequence[str] | None,
    legacy: Sequence[str] | None,
    models: Sequence[str],
) -> Iterator[Wrong]:
    """What is wrong with sides over these models; None is not stated.

    >>> [one.message for one in wrong("hybrid", ["a"], ["a"], ["a"])]
    ["migration.legacy names 'a', which is on the new side"]
    >>> next(wrong("hybrid", ["a"], None, ["a"])).message
    'migration.mode = "hybrid" needs two sides, and there is no migration.legacy'
    """
    for leaf, side in (("new", new), ("legacy", legacy)):
        if side is None and mode is not None:
            said = f'migration.mode = "{mode}" needs two sides, and there is no migration.{leaf}'
            yield Wrong("mode", said, f'add to [migration]: {leaf} = ["NAME"]')
        for name in side or ():
            if name not in models:
                near = nearest(name, models)
                listed = f"the models are {', '.join(models)}" if models else "add [[models]]"
                said = f"migration.{leaf} names {name!r}, and no [[models]] is called so"
                yield Wrong(leaf, said, f"did you mean {near}?" if near else listed, name)
    for name in legacy or ():
        if name in (new or ()):
            said = f"migration.legacy names {name!r}, which is on the new side"
            yield Wrong("legacy", said, "a model is on one side, or on none")


def _side(value: object, folder: Path) -> object:
    names = NAMES.parse(value, folder)
    if not names:
        raise ValueError("a side has at least one model")
    return names


SIDE = Kind("a name or a list of names, at least one", _side)
