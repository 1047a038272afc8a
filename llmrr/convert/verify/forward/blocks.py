"""The pieces that every architecture is put together from: norms, activations, attention."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from llmrr.convert.verify.forward.design import Rope
from llmrr.errors import Unsupported

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


def normalise(
    x: "Floats",
    weight: "Floats",
    bias: "Floats | None",
    *,
    kind: Literal["rms", "layer"],
    epsilon: float,
) -> "Floats":
    """The norm of the last dimension: of its mean square, or of its variance around the mean."""
    import numpy as np

    if kind == "layer":
        x = x - x.mean(-1, keepdims=True)
    found: Floats = x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(epsilon)) * weight
    if bias is not None:
        found = found + bias
    return found


def rotate(x: "Floats", rope: Rope) -> "Floats":
    """Turn the first dimensions of ``x``, shaped (…, positions, head), by their positions."""
    import numpy as np

    half = len(rope.inverse)
    angles = np.outer(np.arange(x.shape[-2]), np.array(rope.inverse))
    cos = (np.cos(angles) * rope.scale).astype(np.float32)
    sin = (np.sin(angles) * rope.scale).astype(np.float32)
    one, two, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return np.concatenate([one * cos - two * sin, two * cos + one * sin, rest], -1)


def attend(
    q: "Floats",
    k: "Floats",
    v: "Floats",
    *,
    scale: float,
    causal: bool,
    window: int | None,
    softcap: float | None,
) -> "Floats":
    """Attention of q (prompts, heads, positions, head) to k and v, which may have fewer heads."""
    import numpy as np

    shared = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, shared, 1), np.repeat(v, shared, 1)
    scores = q @ k.swapaxes(-1, -2) * np.float32(scale)
    if softcap:
        scores = softcap * np.tanh(scores / softcap)
    distance = np.subtract.outer(np.arange(q.shape[2]), np.arange(k.shape[2]))
    hidden = (distance < 0) if causal else np.zeros_like(distance, bool)
    if window is not None:
        hidden = hidden | (distance >= window)
    scores = np.where(hidden, np.float32(-np.inf), scores)
    return softmax(scores) @ v


def softmax(x: "Floats") -> "Floats":
    """Over the last dimension."""
    import numpy as np

    found: Floats = np.exp(x - x.max(-1, keepdims=True))
    found /= found.sum(-1, keepdims=True)
    return found


def activation(name: str) -> "Callable[[Floats], Floats]":
    """By the name that config.json has for it. Raises ``Unsupported``."""
    found = _ACTIVATIONS.get(name)
    if found is None:
        raise Unsupported(f"the activation {name[:40]!r} is not known")
    return found


def sigmoid(x: "Floats") -> "Floats":
    """1 / (1 + exp(-x)), without an overflow."""
    import numpy as np

    found: Floats = 0.5 * (1 + np.tanh(0.5 * x))
    return found


def _silu(x: "Floats") -> "Floats":
    return x * sigmoid(x)


def _relu(x: "Floats") -> "Floats":
    import numpy as np

    return np.maximum(x, 0)


def _gelu_tanh(x: "Floats") -> "Floats":
    import numpy as np

    found: Floats = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return found


def _gelu(x: "Floats") -> "Floats":
    return 0.5 * x * (1 + _erf(x / np_sqrt2()))


def np_sqrt2() -> "np.float32":
    """The square root of two as float32, so that nothing becomes a float64."""
    import numpy as np

    return np.float32(math.sqrt(2))


def _erf(x: "Floats") -> "Floats":
    """To 1.5e-7: 7.1.26 of Abramowitz and Stegun, Handbook of Mathematical Functions."""
    import numpy as np

    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
    total = sum(one * t ** (i + 1) for i, one in enumerate(series))
    found: Floats = np.sign(x) * (1 - total * np.exp(-x * x))
    return found


def _quick_gelu(x: "Floats") -> "Floats":
    return x * sigmoid(1.702 * x)


_ACTIVATIONS: "Mapping[str, Callable[[Floats], Floats]]" = {
    "silu": _silu,
    "swish": _silu,
    "swiglu": _silu,
    "gelu": _gelu,
    "gelu_new": _gelu_tanh,
    "gelu_fast": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "quick_gelu": _quick_gelu,
    "relu": _relu,
}
