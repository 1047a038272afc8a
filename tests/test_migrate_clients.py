"""Continue, aichat and simonw/llm."""

import json
from pathlib import Path
from typing import Any

import pytest
from reading import artefacts, codes, document, only, said, sources

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact
from llmrr.migrate.readers import aichat, continue_dev, simonw_llm

CONTINUE, AICHAT, LLM = continue_dev.READER, aichat.READER, simonw_llm.READER


def agent(folder: Path, models: str) -> Artefact:
    return only(CONTINUE, folder, "config.yaml", f"name: a\nversion: 1\nschema: v1\n{models}")


def test_a_model_of_continue(tmp_path: Path) -> None:
    found = agent(tmp_path, """models:
  - name: My Coder
    provider: ollama
    model: qwen2.5-coder:7b
    apiBase: http://box:11434
    roles: [chat, edit]
    contextLength: 8192
    defaultCompletionOptions:
      {temperature: 0.2, topP: 0.9, topK: 40, minP: 0.1, maxTokens: 500, stop: [END], stream: true}
    chatOptions: {baseSystemMessage: Be brief}
    requestOptions: {timeout: 7200000, headers: {X-A: "${{ secrets.HEAD }}"}, verifySsl: false}
""")
    model = found.models[0]
    assert (model.name, model.source) == ("My-Coder", "ollama:qwen2.5-coder:7b")
    assert model.params == {
        "temperature": 0.2, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "max_tokens": 500,
        "stop": ["END"], "system": "Be brief",
    }  # fmt: skip
    assert model.options == {
        "base_url": "http://box:11434", "context_size": 8192, "timeout": 7200,
        "headers_env": {"X-A": "HEAD"},
    }  # fmt: skip
    assert codes(found) == {"wrong-type", "proxy-setting"}


@pytest.mark.parametrize(
    "key", ["${{ secrets.MY_KEY }}", "${{ inputs.MY_KEY }}", "${MY_KEY}", "$MY_KEY",
            "${env:MY_KEY}"],
)  # fmt: skip
def test_spellings_of_variables(tmp_path: Path, key: str) -> None:
    found = agent(tmp_path, f"models: [{{name: a, provider: openai, model: gpt-4o, apiKey: "
                  f"'{key}'}}]")  # fmt: skip
    assert found.models[0].options == {"api_key_env": "MY_KEY"}
    assert not found.warnings


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ("{name: a, provider: ollama, model: AUTODETECT}", "autodetect"),
        ("{uses: anthropic/claude-4-sonnet, with: {KEY: '${{ secrets.KEY }}'}}", "hub-reference"),
        ("{name: a, provider: voyage, model: v, roles: [embed]}", "embedding-model"),
        ("{name: a, provider: cohere, model: v, roles: [rerank]}", "other-role"),
        ("{name: a, provider: nowhere, model: x}", "unknown-provider"),
        ("{name: a, provider: openai, model: ''}", "no-model"),
    ],
)
def test_entries_without_a_model_of_ours(tmp_path: Path, entry: str, code: str) -> None:
    found = agent(tmp_path, f"models: [{entry}]")
    assert not found.models
    assert codes(found) == {code}


def test_places_and_roles(tmp_path: Path) -> None:
    found = agent(tmp_path, """models:
  - {name: lm, provider: lmstudio, model: qwen}
  - {name: own, provider: openai, model: x, apiBase: "http://localhost:8000/v1/"}
  - {name: az, provider: azure, model: gpt-4o, apiBase: "https://r.openai.azure.com",
     env: {deployment: dep, apiVersion: "2024-10-21"}}
  - {name: tab, provider: mistral, model: codestral, roles: [autocomplete], apiKey: 0a1b2c3d4e5f}
""")
    lm, own, azure = found.models
    assert (lm.source, lm.options) == ("openai:qwen", {"base_url": "http://localhost:1234/v1"})
    assert own.options == {"base_url": "http://localhost:8000/v1"}
    assert (azure.source, azure.options["api_version"]) == ("azure:dep", "2024-10-21")
    assert codes(found) == {"base-url-default", "secret-in-clear", "other-role"}
    assert "0a1b2c" not in said(found)


