"""Settings of programs without a reader of their own: by the names of their fields, and what must
not be taken for them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import artefacts, codes, document, only, said, sources

from llmrr.errors import DamagedFile
from llmrr.migrate.guessing.shapes import guesses
from llmrr.migrate.readers import READERS, custom

READER = custom.READER

AUTOGEN = json.dumps([
    {"model": "gpt-4", "api_key": "0123456789abcdef0123", "base_url": "https://x.openai.azure.com",
     "api_type": "azure", "api_version": "2024-02-01"},
    {"model": "llama3", "base_url": "http://localhost:1234/v1", "api_key": "EMPTY"},
])  # fmt: skip
FILES: tuple[tuple[str, str, dict[str, dict[str, Any]]], ...] = (
    ("OAI_CONFIG_LIST.json", AUTOGEN, {
        "azure:gpt-4": {"base_url": "https://x.openai.azure.com", "api_version": "2024-02-01",
                        "api_key_env": "AZURE_OPENAI_API_KEY"},
        "openai:llama3": {"base_url": "http://localhost:1234/v1"},
    }),
    ("config.yml", "models: [{type: main, engine: openai, model: gpt-3.5-turbo, parameters: "
     "{temperature: 0.2}}]", {"openai:gpt-3.5-turbo": {"temperature": 0.2}}),
    ("promptfooconfig.yaml", "providers: ['openai:chat:gpt-4o', {id: 'anthropic:messages:claude-3',"
     " config: {temperature: 0.5}}]", {"openai:gpt-4o": {}, "anthropic:claude-3":
                                       {"temperature": 0.5}}),
    ("agents.yaml", "a: {role: r, llm: openai/gpt-4o}\nb: {role: s, llm: ollama/llama3.1}",
     {"openai:gpt-4o": {}, "ollama:llama3.1": {}}),
    (".aider.conf.yml", "model: openrouter/anthropic/claude-3\nweak-model: gpt-4o-mini\n"
     "openai-api-key: abcdef123456", {"openrouter:anthropic/claude-3": {},
                                      "openai:gpt-4o-mini": {"api_key_env": "OPENAI_API_KEY"}}),
    ("appsettings.json", json.dumps({
        "Logging": {"LogLevel": {"Default": "Information"}},
        "AzureOpenAI": {"DeploymentName": "dep", "Endpoint": "https://me.openai.azure.com/"},
        "OpenAI": {"ModelId": "gpt-4o", "ApiKey": ""},
    }), {"azure:dep": {"base_url": "https://me.openai.azure.com"}, "openai:gpt-4o": {}}),
    ("application.yml", """
spring:
  ai:
    openai:
      api-key: ${OPENAI_KEY}
      chat: {options: {model: gpt-4o, temperature: 0.7}}
    ollama: {base-url: "http://box:11434", chat: {options: {model: mistral}}}
""", {"openai:gpt-4o": {"temperature": 0.7, "api_key_env": "OPENAI_KEY"},
      "ollama:mistral": {"base_url": "http://box:11434"}}),
    ("settings.json", '{"agent": {"default_model": {"provider": "anthropic", "model": "claude-x"}}}'
     , {"anthropic:claude-x": {}}),
    ("default.yaml", "llm: {model: ollama/llama3, temperature: 0, context_window: 8000, "
     "max_tokens: 100}", {"ollama:llama3": {"temperature": 0, "context_size": 8000,
                                            "max_tokens": 100}}),
    ("app.yml", "model_config: {model: {provider: langgenius/openai/openai, name: gpt-4o, "
     "completion_params: {temperature: 0.3}}}", {"openai:gpt-4o": {"temperature": 0.3}}),
    ("flow.json", json.dumps({"nodes": [{"parameters": {
        "model": {"__rl": True, "value": "gpt-4o", "mode": "list"}, "options": {"temperature": 0.2},
    }}]}), {"openai:gpt-4o": {"temperature": 0.2}}),
    ("my.toml", '[ai]\nprovider = "groq"\nmodel = "llama-3.1-8b-instant"\ntop_p = 0.5\n',
     {"groq:llama-3.1-8b-instant": {"top_p": 0.5}}),
    ("my.ini", "[llm]\nprovider = openai\nmodel = gpt-4o\ntemperature = 0.3\n",
     {"openai:gpt-4o": {"temperature": 0.3}}),
    ("local.json", '{"llm": {"model_path": "./models/a.gguf", "n_ctx": 2048, "n_gpu_layers": 33}}',
     {"file:./models/a.gguf": {"context_size": 2048, "gpu_layers": 33}}),
    ("librechat.yaml", """
