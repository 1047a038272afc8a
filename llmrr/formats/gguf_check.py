"""What llama.cpp would crash on or be misled by, found in a GGUF header before it sees the file.

llama.cpp reports most of what is wrong with a file, but some of it ends the process: failed
assertions (``GGML_ASSERT``, ``GGML_ABORT``) and exceptions that leave its C functions. The rules
here follow those of ``ggml/src/gguf.cpp``, ``src/llama-model.cpp`` (``load_hparams``) and
``src/llama-vocab.cpp``. An architecture nobody here knows passes if it is sound: that it is not
supported is for llama.cpp to say.
"""

import math
import re
from collections.abc import Iterable, Sequence

from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats.gguf_header import Array, Header, TensorInfo
from llmrr.formats.gguf_shapes import LIKE_LLAMA, wrong_heads, wrong_shape
from llmrr.formats.gguf_types import STRING, TENSOR_TYPES
from llmrr.formats.gguf_vocabulary import check_vocabulary

MAX_NAME = 63  # GGML_MAX_NAME, with its terminating zero
ALIGNMENT = 32  # TENSOR_ALIGNMENT of ggml: weights are used where they lie in the mapped file
MAX_LAYERS, MAX_EXPERTS = 512, 1024
MAX_WINDOW = 2**24
MAX_ELEMENTS = 2**63 - 1
ROPE_SCALING = frozenset({"none", "linear", "yarn", "longrope"})
MAY_ROTATE_NOTHING = frozenset({"granitehybrid", "jamba", "nemotron_h", "nemotron_h_moe"})
DRAFTS = frozenset({"eagle3", "dflash", "gemma4-assistant"})  # abort without a main context
POOLING = frozenset({0, 1, 2, 3, 4, 2**32 - 1})
# ggml has no arithmetic for weights of these types; they are for tables of indices and activations.
# Its CPU backend adds and multiplies by these in F32 only, and aborts otherwise.
ALWAYS_F32 = re.compile(r"norm|token_types|\.bias$|\.ssm_(a|d|conv1d)\b")
NOT_FOR_WEIGHTS = frozenset({"Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64"})


def check(header: Header) -> None:
    """Raise ``DamagedFile`` or ``Unsupported`` if ``header`` is not one of a model to be run."""
    check_parts((header,))


def check_parts(parts: Sequence[Header]) -> None:
    """``check`` for a model in one or several files, whose headers are ``parts``."""
    first = parts[0]
    _is_model(first)
    for part in parts:
        _names(part)
        _tensors(part)
    _split(parts)
    tensors = {tensor.name: tensor for part in parts for tensor in part.tensors}
    if not tensors:
        raise Unsupported(
            f"{first.where} holds only a vocabulary, no weights", "name the file of a whole model"
        )
    _layers(first, tensors)
    _attention(first)
    _sliding_window(first)
    _experts(first)
    _numbers(first)
    if why := wrong_shape(first, tensors):
        raise damaged(first, why)
    check_vocabulary(first)


def check_adapter(header: Header, model: Iterable[TensorInfo]) -> None:
    """Raise ``DamagedFile`` or ``Unsupported`` if ``header`` is not one of a LoRA adapter for a
    model of these tensors. llama.cpp does not look at how many experts it is for, and reads behind
    the last."""
    if (header.text("general.type"), header.text("adapter.type")) != ("adapter", "lora"):
        raise Unsupported(
            f"{header.where} is not a LoRA adapter",
            "give the model with -m, and with -o lora an adapter in GGUF",
        )
    _names(header)
    _tensors(header)
    for key, kind, wanted in (  # llama.cpp aborts on another of GGUF's value types
        ("general.architecture", "a text", 8),
        ("adapter.lora.alpha", "a 32-bit float", 6),
    ):
        if header.kinds.get(key) != wanted:
            raise damaged(header, f"{key} is not {kind}")
    stacked = {one.name: one.dims[2:] for one in model}
    for tensor in header.tensors:
        if not tensor.name.endswith((".lora_a", ".lora_b")):
            raise damaged(header, f"{tensor.name!r} is not a tensor of an adapter")
        if len(tensor.dims) < 2 or TENSOR_TYPES[tensor.type][0] in NOT_FOR_WEIGHTS:
            raise damaged(header, f"{tensor.name!r} is not a matrix to calculate with")
        if tensor.dims[2:] != stacked.get(tensor.name[: -len(".lora_a")], ()):
            raise damaged(header, f"{tensor.name!r} is not for as many experts as the model has")


def damaged(header: Header, why: str) -> DamagedFile:
    """The error for a file that says something impossible."""
    return DamagedFile(f"{header.where} is damaged: {why}", "copy or download the file again")


