"""The llama.cpp engine on tiny real models: answers, batching, prefixes, cancelling, traps."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import builders
import numpy as np
import pytest

from llmrr.engines.base import Options
from llmrr.engines.llamacpp import ENGINE
from llmrr.engines.llamacpp import api as binding
from llmrr.engines.llamacpp.model import LlamaModel
from llmrr.errors import (
    BadConfig,
    ContextOverflow,
    DamagedFile,
    EngineFailed,
    FeatureMissing,
    Unsupported,
    UsageError,
)
from llmrr.formats import gguf
from llmrr.types import (
    Chunk,
    Format,
    Image,
    Message,
    ModelFiles,
    Request,
    Sampling,
    Tool,
)

GREEDY = Sampling(temperature=0.0, max_tokens=12)
LONG = "the capital of France is Paris and the capital of Spain is Madrid, said the world. " * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Path:
    return builders.tiny_llama(folder / "tiny.gguf", context=1024)


@pytest.fixture
def model(tiny: Path) -> Iterator[LlamaModel]:
    with_slots = load(tiny, slots=4)
    yield with_slots
    with_slots.close()


def load(path: Path, **options: object) -> LlamaModel:
    return ENGINE.load(ModelFiles(path, Format.GGUF), Options(**options))  # type: ignore[arg-type]


def raw(prompt: str, sampling: Sampling = GREEDY, n: int = 1) -> Request:
    return Request(prompt=prompt, sampling=sampling, n=n)


def said(chunks: list[Chunk], index: int = 0) -> str:
    return "".join(chunk.text for chunk in chunks if chunk.index == index)


def answer(model: LlamaModel, request: Request) -> str:
    return said(list(model.generate(request)))


@contextmanager
def held(model: LlamaModel) -> Iterator[None]:
    """Nothing is computed while this lasts, so that what is asked meanwhile starts together."""
    gate = threading.Event()
    model._batching.later(gate.wait)
    try:
        yield
    finally:
        gate.set()


def tokens_of(chunks: list[Chunk], index: int = 0) -> list[int]:
    return [token for chunk in chunks if chunk.index == index for token in chunk.tokens]


def reference(model: LlamaModel, prompt: str, count: int) -> list[int]:
    """Greedy tokens that do not end the text, each from a computation of everything before it."""
    known = model.tokenize(prompt)
    for _ in range(count):
        logits = model.logits(known)[-1]
        logits[list(model.vocab.end_tokens)] = -np.inf
        known.append(int(logits.argmax()))
    return known[-count:]


def test_greedy_takes_the_most_likely_token_of_each_step(model: LlamaModel) -> None:
    sampling = Sampling(temperature=0.0, max_tokens=6, ignore_eos=True)
    got = tokens_of(list(model.generate(raw("the capital of", sampling))))
    assert got == reference(model, "the capital of", 6)


def test_the_last_chunk_says_why_it_ended_and_what_it_took(model: LlamaModel) -> None:
    chunks = list(model.generate(raw("the capital of", GREEDY)))
    assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    last = chunks[-1]
    assert last.finish_reason in ("stop", "length")
    assert last.usage is not None
    assert last.usage.prompt_tokens == len(model.tokenize("the capital of"))
    assert last.usage.completion_tokens == len(tokens_of(chunks))
    assert last.usage.first_token_s is not None
    assert 0 < last.usage.first_token_s <= last.usage.total_s


def test_the_same_seed_gives_the_same_text_and_another_one_does_not(tiny: Path) -> None:
    def draw(seed: int) -> str:
        model = load(tiny)
        try:
            return answer(model, raw("hello", Sampling(temperature=2.0, seed=seed, max_tokens=30)))
        finally:
            model.close()

    assert draw(5) == draw(5)
    assert draw(5) != draw(6)


def test_sequences_in_one_batch_do_not_disturb_each_other(model: LlamaModel) -> None:
    prompts = ["the capital of", "hello world", "France is", "Madrid and Paris are"]
    sampling = Sampling(temperature=0.0, max_tokens=10, ignore_eos=True)
    alone = [tokens_of(list(model.generate(raw(prompt, sampling)))) for prompt in prompts]
    with held(model):
        streams = [model.generate(raw(prompt, sampling)) for prompt in prompts]
    assert [tokens_of(list(stream)) for stream in streams] == alone


def test_more_requests_than_slots_wait_their_turn(model: LlamaModel) -> None:
    streams = [model.generate(raw(f"request {number}")) for number in range(11)]
    assert [list(stream)[-1].finish_reason is not None for stream in streams] == [True] * 11


def test_several_threads_may_ask_at_once(model: LlamaModel) -> None:
    texts: dict[int, str] = {}

    def ask(number: int) -> None:
        texts[number] = answer(model, raw("the capital of", GREEDY))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(texts) == 6
    assert len(set(texts.values())) == 1


def test_several_choices_share_the_prompt_and_differ(model: LlamaModel) -> None:
    sampling = Sampling(temperature=2.0, seed=3, max_tokens=20, ignore_eos=True)
    chunks = list(model.generate(raw(LONG, sampling, n=3)))
    texts = {said(chunks, index) for index in range(3)}
    assert len(texts) == 3
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert len(usages) == 1
    assert usages[0].completion_tokens == 60
    finishes = [chunk for chunk in chunks if chunk.finish_reason]
    assert sorted(chunk.index for chunk in finishes) == [0, 1, 2]


def test_a_common_prefix_is_computed_once_even_while_it_is_being_computed(tiny: Path) -> None:
    model = load(tiny, slots=4)
    try:
        sampling = Sampling(temperature=0.0, max_tokens=5, ignore_eos=True)
        with held(model):
            streams = [model.generate(raw(LONG + ending, sampling)) for ending in ("A", "B", "C")]
        chunks = [list(stream) for stream in streams]
        prompt = len(model.tokenize(LONG))
        cached = [part[-1].usage.cached_tokens for part in chunks if part[-1].usage]
        assert cached[0] == 0
        assert all(prompt - 3 <= count <= prompt for count in cached[1:]), cached
        assert [tokens_of(part) for part in chunks] == [
            reference(model, LONG + ending, 5) for ending in ("A", "B", "C")
        ]
    finally:
        model.close()


def test_a_conversation_that_goes_on_computes_only_what_is_new(model: LlamaModel) -> None:
    first = Message("user", LONG)
    reply = answer(model, Request(messages=(first,), sampling=GREEDY))
    turns = (first, Message("assistant", reply), Message("user", "and then"))
    usage = list(model.generate(Request(messages=turns, sampling=GREEDY)))[-1].usage
    assert usage is not None
    assert usage.cached_tokens > 0.6 * usage.prompt_tokens


@pytest.mark.parametrize(
    ("name", "reuses"), [("sliding", False), ("recurrent", False), ("full", True)]
)
def test_a_prefix_is_reused_only_where_the_memory_allows_it(
    folder: Path, name: str, reuses: bool
) -> None:
    make = {
        "sliding": lambda path: builders.tiny_llama(
            path, architecture="gemma3", sliding_window=32, context=4096, layers=6
        ),
        "recurrent": lambda path: builders.tiny_mamba(path, context=4096),
        "full": lambda path: builders.tiny_llama(path, context=4096),
    }[name]
    path = folder / f"{name}.gguf"
    make(path)
    model = load(path, slots=2)
    try:
        sampling = Sampling(temperature=0.0, max_tokens=6, ignore_eos=True)
        # Long enough that a sliding window has left the common part behind.
        list(model.generate(raw(LONG + "one way to go on, " * 200, sampling)))
        chunks = list(model.generate(raw(LONG + "another way to end", sampling)))
        usage = chunks[-1].usage
        assert usage is not None
        assert (usage.cached_tokens > 0) == reuses
        assert tokens_of(chunks) == reference(model, LONG + "another way to end", 6)
        # In flight together, the prefix is copied just where it ends: any memory can.
        with held(model):
            streams = [model.generate(raw(LONG * 2 + end, sampling)) for end in ("left", "right")]
        both = [list(stream) for stream in streams]
        second = both[1][-1].usage
        assert second is not None
        assert second.cached_tokens >= len(model.tokenize(LONG * 2)) - 3
        assert tokens_of(both[1]) == reference(model, LONG * 2 + "right", 6)
    finally:
        model.close()


def test_a_gap_left_by_a_finished_sequence_is_closed_without_changing_answers(
    model: LlamaModel,
) -> None:
    def sampling(count: int) -> Sampling:
        return Sampling(temperature=0.0, max_tokens=count, ignore_eos=True)

    prompts = ["the capital of", "hello world", "France is", "Madrid and"]
    lengths = [60, 4, 60, 60]
    with held(model):
        streams = [
            model.generate(raw(prompt, sampling(count)))
            for prompt, count in zip(prompts, lengths, strict=True)
        ]
    got = [tokens_of(list(stream)) for stream in streams]
    for prompt, count, tokens in zip(prompts, lengths, got, strict=True):
        assert tokens[:6] == reference(model, prompt, min(6, count))[: len(tokens[:6])]
        assert tokens == tokens_of(list(model.generate(raw(prompt, sampling(count)))))


def test_cancel_ends_an_answer_within_one_step_and_leaves_the_others_alone(
    model: LlamaModel,
) -> None:
    endless = Sampling(temperature=1.0, seed=1, max_tokens=900, ignore_eos=True)
    other = model.generate(raw("hello world", Sampling(temperature=0.0, max_tokens=40)))
    stream = model.generate(raw("the capital of", endless))
    for _ in range(3):
        next(stream)
    stream.cancel()
    stream.cancel()
    rest = list(stream)
    assert rest[-1].finish_reason == "cancelled"
    assert list(other)[-1].finish_reason in ("stop", "length")
    assert answer(model, raw("hello", GREEDY)) == answer(model, raw("hello", GREEDY))


def test_closing_ends_what_is_running_and_twice_is_allowed(tiny: Path) -> None:
    model = load(tiny)
    stream = model.generate(raw("x", Sampling(max_tokens=900, ignore_eos=True)))
    next(stream)
    model.close()
    model.close()
    with pytest.raises(Exception, match="closed"):
        list(stream)


def test_chunks_are_pushed_when_someone_wants_them_pushed(model: LlamaModel) -> None:
    got: list[Chunk] = []
    done = threading.Event()

    def take(chunk: Chunk) -> None:
        got.append(chunk)
        if chunk.usage:
            done.set()

    model.generate(raw("the capital of", GREEDY), take)
    assert done.wait(30)
    assert said(got) == answer(model, raw("the capital of", GREEDY))


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_a_listener_that_fails_ends_its_own_answer_alone(
    model: LlamaModel, error: type[BaseException]
) -> None:
    def fail(chunk: Chunk) -> None:
        raise error("no more, thank you")

    with held(model):
        other = model.generate(raw("hello world", GREEDY))
        stream = model.generate(raw("the capital of", GREEDY), fail)
    assert list(other)[-1].finish_reason in ("stop", "length")
    with pytest.raises(error, match="no more"):
        list(stream)


def test_a_sequence_that_fails_leaves_the_others_alone(
    model: LlamaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrr.engines.constrain import Mask

    def stuck(self: Mask, pointer: int, size: int) -> None:
        raise EngineFailed("the grammar cannot be followed any further")

    monkeypatch.setattr(Mask, "apply", stuck)
    with held(model):
        other = model.generate(raw("hello world", GREEDY))
        stream = model.generate(raw("x", Sampling(grammar='root ::= "a"', max_tokens=3)))
    with pytest.raises(EngineFailed, match="any further"):
        list(stream)
    assert list(other)[-1].finish_reason in ("stop", "length")


@pytest.mark.parametrize("request_", [raw("x", n=0), raw("x", Sampling(max_tokens=0))])
def test_numbers_below_one_are_refused(model: LlamaModel, request_: Request) -> None:
    with pytest.raises(UsageError, match="is 0"):
        model.generate(request_)


def test_a_closed_model_says_so(tiny: Path) -> None:
    model = load(tiny)
    model.close()
    for use in (lambda: model.generate(raw("x")), lambda: model.embed(["x"]),
                lambda: model.tokenize("x"), lambda: model.logits([1])):  # fmt: skip
        with pytest.raises(EngineFailed, match="closed"):
            use()


def test_a_stop_string_that_spans_tokens_ends_the_answer(model: LlamaModel) -> None:
    free = Sampling(temperature=2.0, seed=8, max_tokens=60, ignore_eos=True)
    text = answer(model, raw("hello", free))
    stop = text[20:23]
    chunks = list(model.generate(raw("hello", Sampling(stop=(stop,)).over(free))))
    assert said(chunks) == text[: text.index(stop)]
    assert chunks[-1].finish_reason == "stop"


def test_bias_penalties_and_limits_act(model: LlamaModel) -> None:
    token = model.tokenize("world")[0]
    bias = Sampling(temperature=0.0, max_tokens=3, logit_bias={token: 100.0})
    assert tokens_of(list(model.generate(raw("x", bias)))) == [token] * 3
    repeat = Sampling(
        temperature=0.0, max_tokens=20, logit_bias={token: 9.0}, presence_penalty=50.0
    )
    assert tokens_of(list(model.generate(raw("x", repeat)))).count(token) <= 1
    narrow = Sampling(temperature=5.0, top_k=1, max_tokens=8, ignore_eos=True, seed=1)
    greedy = Sampling(temperature=0.0, max_tokens=8, ignore_eos=True)
    same = tokens_of(list(model.generate(raw("x", greedy))))
    assert tokens_of(list(model.generate(raw("x", narrow)))) == same
    for cut in (Sampling(top_p=1e-6), Sampling(min_p=1.0), Sampling(typical_p=1e-9)):
        loose = Sampling(temperature=5.0, top_k=0, max_tokens=8, ignore_eos=True, seed=1)
        got = tokens_of(list(model.generate(raw("x", cut.over(loose)))))
        if cut.typical_p is None:
            assert got == same


def test_logprobs_are_those_of_the_distribution(model: LlamaModel) -> None:
    sampling = Sampling(temperature=0.0, max_tokens=1, logprobs=3, ignore_eos=True)
    [measured] = list(model.generate(raw("the capital of", sampling)))[-1].logprobs
    logits = model.logits(model.tokenize("the capital of"))[-1].astype(np.float64)
    expected = np.sort(logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max())[::-1]
    assert [value for _, value in measured.top] == pytest.approx(expected[:3].tolist(), abs=1e-3)
    assert measured.logprob == pytest.approx(measured.top[0][1])


def test_a_prompt_that_does_not_fit_is_refused_with_both_numbers(tiny: Path) -> None:
    model = load(tiny, context_size=256)
    try:
        prompt = LONG * 4
        count = len(model.tokenize(prompt))
        with pytest.raises(ContextOverflow, match=rf"{count} tokens.* 256"):
            model.generate(raw(prompt))
        assert answer(model, raw("hello")) is not None
    finally:
        model.close()


def test_the_context_grows_with_what_a_request_needs(folder: Path) -> None:
    path = builders.tiny_llama(folder / "long.gguf", context=16384)
    model = load(path)
    try:
        short = model.generate(raw("hello", GREEDY))
        list(short)
        assert short.context_size == 4096
        long = model.generate(raw("hello", Sampling(temperature=0.0, max_tokens=7000, stop=("e",))))
        list(long)
        assert long.context_size is not None
        assert long.context_size >= 7000
    finally:
        model.close()


def test_the_size_asked_for_is_the_limit(tiny: Path) -> None:
    model = load(tiny, context_size=8)
    try:
        stream = model.generate(raw("x", Sampling(temperature=0.0, max_tokens=99, ignore_eos=True)))
        chunks = list(stream)
        assert (stream.context_size, chunks[-1].finish_reason) == (8, "length")
        assert len(tokens_of(chunks)) <= 8
    finally:
        model.close()


def test_a_context_beyond_what_was_trained_is_told(tiny: Path) -> None:
    trained = gguf.inspect(tiny).context_length or 0
    said = f"{2 * trained:,} tokens is longer than the {trained:,} that the model was trained for"
    for size, is_told in ((trained, False), (2 * trained, True), (None, False)):
        model = load(tiny, context_size=size)
        try:
            notes = model.generate(raw("x", Sampling(temperature=0.0, max_tokens=1))).notes
            assert any(said in note for note in notes) is is_told
        finally:
            model.close()


def test_an_answer_that_fills_the_context_ends_with_length(tiny: Path) -> None:
    model = load(tiny, context_size=256)
    try:
        chunks = list(model.generate(raw("x", Sampling(temperature=1.0, seed=1, ignore_eos=True))))
        assert chunks[-1].finish_reason == "length"
        assert 240 <= len(tokens_of(chunks)) <= 256
    finally:
        model.close()


def test_a_model_without_a_template_is_told_so_and_bounded(folder: Path) -> None:
    path = builders.tiny_llama(folder / "bare.gguf", template=None, context=2048)
    model = load(path)
    try:
        request = Request(
            messages=(Message("user", "hello"),),
            sampling=Sampling(temperature=1.0, seed=1, ignore_eos=True),
        )
        stream = model.generate(request)
        assert "chatml" in stream.notes[0]
        assert len(tokens_of(list(stream))) == 512
    finally:
        model.close()


@pytest.mark.parametrize("written", ["", "{{ bos_token }}"])
def test_the_first_token_stands_once_whoever_writes_it(tmp_path: Path, written: str) -> None:
    template = written + "{% for m in messages %}{{ m.content }}{% endfor %}"
    path = builders.tiny_llama(
        tmp_path / "bos.gguf", template=template, metadata={"tokenizer.ggml.add_bos_token": True}
    )
    model = load(path)
    try:
        request = Request(messages=(Message("user", "hello"),), sampling=GREEDY)
        usage = list(model.generate(request))[-1].usage
        assert usage is not None
        assert usage.prompt_tokens == 1 + len(model.tokenize("hello"))
    finally:
        model.close()


def test_reasoning_is_kept_apart(model: LlamaModel) -> None:
    think = model.tokenize("<think>")[0]
    forced = Sampling(temperature=0.0, max_tokens=9, logit_bias={think: 100.0})
    chunks = list(model.generate(Request(messages=(Message("user", "x"),), sampling=forced)))
    assert said(chunks) == ""
    # The first mark opens a block, the others are what is thought in it.
    assert "".join(chunk.reasoning for chunk in chunks) == "<think>" * 8


def test_embeddings_are_normalised_and_pooled(folder: Path) -> None:
    path = builders.tiny_bert(folder / "bert.gguf")
    model = load(path)
    try:
        texts = ["hello world", "paris", "the capital of france is paris"] * 5
        vectors = np.array(model.embed(texts))
        assert vectors.shape == (15, model.info.embedding_length)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(15))
        alone = np.array(model.embed(["paris"]))[0]
        assert vectors[1] == pytest.approx(alone, abs=1e-3)  # half precision on the way
        assert abs(float(vectors[0] @ vectors[1])) < 0.9999
        with pytest.raises(ContextOverflow, match="128"):
            model.embed(["hello " * 400])
        with pytest.raises(Unsupported, match=r"bert\.gguf is an embedding model"):
            model.generate(Request(prompt="the capital of", sampling=GREEDY))
    finally:
        model.close()


def test_an_encoder_without_a_pooling_answers_nothing_either(folder: Path) -> None:
    model = load(builders.tiny_bert(folder / "unpooled.gguf", pooling=0))
    with pytest.raises(Unsupported, match="is an embedding model"):
        model.generate(Request(prompt="the capital of", sampling=GREEDY))
    model.close()


@pytest.mark.parametrize("words", [1, 510, 750, 997])
def test_a_text_of_any_length_is_embedded(folder: Path, words: int) -> None:
    model = load(builders.tiny_llama(folder / "roomy.gguf", context=4096))
    try:
        long, short = model.embed(["the " * words, "hello"])
        assert model.embed(["hello"])[0] == pytest.approx(short, abs=1e-3)
        assert np.linalg.norm(long) == pytest.approx(1.0)
    finally:
        model.close()


@pytest.mark.parametrize("maker", [builders.tiny_bert, builders.tiny_llama])
def test_any_number_of_texts_is_embedded(folder: Path, maker: Any) -> None:
    """llama.cpp ends the process where a batch leaves a rest over its sequences."""
    model = load(maker(folder / "few.gguf"))
    try:
        for count in range(1, 9):
            assert len(model.embed(["hello"] * count)) == count
    finally:
        model.close()


def test_closing_stops_embeddings(folder: Path) -> None:
    model = load(builders.tiny_llama(folder / "roomy.gguf", context=4096))
    errors: list[BaseException] = []

    def embed() -> None:
        try:
            model.embed(["the " * 900] * 5000)
        except EngineFailed as error:
            errors.append(error)

    thread = threading.Thread(target=embed)
    thread.start()
    time.sleep(0.3)  # it would take minutes
    model.close()
    thread.join(30)
    assert len(errors) == 1


def test_numbers_that_are_none_are_an_error(folder: Path) -> None:
    path = builders.tiny_llama(folder / "nan.gguf")
    raw_bytes = bytearray(path.read_bytes())
    raw_bytes[-400_000:] = np.full(100_000, np.nan, np.float32).tobytes()
    path.write_bytes(raw_bytes)
    model = load(path)
    try:
        with pytest.raises(EngineFailed, match="no numbers"):
            model.embed(["hello"])
        assert list(model.generate(raw("hello", GREEDY)))[-1].finish_reason
    finally:
        model.close()


@pytest.mark.parametrize("kv_type", ["q8_0", "bf16"])
def test_the_cache_may_be_of_another_type(folder: Path, kv_type: str) -> None:
    wide = builders.tiny_llama(folder / "wide.gguf", width=128, context=1024)
    model = load(wide, kv_type=kv_type, threads=1, mmap=False)
    try:
        assert list(model.generate(raw("hello", GREEDY)))[-1].finish_reason
    finally:
        model.close()


def lora(path: Path, model: LlamaModel, scale: float) -> Path:
    """An adapter for the first layer's query matrix, of rank 4."""
    random = np.random.default_rng(1)
    width = model.info.embedding_length
    assert width is not None
    a, b = random.standard_normal((2, 4, width), dtype=np.float32) * scale
    return builders.gguf_file(
        path,
        metadata={
            "general.architecture": "llama", "general.type": "adapter",
            "adapter.type": "lora", "adapter.lora.alpha": 8.0,
        },
        tensors={
            "blk.0.attn_q.weight.lora_a": a,
            "blk.0.attn_q.weight.lora_b": np.ascontiguousarray(b.T),
        },
    )  # fmt: skip


