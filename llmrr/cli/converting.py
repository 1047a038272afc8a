"""What ``llmrr convert`` does, between the command line and the converters."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrr import convert, paths
from llmrr.catalogue import require_files
from llmrr.cli import offers, output, transfer
from llmrr.errors import LlmrrError, UsageError, nearest
from llmrr.types import Format

if TYPE_CHECKING:
    from llmrr.convert import Done, Source, Step
    from llmrr.router import Router

TARGETS = [str(one) for one in Format if one is not Format.PYTORCH]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line states; ``options`` are those of single converters."""

    source: str
    to: str
    quant: str | None = None
    output: str | None = None
    name: str | None = None
    config: str | None = None
    verify: bool = True
    yes: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan: what it converts, its steps, where the result goes. ``label`` is the name that it is
    installed under, None where ``target`` was stated."""

    source: "Source"
    origin: str
    steps: "tuple[Step, ...]"
    target: Path
    label: str | None


def planned(router: "Router", asked: Asked) -> Planned:
    """Look at everything before any work. Raises what ``convert.plan`` does."""
    stated = {key: value for key, value in asked.options.items() if value}
    if base := stated.get("base"):
        stated["base"] = router.resolve(_named(router, base)).path
    wish = convert.Wish(_format(asked.to), asked.quant or "auto", asked.verify, stated)
    name = _named(router, asked.source)
    offers.require(router, name)
    resolved = router.resolve(name)
    require_files(resolved)
    settings = paths.expanded(asked.config) if asked.config else None
    source = convert.open_source(resolved.path, settings)
    steps = convert.plan(source, wish)
    stem = _stem(resolved.label or resolved.path.name)
    last = steps[-1]
    file = _file_name(stem, last)
    if asked.output is not None:
        if asked.name is not None:
            raise UsageError(
                "--name installs the result, and -O writes it elsewhere", "leave one of them out"
            )
        return Planned(source, resolved.source, steps, _target(asked.output, file), None)
    label = asked.name or f"{stem}:{_tag(last)}"
    place = paths.models_dir() / file
    return Planned(source, f"file:{resolved.path}", steps, place, label)


def _named(router: "Router", source: str) -> str:
    """What is meant: a file or folder that is there, unless a model has just this label. What was
    converted from ./tiny is called tiny:q8_0, and must not take the folder's place."""
    path = paths.expanded(source)
    entry = router.catalogue.find(source)
    is_label = entry is not None and entry.label.lower() == source.lower()
    return f"file:{path}" if paths.exists(path) and not is_label else source


def carry_out(router: "Router", found: Planned, asked: Asked) -> dict[str, object]:
    """Do what was planned, once the user has agreed to what it asks; what came of it, as ``convert
    --json`` prints it."""
    from llmrr.store import making

    _agree(found.steps, yes=asked.yes)
    output.notes(note for step in found.steps for note in step.notes)
    with transfer.work() as told:
        if found.label is None:
            done = convert.run(
                found.steps, found.source.path, found.target, verify=asked.verify, told=told
            )
            return _facts(found, done, done.path)
        kept: list[Done] = []

        def work(path: Path) -> Sequence[Path]:
            kept.append(convert.run(
                found.steps, found.source.path, path, verify=asked.verify, told=told
            ))  # fmt: skip
            return kept[0].files

        entry = making.make(router.database, found.label, found.origin, found.target.name, work)
    made = offers.made(router, entry)
    return _facts(found, kept[0], entry.path) | {"name": entry.label, "files": made["files"]}


def plan_facts(found: Planned) -> dict[str, object]:
    """A plan, as ``convert --dry-run --json`` prints it."""
    return {
        "name": found.label,
        "path": found.target if found.label is None else None,
        "source": found.source.path,
        "steps": [
            {
                "title": step.title, "format": step.format, "quant": step.quant,
                "bytes": step.bytes, "memory_bytes": step.memory_bytes, "seconds": step.seconds,
                "asks": step.asks, "notes": list(step.notes),
            }
            for step in found.steps
        ],
    }  # fmt: skip


def _facts(found: Planned, done: "Done", path: Path) -> dict[str, object]:
    last = found.steps[-1]
    size = sum(file.stat().st_size for file in done.files if file.exists())
    return {
        "name": None,
        "path": path,
        "kind": found.source.info.kind or "model",
        "format": last.format,
        "quant": last.quant,
        "bytes": size or sum(file.stat().st_size for file in _files(path)),
        "files": list(done.files),
        "verified": all(checks for _, _, checks in done.steps),
        "steps": [
            {
                "title": title, "seconds": seconds,
                "checks": [
                    {"name": one.name, "passed": one.passed, "detail": one.detail,
                     "table": list(one.table)}
                    for one in checks
                ],
            }
            for title, seconds, checks in done.steps
        ],
    }  # fmt: skip


def _files(path: Path) -> list[Path]:
    return [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]


def _agree(steps: "Sequence[Step]", *, yes: bool) -> None:
    for step in steps:
        if step.asks and not yes:
            output.note(step.asks)
            if not output.confirm("Go on?", default=True):
                raise LlmrrError("nothing was converted", "")


def _format(word: str) -> Format:
    if word.lower() not in TARGETS:
        near = nearest(word, TARGETS)
        raise UsageError(
            f'"{word}" is no format to convert to', f"--to {near or ', '.join(TARGETS)}"
        )
    return Format(word.lower())


def _stem(name: str) -> str:
    """The name of a model without its quantization and the ending of its file.

    >>> _stem("tiny-Q8_0.gguf"), _stem("qwen3:4b"), _stem("pytorch_model.bin"), _stem("phi-3.5")
    ('tiny', 'qwen3-4b', 'pytorch_model', 'phi-3.5')
    """
    from llmrr.store.variants import quant_label

    stem = re.sub(r"\.(gguf|safetensors|bin|pt|pth|ckpt|pkl|onnx)$", "", name.rpartition("/")[2])
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", stem)
    if label := quant_label(stem):
        stem = re.sub(rf"[-._:]{re.escape(label)}$", "", stem, flags=re.IGNORECASE) or stem
    return re.sub(r"[^\w.+-]+", "-", stem).strip("-.") or "model"


def _tag(step: "Step") -> str:
    quant = step.quant or ""
    if step.format is Format.GGUF:
        return quant or "gguf"
    return f"{step.format}-{quant}" if quant else str(step.format)


def _file_name(stem: str, step: "Step") -> str:
    name = f"{stem}-{_tag(step)}"
    return name if step.is_folder else f"{name}.gguf"


def _target(stated: str, name: str) -> Path:
    """Where the result goes; into a folder that is there under a name of its own, if it is a file.
    """
    place = paths.expanded(stated)
    inside = stated.endswith("/") or (place.is_dir() and name.endswith(".gguf"))
    return place / name if inside else place
