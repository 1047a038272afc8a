"""Code that runs a model with llama-cpp-python."""

from pathlib import Path
from typing import Any

import pytest

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import llama_cpp_python


def one(text: str) -> Artefact:
    code = f"from llama_cpp import Llama\nimport os\nfrom pathlib import Path\n{text}"
    found = list(llama_cpp_python.of_code(Document(Path("app.py"), code.encode())))
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(("text", "source", "stated"), [
    ("Llama(model_path='./models/a.gguf', n_ctx=2048, n_gpu_layers=-1, n_threads=4, verbose=False)",
     "file:./models/a.gguf", {"context_size": 2048, "gpu_layers": -1, "threads": 4}),
    ("Llama('a.gguf', use_mmap=False, use_mlock=True, flash_attn=True, lora_path='l.gguf')",
     "file:a.gguf", {"mmap": False, "mlock": True, "flash_attention": True, "lora": "l.gguf"}),
    ("Llama(model_path=str(Path(__file__).parent / 'm' / 'a.gguf'), n_ctx=0, seed=-1, type_k=8)",
     "file:./m/a.gguf", {"kv_type": "q8_0"}),
    ("Llama(model_path=os.path.join('models', 'a.gguf'), seed=7)", "file:models/a.gguf",
     {"seed": 7}),
    ("Llama.from_pretrained(repo_id='o/R-GGUF', filename='*q8_0.gguf')",
     "huggingface:o/R-GGUF:Q8_0", {}),
    ("Llama.from_pretrained('o/R', 'a.Q4_K_M.gguf')", "huggingface:o/R/a.Q4_K_M.gguf", {}),
    ("from huggingface_hub import hf_hub_download\n"
     "p = hf_hub_download(repo_id='o/R', filename='a.gguf', revision='v1')\nLlama(model_path=p)",
     "huggingface:o/R/a.gguf@v1", {}),
    ("llm = Llama('a.gguf')\nllm.create_chat_completion(messages=[{'role': 'system', 'content': 'Be"
     " brief.'}, {'role': 'user', 'content': q}], temperature=0.1, max_tokens=9, stop='E')",
     "file:a.gguf", {"system": "Be brief.", "temperature": 0.1, "max_tokens": 9, "stop": ["E"]}),
    ("class A:\n    def __init__(self):\n        self.llm = Llama(model_path='a.gguf')\n"
     "    def f(self, q):\n"
     "        return self.llm(q, max_tokens=-1, repeat_penalty=1.1, echo=True)",
     "file:a.gguf", {"repeat_penalty": 1.1}),
])  # fmt: skip
def test_models(text: str, source: str, stated: dict[str, Any]) -> None:
    found = one(text)
    assert [m.source for m in found.models] == [source]
    assert {**found.models[0].params, **found.models[0].options} == stated
    assert found.kind == "llama-cpp-python-code" and found.warnings == ()


def test_calls_with_other_parameters_are_other_models() -> None:
    found = one(
        "llm = Llama('a.gguf')\ndef ask(q):\n"
        "    return llm(f'Q: {q} A:', max_tokens=32, stop=['Q:'])\n"
        "def chat(q):\n    return llm.create_chat_completion(messages=m, temperature=0)\n"
    )
    assert [(m.name, m.params, m.call_sites) for m in found.models] == [
        ("a", {"max_tokens": 32, "stop": ["Q:"]}, [6]), ("a-2", {"temperature": 0}, [8]),
    ]  # fmt: skip
    assert [(t.name, t.template, t.model) for t in found.templates] == [("ask", "Q: {q} A:", "a")]


@pytest.mark.parametrize(("text", "code", "models"), [
    ("Llama('a.gguf', chat_format='chatml')", "chat-template", 1),
    ("Llama('a.gguf', tensor_split=[1, 1])", "gpu-split", 1),
    ("Llama('a.gguf', rope_freq_base=1e6)", "unmapped-parameter", 1),
    ("Llama('a.gguf', n_ctx=n)", "unresolved", 1), ("Llama('a.gguf', **kw)", "unresolved", 1),
    ("Llama('a.gguf')('x', grammar=g)", "tools", 1), ("Llama(model_path=p)", "unresolved", 0),
    ("Llama(**kw)", "unresolved", 0), ("Llama()", "no-model", 0),
    ("Llama('a.gguf', embedding=True)", "embedding-model", 0),
    ("Llama(model_path=os.environ['M'])", "unresolved", 0),
])  # fmt: skip
def test_warnings(text: str, code: str, models: int) -> None:
    found = one(text)
    assert [notice.code for notice in found.warnings] == [code] and len(found.models) == models


def test_other_code_is_left() -> None:
    document = Document(Path("a.py"), b"from llama_index import Llama\nLlama('a.gguf')")
    assert list(llama_cpp_python.of_code(document)) == []
