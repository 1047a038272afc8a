"""Everything that is known of one model, for ``show`` and ``fit``: its files, its record, which
engines run it, and whether it fits this machine."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import engines, hardware, paths
from llmrr.catalogue import BUILTIN, Catalogue, runnable
from llmrr.engines.base import OnOffAuto, Options
from llmrr.errors import LlmrrError, NotInstalled, Unreachable, Unsupported
from llmrr.hardware import Fit, Hardware
from llmrr.store.ownership import content
from llmrr.types import Format, ModelFiles, ModelInfo, Recipe

if TYPE_CHECKING:
    from llmrr.evaluate.scoring import Score
    from llmrr.store.records import Entry


@dataclass(frozen=True, slots=True)
class Description:
    """A model, as ``show`` prints it. ``files`` are those that the store notes, with bytes and
    SHA-256 where known; ``engines`` those that run it, each with the command that installs what it
    lacks; ``holders`` who else has the same file; ``fit`` is None where it cannot be computed.
    ``scores`` are what ``eval`` measured, the newest first. ``problem`` is why it cannot be run."""


    name: str
    source: str
    place: str
    path: Path
    bytes: int | None
    files: tuple[tuple[Path, int, str | None], ...]
    digest: str | None
    revision: str | None
    added: float | None
    last_used: float | None
    recipe: Recipe
    info: ModelInfo
    engines: tuple[tuple[str, str | None], ...]
    holders: tuple[str, ...]
    fit: Fit | None
    problem: str | None = None
    scores: "tuple[Score, ...]" = ()

    @property
    def quality(self) -> float | None:
        """Its accuracy, 0 to 1, on the set that it was asked last."""
        return self.scores[0].accuracy if self.scores else None

    @property
    def chat_template(self) -> str | None:
        """That of its recipe, or its own."""
        stated: str | None = self.recipe.options.get("chat_template")
        return stated or self.info.chat_template

    @property
    def license(self) -> str | None:
        """What its files call it, or the first line of the one that its recipe has."""
        text = (self.recipe.license or "").strip()
        return self.info.license or (text.splitlines()[0][:200] if text else None)


@dataclass(frozen=True, slots=True)
class FitLine:
    """A model, or one quantization of it, and what it takes. ``bytes`` are those of its weights;
    ``measured`` when the engine itself said its buffers; ``fit`` is None where the files do not say
    enough; ``runs`` when an engine here takes its format."""

    name: str
    format: Format | None
    runs: bool
    bytes: int | None
    fit: Fit | None
    recommended: bool = False
    measured: bool = False


def describe(catalogue: Catalogue, name: str | None) -> Description:
    """Look at a model. Raises what ``Catalogue.resolve`` and ``formats`` raise."""
    from llmrr.store import looking, usage

    entry = catalogue.entry(name)
    info = looking.inspect(entry)
    problem = _problem(entry)
    return Description(
        name=entry.label,
        source=entry.origin,
        place="builtin" if entry.origin == BUILTIN else usage.place_of(entry.path)[0],
        path=entry.path,
        bytes=entry.bytes or info.bytes,
        files=tuple((file.path, file.bytes, file.digest) for file in entry.files),
        digest=entry.digest,
        revision=entry.revision,
        added=entry.added or None,
        last_used=entry.used,
        recipe=entry.recipe,
        info=info,
        engines=tuple(
            (one.name, one.missing()) for one in engines.ENGINES
            if info.format in one.formats and problem is None
        ),
        holders=_holders(catalogue, entry),
        fit=None if problem else _weighed(info, hardware.probe(thorough=True), None, "f16"),
        problem=problem,
        scores=tuple(catalogue.scores(entry)),
    )


def fit(
    catalogue: Catalogue,
    name: str | None,
    *,
    context: int | None = None,
    kv_type: str = "f16",
    token: str | None = None,
) -> list[FitLine]:
    """What a model takes on this machine; for a repository of the hub, that of each quantization.

    ``context`` is in tokens. A model that is here is measured by its engine, where that can be; of
    one that is not, only the headers are fetched. Raises what ``resolve`` and ``hub`` raise.
    """
    from llmrr.store import looking
    from llmrr.store.references import hub_reference

    machine = hardware.probe(thorough=True)
    here = name is not None and paths.exists(paths.expanded(name))
    reference = hub_reference(name) if name and not here else None
    if name and reference and reference.is_whole:  # all of it, whichever part is here
        try:
            return _remote(name, machine, context, kv_type, token)
        except Unreachable as error:
            try:
                entry = catalogue.entry(name)
            except LlmrrError:
                raise error from None
    else:
        try:
            entry = catalogue.entry(name)
        except NotInstalled as absent:
            return _remote(absent.reference, machine, context, kv_type, token)

    info = looking.inspect(entry)
    if info.format is Format.GGUF:
        looking.checked(entry.path)
    weighed = _weighed(info, machine, context, kv_type)
    exact = _measured(entry, info, weighed, kv_type) if weighed else None
    runs = info.format in runnable()
    found = exact or weighed
    return [FitLine(entry.label, info.format, runs, info.bytes, found, measured=exact is not None)]


def _remote(
    name: str, machine: Hardware, context: int | None, kv_type: str, token: str | None
) -> list[FitLine]:
    from llmrr.store import planning

    reference, _ = planning.reference(name)
    wish = planning.Wish(token=token, runs=runnable())
    offer = planning.offer(reference, wish, machine, context, kv_type)
    best = offer.best() if reference.is_whole else None
    return [
        FitLine(
            name=f"{reference.repo}:{option.name}",
            format=option.format,
            runs=option.format in offer.runs,
            bytes=option.bytes,
            fit=None if option.missing else offer.weigh(option),
            recommended=option == best,
        )
        for option in sorted(offer.options, key=lambda one: one.bytes)
    ]


def _weighed(
    info: ModelInfo, machine: Hardware, context: int | None, kv_type: str
) -> Fit | None:
    with suppress(Unsupported):
        return hardware.fit_one(info, machine, context=context, kv_type=kv_type)
    return None


def _measured(entry: "Entry", info: ModelInfo, weighed: Fit, kv_type: str) -> Fit | None:
    """With the buffers that the engine itself would allocate, where all stays in main memory."""
    if info.format is not Format.GGUF or weighed.gpu_layers:
        return None
    flash: OnOffAuto = "on" if hardware.needs_flash_attention(kv_type) else "off"
    options = Options(kv_type=kv_type, context_size=weighed.context, flash_attention=flash)
    for engine in engines.ENGINES:
        if info.format in engine.formats and engine.missing() is None:
            with suppress(LlmrrError):
                sizes = engine.measure(ModelFiles(entry.path, info.format), options)
                return _replaced(weighed, sizes)
    return None


def _replaced(weighed: Fit, sizes: Mapping[str, int]) -> Fit:
    before = weighed.kv_bytes + weighed.compute_bytes + weighed.output_bytes
    host = weighed.host_bytes - before + sum(sizes.values())
    room = weighed.host_available_bytes
    return replace(
        weighed,
        kv_bytes=sizes["kv"],
        compute_bytes=sizes["compute"],
        output_bytes=sizes["output"],
        host_bytes=host,
        fits=room is None or host <= room,
    )


def _problem(entry: "Entry") -> str | None:
    from llmrr.store import looking

    try:
        looking.checked(entry.path)
    except LlmrrError as error:
        return error.message
    return None


def _holders(catalogue: Catalogue, entry: "Entry") -> tuple[str, ...]:
    """Who else has the same weights: installed models and other tools, by the file or its digest.
    """
    from llmrr.store import holders

    files = {content(file.path) for file in entry.files}
    digests = {entry.digest} - {None}
    models = [
        one.label for one in catalogue.entries()
        if one.label != entry.label and files & {content(file.path) for file in one.files}
    ]  # fmt: skip
    held = (one for name in holders.HOLDERS for one in holders.holdings(name))
    tools = [
        one.source for one in held
        if one.source != entry.origin
        and ({one.digest} & digests or files & {content(path) for path in one.files})
    ]  # fmt: skip
    return tuple(dict.fromkeys((*models, *tools)))
