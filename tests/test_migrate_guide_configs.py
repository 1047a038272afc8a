"""Configuration files in the guide's shapes and in real ones: ``langchain.config.js``,
``openai.config.js``, ``local.config.js``, and a router's."""

import json
from pathlib import Path

import pytest

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.readers.guide import READER
from llmrr.migrate.scanning import scan

PLANTED = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"


def read(text: str, name: str = "some.js") -> list[Artefact]:
    document = Document(Path(name), text.encode())
    read_by = READER.of_data if name.endswith(".json") else READER.of_code
    assert read_by is not None
    return list(read_by(document))


def one(text: str, name: str = "some.js") -> Artefact:
    (found,) = read(text, name)
    return found


def codes(found: Artefact) -> list[str]:
    return [one.code for one in found.warnings]


LANGCHAIN = """
  models: [
    { modelName: 'gpt-3.5-turbo', provider: 'openai', temperature: 0.7, maxTokens: 1000 },
    { modelName: 'claude-instant-1', provider: 'anthropic', temperature: 0, maxTokens: 512 },
  ],
"""


@pytest.mark.parametrize(("text", "name"), [
    (f"export default {{ {LANGCHAIN} }};", "langchain.config.js"),
    (f"module.exports = {{ {LANGCHAIN} }};", "any.cjs"),
    (f"export const config = {{ {LANGCHAIN} }};", "any.mjs"),
    (f"const config: Config = {{ {LANGCHAIN} }};\nexport default config satisfies Config;", "a.ts"),
    (f"export default defineConfig({{ {LANGCHAIN} }});", "a.mts"),
    (f"export default {{ llm: {{ {LANGCHAIN} }} }};", "a.js"),
    (f"exports.models = ({{ {LANGCHAIN} }}).models;", "a.js"),
])  # fmt: skip
def test_langchains_config_in_the_guides_shape(text: str, name: str) -> None:
    found = one(text, name)
    assert found.kind == "langchain-config-js" and not found.warnings
    assert [(one.name, one.source, one.params) for one in found.models] == [
        ("gpt-3.5-turbo", "openai:gpt-3.5-turbo", {"temperature": 0.7, "max_tokens": 1000}),
        ("claude-instant-1", "anthropic:claude-instant-1", {"temperature": 0, "max_tokens": 512}),
    ]  # fmt: skip


def test_the_same_as_data() -> None:
    text = json.dumps({"models": [{"modelName": "gpt-4", "provider": "openai", "maxTokens": 5}]})
    assert one(text, "x.json").models[0].params == {"max_tokens": 5}


def test_what_a_config_says_of_all_its_models() -> None:
    found = one("""
        const shared = { temperature: 0.3 };
        module.exports = {
          strategy: 'quality-optimized',
          fallbackChain: ['smart', 'local-llama'],
          circuitBreaker: { failureThreshold: 4, resetTimeout: 30000 },
          caching: { enabled: true, ttl: 60 }, retries: 2, mystery: { a: 1 }, serverPort: 3000,
          providers: { openai: { apiKey: process.env.MY_KEY, baseURL: 'http://box:8000/v1' } },
          templates: { qa: 'Q: {question}', talk: { template: '{a}', model: 'smart' } },
          models: [
            { name: 'smart', modelName: 'gpt-4', provider: 'openai', priority: 1, weight: 0.7,
              ...shared, config: { maxTokens: 9, timeout: 30000 } },
            { name: 'local-llama', modelName: 'llama', provider: 'local',
              modelPath: './m/l.gguf', config: { contextSize: 2048, gpuLayers: 'max' } },
            { modelName: 'x', provider: 'watsonx' }, { modelName: 'off', provider: 'openai',
              enabled: false },
          ],
        };
    """)
    smart, local = found.models
    assert (smart.name, smart.source) == ("smart", "openai:gpt-4")
    assert (smart.priority, smart.weight) == (1, 0.7)
    assert smart.params == {"temperature": 0.3, "max_tokens": 9}
    assert smart.options == {
        "base_url": "http://box:8000/v1", "api_key_env": "MY_KEY", "timeout": 30,
    }  # fmt: skip
    assert (local.source, local.options) == (
        "file:./m/l.gguf", {"context_size": 2048, "gpu_layers": -1}
    )  # fmt: skip
    assert found.fallbacks == (("smart", "local-llama"),)
    assert found.settings == {
        "fallback_chain": ["smart", "local-llama"],
        "strategy": "quality-first", "breaker.failures": 4, "breaker.cooldown": 30,
        "cache.enabled": True, "cache.ttl": 60, "retry.attempts": 3,
    }  # fmt: skip
    assert [(one.name, one.model) for one in found.templates] == [("qa", None), ("talk", "smart")]
    assert sorted(codes(found)) == [
        "not-applied", "not-applied", "not-applied", "strategy", "unknown-provider",
    ]  # fmt: skip


