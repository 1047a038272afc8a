"""Python is evaluated as far as that goes without running anything."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrr.errors import DamagedFile
from llmrr.migrate.python import evaluate
from llmrr.migrate.values import Call, Code, Env, Prompt, Unresolved, Value


def code(text: str) -> Code:
    return evaluate(text, Path("src/app.py"))


def value(text: str, before: str = "") -> Value:
    """What an expression is at the place where it stands."""
    found = code(f"import os, pathlib\nfrom pathlib import Path\n{before}\nprobe({text})")
    return next(one for one in found.calls if one.callee == "probe").args[0]


def called(text: str, name: str) -> Call:
    return next(one for one in code(text).calls if one.name == name)


@pytest.mark.parametrize(("text", "expected"), [
    ("'a' 'b'", "ab"), ("'a' + 'b'", "ab"), ("f'a{1}b'", "a1b"), ("-1", -1), ("1e-5", 1e-5),
    ("1024 * 4", 4096), ("2 ** 12", 4096), ("[1, *[2]]", [1, 2]), ("{**{'a': 1}, 'b': 2}",
    {"a": 1, "b": 2}), ("dict(a=1, **{'b': 2})", {"a": 1, "b": 2}),
    ("{'a': 1} | {'a': 2}", {"a": 2}),
    ("None or 'b'", "b"), ("'a' if x else 'a'", "a"), ("'{} of {b}'.format('a', b=2)", "a of 2"),
    ("'%s-%d' % ('a', 2)", "a-2"), ("' A '.strip().lower()", "a"), ("'-'.join(['a', 'b'])", "a-b"),
    ("int('5')", 5), ("float('0.5')", 0.5), ("str(3)", "3"), ("{'a': {'b': 1}}['a']['b']", 1),
    ("['a', 'b'][-1]", "b"), ("{'a': 1}.get('c', 2)", 2), ("(y := 'a')", "a"),
    ("os.path.join('a', '..', 'b')", "b"), ("Path('a') / 'b'", "a/b"), ("Path('a', 'b')", "a/b"),
    ("Path(__file__).parent / 'models' / 'x.gguf'", "./models/x.gguf"),
    ("Path(__file__).resolve().parents[1] / 'm'", "../m"),
    ("os.path.join(os.path.dirname(os.path.abspath(__file__)), 'm.gguf')", "./m.gguf"),
    ("str(Path.home() / 'm')", "~/m"), ("not True", False), ("[1] + [2]", [1, 2]),
])  # fmt: skip
def test_what_is_known_is_a_value(text: str, expected: Value) -> None:
    assert value(text) == expected


@pytest.mark.parametrize("text", [
    "x", "f(1).y", "'a' if x else 'b'", "x or 'a'", "[i for i in y]", "lambda: 1", "a.b", "x[0]",
    "'a' * 10**9", "10 ** 10 ** 10", "1 / 0", "f'{a.b}'", "f'{x:.2f}'", "b'a'", "...", "x and 'a'",
    "'{'.format(1)", "'{0.a}'.format(x)", "'%(a)s' % x", "int('x')", "{'a': 1}[k]",
])  # fmt: skip
def test_what_only_running_tells_is_not_known(text: str) -> None:
    found = value(text)
    assert isinstance(found, Unresolved | Call) and (found.line or 1) == 4


@pytest.mark.parametrize(("text", "expected"), [
    ("os.getenv('K')", Env("K")), ("os.getenv('K', 'd')", Env("K", "d")),
    ("os.environ['K']", Env("K")), ("os.environ.get('K', default='d')", Env("K", "d")),
    ("os.getenv('K') or 'd'", Env("K", "d")), ("int(os.getenv('K', '5'))", Env("K", "5")),
    ("os.getenv('A', os.getenv('B'))", Env("A", Env("B"))),
    ("os.environ['K'].strip()", Env("K")), ("f(os.getenv('K'))", None),
])  # fmt: skip
def test_variables_of_the_environment(text: str, expected: Value) -> None:
    found = value(text)
    assert isinstance(found, Call) if expected is None else found == expected


@pytest.mark.parametrize(("before", "text"), [
    ("from os import getenv as g", "g('K', 'd')"),
    ("from os import environ", "environ.get('K','d')"),
    ("from decouple import config", "config('K', default='d')"),
    ("from environs import Env\nenv = Env()", "env.str('K', 'd')"),
    ("import environ\nenv = environ.Env()", "env('K', default='d')"),
    ("from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    k: str = 'd'\n"
     "s = S()",
     "s.k"),
])  # fmt: skip
def test_libraries_that_read_the_environment(before: str, text: str) -> None:
    assert value(text, before) == Env("K", "d")


def test_settings_of_pydantic_without_a_default_and_with_a_prefix() -> None:
    before = (
        "class S(BaseSettings):\n    openai_api_key: str\n    model: str = Field('m', alias='M')\n"
        "class P(BaseSettings):\n    k: str = 'd'\n    class Config:\n        env_prefix = 'APP_'\n"
    )
    assert value("S().openai_api_key", before) == Env("OPENAI_API_KEY")
    assert value("S().model", before) == Env("M", "m")
    assert value("P().k", before) == Env("APP_K", "d")


@pytest.mark.parametrize(("body", "expected"), [
    ("x = 'a'\nprobe(x)", "a"), ("x = 'a'\nx = 'b'\nprobe(x)", "b"),
    ("x = 'a'\nprobe(x)\nx = 'b'", "a"), ("x = 'a'\nif c:\n    x = 'b'\nprobe(x)", None),
    ("if c:\n    x = 'a'\nelse:\n    x = 'b'\nprobe(x)", None),
    ("if c:\n    x = 'a'\nelse:\n    x = 'a'\nprobe(x)", "a"),
    ("x = 'a'\nfor i in y:\n    probe(x)\n    x = 'b'", None),
    ("for i in y:\n    x = 'b'\n    probe(x)\n    x = 'a'", "b"),
    ("for x in y:\n    probe(x)", None), ("x = 'a'\nx += 'b'\nprobe(x)", None),
    ("x = y = 'a'\nprobe(y)", "a"), ("x, y = 'a', 'b'\nprobe(y)", "b"),
    ("x, *y = 'a', 'b'\nprobe(y)", None), ("def f(x='a'):\n    probe(x)", None),
    ("x = 'a'\ndef f():\n    probe(x)", "a"), ("x = 'a'\ndef f():\n    probe(x)\nx = 'b'", None),
    ("x = 'a'\ndef f():\n    x = 'b'\n    probe(x)", "b"),
    ("x = 'a'\ndef g():\n    global x\n    x = 'b'\ndef f():\n    probe(x)", None),
    ("x = 'a'\nprobe([x for x in y])", None), ("x = 'a'\nf = lambda x: probe(x)", None),
    ("with f() as x:\n    y = 'a'\nprobe(y)", "a"), ("try:\n    x = 1\nexcept E as x:\n"
     "    probe(x)",
                                                   None),
    ("x = x\nprobe(x)", None), ("x = y\ny = x\nprobe(x)", None), ("del x\nprobe(x)", None),
    ("match v:\n    case [x]:\n        probe(x)", None), ("x: str = 'a'\nprobe(x)", "a"),
    ("class A:\n    x = 'a'\n    def f(self):\n        probe(self.x)", "a"),
    ("class A:\n    x = 'a'\nprobe(A.x)", "a"), ("class A:\n    x: str = 'a'\na = A()\n"
     "probe(a.x)", "a"),
    ("class A:\n    x: str = 'a'\na = A(x='b')\nprobe(a.x)", "b"),
    ("class A:\n    def __init__(self, x='a'):\n        self.x = x\n    def f(self):\n"
     "        probe(self.x)",
     None),
    ("class A:\n    def __init__(self):\n        self.x = 'a'\n    def f(self):\n"
     "        probe(self.x)", "a"),
    ("class B:\n    x = 'a'\nclass A(B):\n    def f(self):\n        probe(self.x)", "a"),
    ("class A:\n    x: str = field(default='a')\nprobe(A().x)", "a"),
    ("class M(str, Enum):\n    X = 'a'\nprobe(M.X.value)", "a"),
    ("def f():\n    return 'a'\nprobe(f())", "a"), ("def f(c):\n    if c:\n"
     "        return 'a'\n    return 'b'\n"
                                                    "probe(f())", None),
    ("def f():\n    yield 1\n    return 'a'\nprobe(f())", None),
    ("def f():\n    return f()\nprobe(f())", None),
    ("class A:\n    @property\n    def x(self):\n        return 'a'\nprobe(A().x)", "a"),
    ("d = {'a': 1}\nd['b'] = 2\nprobe(d)", {"a": 1, "b": 2}), ("l = [1]\nl.append(2)\n"
     "probe(l)", [1, 2]), ("l = [1]\nl.extend(x)\nprobe(l[0])", 1),
    ("l = [1]\nl.insert(0, 2)\nprobe(l[0])", None),
    ("l = [1]\nfor i in x:\n    l.append(2)\nprobe(l[0])", 1),
    ("d = {'a': 1}\nd.update(x)\nprobe(d)", None), ("probe(d)\nd = {'a': 1}", {"a": 1}),
])  # fmt: skip
def test_names_are_what_they_certainly_are(body: str, expected: Value) -> None:
    found = next(one for one in code(body).calls if one.callee == "probe").args[0]
    assert isinstance(found, Unresolved | Call) if expected is None else found == expected


def test_what_may_have_been_put_into_a_dict_is_not_known() -> None:
    found = value("d", "d = {'a': 1}\nif c:\n    d['a'] = 2\n    d['b'] = 3")
    assert isinstance(found, dict)
    assert isinstance(found["a"], Unresolved) and isinstance(found["b"], Unresolved)


@pytest.mark.parametrize(("text", "expected"), [
    ("f'Sum {q} {{x}}'", Prompt("Sum {q} {{x}}", ("q",))), ("'a' + q", Prompt("a{q}", ("q",))),
    ("'{a} {b}'.format(a=q, b='c')", Prompt("{q} c", ("q",))),
    ("f'{q!s}{n}'", Prompt("{q}7", ("q",))),
    ("'a %s' % q", Prompt("a {q}", ("q",))), ("f'{q}' f'{{'", Prompt("{q}{{", ("q",))),
    ("textwrap.dedent(f'''\n    a {q}''')", Prompt("\na {q}", ("q",))),
])  # fmt: skip
def test_texts_with_plain_holes_are_prompts(text: str, expected: Prompt) -> None:
    body = f"import textwrap\nn = 7\ndef f(q):\n    probe({text})"
    assert next(one for one in code(body).calls if one.callee == "probe").args[0] == expected


def test_calls_have_receivers_targets_and_places() -> None:
    text = (
        "from openai import OpenAI as O\n"
        "class A:\n"
        "    def __init__(self):\n"
        "        self.client = O(api_key='x', **common)\n"
        "    async def ask(self, q):\n"
        "        r = await self.client.chat.completions.create(model='m', **more)\n"
    )
    client, ask = code(text).calls
    assert client.callee == "openai.OpenAI" and client.targets == ("self.client",)
    assert client.fields == {"api_key": "x"} and client.rest[0].text == "common"
    assert ask.callee == "chat.completions.create" and ask.receiver is client
    assert (ask.within, ask.line, ask.targets) == ("ask", 6, ("r",))


@pytest.mark.parametrize("text", [
    "c = O()\nc.run()", "with O() as c:\n    c.run()", "O().run()", "c = None\nc = O()\nc.run()",
    "c = None\ndef i():\n    global c\n    c = O()\ndef f():\n    c.run()",
    "def g():\n    return O()\nc = g()\nc.run()", "async def f():\n    c = await O()\n"
    "    await c.run()",
    "class A:\n    c = O()\n    def f(self):\n        self.c.run()", "run = O().run\nrun()",
    "class A:\n    @cached_property\n    def c(self):\n        return O()\n"
    "    def f(self):\n        self.c.run()",
    "class A:\n    def g(self):\n        return O()\n    def f(self):\n        self.g().run()",
    "class A:\n    def __init__(self):\n        self.c = O()\na = A()\na.c.run()",
    "cs = {'a': O()}\ncs['a'].run()", "if (c := O()):\n    c.run()", "c, d = O(), 1\nc.run()",
    "c = cast(T, O())\nc.run()",
])  # fmt: skip
def test_a_variable_that_holds_a_call_is_that_call(text: str) -> None:
    found = next(one for one in code(f"from typing import cast\n{text}").calls if one.name == "run")
    assert found.callee == "run" and found.receiver is not None and found.receiver.callee == "O"


@pytest.mark.parametrize(("text", "callee"), [
    ("import a\na.b()", "a.b"), ("import a.b\na.b.c()", "a.b.c"), ("import a.b as c\n"
     "c.d()", "a.b.d"),
    ("from a import b as c\nc()", "a.b"), ("from .a import b\n"
     "b()", ".a.b"), ("from . import a\na.b()",
    ".a.b"), ("def f():\n    from a import b\n    b()", "a.b"),
    ("try:\n    from a import b\nexcept ImportError:\n    from c import b\nb()", "a.b"),
    ("try:\n    from a import b\nexcept ImportError:\n    b = None\nb()", "a.b"),
    ("from a import b\nc = b\nc()", "a.b"), ("import a\nc = a.b\nc()", "a.b"),
    ("def f(c):\n    c.x.y()", "c.x.y"), ("'a'.foo()", "str.foo"),
])  # fmt: skip
def test_callees_are_written_out(text: str, callee: str) -> None:
    assert code(text).calls[-1].callee == callee


def test_pipes_are_calls_and_inner_calls_come_first() -> None:
    found = code("chain = f(g()) | h\nd = {'a': 1} | {'b': 2}")
    assert [one.callee for one in found.calls] == ["g", "f", "|"]
    assert found.calls[2].targets == ("chain",) and found.calls[2].args[0] is found.calls[1]


def test_names_of_a_file() -> None:
    text = (
        "import openai, os\nopenai.api_key = 'k'\nX = 1\nX = 2\nY = X\nos.environ['A'] = 'b'\n"
        "class C:\n    m = 'n'\n    def f(self):\n        self.z = 3\n"
    )
    names = dict(code(text).names)
    assert names == {
        "openai.api_key": "k", "Y": 2, "os.environ.A": "b", "C.m": "n", "self.z": 3,
    }  # fmt: skip


def test_cells_with_magic_are_read() -> None:
    found = code("%pip install x\n!ls\nx = !ls\nfor i in a:\n    !ls\nf?\nr = await g('a')")
    assert found.calls[-1].args == ("a",) and found.calls[-1].targets == ("r",)


@pytest.mark.parametrize(("text", "line"), [
    ("x = 1\nprint 'a'", 2), ("def f(:\n", 1), ("x = '\n", 1), ("except E, e:\n", 1),
])  # fmt: skip
def test_what_is_not_python_3_says_the_line(text: str, line: int) -> None:
    with pytest.raises(DamagedFile, match=f"line {line}"):
        code(text)


@pytest.mark.parametrize("text", [
    "(" * 5000 + ")" * 5000, "x = " + "[" * 3000 + "]" * 3000, "a\0b",
    "x" + "()" * 20000, "x = " + "-" * 20000 + "1",
])  # fmt: skip
def test_what_is_too_deep_is_damaged(text: str) -> None:
    with pytest.raises(DamagedFile):
        code(text)


@pytest.mark.parametrize("text", [
    "x = " + " + ".join(["'a'"] * 700), "f(" * 80 + ")" * 80, "x = a" + ".b" * 300 + "()",
    "".join(f"a{i + 1} = a{i}\n" for i in range(3000)) + "f(a3000)",
    "".join(f"def f{i}():\n    return f{i + 1}()\n" for i in range(500)),
])  # fmt: skip
def test_long_chains_are_read(text: str) -> None:
    code(text)


@pytest.mark.parametrize(("first", "more"), [
    ("'aaaaaaaaaa'", "{a} + {a}"), ("[1]", "[*{a}, *{a}]"), ("[1]", "[{a}, {a}]"),
    ("{{'x': 1}}", "{{'a': {a}, 'b': {a}}}"), ("'a'", "f'{{{a}}}{{{a}}}'"),
    ("'aa'", "{a}.join([{a}, {a}])"),
    ("'aa'", "{a}.replace('a', {a})"), ("'a'", "{a} * 1000"),
])  # fmt: skip
def test_values_do_not_grow_without_end(first: str, more: str) -> None:
    lines = [f"a{i + 1} = {more.format(a=f'a{i}')}" for i in range(40)]
    found = code("\n".join([f"a0 = {first.format()}", *lines]))
    known = [repr(one) for one in found.names.values() if not isinstance(one, Unresolved | Call)]
    assert all(len(one) < 3_000_000 for one in known)


def test_what_programs_write_takes_no_longer_than_it_is() -> None:
    code("x = f()\n" + "x = x + 1\n" * 9_000)
    code("d = {}\n" + "d['a'] = d\n" * 9_000)
    code("m = []\n" + "m.append(m)\n" * 9_000)


def test_keys_are_not_in_texts() -> None:
    found = value("x(api_key='0a1b2c3d4e', **y).z")
    assert isinstance(found, Unresolved) and "0a1b2c" not in found.text
    assert "sk-abc" not in called("c = OpenAI('sk-abcdefghijklmnopqrst')", "OpenAI").text


def test_no_warning_is_given_for_old_escapes() -> None:
    assert value(r"'\d'") == r"\d"


@settings(max_examples=60, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner,
                                                              max_size=3),
    max_leaves=8,
))  # fmt: skip
def test_literals_are_what_they_are(literal: Value) -> None:
    assert value(repr(literal)) == literal


_PIECES = st.sampled_from([
    "x", "f(", ")", "=", "'a'", "\n", "    ", "def f(x):", "class A:", "self.", "return ", "if x:",
    "{", "}", "**x", "[", "]", ", ", "f'{x}'", " | ", " or ", "await ", "x.y", "import a", "%m",
     ":",
    "lambda x: ", "for x in ", "with ", " as ", "os.getenv('A')", "del x", "global x", "match x:",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES, max_size=14).map("".join))
def test_no_text_breaks_it(text: str) -> None:
    try:
        found = code(text)
    except DamagedFile:
        return
    assert len(found.calls) <= len(text)
    dict(found.names)


@pytest.mark.parametrize("line", [
    "x = f(f(f(f(g(a)))))\n", "a = a | b | f(c)\n", "a.b.c.d(e.f.g)\n", "if a:\n m = f(1)\n",
])  # fmt: skip
def test_long_files_of_calls_are_bounded(line: str) -> None:
    text = "import openai\n" + line * (390_000 // len(line))
    with pytest.raises(DamagedFile):
        evaluate(text * 2, Path("a.py"))
    try:
        evaluate(text, Path("a.py"))
    except DamagedFile as error:
        assert "more calls" in error.message
