"""Code that asks OpenAI, or another provider, through its library: both languages, every
generation."""

import json
from pathlib import Path
from typing import Any

import pytest
from terminal import Typed

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import openai_code
from llmrr.migrate.scanning import scan

KEY = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"


def read(text: str, name: str = "app.py") -> list[Artefact]:
    return list(openai_code.of_code(Document(Path(name), text.encode())))


def one(text: str, name: str = "app.py") -> Artefact:
    found = read(text, name)
    assert len(found) == 1, found
    return found[0]


def model(text: str, name: str = "app.py") -> dict[str, Any]:
    """The one model of a file, without its places."""
    found = [m for artefact in read(text, name) for m in artefact.models]
    assert len(found) == 1, found
    return {"source": found[0].source, **found[0].params, **found[0].options}


def codes(found: Artefact) -> list[str]:
    return [notice.code for notice in found.warnings]


PYTHON = [
    # 0.x
    ("import openai, os\nopenai.api_key = os.getenv('MY_KEY')\n"
     "openai.ChatCompletion.create(model='gpt-3.5-turbo', messages=m, temperature=0.7, n=1)",
     {"source": "openai:gpt-3.5-turbo", "temperature": 0.7, "api_key_env": "MY_KEY"}),
    ("import openai as ai\nai.api_base = 'http://box:8000/v1'\nai.api_key = 'EMPTY'\n"
     "async def f():\n    await ai.ChatCompletion.acreate(model='vicuna', messages=m,"
     " max_tokens=5)",
     {"source": "openai:vicuna", "max_tokens": 5, "base_url": "http://box:8000/v1"}),
    ("import openai\nopenai.Completion.create(engine='text-davinci-003', prompt='x', stop=['a'],"
     " best_of=1, frequency_penalty=0, presence_penalty=0.5)",
     {"source": "openai:text-davinci-003", "stop": ["a"], "presence_penalty": 0.5}),
    ("import openai\nopenai.api_type = 'azure'\nopenai.api_base = 'https://x.openai.azure.com/'\n"
     "openai.api_version = '2023-05-15'\n"
     "openai.ChatCompletion.create(deployment_id='dep', messages=m)",
     {"source": "azure:dep", "base_url": "https://x.openai.azure.com/",
      "api_version": "2023-05-15"}),
    # 1.x and after
    ("import openai\nopenai.chat.completions.create(model='gpt-4o', messages=m)",
     {"source": "openai:gpt-4o"}),
    ("from openai import OpenAI\nimport os, httpx\nclient = OpenAI(api_key=os.environ['K'],"
     " organization='org-a', timeout=httpx.Timeout(60.0, connect=5.0), max_retries=5)\n"
     "client.chat.completions.create(model='gpt-4o', messages=m, max_completion_tokens=9,"
     " stop='E')",
     {"source": "openai:gpt-4o", "api_key_env": "K", "organization": "org-a", "timeout": 60.0,
      "max_retries": 5, "max_tokens": 9, "stop": ["E"]}),
    ("from openai import AsyncOpenAI\nasync def f():\n    async with AsyncOpenAI() as c:\n"
     "        await c.responses.create(model='gpt-4.1', input='x', max_output_tokens=3)",
     {"source": "openai:gpt-4.1", "max_tokens": 3}),
    ("from openai import OpenAI\nc = OpenAI()\nwith c.beta.chat.completions.stream(model='m',"
     " messages=[], top_p=0.5, seed=1) as s:\n    pass",
     {"source": "openai:m", "top_p": 0.5, "seed": 1}),
    ("from openai import OpenAI\nOpenAI().with_options(timeout=5).chat.completions."
     "with_raw_response.create(model='m', messages=[])", {"source": "openai:m", "timeout": 5}),
    ("from openai import OpenAI\nc = OpenAI()\nc.beta.assistants.create(model='gpt-4o',"
     " instructions='Be kind.', name='x')", {"source": "openai:gpt-4o", "system": "Be kind."}),
    ("from openai import AzureOpenAI\nc = AzureOpenAI(azure_endpoint='https://x.openai.azure.com',"
     " api_version='2024-02-01', azure_deployment='dep')\n"
     "c.chat.completions.create(model='gpt-4o', messages=m)",
     {"source": "azure:dep", "base_url": "https://x.openai.azure.com",
      "api_version": "2024-02-01"}),
    # the same client, elsewhere
    ("from openai import OpenAI\nc = OpenAI(base_url='https://api.deepseek.com', api_key='x')\n"
     "c.chat.completions.create(model='deepseek-chat', messages=m)",
     {"source": "openai:deepseek-chat", "base_url": "https://api.deepseek.com"}),
    ("from openai import OpenAI\n"
     "c = OpenAI(base_url='http://localhost:1234/v1', api_key='lm-studio')"
     "\nc.chat.completions.create(model='q', messages=m, extra_body={'top_k': 5})",
     {"source": "openai:q", "base_url": "http://localhost:1234/v1", "top_k": 5}),
    ("import os\nfrom openai import OpenAI\nos.environ['OPENAI_BASE_URL'] = 'http://box/v1'\n"
     "OpenAI().chat.completions.create(model='q', messages=m)",
     {"source": "openai:q", "base_url": "http://box/v1"}),
    # wrapped
    ("import instructor\nfrom openai import OpenAI\nc = instructor.from_openai(OpenAI())\n"
     "c.chat.completions.create(model='m', response_model=U, messages=[], max_retries=2)",
     {"source": "openai:m"}),
    ("import instructor\nc = instructor.from_provider('groq/llama3')\n"
     "c.chat.completions.create(response_model=U, messages=[])", {"source": "groq:llama3"}),
    ("from langfuse.openai import OpenAI\nOpenAI().chat.completions.create(model='m', messages=[])",
     {"source": "openai:m"}),
    # known without running
    ("from openai import OpenAI\nARGS = {'model': 'm', 'temperature': 0.1}\n"
     "OpenAI().chat.completions.create(messages=[], **ARGS)",
     {"source": "openai:m", "temperature": 0.1}),
    # others
    ("from anthropic import Anthropic\nc = Anthropic()\nc.messages.create(model='claude-3-opus',"
     " max_tokens=5, system='Be brief.', messages=m, stop_sequences=['x'])",
     {"source": "anthropic:claude-3-opus", "max_tokens": 5, "system": "Be brief.", "stop": ["x"]}),
    ("from google import genai\nfrom google.genai import types\nc = genai.Client(api_key=K)\n"
     "c.models.generate_content(model='gemini-2.0-flash', contents=q, config=types."
     "GenerateContentConfig(system_instruction='Cat.', temperature=0.1, max_output_tokens=4))",
     {"source": "google:gemini-2.0-flash", "system": "Cat.", "temperature": 0.1, "max_tokens": 4}),
    ("import google.generativeai as genai\nm = genai.GenerativeModel('models/gemini-pro')\n"
     "m.generate_content(q)", {"source": "google:gemini-pro"}),
    ("import cohere\nco = cohere.Client('x')\nco.chat(model='command-r', message=q, p=0.5)",
     {"source": "cohere:command-r", "top_p": 0.5}),
    ("from mistralai import Mistral\nc = Mistral(api_key=os.environ['MISTRAL_API_KEY'])\n"
     "c.chat.complete(model='mistral-small', messages=m, random_seed=3)",
     {"source": "mistral:mistral-small", "seed": 3}),
    ("import os, json, requests\nK = os.environ['OR_KEY']\nrequests.post('https://openrouter.ai/api/"
     "v1/chat/completions', headers={'Authorization': f'Bearer {K}'}, data=json.dumps({'model': "
     "'o/m', 'messages': [{'role': 'system', 'content': 'S'}], 'temperature': 1}))",
     {"source": "openai:o/m", "base_url": "https://openrouter.ai/api/v1", "system": "S",
      "api_key_env": "OR_KEY", "temperature": 1}),
    ("import os, requests\nU = os.getenv('U', 'http://box:11434')\nrequests.post(f'{U}/api/chat', "
     "json={'model': 'llama3', 'messages': m, 'options': {'num_ctx': 9}}, timeout=3)",
     {"source": "ollama:llama3", "base_url": "http://box:11434", "context_size": 9}),
    ("import requests\nrequests.post('https://api.openai.com/v1/completions', json={'model': 'm', "
     "'prompt': 'x', 'max_tokens': 5})", {"source": "openai:m", "max_tokens": 5}),
    ("from groq import Groq\nGroq().chat.completions.create(model='llama3-8b', messages=m)",
     {"source": "groq:llama3-8b"}),
    ("import ollama\nollama.chat(model='llama3:8b', messages=m, options={'num_ctx': 8192})",
     {"source": "ollama:llama3:8b", "context_size": 8192}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), PYTHON)
