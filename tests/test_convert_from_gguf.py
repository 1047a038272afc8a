"""GGUF to safetensors and to other quantizations, and back: with files of our own builders."""

import json
from pathlib import Path

import numpy as np
import pytest
from builders import gguf_file, tiny_llama
from terminal import Typed

from llmrr.convert.gguf.weights import places
from llmrr.convert.verify import structure
from llmrr.engines.llamacpp import computing
from llmrr.formats import gguf

KINDS = ["f32", "f16", "bf16", "q8_0"]


def tensor(path: Path, name: str) -> bytes:
    header = gguf.read_header(path)
    info = next(one for one in header.tensors if one.name == name)
    return header.source.read(header.data_offset + info.offset, info.bytes)


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_gives_the_same_weights(typed: Typed, kind: str) -> None:
    tiny_llama(Path("tiny.gguf"), kind=kind)  # type: ignore[arg-type]
    single = ("--quant", "f32") if kind == "q8_0" else ()  # of half precision would round
    out = typed("convert", "tiny.gguf", "--to", "safetensors", *single, "-O", "folder", "--json")
    assert out.code == 0, out.out + out.err
    names = [one["name"] for one in out.json["steps"][0]["checks"]]
    assert names == ["tensors", "tokens", "structure"]
    back = typed("convert", "folder", "--to", "gguf", "--quant", kind, "-O", "back.gguf", "--json")
    assert back.code == 0, back.out + back.err
    names = [one["name"] for one in back.json["steps"][0]["checks"]]
    assert names == ["tensors", "tokens", "structure"]
    for name in ("blk.0.attn_q.weight", "blk.1.ffn_down.weight", "output_norm.weight"):
        assert tensor(Path("back.gguf"), name) == tensor(Path("tiny.gguf"), name)


def swapped(weights: Path, name: str) -> None:
    """The first half of a matrix takes the place of the second one."""
    [found] = [one for one in places(weights).values() if one.tensor.name == name]
    raw = bytearray(weights.read_bytes())
    end = found.offset + found.tensor.bytes
    half = found.offset + found.tensor.bytes // 2
    raw[found.offset : end] = raw[half:end] + raw[found.offset : half]
    weights.write_bytes(raw)


@pytest.mark.parametrize("kind", ["f32", "q4_0"])
@pytest.mark.parametrize("name", ["self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"])
def test_the_first_layers_show_a_matrix_in_another_order(
    typed: Typed, kind: str, name: str
) -> None:
    source, folder = Path("tiny.gguf"), Path("folder")
    tiny_llama(source, kind="f16" if kind == "q4_0" else "f32", width=64, heads=4, layers=3)
    if kind == "q4_0":
        words = ("convert", "tiny.gguf", "--to", "gguf", "--quant", "q4_0", "-O", "q.gguf")
        assert typed(*words, "--no-verify").code == 0
        source = Path("q.gguf")
    words = ("convert", str(source), "--to", "safetensors", "-O", "folder", "--no-verify")
    assert typed(*words).code == 0
    right = structure.check_rebuilt(source, folder, lambda *words: None)
    assert right.passed and right.detail.startswith("structure only, the first 2 layers")
    assert {one.name for one in folder.iterdir() if one.name.startswith(".")} == set()
    swapped(folder / "model.safetensors", f"model.layers.1.{name}.weight")
    wrong = structure.check_rebuilt(source, folder, lambda *words: None)
    assert not wrong.passed
    if kind == "f32":
        assert not structure.check(folder, source, lambda *words: None).passed


def test_what_llama_cpp_does_not_run_fails_the_check(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_llama(Path("tiny.gguf"))
    assert typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "folder").code == 0
    for code, said in (
        ("import os; os.kill(os.getpid(), 6)", "llama.cpp does not run it (signal 6)"),
        ("import sys; sys.stderr.write('Unsupported\\nno such norm\\nhint\\n'); sys.exit(4)",
         "llama.cpp does not run it (exit 4): no such norm"),
    ):  # fmt: skip
        Path("broken_helper.py").write_text(code)
        monkeypatch.setattr(computing, "MODULE", "broken_helper")
        monkeypatch.setattr(computing, "__file__", str(Path("a/b/c/d.py").absolute()))
        found = structure.check(Path("folder"), Path("tiny.gguf"), lambda *words: None)
        assert not found.passed and said in found.detail


