"""The input of a response as items, each with an id, and a page of them as a client asks for it.

https://platform.openai.com/docs/api-reference/responses/input-items
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from llmrr.protocols.fields import BadField, Fields

MOST: Final = 100
_USUAL: Final = 20
_PREFIXES: Final[Mapping[str, str]] = {
    "message": "msg", "function_call": "fc", "function_call_output": "fc", "reasoning": "rs",
    "custom_tool_call": "ctc", "custom_tool_call_output": "ctc", "local_shell_call": "lsh",
    "local_shell_call_output": "lsh", "web_search_call": "ws", "file_search_call": "fs",
}  # fmt: skip


def items(body: Mapping[str, Any], id: str) -> tuple[dict[str, Any], ...]:
    """The items that a request adds, complete as OpenAI lists them; ``id`` is what the ids of those
    are made of that came without one. The body must be one that ``responses.response`` takes.

    >>> items({"input": "Hi"}, "1")[0]["content"]
    [{'type': 'input_text', 'text': 'Hi'}]
    """
    given = body["input"]
    listed = [{"role": "user", "content": given}] if isinstance(given, str) else given
    return tuple(_item(one, f"{id}in{at:x}") for at, one in enumerate(listed))


def page(all_: Sequence[Mapping[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """A page of items, the newest first unless the query says otherwise. Raises ``BadField``."""
    wanted = _wanted(query)
    found = [*all_] if wanted.order == "asc" else [*reversed(all_)]
    if wanted.after is not None:
        places = [at for at, one in enumerate(found) if one["id"] == wanted.after]
        if not places:
            said = f'after: no item has the id "{wanted.after[:80]}"'
            raise BadField("after", said, "the last_id of the page before")
        found = found[places[0] + 1 :]
    data = found[: wanted.limit]
    return {
        "object": "list", "data": data, "has_more": len(found) > len(data),
        "first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None,
    }  # fmt: skip


class _Wanted(NamedTuple):
    limit: int
    order: str
    after: str | None


def _wanted(query: Mapping[str, str]) -> _Wanted:
    given: dict[str, Any] = {name: query[name] for name in ("order", "after") if name in query}
    if (limit := query.get("limit")) is not None:
        is_whole = limit.isascii() and limit.isdecimal()
        given["limit"] = int(limit[:9]) if is_whole else limit
    fields = Fields(given)
    return _Wanted(
        fields.whole("limit", 1, MOST) or _USUAL,
        fields.one_of("order", "asc", "desc") or "desc",
        fields.text("after"),
    )


def _item(given: Mapping[str, Any], id: str) -> dict[str, Any]:
    kind = given.get("type") or "message"
    own = given.get("id")
    found = {**given, "type": kind}
    found["id"] = own if isinstance(own, str) and own else f"{_PREFIXES[kind]}_{id}"
    if kind == "message":
        found["content"] = _content(given)
    if kind == "reasoning":
        found.setdefault("summary", [])
    else:
        found["status"] = given.get("status") or "completed"
    return found


def _content(message: Mapping[str, Any]) -> list[Any]:
    said = message.get("content")
    if isinstance(said, list):
        return said
    if message["role"] == "assistant":
        return [{"type": "output_text", "text": said or "", "annotations": []}]
    return [{"type": "input_text", "text": said or ""}]
