"""llama-swap, llama-server's presets, and the command lines that start servers."""

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import KEYS
from reading import artefacts, codes, document, only, said, sources

from llmrr.errors import DamagedFile
from llmrr.migrate.launching.commands import launch, words_of
from llmrr.migrate.launching.macros import expanded
from llmrr.migrate.readers import llama_preset, llama_swap, server_commands

SWAP, PRESET, COMMANDS = llama_swap.READER, llama_preset.READER, server_commands.READER


def swap(folder: Path, cmd: str, more: str = "") -> Any:
    """What llama-swap's reader says of one model with this command."""
    block = "\n".join(f"      {line}" for line in cmd.splitlines())
    return only(SWAP, folder, "c.yaml", f"models:\n  m:\n    cmd: |\n{block}\n{more}")


@pytest.mark.parametrize(
    ("cmd", "source", "options", "params"),
    [
        ("/opt/llama-server --port ${PORT} -m /models/a.gguf -c 8192 -ngl 99 -fa -t 8",
         "file:/models/a.gguf",
         {"context_size": 8192, "gpu_layers": 99, "flash_attention": True, "threads": 8}, {}),
        ("llama-server -hf org/repo-GGUF:Q4_K_M --temp 0.6 --top-p 0.9 --top-k 40 --min-p 0.01",
         "huggingface:org/repo-GGUF:Q4_K_M", {},
         {"temperature": 0.6, "top_p": 0.9, "top_k": 40, "min_p": 0.01}),
        ("llama-server --hf-repo org/r:Q8_0 --hf-file a.gguf --no-mmap --mlock",
         "huggingface:org/r", {"file": "a.gguf", "mmap": False, "mlock": True}, {}),
        ("llama-server -mu https://huggingface.co/org/r/resolve/main/sub/a.gguf",
         "huggingface:org/r", {"file": "sub/a.gguf"}, {}),
        ("ik_llama-server -m a.gguf --mmproj mm.gguf --lora l.gguf -ctk q8_0 -ctv q8_0 -n -1",
         "file:a.gguf", {"mmproj": "mm.gguf", "lora": "l.gguf", "kv_type": "q8_0"}, {}),
        ("# why\nllama-server \\\n  -m 'my model.gguf' \\\n  --repeat-penalty 1.1 -s 7",
         "file:my model.gguf", {}, {"repeat_penalty": 1.1, "seed": 7}),
        ("vllm serve org/name --max-model-len 4096 --revision v1", "huggingface:org/name",
         {"context_size": 4096, "revision": "v1"}, {}),
        ("docker run --rm -p 1:8000 vllm/vllm-openai:latest --model org/name",
         "huggingface:org/name", {}, {}),
        ("python3 -m mlx_lm.server --model mlx-community/x-4bit --port ${PORT} --temp 0.1",
         "huggingface:mlx-community/x-4bit", {}, {"temperature": 0.1}),
        ("mlx_lm.server --model ~/models/x --adapter-path a", "file:~/models/x",
         {"lora": "a"}, {}),
        ("koboldcpp --model a.gguf --contextsize 2048 --gpulayers 20", "file:a.gguf",
         {"context_size": 2048, "gpu_layers": 20}, {}),
        ("bash -c 'exec llama-server -m a.gguf'", "file:a.gguf", {}, {}),
        ("env CUDA_VISIBLE_DEVICES=0 my-wrapper -m a.gguf -c 99", "file:a.gguf",
         {"context_size": 99}, {}),
        (r"C:\llama\llama-server.exe -m C:\models\a.gguf", r"file:C:\models\a.gguf", {}, {}),
        ("llama-server -m ${env.HOME}/a.gguf", "file:~/a.gguf", {}, {}),
    ],
)  # fmt: skip
def test_commands_of_llama_swap(
    tmp_path: Path, cmd: str, source: str, options: dict[str, Any], params: dict[str, Any]
) -> None:
    model = swap(tmp_path, cmd).models[0]
    assert (model.name, model.source) == ("m", source)
    assert (model.options, model.params) == (options, params)


