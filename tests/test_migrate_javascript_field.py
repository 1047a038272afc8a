"""JavaScript and TypeScript as it is found in repositories: files that import each other, packages
from a CDN, clients made elsewhere, requests without a library, components."""

from pathlib import Path

import pytest

from llmrr.errors import DamagedFile
from llmrr.migrate.artefact import Artefact, Model
from llmrr.migrate.javascript import evaluate
from llmrr.migrate.javascript.grammar import LARGEST
from llmrr.migrate.scanning import scan

ASK = "client.chat.completions.create({ model: 'gpt-4o', messages: [] });\n"


def found(folder: Path, files: dict[str, str]) -> list[Artefact]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return list(scan([folder]).found)


def models(folder: Path, files: dict[str, str]) -> list[Model]:
    return [model for one in found(folder, files) for model in one.models]


def sources(folder: Path, text: str, name: str = "app.ts") -> list[str]:
    return [one.source for one in models(folder, {name: text})]


# -- files that import each other ------------------------------------------------------------------

USE = ("import OpenAI from 'openai';\n{}\n"
       "new OpenAI().chat.completions.create({{ model: {}, messages: [] }});\n")  # fmt: skip


@pytest.mark.parametrize(("line", "name", "file", "text"), [
    ("import { M } from './consts';", "M", "lib/consts.ts", "export const M = 'a1';"),
    ("import { M } from './consts.js';", "M", "lib/consts.ts", "export const M = 'a1';"),
    ("import * as c from '../c.js';", "c.M", "c.js", "exports.M = 'a1';"),
    ("import c from '@/config';", "c.llm.model", "src/config/index.ts",
     "export default { llm: { model: 'a1' } };"),
    ("const c = require('./c');", "c.model", "lib/c.js", "module.exports = { model: 'a1' };"),
    ("const { model } = require('./c');", "model", "lib/c.js", "module.exports = { model: 'a1' };"),
    ("import c from './c.json';", "c.model", "lib/c.json", '{"model": "a1"}'),
    ("import { M } from './c';\nconst all = { ...M };", "all.model", "lib/c.ts",
     "export const M = { model: 'a1' } as const;"),
    ("import { M } from './c';", "`${M.a}1`", "lib/c.ts", "export const M = { a: 'a' };"),
])  # fmt: skip
def test_a_constant_of_a_sibling(
    line: str, name: str, file: str, text: str, tmp_path: Path
) -> None:
    seen = found(tmp_path, {"lib/app.ts": USE.format(line, name), file: text})
    [app] = [one for one in seen if one.path.name == "app.ts"]
    assert [one.source for one in app.models] == ["openai:a1"]


@pytest.mark.parametrize(("line", "name", "file", "text"), [
    ("import { M } from './c';", "M", "lib/c.ts", "export const M = load();"),
    ("import { M } from './c';", "M", "lib/c.ts", "export let M = 'a'; M = 'b';"),
    ("import { M } from '../../out';", "M", "../out.ts", "export const M = 'a1';"),
    ("import { M } from './app';", "M", "lib/other.ts", "export const M = 'a1';"),
    ("import { M } from './c';", "M", "lib/c.ts", "export { M } from './d';"),
])  # fmt: skip
def test_what_a_sibling_does_not_say(
    line: str, name: str, file: str, text: str, tmp_path: Path
) -> None:
    top = tmp_path / "top"
    seen = found(top, {"lib/app.ts": USE.format(line, name), file: text})
    [app] = [one for one in seen if one.path.name == "app.ts"]
    assert not app.models and [one.code for one in app.warnings] == ["unresolved"]


# -- defaults --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "const model = body.model || 'gpt-4o';", "const model = a ?? b ?? 'gpt-4o';",
    "const model = settings.get('model', 'gpt-4o');",
])  # fmt: skip
def test_what_holds_unless_stated(text: str, tmp_path: Path) -> None:
    [one] = found(tmp_path, {"a.ts": USE.format(text, "model")})
    assert [model.source for model in one.models] == ["openai:gpt-4o"]
    assert [notice.code for notice in one.warnings] == ["default-argument"]