def test_python(text: str, expected: dict[str, Any]) -> None:
    found = model(text)
    assert {k: found.get(k) for k in expected} == expected
    assert set(found) - set(expected) <= {"api_key_env"}


@pytest.mark.parametrize(("client", "key"), [
    ("OpenAI(base_url='http://box:8000/v1')", "OPENAI_API_KEY"),
    ("OpenAI(base_url='http://box:8000/v1', api_key=None)", "OPENAI_API_KEY"),
    ("OpenAI(base_url='http://box:8000/v1', api_key='EMPTY')", None),
    ("OpenAI(base_url='http://box:8000/v1', api_key=os.environ['K'])", "K"),
    ("OpenAI(base_url='http://box:8000/v1', api_key=secret())", None),
    ("OpenAI()", None),
    ("AzureOpenAI(azure_endpoint='https://x.openai.azure.com')", "AZURE_OPENAI_API_KEY"),
    ("AzureOpenAI(azure_endpoint='https://x.openai.azure.com', azure_ad_token_provider=t)", None),
])  # fmt: skip
def test_the_key_that_the_library_takes_itself_at_another_address(
    client: str, key: str | None
) -> None:
    text = f"import os\nfrom openai import AzureOpenAI, OpenAI\nc = {client}\n"
    assert model(f"{text}c.chat.completions.create(model='gpt-4o', messages=m)").get(
        "api_key_env") == key  # fmt: skip


