"""What ``llmrr migrate scan`` looks like on a page: lines of text, pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from llmrr.cli.layout import Page, counted

if TYPE_CHECKING:
    from llmrr.migrate.artefact import Artefact, Model
    from llmrr.migrate.scanning import Scan
    from llmrr.migrate.walking import Left

_MOST: Final = 10  # files that are listed of a sort
_LONGEST: Final = 60  # characters of a value that are shown


def report(page: Page, found: "Scan") -> Iterator[str]:
    """Each artefact with its models and warnings, then what was not read, then the sums."""
    for artefact in found.artefacts:
        yield from _artefact(page, artefact)
        yield ""
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


def _stated(model: "Model") -> str:
    values = {**model.params, **model.options}
    said = ", ".join(f"{key} {_shown(value)}" for key, value in values.items())
    return f"  [{said}]" if said else ""


def _shown(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


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