@pytest.mark.parametrize(("entry", "source", "rest"), [
    ("source: 'huggingface:org/model', quantization: 'Q4_K_M'", "huggingface:org/model:Q4_K_M", {}),
    ("source: 'hf:org/model'", "huggingface:org/model", {}),
    ("source: 'local:./x.gguf'", "file:./x.gguf", {}),
    ("source: './x.gguf', format: 'gguf', engine: 'native'", "file:./x.gguf",
     {"format": "gguf", "engine": "llamacpp"}),
    ("source: 'groq/llama-3'", "groq:llama-3", {}),
    ("source: 'openai:gpt-4o'", "openai:gpt-4o", {}),
    ("source: 'openai:ft:gpt-4o:org'", "openai:ft:gpt-4o:org", {}),
    ("source: process.env.M || 'openai:gpt-4o'", "openai:gpt-4o", {}),
])  # fmt: skip
def test_a_routers_config(entry: str, source: str, rest: dict[str, str]) -> None:
    found = one(f"export default {{ models: [{{ name: 'a', {entry} }}] }}")
    (model,) = found.models
    assert found.kind == "custom" and found.confidence == 0.9
    assert (model.name, model.source) == ("a", source)
    assert {name: getattr(model, name) for name in rest} == rest


def test_a_mock_is_no_model() -> None:
    found = one("export default { models: [{ name: 'a', source: 'mock:x' }] }")
    assert not found.models and codes(found) == ["unsupported-source"]


@pytest.mark.parametrize("text", [
    "module.exports = { apiKey: process.env.OPENAI_API_KEY, model: 'gpt-3.5-turbo', "
    "temperature: 0.7 }",
    "export default { apiKey: process.env['OPENAI_API_KEY'], model: 'gpt-3.5-turbo', "
    "temperature: .7 }",
    "exports.apiKey = process.env.OPENAI_API_KEY; exports.model = 'gpt-3.5-turbo';"
    "exports.temperature = 0.7;",
    "export const openai = { apiKey: process.env.OPENAI_API_KEY!, modelName: 'gpt-3.5-turbo',"
    " defaults: { temperature: 0.7 } } as const;",
    "const c = { apiKey: process.env.OPENAI_API_KEY, model: process.env.M ?? 'gpt-3.5-turbo',"
    " options: { temperature: 0.7 } }; module.exports = Object.freeze(c);",
])  # fmt: skip
def test_openais_config_in_the_guides_shape(text: str) -> None:
    found = one(text, "openai.config.ts" if "export const" in text else "openai.config.js")
    (model,) = found.models
    assert found.kind == "openai-config-js"
    assert (model.name, model.source) == ("openai-default", "openai:gpt-3.5-turbo")
    assert model.params == {"temperature": 0.7}
    assert model.options == {"api_key_env": "OPENAI_API_KEY"}


def test_openais_config_as_data_and_with_several_models() -> None:
    text = {"apiKey": "${OPENAI_KEY}", "model": "gpt-4o", "maxTokens": 5, "timeout": 30000}
    (model,) = one(json.dumps(text), "x.json").models
    assert model.options == {"api_key_env": "OPENAI_KEY", "timeout": 30}
    found = one("""export default { apiKey: process.env.OPENAI_API_KEY, baseURL: 'http://h:1/v1',
        models: { chat: 'gpt-4o', small: 'gpt-4o-mini', embedding: 'text-embedding-3-small' } }""")
    assert [one.name for one in found.models] == ["gpt-4o", "gpt-4o-mini"]
    assert found.models[0].options["base_url"] == "http://h:1/v1"
    assert codes(found) == ["embedding-model"]


