"""What ``llmrr bench`` prints: lines of text, and the facts of ``--json``. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from llmrr.cli.layout import Page, count, counted, size

if TYPE_CHECKING:
    from llmrr.bench import Spread
    from llmrr.cli.benching import Benched, Measured
    from llmrr.hardware import Hardware

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


def facts(found: "Benched") -> dict[str, Any]:
    """``bench --json``: null is what was not measured, or is not known."""
    return {
        "prefill_tokens": found.wish.prefill,
        "decode_tokens": found.wish.decode,
        "repeats": found.wish.repeats,
        "machine": _machine_facts(found.machine),
        "interrupted": found.interrupted,
        "models": [_model_facts(one) for one in found.models],
    }


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


def _machine_facts(machine: "Hardware") -> dict[str, Any]:
    return {
        "system": machine.system,
        "architecture": machine.cpu.architecture,
        "cpu": machine.cpu.name,
        "usable_cores": machine.cpu.usable_cores,
        "usable_threads": machine.cpu.usable_threads,
        "memory_bytes": machine.memory.limit_bytes or machine.memory.total_bytes,
        "gpus": [gpu.name for gpu in machine.gpus],
    }


def _model_facts(one: "Measured") -> dict[str, Any]:
    subject, found = one.subject, one.figures
    return {
        "name": subject.name,
        "source": subject.entry.origin,
        "path": subject.entry.path,
        "format": subject.info.format,
        "quant": subject.info.quant,
        "bytes": subject.entry.bytes or subject.info.bytes,
        "parameters": subject.info.parameters,
        "engine": found.engine if found else None,
        "backend": found.where if found else None,
        "threads": found.threads if found else None,
        "context_size": found.context_size if found else None,
        "prefill_tokens_per_s": _spread(found.prefill) if found else None,
        "decode_tokens_per_s": _spread(found.decode) if found else None,
        "prompt_tokens": found.prompt_tokens if found else None,
        "first_token_s": _spread(found.first_token_s) if found else None,
        "load_s": _spread(found.load_s) if found else None,
        "cold_load_s": found.cold_load_s if found else None,
        "peak_bytes": found.peak_bytes if found else None,
        "concurrency": None if found is None else [
            {"sequences": it.sequences, "tokens_per_s": _spread(it.tokens_per_s),
             "peak_bytes": it.peak_bytes}
            for it in found.together
        ],
        "error": None if one.error is None else {
            "type": one.error.type, "message": one.error.message, "hint": one.error.hint,
            "exit_code": one.error.exit_code,
        },
    }  # fmt: skip


def _spread(found: "Spread") -> dict[str, Any]:
    return {
        "mean": found.mean, "stddev": found.deviation, "median": found.median,
        "samples": list(found.samples),
    }  # fmt: skip
