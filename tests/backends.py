"""A model that is a few lines of arithmetic, and a tokenizer of bytes, to test what every local
engine shares."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from llmrr.engines.backend import Aborted, Backend
from llmrr.engines.base import Options
from llmrr.engines.later import Later
from llmrr.engines.local import LocalModel
from llmrr.engines.tokens import Tokens
from llmrr.types import Format, ModelFiles, ModelInfo

SPECIAL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")


@dataclass
class Kept:
    """The tokens themselves."""

    tokens: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        return len(self.tokens)


class Arithmetic(Backend[Kept]):
    """Logits are drawn with all tokens so far as the seed, so that a wrong state tells."""

    engine = "arithmetic"

    def __init__(
        self, size: int, *, chunk: int = 512, forks: bool = True, trims: bool = True,
        together: int = 1,
    ) -> None:  # fmt: skip
        self.size, self.chunk, self.forks, self.trims = size, chunk, forks, trims
        self.together = together
        self.computed: list[int] = []  # how many tokens each call had
        self.gate: threading.Event | None = None  # held at each call until it is set
        self.fails_at = -1  # a token that it cannot compute
        self.closed = 0
        self._abort = threading.Event()

    def start(self) -> Kept:
        return Kept()

    def advance(self, state: Kept, tokens: Sequence[int]) -> NDArray[np.float32]:
        return self.every(state, tokens)[-1]

    def every(self, state: Kept, tokens: Sequence[int]) -> NDArray[np.float32]:
        self.computed.append(len(tokens))
        while self.gate is not None and not self.gate.wait(0.01):
            if self._abort.is_set():
                raise Aborted
        if self.fails_at in tokens:
            raise RuntimeError(f"token {self.fails_at}")
        rows = []
        for token in tokens:
            state.tokens.append(token)
            random = np.random.default_rng(state.tokens)
            rows.append(random.standard_normal(self.size, dtype=np.float32) * 4)
        return np.stack(rows)

    def trim(self, state: Kept, length: int) -> bool:
        if self.trims:
            del state.tokens[length:]
        return self.trims

    def fork(self, state: Kept, length: int) -> Kept | None:
        return Kept(state.tokens[:length])

    def abort(self) -> None:
        self._abort.set()

    def resume(self) -> None:
        self._abort.clear()

    def close(self) -> None:
        self.closed += 1


def byte_tokenizer() -> Tokenizer:
    """Every byte is a token, after the special ones."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: place + len(SPECIAL) for place, letter in enumerate(letters)}
    vocabulary |= {text: place for place, text in enumerate(SPECIAL)}
    found = Tokenizer(models.BPE(vocabulary, []))
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    found.add_special_tokens([AddedToken(text, normalized=False) for text in SPECIAL])
    return found


INFO = ModelInfo(
    Format.ONNX, "arithmetic", context_length=1024, special_tokens={"bos": 0, "eos": 1},
    chat_template="{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}",
)  # fmt: skip


def arithmetic(
    backend: Arithmetic | None = None, info: ModelInfo = INFO, **options: object
) -> tuple[LocalModel, Arithmetic]:
    """A model over it, and the backend."""
    import time
    from pathlib import Path

    tokens = Tokens(byte_tokenizer(), info)
    used = backend or Arithmetic(tokens.size)
    stated = Options(**options)  # type: ignore[arg-type]
    opening = Later(lambda: used)
    place = ModelFiles(Path("arithmetic"), Format.ONNX)
    return LocalModel(place, info, stated, tokens, opening, time.perf_counter()), used
