"""Responses that may be gone on with: in memory, the oldest forgotten first."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from llmrr.errors import NotFound
from llmrr.server.streaming import dumps
from llmrr.types import Message

MOST: Final = 1000
MOST_BYTES: Final = 64 * 2**20  # each with the conversation before it


class Kept(NamedTuple):
    """A response, the conversation up to its end, and the items up to where it was asked."""

    owner: str
    response: Mapping[str, Any]
    messages: Sequence[Message]
    items: Sequence[Mapping[str, Any]]
    bytes: int


class KeptResponses:
    """Those of one server, each for whoever asked; for the event loop."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0

    def keep(
        self, owner: str, response: Mapping[str, Any], messages: Sequence[Message],
        items: Sequence[Mapping[str, Any]] = (),
    ) -> None:  # fmt: skip
        """Keep one; those that are too many, or too large, are forgotten."""
        # What the items say the messages say too: it is counted twice rather than written twice.
        size = 2 * sum(map(_bytes, messages)) + len(dumps(response))
        found = Kept(owner, response, messages, items, size)
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

    def forget(self, owner: str, id: str) -> None:
        """Keep it no longer. Raises ``NotFound``."""
        self._bytes -= self.of(owner, id).bytes
        del self._kept[id]


class NoResponse(NotFound):
    """No response of that id is kept."""

    code = "not_found"

    def __init__(self, id: str, param: str | None) -> None:
        said = f'no response "{id[:80]}" is kept'
        super().__init__(said, f"the last {MOST} are, until the server ends: send the whole input")
        self.param = param
        if param is not None:
            self.status, self.code = 400, f"{param.removesuffix('_id')}_not_found"


def _bytes(message: Message) -> int:
    images = sum(len(one.url or "") + len(one.data or b"") for one in message.images)
    return images + len(message.content) + sum(len(one.arguments) for one in message.tool_calls)
