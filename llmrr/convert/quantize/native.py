"""The call of ``llama_model_quantize``. Runs in the helper process: llama.cpp may abort."""

import ctypes
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr.convert.quantize.job import Job
from llmrr.engines.llamacpp.api import api, quiet_log, set_fields
from llmrr.errors import DamagedFile, DoesNotFit, EngineFailed, LlmrrError, Unsupported, UsageError

if TYPE_CHECKING:
    import numpy as np

    Weights = Mapping[str, np.ndarray[Any, Any]]
else:
    Weights = Mapping[str, Any]

# Rows of a tensor that are in memory at once; llama.cpp's own default is 8 GiB. What is larger is
# done in slabs, with the same result.
SLAB_BYTES = 1 << 30
TEXT_BYTES = 127  # of a text among the overrides of metadata
_TENSOR = re.compile(r"^\[ *\d+/ *\d+\] (?P<name>.+?) +- \[")
_SIZE = re.compile(r"size = .*?(?:\((?P<type>\S+)\))?\n")
_REGEX = ("regex", "regular expression", "The expression contained")
_KV_TAGS = {int: 0, float: 1, bool: 2, str: 3}  # enum llama_model_kv_override_type
# Called with a tensor's name and its new type; the type is None where it stays what it is, and in
# anything but a dry run.
OnTensor = Callable[[str, str | None], None]


def prepare() -> None:
    """Load llama.cpp, which the first job does else."""
    with suppress(LlmrrError):  # that job will say it
        api()


def quantize(job: Job, weights: Weights | None, on_tensor: OnTensor) -> None:
    """Write the file, or its parts. ``weights`` are the importances by tensor, float32.

    Raises ``EngineFailed`` and its kin with llama.cpp's own words.
    """
    binding = api()
    values, kept = parameters(job, weights)
    with _log(on_tensor, dry=job.target is None) as lines:
        code = binding.llama_model_quantize(
            os.fsencode(job.source), os.fsencode(job.target or ""), ctypes.byref(values)
        )
    del kept
    if code != 0:
        raise refusal(job, lines)


def parameters(job: Job, weights: Weights | None) -> tuple[Any, list[Any]]:
    """The struct for llama.cpp, and what its pointers lead to, to be kept while it is used."""
    binding = api()
    values: dict[str, Any] = {
        "nthread": job.threads,
        "ftype": job.type,
        "allow_requantize": job.allow_requantize,
        "quantize_output_tensor": not job.leave_output,
        "only_copy": job.only_copy,
        "pure": job.pure,
        "keep_split": job.keep_split,
        "dry_run": job.target is None,
        "max_buf_size": SLAB_BYTES,
    }
    if job.output_tensor_type is not None:
        values["output_tensor_type"] = job.output_tensor_type
    if job.token_embedding_type is not None:
        values["token_embedding_type"] = job.token_embedding_type
    arrays = {
        "imatrix": _imatrix(binding, weights, job.supposed_imatrix),
        "kv_overrides": _metadata(binding, job.metadata),
        "tt_overrides": _overrides(binding, job.overrides),
        "prune_layers": _layers(job.prune),
    }
    struct = set_fields(binding.llama_model_quantize_default_params(), values)
    kinds = dict(struct._fields_)
    given = {name: array for name, array in arrays.items() if array is not None}
    set_fields(struct, {name: ctypes.cast(given[name], kinds[name]) for name in given})
    return struct, [*given.values(), weights]


def _imatrix(binding: Any, weights: Weights | None, supposed: bool) -> Any:
    """Pairs of name and floats, ended by one without a name."""
    if weights is None and supposed:
        from array import array

        one = array("f", [1.0])
        rows: list[tuple[bytes, int, int, Any]] = [(b"?", one.buffer_info()[0], 1, one)]
    elif weights:
        rows = [(k.encode(), w.ctypes.data, w.size, w) for k, w in weights.items()]
    else:
        return None
    kind = binding.llama_model_imatrix_data
    entries = (kind * (len(rows) + 1))()
    for entry, (name, address, size, _) in zip(entries, rows, strict=False):
        data = ctypes.cast(address, dict(kind._fields_)["data"])
        set_fields(entry, {"name": name, "data": data, "size": size})
    entries.kept = rows  # the floats live as long as what points to them
    return entries


