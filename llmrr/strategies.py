"""The names of the strategies, and the kinds of values that routing takes from ``llmrr.toml``."""

import math
from pathlib import Path
from typing import Final, NamedTuple

from llmrr.errors import nearest
from llmrr.kinds import Kind

# What each strategy takes first, for the manual page.
STRATEGIES: Final = {
    "balanced": "the best weighted sum of quality, cost and speed ([weights])",
    "quality-first": "the best quality",
    "cost-optimized": "the least expected cost",
    "speed-priority": "the least expected time",
    "reliability-first": "the highest lower bound of the rate of success",
    "round-robin": "what was chosen the longest ago",
    "least-loaded": "what has the fewest requests under way",
    "capability-match": "what meets most of the needs",
    "random": "drawn by weight",
    "adaptive": "drawn by how likely it is the most reliable (Thompson sampling)",
    "ensemble": "several are asked, and the answer that most agree on is taken",
}
DEFAULT_STRATEGY: Final = "balanced"

# Names that are used elsewhere for the same, or for what comes nearest.
STRAY: Final = {
    "quality-optimized": "quality-first",
    "load-balanced": "least-loaded",
    "least-connections": "least-loaded",
    "context-aware": "capability-match",
    "semantic": "capability-match",
    "fallback": "reliability-first",
    "fallback-chain": "reliability-first",
    "hybrid": "balanced",
    "custom": "balanced",
}


class Cost(NamedTuple):
    """Dollars per million tokens. What a provider takes less for tokens that it has cached is not
    known here: all tokens of a prompt have the price of ``input``."""

    input: float
    output: float

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Dollars.

        >>> Cost(2.5, 10.0).of(1000, 100)
        0.0035
        """
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


class Limits(NamedTuple):
    """``[budgets]``, or what it says of one model; None is no limit."""

    daily: float | None = None
    monthly: float | None = None
    tokens_daily: int | None = None
    tokens_monthly: int | None = None

    @property
    def of_dollars(self) -> bool:
        """Whether dollars are limited."""
        return self.daily is not None or self.monthly is not None


def strategy_warning(stated: object, where: str | None = None) -> str | None:
    """What to say of a name that stands for another one.

    >>> strategy_warning("hybrid")
    'the strategy "hybrid" is taken as balanced'
    >>> strategy_warning("random") is None
    True
    """
    if not isinstance(stated, str) or stated not in STRAY:
        return None
    return f'the strategy "{stated}" is taken as {STRAY[stated]}' + (f" ({where})" if where else "")


def parse_strategy(value: object, _folder: Path | None = None) -> str:
    """The strategy of that name; ``ValueError`` names the nearest one."""
    if not isinstance(value, str):
        raise ValueError
    if value in STRATEGIES:
        return value
    if value in STRAY:
        return STRAY[value]
    near = nearest(value, (*STRATEGIES, *STRAY))
    known = f"did you mean {near}?" if near else f"there are {', '.join(STRATEGIES)}"
    raise ValueError(f'there is no strategy "{value}"; {known}')


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _names(value: object, _folder: Path) -> object:
    names = [one.strip() for one in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(map(_is_name, names)):
        raise ValueError
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'"{name}" stands there twice')
    return tuple(names)


def _chain(value: object, folder: Path) -> object:
    return False if value is False else _names(value, folder)


def _tags(value: object, _folder: Path) -> object:
    if not isinstance(value, list) or not all(map(_is_name, value)):
        raise ValueError
    return tuple(dict.fromkeys(value))


def _cost(value: object, _folder: Path) -> object:
    if not isinstance(value, dict) or set(value) != {"input", "output"}:
        raise ValueError
    for price in value.values():
        if type(price) not in (int, float) or not 0 <= price < math.inf:
            raise ValueError
    return Cost(float(value["input"]), float(value["output"]))


STRATEGY = Kind("the name of a strategy", parse_strategy)
NAMES = Kind("a name or a list of names", _names)
CHAIN = Kind("a list of names, or false", _chain)
TAGS = Kind("a list of words", _tags)
COST = Kind("{ input, output } in dollars per million tokens", _cost)
