"""Which answers are right, and how alike those of both sides are."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from llmrr import similarity
from llmrr.errors import LlmrrError
from llmrr.evaluate import is_right, shown
from llmrr.evaluate.patterns import Patterns
from llmrr.migrate.validating.asking import Trial, same_engine
from llmrr.migrate.validating.systems import Reply, makes_vectors
from llmrr.migrate.validating.vectors import vectors

if TYPE_CHECKING:
    from llmrr.router import Router

# A small one that llama.cpp runs: what the hint names where there is none.
TO_PULL: Final = "llmrr pull nomic-ai/nomic-embed-text-v1.5-GGUF"
_JUDGE: Final = """You judge whether an answer is right.
Question: {question}
Right is: {expected}
Answer: {answer}

Reply with one word: yes if the answer says the same as what is right, else no."""


class Alike(NamedTuple):
    """How alike the answers are, over those that both sides gave: the mean cosine of their
    embeddings by the model ``by`` (None where there is none, and ``why``), and by their words."""

    cosine: float | None
    by: str | None
    why: str | None
    lexical: float | None
    overlap: float | None
    jaccard: float | None
    compared: int


class Accuracy(NamedTuple):
    """The share of right answers over those that have an expectation; None where none has. They
    are judged ``by`` a model, or ways of matching; ``failed`` counts requests whose answers the
    model could not judge, and ``why``."""

    old_score: float | None
    new_score: float | None
    judged: int
    by: str | None
    failed: int = 0
    why: str | None = None


def pairs(trials: Sequence[Trial]) -> list[tuple[str, str]]:
    """The answers of the requests that both sides answered, where not by the same engine."""
    return [
        (one.old.text, one.new.text) for one in trials
        if not one.case.must_fail and one.old.error is None and one.new.error is None
        and one.old.is_asked and one.new.is_asked and not same_engine(one)
        and one.old.text is not None and one.new.text is not None
    ]  # fmt: skip


def alike(router: "Router", found: Sequence[tuple[str, str]], embedding: str | None) -> Alike:
    """Compare. Where no model makes vectors, or it fails, ``why`` says it."""
    words = [(similarity.words(one), similarity.words(other)) for one, other in found]
    lexical = (
        _mean([similarity.similarity(*pair) for pair in found]),
        _mean([similarity.overlap(*pair) for pair in words]),
        _mean([similarity.jaccard(*pair) for pair in words]),
    )
    name = embedding or embedding_model(router)
    if not found:
        return Alike(None, name, "no request was answered by both sides", *lexical, 0)
    if name is None:
        return Alike(None, None, "no embedding model is at hand", *lexical, len(found))
    try:
        cosines = _cosines(router, found, name)
    except LlmrrError as error:  # both sides have answered: that is not to be lost
        return Alike(None, name, f"{name}: {error.message}", *lexical, len(found))
    return Alike(_mean(cosines), name, None, *lexical, len(found))


def embedding_model(router: "Router") -> str | None:
    """One that makes vectors: of the configuration, else an installed one."""
    for model in router.config.models:
        if makes_vectors(model.tags):
            return model.name
    entries = (one for one in router.catalogue.entries() if one.kind == "embedding")
    return next((one.label for one in entries if not one.is_missing), None)


def accuracy(router: "Router", trials: Sequence[Trial], judge: str | None) -> Accuracy:
    """Judge the answers that have an expectation, by its way of matching or by a model. What a side
    failed at is not right; what it was not asked does not count."""
    known = [one for one in trials if one.case.expected and one.old.is_asked and one.new.is_asked]
    if not known:
        return Accuracy(None, None, 0, judge)
    scores, failures, verdicts = [], list[str](), dict[str, str]()
    with Patterns() as patterns:
        for trial in known:
            try:
                sides = [_score(router, judge, trial, one, patterns, verdicts)
                         for one in (trial.old, trial.new)]  # fmt: skip
            except LlmrrError as error:  # all else that was measured is not to be lost
                failures.append(f"{judge}: {error.message}")
            else:
                scores.append(sides)
    old, new = (_mean([one[at] for one in scores]) for at in (0, 1))
    ways = sorted({one.case.expected.match for one in known if one.case.expected})
    by = judge or ", ".join(ways)
    return Accuracy(old, new, len(scores), by, len(failures), next(iter(failures), None))


def _score(
    router: "Router", judge: str | None, trial: Trial, reply: Reply, patterns: Patterns,
    verdicts: dict[str, str],
) -> float:  # fmt: skip
    """1 for an answer that is right, else 0."""
    assert trial.case.expected is not None
    if reply.error is not None or reply.text is None:
        return 0.0
    if judge is None:
        return float(is_right(reply.text, trial.case.expected, patterns.search))
    return float(_judged(router, judge, trial, reply, verdicts))


def _judged(
    router: "Router", judge: str, trial: Trial, reply: Reply, verdicts: dict[str, str]
) -> bool:
    """What the judge says, who is asked once for each question with its answer."""
    assert trial.case.expected is not None
    prompt = _JUDGE.format(
        question=trial.case.text, answer=reply.text,
        expected=" or ".join(map(str, shown(trial.case.expected))),
    )  # fmt: skip
    if prompt not in verdicts:
        verdicts[prompt] = router.generate(
            prompt, model=judge, temperature=0.0, max_tokens=256, log=False, fallback=False,
            cache=False,
        ).text  # fmt: skip
    words = re.findall(r"\b(?:yes|no)\b", verdicts[prompt].casefold())
    return bool(words) and words[-1] == "yes"


def _cosines(router: "Router", found: Sequence[tuple[str, str]], name: str) -> list[float]:
    """Of each pair; an answer without words is like none."""
    texts = list(dict.fromkeys(one for pair in found for one in pair if one.strip()))
    known = vectors(router, texts, name)
    return [
        similarity.cosine(known[one], known[other])
        if one in known and other in known else float(one.strip() == other.strip())
        for one, other in found
    ]  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