def test_an_adapter_changes_the_model_by_its_scale(tiny: Path, tmp_path: Path) -> None:
    plain = load(tiny)
    file = lora(tmp_path / "adapter.gguf", plain, 1.0)
    tokens = plain.tokenize("the capital of")
    logits = []
    for scale in (0.0, 1.0, 2.0):
        model = load(tiny, lora=((file, scale),))
        logits.append(model.logits(tokens)[-1])
        model.close()
    assert logits[0] == pytest.approx(plain.logits(tokens)[-1], abs=1e-4)
    plain.close()
    assert np.abs(logits[1] - logits[0]).max() > 1e-2
    assert np.abs(logits[2] - logits[1]).max() > 1e-2


def test_a_model_is_no_adapter(tiny: Path) -> None:
    with pytest.raises(Unsupported, match="not a LoRA adapter"):
        load(tiny, lora=((tiny, 1.0),))


@pytest.mark.parametrize("layers", [99, -1])
def test_layers_for_a_gpu_that_is_not_there_stay_on_the_cpu(tiny: Path, layers: int) -> None:
    model = load(tiny, gpu_layers=layers)
    try:
        assert list(model.generate(raw("hello", GREEDY)))[-1].finish_reason
    finally:
        model.close()


@pytest.mark.gpu
def test_layers_on_an_accelerator_say_what_the_cpu_says(tiny: Path) -> None:
    if not binding.api().llama_supports_gpu_offload():
        pytest.skip("the llama-cpp-python that is installed was built for the CPU alone")
    rows = []
    for layers in (0, -1):
        model = load(tiny, gpu_layers=layers)
        rows.append(model.logits(model.tokenize(LONG))[-1])
        model.close()
    assert rows[0] == pytest.approx(rows[1], abs=0.1)


