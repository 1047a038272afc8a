"""An error as OpenAI's clients read it."""

from typing import Any

from llmrr.errors import ContextOverflow, NotFound, OverBudget, RateLimited
from llmrr.protocols import base


def error(error: BaseException, status: int) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    code: str | None = getattr(error, "code", None)
    kind = "invalid_request_error" if status < 500 else "server_error"
    if isinstance(error, NotFound) and status < 500:
        code = code or "model_not_found"
    elif isinstance(error, ContextOverflow):
        code = "context_length_exceeded"
    elif isinstance(error, OverBudget):
        kind = code = "insufficient_quota"
    elif isinstance(error, RateLimited) or status == 429:
        kind, code = "rate_limit_error", "rate_limit_exceeded"
    elif status == 401:
        kind, code = "authentication_error", "invalid_api_key"
    elif status == 403:
        kind, code = "permission_error", code or "permission_denied"
    param = getattr(error, "param", None)
    told = {"message": base.message_of(error), "type": kind, "param": param, "code": code}
    return {"error": told}
