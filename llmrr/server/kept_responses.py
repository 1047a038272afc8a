"""Responses that may be gone on with: in memory, the oldest forgotten first."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from llmrr.errors import InvalidRequest, NotFound
from llmrr.server.streaming import dumps
from llmrr.types import Message

MOST: Final = 1000
MOST_BYTES: Final = 64 * 2**20  # each with the conversation before it


class Kept(NamedTuple):
    """A response, the conversation up to its end, and the items up to where it was asked; of its
    ``bytes`` those of items are ``of_items``, its own too."""

    owner: str
    response: Mapping[str, Any]
    messages: Sequence[Message]
    items: Sequence[Mapping[str, Any]]
    of_items: int
    bytes: int


class KeptResponses:
    """Those of one server, each for whoever asked; for the event loop."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0

    def keep(
        self, owner: str, response: Mapping[str, Any], messages: Sequence[Message],
        added: Sequence[Mapping[str, Any]] = (), before: Kept | None = None,
    ) -> None:  # fmt: skip
        """Keep one, which was asked with the items that are ``added`` to those ``before``; those
        that are too many, or too large, are forgotten."""
        items, of_items = tuple(added), len(dumps(added)) + len(dumps(response))
        if before is not None:
            items = (*before.items, *before.response["output"], *items)
            of_items += before.of_items
        size = sum(map(_bytes, messages)) + of_items
        found = Kept(owner, response, messages, items, of_items, size)
        self._kept[response["id"]] = found
        self._bytes += found.bytes
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.bytes

    def of(self, owner: str, id: str, param: str | None = None) -> Kept:
        """The one of an id. Raises ``NotFound``, also where it is somebody else's."""
        found = self._kept.get(id)
        if found is None or found.owner != owner:
            raise NoResponse(id, param)
        self._kept.move_to_end(id)
        return found

    def resolved(self, owner: str, given: object) -> object:
        """The input of a request, with the items that it only names. Raises ``NoItem``."""
        if not isinstance(given, list):
            return given
        return [
            self._item(owner, one.get("id"), f"input[{at}].id")
            if isinstance(one, Mapping) and one.get("type") == "item_reference" else one
            for at, one in enumerate(given)
        ]

    def _item(self, owner: str, id: object, param: str) -> Mapping[str, Any]:
        """An item of an answer; its id begins as that of its response, behind the prefix."""
        key = id.partition("_")[2][:32] if isinstance(id, str) else ""
        found = self._kept.get(f"resp_{key}")
        items = found.response["output"] if found is not None and found.owner == owner else ()
        for item in items:
            if item["id"] == id:
                return cast("Mapping[str, Any]", item)
        raise NoItem(id, param)

    def forget(self, owner: str, id: str) -> None:
        """Keep it no longer. Raises ``NotFound``."""
        self._bytes -= self.of(owner, id).bytes
        del self._kept[id]


class NoResponse(NotFound):
    """No response of that id is kept."""

    code = "not_found"

    def __init__(self, id: str, param: str | None) -> None:
        said = f'no response "{id[:80]}" is kept'
        kept = f"the last {MOST} are that were asked to be stored, until the server ends"
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


def _bytes(message: Message) -> int:
    images = sum(len(one.url or "") + len(one.data or b"") for one in message.images)
    words = len(message.content) + len(message.reasoning)
    return images + words + sum(len(one.arguments) for one in message.tool_calls)
