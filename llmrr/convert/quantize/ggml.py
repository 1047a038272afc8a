"""ggml's tensors, as an evaluation callback of llama.cpp gets them.

``struct ggml_tensor`` of ``ggml/include/ggml.h`` is no part of llama.cpp's stable interface, and
llama-cpp-python does not declare it. So its layout here is compared with what the library itself
makes, once, before anything else is read through it.
"""

import ctypes
import functools
from typing import TYPE_CHECKING, Any

from llmrr.engines.llamacpp.api import INSTALL, api
from llmrr.errors import FeatureMissing

if TYPE_CHECKING:
    import numpy as np

F32, F16 = 0, 1
_OBJECT_BYTES = 32  # sizeof(struct ggml_object), the other half of ggml_tensor_overhead


class Tensor(ctypes.Structure):
    """``struct ggml_tensor``. ``ne`` are numbers of elements, ``nb`` strides in bytes."""


Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(Tensor) * 10),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
    ("extra", ctypes.c_void_p),
    ("padding", ctypes.c_char * 8),
]


class _InitParams(ctypes.Structure):
    _fields_ = (
        ("mem_size", ctypes.c_size_t),
        ("mem_buffer", ctypes.c_void_p),
        ("no_alloc", ctypes.c_bool),
    )


# name: (type of the result, types of the arguments)
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "ggml_init": (ctypes.c_void_p, [_InitParams]),
    "ggml_free": (None, [ctypes.c_void_p]),
    "ggml_tensor_overhead": (ctypes.c_size_t, []),
    "ggml_new_tensor_3d": (
        ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int] + [ctypes.c_int64] * 3,
    ),
    "ggml_set_name": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
    "ggml_mul_mat": (ctypes.c_void_p, [ctypes.c_void_p] * 3),
    "ggml_op_name": (ctypes.c_char_p, [ctypes.c_int]),
    "ggml_nbytes": (ctypes.c_size_t, [ctypes.c_void_p]),
    "ggml_backend_tensor_get": (
        None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t],
    ),
}  # fmt: skip


@functools.cache
def functions() -> dict[str, Any]:
    """ggml's functions by name, once the layout is known to be right. Raises ``FeatureMissing``."""
    library = getattr(api(), "_lib", None)
    found: dict[str, Any] = {}
    for name, (result, arguments) in _FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError as error:
            raise _other(f"it has no {name}") from error
        function.restype, function.argtypes = result, arguments
        found[name] = function
    _check_layout(found)
    return found


@functools.cache
def operations() -> dict[str, int]:
    """ggml's numbers of the operations that multiply by a matrix: MUL_MAT and MUL_MAT_ID."""
    name = functions()["ggml_op_name"]
    # ggml_op_name looks its argument up without asking; there are more than eighty of them.
    names = {name(number).decode(): number for number in range(80)}
    if missing := {"MUL_MAT", "MUL_MAT_ID"} - names.keys():
        raise _other(f"ggml has no operation {min(missing)}")
    return {wanted: names[wanted] for wanted in ("MUL_MAT", "MUL_MAT_ID")}


def bytes_of(tensor: Tensor) -> "np.ndarray[Any, Any]":
    """A copy of what is in a tensor, wherever it lies."""
    import numpy as np

    address = ctypes.addressof(tensor)
    raw = np.empty(functions()["ggml_nbytes"](address), np.uint8)
    functions()["ggml_backend_tensor_get"](address, raw.ctypes.data, 0, raw.nbytes)
    return raw


def array_of(tensor: Tensor, dtype: str) -> "np.ndarray[Any, Any]":
    """``bytes_of`` as an array of four dimensions, ``ne[3]`` first."""
    import numpy as np

    raw = bytes_of(tensor)
    shape, strides = tuple(reversed(tensor.ne)), tuple(reversed(tensor.nb))
    return np.ndarray(shape, np.dtype(dtype), raw.data, 0, strides)


def _check_layout(known: dict[str, Any]) -> None:
    overhead = known["ggml_tensor_overhead"]()
    if overhead != ctypes.sizeof(Tensor) + _OBJECT_BYTES:
        raise _other(f"its tensors take {overhead} bytes")
    context = known["ggml_init"](_InitParams(16 * overhead, None, True))
    try:
        weight = known["ggml_new_tensor_3d"](context, F16, 32, 5, 7)
        known["ggml_set_name"](weight, b"blk.0.some.weight")
        rows = known["ggml_new_tensor_3d"](context, F32, 32, 3, 7)
        product = Tensor.from_address(known["ggml_mul_mat"](context, weight, rows))
        first, second = product.src[0].contents, product.src[1].contents
        sound = (
            [*product.ne] == [5, 3, 7, 1]
            and [*product.nb] == [4, 20, 60, 420]
            and (first.type, second.type, product.type) == (F16, F32, F32)
            and [*first.ne] == [32, 5, 7, 1]
            and [*second.nb] == [4, 128, 384, 2688]
            and ctypes.addressof(first) == weight
            and ctypes.addressof(second) == rows
            and first.name == b"blk.0.some.weight"
            and known["ggml_op_name"](product.op) == b"MUL_MAT"
            and not (product.data or product.view_src or product.src[2])
        )
    finally:
        known["ggml_free"](context)
    if not sound:
        raise _other("its tensors are laid out in another way")


def _other(why: str) -> FeatureMissing:
    return FeatureMissing(
        f"importance matrices cannot be computed with this llama-cpp-python: {why}", INSTALL
    )
