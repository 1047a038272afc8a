"""An old side that is llmrr itself, by its command: what answers there."""

import shlex
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING

from llmrr.migrate.validating.likeness import Likeness, likeness
from llmrr.migrate.validating.systems import EngineSystem
from llmrr.types import Sampling

if TYPE_CHECKING:
    from llmrr.router import Router


def of_command(router: "Router", command: str) -> list[Likeness]:
    """What may answer ``llmrr run``: the models that it names, else all that may be chosen; nothing
    for the command of another program."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    is_module = ("-m", "llmrr") in pairwise(words)
    if not words or not (is_module or PurePath(words[0]).name == "llmrr"):
        return []
    start = words.index("llmrr") if is_module else 0
    named = [one for one in words[start + 1 :] if router.is_model(one)]
    found = [one for name in named if (one := likeness(router, name)) is not None]
    return found or EngineSystem(router, (), Sampling()).likenesses
