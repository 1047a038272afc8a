"""Which files of a source are the model: ``format``, ``file``, ``revision`` of ``[[models]]``."""

import shutil
from pathlib import Path

import builders
import decoders
import layouts
import pytest

from llmrr import Message, Request, Router, Sampling, config
from llmrr.errors import BadConfig
from llmrr.types import Format

ASK = Request(messages=(Message("user", "hi"),), sampling=Sampling(temperature=0.0, max_tokens=2))


def configured(models: str) -> None:
    (Path.cwd() / "llmrr.toml").write_text(models)


def model(source: str, *lines: str, name: str = "m") -> str:
    own = [line for line in lines if not line.startswith("options.")]
    options = [line.removeprefix("options.") for line in lines if line.startswith("options.")]
    return "\n".join(["[[models]]", f"name = '{name}'", f"source = '{source}'", *own,
                      "[models.options]", *options, ""])  # fmt: skip


@pytest.fixture
def both() -> Path:
    """A folder with a GGUF model and an ONNX one."""
    folder = Path.cwd() / "both"
    decoders.beside(folder)
    decoders.decoder(folder / "model.onnx")
    builders.tiny_llama(folder / "tiny.gguf")
    return folder


@pytest.mark.parametrize(
    ("stated", "engine"),
    [((), "llamacpp"), (("format = 'gguf'",), "llamacpp"), (("format = 'onnx'",), "onnx"),
     (("format = 'huggingface'",), "llamacpp"), (("options.file = 'model.onnx'",), "onnx"),
     (("engine = 'native'",), "llamacpp")],
)  # fmt: skip
def test_what_runs_of_a_folder_with_two_models(
    both: Path, stated: tuple[str, ...], engine: str
) -> None:
    configured(model("file:./both", *stated))
    with Router() as router:
        answer = router.run(ASK)
        list(answer)
        assert answer.engine == engine


def test_a_format_that_the_files_do_not_have(both: Path) -> None:
    for source, wanted in (("file:./both", "pytorch"), ("file:./both/tiny.gguf", "onnx")):
        configured(model(source, f"format = '{wanted}'"))
        said = rf"is gguf, and holds no {wanted}; m has format = {wanted} \(.*llmrr.toml\)"
        with Router() as router, pytest.raises(BadConfig, match=said):
            router.run(ASK)


def test_safetensors_and_pickles_beside_a_gguf(both: Path, tmp_path: Path) -> None:
    from llmrr import formats

    other = layouts.hf_folder(tmp_path / "hf")
    for file in other.iterdir():
        shutil.copy(file, both / file.name)
    (both / "pytorch_model.bin").write_bytes(layouts.state_dict(layouts.llama_tensors()))
    for wanted in (Format.SAFETENSORS, Format.PYTORCH, Format.ONNX, Format.GGUF):
        assert formats.detect(formats.of_format(both, wanted)) is wanted


def test_names_of_another_world_are_taken_with_a_notice(both: Path) -> None:
    configured(model("file:./both", "engine = 'native'", "format = 'huggingface'"))
    engine, form = sorted(config.load().warnings)
    assert "models[0].engine = \"native\" is taken as llamacpp (" in engine
    assert engine.endswith("llmrr.toml, line 4)")
    assert "models[0].format = \"huggingface\" is taken as what its files are (" in form


@pytest.mark.parametrize(
    ("source", "lines", "said"),
    [("openai:gpt", ["format = 'onnx'"], "a source of openai: has no format"),
     ("openai:gpt", ["options.file = 'a'"], "a source of openai: has no file"),
     ("ollama:a", ["options.revision = 'v1'"], "a source of ollama: has no revision"),
     ("file:./both", ["options.revision = 'v1'"], "a source of file: has no revision"),
     ("file:./both", ["options.file = '../x.gguf'"], "'../x.gguf' is no path inside the folder"),
     ("file:./both", ["options.file = '/x.gguf'"], "'/x.gguf' is no path inside the folder"),
     ("huggingface:o/r:Q4_K_M", ["options.file = 'a.gguf'"], "names a part already"),
     ("huggingface:o/r/b.gguf", ["options.file = 'a.gguf'"], "names a part already"),
     ("huggingface:o/r@v1", ["options.revision = 'v2'"], "names a revision already"),
     ("file:./both", ["format = 'zip'"], 'format = "zip" is not one of "gguf"'),
     ("huggingface:o/r", ["options.revision = 'a b'"], "is not the name of a branch or tag")],
)  # fmt: skip
def test_what_does_not_go_together(source: str, lines: list[str], said: str) -> None:
    configured(model(source, *lines))
    with pytest.raises(BadConfig) as caught:
        config.load()
    assert said in caught.value.message
    assert "llmrr.toml, line" in caught.value.message


def test_file_and_revision_are_a_part_of_the_source() -> None:
    both = "options.file = 'sub/a.gguf'", "options.revision = 'v1.0'"
    configured(
        model("hf:o/r", *both, name="a")
        + model("o/r:Q4_K_M", "options.revision = 'main'", name="b")
        + model("o/r@v2", "options.file = 'a.gguf'", name="c")
    )
    assert [(one.source, one.options) for one in config.load().models] == [
        ("huggingface:o/r/sub/a.gguf@v1.0", {}),
        ("o/r:Q4_K_M@main", {}),
        ("huggingface:o/r/a.gguf@v2", {}),
    ]
