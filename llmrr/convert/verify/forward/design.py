"""What a model computes, as data: the vocabulary that the architectures are described in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotated positions: one inverse frequency for each pair of the dimensions that are rotated,
    the first half of them against the second; ``scale`` multiplies sine and cosine. ``long`` takes
    the place of ``inverse`` in a text that is longer than the original context."""

    inverse: tuple[float, ...]
    scale: float = 1.0
    long: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Experts:
    """A mixture: the ``used`` experts with the largest softmax take part, with these weights, which
    are made to add up to 1 where ``normalised``."""

    count: int
    used: int
    normalised: bool


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer has that another of the same model may not have. ``window`` is how many tokens
    it sees, itself included; None for all."""

    rope: Rope | None = None
    window: int | None = None
    experts: Experts | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """A model. ``names`` maps roles to tensors of Hugging Face without ``.weight``, ``{i}`` the
    layer, ``{e}`` the expert, ``{h}`` the head. What has no name in it is not there: a norm before
    attention is ``attention_in``, one of its output ``attention_out``, one of the sum with what
    went around it ``attention_sum``; ``mlp_…`` likewise.

    ``fused`` is how the rows of one matrix for queries, keys and values lie: all of each after
    another, or together for every head of the keys. ``turned`` matrices have columns first.
    """

    names: Mapping[str, str]
    width: int
    heads: int
    heads_kv: int
    head: int
    layers: tuple[Layer, ...]
    epsilon: float
    norm: Literal["rms", "layer"] = "rms"
    norm_offset: float = 0.0
    activation: str = "silu"
    scale: float = 1.0
    fused: Literal["stacked", "grouped"] = "stacked"
    turned: bool = False
    query_norm: Literal["head", "whole"] = "head"
    parallel: bool = False
    causal: bool = True
    softcap: float | None = None
    final_softcap: float | None = None
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    logit_scale: float = 1.0
    tied: bool = False
    context: int | None = None

    @property
    def window(self) -> int | None:
        """The window of those layers that have one."""
        return next((one.window for one in self.layers if one.window), None)

    @property
    def has_long(self) -> bool:
        """Are there other frequencies for long texts?"""
        return any(one.rope and one.rope.long for one in self.layers)

    def enough(self, most: int) -> int:
        """How many of the first layers have one of each kind, two at least and ``most`` at most."""
        kinds = set(self.layers)
        count = next(n for n in range(1, len(self.layers) + 1) if {*self.layers[:n]} == kinds)
        return min(len(self.layers), most, max(2, count))

    def cut(self, layers: int, window: int | None = None) -> "Design":
        """The first ``layers`` of it, with windows of ``window`` tokens where there are any."""
        kept = self.layers[:layers]
        if window is not None:
            kept = tuple(replace(one, window=window if one.window else None) for one in kept)
        return replace(self, layers=kept)

    def long(self) -> "Design":
        """As it computes a text that is longer than the original context."""
        kept = []
        for one in self.layers:
            rope = one.rope
            if rope is not None and rope.long:
                rope = replace(rope, inverse=rope.long)
            kept.append(replace(one, rope=rope))
        return replace(self, layers=tuple(kept))
