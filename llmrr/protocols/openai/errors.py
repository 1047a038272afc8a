"""An error as OpenAI's clients read it."""

from typing import Any

from llmrr.errors import ContextOverflow, FeatureMissing, NotFound, OverBudget, RateLimited
from llmrr.protocols import base


def error(error: BaseException, status: int) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    code: str | None = getattr(error, "code", None)
    message = base.message_of(error)
    counts: dict[str, int] = {}
    kind = "invalid_request_error" if status < 500 else "server_error"
    if isinstance(error, NotFound) and status < 500:
        code = code or "model_not_found"
    elif isinstance(error, ContextOverflow):
        code = "context_length_exceeded"
        message, counts = _overflow(error, message)
    elif isinstance(error, OverBudget):
        kind = code = "insufficient_quota"
    elif isinstance(error, RateLimited) or status == 429:
        kind, code = "rate_limit_error", "rate_limit_exceeded"
    elif status == 401:
        kind, code = "authentication_error", "invalid_api_key"
    elif status == 403:
        kind, code = "permission_error", code or "permission_denied"
    param = getattr(error, "param", None)
    if isinstance(error, FeatureMissing) and param:
        code = "unsupported_parameter"
    told = {"message": message, "type": kind, "param": param, "code": code, **counts}
    return {"error": told}


def _overflow(error: ContextOverflow, message: str) -> tuple[str, dict[str, int]]:
    """In the words that clients look for, to shorten a prompt or to ask a model with more room;
    with the figures as llama-server has them, where they are known."""
    if error.tokens is None or error.limit is None:
        return f"This model's maximum context length is exceeded: {message}", {}
    said = f"This model's maximum context length is {error.limit} tokens. However, the {error.what}"
    said += f" has {error.tokens} tokens" + (f": {error.hint}" if error.hint else "")
    return said, {"n_prompt_tokens": error.tokens, "n_ctx": error.limit}
