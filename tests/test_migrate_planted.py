"""Keys planted into real files of every format, in every spelling: none comes out of a command.

Each place has a key of its own, for one that is known would hide the others that are the same.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from planted import KEYS, alike, assert_absent, leaks
from terminal import Typed

# Each holds KEY where people and tools put keys, and SAME, the first of them, where nothing else
# tells it.
FILES: dict[str, str] = {
    ".env": "OPENAI_API_KEY=KEY\nexport "
            "ANTHROPIC_API_KEY='KEY'\nDATABASE_URL=postgres://u:KEY@h/d\n"
            "OPENAI_BASE_URL=https://user:KEY@host/v1\nMY_TOKEN: KEY\n",
    "litellm.yaml": "model_list:\n- model_name: a\n  litellm_params:\n    model: openai/gpt-4o\n"
                    "    api_key: KEY\n    api_base: http://u:KEY@h/v1?api_key=KEY\n"
                    "    headers: {Authorization: Bearer KEY}\n    aws_secret_access_key: KEY\n"
                    "    extra_body: {token: KEY, deep: [{password: KEY}]}\n"
                    "    vertex_credentials: KEY\n"
                    "general_settings: {master_key: KEY, database_url: 'postgres://u:KEY@h/d'}\n"
                    "environment_variables: {OPENAI_API_KEY: KEY, ANY_SECRET: KEY}\n"
                    "router_settings: {redis_password: KEY}\n"
                    "litellm_settings: {cache_params: {password: KEY}}\n",
    "swap.yaml": "models:\n  a:\n    cmd: llama-server --port ${PORT} -m x.gguf --api-key KEY "
                 "--hf-token KEY\n    env: ['HF_TOKEN=KEY', 'API_KEY=KEY']\n"
                 "apiKeys: [KEY]\npeers: {p: {proxy: 'http://h', apiKey: KEY, models: [m]}}\n",
    "presets.ini": "version = 1\n[*]\napi-key = KEY\n[m]\nhf = a/b:Q4\nhf-token = KEY\n",
    "config.yaml": "name: x\nversion: 1\nschema: v1\nmodels:\n- {name: a, provider: openai, "
                   "model: m, "
                   "apiKey: KEY, requestOptions: {headers: {X-Api-Key: KEY}}, env: {apiKey: "
                   "KEY}}\n",
    "config.json": '{"models": [{"title": "a", "provider": "openai", "model": "m", "apiKey": '
                   '"KEY"}],'
                   ' // said\n "contextProviders": [{"params": {"token": "KEY"}}]}',
    "aichat.yaml": "model: c:m\nclients:\n- {type: openai-compatible, name: c, api_key: KEY,\n"
                   "   api_base: 'http://h', models: [{name: m}], patch: {headers: {a: SAME}},\n"
                   "   extra: {proxy: 'socks5://u:KEY@h'}}\n",
    "extra-openai-models.yaml": "- {model_id: a, model_name: b, api_key_name: k, api_base: "
                                "'http://h',\n"
                                "   headers: {Authorization: 'Bearer KEY'}}\n",
    "keys.json": '{"openai": "KEY", "// Note": "keys"}',
    "lc.json": '{"lc": 1, "type": "constructor", "id": ["a", "ChatOpenAI"], "kwargs": {"model": '
               '"m",'
               ' "openai_api_key": "KEY", "default_headers": {"Authorization": "Bearer KEY"},'
               ' "model_kwargs": {"api_key": "KEY"}}}',
    "repr.json": '{"lc": 1, "type": "not_implemented", "id": ["a", "ChatOllama"], "repr": '
                 '"ChatOllama('
                 "model='m', client_kwargs={'headers': {'Authorization': 'Bearer KEY'}},"
                 ' api_key=\'KEY\')"}',
    "legacy.yaml": "_type: openai\nmodel_name: a\nopenai_api_key: KEY\nheaders: {x: SAME}\n",
    "index.json": '{"class_name": "openai_llm", "model": "m", "api_key": "KEY",'
                  ' "default_headers": {"x-api-key": "KEY"}, "additional_kwargs": {"token": '
                  '"KEY"}}',
    "localai.yaml": "name: a\nbackend: llama-cpp\nparameters: {model: x.gguf}\n"
                    "proxy: {upstream_url: 'http://u:KEY@h', api_key: KEY}\n"
                    "download_files: [{filename: x, uri: 'https://h/x?token=KEY'}]\n",
    "a.rmodel": '{"apiKey": "KEY", "modelName": "m", "baseUrl": "http://h/v1"}',
    "qianfan.yaml": "_type: qianfan_endpoint\nmodel: a\nqianfan_ak: KEY\nqianfan_sk: KEY\n",
    "Modelfile": "FROM llama3\nSYSTEM my api_key=KEY\nPARAMETER token KEY\n# SAME\n",
    "app.py": "import os, openai\nfrom openai import OpenAI\nfrom langchain_openai import "
              "ChatOpenAI\n"
              "openai.api_key = 'KEY'\nKEYS = {'a': 'SAME'}\nk = 'SAME'\n"
              "c = OpenAI(api_key=k, base_url='http://u:KEY@h/v1', default_headers={'X': 'SAME'})\n"
              "c.chat.completions.create(model='m', user=k, extra_headers={'api-key': 'KEY'})\n"
              "llm = ChatOpenAI(model='m', api_key=os.getenv('K', 'KEY'), temperature=f(k, "
              "'SAME'))\n"
              "d = OpenAI(api_key=get('SAME'))\n",
    "hub.py": "from transformers import AutoModelForCausalLM, pipeline\n"
              "m = AutoModelForCausalLM.from_pretrained('a/b', token='KEY', "
              "use_auth_token='KEY')\n",
    "app.js": "import OpenAI from 'openai';\nconst key = 'KEY';\n"
              "const c = new OpenAI({apiKey: key, baseURL: 'http://u:KEY@h/v1'});\n"
              "const d = new OpenAI({apiKey: process.env.K || 'KEY', x: f('SAME')});\n"
              "c.chat.completions.create({model: 'm', user: key, temperature: g('SAME')});\n",
    "openai.config.js": "module.exports = { apiKey: 'KEY', model: 'gpt-4o', temperature: 0.5 };\n",
    "run.sh": "OPENAI_API_KEY=KEY mlx_lm.server --model a/b --api-key KEY\n",
    "custom.toml": "model = 'm'\nprovider = 'openai'\napi_key = 'KEY'\nbase_url = "
                   "'http://u:KEY@h'\n",
    "half.json": '{"models": [{"apiKey": "KEY", "model": ',
    "half.yaml": "model: 'x\napi_key: KEY\n",
    "half.py": "import openai\nopenai.api_key = 'KEY\n",
    "Dockerfile": "FROM ollama/ollama\nENV OPENAI_API_KEY=KEY\n",
    "docker-compose.yml": "services: {a: {image: 'ollama', environment: ['OPENAI_API_KEY=KEY']}}\n",
    "requirements.txt": "openai @ git+https://u:KEY@github.com/a/b\nlangchain\n",
    "more.py": "import os, requests\nfrom openai import OpenAI, AzureOpenAI\n"
               "os.environ['OPENAI_API_KEY'] = 'KEY'\n"
               "os.environ.setdefault('AZURE_OPENAI_KEY', 'KEY')\n"
               "class Config:\n    api_key: str = 'KEY'\n    OPENAI_TOKEN = 'KEY'\n\n"
               "def make(api_key='KEY', model='gpt-4o'):\n"
               "    return OpenAI(api_key=api_key, default_headers={'Authorization': f'Bearer "
               "KEY'})\n\n"
               "settings = {'openai': {'api_key': 'KEY', 'organization': 'o', 'timeout': 3}}\n"
               "client = OpenAI(**settings['openai'])\nother = OpenAI(api_key=Config.api_key)\n"
               "az = AzureOpenAI(azure_endpoint='https://h/?api-key=KEY', azure_ad_token='KEY')\n"
               "az.chat.completions.create(model='d', messages=[])\n"
               "requests.post('https://api.openai.com/v1/chat/completions?key=KEY',\n"
               "              headers={'Authorization': 'Bearer KEY', 'api-key': 'KEY'},\n"
               "              json={'model': 'gpt-4o', 'messages': []})\n",
    "more.ts": "import OpenAI from 'openai';\nimport { ChatOpenAI } from '@langchain/openai';\n"
               "process.env.OPENAI_API_KEY = 'KEY';\n"
               "const conf = { apiKey: 'KEY', token: 'KEY' };\n"
               "class A { private apiKey = 'KEY'; client = new OpenAI({ ...conf }); }\n"
               "const f = (apiKey = 'KEY') => new ChatOpenAI({ openAIApiKey: apiKey });\n"
               "const g = new ChatOpenAI({ model: 'm', apiKey: process.env.K ?? 'KEY',\n"
               "  configuration: { baseURL: `https://u:KEY@h/v1`, defaultHeaders: {\n"
               "    Authorization: `Bearer KEY`, 'x-api-key': 'KEY' } } });\n"
               "fetch('https://api.openai.com/v1/chat/completions?api_key=KEY', { method: 'POST',\n"
               "  headers: { Authorization: 'Bearer KEY' }, body: JSON.stringify({}) });\n",
    "ask.sh": "#!/bin/sh\nexport OPENAI_API_KEY=\"KEY\"\nHF_TOKEN=KEY ollama run llama3\n"
              "curl https://api.openai.com/v1/chat/completions -H 'Authorization: Bearer KEY' \\\n"
              "  -H 'api-key: KEY' -d '{\"model\": \"gpt-4o\"}'\n"
              "llama-server -m x.gguf --api-key=KEY --hf-token KEY\nlitellm --model gpt-4o "
              "--api_key KEY\nvllm serve a/b --api-key KEY\n",
    "compose.yaml": "services:\n  a:\n    image: ghcr.io/ggml-org/llama.cpp:server\n"
                    "    command: -m /models/x.gguf --api-key KEY\n"
                    "    environment: {HF_TOKEN: KEY, LITELLM_MASTER_KEY: KEY}\n"
                    "  b:\n    image: vllm/vllm-openai\n    command: ['--model', 'a/b', "
                    "'--api-key', 'KEY']\n    environment:\n    - HUGGING_FACE_HUB_TOKEN=KEY\n",
    "secret.yaml": "apiVersion: v1\nkind: Secret\nstringData: {OPENAI_API_KEY: KEY, model: SAME}\n"
                   "spec: {replicas: 2}\n",
    "llama.service": "[Service]\nEnvironment=HF_TOKEN=KEY\n"
                     "ExecStart=/usr/bin/llama-server -m /x.gguf --api-key KEY\n",
    "settings.json": '{"llm": {"provider": "openai", "model": "gpt-4o", "apiKey": "KEY", "headers":'
                     ' {"Authorization": "Bearer KEY", "X-Title": "a"}, "proxy": "http://u:KEY@h"},'
                     ' "keys": ["KEY"], "auth": {"password": "KEY"}}',
    "template.json": '{"lc": 1, "type": "constructor", "id": ["a", "PromptTemplate"], "kwargs": {'
                     '"template": "Bearer KEY {x}", "input_variables": ["x"]}}',
    "keyed.env": "export AZURE_API_KEY = \"KEY\"\nGROQ_API_KEY='KEY' # said\nX_SECRET=KEY\n"
                 "REDIS_URL=redis://:KEY@h:6379\nOPENAI_API_BASE=https://h/v1?key=KEY\n",
    "nested.ts": "import { ChatOpenAI } from '@langchain/openai';\nimport OpenAI from 'openai';\n"
                 "const a = new ChatOpenAI({ model: choose({ apiKey: 'KEY', password: `KEY` }),\n"
                 "  temperature: f({ 'x-api-key': 'KEY', token: \"KEY\" }), maxTokens: g({\n"
                 "    secret: pick('KEY', 'KEY') }), apiKey: h('KEY') ?? 'KEY',\n"
                 "  configuration: { baseURL: url({ apiKey: process.env.N ?? 'KEY' }) } });\n"
                 "const c = new OpenAI({ apiKey: process.env['K2'] ?? 'KEY' });\n"
                 "c.chat.completions.create({ model: pick({ headers: {\n"
                 "  Authorization: 'Basic KEY' } }), messages: [] });\n"
                 "const d = new OpenAI({ defaultHeaders: { 'api-key': 'KEY' } });\n"
                 "d.chat.completions.create({ model: 'gpt-4o', messages: [] }); // api_key = KEY\n",
    "nested.py": "import os\nfrom openai import OpenAI\nfrom langchain_openai import ChatOpenAI\n"
                 "a = ChatOpenAI(model=choose({'api_key': 'KEY'}), temperature=f(token='KEY'),\n"
                 "               max_tokens=g({'password': pick('KEY')}), base_url=h(secret='KEY'))"
                 "\n"
                 "b = OpenAI(api_key=os.getenv('N1', 'KEY'))  # once: OPENAI_API_KEY=KEY\n"
                 "b.chat.completions.create(model='gpt-4o', messages=[],\n"
                 "    extra_headers={'Authorization': 'Basic KEY'}, extra_body={'token': 'KEY'})\n"
                 "c = OpenAI(api_key=get('KEY') or 'KEY', default_headers={'x-api-key': 'KEY'})\n"
                 "c.chat.completions.create(model='gpt-4o-mini', messages=[])\n"
                 "os.putenv('OPENAI_API_KEY', 'KEY')\n",
    "one.py": "import os\nfrom openai import OpenAI\n"
              "client = OpenAI(api_key=os.getenv('N1', 'KEY'))\n"
              "client.chat.completions.create(model='gpt-4o', messages=[])\n",
    "two.py": "import os\nfrom openai import OpenAI\nclient = OpenAI()  # MY_API_KEY=KEY\n"
              "client.chat.completions.create(model='gpt-4o', messages=[])\n",
    "one.ts": "import OpenAI from 'openai';\n"
              "const client = new OpenAI({ apiKey: process.env['K2'] ?? 'KEY' });\n"
              "client.chat.completions.create({ model: 'gpt-4o', messages: [] });\n",
    "package.json": '{"dependencies": {"openai": "git+https://u:KEY@github.com/a/b"}}',
}  # fmt: skip


# What is asked of all of them at once, and of each.
ASKED = (
    "scan repo", "scan repo --json", "scan repo -O scan.md", "plan repo",
    "plan repo --json", "plan repo --patch", "plan repo --patch library", "plan repo -O plan.json",
    "apply repo", "status", "status --json", "check", "check --json", "cache repo",
    "cache repo --json", "report", "report --json",
    "validate --old-url http://u:KEY@127.0.0.1:9/v1?key=KEY --json", "rollback",
)  # fmt: skip
ASKED_OF_EACH = ("scan FILE --from custom", "scan FILE --from litellm --json", "plan FILE --json")


def notebook(code: str) -> str:
    cells: list[dict[str, Any]] = [{"cell_type": "code", "source": code}]
    return json.dumps({"cells": cells, "metadata": {}})


_ALWAYS = ("scan", "plan", "apply", "status", "report", "rollback")  # none of these fails
_PROSE = ("Modelfile", "template.json")  # where no one can tell a short one
_MAGIC = "%env OPENAI_API_KEY=KEY\n!export HF_TOKEN=KEY\n%set_env GROQ_API_KEY KEY\n"


def repository(sorts: list[str]) -> tuple[list[Path], list[str]]:
    """All of the files, each in a folder of its own, and the keys in them, of these sorts in turn.
    """
    found, keys = [], list[str]()
    for name, text in {**FILES, "app.ipynb": notebook(_MAGIC + FILES["app.py"])}.items():
        usable = [one for one in sorts if one != "short" or name not in _PROSE] or ["plain"]
        file = Path("repo") / name.replace(".", f"-{name}.", 1) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        first = len(keys)
        file.write_text(_planted(text, usable, keys).replace("SAME", keys[first]))
        found.append(file)
    return found, keys


def _planted(text: str, sorts: list[str], keys: list[str]) -> str:
    def one(_: re.Match[str]) -> str:
        keys.append(alike(KEYS[sorts[len(keys) % len(sorts)]], len(keys)))
        return keys[-1]

    return _PLACE.sub(one, text)


def told(typed: Typed, asked: tuple[str, ...], keys: list[str]) -> list[tuple[str, str, str]]:
    """The keys that come out of commands: the command, the line and the key."""
    found = []
    for words in asked:
        done = typed("migrate", *planted(words, keys[0]).split())
        if words.partition(" ")[0] in _ALWAYS and "-" not in words:
            assert done.code == 0, done.err
        assert done.code != 2 or "holds a password" in done.out, done.err
        found += [(words, line, key) for key, line in leaks(done.out + done.err, keys)]
    return found


def kept(keys: list[str]) -> list[tuple[str, str]]:
    """The keys in what was written: in our folder, the database included, and beside the tree."""
    files = [*Path(os.environ["LLMRR_HOME"]).rglob("*"), *Path().glob("*.*")]
    return [
        (str(one), key) for one in files if one.is_file()
        for key, _ in leaks(one.read_bytes().decode("latin-1"), keys)
    ]  # fmt: skip


@pytest.mark.parametrize("sorts", [["plain"], list(KEYS)], ids=["plain", "each"])
def test_no_planted_key_comes_out_of_a_migration(sorts: list[str], typed: Typed) -> None:
    _, keys = repository(sorts)
    asked = ASKED if len(sorts) == 1 else ("scan repo --json",)
    assert told(typed, asked, keys) == []
    assert kept(keys) == []


@pytest.mark.slow
@pytest.mark.parametrize("sort", KEYS)
def test_no_planted_key_comes_out_of_any_command(sort: str, typed: Typed) -> None:
    files, keys = repository([sort])
    each = [one.replace("FILE", str(file)) for file in files for one in ASKED_OF_EACH]
    assert told(typed, (*ASKED, *each), keys) == []
    assert kept(keys) == []


_PLACE = re.compile(r"(?<![\w])KEY(?![\w])")


def planted(text: str, key: str) -> str:
    """The key in place of the word, not in the names of variables."""
    return _PLACE.sub(key, text).replace("SAME", key)


# Each holds one key that no model takes.
BESIDE: dict[str, str] = {
    "client.py": "from openai import OpenAI\nc = OpenAI(default_headers={'x-api-key': 'KEY'})\n"
                 "c.chat.completions.create(model='gpt-4o', messages=[])\n",
    "call.py": "from openai import OpenAI\nc = OpenAI()\nc.chat.completions.create("
               "model='gpt-4o',\n    messages=[], extra_headers={'Authorization': 'Basic KEY'})\n",
    "chain.py": "from langchain_openai import ChatOpenAI\n"
                "a = ChatOpenAI(model='gpt-4o', default_headers={'x-api-key': 'KEY'})\n",
    "client.js": "import OpenAI from 'openai';\n"
                 "const c = new OpenAI({ defaultHeaders: { 'x-api-key': 'KEY' } });\n"
                 "c.chat.completions.create({ model: 'gpt-4o', messages: [] });\n",
    "chain.ts": "import { ChatOpenAI } from '@langchain/openai';\nnew ChatOpenAI({ model: 'gpt-4o',"
                "\n  configuration: { defaultHeaders: { Authorization: `Bearer KEY` } } });\n",
    "lc.json": '{"lc": 1, "type": "constructor", "id": ["a", "ChatOpenAI"], "kwargs": {"model": '
               '"gpt-4o", "default_headers": {"Authorization": "Bearer KEY"}}}',
    "index.json": '{"class_name": "openai_llm", "model": "gpt-4o",'
                  ' "default_headers": {"x-api-key": "KEY"}}',
    "index.py": "from llama_index.llms.openai import OpenAI\n"
                "a = OpenAI(model='gpt-4o', default_headers={'x-api-key': 'KEY'})\n",
    "headers.yaml": "model_list:\n- model_name: a\n  litellm_params: {model: openai/gpt-4o,\n"
                    "    extra_headers: {Authorization: Basic KEY}}\n",
    "body.yaml": "model_list:\n- model_name: a\n  litellm_params: {model: openai/gpt-4o,\n"
                 "    extra_body: {deep: [{token: KEY}]}}\n",
    "localai.yaml": "name: a\nbackend: vllm\nparameters: {model: a/b}\nengine_args: {hf_token: KEY}"
                    "\n",
    "env.ipynb": notebook("%env OPENAI_API_KEY=KEY\nimport openai\nc = openai.OpenAI()\n"
                          "c.chat.completions.create(model='gpt-4o', messages=[])\n"),
    "set.ipynb": notebook("!export OPENAI_API_KEY=KEY\nimport openai\nc = openai.OpenAI()\n"
                          "c.chat.completions.create(model='gpt-4o', messages=[])\n"),
    "quoted.ipynb": notebook('import os, openai\nos.environ["OPENAI_API_KEY"] = "KEY"\n'
                             "openai.OpenAI().responses.create(model='gpt-4o', input='a')\n"),
    "default.py": "import os, openai\nos.environ.setdefault('OPENAI_API_KEY', 'KEY')\n"
                  "openai.OpenAI().responses.create(model='gpt-4o', input='a')\n",
    "put.py": "import os, openai\nos.putenv('OPENAI_API_KEY', 'KEY')\n"
              "openai.OpenAI().responses.create(model='gpt-4o', input='a')\n",
}  # fmt: skip


def test_a_key_that_no_model_takes_is_told(typed: Typed) -> None:
    Path("repo").mkdir()
    for name, text in BESIDE.items():
        (Path("repo") / name).write_text(planted(text, KEYS["plain"]))
    found = typed("migrate", "scan", "repo", "--json").json["artefacts"]
    assert {Path(one["path"]).name for one in found if one["models"]} == {*BESIDE}
    told = [
        Path(one["path"]).name for one in found for notice in one["warnings"]
        if notice["code"] == "secret-in-clear"
    ]  # fmt: skip
    assert [one for one in BESIDE if told.count(one) != 1] == []


def test_a_key_in_the_name_of_a_model_is_left_out(typed: Typed) -> None:
    Path("app.py").write_text(
        "from openai import OpenAI\n"
        f"OpenAI().chat.completions.create(model='version {KEYS['openai']} of it')\n"
    )
    done = typed("migrate", "scan", "app.py", "--json")
    assert_absent(done.out, done.err)
