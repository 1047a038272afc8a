"""What LangChain wrote, what older ones saved, and code that uses it, as models and prompts."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import langchain

KEY = "0f1e2d3c4b5a6978a1b2c3d4e5f60718"


def read(content: Any, name: str = "llm.json", folder: Path = Path("/nowhere")) -> list[Artefact]:
    """What the readers of LangChain find in a file of data."""
    data = content if isinstance(content, str) else json.dumps(content)
    document = Document(Path(name), data.encode(), folder / name)
    for reader in (langchain.SERIALIZED, langchain.LEGACY):
        assert reader.of_data is not None
        if found := list(reader.of_data(document)):
            return found
    return []


def one(content: Any, name: str = "llm.json", folder: Path = Path("/nowhere")) -> Artefact:
    """The only artefact of a file of data."""
    (found,) = read(content, name, folder)
    return found


def python(text: str, name: str = "app.py") -> Artefact:
    """What is found in code."""
    assert langchain.CODE.of_code is not None
    (found,) = langchain.CODE.of_code(Document(Path(name), text.encode()))
    return found


def javascript(text: str) -> Artefact:
    """What is found in TypeScript."""
    return python(text, "app.ts")


def node(*path: str, name: str | None = None, **kwargs: Any) -> dict[str, Any]:
    """A serialized object."""
    return {"lc": 1, "type": "constructor", "id": list(path), "kwargs": kwargs}


def secret(name: str) -> dict[str, Any]:
    """A serialized key."""
    return {"lc": 1, "type": "secret", "id": [name]}


def printed(*path: str, text: str) -> dict[str, Any]:
    """An object that LangChain cannot write."""
    return {"lc": 1, "type": "not_implemented", "id": list(path), "repr": text}


def openai(**kwargs: Any) -> dict[str, Any]:
    """A serialized model of OpenAI."""
    given = {"model_name": "gpt-4o", "openai_api_key": secret("OPENAI_API_KEY"), **kwargs}
    return node("langchain", "chat_models", "openai", "ChatOpenAI", **given)


def anthropic() -> dict[str, Any]:
    """A serialized model of Anthropic."""
    return node("langchain", "chat_models", "anthropic", "ChatAnthropic", model="claude-3-opus")


def prompt(text: str, **kwargs: Any) -> dict[str, Any]:
    """A serialized prompt."""
    given = {"template": text, "template_format": "f-string", **kwargs}
    return node("langchain_core", "prompts", "prompt", "PromptTemplate", **given)


def sources(found: Artefact) -> list[str]:
    return [model.source for model in found.models]


def codes(found: Artefact) -> list[str]:
    return [one.code for one in found.warnings]


# Serialized objects


def test_fields_under_their_own_names_and_defaults() -> None:
    found = one(openai(
        temperature=0.0, max_tokens=100, request_timeout=60.0, max_retries=2, n=1, openai_proxy="",
        stream_usage=True, disallowed_special="all", batch_size=20, presence_penalty=0,
    ))  # fmt: skip
    (model,) = found.models
    assert (found.kind, model.source) == ("langchain-serialized", "openai:gpt-4o")
    assert model.params == {"temperature": 0.0, "max_tokens": 100}
    assert model.options == {"api_key_env": "OPENAI_API_KEY", "timeout": 60.0, "max_retries": 2}
    assert not found.warnings


def test_the_class_counts_and_not_the_path() -> None:
    legacy = one(node("langchain", "chat_models", "openai", "ChatOpenAI", model="a"))
    own = one(node("langchain_groq", "chat_models", "ChatGroq", model="a"))
    assert sources(legacy) + sources(own) == ["openai:a", "groq:a"]


def test_the_default_name_of_a_key_at_another_address_is_a_guess() -> None:
    found = one(openai(openai_api_base="http://localhost:8080/v1"))
    assert found.models[0].options["base_url"] == "http://localhost:8080/v1"
    assert codes(found) == ["key-guess"]


def test_azure_is_addressed_by_its_deployment() -> None:
    found = one(node(
        "langchain", "chat_models", "azure_openai", "AzureChatOpenAI", model="gpt-4",
        deployment_name="mine", azure_open_ai_api_instance_name="box",
        openai_api_version="2024-02-01", azure_open_ai_api_key=secret("AZURE_OPENAI_API_KEY"),
    ))  # fmt: skip
    (model,) = found.models
    assert model.source == "azure:mine"
    assert model.options == {
        "base_url": "https://box.openai.azure.com", "api_version": "2024-02-01",
        "api_key_env": "AZURE_OPENAI_API_KEY",
    }  # fmt: skip


def test_what_langchain_cannot_write_is_read_from_its_printed_form() -> None:
    found = one(printed(
        "langchain_ollama", "chat_models", "ChatOllama",
        text="ChatOllama(metadata={'v': {'a': '1'}}, model='llama3.1:8b', num_ctx=8192)",
    ))  # fmt: skip
    assert sources(found) == ["ollama:llama3.1:8b"]
    assert found.models[0].options == {"context_size": 8192}
    assert codes(found) == ["from-repr"]


def test_a_printed_form_that_is_no_python_gives_its_model_alone() -> None:
    found = one(printed(
        "langchain_ollama", "llms", "OllamaLLM",
        text="OllamaLLM(client=<ollama.Client object at 0x7f>, model='mistral', num_ctx=1)",
    ))  # fmt: skip
    assert sources(found) == ["ollama:mistral"] and codes(found) == ["from-repr"]


@pytest.mark.parametrize("call", ["__import__('os').system('touch /tmp/x')", "(" * 5000, "x\0y"])
def test_a_printed_form_is_never_run(call: str) -> None:
    found = read(printed("x", "ChatOllama", text=f"ChatOllama(model={call})"))
    assert all(not one.models for one in found)


def test_a_model_that_is_chosen_at_run_time_is_told() -> None:
    found = one(printed(text="<langchain.chat_models.base._ConfigurableModel object at 0x7f75>"))
    assert not found.models and codes(found) == ["no-model"]


def test_a_model_without_its_name_is_not_invented() -> None:
    found = one(node("langchain", "chat_models", "openai", "ChatOpenAI", temperature=0))
    assert not found.models and codes(found) == ["no-model"]


def test_embeddings_are_told() -> None:
    found = one(printed(
        "langchain_openai", "embeddings", "OpenAIEmbeddings",
        text="OpenAIEmbeddings(client=<x>, model='text-embedding-3-small', chunk_size=1000)",
    ))  # fmt: skip
    assert not found.models and codes(found) == ["embedding-model"]


def test_bound_arguments_come_before_those_of_the_model() -> None:
    binding = node("langchain", "schema", "runnable", "RunnableBinding",
                   bound=openai(temperature=0.1), kwargs={"stop": ["END"], "temperature": 0.9})
    found = one(binding)
    assert found.models[0].params == {"temperature": 0.9, "stop": ["END"]}


def test_tools_stay_in_the_code() -> None:
    found = one(node("langchain", "RunnableBinding", bound=openai(), kwargs={"tools": [{"a": 1}]}))
    assert sources(found) == ["openai:gpt-4o"] and codes(found) == ["tools"]


def test_retries() -> None:
    found = one(node("langchain", "RunnableRetry", bound=openai(), max_attempt_number=5))
    assert found.models[0].options["max_retries"] == 4


def test_fallbacks_in_their_order_through_sequences() -> None:
    chain = node("langchain", "RunnableWithFallbacks", runnable=openai(), fallbacks=[
        node("langchain", "RunnableSequence", first=prompt("Hi {x}"), middle=[], last=anthropic()),
        printed("langchain_ollama", "ChatOllama", text="ChatOllama(model='llama3')"),
    ], exceptions_to_handle=[printed("builtins", "Exception", text="<class 'Exception'>")])
    found = one(node("langchain", "RunnableSequence", first=prompt("Ho {x}"), last=chain))
    assert found.fallbacks == (("gpt-4o", "claude-3-opus", "llama3"),)
    assert [(it.template, it.model) for it in found.templates] == [
        ("Ho {x}", "gpt-4o"), ("Hi {x}", "claude-3-opus"),
    ]  # fmt: skip
    assert codes(found) == ["from-repr"]


def test_fallbacks_after_some_exceptions() -> None:
    found = one(node(
        "langchain", "RunnableWithFallbacks", runnable=openai(), fallbacks=[anthropic()],
        exceptions_to_handle=[printed("builtins", "ValueError", text="<class 'ValueError'>")],
    ))  # fmt: skip
    assert found.fallbacks and codes(found) == ["conditional-fallback"]


def test_alternatives_and_fields_that_are_chosen_at_run_time() -> None:
    found = one(node("langchain", "RunnableConfigurableAlternatives", default=openai(),
                     alternatives={"b": anthropic()}, default_key="a"))
    assert sources(found) == ["openai:gpt-4o", "anthropic:claude-3-opus"]
    assert codes(found) == ["framework-logic"] and not found.fallbacks
    fields = one(node("langchain", "RunnableConfigurableFields", default=openai(), fields={}))
    assert sources(fields) == ["openai:gpt-4o"]


def test_a_playground_and_the_noise_of_its_graph() -> None:
    data = node("langsmith", "playground", "PromptPlayground", first=prompt("A {b}"), last=openai())
    data["graph"] = {"nodes": [{"data": openai(model_name="other")}] * 50}
    found = one({"manifest": data, "commit": "x"})
    assert sources(found) == ["openai:gpt-4o"] and found.templates[0].model == "gpt-4o"


def test_an_unknown_container_is_walked() -> None:
    found = one(node("mine", "Thing", parts={"a": [openai(), {"b": anthropic()}]}))
    assert len(found.models) == 2


def test_a_chat_prompt() -> None:
    chat = node("langchain", "prompts", "chat", "ChatPromptTemplate", messages=[
        node("langchain", "SystemMessagePromptTemplate", prompt=prompt("Be {a}. {{x}}")),
        node("langchain", "MessagesPlaceholder", variable_name="history"),
        node("langchain", "HumanMessagePromptTemplate", prompt=prompt("{b}")),
        node("langchain", "AIMessage", content="so {it} is"),
    ])
    found = one(node("langchain", "LLMChain", llm=openai(), prompt=chat))
    assert found.templates[0].messages == (
        ("system", "Be {a}. {{x}}"), ("user", "{b}"), ("assistant", "so {{it}} is"),
    )  # fmt: skip
    assert found.templates[0].model == "gpt-4o" and codes(found) == ["framework-logic"]


@pytest.mark.parametrize(("word", "code"), [
    ("jinja2", "jinja-template"), ("mustache", "template-format"),
])  # fmt: skip
def test_other_formats_are_kept_and_never_rendered(word: str, code: str) -> None:
    text = "{{ x.__class__ }} {% for a in b %}"
    found = one(prompt(text, template_format=word))
    assert (found.templates[0].template, found.templates[0].format) == (text, word)
    assert codes(found) == [code]


def test_a_hole_that_is_no_name_is_kept_as_it_is() -> None:
    found = one(prompt("{a.b} {c}"))
    assert found.templates[0].format == "f-string" and codes(found) == ["template-format"]


def test_examples_are_told() -> None:
    few = printed("langchain_core", "prompts", "few_shot", "FewShotPromptTemplate", text="")
    found = one(node("langchain", "LLMChain", llm=openai(), prompt=few))
    assert codes(found) == ["few-shot"] and not found.templates


def test_what_fills_some_holes_is_a_default() -> None:
    assert one(prompt("{a} {b}", partial_variables={"a": "x"})).templates[0].defaults == {"a": "x"}


def test_yaml_of_javascript() -> None:
    found = one(
        "lc: 1\ntype: constructor\nid: [langchain, llms, openai, OpenAI]\nkwargs:\n"
        "  temperature: 0.7\n  model: davinci\n", "chain.yaml",
    )  # fmt: skip
    assert sources(found) == ["openai:davinci"]


def test_messages_and_documents_are_no_settings() -> None:
    message = node("langchain", "schema", "messages", "HumanMessage", content="hi")
    assert not read([message, message]) and not read({"lc": 1}) and not read({"lc": "x"})


def test_a_literal_key_never_leaves_the_file() -> None:
    found = one(node(
        "langchain", "chains", "Thing", llm=openai(openai_api_key=KEY),
        store=node("langchain_pinecone", "Pinecone", pinecone_api_key=KEY[::-1]),
    ))  # fmt: skip
    text = repr(found) + json.dumps(found.as_json())
    assert KEY[:4] not in text.replace(found.models[0].key or "", "") and KEY[::-1] not in text
    assert codes(found).count("secret-in-clear") == 2


# What older ones saved


def test_a_saved_model() -> None:
    found = one({
        "model_name": "gpt-3.5-turbo-instruct", "temperature": 0.7, "max_tokens": 256, "top_p": 1,
        "frequency_penalty": 0, "presence_penalty": 0, "n": 1, "best_of": 1, "logprobs": None,
        "request_timeout": None, "logit_bias": {}, "seed": None, "_type": "openai",
    })  # fmt: skip
    assert (found.kind, sources(found)) == ("langchain-legacy", ["openai:gpt-3.5-turbo-instruct"])
    assert found.models[0].params == {"temperature": 0.7, "max_tokens": 256, "top_p": 1}
    assert not found.warnings


@pytest.mark.parametrize(("saved", "source"), [
    ({"_type": "llamacpp", "model_path": "./m.gguf", "n_ctx": 2048}, "file:./m.gguf"),
    ({"_type": "huggingface_pipeline", "model_id": "org/m"}, "huggingface:org/m"),
    ({"_type": "huggingface_hub", "repo_id": "org/m", "task": None}, "huggingface:org/m"),
    ({"_type": "azure", "deployment_name": "d", "model_name": "gpt-4"}, "azure:d"),
    ({"_type": "chat-ollama", "model": "llama3"}, "ollama:llama3"),
    ({"_type": "gpt4all", "model": "./ggml.bin"}, "file:./ggml.bin"),
    ({"_type": "anthropic", "model": "claude-2"}, "anthropic:claude-2"),
])  # fmt: skip
def test_saved_models_by_their_type(saved: dict[str, Any], source: str) -> None:
    assert sources(one(saved)) == [source]


def test_a_saved_model_without_its_name_is_an_error() -> None:
    assert one({"_type": "ollama-llm"}).error == "no model name"


def test_yaml_that_is_indented_as_a_whole() -> None:
    found = one("    _type: openai\n    model_name: gpt-4\n    temperature: 0.2\n", "llm.yaml")
    assert sources(found) == ["openai:gpt-4"]


def test_a_saved_chain_links_its_prompt() -> None:
    found = one({"_type": "llm_chain", "llm": {"_type": "openai", "model_name": "m"},
                 "prompt": {"_type": "prompt", "input_variables": ["a"], "template": "Do {a}"}})
    assert [(it.template, it.model) for it in found.templates] == [("Do {a}", "m")]


def test_a_saved_agent() -> None:
    found = one({"_type": "zero-shot-react-description", "allowed_tools": ["x"], "llm_chain": {
        "_type": "llm_chain", "llm": {"_type": "openai", "model_name": "m"},
        "prompt": {"_type": "prompt", "template": "Do {a}", "input_variables": ["a"]}}})
    assert sources(found) == ["openai:m"] and "framework-logic" in codes(found)


def test_the_hub_is_not_asked() -> None:
    found = one({"_type": "llm_chain", "llm": {"_type": "openai", "model_name": "m"},
                 "prompt_path": "lc://prompts/summarize/prompt.yaml"})
    assert codes(found) == ["hub-reference"]


def test_examples_of_a_saved_prompt() -> None:
    found = one({"_type": "few_shot", "examples": "examples.json", "suffix": "{q}"})
    assert codes(found) == ["few-shot"]


def test_a_text_beside_a_prompt_is_read_and_one_elsewhere_is_not(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "t.txt").write_text("Say {x}")
    (tmp_path / "out.txt").write_text("Secret {x}")
    (home / "link.txt").symlink_to(tmp_path / "out.txt")
    saved = {"_type": "prompt", "input_variables": ["x"], "template_path": "t.txt"}
    assert one(saved, folder=home).templates[0].template == "Say {x}"
    for path in ("../out.txt", str(tmp_path / "out.txt"), "link.txt", "no.txt"):
        found = one({**saved, "template_path": path}, folder=home)
        assert not found.templates and codes(found) == ["unresolved"]


@pytest.mark.parametrize("other", [
    {"_type": "Deployment", "kind": "x"}, {"_type": 3}, {"template": "x"}, ["openai"], {},
    {"apiVersion": "v1", "kind": "Pod"}, {"template": "x", "input_variables": "y"},
])  # fmt: skip
def test_other_files_are_left(other: Any) -> None:
    assert not read(other)


# Code


def test_the_example_of_the_guide() -> None:
    found = javascript("""