def test_anchors_and_the_directive_of_yaml(tmp_path: Path) -> None:
    text = """%YAML 1.1
---
name: a
version: 1
schema: v1
defaults: &d {provider: openai, apiKey: $K}
models:
  - {<<: *d, name: a, model: gpt-4o}
"""
    found = only(CONTINUE, tmp_path, "config.yaml", text)
    assert found.models[0].options == {"api_key_env": "K"}


OLD = """{
  // the old file, with comments
  "models": [
    {"title": "GPT", "provider": "openai", "model": "gpt-4", "apiKey": "abcabcabc123",
     "contextLength": 4096, "completionOptions": {"temperature": 0.1}, "systemMessage": "Own"},
    {"title": "Local", "provider": "llama.cpp", "model": "x", "apiBase": "http://localhost:8080"},
  ],
  "tabAutocompleteModel": {"title": "Tab", "provider": "ollama", "model": "starcoder2:3b"},
  "embeddingsProvider": {"provider": "ollama", "model": "nomic-embed-text"},
  "completionOptions": {"maxTokens": 100},
  "systemMessage": "All",
  "customCommands": [{"name": "test", "prompt": "Test {{{ input }}} {x}", "description": "d"}],
}"""


def test_the_old_file(tmp_path: Path) -> None:
    found = only(CONTINUE, tmp_path, "config.json", OLD)
    gpt, local = found.models
    assert gpt.params == {"temperature": 0.1, "max_tokens": 100, "system": "Own"}
    assert gpt.options == {"api_key_env": "OPENAI_API_KEY", "context_size": 4096}
    assert local.options == {"base_url": "http://localhost:8080"}
    assert local.params["system"] == "All"
    assert found.templates[0].template == "Test {input} {{x}}"
    assert codes(found) == {"secret-in-clear", "embedding-model", "other-role"}
    assert "abcabc" not in said(found)


def test_servers_of_tools_alone_name_no_model(tmp_path: Path) -> None:
    text = "models: []\nmcpServers: [{name: a, env: {TOKEN: tok0tok1tok2}}]"
    found = agent(tmp_path, text)
    assert not found.models
    assert "tok0" not in said(found)


@pytest.mark.parametrize(
    "text",
    [
        "models: [{name: a}]", "name: a\nversion: 1\nscripts: {}\nmodels: [1]", "models: []",
        "models: {a: {cmd: x}}", "name: x\nschema: v2\nmodels: []",
    ],
)
def test_other_files_are_not_continues(tmp_path: Path, text: str) -> None:
    assert not artefacts(CONTINUE, tmp_path, "config.yaml", text)


@pytest.mark.parametrize(
    "models", ["models: [3, null, {provider: [1], model: {}}]", "models: [{uses: 3}]",
               "models: [{name: a, provider: openai, model: gpt-4, requestOptions: [1]}]"],
)  # fmt: skip
def test_damage_is_said_and_not_raised(tmp_path: Path, models: str) -> None:
    assert agent(tmp_path, models).kind == "continue"


CHAT = """
model: local:qwen2.5:14b
temperature: 0.5
wrap: no
rag_embedding_model: local:mxbai-embed-large
clients:
  - type: openai
    api_key: zyxzyxzyx987
    organization_id: org-1
  - type: openai-compatible
    name: local
    api_base: http://localhost:11434/v1
    models:
      - {name: llama3, max_output_tokens: 99, max_input_tokens: 8192}
      - {name: "qwen2.5:14b"}
      - {name: embedder, type: embedding}
      - {name: fast, real_name: "qwen2.5:1b", patch: {body: {}}}
  - type: openai-compatible
    name: groq
    api_key: "$GROQ"
    models: [{name: llama-3.1-8b-instant, input_price: 0.05, output_price: 0.08}]
  - type: claude
    models: [{name: claude-3-haiku}]
"""


