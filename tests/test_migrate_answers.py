"""Setups of other tools with tiny real models: what ``migrate apply`` makes of them answers."""

import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import tiny_llama
from holdings import HubCache, OllamaStore
from layouts import write_json
from terminal import Typed

REPO = "org/tiny-GGUF"


def weights(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return tiny_llama(path)


def modelfile() -> str:
    weights(Path("mf/models/m.gguf"))
    Path("mf/Modelfile").write_text(
        "FROM ./models/m.gguf\nPARAMETER num_ctx 128\nPARAMETER num_gpu 99\nSYSTEM Be {brief}.\n"
    )
    return "mf"


def ollama() -> str:
    raw = weights(Path("t.gguf")).read_bytes()
    store = Path(os.environ["HOME"]) / ".ollama" / "models"
    OllamaStore(store).add("registry.ollama.ai/library/tiny/latest", [
        ("model", raw), ("system", "Be brief."), ("params", '{"num_ctx": 128, "stop": ["<x>"]}'),
    ])  # fmt: skip
    return str(store)


def hub_cache() -> str:
    root = Path(os.environ["HF_HOME"]) / "hub"
    HubCache(root).add(REPO, "tiny.Q8_0.gguf", weights(Path("t.gguf")).read_bytes())
    return str(root)


def local_ai() -> str:
    weights(Path("la/models/x.gguf"))
    Path("la/models/gpt-4.yaml").write_text(
        "name: gpt-4\nbackend: llama-cpp\ncontext_size: 128\ngpu_layers: 99999\n"
        "parameters: {model: x.gguf, temperature: 0.2, seed: -1}\n"
    )
    return "la"


def lm_studio() -> str:
    home = Path(os.environ["HOME"]) / ".lmstudio"
    weights(home / "models/pub/tiny/t.Q8_0.gguf")
    fields = [{"key": "llm.load.contextLength", "value": 128},
              {"key": "llm.load.llama.acceleration.offloadRatio", "value": 1}]  # fmt: skip
    config = home / ".internal/user-concrete-model-default-config/pub/tiny/t.Q8_0.gguf.json"
    write_json(config, {"load": {"fields": fields}})
    return str(home)


def gpt4all() -> str:
    weights(Path("nomic.ai/GPT4All/t.Q8_0.gguf"))
    return "nomic.ai"


def compose() -> str:
    weights(Path("c/weights/q.gguf"))
    Path("c/docker-compose.yml").write_text(
        "services:\n  llm:\n    image: ghcr.io/ggml-org/llama.cpp:server\n"
        "    command: -m /models/q.gguf -c 128 -ngl 99\n    volumes: ['./weights:/models:ro']\n"
    )
    return "c"


def folder() -> str:
    weights(Path("models/a/t.gguf"))
    return "models"


@pytest.mark.parametrize(
    ("make", "source", "options"),
    [
        (modelfile, "file:./mf/models/m.gguf", {"context_size": 128, "gpu_layers": 99}),
        (ollama, "ollama:tiny:latest", {"context_size": 128}),
        (hub_cache, f"huggingface:{REPO}", {"file": "tiny.Q8_0.gguf"}),
        (local_ai, "file:./la/models/x.gguf", {"context_size": 128, "gpu_layers": 99999}),
        (lm_studio, "lmstudio:pub/tiny/t.Q8_0.gguf", {"context_size": 128, "gpu_layers": -1}),
        (gpt4all, "file:./nomic.ai/GPT4All/t.Q8_0.gguf", {}),
        (compose, "file:./c/weights/q.gguf", {"context_size": 128, "gpu_layers": 99}),
        (folder, "file:./models/a/t.gguf", {}),
    ],
)
def test_what_was_migrated_answers(
    typed: Typed, make: Callable[[], str], source: str, options: dict[str, object]
) -> None:
    place = make()
    planned = typed("migrate", "plan", place, "--json").json["actions"]
    adopted = [one["name"] for one in planned if one["do"] == "register-model"]
    assert len(adopted) == (make in (ollama, hub_cache, lm_studio, gpt4all))
    done = typed("migrate", "apply", place)
    assert done.code == 0, done.err
    assert {*adopted} <= {one["name"] for one in typed("list", "--json").json}
    [model] = tomllib.loads(Path("llmrr.toml").read_text())["models"]
    stated = {name: one for name, one in model.get("options", {}).items() if name != "revision"}
    assert (model["source"], stated) == (source, options)
    assert typed("config", "check").code == 0
    answers(typed, model["name"])


def test_the_files_of_ollama_answer_in_place(typed: Typed) -> None:
    done = typed("migrate", "apply", ollama(), "--as-files")
    assert done.code == 0, done.err
    [model] = tomllib.loads(Path("llmrr.toml").read_text())["models"]
    assert model["source"].startswith("file:/")
    assert model["params"] == {"stop": ["<x>"], "system": "Be brief."}
    answers(typed, model["name"])


def answers(typed: Typed, name: str) -> None:
    answer = typed("run", "-m", name, "hello", "--max-tokens", "4", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["model"] == name
    assert answer.json["usage"]["completion_tokens"] > 0
