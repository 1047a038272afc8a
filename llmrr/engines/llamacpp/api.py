"""The ctypes layer of llama-cpp-python, opened without the rest of that package.

``import llama_cpp`` costs half a second because its ``__init__`` loads the high-level class with
numpy and jinja2; the ctypes module alone costs a tenth of that. It is reached by registering a bare
package first, whose ``__path__`` is the real one.

A ``ctypes.Structure`` takes unknown attribute names silently, so every field that is set here is
compared with the binding when it is opened.
"""

import ctypes
import functools
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from llmrr.engines.llamacpp.cutting import PIECE, Cuts
from llmrr.errors import FeatureMissing

_SPECIAL: Final = 1 | 8 | 16  # LLAMA_TOKEN_ATTR_UNKNOWN, _CONTROL, _USER_DEFINED
_STRIPS: Final = 128  # LLAMA_TOKEN_ATTR_LSTRIP
INSTALL: Final = "pip install 'llama-cpp-python>=0.3.36,<0.4'"
FIELDS: Final = {
    "llama_model_params": (
        "n_gpu_layers load_mode use_extra_bufts no_alloc progress_callback check_tensors"
        " vocab_only"
    ),
    "llama_context_params": (
        "n_ctx n_batch n_ubatch n_seq_max n_outputs_max n_threads n_threads_batch pooling_type"
        " flash_attn_type type_k type_v abort_callback abort_callback_data embeddings no_perf"
        " swa_full kv_unified"
    ),
    "llama_batch": "n_tokens token embd pos n_seq_id seq_id logits",
}
_WARNING_LEVEL = 3
_capturing = threading.RLock()  # there is one log for all models
_callbacks: deque[Any] = deque(maxlen=16)  # another thread may be in one that was just taken out


@functools.cache
def api() -> Any:
    """The binding, with llama.cpp's own printing turned off. Raises ``FeatureMissing``."""
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # a backtrace needs gdb and blocks for seconds
    binding = _binding()
    for structure, names in FIELDS.items():
        known = {name for name, *_ in getattr(binding, structure)._fields_}
        if unknown := set(names.split()) - known:
            raise FeatureMissing(
                f"llama-cpp-python {_version()} has no {structure}.{min(unknown)}", INSTALL
            )
    binding.llama_log_set(quiet_log(), None)
    binding.llama_backend_init()
    return binding


def _version() -> str:
    from importlib.metadata import version

    return version("llama-cpp-python")


def _binding() -> Any:
    if "llama_cpp" not in sys.modules:
        from importlib.util import find_spec, module_from_spec

        spec = find_spec("llama_cpp")
        if spec is None:
            raise FeatureMissing("llama-cpp-python is not installed", INSTALL)
        sys.modules["llama_cpp"] = module_from_spec(spec)  # made, not executed
    try:
        import llama_cpp.llama_cpp as binding
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        sys.modules.pop("llama_cpp", None)
        raise FeatureMissing(
            f"llama-cpp-python cannot be loaded: {error}", f"{INSTALL} --force-reinstall"
        ) from error
    return binding


@functools.cache
def quiet_log() -> Any:
    """A log callback that does nothing, in C: a Python one would want the interpreter's lock for
    each of the hundreds of lines of a load. ``abs`` ignores what it is not declared for."""
    binding = _binding()
    return ctypes.cast(ctypes.CDLL(None).abs, binding.llama_log_callback)


@contextmanager
def captured_log(
    level: int = _WARNING_LEVEL, *, also: "Callable[[Any, None], object] | None" = None
) -> Iterator[deque[str]]:
    """The last lines that llama.cpp logs at ``level`` or above while this lasts; ``also`` sets the
    callback of a library beside it."""
    with _capturing:
        yield from _captured(level, also)


def _captured(
    level: int, also: "Callable[[Any, None], object] | None"
) -> Iterator[deque[str]]:
    binding = api()
    setters = [binding.llama_log_set, *([also] if also else [])]
    lines: deque[str] = deque(maxlen=400)
    parts: list[str] = []

    def note(severity: int, text: bytes, _: object) -> None:
        if severity == 5:  # GGML_LOG_LEVEL_CONT continues the line before
            severity = level
        if severity >= level:
            parts.append(text.decode(errors="replace"))
            if parts[-1].endswith("\n"):
                lines.append("".join(parts).strip())
                parts.clear()

    callback = binding.llama_log_callback(note)
    _callbacks.append(callback)
    for tell in setters:
        tell(callback, None)
    try:
        yield lines
    finally:
        for tell in setters:
            tell(quiet_log(), None)


