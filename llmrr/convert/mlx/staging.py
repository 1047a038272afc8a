"""What MLX is given: a folder with links to the weights and with nothing that could be run.

mlx-lm reads every ``model*.safetensors`` of a folder, copies its ``*.py`` and looks up code that
config.json names. Here are only the files that the model's index lists, under the names that
mlx-lm looks for, and a config.json without such words.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from llmrr.convert.base import Source
from llmrr.engines.mlx.weights import config_of, tensors_of, weight_files
from llmrr.formats.json_file import read_object
from llmrr.formats.source import FileSource
from llmrr.formats.tokenizer import VOCABULARIES

BESIDE = ("generation_config.json", "hf_quant_config.json")
TOKENIZER = (
    *VOCABULARIES, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "chat_template.jinja", "chat_template.json",
)  # fmt: skip
TEMPLATES = "additional_chat_templates"
CARD = ("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt")


def settings_of(source: Source, path: Path) -> Path:
    """The folder with config.json and the tokenizer for the weights at ``path``."""
    if source.settings is not None:
        return source.settings
    return path if path.is_dir() else path.parent


def stage(source: Source, path: Path, into: Path) -> Path:
    """Make the folder ``into``. Raises ``DamagedFile``, ``NotFound``, ``Unsupported``."""
    into.mkdir()
    files = weight_files(path)
    for number, file in enumerate(files, 1):
        name = f"model-{number:05d}-of-{len(files):05d}.safetensors"
        (into / name).symlink_to(file.resolve())
    folder = settings_of(source, path)
    config = config_of(folder, tensors_of(files))
    (into / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name in BESIDE:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, into / name)
    return into


def copy_tokenizer(folder: Path, into: Path) -> None:
    """The tokenizer's files, as they are, so that its tokens stay the same. Code is left out, and
    so are the words that name it."""
    into.mkdir(exist_ok=True)
    for path in _present(folder):
        target = into / path.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    stated = into / "tokenizer_config.json"
    if stated.is_file() and "auto_map" in (config := read_object(FileSource.of(stated))):
        rest = {key: value for key, value in config.items() if key != "auto_map"}
        stated.write_text(json.dumps(rest, ensure_ascii=False, indent=2), encoding="utf-8")


def _present(folder: Path) -> Iterator[Path]:
    yield from (path for name in (*TOKENIZER, *CARD) if (path := folder / name).is_file())
    yield from (path for path in sorted((folder / TEMPLATES).glob("*.jinja")) if path.is_file())
