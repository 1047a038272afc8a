"""Every reader on what nobody writes: no error escapes it, whatever a file holds."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fuzzing
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_migrate_planted import FILES, planted

from llmrr.errors import DamagedFile
from llmrr.migrate import readers
from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document

# Fields of every format that is read; with them a random table gets past what tells a format.
_FIELDS = (
    "lc type id kwargs repr name graph first middle last steps bound runnable fallbacks default "
    "alternatives llm prompt template template_format messages input_variables partial_variables "
    "_type model model_name modelName model_path modelPath model_id llm_chain llm_path prompt_path "
    "class_name api_base api_key additional_kwargs context_window system_prompt model_list "
    "litellm_params litellm_settings router_settings general_settings environment_variables "
    "model_group_alias context_window_fallbacks default_fallbacks weight order rpm include models "
    "cmd proxy aliases macros groups members peers hooks env filters provider apiBase apiKey roles "
    "defaultCompletionOptions chatOptions requestOptions schema version uses clients parameters "
    "backend context_size gpu_layers stopwords roles config_file files urls prompt_templates uri "
    "filename overrides download_files description load_params inference_params operation load "
    "fields key value checked identifier headers extra_body stop temperature max_tokens top_k seed "
    "base_url timeout num_retries tags options responses path size lastAccess input output title "
    "systemMessage tabAutocompleteModel contextLength completionOptions secret baseUrl strategy "
    "fallbackChain config routing_strategy tokenizer architectures quantization generation_config"
)
FIELDS = _FIELDS.split()
_WORDS = (
    "openai gpt-4o openai/gpt-4o ollama llama3:8b ./x.gguf hf.co/a/b:Q4 huggingface://a/b/c.gguf "
    "constructor not_implemented secret ChatOpenAI langchain openai_llm Ollama_llm prompt chain "
    "os.environ/KEY ${KEY} ${{secrets.K}} sk-0123456789abcdef0123 a/b http://u:p@h:1/v1?key=x 1e-5 "
    "-1 none AUTODETECT * openai/* llama-cpp simple-shuffle llama-server~-m~x.gguf {{.Input}} "
    "{a} {{a}} {% llm.prediction.temperature llm.load.contextLength ${a} ${env.X} os.system v1 "
    "ChatOllama(model='a',~num_ctx=1) <openai~object>"
)
WORDS = [one.replace("~", " ") for one in _WORDS.split()]
TEXTS = st.sampled_from(WORDS) | st.text(max_size=6)
LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 10**9) | st.sampled_from([1e400, -1.5, 0.0]) | TEXTS
)
NAMES = st.sampled_from(FIELDS) | st.text(max_size=4)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=7),
    max_leaves=40,
)
DATA = st.dictionaries(NAMES, TREES, min_size=1, max_size=8) | st.lists(
    st.dictionaries(NAMES, TREES, max_size=6), min_size=1, max_size=3
)
# One of each format, of which any part is replaced by anything.
SEEDS: tuple[Any, ...] = (
    {"lc": 1, "type": "constructor", "id": ["langchain", "ChatOpenAI"], "kwargs": {
        "model_name": "gpt-4o", "openai_api_key": {"lc": 1, "type": "secret", "id": ["K"]},
        "stop": ["a"], "temperature": 0.1, "request_timeout": 3}},
    {"lc": 1, "type": "constructor", "id": ["a", "RunnableWithFallbacks"], "kwargs": {
        "runnable": {"lc": 1, "type": "not_implemented", "id": ["a", "ChatOllama"],
                     "repr": "ChatOllama(model='a', num_ctx=1)"},
        "fallbacks": [{"lc": 1, "type": "constructor", "id": ["b", "ChatAnthropic"],
                       "kwargs": {"model": "claude"}}]}},
    {"lc": 1, "type": "constructor", "id": ["a", "ChatPromptTemplate"], "kwargs": {
        "input_variables": ["q"], "messages": [{
            "lc": 1, "type": "constructor", "id": ["x", "SystemMessagePromptTemplate"], "kwargs": {
                "prompt": {"lc": 1, "type": "constructor", "id": ["y", "PromptTemplate"],
                           "kwargs": {"template": "a {q}", "template_format": "f-string"}}}}]}},
    {"_type": "llm_chain", "llm": {"_type": "openai", "model_name": "a", "best_of": 2},
     "prompt": {"_type": "prompt", "template": "a {b}", "input_variables": ["b"]}},
    {"class_name": "openai_llm", "model": "gpt-4o", "api_key": "sk-x", "api_base": "http://a/v1",
     "additional_kwargs": {"top_p": 1}, "context_window": 3, "timeout": 1.5, "llm": {"a": 1}},
    {"model_list": [{"model_name": "a", "litellm_params": {
        "model": "openai/gpt-4o", "api_key": "os.environ/K", "rpm": 3, "weight": 1, "order": 2,
        "extra_body": {}, "headers": {"a": "b"}}, "model_info": {"id": "a", "mode": "chat"}},
        {"model_name": "a", "litellm_params": {"model": "azure/x"}}],
     "litellm_settings": {"fallbacks": [{"a": ["b"]}], "default_fallbacks": ["a"], "cache": True,
                          "request_timeout": 3, "num_retries": 1},
     "router_settings": {"routing_strategy": "simple-shuffle", "model_group_alias": {"a": "b"}},
     "general_settings": {"master_key": "sk-1"}, "environment_variables": {"A": "b"}},
    {"macros": {"m": "llama-server"}, "models": {"a": {
        "cmd": "${m} --port ${PORT} -m x.gguf -c 4096", "proxy": "http://x:1", "aliases": ["b"],
        "env": ["A=b"], "macros": {"x": 1}, "filters": {"stripParams": "a", "setParams": {}},
        "ttl": 3, "useModelName": "c"}}, "groups": {"g": {"members": ["a"]}},
     "peers": {"p": {"proxy": "http://y", "apiKey": "k", "models": ["z"]}}, "apiKeys": ["k"],
     "hooks": {"on_startup": {"preload": ["a"]}}, "selectors": {"s": {"targets": ["a"]}}},
    {"name": "x", "version": "1", "schema": "v1", "models": [{
        "name": "a", "provider": "openai", "model": "gpt-4o", "apiKey": "${{ secrets.K }}",
        "roles": ["chat"], "defaultCompletionOptions": {"temperature": 1, "stop": ["a"]},
        "chatOptions": {"baseSystemMessage": "s"}, "requestOptions": {"timeout": 1, "headers": {}},
        "env": {"a": 1}}, {"uses": "a/b", "with": {"K": "v"}, "override": {"roles": ["chat"]}}]},
    {"models": [{"title": "a", "provider": "ollama", "model": "AUTODETECT",
                 "completionOptions": {"topP": 1}}], "tabAutocompleteModel": {"model": "x"},
     "contextProviders": [], "embeddingsProvider": {"provider": "x"}, "systemMessage": "s"},
    {"model": "c:m", "temperature": 1, "wrap": False, "clients": [{
        "type": "openai-compatible", "name": "c", "api_base": "http://x/v1", "api_key": "k",
        "models": [{"name": "m", "max_input_tokens": 3, "type": "chat"}], "patch": {}}]},
    [{"model_id": "a", "model_name": "b", "api_base": "http://x", "api_key_name": "k",
      "aliases": ["c"], "headers": {"Authorization": "Bearer x"}, "can_stream": False}],
    {"name": "a", "backend": "llama-cpp", "context_size": 1, "parameters": {
        "model": "x.gguf", "temperature": 1}, "template": {"chat": "a {{.Input}}"},
     "roles": {"user": "U"}, "stopwords": ["a"], "download_files": [{"uri": "huggingface://a/b/c"}],
     "mmproj": "y", "lora_adapters": ["z"], "proxy": {"upstream_url": "http://x"}},
    {"name": "a", "config_file": "backend: llama\nparameters:\n  model: x\n", "license": "b",
     "files": [{"filename": "x", "sha256": "y", "uri": "huggingface://a/b/x"}], "urls": ["u"],
     "prompt_templates": [{"name": "t", "content": "c"}],
     "overrides": {"parameters": {"model": "z"}}},
    {"name": "p", "load_params": {"n_ctx": 1, "n_gpu_layers": 2}, "inference_params": {
        "temp": 1, "antiprompt": ["a"], "pre_prompt": "p"}},
    {"identifier": "a", "name": "b", "operation": {"fields": [
        {"key": "llm.prediction.temperature", "value": {"checked": True, "value": 1}},
        {"key": "llm.prediction.systemPrompt", "value": "s"}]},
     "load": {"fields": [{"key": "llm.load.contextLength", "value": 3}]}},
    {"apiKey": "k", "modelName": "m", "baseUrl": "http://x/v1"},
    [{"name": "a", "filename": "x.gguf", "url": "http://x", "systemPrompt": "s", "order": "a",
      "promptTemplate": "%1", "filesize": "3", "md5sum": "a"}],
    {"models": [{"name": "a", "path": "x", "size": 1, "lastAccess": 2}], "responses": [{
        "input": "a", "output": "b", "modelName": "c", "created": 1, "tokenCount": 2}]},
    {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "quantization": {"bits": 4},
     "max_position_embeddings": 4, "_name_or_path": "x", "text_config": {}},
    {"model": "mlx-community/x", "train": True, "adapter_path": "a", "data": "d", "iters": 1},
    {"provider": "openai", "model": "m", "api_key": "k", "temperature": "hot", "base_url": 1},
)
LINES = st.sampled_from((
    "FROM llama3", "FROM ./x.gguf", "from", "PARAMETER stop \"a", "PARAMETER num_ctx 1e9",
    'SYSTEM """',
    '"""', "TEMPLATE {{ .System }}", "MESSAGE user hi", "ADAPTER ../x", "[*]", "[a/b:Q4]", "[]",
    "[",
    "model = x", "hf = a/b:c", "c = 4096 # x", "OPENAI_API_KEY=sk-x", "export A='b", "= 1", "\t",
    "llama-server -m \"x", "mlx_lm.server --model", "#!/bin/sh", "ngl=99", "\\", "\0", "é",
))  # fmt: skip


