"""Runnables taken apart: chains of models, and prompts that wait for one."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from llmrr.migrate.artefact import Model
from llmrr.migrate.readers.langchain.sketches import Sketch
from llmrr.migrate.values import Call, Unresolved, Value

_CIRCLES: Final = 200  # chains among which circles are looked for
Chain = tuple[Model, ...]  # a model and what follows when it fails


class Part(NamedTuple):
    """``chains`` are the models that a runnable asks, the first of each by itself; ``waiting`` are
    prompts that go to the next model. ``is_open``: only one of the chains is asked, and branches
    of the code decide which."""

    chains: tuple[Chain, ...] = ()
    waiting: tuple[Sketch, ...] = ()
    is_open: bool = False


NOTHING: Final = Part()


def link(waiting: Iterable[Sketch], to: Part) -> None:
    """Prompts go to the first model of a runnable, where it is certain which that is."""
    for one in waiting:
        if to.chains and not to.is_open:
            one.models.append(to.chains[0][0])


def beside(parts: Iterable[Part]) -> Part:
    """What stands side by side."""
    found = list(parts)
    chains = (chain for one in found for chain in one.chains)
    waiting = (one for part in found for one in part.waiting)
    return Part(distinct(chains), tuple(dict.fromkeys(waiting)), any(one.is_open for one in found))


def one_of(parts: Iterable[Part]) -> Part:
    """What is one of several, as branches decide."""
    found = beside(parts)
    return found._replace(is_open=len({id(chain[0]) for chain in found.chains}) > 1)


def distinct(chains: Iterable[Chain]) -> tuple[Chain, ...]:
    """Chains, each once, in their order."""
    return tuple({tuple(map(id, one)): one for one in chains}.values())


def items(value: list[Value] | dict[str, Value]) -> Iterator[Value]:
    """What is in a list, or the values of a dict."""
    yield from value.values() if isinstance(value, dict) else value


def within(value: Value) -> tuple[Call, ...]:
    """The calls in a list or a dict, each once; what is in several of its parts is seen once."""
    found: dict[int, Call] = {}
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Call):
            found[id(one)] = one
        elif isinstance(one, list | dict) and id(one) not in seen:
            seen.add(id(one))
            waiting += items(one)
    return tuple(found.values())


def uses(calls: Iterable[Call]) -> Counter[int]:
    """How often each call is used by another one."""
    used: Counter[int] = Counter()
    held: dict[int, tuple[Call, ...]] = {}  # of a constant that may be used a thousand times
    for call in calls:
        for value in (call.receiver, *call.among, *call.args, *call.fields.values()):
            if isinstance(value, Call):
                used[id(value)] += 1
            elif isinstance(value, Unresolved):
                used.update(id(one) for one in value.calls)
            elif isinstance(value, list | dict):
                if id(value) not in held:
                    held[id(value)] = within(value)
                used.update(id(one) for one in held[id(value)])
    return used


def has_conditions(stated: Mapping[str, Value]) -> bool:
    """Whether a fallback is taken only after some exceptions; ``Exception`` is all of them."""
    given = stated.get("exceptions_to_handle")
    if isinstance(given, Call | Unresolved):
        given = [given]
    said = [one.text for one in given or [] if isinstance(one, Call | Unresolved)] if (
        isinstance(given, list)) else []  # fmt: skip
    return bool(stated.get("exception_key")) or any(
        one.strip("()<>,") not in ("Exception", "class 'Exception'", "BaseException")
        for one in said
    )


def names(chain: Chain) -> tuple[str, ...]:
    """A chain as findings have it."""
    return tuple(one.name for one in chain)


def circle(chains: Iterable[tuple[str, ...]]) -> str | None:
    """Two names of which each stands behind the other."""
    behind: dict[str, set[str]] = {}
    for first, *rest in chains:
        behind.setdefault(first, set()).update(rest)
    for start, after in behind.items() if len(behind) <= _CIRCLES else ():
        seen: set[str] = set()
        ahead = sorted(after)
        while ahead:
            one = ahead.pop()
            if one == start:
                return ", ".join([start, *sorted(seen & after or after)])
            if one not in seen:
                seen.add(one)
                ahead += sorted(behind.get(one, ()))
    return None
