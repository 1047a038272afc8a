"""Models of every architecture, made from transformers' configurations: what is converted is what
llama.cpp's own script makes of them, and computes what transformers does."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import LAST, by_llama_cpp, checkpoint, logits, same_first_choice, tokens

from llmrr.convert import open_source, plan
from llmrr.convert.base import Source, Wish
from llmrr.formats import gguf, inspect
from llmrr.types import Format, ModelFiles

LLAMA_CPP = os.environ.get("LLMRR_LLAMA_CPP_SOURCE")
needs_script = pytest.mark.skipif(
    not LLAMA_CPP, reason="LLMRR_LLAMA_CPP_SOURCE names no source of llama.cpp"
)
pytestmark = pytest.mark.mlx

# Heads of another size than width by heads, several for each of keys and values, an odd width of
# the feed-forward layer, a vocabulary that nothing else is as large as.
SIZES: dict[str, Any] = {
    "vocab_size": 352,
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 3e-5,
}
PLAIN: dict[str, Any] = {
    "vocab_size": 352, "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 4,
    "num_attention_heads": 6, "max_position_embeddings": 512,
}  # fmt: skip
FALCON = {key: one for key, one in PLAIN.items() if key != "intermediate_size"}
WIDE = {**SIZES, "head_dim": 32}
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
}  # fmt: skip
YARN = {
    "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
    "original_max_position_embeddings": 128,
}  # fmt: skip
LINEAR = {"rope_type": "linear", "rope_theta": 20000.0, "factor": 2.5}


@dataclass(frozen=True)
class Case:
    """A configuration of transformers by its class, and what it says."""

    config: str
    values: dict[str, Any] = field(default_factory=dict)
    model_class: str = ""
    compared: bool = True  # with the script, which makes something else of some
    better: tuple[str, ...] = ()  # keys for which the script has a constant
    exact: bool = True  # llama.cpp looks GELU up in a table of half precision: see the test


CASES = {
    "llama": Case("LlamaConfig", {**WIDE, "attention_bias": True, "mlp_bias": True}),
    "llama-3": Case("LlamaConfig", {**WIDE, "rope_parameters": LLAMA3}),
    "llama-tied": Case(
        "LlamaConfig", {**SIZES, "tie_word_embeddings": True, "rope_parameters": LINEAR}
    ),
    "llama-yarn": Case("LlamaConfig", {**WIDE, "rope_parameters": YARN}),
    "mistral": Case("MistralConfig", {**WIDE, "sliding_window": None}),
    "mixtral": Case("MixtralConfig", {**WIDE, "num_local_experts": 5, "num_experts_per_tok": 2}),
    "qwen2": Case("Qwen2Config", SIZES),
    "qwen2-tied": Case("Qwen2Config", {**SIZES, "tie_word_embeddings": True}),
    "qwen2-moe": Case(
        "Qwen2MoeConfig",
        {
            **SIZES, "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 64,
            "shared_expert_intermediate_size": 128,
        },
    ),
    "qwen3": Case("Qwen3Config", WIDE),
    "qwen3-moe": Case(
        "Qwen3MoeConfig",
        {
            **WIDE, "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 64,
            "norm_topk_prob": True,
        },
    ),
    "smollm3": Case("SmolLM3Config", {**SIZES, "pad_token_id": 0}),
    "gemma": Case("GemmaConfig", {**WIDE, "pad_token_id": 0}, exact=False),
    "gemma2": Case("Gemma2Config", {
        **WIDE, "query_pre_attn_scalar": 32, "sliding_window": 64, "pad_token_id": 0,
    }, exact=False),
    "gemma3": Case("Gemma3TextConfig", {
        **WIDE, "num_hidden_layers": 7, "query_pre_attn_scalar": 32, "sliding_window": 64,
        "pad_token_id": 0,
    }, exact=False),
    # llama.cpp looks for tokens of Phi-3 in a model that has phi-3 or phi3 in its name.
    "phi": Case("Phi3Config", {**SIZES, "pad_token_id": 0, "sliding_window": None}),
    "phi-partial": Case("Phi3Config", {
        **SIZES, "hidden_size": 192, "pad_token_id": 0, "sliding_window": None,
        "partial_rotary_factor": 0.75, "tie_word_embeddings": True,
    }),
    "granite": Case("GraniteConfig", {
        **SIZES, "embedding_multiplier": 3.0, "attention_multiplier": 0.2,
        "residual_multiplier": 0.7, "logits_scaling": 1.5,
    }),
    "olmo2": Case("Olmo2Config", {**SIZES, "pad_token_id": 0}),
    "gpt2": Case("GPT2Config", {
        "vocab_size": 352, "n_embd": 96, "n_layer": 4, "n_head": 6, "n_positions": 512,
        "n_ctx": 512, "layer_norm_epsilon": 3e-5,
    }, exact=False),
    "gpt2-wide": Case("GPT2Config", {
        "vocab_size": 352, "n_embd": 96, "n_layer": 4, "n_head": 6, "n_positions": 512,
        "n_ctx": 512, "n_inner": 160, "tie_word_embeddings": False,
    }, compared=False, exact=False),
    # The script asks for keys that transformers no longer writes.
    "gptneox": Case("GPTNeoXConfig", {**PLAIN, "rotary_pct": 0.5}, exact=False, compared=False),
    "gptneox-serial": Case(
        "GPTNeoXConfig", {**PLAIN, "rotary_pct": 0.25, "use_parallel_residual": False},
        exact=False, compared=False,
    ),
    "starcoder2": Case("Starcoder2Config", {
        **PLAIN, "num_key_value_heads": 2, "norm_epsilon": 3e-5, "rope_theta": 20000.0,
        "sliding_window": None,
    }, exact=False),
    "falcon": Case("FalconConfig", {
        **FALCON, "layer_norm_epsilon": 3e-5,
    }, exact=False, compared=False),
    "falcon-new": Case("FalconConfig", {
        **FALCON, "new_decoder_architecture": True, "num_kv_heads": 2,
        "tie_word_embeddings": False,
    }, exact=False, better=("falcon.context_length",)),
    "stablelm": Case("StableLmConfig", {
        **PLAIN, "num_key_value_heads": 2, "use_qkv_bias": True, "layer_norm_eps": 3e-5,
        "partial_rotary_factor": 0.5,
    }),
    "stablelm-parallel": Case("StableLmConfig", {
        **PLAIN, "num_key_value_heads": 2, "qk_layernorm": True, "use_parallel_residual": True,
    }, compared=False),
}  # fmt: skip

Made = Callable[[str], tuple[Path, Path]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint of a case, made once."""
    transformers = pytest.importorskip("transformers")
    base = tmp_path_factory.mktemp("checkpoints")

    def made(name: str) -> Path:
        case, folder = CASES[name], base / name
        if not folder.exists():
            config = getattr(transformers, case.config)(**case.values)
            checkpoint(folder, config, model_class=case.model_class)
        return folder

    return made


