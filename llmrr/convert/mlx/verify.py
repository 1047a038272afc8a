"""Is the MLX folder what it was made from? Tokens, tensors, logits."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmrr.convert.base import Check, Source, Told
from llmrr.convert.mlx import process, staging
from llmrr.convert.mlx.recipe import Recipe
from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats.json_file import read_object, table
from llmrr.formats.source import FileSource
from llmrr.types import ModelInfo

MOST_TOKENS = 2048  # that both models are asked about


def checks(
    source: Source, recipe: Recipe, path: Path, target: Path, told: Told
) -> tuple[Check, ...]:
    """What was compared. Raises ``DamagedFile`` for a source that holds what is no number."""
    folder = staging.settings_of(source, path)
    tokens = _tokens(folder, target)
    config = read_object(FileSource.of(target / "config.json"))
    with tempfile.TemporaryDirectory(prefix="mlx-", dir=target.parent) as scratch:
        staged = staging.stage(source, path, Path(scratch) / "source")
        found = process.run(
            "compare",
            {
                "staged": str(staged),
                "target": str(target),
                "quantization": table(config, "quantization"),
                "dtype": recipe.dtype or _stated_type(config),
                "tokens": _asked(target, source.info),
            },
            told,
        )
    return (tokens, _tensors(found["tensors"]), *_logits(found.get("logits"), recipe))


def _stated_type(config: Mapping[str, Any]) -> str | None:
    """What ``mlx_lm.convert`` takes where nothing was asked for."""
    found = config.get("torch_dtype") or table(config, "text_config").get("dtype")
    return found if found in ("float16", "bfloat16", "float32") else None


def _texts() -> Sequence[str]:
    from llmrr.convert.verify.tokens import TEXTS

    return tuple(TEXTS)


def _tokens(folder: Path, target: Path) -> Check:
    """The ids of the text set by both tokenizers."""
    result = tokenizer_of(target)
    if not (folder / "tokenizer.json").is_file():
        return _pieces(folder, result)
    before = tokenizer_of(folder)
    texts = _texts()
    for text in texts:
        one, other = (made.encode(text).ids for made in (before, result))
        if one != other:
            return Check("tokens", False, f"{text[:60]!r} has other tokens: {one[:9]}, {other[:9]}")
    return Check("tokens", True, f"{len(texts)} texts have the same tokens")


def _pieces(folder: Path, result: Any) -> Check:
    """A tokenizer.json that was made of a SentencePiece model: the ids that this one itself gives,
    without special tokens, which it does not know."""
    model = next((one for one in sorted(folder.glob("*.model")) if one.is_file()), None)
    if model is None:
        return Check("tokens", True, "not compared: tokenizer.json was made by transformers")
    from sentencepiece import SentencePieceProcessor

    try:
        pieces = SentencePieceProcessor(model_file=str(model))
    except (OSError, RuntimeError) as error:
        raise DamagedFile(f"{model} is no SentencePiece model: {error}") from error
    # Before a space at the beginning transformers puts none, and SentencePiece does.
    texts = [text for text in _texts() if "<" not in text and not text.startswith(" ")]
    apart = [
        text for text in texts
        if pieces.encode(text) != result.encode(text, add_special_tokens=False).ids
    ]  # fmt: skip
    if apart:
        return Check("tokens", False, f"{len(apart)} texts have other tokens: {apart[0][:60]!r}")
    return Check("tokens", True, f"{len(texts)} texts have the tokens of {model.name}")


def tokenizer_of(folder: Path) -> Any:
    """The tokenizer in a folder. Raises ``Unsupported`` where there is none that it can read."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises no class of its own
        raise Unsupported(
            f"{path} cannot be read: {str(error)[:200]}", "get the file again"
        ) from error


def _asked(target: Path, info: ModelInfo) -> list[int]:
    """Tokens to compare the logits on: those of the text set, less what has no row; of a large
    model some windows of them."""
    from llmrr.convert.mlx.compare import WINDOW
    from llmrr.convert.verify.quality import sample, tokens_for

    tokenizer = tokenizer_of(target)
    ids = [one for text in _texts() for one in tokenizer.encode(text).ids]
    known = [one for one in ids if info.vocabulary is None or one < info.vocabulary]
    return list(sample(known[:MOST_TOKENS], WINDOW, tokens_for(info.parameters)))


def _tensors(found: Mapping[str, Any]) -> Check:
    if found["failed"]:
        shown = "; ".join(found["failed"][:3])
        return Check("tensors", False, f"{len(found['failed'])} of {found['count']}: {shown}")
    equal = found["count"] - found["packed"]
    detail = f"{equal} tensors are equal in every bit"
    if not found["packed"]:
        return Check("tensors", True, detail)
    name, share = found["worst"][0]
    detail += f", {found['packed']} are quantized within their bound: {share:.0%} of it, in {name}"
    return Check("tensors", True, detail)


def _logits(found: Mapping[str, Any] | None, recipe: Recipe) -> Iterator[Check]:
    """Without a change of type the same weights were compared already, and the logits show that
    the folder runs; else they say what it costs."""
    if found is None:
        return
    detail = (
        f"KL divergence {found['kl_mean']:.3g} in the mean, {found['kl_max']:.3g} at most; "
        f"the likeliest token is the same {found['same_top']:.1%} of the time"
    )
    if recipe.name is None:
        same = found["kl_max"] == 0.0
        yield Check("logits", same, f"{found['tokens']} predictions: {detail}")
        return
    yield Check("quality", found["kl_mean"] != float("inf"), detail, (found,))
