"""What the commands for the models that are here do, between the command line and the store."""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llmrr import parameters, paths, types
from llmrr.catalogue import BUILTIN
from llmrr.cli import inputs, offers, output
from llmrr.cli.layout import counted, size
from llmrr.errors import LlmrrError, NotFound, NotInstalled, UsageError, nearest
from llmrr.inventory import Installed
from llmrr.store.variants import is_projector

if TYPE_CHECKING:
    from llmrr.description import Description
    from llmrr.modelfile import Modelfile
    from llmrr.router import Router
    from llmrr.store.removal import Garbage, Removal
    from llmrr.store.usage import Usage

SORTS: dict[str, Callable[[Installed], str | float]] = {
    "name": lambda one: one.name.lower(),
    "size": lambda one: -(one.bytes or 0),
    "added": lambda one: -(one.added or 0),
    "used": lambda one: -(one.last_used or 0),
}


class Asked(NamedTuple):
    """What the command line of ``cp`` and ``create`` states; ``is_made`` by the latter."""

    base: str | None
    name: str
    file: str | None = None
    system: str | None = None
    options: Sequence[Sequence[str]] = ()
    force: bool = False
    is_made: bool = False


def listed(
    found: Sequence[Installed], pattern: str | None, sort: str | None
) -> list[Installed]:
    """The lines that match, in the order asked for; the built-in model stays last."""
    if sort is not None and sort not in SORTS:
        near = nearest(sort, SORTS)
        raise UsageError(
            f'"{sort}" is no key to sort by', f"--sort {near or ', '.join(SORTS)}"
        )
    lines = [one for one in found if pattern is None or _matches(one.name, pattern)]
    if sort is not None:
        lines.sort(key=lambda one: (one.name == BUILTIN, SORTS[sort](one)))
    return lines


def template(found: "Description") -> str:
    """The chat template. Raises ``LlmrrError`` where there is none."""
    if found.chat_template is None:
        raise LlmrrError(f"{found.name} brings no chat template", "llmrr run --raw")
    return found.chat_template


def modelfile(router: "Router", name: str) -> str:
    """A Modelfile that makes the model anew."""
    from llmrr import modelfile

    entry = router.catalogue.entry(name)
    base = str(entry.path) if entry.provider == "file" else _as_ollama_writes(entry.origin)
    images = next((one.path for one in entry.files if is_projector(one.path.name)), None)
    return modelfile.render(base, entry.recipe, images if entry.is_made else None)


def removals(router: "Router", names: Iterable[str]) -> "list[Removal]":
    """What removing these would do. Raises ``NotFound``, and ``UsageError`` for one that is not
    ours to remove."""
    from llmrr.store import removal

    configured = {model.name: model.file for model in router.config.models}
    entries = []
    for name in names:
        if name == BUILTIN:
            raise UsageError(f"{BUILTIN} ships inside llmrr and stays", "llmrr list")
        if name in configured:
            raise UsageError(
                f"{name} is a model of {configured[name]}: nothing of it is installed",
                f"take it out of {configured[name]}",
            )
        entries.append(router.catalogue.installed(name))
    unique = list({entry.label: entry for entry in entries}.values())
    return removal.plan(router.database, unique)


def remove(router: "Router", found: "Sequence[Removal]", *, yes: bool) -> "Sequence[Removal]":
    """Remove them, once the user has agreed; what that did. Raises ``LlmrrError`` where he has not.
    """
    from llmrr.store import removal

    if not yes:
        names = ", ".join(one.entry.label for one in found)
        freed = size(sum(one.bytes for one in found))
        output.note(f"to be removed: {names}; that frees {freed}")
        if not output.confirm("Remove?", default=False):
            raise LlmrrError("nothing was removed", "")
    return removal.remove(router.database, [one.entry for one in found])


def derive(router: "Router", asked: Asked) -> dict[str, object]:
    """Install another name for weights that are here, with what the command line states. Raises
    what ``store.creation`` and ``modelfile`` do."""
    from llmrr.store import candidates, creation

    base, recipe, images = _recipe(router, asked)
    if text := recipe.options.get("chat_template"):
        _check_template(text)
    offers.require(router, base)
    entry = router.catalogue.entry(base)
    if not entry.files and entry.origin != BUILTIN:  # it can be looked at, and no more
        candidates.candidate(entry.path)
    made = creation.derive(
        router.database, entry, asked.name, recipe, projector=images, force=asked.force
    )
    return offers.made(router, made)


def _check_template(text: str) -> None:
    from llmrr.engines import jinja, rendering

    try:
        rendering.check(text)
    except jinja.Unrenderable as exc:
        raise UsageError(f"the chat template cannot be read: {exc}", "mend it, then again") from exc


