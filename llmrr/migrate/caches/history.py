"""Answers of other tools in the history: each is a run that was imported, and counts in no figure
of ours. The same answer twice is one."""

import hashlib
import json
import time
from typing import TYPE_CHECKING, NamedTuple

from llmrr import database
from llmrr.migrate.caches.answers import Answer

if TYPE_CHECKING:
    import sqlite3

_INSERT = """INSERT OR IGNORE INTO runs (at, model, source, engine, prompt_tokens, cached_tokens,
    completion_tokens, load_s, total_s, system, prompt, answer, looked_up, import_id, import_digest)
    VALUES (?, ?, ?, ?, ?, 0, ?, 0.0, ?, ?, ?, ?, 0, ?, ?)"""


def add(connection: "sqlite3.Connection", answer: Answer, tool: str, import_id: str) -> bool:
    """Put an answer into the history; whether it was not there yet. One whose time is not known has
    that of the import; what a store does not count is 0, as in other rows without figures."""
    values = (
        answer.at or time.time(), answer.model or "", f"import:{tool}", tool,
        answer.prompt_tokens or 0, answer.completion_tokens or 0, answer.latency_s or 0.0,
        answer.system, answer.prompt, answer.response, import_id, digest(answer, tool),
    )  # fmt: skip
    with database.errors():
        return connection.execute(_INSERT, values).rowcount > 0


def is_there(connection: "sqlite3.Connection", digest: str) -> bool:
    """Whether an answer was imported already, by its digest."""
    sql = "SELECT 1 FROM runs WHERE import_digest = ?"
    with database.errors():
        return connection.execute(sql, (digest,)).fetchone() is not None


class Gone(NamedTuple):
    """How much was taken out."""

    answers: int
    models: int


def undo(connection: "sqlite3.Connection", import_id: str) -> Gone:
    """Take out what an import brought, answers and adopted models; twice is allowed. Files of other
    tools stay where they are."""
    from llmrr.store import records

    with database.errors():
        found = connection.execute(
            "SELECT label, source FROM cache_models WHERE import_id = ?", (import_id,)
        ).fetchall()
        models = 0
        for label, source in found:
            entry = records.get(connection, label)
            if entry is not None and entry.origin == source and not entry.is_made:
                records.remove(connection, entry)
                models += 1
        with database.transaction(connection):
            connection.execute("DELETE FROM cache_models WHERE import_id = ?", (import_id,))
            gone = connection.execute("DELETE FROM runs WHERE import_id = ?", (import_id,))
        return Gone(gone.rowcount, models)


def adopted(connection: "sqlite3.Connection", label: str, source: str, import_id: str) -> None:
    """Note that an import brought a model that was not here."""
    with database.errors():
        connection.execute(
            "INSERT OR IGNORE INTO cache_models VALUES (?, ?, ?)", (import_id, label, source)
        )


def digest(answer: Answer, tool: str) -> str:
    """What makes an answer the same one; its time where the store says it."""
    facts = [tool, answer.model, answer.system, answer.prompt, answer.response, answer.at]
    text = json.dumps([*facts, answer.params], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
