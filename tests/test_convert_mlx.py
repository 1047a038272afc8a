"""To MLX: what comes of a model in every mode, that it is checked, and what is said of what cannot
be converted."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import decoders
import numpy as np
import pytest
import tiny_transformers
import vocabularies
from asking import LONG, TEMPLATE
from terminal import Typed

from llmrr import formats, paths
from llmrr.convert import Done, Wish, open_source, plan, run
from llmrr.convert.mlx import process
from llmrr.convert.scratch import reclaim
from llmrr.engines.base import Options
from llmrr.engines.mlx import ENGINE
from llmrr.errors import (
    CheckFailed,
    DamagedFile,
    EngineFailed,
    LlmrrError,
    NotFound,
    Unsupported,
    UsageError,
)
from llmrr.formats.safetensors_header import read_header
from llmrr.formats.source import FileSource
from llmrr.types import Format, ModelFiles

pytestmark = pytest.mark.mlx

NAME = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose rows are groups of 64."""
    folder = decoders.beside(tmp_path_factory.mktemp("source") / "x", template=TEMPLATE)
    tiny_transformers.make(folder, "llama", intermediate_size=128)
    return folder


@pytest.fixture
def copy(tmp_path: Path, source: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def converted(folder: Path, target: Path, quant: str = "auto", **options: Any) -> Done:
    steps = plan(open_source(folder), Wish(Format.MLX, quant, options=options))
    return run(steps, folder, target)


def logits(folder: Path) -> np.ndarray:
    model = ENGINE.load(ModelFiles(folder, formats.detect(folder)), Options())
    found: np.ndarray = model.logits(model.tokenize(LONG))
    model.close()
    return found


def config_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found


def change(folder: Path, **config: object) -> None:
    (folder / "config.json").write_text(json.dumps({**config_of(folder), **config}))


def rewrite(file: Path, alter: Callable[[dict[str, np.ndarray]], object]) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(file)
    alter(tensors)
    save_file(tensors, file, metadata={"format": "mlx" if "made" in str(file) else "pt"})


# -- what comes of it ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quant", "options", "expected"),
    [
        ("4bit", {}, (4, 64, "affine")),
        ("2bit", {"group_size": 32}, (2, 32, "affine")),
        ("auto", {"bits": 3, "group_size": "32"}, (3, 32, "affine")),
        ("8bit", {"dtype": "bf16"}, (8, 64, "affine")),
        ("mxfp4", {}, (4, 32, "mxfp4")),
        ("mxfp8", {}, (8, 32, "mxfp8")),
        ("nvfp4", {}, (4, 16, "nvfp4")),
        ("auto", {"mode": "mxfp4"}, (4, 32, "mxfp4")),
    ],
    ids=str,
)
def test_bits_groups_and_modes(
    source: Path, tmp_path: Path, quant: str, options: dict[str, Any],
    expected: tuple[int, int, str],
) -> None:  # fmt: skip
    target = tmp_path / "made"
    done = converted(source, target, quant, **options)
    [(title, _, checks)] = done.steps
    assert [check.name for check in checks] == ["tokens", "tensors", "quality"]
    assert all(check.passed for check in checks)
    stated = config_of(target)["quantization"]
    assert (stated["bits"], stated["group_size"], stated.get("mode", "affine")) == expected
    info = formats.inspect(target)
    name = f"{expected[0]}bit" if expected[2] == "affine" else expected[2]
    assert (info.format, info.quant, name in title) == (Format.MLX, name, True)
    assert done.bytes == sum(file.stat().st_size for file in target.iterdir())
    # It runs, and is as far from its source as so few bits are.
    apart = np.abs(logits(target) - logits(source)).mean()
    assert 1e-4 < apart < (0.3 if expected[0] == 8 else 3)


@pytest.mark.parametrize(("quant", "kind"), [("auto", "F32"), ("bf16", "BF16"), ("f16", "F16")])
def test_what_is_not_quantized(source: Path, tmp_path: Path, quant: str, kind: str) -> None:
    target = tmp_path / "made"
    [(_, _, checks)] = converted(source, target, quant).steps
    assert all(check.passed for check in checks)
    [file] = target.glob("*.safetensors")
    assert {one.type for one in read_header(FileSource.of(file)).tensors} == {kind}
    apart = np.abs(logits(target) - logits(source)).max()
    assert apart == 0 if quant == "auto" else apart < 1