@pytest.mark.parametrize("text", [
    'const { Configuration, OpenAIApi } = require("openai");'
    "const configuration = new Configuration({ apiKey: process.env.OPENAI_KEY, organization: "
    "'o' });"
    "const openai = new OpenAIApi(configuration); module.exports = openai;",
    'import OpenAI from "openai"; export const openai = new OpenAI({ apiKey: '
    'process.env.OPENAI_KEY });',
    'const OpenAI = require("openai"); module.exports = { client: new OpenAI({apiKey: '
    'process.env.OPENAI_KEY}) }',
    'import { OpenAI } from "openai"; const c = new OpenAI({apiKey: process.env.OPENAI_KEY}); '
    'export default c',
    "module.exports = { apiKey: process.env.OPENAI_KEY }",
    "export const OPENAI_KEY = process.env.OPENAI_KEY",
])  # fmt: skip
def test_real_ones_name_a_key_and_no_model(text: str) -> None:
    found = one(text)
    assert found.kind == "openai-config-js" and not found.models
    (warning,) = found.warnings
    assert warning.code == "client-only" and "OPENAI_KEY" in warning.message
    assert "no model named" in warning.message


@pytest.mark.parametrize("text", [
    f'import OpenAI from "openai"; export default new OpenAI({{ apiKey: "{PLANTED}" }})',
    f"module.exports = {{ OPENAI_API_KEY: '{PLANTED}' }}",
    f"module.exports = {{ apiKey: '{PLANTED}', model: 'gpt-4' }}",
    f"module.exports = {{ apiKey: process.env.OPENAI_KEY || '{PLANTED}', model: 'gpt-4' }}",
    f"module.exports = {{ apiKey: pick('{PLANTED}'), model: 'gpt-4' }}",
    f"module.exports = {{ apiKey: x ? '{PLANTED}' : y, model: 'gpt-4' }}",
    f"export default {{ models: [{{ modelName: 'm', provider: 'openai', config: {{apiKey: "
    f"'{PLANTED}'}} }}] }}",
    f"export default {{ apiKey: '{PLANTED}', models: [{{ modelName: 'm', provider: 'openai' }}] }}",
    f"export default {{ providers: {{ openai: {{ apiKey: '{PLANTED}' }} }}, models: [{{ "
    f"modelName: 'm', provider: 'openai' }}] }}",
])  # fmt: skip
def test_no_key_leaves_its_file(text: str) -> None:
    found = one(text)
    assert PLANTED[4:] not in repr(found)
    assert {"secret-in-clear", "unresolved"} & set(codes(found))


def test_locals_config_in_the_guides_shape() -> None:
    found = one("""
        const path = require('path');
        const modelPath = './models/llama.gguf';
        module.exports = { modelPath, contextSize: 2048, gpuLayers: 33 };
    """)
    (model,) = found.models
    assert found.kind == "local-config-js" and not found.warnings
    assert (model.name, model.source) == ("llama", "file:./models/llama.gguf")
    assert model.options == {"context_size": 2048, "gpu_layers": 33}


def test_a_pickle_is_refused_in_the_guides_words() -> None:
    found = one("module.exports = { modelPath: './m/legacy-model.pkl', contextSize: 1 }")
    assert not found.models and found.error == "Unsupported model format '.pkl'"


def test_several_shapes_in_one_file() -> None:
    found = read("""module.exports = {
        openai: { apiKey: process.env.OPENAI_API_KEY, model: 'gpt-4o' },
        local: { modelPath: path.join(__dirname, 'm.gguf'), temperature: 0 },
    }""")
    assert [(one.kind, one.models[0].source) for one in found] == [
        ("openai-config-js", "openai:gpt-4o"), ("local-config-js", "file:./m.gguf"),
    ]  # fmt: skip


