"""OpenAI's protocols on loopback, and Azure's form of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from provider_servers import MODEL, Said, Server, sse


class OpenAIServer(Server):
    """Chat completions, completions and embeddings."""

    def knows(self, path: str, body: Any) -> bool:
        known = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
        return super().knows(path, body) and path.partition("?")[0] in known

    def complaint(self, path: str, body: Any) -> str | None:
        for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1)):
            if name in body and not low <= body[name] <= high:
                return f"'{name}' must be from {low} to {high}"
        if path.startswith("/v1/chat/completions"):
            for message in body["messages"]:
                if message["role"] not in ("system", "developer", "user", "assistant", "tool"):
                    return "a role is wrong"
        return None

    def whole(self, path: str, body: Any, said: Said) -> Any:
        if path.endswith("/embeddings"):
            texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
            data = [
                {"object": "embedding", "index": at, "embedding": [float(len(text)), 1.0, 0.0]}
                for at, text in enumerate(texts)
            ]
            usage = {"prompt_tokens": 3, "total_tokens": 3}
            # The order of the list is not that of the texts.
            return {"object": "list", "data": data[::-1], "model": MODEL, "usage": usage}
        message: dict[str, Any] = {"role": "assistant", "content": "".join(said.text)}
        if said.calls:
            message["tool_calls"] = [_call(one) for one in said.calls]
        choices = [
            {"index": index, "message": message, "finish_reason": said.finish, "logprobs": None}
            for index in range(body.get("n", 1))
        ]
        return {"id": "c1", "object": "chat.completion", "created": 1, "model": MODEL,
                "choices": choices, "usage": self.usage()}  # fmt: skip

    def usage(self) -> dict[str, Any]:
        return {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 1}}  # fmt: skip

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        if not path.endswith("/chat/completions"):
            for text in said.text:
                yield self._event([{"index": 0, "text": text, "finish_reason": None}])
            yield self._event([{"index": 0, "text": "", "finish_reason": said.finish}])
            return
        choices = range(body.get("n", 1))
        for index in choices:
            yield self._event([self._choice(index, {"role": "assistant", "content": ""})])
        for thought in said.reasoning:
            yield self._event([self._choice(0, {"reasoning_content": thought})])
        for text in said.text:
            for index in choices:
                logprobs = _logprobs(text) if said.logprobs else None
                yield self._event([self._choice(index, {"content": text}, logprobs=logprobs)])
        if said.refusal:
            yield self._event([self._choice(0, {"refusal": said.refusal})])
        for place, call in enumerate(said.calls):
            whole = _call(call)
            text = whole["function"].pop("arguments")
            whole["function"]["arguments"] = ""
            yield self._event([self._choice(0, {"tool_calls": [{"index": place, **whole}]})])
            for piece in (text[:4], text[4:]):
                part = {"index": place, "function": {"arguments": piece}}
                yield self._event([self._choice(0, {"tool_calls": [part]})])
        for index in choices:
            yield self._event([self._choice(index, {}, said.finish)])
        if said.usage and (body.get("stream_options") or {}).get("include_usage"):
            yield self._event([], self.usage())
        yield b"data: [DONE]\n\n"

    def _choice(
        self, index: int, delta: Any, finish: str | None = None, logprobs: Any = None
    ) -> Any:
        return {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}

    def _event(self, choices: list[Any], usage: Any = None) -> bytes:
        return sse({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
                    "choices": choices, "usage": usage})  # fmt: skip


def _call(call: tuple[str, str, str]) -> dict[str, Any]:
    identity, name, arguments = call
    return {
        "id": identity, "type": "function", "function": {"name": name, "arguments": arguments}
    }


def _logprobs(text: str) -> Any:
    top = [{"token": text, "logprob": -0.5, "bytes": None},
           {"token": "x", "logprob": -2.0, "bytes": None}]  # fmt: skip
    return {
        "content": [{"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": top}],
        "refusal": None,
    }


class AzureServer(OpenAIServer):
    """OpenAI's protocol below the address of a deployment."""

    def key_of(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("api-key")

    def error(self, status: int, code: str, message: str) -> Any:
        return {"error": {"code": code or str(status), "message": message}}

    def knows(self, path: str, body: Any) -> bool:
        start = f"/openai/deployments/{MODEL}/"
        name, _, query = path.removeprefix(start).partition("?")
        known = ("chat/completions", "completions", "embeddings")
        return path.startswith(start) and name in known and "api-version=20" in query

    def whole(self, path: str, body: Any, said: Said) -> Any:
        return super().whole(path.partition("?")[0], body, said)

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        filtered = [{"prompt_index": 0, "content_filter_results": {}}]
        yield sse({"id": "", "object": "", "created": 0, "model": "", "choices": [],
                   "prompt_filter_results": filtered})  # fmt: skip
        yield from super().events(path.partition("?")[0], body, said)


class ResponsesServer(OpenAIServer):
    """OpenAI's responses."""

    def knows(self, path: str, body: Any) -> bool:
        return bool(body.get("model") == MODEL) and path in ("/v1/responses", "/v1/embeddings")

    def complaint(self, path: str, body: Any) -> str | None:
        for item in body["input"] if path == "/v1/responses" else ():
            if "role" not in item and "call_id" not in item:
                return "input: an item is neither a message nor a call"
        return None

    def response(self, said: Said, status: str, output: Any = ()) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": "resp_1", "object": "response", "created_at": 1, "model": MODEL, "error": None,
            "status": status, "output": list(output), "parallel_tool_calls": True, "tools": [],
            "tool_choice": "auto", "incomplete_details": None, "usage": None, "metadata": {},
        }  # fmt: skip
        if status != "in_progress":
            found["usage"] = {
                "input_tokens": 11, "input_tokens_details": {"cached_tokens": 4},
                "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 1},
                "total_tokens": 14,
            }  # fmt: skip
        if status == "incomplete":
            reasons = {"length": "max_output_tokens"}
            found["incomplete_details"] = {"reason": reasons.get(said.finish, said.finish)}
        return found

    def whole(self, path: str, body: Any, said: Said) -> Any:
        if path.endswith("/embeddings"):
            return super().whole(path, body, said)
        return self.response(said, "completed", self._items(said))

    def _items(self, said: Said) -> list[Any]:
        content = {"type": "output_text", "text": "".join(said.text), "annotations": []}
        items: list[Any] = []
        if said.text:
            items.append({"id": "m1", "type": "message", "role": "assistant",
                          "status": "completed", "content": [content]})  # fmt: skip
        for identity, name, arguments in said.calls:
            items.append({"id": "f1", "type": "function_call", "call_id": identity, "name": name,
                          "arguments": arguments, "status": "completed"})  # fmt: skip
        return items

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        number = iter(range(1000))

        def event(kind: str, **more: Any) -> bytes:
            return sse({"type": kind, "sequence_number": next(number), **more}, kind)

        yield event("response.created", response=self.response(said, "in_progress"))
        for thought in said.reasoning:
            yield event("response.reasoning_summary_text.delta", item_id="r1", output_index=0,
                        summary_index=0, delta=thought)  # fmt: skip
        output = self._items(said)
        for place, item in enumerate(output):
            begun = {**item, "content": []} if item["type"] == "message" else item
            yield event("response.output_item.added", output_index=place, item=begun)
            if item["type"] == "message":
                where = {"item_id": "m1", "output_index": place, "content_index": 0}
                part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
                yield event("response.content_part.added", **where, part=part)
                for text in said.text:
                    top = [{"token": text, "logprob": -0.5}, {"token": "x", "logprob": -2.0}]
                    known = {"token": text, "logprob": -0.5, "top_logprobs": top}
                    logprobs = [known] if said.logprobs else []
                    yield event("response.output_text.delta", **where, delta=text,
                                logprobs=logprobs)  # fmt: skip
            yield event("response.output_item.done", output_index=place, item=item)
        if said.refusal:
            yield event("response.refusal.done", item_id="m1", output_index=0, content_index=0,
                        refusal=said.refusal)  # fmt: skip
        status = "completed" if said.finish in ("stop", "tool_calls") else "incomplete"
        yield event(f"response.{status}", response=self.response(said, status, output))
