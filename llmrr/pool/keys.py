"""What tells the models of this machine from each other, once they are loaded."""

from collections.abc import Hashable
from dataclasses import replace
from typing import NamedTuple

from llmrr.engines import stamps
from llmrr.engines.base import Options
from llmrr.types import ModelFiles


class Key(NamedTuple):
    """What is the same for the same model, loaded in the same way."""

    files: ModelFiles
    engine: str
    options: Options
    stamp: Hashable

    @classmethod
    def of(cls, files: ModelFiles, engine: str, options: Options) -> "Key":
        """With the stamp that its files have now."""
        return cls(files, engine, options, stamps.of(files, options))

    def is_like(self, other: "Key") -> bool:
        """Would a request not know the two apart? A context grows with what it is asked."""
        return self._replace(options=_plain(self.options)) == other._replace(
            options=_plain(other.options)
        )


def _plain(options: Options) -> Options:
    return replace(
        options, at_least=0, most_slots=1, crowded=False, prefix_cache=None, prefix_disk=False
    )
