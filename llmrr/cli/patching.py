"""From ``llmrr migrate plan --patch`` to differences of code."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from llmrr import paths as folders
from llmrr.cli import migrating, output
from llmrr.errors import LlmrrError, UsageError
from llmrr.migrate import planning

if TYPE_CHECKING:
    from llmrr.migrate.patches import Patch
    from llmrr.migrate.planning import Plan, Wishes


_SERVER: Final = "llmrr serve has to run at that address (--serve-url names another)"


def show(
    paths: Sequence[str] | None, kind: str | None, target: str | None, wanted: "Wishes",
    how: str | None, url: str | None, *, json: bool,
) -> None:  # fmt: skip
    """Print the differences, and tell what they leave. Raises ``UsageError``, what scanning and
    planning do, and ``LlmrrError`` where there is nothing to change."""
    found = _made(paths, kind, target, wanted, how, url)
    if json:
        told = [{"code": one.code, "where": one.where, "message": one.message}
                for one in found.told]  # fmt: skip
        output.document({"patch": found.text, "folder": str(found.folder), "warnings": told})
        return
    output.write(found.text)
    migrating.tell(found.told)
    if found.text and how == "serve":
        output.note(_SERVER)
    if not found.text:
        raise LlmrrError("there is nothing to change in code", "llmrr migrate scan PATH")
    output.note(f"to be applied in {found.folder}: git apply, or patch -p1")


def _made(
    paths: Sequence[str] | None, kind: str | None, target: str | None, wanted: "Wishes",
    how: str | None, url: str | None,
) -> "Patch":  # fmt: skip
    from llmrr.migrate import patches
    from llmrr.migrate.scanning import scan

    if how not in patches.HOW:
        known = " or ".join(f"--patch {one}" for one in patches.HOW)
        raise UsageError(f"--patch {how}: there is no such change" if how else
                         "--serve-url is for --patch", known)  # fmt: skip
    if how == "library" and url is not None:
        raise UsageError("--serve-url is for --patch serve", "--patch serve --serve-url URL")
    if not paths:
        raise UsageError("no path is named to change code in", "llmrr migrate plan --patch .")
    address, place = patches.server_url(url), planning.target_of(target)
    artefacts = scan(paths, kind=kind).artefacts
    names = planning.known(_applied(), place)
    called = planning.called(artefacts, place, wanted, address, names)
    return patches.make(planning.wanted(artefacts, wanted), called, how, address)


def _applied() -> "list[Plan]":
    """The plans that were applied and stand, the newest last."""
    from llmrr.migrate.applying import records

    if not folders.database_file().exists():
        return []
    with migrating.database() as connection:
        return [one.plan for one in records.migrations(connection) if one.state == "done"]
