"""The guide's platform examples, from what a user has to an answer: scan, apply, run; for weights
that no engine reads, convert before that."""

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dialogpt
import pytest
from builders import tiny_llama
from openai_servers import OpenAIServer
from provider_servers import KEY
from terminal import Typed

TRANSFORMERS = """
from transformers import AutoTokenizer, AutoModelForCausalLM
import torch

tokenizer = AutoTokenizer.from_pretrained("microsoft/DialoGPT-medium")
model = AutoModelForCausalLM.from_pretrained("microsoft/DialoGPT-medium")

def generate_response(prompt):
    inputs = tokenizer.encode(prompt + tokenizer.eos_token, return_tensors='pt')
    outputs = model.generate(inputs, max_length=1000, pad_token_id=tokenizer.eos_token_id)
    return tokenizer.decode(outputs[0], skip_special_tokens=True)
"""
LANGCHAIN = """
import { ChatOpenAI } from 'langchain/chat_models/openai';
import { PromptTemplate } from 'langchain/prompts';
import { LLMChain } from 'langchain/chains';

const llm = new ChatOpenAI({ modelName: 'gpt-3.5-turbo', temperature: 0.7 });
const prompt = PromptTemplate.fromTemplate("You are a helpful assistant. {question}");
const chain = new LLMChain({ llm, prompt });
const response = await chain.call({ question: "What is AI?" });
"""
NODE_LLAMA_CPP = """
import { LlamaCpp } from 'node-llama-cpp';

const model = new LlamaCpp({ modelPath: './models/llama-2-7b-chat.gguf', contextSize: 2048 });
const response = await model.generate(prompt, { maxTokens: 512, temperature: 0.8 });
"""
OPENAI = """
import OpenAI from 'openai';

const openai = new OpenAI({ apiKey: process.env.OPENAI_API_KEY });
const completion = await openai.chat.completions.create({
  model: 'gpt-3.5-turbo',
  messages: [{ role: 'user', content: prompt }],
  temperature: 0.7,
  max_tokens: 1000
});
"""


class GuidesServer(OpenAIServer):
    """OpenAI's protocol, with the model that the guide asks."""

    def knows(self, path: str, body: Any) -> bool:
        return path.startswith("/v1/chat/completions") and body.get("model") == "gpt-3.5-turbo"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[GuidesServer]:
    with GuidesServer() as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.address}/v1")
        yield server


def migrated(typed: Typed, name: str, text: str, *more: str) -> dict[str, Any]:
    """What ``apply`` writes for a file of code, in which ``config check`` finds nothing wrong."""
    Path(name).write_text(text)
    found = typed("migrate", "scan", name, *more, "--json")
    assert found.code == 0, found.err
    assert found.json["artefacts"][0]["models"]
    done = typed("migrate", "apply", name, *more)
    assert done.code == 0, done.err
    assert typed("config", "check").code == 0
    return tomllib.loads(Path("llmrr.toml").read_text())


def test_transformers(typed: Typed) -> None:
    hub = Path(os.environ["HF_HOME"]) / "hub"
    dialogpt.cached(hub, dialogpt.folder(Path("made")))
    assert migrated(typed, "chat.py", TRANSFORMERS, str(hub))["models"] == [{
        "name": "DialoGPT-medium", "source": "huggingface:microsoft/DialoGPT-medium",
        "params": {"max_tokens": 1000, "stop": ["<|endoftext|>"]},
    }]  # fmt: skip
    before = typed("run", "hello there")
    assert before.code != 0
    assert "pytorch" in before.err
    made = typed("convert", "huggingface:microsoft/DialoGPT-medium", "--to", "gguf", "--json")
    assert made.code == 0, made.out + made.err
    answer = typed("run", "hello there", "--max-tokens", "6", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["model"] == "DialoGPT-medium"
    assert answer.json["usage"]["completion_tokens"] > 0


def test_a_folder_of_transformers(typed: Typed) -> None:
    """The same weights in a folder of the project."""
    dialogpt.folder(Path("models/DialoGPT-medium"))
    text = TRANSFORMERS.replace("microsoft/DialoGPT-medium", "./models/DialoGPT-medium")
    [model] = migrated(typed, "chat.py", text)["models"]
    assert model["source"] == "file:./models/DialoGPT-medium"
    made = typed("convert", "models/DialoGPT-medium", "--to", "gguf", "-O", "models/tiny.gguf")
    assert made.code == 0, made.err
    done = typed("migrate", "apply", "chat.py", "--force", "--replace",
                 "file:./models/DialoGPT-medium=file:./models/tiny.gguf")  # fmt: skip
    assert done.code == 0, done.err
    answer = typed("run", "hello there", "--max-tokens", "6", "--json")
    assert answer.code == 0, answer.err


def test_langchain(typed: Typed, served: GuidesServer) -> None:
    found = migrated(typed, "chain.js", LANGCHAIN)
    assert [one["source"] for one in found["models"]] == ["openai:gpt-3.5-turbo"]
    [(name, template)] = found["templates"].items()
    assert template["template"] == "You are a helpful assistant. {question}"
    answer = typed("run", "-t", name, "-P", "question", "What is AI?")
    assert (answer.code, answer.out) == (0, "Hello, world!\n"), answer.err
    asked = served.last.body
    assert asked["messages"][-1]["content"] == "You are a helpful assistant. What is AI?"
    assert (asked["model"], asked["temperature"]) == ("gpt-3.5-turbo", 0.7)


def test_node_llama_cpp(typed: Typed) -> None:
    Path("models").mkdir()
    tiny_llama(Path("models/llama-2-7b-chat.gguf"), context=2048)
    assert migrated(typed, "llama.js", NODE_LLAMA_CPP)["models"] == [{
        "name": "llama-2-7b-chat", "source": "file:./models/llama-2-7b-chat.gguf",
        "params": {"max_tokens": 512, "temperature": 0.8}, "options": {"context_size": 2048},
    }]  # fmt: skip
    answer = typed("run", "What is AI?", "--max-tokens", "5", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["engine"] == "llamacpp"
    assert answer.json["usage"]["completion_tokens"] > 0


def test_openai(typed: Typed, served: GuidesServer) -> None:
    [model] = migrated(typed, "app.js", OPENAI)["models"]
    assert model["source"] == "openai:gpt-3.5-turbo"
    assert model["options"] == {"api_key_env": "OPENAI_API_KEY"}
    answer = typed("run", "What is AI?")
    assert (answer.code, answer.out) == (0, "Hello, world!\n"), answer.err
    asked = served.last.body
    assert (asked["temperature"], asked.get("max_tokens", asked.get("max_completion_tokens"))) == (
        0.7, 1000)  # fmt: skip
    assert KEY not in Path("llmrr.toml").read_text() + json.dumps(asked)
