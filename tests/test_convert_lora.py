"""LoRA adapters of PEFT to GGUF, by the command line: bases that our own builders wrote, adapters
with random numbers. What transformers and peft make of them: ``test_convert_lora_models.py``."""

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import tiny_llama
from layouts import lora_folder, safetensors_file, torch_zip, write_json
from terminal import Typed

from llmrr.formats import gguf

RANK = 4
# Of the base that ``tiny_llama`` writes: 64 wide, heads of 16 numbers, 4 of queries and 2 of keys.
LAYERS = {
    "layers.0.self_attn.q_proj": (64, 64),
    "layers.0.self_attn.k_proj": (32, 64),
    "layers.1.mlp.down_proj": (64, 128),
}
Tensors = dict[str, "np.ndarray[Any, Any]"]


@pytest.fixture
def base(typed: Typed) -> Path:
    """A folder of Hugging Face, and the GGUF file beside it, tiny.gguf, that it was made from."""
    tiny_llama(Path("tiny.gguf"))
    assert typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "base").code == 0
    return Path("base")


def halves(modules: Mapping[str, tuple[int, int]] = LAYERS, rank: int = RANK) -> Tensors:
    """A and B of every module, named as PEFT does."""
    random = np.random.default_rng(4)
    found: Tensors = {}
    for module, (rows, columns) in modules.items():
        name = f"base_model.model.model.{module}.lora_"
        found[f"{name}A.weight"] = random.normal(0, 0.2, (rank, columns)).astype(np.float32)
        found[f"{name}B.weight"] = random.normal(0, 0.2, (rows, rank)).astype(np.float32)
    return found


def adapter(tensors: Tensors | None = None, folder: str = "adapter", **stated: Any) -> Path:
    """An adapter as PEFT saves it."""
    tensors = halves() if tensors is None else tensors
    place = Path(folder)
    whole = {"peft_type": "LORA", "r": RANK, "lora_alpha": 6, "bias": "none", **stated}
    write_json(place / "adapter_config.json", whole)
    path = safetensors_file(place / "adapter_model.safetensors", shapes(tensors))
    raw = b"".join(one.tobytes() for one in tensors.values())
    path.write_bytes(path.read_bytes()[: -len(raw)] + raw)
    return place


def shapes(tensors: Tensors) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {name: ("F32", one.shape) for name, one in tensors.items()}


def numbers(path: Path, name: str) -> Any:
    """A tensor of a GGUF file in single precision."""
    header = gguf.read_header(path)
    info = next(one for one in header.tensors if one.name == name)
    assert info.type_name == "F32"
    raw = header.source.read(header.data_offset + info.offset, info.bytes)
    return np.frombuffer(raw, "<f4").reshape(info.dims[::-1])


def test_rows_of_b_get_the_order_of_the_weight(typed: Typed, base: Path) -> None:
    tensors = halves()
    adapter(tensors)
    done = typed("convert", "adapter", "--to", "gguf", "--base", "base", "-O", "out.gguf", "--json")
    assert done.code == 0, done.out + done.err
    checks = {one["name"]: one for one in done.json["steps"][0]["checks"]}
    assert checks.keys() == {"tensors", "effect"}
    assert "all 2 layers in numpy and in llama.cpp: what it gives changes by" in (
        checks["effect"]["detail"]
    )
    prefix = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    # transformers rotates the first half of a head against the second, llama.cpp neighbours.
    order = [16 * head + half * 8 + i for head in range(4) for i in range(8) for half in (0, 1)]
    written = numbers(Path("out.gguf"), "blk.0.attn_q.weight.lora_b")
    assert np.array_equal(written, tensors[f"{prefix}B.weight"][order])
    written = numbers(Path("out.gguf"), "blk.0.attn_q.weight.lora_a")
    assert np.array_equal(written, tensors[f"{prefix}A.weight"])
    header = gguf.read_header(Path("out.gguf"))
    assert header.text("general.architecture") == "llama"
    assert (header.text("general.type"), header.text("adapter.type")) == ("adapter", "lora")
    assert header.number("adapter.lora.alpha") == 6
    assert header.metadata["llmrr.verified"] is True
    assert len(header.tensors) == 6


