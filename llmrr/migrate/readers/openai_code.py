"""Code that asks a provider through its own library, or by requests to its address, in Python,
JavaScript or TypeScript: OpenAI's is ``openai-code``, the others' are ``custom``."""

from collections.abc import Iterator
from typing import Final

from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.launching import requests
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.guide import clients
from llmrr.migrate.readers.sdk import speaking, vendors, vercel, web
from llmrr.migrate.readers.sdk.asks import Ask, Asked
from llmrr.migrate.readers.sdk.clients import client_of
from llmrr.migrate.readers.sdk.prompts import prompts
from llmrr.migrate.terms.withheld import withhold
from llmrr.migrate.values import Call, Code, Env


def of_code(document: Document) -> Iterator[Artefact]:
    """What a file of code asks of OpenAI, and of others."""
    code = document.code
    if code is None:
        return
    both = _Both(document)
    seen = False
    for call in code.calls:
        if speaking.other_role(call, code, both.ours) or vercel.other_role(call, both.ours):
            seen = True
        elif (ask := _ask(call, code)) is not None:
            both.add(ask)
            seen = True
    for one in vercel.unused(code):
        both.add(one)
    if not seen and not clients.is_config(code):
        _clients(code, both.ours)
    yield from both.artefacts()


def of_script(document: Document) -> Iterator[Artefact]:
    """What a shell script asks with curl."""
    both, code = _Both(document), Code("python", {}, (), {})
    for call in requests.requests(document.text or ""):
        if (ask := web.ask_of(call, code)) is not None:
            both.add(ask)
    yield from both.artefacts()


class _Both:
    """The asks of a file, OpenAI's apart from those of others."""

    def __init__(self, document: Document) -> None:
        text = document.text if document.suffix != ".ipynb" else None
        self.ours = Findings(document.path, "openai-code", text)
        self._others = Findings(document.path, "custom", text)
        self._asked = Asked(self.ours), Asked(self._others)

    def add(self, ask: Ask) -> None:
        self._asked[ask.client.vendor not in ("openai", "azure")].add(ask)

    def artefacts(self) -> Iterator[Artefact]:
        for asked in self._asked:
            prompts(asked)
        for findings in (self.ours, self._others):
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
            withhold({"api_key": keys}, findings, call.line, at="client")
            findings.warn(
                "client-only",
                f"a client is set up here{variable}; the calls that name a model are elsewhere",
                call.line,
            )  # fmt: skip


READER: Final = Reader(("openai-code", "custom"), of_code=of_code)
