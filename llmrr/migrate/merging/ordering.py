"""Groups whose members are asked in an order: only the first ones share the requests. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from llmrr.migrate.artefact import Model

Chain = tuple[str, ...]


def ordered(
    models: Sequence[Model], chains: Iterable[Chain]
) -> tuple[list[Model], list[Chain]]:
    """The models and the chains, where of each group only those of the lowest priority are left:
    the others follow when these fail, before what followed already. One without a priority comes
    last, as LiteLLM has it.

    >>> a, b = Model("a", "openai:a", group="g", priority=1), Model("b", "openai:b", group="g")
    >>> models, chains = ordered([a, b], [("a", "c"), ("x", "a")])
    >>> [one.group for one in models], chains
    (['g', None], [('a', 'b', 'c'), ('x', 'a')])
    """
    found, known = list(models), list(chains)
    for group in dict.fromkeys(one.group for one in models if one.group):
        members = [one for one in found if one.group == group]
        stated = sorted({one.priority for one in members if one.priority is not None})
        later = [one for one in members if one.priority not in stated[:1]] if stated else []
        if not later:
            continue
        later.sort(key=lambda one: (one.priority is None, one.priority or 0))
        names = tuple(one.name for one in later)
        firsts = [one.name for one in members if one not in later]
        found = [replace(one, group=None) if one.name in names else one for one in found]
        known = _followed(known, firsts, names)
    return found, known


def _followed(chains: Sequence[Chain], firsts: Sequence[str], names: Chain) -> list[Chain]:
    """The chains; each of these models is followed by those before anything else."""
    found = [
        (one[0], *names, *(name for name in one[1:] if name not in names))
        if one[0] in firsts else one for one in chains
    ]  # fmt: skip
    heads = {one[0] for one in chains}
    return [*found, *((first, *names) for first in firsts if first not in heads)]