def test_the_engine_takes_it_with_the_base(typed: Typed, base: Path) -> None:
    adapter()
    done = typed("convert", "adapter", "--to", "gguf", "--base", "base", "-O", "out.gguf")
    assert done.code == 0
    assert "-o lora" in done.out  # and not how to run it alone
    ask = ("run", "-m", "tiny.gguf", "--raw", "--temperature", "0", "--max-tokens", "24", "ab")
    plain, changed = typed(*ask), typed(*ask, "-o", "lora", "out.gguf")
    assert changed.code == 0, changed.err
    assert plain.out != changed.out


def test_one_file_of_it_can_be_named(typed: Typed, base: Path) -> None:
    adapter()
    done = typed("convert", "adapter/adapter_model.safetensors", "--to", "gguf", "--base", "base",
                 "-O", "out.gguf")  # fmt: skip
    assert done.code == 0, done.err


def test_from_a_pickle_it_is_one_plan(typed: Typed, base: Path) -> None:
    tensors = halves()
    adapter(tensors)
    Path("adapter/adapter_model.safetensors").unlink()
    torch_zip(
        Path("adapter/adapter_model.bin"), shapes(tensors),
        values={name: one.tobytes() for name, one in tensors.items()},
    )  # fmt: skip
    ask = ("convert", "adapter", "--to", "gguf", "--base", "base", "-O", "out.gguf", "--json")
    planned = typed(*ask, "--dry-run")
    assert [one["format"] for one in planned.json["steps"]] == ["safetensors", "gguf"]
    done = typed(*ask)
    assert done.code == 0, done.out + done.err
    assert [len(one["checks"]) for one in done.json["steps"]] == [1, 2]
    assert sorted(one.name for one in Path().iterdir()) == [
        "adapter", "base", "out.gguf", "tiny.gguf",
    ]  # fmt: skip


def test_without_a_check_its_metadata_says_so(typed: Typed, base: Path) -> None:
    adapter()
    done = typed("convert", "adapter", "--to", "gguf", "--base", "base", "--no-verify", "-O",
                 "out.gguf")  # fmt: skip
    assert done.code == 0, done.err
    assert gguf.read_header(Path("out.gguf")).metadata["llmrr.verified"] is False


def test_a_kept_one_is_no_model_to_run(typed: Typed, base: Path) -> None:
    adapter()
    done = typed("convert", "adapter", "--to", "gguf", "--base", "base")
    assert done.code == 0, done.err
    assert "give it to its model" in done.out
    assert typed("list", "--json").json[0]["name"] == "adapter:f32"
    assert typed("run", "-m", "adapter:f32", "hello").code == 4


# -- the base --------------------------------------------------------------------------------------


def cached(repository: str, base: Path) -> None:
    """Put the configuration of a base, and nothing else, where the hub's client keeps it."""
    import os

    folder = Path(os.environ["HF_HOME"]) / "hub" / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    shutil.copy(base / "config.json", snapshot)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("c" * 40)


@pytest.mark.parametrize("name", ["./base", "org/small", "small"])
def test_a_base_that_is_here_is_found(typed: Typed, base: Path, name: str) -> None:
    if name != "./base":
        cached(name, base)
    adapter(base_model_name_or_path=name)
    done = typed("convert", "adapter", "--to", "gguf", "-O", "out.gguf", "--json")
    assert done.code == 0, done.out + done.err
    effect = done.json["steps"][0]["checks"][1]["detail"]
    assert ("in llama.cpp: what it gives changes" in effect) == (name == "./base")
    assert ("is not verified" in effect) == (name != "./base")  # of that there is no weight


@pytest.mark.parametrize("stated", [{}, {"base_model_name_or_path": "org/elsewhere"}])
def test_an_unknown_base_is_asked_for(
    typed: Typed, base: Path, stated: dict[str, str]
) -> None:
    adapter(**stated)
    said = typed("convert", "adapter", "--to", "gguf", "-O", "out.gguf")
    assert said.code == 3
    assert "--base DIR" in said.err
    assert not Path("out.gguf").exists()


def test_a_base_in_gguf_will_do(typed: Typed, base: Path) -> None:
    adapter()
    one = ("convert", "adapter", "--to", "gguf", "--base")
    done = typed(*one, "tiny.gguf", "-O", "one.gguf", "--json")
    assert done.code == 0, done.out + done.err
    assert "tiny.gguf runs with it" in done.json["steps"][0]["checks"][1]["detail"]
    assert typed(*one, "base", "-O", "two.gguf").code == 0
    assert Path("one.gguf").read_bytes() == Path("two.gguf").read_bytes()


