"""What other tools hold: their layouts, what is wrong with them, and what must never happen."""

import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import platformdirs
import pytest
from builders import tiny_llama
from holdings import (
    COMMIT,
    MEDIA,
    HubCache,
    OllamaStore,
    model_bytes,
    model_file,
    safetensors_bytes,
    safetensors_folder,
)
from terminal import Typed

from llmrr import formats, paths
from llmrr.errors import NotFound, UsageError
from llmrr.store import holders
from llmrr.store.holders import Holding
from llmrr.types import Format, Message, Recipe, Sampling

CORPUS = os.environ.get("LLMRR_CORPUS")


def held(holder: str, root: Path | None = None) -> dict[str, Holding]:
    found = holders.holdings(holder, root)
    assert all(one.holder == holder for one in found)
    assert all((one.format is None) == (one.problem is not None) for one in found)
    return {one.name: one for one in found}


def problem(holder: str, root: Path) -> str:
    (found,) = holders.holdings(holder, root)
    assert found.problem is not None
    return found.problem


# -- Ollama ------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OllamaStore:
    made = OllamaStore(tmp_path / "models")
    monkeypatch.setenv("OLLAMA_MODELS", str(made.root))
    return made


def test_ollama_says_what_it_put_around_a_model(store: OllamaStore, tmp_path: Path) -> None:
    raw = model_bytes(tmp_path)
    params = {"stop": ["<|eot|>"], "temperature": 0.3, "num_ctx": 8192, "num_keep": 24}
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]
    store.add(
        layers=[
            ("template", "{{ .Prompt }}"),
            ("license", "MIT"),
            ("license", "another"),
            ("adapter", b"an adapter"),
            ("model", raw),
            ("projector", b"an encoder"),
            ("system", "You are terse."),
            ("params", json.dumps(params)),
            ("messages", json.dumps(messages)),
        ]
    )
    (one,) = held("ollama").values()
    blobs = store.root / "blobs"
    digest = hashlib.sha256(raw).hexdigest()
    assert (one.name, one.source) == ("llama3.2:latest", "ollama:llama3.2:latest")
    assert (one.path, one.digest, one.format) == (
        blobs / f"sha256-{digest}",
        digest,
        Format.GGUF,
    )
    assert [path.read_bytes() for path in one.files] == [raw, b"an encoder", b"an adapter"]
    assert one.bytes == len(raw) + 20
    assert one.recipe == Recipe(
        "You are terse.",
        Sampling(stop=("<|eot|>",), temperature=0.3),
        {"context_size": 8192, "lora": ((one.files[2], 1.0),)},
        (Message("user", "hi"), Message("assistant", "yo")),
        license="MIT\n\nanother",
    )
    assert one.warnings == ("num_keep has no effect here (ollama:llama3.2:latest)",)


def test_ollamas_names(store: OllamaStore, tmp_path: Path) -> None:
    layers = [("model", model_bytes(tmp_path))]
    for name in (
        "registry.ollama.ai/library/llama3.2/1b",
        "registry.ollama.ai/someone/mymodel/q4",
        "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF/Q4_K_M",
        "example.com/a/b/c/latest",
    ):
        store.add(name, layers)
    store.manifest("registry.ollama.ai/library/.DS_Store", b"\0\0")
    store.manifest("registry.ollama.ai/library/stray", b"not at this level")
    assert list(held("ollama")) == [
        "example.com/a/b/c:latest",
        "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        "llama3.2:1b",
        "someone/mymodel:q4",
    ]


def test_old_stores_write_digests_with_a_colon(store: OllamaStore, tmp_path: Path) -> None:
    store.add(layers=[("model", model_bytes(tmp_path)), ("system", "hi")], separator=":")
    (one,) = held("ollama").values()
    assert one.path.name == f"sha256:{one.digest}"
    assert one.recipe.system == "hi"


@pytest.mark.parametrize("root", [".", "..", "../.."])
def test_the_home_of_a_tool_may_be_named_too(root: str, store: OllamaStore, tmp_path: Path) -> None:
    store.add(layers=[("model", model_bytes(tmp_path))])
    found = holders.holdings("ollama", store.root / root)
    assert bool(found) == (root != "../..")


