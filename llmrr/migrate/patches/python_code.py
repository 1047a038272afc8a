"""Where things stand in a file of Python, and how the arguments of its calls are set."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from llmrr.migrate.patches.sheet import List, Sheet
from llmrr.migrate.python.nodes import span_of
from llmrr.migrate.python.syntax import tree_of
from llmrr.migrate.values import Call

_LINES: Final = re.compile(rb"\r\n|\r|\n")


class PythonCode:
    """A tree of a file, with the place of each node in its bytes. Raises ``SyntaxError`` or
    ``ValueError`` for what is not Python."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        text = sheet.body.decode().replace("\r\n", "\n").replace("\r", "\n")
        self.tree = tree_of(text)
        self._starts = [0, *(one.end() for one in _LINES.finditer(sheet.body))]
        self.calls = {
            span_of(node): node for node in ast.walk(self.tree) if isinstance(node, ast.Call)
        }

    def node(self, call: Call) -> ast.Call | None:
        """The node of a call that was evaluated."""
        return self.calls.get(call.span) if call.span else None

    def start(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        """Where a node begins, in bytes."""
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        """Where it ends."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.expr) -> str:
        """The source of a node."""
        return self.sheet.body[self.start(node) : self.end(node)].decode()

    def put(self, node: ast.expr, literal: str) -> None:
        """A text in the place of an expression, unless it says that already."""
        if not (isinstance(node, ast.Constant) and node.value == literal):
            self.sheet.replace(self.start(node), self.end(node), self.sheet.quoted(literal))

    def set_argument(self, call: Call, known: tuple[str, ...], name: str, value: str) -> None:
        """The argument that is called by one of ``known`` gets a value; else one is added."""
        node = self.node(call)
        if node is None:
            return
        stated = [one for one in node.keywords if one.arg in known]
        for one in stated:
            self.put(one.value, value)
        if stated:
            return
        if call.rest or set(known) & call.fields.keys():
            said = f"{name} is to be {value}: what is spread into {call.name} may state another"
            self.sheet.tell(call.line, said)
            return
        parts: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
        places = [(self.start(one), self.end(one)) for one in parts]
        last = max(places, key=lambda one: one[1]) if places else None
        items = List(last, self.end(node) - 1)
        self.sheet.add_item(items, f"{name}={self.sheet.quoted(value)}", "#")

    def rename(self, call: Call, field: str, old: str, new: str) -> None:
        """The model that a call names gets another name."""
        node = self.node(call)
        if node is None:
            return
        stated = next((one.value for one in node.keywords if one.arg == field), None)
        if stated is None and field == "" and node.args:
            stated = node.args[0]
        if isinstance(stated, ast.Constant) and isinstance(stated.value, str):
            self.put(stated, new)
        else:
            self.sheet.tell(call.line, f"{old} is called {new} in llmrr.toml")

    def statements(self) -> Iterator[ast.stmt]:
        """All statements, in their order."""
        found = [one for one in ast.walk(self.tree) if isinstance(one, ast.stmt)]
        yield from sorted(found, key=lambda one: (one.lineno, one.col_offset))

    def add_after(self, statement: ast.stmt, text: str) -> None:
        """A line after a statement, as far in."""
        indent = self.sheet.indent_at(self.start(statement))
        self.sheet.add_line(self.end(statement), text, indent)
