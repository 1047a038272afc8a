"""The protocols of Anthropic, Google, Cohere, Ollama and Bedrock on loopback."""

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from provider_servers import KEY, MODEL, Said, Server, sse


class AnthropicServer(Server):
    """Messages."""

    def key_of(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("x-api-key") or super().key_of(headers)  # newer clients: a bearer

    def error(self, status: int, code: str, message: str) -> Any:
        error = {"type": code or "api_error", "message": message}
        return {"type": "error", "error": error, "request_id": "req_1"}

    def knows(self, path: str, body: Any) -> bool:
        return super().knows(path, body) and path.partition("?")[0] == "/v1/messages"

    def complaint(self, path: str, body: Any) -> str | None:
        if not isinstance(body.get("max_tokens"), int):
            return "max_tokens: Field required"
        known = {"model", "messages", "max_tokens", "system", "stream", "temperature", "top_p",
                 "top_k", "stop_sequences", "tools", "tool_choice", "thinking", "output_config",
                 "metadata"}  # fmt: skip
        if extra := set(body) - known:
            return f"{min(extra)}: Extra inputs are not permitted"
        roles = [one["role"] for one in body["messages"]]
        if not roles or roles[0] != "user" or set(roles) - {"user", "assistant"}:
            return "messages: a role is wrong"
        thinking = body.get("thinking") or {}
        if thinking.get("budget_tokens", 0) >= body["max_tokens"]:
            return "max_tokens must be greater than thinking.budget_tokens"
        return None

    def message(self, said: Said) -> dict[str, Any]:
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL,
                "content": [], "stop_reason": None, "stop_sequence": None,
                "usage": {"input_tokens": 5, "cache_read_input_tokens": 4,
                          "cache_creation_input_tokens": 2, "output_tokens": 1}}  # fmt: skip

    def whole(self, path: str, body: Any, said: Said) -> Any:
        message = self.message(said)
        message["content"] = [{"type": "text", "text": "".join(said.text)}]
        for identity, name, arguments in said.calls:
            block = {"type": "tool_use", "id": identity, "name": name}
            message["content"].append({**block, "input": json.loads(arguments)})
        message["usage"]["output_tokens"] = 3
        return message | {"stop_reason": _stop_reason(said)}

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        yield self._event("message_start", message=self.message(said))
        yield self._event("ping")
        place = 0
        if said.reasoning:
            block = {"type": "thinking", "thinking": "", "signature": ""}
            yield self._event("content_block_start", index=place, content_block=block)
            for thought in said.reasoning:
                yield self._delta(place, type="thinking_delta", thinking=thought)
            yield self._delta(place, type="signature_delta", signature="c2ln")
            yield self._event("content_block_stop", index=place)
            place += 1
        if said.text:
            block = {"type": "text", "text": ""}
            yield self._event("content_block_start", index=place, content_block=block)
            for text in said.text:
                yield self._delta(place, type="text_delta", text=text)
            yield self._event("content_block_stop", index=place)
            place += 1
        for identity, name, arguments in said.calls:
            block = {"type": "tool_use", "id": identity, "name": name, "input": {}}  # type: ignore[dict-item]
            yield self._event("content_block_start", index=place, content_block=block)
            for piece in ("", arguments[:5], arguments[5:]):
                yield self._delta(place, type="input_json_delta", partial_json=piece)
            yield self._event("content_block_stop", index=place)
            place += 1
        delta = {"stop_reason": _stop_reason(said), "stop_sequence": None}
        usage = {"output_tokens": 3, "output_tokens_details": {"thinking_tokens": 1}}
        yield self._event("message_delta", delta=delta, usage=usage)
        yield self._event("message_stop")

    def _delta(self, place: int, **delta: Any) -> bytes:
        return self._event("content_block_delta", index=place, delta=delta)

    def _event(self, kind: str, **more: Any) -> bytes:
        return sse({"type": kind, **more}, kind)


def _stop_reason(said: Said) -> str:
    known = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
    return known.get(said.finish, said.finish)


