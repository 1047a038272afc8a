"""The input of a call, from arguments that come in pieces, are cut, or are no JSON."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrr.protocols.anthropic.inputs import Input, input_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=3), one, max_size=3),
    max_leaves=6,
)  # fmt: skip
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=3)


@settings(max_examples=60)
@given(OBJECTS, st.booleans(), st.integers(0, 60), st.sampled_from([1, 2, 5]))
def test_pieces_are_the_text_and_never_less_than_json(
    found: dict[str, object], ascii_: bool, cut: int, size: int
) -> None:
    text = json.dumps(found, ensure_ascii=ascii_)
    taken = Input()
    assert "".join(taken.push(text[at : at + size]) for at in range(0, len(text), size)) == text
    assert taken.value == found == input_of(text)
    beginning, letters = Input(), Input()
    told = beginning.push(text[:cut])
    assert text.startswith(told)
    assert "".join(map(letters.push, text[:cut])) == told
    assert letters.value == beginning.value
    assert not text[:cut] or input_of(text[:cut]) == beginning.value
    assert set(beginning.value) <= set(found)


@pytest.mark.parametrize(("text", "told", "value"), [
    ('{"a": 1, "b": [1, {"c": "x', '{"a": 1, "b": [1, {"c": "x', {"a": 1, "b": [1, {}]}),
    ('{"a": 12', '{"a": ', {}),  # it may be 123
    ("{'a': 1}", "{", {}),
    ('{"a": 1, "b": True}', '{"a": 1, "b": ', {"a": 1}),
    ('{"a": 1,}', '{"a": 1,', {"a": 1}),
    ('{"a": 1]', '{"a": 1', {"a": 1}),
    ('{"a": 01}', '{"a": ', {}),
    ('{"a": "\\x"}', '{"a": "', {}),
    ('{"a": "\t"}', '{"a": "', {}),
    ('{"a": {}} {"b": 1}', '{"a": {}}', {"a": {}}),
    ("[1]", "", {}),
])  # fmt: skip
def test_what_is_wrong_ends_it(text: str, told: str, value: dict[str, object]) -> None:
    taken = Input()
    assert "".join(map(taken.push, text)) == told
    assert taken.value == value


@pytest.mark.parametrize("value", ["[" * 100_000, "[" * 5000 + "]" * 5000, "1" * 5000 + ","])
def test_what_no_json_of_pythons_can_be_is_left_out(value: str) -> None:
    text = '{"a": 1, "b": ' + value + "}"
    assert input_of(text)["a"] == 1
    taken = Input()
    assert text.startswith(taken.push(text))
    assert taken.value == input_of(text)


def test_what_is_no_object_stands_in_one() -> None:
    assert input_of("oops") == {"arguments": "oops"}
    assert input_of("") == {}
