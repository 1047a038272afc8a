"""Schemas as people give them."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from llmrr.engines import schema
from llmrr.engines.schema_check import misfit
from llmrr.errors import FeatureMissing, LlmrrError, NotFound, UsageError


def test_the_short_form_names_fields_with_types_and_lists():
    assert schema.load("name, age int, tags[], scores[] float, ok bool") == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "scores": {"type": "array", "items": {"type": "number"}},
            "ok": {"type": "boolean"},
        },
        "required": ["name", "age", "tags", "scores", "ok"],
        "additionalProperties": False,
    }


def test_one_field_to_a_line_may_have_commas_in_its_description():
    made = schema.load("name: first, then last\nage int: in years\nids int[]")
    assert made["properties"] == {
        "name": {"type": "string", "description": "first, then last"},
        "age": {"type": "integer", "description": "in years"},
        "ids": {"type": "array", "items": {"type": "integer"}},
    }


def test_json_text_and_files_are_read_as_they_are(tmp_path):
    wanted = {"type": "array", "items": {"type": "string"}}
    assert schema.load(json.dumps(wanted)) == wanted
    path = tmp_path / "wanted.json"
    path.write_text("\ufeff" + json.dumps(wanted), "utf-8")
    assert schema.load(str(path)) == wanted
    assert schema.load("true") is True


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ('{"type": }', UsageError, "line 1, column 10"),
        ("", UsageError, "empty"),
        ("age int,, x", UsageError, "empty field"),
        (", x", UsageError, "empty field"),
        ("s.jsn", NotFound, "s.jsn does not exist"),
        ("person.yaml", NotFound, "does not exist"),
        ("name, name", UsageError, "'name' twice"),
        ("age integre", UsageError, "unknown type 'integre'"),
        ("a b c", UsageError, "'a b c'"),
        ("nowhere.json", NotFound, "nowhere.json"),
        ("no/where", NotFound, "no/where"),
        ('{"minLenght": 2}', UsageError, "'minLenght'"),
        ('{"properties": {"a": {"nullable": true}}}', FeatureMissing, "nullable"),
        ('{"anyOf": [{"items": {"reqired": []}}]}', UsageError, "'reqired'"),
    ],
)
def test_what_is_wrong_is_named(given, error, words):
    with pytest.raises(error, match=words) as raised:
        schema.load(given)
    assert raised.value.hint


def test_a_file_that_is_not_a_schema_names_the_file(tmp_path):
    path = tmp_path / "list.json"
    path.write_text("[1]")
    with pytest.raises(UsageError, match=r"list\.json is a JSON array"):
        schema.load(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"list\.json cannot be read"):
        schema.load(str(path))


def test_names_of_properties_and_foreign_notes_are_not_keywords():
    inner = {"x-order": 1, "example": "a"}
    schema.check({"properties": {"minLenght": inner}, "$defs": {"tpye": {}}})


@given(st.text(max_size=60))
def test_any_text_is_a_schema_or_an_error_of_ours(given):
    try:
        made = schema.load(given)
    except LlmrrError:
        return
    assert isinstance(made, bool | dict)


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
WORDS = st.sampled_from(["items", "anyOf", "properties", "nullable", "a"])


@given(
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner),
        max_leaves=12,
    )
)
def test_the_walk_takes_any_json(value):
    with contextlib.suppress(LlmrrError):
        schema.parse(json.dumps(value), "it")


PERSON = schema.load("name, age int, tags[]")


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ('{"name": "Ada", "age": 36, "tags": ["x"]}', None),
        ('  {"tags": [], "age": 36.0, "name": "Ada"}\n', None),
        ("Ada is 36.", "it is no JSON"),
        ("[1]", "it is [1], and no object"),
        ('{"name": "Ada", "tags": []}', "age is missing"),
        ('{"name": "Ada", "age": "36", "tags": []}', 'age is "36", and no integer'),
        ('{"name": "Ada", "age": true, "tags": []}', "age is true, and no integer"),
        ('{"name": "Ada", "age": 3, "tags": [1]}', "tags[0] is 1, and no string"),
        ('{"name": "Ada", "age": 3, "tags": [], "x": 1}', "x is not in the schema"),
    ],
)
def test_what_does_not_fit_a_schema(said: str, wrong: str | None) -> None:
    assert misfit(PERSON, said) == wrong


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from("ab"),
    lambda one: st.lists(one, max_size=2) | st.dictionaries(st.sampled_from("ab"), one, max_size=2),
    max_leaves=4,
)
TYPES = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])
MADE = st.recursive(
    st.fixed_dictionaries({}, optional={
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
        "enum": st.lists(st.integers(0, 3) | st.sampled_from("ab"), min_size=1, max_size=2),
        "$ref": st.just("#"),
    }),
    lambda one: st.fixed_dictionaries({}, optional={
        "properties": st.dictionaries(st.sampled_from("ab"), one, max_size=2),
        "required": st.lists(st.sampled_from("ab"), max_size=2, unique=True),
        "additionalProperties": st.just(False) | one,
        "patternProperties": st.dictionaries(st.sampled_from("ab"), one, max_size=1),
        "items": one,
        "prefixItems": st.lists(one, min_size=1, max_size=2),
    }),
    max_leaves=4,
)  # fmt: skip


@given(MADE, VALUES)
def test_only_what_is_certain_is_told(made: dict[str, object], value: object) -> None:
    if "$ref" not in json.dumps(made) and misfit(made, json.dumps(value)) is not None:
        assert not Draft202012Validator(made).is_valid(value)
