"""Reading, describing and telling apart model files."""

import json
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from builders import (
    CHATML,
    Tensor,
    Typed,
    byte_tokenizer,
    gguf_file,
    tiny_bert,
    tiny_llama,
    tiny_mamba,
)

from llmrr import formats
from llmrr.errors import DamagedFile, NotFound, Unsupported, UsageError
from llmrr.formats import gguf
from llmrr.formats.gguf_header import Array
from llmrr.formats.source import FileSource
from llmrr.types import Format, Sampling

VOCABULARIES = os.environ.get("LLMRR_VOCABULARIES")


def split_model(folder: Path, count: int = 3) -> list[Path]:
    """Cut a tiny model into parts as llama-gguf-split does."""
    whole = tiny_llama(folder / "whole.gguf")
    header = gguf.read_header(whole)
    raw = whole.read_bytes()
    stored = {
        t.name: Tensor(t.dims, t.type, raw[(at := header.data_offset + t.offset) : at + t.bytes])
        for t in header.tensors
    }
    names = list(stored)
    tokenizer = {**byte_tokenizer(), "tokenizer.chat_template": CHATML}
    own = {key: header.metadata[key] for key in header.metadata if not key.startswith("tokenizer")}
    paths = []
    for number in range(count):
        split = {
            "split.no": Typed("u16", number),
            "split.count": Typed("u16", count),
            "split.tensors.count": Typed("i32", len(names)),
        }
        path = folder / f"m-{number + 1:05d}-of-{count:05d}.gguf"
        part = {name: stored[name] for name in names[number::count]}
        gguf_file(path, metadata={**(own | tokenizer if not number else {}), **split}, tensors=part)
        paths.append(path)
    whole.unlink()
    return paths


def test_inspect_describes_a_model(tmp_path: Path) -> None:
    extra = {
        "general.file_type": 1,
        "general.license": "mit",
        "general.size_label": "113K",
        "general.sampling.temp": 0.7,
        "general.sampling.top_k": 20,
        "general.sampling.top_p": 0.9,
        "general.sampling.penalty_repeat": 1.1,
        "tokenizer.chat_template.tool_use": "tools",
    }
    path = tiny_llama(tmp_path / "a.gguf", kind="f16", vocab=512, metadata=extra)
    info = gguf.inspect(path)
    assert (info.format, info.architecture, info.name) == (Format.GGUF, "llama", "tiny llama")
    assert (info.quant, info.license, info.size_label) == ("F16", "mit", "113K")
    assert (info.layers, info.embedding_length, info.context_length) == (2, 64, 256)
    assert (info.heads, info.heads_kv, info.feed_forward) == ((4, 4), (2, 2), (128, 128))
    assert (info.key_length, info.value_length, info.vocabulary) == (16, 16, 512)
    assert (info.tokenizer, info.pre_tokenizer, info.add_bos) == ("gpt2", "gpt-2", False)
    assert (info.chat_template, info.templates) == (CHATML, {"tool_use": "tools"})
    assert info.sampling == Sampling(temperature=0.7, top_k=20, top_p=0.9, repeat_penalty=1.1)
    assert info.parameters == 2 * 512 * 64 + 64 + 2 * (2 * 64 + 2 * 64 * 64 + 2 * 64 * 32 + 24576)
    assert info.bytes == path.stat().st_size
    assert info.parts == 1 and not info.recurrent and info.pooling is None
    assert info.metadata["llama.rope.freq_base"] == 10000.0
    assert "tokenizer.ggml.tokens" not in info.metadata


def test_weights_are_told_apart_by_place(tmp_path: Path) -> None:
    info = gguf.inspect(tiny_llama(tmp_path / "a.gguf", kind="q8_0"))
    tokens = info.vocabulary or 0
    matrix = tokens * 64 // 32 * 34
    assert info.quant == "Q8_0"  # no general.file_type: by most bytes
    assert info.weights["input"] == {"Q8_0": matrix}
    assert info.weights["output"] == {"Q8_0": matrix, "F32": 256}
    assert sum(info.weights["layers"].values()) == sum(info.layer_bytes)
    assert sum(size for _, size in info.tensor_types.values()) == 2 * matrix + 256 + sum(
        info.layer_bytes
    )
    assert info.layer_bytes[0] == info.layer_bytes[1]