@pytest.mark.parametrize("quant", ["auto", "4bit"])
def test_experts_in_half_precision(tmp_path: Path, quant: str) -> None:
    """Which MLX does not multiply on a CPU as they are."""
    import torch

    folder = decoders.beside(tmp_path / "x", template=TEMPLATE)
    made = tiny_transformers.make(folder, "mixtral")
    made.to(torch.bfloat16).save_pretrained(folder)
    converted(folder, tmp_path / "made", quant, **({"group_size": 32} if quant != "auto" else {}))
    [file] = (tmp_path / "made").glob("*.safetensors")
    assert "F32" not in {one.type for one in read_header(FileSource.of(file)).tensors}
    assert np.isfinite(logits(tmp_path / "made")).all()


def test_a_mixture_of_bits(source: Path, tmp_path: Path) -> None:
    converted(source, tmp_path / "made", "mixed_3_6", group_size=32)
    stated = config_of(tmp_path / "made")["quantization"]
    assert {one["bits"] for one in stated.values() if isinstance(one, dict)} == {3, 6}
    assert np.isfinite(logits(tmp_path / "made")).all()


def test_a_model_in_several_files(tmp_path: Path) -> None:
    folder = decoders.beside(tmp_path / "x", template=TEMPLATE)
    made = tiny_transformers.make(folder, "qwen3")
    (folder / "model.safetensors").unlink()
    made.save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("*.safetensors"))) > 2
    converted(folder, tmp_path / "made", "4bit", group_size=32)
    assert np.isfinite(logits(tmp_path / "made")).all()


def test_a_tokenizer_of_sentencepiece(tmp_path: Path) -> None:
    """mlx-lm runs without tokenizer.json, and this engine does not: one is made, and compared."""
    pieces = vocabularies.spm_pieces()
    folder = tmp_path / "x"
    tiny_transformers.make(folder, "llama", vocab_size=len(pieces))
    (folder / "tokenizer.model").write_bytes(vocabularies.sentencepiece(pieces))
    stated = {"tokenizer_class": "LlamaTokenizer", "legacy": False, "bos_token": "<s>",
              "eos_token": "</s>", "unk_token": "<unk>"}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(stated))
    [(_, _, checks)] = converted(tmp_path / "x", tmp_path / "made").steps
    assert "have the tokens of tokenizer.model" in checks[0].detail
    assert np.isfinite(logits(tmp_path / "made")).all()


def test_no_code_of_the_model_travels(copy: Path, tmp_path: Path) -> None:
    (copy / "modeling_x.py").write_text("raise SystemExit(3)")
    change(copy, auto_map={"AutoModelForCausalLM": "modeling_x.Model"})
    tokenizer = json.loads((copy / "tokenizer_config.json").read_text())
    named = {**tokenizer, "auto_map": {"AutoTokenizer": ["modeling_x.Tokenizer", None]}}
    (copy / "tokenizer_config.json").write_text(json.dumps(named))
    converted(copy, tmp_path / "made", "4bit")
    assert not list((tmp_path / "made").glob("*.py"))
    assert "auto_map" not in "".join(
        (tmp_path / "made" / name).read_text() for name in ("config.json", "tokenizer_config.json")
    )


def test_on_the_command_line(source: Path, typed: Typed) -> None:
    out = Path("made")
    shown = typed("convert", str(source), "--to", "mlx", "--quant", "4bit", "--dry-run", "--json")
    assert (shown.code, out.exists()) == (0, False)
    done = typed("convert", str(source), "--to", "mlx", "--quant", "4bit", "-O", str(out))
    assert done.code == 0, done.err
    assert "quality" in done.out + done.err
    answer = typed("run", "./made", "hello", "--max-tokens", "3", "--json", "-o", "ignore_eos",
                   "true")  # fmt: skip
    assert answer.json["engine"] == "mlx"
    again = typed("convert", str(source), "--to", "mlx", "-O", str(out))
    assert (again.code, "is there already" in again.err) == (1, True)


