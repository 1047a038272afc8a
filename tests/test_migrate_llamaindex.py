"""What LlamaIndex writes of its models, and code that uses it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import llamaindex

KEY = "0f1e2d3c4b5a6978a1b2c3d4e5f60718"
OPENAI = {
    "system_prompt": None, "pydantic_program_mode": "default", "model": "gpt-4o-mini",
    "temperature": 0.1, "max_tokens": 256, "logprobs": None, "top_logprobs": 0,
    "additional_kwargs": {}, "max_retries": 3, "timeout": 60.0, "default_headers": None,
    "reuse_client": True, "api_key": KEY, "api_base": "https://api.openai.com/v1",
    "api_version": "", "strict": False, "reasoning_effort": None, "modalities": None,
    "audio_config": None, "class_name": "openai_llm",
}  # fmt: skip


def read(content: Any) -> list[Artefact]:
    """What is found in a file of data."""
    assert llamaindex.DICTS.of_data is not None
    data = content if isinstance(content, str) else json.dumps(content)
    return list(llamaindex.DICTS.of_data(Document(Path("llm.json"), data.encode())))


def one(content: Any) -> Artefact:
    """The only artefact of a file of data."""
    (found,) = read(content)
    return found


def code(text: str, name: str = "app.py") -> Artefact:
    """What is found in code."""
    assert llamaindex.CODE.of_code is not None
    (found,) = llamaindex.CODE.of_code(Document(Path(name), text.encode()))
    return found


def codes(found: Artefact) -> list[str]:
    return [it.code for it in found.warnings]


def test_a_model_of_openai_with_its_key_in_clear() -> None:
    found = one(OPENAI)
    (model,) = found.models
    assert (found.kind, model.source) == ("llamaindex", "openai:gpt-4o-mini")
    assert model.params == {"temperature": 0.1, "max_tokens": 256}
    assert model.options == {
        "max_retries": 3, "timeout": 60.0, "api_key_env": "OPENAI_API_KEY",
    }  # fmt: skip
    assert codes(found) == ["secret-in-clear"] and KEY[:4] not in json.dumps(found.as_json())


@pytest.mark.parametrize(("stated", "source", "params", "options"), [
    ({"class_name": "Ollama_llm", "model": "llama3.1", "context_window": 8000,
      "request_timeout": 120.0, "base_url": "http://localhost:11434", "prompt_key": "prompt",
      "json_mode": False, "additional_kwargs": {"num_predict": 5}},
     "ollama:llama3.1", {"max_tokens": 5}, {"context_size": 8000, "timeout": 120.0}),
    ({"class_name": "OpenAILike", "model": "m", "api_base": "http://x:8000/v1", "api_key": "fake",
      "is_chat_model": True, "additional_kwargs": {"seed": 3}},
     "openai:m", {"seed": 3}, {"base_url": "http://x:8000/v1"}),
    ({"class_name": "Anthropic_LLM", "model": "claude-3", "max_tokens": 512, "thinking": None},
     "anthropic:claude-3", {"max_tokens": 512}, {}),
    ({"class_name": "azure_openai_llm", "model": "gpt-4", "engine": "d", "use_azure_ad": False,
      "azure_endpoint": "https://x.openai.azure.com/", "api_version": "2024-02-01"},
     "azure:d", {}, {"base_url": "https://x.openai.azure.com/", "api_version": "2024-02-01",
                     "api_key_env": "AZURE_OPENAI_API_KEY"}),
    ({"class_name": "HuggingFace_LLM", "model_name": "org/m", "max_new_tokens": 9,
      "context_window": 3900, "generate_kwargs": {"top_k": 5}, "tokenizer_name": "org/m"},
     "huggingface:org/m", {"max_tokens": 9, "top_k": 5}, {"context_size": 3900}),
    ({"class_name": "LlamaCPP", "model_path": "/m/a.gguf", "model_url": None,
      "model_kwargs": {"n_gpu_layers": 1}}, "file:/m/a.gguf", {}, {"gpu_layers": 1}),
    ({"class_name": "LLAMACPP", "model_path": None, "model_url":
      "https://huggingface.co/o/r/resolve/main/a.gguf"}, "huggingface:o/r", {}, {"file": "a.gguf"}),
])  # fmt: skip
def test_models_by_their_class(
    stated: dict[str, Any], source: str, params: dict[str, Any], options: dict[str, Any]
) -> None:
    found = one(stated)
    (model,) = found.models
    assert (model.source, model.params, model.options) == (source, params, options)
    assert not found.warnings


def test_a_wrapper_and_a_table_that_holds_models() -> None:
    found = one({"class_name": "structured_llm", "llm": OPENAI, "output_cls": "A"})
    assert [it.source for it in found.models] == ["openai:gpt-4o-mini"]
    held = one({"llm": OPENAI, "embed_model": {"class_name": "OpenAIEmbedding", "model_name": "e"}})
    assert len(held.models) == 1 and "embedding-model" in codes(held)


def test_a_model_of_nobody_known() -> None:
    found = one({"class_name": "watsonx_llm", "model": "granite"})
    assert not found.models and codes(found) == ["unknown-provider"]


@pytest.mark.parametrize("other", [
    {"class_name": "MockLLM", "max_tokens": 5}, {"class_name": "MockLLMWithChatMemoryOfLastCall"},
    {"docstore/data": {"a": {"__data__": {"class_name": "TextNode", "text": "openai_llm"}}}},
    {"index_store/data": {"a": {"__type__": "vector_store", "__data__": "{}"}}},
    {"class_name": "Sequential", "config": {"layers": []}}, {"class_name": 3}, [],
])  # fmt: skip
def test_other_files_are_left(other: Any) -> None:
    assert not read(other)


def test_python() -> None:
    found = code("""
