"""What stands around an answer: JSON as a response, and in its headers what the router knows."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from llmrr.protocols.base import Answered
from llmrr.server.streaming import dumps
from llmrr.server.whereabouts import has_path

_LONGEST: Final = 200  # characters of a reason
_PLAIN: Final = re.compile(r"[ -$&-~]*").fullmatch  # ASCII, but for %


def as_json(data: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A response that is JSON."""
    body = dumps(data).encode(errors="replace")
    return Response(body, media_type="application/json", headers=headers)


def headers(about: Answered) -> dict[str, str]:
    """Which model answers and, where it was chosen, how and why; that its answer was kept; what of
    the request was left out.

    >>> headers(Answered("12", 0, "auto", "größer", {"strategy": "balanced", "why": ""}))
    {'x-request-id': 'req_12', 'x-llmrr-model': 'gr%C3%B6%C3%9Fer', 'x-llmrr-strategy': 'balanced'}
    """
    decision = about.decision or {}
    why = decision.get("why")
    found = {
        "x-request-id": f"req_{about.id}",
        "x-llmrr-model": about.answered,
        "x-llmrr-strategy": decision.get("strategy"),
        "x-llmrr-why": None if why and has_path(why) else why,
        "x-llmrr-cache": about.cache,
        "x-llmrr-left-out": ", ".join(about.left_out),
    }
    return {name: plain(value) for name, value in found.items() if value}


def plain(text: str) -> str:
    """A text as a header may hold it: what is not ASCII is written as in an address."""
    if len(text) <= _LONGEST and _PLAIN(text):  # as most are
        return text
    return quote(text[:_LONGEST], safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~", errors="replace")