def test_a_type_of_cache_that_the_heads_do_not_take_is_named(tiny: Path) -> None:
    with pytest.raises(BadConfig, match="q8_0"):
        load(tiny, kv_type="q8_0")


@pytest.mark.parametrize("spoilt", ["alpha", "architecture", "shape", "type", "name"])
def test_a_hostile_adapter_is_refused(tiny: Path, tmp_path: Path, spoilt: str) -> None:
    metadata = {
        "general.architecture": 7 if spoilt == "architecture" else "llama",
        "general.type": "adapter", "adapter.type": "lora",
        "adapter.lora.alpha": 8 if spoilt == "alpha" else 8.0,
    }  # fmt: skip
    a = np.ones((2, 4, 64) if spoilt == "shape" else (4, 64), np.float32)
    kind = np.int32 if spoilt == "type" else np.float32
    name = "blk.0.attn_q.weight"
    tensors = {
        f"{name}.lora_a": a.astype(kind),
        f"{name}.lora_{'x' if spoilt == 'name' else 'b'}": np.ones((64, 4), kind),
    }
    path = builders.gguf_file(tmp_path / "bad.gguf", metadata=metadata, tensors=tensors)
    with pytest.raises((DamagedFile, Unsupported)):
        load(tiny, lora=((path, 1.0),))


