"""Keys planted into real files of every format, in every spelling: none comes out of a scan."""

import json
from pathlib import Path
from typing import Any

import pytest
from planted import KEYS, assert_absent
from terminal import Typed

# Each holds KEY where people and tools put keys.
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
                   "   api_base: 'http://h', models: [{name: m}], patch: {headers: {a: KEY}},\n"
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
    "legacy.yaml": "_type: openai\nmodel_name: a\nopenai_api_key: KEY\nheaders: {x: KEY}\n",
    "index.json": '{"class_name": "openai_llm", "model": "m", "api_key": "KEY",'
                  ' "default_headers": {"x-api-key": "KEY"}, "additional_kwargs": {"token": '
                  '"KEY"}}',
    "localai.yaml": "name: a\nbackend: llama-cpp\nparameters: {model: x.gguf}\n"
                    "proxy: {upstream_url: 'http://u:KEY@h', api_key: KEY}\n"
                    "download_files: [{filename: x, uri: 'https://h/x?token=KEY'}]\n",
    "a.rmodel": '{"apiKey": "KEY", "modelName": "m", "baseUrl": "http://h/v1"}',
    "qianfan.yaml": "_type: qianfan_endpoint\nmodel: a\nqianfan_ak: KEY\nqianfan_sk: KEY\n",
    "Modelfile": "FROM llama3\nSYSTEM my api_key=KEY\nPARAMETER token KEY\n# KEY\n",
    "app.py": "import os, openai\nfrom openai import OpenAI\nfrom langchain_openai import "
              "ChatOpenAI\n"
              "openai.api_key = 'KEY'\nKEYS = {'a': 'KEY'}\nk = 'KEY'\n"
              "c = OpenAI(api_key=k, base_url='http://u:KEY@h/v1', default_headers={'X': 'KEY'})\n"
              "c.chat.completions.create(model='m', user=k, extra_headers={'api-key': 'KEY'})\n"
              "llm = ChatOpenAI(model='m', api_key=os.getenv('K', 'KEY'), temperature=f(k, "
              "'KEY'))\n"
              "d = OpenAI(api_key=get('KEY'))\n",
    "hub.py": "from transformers import AutoModelForCausalLM, pipeline\n"
              "m = AutoModelForCausalLM.from_pretrained('a/b', token='KEY', "
              "use_auth_token='KEY')\n",
    "app.js": "import OpenAI from 'openai';\nconst key = 'KEY';\n"
              "const c = new OpenAI({apiKey: key, baseURL: 'http://u:KEY@h/v1'});\n"
              "const d = new OpenAI({apiKey: process.env.K || 'KEY', x: f('KEY')});\n"
              "c.chat.completions.create({model: 'm', user: key, temperature: g('KEY')});\n",
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
    "package.json": '{"dependencies": {"openai": "git+https://u:KEY@github.com/a/b"}}',
}  # fmt: skip


def notebook(code: str) -> str:
    cells: list[dict[str, Any]] = [{"cell_type": "code", "source": code}]
    return json.dumps({"cells": cells, "metadata": {}})


@pytest.mark.parametrize("sort", KEYS)
def test_no_planted_key_comes_out_of_a_scan(sort: str, typed: Typed) -> None:
    key = KEYS[sort]
    files = {**FILES, "app.ipynb": notebook(FILES["app.py"])}
    for name, text in files.items():
        file = Path("repo") / name.replace(".", f"-{name}.", 1) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if len(key) < 8 and name == "Modelfile":
            continue  # in prose, no one can tell
        file.write_text(planted(text, key))
    leaks = []
    for more in ([], ["--json"]):
        done = typed("migrate", "scan", "repo", *more)
        assert done.code == 0
        leaks += [line for line in (done.out + done.err).splitlines() if is_told(line, key)]
    assert leaks == []
    for file in sorted(Path("repo").rglob("*")):
        if file.is_file():
            done = typed("migrate", "scan", str(file), "--json")
            assert_absent(done.out, done.err, keys=[key])


def planted(text: str, key: str) -> str:
    """The key in place of the word, not in the names of variables."""
    import re

    return re.sub(r"(?<![\w])KEY(?![\w])", key, text)


def is_told(line: str, key: str) -> bool:
    try:
        assert_absent(line, keys=[key])
    except AssertionError:
        return True
    return False
