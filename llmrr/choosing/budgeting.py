"""What a run cost, what its budgets leave, and the warnings of both: the pure rules of
``routing.budgets`` over the configuration and the database."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Final

from llmrr import spending
from llmrr.catalogue import Resolved
from llmrr.choosing.profiles import as_stated
from llmrr.config import Config
from llmrr.kinds import LOCAL_PROVIDERS
from llmrr.routing import Candidate, Health, Needs
from llmrr.routing.budgets import NOTHING, WARNED_AT, Budgets, Use
from llmrr.routing.candidate import expected_cost, expected_tokens
from llmrr.strategies import Cost, Limits
from llmrr.types import Usage

if TYPE_CHECKING:
    from llmrr.catalogue import Database

_FREE: Final = Cost(0.0, 0.0)


class Budgeting:
    """The budgets that hold now. A warning is given once per process, budget and day."""

    def __init__(
        self, config: Callable[[], Config], database: "Database", warn: Callable[[str], None]
    ) -> None:
        self._config, self._database, self._warn = config, database, warn
        self._ledger = spending.Ledger()
        self._warned: set[object] = set()

    def now(self, at: float | None = None) -> Budgets | None:
        """The limits and what was spent; None where nothing is limited."""
        config = self._config()
        limits = Limits(*(config.value(f"budgets.{key}") for key in Limits._fields))  # type: ignore[arg-type]
        if not config.budgets and not any(one is not None for one in limits):
            return None
        today = date.fromtimestamp(time.time() if at is None else at)
        found = self._database(
            lambda connection: self._ledger.spent(connection, today.isoformat()),
            "what was spent is not known, and no budget holds",
        )
        in_all, by_model = found or (NOTHING, {})
        return Budgets(today, limits, config.budgets, in_all, by_model)

    def require(
        self, candidate: Candidate, needs: Needs, health: Health, budgets: Budgets
    ) -> None:
        """Raise ``OverBudget`` where this request would be too much; warn where it nearly is."""
        cost = expected_cost(needs, candidate, health)
        tokens = needs.tokens + expected_tokens(needs, health)
        use = budgets.fullest(candidate.name, cost, tokens)
        if use is None:
            return
        if use.is_over:
            raise use.error(candidate.name)
        if cost is None:
            self._warn_of_price(candidate.name, budgets)
        if use.share >= WARNED_AT:
            self._say((use.key, use.of, budgets.today), _warning(use))

    def _warn_of_price(self, name: str, budgets: Budgets) -> None:
        own = budgets.own.get(name)
        if budgets.limits.of_dollars or (own is not None and own.of_dollars):
            self._say(
                ("price", name),
                f"{name} has no cost in llmrr.toml: what it takes is counted in no budget of "
                "dollars, and once others have spent one it is refused",
            )

    def _say(self, once: object, text: str) -> None:
        if once not in self._warned:
            self._warned.add(once)
            self._warn(text)


def price(config: Config, model: Resolved) -> Cost | None:
    """Dollars per million tokens: what is stated of it, or of the same source under another name;
    nothing for what runs on this machine; None where nobody says."""
    configured = config.model(model.name)
    if configured is not None and configured.cost is not None:
        return configured.cost
    if model.endpoint is None or model.endpoint.provider in LOCAL_PROVIDERS:
        return _FREE
    same = (one.cost for one in config.models if one.source == model.source and one.cost)
    return next(same, None) if configured is None else None


def cost_of(config: Config, model: Resolved, usage: Usage | None) -> float | None:
    """Dollars of a run, by the tokens that were counted or guessed; None where its price or they
    are not known."""
    found = price(config, model)
    if found is None or not any(found):
        return None if found is None else 0.0
    return found.of(usage.prompt_tokens, usage.completion_tokens) if usage else None


def candidate_of(config: Config, model: Resolved) -> Candidate:
    """A model that was named, as far as budgets go."""
    configured = config.model(model.name)
    found = Candidate(model.name) if configured is None else as_stated(configured)
    return replace(found, cost=price(config, model))


def _warning(use: Use) -> str:
    whose = f" of {use.of}" if use.of else ""
    return f"the budget{whose} is nearly used: {use.figures}; {use.hint}"
