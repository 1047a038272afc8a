"""Models that other tools name by the path of their file."""

from pathlib import PurePosixPath
from typing import Final

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.terms import hubnames

UNSUPPORTED: Final = "Unsupported model format"  # the guide's words
_REFUSED: Final = frozenset({
    ".pkl", ".pickle", ".joblib", ".h5", ".keras", ".mlmodel", ".tflite", ".pb",
})  # fmt: skip


def model_at(path: str, findings: Findings, name: str | None = None) -> Model | None:
    """A model by its path, or by an address of the hub in place of one; None where there is none,
    with a warning."""
    if hubnames.is_hole(path):
        findings.warn("placeholder", f"{path[:60]!r} is to be filled in", at="modelPath")
        return None
    if hub := hubnames.addressed(path):
        model = findings.model(hub.source, name)
        model.options.update(hub.options)
        return model
    if "://" in path and not path.startswith("file://"):
        findings.warn("unsupported-source", f"llmrr does not fetch models from {path[:80]!r}")
        return None
    if suffix(path) in _REFUSED:
        findings.warn("unsupported-source", unsupported(path))
        return None
    return findings.model(path if path.startswith("file:") else f"file:{path}", name)


def unsupported(path: str) -> str:
    """The guide's words for a file that is none of a model's.

    >>> unsupported("./models/legacy-model.pkl")
    "Unsupported model format '.pkl'"
    """
    return f"{UNSUPPORTED} {suffix(path)!r}"


def suffix(path: str) -> str:
    """The ending of a path, in small letters."""
    return PurePosixPath(path.replace("\\", "/")).suffix.lower()
