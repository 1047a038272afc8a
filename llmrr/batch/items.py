"""What a line asks: OpenAI's form of a line of a batch, or a short one.

https://platform.openai.com/docs/api-reference/batch/request-input
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from llmrr.batch.lines import LONGEST, Line
from llmrr.jsonflaws import flaw

CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
EMBEDDINGS: Final = "/v1/embeddings"
RESPONSES: Final = "/v1/responses"
URLS: Final = (CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES)

_OWN: Final = ("custom_id", "method", "url", "body")


class Item(NamedTuple):
    """A request: where its line stands, the id that it is told by, and what is sent where."""

    at: int
    number: int
    custom_id: str
    url: str
    body: dict[str, Any]


class Fault(NamedTuple):
    """A line that asks nothing, and why."""

    at: int
    number: int
    custom_id: str | None
    code: str
    message: str


class Defaults(NamedTuple):
    """What holds for every line: ``model`` in place of its own, the rest where it states nothing.
    """

    model: str | None = None
    system: str | None = None
    params: Mapping[str, Any] = {}

    def applied(self, item: Item) -> Item:
        """The request with these."""
        body = dict(item.body)
        if self.model is not None:
            body["model"] = self.model
        if item.url != EMBEDDINGS:
            self._complete(body, item.url)
        return item._replace(body=body)

    def _complete(self, body: dict[str, Any], url: str) -> None:
        limits = ("max_tokens", "max_completion_tokens", "max_output_tokens")
        for name, value in self.params.items():
            if name != "max_tokens":
                body.setdefault(name, value)
            elif not any(body.get(limit) is not None for limit in limits):
                body["max_output_tokens" if url == RESPONSES else name] = value
        if self.system is None:
            return
        if url == RESPONSES:
            body.setdefault("instructions", self.system)
        elif url == CHAT and not any(map(_instructs, _turns(body))):
            body["messages"] = [{"role": "system", "content": self.system}, *_turns(body)]


def parse(line: Line) -> Item | Fault:
    """What a line asks."""

    def fault(code: str, message: str, custom_id: object = None) -> Fault:
        known = custom_id if isinstance(custom_id, str) else None
        return Fault(line.at, line.number, known, code, f"line {line.number}: {message}")

    if line.data is None:
        return fault("line_too_long", f"it is longer than {LONGEST >> 20} MiB")
    try:
        found = json.loads(line.data.decode(), parse_constant=_no_number)
    except _NoNumber as error:
        return fault("invalid_json_line", str(error))
    except (ValueError, RecursionError) as error:
        return fault("invalid_json_line", f"it is no JSON: {flaw(error)}")
    if not isinstance(found, dict):
        return fault("invalid_json_line", "it is no object")
    name = found.get("custom_id")
    if "url" not in found and "body" not in found:
        short = _short(found)
        if short is None:
            missing = "it has neither url and body, nor messages, prompt or input"
            return fault("missing_required_parameter", missing, name)
        if name is not None and not isinstance(name, str):
            return fault("invalid_type", "custom_id is no text")
        return Item(line.at, line.number, name or f"line-{line.number}", *short)
    if code := _wrong(found):
        return fault(*code, name)
    return Item(line.at, line.number, found["custom_id"], found["url"], found["body"])


def _wrong(found: Mapping[str, Any]) -> tuple[str, str] | None:
    """The code and the words for what is wrong with a line of OpenAI's form."""
    for name in ("custom_id", "url", "body"):
        if found.get(name) is None:
            return "missing_required_parameter", f"it has no {name}"
    if not isinstance(found["custom_id"], str):
        return "invalid_type", "custom_id is no text"
    if not isinstance(found["body"], dict):
        return "invalid_type", "body is no object"
    if found.get("method", "POST") != "POST":
        return "invalid_method", f"method is {shown(found['method'])}, and only POST is known"
    if found["url"] not in URLS:
        return "invalid_url", f"url is {shown(found['url'])}; known are {', '.join(URLS)}"
    return None


def _short(found: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The url and the body of a line that is the body itself."""
    body = {name: value for name, value in found.items() if name not in _OWN}
    if "messages" in body:
        return CHAT, body
    if isinstance(body.get("prompt"), str):  # a prompt for a model that chats, as of `llmrr run`
        content = body.pop("prompt")
        return CHAT, {"messages": [{"role": "user", "content": content}], **body}
    return (EMBEDDINGS, body) if "input" in body else None


def _turns(body: Mapping[str, Any]) -> list[Any]:
    turns = body.get("messages")
    return turns if isinstance(turns, list) else []


def _instructs(turn: object) -> bool:
    return isinstance(turn, dict) and turn.get("role") in ("system", "developer")


class _NoNumber(ValueError):
    pass


def _no_number(text: str) -> None:
    raise _NoNumber(f"{text} is no number of JSON")


def shown(value: object) -> str:
    """What stands in a line, short."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"
