"""What the file says of itself besides its hyperparameters: general.*, as convert_hf_to_gguf.py of
llama.cpp writes it, from the names of the folder and the model, README.md and
generation_config.json."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmrr.convert.gguf.encoding import FILE_TYPES
from llmrr.convert.gguf.planning import Written
from llmrr.convert.gguf.writing import Signed
from llmrr.formats import FolderFiles
from llmrr.formats.json_file import read_beside

QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION of ggml.h
# generation_config.json: the key under general.sampling.
SAMPLING_WHOLE = {"top_k": "top_k", "penalty_last_n": "penalty_last_n", "mirostat": "mirostat"}
SAMPLING_REAL = {
    "top_p": "top_p",
    "min_p": "min_p",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
    "temperature": "temp",
    "repetition_penalty": "penalty_repeat",
    "penalty_repeat": "penalty_repeat",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
}
TEXTS = (
    "name", "author", "version", "organization", "finetune", "basename", "description",
    "quantized_by", "size_label", "license", "license_name", "license_link",
)  # fmt: skip
BASE_MODEL = ("name", "author", "version", "organization", "description", "url", "doi", "uuid",
              "repo_url")  # fmt: skip
MAX_CARD = 1 << 20


# llama.cpp takes a model with such a name for one that has these tokens, whatever its architecture,
# and refuses the file where one is missing (``load_special_tokens`` of its src/llama-vocab.cpp).
PHI3 = re.compile(r"(phi)-?(3)", re.IGNORECASE)
PHI3_TOKENS = frozenset({b"</s>", b"<unk>", b"<s>", b"<|endoftext|>"})


def loadable(name: str, tokens: Iterable[str | bytes]) -> str:
    """The name of a model with these tokens, so spelled that llama.cpp loads it.

    >>> loadable("My-Phi-3 tuned", ["a"]), loadable("Phi3", ["</s>", "<unk>", "<s>",
    ...                                                      "<|endoftext|>"])
    ('My-Phi 3 tuned', 'Phi3')
    """
    there = {one.encode() if isinstance(one, str) else one for one in tokens}
    return name if there >= PHI3_TOKENS else PHI3.sub(r"\1 \2", name)


def general(
    settings: Path, raw: Mapping[str, Any], tensors: Sequence[Written], quant: str
) -> dict[str, Any]:
    """The keys general.* but general.architecture, which ``gguf`` writes."""
    files = FolderFiles(settings, depth=0)
    found: dict[str, Any] = {"general.type": "model"}
    found |= _sampling(read_beside(files, "generation_config.json"))
    found |= described(settings, raw, parameters(tensors))
    found["general.file_type"] = FILE_TYPES[quant]
    found["general.quantization_version"] = QUANTIZATION_VERSION
    return found


def _sampling(stated: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, ours in SAMPLING_WHOLE.items():
        if type(one := stated.get(key)) is int and abs(one) < 2**31:
            found[f"general.sampling.{ours}"] = Signed(one)
    for key, ours in SAMPLING_REAL.items():
        one = stated.get(key)
        if isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one):
            found[f"general.sampling.{ours}"] = float(one)
    return found


def described(
    settings: Path, raw: Mapping[str, Any], counts: tuple[int, int, int, int]
) -> dict[str, Any]:
    """Name and origin, by the rules that ``gguf`` has for them; ``counts`` are those of
    ``parameters``, the first one negative for an adapter."""
    import gguf

    settings = settings.resolve()
    told = dict(raw)
    if hub := _hub_name(settings):
        told["_name_or_path"] = hub
    if not isinstance(told.get("_name_or_path"), str):
        told.pop("_name_or_path", None)
    card = _card(settings)
    about = gguf.Metadata.apply_metadata_heuristic(
        gguf.Metadata(), card, told, None if hub else settings, counts[0]
    )
    about.name = about.name or settings.name or "model"
    if about.size_label is None and counts[0] > 0:
        about.size_label = gguf.size_label(*counts)
    found = {key: _text(getattr(about, key, None)) for key in TEXTS}
    for key in ("url", "doi", "uuid", "repo_url"):
        found[f"source.{key}"] = _text(getattr(about, f"source_{key}", None))
    found |= _origins("base_model", about.base_models) | _origins("dataset", about.datasets)
    full: dict[str, Any] = {f"general.{key}": one for key, one in found.items() if one}
    for key in ("tags", "languages"):
        if texts := [str(one) for one in getattr(about, key) or ()]:
            full[f"general.{key}"] = texts
    return full


def _origins(kind: str, stated: Sequence[Any] | None) -> dict[str, Any]:
    entries = [one for one in stated or () if isinstance(one, dict)]
    found: dict[str, Any] = {f"{kind}.count": len(entries)} if entries else {}
    for number, entry in enumerate(entries):
        for key in BASE_MODEL:
            if key in entry:
                found[f"{kind}.{number}.{key}"] = _text(entry[key])
    return found


def _card(settings: Path) -> dict[str, Any]:
    """The front matter of README.md; nothing of one that is no YAML, which is no reason to refuse
    a model."""
    import gguf
    import yaml

    readme = settings / "README.md"
    if not readme.is_file() or readme.stat().st_size > MAX_CARD:
        return {}
    try:
        card = gguf.Metadata.load_model_card(settings)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        return {}
    return {str(key): one for key, one in card.items()} if isinstance(card, dict) else {}


def _hub_name(settings: Path) -> str | None:
    """owner/repo of a snapshot in the cache of the hub, whose folder is named by a commit."""
    folder = settings.parent.parent.name
    if settings.parent.name != "snapshots" or not folder.startswith("models--"):
        return None
    return folder.removeprefix("models--").replace("--", "/", 1)


def _text(value: Any) -> str | None:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return None if value is None else str(value)


def parameters(tensors: Sequence[Written]) -> tuple[int, int, int, int]:
    """Numbers in all; those outside of experts; those of one expert; how many experts there are:
    what ``gguf.size_label`` takes."""
    stacks = [one for one in tensors if "_exps." in one.name and len(one.shape) == 3]
    total = sum(one.elements for one in tensors)
    shared = total - sum(one.elements for one in stacks)
    single = sum(one.elements // one.shape[0] for one in stacks)
    return total, shared, single, stacks[0].shape[0] if stacks else 0
