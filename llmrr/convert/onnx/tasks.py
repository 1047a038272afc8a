"""What a model is exported for, and whether optimum-onnx can: ``supported.json`` has the types of
models with their tasks, as ``outside/supported.py`` finds them in the version that is pinned."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from llmrr.errors import Unsupported, UsageError, nearest
from llmrr.formats.messages import shown

TABLE = Path(__file__).with_name("supported.json")
WITH_PAST: Final = ("text-generation", "text2text-generation")
# Classes of transformers by their endings, with the tasks that they may be meant for.
ENDINGS: Final = (
    (r"For(?:MaskedLM|PreTraining)$", ("fill-mask", "text2text-generation")),
    (r"ForSequenceClassification$", ("text-classification",)),
    (r"ForTokenClassification$", ("token-classification",)),
    (r"ForQuestionAnswering(?:Simple)?$", ("question-answering",)),
    (r"ForMultipleChoice$", ("multiple-choice",)),
    (r"ForConditionalGeneration$|MTModel$", ("text2text-generation", "text-generation")),
    (r"ForCausalLM$|LMHeadModel$|DoubleHeadsModel$", ("text-generation", "fill-mask")),
    (r"Model$", ("feature-extraction",)),
)
# Without a class: what models of this type are mostly used for.
USUAL: Final = ("text-generation", "text2text-generation", "feature-extraction")
# How GGUF calls architectures whose model_type is another.
OF_GGUF: Final = {
    "qwen3moe": "qwen3_moe", "gptneox": "gpt_neox", "gemma3": "gemma3_text", "starcoder":
    "gpt_bigcode", "command-r": "cohere", "gpt-oss": "gpt_oss", "modern-bert": "modernbert",
    "roberta": "roberta", "neo-bert": "neobert", "deepseek2": "deepseek_v3",
}  # fmt: skip


def table() -> dict[str, list[str]]:
    """Model types, and the tasks that each can be exported for."""
    found: dict[str, list[str]] = json.loads(TABLE.read_bytes())
    return found


def choose(
    family: str, classes: Sequence[str], asked: str | None, *, embeds: bool = False
) -> str:
    """The task for a model of the type ``family`` with these ``classes``, with past where there is
    one; ``embeds`` where the folder says that its vectors are wanted.

    Raises ``Unsupported`` for a type that cannot be exported, or not for what is wanted.
    """
    tasks = table().get(family)
    if tasks is None:
        near = nearest(family, table())
        raise Unsupported(
            f'optimum-onnx exports no model of the type "{shown(family)}"',
            f"--to gguf, or --to mlx; of like names it has {near}" if near
            else "--to gguf, or --to mlx",
        )  # fmt: skip
    if asked is not None:
        return _asked(family, tasks, asked)
    wanted = ("feature-extraction",) if embeds else _by_class(classes)
    found = next((one for one in wanted if one in tasks), None)
    if found is None:
        raise Unsupported(
            f"{_named(family, classes)} is exported neither for {' nor for '.join(wanted)}"
            if len(wanted) > 1 else f"{_named(family, classes)} is not exported for {wanted[0]}",
            f"--task with one of {', '.join(tasks)}",
        )  # fmt: skip
    return _with_past(found, tasks)


def _by_class(classes: Sequence[str]) -> tuple[str, ...]:
    for name in classes:
        for ending, tasks in ENDINGS:
            if re.search(ending, name):
                return tasks
    return USUAL


def _asked(family: str, tasks: Sequence[str], asked: str) -> str:
    if asked in tasks:
        return asked
    every = sorted({task for one in table().values() for task in one})
    if asked not in every:
        near = nearest(asked, every) or tasks[0]
        raise UsageError(f'there is no task "{shown(asked)}"', f"--task {near}")
    raise Unsupported(
        f"{family} cannot be exported for {asked}", f"--task with one of {', '.join(tasks)}"
    )


def _with_past(task: str, tasks: Sequence[str]) -> str:
    past = f"{task}-with-past"
    return past if task in WITH_PAST and past in tasks else task


def _named(family: str, classes: Sequence[str]) -> str:
    return f"{shown(classes[0])} ({family})" if classes else family
