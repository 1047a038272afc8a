"""Which models there are: https://platform.openai.com/docs/api-reference/models"""

from collections.abc import Iterable
from typing import Any


def model(name: str, created: int, owner: str = "llmrr") -> dict[str, Any]:
    """One of them; ``created`` is when it came, in epoch seconds, ``owner`` whose it is."""
    return {"id": name, "object": "model", "created": created, "owned_by": owner}


def models(found: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """All of them."""
    return {"object": "list", "data": list(found)}