class OllamaServer(Server):
    """Ollama's own interface, behind something that wants a key."""

    stream_type = "application/x-ndjson"

    def error(self, status: int, code: str, message: str) -> Any:
        return {"error": message}

    def knows(self, path: str, body: Any) -> bool:
        known = ("/api/chat", "/api/generate", "/api/embed")
        return super().knows(path, body) and path in known

    def streams(self, path: str, body: Any) -> bool:
        return path != "/api/embed" and body.get("stream", True) is not False

    def complaint(self, path: str, body: Any) -> str | None:
        for message in body.get("messages", ()):
            for call in message.get("tool_calls", ()):
                if not isinstance(call["function"]["arguments"], dict):
                    return "cannot unmarshal string into field arguments"
        return None

    def whole(self, path: str, body: Any, said: Said) -> Any:
        if path == "/api/embed":
            texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
            vectors = [[float(len(text)), 1.0, 0.0] for text in texts]
            return {"model": MODEL, "embeddings": vectors, "prompt_eval_count": 2}
        message = {"role": "assistant", "content": "".join(said.text)}
        return self._line(message, done=True, **self._end(said))

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        for thought in said.reasoning:
            message = {"role": "assistant", "content": "", "thinking": thought}
            yield self._sent(self._line(message))
        for text in said.text:
            if path == "/api/generate":
                line = {"model": MODEL, "created_at": CREATED, "response": text, "done": False}
                yield self._sent(line)
                continue
            line = self._line({"role": "assistant", "content": text})
            if said.logprobs:
                top = [{"token": text, "logprob": -0.5}, {"token": "x", "logprob": -2.0}]
                line["logprobs"] = [{"token": text, "logprob": -0.5, "top_logprobs": top}]
            yield self._sent(line)
        if said.calls:
            calls = [
                {"function": {"name": name, "arguments": json.loads(arguments)}}
                for _, name, arguments in said.calls
            ]
            message = {"role": "assistant", "content": "", "tool_calls": calls}  # type: ignore[dict-item]
            yield self._sent(self._line(message))
        if path == "/api/generate":
            last = {"model": MODEL, "created_at": CREATED, "response": "", "done": True}
            yield self._sent(last | self._end(said))
        else:
            message = {"role": "assistant", "content": ""}
            yield self._sent(self._line(message, done=True, **self._end(said)))

    def _line(self, message: Any, done: bool = False, **more: Any) -> dict[str, Any]:
        return {"model": MODEL, "created_at": CREATED, "message": message, "done": done, **more}

    def _end(self, said: Said) -> dict[str, Any]:
        reason = {"done_reason": "length" if said.finish == "length" else "stop"}
        counts = {"prompt_eval_count": 11, "eval_count": 3} if said.usage else {}
        return {**reason, "total_duration": 5, "load_duration": 1, **counts}

    def _sent(self, line: Any) -> bytes:
        return json.dumps(line).encode() + b"\n"


CREATED = "2026-01-01T00:00:00.000000Z"