def found(document: Document) -> Iterator[Artefact]:
    """What every reader finds, by every way in."""
    is_code = document.code is not None
    for reader in readers.READERS:
        if reader.of_data and not is_code:
            yield from reader.of_data(document)
        if reader.of_code and is_code:
            yield from reader.of_code(document)
        if reader.forced:
            try:
                yield from reader.forced(document)
            except DamagedFile:
                continue


def check(document: Document) -> None:
    for one in found(document):
        json.dumps(one.as_json())


RELAXED = settings(
    max_examples=40, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@RELAXED
@given(DATA)
def test_no_table_breaks_a_reader(tree: Any) -> None:
    check(Document(Path("a.json"), json.dumps(tree).encode()))


@RELAXED
@given(st.lists(LINES, max_size=8), st.sampled_from(["", ".ini", ".txt", ".env", ".sh", ".yaml"]))
def test_no_lines_break_a_reader(lines: list[str], suffix: str) -> None:
    check(Document(Path(f"Modelfile{suffix}"), "\n".join(lines).encode()))


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all that is in a tree."""
    inner = enumerate(tree) if isinstance(tree, list) else tree.items()
    for key, one in inner:
        yield (*path, key)
        if isinstance(one, list | dict):
            yield from places(one, (*path, key))


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    """One of the seeds with some of its parts replaced."""
    tree = json.loads(json.dumps(draw(st.sampled_from(SEEDS))))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(places(tree))))
        node = tree
        for key in way:
            node = node[key]
        node[last] = draw(LEAVES | st.just([]) | st.just({}) | TREES)
        if not list(places(tree)):
            break
    return tree


@RELAXED
@given(mutants(), st.sampled_from(["a.json", "config.json", "presets/a.json"]))
def test_no_part_of_a_format_breaks_its_reader(tree: Any, name: str) -> None:
    check(Document(Path(name), json.dumps(tree).encode()))


ARGUMENTS = st.sampled_from((
    "", "model='gpt-4o'", "'a/b', device_map='auto'", "{**x}", "**kw", "*a", "model=f'{a}b'",
    "[a, b]",
    "api_key=os.getenv('K', 'sk-0123456789abcdef01')", "model=os.environ['M']", "prompt=p",
    "llm=llm",
    "messages=[{'role': 'user', 'content': f'{q} {q.x}'}]", "model=None, temperature='hot'",
    "model=x if y else 'z'", "(lambda: 1)", "model=1", "messages='a', max_tokens=[1]",
))  # fmt: skip
CALLEES = st.sampled_from((
    "OpenAI", "ChatOpenAI", "openai.ChatCompletion.create", "client.chat.completions.create",
    "Llama",
    "AutoModelForCausalLM.from_pretrained", "pipeline", "init_chat_model", "llm.with_fallbacks",
    "PromptTemplate.from_template", "ChatPromptTemplate.from_messages", "LLMChain", "load",
    "generate", "Settings.llm", "AzureOpenAI", "model.generate", "Router", "litellm.completion",
    "RunnableSequence", "cast", "SecretStr", "a.b.c",
))  # fmt: skip
PYTHON = (
    "import os, openai, litellm\nfrom openai import OpenAI, AzureOpenAI\n"
    "from langchain_openai import ChatOpenAI\nfrom langchain.prompts import PromptTemplate\n"
    "from langchain_core.prompts import ChatPromptTemplate\nfrom langchain.chains import LLMChain\n"
    "from transformers import AutoModelForCausalLM, pipeline\nfrom llama_cpp import Llama\n"
    "from mlx_lm import load, generate\nfrom llama_index.core import Settings\n"
)
JAVASCRIPT = (
    "import OpenAI, {AzureOpenAI} from 'openai';\nimport {ChatOpenAI} from '@langchain/openai';\n"
    "import {PromptTemplate, ChatPromptTemplate} from '@langchain/core/prompts';\n"
    "import {LLMChain} from 'langchain/chains';\n"
    "import {getLlama, LlamaModel} from 'node-llama-cpp';\n"
    "import {Settings} from 'llamaindex';\nimport path from 'path';\n"
)
OBJECTS = st.sampled_from((
    "", "{model: 'gpt-4o'}", "{modelName: `a${b}`}", "{...x, model: y}",
    "{modelPath: path.join(__dirname, 'a')}",
    "{apiKey: process.env.K ?? 'sk-0123456789abcdef01'}", "llm, [a, b]", "{llm, prompt}", "'x'",
    "[['system', 'a {b}']]",
    "{fallbacks: [llm]}", "{model: 1, temperature: 'x'}",
    "{models: [{modelName: 'a', provider: 'openai'}]}", "...a",
    "{modelPath: './x.gguf', contextSize: {max: 4}}", "() => 1", "`a`",
))  # fmt: skip


@RELAXED
@given(st.lists(st.tuples(st.sampled_from(("llm", "a", "b.c", "p")), CALLEES, ARGUMENTS),
 max_size=5))
def test_no_python_breaks_a_reader(calls: list[tuple[str, str, str]]) -> None:
    code = PYTHON + "".join(f"{name} = {callee}({said})\n" for name, callee, said in calls)
    check(Document(Path("a.py"), code.encode()))


@RELAXED
@given(st.lists(st.tuples(st.sampled_from(("llm", "a", "p")), st.sampled_from(("", "new ",
 "await ")),
                          CALLEES, OBJECTS), max_size=5), st.booleans())  # fmt: skip
def test_no_javascript_breaks_a_reader(
    calls: list[tuple[str, str, str, str]], exports: bool
) -> None:
    code = JAVASCRIPT + "".join(
        f"const {name} = {how}{callee.replace('from_', 'from')}({said});\n"
        for name, how, callee, said in calls
    )
    if exports and calls:
        code += f"module.exports = {calls[0][3] or 'a'};\nexport default {calls[0][0]};\n"
    check(Document(Path("a.config.js"), code.encode()))


@pytest.mark.parametrize("digits", [17, 40, 400, 5000])
@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.toml", "a.py", "a.js"])
def test_huge_whole_numbers_break_no_reader(name: str, digits: int) -> None:
    number = "9" * digits
    text = {
        ".json": '{"model_list": [{"model_name": "a", "litellm_params": {"model": "openai/gpt-4o", '
                 f'"temperature": {number}, "max_tokens": {number}, "rpm": {number}, '
                 f'"timeout": {number}, "weight": {number}}}}}]}}',
        ".yaml": f"models:\n  a: {{cmd: llama-server -m x.gguf -c {number}, ttl: {number}}}\n",
        ".toml": f"provider = 'openai'\nmodel = 'gpt-4o'\nmax_tokens = {number}\n",
        ".py": PYTHON + f"llm = ChatOpenAI(model='a', temperature={number}, top_k={number})\n",
        ".js": JAVASCRIPT + f"new ChatOpenAI({{model: 'a', maxTokens: parseInt('{number}')}});\n",
    }[Path(name).suffix]  # fmt: skip
    fuzzing.outcome(name, text.encode())


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file of the planted ones under a name, with some of its lines and bytes changed."""
    name = draw(st.sampled_from(sorted(FILES)))
    lines = planted(FILES[name], fuzzing.KEY).encode().split(b"\n")
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 4)):
            case 0:
                lines[at:at] = lines[: draw(st.integers(0, len(lines)))]
            case 1:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case 2:
                lines[at] = b"  " * draw(st.integers(0, 3)) + lines[at].lstrip()
            case 3:
                lines[at] += draw(st.sampled_from((b"{", b"[", b'"', b"`", b"(", b"&a *a", b"|")))
            case _:
                word = draw(st.sampled_from(FIELDS + WORDS)).encode()
                lines[at] = lines[at].replace(draw(st.sampled_from((b"a", b" ", b":"))), word, 1)
    return draw(st.sampled_from((Path(name).name, *fuzzing.NAMES))), b"\n".join(lines)


