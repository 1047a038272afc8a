"""Chat completions: https://platform.openai.com/docs/api-reference/chat"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from json.encoder import encode_basestring
from typing import Any, Final

from llmrr.protocols import base
from llmrr.protocols.base import Answered, Asked, Event
from llmrr.protocols.calling import Calling
from llmrr.protocols.fields import BadField, Fields
from llmrr.protocols.openai import common
from llmrr.protocols.openai.logprobs import chat_logprobs
from llmrr.protocols.openai.messages import messages
from llmrr.protocols.openai.sampling import insists, limited, sampling, unswitched
from llmrr.protocols.openai.tools import offered
from llmrr.types import Chunk, Message, Request, ToolCall

_REFUSED: Final = {
    "audio": "no model here speaks",
}


def chat(body: Mapping[str, Any]) -> Asked:
    """The body of ``/v1/chat/completions``. Raises ``InvalidRequest`` naming what is wrong."""
    given = Fields(body)
    for name, why in _REFUSED.items():
        given.refuse(name, why)
    given.refuse("web_search_options", "nothing here searches the web", empty=True)
    if set(given.words("modalities") or ()) - {"text"}:
        raise BadField("modalities", "modalities: every answer here is text", '["text"]')
    limit = given.whole("max_completion_tokens", 1) or limited(given)
    tools, tool_choice, left_out = offered(given)
    turns, begun = _begun(given, messages(given))
    request = Request(
        messages=turns,
        begun=begun,
        n=given.whole("n", 1, common.MOST_CHOICES) or 1,
        sampling=sampling(given, limit, _logprobs(given)),
        tools=tools,
        tool_choice=tool_choice,
        firm=insists(given.get("reasoning_effort"), "reasoning_effort"),
    )
    for name in ("parallel_tool_calls", "echo", "include_reasoning"):
        given.flag(name)
    asked = common.asked(request, given)
    left_out = (*left_out, *given.unread(), *unswitched(given))
    return replace(asked, left_out=left_out) if left_out else asked


def _begun(given: Fields, turns: tuple[Message, ...]) -> tuple[tuple[Message, ...], str]:
    """The turns to answer, and how the answer begins already: the last turn, where that is to be
    gone on with (``continue_final_message``, as vLLM and llama-server call it)."""
    if not given.flag("continue_final_message"):
        return turns, ""
    name = "continue_final_message"
    if given.flag("add_generation_prompt"):
        raise BadField(name, f"{name} begins no turn, add_generation_prompt one", "one of them")
    *before, last = turns
    if last.role != "assistant" or last.tool_calls or not before:
        raise BadField(name, f"{name}: the last message is no text of the assistant")
    return tuple(before), last.content


def _logprobs(given: Fields) -> int | None:
    """How many alternatives a token's logprob comes with; None without logprobs."""
    top = given.whole("top_logprobs", 0, 20)
    if given.flag("logprobs"):
        return top or 0
    if top:
        raise BadField("top_logprobs", "top_logprobs is for logprobs", '"logprobs": true')
    return None


