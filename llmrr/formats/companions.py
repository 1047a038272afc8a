"""Files that go with a model and are none themselves."""

import re
from pathlib import Path, PurePosixPath
from shlex import quote

from llmrr import formats
from llmrr.errors import Unsupported
from llmrr.types import Format

# What Transformers, its tokenizers, PEFT, sentence-transformers, MLX, Mistral and the exporters to
# ONNX write beside weights.
_WRITTEN = frozenset({
    "config.json", "generation_config.json", "configuration.json", "params.json",
    "adapter_config.json", "preprocessor_config.json", "processor_config.json",
    "video_preprocessor_config.json", "quantize_config.json", "quantization_config.json",
    "quant_config.json", "hf_quant_config.json", "modules.json", "sentence_bert_config.json",
    "config_sentence_transformers.json", "genai_config.json", "tokenizer.json",
    "tokenizer_config.json", "tokenizer.model", "tekken.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "vocab.bpe", "merges.txt", "encoder.json",
    "dict.txt", "bpe.codes", "normalizer.json", "spiece.model", "sentencepiece.model",
    "sentencepiece.bpe.model", "source.spm", "target.spm", "chat_template.json",
    "chat_template.jinja",
})  # fmt: skip
_KINDS = re.compile(
    r"[\w.-]+\.safetensors\.index\.json|[\w.-]+\.tiktoken|tiktoken\.model|tokenizer\.model\.v\d\w*"
    r"|(.+/)?(additional_)?chat_templates/[\w.-]+\.jinja"
)
_TOLD = re.compile(r"(readme|licen[cs]e|notice|use_policy)([-._].*)?", re.IGNORECASE)
WORDS = {"adapter": "a LoRA adapter", "mmproj": "an image encoder"}


def is_configuration(name: str) -> bool:
    """Whether a file that lies beside weights is their configuration or tokenizer, by its name:
    beside them may also lie what somebody else put there.

    >>> [is_configuration(one) for one in ("a/generation_config.json", "merges.txt", "notes.txt")]
    [True, True, False]
    """
    return PurePosixPath(name).name in _WRITTEN or _KINDS.fullmatch(name) is not None


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
            f"llmrr convert {quote(str(path))} --to gguf" if info.kind == "adapter" == kind
            else "get it as GGUF; llmrr search TEXT finds what has been converted",
        )
    if info.kind != kind:
        what = WORDS.get(info.kind or "", info.kind or "a model")
        raise Unsupported(f"{path} is {what}, and not {WORDS[kind]}", f"llmrr show {path}")
