"""Which models leave memory for another one. Pure: what there is comes in, a decision goes out."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from llmrr.engines.base import Footprint, Load
from llmrr.errors import DoesNotFit

GIGABYTE = 1e9


class Held(NamedTuple):
    """A model in memory. ``used`` is when it was last of use, by the pool's clock; ``leases``
    counts who uses it now; ``keeps`` is for how many seconds it stays without that, where somebody
    said so; ``load`` what it has to do, ``footprint`` what it takes, and ``largest_context`` the
    most tokens that a sequence may have, as far as its engine says so."""

    key: Hashable
    name: str
    bytes: int
    used: float
    leases: int = 0
    keeps: float | None = None
    load: Load | None = None
    footprint: Footprint | None = None
    largest_context: int | None = None

    def expires(self, unload_after: float) -> float:
        """When it has been idle for too long, if nobody uses it until then."""
        return self.used + (unload_after if self.keeps is None else self.keeps)


class MemoryUse(NamedTuple):
    """How much of the memory that this process may use is in use, by whomever. More than all of it
    is more than can be in memory at once."""

    used_bytes: int
    limit_bytes: int

    @property
    def share(self) -> float:
        """Of the limit, 1 being all.

        >>> MemoryUse(3, 4).share
        0.75
        """
        return self.used_bytes / self.limit_bytes


class Rules(NamedTuple):
    """``[memory]``, as far as a decision rests on it; times are in seconds."""

    threshold: float = 0.8
    high: float = 0.9
    interval: float = 300.0
    auto_unload: bool = True
    unload_after: float = 300.0


class Plan(NamedTuple):
    """What a load takes: these are unloaded first, or these have to come to an end before. Neither
    where ``refused``."""

    evicted: tuple[Held, ...] = ()
    awaited: tuple[Held, ...] = ()
    refused: bool = False


def evict(held: Sequence[Held], excess: float) -> list[Held]:
    """What leaves so that ``excess`` bytes become free: of what is idle the least recently used,
    and nothing that need not; all that is idle where that is not enough. What runs stays.

    >>> old, big, new = Held(1, "old", 10, 1.0), Held(2, "big", 50, 2.0), Held(3, "new", 10, 3.0)
    >>> [one.name for one in evict([new, big, old], 5)], [one.name for one in evict([old, big], 20)]
    (['old'], ['big'])
    >>> evict([old._replace(leases=1)], 5), evict([old], 0)
    ([], [])
    """
    chosen: list[Held] = []
    freed = 0
    for one in sorted(held, key=lambda one: one.used):
        if freed >= excess:
            break
        if not one.leases and one.bytes:
            chosen.append(one)
            freed += one.bytes
    for one in chosen[:-1][::-1]:  # a large one may have made smaller ones needless
        if freed - one.bytes >= excess:
            chosen.remove(one)
            freed -= one.bytes
    return chosen


def plan(need: int, use: MemoryUse | None, held: Sequence[Held], rules: Rules) -> Plan:
    """What loading a model of ``need`` bytes takes, where ``held`` are in memory.

    Above the threshold what is idle leaves; above ``high`` nothing is loaded, nor beside other
    models what would bring memory there. A model alone is measured by its engine.

    >>> rules, a = Rules(), Held("a", "a", 40, 1.0)
    >>> plan(30, MemoryUse(45, 100), [a], rules)
    Plan(evicted=(), awaited=(), refused=False)
    >>> [one.name for one in plan(60, MemoryUse(45, 100), [a], rules).evicted]
    ['a']
    >>> [one.name for one in plan(60, MemoryUse(45, 100), [a._replace(leases=1)], rules).awaited]
    ['a']
    >>> plan(1, MemoryUse(95, 100), [], rules).refused
    True
    """
    if use is None:
        return Plan()
    high = rules.high * use.limit_bytes
    goal = min(rules.threshold, rules.high) if rules.auto_unload else rules.high
    gone = evict(held, use.used_bytes + need - goal * use.limit_bytes)
    if _has_room(need, use, held, gone, high):
        return Plan(tuple(gone))
    left = use.used_bytes - sum(one.bytes for one in gone)
    running = [one._replace(leases=0) for one in held if one.leases]
    ended = evict(running, left + need - high)
    if ended and _has_room(need, use, held, [*gone, *ended], high):
        return Plan(awaited=tuple(ended))
    return Plan(refused=True)


def expired(held: Sequence[Held], now: float, idle_s: float) -> list[Held]:
    """What has been idle for so long, or for as long as somebody said.

    >>> [one.name for one in expired([Held(1, "a", 1, 5.0), Held(2, "b", 1, 9.0)], 10.0, 5.0)]
    ['a']
    """
    return [one for one in held if not one.leases and now >= one.expires(idle_s)]


def due(held: Sequence[Held], now: float, rules: Rules) -> float:
    """Seconds until one of them may have been idle for too long, or memory is looked at.

    >>> due([Held(1, "a", 1, 90.0), Held(2, "b", 1, 0.0, leases=1)], 100.0, Rules(interval=400.0))
    290.0
    """
    if not rules.auto_unload:
        return rules.interval
    after = rules.unload_after
    first = min(one._replace(used=now if one.leases else one.used).expires(after) for one in held)
    return max(0.0, min(rules.interval, first - now))


def size_text(count: float) -> str:
    """A number of bytes, in words.

    >>> size_text(4.2e9), size_text(3.21e6)
    ('4.2 GB', '3.2 MB')
    """
    return f"{count / GIGABYTE:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def refusal(
    name: str, need: int | None, use: MemoryUse | None, held: Sequence[Held], rules: Rules
) -> str:
    """Why a model is not loaded, with the figures."""
    said = [f"{name} is not loaded: "]
    if use is not None:
        said.append(
            f"{size_text(use.used_bytes)} of {size_text(use.limit_bytes)} of memory are in use"
            f" ({use.share:.0%}), "
        )
    if need:
        said.append(f"it needs {size_text(need)}, ")
    loaded = (
        f"{one.name} ({size_text(one.bytes)}{', in use' if one.leases else ''})" for one in held
    )
    said.append(f"and [memory] high is {rules.high:.0%}; loaded: {', '.join(loaded) or 'nothing'}")
    return "".join(said)


def refused(
    name: str, need: int | None, use: MemoryUse | None, held: Sequence[Held], rules: Rules
) -> DoesNotFit:
    """What a model is refused with."""
    hint = "a smaller model, or [memory] high in llmrr.toml (LLMRR_MEMORY__HIGH, for once)"
    return DoesNotFit(refusal(name, need, use, held, rules), hint)


def _has_room(
    need: int, use: MemoryUse, held: Sequence[Held], gone: Sequence[Held], high: float
) -> bool:
    left = use.used_bytes - sum(one.bytes for one in gone)
    keys = {one.key for one in gone}
    beside = any(one.bytes and one.key not in keys for one in held)
    return left + (need if beside else 0) <= high
