"""mlx-lm's own modules, in the helper process alone.

Its package and its tokenizers import transformers, which takes seconds and is of no use here:
placeholders stand for both, as far as that goes.
"""

import importlib
import sys
from types import ModuleType
from typing import Any, Final

from llmrr.engines.mlx import installed

PACKAGE: Final = "mlx_lm"


def module(name: str) -> Any:
    """``mlx_lm.NAME``."""
    if PACKAGE not in sys.modules and (package := installed.bare()):
        package.__dict__["__version__"] = installed.version()
        tokenizers = ModuleType(f"{PACKAGE}.tokenizer_utils")
        tokenizers.__dict__.update(TokenizerWrapper=object, load=None)
        sys.modules.update({one.__name__: one for one in (package, tokenizers)})
        try:
            return importlib.import_module(f"{PACKAGE}.{name}")
        except ImportError:  # a version that asks for more of them
            for one in [one for one in sys.modules if one.partition(".")[0] == PACKAGE]:
                del sys.modules[one]
    return importlib.import_module(f"{PACKAGE}.{name}")
