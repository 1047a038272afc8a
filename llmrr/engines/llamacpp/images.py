"""Images for models that see: the image encoder (mmproj) of a model, through llama.cpp's libmtmd.

A prompt with images is a row of positions. Text has one token at each. An image has as many as its
model gives it; they are written as negative numbers that come from its content, so that equal
beginnings of two prompts are found as they are in text.
"""

import ctypes
import functools
import hashlib
import os
import struct
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from llmrr.engines.llamacpp.api import INSTALL, api, captured_log, quiet_log, set_fields
from llmrr.engines.llamacpp.context import UBATCH, Context, Outcome
from llmrr.engines.llamacpp.task import Picture, Pictured
from llmrr.errors import DamagedFile, EngineFailed, FeatureMissing, Unsupported

# What the decoder inside libmtmd reads; anything else it would hand to a program.
READABLE: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM")
_TEXT = 0  # MTMD_INPUT_CHUNK_TYPE_TEXT
_MISCOUNTED, _UNPREPARED = 1, 2  # of mtmd_tokenize
_OUTCOMES: Final[Mapping[int, Outcome]] = {0: "done", 1: "full", 2: "aborted"}


class Encoder:
    """An image encoder, loaded for a model. ``marker`` stands in a text where an image does."""

    def __init__(self, path: Path, model: Any, threads: int, *, gpu: bool) -> None:
        """Raises ``DamagedFile`` for a file that is none, or is of another model."""
        self._binding = _binding()
        self.marker = f"<__image_{os.urandom(8).hex()}__>"  # nobody can write it into a prompt
        parameters = set_fields(
            self._binding.mtmd_context_params_default(),
            {
                "use_gpu": gpu,
                "print_timings": False,
                "n_threads": threads,
                "media_marker": self.marker.encode(),
                "warmup": False,
            },
        )
        arguments = (str(path).encode(), model, parameters)
        self._pointer = self._binding.mtmd_init_from_file(*arguments)
        if not self._pointer:
            with captured_log(also=self._binding.mtmd_helper_log_set) as lines:
                self._pointer = self._binding.mtmd_init_from_file(*arguments)
            if not self._pointer:
                raise _refused(path, lines)
        if not self._binding.mtmd_support_vision(self._pointer):
            self.close()
            raise Unsupported(f"{path.name} encodes no images", "llmrr show " + path.name)

    def read(self, text: str, images: Sequence[bytes]) -> Pictured:
        """A text with a marker for each image, as positions. Raises ``Unsupported`` for an image
        that cannot be read."""
        bitmaps = [self._bitmap(number, data) for number, data in enumerate(images)]
        try:
            chunks = self._chunks(text, bitmaps)
        finally:
            for bitmap in bitmaps:
                self._binding.mtmd_bitmap_free(bitmap)
        read = self._positions(chunks)
        if read.known[-1] < 0:
            raise Unsupported("the prompt ends with an image", "let text follow it")
        return read

    def _compute(
        self, chunk: Any, cells: int, context: Context, slot: int, position: int
    ) -> Outcome:
        non_causal = self._binding.mtmd_decode_use_non_causal(self._pointer, chunk)
        if non_causal and cells > UBATCH:  # llama.cpp ends the process
            raise EngineFailed(
                f"the image takes {cells} tokens at once, and llama.cpp is given {UBATCH}"
            )
        code = self._binding.mtmd_helper_eval_chunk_single(
            self._pointer, context.pointer, chunk, position, slot, UBATCH, False,
            ctypes.byref(ctypes.c_int32(position)),
        )  # fmt: skip
        if code not in _OUTCOMES:
            raise EngineFailed(f"llama.cpp could not compute an image (code {code})")
        return _OUTCOMES[code]

    @staticmethod
    def sample() -> bytes:
        """A grey image to try it with: BMP, 32 by 32 pixels of 24 bits."""
        head = struct.pack("<2sIHHI", b"BM", 54 + 3072, 0, 0, 54)
        about = struct.pack("<IiiHHIIiiII", 40, 32, 32, 1, 24, 0, 3072, 2835, 2835, 0, 0)
        return head + about + b"\x80" * 3072

    def close(self) -> None:
        """Free it. Twice is allowed."""
        if self._pointer:
            self._binding.mtmd_free(self._pointer)
            self._pointer = None

    def _bitmap(self, number: int, data: bytes) -> Any:
        if not data.startswith(READABLE):
            raise Unsupported(
                f"image {number + 1} is none that llama.cpp reads: it begins with {data[:8]!r}",
                "save it as PNG or JPEG: magick IMAGE image.png",
            )
        buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        bitmap = self._binding.mtmd_helper_bitmap_init_from_buf(
            self._pointer, buffer, len(data), False
        )
        if not bitmap:
            raise Unsupported(
                f"image {number + 1} cannot be decoded: it is damaged", "save it again as PNG"
            )
        return bitmap

    def _chunks(self, text: str, bitmaps: Sequence[Any]) -> "_Chunks":
        binding, data = self._binding, text.encode()
        chunks = _Chunks(binding)
        given = set_fields(
            binding.mtmd_input_text(),
            {"text": data, "text_len": len(data), "add_special": False, "parse_special": True},
        )
        array = (ctypes.c_void_p * len(bitmaps))(*bitmaps)
        code = binding.mtmd_tokenize(
            self._pointer, chunks.pointer, ctypes.byref(given), array, len(bitmaps)
        )
        if code == _UNPREPARED:
            raise Unsupported("llama.cpp cannot prepare the image for this model", "try another")
        if code == _MISCOUNTED:
            raise Unsupported(
                "the chat template of this model does not keep the images where they stand",
                "state another one: chat_template of its options",
            )
        if code != 0:
            raise EngineFailed(f"llama.cpp could not read the prompt (code {code})")
        return chunks

    def _positions(self, chunks: "_Chunks") -> Pictured:
        binding = self._binding
        known: list[int] = []
        pictures: dict[int, Picture] = {}
        slices = Counter[bytes]()
        for number in range(binding.mtmd_input_chunks_size(chunks.pointer)):
            chunk = binding.mtmd_input_chunks_get(chunks.pointer, number)
            if binding.mtmd_input_chunk_get_type(chunk) == _TEXT:
                count = ctypes.c_size_t()
                tokens = binding.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
                known += tokens[: count.value]
                continue
            name = bytes(binding.mtmd_input_chunk_get_id(chunk))  # the sha256 of the file
            positions = int(binding.mtmd_input_chunk_get_n_pos(chunk))
            cells = int(binding.mtmd_input_chunk_get_n_tokens(chunk))
            compute = functools.partial(self._compute, chunk, cells)
            pictures[len(known)] = Picture(positions, cells, compute, chunks)
            known += _stand_ins(name, slices[name], positions)
            slices[name] += 1
        return Pictured(known, pictures)


