"""Tiny real files, written with our own code: GGUF containers and models that llama.cpp runs.

``gguf_file`` writes any container, damaged ones included; ``tiny_llama``, ``tiny_mamba`` and
``tiny_bert`` write models of random weights with a working tokenizer. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL_TOKENS = ("<|im_start|>", "<|im_end|>", "<think>", "</think>", "<|endoftext|>", "<|pad|>")
_WORDS = ("hello", "world", "the", "and", "you", "what", "is", "of", "to", "in", "capital", "name")

_SCALARS = {
    "u8": (0, "<B"),
    "i8": (1, "<b"),
    "u16": (2, "<H"),
    "i16": (3, "<h"),
    "u32": (4, "<I"),
    "i32": (5, "<i"),
    "f32": (6, "<f"),
    "bool": (7, "<?"),
    "u64": (10, "<Q"),
    "i64": (11, "<q"),
    "f64": (12, "<d"),
}
_STRING, _ARRAY = 8, 9
_TENSOR_TYPES = {"f32": 0, "f16": 1, "q8_0": 8, "i32": 26, "bf16": 30}
_EDGES = (0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 32)
Kind = Literal["f32", "f16", "q8_0", "i32", "bf16"]


@dataclass(frozen=True, slots=True)
class Typed:
    """A metadata value whose GGUF type matters: ``Typed("u64", 3)``, ``Typed("i32", [1, 2])``."""

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as it is stored. ``dims`` in GGUF's order: the row length first.

    ``type`` is ggml's number; ``offset`` from the start of the data, None: after the one before.
    """

    dims: tuple[int, ...]
    type: int
    data: bytes
    offset: int | None = None


def gguf_file(
    path: Path,
    *,
    metadata: Mapping[str, Any] | None = None,
    tensors: Mapping[str, Tensor | np.ndarray] | None = None,
    version: int = 3,
    alignment: int | None = None,
    tail: bytes = b"",
) -> Path:
    """Write a GGUF file and return its path.

    Values get the type that llama.cpp expects of them: int u32 (i32, u64 where needed), float f32,
    lists arrays; ``Typed`` says otherwise. NumPy arrays become f32, f16 or i32 tensors.
    """
    entries = dict(metadata or {})
    if alignment is not None:
        entries.setdefault("general.alignment", alignment)
    step = alignment or 32
    stored = {
        name: t if isinstance(t, Tensor) else tensor(t) for name, t in (tensors or {}).items()
    }
    header = [b"GGUF", struct.pack("<IQQ", version, len(stored), len(entries))]
    header += [_string(key) + _value(value) for key, value in entries.items()]
    body = bytearray()
    for name, t in stored.items():
        body += bytes(-len(body) % step)
        offset = len(body) if t.offset is None else t.offset
        header.append(_string(name) + struct.pack("<I", len(t.dims)))
        header.append(struct.pack(f"<{len(t.dims)}QIQ", *t.dims, t.type, offset))
        body += t.data
    body += bytes(-len(body) % step)
    start = b"".join(header)
    path.write_bytes(start + bytes(-len(start) % step) + bytes(body) + tail if body else start)
    return path


