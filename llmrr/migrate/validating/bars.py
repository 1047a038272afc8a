"""What a side has to be: the bars, and what is measured held against them. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from llmrr.migrate.validating.figures import Performance, Reliability
from llmrr.migrate.validating.judging import TO_PULL, Alike


class Bars(NamedTuple):
    """The least mean cosine of the answers (None: it is waived), the most that the new side takes
    of the old one's time, and how much higher its error rate may be."""

    similarity: float | None = 0.8
    latency_ratio: float = 1.2
    error_increase: float = 0.0


class Bar(NamedTuple):
    """One bar: what was measured (None where nothing was), what it has to be, whether it is met,
    and what there is to say of it otherwise."""

    name: str
    value: float | None
    bound: float
    passed: bool
    said: str


def held(bars: Bars, alike: Alike, speed: Performance, sound: Reliability) -> tuple[Bar, ...]:
    """Every bar, held against what was measured."""
    return tuple(_held(bars, alike, speed, sound))


def _held(bars: Bars, alike: Alike, speed: Performance, sound: Reliability) -> Iterator[Bar]:
    if bars.similarity is not None:
        value, bound = alike.cosine, bars.similarity
        if value is None:
            yield Bar("similarity", None, bound, False, f"similarity is not known: {alike.why}")
        else:
            said = f"similarity {value:.3f} is at least {bound:g}" if value >= bound else (
                f"similarity {value:.3f} is {bound - value:.3f} below {bound:g}"
            )
            yield Bar("similarity", value, bound, value >= bound, said)
    ratio, most = speed.ratio, bars.latency_ratio
    if ratio is None:
        said = "latency is not known: no request was answered by both sides in a known time"
        yield Bar("latency", None, most, False, said)
    else:
        said = f"latency is {ratio:.2f} times the old one's, " + (
            f"at most {most:g}" if ratio <= most else f"{ratio - most:.2f} above {most:g}"
        )
        yield Bar("latency", ratio, most, ratio <= most, said)
    old, new = sound.old_error_rate, sound.new_error_rate
    if old is None or new is None:
        yield Bar("error rate", None, bars.error_increase, False, "the error rate is not known")
        return
    more = new - old
    is_met = more <= bars.error_increase + 1e-12
    way = "above" if more > 0 else "below"
    how = f"{_percent(abs(more))} {way} {_percent(old)}" if more else "that of the old side"
    allowed = "" if is_met else f", and {_percent(bars.error_increase)} is allowed"
    said = f"the error rate {_percent(new)} is {how}{allowed}"
    yield Bar("error rate", more, bars.error_increase, is_met, said)


def words(name: str, value: float | None, bound: float) -> tuple[str | None, str]:
    """What was measured for a bar, and what it has to be.

    >>> words("latency", 1.5, 1.2), words("error rate", -0.25, 0.0)
    (('1.5', 'at most 1.2'), ('25.0 % less', 'at most 0.0 % more'))
    """
    if name == "error rate":
        how = None if value is None else "more" if value >= 0 else "less"
        shown = None if value is None else f"{_percent(abs(value))} {how}"
        return shown, f"at most {_percent(bound)} more"
    sign = "at least" if name == "similarity" else "at most"
    return None if value is None else f"{value:.4g}", f"{sign} {bound:g}"


def hint(found: tuple[Bar, ...]) -> str:
    """What mends the first bar that is not met."""
    for bar in found:
        if not bar.passed:
            if bar.name == "similarity" and bar.value is None:
                return f"{TO_PULL}, --embedding MODEL, or --no-similarity"
            return "llmrr migrate validate -O report.md shows the answers of both sides"
    return ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
