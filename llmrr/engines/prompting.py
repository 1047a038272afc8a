"""What every engine does with a request before anything is computed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from llmrr.engines.markers import COMMON
from llmrr.engines.templates import DEFAULT_NAME, Prompt, Template
from llmrr.engines.thinking import thinks
from llmrr.errors import ContextOverflow, FeatureMissing, UsageError
from llmrr.types import Image, Request, Sampling

if TYPE_CHECKING:
    from llmrr.engines.calls.offer import Thoughts
    from llmrr.engines.constrain import Constraint, Vocabulary

UNTEMPLATED_MAX_TOKENS: Final = 512  # a model without a chat template may never end its turn
TOOL_TEMPLATE: Final = "tool_use"  # the name that Hugging Face gives it
NO_TEMPLATE: Final = f"the model has no chat template: {DEFAULT_NAME} is used"


def require_numbers(request: Request) -> None:
    """Raise ``UsageError`` for numbers that must be at least one and are not."""
    for name, number in (("n", request.n), ("max_tokens", request.sampling.max_tokens)):
        if number is not None and number < 1:
            raise UsageError(f"{name} is {number}", f"{name} must be at least 1")


def require_local(request: Request, engine: str, *, sees: bool = False) -> None:
    """The same for an engine on this machine, which takes texts and tools, and images where it
    ``sees``. Raises ``FeatureMissing`` too."""
    require_numbers(request)
    if not sees and any(one.images for one in request.messages):
        raise FeatureMissing(
            f"the {engine} engine takes no images", "leave out the images, or ask a provider"
        )
    if not (request.tools or request.tool_choice):
        return
    from llmrr.engines.calls.offer import require

    if request.tools and (request.prompt is not None or request.tokens):
        raise UsageError("a raw prompt takes no tools", "give messages, or leave out the tools")
    require(request)


def require_thinking(request: Request, template: Template) -> None:
    """Raise ``FeatureMissing`` where a client insists that a model thinks, and its template knows
    of no thoughts."""
    if request.firm and request.sampling.think not in (None, "off") and not thinks(template.text):
        error = FeatureMissing("the model does not support thinking", f"leave out {request.firm}")
        error.param = request.firm
        raise error


def has_tools(request: Request) -> bool:
    """Has it tools to be offered, or is one called in its conversation?"""
    offered = bool(request.tools) and request.tool_choice != "none"
    return offered or any(one.tool_calls or one.role == "tool" for one in request.messages)


def prompted(request: Request, template: Template, *, templated: bool) -> Prompt:
    """The text that the model is given; ``templated``: the template is its own or was stated.
    Raises ``Unsupported`` where the template refuses the messages, and what ``require_thinking``
    does."""
    require_thinking(request, template)
    if request.prompt is not None or request.tokens:
        return Prompt((request.prompt or "") + request.begun, template.markers)
    tools = () if request.tool_choice == "none" else request.tools
    prompt = template.prompt(
        request.messages, think=request.sampling.think, tools=tools, tool_choice=request.tool_choice
    )
    if request.begun:
        prompt = _begun(prompt, request.begun)
    if templated:
        return prompt
    return replace(prompt, notes=(NO_TEMPLATE, *prompt.notes))


def marked(request: Request, marker: str) -> Request:
    """The request with a marker in its texts where its images stand.

    >>> from llmrr.types import Image, Message
    >>> request = Request(messages=(Message.of("user", Image(data=b""), "What?"),))
    >>> marked(request, "<>").messages == (Message("user", "<>What?"),)
    True
    """
    messages = (
        replace(one, parts=(), content="".join(
            part if isinstance(part, str) else marker for part in one.parts
        )) if one.images else one
        for one in request.messages
    )  # fmt: skip
    return replace(request, messages=tuple(messages))


def image_data(request: Request) -> list[bytes]:
    """The bytes of its images in their order. Raises ``FeatureMissing`` for one that lies
    elsewhere."""
    return [_data(image) for message in request.messages for image in message.images]


def _data(image: Image) -> bytes:
    if image.data is not None:
        return image.data
    head, comma, text = (image.url or "").partition(",")
    if head.startswith("data:") and head.endswith(";base64") and comma:
        from base64 import b64decode
        from binascii import Error

        try:
            return b64decode(text, validate=True)
        except (Error, ValueError):
            raise UsageError("an image's data: address holds no base64", "name a file") from None
    raise FeatureMissing(
        f"a model on this machine fetches no image: {image.url}",
        "save it, and name the file, or send it as a data: URL",
    )


def require_known(tokens: Sequence[int], size: int) -> None:
    """Raise ``UsageError`` for a token that the model has not, of ``size`` that there are."""
    for token in tokens:
        if not 0 <= token < size:
            said = f"the model has no token {token}"
            raise UsageError(said, f"its {size} tokens are 0 to {size - 1}")


def require_sampled(sampling: Sampling, size: int) -> None:
    """The same for those that are to be likelier, or to end the answer."""
    require_known([*(sampling.logit_bias or ()), *(sampling.stop_tokens or ())], size)


def tokenized(
    request: Request, prompt: Prompt, tokenize: Callable[[str], list[int]], *, size: int
) -> list[int]:
    """The tokens of a prompt: those that the request states, of ``size`` that there are, or the
    text's. Raises ``UsageError`` for one that the model has not."""
    if not request.tokens:
        return tokenize(prompt.text)
    require_known(request.tokens, size)
    return [*request.tokens, *(tokenize(prompt.text) if prompt.text else ())]


