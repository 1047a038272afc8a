"""A decoder of ONNX graphs as a backend: one token, or a piece of a prompt, after what is cached.

Layouts: one graph with past; two in one, between which ``use_cache_branch`` chooses; a graph for
the first step and one with past; a graph without a cache, which computes everything anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from llmrr.engines.backend import Backend
from llmrr.engines.onnx import ports
from llmrr.engines.onnx.caches import Grown, Shared, may_share
from llmrr.engines.onnx.session import Graph
from llmrr.errors import EngineFailed, Unsupported
from llmrr.types import ModelInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmrr.engines.backend import Logits

LOGITS_BYTES: Final = 64 << 20  # most exporters' graphs give logits for every token of a piece
LEAST, MOST = 32, 512  # tokens of a piece
FEW: Final = 8  # tokens that are computed one by one where a graph takes no more
PROBE: Final = (1, 2, 3)
# How far logits may be off that are computed in another way. With dynamic quantization they depend
# on what else is in the piece.
CLOSE, CLOSE_DYNAMIC = 0.02, 0.2


@dataclass(slots=True)
class State:
    """The tokens of a sequence, and what is cached of them."""

    cache: Grown | Shared
    tokens: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        """How many tokens it has."""
        return len(self.tokens)

    @length.setter
    def length(self, length: int) -> None:
        del self.tokens[length:]


class Decoder(Backend[State]):
    """``first`` computes what has no past, where ``main`` does not; ``embeds`` makes the vectors
    that ``main`` takes in place of tokens."""

    engine = "onnx"
    forks = True

    def __init__(
        self, info: ModelInfo, main: Graph, first: Graph | None, embeds: Graph | None
    ) -> None:
        self._main, self._first, self._embeds = main, first, embeds
        self.where, self.accelerated = main.provider.why, main.provider.accelerates
        if main.ports.logits is None:
            raise Unsupported("the graph gives no logits", "use a model that writes text")
        if main.ports.embedded and embeds is None:
            raise Unsupported(
                "the graph takes vectors, and no graph that makes them of tokens lies beside it",
                "get embed_tokens of the same variant too",
            )
        if embeds is not None and ports.EMBEDDED not in embeds.ports.outputs:
            raise Unsupported("the graph of embeddings gives none", "get embed_tokens anew")
        operators = info.metadata["onnx.operators"]
        self._shares = first is None and may_share(
            main.ports.caches, operators, main.provider.device
        )
        dynamic = operators.keys() & {"DynamicQuantizeLinear", "DynamicQuantizeMatMul"}
        self._close = CLOSE_DYNAMIC if dynamic else CLOSE
        row = 4 * (info.vocabulary or 32_000)
        narrow = not main.ports.inputs.keys() & set(ports.KEEP)
        self.chunk = max(LEAST, min(MOST, LOGITS_BYTES // row)) if narrow else MOST
        for fixed, what in zip(main.ports.fixed, ("texts", "tokens"), strict=True):
            if fixed is not None and fixed > 1:
                raise Unsupported(
                    f"the graph computes {fixed} {what} at once and no other number",
                    "use an export with sizes that are not fixed",
                )
        self._single = main.ports.fixed[1] == 1

    @property
    def whole(self) -> bool:
        """Must a prompt be computed in one piece? So it is with some old exports, whose graph with
        past was made for one token: tried out once, where it matters."""
        return self._whole

    @cached_property
    def _whole(self) -> bool:
        caches = self._main.ports.caches
        if not caches or self._single:
            return False  # everything is computed anew, whatever the piece, or one by one
        expected = self._compute(self.start(), PROBE, every=True)
        state = self.start()
        self._compute(state, PROBE[:1], every=True)
        try:
            got = self._compute(state, PROBE[1:], every=True)
        except EngineFailed:  # a size that the graph does not take
            return True
        return not _alike(got, expected[-len(got) :], self._close)

    @cached_property
    def _prunes(self) -> bool:
        """Does the graph give logits for the last token alone? Tried out where all are wanted."""
        return len(self._compute(self.start(), PROBE, every=True)) < len(PROBE)

    def start(self) -> State:
        """The state of a sequence without tokens."""
        caches, device = self._main.ports.caches, self._main.provider.device
        return State((Shared if self._shares else Grown)(caches, device))

    def advance(self, state: State, tokens: Sequence[int]) -> "Logits":
        """Compute ``tokens`` after those of ``state``; the logits of the last one."""
        row: Logits = self._advance(state, tokens, every=False)[-1]
        return row

    def every(self, state: State, tokens: Sequence[int]) -> "Logits":
        """``advance`` with the logits after each of the tokens."""
        import numpy as np

        if len(tokens) > 1 and not self._single and self._prunes:
            return np.concatenate([self._advance(state, (one,), every=True) for one in tokens])
        return self._advance(state, tokens, every=True)

    def trim(self, state: State, length: int) -> bool:
        """Forget all but the first ``length`` tokens."""
        if not state.cache.trim(length):
            return False
        state.length = length
        return True

    def fork(self, state: State, length: int) -> State | None:
        """A state of its own with the first ``length`` tokens."""
        cache = state.cache.fork(length)
        return None if cache is None else State(cache, state.tokens[:length])

    def abort(self) -> None:
        """Stop what is being computed, from any thread."""
        for graph in (self._main, self._first, self._embeds):
            if graph is not None:
                graph.stop()

    def resume(self) -> None:
        """After an abort: compute again."""
        for graph in (self._main, self._first, self._embeds):
            if graph is not None:
                graph.go_on()

    def close(self) -> None:
        """Free the graphs. Twice is allowed."""
        for graph in (self._main, self._first, self._embeds):
            if graph is not None:
                graph.close()

    # -- computing -----------------------------------------------------------------------------

    def _advance(self, state: State, tokens: Sequence[int], every: bool) -> "Logits":
        import numpy as np

        if not self._main.ports.caches:
            return self._anew(state, tokens, every)
        if len(tokens) > 1 and (self._single or (state.length and self.whole)):
            if len(tokens) > FEW and not self._single:
                return self._anew(state, tokens, every)
            return np.concatenate([self._compute(state, (one,), every) for one in tokens])
        return self._compute(state, tokens, every)

    def _anew(self, state: State, tokens: Sequence[int], every: bool) -> "Logits":
        """Compute everything from the beginning."""
        fresh = self.start()
        rows = self._compute(fresh, [*state.tokens, *tokens], every)
        state.cache, state.tokens = fresh.cache, fresh.tokens
        last: Logits = rows[-len(tokens) :]
        return last

    def _compute(self, state: State, tokens: Sequence[int], every: bool) -> "Logits":
        """One run. The state is changed only after it."""
        import numpy as np

        cache, length = state.cache, state.length + len(tokens)
        graph = self._main
        if self._first is not None and not state.tokens:
            graph = self._first
        logits = graph.ports.logits
        assert logits is not None
        own = self._main.ports.caches
        targets = cache.targets(length)
        kept = [(one.present, target) for one, target in zip(own, targets, strict=True)]
        past = {one.past: value for one, value in zip(own, cache.values, strict=True)}
        if not graph.ports.caches:
            past = {}
        values = self._values(graph, state.length, tokens, every)
        made, caches = graph.run(values, past, logits, kept, last=not every)
        rows = made[0] if made.ndim == 3 else made  # without an axis of tokens it is the last one's
        result: Logits = rows.astype(np.float32, copy=False)
        cache.take(caches, length)
        state.tokens.extend(tokens)
        return result

    def _values(
        self, graph: Graph, before: int, tokens: Sequence[int], every: bool
    ) -> "dict[str, NDArray[Any]]":
        """The inputs that are not cached. The first has the shape of the tokens."""
        import numpy as np

        count = len(tokens)
        ids = np.array(tokens, np.int64).reshape(1, count)
        found: dict[str, NDArray[Any]] = {}
        embedded = self._embedded(ids) if graph.ports.embedded else {}
        for name, port in sorted(graph.ports.inputs.items(), key=lambda one: one[0] not in _TOKENS):
            if name in embedded:
                found[name] = embedded[name]
                continue
            if name in ports.IDS:
                value: Any = ids
            elif name == ports.MASK:
                value = np.ones((1, before + count), np.int64)
            elif name in ports.POSITIONS:
                value = np.arange(before, before + count, dtype=np.int64)
                shape = {1: (count,), 3: (3, 1, count)}.get(len(port.shape), (1, count))
                value = np.broadcast_to(value, shape)
            elif name == ports.BRANCH:
                value = np.full((1,) * len(port.shape), before > 0)
            elif name in ports.KEEP:
                value = np.full((1,) * len(port.shape), 0 if every else 1)
            elif name in ports.BEFORE:
                value = np.full((1,) * len(port.shape), before + count - 1)
            elif name in ports.ALL:
                value = np.full((1,) * len(port.shape), before + count)
            else:
                value = np.zeros((1, count), np.int64)
            found[name] = np.asarray(value, dtype=port.numpy, order="C")
        return found

    def _embedded(self, ids: "NDArray[np.int64]") -> "dict[str, NDArray[Any]]":
        assert self._embeds is not None
        graph = self._embeds
        name = next(iter(graph.ports.inputs))
        return {
            output: graph.run({name: ids}, {}, port)[0]
            for output, port in graph.ports.outputs.items()
        }


_TOKENS: Final = (*ports.IDS, ports.EMBEDDED)


def _alike(got: "Logits", expected: "Logits", close: float) -> bool:
    import numpy as np

    spread = float(np.linalg.norm(expected - expected.mean()))
    off = float(np.linalg.norm(got - expected))
    return bool(np.isfinite(off)) and off <= close * spread
