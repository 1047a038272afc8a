"""Parameters of functions and of command lines: their defaults, and what the calls in the same file
give them."""

import ast
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Final

from llmrr.migrate.alternatives import with_calls
from llmrr.migrate.python.nodes import Function, dotted_name
from llmrr.migrate.python.scopes import Block, Scope
from llmrr.migrate.values import Call, OneOf, Unresolved, Value

if TYPE_CHECKING:
    from llmrr.migrate.python.evaluation import Evaluator

_MOST: Final = 50  # calls of one function that are looked at
# Of typer, FastAPI and pydantic: what says more of a parameter, the default first.
_WRAPPED: Final = ("Option", "Argument", "Query", "Body", "Form", "Field", "Header", "Cookie")
_UNKNOWN: Final = Unresolved("?")


class Parameters:
    """The values of the parameters of a file."""

    def __init__(self, evaluator: "Evaluator") -> None:
        self._evaluator = evaluator
        self._values: dict[int, tuple[Value, ...]] = {}
        self._callers: dict[int, list[tuple[ast.Call, Block]]] = {}

    def value(self, parameter: ast.arg, block: Block, node: ast.expr) -> Value:
        """What a parameter is where ``node`` names it: a client or model that every call gives it
        is that one, all else stays a parameter."""
        function = block.scope.node
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        unknown = self._evaluator.unresolved(node)
        if id(parameter) not in self._values:
            self._values[id(parameter)] = ()  # a function may call itself
            self._values[id(parameter)] = tuple(self._found(parameter, function, block))
        values = self._values[id(parameter)]
        if len(values) == 1 and isinstance(values[0], Call):
            return values[0]
        known = tuple(one for one in values if not isinstance(one, Call | Unresolved))
        given = len(known) == len(values)
        assumed = not self._calls(function, block.scope) or not given
        found = OneOf(unknown.text, unknown.line, known, assumed, not assumed)
        return with_calls(found, values)

    def option(self, parser: Call, name: str, node: ast.expr) -> Value:
        """What ``parse_args().name`` is where the command line says nothing."""
        unknown = self._evaluator.unresolved(node)
        if name not in self._options:
            return unknown
        return OneOf(unknown.text, unknown.line, (self._options[name],), True)

    @cached_property
    def _options(self) -> dict[str, Value]:
        """The defaults of the options of ``argparse`` by their names."""
        found: dict[str, Value] = {}
        for node, block in self._named.get("add_argument", ()):
            stated = {one.arg: one.value for one in node.keywords if one.arg}
            name = _option([self._evaluator.value(one, block) for one in node.args])
            if "dest" in stated and isinstance(
                dest := self._evaluator.value(stated["dest"], block), str
            ):
                name = dest
            default = stated.get("default")
            value = None if default is None else self._evaluator.value(default, block)
            if name and not isinstance(value, Unresolved | Call):
                found.setdefault(name, value)
        return found

    @cached_property
    def _named(self) -> dict[str, list[tuple[ast.Call, Block]]]:
        """The calls of the file by the last part of what they call."""
        found: dict[str, list[tuple[ast.Call, Block]]] = {}
        for node, block in self._evaluator.walk.found:
            if isinstance(node, ast.Call):
                func = node.func
                name = func.id if isinstance(func, ast.Name) else getattr(func, "attr", "")
                found.setdefault(name, []).append((node, block))
        return found

    def _found(self, parameter: ast.arg, function: Function, block: Block) -> Iterator[Value]:
        """The distinct values: the default, if it is ever used, then those that calls give."""
        given: list[Value] = []
        used = False
        calls = self._calls(function, block.scope)
        for call, around in calls:
            value = self._argument(parameter.arg, function, block.scope, call, around)
            used = used or value is None
            if value is not None and not isinstance(value[0], OneOf):
                given += [] if value[0] in given else value
            elif value is not None:
                given += [one for one in value[0].values if one not in given]  # type: ignore[union-attr]
        if (shown := self._shown(parameter.arg, function)) is not None:
            yield shown
            return
        if used or not calls or all(isinstance(one, Unresolved) for one in given):
            default = self._default(parameter.arg, function, block)
            if not isinstance(default, Unresolved):
                yield default
                given = [one for one in given if one != default or type(one) is not type(default)]
        yield from given

    def _shown(self, name: str, function: Function) -> Value:
        """What the field of a parameter in Gradio's ``ChatInterface`` holds at first."""
        for node, block in self._named.get("ChatInterface", [])[:_MOST]:
            made = self._evaluator.value(node, block)
            func = node.args[0] if node.args else next(
                (one.value for one in node.keywords if one.arg == "fn"), None)  # fmt: skip
            inputs = made.fields.get("additional_inputs") if isinstance(made, Call) else None
            if func is None or self._evaluator.calls.local(func, block) is not function:
                continue
            ordered = [one.arg for one in function.args.args]
            at = ordered.index(name) - 2 if name in ordered else -1  # after message and history
            field = inputs[at] if isinstance(inputs, list) and 0 <= at < len(inputs) else None
            if isinstance(field, Call):
                first = field.args[2:3] if field.name == "Slider" else field.args[:1]
                return field.fields.get("value", first[0] if first else None)
        return None

    def _calls(self, function: Function, scope: Scope) -> list[tuple[ast.Call, Block]]:
        """The calls of a function of the file; of ``__init__`` those of its class."""
        if id(function) not in self._callers:
            self._callers[id(function)] = []
            self._callers[id(function)] = list(self._calling(function, scope))
        return self._callers[id(function)]

    def _calling(self, function: Function, scope: Scope) -> Iterator[tuple[ast.Call, Block]]:
        owner = scope.parent if scope.parent and scope.parent.kind == "class" else None
        makes = function.name == "__init__" and owner is not None
        name = owner.name if makes and owner is not None else function.name
        for node, block in self._named.get(name or "", [])[:_MOST]:
            if makes:
                if self._evaluator.classes.named(node.func, block) is owner:
                    yield node, block
            elif self._evaluator.calls.local(node.func, block) is function:
                yield node, block

    def _argument(
        self, name: str, function: Function, scope: Scope, call: ast.Call, block: Block
    ) -> list[Value] | None:
        """What a call gives to a parameter; None where it says nothing of it."""
        spread = any(one.arg is None for one in call.keywords)
        for one in call.keywords:
            if one.arg == name:
                return [self._evaluator.value(one.value, block)]
        ordered = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
        at = ordered.index(name) - (1 if scope.me else 0) if name in ordered else -1
        starred = any(isinstance(one, ast.Starred) for one in call.args[: at + 1])
        if 0 <= at < len(call.args) and not starred:
            return [self._evaluator.value(call.args[at], block)]
        return [_UNKNOWN] if spread or starred else None

    def _default(self, name: str, function: Function, block: Block) -> Value:
        """The default of a parameter; unresolved where it has none."""
        around = block.parent or block
        node = _default_node(name, function.args)
        if node is None:
            return self._of_click(name, function, around)
        if isinstance(node, ast.Call) and node.args and _last(node.func) == "Depends":
            made = ast.copy_location(ast.Call(node.args[0], [], []), node)
            return self._evaluator.aside(made, around)
        value = self._evaluator.value(node, around)
        if isinstance(value, Call) and value.name in _WRAPPED:
            return value.args[0] if value.args else value.fields.get("default", _UNKNOWN)
        return value

    def _of_click(self, name: str, function: Function, block: Block) -> Value:
        """What ``@click.option("--name", default=…)`` says."""
        for node in function.decorator_list:
            made = self._evaluator.value(node, block) if isinstance(node, ast.Call) else None
            is_option = isinstance(made, Call) and made.name in ("option", "argument")
            if is_option and isinstance(made, Call) and _option(made.args) == name:
                return made.fields.get("default", _UNKNOWN)
        return _UNKNOWN


def _option(names: "list[Value] | tuple[Value, ...]") -> str | None:
    """The name that an option is kept under.

    >>> _option(["-m", "--model-name"]), _option(["prompt"]), _option(["-m"])
    ('model_name', 'prompt', 'm')
    """
    texts = [one for one in names if isinstance(one, str)]
    plain = [one for one in texts if not one.startswith("-")]
    long = [one for one in texts if one.startswith("--")]
    chosen = next(iter((*plain, *long, *texts)), None)
    return chosen.lstrip("-").partition("/")[0].replace("-", "_") if chosen else None


def _default_node(name: str, args: ast.arguments) -> ast.expr | None:
    plain = [*args.posonlyargs, *args.args]
    for one, default in zip(reversed(plain), reversed(args.defaults), strict=False):
        if one.arg == name:
            return default
    for one, stated in zip(args.kwonlyargs, args.kw_defaults, strict=False):
        if one.arg == name:
            return stated
    return None


def _last(node: ast.expr) -> str:
    return (dotted_name(node) or "").rpartition(".")[2]
