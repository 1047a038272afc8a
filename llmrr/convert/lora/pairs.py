"""The tensors of a LoRA as PEFT names them, A and B of a module together."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from llmrr.convert.gguf.planning import shown
from llmrr.convert.lora.peft import MERGE
from llmrr.errors import Unsupported
from llmrr.formats.messages import damaged, listed
from llmrr.formats.tensors import Tensor

PREFIX: Final = "base_model.model."  # that PEFT's wrapper puts before the names of the model
# linear.lora_A.weight, with the adapter's name where a state dict was saved as it stood;
# embedding.lora_embedding_A.
PART: Final = re.compile(r"(.+)\.lora_(?:(embedding)_)?([AB])(?:\.[^.]+)??(?:\.weight)?")


@dataclass(frozen=True, slots=True)
class Pair:
    """What is added to the weight of ``module``: B A, times a factor. ``a`` is (rank, columns),
    ``b`` (rows, rank); of a table of tokens a row of A's transpose is looked up."""

    module: str
    a: Tensor
    b: Tensor
    is_table: bool

    @property
    def inner(self) -> int:
        """The dimension that both share: the rank, of each of stacked experts."""
        return self.a.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the weight; of a table, the tokens are the rows."""
        rows, columns = self.b.shape[0], self.a.shape[1]
        return (columns, rows) if self.is_table else (rows, columns)


def pairs(tensors: Iterable[Tensor], where: str) -> list[Pair]:
    """All pairs, in the order of the file. Raises ``DamagedFile`` for one that is not whole or has
    shapes that do not go together, ``Unsupported`` for tensors that are no LoRA."""
    found: dict[str, dict[str, tuple[Tensor, bool]]] = {}
    others: list[str] = []
    for tensor in tensors:
        part = PART.fullmatch(tensor.name)
        if part is None:
            others.append(tensor.name)
            continue
        halves = found.setdefault(part[1].removeprefix(PREFIX), {})
        if part[3] in halves:
            raise damaged(where, f"{tensor.name[:99]!r} is in it under two names")
        halves[part[3]] = tensor, part[2] is not None
    _refuse_others(others, found.keys(), where)
    if not found:
        raise damaged(where, "no tensor of a LoRA is in it")
    return [_pair(module, halves, where) for module, halves in found.items()]


def _pair(module: str, halves: dict[str, tuple[Tensor, bool]], where: str) -> Pair:
    for half in ("A", "B"):
        if half not in halves:
            raise damaged(where, f"it lacks lora_{half} of {module[:99]!r}")
    (a, is_table), (b, other) = halves["A"], halves["B"]
    fits = len(a.shape) == len(b.shape) == 2 and a.shape[0] == b.shape[1]
    if not fits or is_table != other:
        raise damaged(
            where,
            f"A and B of {module[:99]!r} have the shapes {shown(a.shape)} and {shown(b.shape)}, "
            "which do not go together",
        )
    return Pair(module, a, b, is_table)


def _refuse_others(names: list[str], modules: Iterable[str], where: str) -> None:
    """Whole tensors, which llama.cpp's adapters cannot hold. The weight that a table of tokens had
    already, which PEFT saves beside its LoRA, is the base's."""
    tables = {f"{PREFIX}{module}.base_layer.weight" for module in modules}
    left = sorted(set(names) - tables)
    if left:
        what = "DoRA" if any("lora_magnitude" in name for name in left) else "tensors of its own"
        raise Unsupported(
            f"{where} holds {what} besides LoRA (modules_to_save, biases, …): {listed(left)}", MERGE
        )