class AbortFlag:
    """What ``llama_set_abort_callback`` polls between graph nodes, without the interpreter's lock.

    The callback is C's ``strlen`` on one byte: 0 for the empty string, else 1, read as a bool.
    """

    def __init__(self) -> None:
        self._byte = ctypes.create_string_buffer(2)
        self.callback = ctypes.cast(ctypes.CDLL(None).strlen, api().ggml_abort_callback)
        self.data = ctypes.cast(self._byte, ctypes.c_void_p)

    def raise_(self) -> None:
        """Make the running decode return 2 soon."""
        self._byte[0] = b"x"

    def clear(self) -> None:
        """Let the next decode run."""
        self._byte[0] = b"\0"


class Vocab:
    """A model's vocabulary: text to tokens and back."""

    def __init__(self, model: Any) -> None:
        self._api = api()
        self._vocab = self._api.llama_model_get_vocab(model)
        self.size: int = self._api.llama_vocab_n_tokens(self._vocab)
        self.adds_bos: bool = self._api.llama_vocab_get_add_bos(self._vocab)
        self._pieces: dict[int, bytes] = {}

    def token(self, role: str) -> int | None:
        """The id of ``bos``, ``eos``, ``eot`` or ``nl``; None where the model has none."""
        token: int = getattr(self._api, f"llama_vocab_{role}")(self._vocab)
        return token if token >= 0 else None

    def is_end(self, token: int) -> bool:
        """Does this token end a turn or the text?"""
        return bool(self._api.llama_vocab_is_eog(self._vocab, token))

    def is_control(self, token: int) -> bool:
        """Is it one that plain text cannot hold?"""
        return bool(self._api.llama_vocab_is_control(self._vocab, token))

    @functools.cached_property
    def end_tokens(self) -> tuple[int, ...]:
        """Every token that ends a turn or the text."""
        return tuple(token for token in range(self.size) if self.is_end(token))

    def text(self, token: int | None) -> str:
        """A token as the vocabulary spells it; empty for None."""
        if token is None:
            return ""
        return bytes(self._api.llama_vocab_get_text(self._vocab, token)).decode(errors="replace")

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for, special ones spelled out."""
        if (known := self._pieces.get(token)) is not None:
            return known
        # A buffer of its own for each call: several threads may ask at once.
        buffer = ctypes.create_string_buffer(256)
        length = self._api.llama_token_to_piece(self._vocab, token, buffer, 256, 0, True)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = self._api.llama_token_to_piece(self._vocab, token, buffer, -length, 0, True)
        piece = self._pieces[token] = buffer.raw[:length]
        return piece

    def tokenize(self, text: str, *, add_special: bool = False, special: bool = True) -> list[int]:
        """Token ids; ``special`` recognises special tokens spelled out in the text."""
        if not special or len(text) <= PIECE:
            return self._tokenized(text, add_special, special)
        first, *others = self._cuts.pieces(text)
        found = self._tokenized(first, add_special, True)
        rest = [token for one in others for token in self._tokenized(one, False, True)]
        if not (add_special and others):
            return found + rest
        bare = self._tokenized(first, False, True)
        end = next(at for at in range(len(bare), len(found) + 1)
                   if found[at - len(bare) : at] == bare)  # fmt: skip
        return found[:end] + rest + found[end:]

    @functools.cached_property
    def _cuts(self) -> Cuts:
        flags = {token: self._api.llama_vocab_get_attr(self._vocab, token)
                 for token in range(self.size)}  # fmt: skip
        texts = {token: self.text(token) for token, one in flags.items() if one & _SPECIAL}
        if any("\N{REPLACEMENT CHARACTER}" in one for one in texts.values()):
            return Cuts(())  # half a character is no place to look for
        strips = (one for token, one in texts.items() if flags[token] & _STRIPS)
        return Cuts([*filter(None, texts.values())], [*strips])

    def _tokenized(self, text: str, add_special: bool, special: bool) -> list[int]:
        data = text.encode()
        room = len(data) + 8
        while True:
            tokens = (ctypes.c_int32 * room)()
            count = self._api.llama_tokenize(
                self._vocab, data, len(data), tokens, room, add_special, special
            )
            if count >= 0:
                return tokens[:count]
            room = -count


def set_fields(structure: Any, values: Mapping[str, Any]) -> Any:
    """Set the fields of a ctypes structure, refusing names that it does not have."""
    known = {name for name, *_ in structure._fields_}
    for name, value in values.items():
        if name not in known:
            raise FeatureMissing(f"{type(structure).__name__} has no field {name}", INSTALL)
        setattr(structure, name, value)
    return structure
