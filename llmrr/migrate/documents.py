"""A file that may say something of language models: read once, parsed as data, never run.

What is parsed is kept, so that the readers that look at it one after the other share it. Every size
and depth is bounded: what is larger is told, and left.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.terms.secrets import masked

if TYPE_CHECKING:
    from llmrr.migrate.values import Code

LARGEST: Final = 8_000_000  # bytes of a file that is parsed
CODE: Final = 400_000  # bytes of a file of code


class Document:
    """A file. ``data`` are its bytes; ``path`` is as it is shown, ``real`` where it is read, below
    ``top``, where the modules that code imports are looked for (None: nowhere).

    ``shape`` is the parsed content of a data file (JSON with comments, YAML, TOML), None where it
    is none; ``code`` the evaluated content of Python, a notebook, JavaScript or TypeScript.
    """

    def __init__(
        self, path: Path, data: bytes, real: Path | None = None, top: Path | None = None
    ) -> None:
        self.path, self.data, self.real, self.top = path, data, real or path, top
        self.problem: str | None = None  # why it cannot be parsed, where it looks as if it should

    @property
    def suffix(self) -> str:
        """The ending of its name: a hint at its syntax, never at what it is."""
        return self.path.suffix.lower()

    @cached_property
    def text(self) -> str | None:
        """Its text, without a byte order mark; None for what is no text."""
        from llmrr.migrate.parsing import decoded

        return decoded(self.data)

    @cached_property
    def source(self) -> str:
        """Its text as code: of a notebook that of its cells."""
        from llmrr.migrate.parsing import notebook
        from llmrr.migrate.parsing.sniffing import language

        text = self.text or ""
        return notebook.sources(text) if language(text, self.suffix) == "notebook" else text

    @cached_property
    def shape(self) -> Any:
        """What a data file holds: a dict or a list; None for code and plain text. Several YAML
        documents are a ``Several``. A syntax error is in ``problem``."""
        from llmrr.migrate.parsing import parsed

        if self.text is None or len(self.data) > LARGEST:
            return None
        try:
            return parsed(self.text, self.suffix)
        except DamagedFile as error:
            self.problem = masked(error.message)
            return None

    @cached_property
    def duplicates(self) -> list[tuple[str, int]]:
        """Keys that stand twice in one table of a YAML or JSON file, with their lines."""
        from llmrr.migrate.parsing import duplicates

        return duplicates(self.text or "", self.suffix)

    @cached_property
    def code(self) -> "Code | None":
        """What code says; None for what is none. A syntax error is in ``problem``."""
        from llmrr.migrate.parsing import evaluated

        largest = LARGEST if self.suffix == ".ipynb" else CODE  # pictures lie in notebooks
        if self.text is None or len(self.data) > largest:
            return None
        try:
            near = (self.real, self.top) if self.top is not None else None
            return evaluated(self.text, self.suffix, self.path, near)
        except DamagedFile as error:
            self.problem = masked(error.message)
            return None
