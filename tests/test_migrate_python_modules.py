"""Parameters of functions and of command lines, and names of modules of the same tree."""

from pathlib import Path

import pytest
from planted import KEYS, assert_absent

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import openai_code, transformers_code
from llmrr.migrate.scanning import scan

ASK = "client.chat.completions.create(model={}, messages=m)\n"
HEAD = "import os, argparse\nfrom openai import OpenAI\nclient = OpenAI()\n"


def one(text: str) -> Artefact:
    (found,) = openai_code.of_code(Document(Path("app.py"), (HEAD + text).encode()))
    return found


def sources(text: str) -> list[str]:
    return [model.source for model in one(text).models]


def codes(found: Artefact) -> list[str]:
    return [notice.code for notice in found.warnings]


@pytest.mark.parametrize(("text", "expected", "warned"), [
    ("def f(p, model='a'):\n    " + ASK.format("model"), ["openai:a"], ["default-argument"]),
    ("def f(p, *, model: str = 'a'):\n    " + ASK.format("model"), ["openai:a"],
     ["default-argument"]),
    ("def f(p, model='a'):\n    " + ASK.format("model") + "f(1)\n", ["openai:a"], []),
    ("def f(p, model='a'):\n    " + ASK.format("model") + "f(1)\nf(2, 'b')\n",
     ["openai:a", "openai:b"], []),
    ("def f(p, model):\n    " + ASK.format("model") + "f(1, model='b')\n", ["openai:b"], []),
    ("def f(p, model=None):\n    " + ASK.format("model or 'd'"), ["openai:d"],
     ["default-argument"]),
    ("def f(p, model=None):\n    if model is None:\n        model = 'd'\n    "
     + ASK.format("model"), ["openai:d"], ["default-argument"]),
    ("def f(p, model=None):\n    model = 'd' if model is None else model\n    "
     + ASK.format("model"), ["openai:d"], ["default-argument"]),
    ("def f(p, model):\n    " + ASK.format("model"), [], ["unresolved"]),
    ("def f(p, model=None):\n    " + ASK.format("model"), [], ["unresolved"]),
    ("def f(p, model=g()):\n    " + ASK.format("model"), [], ["unresolved"]),
    ("def f(p, model):\n    " + ASK.format("model") + "f(1, **kw)\n", [], ["unresolved"]),
    ("class A:\n    def __init__(self, model='a'):\n        self.model = model\n"
     "    def f(self):\n        " + ASK.format("self.model") + "A(model='b').f()\n",
     ["openai:b"], []),
    ("p = argparse.ArgumentParser()\np.add_argument('-m', '--the-model', default='a')\n"
     "args = p.parse_args()\n" + ASK.format("args.the_model"), ["openai:a"],
     ["default-argument"]),
    ("p = argparse.ArgumentParser()\np.add_argument('--model')\nargs = p.parse_args()\n"
     + ASK.format("args.model"), [], ["unresolved"]),
    ("import click\n@click.command()\n@click.option('--model', default='a')\ndef f(model):\n    "
     + ASK.format("model"), ["openai:a"], ["default-argument"]),
    ("import typer\ndef f(model: str = typer.Option('a', '--model')):\n    "
     + ASK.format("model"), ["openai:a"], ["default-argument"]),
    ("model = 'a' if x else 'b'\n" + ASK.format("model"), ["openai:a", "openai:b"],
     ["unresolved"]),
    ("if x:\n    model = 'a'\nelse:\n    model = 'b'\n" + ASK.format("model"),
     ["openai:a", "openai:b"], ["unresolved"]),
    ("T = {'x': {'model': 'a'}}\ndef f(name='x'):\n    t = T[name]\n    "
     + ASK.format("t['model']"), ["openai:a"], []),
    ("def f(model='a'):\n    f(model)\n    " + ASK.format("model"), ["openai:a"],
     ["default-argument"]),
])  # fmt: skip
def test_what_a_parameter_is(text: str, expected: list[str], warned: list[str]) -> None:
    found = one(text)
    assert [model.source for model in found.models] == expected
    assert codes(found) == warned


