"""Tiny models that see: a chat model and its image encoder, with random weights."""

import struct
import zlib
from pathlib import Path

import builders
import numpy as np

SIZE, PATCH, WIDTH, HEADS, WIDE = 28, 14, 64, 2, 128


def png(*colour: int, size: int = 16) -> bytes:
    """A square of one colour, as PNG."""

    def part(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    rows = (b"\0" + bytes(colour) * size) * size
    about = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    body = part(b"IHDR", about) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def encoder(path: Path, *, kind: str = "mlp", width: int = 64, seed: int = 5) -> Path:
    """An image encoder for a model of that width: ``mlp`` as LLaVA 1.5 has it (four positions an
    image), or ``qwen2vl_merger``, whose images take fewer positions than cells."""
    random = np.random.default_rng(seed)

    def weights(*shape: int, std: float = 0.2) -> builders.Tensor:
        return builders.tensor((random.standard_normal(shape) * std).astype(np.float32))

    ones = builders.tensor(np.ones(WIDTH, np.float32))
    zeros = builders.tensor(np.zeros(WIDTH, np.float32))
    merged = kind == "qwen2vl_merger"
    within = WIDTH * 4 if merged else WIDTH
    tensors = {
        "v.patch_embd.weight": weights(WIDTH, 3, PATCH, PATCH, std=0.1),
        "v.post_ln.weight": ones, "v.post_ln.bias": zeros,
        "mm.0.weight": weights(within if merged else width, within),
        "mm.0.bias": builders.tensor(np.zeros(within if merged else width, np.float32)),
        "mm.2.weight": weights(width, within if merged else width),
        "mm.2.bias": builders.tensor(np.zeros(width, np.float32)),
    }  # fmt: skip
    if merged:
        tensors["v.patch_embd.weight.1"] = weights(WIDTH, 3, PATCH, PATCH, std=0.1)
    else:
        tensors["v.position_embd.weight"] = weights((SIZE // PATCH) ** 2, WIDTH)
    for layer in range(2):
        block = f"v.blk.{layer}."
        for norm in ("ln1", "ln2"):
            tensors |= {f"{block}{norm}.weight": ones, f"{block}{norm}.bias": zeros}
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            tensors[f"{block}{name}.weight"] = weights(WIDTH, WIDTH)
            tensors[f"{block}{name}.bias"] = zeros
        tensors |= {
            f"{block}ffn_up.weight": weights(WIDE, WIDTH),
            f"{block}ffn_up.bias": builders.tensor(np.zeros(WIDE, np.float32)),
            f"{block}ffn_down.weight": weights(WIDTH, WIDE), f"{block}ffn_down.bias": zeros,
        }  # fmt: skip
    prefix = "clip.vision"
    metadata = {
        "general.architecture": "clip", "general.type": "mmproj", "general.file_type": 0,
        "clip.has_vision_encoder": True, "clip.projector_type": kind, "clip.use_gelu": True,
        f"{prefix}.image_size": SIZE, f"{prefix}.patch_size": PATCH,
        f"{prefix}.embedding_length": WIDTH, f"{prefix}.feed_forward_length": WIDE,
        f"{prefix}.block_count": 2, f"{prefix}.attention.head_count": HEADS,
        f"{prefix}.projection_dim": width, f"{prefix}.attention.layer_norm_epsilon": 1e-6,
        f"{prefix}.image_mean": [0.5, 0.5, 0.5], f"{prefix}.image_std": [0.5, 0.5, 0.5],
    }  # fmt: skip
    return builders.gguf_file(path, metadata=metadata, tensors=tensors)
