"""LM Studio: its home, with models by publisher and repository and what was set for each, and its
presets, old and new.

The fields of presets are those of ``lmstudio-ai/configs`` (old) and of
``packages/lms-kv-config`` of https://github.com/lmstudio-ai/lmstudio.js (new).
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from llmrr.errors import DamagedFile, LlmrrError
from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.terms import naming
from llmrr.migrate.terms.fields import settle
from llmrr.migrate.terms.texts import literal
from llmrr.store.holders import lmstudio
from llmrr.store.holders.base import Holding, existing, is_folder, json_object

_MARKS: Final = (".internal", "config-presets")
_CONFIGS: Final = Path(".internal") / "user-concrete-model-default-config"
_PRESETS: Final = ("config-presets/*.json", "hub/presets/*/*/*.json", "hub/presets/*/*.json")
_MOST: Final = 200  # presets of a home
# The ends of the keys of new presets; ``llama.`` and the like stand before some.
_FIELDS: Final = {
    "temperature": "temperature", "topksampling": "top_k", "toppsampling": "top_p",
    "minpsampling": "min_p", "repeatpenalty": "repeat_penalty", "maxpredictedtokens": "max_tokens",
    "stopstrings": "stop", "systemprompt": "system", "contextlength": "context_size",
    "seed": "seed", "cputhreads": "threads", "cputhreadpoolsize": "threads",
    "flashattention": "flash_attention", "trymmap": "mmap", "keepmodelinmemory": "mlock",
    "presencepenalty": "presence_penalty", "frequencypenalty": "frequency_penalty",
    "kcachequantizationtype": "kv_type", "kvcachequantizationtype": "kv_type",
    "vcachequantizationtype": "cache_type_v", "numgpulayers": "gpu_layers", "logprobs": "logprobs",
}  # fmt: skip
# What LM Studio states of every model, and what it does of itself.
_NOISE: Final = frozenset({
    "numparallelsessions", "offloadkvcachetogpu", "useunifiedkvcache", "autofit",
    "contextoverflowpolicy", "ropefrequencybase", "ropefrequencyscale",
})  # fmt: skip
_BATCHES: Final = ("evalbatchsize", "physicalbatchsize")
_OLD: Final = {
    "n_ctx": "context_size", "n_gpu_layers": "gpu_layers", "n_predict": "max_tokens",
    "antiprompt": "stop", "pre_prompt": "system", "temp": "temperature", "use_mlock": "mlock",
    "use_mmap": "mmap", "n_threads": "threads", "repeat_penalty": "repeat_penalty",
}  # fmt: skip
_OLD_NOISE: Final = frozenset({
    "input_prefix", "input_suffix", "pre_prompt_prefix", "pre_prompt_suffix", "n_batch",
    "rope_freq_base", "rope_freq_scale", "tfs_z", "typical_p", "repeat_last_n", "n_keep",
    "logit_bias", "mirostat", "mirostat_tau", "mirostat_eta", "memory_f16", "multiline_input",
    "penalize_nl", "main_gpu", "tensor_split", "f16_kv", "embedding", "low_vram", "vocab_only",
    "logits_all", "seed", "num_experts_used", "verbose", "no_mul_mat_q", "n_parallel",
})  # fmt: skip
_OLD_KEYS: Final = _OLD_NOISE | set(_OLD) | {"temperature", "top_p", "top_k", "min_p"}
_CHAT: Final = ("input_prefix", "input_suffix", "pre_prompt_prefix", "pre_prompt_suffix")


def of_data(document: Document) -> Iterator[Artefact]:
    """A preset. It names no model."""
    text = document.text or ""
    if not any(one in text for one in ("load_params", "inference_params", '"fields"')):
        return
    if _is_preset(document.shape):
        yield _preset(document, document.shape)


def forced(document: Document) -> Iterator[Artefact]:
    """A file that the user says to be a preset of LM Studio."""
    if not isinstance(document.shape, dict):
        raise DamagedFile(f"{document.path} holds no preset of LM Studio")
    yield _preset(document, document.shape)


def of_folder(real: Path, shown: Path) -> Iterator[Artefact]:
    """LM Studio's home, or the models in it."""
    home = real.parent if real.name == "models" else real
    if not is_folder(home / "models"):
        return
    if not (home.name in (".lmstudio", "lm-studio") or _is_marked(home)):
        return
    findings = Findings(shown, "lm-studio")
    for held in lmstudio.holdings(home / "models"):
        _put(held, home, (shown, "models/" if home == real else ""), findings)
    if home == real:
        _presets(home, findings)
    yield findings.artefact()


READER = Reader(("lm-studio",), of_data, None, of_folder, forced)


def _is_marked(home: Path) -> bool:
    return any(is_folder(home / one) for one in _MARKS)