def test_what_is_left_out_by_default_says_nothing() -> None:
    found = one("def f(q, max_tokens=None, stop=None, temperature=0.5):\n    client.chat."
                "completions.create(model='a', messages=[], max_tokens=max_tokens, stop=stop,"
                " temperature=temperature)\n")  # fmt: skip
    assert found.models[0].params == {"temperature": 0.5}
    assert codes(found) == ["default-argument"]


def test_a_hole_that_is_a_parameter_stays_one() -> None:
    found = one("def f(q='x'):\n    client.chat.completions.create(model='a', messages=[{'role':"
                " 'user', 'content': f'Q: {q}'}])\nf('y')\n")  # fmt: skip
    assert [(t.name, t.template) for t in found.templates] == [("f", "Q: {q}")]


def test_a_system_prompt_that_is_a_default() -> None:
    found = one("S = 'Be brief.'\ndef f(q, system=S):\n    client.chat.completions.create(model='a'"
                ", messages=[{'role': 'system', 'content': system}, {'role': 'user',"
                " 'content': q}])\n")  # fmt: skip
    assert found.models[0].params == {"system": "Be brief."}


def test_a_client_that_is_handed_over_is_that_client() -> None:
    text = (
        "class A:\n    def __init__(self, client: OpenAI):\n        self.c = client\n"
        "    def f(self):\n        self.c.chat.completions.create(model='a', messages=[])\n"
        "A(OpenAI(base_url='http://box/v1'))\n"
        "def g(client):\n    done = client.chat.completions\n"
        "    done.create(model='b', messages=[])\ng(OpenAI(base_url='http://two/v1'))\n"
    )
    found = [(m.source, m.options.get("base_url")) for m in one(text).models]
    assert found == [("openai:a", "http://box/v1"), ("openai:b", "http://two/v1")]


def test_a_key_that_is_a_parameter() -> None:
    text = (
        "class A:\n    def __init__(self, key=None):\n        self.c = OpenAI(api_key=key or"
        " os.getenv('MY_KEY'))\n    def f(self):\n        self.c.chat.completions.create("
        "model='a', messages=[])\n"
    )
    assert one(text).models[0].options == {"api_key_env": "MY_KEY"}


def test_gradios_fields_are_the_defaults_of_its_function() -> None:
    text = (
        "import gradio as gr\nfrom huggingface_hub import InferenceClient\n"
        "client = InferenceClient('org/model')\n"
        "def respond(message, history, max_tokens, temperature):\n"
        "    client.chat_completion(m, max_tokens=max_tokens, temperature=temperature)\n"
        "gr.ChatInterface(respond, additional_inputs=[gr.Slider(1, 9, 512), gr.Slider(value=0.7)])"
    )
    (found,) = transformers_code.of_code(Document(Path("app.py"), text.encode()))
    assert found.models[0].params == {"max_tokens": 512, "temperature": 0.7}


# Modules of the same tree.

FILES = {
    "app/__init__.py": "",
    "app/core/__init__.py": "from .config import settings\n",
    "app/core/config.py": (
        "from functools import lru_cache\nfrom pydantic_settings import BaseSettings\n"
        "class Settings(BaseSettings):\n    openai_model: str = 'gpt-x'\n    temperature: float ="
        " 0.3\n@lru_cache\ndef get_settings():\n    return Settings()\nsettings = get_settings()\n"
        "MODELS = {'big': 'gpt-big'}\nclass Config:\n    MODEL = 'gpt-c'\n"
    ),
    "app/clients.py": (
        "import os\nfrom openai import OpenAI\nclient = OpenAI(base_url='http://box/v1',"
        " api_key=os.environ['BOX_KEY'])\ndef other():\n    return OpenAI(base_url='http://two/v1')\n"
    ),
    "app/prompts.py": "SYSTEM = 'Be brief.'\nQUESTION = 'Q: {q}'\n",
}


