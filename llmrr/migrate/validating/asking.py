"""Asking both sides: in which order, and one request after the other."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from llmrr.errors import EngineFailed, LlmrrError, UsageError
from llmrr.migrate.terms.secrets import masked
from llmrr.migrate.validating.addresses import AddressSystem
from llmrr.migrate.validating.cases import Case, answerable, builtin
from llmrr.migrate.validating.likeness import Likeness, is_at, is_same
from llmrr.migrate.validating.systems import Reply, System

IN_VAIN: Final = 5  # requests that the old side fails at, before it is given up

Told = Callable[[int, int], None]


class Asked(NamedTuple):
    """All requests. ``warm_up`` are the seconds of the old and of the new side before the first
    that counts, for loading and one request; None where a side was not warmed up."""

    trials: tuple["Trial", ...]
    warm_up: tuple[float | None, float | None] = (None, None)


class Trial(NamedTuple):
    """One request to both sides, and what came of it."""

    case: Case
    old: Reply
    new: Reply


def order(cases: Sequence[Case], samples: int, seed: int) -> list[Case]:
    """The requests: ``samples`` of those that are to be answered, cycled, and each of the others
    once, in random order; but the first is one to be answered, which shows whether the old side
    answers at all.

    >>> from llmrr.migrate.validating.cases import builtin
    >>> [one.name[:4] for one in order(builtin(), 3, seed=1)]
    ['What', 'empt', 'wron', 'over', 'What', 'miss', 'Gene']
    """
    meant = answerable(cases)
    cycled = [meant[at % len(meant)] for at in range(samples)] if meant else []
    found = [*cycled, *(one for one in cases if one.must_fail)]
    random.Random(seed).shuffle(found)
    first = next((at for at, one in enumerate(found) if not one.must_fail), 0)
    return [*found[first : first + 1], *found[:first], *found[first + 1 :]]


def ask(
    old: System, new: System, cases: Sequence[Case], *, samples: int, seed: int, told: Told
) -> Asked:
    """Put every request to both sides, one after the other; which one is first is drawn, once the
    old one has answered. Before that both are warmed up, and the old one is asked: what takes its
    time once counts against nobody. Raises ``UsageError`` where they are the same, ``EngineFailed``
    where the old one answers nothing, and what keeps it from answering at all."""
    require_different(old, new)
    meant = [*answerable(cases), *builtin()]
    warm_up = [old.prepare(meant[0]), None]
    listed = order(cases, samples, seed)
    begun = _reached(old, listed[0])
    with suppress(LlmrrError):  # what the new side fails at is measured
        warm_up[1] = new.prepare(meant[0])
    trials = _trials(old, new, listed, begun, seed, told)
    return Asked(tuple(trials), (warm_up[0], warm_up[1]))


def _reached(old: System, case: Case) -> Reply:
    """What the old side replies as long as it has answered nothing; raises what no further request
    would mend."""
    reply = old.ask(case.sized(old.context))
    if reply.cause is not None and not case.must_fail:
        raise reply.cause
    return reply


def _trials(
    old: System, new: System, cases: Sequence[Case], begun: Reply, seed: int, told: Told
) -> Iterator[Trial]:
    """``begun`` is what the old side has replied to the first of them."""
    drawn = random.Random(seed + 1)
    in_vain: int | None = 0  # None once the old side has answered
    for at, case in enumerate(cases, 1):
        if in_vain is not None:
            reply = begun if at == 1 else _reached(old, case)
            found = Trial(case, reply, new.ask(case.sized(new.context)))
        elif drawn.random() < 0.5:
            reply = old.ask(case.sized(old.context))
            found = Trial(case, reply, new.ask(case.sized(new.context)))
        else:
            reply = new.ask(case.sized(new.context))
            found = Trial(case, old.ask(case.sized(old.context)), reply)
        yield found
        told(at, len(cases))
        if in_vain is not None and not case.must_fail:
            in_vain = None if found.old.error is None else in_vain + 1
            if in_vain == IN_VAIN:
                raise EngineFailed(
                    f"the old side, {masked(old.name)}, answered none of {IN_VAIN} requests: "
                    f"{found.old.error}",
                    found.old.hint or "what it takes: llmrr migrate validate --help",
                )  # fmt: skip


def require_different(old: System, new: System) -> None:
    """Raise ``UsageError`` where all that may answer on one side is what answers on the other."""
    if old.likenesses and new.likenesses:
        same = [[(one, it) for it in new.likenesses if is_same(one, it)] for one in old.likenesses]
        among_new = {it.name for pairs in same for _, it in pairs}
        if all(same) and len(among_new) == len({it.name for it in new.likenesses}):
            raise _refused(*same[0][0])
    if isinstance(old, AddressSystem):
        for it in new.likenesses:
            if it.remote and is_at(it.remote[0], *old.place) and old.names(it.remote[1]):
                raise _refused(Likeness(old.name, it.engine, it.remote), it)


def same_engine(trial: Trial) -> bool:
    """Whether the same engine answered both from the same weights: a fallback may lead there."""
    one, other = trial.old.likeness, trial.new.likeness
    return one is not None and other is not None and is_same(one, other)


def require_compared(trials: Sequence[Trial]) -> None:
    """Raise ``LlmrrError`` where a fallback of one side answered everything that both answered."""
    both = [one for one in trials if one.old.error is None and one.new.error is None]
    if both and all(map(same_engine, both)):
        one, other = both[0].old.likeness, both[0].new.likeness
        assert one is not None and other is not None
        raise _refused(one, other)


def _refused(one: Likeness, other: Likeness) -> LlmrrError:
    what = other.engine if one.remote is None else f"{one.remote[1]} at {one.remote[0] or '?'}"
    return UsageError(
        f"both sides are the same: {one.name} and {other.name} are answered by {what} from the "
        "same weights, and so there is nothing to compare",
        "--old openai:gpt-4o, --old-command CMD or --old-url URL: what answered before",
    )