class _Chunks:
    """A tokenized prompt, freed with the last who holds it."""

    def __init__(self, binding: Any) -> None:
        self.pointer = binding.mtmd_input_chunks_init()
        weakref.finalize(self, binding.mtmd_input_chunks_free, self.pointer)


def _refused(path: Path, log: Iterable[str]) -> DamagedFile:
    said = [line.split(": ", 1)[-1] for line in log if line]
    return DamagedFile(
        f"llama.cpp cannot use {path.name} as the image encoder of this model"
        + (f": {said[-1][:300]}" if said else ""),
        "get the mmproj file that belongs to the model",
    )


def _stand_ins(name: bytes, number: int, count: int) -> list[int]:
    """What stands for the positions of a slice of an image: numbers that no token has."""
    digest = hashlib.sha256(name + b"/%d" % number).digest()
    start = int.from_bytes(digest[:6]) << 24
    return [-1 - start - position for position in range(count)]


@functools.cache
def _binding() -> Any:
    """libmtmd, with its own printing turned off. Raises ``FeatureMissing``."""
    api()
    try:
        import llama_cpp.mtmd_cpp as binding
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        raise FeatureMissing(
            f"this llama-cpp-python has no support of images: {error}",
            f"{INSTALL} --force-reinstall",
        ) from error
    binding.mtmd_helper_log_set(quiet_log(), None)
    return binding
