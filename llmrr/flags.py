"""What ``[flags.NAME]`` may hold: when a flag is on, and what it then sets."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from llmrr.errors import nearest
from llmrr.kinds import Kind, number, parse_duration, whole

SETS: Final = ("strategy", "models", "cache")


class Flag(NamedTuple):
    """When it is on, all that is stated, and what it sets then. ``env`` names a variable that
    decides alone where it is set. Times are in epoch seconds; weeks are counted from ``origin``.
    ``file`` is the one that states it."""

    name: str
    rollout: float | None = None
    schedule: tuple[tuple[int, float], ...] = ()
    week: int | None = None
    start: float | None = None
    end: float | None = None
    env: str | None = None
    strategy: str | None = None
    models: tuple[str, ...] | None = None
    cache: Mapping[str, object] | None = None
    origin: float | None = None
    file: Path | None = None

    @property
    def sets(self) -> dict[str, object]:
        """What it sets, by name."""
        found = {name: getattr(self, name) for name in SETS}
        return {name: value for name, value in found.items() if value is not None}


# Known by their variables alone, also where no file has [flags].
GUIDE: Final[tuple[Flag, ...]] = (
    Flag("new-routing", env="FF_NEW_ROUTING", strategy="quality-first"),
    Flag("new-caching", env="FF_NEW_CACHING", cache={"enabled": True, "ttl": 3600.0}),
    Flag("new-models", env="FF_NEW_MODELS", models=("llama-2-13b", "mixtral-8x7b")),
)


def joined(below: Iterable[Flag], above: Mapping[str, Flag]) -> tuple[Flag, ...]:
    """Flags with those that are stated on top of them, which come later and replace what has their
    name. The guide's own come last, as the environment comes before files, unless a flag has the
    name or the variable of one."""
    left = [one for one in below if one.file is not None and one.name not in above]
    own = (*left, *above.values())
    taken = {name for one in own for name in (one.name, one.env)}
    return (*own, *(one for one in GUIDE if not {one.name, one.env} & taken))


def problems(flag: Flag) -> Iterator[tuple[str, str, str]]:
    """What does not go together: the key, what is wrong with it, what to do."""
    what = f"the flag {flag.name!r}"
    if flag.schedule and flag.rollout is not None:
        yield "schedule", f"{what} has a rollout and a schedule of rollouts", "leave out one"
    if flag.schedule and flag.week is not None:
        yield "schedule", f"{what} has a week and a schedule of weeks", "leave out one"
    if (flag.schedule or flag.week is not None) and flag.origin is None:
        key = "schedule" if flag.schedule else "week"
        hint = "add start = 2026-12-01, the first day of week 1, to it or to [flags]"
        yield key, f"{what} counts weeks, and has no start", hint
    if flag.start is not None and flag.end is not None and flag.end <= flag.start:
        yield "end", f"{what} ends before it starts", "a later end, or an earlier start"
    if flag.models == ():
        yield "set", f"{what} leaves no model to choose among", "name one in models, or omit it"


def _moment(value: object, *, is_end: bool) -> float:
    """Epoch seconds of a date, here, or of a date and time; a date as an end is over with its day.
    """
    from datetime import date, datetime, timedelta

    if isinstance(value, str):
        read = date if len(value.strip()) <= 10 else datetime
        value = read.fromisoformat(value.strip())
    try:
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, date):
            day = datetime(value.year, value.month, value.day)
            return (day + timedelta(days=1) if is_end else day).timestamp()
    except (OverflowError, OSError):
        pass
    raise ValueError


def _start(value: object, _folder: Path) -> object:
    return _dated(value, is_end=False)


def _end(value: object, _folder: Path) -> object:
    return _dated(value, is_end=True)


def _dated(value: object, *, is_end: bool) -> float:
    try:
        return _moment(value, is_end=is_end)
    except ValueError:  # its text would be that of the date's own reader
        raise ValueError from None


_WEEK, _SHARE, _SECONDS = whole(1, 10_000), number(0, 1), number(0, above=True)


def _schedule(value: object, folder: Path) -> object:
    """``(week, rollout)``, the weeks rising."""
    if not isinstance(value, list) or not value:
        raise ValueError
    found: list[tuple[int, float]] = []
    for entry in value:
        if not isinstance(entry, dict) or set(entry) != {"week", "rollout"}:
            raise ValueError
        for name, kind in (("week", _WEEK), ("rollout", _SHARE)):
            try:
                kind.parse(entry[name], folder)
            except ValueError:
                said = f"{name} = {entry[name]!r} is not {kind.expected}"
                raise ValueError(said) from None
        if found and entry["week"] <= found[-1][0]:
            raise ValueError(f"week {entry['week']} comes after week {found[-1][0]}")
        found.append((entry["week"], float(entry["rollout"])))
    return tuple(found)


def _cache(value: object, folder: Path) -> object:
    """``{"enabled", "ttl"}``, the second where it is stated."""
    stated = {"enabled": value} if isinstance(value, bool) else value
    if not isinstance(stated, dict) or not stated:
        raise ValueError
    for name in stated:
        if name not in ("enabled", "ttl"):
            near = nearest(name, ("enabled", "ttl"))
            known = f"did you mean {near}?" if near else "it takes enabled and ttl"
            raise ValueError(f"unknown key {name}; {known}")
    found: dict[str, object] = {"enabled": stated.get("enabled", True)}
    if not isinstance(found["enabled"], bool):
        raise ValueError
    if "ttl" in stated:
        seconds = parse_duration(stated["ttl"])
        found["ttl"] = _SECONDS.parse(seconds, folder)
    return found


START = Kind("a date, or a date and time", _start)
END = Kind("a date, or a date and time", _end)
WEEK = _WEEK
SCHEDULE = Kind("a list of { week, rollout }", _schedule)
CACHE = Kind("true, false, or { enabled, ttl }", _cache)
