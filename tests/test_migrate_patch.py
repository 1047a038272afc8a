"""``llmrr migrate plan --patch``: exact edits of code, as differences that git applies."""

import ast
import subprocess
from pathlib import Path

import pytest
from conftest import Typed
from hypothesis import given
from hypothesis import strategies as st
from patched_code import URL, patched, proposed

from llmrr.errors import UsageError
from llmrr.migrate import patches
from llmrr.migrate.patches.sheet import List, Sheet

PY = "from openai import OpenAI\n{}\nclient.chat.completions.create(model='m1', messages=[])\n"
JS = "import OpenAI from 'openai';\n{}\nclient.chat.completions.create({{ model: 'm1' }});\n"


def changed(folder: Path, template: str, text: str, suffix: str = ".py") -> str:
    """What a piece of code becomes, in a file that asks a model."""
    found = patched(folder, {f"app{suffix}": template.format(text)}).files[f"app{suffix}"]
    head, tail = template.replace("{{", "{").replace("}}", "}").split("{}")
    assert found.startswith(head) and found.endswith(tail)
    return found[len(head) : -len(tail)]


@pytest.mark.parametrize(("before", "after"), [
    ("client = OpenAI()", "client = OpenAI(base_url='HERE')"),
    ("client = OpenAI(api_key=k)", "client = OpenAI(api_key=k, base_url='HERE')"),
    ("client = OpenAI(timeout=(3) ,)", "client = OpenAI(timeout=(3) , base_url='HERE',)"),
    ("client = OpenAI(base_url=f(x), timeout=3)", "client = OpenAI(base_url='HERE', timeout=3)"),
    ("client = OpenAI(\n    timeout=3\n)",
     "client = OpenAI(\n    timeout=3,\n    base_url='HERE'\n)"),
    ("client = OpenAI(\n    timeout=3,  # s, (\n    # more\n)",
     "client = OpenAI(\n    timeout=3,  # s, (\n    base_url='HERE',\n    # more\n)"),
    ("client = OpenAI(\n    timeout=3  # s\n)",
     "client = OpenAI(\n    timeout=3,  # s\n    base_url='HERE'\n)"),
    ("client = wrap(OpenAI(timeout=3))", "client = wrap(OpenAI(timeout=3, base_url='HERE'))"),
    ("ü = 'ä'; client = OpenAI(timeout=3)", "ü = 'ä'; client = OpenAI(timeout=3, base_url='HERE')"),
    ("client = OpenAI(\r\n\ttimeout=3,\r\n)",
     "client = OpenAI(\r\n\ttimeout=3,\r\n\tbase_url='HERE',\r\n)"),
])  # fmt: skip
def test_a_client_in_python(before: str, after: str, tmp_path: Path) -> None:
    found = changed(tmp_path, PY, before)
    assert found == after.replace("HERE", URL)
    ast.parse(found)
    assert proposed(tmp_path).text == ""  # a second time there is nothing to do


@pytest.mark.parametrize(("before", "after"), [
    ("const client = new OpenAI();", "const client = new OpenAI({ baseURL: 'HERE' });"),
    ("const client = new OpenAI;", "const client = new OpenAI({ baseURL: 'HERE' });"),
    ("const client = new OpenAI({});", "const client = new OpenAI({ baseURL: 'HERE' });"),
    ("const client = new OpenAI(made());",
     "const client = new OpenAI({ ...made(), baseURL: 'HERE' });"),
    ("const client = new OpenAI({ apiKey, baseURL });",
     "const client = new OpenAI({ apiKey, baseURL: 'HERE' });"),
    ("const client = new OpenAI({ 'baseURL': a || b, timeout: 3 });",
     "const client = new OpenAI({ 'baseURL': 'HERE', timeout: 3 });"),
    ("const client = new OpenAI({\n  timeout: 3, // ms\n});",
     "const client = new OpenAI({\n  timeout: 3, // ms\n  baseURL: 'HERE',\n});"),
    ("const client = new OpenAI({\n  timeout: 3 /* , */\n});",
     "const client = new OpenAI({\n  timeout: 3, /* , */\n  baseURL: 'HERE'\n});"),
    ("const client = new OpenAI({ ...more });",
     "const client = new OpenAI({ ...more, baseURL: 'HERE' });"),
])  # fmt: skip
def test_a_client_in_javascript(before: str, after: str, tmp_path: Path) -> None:
    assert changed(tmp_path, JS, before, ".ts") == after.replace("HERE", URL)
    assert proposed(tmp_path).text == ""


