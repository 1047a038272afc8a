"""LoRA of experts that are stacked in one parameter, as transformers 5 keeps them and PEFT trains
them by ``target_parameters``.

A has the rows of all experts one after the other, B their columns dealt out in turn. The names have
no parameter in them: of several of one module, each wraps the one before as its ``base_layer``.
https://github.com/huggingface/peft/blob/main/src/peft/tuners/lora/layer.py, ``ParamWrapper``
"""

import re
from collections.abc import Mapping

from llmrr.convert.lora.pairs import Pair
from llmrr.convert.lora.peft import MERGE, WRAPPED
from llmrr.errors import Unsupported


def named(
    weights: Mapping[str, Pair], parameter: str, shape: tuple[int, ...], where: str
) -> list[str]:
    """The one of ``weights`` that is the LoRA of ``parameter``, told by its shape; an empty list
    for none. Older versions of PEFT took rows and columns for each other: what may be theirs is
    refused with ``Unsupported``."""
    module = parameter.rpartition(".")[0]
    name = re.compile(rf"{re.escape(module)}(?:{re.escape(WRAPPED)})*\.weight")
    _, rows, columns = shape
    found = [key for key, pair in weights.items() if name.fullmatch(key)
             and sorted(pair.shape) == sorted((rows, columns))]  # fmt: skip
    if found and (rows == columns or len(found) > 1 or weights[found[0]].shape != (rows, columns)):
        raise Unsupported(
            f"{where} does not tell which way round its LoRA of {parameter[:99]!r} is", MERGE
        )
    return found

