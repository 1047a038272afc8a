"""From artefacts to a plan."""

import hashlib
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from llmrr import paths, tomlfile
from llmrr.config import FILE_NAME, project_file, user_file
from llmrr.config.checking import raise_first
from llmrr.config.files import content_of
from llmrr.errors import BadConfig, LlmrrError, UsageError
from llmrr.migrate.applying import checklist
from llmrr.migrate.artefact import Artefact, Notice
from llmrr.migrate.merging.served import URL
from llmrr.migrate.merging.setup import Setup, combined
from llmrr.migrate.planning import blobs, naming, replacing, sides
from llmrr.migrate.planning.data import Action, Plan, identified
from llmrr.migrate.planning.naming import NONE_KNOWN, Called, Key
from llmrr.migrate.planning.text import models_in, names_in, written
from llmrr.migrate.planning.wishes import NO_WISHES, Wishes, fits, wanted, without
from llmrr.migrate.terms.secrets import masked
from llmrr.strategies import parse_strategy
from llmrr.tomllayout import Place

# The stores of other tools whose models are entered in ours, by the kind of artefact.
_HOLDERS: Final = {
    "ollama-store": "ollama", "hf-cache": "huggingface", "lm-studio": "lmstudio",
    "gpt4all": "gpt4all", "localai": "localai",
}  # fmt: skip


def make(artefacts: Iterable[Artefact], target: Path, wishes: Wishes = NO_WISHES) -> Plan:
    """What migrating these artefacts to ``target`` (an ``llmrr.toml``) would do.

    An existing file is added to, unless ``wishes.overwrite``. Raises ``LlmrrError`` where there is
    nothing to take over, ``BadConfig`` for a target that is not valid, ``UsageError`` and
    ``NotFound`` for wishes that cannot be.
    """
    target = target.absolute()
    left = wanted(_foreign(artefacts), wishes)
    setup = combined(left, target.parent, replacing.sources(wishes.replace, target.parent))
    _require_something(setup, left)
    content = content_of(target)
    before = None if content is None or wishes.overwrite else _valid(target, content)
    setup, new = _replaced(setup, wishes, target.parent)
    setup, names = _named(setup, before, wishes)
    _require_something(setup, left)
    models = [replace(one, name=names[one.name]) for one in setup.models]
    changes = sides.changes(models, [names[one] for one in new if one in names], wishes)
    # The first day that flags of the file count their weeks from stays.
    stated = [".".join(map(str, one)) for one, _ in changes if one != ("flags", "start")]
    if wishes.has_sides:
        setup, before = sides.unpinned(setup, before, names, new)
    if wishes.strategy is not None:
        changes.insert(0, _strategy(wishes.strategy))
        stated.append("strategy")
        setup = replace(setup, settings={
            key: one for key, one in setup.settings.items() if key != "strategy"
        })  # fmt: skip
    text = written(before, setup, names, changes, stated)
    _require_valid(target, text.toml)
    warnings = tuple(dict.fromkeys([*setup.warnings, *text.warnings]))
    warnings = tuple(replace(one, message=masked(one.message)) for one in warnings)
    plan = Plan(
        "", target, None if content is None else hashlib.sha256(content).hexdigest(), text.toml,
        (Action("write-config", target, detail=naming.recorded(
            setup, names, overwrite=wishes.overwrite and content is not None)),
         *_registrations(left, setup, target.parent), *_imports(left)),
        warnings, (), tuple((path.absolute(), digest) for path, digest in setup.sources),
    )  # fmt: skip
    return identified(replace(plan, checklist=checklist.planned(plan)))


def called(
    artefacts: Iterable[Artefact], target: Path, wishes: Wishes = NO_WISHES, served: str = URL,
    known: Mapping[Key, str] = NONE_KNOWN,
) -> Called:
    """What each model of each artefact is called in ``target``: as a migration that was applied has
    called it (``known``), while the file has that name, nothing replaces the model now and no new
    file is begun; else as ``make`` plans it. ``served`` is where llmrr answers. Raises what
    ``make`` does."""
    target = target.absolute()
    left = wanted(artefacts, wishes)
    setup = combined(left, target.parent, replacing.sources(wishes.replace, target.parent), served)
    content = content_of(target)
    before = None if content is None or wishes.overwrite else _valid(target, content)
    setup, new = _replaced(setup, wishes, target.parent)
    _, names = _named(setup, before, wishes)
    kept = naming.kept(setup, models_in(before), known, new)
    return naming.called(left, setup, names, kept)


def difference(plan: Plan) -> list[str]:
    """The lines of the unified difference between the target as it is and as it is to be, without
    any key that stands there."""
    from difflib import unified_diff

    content = content_of(plan.target)
    before = "" if content is None else content.decode("utf-8", "replace")
    here = Path.cwd()
    target = plan.target
    name = str(target.relative_to(here) if target.is_relative_to(here) else target)
    old = name if content is not None else "/dev/null"
    lines = []
    for line in unified_diff(_lines(before), _lines(plan.toml), old, name):
        lines.append(masked(line.rstrip("\r\n")))
        if not line.endswith("\n"):
            lines.append("\\ No newline at end of file")
    return lines


