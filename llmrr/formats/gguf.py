"""GGUF models: what a file, or all parts of a split one, says about the model inside.

Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and ``src/llama-arch.cpp`` of
llama.cpp. ``check`` (in ``gguf_check``) says whether llama.cpp may be trusted with the file.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from llmrr.formats.gguf_check import check, check_parts
from llmrr.formats.gguf_header import Array, Header, TensorInfo
from llmrr.formats.gguf_reader import read_header
from llmrr.formats.gguf_types import FILE_TYPES
from llmrr.formats.gguf_vocabulary import check_vocabulary
from llmrr.formats.parts import PART, missing, part_names
from llmrr.types import Format, ModelInfo, Sampling

__all__ = [
    "Header",
    "check",
    "check_file",
    "check_vocabulary",
    "describe",
    "inspect",
    "part_paths",
    "read_header",
    "read_parts",
]

# llama.cpp's llm_arch_is_recurrent and llm_arch_is_hybrid, src/llama-arch.cpp.
# fmt: off
RECURRENT = frozenset({
    "mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7", "jamba", "falcon-h1", "plamo2",
    "granitehybrid", "lfm2", "lfm2moe", "nemotron_h", "nemotron_h_moe", "qwen3next",
    "kimi-linear", "bailingmoe3", "kimi-k3", "glm5-next", "qwen35", "qwen35moe", "qwen4exp",
    "deepseek4", "minimax-01",
})
# fmt: on
INPUTS = frozenset({"token_embd", "position_embd", "token_types", "per_layer_token_embd"})
POOLING = {0: "none", 1: "mean", 2: "cls", 3: "last", 4: "rank"}
SPECIAL_TOKENS = {
    "bos": "bos_token_id",
    "eos": "eos_token_id",
    "eot": "eot_token_id",
    "eom": "eom_token_id",
    "unk": "unknown_token_id",
    "sep": "seperator_token_id",  # spelled so in the format
    "pad": "padding_token_id",
    "cls": "cls_token_id",
    "mask": "mask_token_id",
    "fim_pre": "fim_pre_token_id",
    "fim_suf": "fim_suf_token_id",
    "fim_mid": "fim_mid_token_id",
    "fim_pad": "fim_pad_token_id",
    "fim_rep": "fim_rep_token_id",
    "fim_sep": "fim_sep_token_id",
}
SHORT_ARRAY = 1024  # what ``ModelInfo.metadata`` carries as values; longer arrays are left out
VOCABULARY = ("tokens", "scores", "token_type", "merges")


def inspect(path: Path, *, vocabulary: bool = False) -> ModelInfo:
    """What the GGUF file at ``path``, or the split model that it begins, says of itself.

    With ``vocabulary``, ``metadata`` also has the tokenizer's tables (tokens and merges as bytes).
    Raises what ``read_header`` raises, and ``DamagedFile`` naming a part that is missing.
    """
    return describe(read_parts(path), vocabulary=vocabulary)


def check_file(path: Path) -> tuple[Header, ...]:
    """Read and check every part of the model at ``path``: what is done before llama.cpp sees it."""
    parts = read_parts(path)
    check_parts(parts)
    return parts


def read_parts(path: Path) -> tuple[Header, ...]:
    """The headers of the model at ``path``, one per file; ``path`` may be any part."""
    return tuple(read_header(part) for part in part_paths(path))


def part_paths(path: Path) -> tuple[Path, ...]:
    """All files of the model that ``path`` belongs to, in order.

    Parts are named NAME-00001-of-00005.gguf, as ``llama-gguf-split`` does. Raises ``DamagedFile``
    naming those that are missing.
    """
    named = PART.fullmatch(path.name)
    if not named or named["rest"] != ".gguf" or int(named["count"]) < 2:
        return (path,)
    names = part_names(named["prefix"], named["count"], named["rest"])
    absent = [name for name in names if not path.with_name(name).is_file()]
    if absent:
        raise missing(str(path), absent)
    return tuple(map(path.with_name, names))


def describe(parts: Sequence[Header], *, vocabulary: bool = False) -> ModelInfo:
    """``inspect`` for headers that were read already; the first one has the metadata."""
    header = parts[0]
    architecture = header.text("general.architecture") or ""
    tensors = [tensor for part in parts for tensor in part.tensors]
    layers = header.own("block_count")
    types = _tensor_types(tensors)
    heads = _per_layer(header, "attention.head_count", layers)
    templates = _templates(header)
    return ModelInfo(
        format=Format.GGUF,
        architecture=architecture,
        kind=header.text("general.type") or ("mmproj" if architecture == "clip" else None),
        name=header.text("general.name"),
        size_label=header.text("general.size_label"),
        license=header.text("general.license"),
        parameters=sum(tensor.elements for tensor in tensors) if tensors else None,
        quant=_quantization(header) or next(iter(types), None),
        bytes=sum(part.source.size for part in parts),
        parts=len(parts),
        tensor_types=types,
        weights=_weights(tensors),
        layer_bytes=_layer_bytes(tensors, layers),
        context_length=header.own("context_length"),
        embedding_length=header.own("embedding_length"),
        layers=layers,
        heads=heads,
        heads_kv=_per_layer(header, "attention.head_count_kv", layers) or heads,
        key_length=header.own("attention.key_length"),
        value_length=header.own("attention.value_length"),
        feed_forward=_per_layer(header, "feed_forward_length", layers),
        experts=header.own("expert_count"),
        experts_used=header.own("expert_used_count"),
        sliding_window=header.own("attention.sliding_window") or None,
        sliding_pattern=_sliding_pattern(header),
        recurrent=_recurrent(header, architecture),
        pooling=POOLING.get(-1 if (own := header.own("pooling_type")) is None else own),
        vocabulary=header.count("tokenizer.ggml.tokens") or header.own("vocab_size"),
        tokenizer=header.text("tokenizer.ggml.model"),
        pre_tokenizer=header.text("tokenizer.ggml.pre"),
        special_tokens=_special_tokens(header),
        add_bos=_flag(header, "tokenizer.ggml.add_bos_token"),
        add_eos=_flag(header, "tokenizer.ggml.add_eos_token"),
        chat_template=header.text("tokenizer.chat_template") or templates.get("default"),
        templates=templates,
        sampling=_sampling(header),
        metadata=_metadata(header, vocabulary),
    )


def _flag(header: Header, key: str) -> bool | None:
    value = header.metadata.get(key)
    return value if isinstance(value, bool) else None


def _per_layer(header: Header, key: str, layers: int | None) -> tuple[int, ...]:
    """A number for all layers, or an array with one for each."""
    if (one := header.own(key)) is not None:
        return (one,) * min(layers or 1, SHORT_ARRAY)
    key = header.key(key)
    if (header.count(key) or 0) > SHORT_ARRAY:
        return ()
    return tuple(int(value) for value in header.values(key) or () if value == value)


def _sliding_pattern(header: Header) -> int | tuple[bool, ...] | None:
    if one := header.own("attention.sliding_window_pattern"):
        return one
    pattern = _per_layer(header, "attention.sliding_window_pattern", None)
    return tuple(bool(layer) for layer in pattern) or None


def _recurrent(header: Header, architecture: str) -> bool:
    own = (f"{architecture}.ssm.", f"{architecture}.wkv.", f"{architecture}.shortconv.")
    return architecture in RECURRENT or any(key.startswith(own) for key in header.metadata)


def _tensor_types(tensors: Iterable[TensorInfo]) -> dict[str, tuple[int, int]]:
    """Type name: tensors, bytes; the most bytes first."""
    sums: dict[str, tuple[int, int]] = {}
    for tensor in tensors:
        count, size = sums.get(tensor.type_name, (0, 0))
        sums[tensor.type_name] = count + 1, size + tensor.bytes
    return dict(sorted(sums.items(), key=lambda item: -item[1][1]))


def _quantization(header: Header) -> str | None:
    number = header.integer("general.file_type")
    return None if number is None else FILE_TYPES.get(number & ~1024)  # 1024: it was guessed


def _weights(tensors: Iterable[TensorInfo]) -> dict[str, dict[str, int]]:
    """Bytes by type of what lies before, in and after the layers."""
    parts: dict[str, dict[str, int]] = {"input": {}, "layers": {}, "output": {}}
    for tensor in tensors:
        name = tensor.name.removesuffix(".weight")
        part = "input" if name in INPUTS else "layers" if tensor.layer is not None else "output"
        parts[part][tensor.type_name] = parts[part].get(tensor.type_name, 0) + tensor.bytes
    return parts


def _layer_bytes(tensors: Iterable[TensorInfo], layers: int | None) -> tuple[int, ...]:
    sums = [0] * min(layers or 0, SHORT_ARRAY)
    for tensor in tensors:
        if tensor.layer is not None and tensor.layer < len(sums):
            sums[tensor.layer] += tensor.bytes
    return tuple(sums)


def _special_tokens(header: Header) -> dict[str, int]:
    """Role: token id. An id beyond the vocabulary means that there is none."""
    tokens = header.count("tokenizer.ggml.tokens") or 0
    found = {role: header.integer("tokenizer.ggml." + key) for role, key in SPECIAL_TOKENS.items()}
    return {role: id for role, id in found.items() if id is not None and 0 <= id < tokens}


def _templates(header: Header) -> dict[str, str]:
    """The named templates: tokenizer.chat_template.NAME (tool_use, rag, …)."""
    prefix = "tokenizer.chat_template."
    return {
        key.removeprefix(prefix): text
        for key in header.metadata
        if key.startswith(prefix) and (text := header.text(key)) is not None
    }


def _sampling(header: Header) -> Sampling:
    """What the author recommends: general.sampling.*, as llama.cpp's common.cpp reads it."""

    def number(key: str) -> float | None:
        # general.sampling values are f32: round away what 0.7 turned into.
        value = header.number("general.sampling." + key)
        return None if value is None else float(f"{value:.6g}")

    top_k = header.integer("general.sampling.top_k")
    return Sampling(
        temperature=number("temp"),
        top_k=top_k,
        top_p=number("top_p"),
        min_p=number("min_p"),
        repeat_penalty=number("penalty_repeat"),
    )


def _metadata(header: Header, vocabulary: bool) -> dict[str, Any]:
    tables = {f"tokenizer.ggml.{name}" for name in VOCABULARY}
    kept: dict[str, Any] = {}
    for key, value in header.metadata.items():
        if key.startswith("tokenizer.chat_template"):
            continue
        if not isinstance(value, Array):
            kept[key] = value
        elif (key in tables and vocabulary) or (key not in tables and value.count <= SHORT_ARRAY):
            strings = header.strings(key)
            if key in tables:
                kept[key] = strings if strings is not None else header.values(key)
            else:
                kept[key] = (
                    header.values(key)
                    if strings is None
                    else tuple(text.decode("utf-8", "replace") for text in strings)
                )
    return kept

