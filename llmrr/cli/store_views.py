"""What the commands of the store print: lines of text, and the facts of ``--json``. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmrr.cli.layout import Page, count, counted, size

if TYPE_CHECKING:
    from llmrr.cli.bringing import Adopted
    from llmrr.store.removal import Garbage, Removal
    from llmrr.store.search import Match
    from llmrr.store.usage import Usage

Facts = Mapping[str, Any]


def plan(page: Page, found: Facts) -> Iterator[str]:
    """``llmrr pull --dry-run``."""
    rows = [
        (file["path"], size(file["bytes"]), size(file["missing_bytes"])) for file in found["files"]
    ]
    total = (counted(len(rows), "file"), size(found["bytes"]), size(found["missing_bytes"]))
    yield from page.table(("FILE", "SIZE", "TO FETCH"), [*rows, total])
    yield ""
    yield from page.facts({"name": found["name"], "from": found["source"], "to": found["path"]})


def pulled(page: Page, found: Facts) -> Iterator[str]:
    """``llmrr pull``, ``cp`` and ``create``: the name to run it by, or the files without one."""
    if found["name"] is not None:
        yield str(found["name"])
    else:
        yield from map(str, found["files"])


def found(page: Page, matches: Sequence["Match"]) -> Iterator[str]:
    """``llmrr search``."""
    header = ("NAME", "FORMATS", "PARAMETERS", "DOWNLOADS", "LIKES", "UPDATED", "HERE")
    rows = [
        (one.name, " ".join(one.formats), count(one.parameters), one.downloads, one.likes,
         one.updated, "gated" if one.gated else "runs" if one.runs else None)
        for one in matches
    ]  # fmt: skip
    return page.table(header, rows)


def adopted(page: Page, lines: Sequence["Adopted"]) -> Iterator[str]:
    """``llmrr import``: the name of each, and the reason for what was left out."""
    rows = [
        (one.name, one.source, one.format, size(one.bytes or None)) for one in lines
        if one.problem is None
    ]  # fmt: skip
    yield from page.table(("NAME", "SOURCE", "FORMAT", "SIZE"), rows) if rows else ()
    yield from (f"{one.source} is left out: {one.problem}" for one in lines if one.problem)


def exported(page: Page, facts: Facts) -> Iterator[str]:
    """``llmrr export``."""
    yield str(facts["path"])


def removal_facts(found: Iterable["Removal"]) -> list[Facts]:
    """``llmrr rm --json``."""
    return [
        {
            "name": one.entry.label,
            "freed_bytes": one.bytes,
            "deleted": list(one.deleted),
            "kept": [{"path": path, "why": why} for path, why in one.kept],
        }
        for one in found
    ]


def removable(page: Page, found: Sequence[Facts]) -> Iterator[str]:
    """``llmrr rm --dry-run``."""
    return _removals(found, "would be freed")


def removed(page: Page, found: Sequence[Facts]) -> Iterator[str]:
    """``llmrr rm``."""
    return _removals(found, "freed")


def _removals(found: Sequence[Facts], what: str) -> Iterator[str]:
    for one in found:
        files = counted(len(one["deleted"]), "file")
        yield f"{one['name']}: {size(one['freed_bytes'])} {what}, {files}"
        for kept in one["kept"]:
            yield f"  stays: {kept['path']} ({kept['why']})"


def usage(page: Page, found: "Usage") -> Iterator[str]:
    """``llmrr df``."""
    rows = [(one.name, one.place, size(one.bytes), size(one.shared_bytes)) for one in found.models]
    yield from page.table(("MODEL", "PLACE", "SIZE", "SHARED"), rows)
    yield ""
    places = [
        (one.place, one.models, size(one.bytes), size(one.free_bytes), one.path)
        for one in found.places
    ]
    yield from page.table(("PLACE", "MODELS", "SIZE", "FREE", "WHERE"), places)
    yield ""
    yield f"{size(found.total_bytes)} in all"
    if found.prunable_bytes:
        yield f"{size(found.prunable_bytes)} besides, which llmrr prune would free"


def garbage_facts(found: Iterable["Garbage"]) -> list[Facts]:
    """``llmrr prune --json``."""
    return [
        {"name": one.name, "path": one.path, "bytes": one.bytes, "why": one.why}
        for one in found
    ]


def prunable(page: Page, found: Sequence[Facts]) -> Iterator[str]:
    """``llmrr prune --dry-run``."""
    return _garbage(found, "would be freed")


def pruned(page: Page, found: Sequence[Facts]) -> Iterator[str]:
    """``llmrr prune``."""
    return _garbage(found, "freed")


def _garbage(found: Sequence[Facts], what: str) -> Iterator[str]:
    for one in found:
        yield f"{size(one['bytes'])}  {one['name']}: {one['why']}"
    total = sum(one["bytes"] for one in found)
    yield f"{size(total)} {what}" if found else "nothing to remove"
