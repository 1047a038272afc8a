"""From artefacts to differences of the files that they lie in."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from llmrr.errors import DamagedFile, UsageError
from llmrr.kinds import split_source
from llmrr.migrate.artefact import Artefact, Notice
from llmrr.migrate.documents import Document
from llmrr.migrate.merging.served import URL
from llmrr.migrate.parsing import component
from llmrr.migrate.parsing.sniffing import language
from llmrr.migrate.patches import library, serving
from llmrr.migrate.patches.difference import difference, keys_of
from llmrr.migrate.patches.javascript_code import JavaScriptCode
from llmrr.migrate.patches.python_code import PythonCode
from llmrr.migrate.patches.serving import Renamed
from llmrr.migrate.patches.sheet import Sheet
from llmrr.migrate.terms.secrets import masked

if TYPE_CHECKING:
    from llmrr.migrate.planning.naming import Called

HOW: Final = ("serve", "library")
_KINDS: Final = ("openai-code", "langchain-code", "openai-config-js")
_LARGEST: Final = 2_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Patch:
    """``text`` is for ``git apply`` in ``folder``; ``told`` is what it leaves to the user."""

    text: str
    folder: Path
    told: tuple[Notice, ...]


def server_url(text: str | None) -> str:
    """An address as code is to state it. Raises ``UsageError``."""
    if text is None:
        return URL
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or not text.isprintable() or any(one in text for one in " '\"\\@?#$`{}"):
        raise UsageError(f'"{text}" is no address of a server', f"--serve-url {URL}")
    return text.rstrip("/")


def make(
    artefacts: Iterable[Artefact], called: "Called", how: str, url: str
) -> Patch:
    """The differences of the files of code among the artefacts. ``called`` is what each model is
    called in ``llmrr.toml``; its warnings are told of the files that are changed."""
    by_path: dict[Path, list[Artefact]] = {}
    keys = set[str]()
    for one in artefacts:
        keys |= one.keys
        if one.kind.endswith("-code") or one.kind in _KINDS:
            by_path.setdefault(one.path, []).append(one)
    folder = _folder(by_path)
    pieces, told = [], list[Notice]()
    for path, found in by_path.items():
        if any(one.kind in _KINDS for one in found):
            text, notices = _of_file(path, _renamed(found, called.names), how, url, folder, keys)
            pieces.append(text)
            told += notices if text or notices else [_left(path, _unchanged(found, url))]
            told += [one for one in called.warnings if text and _is_in(one, path)]
        else:
            told.append(_left(path, f"code of the kind {found[0].kind} is not changed"))
    return Patch("".join(pieces), folder, tuple(dict.fromkeys(told)))


def _unchanged(found: Sequence[Artefact], url: str) -> str:
    """Why there is nothing to change in a file."""
    models = [model for one in found for model in one.models]
    if any(str(one.options.get("base_url")).rstrip("/") == url for one in models):
        return f"it asks {url} already"
    asked = sorted({split_source(one.source)[0] for one in models})
    if asked and not {"openai", "azure"} & {*asked}:
        return f"it asks {', '.join(asked)}, and only what asks OpenAI is changed"
    return "nothing in it is of a form that is changed"


def _of_file(
    path: Path, renamed: Renamed, how: str, url: str, folder: Path, keys: set[str]
) -> tuple[str, list[Notice]]:
    """The difference of one file, and what is told of it."""
    try:
        sheet = Sheet(_read(path))
        document = Document(path, sheet.body)
        if document.text is None or document.text.encode("utf-8", "replace") != sheet.body:
            return "", [_left(path, "it is not in UTF-8")]
        code = document.code
        tree = _tree(document, sheet)
    except (OSError, DamagedFile, SyntaxError, ValueError, RecursionError):
        return "", [_left(path, "it cannot be read as code")]
    if code is None or tree is None:
        return "", [_left(path, "a notebook is not changed")]
    if how == "serve":
        serving.point(code, tree, url, renamed)
    elif isinstance(tree, PythonCode):
        library.replace(code, tree, renamed)
    else:
        return "", [_left(path, "the library is one of Python: --patch serve")]
    after = Sheet(sheet.edited())
    if not _still_parses(document, after, tree):
        return "", [_left(path, "the change would break it")]
    name = Path(os.path.relpath(path, folder)).as_posix()
    before = (sheet.mark + sheet.body).decode()
    keys = keys | keys_of(document.text, code)
    text = difference(name, before, sheet.edited().decode(), keys)
    if text is None:
        said = "a key stands in clear beside what is to be changed, and no difference shows one"
        return "", [_left(path, f"{said}: move it into a variable first")]
    return text, [_left(path, masked(said), line) for line, said in sorted(sheet.told)]


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError("too large")
    return data


def _tree(document: Document, sheet: Sheet) -> PythonCode | JavaScriptCode | None:
    """Where things stand in a file of code; None for a notebook. Raises what parsers do."""
    text = document.text or ""
    spoken = language(text, document.suffix)
    if spoken == "python":
        return PythonCode(sheet)
    if spoken == "component":
        found = component.scripts(text, document.path)
        return JavaScriptCode(sheet, *found) if found else None
    if spoken in (None, "notebook"):
        return None
    return JavaScriptCode(sheet, text, spoken)


def _still_parses(
    document: Document, after: Sheet, before: PythonCode | JavaScriptCode
) -> bool:
    """Whether a file that is changed is as good code as it was."""
    try:
        found = _tree(Document(document.path, after.body), after)
    except (DamagedFile, SyntaxError, ValueError, RecursionError):
        return False
    if isinstance(found, JavaScriptCode) and isinstance(before, JavaScriptCode):
        return before.tree.root_node.has_error or not found.tree.root_node.has_error
    return found is not None


def _renamed(
    artefacts: Sequence[Artefact], called: Mapping[tuple[Path, str, str], str]
) -> Renamed:
    """What a model of these artefacts is called, by its name in the code."""

    def find(kind: str, name: str, line: int) -> str | None:
        models = [
            (model, called.get((one.path, one.kind, model.name)))
            for one in artefacts if one.kind == kind
            for model in one.models if model.source.partition(":")[2] == name
        ]  # fmt: skip
        here = [new for model, new in models if line in (model.line, *model.call_sites)]
        known = set(here or (new for _, new in models)) - {None}
        return known.pop() if len(known) == 1 else None

    return find


def _folder(paths: Iterable[Path]) -> Path:
    """The folder that the names in the difference are relative to."""
    here = Path.cwd()
    places = [Path(os.path.normpath(here / one)) for one in paths]
    if all(one.is_relative_to(here) for one in places):
        return here
    return Path(os.path.commonpath([one.parent for one in places]))


def _is_in(notice: Notice, path: Path) -> bool:
    return notice.where == str(path) or notice.where.rpartition(":")[0] == str(path)


def _left(path: Path, said: str, line: int | None = None) -> Notice:
    return Notice("not-patched", f"{path}:{line}" if line else str(path), said)
