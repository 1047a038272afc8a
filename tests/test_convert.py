"""Plans of conversion, scratch space, and pickles to safetensors."""

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from layouts import hf_folder, llama_tensors, state_dict, torch_legacy, torch_zip, write_json
from terminal import Typed

from llmrr import convert, paths
from llmrr.convert import Check, Step, Wish, running, scratch
from llmrr.convert.safetensors import from_pickle
from llmrr.errors import CheckFailed, DamagedFile, LlmrrError, Unsupported, UsageError
from llmrr.types import Format

TENSORS = {"a.weight": ("F32", (3, 4)), "b.bias": ("BF16", (6,)), "empty": ("F16", (0, 2))}
VALUES = {
    "a.weight": np.arange(12, dtype="<f4").tobytes(),
    "b.bias": np.arange(6, dtype="<u2").tobytes(),
}


@pytest.fixture
def settings() -> Path:
    folder = Path("settings")
    folder.mkdir()
    write_json(folder / "config.json", {"model_type": "llama"})
    write_json(folder / "tokenizer_config.json", {"model_max_length": 7})
    (folder / "diary.txt").write_text("private")
    return folder


def written(folder: Path) -> dict[str, tuple[str, list[int], bytes]]:
    """The tensors of a safetensors file, read as its format says."""
    raw = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    table = json.loads(raw[8 : 8 + length])
    table.pop("__metadata__")
    return {
        name: (one["dtype"], one["shape"], raw[8 + length :][slice(*one["data_offsets"])])
        for name, one in table.items()
    }  # fmt: skip


def metadata(folder: Path) -> dict[str, str]:
    raw = (folder / "model.safetensors").read_bytes()
    return json.loads(raw[8 : 8 + struct.unpack_from("<Q", raw)[0]])["__metadata__"]


# -- pickles ---------------------------------------------------------------------------------------


