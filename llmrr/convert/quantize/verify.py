"""Is a quantized file what was planned, and close enough to its source?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from llmrr.convert.base import Check, Told
from llmrr.convert.products import one_thread
from llmrr.convert.quantize.compare import BOUNDS, Error, errors
from llmrr.convert.quantize.job import Job
from llmrr.convert.quantize.native import short
from llmrr.convert.quantize.plan import SPLIT, Plan, renamed
from llmrr.formats.gguf_header import Array, Header
from llmrr.formats.gguf_types import STRING

# What llama_model_quantize sets itself.
REWRITTEN = frozenset({"general.file_type", "general.quantization_version", *SPLIT})


def check_tensors(
    source: Sequence[Header], result: Sequence[Header], planned: Plan, job: Job, told: Told
) -> Check:
    """Is every tensor of ``source`` in ``result``, with the planned type and close enough, and is
    its metadata kept?"""
    names = renamed(source, job.prune)
    if problem := _wrong_table(source, result, planned, names) or _wrong_metadata(
        source[0], result[0], job
    ):
        return Check("tensors", False, problem)
    found = []
    with one_thread():
        for number, error in enumerate(errors(source, result, names)):
            found.append(error)
            told("comparing tensors", number + 1, len(names))
    return _judged(found)


def _wrong_table(
    source: Sequence[Header], result: Sequence[Header], planned: Plan, names: Mapping[str, str]
) -> str | None:
    found = {tensor.name: tensor for part in result for tensor in part.tensors}
    for tensor in (one for part in source for one in part.tensors if one.name in names):
        name = names[tensor.name]
        if name not in found:
            return f"{name} is missing from the result"
        if found[name].shape != tensor.shape:
            return f"{name} has the shape {found[name].dims}, and its source {tensor.dims}"
        if found[name].type_name != planned.types[name]:
            return f"{name} is {found[name].type_name} instead of {planned.types[name]}"
    if more := found.keys() - set(names.values()):
        return f"the result has {min(more)}, which its source has not"
    return None


def _wrong_metadata(source: Header, result: Header, job: Job) -> str | None:
    changed = set(REWRITTEN)
    if job.prune:
        changed.add(source.key("block_count"))
    for key, value in job.metadata.items():
        changed.add(key)
        wanted = short(value).decode() if isinstance(value, str) else value
        if key not in result.metadata or (
            not key.startswith("quantize.imatrix.") and result.metadata[key] != wanted
        ):
            return f"{key} is {result.metadata.get(key, 'missing')} instead of {value}"
    for key in source.metadata:
        if key not in changed and not _same_value(source, result, key):
            return f"{key} was not kept"
    return None


def _same_value(source: Header, result: Header, key: str) -> bool:
    old, new = source.metadata[key], result.metadata.get(key)
    if source.kinds[key] != result.kinds.get(key):
        return False
    if not isinstance(old, Array) or not isinstance(new, Array):
        # llama.cpp copies texts as C does, up to a zero.
        same = old.split("\0")[0] == new if isinstance(old, str) else old == new
        return same or (old != old and new != new)
    if (old.kind, old.count) != (new.kind, new.count):
        return False
    if old.kind == STRING:
        cut = [text.split(b"\0")[0] for text in source.strings(key) or ()]
        return cut == result.strings(key)
    return source.source.read(old.offset, old.end - old.offset) == result.source.read(
        new.offset, new.end - new.offset
    )


def _judged(found: Sequence[Error]) -> Check:
    table = tuple(_by_type(found))
    if wrong := [error for error in found if not error.allowed]:
        worst = max(wrong, key=lambda error: error.relative or 0)
        others = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return Check(
            "tensors",
            False,
            f"{worst.name} is too far from its source as {worst.type}"
            f" (error {_percent(worst.relative)}, at most {_percent(_bound(worst.type))}){others};"
            " give it a type of its own, or choose a larger one for all",
            table,
        )
    changed = [error for error in found if error.relative]
    if not changed:
        return Check("tensors", True, f"{len(found)} tensors, all as they were", table)
    worst = max(changed, key=lambda error: error.relative or 0)
    blind = sum(error.relative is None for error in found)
    unread = f"; {blind} of a type that nothing here can read were not compared" if blind else ""
    return Check(
        "tensors",
        True,
        f"{len(found)} tensors, {len(changed)} of them changed; largest error"
        f" {_percent(worst.relative)} ({worst.name}, {worst.type}){unread}",
        table,
    )


def _by_type(found: Iterable[Error]) -> Iterator[dict[str, Any]]:
    groups: dict[str, list[Error]] = {}
    for error in found:
        groups.setdefault(error.type, []).append(error)
    for name, group in groups.items():
        known = [error.relative for error in group if error.relative is not None]
        yield {
            "type": name,
            "tensors": len(group),
            "mean_error": sum(known) / len(known) if known else None,
            "largest_error": max(known) if known else None,
            "allowed": _bound(name),
        }


def _bound(name: str) -> float:
    return BOUNDS.get(name, 0.0)


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2%}"
