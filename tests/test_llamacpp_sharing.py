"""Several sequences of the llama.cpp engine: what they share, what is kept, how contexts grow, how
steps are filled, what is guessed ahead."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import builders
import pytest

from llmrr import paths
from llmrr.engines.base import Options
from llmrr.engines.llamacpp import ENGINE, sizing
from llmrr.engines.llamacpp.drafting import MISSES, PAUSE, Drafter
from llmrr.engines.llamacpp.model import LlamaModel
from llmrr.engines.llamacpp.pacing import Pace, shares
from llmrr.types import Chunk, Format, ModelFiles, Request, Sampling

LONG = "the capital of France is Paris and the capital of Spain is Madrid, said the world. " * 3
OTHER = "hello world, this is quite another beginning than the one before it was. " * 3
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builders.tiny_llama(tmp_path_factory.mktemp("models") / "tiny.gguf", context=4096)


@contextmanager
def loaded(path: Path, **options: object) -> Iterator[LlamaModel]:
    model = ENGINE.load(ModelFiles(path, Format.GGUF), Options(**options))  # type: ignore[arg-type]
    try:
        yield model
    finally:
        model.close()


@contextmanager
def held(model: LlamaModel) -> Iterator[None]:
    gate = threading.Event()
    model._batching.later(gate.wait)
    try:
        yield
    finally:
        gate.set()


def greedy(prompt: str, count: int = 6, **named: object) -> Request:
    sampling = Sampling(temperature=0.0, max_tokens=count, ignore_eos=True)
    return Request(prompt=prompt, sampling=Sampling(**named).over(sampling))  # type: ignore[arg-type]


def tokens_of(chunks: list[Chunk]) -> list[int]:
    return [token for chunk in chunks for token in chunk.tokens]


def ask(model: LlamaModel, request: Request) -> tuple[list[int], int]:
    """The tokens of the answer, and how many of the prompt were not computed."""
    chunks = list(model.generate(request))
    usage = chunks[-1].usage
    assert usage is not None
    return tokens_of(chunks), usage.cached_tokens


# -- kept beginnings ---------------------------------------------------------------------------


def test_a_beginning_whose_slot_was_taken_is_kept_by_bytes(tiny: Path) -> None:
    with loaded(tiny) as plain:
        right, cached = ask(plain, greedy(LONG + "A"))
        ask(plain, greedy(OTHER))
        assert ask(plain, greedy(LONG + "B"))[1] == 0
        assert cached == plain.load.prefix_bytes == 0
    with loaded(tiny, prefix_cache=64 * MEGABYTE) as model:
        first, _ = ask(model, greedy(LONG + "A"))
        ask(model, greedy(OTHER))
        again, cached = ask(model, greedy(LONG + "A"))
        assert (first, again) == (right, right)
        assert cached == len(model.tokenize(LONG + "A")) - 1
        assert model.load.prefix_hits == 1
        assert 0 < model.load.prefix_bytes <= 64 * MEGABYTE


def test_what_is_kept_stays_below_its_limit(tiny: Path) -> None:
    limit = 200_000
    with loaded(tiny, prefix_cache=limit) as model:
        for number in range(12):
            ask(model, greedy(f"{number} " + OTHER))
            assert model.load.prefix_bytes <= limit
        assert model.load.prefix_bytes > 0


def test_a_recurrent_memory_is_kept_and_used_whole(tmp_path: Path) -> None:
    path = builders.tiny_mamba(tmp_path / "mamba.gguf", context=4096)
    with loaded(path, prefix_cache=64 * MEGABYTE) as model:
        said, _ = ask(model, greedy(LONG))
        ask(model, greedy(OTHER))
        right, none = ask(model, greedy(LONG + "another end"))
        assert none == 0  # it cannot be cut
    prompt = (*model_tokens(path, LONG), *said)
    with loaded(path, prefix_cache=64 * MEGABYTE) as model:
        ask(model, greedy(LONG))
        ask(model, greedy(OTHER))
        sampling = Sampling(temperature=0.0, max_tokens=4, ignore_eos=True)
        _, cached = ask(model, Request(tokens=prompt, sampling=sampling))
        assert cached == len(prompt) - 1
        assert ask(model, greedy(LONG + "another end"))[0] == right


def model_tokens(path: Path, text: str) -> tuple[int, ...]:
    with loaded(path) as model:
        return tuple(model.tokenize(text))


def test_saved_beginnings_outlive_the_process(tiny: Path) -> None:
    options = {"prefix_cache": 64 * MEGABYTE, "prefix_disk": True}
    with loaded(tiny, **options) as model:
        right, _ = ask(model, greedy(LONG + "A"))
    [file] = saved()
    assert file.stat().st_mode & 0o777 == 0o600
    with loaded(tiny, **options) as model:
        assert ask(model, greedy(LONG + "A")) == (right, len(model.tokenize(LONG + "A")) - 1)
    with loaded(tiny, kv_type="bf16", **options) as model:  # it computes something else
        assert ask(model, greedy(LONG + "A"))[1] == 0


def saved() -> list[Path]:
    return sorted((paths.cache_dir() / "prefixes").rglob("*.prefix"))


@pytest.mark.parametrize("spoilt", ["head", "tokens", "state", "short", "long", "empty", "link"])
def test_a_saved_beginning_that_is_damaged_is_left_out(
    tiny: Path, tmp_path: Path, spoilt: str
) -> None:
    options = {"prefix_cache": 64 * MEGABYTE, "prefix_disk": True}
    with loaded(tiny, **options) as model:
        right, _ = ask(model, greedy(LONG))
    [file] = saved()
    data = bytearray(file.read_bytes())
    if spoilt in ("head", "tokens", "state"):
        data[{"head": 20, "tokens": 70, "state": len(data) - 500}[spoilt]] ^= 1
    file.unlink()
    if spoilt == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        file.symlink_to(tmp_path / "elsewhere")
    else:
        parts = {"short": data[:-1], "long": data + b"x", "empty": b""}
        file.write_bytes(parts.get(spoilt, data))
    with loaded(tiny, **options) as model:
        assert ask(model, greedy(LONG)) == (right, 0)
    if spoilt == "link":
        assert (tmp_path / "elsewhere").read_bytes() == data


def test_files_of_beginnings_stay_below_the_limit_for_all_models(tiny: Path) -> None:
    options = {"prefix_cache": 150_000, "prefix_disk": True}
    for kv_type in ("f16", "bf16", "f32"):
        with loaded(tiny, kv_type=kv_type, **options) as model:
            ask(model, greedy(LONG))
            ask(model, greedy(OTHER))
        assert 0 < sum(one.stat().st_size for one in saved()) <= 150_000


# -- contexts that grow ------------------------------------------------------------------------


def test_what_runs_goes_on_in_a_larger_context(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "CONTEXT_AT_LEAST", 256)
    monkeypatch.setattr(sizing, "ROOM_TO_ANSWER", 64)
    with loaded(tiny, slots=2, at_least=256) as model:
        short, long = greedy(OTHER, 150), greedy(LONG * 4, 20)
        right = ask(model, long)[0]
    with loaded(tiny, slots=2, at_least=256) as model:
        alone = ask(model, short)[0]
        stream = model.generate(short)
        first = [next(stream) for _ in range(3)]
        other = model.generate(long)
        assert tokens_of(list(other)) == right
        assert not stream._ended  # it was not waited for
        assert tokens_of([*first, *stream]) == alone
        assert other.context_size is not None
        assert other.context_size > 256


def test_an_answer_grows_out_of_its_context(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "CONTEXT_AT_LEAST", 256)
    monkeypatch.setattr(sizing, "ROOM_TO_ANSWER", 64)
    endless = Sampling(temperature=0.0, ignore_eos=True)
    with loaded(tiny, slots=2, at_least=1024) as model:
        stream = model.generate(Request(prompt="hello world", sampling=endless))
        chunks = list(stream)
        assert chunks[-1].finish_reason == "length"
        assert stream.context_size == 1024
        assert 1000 <= len(tokens_of(chunks)) <= 1024
    with loaded(tiny, context_size=1024) as model:
        whole = list(model.generate(Request(prompt="hello world", sampling=endless)))
        assert tokens_of(whole) == tokens_of(chunks)


def test_a_server_has_all_its_slots_from_the_beginning(tiny: Path) -> None:
    with loaded(tiny, most_slots=5, crowded=True) as model:
        ask(model, greedy("hello"))
        assert model.load.slots == 5
    with loaded(tiny, most_slots=5) as model:
        ask(model, greedy("hello"))
        assert model.load.slots == 1


def test_the_kind_of_attention_follows_what_is_asked(tiny: Path) -> None:
    def flash(request: Request) -> bool:
        ask(model, request)
        context = model._batching._contexts.current
        assert context is not None
        return context.shape.flash_attention

    long, short = greedy(OTHER * 6, 60), greedy("hello", 2)
    with loaded(tiny, most_slots=2, crowded=True, gpu_layers=0) as model:
        assert flash(short)
        longs = [flash(long) for _ in range(60)]
        assert longs[0] and not longs[-1]  # one alone is not worth another context
        assert not flash(short)
        shorts = [flash(greedy(f"{number} hello", 1)) for number in range(2000)]
        assert not shorts[20] and shorts[-1]
    with loaded(tiny, most_slots=2, crowded=True, gpu_layers=0, flash_attention="on") as model:
        assert flash(long)


# -- what goes into a step ---------------------------------------------------------------------


def test_long_prompts_do_not_keep_short_ones_waiting_nor_the_reverse() -> None:
    assert shares([4000], 256, 512) == [256]
    assert shares([100, 4000], 256, 512) == [100, 156]
    assert shares([4000, 100], 256, 512) == [156, 100]
    assert shares([4000, 60, 60, 60, 60], 128, 512) == [68, 60, 0, 0, 0]
    assert shares([130], 128, 512) == [130]
    assert shares([130], 128, 128) == [128]
    for remaining in ([1], [1, 1, 1], [500, 500], [33, 700, 2, 40, 90]):
        for most in (1, 40, 512):
            given = shares(remaining, min(64, most), most)
            assert given[0] > 0
            assert sum(given) <= most
            assert all(0 <= one <= rest for one, rest in zip(given, remaining, strict=True))


def test_what_is_read_beside_answers_depends_on_how_fast_it_is_read() -> None:
    def pace(token_s: float, answers_s: float) -> Pace:
        learned = Pace()
        learned.learn(answers_s, 0, 8)
        learned.learn(token_s * 256 + answers_s, 256, 8)
        return learned

    fast, slow = pace(0.0001, 0.01), pace(0.05, 0.2)
    assert fast.budget(1, 15, 64, 500) == 500
    assert slow.budget(1, 15, 64, 500) == 64
    # The more wait for their first token, the less matters a pause of the answers.
    assert slow.budget(1, 15, 64, 500) < slow.budget(4, 15, 64, 500) < 500
    assert slow.budget(4, 8, 64, 500) == slow.budget(8, 8, 64, 500) == 500
    # What else the machine does slows down both.
    assert pace(0.15, 0.6).budget(4, 15, 64, 500) == slow.budget(4, 15, 64, 500)
    assert Pace().budget(1, 15, 64, 500) == 500
    assert [fast.pauses(2, 3) for _ in range(5)] == [True, True, True, False, True]
    assert not any(fast.pauses(*few) for few in ((1, 1), (2, 5), (2, 0)))
    assert not slow.pauses(2, 3)


def test_answers_pause_for_a_few_steps_while_several_prompts_are_read(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrr.engines.llamacpp import context

    monkeypatch.setattr(context, "UBATCH", 64)
    steps: list[set[int]] = []  # the slots of each
    decode = context.Context.decode

    def noted(self: context.Context) -> context.Outcome:
        batch = self.batch
        steps.append({batch._addresses.index(one) for one in batch._sequence[: batch.used]})
        return decode(self)

    monkeypatch.setattr(context.Context, "decode", noted)
    said: list[int] = []
    streams = []
    done = threading.Event()

    def listen(chunk: Chunk) -> None:
        said.extend(chunk.tokens)
        if not streams:
            steps.clear()
            streams.extend(model.generate(greedy(prompt, 1)) for prompt in (OTHER * 4, LONG * 4))
        if chunk.usage:
            done.set()

    with loaded(tiny, slots=3, context_size=2048, flash_attention="off") as model:
        alone = ask(model, greedy("hello", 60))[0]
        model.generate(greedy("hello", 60), listen)
        assert done.wait(60)
        for stream in streams:
            list(stream)
    assert said == alone
    read = steps[next(at for at, step in enumerate(steps) if step & {1, 2}) :]
    answers = "".join("+" if 0 in step else "." for step in read)
    assert answers.startswith("...+...+")
    assert "...." not in answers


def test_a_short_prompt_overtakes_a_long_one_that_is_being_read(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrr.engines.llamacpp import context

    monkeypatch.setattr(context, "UBATCH", 64)
    with loaded(tiny, slots=3, context_size=4096) as model:
        ended: list[str] = []
        done = threading.Event()

        def listen(name: str) -> object:
            def take(chunk: Chunk) -> None:
                if chunk.usage:
                    ended.append(name)
                    if len(ended) == 2:
                        done.set()

            return take

        with held(model):
            model.generate(greedy(OTHER * 14, 1), listen("long"))  # type: ignore[arg-type]
            model.generate(greedy("Paris", 1), listen("short"))  # type: ignore[arg-type]
        assert done.wait(60)
        assert ended == ["short", "long"]


# -- guesses -----------------------------------------------------------------------------------

LOOP = "Madrid is Paris and Paris is Madrid and " * 8
FREE = Sampling(temperature=0.7, seed=11, max_tokens=60, ignore_eos=True)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0.0, max_tokens=80, ignore_eos=True),
        FREE,
        Sampling(repeat_penalty=1.3, logprobs=2).over(FREE),
        Sampling(stop=("is",)).over(FREE),
        Sampling(temperature=0.0, grammar='root ::= ("Paris is " | "Madrid ")+', max_tokens=60),
    ],
    ids=["greedy", "drawn", "penalties", "stop", "grammar"],
)
def test_guessing_ahead_changes_no_answer(tiny: Path, sampling: Sampling) -> None:
    prompts = [LOOP, LOOP + "Paris", OTHER]
    requests = [Request(prompt=one, sampling=sampling) for one in prompts]
    answers = []
    for speculate in (0, 6):
        with loaded(tiny, slots=3, speculate=speculate, flash_attention="off") as model:
            with held(model):
                streams = [model.generate(one) for one in requests]
            answers.append([list(stream) for stream in streams])
            load = model.load
    plain, guessed = ([[(c.text, c.tokens) for c in one] for one in side] for side in answers)
    assert [joined(one) for one in guessed] == [joined(one) for one in plain]
    assert [one[-1].finish_reason for one in answers[0]] == [
        one[-1].finish_reason for one in answers[1]
    ]
    if sampling.temperature == 0.0:
        assert 0 < load.accepted_tokens <= load.drafted_tokens


def joined(chunks: list[tuple[str, tuple[int, ...]]]) -> tuple[str, list[int]]:
    return "".join(text for text, _ in chunks), [one for _, tokens in chunks for one in tokens]


def test_a_memory_that_cannot_go_back_is_not_guessed_ahead(tmp_path: Path) -> None:
    for path in (
        builders.tiny_mamba(tmp_path / "mamba.gguf", context=4096),
        builders.tiny_llama(
            tmp_path / "window.gguf", architecture="gemma3", sliding_window=32, context=4096,
            layers=6,
        ),
    ):  # fmt: skip
        with loaded(path, speculate=6) as model:
            ask(model, greedy(LOOP, 40))
            assert model.load.drafted_tokens == 0


def test_guesses_end_where_the_context_does(tiny: Path) -> None:
    with loaded(tiny, speculate=8, context_size=256, flash_attention="off") as model:
        request = Request(prompt=LOOP, sampling=Sampling(temperature=0.0, ignore_eos=True))
        chunks = list(model.generate(request))
        assert chunks[-1].finish_reason == "length"
        usage = chunks[-1].usage
        assert usage is not None
        assert usage.prompt_tokens + usage.completion_tokens == 256


def test_a_guess_is_what_followed_before() -> None:
    drafter = Drafter(4)
    assert drafter.draft([1, 2, 3, 9, 8, 7, 1, 2, 3], 10) == [9, 8, 7, 1]
    assert drafter.draft([1, 2, 3, 9, 8, 7, 1, 2, 3], 2) == [9, 8]
    assert drafter.draft([1, 2, 3, 9, 8, 7, 1, 2, 3, 5], 10) == []
    drafter.learn(4, 1)
    assert len(drafter.draft([1, 2, 3, 9, 8, 7, 1, 2, 3, 5, 1, 2, 3], 10)) == 2
    assert Drafter(4).draft([1, 2, -5, -6, 1, 2], 10) == []  # no picture can be guessed


def test_guesses_that_are_wrong_pause() -> None:
    drafter, known = Drafter(4), [1, 2, 3, 1, 2]
    for _ in range(MISSES):
        assert drafter.draft(known, 10)
        drafter.learn(2, 0)
    assert [bool(drafter.draft(known, 10)) for _ in range(PAUSE + 1)] == [False] * PAUSE + [True]


# -- many requests -----------------------------------------------------------------------------


def test_no_slot_is_lost_over_many_requests(tiny: Path) -> None:
    before = threading.active_count()
    with loaded(tiny, slots=4, prefix_cache=MEGABYTE, speculate=4) as model:
        for round_ in range(60):
            streams = [model.generate(greedy(f"{round_} {one} hello", 4)) for one in range(10)]
            for number, stream in enumerate(streams):
                if number % 3 == 0:
                    stream.cancel()
            for number, stream in enumerate(streams):
                end = list(stream)[-1].finish_reason
                assert end == "length" or number % 3 == 0
        load = model.load
        assert (load.busy, load.waiting, load.slots) == (0, 0, 4)
        assert load.generated_tokens >= 60 * 6 * 4
        assert load.prompt_tokens > 0
    assert threading.active_count() == before