def test_what_was_not_verified_says_so(source: Path, typed: Typed) -> None:
    typed("convert", str(source), "--to", "mlx", "--no-verify", "-O", "made")
    [file] = Path("made").glob("*.safetensors")
    assert read_header(FileSource.of(file)).metadata["llmrr.verified"] == "false"


# -- a result that is not its source ---------------------------------------------------------------


def flip(made: Path) -> None:
    """One weight of thousands."""
    [file] = made.glob("*.safetensors")
    rewrite(file, lambda one: one[NAME].reshape(-1).view(np.uint8).__setitem__(5, 255))


SPOILED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a packed word": ("4bit", flip, f"{NAME} deviates"),
    "a number": ("auto", flip, f"{NAME} has other numbers"),
    "a tensor that is gone": (
        "auto", lambda made: rewrite(made / "model.safetensors", lambda one: one.pop(NAME)),
        f"{NAME} is missing"),
    "one too many": (
        "auto", lambda made: rewrite(
            made / "model.safetensors", lambda one: one.update(x=np.ones(2, np.float32))),
        "x is not in the source"),
    "other tokens": (
        "auto", lambda made: (made / "tokenizer.json").write_text(
            (made / "tokenizer.json").read_text().replace('"a":', '"\\u0000":', 1).replace(
                '"b":', '"a":', 1)), "has other tokens|cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPOILED)
def test_a_failed_check_leaves_nothing(
    source: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    quant, spoil, words = SPOILED[kind]
    work = process.run

    def spoiled(task: str, arguments: dict[str, Any], told: Any) -> Any:
        found = work(task, arguments, told)
        if task == "convert":
            spoil(Path(arguments["target"]))
        return found

    monkeypatch.setattr(process, "run", spoiled)
    with pytest.raises((CheckFailed, LlmrrError), match=words):
        converted(source, Path("made").absolute(), quant)
    assert not list(Path().iterdir())
    done = typed("convert", str(source), "--to", "mlx", "--quant", quant, "-O", "made")
    assert done.code == (9 if "tokens" not in kind else done.code) != 0
    assert not list(Path().iterdir())


# -- what cannot be converted ----------------------------------------------------------------------


def index(folder: Path, other: str) -> None:
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    stated = {"weight_map": {"model.norm.weight": "model-1.safetensors", NAME: other}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(stated))


def spoil(value: float) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        rewrite(folder / "model.safetensors", lambda one: one[NAME].__setitem__((3, 3), value))

    return work


def shaped(folder: Path) -> None:
    rewrite(folder / "model.safetensors", lambda one: one.update({NAME: one[NAME][:9]}))


DAMAGE: dict[str, tuple[Callable[[Path], object], type[LlmrrError], str]] = {
    "half a file": (
        lambda at: (at / "model.safetensors").write_bytes(
            (at / "model.safetensors").read_bytes()[:-5000]), DamagedFile, "model.safetensors"),
    "a missing tensor": (
        lambda at: rewrite(at / "model.safetensors", lambda one: one.pop(NAME)),
        DamagedFile, "Missing 1 parameter"),
    "another shape": (shaped, DamagedFile, "Expected shape"),
    "no number": (spoil(float("nan")), DamagedFile, rf"{NAME} of the source holds .* \(NaN\)"),
    "an index that leads out": (
        lambda at: index(at, "../secret.safetensors"), DamagedFile, "outside of its folder"),
    "a file that is not there": (
        lambda at: index(at, "model-2.safetensors"), DamagedFile, "model-2"),
    "code": (lambda at: change(at, model_file="x.py"), Unsupported, r"wants 'x\.py' to be run"),
    "an architecture that is not there": (
        lambda at: change(at, model_type="llama9"), Unsupported, "no architecture 'llama9'"),
    "no architecture": (
        lambda at: change(at, model_type=3), DamagedFile, "does not state a model_type"),
    "packed already": (
        lambda at: change(at, quantization_config={"quant_method": "awq", "bits": 4}),
        Unsupported, "is quantized already"),
    "packed by others": (
        lambda at: change(at, quantization_config={"quant_method": "hqq"}),
        Unsupported, "by hqq, which mlx-lm does not read"),
    "no tokenizer": (lambda at: (at / "tokenizer.json").unlink(), Unsupported, "has no tokenizer"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_wrong_with_a_source_is_said(copy: Path, kind: str) -> None:
    damage, error, words = DAMAGE[kind]
    damage(copy)
    target = Path("made").absolute()
    with pytest.raises(error, match=words) as caught:
        converted(copy, target, "4bit")
    assert caught.value.hint
    assert {path.name for path in Path().iterdir()} == {"copy"}


@pytest.mark.parametrize(
    ("quant", "options", "error", "words"),
    [
        ("Q4_K_M", {}, Unsupported, "MLX has no type 'Q4_K_M'"),
        ("4bit", {"bits": 8}, UsageError, "4bit has bits 4, not 8"),
        ("bf16", {"bits": 8}, UsageError, "not quantized"),
        ("4bit", {"group_size": 48}, Unsupported, "group_size 48 is none"),
        ("7bit", {}, Unsupported, "bits 7 is none"),
        ("mxfp4", {"group_size": 64}, Unsupported, "group_size 64 is none that the mode mxfp4"),
        ("4bit", {"dtype": "f8"}, Unsupported, "dtype f8"),
        ("4bit", {"group_size": 128}, Unsupported, None),
    ],
    ids=str,
)
def test_what_cannot_be_asked_for(
    source: Path, quant: str, options: dict[str, Any], error: type[LlmrrError], words: str | None
) -> None:
    if words is None:  # some rows are groups of 128
        [step] = plan(open_source(source), Wish(Format.MLX, quant, options=options))
        assert "stay as they are" in step.notes[0]
        return
    with pytest.raises(error, match=words):
        plan(open_source(source), Wish(Format.MLX, quant, options=options))


def test_weights_without_a_configuration(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes((source / "model.safetensors").read_bytes())
    with pytest.raises(UsageError, match="weights alone"):
        open_source(file)
    steps = plan(open_source(file, source), Wish(Format.MLX, "4bit"))
    run(steps, file, tmp_path / "made")
    assert formats.inspect(tmp_path / "made").quant == "4bit"
    with pytest.raises(NotFound, match="no folder"):
        open_source(file, tmp_path / "nowhere")


def test_what_ends_the_helper_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for code, kind, said in (
        ("import os; os.kill(os.getpid(), 11)", EngineFailed, "signal 11"),
        ("import os; os.kill(os.getpid(), 9)", LlmrrError, "want of memory"),
        ("raise SystemExit('out of luck')", EngineFailed, "out of luck"),
    ):
        (tmp_path / "broken_helper.py").write_text(code)
        monkeypatch.setattr(process, "HELPER", "broken_helper")
        monkeypatch.setattr(process, "__file__", str(tmp_path / "a" / "b" / "c" / "process.py"))
        with pytest.raises(kind, match=said):
            process.run("convert", {}, lambda *words: None)


# -- killed --------------------------------------------------------------------------------------


def test_killed_at_one_moment(source: Path) -> None:
    killed_at_random(source, 2)


@pytest.mark.slow
def test_killed_at_random_moments(source: Path) -> None:
    assert killed_at_random(source, 20) >= 5


def killed_at_random(source: Path, times: int) -> int:
    """What is killed leaves nothing with a final name, and its space is taken back; how often it
    was met at work."""
    words = ["convert", str(source), "--to", "mlx", "--quant", "4bit", "-O"]
    command = [sys.executable, "-m", "llmrr", *words]
    random, whole, met = Random(1), 8.0, 0
    for number in range(times):
        out = Path(f"out-{number}")
        process = subprocess.Popen([*command, str(out)], stdout=-1, stderr=-1)
        began = time.monotonic()
        try:
            _, error = process.communicate(timeout=random.uniform(0.1, 1) * whole)
            assert process.returncode == 0, error
            whole = time.monotonic() - began
            assert (out / "model.safetensors").is_file()
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            met += bool(list(Path().glob(".llmrr-*")))
            if out.exists():  # it had been checked, and was whole
                assert np.isfinite(logits(out)).all()
    reclaim()
    assert not list(Path().glob(".llmrr-*"))
    assert not list((paths.data_dir() / "scratch").glob("*"))
    assert all(path.name.startswith("out-") for path in Path().iterdir())
    return met
