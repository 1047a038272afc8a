"""What tensors add up to: bytes by type and place, and how many numbers they stand for."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

# Bits of an item by the name that safetensors gives the type; the last ones are only ONNX's.
BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
    "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64, "C128": 128,
    "U4": 4, "I4": 4, "U2": 2, "I2": 2,
}  # fmt: skip
LABELS = {
    "BF16": "bf16", "F16": "fp16", "F32": "fp32", "F64": "fp64", "F8_E4M3": "fp8",
    "F8_E5M2": "fp8", "I8": "int8", "U8": "uint8", "I4": "q4", "U4": "q4",
}  # fmt: skip
FLOATS = frozenset({"BF16", "F16", "F32", "F64"})
MAX_LAYERS = 1024
LAYER = re.compile(r"(?:^|[./])(?:layers?|h|blocks?|decoder_layers?)\.(\d{1,4})\.")
# Encoders of pictures and sound, and what follows a text model: not what the formula of memory
# calls a layer. A name that begins with one of these words, or has it after a dot.
ASIDE = re.compile(
    r"(?:^|\.)(?:vision|visual|vit|vpm|image|img|audio|apm|speech|multi_modal|mm_|resampler|"
    r"aligner|talker|token2wav|tts|gen_|connector|projector)"
)
INPUT = re.compile(
    r"(?:^|\.)(?:embed_tokens(?:_per_layer)?|wte|wpe|word_embeddings?|embed_in|tok_embeddings|"
    r"position_embeddings?|token_type_embeddings?|embed_positions|shared|embeddings?|embed|"
    r"emb|tokens_embed|positions_embed)\.(?:weight|qweight|scales|biases|qzeros|g_idx)?$"
)


TABLE = re.compile(r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|embed_in|tok_embeddings)\.weight$")


class Tensor(NamedTuple):
    """A tensor as it is stored; ``type`` as safetensors names it, ``shape`` with rows first."""

    name: str
    type: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def elements(self) -> int:
        """How many items it holds."""
        product = 1
        for size in self.shape:
            product *= size
        return product


def layer_of(name: str) -> int | None:
    """The layer that a tensor belongs to, from 0; None for what stands outside.

    >>> layer_of("model.layers.12.mlp.up_proj.weight"), layer_of("transformer.h.3.ln_1.bias")
    (12, 3)
    >>> layer_of("lm_head.weight"), layer_of("vision_tower.encoder.layers.1.mlp.fc1.weight")
    (None, None)
    """
    found = LAYER.search(name)
    return int(found[1]) if found and not ASIDE.search(name) else None


def weigh(tensors: Iterable[Tensor], layers: int | None) -> dict[str, Any]:
    """The fields of ``ModelInfo`` that are sums of bytes: ``tensor_types``, ``weights`` and
    ``layer_bytes``. Without ``layers`` the names of the tensors tell how many there are."""
    types: dict[str, tuple[int, int]] = {}
    parts: dict[str, dict[str, int]] = {"input": {}, "layers": {}, "output": {}}
    by_layer: dict[int, int] = {}
    for tensor in tensors:
        count, size = types.get(tensor.type, (0, 0))
        types[tensor.type] = count + 1, size + tensor.bytes
        layer = layer_of(tensor.name)
        if layer is None and ASIDE.search(tensor.name):
            continue
        part = parts["layers" if layer is not None else _outside(tensor.name)]
        part[tensor.type] = part.get(tensor.type, 0) + tensor.bytes
        if layer is not None:
            by_layer[layer] = by_layer.get(layer, 0) + tensor.bytes
    count = min(MAX_LAYERS, layers or max(by_layer, default=-1) + 1)
    return {
        "tensor_types": dict(sorted(types.items(), key=lambda item: -item[1][1])),
        "weights": parts if by_layer else {},
        "layer_bytes": tuple(by_layer.get(layer, 0) for layer in range(count)) if by_layer else (),
    }


def sizes(tensors: Iterable[Tensor]) -> dict[str, Any]:
    """The fields of ``ModelInfo`` that names and shapes tell where a configuration leaves them to
    its defaults: layers, width and vocabulary; the heads where there is a norm of a single one."""
    seen = [tensor for tensor in tensors if not ASIDE.search(tensor.name)]
    layers = max((layer for one in seen if (layer := layer_of(one.name)) is not None), default=-1)
    found: dict[str, Any] = {"layers": layers + 1} if 0 <= layers < MAX_LAYERS else {}
    flat = {one.name: one.shape for one in seen if one.type in FLOATS}
    for name, shape in flat.items():
        if TABLE.search(name) and len(shape) == 2:
            found |= {"vocabulary": shape[0], "embedding_length": shape[1]}
    ends = {name.split(".0.", 1)[-1]: shape for name, shape in flat.items() if layer_of(name) == 0}
    query, key = ends.get("self_attn.q_proj.weight", ()), ends.get("self_attn.k_proj.weight", ())
    norm = ends.get("self_attn.k_norm.weight", ())
    head = norm[0] if len(norm) == 1 else 0
    if layers >= 0 and head and len(query) == len(key) == 2:
        found["key_length"] = found["value_length"] = head
        found["heads"] = (query[0] // head,) * found["layers"]
        found["heads_kv"] = (key[0] // head,) * found["layers"]
    return found


def label(types: Iterable[str]) -> str | None:
    """What people call weights of the first of ``types`` that is a number to calculate with."""
    return next((LABELS[name] for name in types if name in LABELS), None)


def _outside(name: str) -> str:
    return "input" if INPUT.search(name) else "output"
