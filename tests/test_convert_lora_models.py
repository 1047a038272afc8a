"""LoRA adapters that PEFT made of models of transformers: base and adapter as GGUF compute what
PEFT does, and the adapter's file is what llama.cpp's ``convert_lora_to_gguf.py`` writes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import LAST, checkpoint, same_first_choice, tokens
from test_convert_gguf_models import convert_folder, data, metadata, tables

from llmrr.convert import Wish, open_source, plan
from llmrr.formats import gguf
from llmrr.types import Format, ModelFiles

LLAMA_CPP = os.environ.get("LLMRR_LLAMA_CPP_SOURCE")
pytestmark = [
    pytest.mark.mlx,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated"),  # asked by peft
    pytest.mark.filterwarnings("ignore:Setting .save_embedding_layers. to .True."),
    pytest.mark.filterwarnings("ignore:.lora_bias=True. was passed"),
    pytest.mark.filterwarnings("ignore:Adapter .default.. .* have invalid shape"),
]

SIZES: dict[str, Any] = {
    "vocab_size": 352, "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 3,
    "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip
WIDE = {**SIZES, "head_dim": 32}
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL = (*ATTENTION, "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Case:
    """A base by its configuration in transformers, and what PEFT trains of it."""

    config: str
    values: dict[str, Any]
    modules: Sequence[str]
    lora: dict[str, Any] = field(default_factory=dict)
    compared: bool = True  # with the script, which makes something else of some


CASES = {
    "llama": Case("LlamaConfig", WIDE, (*ALL, "lm_head")),
    "llama-tokens": Case("LlamaConfig", SIZES, ("q_proj", "embed_tokens")),
    "llama-ranks": Case(
        "LlamaConfig", SIZES, ALL, {"rank_pattern": {"k_proj": 3, r"0\.self_attn\.q_proj": 2}}
    ),
    # The script knows one alpha only, and that of the file it takes as it stands.
    "llama-alphas": Case(
        "LlamaConfig", SIZES, ALL, {"alpha_pattern": {"v_proj": 3, "down_proj": 40}},
        compared=False,
    ),
    "llama-rooted": Case("LlamaConfig", SIZES, ALL, {"use_rslora": True}, compared=False),
    "mistral": Case("MistralConfig", {**WIDE, "sliding_window": None}, ALL),
    "qwen2": Case("Qwen2Config", SIZES, ALL),
    "qwen3": Case("Qwen3Config", {**WIDE, "tie_word_embeddings": True}, ALL),
    "gemma": Case("GemmaConfig", {**WIDE, "pad_token_id": 0}, ALL),
    "gemma2": Case(
        "Gemma2Config", {**WIDE, "pad_token_id": 0, "query_pre_attn_scalar": 32}, ALL
    ),
    "phi3": Case(
        "Phi3Config", {**SIZES, "pad_token_id": 0, "sliding_window": None},
        ("qkv_proj", "o_proj", "gate_up_proj", "down_proj"),
    ),
    "granite": Case("GraniteConfig", {**SIZES, "residual_multiplier": 0.7}, ALL),
    "olmo2": Case("Olmo2Config", {**SIZES, "pad_token_id": 0}, ALL),
    # The script swaps A and B of what transformers stores with columns first, and PEFT does not.
    "gpt2": Case(
        "GPT2Config",
        {"vocab_size": 352, "n_embd": 96, "n_layer": 3, "n_head": 6, "n_positions": 512},
        ("c_attn", "c_proj", "c_fc"), compared=False,
    ),
    "gptneox": Case(
        "GPTNeoXConfig",
        {key: one for key, one in SIZES.items() if key != "num_key_value_heads"},
        ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"), compared=False,
    ),
    "falcon": Case(
        "FalconConfig",
        {
            "vocab_size": 352, "hidden_size": 96, "num_hidden_layers": 3,
            "num_attention_heads": 6, "new_decoder_architecture": True, "num_kv_heads": 2,
        },
        ("query_key_value", "dense", "dense_h_to_4h"), compared=False,
    ),
    "stablelm": Case("StableLmConfig", {**SIZES, "partial_rotary_factor": 0.5}, ALL),
}  # fmt: skip
COMPARED = [name for name, case in CASES.items() if case.compared]


@dataclass(frozen=True)
class Made:
    """The folders of a base and of its adapter, and the logits of both together and of the base."""

    base: Path
    adapter: Path
    logits: Any
    plain: Any


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """The models of a case, made once."""
    pytest.importorskip("peft")
    there: dict[str, Made] = {}

    def make(name: str) -> Made:
        if name not in there:
            there[name] = adapted(CASES[name], tmp_path_factory.mktemp("lora") / name)
        return there[name]

    return make


def adapted(case: Case, folder: Path) -> Made:
    """A random base and a random adapter for it, as they are saved."""
    import peft
    import torch
    import transformers

    base, adapter = folder / "base", folder / "adapter"
    checkpoint(base, getattr(transformers, case.config)(**case.values))
    model = transformers.AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.float32, attn_implementation="eager"
    )
    ids = torch.tensor([tokens(352)])
    with torch.no_grad():
        plain = model.eval()(input_ids=ids, use_cache=False).logits[0].numpy()
        stated = {"r": 8, "lora_alpha": 12, **case.lora}
        config = peft.LoraConfig(
            target_modules=list(case.modules), fan_in_fan_out=case.config == "GPT2Config", **stated
        )
        wrapped = peft.get_peft_model(model, config)
        torch.manual_seed(3)
        for key, one in wrapped.named_parameters():
            if "lora_" in key:
                one.normal_(0, 0.1)
        found = wrapped.eval()(input_ids=ids, use_cache=False).logits[0].numpy()
    wrapped.save_pretrained(adapter)
    return Made(base, adapter, found, plain)


def convert_adapter(one: Made, target: Path, quant: str = "f32") -> Path:
    """Convert and verify, as a plan does."""
    [step] = plan(open_source(one.adapter), Wish(Format.GGUF, quant, options={"base": one.base}))
    step.work(one.adapter, target, lambda *_: None)
    checks = step.verify(one.adapter, target, lambda *_: None)
    assert [check.name for check in checks] == ["tensors", "effect"]
    for check in checks:
        assert check.passed, check.detail
    assert "in llama.cpp: what it gives changes by" in checks[1].detail
    return target


@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_peft(
    name: str, made: Callable[[str], Made], tmp_path: Path
) -> None:
    """Largest difference at most 1e-2; of the first choice, what ``same_first_choice`` says."""
    one = made(name)
    base = convert_folder(one.base, tmp_path / "base.gguf")
    found = computed(base, convert_adapter(one, tmp_path / "adapter.gguf"))
    off = np.abs(found - one.logits).max()
    changed = np.abs(one.logits - one.plain)
    print(f"{name}: largest difference {off:.1e}, where the adapter changes {changed.max():.2g}")
    assert changed.max() > 1
    assert off <= 1e-2
    same_first_choice(found, one.logits)


def test_vectors_of_an_encoder_are_those_of_peft(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    import torch
    from test_convert_encoders import CASES as ENCODERS
    from test_convert_encoders import TEXTS, encoder, reference

    from llmrr.engines.base import Options
    from llmrr.engines.llamacpp import ENGINE

    case, base, adapter = ENCODERS["bert-mean"], tmp_path / "base", tmp_path / "adapter"
    model = encoder(base, case)
    config = peft.LoraConfig(r=8, lora_alpha=12, target_modules=["query", "key", "dense"])
    plain = reference(model, base, case.pooling)
    wrapped = peft.get_peft_model(model, config).eval()
    with torch.no_grad():
        for key, one in wrapped.named_parameters():
            if "lora_" in key:
                one.normal_(0, 0.1)
    expected = reference(wrapped, base, case.pooling)
    wrapped.save_pretrained(adapter)
    lora = convert_adapter(Made(base, adapter, None, None), tmp_path / "adapter.gguf")
    target = convert_folder(base, tmp_path / "base.gguf")
    options = Options(lora=((lora, 1.0),))
    loaded = ENGINE.load(ModelFiles(target, Format.GGUF), options)
    try:
        found = np.array(loaded.embed(list(TEXTS)))
    finally:
        loaded.close()
    assert (expected * plain).sum(1).max() < 0.99
    assert (found * expected).sum(1).min() >= 0.9999


# -- llama.cpp's script ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def references(
    made: Callable[[str], Made], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("references")

    def by_script(name: str) -> Path:
        one, out = made(name), folder / f"{name}.gguf"
        done = subprocess.run(
            [
                sys.executable, "-W", "ignore", f"{LLAMA_CPP}/convert_lora_to_gguf.py",
                "--base", str(one.base), "--outfile", str(out), str(one.adapter),
            ],
            env={**os.environ, "TRANSFORMERS_VERBOSITY": "error"},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return out

    return by_script


@pytest.mark.slow
@pytest.mark.skipif(not LLAMA_CPP, reason="LLMRR_LLAMA_CPP_SOURCE names no source of llama.cpp")
@pytest.mark.parametrize("name", COMPARED)
def test_files_are_those_of_the_script(
    name: str, made: Callable[[str], Made], references: Callable[[str], Path], tmp_path: Path
) -> None:
    ours = gguf.read_header(convert_adapter(made(name), tmp_path / "adapter.gguf"))
    theirs = gguf.read_header(references(name))
    assert metadata(ours) == metadata(theirs)
    assert tables(ours) == tables(theirs)
    for info in ours.tensors:
        assert data(ours, info.name) == data(theirs, info.name), info.name


# -- what else PEFT makes --------------------------------------------------------------------------


def refused(adapter: Path, base: Path) -> Any:
    from llmrr.errors import LlmrrError

    with pytest.raises(LlmrrError) as caught:
        plan(open_source(adapter), Wish(Format.GGUF, options={"base": base}))
    return caught.value


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "lm_head.weight"),
        ({"bias": "lora_only"}, "biases"),
        ({"init_lora_weights": "pissa"}, "changes the base too"),
        ({"lora_bias": True}, "bias of its own"),
        ({"trainable_token_indices": {"embed_tokens": [1, 2]}}, "tokens with other vectors"),
    ],
)
def test_what_llama_cpp_does_not_add_is_refused_by_name(
    stated: dict[str, Any], said: str, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    import transformers

    base = tmp_path / "base"
    checkpoint(base, transformers.LlamaConfig(**SIZES))
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], **stated)
    peft.get_peft_model(model, config).save_pretrained(tmp_path / "adapter")
    error = refused(tmp_path / "adapter", base)
    assert error.exit_code == 4
    assert said in error.message
    assert "merge" in error.hint or "path_initial_model" in error.hint


@pytest.mark.parametrize(
    ("maker", "kind"), [("IA3Config", "IA3"), ("PrefixTuningConfig", "PREFIX_TUNING"),
                        ("LoHaConfig", "LOHA")],
)  # fmt: skip
def test_other_kinds_of_adapters_are_refused_by_name(
    maker: str, kind: str, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    import transformers

    base = tmp_path / "base"
    checkpoint(base, transformers.LlamaConfig(**SIZES))
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    own: dict[str, Any] = {
        "IA3Config": {"target_modules": ["k_proj", "down_proj"],
                      "feedforward_modules": ["down_proj"]},
        "PrefixTuningConfig": {"num_virtual_tokens": 4, "task_type": "CAUSAL_LM"},
        "LoHaConfig": {"target_modules": ["q_proj"], "r": 4},
    }  # fmt: skip
    config = getattr(peft, maker)(**own[maker])
    peft.get_peft_model(model, config).save_pretrained(tmp_path / "adapter")
    stated = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert stated["peft_type"] == kind
    assert repr(kind) in refused(tmp_path / "adapter", base).message


FUSED = {
    "mixtral": ("MixtralConfig", {**SIZES, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen3-moe": ("Qwen3MoeConfig", {
        **WIDE, "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 64,
        "norm_topk_prob": True,
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", FUSED)
def test_experts_that_are_stacked(name: str, tmp_path: Path) -> None:
    """As transformers 5 keeps them, and PEFT trains them by their parameters' names."""
    peft = pytest.importorskip("peft")
    import torch
    import transformers

    base, adapter = tmp_path / "base", tmp_path / "adapter"
    kind, values = FUSED[name]
    checkpoint(base, getattr(transformers, kind)(**values))
    model = transformers.AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.float32, attn_implementation="eager"
    )
    config = peft.LoraConfig(
        r=6, lora_alpha=9, target_modules=["q_proj"],
        target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
    )  # fmt: skip
    wrapped = peft.get_peft_model(model, config).eval()
    ids = torch.tensor([tokens(352)])
    with torch.no_grad():
        torch.manual_seed(3)
        for key, one in wrapped.named_parameters():
            if "lora_" in key:
                one.normal_(0, 0.1)
        expected = wrapped(input_ids=ids, use_cache=False).logits[0].numpy()
    wrapped.save_pretrained(adapter)
    stated = json.loads((adapter / "adapter_config.json").read_text())
    assert stated["target_parameters"]
    [step] = plan(open_source(adapter), Wish(Format.GGUF, "f32", options={"base": base}))
    target = tmp_path / "adapter.gguf"
    step.work(adapter, target, lambda *_: None)
    for check in step.verify(adapter, target, lambda *_: None):
        assert check.passed, check.detail
    assert len(gguf.read_header(target).tensors) == 2 * 3 * 4
    found = computed(convert_folder(base, tmp_path / "base.gguf"), target)
    assert np.abs(found - expected).max() <= 1e-2
    same_first_choice(found, expected)


