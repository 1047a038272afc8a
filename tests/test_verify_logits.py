"""The check "logits": MLX on the source against llama.cpp on the GGUF file."""

from pathlib import Path

import pytest
from checkpoints import bpe_tokenizer
from tiny_transformers import make

from llmrr.convert import Check, Done, Wish, open_source, plan, run
from llmrr.convert.verify import logits, structure
from llmrr.formats import gguf
from llmrr.types import Format


def quiet(what: str, done: int, total: int) -> None:
    pass


def converted(folder: Path, name: str, quant: str) -> Done:
    folder.mkdir()
    make(folder, name)
    bpe_tokenizer(folder, 384)
    steps = plan(open_source(folder), Wish(Format.GGUF, quant))
    return run(steps, folder, folder.with_suffix(".gguf"))


@pytest.mark.mlx
@pytest.mark.parametrize(
    ("name", "quant"),
    [("llama", "f32"), ("llama", "q8_0"), ("qwen3moe", "q8_0"), ("qwen3moe", "bf16"),
     ("gemma3", "f16"), ("gemma2", "f32"), ("stablelm", "bf16")],
)  # fmt: skip
def test_all_layers_of_a_right_conversion(tmp_path: Path, name: str, quant: str) -> None:
    [(_, _, checks)] = converted(tmp_path / "x", name, quant).steps
    assert [check.name for check in checks] == ["tensors", "tokens", "logits", "structure"]
    assert "all 3 layers" in checks[2].detail or "all 7 layers" in checks[2].detail
    assert "structure only" not in checks[3].detail


@pytest.mark.mlx
@pytest.mark.parametrize(
    ("name", "why"),
    [("falcon", "has no architecture 'falcon'"), ("phi3-longrope", "does not compute longrope")],
)
def test_what_mlx_does_not_compute_is_structure_only(tmp_path: Path, name: str, why: str) -> None:
    [(_, _, checks)] = converted(tmp_path / "x", name, "f32").steps
    assert [check.name for check in checks] == ["tensors", "tokens", "structure"]
    assert checks[2].detail.startswith("structure only, the first 2 layers")
    assert "not all layers: " in checks[2].detail and why in checks[2].detail


@pytest.mark.mlx
def test_a_mistake_in_a_late_layer_is_seen(tmp_path: Path) -> None:
    done = converted(tmp_path / "x", "llama", "f32")
    header = gguf.read_header(done.path)
    [late] = [one for one in header.tensors if one.name == "blk.2.attn_q.weight"]
    with done.path.open("r+b") as file:
        file.seek(header.data_offset + late.offset)
        rows = file.read(late.bytes)
        file.seek(header.data_offset + late.offset)
        file.write(rows[late.bytes // 2 :] + rows[: late.bytes // 2])  # other heads
    first = structure.check(tmp_path / "x", done.path, quiet)
    assert first.passed
    found = logits.beside(first, tmp_path / "x", done.path, quiet, tmp_path / "x")
    assert [(one.name, one.passed) for one in found] == [("logits", False), ("structure", True)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "x.gguf"]


def test_without_mlx_nothing_is_said(tmp_path: Path) -> None:
    first = Check("structure", True, "structure only, x")
    assert logits.beside(first, tmp_path, tmp_path, quiet, tmp_path) == [first]
