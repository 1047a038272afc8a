"""Artefacts by hand, and what a folder holds, for the tests of plans and of applying them."""

import os
import stat
from pathlib import Path

from llmrr.migrate import planning
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.planning import Plan, Wishes


def findings(path: str = "app.py", kind: str = "langchain-code") -> Findings:
    return Findings(Path(path), kind)


def model(
    found: Findings, source: str, name: str | None = None, *, params: object = None,
    options: object = None, line: int | None = None,
) -> Model:  # fmt: skip
    made = found.model(source, name, line)
    made.params.update(params or {})  # type: ignore[call-overload]
    made.options.update(options or {})  # type: ignore[call-overload]
    return made


def one(source: str, name: str | None = None, path: str = "app.py", **stated: object) -> Artefact:
    """An artefact with one model."""
    found = findings(path)
    model(found, source, name, **stated)  # type: ignore[arg-type]
    return found.artefact()


def plan(*artefacts: Artefact, target: str = "llmrr.toml", **wishes: object) -> Plan:
    return planning.make(artefacts, Path(target), Wishes(**wishes))  # type: ignore[arg-type]


def kept(found: Plan, file: str = "plan.json") -> str:
    """The plan in a file, for ``apply --plan``."""
    Path(file).write_text(planning.text_of(found))
    return file


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder with its mode and its bytes."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            content = path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(folder))] = (stat.S_IMODE(path.stat().st_mode), content)
    return found
