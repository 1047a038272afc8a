"""Clients of OpenAI, and models of LangChain, that are to ask a server of ours."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from llmrr.migrate.artefact import Findings
from llmrr.migrate.patches.javascript_code import JavaScriptCode
from llmrr.migrate.patches.python_code import PythonCode
from llmrr.migrate.readers.langchain.classes import MODELS
from llmrr.migrate.readers.sdk import speaking
from llmrr.migrate.readers.sdk.clients import vendor_of
from llmrr.migrate.values import Call, Code, default_text

# What a model is called in llmrr.toml, by the kind of artefact, its name in the code and the line.
Renamed = Callable[[str, str, int], str | None]

_CLIENTS: Final = frozenset({"OpenAI", "AsyncOpenAI", "Client", "AsyncClient", "default"})
_AZURE: Final = re.compile(r"Azure\w*OpenAI$|OpenAIClient$|^AzureChatOpenAI")
_LEGACY: Final = ("api_base", "base_url")
_OLD: Final = re.compile(r"(?:^|\.)(?:Chat)?Completion\.a?create$|(?:^|\.)Embedding\.a?create$")
_NAMES: Final = ("model", "model_name", "modelName", "engine", "deployment_id")
_AI_SDK: Final = {
    "@ai-sdk/openai.openai": "createOpenAI({ baseURL }), and what it gives in place of openai",
    "@ai-sdk/openai.createOpenAI": "its baseURL",
}  # fmt: skip
_ROLES: Final = "llmrr serve answers that only with such a model in llmrr.toml"


def point(code: Code, tree: PythonCode | JavaScriptCode, url: str, renamed: Renamed) -> None:
    """Edit a file so that what asks OpenAI asks ``url``, by the names of ``llmrr.toml``."""
    for call in code.calls:
        if _AZURE.search(call.name) and tree.node(call) is not None and _is_ours(call):
            tree.sheet.tell(call.line, f"{call.name} speaks Azure's form of the protocol: put an"
                            f" OpenAI client with the address {url} in its place")  # fmt: skip
        elif isinstance(tree, PythonCode):
            _python(call, tree, url)
        else:
            _javascript(call, tree, url)
        _name(call, code, tree, url, renamed)
        _other_role(call, code, tree)
    if isinstance(tree, PythonCode):
        _module(code, tree, url)


def _is_ours(call: Call) -> bool:
    return vendor_of(call.callee) in ("openai", "azure") or _is_langchain(call)


def _is_langchain(call: Call) -> bool:
    return call.receiver is None and re.match(r"@?langchain", call.callee) is not None


def _is_client(call: Call) -> bool:
    """Whether a call sets up a client of OpenAI's own library."""
    if call.receiver is not None or vendor_of(call.callee) != "openai":
        return False
    return call.name in _CLIENTS or call.callee == "openai"


def _python(call: Call, tree: PythonCode, url: str) -> None:
    if _is_client(call):
        tree.set_argument(call, ("base_url",), "base_url", url)
    elif _is_langchain(call) and MODELS.get(call.name) == "openai":
        old = not call.callee.startswith("langchain_openai.")
        known = ("base_url", "openai_api_base")
        tree.set_argument(call, known, known[old], url)
    elif _is_langchain(call) and call.name == "init_chat_model" and _of_openai(call):
        tree.set_argument(call, ("base_url",), "base_url", url)


def _of_openai(call: Call) -> bool:
    """Whether ``init_chat_model`` is asked for a model of OpenAI's."""
    model = call.args[0] if call.args else call.fields.get("model")
    if call.fields.get("model_provider") == "openai":
        return True
    plain = model if isinstance(model, str) else ""
    return re.match(r"openai:|gpt-|o[134]\b|chatgpt", plain) is not None