def test_experts_one_by_one(tmp_path: Path) -> None:
    """As those of Mixtral were before transformers 5 fused them: written here, as nothing makes
    them any more. llama.cpp adds each to its part of the stacked tensor."""
    transformers = pytest.importorskip("transformers")
    import torch
    from safetensors.torch import save_file

    from llmrr.convert.gguf.weights import places

    base, adapter = tmp_path / "base", tmp_path / "adapter"
    config = transformers.MixtralConfig(**SIZES, num_local_experts=4, num_experts_per_tok=2)
    checkpoint(base, config)
    assert any("experts" in name for name in places(base))
    random = torch.Generator().manual_seed(5)
    tensors = {}
    sizes = {"w1": (160, 96), "w2": (96, 160), "w3": (160, 96)}
    for layer in range(3):
        for expert in range(4):
            for part, (rows, columns) in sizes.items():
                name = (f"base_model.model.model.layers.{layer}.block_sparse_moe.experts."
                        f"{expert}.{part}.lora_")  # fmt: skip
                tensors[f"{name}A.weight"] = torch.randn(8, columns, generator=random) * 0.1
                tensors[f"{name}B.weight"] = torch.randn(rows, 8, generator=random) * 0.1
    adapter.mkdir()
    save_file(tensors, adapter / "adapter_model.safetensors")
    stated = {"peft_type": "LORA", "r": 8, "lora_alpha": 12, "target_modules": ["w1", "w2", "w3"]}
    (adapter / "adapter_config.json").write_text(json.dumps(stated))
    [step] = plan(open_source(adapter), Wish(Format.GGUF, "f32", options={"base": base}))
    target = tmp_path / "adapter.gguf"
    step.work(adapter, target, lambda *_: None)
    for check in step.verify(adapter, target, lambda *_: None):
        assert check.passed, check.detail

    merged = transformers.AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.float32, attn_implementation="eager"
    )
    with torch.no_grad():
        for layer, block in enumerate(merged.model.layers):
            for expert in range(4):
                name = f"base_model.model.model.layers.{layer}.block_sparse_moe.experts.{expert}."
                added = {
                    part: 12 / 8 * tensors[f"{name}{part}.lora_B.weight"]
                    @ tensors[f"{name}{part}.lora_A.weight"] for part in sizes
                }  # fmt: skip
                experts = block.mlp.experts
                experts.gate_up_proj[expert] += torch.cat([added["w1"], added["w3"]])
                experts.down_proj[expert] += added["w2"]
        ids = torch.tensor([tokens(352)])
        expected = merged.eval()(input_ids=ids, use_cache=False).logits[0].numpy()

    found = computed(convert_folder(base, tmp_path / "base.gguf"), target)
    assert len(found) == LAST
    assert np.abs(found - expected).max() <= 1e-2


def computed(base: Path, adapter: Path) -> Any:
    """The logits of a base with an adapter, in single precision."""
    from llmrr.engines.base import Options
    from llmrr.engines.llamacpp import ENGINE

    options = Options(
        context_size=512, kv_type="f32", flash_attention="off", lora=((adapter, 1.0),)
    )
    model = ENGINE.load(ModelFiles(base, Format.GGUF), options)
    try:
        return model.logits(tokens(352))
    finally:
        model.close()
