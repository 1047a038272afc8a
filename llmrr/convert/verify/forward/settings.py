"""config.json of a model as its family reads it: what it states, else what transformers assumes."""

from collections.abc import Mapping
from typing import Any

from llmrr.convert.verify.forward.design import Rope
from llmrr.convert.verify.forward.rope import rope_of
from llmrr.formats.json_file import table
from llmrr.formats.model_config import TEXT_PARTS


class Settings:
    """``stated`` is the part of config.json for text, ``defaults`` what the model's class in
    transformers takes for keys that are left out. A key that is null is stated."""

    def __init__(self, stated: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        self.stated, self.defaults = stated, defaults

    def get(self, *keys: str) -> Any:
        """The value of the first of ``keys`` that is stated, else of the first with a default."""
        for where in (self.stated, self.defaults):
            for key in keys:
                if key in where:
                    return where[key]
        return None

    @property
    def layers(self) -> int:
        """How many there are."""
        return int(self.get("num_hidden_layers", "n_layer"))

    @property
    def width(self) -> int:
        """Of what goes from layer to layer."""
        return int(self.get("hidden_size", "n_embd"))

    @property
    def heads(self) -> int:
        """Of the queries."""
        return int(self.get("num_attention_heads", "n_head"))

    @property
    def head(self) -> int:
        """Dimensions of a head."""
        return int(self.get("head_dim") or self.width // self.heads)

    def kinds(self, period: int) -> tuple[bool, ...]:
        """For each layer, whether it sees a window only; every ``period``-th sees everything where
        no list says it."""
        if isinstance(listed := self.get("layer_types"), list):
            return tuple(one == "sliding_attention" for one in listed)
        return tuple((i + 1) % period != 0 for i in range(self.layers))

    def rope(self, kind: str = "full_attention", *, base: float = 0.0, scaled: bool = True) -> Rope:
        """The rotation of layers of ``kind``, with ``base`` instead of the stated one if given, and
        without a stated scaling if not ``scaled``: later configurations have a table for each kind,
        earlier ones leave these two to the model's code."""
        stated = table(dict(self.stated), "rope_parameters") or table(
            dict(self.stated), "rope_scaling"
        )
        if isinstance(own := stated.get(kind), dict):
            stated, scaled, base = own, True, 0.0
        usual = float(self.get("rope_theta", "rotary_emb_base") or 10000.0)
        if not scaled:
            stated = {}
        if (original := self.get("original_max_position_embeddings")) is not None:
            stated = {**stated, "original_max_position_embeddings": original}
        part = stated.get("partial_rotary_factor") or self.get(
            "partial_rotary_factor", "rotary_pct", "rotary_emb_fraction"
        )
        dims = int(self.head * (1.0 if part is None else part))
        return rope_of(stated, dims, base or usual, self.get("max_position_embeddings"))


def text_part(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that describes the language model, laid over the rest."""
    for key in TEXT_PARTS:
        if isinstance(part := raw.get(key), dict):
            return {**raw, **part}
    return dict(raw)
