"""Code before and after ``llmrr migrate plan --patch``, for the tests of patches."""

import subprocess
from pathlib import Path
from typing import NamedTuple

from llmrr.migrate import patches, planning
from llmrr.migrate.planning import Wishes
from llmrr.migrate.scanning import scan

URL = "http://127.0.0.1:8313/v1"


class Patched(NamedTuple):
    """The files after the patch was applied, the patch, and what was told."""

    files: dict[str, str]
    text: str
    told: list[str]


def patched(
    folder: Path, files: dict[str, str], how: str = "serve", url: str = URL, **wishes: object
) -> Patched:
    """Write files, and apply what is proposed for them with git."""
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    found = proposed(folder, how, url, **wishes)
    if found.text:
        subprocess.run(["git", "apply", "-p1"], cwd=found.folder, check=True,
                       input=found.text.encode())  # fmt: skip
    after = {name: (folder / name).read_bytes().decode() for name in files}
    return Patched(after, found.text, [one.message for one in found.told])


def proposed(
    folder: Path, how: str = "serve", url: str = URL, **wishes: object
) -> patches.Patch:
    artefacts, wanted = scan([folder]).artefacts, Wishes(**wishes)  # type: ignore[arg-type]
    called = planning.called(artefacts, folder / "llmrr.toml", wanted)
    return patches.make(planning.wanted(artefacts, wanted), called, how, url)
