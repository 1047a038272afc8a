"""What makes two requests the same one, and which answers may be given again. Pure.

The key is a digest of everything that a request says, after its defaults were filled in, and of
what answers it. Nothing is left out because it is long or rarely stated: each field of the
vocabulary is in it, also one that is added to ``types`` later. What users wrote as a mapping (a
schema, the arguments of a tool) keeps its order, which decides the order in which a model writes.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from operator import mul
from pathlib import Path
from typing import Any, Final, NamedTuple

from llmrr import packing
from llmrr.errors import InvalidRequest, nearest
from llmrr.kinds import RETENTION
from llmrr.types import Chunk, FinishReason, Message, Request, Sampling, Usage

Stated = bool | Mapping[str, object] | None

_NAMES: Final[dict[type, tuple[str, ...]]] = {}
_AS_THEY_ARE: Final = frozenset({str, bool, int})
_WHOLE: Final[frozenset[FinishReason]] = frozenset({"stop", "length", "tool_calls"})


class Rules(NamedTuple):
    """``[cache]`` as it holds for one request. ``is_asked_for`` where the call itself says so;
    ``model`` is the one that compares prompts by their meaning. ``ttl`` is in seconds, None is
    forever."""

    enabled: bool = True
    ttl: float | None = 3600.0
    max_bytes: int = 256_000_000
    model: str | None = None
    threshold: float = 0.95
    is_asked_for: bool = False


def rules(stated: Stated, configured: Rules) -> Rules:
    """With what a call says: true, false, or a mapping of ``enabled`` and ``ttl``. Raises
    ``InvalidRequest``.

    >>> rules({"enabled": True, "ttl": "1h"}, Rules(enabled=False))[:2]
    (True, 3600.0)
    """
    if stated is None:
        return configured
    if isinstance(stated, bool):
        return configured._replace(enabled=stated, is_asked_for=stated)
    if not isinstance(stated, Mapping):
        raise _wrong(stated, "true, false or a table of enabled and ttl")
    for name in stated:
        if name not in ("enabled", "ttl"):
            near = nearest(str(name), ("enabled", "ttl"))
            raise InvalidRequest(
                f"cache has no {name!r}", f"did you mean {near}?" if near else "enabled, ttl"
            )
    enabled = stated.get("enabled", configured.enabled)
    if not isinstance(enabled, bool):
        raise _wrong(enabled, "true or false", "enabled")
    ttl: Any = configured.ttl
    if stated.get("ttl") is not None:
        try:
            ttl = RETENTION.parse(stated["ttl"], Path())
        except ValueError:
            raise _wrong(stated["ttl"], RETENTION.expected, "ttl") from None
    asked = stated.get("enabled") is True
    return configured._replace(enabled=enabled, ttl=ttl, is_asked_for=asked)


def _wrong(value: object, expected: str, name: str = "") -> InvalidRequest:
    where = f"cache[{name!r}]" if name else "cache"
    hint = 'cache={"enabled": True, "ttl": 60}'
    return InvalidRequest(f"{where} = {value!r} is not {expected}", hint)


def repeats(request: Request) -> bool:
    """Whether asking again would give the same answer: greedy, or with a seed, and about nothing
    that may have changed at its address meanwhile."""
    sampling = request.sampling
    if sampling.temperature != 0 and sampling.seed is None:
        return False
    images = (image for message in request.messages for image in message.images)
    return all(one.url is None or one.url.startswith("data:") for one in images)


def key(request: Request, model: Mapping[str, object]) -> str:
    """What only the same request to the same model has. ``request`` has its defaults; ``model``
    says all that decides how it answers.

    >>> greedy = Request(prompt="a", sampling=Sampling(temperature=0))
    >>> key(greedy, {}) == key(replace(greedy, sampling=Sampling(temperature=0.0)), {})
    True
    """
    return _digest([_plain(model), _plain(request)])


def family(
    request: Request, model: Mapping[str, object], measure: Mapping[str, object]
) -> tuple[str, str] | None:
    """What the requests have in common that differ in their last words alone, and those words; None
    for a request that is not compared by its meaning. ``measure`` is the model that compares."""
    sampling, last = request.sampling, request.messages[-1] if request.messages else None
    formal = sampling.schema is not None or sampling.grammar is not None
    images = any(message.images for message in request.messages)
    if last is None or last.role != "user" or request.tools or formal or images:
        return None
    if request.begun or not last.content.strip():
        return None
    rest = replace(request, messages=(*request.messages[:-1], Message("user", "")))
    return _digest([_plain(measure), _plain(model), _plain(rest)]), last.content


def unit(vector: Sequence[float]) -> list[float]:
    """A vector of length 1 in the same direction; one without a direction stays.

    >>> unit([3.0, 4.0]), unit([0.0])
    ([0.6, 0.8], [0.0])
    """
    length = math.sqrt(sum(map(mul, vector, vector))) or 1.0
    return [one / length for one in vector]


def nearness(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors of length 1.

    >>> nearness([1.0, 0.0], [0.6, 0.8]), nearness([1.0], [1.0, 0.0])
    (0.6, 0.0)
    """
    return sum(map(mul, one, other)) if len(one) == len(other) else 0.0


