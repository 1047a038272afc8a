"""What a protocol brings: from a request to a call, from the events of an answer to chunks."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from llmrr.engines.base import Options, Text
from llmrr.engines.markers import COMMON
from llmrr.engines.remote.client import Call
from llmrr.engines.remote.events import Event
from llmrr.engines.remote.faults import Party, in_stream
from llmrr.engines.text import TextAssembler
from llmrr.errors import FeatureMissing, UsageError
from llmrr.types import CallPiece, Chunk, FinishReason, Request, Sampling, ToolCall


class Counts(NamedTuple):
    """Tokens, as the provider counts them; all of the prompt's, those read from its cache too.
    ``thought`` of the completion were thought; None where it does not say."""

    prompt: int
    completion: int
    cached: int = 0
    thought: int | None = None

    @property
    def are_counts(self) -> bool:
        """Whether they are what a provider should send.

        >>> Counts(1, 2).are_counts, Counts("1", 2).are_counts, Counts(1, -2).are_counts
        (True, False, False)
        """
        stated = self[:3] if self.thought is None else self
        return all(isinstance(one, int | float) and 0 <= one < 1 << 53 for one in stated)


class Reader:
    """Reads the events of one answer. ``reasons`` has, once it is known, why each choice ended;
    ``stops`` the stop string that it ended at, ``counts`` what the provider says of tokens."""

    def __init__(self, party: Party, choices: int = 1) -> None:
        self.party, self.choices = party, choices
        self.reasons: dict[int, FinishReason] = {}
        self.stops: dict[int, str] = {}
        self.counts: Counts | None = None
        self.tools = Tools()
        self._texts: dict[int, TextAssembler] = {}

    def apart(self, index: int, text: str) -> tuple[str, str]:
        """Answer and reasoning in a piece of text, for servers that leave both in one; without text
        what was held back."""
        assembler = self._texts.get(index)
        if assembler is None:
            assembler = self._texts[index] = TextAssembler(reasoning=COMMON)
        said, thought, _ = assembler.add(text) if text else assembler.finish()
        return said, thought

    def read(self, event: Event) -> Iterator[Chunk]:
        """The chunks of an event, without finish reasons. Raises ``EngineFailed`` and its kin for
        an event that is an error."""
        if event.get("error"):
            raise in_stream(self.party, event)
        try:
            for chunk in self.chunks(event):
                _require_words(chunk)
                yield chunk
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise self.party.broken(f"is not what the protocol has: {error!r}") from error

    def chunks(self, event: Event) -> Iterator[Chunk]:
        """The chunks of an event that is no error."""
        raise NotImplementedError

    def end(self) -> None:
        """No more comes. Raises ``BrokenStream`` where the answer is not complete."""
        if len(self.reasons) < self.choices:
            raise self.party.broken("ended before its end")


def _require_words(chunk: Chunk) -> None:
    """Raise ``TypeError`` where a provider sent something else for text."""
    words = [chunk.text, chunk.reasoning]
    calls: tuple[ToolCall | CallPiece, ...] = (*chunk.tool_calls, *chunk.call_pieces)
    for call in calls:
        words += [call.id, call.name, call.arguments]
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"{word!r:.40} is no text")


class _Call:
    """One that is under way; ``id`` and ``name`` stay what was told of them."""

    def __init__(self) -> None:
        self.id = self.name = self.arguments = ""
        self.signature: str | None = None
        self.begun = False


class Tools:
    """Calls of tools, put together from their pieces, and told piece by piece."""

    def __init__(self) -> None:
        self._calls: dict[tuple[int, object], _Call] = {}
        self._ids: set[tuple[int, str]] = set()  # those that were told

    def add(
        self, choice: int, place: object, *, id: str | None = None, name: str | None = None,
        arguments: str | None = None, signature: str | None = None,
    ) -> Iterator[Chunk]:  # fmt: skip
        """A piece of the call that stands at ``place``: all but ``arguments``, which are added,
        replaces what was there. It is told as soon as its name is known."""
        call = self._calls.setdefault((choice, place), _Call())
        if not call.begun:
            call.id, call.name = id or call.id, name or call.name
            call.signature = signature or call.signature
        call.arguments += arguments or ""
        if not call.begun and call.name:
            self._begin(choice, call)
            yield self._piece(choice, call, call.arguments)
        elif call.begun and arguments:
            yield self._piece(choice, call, arguments)

    def missing(self, choice: int, place: object, arguments: str) -> str:
        """What of the whole ``arguments`` of a call has not come yet."""
        call = self._calls.get((choice, place))
        come = call.arguments if call else ""
        return arguments[len(come) :] if arguments.startswith(come) else ""

    def take(self, choice: int) -> Iterator[Chunk]:
        """The calls of a choice, which are complete now."""
        places = [place for place in self._calls if place[0] == choice]
        found = [self._calls.pop(place) for place in places]
        for call in found:
            if not call.begun:
                self._begin(choice, call)
            if not call.arguments:
                call.arguments = "{}"
                yield self._piece(choice, call, "{}")
        calls = tuple(ToolCall(one.id, one.name, one.arguments, one.signature) for one in found)
        if calls:
            yield Chunk(choice, tool_calls=calls)

    def _begin(self, choice: int, call: _Call) -> None:
        """Settle its id: one that no other call of the choice has."""
        if not call.id or (choice, call.id) in self._ids:
            count = sum(told == choice for told, _ in self._ids)
            call.id = f"call_{count}"
        self._ids.add((choice, call.id))
        call.begun = True

    def _piece(self, choice: int, call: _Call, arguments: str) -> Chunk:
        piece = CallPiece(call.id, call.name, arguments, call.signature)
        return Chunk(choice, call_pieces=(piece,))


def ended(reason: FinishReason, *, called: bool) -> FinishReason:
    """Why a choice ended: providers say ``stop`` where a call is what it ended with. One that was
    cut was that, with calls too: the last one may lack something.

    >>> ended("stop", called=True), ended("length", called=True)
    ('tool_calls', 'length')
    """
    return "tool_calls" if called and reason == "stop" else reason


class Dialect(Protocol):
    """A protocol, for one endpoint."""

    def headers(self, key: str | None) -> dict[str, str]:
        """How the key is sent, and what else every call needs."""

    def call(self, request: Request) -> Call:
        """The call for a request. Raises ``FeatureMissing``."""

    def reader(self, request: Request, party: Party) -> Reader:
        """What reads its answer."""

    def embedding(self, texts: Sequence[Text]) -> Call:
        """The call for vectors. Raises ``FeatureMissing``."""

    def vectors(self, document: Event) -> list[list[float]]:
        """The vectors of its answer, in the order of the texts."""


def words(texts: Sequence[Text], provider: str) -> list[str]:
    """Texts for a provider that takes no token ids. Raises ``FeatureMissing``."""
    found = [one for one in texts if isinstance(one, str)]
    if len(found) < len(texts):
        raise FeatureMissing(f"{provider} takes words, and no tokens by their ids", "the texts")
    return found


def stated(sampling: Sampling, names: Mapping[str, str]) -> dict[str, Any]:
    """The values that are stated, by the protocol's names."""
    found = {theirs: getattr(sampling, ours) for ours, theirs in names.items()}
    return {name: list(value) if isinstance(value, tuple) else value
            for name, value in found.items() if value is not None}  # fmt: skip