def test_a_base_without_a_configuration(typed: Typed) -> None:
    adapter()
    Path("empty").mkdir()
    said = typed("convert", "adapter", "--to", "gguf", "--base", "empty", "-O", "out.gguf")
    assert (said.code, "config.json" in said.err) == (3, True)
    said = typed("convert", "adapter", "--to", "gguf", "--base", "./nowhere", "-O", "out.gguf")
    assert said.code == 3


def test_an_adapter_of_another_model(typed: Typed, base: Path) -> None:
    adapter(halves({"layers.7.self_attn.q_proj": (64, 64)}))
    said = typed("convert", "adapter", "--to", "gguf", "--base", "base", "-O", "out.gguf")
    assert said.code == 4
    assert "layers.7.self_attn.q_proj" in said.err
    adapter(halves({"layers.0.self_attn.q_proj": (80, 64)}))
    said = typed("convert", "adapter", "--to", "gguf", "--base", "base", "-O", "out.gguf")
    assert said.code == 4
    assert "80 by 64, where the base has 64 by 64" in said.err


@pytest.mark.parametrize("prefix", ["model.language_model.", "language_model.model."])
def test_the_text_part_of_a_model_of_several(typed: Typed, base: Path, prefix: str) -> None:
    """What the adapter changes in the part that sees is left out, and that is said."""
    config = json.loads((base / "config.json").read_text())
    text = {key: one for key, one in config.items() if key != "architectures"}
    write_json(Path("whole/config.json"), {**config, "text_config": text})
    tensors = {name.replace(".model.model.", f".model.{prefix}"): one
               for name, one in halves().items()}  # fmt: skip
    for half, shape in (("A", (RANK, 40)), ("B", (40, RANK))):
        name = f"base_model.model.model.vision_tower.layers.0.mlp.fc1.lora_{half}.weight"
        tensors[name] = np.zeros(shape, np.float32)
    adapter(tensors)
    done = typed("convert", "adapter", "--to", "gguf", "--base", "whole", "-O", "out.gguf")
    assert done.code == 0, done.err
    assert "only the part for text" in done.err
    assert len(gguf.read_header(Path("out.gguf")).tensors) == 6


def test_a_base_for_what_is_no_adapter(typed: Typed, base: Path) -> None:
    said = typed("convert", "base", "--to", "gguf", "--base", "base", "-O", "out.gguf")
    assert said.code == 2
    assert "--base" in said.err


# -- scales ----------------------------------------------------------------------------------------


def test_the_alpha_of_most_is_that_of_the_file(typed: Typed, base: Path) -> None:
    tensors = halves()
    adapter(tensors, alpha_pattern={"k_proj": 24})
    done = typed("convert", "adapter", "--to", "gguf", "--base", "base", "-O", "out.gguf")
    assert done.code == 0, done.err
    assert gguf.read_header(Path("out.gguf")).number("adapter.lora.alpha") == 6
    name = "base_model.model.model.layers.0.self_attn.k_proj.lora_B.weight"
    written = numbers(Path("out.gguf"), "blk.0.attn_k.weight.lora_b")
    assert sorted(written.flat) == sorted((tensors[name] * np.float32(4)).flat)


def test_a_root_of_the_rank_goes_into_alpha(typed: Typed, base: Path) -> None:
    adapter(halves(rank=8), r=8, use_rslora=True)
    done = typed("convert", "adapter", "--to", "gguf", "--base", "base", "-O", "out.gguf")
    assert done.code == 0, done.err
    alpha = gguf.read_header(Path("out.gguf")).number("adapter.lora.alpha")
    assert alpha == pytest.approx(6 * math.sqrt(8))


def test_single_ranks_are_known_by_their_tensors(typed: Typed, base: Path) -> None:
    tensors = halves({"layers.0.self_attn.q_proj": (64, 64)})
    tensors |= halves({"layers.1.mlp.down_proj": (64, 128)}, rank=7)
    adapter(tensors, rank_pattern={r".*\.down_proj": 7})
    done = typed("convert", "adapter", "--to", "gguf", "--base", "base", "-O", "out.gguf")
    assert done.code == 0, done.err
    assert numbers(Path("out.gguf"), "blk.1.ffn_down.weight.lora_b").shape == (64, 7)


