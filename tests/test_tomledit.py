"""Changing values in TOML text: exactly those, and not a byte of the rest."""

import contextlib
import copy
import string
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrr.tomledit import UnusualText, with_values
from llmrr.tomllayout import Place, layout
from llmrr.tomltext import key_text, toml_text

FILE = """\
# of the project
strategy = 'balanced'   # for now

# the near one
[[models]]
name = "near"
source = "builtin:mini"   # ships inside

  [models.params]
  stop = [
    "a",  # weight = 3
    "b # ]",
  ]

# the far one
[[models]]
name = "far"
weight=0.5
options = { timeout = 30 }
params.system = '''
[[models]]
weight = 7
'''

# keep for long
[stats]
retention = "90d"
"""


@pytest.mark.parametrize(
    ("place", "value", "before", "after"),
    [
        (("strategy",), "random", "'balanced'   #", '"random"   #'),
        (("models", 0, "weight"), 0.25, "# ships inside\n", "# ships inside\nweight = 0.25\n"),
        (("models", 1, "weight"), 0.25, "weight=0.5", "weight=0.25"),
        (("models", 1, "priority"), 2, "weight = 7\n'''\n", "weight = 7\n'''\npriority = 2\n"),
        (("models", 1, "options", "max_retries"), 4, "30 }", "30, max_retries = 4 }"),
        (("models", 1, "params", "seed"), 1, "7\n'''\n", "7\n'''\nparams.seed = 1\n"),
        (("models", 0, "params", "seed"), 1, '# ]",\n  ]\n', '# ]",\n  ]\nseed = 1\n'),
        (("models", 0, "params", "stop"), ["c"],
         '[\n    "a",  # weight = 3\n    "b # ]",\n  ]', '["c"]'),
        (("models", 2), {"name": "new"}, "7\n'''\n", "7\n'''\n\n[[models]]\nname = \"new\"\n"),
        (("preload",), ["far"], "# for now\n", '# for now\npreload = ["far"]\n'),
        (("stats", "retention"), None, 'retention = "90d"\n', ""),
        (("cache", "ttl"), 9, 'retention = "90d"\n', 'retention = "90d"\n\n[cache]\nttl = 9\n'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_one_change(place: Place, value: object, before: str, after: str, end: str) -> None:
    assert FILE.count(before) == 1
    text, wanted = FILE.replace("\n", end), FILE.replace(before, after).replace("\n", end)
    assert with_values(text, [(place, value)]) == wanted


@pytest.mark.parametrize(
    ("text", "place", "value", "after"),
    [
        ("", ("a",), 1, "a = 1\n"),
        ("# x", ("a", "b"), 1, "# x\n\n[a]\nb = 1\n"),
        ("a = {}", ("a", "b"), 1, "a = { b = 1 }"),
        ("a={b=1}", ("a", "b"), 2, "a={b=2}"),
        ("a.b = 1", ("a", "c"), 2, "a.b = 1\na.c = 2\n"),
        ("[x]\na.b = 1 # y\n[z]\n", ("x", "a", "c"), 2, "[x]\na.b = 1 # y\na.c = 2\n[z]\n"),
        ('["a"."b.c"]\n', ("a", "b.c", "d"), 2, '["a"."b.c"]\nd = 2\n'),
        ('"\\u0061" = 1\n', ("a",), 2, '"\\u0061" = 2\n'),
        ("models = []", ("models", 0), {"n": 1}, "models = [{ n = 1 }]"),
        ("models = [\n {n=1}, # one\n]\n", ("models", 1), {"n": 2},
         "models = [\n {n=1}, # one\n { n = 2 },\n]\n"),
        ("models = [\r\n\t{n=1} # one\r\n]\r\n", ("models", 1), {"n": 2},
         "models = [\r\n\t{n=1}, # one\r\n\t{ n = 2 }\r\n]\r\n"),
        ("models = [{n=1},\n {n=2}]\n", ("models", 2), {"n": 3},
         "models = [{n=1},\n {n=2}, { n = 3 }]\n"),
        ("models = [\n {n=1}, # one\n]\n", ("models", 0, "w"), 2,
         "models = [\n {n=1, w = 2}, # one\n]\n"),
        ("[[m]]", ("m", 1), {"n": 2}, "[[m]]\n\n[[m]]\nn = 2\n"),
        ("x = 1\n", ("m", 0), {"n": 2}, "x = 1\n\n[[m]]\nn = 2\n"),
        ("[[m]]\n[m.p]\nq = 1 # r\n# t's\n[t]\n", ("m", 1), {"n": 2},
         "[[m]]\n[m.p]\nq = 1 # r\n\n[[m]]\nn = 2\n# t's\n[t]\n"),
        ("\ufeffa = 1\n", ("a",), 2, "\ufeffa = 2\n"),
        ("d = 1979-05-27 07:32:00  # when\n", ("d",), 2, "d = 2  # when\n"),
        ('a = """x\\"""" # ""\nb = 1\n', ("b",), 2, 'a = """x\\"""" # ""\nb = 2\n'),
        ("a = ''''x''''' # '\nb = 1\n", ("b",), 2, "a = ''''x''''' # '\nb = 2\n"),
        ("# top\n\n# its\n[t]\n", ("a",), 1, "# top\n\na = 1\n# its\n[t]\n"),
        ("# top\n[t]\n", ("a",), 1, "# top\na = 1\n[t]\n"),
        ("[t]\na = 1\n[t.u]\nb = 2\n", ("t", "c"), 3, "[t]\na = 1\nc = 3\n[t.u]\nb = 2\n"),
        ("a = 1\nb = 2", ("b",), None, "a = 1\n"),
    ],
)  # fmt: skip
def test_ways_of_writing(text: str, place: Place, value: object, after: str) -> None:
    assert with_values(text, [(place, value)]) == after


@pytest.mark.parametrize(
    ("text", "place", "value"),
    [
        ("a = 1\n", ("a", "b"), 1),
        ("a = { b = 1 }\n", ("a", "b"), None),
        ("a = [1]\n", ("a", 3), {}),
        ("a = [1]\n", ("a", 1), 2),
        ("a = 1\n", ("b", 0, "c"), 2),
        ("[[a.b]]\nc = 1\n", ("a", "b", 0, "c", "d"), 2),
    ],
)
def test_what_cannot_be_changed_is_refused(text: str, place: Place, value: object) -> None:
    with pytest.raises(UnusualText):
        with_values(text, [(place, value)])


def test_no_toml_is_refused() -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        with_values("a = ", [(("a",), 1)])


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("models", 1, "weight"), 18), (("models", 1), 16), (("models", 1, "engine"), 16),
        (("models", 0, "params", "stop", 1), 12), (("models", 1, "params", "system"), 20),
        (("models", 1, "options", "timeout"), 19), (("stats",), 26), (("stats", "x"), 26),
        (("models",), 5), (("models", 7), None), (("strategy",), 2), (("nobody",), None),
    ],
)  # fmt: skip
def test_the_line_of_a_place(place: Place, line: int | None) -> None:
    assert layout(FILE).line(FILE, place) == line


