"""ONNX graphs, alone and in the folders that people publish."""

from pathlib import Path
from typing import Any

import pytest
from layouts import (
    decoder_graph,
    graph_attribute,
    hf_folder,
    message,
    number_attribute,
    onnx_file,
    onnx_graph,
    onnx_node,
    onnx_tensor,
    port,
    tokenizer_folder,
    write_json,
)

from llmrr import formats
from llmrr.errors import DamagedFile, NotFound, Unsupported
from llmrr.types import Format, ModelInfo


def inspect(path: Path, graph: bytes) -> ModelInfo:
    return formats.inspect(onnx_file(path / "a.onnx", graph))


def test_a_decoder_with_past(tmp_path: Path) -> None:
    info = inspect(tmp_path, decoder_graph())
    found = info.metadata
    assert (info.format, info.quant, info.parameters) == (Format.ONNX, "fp32", 32 * 128)
    assert found["onnx.role"] == "decoder" and found["onnx.past"] and found["onnx.present"]
    assert (info.layers, info.heads_kv, info.key_length, info.vocabulary) == (2, (2, 2), 8, 128)
    assert found["onnx.inputs"][:2] == ("input_ids", "attention_mask")
    assert "present.1.value" in found["onnx.outputs"]
    assert (found["onnx.ir_version"], found["onnx.producer"]) == (8, "tests")
    assert (found["onnx.opsets"], found["onnx.operators"]) == ({"": 17}, {"MatMul": 1})
    assert info.bytes == (tmp_path / "a.onnx").stat().st_size
    assert info.weights["layers"] == {"F32": 4 * 32 * 128}


def test_a_decoder_without_past_and_a_merged_one(tmp_path: Path) -> None:
    found = inspect(tmp_path, decoder_graph(past=False)).metadata
    assert (found["onnx.role"], found["onnx.past"]) == ("decoder", False)
    assert not found["onnx.merged"]
    found = inspect(tmp_path, decoder_graph(merged=True)).metadata
    assert (found["onnx.past"], found["onnx.merged"]) == (True, True)
    assert found["onnx.operators"] == {"MatMul": 1, "If": 1}


IDS, MASK = port("input_ids", ["b", "s"]), port("attention_mask", ["b", "s"])
ROLES = {
    "past of GPT-2": ([IDS, port("past_0", [2, "b", 4, "s", 8])], [port("logits", [1])], "decoder"),
    "present only": ([IDS], [port("logits", ["b", "s", 9]), port("present.0.key", [1])], "decoder"),
    "an encoder": ([IDS, MASK], [port("last_hidden_state", ["b", "s", 32])], "encoder"),
    "sentences": ([IDS, MASK], [port("sentence_embedding", ["b", 32])], "encoder"),
    "a table": ([IDS], [port("inputs_embeds", ["b", "s", 32])], "embedding"),
    "a classifier": ([IDS, MASK], [port("logits", ["b", 2])], "other"),
    "BERT": ([IDS, port("token_type_ids", ["b", "s"])], [port("logits", ["b", "s", 9])], "other"),
    "pictures": ([port("pixel_values", [1, 3, 8, 8])], [port("image_features", [1])], "other"),
    "nothing": ([], [], "other"),
}


@pytest.mark.parametrize(("inputs", "outputs", "role"), ROLES.values(), ids=ROLES)
def test_roles(tmp_path: Path, inputs: list[bytes], outputs: list[bytes], role: str) -> None:
    info = inspect(tmp_path, onnx_graph(inputs=inputs, outputs=outputs))
    assert info.metadata["onnx.role"] == role


def test_the_configuration_tells_a_classifier_from_a_decoder(tmp_path: Path) -> None:
    onnx_file(tmp_path / "model.onnx", decoder_graph(past=False))
    for name, role in (("BertForMaskedLM", "other"), ("GPT2LMHeadModel", "decoder")):
        write_json(tmp_path / "config.json", {"model_type": "x", "architectures": [name]})
        assert formats.inspect(tmp_path).metadata["onnx.role"] == role


# -- quantized ---------------------------------------------------------------------------------


def nbits(bits: int, operator: str = "MatMulNBits") -> bytes:
    attributes = [number_attribute("K", 32), number_attribute("bits", bits)]
    return onnx_node(operator, ["x", "packed", "scales"], *attributes)


def packed(kind: str, bits: int = 4) -> dict[str, Any]:
    weights = [
        onnx_tensor("packed", "U8", (64, 1, 4 * bits)),
        onnx_tensor("scales", kind, (64,)),
        onnx_tensor("embedding", kind, (100, 32)),
    ]
    return {"nodes": [nbits(bits)], "weights": weights}


def integers(kind: str, *operators: str) -> dict[str, Any]:
    weights = [onnx_tensor("w", kind, (64, 32)), onnx_tensor("n", "F32", (32,))]
    return {"nodes": [onnx_node(one) for one in operators], "weights": weights}


