"""Older call shapes over the router, for programs that move here."""

from collections.abc import Iterator

from llmrr.choosing.turns import Prompt
from llmrr.router import Router


class Legacy:
    """The calls of what was there before: positional, with plain text out.

    >>> with Router(models=[{"name": "small", "source": "builtin:mini"}]) as router:
    ...     Legacy(router).generate("What is the capital of France?", 20, 0)
    'The capital of France is Paris.'
    """

    def __init__(self, router: Router) -> None:
        self.router = router

    def generate(self, prompt: Prompt, max_tokens: int = 100, temperature: float = 0.7) -> str:
        """The text of an answer."""
        result = self.router.generate(prompt, max_tokens=max_tokens, temperature=temperature)
        return result.text

    def generate_stream(
        self, prompt: Prompt, max_tokens: int = 100, temperature: float = 0.7
    ) -> Iterator[str]:
        """The text of an answer as it comes."""
        return self.router.generate_stream(
            prompt, max_tokens=max_tokens, temperature=temperature
        )
