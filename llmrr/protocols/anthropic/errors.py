"""An error as Anthropic's clients read it. https://docs.anthropic.com/en/api/errors"""

from typing import Any, Final

from llmrr.errors import ContextOverflow
from llmrr.protocols import base
from llmrr.protocols.fields import BadField

_TYPES: Final = {
    401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error",
    503: "overloaded_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip


def error(error: BaseException, status: int) -> dict[str, Any]:
    """An error as Anthropic's clients read it.

    >>> from llmrr.errors import UsageError
    >>> error(UsageError("no"), 400)
    {'type': 'error', 'error': {'type': 'invalid_request_error', 'message': 'no'}}
    """
    usual = "invalid_request_error" if status < 500 else "api_error"
    message = base.message_of(error)
    if isinstance(error, ContextOverflow):
        message = f"prompt is too long: {message}"  # what clients look for, to shorten it
    told: dict[str, Any] = {"type": _TYPES.get(status, usual), "message": message}
    if isinstance(error, BadField) and error.param == "thread":
        told["details"] = {"error_code": error.code}
    return {"type": "error", "error": told}
