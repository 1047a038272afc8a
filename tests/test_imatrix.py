"""Importance matrices: both formats read and written, and what is computed of a text. Compared with
llama-imatrix where LLMRR_LLAMA_TOOLS names the folder with llama.cpp's tools."""

import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import gguf_file, tiny_llama

from llmrr.convert.quantize import calibrate
from llmrr.convert.quantize.imatrix import COUNTS, SUMS, Entry, Imatrix, read, write
from llmrr.convert.verify.texts import TEXTS
from llmrr.engines.llamacpp.api import Vocab
from llmrr.engines.llamacpp.vocabulary import open_vocabulary
from llmrr.errors import DamagedFile, NotFound, UsageError
from llmrr.formats import gguf

TOOLS = os.environ.get("LLMRR_LLAMA_TOOLS")  # read before the tests get a clean environment
needs_tools = pytest.mark.skipif(not TOOLS, reason="LLMRR_LLAMA_TOOLS names no folder")
SHAPE: dict[str, Any] = {
    "width": 256, "heads": 4, "heads_kv": 2, "feed_forward": 512, "layers": 2, "kind": "f32",
    "context": 1024,
}  # fmt: skip


def quiet(done: int, of: int) -> None:
    assert 0 < done <= of


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    return path


def legacy(entries: dict[str, tuple[int, list[float]]], end: bytes = b"") -> bytes:
    """The older format; ``end`` is what follows the matrices."""
    raw = struct.pack("<i", len(entries))
    for name, (calls, values) in entries.items():
        raw += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, len(values))
        raw += struct.pack(f"<{len(values)}f", *values)
    return raw + end


# -- reading ---------------------------------------------------------------------------------------


def test_what_was_written_is_read(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    sums = random.exponential(9, (3, 64)).astype(np.float32)
    entries = {
        "blk.0.ffn_up_exps.weight": Entry(sums.reshape(-1), np.array([5, 0, 9], np.float32)),
        "blk.0.attn_q.weight": Entry(sums[0], np.array([512], np.float32)),
    }
    write(tmp_path / "m.gguf", Imatrix(entries, ("a.txt",), 7, 512))
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]
    found = read(tmp_path / "m.gguf")
    assert (found.datasets, found.chunks, found.chunk_size) == (("a.txt",), 7, 512)
    weights = found.weights()
    assert weights["blk.0.attn_q.weight"] == pytest.approx(sums[0] / 512)
    mixed = weights["blk.0.ffn_up_exps.weight"].reshape(3, 64)
    assert mixed[0] == pytest.approx(sums[0] / 5)
    assert (mixed[1] == 1).all()  # an expert that was never used
    assert mixed[2] == pytest.approx(sums[2] / 9)


def test_the_older_format(tmp_path: Path) -> None:
    path = tmp_path / "m.dat"
    matrices = {"blk.0.attn_q.weight": (4, [4.0, 8.0]), "blk.0.attn_v.weight": (0, [3.0, 0.5])}
    name = b"wiki.train.raw"
    path.write_bytes(legacy(matrices, struct.pack("<ii", 42, len(name)) + name))
    found = read(path)
    assert (found.datasets, found.chunks) == (("wiki.train.raw",), 42)
    assert found.weights()["blk.0.attn_q.weight"].tolist() == [1, 2]
    assert found.weights()["blk.0.attn_v.weight"].tolist() == [3, 0.5]
    path.write_bytes(legacy(matrices))  # as it was before it said of what it was computed
    assert (read(path).datasets, read(path).chunks) == ((), 0)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "ends 4 bytes too early"),
        (struct.pack("<i", 0), "claims 0 matrices"),
        (struct.pack("<i", -5), "claims -5 matrices"),
        (struct.pack("<ii", 1, 1 << 30), "bytes for the name of matrix 1"),
        (legacy({"a": (1, [1.0, 2.0])})[:-3], "ends 3 bytes too early"),
        (struct.pack("<ii", 1, 1) + b"\xff" + struct.pack("<iif", 1, 1, 1.0), "is not UTF-8"),
        (legacy({"a": (1, [1.0, float("nan")])}), "a has numbers that are not finite"),
        (legacy({"a": (1, [1.0, -2.0])}), "a has sums of squares below zero"),
    ],
)
def test_damage_in_the_older_format(tmp_path: Path, raw: bytes, said: str) -> None:
    (tmp_path / "m.dat").write_bytes(raw)
    with pytest.raises(DamagedFile, match=said):
        read(tmp_path / "m.dat")


