"""Is what was exported its source? Tensors, tokens and what comes out of both."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import models, outputs, tensors

Say = Callable[[str, int, int], None]


def compare(
    say: Say, source: str, target: str, task: str, quant: str, graphs: Sequence[str],
    texts: Sequence[str],
) -> dict[str, Any]:
    """What was found, as ``checks`` makes sentences of it."""
    places = [Path(target) / name for name in graphs]
    return {
        "tensors": tensors.compare(say, source, places, quant),
        "tokens": _tokens(say, source, target, texts),
        "outputs": outputs.compare(say, source, Path(target), task, texts),
    }


def _tokens(say: Say, source: str, target: str, texts: Sequence[str]) -> dict[str, Any] | None:
    """How many texts have the same ids, and the first that has not; None without a tokenizer."""
    ours, theirs = models.fast(target), models.tokenizer(source)
    if ours is None or theirs is None:
        return None
    for at, text in enumerate(texts):
        say("comparing tokens", at, len(texts))
        mine, other = models.ids(ours, text), models.ids(theirs, text)
        if mine != other:
            return {"texts": len(texts), "differs": text[:80], "ids": mine[:8], "were": other[:8]}
    return {"texts": len(texts), "differs": None}