VARIANTS = {
    "q4": (packed("F32"), "q4", 64 * 32 + 3200),
    "q4f16": (packed("F16"), "q4f16", 64 * 32 + 3200),
    "q8": (packed("F32", 8), "q8", 64 * 32 + 3200),
    "int8": (integers("I8", "DynamicQuantizeLinear", "MatMulInteger"), "int8", 64 * 32 + 32),
    "uint8": (integers("U8", "DynamicQuantizeLinear", "MatMulInteger"), "uint8", 64 * 32 + 32),
    "qdq": (integers("I8", "QuantizeLinear", "DequantizeLinear"), "int8", 64 * 32 + 32),
    "qdq of four bits": (integers("I4", "DequantizeLinear"), "q4", 64 * 32 + 32),
    "bnb4": ({**packed("F32"), "nodes": [nbits(4, "MatMulBnb4")]}, "bnb4", 64 * 32 + 3200),
    "fp16": ({"kind": "F16"}, "fp16", 32 * 128),
    "bf16": ({"kind": "BF16"}, "bf16", 32 * 128),
}


@pytest.mark.parametrize(("options", "label", "count"), VARIANTS.values(), ids=VARIANTS)
def test_quantization_is_told_by_content(
    tmp_path: Path, options: dict[str, Any], label: str, count: int
) -> None:
    path = onnx_file(tmp_path / "model_uint8.onnx", decoder_graph(**options))
    info = formats.inspect(path)
    assert (info.quant, info.parameters) == (label, count)


def test_the_name_counts_where_the_graph_says_nothing(tmp_path: Path) -> None:
    graph = onnx_graph(inputs=[IDS], outputs=[port("logits", ["b", "s", 9])])
    assert formats.inspect(onnx_file(tmp_path / "model_q4f16.onnx", graph)).quant == "q4f16"
    assert formats.inspect(onnx_file(tmp_path / "model.onnx", graph)).quant is None


def test_matrices_without_a_name_have_no_layer(tmp_path: Path) -> None:
    weights = [
        onnx_tensor("model.layers.0.bias", "F32", (8,)),
        onnx_tensor("onnx::MatMul_7", "F32", (8, 8)),
    ]
    info = inspect(tmp_path, decoder_graph(weights=weights))
    assert (info.weights, info.layer_bytes) == ({}, ())
    assert info.tensor_types == {"F32": (2, 4 * 72)}


def test_weights_in_subgraphs_and_constants(tmp_path: Path) -> None:
    constant = message((1, "value"), (5, onnx_tensor("", "F32", (4, 4))), (20, 4))
    inner = onnx_graph(weights=[onnx_tensor("w", "F32", (2, 2))], nodes=[onnx_node("Relu")])
    nodes = [onnx_node("If", [], graph_attribute("then_branch", inner)),
             onnx_node("Constant", [], constant)]  # fmt: skip
    info = inspect(tmp_path, onnx_graph(nodes=nodes))
    assert info.parameters == 20
    assert info.metadata["onnx.operators"] == {"If": 1, "Relu": 1, "Constant": 1}


# -- weights outside ---------------------------------------------------------------------------

SIZE = 4 * 32 * 128


def outside(**changed: object) -> bytes:
    place = {"location": "model.onnx_data", "offset": 4096, "length": SIZE, **changed}
    return decoder_graph(outside={key: value for key, value in place.items() if value is not None})


def test_weights_outside_of_the_file(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "model.onnx", outside())
    (tmp_path / "model.onnx_data").write_bytes(bytes(4096 + SIZE))
    info = formats.inspect(path)
    assert info.metadata["onnx.external"] == {"model.onnx_data": 4096 + SIZE}
    assert (info.bytes, info.parts) == (path.stat().st_size + 4096 + SIZE, 2)
    assert info.parameters == 32 * 128
    path = onnx_file(path, outside(location="./model.onnx_data", offset=None, length=None))
    assert formats.inspect(path).metadata["onnx.external"] == {"model.onnx_data": SIZE}


def test_weights_that_are_missing_or_cut_off(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "model.onnx", outside())
    with pytest.raises(DamagedFile, match=r"needs model\.onnx_data, which is not there"):
        formats.inspect(path)
    (tmp_path / "model.onnx_data").write_bytes(bytes(SIZE))
    with pytest.raises(DamagedFile, match=f"needs {4096 + SIZE} bytes of it, and it has {SIZE}"):
        formats.inspect(tmp_path)
    onnx_file(path, outside(length=8, offset=0))
    with pytest.raises(DamagedFile, match=f"has 8 bytes, where its shape needs {SIZE}"):
        formats.inspect(path)


@pytest.mark.parametrize("location", ["../x", "/etc/passwd", "a/../../x", "", "C:\\x", "..\\x"])
def test_weights_do_not_lead_out_of_the_folder(tmp_path: Path, location: str) -> None:
    (tmp_path / "x").write_bytes(bytes(4096 + SIZE))
    path = onnx_file(tmp_path / "in" / "model.onnx", outside(location=location))
    with pytest.raises(DamagedFile, match=r"outside of its folder|does not say where"):
        formats.inspect(path)


