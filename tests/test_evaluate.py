"""Perplexity and divergence against what the same formulas give by hand."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import llmrr.builtin
from llmrr import evaluate
from llmrr.engines import llamacpp
from llmrr.engines.base import Options
from llmrr.errors import EngineFailed, Unsupported, UsageError
from llmrr.types import Format, ModelFiles, ModelInfo

MODEL = Path(llmrr.builtin.__file__).with_name("mini.gguf")
VOCABULARY = 7


class Scripted:
    """Its logits are a function of the token before; what it was asked is kept."""

    info = ModelInfo(Format.GGUF, "llama", add_bos=True, special_tokens={"bos": 6})

    def __init__(self, seed: int = 0) -> None:
        self.table = np.random.default_rng(seed).normal(size=(VOCABULARY, VOCABULARY))
        self.asked: list[tuple[int, ...]] = []

    def tokenize(self, text: str) -> list[int]:
        return [int(letter) for letter in text]

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        self.asked.append(tuple(tokens))
        return self.table[list(tokens)].astype(np.float32)


def by_hand(table: np.ndarray, window: Sequence[int]) -> list[float]:
    """The losses of one window's second half, in plain Python."""
    losses = []
    for at in range(len(window) // 2, len(window) - 1):
        row = [float(np.float32(value)) for value in table[window[at]]]
        total = sum(math.exp(value) for value in row)
        losses.append(-math.log(math.exp(row[window[at + 1]]) / total))
    return losses


def test_perplexity_is_that_of_the_second_halves():
    model = Scripted()
    tokens = [1, 2, 3, 4, 5, 0, 1, 3, 5, 2, 4]
    told: list[tuple[int, int]] = []
    found = evaluate.perplexity(model, tokens, window=5, progress=lambda *at: told.append(at))
    assert model.asked == [(6, 2, 3, 4, 5), (6, 1, 3, 5, 2)]  # the eleventh token is left over
    losses = [loss for window in model.asked for loss in by_hand(model.table, window)]
    mean = sum(losses) / len(losses)
    variance = sum(loss * loss for loss in losses) / len(losses) - mean * mean
    assert found.tokens == len(losses) == 4
    assert found.value == pytest.approx(math.exp(mean), rel=1e-12)
    assert found.log == pytest.approx(mean)
    assert found.error == pytest.approx(math.exp(mean) * math.sqrt(variance / 3), rel=1e-9)
    assert told == [(1, 2), (2, 2)]


def test_a_short_text_is_one_window_and_a_shorter_one_is_refused():
    found = evaluate.perplexity(Scripted(), [1, 2, 3, 4], window=512)
    assert found.tokens == 1
    with pytest.raises(UsageError, match="2 tokens"):
        evaluate.perplexity(Scripted(), [1, 2])
    with pytest.raises(UsageError, match="window of 2"):
        evaluate.perplexity(Scripted(), [1, 2, 3], window=2)


def test_the_beginning_is_put_before_a_text_once():
    assert evaluate.text_tokens(Scripted(), "12") == [6, 1, 2]
    assert evaluate.text_tokens(Scripted(), "612") == [6, 1, 2]


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({"add_bos": False, "tokenizer": "llama"}, None),
        ({"tokenizer": "llama"}, 6),
        ({"tokenizer": "gpt2", "pre_tokenizer": "llama-bpe"}, 6),
        ({"tokenizer": "gpt2", "pre_tokenizer": "qwen2"}, None),
    ],
)
def test_which_models_want_a_beginning(facts, wanted):
    from llmrr.evaluate.texts import beginning

    assert beginning(ModelInfo(Format.GGUF, "x", special_tokens={"bos": 6}, **facts)) == wanted


def test_the_divergence_of_a_model_from_itself_is_nothing():
    logits = np.random.default_rng(1).normal(size=(40, 50)).astype(np.float32) * 30
    found = evaluate.divergence(logits, logits)
    assert (found.mean, found.maximum, found.same_top, found.tokens) == (0, 0, 1, 40)


def test_divergence_is_that_of_the_formula_and_blind_to_a_shift():
    random = np.random.default_rng(2)
    one, other = random.normal(size=(2, 100, 11))
    p, q = (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (one, other))
    wanted = (p * np.log(p / q)).sum(axis=1)
    parts = evaluate.DivergenceSum()
    parts.add(one[:33] + 5, other[:33])
    parts.add(one[33:], other[33:] - 1000)
    found = parts.result()
    assert found.mean == pytest.approx(wanted.mean())
    assert found.median == pytest.approx(np.median(wanted))
    assert found.p90 == pytest.approx(np.quantile(wanted, 0.9))
    assert found.p99 == pytest.approx(np.quantile(wanted, 0.99))
    assert found.maximum == pytest.approx(wanted.max())
    assert found.same_top == (p.argmax(1) == q.argmax(1)).mean()