@pytest.mark.parametrize(
    ("cmd", "code"),
    [
        ("llama-server -m ${unknown}/a.gguf", "unresolved"),
        ("llama-server --port 1", "no-model"),
        ("some-server", "no-model"),
        ("whisper-server -m whisper.bin", "other-role"),
        ("sd-server --diffusion-model a.gguf", "other-role"),
        ("llama-server -m nomic-embed-text.gguf --embeddings", "embedding-model"),
        ("llama-server -m x.gguf --reranking", "other-role"),
        ("llama-server -mu https://example.org/a.gguf", "unsupported-source"),
    ],
)
def test_commands_without_a_model_of_ours(tmp_path: Path, cmd: str, code: str) -> None:
    found = swap(tmp_path, cmd)
    assert not found.models
    assert code in codes(found)


@pytest.mark.parametrize(
    ("cmd", "code"),
    [
        ("llama-server -m a.gguf -md draft.gguf", "unmapped-parameter"),
        ("llama-server -m a.gguf -ts 1,1 --split-mode row", "gpu-split"),
        ("llama-server -m a.gguf -np 4 -b 512", "batch-size"),
        ("llama-server -m a.gguf --chat-template-file t.jinja", "chat-template"),
        ("llama-server -m a.gguf -ctk q8_0 -ctv q4_0", "unmapped-parameter"),
        ("docker run -v /mnt/m:/models ghcr.io/ggml-org/llama.cpp:server -m /models/a.gguf",
         "foreign-path"),
    ],
)
def test_what_is_lost_of_a_command_is_said(tmp_path: Path, cmd: str, code: str) -> None:
    found = swap(tmp_path, cmd)
    assert len(found.models) == 1
    assert code in codes(found)


@pytest.mark.parametrize(
    ("path", "is_one"),
    [("/path/to/Qwen2.5-Coder-32B-Q4_K_M.gguf", True), ("/path/to/model.gguf", False),
     ("path/to/your/model", False), ("/path/to/" + "a_" * 500, True)],
)  # fmt: skip
def test_a_file_with_a_name_is_a_model_in_any_folder(
    tmp_path: Path, path: str, is_one: bool
) -> None:
    found = swap(tmp_path, f"llama-server -m {path}")
    assert [one.source for one in found.models] == [f"file:{path}"] * is_one
    assert ("placeholder" in codes(found)) != is_one


def test_macros_of_all_and_of_one_model(tmp_path: Path) -> None:
    found = only(SWAP, tmp_path, "c.yaml", """
macros:
  server: /bin/llama-server --port ${PORT}
  ctx: 4096
  args: -c ${ctx}
models:
  a: {cmd: "${server} -m ${MODEL_ID}.gguf ${args}"}
  b: {macros: {ctx: 99}, cmd: "${server} -m b.gguf -c ${ctx}"}
""")
    assert sources(found) == {"a": "file:a.gguf", "b": "file:b.gguf"}
    assert [one.options["context_size"] for one in found.models] == [4096, 99]


def test_macros_that_blow_up_stay_small() -> None:
    macros = {chr(97 + at): f"${{{chr(98 + at)}}}" * 50 for at in range(20)}
    assert len(expanded("${a}", macros)) <= 1_000_000
    assert expanded("${x}", {"x": "${x}"}) == "${x}"


def test_the_environment_carries_a_model(tmp_path: Path) -> None:
    more = """    env:
      - LLAMA_ARG_MODEL=/m/a.gguf
      - LLAMA_ARG_CTX_SIZE=4096
      - LLAMA_ARG_N_GPU_LAYERS=12
"""
    model = swap(tmp_path, "llama-server -c 99", more).models[0]
    assert model.source == "file:/m/a.gguf"
    assert model.options == {"context_size": 99, "gpu_layers": 12}


def test_servers_that_are_only_reached(tmp_path: Path) -> None:
    more = "    proxy: http://127.0.0.1:9000\n    useModelName: real\n"
    model = swap(tmp_path, "start-it", more).models[0]
    assert model.source == "openai:real"
    assert model.options == {"base_url": "http://127.0.0.1:9000/v1"}


