"""Python by ``ast``: what its calls are told, without importing or running any of it.

``syntax``      text to tree, and back to the text of a node
``nodes``       names, places and parts of a tree
``scopes``      where names are bound, and what runs one after the other
``walk``        which names are bound where, and every call with the block it stands in
``choosing``    which of several bindings holds at a place, if that is certain
``evaluation``  expressions to values: ``variables``, ``classes``, ``calls``, ``operators``
``parameters``  what functions and command lines are given
``modules``     names that are imported from files of the same tree
``known``       the functions that are known: environment, paths, texts
``texts``       texts put together of known ones and holes
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmrr.migrate.values import Code

_LONGEST: Final = 400_000  # characters: what takes longer than a second


LARGEST: Final = 400_000  # characters; a second goes into the densest code of so many


def evaluate(text: str, path: Path, near: tuple[Path, Path] | None = None) -> "Code":
    """The calls and names of a file of Python, or of the joined cells of a notebook; nothing is
    run. ``near`` is where the file lies and the folder below which its imports are looked into.
    Raises ``DamagedFile``."""
    import gc

    from llmrr.errors import DamagedFile
    from llmrr.migrate.python.evaluation import Evaluator
    from llmrr.migrate.python.modules import Modules
    from llmrr.migrate.python.syntax import Source

    if len(text) > _LONGEST:
        said = f"code of {len(text):,} characters, which nobody wrote by hand"
        raise DamagedFile(said, "leave this file out")
    # A tree is many small objects, none of them garbage: the collector, which looks through all of
    # them again and again, would take more than half of the time.
    if len(text) > LARGEST:
        raise DamagedFile(f"code of {len(text):,} characters, which nobody wrote by hand", "")
    collected = gc.isenabled()
    gc.disable()
    try:
        source = Source(text, path)
        return Evaluator(source, path, Modules(*near) if near else None).code()
    except (RecursionError, MemoryError):
        raise DamagedFile(f"{path} is nested too deeply", "leave this file out") from None
    finally:
        if collected:
            gc.enable()