class GoogleServer(Server):
    """Gemini's ``generateContent`` and its kin."""

    def key_of(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("x-goog-api-key") or super().key_of(headers)

    def error(self, status: int, code: str, message: str) -> Any:
        names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED",
                 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}  # fmt: skip
        return {"error": {"code": status, "message": message,
                          "status": names.get(status, "INTERNAL")}}  # fmt: skip

    def knows(self, path: str, body: Any) -> bool:
        return f"/models/{MODEL}:" in path

    def streams(self, path: str, body: Any) -> bool:
        return ":streamGenerateContent?alt=sse" in path

    def complaint(self, path: str, body: Any) -> str | None:
        known = {"contents", "systemInstruction", "generationConfig", "tools", "toolConfig",
                 "safetySettings", "requests", "instances", "parameters"}  # fmt: skip
        if extra := set(body) - known:
            return f'Invalid JSON payload received. Unknown name "{min(extra)}"'
        roles = {one.get("role", "user") for one in body.get("contents", ())}
        if roles - {"user", "model"}:
            return "Please use a valid role: user, model."
        return None

    def usage(self, said: Said) -> Any:
        return {"promptTokenCount": 11, "candidatesTokenCount": 2, "thoughtsTokenCount": 1,
                "totalTokenCount": 14, "cachedContentTokenCount": 4}  # fmt: skip

    def whole(self, path: str, body: Any, said: Said) -> Any:
        if ":batchEmbedContents" in path:
            texts = ["".join(part["text"] for part in one["content"]["parts"])
                     for one in body["requests"]]  # fmt: skip
            return {"embeddings": [{"values": [float(len(text)), 1.0, 0.0]} for text in texts]}
        if path.endswith(":predict"):  # of Vertex AI
            texts = [one["content"] for one in body["instances"]]
            return {"predictions": [
                {"embeddings": {"values": [float(len(text)), 1.0, 0.0],
                                "statistics": {"truncated": False, "token_count": 2}}}
                for text in texts
            ]}  # fmt: skip
        parts = [{"text": "".join(said.text)}] if said.text else []
        return self._event_body(parts + self._calls(said), said, _google_reason(said))

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        parts: list[Any] = [{"text": thought, "thought": True} for thought in said.reasoning]
        parts += [{"text": text} for text in said.text]
        parts += self._calls(said)
        for number in range(len(parts)):
            last = number == len(parts) - 1
            reason = _google_reason(said) if last else None
            for index in range((body.get("generationConfig") or {}).get("candidateCount", 1)):
                yield sse(self._event_body([parts[number]], said, reason, index))

    def _calls(self, said: Said) -> list[Any]:
        return [
            {"functionCall": {"name": name, "args": json.loads(arguments)},
             "thoughtSignature": "c2ln"}
            for _, name, arguments in said.calls
        ]  # fmt: skip

    def _event_body(
        self, parts: Any, said: Said, reason: str | None, index: int = 0
    ) -> dict[str, Any]:
        candidate = {"content": {"role": "model", "parts": parts}, "index": index}
        if said.logprobs and "text" in parts[0]:
            text = parts[0]["text"]
            tops = [{"token": text, "logProbability": -0.5}, {"token": "x", "logProbability": -2}]
            candidate["logprobsResult"] = {
                "chosenCandidates": tops[:1], "topCandidates": [{"candidates": tops}]
            }  # fmt: skip
        if reason:
            candidate["finishReason"] = reason
        usage = {"usageMetadata": self.usage(said)} if said.usage else {}
        return {"candidates": [candidate], "modelVersion": MODEL, **usage}


def _google_reason(said: Said) -> str:
    known = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}
    return known.get(said.finish, said.finish)


class CohereServer(Server):
    """Cohere's chat and embed, second version."""

    def error(self, status: int, code: str, message: str) -> Any:
        return {"id": "e1", "message": message}

    def knows(self, path: str, body: Any) -> bool:
        return super().knows(path, body) and path in ("/v2/chat", "/v2/embed")

    def complaint(self, path: str, body: Any) -> str | None:
        if path == "/v2/embed" and not {"input_type", "texts"} <= set(body):
            return "input_type and texts are needed"
        return None

    def usage(self) -> Any:
        return {"billed_units": {"input_tokens": 9, "output_tokens": 3},
                "tokens": {"input_tokens": 11, "output_tokens": 3}, "cached_tokens": 4}  # fmt: skip

    def whole(self, path: str, body: Any, said: Said) -> Any:
        if path == "/v2/embed":
            vectors = [[float(len(text)), 1.0, 0.0] for text in body["texts"]]
            return {"id": "e1", "response_type": "embeddings_by_type", "texts": body["texts"],
                    "embeddings": {"float": vectors}, "meta": {}}  # fmt: skip
        content = [{"type": "text", "text": "".join(said.text)}]
        message = {"role": "assistant", "content": content}
        return {"id": "c1", "finish_reason": _cohere_reason(said), "message": message,
                "usage": self.usage()}  # fmt: skip

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
        yield sse({"id": "c1", "type": "message-start", "delta": {"message": empty}})
        place = 0
        for kind, pieces in (("thinking", said.reasoning), ("text", said.text)):
            if not pieces:
                continue
            yield self._event("content-start", place, content={"type": kind, kind: ""})
            for piece in pieces:
                yield self._event("content-delta", place, content={kind: piece})
            yield sse({"type": "content-end", "index": place})
            place += 1
        for at, (identity, name, arguments) in enumerate(said.calls):
            call = {"id": identity, "type": "function", "function": {"name": name, "arguments": ""}}
            yield self._event("tool-call-start", at, tool_calls=call)
            for piece in (arguments[:5], arguments[5:]):
                part = {"function": {"arguments": piece}}
                yield self._event("tool-call-delta", at, tool_calls=part)
            yield sse({"type": "tool-call-end", "index": at})
        end = {"finish_reason": _cohere_reason(said), "usage": self.usage()}
        yield sse({"id": "c1", "type": "message-end", "delta": end})

    def _event(self, kind: str, index: int, **message: Any) -> bytes:
        return sse({"type": kind, "index": index, "delta": {"message": message}})


