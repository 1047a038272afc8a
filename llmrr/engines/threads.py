"""How many threads of the CPU compute."""

from typing import Final

from llmrr import hardware
from llmrr.engines.base import Options
from llmrr.hardware import Hardware
from llmrr.types import ModelInfo

# Two threads answer 1.4 times as fast as one with a model of this size, which is 20 to 40 ms for
# 128 tokens. On a busy machine threads that wait for each other after every matrix take seconds.
SMALL_BYTES: Final = 16 * 1024 * 1024


def count(info: ModelInfo, machine: Hardware, options: Options) -> int:
    """As stated, else one per usable core, and one for a small model."""
    if options.threads is not None:
        return options.threads
    return 1 if (info.bytes or 0) < SMALL_BYTES else hardware.threads(machine)
