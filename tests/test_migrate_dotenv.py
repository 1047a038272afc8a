"""Files of variables: keys by reference, addresses and models by value."""

import json
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import dotenv, server_commands

KEY = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"


def read(text: str, name: str = ".env") -> Artefact | None:
    found = list(dotenv.of_data(Document(Path(name), text.encode())))
    return found[0] if found else None


def one(text: str, name: str = ".env") -> Artefact:
    found = read(text, name)
    assert found is not None
    return found


@pytest.mark.parametrize(("text", "source", "stated"), [
    (f"OPENAI_API_KEY={KEY}\nOPENAI_MODEL=gpt-4o", "openai:gpt-4o",
     {"api_key_env": "OPENAI_API_KEY"}),
    ("OPENAI_MODEL_NAME='gpt-4o' # the best\nOPENAI_TEMPERATURE=0.2\nOPENAI_MAX_TOKENS=100",
     "openai:gpt-4o", {"temperature": 0.2, "max_tokens": 100}),
    ("OPENAI_BASE_URL=http://localhost:1234/v1\nOPENAI_CHAT_MODEL=qwen", "openai:qwen",
     {"base_url": "http://localhost:1234/v1"}),
    (f"AZURE_OPENAI_API_KEY={KEY}\nAZURE_OPENAI_ENDPOINT=https://x.openai.azure.com/\n"
     "AZURE_OPENAI_DEPLOYMENT_NAME=dep\nOPENAI_API_VERSION=2024-02-01", "azure:dep",
     {"base_url": "https://x.openai.azure.com/", "api_version": "2024-02-01",
      "api_key_env": "AZURE_OPENAI_API_KEY"}),
    ("OPENAI_API_TYPE=azure\nOPENAI_API_BASE=https://x.openai.azure.com\n"
     "OPENAI_DEPLOYMENT_NAME=dep",
     "azure:dep", {"base_url": "https://x.openai.azure.com"}),
    (f"export ANTHROPIC_API_KEY={KEY}\nexport ANTHROPIC_MODEL=claude-x", "anthropic:claude-x",
     {"api_key_env": "ANTHROPIC_API_KEY"}),
    (f"LLM_PROVIDER=groq\nLLM_MODEL=llama3\nGROQ_API_KEY={KEY}", "groq:llama3",
     {"api_key_env": "GROQ_API_KEY"}),
    (f"LLM_MODEL=gpt-4o-mini\nLLM_API_KEY={KEY}", "openai:gpt-4o-mini",
     {"api_key_env": "LLM_API_KEY"}),
    ("LLM_BASE_URL=http://box:8000/v1\nLLM_MODEL=qwen", "openai:qwen",
     {"base_url": "http://box:8000/v1"}),
    ("OPENAI_BASE_URL=https://api.deepseek.com\nOPENAI_MODEL=deepseek-chat",
     "openai:deepseek-chat", {"base_url": "https://api.deepseek.com"}),
    ("OLLAMA_BASE_URL=http://localhost:11434\nOLLAMA_MODEL=llama3:8b", "ollama:llama3:8b", {}),
    ("NEXT_PUBLIC_OPENAI_MODEL=gpt-4o", "openai:gpt-4o", {}),
    ("LLM_PROVIDER=ollama\nLLM_MODEL=ollama/qwen3:8b", "ollama:qwen3:8b", {}),
    ("LITELLM_MODEL=anthropic/claude-x", "anthropic:claude-x", {}),
    ("LLM_PROVIDER=openrouter\nLLM_MODEL=openai/gpt-4o", "openrouter:openai/gpt-4o", {}),
    ("LLM_TYPE=x\nMODEL_PATH=./models/a.gguf\nMODEL_N_CTX=1000", "file:./models/a.gguf",
     {"context_size": 1000}),
    ("OPENAI_MODEL=gpt-4o\r\n", "openai:gpt-4o", {}),
    ("MODEL=gpt-4o\nOPENAI_API_KEY=\nOPENAI_BASE_URL=https://h.example/v1", "openai:gpt-4o",
     {"base_url": "https://h.example/v1", "api_key_env": "OPENAI_API_KEY"}),
    ("LLM_MODEL=qwen-max\nOPENAI_API_BASE=https://h.example/v1", "openai:qwen-max",
     {"base_url": "https://h.example/v1"}),
    ("LLM_MODEL=claude-x\nOPENAI_BASE_URL=https://h.example/v1", "anthropic:claude-x", {}),
    ("AI_MODEL=claude-x\nANTHROPIC_API_KEY=\nANTHROPIC_BASE_URL=https://h.example",
     "anthropic:claude-x",
     {"base_url": "https://h.example", "api_key_env": "ANTHROPIC_API_KEY"}),
])  # fmt: skip
def test_models(text: str, source: str, stated: dict[str, object]) -> None:
    found = one(text)
    assert [m.source for m in found.models] == [source]
    assert {**found.models[0].params, **found.models[0].options} == stated
    assert found.kind == "dotenv" and found.warnings == ()


@pytest.mark.parametrize("name", [".env", "prod.vars", "secrets", ".env.local", "a.sh"])
def test_by_content_whatever_the_name(name: str) -> None:
    found = one(f"# c\nPORT=1\nOPENAI_API_KEY={KEY}\n", name)
    assert found.env_file == name and found.models == ()


