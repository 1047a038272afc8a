"""``to_dict()`` of LlamaIndex's models: flat, ``class_name`` tells what it is, and the key stands
in it in clear."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import constructed
from llmrr.migrate.readers.langchain import dumped, kinds
from llmrr.migrate.readers.llamaindex import classes
from llmrr.migrate.values import Call

KIND = "llamaindex"
_DEEPEST: Final = 8


def read(document: Document) -> Iterable[Artefact]:
    """The models of a file; none where no table of it is one, as in a folder of an index."""
    if document.text is None or "class_name" not in document.text:
        return []
    found = list(_tables(document.shape))
    return [_taken(document, found)] if found else []


def forced(document: Document) -> Iterable[Artefact]:
    """The same, where the user says that it is one. Raises ``DamagedFile``."""
    found = list(_tables(document.shape))
    if not found:
        raise DamagedFile(
            f"{document.path}: {document.problem or 'it has no class_name of a model'}",
            "llmrr migrate scan tells what a file is",
        )
    return [_taken(document, found)]


def _taken(document: Document, tables: Iterable[dict[str, Any]]) -> Artefact:
    findings = Findings(document.path, KIND)
    for table in tables:
        name = str(table["class_name"])
        told = {str(key): dumped.value_of(one) for key, one in table.items() if key != "class_name"}
        call = Call(name, (), told)
        if classes.EMBEDDINGS.fullmatch(name):
            kinds.embedding(findings, call, name, None)
        elif (provider := classes.provider(name)) is None:
            findings.warn("unknown-provider", f"llmrr knows no provider for {name}")
        else:
            constructed.construct(provider, call, findings)
    constructed.keys_in(document.shape, findings)
    return findings.artefact()


def _tables(data: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The tables that are models, wherever they stand; a wrapper's model is the one inside."""
    if isinstance(data, list):
        for one in data[:1000]:
            if isinstance(one, dict | list) and depth < _DEEPEST:
                yield from _tables(one, depth + 1)
    elif isinstance(data, dict):
        name = data.get("class_name")
        is_wrapper = isinstance(data.get("llm"), dict)
        if isinstance(name, str) and not is_wrapper and (
            classes.is_model(name) or (classes.EMBEDDINGS.fullmatch(name) and _names_one(data))
        ):
            yield data
        elif depth < _DEEPEST:
            for one in data.values():
                if isinstance(one, dict | list):
                    yield from _tables(one, depth + 1)


def _names_one(data: dict[str, Any]) -> bool:
    return any(isinstance(data.get(one), str) for one in ("model_name", "model", "deployment_name"))