def _begun(prompt: Prompt, answer: str) -> Prompt:
    """The prompt with the beginning of the answer; what was thought before it is over."""
    text = prompt.text
    if prompt.opened:
        text += ("" if text.endswith("\n") else "\n") + f"\n{prompt.markers.close[0]}\n\n"
    offer = prompt.offer
    if offer and offer.opened:
        text, offer = text + offer.syntax.addressed, replace(offer, opened="")
    return replace(prompt, text=text + answer, opened=False, offer=offer)


def constraint(
    sampling: Sampling, prompt: Prompt, vocabulary: "Callable[[], Vocabulary]"
) -> "Constraint | None":
    """What the tokens of an answer must obey: a schema, a grammar, what was promised of calls.

    Raises ``UsageError`` and ``FeatureMissing`` for what cannot be enforced."""
    offer, formal = prompt.offer, sampling.schema is not None
    if offer and offer.tools and (offer.constrains or formal):
        from llmrr.engines.calls.constraining import compile_calls

        thoughts = _thoughts(prompt, sampling)
        return compile_calls(vocabulary(), offer, sampling.schema, thoughts)
    if offer and offer.lazy:
        from llmrr.engines.calls.constraining import lazy_calls

        return lazy_calls(vocabulary(), offer)
    if not formal and sampling.grammar is None:
        return None
    from llmrr.engines.constrain import compile_constraint

    return compile_constraint(vocabulary(), schema=sampling.schema, grammar=sampling.grammar)


def _thoughts(prompt: Prompt, sampling: Sampling) -> "Thoughts":
    """What is seen of a thought before a call. A model whose template knows of none has none."""
    from llmrr.engines.calls.offer import Thoughts

    markers = prompt.markers
    behind = markers.skip[:1] or ("\n", "\n\n")
    if prompt.opened:
        return Thoughts((), behind)
    thinks = markers != COMMON and sampling.think != "off"
    return Thoughts(markers.open, behind) if thinks else Thoughts()


def with_bos(tokens: list[int], bos: int | None, *, adds: bool) -> list[int]:
    """The prompt's tokens with BOS in front exactly once, where the model ``adds`` it; at least
    one token.

    >>> with_bos([7], 1, adds=True), with_bos([1, 7], 1, adds=True), with_bos([], 1, adds=False)
    ([1, 7], [1, 7], [1])
    """
    if adds and bos is not None and tokens[:1] != [bos]:
        tokens = [bos, *tokens]
    return tokens or [bos if bos is not None else 0]


def bounded(sampling: Sampling, *, templated: bool) -> Sampling:
    """With a limit for a model that may never end its turn."""
    if templated or sampling.max_tokens is not None:
        return sampling
    return sampling.over(Sampling(max_tokens=UNTEMPLATED_MAX_TOKENS))


def beyond(context: int | None, trained: int | None) -> tuple[str, ...]:
    """The note on a stated context that is larger than the one which the model was trained for.

    >>> beyond(512, 512), beyond(None, 512), beyond(512, None)
    ((), (), ())
    """
    if context is None or trained is None or context <= trained:
        return ()
    said = f"its context of {context:,} tokens is longer than the {trained:,} that the model was"
    return (f"{said} trained for: after those what it says may be of no use",)


def overflow(what: str, count: int, limit: int, trained: int | None) -> ContextOverflow:
    """The error for ``what`` of ``count`` tokens where the context holds ``limit``."""
    message = f"the {what} has {count} tokens, and the context of this model holds {limit}"
    hint = "shorten it, or use a model with a longer context"
    if trained and trained > max(count, limit):
        hint = f"raise --ctx-size, up to {trained}"
    found = ContextOverflow(message, hint)
    found.what, found.tokens, found.limit = what, count, limit
    return found
