"""Keys and values of a sequence, in onnxruntime's own values: what a run gives goes into the next
one as it is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from llmrr.engines.onnx.api import api
from llmrr.engines.onnx.ports import TYPES, Cache

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK: Final = 256  # tokens that a buffer grows by at least


class Grown:
    """Every run makes longer ones of them."""

    def __init__(
        self, ports: Sequence[Cache], device: str, values: list[Any] | None = None
    ) -> None:
        self._ports, self._device = ports, device
        self.values = values or [_zeros(port, port.shape, device) for port in ports]
        self.length = 0

    def targets(self, length: int) -> list[Any]:
        """Where the next run writes, after which there are ``length`` tokens: anywhere."""
        return [None] * len(self._ports)

    def take(self, made: list[Any], length: int) -> None:
        """What a run made, in the order of the ports."""
        self.values, self.length = made, length

    def first(self, length: int) -> list[Any] | None:
        """Copies of the first ``length`` tokens; None where that cannot be: of a state without an
        axis for them, of a window that has left them behind, of a type that numpy does not know."""
        found = []
        for port, value in zip(self._ports, self.values, strict=True):
            if port.axis is None or port.type == "tensor(bfloat16)":
                return None
            if value.shape()[port.axis] != self.length:
                return None
            part = _head(value.numpy(), port.axis, length)
            found.append(api().OrtValue.ortvalue_from_numpy(part, self._device))
        return found

    def trim(self, length: int) -> bool:
        """Keep the first ``length`` tokens; False where that cannot be done."""
        if length == self.length:
            return True
        kept = self.first(length)
        if kept is None:
            return False
        self.values, self.length = kept, length
        return True

    def fork(self, length: int) -> "Grown | None":
        """A copy with the first ``length`` tokens; None where that cannot be done."""
        kept = self.first(length)
        if kept is None:
            return None
        copy = Grown(self._ports, self._device, kept)
        copy.length = length
        return copy


class Shared:
    """Buffers with room for more tokens, which GroupQueryAttention appends to in place: past and
    present are the same. https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
    """

    def __init__(self, ports: Sequence[Cache], device: str, capacity: int = 0) -> None:
        self._ports, self._device = ports, device
        self._capacity = 0
        self.values: list[Any] = []
        self.length = 0
        self._grow(capacity or BLOCK)

    def targets(self, length: int) -> list[Any]:
        """Where the next run writes, after which there are ``length`` tokens."""
        if length > self._capacity:
            self._grow(length)
        return self.values

    def take(self, made: list[Any], length: int) -> None:
        """After a run."""
        self.length = length

    def trim(self, length: int) -> bool:
        """Keep the first ``length`` tokens: the others are written over."""
        self.length = length
        return True

    def fork(self, length: int) -> "Shared | None":
        """A copy with the first ``length`` tokens."""
        copy = Shared(self._ports, self._device, length + 1)
        copy._fill(self.values, length)
        copy.length = length
        return copy

    def _grow(self, needed: int) -> None:
        old = self.values
        self._capacity = max(-(-needed // BLOCK) * BLOCK, min(2 * self._capacity, needed + 4096))
        self.values = [
            _zeros(port, _resized(port, self._capacity), self._device) for port in self._ports
        ]
        if old and self.length:
            self._fill(old, self.length)

    def _fill(self, source: Sequence[Any], length: int) -> None:
        import numpy as np

        for place, (port, old) in enumerate(zip(self._ports, source, strict=True)):
            assert port.axis is not None
            part = (slice(None),) * port.axis + (slice(length),)
            whole = np.zeros(_resized(port, self._capacity), TYPES[port.type][0])
            whole[part] = old.numpy()[part]
            self.values[place] = api().OrtValue.ortvalue_from_numpy(whole, self._device)


def may_share(ports: Sequence[Cache], operators: dict[str, int], device: str) -> bool:
    """Do all caches belong to a GroupQueryAttention, on a device where it appends in place?"""
    return (
        device in ("cpu", "cuda")
        and len(ports) > 0
        and 2 * operators.get("GroupQueryAttention", 0) == len(ports)
        and all(one.axis == 2 and len(one.shape) == 4 for one in ports)
        and all(one.type in ("tensor(float)", "tensor(float16)") for one in ports)
    )


def _resized(port: Cache, length: int) -> tuple[int, ...]:
    return tuple(length if place == port.axis else size for place, size in enumerate(port.shape))


def _zeros(port: Cache, shape: Sequence[int], device: str) -> Any:
    import numpy as np

    name, number = TYPES[port.type]
    value = api().OrtValue
    if name == "bfloat16":
        return value.ortvalue_from_shape_and_type(list(shape), number, device, 0)
    return value.ortvalue_from_numpy(np.zeros(shape, name), device)


def _head(whole: "NDArray[Any]", axis: int, length: int) -> "NDArray[Any]":
    """A copy in any case: the memory of ``whole`` is onnxruntime's, which may free it."""
    return whole[(slice(None),) * axis + (slice(length),)].copy()
