"""config.json of a model as its class in transformers understands it: what it states, the class's
own values for what it leaves out, and the sizes that shapes are made of.

https://huggingface.co/docs/transformers/main_classes/configuration
"""

import math
from collections.abc import Mapping
from typing import Any

from llmrr.errors import DamagedFile
from llmrr.formats.messages import damaged

LARGEST = 2**31


class Values:
    """The settings of a text model. What a model of several parts says of its text part goes before
    what it says of itself; ``aliases`` maps other names of a key to the one that is asked for.

    A null is a statement: the class's value stands in only for a key that is not there.
    """

    def __init__(
        self,
        raw: Mapping[str, Any],
        where: str,
        defaults: Mapping[str, Any] | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        inside = raw.get("text_config")
        stated = {**raw, **(inside if isinstance(inside, dict) else {})}
        renamed = {own: stated[other] for other, own in (aliases or {}).items() if other in stated}
        self.where = where
        self._all: dict[str, Any] = {**(defaults or {}), **renamed, **stated}

    def having(self, more: Mapping[str, Any]) -> "Values":
        """The same with other values for some keys."""
        return Values({**self._all, "text_config": None, **more}, self.where)

    def get(self, key: str, default: Any = None) -> Any:
        """What stands under ``key``, whatever it is; ``default`` for null and for nothing."""
        found = self._all.get(key)
        return default if found is None else found

    def whole(self, key: str) -> int:
        """The whole number above 0 under ``key``. Raises ``DamagedFile``."""
        found = self._all.get(key)
        if type(found) is int and 0 < found < LARGEST:
            return found
        raise self.wrong(key, found, "a whole number above 0 belongs")

    def whole_or(self, key: str, default: int) -> int:
        """The same; ``default`` for null and for nothing."""
        return default if self._all.get(key) is None else self.whole(key)

    def real(self, key: str) -> float:
        """The finite number under ``key``. Raises ``DamagedFile``."""
        found = self._all.get(key)
        if isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found):
            return float(found)
        raise self.wrong(key, found, "a number belongs")

    def flag(self, key: str) -> bool:
        """Whether ``key`` is set."""
        return bool(self._all.get(key))

    def table(self, key: str) -> dict[str, Any]:
        """The object under ``key``, an empty one for anything else."""
        found = self._all.get(key)
        return found if isinstance(found, dict) else {}

    def names(self, key: str) -> tuple[str, ...]:
        """The list of texts under ``key``, an empty one for anything else."""
        found = self._all.get(key)
        whole = isinstance(found, list) and all(isinstance(one, str) for one in found)
        return tuple(found) if whole and found else ()

    def wrong(self, key: str, found: object, why: str) -> DamagedFile:
        """The error for a value that cannot be."""
        return damaged(self.where, f"its {key} is {str(found)[:40]!r}, where {why}")

    @property
    def layers(self) -> int:
        """How many layers there are."""
        return self.whole("num_hidden_layers")

    @property
    def heads(self) -> int:
        """Heads of attention."""
        return self.whole("num_attention_heads")

    @property
    def heads_kv(self) -> int:
        """Heads of keys and values; as many as of queries where nothing is stated."""
        return self.whole_or("num_key_value_heads", self.heads)

    @property
    def head(self) -> int:
        """Numbers in a head."""
        return self.whole_or("head_dim", self.whole("hidden_size") // self.heads)

    @property
    def tied(self) -> bool:
        """Whether the table of tokens is the output layer too."""
        return self.flag("tie_word_embeddings")


def sizes(values: Values) -> dict[str, int]:
    """The sizes that shapes are written with: d of the model, v of the vocabulary, f of the
    feed-forward layer, h of a head, q and k of all heads of queries and of keys."""
    return {
        "d": values.whole("hidden_size"),
        "v": values.whole("vocab_size"),
        "f": values.whole("intermediate_size"),
        "h": values.head,
        "q": values.heads * values.head,
        "k": values.heads_kv * values.head,
    }


def expert_sizes(values: Values) -> dict[str, int]:
    """Besides, e experts, each x wide."""
    width = values.whole_or("moe_intermediate_size", values.whole("intermediate_size"))
    return {**sizes(values), "e": values.whole("num_experts"), "x": width}
