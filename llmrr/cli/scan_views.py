"""What ``llmrr migrate scan`` looks like on a page: lines of text, pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from llmrr.cli.layout import Page, counted

if TYPE_CHECKING:
    from pathlib import Path

    from llmrr.migrate.artefact import Artefact, Model
    from llmrr.migrate.assessing.report import Assessment
    from llmrr.migrate.scanning import Scan
    from llmrr.migrate.scanning.walking import Left

_MOST: Final = 10  # files that are listed of a sort
_LONGEST: Final = 60  # characters of a value that are shown


def report(page: Page, both: "tuple[Scan, Assessment]") -> Iterator[str]:
    """Each artefact with its models and warnings, then how these are used, then what was not read,
    then the sums. A row is one line, whatever the names of files hold."""
    return (row.replace("\n", "\\n") for row in _rows(page, *both))


def _rows(page: Page, found: "Scan", seen: "Assessment") -> Iterator[str]:
    for artefact in found.artefacts:
        yield from _artefact(page, artefact)
        yield ""
    yield from _used(page, seen)
    yield from _around(found)
    yield from _left(found.skipped)
    yield from _unreadable(found.unreadable)
    models = sum(len(one.models) for one in found.artefacts)
    warnings = sum(len(one.warnings) for one in found.artefacts)
    yield (
        f"{counted(len(found.found), 'artefact')}, {counted(models, 'model')}, "
        f"{counted(warnings, 'warning')}; {counted(found.files, 'file')} seen, "
        f"{found.read:,} of them read"
    )


def _artefact(page: Page, found: "Artefact") -> Iterator[str]:
    sure = "" if found.confidence is None else f", {found.confidence:.0%} sure"
    yield f"{found.path}  ({found.kind}{sure})"
    if found.error:
        yield f"  error: {found.error}"
    for model in found.models:
        yield f"  {model.name}  {model.source}{_stated(model)}"
    for chain in found.fallbacks:
        yield f"  falls back: {' > '.join(chain)}"
    if found.templates:
        yield f"  prompts: {', '.join(one.name for one in found.templates)}"
    for key, value in found.settings.items():
        yield page.fitted(f"  {key} = {_shown(value)}")
    counts = Counter(one.code for one in found.warnings)
    for code, count in counts.items():
        first = next(one for one in found.warnings if one.code == code)
        line = first.where.removeprefix(str(found.path)).lstrip(": ")
        times = f" x{count}" if count > 1 else ""
        yield f"  warning {code}{times}: {first.message}" + (f" ({line})" if line else "")


def _line(path: "Path") -> str:
    return str(path).replace("\n", "\\n")


def _stated(model: "Model") -> str:
    values = {**model.params, **model.options}
    said = ", ".join(f"{key} {_shown(value)}" for key, value in values.items())
    return f"  [{said}]" if said else ""


def _shown(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _used(page: Page, seen: "Assessment") -> Iterator[str]:
    """How the models are used, the requirements, and what could answer instead."""
    if seen.models:
        heads = ("model", "provider", "usage", "calls", "local", "MB", "ms", "$/1,000 tokens")
        yield from page.table(heads, [
            (one.name, one.provider, one.level, one.call_sites, one.is_local,
             None if one.bytes is None else round(one.bytes / 1e6),
             None if one.latency_s is None else round(one.latency_s * 1000),
             None if one.cost is None else f"{one.cost:.4g}")
            for one in seen.models
        ])  # fmt: skip
        yield ""
    if seen.held:
        yield from page.table(("requirement", "model", "wanted", "known", "met"), [
            (one.need, one.model, f"{one.wanted:g}",
             None if one.known is None else f"{one.known:.4g}", one.met)
            for one in seen.held
        ])  # fmt: skip
        unknown = dict.fromkeys((one.need, one.how) for one in seen.held if one.met is None)
        yield from (f"{need} is not known: {how}" for need, how in unknown)
        yield ""
    if seen.candidates:
        yield from page.table(("on this machine", "MB", "fits", "tokens/s", "quality", ""), [
            (one.name, None if one.memory_bytes is None else round(one.memory_bytes / 1e6),
             one.fits, one.tokens_per_s,
             None if one.quality is None else f"{one.quality:.0%} of {one.measured_by}",
             one.problem or " ")
            for one in seen.candidates
        ])  # fmt: skip
        yield ""


def markdown(found: "Scan", seen: "Assessment") -> str:
    """The report as Markdown: the artefacts, then the assessment."""
    from llmrr.migrate.assessing import report as assessing

    lines = ["", "## Artefacts", ""]
    for one in found.artefacts:
        told = f": {one.error}" if one.error else ""
        lines += [f"### {_line(one.path)}", "", f"{one.kind}{told}", ""]
        lines += [f"- `{model.name}` is `{model.source}`{_stated(model)}" for model in one.models]
        lines += [f"- falls back: {' > '.join(chain)}" for chain in one.fallbacks]
        lines += [f"- prompt `{template.name}`" for template in one.templates]
        lines += [f"- {each.code}: {each.message} ({each.where})" for each in one.warnings]
        lines.append("")
    lines += [f"- not readable: {_line(one.path)}: {one.why}" for one in found.unreadable]
    return assessing.markdown(seen) + "\n".join(lines) + "\n"


def _around(found: "Scan") -> Iterator[str]:
    """The system, and the packages that something here replaces."""
    facts = found.as_json()
    for aspect, signs in facts["system"].items():
        if signs:
            yield f"{aspect}: {', '.join(one['name'] for one in signs)}"
    for one in facts["dependencies"]:
        version = f" {one['version']}" if one["version"] else ""
        yield f"package {one['name']}{version} ({one['file']}): {one['replaced_by']}"


def _left(found: Iterable["Left"]) -> Iterator[str]:
    """Counted by their reasons: there may be thousands."""
    counts = Counter(one.why for one in found)
    if counts:
        said = ", ".join(f"{why} {count:,}" for why, count in sorted(counts.items()))
        yield f"not looked into: {said}"


def _unreadable(found: tuple["Left", ...]) -> Iterator[str]:
    if found:
        yield f"not readable: {counted(len(found), 'file')}"
    for one in found[:_MOST]:
        yield f"  {one.path}: {one.why}"
    if len(found) > _MOST:
        yield f"  and {len(found) - _MOST:,} more (--json lists them)"
