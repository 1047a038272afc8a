"""How the next token is chosen, and what the answer has to obey, as OpenAI's bodies state it.

What llama-server and vLLM take besides (``top_k``, ``min_p``, ``repeat_penalty``, ``ignore_eos``,
``grammar``, …) is taken under their names.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from llmrr.protocols.fields import BadField, Fields
from llmrr.types import Sampling

EFFORTS: Final = {
    "none": "off", "minimal": "low", "low": "low", "medium": "medium", "high": "high",
    "xhigh": "high",
}  # fmt: skip


def sampling(given: Fields, limit: int | None, logprobs: int | None) -> Sampling:
    """How the next token is chosen, as a body states it."""
    schema, grammar = _shape(given)
    repeat = given.number("repeat_penalty", 0)
    return Sampling(
        temperature=given.number("temperature", 0, 2),
        top_k=given.whole("top_k", -1),
        top_p=given.number("top_p", 0, 1),
        min_p=given.number("min_p", 0, 1),
        typical_p=given.number("typical_p", 0, 1),
        repeat_penalty=given.number("repetition_penalty", 0) if repeat is None else repeat,
        frequency_penalty=given.number("frequency_penalty", -2, 2),
        presence_penalty=given.number("presence_penalty", -2, 2),
        seed=_seed(given),
        stop=given.words("stop", 16),
        max_tokens=None if limit is None or limit < 0 else limit,
        logit_bias=_bias(given),
        logprobs=logprobs,
        ignore_eos=given.flag("ignore_eos"),
        schema=schema,
        grammar=grammar,
        think=_think(given),
    )


def _seed(given: Fields) -> int | None:
    seed = given.whole("seed", -(2**63), 2**64 - 1)
    return None if seed is None or seed == -1 else seed % 2**32


def _bias(given: Fields) -> dict[int, float] | None:
    if (found := given.inner("logit_bias")) is None:
        return None
    bias: dict[int, float] = {}
    for token in found.given:
        if not re.fullmatch(r"[0-9]{1,9}", token):
            said = f"logit_bias has {token[:40]!r}, which is no token id"
            raise BadField("logit_bias", said, code="invalid_value")
        bias[int(token)] = found.number(token, -100, 100) or 0.0
    return bias


def _shape(given: Fields) -> tuple[Mapping[str, Any] | bool | None, str | None]:
    """The schema or grammar that the answer has to obey."""
    grammar = given.text("grammar") or given.text("guided_grammar")
    wanted = given.inner("response_format")
    if wanted is None:
        schema = given.inner("json_schema") or given.inner("guided_json")
        return (None if schema is None else schema.given), grammar
    return format_schema(wanted), grammar


def format_schema(wanted: Fields) -> Mapping[str, Any] | None:
    """The schema of a ``response_format``, or of the ``format`` of ``text``. Raises ``BadField``.
    """
    kind = wanted.one_of("type", "text", "json_object", "json_schema")
    if kind is None:
        raise wanted.bad("type", "word of text, json_object, json_schema")
    if kind == "json_schema":
        outer = wanted.inner("json_schema") or wanted
        if (schema := outer.inner("schema")) is None:
            raise outer.bad("schema", "JSON Schema")
        return schema.given
    if kind == "json_object":
        stated = wanted.inner("schema")
        return {"type": "object"} if stated is None else stated.given
    return None


def _think(given: Fields) -> Any:
    if (effort := given.text("reasoning_effort")) is not None:
        return thinking(given, "reasoning_effort", effort)
    template = given.inner("chat_template_kwargs") or given
    return "off" if template.flag("enable_thinking") is False else None


def thinking(given: Fields, name: str, effort: str) -> Any:
    """How much a model is to think, for OpenAI's word of it. Raises ``BadField``."""
    if effort not in EFFORTS:
        raise given.bad(name, f"word of {', '.join(EFFORTS)}")
    return EFFORTS[effort]
