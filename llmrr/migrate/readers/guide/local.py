"""``local.config.js``: a file of weights and how it is loaded."""

import re
from collections.abc import Mapping
from typing import Final

from llmrr.migrate.artefact import Findings
from llmrr.migrate.readers.guide.tables import in_milliseconds, nested, part
from llmrr.migrate.readers.weights import UNSUPPORTED, model_at
from llmrr.migrate.terms import fields
from llmrr.migrate.values import Value

_PATH: Final = ("modelPath", "model_path", "modelFile")
_NESTED: Final = ("config", "options", "params", "parameters", "settings", "contextOptions",
                  "modelOptions", "generation", "defaults")  # fmt: skip
_WEIGHTS: Final = (".gguf", ".ggml", ".safetensors")
_SPEAKS: Final = re.compile(
    r"(?i)context_?(?:size|length)|n_?ctx|(?:n_?)?gpu_?layers|max_?tokens|temperature|top_?[pk]"
    r"|n_?threads|threads|system_?prompt|batch_?size|use_?m(?:map|lock)|max_?new_?tokens"
)


def fits(table: Mapping[str, Value]) -> bool:
    """Whether a table names a file of a language model: by its ending, or by what else it says."""
    path = part(table, *_PATH)
    if path is None or "provider" in table or "models" in table:
        return False
    is_weights = isinstance(path, str) and path.lower().endswith(_WEIGHTS)
    stated = {**nested(table, *_NESTED), **table}
    return is_weights or any(_SPEAKS.fullmatch(name) for name in stated)


def read(table: Mapping[str, Value], findings: Findings) -> None:
    """The model of such a table."""
    path = fields.resolved(part(table, *_PATH), findings, "modelPath")
    if not isinstance(path, str):
        return
    model = model_at(path, findings, _name(table))
    if model is not None:
        stated = {**nested(table, *_NESTED), **table}
        drop = {*_PATH, *_NESTED, "name", "engine", "modelName", "modelType", "format"}
        ms = in_milliseconds(stated)
        fields.settle(model, stated, findings, drop=drop, milliseconds=ms)


def refusal(findings: Findings) -> str | None:
    """Why nothing came of an artefact: the one reason there is, where there is no model."""
    if findings.models:
        return None
    refused = [one for one in findings.warnings if one.message.startswith(UNSUPPORTED)]
    return refused[0].message if refused else None


def _name(table: Mapping[str, Value]) -> str | None:
    name = part(table, "name", "modelName")
    return name if isinstance(name, str) else None
