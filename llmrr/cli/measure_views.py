"""What ``llmrr eval`` looks like on a page: lines of text, pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from llmrr.cli.layout import Page, counted

Facts = Mapping[str, Any]


def evaluated(page: Page, facts: Facts) -> Iterator[str]:
    """``llmrr eval``: a line for each model."""
    questions, text, models = facts["set"], facts["text"], facts["models"]
    if questions:
        many, whole = questions["questions"], questions["of"]
        part = "" if many == whole else f" of {whole:,}"
        yield page.fitted(f"{questions['name']}: {counted(many, 'question')}{part}")
        header = ("MODEL", "QUANT", "RIGHT", "ACCURACY", "95 %", "SECONDS")
        rows: list[tuple[object, ...]] = [
            (one["name"], one["quant"], one["correct"], one["accuracy"],
             f"{one['low']:.2f} to {one['high']:.2f}", one["seconds"])
            for one in models
        ]  # fmt: skip
        yield from page.table(header, rows)
    if questions and text:
        yield ""
    if text:
        yield page.fitted(f"{text['name']}: windows of {counted(text['window'], 'token')}")
        rows = [(one["name"], one["quant"], *_perplexity(one["perplexity"])) for one in models]
        yield from page.table(("MODEL", "QUANT", "PERPLEXITY", "+/-", "TOKENS"), rows)


def wrong_too(page: Page, facts: Facts) -> Iterator[str]:
    """``llmrr eval --verbose``: first what was answered wrong, model by model."""
    for model in facts["models"]:
        for one in model["answers"] or ():
            if not one["correct"]:
                yield from _wrong(model["name"], one)
                yield ""
    yield from evaluated(page, facts)


def _perplexity(found: Facts) -> tuple[object, object, int]:
    endless = found["value"] is None
    return "endless" if endless else found["value"], found["error"], found["tokens"]


def _wrong(model: str, one: Facts) -> Iterator[str]:
    name = f" ({one['id']})" if one["id"] else ""
    yield f"{model}, line {one['line']}{name}, {one['match']}"
    yield from _lines("asked", one["question"])
    yield from _lines("expected", " | ".join(str(value) for value in one["expected"]))
    cut = ", cut" if one["finish_reason"] == "length" else ""
    yield from _lines(f"answered{cut}", one["problem"] or one["answer"])


def _lines(name: str, text: str) -> Iterator[str]:
    first, *rest = text.splitlines() or [""]
    yield f"  {name:<9} {first}".rstrip()
    yield from (f"  {'':<9} {line}" for line in rest)
