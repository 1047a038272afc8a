"""Events out of bytes, however these are cut; and what an error's body says."""

import json
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrr.engines.remote import faults
from llmrr.engines.remote.events import events, lines
from llmrr.engines.remote.faults import Party
from llmrr.errors import BrokenStream, LlmrrError

PARTY = Party("openai", "m")
SSE = "text/event-stream; charset=utf-8"
STREAM = (
    'event: a\ndata: {"n": 1}\n\n: comment\n\nid: 7\ndata:{"n":\ndata: 2}\n\n'
    'data: {"text": "ä\\n"}\n\ndata: [DONE]\n\ndata: {"n": 4}\n\n'
)
FOUND = [{"n": 1}, {"n": 2}, {"text": "ä\n"}]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


@given(st.lists(st.integers(0, 200), max_size=8), st.sampled_from(["\n", "\r\n", "\r"]))
def test_events_come_out_however_they_are_cut(places: list[int], end: str) -> None:
    data = STREAM.replace("\n", end).encode()
    assert list(chain(*events(PARTY, SSE, cut(data, places)))) == FOUND


@given(st.lists(st.integers(0, 60), max_size=8))
def test_lines_of_json(places: list[int]) -> None:
    data = b'{"n": 1}\n\n{"text": "\xc3\xa4"}\r\n{"n": 3}'
    found = list(chain(*events(PARTY, "application/x-ndjson", cut(data, places))))
    assert found == [{"n": 1}, {"text": "ä"}, {"n": 3}]


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_any_bytes_are_events_or_an_error(blocks: list[bytes]) -> None:
    for kind in (SSE, "application/x-ndjson", "application/json", ""):
        try:
            for event in chain.from_iterable(events(PARTY, kind, blocks)):
                assert isinstance(event, dict)
        except BrokenStream as error:
            assert error.message.startswith("openai:m: the answer ")


def test_the_last_line_needs_no_end() -> None:
    assert list(events(PARTY, SSE, [b'data: {"n": 1}'])) == [[], [{"n": 1}]]
    assert list(chain(*lines(PARTY, [b"a\r", b"\nb\r"]))) == [b"a", b"b"]


def test_what_came_at_once_is_told_at_once_and_before_what_is_no_event() -> None:
    heard = events(PARTY, SSE, [b'data: {"n": 1}\n\ndata: {"n": 2}\n\ndata: {\n\n'])
    assert next(heard) == [{"n": 1}, {"n": 2}]
    with pytest.raises(BrokenStream):
        next(heard)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["error", "message", "detail", "code", "type", "status", "loc", "msg"]),
        inner, max_size=3,
    ),
)  # fmt: skip


@given(st.integers(100, 599), json_values | st.binary(max_size=40).map(repr))
def test_any_body_of_an_error_has_a_meaning(status: int, document: object) -> None:
    party = Party("openai", "m", "KEY", ("a-secret-value",))
    body = json.dumps([document, "a-secret-value"]).encode()
    error = faults.of_status(party, status, body, {"retry-after": "soon"})
    assert isinstance(error, LlmrrError)
    assert error.message
    assert "a-secret-value" not in error.message
    assert len(error.message) < 800
    assert error.message.isprintable()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0), ({"retry-after": "-1"}, 0.0), ({"retry-after": "x"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0), ({}, None),
        ({"retry-after": "9", "retry-after-ms": "250"}, 0.25), ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)  # fmt: skip
def test_when_to_come_again(headers: dict[str, str], seconds: float | None) -> None:
    assert faults.retry_after(headers) == seconds


def test_a_key_that_somebody_repeats_is_hidden_whoevers_it_is() -> None:
    said = PARTY.clean("Wrong API key provided: sk-proj-abcdefghijklmnop. Or AIzaSyA1234567890ab")
    assert said == "Wrong API key provided: [key]. Or [key]"
    assert Party("openai", "m", "K", ("none",)).clean("none of it") == "none of it"
