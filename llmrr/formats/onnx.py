"""An ONNX graph, alone or in a folder of optimum, transformers.js or onnxruntime-genai.

``ModelInfo.metadata`` has, beside the keys of config.json:

- ``onnx.file``: which of the graphs is described; ``onnx.graphs``: the bytes of each in the folder
- ``onnx.role``: decoder, encoder, embedding (token ids to vectors), or other
- ``onnx.past``: whether a decoder takes keys and values of the past; ``onnx.present``: whether it
  gives them; ``onnx.merged``: whether it does both as ``use_cache_branch`` says
- ``onnx.inputs``, ``onnx.outputs``: their names; ``onnx.operators``: how many nodes of each kind
- ``onnx.external``: the files that hold weights, with the bytes that are needed of each
- ``onnx.ir_version``, ``onnx.producer``, ``onnx.opsets`` (domain: version)
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from llmrr.formats.layout import Layout
from llmrr.formats.messages import damaged
from llmrr.formats.model_config import Config
from llmrr.formats.onnx_graph import Model, Packed, Stored, read_model
from llmrr.formats.shards import inside
from llmrr.formats.source import Files, OneFile
from llmrr.formats.tensors import FLOATS, Tensor, label, weigh
from llmrr.formats.transformers import read_settings
from llmrr.types import Format, ModelInfo

PAST = re.compile(r"^past(?:_|\.|$)|\.past(?:_|\.)|^pkv_")
PRESENT = re.compile(r"^present(?:_|\.|$)|\.present(?:_|\.)")
PAST_LAYER = re.compile(r"^past(?:_key_values)?[._](?:key_|value_|self_key_)?(\d{1,3})(?!\d)")
TEXT_INPUTS = frozenset({"input_ids", "decoder_input_ids", "inputs_embeds", "input"})
ENCODED = frozenset({
    "last_hidden_state", "encoder_last_hidden_state", "encoder_hidden_states", "pooler_output",
    "sentence_embedding", "token_embeddings", "embeddings", "hidden_states",
})  # fmt: skip
# Classes of models that have logits and write no text.
CLASSIFIES = re.compile(
    r"For(?:MaskedLM|SequenceClassification|TokenClassification|QuestionAnswering|MultipleChoice|"
    r"ImageClassification|AudioClassification|CTC)$"
)
INTEGER_OPERATORS = frozenset({
    "MatMulInteger", "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulIntegerToFloat",
    "ConvInteger", "QLinearMatMul", "QLinearConv", "QGemm", "QAttention", "DequantizeLinear",
})  # fmt: skip
COUNTED = FLOATS | {"I8", "U8", "I4", "U4", "F8_E4M3", "F8_E5M2"}
VARIANT = re.compile(r"_(fp32|fp16|q4f16|q4|q8|int8|uint8|bnb4|quantized)\b")


def describe(files: Files, layout: Layout) -> ModelInfo:
    """What the graph that ``layout`` found in ``files`` says, and what stands beside it.

    Raises ``DamagedFile``, also for weights outside of the file that are missing or cut off.
    """
    name = layout.weights[0]
    model = read_model(files.source(name))
    external = _external(files, name, model.weights)
    config, fields = read_settings(files)
    fields |= {key: value for key, value in _from_ports(model).items() if not fields.get(key)}
    tensors = [stored.tensor for stored in model.weights]
    own = _metadata(model, config)
    own["onnx.file"] = name
    own["onnx.graphs"] = {one: files.sizes[one] for one in layout.graphs or (name,)}
    own["onnx.external"] = external
    fields["metadata"] = {**fields["metadata"], **own}
    return ModelInfo(
        format=Format.ONNX,
        parameters=_parameters(model),
        quant=_quantization(model) or _named(name),
        bytes=files.sizes[name] + sum(files.sizes[path] for path in external),
        parts=1 + len(external),
        **fields,
        **_weighed(tensors, fields["layers"]),
    )


def _weighed(tensors: list[Tensor], layers: int | None) -> dict[str, Any]:
    """PyTorch's exporter calls matrices onnx::MatMul_N: then nobody knows their layer."""
    found = weigh(tensors, layers)
    if any(tensor.name.startswith("onnx::") for tensor in tensors):
        found |= {"weights": {}, "layer_bytes": ()}
    return found


