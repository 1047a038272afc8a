"""How alike two answers are."""

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrr import similarity
from llmrr.similarity import cosine, in_order, is_same, jaccard, overlap, words
from llmrr.similarity import similarity as alike

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
some = st.sampled_from(["the", "a", "Paris", "is", "-3", "3.5", "東京", "né", "👍"])
sentences = st.lists(some).map(" ".join)


@given(texts | sentences, texts | sentences)
def test_it_is_from_0_to_1_the_same_in_either_order_and_1_with_itself(one: str, other: str) -> None:
    found = alike(one, other)
    assert 0.0 <= found <= 1.0
    assert found == alike(other, one)
    assert alike(one, one) == 1.0
    assert (found == 1.0) == (words(one) == words(other))
    some, others = words(one), words(other)
    assert (found == 0.0) == (some != others and not set(some) & set(others))


@given(sentences)
def test_case_spaces_and_punctuation_are_no_difference(text: str) -> None:
    assert alike(text, f"  {text.upper()}.\n") == 1.0
    assert alike(text, "** " + ",  ".join(text.split()) + "!") == 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It's here", "It\u2019s here"),
        ("\uff26\uff55ll", "full"),
        ("cafe\u0301", "caf\u00e9"),
        ("Straße", "STRASSE"),
        ("東京です。", "東京 です"),
        ("1,000 km", "1000 km"),
        ("soft\u00adhyphen", "softhyphen"),
    ],
)
def test_what_says_the_same(one: str, other: str) -> None:
    assert alike(one, other) == 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [("5", "-5"), ("3.14", "314"), ("3+4", "3-4"), ("1/2", "1 2"), ("50%", "50"), ("👍", "👎"),
     ("कि", "का"), ("a<b", "a>b"), ("東京", "京都"), ("2*3", "2/3"), ("٣", "٤")],
)  # fmt: skip
def test_what_says_something_else(one: str, other: str) -> None:
    assert alike(one, other) < 1.0
    assert not is_same(one, other)


def test_order_counts_in_every_script() -> None:
    same, turned = "the dog bites the man", "the man bites the dog"
    assert 0.5 < alike(same, turned) < 1.0
    assert overlap(words(same), words(turned)) == jaccard(words(same), words(turned)) == 1.0
    assert 0.5 < alike("犬が人を噛む", "人が犬を噛む") < 1.0


def test_more_in_common_is_more_alike() -> None:
    asked = "The capital of France is Paris, on the Seine."
    near, far = "The capital of France is Paris.", "France has a capital: Lyon."
    assert alike(asked, near) > 0.7 > 0.5 > alike(asked, far) > 0.0
    assert alike("", "") == 1.0
    assert alike("", "something") == 0.0


def test_the_common_subsequence_is_the_longest() -> None:
    world = random.Random(3)
    for _ in range(200):
        one, other = ([world.choice("abcd") for _ in range(world.randrange(1, 90))] for _ in "12")
        assert in_order(one, other) == 2 * _by_table(one, other) / (len(one) + len(other))


def _by_table(one: list[str], other: list[str]) -> int:
    row = [0] * (len(other) + 1)
    for left in one:
        before, row = row, [0] * (len(other) + 1)
        for at, right in enumerate(other, 1):
            row[at] = before[at - 1] + 1 if left == right else max(before[at], row[at - 1])
    return row[-1]


def test_long_texts_take_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    long = " ".join(map(str, range(40_000)))

    def refused(one: object, other: object) -> int:
        raise AssertionError("too long for a table")

    monkeypatch.setattr(similarity, "_common", refused)
    assert alike(long, long + " end") > 0.999
    assert alike(long, "x y z") == 0.0
    assert 0.0 < alike(long, " ".join(map(str, range(40_000, 0, -1)))) < 0.6


def test_cosine() -> None:
    assert cosine([1.0, 2.0], [2.0, 4.0]) == pytest.approx(1.0)
    assert cosine([1.0, 0.0], [-2.0, 0.0]) == -1.0
    assert cosine([0.0, 0.0], [1.0, 0.0]) == 0.0
    assert cosine([1e-9] * 1000, [1e9] * 1000) <= 1.0
    with pytest.raises(ValueError, match="of 1 and of 2 numbers"):
        cosine([1.0], [1.0, 2.0])


def test_it_may_be_asked_from_many_threads() -> None:
    found: list[float] = []
    threads = [
        threading.Thread(target=lambda: found.append(alike("a b c", "a b d"))) for _ in range(8)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(set(found)) == 1
