"""Models that are really exported: what the graphs compute is what transformers does, a result that
is not its source is not kept, and what is killed leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import vocabularies
from export_worker import Worker
from terminal import Typed

from llmrr import paths
from llmrr.convert import Wish, open_source, plan, run
from llmrr.convert.onnx import environment, process
from llmrr.engines.base import Options
from llmrr.engines.local import LocalModel
from llmrr.engines.onnx import ENGINE
from llmrr.formats import inspect
from llmrr.types import Format, ModelFiles, Request, Sampling

pytestmark = [
    pytest.mark.optimum,
    pytest.mark.skipif(bool(environment.lacking()), reason=", ".join(environment.lacking())),
]

TEXT = "The quick brown fox jumps over 13 lazy dogs, doesn't it? Ünïcode 你好 def f(x): return x"
# Heads that share keys and are not as wide as width by heads.
SIZES: dict[str, Any] = {
    "vocab_size": 352, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip
GPT2 = {"vocab_size": 352, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 512}
GEMMA = {**SIZES, "head_dim": 24, "query_pre_attn_scalar": 24, "sliding_window": 16,
         "num_hidden_layers": 7}  # fmt: skip
PLAIN = {key: one for key, one in SIZES.items() if key != "num_key_value_heads"}
DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {**SIZES, "head_dim": 24, "attention_bias": True}),
    "llama-3": ("llama", {**SIZES, "rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }}),
    "mistral": ("mistral", {**SIZES, "head_dim": 24, "sliding_window": 16}),
    "qwen2": ("qwen2", {**SIZES, "tie_word_embeddings": True}),
    "qwen3": ("qwen3", {**SIZES, "head_dim": 24}),
    "gpt2": ("gpt2", GPT2),
    "gpt_neox": ("gpt_neox", {**PLAIN, "rotary_pct": 0.5}),
    "gpt_bigcode": ("gpt_bigcode", GPT2),
    "gemma3": ("gemma3_text", GEMMA),
    "phi3": ("phi3", {**SIZES, "pad_token_id": 0}),
    "falcon": ("falcon", {**{key: one for key, one in PLAIN.items() if key[:3] != "int"},
                          "new_decoder_architecture": True, "num_kv_heads": 2}),
    "granite": ("granite", {**SIZES, "embedding_multiplier": 3.0, "attention_multiplier": 0.2,
                            "residual_multiplier": 0.7, "logits_scaling": 1.5}),
    "olmo2": ("olmo2", SIZES),
    "smollm3": ("smollm3", {**SIZES, "pad_token_id": 0, "num_hidden_layers": 5}),
    "opt": ("opt", {"vocab_size": 352, "hidden_size": 64, "ffn_dim": 96, "num_hidden_layers": 3,
                    "num_attention_heads": 4, "max_position_embeddings": 512,
                    "word_embed_proj_dim": 64}),
    "bloom": ("bloom", {"vocab_size": 352, "hidden_size": 64, "n_layer": 3, "n_head": 4}),
}  # fmt: skip
SLOW = ("llama-3", "gpt_bigcode", "granite", "olmo2", "smollm3", "opt", "bloom", "falcon")
PRECISE = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in DECODERS
]
# What an answer may be off by: the divergence in nats, and the largest difference as a part of the
# largest logit. In single precision the tokens must be the same too.
OFF = {"fp16": (1e-3, 0.02), "int8": (0.1, 0.3), "q4": (0.3, 0.5), "q4f16": (0.3, 0.5)}


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


@pytest.fixture
def quick(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """The jobs of a conversion go to the worker, which has loaded torch before."""
    monkeypatch.setattr(process, "run", worker.run)
    yield worker
    worker.before = None


@pytest.fixture(scope="module")
def sources(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Sources by name, each made once."""
    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("source") / name
            kind, values = DECODERS[name]
            worker.do("make", folder=str(made[name]), kind=kind, values=values)
        return made[name]

    return of


def converted(source: Path, target: Path, quant: str = "fp32", **options: Any) -> dict[str, str]:
    """Convert; what each check says."""
    wish = Wish(Format.ONNX, quant, options=options)
    [(_, _, checks)] = run(plan(open_source(source), wish), source, target).steps
    return {check.name: check.detail for check in checks}


def load(folder: Path) -> LocalModel:
    return ENGINE.load(ModelFiles(folder, Format.ONNX), Options())


def answer(model: LocalModel, count: int) -> list[int]:
    sampling = Sampling(temperature=0.0, max_tokens=count, ignore_eos=True)
    return [
        token for chunk in model.generate(Request(prompt=TEXT, sampling=sampling))
        for token in chunk.tokens
    ]  # fmt: skip


