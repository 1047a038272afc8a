"""Safetensors of Hugging Face to ONNX, through optimum.

``tasks`` says what can be exported and for what, ``estimate`` what that takes, ``environment``
where optimum is. ``staging`` lays out what it sees, ``process`` runs it; what it then does stands
in ``outside``. ``checks`` makes sentences of what was compared.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from llmrr.convert.base import Check, Source, Step, Told, Wish
from llmrr.convert.onnx import environment, process, staging, tasks
from llmrr.convert.onnx.estimate import estimate
from llmrr.errors import DamagedFile, Unsupported, UsageError
from llmrr.formats import FolderFiles
from llmrr.formats.json_file import read_beside, table
from llmrr.formats.messages import shown
from llmrr.formats.model_config import Config
from llmrr.types import Format

TYPES: Final[Mapping[str, str]] = {
    "auto": "fp32", "fp32": "fp32", "f32": "fp32", "fp16": "fp16", "f16": "fp16", "int8": "int8",
    "q8": "int8", "q4": "q4", "int4": "q4", "q4f16": "q4f16",
}  # fmt: skip
GROUPS: Final = (16, 32, 64, 128, 256)  # how many weights of q4 may share a scale, in MatMulNBits
VERIFIED: Final = "llmrr.verified"


def step(source: Source, wish: Wish) -> Step:
    """The export of ``source``, for what its class is made for or the task in ``wish.options``.

    Raises ``Unsupported`` for a model, a task or a type that cannot be exported, ``UsageError`` for
    options that mean nothing here.
    """
    quant, group = _type(wish), _group(wish)
    task = _task(source.settings, source, wish)
    guess = estimate(source.tensors, quant, group, writes=task.startswith("text"))

    def work(path: Path, target: Path, told: Told) -> None:
        if environment.place() is None:
            environment.build(told)
        _export(source, wish, (task, quant, group), path, target, told)

    def verify(path: Path, target: Path, told: Told) -> Sequence[Check]:
        return _verify(source, (task, quant), path, target, told)

    return Step(
        title=f"{source.info.format} to ONNX ({task}), {quant}",
        format=Format.ONNX,
        is_folder=True,
        bytes=guess.bytes,
        memory_bytes=guess.memory_bytes,
        seconds=guess.seconds,
        work=work,
        verify=verify,
        quant=quant,
        asks=None if environment.place() else environment.question(),
    )


def _type(wish: Wish) -> str:
    found = TYPES.get(wish.quant.lower())
    if found is None:
        raise Unsupported(
            f"no ONNX graph is written as {shown(wish.quant)}",
            f"--quant {', '.join(dict.fromkeys(TYPES.values()))}",
        )
    return found


def _group(wish: Wish) -> int:
    stated = wish.options.get("group_size")
    if stated is None:
        return 32
    if not TYPES[wish.quant.lower()].startswith("q4"):
        raise UsageError(f"--group-size {stated} is for 4 bits", "--quant q4, or leave it out")
    if stated not in GROUPS:
        raise UsageError(
            f"--group-size {stated} is none that ONNX Runtime has",
            f"--group-size {', '.join(map(str, GROUPS))}",
        )
    return int(stated)


def _task(settings: Path | None, source: Source, wish: Wish) -> str:
    """By config.json, or before there is one by what the source says of itself."""
    asked = wish.options.get("task")
    if settings is None:
        family = source.info.architecture
        family = tasks.OF_GGUF.get(family, family)
        return tasks.choose(family, (), asked, embeds=source.info.pooling is not None)
    files = FolderFiles(settings)
    raw = read_beside(files, "config.json")
    if method := table(raw, "quantization_config").get("quant_method"):
        raise Unsupported(
            f"{settings} is quantized by {shown(str(method))}, which is not exported",
            "convert the model that it was made from",
        )
    config = Config(raw)
    embeds = "modules.json" in files.sizes  # as Sentence Transformers have it
    return tasks.choose(config.family, config.classes, asked, embeds=embeds)


def _export(
    source: Source, wish: Wish, wanted: tuple[str, str, int], path: Path, target: Path, told: Told
) -> None:
    task, quant, group = wanted
    settings = _settings(source, path)
    _task(settings, source, wish)  # now that it is there
    with TemporaryDirectory(prefix=".export-", dir=target.parent) as scratch:
        draft = Path(scratch) / "result"
        with staging.staged(path, settings, Path(scratch)) as staged:
            done = _run(
                "export", told, source=str(staged), scratch=scratch, target=str(draft), task=task,
                quant=quant, group=group,
            )  # fmt: skip
        staging.copy_settings(settings, draft)
        for name in done["graphs"]:
            note(draft / name, {VERIFIED: "true" if wish.verify else "false"})
        draft.rename(target)


def _verify(
    source: Source, wanted: tuple[str, str], path: Path, target: Path, told: Told
) -> Sequence[Check]:
    from llmrr.convert.onnx.checks import checks
    from llmrr.convert.verify.texts import TEXTS

    task, quant = wanted
    graphs = sorted(one.name for one in target.glob("*.onnx"))
    with staging.staged(path, _settings(source, path), target.parent) as staged:
        found = _run(
            "compare", told, source=str(staged), target=str(target), task=task, quant=quant,
            graphs=graphs, texts=TEXTS,
        )  # fmt: skip
    return checks(found, quant)


def _run(job: str, told: Told, **given: Any) -> Any:
    place = environment.required()
    return process.run(place.python, job, told, isolated=place.own, **given)


def _settings(source: Source, path: Path) -> Path:
    """The folder with config.json. Raises ``DamagedFile`` where it is missing."""
    folder = source.settings or (path if path.is_dir() else path.parent)
    if not (folder / "config.json").is_file():
        raise DamagedFile(f"{folder} has no config.json", "--config DIR, a folder that has it")
    return folder


def note(graph: Path, facts: Mapping[str, str]) -> None:
    """Add ``facts`` to the metadata of an ONNX file: a repeated field of protobuf goes on at the
    end of the message, wherever the rest of it stands.

    https://github.com/onnx/onnx/blob/main/onnx/onnx.proto: ModelProto.metadata_props is field 14,
    key and value are fields 1 and 2 of what is in it.
    """
    with graph.open("ab") as file:
        for key, value in facts.items():
            file.write(_field(14, _field(1, key.encode()) + _field(2, value.encode())))


def _field(number: int, content: bytes) -> bytes:
    """
    >>> _field(14, b"ab")
    b'r\\x02ab'
    """
    assert number < 16 and len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content
