"""Which model a name means, and what is known of it: the configuration, the store, what other tools
hold, and the files themselves, joined.

``naming`` is the catalogue itself; ``sources`` says what a label, a source or a path means,
``stored`` what is installed, ``files`` what is opened and what other tools hold, ``noting`` what is
recorded of a model. ``resolved`` is what comes of a name.
"""

from llmrr.catalogue.files import place, require_files
from llmrr.catalogue.naming import Catalogue
from llmrr.catalogue.noting import identity_of
from llmrr.catalogue.resolved import BUILTIN, Resolved
from llmrr.catalogue.stored import Database
from llmrr.engines import runnable

__all__ = [
    "BUILTIN", "Catalogue", "Database", "Resolved", "identity_of", "place", "require_files",
    "runnable",
]  # fmt: skip
