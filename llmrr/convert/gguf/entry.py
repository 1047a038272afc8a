"""What the table of architectures says of each one.

A ``Rule`` says for one tensor of a GGUF file where its numbers come from; an ``Entry`` has all
rules of an architecture, its hyperparameters, and what llama.cpp cannot do of it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmrr.convert.gguf.settings import Values, sizes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Order = NDArray[np.int64]

# Which rows of a source are written, and in which order; the numbers of all of them is given.
Rows = Callable[[Values, int], "Order"]
Key = str | Callable[[Values], Any]
TERM = re.compile(r"(\d*)([a-z]?)")


def always(values: Values) -> bool:
    """For a tensor that must be there."""
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """The tensor ``target`` of the GGUF file, for every layer where it has a ``#``.

    ``source`` is its name in the checkpoint, without the entry's prefix; with a ``*`` there are
    as many as the size ``stacked`` says (experts, or heads), and they are put on each
    other. ``shape`` is that of a source, rows first, each dimension
    a sum of the entry's sizes: ``q+2k d``. It is stored with rows and columns swapped if it is
    ``transposed``; what is said of rows holds for it once it is swapped back. ``rows`` picks and
    orders rows: those of a tensor of three dimensions in each of its matrices, the single numbers
    of one with one dimension. ``change`` is applied to the numbers. A source that is not there is
    an error where ``need`` says so; of several rules for one target, the first with sources holds.
    The columns of one source are ``dealt`` out in turn to so many matrices.
    """

    source: str
    target: str
    shape: str
    rows: Rows | None = None
    need: Callable[[Values], bool] = always
    change: "Callable[[Floats], Floats] | None" = None
    transposed: bool = False
    stacked: str = "e"
    dealt: int = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """An architecture. ``name`` is general.architecture in llama.cpp; ``classes`` and
    ``model_types`` are what config.json calls it, ``defaults`` the values of the class in
    transformers for the keys that it may leave out, ``aliases`` other names of keys.

    ``keys`` are the hyperparameters without the architecture before them: the name of a whole
    number in config.json, or a function; None is left out. ``refused`` says what a configuration
    asks for that llama.cpp does not do, ``notes`` what it does differently. ``aside`` matches
    tensors (without their prefix) that are not needed. ``made`` has tensors that are computed.
    Of one that
    ``pools``, one vector is made for a text, as Sentence Transformers are told to.
    """

    name: str
    classes: tuple[str, ...]
    model_types: tuple[str, ...]
    rules: tuple[Rule, ...]
    keys: Mapping[str, Key]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ("model.",)
    sizes: Callable[[Values], Mapping[str, int]] = sizes
    refused: tuple[Callable[[Values], str | None], ...] = ()
    notes: tuple[Callable[[Values], str | None], ...] = ()
    aside: str = r"(?!)"
    made: "Callable[[Values], Mapping[str, tuple[float, ...]]] | None" = None
    pools: bool = False

    def hyperparameters(self, values: Values) -> dict[str, Any]:
        """The keys of the file, with the architecture before them."""
        found = {
            key: values.whole(one) if isinstance(one, str) else one(values)
            for key, one in self.keys.items()
        }
        return {f"{self.name}.{key}": one for key, one in found.items() if one is not None}


def dimensions(shape: str, named: Mapping[str, int]) -> tuple[int, ...]:
    """The numbers behind a shape that is written in sizes.

    >>> dimensions("q+2k d", {"q": 64, "k": 16, "d": 48})
    (96, 48)
    """
    return tuple(sum(_term(term, named) for term in one.split("+")) for one in shape.split())


def _term(term: str, named: Mapping[str, int]) -> int:
    found = TERM.fullmatch(term)
    assert found, term
    return int(found[1] or 1) * (named[found[2]] if found[2] else 1)


# -- what several entries need -----------------------------------------------------------------


def real(key: str) -> Callable[[Values], float]:
    """A key that is a number with a fraction."""
    return lambda values: values.real(key)


def stated(key: str) -> Callable[[Values], bool]:
    """For tensors that are there if ``key`` is set."""
    return lambda values: values.flag(key)


@dataclass(frozen=True, slots=True)
class Only:
    """Refuses all values of ``key`` but those ``allowed``."""

    key: str
    allowed: tuple[Any, ...]

    def __call__(self, values: Values) -> str | None:
        found = values.get(self.key)
        return None if found in self.allowed else f"{self.key} = {found!r}"


def only(key: str, *allowed: Any) -> Only:
    """Refuses all values of ``key`` but those."""
    return Only(key, allowed)


def rotated(heads: Callable[[Values], int]) -> Rows:
    """The rows of each head from two halves, as transformers rotates them, to pairs, as llama.cpp
    does for this family (``LLAMA_ROPE_TYPE_NORM``)."""

    def order(values: Values, rows: int) -> "Order":
        import numpy as np

        halves = np.arange(rows).reshape(heads(values), 2, -1)
        return halves.swapaxes(1, 2).reshape(-1)

    return order


def part(first: str, length: str) -> Rows:
    """``length`` rows after the first ``first`` ones, both as dimensions are written; for fused
    tensors. The sizes are the common ones."""

    def order(values: Values, rows: int) -> "Order":
        import numpy as np

        named = sizes(values)
        start = dimensions(first, named)[0] if first else 0
        return np.arange(start, start + dimensions(length, named)[0])

    return order


def half(number: int) -> Rows:
    """The first (0) or second (1) half of the rows."""

    def order(values: Values, rows: int) -> "Order":
        import numpy as np

        return np.arange(number * rows // 2, (number + 1) * rows // 2)

    return order


def add_one(numbers: "Floats") -> "Floats":
    """For norms that are stored as their distance from 1."""
    import numpy as np

    return numbers + np.float32(1)


def tied(values: Values) -> bool:
    """For a table of tokens that is the output layer too, where llama.cpp wants both."""
    return values.tied


def untied(values: Values) -> bool:
    """For the output layer."""
    return not values.tied
