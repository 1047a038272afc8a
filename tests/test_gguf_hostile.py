"""Damaged and hostile GGUF files: an error of ours, in bounded time and memory, never a crash."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from builders import (
    Tensor,
    Typed,
    byte_tokenizer,
    gguf_file,
    mutants,
    tiny_bert,
    tiny_llama,
    tiny_mamba,
    word_tokenizer,
)

from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats import gguf
from llmrr.types import ModelInfo

MAX_SECONDS, MAX_BYTES = 0.05, 50 << 20


class Memory:
    """A file in memory."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.size = raw, len(raw)

    def read(self, offset: int, length: int) -> bytes:
        return self.raw[offset : offset + length]


def judge(raw: bytes) -> str:
    """What becomes of a file: passed, or the class of the error."""
    try:
        header = gguf.read_header(Memory(raw))
        assert isinstance(gguf.describe((header,)), ModelInfo)
        gguf.check(header)
    except Unsupported as error:
        return type(error).__name__
    return "passed"


def measure(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Judge ``count`` mutants of each base under a limit of memory; run in a process of its own."""
    import resource
    import time

    outcomes: dict[str, int] = {}
    slowest = 0.0
    bases = [path.read_bytes() for path in sorted(folder.glob("*.gguf"))]
    for raw in bases:
        assert judge(raw) == "passed"
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MAX_BYTES, resource.RLIM_INFINITY))
    for base, raw in enumerate(bases):
        for mutant in mutants(raw, count=count // len(bases), seed=seed + base):
            began = time.process_time()
            outcome = judge(mutant)
            slowest = max(slowest, time.process_time() - began)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return {"outcomes": outcomes, "slowest": slowest}


def survive(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Give mutants that pass our check to llama.cpp, each in a fork; how many ended how.

    -N is a signal; 0 answered, 1 to 3 was refused as file, context or tokens.
    """
    from llmrr.engines.llamacpp.api import api

    api()  # opened once, for all forks
    outcomes: dict[str, int] = {}
    bases = [path.read_bytes() for path in sorted(folder.glob("*.gguf"))]
    mutant_file = folder / "mutant"
    for base, raw in enumerate(bases):
        passed = 0
        for mutant in mutants(raw, count=1_000_000, seed=seed + base):
            if passed == count // len(bases):
                break
            if judge(mutant) != "passed":
                continue
            passed += 1
            mutant_file.write_bytes(mutant)
            if (child := os.fork()) == 0:
                signal.alarm(60)
                os._exit(run_by_llama_cpp(mutant_file))
            outcome = str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return outcomes


def run_by_llama_cpp(path: Path) -> int:
    """Load, open a context, tokenize, look at every token, decode."""
    import ctypes

    from llmrr.engines.llamacpp.api import api

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    llama = api()
    parameters = llama.llama_model_default_params()
    parameters.n_gpu_layers = 0
    model = llama.llama_model_load_from_file(str(path).encode(), parameters)
    if not model:
        return 1
    shape = llama.llama_context_default_params()
    shape.n_ctx = shape.n_batch = shape.n_ubatch = 64
    shape.n_threads = shape.n_threads_batch = 1
    context = llama.llama_init_from_model(model, shape)
    if not context:
        return 2
    vocabulary = llama.llama_model_get_vocab(model)
    text, tokens = "hello wörld €\n<|im_end|> 😀".encode(), (ctypes.c_int32 * 256)()
    count = llama.llama_tokenize(vocabulary, text, len(text), tokens, 256, True, True)
    if count <= 0:
        return 3
    piece = ctypes.create_string_buffer(64)
    for token in range(llama.llama_vocab_n_tokens(vocabulary)):
        llama.llama_token_to_piece(vocabulary, token, piece, 64, 0, True)
    llama.llama_decode(context, llama.llama_batch_get_one(tokens, min(count, 60)))
    llama.llama_free(context)
    llama.llama_model_free(model)
    return 0


def in_a_process(work: str, folder: Path, count: int) -> Any:
    """Run ``measure`` or ``survive`` over four small models in a process of its own."""
    tiny_llama(folder / "llama.gguf", layers=1, width=32, heads=2, feed_forward=32, context=64)
    tiny_llama(folder / "gemma.gguf", layers=1, width=32, heads=2, architecture="gemma3")
    tiny_mamba(folder / "mamba.gguf", layers=1, width=16)
    tiny_bert(folder / "bert.gguf", layers=1, width=16, feed_forward=32)
    arguments = [sys.executable, __file__, work, str(folder), str(count), "1"]
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures through /proc")
def test_ten_thousand_mutants_end_in_an_error_or_pass(tmp_path: Path) -> None:
    count = 10_000
    result = in_a_process("measure", tmp_path, count)
    assert sum(result["outcomes"].values()) == count
    assert result["outcomes"]["DamagedFile"] > count / 2
    assert result["outcomes"]["passed"] > count / 50
    assert result["slowest"] < MAX_SECONDS


@pytest.mark.parametrize("count", [60, pytest.param(300, marks=pytest.mark.slow)])
def test_llama_cpp_survives_what_passes(tmp_path: Path, count: int) -> None:
    outcomes = in_a_process("survive", tmp_path, count)
    assert sum(outcomes.values()) == count
    assert outcomes["0"] > count / 2
    assert not [outcome for outcome in outcomes if int(outcome) < 0 or int(outcome) > 3]


LYING_HEADERS = {
    "tensors": b"GGUF\x03\0\0\0" + b"\xff" * 7 + b"\x0f" + b"\0" * 8,
    "keys": b"GGUF\x03\0\0\0" + b"\0" * 8 + b"\xff\xff\xff\xff\0\0\0\0",
    "a name": b"GGUF\x03\0\0\0" + b"\0" * 8 + b"\1" + b"\0" * 7 + b"\xff" * 8 + b"a" * 99,
}


@pytest.mark.parametrize("raw", LYING_HEADERS.values(), ids=LYING_HEADERS)
def test_counts_are_bounded_by_the_file(raw: bytes) -> None:
    assert judge(raw) == "DamagedFile"


def test_every_truncation_of_a_header_is_damage(tmp_path: Path) -> None:
    raw = tiny_llama(tmp_path / "a.gguf", layers=1, width=32, heads=2).read_bytes()
    end = gguf.read_header(Memory(raw)).data_offset
    assert {judge(raw[:length]) for length in range(0, end, 37)} == {"DamagedFile"}
    assert {judge(raw[: len(raw) - cut]) for cut in (128, 1000, 9000)} == {"DamagedFile"}


METADATA = {
    "general.architecture": (None, "", 7),
    "general.alignment": (0, 3, 8, 48, Typed("u64", 32)),
    "llama.block_count": (None, 0, 1, 3, 513, 2**32 - 1, 2.0),
    "llama.nextn_predict_layers": (3,),
    "llama.embedding_length": (None, 0, 32, 2**31),
    "llama.context_length": (None, 0, "256"),
    "llama.attention.head_count": (3, 128, [4], ["4", "4"], [4.0, 4.0], True),
    "llama.attention.head_count_kv": (3, 8, [2, 2, 2]),
    "llama.attention.key_length": (0, 2**20),
    "llama.attention.value_length": (8,),
    "llama.attention.sliding_window": (2**31,),
    "llama.rope.dimension_count": (0, 8, 15, 18),
    "llama.rope.scaling.type": ("wrong",),
    "llama.rope.freq_base": (float("nan"), float("inf"), -1.0),
    "llama.attention.layer_norm_rms_epsilon": (float("nan"), -1.0),
    "llama.expert_count": (8, 2000),
    "llama.expert_used_count": (1,),
    "llama.expert_group_count": (2,),
    "llama.pooling_type": (5,),
    "llama.feed_forward_length": (64,),
    "tokenizer.ggml.model": (None, "none", "unheard-of"),
    "tokenizer.ggml.tokens": (None, "text", ["a"], [1, 2], ["same"] * 304),
    "tokenizer.ggml.token_type": ([1], [1.0] * 304, [1] * 304),
    "tokenizer.ggml.scores": ([1.0],),
    "tokenizer.ggml.merges": ([1], "a b"),
    "tokenizer.ggml.eos_token_id": (304, 2**31),
    "split.count": (Typed("u16", 2),),
}


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, vs in METADATA.items() for v in vs])
def test_impossible_metadata_is_refused(tmp_path: Path, key: str, value: object) -> None:
    added, dropped = ({key: value}, ()) if value is not None else ({}, (key,))
    path = tiny_llama(tmp_path / "a.gguf", metadata=added, drop=dropped)
    with pytest.raises(Unsupported) as error:
        gguf.check_file(path)
    assert str(path) in error.value.message and error.value.hint