def _is_model(header: Header) -> None:
    architecture = header.text("general.architecture")
    kind = header.text("general.type")
    if kind == "adapter":
        raise Unsupported(
            f"{header.where} is a LoRA adapter, not a model",
            f"llmrr run -m MODEL -o lora {header.where} PROMPT",
        )
    if kind == "mmproj" or architecture == "clip":
        raise Unsupported(
            f"{header.where} is the image encoder of a model (mmproj), not a model",
            "name the file of the language model that came with it",
        )
    if kind == "imatrix":
        raise Unsupported(
            f"{header.where} is an importance matrix for quantizing, not a model",
            "name the file of the model",
        )
    if architecture in DRAFTS:
        raise Unsupported(
            f"{header.where} is a draft model ({architecture}), which works only beside another",
            "name the file of the model that it was made for",
        )
    if not architecture or not architecture.isprintable():
        raise damaged(header, "it names no architecture (general.architecture)")


def _names(header: Header) -> None:
    for key in header.metadata:
        if "\0" in key:
            raise damaged(header, f"the key {key!r} has a zero byte in it")
    seen = set()
    for tensor in header.tensors:
        if len(tensor.name.encode()) > MAX_NAME or "\0" in tensor.name:
            raise damaged(header, f"{tensor.name!r} cannot be the name of a tensor")
        if tensor.name in seen:
            raise damaged(header, f"the tensor {tensor.name!r} stands twice in it")
        seen.add(tensor.name)


