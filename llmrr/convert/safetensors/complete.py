"""Whether a GGUF file has all tensors that its metadata lead to, in their shapes."""

from collections.abc import Mapping

from llmrr.convert.gguf.entry import Entry
from llmrr.convert.gguf.planning import instances, shape_of, shown
from llmrr.convert.gguf.settings import Values
from llmrr.formats.messages import damaged


def require(
    entry: Entry, values: Values, shapes: Mapping[str, tuple[int, ...]], where: str
) -> None:
    """Raise ``DamagedFile`` for a tensor that is missing or has another shape; ``shapes`` are those
    of the file, rows first."""
    sizes = entry.sizes(values)
    lacking: set[str] = set()
    for rule, target, sources in instances(entry, values, sizes):
        if target not in shapes:
            if rule.need(values):
                lacking.add(target)
            continue
        expected = shape_of(rule, len(sources), sizes, values)
        if _without_ones(shapes[target]) != _without_ones(expected):
            raise damaged(
                where,
                f"{target!r} has the shape {shown(shapes[target])}, where its metadata says "
                f"{shown(expected)}",
            )
    if lacking:
        raise damaged(where, f"it lacks {min(lacking)!r}, which {entry.classes[0]} has")


def _without_ones(shape: tuple[int, ...]) -> list[int]:
    """What ggml tells shapes by."""
    return [one for one in shape if one != 1]
