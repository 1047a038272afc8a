"""The contract between a plan of conversion and the converters that its steps are.

A converter is a module (or folder) of this package with a function ``step(source, wish) -> Step``.
It raises ``Unsupported`` and its kin there, before any work, for whatever can be known then: the
architecture, the tokenizer, the type. The source may not exist yet, where an earlier step of the
same plan makes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmrr.formats.tensors import Tensor
from llmrr.types import Format, ModelInfo

# Told what is being done, how many bytes (or other units) of it are done, and how many there are.
Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """What is converted. ``path`` is the file or folder of the weights; ``settings`` the folder
    with config.json and the tokenizer, None where an earlier step will make it or there is none;
    ``tensors`` are those of the weights, as their headers list them."""

    path: Path
    info: ModelInfo
    settings: Path | None = None
    tensors: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. ``quant`` is a type or quantization of the target format, ``auto`` where
    nothing is stated. ``options`` has what only one converter understands, by its option's name
    (``imatrix``, ``group_size``, ``task``, …). Without ``verify`` the result is not checked, and
    its metadata says so."""

    format: Format
    quant: str = "auto"
    verify: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was verified: ``name`` is tokens, tensors, logits, structure or quality,
    ``detail`` a sentence with its figures, ``table`` rows to be printed where there are several."""

    name: str
    passed: bool
    detail: str
    table: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One conversion. ``bytes`` is the estimated size of its result, ``memory_bytes`` its estimated
    peak in main memory, ``seconds`` its estimated time; None where nothing is known.

    ``work(source, target, told)`` writes ``target``, which does not exist yet and lies in scratch
    space: a folder if ``is_folder``, else a file. ``verify(source, target, told)`` compares.
    ``asks`` is what the user must agree to first (a download, an environment to be made).
    ``tensors`` are those of the result, where a next step must know them before they are made.
    """

    title: str
    format: Format
    is_folder: bool
    bytes: int | None
    memory_bytes: int | None
    seconds: float | None
    work: Callable[[Path, Path, Told], None]
    verify: Callable[[Path, Path, Told], Sequence[Check]]
    quant: str | None = None
    asks: str | None = None
    notes: tuple[str, ...] = ()
    tensors: tuple[Tensor, ...] = ()