@pytest.mark.parametrize("head", [
    "function f(q, model = 'gpt-4o')", "const f = async ({ q, model = 'gpt-4o' } = {}) =>",
    "function f(q: string, model: string = 'gpt-4o')",
])  # fmt: skip
def test_the_default_of_a_parameter(head: str, tmp_path: Path) -> None:
    text = f"import OpenAI from 'openai';\nconst client = new OpenAI();\n{head} {{\n{ASK}}}\n"
    text = text.replace("model: 'gpt-4o', m", "model, m")
    assert sources(tmp_path, text) == ["openai:gpt-4o"]


# -- where packages and clients come from ----------------------------------------------------------


@pytest.mark.parametrize("module", [
    "npm:openai@4.20.1", "npm:openai", "https://esm.sh/openai@4", "https://esm.sh/openai@4?dts",
    "https://deno.land/x/openai@v4.24.0/mod.ts", "https://cdn.jsdelivr.net/npm/openai@4/+esm",
    "https://cdn.skypack.dev/openai", "https://unpkg.com/openai@4/index.mjs",
])  # fmt: skip
def test_a_package_from_elsewhere(module: str, tmp_path: Path) -> None:
    text = (f"import OpenAI from '{module}';\n"
            "const client = new OpenAI({ apiKey: Deno.env.get('K') });\n")  # fmt: skip
    [one] = models(tmp_path, {"a.ts": text + ASK})
    assert (one.source, one.options) == ("openai:gpt-4o", {"api_key_env": "K"})


def test_a_client_that_a_function_gives(tmp_path: Path) -> None:
    text = ("import OpenAI from 'openai';\nimport { make } from './x';\n"
            "const client = await make();\n")  # fmt: skip
    assert sources(tmp_path, text + ASK) == ["openai:gpt-4o"]
    claude = ("import Anthropic from '@anthropic-ai/sdk';\nconst c = await get();\n"
              "c.messages.create({ model: 'claude-1', messages: [] });\n")  # fmt: skip
    assert sources(tmp_path / "b", claude) == ["anthropic:claude-1"]


def test_an_object_is_this_to_its_methods(tmp_path: Path) -> None:
    text = ("const ai = {\n  MODEL: 'org/m',\n  async load() {\n"
            "    const { pipeline } = await import('@huggingface/transformers');\n"
            "    return pipeline('text-generation', this.MODEL);\n  },\n};\n")  # fmt: skip
    assert sources(tmp_path, text) == ["huggingface:org/m"]


def test_a_model_for_embeddings_does_not_answer(tmp_path: Path) -> None:
    text = ("import { GoogleGenerativeAI } from '@google/generative-ai';\n"
            "const ai = new GoogleGenerativeAI(process.env.K);\n"
            "ai.getGenerativeModel({ model: 'embedding-001' }).embedContent('x');\n")  # fmt: skip
    assert sources(tmp_path, text) == []


# -- requests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "text", "source", "options"), [
    ("a.ts", "await fetch('https://api.openai.com/v1/chat/completions', { method: 'POST',\n"
     "  headers: { Authorization: `Bearer ${process.env.MY_KEY}` },\n"
     "  body: JSON.stringify({ model: 'm1', messages: [], temperature: 0.5 }) });",
     "openai:m1", {"api_key_env": "MY_KEY"}),
    ("a.js", "axios.post('http://box:8000/v1/chat/completions', { model: 'm1', temperature: 0.5,\n"
     "  messages: [] }, { timeout: 9000 });", "openai:m1",
     {"base_url": "http://box:8000/v1"}),
    ("a.js", "const gpt = fetch('http://localhost:11434/api/generate', { body: JSON.stringify({\n"
     "  model: 'm1', prompt: 'x', options: { temperature: 0.5 } }) });", "ollama:m1", {}),
    ("a.js", "fetch('https://api.anthropic.com/v1/messages', { headers: { 'x-api-key': k },\n"
     "  body: JSON.stringify({ model: 'm1', temperature: 0.5, messages: [] }) });",
     "anthropic:m1", {}),
    ("a.py", "import requests\nrequests.post('https://api.openai.com/v1/chat/completions',\n"
     "    json={'model': 'm1', 'messages': [], 'temperature': 0.5})\n", "openai:m1", {}),
])  # fmt: skip
def test_a_request_by_hand(
    name: str, text: str, source: str, options: dict[str, str], tmp_path: Path
) -> None:
    [one] = models(tmp_path, {name: text})
    assert (one.source, one.params, one.options) == (source, {"temperature": 0.5}, options)