SETTINGS = """
models:
  a:
    cmd: llama-server -m a.gguf --temp 1
    aliases: [gpt-4o-mini]
    ttl: 60
    filters: {stripParams: "top_p", setParams: {temperature: 0.2}}
  b: {cmd: "llama-server -m b.gguf", ttl: 60, concurrencyLimit: 4}
groups: {g: {members: [a, b]}}
hooks: {on_startup: {preload: [gpt-4o-mini]}}
selectors: {best: {strategy: warm, targets: [b, a]}, fix: {strategy: pin, targets: [b]}}
apiKeys: [0a1b2c3d4e, "${env.K}"]
peers:
  up:
    proxy: https://openrouter.ai/api
    apiKey: zyxwvu9876
    models: [org/x, text-embedding-3-small]
  own: {proxy: "http://box:1", apiKey: "${env.BOX_KEY}", models: [y]}
"""


def test_names_peers_and_what_is_around(tmp_path: Path) -> None:
    found = only(SWAP, tmp_path, "c.yaml", SETTINGS)
    a, b, x, y = found.models
    assert (a.aliases, b.aliases) == (["gpt-4o-mini"], ["fix"])
    assert a.params == {"temperature": 0.2}
    assert [(one.group, one.priority) for one in (a, b)] == [("best", 2), ("best", 1)]
    assert x.source == "openai:org/x" and x.aliases == ["up/org/x"]
    assert x.options["base_url"] == "https://openrouter.ai/api/v1"
    assert y.options == {"base_url": "http://box:1/v1", "api_key_env": "BOX_KEY"}
    assert found.settings == {
        "preload": ["a"], "memory.loading": "preload", "memory.unload_after": 60,
    }  # fmt: skip
    assert {"guard", "secret-in-clear", "not-applied", "strategy"} <= codes(found)
    assert "embedding-model" in codes(found)
    assert "0a1b2c" not in said(found) and "zyxwvu" not in said(found)


def test_a_template_is_no_yaml(tmp_path: Path) -> None:
    text = "models:\n{% for m in models %}\n  {{ m }}:\n    cmd: llama-server\n{% endfor %}\n"
    found = only(SWAP, tmp_path, "config.base.yaml", text)
    assert found.error is not None and "Jinja" in found.error


@pytest.mark.parametrize(
    "text",
    [
        "models: [a]", "models: {a: {name: x}}", "models: {}", "services: {a: {cmd: x}}",
        "models: {a: b}", "peers: {a: {proxy: x}}",
    ],
)
def test_other_yaml_is_not_llama_swaps(tmp_path: Path, text: str) -> None:
    assert not artefacts(SWAP, tmp_path, "c.yaml", text)


@pytest.mark.parametrize(
    "text",
    [
        "models: {a: {cmd: 'llama-server -m'}, b: 3}", "models: {1: {cmd: 'x -m a.gguf'}}",
        "models: {a: {cmd: \"'\", proxy: [1]}}", "models: {a: {cmd: x, env: {A: b}, aliases: 3}}",
        "models: {a: {cmd: x, macros: [1], filters: [2], ttl: x}}\npeers: [1]\nhooks: 3",
        "models: {a: {cmd: x}}\nselectors: {s: 3, t: {targets: 4}}\nmacros: 7\ngroups: [1]",
    ],
)
def test_damage_is_said_and_not_raised(tmp_path: Path, text: str) -> None:
    for found in artefacts(SWAP, tmp_path, "c.yaml", text):
        assert found.kind == "llama-swap"


@given(st.lists(st.text(max_size=12), max_size=12))
def test_any_command_line_is_read(words: list[str]) -> None:
    launch(["llama-server", *words], {}, guess=True)
    launch(words_of(" ".join(words)))
    launch(["docker", "run", *words])


PRESETS = """
version = 1
[*]
ngl = 99
c = 8192
no-mmap = 1
model = shared.gguf

[unsloth/Qwen3-GGUF:Q4_K_M]
temp = 0.6
top_p = 0.95

[coder]
model = unsloth/X-GGUF:Q6_K_XL
LLAMA_ARG_CTX_SIZE = 4096
samplers = top_k;top_p
temp = 1
temp = 0.2

[local]
m = /models/a.gguf#tag
n = -1
mmap = 1
api-key = 0a1b2c3d4e

[url]
hf = org/r
hf-file = 100%.gguf
"""


