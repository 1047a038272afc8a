"""The files that an ONNX graph keeps its weights in, which may be called anything."""

import posixpath
from collections.abc import Mapping
from pathlib import Path

from llmrr.formats import onnx_graph
from llmrr.formats.source import FileSource


def missing(where: Mapping[str, Path], known: Mapping[str, int]) -> tuple[str, ...]:
    """The files that the graphs among ``where`` (path in the repository: file) name, that the
    repository has, and that were not fetched. What leaves the repository is not among them."""
    found: list[str] = []
    for name, path in where.items():
        if name.endswith(".onnx"):
            for weight in onnx_graph.read_model(FileSource.of(path)).weights:
                if weight.external is not None:
                    location = weight.external.location
                    found.append(posixpath.normpath(f"{posixpath.dirname(name)}/{location}"))
    names = (name.lstrip("/") for name in dict.fromkeys(found))
    return tuple(name for name in names if name in known and name not in where)
