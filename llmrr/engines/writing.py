"""From the tokens that are drawn to the chunks of an answer: text, stop strings, the control tokens
that are not said, log probabilities, and why it ended."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from llmrr.engines.text import TextAssembler
from llmrr.types import CallPiece, Chunk, FinishReason, Sampling, TokenLogprob, ToolCall

if TYPE_CHECKING:
    from llmrr.engines.calls.parsing import Spoken
    from llmrr.engines.constrain import Constraint, Mask
    from llmrr.engines.stream import AnswerStream
    from llmrr.engines.templates import Prompt


class Pieces(Protocol):
    """A vocabulary, as far as writing needs it."""

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for, special ones spelled out."""

    def is_control(self, token: int) -> bool:
        """Is it one that plain text cannot hold?"""

    def is_end(self, token: int) -> bool:
        """Does it end a turn or the text?"""


class Writer:
    """Writes one choice of an answer to its stream. ``constraint`` is what holds it: a
    lazy one from the first call on."""

    def __init__(
        self,
        stream: "AnswerStream",
        index: int,
        sampling: Sampling,
        vocabulary: Pieces,
        prompt: "Prompt",
        constraint: "Constraint | None" = None,
    ) -> None:
        self._stream, self._index = stream, index
        self._sampling, self._vocabulary, self._markers = sampling, vocabulary, prompt.markers
        self._stops = frozenset(sampling.stop_tokens or ())
        self._mask = constraint.new() if constraint and not constraint.lazy else None
        self._later = constraint if constraint and constraint.lazy else None
        offer = self._offer = prompt.offer
        # What is held to a grammar from the end of its thoughts on must end them itself.
        calls = offer if constraint is None or constraint.lazy else None
        self._text = TextAssembler(sampling.stop or (), prompt.markers, prompt.opened, calls)
        self._parser = offer.parser(prompt.markers.close) if offer else None
        self._answer = self._reasoning = ""  # what is not yet told
        self._thought = False  # was anything?
        self._calls: list[ToolCall] = []
        self._pieces: list[CallPiece] = []
        self._ids: list[str] = []  # of all calls that have begun
        self._ended = 0  # how many of them have come to their end
        self._kinds: dict[int, tuple[bytes, bool]] = {}
        self._tokens: list[int] = []
        self._logprobs: list[TokenLogprob] = []
        self._finish: FinishReason = "cancelled"
        self.generated = self.thought = 0

    @property
    def mask(self) -> "Mask | None":
        """What must be obeyed now: a grammar is for the answer, the reasoning before it is free."""
        return None if self._text.reasoning else self._mask

    def write(self, token: int, room: bool) -> bool:
        """Make text of a token that was drawn; ``room`` says whether one more fits into the
        context. False when the answer ends with it."""
        if self.generated == 0:
            self._stream.begun()
        piece, ends = self._kind(token)
        if (ends and not self._sampling.ignore_eos) or token in self._stops:
            self._finish = "stop"
            return False
        self.generated += 1
        self._tokens.append(token)
        text, reasoning, stopped = self._text.push(piece)
        self._hear(text, reasoning)
        self.thought += bool(reasoning) or self._text.reasoning
        if self._later is not None:
            self._hold(self._later)
        if stopped or (self._mask is not None and self._mask.finished):
            self._finish = "stop"
        elif self.generated == self._sampling.max_tokens or not room:
            self._finish = "length"
        else:
            return True
        return False

    def measured(
        self, token: int, logprob: Callable[[int], float], top: list[tuple[int, float]]
    ) -> None:
        """Note how likely a token was, and the likeliest in its place."""
        spelled = [self._vocabulary.piece(one) for one in (token, *(other for other, _ in top))]
        values = [logprob(token), *(value for _, value in top)]
        self._logprobs.append(TokenLogprob.of(spelled, values))

    def tell(self) -> None:
        """Emit what there is to say."""
        if self._answer or self._reasoning or self._pieces or self._calls:
            self._stream.emit(self._chunk())

    def finish(self, error: BaseException | None) -> None:
        """Say the rest, and why it ended."""
        text, reasoning, _ = self._text.finish()
        self._hear(text, reasoning)
        if self._parser is not None:
            self._keep(self._parser.finish(cut=self._finish == "length"))
        if self._ids and self._finish == "stop":
            self._finish = "tool_calls"
        self._stream.end(replace(self._chunk(self._finish), stop=self._text.stop), error)

    def _hear(self, text: str, reasoning: str) -> None:
        self._reasoning += reasoning
        self._thought = self._thought or bool(reasoning)
        if self._parser is None:
            self._answer += text
        elif text:
            self._keep(self._parser.push(text))

    def _hold(self, constraint: "Constraint") -> None:
        """Where a call begins, hold the model to what one is."""
        if self._parser is None:
            return
        written = self._parser.behind(constraint.lead)
        if written is not None:
            self._mask, self._later = constraint.begun(written), None

    def _keep(self, spoken: "Spoken") -> None:
        self._answer += spoken.text
        if spoken.reasoning:  # a message of its own
            self._reasoning += ("\n" if self._thought else "") + spoken.reasoning
            self._thought = True
        for piece in spoken.pieces:
            if piece.number == len(self._ids):
                fresh = piece.id not in self._ids
                self._ids.append(piece.id if piece.id and fresh else new_id())
            self._pieces.append(CallPiece(self._ids[piece.number], piece.name, piece.arguments))
        for said in spoken.calls:
            self._calls.append(ToolCall(self._ids[self._ended], said.name, said.arguments))
            self._ended += 1

    def _kind(self, token: int) -> tuple[bytes, bool]:
        """A token's bytes, and whether it ends a turn; a control token is silent unless it is part
        of a marker of reasoning or of a call."""
        known = self._kinds.get(token)
        if known is None:
            piece = self._vocabulary.piece(token)
            if self._vocabulary.is_control(token) and not self._needed(piece):
                piece = b""
            known = self._kinds[token] = piece, self._vocabulary.is_end(token)
        return known

    def _needed(self, piece: bytes) -> bool:
        text = piece.decode(errors="replace")
        return self._markers.needs(text) or bool(self._offer and self._offer.needs(text))

    def _chunk(self, finish: FinishReason | None = None) -> Chunk:
        tokens, self._tokens = tuple(self._tokens), []
        logprobs, self._logprobs = tuple(self._logprobs), []
        text, self._answer = self._answer, ""
        reasoning, self._reasoning = self._reasoning, ""
        calls, self._calls = tuple(self._calls), []
        pieces, self._pieces = tuple(self._pieces), []
        return Chunk(
            self._index, text, reasoning, tokens, logprobs, finish, tool_calls=calls,
            call_pieces=pieces,
        )  # fmt: skip


def new_id() -> str:
    """An id for a call that has none.

    >>> new_id() != new_id(), len(new_id())
    (True, 29)
    """
    import secrets

    return f"call_{secrets.token_hex(12)}"
