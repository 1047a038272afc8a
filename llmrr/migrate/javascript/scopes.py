"""Which names a file declares, where they are seen, and what they are given."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass(frozen=True, slots=True)
class Given:
    """What a name is given: the value of ``node``, then what lies in it at ``path`` (a pattern took
    it apart); ``default`` where that is nothing."""

    node: "Node"
    scope: "Scope"
    path: tuple[str | int, ...] = ()
    default: "Node | None" = None


@dataclass(slots=True)
class Binding:
    """A name. ``is_open``: it may be anything (a parameter, a loop's variable, one that counts).
    ``module`` is the dotted name of what was imported under it; a parameter is given its default.
    """

    given: list[Given] = field(default_factory=list)
    is_open: bool = False
    is_parameter: bool = False
    module: str | None = None
    function: "Node | None" = None
    pushed: bool = False  # something is put at its end later
    members: dict[str, "Binding"] = field(default_factory=dict)  # attributes that are assigned


@dataclass(eq=False, slots=True)
class Scope:
    """A module, function, class or block, and what is declared in it. A class declares ``this``,
    whose members are those of its objects. ``returns`` are what a function gives back."""

    parent: "Scope | None" = None
    kind: str = "block"
    function: str | None = None
    names: dict[str, Binding] = field(default_factory=dict)
    returns: list[Given] = field(default_factory=list)

    def find(self, name: str) -> Binding | None:
        """The binding that a name stands for here."""
        for scope in self.outwards():
            if name in scope.names:
                return scope.names[name]
        return None

    def outwards(self) -> "Iterator[Scope]":
        """This scope and those around it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def nearest(self, *kinds: str) -> "Scope":
        """The innermost of a kind around here; else the module."""
        found = self
        for found in self.outwards():
            if found.kind in kinds:
                break
        return found

    def declare(self, name: str) -> Binding:
        """The binding of a name that is declared here."""
        return self.names.setdefault(name, Binding())

    def member(self, dotted: str) -> Binding:
        """The binding of an attribute (``this.client``, ``Settings.llm``)."""
        first, _, rest = dotted.partition(".")
        home = self.find(first)
        if home is None or (first == "this" and self.nearest("class", "module").kind == "class"):
            kinds = ("class", "module") if first == "this" else ("module",)
            home = self.nearest(*kinds).declare(first)
        return home.members.setdefault(rest, Binding())
