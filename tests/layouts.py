"""Tiny real models in the formats that are not GGUF, written with our own code: safetensors, MLX,
ONNX, ``torch.save`` without torch, LoRA and tokenizer folders. The weights are zeros.

A tensor is given as its type and shape: ``{"lm_head.weight": ("BF16", (128, 32))}``.
"""

import json
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from random import Random
from typing import Any

from builders import _mutate

Shape = tuple[int, ...]
Tensors = Mapping[str, tuple[str, Shape]]
BITS = {
    "F64": 64, "I64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I8": 8, "U8": 8,
    "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F6_E2M3": 6, "F4": 4, "C64": 64,
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
    "max_position_embeddings": 256,
    "torch_dtype": "bfloat16",
}
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [{"id": 1, "content": "<|im_end|>", "special": True}],
    "pre_tokenizer": None,
    "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
}
TOKENIZER_CONFIG = {
    "added_tokens_decoder": {"0": {"content": "<s>"}, "1": {"content": "<|im_end|>"}},
    "bos_token": "<s>",
    "eos_token": {"content": "<|im_end|>"},
    "add_bos_token": True,
    "chat_template": "{{ messages }}",
}


class Memory:
    """Files in memory; what is read of them is counted in ``taken``."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files, self.taken = files, 0

    @property
    def sizes(self) -> dict[str, int]:
        return {name: len(raw) for name, raw in self.files.items()}

    def source(self, name: str) -> "MemorySource":
        return MemorySource(self, name)

    def __str__(self) -> str:
        return "memory"


class MemorySource:
    """One of them."""

    def __init__(self, files: Memory, name: str) -> None:
        self.files, self.name = files, name
        self.size = len(files.files[name])

    def read(self, offset: int, length: int) -> bytes:
        found = self.files.files[self.name][offset : offset + length]
        self.files.taken += len(found)
        return found

    def __str__(self) -> str:
        return f"memory/{self.name}"


def contents(folder: Path) -> Memory:
    """A folder as files in memory."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return Memory({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


# -- safetensors -------------------------------------------------------------------------------


def safetensors_file(
    path: Path, tensors: Tensors, metadata: Mapping[str, str] | None = None
) -> Path:
    """Write a safetensors file: https://huggingface.co/docs/safetensors#format"""
    header: dict[str, Any] = {"__metadata__": metadata or {"format": "pt"}}
    end = 0
    for name, (kind, shape) in tensors.items():
        size = prod(shape) * BITS[kind] // 8
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    return raw_safetensors(path, json.dumps(header).encode(), end)


