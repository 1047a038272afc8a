"""Ollama's parameters, of a Modelfile or of its store, as ours.

The names are those of ``api/types.go`` of https://github.com/ollama/ollama.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from llmrr.errors import nearest
from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.terms.fields import settle

_OURS: Final = (
    "num_ctx", "num_predict", "num_gpu", "num_thread", "use_mmap", "seed", "stop", "temperature",
    "top_k", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty",
    "frequency_penalty",
)  # fmt: skip
_ITS_OWN: Final = ("num_keep", "main_gpu", "repeat_last_n", "draft_num_predict", "num_batch")
_GIVEN_UP: Final = (
    "penalize_newline", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock", "mirostat",
    "mirostat_tau", "mirostat_eta", "embedding_only", "tfs_z", "numa", "num_gqa",
    "rope_frequency_base", "rope_frequency_scale",
)  # fmt: skip
_DEFAULTS: Final = {
    "num_keep": (4,), "main_gpu": (0,), "repeat_last_n": (64,), "num_batch": (512,),
}  # fmt: skip
_NUMBERS: Final = frozenset(_OURS) - {"stop", "use_mmap"}


class Parameter(NamedTuple):
    """One as it is stated; ``line`` is None in the store."""

    name: str
    value: Any
    line: int | None = None


def put(model: Model, parameters: Iterable[Parameter], findings: Findings) -> None:
    """Fill in a model. The last value of a name counts, those of ``stop`` add up."""
    stop: list[str] = []
    for one in parameters:
        name = one.name.lower()
        if name == "stop":
            stop += [text for text in _each(one.value) if isinstance(text, str) and text]
        elif name in _OURS:
            _known(model, one, findings)
        else:
            _unknown(one, findings)
    if stop:
        model.params["stop"] = list(dict.fromkeys(stop))


def _known(model: Model, one: Parameter, findings: Findings) -> None:
    name, value = one.name.lower(), one.value
    if name in _NUMBERS and isinstance(value, str) and "#" in value:
        value = value.partition("#")[0].strip()
        findings.warn(
            "quoted-comment", f"what follows # is not part of {one.name}", one.line, one.name
        )
    if name == "num_gpu" and str(value).strip() == "-1":  # as Ollama thinks best
        return
    settle(model, {name: value}, findings, line=one.line)


def _unknown(one: Parameter, findings: Findings) -> None:
    name = one.name.lower()
    if name in _ITS_OWN:
        if str(one.value) not in {str(value) for value in _DEFAULTS.get(name, ())}:
            code = "batch-size" if name == "num_batch" else "unmapped-parameter"
            said = f"{one.name} has no equivalent in llmrr.toml"
            findings.warn(code, said, one.line, one.name)
    elif name in _GIVEN_UP:
        said = f"{one.name} is one that Ollama has given up and ignores"
        findings.warn("not-used-by-original", said, one.line, one.name)
    else:
        near = nearest(name, _OURS)
        meant = f"; did you mean {near}?" if near else ""
        said = f"Ollama has no parameter {one.name[:40]!r}{meant}"
        findings.warn("unknown-parameter", said, one.line, one.name[:40])


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
