"""Keys in clear that stand in code beside what readers take from it."""

from dataclasses import replace

from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.readers.constructed import keys_beside
from llmrr.migrate.terms.secrets import scrubbed


def with_keys(found: list[Artefact], document: Document) -> list[Artefact]:
    """What readers found in a file of code, with a warning for each key in it that none knew; no
    key of the file stands in what any of them says."""
    if not found:
        return []
    beside = Findings(document.path, "custom")
    beside.secrets.update(*(one.keys for one in found))
    keys_beside(document.source, beside)
    keys = frozenset(beside.secrets)
    first = replace(found[0], warnings=(*found[0].warnings, *beside.warnings))
    return [replace(scrubbed(one, keys), keys=keys) for one in (first, *found[1:])]
