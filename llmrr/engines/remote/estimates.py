"""How many tokens a text has, where only its provider knows: a guess, marked as such."""

from llmrr.types import Request

BYTES_PER_TOKEN = 4  # of English in the vocabularies of today
IMAGE_TOKENS = 500  # of one image: between what a small and a large one takes
TURN_TOKENS = 4  # what stands around each turn


def tokens_of(text: str) -> int:
    """About how many tokens a text has.

    >>> tokens_of(""), tokens_of("Hello, world!")
    (0, 4)
    """
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def prompt_tokens(request: Request) -> int:
    """About how many tokens a request has."""
    if request.prompt is not None:
        return tokens_of(request.prompt)
    return sum(
        tokens_of(one.content) + TURN_TOKENS + IMAGE_TOKENS * len(one.images)
        + sum(tokens_of(call.arguments) for call in one.tool_calls)
        for one in request.messages
    )  # fmt: skip