def raw_safetensors(path: Path, header: bytes, size: int) -> Path:
    """A file with just this header, and ``size`` bytes after it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    return path


def llama_tensors(
    layers: int = 2, width: int = 32, *, kind: str = "BF16", tied: bool = False
) -> dict[str, tuple[str, Shape]]:
    """The weights that ``CONFIG`` describes."""
    found: dict[str, tuple[str, Shape]] = {"model.embed_tokens.weight": (kind, (128, width))}
    for layer in range(layers):
        block = f"model.layers.{layer}."
        found |= {
            block + "input_layernorm.weight": (kind, (width,)),
            block + "self_attn.q_proj.weight": (kind, (width, width)),
            block + "self_attn.k_proj.weight": (kind, (width // 2, width)),
            block + "self_attn.v_proj.weight": (kind, (width // 2, width)),
            block + "self_attn.o_proj.weight": (kind, (width, width)),
            block + "mlp.up_proj.weight": (kind, (2 * width, width)),
            block + "mlp.down_proj.weight": (kind, (width, 2 * width)),
        }
    found["model.norm.weight"] = (kind, (width,))
    return found if tied else found | {"lm_head.weight": (kind, (128, width))}


def parameters(tensors: Tensors) -> int:
    return sum(prod(shape) for _, shape in tensors.values())


def hf_folder(
    folder: Path,
    *,
    config: Mapping[str, Any] | None = None,
    tensors: Tensors | None = None,
    shards: int = 1,
    tokenizer: bool = True,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A folder as ``save_pretrained`` writes it, the weights in ``shards`` files."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", {**CONFIG, **(config or {})})
    tensors = llama_tensors() if tensors is None else tensors
    if tokenizer:
        tokenizer_folder(folder)
    if shards == 1:
        safetensors_file(folder / "model.safetensors", tensors, metadata)
        return folder
    places: dict[str, str] = {}
    for number in range(shards):
        name = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        part = {key: tensors[key] for key in list(tensors)[number::shards]}
        safetensors_file(folder / name, part, metadata)
        places |= dict.fromkeys(part, name)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    write_json(folder / "model.safetensors.index.json", index)
    return folder


def tokenizer_folder(folder: Path) -> Path:
    write_json(folder / "tokenizer.json", TOKENIZER)
    write_json(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    return folder


def packed(tensors: Tensors, bits: int, group: int = 32) -> dict[str, tuple[str, Shape]]:
    """Matrices as MLX quantizes them: 32-bit words, scales and biases."""
    found: dict[str, tuple[str, Shape]] = {}
    for name, (kind, shape) in tensors.items():
        if len(shape) == 1:
            found[name] = (kind, shape)
            continue
        stem = name.removesuffix(".weight")
        found[name] = ("U32", (shape[0], shape[1] * bits // 32))
        found[f"{stem}.scales"] = (kind, (shape[0], shape[1] // group))
        found[f"{stem}.biases"] = (kind, (shape[0], shape[1] // group))
    return found


def mlx_folder(folder: Path, *, bits: int | None = 4, **others: Any) -> Path:
    """A folder as mlx-lm writes it; ``bits`` None: not quantized, ``others``: modules that are
    quantized otherwise."""
    whole = llama_tensors()
    if bits is None:
        return hf_folder(folder, tensors=whole, metadata={"format": "mlx"})
    stated = {"group_size": 32, "bits": bits, "mode": "affine", **others}
    config = {"quantization": stated, "quantization_config": stated}
    weights = packed(whole, bits)
    return hf_folder(folder, config=config, tensors=weights, metadata={"format": "mlx"})


def lora_folder(folder: Path, *, base: str = "org/base", mlx: bool = False) -> Path:
    """A LoRA adapter of PEFT or of mlx-lm."""
    if mlx:
        stated = {"model": base, "fine_tune_type": "lora", "lora_parameters": {"rank": 8}}
        block = "model.layers.0.self_attn.q_proj.lora_"
        weights = {block + "a": ("F32", (32, 8)), block + "b": ("F32", (8, 32))}
    else:
        stated = {"base_model_name_or_path": base, "peft_type": "LORA", "r": 8, "lora_alpha": 16}
        stated["target_modules"] = ["q_proj"]
        block = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
        weights = {block + "A.weight": ("F32", (8, 32)), block + "B.weight": ("F32", (32, 8))}
    write_json(folder / "adapter_config.json", stated)
    name = "adapters.safetensors" if mlx else "adapter_model.safetensors"
    safetensors_file(folder / name, weights)
    return folder


# -- ONNX --------------------------------------------------------------------------------------

TYPES = {"F32": 1, "U8": 2, "I8": 3, "I64": 7, "F16": 10, "BF16": 16, "I4": 22}


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 127
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """A protobuf message: numbers as varints, everything else with its length."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(raw)) + raw
    return out


