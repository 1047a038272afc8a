"""The MLX engine on tiny random models, against transformers and against mlx-lm's own loop."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import decoders
import numpy as np
import pytest
import tiny_transformers
from asking import LONG, TEMPLATE, answers, raw, said, tokens_of
from terminal import Typed

from llmrr import formats
from llmrr.engines.base import Options
from llmrr.engines.local import LocalModel
from llmrr.engines.mlx import ENGINE, weights
from llmrr.errors import (
    ContextOverflow,
    DamagedFile,
    DoesNotFit,
    EngineFailed,
    FeatureMissing,
    LlmrrError,
    NotFound,
    Unsupported,
)
from llmrr.types import Format, Message, ModelFiles, Request, Sampling

pytestmark = pytest.mark.mlx

# Keys and values alone; a window that slides; experts; tied embeddings; and what cannot be batched.
KINDS = ("llama", "qwen2-yarn", "qwen3moe", "gemma3", "phi3", "stablelm", "olmo3")
ALONE = "gemma2"


def load(path: Path, **options: object) -> LocalModel:
    place = ModelFiles(path, formats.detect(path))
    return ENGINE.load(place, Options(**options))  # type: ignore[arg-type]


def make(folder: Path, name: str, **more: Any) -> Path:
    decoders.beside(folder, template=TEMPLATE)
    tiny_transformers.make(folder, name, **more)
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder of the model of that name, made once."""
    folders: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in folders:
            folders[name] = make(tmp_path_factory.mktemp("models") / name, name)
        return folders[name]

    return of


