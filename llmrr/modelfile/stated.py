"""The parameters that a Modelfile, Ollama's store or a configuration like theirs states."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from llmrr import parameters
from llmrr.errors import UsageError, nearest
from llmrr.types import Sampling

# Ollama's parameters that mean something here.
OLLAMA = (
    "num_ctx", "num_predict", "num_gpu", "num_thread", "use_mmap", "use_mlock", "seed", "stop",
    "temperature", "top_k", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty",
    "frequency_penalty",
)  # fmt: skip
# Those that only its engine has, and those that it has given up.
_NO_EFFECT = (
    "num_keep", "num_batch", "main_gpu", "repeat_last_n", "draft_num_predict", "mirostat",
    "mirostat_tau", "mirostat_eta", "penalize_newline", "low_vram", "f16_kv", "logits_all",
    "vocab_only", "embedding_only", "tfs_z", "numa", "num_gqa", "rope_frequency_base",
    "rope_frequency_scale",
)  # fmt: skip
# What Ollama calls "as it thinks best"; -1 layers are all of them here.
_AUTOMATIC = {("num_gpu", "-1"), ("num_thread", "0")}


class Stated(NamedTuple):
    """A parameter as it was written, and where."""

    place: str
    name: str
    text: str


def read_params(raw: bytes, where: str) -> tuple[Sampling, dict[str, object], tuple[str, ...]]:
    """What a params blob of Ollama's store sets, as (sampling, loading options, warnings): a JSON
    object of scalars and lists. Only Ollama's own names count.

    >>> read_params(b'{"num_ctx": 8192, "num_keep": 24}', "m")[1:]
    ({'context_size': 8192}, ('num_keep has no effect here (m)',))
    """
    table = json_value(raw)
    if not isinstance(table, dict):
        return Sampling(), {}, (f"the parameters are not a JSON object ({where})",)
    accepted = {parameters.option_name(name) for name in OLLAMA}
    return read_stated(stated_in(table, where), accepted)


def json_value(raw: bytes) -> object:
    """What JSON says; None for what is not JSON or holds halves of characters."""
    try:
        value = json.loads(raw)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def stated_in(table: Mapping[str, object], where: str) -> Iterator[Stated]:
    """The entries of a table of scalars and lists, as they would be written one by one."""
    for name, value in table.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, float) and item.is_integer():
                item = int(item)
            if item is not None:
                text = str(item)
                yield Stated(where, name, text.lower() if isinstance(item, bool) else text)


def read_stated(
    stated: Iterable[Stated], accepted: Collection[str], folder: Path = Path()
) -> tuple[Sampling, dict[str, object], tuple[str, ...]]:
    """What parameters set, as (sampling, loading options, warnings). ``accepted`` holds our names
    of those that may be set. The last value of a name counts, those of ``stop`` add up."""
    sampling: dict[str, object] = {}
    loading: dict[str, object] = {}
    warnings = []
    for one in stated:
        more, options, warning = _setting(one, accepted, folder)
        if "stop" in more:
            more["stop"] = (*_texts(sampling.get("stop")), *_texts(more["stop"]))
        sampling |= more
        loading |= options
        warnings += [f"{warning} ({one.place})"] if warning else []
    known = {name: value for name, value in sampling.items() if value is not None}
    kept = {name: value for name, value in loading.items() if value is not None}
    return Sampling(**known), kept, tuple(warnings)  # type: ignore[arg-type]


def _setting(
    one: Stated, accepted: Collection[str], folder: Path
) -> tuple[dict[str, object], dict[str, object], str]:
    """What one parameter sets, as (sampling, loading options, warning)."""
    name = one.name.lower()
    if name in _NO_EFFECT:
        return {}, {}, f"{one.name} has no effect here"
    if (name, one.text.strip()) in _AUTOMATIC:
        return {}, {parameters.option_name(name): None}, ""
    ours = parameters.FOREIGN.get(name, name)
    if ours not in accepted:
        near = nearest(name, [*OLLAMA, *accepted])
        meant = f"; did you mean {near}?" if near else ""
        return {}, {}, f'there is no parameter "{one.name[:40]}", and it is left out{meant}'
    for text, warning in _readings(one):
        try:
            return *parameters.read_options([(name, text)], folder), warning
        except UsageError:
            continue
    expected = parameters.known_options()[ours].expected
    return {}, {}, f'{one.name} "{one.text[:40]}" is not {expected}, and is left out'


def _readings(one: Stated) -> Iterator[tuple[str, str]]:
    yield one.text, ""
    before, mark, _ = one.text.partition("#")
    if mark:
        yield before.strip(), f"what follows # is not part of {one.name}"


def _texts(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()