endpoints:
  custom:
    - name: Mine
      apiKey: "${MY_KEY}"
      baseURL: https://h.example/v1
      models: {default: [a-model, "Shown Name"], fetch: false}
    - {name: groq, apiKey: "${GROQ_KEY}", models: [llama-3.1-8b]}
""", {"openai:a-model": {"base_url": "https://h.example/v1", "api_key_env": "MY_KEY"}}),
    ("settings.json", """// Zed
{"agent": {"default_model": {"provider": "openai", "model": "qwen3.6"}},
 "language_models": {
   "openai": {"api_url": "https://nan.example/v1", "available_models": [
     {"name": "qwen3.6", "max_tokens": 131072}, {"name": "b-1", "max_output_tokens": 99}]},
   "ollama": {"api_url": "http://box:11434", "available_models": [{"name": "q:7b",
     "max_tokens": 8192}]},
   "anthropic": {"available_models": [{"name": "claude-x"}]}}}
""", {"openai:qwen3.6": {"base_url": "https://nan.example/v1"},
      "openai:b-1": {"base_url": "https://nan.example/v1", "max_tokens": 99},
      "ollama:q:7b": {"base_url": "http://box:11434", "context_size": 8192}}),
    ("opencode.json", json.dumps({"model": "lm/qwen", "provider": {"lm": {
        "options": {"baseURL": "http://127.0.0.1:1234/v1"}, "models": {"gemma": {"name": "G"}}}}}),
     {"openai:gemma": {"base_url": "http://127.0.0.1:1234/v1"},
      "openai:qwen": {"base_url": "http://127.0.0.1:1234/v1"}}),
    ("codex.toml", 'model = "m-1"\nmodel_provider = "mine"\n[model_providers.mine]\n'
     'base_url = "http://box:8000/v1"\n', {"openai:m-1": {"base_url": "http://box:8000/v1"}}),
    ("goose.yaml", "GOOSE_PROVIDER: openrouter\nGOOSE_MODEL: anthropic/claude-x\n",
     {"openrouter:anthropic/claude-x": {}}),
    ("workflow.json", json.dumps({"nodes": [
        {"type": "@n8n/n8n-nodes-langchain.lmChatOllama", "parameters": {"model": "llama3.2:3b"}},
        {"type": "@n8n/n8n-nodes-langchain.lmChatGoogleGemini",
         "parameters": {"modelName": "models/gemini-2.0-flash"}}]}),
     {"ollama:llama3.2:3b": {}, "google:gemini-2.0-flash": {}}),
    ("chatflow.json", json.dumps({"nodes": [{"data": {
        "name": "chatOllama", "type": "ChatOllama", "inputParams": [{"model": "gpt-4o"}],
        "inputs": {"modelName": "llama3", "baseUrl": "http://box:11434"}}}]}),
     {"ollama:llama3": {"base_url": "http://box:11434"}}),
    ("application.properties", "spring.ai.openai.api-key=${K}\n# no\n"
     "spring.ai.openai.base-url=https://h.example/v1\nspring.ai.openai.chat.options.model=glm-4\n"
     "spring.ai.openai.chat.options.temperature=0.3\n", {"openai:glm-4": {
         "temperature": 0.3, "base_url": "https://h.example/v1", "api_key_env": "K"}}),
    ("appsettings.Development.json", json.dumps({"AzureOpenAI": {
        "Endpoint": "https://me.openai.azure.com/", "ExamDeployment": "exam",
        "EmbeddingDeployment": "text-embedding-3-large"}}),
     {"azure:exam": {"base_url": "https://me.openai.azure.com"}}),
    ("azure.yml", "spring: {ai: {azure: {openai: {endpoint: 'https://r.openai.azure.com', "
     "chat: {options: {deployment-name: dep}}}}}}",
     {"azure:dep": {"base_url": "https://r.openai.azure.com"}}),
    ("OAI_CONFIG_LIST", '// Please modify\n//\n[{"model": "gpt-4-0125-preview", '
     '"api_key": "<your key>"}, {"model": "<your deployment>", "api_type": "azure"}]',
     {"openai:gpt-4-0125-preview": {}}),
    ("aider.yml", "model: openai/local/llama\nopenai-api-base: http://127.0.0.1:4000/v1\n"
     "openai-api-key: sk-anything\npretty: true\n",
     {"openai:local/llama": {"base_url": "http://127.0.0.1:4000/v1",
                             "api_key_env": "OPENAI_API_KEY"}}),
    ("eval.yaml", "providers: [{id: 'anthropic:claude-agent-sdk', config: {model: claude-x}}]",
     {"anthropic:claude-x": {}}),
    ("app.js", "module.exports = {llm: {provider: 'openai', model: 'gpt-4o', temperature: 0.1}}",
     {"openai:gpt-4o": {"temperature": 0.1}}),
)  # fmt: skip


@pytest.mark.parametrize(("name", "text", "wanted"), FILES, ids=[one[0] for one in FILES])
def test_fields_say_it(
    tmp_path: Path, name: str, text: str, wanted: dict[str, dict[str, Any]]
) -> None:
    found = only(READER, tmp_path, name, text)
    assert {one.source: {**one.params, **one.options} for one in found.models} == wanted
    assert found.confidence is not None and 0.7 <= found.confidence <= 1
    assert "0123456789abcdef0123" not in said(found) and "abcdef123456" not in said(found)


NEGATIVES = (
    ("deployment.yaml", "apiVersion: v1\nkind: ConfigMap\ndata: {model: gpt-4o, provider: openai}"),
    ("environment.yml", "channels: [a]\ndependencies: [openai]\nmodel: gpt-4o"),
    ("docker-compose.yml", "services: {a: {environment: {MODEL: gpt-4o, provider: openai}}}"),
    ("package.json", '{"name": "a", "version": "1", "dependencies": {"openai": "4"}, '
     '"llm": {"provider": "openai", "model": "gpt-4o"}}'),
    (".eslintrc.json", '{"extends": [], "rules": {}, "model": "gpt-4o"}'),
    ("tsconfig.json", '{"compilerOptions": {"model": "gpt-4o"}}'),
    ("ci.yml", "on: push\njobs: {a: {env: {model: gpt-4o, provider: openai}}}"),
    ("openapi.yaml", "openapi: 3.0.0\npaths: {}\nx: {model: gpt-4o, provider: openai}"),
    ("tokenizer_config.json", '{"tokenizer_class": "X", "model": "gpt-4o"}'),
    ("config.json", '{"architectures": ["LlamaForCausalLM"], "model": "gpt-4o"}'),
    ("train.yaml", "base_model: gpt-4o\nlearning_rate: 0.1\nmodel: gpt-4o"),
    ("answer.json", '{"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o"}'),
    ("results.json", '[{"model": "gpt-4o", "response": "hello", "score": 0.9}]'),
    ("car.json", '{"brand": "Toyota", "model": "corolla", "engine": "v8"}'),
    ("schema.json", '{"$schema": "x", "properties": {"model": {"default": "gpt-4o"}}}'),
    ("prices.json", json.dumps({f"gpt-4-{at}": {"model": f"gpt-4-{at}"} for at in range(200)})),
    ("phone.json", '{"devices": [{"model": "monet-edition", "type": "phone"}]}'),
    ("notes.txt", "model: gpt-4o is what we use"),
    ("en.json", '{"openai": {"title": "OpenAI", "model": "Model", "apiKey": "API Key"}}'),
    ("de.json", '{"openai": {"model": "Modell", "apiKey": "API-Key"}, "groq": {"model": "模型"}}'),
    ("data.json", '[{"model": "gpt-4", "messages": []}, {"model": "gpt-4", "messages": []}]'),
    ("chat.json", '{"title": "x", "create_time": 1, "model": "gpt-4o", "mapping": {}}'),
    ("leader.json", '{"results": [{"model": "gpt-4o", "provider": "openai"}]}'),
    ("speed.json", '{"a": {"model": "gpt-4o", "provider": "", "latency_ms": 500}}'),
    ("quoted.json", json.dumps({
        "a/b.json": {"models": [{"name": "x", "source": "openai:gpt-4o", "config": {}}]},
        "c.yaml": {"model": "gpt-4o", "provider": "openai", "api_key": "x"},
    })),
    ("cases.yaml", "tests: [{llm: {provider: openai, model: gpt-4o}}]\n"
     "expected: {provider: openai, model: gpt-4o}"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "text"), NEGATIVES, ids=[one[0] for one in NEGATIVES])
def test_other_files_are_left(tmp_path: Path, name: str, text: str) -> None:
    assert not artefacts(READER, tmp_path, name, text)


@pytest.mark.parametrize(("name", "text"), NEGATIVES[:12], ids=[one[0] for one in NEGATIVES[:12]])
def test_no_reader_of_data_takes_a_negative(tmp_path: Path, name: str, text: str) -> None:
    found = document(tmp_path, name, text)
    for reader in READERS:
        if reader.of_data is not None and "transformers-dir" not in reader.kinds:
            assert not [one for one in reader.of_data(found) if one.models]


def test_it_is_the_last_to_be_asked() -> None:
    assert READERS[-1] is READER


def test_what_is_less_sure_is_taken_when_it_is_asked_for(tmp_path: Path) -> None:
    assert READER.forced is not None
    text = '{"model": "my-own", "base_url": "http://localhost:1/v1", "score": 3}'
    assert not artefacts(READER, tmp_path, "a.json", text)
    found = next(iter(READER.forced(document(tmp_path, "a.json", text))))
    assert sources(found) == {"my-own": "openai:my-own"}
    assert found.confidence is not None and found.confidence < 0.7
    with pytest.raises(DamagedFile):
        list(READER.forced(document(tmp_path, "a.txt", "prose")))


def test_unknown_providers_and_addresses_are_said(tmp_path: Path) -> None:
    text = """
