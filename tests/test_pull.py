"""``llmrr pull``, ``search`` and ``fit`` against a hub of our own, through the real client."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from builders import gguf_file, tiny_llama
from fakes import FakeEngine
from hub_server import TOKEN, Hub
from layouts import (
    decoder_graph,
    hf_folder,
    llama_tensors,
    mlx_folder,
    onnx_file,
    torch_zip,
)
from terminal import Typed
from test_gguf import split_model

from llmrr import hardware, hub, paths
from llmrr.database import open_database
from llmrr.formats import gguf
from llmrr.hardware import Cpu, Gpu, Hardware, Memory
from llmrr.hardware.fit import GPU_MARGIN
from llmrr.store import pull

NAME = "acme/Tiny-GGUF"
QUANTS = {"F16": "f16", "Q8_0": "q8_0", "Q4_K_M": "q8_0"}


def quantization(label: str, **named: object) -> bytes:
    """A real model, so large that its header is a small part of it."""
    path = Path(f"made-{label}.gguf")
    width = 128 if label == "Q4_K_M" else 192
    tiny_llama(path, kind=QUANTS[label], width=width, layers=2, **named)  # type: ignore[arg-type]
    return path.read_bytes()


@pytest.fixture
def tiny(server: Hub) -> dict[str, bytes]:
    """A repository of three quantizations, with what else lies in such."""
    files = {f"tiny-{label}.gguf": quantization(label) for label in QUANTS}
    mmproj = gguf_file(Path("made"), metadata={"general.architecture": "clip"}).read_bytes()
    others = {"README.md": b"# Tiny", ".gitattributes": b"*", "imatrix.dat": b"x" * 500}
    server.add(NAME, {**files, "mmproj-F16.gguf": mmproj, **others}, downloads=7)
    return files


def machine(memory: int, gpu: int | None = None) -> Hardware:
    gpus = () if gpu is None else (Gpu("nvidia", "test", free_bytes=gpu),)
    return Hardware("linux", Cpu("x86_64"), Memory(10 * memory, memory), gpus)


def test_the_best_quantization_comes_with_the_reason(
    typed: Typed, server: Hub, tiny: dict[str, bytes]
) -> None:
    seen = typed("pull", NAME)
    assert (seen.code, seen.out) == (0, f"{NAME}:Q8_0\n")
    assert "Q8_0 is the best of 3 that fits" in seen.err
    snapshot = next(paths.hub_cache_dir().glob("models--acme--Tiny-GGUF/snapshots/*"))
    assert {path.name for path in snapshot.iterdir()} == {"tiny-Q8_0.gguf", "mmproj-F16.gguf"}
    assert (snapshot / "tiny-Q8_0.gguf").read_bytes() == tiny["tiny-Q8_0.gguf"]
    again = typed("pull", NAME, "--json").json
    assert again["path"] == str(snapshot / "tiny-Q8_0.gguf")


def between(here: Hardware, part: str) -> int:
    """Bytes that are enough for Q4_K_M and not for Q8_0."""
    found = [hardware.fit_one(gguf.inspect(Path(f"made-{label}.gguf")), here)
             for label in ("Q4_K_M", "Q8_0")]  # fmt: skip
    return sum(int(getattr(one, part)) for one in found) // 2


@pytest.mark.parametrize(("share", "expected"), [(1.0, f"{NAME}:Q4_K_M\n"), (0.5, "")])
def test_what_does_not_fit_is_not_taken(
    typed: Typed, tiny: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, share: float,
    expected: str,
) -> None:  # fmt: skip
    free = int(share * between(machine(10**12), "host_bytes"))
    monkeypatch.setattr(hardware, "probe", lambda **_: machine(free))
    seen = typed("pull", NAME)
    assert (seen.code, seen.out) == (0 if expected else 5, expected)
    if not expected:
        assert f"hint: llmrr pull {NAME}:Q4_K_M" in seen.err
        assert typed("pull", f"{NAME}:q4_k_m").code == 0


def test_one_that_is_wholly_on_the_gpu_goes_before_a_better_one(
    typed: Typed, tiny: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = GPU_MARGIN + between(machine(10**12, 10**12), "gpu_bytes")
    monkeypatch.setattr(hardware, "probe", lambda **_: machine(10**9, room))
    assert typed("pull", NAME).out == f"{NAME}:Q4_K_M\n"


@pytest.mark.parametrize(
    "words",
    [
        (f"{NAME}:q4_k_m",), (NAME, "--quant", "Q4_K_M"), (f"hf:{NAME}/tiny-Q4_K_M.gguf",),
        (f"huggingface:{NAME}:Q4_K_M",), (f"hf.co/{NAME}:Q4_K_M",),
    ],
)  # fmt: skip
def test_a_quantization_is_named_in_many_ways(
    typed: Typed, tiny: dict[str, bytes], engine: FakeEngine, words: tuple[str, ...]
) -> None:
    engine.replies = ["hi"] * 4
    assert typed("pull", *words).out == f"{NAME}:Q4_K_M\n"
    for name in (f"{NAME}:Q4_K_M", NAME, f"hf:{NAME}:q4_k_m", f"huggingface:{NAME}"):
        assert typed("run", "-m", name, "hello").code == 0
    loaded = {place.name for place, _ in engine.loads}
    assert loaded == {"tiny-Q4_K_M.gguf"}


def test_a_page_of_the_hub_names_a_file(typed: Typed, server: Hub, tiny: dict[str, bytes]) -> None:
    address = f"{server.url}/{NAME}/resolve/main/tiny-Q8_0.gguf?download=true"
    assert typed("pull", address).out == f"{NAME}:Q8_0\n"


def test_wrong_names_lead_to_the_nearest(typed: Typed, tiny: dict[str, bytes]) -> None:
    wrong = {
        f"{NAME}:Q5_K_M": f"llmrr pull {NAME}:Q4_K_M",
        f"hf:{NAME}/tiny-Q8.gguf": f"llmrr pull hf:{NAME}/tiny-Q8_0.gguf",
        "acme/Tiny-GUFF": f"llmrr pull {NAME}",
        f"{NAME}@mian": f"llmrr pull {NAME}@main",
        "qwen3:4": "llmrr pull qwen3:4b",
    }
    for name, hint in wrong.items():
        seen = typed("pull", name)
        assert (seen.code, seen.err.splitlines()[-1]) == (3, f"  hint: {hint}"), name
    assert "it has: F16, Q4_K_M, Q8_0" in typed("pull", f"{NAME}:Q5_K_M").err


def test_what_is_not_on_the_hub_is_not_pulled(typed: Typed, server: Hub) -> None:
    assert "llmrr import --from ollama" in typed("pull", "ollama:llama3").err
    assert "is here already" in typed("pull", "builtin:mini").err
    assert typed("pull", "openai:gpt-4o").code == typed("pull", "").code == 2
    assert server.seen == []


def test_a_short_name_becomes_the_name(
    typed: Typed, tiny: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, engine: FakeEngine
) -> None:
    from llmrr.store import shortnames

    monkeypatch.setattr(shortnames, "SHORT_NAMES", {"tiny3": NAME, "tiny3:1b": NAME})
    engine.replies = ["hi"]
    absent = typed("run", "tiny3:1b", "hello")
    assert (absent.code, "hint: llmrr pull tiny3:1b" in absent.err) == (3, True)
    assert NAME in absent.err
    assert typed("pull", "Tiny3:1B").out == "tiny3:1b\n"
    assert typed("pull", "tiny3:1b", "--quant", "q4_k_m").out == "tiny3:1b-Q4_K_M\n"
    assert typed("run", "tiny3:1b", "hello").out == "hi\n"
    assert [line["source"] for line in typed("list", "tiny3", "--json").json] == [
        f"huggingface:{NAME}:Q8_0", f"huggingface:{NAME}:Q4_K_M",
    ]  # fmt: skip


def test_a_dry_run_names_files_and_bytes_and_fetches_none(
    typed: Typed, server: Hub, tiny: dict[str, bytes]
) -> None:
    facts = typed("pull", NAME, "--dry-run", "--json").json
    size = len(tiny["tiny-Q8_0.gguf"])
    assert facts["files"][0] == {"path": "tiny-Q8_0.gguf", "bytes": size, "missing_bytes": size}
    assert facts["missing_bytes"] == facts["bytes"] > size
    assert facts["name"] == f"{NAME}:Q8_0"
    assert not paths.hub_cache_dir().exists()
    typed("pull", NAME)
    assert typed("pull", NAME, "--dry-run", "--json").json["missing_bytes"] == 0
    assert "tiny-Q8_0.gguf" in typed("pull", NAME, "--dry-run").out


def test_a_split_model_comes_whole(typed: Typed, server: Hub) -> None:
    part = quantization("Q8_0")
    names = [f"big-Q8_0-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    server.add(NAME, {f"Q8_0/{name}": part for name in names} | {"big-Q4_0.gguf": part})
    plan = typed("pull", f"{NAME}:Q8_0", "--dry-run", "--json").json
    assert [file["path"] for file in plan["files"]] == [f"Q8_0/{name}" for name in names]


@pytest.mark.parametrize("parts", [1, 3])
def test_quantizations_in_folders_of_their_own(
    typed: Typed, server: Hub, engine: FakeEngine, parts: int
) -> None:
    """As unsloth lays them out, and bartowski the large ones."""
    engine.replies = ["hi"]
    files = {}
    for label in ("Q4_K_M", "UD-Q8_K_XL"):
        whole = Path("made.gguf")
        whole.write_bytes(quantization("Q4_K_M" if label == "Q4_K_M" else "Q8_0"))
        for number, part in enumerate(split_model(Path()) if parts > 1 else [whole], 1):
            end = f"-{number:05d}-of-{parts:05d}.gguf" if parts > 1 else ".gguf"
            files[f"{label}/Tiny-{label}{end}"] = part.read_bytes()
    server.add(NAME, {**files, "config.json": b"{}", "mmproj-F16.gguf": b"GGUF"})
    entry = typed("pull", f"{NAME}:ud-q8_k_xl", "--json").json
    assert (entry["name"], len(entry["files"])) == (f"{NAME}:UD-Q8_K_XL", parts + 1)
    shown = typed("show", entry["name"], "--json").json["quant"]
    assert entry["quant"] == typed("list", "--json").json[0]["quant"] == shown
    assert typed("run", "-m", NAME, "hello").out == "hi\n"
    assert typed("pull", f"{NAME}:q4_k_m").out == f"{NAME}:Q4_K_M\n"
    assert typed("show", f"{NAME}:Q4_K_M", "--json").json["format"] == "gguf"
    assert [line["is_missing"] for line in typed("list", "--json").json] == [False] * 3


def test_patterns(typed: Typed, server: Hub, tiny: dict[str, bytes]) -> None:
    one = typed("pull", NAME, "--include", "*Q4_K_M*", "--json").json
    assert (one["name"], len(one["files"])) == (f"{NAME}:Q4_K_M", 1)
    two = typed("pull", NAME, "--include", "*.gguf", "--exclude", "mmproj*", "--json").json
    assert (two["name"], len(two["files"])) == (None, 3)
    assert two["files"] == sorted(two["files"])
    assert "llmrr import --from huggingface" in typed("pull", NAME, "--include", "*.gguf").err
    assert typed("pull", NAME, "--include", "*.none").code == 3
    assert typed("pull", NAME, "--include", "README.md").out.endswith("README.md\n")


def test_a_folder_of_the_users(typed: Typed, tiny: dict[str, bytes], engine: FakeEngine) -> None:
    engine.replies = ["hi"]
    found = typed("pull", f"{NAME}:Q4_K_M", "--local-dir", "models", "--json").json
    assert found["path"] == str(Path("models/tiny-Q4_K_M.gguf").absolute())
    assert not paths.hub_cache_dir().exists()
    assert typed("run", f"{NAME}:Q4_K_M", "hello").out == "hi\n"


def test_pinned_revisions_have_names_of_their_own(
    typed: Typed, server: Hub, tiny: dict[str, bytes]
) -> None:
    server.add(NAME, {"tiny-Q8_0.gguf": quantization("Q8_0", seed=5)}, revision="v1")
    typed("pull", f"{NAME}:Q8_0")
    assert typed("pull", f"{NAME}@v1").out == f"{NAME}:Q8_0@v1\n"
    assert typed("pull", NAME, "--revision", "v1").out == f"{NAME}:Q8_0@v1\n"
    assert typed("pull", f"{NAME}@v1", "--revision", "v2").code == 2
    lines = typed("list", "--json").json
    assert len({line["digest"] for line in lines[:-1]}) == 2


def test_a_newer_commit_replaces_the_model_and_prune_frees_the_old(
    typed: Typed, server: Hub, tiny: dict[str, bytes]
) -> None:
    old = Path(typed("pull", f"{NAME}:Q8_0", "--json").json["path"]).resolve()
    server.add(NAME, {"tiny-Q8_0.gguf": quantization("Q8_0", seed=5)})
    new = Path(typed("pull", f"{NAME}:Q8_0", "--json").json["path"]).resolve()
    assert old != new
    assert len(typed("list", "--json").json) == 2
    assert [one["path"] for one in typed("prune", "--dry-run", "--json").json].count(str(old)) == 1
    assert typed("prune").code == 1  # nobody can be asked here
    assert typed("prune", "-y").code == 0
    assert (old.exists(), new.exists()) == (False, True)


def test_the_sources_of_a_configuration(
    typed: Typed, tiny: dict[str, bytes], engine: FakeEngine
) -> None:
    Path("llmrr.toml").write_text(
        f'version = 1\n[[models]]\nname = "small"\nsource = "huggingface:{NAME}:Q4_K_M"\n'
        'params = { temperature = 0.25, system = "Be brief." }\n'
    )
    absent = typed("run", "hello")
    assert (absent.code, f"llmrr pull huggingface:{NAME}:Q4_K_M" in absent.err) == (3, True)
    assert typed("list", "--json").json[0]["is_missing"]
    typed("pull", f"{NAME}:Q4_K_M")
    engine.replies = ["hi"]
    assert typed("run", "hello").out == "hi\n"
    assert engine.requests[0].sampling.temperature == 0.25
    assert engine.requests[0].messages[0].content == "Be brief."
    lines = typed("list", "--json").json
    assert [line["name"] for line in lines] == ["small", f"{NAME}:Q4_K_M", "builtin:mini"]
    assert lines[0]["bytes"] == len(tiny["tiny-Q4_K_M.gguf"])
    assert typed("show", "small", "--json").json["recipe"]["params"] == {"temperature": 0.25}


def test_patterns_narrow_the_model_that_was_named(
    typed: Typed, server: Hub, tiny: dict[str, bytes]
) -> None:
    for words in ((f"{NAME}:Q8_0",), (f"hf:{NAME}/tiny-Q8_0.gguf",), (NAME, "--quant", "q8_0")):
        dry = typed("pull", *words, "--exclude", "mmproj*", "--dry-run", "--json").json
        assert [file["path"] for file in dry["files"]] == ["tiny-Q8_0.gguf"]
    seen = typed("pull", f"{NAME}:Q8_0", "--include", "*F16*")
    assert (seen.code, "leave out tiny-Q8_0.gguf" in seen.err) == (2, True)


# -- what is refused ---------------------------------------------------------------------------


def test_pickles_are_fetched_only_when_that_is_said(typed: Typed, server: Hub) -> None:
    pickle = torch_zip(Path("made.bin"), llama_tensors(kind="F32")).read_bytes()
    server.add("o/r", {"pytorch_model.bin": pickle, "config.json": "{}"})
    seen = typed("pull", "o/r")
    assert (seen.code, "--allow-pickle" in seen.err) == (4, True)
    assert typed("pull", "o/r", "--include", "*.bin").code == 4
    assert typed("pull", "hf:o/r/pytorch_model.bin").code == 4
    assert server.sent == 0
    allowed = typed("pull", "o/r", "--allow-pickle")
    assert (allowed.code, allowed.out) == (0, "o/r:pytorch\n")
    assert "no engine here runs pytorch" in allowed.err


@pytest.mark.parametrize(
    "content", [b"\x80\x02cos\nsystem\n", b"PK\x03\x04" + b"\0" * 99, b"<!doctype html>", b"GGU"]
)
def test_what_is_not_what_its_name_says_is_refused_at_its_first_bytes(
    typed: Typed, server: Hub, content: bytes
) -> None:
    server.add("o/r", {"a-Q8_0.gguf": content, "b/model.safetensors": content})
    for words in (("o/r",), ("o/r", "--include", "*.safetensors")):
        seen = typed("pull", *words)
        assert (seen.code, "is not what its name says" in seen.err) == (4, True)
    assert not [path for path in paths.hub_cache_dir().rglob("*.gguf")]
    assert [line["name"] for line in typed("list", "--json").json] == ["builtin:mini"]


def test_a_damaged_model_is_not_installed(typed: Typed, server: Hub) -> None:
    server.add("o/r", {"a-Q8_0.gguf": quantization("Q8_0")[:-500]})
    seen = typed("pull", "o/r")
    assert (seen.code, "is damaged" in seen.err) == (4, True)
    assert len(typed("list", "--json").json) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.txt", b"\x80\x04\x95evil."),
        ("config.json", b"PK\x03\x04" + bytes(40)),
        ("vocab.txt", b"\x93NUMPY\x01\x00"),
        ("tokenizer.model", b"\x7fELF\x02\x01"),
        ("merges.txt", b"#!/bin/sh\nrm"),
        ("a.json", b"MZ\x90\x00"),
    ],
)
def test_what_is_no_data_is_refused_whatever_it_is_called(
    typed: Typed, server: Hub, name: str, content: bytes
) -> None:
    server.add("o/evil", {"model.safetensors": hf_folder(Path("made")).joinpath(
        "model.safetensors").read_bytes(), "config.json": b"{}", name: content})  # fmt: skip
    seen = typed("pull", "o/evil")
    assert (seen.code, name in seen.err) == (4, True)
    assert not [path for path in paths.hub_cache_dir().rglob("*") if path.is_file()
                and path.read_bytes() == content]  # fmt: skip


def test_a_model_bin_that_is_safetensors(typed: Typed, server: Hub) -> None:
    folder = hf_folder(Path("made"))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    files["pytorch_model.bin"] = files.pop("model.safetensors")
    server.add("o/odd", files)
    assert typed("pull", "o/odd").code == 4
    seen = typed("pull", "o/odd", "--allow-pickle", "--json")
    assert (seen.code, seen.json["format"]) == (0, "safetensors")
    for name in ("x.joblib", "x.npz", "x.npy"):
        server.add("o/names", {name: b"data"})
        assert typed("pull", "o/names", "--include", name).code == 4


def test_programs_are_left_out(typed: Typed, server: Hub) -> None:
    server.add("o/r", {"modeling.py": "import os", "a.gguf": quantization("Q8_0")})
    seen = typed("pull", "o/r", "--include", "*", "--json")
    assert "modeling.py is a program" in seen.err
    assert [Path(file).name for file in seen.json["files"]] == ["a.gguf"]


def test_a_repository_without_a_model(typed: Typed, server: Hub) -> None:
    server.add("o/r", {"README.md": "hello"})
    seen = typed("pull", "o/r")
    assert (seen.code, "it has README.md" in seen.err) == (3, True)


# -- other layouts -----------------------------------------------------------------------------


def test_a_folder_of_safetensors(typed: Typed, server: Hub) -> None:
    folder = hf_folder(Path("made-folder"), shards=2)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    server.add("o/r", {**files, "pytorch_model.bin": b"x", "README.md": "x"})
    seen = typed("pull", "o/r", "--json")
    assert (seen.json["name"], seen.json["format"]) == ("o/r", "safetensors")
    names = {Path(file).name for file in seen.json["files"]}
    assert names == set(files)
    shown = typed("show", "o/r", "--json").json
    assert shown["architecture"] == "llama"
    assert typed("fit", "o/r", "--json").json[0]["kv_bytes"] > 0
    assert "no engine here runs o/r" in typed("run", "-m", "o/r", "hello").err


def test_the_variants_of_onnx(typed: Typed, server: Hub) -> None:
    outside = {"location": "model.onnx_data", "offset": 0, "length": 4 * 32 * 128}
    graph = onnx_file(Path("made.onnx"), decoder_graph(outside=outside)).read_bytes()
    whole = onnx_file(Path("made.onnx"), decoder_graph(kind="F16")).read_bytes()
    folder = hf_folder(Path("made-folder"))
    files = {path.name: path.read_bytes() for path in folder.glob("*.json")}
    data = {"onnx/model.onnx_data": bytes(4 * 32 * 128), "onnx/model_q4.onnx_data": b"x"}
    server.add("o/r", {**files, **data, "onnx/model.onnx": graph, "onnx/model_fp16.onnx": whole})
    found = typed("pull", "o/r:fp32", "--json").json
    assert (found["name"], found["format"]) == ("o/r:fp32", "onnx")
    assert {Path(file).name for file in found["files"]} == {
        "model.onnx", "model.onnx_data", *files,
    }  # fmt: skip
    assert typed("show", "o/r:fp32", "--json").json["architecture"] == "llama"
    assert typed("pull", "o/r:fp16").out == "o/r:fp16\n"


def test_a_folder_of_mlx(typed: Typed, server: Hub) -> None:
    folder = mlx_folder(Path("made-folder"))
    server.add("o/r-4bit", {path.name: path.read_bytes() for path in folder.iterdir()})
    found = typed("pull", "o/r-4bit", "--json").json
    assert (found["name"], found["format"], found["quant"]) == ("o/r-4bit", "mlx", "4bit")


def test_weights_of_onnx_that_are_called_anything(typed: Typed, server: Hub) -> None:
    outside = {"location": "weights.pb", "offset": 0, "length": 4 * 32 * 128}
    graph = onnx_file(Path("made.onnx"), decoder_graph(outside=outside)).read_bytes()
    config = (hf_folder(Path("made-folder")) / "config.json").read_bytes()
    server.add("o/r", {"model.onnx": graph, "weights.pb": bytes(4 * 32 * 128),
                       "config.json": config})  # fmt: skip
    found = typed("pull", "o/r", "--json").json
    assert {Path(file).name for file in found["files"]} == {
        "model.onnx", "weights.pb", "config.json",
    }  # fmt: skip
    outside["location"] = "../../../etc/passwd"
    graph = onnx_file(Path("made.onnx"), decoder_graph(outside=outside)).read_bytes()
    server.add("o/evil", {"model.onnx": graph, "config.json": config})
    assert typed("pull", "o/evil").code == 4


# -- offline, and the terminal -----------------------------------------------------------------


def test_offline(typed: Typed, server: Hub, tiny: dict[str, bytes], engine: FakeEngine) -> None:
    from huggingface_hub import hf_hub_download

    engine.replies = ["hi"]
    seen = typed("pull", NAME, "--offline")
    assert (seen.code, server.seen) == (6, [])
    hf_hub_download(NAME, "tiny-Q4_K_M.gguf", cache_dir=paths.hub_cache_dir(), endpoint=server.url)
    requests = len(server.seen)
    # What another tool put into the cache is run where it is, and pulled without a byte.
    assert typed("run", "-m", f"hf:{NAME}:Q4_K_M", "hello").out == "hi\n"
    assert typed("pull", NAME, "--offline").out == f"{NAME}:Q4_K_M\n"
    assert len(server.seen) == requests
    assert typed("rm", "-y", f"{NAME}:Q4_K_M").code == 0
    assert typed("run", "-m", f"hf:{NAME}:Q4_K_M", "hello").code == 70  # no replies are left


def test_offline_the_best_that_is_there_is_taken(
    typed: Typed, server: Hub, tiny: dict[str, bytes]
) -> None:
    for label in QUANTS:
        typed("pull", f"{NAME}:{label}")
        typed("rm", "--dry-run", f"{NAME}:{label}")
    requests = len(server.seen)
    seen = typed("pull", NAME, "--offline")
    assert (seen.code, seen.out) == (0, f"{NAME}:Q8_0\n")
    assert "Q8_0 is the best of 3 that fits" in seen.err
    assert typed("pull", NAME.lower(), "--offline", "--quant", "q4_k_m").out == f"{NAME}:Q4_K_M\n"
    dry = typed("pull", f"{NAME}:F16", "--offline", "--dry-run", "--json").json
    assert (dry["missing_bytes"], dry["bytes"] > 0) == (0, True)
    assert typed("pull", f"{NAME}:Q5_K_M", "--offline").code == 3
    assert typed("pull", f"{NAME}@v2", "--offline").code == 6
    assert typed("pull", NAME, "--offline", "--local-dir", "here").code == 2
    assert len(server.seen) == requests
    (next(paths.hub_cache_dir().rglob("tiny-F16.gguf"))).unlink()
    assert typed("pull", f"{NAME}:F16", "--offline").code == 3


def test_the_licence_of_the_model_card_is_shown(
    typed: Typed, server: Hub, tiny: dict[str, bytes]
) -> None:
    server.repos[NAME].facts["tags"] = ["gguf", "license:apache-2.0"]
    typed("pull", f"{NAME}:Q8_0")
    assert typed("show", f"{NAME}:Q8_0", "--json").json["license"] == "apache-2.0"
    typed("pull", f"{NAME}:Q8_0", "--offline")  # where nobody says it again
    typed("import", "--from", "huggingface")
    shown = typed("show", f"{NAME}:Q8_0").out
    assert ("apache-2.0" in shown, "RECIPE" in shown) == (True, False)


def test_a_local_folder_goes_before_a_repository(
    typed: Typed, server: Hub, tiny: dict[str, bytes]
) -> None:
    folder = Path(NAME)
    folder.mkdir(parents=True)
    (folder / "one-Q8_0.gguf").write_bytes(tiny["tiny-Q8_0.gguf"])
    assert [line["name"] for line in typed("fit", NAME, "--json").json] != []
    assert server.seen == []


def test_offline_the_cache_is_checked_like_what_comes(
    typed: Typed, server: Hub, tiny: dict[str, bytes]
) -> None:
    typed("pull", f"{NAME}:Q8_0")
    snapshot = next(paths.hub_cache_dir().rglob("tiny-Q8_0.gguf")).parent
    typed("rm", "-y", f"{NAME}:Q8_0", "--dry-run")
    blob = (snapshot / "tiny-Q8_0.gguf").resolve()
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-1] + b"!")
    seen = typed("pull", f"{NAME}:Q8_0", "--offline")
    assert (seen.code, f"rm {blob}" in seen.err) == (4, True)
    blob.write_bytes(whole)
    assert typed("pull", f"{NAME}:Q8_0", "--offline").code == 0
    (snapshot / "evil.json").write_bytes(b"\x80\x04pickle")
    seen = typed("pull", NAME, "--include", "evil.json", "--offline")
    assert (seen.code, "is a pickle" in seen.err) == (4, True)


def test_offline_parts_that_are_missing_are_told(typed: Typed, server: Hub) -> None:
    folder = hf_folder(Path("made"), shards=3)
    server.add("o/r", {path.name: path.read_bytes() for path in folder.iterdir()})
    assert typed("pull", "o/r").code == 0
    (next(paths.hub_cache_dir().rglob("model-00002-of-*"))).unlink()
    seen = typed("pull", "o/r", "--offline")
    assert (seen.code, "lacks model-00002-of-00003.safetensors" in seen.err) == (3, True)


def test_without_a_network_offline_is_named(
    typed: Typed, server: Hub, tiny: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed("pull", f"{NAME}:Q8_0")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    seen = typed("pull", NAME)
    assert (seen.code, "--offline" in seen.err) == (6, True)
    assert "what has come is kept" not in seen.err
    [line] = typed("fit", NAME, "--json").json  # of what is here
    assert (line["name"], line["fits"]) == (f"{NAME}:Q8_0", True)
    assert typed("fit", "o/other").code == 6


@pytest.mark.parametrize("answer", ["y", "", "n"])
def test_run_offers_to_fetch_on_a_terminal(
    typed: Typed, server: Hub, tiny: dict[str, bytes], engine: FakeEngine, answer: str
) -> None:
    engine.replies = ["hi"]
    seen = typed("run", "-m", NAME, "hello", answers=f"{answer}\n")
    place = f"from {server.url} to {paths.hub_cache_dir()}"
    assert f"{NAME}:Q8_0: 526.9 kB are to be fetched {place}" in seen.err
    assert (seen.code, seen.out) == ((1, "") if answer == "n" else (0, "hi\n"))


def test_without_a_terminal_run_names_the_command(typed: Typed, tiny: dict[str, bytes]) -> None:
    seen = typed("run", "-m", NAME, "hello")
    assert (seen.code, seen.err.splitlines()[-1]) == (3, f"  hint: llmrr pull {NAME}")


def test_the_model_that_was_pulled_last_is_the_one_that_runs(
    typed: Typed, tiny: dict[str, bytes], engine: FakeEngine
) -> None:
    engine.replies = ["1", "2", "3", "4"]
    assert "builtin:mini" in typed("run", "hello").err
    typed("pull", f"{NAME}:Q4_K_M")
    typed("pull", f"{NAME}:Q8_0")
    assert f"model {NAME}:Q8_0" in typed("run", "hello").err
    typed("run", "-m", f"{NAME}:Q4_K_M", "hello")
    assert f"model {NAME}:Q4_K_M" in typed("run", "hello").err
    assert typed("list", "*:Q4_K_M", "--json").json[0]["last_used"] > 0


def test_progress_is_shown_on_a_terminal_only(typed: Typed, tiny: dict[str, bytes],
                                              monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b" not in typed("pull", f"{NAME}:Q4_K_M").err
    shown = typed("pull", f"{NAME}:Q8_0", err_terminal=True).err
    assert "in all" in shown


# -- search and fit ----------------------------------------------------------------------------


def test_search(typed: Typed, server: Hub, tiny: dict[str, bytes]) -> None:
    server.add("other/tiny", {"model.safetensors": b"x"}, downloads=99)
    [found] = typed("search", "tiny", "--json").json
    assert found == {
        "name": NAME, "formats": ["gguf"], "parameters": None, "downloads": 7, "likes": 0,
        "updated": "2026-01-31", "gated": False, "runs": True,
    }  # fmt: skip
    assert [one["runs"] for one in typed("search", "--all", "tiny", "--json").json] == [False, True]
    assert typed("search", "zzz").code == 1
    server.add("huge/tiny", {"a.gguf": b"x"}, gguf={"total": 10**15, "architecture": "llama"})
    huge = next(one for one in typed("search", "tiny", "--json").json if one["name"] != NAME)
    assert (huge["parameters"], huge["runs"]) == (10**15, False)
    assert "1000.0T" in typed("search", "tiny").out


def test_every_quantization_of_a_repository_is_weighed(
    typed: Typed, server: Hub, tiny: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = typed("fit", NAME, "--json").json
    assert [one["name"].partition(":")[2] for one in lines] == ["Q4_K_M", "Q8_0", "F16"]
    assert [one["recommended"] for one in lines] == [False, True, False]
    for label in ("Q4_K_M", "F16"):  # of the first one, Q8_0, the header was read whole
        asked = [one.range for one in server.requests("GET", f"tiny-{label}.gguf")]
        assert len(asked) <= 4 and asked[0] == "bytes=0-15", label
    table = typed("fit", NAME).out
    assert f"* {NAME}:Q8_0 is recommended" in table
    typed("pull", f"{NAME}:Q8_0")
    [local] = typed("fit", f"{NAME}:Q8_0", "--json").json
    exact = next(one for one in lines if one["name"].endswith("Q8_0"))
    assert local["weights_bytes"] == exact["weights_bytes"]
    assert (local["measured"], exact["measured"]) == (True, False)
    monkeypatch.setattr(hardware, "probe", lambda **_: machine(1000))
    assert "none of them fits" in typed("fit", NAME).out


def test_fit_of_settings(typed: Typed, tiny: dict[str, bytes]) -> None:
    def kv(*words: str) -> int:
        found = json.loads(typed("fit", f"hf:{NAME}:Q8_0", "--json", *words).out)
        return int(found[0]["kv_bytes"])

    assert kv("--ctx-size", "1024") == 4 * kv("--ctx-size", "256")
    assert kv("--kv-type", "q8_0") < kv("--kv-type", "f16")
    assert typed("fit", f"hf:{NAME}:Q8_0", "--kv-type", "q9").code == 2


def test_a_gated_model_is_weighed_and_fetched_with_a_token(
    typed: Typed, server: Hub, tiny: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.repos[NAME].gated = True
    for command in ("fit", "pull"):
        seen = typed(command, NAME)
        assert (seen.code, "gated" in seen.err) == (6, True), command
        assert typed(command, NAME, "--token", TOKEN).code == 0
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert typed("pull", f"{NAME}:Q4_K_M").code == 0
    database = paths.database_file().read_bytes()
    assert TOKEN.encode() not in database


def test_a_thread_that_goes_on_after_the_download_is_stopped() -> None:
    with closing(open_database()) as connection:
        notes = pull._Notes(connection)
        Path("a").touch()
        assert not notes.holds(Path("a"), "0" * 64)
        notes.close()
    with pytest.raises(hub.Stopped):
        notes.holds(Path("a"), "0" * 64)