def usage(router: "Router", *, everything: bool) -> "Usage":
    """What the models take."""
    from llmrr.store import adoption, holders
    from llmrr.store import usage as sums

    entries = router.catalogue.entries()
    known = {file.path for entry in entries for file in entry.files}
    if everything:
        held = (one for name in holders.HOLDERS for one in holders.holdings(name))
        for one in held:
            if one.problem is None and not known.intersection(one.files):
                with suppress(LlmrrError):  # one that is damaged must not keep the others away
                    entries.append(adoption.held(one, one.source))
    spare = 0
    with suppress(LlmrrError):  # what cannot be written cannot be pruned
        spare = sum(one.bytes for one in garbage(router))
    return sums.usage(entries, spare)


def garbage(router: "Router", *, answers: bool = False) -> "list[Garbage]":
    """What nobody needs any more; with ``answers`` also those of the cache."""
    from llmrr.choosing import kept
    from llmrr.store import removal

    found = removal.garbage(router.database)
    count, taken = kept.size(router.database) if answers else (0, 0)
    if count:
        why = f"{counted(count, 'answer')} of the cache"
        found.append(removal.Garbage(paths.database_file(), taken, why))
    return found


def prune(router: "Router", found: "Sequence[Garbage]", *, yes: bool) -> "Sequence[Garbage]":
    """Remove it, once the user has agreed; what that was. Raises ``LlmrrError`` where he has not.
    """
    from llmrr.choosing import kept
    from llmrr.store import removal

    if found and not yes:
        output.note(f"to be removed: {size(sum(one.bytes for one in found))} in all")
        output.notes(f"{size(one.bytes)}  {one.name}: {one.why}" for one in found)
        if not output.confirm("Remove?", default=False):
            raise LlmrrError("nothing was removed", "")
    done = removal.prune(router.database, found)
    answers = [one for one in found if one.path == paths.database_file()]
    if answers:
        kept.clear(router.database)
    return [*done, *answers]


def _as_ollama_writes(source: str) -> str:
    """A source as it stands behind FROM, so that Ollama takes the file too.

    >>> _as_ollama_writes("huggingface:o/r:Q4_K_M"), _as_ollama_writes("ollama:mistral:7b")
    ('hf.co/o/r:Q4_K_M', 'mistral:7b')
    """
    for ours, theirs in (("huggingface:", "hf.co/"), ("ollama:", "")):
        if source.startswith(ours):
            return theirs + source.removeprefix(ours)
    return source


def _matches(name: str, pattern: str) -> bool:
    name, pattern = name.lower(), pattern.lower()
    return fnmatchcase(name, pattern) if set(pattern) & set("*?[") else pattern in name


def _recipe(router: "Router", asked: Asked) -> tuple[str, types.Recipe, Path | None]:
    """The base, what is stated over its own recipe, and an image encoder."""
    from llmrr.store.creation import over

    base, recipe, images = asked.base, types.Recipe(), None
    if read := _modelfile(asked):
        output.notes(read.warnings)
        base, recipe, images = base or _base(router, read), read.recipe, read.projector
    if base is None:
        raise UsageError("a model is made from another one", "--from MODEL, or -f MODELFILE")
    sampling, loading = parameters.read_options(asked.options, Path.cwd())
    stated = types.Recipe(asked.system, parameters.sampling({}, sampling), loading)
    return base, over(stated, recipe), images


def _modelfile(asked: Asked) -> "Modelfile | None":
    """The Modelfile that is named: ``-`` is stdin, and without any base that of this folder is
    taken, as Ollama does."""
    from llmrr import modelfile

    named = asked.file
    if named is None and asked.base is None and asked.is_made and Path("Modelfile").is_file():
        named = "Modelfile"
        output.note("made from ./Modelfile")
    if named is None:
        return None
    if named == "-":
        text = inputs.read_stdin(sys.stdin) or ""
        return modelfile.parse(text, Path.cwd(), "stdin", base=asked.base)
    folder = paths.expanded(named).parent
    return modelfile.parse(inputs.read_bytes(named), folder, named, base=asked.base)


def _base(router: "Router", read: "Modelfile") -> str:
    """What FROM means here: a model that is installed, or in Ollama's store, or known by name."""
    from llmrr.store.shortnames import short_name

    if read.base_path is None and router.catalogue.find(read.base):
        return read.base
    try:
        router.catalogue.entry(read.source)
    except NotFound as error:
        if read.source != f"ollama:{read.base}" or isinstance(error, NotInstalled):
            raise
        if short_name(read.base):
            return read.base
        near = router.catalogue.nearest(read.base)
        raise NotFound(
            f'there is no model "{read.base}", neither here nor in Ollama\'s store',
            f"did you mean {near}?" if near else "llmrr list --all shows what there is",
        ) from error
    return read.source