def _metadata(binding: Any, metadata: Mapping[str, bool | int | str]) -> Any:
    if not metadata:
        return None
    entries = (binding.llama_model_kv_override * (len(metadata) + 1))()
    for entry, (key, value) in zip(entries, metadata.items(), strict=False):
        set_fields(entry, {"key": key.encode(), "tag": _KV_TAGS[type(value)]})
        name = {bool: "val_bool", int: "val_i64", str: "val_str"}[type(value)]
        set_fields(entry.value, {name: short(value) if isinstance(value, str) else value})
    return entries


def short(text: str) -> bytes:
    """As much of a text as an override of metadata can hold, without half a letter."""
    return text.encode()[:TEXT_BYTES].decode(errors="ignore").encode()


def _overrides(binding: Any, overrides: tuple[tuple[str, int], ...]) -> Any:
    if not overrides:
        return None
    entries = (binding.llama_model_tensor_override * (len(overrides) + 1))()
    for entry, (pattern, number) in zip(entries, overrides, strict=False):
        set_fields(entry, {"pattern": pattern.encode(), "type": number})
    return entries


def _layers(prune: tuple[int, ...]) -> Any:
    return (ctypes.c_int32 * (len(prune) + 1))(*prune, -1) if prune else None


@contextmanager
def _log(on_tensor: OnTensor, *, dry: bool) -> Iterator[deque[str]]:
    """Reads llama.cpp's log while this lasts: one call begins the line of a tensor, a later one
    ends it. Yields the last warnings and errors."""
    binding = api()
    lines: deque[str] = deque(maxlen=40)
    names: list[str] = []

    def note(severity: int, raw: bytes, _: object) -> None:
        text = raw.decode(errors="replace")
        if begun := _TENSOR.match(text):
            names[:] = [begun["name"]]
            if not dry:
                on_tensor(begun["name"], None)
        elif dry and names and (ended := _SIZE.match(text)):
            on_tensor(names.pop(), ended["type"] and ended["type"].upper())
        elif severity >= 3 and text.strip(" =\n"):  # GGML_LOG_LEVEL_WARN
            lines.append(text.strip())

    callback = binding.llama_log_callback(note)
    binding.llama_log_set(callback, None)
    try:
        yield lines
    finally:
        binding.llama_log_set(quiet_log(), None)


def refusal(job: Job, log: deque[str]) -> LlmrrError:
    """Why llama.cpp did not do it, in its own words."""
    said = [line.split("failed to quantize: ")[-1] for line in log if "failed to quantize" in line]
    words = " ".join((said or [*log] or ["no reason given"])[-1].split())
    name = Path(job.source).name
    if job.overrides and any(one in words for one in _REGEX):  # of libstdc++, libc++
        patterns = ", ".join(repr(pattern) for pattern, _ in job.overrides)
        return UsageError(f"llama.cpp does not take a pattern of {patterns}: {words}")
    if "unknown model architecture" in words:
        return Unsupported(
            f"llama.cpp does not know {name}: {words}",
            "pip install -U llama-cpp-python, or use a model of another architecture",
        )
    if "iostream" in words or "basic_ios" in words:
        return DoesNotFit(f"{job.target} could not be written whole: {words}", "df -h")
    if "invalid data" in words or "validation failed" in words:
        return DamagedFile(
            f"{name} holds numbers that are not finite, or that its types cannot hold: {words}",
            "convert it again from its source",
        )
    return EngineFailed(f"llama.cpp cannot quantize {name}: {words}")
