"""The guide's check-list: 22 items and three phases with their tasks. What the tool can tell, it
tells; the rest a person ticks."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from llmrr.errors import NotFound, nearest
from llmrr.migrate.planning.data import Item

if TYPE_CHECKING:
    from llmrr.migrate.planning.data import Plan


class Facts(NamedTuple):
    """What is known of a migration; None is not known."""

    models: int = 0
    sources: int = 0
    applied: bool = False
    valid: bool | None = None  # llmrr.toml, as llmrr config check has it
    sides: bool = False  # [migration] has a mode
    notes: int = 0
    answers: int | None = None  # runs that came to their end
    validated: bool | None = None  # the last migrate validate
    quick: bool | None = None  # its bar for latency
    reliable: bool | None = None  # its bar for errors
    alerts: bool | None = None
    routed: bool | None = None  # more than one model, or a strategy
    deployed: bool | None = None  # promoted to the end


class Tick(NamedTuple):
    """An item that a person ticked, and what was said to it."""

    at: float
    note: str


Judge = Callable[[Facts], bool | None]


class _Entry(NamedTuple):
    id: str
    phase: str
    text: str
    how: str
    judge: Judge = lambda facts: None


def _answered(facts: Facts) -> bool:
    return facts.applied and bool(facts.answers)


ENTRIES: Final[tuple[_Entry, ...]] = (
    _Entry("document-architecture", "before", "Document current system architecture",
           "llmrr migrate scan --json", lambda facts: facts.sources > 0),
    _Entry("identify-models", "before", "Identify all model dependencies",
           "llmrr migrate scan", lambda facts: facts.models > 0),
    _Entry("back-up", "before", "Back up existing configuration and data",
           "the journal keeps what is replaced; sources are only read",
           lambda facts: facts.sources > 0),
    _Entry("plan-rollback", "before", "Plan rollback strategy", "llmrr migrate rollback",
           lambda facts: facts.sources > 0),
    _Entry("parallel-environment", "before", "Set up parallel testing environment",
           "llmrr migrate plan --mode hybrid", lambda facts: facts.sides),
    _Entry("install", "during", "Install", "llmrr doctor", lambda facts: True),
    _Entry("configure", "during", "Configure models and engines", "llmrr config check",
           lambda facts: facts.applied and facts.valid is not False),
    _Entry("wrappers", "during", "Implement compatibility wrappers",
           "llmrr migrate plan --patch library"),
    _Entry("parallel-testing", "during", "Run parallel testing", "llmrr migrate validate",
           lambda facts: facts.validated is not None),
    _Entry("monitor-performance", "during", "Monitor performance metrics", "llmrr stats",
           _answered),
    _Entry("document-decisions", "during", "Document decisions and issues",
           "llmrr migrate note decision TEXT", lambda facts: facts.notes > 0),
    _Entry("validate", "after", "Validate functionality", "llmrr migrate validate",
           lambda facts: bool(facts.validated)),
    _Entry("optimize", "after", "Optimize performance", "llmrr optimize"),
    _Entry("monitoring", "after", "Set up monitoring", "[alerts] in llmrr.toml",
           lambda facts: facts.alerts),
    _Entry("train-team", "after", "Train team on new system", ""),
    _Entry("documentation", "after", "Update documentation", ""),
    _Entry("improvement", "after", "Plan continuous improvement", ""),
    _Entry("feature-parity", "success", "Feature parity with legacy system",
           "llmrr migrate validate", lambda facts: facts.validated),
    _Entry("performance", "success", "Performance equal or better", "llmrr migrate validate",
           lambda facts: facts.quick),
    _Entry("error-rate", "success", "Error rate below threshold", "llmrr migrate validate",
           lambda facts: facts.reliable),
    _Entry("team-comfortable", "success", "Team comfortable with new system", ""),
    _Entry("alerts", "success", "Monitoring and alerts operational", "llmrr stats --alerts",
           lambda facts: facts.alerts),
    _Entry("phase-1-set-up", "phase 1 (1 to 2 weeks)", "Set up", "llmrr doctor",
           lambda facts: True),
    _Entry("phase-1-models", "phase 1 (1 to 2 weeks)", "Migrate core model loading",
           "llmrr migrate apply", lambda facts: facts.applied),
    _Entry("phase-1-inference", "phase 1 (1 to 2 weeks)", "Basic inference testing", "llmrr run",
           _answered),
    _Entry("phase-2-routing", "phase 2 (2 to 3 weeks)", "Migrate routing logic", "llmrr route",
           lambda facts: facts.routed and _answered(facts)),
    _Entry("phase-2-performance", "phase 2 (2 to 3 weeks)", "Performance optimization",
           "llmrr optimize"),
    _Entry("phase-2-integration", "phase 2 (2 to 3 weeks)", "Integration testing",
           "llmrr migrate validate", lambda facts: bool(facts.validated)),
    _Entry("phase-3-deployment", "phase 3 (1 week)", "Production deployment",
           "llmrr migrate promote", lambda facts: facts.deployed),
    _Entry("phase-3-monitoring", "phase 3 (1 week)", "Monitoring setup", "[alerts] in llmrr.toml",
           lambda facts: facts.alerts),
    _Entry("phase-3-validation", "phase 3 (1 week)", "Performance validation",
           "llmrr migrate validate", lambda facts: facts.quick),
)  # fmt: skip
IDS: Final = tuple(one.id for one in ENTRIES)


def planned(plan: "Plan") -> tuple[Item, ...]:
    """The list as it stands with a plan that was not applied."""
    import tomllib

    config = tomllib.loads(plan.toml.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"))
    return judged(facts_of(config)._replace(sources=len(plan.sources)), {})


def facts_of(config: Mapping[str, object]) -> Facts:
    """What a parsed ``llmrr.toml`` says."""
    models, migration = config.get("models"), config.get("migration")
    count = len(models) if isinstance(models, list) else 0
    return Facts(
        models=count,
        sides=isinstance(migration, dict) and "mode" in migration,
        alerts=bool(config.get("alerts")),
        routed=count > 1 or "strategy" in config or None,
    )


def judged(facts: Facts, ticks: Mapping[str, Tick]) -> tuple[Item, ...]:
    """Every item with what is known of it; one that was ticked is done."""
    return tuple(
        Item(one.id, one.phase, one.text, True, ticks[one.id].note or "ticked")
        if one.id in ticks else Item(one.id, one.phase, one.text, one.judge(facts), one.how)
        for one in ENTRIES
    )  # fmt: skip


def known(item: str) -> str:
    """The id of an item. Raises ``NotFound``."""
    if item in IDS:
        return item
    near = nearest(item, IDS)
    hint = "llmrr migrate check (without an item) lists them"
    hint = f"did you mean {near}? {hint}" if near else hint
    raise NotFound(f'the check-list has no item "{item}"', hint)
