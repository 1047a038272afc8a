"""Is every weight of the graphs one of the source's? They are found by what they hold, as exported
matrices lose their names: as they are, transposed, or (norms that add it as they run) plus one.
What was quantized must lie within a step of what stands in its source under the module's name.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .graph import Weight, weights

Say = Callable[[str, int, int], None]
SMALL = 64  # numbers of a constant that an exporter makes itself


def compare(say: Say, source: str, graphs: list[Path], quant: str) -> dict[str, Any]:
    """``matched`` tensors of the source and how many there are, their ``bytes`` and those of all,
    names that are ``unused`` by the graphs, ``unknown`` weights of the graphs, and ``wrong``: what
    is not what stands in the source."""
    stored = _Stored(source)
    half = quant in ("fp16", "q4f16")
    # What overflows in half precision is kept in single in some models.
    known = stored.digests(say, ("float32", "float16") if half else ("float32",))
    matched: set[str] = set()
    unknown: list[str] = []
    wrong: list[str] = []
    for graph in graphs:
        for one in weights(graph):
            say(f"comparing {one.name[:60]}", len(matched), len(stored.sizes))
            names = known.get(_digest(one.numbers)) if one.step is None else None
            named = stored.named(one)
            if names and (not named or named.intersection(names)):
                matched.update(names)
            elif one.step is not None and (name := stored.within(one, half)):
                matched.add(name)
            elif named:
                wrong.append(f"{one.name} ({one.module})" if one.module else one.name)
            elif one.numbers.size > SMALL:
                unknown.append(one.name)
    sizes = stored.sizes
    return {
        "matched": len(matched), "tensors": len(sizes),
        "bytes": sum(sizes[name] for name in matched), "all_bytes": sum(sizes.values()),
        "unused": sorted(sizes.keys() - matched), "unknown": unknown, "wrong": wrong,
    }  # fmt: skip


class _Stored:
    """The tensors of floating point numbers in the safetensors of a folder, read when needed."""

    def __init__(self, folder: str) -> None:
        from safetensors import safe_open

        self.files: dict[str, Any] = {}
        self.sizes: dict[str, int] = {}
        for path in sorted(Path(folder).glob("*.safetensors")):
            file = safe_open(str(path), "pt")
            for name in file.keys():  # noqa: SIM118  it is no mapping
                one = file.get_slice(name)
                if one.get_dtype() in ("F32", "F16", "BF16", "F64"):
                    count = 1
                    for size in one.get_shape():
                        count *= size
                    self.files[name] = file
                    self.sizes[name] = count * int(one.get_dtype().strip("BF")) // 8

    def read(self, name: str) -> Any:
        return self.files[name].get_tensor(name).float().numpy()

    def digests(self, say: Say, kinds: Sequence[str]) -> dict[bytes, list[str]]:
        """What each tensor is in a graph, in every way that it may be; equal ones together."""
        found: dict[bytes, list[str]] = {}
        for at, name in enumerate(self.files):
            say("reading the source", at, len(self.files))
            numbers = self.read(name)
            forms = {1: [numbers, numbers + 1], 2: [numbers, numbers.T]}
            for form in forms.get(numbers.ndim, [numbers]):
                for kind in kinds:
                    found.setdefault(_digest(form.astype(kind)), []).append(name)
        return found

    def named(self, one: Weight) -> set[str]:
        """The tensors that the names of a weight or of its node lead to: of an encoder and of a
        decoder both, where their graphs do not say which they are."""
        for name in (one.name, *([f"{one.module}.weight"] if one.module else ())):
            if same := {key for key in self.files if _ends(key, name) or _ends(name, key)}:
                return same
        return set()

    def within(self, one: Weight, half: bool) -> str | None:
        """The tensor that a quantized weight stands for: no number is further from its own than a
        step, and a little for the rounding of scales."""
        shape = sorted(one.numbers.shape)
        like = self.named(one) or {key for key in self.files if self._shape(key) == shape}
        for name in sorted(like):
            numbers = self.read(name)
            for form in (numbers, numbers.T):
                if form.shape == one.numbers.shape and _is_near(form, one, half):
                    return name
        return None

    def _shape(self, name: str) -> list[int]:
        return sorted(self.files[name].get_slice(name).get_shape())


def _is_near(numbers: Any, one: Weight, half: bool) -> bool:
    slack = abs(numbers) * 2e-3 if half else abs(numbers) * 1e-5
    return bool((abs(numbers - one.numbers) <= 1.02 * one.step + slack + 1e-9).all())


def _ends(long: str, short: str) -> bool:
    return long == short or long.endswith(f".{short}")


def _digest(numbers: Any) -> bytes:
    """Of the numbers, row after row."""
    import numpy

    return hashlib.blake2b(numpy.ascontiguousarray(numbers).data, digest_size=16).digest()