def test_aichat(tmp_path: Path) -> None:
    found = only(AICHAT, tmp_path, "config.yaml", CHAT)
    assert sources(found) == {
        "llama3": "openai:llama3", "qwen2.5:14b": "openai:qwen2.5:14b", "fast": "openai:qwen2.5:1b",
        "llama-3.1-8b-instant": "groq:llama-3.1-8b-instant",
        "claude-3-haiku": "anthropic:claude-3-haiku",
    }  # fmt: skip
    llama, qwen, _, groq, _ = found.models
    assert llama.options == {"base_url": "http://localhost:11434/v1", "context_size": 8192}
    assert llama.params == {"temperature": 0.5, "max_tokens": 99}
    assert [one.priority for one in found.models] == [None, 1, None, None, None]
    assert qwen.line == 15
    assert (groq.options, groq.cost) == ({"api_key_env": "GROQ"}, {"input": 0.05, "output": 0.08})
    assert codes(found) == {
        "embedding-model", "unmapped-parameter", "key-guess", "no-model", "secret-in-clear"
    }  # fmt: skip
    assert found.models[4].options == {"api_key_env": "CLAUDE_API_KEY"}  # {CLIENT}_API_KEY
    assert "zyxzyx" not in said(found)


@pytest.mark.parametrize(("client", "variable"), [
    ("{type: openai-compatible, name: my-host, api_base: 'https://h.example/v1', KEY}",
     "MY_HOST_API_KEY"),
    ("{type: openai, api_base: 'https://h.example/v1', KEY}", "OPENAI_API_KEY"),
    ("{type: openai, KEY}", None), ("{type: groq, KEY}", None),
    ("{type: openai-compatible, name: box, api_base: 'http://127.0.0.1:1/v1', KEY}", None),
    ("{type: openai-compatible, name: x, api_base: 'https://h/v1', api_key: $OWN, KEY}", "OWN"),
])  # fmt: skip
def test_the_variable_of_a_client_of_aichat(
    tmp_path: Path, client: str, variable: str | None
) -> None:
    text = f"clients: [{client.replace('KEY', 'models: [{name: m}]')}]\n"
    found = only(AICHAT, tmp_path, "config.yaml", text)
    assert found.models[0].options.get("api_key_env") == variable
    assert ("key-guess" in codes(found)) is (variable == "MY_HOST_API_KEY")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("model: c:m\nwrap: no\nclients: true\n", {}),
        ("model: openai:gpt-4o\nsave_session: null\n", {"gpt-4o": "openai:gpt-4o"}),
        ("model: gemini\nclients: [{type: gemini, models: [{name: gemini-pro}]}]\n",
         {"gemini-pro": "google:gemini-pro"}),
        ("model: c:x\nclients: [{type: openai-compatible, name: c, api_base: 'http://h:1/v1'}]\n",
         {"x": "openai:x"}),
        ("model: odd:x\nclients: [{type: odd}]\n", {}),
        ("clients: [{type: openai}]\n", {}),
    ],
)  # fmt: skip
def test_the_default_of_aichat(tmp_path: Path, text: str, wanted: dict[str, str]) -> None:
    found = only(AICHAT, tmp_path, "config.yaml", text)
    assert sources(found) == wanted
    assert wanted or found.warnings


def test_roles_of_aichat(tmp_path: Path) -> None:
    role = "---\nmodel: openai:gpt-4o\ntemperature: 0\n---\nName {x} for __INPUT__\n"
    (tmp_path / "home" / "roles").mkdir(parents=True)
    (tmp_path / "home" / "roles" / "namer.md").write_text(role)
    (tmp_path / "home" / "roles" / "poet.md").write_text(
        "You rhyme.\n### INPUT:\nsea\n### OUTPUT:\nme\n"
    )
    (tmp_path / "out.md").write_text("out of it")
    (tmp_path / "home" / "roles" / "out.md").symlink_to(tmp_path / "out.md")
    found = only(AICHAT, tmp_path / "home", "config.yaml", "clients: [{type: openai}]")
    namer, poet = found.templates
    assert (namer.name, namer.template, namer.model) == (
        "namer", "Name {{x}} for {input}", "gpt-4o"
    )  # fmt: skip
    assert found.models[0].params == {"temperature": 0}
    assert poet.messages == (
        ("system", "You rhyme."), ("user", "sea"), ("assistant", "me"), ("user", "{input}"),
    )  # fmt: skip
    alone = only(AICHAT, tmp_path, "roles/alone.md", role)
    assert sources(alone) == {"gpt-4o": "openai:gpt-4o"}
    assert not artefacts(AICHAT, tmp_path, "post.md", "---\ntitle: x\n---\ntext")