def test_presets(tmp_path: Path) -> None:
    found = only(PRESET, tmp_path, "models.ini", PRESETS)
    assert sources(found) == {
        "unsloth/Qwen3-GGUF:Q4_K_M": "huggingface:unsloth/Qwen3-GGUF:Q4_K_M",
        "coder": "huggingface:unsloth/X-GGUF:Q6_K_XL", "local": "file:/models/a.gguf",
        "url": "huggingface:org/r",
    }  # fmt: skip
    qwen, coder, local, url = found.models
    assert qwen.options == {"gpu_layers": 99, "context_size": 8192, "mmap": False}
    assert qwen.params == {"temperature": 0.6, "top_p": 0.95}
    assert (coder.options["context_size"], coder.params) == (4096, {"temperature": 0.2})
    assert local.options["mmap"] is True
    assert url.options["file"] == "100%.gguf"
    assert {"quoted-comment", "duplicate-key", "not-used-by-original", "unmapped-parameter",
            "secret-in-clear"} <= codes(found)  # fmt: skip
    assert "0a1b2c" not in said(found)
    assert any(one.where.endswith(":11 top_p") for one in found.warnings)


def test_a_preset_without_a_model_is_said(tmp_path: Path) -> None:
    found = only(PRESET, tmp_path, "p.ini", "[*]\nc = 1\n[fast]\ntemp = 0\n")
    assert not found.models
    assert codes(found) == {"no-model"}


@pytest.mark.parametrize(
    "text",
    [
        "[database]\nhost = x\nport = 1\n", "[car]\nmodel = a/b\ncolour = red\nwheels = 4\n",
        "[Unit]\nDescription = llama\n[Service]\nExecStart = /bin/llama-server -m a.gguf\n",
        "[tool.x]\nname = \"a\"\n", "[a]\n", "",
    ],
)
def test_other_ini_files_are_left(tmp_path: Path, text: str) -> None:
    assert not artefacts(PRESET, tmp_path, "a.ini", text)


def test_a_file_without_sections_cannot_be_forced(tmp_path: Path) -> None:
    assert PRESET.forced is not None
    with pytest.raises(DamagedFile):
        list(PRESET.forced(document(tmp_path, "a.ini", "prose\nand more\n")))
    found = list(PRESET.forced(document(tmp_path, "b.txt", "[a]\nmodel = x.gguf\nodd = 1\n")))
    assert sources(found[0]) == {"a": "file:x.gguf"}


SCRIPT = """#!/bin/bash
MODEL=/models/qwen.gguf
CTX=${CTX:-8192}
pip install vllm llama-cpp-python
# llama-server -m /no.gguf
echo "usage: llama-server -m model.gguf"
exec ./build/bin/llama-server -m "$MODEL" \\
   -c $CTX -ngl 99 --api-key abcdef1234567
CUDA_VISIBLE_DEVICES=0 vllm serve Qwen/Qwen2.5-7B --max-model-len 4096 &
python -m mlx_lm.server --model mlx-community/x-4bit > log.txt
ollama run llama3.2:1b
python3 -m llama_cpp.server --model ./m.gguf --n_ctx 2048 --chat_format chatml
litellm --model ollama/mistral --temperature 0.5
./main -m old.gguf -p "Hello"
llama-server -m "$1"
"""


def test_scripts(tmp_path: Path) -> None:
    found = {one.kind: one for one in artefacts(COMMANDS, tmp_path, "run.sh", SCRIPT)}
    server = found["llama-server-preset"]
    assert sources(server) == {
        "qwen": "file:/models/qwen.gguf", "Qwen2.5-7B": "huggingface:Qwen/Qwen2.5-7B",
        "llama3.2:1b": "ollama:llama3.2:1b", "old": "file:old.gguf",
    }  # fmt: skip
    assert server.models[0].options == {"context_size": 8192, "gpu_layers": 99}
    assert server.models[0].line == 7
    assert {"secret-in-clear", "env-default", "unresolved"} <= codes(server)
    assert "abcdef" not in said(server)
    assert sources(found["mlx-code"]) == {"x-4bit": "huggingface:mlx-community/x-4bit"}
    assert found["llama-cpp-python-code"].models[0].options == {"context_size": 2048}
    assert found["litellm"].models[0].params == {"temperature": 0.5}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("docker-compose.yml", """
services:
  db: {image: postgres}
  llm:
    image: ghcr.io/ggml-org/llama.cpp:server
    command: -m /models/a.gguf --port 8080
    environment: {LLAMA_ARG_CTX_SIZE: 512}
"""),
        ("Dockerfile", """FROM ghcr.io/ggml-org/llama.cpp:server
ENV LLAMA_ARG_CTX_SIZE=512
CMD ["-m", "/models/a.gguf"]
"""),
        ("llama.service", """[Service]
Environment=LLAMA_ARG_CTX_SIZE=512
ExecStart=/usr/bin/llama-server -m /models/a.gguf
"""),
    ],
)
def test_units_and_containers(tmp_path: Path, name: str, text: str) -> None:
    model = only(COMMANDS, tmp_path, name, text).models[0]
    assert (model.source, model.options) == ("file:/models/a.gguf", {"context_size": 512})


