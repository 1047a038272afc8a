"""A llama.cpp context: the batch that is decoded, and the memory of its sequences."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llmrr.engines.llamacpp.api import AbortFlag, api, captured_log, set_fields
from llmrr.engines.llamacpp.options import KV_TYPES
from llmrr.errors import BadConfig, DoesNotFit, EngineFailed, LlmrrError

UBATCH = 512  # tokens computed at once; the compute buffers grow with it
Outcome = Literal["done", "aborted", "full"]
State = ctypes.Array[ctypes.c_uint8]  # the memory of a sequence


@dataclass(frozen=True, slots=True)
class Shape:
    """What a context is made for; ``size`` is in tokens per sequence."""

    size: int
    slots: int
    threads: int
    flash_attention: bool
    kv_type: str = "f16"
    drafted: int = 0  # tokens of a sequence that are guessed, and checked in one batch
    pooled: int | None = None  # a pooling type, for embeddings
    all_logits: bool = False


class Context:
    """Sequences that are decoded together, with a memory of ``shape.size`` tokens each.

    Sequences have streams of their own (``kv_unified`` off): the safe choice for independent ones,
    and what is shared is copied between them as state, which copies only the cells in use.
    """

    def __init__(self, model: Any, shape: Shape, abort: AbortFlag | None = None) -> None:
        self._api = api()
        self.shape = shape
        self.abort = abort or AbortFlag()
        batch = UBATCH if shape.pooled is None else _even(max(UBATCH, shape.size), shape.slots)
        parameters = set_fields(
            self._api.llama_context_default_params(),
            {
                "n_ctx": shape.size * shape.slots,
                "n_batch": batch,
                "n_ubatch": batch,
                "n_seq_max": shape.slots,
                "n_outputs_max": _outputs(shape),
                "n_threads": shape.threads,
                "n_threads_batch": shape.threads,
                "flash_attn_type": int(shape.flash_attention),
                "type_k": KV_TYPES[shape.kv_type],
                "type_v": KV_TYPES[shape.kv_type],
                "abort_callback": self.abort.callback,
                "abort_callback_data": self.abort.data,
                "embeddings": shape.pooled is not None,
                "pooling_type": -1 if shape.pooled is None else shape.pooled,
                "no_perf": True,
                "swa_full": False,
                "kv_unified": False,
            },
        )
        self._pointer = self._api.llama_init_from_model(model, parameters)
        if not self._pointer:
            with captured_log() as lines:
                self._pointer = self._api.llama_init_from_model(model, parameters)
            if not self._pointer:
                raise _refused(shape, " ".join(lines))
        # llama.cpp rounds up; what was asked for is the limit that is told.
        self.size: int = min(shape.size, self._api.llama_n_ctx_seq(self._pointer))
        self._memory = self._api.llama_get_memory(self._pointer)
        self.batch = Batch(batch, shape.slots)
        self._window: int = self._api.llama_model_n_swa(model)
        self.goes_back = goes_back(model)

    @property
    def pointer(self) -> Any:
        """The ``llama_context *``."""
        return self._pointer

    def decode(self) -> Outcome:
        """Compute the batch. ``full`` means that the memory has no room for it."""
        code = self._api.llama_decode(self._pointer, self.batch.ready())
        if code == 0:
            return "done"
        if code == 2:
            return "aborted"
        if code == 1:
            return "full"
        raise EngineFailed(f"llama.cpp could not compute a batch (code {code})")

    def length(self, slot: int) -> int:
        """How many positions the memory of a sequence holds."""
        last: int = self._api.llama_memory_seq_pos_max(self._memory, slot)
        return last + 1

    def truncate(self, slot: int, length: int) -> int:
        """Keep the first ``length`` positions of a sequence if its memory allows it.

        Returns how many are really usable: ``length``, or 0 after everything was dropped. A
        recurrent memory refuses to go back, and one with a sliding window says that it did while
        what the window needs is gone, so the answer is checked against what is left.
        """
        if length > 0 and self._api.llama_memory_seq_rm(self._memory, slot, length, -1):
            first = self._api.llama_memory_seq_pos_min(self._memory, slot)
            reaches = self._window == 0 or first <= max(0, length - self._window)
            if self.length(slot) == length and reaches:
                return length
        self.drop(slot)
        return 0

    def save(self, slot: int) -> State | None:
        """What the memory of a sequence holds, only the cells in use; None if it cannot be had."""
        size = self._api.llama_state_seq_get_size(self._pointer, slot)
        state = (ctypes.c_uint8 * size)()
        done = self._api.llama_state_seq_get_data(self._pointer, state, size, slot)
        return state if done else None

    def restore(self, slot: int, state: State) -> bool:
        """Put into a sequence what ``save`` gave, of this model and with the same flash attention
        and type of cache. False, and an empty sequence, where that is not possible."""
        self.drop(slot)
        size = len(state)
        if self._api.llama_state_seq_set_data(self._pointer, state, size, slot):
            return True
        self.drop(slot)
        return False

    def drop(self, slot: int) -> None:
        """Forget all that the memory of a sequence holds."""
        self._api.llama_memory_seq_rm(self._memory, slot, -1, -1)

    def logits(self, row: int) -> int:
        """The address of the logits of a batch row: float32, one per token of the vocabulary."""
        return ctypes.addressof(self._api.llama_get_logits_ith(self._pointer, row).contents)

    def close(self) -> None:
        """Free it. Twice is allowed."""
        if self._pointer:
            self._api.llama_free(self._pointer)
            self._pointer = None


class Batch:
    """The arrays behind a ``llama_batch``. Sequences must be added in ascending order: a ubatch
    takes only consecutive, increasing sequence ids."""

    def __init__(self, capacity: int, slots: int) -> None:
        binding = api()
        self.capacity = capacity
        self._token = (ctypes.c_int32 * capacity)()
        self._position = (ctypes.c_int32 * capacity)()
        self._counts = (ctypes.c_int32 * capacity)(*[1] * capacity)
        self._sequence = (ctypes.c_void_p * capacity)()
        self._output = (ctypes.c_int8 * capacity)()
        self._ids = (ctypes.c_int32 * slots)(*range(slots))
        self._addresses = [ctypes.addressof(self._ids) + 4 * slot for slot in range(slots)]
        kinds = dict(binding.llama_batch._fields_)
        self._struct = set_fields(
            binding.llama_batch(),
            {
                "token": ctypes.cast(self._token, kinds["token"]),
                "pos": ctypes.cast(self._position, kinds["pos"]),
                "n_seq_id": ctypes.cast(self._counts, kinds["n_seq_id"]),
                "seq_id": ctypes.cast(self._sequence, kinds["seq_id"]),
                "logits": ctypes.cast(self._output, kinds["logits"]),
            },
        )
        self.used = 0

    def clear(self) -> None:
        """Make it empty."""
        self.used = 0

    def add(self, slot: int, tokens: Sequence[int], position: int, outputs: int) -> int:
        """Append tokens of one sequence from ``position`` on; the last ``outputs`` of them give
        logits. Returns the row of the first that does."""
        start, count = self.used, len(tokens)
        end = start + count
        self._token[start:end] = list(tokens)
        self._position[start:end] = list(range(position, position + count))
        self._sequence[start:end] = [self._addresses[slot]] * count
        self._output[start:end] = [0] * count
        self._output[end - outputs : end] = [1] * outputs
        self.used = end
        return end - outputs

    def add_one(self, slot: int, token: int, position: int) -> int:
        """``add`` for the one token of an answering sequence, whose logits are wanted."""
        row = self.used
        self._token[row], self._position[row] = token, position
        self._sequence[row], self._output[row] = self._addresses[slot], 1
        self.used = row + 1
        return row

    def want_all(self) -> None:
        """Give logits for every row."""
        self._output[: self.used] = [1] * self.used

    def ready(self) -> Any:
        """The struct to hand over."""
        self._struct.n_tokens = self.used
        return self._struct


def goes_back(model: Any) -> bool:
    """Can a sequence of this model be cut anywhere? The memory of a recurrent layer or of a sliding
    window goes on from its end alone."""
    binding = api()
    stateful = binding.llama_model_is_recurrent(model) or binding.llama_model_is_hybrid(model)
    return binding.llama_model_n_swa(model) == 0 and not stateful


def _outputs(shape: Shape) -> int:
    """How many logits a batch gives at most; 0 is one for each of its tokens."""
    if shape.all_logits or shape.pooled is not None:
        return 0
    return min(UBATCH, shape.slots * (1 + shape.drafted))


def _even(tokens: int, slots: int) -> int:
    """As many or a few more, without a rest over the sequences: llama.cpp rounds the tokens of a
    batch of embeddings up so, and not their outputs, and aborts where these differ."""
    return -(-tokens // slots) * slots


def _refused(shape: Shape, log: str) -> LlmrrError:
    if "does not divide" in log:
        return BadConfig(
            f"the heads of this model do not take kv_type {shape.kv_type}", "-o kv_type f16"
        )
    size = f"a context of {shape.size} tokens for {shape.slots} sequence(s)"
    if "alloc" in log or "memory" in log or not log:
        return DoesNotFit(f"{size} does not fit into memory", "use a smaller --ctx-size")
    return EngineFailed(f"llama.cpp refused {size}: {log[-300:]}")
