"""The folder that optimum sees: links to the weights, to the tokenizer and to the settings, and
nothing else of the source. There is no code and no pickle in it, and its config.json names none."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from llmrr import formats
from llmrr.formats import FolderFiles
from llmrr.formats.json_file import read_beside
from llmrr.formats.safetensors_header import read_header

# What belongs to a tokenizer, and what says how the model is meant to be used.
TOKENIZER: Final = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "spm.model",
    "sentencepiece.bpe.model", "sentencepiece.model", "source.spm", "target.spm", "bpe.codes",
    "tiktoken.model", "tekken.json", "chat_template.jinja", "chat_template.json",
)  # fmt: skip
SETTINGS: Final = (
    "generation_config.json", "modules.json", "sentence_bert_config.json",
    "config_sentence_transformers.json", "1_Pooling/config.json",
)  # fmt: skip
CODE: Final = ("auto_map", "custom_pipelines")  # keys that name Python files


@contextmanager
def staged(weights: Path, settings: Path, beside: Path) -> Iterator[Path]:
    """The folder, in ``beside``, as long as the block lasts. Raises ``DamagedFile`` for weights
    whose headers or index are not what they must be."""
    with TemporaryDirectory(prefix=".source-", dir=beside) as name:
        folder = Path(name)
        _link_weights(weights, folder)
        copy_settings(settings, folder, link=True)
        yield folder


def copy_settings(settings: Path, target: Path, *, link: bool = False) -> None:
    """Put config.json, without what names code, and the tokenizer into ``target``."""
    files = FolderFiles(settings)
    for name in ("config.json", "tokenizer_config.json"):
        if name in files.sizes:
            _write(target / name, _without_code(read_beside(files, name)))
    for name in (*TOKENIZER, *SETTINGS):
        if name in files.sizes and not (target / name).exists():
            (target / name).parent.mkdir(exist_ok=True)
            if link:
                (target / name).symlink_to((settings / name).resolve())
            else:
                shutil.copyfile(settings / name, target / name)


def _link_weights(weights: Path, folder: Path) -> None:
    """One file, or several with an index that says what each was found to hold."""
    files, layout = formats.laid_out(weights)
    root = weights if weights.is_dir() else weights.parent
    names = list(layout.weights)
    index: dict[str, str] = {}
    for at, name in enumerate(names):
        called = _called(at, len(names))
        index |= {tensor.name: called for tensor in read_header(files.source(name)).tensors}
        (folder / called).symlink_to(os.path.realpath(root / name))
    if len(names) > 1:
        _write(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": index})


def _called(at: int, count: int) -> str:
    """
    >>> _called(0, 1), _called(0, 2)
    ('model.safetensors', 'model-00001-of-00002.safetensors')
    """
    return "model.safetensors" if count == 1 else f"model-{at + 1:05}-of-{count:05}.safetensors"


def _without_code(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in CODE}


def _write(path: Path, table: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
