"""What names models and sets none: answers that were given, conversations, measurements, tests."""

import re
from collections.abc import Mapping
from typing import Any, Final

from llmrr.migrate.guessing.lists import plain_name
from llmrr.migrate.terms.secrets import is_secret_field

_OF_ANSWERS: Final = frozenset({
    "response", "output", "answer", "completion", "score", "scores", "latency", "usage", "result",
    "results", "finishreason", "accuracy", "outputtext", "generatedtext", "prediction", "reply",
    "completiontokens", "tokensused", "rating", "winner", "elapsed", "generation", "responses",
})  # fmt: skip
_RECORDED: Final = frozenset({
    "messages", "conversations", "conversation", "dialogue", "instruction", "turns", "transcript",
    "mapping", "completion", "response", "output", "answer",
})  # fmt: skip
_TALKED: Final = frozenset({"messages", "conversations", "conversation", "turns", "mapping"})
_DATED: Final = frozenset({
    "created", "createdat", "createtime", "timestamp", "updatedat", "updatetime", "date", "uuid",
    "sessionid", "conversationid",
})  # fmt: skip
# Tables of what was measured or done, not of what is set.
OF_RUNS: Final = frozenset({
    "results", "leaderboard", "benchmarks", "benchmark", "scores", "evaluations", "rankings",
    "runs", "history", "logs", "usage", "metrics", "requests", "responses", "traces", "spans",
})  # fmt: skip


def is_left(key: str) -> bool:
    """Whether what stands under a key is no setting: a secret, or what a test expects."""
    return is_secret_field(key) or plain_name(key).startswith("expected") or plain_name(key) in (
        "tests", "testcases", "fixtures", "examples", "example", "inputparams",
    )


def are_records(values: list[Any]) -> bool:
    """Whether a list holds conversations or answers: a data set."""
    tables = [one for one in values[:20] if isinstance(one, dict)]
    kept = [one for one in tables if not _RECORDED.isdisjoint(map(plain_name, map(str, one)))]
    return len(kept) > 1


def is_record(table: Mapping[str, Any]) -> bool:
    """Whether a table is the record of an answer, or of a whole conversation."""
    names = {plain_name(one) for one in table}
    if not _OF_ANSWERS.isdisjoint(names) or {"role", "content"} <= names:
        return True
    if not _TALKED.isdisjoint(names) and not _DATED.isdisjoint(names):
        return True
    return any(re.fullmatch(r"(?:latency|mmlu|elo|winrate|humaneval|tokenspersec)\w*", one)
               for one in names)  # fmt: skip


def is_label(text: str, field: str) -> bool:
    """Whether a text is what a field is called on a screen, in some language."""
    plain = plain_name(text)
    return (
        not text.isascii() or plain == plain_name(field)
        or bool(re.fullmatch(r"(?:ai|llm)?model[a-z]{0,4}", plain))
    )  # fmt: skip
