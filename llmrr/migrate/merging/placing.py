"""Paths of an artefact, as they are written in an ``llmrr.toml`` that lies elsewhere."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from llmrr.kinds import split_source
from llmrr.paths import exists, user_path

_UP: Final = 6  # folders above a file of code that its paths may start from
_PATHS: Final = ("mmproj", "lora", "chat_template")
_WINDOWS: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\")


class Placer:
    """Rewrites the paths of one artefact, seen from ``folder``, where ``llmrr.toml`` is to lie.

    What a relative path starts from is not always said: in a file of settings it is the file's
    folder, in code that of the process. The first of these and the folders above it where something
    lies is taken, else the file's own. ``missing`` are those where nothing lies.
    """

    def __init__(self, artefact: Path, folder: Path) -> None:
        self.artefact, self.folder = artefact, folder
        self.missing: list[str] = []

    def source(self, text: str) -> str:
        """A source under our prefix, with a path rewritten. Raises ``ValueError`` for none."""
        provider, rest = split_source(text)
        if "\0" in rest:
            raise ValueError("its source holds a zero byte")
        return f"file:{self.path(rest)}" if provider == "file" else f"{provider}:{rest}"

    def options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Options of a model, with the paths among them rewritten."""
        return {
            name: self._option(name, value) if name in _PATHS else value
            for name, value in options.items()
        }

    def path(self, text: str) -> str:
        """One path: absolute ones stay, others are relative to ``folder``."""
        if text.startswith("~") or _WINDOWS.match(text):
            if not exists(user_path(text)):
                self.missing.append(text)
            return text
        if Path(text).is_absolute():
            if not exists(Path(text)):
                self.missing.append(text)
            return text
        places = [*self._starts()]
        plain = text.replace("\\", "/")
        for start in places:
            for spelled in dict.fromkeys((text, plain)):
                if exists(found := Path(os.path.normpath(start / spelled))):
                    return self._seen(found)
        self.missing.append(text)
        return self._seen(places[0] / plain)

    def _option(self, name: str, value: object) -> object:
        if isinstance(value, list):
            return [self._option(name, one) for one in value]
        if isinstance(value, dict):
            return value | {"path": self._option(name, value.get("path"))}
        if not isinstance(value, str) or not value:
            return value
        if name == "chat_template":
            prefix, colon, rest = value.partition("file:")
            return f"file:{self.path(rest)}" if colon and not prefix else value
        return self.path(value.removeprefix("file:"))

    def _starts(self) -> Iterator[Path]:
        here = self.artefact.absolute()
        if here.is_dir():  # a path in a reader's words: of the folder, or from where it was found
            yield from (Path.cwd(), here, here.parent)
            return
        yield here.parent
        yield from here.parent.parents[:_UP]
        yield Path.cwd()

    def _seen(self, path: Path) -> str:
        relative = os.path.relpath(path, self.folder.absolute()).replace(os.sep, "/")
        return relative if relative.startswith("../") else f"./{relative}"