JAVASCRIPT = [
    ("const { Configuration, OpenAIApi } = require('openai');\nconst openai = new OpenAIApi(new "
     "Configuration({ apiKey: process.env.OPENAI_KEY }));\nopenai.createChatCompletion({ model: "
     "'gpt-3.5-turbo', messages: [], max_tokens: 5 });",
     {"source": "openai:gpt-3.5-turbo", "max_tokens": 5, "api_key_env": "OPENAI_KEY"}),
    ("import { Configuration, OpenAIApi } from 'openai';\nconst c = new Configuration({ basePath:"
     " 'http://box/v1' });\nconst o = new OpenAIApi(c);\no.createCompletion({ model: 'm', prompt: "
     "'x', temperature: 0 });", {"source": "openai:m", "base_url": "http://box/v1",
                                 "temperature": 0}),
    ("import OpenAI from 'openai';\nconst o = new OpenAI({ timeout: 20 * 1000, maxRetries: 3 });\n"
     "await o.chat.completions.create({ model: 'gpt-4o', messages: [], stop: 'E', stream: true });",
     {"source": "openai:gpt-4o", "timeout": 20, "max_retries": 3, "stop": ["E"]}),
    ("const OpenAI = require('openai');\nconst o = new OpenAI();\n"
     "o.responses.create({ model: 'gpt-4o', input: 'x', instructions: 'Be brief.' });",
     {"source": "openai:gpt-4o", "system": "Be brief."}),
    ("import OpenAI from 'openai';\nclass A { constructor() { this.o = new OpenAI({ baseURL: "
     "'https://openrouter.ai/api/v1' }); }\n"
     " ask() { return this.o.chat.completions.create({ model: "
     "'meta-llama/x:free', messages: [] }); } }",
     {"source": "openai:meta-llama/x:free", "base_url": "https://openrouter.ai/api/v1",
      "api_key_env": "OPENAI_API_KEY"}),
    ("import { AzureOpenAI } from 'openai';\nconst a = new AzureOpenAI({ endpoint: "
     "'https://x.openai.azure.com', apiVersion: '2024-10-21' });\n"
     "a.chat.completions.create({ model:"
     " 'dep', messages: [] });", {"source": "azure:dep", "base_url": "https://x.openai.azure.com",
                                  "api_version": "2024-10-21",
                                  "api_key_env": "AZURE_OPENAI_API_KEY"}),
    ("import OpenAI from 'openai';\nconst a = new OpenAI({ baseURL: 'https://x.openai.azure.com/"
     "openai/deployments/dep', defaultQuery: { 'api-version': '2023-05-15' } });\n"
     "a.chat.completions.create({ model: 'gpt-4', messages: [] });",
     {"source": "azure:dep", "base_url": "https://x.openai.azure.com",
      "api_version": "2023-05-15"}),
    ("import { OpenAIClient, AzureKeyCredential } from '@azure/openai';\n"
     "const c = new OpenAIClient("
     "'https://x.openai.azure.com', new AzureKeyCredential(process.env.K));\n"
     "c.getChatCompletions('dep', [], { maxTokens: 7 });",
     {"source": "azure:dep", "base_url": "https://x.openai.azure.com", "max_tokens": 7,
      "api_key_env": "K"}),
    ("import { openai } from '@ai-sdk/openai';\nimport { generateText } from 'ai';\n"
     "await generateText({ model: openai('gpt-4o'), system: 'Be brief.', prompt: 'x', maxTokens: 9,"
     " topP: 0.5 });",
     {"source": "openai:gpt-4o", "system": "Be brief.", "max_tokens": 9, "top_p": 0.5}),
    ("import { createOpenAI } from '@ai-sdk/openai';\nimport { streamText } from 'ai';\nconst g = "
     "createOpenAI({ baseURL: 'https://api.groq.com/openai/v1', apiKey: process.env.GROQ });\n"
     "streamText({ model: g('llama'), messages });",
     {"source": "openai:llama", "base_url": "https://api.groq.com/openai/v1",
      "api_key_env": "GROQ"}),
    ("import { streamText } from 'ai';\nstreamText({ model: 'anthropic/claude-x', messages });",
     {"source": "anthropic:claude-x"}),
    ("import { google } from '@ai-sdk/google';\nexport const model = google('gemini-pro');",
     {"source": "google:gemini-pro"}),
    ("import Anthropic from '@anthropic-ai/sdk';\nconst a = new Anthropic({ apiKey: process.env.A "
     "});\na.messages.create({ model: 'claude-x', max_tokens: 5, messages: [] });",
     {"source": "anthropic:claude-x", "max_tokens": 5, "api_key_env": "A"}),
    ("import { GoogleGenerativeAI } from '@google/generative-ai';\n"
     "const g = new GoogleGenerativeAI("
     "process.env.G);\nconst m = g.getGenerativeModel({ model: 'gemini-pro', generationConfig: { "
     "maxOutputTokens: 5 } });\nawait m.generateContent(q);",
     {"source": "google:gemini-pro", "max_tokens": 5, "api_key_env": "G"}),
    ("import ollama from 'ollama';\nawait ollama.chat({ model: 'llama3', messages: [] });",
     {"source": "ollama:llama3"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), JAVASCRIPT)
@pytest.mark.parametrize("suffix", ["js", "ts"])
def test_javascript(text: str, expected: dict[str, Any], suffix: str) -> None:
    assert model(text, f"app.{suffix}") == expected


def test_what_is_another_providers_is_custom_and_no_guess() -> None:
    found = one("import anthropic\nanthropic.Anthropic().messages.create(model='c', max_tokens=1)")
    assert (found.kind, found.confidence) == ("custom", None)
    assert one("import openai\nopenai.chat.completions.create(model='m')").kind == "openai-code"


def test_one_model_for_the_same_settings_with_its_lines() -> None:
    found = one(
        "from openai import OpenAI\nc = OpenAI()\n"
        "c.chat.completions.create(model='m', messages=[], temperature=0)\n"
        "c.chat.completions.create(model='m', messages=[], temperature=0, stream=True)\n"
        "c.chat.completions.create(model='m', messages=[], temperature=1)\n"
    )
    assert [(m.name, m.params, m.call_sites) for m in found.models] == [
        ("m", {"temperature": 0}, [3, 4]), ("m-2", {"temperature": 1}, [5]),
    ]  # fmt: skip


@pytest.mark.parametrize(("call", "code"), [
    ("embeddings.create(model='text-embedding-3-small', input='x')", "embedding-model"),
    ("images.generate(model='dall-e-3', prompt='x')", "other-role"),
    ("audio.transcriptions.create(model='whisper-1', file=f)", "other-role"),
    ("moderations.create(input='x')", "other-role"),
    ("chat.completions.create(messages=[])", "no-model"),
    ("chat.completions.create(messages=[], **kwargs)", "unresolved"),
    ("chat.completions.create(model=model, messages=[])", "unresolved"),
    ("chat.completions.create(model=os.getenv('M'), messages=[])", "unresolved"),
    ("chat.completions.create(model=a if b else c, messages=[])", "unresolved"),
    ("chat.completions.create(model='', messages=[])", "no-model"),
    ("files.list()", "client-only"),
])  # fmt: skip
def test_what_is_no_model_is_told_and_not_invented(call: str, code: str) -> None:
    found = one(f"import os\nfrom openai import OpenAI\nc = OpenAI()\nc.{call}")
    assert found.models == () and code in codes(found)
    assert all(notice.where.startswith("app.py:") for notice in found.warnings)


@pytest.mark.parametrize(("argument", "code"), [
    ("tools=[t]", "tools"), ("response_format={'type': 'json_object'}", "tools"),
    ("logit_bias={1: 2}",
    "unmapped-parameter"), ("n=3", "unmapped-parameter"), ("temperature=t", "unresolved"),
    ("temperature='hot'", "wrong-type"), ("**more", "unresolved"), ("reasoning_effort='low'",
    "unmapped-parameter"),
])  # fmt: skip
def test_what_is_not_carried_is_told(argument: str, code: str) -> None:
    found = one(f"import openai\nopenai.chat.completions.create(model='m', {argument})")
    assert [m.source for m in found.models] == ["openai:m"] and codes(found) == [code]


@pytest.mark.parametrize("argument", [
    "stream=True", "n=1", "user='u'", "response_format={'type': 'text'}", "presence_penalty=0",
    "temperature=None", "stop=None", "tools=[]", "logit_bias={}", "store=True",
])  # fmt: skip
def test_noise_is_dropped(argument: str) -> None:
    found = one(f"import openai\nopenai.chat.completions.create(model='m', {argument})")
    assert found.warnings == () and found.models[0].params == {}


def test_a_default_of_the_environment_is_taken_and_told() -> None:
    found = one("import os, openai\nopenai.chat.completions.create(model=os.getenv('M', 'gpt-4'))")
    assert found.models[0].source == "openai:gpt-4" and codes(found) == ["env-default"]


def test_addresses() -> None:
    ask = "c.chat.completions.create(model='llama3', messages=[])"
    text = f"import os\nfrom openai import OpenAI\nc = OpenAI(base_url=%s)\n{ask}"
    ollama = one(text % "'http://localhost:11434/v1'")
    assert ollama.models[0].options["base_url"] == "http://localhost:11434/v1"
    assert codes(ollama) == ["ollama-server"] and "ollama:llama3" in ollama.warnings[0].message
    assert codes(one(text % "os.environ['X']")) == ["base-url-default"]
    assert codes(one(text % "f(x)")) == ["unresolved", "base-url-default"]
    own = one(text % "os.getenv('OPENAI_BASE_URL')")
    assert own.warnings == () and own.models[0].options == {}
    other = one(f"from .client import c\n{ask}")
    assert codes(other) == ["base-url-default"] and other.models[0].source == "openai:llama3"


# Prompts


def ask(*calls: str, before: str = "") -> Artefact:
    return one(f"from openai import OpenAI\nc = OpenAI()\n{before}\n" + "\n".join(calls))


SYSTEM = "{'role': 'system', 'content': 'Be brief.'}"
CREATE = "c.chat.completions.create(model='m', messages=[%s])"


def test_a_system_prompt_that_all_calls_share_is_the_models() -> None:
    call = CREATE % f"{SYSTEM}, {{'role': 'user', 'content': q}}"
    found = ask(call, call)
    assert found.models[0].params == {"system": "Be brief."} and found.templates == ()


def test_system_prompts_that_differ_are_templates() -> None:
    found = ask(
        "def kind(q):", "    " + CREATE % f"{SYSTEM}, {{'role': 'user', 'content': q}}",
        "def plain(q):", "    " + CREATE % "{'role': 'user', 'content': q}",
    )  # fmt: skip
    assert found.models[0].params == {}
    assert [(t.name, t.messages, t.model) for t in found.templates] == [
        ("kind", (("system", "Be brief."), ("user", "{q}")), "m"),
    ]


def test_texts_with_holes_are_templates_of_their_function() -> None:
    found = ask(
        "def summarize(text):", "    prompt = f'Sum up {{}} of: {text}'",
        "    return " + CREATE % "{'role': 'user', 'content': prompt}",
        "def translate(text, language):",
        "    said = 'To %s: ' % language + text",
        "    return " + CREATE % f"{SYSTEM}, {{'role': 'user', 'content': said}}",
    )  # fmt: skip
    assert [(t.name, t.template, t.messages) for t in found.templates] == [
        ("summarize", "Sum up {{}} of: {text}", ()),
        ("translate", None, (("system", "Be brief."), ("user", "To {language}: {text}"))),
    ]
    assert all(t.model == "m" and t.format == "braces" for t in found.templates)
    assert found.models[0].params == {}


def test_examples_of_a_conversation_are_a_template() -> None:
    messages = (
        f"{SYSTEM}, {{'role': 'user', 'content': 'good'}},"
        " {'role': 'assistant', 'content': '+'}, {'role': 'user', 'content': text}"
    )
    found = ask("def classify(text):", "    " + CREATE % messages)
    assert found.templates[0].messages == (
        ("system", "Be brief."), ("user", "good"), ("assistant", "+"), ("user", "{text}"),
    )  # fmt: skip
    assert found.models[0].params == {}


def test_messages_that_are_appended() -> None:
    found = ask(
        "def f(q):", f"    m = [{SYSTEM}]", "    m.append({'role': 'user', 'content': f'A {q}'})",
        "    c.chat.completions.create(model='m', messages=m)",
    )  # fmt: skip
    assert found.templates[0].messages == (("system", "Be brief."), ("user", "A {q}"))
    assert found.warnings == ()


def test_braces_of_constant_messages_are_doubled() -> None:
    messages = "{'role': 'system', 'content': 'As {json}'}, {'role': 'user', 'content': f'A {q}'}"
    found = ask("def f(q):", "    " + CREATE % messages)
    assert found.templates[0].messages == (("system", "As {{json}}"), ("user", "A {q}"))


def test_a_template_string_of_typescript() -> None:
    found = one(
        "import OpenAI from 'openai';\nconst c = new OpenAI();\n"
        "export const title = async (topic: string) => c.chat.completions.create({ model: 'm',"
        " messages: [{ role: 'developer', content: 'Be brief.' },"
        " { role: 'user', content: `Title {of} ${topic}` }] });", "a.ts",
    )  # fmt: skip
    assert [(t.name, t.messages) for t in found.templates] == [
        ("title", (("system", "Be brief."), ("user", "Title {{of}} {topic}"))),
    ]


def test_a_message_that_only_running_tells_is_told() -> None:
    messages = "{'role': 'user', 'content': f'A {q}'}, *history()"
    found = ask("def f(q):", "    " + CREATE % messages)
    assert found.templates[0].template == "A {q}" and codes(found) == ["unresolved"]


# Keys


@pytest.mark.parametrize("text", [
    "from openai import OpenAI\nc = OpenAI(api_key='KEY')\nc.chat.completions.create(model='m')",
    "from openai import OpenAI\nc = OpenAI(api_key='KEY')",
    "from openai import OpenAI\nc = OpenAI(api_key=x or 'KEY')\n"
    "c.chat.completions.create(model='m')",
    "import os\nfrom openai import OpenAI\nc = OpenAI(api_key=os.getenv('A', 'KEY'))\n"
    "c.chat.completions.create(model='m')",
    "import openai\nopenai.api_key = 'KEY'\nopenai.ChatCompletion.create(model='m')",
    "import os, openai\nos.environ['OPENAI_API_KEY'] = 'KEY'\nopenai.OpenAI().responses.create("
    "model='m')",
    "from openai import OpenAI\nc = OpenAI(default_headers={'Authorization': 'Bearer KEY'})\n"
    "c.chat.completions.create(model='m')",
    "from openai import OpenAI\nc = OpenAI(base_url='https://u:KEY@box/v1?key=KEY')\n"
    "c.chat.completions.create(model='m')",
    "from openai import OpenAI\nc = OpenAI(**load(api_key='KEY'))\n"
    "c.chat.completions.create(model='m')",
    "from openai import OpenAI\nOpenAI().chat.completions.create(model=f(token='KEY'))",
    "from openai import OpenAI\nKEY_ = 'KEY'\nc = OpenAI(api_key=KEY_)\n"
    "c.chat.completions.create(model='m', messages=[{'role': 'user', 'content': f'{q} KEY'}])",
    "import anthropic\nc = anthropic.Anthropic(api_key='KEY')\nc.messages.create(model='m')",
])  # fmt: skip
def test_no_key_gets_out(text: str) -> None:
    for found in read(text.replace("KEY'", f"{KEY}'").replace("KEY@", f"{KEY}@")):
        said = json.dumps([
            [m.as_json() for m in found.models], [t.as_json() for t in found.templates],
            [list(map(str, notice)) if isinstance(notice, tuple) else
             [notice.code, notice.where, notice.message] for notice in found.warnings],
        ])  # fmt: skip
        assert KEY[:6] not in said and KEY[-6:] not in said


def test_a_literal_key_is_told_and_has_a_variable() -> None:
    found = one(f"import openai\nopenai.api_key = '{KEY}'\nopenai.ChatCompletion.create(model='m')")
    assert found.models[0].options == {"api_key_env": "OPENAI_API_KEY"}
    assert codes(found) == ["secret-in-clear"]


@pytest.mark.parametrize("text", [
    "from langchain_openai import OpenAI\nllm = OpenAI(model='m')\nllm.invoke('x')",
    "from llama_index.llms.openai import OpenAI\nllm = OpenAI(model='m')\nllm.complete('x')",
    "import requests\nrequests.get('https://api.openai.com')", "x = 'openai'",
    "from stripe import Client\nClient().messages.create(model='openai')",
    "import openai\ntry:\n    f()\nexcept openai.RateLimitError:\n    pass",
])  # fmt: skip
def test_what_is_not_of_these_libraries_is_left(text: str) -> None:
    assert read(text) == []


def test_a_notebook() -> None:
    cells = ["%pip install openai\n", "from openai import OpenAI\nc = OpenAI()",
             "c.chat.completions.create(model='m', messages=[])"]  # fmt: skip
    text = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": cell} for cell in cells
    ]})  # fmt: skip
    assert model(text, "a.ipynb") == {"source": "openai:m"}


