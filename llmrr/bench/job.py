"""What is to be measured, and how that travels to the process that does."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

What = Literal["start", "speed"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is measured of every model: a prompt of ``prefill`` tokens, an answer of ``decode``
    tokens, ``repeats`` times; and answers of as many sequences at once as ``together`` says."""

    prefill: int = 512
    decode: int = 128
    repeats: int = 5
    together: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """What one process measures of a model, named as on the command line. ``options`` are keys and
    values of loading, as ``-o`` takes them. With ``speed`` a prompt is read, unless there are
    several ``sequences``, and answers are written; with ``start`` it is loaded and asked once."""

    what: What
    model: str | None
    engine: str | None
    options: tuple[tuple[str, str], ...]
    prefill: int
    decode: int
    repeats: int
    sequences: int = 1

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def of_line(cls, line: str) -> "Job":
        """What ``line`` wrote."""
        values: dict[str, Any] = json.loads(line)
        options = tuple((key, value) for key, value in values.pop("options"))
        return cls(options=options, **values)
