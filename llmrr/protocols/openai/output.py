"""Responses, what is answered: items of output, whole and as events.

The events, their order and what stands in them:
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any, Final

from llmrr.protocols import base
from llmrr.protocols.base import Answered, Asked, Event
from llmrr.protocols.calling import Calling
from llmrr.protocols.openai import common
from llmrr.protocols.openai.errors import error
from llmrr.protocols.openai.logprobs import tokens
from llmrr.protocols.openai.output_items import Called, Item, Said, Thought
from llmrr.types import Chunk, Message, Usage

_ARGUMENTS: Final = "response.function_call_arguments"

Keep = Callable[[Mapping[str, Any], Sequence[Message]], None]

# What a response repeats of its request, and what stands there where it was not said.
_REPEATED: Final[Mapping[str, Any]] = {
    "instructions": None, "max_output_tokens": None, "max_tool_calls": None,
    "parallel_tool_calls": True, "previous_response_id": None, "prompt_cache_key": None,
    "safety_identifier": None, "store": True, "temperature": None, "tool_choice": "auto",
    "tools": [], "top_logprobs": 0, "top_p": None, "truncation": "disabled", "user": None,
    "metadata": {},
}  # fmt: skip


class ResponseWriter:
    """Writes a response. ``keep`` is told the complete one, with the conversation up to its end."""

    def __init__(self, about: Answered, asked: Asked, keep: Keep | None = None) -> None:
        self._about, self._asked, self._keep = about, asked, keep
        self._chunks: list[Chunk] = []
        self._number = 0
        self._items: list[Item] = []
        one_call = asked.body.get("parallel_tool_calls") is False
        self._calling = Calling(only_one=one_call, in_turn=True)

    # -- as it comes ---------------------------------------------------------------------------

    def begin(self) -> Iterator[Event]:
        """It begins."""
        for name in ("created", "in_progress"):
            yield self._event(f"response.{name}", response=self._response("in_progress"))

    def piece(self, chunk: Chunk) -> Iterator[Event]:
        """What a chunk adds to an item, a new one where it is of another kind."""
        self._chunks.append(chunk)
        if chunk.reasoning:
            yield from self._text(Thought, chunk.reasoning, chunk)
        if chunk.text or (chunk.logprobs and not chunk.reasoning):
            yield from self._text(Said, chunk.text, chunk)
        for _, call, begins in self._calling.pieces(chunk):
            if begins:
                yield from self._close()
                yield from self._open(Called(self._id("fc"), call.id, call.name))
            if call.arguments:
                yield self._argued(call.arguments)

    def end(self) -> Iterator[Event]:
        """The last item, and all of it."""
        if not self._items:
            yield from self._open(Said(self._id("msg")))
        yield from self._close(cut=self._is_cut)
        found = self._finished()
        yield self._event(f"response.{found['status']}", response=found)

    def failed(self, error_: BaseException) -> Iterator[Event]:
        """Why it broke off."""
        told = error(error_, base.status_of(error_))["error"]
        said = {"code": told["code"] or told["type"], "message": told["message"]}
        yield self._event("response.failed", response={**self._response("failed"), "error": said})

    # -- whole ---------------------------------------------------------------------------------

    def whole(self, chunks: Sequence[Chunk]) -> dict[str, Any]:
        """The complete response."""
        for _ in self.begin():
            pass
        for chunk in chunks:
            for _ in self.piece(chunk):
                pass
        *_, last = self.end()
        assert isinstance(last.data, Mapping)
        found: dict[str, Any] = last.data["response"]
        return found

    # -- inside --------------------------------------------------------------------------------

    def _text(self, kind: "type[Said | Thought]", text: str, chunk: Chunk) -> Iterator[Event]:
        item = self._items[-1] if self._items else None
        if not isinstance(item, kind):
            yield from self._close()
            item = kind(self._id(kind.prefix))
            yield from self._open(item)
        item.text += text
        more = ""
        if isinstance(item, Said):
            item.logprobs += (found := tokens(chunk.logprobs))
            more = f',"logprobs":{common.dumps(found) if found else "[]"}'
        yield Event(  # what ``_event`` makes, in a microsecond
            f'{{"type":"{kind.event}.delta","sequence_number":{self._next()},'
            f'"item_id":"{item.id}","output_index":{len(self._items) - 1},"content_index":0,'
            f'"delta":{encode_basestring(text)}{more}}}',
            f"{kind.event}.delta",
        )

    def _argued(self, arguments: str) -> Event:
        item = self._items[-1]
        assert isinstance(item, Called)
        item.arguments += arguments
        return self._event(f"{_ARGUMENTS}.delta", **self._of_item(), delta=arguments)

    def _open(self, item: "Item") -> Iterator[Event]:
        self._items.append(item)
        at = len(self._items) - 1
        yield self._event("response.output_item.added", output_index=at, item=item.begun())
        if not isinstance(item, Called):
            part = item.part("")
            yield self._event("response.content_part.added", **self._place(), part=part)

    @property
    def _is_cut(self) -> bool:
        return any(one.finish_reason == "length" for one in self._chunks)

    def _close(self, *, cut: bool = False) -> Iterator[Event]:
        """The item that is open is complete, or was ``cut``."""
        if not self._items:
            return
        item = self._items[-1]
        if isinstance(item, Called):
            said = {"name": item.name, "arguments": item.arguments}
            yield self._event(f"{_ARGUMENTS}.done", **self._of_item(), **said)
        else:
            more = {"logprobs": item.logprobs} if isinstance(item, Said) else {}
            place = self._place()
            yield self._event(f"{item.event}.done", **place, text=item.text, **more)
            yield self._event("response.content_part.done", **place, part=item.part(item.text))
        whole = item.whole()
        if cut and not isinstance(item, Called):  # of a call its arguments show it
            whole["status"] = "incomplete"
        yield self._event(
            "response.output_item.done", output_index=len(self._items) - 1, item=whole
        )

    def _place(self) -> dict[str, Any]:
        return {**self._of_item(), "content_index": 0}

    def _of_item(self) -> dict[str, Any]:
        at = len(self._items) - 1
        return {"item_id": self._items[at].id, "output_index": at}

    def _event(self, kind: str, **data: Any) -> Event:
        return Event({"type": kind, "sequence_number": self._next(), **data}, kind)

    def _next(self) -> int:
        self._number += 1
        return self._number - 1

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._about.id}{len(self._items):x}"

    def _finished(self) -> dict[str, Any]:
        cut = self._is_cut
        found = self._response("incomplete" if cut else "completed")
        if cut:
            found["incomplete_details"] = {"reason": "max_output_tokens"}
            if not isinstance(self._items[-1], Called):
                found["output"][-1]["status"] = "incomplete"
        found["usage"] = _usage(base.usage_of(self._chunks))
        if self._keep is not None and found["store"]:
            said = self._asked.request.messages
            # Instructions are for one answer alone.
            said = said if found["instructions"] is None else said[1:]
            self._keep(found, (*said, self._turn()))
        return found

    def _turn(self) -> Message:
        """What was said, as a turn of the conversation."""
        text = "".join(one.text for one in self._items if isinstance(one, Said))
        thought = "".join(one.text for one in self._items if isinstance(one, Thought))
        calls = tuple(one.call for one in self._items if isinstance(one, Called))
        return Message("assistant", text, tool_calls=calls, reasoning=thought)

    def _response(self, status: str) -> dict[str, Any]:
        body, about = self._asked.body, self._about
        text = body.get("text") or {}
        reasoning = body.get("reasoning") or {}
        return {
            "id": f"resp_{about.id}",
            "object": "response",
            "created_at": about.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": about.model,
            "output": [] if status == "in_progress" else [one.whole() for one in self._items],
            **{
                name: default if body.get(name) is None else body[name]
                for name, default in _REPEATED.items()
            },
            "reasoning": {"effort": reasoning.get("effort"), "summary": None},
            "service_tier": "default",
            "text": {"format": text.get("format") or {"type": "text"}},
            "usage": None,
        }


def _usage(found: Usage) -> dict[str, Any]:
    return {
        "input_tokens": found.prompt_tokens,
        "input_tokens_details": {"cached_tokens": found.cached_tokens},
        "output_tokens": found.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": found.thought_tokens or 0},
        "total_tokens": found.prompt_tokens + found.completion_tokens,
    }