import { ChatOpenAI } from 'langchain/chat_models/openai';
import { PromptTemplate } from 'langchain/prompts';
import { LLMChain } from 'langchain/chains';
const llm = new ChatOpenAI({modelName: 'gpt-3.5-turbo', temperature: 0.7});
const prompt = PromptTemplate.fromTemplate("You are a helpful assistant. {question}");
const chain = new LLMChain({llm, prompt});
const response = await chain.call({question: 'Hi'});
""")
    (model,), (template,) = found.models, found.templates
    assert (model.source, model.params, model.options) == (
        "openai:gpt-3.5-turbo", {"temperature": 0.7}, {},
    )  # fmt: skip
    assert template.template == "You are a helpful assistant. {question}"
    assert (template.model, model.call_sites) == (model.name, [8])
    assert not found.warnings


def test_it_is_understood_without_its_imports_too() -> None:
    found = javascript("""
const llm = new ChatOpenAI({modelName: 'gpt-3.5-turbo', temperature: 0.7});
const prompt = PromptTemplate.fromTemplate("You are a helpful assistant. {question}");
const chain = new LLMChain({llm, prompt});
""")
    assert sources(found) == ["openai:gpt-3.5-turbo"] and found.templates[0].model


@pytest.mark.parametrize(("call", "source", "params", "options"), [
    ('ChatOpenAI(model="m", openai_api_base="http://x/v1", max_completion_tokens=5)', "openai:m",
     {"max_tokens": 5}, {"base_url": "http://x/v1", "api_key_env": "OPENAI_API_KEY"}),
    ('ChatOpenAI(model="m", model_kwargs={"top_p": 0.5}, api_key=os.environ["K"])', "openai:m",
     {"top_p": 0.5}, {"api_key_env": "K"}),
    ('ChatAnthropic(model_name="c", max_tokens_to_sample=9, default_request_timeout=3)',
     "anthropic:c", {"max_tokens": 9}, {"timeout": 3}),
    ('AzureChatOpenAI(azure_deployment="d", api_version="v", azure_endpoint='
     'os.environ["AZURE_OPENAI_ENDPOINT"])', "azure:d", {}, {"api_version": "v"}),
    ('AzureChatOpenAI(model="d")', "azure:d", {}, {}),
    ('ChatOllama(model="llama3:8b", num_ctx=2048, num_predict=7)', "ollama:llama3:8b",
     {"max_tokens": 7}, {"context_size": 2048}),
    ('LlamaCpp(model_path="./m.gguf", n_ctx=1024, n_gpu_layers=-1, n_batch=512)', "file:./m.gguf",
     {}, {"context_size": 1024, "gpu_layers": -1}),
    ('HuggingFaceEndpoint(repo_id="org/m", max_new_tokens=5, huggingfacehub_api_token="hf_x")',
     "huggingface:org/m", {"max_tokens": 5}, {}),
    ('ChatGoogleGenerativeAI(model="models/gemini-pro")', "google:gemini-pro", {}, {}),
    ('ChatVertexAI(model_name="gemini-pro")', "vertex:gemini-pro", {}, {}),
    ('ChatBedrock(model_id="anthropic.claude-v2", model_kwargs={"temperature": 0.1})',
     "bedrock:anthropic.claude-v2", {"temperature": 0.1}, {}),
    ('ChatLiteLLM(model="groq/llama3")', "groq:llama3", {}, {}),
    ('init_chat_model("anthropic:claude-3", temperature=0)', "anthropic:claude-3",
     {"temperature": 0}, {}),
    ('init_chat_model("llama3:8b", model_provider="ollama")', "ollama:llama3:8b", {}, {}),
    ('init_chat_model("gpt-4o", model_provider="azure-openai")', "azure:gpt-4o", {}, {}),
    ('init_chat_model(model="gemini-1.5-pro")', "vertex:gemini-1.5-pro", {}, {}),
    ('init_chat_model("mixtral-8x7b")', "mistral:mixtral-8x7b", {}, {}),
])  # fmt: skip
def test_models_in_python(
    call: str, source: str, params: dict[str, Any], options: dict[str, Any]
) -> None:
    found = python(IMPORTS + f"llm = {call}\n")
    (model,) = found.models
    assert (model.source, model.params, model.options) == (source, params, options)


IMPORTS = """
import os
from langchain.chat_models import init_chat_model
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrock
from langchain_community.chat_models import ChatLiteLLM, ChatTongyi
from langchain_community.llms import LlamaCpp
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_google_vertexai import ChatVertexAI
from langchain_huggingface import HuggingFaceEndpoint, HuggingFacePipeline
from langchain_ollama import ChatOllama
"""


@pytest.mark.parametrize(("call", "code"), [
    ("ChatOpenAI(temperature=0)", "no-model"),
    ("ChatOpenAI(model=name)", "unresolved"), ("ChatOpenAI(**settings)", "unresolved"),
    ('ChatOpenAI(model=os.getenv("MODEL"))', "unresolved"),
    ('init_chat_model("foo")', "unknown-provider"), ("init_chat_model()", "no-model"),
    ('init_chat_model("llama3:8b")', "unknown-provider"),
    ('ChatTongyi(model="qwen-max")', "unknown-provider"),
])  # fmt: skip
def test_what_is_not_known_is_told_and_not_guessed(call: str, code: str) -> None:
    found = python(IMPORTS + f"llm = {call}\n")
    assert not found.models and codes(found) == [code]
    assert found.warnings[0].where.startswith("app.py:16")


def test_a_default_of_a_variable() -> None:
    found = python(IMPORTS + 'llm = ChatOpenAI(model=os.getenv("MODEL", "gpt-4"))\n')
    assert sources(found) == ["openai:gpt-4"] and codes(found) == ["env-default"]


def test_arguments_of_transformers() -> None:
    found = python(IMPORTS + """