@pytest.fixture(scope="module")
def references(
    folders: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """What the script makes of a case; all are made at once, as it takes long to start."""
    base = tmp_path_factory.mktemp("references")
    names = [name for name, case in CASES.items() if case.compared]
    jobs = [(folders(name), "f32", base / f"{name}.gguf") for name in names]
    by_llama_cpp(jobs, str(LLAMA_CPP))
    return lambda name: base / f"{name}.gguf"


def convert_folder(folder: Path, target: Path, quant: str = "f32") -> Path:
    """Convert and verify, as a plan does."""
    from llmrr.convert import gguf as converter
    from llmrr.convert.gguf.weights import places

    tensors = tuple(place.tensor for place in places(folder).values())
    source = Source(folder, inspect(folder), settings=folder, tensors=tensors)
    step = converter.step(source, Wish(Format.GGUF, quant))
    step.work(folder, target, lambda *_: None)
    for check in step.verify(folder, target, lambda *_: None):
        assert check.passed, check.detail
    return target


@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_transformers(
    name: str, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    """Largest difference at most 1e-2, and of those without GELU 1e-4 and the same first choice at
    all positions. llama.cpp looks GELU up in a table of half precision: there the first choice is
    the same except where transformers' own two best logits are closer together than twice the
    largest difference, as no first choice is defined at that accuracy; see ``same_first_choice``.
    """
    from llmrr.engines.base import Options
    from llmrr.engines.llamacpp import ENGINE

    folder = folders(name)
    target = convert_folder(folder, tmp_path / "model.gguf")
    ids = tokens(SIZES["vocab_size"])
    expected = logits(folder, ids, CASES[name].model_class)
    # Flash attention multiplies in half precision: 2e-3 off here, and 4e-6 without it.
    options = Options(context_size=512, kv_type="f32", flash_attention="off")
    model = ENGINE.load(ModelFiles(target, Format.GGUF), options)
    try:
        found = model.logits(ids)
    finally:
        model.close()
    same = (found.argmax(1) == expected.argmax(1)).sum()
    print(f"{name}: largest difference {np.abs(found - expected).max():.1e}, same argmax {same}")
    assert np.abs(expected).std() > 0.3  # large enough for a difference to be seen
    assert np.abs(found - expected).max() <= 1e-2
    if CASES[name].exact:
        assert np.abs(found - expected).max() <= 1e-4
        assert same == LAST
    else:
        same_first_choice(found, expected)


@pytest.mark.parametrize("name", CASES)
def test_there_and_back_computes_the_same(
    name: str, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    """What is made of the GGUF file, configuration and all, is loaded by transformers."""
    file = convert_folder(folders(name), tmp_path / "model.gguf")
    [step] = plan(open_source(file), Wish(Format.SAFETENSORS, "f32"))
    step.work(file, tmp_path / "back", lambda *_: None)
    for check in step.verify(file, tmp_path / "back", lambda *_: None):
        assert check.passed, check.detail
    ids = tokens(SIZES["vocab_size"])
    expected = logits(folders(name), ids, CASES[name].model_class)
    found = logits(tmp_path / "back", ids, CASES[name].model_class)
    assert np.abs(found - expected).max() <= 1e-4


@needs_script
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.compared])
def test_files_are_those_of_the_script(
    name: str,
    folders: Callable[[str], Path],
    references: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    target = convert_folder(folders(name), tmp_path / "model.gguf")
    ours, theirs = gguf.read_header(target), gguf.read_header(references(name))
    found, expected = metadata(ours), metadata(theirs)
    for key in found.keys() - expected.keys():  # what the script leaves to llama.cpp's defaults
        assert key.endswith(".rope.freq_base"), key
        assert found.pop(key)[1] == 10000.0
    for key in CASES[name].better:
        del found[key], expected[key]
    assert found == expected
    assert tables(ours) == tables(theirs)
    for info in ours.tensors:
        assert data(ours, info.name) == data(theirs, info.name), info.name


def metadata(header: gguf.Header) -> dict[str, Any]:
    """All keys with their types and values, but for our own and those of the vocabulary, which has
    tests of its own."""
    found: dict[str, Any] = {}
    for key, value in header.metadata.items():
        if not key.startswith(("llmrr.", "tokenizer.")):
            plain = value if isinstance(value, str | int | float) else header.values(key)
            found[key] = header.kinds[key], plain or header.strings(key)
    return found


def tables(header: gguf.Header) -> dict[str, Any]:
    return {info.name: (info.dims, info.type_name) for info in header.tensors}


def data(header: gguf.Header, name: str) -> bytes:
    info = next(one for one in header.tensors if one.name == name)
    return header.source.read(header.data_offset + info.offset, info.bytes)
