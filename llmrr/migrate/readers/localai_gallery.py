"""LocalAI's galleries: entries with a YAML text inside (``config_file``), with a base at another
place (``url``) that ``overrides`` changes, and indexes of hundreds of them. A base that lies beside
the file, as in LocalAI's own gallery, is read from there."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from llmrr.errors import DamagedFile, LlmrrError
from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import localai
from llmrr.migrate.readers.localai_source import files_of
from llmrr.store.holders.base import small_file

_MANY: Final = 20  # entries: of more the common warnings are told once
_DEEPEST: Final = 20
_LARGEST: Final = 200_000  # bytes of a base
_BASE: Final = re.compile(r"([\w.-]+\.ya?ml)(?:@[\w./-]+)?$")
Table = Mapping[str, Any]


def is_gallery(shape: Any) -> bool:
    """Whether a mapping, or a list of them, is of a gallery."""
    if isinstance(shape, list):
        entries = [one for one in shape if isinstance(one, dict)]
        return bool(entries) and all(_is_listed(one) for one in entries[:100])
    return isinstance(shape, dict) and _is_entry(shape)


def artefact(document: Document, shape: Any) -> Artefact:
    """What a gallery offers, as models."""
    findings = Findings(document.path, "localai-gallery")
    for name, line in document.duplicates[:_MANY]:
        findings.warn("duplicate-key", f"{name} stands twice; the last one counts", line, name)
    entries = [one for one in (shape if isinstance(shape, list) else [shape])
               if isinstance(one, dict)]  # fmt: skip
    bases: dict[str, Table | None] = {}
    for entry in entries:
        base = _base(entry, document.real, bases)
        _put(findings, entry, base, document, alone=len(entries) <= _MANY)
    if len(entries) > _MANY and (
        based := sum("url" in one and not _base(one, document.real, bases) for one in entries)
    ):
        said = f"{based} of {len(entries)} entries begin with a base that is not fetched"
        findings.warn("hub-reference", said)
    return findings.artefact()


def _put(
    findings: Findings, entry: Table, base: Table | None, document: Document, *, alone: bool
) -> None:
    name = str(entry.get("name") or document.path.stem)
    inner, below = _inner(findings, entry, name), _inner(findings, base or {}, name)
    if inner is None:
        return
    inner = merged(below or {}, inner)
    table = merged(inner, overrides) if isinstance(
        overrides := entry.get("overrides"), dict) else inner  # fmt: skip
    if base:
        table.pop("name", None)
    if "url" in entry and alone and not base:
        said = f"{name} begins with {str(entry['url'])[:120]}, which is not fetched"
        findings.warn("hub-reference", said, at=f"{name}.url")
    if alone and entry.get("variants"):
        findings.warn("not-applied", f"{name} has variants of other sizes", at=f"{name}.variants")
    if not table and not alone:
        return
    files = (*files_of(entry), *files_of(table))
    known = {**_templates(base or {}), **_templates(entry)}
    localai.put(findings, table, files, document.real.parent, known, name)


def _base(entry: Table, document: Path, known: dict[str, Table | None]) -> Table | None:
    """What an entry begins with, if a file of that name lies beside the document."""
    found = _BASE.search(str(entry.get("url") or ""))
    if found is None or found[1] == document.name:
        return None
    if found[1] not in known:
        known[found[1]] = _read(document.parent / found[1])
    return known[found[1]]


def _read(path: Path) -> Table | None:
    from llmrr.migrate.parsing import parsed

    try:
        if path.is_symlink():
            return None
        found = parsed(small_file(path, _LARGEST).decode(errors="replace"), ".yaml")
    except (LlmrrError, OSError):
        return None
    return found if isinstance(found, dict) else None


def _inner(findings: Findings, entry: Table, name: str) -> dict[str, Any] | None:
    """``config_file``: a text that is YAML, or a mapping; None, with a warning, for a damaged one.
    """
    stated = entry.get("config_file")
    if isinstance(stated, dict):
        return stated
    if not isinstance(stated, str) or not stated.strip():
        return {}
    from llmrr.migrate.parsing import parsed

    try:
        found = parsed(stated, ".yaml")
    except DamagedFile as exc:
        said = f"the config_file of {name} is not valid YAML: {exc.message}"
        findings.warn("syntax", said, at=f"{name}.config_file")
        return None
    if not isinstance(found, dict):
        findings.warn("syntax", f"the config_file of {name} is no mapping", at=name)
        return None
    return found


def merged(below: Table, above: Table, depth: int = 0) -> dict[str, Any]:
    """One table over another, tables inside of them as well.

    >>> merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}})
    {'a': {'b': 9, 'c': 2}, 'd': 3}
    """
    found = dict(below)
    for name, value in above.items():
        own = found.get(name)
        both = isinstance(own, dict) and isinstance(value, dict) and depth < _DEEPEST
        found[name] = merged(own, value, depth + 1) if both else value  # type: ignore[arg-type]
    return found


def _templates(entry: Table) -> dict[str, str]:
    listed = entry.get("prompt_templates")
    return {
        str(one["name"]): one["content"] for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict) and "name" in one and isinstance(one.get("content"), str)
    }  # fmt: skip


def _is_entry(table: Table) -> bool:
    if "config_file" in table or "prompt_templates" in table:
        return "name" in table or isinstance(table.get("config_file"), str)
    if _has_files(table):
        return "name" in table and ("urls" in table or "overrides" in table or "license" in table)
    bare = {"name", "description", "license", "urls", "icon", "tags", "files"}
    return "name" in table and "license" in table and "description" in table and set(table) <= bare


def _is_listed(table: Table) -> bool:
    within = {"overrides", "files", "config_file", "prompt_templates", "variants"}
    return isinstance(table.get("name"), str) and bool(within & set(table)) and (
        "url" in table or _has_files(table) or "config_file" in table or "urls" in table
    )  # fmt: skip


def _has_files(table: Table) -> bool:
    listed = table.get("files")
    return isinstance(listed, list) and all(
        isinstance(one, dict) and "uri" in one for one in listed
    ) and bool(listed)  # fmt: skip
