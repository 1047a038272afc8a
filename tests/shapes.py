"""Models of real shapes without weights: a true header before a sparse file of zeros.

Dimensions and the mix of types are those of the published models and of llama-quantize's
Q4_K_M, Q8_0, …; llama.cpp loads them and reports what it allocates, which needs no real weights.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builders import Tensor, gguf_file

# ggml's number of each type, values in a block, bytes of a block.
BLOCKS = {
    "F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q5_0": (6, 32, 22),
    "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210), "IQ4_NL": (20, 32, 18),
}  # fmt: skip
# What llama-quantize takes where a row is no multiple of 256.
SHORT_ROWS = {"Q4_K": "Q5_0", "Q6_K": "Q8_0"}
SHAPES: dict[str, dict[str, Any]] = {
    "smollm2-135m": {
        "layers": 30, "width": 576, "heads": 9, "kv": 3, "ff": 1536, "vocab": 49152, "tied": True,
        "context": 8192,
    },
    "llama-500m": {
        "layers": 24, "width": 1024, "heads": 16, "kv": 8, "ff": 4096, "vocab": 50257,
    },
    "llama-3.2-1b": {
        "layers": 16, "width": 2048, "heads": 32, "kv": 8, "ff": 8192, "vocab": 128256,
        "tied": True, "context": 131072,
    },
    "qwen2.5-0.5b": {
        "arch": "qwen2", "layers": 24, "width": 896, "heads": 14, "kv": 2, "ff": 4864,
        "vocab": 151936, "tied": True, "bias": True,
    },
    "qwen3-0.6b": {
        "arch": "qwen3", "layers": 28, "width": 1024, "heads": 16, "kv": 8, "head": 128,
        "ff": 3072, "vocab": 151936, "tied": True, "qk_norm": True, "context": 40960,
    },
    "gemma-3-1b": {
        "arch": "gemma3", "layers": 26, "width": 1152, "heads": 4, "kv": 1, "head": 256,
        "ff": 6912, "vocab": 262144, "tied": True, "qk_norm": True, "post_norm": True,
        "window": 512,
    },
    "granite-3.1-1b-a400m": {
        "arch": "granitemoe", "layers": 24, "width": 1024, "heads": 16, "kv": 8, "ff": 512,
        "expert_ff": 512, "experts": 32, "used": 8, "vocab": 49155, "tied": True,
        "keys": {
            "logit_scale": 6.0, "residual_scale": 0.22, "embedding_scale": 12.0,
            "attention.scale": 0.015625,
        },
    },
    "llama-3.1-8b": {
        "layers": 32, "width": 4096, "heads": 32, "kv": 8, "ff": 14336, "vocab": 128256,
        "context": 131072,
    },
    "qwen3-30b-a3b": {
        "arch": "qwen3moe", "layers": 48, "width": 2048, "heads": 32, "kv": 4, "head": 128,
        "ff": 6144, "expert_ff": 768, "experts": 128, "used": 8, "vocab": 151936,
        "qk_norm": True, "context": 40960,
    },
}  # fmt: skip
Row = tuple[str, tuple[int, ...], str]


def model(path: Path, name: str, quant: str = "Q4_K_M") -> Path:
    """Write the shape ``name``; its file is as long as a real one but takes no room."""
    if name == "mamba-130m":
        return _sparse(path, _mamba_metadata(), list(_mamba(quant)))
    shape = SHAPES[name]
    return _sparse(path, _metadata(shape), list(_tensors(shape, quant)))


def _metadata(shape: dict[str, Any]) -> dict[str, Any]:
    arch = shape.get("arch", "llama")
    head = shape.get("head") or shape["width"] // shape["heads"]
    own: dict[str, Any] = {
        "vocab_size": shape["vocab"],
        "context_length": shape.get("context", 32768),
        "embedding_length": shape["width"],
        "block_count": shape["layers"],
        "feed_forward_length": shape["ff"],
        "attention.head_count": shape["heads"],
        "attention.head_count_kv": shape["kv"],
        "attention.layer_norm_rms_epsilon": 1e-5,
        "attention.key_length": head,
        "attention.value_length": head,
        "rope.dimension_count": head,
        "rope.freq_base": 1e6,
        **shape.get("keys", {}),
    }
    if "window" in shape:
        own["attention.sliding_window"] = shape["window"]
    if "experts" in shape:
        own["expert_count"] = shape["experts"]
        own["expert_used_count"] = shape["used"]
        own["expert_feed_forward_length"] = shape["expert_ff"]
    return _general(arch) | {f"{arch}.{key}": value for key, value in own.items()}


def _tensors(shape: dict[str, Any], quant: str) -> Iterator[Row]:
    width, vocab, layers, ff = (shape[key] for key in ("width", "vocab", "layers", "ff"))
    head = shape.get("head") or width // shape["heads"]
    base, fine = ("Q4_K", "Q6_K") if quant == "Q4_K_M" else (quant, quant)
    yield "token_embd.weight", (width, vocab), fine if shape.get("tied") else base
    yield "output_norm.weight", (width,), "F32"
    if not shape.get("tied"):
        yield "output.weight", (width, vocab), fine
    for i in range(layers):
        # llama-quantize's use_more_bits
        eighth = layers // 8
        more = fine if i < eighth or i >= 7 * eighth or (i - eighth) % 3 == 2 else base
        norms = ["attn_norm", "ffn_norm"]
        norms += ["post_attention_norm", "post_ffw_norm"] if "post_norm" in shape else []
        rows = [(name, (width,), "F32") for name in norms]
        if "qk_norm" in shape:
            rows += [("attn_q_norm", (head,), "F32"), ("attn_k_norm", (head,), "F32")]
        queries, keys = head * shape["heads"], head * shape["kv"]
        rows += [
            ("attn_q", (width, queries), base),
            ("attn_k", (width, keys), base),
            ("attn_v", (width, keys), more),
            ("attn_output", (queries, width), base),
        ]
        if "experts" in shape:
            inner, experts = shape["expert_ff"], shape["experts"]
            rows += [
                ("ffn_gate_inp", (width, experts), "F32"),
                ("ffn_gate_exps", (width, inner, experts), base),
                ("ffn_up_exps", (width, inner, experts), base),
                ("ffn_down_exps", (inner, width, experts), more),
            ]
        else:
            rows += [
                ("ffn_gate", (width, ff), base),
                ("ffn_up", (width, ff), base),
                ("ffn_down", (ff, width), more),
            ]
        yield from ((f"blk.{i}.{name}.weight", dims, kind) for name, dims, kind in rows)
        if "bias" in shape:
            for name, size in (("q", queries), ("k", keys), ("v", keys)):
                yield f"blk.{i}.attn_{name}.bias", (size,), "F32"


def _mamba_metadata() -> dict[str, Any]:
    own = {
        "vocab_size": 50280, "context_length": 1048576, "embedding_length": 768,
        "feed_forward_length": 0, "attention.head_count": 0, "block_count": 24,
        "ssm.conv_kernel": 4, "ssm.inner_size": 1536, "ssm.state_size": 16,
        "ssm.time_step_rank": 48, "attention.layer_norm_rms_epsilon": 1e-5,
    }  # fmt: skip
    return _general("mamba") | {f"mamba.{key}": value for key, value in own.items()}


def _mamba(quant: str) -> Iterator[Row]:
    yield "token_embd.weight", (768, 50280), quant
    yield "output_norm.weight", (768,), "F32"
    for i in range(24):
        for name, dims, kind in (
            ("attn_norm.weight", (768,), "F32"),
            ("ssm_in.weight", (768, 3072), quant),
            ("ssm_conv1d.weight", (4, 1536), "F32"),
            ("ssm_conv1d.bias", (1536,), "F32"),
            ("ssm_x.weight", (1536, 80), quant),
            ("ssm_dt.weight", (48, 1536), "F32"),
            ("ssm_dt.bias", (1536,), "F32"),
            ("ssm_a", (16, 1536), "F32"),
            ("ssm_d", (1536,), "F32"),
            ("ssm_out.weight", (1536, 768), quant),
        ):
            yield f"blk.{i}.{name}", dims, kind


def _general(arch: str) -> dict[str, Any]:
    return {"general.architecture": arch, "tokenizer.ggml.model": "no_vocab"}


def _sparse(path: Path, metadata: dict[str, Any], rows: list[Row]) -> Path:
    tensors: dict[str, Tensor] = {}
    offset = 0
    for name, dims, wanted in rows:
        kind = wanted if dims[0] % BLOCKS[wanted][1] == 0 else SHORT_ROWS[wanted]
        number, values, size = BLOCKS[kind]
        tensors[name] = Tensor(dims, number, b"", offset)
        count = 1
        for dim in dims:
            count *= dim
        offset += -(-count // values * size // 32) * 32
    gguf_file(path, metadata=metadata, tensors=tensors)
    header = -(-path.stat().st_size // 32) * 32
    with path.open("r+b") as file:
        file.truncate(header + offset)
    return path