import os
from llama_index.core import ChatPromptTemplate, PromptTemplate, Settings, VectorStoreIndex
from llama_index.core.llms import ChatMessage, MessageRole, MockLLM
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.huggingface import HuggingFaceLLM
from llama_index.llms.ollama import Ollama
from llama_index.llms.openai import OpenAI
Settings.llm = OpenAI(model="gpt-4o", temperature=0.1, system_prompt="Be nice",
                      api_key=os.environ["K"])
Settings.embed_model = OpenAIEmbedding(model="e")
b = Ollama(model="b", request_timeout=120.0, context_window=8000)
c = HuggingFaceLLM(model_name="o/m", max_new_tokens=5, generate_kwargs={"temperature": 0.7})
qa = PromptTemplate("Context {context_str} Question {query_str}")
chat = ChatPromptTemplate(message_templates=[
    ChatMessage(role=MessageRole.SYSTEM, content="S {a}"), ChatMessage(role="user", content="{b}")])
mock = MockLLM()
index = VectorStoreIndex.from_documents([])
engine = index.as_query_engine(llm=b, text_qa_template=qa)
b.chat([ChatMessage(role="system", content="Be {terse}"), ChatMessage(role="user", content="x")])
""")
    assert [it.source for it in found.models] == ["openai:gpt-4o", "ollama:b", "huggingface:o/m"]
    assert found.models[0].params == {"temperature": 0.1, "system": "Be nice"}
    assert found.models[0].options == {"api_key_env": "K"}
    assert found.models[1].options == {"timeout": 120.0, "context_size": 8000}
    assert found.models[1].call_sites == [20]
    assert found.models[2].params == {"temperature": 0.7, "max_tokens": 5}
    assert [(it.model, it.template or it.messages) for it in found.templates] == [
        ("b", "Context {context_str} Question {query_str}"),
        (None, (("system", "S {a}"), ("user", "{b}"))),
        ("b", (("system", "Be {{terse}}"), ("user", "x"))),
    ]  # fmt: skip
    assert codes(found) == ["embedding-model", "framework-logic"]


def test_older_python_that_is_decided_by_variables() -> None:
    found = code("""
import os
from llama_index import ServiceContext
from llama_index.llms import OpenAI
service = ServiceContext.from_defaults(llm=OpenAI(model=os.getenv("MODEL")),
                                       embed_model="local:BAAI/bge-small-en")
""")
    assert not found.models and codes(found) == ["unresolved", "embedding-model"]


def test_typescript() -> None:
    found = code("""
import { OpenAI, Settings } from "llamaindex";
import { ollama } from "@llamaindex/ollama";
Settings.llm = new OpenAI({ model: process.env.MODEL ?? "gpt-4o", temperature: 0.2, maxTokens: 5,
  apiKey: process.env.K, baseURL: "http://x/v1" });
const b = ollama({ model: "llama3.2" });
""", "settings.ts")
    assert [it.source for it in found.models] == ["openai:gpt-4o", "ollama:llama3.2"]
    assert found.models[0].params == {"temperature": 0.2, "max_tokens": 5}
    assert found.models[0].options == {"api_key_env": "K", "base_url": "http://x/v1"}
    assert codes(found) == ["env-default"]


def test_other_code_is_left() -> None:
    assert llamaindex.CODE.of_code is not None
    text = b'from openai import OpenAI\nc = OpenAI(model="x")\n'
    assert not list(llamaindex.CODE.of_code(Document(Path("a.py"), text)))


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["class_name", "llm", "model", "temperature", "api_key", "api_base"]),
        inner | st.sampled_from(["openai_llm", "Ollama_llm", "structured_llm"]), max_size=4),
)  # fmt: skip


@given(VALUES)
@settings(max_examples=150)
def test_no_data_breaks_the_reader(content: Any) -> None:
    read(content)
