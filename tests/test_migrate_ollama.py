"""Modelfiles and Ollama's store, as ``migrate scan`` reads them."""

import json
from pathlib import Path

import pytest
from holdings import OllamaStore, model_bytes
from hypothesis import given
from hypothesis import strategies as st
from terminal import Typed

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import ollama
from llmrr.migrate.scanning import scan


def read(text: str | bytes, name: str = "Modelfile", folder: Path = Path("/nowhere")) -> Artefact:
    raw = text if isinstance(text, bytes) else text.encode()
    found = list(ollama.of_data(Document(Path("bots/pirate") / name, raw, folder / name)))
    assert len(found) == 1
    return found[0]


def codes(artefact: Artefact) -> list[str]:
    return [one.code for one in artefact.warnings]


def test_what_a_modelfile_says() -> None:
    found = read(
        'FROM llama3.2:1b\nparameter temperature 0.8\nPARAMETER num_ctx 4096\n'
        'PARAMETER stop "<|eot|>"\nPARAMETER stop END\nPARAMETER num_predict -1\n'
        'SYSTEM """\nYou # talk.\n"""\nLICENSE MIT\nTEMPLATE {{ .Prompt }}\n'
    )
    (model,) = found.models
    assert (model.name, model.source) == ("pirate", "ollama:llama3.2:1b")
    assert model.params == {
        "temperature": 0.8, "stop": ["<|eot|>", "END"], "system": "\nYou # talk.\n"
    }  # fmt: skip
    assert model.options == {"context_size": 4096}
    (template,) = found.templates
    assert (template.template, template.format, template.model) == ("{{ .Prompt }}", "go", "pirate")
    assert codes(found) == ["go-template"]


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("mistral", "ollama:mistral"),
        ("someone/deep:q4", "ollama:someone/deep:q4"),
        ("hf.co/o/r-GGUF:Q4_K_M", "huggingface:o/r-GGUF:Q4_K_M"),
        ("https://huggingface.co/o/r", "huggingface:o/r"),
        ("./x.gguf", "file:./x.gguf"),
        ("x.gguf", "file:x.gguf"),
        (r"C:\models\x.gguf", r"file:C:\models\x.gguf"),
        ("~/m/x.gguf", "file:~/m/x.gguf"),
    ],
)
def test_what_from_names(line: str, source: str) -> None:
    assert read(f"FROM {line}\nSYSTEM x").models[0].source == source


def test_a_folder_beside_counts_before_a_name(tmp_path: Path) -> None:
    (tmp_path / "own" / "weights").mkdir(parents=True)
    assert read("FROM own/weights\nSYSTEM x", folder=tmp_path).models[0].source == (
        "file:own/weights"
    )


def test_a_file_of_a_repository_and_of_the_cache() -> None:
    (model,) = read("FROM hf.co/o/r:x.Q4_K_M.gguf\nSYSTEM x").models
    assert (model.source, model.options) == ("huggingface:o/r", {"file": "x.Q4_K_M.gguf"})
    path = "/home/me/.cache/huggingface/hub/models--o--r/snapshots/ab12/sub/x.gguf"
    (model,) = read(f"FROM {path}\nSYSTEM x").models
    assert model.source == "huggingface:o/r"
    assert model.options == {"file": "sub/x.gguf", "revision": "ab12"}


BLOB = "/usr/share/ollama/.ollama/models/blobs/sha256-" + "ab" * 32


def test_a_blob_is_called_as_the_remark_says() -> None:
    found = read(f"# replace FROM with:\n# FROM nemo:latest\n\nFROM {BLOB}\nSYSTEM x")
    assert found.models[0].source == "ollama:nemo:latest"
    assert not found.warnings
    found = read(f"FROM {BLOB}\nSYSTEM x")
    assert found.models[0].source == f"file:{BLOB}"
    assert codes(found) == ["foreign-path"]