def test_a_blob_that_many_models_share_is_looked_at_once(
    store: OllamaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = model_bytes(tmp_path)
    for number in range(200):
        layers = [("model", raw), ("system", f"You are number {number}."), ("params", "{}")]
        store.add(f"registry.ollama.ai/library/m{number}/latest", layers)
    looked: list[Path] = []
    detect = formats.detect
    monkeypatch.setattr(formats, "detect", lambda path: looked.append(path) or detect(path))
    started = time.perf_counter()
    assert len(held("ollama")) == 200
    assert time.perf_counter() - started < 1
    assert len(looked) == 1


def test_a_model_in_the_cloud_has_no_weights_here(store: OllamaStore) -> None:
    remote = {"remote_host": "https://ollama.com:443", "remote_model": "gpt-oss:120b"}
    store.add("registry.ollama.ai/library/gpt-oss/120b-cloud", config=remote)
    assert problem("ollama", store.root) == (
        "it runs in Ollama's cloud: its weights are not on this disk"
    )


def test_a_model_of_single_tensors_is_ollamas_own(store: OllamaStore) -> None:
    store.add(layers=[("tensor", b"\0" * 8), ("json", "{}")])
    assert "single tensors" in problem("ollama", store.root)


def test_a_manifest_without_a_model(store: OllamaStore) -> None:
    store.add(layers=[("license", "MIT")])
    assert problem("ollama", store.root) == "its manifest names no model"


def test_blobs_that_are_missing_or_cut(store: OllamaStore, tmp_path: Path) -> None:
    raw = model_bytes(tmp_path)
    store.add(layers=[("model", raw), ("system", "hi")])
    (one,) = held("ollama").values()
    for path in (store.root / "blobs").iterdir():
        if path.read_bytes() == b"hi":
            path.unlink()
    (spoken,) = held("ollama").values()
    assert spoken.problem is None
    assert "its system, the blob sha256-" in spoken.warnings[0]
    one.path.write_bytes(raw[:-1])
    assert f"is incomplete: {len(raw) - 1} of {len(raw)} bytes" in problem("ollama", store.root)
    one.path.unlink()
    assert problem("ollama", store.root).endswith("is missing")


def test_a_blob_that_is_no_model(store: OllamaStore) -> None:
    store.add(layers=[("model", b"<html>not found</html>")])
    assert "is a web page" in problem("ollama", store.root)


@pytest.mark.parametrize(
    "digest", ["sha256:../../../etc/passwd", "../x", f"sha256:{'g' * 64}", f"md5:{'a' * 64}", 7]
)
def test_a_digest_never_leads_out_of_the_blobs(store: OllamaStore, digest: object) -> None:
    layer = {"mediaType": f"{MEDIA}model", "digest": digest, "size": 1}
    raw = json.dumps({"layers": [layer]}).encode()
    store.manifest("registry.ollama.ai/library/m/latest", raw)
    assert "layers without a sha256 digest" in problem("ollama", store.root)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x80\x81\x00", b"[]", b"null", b"[" * 50_000, b'{"layers": 3}', b'{"layers": [3]}',
     b'{"layers": {"a": 1}}', b'{"layers": "x"}', b"{}", b'{"config": {"digest": 1}}',
     b" " * 2_000_000],
)  # fmt: skip
def test_absurd_manifests_are_problems(store: OllamaStore, raw: bytes) -> None:
    store.manifest("registry.ollama.ai/library/m/latest", raw)
    assert problem("ollama", store.root)


@pytest.mark.parametrize(
    "raw",
    ["", "3", '{"role": 1}', '[{"role": "user"}]', '[{"role": "robot", "content": "x"}]',
     '[{"role": "user", "content": 3}]', "[3]", '[{"role": "user", "content": "\\ud800"}]'],
)  # fmt: skip
def test_absurd_messages_are_warnings(store: OllamaStore, tmp_path: Path, raw: str) -> None:
    store.add(layers=[("model", model_bytes(tmp_path)), ("messages", raw)])
    (one,) = held("ollama").values()
    assert one.recipe.messages == ()
    assert len(one.warnings) == 1


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("llama3.2", "llama3.2:latest"),
        ("llama3.2:latest", "llama3.2:latest"),
        ("Llama3.2:1B", "llama3.2:1b"),
        ("library/llama3.2:1b", "llama3.2:1b"),
        ("registry.ollama.ai/library/llama3.2:1b", "llama3.2:1b"),
        ("hf.co/bartowski/some-gguf:q4_k_m", "hf.co/bartowski/Some-GGUF:Q4_K_M"),
    ],
)
def test_ollama_finds_by_name(store: OllamaStore, tmp_path: Path, name: str, found: str) -> None:
    for manifest in ("library/llama3.2/latest", "library/llama3.2/1b"):
        store.add(f"registry.ollama.ai/{manifest}", [("model", model_bytes(tmp_path))])
    store.add("hf.co/bartowski/Some-GGUF/Q4_K_M", [("model", model_bytes(tmp_path))])
    assert holders.find(f"ollama:{name}").name == found


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lama3.2", "did you mean ollama:llama3.2?"),
        ("llama3.2:2b", "did you mean ollama:llama3.2?"),
        ("something-else", "ollama list shows those that it has"),
        ("../../llama3.2", "did you mean ollama:llama3.2?"),
        ("..", "ollama list shows those that it has"),
        ("a//b:", "ollama list shows those that it has"),
    ],
)
def test_what_ollama_has_not_is_answered_with_the_nearest(
    store: OllamaStore, tmp_path: Path, name: str, hint: str
) -> None:
    store.add(layers=[("model", model_bytes(tmp_path))])
    with pytest.raises(NotFound) as caught:
        holders.find(f"ollama:{name}")
    assert caught.value.hint == hint


