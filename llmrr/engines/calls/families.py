"""Which family's way of writing calls a chat template asks for."""

from functools import lru_cache
from typing import Final

from llmrr.engines.calls.base import Syntax
from llmrr.engines.calls.bracketed import LFM_2, OLMO_3
from llmrr.engines.calls.functionary import FUNCTIONARY_2, FUNCTIONARY_3
from llmrr.engines.calls.gemma import FUNCTION_GEMMA, GEMMA_4
from llmrr.engines.calls.glm import PAIRS
from llmrr.engines.calls.harmony import HARMONY
from llmrr.engines.calls.invoke import DEEPSEEK_4, DEEPSEEK_32, MINICPM_5, MINIMAX_2
from llmrr.engines.calls.llama import LLAMA
from llmrr.engines.calls.marked import DEEPSEEK_3, DEEPSEEK_R1, KIMI, SOLAR
from llmrr.engines.calls.markup import ELEMENTS, FUNCTION, SEED
from llmrr.engines.calls.mistral import LISTED, NAMED
from llmrr.engines.calls.prompted import PROMPTED
from llmrr.engines.calls.tagged import (
    APERTUS,
    APRIEL,
    COHERE,
    GIGACHAT,
    GIGACHAT_3,
    GRANITE,
    HERMES,
    INTERNLM,
    MINIMAX,
    NEMOTRON,
    PHI_4,
)

# The first whose sign stands in a template is it: a sign that is a part of another's comes later.
FAMILIES: Final[tuple[Syntax, ...]] = (
    HARMONY, FUNCTIONARY_3, FUNCTIONARY_2, NAMED, LISTED, FUNCTION_GEMMA, GEMMA_4, KIMI, SOLAR,
    DEEPSEEK_R1, DEEPSEEK_3, DEEPSEEK_32, DEEPSEEK_4, MINIMAX_2, MINICPM_5, NEMOTRON, COHERE,
    APERTUS, GIGACHAT, GIGACHAT_3, INTERNLM, LFM_2, PHI_4, GRANITE, APRIEL, MINIMAX, PAIRS, SEED,
    ELEMENTS, FUNCTION, HERMES, LLAMA, OLMO_3, PROMPTED,
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
