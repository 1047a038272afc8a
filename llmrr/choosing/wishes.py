"""What a call states of the choice, and what its request demands of a model."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from llmrr.choosing.profiles import AS_CONFIGURED, Loading
from llmrr.config import Config
from llmrr.errors import InvalidRequest, UsageError
from llmrr.routing import Needs
from llmrr.routing.flags import Effect
from llmrr.routing.rejection import sorted_words
from llmrr.strategies import parse_strategy
from llmrr.types import Feature, Request

HANGS_ON_OTHERS: Final = ("round-robin", "least-loaded")
BYTES_PER_TOKEN: Final = 4  # of English text, about; only engines know


class Wish(NamedTuple):
    """What a call states of the choice: a model or a group by its name, how to choose, what is
    asked when that fails, what is needed (``--need``), how it is loaded; the user it is for; and
    the ``models`` that it is narrowed to, all where there are none. ``among`` are the names of the
    models of a side, the only ones that are looked at; ``caches``: the call itself says whether
    its answer may be kept; ``alone``: no other model is asked."""

    model: str | None = None
    strategy: str | None = None
    fallback: tuple[str, ...] = ()
    need: tuple[str, ...] = ()
    loading: Loading = AS_CONFIGURED
    user: str | None = None
    models: tuple[str, ...] = ()
    among: tuple[str, ...] | None = None
    caches: bool = False
    alone: bool = False


class Moment(NamedTuple):
    """What else a decision hangs on: see ``routing.State``."""

    seed: int = 0
    loaded: frozenset[str] = frozenset()
    busy: Mapping[str, int] = MappingProxyType({})
    kept: str | None = None


def require_text(request: Request) -> None:
    """Raise ``UsageError`` for halves of characters, which no model takes and no file holds, and
    ``InvalidRequest`` for what is no request."""
    if not isinstance(request, Request):
        raise InvalidRequest(
            f"run takes a Request, and {request!r:.60} is none", 'generate("…") takes texts'
        )
    for said in (request.prompt or "", *(one.content for one in request.messages)):
        try:
            said.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"the prompt is no text: {said[error.start]!a} is half of a character",
                'text.encode("utf-8", "replace").decode()',
            ) from None


def needs_of(request: Request, words: Sequence[str] = (), strategy: str = "") -> Needs:
    """What a request demands, with what ``words`` add."""
    features, tags = sorted_words(list(words))
    sampling = request.sampling
    asked = {
        "schema": sampling.schema is not None,
        "grammar": sampling.grammar is not None,
        "logprobs": bool(sampling.logprobs),
        "tools": bool(request.tools),
        "images": any(one.images for one in request.messages),
        "thinking": bool(request.firm) and sampling.think not in (None, "off"),
    }
    found = frozenset(name for name, is_needed in asked.items() if is_needed)
    size = sum(len(one.content.encode()) for one in request.messages)
    size += len((request.prompt or "").encode())
    return Needs(
        strategy=strategy,
        tokens=-(-size // BYTES_PER_TOKEN),
        answer_tokens=sampling.max_tokens,
        features=found | features,
        tags=tags,
        answers="embeddings" not in features,
    )


def strategy_of(wish: Wish, config: Config, flags: Effect) -> str:
    """How to choose. Within a group it is drawn by weight, unless the call says otherwise, or what
    is configured is a way to spread as well."""
    if wish.strategy is None:
        configured = flags.strategy or str(config.value("strategy"))
        is_free = wish.model is None or configured in HANGS_ON_OTHERS
        return configured if is_free else "random"
    try:
        return parse_strategy(wish.strategy)
    except ValueError as error:
        raise UsageError(str(error), "leave out strategy") from None


def require_answer(wish: Wish) -> None:
    """Raise ``UsageError`` where an answer is to come of a model of vectors."""
    if wants_vectors(wish.need):
        raise UsageError(
            "the need embedding is one of vectors, and this asks for an answer",
            "llmrr embed; llmrr route --need embedding shows which model that takes",
        )


def wants_vectors(words: Sequence[str]) -> bool:
    """Whether what is needed are vectors."""
    return bool(words) and Feature.EMBEDDINGS in sorted_words(list(words))[0]


def names_features(words: Sequence[str]) -> bool:
    """Whether what is needed is something that can be asked of a model, and not tags alone."""
    return bool(sorted_words(list(words))[0])


def require_one(request: Request, strategy: str) -> None:
    """Raise ``UsageError`` for several answers of an ensemble, which agrees on one."""
    if strategy == "ensemble" and request.n > 1:
        raise UsageError(
            f"n = {request.n} with the strategy ensemble, which takes one of all answers",
            "n = 1, or another strategy",
        )


def require_unstated(wish: Wish) -> None:
    """Raise ``UsageError`` for what is stated of a choice that there is not."""
    for what, stated in (("strategy", wish.strategy), ("need", wish.need)):
        if stated:
            why = "one model is named" if wish.model else "there are no [[models]]"
            raise UsageError(f"{what} has nothing to choose among: {why}", f"leave out {what}")


def weights_of(config: Config) -> tuple[float, float, float]:
    """``[weights]``, of quality, cost and speed."""
    quality, cost, speed = (config.value(f"weights.{one}") for one in ("quality", "cost", "speed"))
    return quality, cost, speed  # type: ignore[return-value]