def test_several_from_lines_are_a_model_and_its_image_encoder() -> None:
    (model,) = read("FROM ./mmproj-x.gguf\nFROM ./x.gguf").models
    assert (model.source, model.options) == ("file:./x.gguf", {"mmproj": "./mmproj-x.gguf"})


def test_adapters_messages_and_what_has_no_place() -> None:
    found = read("FROM m\nADAPTER ./a.gguf\nMESSAGE user Hi\nREQUIRES 0.9\nPARSER qwen3")
    assert found.models[0].options == {"lora": "./a.gguf"}
    assert codes(found) == ["few-shot", "not-applied", "not-applied"]
    assert found.warnings[0].where.endswith("Modelfile:3 MESSAGE")


def test_parameters_that_are_wrong() -> None:
    found = read(
        "FROM m\nPARAMETER temprature 1\nPARAMETER top_k many\nPARAMETER temperature 0.7 # hot\n"
        "PARAMETER mirostat 2\nPARAMETER num_batch 1024\nPARAMETER num_keep 24\n"
        "PARAMETER num_gpu -1\nPARAMETER repeat_last_n 64"
    )
    assert found.models[0].params == {"temperature": 0.7}
    assert found.models[0].options == {}
    assert codes(found) == [
        "unknown-parameter", "wrong-type", "quoted-comment", "not-used-by-original", "batch-size",
        "unmapped-parameter",
    ]  # fmt: skip
    assert [one.where.split(":")[1].split()[0] for one in found.warnings] == list("234567")


@pytest.mark.parametrize(
    "text",
    [
        'FROM m\nSYSTEM """never closed\nPARAMETER top_k 1',
        "FROM m\nMESSAGE wizard hello",
        "FROM m\nPARAMETR top_k 1",
        'FROM m\nSYSTEM "a" and more\nPARAMETER top_k 1',
        "PARAMETER top_k 1\n",
    ],
)
def test_what_ollama_refuses_is_refused(text: str) -> None:
    if "FROM" not in text:
        found = next(ollama.forced(Document(Path("Modelfile"), text.encode())))
    else:
        found = read(text)
    assert found.error
    assert not found.models


def test_a_name_to_fill_in_is_none() -> None:
    for hole in ("<modelname>", "${BASE}", "{{ model }}"):
        found = read(f"FROM {hole}\nPARAMETER top_k 1")
        assert not found.models
        assert codes(found) == ["placeholder"]


def test_byte_order_marks_and_line_ends() -> None:
    text = "FROM m\r\nSYSTEM hello\r\n"
    for raw in (text.encode("utf-8-sig"), text.encode("utf-16")):
        assert read(raw).models[0].params == {"system": "hello"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Dockerfile", "FROM python:3.11\nRUN pip install x\nCMD run\n"),
        ("Modelfile.docker", "FROM node:20 AS build\nCOPY . .\n"),
        ("x.py", "from a import b\nfrom c import d\n"),
        ("q.sql", "FROM t SELECT x\n"),
        ("mail", "From me to you\nSubject: x\n"),
        ("Containerfile", "FROM alpine\n"),
        ("multi", "FROM --platform=linux/amd64 alpine\nUSER me\n"),
        ("empty", ""),
    ],
)
def test_what_only_begins_alike_is_none(name: str, text: str) -> None:
    assert not list(ollama.of_data(Document(Path(name), text.encode())))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/Modelfile", "a"), ("a/Modelfile.coder", "coder"), ("a/coder.modelfile", "coder"),
        ("a/Modelfile-coder-7b", "coder-7b"), ("a/modelfile.txt", "a"), ("a/tiny.mf", "tiny.mf"),
    ],
)  # fmt: skip
def test_names(path: str, name: str) -> None:
    assert ollama.name_of(Path(path), Path(path)) == name


def test_texts_of_a_modelfile_may_read_like_a_dockerfile() -> None:
    text = 'FROM m\nSYSTEM """\nRUN fast\nCOPY nothing\n"""\nLICENSE "Add\nUSER x"\n'
    text = text.replace("\n", "\r\n")
    assert read(text).models[0].params == {"system": "\nRUN fast\nCOPY nothing\n"}