llm = HuggingFacePipeline.from_model_id(
    model_id="org/m", task="text-generation", device_map="auto",
    pipeline_kwargs={"max_length": 1000, "do_sample": False})
""")
    assert found.models[0].params == {"max_tokens": 1000, "temperature": 0}
    assert codes(found) == ["max-length-is-total", "greedy", "gpu-split"]


def test_max_length_does_not_count_beside_what_is_better() -> None:
    found = python(IMPORTS + """
llm = HuggingFacePipeline.from_model_id("org/m", pipeline_kwargs={
    "max_length": 1000, "max_new_tokens": 5})
""")
    assert found.models[0].params == {"max_tokens": 5} and not found.warnings


FALLBACKS = IMPORTS + """
from typing import cast
a = ChatOpenAI(model="a")
b = ChatOllama(model="b")
p, q = PromptTemplate.from_template("P {x}"), PromptTemplate.from_template("Q {x}")
"""


@pytest.mark.parametrize("spelled", [
    "a.with_fallbacks([b])", "a.with_fallbacks(fallbacks=[b])", "a.with_fallbacks([q | b])",
    "cast(BaseChatModel, a.with_fallbacks([b]))", "(p | a).with_fallbacks([q | b])",
    "p | a.with_fallbacks([q | b]) | StrOutputParser()",
    "a.with_fallbacks([b]).with_config(tags=['x'])",
])  # fmt: skip
def test_fallbacks_in_every_spelling(spelled: str) -> None:
    assert python(FALLBACKS + f"x = {spelled}\n").fallbacks == (("a", "b"),)


def test_fallbacks_of_other_things_are_no_chains() -> None:
    found = python(FALLBACKS + """
