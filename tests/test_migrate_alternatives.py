"""What branches and defaults decide is told alike of both languages."""

from pathlib import Path

import pytest
from reading import only, sources

from llmrr.migrate.readers import langchain, openai_code

PYTHON = {
    "openai": "from openai import OpenAI\nc = OpenAI()\ndef f(q, opts, MODEL):\n"
              "  c.chat.completions.create(model=VALUE, messages=[])\n",
    "langchain": "from langchain_openai import ChatOpenAI\ndef f(q, opts, MODEL):\n"
                 "  return ChatOpenAI(model=VALUE)\n",
}  # fmt: skip
JAVASCRIPT = {
    "openai": 'import OpenAI from "openai";\nconst c = new OpenAI();\n'
              "function f(q, opts, MODEL) {\n"
              "  c.chat.completions.create({ model: VALUE, messages: [] }); }\n",
    "langchain": 'import { ChatOpenAI } from "@langchain/openai";\n'
                 "function f(q, opts, MODEL) {\n  return new ChatOpenAI({ model: VALUE }); }\n",
}  # fmt: skip
READERS = {"openai": openai_code.READER, "langchain": langchain.CODE}
# What the model is in Python and in JavaScript (a parameter with a default: as it is declared).
CASES = {
    "parameter": ('model="a"', 'model = "a"', ["a"], "default-argument"),
    "or": ('model or "a"', 'model || "a"', ["a"], "default-argument"),
    "attribute": ('opts.model or "a"', 'opts.model ?? "a"', ["a"], "default-argument"),
    "get": ('opts.get("model", "a")', 'opts.get("model", "a")', ["a"], "default-argument"),
    "get or": ('opts.get("model") or "a"', 'opts.get("model") || "a"', ["a"], "default-argument"),
    "ternary": ('"a" if q else "b"', 'q ? "a" : "b"', ["a", "b"], "unresolved"),
    "unknown": ('"a" if q else opts.b', 'q ? "a" : opts.b', [], "unresolved"),
}  # fmt: skip


@pytest.mark.parametrize("library", READERS)
@pytest.mark.parametrize("name", ["a.py", "a.js"])
@pytest.mark.parametrize("case", CASES)
def test_models_that_branches_or_defaults_decide(
    case: str, name: str, library: str, tmp_path: Path
) -> None:
    python, javascript, models, code = CASES[case]
    is_python = name == "a.py"
    value = python if is_python else javascript
    declared = value if case == "parameter" else "model=None" if is_python else "model"
    text = (PYTHON if is_python else JAVASCRIPT)[library].replace("MODEL", declared)
    text = text.replace("VALUE", "model" if case == "parameter" else value)
    found = only(READERS[library], tmp_path, name, text)
    assert list(sources(found).values()) == [f"openai:{one}" for one in models]
    assert [one.code for one in found.warnings] == [code]


@pytest.mark.parametrize(("name", "text"), [
    ("a.py", PYTHON["openai"].replace("VALUE", '"m", temperature=0.1 if q else 0.9')),
    ("a.js", JAVASCRIPT["openai"].replace("VALUE", '"m", temperature: q ? 0.1 : 0.9')),
])  # fmt: skip
def test_a_setting_that_a_condition_decides_is_left_out_and_said(
    name: str, text: str, tmp_path: Path
) -> None:
    found = only(openai_code.READER, tmp_path, name, text.replace("MODEL", "m"))
    assert [one.params for one in found.models] == [{}]
    assert [one.code for one in found.warnings] == ["unresolved"]