a: {provider: vllm, model: xy, temperature: 1}
b: {provider: openai, model: gpt-4o, base_url: "${WHERE}"}
c: {provider: openai, model: text-embedding-3-small}
"""
    found = only(READER, tmp_path, "a.yaml", text)
    assert sources(found) == {"gpt-4o": "openai:gpt-4o"}
    assert {"unsupported-source", "unresolved", "embedding-model"} <= codes(found)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8)
    | st.sampled_from(["gpt-4o", "openai", "ollama/x", "a.gguf", "http://h/v1", "${K}"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["model", "provider", "llm", "base_url", "api_key", "options", "name",
                         "temperature", "providers", "id", "engine", "stop"]), inner, max_size=5),
    max_leaves=25,
))  # fmt: skip
def test_any_shape_is_looked_at(shape: Any) -> None:
    for one in guesses(shape):
        assert 0 <= one.confidence <= 1
    text = json.dumps(shape)
    found = custom.Document(Path("a.json"), text.encode())
    for reader in READERS:
        if reader.of_data is not None:
            list(reader.of_data(found))
    assert READER.forced is not None
    if isinstance(shape, dict | list):
        list(READER.forced(found))


def test_what_a_test_expects_is_no_configuration(tmp_path: Path) -> None:
    quoted = dict(NEGATIVES)["quoted.json"]
    for reader in READERS:
        if reader.of_data is not None:
            assert not list(reader.of_data(document(tmp_path, "quoted.json", quoted)))


def test_a_model_is_shown_where_its_field_stands(tmp_path: Path) -> None:
    text = "about: gpt-4o is good\nllm:\n  provider: openai\n  model: gpt-4o\n"
    assert only(READER, tmp_path, "a.yaml", text).models[0].line == 4


def test_the_default_of_a_variable_is_said(tmp_path: Path) -> None:
    text = "llm: {provider: groq, model: '${MODEL:llama-3.1-8b}', temperature: 0}"
    found = only(READER, tmp_path, "a.yaml", text)
    assert sources(found) == {"llama-3.1-8b": "groq:llama-3.1-8b"}
    assert "env-default" in codes(found)


def test_a_fallback_beside_a_model_follows_it(tmp_path: Path) -> None:
    text = "a: {provider: ollama, model: gemma3:4b, fallback_model: llava:7b, temperature: 0}\n"
    text += "b: {model: gpt-4o, fallback_models: [claude-x, groq/y]}\n"
    found = only(READER, tmp_path, "a.yaml", text)
    assert list(found.fallbacks) == [
        ("gemma3:4b", "llava:7b"), ("gpt-4o", "claude-x"), ("gpt-4o", "y")
    ]  # fmt: skip


def test_code_that_another_reader_takes_is_left(tmp_path: Path) -> None:
    text = "module.exports = {apiKey: process.env.OPENAI_API_KEY, model: 'gpt-4', temperature: 1};"
    assert not artefacts(READER, tmp_path, "openai.config.js", text)


def test_a_model_of_one_at_the_address_of_another_is_doubted(tmp_path: Path) -> None:
    text = '{"model": "claude-3-haiku", "endpoint": "https://llm.example.com/v1", "temperature": 0}'
    [found] = custom.of_data(document(tmp_path, "settings.json", text))
    assert found.models[0].source == "openai:claude-3-haiku"
    assert [one.code for one in found.warnings] == ["key-guess"]
    assert "anthropic:claude-3-haiku" in found.warnings[0].message
