"""What is written: the tensors of a GGUF file, each with the rows of the sources that it is made
of. Nothing but names, types and shapes is needed for it."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from llmrr.convert.gguf.encoding import STORED, TYPES, row_bytes
from llmrr.convert.gguf.entry import Entry, Rule, dimensions
from llmrr.convert.gguf.settings import Values
from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats.messages import damaged, listed
from llmrr.formats.tensors import ASIDE, Tensor

# Buffers that old checkpoints have, and what trainers leave behind: never part of a model.
BUFFERS = re.compile(
    r"(?:^|\.)(?:rotary_emb\.(?:inv_freq|cos_cached|sin_cached)|rotary_pos_emb\.inv_freq|"
    r"position_ids|masked_bias|(?:attn|attention)\.(?:bias|masked_bias))$"
)
TEXT_PART = re.compile(r"^(?:model\.)?(?:language_model|text_model)\.")
# What llama.cpp wants in single precision whatever else is asked for, besides norms, biases and
# all that has one dimension: ``llama_model_quantize_impl`` and convert_hf_to_gguf.py.
SINGLE = re.compile(
    r"(?:.*_norm\.weight|(?:.*\.)?(?:ffn_gate_inp|ffn_gate_inp_shexp)\.weight|"
    r"(?:position_embd|token_types)\.weight|.*(?<!\.weight))"
)


@dataclass(frozen=True, slots=True)
class Written:
    """A tensor of the file: ``kind`` is ggml's type, ``shape`` rows first. Its numbers are those of
    ``sources``, stacked, as ``rule`` has them, or ``values``."""

    name: str
    shape: tuple[int, ...]
    kind: str
    sources: tuple[Tensor, ...] = ()
    rule: Rule | None = None
    values: tuple[float, ...] = ()

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """What it takes in the file, without padding."""
        return self.elements // self.shape[-1] * row_bytes(self.kind, self.shape[-1])


def kind_of(name: str, shape: tuple[int, ...], wanted: str) -> str:
    """ggml's type for a tensor where ``wanted`` is asked for.

    >>> kind_of("output.weight", (64, 64), "BF16"), kind_of("output_norm.weight", (64,), "F16")
    ('BF16', 'F32')
    >>> kind_of("blk.0.ffn_down.weight", (64, 40), "Q8_0")
    'F16'
    """
    if len(shape) <= 1 or SINGLE.fullmatch(name):
        return "F32"
    if shape[-1] % TYPES[wanted][1]:
        return "F16"
    return wanted


def automatic(tensors: Iterable[Tensor]) -> str:
    """What ``auto`` means: the type of the first matrix in half precision; F16 without one."""
    halves = (one.type for one in tensors if len(one.shape) > 1 and one.type in ("BF16", "F16"))
    return next(halves, "F16")


def plan(
    entry: Entry, values: Values, tensors: Iterable[Tensor], wanted: str, where: str
) -> tuple[Written, ...]:
    """The tensors of the file, in its order.

    Raises ``DamagedFile`` for a tensor that is missing or has another shape than the configuration
    says, ``Unsupported`` for one that the architecture does not have and for packed weights.
    """
    by_name = named(entry, tensors, where, parts=bool(values.table("text_config")))
    sizes = entry.sizes(values)
    found: dict[str, Written] = {}
    used: set[str] = set()
    lacking: dict[str, str] = {}
    for rule, target, sources in instances(entry, values, sizes):
        present = [name for name in sources if name in by_name]
        if target in found:
            used.update(present if _same_place(found[target], rule) else ())
            continue
        if len(present) < len(sources):
            if present or rule.need(values):
                lacking.setdefault(target, next(name for name in sources if name not in by_name))
            continue
        used.update(sources)
        found[target] = _written(rule, target, [by_name[name] for name in sources], sizes, values,
                                 wanted, where)  # fmt: skip
    for target, name in lacking.items():
        if target not in found:
            raise DamagedFile(
                f"{where} lacks the tensor {name!r}, which {entry.classes[0]} has",
                "get all files of the model",
            )
    _refuse_others(entry, values, by_name.keys() - used, where)
    return (*_made(entry, values), *found.values())


def _same_place(found: Written, rule: Rule) -> bool:
    return found.rule is not None and found.rule.source == rule.source


def _made(entry: Entry, values: Values) -> Iterator[Written]:
    for name, numbers in (entry.made(values) if entry.made else {}).items():
        yield Written(name, (len(numbers),), "F32", values=numbers)


def named(
    entry: Entry, tensors: Iterable[Tensor], where: str, *, parts: bool
) -> dict[str, Tensor]:
    """The tensors by their names without the prefixes of the text part and of the model."""
    found: dict[str, Tensor] = {}
    for tensor in tensors:
        name = TEXT_PART.sub("", tensor.name) if parts else tensor.name
        for prefix in entry.prefixes:
            name = name.removeprefix(prefix)
        if name in found:
            raise damaged(where, f"{name[:99]!r} is in it under two names")
        found[name] = tensor
    return found


def instances(
    entry: Entry, values: Values, sizes: Mapping[str, int]
) -> Iterator[tuple[Rule, str, tuple[str, ...]]]:
    """Every rule for every layer, with the names of its sources: what stands before the layers
    first, then layer by layer."""
    inner = [rule for rule in entry.rules if "#" in rule.source]
    for rule in entry.rules:
        if rule not in inner:
            yield rule, rule.target, (rule.source,)
    for layer in range(values.layers if inner else 0):
        for rule in inner:
            source = rule.source.replace("#", str(layer))
            names = (
                tuple(source.replace("*", str(expert)) for expert in range(sizes[rule.stacked]))
                if "*" in source
                else (source,)
            )
            yield rule, rule.target.replace("#", str(layer)), names


def _written(
    rule: Rule, target: str, sources: list[Tensor], sizes: Mapping[str, int], values: Values,
    wanted: str, where: str,
) -> Written:  # fmt: skip
    expected = dimensions(rule.shape, sizes)
    for source in sources:
        if source.type not in STORED:
            raise Unsupported(
                f"{where} is quantized: {source.name[:99]!r} has the type {source.type}",
                "convert the model that it was made from",
            )
        if source.shape != expected:
            raise damaged(
                where,
                f"{source.name[:99]!r} has the shape {shown(source.shape)}, "
                f"where its configuration says {shown(expected)}",
            )
    shape = shape_of(rule, len(sources), sizes, values)
    return Written(target, shape, kind_of(target, shape, wanted), tuple(sources), rule)


def shape_of(
    rule: Rule, count: int, sizes: Mapping[str, int], values: Values
) -> tuple[int, ...]:
    """The shape of what is written, rows first, from ``count`` sources."""
    expected = dimensions(rule.shape, sizes)
    shape = (*expected[:-2], *expected[:-3:-1]) if rule.transposed else expected
    if rule.rows:
        axis = max(len(shape) - 2, 0)
        rows = len(rule.rows(values, shape[axis]))
        shape = (*shape[:axis], rows, *shape[axis + 1 :])
    return (count, *shape) if "*" in rule.source else shape


def shown(shape: tuple[int, ...]) -> str:
    """A shape in words."""
    return " by ".join(map(str, shape)) or "of a single number"


def _refuse_others(entry: Entry, values: Values, names: Iterable[str], where: str) -> None:
    """Whatever would be lost without a word."""
    parts = bool(values.table("text_config"))
    left = [
        name
        for name in sorted(names)
        if not BUFFERS.search(name)
        and not re.match(entry.aside, name)
        and not (parts and ASIDE.search(name))
        and not (values.tied and name == "lm_head.weight")
    ]
    if left:
        raise Unsupported(
            f"{where} holds tensors that {entry.classes[0]} does not have, or that its "
            f"configuration turns off: {listed(left)}",
            "the configuration belongs to another model, or the code of this one changes it",
        )