from langchain_core.runnables import RunnableLambda
from langgraph.prebuilt import ToolNode
x = ToolNode(tools).with_fallbacks([RunnableLambda(f)])
y = a.with_fallbacks([unknown])
""")
    assert not found.fallbacks
    assert codes(found).count("unresolved") == 1 and codes(found).count("framework-logic") == 1


def test_two_models_that_fall_back_on_each_other() -> None:
    found = python(FALLBACKS + "x = a.with_fallbacks([b])\ny = b.with_fallbacks([a])\n")
    assert found.fallbacks == (("a", "b"), ("b", "a")) and codes(found) == ["cycle"]


def test_a_bound_model_changes_or_stands_beside_the_one_that_is_used_too() -> None:
    alone = python(FALLBACKS + 'x = a.bind(stop=["END"])\n')
    assert [(it.name, it.params) for it in alone.models] == [("a", {"stop": ["END"]}), ("b", {})]
    both = python(FALLBACKS + 'x = a.bind(stop=["END"])\ny = p | a\n')
    assert [(it.name, it.params) for it in both.models] == [
        ("a", {}), ("b", {}), ("a-2", {"stop": ["END"]}),
    ]  # fmt: skip


def test_retries_tools_and_schemas_in_code() -> None:
    found = python(FALLBACKS + """