def test_logits_that_exclude_a_token():
    never = [0.0, 1.0, -math.inf]
    assert evaluate.divergence([never], [never]).mean == 0
    assert math.isinf(evaluate.divergence([[0.0, 1.0, 2.0]], [never]).mean)
    assert evaluate.divergence([never], [[0.0, 1.0, 0.0]]).mean > 0
    assert evaluate.divergence([[0.0, 1.0, -900.0]], [never]).mean == 0  # rounds to no mass


def test_damage_and_other_vocabularies_are_refused():
    with pytest.raises(EngineFailed, match="no numbers"):
        evaluate.divergence([[0.0, math.nan]], [[0.0, 1.0]])
    with pytest.raises(Unsupported, match="2 and 3 tokens"):
        evaluate.divergence([[0.0, 1.0]], [[0.0, 1.0, 2.0]])


def test_two_models_on_the_same_text():
    one, other = Scripted(0), Scripted(0)
    other.table = one.table + np.random.default_rng(3).normal(size=one.table.shape) * 0.1
    tokens = list(np.random.default_rng(4).integers(0, VOCABULARY, 100))
    found = evaluate.compare(one, other, tokens, window=20)
    assert found.reference == evaluate.perplexity(one, tokens, window=20)
    assert found.perplexity == evaluate.perplexity(other, tokens, window=20)
    assert found.ratio == pytest.approx(found.perplexity.value / found.reference.value)
    assert 0 < found.ratio_error < found.perplexity.error
    assert found.divergence.tokens == found.perplexity.tokens == 45


def test_one_model_after_the_other_gives_the_same_as_both_at_once(tmp_path):
    one, other = Scripted(0), Scripted(0)
    other.table = one.table + np.random.default_rng(3).normal(size=one.table.shape) * 0.1
    one.table[5, 3], one.table[5, 4] = -math.inf, -1e9
    tokens = [int(token) for token in np.random.default_rng(4).integers(0, VOCABULARY, 100)]
    for at in range(1, 100):  # what is excluded does not follow
        if tokens[at - 1] == 5 and tokens[at] in (3, 4):
            tokens[at] = 2
    whole = evaluate.compare(one, other, tokens, window=20)
    file = tmp_path / "predictions"
    recording = evaluate.record_predictions(one, tokens, file, window=20)
    assert file.stat().st_size == 45 * (4 + 2 * VOCABULARY)
    found = evaluate.compare_recorded(recording, other)
    assert (found.reference, found.perplexity) == (whole.reference, whole.perplexity)
    assert (found.ratio, found.ratio_error) == (whole.ratio, whole.ratio_error)
    assert found.divergence.mean == pytest.approx(whole.divergence.mean, rel=2e-3)
    assert found.divergence.maximum == pytest.approx(whole.divergence.maximum, rel=2e-3)
    assert found.divergence.same_top == whole.divergence.same_top
    itself = evaluate.compare_recorded(recording, one)
    assert itself.ratio == 1 and itself.divergence.mean < 1e-6
    # Of five windows, as many as there is room for.
    most = file.stat().st_size // 5 * 2
    few = evaluate.record_predictions(one, tokens, tmp_path / "few", window=20, most_bytes=most)
    assert [recording.windows.index(window) for window in few.windows] == [0, 3]
    assert (tmp_path / "few").stat().st_size == most


def test_a_model_that_gives_no_numbers_is_not_recorded(tmp_path):
    one = Scripted(0)
    one.table[:] = math.nan
    with pytest.raises(EngineFailed, match="no numbers"):
        evaluate.record_predictions(one, [1, 2, 3, 4, 5], tmp_path / "x")


def test_a_real_model_predicts_its_own_sentences_well():
    model = llamacpp.ENGINE.load(ModelFiles(MODEL, Format.GGUF), Options(threads=1))
    try:
        known = evaluate.text_tokens(model, "the capital of france is paris. " * 8)
        found = evaluate.perplexity(model, known, window=32)
        mixed = evaluate.perplexity(model, known[::-1], window=32)
        assert found.tokens == 15 * (len(known) // 32)
        assert found.value < mixed.value
    finally:
        model.close()
