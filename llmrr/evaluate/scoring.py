"""What was measured of models, kept in the database: the quality that choosing among them uses.

A score belongs to a source and to an ``identity``: the weights with what changes their answers
(system prompt, first messages, adapters, template). After a file was replaced, or under another
recipe, the score of before says nothing.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import database
from llmrr.types import Recipe

if TYPE_CHECKING:
    import sqlite3

CONFIDENCE_Z = 1.959964  # standard deviations: 95 %
_ANSWERING = ("lora", "chat_template")  # the options that change what is answered


@dataclass(frozen=True, slots=True)
class Score:
    """How many of ``questions`` a model answered right. ``name`` and ``sha256`` are those of the
    set, which has ``whole`` questions; ``at`` is in epoch seconds."""

    at: float
    model: str
    source: str
    identity: str
    quant: str | None
    name: str
    sha256: str
    whole: int
    questions: int
    correct: int

    @property
    def accuracy(self) -> float:
        """The share of right answers, 0 to 1."""
        return self.correct / self.questions

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies with 95 % confidence."""
        return wilson(self.correct, self.questions)


_COLUMNS = tuple(f.name for f in fields(Score))


def wilson(correct: int, questions: int, z: float = CONFIDENCE_Z) -> tuple[float, float]:
    """Wilson's score interval of a share, which holds for few questions and near 0 and 1 too:
    https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval

    >>> [round(bound, 3) for bound in wilson(9, 10)]
    [0.596, 0.982]
    >>> [round(bound, 3) for bound in wilson(10, 10)]
    [0.722, 1.0]
    """
    share = correct / questions
    spread = z * z / questions
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / questions + spread / questions / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def identity(files: Sequence[Path], digest: str | None, recipe: Recipe) -> str:
    """What must be the same for a score to hold: the digest of the weights where one is known, else
    the size and time of their files; and what of the recipe changes answers."""
    weights = digest or "-".join(
        f"{stat.st_size}.{stat.st_mtime_ns}" for stat in (path.stat() for path in files)
    )
    options = {name: str(recipe.options[name]) for name in _ANSWERING if name in recipe.options}
    turns = [(one.role, one.content) for one in recipe.messages]
    if not (recipe.system or turns or options):
        return weights
    words = json.dumps([recipe.system, turns, options], sort_keys=True)
    return f"{weights}+{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def record(connection: "sqlite3.Connection", score: Score) -> None:
    """Keep a score."""
    places = ", ".join("?" * len(_COLUMNS))
    with database.errors():
        connection.execute(
            f"INSERT INTO scores ({', '.join(_COLUMNS)}) VALUES ({places})", astuple(score)
        )


def scores(
    connection: "sqlite3.Connection", source: str, identity: str | None = None
) -> list[Score]:
    """What was measured of a model, newest first; of each set the newest of those results that
    cover most of it."""
    where, values = "source = ?", [source]
    if identity is not None:
        where, values = f"{where} AND identity = ?", [source, identity]
    with database.errors():
        rows = connection.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM scores WHERE {where} ORDER BY at DESC, id DESC",
            values,
        ).fetchall()
    found: dict[str, Score] = {}
    for row in rows:
        score = Score(*row)
        kept = found.get(score.sha256)
        if kept is None or score.questions > kept.questions:
            found[score.sha256] = score
    return sorted(found.values(), key=lambda one: one.at, reverse=True)


def quality(
    connection: "sqlite3.Connection", source: str, identity: str | None = None
) -> float | None:
    """The accuracy of a model, 0 to 1, on the set that it was asked last; None where nothing was
    measured. Without ``identity`` that of whatever was under this source."""
    found = scores(connection, source, identity)
    return found[0].accuracy if found else None
