"""One walk over a file: what is bound where, and every call with the block it stands in."""

import ast
from collections.abc import Iterable
from typing import NamedTuple

from llmrr.migrate.python.nodes import (
    Function,
    Place,
    children,
    dotted_name,
    end,
    is_static,
    outer,
    parameters,
    start,
    unwrapped,
)
from llmrr.migrate.python.scopes import Binding, Block, Change, Scope

_EMPTY = frozenset({ast.Constant, ast.Name, ast.Load, ast.Store, ast.Del})
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


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
                    self._assign(target, node.value, block, end(node))
            case ast.AnnAssign():
                if node.value is not None:
                    self._expression(node.value, block)
                    self._assign(node.target, node.value, block, end(node))
                elif isinstance(node.target, ast.Name):
                    block.scope.declared.add(node.target.id)
            case ast.AugAssign():
                self._augment(node, block)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self._expression(item.context_expr, block)
                    if item.optional_vars is not None:
                        after = end(item.optional_vars)
                        self._assign(item.optional_vars, item.context_expr, block, after)
                self._suite(node.body, block)
            case ast.Return() if node.value is not None:
                self.returns[id(node.value)] = block
                self._expression(node.value, block)
            case ast.For() | ast.AsyncFor() | ast.While():
                self._loop(node, block)
            case _:
                self._other(node, block)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, block: Block) -> None:
        inner = Block(block.scope, block, loop=True)
        if isinstance(node, ast.While):
            self._expression(node.test, inner)
        else:
            self._expression(node.iter, block)
            self._assign(node.target, None, inner, end(node.target))
        self._suite(node.body, inner)
        self._suite(node.orelse, Block(block.scope, block))

    def _other(self, node: ast.AST, block: Block) -> None:
        """Every other statement: its expressions, and the statements in it in blocks of their
        own."""
        if isinstance(node, ast.ExceptHandler) and node.name:
            self._bind(node.name, Binding(None, block, (node.lineno, node.col_offset)))
        if isinstance(node, ast.Delete):
            for target in node.targets:
                self._assign(target, None, block, end(node))
        if isinstance(node, ast.MatchAs | ast.MatchStar | ast.MatchMapping):
            name = node.rest if isinstance(node, ast.MatchMapping) else node.name
            if name:
                self._bind(name, Binding(None, block, end(node)))
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
        self._bind(node.name, Binding(node, block, start(node)))
        scope = Scope("function", block.scope, node.name, node)
        if block.scope.kind == "class" and not is_static(node):
            first = (*node.args.posonlyargs, *node.args.args)
            scope.me = first[0].arg if first else None
        inner = Block(scope, block)
        for one in parameters(node.args):
            is_plain = one not in (node.args.vararg, node.args.kwarg)
            scope.bindings[one.arg] = [Binding(one if is_plain else None, inner, start(node))]
        scope.outer |= outer(node.body)
        self.functions[id(node)] = inner
        self._suite(node.body, inner)

    def _class(self, node: ast.ClassDef, block: Block) -> None:
        for one in (*node.decorator_list, *node.bases, *(key.value for key in node.keywords)):
            self._expression(one, block)
        self._bind(node.name, Binding(node, block, start(node)))
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
            self._bind(name, Binding(dotted, block, end(node)))

    def _augment(self, node: ast.AugAssign, block: Block) -> None:
        self._expression(node.value, block)
        if isinstance(node.target, ast.Name):
            name, after = node.target.id, end(node)
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
                self._assign(node.target, node.value, at, end(node))
            elif isinstance(node, ast.Lambda | _COMPREHENSIONS):
                at = self._inner(node, at)
            stack += [(one, at, False) for one in children(node) if type(one) not in _EMPTY]

    def _inner(self, node: ast.AST, block: Block) -> Block:
        """The block of a lambda or comprehension, in which its names are not known."""
        scope = Scope("inner", block.scope)
        inner = Block(scope, block)
        names: Iterable[str] = ()
        if isinstance(node, ast.Lambda):
            names = [one.arg for one in parameters(node.args)]
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
            plain = node.func.attr == "append" and len(node.args) == 1
            anywhere = node.func.attr not in ("append", "extend")
            if name is not None and name != "os.environ":
                added = node.args[0] if plain else None
                self._change(name, Change(None, added, block, end(node), anywhere))
