"""Files that go with a model and are none themselves."""

import re
from pathlib import Path, PurePosixPath

from llmrr import formats
from llmrr.errors import Unsupported
from llmrr.types import Format

# What Transformers, its tokenizers, PEFT, sentence-transformers, MLX and ONNX exporters write.
_WRITTEN = re.compile(
    r"(\w+_)?config(uration)?(_\w+)?\.json|tokenizer[\w.-]*\.(json|model|txt)"
    r"|(vocab|vocabulary|merges|added_tokens|special_tokens_map|modules|params|normalizer"
    r"|chat_template)\.(json|txt)|.+\.(index\.json|model|tiktoken|jinja)"
)
_TOLD = re.compile(r"(readme|licen[cs]e|notice|use_policy)([-._].*)?", re.IGNORECASE)
WORDS = {"adapter": "a LoRA adapter", "mmproj": "an image encoder"}


def is_configuration(name: str) -> bool:
    """Whether a file that lies beside weights is their configuration or tokenizer, by its name:
    beside them may also lie what somebody else put there.

    >>> [is_configuration(one) for one in ("a/generation_config.json", "merges.txt", "notes.txt")]
    [True, True, False]
    """
    return _WRITTEN.fullmatch(PurePosixPath(name).name) is not None


def is_about(name: str) -> bool:
    """Whether a file tells of a model, or of what may be done with it.

    >>> is_about("LICENSE.txt"), is_about("diary.md")
    (True, False)
    """
    return _TOLD.fullmatch(name) is not None


def require(path: Path, kind: str) -> None:
    """Raise ``Unsupported`` unless ``path`` is a GGUF file of this kind (a key of ``WORDS``), and
    ``NotFound`` where there is none."""
    info = formats.inspect(path)
    if info.format is not Format.GGUF:
        raise Unsupported(
            f"{path} is {info.format}, and {WORDS[kind]} has to be a GGUF file",
            "get it as GGUF; llmrr search TEXT finds what has been converted",
        )
    if info.kind != kind:
        what = WORDS.get(info.kind or "", info.kind or "a model")
        raise Unsupported(f"{path} is {what}, and not {WORDS[kind]}", f"llmrr show {path}")
