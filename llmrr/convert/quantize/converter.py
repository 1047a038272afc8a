"""The step from a GGUF file to one of another type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmrr.convert.base import Check, Source, Step, Told, Wish
from llmrr.convert.quantize import estimate
from llmrr.convert.quantize.job import MARK, Job
from llmrr.convert.quantize.native import SLAB_BYTES
from llmrr.convert.quantize.plan import (
    ALIGNMENT,
    FIXED_BYTES,
    Plan,
    check_imatrix,
    check_overrides,
    check_requantizing,
    check_tables,
    memory_bytes,
    needs_imatrix,
    plan,
    renamed,
)
from llmrr.convert.quantize.process import Helper
from llmrr.convert.quantize.table import COPY, QuantType
from llmrr.convert.quantize.verify import check_tensors
from llmrr.convert.quantize.wishes import Asked, asked
from llmrr.errors import DamagedFile, NotFound, Unsupported, UsageError
from llmrr.formats import gguf
from llmrr.formats.gguf_header import Array, Header
from llmrr.formats.parts import PART
from llmrr.types import Format, ModelInfo


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a quantization once its source is there; ``helper`` is ready to make it."""

    kind: QuantType
    parts: tuple[Header, ...]
    job: Job
    plan: Plan
    helper: Helper

    @property
    def first(self) -> Path:
        """The first file of the source."""
        return Path(self.job.source)


def step(source: Source, wish: Wish) -> Step:
    """The quantization of ``source``, GGUF, as ``wish`` asks.

    Raises ``UsageError`` for a type or an option that cannot be, ``Unsupported`` where the source
    is quantized already, or the type needs an importance matrix, ``DamagedFile`` for a source or
    matrix that is damaged; all before any work.
    """
    wanted = asked(wish)
    if wanted.kind.needs_imatrix and not (wanted.imatrix or wanted.calibrate):
        raise needs_imatrix(wanted.kind)
    known = look(source.path, wanted) if source.path.exists() else None
    is_folder = wanted.keep_split and known is not None and len(known.parts) > 1

    def work(path: Path, target: Path, told: Told) -> None:
        _work(known or look(path, wanted), target, told, is_folder=is_folder)

    def verify(path: Path, target: Path, told: Told) -> Sequence[Check]:
        found = known or look(path, wanted)
        result = first_file(target)
        tensors = check_tensors(found.parts, gguf.check_file(result), found.plan, found.job, told)
        return [tensors, *_quality(tensors, found, result, told)]

    return Step(
        title=f"quantize to {wanted.kind.name}" if not wanted.only_copy else "copy the tensors",
        format=Format.GGUF,
        is_folder=is_folder,
        bytes=known.plan.bytes if known else _about(source.info, wanted),
        memory_bytes=_memory(known, wanted, source),
        seconds=_seconds(known, wanted, source),
        work=work,
        verify=verify,
        quant=wanted.kind.name,
        notes=_notes(known, wanted),
    )


def first_file(path: Path) -> Path:
    """The first file of the GGUF model at ``path``: a file, any part of several, or the folder of
    one model. Raises ``NotFound`` and ``DamagedFile``."""
    if not path.is_dir():
        return gguf.part_paths(path)[0]
    files = sorted(path.glob("*.gguf"))
    models = sorted({gguf.part_paths(file)[0] for file in files})
    if not models:
        raise NotFound(f"{path} holds no GGUF file", f"ls {path}")
    if len(models) > 1:
        raise UsageError(
            f"{path} holds several GGUF models: {', '.join(one.name for one in models[:9])}",
            "name one of the files",
        )
    return models[0]


def look(path: Path, wanted: Asked) -> Known:
    """Read the source's header and make the dry run. Raises for whatever cannot be done."""
    first = first_file(path)
    helper = Helper()
    try:
        parts = gguf.check_file(first)
        _check_pruning(parts, wanted)
        job, have = _job(first, parts, wanted)
        found = plan(parts, job, helper)
        check_requantizing(parts, job, found)
        check_overrides(job, wanted.kind, found)
        check_tables(parts, job, found, have)
        if not wanted.calibrate:
            check_imatrix(parts, job, wanted.kind, found, have)
    except BaseException:
        helper.end()
        raise
    return Known(wanted.kind, parts, job, found, helper)


def _job(
    first: Path, parts: Sequence[Header], wanted: Asked
) -> tuple[Job, Mapping[str, int] | None]:
    """The job without its target, and how many numbers the importance matrix has by tensor."""
    metadata: dict[str, bool | int | str] = {MARK: wanted.verify}
    have: dict[str, int] | None = None
    if parts[0].alignment != ALIGNMENT:
        # llama.cpp aligns to 32 and copies the key: what it wrote could not be read.
        metadata["general.alignment"] = ALIGNMENT
    if wanted.imatrix or wanted.calibrate:
        from llmrr.convert.quantize import imatrix

        if wanted.imatrix:
            matrix = imatrix.read(wanted.imatrix)
            have = {name: entry.sums.size for name, entry in matrix.entries.items()}
            metadata |= imatrix.metadata(matrix, wanted.imatrix.name)
        elif wanted.calibrate:  # the helper will know the figures
            unknown = imatrix.Imatrix({}, (wanted.calibrate.name,), chunks=1)
            saved = wanted.save_imatrix.name if wanted.save_imatrix else None
            metadata |= imatrix.metadata(unknown, saved)
    job = Job(
        source=str(first),
        target=None,
        type=wanted.kind.number,
        threads=wanted.threads,
        only_copy=wanted.only_copy,
        pure=wanted.pure,
        keep_split=wanted.keep_split and len(parts) > 1,
        allow_requantize=wanted.allow_requantize,
        leave_output=wanted.leave_output,
        output_tensor_type=wanted.output_tensor_type,
        token_embedding_type=wanted.token_embedding_type,
        overrides=wanted.overrides,
        prune=wanted.prune,
        metadata=metadata,
        imatrix=str(wanted.imatrix) if wanted.imatrix else None,
        calibrate=str(wanted.calibrate) if wanted.calibrate else None,
        save_imatrix=str(wanted.save_imatrix) if wanted.save_imatrix else None,
        supposed_imatrix=bool(wanted.imatrix or wanted.calibrate),
    )
    return job, have


