"""From the command line of ``llmrr migrate scan`` to what was found."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from llmrr.cli import output, saving, scan_views
from llmrr.errors import LlmrrError
from llmrr.paths import user_path

if TYPE_CHECKING:
    from llmrr.migrate.assessing.needs import Needs
    from llmrr.migrate.assessing.report import Assessment
    from llmrr.migrate.scanning import Scan


def needs(
    latency_ms: float | None, cost: float | None, availability: str | None,
    throughput: float | None,
) -> "Needs":  # fmt: skip
    """What the user requires. Raises ``UsageError``."""
    from llmrr.migrate.assessing.needs import Needs
    from llmrr.migrate.planning.sides import share

    least = None if availability is None else share(availability, "--min-availability", "99%")
    return Needs(latency_ms, cost, least, throughput)


def look(
    paths: Iterable[str], kind: str | None, only: Iterable[str], skip: Iterable[str],
    required: "Needs", candidates: Sequence[str], *, file: str | None, json: bool,
) -> "Scan":  # fmt: skip
    """Scan, assess and print what was found, as Markdown into ``file`` where that is wanted. Raises
    ``NotFound`` and ``UsageError``."""
    from llmrr.migrate.scanning import scan

    found = scan([user_path(one) for one in paths], kind=kind, only=only, skip=skip)
    seen = _assessed(found, required, candidates, full=json or file is not None)
    if file is not None:
        saving.save(file, scan_views.markdown(found, seen))
    if json:
        output.document(found.as_json() | {"assessment": seen.as_json()})
    else:
        output.show((found, seen), scan_views.report, as_json=False)
    return found


def _assessed(
    found: "Scan", required: "Needs", candidates: Sequence[str], *, full: bool
) -> "Assessment":
    """What is known of the use of the models. Installed models are weighed for a ``full``
    assessment, or where the user names ``candidates``."""
    from llmrr.migrate.assessing import report
    from llmrr.router import Router

    with Router(warn=output.note) as router:
        return report.assess(
            router, found.found, found.packages, found.signs, required, candidates, full=full
        )


def finish(found: "Scan", paths: Sequence[str]) -> None:
    """Raises ``LlmrrError`` where nothing of any tool was found, or nothing could be taken."""
    if any(one.error is None or one.models or one.templates for one in found.found):
        return
    refused = found.found or (found.artefacts if len(paths) == 1 else ())
    if found.found or len(refused) == 1:
        path, why = str(refused[0].path), refused[0].error or ""
        more = f" (and {len(refused) - 1:,} more)" if len(refused) > 1 else ""
        said = why if why.startswith(path) else f"{path}: {why}"
        raise LlmrrError(f"{said}{more}", "llmrr migrate scan --help")
    where = ", ".join(f'"{one}"' for one in paths[:3]) + (" …" if len(paths) > 3 else "")
    raise LlmrrError(
        f"nothing that says something of models was found in {where}",
        "llmrr migrate scan --from KIND FILE reads a file as that kind",
    )