@pytest.fixture(scope="module")
def packed(made: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mlx-lm makes of a model in 4 bits."""
    return convert(made("llama"), tmp_path_factory.mktemp("packed") / "x", q_bits=4)


def convert(folder: Path, target: Path, **arguments: Any) -> Path:
    from mlx_lm import convert as converted

    on_thread(
        lambda: converted(str(folder), str(target), quantize=True, q_group_size=32, **arguments)
    )
    return decoders_beside(folder, target)


def on_thread(work: Callable[[], Any]) -> Any:
    """MLX keeps what it compiled for each thread, and crashes where the main one ends with it."""
    import mlx.core as mx

    def job() -> Any:
        try:
            return work()
        finally:
            mx.synchronize()
            mx.clear_streams()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(job).result()


def decoders_beside(folder: Path, target: Path) -> Path:
    """The tokenizer as it was: transformers writes it anew."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (target / name).write_bytes((folder / name).read_bytes())
    return target


@pytest.fixture
def llama(made: Callable[[str], Path]) -> Path:
    return made("llama")


@pytest.fixture
def model(llama: Path) -> Iterator[LocalModel]:
    found = load(llama, slots=4)
    yield found
    found.close()


def reference(folder: Path, tokens: list[int]) -> np.ndarray:
    """What transformers computes."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(folder).float().eval()
    with torch.no_grad():
        found: np.ndarray = loaded(torch.tensor([tokens])).logits[0].numpy()
    return found


def own_loop(folder: Path, tokens: list[int], count: int) -> list[int]:
    """What mlx-lm itself writes."""
    import mlx.core as mx
    from mlx_lm.generate import generate_step
    from mlx_lm.utils import load_model

    config = weights.config_of(folder, weights.tensors_of(weights.weight_files(folder)))

    def work() -> list[int]:
        loaded, _ = load_model(folder, model_config=config)
        return [token for token, _ in generate_step(mx.array(tokens), loaded, max_tokens=count)]

    found: list[int] = on_thread(work)
    return found


# -- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_logits_are_those_of_transformers(made: Callable[[str], Path], name: str) -> None:
    folder = made(name)
    model = load(folder, slots=2)
    tokens = model.tokenize(LONG * 3)
    found, expected = model.logits(tokens), reference(folder, tokens)
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-3
    assert (found.argmax(1) == expected.argmax(1)).all()
    model.close()


@pytest.mark.parametrize("name", [*KINDS, ALONE])
def test_a_sequence_that_is_cut_copied_and_computed_with_others(
    made: Callable[[str], Path], name: str
) -> None:
    """Whatever way leads to a position, its logits are the same."""
    model = load(made(name), slots=2)
    tokens = model.tokenize(LONG)
    expected = model.logits(tokens)
    backend = model._backend

    def walk() -> list[tuple[int, np.ndarray]]:
        rows = []
        state = backend.start()
        backend.read(state, tokens[:10])
        rows.append((13, backend.advance(state, tokens[10:14])))
        copy = backend.fork(state, 8)
        assert copy is not None and copy.length == 8
        rows.append((11, backend.advance(copy, tokens[8:12])))
        for place in range(14, 40):  # both, far beyond a window of 20
            both = backend.step([(state, tokens[place]), (copy, tokens[place - 2])])
            rows += [(place, both[0]), (place - 2, both[1])]
        late = backend.start()
        rows.append((4, backend.advance(late, tokens[:5])))
        three = [(late, tokens[5]), (state, tokens[40]), (copy, tokens[38])]
        rows += zip((5, 40, 38), backend.step(three), strict=True)
        rows.append((41, backend.advance(state, tokens[41:42])))
        if backend.trim(copy, 30):
            assert copy.length == 30
            rows.append((33, backend.advance(copy, tokens[30:34])))
        return rows

    for place, row in model._runner.later(walk).result():
        assert np.abs(row - expected[place]).max() < 1e-3, place
    assert model._runner.later(lambda: backend._merges).result() is (name != ALONE)
    model.close()


def test_a_state_that_cannot_go_back(tmp_path: Path) -> None:
    """Mamba keeps no tokens: what two prompts share is copied where one of them stops there."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    decoders.beside(tmp_path, template=TEMPLATE)
    config = AutoConfig.for_model(
        "mamba", vocab_size=384, hidden_size=32, state_size=8, num_hidden_layers=2,
        bos_token_id=0, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    prompts = [f"{LONG} {number}" for number in range(3)]
    alone = []
    for prompt in prompts:
        model = load(tmp_path)
        alone.append(tokens_of(list(model.generate(raw(prompt)))))
        model.close()
    model = load(tmp_path, slots=3, context_size=200)
    assert answers(model, list(map(raw, prompts))) == alone
    assert answers(model, list(map(raw, prompts))) == alone
    model.close()


def test_greedy_tokens_are_those_of_mlx_lm(llama: Path, packed: Path) -> None:
    for folder in (llama, packed):
        model = load(folder)
        tokens = model.tokenize(LONG)
        found = tokens_of(list(model.generate(raw(LONG, max_tokens=40, ignore_eos=False))))
        expected = own_loop(folder, tokens, 40)
        end = next((at for at, one in enumerate(expected) if one in model.tokens.ends), 40)
        assert found == expected[:end] and len(found) > 10
        model.close()


@pytest.mark.parametrize(
    ("mode", "bits"), [("affine", 2), ("affine", 8), ("mxfp4", 4), ("mxfp8", 8)]
)
def test_every_way_in_which_mlx_packs_weights(
    llama: Path, tmp_path: Path, mode: str, bits: int
) -> None:
    from mlx_lm.utils import load_model

    folder = convert(llama, tmp_path / "x", q_bits=bits, q_mode=mode)
    model = load(folder)
    tokens = model.tokenize(LONG)
    found = model.logits(tokens)
    model.close()
    import mlx.core as mx

    def work() -> np.ndarray:
        loaded, _ = load_model(folder)
        return np.array(loaded(mx.array([tokens]))[0].astype(mx.float32))

    expected = on_thread(work)
    assert np.abs(found - expected).max() < 1e-3
    assert np.abs(found - reference(llama, tokens)).max() > 1e-3  # it is packed


def test_layers_may_be_packed_in_their_own_way(llama: Path, tmp_path: Path) -> None:
    """As mlx-lm's mixed recipes do; and where nothing says it, the weights do."""
    folder = convert(llama, tmp_path / "x", q_bits=4, quant_predicate="mixed_2_6")
    model = load(folder)
    tokens = model.tokenize(LONG)
    expected = model.logits(tokens)
    model.close()
    config = json.loads((folder / "config.json").read_text())
    stated = {key: config["quantization"][key] for key in ("group_size", "bits")}
    assert len(config["quantization"]) > 3
    config["quantization"] = config["quantization_config"] = stated
    (folder / "config.json").write_text(json.dumps(config))
    model = load(folder)
    assert np.abs(model.logits(tokens) - expected).max() < 1e-5
    model.close()


# -- answers -------------------------------------------------------------------------------------


def test_eight_callers_at_once(llama: Path) -> None:
    prompts = [f"{number} {LONG}"[: 20 + 9 * number] for number in range(8)]
    model = load(llama)
    alone = [tokens_of(list(model.generate(raw(prompt)))) for prompt in prompts]
    model.close()
    model = load(llama, slots=8)
    assert answers(model, list(map(raw, prompts))) == alone
    assert model._runner.later(lambda: model._backend._merges).result()
    model.close()


def test_a_prefix_is_computed_once_and_gives_the_same(llama: Path) -> None:
    model = load(llama, slots=2)
    model._runner.later(lambda: setattr(model._backend, "chunk", 16)).result()
    first = list(model.generate(raw(LONG)))
    longer = list(model.generate(raw(LONG + "!", max_tokens=6)))
    usage = longer[-1].usage
    assert usage is not None and usage.cached_tokens == len(LONG)
    model.close()
    model = load(llama)
    assert tokens_of(list(model.generate(raw(LONG + "!", max_tokens=6)))) == tokens_of(longer)
    assert tokens_of(list(model.generate(raw(LONG)))) == tokens_of(first)
    model.close()


def test_two_that_share_a_prefix_at_once(model: LocalModel) -> None:
    prompts = [LONG * 3 + end for end in ("a", "b", "c", "d")]
    found = answers(model, list(map(raw, prompts)))
    one_by_one = [tokens_of(list(model.generate(raw(prompt)))) for prompt in prompts]
    assert found == one_by_one


def test_the_last_chunk_says_why_it_ended_and_what_it_took(model: LocalModel) -> None:
    chunks = list(model.generate(raw(LONG)))
    assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    last = chunks[-1]
    assert last.finish_reason == "length" and len(chunks) > 5
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (len(LONG), 12)
    assert last.usage.first_token_s is not None and last.usage.tokens_per_s


def test_seeds_choices_and_stop_strings(model: LocalModel) -> None:
    def draw(**stated: object) -> str:
        return said(list(model.generate(raw(LONG, temperature=1.5, max_tokens=30, **stated))))

    assert draw(seed=5) == draw(seed=5) != draw(seed=6)
    chunks = list(model.generate(raw(LONG, n=3, temperature=1.5, seed=5, max_tokens=30)))
    assert len({tuple(tokens_of(chunks, index)) for index in range(3)}) == 3
    whole = draw(seed=5)
    stop = next(letter for letter in whole[3:] if letter.isascii())
    assert draw(seed=5, stop=(stop,)) == whole.partition(stop)[0]


def test_the_same_seed_draws_as_it_does_on_the_other_engines(model: LocalModel) -> None:
    from llmrr.engines.sampler import Sampler

    sampling = Sampling(temperature=1.2, top_k=40, top_p=0.9, min_p=0.02, seed=11, max_tokens=12,
                        repeat_penalty=1.1, ignore_eos=True)  # fmt: skip
    found = tokens_of(list(model.generate(Request(prompt=LONG, sampling=sampling))))
    known = model.tokenize(LONG)
    sampler = Sampler(sampling, known, 0, model.tokens.ends)
    for token in found:
        assert sampler.sample(model.logits(known)[-1].copy()) == token
        known.append(token)


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
    row = model.logits(model.tokenize(LONG))[-1]
    expected = np.sort(row - np.log(np.exp(row - row.max()).sum()) - row.max())[::-1][:2]
    assert [value for _, value in measured.top] == pytest.approx(expected.tolist(), abs=1e-3)


def test_reasoning_is_not_the_answer(llama: Path) -> None:
    template = "{% for m in messages %}{{ m.content }}{% endfor %}<think>\n"
    model = load(llama, chat_template=template)
    grammar = 'root ::= "ok"'
    sampling = Sampling(temperature=1.0, seed=2, max_tokens=20, ignore_eos=True, grammar=grammar)
    chunks = list(model.generate(Request(messages=(Message("user", "x"),), sampling=sampling)))
    assert said(chunks) == "" and "".join(chunk.reasoning for chunk in chunks)
    model.close()


def test_cancelling_frees_the_sequence(llama: Path) -> None:
    model = load(llama)
    expected = tokens_of(list(model.generate(raw(LONG))))
    stream = model.generate(raw(LONG, max_tokens=400))
    next(stream)
    stream.cancel()
    chunks = list(stream)
    assert chunks[-1].finish_reason == "cancelled"
    assert tokens_of(list(model.generate(raw(LONG)))) == expected  # there is one slot
    model.close()


def test_closing_ends_what_is_running(llama: Path) -> None:
    model = load(llama)
    stream = model.generate(raw("x", max_tokens=400))
    next(stream)
    model.close()
    model.close()
    with pytest.raises(EngineFailed, match="closed"):
        list(stream)


def test_the_context_is_what_the_model_was_trained_for(llama: Path, model: LocalModel) -> None:
    with pytest.raises(ContextOverflow, match=r"600 tokens.* 512"):
        model.generate(raw("x" * 600))
    small = load(llama, context_size=20)
    assert list(small.generate(raw("x" * 10, max_tokens=None)))[-1].finish_reason == "length"
    small.close()


def test_a_token_that_the_model_does_not_know(model: LocalModel) -> None:
    before = tokens_of(list(model.generate(raw(LONG))))
    with pytest.raises(EngineFailed, match="no token 384: it knows 384"):
        model.logits([384])
    assert tokens_of(list(model.generate(raw(LONG)))) == before


def test_it_makes_no_vectors(model: LocalModel) -> None:
    with pytest.raises(FeatureMissing, match="mlx engine makes no embeddings"):
        model.embed(["x"])


def test_a_model_is_loaded_and_asked_from_any_thread(llama: Path) -> None:
    found: list[list[int]] = []

    def work() -> None:
        model = load(llama)
        found.append(tokens_of(list(model.generate(raw(LONG)))))
        found.extend(answers(model, [raw(LONG)]))
        model.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert len(found) == 2 and found[0] == found[1]


def test_a_process_ends_well_after_the_model_was_closed(llama: Path, copy: Path) -> None:
    """MLX aborts a process of which a thread ended that left its streams behind."""
    rewrite(copy, lambda one: one.pop(NAME))
    program = f"""
from pathlib import Path
from llmrr.engines.base import Options
from llmrr.engines.mlx import ENGINE
from llmrr.errors import DamagedFile
from llmrr.types import Format, ModelFiles
model = ENGINE.load(ModelFiles(Path({str(llama)!r}), Format.SAFETENSORS), Options())
assert model.logits([1, 2]).shape == (2, 384)
model.close()
try:
    ENGINE.load(ModelFiles(Path({str(copy)!r}), Format.SAFETENSORS), Options())
except DamagedFile:
    pass
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_is_loaded_without_transformers_and_leaves_mlx_lm_whole(llama: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from llmrr.engines.base import Options
from llmrr.engines.mlx import ENGINE
from llmrr.types import Format, ModelFiles
model = ENGINE.load(ModelFiles(Path({str(llama)!r}), Format.SAFETENSORS), Options())
assert model.logits([1, 2]).shape == (2, 384)
assert "transformers" not in sys.modules and "mlx_lm.utils" not in sys.modules
import mlx_lm
assert mlx_lm.generate and mlx_lm.load
assert model.logits([1, 2]).shape == (2, 384)
model.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# -- what cannot be run ----------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path, llama: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in llama.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def change(folder: Path, **config: object) -> None:
    path = folder / "config.json"
    stated = json.loads(path.read_text())
    path.write_text(json.dumps({**stated, **config}))


def rewrite(folder: Path, alter: Callable[[dict[str, np.ndarray]], object]) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    alter(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def index(folder: Path, other: str) -> None:
    """As if there were two files."""
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    stated = {"weight_map": {"model.norm.weight": "model-1.safetensors", NAME: other}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(stated))


NAME = "model.layers.1.mlp.up_proj.weight"
DAMAGE: dict[str, tuple[Callable[[Path], object], type[LlmrrError], str]] = {
    "an architecture that is not there": (
        lambda at: change(at, model_type="llama9"), Unsupported, "no architecture 'llama9'"),
    "code": (lambda at: change(at, model_file="model.py"), Unsupported, r"wants 'model\.py' to be"),
    "packed by others": (
        lambda at: change(at, quantization_config={"quant_method": "awq", "bits": 4}),
        FeatureMissing, "quantized by awq"),
    "a missing tensor": (
        lambda at: rewrite(at, lambda one: one.pop(NAME)), DamagedFile, "Missing 1 parameter"),
    "another shape": (
        lambda at: rewrite(at, lambda one: one.update({NAME: np.ones((9, 64), np.float32)})),
        DamagedFile, r"Expected shape \(96, 64\)"),
    "a tensor too many": (
        lambda at: rewrite(at, lambda one: one.update({"x.y": np.ones(3, np.float32)})),
        DamagedFile, "Received 1 parameter"),
    "a setting of another kind": (
        lambda at: change(at, hidden_size="64"), LlmrrError, "."),
    "half a file": (
        lambda at: (at / "model.safetensors").write_bytes(
            (at / "model.safetensors").read_bytes()[:-5000]), DamagedFile, "model.safetensors"),
    "no tokenizer": (
        lambda at: (at / "tokenizer.json").unlink(), NotFound, r"no tokenizer\.json"),
    "no tokenizer at all": (
        lambda at: (at / "tokenizer.json").write_text("{"), DamagedFile, "is no tokenizer"),
    "a file that is not there": (
        lambda at: index(at, "model-2.safetensors"), DamagedFile, "model-2"),
    "an index that leads out": (
        lambda at: index(at, "../model.safetensors"), DamagedFile, "outside of its folder"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_wrong_with_a_folder_is_said(copy: Path, kind: str) -> None:
    damage, error, words = DAMAGE[kind]
    damage(copy)
    with pytest.raises(error, match=words) as caught:
        load(copy)
    assert caught.value.hint or kind == "a setting of another kind"


def test_weights_that_are_no_numbers(copy: Path) -> None:
    def spoil(tensors: dict[str, np.ndarray]) -> None:
        tensors[NAME][3] = np.nan

    rewrite(copy, spoil)
    model = load(copy)
    with pytest.raises(EngineFailed, match="weights are damaged"):
        list(model.generate(raw(LONG)))
    model.close()


@pytest.mark.parametrize(
    "options",
    [{"kv_type": "q8_0"}, {"flash_attention": "on"}, {"gpu_layers": 3}, {"threads": 4},
     {"lora": ((Path("a"), 1.0),)}],
    ids=str,
)  # fmt: skip
def test_what_mlx_has_not_is_named(llama: Path, options: dict[str, object]) -> None:
    with pytest.raises(FeatureMissing, match="mlx engine"):
        load(llama, **options)


def test_memory_that_is_not_there_is_said_before(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrr import hardware
    from llmrr.hardware import Cpu, Hardware, Memory

    small = Hardware("linux", Cpu("x86_64"), Memory(available_bytes=1000))
    monkeypatch.setattr(hardware, "probe", lambda: small)
    with pytest.raises(DoesNotFit, match=r"weights have .* GB"):
        load(llama)


def test_its_buffers_as_far_as_they_are_known(llama: Path) -> None:
    found = ENGINE.measure(ModelFiles(llama, Format.SAFETENSORS), Options(context_size=100))
    assert found == {"kv": 100 * 3 * 2 * (24 + 24) * 4, "output": 4 * 384}


def test_nothing_is_printed(llama: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = load(llama)
    list(model.generate(raw("x")))
    model.close()
    assert capfd.readouterr() == ("", "")


# -- the command line ----------------------------------------------------------------------------


def test_folders_answer_on_the_command_line(llama: Path, packed: Path, typed: Typed) -> None:
    for folder, kind in ((llama, "safetensors"), (packed, "mlx")):
        done = typed("run", str(folder), "hello", "--temperature", "0", "--max-tokens", "5",
                     "--json", "--verbose", "-o", "ignore_eos", "true")  # fmt: skip
        assert done.code == 0, done.err
        answer = json.loads(done.out)
        assert (answer["engine"], answer["usage"]["completion_tokens"]) == ("mlx", 5)
        assert f"engine mlx: it runs {kind}; on the CPU" in done.err
        other = typed("run", str(folder), "hello", "--engine", "onnx")
        assert (other.code, "--engine mlx" in other.err) == (4, True)


def test_what_mlx_has_no_architecture_of_runs_once_it_is_converted(
    llama: Path, copy: Path
) -> None:
    from llmrr import engines

    assert engines.runs(Format.SAFETENSORS, llama)
    assert engines.runs(Format.SAFETENSORS, llama / "model.safetensors")
    change(copy, model_type="bert")
    assert not engines.runs(Format.SAFETENSORS, copy)
    change(copy, model_type="llama", quantization_config={"quant_method": "awq"})
    assert not engines.runs(Format.SAFETENSORS, copy)