def _check_pruning(parts: Sequence[Header], wanted: Asked) -> None:
    """Layers can be left out where they are numbered from one to the last, and nothing but their
    tensors is counted by layer."""
    if not wanted.prune:
        return
    header = parts[0]
    layers = header.own("block_count") or 0
    if wanted.prune[-1] >= layers or len(wanted.prune) == layers:
        raise UsageError(
            f"layer {wanted.prune[-1]} cannot be left out of {layers}, which count from 0"
            if wanted.prune[-1] >= layers
            else f"all {layers} layers cannot be left out",
        )
    prefix = f"{header.text('general.architecture')}."
    for key, value in header.metadata.items():
        if key.startswith(prefix) and isinstance(value, Array) and value.count == layers:
            raise Unsupported(
                f"layers cannot be left out of {header.where}: its {key} has one item for each",
                "leave out --prune-layers",
            )


def _work(known: Known, target: Path, told: Told, *, is_folder: bool) -> None:
    """Run the helper and tell what it is doing, in bytes of the source."""
    names = {new: old for old, new in renamed(known.parts, known.job.prune).items()}
    sizes = {one.name: one.bytes for part in known.parts for one in part.tensors}
    total = sum(sizes[old] for old in names.values())
    done, last, title = 0, 0, f"quantizing {known.first.name}"

    def on_line(words: list[Any]) -> None:
        nonlocal done, last
        if words[0] == "calibrated":
            told(f"calibrating {known.first.name}, chunks", words[1], words[2])
        elif words[0] == "tensor":
            done, last = done + last, sizes[names[words[1]]]
            told(title, done, total)

    place = target
    if is_folder:
        target.mkdir(exist_ok=True)
        place = target / _stem(known)
    helper = known.helper if known.helper.is_ready else Helper()
    helper.run(replace(known.job, target=str(place)), on_line)
    helper.end()
    told(title, total, total)
    written = sum(part.stat().st_size for part in gguf.part_paths(first_file(target)))
    if written != known.plan.bytes:
        raise DamagedFile(
            f"llama.cpp wrote {written} bytes, and its dry run promised {known.plan.bytes}",
            "is the disk full? df -h",
        )


def _stem(known: Known) -> str:
    """What the names of parts begin with: those of the source, with the new type in them."""
    named = PART.fullmatch(known.first.name)
    assert named
    old, quant = named["prefix"], gguf.describe(known.parts).quant or ""
    if known.kind is COPY:
        return old
    for spelled in (quant, quant.lower()):
        if spelled and old.endswith(spelled):
            new = known.kind.name
            return old.removesuffix(spelled) + (new if spelled.isupper() else new.lower())
    return f"{old}-{known.kind.name}"


def _quality(tensors: Check, known: Known, result: Path, told: Told) -> Sequence[Check]:
    """How much worse the result predicts than its source; nothing where that is broken anyway, or
    layers are gone."""
    if not tensors.passed or known.job.prune:
        return []
    from llmrr.convert.verify import quality

    return [quality.check(known.first, result, told)]


def _about(info: ModelInfo, wanted: Asked) -> int | None:
    """The size for a source that is yet to be made."""
    return round(info.parameters * wanted.kind.bits / 8) if info.parameters else None


def _memory(known: Known | None, wanted: Asked, source: Source) -> int | None:
    if known is None:
        largest = max((one.elements for one in source.tensors), default=None)
        return largest and FIXED_BYTES + min(SLAB_BYTES, 8 * largest)  # F16, as floats and after
    quantizing = memory_bytes(known.parts, known.plan, SLAB_BYTES)
    if not wanted.calibrate:
        return quantizing
    return max(quantizing, sum(part.source.size for part in known.parts) + quantizing)


def _seconds(known: Known | None, wanted: Asked, source: Source) -> float | None:
    if known is None:
        parts = estimate.supposed(source.tensors, wanted.kind)
    else:
        names = renamed(known.parts, known.job.prune)
        there = (one for part in known.parts for one in part.tensors if one.name in names)
        parts = [estimate.Part(one.elements, known.plan.types[names[one.name]]) for one in there]
    if not parts:
        return None
    return estimate.seconds(
        parts, wanted.threads, has_imatrix=bool(wanted.imatrix or wanted.calibrate),
        calibration=wanted.calibrate.stat().st_size if wanted.calibrate else 0,
        verifies=wanted.verify,
    )  # fmt: skip


def _notes(known: Known | None, wanted: Asked) -> tuple[str, ...]:
    notes = []
    if known is not None and wanted.keep_split and len(known.parts) == 1:
        notes.append("the source is one file, and so is the result")
    if known is not None and wanted.allow_requantize:
        notes.append("weights that are quantized already lose more than those of an F16 file would")
    return tuple(notes)
