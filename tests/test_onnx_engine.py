"""The ONNX engine on tiny real decoders, in every layout in which they are published, against the
same computation in numpy."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import decoders
import numpy as np
import pytest
from asking import LONG, TEMPLATE, answers, raw, said, tokens_of

from llmrr.engines.base import Options
from llmrr.engines.local import LocalModel
from llmrr.engines.onnx import ENGINE
from llmrr.errors import (
    ContextOverflow,
    DamagedFile,
    DoesNotFit,
    EngineFailed,
    FeatureMissing,
    NotFound,
    Unsupported,
    UsageError,
)
from llmrr.types import Chunk, Format, Message, ModelFiles, Request, Sampling


def load(path: Path, **options: object) -> LocalModel:
    return ENGINE.load(ModelFiles(path, Format.ONNX), Options(**options))  # type: ignore[arg-type]


def greedy(prompt: list[int], count: int, kind: str = "float32") -> list[int]:
    """What the reference says, the end of the text left out."""
    known = list(prompt)
    for _ in range(count):
        row = decoders.reference(known, kind)[-1]
        row[1] = -np.inf
        known.append(int(row.argmax()))
    return known[len(prompt) :]


def pair(folder: Path) -> None:
    decoders.decoder(folder / "decoder_model.onnx", past=False)
    decoders.decoder(folder / "decoder_with_past_model.onnx")


def genai(folder: Path) -> None:
    decoders.decoder(folder / "model.onnx", gqa=True, positions=False)
    (folder / "config.json").unlink()
    stated = {"model": {
        "type": "llama", "context_length": decoders.CONTEXT, "vocab_size": decoders.VOCABULARY,
        "bos_token_id": 0, "eos_token_id": [1, 3],
        "decoder": {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
                    "head_size": 8, "hidden_size": 32, "filename": "model.onnx"},
    }}  # fmt: skip
    (folder / "genai_config.json").write_text(json.dumps(stated))


Make = Callable[[Path], object]
LAYOUTS: dict[str, Make] = {
    "with past": lambda at: decoders.decoder(at / "model.onnx"),
    "in onnx/": lambda at: decoders.decoder(at / "onnx" / "model.onnx"),
    "no positions": lambda at: decoders.decoder(at / "model.onnx", positions=False),
    "merged": lambda at: decoders.merged(at / "decoder_model_merged.onnx"),
    "two graphs": pair,
    "GQA": lambda at: decoders.decoder(at / "model.onnx", gqa=True),
    "without a cache": lambda at: decoders.decoder(at / "model.onnx", past=False, present=False),
    "presents alone": lambda at: decoders.decoder(at / "model.onnx", past=False),
    "data outside": lambda at: decoders.decoder(at / "model.onnx", outside="model.onnx_data"),
    "data in several files": lambda at: decoders.decoder(
        at / "model.onnx", outside="model.onnx_data model.onnx_data_1"
    ),
    "genai": genai,
    "fp16": lambda at: decoders.decoder(at / "model_fp16.onnx", kind="float16"),
    "GQA of fp16": lambda at: decoders.decoder(at / "model.onnx", kind="float16", gqa=True),
    "bf16": lambda at: decoders.decoder(at / "model.onnx", ports="bfloat16"),
    "static count": lambda at: decoders.decoder(at / "model.onnx", names=False),
    "vectors in": lambda at: decoders.embedded(at),
    "vectors of two kinds in": lambda at: decoders.embedded(at, more="per_layer_inputs"),
    "as many logits as asked": lambda at: decoders.decoder(at / "model.onnx", prunes="keep"),
    "logits of the last": lambda at: decoders.decoder(at / "model.onnx", prunes="last"),
    "flat logits": lambda at: decoders.decoder(at / "model.onnx", prunes="flat", gqa=True),
    "one token at a time": lambda at: decoders.decoder(at / "model.onnx", sizes=(1, 1)),
    "names alone": lambda at: decoders.decoder(at / "model.onnx", silent=True),
}  # fmt: skip
LOOSE = {"fp16": 0.05, "GQA of fp16": 0.05, "bf16": 0.3}


@pytest.fixture(params=LAYOUTS, scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = decoders.beside(tmp_path_factory.mktemp("model") / "x", template=TEMPLATE)
    LAYOUTS[request.param](made)
    (made / "kind").write_text(request.param)
    return made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = decoders.beside(tmp_path_factory.mktemp("plain"), template=TEMPLATE)
    decoders.decoder(made / "model.onnx")
    return made


@pytest.fixture
def model(plain: Path) -> Iterator[LocalModel]:
    made = load(plain, slots=4)
    yield made
    made.close()


# -- layouts -------------------------------------------------------------------------------------


def test_every_layout_computes_the_same(folder: Path) -> None:
    kind = (folder / "kind").read_text()
    numbers = "float16" if "fp16" in kind else "float32"
    model = load(folder, slots=2)
    tokens = model.tokenize(LONG)
    expected = decoders.reference(tokens, numbers)
    close = LOOSE.get(kind, 1e-4)
    assert np.abs(model.logits(tokens) - expected).max() < close * 3
    # Step by step, with a prefix that is reused, cut and copied.
    rows: list[np.ndarray] = []
    backend = model._backend

    def walk() -> None:
        state = backend.start()
        rows.append(backend.advance(state, tokens[:20]))
        for place in range(20, 24):
            rows.append(backend.advance(state, tokens[place : place + 1]))
        copy = backend.fork(state, 10)
        if copy is not None:
            assert copy.length == 10
            rows.append(backend.advance(copy, tokens[10:24]))
        if backend.trim(state, 21):
            assert state.length == 21
            rows.append(backend.advance(state, tokens[21:24]))

    model._runner.later(walk).result()
    places = [19, 20, 21, 22, 23, 23, 23]
    assert len(rows) >= 5
    for row, place in zip(rows, places, strict=False):
        assert np.abs(row - expected[place]).max() < close * 3
    if kind != "bf16":
        got = tokens_of(list(model.generate(raw(LONG))))
        assert got == greedy(tokens, 12, numbers)
    model.close()


def test_a_prompt_in_pieces_and_one_that_goes_on(folder: Path) -> None:
    kind = (folder / "kind").read_text()
    model = load(folder)
    model._backend.chunk = 16
    first = list(model.generate(raw(LONG)))
    second = list(model.generate(raw(LONG + "!", max_tokens=3)))
    usage = second[-1].usage
    assert usage is not None
    assert usage.cached_tokens == (0 if kind == "bf16" else len(LONG))
    model.close()
    alone = load(folder)
    assert tokens_of(list(alone.generate(raw(LONG)))) == tokens_of(first)
    assert tokens_of(list(alone.generate(raw("x"))))
    assert tokens_of(list(alone.generate(raw(LONG + "!", max_tokens=3)))) == tokens_of(second)
    alone.close()


def test_a_graph_that_was_made_for_one_token_is_found_out(tmp_path: Path) -> None:
    decoders.beside(tmp_path)
    decoders.decoder(tmp_path / "decoder_model.onnx", past=False)
    decoders.decoder(tmp_path / "decoder_with_past_model.onnx", forgets=True)
    model = load(tmp_path)
    assert model._backend.whole
    model._backend.chunk = 16
    tokens = model.tokenize(LONG)
    for end in ("", "!", " and so on, for a while"):
        expected = greedy(model.tokenize(LONG + end), 6)
        assert tokens_of(list(model.generate(raw(LONG + end, max_tokens=6)))) == expected
    assert np.abs(model.logits(tokens) - decoders.reference(tokens)).max() < 1e-3
    model.close()


def test_a_long_context_outgrows_its_buffers(tmp_path: Path) -> None:
    decoders.decoder(decoders.beside(tmp_path) / "model.onnx", gqa=True)
    model = load(tmp_path)
    tokens = [7 + place % 200 for place in range(400)]
    backend = model._backend

    def walk() -> np.ndarray:
        state = backend.start()
        for start in range(0, 400, 100):
            row = backend.advance(state, tokens[start : start + 100])
        return row

    row = model._runner.later(walk).result()
    assert np.abs(row - decoders.reference(tokens)[-1]).max() < 1e-3
    model.close()


# -- answers -------------------------------------------------------------------------------------


def test_eight_callers_at_once(model: LocalModel) -> None:
    prompts = [f"{LONG} {number}" for number in range(8)]
    expected = [greedy(model.tokenize(one), 12) for one in prompts]
    assert answers(model, list(map(raw, prompts))) == expected


def test_the_last_chunk_says_why_it_ended_and_what_it_took(model: LocalModel) -> None:
    chunks = list(model.generate(raw(LONG)))
    assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    last = chunks[-1]
    assert last.finish_reason == "length"
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (len(LONG), 12)
    assert last.usage.first_token_s is not None
    assert 0 < last.usage.first_token_s <= last.usage.total_s


def test_seeds_choices_and_stop_strings(model: LocalModel) -> None:
    def draw(**stated: object) -> str:
        return said(list(model.generate(raw(LONG, temperature=1.5, max_tokens=30, **stated))))

    assert draw(seed=5) == draw(seed=5) != draw(seed=6)
    chunks = list(model.generate(raw(LONG, n=3, temperature=1.5, seed=5, max_tokens=30)))
    assert len({tuple(tokens_of(chunks, index)) for index in range(3)}) == 3
    whole = draw(seed=5)
    stop = next(letter for letter in whole[3:] if letter.isascii())
    assert draw(seed=5, stop=(stop,)) == whole.partition(stop)[0]


def test_messages_schema_grammar_and_logprobs(model: LocalModel) -> None:
    asked = (Message("user", "hello"),)
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"],
              "additionalProperties": False}  # fmt: skip
    sampling = Sampling(temperature=1.0, seed=1, max_tokens=60, schema=schema)
    chunks = list(model.generate(Request(messages=asked, sampling=sampling)))
    assert json.loads(said(chunks))["ok"] in (True, False)
    assert chunks[-1].usage is not None and chunks[-1].usage.prompt_tokens == 7
    sampling = Sampling(temperature=1.0, seed=1, grammar='root ::= "yes" | "no"')
    assert said(list(model.generate(Request(messages=asked, sampling=sampling)))) in ("yes", "no")
    [measured] = list(model.generate(raw(LONG, max_tokens=1, logprobs=2)))[-1].logprobs
    row = decoders.reference(model.tokenize(LONG))[-1]
    expected = np.sort(row - np.log(np.exp(row - row.max()).sum()) - row.max())[::-1][:2]
    assert [value for _, value in measured.top] == pytest.approx(expected.tolist(), abs=1e-3)


def test_cancelling_from_another_thread(model: LocalModel) -> None:
    began, cancelled, chunks = threading.Event(), threading.Event(), list[Chunk]()

    def push(chunk: Chunk) -> None:
        """The first piece waits until the other thread has cancelled the answer."""
        chunks.append(chunk)
        began.set()
        assert cancelled.wait(20)

    stream = model.generate(raw(LONG, max_tokens=400), push)
    assert began.wait(20)
    stream.cancel()
    cancelled.set()
    assert list(stream) == []  # its end
    assert chunks[-1].finish_reason == "cancelled"
    assert len(tokens_of(chunks)) < 400
    assert tokens_of(list(model.generate(raw(LONG)))) == greedy(model.tokenize(LONG), 12)


def test_the_context_is_what_the_model_was_trained_for(plain: Path, model: LocalModel) -> None:
    with pytest.raises(ContextOverflow, match=r"600 tokens.* 512"):
        model.generate(raw("x" * 600))
    small = load(plain, context_size=20)
    assert list(small.generate(raw("x" * 10, max_tokens=None)))[-1].finish_reason == "length"
    small.close()


def test_a_token_that_the_graph_does_not_know_ends_its_request_alone(plain: Path) -> None:
    model = load(plain)
    with pytest.raises(EngineFailed, match="onnxruntime failed"):
        model.logits([decoders.VOCABULARY + 5])
    assert tokens_of(list(model.generate(raw(LONG)))) == greedy(model.tokenize(LONG), 12)
    model.close()


def test_closing_ends_what_is_running(plain: Path) -> None:
    model = load(plain)
    stream = model.generate(raw("x", max_tokens=400))
    next(stream)
    model.close()
    model.close()
    with pytest.raises(EngineFailed, match="closed"):
        list(stream)


def test_every_configuration_may_say_what_ends_an_answer(tmp_path: Path) -> None:
    decoders.beside(tmp_path, template=TEMPLATE, eos_token_id=2)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [4, 5]}')
    decoders.decoder(tmp_path / "model.onnx")
    model = load(tmp_path)
    # Those of both configurations and of the tokenizer, and the one that the template writes.
    assert model.tokens.ends == (1, 2, 3, 4, 5)
    model.close()


# -- vectors -------------------------------------------------------------------------------------


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    decoders.beside(tmp_path, architectures=["BertModel"], model_type="bert")
    decoders.encoder(tmp_path / "onnx" / "model.onnx")
    return tmp_path


def test_vectors_are_pooled_and_of_length_1(vectors: Path) -> None:
    texts = ["hello world", "a", "the capital of France"] * 5
    found = {}
    for pooling in ("mean_tokens", "cls_token", "lasttoken"):
        (vectors / "1_Pooling").mkdir(exist_ok=True)
        stated = json.dumps({f"pooling_mode_{pooling}": True})
        (vectors / "1_Pooling" / "config.json").write_text(stated)
        model = load(vectors)
        found[pooling] = np.array(model.embed(texts))
        assert found[pooling].shape == (15, decoders.WIDTH)
        assert np.linalg.norm(found[pooling], axis=1) == pytest.approx(np.ones(15))
        alone = np.array([model.embed([text])[0] for text in texts[:3]])
        ids = [tuple(model.tokens.enclosed(text)) for text in texts[:3]]
        assert model.embed(ids) == pytest.approx(alone, abs=1e-5)
        with pytest.raises(UsageError, match="no token 99999999"):
            model.embed([(99999999,)])
        assert found[pooling][:3] == pytest.approx(alone, abs=1e-5)
        assert found[pooling][12:] == pytest.approx(alone, abs=1e-5)
        with pytest.raises(Unsupported, match="is an embedding model"):
            model.generate(raw("x"))
        with pytest.raises(ContextOverflow, match="512"):
            model.embed(["x" * 600])
        model.close()
    assert np.abs(found["mean_tokens"] - found["cls_token"]).max() > 0.01


@pytest.mark.parametrize(
    "stated",
    [{"types": False}, {"pooled": True}, {"sizes": (1, 40)}, {"sizes": (4, 40)},
     {"sizes": ("b", 64), "pooled": True}, {"sizes": (3, "s"), "types": False}],
    ids=str,
)  # fmt: skip
def test_encoders_of_every_layout_make_the_same_vectors(
    stated: dict[str, Any], vectors: Path
) -> None:
    texts = ["hello world", "a", "the capital of France", "x" * 30, "y"] * 2
    model = load(vectors)
    expected = np.array(model.embed(texts))
    model.close()
    decoders.encoder(vectors / "onnx" / "model.onnx", **stated)
    model = load(vectors)
    assert np.array(model.embed(texts)) == pytest.approx(expected, abs=1e-5)
    if isinstance(longest := stated.get("sizes", "  ")[1], int):
        with pytest.raises(ContextOverflow, match=str(longest)):
            model.embed(["x" * 65])
    model.close()


def test_modules_that_the_graph_has_are_not_missed(vectors: Path) -> None:
    decoders.encoder(vectors / "onnx" / "model.onnx", pooled=True)
    modules = [{"type": f"sentence_transformers.models.{name}"} for name in ("Pooling", "Dense")]
    (vectors / "modules.json").write_text(json.dumps(modules))
    model = load(vectors)
    assert len(model.embed(["x"])[0]) == decoders.WIDTH
    model.close()


def test_what_would_be_done_to_vectors_and_cannot_be_is_named(vectors: Path) -> None:
    modules = [{"type": f"sentence_transformers.models.{name}"} for name in ("Pooling", "Dense")]
    (vectors / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(FeatureMissing, match="no Dense"):
        load(vectors)
    (vectors / "modules.json").write_text("{")
    with pytest.raises(DamagedFile, match=r"modules\.json"):
        load(vectors)


def test_a_decoder_makes_no_vectors(model: LocalModel) -> None:
    with pytest.raises(FeatureMissing, match="no embeddings"):
        model.embed(["a" * 2000])  # a shorter one would not do either
    with pytest.raises(FeatureMissing, match="onnx engine makes no embeddings"):
        model.embed(["x"])


# -- what cannot be run ----------------------------------------------------------------------------


def test_a_bare_graph_finds_its_tokenizer_or_says_what_is_missing(
    plain: Path, tmp_path: Path
) -> None:
    below = tmp_path / "somewhere" / "graphs"
    below.mkdir(parents=True)
    bare = shutil.copy(plain / "model.onnx", below / "any.onnx")
    with pytest.raises(NotFound, match=r"there is no tokenizer\.json in .*graphs") as caught:
        load(Path(bare))
    assert "beside" in caught.value.hint
    (below / "tokenizer.model").write_bytes(b"\n")
    with pytest.raises(NotFound, match=r"tokenizer\.model alone cannot be read"):
        load(Path(bare))
    for name in ("tokenizer.json", "config.json"):
        shutil.copy(plain / name, below.parent / name)
    model = load(Path(bare))
    assert tokens_of(list(model.generate(raw(LONG)))) == greedy(model.tokenize(LONG), 12)
    model.close()
    (below.parent / "tokenizer.json").write_text('{"version": "1.0", "model": {}}')
    with pytest.raises(DamagedFile, match=r"tokenizer\.json is no tokenizer"):
        load(Path(bare))


def test_damaged_graphs_and_weights_outside(plain: Path, tmp_path: Path) -> None:
    decoders.beside(tmp_path)
    whole = (plain / "model.onnx").read_bytes()
    for cut in (len(whole) // 2, len(whole) - 3):
        (tmp_path / "model.onnx").write_bytes(whole[:cut])
        with pytest.raises(DamagedFile):
            load(tmp_path)
    (tmp_path / "model.onnx").write_bytes(whole.replace(b"MatMul", b"MatMal"))
    with pytest.raises(Unsupported, match="onnxruntime does not run"):
        load(tmp_path)
    (tmp_path / "secret").write_bytes(bytes(100_000))
    inner = decoders.beside(tmp_path / "inner")
    decoders.decoder(inner / "model.onnx", outside="model.onnx_data")
    graph = (inner / "model.onnx").read_bytes()
    (inner / "model.onnx").write_bytes(graph.replace(b"model.onnx_data", b"../../../secret"))
    with pytest.raises(DamagedFile, match="outside"):
        load(inner)


def test_weights_that_are_linked_as_in_the_cache_of_the_hub(tmp_path: Path) -> None:
    made = decoders.beside(tmp_path / "made")
    decoders.decoder(made / "model.onnx", outside="model.onnx_data")
    snapshot, blobs = tmp_path / "snapshots" / "abc", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, path in enumerate(made.iterdir()):
        path.rename(blobs / str(number))
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    model = load(snapshot)
    assert tokens_of(list(model.generate(raw(LONG)))) == greedy(model.tokenize(LONG), 12)
    model.close()


@pytest.mark.parametrize(
    "options",
    [{"kv_type": "q8_0"}, {"flash_attention": "on"}, {"gpu_layers": 3}, {"mlock": True},
     {"lora": ((Path("a"), 1.0),)}],
    ids=str,
)  # fmt: skip
def test_what_onnxruntime_has_not_is_named(plain: Path, options: dict[str, object]) -> None:
    with pytest.raises(FeatureMissing, match="onnx engine"):
        load(plain, **options)


def test_a_graph_that_wants_more_than_tokens_is_named(tmp_path: Path) -> None:
    decoders.beside(tmp_path)
    for name, why in (("pixel_values", "wants pixel_values"), ("encoder_x", "encoder-decoder")):
        decoders.decoder(tmp_path / "model.onnx", wants=name)
        with pytest.raises(Unsupported, match=why):
            load(tmp_path)


@pytest.mark.parametrize(
    ("stated", "error", "said"),
    [({"sizes": (1, 4)}, Unsupported, "computes 4 tokens at once"),
     ({"sizes": (2, "s")}, Unsupported, "computes 2 texts at once"),
     ({"wants": "beam_idx"}, Unsupported, "wants beam_idx")],
)  # fmt: skip
def test_sizes_that_no_text_has_are_named(
    stated: dict[str, Any], error: type[Exception], said: str, tmp_path: Path
) -> None:
    decoders.decoder(decoders.beside(tmp_path) / "model.onnx", **stated)
    with pytest.raises(error, match=said):
        load(tmp_path)


def test_memory_that_is_not_there_is_said_before(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrr import hardware
    from llmrr.hardware import Cpu, Hardware, Memory

    small = Hardware("linux", Cpu("x86_64"), Memory(available_bytes=1000))
    monkeypatch.setattr(hardware, "probe", lambda: small)
    with pytest.raises(DoesNotFit, match=r"weights have .* GB"):
        load(plain)


def test_its_buffers_as_far_as_they_are_known(plain: Path) -> None:
    found = ENGINE.measure(ModelFiles(plain, Format.ONNX), Options(context_size=100))
    assert found == {"kv": 100 * 2 * 4 * (8 + 8) * 4, "output": 4 * decoders.VOCABULARY}


def test_nothing_is_printed(plain: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = load(plain)
    list(model.generate(raw("x")))
    model.close()
    assert capfd.readouterr() == ("", "")
    assert os.environ.get("OMP_NUM_THREADS") is None