def test_what_an_image_of_ollama_has_fetched(tmp_path: Path) -> None:
    text = (
        "FROM ollama/ollama\nENV MODEL=llama3.2:1b\nRUN pip install vllm\n"
        "RUN ollama serve & \\\n    sleep 5 && ollama pull $MODEL && ollama pull nomic-embed-text\n"
        "CMD [\"serve\"]\n"
    )
    found = only(COMMANDS, tmp_path, "Dockerfile", text)
    assert sources(found) == {"llama3.2:1b": "ollama:llama3.2:1b"}
    assert codes(found) == {"embedding-model"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Dockerfile", f"FROM vllm/vllm-openai\nENV HF_TOKEN={KEYS['huggingface']}\n"
         'CMD ["--model", "Qwen/Q"]\n'),
        ("compose.yml", "services: {v: {image: vllm/vllm-openai, command: --model Qwen/Q,\n"
         f"  environment: [HF_TOKEN={KEYS['huggingface']}]}}}}\n"),
    ],
)  # fmt: skip
def test_keys_that_are_set_for_a_container(tmp_path: Path, name: str, text: str) -> None:
    found = artefacts(COMMANDS, tmp_path, name, text)[0]
    assert sources(found) == {"Q": "huggingface:Qwen/Q"}
    assert codes(found) == {"secret-in-clear"}
    assert KEYS["huggingface"] not in said(found)


def test_a_model_that_is_to_be_filled_in_is_none(tmp_path: Path) -> None:
    text = "services: {v: {image: vllm/vllm-openai, command: --model YOUR_MODEL}}"
    assert not artefacts(COMMANDS, tmp_path, "compose.yml", text)


COMPOSED = """
services:
  ollama:
    image: ollama/ollama
    entrypoint: ["/bin/sh", "-c"]
    command:
      - |
        ollama serve &
        sleep 5
        ollama pull llama3
        curl http://localhost:11434/api/pull -d '{"name": "phi3:mini"}'
        wait
  fetch:
    image: ollama/ollama
    entrypoint: [sh, -c, "ollama pull nomic-embed-text && ollama pull q:1b"]
  init: {image: busybox, command: "wget --post-data '{\\"name\\": \\"q:2b\\"}' http://o:11434/api/pull"}
  tgi:
    image: ghcr.io/huggingface/text-generation-inference:2.0
    environment: {MODEL_ID: mistralai/Mistral-7B, MAX_TOTAL_TOKENS: 8192}
  runner: {provider: {type: model, options: {model: ai/smollm2}}}
  llama:
    image: ghcr.io/ggml-org/llama.cpp:server
    command: -m /models/a.gguf -c 512
    volumes: ["./here:/models:ro"]
  gone:
    image: ghcr.io/ggml-org/llama.cpp:server
    command: -m /models/b.gguf
    volumes: [{type: bind, source: ./here, target: /models}]
  localai:
    image: localai/localai:latest-aio-cpu
    command: phi-2 huggingface://TheBloke/phi-2-GGUF/phi-2.Q8_0.gguf
    environment:
      - CONTEXT_SIZE=4096
      - 'PRELOAD_MODELS=[{"url": "github:go-skynet/model-gallery/gpt4all-j.yaml", "name": "gpt"}]'
models:
  llm: {model: hf.co/bartowski/Llama-GGUF, context_size: 4096}
"""