_NUMBERS = (
    "temperature", "top_k", "top_p", "min_p", "typical_p", "repeat_penalty", "frequency_penalty",
    "presence_penalty", "seed", "stop", "max_tokens",
)  # fmt: skip
# What a call states in another way than by a number, and is refused one by one.
_SHAPING = ("schema", "grammar", "logprobs", "think", "logit_bias", "ignore_eos", "stop_tokens",
            "min_tokens")  # fmt: skip


def refuse(provider: str, sampling: Sampling, known: Collection[str]) -> None:
    """Raise ``FeatureMissing`` for a value that is stated and not ``known`` to a provider. A
    schema of False, an ``ignore_eos`` of False and a ``think`` of off state nothing."""
    for name in (*_NUMBERS, *_SHAPING):
        value = getattr(sampling, name)
        if value is None or value is False or value == () or value == {} or name in known:
            continue
        if (name, value) == ("think", "off"):
            continue
        raise missing(provider, name)


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """The arguments of a call, for a protocol that wants them as an object. Raises ``UsageError``
    for text that is none.

    >>> arguments_of(ToolCall("c", "f", '{"a": 1}')), arguments_of(ToolCall("c", "f", ""))
    ({'a': 1}, {})
    """
    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(
            f"the arguments of the call {call.id} of {call.name} are no JSON object",
            "leave that turn out, or mend it",
        )
    return found


def signed(protocol: str, text: str) -> str:
    """What a provider wants back with a call, marked as its own: it is of no use to others."""
    return f"{protocol}:{text}"


def signature_of(protocol: str, call: ToolCall) -> str | None:
    """The same, where it is this protocol's.

    >>> signature_of("google", ToolCall("c", "f", "", signed("google", "x")))
    'x'
    >>> signature_of("anthropic", ToolCall("c", "f", "", signed("google", "x"))) is None
    True
    """
    own, _, text = (call.signature or "").partition(":")
    return text if own == protocol and text else None


def thoughts_of(protocol: str, call: ToolCall) -> list[Any]:
    """The thoughts that a provider signed as a list, where they are this protocol's. Raises
    ``UsageError`` for what is no list of them: whoever asks could have changed it."""
    try:
        found = json.loads(signature_of(protocol, call) or "[]")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise UsageError(
            f"the signature of the call {call.id} of {call.name} is none of {protocol}",
            "leave it out, or give it back as it came",
        )
    return found


def refuse_raw(provider: str, request: Request) -> None:
    """Raise ``FeatureMissing`` for a raw prompt and for several choices, which a provider has not.
    """
    if request.prompt is not None:
        raise missing(provider, "raw prompts")
    if request.n > 1:
        raise missing(provider, "n: several answers at once")


def missing(provider: str, name: str) -> FeatureMissing:
    """The error for what a provider has not."""
    return FeatureMissing(f"{provider} has no {name}", f"leave out {name}, or use another model")


def refuse_options(provider: str, options: Options, known: Sequence[str] = ()) -> None:
    """Raise ``FeatureMissing`` for an option that is stated, is not ``known`` here and means
    something only to a model on this machine."""
    usual = Options()
    for name in ("context_size", "gpu_layers", "threads", "flash_attention", "kv_type", "mmap",
                 "mlock", "lora", "chat_template", "prefix_cache", "prefix_disk",
                 "speculate"):  # fmt: skip
        if name not in known and getattr(options, name) != getattr(usual, name):
            raise FeatureMissing(
                f"{provider} has no {name}: the model runs elsewhere", f"leave out {name}"
            )


def schema_of(sampling: Sampling) -> Mapping[str, Any] | None:
    """The JSON Schema that is asked for; that of any JSON is empty.

    >>> schema_of(Sampling(schema=True)), schema_of(Sampling())
    ({}, None)
    """
    if sampling.schema is None or sampling.schema is False:
        return None
    return {} if sampling.schema is True else sampling.schema