def test_texts_must_be_distinct_as_c_reads_them(tmp_path: Path) -> None:
    tokens = byte_tokenizer()["tokenizer.ggml.tokens"]
    for changed in (["a", *tokens[1:]], ["a\0b", *tokens[1:]], ["", "[EMPTY_0]", *tokens[2:]]):
        path = tiny_llama(tmp_path / "a.gguf", metadata={"tokenizer.ggml.tokens": changed})
        with pytest.raises(DamagedFile, match="same token twice"):
            gguf.check_file(path)
    path = tiny_llama(tmp_path / "a.gguf", metadata={"tokenizer.ggml.tokens": ["", *tokens[1:]]})
    gguf.check_file(path)


def test_sentencepiece_needs_a_token_for_every_byte(tmp_path: Path) -> None:
    tokens = byte_tokenizer()["tokenizer.ggml.tokens"]
    as_bytes = [f"<0x{number:02X}>" for number in range(256)] + tokens[256:]
    metadata = {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": as_bytes}
    gguf.check_file(tiny_llama(tmp_path / "a.gguf", metadata=metadata))
    as_bytes[200] = "another"
    with pytest.raises(DamagedFile, match="no token for the byte 200"):
        gguf.check_file(tiny_llama(tmp_path / "a.gguf", metadata=metadata))


def test_wordpiece_has_no_byte_tokens(tmp_path: Path) -> None:
    count = len(word_tokenizer()["tokenizer.ggml.tokens"])
    metadata = {"tokenizer.ggml.token_type": Typed("i32", [1] * (count - 1) + [6])}
    with pytest.raises(DamagedFile, match="byte tokens"):
        gguf.check_file(tiny_bert(tmp_path / "b.gguf", metadata=metadata))


def test_a_window_needs_a_layer_that_slides(tmp_path: Path) -> None:
    key = "gemma3.attention.sliding_window_pattern"
    for pattern in (1, Typed("bool", [False, False]), Typed("bool", [])):
        path = tiny_llama(tmp_path / "a.gguf", architecture="gemma3", metadata={key: pattern})
        with pytest.raises(DamagedFile, match="no layer that slides"):
            gguf.check_file(path)
    for pattern in (2, Typed("bool", [True, False])):
        path = tiny_llama(tmp_path / "a.gguf", architecture="gemma3", metadata={key: pattern})
        gguf.check_file(path)


def test_rwkv_vocabularies_must_not_loop(tmp_path: Path) -> None:
    tokens = ["<s>", *(f"\\x{number:02x}" for number in range(256)), "he"]
    tokens += [f"{number:04}" for number in range(304 - len(tokens))]
    metadata = {"tokenizer.ggml.model": "rwkv", "tokenizer.ggml.tokens": tokens}
    gguf.check_file(tiny_llama(tmp_path / "a.gguf", metadata=metadata))
    tokens[1 + ord("h")] = "other"
    with pytest.raises(DamagedFile, match="get past the byte 104"):
        gguf.check_file(tiny_llama(tmp_path / "a.gguf", metadata=metadata))


def whole(**tensors: Tensor) -> dict[str, Tensor]:
    return {name.replace("__", "."): tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (whole(a=Tensor((32,), 4, b"")), "type 4, which ggml does not have"),
        (whole(a=Tensor((32,), 31, b"")), "type 31, which ggml does not have"),
        (whole(a=Tensor((33, 2), 8, bytes(99))), "rows of 33 numbers"),
        (whole(a=Tensor((0, 2), 0, b"")), "impossible shape"),
        (whole(a=Tensor((2**32, 2**32), 0, b"")), "impossible shape"),
        (whole(a=Tensor((2**62, 4), 41, b"")), "impossible shape"),
        (whole(a=Tensor((8,), 0, bytes(32), offset=32)), "where 0 is next"),
        (whole(a=Tensor((8,), 0, bytes(32)), b=Tensor((8,), 0, b"x" * 32, 0)), "where 32 is next"),
        (whole(a=Tensor((800,), 0, bytes(32))), "beyond the file's end"),
        (whole(blk__0__attn_q__weight=Tensor((8, 8), 26, bytes(256))), "nothing can calculate"),
        (whole(blk__0__attn_q__bias=Tensor((8, 1), 1, bytes(16))), "only F32"),
        (whole(output_norm__weight=Tensor((8, 1), 1, bytes(16))), "only F32"),
        ({"n" * 64: Tensor((8,), 0, bytes(32))}, "cannot be the name"),
        ({"n\0n": Tensor((8,), 0, bytes(32))}, "cannot be the name"),
        ({"a": Tensor((2,) * 5, 0, bytes(128))}, "5 dimensions"),
        ({"a": Tensor((), 0, bytes(4))}, "0 dimensions"),
    ],
)
def test_impossible_tensors_are_refused(
    tmp_path: Path, tensors: dict[str, Tensor], words: str
) -> None:
    metadata = {"general.architecture": "llama"}
    path = gguf_file(tmp_path / "a.gguf", metadata=metadata, tensors=tensors)
    with pytest.raises(DamagedFile, match=words):
        gguf.check_file(path)


def test_shapes_must_agree_with_the_numbers(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a.gguf", metadata={"llama.vocab_size": 99})
    gguf.check_file(path)
    wrong = {"llama.attention.head_count_kv": 4}
    path = tiny_llama(tmp_path / "a.gguf", metadata=wrong)
    with pytest.raises(DamagedFile, match=r"'blk\.0\.attn_k\.weight' has the shape \(64, 32\)"):
        gguf.check_file(path)


def test_an_unknown_architecture_passes_if_it_is_sound(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a.gguf")
    raw = path.read_bytes().replace(b"llama", b"xlama")
    path.write_bytes(raw)
    gguf.check_file(path)


if __name__ == "__main__":
    work = {"measure": measure, "survive": survive}[sys.argv[1]]
    sys.stdout.write(json.dumps(work(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
