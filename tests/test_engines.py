"""Which engine runs what, and why."""

import json
from pathlib import Path

import decoders
import pytest
from fakes import FakeEngine
from terminal import Typed

from llmrr import engines
from llmrr.engines import for_format
from llmrr.errors import FeatureMissing, UsageError
from llmrr.types import Format


class Absent(FakeEngine):
    """One that is not installed, for the same files and others."""

    name = "absent"
    formats = frozenset({Format.GGUF, Format.MLX})
    optional = True

    def missing(self) -> str | None:
        return "pip install absent"


class Other(FakeEngine):
    name = "other"


def test_the_format_picks_the_engine() -> None:
    for format_, name in ((Format.GGUF, "llamacpp"), (Format.ONNX, "onnx")):
        picked = for_format(format_, "x")
        assert (picked.engine.name, str(format_) in picked.why) == (name, True)
    with pytest.raises(FeatureMissing, match="no engine here runs x: its format is pytorch"):
        for_format(Format.PYTORCH, "x")


def test_of_several_the_first_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "ENGINES", (Absent(), FakeEngine(), Other()))
    picked = for_format(Format.GGUF, "x")
    assert picked.engine.name == "fake"
    assert "absent is not installed" in picked.why
    assert for_format(Format.GGUF, "x", "other").engine.name == "other"
    monkeypatch.setattr(engines, "ENGINES", (FakeEngine(), Absent()))
    with pytest.raises(FeatureMissing, match="is mlx, and absent is not installed") as caught:
        for_format(Format.MLX, "x")
    assert caught.value.hint == "pip install absent"
    assert engines.runnable() == {Format.GGUF}
    monkeypatch.setattr(Absent, "missing", lambda self: None)
    assert engines.runnable() == {Format.GGUF, Format.MLX}


def test_a_folder_of_safetensors_is_converted_where_mlx_is_not_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from llmrr.engines.mlx import installed

    monkeypatch.setattr(installed, "_places", lambda package: [])
    assert Format.SAFETENSORS not in engines.runnable()
    with pytest.raises(FeatureMissing, match="its format is safetensors, and mlx is not") as caught:
        for_format(Format.SAFETENSORS, "./x")
    assert caught.value.hint.startswith("llmrr convert ./x --to gguf, or pip install ")
    with pytest.raises(FeatureMissing, match="mlx is not installed"):
        for_format(Format.MLX, "x")
    # It is said when it is opened, of the one that was asked for.
    assert for_format(Format.MLX, "x", "mlx").engine.missing()


def test_an_engine_that_does_not_run_the_format_names_those_that_do() -> None:
    with pytest.raises(FeatureMissing, match="onnx engine runs onnx, and x is gguf") as caught:
        for_format(Format.GGUF, "x", "onnx")
    assert "--engine llamacpp" in caught.value.hint
    with pytest.raises(UsageError, match='no engine "llama_cpp"') as unknown:
        for_format(Format.GGUF, "x", "llama_cpp")
    assert unknown.value.hint == "--engine llamacpp"


@pytest.fixture
def decoder(tmp_path: Path) -> Path:
    folder = decoders.beside(tmp_path / "tiny", template="{% for m in messages %}{{ m.content }}"
                             "{% endfor %}")  # fmt: skip
    decoders.decoder(folder / "onnx" / "model.onnx")
    return folder


def test_a_folder_of_onnx_answers_on_the_command_line(decoder: Path, typed: Typed) -> None:
    done = typed("run", "./tiny", "hello", "--temperature", "0", "--max-tokens", "5", "--json",
                 "--verbose", "-o", "ignore_eos", "true")  # fmt: skip
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert (answer["engine"], answer["usage"]["completion_tokens"]) == ("onnx", 5)
    assert "engine onnx: it runs onnx; on the CPU" in done.err
    bare = typed("run", "./tiny/onnx/model.onnx", "hello", "--temperature", "0", "--json",
                 "--max-tokens", "5", "-o", "ignore_eos", "true")  # fmt: skip
    assert json.loads(bare.out)["text"] == answer["text"]


@pytest.mark.parametrize("command", [("run", "-m", "./tiny", "x"), ("embed", "-m", "./tiny", "x")])
def test_another_engine_on_the_command_line(
    decoder: Path, typed: Typed, command: tuple[str, ...]
) -> None:
    done = typed(*command, "--engine", "llamacpp")
    assert (done.code, "llamacpp engine runs gguf, and tiny is onnx" in done.err) == (4, True)
    assert "--engine onnx" in done.err


def test_the_configuration_may_name_the_engine_and_its_settings(
    decoder: Path, typed: Typed, tmp_path: Path
) -> None:
    (tmp_path / "llmrr.toml").write_text(
        'version = 1\n[engines.onnx]\ncontext_size = 4\n'
        '[[models]]\nname = "a"\nsource = "file:./tiny"\nengine = "llamacpp"\n'
        '[[models]]\nname = "b"\nsource = "file:./tiny"\nengine = "onnx"\n'
    )  # fmt: skip
    assert "llamacpp engine runs gguf, and a is onnx" in typed("run", "-m", "a", "x").err
    assert "holds 4" in typed("run", "-m", "b", "long enough").err
    (tmp_path / "llmrr.toml").write_text('version = 1\n[engines.onnx]\nmmap = true\n')
    assert "engines.onnx.mmap" in typed("config", "check").out
