"""Whether two sides are the same engine over the same weights: then there is nothing to compare."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, urlsplit

from llmrr.errors import LlmrrError

if TYPE_CHECKING:
    from llmrr.router import Router


class Likeness(NamedTuple):
    """What runs a model, and what the model is: the address and name of a remote one, or the files
    of one on this machine."""

    name: str
    engine: str
    remote: tuple[str, str] | None
    files: tuple[Path, ...] = ()

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, in this process or behind an address."""
        return self.remote is None or is_at(self.remote[0], "localhost")


def likeness(router: "Router", name: str | None) -> Likeness | None:
    """That of a model by its name; None where nothing here is known of it."""
    from llmrr.choosing.identity import identity

    try:
        found = router.resolve(name)
        facts = identity(router.config, found, {}, None)
    except (LlmrrError, OSError):
        return None
    engine = str(facts["engine"])
    if found.endpoint is not None:
        address = str(facts["address"] or "").rstrip("/")
        return Likeness(found.name, engine, (address, found.endpoint.model))
    states: list[tuple[str, ...]] = facts["files"]  # type: ignore[assignment]
    return Likeness(found.name, engine, None, tuple(Path(one[0]) for one in states))


def is_same(one: Likeness, other: Likeness) -> bool:
    """Whether an engine answers from the same weights, under whichever names and paths."""
    if one.engine != other.engine or one.remote != other.remote:
        return False
    if one.remote is not None:
        return True
    return len(one.files) == len(other.files) and all(
        _is_same_file(*pair) for pair in zip(one.files, other.files, strict=True)
    )


def _is_same_file(one: Path, other: Path) -> bool:
    """By place and inode, else by content."""
    try:
        if one == other or one.samefile(other):
            return True
        if one.stat().st_size != other.stat().st_size:
            return False
        return _digest(one) == _digest(other)
    except OSError:
        return False


def _digest(path: Path) -> str:
    from hashlib import file_digest

    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def place_of(url: SplitResult) -> tuple[str, int]:
    """The host and the port of an address; what means this machine is ``localhost``.

    >>> place_of(urlsplit("http://127.0.0.1:1/x")), place_of(urlsplit("https://a.example"))
    (('localhost', 1), ('a.example', 443))
    """
    host = str(url.hostname)
    here = host in ("127.0.0.1", "::1", "0.0.0.0") or host.endswith(".localhost")
    return "localhost" if here else host, url.port or (443 if url.scheme == "https" else 80)


def is_at(address: str, host: str, port: int | None = None) -> bool:
    """Whether an address is of that host, and that port where one is stated.

    >>> is_at("http://127.0.0.1:1", "localhost"), is_at("http://a:1", "a", 2), is_at("[", "a")
    (True, False, False)
    """
    try:
        found = place_of(urlsplit(address))
    except ValueError:
        return False
    return found[0] == host and port in (None, found[1])
