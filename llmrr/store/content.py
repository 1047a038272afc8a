"""What the first bytes of a file say against its name: only data is fetched, whatever it is called.
"""

import re
from collections.abc import Callable

from llmrr.errors import DamagedFile, Unsupported

Look = Callable[[str, bytes], None]

PYTORCH = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".pickle")
PICKLES = (*PYTORCH, ".joblib", ".npy", ".npz", ".pdparams")
PROGRAMS = (
    ".py", ".pyc", ".sh", ".so", ".dll", ".dylib", ".exe", ".js", ".jar", ".ipynb", ".bat", ".cmd",
    ".ps1", ".llamafile", ".whl", ".egg", ".com", ".msi", ".scr",
)  # fmt: skip
# Weights that an ONNX graph keeps outside itself are numbers without a header.
_RAW = re.compile(r"\.onnx[._]?data(_\d+)?$")
_STARTS = (
    (re.compile(rb"\x80[\x02-\x05]", re.DOTALL), "a pickle"),
    (re.compile(rb"PK\x03\x04"), "an archive such as PyTorch keeps pickles in"),
    (re.compile(rb"\x93NUMPY"), "a NumPy file, which may hold pickles"),
)
_PROGRAM_STARTS = re.compile(
    rb"\x7fELF|MZ|#!|\xca\xfe\xba\xbe|[\xce\xcf]\xfa\xed\xfe|\xfe\xed\xfa[\xce\xcf]", re.DOTALL
)


def is_pickle(name: str) -> bool:
    """Whether a file is one that could run code when it is loaded, by its name."""
    return name.lower().endswith(PICKLES)


def is_program(name: str) -> bool:
    """Whether a file is a program, by its name."""
    return name.lower().endswith(PROGRAMS)


def look(name: str, start: bytes, *, pickles: bool) -> None:
    """Refuse a file as soon as its first bytes come: what is not what its name says, programs, and
    unless they are wanted ``pickles``. Raises ``DamagedFile``, ``Unsupported``."""
    if (name.endswith(".gguf") and not start.startswith(b"GGUF")) or (
        name.endswith(".safetensors") and start[8:9] != b"{"
    ):
        raise DamagedFile(
            f"{name} is not what its name says: it begins with {start[:8].hex(' ')}",
            "nothing of it was kept; tell the owner of the repository",
        )
    if name.endswith((".gguf", ".safetensors")) or _RAW.search(name):
        return
    if _PROGRAM_STARTS.match(start):
        raise Unsupported(f"{name} is a program, and only data is fetched", "leave it out")
    found = next((what for magic, what in _STARTS if magic.match(start)), None)
    if found and not pickles:
        raise Unsupported(
            f"{name} is {found}, and could run code when it is loaded",
            "--allow-pickle fetches it; llmrr never loads it",
        )
