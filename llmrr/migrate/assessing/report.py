"""The assessment of what a scan found, put together, and as Markdown."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr.errors import LlmrrError
from llmrr.migrate.artefact import Artefact, Model
from llmrr.migrate.assessing import candidates, dependencies, needs, system, usage

UNKNOWN: Final = "\N{EN DASH}"

if TYPE_CHECKING:
    from llmrr.optimize.history import ModelUse
    from llmrr.router import Router


@dataclass(frozen=True, slots=True)
class Assessment:
    """``models`` are those that are used, ``held`` the requirements against each of them,
    ``candidates`` what could answer here instead; ``maps``, ``warned`` and ``cannot`` count
    artefacts: taken whole, taken with a warning, not taken."""

    models: tuple[usage.ModelUsage, ...]
    system: dict[str, list[dict[str, str]]]
    dependencies: tuple[dependencies.Dependency, ...]
    held: tuple[needs.Held, ...]
    candidates: tuple[candidates.Candidate, ...]
    maps: int
    warned: int
    cannot: int

    def as_json(self) -> dict[str, Any]:
        """The key ``assessment`` of ``migrate scan --json``."""
        return {
            "models": [one.as_json() for one in self.models],
            "requirements": [one.as_json() for one in self.held],
            "candidates": [one.as_json() for one in self.candidates],
            "maps": self.maps, "maps_with_warnings": self.warned, "cannot": self.cannot,
        }  # fmt: skip


def assess(
    router: "Router",
    artefacts: Sequence[Artefact],
    packages: Iterable[dependencies.Dependency],
    signs: Iterable[system.Sign],
    required: needs.Needs,
    named: Sequence[str],
    *,
    full: bool = True,
) -> Assessment:
    """Put together what is known. ``named`` are repositories that the user could use instead of
    remote models; installed ones are weighed besides where it is ``full``."""
    uses, costs = _known(router)
    used = usage.of(artefacts, uses, costs, _bytes)
    found = list(packages)
    outcomes = Counter(_outcome(one) for one in artefacts)
    is_wanted = full and not all(one.is_local for one in used)
    return Assessment(
        models=tuple(used),
        system=system.as_json([*signs, *system.by_packages(found)]),
        dependencies=tuple(dependencies.merged(found)),
        held=tuple(needs.hold(required, used)),
        candidates=tuple(candidates.find(router, named)) if named or is_wanted else (),
        maps=outcomes["maps"], warned=outcomes["warned"], cannot=outcomes["cannot"],
    )  # fmt: skip


def _known(
    router: "Router",
) -> tuple[dict[str, "ModelUse"], dict[str, dict[str, float]]]:
    """The history and the costs that the user stated, by source; none of a configuration that
    cannot be read, which a scan has nothing to do with."""
    from llmrr.optimize import history

    known = router.with_database(lambda base: history.read(base, 0.0), "the history")
    uses = {one.source: one for one in known.models} if known else {}
    try:
        models = router.config.models
    except LlmrrError:
        return uses, {}
    return uses, {one.source: one.cost._asdict() for one in models if one.cost}


def packages_as_json(found: Iterable[dependencies.Dependency]) -> list[dict[str, Any]]:
    """The key ``dependencies`` of ``migrate scan --json``."""
    return [{**one._asdict(), "file": str(one.file)} for one in found]


def _outcome(artefact: Artefact) -> str:
    if artefact.error or not (artefact.models or artefact.templates or artefact.settings):
        return "cannot"
    return "warned" if artefact.warnings else "maps"


def _bytes(model: Model, path: Path) -> int | None:
    """The size of a file that lies where the artefact says."""
    name = model.source.removeprefix("file:")
    if name == model.source:
        return None
    try:
        file = path.parent / name
        return file.stat().st_size if file.is_file() else None
    except (OSError, ValueError):
        return None


def markdown(found: Assessment) -> str:
    """The assessment as a page of Markdown."""
    lines = ["# What runs today", "", *_models(found.models), "", "## The system", ""]
    for aspect in system.ASPECTS:
        seen = ", ".join(f"{one['name']} ({one['where']})" for one in found.system[aspect])
        lines.append(f"- {aspect}: {seen or UNKNOWN}")
    lines += ["", "## Packages that are replaced", ""]
    rows = [
        [one.name, one.version or UNKNOWN, str(one.file), one.replaced_by or UNKNOWN]
        for one in found.dependencies
    ]
    lines += table(["package", "version", "file", "by"], rows) if rows else ["None."]
    if found.held:
        rows = [[one.model, one.need, f"{one.wanted:g}", _figure(one.known), _verdict(one)]
                for one in found.held]  # fmt: skip
        lines += ["", "## Requirements", "",
                  *table(["model", "requirement", "wanted", "known", "met"], rows)]  # fmt: skip
    if found.candidates:
        lines += ["", "## What could answer on this machine", "", *_candidates(found.candidates)]
    total = f"{found.maps} taken whole, {found.warned} with a warning, {found.cannot} not taken"
    return "\n".join([*lines, "", "## In all", "", f"Of the artefacts: {total}.", ""])


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table of Markdown.

    >>> table(["a"], [["x|y"]])
    ['| a |', '|---|', '| x\\\\|y |']
    """
    cells = [[one.replace("|", "\\|").replace("\n", " ") for one in row] for row in rows]
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}",
            *(f"| {' | '.join(row)} |" for row in cells)]  # fmt: skip


def _models(found: Iterable[usage.ModelUsage]) -> list[str]:
    rows = [
        [one.name, one.provider, one.level or UNKNOWN, str(one.call_sites),
         "yes" if one.is_local else "no", _megabytes(one.bytes),
         _figure(None if one.latency_s is None else one.latency_s * 1000), _figure(one.cost)]
        for one in found
    ]  # fmt: skip
    heads = ["model", "provider", "usage", "call sites", "local", "MB", "ms", "$ per 1,000 tokens"]
    return table(heads, rows) if rows else ["No model was found."]


def _candidates(found: Iterable[candidates.Candidate]) -> list[str]:
    rows = [
        [one.name, _megabytes(one.memory_bytes),
         {True: "yes", False: "no", None: UNKNOWN}[one.fits], _figure(one.tokens_per_s),
         UNKNOWN if one.quality is None else f"{one.quality:.0%} of {one.measured_by}",
         one.problem or ""]
        for one in found
    ]  # fmt: skip
    return table(["model", "memory, MB", "fits", "tokens/s", "measured quality", ""], rows)


def _verdict(one: needs.Held) -> str:
    return {True: "yes", False: "no", None: f"not known; {one.how}"}[one.met]


def _megabytes(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 1e6:,.0f}"


def _figure(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.4g}"
