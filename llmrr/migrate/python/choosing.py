"""Which binding of a name holds at a place, if that is certain."""

import ast
from collections.abc import Sequence
from typing import Final

from llmrr.migrate.python.nodes import Place
from llmrr.migrate.python.scopes import Binding, Block

BRANCHES: Final = 12  # bindings of one name of which it is said what they give
MOST: Final = 200  # bindings of one name that are looked at: such code is written by programs


def holding(bindings: Sequence[Binding], block: Block, place: Place) -> Binding | None:
    """The binding that a name has at a place in a block, or None where it depends.

    The only one; else, in straight lines, the last one before. Of several that are imports the
    first; what was nothing before it was made by a call is what the call gave.
    """
    if len(bindings) == 1:
        return bindings[0]
    if len(bindings) > MOST:
        return None
    if bindings[0].block.scope is block.scope:
        found = _last(bindings, block, place)
        if found is not None:
            return found
    some = [one for one in bindings if not _is_none(one)]
    imports = [one for one in some if isinstance(one.to, str)]
    if imports and len(imports) == len(some):
        return imports[0]
    if len(some) == 1 and isinstance(some[0].to, ast.Call):
        return some[0]
    return None


def _last(bindings: Sequence[Binding], block: Block, place: Place) -> Binding | None:
    """The last one before, where it is sure to have run, and none after it comes round again."""
    before = [one for one in bindings if one.after <= place]
    if not before or any(one.block.scope is not block.scope for one in bindings):
        return None
    last = max(before, key=lambda one: one.after)
    around = list(block.around())
    if last.block not in around:
        return None
    for outer in around[: around.index(last.block)]:
        if outer.loop and any(outer in one.block.around() for one in bindings if one is not last):
            return None
    return last


def _is_none(binding: Binding) -> bool:
    return isinstance(binding.to, ast.Constant) and binding.to.value is None