def _cohere_reason(said: Said) -> str:
    known = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}
    return known.get(said.finish, said.finish)


TITAN = "amazon.titan-embed-text-v2:0"
COHERE = "us.cohere.embed-v4:0"


class BedrockServer(Server):
    """Bedrock's converse, whose events are frames of bytes, and the vectors of two families."""

    stream_type = "application/vnd.amazon.eventstream"

    def key_of(self, headers: Mapping[str, str]) -> str | None:
        signed = headers.get("authorization", "")
        right = signed.startswith("AWS4-HMAC-SHA256 Credential=right/")
        return KEY if right and "Signature=" in signed else signed

    def error(self, status: int, code: str, message: str) -> Any:
        return {"message": message}

    def knows(self, path: str, body: Any) -> bool:
        if path.endswith("/invoke"):
            return unquote(path) in (f"/model/{TITAN}/invoke", f"/model/{COHERE}/invoke")
        return path in (f"/model/{MODEL}/converse-stream", f"/model/{MODEL}/converse")

    def streams(self, path: str, body: Any) -> bool:
        return path.endswith("-stream")

    def whole(self, path: str, body: Any, said: Said) -> Any:
        """The vectors of a model that makes them, in the form of its family."""
        if "titan" in path:
            vector = [float(len(body["inputText"])), 1.0, 0.0]
            return {"embedding": vector, "inputTextTokenCount": 2}
        vectors = [[float(len(text)), 1.0, 0.0] for text in body["texts"]]
        return {"id": "v1", "response_type": "embeddings_by_type", "texts": body["texts"],
                "embeddings": {"float": vectors}}  # fmt: skip

    def complaint(self, path: str, body: Any) -> str | None:
        if path.endswith("/invoke"):
            needed = {"inputText"} if "titan" in path else {"texts", "input_type"}
            lacks = needed - set(body) or len(body.get("texts", ())) > 96
            return "Malformed input request" if lacks else None
        roles = [one["role"] for one in body["messages"]]
        return None if roles and roles[0] == "user" else "A conversation must start with a user"

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        yield aws_frame("messageStart", {"role": "assistant"})
        place = 0
        for thought in said.reasoning:
            delta = {"reasoningContent": {"text": thought}}
            yield self._delta(place, delta)
        if said.reasoning:
            yield self._delta(place, {"reasoningContent": {"signature": "c2ln"}})
            place += 1
        for text in said.text:
            yield self._delta(place, {"text": text})
        place += bool(said.text)
        for identity, name, arguments in said.calls:
            start = {"toolUse": {"toolUseId": identity, "name": name}}
            yield aws_frame("contentBlockStart", {"start": start, "contentBlockIndex": place})
            for piece in (arguments[:5], arguments[5:]):
                yield self._delta(place, {"toolUse": {"input": piece}})
            place += 1
        yield aws_frame("messageStop", {"stopReason": _stop_reason(said)})
        usage = {"inputTokens": 5, "cacheReadInputTokens": 4, "cacheWriteInputTokens": 2,
                 "outputTokens": 3, "totalTokens": 14}  # fmt: skip
        yield aws_frame("metadata", {"usage": usage, "metrics": {"latencyMs": 1}})

    def _delta(self, place: int, delta: Any) -> bytes:
        return aws_frame("contentBlockDelta", {"delta": delta, "contentBlockIndex": place})


def aws_frame(name: str, document: Any, kind: str = "event") -> bytes:
    """A message of vnd.amazon.eventstream: lengths, checksums, headers, JSON. ``kind`` is event or
    exception."""
    headers = b""
    for key, value in (
        (f":{kind}-type", name), (":content-type", "application/json"), (":message-type", kind),
    ):  # fmt: skip
        raw = value.encode()
        headers += bytes([len(key)]) + key.encode() + b"\7" + len(raw).to_bytes(2, "big") + raw
    payload = json.dumps(document).encode()
    total = 12 + len(headers) + len(payload) + 4
    prelude = total.to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    prelude += zlib.crc32(prelude).to_bytes(4, "big")
    message = prelude + headers + payload
    return message + zlib.crc32(message).to_bytes(4, "big")
