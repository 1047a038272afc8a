"""Damaged and hostile models that are not GGUF: an error of ours, in bounded time and memory."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import (
    Memory,
    contents,
    decoder_graph,
    folder_mutants,
    graph_attribute,
    hf_folder,
    llama_tensors,
    lora_folder,
    message,
    mlx_folder,
    onnx_file,
    onnx_graph,
    onnx_node,
    raw_safetensors,
    state_dict,
    torch_legacy,
    torch_zip,
    varint,
    write_json,
)

from llmrr import formats
from llmrr.errors import DamagedFile, NotFound, Unsupported, UsageError
from llmrr.formats import pickles
from llmrr.formats.source import Bytes
from llmrr.types import ModelInfo

MAX_SECONDS, MAX_BYTES = 0.05, 50 << 20


def judge(files: Memory) -> str:
    """What becomes of a folder: passed, or the class of the error."""
    try:
        assert isinstance(formats.inspect(files), ModelInfo)
    except (Unsupported, NotFound, UsageError) as error:
        assert error.message
        return type(error).__name__
    return "passed"


def bases(folder: Path) -> Iterator[Memory]:
    """A model of each format."""
    small = llama_tensors(1, 16)
    yield contents(hf_folder(folder / "single", tensors=small))
    yield contents(hf_folder(folder / "sharded", shards=2))
    yield contents(mlx_folder(folder / "mlx"))
    yield contents(lora_folder(folder / "lora"))
    onnx_file(folder / "onnx" / "model.onnx", decoder_graph(merged=True))
    outside = {"location": "model.data", "offset": 0, "length": 16384}
    onnx_file(folder / "external" / "model.onnx", decoder_graph(outside=outside))
    (folder / "external" / "model.data").write_bytes(bytes(16384))
    yield contents(folder / "onnx")
    yield contents(folder / "external")
    torch_zip(folder / "zip" / "pytorch_model.bin", llama_tensors(1, 16, kind="F32"))
    torch_legacy(write_json(folder / "legacy" / "config.json", {}).with_name("a.bin"), small)
    yield contents(folder / "zip")
    yield contents(folder / "legacy")
    text = b"(dp0\nS'a'\np1\n(lp2\nI1\naF0.5\naccollections\nOrderedDict\np3\n(tRp4\nas."
    yield Memory({"model.pkl": text})
    yield Memory({"model.pkl": state_dict(small).replace(b"\x80\x02", b"\x80\x04\x95" + b"\0" * 8)})


def measure(folder: Path, count: int) -> dict[str, Any]:
    """Judge ``count`` mutants under a limit of memory; run in a process of its own."""
    import gc
    import resource
    import time

    outcomes: dict[str, int] = {}
    slowest = 0.0
    models = list(bases(folder))
    assert [judge(files) for files in models] == ["passed"] * len(models)
    gc.freeze()  # what pytest and hypothesis hold is not ours to walk
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MAX_BYTES, resource.RLIM_INFINITY))
    for base, files in enumerate(models):
        for mutant in folder_mutants(files.files, count=-(-count // len(models)), seed=base):
            began = time.process_time()
            outcome = judge(mutant)
            slowest = max(slowest, time.process_time() - began)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return {"outcomes": outcomes, "slowest": slowest}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures through /proc")
def test_ten_thousand_mutants_end_in_an_error_or_pass(tmp_path: Path) -> None:
    count = 10_000
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path), str(count)],
        capture_output=True, text=True, timeout=600, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert sum(result["outcomes"].values()) >= count
    assert result["outcomes"]["DamagedFile"] > count / 4
    assert result["outcomes"]["passed"] > count / 50
    assert result["slowest"] < MAX_SECONDS


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "model.safetensors"])
@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"num_hidden_layers": ' + b"9" * 5000 + b"}",
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b"\xff\xfe{}",
        b"[1, 2]",
        b'{"a": 1',
        b"{" + b" " * (17 << 20) + b"}",
        b'{"a": [' + b"{}," * 100_000 + b"{}]}",
    ],
    ids=lambda text: text[:12].decode("latin-1"),
)
def test_traps_in_json(tmp_path: Path, name: str, text: bytes) -> None:
    folder = hf_folder(tmp_path)
    if name.endswith(".json"):
        (folder / name).write_bytes(text)
    else:
        raw_safetensors(folder / name, text, 0)
    with pytest.raises((DamagedFile, Unsupported), match=name):
        formats.inspect(folder)


@pytest.mark.parametrize("value", [-1, 10**18, 2**70, 1e300, True, "7", None, [0], {"a": 1}])
@pytest.mark.parametrize("key", ["num_hidden_layers", "hidden_size", "num_attention_heads"])
def test_sizes_that_cannot_be_are_not_stated(tmp_path: Path, key: str, value: object) -> None:
    info = formats.inspect(hf_folder(tmp_path, config={key: value}))
    assert info.layers == 2 and len(info.layer_bytes) == 2
    assert info.embedding_length == 32


def test_nan_passes_as_python_writes_it(tmp_path: Path) -> None:
    info = formats.inspect(hf_folder(tmp_path, config={"cap": float("nan"), "x": float("inf")}))
    assert info.layers == 2


def test_graphs_in_graphs_are_bounded(tmp_path: Path) -> None:
    graph = onnx_graph()
    for _ in range(100):
        graph = onnx_graph(nodes=[onnx_node("If", [], graph_attribute("then_branch", graph))])
    with pytest.raises(DamagedFile, match="nested too deeply"):
        formats.inspect(onnx_file(tmp_path / "a.onnx", graph))


def test_fields_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrr.formats.protobuf.MAX_FIELDS", 1000)
    path = onnx_file(tmp_path / "a.onnx", b"\x0a\x00" * 2000)
    with pytest.raises(DamagedFile, match="more than 1000 fields"):
        formats.inspect(path)
    huge = message((1, 8)) + varint(7 << 3 | 2) + varint(2**60)
    path.write_bytes(huge)
    with pytest.raises(DamagedFile, match="beyond its message"):
        formats.inspect(path)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80\x02" + b"N0" * 600_000 + b"N.",
        b"\x80\x02" + b"(" * 1_100_000,
        b"\x80\x02N" + b"\x94" * 600_000,
        b"\x80\x02X\xff\xff\xff\x7fabc",
        b"\x80\x04\x8e" + b"\xff" * 8 + b"abc",
        b"\x80\x04\x95" + b"\xff" * 8 + b"N.",
        b"\x80\x02I" + b"9" * 5000 + b"\n.",
        b"\x80\x02" + b"".join(b"ca%d\nb\n" % number for number in range(5000)) + b".",
        b"\x80\x02V" + b"a" * (2 << 20) + b"\n.",
        b"\x80\x09N.",
    ],
    ids=range(10),
)
def test_pickles_are_bounded(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(raw)
    with pytest.raises(DamagedFile, match=r"a\.pkl"):
        formats.inspect(path)


def test_deep_values_are_never_compared(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x02N" + b"\x85" * 200_000 + b".")
    assert formats.inspect(path).imports == ()


@given(st.binary(max_size=300))
def test_any_bytes_are_a_pickle_or_not(raw: bytes) -> None:
    found = pickles.scan(Bytes(raw, "raw"))
    assert found.end <= len(raw)
    pickles.is_pickle(Bytes(raw, "raw"))


@given(st.dictionaries(st.sampled_from(["model.safetensors", "config.json", "a"]), st.binary()))
def test_any_bytes_in_a_folder(files: dict[str, bytes]) -> None:
    judge(Memory(files))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
