"""The names that a pickle of tensors needs, and what they say of the tensors.

``ALLOWED`` is what ``torch.load(weights_only=True)`` lets through, and besides what NumPy writes
for arrays and numbers, as checkpoints often carry. Nothing in it runs code that a file brings.
https://github.com/pytorch/pytorch/blob/main/torch/_weights_only_unpickler.py
"""

# The class of a storage: the type of its items, as safetensors names it.
STORAGES = {
    "Double": "F64", "Float": "F32", "Half": "F16", "BFloat16": "BF16", "Long": "I64",
    "Int": "I32", "Short": "I16", "Char": "I8", "Byte": "U8", "Bool": "BOOL",
    "ComplexDouble": "C128", "ComplexFloat": "C64", "QInt8": "I8", "QUInt8": "U8",
    "QInt32": "I32", "QUInt4x2": "U8", "QUInt2x4": "U8",
}  # fmt: skip
DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64",
    "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
    "complex128": "C128", "complex64": "C64", "complex32": "F32", "uint16": "U16",
    "uint32": "U32", "uint64": "U64", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0", "float4_e2m1fn_x2": "U8", "qint8": "I8", "quint8": "U8",
    "qint32": "I32", "quint4x2": "U8", "quint2x4": "U8", "bits8": "U8", "bits16": "U16",
    "bits1x8": "U8", "bits2x4": "U8", "bits4x2": "U8",
}  # fmt: skip
_SMALL = {f"torch.{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8)}
_REBUILD = {
    "tensor", "tensor_v2", "tensor_v3", "qtensor", "parameter", "parameter_with_state",
    "sparse_tensor", "meta_tensor_no_storage", "nested_tensor", "wrapper_subclass",
    "device_tensor_from_cpu_tensor", "device_tensor_from_numpy",
}  # fmt: skip
_SCHEMES = {
    "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric",
    "per_channel_affine_float_qparams",
}  # fmt: skip
_TENSORS = {"Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"}
_CORES = ("core", "_core")  # before NumPy 2 and since

ALLOWED = frozenset(
    {f"torch.{kind}Storage" for kind in STORAGES}
    | {f"torch.cuda.{kind}Storage" for kind in STORAGES}
    | {f"torch.{kind}Tensor" for kind in _TENSORS}
    | {f"torch.cuda.{kind}Tensor" for kind in _TENSORS}
    | {f"torch.{name}" for name in DTYPES}
    | {f"torch._utils._rebuild_{name}" for name in _REBUILD}
    | {f"torch.{name}" for name in _SCHEMES}
    | {f"numpy.{core}.multiarray.{name}" for core in _CORES for name in ("_reconstruct", "scalar")}
    | {f"numpy.{core}.numeric._frombuffer" for core in _CORES}
    | _SMALL
    | {
        "torch.Size", "torch.Tensor", "torch.device", "torch.nn.parameter.Parameter",
        "torch.storage.TypedStorage", "torch.storage.UntypedStorage",
        "torch.serialization._get_layout", "torch._tensor._rebuild_from_type_v2",
        "collections.OrderedDict", "collections.Counter", "_codecs.encode", "builtins.bytearray",
        "builtins.complex", "builtins.set", "numpy.ndarray", "numpy.dtype",
    }
)  # fmt: skip


def item_type(storage: str, dtype: str | None) -> str | None:
    """The type of a tensor's items from the names of its storage class and dtype, None for one
    that nobody knows."""
    if dtype is not None:
        return DTYPES.get(dtype.removeprefix("torch."))
    return STORAGES.get(storage.rpartition(".")[2].removesuffix("Storage"))
