"""Older call shapes over the router, for programs that move here."""

from collections.abc import Iterator, Mapping
from typing import Any

from llmrr.choosing import stating
from llmrr.choosing.turns import Prompt
from llmrr.errors import InvalidRequest
from llmrr.router import Router


class Legacy:
    """The calls of what was there before: positional, with plain text out. What else is stated by
    name is as ``Router.generate`` takes it, ``maxTokens`` too.

    >>> with Router(models=[{"name": "small", "source": "builtin:mini"}]) as router:
    ...     Legacy(router).generate("What is the capital of France?", 20, 0)
    'The capital of France is Paris.'
    """

    def __init__(self, router: Router) -> None:
        if not isinstance(router, Router):
            said = f"Legacy takes a Router, and {router!r:.60} is none"
            raise InvalidRequest(said, "Legacy(router)")
        self.router = router

    def generate(
        self, prompt: Prompt, max_tokens: int = 100, temperature: float = 0.7, **stated: Any
    ) -> str:
        """The text of an answer."""
        return self.router.generate(prompt, _asked(max_tokens, temperature, stated)).text

    def generate_stream(
        self, prompt: Prompt, max_tokens: int = 100, temperature: float = 0.7, **stated: Any
    ) -> Iterator[str]:
        """The text of an answer as it comes."""
        asked = _asked(max_tokens, temperature, stated, streams=True)
        return self.router.generate_stream(prompt, asked)


def _asked(
    max_tokens: int, temperature: float, stated: Mapping[str, Any], *, streams: bool = False
) -> dict[str, Any]:
    named = stating.named(stated, streams=streams)
    return {"max_tokens": max_tokens, "temperature": temperature, **named}