def test_ollamas_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert holders.HOLDERS["ollama"].roots() == ()
    own = OllamaStore(Path.home() / ".ollama" / "models")
    other = OllamaStore(tmp_path / "elsewhere")
    monkeypatch.setenv("OLLAMA_MODELS", f'"{other.root}"')
    assert holders.HOLDERS["ollama"].roots() == (other.root, own.root)
    monkeypatch.setenv("OLLAMA_MODELS", "~/.ollama/models")
    assert holders.HOLDERS["ollama"].roots() == (own.root,)


@pytest.mark.skipif(not CORPUS, reason="LLMRR_CORPUS names no corpus")
def test_the_store_of_the_corpus() -> None:
    found = held("ollama", Path(CORPUS or "") / "synthetic" / "ollama-store")
    assert set(found) == {
        "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        "llama3.2:latest",
        "someone/mymodel:q4",
    }
    assert found["llama3.2:latest"].recipe.system == "You are terse."


# -- LM Studio ---------------------------------------------------------------------------------


@pytest.fixture
def lmstudio() -> Path:
    root = Path.home() / ".lmstudio" / "models"
    root.mkdir(parents=True)
    return root


def test_lmstudio_holds_repositories(lmstudio: Path) -> None:
    repo = lmstudio / "bartowski" / "Qwen2-VL-7B-GGUF"
    model_file(repo / "Qwen2-VL-7B-Q4_K_M-00001-of-00002.gguf")
    model_file(repo / "Qwen2-VL-7B-Q4_K_M-00002-of-00002.gguf")
    model_file(repo / "Qwen2-VL-7B-Q8_0.gguf")
    image = model_file(repo / "mmproj-Qwen2-VL-7B-f16.gguf")
    mlx = safetensors_folder(lmstudio / "mlx-community" / "Tiny-4bit", mlx=True)
    model_file(lmstudio / "alone" / "x.gguf")
    model_file(lmstudio / "ignored.gguf")
    found = held("lmstudio")
    assert list(found) == [
        "alone:x",
        "bartowski/Qwen2-VL-7B-GGUF:Q4_K_M",
        "bartowski/Qwen2-VL-7B-GGUF:Q8_0",
        "mlx-community/Tiny-4bit",
    ]
    split = found["bartowski/Qwen2-VL-7B-GGUF:Q4_K_M"]
    assert split.source == (
        "lmstudio:bartowski/Qwen2-VL-7B-GGUF/Qwen2-VL-7B-Q4_K_M-00001-of-00002.gguf"
    )
    assert split.path == split.files[0]
    assert split.files[2] == image
    assert split.bytes == sum(path.stat().st_size for path in split.files)
    folder = found["mlx-community/Tiny-4bit"]
    assert (folder.path, folder.format) == (mlx, Format.MLX)
    assert folder.files[0].name == "model.safetensors"
    assert len(folder.files) == 3


def test_lmstudio_follows_the_links_that_its_import_makes(lmstudio: Path, tmp_path: Path) -> None:
    real = model_file(tmp_path / "x-Q4_0.gguf")
    repo = lmstudio / "me" / "linked"
    repo.mkdir(parents=True)
    (repo / "x-Q4_0.gguf").symlink_to(real)
    (repo / "loop").symlink_to(repo)
    (repo / "y-Q4_0.gguf").symlink_to(tmp_path / "gone.gguf")
    found = held("lmstudio")
    assert found["me/linked:x-Q4_0"].problem is None
    assert found["me/linked:y-Q4_0"].problem == "y-Q4_0.gguf is a link to nothing"