def divergence(expected: np.ndarray, got: np.ndarray) -> float:
    """The mean over all positions, in nats."""
    left, right = (
        x - x.max(-1, keepdims=True) - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1))[:, None]
        for x in (expected.astype(np.float64), got.astype(np.float64))
    )
    return float((np.exp(left) * (left - right)).sum(-1).mean())


# -- what comes out ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRECISE)
def test_a_decoder_says_what_transformers_says(
    name: str, sources: Any, quick: Worker, tmp_path: Path
) -> None:
    source = sources(name)
    said = converted(source, tmp_path / "out")
    assert said.keys() == {"tensors", "tokens", "logits"}
    assert "the same ids for all of" in said["tokens"]
    assert "with the past of a first step" in said["logits"]
    model = load(tmp_path / "out")
    ids = model.tokenize(TEXT)
    assert len(ids) > 25
    expected = np.array(quick.do("logits", folder=str(source), ids=ids))
    scale = max(10.0, abs(expected).max())
    assert abs(model.logits(ids) - expected).max() <= 1e-4 * scale
    assert answer(model, 24) == quick.do("greedy", folder=str(source), ids=ids, count=24)
    model.close()


@pytest.mark.parametrize(
    ("name", "quant"),
    [("llama", "fp16"), ("llama", "int8"), ("llama", "q4"), ("llama", "q4f16"), ("qwen2", "fp16"),
     ("qwen2", "int8"), ("qwen2", "q4"), ("gpt2", "int8"), ("gpt2", "q4"),
     pytest.param("gpt2", "fp16", marks=pytest.mark.slow),
     pytest.param("gemma3", "q4", marks=pytest.mark.slow),
     pytest.param("phi3", "q4f16", marks=pytest.mark.slow)],
)  # fmt: skip
def test_fewer_bits(
    name: str, quant: str, sources: Any, quick: Worker, tmp_path: Path
) -> None:
    source, out = sources(name), tmp_path / "out"
    said = converted(source, out, quant, **({"group_size": 16} if "q4" in quant else {}))
    assert "mean divergence" in said["logits"]
    assert inspect(out).quant == quant
    model = load(out)
    ids = model.tokenize(TEXT)
    expected = np.array(quick.do("logits", folder=str(source), ids=ids))
    got = model.logits(ids)
    nats, part = OFF[quant]
    assert divergence(expected, got) <= nats
    assert abs(got - expected).max() <= part * abs(expected).max()
    # Step by step it says what it says at once, but for what dynamic quantization does.
    made = answer(model, 12)
    rows = model.logits([*ids, *made])[len(ids) - 1 : -1]
    near = rows.max(-1) - rows[range(12), made]
    assert near.max() <= (0.01 if quant == "q4" else 0.05) * abs(expected).max()
    if quant == "fp16":
        assert made == quick.do("greedy", folder=str(source), ids=ids, count=12)
    model.close()


def test_the_sizes_are_those_of_the_plan(sources: Any, quick: Worker, tmp_path: Path) -> None:
    sizes = {}
    for quant in ("fp32", "q4"):
        [step] = plan(open_source(sources("qwen2")), Wish(Format.ONNX, quant))
        done = run([step], sources("qwen2"), tmp_path / quant, verify=False)
        sizes[quant] = sum(one.stat().st_size for one in done.files if one.suffix == ".onnx")
        assert step.bytes is not None and 0.6 < sizes[quant] / step.bytes < 1.6
    assert sizes["q4"] < sizes["fp32"]


@pytest.mark.parametrize("quant", ["fp32", "int8"])
def test_an_encoder(quant: str, quick: Worker, tmp_path: Path) -> None:
    lines = vocabularies.words()
    values = {**PLAIN, "vocab_size": len(lines), "type_vocab_size": 2}
    source, out = tmp_path / "bert", tmp_path / "out"
    quick.do("make", folder=str(source), kind="bert", values=values, model_class="BertModel")
    vocabularies.write(source, "tokenizer.json", vocabularies.wordpiece_json(lines))
    said = converted(source, out, quant)
    assert "the same ids for all of" in said["tokens"]
    assert ("largest difference" if quant == "fp32" else "cosine") in said["logits"]
    model = load(out)
    texts = [TEXT, "a", "two words"]
    ids = [model.tokens.enclosed(text) for text in texts]
    expected = np.array(quick.do("vectors", folder=str(source), texts=ids))
    cosines = (np.array(model.embed(texts)) * expected).sum(-1)
    assert cosines.min() > (1 - 1e-5 if quant == "fp32" else 0.98)
    model.close()


