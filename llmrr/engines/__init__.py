"""The engines, and which of them runs a format."""

from typing import Final

from llmrr.engines import llamacpp, onnx
from llmrr.engines.base import Engine
from llmrr.errors import FeatureMissing
from llmrr.types import Format

ENGINES: Final[tuple[Engine, ...]] = (llamacpp.ENGINE, onnx.ENGINE)


def for_format(format_: Format, name: str) -> Engine:
    """The engine that runs models of this format; ``name`` is that of the model, for the
    ``FeatureMissing`` that is raised when none does."""
    for engine in ENGINES:
        if format_ in engine.formats:
            return engine
    known = ", ".join(sorted(one for engine in ENGINES for one in engine.formats))
    raise FeatureMissing(
        f"no engine here runs {name}: its format is {format_}",
        f"llmrr convert {name} --to gguf; llmrr search TEXT finds models in {known}",
    )