def test_a_pickle_becomes_safetensors_with_the_same_bits(typed: Typed, settings: Path) -> None:
    torch_zip(Path("old.bin"), TENSORS, values=VALUES)
    done = typed("convert", "old.bin", "--config", "settings", "--to", "safetensors", "-O", "new",
                 "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["path"] == str(Path("new").absolute())
    assert [check["name"] for check in done.json["steps"][0]["checks"]] == ["tensors"]
    assert written(Path("new")) == {
        "a.weight": ("F32", [3, 4], VALUES["a.weight"]),
        "b.bias": ("BF16", [6], VALUES["b.bias"]),
        "empty": ("F16", [0, 2], b""),
    }
    assert sorted(one.name for one in Path("new").iterdir()) == [
        "config.json", "model.safetensors", "tokenizer_config.json",
    ]  # fmt: skip
    assert metadata(Path("new"))["llmrr.verified"] == "true"


def test_the_layout_before_version_1_6_too(typed: Typed, settings: Path) -> None:
    tensors = {"a": ("F32", (2, 2)), "b": ("F16", (3,))}
    torch_legacy(Path("old.pt"), tensors)
    assert typed("convert", "old.pt", "--config", "settings", "--to", "safetensors", "-O",
                 "new").code == 0  # fmt: skip
    assert written(Path("new")) == {
        "a": ("F32", [2, 2], bytes(16)), "b": ("F16", [3], bytes(6)),
    }  # fmt: skip


def test_weights_alone_need_a_configuration(typed: Typed) -> None:
    torch_zip(Path("alone.pt"), TENSORS)
    said = typed("convert", "alone.pt", "--to", "safetensors", "-O", "new")
    assert said.code == 2
    assert "--config DIR" in said.err
    assert not Path("new").exists()


class Hostile:
    def __reduce__(self) -> tuple[object, ...]:
        return eval, ("__import__('pathlib').Path('ran').touch()",)


@pytest.mark.parametrize(
    ("name", "content", "asked"),
    [
        ("legacy-model.pkl", pickle.dumps({"a": Hostile()}), "builtins.eval"),
        ("words.pkl", pickle.dumps({"a": 1}), "no tensors"),
        ("text.pkl", b"hello there", "begins with"),
        ("frame.pickle", pickle.dumps(Path("x")), "pathlib"),
        ("net.h5", b"\x89HDF\r\n\x1a\n", "Keras"),
    ],
)
def test_what_is_no_state_dict_is_refused_by_name(
    typed: Typed, settings: Path, name: str, content: bytes, asked: str
) -> None:
    Path(name).write_bytes(content)
    said = typed("convert", name, "--config", "settings", "--to", "onnx", "-O", "out")
    assert said.code == 4
    assert f"Unsupported model format '{Path(name).suffix}'" in said.err
    assert asked in said.err
    assert "accepted are" in said.err
    assert not Path("ran").exists()
    assert not Path("out").exists()


def test_a_checkpoint_with_more_in_it(typed: Typed, settings: Path) -> None:
    inner = state_dict({"w": ("F32", (2,))})[2:-1]  # without protocol and stop
    data = b"\x80\x02}(X\x05\x00\x00\x00epochK\x07X\x0a\x00\x00\x00state_dict" + inner + b"u."
    torch_zip(Path("ckpt.pt"), {"w": ("F32", (2,))}, data=data)
    assert typed("convert", "ckpt.pt", "--config", "settings", "--to", "safetensors", "-O",
                 "new").code == 0  # fmt: skip
    assert list(written(Path("new"))) == ["w"]


def test_what_is_not_finite_is_refused(typed: Typed, settings: Path) -> None:
    bad = np.array([1, np.nan], "<f4").tobytes()
    torch_zip(Path("nan.pt"), {"w": ("F32", (2,))}, values={"w": bad})
    said = typed("convert", "nan.pt", "--config", "settings", "--to", "safetensors", "-O", "new")
    assert said.code == 4
    assert "'w' has items that are not finite" in said.err
    assert sorted(one.name for one in Path().iterdir()) == ["nan.pt", "settings"]


def test_a_storage_that_is_too_short(settings: Path) -> None:
    torch_zip(Path("short.pt"), {"w": ("F32", (4,))}, values={"w": bytes(8)})
    with pytest.raises(DamagedFile, match="needs 4 items"):
        run("short.pt", Format.SAFETENSORS, Path("new"))


def test_a_tensor_that_repeats_its_items_cannot_fill_the_memory(settings: Path) -> None:
    data = state_dict({"w": ("F32", (200, 100))})
    number = b"K\xc8K\x64t"
    big = b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft(K\x00K\x00t"
    before, _, after = data.partition(number)
    torch_zip(Path("big.pt"), {"w": ("F32", (200, 100))},
              data=before + big + after[after.index(b"t") + 1 :])  # fmt: skip
    with pytest.raises(Unsupported, match="repeats the items"):
        run("big.pt", Format.SAFETENSORS, Path("new"))


def test_a_pickle_in_a_folder_brings_its_settings(typed: Typed) -> None:
    tensors = llama_tensors()
    hf_folder(Path("model"), tensors=tensors)
    Path("model/model.safetensors").unlink()
    torch_zip(Path("model/pytorch_model.bin"), tensors)
    done = typed("convert", "model", "--to", "safetensors", "--json")
    assert done.code == 0, done.err
    assert done.json["name"] == "model:safetensors-bf16"
    assert Path(done.json["path"], "tokenizer.json").exists()
    assert typed("list", "--json").json[0]["name"] == done.json["name"]
    assert typed("rm", "-y", done.json["name"]).code == 0
    assert not Path(done.json["path"]).exists()


# -- plans -----------------------------------------------------------------------------------------


def run(source: str, to: Format, target: Path, *, verify: bool = True) -> convert.Done:
    opened = convert.open_source(Path(source).absolute(), Path("settings").absolute())
    steps = convert.plan(opened, Wish(to, verify=verify))
    return convert.run(steps, opened.path, target.absolute(), verify=verify)


def test_a_dry_run_names_every_step_and_writes_nothing(typed: Typed, settings: Path) -> None:
    torch_zip(Path("old.bin"), TENSORS)
    before = sorted(Path().iterdir())
    done = typed("convert", "old.bin", "--config", "settings", "--to", "safetensors", "-O", "new",
                 "--dry-run", "--json")  # fmt: skip
    [step] = done.json["steps"]
    assert step["title"] == "pickle → safetensors"
    assert step["bytes"] == 3 * 4 * 4 + 6 * 2
    assert step["memory_bytes"] > 0
    assert sorted(Path().iterdir()) == before


def test_nothing_is_overwritten(typed: Typed, settings: Path) -> None:
    torch_zip(Path("old.bin"), TENSORS)
    Path("new").mkdir()
    assert run("old.bin", Format.SAFETENSORS, Path("new")).path == Path("new").absolute()
    said = typed("convert", "old.bin", "--config", "settings", "--to", "safetensors", "-O", "new")
    assert said.code == 1
    assert "is there already" in said.err


def test_without_verification_the_metadata_says_so(settings: Path) -> None:
    torch_zip(Path("old.bin"), TENSORS)
    done = run("old.bin", Format.SAFETENSORS, Path("new"), verify=False)
    assert done.steps[0][2] == ()
    assert metadata(Path("new"))["llmrr.verified"] == "false"


def test_a_failed_check_leaves_nothing(
    typed: Typed, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch_zip(Path("old.bin"), TENSORS, values=VALUES)
    put = from_pickle.writer.put

    def wrong(out: object, array: "np.ndarray") -> None:
        put(out, array + 1)  # type: ignore[arg-type, operator]

    monkeypatch.setattr(from_pickle.writer, "put", wrong)
    said = typed("convert", "old.bin", "--config", "settings", "--to", "safetensors", "-O", "new")
    assert said.code == 9
    assert "a.weight is not what its source is" in said.err
    assert sorted(one.name for one in Path().iterdir()) == ["old.bin", "settings"]


def test_what_is_in_the_way_when_the_work_is_done_stays() -> None:
    def work(source: Path, target: Path, told: object) -> None:
        target.write_text("made")
        Path("new.gguf").write_text("mine")

    step = Step("x", Format.GGUF, False, 1, 1, 1.0, work, lambda *_: [])
    with pytest.raises(LlmrrError, match="is there already"):
        running.run([step], Path("source"), Path("new.gguf").absolute())
    assert Path("new.gguf").read_text() == "mine"


def test_several_steps_keep_only_the_last_result() -> None:
    seen: list[list[str]] = []

    def work(source: Path, target: Path, told: object) -> None:
        seen.append(sorted(one.name for one in target.parent.parent.iterdir()))
        target.write_text((source.read_text() if source.exists() else "") + "+")

    step = Step("x", Format.GGUF, False, 1, 1, 1.0, work, lambda *_: [Check("t", True, "")])
    done = running.run([step] * 3, Path("absent"), Path("deep/new.gguf").absolute())
    assert done.path.read_text() == "+++"
    assert seen == [["0"], ["0", "1"], ["1", "2"]]
    assert [one.name for one in Path("deep").iterdir()] == ["new.gguf"]


def test_a_step_that_fails_stops_the_plan() -> None:
    step = Step("x", Format.GGUF, False, 1, 1, 1.0,
                lambda source, target, told: Path(target).touch() or None,
                lambda *_: [Check("logits", False, "far off")])  # fmt: skip
    with pytest.raises(CheckFailed, match="logits: far off"):
        running.run([step, step], Path("absent"), Path("deep/new.gguf").absolute())
    assert not Path("deep").exists()


def test_what_a_later_step_lacks_is_said_before_any_work(typed: Typed, settings: Path) -> None:
    torch_zip(Path("old.bin"), TENSORS)
    sizes = {"vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
             "num_attention_heads": 1}  # fmt: skip
    write_json(settings / "config.json", {"architectures": ["LlamaForCausalLM"], **sizes})
    said = typed("convert", "old.bin", "--config", "settings", "--to", "gguf", "-O", "new.gguf")
    assert said.code == 4
    assert "old.bin as safetensors lacks the tensor 'embed_tokens.weight'" in said.err
    assert sorted(one.name for one in Path().iterdir()) == ["old.bin", "settings"]


@pytest.mark.parametrize("to", ["gguf", "safetensors", "onnx", "mlx"])
def test_mlx_and_onnx_are_not_converted_further(to: str) -> None:
    from layouts import mlx_folder

    source = convert.open_source(mlx_folder(Path("mlx")).absolute())
    with pytest.raises(Unsupported, match="nothing here converts mlx"):
        convert.plan(source, Wish(Format(to)))


@pytest.mark.parametrize(
    ("to", "options", "said"),
    [
        ("gguf", {"bits": 4}, "--bits means nothing for a conversion to gguf"),
        ("mlx", {"overrides": ("a=q8_0",)}, "--tensor-type means nothing for a conversion to mlx"),
        ("onnx", {"imatrix": "x"}, "--imatrix means nothing for a conversion to onnx"),
        ("safetensors", {"threads": 2}, "--threads means nothing for a conversion to safetensors"),
        ("gguf", {"base": "x"}, "--base means nothing for a conversion to gguf"),
    ],
)
def test_options_of_another_conversion_are_refused(
    to: str, options: dict[str, object], said: str, settings: Path
) -> None:
    torch_zip(Path("old.bin"), TENSORS)
    source = convert.open_source(Path("old.bin").absolute(), settings.absolute())
    with pytest.raises(UsageError, match=said):
        convert.plan(source, Wish(Format(to), options=options))


# -- scratch ---------------------------------------------------------------------------------------


def test_what_a_killed_conversion_left_is_reclaimed(tmp_path: Path) -> None:
    notes = paths.data_dir() / "scratch"
    with scratch.scratch(tmp_path / "out") as place:
        (place / "half").write_text("x")
        [note] = notes.iterdir()
        stale, dead = note.read_text(), "999999999-00000000"
    left = tmp_path / f".llmrr-{dead}"
    left.mkdir()
    (left / "half").write_text("x")
    (notes / dead).write_text(str(left))
    assert not Path(stale).exists()
    with scratch.scratch(tmp_path):
        assert not left.exists()
    assert list(notes.iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_a_note_that_names_something_else_removes_nothing(tmp_path: Path) -> None:
    notes = paths.data_dir() / "scratch"
    notes.mkdir(parents=True)
    mine = tmp_path / "mine"
    mine.mkdir()
    (notes / "999999999-00000000").write_text(str(mine))
    scratch.reclaim()
    assert mine.exists()


@pytest.mark.parametrize("kind", ["f32", "f16", "bf16"])
def test_a_pickle_in_another_type(typed: Typed, settings: Path, kind: str) -> None:
    exact = np.array([1.5, -2.25, 0.1, 70000 if kind != "f16" else 7, 1e-3, 0, 3, -1], "<f8")
    whole = np.arange(3, dtype="<i8")
    tensors = {"a": ("F64", (2, 4)), "b": ("BF16", (3,)), "c": ("I64", (3,))}
    half = np.array([0x3F80, 0xC000, 0x3E00], "<u2")  # 1, -2, 0.125
    torch_zip(Path("old.bin"), tensors,
              values={"a": exact.tobytes(), "b": half.tobytes(), "c": whole.tobytes()})  # fmt: skip
    done = typed("convert", "old.bin", "--config", "settings", "--to", "safetensors", "--quant",
                 kind, "-O", "new", "--json")  # fmt: skip
    assert done.code == 0, done.out + done.err
    assert done.json["quant"] == kind
    found = written(Path("new"))
    read = {
        "f32": lambda raw: np.frombuffer(raw, "<f4"),
        "f16": lambda raw: np.frombuffer(raw, "<f2"),
        "bf16": lambda raw: (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4"),
    }[kind]
    for name, expected in (("a", exact), ("b", np.array([1, -2, 0.125]))):
        type_, _, raw = found[name]
        assert type_ == kind.upper()
        bits = {"f32": 24, "f16": 11, "bf16": 8}[kind]
        assert np.allclose(read(raw), expected.astype(np.float32), rtol=2.0**-bits, atol=1e-7)
    assert found["c"] == ("I64", [3], whole.tobytes())
    config = json.loads(Path("new/config.json").read_text())
    assert config["torch_dtype"] == {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}[kind]


def test_a_number_that_the_type_does_not_hold(typed: Typed, settings: Path) -> None:
    values = {"w": np.array([1, 1e5], "<f4").tobytes()}
    torch_zip(Path("old.pt"), {"w": ("F32", (2,))}, values=values)
    said = typed("convert", "old.pt", "--config", "settings", "--to", "safetensors", "--quant",
                 "f16", "-O", "new")  # fmt: skip
    assert said.code == 4
    assert "'w'" in said.err
    assert "too large for f16" in said.err
    assert not Path("new").exists()


def test_a_pickle_becomes_a_quantization_in_one_plan(typed: Typed) -> None:
    from builders import tiny_llama

    from llmrr.convert.gguf.weights import places
    from llmrr.formats import gguf

    tiny_llama(Path("tiny.gguf"), width=256, heads=4, feed_forward=256)
    assert typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "base").code == 0
    found = places(Path("base"))
    shapes = {name: ("F32", one.tensor.shape) for name, one in found.items()}
    values = {
        name: one.path.read_bytes()[one.offset :][: one.tensor.bytes] for name, one in found.items()
    }
    torch_zip(Path("base/model.pt"), shapes, values=values)
    ask = ("convert", "base/model.pt", "--to", "gguf", "--quant", "q4_k_m", "-O", "out.gguf")
    planned = typed(*ask, "--dry-run", "--json")
    assert [one["format"] for one in planned.json["steps"]] == ["safetensors", "gguf", "gguf"]
    done = typed(*ask, "--json")
    assert done.code == 0, done.out + done.err
    assert all(one["checks"] for one in done.json["steps"])
    kinds = {one.name: one.type_name for one in gguf.read_header(Path("out.gguf")).tensors}
    assert kinds["blk.0.attn_q.weight"] == "Q4_K"
    assert sorted(one.name for one in Path().iterdir()) == ["base", "out.gguf", "tiny.gguf"]