def _tensors(header: Header) -> None:
    """Types, sizes and places: ggml wants the tensors one after the other, each aligned."""
    if header.alignment % ALIGNMENT:
        why = f"its general.alignment is {header.alignment}, and ggml needs {ALIGNMENT}"
        raise damaged(header, why)
    expected, room = 0, header.source.size - header.data_offset
    for tensor in header.tensors:
        problem = _wrong_tensor(tensor)
        if problem is None and tensor.offset != expected:
            problem = f"lies at {tensor.offset} of the data, where {expected} is next"
        if problem is None and (beyond := tensor.offset + tensor.bytes - room) > 0:
            problem = f"ends {beyond} bytes beyond the file's end"
        if problem:
            raise damaged(header, f"the tensor {tensor.name!r} {problem}")
        expected += -(-tensor.bytes // header.alignment) * header.alignment


def _wrong_tensor(tensor: TensorInfo) -> str | None:
    if tensor.type not in TENSOR_TYPES:
        return f"has the type {tensor.type}, which ggml does not have (any more)"
    name, block, _ = TENSOR_TYPES[tensor.type]
    if min(tensor.dims) < 1 or max(tensor.elements, tensor.bytes) > MAX_ELEMENTS:
        return f"has the impossible shape {tensor.dims}"
    if tensor.dims[0] % block:
        return f"has rows of {tensor.dims[0]} numbers, and {name} needs a multiple of {block}"
    if tensor.name.endswith(".weight") and name in NOT_FOR_WEIGHTS:
        return f"is a weight of the type {name}, which nothing can calculate with"
    row = len(tensor.dims) == 1 and tensor.name.endswith(".weight")
    if name != "F32" and (row or ALWAYS_F32.search(tensor.name)):
        return f"has the type {name}, where only F32 can be calculated with"
    return None


def _split(parts: Sequence[Header]) -> None:
    first = parts[0]
    count = first.integer("split.count") or 1
    if count != len(parts) and not (count == 1 and len(parts) == 1):
        raise damaged(first, f"it says that it is one of {count} parts, and there are {len(parts)}")
    if len(parts) == 1:
        return
    for number, part in enumerate(parts):
        # llama.cpp reads split.no as a 16-bit number without asking what it is.
        if part.integer("split.no") != number or part.kinds["split.no"] != 2:
            raise damaged(part, f"it does not say that it is part {number + 1} (split.no)")
    said, there = first.integer("split.tensors.count"), sum(len(part.tensors) for part in parts)
    if said != there:
        raise damaged(first, f"its parts should have {said} tensors and have {there}")
    if len({tensor.name for part in parts for tensor in part.tensors}) != there:
        raise damaged(first, "a tensor stands in two of its parts")


def _layers(header: Header, tensors: dict[str, TensorInfo]) -> None:
    layers = _required(header, "block_count", MAX_LAYERS)
    predicting = header.own("nextn_predict_layers") or 0
    if predicting > layers:
        raise damaged(header, f"{predicting} of its {layers} layers predict further tokens")
    _required(header, "embedding_length", 2**24)
    _required(header, "context_length", 2**31 - 1)
    if header.text("general.architecture") not in LIKE_LLAMA:
        return
    found = {tensor.layer for tensor in tensors.values() if tensor.layer is not None}
    if beyond := [number for number in found if number >= layers]:
        raise damaged(header, f"it has {layers} layers and tensors of layer {max(beyond) + 1}")
    missing = [number for number in range(layers - predicting) if number not in found]
    if missing:
        raise damaged(header, f"it has {layers} layers and no tensor of layer {missing[0] + 1}")


def _attention(header: Header) -> None:
    layers = header.own("block_count") or 1
    heads = per_layer(header, "attention.head_count", layers) or (0,) * layers
    heads_kv = per_layer(header, "attention.head_count_kv", layers) or heads
    width = header.own("embedding_length") or 0
    for layer, (query, key) in enumerate(zip(heads, heads_kv, strict=True)):
        if query < 0 or key < 0 or max(query, key) > width:
            raise damaged(header, f"layer {layer + 1} has {query} heads, {key} of them for keys")
        if key and query % key:
            why = f"layer {layer + 1} has {query} heads, which {key} key heads do not divide"
            raise damaged(header, why)
    for name in ("key_length", "value_length", "key_length_swa", "value_length_swa"):
        length = header.own("attention." + name)
        if length is not None and not 0 < length <= 2**16:
            raise damaged(header, f"its attention.{name} is {length}")
    if heads[0]:
        _heads(header, width, heads[0])


def _heads(header: Header, width: int, heads: int) -> None:
    """The sizes of a head, where there is attention."""
    architecture = header.text("general.architecture") or ""
    given = header.own("attention.key_length")
    if given is None and width % heads:
        raise damaged(header, f"its width {width} cannot be divided into {heads} heads")
    key = given or width // heads
    value = header.own("attention.value_length") or width // heads
    limit = max(key, header.own("attention.key_length_swa") or 0)
    for name in ("rope.dimension_count", "rope.dimension_count_swa"):
        rotated = header.own(name)
        least = 0 if architecture in MAY_ROTATE_NOTHING else 1
        if rotated is not None and (rotated % 2 or not least <= rotated <= limit):
            raise damaged(header, f"its {name} is {rotated}, in heads of {limit} numbers")
    rotated = header.own("rope.dimension_count") or key
    if why := wrong_heads(architecture, width, heads, key, value, rotated):
        raise damaged(header, why)


def _sliding_window(header: Header) -> None:
    """Where there is a window, at least one layer must slide, or llama.cpp aborts."""
    window = header.own("attention.sliding_window")
    if not window:
        return
    if window > MAX_WINDOW:
        raise damaged(header, f"its sliding window is {window} tokens long")
    name = header.key("attention.sliding_window_pattern")
    slides = header.own("attention.sliding_window_pattern") != 1
    if (count := header.count(name)) is not None:
        slides = count <= MAX_LAYERS and any(header.values(name) or ())
    if not slides:
        raise damaged(header, "it has a sliding window and no layer that slides")


def _experts(header: Header) -> None:
    """What ``load_hparams`` asserts of mixtures of experts."""
    experts = header.own("expert_count") or 0
    layers = header.own("block_count") or 1
    used = max(per_layer(header, "expert_used_count", layers) or (0,))
    groups = header.own("expert_group_count") or 0
    groups_used = header.own("expert_group_used_count") or 0
    if header.text("general.architecture") in ("hunyuan_vl", "hunyuan-dense") and experts <= 1:
        experts = used = 0
    if experts > MAX_EXPERTS or used > experts or (experts and used < 1):
        raise damaged(header, f"it uses {used} of {experts} experts")
    grouped = groups > 1 and (experts % groups or not 0 < groups_used < groups)
    if grouped or (groups and groups >= experts):
        raise damaged(header, f"it uses {groups_used} of {groups} groups of {experts} experts")


def _numbers(header: Header) -> None:
    prefix = f"{header.text('general.architecture')}."
    for key, value in header.metadata.items():
        if not isinstance(value, float) or not key.startswith(prefix):
            continue
        strict = key.endswith(("epsilon", "freq_base", "freq_base_swa", "scaling.factor"))
        if math.isnan(value) or (strict and not 0 <= value < math.inf):
            raise damaged(header, f"its {key} is {value}")
    scaling = header.text(prefix + "rope.scaling.type")
    if scaling is not None and scaling not in ROPE_SCALING:
        raise damaged(header, f"its rope.scaling.type is {scaling!r}")
    pooling = header.own("pooling_type")
    if pooling is not None and pooling not in POOLING:
        raise damaged(header, f"its pooling_type is {pooling}")


def per_layer(header: Header, key: str, layers: int) -> tuple[int, ...] | None:
    """A number for each layer: one for all, or an array of just as many. None where there is none.

    Raises ``DamagedFile`` for an array of another length, or of something else.
    """
    name = header.key(key)
    value = header.metadata.get(name)
    if value is None:
        return None
    if isinstance(value, Array):
        if value.kind == STRING or value.count != layers:
            raise damaged(header, f"its {name} has {value.count} items for {layers} layers")
        numbers = header.values(name) or ()
        if not all(isinstance(number, int) for number in numbers):
            raise damaged(header, f"its {name} has items that are no whole numbers")
        return tuple(int(number) for number in numbers)
    if isinstance(value, bool) or not isinstance(value, int):
        raise damaged(header, f"its {name} is {value!r}")
    return (value,) * layers


def _required(header: Header, key: str, most: int) -> int:
    value = header.own(key)
    if value is None or not 0 < value <= most:
        said = header.metadata.get(header.key(key), "missing")
        raise damaged(header, f"its {key} is {said}")
    return value
