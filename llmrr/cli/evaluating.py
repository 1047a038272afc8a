"""From a command line to what was measured: the set read, every model asked, scores kept."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from llmrr import evaluate as core
from llmrr import parameters, paths
from llmrr.catalogue import identity_of
from llmrr.cli import inputs, offers, output
from llmrr.errors import CheckFailed, UsageError
from llmrr.evaluate.texts import WINDOW as WINDOW

if TYPE_CHECKING:
    from llmrr.evaluate import Answered, Perplexity, QuestionSet, Score
    from llmrr.router import Opened, Router
    from llmrr.store.records import Entry

BUILTIN_SET = "builtin:mini"
CLEAR_LINE = "\r\x1b[K"
EVERY_S = 0.1  # between two looks of the progress


class Asked(NamedTuple):
    """What the command line states; ``stated`` holds the sampling flags by name."""

    models: Sequence[str | None]
    questions: str | None = None
    text: str | None = None
    match: str | None = None
    minimum: float | None = None
    limit: int | None = None
    last: int | None = None
    window: int = WINDOW
    concurrency: int = 1
    system: str | None = None
    options: Sequence[Sequence[str]] = ()
    context_size: int | None = None
    stated: Mapping[str, object] = MappingProxyType({})


class Text(NamedTuple):
    """What perplexity is measured on."""

    name: str
    text: str


class Measured(NamedTuple):
    """One model. ``score`` and ``answers`` are None without a set, ``perplexity`` without a text;
    ``seconds`` is how long answering took."""

    name: str
    source: str
    engine: str
    quant: str | None
    score: "Score | None" = None
    answers: "list[Answered] | None" = None
    seconds: float | None = None
    perplexity: "Perplexity | None" = None


class Evaluation(NamedTuple):
    """What was asked, and what came of it."""

    questions: "QuestionSet | None"
    text: Text | None
    models: tuple[Measured, ...]
    minimum: float | None = None
    window: int = WINDOW


def evaluate(router: "Router", asked: Asked) -> Evaluation:
    """Ask every model, one after the other. A score is kept when its model has answered all; what
    is interrupted leaves none. Raises ``UsageError``, ``NotFound``, ``DamagedFile`` and what
    engines raise."""
    if asked.questions is None and asked.text is None:
        raise UsageError("nothing to measure: no --set and no --text", "--set builtin:mini")
    if asked.minimum is not None and asked.questions is None:
        raise UsageError("--min is a share of right answers: it needs --set", "--set FILE")
    if asked.limit is not None and asked.last is not None:
        raise UsageError("--limit and --last exclude each other", "leave one out")
    questions = _read_set(asked) if asked.questions is not None else None
    text = _read_text(asked.text) if asked.text is not None else None
    for name in asked.models:
        offers.require(router, name)
        router.resolve(name)
    measured = tuple(_measure(router, name, asked, questions, text) for name in asked.models)
    return Evaluation(questions, text, measured, asked.minimum, asked.window)


def require(found: Evaluation) -> None:
    """Raise ``CheckFailed`` where a model answers a smaller share right than is asked for."""
    low = [
        one for one in found.models
        if found.minimum is not None and one.score and one.score.accuracy < found.minimum
    ]  # fmt: skip
    if low:
        said = ", ".join(f"{one.name} {one.score.accuracy:.4g}" for one in low if one.score)
        raise CheckFailed(
            f"too few answers are right: {said}, and --min is {found.minimum:g}",
            "--verbose shows the wrong ones",
        )


def facts(found: Evaluation) -> dict[str, Any]:
    """``eval --json``. ``low`` and ``high`` bound the share of right answers with 95 % confidence;
    ``passed`` is null without --min, and null is what was not measured."""
    questions, text = found.questions, found.text
    return {
        "set": None if questions is None else {
            "name": questions.name, "path": questions.path, "sha256": questions.sha256,
            "questions": len(questions.questions), "of": questions.whole,
        },
        "text": None if text is None else {"name": text.name, "window": found.window},
        "min": found.minimum,
        "passed": None if found.minimum is None else all(
            one.score is not None and one.score.accuracy >= found.minimum for one in found.models
        ),
        "models": [_model_facts(one) for one in found.models],
    }  # fmt: skip


def match_names(incomplete: str) -> list[str]:
    """The ways of matching that begin so."""
    return [name for name in core.MATCHES if name.startswith(incomplete)]


# -- what is asked -----------------------------------------------------------------------------


def _read_set(asked: Asked) -> "QuestionSet":
    given = str(asked.questions)
    path = paths.builtin_questions() if given == BUILTIN_SET else paths.expanded(given)
    data = inputs.read_bytes(str(path))
    match = core.match_named(asked.match) if asked.match is not None else None
    name = "mini" if given == BUILTIN_SET else path.stem
    found = core.parse(data, Path(given) if given != BUILTIN_SET else path, name, match)
    part = _part(found.questions, asked)
    return core.QuestionSet(found.name, path, found.sha256, tuple(part), found.whole)


def _part(whole: Sequence[Any], asked: Asked, unit: int = 1) -> Sequence[Any]:
    """The first or the last of something, of ``unit`` pieces each."""
    if asked.limit is not None:
        return whole[: asked.limit * unit]
    if asked.last is not None:
        return whole[-asked.last * unit :]
    return whole


def _read_text(name: str) -> Text:
    if name != "-":
        return Text(Path(name).name, inputs.read_text(name))
    said = inputs.read_stdin(sys.stdin)
    if said is None:
        raise UsageError("--text - reads stdin, and nothing is piped in", "--text FILE")
    return Text("stdin", said)


# -- one model ---------------------------------------------------------------------------------


def _measure(
    router: "Router",
    name: str | None,
    asked: Asked,
    questions: "QuestionSet | None",
    text: Text | None,
) -> Measured:
    sampling, loading = parameters.read_options(asked.options)
    if asked.context_size is not None:
        loading["context_size"] = asked.context_size
    # The context that the longest question takes, for each of the answers under way.
    opened = router.open(name, options={"slots": asked.concurrency, "at_least": 1, **loading})
    if not opened.resolved.stated:
        output.note(f"model {opened.resolved.name} ({opened.resolved.why})")
    entry = router.catalogue.measured(name)
    found = Measured(opened.resolved.name, entry.origin, opened.engine, opened.model.info.quant)
    if text is not None:
        found = found._replace(perplexity=_perplexity(opened, text, asked))
    if questions is not None:
        wanted = parameters.sampling(asked.stated, sampling)
        with Progress(found.name) as progress:
            began = time.monotonic()
            answers = core.ask(
                opened.generate, questions.questions, wanted, system=asked.system,
                at_once=asked.concurrency, told=progress.answers,
            )  # fmt: skip
        score = _score(found, entry, questions, sum(one.is_right for one in answers))
        if not asked.system:
            router.with_database(
                lambda connection: core.record(connection, score), "the score is not kept"
            )
        found = found._replace(
            answers=answers, score=score, seconds=time.monotonic() - began
        )
    return found


def _score(found: Measured, entry: "Entry", questions: "QuestionSet", right: int) -> "Score":
    return core.Score(
        at=time.time(),
        model=found.name,
        source=found.source,
        identity=identity_of(entry) or "",
        quant=found.quant,
        name=questions.name,
        sha256=questions.sha256,
        whole=questions.whole,
        questions=len(questions.questions),
        correct=right,
    )


def _perplexity(opened: "Opened", text: Text, asked: Asked) -> "Perplexity":
    tokens = core.text_tokens(opened.model, text.text)
    with Progress(opened.resolved.name) as progress:
        return core.perplexity(
            opened.model, _part(tokens, asked, asked.window), window=asked.window,
            progress=progress.windows,
        )  # fmt: skip


class Progress:
    """A line on a terminal's stderr that counts."""

    def __init__(self, name: str) -> None:
        self._name, self._shown, self._at = name, False, 0.0
        self._wanted = output.moves(sys.stderr)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            output.stderr(CLEAR_LINE)

    def answers(self, done: int, total: int, right: int) -> None:
        """So many questions are answered, so many of them right."""
        self._show(f"{done} of {total} questions, {right} right")

    def windows(self, done: int, total: int) -> None:
        """So many windows of a text are computed."""
        self._show(f"{done} of {total} windows")

    def _show(self, words: str) -> None:
        now = time.monotonic()
        if self._wanted and now - self._at > EVERY_S:
            self._shown, self._at = True, now
            output.stderr(CLEAR_LINE + output.safe(f"{self._name}: {words}", sys.stderr))


# -- as JSON -----------------------------------------------------------------------------------


def _model_facts(one: Measured) -> dict[str, Any]:
    score, perplexity = one.score, one.perplexity
    low, high = score.interval if score else (None, None)
    return {
        "name": one.name,
        "source": one.source,
        "engine": one.engine,
        "quant": one.quant,
        "questions": score.questions if score else None,
        "correct": score.correct if score else None,
        "accuracy": score.accuracy if score else None,
        "low": low,
        "high": high,
        "seconds": one.seconds,
        "perplexity": None if perplexity is None else {
            "value": core.finite(perplexity.value), "error": core.finite(perplexity.error),
            "tokens": perplexity.tokens,
        },
        "answers": None if one.answers is None else [
            {
                "line": it.question.line, "id": it.question.id, "question": it.question.shown,
                "expected": core.shown(it.question.expected), "answer": it.text,
                "match": it.question.expected.match, "correct": it.is_right,
                "finish_reason": it.finish_reason, "problem": it.problem,
            }
            for it in one.answers
        ],
    }  # fmt: skip
