"""One sequence's sampler: a llama.cpp chain built from a ``Sampling``."""

import ctypes
from collections.abc import Callable, Mapping, Sequence

from llmrr.engines import sampler
from llmrr.engines.llamacpp.api import Vocab, api
from llmrr.engines.sampler import REPEAT_WINDOW, draw_seed
from llmrr.types import Sampling


class Sampler:
    """A sampler chain in llama.cpp's order: bias, penalties, top-k, typical-p, top-p, min-p,
    temperature, draw. Temperature 0 (or below) takes the most likely token."""

    def __init__(
        self, sampling: Sampling, vocab: Vocab, prompt: Sequence[int], choice: int
    ) -> None:
        self._api = api()
        self._chain = self._api.llama_sampler_chain_init(
            self._api.llama_sampler_chain_default_params()
        )
        ends = {*vocab.end_tokens, *(sampling.stop_tokens or ())}
        # For how many tokens more nothing ends the answer: so long the chain forbids these first.
        self._held = (sampling.min_tokens or 0) if ends else 0
        if self._held:
            self._add_pairs(vocab, dict.fromkeys(ends, float("-inf")))
        self._add_bias(sampling, vocab)
        penalised = self._add_penalties(sampling, vocab)
        if (sampling.temperature or 0.0) <= 0.0:
            self._add("greedy")
        else:
            self._add_draw(sampling, choice)
        if penalised:
            for token in prompt[-REPEAT_WINDOW:]:
                self._api.llama_sampler_accept(self._chain, token)

    def sample(self, context: object, row: int) -> int:
        """Draw from the logits of batch row ``row`` and remember the draw."""
        token: int = self._api.llama_sampler_sample(self._chain, context, row)
        if self._held:
            self._held -= 1
            if not self._held:
                first = self._api.llama_sampler_chain_remove(self._chain, 0)
                self._api.llama_sampler_free(first)
        return token

    def close(self) -> None:
        """Free the chain. Twice is allowed."""
        if self._chain is not None:
            self._api.llama_sampler_free(self._chain)
            self._chain = None

    def _add(self, kind: str, *arguments: object) -> None:
        link = getattr(self._api, f"llama_sampler_init_{kind}")(*arguments)
        self._api.llama_sampler_chain_add(self._chain, link)

    def _add_bias(self, sampling: Sampling, vocab: Vocab) -> None:
        bias = dict(sampling.logit_bias or {})
        if sampling.ignore_eos:
            bias |= dict.fromkeys(vocab.end_tokens, float("-inf"))
        self._add_pairs(vocab, bias)

    def _add_pairs(self, vocab: Vocab, bias: Mapping[int, float]) -> None:
        if bias:
            pairs = (self._api.llama_logit_bias * len(bias))(*bias.items())
            self._add("logit_bias", vocab.size, len(bias), pairs)

    def _add_penalties(self, sampling: Sampling, vocab: Vocab) -> bool:
        repeat = sampling.repeat_penalty or 1.0
        frequency, presence = sampling.frequency_penalty or 0.0, sampling.presence_penalty or 0.0
        wanted = (repeat, frequency, presence) != (1.0, 0.0, 0.0)
        if wanted:
            self._add("penalties", vocab.size, REPEAT_WINDOW, repeat, frequency, presence)
        return wanted

    def _add_draw(self, sampling: Sampling, choice: int) -> None:
        keep = ctypes.c_size_t(1)
        if sampling.top_k:
            self._add("top_k", sampling.top_k)
        for kind, value, neutral in (
            ("typical", sampling.typical_p, 1.0),
            ("top_p", sampling.top_p, 1.0),
            ("min_p", sampling.min_p, 0.0),
        ):
            if value is not None and value != neutral:
                self._add(kind, value, keep)
        self._add("temp", sampling.temperature)
        self._add("dist", draw_seed(sampling.seed, choice))


def top_logprobs(
    address: int, size: int, count: int
) -> tuple[Callable[[int], float], list[tuple[int, float]]]:
    """Log probabilities (natural) of logits at ``address``: a look-up by token, and the best."""
    import numpy as np

    return sampler.top_logprobs(
        np.ctypeslib.as_array((ctypes.c_float * size).from_address(address)), count
    )