def llm_folder(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


EXTRA = """
- model_id: orca
  model_name: orca-mini
  api_base: "http://localhost:8080/v1"
  api_key_name: my-proxy
  aliases: [o]
  headers: {Authorization: Bearer 0a1b2c3d4e5f}
  can_stream: true
- {model_id: az, model_name: gpt-4o, api_type: azure, api_engine: dep, api_base: "https://r",
   api_version: "2024-10-21"}
- {model_id: e, model_name: text-embedding-3-small}
"""


def test_the_folder_of_llm(tmp_path: Path) -> None:
    folder = llm_folder(
        tmp_path, aliases__json={"fast": "4o-mini", "x": "orca", "odd": "plugin-thing"},
        default_model__txt="orca\n", model_options__json={"orca": {"temperature": 0.2}},
        keys__json={"// Note": "n", "my-proxy": "abcabcabc123"},
    )  # fmt: skip
    found = only(LLM, folder, "extra-openai-models.yaml", EXTRA)
    orca, azure, mini = found.models
    assert (orca.name, orca.source, orca.aliases) == ("orca", "openai:orca-mini", ["o", "x"])
    assert orca.options == {
        "base_url": "http://localhost:8080/v1", "api_key_env": "MY_PROXY_API_KEY",
    }  # fmt: skip
    assert (orca.params, orca.priority) == ({"temperature": 0.2}, 1)
    assert (azure.source, azure.options) == (
        "azure:dep", {"base_url": "https://r", "api_version": "2024-10-21"},
    )  # fmt: skip
    assert (mini.source, mini.aliases) == ("openai:gpt-4o-mini", ["fast"])
    assert {"key-guess", "secret-in-clear", "embedding-model", "unknown-provider"} <= codes(found)
    keys = only(LLM, folder, "keys.json", (folder / "keys.json").read_text())
    assert "my-proxy" in keys.warnings[0].message
    for one in (found, keys):
        assert "abcabc" not in said(one) and "0a1b2c" not in said(one)
    assert not only(LLM, folder, "default_model.txt", "orca").models


def test_files_of_llm_without_models_of_ones_own(tmp_path: Path) -> None:
    folder = llm_folder(tmp_path, aliases__json={"c": "claude-3-opus"}, keys__json={})
    found = only(LLM, folder, "default_model.txt", "gpt-4o")
    assert sources(found) == {
        "claude-3-opus": "anthropic:claude-3-opus", "gpt-4o": "openai:gpt-4o",
    }  # fmt: skip


def test_nothing_is_read_that_lies_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "aliases.json").write_text('{"leak": "gpt-4o"}')
    home = tmp_path / "home"
    home.mkdir()
    (home / "aliases.json").symlink_to(tmp_path / "aliases.json")
    found = only(LLM, home, "extra-openai-models.yaml", "[{model_id: a, model_name: b}]")
    assert "leak" not in said(found)


def test_a_template_of_llm_with_a_model_of_ones_own(
    tmp_path: Path,
) -> None:
    from llmrr.migrate.merging.setup import combined
    from llmrr.migrate.scanning import scan

    folder = llm_folder(tmp_path, extra_openai_models__yaml="", default_model__txt="m\n")
    (folder / "extra-openai-models.yaml").write_text(
        "- {model_id: loc, model_name: qwen, api_base: 'http://h.example/v1', aliases: [l]}\n"
        "- {model_id: m, model_name: gpt-4o}\n"
    )
    text = "model: l\nsystem: Be brief\noptions: {temperature: 0.1}\n"
    found = only(LLM, folder, "templates/brief.yaml", text)
    assert sources(found) == {"loc": "openai:qwen"} and found.templates[0].model == "loc"
    assert codes(found) == {"not-applied"}
    assert codes(only(LLM, folder, "templates/x.yaml", text[9:])) == {"not-applied"}
    setup = combined(scan([folder]).artefacts, folder)
    assert [(one.name, one.priority) for one in setup.models] == [("loc", None), ("m", 1)]