@pytest.mark.parametrize(("name", "before", "after"), [
    ("a.py", "import openai\nopenai.api_base = x\nopenai.ChatCompletion.create(model='m')\n",
     "import openai\nopenai.api_base = 'HERE'\nopenai.ChatCompletion.create(model='m')\n"),
    ("a.py", "import openai as ai\n\nai.ChatCompletion.create(model='m')\n",
     "import openai as ai\nai.api_base = 'HERE'\n\nai.ChatCompletion.create(model='m')\n"),
    ("a.py", "def f():\n    import openai\n    openai.chat.completions.create(model='m')\n",
     "def f():\n    import openai\n    openai.base_url = 'HERE/'\n"
     "    openai.chat.completions.create(model='m')\n"),
    ("a.py", "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model='m')\n",
     "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model='m', base_url='HERE')\n"),
    ("a.py", "from langchain.chat_models import ChatOpenAI\nllm = ChatOpenAI(model='m')\n",
     "from langchain.chat_models import ChatOpenAI\n"
     "llm = ChatOpenAI(model='m', openai_api_base='HERE')\n"),
    ("a.js", "const { Configuration, OpenAIApi } = require('openai');\n"
     "const a = new OpenAIApi(new Configuration({ apiKey: k }));\n"
     "a.createChatCompletion({ model: 'm' });\n",
     "const { Configuration, OpenAIApi } = require('openai');\n"
     "const a = new OpenAIApi(new Configuration({ apiKey: k, basePath: 'HERE' }));\n"
     "a.createChatCompletion({ model: 'm' });\n"),
    ("a.ts", "import { ChatOpenAI } from '@langchain/openai';\n"
     "const a = new ChatOpenAI({ model: 'm', configuration: { baseURL: x } });\n",
     "import { ChatOpenAI } from '@langchain/openai';\n"
     "const a = new ChatOpenAI({ model: 'm', configuration: { baseURL: 'HERE' } });\n"),
    ("a.ts", "import { ChatOpenAI } from '@langchain/openai';\n"
     "const a = new ChatOpenAI({ model: 'm', configuration });\n",
     "import { ChatOpenAI } from '@langchain/openai';\n"
     "const a = new ChatOpenAI({ model: 'm', configuration: { ...configuration, "
     "baseURL: 'HERE' } });\n"),
    ("a.ts", "import { ChatOpenAI } from 'langchain/chat_models/openai';\n"
     "const a = new ChatOpenAI({ modelName: 'm' }, { basePath: x });\n",
     "import { ChatOpenAI } from 'langchain/chat_models/openai';\n"
     "const a = new ChatOpenAI({ modelName: 'm' }, { basePath: 'HERE' });\n"),
    ("a.vue", "<template>ä new OpenAI()</template>\n<script setup>\nimport OpenAI from 'openai'\n"
     "const a = new OpenAI()\na.chat.completions.create({ model: 'm' })\n</script>\n",
     "<template>ä new OpenAI()</template>\n<script setup>\nimport OpenAI from 'openai'\n"
     "const a = new OpenAI({ baseURL: 'HERE' })\na.chat.completions.create({ model: 'm' })\n"
     "</script>\n"),
])  # fmt: skip
def test_other_generations(name: str, before: str, after: str, tmp_path: Path) -> None:
    assert patched(tmp_path, {name: before}).files[name] == after.replace("HERE", URL)
    assert proposed(tmp_path).text == ""


def test_models_get_the_names_of_the_plan(tmp_path: Path) -> None:
    ask = "client.chat.completions.create(model={}, messages=[], temperature={})\n"
    before = PY.format("MODEL = 'my model'\nclient = OpenAI()\n"
                       + ask.format("'my model'", 0) + ask.format("MODEL", 0))  # fmt: skip
    found = patched(tmp_path, {"app.py": before})
    assert "create(model='my-model', messages=[], temperature=0)" in found.files["app.py"]
    assert "create(model=MODEL," in found.files["app.py"]
    assert found.told == ["my model is called my-model in llmrr.toml"]


