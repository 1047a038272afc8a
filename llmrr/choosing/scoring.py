"""How likely a model finds the tokens of a text that is given."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from llmrr.choosing.opening import Opened
from llmrr.engines import sampler
from llmrr.engines.base import Model
from llmrr.errors import FeatureMissing, InvalidRequest
from llmrr.types import Request, TokenLogprob

MOST_BYTES: Final = 2**30  # of logits: a row of the vocabulary for each token


class Scored(NamedTuple):
    """The tokens of a prompt. The first one has no ``logprob`` where nothing stands before it."""

    tokens: tuple[TokenLogprob, ...]
    is_first_known: bool

    @property
    def text(self) -> str:
        """The prompt as its tokens spell it."""
        return "".join(one.text for one in self.tokens)


def scored(opened: Opened, request: Request, top: int | None) -> Scored:
    """The prompt of a request, its tokens with ``top`` alternatives; None computes nothing. Raises
    ``FeatureMissing`` where only a provider knows them, ``InvalidRequest`` for too long a text."""
    model = opened.model
    given = opened.prompt_tokens(request)
    pieces = None if given is None else model.pieces(given)
    if given is None or pieces is None:
        raise FeatureMissing(
            f"{opened.engine} tells nothing of a prompt's tokens", "a model on this machine"
        )
    hidden = _added(model, request, given)
    if top is None:
        return Scored(tuple(TokenLogprob(one, 0.0) for one in _texts(pieces[hidden:])), False)
    size = model.info.vocabulary or 0
    if len(given) * size * 4 > MOST_BYTES:
        said = f"a prompt of {len(given)} tokens is too long to tell how likely each is"
        raise InvalidRequest(said, f"{MOST_BYTES // (size * 4)} tokens at most")
    rows, texts = model.logits(given), _texts(pieces)
    found = [replace(TokenLogprob.of(pieces[:1], [0.0]), text=texts[0])]
    for row, token, text in zip(rows, given[1:], texts[1:], strict=False):
        of, likeliest = sampler.top_logprobs(row, top)
        spelled = model.pieces([token, *(one for one, _ in likeliest)]) or []
        made = TokenLogprob.of(spelled, [of(token), *(value for _, value in likeliest)])
        found.append(replace(made, text=text))
    return Scored(tuple(found[hidden:]), hidden > 0)


def _added(model: Model, request: Request, given: Sequence[int]) -> int:
    """How many tokens stand before those of the text: what a model wants at its beginning."""
    if request.prompt is None:
        return 0
    return len(given) - len(model.tokenize(request.prompt) or given)


def _texts(pieces: Sequence[bytes]) -> list[str]:
    """Their texts. A character of several tokens is told with the last of them."""
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    found = [decoder.decode(one) for one in pieces]
    if found:
        found[-1] += decoder.decode(b"", final=True)
    return found
