"""The items that the output of a response has."""

from typing import Any

from llmrr.protocols.calling import is_cut
from llmrr.types import ToolCall


class Said:
    """A text that the model said."""

    prefix, event = "msg", "response.output_text"

    def __init__(self, id: str) -> None:
        self.id, self.text = id, ""
        self.logprobs: list[dict[str, Any]] = []

    def part(self, text: str) -> dict[str, Any]:
        """Its content."""
        logprobs = self.logprobs if text else []
        return {"type": "output_text", "annotations": [], "logprobs": logprobs, "text": text}

    def begun(self) -> dict[str, Any]:
        """When nothing of it has come."""
        return {"id": self.id, "type": "message", "status": "in_progress", "role": "assistant",
                "content": []}  # fmt: skip

    def whole(self) -> dict[str, Any]:
        """When all has."""
        return {**self.begun(), "status": "completed", "content": [self.part(self.text)]}


class Thought:
    """What the model thought before it answered."""

    prefix, event = "rs", "response.reasoning_text"

    def __init__(self, id: str) -> None:
        self.id, self.text = id, ""

    def part(self, text: str) -> dict[str, Any]:
        """Its content."""
        return {"type": "reasoning_text", "text": text}

    def begun(self) -> dict[str, Any]:
        """When nothing of it has come."""
        return {"id": self.id, "type": "reasoning", "status": "in_progress", "summary": [],
                "content": []}  # fmt: skip

    def whole(self) -> dict[str, Any]:
        """When all has."""
        return {**self.begun(), "status": "completed", "content": [self.part(self.text)]}


class Called:
    """A call of a function."""

    def __init__(self, id: str, call_id: str, name: str) -> None:
        self.id, self._call_id, self.name = id, call_id, name
        self.arguments = ""

    @property
    def call(self) -> ToolCall:
        """As far as it has come."""
        return ToolCall(self._call_id, self.name, self.arguments)

    def begun(self) -> dict[str, Any]:
        """Without its arguments."""
        return {"id": self.id, "type": "function_call", "status": "in_progress",
                "call_id": self._call_id, "name": self.name, "arguments": ""}  # fmt: skip

    def whole(self) -> dict[str, Any]:
        """With them; they may be cut."""
        status = "incomplete" if is_cut(self.call) else "completed"
        return {**self.begun(), "status": status, "arguments": self.arguments}


Item = Said | Thought | Called
