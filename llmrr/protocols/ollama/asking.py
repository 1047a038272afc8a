"""What Ollama's bodies ask. https://github.com/ollama/ollama/blob/main/docs/api.md"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llmrr.choosing import turns
from llmrr.errors import FeatureMissing
from llmrr.protocols.base import Asked
from llmrr.protocols.fields import BadField, Fields
from llmrr.protocols.ollama import conversation, parameters
from llmrr.types import Message, Request, Sampling


class Wanted(NamedTuple):
    """What a body wants: an answer, or with ``asked`` None that its model is loaded, or unloaded
    where ``keep_s`` is 0. ``keep_s`` is for how many seconds it stays without being used, None as
    configured. ``context`` are the tokens of the conversation so far, as an answer gave them;
    ``is_raw`` where no template is put around the prompt."""

    model: str
    keep_s: float | None
    asked: Asked | None
    context: tuple[int, ...] = ()
    is_raw: bool = False


class Texts(NamedTuple):
    """What is to become vectors. ``dimensions`` is how many numbers of each are kept; ``cuts``
    says whether a text that is too long loses its end."""

    model: str
    texts: tuple[str, ...]
    keep_s: float | None
    options: Mapping[str, Any]
    dimensions: int | None
    cuts: bool


def model_named(body: Mapping[str, Any]) -> str:
    """The model that a body names; ``name`` is how older clients say it."""
    return _model(Fields(body))


def _model(given: Fields) -> str:
    found = given.text("model") or given.text("name")
    if not found:
        raise BadField("model", "model is missing", "GET /api/tags lists them")
    return found


def generate(body: Mapping[str, Any]) -> Wanted:
    """The body of ``/api/generate``. Raises ``InvalidRequest`` naming what is wrong."""
    given = Fields(body)
    model, keep_s = _model(given), parameters.keep_alive(given)
    prompt, system = given.text("prompt") or "", given.text("system") or ""
    _refuse(given)
    found = conversation.images(given.listed("images"))
    if not prompt and not found:
        return Wanted(model, keep_s, None)
    context, is_raw = _context(given), bool(given.flag("raw"))
    if is_raw:
        if system or context or found:
            raise BadField("raw", "a raw prompt has no system, no context and no images beside it")
        return Wanted(model, keep_s, _asked(given, model, Request(prompt=prompt)), (), True)
    turn = Message.of("user", *found, prompt) if found else Message("user", prompt)
    messages = (*((Message("system", system),) if system else ()), turn)
    return Wanted(model, keep_s, _asked(given, model, Request(messages=messages)), context)


def chat(body: Mapping[str, Any]) -> Wanted:
    """The body of ``/api/chat``. Raises ``InvalidRequest`` naming what is wrong."""
    given = Fields(body)
    model, keep_s = _model(given), parameters.keep_alive(given)
    said = given.listed("messages")
    if not said:
        return Wanted(model, keep_s, None)
    messages, begun = conversation.conversation(said)
    tools = turns.tools(given.listed("tools") or ())
    request = Request(messages=messages, begun=begun, tools=tools)
    return Wanted(model, keep_s, _asked(given, model, request))


def embed(body: Mapping[str, Any], key: str = "input") -> Texts:
    """The body of ``/api/embed``; with ``prompt`` for a key of the older ``/api/embeddings``."""
    given = Fields(body)
    value = given.get(key)
    texts: Sequence[Any] = [value] if isinstance(value, str) else value or ()
    if not isinstance(texts, list | tuple) or not all(isinstance(one, str) for one in texts):
        raise given.bad(key, "text or list of texts")
    return Texts(
        model_named(body), tuple(texts), parameters.keep_alive(given),
        parameters.options(given)[1], given.whole("dimensions", 1),
        given.flag("truncate") is not False,
    )  # fmt: skip


def _refuse(given: Fields) -> None:
    """What has no counterpart here. Raises ``FeatureMissing``."""
    if given.text("suffix"):
        raise FeatureMissing("suffix: nothing here fills in what stands between two texts", "")
    if given.text("template"):
        raise FeatureMissing(
            "template is a Go template, which nothing here renders",
            "leave it out: the model's own is used; or raw, with all of the prompt",
        )


def _context(given: Fields) -> tuple[int, ...]:
    found = given.listed("context") or ()
    if not all(map(_is_token, found)):
        raise given.bad("context", "list of tokens, as an answer gave them")
    return tuple(map(int, found))


def _is_token(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and value == value // 1 and value >= 0  # type: ignore[operator]


def _asked(given: Fields, model: str, request: Request) -> Asked:
    stated, loading = parameters.options(given)
    sampling = Sampling(
        **stated, schema=parameters.shape(given), think=parameters.think(given),
        logprobs=parameters.logprobs(given),
    )  # fmt: skip
    asked = Request(
        request.messages, request.prompt, sampling=sampling, tools=request.tools,
        begun=request.begun, firm="think" if given.get("think") else "",
    )  # fmt: skip
    stream = given.flag("stream")
    return Asked(
        asked, model, stream=stream is not False, usage=True, options=loading, body=given.given,
        left_out=(*given.unread(), *parameters.unknown_options(given)),
    )  # fmt: skip
