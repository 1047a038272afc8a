"""llmrr: run language models on this machine, and route between them.

    >>> from llmrr import Message, Request, Router

The names are imported when they are first used, so that ``import llmrr`` costs nothing.
"""

__version__ = "0.7.0"
__all__ = [
    "Image", "InvalidRequest", "LlmrrError", "MemoryMonitor", "MemoryUse", "Message",
    "MetricsCollector", "ModelConverter", "PromptTemplate", "Request", "Result", "Router",
    "Sampling", "Tool", "ToolCall", "__version__",
]  # fmt: skip

TYPE_CHECKING = False  # type checkers take the name for true; typing would be an import
if TYPE_CHECKING:
    from llmrr import compat as compat
    from llmrr.choosing.results import Result
    from llmrr.convert.converter import ModelConverter
    from llmrr.errors import InvalidRequest, LlmrrError
    from llmrr.metrics import MetricsCollector
    from llmrr.monitor import MemoryMonitor
    from llmrr.pool import MemoryUse
    from llmrr.prompts import PromptTemplate
    from llmrr.router import Router
    from llmrr.types import Image, Message, Request, Sampling, Tool, ToolCall

_HOMES = {
    "InvalidRequest": "errors", "LlmrrError": "errors", "MemoryMonitor": "monitor",
    "MemoryUse": "pool", "MetricsCollector": "metrics", "ModelConverter": "convert.converter",
    "PromptTemplate": "prompts", "Result": "choosing.results", "Router": "router",
}  # fmt: skip


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


def __getattr__(name: str) -> object:
    if name not in (*__all__, "compat"):
        raise AttributeError(f"module 'llmrr' has no attribute {name!r}")
    from importlib import import_module

    if name == "compat":
        return import_module("llmrr.compat")
    return getattr(import_module(f"llmrr.{_HOMES.get(name, 'types')}"), name)
