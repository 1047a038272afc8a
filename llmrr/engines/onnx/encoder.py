"""Vectors of texts from a graph that gives hidden states, or the vectors themselves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from llmrr.engines.backend import Backend
from llmrr.engines.onnx import ports
from llmrr.engines.onnx.caches import Grown
from llmrr.engines.onnx.decoder import State
from llmrr.engines.onnx.session import Graph
from llmrr.errors import EngineFailed, Unsupported
from llmrr.types import ModelInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AT_ONCE: Final = 8  # texts of one run
# Their places begin after the padding token: https://github.com/huggingface/transformers, the
# classes of RoBERTa and of those made after it.
OFFSET: Final = ("roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl", "longformer")


class Encoder(Backend[State]):
    """Makes vectors and writes nothing."""

    engine = "onnx"

    def __init__(self, info: ModelInfo, graph: Graph) -> None:
        if graph.ports.hidden is None or graph.ports.embedded:
            raise Unsupported("the graph gives no vectors of its tokens", "use another export")
        self._graph, self.where = graph, graph.provider.why
        self.accelerated = graph.provider.accelerates
        # A decoder that was trained to make vectors puts the whole text into its last token.
        self._pooling: str = info.pooling or ("last" if graph.ports.caches else "mean")
        offset = 2 if info.architecture in OFFSET else 0
        trained = info.context_length - offset if info.context_length else None
        self._texts, self._tokens = graph.ports.fixed
        self.largest_context = min(filter(None, (trained, self._tokens)), default=None)

    def embed(self, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """One vector of length 1 per text of tokens; texts of like length go together."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        at_once = 1 if self._graph.ports.caches else self._texts or AT_ONCE
        found: dict[int, list[float]] = {}
        for start in range(0, len(order), at_once):
            places = order[start : start + at_once]
            rows = self._run([texts[place] for place in places])
            found |= {place: _of_length_1(row) for place, row in zip(places, rows, strict=True)}
        return [found[place] for place in range(len(texts))]

    def abort(self) -> None:
        """Stop what is being computed, from any thread."""
        self._graph.stop()

    def resume(self) -> None:
        """After an abort: compute again."""
        self._graph.go_on()

    def close(self) -> None:
        """Free the graph. Twice is allowed."""
        self._graph.close()

    def _run(self, texts: Sequence[Sequence[int]]) -> "NDArray[np.float32]":
        import numpy as np

        count = len(texts) if self._graph.ports.caches else self._texts or len(texts)
        longest = self._tokens or max(map(len, texts))
        ids, mask = np.zeros((2, count, longest), np.int64)
        mask[len(texts) :, 0] = 1  # rows that only fill up: what has no tokens has no mean
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        own = self._graph.ports
        hidden = own.hidden
        assert hidden is not None
        past = {
            cache.past: value
            for cache, value in zip(
                own.caches, Grown(own.caches, self._graph.provider.device).values, strict=True
            )
        }
        made, _ = self._graph.run(self._values(ids, mask), past, hidden)
        return _pooled(np.asarray(made, np.float32), mask, self._pooling)[: len(texts)]

    def _values(
        self, ids: "NDArray[np.int64]", mask: "NDArray[np.int64]"
    ) -> "dict[str, NDArray[Any]]":
        import numpy as np

        found = {}
        for name, port in self._graph.ports.inputs.items():
            value: Any = np.zeros_like(ids)
            if name in ports.IDS:
                value = ids
            elif name == ports.MASK:
                value = mask
            elif name in ports.POSITIONS:
                value = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
            elif name not in ports.ZEROS:
                raise Unsupported(
                    f"the graph wants {name}, which says nothing of a text", "use another export"
                )
            found[name] = np.asarray(value, dtype=port.numpy, order="C")
        return found


def _pooled(
    made: "NDArray[np.float32]", mask: "NDArray[np.int64]", how: str
) -> "NDArray[np.float32]":
    """One vector per text, shape (texts, numbers), of those of its tokens."""
    vectors: NDArray[np.float32] = made
    if made.ndim == 2:
        pass  # the graph did it
    elif how == "cls":
        vectors = made[:, 0]
    elif how == "last":
        vectors = made[range(len(made)), mask.sum(axis=1) - 1]
    else:
        weights = mask[:, :, None].astype(made.dtype)
        vectors = (made * weights).sum(axis=1) / weights.sum(axis=1)
    return vectors


def _of_length_1(row: "NDArray[np.float32]") -> list[float]:
    import numpy as np

    length = float(np.linalg.norm(row.astype(np.float64)))
    if not np.isfinite(length):
        raise EngineFailed("the model gives no numbers for a text: its weights are damaged")
    return [float(value) for value in (row / length if length > 0 else row)]
