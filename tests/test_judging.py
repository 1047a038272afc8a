"""What is right: tables of answers, by the way of matching."""


import pytest

from llmrr.errors import UsageError
from llmrr.evaluate.judging import Expected, chosen, is_right, json_value, numbers, result, same
from llmrr.evaluate.patterns import Patterns


def right(answer: str, match: str, *values: object, **named: object) -> bool:
    with Patterns() as patterns:
        expected = Expected(match, values, **named)  # type: ignore[arg-type]
        return is_right(answer, expected, patterns.search)


@pytest.mark.parametrize(
    ("answer", "match", "value", "wanted"),
    [
        (" Paris.\n", "exact", "Paris.", True),
        ("The  capital\nis Paris.", "exact", "The capital is Paris.", True),
        ("paris.", "exact", "Paris.", False),
        ("Paris", "exact", "Paris.", False),
        ("The capital is PARIS!", "contains", "paris", True),
        ("I know nothing.", "contains", "no", False),
        ("It's 42.", "contains", "42", True),
        ("It's 142.", "contains", "42", False),
        ("**New\nYork**", "contains", "new york", True),
        ("\uff30aris", "contains", "paris", True),  # a full-width letter
        ("naïve café", "contains", "cafe\u0301", True),  # composed and not
        ("首都は東京です。", "contains", "東京", True),
        ("เมืองหลวงคือกรุงเทพ", "contains", "กรุงเทพ", True),
        ("use C++.", "contains", "C++", True),
        ("STRASSE", "contains", "straße", True),
        ("year 1999", "regex", r"\b(19|20)\d\d\b", True),
        ("year 199", "regex", r"\b(19|20)\d\d\b", False),
        ("Yes", "regex", "(?i)^yes", True),
    ],
)
def test_texts(answer: str, match: str, value: str, wanted: bool) -> None:
    assert right(answer, match, value) is wanted


def test_any_of_several_is_right() -> None:
    assert right("the UK", "contains", "United Kingdom", "UK")
    assert not right("the US", "contains", "United Kingdom", "UK")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1,234.50 and 2", [1234.5, 2]),
        ("1, 2,3", [1, 2, 3]),
        ("-3 and \N{MINUS SIGN}4, but 5-6", [-3, -4, 5, 6]),
        (".5 + 1.5e-3", [0.5, 0.0015]),
        ("gpt-4 v1.2.", [4, 1.2]),
        ("$12,000,000.", [12_000_000]),
        ("12,34", [12, 34]),
        ("none - at, all.", []),
        ("+7%", [7]),
        ("1e999", [float("inf")]),
    ],
)
def test_numbers(text: str, wanted: list[float]) -> None:
    assert numbers(text) == wanted


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("3 + 4 = 7.", 7),
        ("First 3, then 4.\n#### 72", 72),
        (r"so \boxed{42} out of 50", 42),
        ("The answer is 12 because 3 times 4 is 12, out of 99.", 12),
        ("The answer is clear: 9", 9),
        ("I cannot say.", None),
    ],
)
def test_the_number_that_an_answer_comes_to(answer: str, wanted: float | None) -> None:
    assert result(answer) == wanted


def test_numbers_within_a_tolerance() -> None:
    assert right("about 3.14", "number", 3.14)
    assert not right("about 3.1", "number", 3.14)
    assert right("about 3.1", "number", 3.14, tolerance=0.05)
    assert right("0.3", "number", 0.2, tolerance=0.1)  # in binary a little more than 0.1 apart
    assert not right("0.31", "number", 0.2, tolerance=0.1)
    assert right("333333.34", "number", 333333.333)
    assert not right("no idea", "number", 0)


CAPITALS = ("London", "Paris", "New York", "York")


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("B", 1), ("b", 1), ("(B)", 1), ("**B.** Paris", 1), ("B) Paris", 1), ("B: since", 1),
        ("Paris", 1), ("paris.", 1), ("It must be Paris, I think.", 1),
        ("The answer is C.", 2), ("The correct choice is (D) York", 3), ("Answer: **A**", 0),
        (r"\boxed{C}", 2), ("New York", 2), ("I would say New York.", 2), ("York", 3),
        ("B\nBecause it is the capital.", 1), ("Not A, not C: the answer is B", 1),
        ("A city is a place.", None), ("London or Paris", None), ("A or B", None), ("E", None),
        ("I am not sure", None), ("", None), ("It is option C, surely", 2),
    ],
)  # fmt: skip
def test_choices(answer: str, wanted: int | None) -> None:
    assert chosen(answer, CAPITALS) == wanted


def test_choices_that_are_numbers_or_letters() -> None:
    assert chosen("4", ("3", "4")) == 1
    assert chosen("The sum is 4.", ("3", "4")) == 1
    assert chosen("A", ("B", "A")) == 0  # the letter that was shown


@pytest.mark.parametrize(
    ("answer", "value", "wanted"),
    [
        ('{"b": 1, "a": [1, 2]}', {"a": [1, 2], "b": 1.0}, True),
        ('{"a": [2, 1]}', {"a": [1, 2]}, False),
        ('Sure:\n```json\n{"a": 1}\n```\nDone {x}.', {"a": 1}, True),
        ('It is {"a": 1} here', {"a": 1}, True),
        ('{"a": 1, "b": 2}', {"a": 1}, False),
        ('{"a": true}', {"a": 1}, False),
        ('{"a": "1"}', {"a": 1}, False),
        ("[1, 2]", [1, 2], True),
        ("7", 7, True),
        ("{broken", {"a": 1}, False),
        ("null", None, True),
    ],
)
def test_json(answer: str, value: object, wanted: bool) -> None:
    assert right(answer, "json", value) is wanted


def test_json_with_more_keys() -> None:
    answer = '{"name": "Ada", "age": 36, "at": {"x": 1, "y": 2}, "tags": [{"k": 1, "v": 2}]}'
    wanted = {"name": "Ada", "at": {"y": 2}, "tags": [{"k": 1}]}
    assert right(answer, "json", wanted, subset=True)
    assert not right(answer, "json", wanted)
    assert not same({"tags": [1, 2]}, {"tags": [1]}, subset=True)


def test_an_answer_of_brackets_ends() -> None:
    assert json_value("[" * 20_000) == []


def test_a_pattern_that_takes_for_ever_is_stopped() -> None:
    with Patterns(limit_s=0.3) as patterns:
        assert patterns.search("a", "a")
        with pytest.raises(UsageError, match=r"\(a\+\)\+\$.*more than 0.3 s"):
            patterns.search("(a+)+$", "a" * 40 + "b")
        assert patterns.search("é\n", "é\n")  # another process goes on
