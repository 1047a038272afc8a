"""What ``llmrr migrate validate`` and ``promote`` look like on a page. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from llmrr.cli.layout import Page, percent

Facts = Mapping[str, Any]


def validated(page: Page, facts: Facts) -> Iterator[str]:
    """The two sides, then the bars."""
    speed, sound, score = facts["performance"], facts["reliability"], facts["accuracy"]
    header = ("SIDE", "MEAN s", "MEDIAN s", "P95 s", "FIRST s", "FAILED", "RIGHT", "COST $", "")
    most = max(speed["old_avg"] or 0.0, speed["new_avg"] or 0.0)
    rows = [
        (f"{side}: {facts[side]}", *(_exact(speed[f"{side}_{one}"]) for one in _TIMES),
         percent(sound[f"{side}_error_rate"]), percent(score[f"{side}_score"]),
         _exact(facts["cost"][side]),
         page.bar((speed[f"{side}_avg"] or 0.0) / most if most else 0.0, 12) or " ")
        for side in ("old", "new")
    ]  # fmt: skip
    yield from page.table(header, rows)
    yield ""
    yield from page.table(("BAR", "MEASURED", "WANTED", "MET"), list(_bars(facts)))
    yield ""
    yield from map(page.fitted, _remarks(page, facts))


_TIMES = ("avg", "median", "p95", "first_token")


def stepped(page: Page, facts: Facts) -> Iterator[str]:
    """A step that was taken."""
    forced = ", without a validation that passed" if facts["forced"] else ""
    yield f"{facts['subject']}: {facts['before']} -> {facts['after']}{forced}"


def _bars(facts: Facts) -> Iterator[tuple[object, ...]]:
    from llmrr.migrate.validating.bars import words

    for one in facts["bars"]:
        yield one["name"], *words(one["name"], one["value"], one["bound"]), one["passed"]
    for name in facts["waived"]:
        yield name, _exact(facts[name]), "waived", None


def _remarks(page: Page, facts: Facts) -> Iterator[str]:
    from llmrr.migrate.validating.report import warmed

    speed, sound, words = facts["performance"], facts["reliability"], facts["lexical"]
    if speed["ratio_low"] is not None:
        yield (
            f"latency, new over old: {speed['ratio']:.2f}, "
            f"95 % of resamples {speed['ratio_low']:.2f} to {speed['ratio_high']:.2f}"
        )
    yield warmed(speed["old_warm_up"], speed["new_warm_up"])
    lexical = page.cell(words["similarity"])
    yield f"similarity by words, which decides nothing: {lexical}, of {words['compared']} pairs"
    if facts["similarity_unknown"]:
        yield f"similarity by embeddings is not known: {facts['similarity_unknown']}"
    if facts["accuracy"]["failed"]:
        yield f"{facts['accuracy']['failed']} not judged, and left out: {facts['accuracy']['why']}"
    for side in ("old", "new"):
        if names := sound[f"only_{side}"]:
            yield f"only the {side} side fails at: {', '.join(names)}"
    for one in sound["errors"]:
        yield f"{one['side']} side, {one['count']} times: {one['message']}"
    yield f"{sound['attempts']} requests to each side: {_verdict(facts['passed'])}"


def _verdict(passed: bool) -> str:
    return "passed" if passed else "not passed"


def _exact(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"