def test_a_template_of_llm(tmp_path: Path) -> None:
    found = only(LLM, tmp_path, "templates/sum.yaml", """
model: 4o
system: You are $voice
prompt: 'Sum {x}: $input costs $$5'
defaults: {voice: GlaDOS}
options: {temperature: 0.1}
""")
    assert sources(found) == {"gpt-4o": "openai:gpt-4o"}
    assert found.models[0].params == {"temperature": 0.1}
    template = found.templates[0]
    assert (template.name, template.model) == ("sum", "gpt-4o")
    assert template.messages == (
        ("system", "You are {voice}"), ("user", "Sum {{x}}: {input} costs $5"),
    )  # fmt: skip
    assert template.defaults == {"voice": "GlaDOS"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "- {model_id: a}"), ("aliases.json", '{"a": "b"}'), ("keys.json", '{"a": "b"}'),
        ("default_model.txt", "gpt-4o"), ("a.yaml", "prompt: x\nsize: 3"), ("b.yaml", "prompt: x"),
    ],
)
def test_other_files_are_not_llms(tmp_path: Path, name: str, text: str) -> None:
    assert not artefacts(LLM, tmp_path, name, text)


@pytest.mark.parametrize("reader", [CONTINUE, AICHAT, LLM])
def test_what_is_no_table_cannot_be_forced(tmp_path: Path, reader: Any) -> None:
    with pytest.raises(DamagedFile):
        list(reader.forced(document(tmp_path, "a.txt", "prose")))


def test_roles_of_older_versions_of_aichat(tmp_path: Path) -> None:
    text = """
- name: shell
  prompt: |
    As a shell expert, convert: __INPUT__
- name: emoji
  prompt: convert to emojis
  model: openrouter:openai/gpt-4o
  temperature: 0
"""
    found = only(AICHAT, tmp_path, "roles.yaml", text)
    assert [one.name for one in found.templates] == ["shell", "emoji"]
    assert found.templates[0].template == "As a shell expert, convert: {input}"
    (model,) = found.models
    assert (model.source, model.params) == ("openrouter:openai/gpt-4o", {"temperature": 0})
    assert found.templates[1].model == model.name
    assert not artefacts(AICHAT, tmp_path, "people.yaml", "- {name: a, prompt: hello}")


def test_models_that_code_adds_to_continue(tmp_path: Path) -> None:
    text = """export function modifyConfig(config: Config): Config {
  config.models = [{ title: "Q", provider: "ollama", model: "qwen2.5-coder:14b" }];
  config.models.push({ title: who(), provider: "openai", model: "gpt-4o", apiKey: process.env.K });
  config.tabAutocompleteModel = { provider: "ollama", model: "starcoder2:15b" };
  return config;
}
"""
    found = only(CONTINUE, tmp_path, "config.ts", text)
    assert [one.source for one in found.models] == [
        "ollama:qwen2.5-coder:14b", "openai:gpt-4o"
    ]  # fmt: skip
    assert found.models[1].options["api_key_env"] == "K"
    assert not artefacts(CONTINUE, tmp_path, "a.ts", "config.models = [{provider: 'openai'}];")


@pytest.mark.parametrize(("name", "text", "kind"), [
    ("a.ini", "[a]\nhf = o/r:Q4\n", "llama-server-preset"),
    ("a.ini", "[a]\nhf-repo = o/r\n", "llama-server-preset"),
    ("a.ini", "[o/r:Q4]\nc = 5\n", "llama-server-preset"),
    ("presets", "[o/r:Q4]\nc = 5\n", "llama-server-preset"),
    ("io.datasette.llm/default_model.txt", "4o\n", "simonw-llm"),
    ("io.datasette.llm/aliases.json", '{"s": "4o"}', "simonw-llm"),
])  # fmt: skip
def test_files_of_few_words_are_found_in_a_folder(
    name: str, text: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    from llmrr.migrate.scanning import scan

    monkeypatch.chdir(tmp_path)
    Path("f", name).parent.mkdir(parents=True)
    Path("f", name).write_text(text)
    [found] = scan(["f"]).artefacts
    assert found.kind == kind
    assert [len(one.models) for one in scan([f"f/{name}"]).artefacts] == [1]
    assert len(found.models) == 1
