"""Manual pages in the man(7) macros: their pieces. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from llmrr import __version__


@dataclass(frozen=True, slots=True)
class Page:
    """A manual page: ``name`` and ``section`` make its file name."""

    name: str
    section: int
    body: tuple[str, ...]

    @property
    def file(self) -> str:
        """Where it lies below ``man/``."""
        return f"man{self.section}/{self.name}.{self.section}"

    def text(self, date: str) -> str:
        """The page in roff; ``date`` is that of the version."""
        title = f'.TH "{self.name.upper()}" "{self.section}" "{date}" "llmrr {__version__}"'
        note = '.\\" Generated from the commands and tables of llmrr; python -m llmrr.cli.docs'
        return "\n".join([note, title, *self.body]) + "\n"


def paragraphs(text: str, *, first: bool = True) -> Iterator[str]:
    for at, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if paragraph.strip():
            if at or not first:
                yield ".PP"
            yield roff(" ".join(paragraph.split()))


def see_also(*names: str) -> Iterator[str]:
    yield ".SH SEE ALSO"
    references = [re.fullmatch(r"(.+)(\(\d\))", name) for name in names]
    yield ",\n".join(f".BR {roff(m[1])} {m[2]}" for m in references if m).replace(",\n", " ,\n")


def item(term: str, text: str) -> tuple[str, ...]:
    return (".TP", term, roff(text) or "\\&")


def bold(text: str) -> str:
    return f"\\fB{roff(text)}\\fR"


def roff(text: str) -> str:
    r"""Text as roff source: nothing in it is a request or an escape.

    >>> print(roff(".x --json C:\\n"))
    \&.x \-\-json C:\en
    """
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    escaped = escaped.replace("\N{HORIZONTAL ELLIPSIS}", "\\&...")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