def test_the_configuration_is_what_the_file_says(typed: Typed) -> None:
    tiny_llama(Path("tiny.gguf"), architecture="qwen2", heads=4, heads_kv=2)
    assert typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "folder").code == 0
    config = json.loads(Path("folder/config.json").read_text())
    assert config["architectures"] == ["Qwen2ForCausalLM"]
    assert config["num_key_value_heads"] == 2
    assert config["rms_norm_eps"] == pytest.approx(1e-5)
    assert config["tie_word_embeddings"] is False
    assert Path("folder/chat_template.jinja").read_text().startswith("{% for m in messages")


def test_a_name_that_llama_cpp_would_look_for_tokens_of_phi_3_for(typed: Typed) -> None:
    tiny_llama(Path("tiny.gguf"))
    assert typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "my-phi3-tune").code == 0
    done = typed("convert", "my-phi3-tune", "--to", "gguf", "-O", "back.gguf")
    assert done.code == 0, done.err
    assert gguf.read_header(Path("back.gguf")).text("general.name") == "My Phi 3 Tune"


def test_an_architecture_that_is_not_known_is_refused_by_name(typed: Typed) -> None:
    gguf_file(
        Path("odd.gguf"), metadata={"general.architecture": "rwkv9"},
        tensors={"x.weight": np.zeros((4, 4), np.float32)},
    )  # fmt: skip
    said = typed("convert", "odd.gguf", "--to", "safetensors", "-O", "folder")
    assert said.code == 4
    assert "'rwkv9'" in said.err
    assert not Path("folder").exists()


def test_a_key_that_leads_nowhere_is_refused_by_name(typed: Typed) -> None:
    tiny_llama(Path("tiny.gguf"), metadata={"llama.attention.clamp_kqv": 3.0})
    said = typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "folder")
    assert said.code == 4
    assert "llama.attention.clamp_kqv is 3.0" in said.err


# -- quantization ----------------------------------------------------------------------------------


def test_a_quantization_is_compared_with_its_source(typed: Typed) -> None:
    tiny_llama(Path("tiny.gguf"), width=256, heads=4, feed_forward=256, kind="f16", context=600)
    done = typed("convert", "tiny.gguf", "--to", "gguf", "--quant", "q4_k_m", "-O", "small.gguf",
                 "--json")  # fmt: skip
    assert done.code == 0, done.out + done.err
    [step] = done.json["steps"]
    assert [check["name"] for check in step["checks"]] == ["tensors", "quality"]
    assert "KL divergence" in step["checks"][1]["detail"]
    planned = typed("convert", "tiny.gguf", "--to", "gguf", "--quant", "Q4_K_M", "-O", "x.gguf",
                    "--dry-run", "--json")  # fmt: skip
    assert planned.json["steps"][0]["bytes"] == Path("small.gguf").stat().st_size
    types = gguf.inspect(Path("small.gguf")).tensor_types
    assert {"Q4_K", "Q6_K"} <= types.keys()


def test_what_is_quantized_already_is_refused(typed: Typed) -> None:
    tiny_llama(Path("tiny.gguf"), width=256, heads=4, feed_forward=256, kind="q8_0")
    words = ("convert", "tiny.gguf", "--to", "gguf", "--quant", "Q4_0", "-O", "small.gguf")
    said = typed(*words)
    assert said.code == 4
    assert "--allow-requantize" in said.err
    assert typed(*words, "--allow-requantize").code == 0


@pytest.mark.parametrize(
    ("quant", "code", "hint"), [("IQ1_S", 4, "--calibrate"), ("Q4_K_N", 2, "Q4_K_M")]
)
def test_types_are_refused_before_any_work(
    typed: Typed, quant: str, code: int, hint: str
) -> None:
    tiny_llama(Path("tiny.gguf"), width=256, heads=4, feed_forward=256, kind="f16")
    said = typed("convert", "tiny.gguf", "--to", "gguf", "--quant", quant, "-O", "small.gguf")
    assert (said.code, hint in said.err) == (code, True), said.err
    assert [one.name for one in Path().iterdir()] == ["tiny.gguf"]


def test_several_steps_are_one_plan(typed: Typed) -> None:
    tiny_llama(Path("tiny.gguf"), width=256, heads=4, feed_forward=256, kind="f16", context=600)
    assert typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "folder").code == 0
    planned = typed("convert", "folder", "--to", "gguf", "--quant", "Q5_K_M", "--dry-run", "--json")
    assert [one["format"] for one in planned.json["steps"]] == ["gguf", "gguf"]
    done = typed("convert", "folder", "--to", "gguf", "--quant", "Q5_K_M", "--json")
    assert done.code == 0, done.out + done.err
    assert done.json["name"] == "folder:Q5_K_M"
    assert [len(step["checks"]) for step in done.json["steps"]] == [3, 2]
    answer = typed("run", "-m", "folder:Q5_K_M", "--raw", "--max-tokens", "2", "hello")
    assert answer.code == 0, answer.err