@pytest.mark.parametrize("text", [
    "fetch('/api/chat', { body: JSON.stringify({ model: 'gpt-4o', messages: [] }) })",
    "fetch('https://api.openai.com/v1/models'); const gpt = 1",
])  # fmt: skip
def test_a_request_to_something_else(text: str, tmp_path: Path) -> None:
    assert sources(tmp_path, text) == []


# -- components ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "text", "line"), [
    ("a.vue", "<template>\n<b>ü</b>\n</template>\n<script setup lang=\"ts\">\n{}</script>\n", 6),
    ("a.svelte", "<script context=\"module\">\nconst a = 1;\n</script>\n<script>{}</script>\n", 5),
    ("a.astro", "---\n{}---\n<html/>\n", 3),
])  # fmt: skip
def test_a_component(name: str, text: str, line: int, tmp_path: Path) -> None:
    code = f"import OpenAI from 'openai'; const client = new OpenAI();\n{ASK}"
    [one] = models(tmp_path, {name: text.replace("{}", code)})
    assert (one.source, one.call_sites) == ("openai:gpt-4o", [line])


def test_a_component_without_a_script(tmp_path: Path) -> None:
    assert found(tmp_path, {"a.vue": "<template>openai gpt-4o</template><script", "b.astro": "---\n"
                            "openai"}) == []  # fmt: skip


# -- configurations --------------------------------------------------------------------------------


def test_openai_config_is_one_artefact(tmp_path: Path) -> None:
    text = ("export const config = { apiKey: process.env.OPENAI_API_KEY, model: 'gpt-4o',\n"
            "  temperature: 0.7, timeout: 30 };\nexport default config;\n")  # fmt: skip
    [one] = found(tmp_path, {"openai.config.js": text})
    assert one.kind == "openai-config-js"
    [model] = one.models
    assert (model.name, model.options["timeout"]) == ("openai-default", 30)


@pytest.mark.parametrize(("stated", "seconds"), [
    ("timeout: 60", 60), ("timeout: 60000", 60), ("config: { timeout: 500 }", 0.5),
])  # fmt: skip
def test_the_figure_of_a_timeout_tells_its_unit(
    stated: str, seconds: float, tmp_path: Path
) -> None:
    text = f"export default {{ models: [{{ name: 'a', source: 'openai:gpt-4o', {stated} }}] }};"
    [one] = models(tmp_path, {"router.config.ts": text})
    assert one.options["timeout"] == seconds


# -- bounds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "<% if (x) { %> const a = <%= foo %>; <% } %>\n" * 3_000,  # many readings at once
    "the quick brown fox jumps\n" * 8_000, "const a = 1;\n" * (LARGEST // 12),
])  # fmt: skip
def test_what_is_not_parsed_does_not_depend_on_the_clock(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for clock in ("thread_time", "monotonic", "perf_counter", "time"):
        monkeypatch.setattr(f"time.{clock}", lambda: 0.0)
    with pytest.raises(DamagedFile):
        evaluate(text, Path("a.ts"), "tsx")


def test_long_code_with_a_mistake_is_read() -> None:
    text = "const a = f(b, {c: 1});\n" * 4_000 + "const @ = 5 ) ;\n" + "const m = 'x';\n"
    assert evaluate(text, Path("a.ts"), "typescript").names["m"] == "x"
