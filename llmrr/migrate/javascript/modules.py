"""What a file takes from other modules, and what it gives to them."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from llmrr.migrate.javascript.grammar import text_of
from llmrr.migrate.javascript.names import plain_name, string_of
from llmrr.migrate.javascript.scopes import Given, Scope

if TYPE_CHECKING:
    from tree_sitter import Node


# Where the packages of npm can also be had from.
_FROM: Final = re.compile(
    r"(?:npm:|jsr:|https?://(?:esm\.sh|esm\.run|cdn\.skypack\.dev|cdn\.jsdelivr\.net/npm"
    r"|unpkg\.com|deno\.land/x|ga\.jspm\.io/npm:)/*(?:v\d+/|stable/)?)"
    r"(?P<name>(?:@[\w.-]+/)?[\w.-]+)(?:@[^/?#]*)?(?P<rest>/[^?#]*)?.*"
)


def package_of(specifier: str) -> str:
    """A module as npm names it.

    >>> package_of("npm:openai@4"), package_of("https://esm.sh/@langchain/openai@0.2?dev")
    ('openai', '@langchain/openai')
    >>> package_of("https://deno.land/x/openai@v4.2.0/mod.ts"), package_of("openai")
    ('openai', 'openai')
    """
    found = _FROM.fullmatch(specifier[:500])
    if found is None:
        return specifier
    rest = found["rest"] or ""
    is_file = re.search(r"\.\w+$|/\+esm$|^/dist\b|^/es\d+", rest)
    return found["name"] + ("" if is_file or rest == "/" else rest)


def imported(node: "Node") -> Iterator[tuple[str, str]]:
    """The names that an ``import`` declares, with the dotted names of what they stand for."""
    source = node.child_by_field_name("source")
    for clause in node.named_children:
        if clause.type == "import_require_clause" and clause.named_children:
            source = clause.child_by_field_name("source")
            yield text_of(clause.named_children[0]), package_of(string_of(source))
        elif clause.type == "import_clause":
            for one in clause.named_children:
                yield from _clause(one, package_of(string_of(source)))


def _clause(node: "Node", module: str) -> Iterator[tuple[str, str]]:
    if node.type == "identifier":
        yield text_of(node), f"{module}.default"
    elif node.type == "namespace_import" and node.named_children:
        yield text_of(node.named_children[0]), module
    for one in node.named_children if node.type == "named_imports" else ():
        name, alias = one.child_by_field_name("name"), one.child_by_field_name("alias")
        if one.type == "import_specifier" and name is not None:
            yield text_of(alias or name), f"{module}.{plain_name(name)}"


def exported(node: "Node", scope: Scope) -> Iterator[tuple[str, Given]]:
    """The names that an ``export`` states, and what they are."""
    value, declared = node.child_by_field_name("value"), node.child_by_field_name("declaration")
    if value is not None:
        yield "default", Given(value, scope)
    elif any(one.type == "=" for one in node.children) and node.named_children:
        yield "default", Given(node.named_children[-1], scope)
    for one in declared.named_children if declared else ():
        name = one.child_by_field_name("name")
        if one.type == "variable_declarator" and name and name.type == "identifier":
            yield text_of(name), Given(name, scope)
    if node.child_by_field_name("source") is not None:
        return  # handed on from another file
    for clause in node.named_children:
        for one in clause.named_children if clause.type == "export_clause" else ():
            if one.type == "export_specifier" and (name := one.child_by_field_name("name")):
                yield plain_name(one.child_by_field_name("alias") or name), Given(name, scope)


def exported_name(dotted: str) -> str | None:
    """What an assignment exports, in CommonJS.

    >>> exported_name("module.exports"), exported_name("exports.a"), exported_name("module.a")
    ('default', 'a', None)
    """
    if dotted == "module.exports":
        return "default"
    head, _, name = dotted.rpartition(".")
    return name if head in ("module.exports", "exports") else None
