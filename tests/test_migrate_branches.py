"""Models that branches of code, defaults of parameters, or functions decide on."""

from pathlib import Path

import pytest

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.merging.setup import combined
from llmrr.migrate.readers import langchain, llamaindex

IMPORTS = """
import os
from langchain_openai import ChatOpenAI
from langchain_anthropic import ChatAnthropic
from langchain_core.prompts import PromptTemplate
from langchain.chat_models import init_chat_model
from langchain.agents import create_agent
"""
SCRIPT = """
import { ChatOpenAI } from "@langchain/openai";
import { ChatAnthropic } from "@langchain/anthropic";
import { PromptTemplate } from "@langchain/core/prompts";
"""


def python(text: str) -> Artefact:
    assert langchain.CODE.of_code is not None
    (found,) = langchain.CODE.of_code(Document(Path("app.py"), (IMPORTS + text).encode()))
    return found


def javascript(text: str) -> Artefact:
    assert langchain.CODE.of_code is not None
    (found,) = langchain.CODE.of_code(Document(Path("app.ts"), (SCRIPT + text).encode()))
    return found


def asked(found: Artefact) -> dict[str, int]:
    """How often each model is asked, by its name."""
    return {one.name: len(one.call_sites) for one in found.models}


def codes(found: Artefact) -> list[str]:
    return [one.code for one in found.warnings]


BRANCHES = {
    "if": "if os.getenv('X'):\n    llm = A\nelse:\n    llm = B\n",
    "try": "try:\n    llm = A\nexcept Exception:\n    llm = B\n",
    "before": "llm = A\nif os.getenv('X'):\n    llm = B\n",
    "expression": "llm = A if os.getenv('X') else B\n",
    "table": "llm = {'a': A, 'b': B}[input()]\n",
    "get": "llm = {'a': A}.get(input(), B)\n",
    "function": "def make():\n    if x:\n        return A\n    return B\nllm = make()\n",
    "match": "match input():\n    case 'a':\n        llm = A\n    case _:\n        llm = B\n",
}


@pytest.mark.parametrize("how", BRANCHES)
def test_both_models_are_asked_and_the_prompt_belongs_to_neither(how: str) -> None:
    text = BRANCHES[how].replace("A", 'ChatOpenAI(model="gpt-4o")')
    text = text.replace("B", 'ChatAnthropic(model="claude-3-opus")')
    found = python(text + 'p = PromptTemplate.from_template("Hi {x}")\n(p | llm).invoke({})\n')
    assert asked(found) == {"gpt-4o": 1, "claude-3-opus": 1}
    assert [(one.template, one.model) for one in found.templates] == [("Hi {x}", None)]


def test_the_same_model_in_both_branches_is_certain() -> None:
    found = python(
        'if x:\n    llm = ChatOpenAI(model="m")\nelse:\n    llm = ChatOpenAI(model="m")\n'
        'llm.invoke(f"Hi {x}")\n'
    )
    assert asked(found) == {"m": 1}
    assert [one.model for one in found.templates] == ["m"]


def test_what_is_given_again_afterwards_is_certain() -> None:
    found = python('llm = ChatOpenAI(model="a")\nllm = ChatOpenAI(model="b")\nllm.invoke("x")\n')
    assert asked(found) == {"a": 0, "b": 1}


def test_a_model_that_is_made_where_none_is_given() -> None:
    found = python(
        'def f(llm=None):\n    llm = llm or ChatOpenAI(model="m")\n    llm.invoke(f"{a}")\n'
    )
    assert asked(found) == {"m": 1}
    assert [one.model for one in found.templates] == ["m"]


def test_fallbacks_in_branches() -> None:
    found = python(
        'a = ChatOpenAI(model="a")\nb = ChatOpenAI(model="b")\nc = ChatAnthropic(model="c")\n'
        "if x:\n    llm = a.with_fallbacks([c])\nelse:\n    llm = b.with_fallbacks([c])\n"
        'llm.invoke("x")\n'
    )
    assert found.fallbacks == (("a", "c"), ("b", "c"))
    assert asked(found) == {"a": 1, "b": 1, "c": 0}


def test_each_name_that_branches_give_a_model() -> None:
    found = python(
        'name = "gpt-4o" if fast else "gpt-4.1"\nChatOpenAI(model=name, temperature=0)\n'
        'init_chat_model("openai:o3" if x else "anthropic:claude-3-opus")\n'
        'create_agent("openai:gpt-5" if x else "openai:gpt-5-mini", tools=[])\n'
    )
    assert [one.source for one in found.models] == [
        "openai:gpt-4o", "openai:gpt-4.1", "openai:o3", "anthropic:claude-3-opus", "openai:gpt-5",
        "openai:gpt-5-mini",
    ]  # fmt: skip
    assert found.models[1].params == {"temperature": 0}


def test_defaults_of_parameters_are_taken_and_told() -> None:
    found = python(
        "class Bot:\n"
        '    def __init__(self, model: str = "gpt-4o", *, temperature=0.7, seed=None):\n'
        "        self.llm = ChatOpenAI(model=model, temperature=temperature, seed=seed)\n"
        '    def ask(self):\n        return self.llm.invoke("x")\n'
    )
    (model,) = found.models
    assert (model.source, model.params) == ("openai:gpt-4o", {"temperature": 0.7})
    assert codes(found) == ["default-argument", "default-argument"]


