"""Files that go with a model and are none themselves."""

from pathlib import Path

from llmrr import formats
from llmrr.errors import Unsupported
from llmrr.types import Format

WORDS = {"adapter": "a LoRA adapter", "mmproj": "an image encoder"}


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