def _external(files: Files, name: str, weights: Iterable[Stored]) -> dict[str, int]:
    """The files that hold weights, and how long each must be."""
    needed: dict[str, int] = {}
    known: dict[str, str] = {}
    for tensor, place in weights:
        if place is None or isinstance(files, OneFile):
            continue
        if place.location not in known:
            known[place.location] = inside(files, name, place.location)
        if place.length is not None and place.length < tensor.bytes:
            where = f"{tensor.name[:99]!r} has {place.length} bytes"
            raise damaged(files.source(name), f"{where}, where its shape needs {tensor.bytes}")
        path = known[place.location]
        needed[path] = max(needed.get(path, 0), place.offset + (place.length or tensor.bytes))
    for path, size in needed.items():
        if files.sizes[path] < size:
            found = f"{name} needs {size} bytes of it, and it has {files.sizes[path]}"
            raise damaged(files.source(path), found)
    return needed


def _metadata(model: Model, config: Config) -> dict[str, Any]:
    past = any(PAST.search(one) for one in model.inputs)
    present = any(PRESENT.search(one) for one in model.outputs)
    return {
        "onnx.role": _role(model, config, past or present),
        "onnx.past": past,
        "onnx.present": present,
        "onnx.merged": "use_cache_branch" in model.inputs,
        "onnx.inputs": tuple(model.inputs),
        "onnx.outputs": tuple(model.outputs),
        "onnx.operators": dict(model.operators),
        "onnx.ir_version": model.ir_version,
        "onnx.producer": model.producer,
        "onnx.opsets": dict(model.opsets),
    }


def _role(model: Model, config: Config, cached: bool) -> str:
    """By what goes in and out; the classes in config.json tell a decoder without a cache from a
    classifier, which has the same ports."""
    logits = model.outputs.get("logits", ())
    if cached:
        return "decoder"
    if "logits" in model.outputs and TEXT_INPUTS & model.inputs.keys():
        classifies = len(logits) == 2 or any(CLASSIFIES.search(one) for one in config.classes)
        return "other" if classifies or "token_type_ids" in model.inputs else "decoder"
    if model.outputs.keys() & ENCODED:
        return "encoder"
    return "embedding" if "inputs_embeds" in model.outputs else "other"


def _from_ports(model: Model) -> dict[str, Any]:
    """Layers, heads and vocabulary as the shapes of the ports tell them, where config.json is
    silent: past_key_values.N.key is (batch, heads, tokens, numbers of a head)."""
    found: dict[str, Any] = {}
    numbered = {int(at[1]): shape for name, shape in model.inputs.items()
                if (at := PAST_LAYER.match(name))}  # fmt: skip
    if numbered:
        found["layers"] = max(numbered) + 1
        shape = next(iter(numbered.values()))
        heads, width = (shape[1], shape[3]) if len(shape) == 4 else (None, None)
        if heads and width:
            found |= {"heads_kv": (heads,) * found["layers"], "key_length": width}
    logits = model.outputs.get("logits", ())
    if len(logits) == 3 and logits[2]:
        found["vocabulary"] = logits[2]
    return found


def _parameters(model: Model) -> int | None:
    """Numbers, packed ones by their bits; scales, zero points and constants are none."""
    bits = {name: one.bits for one in model.packed for name in one.weights}
    aside = {name for one in model.packed for name in one.companions}
    total = 0
    for tensor, _ in model.weights:
        if tensor.name in bits and bits[tensor.name] in range(1, 9):
            total += tensor.bytes * 8 // bits[tensor.name]
        elif tensor.type in COUNTED and tensor.shape and tensor.name not in aside:
            total += tensor.elements
    return total or None


def _quantization(model: Model) -> str | None:
    """As transformers.js calls the variants: fp32, fp16, q4, q4f16, int8, uint8, bnb4."""
    types: dict[str, int] = {}
    for tensor, _ in model.weights:
        types[tensor.type] = types.get(tensor.type, 0) + tensor.bytes
    if packed := [one for one in model.packed if one.weights]:
        return _of_packed(packed, types)
    if model.operators.keys() & INTEGER_OPERATORS:
        for bits4 in ("I4", "U4"):
            if types.get(bits4, 0) > types.get("I8", 0) + types.get("U8", 0):
                return "q4"
        signed, unsigned = types.get("I8", 0), types.get("U8", 0)
        if signed or unsigned:
            return "int8" if signed >= unsigned else "uint8"
    return label(sorted((name for name in types if name in FLOATS), key=lambda name: -types[name]))


def _of_packed(packed: list[Packed], types: Mapping[str, int]) -> str:
    if all(one.operator == "MatMulBnb4" for one in packed):
        return "bnb4"
    widths = [one.bits for one in packed]
    bits = max(set(widths), key=widths.count)
    half = types.get("F16", 0) > types.get("F32", 0)
    return f"q{bits}f16" if half else f"q{bits}"


def _named(name: str) -> str | None:
    found = VARIANT.search(name)
    return found[1] if found else None
