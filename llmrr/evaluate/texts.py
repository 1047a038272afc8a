"""A text in windows, for perplexity.

The method is that of llama.cpp's ``llama-perplexity``, so that the figures can be compared: the
text is cut into windows of equal length, each begins with the model's own token for the beginning
of a text where it wants one, and only the second half of each window counts, so that every counted
token has at least half a window before it. What is left at the end is not counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmrr.errors import Unsupported, UsageError
from llmrr.types import ModelInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmrr.engines.base import Model

WINDOW = 512  # tokens, as llama-perplexity has it
FEWEST = 3  # tokens of a window of which one can be counted
# Pre-tokenizers of Llama 3: a GGUF file with one of them that does not say so wants its BOS.
_BEGUN = ("llama3", "llama-v3", "llama-bpe")


@dataclass(frozen=True, slots=True)
class Window:
    """``tokens`` to be computed; the logits from row ``first`` on, without the last, predict
    ``targets``."""

    tokens: tuple[int, ...]
    first: int
    targets: tuple[int, ...]

    def logits(self, model: "Model") -> "NDArray[np.float32]":
        """Those that predict ``targets``: shape (targets, vocabulary)."""
        return model.logits(self.tokens)[self.first : -1]


def windows(tokens: Sequence[int], window: int = WINDOW, bos: int | None = None) -> list[Window]:
    """Cut a text into windows; one that is shorter than a window is one of its own length.

    Every first token is ``bos`` where that is given: it takes a token's place, as in llama.cpp.
    Raises ``UsageError`` for a text of which nothing can be counted.

    >>> windows([1, 2, 3, 4, 5], 4, bos=0)
    [Window(tokens=(0, 2, 3, 4), first=2, targets=(4,))]
    """
    if window < FEWEST:
        raise UsageError(f"a window of {window} tokens counts none", f"at least {FEWEST}")
    if len(tokens) < FEWEST:
        raise too_short(len(tokens))
    size = min(window, len(tokens))
    found = []
    for start in range(0, len(tokens) - size + 1, size):
        part = tuple(tokens[start : start + size])
        targets = part[size // 2 + 1 :]
        found.append(Window(part if bos is None else (bos, *part[1:]), size // 2, targets))
    return found


def beginning(info: ModelInfo) -> int | None:
    """The token that a text of this model begins with, or None where it wants none.

    A file that does not say so follows llama.cpp's rule: SentencePiece BPE and the tokenizer of
    Llama 3 want one.
    """
    wants = info.add_bos
    if wants is None:
        wants = info.tokenizer == "llama" or info.pre_tokenizer in _BEGUN
    return info.special_tokens.get("bos") if wants else None


def text_tokens(model: "Model", text: str) -> list[int]:
    """The tokens of a text, its beginning among them, as ``llama-perplexity`` has them. Raises
    ``Unsupported`` for a model that does not tell its tokens."""
    tokens = model.tokenize(text)
    if tokens is None:
        raise Unsupported("only the provider knows the tokens of this model", "llmrr list")
    bos = beginning(model.info)
    return tokens if bos is None or tokens[:1] == [bos] else [bos, *tokens]


def too_short(count: int) -> UsageError:
    return UsageError(
        f"the text has {count} tokens: of fewer than {FEWEST} none is counted", "use a longer text"
    )
