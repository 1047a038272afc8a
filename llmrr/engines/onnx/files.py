"""Which files a model of ONNX graphs consists of: the graph that runs, the one for a first step
where there are two, and the folders with its configuration and tokenizer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llmrr import formats
from llmrr.errors import FeatureMissing, Unsupported
from llmrr.formats import FolderFiles
from llmrr.types import ModelFiles, ModelInfo

WITH_PAST: Final = ("decoder_with_past_model", "decoder_model")  # optimum before 1.14
EMBEDS: Final = ("decoder_model_merged", "embed_tokens")
# What sentence-transformers may put behind a model and this engine does, by the ends of its names.
MODULES: Final = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True, slots=True)
class Graphs:
    """``first`` computes what has no past, where another graph than ``main`` does; ``embeds`` makes
    vectors of tokens, where ``main`` takes these, and whatever else is in ``embedded``.
    ``folders`` are looked through in this order."""

    main: Path
    first: Path | None
    embeds: Path | None
    folders: tuple[Path, ...]
    embedded: tuple[str, ...] = ()


def of(place: ModelFiles) -> tuple[ModelInfo, Graphs]:
    """What the files say, and which they are. Raises what ``formats.inspect`` does, ``Unsupported``
    for a graph that neither writes nor makes vectors of text.

    ``formats`` checks of every graph that its weights lie in its folder.
    """
    info = formats.inspect(place.path)
    main = _path(place.path, info.metadata["onnx.file"])
    with_past, without = WITH_PAST
    first = None
    if main.name.startswith(with_past):
        first = _sibling(main, with_past, without)
    elif main.name.startswith(without) and not info.metadata["onnx.past"] and (
        other := _sibling(main, without, with_past)
    ):  # fmt: skip
        info, main, first = formats.inspect(other), other, main
    embeds, embedded = None, ()
    if "inputs_embeds" in info.metadata["onnx.inputs"]:
        embeds = _sibling(main, *EMBEDS) or _sibling(main, "model", "embed_tokens")
        embedded = formats.inspect(embeds).metadata["onnx.outputs"] if embeds else ()
    role = info.metadata["onnx.role"]
    if role not in ("decoder", "encoder"):
        takes, gives = (", ".join(info.metadata[f"onnx.{way}puts"][:4]) for way in ("in", "out"))
        raise Unsupported(
            f"{main.name} neither writes text nor makes vectors of it: it takes"
            f" {takes or 'nothing'} and gives {gives or 'nothing'}",
            "use a decoder (text-generation-with-past) or an encoder (feature-extraction)",
        )
    above = main.parent.parent
    beside = any((above / name).is_file() for name in ("config.json", "tokenizer.json"))
    folders = (main.parent, above) if beside else (main.parent,)
    return info, Graphs(main, first, embeds, folders, embedded)


def require_known_modules(folders: tuple[Path, ...]) -> None:
    """Raise ``FeatureMissing`` where sentence-transformers would do more with the vectors than this
    engine does. https://sbert.net/docs/sentence_transformer/usage/custom_models.html"""
    for folder in folders:
        files = FolderFiles(folder, depth=1)
        if "modules.json" not in files.sizes:
            continue
        for kind in _modules(files):
            if not kind.endswith(MODULES):
                raise FeatureMissing(
                    f"the onnx engine has no {kind.rpartition('.')[2]}, which this model's vectors"
                    " go through",
                    "use the model as GGUF, or another embedding model",
                )


def _modules(files: FolderFiles) -> list[str]:
    """The kinds in modules.json, which is a list and no object."""
    import json

    from llmrr.formats.json_file import MAX_CONFIG
    from llmrr.formats.messages import damaged

    source = files.source("modules.json")
    try:
        stated = json.loads(source.read(0, MAX_CONFIG))
        return [str(one["type"]) for one in stated]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise damaged(source, "it is no list of modules") from error


def _path(place: Path, name: str) -> Path:
    """The graph called ``name`` by whoever described ``place``: in it or its folder, or above."""
    folder = place if place.is_dir() else place.parent
    inside = folder / name
    return inside if inside.is_file() else folder.parent / name


def _sibling(path: Path, begin: str, other: str) -> Path | None:
    """The graph beside ``path`` that has ``other`` in its name for ``begin``; checked if there."""
    found = path.with_name(other + path.name.removeprefix(begin))
    if not path.name.startswith(begin) or not found.is_file():
        return None
    formats.inspect(found)
    return found
