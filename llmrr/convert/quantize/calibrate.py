"""Computes an importance matrix: runs a model over a text, and adds up the squares of what goes
into each of its matrices, as ``tools/imatrix`` of llama.cpp does. Runs in the helper process.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr.convert.quantize import ggml
from llmrr.convert.quantize.imatrix import Entry, Imatrix
from llmrr.engines.base import Options
from llmrr.engines.llamacpp.api import Vocab, api, captured_log, set_fields
from llmrr.engines.llamacpp.context import Batch
from llmrr.engines.llamacpp.loading import LoadedModel, open_model
from llmrr.errors import DamagedFile, EngineFailed, LlmrrError, UsageError

if TYPE_CHECKING:
    import numpy as np

    Sums = np.ndarray[Any, np.dtype[np.float64]]
else:
    Sums = Any

CHUNK = 512  # tokens that are computed on their own, as llama-imatrix does unless told otherwise
FEWEST_ROWS = 16  # of a batch that llama-imatrix takes into account


class Collector:
    """The evaluation callback: llama.cpp asks for each node of its graph, and computes up to each
    one that is wanted. Sums are kept in double precision; single loses digits over many chunks."""

    def __init__(self) -> None:
        self.sums: dict[str, Sums] = {}
        self.counts: dict[str, Sums] = {}
        self.failed: LlmrrError | None = None
        self._dense = ggml.operations()["MUL_MAT"]
        self._routed = ggml.operations()["MUL_MAT_ID"]
        self.callback = api().ggml_backend_sched_eval_callback(self._see)

    def _see(self, address: int, ask: bool, _: object) -> bool:
        tensor = ggml.Tensor.from_address(address)
        if ask:
            return self._wants(tensor)
        try:
            self._take(tensor)
        except LlmrrError as error:  # cannot be raised through llama.cpp
            self.failed = error
        except (MemoryError, ValueError, IndexError) as error:
            self.failed = EngineFailed(f"{_name(tensor.src[0].contents)}: {error}")
        return self.failed is None

    def _wants(self, tensor: ggml.Tensor) -> bool:
        if tensor.op not in (self._dense, self._routed):
            return False
        rows = tensor.src[1].contents
        if rows.type != ggml.F32 or self.failed:
            return False
        if tensor.op == self._routed:
            return True
        return rows.ne[1] >= FEWEST_ROWS and _name(tensor.src[0].contents).startswith("blk.")

    def _take(self, tensor: ggml.Tensor) -> None:
        import numpy as np

        weight, rows = tensor.src[0].contents, tensor.src[1].contents
        name = _name(weight)
        matrices = weight.ne[2] * (1 if tensor.op == self._routed else weight.ne[3])
        shape = (matrices, rows.ne[0])
        if name not in self.sums:
            self.sums[name] = np.zeros(shape)
            self.counts[name] = np.zeros(matrices if tensor.op == self._routed else 1)
        total, counts = self.sums[name], self.counts[name]
        if total.shape != shape:
            raise EngineFailed(f"{name} is used with rows of {shape} and of {total.shape}")
        values = ggml.array_of(rows, "<f4")
        if tensor.op == self._routed:
            ids = ggml.array_of(tensor.src[2].contents, "<i4")[0, 0]
            add_routed(total, counts, values[0], ids)
        else:
            add_dense(total, values, weight.ne[2], weight.ne[3])
            counts += rows.ne[1] * rows.ne[2] * rows.ne[3] // matrices
        if not np.isfinite(total).all():
            raise DamagedFile(
                f"the model computes numbers that are not finite, on their way into {name}",
                "calibrate with its BF16 or F32 file",
            )


def add_dense(total: Sums, rows: "np.ndarray[Any, Any]", inner: int, outer: int) -> None:
    """Add the squares of ``rows``, (i3, i2, rows, columns), to those of their matrix: there are
    ``outer`` times ``inner``, which repeat."""
    import numpy as np

    squares = np.einsum("lkij,lkij->lkj", rows, rows)
    for i3 in range(rows.shape[0]):
        for i2 in range(rows.shape[1]):
            total[(i3 % outer) * inner + i2 % inner] += squares[i3, i2]


def add_routed(
    total: Sums, counts: Sums, rows: "np.ndarray[Any, Any]", ids: "np.ndarray[Any, Any]"
) -> None:
    """Add the squares of ``rows``, (tokens, experts used or 1, columns), to those of the experts in
    ``ids``, (tokens, experts used)."""
    import numpy as np

    experts, used = len(total), ids.shape[1]
    if ids.size and not (ids.min() >= 0 and ids.max() < experts):
        raise EngineFailed(f"experts {ids.min()} to {ids.max()} are used, and there are {experts}")
    for slot in range(used):
        squares = np.square(rows[:, slot % rows.shape[1]])
        order = np.argsort(ids[:, slot], kind="stable")
        present, starts = np.unique(ids[order, slot], return_index=True)
        total[present] += np.add.reduceat(squares[order], starts, axis=0)
        counts += np.bincount(ids[:, slot], minlength=experts)


def compute(path: Path, text: Path, threads: int, told: Callable[[int, int], None]) -> Imatrix:
    """The importance matrix of the model at ``path`` over ``text``; ``told`` gets the chunks that
    are done and their number.

    Raises ``UsageError`` for a text that is not UTF-8 or too short, and what loading raises.
    """
    words = _read(text)
    collector = Collector()
    model = open_model(path, Options())
    try:
        vocabulary = Vocab(model.pointer)
        tokens = vocabulary.tokenize(words, add_special=True, special=False)
        chunks = len(tokens) // CHUNK
        if chunks == 0:
            raise UsageError(
                f"{text} has {len(tokens)} tokens, and at least {CHUNK} are needed to calibrate",
                "give a longer text; a hundred thousand words are usual",
            )
        _run(model, tokens[: chunks * CHUNK], threads, collector, told)
    finally:
        model.close()
    return _matrix(collector, text.name, chunks)


def _read(text: Path) -> str:
    try:
        return text.read_bytes().decode()  # reading as text would change ends of lines
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{text} is not UTF-8 text: byte {error.start} is {error.object[error.start]:#x}",
            f"iconv -t UTF-8 {text}",
        ) from error


def _matrix(collector: Collector, dataset: str, chunks: int) -> Imatrix:
    import numpy as np

    if not collector.sums:
        raise EngineFailed("llama.cpp multiplied by no matrix of a layer")
    entries = {
        name: Entry(sums.astype(np.float32).reshape(-1), collector.counts[name].astype(np.float32))
        for name, sums in collector.sums.items()
    }
    return Imatrix(entries, (dataset,), chunks, CHUNK)


def _run(
    model: LoadedModel,
    tokens: list[int],
    threads: int,
    collector: Collector,
    told: Callable[[int, int], None],
) -> None:
    binding, vocabulary = api(), Vocab(model.pointer)
    begin = vocabulary.token("bos") if vocabulary.adds_bos else None
    context, batch = _context(model, threads, collector), Batch(CHUNK, 1)
    memory = binding.llama_get_memory(context)
    try:
        for start in range(0, len(tokens), CHUNK):
            chunk = tokens[start : start + CHUNK]
            if begin is not None:
                chunk[0] = begin
            binding.llama_memory_clear(memory, True)
            batch.clear()
            batch.add(0, chunk, 0, 1)
            batch.want_all()  # else the last layer computes only what is asked for
            code = binding.llama_decode(context, batch.ready())
            if collector.failed:
                raise collector.failed
            if code != 0:
                raise EngineFailed(f"llama.cpp could not compute a chunk (code {code})")
            told(start // CHUNK + 1, len(tokens) // CHUNK)
    finally:
        binding.llama_free(context)


def _context(model: LoadedModel, threads: int, collector: Collector) -> Any:
    binding = api()
    parameters = set_fields(
        binding.llama_context_default_params(),
        {
            "n_ctx": CHUNK,
            "n_batch": CHUNK,
            "n_ubatch": CHUNK,
            "n_seq_max": 1,
            "n_threads": threads,
            "n_threads_batch": threads,
            "cb_eval": collector.callback,
            "no_perf": True,
        },
    )
    with captured_log() as lines:
        context = binding.llama_init_from_model(model.pointer, parameters)
    if not context:
        raise EngineFailed(f"llama.cpp opens no context: {' '.join(lines)[-300:]}")
    return context


def _name(weight: ggml.Tensor) -> str:
    """A weight's name without where it was copied to: CUDA0#blk.0.attn_k.weight#0."""
    parts = weight.name.decode(errors="replace").split("#")
    return str(parts[1] if len(parts) > 1 else parts[0])
