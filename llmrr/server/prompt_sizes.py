"""How many tokens a request has, exactly: by the model's own template and tokenizer."""

from llmrr.errors import FeatureMissing
from llmrr.protocols.base import Asked
from llmrr.server.service import Service


async def count(service: Service, asked: Asked) -> int:
    """The tokens of a request, for the model that would answer it. Raises ``FeatureMissing`` where
    only its provider knows."""
    return await service.metered(lambda: _count(service, asked), lambda found: 0)


def counted(tokens: int) -> dict[str, object]:
    """The answer, as OpenAI has it."""
    return {"object": "response.input_tokens", "input_tokens": tokens}


def _count(service: Service, asked: Asked) -> int:
    opened = service.open(asked.model, asked.request)
    found = opened.prompt_tokens(asked.request)
    if found is None:
        name = opened.resolved.name
        raise FeatureMissing(f"only its provider knows the tokens of {name}", "a local model")
    return len(found)
