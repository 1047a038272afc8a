"""llmrr-migrate-sources(7): what ``llmrr migrate`` reads, each source with an example that is
really migrated when the page is made."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from llmrr.cli.roff import Page, item, paragraphs, roff, see_also
from llmrr.cli.source_examples import EXAMPLES, Example
from llmrr.errors import LlmrrError
from llmrr.migrate.artefact import KINDS

_HEADER = 2  # lines of a new llmrr.toml before what the example gave
_OF_MACHINE = "mlx-elsewhere"  # told of some machines alone, and so not on the page


@cache
def page() -> Page:
    """The page; it takes a second."""
    return Page("llmrr-migrate-sources", 7, tuple(_body()))


def _body() -> Iterator[str]:
    yield from (".SH NAME", "llmrr\\-migrate\\-sources \\- what llmrr migrate reads")
    yield ".SH DESCRIPTION"
    yield from paragraphs(
        "llmrr migrate tells files by their content, never by their names, and reads them as data: "
        "nothing is run, imported, rendered or fetched, and no key is repeated. What follows is a "
        "small file of every source, and what llmrr migrate plan makes of it.\n\n"
        "What only running code would tell is said with its file and line (unresolved), and so is "
        "whatever has no place in llmrr.toml: llmrr-errors(7) lists the codes. A secret stays in "
        "its file: llmrr.toml names the variable that is to hold it."
    )
    for example in EXAMPLES:
        yield from (f".SH {roff(example.title.upper())}", roff(example.about))
        for name, text in example.files.items():
            yield from (".PP", f"\\fI{roff(name)}\\fR")
            if name not in example.hidden:
                yield from _lines(text)
        yield from (".PP", "llmrr migrate plan .", *_lines(migrated(example)))
    yield ".SH KINDS"
    yield from item(
        "--from KIND", f"reads a file that is not recognised as one of these: {', '.join(KINDS)}."
    )
    yield from see_also("llmrr-migrate(1)", "llmrr.toml(5)", "llmrr-errors(7)")


def migrated(example: Example) -> str:
    """What ``llmrr migrate plan`` makes of an example: the tables, then what it tells."""
    from tempfile import TemporaryDirectory

    from llmrr.migrate import planning
    from llmrr.migrate.scanning import scan

    with TemporaryDirectory() as folder, _inside(Path(folder)):
        for name, text in example.files.items():
            place = Path(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            is_text = name not in example.hidden
            place.write_bytes(text.encode("utf-8" if is_text else "latin-1"))
        found = scan(["."])
        told = [f"{one.path}: {one.error}" for one in found.artefacts if one.error]
        told += [
            f"{one.code}: {one.message}" for each in found.artefacts for one in each.warnings
            if one.code != _OF_MACHINE
        ]  # fmt: skip
        try:
            plan = planning.make(found.artefacts, Path("llmrr.toml").absolute())
            lines = plan.toml.splitlines()[_HEADER:]
        except LlmrrError as error:  # there are no models in it
            lines = [f"# {error.message}"]
    return "\n".join([*lines, *(f"# {one}" for one in dict.fromkeys(told))]).strip()


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """In a folder, as a user would stand there."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _lines(text: str) -> Iterator[str]:
    """Lines as they are."""
    yield from (".RS 4", ".nf", *(roff(line) or "\\&" for line in text.splitlines()), ".fi", ".RE")
