"""Texts to trees: every syntax, what people make of it, and what would take too long."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrr.errors import DamagedFile
from llmrr.migrate.documents import Document
from llmrr.migrate.parsing import Ini, Several, decoded, duplicates, parsed
from llmrr.migrate.parsing.notebook import code_cells
from llmrr.migrate.parsing.sniffing import is_minified, language, may_mention_model, syntax
from llmrr.migrate.parsing.yamltext import plain

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{this}: &{this} [{', '.join([f'*{last}'] * 9)}]\n"
    for last, this in zip("abcdefghij", "bcdefghijk", strict=True)
)
SLOW = (
    (BOMB, ".yaml"), ("[" * 200_000, ".json"), ("[" * 200_000, ".yaml"),
    ('{"a":' * 50_000, ".json"),
    ("- " * 50_000 + "a", ".yaml"), ('"' + '\\"' * 500_000, ".json"),
    ('{"a": "' + '\\"' * 500_000, ".json"), ("{" + "/*" * 500_000, ".json"),
    ("{" + "," * 300_000 + " " * 300_000, ".json"), ("{a: 1, " * 100_000, ".json5"),
    ("a: 1\n" * 300_000, ".yaml"), ("&a [*a, *a]", ".yaml"), ("[a]\n" * 200_000, ""),
    ("a = 1\n" * 200_000, ".toml"), ("[" * 100_000, ".toml"), ("x = " + "[" * 20_000, ".toml"),
    ("- &x a\n" + "- [*x, *x, *x, *x]\n" * 150_000, ".yaml"), ("?\n" * 200_000, ".yaml"),
    ("a: '" + "x" * 3_000_000, ".yaml"), ("k: v\n" * 900_000, ".yaml"), ("{{" * 200_000, ".yaml"),
    ("1" * 100_000, ".json"), ('{"a": ' + "1" * 10_000 + "}", ".json"),
    ("a: " + "9" * 10_000, ".yml"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfmodel: a", "model: a"),
        ("é".encode("utf-16"), "é"),
        ("é".encode("utf-32"), "é"),
        ("model: a".encode("utf-16-le"), "model: a"),
        (b"caf\xe9 = 1", "café = 1"),
        ("half é".encode()[:-1], "half "),
        (b"GGUF\x03\0\0\0", None),
        (b"\x80\x04\x95\x10\x01\x02\x03", None),
        (b"", ""),
    ],
)
def test_bytes_are_decoded(data: bytes, text: str | None) -> None:
    assert decoded(data) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('// said\n{"a": 1, /* b */ "c": [1, 2,],}', {"a": 1, "c": [1, 2]}),
        ('{"url": "http://x/y", "b": "/* no */"}', {"url": "http://x/y", "b": "/* no */"}),
        ("{a: 'b', c: +1, d: .5}", {"a": "b", "c": 1, "d": 0.5}),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ('{"a": 1}\n{"a": 2}\n', None),
        ('"text"', None),
        ("", None),
    ],
)
def test_json_as_people_write_it(text: str, value: object) -> None:
    assert parsed(text, ".json") == value


@pytest.mark.parametrize(
    ("text", "line"), [('{"a": 1,\n "b": ', 2), ('{"a": 1\n "b": 2}', 2), ('{"a": 1,\n"b"', 2)]
)
def test_json_that_is_half_written_says_where(text: str, line: int) -> None:
    with pytest.raises(DamagedFile, match=rf"not JSON.*line {line}"):
        parsed(text, ".json")


def test_yaml_with_unknown_tags_and_merged_keys() -> None:
    text = (
        "- &base {name: base, f16: true}\n"
        "- !!merge <<: *base\n  name: own\n  key: !ENV OPENAI_API_KEY\n"
        "  other: !ENV '${NAME}'\n  list: !reference [a, b]\n  file: !include x.txt\n"
        "  object: !!python/object/apply:os.system [id]\n"
    )
    assert parsed(text, ".yaml")[1] == {
        "f16": True, "name": "own", "key": "${OPENAI_API_KEY}", "other": "${NAME}",
        "list": ["a", "b"], "file": "!include x.txt", "object": ["id"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", False), ("off", False), ("Yes", True), ("1e-5", "1e-5"), ("1.0e-5", 1e-5),
        ("20_000", 20000), ("010", 8), ("0x1F", 31), ("1:30", "1:30"), ("2024-02-01", "2024-02-01"),
        ("~", None), ("", None), ("-.inf", float("-inf")), ("1.10", 1.1), ("gpt-4o", "gpt-4o"),
        ("=", "="), ("0b11", 3), ("-7", -7),
    ],
)  # fmt: skip
def test_scalars_by_yaml_1_1_but_for_dates(text: str, value: object) -> None:
    assert plain(text) == value


def test_keys_are_texts_as_they_are_written() -> None:
    assert parsed("on: 1\n8080: x\n? [a]\n: b\n", ".yaml") == {"on": 1, "8080": "x", "?": "b"}


def test_several_documents() -> None:
    found = parsed("---\na: 1\n---\nb: 2\n---\n", ".yaml")
    assert isinstance(found, Several) and found == [{"a": 1}, {"b": 2}]
    assert parsed("---\na: 1\n", ".yaml") == {"a": 1}


def test_a_file_that_is_wholly_indented_is_yaml() -> None:
    text = "    _type: openai\n    model_name: a\n"
    assert parsed(text, "") == parsed(text, ".yaml") == {"_type": "openai", "model_name": "a"}


@pytest.mark.parametrize(
    "text",
    [
        "{% for m in models %}\n- {{ m }}\n{% endfor %}",
        "models:\n{{- range .Values.models }}\n  - {{ .name }}\n{{- end }}\n",
        "model: {{ model }}\nkey: 1\n",
        "{{ x }}: 1",
    ],
)
def test_a_template_is_called_one(text: str) -> None:
    with pytest.raises(DamagedFile, match="template"):
        parsed(text, ".yaml")


def test_what_only_looks_like_a_template_is_none() -> None:
    text = "key: ${{ secrets.X }}\nt: '{{ .Input }}'\nu: |\n  {{ .System }}\n"
    assert parsed(text, ".yaml")["t"] == "{{ .Input }}"


def test_an_error_of_yaml_repeats_nothing_of_the_file() -> None:
    for text in ("key: *hidden-word", "a: [hidden-word", "a: 'hidden-word\n"):
        with pytest.raises(DamagedFile) as raised:
            parsed(text, ".yaml")
        assert "hidden-word" not in raised.value.message


def test_keys_that_stand_twice() -> None:
    assert duplicates("a: 1\nb:\n  a: 2\n  a: 3\na: 4\n", ".yaml") == [("a", 4), ("a", 5)]
    assert duplicates("- <<: {a: 1}\n  a: 2\n", ".yaml") == []
    assert duplicates('{"a": 1, // a\n"b": {"a": "{"},\n"a": 2}', ".json") == [("a", 3)]
    assert duplicates("[x]\nc = 1\nc = 2\n", ".ini") == [("c", 3)]
    assert duplicates("a: [", ".yaml") == duplicates("a = 1", ".py") == []


def test_toml() -> None:
    assert parsed('[a]\nb = 1\nc = 2024-02-01\n', ".toml") == {"a": {"b": 1, "c": "2024-02-01"}}
    assert parsed('model = "x"\n[a]\nb = 1\n', "") == {"model": "x", "a": {"b": 1}}
    with pytest.raises(DamagedFile, match="line 2"):
        parsed("a = 1\nb = secret-word\n", ".toml")


def test_ini() -> None:
    text = "version = 1\n[*]\nc = 4096 ; tokens\n[a/b:Q4]\nngl = 99\n"
    found = parsed(text, "")
    assert isinstance(found, Ini) and found.head == {"version": "1"}
    assert parsed(text, ".ini") == found == {"*": {"c": "4096"}, "a/b:Q4": {"ngl": "99"}}
    assert (found.lines["*", "c"], found.cut, found.wrong) == (3, [3], [])
    assert parsed("this is prose", ".ini") is None


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("import os\nx: int = 1\n", ".py"), ("const a = {b: 1}", ".js"),
        ("# Title\n\nkey: a\n", ".md"),
        ("This is prose.\nNote: it is.\n", ".txt"), ("FROM llama3:8b\nPARAMETER stop User:\n", ""),
        ("#!/usr/bin/env python\na = {}\n", ""), ("OPENAI_API_KEY=abc\n", ""), ("a: 1", ".jsonl"),
        ("", ".yaml"), ("{{ .Input }}", ".tmpl"), ("#!/bin/sh\nset -e\n", ".sh"),
    ],
)  # fmt: skip
def test_what_is_no_data_is_not_parsed(text: str, suffix: str) -> None:
    assert syntax(text, suffix) is None
    assert parsed(text, suffix) is None


@pytest.mark.parametrize(
    ("text", "suffix", "expected"),
    [
        ("model_list:\n  - a: 1\n", ".example", "yaml"), ("a: 1\n", ".json", "yaml"),
        ('{"a": 1}', "", "json"), ('{"a": 1}', ".yaml", "json"), ("{a: 1}", ".yaml", "yaml"),
        ("version = 1\n[*]\nc = 1\n", ".txt", "ini"), ("[m]\nmodel = x.gguf\n", ".conf", "ini"),
        ("[[m]]\na = 'b'\n", "", "toml"), ("- a\n- b: 1\n", "", "yaml"), ("---\na: 1", "", "yaml"),
        ("// c\n{}", ".jsonc", "json"), ('[{"a": 1}]', "", "json"), ('["a"]', ".json", "json"),
    ],
)  # fmt: skip
def test_the_beginning_decides(text: str, suffix: str, expected: str) -> None:
    assert syntax(text, suffix) == expected


def test_languages_by_ending_or_first_line() -> None:
    assert [language("", one) for one in (".py", ".tsx", ".mjs", ".cts", ".ipynb", ".txt")] == [
        "python", "tsx", "javascript", "typescript", "notebook", None,
    ]  # fmt: skip
    assert language("#!/usr/bin/python3 -u\n", "") == "python"
    assert language("#!/usr/bin/env -S deno run\n", "") == "typescript"


def test_what_mentions_no_model_is_told_by_its_bytes() -> None:
    assert not may_mention_model(b"import os\nclass Model: pass\n", ".py")
    assert may_mention_model(b"from langchain_openai import ChatOpenAI", ".py")
    assert may_mention_model("model: a".encode("utf-16"), ".yaml")
    assert may_mention_model(b"FROM ./x\n", "") and not may_mention_model(b"a: b\n", ".yaml")


def test_minified_code_is_told_by_its_lines() -> None:
    assert is_minified(b"a=1;" * 5000, ".js") and not is_minified(b"a = 1;\n" * 5000, ".js")
    assert not is_minified(b'{"a":1}' * 5000, ".json")


def test_cells_of_a_notebook() -> None:
    cells = [
        {"cell_type": "markdown", "source": "# text"},
        {"cell_type": "code", "source": ["%load_ext x\n", "if a:\n", "    !pip install b\n"]},
        {"cell_type": "code", "source": "%%bash\nls\n"},
        {"cell_type": "code", "source": "%%time\nb = 2"}, {"cell_type": "code", "source": 3}, 7,
    ]  # fmt: skip
    assert list(code_cells({"cells": cells})) == [
        "pass\nif a:\n    pass\n", "\n\n", "pass\nb = 2",
    ]  # fmt: skip
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": "a"}]}]}
    assert list(code_cells(old)) == ["a"]
    assert list(code_cells([])) == list(code_cells({"cells": 1})) == []


def test_a_notebook_with_a_cell_that_is_no_python() -> None:
    good = "from openai import OpenAI\nOpenAI().responses.create(model='gpt-4o')"
    book = {
        "cells": [
            {"cell_type": "code", "source": "print 'old'\nx = ("},
            {"cell_type": "code", "source": good},
        ],
        "metadata": {"kernelspec": {"language": "python"}},
    }
    document = Document(Path("a.ipynb"), json.dumps(book).encode())
    assert document.code is not None and document.shape is None
    assert [(one.name, one.line) for one in document.code.calls][-1] == ("create", 4)
    spoken = {**book, "metadata": {"kernelspec": {"language": "R"}}}
    assert Document(Path("a.ipynb"), json.dumps(spoken).encode()).code is None


@pytest.mark.parametrize(("text", "suffix"), SLOW, ids=range(len(SLOW)))
def test_nothing_odd_breaks(text: str, suffix: str) -> None:
    document = Document(Path(f"a{suffix}"), text.encode())
    assert document.shape is None or document.problem is None
    assert document.duplicates is not None


@given(st.text(alphabet='{}[]":,/*\\-&*!|>%#@\n \t?<~a1.=', max_size=60),
       st.sampled_from([".json", ".yaml", ".toml", ".ini", "", ".json5"]))  # fmt: skip
def test_no_text_breaks_a_parser(text: str, suffix: str) -> None:
    document = Document(Path(f"a{suffix}"), text.encode())
    assert document.shape is None or isinstance(document.shape, dict | list)
    assert isinstance(document.duplicates, list)


@given(st.binary(max_size=80))
def test_no_bytes_break_a_document(data: bytes) -> None:
    for suffix in ("", ".yaml", ".json", ".py", ".ipynb"):
        document = Document(Path(f"a{suffix}"), data)
        assert document.text is None or isinstance(document.text, str)
        assert (document.shape, document.code) is not None


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text(min_size=1, max_size=6), TREES, min_size=1, max_size=4))
def test_what_json_and_yaml_write_is_read_again(tree: dict[str, object]) -> None:
    import yaml

    assert parsed(json.dumps(tree), ".json") == tree
    if "<<" not in json.dumps(tree):
        assert parsed(json.dumps(tree, ensure_ascii=True), ".yaml") == tree
        assert parsed(yaml.safe_dump(tree), ".yaml") == tree
