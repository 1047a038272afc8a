"""Which flags are on for a request, and what they set: gradual adoption of something new."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

from llmrr.environment import TRUTH
from llmrr.errors import BadConfig
from llmrr.flags import Flag
from llmrr.routing.draws import salt
from llmrr.tomltext import is_secret
from llmrr.types import Request

WEEK_S: Final = 7 * 24 * 3600


class Acted(NamedTuple):
    """A flag that is on: why, and what of the request it set."""

    name: str
    why: str
    sets: Mapping[str, object]


class Effect(NamedTuple):
    """What flags set, None where none does, which flags those are, and what the user should know.
    """

    strategy: str | None = None
    models: tuple[str, ...] | None = None
    cache: Mapping[str, object] | None = None
    acted: tuple[Acted, ...] = ()
    notes: tuple[str, ...] = ()

    def facts(self) -> list[dict[str, Any]]:
        """The flags that acted, as ``route --json`` has them."""
        return [{"name": one.name, "why": one.why, "set": dict(one.sets)} for one in self.acted]


NO_EFFECT: Final = Effect()


def draw_key(request: Request, user: str | None = None) -> str:
    """What a share of requests is drawn by: the user, else how the conversation began. So all of
    one conversation is treated alike, and the same prompt always.

    >>> draw_key(Request(prompt="Once")), draw_key(Request(prompt="Once"), "alice")
    ('Once', 'alice')
    """
    if user is not None:
        return user
    first = next((one.content for one in request.messages if one.role == "user"), None)
    return first or request.prompt or str(request.tokens)


def active(
    flags: Iterable[Flag],
    key: str,
    now: float,
    environ: Mapping[str, str],
    names: Collection[str] = (),
    stated: Collection[str] = (),
) -> Effect:
    """What the flags that are on set, those of ``stated`` apart, which the call decides. Of two
    that set the same, the later one holds. ``names`` are the models that there are.

    Raises ``BadConfig`` for a variable that is neither true nor false.
    """
    on: list[tuple[Flag, str]] = []
    for flag in flags:
        why = _why_on(flag, key, now, environ)
        if why is not None:
            on.append((flag, why))
    if not on:
        return NO_EFFECT
    notes: list[str] = []
    holder: dict[str, str] = {}
    values: dict[str, Any] = {}
    for flag, why in on:
        for name, value in _sets(flag, why, names, stated, notes).items():
            if name in holder:
                said = f"the flags {holder[name]} and {flag.name} both set {name}"
                notes.append(f"{said}: {flag.name} holds, the later one")
            holder[name], values[name] = flag.name, value
    acted = [
        Acted(flag.name, why, {at: values[at] for at in values if holder[at] == flag.name})
        for flag, why in on
    ]
    return Effect(**values, acted=tuple(one for one in acted if one.sets), notes=tuple(notes))


def _sets(
    flag: Flag, why: str, names: Collection[str], stated: Collection[str], notes: list[str]
) -> dict[str, object]:
    """What a flag that is on sets, with a note of models that are not there."""
    found = {name: value for name, value in flag.sets.items() if name not in stated}
    wanted = cast("tuple[str, ...]", found.get("models", ()))
    absent = [name for name in wanted if name not in names]
    if absent:
        here = tuple(name for name in wanted if name in names)
        left = f"only {', '.join(here)} of its models" if here else "it has no effect on the choice"
        notes.append(
            f"the flag {flag.name} ({why}) is for {', '.join(absent)}, and no [[models]] is called "
            f"so: {left}"
        )
        found["models"] = here
    return {name: value for name, value in found.items() if value != ()}


def _why_on(flag: Flag, key: str, now: float, environ: Mapping[str, str]) -> str | None:
    """Why a flag is on; None where it is off."""
    word = environ.get(flag.env, "").strip() if flag.env else ""
    if word and flag.env:
        return f"{flag.env}={word}" if _truth(flag, flag.env, word) else None
    said = []
    if flag.start is not None or flag.end is not None:
        begins = flag.start if flag.start is not None else now
        if now < begins or (flag.end is not None and now >= flag.end):
            return None
        said.append("in its time")
    share = flag.rollout
    if flag.origin is not None and (flag.week is not None or flag.schedule):
        week = int((now - flag.origin) // WEEK_S) + 1
        if week < (flag.week or 1):
            return None
        said.append(f"week {week}")
        for first, rollout in flag.schedule:
            share = rollout if first <= week else share
        if flag.schedule and share is None:
            return None
    if share is not None:
        if drawn(flag.name, key) >= share:
            return None
        said.append(f"rollout {share:g}")
    if flag.env and not said:
        return None
    return ", ".join(said) or "always"


def drawn(name: str, key: str) -> float:
    """From 0 to below 1, the same at any time for a flag and a key: who is in a share is in every
    larger one.

    >>> drawn("new", "alice") == drawn("new", "alice") != drawn("newer", "alice")
    True
    """
    return (salt(f"{name}\0{key}") >> 11) * 2.0**-53


def _truth(flag: Flag, variable: str, word: str) -> bool:
    truth = TRUTH.get(word.lower())
    if truth is None:
        is_hidden = re.search("(?i)key|token|secret|pass", variable) or is_secret(variable, word)
        shown = "has a value that" if is_hidden else f'= "{word[:40]}"'
        raise BadConfig(
            f"the variable {variable} {shown} is neither true nor false (flag {flag.name})",
            f"{variable}=true, or false, 1, 0, yes, no, on, off",
        )
    return truth
