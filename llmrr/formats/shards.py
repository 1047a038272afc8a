"""The index of a model whose weights lie in several files."""

from llmrr.formats.json_file import read_object
from llmrr.formats.messages import damaged
from llmrr.formats.parts import missing
from llmrr.formats.source import Files

MAX_INDEX = 32 << 20


def read_index(files: Files, name: str) -> dict[str, list[str]]:
    """An index.json of Hugging Face: the names of the tensors that each file holds, by file.

    Raises ``DamagedFile`` for one that names no file, a file outside of the folder, or one that is
    not there. https://huggingface.co/docs/transformers/big_models#sharded-checkpoints
    """
    source = files.source(name)
    places = read_object(source, MAX_INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise damaged(source, "it has no weight_map")
    found: dict[str, list[str]] = {}
    for tensor, file in places.items():
        if not isinstance(file, str):
            raise damaged(source, f"it does not say where {tensor[:99]!r} lies")
        found.setdefault(file, []).append(tensor)
    present = {inside(files, name, file): tensors for file, tensors in found.items()}
    return dict(sorted(present.items()))


def inside(files: Files, beside: str, name: str) -> str:
    """The path of the file that ``beside`` calls ``name``, which must lie in its folder or below.

    Raises ``DamagedFile`` where it does not, or is missing.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part != "."]
    if not parts or "" in parts or ".." in parts or ":" in parts[0]:
        raise damaged(files.source(beside), f"it names a file outside of its folder: {name[:99]!r}")
    path = "/".join((*beside.split("/")[:-1], *parts))
    if path not in files.sizes:
        raise missing(f"{files.source(beside)}", [name])
    return path