def test_lmstudios_places(tmp_path: Path) -> None:
    roots = holders.HOLDERS["lmstudio"].roots
    home, chosen = tmp_path / "home", tmp_path / "chosen"
    assert roots() == ()
    for place in (home / "models", chosen, Path.home() / ".cache" / "lm-studio" / "models"):
        place.mkdir(parents=True)
    (Path.home() / ".lmstudio-home-pointer").write_text(f"{home}\n")
    (home / "settings.json").write_text(json.dumps({"downloadsFolder": str(chosen)}))
    assert roots() == (chosen, home / "models", Path.home() / ".cache" / "lm-studio" / "models")
    (home / "settings.json").write_text('{"downloadsFolder": ["x"]}')
    (Path.home() / ".lmstudio-home-pointer").write_bytes(b"\xff\x00")
    assert roots() == (Path.home() / ".cache" / "lm-studio" / "models",)


@pytest.mark.parametrize(
    "name", ["me/repo/a-Q4_0.gguf", "ME/Repo:q4_0", "me/REPO/A-q4_0.gguf", "other/one"]
)
def test_lmstudio_finds_by_name(lmstudio: Path, name: str) -> None:
    model_file(lmstudio / "me" / "repo" / "a-Q4_0.gguf")
    model_file(lmstudio / "me" / "repo" / "a-Q8_0.gguf")
    model_file(lmstudio / "other" / "one" / "a-Q4_0.gguf")
    assert holders.find(f"lmstudio:{name}").path.name == "a-Q4_0.gguf"


def test_lmstudio_asks_which_of_several(lmstudio: Path) -> None:
    model_file(lmstudio / "me" / "repo" / "a-Q4_0.gguf")
    model_file(lmstudio / "me" / "repo" / "a-Q8_0.gguf")
    with pytest.raises(UsageError, match="several of me/repo: me/repo:Q4_0, me/repo:Q8_0"):
        holders.find("lmstudio:me/repo")
    with pytest.raises(NotFound) as caught:
        holders.find("lmstudio:me/repos")
    assert caught.value.hint.startswith("did you mean lmstudio:me/repo")
    with pytest.raises(NotFound):
        holders.find("lmstudio:../../etc")


# -- GPT4All -----------------------------------------------------------------------------------


def test_gpt4all_holds_files() -> None:
    root = Path(platformdirs.user_data_dir()) / "nomic.ai" / "GPT4All"
    model_file(root / "mistral-7b-openorca.gguf2.Q4_0.gguf")
    model_file(root / "incomplete-Llama-3-8B.Q4_0.gguf")
    (root / "gpt4all-gpt-4.rmodel").write_text('{"apiKey": "sk-secret", "modelName": "gpt-4"}')
    (root / "localdocs_v3.db").write_bytes(b"SQLite")
    found = held("gpt4all")
    assert set(found) == {
        "mistral-7b-openorca.gguf2.Q4_0",
        "incomplete-Llama-3-8B.Q4_0",
    }
    whole = found["mistral-7b-openorca.gguf2.Q4_0"]
    assert (whole.source, whole.format) == (f"file:{whole.path}", Format.GGUF)
    assert found["incomplete-Llama-3-8B.Q4_0"].problem == "its download is not complete"
    assert "secret" not in repr(found)


def test_gpt4alls_places(tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    settings = Path.home() / ".config" / "nomic.ai" / "GPT4All.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[General]\nmodelPath={chosen}/\nlocaldocs\\nomicAPIKey=nk-secret\n")
    package = Path.home() / ".cache" / "gpt4all"
    package.mkdir(parents=True)
    assert holders.HOLDERS["gpt4all"].roots() == (chosen, package)


# -- the cache of the hub ----------------------------------------------------------------------


@pytest.fixture
def hub() -> HubCache:
    root = paths.hub_cache_dir()
    root.mkdir(parents=True)
    return HubCache(root)


def test_the_hub_cache_by_quantization(hub: HubCache, tmp_path: Path) -> None:
    raw = model_bytes(tmp_path)
    repo = "unsloth/Qwen3-GGUF"
    hub.add(repo, "Qwen3-Q4_K_M.gguf", raw)
    hub.add(repo, "UD-Q4_K_XL/Qwen3-UD-Q4_K_XL-00001-of-00002.gguf", raw)
    hub.add(repo, "UD-Q4_K_XL/Qwen3-UD-Q4_K_XL-00002-of-00002.gguf", raw + b"\0")
    hub.add(repo, "mmproj-F16.gguf", raw)
    hub.add(repo, "README.md", b"hello")
    hub.add("owner/plain", "some.gguf", raw)
    (hub.root / "datasets--owner--data" / "snapshots" / COMMIT).mkdir(parents=True)
    found = held("huggingface")
    assert {name: one.source for name, one in found.items()} == {
        "owner/plain/some.gguf": "huggingface:owner/plain/some.gguf",
        "unsloth/Qwen3-GGUF:Q4_K_M": "huggingface:unsloth/Qwen3-GGUF:Q4_K_M",
        "unsloth/Qwen3-GGUF:UD-Q4_K_XL": "huggingface:unsloth/Qwen3-GGUF:UD-Q4_K_XL",
    }
    one = found["unsloth/Qwen3-GGUF:Q4_K_M"]
    assert one.path == hub.folder(repo) / "snapshots" / COMMIT / "Qwen3-Q4_K_M.gguf"
    assert (one.digest, one.revision) == (hashlib.sha256(raw).hexdigest(), COMMIT)
    assert [path.name for path in one.files] == ["Qwen3-Q4_K_M.gguf", "mmproj-F16.gguf"]
    assert len(found["unsloth/Qwen3-GGUF:UD-Q4_K_XL"].files) == 3


