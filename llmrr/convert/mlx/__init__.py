"""Safetensors of Hugging Face to MLX, by ``mlx_lm.convert``.

``recipe`` reads what is asked for. The work is done by a ``helper`` process that ``process`` runs,
on a folder that ``staging`` lays out; ``verify`` compares, with ``compare`` in that process.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmrr.convert.base import Check, Source, Step, Told, Wish
from llmrr.convert.mlx import recipe as recipes
from llmrr.convert.mlx import staging
from llmrr.convert.mlx.estimate import estimate
from llmrr.convert.mlx.recipe import Recipe
from llmrr.engines.mlx import installed, weights
from llmrr.errors import Unsupported
from llmrr.formats.tokenizer import VOCABULARIES
from llmrr.types import Format

# Quantizations of Hugging Face that mlx-lm reads; each keeps its bits.
READ = frozenset({"awq", "gptq", "mxfp4", "mxfp8", "compressed-tensors", "modelopt", "bitnet"})
UNVERIFIED = {"llmrr.verified": "false"}  # in the metadata of what was not checked


def step(source: Source, wish: Wish) -> Step:
    """The conversion of ``source`` into an MLX folder of the kind that is wished for.

    Raises ``FeatureMissing`` without mlx-lm, ``Unsupported`` for an architecture or a type that it
    does not have, for weights that nothing can be quantized of, and for a model without config.json
    or tokenizer; ``UsageError`` for options that contradict; ``DamagedFile``.
    """
    installed.require()
    recipe = recipes.read(wish)
    known = _known(source)
    if known is None:
        installed.module({"model_type": source.info.architecture})
    else:
        installed.module(known)
        _readable(source, known, recipe)
    notes = _grouped(source, recipe)
    guess = estimate(source, recipe)

    def work(path: Path, target: Path, told: Told) -> None:
        _work(source, wish, recipe, path, target, told)

    def verify(path: Path, target: Path, told: Told) -> Sequence[Check]:
        from llmrr.convert.mlx.verify import checks

        return checks(source, recipe, path, target, told)

    return Step(
        title=f"{source.info.format} to MLX" + (f", {recipe.name}" if recipe.name else ""),
        format=Format.MLX,
        is_folder=True,
        bytes=guess.bytes,
        memory_bytes=guess.memory_bytes,
        seconds=guess.seconds,
        work=work,
        verify=verify,
        quant=recipe.name or source.info.quant,
        notes=notes,
    )


def _known(source: Source) -> dict[str, Any] | None:
    """config.json, where it is there already."""
    if source.settings is None and not source.path.exists():
        return None
    folder = staging.settings_of(source, source.path)
    if not (folder / "config.json").is_file():
        raise Unsupported(
            f"{source.path} has no config.json beside it, which says what model it is",
            "--config DIR names a folder with config.json and the tokenizer",
        )
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise Unsupported(
            f"{folder} has no tokenizer", "put its tokenizer.json there, or name it by --config DIR"
        )
    return weights.config_of(folder, source.tensors)


def _readable(source: Source, config: dict[str, Any], recipe: Recipe) -> None:
    """Raise ``Unsupported`` for weights whose quantization mlx-lm does not read."""
    stated = config.get("quantization_config")
    if not isinstance(stated, dict) or "quant_method" not in stated:
        if recipe.mode and isinstance(config.get("quantization"), dict):
            raise _quantized_already(source)
        return
    method = str(stated["quant_method"])[:40]
    if method not in READ and not (method == "fp8" and stated.get("scale_fmt") == "ue8m0"):
        raise Unsupported(
            f"{source.path} is quantized by {method}, which mlx-lm does not read",
            "convert the model that it was made from",
        )
    if recipe.mode or recipe.dtype:
        raise _quantized_already(source)


def _quantized_already(source: Source) -> Unsupported:
    return Unsupported(
        f"{source.path} is quantized already ({source.info.quant or 'its config.json says so'})",
        "convert the model that it was made from, or leave out --quant to keep its bits",
    )


def _grouped(source: Source, recipe: Recipe) -> tuple[str, ...]:
    """A note on what stays as it is. Raises ``Unsupported`` where that is everything."""
    if recipe.mode is None or recipe.group is None:
        return ()
    matrices = [one for one in source.tensors if recipes.is_matrix(one)]
    left = [one for one in matrices if not recipe.packs(one)]
    if not left:
        return ()
    if len(left) < len(matrices):
        return (
            f"{len(left)} of {len(matrices)} matrices stay as they are: their rows are no "
            f"multiple of {recipe.group}",
        )
    sizes = sorted({one.shape[-1] for one in matrices})
    fits = [size for size in recipes.MODES[recipe.mode][1] if any(one % size == 0 for one in sizes)]
    raise Unsupported(
        f"no matrix of {source.path} has rows that are a multiple of the group size "
        f"{recipe.group}: they have {', '.join(map(str, sizes[:5]))}",
        f"group_size {fits[0]}" if fits else "--quant bf16",
    )


def _work(
    source: Source, wish: Wish, recipe: Recipe, path: Path, target: Path, told: Told
) -> None:
    from llmrr.convert.mlx import process

    folder = staging.settings_of(source, path)
    installed.module(weights.config_of(folder, ()))
    with tempfile.TemporaryDirectory(prefix="mlx-", dir=target.parent) as scratch:
        staged = staging.stage(source, path, Path(scratch) / "source")
        tensors = weights.tensors_of(weights.weight_files(path))
        total = sum(map(recipe.bytes_of, tensors))
        told("reading", 0, total)
        process.run(
            "convert",
            {
                "staged": str(staged),
                "settings": str(folder),
                "scratch": scratch,
                "target": str(target),
                "bytes": total,
                "metadata": {} if wish.verify else UNVERIFIED,
                "arguments": _arguments(recipe),
            },
            told,
        )
        told("writing", total, total)


def _arguments(recipe: Recipe) -> dict[str, Any]:
    """What ``mlx_lm.convert`` is called with."""
    found: dict[str, Any] = {"dtype": recipe.dtype, "quantize": recipe.mode is not None}
    if recipe.mode is None:
        return found
    found |= {"q_bits": recipe.bits, "q_group_size": recipe.group, "q_mode": recipe.mode}
    return found | {"quant_predicate": recipe.mixed}
