"""GPT4All's folder of GGUF files. Read off ``mysettings.cpp`` and ``modellist.cpp`` of
https://github.com/nomic-ai/gpt4all; its *.rmodel files are remote models with their keys in clear,
and are never opened.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from llmrr.errors import LlmrrError
from llmrr.store.holders.base import Holding, existing, of_ggufs, small_file, tree
from llmrr.store.variants import stem


def roots() -> tuple[Path, ...]:
    """The folder of its settings, that of the operating system for it, that of its Python
    package."""
    import platformdirs

    data = Path(platformdirs.user_data_dir()) / "nomic.ai" / "GPT4All"
    return existing(*_chosen(), data, Path.home() / ".cache" / "gpt4all")


def holdings(root: Path) -> Iterator[Holding]:
    """Its models, by the names of their files."""
    sizes = tree(root, links=True)
    begun = {name for name in sizes if name.rpartition("/")[2].startswith("incomplete")}
    complete = {name: size for name, size in sizes.items() if name not in begun}
    yield from of_ggufs(
        "gpt4all",
        root,
        complete,
        lambda one: (stem(one.files[0]), f"file:{root / one.files[0]}"),
    )
    for name in sorted(begun):
        if name.endswith(".gguf"):
            path, problem = root / name, "its download is not complete"
            yield Holding("gpt4all", path.stem, f"file:{path}", path, problem=problem)


def _chosen() -> list[Path]:
    """``modelPath`` of GPT4All.ini; nothing else of that is looked at."""
    stated = os.environ.get("APPDATA") or os.environ.get("XDG_CONFIG_HOME")
    folder = Path(stated) if stated else Path.home() / ".config"
    try:
        raw = small_file(folder / "nomic.ai" / "GPT4All.ini")
    except LlmrrError:
        return []
    found = re.search(r"^modelPath=(.+)$", raw.decode(errors="replace"), re.MULTILINE)
    return [Path(found[1].strip().strip('"'))] if found else []
