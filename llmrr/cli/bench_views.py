"""What ``llmrr bench`` looks like on a page: lines of text, pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from llmrr.cli.layout import Page, count, counted, size

Facts = Mapping[str, Any]


class Bar(NamedTuple):
    """A figure of a model; None where it could not be measured."""

    model: str
    mean: float | None
    deviation: float | None


class Figure(NamedTuple):
    """The same figure of all models. Those of one ``scale`` can be drawn to it."""

    label: str
    unit: str
    scale: str
    bars: tuple[Bar, ...]


def benched(page: Page, facts: Facts) -> Iterator[str]:
    """``llmrr bench``: what was measured, then a line for every figure of every model."""
    yield from _pages(page, facts, bars=False)


def with_bars(page: Page, facts: Facts) -> Iterator[str]:
    """``llmrr bench --plot -``."""
    yield from _pages(page, facts, bars=True)


def figures(facts: Facts) -> list[Figure]:
    """The figures, as they are shown."""
    models = facts["models"]
    prefill, decode = f"prefill {facts['prefill_tokens']}", f"decode {facts['decode_tokens']}"
    numbers = sorted({one["sequences"] for it in models for one in it["concurrency"] or ()})
    found = [
        _figure(prefill, "t/s", prefill, models, lambda one: one["prefill_tokens_per_s"]),
        _figure(decode, "t/s", decode, models, lambda one: one["decode_tokens_per_s"]),
    ]
    for number in numbers:
        label = f"{decode}, {number} at once"
        found.append(_figure(label, "t/s", decode, models, _at_once(number)))
    return [
        *found,
        _figure("first token", "ms", "time", models, lambda one: one["first_token_s"], 1000),
        _figure("load", "ms", "time", models, lambda one: one["load_s"], 1000),
        _figure("peak memory", "MB", "memory", models, _peak, 1e-6),
    ]


def machine(facts: Facts) -> str:
    """The machine in a line."""
    found = facts["machine"]
    cores = found["usable_cores"] or found["usable_threads"]
    what = "core" if found["usable_cores"] else "thread"
    parts = (
        found["cpu"] or found["architecture"], counted(cores, what) if cores else None,
        size(found["memory_bytes"]), *found["gpus"],
    )  # fmt: skip
    return ", ".join(filter(None, parts))


def _pages(page: Page, facts: Facts, *, bars: bool) -> Iterator[str]:
    repeats = counted(facts["repeats"], "repeat")
    yield page.fitted(f"{machine(facts)}; {repeats}")
    yield ""
    header = ("MODEL", "QUANT", "SIZE", "PARAMETERS", "ENGINE", "THREADS", "RUNS ON")
    rows = [
        (one["name"], one["quant"], size(one["bytes"]), count(one["parameters"]), one["engine"],
         one["threads"], one["backend"])
        for one in facts["models"]
    ]  # fmt: skip
    yield from page.table(header, rows)
    yield ""
    yield from _figures(page, figures(facts), bars=bars)


def _figures(page: Page, found: Sequence[Figure], *, bars: bool) -> Iterator[str]:
    several = any(len(one.bars) > 1 for one in found)
    header = ["TEST", *(["MODEL"] if several else ()), "MEAN", "+/-", "UNIT"]
    header += [*(["RATIO"] if several else ()), *([""] if bars else ())]
    rows: list[list[object]] = []
    for test in found:
        first, most = test.bars[0].mean, largest(found, test.scale)
        for one in test.bars:
            row: list[object] = [test.label, *([one.model] if several else ())]
            row += [one.mean, one.deviation, test.unit]
            if several:
                row.append(one.mean / first if one.mean is not None and first else None)
            if bars:
                row.append(page.bar((one.mean or 0) / most if most else 0) or " ")
            rows.append(row)
    yield from page.table(header, rows)


def largest(found: Sequence[Figure], scale: str) -> float:
    """The largest figure of those that are drawn to one scale."""
    return max(one.mean or 0 for test in found if test.scale == scale for one in test.bars)


def _figure(
    label: str, unit: str, scale: str, models: Sequence[Facts], figure: Any, factor: float = 1
) -> Figure:
    bars = []
    for one in models:
        found = figure(one) or {"mean": None, "stddev": None}
        mean, deviation = found["mean"], found["stddev"]
        bars.append(
            Bar(
                one["name"],
                None if mean is None else mean * factor,
                None if deviation is None else deviation * factor,
            )
        )
    return Figure(label, unit, scale, tuple(bars))


def _at_once(number: int) -> Any:
    def figure(one: Facts) -> Any:
        found = (it for it in one["concurrency"] or () if it["sequences"] == number)
        return next((it["tokens_per_s"] for it in found), None)

    return figure


def _peak(one: Facts) -> Facts | None:
    peak = one["peak_bytes"]
    return None if peak is None else {"mean": peak, "stddev": None}