@pytest.mark.parametrize(("headers", "options"), [
    ("", {}), (", headers={'Authorization': f'Bearer {K}'}", {"api_key_env": "K"}),
    (", headers=made()", {}),
])
def test_a_request_by_hand_sends_no_key_but_its_own(headers: str, options: dict[str, str]) -> None:
    found = one(
        "import os, requests\nK = os.environ['K']\nrequests.post("
        "'http://box:8000/v1/chat/completions', json={'model': 'm', 'messages': []}" + headers + ")"
    )
    (model,) = found.models
    assert model.options == {"base_url": "http://box:8000/v1", **options}
    assert (codes(found) == ["unresolved"]) == ("made" in headers)


FIRST = "{'role': 'system', 'content': 'Be one.'}"


@pytest.mark.parametrize("messages", [
    f"[{FIRST}] + history[-10:]", f"[{FIRST}] + history + [{{'role': 'user', 'content': q}}]",
    f"[{FIRST}, *history[-10:]]", "[SYS] + list(history)",
])  # fmt: skip
def test_a_system_prompt_before_what_was_said_earlier(messages: str) -> None:
    text = (f"import openai\nSYS = {FIRST}\ndef ask(history, q):\n"
            f"    openai.chat.completions.create(model='m', messages={messages})")  # fmt: skip
    assert model(text) == {"source": "openai:m", "system": "Be one."}


