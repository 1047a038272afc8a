"""Names and where they are bound; calls and where they stand.

A scope is a module, a class, a function, or the inside of a comprehension. A block is a list of
statements that run one after the other: of two of one scope, the outer one runs before what follows
in it, the inner one perhaps.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Place = tuple[int, int]  # line, column

Function = ast.FunctionDef | ast.AsyncFunctionDef
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Binding(NamedTuple):
    """A name that is given something: an expression, a definition, a dotted name that is imported,
    or None for what is not known (a parameter, an item of a loop). ``after`` is from where it
    counts; ``part`` is the index in what is unpacked; ``default`` that of a parameter, ``of`` its
    function."""

    to: ast.expr | Function | ast.ClassDef | str | None
    block: "Block"
    after: Place
    part: int | None = None
    default: ast.expr | None = None
    of: Function | None = None


class Change(NamedTuple):
    """Something put into a list or dict: under ``key``, or anywhere (None)."""

    key: str | None
    to: ast.expr | None  # None where it is not certain
    block: "Block"
    after: Place


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

    def around(self) -> "Iterator[Block]":
        """Itself and those around it in the same scope."""
        block: Block | None = self
        while block is not None and block.scope is self.scope:
            yield block
            block = block.parent


class Found(NamedTuple):
    """A call, or an ``a | b``, with its block and the names that it is assigned to."""

    node: ast.Call | ast.BinOp
    block: Block


class Walk:
    """One walk over a file: ``module``, ``found`` in the order of lines (an inner call before the
    one around it), ``targets`` of calls by the ``id`` of their node, ``attributes`` that are set by
    their dotted name, ``classes`` by the ``id`` of their node."""

    def __init__(self, tree: ast.Module) -> None:
        self.module = Scope("module", None, node=tree)
        self.found: list[Found] = []
        self.targets: dict[int, list[str]] = {}
        self.attributes: dict[str, list[Binding]] = {}
        self.classes: dict[int, Scope] = {}
        self.functions: dict[int, Block] = {}
        self.returns: dict[int, Block] = {}  # where they stand, by the ``id`` of what they give
        self.top = Block(self.module)
        self._suite(tree.body, self.top)

    def _suite(self, body: Iterable[ast.stmt], block: Block) -> None:
        for statement in body:
            self._statement(statement, block)

    def _statement(self, node: ast.stmt, block: Block) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node, block)
            case ast.ClassDef():
                self._class(node, block)
            case ast.Import() | ast.ImportFrom():
                self._import(node, block)
            case ast.Global() | ast.Nonlocal():
                block.scope.outer.update(node.names)
            case ast.Assign():
                self._expression(node.value, block)
                for target in node.targets:
                    self._assign(target, node.value, block, _end(node))
            case ast.AnnAssign():
                if node.value is not None:
                    self._expression(node.value, block)
                    self._assign(node.target, node.value, block, _end(node))
                elif isinstance(node.target, ast.Name):
                    block.scope.declared.add(node.target.id)
            case ast.AugAssign():
                self._augment(node, block)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self._expression(item.context_expr, block)
                    if item.optional_vars is not None:
                        after = _end(item.optional_vars)
                        self._assign(item.optional_vars, item.context_expr, block, after)
                self._suite(node.body, block)
            case ast.For() | ast.AsyncFor() | ast.While():
                self._loop(node, block)
            case ast.Return() if node.value is not None:
                self.returns[id(node.value)] = block
                self._expression(node.value, block)
            case _:
                self._other(node, block)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, block: Block) -> None:
        inner = Block(block.scope, block, loop=True)
        if isinstance(node, ast.While):
            self._expression(node.test, inner)
        else:
            self._expression(node.iter, block)
            self._assign(node.target, None, inner, _end(node.target))
        self._suite(node.body, inner)
        self._suite(node.orelse, Block(block.scope, block))

    def _other(self, node: ast.AST, block: Block) -> None:
        """Every other statement: its expressions, and the statements in it in blocks of their
        own."""
        if isinstance(node, ast.ExceptHandler) and node.name:
            self._bind(node.name, Binding(None, block, (node.lineno, node.col_offset)))
        if isinstance(node, ast.Delete):
            for target in node.targets:
                self._assign(target, None, block, _end(node))
        if isinstance(node, ast.MatchAs | ast.MatchStar | ast.MatchMapping):
            name = node.rest if isinstance(node, ast.MatchMapping) else node.name
            if name:
                self._bind(name, Binding(None, block, _end(node)))
        for _, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                self._expression(value, block)
            elif isinstance(value, ast.AST):
                self._other(value, block)
            elif isinstance(value, list) and value:
                self._listed(value, block)

    def _listed(self, parts: list[ast.AST], block: Block) -> None:
        inner = Block(block.scope, block)
        for part in parts:
            if isinstance(part, ast.stmt):
                self._statement(part, inner)
            elif isinstance(part, ast.expr):
                self._expression(part, block)
            elif isinstance(part, ast.AST):
                self._other(part, Block(block.scope, block))

    def _function(self, node: Function, block: Block) -> None:
        for decorator in node.decorator_list:
            self._expression(decorator, block)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self._expression(default, block)
        self._bind(node.name, Binding(node, block, _start(node)))
        scope = Scope("function", block.scope, node.name, node)
        if block.scope.kind == "class" and not _is_static(node):
            first = (*node.args.posonlyargs, *node.args.args)
            scope.me = first[0].arg if first else None
        inner = Block(scope, block)
        defaults = _defaults(node.args)
        for name in _parameters(node.args):
            binding = Binding(None, inner, _start(node), default=defaults.get(name), of=node)
            scope.bindings[name] = [binding]
        scope.outer |= _outer(node.body)
        self.functions[id(node)] = inner
        self._suite(node.body, inner)

    def _class(self, node: ast.ClassDef, block: Block) -> None:
        for one in (*node.decorator_list, *node.bases, *(key.value for key in node.keywords)):
            self._expression(one, block)
        self._bind(node.name, Binding(node, block, _start(node)))
        scope = self.classes[id(node)] = Scope("class", block.scope, node.name, node)
        self._suite(node.body, Block(scope, block))

    def _import(self, node: ast.Import | ast.ImportFrom, block: Block) -> None:
        for one in node.names:
            if isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                joint = "" if module.endswith(".") else "."
                name, dotted = one.asname or one.name, f"{module}{joint}{one.name}"
            else:
                name = one.asname or one.name.partition(".")[0]
                dotted = one.name if one.asname else name
            self._bind(name, Binding(dotted, block, _end(node)))

    def _augment(self, node: ast.AugAssign, block: Block) -> None:
        self._expression(node.value, block)
        if isinstance(node.target, ast.Name):
            name, after = node.target.id, _end(node)
            added = isinstance(node.op, ast.Add)
            if added and isinstance(node.value, ast.List | ast.ListComp | ast.Call):
                self._change(name, Change(None, None, block, after))
            else:
                self._bind(name, Binding(None, block, after))

    def _assign(
        self, target: ast.expr, value: ast.expr | None, block: Block, after: Place,
        part: int | None = None,
    ) -> None:  # fmt: skip
        name = dotted_name(target)
        if name is not None:
            called = unwrapped(value) if value is not None else None
            if isinstance(called, ast.Call | ast.BinOp):
                self.targets.setdefault(id(called), []).append(name)
            binding = Binding(value, block, after, part)
            if isinstance(target, ast.Name):
                self._bind(name, binding)
            else:
                self._attribute(name, binding)
        elif isinstance(target, ast.Tuple | ast.List):
            self._unpack(target, value, block, after)
        elif isinstance(target, ast.Starred):
            self._assign(target.value, None, block, after)
        elif isinstance(target, ast.Subscript):
            self._expression(target, block)
            self._put(target, value, block, after)

    def _unpack(
        self, target: ast.Tuple | ast.List, value: ast.expr | None, block: Block, after: Place
    ) -> None:
        parts = value.elts if isinstance(value, ast.Tuple | ast.List) else None
        plain = not any(isinstance(one, ast.Starred) for one in (*target.elts, *(parts or ())))
        for at, one in enumerate(target.elts):
            if parts is not None and plain and len(parts) == len(target.elts):
                self._assign(one, parts[at], block, after)
            else:
                self._assign(one, None if parts is not None else value, block, after, at)

    def _put(self, target: ast.Subscript, value: ast.expr | None, block: Block, after: Place
             ) -> None:  # fmt: skip
        name, key = dotted_name(target.value), target.slice
        if name is None:
            return
        word = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
        if name == "os.environ" and word:
            self.attributes.setdefault(f"os.environ.{word}", []).append(
                Binding(value, block, after)
            )
        else:
            self._change(name, Change(word, value, block, after))

    def _bind(self, name: str, binding: Binding) -> None:
        scope: Scope = binding.block.scope
        if scope.kind == "inner" or name in scope.outer:
            while scope.parent is not None and (scope.kind == "inner" or name in scope.outer):
                scope = scope.parent
        scope.bindings.setdefault(name, []).append(binding)

    def _attribute(self, name: str, binding: Binding) -> None:
        root, _, rest = name.partition(".")
        owner = binding.block.scope.owner
        if owner is not None and owner[0] == root:
            owner[1].attributes.setdefault(rest, []).append(binding)
        else:
            self.attributes.setdefault(name, []).append(binding)

    def _change(self, name: str, change: Change) -> None:
        scope = change.block.scope.holding(name.partition(".")[0]) or change.block.scope
        scope.changes.setdefault(name, []).append(change)

    def _expression(self, root: ast.expr, block: Block) -> None:
        """Every call in an expression, without recursion: expressions may be deep."""
        stack: list[tuple[ast.AST, Block, bool]] = [(root, block, False)]
        while stack:
            node, at, done = stack.pop()
            kind = type(node)
            if kind is ast.Constant or kind is ast.Name:
                continue
            if done:
                assert isinstance(node, ast.Call | ast.BinOp)
                self.found.append(Found(node, at))
                continue
            if isinstance(node, ast.Call):
                stack.append((node, at, True))
                self._method(node, at)
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
                stack.append((node, at, True))
            elif isinstance(node, ast.NamedExpr):
                self._assign(node.target, node.value, at, _end(node))
            elif isinstance(node, ast.Lambda | _COMPREHENSIONS):
                at = self._inner(node, at)
            stack.extend((one, at, False) for one in _children(node))

    def _inner(self, node: ast.AST, block: Block) -> Block:
        """The block of a lambda or comprehension, in which its names are not known."""
        scope = Scope("inner", block.scope)
        inner = Block(scope, block)
        names: Iterable[str] = ()
        if isinstance(node, ast.Lambda):
            names = _parameters(node.args)
        elif isinstance(node, _COMPREHENSIONS):
            names = [
                one.id for part in node.generators for one in ast.walk(part.target)
                if isinstance(one, ast.Name)
            ]  # fmt: skip
        for name in names:
            scope.bindings[name] = [Binding(None, inner, (0, 0))]
        return inner

    def _method(self, node: ast.Call, block: Block) -> None:
        """What a call puts into the list or dict that it is called on."""
        if not isinstance(node.func, ast.Attribute):
            return
        if node.func.attr in ("append", "extend", "insert", "update", "pop", "clear", "remove",
                              "setdefault"):  # fmt: skip
            name = dotted_name(node.func.value)
            if name is not None and name != "os.environ":
                self._change(name, Change(None, None, block, _end(node)))


def dotted_name(node: ast.expr) -> str | None:
    """``a`` and ``a.b.c`` as a text; None for any other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join((node.id, *reversed(parts)))


