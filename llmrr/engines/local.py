"""A loaded model over a backend: requests in, streams out. Of every local engine but llama.cpp."""

import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from llmrr.engines import prompting, rendering, room
from llmrr.engines.backend import Backend
from llmrr.engines.base import Footprint, Options, Text
from llmrr.engines.later import Later
from llmrr.engines.runner import Runner, Task
from llmrr.engines.sampler import Sampler, top_logprobs
from llmrr.engines.stream import AnswerStream
from llmrr.engines.templated import Templated
from llmrr.engines.templates import Prompt
from llmrr.engines.tokens import Tokens
from llmrr.engines.writing import Writer
from llmrr.errors import EngineFailed, FeatureMissing, Unsupported
from llmrr.types import Chunk, ModelFiles, ModelInfo, Request, Sampling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmrr.engines.backend import Logits
    from llmrr.engines.constrain import Constraint, Vocabulary

T = TypeVar("T")


class LocalModel(Templated):
    """A model on this machine. ``opening`` is its backend, which another thread opens meanwhile;
    ``began`` is when loading began, by ``time.perf_counter``. ``writes``
    False is for a model that only makes vectors.
    """

    def __init__(
        self,
        place: ModelFiles,
        info: ModelInfo,
        options: Options,
        tokens: Tokens,
        opening: Later[Backend[Any]],
        began: float,
        *,
        writes: bool = True,
    ) -> None:
        self.info, self.tokens = info, tokens
        self._place, self._options, self._writes = place, options, writes
        if writes:
            rendering.prepare(self._template_text)  # it starts while the backend loads
        self._backend = opening.start().result()
        most = room.most_slots(info, options) if writes else 1
        self._runner = Runner(self._backend, options.slots, self._limit, most)
        try:
            self._runner.later(self._backend.open).result()
        except Exception:  # and not Ctrl-C, which would wait for what is being loaded
            self._runner.close()
            raise
        self._load_seconds = time.perf_counter() - began

    @property
    def where(self) -> str | None:
        """What computes, as the backend says it."""
        return self._backend.where

    @property
    def threads(self) -> int | None:
        """How many threads compute on the CPU, where the backend says so."""
        return self._backend.threads

    @property
    def largest_context(self) -> int:
        """How many tokens a sequence may have."""
        return self._limit

    @property
    def footprint(self) -> Footprint | None:
        """What its weights take."""
        total = self.info.bytes
        return Footprint(total, total if self._backend.accelerated else 0) if total else None

    def _ends(self) -> tuple[str, str]:
        return self.tokens.text(self.tokens.bos), self.tokens.text(self.tokens.eos)

    def generate(
        self, request: Request, on_chunk: Callable[[Chunk], None] | None = None
    ) -> AnswerStream:
        """Start answering. ``request.sampling`` is taken as it is: defaults are the router's work.

        Raises ``ContextOverflow`` for a prompt that leaves no room for an answer, ``UsageError``
        for a grammar or schema that does not compile, and for numbers below one, ``Unsupported``
        for a model that only makes vectors.
        """
        self._require_open()
        if not self._writes:
            raise Unsupported(
                f"{self._place.path.name} is an embedding model: it makes vectors, and no answers",
                "llmrr embed -m MODEL TEXT; llmrr list shows the others",
            )
        prompt, tokens = self._read(request)
        self._require_room("prompt", len(tokens), answer=1)
        sampling = prompting.bounded(request.sampling, templated=self.templated)
        constraint = prompting.constraint(sampling, prompt, lambda: self._vocabulary)
        stream = AnswerStream(self._runner, on_chunk, self._load_seconds, prompt.notes)
        self._load_seconds = 0.0  # the first answer has paid for it
        stream.start(
            [
                Choice(stream, index, tokens, self._limit, sampling, self.tokens, prompt,
                       constraint)
                for index in range(request.n)
            ]
        )  # fmt: skip
        return stream

    def tokenize(self, text: str) -> list[int]:
        """The text's token ids, special tokens recognised."""
        self._require_open()
        return self.tokens.tokenize(text)

    def pieces(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes that token ids stand for."""
        return [self.tokens.piece(token) for token in tokens]

    def prompt_tokens(self, request: Request) -> list[int]:
        """The token ids that it is given for a request."""
        self._require_open()
        return self._read(request)[1]

    def embed(self, texts: Sequence[Text]) -> list[list[float]]:
        """One vector of length 1 per text. Raises ``FeatureMissing`` where the engine has none of
        this model, ``ContextOverflow`` for a text that is too long."""
        self._require_open()
        tokens = [self._ids(text) for text in texts]
        longest = max(map(len, tokens), default=0)
        if longest > self._limit:
            self._runner.later(lambda: self._backend.embed(())).result()  # where it makes none
        self._require_room("longest text", longest)
        return self._runner.later(lambda: self._backend.embed(tokens)).result()

    def logits(self, tokens: Sequence[int]) -> "NDArray[np.float32]":
        """The logits after each token, shape (tokens, vocabulary), float32."""
        self._require_open()
        self._require_room("prompt", len(tokens))
        return self._runner.later(lambda: self._every(tokens)).result()

    def close(self) -> None:
        """Cancel what is in flight and free the model. Twice is allowed."""
        self._runner.close()

    # -- inside --------------------------------------------------------------------------------

    def _read(self, request: Request) -> tuple[Prompt, list[int]]:
        """The prompt as text, and as what is computed."""
        prompting.require_local(request, self._backend.engine)
        prompt = prompting.prompted(
            request, self.template_for(request), templated=self.templated
        )
        size = max(self.tokens.size, self.info.vocabulary or 0)
        prompting.require_sampled(request.sampling, size)
        tokens = prompting.with_bos(
            prompting.tokenized(request, prompt, self.tokens.tokenize, size=size),
            self.tokens.bos,
            adds=self.tokens.adds_bos and not request.tokens,
        )
        return prompt, tokens

    def _ids(self, text: Text) -> Sequence[int]:
        if isinstance(text, str):
            return self.tokens.enclosed(text) or [self.tokens.bos or 0]
        prompting.require_known(text, max(self.tokens.size, self.info.vocabulary or 0))
        return text

    def _every(self, tokens: Sequence[int]) -> "NDArray[np.float32]":
        import numpy as np

        backend = self._backend
        state = backend.start()
        rows = [
            backend.every(state, tokens[start : start + backend.chunk])
            for start in range(0, len(tokens), backend.chunk)
        ]
        return np.concatenate(rows) if rows else np.empty((0, self.tokens.size), np.float32)

    @cached_property
    def _limit(self) -> int:
        """The largest context of one sequence, in tokens."""
        if self._options.context_size is not None:
            return self._options.context_size
        known = (self.info.context_length, self._backend.largest_context)
        return min((size for size in known if size), default=self._options.at_least)

    def _require_open(self) -> None:
        if self._runner.closing:
            raise EngineFailed("the model was closed")

    def _require_room(self, what: str, count: int, answer: int = 0) -> None:
        if count + answer > self._limit:
            raise prompting.overflow(what, count, self._limit, self.info.context_length)

    @cached_property
    def _vocabulary(self) -> "Vocabulary":
        return self.tokens.vocabulary()


class Choice(Task):
    """One sequence of a request: draws its tokens and has text made of them."""

    def __init__(
        self,
        stream: AnswerStream,
        index: int,
        tokens: Sequence[int],
        limit: int,
        sampling: Sampling,
        vocabulary: Tokens,
        prompt: Prompt,
        constraint: "Constraint | None",
    ) -> None:
        super().__init__(tokens)
        self._limit, self._logprobs = limit, sampling.logprobs
        self._sampler = Sampler(sampling, tokens, index, vocabulary.ends)
        self._writer = Writer(stream, index, sampling, vocabulary, prompt, constraint)

    @property
    def generated(self) -> int:
        """Tokens of the answer so far."""
        return self._writer.generated

    @property
    def thought(self) -> int:
        """How many of these were thought."""
        return self._writer.thought

    def sampled(self, logits: "Logits") -> int | None:
        """Draw a token and make text of it; None when the answer ends with it."""
        wanted, mask = self._logprobs, self._writer.mask
        measured = None if wanted is None else top_logprobs(logits, wanted)
        if mask is not None:
            mask.apply(logits.ctypes.data, len(logits))
        token = self._sampler.sample(logits)
        if mask is not None:
            mask.accept(token)
        if measured is not None:
            self._writer.measured(token, *measured)
        room = len(self.known) + 1 < self._limit
        return token if self._writer.write(token, room) else None

    def tell(self) -> None:
        """Emit what there is to say."""
        self._writer.tell()

    def finished(self, error: BaseException | None) -> None:
        """Its sequence is free: say the rest, and why it ended."""
        self._writer.finish(error)


def refuse_stated(options: Options, engine: str, names: Sequence[str]) -> None:
    """Raise ``FeatureMissing`` for an option that this engine has no such thing for, and that was
    set to something else than its default."""
    usual = Options()
    known = {field.name for field in fields(Options)}
    for name in names:
        assert name in known, name
        if (stated := getattr(options, name)) != getattr(usual, name):
            shown = "adapters" if name == "lora" else f"{name} {stated}"
            raise FeatureMissing(
                f"the {engine} engine has no {shown}", f"leave out {name}, or use a GGUF model"
            )


def refuse_a_part(options: Options, engine: str) -> None:
    """Raise ``FeatureMissing`` for layers of which some are to be on an accelerator."""
    if options.gpu_layers not in ("auto", 0, -1):
        raise FeatureMissing(
            f"the {engine} engine puts all layers on an accelerator or none, and not"
            f" {options.gpu_layers}",
            "-o gpu_layers 0, or -1",
        )
