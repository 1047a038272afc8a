"""Where things stand in a file of JavaScript or TypeScript, and how the members of what its calls
are given are set."""

from typing import TYPE_CHECKING, Final

from llmrr.migrate.javascript.grammar import parse, text_of
from llmrr.migrate.javascript.texts import unescaped
from llmrr.migrate.patches.sheet import List, Sheet
from llmrr.migrate.values import Call

if TYPE_CHECKING:
    from tree_sitter import Node

_CALLS: Final = ("call_expression", "new_expression")


class JavaScriptCode:
    """A tree of a file. ``text`` has the bytes of the sheet where there is code. Raises
    ``DamagedFile``."""

    def __init__(self, sheet: Sheet, text: str, dialect: str) -> None:
        self.sheet = sheet
        self.tree = parse(text, dialect)
        self.calls: dict[tuple[int, int, int, int], Node] = {}
        waiting = [self.tree.root_node]
        while waiting:
            node = waiting.pop()
            waiting += node.named_children
            if node.type in _CALLS:
                (line, column), (end_line, end) = node.start_point, node.end_point
                self.calls[line + 1, column, end_line + 1, end] = node

    def node(self, call: Call) -> "Node | None":
        """The node of a call that was evaluated."""
        return self.calls.get(call.span) if call.span else None

    def arguments(self, call: Call) -> "list[Node]":
        """What a call is given."""
        node = self.node(call)
        inner = node.child_by_field_name("arguments") if node else None
        return [one for one in inner.named_children if one.type != "comment"] if inner else []

    def set_option(self, call: Call, path: tuple[str, ...], value: str, at: int = 0) -> None:
        """A member of the object that a call is given gets a value; ``path`` leads into the objects
        in it."""
        node = self.node(call)
        if node is None:
            return
        given, text = self.arguments(call), self._nested(path, value)
        if at < len(given):
            if given[at].type == "spread_element":
                self.sheet.tell(call.line, f"{'.'.join(path)} is to be {value}")
            else:
                self._set(given[at], path, value)
            return
        arguments = node.child_by_field_name("arguments")
        if arguments is None:
            self.sheet.replace(node.end_byte, node.end_byte, f"({text})")
        else:
            end = arguments.end_byte - 1
            self.sheet.replace(end, end, text)

    def member(self, node: "Node", name: str) -> "Node | None":
        """What states a member of an object, the last time that it is stated."""
        found = None
        for child in node.named_children:
            if child.type == "pair":
                key = child.child_by_field_name("key")
                is_it = key is not None and _name(key) == name
            else:
                is_it = child.type == "shorthand_property_identifier" and text_of(child) == name
            found = child if is_it else found
        return found

    def rename(self, call: Call, field: str, old: str, new: str) -> None:
        """The model that a call names gets another name."""
        given = self.arguments(call)
        stated: Node | None = given[0] if given and field == "" else None
        if given and given[0].type == "object" and (pair := self.member(given[0], field)):
            stated = pair.child_by_field_name("value")
        if stated is not None and stated.type == "string":
            self._put(stated, new)
        else:
            self.sheet.tell(call.line, f"{old} is called {new} in llmrr.toml")

    def _set(self, node: "Node", path: tuple[str, ...], value: str) -> None:
        """A member of what an expression gives gets a value."""
        while node.type in ("parenthesized_expression", "as_expression", "satisfies_expression",
                            "non_null_expression") and node.named_children:  # fmt: skip
            node = node.named_children[0]
        if node.type != "object":
            inner = f"{{ ...{text_of(node)}, {self._pair(path, value)} }}"
            self.sheet.replace(node.start_byte, node.end_byte, inner)
            return
        member = self.member(node, path[0])
        if member is None:
            self._add(node, self._pair(path, value))
        elif member.type == "shorthand_property_identifier":
            name = path[0]
            text = self.sheet.quoted(value)
            if len(path) > 1:
                text = f"{{ ...{name}, {self._pair(path[1:], value)} }}"
            self.sheet.replace(member.start_byte, member.end_byte, f"{name}: {text}")
        elif (stated := member.child_by_field_name("value")) is not None:
            if len(path) > 1:
                self._set(stated, path[1:], value)
            else:
                self._put(stated, value)

    def _put(self, node: "Node", value: str) -> None:
        if not (node.type == "string" and unescaped(text_of(node)[1:-1]) == value):
            self.sheet.replace(node.start_byte, node.end_byte, self.sheet.quoted(value))

    def _add(self, node: "Node", text: str) -> None:
        items = [one for one in node.named_children if one.type != "comment"]
        if not items and node.end_byte - node.start_byte == 2:
            self.sheet.replace(node.start_byte, node.end_byte, f"{{ {text} }}")
            return
        last = (items[-1].start_byte, items[-1].end_byte) if items else None
        self.sheet.add_item(List(last, node.end_byte - 1), text, "//")

    def _pair(self, path: tuple[str, ...], value: str) -> str:
        inner = self._nested(path[1:], value) if len(path) > 1 else self.sheet.quoted(value)
        return f"{path[0]}: {inner}"

    def _nested(self, path: tuple[str, ...], value: str) -> str:
        return f"{{ {self._pair(path, value)} }}"


def _name(key: "Node") -> str:
    return unescaped(text_of(key)[1:-1]) if key.type == "string" else text_of(key)
