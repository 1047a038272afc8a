"""A plain folder of GGUF files, as people keep them for llama.cpp: each model by its path. A folder
with anything else in it that a tool could read is left to the files in it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from llmrr.errors import LlmrrError
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.terms import naming
from llmrr.store.holders.base import Holding, listed, of_ggufs
from llmrr.store.variants import is_projector, stem
from llmrr.types import Format

_BESIDE: Final = frozenset({
    ".gguf", ".md", ".txt", ".png", ".jpg", ".jpeg", ".sha256", ".sha256sum", ".imatrix",
    ".dat", ".jinja", ".pdf", ".html", ".part", ".download", ".incomplete", ".etag", ".lock",
})  # fmt: skip
_TESTED: Final = frozenset({"tests", "test", "testdata", "test_data", "fixtures", "__tests__"})
_PROSE: Final = ("license", "readme", "notice", "copying", "use_policy", "authors", ".git", ".ds_")
_SUSPECT: Final = re.compile(r"(?i)embed|bge|gte|(?:^|[-_/])e5|nomic|minilm|rerank|jina|bert")
_ENCODERS: Final = ("bert", "nomic-bert", "jina-bert-v2", "modern-bert", "t5encoder", "clip")


def of_folder(real: Path, shown: Path) -> Iterator[Artefact]:
    """The models of a folder, one for each file or set of parts; what tests read is none."""
    if _TESTED & set(shown.parts):
        return
    try:
        with os.scandir(real) as entries:
            names = [one.name.lower() for one in entries if one.is_file()]
    except OSError:
        return
    if not any(one.endswith(".gguf") for one in names) or not all(map(_is_of_models, names)):
        return
    sizes = listed(real).sizes
    findings = Findings(shown, "custom")
    for held in of_ggufs("folder", real, sizes, lambda one: (stem(one.files[0]), "")):
        _put(held, real, shown, findings)
    if findings.models or findings.warnings:
        yield findings.artefact()


READER = Reader(("custom",), of_folder=of_folder)


def put_encoder(model: Model, held: Holding, real: Path, shown: Path) -> None:
    """The image encoder that lies beside a model, as its option."""
    image = next((one for one in held.files if is_projector(one.name)), None)
    if image is not None:
        relative = image.relative_to(real).as_posix()
        model.options["mmproj"] = naming.beside(shown, relative).removeprefix("file:")


def role_of(held: Holding) -> tuple[str, str] | None:
    """Why a GGUF model is none that writes text, by its header, where the name makes one think of
    it: most headers are long."""
    if held.format is not Format.GGUF or not _SUSPECT.search(held.name):
        return None
    from llmrr.formats.gguf import read_header
    from llmrr.formats.source import FileSource

    try:
        header = read_header(FileSource(held.path, held.path.stat().st_size))
    except (LlmrrError, OSError):
        return None
    if (header.text("general.architecture") or "") in _ENCODERS:
        return "embedding-model", "it makes vectors of texts"
    return None


def _is_of_models(name: str) -> bool:
    """Whether a file is a model, or something that is kept beside models and sets nothing."""
    return name.startswith(_PROSE) or Path(name).suffix in _BESIDE


def _put(held: Holding, real: Path, shown: Path, findings: Findings) -> None:
    name = held.path.name
    if role := role_of(held):
        findings.warn(role[0], f"{name}: {role[1]}", at=name)
        return
    if held.problem:
        findings.warn("incomplete", f"{name}: {held.problem}", at=name)
        return
    model = findings.model(naming.beside(shown, name), held.name)
    model.bytes = held.bytes or None
    put_encoder(model, held, real, shown)