def test_special_tokens_beyond_the_vocabulary_do_not_exist(tmp_path: Path) -> None:
    extra = {"tokenizer.ggml.seperator_token_id": 2**32 - 1}
    info = gguf.inspect(tiny_llama(tmp_path / "a.gguf", metadata=extra))
    tokens = byte_tokenizer()["tokenizer.ggml.tokens"]
    assert {role: tokens[token] for role, token in info.special_tokens.items()} == {
        "bos": "<|endoftext|>",
        "eos": "<|im_end|>",
        "pad": "<|pad|>",
    }


def test_the_vocabulary_is_read_when_asked_for(tmp_path: Path) -> None:
    info = gguf.inspect(tiny_llama(tmp_path / "a.gguf"), vocabulary=True)
    tokens = byte_tokenizer()["tokenizer.ggml.tokens"]
    assert [token.decode() for token in info.metadata["tokenizer.ggml.tokens"]] == tokens
    assert len(info.metadata["tokenizer.ggml.token_type"]) == len(tokens)


def test_other_kinds_of_model(tmp_path: Path) -> None:
    gemma = gguf.inspect(tiny_llama(tmp_path / "g.gguf", architecture="gemma3", sliding_window=8))
    assert gemma.sliding_window == 8 and gemma.sliding_pattern is None
    mamba = gguf.inspect(tiny_mamba(tmp_path / "m.gguf"))
    assert mamba.recurrent and mamba.metadata["mamba.ssm.state_size"] == 8
    bert = gguf.inspect(tiny_bert(tmp_path / "b.gguf"))
    assert bert.pooling == "mean" and bert.tokenizer == "bert"


def test_per_layer_arrays(tmp_path: Path) -> None:
    extra = {
        "llama.attention.head_count_kv": Typed("u32", [2, 1]),
        "llama.attention.sliding_window_pattern": Typed("bool", [True, False]),
    }
    info = gguf.inspect(tiny_llama(tmp_path / "a.gguf", metadata=extra))
    assert info.heads_kv == (2, 1)
    assert info.sliding_pattern == (True, False)


@pytest.mark.parametrize("value", [7, -7, 2**40, True, 0.5, "text", [1, 2], ["a", "bc"]])
def test_metadata_of_every_kind(tmp_path: Path, value: object) -> None:
    header = gguf.read_header(gguf_file(tmp_path / "a.gguf", metadata={"k": value, "last": 1}))
    assert header.metadata["last"] == 1
    if not isinstance(value, list):
        assert header.metadata["k"] == value
    elif isinstance(value[0], str):
        assert header.strings("k") == [item.encode() for item in value]
    else:
        assert header.values("k") == tuple(value)


def test_long_texts_stay_in_the_file(tmp_path: Path) -> None:
    path = gguf_file(tmp_path / "a.gguf", metadata={"k": "x" * 1_500_000, "last": 1})
    header = gguf.read_header(path)
    assert header.text("k") is None and header.count("k") == 1_500_000
    assert header.metadata["last"] == 1


def test_many_texts_of_every_length_are_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmrr.formats.gguf_reader.MANY", 100)
    texts = ["x" * (number * 7 % 131) for number in range(5000)] + ["y" * 70_000, "", "é"]
    path = gguf_file(tmp_path / "a.gguf", metadata={"k": texts * 2, "last": 1})
    header = gguf.read_header(path)
    assert header.metadata["last"] == 1
    assert header.strings("k") == [text.encode() for text in texts * 2]
    short = ["x" * (1 + number % 64) for number in range(64 * 40 + 5)]
    header = gguf.read_header(gguf_file(path, metadata={"k": short, "last": 1}))
    assert header.metadata["last"] == 1
    array = header.metadata["k"]
    assert isinstance(array, Array) and array.end - array.offset == 8 * len(short) + sum(
        len(text) for text in short
    )


