"""What the commands of the store print: lines of text, and the facts of ``--json``. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmrr.cli.layout import Page, count, size

if TYPE_CHECKING:
    from llmrr.cli.bringing import Adopted, Match
    from llmrr.store.removal import Garbage, Removal
    from llmrr.store.usage import Usage

Facts = Mapping[str, Any]


def plan(page: Page, found: Facts) -> Iterator[str]:
    """``llmrr pull --dry-run``."""
    rows = [
        (file["path"], size(file["bytes"]), size(file["missing_bytes"])) for file in found["files"]
    ]
    total = (f"{len(rows)} files", size(found["bytes"]), size(found["missing_bytes"]))
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
    """``llmrr import``: a name for what was installed, a reason for what was not."""
    rows = [
        (one.name or one.source, one.format, size(one.bytes), one.problem or str(one.path))
        for one in lines
    ]
    return page.table(("NAME", "FORMAT", "SIZE", "WHERE"), rows)


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


def removed(page: Page, found: Sequence[Facts]) -> Iterator[str]:
    """``llmrr rm``."""
    for one in found:
        yield f"{one['name']}: {size(one['freed_bytes'])} freed, {len(one['deleted'])} files"
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


def garbage_facts(found: Iterable["Garbage"]) -> list[Facts]:
    """``llmrr prune --json``."""
    return [
        {"path": one.path, "bytes": one.bytes, "why": one.why,
         "name": one.entry.label if one.entry else None}
        for one in found
    ]  # fmt: skip


def pruned(page: Page, found: Sequence[Facts]) -> Iterator[str]:
    """``llmrr prune``."""
    for one in found:
        yield f"{size(one['bytes'])}  {one['name'] or one['path']}: {one['why']}"
    yield f"{size(sum(one['bytes'] for one in found))} in all" if found else "nothing to remove"
