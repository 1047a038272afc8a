"""Code that uses Transformers (Python, or transformers.js), vLLM and what wraps them: which models
it loads, and how it asks them."""

import re
from collections.abc import Iterator
from typing import Final

from llmrr.migrate.artefact import Artefact, Findings, Model
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import asked, inference_client
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.readers.coded_models import CodedModels
from llmrr.migrate.readers.generation import Generation
from llmrr.migrate.values import Call, Code, Unresolved, Value

_PACKAGES: Final = (
    "transformers", "vllm", "optimum", "auto_gptq", "gptqmodel", "awq", "unsloth", "peft",
    "sentence_transformers", "diffusers", "@xenova/transformers", "@huggingface/transformers",
    "huggingface_hub", "@huggingface/inference", "trl", "FlagEmbedding", "ctransformers",
)  # fmt: skip
_TEXT_TASKS: Final = (
    "text-generation", "text2text-generation", "conversational", "image-text-to-text",
    "any-to-any",
)  # fmt: skip
_EMBEDDING_TASKS: Final = ("feature-extraction", "sentence-similarity")
_TEXT_CLASS: Final = re.compile(
    r"(?:ForCausalLM|LMHeadModel|ForConditionalGeneration|ForSeq2SeqLM|WithLMHead"
    r"|ForImageTextToText|ForVision2Seq|ForMultimodalLM)$|^Fast(?:Language|Vision)?Model$"
)
_OTHER_CLASS: Final = re.compile(
    r"^(?:Whisper|Speech|Wav2Vec|Musicgen|Bark|Seamless|Vits|CLIP|Siglip|DiT|ViT|Blip|Pix2Struct"
    r"|TrOCR|Encodec|SpeechT5|Clap|Moonshine)|(?:Classification|Detection|Segmentation|Diffusion"
    r"|Answering|MaskedLM|Pipeline|DepthEstimation|SpeechSeq2Seq|CTC|AudioClassification|Reranker)"
)
_BESIDE: Final = re.compile(
    r"(?:Tokenizer|TokenizerFast|Processor|FeatureExtractor|Config|Scheduler|Dataset|Trainer)$"
)
# Models of any task: what is done with them tells it.
_ANY: Final = ("AutoModel", "TFAutoModel", "FlaxAutoModel")
_LOADS: Final = ("from_pretrained", "from_quantized", "from_pretrained_cached")
_ASKS: Final = ("generate", "chat", "stream_chat", "beam_search")
_PIPELINES: Final = ("pipeline", "TextGenerationPipeline", "Text2TextGenerationPipeline",
                     "ConversationalPipeline")  # fmt: skip


def of_code(document: Document) -> Iterator[Artefact]:
    """The models of a file of code."""
    code = document.code
    if code is None or not code.imports_from(*_PACKAGES):
        return
    findings = Findings(document.path, "transformers-code")
    models = CodedModels(document, findings)
    generation = Generation(models)
    for call in code.calls:
        _load(call, models, generation, code)
        _tokens(call, models)
    for call in code.calls:
        _ask(call, models, generation)
    for call in code.calls:
        if inference_client.client_of(call) is None:
            generation.told(call)
    generation.assigned(code.names)
    inference_client.read(code, findings)
    generation.finish()
    if findings.models or findings.warnings:
        yield findings.artefact()


READER = Reader(("transformers-code",), None, of_code)


def _load(call: Call, models: CodedModels, generation: Generation, code: Code) -> None:
    """What loads a model."""
    name, kind = call.name, call.callee.split(".")[-2:][0]
    if not _is_theirs(call):
        return
    if name in _PIPELINES:
        _pipeline(call, models, generation)
    elif name in ("LLM", "AsyncEngineArgs", "EngineArgs") and "vllm" in call.callee:
        stated = call.named.get("model", call.args[0] if call.args else None)
        if model := models.add(call, stated):
            generation.loaded(model, call)
    elif name in ("SentenceTransformer", "CrossEncoder", "BGEM3FlagModel", "FlagReranker"):
        _other(call, models, "embedding-model" if name == "SentenceTransformer" else "other-role")
    elif name in _LOADS and not _BESIDE.search(kind):
        _class(kind, call, models, generation, code)


def _tokens(call: Call, models: CodedModels) -> None:
    """Keys of the hub in calls that load no model."""
    if call.name in ("login", *_LOADS) and _is_theirs(call):
        for name in ("token", "use_auth_token", "hf_token"):
            models.token(call.fields.get(name), call.line, name)
        if call.name == "login" and call.args:
            models.token(call.args[0], call.line, "token")


