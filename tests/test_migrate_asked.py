"""What code asks models: prompts that are carried, and those of which it is said that they are not.
"""

from pathlib import Path

import pytest
from reading import codes, document

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.readers import READERS

OPENAI = "from openai import OpenAI\nc = OpenAI()\ndef f(topic, user):\n"
SCRIPT = 'import OpenAI from "openai";\nconst c = new OpenAI();\nfunction f(topic, user) {\n'
LANGCHAIN = "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model='m')\n"
NODE = (
    'import { getLlama, LlamaChatSession } from "node-llama-cpp";\n'
    "const llama = await getLlama();\n"
    'const model = await llama.loadModel({ modelPath: "./m.gguf" });\n'
    "const context = await model.createContext();\n"
    "const session = new LlamaChatSession({ contextSequence: context.getSequence() });\n"
)
GPT4ALL = "from gpt4all import GPT4All\nm = GPT4All('m.gguf')\ndef f(topic, user):\n"
ASKS = {
    "python": ("a.py", OPENAI + '  c.chat.completions.create(model="m", messages=[{"role": "user",'
               ' "content": TEXT}])\n'),
    "responses": ("a.py", OPENAI + '  c.responses.create(model="m", input=TEXT)\n'),
    "javascript": ("a.js", SCRIPT + '  c.chat.completions.create({ model: "m", messages: [{ role:'
                   ' "user", content: TEXT }] });\n}\n'),
    "langchain": ("a.py", f"{LANGCHAIN}def f(topic, user):\n  llm.invoke(TEXT)\n"),
    "messages": ("a.py", f"from langchain_core.messages import HumanMessage\n{LANGCHAIN}"
                 "def f(topic, user):\n  llm.invoke([HumanMessage(content=TEXT)])\n"),
    "node-llama-cpp": ("a.mjs", f"{NODE}function f(topic, user) {{ session.prompt(TEXT); }}\n"),
    "gpt4all": ("a.py", f"{GPT4ALL}  m.generate(TEXT)\n"),
}  # fmt: skip
PYTHON = ['f"On {topic} for {user.name}"', '"On " + user.name', 'f"{topic:>9} on"',
          '"On %s" % user.name']
JAVASCRIPT = ["`On ${topic} for ${user.name}`", '"On " + user.name', "`On ${JSON.stringify(user)}`"]


def found(folder: Path, how: str, text: str) -> Artefact:
    name, code = ASKS[how]
    file = document(folder, name, code.replace("TEXT", text))
    [artefact] = [one for reader in READERS if reader.of_code for one in reader.of_code(file)]
    return artefact


@pytest.mark.parametrize(("how", "text"), [
    (how, text) for how, (name, _) in ASKS.items()
    for text in (PYTHON if name.endswith(".py") else JAVASCRIPT)
])  # fmt: skip
def test_a_prompt_with_a_hole_that_is_no_plain_name_is_said(
    how: str, text: str, tmp_path: Path
) -> None:
    artefact = found(tmp_path, how, text)
    [said] = [one for one in artefact.warnings if one.where.endswith("prompt")]
    assert said.code == "unresolved" and ":" in said.where


@pytest.mark.parametrize("how", ASKS)
def test_of_what_is_no_prompt_nothing_is_said(how: str, tmp_path: Path) -> None:
    assert "unresolved" not in codes(found(tmp_path, how, "user.question"))
    assert "unresolved" not in codes(found(tmp_path, how, 'user["question"]'))
