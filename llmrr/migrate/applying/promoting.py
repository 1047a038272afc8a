"""A step further, or back: along the modes of ``[migration]``, or along the shares of a flag."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from llmrr import config as settings
from llmrr import trust
from llmrr.errors import BadConfig, CheckFailed, LlmrrError, NotFound, UsageError, nearest
from llmrr.migrate.validating import kept
from llmrr.migrate.validating.kept import DONE, Step, Validation

if TYPE_CHECKING:
    import sqlite3

    from llmrr.config import Config
    from llmrr.tomllayout import Place

# ``off`` is sides that do not run yet, ``done`` the new side alone: a flag leaves only its models,
# and the legacy ones stay in the file for those who name them.
MODES: Final = ("off", "legacy-primary", "hybrid", "new-primary", "done")
SHARES: Final = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
COMMAND: Final = "llmrr migrate validate"


class Move(NamedTuple):
    """A step as it would be taken: the changes of a file. ``models`` are those that it brings
    forward, any of which a validation may have been of."""

    subject: str
    before: str
    after: str
    file: Path
    changes: "tuple[tuple[Place, object], ...]"
    models: tuple[str, ...] = ()


def of_migration(config: "Config", *, up: bool) -> Move:
    """The next step along the modes, or the one before. Raises ``LlmrrError`` at the end,
    ``NotFound`` where there is no ``[migration]``."""
    setting = config.settings["migration.new"]
    if setting.value is None or config.value("migration.legacy") is None:
        raise NotFound(
            "there is no [migration] with a new and a legacy side",
            "llmrr migrate plan --mode hybrid, or --flag NAME",
        )
    now = _mode(config)
    at = MODES.index(now) + (1 if up else -1)
    if not 0 <= at < len(MODES):
        said = "nothing follows" if up else "nothing is before"
        raise LlmrrError(f"the migration is {now}: {said} that", "llmrr migrate status")
    after = MODES[at]
    mode = None if after in ("off", "done") else after
    changes: list[tuple[Place, object]] = []
    if config.settings["migration.mode"].source in ("project", "user") or mode is not None:
        changes.append((("migration", "mode"), mode))
    if "done" in (now, after):
        share = 1.0 if after == "done" else 0.0
        changes += [
            (("flags", DONE, "rollout"), share),
            (("flags", DONE, "set"), {"models": list(setting.value)}),  # type: ignore[call-overload]
        ]
    models: tuple[str, ...] = tuple(setting.value)  # type: ignore[arg-type]
    return Move("migration", now, after, _file(setting.where), tuple(changes), models)


def of_flag(config: "Config", name: str, *, up: bool, to: float | None = None) -> Move:
    """The next share of a flag, the one before, or a stated one. Raises ``NotFound``,
    ``LlmrrError`` at the end, ``UsageError`` where it has no share of its own."""
    own = {one.name: one for one in config.flags if one.file is not None}
    if name not in own:
        near = nearest(name, own)
        hint = f"--flag {near}" if near else f"add [flags.{name}] with: llmrr config edit"
        raise NotFound(f'no file has the flag "{name}"', hint)
    flag = own[name]
    if flag.schedule:
        raise UsageError(f"{name} has a schedule, which sets its share", "change its schedule")
    now = 0.0 if flag.rollout is None else flag.rollout
    if to is None:
        further = [one for one in SHARES if (one > now if up else one < now)]
        if not further:
            said = f"{name} is on for {_percent(now)}: nothing follows that"
            raise LlmrrError(said, "llmrr config show")
        to = further[0] if up else further[-1]
    elif to == now or (to > now) != up:
        word = "promote" if to > now else "demote"
        raise UsageError(f"{name} is on for {_percent(now)}, and --to {_percent(to)}",
                         f"llmrr migrate {word}" if to != now else "another share")  # fmt: skip
    assert flag.file is not None
    changes = ((("flags", name, "rollout"), to),)
    models = flag.models or ()
    return Move(f"flags.{name}", _percent(now), _percent(to), flag.file, changes, models)


def require_validated(
    connection: "sqlite3.Connection", config: "Config", models: Sequence[str]
) -> Validation:
    """The last validation, where it passed for the present configuration, and all of the new side
    or one of these models. Raises ``CheckFailed``."""
    found = kept.last(connection)
    if found is None:
        raise CheckFailed("the new side was not validated yet", COMMAND)
    if not found.passed:
        failed = [one["said"] for one in found.facts["bars"] if not one["passed"]]
        raise CheckFailed(f"the last validation did not pass: {'; '.join(failed)}", COMMAND)
    if found.configuration != kept.digest(config):
        raise CheckFailed("the configuration was changed since the last validation", COMMAND)
    if found.new is not None and found.new not in models:
        raise CheckFailed(
            f"the last validation was of {found.new}, which this step does not bring forward",
            COMMAND,
        )
    return found


def take(
    connection: "sqlite3.Connection", config: "Config", move: Move, *, up: bool, force: bool = False
) -> Step:
    """Take the step: write the file through the journal, and record it. A step up needs a
    validation that passed, unless it is forced. Raises ``CheckFailed``, ``BadConfig``."""
    validation = None
    if up and not force:
        validation = require_validated(connection, config, move.models).id
    entry = _write(move, "promote" if up else "demote")
    step = Step(
        None, time.time(), move.subject, move.before, move.after, validation, up and force, entry
    )
    kept.record_step(connection, step)
    return step


def share(written: str) -> float:
    """A share as it is written. Raises ``UsageError``.

    >>> share("40%"), share("0.25")
    (0.4, 0.25)
    """
    text = written.strip()
    try:
        found = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise UsageError(f"--to {written} is no share", "--to 40%, or --to 0.4")
    return found


def _mode(config: "Config") -> str:
    setting = config.settings["migration.mode"]
    if setting.source == "environment":
        raise BadConfig(
            f"{setting.where} = {setting.value} decides, whatever the file says",
            f"unset {setting.where}",
        )
    if setting.value is not None:
        return str(setting.value)
    done = next((one for one in config.flags if one.name == DONE and one.file is not None), None)
    return "done" if done is not None and done.rollout == 1.0 else "off"


def _file(where: str | None) -> Path:
    if where is None or not Path(where).is_file():
        raise BadConfig(f"[migration] stands in no file ({where})", "llmrr config show")
    return Path(where)


def _write(move: Move, what: str) -> str:
    from llmrr import journal

    try:
        before = move.file.read_bytes()
        text = before.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"cannot read {move.file}: {error}", f"ls -l {move.file}") from error
    after = settings.changed(move.file, text, move.changes).encode()
    with journal.change(f"config {what}") as change:
        if move.file.read_bytes() != before:
            raise LlmrrError(f"{move.file} was changed by someone else in the meantime", COMMAND)
        change.write(move.file, after)
    trust.follow(move.file, before, after)
    return change.entry.id


def _percent(value: float) -> str:
    return f"{100 * value:g}%"