def tried(name: str, data: bytes, *, of_folder: bool = False) -> None:
    """No error, no second, no key."""
    begun = time.process_time()
    said = fuzzing.outcome(name, data)
    if of_folder:
        said += fuzzing.of_folder(data)
    assert time.process_time() - begun < 1
    assert not fuzzing.leaked(data, said)


@RELAXED
@given(spoiled())
def test_no_spoiled_file_breaks_a_reader(file: tuple[str, bytes]) -> None:
    tried(*file)


def of_seconds(seconds: float, test: Callable[[], None]) -> None:
    """A test of hypothesis over and over, each time with other examples."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        test()


@pytest.mark.slow
def test_two_minutes_of_fuzzing_find_nothing() -> None:
    @settings(RELAXED, max_examples=300, database=None)
    @given(spoiled(), st.booleans())
    def lines(file: tuple[str, bytes], of_folder: bool) -> None:
        tried(*file, of_folder=of_folder)

    @settings(RELAXED, max_examples=300, database=None)
    @given(DATA | mutants(), st.sampled_from(fuzzing.NAMES), st.booleans())
    def trees(tree: Any, name: str, of_folder: bool) -> None:
        tried(name, json.dumps(tree).encode(), of_folder=of_folder)

    of_seconds(60, lines)
    of_seconds(60, trees)