def test_what_functions_of_the_file_are_called_with() -> None:
    found = python(
        "def make(name, temperature=0):\n"
        "    return ChatOpenAI(model=name, temperature=temperature)\n"
        'make("a", temperature=0)\nmake(name="b")\n'
        "class Bot:\n    def __init__(self, model):\n"
        "        self.llm = ChatAnthropic(model=model, max_tokens=9)\n"
        'Bot("c")\n'
    )
    assert [(one.source, one.params) for one in found.models] == [
        ("openai:a", {"temperature": 0}), ("openai:b", {"temperature": 0}),
        ("anthropic:c", {"max_tokens": 9}),
    ]  # fmt: skip


def test_a_pipeline_of_a_model_that_is_moved_and_named_by_calls() -> None:
    found = python(
        "from transformers import AutoModelForCausalLM, pipeline\n"
        "from langchain_huggingface import HuggingFacePipeline\n"
        "def make(name):\n    model = AutoModelForCausalLM.from_pretrained(name)\n"
        '    if x:\n        model = model.to("mps")\n'
        '    pipe = pipeline("text-generation", model=model, max_new_tokens=5)\n'
        "    return HuggingFacePipeline(pipeline=pipe)\n"
        'make("org/a")\nmake("org/b")\n'
    )
    assert [one.source for one in found.models] == ["huggingface:org/a", "huggingface:org/b"]
    assert found.models[1].params == {"max_tokens": 5}


def test_a_default_behind_or() -> None:
    found = python('ChatOpenAI(model=config.model or "gpt-4o")')
    assert [one.source for one in found.models] == ["openai:gpt-4o"]
    assert codes(found) == ["default-argument"]


def test_a_key_as_default_is_never_shown() -> None:
    key = "0f1e2d3c4b5a6978a1b2c3d4"
    found = python(f'def f(k="{key}"):\n    return ChatOpenAI(model="m", api_key=k)\n')
    assert found.models[0].options == {"api_key_env": "OPENAI_API_KEY"}
    assert codes(found) == ["secret-in-clear"]
    assert key not in str(found.as_json())


def test_a_value_of_which_one_branch_is_not_known_is_not_guessed() -> None:
    found = python('ChatOpenAI(model="m", temperature=0.5 if x else y)')
    assert found.models[0].params == {}
    assert codes(found) == ["unresolved"]


MADE = {
    "switch": "let llm; switch (x) { case 'a': llm = A; break; default: llm = B; }",
    "if": "let llm; if (x) { llm = A } else { llm = B }",
    "table": "const llm = { a: A, b: B }[x];",
    "ternary": "const llm = x ? A : B;",
    "function": "function make(x) { if (x) return A; return B; }\nconst llm = make(x);",
}


@pytest.mark.parametrize("how", MADE)
def test_branches_of_javascript(how: str) -> None:
    text = MADE[how].replace("A", 'new ChatOpenAI({ model: "gpt-4o" })', 1)
    text = text.replace("B", 'new ChatAnthropic({ model: "claude-3-opus" })', 1)
    found = javascript(
        text + '\nPromptTemplate.fromTemplate("Hi {x}").pipe(llm).invoke({});\nllm.invoke("x");'
    )
    assert asked(found) == {"gpt-4o": 2, "claude-3-opus": 2}
    assert [(one.template, one.model) for one in found.templates] == [("Hi {x}", None)]


def test_a_model_that_is_kept_between_requests() -> None:
    found = javascript(
        "let kept = null;\nfunction model() {\n  if (kept) return kept;\n"
        '  kept = new ChatOpenAI({ model: "m" });\n  return kept;\n}\nmodel().invoke(`Say ${t}`);'
    )
    assert asked(found) == {"m": 1}
    assert [one.model for one in found.templates] == ["m"]


def test_defaults_of_javascript() -> None:
    found = javascript(
        'function make({ model = "a", temperature = 0.3 } = {}) {\n'
        "  return new ChatOpenAI({ model, temperature });\n}\n"
        'new ChatOpenAI({ model: cfg.model ?? "b" });\n'
        'new ChatOpenAI({ model: fast ? "c" : "d" });\n'
    )
    assert [one.source for one in found.models] == [f"openai:{one}" for one in "abcd"]
    assert found.models[0].params == {"temperature": 0.3}


def test_ollama_behind_its_openai_address() -> None:
    found = python('ChatOpenAI(model="qwen3", base_url="http://box:11434/v1", api_key="ollama")')
    assert found.models[0].options == {"base_url": "http://box:11434/v1"}
    assert codes(found) == ["ollama-server"]


def test_a_key_of_another_server_is_not_openais() -> None:
    assert llamaindex.CODE.of_code is not None
    text = (
        "from llama_index.llms.openai_like import OpenAILike\n"
        'OpenAILike(model="qwen3", api_key="0f1e2d3c4b5a6978", api_base="https://llm.example/v1")\n'
    )
    (found,) = llamaindex.CODE.of_code(Document(Path("app.py"), text.encode()))
    assert [(one.source, one.options) for one in combined([found], Path()).models] == [
        ("openai:qwen3", {"base_url": "https://llm.example/v1", "api_key_env": "QWEN3_API_KEY"}),
    ]


def test_a_usual_tier_says_nothing() -> None:
    assert python('ChatOpenAI(model="m", service_tier="auto")').warnings == ()
    assert codes(python('ChatOpenAI(model="m", service_tier="flex")')) == ["unmapped-parameter"]