def _class(
    kind: str, call: Call, models: CodedModels, generation: Generation, code: Code
) -> None:
    if kind == "PeftModel" and call.args:
        adapter = call.args[1] if len(call.args) > 1 else call.named.get("model_id")
        if (model := models.owner(call.args[0])) is not None:
            models.by_call[call] = model
            generation.adapter(model, adapter, call.line)
        return
    if _OTHER_CLASS.search(kind) or call.callee.startswith("diffusers."):
        _other(call, models, "other-role")
    elif _TEXT_CLASS.search(kind) or (kind in _ANY and _is_asked(call, code)):
        stated = call.args[0] if call.args else next(
            (call.named[one] for one in ("pretrained_model_name_or_path", "model_name",
             "model_name_or_path", "model_id", "quant_path") if one in call.named), None
        )  # fmt: skip
        if isinstance(stated, dict):
            stated = None
        if model := models.add(call, stated):
            generation.loaded(model, call)
    elif kind in _ANY or (kind.endswith("Model") and call.callee.startswith("transformers.")):
        _other(call, models, "embedding-model")


def _pipeline(call: Call, models: CodedModels, generation: Generation) -> None:
    plain = [one for one in call.args if not isinstance(one, dict)]
    given = {**(call.args[-1] if call.args and isinstance(call.args[-1], dict) else {}),
             **call.fields}  # fmt: skip
    is_class = call.name != "pipeline"
    task = given.get("task", plain[0] if plain and not is_class else None)
    at = 0 if is_class else 1
    stated = given.get("model", plain[at] if len(plain) > at else None)
    if isinstance(task, str) and task not in _TEXT_TASKS and models.owner(stated) is None:
        code = "embedding-model" if task in _EMBEDDING_TASKS else "other-role"
        said = f"a pipeline for {task[:60]} writes no text: left out"
        models.findings.warn(code, said, call.line, "pipeline")
        return
    if stated is None:
        said = f"pipeline({task!r}) names no model: the library's default is not taken over"
        models.findings.warn("no-model", said, call.line, "pipeline")
        return
    if model := models.add(call, stated):
        generation.loaded(model, call)


def _other(call: Call, models: CodedModels, code: str) -> None:
    first = call.args[0] if call.args else next(iter(call.named.values()), None)
    said = f" ({first[:80]})" if isinstance(first, str) else ""
    what = "a model that makes vectors" if code == "embedding-model" else "a model for another task"
    models.findings.warn(code, f"{what}{said}", call.line, call.callee.split(".")[-2:][0])


def _ask(call: Call, models: CodedModels, generation: Generation) -> None:
    """What asks a model."""
    call = _of_thread(call, models)
    receiver = call.receiver
    is_pipe = call.callee in ("", "_call", "__call__") and receiver is not None and (
        receiver in models.by_call
        and (receiver.name in _PIPELINES or receiver.callee.startswith("ctransformers"))
    )  # fmt: skip
    asks = call.name in _ASKS and (receiver is None or models.owner(receiver) is not None)
    if asks and receiver is None and call.callee.startswith(("mlx", "openai", "ollama")):
        return
    if is_pipe or asks:
        if (model := models.asked(call)) is not None:
            generation.asked(model, call)
            _texts(model, call, models)
    elif call.name in ("apply_chat_template", "encode", "tokenize") or (
        call.callee in ("", "_call") and receiver is not None
        and receiver.callee.split(".")[-2:][0].endswith(("Tokenizer", "Processor"))
    ):  # fmt: skip
        for model in models.findings.models[:1]:
            _texts(model, call, models)


def _of_thread(call: Call, models: CodedModels) -> Call:
    """The call of ``Thread(target=model.generate, kwargs=…)``, as streaming does it."""
    target, given = call.fields.get("target"), call.fields.get("kwargs")
    if call.name != "Thread" or not isinstance(target, Unresolved):
        return call
    found = re.fullmatch(r"([\w.]+)\.generate", target.text)
    if found is None:
        return call
    own = next((one for one in models.by_call if found[1] in one.targets), None)
    if isinstance(given, Call) and given.name == "dict":
        inner = given.args[0] if given.args else None
        given = {**(inner if isinstance(inner, dict) else {}), **given.fields}
    fields = given if isinstance(given, dict) else {}
    return Call(f"{found[1]}.generate" if own is None else "generate", (), fields, own,
                line=call.line, text=call.text)  # fmt: skip


def _texts(model: Model, call: Call, models: CodedModels) -> None:
    values: list[Value] = [
        *call.args[:1],
        *(call.fields[one] for one in ("text_inputs", "prompt", "prompts", "messages", "text",
          "conversation") if one in call.fields),
    ]  # fmt: skip
    for value in values:
        asked.put(model, value, models.findings)


def _is_theirs(call: Call) -> bool:
    """Whether it is called on one of the packages, or imported as a whole."""
    return "." not in call.callee or any(
        call.callee.startswith((f"{one}.", f"{one}/")) for one in _PACKAGES
    ) or call.callee.count(".") == 1  # fmt: skip


def _is_asked(call: Call, code: Code) -> bool:
    """Whether something is generated with what a call gives."""
    for other in code.calls:
        at: Value = other.receiver
        while isinstance(at, Call) and at is not call:
            at = at.receiver
        if at is call and other.name in _ASKS:
            return True
    return any(
        one.name in _ASKS and one.receiver is None and any(
            one.callee == f"{target}.{one.name}" for target in call.targets)
        for one in code.calls
    )  # fmt: skip