class ChatWriter:
    """Writes a chat completion."""

    def __init__(self, about: Answered, asked: Asked) -> None:
        self._about, self._asked = about, asked
        self._calls: dict[int, Calling] = {}
        self._one_call = asked.body.get("parallel_tool_calls") is False
        self._older = not asked.body.get("tools") and bool(asked.body.get("functions"))
        head = self._head("chat.completion.chunk")
        self._thinks = asked.body.get("include_reasoning") is not False
        self._begun = asked.request.begun if asked.body.get("echo") else ""
        self._ending = common.Ending(head, about, asked)
        self._before = self._after = ""  # what every piece of text has around it
        self.end, self.failed = self._ending.end, self._ending.failed
        if asked.stream:  # a piece is told in a microsecond
            self._before = common.dumps(head)[:-1] + ',"choices":[{"index":'
            self._after = self._ending.after()

    def begin(self) -> Iterator[Event]:
        """Every choice begins with its role; one that may call has no text before it has one."""
        content = "null" if self._asked.request.tools else '""'
        for index in range(self._asked.request.n):
            yield self._chunk(index, f'{{"role":"assistant","content":{content},"refusal":null}}')
            if self._begun:
                yield self._chunk(index, f'{{"content":{encode_basestring(self._begun)}}}')

    def piece(self, chunk: Chunk) -> Iterator[Event]:
        """What a chunk adds to its choice, and how that ended."""
        self._ending.usage = chunk.usage or self._ending.usage
        if self._ending.counts:
            self._after = self._ending.after(len(chunk.tokens))
        delta = []
        if chunk.reasoning and self._thinks:
            delta.append(f'"reasoning_content":{encode_basestring(chunk.reasoning)}')
        if chunk.text:
            delta.append(f'"content":{encode_basestring(chunk.text)}')
        if delta or chunk.logprobs:
            logprobs = common.dumps(chat_logprobs(chunk.logprobs)) if chunk.logprobs else "null"
            yield self._chunk(chunk.index, "{" + ",".join(delta) + "}", logprobs)
        if chunk.tool_calls or chunk.call_pieces:
            yield from self._calling(chunk)
        if chunk.finish_reason is not None:
            ended = self._finish(chunk.finish_reason, chunk.index in self._calls)
            yield self._chunk(chunk.index, "{}", finish=f'"{ended}"')

    def whole(self, chunks: Sequence[Chunk]) -> dict[str, Any]:
        """The complete answer."""
        return {
            **self._head("chat.completion"),
            "choices": [
                {
                    "index": index,
                    "message": self._message(one),
                    "logprobs": chat_logprobs(one.logprobs) if one.logprobs else None,
                    "finish_reason": self._finish(one.finish_reason, bool(one.tool_calls)),
                }
                for index, one in enumerate(base.choices(chunks))
            ],
            "usage": common.usage(base.usage_of(chunks)),
        }

    # -- inside --------------------------------------------------------------------------------

    def _head(self, kind: str) -> dict[str, Any]:
        about = self._about
        return {"id": f"chatcmpl-{about.id}", "object": kind, "created": about.created,
                "model": about.model, "system_fingerprint": about.answered}  # fmt: skip

    def _chunk(
        self, index: int, delta: str, logprobs: str = "null", finish: str = "null"
    ) -> Event:
        return Event(
            f'{self._before}{index},"delta":{delta},"logprobs":{logprobs},'
            f'"finish_reason":{finish}{self._after}'
        )

    def _calling(self, chunk: Chunk) -> Iterator[Event]:
        """As OpenAI has it: a call begins with its name and no arguments, of which pieces follow.
        """
        calling = self._calls.get(chunk.index)
        if calling is None:
            calling = Calling(only_one=self._one_call or self._older)
            self._calls[chunk.index] = calling
        for number, call, begins in calling.pieces(chunk):
            if begins:
                empty = ToolCall(call.id, call.name, "")
                yield self._called(chunk.index, number, _call(empty))
            if call.arguments:
                yield self._called(
                    chunk.index, number, {"function": {"arguments": call.arguments}}
                )

    def _called(self, index: int, number: int, said: Mapping[str, Any]) -> Event:
        found: Mapping[str, Any] = {"tool_calls": [{"index": number, **said}]}
        if self._older:
            found = {"function_call": said["function"]}
        return self._chunk(index, common.dumps(found))

    def _message(self, one: base.Choice) -> dict[str, Any]:
        text = self._begun + one.text
        found: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if one.reasoning and self._thinks:
            found["reasoning_content"] = one.reasoning
        if one.tool_calls:
            found["content"] = text or None
            calls = one.tool_calls[:1] if self._one_call else one.tool_calls
            if self._older:
                found["function_call"] = _function(calls[0])
            else:
                found["tool_calls"] = [_call(call) for call in calls]
        return found

    def _finish(self, reason: str | None, called: bool) -> str:
        if reason == "tool_calls" and self._older and called:
            return "function_call"
        return common.finish(reason)


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": _function(call)}


def _function(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments}
