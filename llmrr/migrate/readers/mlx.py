"""MLX: code that uses mlx-lm or mlx-vlm, scripts that start them (``mlx_commands``), and the YAML
of the LoRA trainer. Folders of models are told in ``transformers``."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import asked, mlx_commands
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.coded_models import CodedModels
from llmrr.migrate.readers.transformers import tell_of_mlx
from llmrr.migrate.terms import hubnames
from llmrr.migrate.values import Call, Value

_PACKAGES: Final = ("mlx_lm", "mlx_vlm", "mlx_omni_server")
_OTHER_PACKAGES: Final = ("mlx_whisper", "mlx_audio", "mlx_embeddings", "mlx_embedding_models",
                          "diffusionkit", "mflux")  # fmt: skip
_ASKS: Final = ("generate", "stream_generate", "batch_generate", "generate_step", "beam_search")
_SAMPLERS: Final = ("make_sampler", "make_logits_processors")
_NAMES: Final = {"adapter_path": "lora", "adapter_file": "lora"}
_READ: Final = (
    "model", "tokenizer", "processor", "prompt", "prompts", "sampler", "logits_processors", "image",
    "images", "audio", "path_or_hf_repo", "tokenizer_config", "model_config", "lazy", "verbose",
    "revision", "formatter", "prompt_cache", "draft_model", "max_kv_size", "trust_remote_code",
    "return_config", "prompt_progress_callback", "config", "resize_shape", "num_draft_tokens",
)  # fmt: skip
_OFF: Final[Mapping[str, tuple[Any, ...]]] = {
    "top_p": (0, 1), "min_p": (0,), "top_k": (0, -1), "repetition_penalty": (None, 0, 1),
    "min_tokens_to_keep": (1,), "repetition_context_size": (20,), "xtc_probability": (0,),
}  # fmt: skip
_TRAINER: Final = frozenset({
    "adapter_path", "adapter_file", "lora_parameters", "lora_layers", "num_layers", "train",
    "iters", "fine_tune_type", "resume_adapter_file", "steps_per_eval", "val_batches", "data",
})  # fmt: skip


def of_code(document: Document) -> Iterator[Artefact]:
    """The models of a file of code."""
    code = document.code
    if code is None or code.language != "python":
        return
    if not (code.imports_from(*_PACKAGES, *_OTHER_PACKAGES) or "mlx_" in (document.text or "")):
        return
    findings = Findings(document.path, "mlx-code")
    models = CodedModels(document, findings)
    mlx_commands.of_calls(code.calls, findings)
    for call in code.calls:
        if call.callee.startswith(_OTHER_PACKAGES):
            said = f"{call.callee} is for speech, images or vectors"
            findings.warn("other-role", said, call.line)
        elif call.callee.startswith(_PACKAGES) and call.name == "load":
            _load(call, models)
    for call in code.calls:
        if call.callee.startswith(_PACKAGES) and call.name in _ASKS:
            _ask(call, models)
    if findings.models:
        tell_of_mlx(findings)
    if findings.models or findings.warnings:
        yield findings.artefact()


def of_data(document: Document) -> Iterator[Artefact]:
    """The models of a script, or the base model of a LoRA training."""
    yield from mlx_commands.of_script(document)
    if document.suffix not in (".yaml", ".yml") or "model" not in (document.text or ""):
        return
    shape = document.shape
    if isinstance(shape, dict) and isinstance(shape.get("model"), str) and (
        len(_TRAINER & set(shape)) > 2
    ):  # fmt: skip
        yield _training(document, shape)


def forced(document: Document) -> Iterator[Artefact]:
    """A file that the user says to be a training of MLX."""
    shape = document.shape
    if not isinstance(shape, dict) or not isinstance(shape.get("model"), str):
        raise DamagedFile(f"{document.path} names no model")
    yield _training(document, shape)


READER = Reader(("mlx-code",), of_data, of_code, None, forced)


def _load(call: Call, models: CodedModels) -> None:
    stated = call.args[0] if call.args else call.fields.get("path_or_hf_repo")
    model = models.add(call, stated, at="path_or_hf_repo")
    if model is None:
        return
    model.engine, model.format = "mlx", "mlx"
    adapter = call.fields.get("adapter_path", call.args[2] if len(call.args) > 2 else None)
    models.put(model, {"adapter_path": adapter}, call.line, names=_NAMES)
    config = call.fields.get("tokenizer_config")
    remote = isinstance(config, dict) and config.get("trust_remote_code") is True
    if remote or call.fields.get("trust_remote_code") is True:
        said = "trust_remote_code: code that comes with a model is never run"
        models.findings.warn("remote-code", said, call.line, "trust_remote_code")


def _ask(call: Call, models: CodedModels) -> None:
    first = call.args[0] if call.args else call.fields.get("model")
    model = models.owner(first) or models.asked(call)
    if model is None:
        return
    model.call_sites = sorted({*model.call_sites, call.line})
    stated: dict[str, Value] = dict(call.fields)
    for one in call.fields.values():
        for maker in one if isinstance(one, list) else [one]:
            if isinstance(maker, Call) and maker.name in _SAMPLERS:
                stated = {**_sampler(maker), **stated}
    if call.fields.get("draft_model") is not None:
        said = "a model that guesses ahead is not taken over"
        models.findings.warn("not-applied", said, call.line, "draft_model")
    kept = {name: one for name, one in stated.items()
            if name not in _READ and not _is_off(name, one)}  # fmt: skip
    models.put(model, kept, call.line, names=_NAMES)
    prompt = call.fields.get("prompt", call.args[2] if len(call.args) > 2 else None)
    asked.put(model, prompt, models.findings)


def _sampler(maker: Call) -> dict[str, Value]:
    """``make_sampler(temp, top_p, min_p, …)``."""
    order = ("temp", "top_p", "min_p") if maker.name == "make_sampler" else (
        "logit_bias", "repetition_penalty", "repetition_context_size")  # fmt: skip
    return {**dict(zip(order, maker.args, strict=False)), **maker.fields}


def _is_off(name: str, value: Value) -> bool:
    return not isinstance(value, list | dict | Call) and value in _OFF.get(name, ())


def _training(document: Document, shape: Mapping[str, Any]) -> Artefact:
    findings = Findings(document.path, "mlx-code")
    named = shape["model"]
    hub = hubnames.repository(named)
    model = findings.model(hub.source if hub else f"file:{named}")
    model.options |= hub.options if hub else {}
    model.engine = "mlx"
    adapter = shape.get("adapter_path")
    if isinstance(adapter, str) and adapter:
        said = f"the adapter that is trained here, {adapter[:120]}, is not set"
        findings.warn("not-applied", said, at="adapter_path")
    findings.warn("framework-logic", "this is a training: only its base model is taken over")
    tell_of_mlx(findings)
    return findings.artefact()