def unwrapped(node: ast.expr) -> ast.expr:
    """What ``await`` and ``:=`` are about."""
    while isinstance(node, ast.Await | ast.NamedExpr):
        node = node.value
    return node


def _children(node: ast.AST) -> list[ast.AST]:
    """The parts of a node, the last first."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [one for one in value if isinstance(one, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    found.reverse()
    return found


def _start(node: ast.stmt) -> Place:
    return node.lineno, node.col_offset


def _end(node: ast.stmt | ast.expr | ast.pattern) -> Place:
    return node.end_lineno or 0, node.end_col_offset or 0


def _parameters(args: ast.arguments) -> Iterator[str]:
    for one in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg):
        if one is not None:
            yield one.arg


def _defaults(args: ast.arguments) -> dict[str, ast.expr]:
    """Those of parameters that are plain: what they are does not depend on where they stand."""
    listed = [*args.posonlyargs, *args.args]
    given = [*zip(reversed(listed), reversed(args.defaults), strict=False)]
    given += [(name, one) for name, one in zip(args.kwonlyargs, args.kw_defaults, strict=True)
              if one is not None]  # fmt: skip
    return {name.arg: one for name, one in given if not _is_empty(one)}


def _is_empty(node: ast.expr) -> bool:
    """Whether a default says nothing, or is a switch."""
    return isinstance(node, ast.Constant) and (
        node.value is None or node.value == "" or isinstance(node.value, bool)
    )


def _outer(body: Iterable[ast.stmt]) -> set[str]:
    return {
        name for one in body if isinstance(one, ast.Global | ast.Nonlocal) for name in one.names
    }


def _is_static(node: Function) -> bool:
    return any(dotted_name(one) == "staticmethod" for one in node.decorator_list)