NEGATIVES = (
    # a build's, of langchainjs
    """import { resolve } from "node:path"; export const config = {
        internals: [/node:/, /@langchain\\/core/], entrypoints: { index: "index", chat: "chat" },
        tsConfigPath: resolve("./tsconfig.json"), cjsSource: "./dist-cjs", abs: f,
    };""",
    "export const config = { runtime: 'edge', regions: ['iad1'] };",
    "export default { content: ['./src/**'], theme: { extend: {} }, plugins: [] };",
    "module.exports = { apiKey: 'AIzaSyA1234567890', authDomain: 'x', projectId: 'y' };",
    "export default { modelPath: './models/car.glb', scale: 2 };",
    "module.exports = { models: [User, Post], database: 'x' };",
    "module.exports = { models: { user: 'User' }, apiKey: process.env.API_KEY };",
    "export const models = ['a', 'b'];", "export default { models: './app/models' };", "", "{",
    "export default { apiKey: process.env.STRIPE_KEY, model: 'subscription' };",
    "import OpenAI from 'openai'; const c = new OpenAI(); export const f = () => c.chat.completions"
    ".create({ model: 'gpt-4' });",
)


@pytest.mark.parametrize("text", NEGATIVES)
def test_other_configurations_are_none_of_these(text: str) -> None:
    assert read(text, "langchain.config.js") == []
    assert READER.forced is not None
    with pytest.raises(DamagedFile, match="configures no language model"):
        list(READER.forced(Document(Path("langchain.config.js"), text.encode())))


@pytest.mark.parametrize("text", [
    '{"models": [{"title": "GPT", "provider": "openai", "model": "gpt-4"}]}',
    '{"model_list": [{"model_name": "a", "litellm_params": {"model": "openai/gpt-4"}}]}',
    '{"api_key": "", "model": "gemini-2.0-flash"}', '{"name": "p", "dependencies": {}}', "[1, 2]",
    '{"models": [{"name": "a", "path": "/m/a", "size": 1}], "responses": []}', '"text"', "[]",
    '{"models": [{"name": "x", "provider": "openai", "model": "m"}], "schema": "v1"}',
])  # fmt: skip
def test_data_of_other_tools_is_none_of_these(text: str) -> None:
    assert read(text, "config.json") == []


def test_an_exported_client_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "openai.config.js"
    file.write_text('import OpenAI from "openai"; export default new OpenAI();')
    (found,) = scan([file]).artefacts
    assert (found.kind, codes(found)) == ("openai-config-js", ["client-only"])


@pytest.mark.parametrize("text", [
    'import { ChatOpenAI } from "@langchain/openai";\n'
    'export const llm = new ChatOpenAI({ modelName: "gpt-4o", temperature: 0.7 });\n',
    'const { OpenAI } = require("llamaindex");\n'
    'module.exports = { llm: new OpenAI({ model: "gpt-4o", temperature: 0.1 }) };\n',
])  # fmt: skip
def test_what_another_library_makes_is_its_readers(text: str) -> None:
    assert read(text) == []


def test_what_the_router_of_the_guide_makes_is_read() -> None:
    text = (
        'import { LLMRouter } from "llm-runner-router";\n'
        'export default new LLMRouter({ strategy: "balanced", models: [{ id: "a", source: '
        '"openai:gpt-4o", temperature: 0.5 }] });\n'
    )
    found = one(text)
    assert [one.source for one in found.models] == ["openai:gpt-4o"]


def test_words_of_the_guide_for_engines_and_formats_are_said() -> None:
    found = one("""export default { models: [
      { name: 'a', source: 'huggingface:o/r', engine: 'native', format: 'huggingface' },
      { name: 'b', source: 'file:./b.gguf', engine: 'auto', format: 'gguf' },
      { name: 'c', source: 'openai:gpt-4o', engine: 'native', format: 'huggingface' } ] }""")
    assert [(each.engine, each.format) for each in found.models] == [
        ("llamacpp", None), (None, "gguf"), (None, None)
    ]  # fmt: skip
    assert [(each.code, each.where.partition(" ")[2]) for each in found.warnings] == [
        ("not-applied", "models[0].engine"), ("not-applied", "models[0].format"),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [
    ("a.ini", f"[llm]\nmodel=gpt-4o\napi_key={PLANTED}\n"),
    ("a.toml", f"[llm]\nmodel = 'gpt-4o'\napi_key = '{PLANTED}'\n"),
    ("a.yaml", "model: gpt-4o\nopenai_api_base: http://localhost:8080/v1\ntemperature: 0.5\n"),
])  # fmt: skip
def test_settings_of_other_programs_are_not_openais_for_javascript(
    name: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    [found] = scan([tmp_path]).artefacts
    assert (found.kind, [each.name for each in found.models]) == ("custom", ["gpt-4o"])