def test_what_a_compose_file_runs(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.gguf").write_bytes(b"GGUF")
    found = {one.kind: one for one in artefacts(COMMANDS, tmp_path, "compose.yaml", COMPOSED)}
    assert sources(found["llama-server-preset"]) == {
        "llama3": "ollama:llama3", "phi3:mini": "ollama:phi3:mini", "q:1b": "ollama:q:1b",
        "q:2b": "ollama:q:2b",
        "Mistral-7B": "huggingface:mistralai/Mistral-7B", "a": "file:./here/a.gguf",
        "b": "file:/models/b.gguf", "Llama-GGUF": "huggingface:bartowski/Llama-GGUF",
    }  # fmt: skip
    options = {one.name: one.options for one in found["llama-server-preset"].models}
    assert options["Mistral-7B"] == {"context_size": 8192}
    assert options["Llama-GGUF"] == {"context_size": 4096}
    assert codes(found["llama-server-preset"]) == {
        "embedding-model", "unsupported-source", "foreign-path",
    }  # fmt: skip
    assert sources(found["localai"]) == {"phi-2-GGUF": "huggingface:TheBloke/phi-2-GGUF"}
    assert found["localai"].models[0].options == {"file": "phi-2.Q8_0.gguf", "context_size": 4096}
    assert codes(found["localai"]) == {"hub-reference"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("docker-compose.yml", "services: {o: {image: ollama/ollama}, v: {image: vllm/vllm}}"),
        ("Dockerfile", "FROM python:3.11\nRUN pip install vllm\nCMD [\"python\", \"app.py\"]\n"),
        ("Modelfile", "FROM llama3\nSYSTEM You run vllm serve x\n"),
        ("a.sh", "#!/bin/sh\nmake llama-server\npip install vllm\n"),
        ("README.txt", "llama-server -m a.gguf"),
    ],
)
def test_what_starts_no_model_is_left(tmp_path: Path, name: str, text: str) -> None:
    assert not artefacts(COMMANDS, tmp_path, name, text)


K8S = """
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      volumes: [{name: w, hostPath: {path: /srv/w}}]
      initContainers:
      - image: curlimages/curl
        command: [sh, -c, "curl -o /w/a.gguf https://example.org/a.gguf"]
      containers:
      - image: vllm/vllm-openai:v1
        command: [python3, -m, vllm.entrypoints.openai.api_server]
        args: ["--model=org/x", "--max-model-len=$(LENGTH)"]
        env: [{name: LENGTH, value: "4096"}]
      - image: ghcr.io/ggml-org/llama.cpp:server
        command: [/bin/sh, -c]
        args:
        - |
          echo llama-server -m /no.gguf
          exec /app/llama-server -m /w/a.gguf \\
            --ctx-size 512
        volumeMounts: [{name: w, mountPath: /w}]
---
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      containers:
      - image: me/app
        env:
        - {name: OPENAI_BASE_URL, value: "http://vllm/v1"}
        - {name: OPENAI_MODEL, value: org/x}
        - {name: OPENAI_API_KEY, valueFrom: {secretKeyRef: {name: s, key: k}}}
---
apiVersion: v1
kind: ConfigMap
data:
  config.yaml: |
    model_list:
      - model_name: g
        litellm_params: {model: groq/llama}
"""


def test_kubernetes(tmp_path: Path) -> None:
    found = {one.kind: one for one in artefacts(COMMANDS, tmp_path, "d.yaml", K8S)}
    server = found["llama-server-preset"]
    assert {one.source: one.options for one in server.models} == {
        "huggingface:org/x": {"context_size": 4096}, "file:/w/a.gguf": {"context_size": 512},
    }  # fmt: skip
    assert any("/srv/w/a.gguf" in one.message for one in server.warnings)
    (asked,) = found["dotenv"].models
    assert (asked.source, asked.options) == (
        "openai:org/x", {"base_url": "http://vllm/v1", "api_key_env": "OPENAI_API_KEY"}
    )
    (inner,) = found["litellm"].models
    assert inner.source == "groq:llama"
    assert inner.line is not None and "model_name: g" in K8S.splitlines()[inner.line - 1]


