"""What is written: A and B of every pair under the name of the tensor that they are added to, the
rows of B in the order that the table of architectures has for that tensor."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmrr.convert.gguf.encoding import STORED, TYPES
from llmrr.convert.gguf.entry import Entry, Rule, dimensions
from llmrr.convert.gguf.planning import Written, instances, named
from llmrr.convert.gguf.settings import Values
from llmrr.convert.lora import stacked
from llmrr.convert.lora.pairs import Pair
from llmrr.convert.lora.peft import MERGE, Settings
from llmrr.errors import Unsupported
from llmrr.formats.messages import damaged, listed
from llmrr.formats.tensors import ASIDE, Tensor

if TYPE_CHECKING:
    from llmrr.convert.gguf.entry import Floats

TEXT_ONLY = "only the part for text is converted, without what the adapter changes in others"
TOKENS = "token_embd.weight"
# Tables whose rows llama.cpp looks up without an adapter.
LOOKED_UP = ("position_embd.weight", "token_types.weight")


@dataclass(frozen=True, slots=True)
class Plan:
    """The tensors of the file, and ``alpha``: of a pair, llama.cpp multiplies by alpha / rank.
    ``notes`` say what is left out."""

    alpha: float
    tensors: tuple[Written, ...]
    notes: tuple[str, ...] = ()


def plan(
    entry: Entry, values: Values, settings: Settings, pairs: Sequence[Pair], wanted: str, where: str
) -> Plan:
    """The tensors of an adapter for a model of ``entry``.

    Raises ``DamagedFile`` for a pair of another shape than the weight that it belongs to,
    ``Unsupported`` for one that the architecture does not have, or to which llama.cpp adds nothing.
    Those of parts that the base's own conversion leaves aside are left out.
    """
    alpha = _alpha(settings, pairs)
    parts = bool(values.table("text_config"))
    weights = _weights(entry, pairs, where, parts=parts)
    sizes = entry.sizes(values)
    found: dict[str, list[Written]] = {}
    used: set[str] = set()
    for rule, target, sources in instances(entry, values, sizes):
        present = [name for name in sources if name in weights]
        shape = dimensions(rule.shape, sizes)
        if len(shape) == 3 and not present:
            present = stacked.named(weights, sources[0], shape, where)
        if not present or target in found:
            continue
        chosen = [weights[name] for name in present]
        if chosen[0].is_table and target != TOKENS:
            continue  # a table that is the output layer too: PEFT changes what is looked up alone
        _require_reached(entry, values, target, chosen, where)
        _require_all(sources, present, chosen, settings, where)
        _require_shape(rule, chosen, shape, settings, where)
        used.update(present)
        scale = settings.alpha(chosen[0].module) / alpha
        found[target] = list(_written(rule, target, chosen, scale, values, wanted, shape[:-2]))
    left = sorted(weights.keys() - used)
    seeing = [name for name in left if parts and ASIDE.search(name)]
    if not found or not all(name in seeing or re.match(entry.aside, name) for name in left):
        raise Unsupported(
            f"{where} changes what {entry.classes[0]} does not have with the base's configuration: "
            f"{listed(left)}",
            "--base DIR with the model that it was trained on",
        )
    tensors = tuple(one for both in found.values() for one in both)
    return Plan(alpha, tensors, (TEXT_ONLY,) if seeing else ())


def _alpha(settings: Settings, pairs: Sequence[Pair]) -> float:
    """The one that most pairs have; B is multiplied for the others."""
    return Counter(settings.alpha(pair.module) for pair in pairs).most_common(1)[0][0]


def _weights(
    entry: Entry, pairs: Iterable[Pair], where: str, *, parts: bool
) -> dict[str, Pair]:
    """The pairs by the names of their weights, without the prefixes of the base."""
    by_name = {f"{pair.module}.weight": pair for pair in pairs}
    stand_ins = [Tensor(name, pair.a.type, pair.shape, 0) for name, pair in by_name.items()]
    return {
        name: by_name[one.name] for name, one in named(entry, stand_ins, where, parts=parts).items()
    }


def _require_reached(
    entry: Entry, values: Values, target: str, pairs: Sequence[Pair], where: str
) -> None:
    """Raise ``Unsupported`` for what llama.cpp would load and not add, or add to the wrong thing.

    It finds a LoRA by the name of a tensor, and where the table of tokens is the output layer too,
    both are ``token_embd.weight``.
    """
    module = pairs[0].module
    if target in LOOKED_UP:
        raise Unsupported(
            f"{where} changes {module[:99]!r}, to which llama.cpp adds nothing", MERGE
        )
    own_output = any(rule.target == "output.weight" and rule.source != "lm_head.weight"
                     for rule in entry.rules)  # fmt: skip
    if target in (TOKENS, "output.weight") and values.tied and not entry.pools and not own_output:
        raise Unsupported(
            f"{where} changes {module[:99]!r}, and the base has one table for its tokens and its "
            "output (tie_word_embeddings): llama.cpp cannot change one of them",
            MERGE,
        )
    if target == TOKENS and not pairs[0].is_table:
        raise Unsupported(f"{where} changes the table {module[:99]!r} as if it were a layer", MERGE)


def _require_all(
    sources: Sequence[str], present: Sequence[str], pairs: Sequence[Pair], settings: Settings,
    where: str,
) -> None:  # fmt: skip
    """Of experts that are stacked, all have a LoRA, and of one rank and factor."""
    if len(present) < len(sources):
        lacking = next(name for name in sources if name not in present)
        raise Unsupported(
            f"{where} changes {len(present)} of {len(sources)} experts and not "
            f"{lacking.removesuffix('.weight')!r}; llama.cpp takes all or none",
            MERGE,
        )
    if len({(pair.inner, settings.alpha(pair.module)) for pair in pairs}) > 1:
        raise Unsupported(
            f"{where} has several ranks or alphas for the experts beside "
            f"{pairs[0].module[:99]!r}",
            MERGE,
        )


def _require_shape(
    rule: Rule, pairs: Sequence[Pair], shape: tuple[int, ...], settings: Settings, where: str
) -> None:
    count = shape[0] if len(shape) > 2 else 1
    expected = shape[-2:]
    if rule.transposed:  # A and B are those of a linear layer
        expected = expected[::-1]
    for pair in pairs:
        rank = settings.rank(pair.module)
        if pair.inner != count * rank:
            raise damaged(
                where,
                f"the LoRA of {pair.module[:99]!r} has the rank {pair.inner / count:g}, where its "
                f"configuration says rank {rank}",
            )
        if pair.shape != expected:
            said = "{} by {}".format(*pair.shape)
            raise damaged(
                where,
                f"the LoRA of {pair.module[:99]!r} is for a weight of {said}, where the base has "
                f"{' by '.join(map(str, expected))}",
            )
        for tensor in (pair.a, pair.b):
            if tensor.type not in STORED:
                raise Unsupported(
                    f"{where} is quantized: {tensor.name[:99]!r} has the type {tensor.type}", MERGE
                )


def _written(
    rule: Rule, target: str, pairs: Sequence[Pair], scale: float, values: Values, wanted: str,
    outer: tuple[int, ...],
) -> Iterator[Written]:  # fmt: skip
    first = pairs[0]
    a_shape, b_shape = first.a.shape, first.b.shape
    if first.is_table:
        a_shape = a_shape[::-1]
    elif rule.rows:
        b_shape = (len(rule.rows(values, b_shape[0])), b_shape[1])
    stack = (len(pairs),) if "*" in rule.source else outer
    dealt = 1
    if outer:  # all experts are in one tensor
        [dealt] = outer
        a_shape, b_shape = (a_shape[0] // dealt, a_shape[1]), (b_shape[0], b_shape[1] // dealt)
    for half, shape, tensors, own in (
        ("a", a_shape, [pair.a for pair in pairs], _rule(transposed=first.is_table)),
        ("b", b_shape, [pair.b for pair in pairs], _rule(rule, scale, dealt=dealt)),
    ):
        whole = (*stack, *shape)
        kind = "F16" if shape[-1] % TYPES[wanted][1] else wanted
        yield Written(f"{target}.lora_{half}", whole, kind, tuple(tensors), own)


def _rule(
    rule: Rule | None = None, scale: float = 1.0, *, transposed: bool = False, dealt: int = 1
) -> Rule:
    """How the numbers of a half are taken; its names and its shape are known already."""
    rows = rule.rows if rule else None
    return Rule("", "", "", rows, change=_times(scale), transposed=transposed, dealt=dealt)


def _times(scale: float) -> "Callable[[Floats], Floats] | None":
    if scale == 1.0:
        return None

    def change(numbers: "Floats") -> "Floats":
        import numpy as np

        return numbers * np.float32(scale)

    return change