def merged(chunks: Iterable[Chunk]) -> tuple[Chunk, ...]:
    """One chunk per choice, the last with the usage."""
    choices: dict[int, list[Chunk]] = {}
    usage: Usage | None = None
    for chunk in chunks:
        choices.setdefault(chunk.index, []).append(chunk)
        usage = chunk.usage or usage
    whole = [_joined(index, choices[index]) for index in sorted(choices)]
    return (*whole[:-1], replace(whole[-1], usage=usage)) if whole else ()


def _joined(index: int, pieces: Sequence[Chunk]) -> Chunk:
    return Chunk(
        index=index,
        text="".join(one.text for one in pieces),
        reasoning="".join(one.reasoning for one in pieces),
        tokens=tuple(token for one in pieces for token in one.tokens),
        logprobs=tuple(token for one in pieces for token in one.logprobs),
        finish_reason=next((one.finish_reason for one in pieces if one.finish_reason), None),
        tool_calls=tuple(call for one in pieces for call in one.tool_calls),
        stop=next((one.stop for one in pieces if one.stop), None),
    )


def is_whole(request: Request, answer: Sequence[Chunk]) -> bool:
    """Whether an answer (``merged``) may be given again: nothing of it is missing or empty, and
    where it was cut, the request wanted it so and not the room that there was."""
    usage = answer[-1].usage if answer else None
    if usage is None or len(answer) != request.n:
        return False
    limit = request.sampling.max_tokens
    for choice in answer:
        if choice.finish_reason not in _WHOLE or not (choice.text or choice.tool_calls):
            return False
        if choice.finish_reason == "length" and (limit is None or usage.completion_tokens < limit):
            return False
    return True


def again(answer: Sequence[Chunk]) -> tuple[Chunk, ...]:
    """The same answer, which took nothing this time."""
    usage = answer[-1].usage or Usage()
    free = Usage(
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        estimated=usage.estimated,
        first_token_s=0.0,
        thought_tokens=usage.thought_tokens,
    )
    return (*answer[:-1], replace(answer[-1], usage=free))


def packed(answer: Sequence[Chunk]) -> str:
    """As text, without what is not stated."""
    return json.dumps([packing.facts(one) for one in answer], separators=(",", ":"))


def unpacked(text: str) -> tuple[Chunk, ...] | None:
    """The inverse of ``packed``; None for a text that nobody here wrote.

    >>> unpacked(packed([Chunk(text="a", usage=Usage(1, 0, 1))]))
    (Chunk(index=0, text='a', reasoning='', tokens=(), logprobs=(), finish_reason=None, \
usage=Usage(prompt_tokens=1, cached_tokens=0, completion_tokens=1, estimated=False, load_s=0.0, \
first_token_s=None, total_s=0.0, tokens_per_s=None, thought_tokens=None), tool_calls=(), \
stop=None, call_pieces=()),)
    """
    try:
        return tuple(packing.chunk(facts) for facts in json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """What of a value is in a key, in the types of JSON; a mapping becomes its pairs, in order."""
    if value is None or type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Mapping):
        return [[_plain(name), _plain(one)] for name, one in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Sampling) and value.logit_bias:
        ordered = dict(sorted(value.logit_bias.items()))
        return _fields(replace(value, logit_bias=ordered))
    if isinstance(value, Message) and not value.images:
        return _fields(replace(value, parts=()))
    if is_dataclass(value):
        return _fields(value)
    return str(value)


def _fields(value: Any) -> dict[str, Any]:
    """What is stated of the fields of a value."""
    kind = type(value)
    if kind not in _NAMES:
        _NAMES[kind] = tuple(one.name for one in fields(value) if one.compare)
    found = ((name, getattr(value, name)) for name in _NAMES[kind])
    return {name: _plain(one) for name, one in found if one is not None}