def test_variables_of_a_compose_file(tmp_path: Path) -> None:
    text = """
services:
  api:
    environment:
      - OPENAI_API_BASE=http://ollama:11434/v1
      - OPENAI_MODEL_NAME=${MODEL:-llama3.1:8b}
      - OPENAI_API_KEY=0123456789abcdef
  other: {environment: {OPENAI_MODEL: "${UNKNOWN}", MODEL: gpt-4o}}
  pull:
    image: ollama/ollama
    entrypoint: [/bin/sh, -c]
    command: ["sleep 3; ollama pull llama3.1:8b; ollama pull nomic-embed-text"]
"""
    found = {one.kind: one for one in artefacts(COMMANDS, tmp_path, "compose.yaml", text)}
    (asked,) = found["dotenv"].models
    assert (asked.source, asked.options["base_url"]) == (
        "openai:llama3.1:8b", "http://ollama:11434/v1"
    )
    assert found["dotenv"].env_file is None
    assert "secret-in-clear" in codes(found["dotenv"])
    assert "0123456789abcdef" not in said(found["dotenv"])
    assert sources(found["llama-server-preset"]) == {"llama3.1:8b": "ollama:llama3.1:8b"}
    assert "embedding-model" in codes(found["llama-server-preset"])


def test_makefiles(tmp_path: Path) -> None:
    text = """MODEL ?= models/a.gguf
CTX := 512
serve:
\t@echo llama-server -m no.gguf
\t@llama-server -m $(MODEL) \\
\t\t-c $(CTX)
chat:
\t-mlx_lm.server --model org/x-4bit && ollama run mistral:7b
"""
    found = {one.kind: one for one in artefacts(COMMANDS, tmp_path, "Makefile", text)}
    server = found["llama-server-preset"]
    assert sources(server) == {"a": "file:models/a.gguf", "mistral:7b": "ollama:mistral:7b"}
    assert (server.models[0].options, server.models[0].line) == ({"context_size": 512}, 5)
    assert "mlx-elsewhere" in codes(found["mlx-code"]) or sys.platform == "darwin"
    mlx = found["mlx-code"].models[0]
    assert (mlx.source, mlx.engine) == ("huggingface:org/x-4bit", "mlx")


def test_defaults_and_other_machines_in_scripts(tmp_path: Path) -> None:
    text = """#!/bin/bash
MODEL="${MODEL:-/srv/a.gguf}"
NAME="${NAME:-mine}"
: "${OTHER:=/srv/b.gguf}"
llama-server -m "$MODEL" --alias "$NAME" ${MM:+--mmproj "$MM"} -hft abcdef0123456789
llama-server -m "$OTHER" "$@"
ssh box "cd ~/l && nohup build/bin/llama-server -m c.gguf -c 512 > log 2>&1 &"
"""
    found = only(COMMANDS, tmp_path, "a.sh", text)
    assert sources(found) == {
        "mine": "file:/srv/a.gguf", "b": "file:/srv/b.gguf", "c": "file:c.gguf"
    }
    assert found.models[2].options == {"context_size": 512}
    assert "env-default" in codes(found)
    assert "abcdef" not in said(found)


def test_variables_that_blow_up_stay_small(tmp_path: Path) -> None:
    lines = [f"{chr(97 + at)}='{f'${chr(98 + at)} ' * 300}'" for at in range(20)]
    text = "#!/bin/sh\n" + "\n".join(lines) + "\nllama-server -m x.gguf $a\n"
    artefacts(COMMANDS, tmp_path, "a.sh", text)


@pytest.mark.parametrize("image", ["ghcr.io/ggml-org/llama.cpp:server", "my/unknown-image"])
@pytest.mark.parametrize("mount", ["-v HERE:/models:ro", "--volume=HERE:/models",
                                   "--mount type=bind,source=HERE,target=/models"])  # fmt: skip
def test_what_a_container_of_llama_swap_sees(tmp_path: Path, image: str, mount: str) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "d.gguf").touch()
    seen = mount.replace("HERE", str(tmp_path / "m"))
    cmd = f"docker run --rm --gpus all -p 80:80 {seen} {image} -c 100 -m /models/"
    found = swap(tmp_path, f"{cmd}d.gguf")
    assert sources(found) == {"m": f"file:{tmp_path}/m/d.gguf"} and codes(found) == set()
    found = swap(tmp_path, f"{cmd}e.gguf")
    assert sources(found) == {"m": "file:/models/e.gguf"} and codes(found) == {"foreign-path"}
    assert found.models[0].options == {"context_size": 100}