def _javascript(call: Call, tree: JavaScriptCode, url: str) -> None:
    node = tree.node(call)
    if call.callee in _AI_SDK:
        tree.sheet.tell(call.line, f"the AI SDK is to ask {url}: {_AI_SDK[call.callee]}")
    if node is None or node.type != "new_expression":
        return
    if call.callee.startswith("openai.") and call.name == "Configuration":
        tree.set_option(call, ("basePath",), url)
    elif _is_client(call):
        tree.set_option(call, ("baseURL",), url)
    elif _is_langchain(call) and MODELS.get(call.name) == "openai":
        second = call.args[1] if len(call.args) > 1 else None
        if isinstance(second, dict):  # of the older releases
            name = "basePath" if "basePath" in second else "baseURL"
            tree.set_option(call, (name,), url, 1)
        else:
            tree.set_option(call, ("configuration", "baseURL"), url)


def _name(
    call: Call, code: Code, tree: PythonCode | JavaScriptCode, url: str, renamed: Renamed
) -> None:
    """The name of the model in a call that asks, or sets up, one; where that asks the server
    already, the name is the server's."""
    ask = speaking.ask_of(call, code)
    kind, field, stated = "langchain-code", "", None
    if ask is not None and ask.client.vendor == "openai":
        kind, field, stated = "openai-code", ask.field, ask.model
        if any(one.rstrip("/") == url for one in _texts(ask.client.stated)):
            return
    elif _is_langchain(call) and MODELS.get(call.name) == "openai":
        field = next((one for one in _NAMES if call.named.get(one)), "model")
        stated = call.named.get(field)
        if any(one.rstrip("/") == url for one in _texts(list(call.args), call.fields)):
            return
    name = default_text(stated)
    new = renamed(kind, name, call.line) if name is not None else None
    if name is not None and new is not None and new != name:
        tree.rename(call, field, name, new)


def _texts(*values: object) -> Iterator[str]:
    """The texts in values, however deep."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _texts(*value.values())
        elif isinstance(value, list):
            yield from _texts(*value)


def _other_role(call: Call, code: Code, tree: PythonCode | JavaScriptCode) -> None:
    found = Findings(Path(), "openai-code")
    if speaking.other_role(call, code, found):
        tree.sheet.tell(call.line, f"{found.warnings[0].message}; {_ROLES}")


def _module(code: Code, tree: PythonCode, url: str) -> None:
    """``openai.api_base = …``, and the line that is missing where the module is the client."""
    asks = [one for one in code.calls if one.receiver is None and _is_of_module(one, code)]
    stated = [one for one in _assigned(tree, code) if one[0] in _LEGACY]
    for name, value in stated:
        tree.put(value, _of_module(name, url))
    if stated or not asks:
        return
    found = next(_imports(tree), None)
    if found is None:
        tree.sheet.tell(asks[0].line, f"openai.api_base is to be {url}")
        return
    statement, name = found
    is_old = any(_OLD.search(one.callee) for one in asks)
    field = "api_base" if is_old else "base_url"
    tree.add_after(statement, f"{name}.{field} = {tree.sheet.quoted(_of_module(field, url))}")


def _of_module(field: str, url: str) -> str:
    """The module puts paths behind its ``base_url`` as it is; a client adds what is missing."""
    return f"{url}/" if field == "base_url" else url


def _is_of_module(call: Call, code: Code) -> bool:
    ask = speaking.ask_of(call, code)
    return ask is not None and ask.client.vendor == "openai" and call.callee.startswith("openai.")


def _assigned(tree: PythonCode, code: Code) -> Iterator[tuple[str, ast.expr]]:
    """What is assigned to attributes of the module."""
    for one in tree.statements():
        if not isinstance(one, ast.Assign):
            continue
        for target in one.targets:
            home = target.value if isinstance(target, ast.Attribute) else None
            is_module = isinstance(home, ast.Name) and code.imports.get(home.id) == "openai"
            if is_module and isinstance(target, ast.Attribute):
                yield target.attr, one.value


def _imports(tree: PythonCode) -> Iterator[tuple[ast.stmt, str]]:
    for one in tree.statements():
        for alias in one.names if isinstance(one, ast.Import) else ():
            if alias.name == "openai":
                yield one, alias.asname or "openai"
