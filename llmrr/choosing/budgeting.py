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
from llmrr.choosing.purse import Purse, Reserved, in_all
from llmrr.config import Config
from llmrr.kinds import LOCAL_PROVIDERS
from llmrr.routing import Candidate, Health, Needs
from llmrr.routing.budgets import WARNED_AT, Budgets, Use
from llmrr.routing.candidate import held_against
from llmrr.stats import Run
from llmrr.strategies import Cost, Limits
from llmrr.types import Usage

if TYPE_CHECKING:
    from llmrr.catalogue import Database

_FREE: Final = Cost(0.0, 0.0)
# What chat templates put around one message and before an answer, about: 7 tokens of OpenAI's, 8 of
# ChatML, 10 of Llama 3. Held back of a model until it has said how many tokens it counts.
_TURN_TOKENS: Final = 8
_LOSS: Final = "what was spent is not known"
_ALONE: Final = "budgets count only this process now"


class Budgeting:
    """The budgets that hold now. A warning is given once per process, budget and day."""

    def __init__(
        self, config: Callable[[], Config], database: "Database", warn: Callable[[str], None]
    ) -> None:
        self._config, self._database, self._warn = config, database, warn
        self._ledger, self._purse = spending.Ledger(), Purse()
        self._warned: set[object] = set()
        self._limits: tuple[Config, Limits | None] | None = None

    def now(self, at: float | None = None) -> Budgets | None:
        """The limits and what was spent; None where nothing is limited."""
        config = self._config()
        if (limits := self._limits_of(config)) is None:
            return None
        today = date.fromtimestamp(time.time() if at is None else at)
        day, under_way = today.isoformat(), self._purse.under_way()
        found = self._database(lambda connection: self._ledger.spent(connection, day), _LOSS)
        if found is None:
            self._say(_ALONE, _ALONE)
        else:
            self._warned.discard(_ALONE)
        spent = self._purse.spent(day, None if found is None else found[1])
        return Budgets(
            today, limits, config.budgets, in_all(spent), spent, in_all(under_way), under_way,
            is_known=found is not None,
        )  # fmt: skip

    @property
    def are_set(self) -> bool:
        """Whether anything is limited."""
        return self._limits_of(self._config()) is not None

    def _limits_of(self, config: Config) -> Limits | None:
        if self._limits is None or self._limits[0] is not config:
            found = Limits(*(config.value(f"budgets.{key}") for key in Limits._fields))  # type: ignore[arg-type]
            is_set = config.budgets or any(one is not None for one in found)
            self._limits = config, found if is_set else None
        return self._limits[1]

    def reserve(self, candidate: Candidate, needs: Needs, health: Health) -> Reserved | None:
        """Count this request as under way; None where nothing is limited. Raise ``OverBudget``
        where it would be too much; warn where it nearly is."""
        asked, more = needs.tokens, self._purse.least_more(candidate.name)
        usual = _TURN_TOKENS if needs.answers and more is None else more or 0
        needs, held = (replace(needs, tokens=asked + some) for some in (more or 0, usual))
        with self._purse.reserving:
            budgets = self.now()
            if budgets is None:
                return None
            self._require(candidate, needs, health, budgets)
            cost, tokens = held_against(held, candidate, health, at_most=True)
            reserved = Reserved(candidate.name, cost or 0.0, tokens, asked)
            self._purse.reserve(reserved)
            return reserved

    def release(self, reserved: Reserved, usage: Usage | None) -> None:
        """That request is not under way any more."""
        self._purse.release(reserved, usage.prompt_tokens if usage else 0)

    def note(self, run: Run, *, is_recorded: bool) -> None:
        """What a run took; unless it ``is_recorded`` only this process counts it."""
        tokens = run.prompt_tokens + run.completion_tokens
        if run.cost or tokens:
            day = spending.day_of(run.at)
            self._purse.add(day, run.model, run.cost or 0.0, tokens, is_recorded=is_recorded)

    def _require(
        self, candidate: Candidate, needs: Needs, health: Health, budgets: Budgets
    ) -> None:
        use = budgets.fullest(candidate.name, *held_against(needs, candidate, health))
        if use is None:
            return
        if use.is_over:
            raise use.error(candidate.name)
        if candidate.cost is None:
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