def test_the_hub_cache_by_folder(hub: HubCache) -> None:
    config = json.dumps({"model_type": "llama"}).encode()
    for repo, name, content in (
        ("owner/safe", "model.safetensors", safetensors_bytes()),
        ("mlx-community/x", "model.safetensors", safetensors_bytes({"format": "mlx"})),
        ("gpt2", "model.safetensors", safetensors_bytes()),
    ):
        hub.add(repo, name, content)
        hub.add(repo, "config.json", config)
    hub.add("owner/tokenizer-only", "tokenizer.json", b"{}")
    hub.add("owner/pipeline", "unet.safetensors", safetensors_bytes())
    hub.add("owner/pipeline", "config.json", b'{"_class_name": "UNet"}')
    found = held("huggingface")
    assert {name: one.format for name, one in found.items()} == {
        "gpt2": Format.SAFETENSORS,
        "mlx-community/x": Format.MLX,
        "owner/safe": Format.SAFETENSORS,
    }
    assert found["gpt2"].source == "huggingface:gpt2"
    assert found["owner/safe"].path.name == COMMIT
    assert [path.name for path in found["owner/safe"].files] == ["model.safetensors", "config.json"]


def test_other_commits_have_their_name(hub: HubCache, tmp_path: Path) -> None:
    old = "f" * 40
    hub.add("o/r", "a-Q4_0.gguf", model_bytes(tmp_path, "old"), commit=old)
    hub.add("o/r", "a-Q4_0.gguf", model_bytes(tmp_path, "new"))
    assert list(held("huggingface")) == ["o/r:Q4_0", f"o/r:Q4_0@{old}"]
    shutil.rmtree(hub.folder("o/r") / "refs")
    newest = hub.folder("o/r") / "snapshots" / old
    os.utime(newest, (2e9, 2e9))
    assert list(held("huggingface")) == ["o/r:Q4_0", f"o/r:Q4_0@{COMMIT}"]


def test_copies_in_place_of_links(hub: HubCache, tmp_path: Path) -> None:
    hub.add("o/r", "a-Q4_0.gguf", model_bytes(tmp_path), links=False)
    (one,) = held("huggingface").values()
    assert (one.format, one.digest) == (Format.GGUF, None)


def test_downloads_that_broke_off(hub: HubCache, tmp_path: Path) -> None:
    raw = model_bytes(tmp_path)
    hub.add("o/link", "a-Q4_0.gguf", raw)
    hub.add("o/part", "a-Q4_0-00001-of-00002.gguf", raw)
    hub.add("o/begun", "config.json", b"{}")
    hub.add("o/shards", "config.json", b'{"model_type": "llama"}')
    hub.add("o/shards", "model-00001-of-00002.safetensors", safetensors_bytes())
    (hub.folder("o/begun") / "blobs" / "abc.incomplete").write_bytes(b"x")
    (hub.folder("o/link") / "snapshots" / COMMIT / "a-Q4_0.gguf").resolve().unlink()
    problems = {name: one.problem for name, one in held("huggingface").items()}
    assert problems == {
        "o/begun": "its download is not complete",
        "o/link:Q4_0": "a-Q4_0.gguf is a link to nothing",
        "o/part:Q4_0": "a-Q4_0-00002-of-00002.gguf is missing",
        "o/shards": "model-00002-of-00002.safetensors is missing",
    }


def test_where_the_cache_of_the_hub_is(monkeypatch: pytest.MonkeyPatch) -> None:
    where = paths.hub_cache_dir
    monkeypatch.delenv("HF_HOME")
    assert where() == Path.home() / ".cache" / "huggingface" / "hub"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert where() == Path("/xdg/huggingface/hub")
    monkeypatch.setenv("HF_HOME", "~/hf")
    assert where() == Path.home() / "hf" / "hub"
    monkeypatch.setenv("HUGGINGFACE_HUB_CACHE", "$HOME/old")
    assert where() == Path.home() / "old"
    monkeypatch.setenv("HF_HUB_CACHE", "/new")
    assert where() == Path("/new")


