"""Which steps lead from one format to another.

safetensors is what lies in the middle: pickles and GGUF become it first, and from it come GGUF,
ONNX and MLX. A quantization of GGUF is a step of its own after the conversion.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Final

from llmrr.convert.base import Source, Step, Wish
from llmrr.errors import Unsupported, UsageError
from llmrr.types import Format

# What the conversion to GGUF writes itself; any other type is quantized from it.
PLAIN: Final = ("auto", "f32", "f16", "bf16", "q8_0")
OTHERWISE: Final = {
    Format.MLX: "convert the model that it was made from: llmrr pull OWNER/REPO",
    Format.ONNX: "convert the model that it was exported from: llmrr pull OWNER/REPO",
}


def plan(source: Source, wish: Wish) -> tuple[Step, ...]:
    """The steps from ``source`` to what is asked for, in order, each looked at as far as can be
    before any work.

    Raises ``Unsupported`` naming what nothing here converts, ``UsageError`` for a wish that asks
    for nothing, and what the converters raise.
    """
    return tuple(_steps(source, wish))


def _steps(source: Source, wish: Wish) -> Iterator[Step]:
    have, want = source.info.format, wish.format
    if wish.options.get("base") and source.info.kind != "adapter":
        raise UsageError(
            f"--base names the model of a LoRA adapter, and {source.path} is none", "leave it out"
        )
    if want is Format.PYTORCH:
        raise UsageError("nothing here writes pickles", "--to safetensors")
    if have in OTHERWISE:
        raise Unsupported(
            f"nothing here converts {have}, which {source.path} is", OTHERWISE[have]
        )
    if have is Format.GGUF and want is Format.GGUF:
        yield _converter("quantize", source, wish)
        return
    if have is not Format.SAFETENSORS:
        alone = want is Format.SAFETENSORS
        first = _converter("safetensors", source, wish if alone else _between(wish))
        yield first
        if alone:
            return
        source = _after(source, first)
    if want is Format.SAFETENSORS:
        raise UsageError(f"{source.path} is safetensors already", "--to gguf, onnx or mlx")
    if want is Format.GGUF and source.info.kind != "adapter":
        yield from _to_gguf(source, wish)
    else:
        yield _converter(_module(source, want), source, wish)


def _to_gguf(source: Source, wish: Wish) -> Iterator[Step]:
    if wish.quant.lower() in PLAIN and not _is_tuned(wish):
        yield _converter("gguf", source, replace(wish, quant=wish.quant.lower()))
        return
    first = _converter("gguf", source, replace(wish, quant="auto", options={}))
    yield first
    made = replace(_after(source, first), settings=None)
    yield _converter("quantize", made, wish)


def _is_tuned(wish: Wish) -> bool:
    """Whether options are stated that only quantizing has."""
    return any(wish.options.get(name) for name in ("overrides", "imatrix", "calibrate", "pure"))


def _between(wish: Wish) -> Wish:
    """The wish for safetensors on the way to something else."""
    return Wish(Format.SAFETENSORS, verify=wish.verify)


def _after(source: Source, step: Step) -> Source:
    """What a step makes, as far as it is known before. Nothing is at its path, which messages show.
    """
    info = replace(source.info, format=step.format, quant=step.quant, bytes=step.bytes)
    made = source.path.with_name(f"{source.path.name} as {step.format}")
    return Source(made, info, source.settings, step.tensors or source.tensors)


def _module(source: Source, want: Format) -> str:
    if source.info.kind == "adapter":
        if want is Format.GGUF:
            return "lora"
        raise Unsupported(
            f"{source.path} is a LoRA adapter, which {want} has no file for",
            "--to gguf, and give it to its model: llmrr run -m MODEL -o lora FILE.gguf",
        )
    return str(want)


def _converter(name: str, source: Source, wish: Wish) -> Step:
    step: Step = import_module(f"llmrr.convert.{name}").step(source, wish)
    return step
