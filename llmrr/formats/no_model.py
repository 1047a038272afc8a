"""What a folder without a model holds instead, and what helps."""

from collections.abc import Iterable

from llmrr.errors import DamagedFile, LlmrrError, NotFound, Unsupported
from llmrr.formats.detection import foreign, known
from llmrr.formats.json_file import read_beside, text
from llmrr.formats.messages import listed
from llmrr.formats.source import Files
from llmrr.formats.tokenizer import VOCABULARIES

# Names of files that were meant to be weights: what they are instead is the reason.
WEIGHTS = (
    ".gguf", ".ggml", ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".h5", ".keras",
    ".msgpack", ".tflite", ".ort", ".npz", ".pkl", ".zip", ".gz", ".zst", ".7z", ".xz", ".tar",
)  # fmt: skip
DATA = (b"PAR1", b"ARROW1")
DATASET = ("dataset_info.json", "dataset_dict.json")


def nothing(files: Files) -> LlmrrError:
    """The error for a folder that holds no model."""
    here = [name for name in files.sizes if "/" not in name]
    if not files.sizes:
        return NotFound(f"{files} holds no model", "name a .gguf file, or a folder with one in it")
    if pipeline := text(read_beside(files, "model_index.json"), "_class_name"):
        return Unsupported(
            f"{files} is a diffusers pipeline ({pipeline}), not a language model",
            "name the folder of a language model",
        )
    return (
        _broken_weights(files, here)
        or _data(files)
        or _deeper(files)
        or _without_weights(files, here)
        or Unsupported(
            f"{files} holds no model: only {listed(files.sizes)}",
            "name a .gguf file, or a folder with one in it",
        )
    )


def _broken_weights(files: Files, here: Iterable[str]) -> LlmrrError | None:
    for name in here:
        if name.endswith(WEIGHTS) and name not in VOCABULARIES:
            error = foreign(files.source(name))
            kind = DamagedFile if isinstance(error, DamagedFile) else Unsupported
            return kind(f"{files} holds no model: {error.message}", error.hint)
    return None


def _without_weights(files: Files, here: list[str]) -> LlmrrError | None:
    if "adapter_config.json" in files.sizes:
        return DamagedFile(
            f"{files} has the configuration of a LoRA adapter and no weights",
            "get the whole repository",
        )
    tokenizer = [name for name in here if name in VOCABULARIES or name.startswith("tokenizer")]
    if "config.json" in files.sizes:
        family = text(read_beside(files, "config.json"), "model_type")
        also = " and tokenizer" if tokenizer else ""
        return Unsupported(
            f"{files} has the configuration{also} of a model{f' ({family})' if family else ''} "
            "and no weights",
            "get the whole repository",
        )
    if any(name in VOCABULARIES for name in tokenizer):
        return Unsupported(
            f"{files} holds only a tokenizer: {listed(tokenizer)}",
            "name the folder of a whole model",
        )
    return None


def _data(files: Files) -> LlmrrError | None:
    if any(name in files.sizes for name in DATASET) or any(
        files.source(name).read(0, 8).startswith(DATA) for name in files.sizes
    ):
        return Unsupported(f"{files} holds a dataset, not a model", "name the folder of a model")
    return None


def _deeper(files: Files) -> LlmrrError | None:
    for name in files.sizes:
        if "/" in name and known(files.source(name)):
            folder = name.rpartition("/")[0]
            return Unsupported(
                f"{files} holds no model itself; there is one in {folder}", f"name {files}/{folder}"
            )
    return None
