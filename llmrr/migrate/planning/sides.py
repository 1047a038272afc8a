"""Old and new beside each other: ``[migration]``, a share of the conversations, and the guide's
features by week. All of it as changes of ``llmrr.toml``."""

import datetime
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from llmrr import tomledit
from llmrr.errors import UsageError
from llmrr.migrate.artefact import Model
from llmrr.migrate.merging.fitting import table_of
from llmrr.migrate.merging.setup import Setup
from llmrr.migrate.planning.text import document
from llmrr.migrate.planning.wishes import Wishes
from llmrr.migrate.terms import naming
from llmrr.sides import MODES
from llmrr.tomllayout import Place

Change = tuple[Place, Any]
# The guide's order of adoption, as what a flag can set.
FEATURES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("advanced-caching", {"cache": {"enabled": True, "ttl": 3600}}),
    ("model-ensembles", {"strategy": "ensemble"}),
    ("auto-scaling", {"strategy": "least-loaded"}),
    ("cost-optimization", {"strategy": "cost-optimized"}),
)


def divided(models: Sequence[Model], replacing: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names of the new side and of the old: what takes another's place is new, and so is what
    runs on this machine where nothing was replaced; the rest is old."""
    if replacing:
        new = [one.name for one in models if one.name in replacing]
    else:
        new = [one.name for one in models if naming.is_local(one.source)]
    return new, [one.name for one in models if one.name not in new]


def changes(models: Sequence[Model], replacing: Sequence[str], wishes: Wishes) -> list[Change]:
    """What the wishes add to ``llmrr.toml``. Raises ``UsageError`` where there is only one side."""
    found: list[Change] = []
    if wishes.has_sides:
        new, legacy = divided(models, replacing)
        if not (new and legacy):
            side = "new" if not new else "old"
            raise UsageError(
                f"there is no {side} side: all {len(models)} models are "
                f"{'remote' if not new else 'local'}",
                "--replace OLD=NEW names a model that takes the place of another",
            )
        found += _parallel(wishes, new, legacy) + _shared(wishes, new, legacy)
    if wishes.adopt:
        found += _adopted(wishes.start)
    return found


def unpinned(
    setup: Setup, before: str | None, names: Mapping[str, str], replacing: Sequence[str]
) -> tuple[Setup, str | None]:
    """The setup, and the text that it is added to, with no model of the old side named by a
    template of the setup: the mode, or the share, says who answers it."""
    _, legacy = divided(setup.models, replacing)
    freed = replace(setup, templates=tuple(
        replace(one, model=None) if one.model in legacy else one for one in setup.templates
    ))  # fmt: skip
    if before is None:
        return freed, None
    meant = [
        table_of(replace(one, model=names[one.model])) for one in setup.templates
        if one.model in legacy
    ]  # fmt: skip
    there = document(before).get("templates", {})
    out: list[Change] = [
        (("templates", name, "model"), None) for name, one in there.items() if one in meant
    ]
    with suppress(tomledit.UnusualText):  # as it stands it can only be added to
        return freed, tomledit.with_values(before, out) if out else before
    return freed, before


def waiting(toml: str) -> list[str]:
    """The guide's features that a text holds and that no date switches on."""
    flags = document(toml).get("flags", {})
    return [name for name, _ in FEATURES
            if isinstance(flags.get(name), dict) and flags[name].get("rollout") == 0]  # fmt: skip


def mode(text: str) -> str:
    """A way to run both sides. Raises ``UsageError``."""
    if text not in MODES:
        raise UsageError(f'--mode "{text}" is not known', f"--mode {' | '.join(MODES)}")
    return text


def share(text: str, option: str = "--rollout", example: str = "10%") -> float:
    """A share from ``10%`` or ``0.1``, as an option takes it. Raises ``UsageError``.

    >>> share("10%"), share("0.25")
    (0.1, 0.25)
    """
    try:
        found = float(text.removesuffix("%").strip()) / (100 if text.endswith("%") else 1)
    except ValueError:
        found = -1
    if not 0 <= found <= 1:
        raise UsageError(f'{option} "{text}" is no share', f"{option} {example}")
    return found


def day(text: str) -> datetime.date:
    """A date as ``2026-12-01``. Raises ``UsageError``."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f'--start "{text}" is no date', "--start 2026-12-01") from None


def _parallel(wishes: Wishes, new: list[str], legacy: list[str]) -> list[Change]:
    if wishes.mode is None:
        return []
    return [
        (("migration", "mode"), wishes.mode), (("migration", "new"), new),
        (("migration", "legacy"), legacy),
    ]  # fmt: skip


def _shared(wishes: Wishes, new: list[str], legacy: list[str]) -> list[Change]:
    """A share of the conversations goes to the new side, and the others to the old: of two flags
    that set the same, the later one holds."""
    if wishes.rollout is None:
        return []
    return [
        (("flags", "migration-legacy", "rollout"), 1.0),
        (("flags", "migration-legacy", "set"), {"models": legacy}),
        (("flags", "migration", "rollout"), wishes.rollout),
        (("flags", "migration", "set"), {"models": new}),
    ]


def _adopted(start: datetime.date | None) -> list[Change]:
    """A feature a week from ``start``. Without a date, which a plan cannot take from the clock and
    stay the same, the first is on and each other waits for its share to be raised."""
    found: list[Change] = [] if start is None else [(("flags", "start"), start)]
    for week, (name, sets) in enumerate(FEATURES, 1):
        when: Change = (("flags", name, "week"), week)
        if start is None:
            when = (("flags", name, "rollout"), 1.0 if week == 1 else 0.0)
        found += [when, (("flags", name, "set"), sets)]
    return found