# -- LocalAI -----------------------------------------------------------------------------------


@pytest.fixture
def localai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "localai"
    root.mkdir()
    monkeypatch.setenv("LOCALAI_MODELS_PATH", str(root))
    return root


LLAVA = """
name: llava
backend: llama-cpp
context_size: 4096
gpu_layers: 90
threads: 11
mmap: true
system_prompt: You see.
stopwords: ["</s>", 3]
api_key: sk-secret
parameters:
  model: llava-Q4_K.gguf
  temperature: 0.2
  top_k: forty
  seed: -1
mmproj: mmproj-model-f16.gguf
lora_adapter: adapter.gguf
lora_scale: 0.5
template:
  chat: chat-simple
"""


def test_localai_describes_models(localai: Path) -> None:
    (localai / "llava.yaml").write_text(LLAVA)
    files = [
        model_file(localai / name)
        for name in ("llava-Q4_K.gguf", "mmproj-model-f16.gguf", "adapter.gguf")
    ]
    model_file(localai / "loose-Q8_0.gguf")
    found = held("localai")
    assert list(found) == ["llava", "loose-Q8_0"]
    llava = found["llava"]
    assert (llava.source, llava.path) == (f"file:{files[0]}", files[0])
    assert llava.files == tuple(files)
    assert llava.recipe == Recipe(
        "You see.",
        Sampling(temperature=0.2, stop=("</s>", "3")),
        {
            "context_size": 4096,
            "gpu_layers": 90,
            "threads": 11,
            "mmap": True,
            "lora": ((files[2], 0.5),),
        },
    )
    where = localai / "llava.yaml"
    assert llava.warnings == (
        f'top_k "forty" is not a whole number of at least 0, and is left out ({where})',
        f"its Go templates are not used: the model's own chat template is ({where})",
    )
    assert "secret" not in repr(found)


def test_localai_shares_one_file_among_several(localai: Path, typed: Typed) -> None:
    tiny_llama(localai / "m.gguf")
    for name, heat in (("gpt-4", 0.2), ("one", 0.4), ("two", 0.6)):
        table = {"name": name, "parameters": {"model": "m.gguf", "temperature": heat}}
        (localai / f"{name}.yaml").write_text(json.dumps(table))
    for _ in range(2):
        seen = typed("import", "--from", "localai", str(localai), "--json").json
        assert [one["name"] for one in seen] == ["gpt-4", "one", "two"]
    heats = [typed("show", name, "--json").json["recipe"]["params"] for name in ("gpt-4", "two")]
    assert heats == [{"temperature": 0.2}, {"temperature": 0.6}]
    assert len(typed("list", "--all", "--json").json) == 4


def test_localai_lists_addresses_folders_and_parts(localai: Path) -> None:
    hashed = "huggingface://o/r/b.gguf"
    table = [
        {"name": "by-address", "parameters": {"model": "huggingface://o/r/a-Q4_0.gguf@main"}},
        {"name": "by-md5", "parameters": {"model": hashed}},
        {"name": "in-parts", "parameters": {"model": "sub/c-00001-of-00002.gguf"}},
        {"name": "a-folder", "backend": "transformers", "parameters": {"model": "folder"}},
        {"name": "elsewhere", "backend": "vllm", "parameters": {"model": "owner/repo"}},
        {"name": "pictures", "backend": "stablediffusion", "parameters": {"model": "sd.gguf"}},
        {"name": "proxy", "proxy": {"upstream_url": "https://x"}},
        "not a table",
        {"parameters": {"model": "no-ending"}},
    ]
    (localai / "all.yml").write_text(json.dumps(table))
    model_file(localai / "a-Q4_0.gguf")
    model_file(localai / "sd.gguf")
    model_file(localai / hashlib.md5(hashed.encode()).hexdigest())
    model_file(localai / "sub" / "c-00001-of-00002.gguf")
    model_file(localai / "sub" / "c-00002-of-00002.gguf")
    model_file(localai / "no-ending")
    safetensors_folder(localai / "folder")
    found = held("localai")
    assert {name: one.format for name, one in found.items()} == {
        "a-folder": Format.SAFETENSORS,
        "by-address": Format.GGUF,
        "by-md5": Format.GGUF,
        "in-parts": Format.GGUF,
        "no-ending": Format.GGUF,
    }
    assert len(found["in-parts"].files) == 2


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("../outside.gguf", "its file lies outside of the models folder"),
        ("/etc/passwd", "its file lies outside of the models folder"),
        ("a/../../outside.gguf", "its file lies outside of the models folder"),
        (".", "its file lies outside of the models folder"),
        ("gone.gguf", "gone.gguf is not in the models folder"),
        ("https://user:secret@host/x.gguf", "x.gguf is not in the models folder"),
    ],
)
def test_localai_never_leaves_its_folder(localai: Path, model: str, said: str) -> None:
    model_file(localai.parent / "outside.gguf")
    (localai / "m.yaml").write_text(json.dumps({"name": "m", "parameters": {"model": model}}))
    assert problem("localai", localai) == said


