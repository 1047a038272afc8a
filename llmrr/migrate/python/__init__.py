"""Python by ``ast``: what its calls are told, without importing or running any of it.

``syntax``      text to tree, and back to the text of a node
``scopes``      which names are bound where, and every call with the block it stands in
``choosing``    which of several bindings holds at a place, if that is certain
``evaluation``  expressions to values
``callers``     where functions are called, and with what
``modules``     the constants and settings of other files
``known``       the functions that are known: environment, paths, texts
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmrr.migrate.python.modules import Modules
    from llmrr.migrate.values import Code

_LONGEST: Final = 400_000  # characters: what takes longer than a second


def evaluate(text: str, path: Path, modules: "Modules | None" = None) -> "Code":
    """The calls and names of a file of Python, or of the joined cells of a notebook; nothing is
    run. ``modules`` are those that it may import. Raises ``DamagedFile``."""
    from llmrr.errors import DamagedFile
    from llmrr.migrate.python.evaluation import Evaluator
    from llmrr.migrate.python.syntax import Source

    if len(text) > _LONGEST:
        said = f"code of {len(text):,} characters, which nobody wrote by hand"
        raise DamagedFile(said, "leave this file out")
    try:
        source = Source(text, path)
        return Evaluator(source, path, modules).code()
    except (RecursionError, MemoryError):
        raise DamagedFile(f"{path} is nested too deeply", "leave this file out") from None
