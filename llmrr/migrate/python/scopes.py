"""Names and where they are bound.

A scope is a module, a class, a function, or the inside of a comprehension. A block is a list of
statements that run one after the other: of two of one scope, the outer one runs before what follows
in it, the inner one perhaps.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from llmrr.migrate.python.nodes import Function, Place


class Binding(NamedTuple):
    """A name that is given something: an expression, a definition, a parameter, a dotted name that
    is imported, or None for what is not known (an item of a loop). ``after`` is from where it
    counts; ``part`` is the index in what is unpacked."""

    to: ast.expr | Function | ast.ClassDef | ast.arg | str | None
    block: "Block"
    after: Place
    part: int | None = None


class Change(NamedTuple):
    """Something put into a list or dict: under ``key``, or (None) at the end; ``anywhere`` is what
    may change all of it."""

    key: str | None
    to: ast.expr | None  # None where it is not known
    block: "Block"
    after: Place
    anywhere: bool = False


@dataclass(eq=False, slots=True)
class Scope:
    """``bindings`` by name; ``attributes`` of a class are those that its methods set on
    themselves; ``changes`` are by name too. ``me`` is what a method calls its object."""

    kind: Literal["module", "class", "function", "inner"]
    parent: "Scope | None"
    name: str | None = None
    node: ast.AST | None = None
    me: str | None = None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    attributes: dict[str, list[Binding]] = field(default_factory=dict)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    outer: set[str] = field(default_factory=set)  # global and nonlocal names
    declared: set[str] = field(default_factory=set)  # with a type and without a value

    def holding(self, name: str) -> "Scope | None":
        """The scope that a name is looked up in, seen from here."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.bindings and (scope is self or scope.kind != "class"):
                return scope
            scope = scope.parent
        return None

    @property
    def function(self) -> str | None:
        """The function around it."""
        scope: Scope | None = self
        while scope is not None and scope.kind != "function":
            scope = scope.parent
        return scope.name if scope else None

    @property
    def owner(self) -> "tuple[str, Scope] | None":
        """What the method around it calls its object, and the scope of the class."""
        scope: Scope | None = self
        while scope is not None:
            if scope.me and scope.parent and scope.parent.kind == "class":
                return scope.me, scope.parent
            scope = scope.parent
        return None


@dataclass(eq=False, slots=True)
class Block:
    """Statements that run one after the other."""

    scope: Scope
    parent: "Block | None" = None
    loop: bool = False

    @property
    def is_outermost(self) -> bool:
        """Whether it always runs when its scope does."""
        return self.parent is None or self.parent.scope is not self.scope

    @property
    def in_loop(self) -> bool:
        """Whether it may run more than once where its scope runs once."""
        return any(one.loop for one in self.around())

    def around(self) -> "Iterator[Block]":
        """Itself and those around it in the same scope."""
        block: Block | None = self
        while block is not None and block.scope is self.scope:
            yield block
            block = block.parent
