"""From a folder of Hugging Face to a folder of ONNX graphs, as optimum lays it out."""

import shutil
from collections.abc import Callable
from pathlib import Path

from . import models
from .quantize import quantize
from .refusal import Refused

Say = Callable[[str, int, int], None]
LARGEST_FILE = 1_900_000_000  # protobuf allows 2 GiB, and what is around the weights needs room


def export(
    say: Say, source: str, scratch: str, target: str, task: str, quant: str, group: int
) -> dict[str, object]:
    """Write the graphs of ``source`` into the new folder ``target``, through ``scratch``.

    ``quant`` is fp32, fp16, int8, q4 or q4f16, ``group`` how many weights of q4 share a scale.
    """
    half = quant in ("fp16", "q4f16")
    say("loading the weights", 0, 3)
    model = models.load(source, task, "float16" if half else "float32")
    say("exporting", 1, 3)
    plain = Path(scratch) / "plain"
    _write(model, plain, task, tied=quant in ("fp32", "fp16"))
    del model
    graphs = _graphs(plain)
    Path(target).mkdir()
    for at, graph in enumerate(graphs):
        if quant in ("fp32", "fp16"):
            say("writing", 2, 3)
            for file in _files(graph):
                file.rename(Path(target) / file.name)
        else:
            say(f"quantizing {graph.name}", 2 * len(graphs) + at, 3 * len(graphs))
            quantize(graph, Path(target) / graph.name, quant, group)
    shutil.rmtree(plain)
    written = (Path(source) / "tokenizer.json").is_file()
    return {
        "graphs": [graph.name for graph in graphs],
        "tokenizer": written or models.write_tokenizer(source, target),
    }


def _write(model: object, folder: Path, task: str, *, tied: bool) -> None:
    """Export; ``tied`` weights are stored once. Where they are to be quantized they are kept apart:
    the table stays as it is, and the matrix of the output is packed."""
    import warnings

    import optimum.exporters.onnx.base as base
    from optimum.exporters.onnx.convert import onnx_export_from_model

    usual = base.is_accelerate_available
    if not tied:
        base.is_accelerate_available = lambda *given: False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            onnx_export_from_model(model, str(folder), task=task, do_validation=False)
    finally:
        base.is_accelerate_available = usual


def _graphs(folder: Path) -> list[Path]:
    """The graphs that stand for the model: a merged decoder makes the two that it was made of
    superfluous."""
    found = sorted(folder.glob("*.onnx"))
    if any(graph.stem == "decoder_model_merged" for graph in found):
        parts = ("decoder_model", "decoder_with_past_model")
        found = [graph for graph in found if graph.stem not in parts]
    if not found:
        raise Refused("failed", "optimum wrote no graph")
    return found


def _files(graph: Path) -> list[Path]:
    """A graph, and the file beside it where its weights are too large for one of protobuf."""
    return [graph, *sorted(graph.parent.glob(f"{graph.name}_data*"))]


def save(model: object, place: Path) -> None:
    """Write a graph; weights that one file of protobuf cannot hold lie in NAME.onnx_data."""
    import onnx

    large = model.ByteSize() > LARGEST_FILE  # type: ignore[attr-defined]
    if large:
        onnx.save_model(
            model, str(place), save_as_external_data=True, all_tensors_to_one_file=True,
            location=f"{place.name}_data", size_threshold=1024,
        )  # fmt: skip
    else:
        onnx.save_model(model, str(place))
