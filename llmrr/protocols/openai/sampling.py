"""How the next token is chosen, as OpenAI's bodies state it.

What llama-server and vLLM take besides (``top_k``, ``min_p``, ``repeat_penalty``, ``ignore_eos``,
…) is taken under their names.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from llmrr.protocols.fields import BadField, Fields
from llmrr.protocols.openai.shapes import shape
from llmrr.types import Sampling

EFFORTS: Final = {
    "none": "off", "minimal": "low", "low": "low", "medium": "medium", "high": "high",
    "xhigh": "high",
}  # fmt: skip
_SWITCHES: Final = ("enable_thinking", "thinking", "reasoning_effort")

# What vLLM and SGLang take, and what would be another answer without it.
_REFUSED: Final = {
    "use_beam_search": "the choices are drawn",
    "prompt_logprobs": "/v1/completions tells them with echo and logprobs",
    "bad_words": "logit_bias is for tokens",
    "allowed_token_ids": "a grammar is for what may be said",
    "truncate_prompt_tokens": "a prompt is never cut",
    "include_stop_str_in_output": "an answer ends before what stops it",
    "stop_regex": "stop is for texts",
    "chat_template": "the model has its own",
}


def sampling(given: Fields, limit: int | None, logprobs: int | None) -> Sampling:
    """How the next token is chosen, as a body states it."""
    for name in _REFUSED.keys() & given.given.keys():
        given.refuse(name, _REFUSED[name])
    schema, grammar = shape(given)
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
        stop_tokens=_stop_tokens(given),
        max_tokens=None if limit is None or limit < 0 else limit,
        min_tokens=given.whole("min_tokens", 0) or None,
        logit_bias=_bias(given),
        logprobs=logprobs,
        ignore_eos=given.flag("ignore_eos"),
        schema=schema,
        grammar=grammar,
        think=_think(given),
    )


def limited(given: Fields) -> int | None:
    """How many tokens at most; ``n_predict`` is llama-server's name for it. -1 is no limit."""
    name = "n_predict" if given.get("max_tokens") is None else "max_tokens"
    if (limit := given.whole(name, -1)) == 0:
        raise given.bad(name, "whole number of 1 or more")
    return limit


def _stop_tokens(given: Fields) -> tuple[int, ...] | None:
    found = given.listed("stop_token_ids")
    if found is None:
        return None
    if not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in found):
        raise given.bad("stop_token_ids", "list of token ids")
    return tuple(found)


def _seed(given: Fields) -> int | None:
    seed = given.whole("seed", -(2**63), 2**63 - 1)
    return None if seed is None or seed == -1 else seed % 2**32


def _bias(given: Fields) -> dict[int, float] | None:
    found = _pairs(given)
    if found is None:
        return None
    bias: dict[int, float] = {}
    for token in found.given:
        if not re.fullmatch(r"[0-9]{1,9}", token):
            said = f"logit_bias has {token[:40]!r}, which is no token id"
            raise BadField("logit_bias", said, code="invalid_value")
        bias[int(token)] = found.number(token, -100, 100) or 0.0
    return bias


def _pairs(given: Fields) -> Fields | None:
    """``logit_bias`` as OpenAI has it; llama-server takes pairs of a token and its bias too, false
    for one that is never said."""
    value = given.get("logit_bias")
    if not isinstance(value, list):
        return given.inner("logit_bias")
    pairs = [one for one in value if isinstance(one, list) and len(one) == 2]
    if len(pairs) != len(value):
        raise given.bad("logit_bias", "list of pairs, as [[5, -100]]")
    found = {str(token): -100 if bias is False else bias for token, bias in pairs}
    return Fields(found, "logit_bias.")


def _think(given: Fields) -> Any:
    if (effort := given.text("reasoning_effort")) is not None:
        return thinking(given, "reasoning_effort", effort)
    template = given.inner("chat_template_kwargs") or given
    if (effort := template.text("reasoning_effort")) is not None:
        return thinking(template, "reasoning_effort", effort)
    if template.flag("enable_thinking") is False:
        return "off"
    wanted = template.get("thinking")  # as DeepSeek's templates have it, and its API
    if isinstance(wanted, Mapping):
        wanted = {"enabled": True, "disabled": False}.get(str(wanted.get("type")))
    return ("medium" if wanted else "off") if isinstance(wanted, bool) else None


def unswitched(given: Fields) -> tuple[str, ...]:
    """The variables of a template that a body sets, and nothing here reads."""
    stated = given.inner("chat_template_kwargs")
    names = stated.given if stated is not None else ()
    return tuple(f"chat_template_kwargs.{one}" for one in names if one not in _SWITCHES)


def insists(effort: str | None, name: str) -> str:
    """``Request.firm`` for an effort, by the ``name`` of its field: as little as there is can be
    had of every model.

    >>> insists("high", "reasoning_effort"), insists("minimal", "reasoning_effort")
    ('reasoning_effort', '')
    """
    return name if effort not in (None, "none", "minimal") else ""


def thinking(given: Fields, name: str, effort: str) -> Any:
    """How much a model is to think, for OpenAI's word of it. Raises ``BadField``."""
    if effort not in EFFORTS:
        raise given.bad(name, f"word of {', '.join(EFFORTS)}")
    return EFFORTS[effort]