@pytest.mark.parametrize("experts", [2, 4, 5])
def test_an_adapter_is_for_as_many_experts_as_there_are(folder: Path, experts: int) -> None:
    """llama.cpp does not look, and reads behind the last."""
    model = builders.tiny_llama(folder / "four.gguf", experts=4)
    name = "blk.0.ffn_up_exps.weight"
    info = next(one for one in gguf.read_header(model).tensors if one.name == name)
    rows, columns = info.dims[1], info.dims[0]
    path = builders.gguf_file(
        folder / "lora.gguf",
        metadata={
            "general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora",
            "adapter.lora.alpha": 8.0,
        },
        tensors={
            f"{name}.lora_a": np.ones((experts, 4, columns), np.float32),
            f"{name}.lora_b": np.ones((experts, rows, 4), np.float32),
        },
    )  # fmt: skip
    if experts == 4:
        load(model, lora=((path, 1.0),)).close()
    else:
        with pytest.raises(DamagedFile, match="as many experts"):
            load(model, lora=((path, 1.0),))


def test_another_part_of_a_split_model_is_checked_anew(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrr.engines.llamacpp import check

    parts = [tmp_path / f"m-{number:05}-of-00002.gguf" for number in (1, 2)]
    for part in parts:
        part.write_bytes(tiny.read_bytes())
    checked: list[Path] = []
    monkeypatch.setattr(check, "_check_headers", lambda path, _: checked.append(path))
    monkeypatch.setattr(check, "dry_load", lambda *_: "")
    for _ in range(2):
        check.check_once(parts[0], Options())
    assert len(checked) == 1
    parts[1].write_bytes(b"something else")
    check.check_once(parts[0], Options())
    assert len(checked) == 2


def test_a_wrong_type_of_cache_is_named(tiny: Path) -> None:
    with pytest.raises(BadConfig, match="q3_9"):
        load(tiny, kv_type="q3_9")


def test_fields_that_the_binding_lacks_are_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(binding.FIELDS, "llama_batch", "n_tokens use_mmap")
    binding.api.cache_clear()
    try:
        with pytest.raises(FeatureMissing, match="use_mmap"):
            binding.api()
    finally:
        monkeypatch.undo()
        binding.api.cache_clear()
        binding.api()


def test_the_binding_comes_without_the_rest_of_its_package() -> None:
    code = (
        "import sys; from llmrr.engines.llamacpp.api import api; api();"
        "print(sorted({'numpy', 'jinja2', 'llama_cpp.llama'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_file_that_breaks_llama_cpp_breaks_only_the_helper(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "python"
    helper.write_text("#!/bin/sh\nkill -SEGV $$\n")
    helper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(helper))
    with pytest.raises(DamagedFile, match=r"tiny\.gguf \(signal 11\)"):
        load(tiny)


def test_ctrl_c_is_heard_while_a_model_loads(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmrr.engines.llamacpp import loading

    gate = threading.Event()
    monkeypatch.setattr(loading, "open_model", lambda *_: gate.wait())
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        load(tiny)
    gate.set()
    timer.join()


def test_a_dry_load_measures_what_a_real_one_allocates(folder: Path) -> None:
    from llmrr.engines.llamacpp.check import measure

    path = builders.tiny_llama(folder / "measured.gguf", context=4096)
    plain = Options(slots=2, flash_attention="off")
    short, long = (measure(path, plain, size) for size in (1024, 2048))
    # Keys and values of two layers, two sequences, 2 heads of 16, two bytes each.
    assert long["kv"] == 2 * short["kv"] == 2 * (2 * 2 * 2 * 1024 * 2 * 16 * 2)
    assert short["compute"] > 0
    weighed = ENGINE.load(ModelFiles(path, Format.GGUF), Options(slots=2, context_size=1024))
    fit = weighed.fit
    weighed.close()
    assert fit is not None
    assert fit.kv_bytes == short["kv"]
    assert fit.compute_bytes == pytest.approx(short["compute"], rel=0.1)
    beyond = measure(path, plain, 8192)  # more than it was trained with, as a user may say it
    assert beyond["kv"] == 4 * long["kv"]


def test_another_type_of_cache_is_checked_anew(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmrr.engines.llamacpp import check

    load(tiny).close()
    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr(check, "dry_load", lambda path, *arguments: seen.append(arguments))
    load(tiny, kv_type="bf16").close()
    assert ["bf16" in arguments for arguments in seen] == [True]


def test_a_template_that_takes_all_memory_ends_the_request_alone(tmp_path: Path) -> None:
    bomb = (
        "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}"
        "{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}"
    )
    model = load(builders.tiny_llama(tmp_path / "bomb.gguf", template=bomb))
    with pytest.raises(Unsupported, match="takes"):
        model.generate(Request(messages=(Message("user", "Hi"),), sampling=GREEDY))
    assert answer(model, raw("the capital of"))
    model.close()


def test_a_checked_file_is_not_checked_again(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmrr.engines.llamacpp import check

    load(tiny).close()
    monkeypatch.setattr(check, "dry_load", lambda *_: pytest.fail("it was checked again"))
    load(tiny).close()
    tiny.touch()
    with pytest.raises(pytest.fail.Exception):
        load(tiny)


def test_images_are_refused_by_name(model: LlamaModel) -> None:
    picture = Message.of("user", "What?", Image(data=b"x"))
    with pytest.raises(FeatureMissing, match="has no image encoder here"):
        model.generate(Request(messages=(picture,)))


def test_a_template_for_tools_alone_is_used_for_them(folder: Path) -> None:
    tools = "TOOLS {{ tools | tojson }}{% for m in messages %}{{ m.content }}{% endfor %}"
    named = {"tokenizer.chat_templates": ["tool_use"], "tokenizer.chat_template.tool_use": tools}
    path = builders.tiny_llama(folder / "named.gguf", context=1024, metadata=named)
    model = load(path)
    plain = Request(messages=(Message("user", "hi"),), sampling=GREEDY)
    assert model.template_for(plain).text == builders.CHATML
    assert model.template_for(replace(plain, tools=(Tool("f"),))).text == tools
    list(model.generate(replace(plain, tools=(Tool("f"),))))
    model.close()
