"""Which store of answers a file is, by content; never by its name."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from llmrr.errors import DamagedFile, LlmrrError, NotFound
from llmrr.migrate.caches import gptcache, langchain, legacy, simonw
from llmrr.migrate.caches.answers import Rows
from llmrr.migrate.caches.sqlite import MAGIC, Database, opened

LARGEST: Final = 256_000_000  # bytes of a JSON file
_PICKLES: Final = tuple(b"\x80" + bytes([version]) for version in range(2, 6))


class Layout(NamedTuple):
    """A database's layout: the tool, how it is recognised and read, and what it ``lacks`` of the
    key of our cache, which is the whole request with what answered it."""

    tool: str
    fits: Callable[[Database], bool]
    rows: Callable[[Database], Rows]
    lacks: str


LAYOUTS: Final = (
    Layout("langchain", langchain.fits, langchain.rows,
           "when it was answered, and at which address (OPENAI_BASE_URL is not in it)"),
    Layout("gptcache", gptcache.fits, gptcache.rows,
           "which model answered, and with which parameters"),
    Layout("simonw-llm", simonw.fits, simonw.rows,
           "which address is behind the name of a model, and what a plugin sent besides"),
)  # fmt: skip
LEGACY: Final = "llm-runner-router"
LEGACY_LACKS: Final = "with which parameters it was answered"


class Store(NamedTuple):
    """A store that was recognised: the tool, its answers and what is left, and the models that it
    names besides. What is not ``is_whole`` has rows in a log that are not among them."""

    tool: str
    rows: Rows
    models: list[dict[str, Any]]
    lacks: str
    is_whole: bool = True


@contextmanager
def store(path: Path) -> Iterator[Store | None]:
    """The store in a file; None for a file that is none. Raises ``NotFound``, ``DamagedFile``, and
    ``LlmrrError`` for one that cannot be read."""
    head = _head(path)
    if head.startswith(MAGIC):
        with opened(path) as database:
            layout = layout_of(database)
            yield layout and Store(
                layout.tool, layout.rows(database), [], layout.lacks, database.is_whole
            )  # fmt: skip
        return
    if head.startswith(_PICKLES):
        raise DamagedFile(f"{path} is a pickle, which is never loaded", "leave it out")
    shape: Any = _json(path) if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else None
    is_ours = legacy.fits(shape)
    models = legacy.models(shape) if is_ours else []
    yield Store(LEGACY, legacy.rows(shape), models, LEGACY_LACKS) if is_ours else None


def layout_of(database: Database) -> Layout | None:
    """The layout of a database; None for one that holds something else."""
    return next((one for one in LAYOUTS if one.fits(database)), None)


def may_be(path: Path) -> bool:
    """Whether a file in a folder is worth a look: a database, JSON of the guide's shape, or the
    pickle of GPTCache, which is not read, and told."""
    try:
        head = _head(path)
    except LlmrrError:
        return False
    return head.startswith(MAGIC) or is_pickle(path) or (
        path.suffix.lower() == ".json" and (b'"responses"' in head or b'"models"' in head)
    )


def is_pickle(path: Path) -> bool:
    """Whether a file is the pickle of GPTCache."""
    try:
        return path.name == gptcache.PICKLE and _head(path).startswith(_PICKLES)
    except LlmrrError:
        return False


def _head(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would wait for ever
            raise NotFound(f'there is no file "{path}"', f"ls -l {path}")
        with path.open("rb") as file:
            return file.read(65_536)
    except OSError as error:
        raise LlmrrError(f"cannot read {path}: {error.strerror}", f"ls -l {path}") from error


def _json(path: Path) -> Any:
    if path.stat().st_size > LARGEST:
        raise DamagedFile(f"{path} is JSON of more than {LARGEST:,} bytes", "split it")
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    except OSError as error:
        raise LlmrrError(f"cannot read {path}: {error.strerror}", f"ls -l {path}") from error