def test_what_is_nested_too_deeply_is_refused() -> None:
    for depth in (100, 200, 300, 400, 500, 2000):
        text = f"b = 1\na = {'[' * depth}{']' * depth}\n"
        with contextlib.suppress(UnusualText):
            assert with_values(text, [(("b",), 2)]) == text.replace("1", "2")


# -- any text ----------------------------------------------------------------------------------

words = st.sampled_from(["a", "b", "c-d", "e.f", "g h", "ä", "'", '"'])
plain = (
    st.integers(-9, 9) | st.booleans() | st.floats(-9, 9)
    | st.text('ab"\'\\#[]{}=,\n\t ', max_size=6)
)
values = st.recursive(
    plain, lambda one: st.lists(one, max_size=3) | st.dictionaries(words, one, max_size=3),
    max_leaves=5,
)  # fmt: skip
tables = st.dictionaries(words, values, max_size=4)
gaps = st.sampled_from(["", "\n", "# [x]\n", "  # = 1\n\n"])
tails = st.sampled_from(["", "  ", "  # why = '", " # ]}"])


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A text, written in one of many ways, and what it says."""
    said: dict[str, Any] = {}
    lines: list[str] = []

    def pairs(table: dict[str, Any]) -> None:
        for name, value in draw(tables).items():
            table[name] = value
            key = key_text(name)
            if isinstance(value, dict) and value and draw(st.booleans()):
                written = [f"{key} . {key_text(k)}= {_written(draw, v)}" for k, v in value.items()]
            else:
                written = [f"{draw(st.sampled_from(['', '  ']))}{key} ={_written(draw, value)}"]
            lines.extend(draw(gaps) + one + draw(tails) + "\n" for one in written)

    pairs(said)
    for name in draw(st.lists(st.sampled_from(["t", "u.v", "w"]), unique=True)):
        lines.append(f"{draw(gaps)} [{name}] {draw(tails)}\n")
        here = said
        for part in name.split("."):
            here = here.setdefault(part, {})
        pairs(here)
    for _ in range(draw(st.integers(0, 2))):
        lines.append(f"{draw(gaps)}[[m]]{draw(tails)}\n")
        said.setdefault("m", []).append({})
        pairs(said["m"][-1])
        if draw(st.booleans()):
            lines.append("[m.sub]\n")
            said["m"][-1]["sub"] = {}
            pairs(said["m"][-1]["sub"])
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return "".join(lines).replace("\n", end), said


def _written(draw: st.DrawFn, value: object) -> str:
    if isinstance(value, list) and value and draw(st.booleans()):
        return "[\n" + "".join(f" {toml_text(one)},  # ]\n" for one in value) + "]"
    if isinstance(value, str) and "'" not in value and draw(st.booleans()) and "\t" not in value:
        return f"'''{value}'''"
    return toml_text(value)


def every_place(value: object, above: Place = ()) -> list[Place]:
    found = [above] if above else []
    if isinstance(value, dict):
        for name, one in value.items():
            found += every_place(one, (*above, name))
    if isinstance(value, list):
        for index, one in enumerate(value):
            found += every_place(one, (*above, index))
    return found


def put(table: dict[str, Any], place: Place, value: object) -> dict[str, Any]:
    table = copy.deepcopy(table)
    here: Any = table
    for part in place[:-1]:
        here = here[part]
    here[place[-1]] = value
    return table


quick = settings(max_examples=80, deadline=None)


@quick
@given(documents(), st.data(), plain)
def test_a_changed_value_is_the_only_change(
    document: tuple[str, dict[str, Any]], data: st.DataObject, value: object
) -> None:
    text, _ = document
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # a table that stands there twice
    spans = layout(text).values
    if not spans:
        return
    place = data.draw(st.sampled_from(sorted(spans, key=str)))
    after = with_values(text, [(place, value)])
    assert tomllib.loads(after) == put(said, place, value)
    span = spans[place]
    assert after == text[: span.start] + toml_text(value) + text[span.end :]


@quick
@given(documents(), st.data(), plain)
def test_an_added_value_is_the_only_change(
    document: tuple[str, dict[str, Any]], data: st.DataObject, value: object
) -> None:
    text, _ = document
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    tables_of = [()] + [place for place in every_place(said) if isinstance(_at(said, place), dict)]
    table = data.draw(st.sampled_from(sorted(tables_of, key=str)))
    place: Place = (*table, "new")
    after = with_values(text, [(place, value)])
    assert tomllib.loads(after) == put(said, place, value)
    rest = iter(after)
    assert all(character in rest for character in text)  # nothing of it is gone


def _at(said: object, place: Place) -> object:
    for part in place:
        said = said[part]  # type: ignore[index]
    return said


@quick
@given(st.text("[]=.\"'#ab1\n {},", max_size=40), st.sampled_from(["a", "b.a", "c"]))
def test_any_text_is_changed_or_refused(text: str, key: str) -> None:
    try:
        before = tomllib.loads(text)
        after = with_values(text, [(tuple(key.split(".")), 5)])
    except (tomllib.TOMLDecodeError, UnusualText):
        return
    found: Any = tomllib.loads(after)
    *above, leaf = key.split(".")
    for name in above:
        found = found[name]
        before = before.get(name, {})
    assert {**before, leaf: 5} == found


def test_names_of_the_alphabet_need_no_quotes() -> None:
    name = string.ascii_letters + string.digits + "_-"
    assert with_values("", [((name,), 1)]) == f"{name} = 1\n"


def test_many_changes_at_once() -> None:
    """Those that build on each other too: a table that the change before has made."""
    changes: list[tuple[Place, object]] = [
        (("models", 1, "weight"), 0.25), (("models", 1, "priority"), 1), (("cache", "ttl"), 5),
        (("models", 0, "weight"), 2), (("models", 0, "priority"), 3), (("cache", "enabled"), True),
        (("models", 2), {"name": "new"}), (("models", 2, "weight"), 4), (("models", 3), {"a": 1}),
        (("strategy",), "random"), (("stats", "retention"), None), (("b",), 1), (("a",), 1),
        (("models", 1, "options", "x"), 1), (("models", 1, "options"), {"y": 2}),
        (("b",), 2), (("b",), {"c": 1}), (("b", "c"), 3), (("a",), None),
    ]  # fmt: skip
    text = FILE
    for change in changes:
        text = with_values(text, [change])
    assert with_values(FILE, changes) == text
    assert with_values(FILE.removesuffix("\n"), changes[:1] + changes[2:3]) == with_values(
        FILE, changes[:1] + changes[2:3]
    )


@quick
@given(documents(), st.data(), st.lists(plain, min_size=2, max_size=4))
def test_several_changes_are_the_only_ones(
    document: tuple[str, dict[str, Any]], data: st.DataObject, several: list[object]
) -> None:
    text, _ = document
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    tables_of = [()] + [place for place in every_place(said) if isinstance(_at(said, place), dict)]
    changes = []
    for number, value in enumerate(several):
        table = data.draw(st.sampled_from(sorted(tables_of, key=str)))
        place: Place = (*table, f"new{number}")
        said = put(said, place, value)
        changes.append((place, value))
    assert tomllib.loads(with_values(text, changes)) == said
