"""Who follows whom when a model fails: lists of names, as ``llmrr.toml`` can hold them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Following(NamedTuple):
    """``chain`` is ``fallback_chain`` (None: there is none), ``own`` each model's own chain, and
    ``cut`` the pairs that would have gone round in a circle."""

    chain: tuple[str, ...] | None
    own: Mapping[str, tuple[str, ...]]
    cut: tuple[tuple[str, str], ...] = ()


def divided(models: Sequence[str], chains: Iterable[tuple[str, ...]]) -> Following:
    """Chains over these models, in their order. One that names all of them is for all; else each
    belongs to its first model, for the others were never asked after that.

    >>> divided(["a", "b"], [("a", "b")])
    Following(chain=('a', 'b'), own={}, cut=())
    >>> divided(["a", "b", "c"], [("a", "b")]).own
    {'a': ('b',)}
    >>> found = divided(["a", "b"], [("a", "b"), ("b", "a")])
    >>> found.own, found.cut
    ({'a': ('b',)}, (('b', 'a'),))
    """
    known = list(dict.fromkeys(chains))
    if len(known) == 1 and set(known[0]) == set(models):
        return Following(known[0], {})
    own: dict[str, list[str]] = {}
    cut: list[tuple[str, str]] = []
    for head, *rest in known:
        for name in rest:
            if name == head or name in own.get(head, []):
                continue
            if _leads(name, head, own):
                cut.append((head, name))
            else:
                own.setdefault(head, []).append(name)
    return Following(None, {head: tuple(names) for head, names in own.items()}, tuple(cut))


def _leads(start: str, end: str, own: Mapping[str, Sequence[str]]) -> bool:
    """Whether fallbacks lead from one model to another."""
    ways, seen = [start], set[str]()
    while ways:
        here = ways.pop()
        if here == end:
            return True
        if here not in seen:
            seen.add(here)
            ways += own.get(here, ())
    return False