@pytest.mark.parametrize("messages", [
    "[SYS, ...history]", "[SYS, ...history.slice(-10), {role: 'user', content: q}]",
    "[SYS].concat(history)",
])  # fmt: skip
def test_the_same_in_javascript(messages: str) -> None:
    text = (f"import OpenAI from 'openai'\nconst SYS = {FIRST}\nconst c = new OpenAI()\n"
            f"function ask(history, q) {{ return c.chat.completions.create("
            f"{{model: 'm', messages: {messages}}}) }}")  # fmt: skip
    assert model(text, "app.js") == {"source": "openai:m", "system": "Be one."}


CLAUDE = "claude-3-haiku-20240307"
SEVERAL = {
    "a.py": "import openai, anthropic, ollama\nimport google.generativeai as genai\n"
            "openai.OpenAI().chat.completions.create(model='gpt-4o', messages=m)\n"
            f"anthropic.Anthropic(api_key='KEY').messages.create(model='{CLAUDE}', max_tokens=9)\n"
            "ollama.chat(model='llama3.2', messages=m)\n"
            "genai.GenerativeModel('gemini-1.5-flash').generate_content('hi')\n",
    "b.ts": "import { openai } from '@ai-sdk/openai'\n"
            "import { anthropic } from '@ai-sdk/anthropic'\nimport { generateText } from 'ai'\n"
            "generateText({ model: openai('gpt-4o'), prompt: 'x' })\n"
            f"generateText({{ model: anthropic('{CLAUDE}'), prompt: 'x' }})\n",
    "c.py": "from langchain_openai import ChatOpenAI\nimport anthropic\n"
            "llm = ChatOpenAI(model='gpt-4o')\n"
            f"anthropic.Anthropic(api_key='KEY').messages.create(model='{CLAUDE}', max_tokens=9)\n",
    "d.ts": "import { ChatOpenAI } from '@langchain/openai'\n"
            "import Anthropic from '@anthropic-ai/sdk'\n"
            "const llm = new ChatOpenAI({ model: 'gpt-4o' })\n"
            f"new Anthropic({{apiKey: 'KEY'}}).messages.create({{model: '{CLAUDE}'}})\n",
}  # fmt: skip


