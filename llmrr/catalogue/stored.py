"""What is installed here, as the store has it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from llmrr import engines
from llmrr.catalogue.files import changed
from llmrr.catalogue.resolved import Resolved
from llmrr.errors import NotFound, nearest

if TYPE_CHECKING:
    import sqlite3

    from llmrr.store.records import Entry

T = TypeVar("T")


class Database(Protocol):
    """Uses the database, or warns once of what is lost without it."""

    def __call__(self, work: "Callable[[sqlite3.Connection], T]", loss: str) -> "T | None": ...


class Stored:
    """The installed models. Where the database cannot be used there are none, after a warning."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self) -> "list[Entry]":
        """The installed models, by label."""
        return self._read(lambda records, connection: records.entries(connection))

    def matching(self, label: str) -> "list[Entry]":
        """The one of this label, or all tags of this name: ``records.matching``."""
        return self._read(lambda records, connection: records.matching(connection, label))

    def latest_first(self) -> "list[Entry]":
        """The installed models, those that were used or added last first."""
        return self._read(lambda records, connection: records.latest(connection))

    def latest(self) -> "Entry | None":
        """The installed model that answers by default: it can be run, and is there."""
        runs = engines.runnable()
        usable = (
            entry for entry in self.latest_first()
            if entry.format in runs and entry.kind in (None, "model") and not entry.is_missing
        )  # fmt: skip
        return next(usable, None)

    def conversion(self, found: Resolved) -> "Entry | None":
        """What was last converted from a model here, and is newer than it."""
        origin, runs = f"file:{found.path}", engines.runnable()
        made = self._read(lambda records, connection: records.of_origin(connection, origin))
        usable = [
            one for one in made
            if one.format in runs and not one.is_missing and one.added >= changed(found.path)
        ]  # fmt: skip
        return max(usable, key=lambda one: one.added, default=None)

    def installed(self, name: str) -> "Entry":
        """The installed model of this label. Raises ``NotFound``, also for a name with several
        tags, none of them ``latest``, of which one must be named."""
        found = self.matching(name)
        if len(found) > 1 and found[0].tag.lower() != "latest":
            tags = ", ".join(entry.label for entry in found)
            raise NotFound(f'"{name}" means several models: {tags}', "name one with its tag")
        if not found:
            near = nearest(name, [entry.label for entry in self.entries()])
            hint = f"did you mean {near}?" if near else "llmrr list shows what is installed"
            raise NotFound(f'no model "{name}" is installed', hint)
        return found[0]

    def _read(self, work: "Callable[..., list[Entry]]") -> "list[Entry]":
        from llmrr.store import records

        loss = "installed models are not known, and nothing is recorded"
        return self._database(lambda connection: work(records, connection), loss) or []
