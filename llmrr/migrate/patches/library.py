"""Calls of OpenAI's library that become calls of ``llmrr.Router``: where the answer is plainly
taken as a text, and everything that the call states has the same meaning here."""

import ast
from collections.abc import Iterator
from typing import Final

from llmrr.migrate.patches.python_code import PythonCode
from llmrr.migrate.patches.serving import Renamed
from llmrr.migrate.readers.sdk import speaking
from llmrr.migrate.readers.sdk.clients import client_of
from llmrr.migrate.values import Call, Code

_ROUTER: Final = "llmrr_router"
_CHATS: Final = ("chat.completions.create", "ChatCompletion.create", "ChatCompletion.acreate")
# What a call may state, by the names that it gets.
_ARGUMENTS: Final = {
    "model": "model", "engine": "model", "messages": "", "temperature": "temperature",
    "top_p": "top_p", "max_tokens": "max_tokens", "max_completion_tokens": "max_tokens",
    "stop": "stop", "seed": "seed", "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty", "timeout": "timeout", "user": "user",
}  # fmt: skip
_ANSWER: Final = ("choices", 0, "message", "content")
_SCOPES: Final = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


def replace(code: Code, tree: PythonCode, renamed: Renamed) -> None:
    """Edit a file so that its plain calls ask the library."""
    parents = _parents(tree.tree)
    asks = list(_asks(code))
    changed = [one for one in asks if _replaced(one, code, tree, parents, renamed)]
    if not changed:
        return
    _set_up(tree)
    if len(changed) == len(asks):
        for call in code.calls:
            client = client_of(call, code)
            if client is not None and client.line == call.line and client.vendor == "openai":
                tree.sheet.tell(call.line, "nothing here asks this client any more: it may go")


def _asks(code: Code) -> Iterator[Call]:
    for call in code.calls:
        ask = speaking.ask_of(call, code)
        if ask is not None and ask.client.vendor in ("openai", "azure"):
            yield call


def _replaced(
    call: Call, code: Code, tree: PythonCode, parents: dict[ast.AST, ast.AST], renamed: Renamed
) -> bool:
    """Whether a call was replaced; why not is told."""
    node, ask = tree.node(call), speaking.ask_of(call, code)
    if node is None or ask is None:
        return False
    answers = _answers(node, parents)
    why = _obstacle(call, node, parents)
    if why is None and answers is None:
        why = "its answer is not plainly taken as choices[0].message.content"
    if why is not None:
        tree.sheet.tell(call.line, f"{call.name} stays: {why}")
        return False
    tree.sheet.replace(tree.start(node.func), tree.end(node.func), f"{_ROUTER}.generate")
    new = renamed("openai-code", ask.model, call.line) if isinstance(ask.model, str) else None
    is_literal = any(
        _ARGUMENTS.get(one.arg or "") == "model" and isinstance(one.value, ast.Constant)
        for one in node.keywords
    )
    if new is not None and new != ask.model and not is_literal:
        tree.sheet.tell(call.line, f"{ask.model} is called {new} in llmrr.toml")
    _arguments(node, tree, new)
    for inner, outer in answers or ():
        tree.sheet.replace(tree.end(inner), tree.end(outer), ".text")
    return True


def _obstacle(call: Call, node: ast.Call, parents: dict[ast.AST, ast.AST]) -> str | None:
    """Why a call cannot be replaced, as far as the call itself tells."""
    if not call.callee.endswith(_CHATS):
        return "only chat completions are replaced"
    if isinstance(parents.get(node), ast.Await) or call.callee.endswith(".acreate"):
        return "it is awaited, and the library is not asynchronous"
    if node.args or any(one.arg is None for one in node.keywords):
        return "what it is told is not all written there"
    stated = {one.arg: one.value for one in node.keywords}
    if "messages" not in stated:
        return "it sends no messages"
    for name, value in stated.items():
        is_silent = name == "stream" and isinstance(value, ast.Constant) and value.value is False
        if name not in _ARGUMENTS and not is_silent:
            return f"{name} has another form in the library"
    return None


def _arguments(node: ast.Call, tree: PythonCode, model: str | None) -> None:
    """The messages come first, and the rest by the names that it has here."""
    sheet, keywords = tree.sheet, list(node.keywords)
    texts = {}
    for one in keywords:
        name, value = _ARGUMENTS.get(one.arg or "", one.arg), tree.text(one.value)
        if name == "model" and model is not None and isinstance(one.value, ast.Constant):
            value = value if one.value.value == model else sheet.quoted(model)
        texts[one] = f"{name}={value}" if name else value
    order = sorted(keywords, key=lambda one: one.arg != "messages")
    at = keywords.index(order[0])
    if at > 0:  # it changes places with what stands first
        order = [keywords[at], *keywords[1:at], keywords[0], *keywords[at + 1 :]]
    for place, one in zip(keywords, order, strict=True):
        sheet.replace(tree.start(place), tree.end(place), texts[one])


def _answers(
    node: ast.Call, parents: dict[ast.AST, ast.AST]
) -> list[tuple[ast.expr, ast.expr]] | None:
    """Where the answer is taken: each use of the result, and the whole expression. None where
    it is used in another way."""
    if (whole := _text_of(node, parents)) is not None:
        return [(node, whole)]
    parent = parents.get(node)
    if not isinstance(parent, ast.Assign) or len(parent.targets) != 1:
        return None
    target = parent.targets[0]
    if not isinstance(target, ast.Name):
        return None
    scope = parents.get(parent)
    while scope is not None and not isinstance(scope, _SCOPES):
        scope = parents.get(scope)
    if scope is None or isinstance(scope, ast.Lambda | ast.ClassDef):
        return None
    found: list[tuple[ast.expr, ast.expr]] = []
    for one in ast.walk(scope):
        if isinstance(one, ast.Global | ast.Nonlocal) and target.id in one.names:
            return None
        if isinstance(one, ast.arg) and one.arg == target.id:
            return None
        if not isinstance(one, ast.Name) or one.id != target.id or one is target:
            continue
        whole = _text_of(one, parents) if isinstance(one.ctx, ast.Load) else None
        if whole is None:
            return None
        found.append((one, whole))
    return found or None


def _text_of(node: ast.expr, parents: dict[ast.AST, ast.AST]) -> ast.expr | None:
    """``node.choices[0].message.content``, around a node."""
    for step in _ANSWER:
        parent = parents.get(node)
        if isinstance(parent, ast.Subscript) and parent.value is node:
            said = parent.slice.value if isinstance(parent.slice, ast.Constant) else None
        else:
            said = parent.attr if isinstance(parent, ast.Attribute) else None
        if said != step or not isinstance(parent, ast.expr):
            return None
        node = parent
    is_read = isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Load)
    return node if is_read else None


def _set_up(tree: PythonCode) -> None:
    """The router, where the file has none."""
    names = {one.id for one in ast.walk(tree.tree) if isinstance(one, ast.Name)}
    if _ROUTER in names:
        return
    quiet = [one for one in tree.tree.body if not _is_docstring(one)]
    imports = [one for one in quiet if isinstance(one, ast.Import | ast.ImportFrom)]
    lines = f"import llmrr{tree.sheet.newline}{tree.sheet.newline}{_ROUTER} = llmrr.Router()"
    if imports:
        first = [one for at, one in enumerate(imports) if one is quiet[at]]
        tree.add_after((first or imports[:1])[-1], lines)
    else:
        start = tree.start(quiet[0])
        tree.sheet.replace(start, start, f"{lines}{tree.sheet.newline}{tree.sheet.newline}")


def _is_docstring(one: ast.stmt) -> bool:
    return isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)


def _parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
