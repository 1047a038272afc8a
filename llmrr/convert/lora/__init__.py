"""A LoRA that PEFT trained as a GGUF adapter, as llama.cpp's ``convert_lora_to_gguf.py`` makes it.

What is added to a weight W is alpha / rank · B A. The rows of B are those of W, so they get the
order that the table of architectures has for W's; A stays as it is. The weights of the base are
not needed, only its configuration.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmrr.convert.base import Check, Source, Step, Told, Wish
from llmrr.convert.gguf import QUANTS, RATES, VERIFIED, checking
from llmrr.convert.gguf.metadata import QUANTIZATION_VERSION, described
from llmrr.convert.gguf.planning import Written, automatic
from llmrr.convert.gguf.rows import CHUNK
from llmrr.convert.gguf.weights import Reader, places
from llmrr.convert.gguf.writing import write_header, write_tensors
from llmrr.convert.lora import planning
from llmrr.convert.lora.base import Base, open_base
from llmrr.convert.lora.pairs import pairs
from llmrr.convert.lora.peft import Settings
from llmrr.errors import Unsupported
from llmrr.formats import FolderFiles
from llmrr.formats.json_file import read_beside
from llmrr.formats.tensors import Tensor
from llmrr.types import Format

ALL_FLOATS: Final = "F32"


def step(source: Source, wish: Wish) -> Step:
    """The conversion of a folder with adapter_config.json to one GGUF file; the option ``base`` is
    the path of the model that it is for.

    Raises ``NotFound`` where that is not known, ``Unsupported`` for what llama.cpp's adapters are
    not and for a type that weights are not converted to, ``DamagedFile`` for tensors that are
    missing or have a wrong shape.
    """
    if wish.quant.lower() not in QUANTS:
        raise Unsupported(
            f"{wish.quant!r} is no type that adapters are converted to",
            "one of " + ", ".join(QUANTS),
        )
    settings = source.settings
    assert settings is not None  # ``open_source`` saw to it
    conversion = Conversion(settings, wish)
    found = conversion.adapter(source.tensors, str(source.path))
    size = sum(one.bytes for one in found.tensors)
    return Step(
        title=f"convert {source.path.name} to a GGUF adapter",
        format=Format.GGUF,
        is_folder=False,
        bytes=size,
        memory_bytes=(100 << 20) + 24 * CHUNK,
        seconds=1 + size / RATES[found.quant],
        work=conversion.work,
        verify=conversion.verify,
        quant=found.quant,
        notes=(f"the adapter is for {found.base.place}", *found.notes),
    )


@dataclass(frozen=True, slots=True)
class Adapter:
    """What is known before any work."""

    base: Base
    quant: str
    alpha: float
    tensors: tuple[Written, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conversion:
    """``settings`` is the folder with adapter_config.json."""

    settings: Path
    wish: Wish

    def adapter(self, tensors: Sequence[Tensor], where: str) -> Adapter:
        """Everything that can be known without reading weights."""
        stated = Settings(self.settings)
        base = open_base(stated, self.wish.options.get("base"))
        found = pairs(tensors, where)
        quant = self.wish.quant.lower()
        if quant == "auto":
            halves = [one for pair in found for one in (pair.a, pair.b)]
            same = {one.type for one in halves} <= {"F16", "BF16"}
            quant = (automatic(halves) if same else ALL_FLOATS).lower()
        planned = planning.plan(base.entry, base.values, stated, found, quant.upper(), where)
        return Adapter(base, quant, planned.alpha, planned.tensors, planned.notes)

    def work(self, source: Path, target: Path, told: Told) -> None:
        """Write the file ``target`` from the weights at ``source``."""
        places_ = places(source)
        found = self.adapter([one.tensor for one in places_.values()], str(source))
        metadata = {
            "general.type": "adapter",
            "adapter.type": "lora",
            **described(self.settings, _config(self.settings), _counts(found.tensors)),
            "adapter.lora.alpha": found.alpha,
            "general.quantization_version": QUANTIZATION_VERSION,
            VERIFIED: self.wish.verify,
        }
        write_header(target, found.base.entry.name, metadata, found.tensors)
        with Reader(places_) as reader:
            write_tensors(target, found.tensors, found.base.values, reader, told)

    def verify(self, source: Path, target: Path, told: Told) -> Sequence[Check]:
        """Compare ``target`` with its source, and what it changes of its base with what it must."""
        from llmrr.convert.lora import effect

        places_ = places(source)
        tensors = [one.tensor for one in places_.values()]
        found = self.adapter(tensors, str(source))
        stated = Settings(self.settings)
        return (
            checking.compare(target, found.tensors, found.base.values, places_, told),
            effect.check(found.base, source, pairs(tensors, str(source)), stated, target, told),
        )  # fmt: skip


def _config(settings: Path) -> dict[str, Any]:
    """What lies beside some adapters."""
    return read_beside(FolderFiles(settings, depth=0), "config.json")


def _counts(tensors: Sequence[Written]) -> tuple[int, int, int, int]:
    """The numbers of the weights that are changed, below 0 as they are not in the file: what
    ``gguf`` tells an adapter's size by."""
    halves = list(zip(tensors[::2], tensors[1::2], strict=True))
    total = sum(math.prod((*b.shape[:-1], a.shape[-1])) for a, b in halves)
    return -total, total, 0, 0
