"""Text out of the bytes of tokens: the result may not depend on how they are cut."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrr.engines.markers import COMMON, Markers, markers_for, tag
from llmrr.engines.text import TextAssembler

HARMONY = markers_for("<|channel|>analysis<|message|>")


def put_together(
    parts: list[bytes], stop: tuple[str, ...] = (), reasoning: Markers | None = None, opened=False
) -> tuple[str, str, bool]:
    assembler = TextAssembler(stop, reasoning, opened)
    pieces = [assembler.push(part) for part in parts] + [assembler.finish()]
    return "".join(p[0] for p in pieces), "".join(p[1] for p in pieces), pieces[-1][2]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(at)]


@given(st.binary(max_size=40), st.lists(st.integers(0, 40), max_size=10))
def test_any_bytes_decode_as_they_do_in_one_piece(data, places):
    expected = data.decode("utf-8", "replace")
    assert put_together(cut(data, places)) == (expected, "", False)


WORDS = ("<think>", "</think>", "\n", " ", "stop", "st", "a", "é", "✓", "<", "op", "th", "sto")
STOPS = st.lists(st.sampled_from(("stop", "stopa", "top", "\n", "aa", "é✓", "<t")), max_size=3)


@given(
    st.lists(st.sampled_from(WORDS), max_size=14).map("".join),
    st.lists(st.integers(0, 90), max_size=14),
    STOPS.map(tuple),
    st.sampled_from((None, COMMON)),
    st.booleans(),
)
def test_the_cut_into_tokens_does_not_matter(text, places, stop, reasoning, opened):
    whole = put_together([text.encode()], stop, reasoning, opened)
    assert put_together(cut(text.encode(), places), stop, reasoning, opened) == whole
    answer, thought, stopped = whole
    assert not any(one in answer for one in stop)
    assert stopped or len(answer) + len(thought) <= len(text)


HARMONY_WORDS = (*HARMONY.open, *HARMONY.close, *HARMONY.skip, "a", " ", "<|", "\n")


@given(
    st.lists(st.sampled_from(HARMONY_WORDS), max_size=8).map("".join),
    st.lists(st.integers(0, 300), max_size=14),
)
def test_channels_may_be_cut_anywhere(text, places):
    whole = put_together([text.encode()], (), HARMONY)
    assert put_together(cut(text.encode(), places), (), HARMONY) == whole


@given(st.text("abst", max_size=30), STOPS.map(tuple))
def test_the_stop_string_that_is_complete_first_ends_it(text, stop):
    ends = [
        (found.end(), found.start()) for one in stop for found in [re.search(one, text)] if found
    ]
    answer, _, stopped = put_together([letter.encode() for letter in text], stop)
    assert stopped == bool(ends)
    assert answer == (text[: min(ends)[1]] if ends else text)


def test_only_what_may_become_a_stop_string_is_held_back():
    assembler = TextAssembler(("STOP",))
    assert assembler.push(b"go STAY") == ("go STAY", "", False)
    assert assembler.push(b" ST") == (" ", "", False)
    assert assembler.push(b"AY") == ("STAY", "", False)
    assert assembler.push(b"S") == ("", "", False)
    assert assembler.push(b"TOP it") == ("", "", True)
    assert assembler.push(b"more") == ("", "", True)
    assert assembler.finish() == ("", "", True)


def test_what_was_held_back_comes_out_at_the_end():
    assembler = TextAssembler(("STOP",))
    assert assembler.push(b"a STO")[0] == "a "
    assert assembler.finish() == ("STO", "", False)


def test_a_character_cut_off_at_the_end_is_a_replacement_character():
    assert put_together(["é".encode()[:1]]) == ("\ufffd", "", False)


def test_stop_strings_of_any_length():
    stop = "ab" * 5000
    assert put_together([stop[:-1].encode()], (stop,)) == (stop[:-1], "", False)
    assert put_together([stop[:7001].encode(), stop[7001:].encode()], (stop,)) == ("", "", True)


@pytest.mark.parametrize(
    ("text", "markers", "opened", "answer", "thought"),
    [
        ("<think>\nhm\n</think>\n\nYes.", COMMON, False, "Yes.", "hm"),
        ("\n<think>hm</think>Yes.", COMMON, False, "Yes.", "hm"),
        ("hm\n</think>\n\nYes.", COMMON, True, "Yes.", "hm"),
        ("<think>\n\n</think>\n\nYes.", COMMON, False, "Yes.", ""),
        ("<think>cut", COMMON, False, "", "cut"),
        ("The tag <think> opens.", COMMON, False, "The tag <think> opens.", ""),
        ("  indented", COMMON, False, "  indented", ""),
        ("<thin", COMMON, False, "<thin", ""),
        ("<think>a</think><think>b</think>c", COMMON, False, "c", "ab"),
        ("<think>a</think>", None, False, "<think>a</think>", ""),
        ("[THINK]a[/THINK]b", markers_for("{{ '[THINK]' }}"), False, "b", "a"),
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hi",
            HARMONY,
            False,
            "Hi",
            "Hm.",
        ),
        ("<|channel|>final<|message|>Hi", HARMONY, False, "Hi", ""),
        (
            "<|channel>thought\nHm.\n<channel|>Hi",
            markers_for("'<|channel>thought\n'"),
            False,
            "Hi",
            "Hm.",
        ),
        (
            "<|think|>Hm.<|end|><|begin|>assistant<|content|>Hi",
            markers_for("<|begin|>assistant<|think|>"),
            False,
            "Hi",
            "Hm.",
        ),
    ],
)
def test_reasoning_is_kept_apart(text, markers, opened, answer, thought):
    for parts in ([text.encode()], [letter.encode() for letter in text]):
        assert put_together(parts, (), markers, opened) == (answer, thought, False)


def test_a_stop_string_inside_reasoning_does_not_end_the_answer():
    assert put_together([b"<think>a\nb</think>c\nd"], ("\n",), COMMON) == ("c", "a\nb", True)


def test_markers_come_from_the_template():
    assert markers_for("no word of it") == COMMON
    assert markers_for("'<think>' then '</think>'") == tag("think")
    assert markers_for("<seed:think>") == tag("seed:think")
    assert markers_for("'<|START_THINKING|>'").close == ("<|END_THINKING|>",)
    assert HARMONY.needs("<|channel|>") and not HARMONY.needs("<|return|>")