@pytest.mark.parametrize(("quant", "kinds"), [("f16", {"F16"}), ("q8_0", {"Q8_0", "F16"})])
def test_types(typed: Typed, base: Path, quant: str, kinds: set[str]) -> None:
    adapter()
    done = typed("convert", "adapter", "--to", "gguf", "--base", "base", "--quant", quant, "-O",
                 "out.gguf")  # fmt: skip
    assert done.code == 0, done.err
    assert {one.type_name for one in gguf.read_header(Path("out.gguf")).tensors} == kinds
    said = typed("convert", "adapter", "--to", "gguf", "--base", "base", "--quant", "q4_k_m", "-O",
                 "more.gguf")  # fmt: skip
    assert (said.code, "q8_0" in said.err) == (4, True)


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"peft_type": "IA3"}, "'IA3'"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "bias = 'all'"),
        ({"init_lora_weights": "olora"}, "'olora'"),
        ({"init_lora_weights": "pissa_niter_4"}, "'pissa_niter_4'"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "layer_replication"),
        ({"use_qalora": True}, "QA-LoRA"),
        ({"alora_invocation_tokens": [1, 2]}, "activated LoRA"),
        ({"lora_alpha": 0}, "lora_alpha = 0"),
        ({"lora_alpha": "much"}, "'much'"),
        ({"r": 0}, "its r is '0'"),
        ({"r": 5}, "rank 5"),
        ({"rank_pattern": {"(": 3}}, "is no pattern"),
    ],
)
def test_configurations(typed: Typed, base: Path, stated: dict[str, Any], said: str) -> None:
    adapter(**stated)
    seen = typed("convert", "adapter", "--to", "gguf", "--base", "base", "-O", "out.gguf")
    assert seen.code == 4, seen.err
    assert said in seen.err
    assert not Path("out.gguf").exists()


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("base_model.model.lm_head.weight", (64, 64), "lm_head.weight"),
        ("base_model.model.model.norm.weight", (64,), "model.norm.weight"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", (64,), "DoRA"),
        ("base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight", (4, 64), "lacks lora_B"),
    ],
)
def test_tensors_that_are_no_pair(
    typed: Typed, base: Path, name: str, shape: tuple[int, ...], said: str
) -> None:
    adapter(halves() | {name: np.zeros(shape, np.float32)})
    seen = typed("convert", "adapter", "--to", "gguf", "--base", "base", "-O", "out.gguf")
    assert seen.code == 4
    assert said in seen.err


def test_one_table_for_tokens_and_output_is_not_changed_in_part(typed: Typed) -> None:
    tiny_llama(Path("tied.gguf"), tied=True)
    table = next(one for one in gguf.read_header(Path("tied.gguf")).tensors if "embd" in one.name)
    size = table.dims[1]
    tensors = {
        "base_model.model.lm_head.lora_A.weight": np.ones((RANK, 64), np.float32),
        "base_model.model.lm_head.lora_B.weight": np.ones((size, RANK), np.float32),
    }
    adapter(halves() | tensors)
    seen = typed("convert", "adapter", "--to", "gguf", "--base", "tied.gguf", "-O", "out.gguf")
    assert seen.code == 4
    assert "tie_word_embeddings" in seen.err


def test_a_wrong_result_is_not_kept(
    typed: Typed, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B without the order of its rows: what is written is read back as planned, and its effect is
    another."""
    from llmrr.convert.lora import planning

    adapter()
    usual = planning._rule
    monkeypatch.setattr(
        planning, "_rule", lambda rule=None, scale=1.0, **more: usual(None, scale, **more)
    )
    seen = typed("convert", "adapter", "--to", "gguf", "--base", "base", "-O", "out.gguf")
    assert seen.code == 9
    assert "effect" in seen.err
    assert not Path("out.gguf").exists()


def test_other_targets_and_other_tools(typed: Typed, base: Path) -> None:
    adapter()
    seen = typed("convert", "adapter", "--to", "onnx", "-O", "out")
    assert (seen.code, "--to gguf" in seen.err) == (4, True)
    lora_folder(Path("mlx"), mlx=True)
    seen = typed("convert", "mlx", "--to", "gguf", "--base", "base", "-O", "out.gguf")
    assert (seen.code, "mlx_lm.fuse" in seen.err) == (4, True)
