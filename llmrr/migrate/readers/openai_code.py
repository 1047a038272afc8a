"""Code that asks a provider through its own library, or by requests to its address, in Python,
JavaScript or TypeScript: OpenAI's is ``openai-code``, the others' are ``custom``."""

from collections.abc import Iterator
from typing import Final

from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.guide import clients
from llmrr.migrate.readers.sdk import speaking, vendors, vercel, web
from llmrr.migrate.readers.sdk.asks import Ask, Asked
from llmrr.migrate.readers.sdk.clients import client_of
from llmrr.migrate.readers.sdk.prompts import prompts
from llmrr.migrate.values import Call, Code, Env


def of_code(document: Document) -> Iterator[Artefact]:
    """What a file of code asks of OpenAI, and of others."""
    code = document.code
    if code is None:
        return
    ours, others = Findings(document.path, "openai-code"), Findings(document.path, "custom")
    asked = {"openai": Asked(ours), "other": Asked(others)}
    seen = False
    for call in code.calls:
        if speaking.other_role(call, code, ours) or vercel.other_role(call, ours):
            seen = True
        elif (ask := _ask(call, code)) is not None:
            mine = ask.client.vendor in ("openai", "azure")
            asked["openai" if mine else "other"].add(ask)
            seen = True
    for one in vercel.unused(code):
        asked["openai" if one.client.vendor in ("openai", "azure") else "other"].add(one)
    for one_asked in asked.values():
        prompts(one_asked)
    if not seen and not clients.is_config(code):
        _clients(code, ours)
    for findings in (ours, others):
        if findings.models or findings.warnings:
            yield findings.artefact()


def _ask(call: Call, code: Code) -> Ask | None:
    kinds = (speaking.ask_of, vendors.ask_of, vercel.ask_of, web.ask_of)
    return next((found for ask in kinds if (found := ask(call, code)) is not None), None)


def _clients(code: Code, findings: Findings) -> None:
    """Clients that nobody asks in this file."""
    for call in code.calls:
        client = client_of(call, code)
        if client is not None and client.vendor in ("openai", "azure") and client.line == call.line:
            keys = [client.stated.get(name) for name in ("api_key", "apiKey")]
            variable = next((f" (its key is in {one.name})" for one in keys
                             if isinstance(one, Env)), "")  # fmt: skip
            findings.secrets |= {one for one in keys if isinstance(one, str)}
            findings.warn(
                "client-only",
                f"a client is set up here{variable}; the calls that name a model are elsewhere",
                call.line,
            )  # fmt: skip


READER: Final = Reader(("openai-code", "custom"), of_code=of_code)