@pytest.mark.parametrize(("text", "said"), [
    ("from openai import AzureOpenAI\nc = AzureOpenAI(azure_endpoint='https://x.openai.azure.com')\n"
     "c.chat.completions.create(model='m', messages=[])\n", "Azure's form"),
    ("from openai import OpenAI\nc = OpenAI(**options)\nc.chat.completions.create(model='m')\n",
     "what is spread into OpenAI"),
    ("from openai import OpenAI\nc = OpenAI()\nc.embeddings.create(model='e', input='x')\n"
     "c.chat.completions.create(model='m')\n", "another task"),
])  # fmt: skip
def test_what_cannot_be_changed_is_told(text: str, said: str, tmp_path: Path) -> None:
    assert any(said in one for one in patched(tmp_path, {"app.py": text}).told)


def test_no_key_is_in_a_difference(tmp_path: Path) -> None:
    near = "from openai import OpenAI\nKEY_A = 1\n\nclient = OpenAI(timeout=3)\n# a\n# b\n{}\n"
    key = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
    for line in (f"client.api_key = '{key}'", f"x = OpenAI(api_key='{key}')"):
        text = near.format(line) + "client.chat.completions.create(model='m', messages=[])\n"
        found = patched(tmp_path, {"app.py": text})
        assert key not in found.text and key[:4] not in "".join(found.told)
    assert not found.text and "a key stands in clear" in found.told[-1]


def test_byte_order_mark_and_last_line_stay(tmp_path: Path) -> None:
    text = "\ufefffrom openai import OpenAI\nOpenAI().chat.completions.create(model='m')"
    after = patched(tmp_path, {"app.py": text}).files["app.py"]
    assert after == text.replace("OpenAI()", f"OpenAI(base_url='{URL}')")


CALL = "client.chat.completions.create(model='m', messages=x, temperature=0)"


@pytest.mark.parametrize(("before", "after"), [
    (f"print({CALL}.choices[0].message.content)",
     "print(llmrr_router.generate(x, model='m', temperature=0).text)"),
    (f"r = {CALL}\nprint(r.choices[0].message.content.strip())",
     "r = llmrr_router.generate(x, model='m', temperature=0)\nprint(r.text.strip())"),
    (f"r = {CALL}\nprint(r['choices'][0]['message']['content'])",
     "r = llmrr_router.generate(x, model='m', temperature=0)\nprint(r.text)"),
])  # fmt: skip
def test_the_library(before: str, after: str, tmp_path: Path) -> None:
    text = f"from openai import OpenAI\nclient = OpenAI()\n{before}\n"
    found = patched(tmp_path, {"app.py": text}, "library")
    head = "from openai import OpenAI\nimport llmrr\n\nllmrr_router = llmrr.Router()\n"
    assert found.files["app.py"] == f"{head}client = OpenAI()\n{after}\n"
    assert found.told == ["nothing here asks this client any more: it may go"]
    assert proposed(tmp_path, "library").text == ""


@pytest.mark.parametrize("before", [
    f"r = {CALL}\nprint(r.usage)", f"r = {CALL}\nreturn_it(r)", f"for one in {CALL}: print(one)",
    CALL.replace("x,", "x, stream=True,"), CALL.replace("x,", "x, tools=t,"),
    f"async def f():\n    return (await {CALL}).choices[0].message.content",
    "print(client.responses.create(model='m', input='x').output_text)",
    f"r = {CALL}\nr = {CALL}\nprint(r.choices[0].message.content)",
])  # fmt: skip
def test_the_library_is_not_guessed_at(before: str, tmp_path: Path) -> None:
    text = f"from openai import OpenAI\nclient = OpenAI()\n{before}\n"
    found = patched(tmp_path, {"app.py": text}, "library")
    assert found.files["app.py"] == text
    assert "stays: " in found.told[0]


@pytest.mark.parametrize("url", ["x", "ftp://a", "http://", "http://a/'b", "http://u:p@h", "http://[",
                                 "http://a:x/v1", "http://a/\n"])  # fmt: skip
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(UsageError):
        patches.server_url(url)


def test_names_that_git_quotes(tmp_path: Path) -> None:
    text = PY.format("client = OpenAI()")
    found = patched(tmp_path, {"my app ü.py": text})
    assert URL in found.files["my app ü.py"]


