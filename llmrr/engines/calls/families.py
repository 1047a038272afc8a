"""Which family's way of writing calls a chat template asks for."""

from functools import lru_cache
from typing import Final

from llmrr.engines.calls.base import Syntax
from llmrr.engines.calls.functionary import FUNCTIONARY_2, FUNCTIONARY_3
from llmrr.engines.calls.gemma import FUNCTION_GEMMA, GEMMA_4
from llmrr.engines.calls.glm import PAIRS
from llmrr.engines.calls.harmony import HARMONY
from llmrr.engines.calls.llama import LLAMA
from llmrr.engines.calls.marked import DEEPSEEK_3, DEEPSEEK_R1, KIMI
from llmrr.engines.calls.markup import ELEMENTS, FUNCTION, SEED
from llmrr.engines.calls.mistral import LISTED, NAMED
from llmrr.engines.calls.prompted import PROMPTED
from llmrr.engines.calls.tagged import APRIEL, GRANITE, HERMES, MINIMAX, NEMOTRON

# The first whose sign stands in a template is it: a sign that is a part of another's comes later.
FAMILIES: Final[tuple[Syntax, ...]] = (
    HARMONY, FUNCTIONARY_3, FUNCTIONARY_2, NAMED, LISTED, FUNCTION_GEMMA, GEMMA_4, KIMI,
    DEEPSEEK_R1, DEEPSEEK_3, NEMOTRON, GRANITE, APRIEL, MINIMAX, PAIRS, SEED, ELEMENTS, FUNCTION,
    HERMES, LLAMA, PROMPTED,
)  # fmt: skip

# What a model of no family is told to write: it is the way that most models have seen.
USUAL: Final[Syntax] = HERMES


@lru_cache(64)
def family_of(template: str) -> Syntax | None:
    """The family of a chat template; None where it shows none.

    >>> found = family_of("… return a json object within <tool_call></tool_call> tags …")
    >>> found.name
    'hermes'
    """
    for family in FAMILIES:
        if any(all(mark in template for mark in sign) for sign in family.signs):
            return family
    return None
