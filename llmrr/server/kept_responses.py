"""Responses that may be gone on with: in the database, for whoever asked, the oldest forgotten
first. So any server of this user knows them, also one that was begun anew."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from llmrr import database, packing
from llmrr.catalogue import Database
from llmrr.errors import InvalidRequest, NotFound
from llmrr.types import Message, Request

if TYPE_CHECKING:
    import sqlite3

MOST: Final = 1000
MOST_BYTES: Final = 64 * 2**20  # each with the conversation before it
_LOSS: Final = "responses are not kept"


class Kept(NamedTuple):
    """A response, the conversation up to its end, and the items up to where it was asked."""

    response: Mapping[str, Any]
    messages: Sequence[Message]
    items: Sequence[Mapping[str, Any]]


class KeptResponses:
    """Those of one ``owner``, who is one key; for ``seconds`` after they were last needed."""

    def __init__(
        self, use: Database, owner: str, seconds: float, *, most: int = MOST,
        most_bytes: int = MOST_BYTES,
    ) -> None:  # fmt: skip
        self._use, self._owner, self._seconds = use, owner, seconds
        self._most, self._most_bytes = most, most_bytes

    @property
    def keeps(self) -> bool:
        """Whether any are kept."""
        return self._seconds > 0

    def keep(
        self, response: Mapping[str, Any], messages: Sequence[Message],
        added: Sequence[Mapping[str, Any]] = (), before: Kept | None = None,
    ) -> None:  # fmt: skip
        """Keep one, which was asked with the items that are ``added`` to those ``before``; those
        that are too many, too large or too old are forgotten."""
        items = (*before.items, *before.response["output"], *added) if before else added
        asked = packing.facts(Request(tuple(messages)))
        texts = [json.dumps(one) for one in (response, asked, items)]
        now, size = time.time(), sum(map(len, texts))

        def work(connection: "sqlite3.Connection") -> None:
            with database.errors(), database.transaction(connection):
                connection.execute(
                    "INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (response["id"], self._owner, now, size, *texts),
                )
                if before is not None:
                    used = now, before.response["id"], self._owner
                    connection.execute(
                        "UPDATE responses SET used = ? WHERE id = ? AND owner = ?", used
                    )
                self._forget_old(connection, now)

        self._use(work, _LOSS)

    def _forget_old(self, connection: "sqlite3.Connection", now: float) -> None:
        connection.execute("DELETE FROM responses WHERE used < ?", (now - self._seconds,))
        connection.execute(
            """DELETE FROM responses WHERE id IN (SELECT id FROM (
                SELECT id, row_number() OVER newest AS number, sum(bytes) OVER newest AS size
                FROM responses WHERE owner = ? WINDOW newest AS (ORDER BY used DESC, id))
                WHERE number > ? OR size > ?)""",
            (self._owner, self._most, self._most_bytes),
        )

    def of(self, id: str, param: str | None = None) -> Kept:
        """The one of an id. Raises ``NotFound``, also where it is somebody else's."""
        if (found := self._read(id)) is None:
            raise NoResponse(id, param)
        return found

    def resolved(self, given: object) -> object:
        """The input of a request, with the items that it only names. Raises ``NoItem``."""
        if not isinstance(given, list):
            return given
        return [
            self._item(one.get("id"), f"input[{at}].id")
            if isinstance(one, Mapping) and one.get("type") == "item_reference" else one
            for at, one in enumerate(given)
        ]

    def _item(self, id: object, param: str) -> Mapping[str, Any]:
        """An item of an answer; its id begins as that of its response, behind the prefix."""
        key = id.partition("_")[2][:32] if isinstance(id, str) else ""
        found = self._read(f"resp_{key}")
        for item in found.response["output"] if found is not None else ():
            if item["id"] == id:
                return cast("Mapping[str, Any]", item)
        raise NoItem(id, param)

    def forget(self, id: str) -> None:
        """Keep it no longer. Raises ``NotFound``."""

        def work(connection: "sqlite3.Connection") -> bool:
            with database.errors():
                return connection.execute(
                    "DELETE FROM responses WHERE id = ? AND owner = ?", _key(id, self._owner)
                ).rowcount > 0

        if not self._use(work, _LOSS):
            raise NoResponse(id, None)

    def _read(self, id: str) -> Kept | None:
        def work(connection: "sqlite3.Connection") -> Any:
            with database.errors():
                return connection.execute(
                    "SELECT response, messages, items FROM responses WHERE id = ? AND owner = ?"
                    " AND used >= ?",
                    (*_key(id, self._owner), time.time() - self._seconds),
                ).fetchone()

        if (row := self._use(work, _LOSS)) is None:
            return None
        response, asked, items = map(json.loads, row)
        return Kept(response, packing.request(asked).messages, items)


class NoResponse(NotFound):
    """No response of that id is kept."""

    code = "not_found"

    def __init__(self, id: str, param: str | None) -> None:
        said = f'no response "{id[:80]}" is kept'
        kept = f"the last {MOST} are that were asked to be stored ([serve] keep_responses)"
        super().__init__(said, kept if param is None else f"{kept}: send the whole input")
        self.param = param
        if param is not None:
            self.status, self.code = 400, f"{param.removesuffix('_id')}_not_found"


class NoItem(InvalidRequest):
    """No item of that id is kept."""

    status = 404
    code = "item_not_found"

    def __init__(self, id: object, param: str) -> None:
        shown = repr(id)[:80]
        super().__init__(f"no item {shown} is kept", "send the item itself, as with store: false")
        self.param = param


def _key(id: str, owner: str) -> tuple[str, str]:
    """Both as SQLite takes texts."""
    return id.encode(errors="replace").decode(), owner
