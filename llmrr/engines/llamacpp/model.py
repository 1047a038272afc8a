"""A loaded GGUF model: requests in, streams out, and the contexts that this takes."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from llmrr import hardware
from llmrr.engines import prompting, rendering, threads
from llmrr.engines.base import Footprint, Load, Options, Text
from llmrr.engines.later import Later
from llmrr.engines.llamacpp import vectors
from llmrr.engines.llamacpp.api import AbortFlag, Vocab
from llmrr.engines.llamacpp.batching import Batching
from llmrr.engines.llamacpp.choice import Choice
from llmrr.engines.llamacpp.context import Context, Shape, goes_back
from llmrr.engines.llamacpp.fitting import fit_of, refuse_too_large
from llmrr.engines.llamacpp.loading import LoadedModel
from llmrr.engines.llamacpp.options import flash_attention, prefix_cache
from llmrr.engines.llamacpp.prefixes import Prefixes
from llmrr.engines.llamacpp.sizing import Sizing, rounded
from llmrr.engines.llamacpp.task import Pictured
from llmrr.engines.stream import AnswerStream
from llmrr.engines.templated import Templated
from llmrr.engines.templates import Prompt
from llmrr.errors import FeatureMissing, Unsupported
from llmrr.types import Chunk, ModelFiles, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmrr.engines.constrain import Vocabulary
    from llmrr.engines.llamacpp.images import Encoder
    from llmrr.hardware import Fit

T = TypeVar("T")


class LlamaModel(Templated):
    """A loaded model. The context is opened when the first request says how large it must be, and
    opened anew when a later one needs more."""

    def __init__(
        self, place: ModelFiles, options: Options, loading: Later[LoadedModel], began: float
    ) -> None:
        from llmrr.formats import gguf

        self._place, self._options = place, options
        self._machine = hardware.probe()
        self.info = gguf.inspect(place.path)
        self._threads = threads.count(self.info, self._machine, options)
        refuse_too_large(self.fit, place.path)
        rendering.prepare(self._template_text)  # it starts while llama.cpp loads
        self._loaded = loading.start().result()
        self.vocab = Vocab(self._loaded.pointer)
        self._sizing = Sizing(
            self.info, options, self._machine, self.fit,
            threads=self._threads, goes_back=goes_back(self._loaded.pointer),
        )  # fmt: skip
        self._abort = AbortFlag()
        self._images: Encoder | None = None
        self._batching = Batching(
            self._context, self._abort, self._sizing.widened, _prefixes(place, options),
            crowded=options.crowded,
        )  # fmt: skip
        self._load_seconds = time.perf_counter() - began

    @cached_property
    def fit(self) -> "Fit | None":
        """What it takes on this machine, and the largest context that fits."""
        return fit_of(self.info, self._machine, self._options)

    @property
    def where(self) -> str | None:
        """What computes, as far as the file lets it be known."""
        if self.fit is None:
            return None
        count = self.fit.gpu_layers
        return f"{count} of {self.fit.layers + 1} layers on the GPU" if count else "the CPU"

    @property
    def threads(self) -> int:
        """How many threads compute on the CPU."""
        return self._threads

    @property
    def largest_context(self) -> int:
        """How many tokens a sequence may have."""
        return self._sizing.limit

    @property
    def footprint(self) -> Footprint | None:
        """What it takes, as far as the file lets it be known."""
        fit = self.fit
        return Footprint(fit.host_bytes + fit.gpu_bytes, fit.gpu_bytes) if fit else None

    def _ends(self) -> tuple[str, str]:
        vocab = self.vocab
        return vocab.text(vocab.token("bos")), vocab.text(vocab.token("eos"))

    @property
    def load(self) -> Load:
        """What it has to do now, and what it did; from any thread."""
        return self._batching.load

    # -- answering -----------------------------------------------------------------------------

    def generate(
        self, request: Request, on_chunk: Callable[[Chunk], None] | None = None
    ) -> AnswerStream:
        """Start answering. ``request.sampling`` is taken as it is: defaults are the router's work.

        Raises ``ContextOverflow`` for a prompt that leaves no room for an answer, ``UsageError``
        for a grammar or schema that does not compile, and for numbers below one, ``Unsupported``
        for a model that only makes vectors.
        """
        self._require_answers()
        prompting.require_local(request, "llamacpp", sees=True)
        with self._loaded.in_use():
            prompt, read = self._read(request)
            cells = len(read.known) + read.spare
            sampling = prompting.bounded(request.sampling, templated=self.templated)
            shape = self._sizing.shape(
                self._sizing.needed(cells, sampling.max_tokens),
                flash=flash_attention(
                    self._options, self._accelerated, cells, sampling.max_tokens
                ),
            )
            constraint = prompting.constraint(sampling, prompt, lambda: self._vocabulary)
            stream = AnswerStream(self._batching, on_chunk, self._load_seconds, prompt.notes)
            self._load_seconds = 0.0  # the first answer has paid for it
            most = max(shape.size, min(self._sizing.limit, self._options.at_least))
            stream.start(
                [
                    Choice(
                        stream, index, read, shape, most, sampling, self.vocab, prompt, constraint
                    )
                    for index in range(request.n)
                ]
            )
            return stream

    def _read(self, request: Request) -> tuple[Prompt, Pictured]:
        """The prompt as text, and as what is computed."""
        prompting.require_sampled(request.sampling, self.vocab.size)
        if images := prompting.image_data(request):
            encoder = self._encoder()
            request = prompting.marked(request, encoder.marker)
            prompt = prompting.prompted(
                request, self.template_for(request), templated=self.templated
            )
            read = encoder.read(prompt.text, images)
        else:
            prompt = prompting.prompted(
                request, self.template_for(request), templated=self.templated
            )
            tokenize, size = self.vocab.tokenize, self.vocab.size
            read = Pictured(prompting.tokenized(request, prompt, tokenize, size=size))
        adds = self.vocab.adds_bos and not request.tokens
        return prompt, read.beginning(self.vocab.token("bos"), adds=adds)

    def _encoder(self) -> "Encoder":
        """The image encoder, loaded when the first image comes."""
        if self._images is None:
            from llmrr.engines.llamacpp.check import check_encoder
            from llmrr.engines.llamacpp.images import Encoder

            if (path := self._options.mmproj) is None:
                raise FeatureMissing(
                    f"{self._place.path.name} has no image encoder here",
                    "-o mmproj FILE names the mmproj file that belongs to it",
                )
            check_encoder(self._place.path, path)
            self._images = Encoder(
                path, self._loaded.pointer, self._threads, gpu=self._accelerated
            )
        return self._images

    def _require_answers(self) -> None:
        """llama.cpp ends the process when an encoder is asked for the next token."""
        if not self.info.writes:
            raise Unsupported(
                f"{self._place.path.name} is an embedding model: it makes vectors, and no answers",
                "llmrr embed -m MODEL TEXT; llmrr list shows the others",
            )

    def tokenize(self, text: str) -> list[int]:
        """The text's token ids, special tokens recognised."""
        with self._loaded.in_use():
            return self.vocab.tokenize(text)

    def pieces(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes that token ids stand for."""
        with self._loaded.in_use():
            return [self.vocab.piece(token) for token in tokens]

    def prompt_tokens(self, request: Request) -> list[int]:
        """The token ids that it is given for a request, -1 for each position of an image."""
        self._require_answers()
        prompting.require_local(request, "llamacpp", sees=True)
        with self._loaded.in_use():
            return [max(token, -1) for token in self._read(request)[1].known]

    def embed(self, texts: Sequence[Text]) -> list[list[float]]:
        """One vector of length 1 per text, pooled as the file says, else by the mean."""
        with self._loaded.in_use():
            tokens = [self._ids(text) for text in texts]
        return self.embed_tokens(tokens)

    def _ids(self, text: Text) -> Sequence[int]:
        if isinstance(text, str):
            return self.vocab.tokenize(text, add_special=True) or [0]
        prompting.require_known(text, self.vocab.size)
        return text

    def embed_tokens(self, tokens: Sequence[Sequence[int]]) -> list[list[float]]:
        """``embed`` for texts that are tokens already, none of them empty."""
        longest = max(map(len, tokens), default=0)
        limit = self.info.context_length or longest
        if longest > limit:
            raise prompting.overflow("longest text", longest, limit, self.info.context_length)
        shape = replace(
            self._sizing.shape(rounded(longest), flash=self._flash),
            slots=min(vectors.AT_ONCE, len(tokens)),
            pooled=vectors.pooling(self.info.pooling),
        )
        return self._side(shape, lambda context, stopped: vectors.embed(context, tokens, stopped))

    def logits(self, tokens: Sequence[int]) -> "NDArray[np.float32]":
        """The logits after each token, shape (tokens, vocabulary), float32."""
        size = self.vocab.size
        self._sizing.needed(len(tokens), 0)
        shape = self._sizing.shape(rounded(len(tokens)), flash=self._flash)
        shape = replace(shape, slots=1, all_logits=True)
        return self._side(
            shape, lambda context, stopped: vectors.logits(context, tokens, size, stopped)
        )

    def _side(self, shape: Shape, work: "Callable[[Context, Callable[[], bool]], T]") -> T:
        """Do something in a context of its own, between two steps of the batching."""
        batching = self._batching
        return batching.later(
            lambda: work(self._context(shape), lambda: batching.closing)
        ).result()

    def close(self) -> None:
        """Cancel what is in flight and free the model. Twice is allowed."""
        self._batching.close()
        with self._loaded.in_use() if self._loaded.pointer else nullcontext():
            if self._images is not None:
                self._images.close()
        self._loaded.close()

    # -- the grammar ---------------------------------------------------------------------------

    @cached_property
    def _vocabulary(self) -> "Vocabulary":
        from llmrr.engines.constrain import Vocabulary

        vocab = self.vocab
        special = frozenset(token for token in range(vocab.size) if vocab.is_control(token))
        return Vocabulary(
            tokens=[vocab.piece(token) for token in range(vocab.size)],
            eos=vocab.end_tokens,
            special=special,
            tokenize=lambda data: vocab.tokenize(data.decode(errors="replace"), special=False),
        )

    # -- the context ---------------------------------------------------------------------------

    @property
    def _flash(self) -> bool:
        """Flash attention where only a prompt is read, which rounds keys and values to float16."""
        return self._options.flash_attention != "off"

    @property
    def _accelerated(self) -> bool:
        return bool(self.fit and self.fit.gpu_layers)

    def _context(self, shape: Shape) -> Context:
        context = Context(self._loaded.pointer, shape, self._abort)
        self._loaded.adapt(context.pointer)
        return context


def _prefixes(place: ModelFiles, options: Options) -> Prefixes:
    limit = prefix_cache(options)
    if not (limit and options.prefix_disk):
        return Prefixes(limit)
    from llmrr.engines.llamacpp.saved import Saved

    return Prefixes(limit, Saved(place.path, options, limit))
