"""The list of models as Anthropic's clients read it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any


def models(found: Iterable[tuple[str, float]]) -> dict[str, Any]:
    """All of them, in one page: names, and since when they are there in epoch seconds."""
    data = [model(name, created) for name, created in found]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}


def model(name: str, created: float) -> dict[str, Any]:
    """One of them."""
    at = datetime.fromtimestamp(int(created), UTC).isoformat().replace("+00:00", "Z")
    return {"type": "model", "id": name, "display_name": name, "created_at": at}
