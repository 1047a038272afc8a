"""What the hub has that runs here."""

from dataclasses import dataclass
from math import inf

from llmrr import hub
from llmrr.hardware import Hardware
from llmrr.hub import Found
from llmrr.types import Format

# The tags of the hub for formats, which are called the same here.
TAGS = (Format.GGUF, Format.MLX, Format.ONNX, Format.SAFETENSORS)
BYTES_PER_PARAMETER = 0.6  # of Q4_K_M: 4.8 bits


@dataclass(frozen=True, slots=True)
class Match:
    """A line of ``search``. ``runs``: an engine here takes one of its formats, and memory holds its
    weights at four bits, as far as their number is known."""

    name: str
    formats: tuple[str, ...]
    parameters: int | None
    downloads: int | None
    likes: int | None
    updated: str | None
    gated: bool
    runs: bool


def search(
    text: str,
    *,
    limit: int,
    runs: frozenset[Format],
    machine: Hardware,
    everything: bool = False,
    token: str | None = None,
) -> list[Match]:
    """Repositories whose name has these words, the most downloaded first: in formats of ``runs``,
    or ``everything``. Raises ``Unreachable``."""
    wanted = () if everything else tuple(tag.value for tag in TAGS if tag in runs)
    found = hub.search(text, formats=wanted, limit=limit, token=token)
    room = inf if machine.free_bytes is None else machine.free_bytes
    return [_match(one, runs, room) for one in found]


def _match(found: Found, runs: frozenset[Format], room: float) -> Match:
    formats = tuple(tag for tag in TAGS if tag in found.tags)
    fits = (found.parameters or 0) * BYTES_PER_PARAMETER <= room
    return Match(
        name=found.id,
        formats=tuple(tag.value for tag in formats),
        parameters=found.parameters,
        downloads=found.downloads,
        likes=found.likes,
        updated=found.updated,
        gated=found.gated,
        runs=fits and any(tag in runs for tag in formats),
    )