def _put(held: Holding, home: Path, where: tuple[Path, str], findings: Findings) -> None:
    """A model; in LM Studio's own folder it is run in place, else it is named by its repository."""
    names = held.source.partition(":")[2].split("/")
    repo, file = "/".join(names[:2]), "/".join(names[2:])
    inside = home / "models"
    relative = where[1] + held.path.relative_to(inside).as_posix()
    ours = any(inside == root or inside.resolve() == root.resolve() for root in existing(
        *lmstudio.roots()))  # fmt: skip
    if len(names) < 2:
        model = findings.model(naming.beside(where[0], relative), held.path.stem)
    elif ours:
        model = findings.model(held.source, file or repo)
    else:
        model = findings.model(f"huggingface:{repo}", (file or repo).rpartition("/")[2])
        model.options |= {"file": file} if file else {}
    model.name = model.name.removesuffix(".gguf")
    model.bytes = held.bytes or None
    model.weights = str(where[0] / relative)
    if held.problem:
        findings.warn("incomplete", f"{held.name}: {held.problem}", at=held.name)
    for name in (f"{repo}/{file}.json" if file else f"{repo}.json",):
        try:
            stated = json_object(home / _CONFIGS / name)
        except LlmrrError:
            continue
        settle(model, _fields(stated, findings), findings)


def _is_preset(shape: Any) -> bool:
    if not isinstance(shape, dict):
        return False
    old = [shape.get(one) for one in ("load_params", "inference_params")]
    if any(isinstance(one, dict) and _OLD_KEYS & set(one) for one in old):
        return True
    return any(
        isinstance(part := shape.get(name), dict) and isinstance(part.get("fields"), list)
        for name in ("operation", "load")
    )


def _presets(home: Path, findings: Findings) -> None:
    """The presets of a home: those that were made there, and those that the hub gave."""
    whole = home.resolve()
    paths = [path for pattern in _PRESETS for path in sorted(home.glob(pattern))]
    for path in paths[:_MOST]:
        try:
            shape = json_object(path) if path.resolve().is_relative_to(whole) else None
        except LlmrrError as error:
            findings.warn("unreadable", f"a preset: {error.message}", at=path.name)
            continue
        except (OSError, RuntimeError):
            continue
        if shape is not None and _is_preset(shape):
            is_own = path.name in ("preset.json", "config.json")
            stem = path.parent.name if is_own else path.name.removesuffix(".json")
            _carry(shape, stem.removesuffix(".preset"), findings, path.name)


def _preset(document: Document, shape: Mapping[str, Any]) -> Artefact:
    findings = Findings(document.path, "lm-studio")
    _carry(shape, document.path.stem.removesuffix(".preset"), findings)
    return findings.artefact()


def _carry(shape: Mapping[str, Any], stem: str, findings: Findings, at: str = "") -> None:
    """What a preset sets has no model here: its system prompt is a template, the rest is told."""
    name = str(shape.get("name") or shape.get("identifier") or stem)
    carried = Model(name, "")
    settle(carried, _fields(shape, findings), findings)
    system = carried.params.pop("system", None)
    if isinstance(system, str):
        doubled = literal(system)
        findings.template(name, messages=[("system", doubled)])
    said = f"the preset {name!r} belongs to no model"
    if values := {**carried.params, **carried.options}:
        told = ", ".join(f"{one} = {json.dumps(value)[:60]}" for one, value in values.items())
        said += f": set where it is wanted {told}"
    findings.warn("no-model", said, at=at)


def _fields(shape: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """What is set, under our names; of the rest what matters is told."""
    found: dict[str, Any] = {}
    for name in ("load_params", "inference_params"):
        part = shape.get(name)
        for key, value in part.items() if isinstance(part, dict) else ():
            if key in _CHAT and value:
                findings.warn("chat-template", f"{key} is part of a prompt's template", at=key)
            elif key not in _OLD_NOISE:
                found[_OLD.get(str(key), str(key))] = value
    for name in ("load", "operation"):
        part = shape.get(name)
        fields = part.get("fields") if isinstance(part, dict) else None
        for one in fields if isinstance(fields, list) else ():
            if isinstance(one, dict) and isinstance(one.get("key"), str):
                _field(found, one["key"], one.get("value"), findings)
    if (values := found.pop("cache_type_v", None)) != found.get("kv_type") and values:
        said = f"vCacheQuantizationType is {str(values)[:20]}, apart from that of keys"
        findings.warn("unmapped-parameter", said, at="vCacheQuantizationType")
    return found


def _field(found: dict[str, Any], key: str, value: Any, findings: Findings) -> None:
    checked = True
    if isinstance(value, dict) and "checked" in value:
        checked, value = value["checked"] is True, value.get("value")
    if not checked or value in (None, "", [], {}):
        return
    end = key.rpartition(".")[2].lower()
    if end == "offloadratio" or (end == "ratio" and "offload" in key.lower()):
        if value == "max" or value == 1:
            found["gpu_layers"] = "max"
        elif value == "off" or value == 0:
            found["gpu_layers"] = 0
        else:
            findings.warn("unmapped-parameter", f"{key} is a share of the layers", at=key)
    elif end in ("prompttemplate", "manualprompttemplate"):
        findings.warn("jinja-template", "its prompt template: the model's own counts", at=key)
    elif end in ("tools", "structured"):
        if not (isinstance(value, dict) and value.get("type") == "none"):
            findings.warn("tools", f"{end} stays in LM Studio", at=key)
    elif ".reasoning." in key:
        findings.warn("not-applied", f"{key}: llmrr run --think says it for each answer", at=key)
    elif end in _BATCHES:
        findings.warn("batch-size", f"{key} is chosen by the engine", at=key)
    elif end in _FIELDS:
        found[_FIELDS[end]] = value
    elif end not in _NOISE:
        findings.warn("unmapped-parameter", f"{key} has no equivalent in llmrr.toml", at=key)