x = a.with_retry(stop_after_attempt=4)
y = b.with_structured_output(dict)
""")
    assert found.models[0].options == {"max_retries": 3} and codes(found) == ["tools"]


@pytest.mark.parametrize("made", [
    'PromptTemplate.from_template("Do {x} {{y}}")',
    'PromptTemplate(template="Do {x} {{y}}", input_variables=["x"])',
])  # fmt: skip
def test_prompts_are_linked_to_their_model(made: str) -> None:
    found = python(FALLBACKS + f"do = {made}\nz = do | b | StrOutputParser()\nz.invoke(1)\n")
    (it,) = [it for it in found.templates if it.name == "do"]
    assert (it.template, it.model, it.format) == ("Do {x} {{y}}", "b", "braces")
    assert found.models[1].call_sites == [23]


def test_a_chat_prompt_in_all_spellings() -> None:
    found = python(FALLBACKS + """
from langchain_core.prompts import HumanMessagePromptTemplate, SystemMessagePromptTemplate
chat = ChatPromptTemplate.from_messages([
    SystemMessage(content="Literal {braces}"), ("system", "S {a}"), "plain {b}",
    SystemMessagePromptTemplate.from_template("T {c}"), ("ai", "ok"), ("placeholder", "{hist}"),
    MessagesPlaceholder(variable_name="history"), {"role": "user", "content": "{d}"},
    HumanMessagePromptTemplate.from_template("{e}"),
])
z = chat | a
""")
    (it,) = [it for it in found.templates if it.name == "chat"]
    assert it.model == "a" and it.messages == (
        ("system", "Literal {{braces}}"), ("system", "S {a}"), ("user", "plain {b}"),
        ("system", "T {c}"), ("assistant", "ok"), ("user", "{d}"), ("user", "{e}"),
    )  # fmt: skip
    assert codes(found) == ["framework-logic", "framework-logic"]


def test_an_f_string_that_is_a_template_of_langchain() -> None:
    found = python(FALLBACKS + """
