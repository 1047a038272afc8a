"""The check of what was made of a GGUF file: its tensors, brought into GGUF's order again, are what
the file dequantizes to."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr.convert.base import Check, Told
from llmrr.convert.gguf import rows
from llmrr.convert.gguf.encoding import floats, pack
from llmrr.convert.gguf.planning import plan
from llmrr.convert.gguf.weights import Reader, places

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmrr.convert.safetensors.from_gguf import Model

    Floats = NDArray[np.float32]


def compare(model: "Model", target: Path, told: Told) -> Check:
    """Compare the safetensors in the folder ``target`` with the file behind ``model``."""
    found = places(target)
    tensors = [place.tensor for place in found.values()]
    written = plan(model.entry, model.values, tensors, "F32", str(target))
    made = [one for one in written if one.rule is not None]
    with Reader(found) as reader:
        for done, one in enumerate(made, 1):
            change = one.rule.change if one.rule else None
            expected = _Portions(model.rows(one.name))
            for raw, stored in rows.chunks(one, model.values, reader):
                numbers = floats(raw, stored).reshape(-1)
                wanted = expected.take(numbers.size)
                same = (
                    _is_near(change(numbers), wanted) if change
                    else _is_same(numbers, wanted, stored)
                )  # fmt: skip
                if not same:
                    return Check("tensors", False, f"{one.name} is not what the file has")
            told("comparing", done, len(made))
    if lost := model.there.keys() - {one.name for one in written}:
        return Check("tensors", False, f"{min(lost)} was left out")
    return Check("tensors", True, f"{len(made)} tensors lead to those of the file again")


class _Portions:
    """The numbers of rows, handed out in portions of any size."""

    def __init__(self, parts: Iterator["Floats"]) -> None:
        import numpy as np

        self._parts = parts
        self._left: Floats = np.empty(0, np.float32)

    def take(self, count: int) -> "Floats":
        """The next ``count`` numbers."""
        import numpy as np

        while self._left.size < count:
            self._left = np.concatenate([self._left, next(self._parts).reshape(-1)])
        taken, self._left = self._left[:count], self._left[count:]
        return taken


def _is_same(numbers: "Floats", wanted: "Floats", stored: str) -> bool:
    """Are these the bits that ``wanted`` has in the type ``stored``?"""
    import numpy as np

    return bool(np.array_equal(numbers, floats(pack(wanted.reshape(1, -1), stored), stored)[0]))


def _is_near(numbers: "Floats", wanted: "Floats") -> bool:
    """For what is stored as its distance from 1: that was rounded to 8 bits at worst (bf16)."""
    import numpy as np

    return bool(np.allclose(numbers, wanted, rtol=2**-7, atol=1e-6))