@pytest.mark.parametrize("offset", ["-1", "1e3", "9" * 99, "٣"])
def test_offsets_are_numbers(tmp_path: Path, offset: str) -> None:
    with pytest.raises(DamagedFile, match="does not say where"):
        inspect(tmp_path, outside(offset=offset))


# -- folders -----------------------------------------------------------------------------------


def community(folder: Path) -> Path:
    """A repository of onnx-community: the configuration, and several variants in onnx/."""
    hf_folder(folder, tensors={})
    (folder / "model.safetensors").unlink()
    onnx_file(folder / "onnx" / "model.onnx", decoder_graph())
    onnx_file(folder / "onnx" / "model_fp16.onnx", decoder_graph(kind="F16"))
    onnx_file(folder / "onnx" / "model_q4.onnx", decoder_graph(**packed("F32")))
    return folder


def test_variants_in_a_folder(tmp_path: Path) -> None:
    folder = community(tmp_path)
    info = formats.inspect(folder)
    assert (info.architecture, info.quant, info.context_length) == ("llama", "fp32", 256)
    assert (info.heads, info.tokenizer) == ((4, 4), "bpe")
    assert info.metadata["onnx.file"] == "onnx/model.onnx"
    sizes = {
        f"onnx/{path.name}": path.stat().st_size for path in sorted((folder / "onnx").iterdir())
    }
    assert info.metadata["onnx.graphs"] == sizes
    assert (formats.detect(folder), formats.locate(folder).path) == (Format.ONNX, folder)
    assert formats.inspect(folder / "onnx") == info


def test_one_variant_with_the_configuration_above(tmp_path: Path) -> None:
    info = formats.inspect(community(tmp_path) / "onnx" / "model_q4.onnx")
    assert (info.architecture, info.quant, info.embedding_length) == ("llama", "q4", 32)
    assert info.metadata["onnx.file"] == "onnx/model_q4.onnx"


def test_a_folder_of_optimum(tmp_path: Path) -> None:
    onnx_file(tmp_path / "encoder_model.onnx", onnx_graph(outputs=[port("last_hidden_state", [1])]))
    onnx_file(tmp_path / "decoder_model.onnx", decoder_graph(past=False))
    onnx_file(tmp_path / "decoder_with_past_model.onnx", decoder_graph())
    assert formats.inspect(tmp_path).metadata["onnx.file"] == "decoder_with_past_model.onnx"
    onnx_file(tmp_path / "decoder_model_merged.onnx", decoder_graph(merged=True))
    assert formats.inspect(tmp_path).metadata["onnx.file"] == "decoder_model_merged.onnx"


def test_the_settings_of_onnxruntime_genai(tmp_path: Path) -> None:
    decoder = {"head_size": 8, "hidden_size": 32, "num_attention_heads": 4,
               "num_hidden_layers": 2, "num_key_value_heads": 2}  # fmt: skip
    model = {"type": "phi3", "context_length": 512, "vocab_size": 99, "decoder": decoder}
    search = {"do_sample": True, "temperature": 0.5, "top_k": 7}
    write_json(tmp_path / "genai_config.json", {"model": model, "search": search})
    onnx_file(tmp_path / "model.onnx", decoder_graph())
    info = formats.inspect(tokenizer_folder(tmp_path))
    assert (info.architecture, info.context_length, info.vocabulary) == ("phi3", 512, 99)
    assert (info.heads, info.key_length) == ((4, 4), 8)
    assert (info.sampling.temperature, info.sampling.top_k) == (0.5, 7)


# -- damage ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (message((1, 2), (2, 99), (8, "w")), "'w' has the unknown type 99"),
        (message((1, 2**62), (2, 1), (8, "w")), "impossible shape"),
        (message((1, 2**64 - 1), (2, 1), (8, "w")), "impossible shape"),
        (message((1, 2), (2, 1), (8, "w"), (9, b"1234")), "has 4 bytes, where its shape needs 8"),
        (message((2, 1), (8, "w" * 9000)), "a text of 9000 bytes"),
        (b"\x0b", "a field of the kind 3"),
    ],
)
def test_impossible_weights(tmp_path: Path, weight: bytes, words: str) -> None:
    with pytest.raises(DamagedFile, match=words) as error:
        inspect(tmp_path, onnx_graph(weights=[weight]))
    assert "a.onnx" in error.value.message


def test_every_truncation_is_damage(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "a.onnx", decoder_graph())
    raw = path.read_bytes()
    end = raw.rindex(b"\x42")  # the opset, without which a graph is one still
    for length in [*range(1, 400, 7), end - 1]:
        path.write_bytes(raw[:length])
        with pytest.raises((Unsupported, NotFound)):
            formats.inspect(path)


def test_a_graph_of_which_nothing_is_known_beside(tmp_path: Path) -> None:
    from llmrr.formats.source import FileSource

    path = onnx_file(tmp_path / "model.onnx", outside())
    info = formats.inspect(FileSource.of(path))
    assert (info.metadata["onnx.external"], info.parameters) == ({}, 32 * 128)