def make(language):
    t = PromptTemplate.from_template(f"Say it in {language}: {{text}}")
    return t | a
""")
    assert found.templates[-1].template == "Say it in {language}: {text}"


def test_what_a_model_is_asked_with() -> None:
    found = python(FALLBACKS + """
def ask(text, state):
    a.invoke(f"Sum {text} as {{json}}")
    b.invoke([SystemMessage(content="Be {terse}."), HumanMessage(content=state["question"])])
    a.invoke("just a question")
    b.invoke([SystemMessage("x")] + state["history"])
""")
    asked = [it for it in found.templates if it.name.startswith("ask")]
    assert asked[0].template == "Sum {text} as {{json}}" and asked[0].model == "a"
    assert asked[1].messages == (("system", "Be {{terse}}."), ("user", "{question}"))
    assert asked[1].model == "b" and found.models[0].call_sites == [23, 25]
    assert asked[2].messages == (("system", "x"), ("user", "{history}"))
    assert codes(found) == []


def test_an_agent_by_the_name_of_its_model() -> None:
    found = python(IMPORTS + """
from langchain.agents import create_agent
agent = create_agent(model="openai:gpt-4o", tools=[], system_prompt="Be nice.")
agent.invoke({"messages": []})
""")
    (model,) = found.models
    assert (model.source, model.call_sites) == ("openai:gpt-4o", [19])
    assert found.templates[0].messages == (("system", "Be nice."),)
    assert codes(found) == ["framework-logic"]


def test_retrieval_and_memory_are_told_once() -> None:
    found = python(FALLBACKS + """
from langchain.chains import RetrievalQA
from langchain.memory import ConversationBufferMemory
from langchain_openai import OpenAIEmbeddings
from langchain_chroma import Chroma
db = Chroma.from_documents(docs, OpenAIEmbeddings(api_key="KEY"))
qa = RetrievalQA.from_chain_type(llm=b, retriever=db.as_retriever(),
                                 chain_type_kwargs={"prompt": q})