def test_a_tokenizer_is_made_of_the_model_of_sentencepiece(quick: Worker, tmp_path: Path) -> None:
    source, out = tmp_path / "spm", tmp_path / "out"
    quick.do("make", folder=str(source), kind="llama", values=SIZES, tokenizer="LlamaTokenizer")
    assert not (source / "tokenizer.json").exists()
    assert "the same ids for all of" in converted(source, out)["tokens"]
    model = load(out)
    assert model.tokens.adds_bos
    ids = model.tokens.enclosed(TEXT)
    expected = np.array(quick.do("logits", folder=str(source), ids=ids))
    assert abs(model.logits(ids) - expected).max() <= 1e-4 * max(10.0, abs(expected).max())
    model.close()


def test_an_encoder_and_its_decoder(quick: Worker, tmp_path: Path) -> None:
    values = {"vocab_size": 352, "d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2,
              "num_heads": 4, "decoder_start_token_id": 0}  # fmt: skip
    source, out = tmp_path / "t5", tmp_path / "out"
    quick.do("make", folder=str(source), kind="t5", values=values,
             model_class="T5ForConditionalGeneration")  # fmt: skip
    converted(source, out)
    assert {one.name for one in out.glob("*.onnx")} == {
        "encoder_model.onnx", "decoder_model_merged.onnx",
    }  # fmt: skip


# -- a result that is not its source ---------------------------------------------------------------


def convert(typed: Typed, source: Path, *more: str) -> Any:
    return typed("convert", str(source), "--to", "onnx", "-O", "out", *more)


def nothing_is_left(folder: Path) -> bool:
    """Neither a result nor what it was made in."""
    notes = paths.data_dir() / "scratch"
    return not list(folder.glob("out*")) and not list(folder.glob(".llmrr-*")) and (
        not notes.exists() or not list(notes.iterdir())
    )


@pytest.mark.parametrize("what", ["logits", "tokens"])
def test_what_fails_its_check_is_not_kept(
    what: str, sources: Any, quick: Worker, typed: Typed, tmp_path: Path
) -> None:
    def before(job: str, given: dict[str, Any]) -> None:
        if job == "compare" and what == "logits":
            quick.do("spoil", graph=str(Path(given["target"]) / "model.onnx"))
        elif job == "compare":
            place = Path(given["target"]) / "tokenizer.json"
            told = json.loads(place.read_text())
            vocabulary = told["model"]["vocab"]
            vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
            place.write_text(json.dumps(told))

    quick.before = before
    seen = convert(typed, sources("llama"))
    assert seen.code == 9
    assert f"{what}: " in seen.err and "nothing of it was kept" in seen.err
    assert nothing_is_left(tmp_path)


def test_without_verification(sources: Any, quick: Worker, typed: Typed, tmp_path: Path) -> None:
    jobs: list[str] = []
    quick.before = lambda job, given: jobs.append(job)
    assert convert(typed, sources("llama"), "--no-verify", "--json").json["verified"] is False
    assert jobs == ["export"]
    assert b"llmrr.verified\x12\x05false" in (tmp_path / "out" / "model.onnx").read_bytes()


# -- sources that are damaged --------------------------------------------------------------------


@pytest.fixture
def damaged(worker: Worker, tmp_path: Path) -> Path:
    """A source in several shards, to be damaged."""
    made = tmp_path / "source"
    kind, values = DECODERS["qwen2"]
    worker.do("make", folder=str(made), kind=kind, values=values, shards=3)
    return made


def rewrite(folder: Path, change: Any) -> None:
    """Have ``change`` look at the tensors of each shard and say what they are then."""
    from safetensors.numpy import load_file, save_file

    for path in sorted(folder.glob("*.safetensors")):
        found = load_file(path)
        if (made := change(dict(found))) is not None:
            save_file(made, path, {"format": "pt"})


def without(name: str) -> Any:
    return lambda found: {key: one for key, one in found.items() if not key.endswith(name)}


def narrower(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: one[:, :-1].copy() if key.endswith("0.mlp.up_proj.weight") else one
            for key, one in found.items()}  # fmt: skip


def no_number(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for key, one in found.items():
        if key.endswith("1.mlp.down_proj.weight"):
            one[3, 5] = np.nan
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("1.self_attn.k_proj.weight"), "layers.1.self_attn.k_proj.weight"),
        (narrower, "layers.0.mlp.up_proj.weight has the shape [96, 63], and config.json makes"),
        (no_number, "layers.1.mlp.down_proj.weight"),
    ],
    ids=["missing", "shape", "NaN"],
)
def test_a_damaged_tensor_is_named(
    change: Any, said: str, damaged: Path, quick: Worker, typed: Typed, tmp_path: Path
) -> None:
    rewrite(damaged, change)
    index = damaged / "model.safetensors.index.json"
    if "k_proj" in said:
        told = json.loads(index.read_text())
        told["weight_map"] = {
            key: one for key, one in told["weight_map"].items() if not key.endswith(said)
        }
        index.write_text(json.dumps(told))
    seen = convert(typed, damaged)
    assert (seen.code, said in seen.err) == (4, True), seen.err
    assert "Traceback" not in seen.err
    assert nothing_is_left(tmp_path)


