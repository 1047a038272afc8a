"""GGUF to GGUF of other types: every type, sizes that are promised, what is refused, and that
nothing outlives its process. Compared with llama-quantize where LLMRR_LLAMA_TOOLS names the folder
with llama.cpp's tools."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import Typed as Value
from builders import byte_tokenizer, gguf_file, tensor, tiny_bert, tiny_llama, tiny_mamba

from llmrr.convert.base import Check, Source, Step, Wish
from llmrr.convert.quantize import compare, converter, process, step
from llmrr.convert.quantize.imatrix import Entry, Imatrix, write
from llmrr.convert.quantize.table import ALIASES, IMPOSSIBLE_WITHOUT, TYPES, find
from llmrr.errors import (
    DamagedFile,
    EngineFailed,
    LlmrrError,
    NotFound,
    Unsupported,
    UsageError,
)
from llmrr.formats import gguf
from llmrr.formats.gguf_header import Header
from llmrr.formats.tensors import Tensor
from llmrr.types import Format, ModelInfo

TOOLS = os.environ.get("LLMRR_LLAMA_TOOLS")  # read before the tests get a clean environment
EASY = ("Q8_0", "Q4_K_M", "Q4_0", "Q2_K", "TQ1_0", "Q1_0", "F32", "COPY")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("source") / "tiny-F16.gguf")


@pytest.fixture(scope="module")
def matrix(source: Path) -> Path:
    return matrix_of(source, source.with_name("tiny.imatrix.gguf"))


def model(path: Path, **options: Any) -> Path:
    """Every row is a multiple of 256, as K-quants need."""
    shape: dict[str, Any] = {
        "width": 256, "heads": 4, "heads_kv": 1, "feed_forward": 512, "layers": 2, "kind": "f16",
    }  # fmt: skip
    return tiny_llama(path, **shape | options)


def matrix_of(source: Path, path: Path) -> Path:
    """Random importances for every matrix of a model."""
    random = np.random.default_rng(0)
    entries = {}
    for one in gguf.read_header(source).tensors:
        if len(one.dims) > 1 and one.name.startswith("blk."):
            count = one.dims[2] if len(one.dims) > 2 else 1
            sums = random.exponential(100, (count, one.dims[0])).astype(np.float32)
            entries[one.name] = Entry(sums.reshape(-1), np.full(count, 1024, np.float32))
    write(path, Imatrix(entries, ("words.txt",), 2, 512))
    return path


def planned(path: Path, quant: str, *, verify: bool = True, **options: Any) -> Step:
    info = gguf.inspect(path) if path.is_file() else ModelInfo(Format.GGUF, "llama")
    return step(Source(path, info), Wish(Format.GGUF, quant, verify, options))


def quantized(path: Path, target: Path, quant: str, **options: Any) -> tuple[Header, ...]:
    """The headers of the result, whose size is what was promised."""
    one = planned(path, quant, **options)
    one.work(path, target, lambda what, done, total: None)
    parts = gguf.check_file(converter.first_file(target))
    assert sum(part.source.size for part in parts) == one.bytes
    return parts


def tensors_checked(path: Path, target: Path, quant: str, **options: Any) -> Check:
    """The first check alone; the second runs both models."""
    found = converter.look(path, converter.asked(Wish(Format.GGUF, quant, options=options)))
    result = gguf.check_file(converter.first_file(target))
    return converter.check_tensors(
        found.parts, result, found.plan, found.job, lambda what, done, total: None
    )


def types_of(parts: tuple[Header, ...]) -> dict[str, str]:
    return {one.name: one.type_name for part in parts for one in part.tensors}


def reference(tool: str, *words: str | Path, cwd: Path | None = None) -> None:
    assert TOOLS
    done = subprocess.run([Path(TOOLS) / tool, *words], cwd=cwd, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr


needs_tools = pytest.mark.skipif(not TOOLS, reason="LLMRR_LLAMA_TOOLS names no folder")


@pytest.mark.parametrize("name", EASY)
def test_a_type_has_the_promised_size_and_is_close_to_its_source(
    source: Path, tmp_path: Path, name: str
) -> None:
    target = tmp_path / "out.gguf"
    parts = quantized(source, target, name)
    assert parts[0].metadata["llmrr.verified"] is True
    if name != "COPY":
        assert parts[0].integer("general.file_type") == find(name).number
        assert types_of(parts)["blk.0.ffn_up.weight"] == find(name).tensor
    check = tensors_checked(source, target, name)
    assert (check.name, check.passed) == ("tensors", True), check.detail


# What a model may be like, and what llama-quantize is told beside the type.
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "plain": ({}, {}, []),
    "matrix": ({}, {"imatrix": "m.gguf"}, ["--imatrix", "m.gguf"]),
    "experts": ({"experts": 4}, {}, []),
    "experts, matrix": ({"experts": 4}, {"imatrix": "m.gguf"}, ["--imatrix", "m.gguf"]),
    "pure": ({}, {"pure": True}, ["--pure"]),
    "rows of 96 and 80": ({"width": 96, "heads": 3, "heads_kv": 3, "feed_forward": 80}, {}, []),
    "grouped, bf16": ({"layers": 8, "heads_kv": 2, "kind": "bf16"}, {}, []),
    "tied": ({"tied": True}, {}, []),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [kind.name for kind in TYPES])
def test_every_type(tmp_path: Path, monkeypatch: Any, name: str, way: str) -> None:
    """Of the size that was promised, close to its source, and what llama-quantize makes."""
    monkeypatch.chdir(tmp_path)
    shape, options, words = WAYS[way]
    source = model(Path("tiny.gguf"), **shape)
    matrix_of(source, Path("m.gguf"))
    if find(name).needs_imatrix and not options.get("imatrix"):
        with pytest.raises(Unsupported, match=f"{name} needs an importance matrix"):
            planned(source, name, **options)
        options, words = {**options, "imatrix": "m.gguf"}, [*words, "--imatrix", "m.gguf"]
    if options.get("pure") and find(name).tensor in IMPOSSIBLE_WITHOUT:
        with pytest.raises(Unsupported, match="token_embd"):
            planned(source, name, **options)
        tables = ("token_embedding_type", "output_tensor_type")
        options |= dict.fromkeys(tables, "q4_K")
        for table in tables:
            words += [f"--{table.replace('_', '-')}", "q4_K"]
    if (name, way) == ("Q1_0", "rows of 96 and 80"):
        with pytest.raises(EngineFailed, match="no tensor type fallback is defined for type q1_0"):
            planned(source, name, **options)
        return
    target = Path("out.gguf")
    quantized(source, target, name, **options)
    check = tensors_checked(source, target, name, **options)
    assert check.passed, check.detail
    if TOOLS:
        mark = ["--override-kv", "llmrr.verified=bool:true"]
        reference("llama-quantize", *words, *mark, source, "theirs.gguf", name, "2", cwd=tmp_path)
        assert target.read_bytes() == Path("theirs.gguf").read_bytes()


@needs_tools
@pytest.mark.parametrize("name", ["Q4_K_M", "IQ2_XS", "F32", "COPY"])
def test_parts_are_those_of_llama_quantize(source: Path, tmp_path: Path, name: str) -> None:
    first = split(source, tmp_path, (7, 9, len(gguf.read_header(source).tensors) - 16))
    matrix = matrix_of(source, tmp_path / "m.gguf")
    quantized(first, tmp_path / "folder", name, keep_split=True, imatrix=matrix)
    (tmp_path / "theirs").mkdir()
    reference(
        "llama-quantize", "--keep-split", "--imatrix", "m.gguf",
        "--override-kv", "llmrr.verified=bool:true", first.name, "theirs/x", name, "2",
        cwd=tmp_path,
    )  # fmt: skip
    ours, others = (sorted((tmp_path / place).iterdir()) for place in ("folder", "theirs"))
    assert len(ours) == len(others) == 3
    for one, other in zip(ours, others, strict=True):
        assert one.read_bytes() == other.read_bytes()


@needs_tools
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pure": True}, ["--pure"]),
        ({"leave_output": True}, ["--leave-output-tensor"]),
        (
            {"output_tensor_type": "q8_0", "token_embedding_type": "Q5_K"},
            ["--output-tensor-type", "q8_0", "--token-embedding-type", "q5_K"],
        ),
        (
            {"overrides": [("attn_v", "Q8_0"), (r"blk\.1\.ffn", "f16")]},
            ["--tensor-type", "attn_v=q8_0", "--tensor-type", r"blk\.1\.ffn=f16"],
        ),
        ({"prune_layers": [1]}, ["--prune-layers", "1"]),
        ({"prune_layers": [0, 2]}, ["--prune-layers", "0,2"]),
    ],
)
def test_options_do_what_those_of_llama_quantize_do(
    tmp_path: Path, options: dict[str, Any], words: list[str]
) -> None:
    source, target = model(tmp_path / "tiny.gguf", layers=4), tmp_path / "out.gguf"
    quantized(source, target, "Q4_K_M", **options)
    mark = ["--override-kv", "llmrr.verified=bool:true"]
    reference("llama-quantize", *words, *mark, source, tmp_path / "theirs.gguf", "Q4_K_M", "2")
    assert target.read_bytes() == (tmp_path / "theirs.gguf").read_bytes()
    check = tensors_checked(source, target, "Q4_K_M", **options)
    assert check.passed, check.detail


def test_options_decide_the_types_of_tensors(source: Path, tmp_path: Path) -> None:
    found = types_of(
        quantized(
            source, tmp_path / "a.gguf", "q4-k-s",
            overrides=[(r"blk\.1\.attn_v", "Q8_0"), "ffn_(up|gate)=iq4_nl"],
            output_tensor_type="bf16", token_embedding_type="Q6_K",
        )
    )  # fmt: skip
    assert found["blk.1.attn_v.weight"] == "Q8_0" != found["blk.0.attn_v.weight"]
    assert {found[f"blk.{n}.ffn_{w}.weight"] for n in (0, 1) for w in ("up", "gate")} == {"IQ4_NL"}
    assert (found["output.weight"], found["token_embd.weight"]) == ("BF16", "Q6_K")
    pure = types_of(quantized(source, tmp_path / "b.gguf", "Q4_K_M", pure=True, leave_output=True))
    kinds = {kind for name, kind in pure.items() if name.startswith("blk.") and "norm" not in name}
    assert (kinds, pure["output.weight"]) == ({"Q4_K"}, "F16")


def test_an_importance_matrix_is_used_and_noted(
    source: Path, matrix: Path, tmp_path: Path
) -> None:
    with_it, without = tmp_path / "with.gguf", tmp_path / "without.gguf"
    header, *_ = quantized(source, with_it, "Q2_K_S", imatrix=matrix)
    noted = {k: v for k, v in header.metadata.items() if k.startswith("quantize.imatrix.")}
    assert noted == {
        "quantize.imatrix.file": matrix.name,
        "quantize.imatrix.dataset": "words.txt",
        "quantize.imatrix.entries_count": 14,
        "quantize.imatrix.chunks_count": 2,
    }
    assert tensors_checked(source, with_it, "Q2_K_S", imatrix=matrix).passed
    quantized(source, with_it, "Q4_K_S", imatrix=matrix)
    quantized(source, without, "Q4_K_S")
    assert with_it.read_bytes()[-9999:] != without.read_bytes()[-9999:]


def test_rows_that_a_type_does_not_divide_get_another(tmp_path: Path) -> None:
    source = tiny_llama(tmp_path / "odd.gguf", width=96, heads=3, heads_kv=3, feed_forward=80)
    found = types_of(quantized(source, tmp_path / "out.gguf", "Q4_K_M"))
    assert found["blk.0.attn_q.weight"] == "Q5_0"
    assert found["blk.0.ffn_down.weight"] == "F16"
    assert tensors_checked(source, tmp_path / "out.gguf", "Q4_K_M").passed


@pytest.mark.parametrize("build", [tiny_mamba, tiny_bert])
def test_other_architectures(tmp_path: Path, build: Any) -> None:
    source = build(tmp_path / "tiny.gguf")
    quantized(source, tmp_path / "out.gguf", "Q8_0")
    assert tensors_checked(source, tmp_path / "out.gguf", "Q8_0").passed


def test_alignment_of_another_width_is_not_carried_over(tmp_path: Path) -> None:
    plain = model(tmp_path / "plain.gguf")
    header, wide = gguf.read_header(plain), tmp_path / "wide.gguf"
    raw = plain.read_bytes()
    tensors = {}
    for one in header.tensors:
        start = header.data_offset + one.offset
        kind = {"F32": "<f4", "F16": "<f2"}[one.type_name]
        array = np.frombuffer(raw[start : start + one.bytes], kind)
        tensors[one.name] = tensor(array.reshape(tuple(reversed(one.dims))))
    metadata: dict[str, Any] = {}
    for key, value in header.metadata.items():
        if (texts := header.strings(key)) is not None:
            metadata[key] = texts
        elif (numbers := header.values(key)) is not None:
            metadata[key] = Value("i32", list(numbers))
        else:
            metadata[key] = value
    gguf_file(wide, metadata=metadata, tensors=tensors, alignment=256)
    parts = quantized(wide, tmp_path / "out.gguf", "Q8_0")
    assert parts[0].alignment == 32
    assert tensors_checked(wide, tmp_path / "out.gguf", "Q8_0").passed


# Models in several files.


def split(path: Path, folder: Path, counts: tuple[int, ...]) -> Path:
    """The model as parts of so many tensors, as llama-gguf-split makes them."""
    header, raw = gguf.read_header(path), path.read_bytes()
    end = header.data_offset
    stem = path.name.removesuffix(".gguf")
    tensors, first = list(header.tensors), folder / f"{stem}-00001-of-{len(counts):05d}.gguf"
    for number, count in enumerate(counts):
        chosen, tensors = tensors[:count], tensors[count:]
        arrays = {}
        for one in chosen:
            start = end + one.offset
            kind = {"F32": "<f4", "F16": "<f2"}[one.type_name]
            array = np.frombuffer(raw[start : start + one.bytes], kind)
            arrays[one.name] = tensor(array.reshape(tuple(reversed(one.dims))))
        metadata: dict[str, Any] = {}
        if number == 0:
            for key, value in header.metadata.items():
                texts, numbers = header.strings(key), header.values(key)
                metadata[key] = texts or (Value("i32", list(numbers)) if numbers else value)
        metadata |= {
            "split.no": Value("u16", number),
            "split.count": Value("u16", len(counts)),
            "split.tensors.count": Value("i32", len(header.tensors)),
        }
        name = f"{stem}-{number + 1:05d}-of-{len(counts):05d}.gguf"
        gguf_file(folder / name, metadata=metadata, tensors=arrays)
    return first


def test_a_split_model_stays_split_or_becomes_one(source: Path, tmp_path: Path) -> None:
    parts = (7, 9, len(gguf.read_header(source).tensors) - 16)
    first = split(source, tmp_path, parts)
    one = planned(first, "Q5_K_M")
    assert not one.is_folder
    whole = quantized(first, tmp_path / "one.gguf", "Q5_K_M")
    assert len(whole) == 1 and "split.count" not in whole[0].metadata
    assert tensors_checked(first, tmp_path / "one.gguf", "Q5_K_M").passed

    assert planned(first, "Q5_K_M", keep_split=True).is_folder
    several = quantized(first, tmp_path / "folder", "Q5_K_M", keep_split=True)
    names = sorted(path.name for path in (tmp_path / "folder").iterdir())
    assert names == [f"tiny-Q5_K_M-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    assert tuple(len(part.tensors) for part in several) == parts
    assert tensors_checked(first, tmp_path / "folder", "Q5_K_M", keep_split=True).passed
    # The folder, and any part of it, is the model again.
    quantized(tmp_path / "folder", tmp_path / "again.gguf", "COPY")
    assert planned(tmp_path / "folder" / names[2], "COPY").bytes == one.bytes
    notes = planned(source, "Q8_0", keep_split=True)
    assert (notes.is_folder, notes.notes) == (
        False, ("the source is one file, and so is the result",),
    )  # fmt: skip


# What is refused, and when.


@pytest.mark.parametrize(
    ("quant", "said"),
    [("Q4_K_XL", "did you mean Q4_K"), ("q9", "one of"), ("auto", "--quant TYPE"), ("", "--quant")],
)
def test_a_type_that_is_none(source: Path, quant: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        planned(source, quant)
    assert said in caught.value.hint


def test_names_of_types() -> None:
    assert {find(alias).name for alias in ALIASES} == set(ALIASES.values())
    assert [find(kind.name.lower()) for kind in TYPES] == list(TYPES)
    numbers = [kind.number for kind in TYPES if kind.name != "COPY"]
    assert len(set(numbers)) == len(numbers)
    assert {gguf.FILE_TYPES[number] for number in numbers} == {
        "MXFP4" if kind.name == "MXFP4_MOE" else kind.name for kind in TYPES
    } - {"COPY"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"overrides": [("attn_w", "Q8_0")]}, "no tensor has a name that 'attn_w' matches"),
        ({"overrides": [("attn_v", "Q8_9")]}, "attn_v=Q8_9: 'Q8_9' is no type of a tensor"),
        ({"overrides": ["attn_v"]}, "'attn_v' is not a pattern of names of tensors and a type"),
        ({"overrides": ["=Q8_0"]}, "'' cannot be a pattern"),
        ({"overrides": [("attn_(v", "Q8_0")]}, "does not take a pattern"),
        ({"output_tensor_type": "q8_k"}, "--output-tensor-type: 'q8_k' is no type"),
        ({"leave_output": True, "output_tensor_type": "Q8_0"}, "cannot both"),
        ({"prune_layers": [7]}, "layer 7 cannot be left out of 2"),
        ({"prune_layers": [0, 1]}, "all 2 layers"),
        ({"save_imatrix": "x.gguf"}, "only an importance matrix that is computed"),
        ({"threads": -1}, "-1 is no number of threads"),
    ],
)
def test_options_that_cannot_be(source: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        planned(source, "Q4_K_M", **options)
    assert said in caught.value.message


def test_types_of_tensors_mean_nothing_without_quantization(source: Path) -> None:
    with pytest.raises(UsageError, match="no effect with F16"):
        planned(source, "F16", overrides=[("attn_v", "Q8_0")])


def test_what_is_quantized_already(source: Path, tmp_path: Path) -> None:
    eight = tmp_path / "eight.gguf"
    quantized(source, eight, "Q8_0")
    with pytest.raises(Unsupported, match=r"already quantized: .* is Q8_0") as caught:
        planned(eight, "Q4_K_M")
    assert "--allow-requantize" in caught.value.hint
    with pytest.raises(Unsupported, match="already quantized"):
        planned(eight, "F16")
    one = planned(eight, "Q4_K_M", allow_requantize=True)
    assert one.notes
    quantized(eight, tmp_path / "four.gguf", "Q4_K_M", allow_requantize=True)
    assert tensors_checked(eight, tmp_path / "four.gguf", "Q4_K_M", allow_requantize=True).passed
    quantized(eight, tmp_path / "same.gguf", "COPY")
    quantized(eight, tmp_path / "eight2.gguf", "Q8_0")  # nothing would be quantized again


@pytest.mark.parametrize("name", ["IQ2_XS", "IQ1_S"])
def test_a_table_that_no_matrix_is_about_is_named(source: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "text").write_text("words " * 99)
    with pytest.raises(Unsupported, match=f"token_embd.weight cannot become {name}") as caught:
        planned(source, name, calibrate=tmp_path / "text", pure=True)
    assert caught.value.hint == "--token-embedding-type Q4_K"
    planned(source, name, calibrate=tmp_path / "text", pure=True, token_embedding_type="q4_K",
            output_tensor_type="q4_K")  # fmt: skip


def test_what_it_takes_is_estimated_also_of_what_is_yet_to_be_made(source: Path) -> None:
    def seconds(quant: str, **options: Any) -> float:
        return planned(source, quant, **options).seconds or 0.0

    assert 0 < seconds("Q4_K_M", verify=False) < seconds("Q4_K_M")
    assert seconds("Q4_K_M") < seconds("IQ1_M", calibrate=source)
    info = ModelInfo(Format.GGUF, "llama", parameters=1 << 20)
    later = Source(Path("later"), info, None, (Tensor("a", "BF16", (1024, 1024), 1 << 21),))
    made = step(later, Wish(Format.GGUF, "Q4_K_M"))
    assert made.seconds is not None and made.memory_bytes is not None and made.bytes is not None


@pytest.mark.parametrize("name", [kind.name for kind in TYPES if kind.needs_imatrix])
def test_a_type_that_needs_a_matrix(source: Path, name: str) -> None:
    with pytest.raises(Unsupported, match=f"{name} needs an importance matrix") as caught:
        planned(source, name)
    assert "--imatrix" in caught.value.hint and "--calibrate" in caught.value.hint
    with pytest.raises(Unsupported, match="needs an importance matrix"):
        planned(source.with_name("yet-to-be-made.gguf"), name)


def test_a_single_tensor_that_needs_a_matrix(source: Path) -> None:
    with pytest.raises(Unsupported, match=r"blk\.0\.attn_q\.weight would become IQ2_XXS"):
        planned(source, "Q4_K_M", overrides=[("attn_q", "IQ2_XXS")])


def test_a_matrix_of_another_model(source: Path, tmp_path: Path) -> None:
    other = model(tmp_path / "other.gguf", feed_forward=768)
    matrix = matrix_of(other, tmp_path / "other.imatrix")
    with pytest.raises(DamagedFile, match=r"768 numbers for blk\.0\.ffn_down\.weight.* needs 512"):
        planned(source, "Q4_K_M", imatrix=matrix)
    smaller = matrix_of(model(tmp_path / "one.gguf", layers=1), tmp_path / "one.imatrix")
    with pytest.raises(Unsupported, match=r"says nothing of .*blk\.1\."):
        planned(source, "IQ2_XS", imatrix=smaller)
    planned(source, "Q4_K_M", imatrix=smaller)
    with pytest.raises(NotFound, match="given as --imatrix"):
        planned(source, "Q4_K_M", imatrix=tmp_path / "nowhere")


def test_a_damaged_source_is_refused_before_any_work(source: Path, tmp_path: Path) -> None:
    raw = source.read_bytes()
    for number, damaged in enumerate((raw[:-40], raw[:5000], b"nothing", b"")):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(damaged)
        with pytest.raises(DamagedFile):
            step(Source(path, ModelInfo(Format.GGUF, "llama")), Wish(Format.GGUF, "Q8_0"))
    matrix = matrix_of(source, tmp_path / "m.gguf")
    with pytest.raises(Unsupported, match="importance matrix for quantizing, not a model"):
        step(Source(matrix, ModelInfo(Format.GGUF, "")), Wish(Format.GGUF, "Q8_0"))
    with pytest.raises(NotFound):
        planned(tmp_path, "Q8_0", imatrix=tmp_path / "none")


def test_an_architecture_that_llama_cpp_does_not_know(tmp_path: Path) -> None:
    path = gguf_file(
        tmp_path / "new.gguf",
        metadata={
            "general.architecture": "zephyr9", "zephyr9.block_count": 1,
            "zephyr9.embedding_length": 32, "zephyr9.context_length": 64, **byte_tokenizer(),
        },
        tensors={"blk.0.x.weight": np.ones((32, 32), np.float16)},
    )  # fmt: skip
    with pytest.raises(Unsupported, match="unknown model architecture: 'zephyr9'"):
        planned(path, "Q8_0")


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    path = model(tmp_path / "nan.gguf")
    header, raw = gguf.read_header(path), bytearray(path.read_bytes())
    chosen = next(one for one in header.tensors if one.name == "blk.1.ffn_up.weight")
    at = header.data_offset + chosen.offset + 400
    raw[at : at + 2] = np.float16(np.nan).tobytes()
    path.write_bytes(raw)
    with pytest.raises(DamagedFile, match="not finite"):
        quantized(path, tmp_path / "out.gguf", "Q8_0")


def test_a_source_that_is_yet_to_be_made_is_looked_at_when_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "later.gguf"
    info = ModelInfo(Format.SAFETENSORS, "llama", parameters=1_000_000)
    one = step(Source(path, info), Wish(Format.GGUF, "Q4_K_M"))
    assert one.bytes == 611_800  # 4.8944 bits a weight
    assert one.memory_bytes is None
    model(path)
    one.work(path, tmp_path / "out.gguf", lambda what, done, total: None)
    assert types_of(gguf.read_parts(tmp_path / "out.gguf"))["blk.0.ffn_up.weight"] == "Q4_K"


def test_without_verification_the_result_says_so(source: Path, tmp_path: Path) -> None:
    one = planned(source, "Q8_0", verify=False)
    one.work(source, tmp_path / "out.gguf", lambda what, done, total: None)
    assert gguf.read_header(tmp_path / "out.gguf").metadata["llmrr.verified"] is False


def test_progress_is_told_in_bytes_of_the_source(source: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    one = planned(source, "Q8_0")
    one.work(source, tmp_path / "out.gguf", lambda *words: told.append(words))
    total = sum(tensor.bytes for tensor in gguf.read_header(source).tensors)
    assert told[-1] == (f"quantizing {source.name}", total, total)
    done = [words[1] for words in told]
    assert done == sorted(done) and len(done) == len(gguf.read_header(source).tensors) + 1


# What verification finds.


def damage(path: Path, name: str, change: Any) -> None:
    header, raw = gguf.read_header(path), bytearray(path.read_bytes())
    chosen = next(one for one in header.tensors if one.name == name)
    start = header.data_offset + chosen.offset
    raw[start : start + chosen.bytes] = change(bytes(raw[start : start + chosen.bytes]))
    path.write_bytes(raw)


@pytest.mark.parametrize(
    "quant", ["Q8_0", "Q2_K_S", pytest.param("IQ2_XS", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "change",
    [lambda raw: bytes(len(raw)), lambda raw: raw[len(raw) // 2 :] + raw[: len(raw) // 2]],
    ids=["zeros", "moved"],
)
def test_a_tensor_that_is_not_its_source_is_found(
    source: Path, matrix: Path, tmp_path: Path, quant: str, change: Any
) -> None:
    target = tmp_path / "out.gguf"
    quantized(source, target, quant, imatrix=matrix)
    damage(target, "blk.1.ffn_gate.weight", change)
    check = tensors_checked(source, target, quant, imatrix=matrix)
    assert not check.passed and "blk.1.ffn_gate.weight is too far from its source" in check.detail


def test_what_keeps_its_type_must_be_the_same(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    quantized(source, target, "Q8_0")
    damage(target, "blk.0.ffn_norm.weight", lambda raw: raw[:-1] + b"\x3e")
    check = tensors_checked(source, target, "Q8_0")
    assert not check.passed and "blk.0.ffn_norm.weight" in check.detail


def test_another_plan_and_other_metadata_are_found(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    quantized(source, target, "Q4_K_M")
    check = tensors_checked(source, target, "Q5_K_M")
    assert not check.passed and "Q4_K instead of Q5_K" in check.detail
    raw = target.read_bytes()
    at = raw.index(b"tokenizer.ggml.eos_token_id") + 27 + 4
    target.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    check = tensors_checked(source, target, "Q4_K_M")
    assert not check.passed and check.detail == "tokenizer.ggml.eos_token_id was not kept"


def test_large_tensors_are_sampled_from_the_first_row_to_the_last() -> None:
    from llmrr.formats.gguf_header import TensorInfo

    large = TensorInfo("x", (1024, 50_000), 1, 0)
    runs = list(compare._runs(large))
    assert runs[0] == (0, 16) and runs[-1] == (50_000 - 16, 16)
    assert sum(count for _, count in runs) * 1024 == compare.SAMPLE
    assert list(compare._runs(TensorInfo("x", (1024, 256), 1, 0))) == [(0, 256)]
    wide = list(compare._runs(TensorInfo("x", (1 << 20, 40), 1, 0)))
    assert len({first for first, _ in wide}) == compare.RUNS


# Processes.


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state != "Z"


WORK = """
import json, os, sys
from pathlib import Path
from llmrr.convert.base import Source, Wish
from llmrr.convert.quantize import process, step
from llmrr.formats import gguf
from llmrr.types import Format

