"""Models in safetensors files: headers, shards, quantized weights, MLX, LoRA."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import (
    BITS,
    CONFIG,
    contents,
    hf_folder,
    llama_tensors,
    lora_folder,
    mlx_folder,
    parameters,
    raw_safetensors,
    safetensors_file,
    tokenizer_folder,
    write_json,
)

from llmrr import formats
from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats.safetensors_header import read_header
from llmrr.formats.source import FileSource
from llmrr.hardware import fit
from llmrr.hardware.facts import Cpu, Hardware, Memory
from llmrr.types import Format, ModelInfo

MACHINE = Hardware("Linux", Cpu("x86_64"), Memory(available_bytes=1 << 34))


def test_a_model_is_described(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path)
    info = formats.inspect(folder)
    weights = folder / "model.safetensors"
    assert (info.format, info.architecture, info.kind) == (Format.SAFETENSORS, "llama", None)
    assert (info.quant, info.parameters) == ("bf16", parameters(llama_tensors()))
    assert (info.layers, info.embedding_length, info.vocabulary) == (2, 32, 128)
    assert (info.context_length, info.feed_forward) == (256, (64, 64))
    assert (info.heads, info.heads_kv, info.key_length) == ((4, 4), (2, 2), 8)
    assert (info.bytes, info.parts) == (weights.stat().st_size, 1)
    assert info.tensor_types == {"BF16": (17, 2 * parameters(llama_tensors()))}
    assert info.weights["input"] == {"BF16": 2 * 128 * 32}
    assert info.weights["output"] == {"BF16": 2 * 128 * 32 + 64}
    assert sum(info.weights["layers"].values()) == sum(info.layer_bytes)
    assert info.metadata["architectures"] == ("LlamaForCausalLM",)
    assert info.metadata["safetensors.format"] == "pt"
    assert formats.detect(folder) is formats.detect(weights) is Format.SAFETENSORS
    assert formats.inspect(weights) == info


def test_memory_is_weighed_as_for_gguf(tmp_path: Path) -> None:
    result = fit(formats.inspect(hf_folder(tmp_path)), MACHINE, context=256)
    assert result.fits
    assert result.kv_bytes == 2 * 2 * (2 * 8) * 2 * 256
    assert result.weights_bytes == 2 * parameters(llama_tensors())


def test_tied_weights_are_both_ends(tmp_path: Path) -> None:
    info = formats.inspect(hf_folder(tmp_path, tensors=llama_tensors(tied=True)))
    assert info.weights["output"] == {"BF16": 64}


def test_shards_are_one_model(tmp_path: Path) -> None:
    whole = formats.inspect(hf_folder(tmp_path / "whole"))
    folder = hf_folder(tmp_path / "parts", shards=3)
    info = formats.inspect(folder)
    assert info.parts == 3
    assert (info.parameters, info.layer_bytes) == (whole.parameters, whole.layer_bytes)
    assert info.bytes == sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    assert formats.inspect(folder / "model-00002-of-00003.safetensors") == info
    (folder / "model.safetensors.index.json").unlink()
    assert formats.inspect(folder) == info


@pytest.mark.parametrize("index", [True, False])
def test_a_missing_shard_is_named(tmp_path: Path, index: bool) -> None:
    folder = hf_folder(tmp_path, shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    if not index:
        (folder / "model.safetensors.index.json").unlink()
    for look in (formats.inspect, formats.detect, formats.locate):
        with pytest.raises(DamagedFile, match=r"model-00002-of-00003\.safetensors, which is not"):
            look(folder)
    with pytest.raises(DamagedFile, match="model-00002"):
        formats.inspect(folder / "model-00001-of-00003.safetensors")


@pytest.mark.parametrize("number", [1, 2])
def test_a_shard_that_is_something_else_is_named(tmp_path: Path, number: int) -> None:
    folder = hf_folder(tmp_path, shards=3)
    part = folder / f"model-{number:05d}-of-00003.safetensors"
    part.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(Unsupported, match=f"{part.name} is a Git LFS pointer"):
        formats.inspect(folder)


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/etc/passwd", "a/../../x", "..", "", "C:\\x", "a\\..\\..\\x"]
)
def test_an_index_does_not_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = hf_folder(tmp_path / "in", shards=2)
    safetensors_file(tmp_path / "x.safetensors", {"a": ("F32", (1,))})
    write_json(folder / "model.safetensors.index.json", {"weight_map": {"a": name}})
    with pytest.raises(DamagedFile, match="outside of its folder"):
        formats.inspect(folder)


@pytest.mark.parametrize("places", [None, {}, [], {"a": 1}, "model.safetensors"])
def test_an_index_that_says_nothing(tmp_path: Path, places: object) -> None:
    folder = hf_folder(tmp_path, shards=2)
    write_json(folder / "model.safetensors.index.json", {"weight_map": places})
    with pytest.raises(DamagedFile, match=r"index\.json is damaged"):
        formats.inspect(folder)


def test_a_tensor_must_be_where_the_index_says(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path, shards=2)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["more"] = "model-00001-of-00002.safetensors"
    write_json(path, index)
    with pytest.raises(DamagedFile, match="'more', which its index has, is not in it"):
        formats.inspect(folder)


def test_only_headers_are_read(tmp_path: Path) -> None:
    tensors = {"model.layers.0.w": ("BF16", (4096, 4096))}
    files = contents(hf_folder(tmp_path, tensors=tensors))
    assert formats.inspect(files).parameters == 4096 * 4096
    assert files.taken < 200_000 < files.sizes["model.safetensors"]


@pytest.mark.parametrize("kind", sorted(BITS))
def test_every_type_of_the_format(tmp_path: Path, kind: str) -> None:
    path = safetensors_file(tmp_path / "a", {"a": (kind, (4, 2)), "none": (kind, (0,))})
    header = read_header(FileSource.of(path))
    assert [(one.type, one.shape, one.bytes) for one in header.tensors if one.bytes] == [
        (kind, (4, 2), BITS[kind])
    ]


def tensor(kind: Any = "F32", shape: Any = (2,), place: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": place}


IMPOSSIBLE = {
    "a type": ({"a": tensor("F31")}, 8, "has the type 'F31', which is none"),
    "a type of another kind": ({"a": tensor(["F32"])}, 8, "which is none"),
    "a type of ONNX": ({"a": tensor("U4", (16,))}, 8, "which is none"),
    "no shape": ({"a": tensor(shape=None)}, 8, "impossible shape"),
    "a negative size": ({"a": tensor(shape=(-2, -1))}, 8, "impossible shape"),
    "a size that is a truth": ({"a": tensor(shape=(True, 2))}, 8, "impossible shape"),
    "a size with a point": ({"a": tensor(shape=(2.0,))}, 8, "impossible shape"),
    "many sizes": ({"a": tensor(shape=(1,) * 99)}, 4, "impossible shape"),
    "a shape too large": ({"a": tensor(shape=(2**62, 4))}, 8, "not its shape of F32"),
    "another size": ({"a": tensor(place=(0, 12))}, 12, "12 bytes, which is not its shape"),
    "half a byte": ({"a": tensor("F4", (1,), (0, 1))}, 1, "not its shape of F4"),
    "backwards": ({"a": tensor(place=(8, 0))}, 8, "not its shape"),
    "one offset": ({"a": tensor(place=(0,))}, 8, "does not say where it lies"),
    "a gap": ({"a": tensor(place=(4, 12))}, 12, "begins at 4, where 0 is next"),
    "an overlap": ({"a": tensor(), "b": tensor(place=(4, 12))}, 12, "at 4, where 8 is next"),
    "bytes at the end": ({"a": tensor()}, 9, "take 8 bytes, and 9 follow"),
    "bytes that are not there": ({"a": tensor()}, 7, "take 8 bytes, and 7 follow"),
    "no table": ({"a": 1}, 0, "which is none"),
    "metadata of numbers": ({"__metadata__": {"a": 1}}, 0, "not a table of texts"),
}


@pytest.mark.parametrize(("header", "size", "words"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_headers(tmp_path: Path, header: object, size: int, words: str) -> None:
    path = raw_safetensors(tmp_path / "a.safetensors", json.dumps(header).encode(), size)
    with pytest.raises(DamagedFile, match=words) as error:
        formats.inspect(path)
    assert str(path) in error.value.message and error.value.hint


def test_names_stand_once(tmp_path: Path) -> None:
    raw = json.dumps({"a": tensor(), "b": tensor(place=(8, 16))}).encode()
    path = raw_safetensors(tmp_path / "a", raw.replace(b'"b"', b'"a"'), 16)
    with pytest.raises(DamagedFile, match="the key 'a' stands twice"):
        formats.inspect(path)


def test_every_truncation_is_damage(tmp_path: Path) -> None:
    path = safetensors_file(tmp_path / "a.safetensors", llama_tensors(1, 8))
    raw = path.read_bytes()
    for length in [*range(1, 400, 7), len(raw) - 1]:
        path.write_bytes(raw[:length])
        with pytest.raises(Unsupported):
            formats.inspect(path)


@given(st.lists(st.tuples(st.sampled_from(sorted(BITS)), st.lists(st.integers(0, 5), max_size=4))))
def test_what_is_written_is_read(tmp_path_factory: Any, items: list[tuple[str, list[int]]]) -> None:
    tensors = {str(n): (kind, (*shape, 4)) for n, (kind, shape) in enumerate(items)}
    path = safetensors_file(tmp_path_factory.mktemp("x") / "a", tensors)
    found = {one.name: (one.type, one.shape) for one in read_header(FileSource.of(path)).tensors}
    assert found == tensors


def test_a_file_alone_says_what_its_tensors_do(tmp_path: Path) -> None:
    info = formats.inspect(safetensors_file(tmp_path / "a.bin", llama_tensors()))
    assert (info.format, info.architecture, info.quant) == (Format.SAFETENSORS, "", "bf16")
    assert (info.layers, info.vocabulary, info.embedding_length) == (2, 128, 32)
    stated = {"modelspec.architecture": "stable-diffusion-xl-v1-base"}
    path = safetensors_file(tmp_path / "b", {"w": ("F16", (2,))}, stated)
    assert formats.inspect(path).architecture == "stable-diffusion-xl-v1-base"


def test_weights_without_a_configuration(tmp_path: Path) -> None:
    safetensors_file(tmp_path / "model.safetensors", llama_tensors())
    with pytest.raises(Unsupported, match=r"has weights and no config\.json beside them"):
        formats.inspect(tmp_path)


# -- quantized ---------------------------------------------------------------------------------


def quantized(config: dict[str, Any], tensors: dict[str, Any], folder: Path) -> ModelInfo:
    return formats.inspect(hf_folder(folder, config=config, tensors=tensors))


LAYER = "model.layers.0.mlp.up_proj."
GPTQ = {
    LAYER + "qweight": ("I32", (4, 64)), LAYER + "qzeros": ("I32", (1, 8)),
    LAYER + "scales": ("F16", (1, 64)), LAYER + "g_idx": ("I32", (32,)),
    "model.norm.weight": ("F16", (32,)),
}  # fmt: skip
AWQ = {
    LAYER + "qweight": ("I32", (32, 8)), LAYER + "qzeros": ("I32", (1, 8)),
    LAYER + "scales": ("F16", (1, 64)), "model.norm.weight": ("F16", (32,)),
}  # fmt: skip
BNB = {
    LAYER + "weight": ("U8", (1024, 1)), LAYER + "weight.absmax": ("U8", (32,)),
    LAYER + "weight.quant_map": ("F32", (16,)), LAYER + "weight.nested_absmax": ("F32", (1,)),
    LAYER + "weight.quant_state.bitsandbytes__nf4": ("U8", (80,)),
    "model.norm.weight": ("F16", (32,)),
}  # fmt: skip
FP8 = {
    LAYER + "weight": ("F8_E4M3", (64, 32)), LAYER + "weight_scale_inv": ("F32", (1, 1)),
    "model.norm.weight": ("F16", (32,)),
}  # fmt: skip
PACKED = {
    LAYER + "weight_packed": ("I32", (64, 4)), LAYER + "weight_scale": ("BF16", (64, 1)),
    LAYER + "weight_shape": ("I64", (2,)), "model.norm.weight": ("F16", (32,)),
}  # fmt: skip
NVFP4 = {
    LAYER + "weight": ("U8", (64, 16)), LAYER + "weight_scale": ("F8_E4M3", (64, 2)),
    LAYER + "weight_scale_2": ("F32", ()), LAYER + "input_scale": ("F32", ()),
    "model.norm.weight": ("F16", (32,)),
}  # fmt: skip
MXFP4 = {
    "model.layers.0.mlp.experts.down_proj_blocks": ("U8", (64, 1, 16)),
    "model.layers.0.mlp.experts.down_proj_scales": ("U8", (64, 1)),
    "model.norm.weight": ("F16", (32,)),
}  # fmt: skip
GROUPS = {"group_0": {"weights": {"num_bits": 4, "type": "int"}}}
METHODS = [
    ({"quant_method": "gptq", "bits": 4, "desc_act": False}, GPTQ, "gptq-4bit"),
    ({"bits": 4, "desc_act": False, "group_size": 128, "quant_method": "gptq"}, GPTQ, "gptq-4bit"),
    ({"quant_method": "awq", "bits": 4}, AWQ, "awq-4bit"),
    ({"w_bit": 4, "q_group_size": 128, "version": "GEMM"}, AWQ, "awq-4bit"),
    ({"quant_method": "bitsandbytes", "load_in_4bit": True}, BNB, "bnb-4bit"),
    ({"_load_in_4bit": True, "_load_in_8bit": False}, BNB, "bnb-4bit"),
    ({"quant_method": "fp8", "weight_block_size": [128, 128]}, FP8, "fp8"),
    ({"quant_method": "compressed-tensors", "config_groups": GROUPS}, PACKED,
     "compressed-tensors-4bit"),
    ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, NVFP4, "nvfp4"),
    ({"quant_method": "mxfp4"}, MXFP4, "mxfp4"),
]  # fmt: skip


@pytest.mark.parametrize(("stated", "tensors", "label"), METHODS)
def test_packed_weights_count_as_what_they_stand_for(
    tmp_path: Path, stated: dict[str, Any], tensors: dict[str, Any], label: str
) -> None:
    info = quantized({"quantization_config": stated}, tensors, tmp_path)
    assert (info.format, info.quant) == (Format.SAFETENSORS, label)
    assert info.parameters == 64 * 32 + 32


def test_old_quantizers_wrote_a_file_of_their_own(tmp_path: Path) -> None:
    write_json(tmp_path / "quantize_config.json", {"bits": 4, "desc_act": True})
    info = quantized({}, GPTQ, tmp_path)
    assert (info.quant, info.parameters) == ("gptq-4bit", 64 * 32 + 32)


def test_unknown_packing_has_no_parameters(tmp_path: Path) -> None:
    info = quantized({}, GPTQ, tmp_path / "a")
    assert (info.quant, info.parameters) == (None, None)
    weights = mlx_folder(tmp_path / "c") / "model.safetensors"
    (tmp_path / "c" / "config.json").unlink()
    info = formats.inspect(weights)
    assert (info.format, info.quant, info.parameters) == (Format.MLX, None, None)
    stated = {"quantization_config": {"quant_method": "aqlm"}}
    info = quantized(stated, GPTQ, tmp_path / "b")
    assert (info.quant, info.parameters) == ("aqlm", None)


# -- MLX ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_mlx(tmp_path: Path, bits: int) -> None:
    folder = mlx_folder(tmp_path, bits=bits)
    info = formats.inspect(folder)
    assert (info.format, info.architecture, info.quant) == (Format.MLX, "llama", f"{bits}bit")
    assert info.parameters == parameters(llama_tensors())
    assert info.metadata["quantization.group_size"] == 32
    assert formats.detect(folder / "model.safetensors") is Format.MLX
    assert formats.locate(folder).format is Format.MLX
    assert fit(info, MACHINE).fits


def test_mlx_modules_may_differ(tmp_path: Path) -> None:
    other = "model.layers.0.mlp.up_proj"
    folder = mlx_folder(tmp_path, **{other: {"group_size": 32, "bits": 8}, "lm_head": False})
    tensors = {"lm_head.weight": ("BF16", (128, 32)), f"{other}.weight": ("U32", (64, 8))}
    info = formats.inspect(
        hf_folder(folder, config=json.loads((folder / "config.json").read_text()), tensors=tensors)
    )
    assert (info.quant, info.parameters) == ("4bit", 128 * 32 + 64 * 32)


def test_mlx_without_quantization_and_with_a_mode(tmp_path: Path) -> None:
    info = formats.inspect(mlx_folder(tmp_path / "a", bits=None))
    assert (info.format, info.quant) == (Format.MLX, "bf16")
    assert formats.inspect(mlx_folder(tmp_path / "b", mode="mxfp4")).quant == "mxfp4"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"quantization_config": {"group_size": 64, "bits": 4}}, Format.MLX),
        ({"quantization_config": {"group_size": 64, "bits": 4, "quant_method": "gptq"}}, None),
        ({"quantization": "none"}, None),
    ],
)
def test_mlx_is_told_from_hugging_face(
    tmp_path: Path, config: dict[str, Any], expected: Format | None
) -> None:
    folder = hf_folder(tmp_path, config=config)
    assert formats.detect(folder) is (expected or Format.SAFETENSORS)


# -- LoRA --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mlx", [False, True])
def test_adapters_name_their_base(tmp_path: Path, mlx: bool) -> None:
    folder = lora_folder(tmp_path, mlx=mlx)
    tokenizer_folder(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    info = formats.inspect(folder)
    assert (info.format, info.kind, info.parameters) == (Format.SAFETENSORS, "adapter", 512)
    assert (info.metadata["base_model"], info.metadata["rank"]) == ("org/base", 8)
    assert info.license == "mit"
    assert formats.detect(folder) is Format.SAFETENSORS
    weights = next(folder.glob("*.safetensors"))
    assert formats.inspect(weights).kind == "adapter"
    for place in (folder, weights):
        with pytest.raises(Unsupported, match="is a LoRA adapter for org/base, not a model") as got:
            formats.locate(place)
        assert got.value.hint


def test_an_adapter_is_told_by_its_tensors(tmp_path: Path) -> None:
    lora = "lora_unet_mid_block_attn.lora_down.weight"
    path = safetensors_file(tmp_path / "a.safetensors", {lora: ("F16", (4, 8))})
    assert formats.inspect(path).kind == "adapter"
    with pytest.raises(Unsupported, match="that it does not name"):
        formats.locate(path)


def test_a_model_with_adapters_inside_is_a_model(tmp_path: Path) -> None:
    block = "model.layers.0.mlp.up_proj."
    tensors = {block + "base_layer.weight": ("F16", (8, 8)), block + "lora_A.x": ("F16", (2, 8))}
    assert formats.inspect(hf_folder(tmp_path, tensors=tensors)).kind is None
    lora_folder(tmp_path)  # and an adapter beside a model
    assert formats.inspect(tmp_path).kind is None
    assert formats.locate(tmp_path).path == tmp_path


def test_an_adapter_without_weights(tmp_path: Path) -> None:
    lora_folder(tmp_path)
    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(DamagedFile, match="configuration of a LoRA adapter and no weights"):
        formats.inspect(tmp_path)


def test_the_configuration_is_not_changed_by_reading(tmp_path: Path) -> None:
    hf_folder(tmp_path)
    formats.inspect(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()) == CONFIG
