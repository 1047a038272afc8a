"""What ``llmrr optimize`` found and proposes, from the record to the difference of the files."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from llmrr.optimize import drafting, history, proposals
from llmrr.optimize.drafting import Draft
from llmrr.optimize.history import History
from llmrr.optimize.proposals import Advice

if TYPE_CHECKING:
    from llmrr.router import Router


class Report(NamedTuple):
    """The facts, what is proposed, and the files with that."""

    history: History
    advice: Advice
    drafts: tuple[Draft, ...]
    is_unconfigured: bool = False  # there are no [[models]]

    def facts(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        found = self.history
        return {
            "since": found.since,
            "runs": found.runs,
            "findings": {
                "models": [
                    {**asdict(model), "success": model.success} for model in found.models
                ],
                "prompts": {"known": found.worded, "popular": list(map(asdict, found.shapes))},
                "hours": list(found.hours),
                "peak_hours": list(found.peaks),
                "errors": list(map(asdict, found.errors)),
                "refused": list(map(asdict, found.refused)),
                "cache_hit_rate": found.cache.rate if found.cache else None,
                "at_once": found.at_once,
            },
            "proposals": [
                {"key": one.key, "old": one.old, "new": one.new, "rule": one.rule,
                 "evidence": one.evidence, "file": one.file}
                for one in self.advice.proposals
            ],
            "notes": list(self.advice.notes),
            "diff": drafting.diff(self.drafts),
        }  # fmt: skip

    def write(self) -> None:
        """Change the files as proposed. Raises what ``drafting.write`` does."""
        drafting.write(self.drafts)


def look(router: "Router", since: float) -> Report:
    """Read the history since then (epoch seconds), and hold it against the rules.

    Raises what the database does, and ``BadConfig`` for a file that cannot be changed as proposed.
    """
    config = router.config
    # What the cache did under another ttl says nothing of this one.
    found = history.read(router.database, since, drafting.last_written())
    rules = proposals.rules_of(config)
    slow = [
        model.name for model in config.models
        if (use := found.model(model.name, model.source)) is not None
        and use.judged >= rules.min_runs and proposals.is_slow(use, rules)
    ]  # fmt: skip
    measured, installed = {}, []
    if slow:
        from llmrr.optimize import alternatives

        measured = alternatives.configured(router.catalogue, slow)
        if any(one.scores for one in measured.values()):
            installed = alternatives.installed(router.catalogue, config, found)
    advice = proposals.propose(found, config, rules, measured, installed)
    return Report(found, advice, drafting.drafts(advice.proposals), not config.models)
