"""The sampler in numpy, against llama.cpp's own chain on the same logits."""

import ctypes
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from llmrr.engines.llamacpp.api import api
from llmrr.engines.sampler import REPEAT_WINDOW, Sampler, best, top_logprobs
from llmrr.errors import EngineFailed
from llmrr.types import Sampling

SIZE = 1000


def of_llama_cpp(
    logits: np.ndarray, sampling: Sampling, prompt: list[int]
) -> dict[int, float]:
    """Which tokens may be drawn, and their probabilities, as llama.cpp has them before it draws."""
    binding = api()
    chain = binding.llama_sampler_chain_init(binding.llama_sampler_chain_default_params())

    def add(kind: str, *arguments: object) -> None:
        link = getattr(binding, f"llama_sampler_init_{kind}")(*arguments)
        binding.llama_sampler_chain_add(chain, link)

    if sampling.logit_bias:
        pairs = (binding.llama_logit_bias * len(sampling.logit_bias))(*sampling.logit_bias.items())
        add("logit_bias", len(logits), len(pairs), pairs)
    add("penalties", len(logits), REPEAT_WINDOW, sampling.repeat_penalty or 1.0,
        sampling.frequency_penalty or 0.0, sampling.presence_penalty or 0.0)  # fmt: skip
    if sampling.top_k:
        add("top_k", sampling.top_k)
    for kind, value in (("typical", sampling.typical_p), ("top_p", sampling.top_p),
                        ("min_p", sampling.min_p)):  # fmt: skip
        if value is not None:
            add(kind, value, ctypes.c_size_t(1))
    add("temp", sampling.temperature)
    for token in prompt[-REPEAT_WINDOW:]:
        binding.llama_sampler_accept(chain, token)
    data = (binding.llama_token_data * len(logits))(
        *[(token, float(logit), 0.0) for token, logit in enumerate(logits)]
    )
    array = binding.llama_token_data_array(data, len(logits), -1, False)
    binding.llama_sampler_apply(chain, ctypes.byref(array))
    kept = {array.data[n].id: array.data[n].logit for n in range(array.size)}
    binding.llama_sampler_free(chain)
    top = max(kept.values())
    heights = {token: math.exp(value - top) for token, value in kept.items()}
    total = sum(heights.values())
    return {token: height / total for token, height in heights.items() if height > 0}


def of_ours(logits: np.ndarray, sampling: Sampling, prompt: list[int]) -> dict[int, float]:
    sampler = Sampler(sampling, prompt, 0, ())
    row = logits.copy()
    sampler._adjust(row)
    tokens, values = sampler._candidates(row)
    ids = range(len(values)) if tokens is None else tokens.tolist()
    heights = np.exp((values.astype(np.float64) - values.max()) / sampling.temperature)
    heights /= heights.sum()
    return {token: float(one) for token, one in zip(ids, heights, strict=True) if one > 0}


CASES = {
    "temperature": {"temperature": 0.7},
    "top-k": {"top_k": 40},
    "top-p": {"top_p": 0.9},
    "top-p of nearly all": {"top_p": 0.999, "temperature": 1.5},
    "min-p": {"min_p": 0.05},
    "typical": {"typical_p": 0.6},
    "all": {"top_k": 100, "typical_p": 0.9, "top_p": 0.9, "min_p": 0.02, "temperature": 0.5},
    "penalties": {"repeat_penalty": 1.3, "frequency_penalty": 0.4, "presence_penalty": 0.7},
    "bias": {"logit_bias": {3: 5.0, 7: -100.0}, "top_k": 5},
    "the usual": {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "temperature": 0.8},
    "one": {"top_k": 1},
    "nothing left but one": {"top_p": 0.0, "min_p": 1.0},
}


@pytest.mark.parametrize("stated", CASES.values(), ids=CASES)
@pytest.mark.parametrize("spread", [0.5, 3.0])
def test_the_same_tokens_stay_with_the_same_probability(
    stated: dict[str, object], spread: float
) -> None:
    random = np.random.default_rng(3)
    sampling = Sampling(**{"temperature": 1.0, **stated})  # type: ignore[arg-type]
    prompt = random.integers(0, 50, 100).tolist()
    for _ in range(3):
        logits = (random.standard_normal(SIZE) * spread).astype(np.float32)
        expected, got = of_llama_cpp(logits, sampling, prompt), of_ours(logits, sampling, prompt)
        # Where a share is reached is a matter of rounding: one token more or less, of the rarest.
        odd = expected.keys() ^ got.keys()
        assert len(odd) <= 1
        for token in expected.keys() & got.keys():
            assert got[token] == pytest.approx(expected[token], rel=2e-2 if odd else 1e-3)


