"""Code that ``llmrr migrate plan --patch`` changed, run against a server on loopback that speaks
OpenAI's protocol, and against ``llmrr serve``. Python's runs where the clients are installed:

    pip install openai langchain-openai

and JavaScript's where node finds them (NODE_PATH names a folder that has ``openai`` in it).
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from openai_servers import OpenAIServer
from patched_code import patched
from provider_servers import KEY, MODEL
from serving import serving

from llmrr.router import Router

NAMES = (MODEL, "openai-default")
NODE = shutil.which("node")
PATHS = {  # each test has an environment of its own
    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    "NODE_PATH": os.environ.get("NODE_PATH", ""),
}
ASKED = '[{"role": "user", "content": "hi"}]'
PYTHON = {
    "client": f"""
from openai import OpenAI
client = OpenAI()
r = client.chat.completions.create(model="{MODEL}", messages={ASKED})
print(r.choices[0].message.content)
""",
    "its old address": f"""
from openai import OpenAI
client = OpenAI(
    base_url="https://api.openai.com/v1",  # theirs
    max_retries=0,
)
r = client.chat.completions.create(model="{MODEL}", messages={ASKED})
print(r.choices[0].message.content)
""",
    "asynchronous": f"""
import asyncio
from openai import AsyncOpenAI

async def main():
    async with AsyncOpenAI(timeout=9, max_retries=0) as client:
        r = await client.chat.completions.create(model="{MODEL}", messages={ASKED})
        print(r.choices[0].message.content)

asyncio.run(main())
""",
    "the module": f"""
import openai
r = openai.chat.completions.create(model="{MODEL}", messages={ASKED})
print(r.choices[0].message.content)
""",
    "another name": f"""
from openai import OpenAI
client = OpenAI()
r = client.chat.completions.create(model="tiny 1", messages={ASKED})
print(r.choices[0].message.content)
""",
}
LANGCHAIN = {
    "chat": f"""
from langchain_openai import ChatOpenAI
llm = ChatOpenAI(model="{MODEL}", temperature=0)
print(llm.invoke("hi").content)
""",
    "its old address": f"""
from langchain_openai import ChatOpenAI
llm = ChatOpenAI(model_name="{MODEL}", openai_api_base="https://api.openai.com/v1")
print(llm.invoke("hi").content)
""",
}
JAVASCRIPT = {
    "v4.js": f"""
const OpenAI = require("openai");
const client = new OpenAI({{
  apiKey: process.env.OPENAI_API_KEY, // ours
}});
client.chat.completions.create({{ model: "{MODEL}", messages: {ASKED} }})
  .then((r) => console.log(r.choices[0].message.content));
""",
    "bare.js": f"""
const {{ OpenAI }} = require("openai");
const client = new OpenAI();
client.chat.completions.create({{ model: "{MODEL}", messages: {ASKED} }})
  .then((r) => console.log(r.choices[0].message.content));
""",
    "v3.js": f"""
const {{ Configuration, OpenAIApi }} = require("openai3");
const openai = new OpenAIApi(new Configuration({{ apiKey: process.env.OPENAI_API_KEY }}));
openai.createChatCompletion({{ model: "{MODEL}", messages: {ASKED} }})
  .then((r) => console.log(r.data.choices[0].message.content));
""",
    "chain.js": f"""