@given(st.text(alphabet=st.sampled_from('FROM PARAMETERSYSTEM"#\n {}abc0.:/\\'), max_size=300))
def test_any_text_is_read_or_left(text: str) -> None:
    list(ollama.of_data(Document(Path("Modelfile"), f"FROM x\n{text}".encode())))


# -- the store ---------------------------------------------------------------------------------


def test_a_store(tmp_path: Path) -> None:
    store = OllamaStore(tmp_path / "models")
    raw = model_bytes(tmp_path / "made")
    store.add(layers=[
        ("model", raw), ("template", "{{ .Prompt }}"), ("system", "Be brief."),
        ("params", json.dumps({"num_ctx": 8192, "stop": ["a", "b"], "odd": 1})),
        ("messages", '[{"role": "user", "content": "Hi"}]'), ("license", "MIT"),
    ])  # fmt: skip
    store.add("hf.co/o/r-GGUF/Q4_K_M", [("model", raw)])
    (found,) = scan([tmp_path]).artefacts
    assert found.kind == "ollama-store"
    hub, own = found.models
    assert (hub.name, hub.source) == ("r-GGUF:Q4_K_M", "ollama:hf.co/o/r-GGUF:Q4_K_M")
    assert (own.name, own.source) == ("llama3.2", "ollama:llama3.2:latest")
    assert own.params == {"stop": ["a", "b"], "system": "Be brief."}
    assert own.options == {"context_size": 8192}
    assert own.bytes == len(raw)
    assert own.weights is not None
    assert Path(own.weights).read_bytes() == raw
    assert [one.format for one in found.templates] == ["go"]
    assert codes(found) == ["unknown-parameter", "go-template", "few-shot"]


def test_what_a_store_lacks(tmp_path: Path) -> None:
    store = OllamaStore(tmp_path / "models")
    store.add("registry.ollama.ai/library/far/cloud", [], config={
        "remote_model": "far", "remote_host": "https://ollama.com"})  # fmt: skip
    store.add("registry.ollama.ai/library/mxbai/latest", [("model", b"GGUF")], config={
        "model_family": "bert"})  # fmt: skip
    store.add("registry.ollama.ai/library/new/latest", [("tensor", b"x")])
    gone = store.add("registry.ollama.ai/library/gone/latest", [("model", b"GGUFxx")])
    digest = json.loads(gone.read_text())["layers"][0]["digest"].replace(":", "-")
    (store.root / "blobs" / digest).unlink()
    store.manifest("registry.ollama.ai/library/odd/latest", b"{")
    (found,) = scan([tmp_path]).artefacts
    by_name = {one.name: one for one in found.models}
    assert set(by_name) == {"far:cloud", "new", "gone"}
    assert by_name["far:cloud"].engine == by_name["new"].engine == "ollama"
    assert sorted(codes(found)) == [
        "cloud-model", "embedding-model", "incomplete", "incomplete", "not-applied",
    ]  # fmt: skip


def test_a_modelfile_without_from_is_listed_and_ends_with_one(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("repo").mkdir()
    Path("repo/Modelfile").write_text("SYSTEM hi\n")
    Path("repo/forgotten").write_text("PARAMETER temperature 5\nSYSTEM hi\n")
    Path("repo/prose").write_text("System requirements of a temperature\nParameter two\n")
    done = typed("migrate", "scan", "repo")
    assert done.code == 1 and "repo/Modelfile has no FROM line (and 1 more)" in done.err
    done = typed("migrate", "scan", "--from", "ollama-modelfile", "repo/Modelfile")
    assert done.code == 1 and "repo/Modelfile has no FROM line" in done.err
    Path("repo/Modelfile.good").write_text("FROM llama3\n")
    assert typed("migrate", "scan", "repo").code == 0