@pytest.mark.parametrize("value", ["", "your-key-here", "sk-xxx", "<key>", "${OTHER}"])
def test_keys_lie_only_where_there_are_some(value: str) -> None:
    assert one(f"OPENAI_API_KEY={value}").env_file is None


@pytest.mark.parametrize("text", [
    "PORT=1\nNODE_ENV=dev\n", "API_KEY=x\n", "MODEL=resnet50\n", "", "just text\n"
    "", "# OPENAI_API_KEY=\n",
    "def f():\n    OPENAI_API_KEY = 1\n    return x\n\nf()\nprint(1)\n"
    "", "a: OPENAI_API_KEY=1\nb: 2\nc: 3",
])  # fmt: skip
def test_what_speaks_of_no_model_is_left(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(("text", "code"), [
    ("OPENAI_EMBEDDING_MODEL=text-embedding-3-small", "embedding-model"),
    ("OPENAI_IMAGE_MODEL=dall-e-3", "other-role"), ("LLM_MODEL=llama-7b", "unknown-provider"),
    ("OPENAI_MODEL=<your model>", "placeholder"),
    ("OPENAI_BASE_URL=http://box/v1", "base-url-default"),
    ("OPENAI_API_KEY=a\nthis is no variable\nA=1\nB=2", "syntax"),
    ("OPENAI_MODEL=gpt-4o\nOPENAI_TEMPERATURE=hot", "wrong-type"),
])  # fmt: skip
def test_warnings(text: str, code: str) -> None:
    assert [notice.code for notice in one(text).warnings] == [code]


def test_a_bad_line_loses_only_itself() -> None:
    found = one("OPENAI_MODEL=gpt-4o\nthis is none\nOPENAI_TEMPERATURE=0.5\nX=1")
    assert found.models[0].params == {"temperature": 0.5}
    assert found.warnings[0].where == ".env:2"


def test_no_value_of_a_key_gets_out() -> None:
    text = "\n".join([
        f"OPENAI_API_KEY={KEY}", f"DATABASE_URL=postgres://u:{KEY}@h/d", f"MY_SECRET={KEY}",
        "OPENAI_MODEL=gpt-4o", f"OPENAI_BASE_URL=https://u:{KEY}@box/v1?api_key={KEY}",
        f"ANTHROPIC_MODEL={KEY}",
    ])  # fmt: skip
    found = one(text)
    said = json.dumps([m.as_json() for m in found.models]) + str(found.warnings)
    assert KEY[:6] not in said and KEY[-6:] not in said
    assert found.models[0].options["base_url"] == "https://box/v1"


@settings(max_examples=150, deadline=None)
@given(st.text(string.ascii_uppercase + "_= \n'\"#\\${}", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    document = Document(Path(".env"), f"OPENAI_API_KEY=x\n{text}".encode())
    list(dotenv.of_data(document))
    list(dotenv.forced(document))


@pytest.mark.parametrize("text", [
    "services:\n  a:\n    image: x\n    environment:\n      - OPENAI_API_KEY=0a1b2c3d4e5f\n",
    "services:\n  a:\n    image: x\n    environment: {OPENAI_API_KEY: 0a1b2c3d4e5f}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n"
    "  AZURE_OPENAI_API_KEY: 0a1b2c3d4e5f\n",
    "AZURE_OPENAI_API_KEY: 0a1b2c3d4e5f\nAZURE_OPENAI_ENDPOINT: https://x.openai.azure.com\n",
])  # fmt: skip
def test_keys_in_clear_of_containers_are_told(text: str) -> None:
    [found] = server_commands.of_data(Document(Path("a.yaml"), text.encode()))
    assert [one.code for one in found.warnings] == ["secret-in-clear"]
    line = next(n for n, one in enumerate(text.splitlines(), 1) if "0a1b" in one)
    assert f"a.yaml:{line} " in found.warnings[0].where and "0a1b2c" not in repr(found)


def test_other_containers_and_references_are_not() -> None:
    for said in ("POSTGRES_PASSWORD: 0a1b2c3d4e5f", "OPENAI_API_KEY: $OPENAI_API_KEY"):
        text = f"services:\n  a:\n    image: x\n    environment: {{{said}}}\n"
        assert not list(server_commands.of_data(Document(Path("a.yaml"), text.encode())))


def test_keys_that_a_shells_own_file_exports_are_told() -> None:
    text = (f"case $- in *i*) ;; esac\nalias ll='ls -l'\nif true; then\n  . ~/.x\nfi\n"
            f"export OPENAI_API_KEY={KEY}\nexport GROQ_API_KEY=$(pass groq)\n"
            "export ANTHROPIC_API_KEY=\"$A\"\nexport EDITOR=vi\nset -o vi\nls\n")  # fmt: skip
    found = one(text, ".bashrc")
    assert [(n.code, n.where) for n in found.warnings] == [
        ("secret-in-clear", ".bashrc:6 OPENAI_API_KEY")]  # fmt: skip
    assert found.env_file is None and KEY not in repr(found)
    assert read(text, "a.txt") is None
