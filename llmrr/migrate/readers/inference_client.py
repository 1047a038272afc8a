"""The client of Hugging Face's inference providers, in Python and JavaScript: remote models.

Its router speaks OpenAI's protocol, the provider after a colon:
https://huggingface.co/docs/inference-providers/index
"""

from collections.abc import Iterator
from typing import Final

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.readers import asked
from llmrr.migrate.terms.fields import api_key, resolved, settle
from llmrr.migrate.values import Call, Code, Value

ROUTER: Final = "https://router.huggingface.co/v1"
_CLIENTS: Final = ("InferenceClient", "AsyncInferenceClient", "HfInference", "HfInferenceEndpoint")
_TEXT: Final = (
    "chat_completion", "text_generation", "chatCompletion", "chatCompletionStream",
    "textGeneration", "textGenerationStream", "create", "conversational",
)  # fmt: skip
_EMBED: Final = ("feature_extraction", "sentence_similarity", "featureExtraction")
_OTHER: Final = (
    "text_to_image", "textToImage", "automatic_speech_recognition", "text_to_speech",
    "image_to_text", "summarization", "translation", "text_classification", "fill_mask",
    "zero_shot_classification", "automaticSpeechRecognition", "imageToText", "question_answering",
    "object_detection", "image_classification", "textToSpeech", "imageClassification",
)  # fmt: skip
_NAMES: Final = {"max_new_tokens": "max_tokens", "repetition_penalty": "repeat_penalty"}
_READ: Final = (
    "model", "messages", "prompt", "inputs", "parameters", "stream", "details", "provider", "token",
    "api_key", "apiKey", "accessToken", "base_url", "endpointUrl", "headers", "cookies", "bill_to",
    "return_full_text", "do_sample", "extra_body", "timeout", "stream_options",
)  # fmt: skip


def read(code: Code, findings: Findings) -> None:
    """The remote models of a file."""
    found: dict[tuple[str, str | None], Model] = {}
    clients: set[Call] = set()
    for call in code.calls:
        if call.name in _CLIENTS and call.receiver is None:
            clients.add(call)
            continue
        client = client_of(call)
        if client is None:
            continue
        if call.name in _EMBED or call.name in _OTHER:
            code_ = "embedding-model" if call.name in _EMBED else "other-role"
            findings.warn(code_, f"{call.name} of the inference client", call.line, call.name)
        elif call.name in _TEXT:
            clients.discard(client)
            _ask(call, client, found, findings)
    for client in clients:
        _model(client, client, found, findings)


def client_of(call: Call) -> Call | None:
    """The client that a call is made on."""
    at = call.receiver
    while at is not None and at.name not in _CLIENTS:
        at = at.receiver
    return at


def _ask(
    call: Call, client: Call, found: dict[tuple[str, str | None], Model], findings: Findings
) -> None:
    model = _model(call, client, found, findings)
    if model is None:
        return
    stated = call.named
    inner = stated.get("parameters")
    kept = {name: one for name, one in {**stated, **(inner if isinstance(inner, dict) else {})}
            .items() if name not in _READ}  # fmt: skip
    settle(model, kept, findings, line=call.line, names=_NAMES)
    if stated.get("do_sample") is False:
        model.params["temperature"] = 0
        findings.warn("greedy", "do_sample is off: the temperature is 0", call.line, "do_sample")
    model.call_sites = sorted({*model.call_sites, call.line})
    for value in _texts(call, stated):
        asked.put(model, value, findings)


def _texts(call: Call, stated: dict[str, Value]) -> Iterator[Value]:
    if call.args and not isinstance(call.args[0], dict):
        yield call.args[0]
    yield from (stated[one] for one in ("messages", "prompt", "inputs") if one in stated)


def _model(
    call: Call, client: Call, found: dict[tuple[str, str | None], Model], findings: Findings
) -> Model | None:
    own = client.named
    javascript = client.name.startswith("Hf") or "/" in client.callee
    first = client.args[0] if client.args and not javascript else None
    stated = call.named.get("model") or own.get("model") or first
    address = own.get("base_url") or own.get("endpointUrl")
    if stated is None and address is None:
        code, said = "no-model", "the client names no model: the hub's choice is not taken over"
        findings.warn(code, said, call.line)
        return None
    name = resolved(stated, findings, "model", call.line) if stated is not None else "tgi"
    if not isinstance(name, str):
        return None
    base = resolved(address, findings, "base_url", client.line) if address is not None else ROUTER
    if name.startswith(("http://", "https://")):
        name, base = "tgi", name
    provider = own.get("provider") or call.named.get("provider")
    if isinstance(provider, str) and provider not in ("auto", "hf-inference") and base == ROUTER:
        name = f"{name}:{provider}"
    key = (name, base if isinstance(base, str) else None)
    if key not in found:
        found[key] = _made(name, base, client, javascript, findings, call.line)
    return found[key]


def _made(
    name: str, base: Value, client: Call, javascript: bool, findings: Findings, line: int
) -> Model:
    model = findings.model(f"openai:{name}", name.rpartition("/")[2].partition(":")[0], line)
    if isinstance(base, str):
        settle(model, {"base_url": base}, findings, line=line)
    own = client.named
    key = next((own[one] for one in ("token", "api_key", "apiKey", "accessToken") if one in own),
               None)  # fmt: skip
    if key is None and javascript and client.args and not isinstance(client.args[0], dict):
        key = client.args[0]
    model.options["api_key_env"] = "HF_TOKEN"
    if key is not None and not isinstance(key, bool):
        before = dict(model.options)
        del model.options["api_key_env"]
        api_key(model, key, findings, at="token", line=client.line)
        # Its usual variable, where a literal key would name another provider's.
        if model.key is not None or "api_key_env" not in model.options:
            model.options["api_key_env"] = before["api_key_env"]
    if "timeout" in own:
        settle(model, {"timeout": own["timeout"]}, findings, line=client.line)
    return model
