"""What is fetched of a repository, where to, and why just that; nothing is fetched yet."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from llmrr import hardware, hub, paths
from llmrr.errors import DoesNotFit, NotFound, Unreachable, UsageError, masked, nearest
from llmrr.formats import FolderFiles, missing
from llmrr.formats.source import Files
from llmrr.hardware import Hardware
from llmrr.kinds import LOCAL_PROVIDERS, PROVIDERS, path_of
from llmrr.store import cached, choice, content
from llmrr.store.choice import Choice, Option
from llmrr.store.content import Look
from llmrr.store.records import check_label, split_label
from llmrr.store.references import HubReference, hub_reference
from llmrr.store.shortnames import SHORT_NAMES, short_name
from llmrr.store.variants import quant_label
from llmrr.store.weighing import Weighing
from llmrr.types import Format


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for beyond the reference. ``runs`` are the formats that an engine here runs;
    ``label`` is the name that it gets, in place of the repository's; ``offline`` makes do with what
    is in the cache."""

    token: str | None = None
    quant: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    local_dir: Path | None = None
    allow_pickle: bool = False
    runs: frozenset[Format] = frozenset({Format.GGUF})
    label: str | None = None
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be fetched, where to, and why just that. ``label`` is None where patterns selected
    no model, or several: the files are fetched, and none is installed. ``look`` sees how each file
    begins, and refuses what is no data; ``offline``: all of it is there."""

    repository: hub.Repository
    files: tuple[hub.RemoteFile, ...]
    place: hub.Place
    option: Option | None
    label: str | None
    source: str
    why: str
    look: Look
    notes: tuple[str, ...] = ()
    offline: bool = False

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.size for file in self.files)

    @property
    def missing_bytes(self) -> int:
        """What is still to be fetched."""
        return 0 if self.offline else hub.missing_bytes(self.files, self.place)


class Offer(NamedTuple):
    """What a repository has to choose from, and how each is weighed."""

    repository: hub.Repository
    options: tuple[Option, ...]
    weigh: Weighing
    runs: frozenset[Format]

    def choose(self) -> Choice:
        """The best one. Raises what ``choice.choose`` does."""
        return choice.choose(
            self.options, self.repository.id, weigh=self.weigh, runs=self.runs
        )

    def best(self) -> Option | None:
        """The one that would be taken; None where none fits, or each lacks a part."""
        try:
            return self.choose().option
        except (DoesNotFit, NotFound):
            return None


def reference(text: str) -> tuple[HubReference, str | None]:
    """What on the hub a text means, and the label that it gets if it is a short name. Raises
    ``NotFound`` with the nearest short name, ``UsageError`` for what is not on the hub."""
    if found := hub_reference(text):
        return found, None
    if short := short_name(text):
        return short.reference, short.label
    provider = text.partition(":")[0]
    if provider in ("ollama", "lmstudio"):
        raise UsageError(
            f"{text} is what {provider} has on this disk, and nothing to fetch",
            f"llmrr import --from {provider}",
        )
    if not text.strip():
        raise UsageError("the name is empty", "llmrr search TEXT finds models")
    if ":" in text and provider in set(PROVIDERS) - LOCAL_PROVIDERS:
        raise UsageError(f"{text} is served elsewhere: there is nothing to fetch", "llmrr list")
    path = paths.expanded(path_of(text) or text)
    if path.exists():
        raise UsageError(f"{text} is a file or folder here", f"llmrr import {shlex.quote(text)}")
    if path_of(text):
        raise missing(path)
    if provider == "builtin":
        raise UsageError(f"{text} is here already", f"llmrr run -m {text}")
    near = nearest(text, SHORT_NAMES)
    said = f'"{text}" is no repository (owner/repo) and no short name'
    if near is None:
        words = re.sub(r"[^\w.]+", " ", text if masked(text) == text else "").strip() or "TEXT"
        raise NotFound(f"{said}", f"llmrr search {words}")
    raise NotFound(said, f"llmrr pull {near}")


def offer(
    wanted: HubReference,
    wish: Wish,
    machine: Hardware,
    context: int | None = None,
    kv_type: str = "f16",
) -> Offer:
    """Ask the hub what there is of a reference: one option if it names one. Raises ``NotFound``,
    ``Unsupported``, ``Unreachable``."""
    repository, files = _ask(wanted, wish)
    weigh = Weighing(files, machine, context=context, kv_type=kv_type)
    found = choice.options(repository.sizes, pickles=wish.allow_pickle)
    if wanted.file is not None:
        name = choice.named_file(repository.sizes, wanted.repo, wanted.file)
        found = (_of_file(found, repository, name, wish),)
    if not found:
        raise choice.nothing_found(repository.sizes, wanted.repo)
    if tag := wish.quant or wanted.tag:
        found = (choice.named(found, wanted.repo, tag),)
    return Offer(repository, found, weigh, wish.runs)


def plan(wanted: HubReference, wish: Wish, machine: Hardware | None = None) -> Plan:
    """Ask the hub what there is, and choose. Raises ``NotFound``, ``Unsupported``, ``DoesNotFit``,
    ``Unreachable``."""
    if (wish.include or wish.exclude) and wanted.is_whole and not wish.quant:
        return _patterns(_ask(wanted, wish)[0], wanted, wish)
    machine = machine or hardware.probe(thorough=True)
    found = offer(wanted, wish, machine)
    option, why = found.choose()
    option = _narrowed(option, wanted, wish)
    wanted = wanted._replace(repo=found.repository.id)
    return Plan(
        repository=found.repository,
        files=files_of(found.repository, option.files),
        place=_place(found.repository, wish),
        option=option,
        label=_label(wanted, option, wish),
        source=_source(wanted, option),
        why="" if wish.quant or not wanted.is_whole else why,
        look=_look(wish),
        notes=_notes(option, wish, machine),
        offline=wish.offline,
    )


def _ask(wanted: HubReference, wish: Wish) -> tuple[hub.Repository, Files]:
    """What there is of a repository: on the hub, or offline in its cache."""
    if not wish.offline:
        repository = hub.repository(wanted.repo, wanted.revision, wish.token)
        return repository, hub.RemoteFiles(repository, wish.token)
    there = cached.repository(wanted)
    if there is None:
        raise Unreachable(
            f"{wanted.source} is not in the cache, and this is offline mode",
            "leave out --offline (HF_HUB_OFFLINE); llmrr list --all shows what is on this disk",
        )
    return there, FolderFiles(hub.CachePlace(paths.hub_cache_dir(), there).snapshot)


def _look(wish: Wish) -> Look:
    return partial(content.look, pickles=wish.allow_pickle)


def _of_file(
    found: Sequence[Option], repository: hub.Repository, name: str, wish: Wish
) -> Option:
    """The option that a file belongs to: all parts of a split model, external data and so on."""
    if not wish.allow_pickle:
        choice.refuse_pickles([name], repository.id)
    for option in found:
        if name in option.weights:
            return option
    if name.endswith(".gguf"):  # an adapter, a projector: no model of its own
        tag = name.rpartition("/")[2].removesuffix(".gguf")
        return Option(Format.GGUF, tag, (name,), (), repository.sizes[name])
    raise NotFound(
        f"{name} is no model", f"llmrr pull {repository.id} --include {name} fetches just the file"
    )


def _narrowed(option: Option, wanted: HubReference, wish: Wish) -> Option:
    """What patterns leave of the one model that was named. Raises ``UsageError`` where that is not
    all of its weights."""
    kept = choice.selected(dict.fromkeys(option.files, 0), wish.include, wish.exclude)
    if absent := [name for name in option.weights if name not in kept]:
        raise UsageError(
            f"the patterns leave out {absent[0]}, which {wanted.source} needs",
            f"llmrr pull {wanted.repo} with the patterns alone fetches what matches",
        )
    return option._replace(beside=tuple(name for name in option.beside if name in kept))


def _patterns(repository: hub.Repository, wanted: HubReference, wish: Wish) -> Plan:
    """What ``--include`` and ``--exclude`` select; a model where they select just one."""
    sizes = dict(repository.sizes)
    names = choice.selected(sizes, wish.include, wish.exclude)
    if not names:
        stated = " ".join([*wish.include, *(f"--exclude {one}" for one in wish.exclude)])
        raise NotFound(
            f"no file of {wanted.repo} matches {stated}", f"it has: {choice.listed(sizes)}"
        )
    if not wish.allow_pickle:
        choice.refuse_pickles(names, wanted.repo)
    programs = [name for name in names if content.is_program(name)]
    names = tuple(name for name in names if name not in programs)
    chosen = {name: sizes[name] for name in names}
    found = choice.options(chosen, pickles=wish.allow_pickle)
    option = found[0] if len(found) == 1 and not found[0].missing else None
    if option is not None:
        option = option._replace(beside=tuple(one for one in names if one not in option.weights))
    several = (_several(wish),) if len(found) > 1 else ()
    return Plan(
        repository=repository,
        files=files_of(repository, names),
        place=_place(repository, wish),
        option=option,
        label=_label(wanted, option, wish) if option else None,
        source=_source(wanted, option) if option else f"huggingface:{wanted.repo}",
        why=f"{len(names)} of {len(sizes)} files match",
        look=_look(wish),
        notes=(*(f"{name} is a program, and is left out" for name in programs), *several),
        offline=wish.offline,
    )


def _several(wish: Wish) -> str:
    command = "llmrr import --from huggingface"
    if wish.local_dir is not None:
        command = f"llmrr import --from folder {shlex.quote(str(wish.local_dir))}"
    return f"these are several models, and none of them is installed: {command} does it"


def files_of(repository: hub.Repository, names: Sequence[str]) -> tuple[hub.RemoteFile, ...]:
    """The files of these paths, each once."""
    by_path = {file.path: file for file in repository.files}
    return tuple(by_path[name] for name in dict.fromkeys(names))


def _place(repository: hub.Repository, wish: Wish) -> hub.Place:
    if wish.offline and wish.local_dir is not None:
        raise UsageError("--local-dir needs the hub, and this is offline mode", "leave out one")
    if wish.local_dir is not None:
        return hub.FolderPlace(wish.local_dir, repository)
    return hub.CachePlace(paths.hub_cache_dir(), repository)


def _label(wanted: HubReference, option: Option, wish: Wish) -> str:
    """NAME:TAG of the model that is installed."""
    name, tag = split_label((wish.label or wanted.repo).partition("@")[0])
    if wish.label is None or wish.quant is not None:
        tag = re.sub(r"[^\w.+-]+", "-", "-".join(filter(None, (tag, option.tag))))
    if wanted.revision:
        pinned = re.sub(r"[^\w.-]+", "-", wanted.revision)
        name, tag = (name, f"{tag}@{pinned}") if tag else (f"{name}@{pinned}", "")
    return check_label(f"{name}:{tag}" if tag else name)


def _source(wanted: HubReference, option: Option) -> str:
    """What names it from now on: by its tag, unless that is no more than a path."""
    by_tag = re.fullmatch(r"[\w.+-]*", option.tag) and quant_label(option.tag)
    if option.format is not Format.GGUF or by_tag:
        return wanted._replace(tag=option.tag or None, file=None).source
    return wanted._replace(tag=None, file=option.weights[0]).source


def _notes(option: Option, wish: Wish, machine: Hardware) -> tuple[str, ...]:
    known = ", ".join(sorted(wish.runs))
    free = machine.free_bytes
    room = option.bytes if free is None else free
    foreign = f"no engine here runs {option.format} models (only {known}): it is kept for others"
    large = f"its {option.bytes / 1e9:.1f} GB do not fit into {room / 1e9:.1f} GB of free memory"
    wrong = ((foreign, option.format not in wish.runs), (large, option.bytes > room))
    return tuple(text for text, holds in wrong if holds)
