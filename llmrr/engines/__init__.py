"""The engines, and which of them runs a format."""

from typing import Final

from llmrr.engines import llamacpp
from llmrr.engines.base import Engine
from llmrr.errors import FeatureMissing
from llmrr.types import Format

ENGINES: Final[tuple[Engine, ...]] = (llamacpp.ENGINE,)


def for_format(format_: Format) -> Engine:
    """The engine that runs models of this format. Raises ``FeatureMissing`` when none does."""
    for engine in ENGINES:
        if format_ in engine.formats:
            return engine
    known = ", ".join(sorted(one for engine in ENGINES for one in engine.formats))
    raise FeatureMissing(f"no engine runs models in the format {format_}", f"get it as: {known}")
