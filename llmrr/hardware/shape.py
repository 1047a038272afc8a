"""The dimensions of a model that decide how much memory it takes, from its ``ModelInfo``."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from llmrr.errors import Unsupported
from llmrr.types import ModelInfo

# Of how many layers one sees the whole context, where the file leaves it to the architecture
# (llama.cpp's load_swa_pattern): period, and whether that layer comes first in it. With an
# architecture that is not named here llama.cpp ignores the window.
SLIDING = {
    "afmoe": (4, False), "cohere2": (4, False), "cohere2moe": (4, True), "exaone4": (4, False),
    "exaone-moe": (4, False), "gemma-embedding": (6, False), "gemma2": (2, False),
    "gemma3": (6, False), "gemma3n": (5, False), "gpt-oss": (2, False), "laguna": (4, True),
    "llama4": (4, False), "mellum": (4, False), "modern-bert": (3, True), "olmo2": (4, False),
    "plamo3": (8, False), "smallthinker": (4, True),
}  # fmt: skip


# A tuple, as making a dataclass of twenty fields takes a millisecond of every start.
class Shape(NamedTuple):
    """Widths are numbers of values, per layer where a tuple. ``heads`` and ``query_width`` are the
    largest of any layer. ``kv_layers`` is how many keep keys and values (some architectures share
    them among the last layers), ``window`` what the ``sliding_layers`` see. ``layer_types``,
    ``output_types`` and ``input_types`` are the bytes of each tensor type in that part;
    ``tied_bytes`` is the size of the input table where it also serves as output. ``guessed``: the
    bytes of the parts are estimated.
    """

    width: int
    vocabulary: int
    context: int | None
    heads: int
    query_width: int
    key_widths: tuple[int, ...]
    value_widths: tuple[int, ...]
    kv_layers: int
    window: int
    sliding_layers: frozenset[int]
    recurrent_layers: frozenset[int]
    state_bytes: int
    state_width: int
    feed_forward: int
    experts_used: int
    expert_feed_forward: int
    weights: int
    layer_bytes: tuple[int, ...]
    layer_types: Mapping[str, int]
    output_types: Mapping[str, int]
    input_types: Mapping[str, int]
    tied_bytes: int
    guessed: bool

    @property
    def output_bytes(self) -> int:
        """What goes where the output layer goes."""
        return sum(self.output_types.values()) + self.tied_bytes


def shape(info: ModelInfo) -> Shape:
    """Read the shape off a model's facts. Raises ``Unsupported`` where a needed one is missing."""
    layers, width, vocabulary = info.layers, info.embedding_length, info.vocabulary
    if not layers or not width or not vocabulary or not info.tensor_types:
        raise Unsupported(
            f"The files of {info.name or 'this model'} ({info.architecture}) do not say its shape, "
            "so its memory cannot be computed.",
            "Run it: the engine measures what it takes.",
        )
    meta = _Metadata(info)
    heads = _per_layer(info.heads, layers)
    heads_kv = _per_layer(info.heads_kv, layers) if info.heads_kv else heads
    # A model without attention has no heads.
    key = info.key_length or width // max(1, *heads)
    value = info.value_length or key
    latent = meta.number("attention.key_length_mla") is not None
    recurrent = _recurrent(info, meta, heads_kv)
    weights, guessed = _parts(info, width * vocabulary)
    layer_total = sum(weights["layers"].values())
    layer_bytes = info.layer_bytes or tuple(
        (layer_total * (i + 1) // layers) - (layer_total * i // layers) for i in range(layers)
    )
    return Shape(
        width=width,
        vocabulary=vocabulary,
        context=info.context_length,
        heads=max(heads),
        query_width=key * max(heads),
        key_widths=tuple(key * count for count in heads_kv),
        # Latent attention (MLA) keeps one compressed row in place of keys and values.
        value_widths=tuple(0 if latent else value * count for count in heads_kv),
        kv_layers=layers - (meta.number("attention.shared_kv_layers") or 0),
        window=info.sliding_window or 0,
        sliding_layers=_sliding(info, layers),
        recurrent_layers=recurrent,
        state_bytes=4 * _state(info, meta) if recurrent else 0,
        state_width=(meta.number("ssm.inner_size") or width) if recurrent else 0,
        feed_forward=max(info.feed_forward, default=0),
        experts_used=info.experts_used or 0 if info.experts else 0,
        expert_feed_forward=meta.number("expert_feed_forward_length")
        or max(info.feed_forward, default=0),
        weights=sum(size for _, size in info.tensor_types.values()),
        layer_bytes=layer_bytes,
        layer_types=weights["layers"],
        output_types=weights["output"],
        input_types=weights["input"],
        tied_bytes=_tied(weights, width * vocabulary),
        guessed=guessed,
    )


class _Metadata:
    """The architecture's own keys of a GGUF file, without their prefix."""

    def __init__(self, info: ModelInfo) -> None:
        self.values = info.metadata
        self.prefix = info.architecture

    def value(self, key: str) -> Any:
        return self.values.get(f"{self.prefix}.{key}")

    def number(self, key: str) -> int | None:
        value = self.value(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


def _per_layer(values: tuple[int, ...], layers: int) -> tuple[int, ...]:
    """One value per layer, from one for all or one for each; 0 where there is none."""
    if len(values) == 1:
        return values * layers
    return (values + (0,) * layers)[:layers]


def _sliding(info: ModelInfo, layers: int) -> frozenset[int]:
    """The layers that see only the window."""
    if not info.sliding_window:
        return frozenset()
    pattern = info.sliding_pattern
    if isinstance(pattern, tuple):
        return frozenset(i for i, sliding in enumerate(pattern[:layers]) if sliding)
    known = SLIDING.get(info.architecture)
    if known is None:
        return frozenset()
    period, first = known
    period = period if pattern is None else pattern
    if period == 0:
        return frozenset(range(layers))
    whole = 0 if first else period - 1
    return frozenset(i for i in range(layers) if i % period != whole)


def _recurrent(info: ModelInfo, meta: _Metadata, heads_kv: tuple[int, ...]) -> frozenset[int]:
    """The layers that keep a state of fixed size."""
    if not info.recurrent:
        return frozenset()
    every = meta.number("full_attention_interval")
    if every:
        return frozenset(i for i in range(len(heads_kv)) if (i + 1) % every)
    without = frozenset(i for i, count in enumerate(heads_kv) if count == 0)
    # Some run attention and a state side by side in every layer.
    return without or frozenset(range(len(heads_kv)))


def _state(info: ModelInfo, meta: _Metadata) -> int:
    """Values in the state of one layer and sequence (llama_hparams::n_embd_r and n_embd_s)."""
    width = info.embedding_length or 0
    head = meta.number("wkv.head_size")
    if head:
        return width * ((meta.number("token_shift_count") or 2) + head)
    cache = meta.number("shortconv.l_cache")
    if cache:
        return width * (cache - 1)
    inner = meta.number("ssm.inner_size") or 0
    state = meta.number("ssm.state_size") or 0
    groups = meta.number("ssm.group_count") or 0
    convolution = max(0, (meta.number("ssm.conv_kernel") or 1) - 1)
    return convolution * (inner + 2 * groups * state) + inner * state


def _parts(info: ModelInfo, table: int) -> tuple[dict[str, Mapping[str, int]], bool]:
    """Bytes of each tensor type in the input, the layers and the output; whether guessed.

    Without the file's own account, the largest type is taken to hold one table of the vocabulary.
    """
    if info.weights:
        return {part: info.weights.get(part, {}) for part in ("input", "layers", "output")}, False
    sizes = {name: size for name, (_, size) in info.tensor_types.items()}
    largest = max(sizes, key=lambda name: sizes[name])
    share = min(sizes[largest], table * sum(sizes.values()) // max(1, info.parameters or table))
    layers = sizes | {largest: sizes[largest] - share}
    return {"input": {largest: share}, "layers": layers, "output": {}}, True


def _tied(weights: Mapping[str, Mapping[str, int]], table: int) -> int:
    """The bytes of the input table if it is the output too: if what follows the last layer is less
    than a table of one bit per weight."""
    if sum(weights["output"].values()) >= table // 8:
        return 0
    return sum(weights["input"].values())