def test_localai_takes_an_absolute_path_into_its_folder(localai: Path) -> None:
    path = model_file(localai / "x.gguf")
    table = {"name": "m", "parameters": {"model": str(path)}, "lora_adapters": ["../a.gguf"]}
    (localai / "m.yaml").write_text(json.dumps(table))
    (one,) = held("localai").values()
    assert one.path == path
    assert "an adapter that it names is not in the models folder" in one.warnings[0]


LAUGHS = "a: &a [x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"key: [sk-secret\nname: x", ", line 2, is not YAML"),
        (b"\x80\x81\x00", "is not YAML that can be read"),
        (LAUGHS.encode(), "is YAML with too many aliases or levels"),
        (b"a: &a [*a]", "is not YAML that can be read"),
        (b"[" * 40_000 + b"]" * 40_000, "is YAML with too many aliases or levels"),
        (b"x: !!python/object/apply:os.system [id]", ", line 1, is not YAML"),
        (b"x: !!timestamp sk-secret", "is not YAML that can be read"),
        (b"x: !!int ''", "is not YAML that can be read"),
        (b"x: 2024-99-99", "is not YAML that can be read"),
        (b"x: !!bool maybe", "is not YAML that can be read"),
        (b'x: "\\ud800"', "is not YAML that can be read"),
        (b"x: " + b"1" * 5000, "is not YAML that can be read"),
        (b"# " + b"x" * 100_000, "has more than 100,000 bytes"),
    ],
)
def test_a_bad_file_stops_nothing(localai: Path, text: bytes, said: str) -> None:
    (localai / "bad.yaml").write_bytes(text)
    (localai / "compose.yaml").write_text("services: {a: {image: b}}\nparameters: 3\n")
    (localai / "empty.yaml").write_text("")
    model_file(localai / "x.gguf")
    found = held("localai")
    assert set(found) == {"bad", "x"}
    assert said in str(found["bad"].problem)
    assert "secret" not in repr(found)


def test_the_merges_of_a_file_do_not_take_the_memory(localai: Path) -> None:
    text = "a: &a {x: 1}\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} {{<<: [*{chr(97 + n)}, *{chr(97 + n)}, *{chr(97 + n)}]}}\n"
        for n in range(9)
    )
    (localai / "m.yaml").write_text(text)
    started = time.perf_counter()
    held("localai")
    assert time.perf_counter() - started < 5


# -- any folder --------------------------------------------------------------------------------


def test_a_folder_and_what_is_below_it(tmp_path: Path) -> None:
    root = tmp_path / "models"
    model_file(root / "a-Q4_0.gguf")
    model_file(root / "deep" / "er" / "b-Q4_0-00001-of-00002.gguf")
    model_file(root / "deep" / "er" / "b-Q4_0-00002-of-00002.gguf")
    model_file(root / "deep" / "er" / "mmproj-F16.gguf")
    model_file(root / ".hidden" / "c.gguf")
    model_file(tmp_path / "outside" / "d.gguf")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "e.gguf").symlink_to(tmp_path / "outside" / "d.gguf")
    (root / "gone.gguf").symlink_to(tmp_path / "nothing")
    shards = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    safetensors_folder(root / "hf", shards=shards)
    safetensors_folder(root / "mlx", mlx=True)
    (root / "lora").mkdir()
    (root / "lora" / "adapter_model.safetensors").write_bytes(safetensors_bytes())
    found = held("folder", root)
    assert {name: one.format for name, one in found.items()} == {
        "a-Q4_0": Format.GGUF,
        "b-Q4_0": Format.GGUF,
        "hf": Format.SAFETENSORS,
        "mlx": Format.MLX,
    }
    assert [path.name[-10:] for path in found["b-Q4_0"].files] == [
        "00002.gguf",
        "00002.gguf",
        "j-F16.gguf",
    ]
    assert found["b-Q4_0"].source == f"file:{found['b-Q4_0'].path}"
    assert len(found["hf"].files) == 4