def test_a_folder_runs_by_what_was_converted_from_it(typed: Typed) -> None:
    tiny_llama(Path("tiny.gguf"), kind="f16")
    assert typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "folder").code == 0
    refused = typed("run", "-m", "./folder", "--raw", "--max-tokens", "2", "hello")
    assert refused.code == 4
    assert "llmrr convert" in refused.err
    offered = typed("run", "-m", "./folder", "--raw", "--max-tokens", "2", "hello", answers="y\n")
    assert offered.code == 0, offered.err
    assert "Convert it now?" in offered.err
    again = typed("run", "-m", "./folder", "--raw", "--max-tokens", "2", "hello")
    assert again.code == 0, again.err


def test_what_was_trained_on_conversations_gets_the_end_of_text_between_turns() -> None:
    from llmrr.convert import gguf as converter
    from llmrr.engines.templates import Template
    from llmrr.types import Message

    assert converter._converses({"task_specific_params": {"conversational": {"max_length": 1000}}})
    assert not converter._converses({"task_specific_params": {"text-generation": {}}})
    said = [Message("user", "Hi."), Message("assistant", "Yes?"), Message("user", "Who?")]
    text = Template(converter.BETWEEN_TURNS, eos="<|endoftext|>").render(said)
    assert text == "Hi.<|endoftext|>Yes?<|endoftext|>Who?<|endoftext|>"


def test_what_was_converted_from_a_folder_does_not_take_its_place(typed: Typed) -> None:
    tiny_llama(Path("tiny.gguf"), kind="f16")
    assert typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "folder").code == 0
    assert typed("convert", "folder", "--to", "gguf", "--json").json["name"] == "folder:f16"
    again = typed("convert", "folder", "--to", "gguf", "--quant", "q8_0", "--json")
    assert again.code == 0, again.out
    assert [step["title"] for step in again.json["steps"]] == ["convert folder to GGUF"]


SCALINGS = [(8.0, 1.0, 4.0, 8192), (32.0, 1.0, 4.0, 8192), (8.0, 1.0, 4.0, 64), (5.0, 1.0, 3.0, 99),
            (16.0, 1.0, 1.0, 8192)]  # fmt: skip


@pytest.mark.parametrize("stated", SCALINGS)
def test_scaling_of_positions_is_told_from_its_factors(
    typed: Typed, stated: tuple[float, float, float, int]
) -> None:
    """Those of Llama 3.1 and 3.2 differ in nothing but the numbers of one tensor."""
    tiny_llama(Path("tiny.gguf"), width=128, heads=2, heads_kv=1)
    assert typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "base").code == 0
    config = json.loads(Path("base/config.json").read_text())
    names = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    scaling = {"rope_type": "llama3", **dict(zip(names, stated, strict=True))}
    Path("base/config.json").write_text(json.dumps({**config, "rope_scaling": scaling}))
    assert typed("convert", "base", "--to", "gguf", "-O", "scaled.gguf").code == 0
    done = typed("convert", "scaled.gguf", "--to", "safetensors", "-O", "back")
    assert done.code == 0, done.err
    found = json.loads(Path("back/config.json").read_text())["rope_scaling"]
    assert found["rope_type"] == "llama3"
    assert [found[name] for name in names] == pytest.approx(stated, rel=1e-3)


def test_factors_that_no_setting_leads_to_are_refused(typed: Typed) -> None:
    tiny_llama(Path("tiny.gguf"), width=128, heads=2, heads_kv=1)
    assert typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "base").code == 0
    config = json.loads(Path("base/config.json").read_text())
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # fmt: skip
    Path("base/config.json").write_text(json.dumps({**config, "rope_scaling": scaling}))
    assert typed("convert", "base", "--to", "gguf", "--quant", "f32", "-O", "odd.gguf").code == 0
    header = gguf.read_header(Path("odd.gguf"))
    one = next(one for one in header.tensors if one.name == "rope_freqs.weight")
    raw = bytearray(Path("odd.gguf").read_bytes())
    at = header.data_offset + one.offset + 4 * 12  # a factor between others is far off
    raw[at : at + 4] = np.float32(7).tobytes()
    Path("odd.gguf").write_bytes(bytes(raw))
    said = typed("convert", "odd.gguf", "--to", "safetensors", "-O", "back")
    assert said.code == 4
    assert "rope_freqs.weight has other numbers" in said.err
    assert not Path("back").exists()