ITEM = st.sampled_from(["a=1", "b=(2)", "c=[3, 4]", "d='x,)'", "e=f(1)"])
GAP = st.sampled_from(["", " ", "\n    ", "  # ,)\n    ", "\n\n  "])


@given(items=st.lists(st.tuples(GAP, ITEM, GAP), max_size=4, unique_by=lambda one: one[1]),
       comma=st.booleans(), end=GAP)  # fmt: skip
def test_an_argument_is_added_to_any_call(
    items: list[tuple[str, str, str]], comma: bool, end: str
) -> None:
    inner = ",".join("".join(one) for one in items) + ("," if comma and items else "") + end
    text = f"f({inner})"
    call = ast.parse(text).body[0].value  # type: ignore[attr-defined]
    starts = [0, *(at + 1 for at, one in enumerate(text) if one == "\n")]
    places = [(starts[one.lineno - 1] + one.col_offset, starts[one.end_lineno - 1]
               + one.end_col_offset) for one in call.keywords]  # fmt: skip
    sheet = Sheet(text.encode())
    sheet.add_item(List(places[-1] if places else None, len(text) - 1), "z=9", "#")
    after = ast.parse(sheet.edited().decode()).body[0].value  # type: ignore[attr-defined]
    assert [one.arg for one in after.keywords] == [*(one.arg for one in call.keywords), "z"]


def test_the_command_prints_what_git_applies(
    tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = PY.format("client = OpenAI()")
    Path("app.py").write_text(text)
    for more in (["--patch", "."], [".", "--patch"], ["--patch", "serve", "app.py"]):
        seen = typed("migrate", "plan", *more)
        assert seen.code == 0 and "+client = OpenAI(base_url=" in seen.out
    assert Path("app.py").read_text() == text
    subprocess.run(["git", "apply"], input=seen.out.encode(), check=True)
    again = typed("migrate", "plan", "--patch", ".")
    assert (again.code, again.out) == (1, "")
    assert typed("migrate", "plan", "--patch", "library", ".").code == 1
    assert typed("migrate", "plan", "--serve-url", "http://a/v1", ".").code == 2
    found = typed("migrate", "plan", "--patch", "--serve-url", "http://a/v1", ".", "--json").json
    assert "http://a/v1" in found["patch"] and found["folder"] == str(tmp_path)


@pytest.mark.parametrize(("name", "text", "how", "said"), [
    ("a.ts", "import { openai } from '@ai-sdk/openai';\nimport { generateText } from 'ai';\n"
     "await generateText({ model: openai('gpt-4o'), prompt: 'x' });\n", "serve",
     f"the AI SDK is to ask {URL}: createOpenAI({{ baseURL }}), and what it gives in place of"
     " openai"),
    ("a.py", "from langchain_anthropic import ChatAnthropic\nllm = ChatAnthropic(model='claude-x')",
     "serve", "it asks anthropic, and only what asks OpenAI is changed"),
    ("a.py", "import openai\nasync def f(m):\n"
     "    return await openai.ChatCompletion.acreate(model='gpt-4o', messages=m)\n", "library",
     "acreate stays: it is awaited, and the library is not asynchronous"),
])  # fmt: skip
def test_what_is_not_changed_is_told(
    name: str, text: str, how: str, said: str, tmp_path: Path
) -> None:
    found = patched(tmp_path, {name: text}, how)
    assert (found.text, found.told) == ("", [said])


def test_what_a_change_would_leave_is_told_only_of_a_change(tmp_path: Path) -> None:
    text = (
        "from openai import OpenAI\nclient = OpenAI(api_key='sk-0123456789abcdef0123')\n"
        "print(client.chat.completions.create(model='m', messages=[]).choices[0].message.content)\n"
    )
    found = patched(tmp_path, {"a.py": text}, "library")
    assert found.text == "" and [one.partition(",")[0] for one in found.told] == [
        "a key stands in clear beside what is to be changed"]  # fmt: skip


def test_that_a_server_has_to_run_is_told(tmp_path: Path, typed: Typed) -> None:
    (tmp_path / "a.py").write_text(PY.format("client = OpenAI()"))
    seen = typed("migrate", "plan", "--patch", "serve", str(tmp_path))
    assert "llmrr serve has to run" in seen.err