def test_an_image_encoder_goes_to_the_model_of_its_name(tmp_path: Path) -> None:
    for name in ("llava-Q4_0.gguf", "llava.mmproj-f16.gguf", "qwen-Q4_0.gguf", "mmproj-F16.gguf"):
        model_file(tmp_path / name)
    found = held("folder", tmp_path)
    assert [path.name for path in found["llava-Q4_0"].files] == [
        "llava-Q4_0.gguf",
        "llava.mmproj-f16.gguf",
    ]
    assert len(found["qwen-Q4_0"].files) == 1


def test_a_folder_with_onnx_graphs(tmp_path: Path) -> None:
    (tmp_path / "m" / "onnx").mkdir(parents=True)
    (tmp_path / "m" / "config.json").write_text('{"model_type": "llama"}')
    # ir_version 8, an empty graph, opset_import
    graph = b"\x08\x08\x3a\x00\x42\x02\x10\x11"
    (tmp_path / "m" / "onnx" / "model_q4.onnx").write_bytes(graph)
    found = held("folder", tmp_path)
    assert {name: one.format for name, one in found.items()} == {"m": Format.ONNX}
    assert found["m"].files[0].name == "model_q4.onnx"


# -- whatever lies there -----------------------------------------------------------------------


@pytest.mark.parametrize("holder", holders.HOLDERS)
def test_pipes_loops_and_strange_names(holder: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    inner = root / "manifests" / "h" / "n" / "m"
    for folder in (inner, root / "blobs", root / "models--a--b" / "snapshots" / "c", root / "p/r"):
        folder.mkdir(parents=True)
        os.mkfifo(folder / "pipe.gguf")
        os.mkfifo(folder / "pipe.yaml")
        (folder / "loop").symlink_to(root)
        (folder / "self.gguf").symlink_to("self.gguf")
        (folder / "dir.gguf").mkdir()
        (folder / "empty.gguf").write_bytes(b"")
        with suppress(OSError):  # not every file system takes such a name
            Path(os.fsdecode(bytes(folder / "x") + b"\xff\n.gguf")).write_bytes(b"GGUF")
    os.mkfifo(root / "models--a--b" / "refs")
    for name in (".lmstudio-home-pointer", "config.json", "latest"):
        os.mkfifo(root / name)
    found = holders.holdings(holder, root)
    assert all(one.problem for one in found)
    assert all(one.name.isprintable() for one in found)


@pytest.mark.parametrize("holder", holders.HOLDERS)
def test_a_folder_that_may_not_be_read(
    holder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_file(tmp_path / "models--a--b" / "snapshots" / "c" / "x.gguf")

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", forbidden)
    assert holders.holdings(holder, tmp_path) == []


def test_a_model_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model_file(tmp_path / "x.gguf")

    def forbidden(_path: Path) -> Format:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(formats, "detect", forbidden)
    assert f"{path} cannot be read" in problem("folder", tmp_path)


def test_ollama_survives_any_bytes(store: OllamaStore, tmp_path: Path) -> None:
    layers = [("model", model_bytes(tmp_path)), ("params", '{"top_k": 1}'), ("messages", "[]")]
    store.add("registry.ollama.ai/library/m/latest", layers, config={"remote_model": "x"})
    small = [path for path in store.root.rglob("*") if path.is_file()]
    kept = {path: path.read_bytes() for path in small}
    random = Random(7)
    for _ in range(400):
        path = random.choice(small)
        raw = bytearray(kept[path])
        for _ in range(random.choice((1, 3, 20))):
            raw[random.randrange(len(raw))] = random.randrange(256)
        path.write_bytes(raw[: random.choice((len(raw), random.randrange(len(raw))))])
        holders.holdings("ollama", store.root)
        path.write_bytes(kept[path])


def test_the_walk_ends(tmp_path: Path) -> None:
    deep = tmp_path
    for number in range(40):
        deep = deep / str(number)
    model_file(deep / "x.gguf")
    assert holders.holdings("folder", tmp_path) == []


# -- asking ------------------------------------------------------------------------------------


def test_an_unknown_tool_and_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        holders.holdings("olama")
    assert caught.value.hint == "did you mean ollama?"
    with pytest.raises(NotFound, match="there is no folder"):
        holders.holdings("folder", tmp_path / "nothing")
    with pytest.raises(UsageError, match="names no model of another tool"):
        holders.find("huggingface:o/r")
    assert holders.holdings("folder") == []


def test_relative_folders_become_absolute(tmp_path: Path) -> None:
    model_file(tmp_path / "x.gguf")
    (one,) = holders.holdings("folder", Path())
    assert one.path == tmp_path / "x.gguf"