memory = ConversationBufferMemory()
qa.run("x")
""".replace("KEY", KEY))
    assert codes(found) == ["embedding-model", "secret-in-clear", "framework-logic"]
    assert found.templates[1].model == "b" and found.models[1].call_sites == [30]
    assert KEY[:4] not in json.dumps(found.as_json())


def test_prompts_of_the_hub() -> None:
    found = python(IMPORTS + 'from langchain import hub\np = hub.pull("rlm/rag-prompt")\n')
    assert codes(found) == ["hub-reference"]


def test_keys_that_stand_beside_calls() -> None:
    found = python(IMPORTS + f'os.environ["OPENAI_API_KEY"] = "{KEY}"\nx = ChatOpenAI(model="m")\n')
    assert codes(found) == ["secret-in-clear"] and KEY[:4] not in json.dumps(found.as_json())


def test_classes_of_the_same_name_elsewhere_are_not_langchains() -> None:
    assert langchain.CODE.of_code is not None
    for text in ('from openai import OpenAI\nc = OpenAI(model="x")\n',
                 'from browser_use import ChatOpenAI\nc = ChatOpenAI(model="x")\n',
                 "from langchain.text_splitter import X\n"):  # fmt: skip
        assert not list(langchain.CODE.of_code(Document(Path("a.py"), text.encode())))


def test_javascript() -> None:
    found = javascript("""
import { AzureChatOpenAI, ChatOpenAI } from "@langchain/openai";
import { ChatOllama } from "@langchain/ollama";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { HumanMessage, SystemMessage } from "@langchain/core/messages";
import { RunnableSequence } from "@langchain/core/runnables";
import { initChatModel } from "langchain/chat_models/universal";
const a = new ChatOpenAI({ model: "a", maxTokens: 5, timeout: 15000,
  openAIApiKey: process.env.OPENAI_KEY, configuration: { baseURL: "http://x/v1" } });
const b = new ChatOllama({ model: "b", baseUrl: "http://localhost:11434", numCtx: 4096 });
const c = new AzureChatOpenAI({ azureOpenAIApiInstanceName: "i", modelName: "gpt-4",
  azureOpenAIApiDeploymentName: "d", azureOpenAIApiVersion: "v",
  azureOpenAIApiKey: process.env.Z });
const d = await initChatModel("gemini-pro", { modelProvider: "google-genai" });
const one = a.withFallbacks([b]);
const two = a.withFallbacks({ fallbacks: [c] });
const chat = ChatPromptTemplate.fromMessages([["system", "Be {x}"], ["human", "{y}"]]);
const chain = chat.pipe(two);
const other = RunnableSequence.from([ChatPromptTemplate.fromTemplate("Z {z}"), d]);
export async function ask(text: string, lang: string) {
  await b.invoke([new SystemMessage(`To ${lang}`), new HumanMessage(text)]);
  return b.bindTools([]).invoke(`Say ${text}`);
}
""")
    assert sources(found) == ["openai:a", "ollama:b", "azure:d", "google:gemini-pro"]
    assert found.models[0].params == {"max_tokens": 5}
    assert found.models[0].options == {
        "base_url": "http://x/v1", "timeout": 15.0, "api_key_env": "OPENAI_KEY",
    }  # fmt: skip
    assert found.models[1].options == {"context_size": 4096}
    assert found.models[2].options["base_url"] == "https://i.openai.azure.com"
    assert found.fallbacks == (("a", "b"), ("a", "d"))
    assert [(it.model, it.template or it.messages) for it in found.templates] == [
        ("a", (("system", "Be {x}"), ("user", "{y}"))), ("gemini-pro", (("user", "Z {z}"),)),
        ("b", (("system", "To {lang}"), ("user", "{text}"))), ("b", "Say {text}"),
    ]  # fmt: skip


# Whatever a file holds

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([
        "constructor", "secret", "not_implemented", "openai", "prompt", "llm_chain"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["lc", "type", "id", "kwargs", "repr", "_type", "llm", "prompt", "messages",
                         "template", "bound", "fallbacks", "runnable", "model", "first", "steps"]),
        inner, max_size=5),
    max_leaves=20,
)  # fmt: skip
NODES = st.builds(
    lambda name, kwargs, text: {"lc": 1, "type": "constructor" if kwargs else "not_implemented",
                                "id": ["x", name], "kwargs": kwargs, "repr": text},
    st.sampled_from(["ChatOpenAI", "LLMChain", "RunnableSequence", "RunnableWithFallbacks",
                     "RunnableBinding", "ChatPromptTemplate", "PromptTemplate", "create_agent"]),
    JSON, st.text(max_size=20),
)  # fmt: skip


@given(JSON | NODES | st.lists(NODES))
@settings(max_examples=150)
def test_no_data_breaks_the_readers(content: Any) -> None:
    read(content)


@given(st.lists(st.sampled_from([
    "ChatOpenAI", "(", ")", "model=", '"m"', "|", ".with_fallbacks([", "])", ".bind(", "x", ",",
    "PromptTemplate.from_template(", "f'{x}'", "[", "]", "\n", "x = ", ".invoke(", "**x",
]), max_size=20))  # fmt: skip
@settings(max_examples=150)
def test_no_code_breaks_the_reader(tokens: list[str]) -> None:
    assert langchain.CODE.of_code is not None
    list(langchain.CODE.of_code(Document(Path("a.py"), (IMPORTS + "".join(tokens)).encode())))


def test_values_that_hold_each_other_are_seen_once() -> None:
    lines = [f"x{at} = [x{at - 1}, x{at - 1}]" for at in range(1, 60)]
    found = python(FALLBACKS + "x0 = [a]\n" + "\n".join(lines) + "\ny = f(x59)\n")
    assert sources(found) == ["openai:a", "ollama:b"]


def test_a_file_of_thousands_of_models_is_cut_and_says_so() -> None:
    found = one([openai(model_name=f"m{at}") for at in range(1200)])
    assert len(found.models) == 1000 and codes(found) == ["unresolved"]


def test_a_pipeline_of_transformers_and_its_arguments() -> None:
    found = python(IMPORTS + """
