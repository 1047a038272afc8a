"""A comparison as Markdown, with plots of text that every viewer shows. Pure."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from llmrr.migrate.validating.bars import words
from llmrr.migrate.validating.comparison import Comparison

COLUMNS: Final = 12  # of a histogram
FAR: Final = 20.0  # times the least is the most: then one width for all shows nothing
CELLS: Final = 40  # of the longest bar
SHOWN: Final = 12  # of the answers
LONGEST: Final = 600  # characters of one


def markdown(found: Comparison) -> str:
    """The whole report; no answer of it is longer than ``LONGEST``."""
    return "\n".join([*_head(found), *_tables(found), *_plots(found), *_answers(found)]) + "\n"


def _head(found: Comparison) -> Iterator[str]:
    verdict = "passed" if found.passed else "not passed"
    yield f"# Validation: {verdict}"
    yield ""
    yield f"Old: {_text(found.old)}. New: {_text(found.new)}. "
    yield f"{found.reliability.attempts} requests to each side, seed {found.seed}."
    yield ""
    yield "| bar | measured | wanted | |"
    yield "|---|---|---|---|"
    for one in found.bars:
        value, wanted = words(one.name, one.value, one.bound)
        met = "met" if one.passed else f"**not met**: {_text(one.said)}"
        yield f"| {one.name} | {value or _number(None)} | {wanted} | {met} |"
    for name in found.waived:
        yield f"| {name} | {_number(found.alike.cosine)} | waived | not held against the new side |"
    yield ""


def _tables(found: Comparison) -> Iterator[str]:
    speed, sound, score = found.performance, found.reliability, found.accuracy
    yield "| | old | new |"
    yield "|---|---|---|"
    for name, old, new in (
        ("mean latency, s", speed.old_avg, speed.new_avg),
        ("median latency, s", speed.old_median, speed.new_median),
        ("95th percentile, s", speed.old_p95, speed.new_p95),
        ("first token, s", speed.old_first_token, speed.new_first_token),
        ("error rate", sound.old_error_rate, sound.new_error_rate),
        ("accuracy", score.old_score, score.new_score),
        ("cost, dollars", found.cost.old, found.cost.new),
    ):
        yield f"| {name} | {_number(old)} | {_number(new)} |"
    yield ""
    yield from _remarks(found)
    yield ""
    if sound.must_fail:
        yield "| must fail | old | new |"
        yield "|---|---|---|"
        for name, old, new in sound.must_fail:
            yield f"| {_text(name)} | {_failed(old)} | {_failed(new)} |"
        yield ""
    for side, said, count in sound.errors:
        yield f"- {side} side, {count} times: {_text(said)}"
    if sound.errors:
        yield ""


def _remarks(found: Comparison) -> Iterator[str]:
    speed, sound, score = found.performance, found.reliability, found.accuracy
    ends = f"{_number(speed.ratio_low)} to {_number(speed.ratio_high)}"
    yield (
        f"- latency, new over old: {_number(speed.ratio)} of means (95 % of resamples: {ends}), "
        f"{_number(speed.median_ratio)} of medians; requests that both sides answered: "
        f"{speed.compared}"
    )
    yield f"- {warmed(*found.warm_up)}"
    by = f"mean cosine by {_text(found.alike.by)}" if found.alike.by else "no embedding model"
    why = f": {_text(found.alike.why)}" if found.alike.why else ""
    yield f"- similarity: {_number(found.alike.cosine)} ({by}){why}"
    yield f"- answers compared: {found.alike.compared}"
    yield (
        f"- by their words, which decides nothing: {_number(found.alike.lexical)} "
        f"(F1 {_number(found.alike.overlap)}, Jaccard {_number(found.alike.jaccard)})"
    )
    if score.failed:
        yield f"- not judged, and left out of the accuracy: {score.failed} ({_text(score.why)})"
    yield f"- both sides fail at the same requests: {'yes' if sound.same_failures else 'no'}"
    for side, names in (("old", sound.only_old), ("new", sound.only_new)):
        if names:
            yield f"- only the {side} side fails at: {', '.join(map(_text, names[:SHOWN]))}"
    if speed.same_engine:
        yield f"- left out, as one engine answered both sides: {speed.same_engine}"


def warmed(old: float | None, new: float | None) -> str:
    """What came before the requests that count.

    >>> warmed(None, 0.5)
    'not counted: loading and a first request, 0.5 s of the new side'
    """
    sides = [f"{one:.3g} s of the {name} side" for name, one in (("old", old), ("new", new))
             if one is not None]  # fmt: skip
    if not sides:
        return "no request came before those that count: what loaded a model is in them"
    return f"not counted: loading and a first request, {' and '.join(sides)}"


def _plots(found: Comparison) -> Iterator[str]:
    times = found.performance.latencies
    if not times:
        return
    yield "## Latency"
    yield ""
    yield "```text"
    bounds = parts([one for pair in times for one in pair])
    for name, at in (("old", 0), ("new", 1)):
        yield f"{name} side: requests by seconds"
        yield from histogram([pair[at] for pair in times], bounds)
        yield ""
    yield "```"
    yield ""


def parts(values: Sequence[float], columns: int = COLUMNS) -> list[float]:
    """The bounds of the parts of a histogram: of one width, or where the values are far apart each
    by the same factor longer.

    >>> parts([1.0, 3.0], 2), [round(one, 9) for one in parts([0.01, 1.0], 2)]
    ([0.0, 1.5, 3.0], [0.01, 0.1, 1.0])
    """
    most, least = max(values), min(values)
    if 0 < least < most / FAR:
        return [least * (most / least) ** (at / columns) for at in range(columns + 1)]
    return [most * at / columns for at in range(columns + 1)]


def histogram(values: Sequence[float], bounds: Sequence[float]) -> Iterator[str]:
    """A line for each part, its bar as long as there are values in it.

    >>> list(histogram([0.1, 0.2, 0.9], [0.0, 0.5, 1.0]))
    ['       0 to 0.5       ######################################## 2', \
'     0.5 to 1         #################### 1']
    """
    counts = [0] * (len(bounds) - 1)
    for one in values:
        counts[min(max(bisect_right(bounds, one) - 1, 0), len(counts) - 1)] += 1
    for low, high, count in zip(bounds, bounds[1:], counts, strict=False):
        bar = "#" * round(CELLS * count / max(counts))
        line = f"{low:8.3g} to {high:<8.3g}"
        yield f"{line}  {bar} {count}" if count else line.rstrip()


def _answers(found: Comparison) -> Iterator[str]:
    """The first answers of each request that is to be answered."""
    seen: set[str] = set()
    for one in found.trials:
        if one.case.must_fail or one.case.name in seen or len(seen) >= SHOWN:
            continue
        if not seen:
            yield "## Answers"
            yield ""
        seen.add(one.case.name)
        yield f"**{_text(one.case.name[:LONGEST])}**"
        yield ""
        for name, reply in (("old", one.old), ("new", one.new)):
            said = reply.text if reply.error is None else f"failed: {reply.error}"
            yield f"{name}:"
            yield ""
            yield from (f"    {line}" for line in _cut(said or "").splitlines() or [""])
            yield ""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _failed(value: bool | None) -> str:
    return "cannot be asked" if value is None else "failed" if value else "**answered**"


def _number(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.4g}"


def _text(text: str | None) -> str:
    """A text in a line of Markdown: no ends of lines, no ends of cells, no HTML."""
    plain = " ".join((text or "").split())
    return plain.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