def test_damaged_files_are_named(damaged: Path, quick: Worker, typed: Typed) -> None:
    def refuse(job: str, given: dict[str, Any]) -> None:
        raise AssertionError("work was begun")

    quick.before = refuse
    index = damaged / "model.safetensors.index.json"
    whole = index.read_text()
    told = json.loads(whole)
    name = next(iter(told["weight_map"]))
    told["weight_map"][name] = "../../../etc/passwd"
    index.write_text(json.dumps(told))
    seen = convert(typed, damaged)
    assert seen.code == 4 and "../../../etc/passwd" in seen.err
    index.write_text(whole)
    shard = max(damaged.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-100])
    seen = convert(typed, damaged)
    assert seen.code == 4 and shard.name in seen.err
    shard.unlink()
    seen = convert(typed, damaged)
    assert seen.code == 4 and shard.name in seen.err


# -- the whole way, in processes of its own --------------------------------------------------------


def test_a_pickle_becomes_graphs_in_one_plan(
    worker: Worker, typed: Typed, tmp_path: Path
) -> None:
    kind, values = DECODERS["llama"]
    source, pickle = tmp_path / "source", tmp_path / "legacy-model.pkl"
    worker.do("make", folder=str(source), kind=kind, values=values, pickled=str(pickle))
    settings = tmp_path / "settings"
    settings.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (settings / name).write_bytes((source / name).read_bytes())
    seen = typed("convert", str(pickle), "--to", "onnx")
    assert seen.code == 2 and "--config DIR" in seen.err
    words = ["convert", str(pickle), "--to", "onnx", "--config", str(settings), "-O", "out",
             "--json"]  # fmt: skip
    steps = typed(*words, "--dry-run").json["steps"]
    assert [step["format"] for step in steps] == ["safetensors", "onnx"]
    assert all(step["bytes"] for step in steps)
    made = typed(*words).json
    assert made["verified"] and [bool(step["checks"]) for step in made["steps"]] == [True, True]
    model = load(tmp_path / "out")
    ids = model.tokenize(TEXT)
    expected = np.array(worker.do("logits", folder=str(source), ids=ids))
    assert abs(model.logits(ids) - expected).max() <= 1e-4 * max(10.0, abs(expected).max())
    model.close()
    assert not list(tmp_path.glob(".llmrr-*"))


@pytest.mark.parametrize("times", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_killed_at_random_moments(
    times: int, sources: Any, typed: Typed, tmp_path: Path
) -> None:
    words = ["convert", str(sources("gpt2")), "--to", "onnx", "--quant", "q4", "-O", "out"]
    command = [sys.executable, "-m", "llmrr", *words]
    random, whole, hits = Random(4), 12.0, 0
    for _ in range(times):
        began = time.monotonic()
        running = subprocess.Popen(command, stdout=-1, stderr=-1)
        try:
            _, said = running.communicate(timeout=random.uniform(0.1, 1) * whole)
            assert running.returncode == 0, said
            whole = time.monotonic() - began
            assert inspect(tmp_path / "out").quant == "q4"
            subprocess.run(["rm", "-r", "out"], check=True)
            continue
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
            hits += 1
        if (tmp_path / "out").exists():  # it had been checked, and was whole
            assert inspect(tmp_path / "out").quant == "q4"
            subprocess.run(["rm", "-r", "out"], check=True)
        assert gone(tmp_path)
    assert hits
    assert typed(*words).code == 0  # reclaims what was left
    assert {one.name for one in tmp_path.iterdir()} == {"out"}
    assert not list((paths.data_dir() / "scratch").iterdir())


def gone(folder: Path) -> bool:
    """Has every process ended that works in ``folder``?"""
    for _ in range(500):
        if not any(str(folder) in job for job in _running()):
            return True
        time.sleep(0.02)
    return False


def _running() -> Iterator[str]:
    """The files that processes of the converter have open."""
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"outside/main.py" in (place / "cmdline").read_bytes():
                for one in (place / "fd").iterdir():
                    with suppress(OSError):
                        yield str(one.readlink())


def test_interrupted_it_leaves_nothing(sources: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "llmrr", "convert", str(sources("gpt2")), "--to", "onnx",
               "-O", "out"]  # fmt: skip
    running = subprocess.Popen(command, stdout=-1, stderr=-1)
    for _ in range(1500):
        if list(tmp_path.glob(".llmrr-*/0/.export-*/.source-*")):
            break
        time.sleep(0.02)
    time.sleep(1)
    os.kill(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert nothing_is_left(tmp_path) and gone(tmp_path)