@pytest.mark.parametrize("name", SEVERAL)
def test_one_file_may_use_several_libraries(name: str, tmp_path: Path, typed: Typed) -> None:
    key = "0a1b2c3d4e5f60718293a4b5"
    (tmp_path / name).write_text(SEVERAL[name].replace("KEY", key))
    artefacts = scan([tmp_path]).artefacts
    sources = {model.source for one in artefacts for model in one.models}
    expected = {"openai:gpt-4o", f"anthropic:{CLAUDE}"}
    if name == "a.py":
        expected |= {"ollama:llama3.2", "google:gemini-1.5-flash"}
    assert sources == expected
    planned = typed("migrate", "plan", str(tmp_path / name), "--json")
    assert all(f'source = \\"{one}\\"' in planned.out for one in expected)
    assert key not in planned.out and '"guess"' not in planned.out
    assert ("secret-in-clear" in planned.out) == (name != "b.ts")


CURL = """#!/bin/bash
BASE=http://localhost:8000
# curl http://localhost/v1/completions -d '{"model": "no"}'
curl http://localhost:11434/api/generate -d '{
  "model": "llama3.2", "prompt": "Why?", "options": {"temperature": 0.1}
}'
curl https://api.openai.com/v1/chat/completions \\
  -H "Authorization: Bearer KEY" \\
  -d '{"model": "gpt-4o", "messages": [{"role": "system", "content": "Be brief."},
       {"role": "user", "content": "Say '"$WORD"'"}]}' | jq .
curl -s $BASE/v1/chat/completions -H "Authorization: Bearer $MY_KEY" \\
  --data "{\\"model\\": \\"qwen\\", \\"messages\\": []}"; curl https://x/v1/models
curl http://x/v1/completions -d '{"model": "open
"""


def test_requests_of_shell_scripts(tmp_path: Path) -> None:
    (tmp_path / "ask.sh").write_text(CURL.replace("KEY\"", "sk-0a1b2c3d4e5f60718293a4b5\"", 1))
    ours, others = sorted(scan([tmp_path]).artefacts, key=lambda one: -len(one.models))
    assert [(one.source, one.line, one.options.get("api_key_env")) for one in ours.models] == [
        ("openai:gpt-4o", 7, "OPENAI_API_KEY"), ("openai:qwen", 11, "MY_KEY")]  # fmt: skip
    assert ours.models[1].options["base_url"] == "http://localhost:8000/v1"
    assert ours.templates[0].messages == (("system", "Be brief."), ("user", "Say {WORD}"))
    assert codes(ours) == ["secret-in-clear"] and ours.kind == "openai-code"
    [model] = others.models
    assert (model.source, model.params) == ("ollama:llama3.2", {"temperature": 0.1})
    assert "0a1b2c" not in repr(ours)
