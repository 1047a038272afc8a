"""The shapes that tensors must have in architectures built like Llama, from the file's own numbers.

Names and shapes: ``src/models/*.cpp`` of llama.cpp. A tensor that is not in the table, and an
architecture that is not in ``LIKE_LLAMA``, is for llama.cpp to judge, which reports what is wrong.
"""

from collections.abc import Mapping

from llmrr.formats.gguf_header import Header, TensorInfo

# Separate q, k and v, heads of one size, a gated feed-forward in every layer that is not a mixture.
# fmt: off
LIKE_LLAMA = frozenset({
    "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral3", "granite", "smollm3",
    "internlm2", "seed_oss", "exaone", "orion", "xverse", "baichuan", "arcee",
})
# fmt: on
# Architectures whose graph asserts that a head's keys are as long as its values …
# fmt: off
EQUAL_HEADS = frozenset({
    "afmoe", "bailingmoe2", "bert", "bitnet", "bloom", "chatglm", "cohere2", "command-r",
    "dflash", "eagle3", "eurobert", "glm4", "glm4moe", "gpt2", "gptneox", "granitehybrid",
    "jais", "laguna", "maple", "minimax-01", "minimax-m2", "minimax-m3", "modern-bert", "mpt",
    "muse-glimmer", "nanbeige", "nemotron", "nemotron_h", "neo-bert", "openelm", "phi2", "phi3",
    "qwen", "qwen35", "qwen35moe", "qwen3next", "qwen4exp", "refact", "spark2_5", "stablelm",
    "starcoder", "t5",
})
# … and those that besides assert that all of a key is rotated.
ROTATES_ALL = frozenset({
    "apertus", "arcee", "arctic", "baichuan", "chameleon", "codeshell", "cogvlm", "cohere2moe",
    "dbrx", "deci", "deepseek", "dots1", "dream", "ernie4_5", "exaone", "exaone-moe", "exaone4",
    "falcon", "granite", "granite_swa", "graniteswitch", "grok", "grovemoe", "hunyuan-moe",
    "hunyuan_vl", "hy_v3", "internlm2", "jais2", "llada", "llada-moe", "llama", "llama-embed",
    "llama4", "maincoder", "mellum", "mistral3", "olmo", "olmo2", "olmoe", "orion",
    "pangu-embedded", "plamo", "pockettts", "qwen2", "qwen2moe", "qwen2vl", "qwen3", "qwen3moe",
    "qwen3vl", "qwen3vlmoe", "rnd1", "seed_oss", "smallthinker", "smollm3", "starcoder2",
    "talkie", "xverse",
})
# Architectures whose query matrix is taken to be square: all heads together are the model's width.
FILLS_WIDTH = frozenset({
    "arctic", "baichuan", "bailingmoe2", "bert", "bloom", "chameleon", "codeshell", "cohere2",
    "command-r", "dbrx", "deepseek", "dream", "eurobert", "falcon", "gpt2", "gptneox", "grok",
    "internlm2", "jais", "jina-bert-v2", "jina-bert-v3", "llada-moe", "mpt", "nemotron",
    "neo-bert", "nomic-bert", "nomic-bert-moe", "olmo", "olmo2", "olmoe", "orion", "phi2",
    "phi3", "phimoe", "plamo", "qwen2", "qwen2moe", "qwen2vl", "stablelm", "starcoder",
    "starcoder2", "xverse",
})
# fmt: on
SHAPES = {
    "attn_norm.weight": "E",
    "attn_q.weight": "EQ",
    "attn_q.bias": "Q",
    "attn_k.weight": "EK",
    "attn_k.bias": "K",
    "attn_v.weight": "EV",
    "attn_v.bias": "V",
    "attn_output.weight": "OE",
    "attn_output.bias": "E",
    "attn_q_norm.weight": "H",
    "attn_k_norm.weight": "H",
    "post_attention_norm.weight": "E",
    "ffn_norm.weight": "E",
    "ffn_gate.weight": "EF",
    "ffn_up.weight": "EF",
    "ffn_down.weight": "FE",
    "post_ffw_norm.weight": "E",
}


def wrong_shape(header: Header, tensors: Mapping[str, TensorInfo]) -> str | None:
    """What is wrong with the first tensor that contradicts the header, or None."""
    architecture = header.text("general.architecture") or ""
    width = header.integer(f"{architecture}.embedding_length") or 0
    tokens = header.count("tokenizer.ggml.tokens")
    if architecture not in LIKE_LLAMA | EQUAL_HEADS | ROTATES_ALL | FILLS_WIDTH:
        return None
    embedding = tensors.get("token_embd.weight")
    if embedding is None:
        return "it has no token_embd.weight"
    if tokens and embedding.shape != (width, tokens):
        return _contradiction(embedding, (width, tokens))
    if architecture not in LIKE_LLAMA:
        return None
    known = {"output.weight": (width, tokens or embedding.dims[1]), "output_norm.weight": (width,)}
    layers = header.integer(f"{architecture}.block_count") or 0
    sizes = [_sizes(header, architecture, width, layer) for layer in range(layers)]
    for tensor in tensors.values():
        expected: tuple[int, ...] | None = known.get(tensor.name)
        layer = tensor.layer
        if layer is not None and layer < layers:
            letters = SHAPES.get(tensor.name.removeprefix(f"blk.{layer}."), "")
            expected = tuple(sizes[layer][letter] for letter in letters)
        if expected and 0 not in expected and tensor.shape != expected:
            return _contradiction(tensor, expected)
    return None


def wrong_heads(
    architecture: str, width: int, heads: int, key: int, value: int, rotated: int
) -> str | None:
    """What is wrong with heads of ``key`` and ``value`` numbers, ``rotated`` of them, or None."""
    if architecture in FILLS_WIDTH and heads * key != width:
        return f"its {heads} heads of {key} numbers do not make up its width {width}"
    if architecture in EQUAL_HEADS | ROTATES_ALL and key != value:
        return f"its heads have keys of {key} numbers and values of {value}"
    if architecture in ROTATES_ALL and rotated != key:
        return f"it rotates {rotated} of the {key} numbers of a head"
    return None


def _sizes(header: Header, architecture: str, width: int, layer: int) -> dict[str, int]:
    """E width, H head, Q K V all heads of a kind, O what attention gives, F feed-forward."""

    def at(key: str, default: int) -> int:
        name = f"{architecture}.{key}"
        if (one := header.integer(name)) is not None:
            return one
        many = header.values(name) if (header.count(name) or 0) <= 1024 else None
        return int(many[layer]) if many and layer < len(many) else default

    heads = at("attention.head_count", 0)
    heads_kv = at("attention.head_count_kv", heads)
    head = header.integer(f"{architecture}.attention.key_length") or width // (heads or 1)
    value = header.integer(f"{architecture}.attention.value_length") or width // (heads or 1)
    return {
        "E": width,
        "H": head,
        "Q": heads * head,
        "K": heads_kv * head,
        "V": heads_kv * value,
        "O": heads * head,
        "F": at("feed_forward_length", 0),
    }


def _contradiction(tensor: TensorInfo, expected: tuple[int, ...]) -> str:
    return f"the tensor {tensor.name!r} has the shape {tensor.dims}, and {expected} is needed"
