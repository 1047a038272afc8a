"""What goes into a graph and comes out of it, told by names and shapes as the exporters write them:
optimum, transformers.js (``onnx-community``), onnxruntime-genai's builder, onnxruntime's own tools.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from llmrr.errors import Unsupported
from llmrr.formats.onnx import PAST, PRESENT
from llmrr.types import ModelInfo

# Names of the same thing.
IDS: Final = ("input_ids", "input")
EMBEDDED: Final = "inputs_embeds"
MASK: Final = "attention_mask"
POSITIONS: Final = ("position_ids", "cache_position")
BRANCH: Final = "use_cache_branch"
KEEP: Final = ("num_logits_to_keep", "logits_to_keep")
ZEROS: Final = ("token_type_ids",)
BEFORE: Final = ("past_seq_len", "past_sequence_length", "seqlens_k")  # the last token's place
ALL: Final = ("total_seq_len", "total_sequence_length")
HIDDEN: Final = ("sentence_embedding", "last_hidden_state", "token_embeddings", "hidden_states")

_LENGTH = re.compile(r"len|seq|total|^past$")
_ENCODED = re.compile(r"encoder|cross")
_PREFIX = re.compile(r"(past|present)(_key_values|_kv)?")
TYPES: Final = {
    "tensor(float)": ("float32", 1), "tensor(uint8)": ("uint8", 2), "tensor(int8)": ("int8", 3),
    "tensor(int32)": ("int32", 6), "tensor(int64)": ("int64", 7), "tensor(bool)": ("bool", 9),
    "tensor(float16)": ("float16", 10), "tensor(double)": ("float64", 11),
    "tensor(bfloat16)": ("bfloat16", 16),
}  # fmt: skip


class Port(NamedTuple):
    """A value that goes in or out, as onnxruntime describes it: a text or None stands for a size
    that is not fixed."""

    name: str
    type: str
    shape: Sequence[int | str | None]

    @property
    def numpy(self) -> str:
        """numpy's name of its type, or ``bfloat16``."""
        return TYPES.get(self.type, (self.type, 0))[0]


@dataclass(frozen=True, slots=True)
class Cache:
    """Keys or values of a layer, which go in as ``past`` and come out as ``present``. ``shape`` is
    that of an empty one; ``axis`` counts the tokens in it, None for a state of fixed size."""

    past: str
    present: str
    type: str
    shape: tuple[int, ...]
    axis: int | None


@dataclass(frozen=True, slots=True)
class Ports:
    """A graph's ports by what they are; ``inputs`` are those without the caches."""

    inputs: Mapping[str, Port]
    caches: tuple[Cache, ...]
    outputs: Mapping[str, Port]

    @property
    def logits(self) -> Port | None:
        """What the next token is drawn from."""
        return self.outputs.get("logits")

    @property
    def hidden(self) -> Port | None:
        """Vectors of tokens, or of whole texts."""
        return next((self.outputs[name] for name in HIDDEN if name in self.outputs), None)

    @property
    def embedded(self) -> bool:
        """Does it take vectors in place of token ids?"""
        return EMBEDDED in self.inputs

    @property
    def fixed(self) -> tuple[int | None, int | None]:
        """How many texts and tokens each of a run must have; None for any number."""
        ids = next(port for name, port in self.inputs.items() if name in (*IDS, EMBEDDED))
        sizes = [one if isinstance(one, int) and one > 0 else None for one in ids.shape]
        return (sizes[0], sizes[1]) if len(sizes) > 1 else (None, None)


def read(
    inputs: Iterable[Port], outputs: Iterable[Port], info: ModelInfo, others: Iterable[str] = ()
) -> Ports:
    """``others`` are inputs that another graph gives.

    Raises ``Unsupported`` for a graph that wants what this engine cannot give."""
    given = {port.name: port for port in inputs}
    made = {port.name: port for port in outputs}
    past = {name: port for name, port in given.items() if PAST.search(name) and name not in BEFORE}
    if any(_ENCODED.search(name) for name in given):
        raise Unsupported(
            "the graph is the decoder of an encoder-decoder model, which this engine does not run",
            "use a decoder-only model for answers, or an encoder for embeddings",
        )
    plain = {name: port for name, port in given.items() if name not in past}
    known = {*IDS, EMBEDDED, MASK, *POSITIONS, BRANCH, *KEEP, *ZEROS, *BEFORE, *ALL, *others}
    if unknown := [name for name in plain if name not in known]:
        raise Unsupported(
            f"the graph wants {unknown[0]}, and this engine has nothing of the kind",
            "export the model as text-generation-with-past or feature-extraction",
        )
    if not plain.keys() & {*IDS, EMBEDDED}:
        raise Unsupported("the graph takes no tokens", "use a model that takes input_ids")
    presents = {name: port for name, port in made.items() if PRESENT.search(name)}
    return Ports(plain, _caches(past, presents, info), made)


def _caches(
    past: Mapping[str, Port], presents: Mapping[str, Port], info: ModelInfo
) -> tuple[Cache, ...]:
    if not past:
        return ()
    by_rest = {_PREFIX.sub("", name, count=1): name for name in presents}
    paired = [by_rest.get(_PREFIX.sub("", name, count=1)) for name in past]
    if None in paired and len(presents) == len(past):
        paired = list(presents)  # in the same order, whatever they are called
    found = []
    for (name, port), present in zip(past.items(), paired, strict=True):
        if present is None:
            raise Unsupported(
                f"the graph takes {name} and does not give it back", "export the model again"
            )
        shape, axis = _empty(port, presents[present], info)
        found.append(Cache(name, present, port.type, shape, axis))
    return tuple(found)


def _empty(port: Port, present: Port, info: ModelInfo) -> tuple[tuple[int, ...], int | None]:
    """The shape of a cache without tokens, and which of its sizes counts them. What the graph does
    not say of what goes in it may say of what comes out."""
    heads = next(iter(info.heads_kv), 1) or 1
    out = present.shape if len(present.shape) == len(port.shape) else port.shape
    usual = {3: (1, None, info.key_length), 4: (1, heads, None, info.key_length)}
    shape: list[int] = []
    axis = None
    for place, size in enumerate(port.shape):
        name = size if isinstance(size, str) else ""
        known = usual.get(len(port.shape), (1,) * len(port.shape))[place]
        given = out[place]
        if isinstance(size, int) and size > 0:
            shape.append(size)
        elif "batch" in name:
            shape.append(next(iter(info.heads), heads) if "head" in name else 1)
        elif axis is None and (_LENGTH.search(name) or known is None):
            axis = place
            shape.append(0)
        elif isinstance(given, int) and given > 0:
            shape.append(given)
        else:
            shape.append(known or heads)
    if axis is None and re.search(r"key|value", port.name.partition(".")[2] or port.name):
        raise Unsupported(
            f"the graph has a cache of fixed size ({port.name}), which this engine does not fill",
            "use an export for CPU or GPU, with sizes that are not fixed",
        )
    return tuple(shape), axis