source, target = map(Path, sys.argv[1:])
started = process.subprocess.Popen

def note(*words, **options):
    helper = started(*words, **options)
    print(helper.pid, flush=True)
    return helper

process.subprocess.Popen = note
one = step(Source(source, gguf.inspect(source)), Wish(Format.GGUF, "TQ1_0"))
one.work(source, target, lambda *words: print("working", flush=True))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_helper_dies_with_its_parent_and_leaves_nothing(tmp_path: Path, how: int) -> None:
    source = model(tmp_path / "source.gguf", layers=24, feed_forward=2048)
    folder = tmp_path / "scratch"
    folder.mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", WORK, source, folder / "out.gguf"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout
    helper = int(parent.stdout.readline())
    assert parent.stdout.readline() == "working\n"
    assert alive(helper)
    parent.send_signal(how)
    parent.communicate(timeout=30)
    assert parent.returncode != 0
    until = time.monotonic() + 20
    while alive(helper) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(helper)
    assert {path.name for path in folder.iterdir()} <= {"out.gguf"}
    assert {path.name for path in tmp_path.iterdir()} == {"source.gguf", "scratch"}


def test_a_plan_that_nobody_carries_out_leaves_no_helper(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    popen = subprocess.Popen

    def note(*words: Any, **options: Any) -> Any:
        helper = popen(*words, **options)
        started.append(helper.pid)
        return helper

    monkeypatch.setattr(process.subprocess, "Popen", note)
    one = planned(source, "Q8_0")
    [helper] = started
    assert alive(helper)
    del one
    assert not alive(helper)
    with pytest.raises(UsageError):
        planned(source, "Q4_K_M", overrides=[("no such tensor", "Q8_0")])
    assert not any(map(alive, started))
    # One that was ended from outside meanwhile is replaced.
    one = planned(source, "Q8_0")
    os.kill(started[-1], signal.SIGKILL)
    os.waitid(os.P_PID, started[-1], os.WEXITED | os.WNOWAIT)  # all of its threads are gone
    one.work(source, tmp_path / "out.gguf", lambda *words: None)
    assert len(started) == 4 and not any(map(alive, started))
    one.work(source, tmp_path / "again.gguf", lambda *words: None)
    assert (tmp_path / "out.gguf").read_bytes() == (tmp_path / "again.gguf").read_bytes()


def test_what_ends_the_helper_is_an_error(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = converter.look(source, converter.asked(Wish(Format.GGUF, "Q8_0")))
    for at, (code, kind, said) in enumerate((
        ("import os; os.kill(os.getpid(), 6)", DamagedFile, "signal 6"),
        ("import os; os.kill(os.getpid(), 9)", LlmrrError, "memory runs out"),
        ("raise SystemExit(3)", DamagedFile, "exit 3"),
        (
            'print("{half"); print("[\\"failed\\", \\"EngineFailed\\", \\"no\\", \\"hint\\"]")',
            EngineFailed, "no",
        ),
    )):  # fmt: skip
        # A name of its own for each: bytecode of the same second and size would be taken for it.
        (tmp_path / f"broken_helper_{at}.py").write_text(code)
        monkeypatch.setattr(process, "HELPER", f"broken_helper_{at}")
        monkeypatch.setattr(process, "__file__", str(tmp_path / "a" / "b" / "c" / "process.py"))
        with pytest.raises(kind, match=said):
            process.run(known.job, lambda words: None)


def test_a_job_travels_as_it_is(source: Path) -> None:
    known = converter.look(
        source,
        converter.asked(Wish(Format.GGUF, "Q4_K_M", options={"overrides": [("attn_v", "Q8_0")]})),
    )
    assert type(known.job).of_line(known.job.line()) == known.job
    assert json.loads(known.job.line())["metadata"] == {"llmrr.verified": True}
