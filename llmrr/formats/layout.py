"""Which files of a folder are the model, and in which format. What a file is, its content says;
names only decide between files of one format."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llmrr.errors import NotFound, Unsupported, UsageError
from llmrr.formats.detection import foreign, known, require
from llmrr.formats.json_file import read_beside, table
from llmrr.formats.parts import first_part, numbered, series
from llmrr.formats.safetensors_header import Header, read_header
from llmrr.formats.shards import read_index
from llmrr.formats.source import Files
from llmrr.types import Format

ADAPTER_CONFIG = "adapter_config.json"
LORA = re.compile(r"(?:^|[._])lora[._]", re.IGNORECASE)
# Of several ONNX graphs the one that writes text, then the one that is not quantized.
GRAPHS = ("decoder_model_merged", "model", "decoder_with_past_model", "decoder_model", "decoder")
# What the trainer of transformers keeps beside the weights.
TRAINING = re.compile(r"(?:training_args|optimizer|scheduler|scaler|rng_state)\b.*")
_STORED = {Format.MLX: Format.SAFETENSORS}  # what the files of a format are by themselves
DOUBLES = re.compile(r"consolidated|adapter")  # the same weights as Mistral names them; a LoRA


@dataclass(frozen=True, slots=True)
class Layout:
    """The files that hold the weights; ``index`` has the tensors of each where an index.json says
    it, ``graphs`` all ONNX files of a folder, of which one is described, ``headers`` what was read
    already."""

    format: Format
    weights: tuple[str, ...]
    adapter: bool = False
    index: Mapping[str, list[str]] = field(default_factory=dict)
    graphs: tuple[str, ...] = ()
    headers: Mapping[str, Header] = field(default_factory=dict)


def of_file(files: Files, name: str) -> Layout:
    """What the file ``name`` is. Raises ``DamagedFile`` and ``Unsupported`` for no model."""
    source = files.source(name)
    found = known(source)
    if found is None:
        raise foreign(source)
    if found is Format.PYTORCH:
        return Layout(found, series(files, name), adapter=_is_named_adapter(files, name))
    if found is not Format.SAFETENSORS:
        return Layout(found, (name,))
    header = read_header(source)
    if _is_adapter(files, name, header):
        return Layout(found, (name,), adapter=True, headers={name: header})
    kind = Format.MLX if _is_mlx(files, header) else found
    return Layout(kind, series(files, name), headers={name: header})


def of_folder(files: Files, wanted: Format | None = None) -> Layout:
    """What the folder ``files`` holds; of models in several formats the one that is ``wanted``.

    Raises ``DamagedFile``, ``Unsupported`` or, for an empty folder, ``NotFound``, with what it
    holds instead of a model; ``UsageError`` where there are several GGUF models.
    """
    kinds = tuple(Format) if wanted is None else (_STORED.get(wanted, wanted),)
    formats = {name: found for name in files.sizes if (found := _quietly(files, name)) in kinds}
    of = {kind: [name for name in formats if formats[name] is kind] for kind in Format}
    here = {kind: [name for name in names if "/" not in name] for kind, names in of.items()}
    if here[Format.GGUF]:
        return Layout(Format.GGUF, (_the_model(files, here[Format.GGUF]),))
    if adapter := _adapter(files, here):
        return adapter
    if here[Format.SAFETENSORS] and "config.json" in files.sizes:
        return _safetensors(files, here[Format.SAFETENSORS])
    if graphs := here[Format.ONNX] + [name for name in of[Format.ONNX] if name[:5] == "onnx/"]:
        return Layout(Format.ONNX, (min(graphs, key=_graph_rank),), graphs=tuple(graphs))
    if here[Format.SAFETENSORS]:
        raise Unsupported(
            f"{files} has weights and no config.json beside them", "get the whole repository"
        )
    if here[Format.PYTORCH]:
        return _pytorch(files, here[Format.PYTORCH])
    from llmrr.formats.no_model import nothing

    raise nothing(files)


def _quietly(files: Files, name: str) -> Format | None:
    """The format of a file in the folder itself or in onnx/."""
    if "/" in name and not name.startswith("onnx/"):
        return None
    try:
        return known(files.source(name))
    except NotFound:  # it may not be read
        return None


def _the_model(files: Files, names: Iterable[str]) -> str:
    """The one model among GGUF files, with image encoders and adapters left aside."""
    models = sorted({first_part(name, files.sizes.__contains__) for name in names})
    if len(models) > 1:
        models = [name for name in models if _runs_alone(files, name)] or models
    if len(models) > 1:
        shown = ", ".join(models[:4]) + ("…" if len(models) > 4 else "")
        raise UsageError(
            f"{files} holds {len(models)} models: {shown}", f"name one, as {files}/{models[0]}"
        )
    return models[0]


def _runs_alone(files: Files, name: str) -> bool:
    from llmrr.formats.gguf import read_header

    try:
        header = read_header(files.source(name))
    except Unsupported:
        return True
    aside = header.text("general.type") in ("adapter", "mmproj", "imatrix")
    return not aside and header.text("general.architecture") != "clip"


def _adapter(files: Files, here: Mapping[Format, list[str]]) -> Layout | None:
    """PEFT writes adapter_model.safetensors (once .bin), mlx-lm adapters.safetensors, both with an
    adapter_config.json."""
    if ADAPTER_CONFIG not in files.sizes:
        return None
    weights = [(kind, name) for kind in (Format.SAFETENSORS, Format.PYTORCH) for name in here[kind]]
    whole = [name for _, name in weights if "adapter" not in name and not TRAINING.match(name)]
    if whole and "config.json" in files.sizes:
        return None
    named = [pair for pair in weights if pair[1].startswith("adapter")]
    found = named or [pair for pair in weights if pair[1] in whole]
    return Layout(found[0][0], (found[0][1],), adapter=True) if found else None


def _safetensors(files: Files, names: list[str]) -> Layout:
    index = _index(files, "model.safetensors", names, ".safetensors.index.json")
    weights = tuple(index) or _chosen(files, names, "model.safetensors", DOUBLES)
    require(files.source(weights[0]), Format.SAFETENSORS)
    header = read_header(files.source(weights[0]))
    kind = Format.MLX if _is_mlx(files, header) else Format.SAFETENSORS
    return Layout(kind, weights, index=index, headers={weights[0]: header})


def _pytorch(files: Files, names: list[str]) -> Layout:
    index = _index(files, "pytorch_model.bin", names, ".bin.index.json")
    weights = tuple(index) or _chosen(files, names, "pytorch_model.bin", TRAINING)
    return Layout(Format.PYTORCH, weights, index=index)


def _index(files: Files, single: str, names: list[str], ending: str) -> dict[str, list[str]]:
    """The index of the weights, if they do not lie in the one file that it would stand for."""
    found = [name for name in files.sizes if name.endswith(ending) and "/" not in name]
    usual = f"{single}.index.json"
    if single in names or not found:
        return {}
    return read_index(files, usual if usual in found else found[0])


def _chosen(files: Files, names: list[str], single: str, aside: re.Pattern[str]) -> tuple[str, ...]:
    """The weights where no index says it."""
    if single in names:
        return (single,)
    kept = [name for name in names if not aside.match(name)] or names
    named = [name for name in kept if name.startswith(single.partition(".")[0])]
    return numbered(files, named or kept)


def _is_adapter(files: Files, name: str, header: Header) -> bool:
    """LoRA by the names of its tensors; a model that was trained with LoRAs inside has the layers
    that they belong to as well, of which PEFT may save the table of tokens beside an adapter."""
    if _is_named_adapter(files, name):
        return True
    inside = any(LORA.search(tensor.name) for tensor in header.tensors)
    return inside and not any(".base_layer." in tensor.name for tensor in header.tensors)


def _is_named_adapter(files: Files, name: str) -> bool:
    return name.startswith("adapter") and ADAPTER_CONFIG in files.sizes


def _is_mlx(files: Files, header: Header) -> bool:
    """MLX writes ``quantization`` into config.json (and a copy that, unlike Hugging Face's, names
    no method), and ``"format": "mlx"`` into the metadata of its weights."""
    config = read_beside(files, "config.json")
    copied = table(config, "quantization_config")
    if "group_size" in table(config, "quantization"):
        return True
    if "group_size" in copied and "bits" in copied and "quant_method" not in copied:
        return True
    return header.metadata.get("format") == "mlx"


def _graph_rank(name: str) -> tuple[int, int, str]:
    stem = name.rpartition("/")[2].partition(".")[0]
    rank = next((n for n, graph in enumerate(GRAPHS) if f"{stem}_".startswith(f"{graph}_")), 99)
    return rank, len(stem), name