def test_gguf_files_that_are_none(tmp_path: Path) -> None:
    ones = np.ones((1, 4), np.float32)
    kind = {"general.type": "imatrix"}
    for tensors, metadata, said in (
        ({"x": ones}, kind, "without any .in_sum2"),
        ({f"x{SUMS}": ones}, kind, r"no x\.counts with it"),
        ({f"x{SUMS}": ones, f"x{COUNTS}": np.ones((1, 3), np.float32)}, kind, "4 sums and 3"),
        ({f"x{SUMS}": ones.astype(np.float16), f"x{COUNTS}": ones}, kind, "type F16, not F32"),
        ({"x": ones}, {"general.type": "model"}, "GGUF file of the type model"),
    ):
        gguf_file(tmp_path / "m.gguf", metadata=metadata, tensors=tensors)
        with pytest.raises(DamagedFile, match=said):
            read(tmp_path / "m.gguf")
    with pytest.raises(NotFound):
        read(tmp_path / "nowhere")


# -- computing -------------------------------------------------------------------------------------


def tokens_of(model: Path, text: Path) -> list[int]:
    with open_vocabulary(model) as vocab:
        assert isinstance(vocab, Vocab)
        return vocab.tokenize(text.read_bytes().decode(), add_special=True, special=False)


def test_the_first_matrices_of_a_model_get_what_numpy_says(tmp_path: Path, text: Path) -> None:
    model = tiny_llama(tmp_path / "m.gguf", **SHAPE)
    found = calibrate.compute(model, text, 1, quiet)
    header = gguf.read_header(model)
    tensors = {one.name: one for one in header.tensors}

    def numbers(name: str) -> np.ndarray:
        one = tensors[name]
        raw = header.source.read(header.data_offset + one.offset, one.bytes)
        return np.frombuffer(raw, "<f4").reshape(one.dims[::-1]).astype(np.float64)

    tokens = tokens_of(model, text)
    chunks = len(tokens) // calibrate.CHUNK
    assert found.chunks == chunks >= 2
    x = numbers("token_embd.weight")[tokens[: chunks * calibrate.CHUNK]]
    epsilon = header.number("llama.attention.layer_norm_rms_epsilon") or 0
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * numbers("blk.0.attn_norm.weight")
    for name in ("attn_q", "attn_k", "attn_v"):
        entry = found.entries[f"blk.0.{name}.weight"]
        assert entry.counts.tolist() == [len(x)]
        assert entry.sums == pytest.approx((x**2).sum(0), rel=1e-4)
    matrices = {one.name for one in header.tensors if len(one.dims) > 1 and one.layer is not None}
    assert found.entries.keys() == matrices


def test_every_token_goes_through_as_many_experts_as_are_used(tmp_path: Path, text: Path) -> None:
    model = tiny_llama(tmp_path / "m.gguf", **SHAPE, experts=4)
    found = calibrate.compute(model, text, 1, quiet)
    used = gguf.read_header(model).integer("llama.expert_used_count") or 0
    for name in ("ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"):
        entry = found.entries[f"blk.1.{name}.weight"]
        assert entry.counts.shape == (4,)
        assert entry.counts.sum() == used * found.chunks * calibrate.CHUNK
        assert entry.sums.size == 4 * (512 if name == "ffn_down_exps" else 256)


def test_texts_that_cannot_be_calibrated_with(tmp_path: Path) -> None:
    model, text = tiny_llama(tmp_path / "m.gguf", **SHAPE), tmp_path / "text.txt"
    text.write_text("too short")
    with pytest.raises(UsageError, match="at least 512 are needed"):
        calibrate.compute(model, text, 1, quiet)
    text.write_bytes(b"abc\xff" * 999)
    with pytest.raises(UsageError, match="is not UTF-8 text: byte 3 is 0xff"):
        calibrate.compute(model, text, 1, quiet)


@needs_tools
@pytest.mark.parametrize("form", ["gguf", "dat"])
@pytest.mark.parametrize("experts", [0, 4])
def test_it_is_what_llama_imatrix_computes(
    tmp_path: Path, text: Path, experts: int, form: str
) -> None:
    assert TOOLS
    model = tiny_llama(tmp_path / "m.gguf", **SHAPE | {"kind": "f16"}, experts=experts)
    theirs = tmp_path / f"theirs.{form}"
    subprocess.run(  # with several chunks in a batch it loses some tokens: 5626 of 5632
        [Path(TOOLS) / "llama-imatrix", "-m", model, "-f", text, "-o", theirs, "-c", "512",
         "-b", "512", "--output-format", form, "--no-ppl", "-t", "1"],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    other, own = read(theirs), calibrate.compute(model, text, 1, quiet)
    assert own.entries.keys() == other.entries.keys()
    assert own.chunks == other.chunks
    if form == "gguf":
        assert own.chunk_size == other.chunk_size
        for name, entry in own.entries.items():
            assert entry.counts.tolist() == other.entries[name].counts.tolist(), name
    for name, weights in own.weights().items():
        assert weights == pytest.approx(other.weights()[name], rel=2e-3, abs=1e-6), name
