"""A choice: one sequence of a request, drawn by llama.cpp's samplers and written to its stream."""

from typing import TYPE_CHECKING

from llmrr.engines.llamacpp.api import Vocab
from llmrr.engines.llamacpp.context import Context, Shape
from llmrr.engines.llamacpp.sampler import Sampler, top_logprobs
from llmrr.engines.llamacpp.task import Pictured, Task
from llmrr.engines.stream import AnswerStream
from llmrr.engines.templates import Prompt
from llmrr.engines.writing import Writer
from llmrr.types import Sampling

if TYPE_CHECKING:
    from llmrr.engines.constrain import Constraint


class Choice(Task):
    """One sequence of a request: draws its tokens and has text made of them."""

    def __init__(
        self,
        stream: AnswerStream,
        index: int,
        read: Pictured,
        shape: Shape,
        most: int,
        sampling: Sampling,
        vocab: Vocab,
        prompt: Prompt,
        constraint: "Constraint | None",
    ) -> None:
        super().__init__(read, shape, most)
        self._vocab, self._logprobs = vocab, sampling.logprobs
        self._sampler = Sampler(sampling, vocab, read.text, index)
        self._writer = Writer(stream, index, sampling, vocab, prompt, constraint)

    @property
    def generated(self) -> int:
        """Tokens of the answer so far."""
        return self._writer.generated

    @property
    def thought(self) -> int:
        """How many of these were thought."""
        return self._writer.thought

    def sampled(self, context: Context) -> int | None:
        """Draw a token and make text of it; None when the answer ends with it."""
        token = self._draw(context)
        room = len(self.known) + self.spare + 1 < self.most
        return token if self._writer.write(token, room) else None

    def tell(self) -> None:
        """Emit what there is to say."""
        self._writer.tell()

    def finished(self, error: BaseException | None) -> None:
        """Its sequence is free: say the rest, and why it ended."""
        self._sampler.close()
        self._writer.finish(error)

    def _draw(self, context: Context) -> int:
        wanted, mask = self._logprobs, self._writer.mask
        logits = context.logits(self.row) if wanted is not None or mask is not None else 0
        measured = None
        if wanted is not None:
            measured = top_logprobs(logits, self._vocab.size, wanted)
        if mask is not None:
            mask.apply(logits, self._vocab.size)
        token = self._sampler.sample(context.pointer, self.row)
        if mask is not None:
            mask.accept(token)
        if measured is not None:
            self._writer.measured(token, *measured)
        return token