def test_version_2_reads_like_3_and_others_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    assert gguf.read_header(gguf_file(path, metadata={"k": 1}, version=2)).version == 2
    for version, words in ((1, "version 1"), (4, "version 4"), (3 << 24, "big-endian")):
        with pytest.raises(Unsupported, match=words):
            gguf.read_header(gguf_file(path, metadata={"k": 1}, version=version))


class Ranges:
    """A file that lies elsewhere, of which ranges are read."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.size, self.taken = raw, len(raw), 0

    def read(self, offset: int, length: int) -> bytes:
        self.taken += length
        return self.raw[offset : offset + length]

    def __str__(self) -> str:
        return "huggingface:owner/repo"


def test_a_header_is_read_from_any_ranges(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a.gguf", layers=4, width=256, feed_forward=512, kind="f16")
    source = Ranges(path.read_bytes())
    header = gguf.read_header(source)
    assert header.tensors == gguf.read_header(path).tensors
    assert source.taken < 1_100_000 < source.size
    gguf.check(header)
    assert gguf.describe((header,)).architecture == "llama"


def test_small_windows_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_llama(tmp_path / "a.gguf")
    whole = gguf.read_header(path)
    for block in (8, 9, 64, 1000):
        monkeypatch.setattr("llmrr.formats.gguf_reader.BLOCK", block)
        again = gguf.read_header(path)
        assert (again.metadata, again.tensors) == (whole.metadata, whole.tensors)
        assert again.data_offset == whole.data_offset


def test_split_models_are_one(tmp_path: Path) -> None:
    paths = split_model(tmp_path)
    for path in paths:
        info = gguf.inspect(path)
        assert (info.parts, info.architecture) == (3, "llama")
        assert info.bytes == sum(part.stat().st_size for part in paths)
        assert info.parameters == gguf.inspect(tiny_llama(tmp_path / "w")).parameters
        assert formats.locate(path).path == paths[0]
    assert len(gguf.check_file(paths[0])) == 3
    paths[1].unlink()
    with pytest.raises(DamagedFile, match=r"needs m-00002-of-00003\.gguf, which is not there"):
        gguf.inspect(paths[0])


def test_parts_must_belong_together(tmp_path: Path) -> None:
    paths = split_model(tmp_path)
    paths[1].write_bytes(paths[2].read_bytes())
    with pytest.raises(DamagedFile, match=r"split\.no"):
        gguf.check_file(paths[0])


@pytest.mark.parametrize(
    ("kind", "architecture", "words"),
    [
        ("adapter", "llama", "LoRA adapter"),
        ("mmproj", "clip", "image encoder"),
        (None, "clip", "image encoder"),
        ("imatrix", "x", "importance matrix"),
        ("model", "eagle3", "draft model"),
    ],
)
def test_companions_of_models_are_not_run(
    tmp_path: Path, kind: str | None, architecture: str, words: str
) -> None:
    metadata = {"general.architecture": architecture}
    metadata |= {"general.type": kind} if kind else {}
    path = gguf_file(tmp_path / "a.gguf", metadata=metadata)
    with pytest.raises(Unsupported, match=words):
        gguf.check_file(path)
    assert gguf.inspect(path).kind == (kind or "mmproj")


def test_a_vocabulary_alone_is_described_and_not_run(tmp_path: Path) -> None:
    metadata = {"general.architecture": "llama", **byte_tokenizer()}
    path = gguf_file(tmp_path / "vocab.gguf", metadata=metadata)
    info = gguf.inspect(path)
    assert info.parameters is None and info.quant is None and info.vocabulary == 304
    with pytest.raises(Unsupported, match="holds only a vocabulary"):
        gguf.check_file(path)


@pytest.mark.skipif(not VOCABULARIES, reason="LLMRR_VOCABULARIES names no folder")
def test_vocabularies_of_llama_cpp() -> None:
    for path in Path(VOCABULARIES or "").glob("ggml-vocab-*.gguf"):
        info = gguf.inspect(path)
        assert info.vocabulary and info.vocabulary > 30_000
        gguf.check_vocabulary(gguf.read_header(path))


def safetensors(path: Path, metadata: dict[str, str] | None = None) -> Path:
    header = json.dumps({"__metadata__": metadata or {"format": "pt"}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


def onnx(path: Path) -> Path:
    """ir_version 8, producer "x", an empty graph, and an opset."""
    path.write_bytes(b"\x08\x08\x12\x01x\x3a\x00\x42\x02\x10\x11")
    return path


def test_formats_are_told_by_content(tmp_path: Path) -> None:
    gguf_file(tmp_path / "gguf.bin", metadata={"k": 1})
    safetensors(tmp_path / "st.gguf")
    onnx(tmp_path / "onnx.txt")
    (tmp_path / "old.pt").write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
    with zipfile.ZipFile(tmp_path / "new.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    found = {path.name: formats.detect(path) for path in tmp_path.iterdir()}
    assert found == {
        "gguf.bin": Format.GGUF,
        "st.gguf": Format.SAFETENSORS,
        "onnx.txt": Format.ONNX,
        "old.pt": Format.PYTORCH,
        "new.pt": Format.PYTORCH,
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello, I am a text\n", r"is not a model file: it begins with b'hello, I'"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"tjgg\x03\x00\x00\x00", "before GGUF"),
        (b"PK\x03\x04" + bytes(22) + b"\x05\x00\x00\x00a.txt", "zip archive"),
        (b"\x08\x08\x12\xff\xff\x7f", "is not a model file"),
        (struct.pack("<Q", 10**9) + b"{}", "is not a model file"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(Unsupported, match=words):
        formats.detect(path)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        formats.detect(tmp_path / "x.gguf")
    with pytest.raises(NotFound, match="holds no model"):
        formats.detect(tmp_path)
    with pytest.raises(NotFound, match="cannot be read"):
        gguf.read_header(tmp_path / "x.gguf")


def test_a_folder_stands_for_its_one_model(tmp_path: Path) -> None:
    model = tiny_llama(tmp_path / "model.gguf")
    (tmp_path / "README.md").write_text("a text")
    clip = {"general.architecture": "clip", "general.type": "mmproj"}
    gguf_file(tmp_path / "mmproj.gguf", metadata=clip)
    place = formats.locate(tmp_path)
    assert (place.path, place.format) == (model, Format.GGUF)
    tiny_llama(tmp_path / "another.gguf")
    with pytest.raises(UsageError, match=r"holds 2 models: another\.gguf, model\.gguf"):
        formats.locate(tmp_path)


def test_a_folder_with_a_split_model(tmp_path: Path) -> None:
    paths = split_model(tmp_path)
    (tmp_path / "w").unlink(missing_ok=True)
    assert formats.locate(tmp_path).path == paths[0]


@pytest.mark.parametrize(
    ("config", "metadata", "expected"),
    [
        ({"model_type": "llama"}, {"format": "pt"}, Format.SAFETENSORS),
        ({"quantization_config": {"bits": 4}}, {"format": "pt"}, Format.SAFETENSORS),
        ({"quantization": {"group_size": 64, "bits": 4}}, {"format": "pt"}, Format.MLX),
        ({"model_type": "llama"}, {"format": "mlx"}, Format.MLX),
    ],
)
def test_folders_of_other_formats(
    tmp_path: Path, config: dict[str, object], metadata: dict[str, str], expected: Format
) -> None:
    safetensors(tmp_path / "model.safetensors", metadata)
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert formats.locate(tmp_path).format is expected
    assert formats.locate(tmp_path).path == tmp_path


def test_onnx_folders(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    onnx(tmp_path / "onnx" / "model.onnx")
    assert formats.detect(tmp_path) is Format.ONNX


def test_arrays_of_numbers_become_tensors(tmp_path: Path) -> None:
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(4, np.float16)}
    path = gguf_file(tmp_path / "a.gguf", tensors=tensors)
    header = gguf.read_header(path)
    a, b = header.tensors
    assert (a.dims, a.type_name, a.elements, a.bytes) == ((3, 2), "F32", 6, 24)
    assert (b.dims, b.type_name, b.offset) == ((4,), "F16", 32)
    raw = FileSource.of(path).read(header.data_offset, 24)
    assert struct.unpack("<6f", raw) == (0, 1, 2, 3, 4, 5)