def test_draws_follow_the_probabilities_and_the_seed() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    draws = [Sampler(Sampling(temperature=1.0, seed=seed), [], 0, ()).sample(logits.copy())
             for seed in range(4000)]  # fmt: skip
    shares = np.bincount(draws, minlength=3) / len(draws)
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.03)
    one, other = (Sampler(Sampling(temperature=1.0, seed=7), [], 0, ()) for _ in range(2))
    rows = np.random.default_rng(1).standard_normal((30, 50)).astype(np.float32)
    assert [one.sample(row.copy()) for row in rows] == [other.sample(row.copy()) for row in rows]
    second = Sampler(Sampling(temperature=1.0, seed=6), [], 1, ())
    third = Sampler(Sampling(temperature=1.0, seed=7), [], 0, ())
    assert [second.sample(row.copy()) for row in rows] == [third.sample(row.copy()) for row in rows]


def test_greedy_never_draws_and_ends_can_be_ignored() -> None:
    logits = np.array([1.0, 5.0, 4.0], np.float32)
    assert Sampler(Sampling(temperature=0.0), [], 0, (1,)).sample(logits.copy()) == 1
    ignoring = Sampling(temperature=0.0, ignore_eos=True)
    assert Sampler(ignoring, [], 0, (1, 99)).sample(logits.copy()) == 2
    assert Sampler(Sampling(logit_bias={0: 9.0, 77: 1.0}), [], 0, ()).sample(logits.copy()) == 0


def test_penalties_look_back_on_what_was_drawn() -> None:
    sampler = Sampler(Sampling(temperature=0.0, presence_penalty=2.0), [], 0, ())
    logits = np.array([1.0, 2.0, 1.5], np.float32)
    assert [sampler.sample(logits.copy()) for _ in range(4)] == [1, 2, 0, 1]


@given(
    some.lists(some.floats(-9, 9, width=32), min_size=1, max_size=700), some.integers(1, 800)
)
@settings(max_examples=60, deadline=None)
def test_the_best_are_those_of_a_sort(values: list[float], count: int) -> None:
    logits = np.array(values, np.float32)
    expected = np.argsort(-logits, kind="stable")[:count]
    assert best(logits, count).tolist() == expected.tolist()


def test_log_probabilities() -> None:
    logits = np.array([1.0, 2.0, 3.0], np.float32)
    logprob, top = top_logprobs(logits, 2)
    total = math.log(sum(math.exp(value) for value in (1, 2, 3)))
    assert [token for token, _ in top] == [2, 1]
    assert logprob(0) == pytest.approx(1 - total)
    assert top_logprobs(logits, 0)[1] == []


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_no_numbers_are_an_error(value: float, temperature: float) -> None:
    with pytest.raises(EngineFailed, match="no numbers"):
        Sampler(Sampling(temperature=temperature), [], 0, ()).sample(np.full(99, value, np.float32))


def test_a_large_vocabulary_is_not_sorted() -> None:
    logits = np.random.default_rng(1).standard_normal(150_000).astype(np.float32)
    sampler = Sampler(Sampling(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05), [], 0, ())

    def took(work: object) -> float:
        began = time.perf_counter()
        work()  # type: ignore[operator]
        return time.perf_counter() - began

    ours = min(took(lambda: sampler.sample(logits)) for _ in range(20))
    sort = min(took(lambda: np.argsort(logits)) for _ in range(5))
    assert ours < sort / 3


def test_nothing_ends_an_answer_before_so_many_tokens():
    for more in ({}, {"temperature": 1.0, "seed": 1}):
        sampling = Sampling(min_tokens=2, stop_tokens=(5, SIZE + 5), **{"temperature": 0.0, **more})
        sampler = Sampler(sampling, [], 0, (6,))
        logits = np.zeros(SIZE, np.float32)
        logits[[5, 6, 7]] = 90, 80, 70
        assert [sampler.sample(logits.copy()) for _ in range(3)] == [7, 7, 5]
    assert Sampler(Sampling(temperature=0.0, min_tokens=2), [], 0, ()).sample(logits) == 5
