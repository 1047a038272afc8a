"""What every local engine but llama.cpp shares: the runner, requests, streams, over a backend of
arithmetic whose logits depend on every token before."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from backends import INFO, Arithmetic, arithmetic, byte_tokenizer

from llmrr.engines.base import Options
from llmrr.engines.local import LocalModel, refuse_stated
from llmrr.errors import ContextOverflow, EngineFailed, FeatureMissing, UsageError
from llmrr.types import Chunk, Message, Request, Sampling

LONG = "the capital of France is Paris and the capital of Spain is Madrid, said the world"


def raw(prompt: str, n: int = 1, **sampling: object) -> Request:
    stated = {"temperature": 0.0, "max_tokens": 12, "ignore_eos": True, **sampling}
    return Request(prompt=prompt, sampling=Sampling(**stated), n=n)  # type: ignore[arg-type]


def tokens_of(chunks: list[Chunk], index: int = 0) -> list[int]:
    return [token for chunk in chunks if chunk.index == index for token in chunk.tokens]


def reference(model: LocalModel, prompt: str, count: int) -> list[int]:
    """Greedy tokens that do not end the text, each computed anew."""
    known = model.tokenize(prompt)
    for _ in range(count):
        row = model.logits(known)[-1]
        row[list(model.tokens.ends)] = -np.inf
        known.append(int(row.argmax()))
    return known[-count:]


@contextmanager
def held(model: LocalModel) -> Iterator[None]:
    """Nothing is computed while this lasts, so that what is asked meanwhile starts together."""
    gate = threading.Event()
    model._runner.later(gate.wait)
    try:
        yield
    finally:
        gate.set()


@pytest.fixture(params=["plain", "no fork", "no trim", "together", "small chunks"])
def model(request: pytest.FixtureRequest) -> Iterator[LocalModel]:
    size = byte_tokenizer().get_vocab_size()
    kinds = {
        "plain": {}, "no fork": {"forks": False}, "no trim": {"trims": False},
        "together": {"together": 3}, "small chunks": {"chunk": 7},
    }  # fmt: skip
    made, _ = arithmetic(Arithmetic(size, **kinds[request.param]), slots=4)
    yield made
    made.close()


def test_eight_at_once_each_say_what_they_say_alone(model: LocalModel) -> None:
    prompts = [f"{LONG} {'x' * number}" for number in range(8)]
    expected = [reference(model, prompt, 12) for prompt in prompts]
    got: dict[int, list[int]] = {}

    def ask(number: int) -> None:
        got[number] = tokens_of(list(model.generate(raw(prompts[number]))))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [got[number] for number in range(8)] == expected


def test_a_prefix_is_computed_once_even_while_it_is_being_computed(model: LocalModel) -> None:
    with held(model):
        streams = [model.generate(raw(LONG + ending)) for ending in ("A", "B", "C")]
    chunks = [list(stream) for stream in streams]
    assert [tokens_of(part) for part in chunks] == [
        reference(model, LONG + ending, 12) for ending in ("A", "B", "C")
    ]
    cached = [part[-1].usage.cached_tokens for part in chunks if part[-1].usage]
    shares = model._backend.forks
    assert cached == ([0, len(LONG), len(LONG)] if shares else [0, 0, 0])


def test_a_conversation_that_goes_on_computes_only_what_is_new() -> None:
    model, backend = arithmetic()
    list(model.generate(raw(LONG)))
    backend.computed.clear()
    chunks = list(model.generate(raw(LONG + "!?", max_tokens=1)))
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.cached_tokens, backend.computed) == (len(LONG), [2])
    model.close()


def test_choices_differ_by_their_seed_and_the_same_seed_repeats(model: LocalModel) -> None:
    texts = []
    for _ in range(2):
        chunks = list(model.generate(raw("x", n=3, temperature=2.0, seed=5)))
        texts.append([tokens_of(chunks, index) for index in range(3)])
    assert texts[0] == texts[1]
    assert len({tuple(one) for one in texts[0]}) == 3
    one = list(model.generate(raw("x", temperature=2.0, seed=6)))
    assert tokens_of(one) == texts[0][1]


def test_cancel_takes_effect_within_one_step_also_of_a_prompt() -> None:
    model, backend = arithmetic(slots=2)
    backend.gate = threading.Event()
    stream = model.generate(raw(LONG))
    while not backend.computed:
        time.sleep(0.001)
    stream.cancel()
    chunks = list(stream)  # the gate is still shut
    assert chunks[-1].finish_reason == "cancelled"
    backend.gate.set()
    assert tokens_of(list(model.generate(raw(LONG)))) == reference(model, LONG, 12)
    model.close()


def test_cancelling_one_leaves_the_others_alone(model: LocalModel) -> None:
    with held(model):
        other = model.generate(raw(LONG + "!"))
        stream = model.generate(raw(LONG, max_tokens=900))
    for _ in range(3):
        next(stream)
    stream.cancel()
    assert list(stream)[-1].finish_reason == "cancelled"
    assert tokens_of(list(other)) == reference(model, LONG + "!", 12)


def test_an_error_of_one_request_ends_that_one_only() -> None:
    model, backend = arithmetic(slots=2)
    backend.fails_at = model.tokenize("#")[0]
    with held(model):
        good, bad = model.generate(raw(LONG)), model.generate(raw("a # b"))
    with pytest.raises(RuntimeError, match="token"):
        list(bad)
    assert tokens_of(list(good)) == reference(model, LONG, 12)
    model.close()


def test_closing_ends_what_is_running_and_frees_the_model_once() -> None:
    model, backend = arithmetic()
    stream = model.generate(raw("x", max_tokens=1000))
    next(stream)
    waiting = model.generate(raw("y"))
    model.close()
    model.close()
    for one in (stream, waiting):
        with pytest.raises(EngineFailed, match="closed"):
            list(one)
    assert backend.closed == 1
    for use in (lambda: model.generate(raw("x")), lambda: model.logits([1]),
                lambda: model.tokenize("x"), lambda: model.embed(["x"])):  # fmt: skip
        with pytest.raises(EngineFailed, match="closed"):
            use()


def test_a_listener_that_fails_ends_its_own_answer_alone(model: LocalModel) -> None:
    def fail(chunk: Chunk) -> None:
        raise SystemExit("no more, thank you")

    with held(model):
        other = model.generate(raw(LONG))
        stream = model.generate(raw("x"), fail)
    assert list(other)[-1].finish_reason == "length"
    with pytest.raises(SystemExit, match="no more"):
        list(stream)


def test_the_context_is_the_limit_of_prompt_and_answer(model: LocalModel) -> None:
    small, _ = arithmetic(context_size=8)
    with pytest.raises(ContextOverflow, match=r"has 8 tokens.* holds 8"):
        small.generate(raw("12345678"))
    stream = small.generate(raw("1234", max_tokens=None))
    chunks = list(stream)
    assert (stream.context_size, chunks[-1].finish_reason) == (8, "length")
    assert len(tokens_of(chunks)) == 4
    with pytest.raises(ContextOverflow, match="9 tokens"):
        small.logits(range(9))
    small.close()


@pytest.mark.parametrize("stop", ["stop", "end"])
def test_answers_end_at_a_stop_string_and_at_the_end_of_a_turn(stop: str) -> None:
    model, _ = arithmetic()
    everything = tokens_of(list(model.generate(raw("x"))))
    if stop == "stop":
        word = bytes(b for t in everything[4:6] for b in model.tokens.piece(t)).decode("latin1")
        request = raw("x", stop=(word,)) if word.isascii() else raw("x", max_tokens=4)
        chunks = list(model.generate(request))
        assert tokens_of(chunks)[:4] == everything[:4]
        assert len(tokens_of(chunks)) <= 6
    else:
        bias = {1: 1000.0}
        chunks = list(model.generate(raw("x", logit_bias=bias, ignore_eos=False)))
        assert (chunks[-1].finish_reason, tokens_of(chunks)) == ("stop", [])
        chunks = list(model.generate(raw("x", logit_bias=bias)))
        assert len(tokens_of(chunks)) == 12
    model.close()


def test_messages_go_through_the_template_and_reasoning_is_kept_apart() -> None:
    model, _ = arithmetic()
    request = Request(messages=(Message("user", "ab"),), sampling=Sampling(
        temperature=0.0, max_tokens=9, logit_bias={4: 1000.0}))  # fmt: skip
    chunks = list(model.generate(request))
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 4  # <|im_start|> a b <|im_end|>
    assert "".join(chunk.text for chunk in chunks) == ""
    assert "".join(chunk.reasoning for chunk in chunks) == "<think>" * 8
    model.close()


def test_log_probabilities_are_those_of_the_unmodified_distribution() -> None:
    model, _ = arithmetic()
    sampling = {"max_tokens": 1, "logprobs": 3, "logit_bias": {9: -100.0}}
    [measured] = list(model.generate(raw(LONG, **sampling)))[-1].logprobs
    logits = model.logits(model.tokenize(LONG))[-1].astype(np.float64)
    expected = np.sort(logits - np.log(np.exp(logits).sum()))[::-1]
    assert [value for _, value in measured.top] == pytest.approx(expected[:3].tolist(), abs=1e-5)
    model.close()


@pytest.mark.parametrize("temperature", [0.0, 3.0])
def test_a_schema_is_obeyed(temperature: float) -> None:
    model, _ = arithmetic(slots=2)
    schema = {
        "type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"],
        "additionalProperties": False,
    }  # fmt: skip
    request = raw("x", schema=schema, temperature=temperature, seed=1, ignore_eos=None,
                  max_tokens=60)  # fmt: skip
    text = "".join(chunk.text for chunk in model.generate(request))
    assert json.loads(text)["ok"] in (True, False)
    grammar = raw("x", grammar='root ::= "ja" | "nö"', ignore_eos=None)
    assert "".join(chunk.text for chunk in model.generate(grammar)) in ("ja", "nö")
    with pytest.raises(UsageError):
        model.generate(raw("x", grammar="root ::= ("))
    model.close()


def test_a_model_without_a_template_is_told_so_and_bounded() -> None:
    from dataclasses import replace

    model, _ = arithmetic(info=replace(INFO, chat_template=None, add_bos=True))
    request = Request(messages=(Message("user", "x"),),
                      sampling=Sampling(temperature=0.0, ignore_eos=True))  # fmt: skip
    stream = model.generate(request)
    assert "chatml" in stream.notes[0]
    chunks = list(stream)
    assert len(tokens_of(chunks)) == 512
    usage = list(model.generate(raw("<s>ab")))[-1].usage
    assert usage is not None and usage.prompt_tokens == 3  # BOS stands once
    model.close()


def test_no_embeddings_is_an_error_that_names_the_engine() -> None:
    model, _ = arithmetic()
    with pytest.raises(FeatureMissing, match="arithmetic engine makes no embeddings"):
        model.embed(["x"])
    model.close()


def test_numbers_that_are_none_are_an_error() -> None:
    model, backend = arithmetic()
    backend.every = lambda state, tokens: np.full((1, 300), np.nan, np.float32)  # type: ignore[method-assign]
    for temperature in (0.0, 1.0):
        with pytest.raises(EngineFailed, match="no numbers"):
            list(model.generate(raw("x", temperature=temperature)))
    model.close()


def test_what_an_engine_has_not_is_named() -> None:
    from pathlib import Path

    refuse_stated(Options(), "onnx", ("lora", "kv_type"))
    with pytest.raises(FeatureMissing, match="onnx engine has no kv_type q8_0"):
        refuse_stated(Options(kv_type="q8_0"), "onnx", ("lora", "kv_type"))
    with pytest.raises(FeatureMissing, match="no adapters"):
        refuse_stated(Options(lora=((Path("x"), 1.0),)), "onnx", ("lora", "kv_type"))