def onnx_tensor(
    name: str, kind: str, shape: Shape, *, outside: Mapping[str, object] | None = None
) -> bytes:
    """A TensorProto: zeros, or what lies ``outside`` (location, offset, length)."""
    bits = {**BITS, "I4": 4}[kind]
    dims = tuple((1, size) for size in shape)
    fields: list[tuple[int, int | str | bytes]] = [*dims, (2, TYPES[kind]), (8, name)]
    if outside is None:
        fields.append((9, bytes(prod(shape) * bits // 8)))
    else:
        fields += [(13, message((1, key), (2, str(value)))) for key, value in outside.items()]
        fields.append((14, 1))
    return message(*fields)


def onnx_node(operator: str, inputs: Sequence[str] = (), *attributes: bytes) -> bytes:
    ports = [(1, name) for name in inputs]
    return message(*ports, (2, f"{operator}_out"), (4, operator), *((5, one) for one in attributes))


def number_attribute(name: str, value: int) -> bytes:
    return message((1, name), (3, value), (20, 2))


def graph_attribute(name: str, graph: bytes) -> bytes:
    return message((1, name), (6, graph), (20, 5))


def port(name: str, shape: Sequence[int | str]) -> bytes:
    """A ValueInfoProto of floats; a text stands for a size that is not fixed."""
    sizes = (message((1 if isinstance(size, int) else 2, size)) for size in shape)
    tensor = message((1, 1), (2, message(*((1, size) for size in sizes))))
    return message((1, name), (2, message((1, tensor))))


def onnx_graph(
    *,
    inputs: Iterable[bytes] = (),
    outputs: Iterable[bytes] = (),
    weights: Iterable[bytes] = (),
    nodes: Iterable[bytes] = (),
) -> bytes:
    parts = [(1, one) for one in nodes] + [(5, one) for one in weights]
    return message(*parts, *((11, one) for one in inputs), *((12, one) for one in outputs))


def onnx_file(path: Path, graph: bytes) -> Path:
    """A ModelProto around a graph."""
    path.parent.mkdir(parents=True, exist_ok=True)
    opset = message((1, ""), (2, 17))
    path.write_bytes(message((1, 8), (2, "tests"), (7, graph), (8, opset)))
    return path


def decoder_graph(
    *,
    past: bool = True,
    merged: bool = False,
    kind: str = "F32",
    outside: Mapping[str, object] | None = None,
    nodes: Sequence[bytes] = (),
    weights: Sequence[bytes] = (),
) -> bytes:
    """A graph with the ports of a decoder of two layers; ``weights`` in place of a matrix."""
    cache = [(f"{n}.{part}", ["batch", 2, "past", 8]) for n in (0, 1) for part in ("key", "value")]
    inputs = [port("input_ids", ["batch", "tokens"]), port("attention_mask", ["batch", "all"])]
    outputs = [port("logits", ["batch", "tokens", 128])]
    if past:
        inputs += [port(f"past_key_values.{name}", shape) for name, shape in cache]
        outputs += [port(f"present.{name}", shape) for name, shape in cache]
    if merged:
        inputs.append(port("use_cache_branch", [1]))
        nodes = [*nodes, onnx_node("If", ["use_cache_branch"], graph_attribute("then_branch", b""))]
    matrix = onnx_tensor("model.layers.0.weight", kind, (32, 128), outside=outside)
    return onnx_graph(
        inputs=inputs,
        outputs=outputs,
        weights=weights or [matrix],
        nodes=[onnx_node("MatMul", ["input_ids", "model.layers.0.weight"]), *nodes],
    )


# -- pickles -----------------------------------------------------------------------------------

MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
STORAGES = {
    "F64": "DoubleStorage", "F32": "FloatStorage", "F16": "HalfStorage", "BF16": "BFloat16Storage",
    "I64": "LongStorage",
}  # fmt: skip


def state_dict(tensors: Tensors, *, legacy: bool = False) -> bytes:
    """The pickle that ``torch.save`` writes of an OrderedDict of tensors."""
    out = b"\x80\x02ccollections\nOrderedDict\n)R("
    for key, (name, (kind, shape)) in enumerate(tensors.items()):
        view = b"N" if legacy else b""
        storage = b"(" + _text("storage") + f"ctorch\n{STORAGES[kind]}\n".encode()
        storage += _text(str(key)) + _text("cpu") + _number(prod(shape)) + view + b"tQ"
        sizes = b"(" + b"".join(map(_number, shape)) + b"t"
        steps = (prod(shape[at + 1 :]) for at in range(len(shape)))
        strides = b"(" + b"".join(map(_number, steps)) + b"t"
        out += _text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + _number(0)
        out += sizes + strides + b"\x89ccollections\nOrderedDict\n)RtR"
    return out + b"u."


def torch_zip(
    path: Path,
    tensors: Tensors,
    *,
    data: bytes | None = None,
    more: Mapping[str, bytes] = {},
    values: Mapping[str, bytes] = {},
) -> Path:
    """A file of ``torch.save`` since version 1.6; ``data`` in place of the pickle, ``values`` in
    place of zeros in the tensors of these names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", state_dict(tensors) if data is None else data)
        archive.writestr("archive/byteorder", "little")
        for key, (name, (kind, shape)) in enumerate(tensors.items()):
            raw = values.get(name, bytes(prod(shape) * BITS[kind] // 8))
            archive.writestr(f"archive/data/{key}", raw)
        archive.writestr("archive/version", "3\n")
        for name, raw in more.items():
            archive.writestr(name, raw)
    return path


def torch_legacy(path: Path, tensors: Tensors) -> Path:
    """A file of ``torch.save`` before version 1.6."""
    keys = b"\x80\x02](" + b"".join(_text(str(key)) for key in range(len(tensors))) + b"e."
    start = MAGIC + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + state_dict(tensors, legacy=True) + keys
    sizes = [(prod(shape), prod(shape) * BITS[kind] // 8) for kind, shape in tensors.values()]
    path.write_bytes(start + b"".join(struct.pack("<Q", n) + bytes(size) for n, size in sizes))
    return path


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def _number(value: int) -> bytes:
    return b"K" + bytes((value,)) if value < 256 else b"J" + struct.pack("<i", value)


# -- damage ------------------------------------------------------------------------------------

TOKEN = re.compile(rb'-?\d+(?:\.\d+)?|"[^"]*"|true|false|null|[{}\[\]:,]')
EDGES = (
    b"0", b"-1", b"1", b"1e999", b"NaN", b"18446744073709551616", b"9" * 5000, b"null", b"true",
    b"{}", b"[]", b'""', b'"\\ud800"', b'"../x"', b'"/etc/passwd"', b"[" * 2000, b'{"a":' * 2000,
    b",", b"}",
)  # fmt: skip


def folder_mutants(files: Mapping[str, bytes], *, count: int, seed: int) -> Iterator[Memory]:
    """The files of a model, one of them damaged: tokens of a JSON text replaced by others and by
    impossible ones; of any file bytes flipped, overwritten, cut out, doubled, swapped, cut off."""
    for index in range(count):
        random = Random(f"{seed}-{index}")
        changed = dict(files)
        name = random.choice(list(files))
        raw = bytearray(files[name])
        if re.match(rb"(?s)(?:.{8})?\{", raw) and random.random() < 0.6:
            _mutate_json(raw, random)
        else:
            end = min(len(raw), 4000) or 1
            places = [(at, random.choice((1, 2, 4, 8))) for at in random.choices(range(end), k=8)]
            for _ in range(random.choice((1, 1, 1, 2, 3))):
                _mutate(raw, random, places, end)
        changed[name] = bytes(raw)
        if random.random() < 0.02:
            del changed[name]
        yield Memory(changed)


def _mutate_json(raw: bytearray, random: Random) -> None:
    """Replace a token; the length before the header of safetensors follows."""
    start = 0 if raw[:1] == b"{" else 8
    end = len(raw) if not start else 8 + int.from_bytes(raw[:8], "little")
    tokens = [found.span() for found in TOKEN.finditer(raw, start, end)]
    for _ in range(random.choice((1, 1, 2))):
        begin, after = random.choice(tokens)
        other = random.choice(tokens)
        new = random.choice((*EDGES, bytes(raw[slice(*other)])))
        raw[begin:after] = new
        end += len(new) - (after - begin)
        tokens = [found.span() for found in TOKEN.finditer(raw, start, end)] or [(start, start)]
    if start:
        raw[:8] = struct.pack("<Q", end - 8)
