"""What a file is by its content; and what it is instead of a model, with what helps."""

import struct

from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats.protobuf import varint
from llmrr.formats.source import Source
from llmrr.types import Format

START = 4096  # bytes that are looked at
MAX_SAFETENSORS_HEADER = 100_000_000  # what its own library allows

# What else people point at: where and how it begins, what it is, what helps.
AGAIN, UNPACK = "download the file itself again", "unpack it first"
AS_GGUF, FOLDER = "get the model as GGUF", "name the folder that it lies in"
FOREIGN = (
    (0, b"version https://git-lfs", "a Git LFS pointer to a model, not the model", "git lfs pull"),
    (0, b"<!doctype html", "a web page, not a model file", AGAIN),
    (0, b"<html", "a web page, not a model file", AGAIN),
    (0, b"tjgg", "a GGML file from before GGUF (ggjt)", AS_GGUF),
    (0, b"lmgg", "a GGML file from before GGUF", AS_GGUF),
    (0, b"fmgg", "a GGML file from before GGUF (ggmf)", AS_GGUF),
    (0, b"algg", "a LoRA adapter from before GGUF (ggla)", "get the adapter as GGUF"),
    (0, b"\x89HDF", "a Keras model (HDF5)", AS_GGUF),
    (4, b"TFL3", "a TensorFlow Lite model", AS_GGUF),
    (4, b"ORTM", "a model in the format of ONNX Runtime (.ort)", "get the model as ONNX"),
    (0, b"\n\x0e\n\x05<unk>", "a SentencePiece vocabulary, not a model", FOLDER),
    (0, b"\x93NUMPY", "a NumPy array, not a model file", "name a model file or folder"),
    (0, b"PAR1", "a Parquet file of data, not a model", "name a model file or folder"),
    (0, b"ARROW1", "an Arrow file of data, not a model", "name a model file or folder"),
    (0, b"SQLite format 3", "a SQLite database, not a model", "name a model file or folder"),
    (0, b"%PDF", "a PDF document, not a model", "name a model file or folder"),
    (0, b"\x89PNG", "a picture, not a model", "name a model file or folder"),
    (0, b"\xff\xd8\xff", "a picture, not a model", "name a model file or folder"),
    (0, b"\x7fELF", "a program, not a model", "name a model file or folder"),
    (0, b"MZ", "a program, not a model", "name a model file or folder"),
    (0, b"<?xml", "an XML file, not a model file", "get the model as ONNX or GGUF"),
    (0, b"\x1f\x8b", "a gzip archive, not a model file", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive, not a model file", UNPACK),
    (0, b"BZh", "a bzip2 archive, not a model file", UNPACK),
    (0, b"\xfd7zXZ", "an xz archive, not a model file", UNPACK),
    (0, b"7z\xbc\xaf", "a 7-Zip archive, not a model file", UNPACK),
    (0, b"Rar!", "a RAR archive, not a model file", UNPACK),
    (0, b"\x78\x9c", "a zlib-compressed file (joblib writes such), not a model file", UNPACK),
    (0, b"\x78\x5e", "a zlib-compressed file (joblib writes such), not a model file", UNPACK),
    (0, b"\x78\xda", "a zlib-compressed file (joblib writes such), not a model file", UNPACK),
    (0, b"PK\x03\x04", "a zip archive, not a model file", UNPACK),
    (0, b"PK\x05\x06", "an empty zip archive", AGAIN),
)
# What stands near the beginning of a model's JSON files.
JSON = (
    (b'"weight_map"', "the index of a model in several parts"),
    (b'"added_tokens"', "a tokenizer, not a model"),
    (b'"tokenizer_class"', "the configuration of a tokenizer, not a model"),
    (b'"base_model_name_or_path"', "the configuration of a LoRA adapter"),
    (b'"model_type"', "the configuration of a model, not its weights"),
    (b"", "a JSON text, not a model file"),
)


def known(source: Source) -> Format | None:
    """The format of a model file, None for anything else. Only a beginning of it is read, and of
    a zip archive its directory. Nothing is unpickled or unpacked."""
    start = source.read(0, START)
    if start[:4] == b"GGUF":
        return Format.GGUF
    if _is_safetensors(start):
        return Format.SAFETENSORS
    if _is_onnx(start, source.size):
        return Format.ONNX
    return Format.PYTORCH if _is_pytorch(source, start) else None


def require(source: Source, expected: Format) -> None:
    """Raise what ``foreign`` gives for a file that is not of this format."""
    if known(source) is not expected:
        raise foreign(source)


def foreign(source: Source) -> Unsupported:
    """The error for a file that is no model, with what it is instead."""
    start = source.read(0, START)
    if not start:
        return DamagedFile(f"{source} is empty", "copy or download the file again")
    if _is_tar(start):
        return Unsupported(
            f"{source} is a tar archive; PyTorch before 0.1.10 wrote such", "unpack it first"
        )
    for offset, begin, what, hint in FOREIGN:
        if start[offset : offset + len(begin)].lower() == begin.lower():
            return Unsupported(f"{source} is {what}", hint)
    if start.lstrip()[:1] == b"{":
        what = next(what for key, what in JSON if key in start)
        return Unsupported(f"{source} is {what}", FOLDER)
    return DamagedFile(
        f"{source} is not a model file: it begins with {start[:8]!r}",
        "name a .gguf file, or a folder with a model in it",
    )


def _is_safetensors(start: bytes) -> bool:
    """Eight bytes with the length of a JSON object, then the object.
    https://huggingface.co/docs/safetensors#format"""
    if len(start) < 10:
        return False
    (length,) = struct.unpack_from("<Q", start)
    return 2 <= length <= MAX_SAFETENSORS_HEADER and start[8:9] == b"{"


def _is_pytorch(source: Source, start: bytes) -> bool:
    """A zip archive of ``torch.save``, or a pickle: of protocol 2 to 5 by its first two bytes, an
    older one has no such mark and must parse to its end."""
    if start[:4] == b"PK\x03\x04":
        from llmrr.formats.archive import is_torch

        return is_torch(source)
    if _is_tar(start):
        return False
    if start[:1] == b"\x80" and start[1:2] <= b"\x05":
        return len(start) > 2
    from llmrr.formats.pickles import is_pickle

    return is_pickle(source)


def _is_tar(start: bytes) -> bool:
    """The sum of the bytes of the first header, its own field counted as blanks, is in it."""
    header = start[:512]
    try:
        stated = int(header[148:156].strip(b" \0") or b"-1", 8)
    except ValueError:
        return False
    return len(header) == 512 and stated == sum(header) - sum(header[148:156]) + 8 * 32


def _is_onnx(start: bytes, size: int) -> bool:
    """A protobuf message that walks like onnx.ModelProto: ir_version (1) in the known range, and
    graph (7) or opset_import (8). https://github.com/onnx/onnx/blob/main/onnx/onnx.proto"""
    position, version, graph = 0, 0, False
    for _ in range(64):
        if position >= len(start):
            break
        tag, position = varint(start, position)
        field, wire = tag >> 3, tag & 7
        if wire not in (0, 2) or field not in (1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26):
            return False
        value, position = varint(start, position)
        if field == 1:
            version = value if wire == 0 else 0
        if wire == 2:
            graph |= field in (7, 8)
            position += value
            if position > size:  # the graph of a file that was cut off
                return field == 7 and 1 <= version <= 99
    return graph and 1 <= version <= 99
