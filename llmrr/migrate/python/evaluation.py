"""Expressions of Python to values."""

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from llmrr.errors import DamagedFile
from llmrr.migrate.alternatives import with_calls
from llmrr.migrate.parsing.shapes import LARGEST
from llmrr.migrate.python import known
from llmrr.migrate.python.calls import Calls
from llmrr.migrate.python.classes import Classes
from llmrr.migrate.python.modules import Modules
from llmrr.migrate.python.nodes import unwrapped
from llmrr.migrate.python.operators import Operators
from llmrr.migrate.python.parameters import Parameters
from llmrr.migrate.python.scopes import Block
from llmrr.migrate.python.syntax import Source
from llmrr.migrate.python.variables import Names, Variables
from llmrr.migrate.python.walk import Walk
from llmrr.migrate.values import Call, Code, Env, OneOf, Unresolved, Value

_DEEPEST: Final = 60  # expressions in one another; what is deeper is not known
_MOST: Final = 25_000  # calls of a file; a second goes into them
_LARGEST: Final = 50_000  # what a list or dict may hold, all that is in it counted where it stands


class Evaluator:
    """Evaluates what stands in one file. Every node has one value, which is kept."""

    def __init__(self, source: Source, path: Path, modules: Modules | None = None) -> None:
        self.source, self.file, self.modules = source, path.name, modules
        self.walk = Walk(source.tree)
        self.classes, self.variables = Classes(self, self.walk), Variables(self)
        self.calls, self.operators = Calls(self), Operators(self)
        self.parameters = Parameters(self)
        self._values: dict[int, Value] = {}
        self._sizes: dict[int, tuple[Value, int]] = {}  # of lists and dicts, which are kept alive
        self._open: set[int] = set()  # what is evaluated now, and may speak of itself
        self._depth = 0
        self._aside: list[ast.expr] = []  # kept alive, for values are known by the node's id

    def code(self) -> Code:
        """The file: its calls are evaluated at once, its names when they are asked for.
        Raises ``DamagedFile``."""
        if len(self.walk.found) > _MOST:
            raise DamagedFile("more calls than somebody wrote by hand", "leave this file out")
        calls = []
        for node, block in self.walk.found:
            if isinstance(node, ast.Call):
                calls.append(self.calls.call(node, block))
            elif isinstance(both := self.value(node, block), Call):
                calls.append(both)
        return Code("python", self._imports(), tuple(calls), Names(self))

    def _imports(self) -> dict[str, str]:
        found: dict[str, str] = {}
        scopes = [self.walk.module, *(one.scope for one in self.walk.functions.values())]
        for scope in scopes:
            for name, bindings in scope.bindings.items():
                for one in bindings:
                    if isinstance(one.to, str):
                        found.setdefault(name, one.to)
        return found

    def unresolved(self, node: ast.expr) -> Unresolved:
        """A node that is not known."""
        return Unresolved(self.source.text(node), node.lineno)

    def value(self, node: ast.expr, block: Block) -> Value:
        """What an expression in a block is known to be."""
        if isinstance(node, ast.Constant):
            plain = node.value
            if isinstance(plain, int) and abs(plain) > LARGEST:
                return self.unresolved(node)
            if plain is None or isinstance(plain, str | int | float):
                return plain
            return self.unresolved(node)
        key = id(node)
        if key in self._values:
            return self._values[key]
        if self._depth >= _DEEPEST or key in self._open:
            return self.unresolved(node)
        self._depth += 1
        self._open.add(key)
        try:
            found = self._evaluated(node, block)
            if isinstance(found, list | dict) and self._size(found) > _LARGEST:
                found = self.unresolved(node)
            self._values[key] = found
        finally:
            self._depth -= 1
            self._open.discard(key)
        return found

    def aside(self, node: ast.expr, block: Block) -> Value:
        """The value of an expression that does not stand in the file."""
        self._aside.append(node)
        return self.value(node, block)

    def _size(self, value: Value) -> int:
        """How much a value holds when it is written out: what is in it twice counts twice."""
        if isinstance(value, str):
            return 1 + len(value) // 100
        if not isinstance(value, list | dict):
            return 1
        known = self._sizes.get(id(value))
        if known is None:
            parts = value.values() if isinstance(value, dict) else value
            known = self._sizes[id(value)] = value, 1 + sum(map(self._size, parts))
        return known[1]

    @contextmanager
    def nested(self) -> Iterator[bool]:
        """One step deeper; whether that is allowed."""
        self._depth += 1
        try:
            yield self._depth <= _DEEPEST
        finally:
            self._depth -= 1

    def _evaluated(self, node: ast.expr, block: Block) -> Value:
        match node:
            case ast.Name():
                return self.variables.name(node, block)
            case ast.Attribute():
                return self.variables.attribute(node, block)
            case ast.Call():
                return self.calls.result(node, block)
            case ast.Dict():
                return self._dict(node, block)
            case ast.List() | ast.Tuple() | ast.Set():
                return self._list(node.elts, block)
            case ast.JoinedStr():
                return self.operators.joined(node, block)
            case ast.BinOp():
                return self.operators.operation(node, block)
            case ast.BoolOp():
                return self.operators.choice(node, block)
            case ast.IfExp():
                return self.operators.branches(node, block)
            case ast.Subscript():
                return self._item(node, block)
            case ast.Await() | ast.NamedExpr():
                return self.value(unwrapped(node), block)
            case ast.UnaryOp():
                return self.operators.signed(node, block)
        return self.unresolved(node)

    def _dict(self, node: ast.Dict, block: Block) -> Value:
        found: dict[str, Value] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            value = self.value(item, block)
            if key is None:
                if isinstance(value, dict):
                    found.update(value)
                else:
                    found["..."] = self.unresolved(item)
                continue
            name = self.value(key, block)
            if isinstance(name, str | int | float):
                found[str(name)] = value
            else:
                found["..."] = self.unresolved(key)
        return found

    def _list(self, parts: Sequence[ast.expr], block: Block) -> Value:
        found: list[Value] = []
        for one in parts:
            value = self.value(one.value if isinstance(one, ast.Starred) else one, block)
            if isinstance(one, ast.Starred) and isinstance(value, list):
                found += value
            else:
                found.append(self.unresolved(one) if isinstance(one, ast.Starred) else value)
        return found

    def _item(self, node: ast.Subscript, block: Block) -> Value:
        key = self.value(node.slice, block)
        if isinstance(key, str) and self.variables.dotted(node.value, block) in known.ENVIRONMENTS:
            return Env(key)
        if isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            base = self.value(node.value.value, block)
            if isinstance(base, str) and isinstance(key, int) and 0 <= key < 20:
                for _ in range(key + 1):
                    base = known.folder(base)
                return base
        whole = self.value(node.value, block)
        if isinstance(whole, Call) and whole.name == "dotenv_values" and isinstance(key, str):
            return Env(key)
        if isinstance(key, OneOf) and isinstance(whole, dict) and len(key.stated) == 1:
            found = whole.get(str(key.stated[0]))
            if isinstance(found, dict | list):
                return found
            if found is not None and "..." not in whole:
                return replace(key, values=(found,))
        if isinstance(whole, dict) and isinstance(key, str | int) and str(key) in whole:
            return self.unresolved(node) if "..." in whole else whole[str(key)]
        if isinstance(whole, list) and isinstance(key, int) and -len(whole) <= key < len(whole):
            return whole[key]
        if isinstance(whole, dict) and isinstance(key, Unresolved | Call | Env):
            return with_calls(self.unresolved(node), whole.values())
        return self.unresolved(node)
