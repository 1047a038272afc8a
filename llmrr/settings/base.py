"""One setting: what it may be, and what it is."""

from typing import Literal, NamedTuple

from llmrr.kinds import Kind

Source = Literal["command line", "code", "environment", "project", "user", "default"]


# NamedTuple rather than dataclass: making a class takes a tenth of the time, at every start.
class Spec(NamedTuple):
    """One setting. ``key`` is dotted; ``models[]`` stands for each ``[[models]]``, ``NAME`` for a
    name of the user's. ``default`` is as it would be written, None where nothing is; ``example``
    is TOML. ``environment`` says whether ``LLMRR_…`` may set it."""

    key: str
    kind: Kind
    default: object
    doc: str
    example: str
    environment: bool = False

    @property
    def leaf(self) -> str:
        """The last part of the key.

        >>> from llmrr.settings import spec
        >>> spec("stats.retention").leaf
        'retention'
        """
        return self.key.rpartition(".")[2]

    @property
    def table(self) -> str:
        """The key without its last part; empty at the top."""
        return self.key.rpartition(".")[0]


class Setting(NamedTuple):
    """A value in use, who set it, in which file or variable, and how it was written there."""

    value: object
    source: Source
    where: str | None = None
    stated: object = None
