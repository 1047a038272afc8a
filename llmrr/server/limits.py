"""What a request may ask for."""

from dataclasses import replace
from typing import NamedTuple

from llmrr.choosing.wishes import needs_of
from llmrr.errors import ContextOverflow, InvalidRequest
from llmrr.types import Request


class Limits(NamedTuple):
    """What of ``[serve]`` is asked for at every request."""

    max_queue: int
    max_body: int
    timeout: float
    max_tokens: int | None
    max_prompt_tokens: int | None


def limited(request: Request, limits: Limits) -> Request:
    """The request, where it asks for no more than it may."""
    if (most := limits.max_prompt_tokens) is not None:
        tokens = len(request.tokens or ()) or needs_of(request).tokens
        if tokens > most:
            raise ContextOverflow(
                f"the prompt has about {tokens:,} tokens, and may have {most:,}", "a shorter one"
            )
    if (most := limits.max_tokens) is not None:
        wanted = request.sampling.max_tokens
        if wanted is not None and wanted > most:
            raise InvalidRequest(f"max_tokens = {wanted} is more than this server gives", f"{most}")
        sampling = replace(request.sampling, max_tokens=most if wanted is None else wanted)
        request = replace(request, sampling=sampling)
    return request