def tensor(array: np.ndarray, kind: Kind | None = None) -> Tensor:
    """Store an array, by default in its own type; ``q8_0`` needs rows of a multiple of 32."""
    if kind is None:
        by_dtype: dict[str, Kind] = {"float16": "f16", "int32": "i32"}
        kind = by_dtype.get(str(array.dtype), "f32")
    if kind == "q8_0":
        data = _q8_0(array)
    elif kind == "bf16":
        data = (array.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    else:
        data = array.astype({"f32": "<f4", "f16": "<f2", "i32": "<i4"}[kind]).tobytes()
    return Tensor(tuple(reversed(array.shape)), _TENSOR_TYPES[kind], data)


def mutants(raw: bytes, *, count: int, seed: int = 0) -> Iterator[bytes]:
    """Damaged and hostile variants of a GGUF file: flipped bytes, numbers of the header (counts,
    lengths, types, offsets, values) overwritten, pieces cut out, doubled, swapped, cut off."""
    numbers, end = _numbers(raw)
    for index in range(count):
        random = Random(f"{seed}-{index}")
        mutant = bytearray(raw)
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            _mutate(mutant, random, numbers, end)
        yield bytes(mutant)


def _mutate(
    mutant: bytearray, random: Random, numbers: list[tuple[int, int]], end: int
) -> None:
    kind = random.choice(("flip", "number", "number", "number", "cut", "splice", "swap"))
    here, there = random.randrange(end), random.randrange(end)
    length = random.choice((1, 4, 8, 16, 100))
    if kind == "flip":
        for _ in range(random.choice((1, 1, 2, 8))):
            at = random.randrange(min(end, len(mutant)) or 1)
            mutant[at : at + 1] = bytes((random.randrange(256),))
    elif kind == "number":
        at, size = random.choice(numbers)
        old = int.from_bytes(mutant[at : at + size], "little")
        new = random.choice((*_EDGES, old + 1, old - 1, old * 2, old // 2, random.randrange(99)))
        mutant[at : at + size] = (new % 256**size).to_bytes(size, "little")
    elif kind == "cut":
        del mutant[random.choice((here, here, len(mutant) - there)) :]
    elif kind == "splice":
        mutant[there : there + random.choice((0, length))] = mutant[here : here + length]
    else:
        first, second = mutant[here : here + length], mutant[there : there + length]
        mutant[here : here + length], mutant[there : there + length] = second, first


def _numbers(raw: bytes) -> tuple[list[tuple[int, int]], int]:
    """Where the header's numbers lie, as (offset, bytes), and where it ends."""
    found, at = [(4, 4), (8, 8), (16, 8)], 24
    sizes = {number: struct.calcsize(code) for number, code in _SCALARS.values()}

    def number(size: int) -> int:
        nonlocal at
        found.append((at, size))
        at += size
        return int.from_bytes(raw[at - size : at], "little")

    def text() -> None:
        nonlocal at
        length = number(8)
        at += length

    def value(kind: int) -> None:
        text() if kind == _STRING else number(sizes[kind])

    tensors, keys = struct.unpack_from("<QQ", raw, 8)
    for _ in range(keys):
        text()
        kind = number(4)
        if kind != _ARRAY:
            value(kind)
            continue
        kind, items = number(4), number(8)
        weight = len(found)
        for _ in range(items):
            value(kind)
        del found[weight + 8 :]  # a few of the items, or nothing else would ever be changed
    for _ in range(tensors):
        text()
        for _ in range(number(4)):
            number(8)
        number(4)
        number(8)
    return found, at


def tiny_llama(
    path: Path,
    *,
    layers: int = 2,
    width: int = 64,
    heads: int = 4,
    heads_kv: int = 2,
    feed_forward: int = 128,
    context: int = 256,
    vocab: int | None = None,
    template: str | None = CHATML,
    architecture: Literal["llama", "qwen2", "qwen2vl", "gemma3"] = "llama",
    seed: int = 0,
    kind: Kind = "f32",
    head_dim: int | None = None,
    sliding_window: int | None = None,
    tied: bool = False,
    experts: int = 0,
    metadata: Mapping[str, Any] | None = None,
    drop: Sequence[str] = (),
) -> Path:
    """Write a random-weights chat model with a byte-level tokenizer, and return its path.

    ``tied`` uses the embedding as the output matrix too (it then mostly repeats itself). ``vocab``
    pads the tokenizer up to that many tokens. ``architecture="gemma3"`` has a sliding
    window in five layers of six (``sliding_window``, 16 unless stated). ``experts``: a mixture, of
    which two are used. ``metadata`` adds or replaces keys, ``drop`` removes keys.
    """
    head = head_dim or width // heads
    kind_of = _Weights(seed, kind)
    tokenizer = byte_tokenizer(vocab)
    tokens = len(tokenizer["tokenizer.ggml.tokens"])
    gemma = architecture == "gemma3"
    entries: dict[str, Any] = {
        **_general(architecture, layers, width, context),
        f"{architecture}.feed_forward_length": feed_forward,
        f"{architecture}.attention.head_count": heads,
        f"{architecture}.attention.head_count_kv": heads_kv,
        f"{architecture}.attention.key_length": head,
        f"{architecture}.attention.value_length": head,
        f"{architecture}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{architecture}.rope.dimension_count": head,
        f"{architecture}.rope.freq_base": 10000.0,
        **tokenizer,
    }
    if architecture == "qwen2vl":  # rotary halves for time, height and width
        entries["qwen2vl.rope.dimension_sections"] = [head // 4, head // 8, head // 8, 0]
    if sliding_window or gemma:
        entries[f"{architecture}.attention.sliding_window"] = sliding_window or 16
    if template is not None:
        entries["tokenizer.chat_template"] = template
    if experts:
        entries[f"{architecture}.expert_count"] = experts
        entries[f"{architecture}.expert_used_count"] = 2
    weights: dict[str, Tensor] = {
        "token_embd.weight": kind_of.matrix(tokens, width, std=0.5),
        "output_norm.weight": kind_of.ones(width),
    }
    if not tied:
        weights["output.weight"] = kind_of.matrix(tokens, width, std=0.5)
    for layer in range(layers):
        block = f"blk.{layer}."
        weights |= {
            block + "attn_norm.weight": kind_of.ones(width),
            block + "attn_q.weight": kind_of.matrix(heads * head, width),
            block + "attn_k.weight": kind_of.matrix(heads_kv * head, width),
            block + "attn_v.weight": kind_of.matrix(heads_kv * head, width),
            block + "attn_output.weight": kind_of.matrix(width, heads * head),
            block + "ffn_norm.weight": kind_of.ones(width),
            **kind_of.feed_forward(block, width, feed_forward, experts),
        }
        if architecture in ("qwen2", "qwen2vl"):
            weights |= {
                block + "attn_q.bias": kind_of.zeros(heads * head),
                block + "attn_k.bias": kind_of.zeros(heads_kv * head),
                block + "attn_v.bias": kind_of.zeros(heads_kv * head),
            }
        if gemma:
            weights |= {
                block + "attn_q_norm.weight": kind_of.ones(head),
                block + "attn_k_norm.weight": kind_of.ones(head),
                block + "post_attention_norm.weight": kind_of.ones(width),
                block + "post_ffw_norm.weight": kind_of.ones(width),
            }
    return gguf_file(path, metadata=_changed(entries, metadata, drop), tensors=weights)


def tiny_mamba(
    path: Path,
    *,
    layers: int = 2,
    width: int = 32,
    state: int = 8,
    context: int = 256,
    template: str | None = None,
    seed: int = 0,
    kind: Kind = "f32",
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write a random-weights recurrent model (Mamba 1), and return its path."""
    kind_of = _Weights(seed, kind)
    inner, conv, rank = 2 * width, 4, 4
    tokenizer = byte_tokenizer()
    entries: dict[str, Any] = {
        **_general("mamba", layers, width, context),
        "mamba.feed_forward_length": 0,
        "mamba.attention.head_count": 0,
        "mamba.attention.layer_norm_rms_epsilon": 1e-5,
        "mamba.ssm.conv_kernel": conv,
        "mamba.ssm.inner_size": inner,
        "mamba.ssm.state_size": state,
        "mamba.ssm.time_step_rank": rank,
        **tokenizer,
    }
    if template is not None:
        entries["tokenizer.chat_template"] = template
    tokens = len(tokenizer["tokenizer.ggml.tokens"])
    weights: dict[str, Tensor] = {
        "token_embd.weight": kind_of.matrix(tokens, width, std=0.5),
        "output_norm.weight": kind_of.ones(width),
        "output.weight": kind_of.matrix(tokens, width, std=0.5),
    }
    decay = -np.tile(np.arange(1, state + 1, dtype=np.float32), (inner, 1))
    for layer in range(layers):
        block = f"blk.{layer}."
        weights |= {
            block + "attn_norm.weight": kind_of.ones(width),
            block + "ssm_in.weight": kind_of.matrix(2 * inner, width),
            block + "ssm_conv1d.weight": tensor(kind_of.draw(inner, conv, std=0.3)),
            block + "ssm_conv1d.bias": kind_of.zeros(inner),
            block + "ssm_x.weight": kind_of.matrix(rank + 2 * state, inner),
            block + "ssm_dt.weight": tensor(kind_of.draw(inner, rank)),
            block + "ssm_dt.bias": kind_of.zeros(inner),
            block + "ssm_a": tensor(decay),
            block + "ssm_d": kind_of.ones(inner),
            block + "ssm_out.weight": kind_of.matrix(width, inner),
        }
    return gguf_file(path, metadata=_changed(entries, metadata, ()), tensors=weights)


def tiny_bert(
    path: Path,
    *,
    layers: int = 2,
    width: int = 32,
    heads: int = 2,
    feed_forward: int = 64,
    context: int = 128,
    pooling: int = 1,
    seed: int = 0,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write a random-weights embedding model (BERT, WordPiece), and return its path.

    ``pooling`` is ggml's number: 0 none, 1 mean, 2 cls, 3 last.
    """
    kind_of = _Weights(seed, "f32")
    tokenizer = word_tokenizer()
    tokens = len(tokenizer["tokenizer.ggml.tokens"])
    entries: dict[str, Any] = {
        **_general("bert", layers, width, context),
        "bert.feed_forward_length": feed_forward,
        "bert.attention.head_count": heads,
        "bert.attention.layer_norm_epsilon": 1e-12,
        "bert.attention.causal": False,
        "bert.pooling_type": pooling,
        **tokenizer,
    }
    weights: dict[str, Tensor] = {
        "token_embd.weight": kind_of.matrix(tokens, width, std=0.5),
        "token_types.weight": kind_of.matrix(2, width),
        "position_embd.weight": kind_of.matrix(context, width, std=0.2),
        "token_embd_norm.weight": kind_of.ones(width),
        "token_embd_norm.bias": kind_of.zeros(width),
    }
    for layer in range(layers):
        block = f"blk.{layer}."
        for name, rows, columns in (
            ("attn_q", width, width),
            ("attn_k", width, width),
            ("attn_v", width, width),
            ("attn_output", width, width),
            ("ffn_up", feed_forward, width),
            ("ffn_down", width, feed_forward),
        ):
            weights[f"{block}{name}.weight"] = kind_of.matrix(rows, columns, std=0.2)
            weights[f"{block}{name}.bias"] = kind_of.zeros(rows)
        for name in ("attn_output_norm", "layer_output_norm"):
            weights[f"{block}{name}.weight"] = kind_of.ones(width)
            weights[f"{block}{name}.bias"] = kind_of.zeros(width)
    return gguf_file(path, metadata=_changed(entries, metadata, ()), tensors=weights)


def byte_tokenizer(size: int | None = None) -> dict[str, Any]:
    """A byte-level BPE in GGUF's keys: 256 bytes, merges for a few words, special tokens.

    ``size`` pads it with unused tokens. <|im_end|> ends a turn, <|endoftext|> begins a text.
    """
    tokens = list(_byte_letters())
    merges: list[str] = []
    for word in _WORDS:
        for cut in range(2, len(word) + 1):
            if word[:cut] not in tokens:
                tokens.append(word[:cut])
                merges.append(f"{word[: cut - 1]} {word[cut - 1]}")
        tokens.append("Ġ" + word)
        merges.append(f"Ġ {word}")
    types = [1] * len(tokens)
    special = {}
    for name in SPECIAL_TOKENS:
        special[name] = len(tokens)
        tokens.append(name)
        types.append(4 if name in ("<think>", "</think>") else 3)
    for number in range(len(tokens), size or 0):
        tokens.append(f"<|unused{number}|>")
        types.append(5)
    assert size is None or len(tokens) == size, f"the tokenizer alone has {len(tokens)} tokens"
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": Typed("i32", types),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": special["<|endoftext|>"],
        "tokenizer.ggml.eos_token_id": special["<|im_end|>"],
        "tokenizer.ggml.padding_token_id": special["<|pad|>"],
        "tokenizer.ggml.add_bos_token": False,
    }


def word_tokenizer() -> dict[str, Any]:
    """A WordPiece tokenizer in GGUF's keys: letters, their continuations, and a few words."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,?!'-"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += ["▁" + letter for letter in letters] + list(letters) + ["▁" + w for w in _WORDS]
    return {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.pre": "jina-v2-en",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": Typed("i32", [3] * 5 + [1] * (len(tokens) - 5)),
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.cls_token_id": 2,
        "tokenizer.ggml.seperator_token_id": 3,
        "tokenizer.ggml.mask_token_id": 4,
    }


class _Weights:
    """Random matrices in one storage type, norms and biases always f32."""

    def __init__(self, seed: int, kind: Kind) -> None:
        self.random = np.random.default_rng(seed)
        self.kind: Kind = kind

    def draw(self, rows: int, columns: int, std: float | None = None) -> np.ndarray:
        scale = 1 / math.sqrt(columns) if std is None else std
        return self.random.standard_normal((rows, columns), dtype=np.float32) * scale

    def matrix(self, rows: int, columns: int, std: float | None = None) -> Tensor:
        return tensor(self.draw(rows, columns, std), self.kind)

    def feed_forward(self, block: str, width: int, inner: int, experts: int) -> dict[str, Tensor]:
        shapes = {"ffn_gate": (inner, width), "ffn_up": (inner, width), "ffn_down": (width, inner)}
        if not experts:
            return {f"{block}{name}.weight": self.matrix(*own) for name, own in shapes.items()}
        found = {block + "ffn_gate_inp.weight": tensor(self.draw(experts, width))}
        for name, (rows, columns) in shapes.items():
            stacked = self.draw(experts * rows, columns).reshape(experts, rows, columns)
            found[f"{block}{name}_exps.weight"] = tensor(stacked, self.kind)
        return found

    def ones(self, size: int) -> Tensor:
        return tensor(np.ones(size, np.float32))

    def zeros(self, size: int) -> Tensor:
        return tensor(np.zeros(size, np.float32))


def _general(architecture: str, layers: int, width: int, context: int) -> dict[str, Any]:
    return {
        "general.architecture": architecture,
        "general.name": f"tiny {architecture}",
        "general.alignment": 32,
        f"{architecture}.block_count": layers,
        f"{architecture}.embedding_length": width,
        f"{architecture}.context_length": context,
    }


def _changed(
    entries: dict[str, Any], added: Mapping[str, Any] | None, drop: Sequence[str]
) -> dict[str, Any]:
    return {key: value for key, value in {**entries, **(added or {})}.items() if key not in drop}


def _byte_letters() -> list[str]:
    """The printable letter that stands for each byte in GPT-2's tokenizer, in byte order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Any) -> bytes:
    kind, value = (value.kind, value.value) if isinstance(value, Typed) else (None, value)
    if isinstance(value, list | tuple):
        kind = kind or (_kind(value[0]) if value else "u32")
        number = _STRING if kind == "string" else _SCALARS[kind][0]
        return struct.pack("<IIQ", _ARRAY, number, len(value)) + b"".join(
            _packed(kind, item) for item in value
        )
    kind = kind or _kind(value)
    return struct.pack("<I", _STRING if kind == "string" else _SCALARS[kind][0]) + _packed(
        kind, value
    )


def _packed(kind: str, value: Any) -> bytes:
    return _string(value) if kind == "string" else struct.pack(_SCALARS[kind][1], value)


def _kind(value: Any) -> str:
    if isinstance(value, str | bytes):
        return "string"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, float):
        return "f32"
    return "i32" if value < 0 else "u32" if value < 2**32 else "u64"


def _q8_0(array: np.ndarray) -> bytes:
    """Blocks of 32 numbers: a half-precision scale, then 32 signed bytes."""
    blocks = array.astype(np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
    quants = np.round(blocks / np.where(scale == 0, 1, scale)).astype(np.int8)
    return np.hstack([scale.astype("<f2").view(np.int8), quants]).tobytes()
