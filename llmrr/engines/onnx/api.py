"""onnxruntime, as it is imported, chosen among and complained about."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmrr.engines.backend import Aborted
from llmrr.errors import DamagedFile, DoesNotFit, EngineFailed, FeatureMissing, Unsupported
from llmrr.hardware import Hardware

INSTALL: Final = "pip install onnxruntime"
FATAL: Final = 4  # what onnxruntime would print is in its exceptions too

# Where a graph may run, the fastest first: onnxruntime's name, and what the machine must have.
PROVIDERS: Final = (
    ("CUDAExecutionProvider", "cuda", "nvidia"),
    ("CoreMLExecutionProvider", "cpu", "apple"),
    ("DmlExecutionProvider", "dml", None),
)
CPU: Final = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a graph runs: onnxruntime's ``name``, the ``device`` that its values lie on, ``why``.
    """

    name: str
    device: str
    why: str

    @property
    def accelerates(self) -> bool:
        """Is it more than the CPU?"""
        return self.name != CPU


def api() -> Any:
    """The module. Raises ``FeatureMissing`` where it cannot be imported."""
    try:
        import onnxruntime
    except ImportError as error:
        raise FeatureMissing(f"onnxruntime cannot be loaded: {error}", INSTALL) from error
    onnxruntime.set_default_logger_severity(FATAL)
    return onnxruntime


def choose(available: Sequence[str], machine: Hardware, *, cpu_only: bool = False) -> Provider:
    """Where to run, out of what this onnxruntime offers and this machine has.

    >>> from llmrr.hardware import Cpu, Memory
    >>> choose([CPU], Hardware("linux", Cpu("x86_64"), Memory())).why
    'the CPU: this onnxruntime was built for nothing else'
    """
    if cpu_only:
        return Provider(CPU, "cpu", "the CPU, as gpu_layers 0 says")
    vendors = {gpu.vendor for gpu in machine.gpus}
    offered = [one for one in PROVIDERS if one[0] in available]
    for name, device, vendor in offered:
        if vendor is None or vendor in vendors:
            return Provider(name, device, f"{name.removesuffix('ExecutionProvider')}: it is here")
    if offered:
        return Provider(CPU, "cpu", "the CPU: there is no accelerator that onnxruntime could use")
    return Provider(CPU, "cpu", "the CPU: this onnxruntime was built for nothing else")


@contextmanager
def loading(path: Path) -> Iterator[None]:
    """What onnxruntime says of a file, as an error of ours."""
    try:
        yield
    except Exception as error:
        kind, said = type(error).__name__, _said(error)
        if _is_out_of_memory(said):
            raise DoesNotFit(
                f"{path.name} does not fit into memory", "use a smaller variant, as q4"
            ) from error
        if kind == "NotImplemented" or any(
            words in said
            for words in ("is not a registered function", "No Op registered", "opset", "not "
                          "implemented", "Could not find an implementation", "NOT_IMPLEMENTED")
        ):  # fmt: skip
            raise Unsupported(
                f"onnxruntime does not run {path.name}: {said}",
                "pip install -U onnxruntime, or use another variant of the model",
            ) from error
        if not _is_of_onnxruntime(error):
            raise
        raise DamagedFile(
            f"onnxruntime cannot load {path.name}: {said}", "get the file again"
        ) from error


@contextmanager
def running() -> Iterator[None]:
    """What goes wrong while a graph runs, as an error of ours. Raises ``Aborted``."""
    try:
        yield
    except Exception as error:
        said = _said(error)
        if "terminate flag" in said:
            raise Aborted from error
        if _is_out_of_memory(said):
            raise DoesNotFit(
                "the context does not fit into memory", "use a smaller --ctx-size"
            ) from error
        if not _is_of_onnxruntime(error):
            raise
        raise EngineFailed(f"onnxruntime failed while it computed: {said}") from error


def _is_of_onnxruntime(error: Exception) -> bool:
    return type(error).__module__.startswith("onnxruntime") or isinstance(error, RuntimeError)


def _is_out_of_memory(said: str) -> bool:
    return any(words in said for words in ("bad_alloc", "Failed to allocate", "out of memory"))


def _said(error: Exception) -> str:
    words = " ".join(str(error).split())
    return words.split(" : ", 2)[-1].removeprefix("FAIL : ")[:300]
