"""What a context is asked for besides answers: embeddings, and the logits of a whole text."""

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from llmrr.engines.llamacpp.api import api
from llmrr.engines.llamacpp.context import Context
from llmrr.errors import EngineFailed, FeatureMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AT_ONCE: Final = 8  # texts embedded in one batch
_POOLING: Final = {"mean": 1, "cls": 2, "last": 3}


def pooling(name: str | None) -> int:
    """llama.cpp's number of a pooling type; the mean where the file names none."""
    if name == "rank":
        raise FeatureMissing(
            "this is a reranker: it scores pairs of texts and has no embeddings",
            "use an embedding model",
        )
    return _POOLING.get(name or "mean", _POOLING["mean"])


Stopped = Callable[[], bool]


def embed(
    context: Context, texts: Sequence[Sequence[int]], stopped: Stopped
) -> list[list[float]]:
    """One vector of length 1 per text of tokens. Closes the context."""
    try:
        vectors: list[list[float]] = []
        pending = list(texts)
        while pending:
            count = _fill(context, pending)
            _decode(context, stopped)
            vectors += [_vector(context, slot) for slot in range(count)]
            for slot in range(count):
                context.truncate(slot, 0)
            del pending[:count]
        return vectors
    finally:
        context.close()


def _fill(context: Context, texts: Sequence[Sequence[int]]) -> int:
    """Put as many texts into the batch as have room, and say how many."""
    batch = context.batch
    batch.clear()
    count = 0
    for text in texts[: context.shape.slots]:
        if batch.used + len(text) > batch.capacity:
            break
        batch.add(count, text, 0, 1)
        count += 1
    batch.want_all()
    return count


def _vector(context: Context, slot: int) -> list[float]:
    size = api().llama_model_n_embd_out(api().llama_get_model(context.pointer))
    pointer = api().llama_get_embeddings_seq(context.pointer, slot)
    if not pointer:
        raise EngineFailed("llama.cpp gave no embedding for a text")
    values = pointer[:size]
    length = math.sqrt(sum(value * value for value in values))
    if not math.isfinite(length):
        raise EngineFailed("the model gives no numbers for a text: its weights are damaged")
    return [value / length for value in values] if length > 0 else values


def _decode(context: Context, stopped: Stopped) -> None:
    while (outcome := context.decode()) != "done":
        if stopped():
            raise EngineFailed("the model was closed")
        if outcome != "aborted":
            raise EngineFailed("llama.cpp could not compute a batch")
        context.abort.clear()  # it was meant for a sequence that has ended


def logits(
    context: Context, tokens: Sequence[int], vocabulary: int, stopped: Stopped
) -> "NDArray[np.float32]":
    """The logits after each token, shape (tokens, vocabulary), float32. Closes the context."""
    import numpy as np

    try:
        rows = np.empty((len(tokens), vocabulary), np.float32)
        for start in range(0, len(tokens), context.batch.capacity):
            part = tokens[start : start + context.batch.capacity]
            context.batch.clear()
            context.batch.add(0, part, start, 1)
            context.batch.want_all()
            _decode(context, stopped)
            for row in range(len(part)):
                values = (ctypes.c_float * vocabulary).from_address(context.logits(row))
                rows[start + row] = np.ctypeslib.as_array(values)
        return rows
    finally:
        context.close()
