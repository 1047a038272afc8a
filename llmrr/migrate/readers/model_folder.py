"""What the files of a Hugging Face folder say of the model in it: its task, its settings, and what
is to be known of its weights. Headers and small files are read, never weights."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from llmrr.errors import LlmrrError
from llmrr.formats import quantization
from llmrr.formats.model_config import CONTEXT, Config
from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.terms.fields import settle
from llmrr.store.holders.base import json_object, listed

_WRITES: Final = re.compile(
    r"(?:ForCausalLM|LMHeadModel|ForConditionalGeneration|ForSeq2SeqLM|ForImageTextToText"
    r"|ForVision2Seq|LMHead|CausalLM|ForCausalLMMTP|HeadModel)$"
)
_OTHER_FAMILY: Final = re.compile(
    r"(?i)whisper|speech|wav2vec|musicgen|bark|seamless|vits|moonshine|clap|encodec|parler|csm"
    r"|pix2struct|trocr|vision-encoder|hubert|audio-spectrogram|dia$|kyutai"
)
_ENCODER: Final = re.compile(
    r"(?i)(?:^|-)(?:bert|roberta|distilbert|albert|mpnet|electra|deberta|camembert|xlm-roberta"
    r"|modernbert|nomic_bert|nomic-bert|new|gte|e5|minilm)"
)
_NAMES: Final = {"max_new_tokens": "max_tokens", "repetition_penalty": "repeat_penalty"}
_SETTINGS: Final = (
    "temperature", "top_p", "top_k", "min_p", "typical_p", "repetition_penalty", "max_new_tokens",
    "stop_strings",
)  # fmt: skip
_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "typical_p": (1,), "repetition_penalty": (1,), "top_k": (None,), "top_p": (None,),
}  # fmt: skip
_INERT: Final[Mapping[str, tuple[Any, ...]]] = {
    "num_beams": (1,), "no_repeat_ngram_size": (0,), "length_penalty": (1,), "penalty_alpha": (
        None, 0), "num_return_sequences": (1,), "diversity_penalty": (0,), "min_length": (0,),
    "min_new_tokens": (None, 0), "epsilon_cutoff": (0,), "eta_cutoff": (0,),
}  # fmt: skip


def config_of(folder: Path) -> Config | None:
    """config.json, if there is one that can be read."""
    try:
        return Config(json_object(folder / "config.json"))
    except LlmrrError:
        return None


def other_role(config: Config, folder: Path | None = None) -> tuple[str, str] | None:
    """Why a model is none that writes text, as a code and a phrase."""
    classes = config.classes
    said = (classes or (config.family or "an unknown model",))[0][:60]
    if folder is not None and _is_sentences(folder):
        return "embedding-model", f"{said} makes vectors of texts"
    if any(_OTHER_FAMILY.search(one) for one in (config.family, *classes)):
        return "other-role", f"{said} writes no text"
    if any(_WRITES.search(one) for one in classes) or "AutoModelForCausalLM" in _mapped(config):
        return None
    if any(one.endswith("Model") for one in classes):
        return "embedding-model", f"{said} has no head that writes text: it makes vectors"
    if classes:
        return "other-role", f"{said} writes no text"
    if _ENCODER.match(config.family):
        return "embedding-model", f"{said} makes vectors of texts"
    return None


def describe(model: Model, folder: Path, config: Config, findings: Findings) -> None:
    """Fill in what config.json and generation_config.json set, and warn of the rest."""
    at = model.name
    if size := config.number(*CONTEXT):
        model.options["context_size"] = size
    if _mapped(config):
        said = f"{at} brings code of its own (auto_map), which is never run"
        findings.warn("remote-code", said, at=f"{at}.auto_map")
    found = quantization.of_transformers(config.raw)
    if found and found.label and model.format != "mlx":
        said = f"the weights of {at} are quantized ({found.label}): llmrr fit says how they run"
        findings.warn("not-applied", said, at=f"{at}.quantization_config")
    _pickles(model, folder, findings)
    try:
        generation = json_object(folder / "generation_config.json")
    except LlmrrError:
        return
    sampling(model, generation, findings)


def sampling(model: Model, stated: Mapping[str, Any], findings: Findings) -> None:
    """What a generation_config.json sets; without ``do_sample`` the temperature is inert."""
    if stated.get("_from_model_config") is True:
        return
    at = model.name
    greedy = stated.get("do_sample") is not True
    drawn = ("temperature", "top_p", "top_k", "min_p", "typical_p")
    settle(model, {
        name: stated[name] for name in _SETTINGS
        if name in stated and stated[name] not in _NEUTRAL.get(name, ())
        and not (greedy and name in drawn)
    }, findings, names=_NAMES)  # fmt: skip
    if greedy:
        model.params["temperature"] = 0
        said = f"{at} does not sample (do_sample): its temperature is 0"
        findings.warn("greedy", said, at=f"{at}.do_sample")
    if isinstance(stated.get("max_length"), int) and "max_new_tokens" not in stated:
        said = f"max_length of {at}, {stated['max_length']}, counts the prompt too: it is left out"
        findings.warn("max-length-is-total", said, at=f"{at}.max_length")
    for name, usual in _INERT.items():
        if name in stated and stated[name] not in usual:
            said = f"{name} has no equivalent in llmrr.toml"
            findings.warn("unmapped-parameter", said, at=f"{at}.{name}")


def end_of_text(folder: Path) -> str | None:
    """The text of the token that ends an answer, as the tokenizer of a folder has it."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        try:
            found = json_object(folder / name, 20_000_000).get("eos_token")
        except LlmrrError:
            continue
        text = found.get("content") if isinstance(found, dict) else found
        if isinstance(text, str) and text:
            return text
    return None


def _pickles(model: Model, folder: Path, findings: Findings) -> None:
    names = listed(folder).sizes
    if any(name.endswith((".safetensors", ".gguf")) for name in names):
        return
    if any(name.endswith((".bin", ".pt", ".pth")) and "training" not in name for name in names):
        where = model.source if model.source.startswith("huggingface:") else "FOLDER"
        said = (f"the weights of {model.name} are pickles: llmrr convert {where} --to gguf makes"
                " them ready")  # fmt: skip
        findings.warn("has-pickles", said, at=model.name)


def _is_sentences(folder: Path) -> bool:
    names = listed(folder).sizes
    return "config_sentence_transformers.json" in names or "sentence_bert_config.json" in names


def _mapped(config: Config) -> Mapping[str, Any]:
    found = config.raw.get("auto_map")
    return found if isinstance(found, dict) else {}
