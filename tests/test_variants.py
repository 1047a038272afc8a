"""Models by the names of their files, as people on the hub really name them; and short names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrr.formats.parts import MAX_PARTS
from llmrr.store.shortnames import SHORT_NAMES, short_name
from llmrr.store.variants import (
    Variant,
    gguf_variants,
    is_model,
    missing_parts,
    plain_name,
    projector,
    quant_label,
)


def variants(*names: str) -> dict[str, Variant]:
    return {one.tag: one for one in gguf_variants(dict.fromkeys(names, 10))}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("Llama-3.2-1B-Instruct-Q4_0_4_4.gguf", "Q4_0_4_4"),
        ("gemma-2-2b-it-Q6_K_L.gguf", "Q6_K_L"),
        ("Qwen3-8B-IQ4_NL.gguf", "IQ4_NL"),
        ("gemma-3n-E4B-it-IQ4_XS.gguf", "IQ4_XS"),
        ("Qwen3.5-397B-A17B-UD-TQ1_0.gguf", "UD-TQ1_0"),
        ("UD-Q3_K_XL/MiniMax-M2.7-UD-Q3_K_XL-00001-of-00004.gguf", "UD-Q3_K_XL"),
        ("Qwen3-Coder-30B-A3B-Instruct-UD-IQ1_S.gguf", "UD-IQ1_S"),
        ("Qwen3-4B-UD-Q8_K_XL.gguf", "UD-Q8_K_XL"),
        ("BF16/model-00001-of-00002.gguf", "BF16"),
        ("Q8_0/whatever.gguf", "Q8_0"),
        ("codellama-7b-instruct.Q4_K_M.gguf", "Q4_K_M"),
        ("tinyllama-1.1b-chat-v1.0.q4_k_m.gguf", "Q4_K_M"),
        ("qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf", "Q4_K_M"),
        ("phi-2-q4_0.gguf", "Q4_0"),
        ("Phi-3-mini-4k-instruct-q4.gguf", "Q4"),
        ("Phi-3-mini-4k-instruct-fp16.gguf", "FP16"),
        ("ggml-model-f16.gguf", "F16"),
        ("ggml-model-q4_k.gguf", "Q4_K"),
        ("Kimi-K2.7-Code.i1-IQ1_S.gguf", "IQ1_S"),
        ("Huihui-gpt-oss-120b-BF16-abliterated.i1-Q4_K_S.gguf", "Q4_K_S"),
        ("gpt-oss-120b-mxfp4-00001-of-00003.gguf", "MXFP4"),
        ("Qwen3.6-35B-A3B-MXFP4_MOE.gguf", "MXFP4_MOE"),
        ("mistral-7b-openorca.gguf2.Q4_0.gguf", "Q4_0"),
        ("all-MiniLM-L6-v2.gguf2.f16.gguf", "F16"),
        ("mxbai-embed-large-v1_fp16.gguf", "FP16"),
        ("nomic-embed-text-v1.5.f32.gguf", "F32"),
        ("DeepSeek-V4-Flash-IQ2XXS-w2Q2K-AProjQ8-chat-v2-imatrix.gguf", "IQ2XXS"),
        ("model-Q4_K_M-imatrix.gguf", "Q4_K_M"),
        ("gemma-2b-it.gguf", None),
        ("SmolLM3.gguf", None),
        ("Ternary-Bonsai-2-27B-PTQ1_0.gguf", None),
        ("Step-3.7-Flash-APEX-I-Compact.gguf", None),
        ("sha256-00f16ab3bf16c4q8.gguf", None),
        ("3af16-model.gguf", None),
        ("Q4_K_M.gguf", "Q4_K_M"),
        ("Q4_K_M/gemma-2b-it.gguf", "Q4_K_M"),
    ],
)
def test_labels(name: str, label: str | None) -> None:
    assert quant_label(name) == label


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", True),
        ("mmproj-F16.gguf", False),
        ("Qwen2.5-Omni-7B.mmproj-Q8_0.gguf", False),
        ("mmproj-model-f16.gguf", False),
        ("imatrix_unsloth.gguf", False),
        ("Kwaipilot_KAT-Coder-V2.5-Dev-imatrix.gguf", False),
        ("imatrix_unsloth.gguf_file", False),
        ("LightChatAssistant-TypeB-2x7B_iq4xs_imatrix.gguf", True),
        ("qwen2.5-0.5b-abliterated-lora-f16.gguf", False),
        ("llama-lora-merged-Q4_K_M.gguf", True),
        ("explora-7b-Q4_0.gguf", True),
        ("adapter.gguf", False),
        ("control-vector-happy.gguf", False),
        ("MTP/mtp-gemma-4-31B-it-BF16.gguf", False),
        ("ggml-vocab-llama-bpe.gguf", False),
        ("model.Q6_K.gguf.part1of2", False),
        ("model.safetensors", False),
        (".hidden.gguf", False),
        ("MODEL-Q4_0.GGUF", True),
    ],
)
def test_what_is_a_model(name: str, model: bool) -> None:
    assert is_model(name) is model


def test_bartowskis_repository() -> None:
    found = variants(
        "README.md",
        "Meta-Llama-3.1-70B-Instruct-IQ4_XS.gguf",
        "Meta-Llama-3.1-70B-Instruct-Q4_K_M.gguf",
        "Meta-Llama-3.1-70B-Instruct-Q8_0/Meta-Llama-3.1-70B-Instruct-Q8_0-00002-of-00002.gguf",
        "Meta-Llama-3.1-70B-Instruct-Q8_0/Meta-Llama-3.1-70B-Instruct-Q8_0-00001-of-00002.gguf",
        "Meta-Llama-3.1-70B-Instruct.imatrix",
    )
    assert list(found) == ["IQ4_XS", "Q4_K_M", "Q8_0"]
    assert [name[-20:] for name in found["Q8_0"].files] == [
        "-00001-of-00002.gguf",
        "-00002-of-00002.gguf",
    ]
    assert (found["Q8_0"].bytes, found["Q8_0"].missing) == (20, ())


def test_unsloths_repository() -> None:
    found = variants(
        "BF16/Qwen3-235B-A22B-BF16-00001-of-00003.gguf",
        "BF16/Qwen3-235B-A22B-BF16-00003-of-00003.gguf",
        "UD-Q4_K_XL/Qwen3-235B-A22B-UD-Q4_K_XL-00001-of-00002.gguf",
        "UD-Q4_K_XL/Qwen3-235B-A22B-UD-Q4_K_XL-00002-of-00002.gguf",
        "Qwen3-235B-A22B-Q4_K_XL.gguf",
        "imatrix_unsloth.dat",
        "mmproj-F16.gguf",
    )
    assert set(found) == {"BF16", "UD-Q4_K_XL", "Q4_K_XL"}
    assert found["BF16"].missing == ("BF16/Qwen3-235B-A22B-BF16-00002-of-00003.gguf",)
    assert len(found["BF16"].files) == 2


def test_a_model_that_lies_there_whole_and_in_parts_is_one() -> None:
    found = variants(
        "qwen2.5-coder-14b-instruct-q4_k_m.gguf",
        "qwen2.5-coder-14b-instruct-q4_k_m-00001-of-00002.gguf",
        "qwen2.5-coder-14b-instruct-q4_k_m-00002-of-00002.gguf",
    )
    assert found == {
        "Q4_K_M": Variant("Q4_K_M", ("qwen2.5-coder-14b-instruct-q4_k_m.gguf",), 10),
    }


def test_the_same_quantization_of_two_models_is_told_apart_by_path() -> None:
    found = variants("a-Q4_K_M.gguf", "sub/b-Q4_K_M-00001-of-00001.gguf", "a-Q8_0.gguf", "c.gguf")
    assert set(found) == {"a-Q4_K_M", "sub/b-Q4_K_M", "Q8_0", "c"}


@pytest.mark.parametrize("name", ["a-00000-of-00000.gguf", "a-00009-of-00003.gguf"])
def test_numbers_that_are_no_part_belong_to_the_name(name: str) -> None:
    assert variants(name)[name.removesuffix(".gguf")].files == (name,)


def test_a_part_of_very_many_does_not_take_the_memory() -> None:
    assert len(variants("a-00001-of-99999.gguf")["a"].missing) <= MAX_PARTS


@given(st.dictionaries(st.text(max_size=30) | st.from_regex(r"[a-zQ_40-]{1,9}\.gguf"), st.just(1)))
def test_tags_are_unique_and_no_file_is_lost(sizes: dict[str, int]) -> None:
    found = gguf_variants(sizes)
    assert len({one.tag for one in found}) == len(found)
    assert all(one.files and set(one.files) <= set(sizes) for one in found)


@pytest.mark.parametrize(
    ("names", "best"),
    [
        (["mmproj-F32.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf"], "mmproj-F16.gguf"),
        (["mmproj-Q8_0.gguf", "mmproj-BF16.gguf"], "mmproj-BF16.gguf"),
        (["m.mmproj-Q8_0.gguf", "m.mmproj-F32.gguf"], "m.mmproj-Q8_0.gguf"),
        (["mmproj-model-f16.gguf", "model-Q4_0.gguf"], "mmproj-model-f16.gguf"),
        (["mmproj.gguf"], "mmproj.gguf"),
        (["model-Q4_0.gguf", "mmproj.bin"], None),
    ],
)
def test_the_image_encoder(names: list[str], best: str | None) -> None:
    assert projector(dict.fromkeys(names, 1)) == best


def test_what_the_files_of_a_model_are_called_alike() -> None:
    names = ["Qwen2-VL-7B-Q4_K_M.gguf", "x/Qwen2-VL-7B.mmproj-f16.gguf", "mmproj-Qwen2-VL-7B.gguf"]
    assert {plain_name(name) for name in names} == {"qwen2-vl-7b"}
    assert plain_name("model.gguf") == plain_name("mmproj-model-f16.gguf") == ""


def test_missing_shards() -> None:
    assert missing_parts(
        ["model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"]
    ) == ("model-00002-of-00003.safetensors",)
    assert missing_parts(["model.safetensors", "a-00001-of-00001.bin"]) == ()


# -- short names -------------------------------------------------------------------------------


def test_short_names_lead_to_repositories() -> None:
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", repo) for repo in SHORT_NAMES.values())
    assert all(name == name.lower() for name in SHORT_NAMES)
    bare = {name.partition(":")[0] for name in SHORT_NAMES}
    assert bare <= set(SHORT_NAMES)
    tagged = {SHORT_NAMES[name] for name in SHORT_NAMES if ":" in name}
    assert {SHORT_NAMES[name] for name in bare} <= tagged


def test_short_names_in_any_case_and_with_latest() -> None:
    assert short_name("LLAMA3.2") == short_name("llama3.2:latest")
    assert repository("llama3.2") == repository("llama3.2:3b")
    assert repository("qwen3:4B") == "Qwen/Qwen3-4B-GGUF"
    assert short_name("qwen3:5b") is None


@pytest.mark.parametrize(
    ("text", "label", "quant", "revision"),
    [
        ("qwen3:4b-q8_0", "qwen3:4b-Q8_0", "Q8_0", None),
        ("qwen3:4b-Q8_0", "qwen3:4b-Q8_0", "Q8_0", None),
        ("qwen3:4b:Q8_0", "qwen3:4b-Q8_0", "Q8_0", None),
        ("llama3.2:3b-instruct-q4_K_M", "llama3.2:3b-Q4_K_M", "Q4_K_M", None),
        ("llama3.2:3b-instruct-fp16", "llama3.2:3b-FP16", "FP16", None),
        ("llama3.2:q4_0", "llama3.2:Q4_0", "Q4_0", None),
        ("qwen3@main", "qwen3", None, "main"),
    ],
)
def test_short_names_with_a_quantization_as_ollama_writes_it(
    text: str, label: str, quant: str | None, revision: str | None
) -> None:
    found = short_name(text)
    assert found is not None
    assert (found.label, found.reference.tag, found.reference.revision) == (label, quant, revision)


def repository(text: str) -> str | None:
    found = short_name(text)
    return found and found.reference.repo