const {{ ChatOpenAI }} = require("@langchain/openai");
const llm = new ChatOpenAI({{ modelName: "{MODEL}", temperature: 0 }});
llm.invoke("hi").then((r) => console.log(r.content));
""",
}


class Target(NamedTuple):
    """A server that is asked, what it answers to "hi", and how many requests it has had."""

    url: str
    answer: str
    count: Callable[[], int]


@pytest.fixture(params=["a provider", "llmrr serve"])
def server(request: pytest.FixtureRequest) -> Iterator[Target]:
    if request.param == "a provider":
        with OpenAIServer() as other:
            yield Target(f"{other.address}/v1", "Hello, world!", lambda: len(other.seen))
        return
    small = {"source": "builtin:mini", "params": {"temperature": 0}}
    with Router(models=[{"name": name, **small} for name in NAMES]) as router:
        runs: list[object] = []
        answer = router.generate("hi", model=MODEL).text.strip()
        router.watch.listeners.append(runs.append)
        with serving(router) as ours:
            yield Target(f"{ours.url}/v1", answer, lambda: len(runs))


def ran(command: list[str], folder: Path) -> str:
    env = {**os.environ, **PATHS, "OPENAI_API_KEY": KEY}
    done = subprocess.run(command, cwd=folder, env=env, timeout=60, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def counted(server: Target) -> int:
    """How many requests it has had, once it knows of one: it answers before it counts."""
    late = time.monotonic() + 20
    while not server.count() and time.monotonic() < late:
        time.sleep(0.01)
    return server.count()


def in_python(text: str, folder: Path, server: Target) -> None:
    found = patched(folder, {"app.py": text}, url=server.url)
    assert server.url in found.files["app.py"]
    assert ran([sys.executable, "app.py"], folder) == server.answer
    assert counted(server) == 1


@pytest.mark.skipif(find_spec("openai") is None, reason="needs openai")
@pytest.mark.parametrize("text", PYTHON.values(), ids=PYTHON)
def test_python_asks_the_server(text: str, tmp_path: Path, server: Target) -> None:
    in_python(text, tmp_path, server)


@pytest.mark.skipif(find_spec("langchain_openai") is None, reason="needs langchain-openai")
@pytest.mark.parametrize("text", LANGCHAIN.values(), ids=LANGCHAIN)
def test_langchain_asks_the_server(text: str, tmp_path: Path, server: Target) -> None:
    in_python(text, tmp_path, server)


def node_finds(text: str, folder: Path) -> bool:
    package = text.partition('require("')[2].partition('"')[0]
    command = [NODE or "", "-e", f"require.resolve({package!r})"]
    return NODE is not None and (
        subprocess.run(command, cwd=folder, env={**os.environ, **PATHS}, capture_output=True,
                       check=False).returncode == 0
    )  # fmt: skip


@pytest.mark.parametrize("name", JAVASCRIPT)
def test_javascript_asks_the_server(name: str, tmp_path: Path, server: Target) -> None:
    text = JAVASCRIPT[name]
    if not node_finds(text, tmp_path):
        pytest.skip("needs node and the package")
    found = patched(tmp_path, {name: text.replace("openai3", "openai")}, url=server.url)
    after = found.files[name]
    assert server.url in after
    if "openai3" in text:  # the older release, beside the newer
        (tmp_path / name).write_text(after.replace('require("openai")', 'require("openai3")'))
    assert ran([NODE or "", name], tmp_path) == server.answer
    assert counted(server) == 1


LIBRARY = """
from openai import OpenAI

client = OpenAI()


def ask(question):
    reply = client.chat.completions.create(
        model="mini",
        messages=[{"role": "user", "content": question}],  # as it was
        temperature=0,
    )
    return reply.choices[0].message.content.strip()


if __name__ == "__main__":
    print(ask("What is the capital of Italy?"))
"""


@pytest.mark.skipif(find_spec("openai") is None, reason="needs openai")
def test_python_asks_the_library(tmp_path: Path) -> None:
    found = patched(tmp_path, {"app.py": LIBRARY}, "library")
    assert "llmrr_router.generate(" in found.files["app.py"]
    config = '[[models]]\nname = "mini"\nsource = "builtin:mini"\n'
    (tmp_path / "llmrr.toml").write_text(config)
    text = (tmp_path / "app.py").read_text().replace("OpenAI()", "None")
    (tmp_path / "app.py").write_text(text)
    assert ran([sys.executable, "app.py"], tmp_path) == "The capital of Italy is Rome."
