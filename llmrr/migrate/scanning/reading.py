"""The bytes of a file: plain ones, whole or their beginning. Nothing that could block is opened."""

import errno
import os
import stat
from typing import Final, NamedTuple

from llmrr.config import FILE_NAME
from llmrr.migrate.documents import LARGEST

_HEAD: Final = 65_536
# Pictures, sounds, archives, programs, weights, and code in languages that no reader knows: their
# names say enough not to read them, unless the user names them.
_ENDINGS: Final = (
    "png jpg jpeg gif webp avif bmp ico tif tiff psd svg heic mp3 wav ogg flac m4a mp4 mov avi mkv "
    "webm ttf otf woff woff2 eot pdf doc docx xls xlsx ppt pptx odt epub zip gz tgz bz2 xz zst 7z "
    "rar tar jar war whl egg deb rpm dmg iso exe dll so dylib a o obj lib pyc pyo pyd class wasm "
    "node bin pt pth ckpt safetensors gguf ggml onnx pb h5 tflite npy npz pkl pickle joblib "
    "parquet arrow feather avro orc faiss index msgpack "
    "c h cc cpp cxx hpp hh cu cuh m mm go rs java kt kts scala swift rb php pl pm lua r jl cs fs "
    "vb dart ex exs erl hs ml mli clj cljs elm nim zig v sv vhd asm s f90 f95 pas d groovy sol "
    "md mdx rst adoc tex html htm xhtml css scss sass less styl csv tsv log map po pot mo srt vtt "
    "sql proto graphql gql thrift ipa apk lockb sum pyi diff patch snap geojson "
    "jsonl ndjson xml xsd xsl plist strings storyboard pem crt key p12 gpg asc sig lock"
)
# Files of simonw/llm that may hold nothing but a short name.
_NAMED: Final = frozenset({"aliases.json", "default_model.txt", "model_options.json", "keys.json"})
OURS: Final = "# Written by llmrr migrate"  # how an llmrr.toml begins that is made here
UNREAD: Final = frozenset(f".{ending}" for ending in _ENDINGS.split())


class Content(NamedTuple):
    """What was read: the whole file, or the beginning of one that is larger than ``LARGEST``."""

    data: bytes
    size: int

    @property
    def is_whole(self) -> bool:
        return len(self.data) >= self.size


def read(path: str) -> Content:
    """Read a file. Raises ``OSError``, also for what is no plain file."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "no plain file")
        if state.st_size > LARGEST:
            return Content(_exactly(handle, _HEAD), state.st_size)
        data = _exactly(handle, state.st_size)
        return Content(data, len(data))
    finally:
        os.close(handle)


def is_ours(path: str, data: bytes) -> bool:
    """Whether a file is an ``llmrr.toml``, under whatever name."""
    name = path.rpartition("/")[2]
    return name == FILE_NAME or (name.endswith(".toml") and data.startswith(OURS.encode()))


def is_named(path: str) -> bool:
    """Whether a file is one of a tool by its name, whatever little it says."""
    name = path.rpartition("/")[2]
    return name in _NAMED or "modelfile" in name.lower()


def _exactly(handle: int, count: int) -> bytes:
    """So many bytes, fewer where the file became shorter meanwhile."""
    data = os.read(handle, count)
    while len(data) < count and (more := os.read(handle, count - len(data))):
        data += more
    return data