from transformers import AutoModelForCausalLM, pipeline
model = AutoModelForCausalLM.from_pretrained("org/m")
llm = HuggingFacePipeline(pipeline=pipeline("text-generation", model=model, max_new_tokens=9))
""")
    assert [(it.source, it.params) for it in found.models] == [
        ("huggingface:org/m", {"max_tokens": 9}),
    ]  # fmt: skip


def test_prompts_that_are_filled_or_lie_in_other_files() -> None:
    found = python(FALLBACKS + """
from langchain.prompts import load_prompt
a.invoke(q.format(x=1))
file, hub = load_prompt("p.yaml"), load_prompt("lc://prompts/x.json")
half = PromptTemplate.from_template("H {x} {y}").partial(x="z") | b
""")
    assert [(it.model, it.defaults) for it in found.templates] == [
        (None, {}), ("a", {}), ("b", {"x": "z"}),
    ]  # fmt: skip
    assert codes(found) == ["unresolved", "hub-reference"]


@pytest.mark.parametrize("made", [
    'ChatOpenAI({ azureOpenAIApiDeploymentName: "dep"',
    'ChatOpenAI({ model: "gpt-4o", azureOpenAIApiDeploymentName: "dep"',
    'ChatOpenAI({ model: "dep"', 'OpenAI({ model: "dep"',
    'AzureChatOpenAI({ model: "gpt-4o", azureOpenAIApiDeploymentName: "dep"',
])
@pytest.mark.parametrize(("key", "variable"), [
    (f'"{KEY}"', "AZURE_OPENAI_API_KEY"), ("process.env.MINE", "MINE"),
])
def test_azure_in_javascript(made: str, key: str, variable: str) -> None:
    found = javascript(
        'import { AzureChatOpenAI, ChatOpenAI, OpenAI } from "@langchain/openai";\n'
        f'const llm = new {made}, azureOpenAIApiInstanceName: "inst", '
        f'azureOpenAIApiVersion: "v", azureOpenAIApiKey: {key} }});\n'
    )
    (model,) = found.models
    assert (model.source, model.options) == ("azure:dep", {
        "base_url": "https://inst.openai.azure.com", "api_version": "v", "api_key_env": variable,
    })  # fmt: skip
    assert KEY not in repr(found.as_json())


@pytest.mark.parametrize("text", [
    "_ConfigurableModel(default_config={'model': 'gpt-4o'}, configurable_fields=('model',))",
    "<langchain._ConfigurableModel object at 0x7> default_config={'model': 'gpt-4o'}",
])
def test_the_default_of_a_configurable_model_is_recovered(text: str) -> None:
    found = one(printed("langchain", "chat_models", "base", "_ConfigurableModel", text=text))
    assert sources(found) == ["openai:gpt-4o"] and codes(found) == ["from-repr"]


NIM = {"_type": "nim", "model_name": "meta/llama-3"}


@pytest.mark.parametrize(("data", "source", "address"), [
    (NIM | {"base_url": "http://box:8000/v1"}, "openai:meta/llama-3", "http://box:8000/v1"),
    (NIM | {"temperature": 0.1}, "nvidia:meta/llama-3", None),
    (NIM | {"base_url": "https://integrate.api.nvidia.com/v1"}, "nvidia:meta/llama-3", None),
    ({"_type": "azure_openai", "azure_deployment": "d", "temperature": 0.1}, "azure:d", None),
])
@pytest.mark.parametrize("is_nested", [False, True])
def test_a_type_of_another_program_is_read_as_those_of_langchain(
    data: dict[str, Any], source: str, address: str | None, is_nested: bool
) -> None:
    found = one({"llms": {"a": data}, "workflow": {"_type": "react"}} if is_nested else data)
    (model,) = found.models
    assert (model.source, model.options.get("base_url")) == (source, address)
    assert codes(found) == ["unknown-provider"] and found.error is None