def absent(plan: Plan) -> list[str]:
    """The names of models in the text of a plan whose files are not there."""
    models = tomlfile.read(plan.target, plan.toml.encode()).models or ()
    return [one.name for one in models if one.path is not None and not paths.exists(one.path)]


def hidden(plan: Plan) -> Path | None:
    """The ``llmrr.toml`` of a folder above, which a new one takes the place of."""
    if plan.base is not None or plan.target.name != FILE_NAME or plan.target == user_file():
        return None
    above = project_file(plan.target.parent.parent)
    return None if above == plan.target else above


def target_of(given: str | None) -> Path:
    """The file that is written: the one that is named, or that of a folder. Raises
    ``UsageError``."""
    path = Path(given).expanduser() if given else Path(FILE_NAME)
    if path.is_dir():
        path = path / FILE_NAME
    if not path.parent.is_dir():
        raise UsageError(f'there is no folder "{path.parent}"', f"mkdir -p {path.parent}")
    return path


def _foreign(artefacts: Iterable[Artefact]) -> Iterator[Artefact]:
    """With what is to be said of guesses, and without what is not of other tools: that this is so
    is told by scan."""
    for one in artefacts:
        if one.kind == "custom" and one.confidence is not None:
            said = f"read by the names of its fields, with {one.confidence:.0%} confidence"
            one = replace(one, warnings=(*one.warnings, Notice("guess", str(one.path), said)))
        yield one


def _require_something(setup: Setup, artefacts: Sequence[Artefact]) -> None:
    """Raise ``LlmrrError`` where there is nothing, and say why, as far as that is known."""
    if setup.models or setup.templates or set(setup.settings) - {"env_file"}:
        return
    if stores := [shlex.quote(str(one.path)) for one in _imports(artefacts)]:
        said = "nothing was found that sets up a model, only answers that other tools kept"
        raise LlmrrError(said, f"llmrr migrate cache {' '.join(stores)}")
    why = [f"{one.where}: {masked(one.message)}" for one in setup.warnings[:3]]
    hint = "\n".join([*why, "llmrr migrate scan shows what was read"])
    raise LlmrrError("nothing was found that could be taken over", hint)


def _named(setup: Setup, before: str | None, wishes: Wishes) -> tuple[Setup, dict[str, str]]:
    """The setup without what is skipped by the name that it gets, and these names."""
    names = names_in(before, setup)
    gone = {one for one, final in names.items() if fits(final, wishes.skip)}
    left = without(setup, gone) if gone else setup
    return left, {one: final for one, final in names.items() if one not in gone}


def _replaced(setup: Setup, wishes: Wishes, folder: Path) -> tuple[Setup, list[str]]:
    """The setup with what the wishes put in the place of its models, and the names of these."""
    new: list[str] = []
    if wishes.as_files:
        setup = blobs.as_files(setup, blobs.held)
    for old, source in wishes.replace:
        setup, names = replacing.replaced(setup, old, source, folder, beside=wishes.has_sides)
        new += names
    return setup, new


def _strategy(name: str) -> tuple[Place, str]:
    try:
        return ("strategy",), parse_strategy(name)
    except ValueError as exc:
        raise UsageError(f"--strategy: {exc}", "--strategy balanced") from exc


def _registrations(
    artefacts: Sequence[Artefact], setup: Setup, folder: Path
) -> Iterator[Action]:
    """The models of other tools' stores that are to be known here."""
    from llmrr.store import holders

    named = {one.source.partition("@")[0] for one in setup.models} | {
        f"file:{(folder / one.source.removeprefix('file:')).resolve()}" for one in setup.models
        if one.source.startswith("file:")
    } | {f"file:{Path(one.weights).resolve()}" for one in setup.models if one.weights}  # fmt: skip
    seen: set[str] = set()
    for artefact in artefacts:
        holder = _HOLDERS.get(artefact.kind)
        if holder is None or not artefact.path.is_dir():
            continue
        for one in holders.holdings(holder, artefact.path):
            known = {one.source, one.source.partition("@")[0], f"file:{one.path.resolve()}",
                     one.source.removesuffix(":latest")}  # fmt: skip
            if one.problem is None and known & named and one.source not in seen:
                seen.add(one.source)
                yield Action(
                    "register-model", artefact.path.absolute(), one.name, one.source,
                    {"holder": holder},
                )  # fmt: skip


def _imports(artefacts: Sequence[Artefact]) -> Iterator[Action]:
    """The stores of answers whose answers go to the history."""
    kept = (one for one in artefacts if one.kind == "response-cache" and one.error is None)
    for path in dict.fromkeys(one.path.absolute() for one in kept):
        yield Action("import-cache", path, detail={"kind": "response-cache"})


def _valid(target: Path, content: bytes) -> str:
    """The text of the target, if it is one that can be added to."""
    problems = tomlfile.read(target, content).problems
    if problems:
        hint = f"{problems[0].hint}\nor --force for a new file".lstrip()
        raise BadConfig(problems[0].message, hint)
    return content.decode()


def _require_valid(target: Path, text: str) -> None:
    raise_first(tomlfile.read(target, text.encode()).problems)


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)