def scanned(tmp_path: Path, text: str, name: str = "app/services/ask.py") -> Artefact:
    for path, content in {**FILES, name: text}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    found = [one for one in scan([tmp_path]).artefacts if one.path.name == "ask.py"]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(("imports", "model", "expected"), [
    ("from app.core.config import settings", "settings.openai_model", "gpt-x"),
    ("from app.core.config import get_settings", "get_settings().openai_model", "gpt-x"),
    ("from app.core.config import get_settings\ns = get_settings()", "s.openai_model", "gpt-x"),
    ("from app.core.config import Settings\ns = Settings()", "s.openai_model", "gpt-x"),
    ("from app.core import settings", "settings.openai_model", "gpt-x"),
    ("from app.core import config", "config.Config.MODEL", "gpt-c"),
    ("import app.core.config as c", "c.MODELS['big']", "gpt-big"),
    ("from ..core.config import MODELS", "MODELS['big']", "gpt-big"),
    ("from ..core import config", "config.MODELS['big']", "gpt-big"),
])  # fmt: skip
def test_names_of_other_modules(
    tmp_path: Path, imports: str, model: str, expected: str
) -> None:
    text = f"from openai import OpenAI\n{imports}\nai = OpenAI()\n"
    found = scanned(tmp_path, f"{text}ai.chat.completions.create(model={model}, messages=[])\n")
    assert [one.source for one in found.models] == [f"openai:{expected}"]


def test_clients_and_prompts_of_other_modules(tmp_path: Path) -> None:
    found = scanned(tmp_path, (
        "from app.clients import client, other\nfrom app.prompts import SYSTEM\n"
        "client.chat.completions.create(model='a', messages=[{'role': 'system', 'content': SYSTEM}"
        "])\nmine = other()\nmine.chat.completions.create(model='b', messages=[])\n"
    ))  # fmt: skip
    assert [(one.source, one.params, one.options) for one in found.models] == [
        ("openai:a", {"system": "Be brief."},
         {"base_url": "http://box/v1", "api_key_env": "BOX_KEY"}),
        ("openai:b", {}, {"base_url": "http://two/v1", "api_key_env": "OPENAI_API_KEY"}),
    ]  # fmt: skip


@pytest.mark.parametrize(("imports", "module"), [
    ("from config import MODEL", "config.MODEL"), ("from app.core.config import MODEL",
     "app.core.config.MODEL"), ("from ......x import MODEL", "......x.MODEL"),
])  # fmt: skip
def test_what_no_module_says_is_told_with_it(
    tmp_path: Path, imports: str, module: str
) -> None:
    text = f"from openai import OpenAI\n{imports}\nai = OpenAI()\n"
    found = scanned(tmp_path, f"{text}ai.chat.completions.create(model=MODEL, messages=[])\n")
    assert not found.models
    assert [(w.code, w.message) for w in found.warnings] == [
        ("unresolved", f"model is 'MODEL' ({module})")
    ]


def test_nothing_outside_of_what_is_scanned_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("MODEL = 'outside'\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "linked.py").symlink_to(tmp_path / "config.py")
    for number, module in enumerate(("config", "linked", "..config")):
        (inner / f"a{number}.py").write_text(
            f"from openai import OpenAI\nfrom {module} import MODEL\n"
            "OpenAI().chat.completions.create(model=MODEL, messages=[])\n"
        )
    assert [one.models for one in scan([inner]).artefacts] == [(), (), ()]


def test_modules_that_import_each_other_and_damaged_ones(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from b import M\nN = M\n")
    (tmp_path / "b.py").write_text("from a import N\nM = N\n")
    (tmp_path / "c.py").write_text("M = (\n")
    (tmp_path / "d.py").write_bytes(b"M = '\xff\xfe'\n\0")
    for name in "abcd":
        (tmp_path / f"ask_{name}.py").write_text(
            f"from openai import OpenAI\nfrom {name} import M\n"
            "OpenAI().chat.completions.create(model=M, messages=[])\n"
        )
    found = [one for one in scan([tmp_path]).artefacts if one.kind == "openai-code"]
    assert len(found) == 4 and not any(one.models for one in found)


def test_a_key_in_another_module_goes_nowhere(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(f"API_KEY = '{KEYS['plain']}'\n")
    (tmp_path / "ask.py").write_text(
        "from openai import OpenAI\nfrom config import API_KEY\n"
        "OpenAI(api_key=API_KEY).chat.completions.create(model='a', messages=[])\n"
    )
    found = scan([tmp_path])
    assert_absent(str(found.as_json()))
    assert "secret-in-clear" in [w.code for one in found.artefacts for w in one.warnings]
