"""From the command line of ``llmrr migrate scan`` to what was found."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from llmrr.cli import output, scan_views
from llmrr.errors import LlmrrError
from llmrr.paths import user_path

if TYPE_CHECKING:
    from llmrr.migrate.scanning import Scan


def look(
    paths: Iterable[str], kind: str | None, only: Iterable[str], skip: Iterable[str], *, json: bool
) -> "Scan":
    """Scan, and print what was found. Raises ``NotFound`` and ``UsageError``."""
    from llmrr.migrate.scanning import scan

    found = scan([user_path(one) for one in paths], kind=kind, only=only, skip=skip)
    if json:
        output.document(found.as_json())
    else:
        output.show(found, scan_views.report, as_json=False)
    return found


def finish(found: "Scan", paths: Sequence[str]) -> None:
    """Raises ``LlmrrError`` where nothing of any tool was found."""
    if found.found:
        return
    if len(found.artefacts) == 1 and len(paths) == 1:
        only = found.artefacts[0]
        raise LlmrrError(f"{only.path}: {only.error}", "llmrr migrate scan --help")
    where = ", ".join(f'"{one}"' for one in paths[:3]) + (" …" if len(paths) > 3 else "")
    raise LlmrrError(
        f"nothing that says something of models was found in {where}",
        "llmrr migrate scan --from KIND FILE reads a file as that kind",
    )
