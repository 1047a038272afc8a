"""config.json of a model: the same size under the names that different model families give it.

Names: ``attribute_map`` of the configuration classes in https://github.com/huggingface/transformers,
and the configurations of models whose code is not there (ChatGLM, OpenELM, InternLM, MPT).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from llmrr.formats.tensors import MAX_LAYERS

# Where a model of several parts describes the one that writes text.
TEXT_PARTS = (
    "text_config", "llm_config", "language_config", "thinker_config", "decoder", "generator",
)  # fmt: skip
INSIDE = ("attn_config", "ffn_config", "ssm_cfg")  # tables that only group
LARGEST = 2**40

LAYERS = (
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_transformer_layers",
    "decoder_layers", "encoder_layers",
)  # fmt: skip
WIDTH = ("hidden_size", "n_embd", "d_model", "dim", "model_dim", "n_embed", "emb_dim")
HEADS = (
    "num_attention_heads", "n_head", "n_heads", "num_heads", "num_query_heads",
    "decoder_attention_heads", "encoder_attention_heads",
)  # fmt: skip
HEADS_KV = (
    "num_key_value_heads", "n_head_kv", "num_kv_heads", "kv_n_heads", "multi_query_group_num",
    "num_attention_groups",
)  # fmt: skip
HEAD = ("head_dim", "kv_channels", "d_kv", "attention_head_dim", "d_head")
FEED_FORWARD = (
    "intermediate_size", "n_inner", "ffn_dim", "d_ff", "ffn_hidden_size", "hidden_dim",
    "decoder_ffn_dim", "d_inner", "encoder_ffn_dim",
)  # fmt: skip
VOCABULARY = ("vocab_size", "padded_vocab_size", "n_vocab", "n_words", "tgt_vocab_size")
CONTEXT = (
    "max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len",
    "seq_length", "max_seq_length", "seq_len", "context_length", "max_context_length",
    "model_max_length", "max_target_positions",
)  # fmt: skip
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
EXPERTS_USED = (
    "num_experts_per_tok", "num_experts_per_token", "moe_top_k", "moe_topk", "moe_k",
    "top_k_experts", "experts_per_token",
)  # fmt: skip
EXPERT_FEED_FORWARD = ("moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size")


class Config:
    """What config.json states, the part for text first. A value of another kind than asked for is
    not stated."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.tables = tuple(_tables(raw))

    @property
    def family(self) -> str:
        """The architecture: ``model_type``, else the name of the model's class."""
        for key in ("model_type", "architecture", "_class_name"):
            if isinstance(found := self.raw.get(key), str):
                return found
        return next(iter(self.classes), "")

    @property
    def classes(self) -> tuple[str, ...]:
        """``architectures``: the model's classes in transformers."""
        found = self.raw.get("architectures")
        return tuple(x for x in found[:16] if isinstance(x, str)) if isinstance(found, list) else ()

    @property
    def layers(self) -> int | None:
        """How many layers there are, if that is a number that can be."""
        found = self.number(*LAYERS)
        return found if found is not None and found <= MAX_LAYERS else None

    def value(self, *keys: str) -> Any:
        """What stands under the first of ``keys`` that is not null."""
        for table in self.tables:
            for key in keys:
                if (found := table.get(key)) is not None:
                    return found
        return None

    def number(self, *keys: str) -> int | None:
        """The first whole number above 0 under one of ``keys``."""
        for table in self.tables:
            for key in keys:
                found = table.get(key)
                if type(found) is int and 0 < found < LARGEST:
                    return found
        return None

    def numbers(self, *keys: str) -> tuple[int, ...]:
        """One number for each layer, where the configuration lists them or has one for all."""
        for table in self.tables:
            for key in keys:
                found = table.get(key)
                if type(found) is int and 0 < found < LARGEST:
                    return (found,) * (self.layers or 1)
                if isinstance(found, list) and _are_numbers(found):
                    return tuple(found)
        return ()

    def flag(self, key: str) -> bool | None:
        """True or false, None where it is not stated."""
        found = self.value(key)
        return found if isinstance(found, bool) else None

    def names(self, *keys: str) -> tuple[str, ...]:
        """A list of texts under one of ``keys``."""
        found = self.value(*keys)
        if not isinstance(found, list) or len(found) > MAX_LAYERS:
            return ()
        return tuple(found) if all(isinstance(one, str) for one in found) else ()


def _are_numbers(values: list[Any]) -> bool:
    short = 0 < len(values) <= MAX_LAYERS
    return short and all(type(one) is int and 0 <= one < LARGEST for one in values)


def _tables(raw: Mapping[str, Any], depth: int = 3) -> Iterator[Mapping[str, Any]]:
    """The tables to look a size up in."""
    for key in TEXT_PARTS if depth else ():
        if isinstance(part := raw.get(key), dict):
            yield from _tables(part, depth - 1)
    yield raw
    yield from (part for key in INSIDE if isinstance(part := raw.get(key), dict))
