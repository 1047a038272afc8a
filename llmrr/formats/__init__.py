"""What a model file or folder is, told by its content and never by its name."""

import struct
from collections.abc import Iterable
from pathlib import Path

from llmrr.errors import DamagedFile, NotFound, Unsupported, UsageError
from llmrr.types import Format, ModelFiles

__all__ = ["detect", "locate"]

MAX_ENTRIES = 10_000  # of a folder
MAX_SAFETENSORS_HEADER = 100_000_000  # what its own library allows

# What else people point at: how it begins, what it is, what helps.
FOREIGN = (
    (b"version https://git-lfs", "a Git LFS pointer to a model, not the model", "git lfs pull"),
    (b"<!doctype html", "a web page, not a model file", "download the file itself again"),
    (b"<html", "a web page, not a model file", "download the file itself again"),
    (b"tjgg", "a GGML file from before GGUF (ggjt)", "get the model as GGUF"),
    (b"lmgg", "a GGML file from before GGUF", "get the model as GGUF"),
    (b"fmgg", "a GGML file from before GGUF (ggmf)", "get the model as GGUF"),
    (b"algg", "a LoRA adapter from before GGUF (ggla)", "get the adapter as GGUF"),
    (b"\x89HDF", "a Keras model (HDF5)", "get the model as GGUF"),
    (b"\x1f\x8b", "a gzip archive, not a model file", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive, not a model file", "unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive, not a model file", "unpack it first"),
    (b"PK\x03\x04", "a zip archive, not a model file", "unpack it first"),
)


def detect(path: Path) -> Format:
    """The format of the model file or folder at ``path``.

    Raises ``NotFound``; ``DamagedFile`` for an empty or foreign file; ``Unsupported`` for what is
    known and is no model. Nothing is unpickled or unpacked.
    """
    return locate(path).format


def locate(path: Path) -> ModelFiles:
    """The file to open for the model at ``path``: the first part of a split GGUF model, the one
    GGUF model of a folder, the folder itself for other formats.

    Raises what ``detect`` raises, and ``UsageError`` for a folder with several GGUF models.
    """
    if path.is_dir():
        return _in_folder(path)
    return ModelFiles(_first_part(path), _of_file(path))


def _of_file(path: Path) -> Format:
    start, size = _start(path)
    if not start:
        raise DamagedFile(f"{path} is empty", "copy or download the file again")
    found = _known(start, size)
    if found is None:
        raise _foreign(path, start)
    return found


def _known(start: bytes, size: int) -> Format | None:
    if start[:4] == b"GGUF":
        return Format.GGUF
    if _is_safetensors(start, size):
        return Format.SAFETENSORS
    if _is_torch_zip(start) or _is_pickle(start):
        return Format.PYTORCH
    if _is_onnx(start, size):
        return Format.ONNX
    return None


def _foreign(path: Path, start: bytes) -> Unsupported:
    for begin, what, hint in FOREIGN:
        if start[: len(begin)].lower() == begin.lower():
            return Unsupported(f"{path} is {what}", hint)
    return DamagedFile(
        f"{path} is not a model file: it begins with {start[:8]!r}",
        "name a .gguf file, or a folder with a model in it",
    )


def _start(path: Path) -> tuple[bytes, int]:
    """The first 4,096 bytes, and the size in all."""
    try:
        if not path.is_file():
            missing = "is not a file" if path.exists() else "does not exist"
            raise NotFound(f"{path} {missing}", "llmrr list")
        with path.open("rb", buffering=0) as file:
            return file.read(4096), path.stat().st_size
    except OSError as exc:
        raise NotFound(f"{path} cannot be read: {exc.strerror}") from exc


def _is_safetensors(start: bytes, size: int) -> bool:
    """Eight bytes with the length of a JSON object, then the object.
    https://huggingface.co/docs/safetensors#format"""
    if len(start) < 10:
        return False
    (length,) = struct.unpack_from("<Q", start)
    return 2 <= length <= min(size - 8, MAX_SAFETENSORS_HEADER) and start[8:9] == b"{"


def _is_torch_zip(start: bytes) -> bool:
    """``torch.save`` since 1.6: a zip whose first member is NAME/data.pkl."""
    if start[:4] != b"PK\x03\x04" or len(start) < 30:
        return False
    (length,) = struct.unpack_from("<H", start, 26)
    return start[30 : 30 + length].endswith((b"/data.pkl", b"/.format_version", b"/byteorder"))


def _is_pickle(start: bytes) -> bool:
    """A pickle of protocol 2 to 5; the older ``torch.save`` begins with one of its magic number."""
    return start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def _is_onnx(start: bytes, size: int) -> bool:
    """A protobuf message that walks like onnx.ModelProto: ir_version (1) in the known range, and
    graph (7) or opset_import (8). https://github.com/onnx/onnx/blob/main/onnx/onnx.proto"""
    position, version, graph = 0, 0, False
    for _ in range(64):
        if position >= len(start):
            break
        tag, position = _varint(start, position)
        field, wire = tag >> 3, tag & 7
        if wire not in (0, 2) or field not in (1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26):
            return False
        value, position = _varint(start, position)
        if field == 1:
            version = value if wire == 0 else 0
        if wire == 2:
            graph |= field in (7, 8)
            position += value
            if position > size:
                return False
    return graph and 1 <= version <= 99


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(raw) and shift < 64:
        byte = raw[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
    return value, position


def _in_folder(folder: Path) -> ModelFiles:
    try:
        files = sorted(path for _, path in zip(range(MAX_ENTRIES), folder.iterdir(), strict=False))
    except OSError as exc:
        raise NotFound(f"{folder} cannot be read: {exc.strerror}") from exc
    formats = {path: found for path in files if (found := _quietly(path))}
    gguf = [path for path, found in formats.items() if found is Format.GGUF]
    if gguf:
        return ModelFiles(_the_model(folder, gguf), Format.GGUF)
    if Format.SAFETENSORS in formats.values() and (folder / "config.json").is_file():
        return ModelFiles(folder, Format.MLX if _is_mlx(folder) else Format.SAFETENSORS)
    inside = folder / "onnx"
    if Format.ONNX in formats.values() or (inside.is_dir() and _has_onnx(inside.iterdir())):
        return ModelFiles(folder, Format.ONNX)
    if Format.SAFETENSORS in formats.values():
        raise Unsupported(
            f"{folder} has weights and no config.json beside them", "get the whole repository"
        )
    if Format.PYTORCH in formats.values():
        return ModelFiles(folder, Format.PYTORCH)
    raise NotFound(f"{folder} holds no model", "name a .gguf file, or a folder with one in it")


def _quietly(path: Path) -> Format | None:
    if not path.is_file():
        return None
    try:
        return _known(*_start(path))
    except NotFound:
        return None


def _has_onnx(paths: Iterable[Path]) -> bool:
    return any(_quietly(path) is Format.ONNX for path in paths)


def _the_model(folder: Path, files: list[Path]) -> Path:
    """The one model among GGUF files, with image encoders and adapters left aside."""
    models = sorted({_first_part(path) for path in files})
    if len(models) > 1:
        models = [path for path in models if _runs_alone(path)] or models
    if len(models) > 1:
        names = ", ".join(path.name for path in models[:4]) + ("…" if len(models) > 4 else "")
        raise UsageError(
            f"{folder} holds {len(models)} models: {names}", f"name one, as {models[0]}"
        )
    return models[0]


def _runs_alone(path: Path) -> bool:
    from llmrr.formats.gguf import read_header

    try:
        header = read_header(path)
    except Unsupported:
        return True
    aside = header.text("general.type") in ("adapter", "mmproj", "imatrix")
    return not aside and header.text("general.architecture") != "clip"


def _first_part(path: Path) -> Path:
    """NAME-00003-of-00005.gguf belongs to the model that NAME-00001-of-00005.gguf begins."""
    stem, dash, rest = path.name.rpartition("-of-")
    name, _, number = stem.rpartition("-")
    if dash and len(number) == 5 and number.isdecimal() and rest[:5].isdecimal():
        first = path.with_name(f"{name}-00001-of-{rest}")
        return first if first.is_file() else path
    return path


def _is_mlx(folder: Path) -> bool:
    """MLX writes ``quantization`` (Hugging Face: ``quantization_config``) into config.json, and
    ``"format": "mlx"`` into the metadata of its weights."""
    import json

    try:
        config = json.loads((folder / "config.json").read_bytes()[:1_000_000])
    except (OSError, ValueError, RecursionError):
        return False
    if isinstance(config, dict) and isinstance(config.get("quantization"), dict):
        return "group_size" in config["quantization"]
    weights = (path for path in sorted(folder.iterdir()) if path.suffix == ".safetensors")
    return any(b'"format":"mlx"' in _start(path)[0].replace(b" ", b"") for path in weights)
