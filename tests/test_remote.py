"""What every remote engine does, whatever its protocol: answers, faults, times, cancels, keys."""

import queue
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openai_servers import OpenAIServer
from provider_servers import KEY, MODEL, Fault, Said
from remote_cases import CASES, GOOGLE, KEY_ENV, OPENAI, Case, answer, asked, text_of

from llmrr.engines import remote
from llmrr.engines.base import Options
from llmrr.engines.remote import connections, deadlines, exchange, faults, starter
from llmrr.engines.remote.openai import Chunks
from llmrr.engines.remote.stream import RemoteStream
from llmrr.errors import (
    AuthenticationFailed,
    BrokenStream,
    ConnectionFailed,
    EngineFailed,
    FeatureMissing,
    LlmrrError,
    NotFound,
    Overloaded,
    RateLimited,
    RequestRefused,
    TimedOut,
    Unreachable,
)
from llmrr.types import Chunk, Endpoint, Image, Message, Request, Tool, ToolCall, Usage

every = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)


@every
def test_an_answer_comes_in_pieces_with_what_it_took(case: Case) -> None:
    with case.talking() as (served, model):
        chunks = list(model.generate(asked("hi")))
        assert [chunk.text for chunk in chunks] == ["Hello", ", ", "world!", ""]
        assert chunks[-1].finish_reason == "stop"
        usage = chunks[-1].usage
        assert (usage.prompt_tokens, usage.completion_tokens) == (11, 3)
        assert not usage.estimated
        assert 0 < usage.first_token_s <= usage.total_s
        assert "hi" in str(served.last.body)


@every
def test_a_connection_is_used_again(case: Case) -> None:
    with case.talking() as (served, model):
        for _ in range(5):
            assert answer(model) == "Hello, world!"
        assert len(served.seen) == 5
        assert served.connections <= 2  # a closing one may be left behind by a loaded machine


@every
def test_many_at_once(case: Case) -> None:
    with case.talking() as (_, model):
        streams = [model.generate(asked(str(number))) for number in range(16)]
        assert [text_of(list(one)) for one in streams] == ["Hello, world!"] * 16


def test_answers_that_were_begun_come_at_once_though_nobody_reads_them() -> None:
    gate, asked_for = threading.Event(), threading.Semaphore(0)
    with OPENAI.talking() as (served, model):
        answer(model)  # it was reached: who asks reads it
        events = served.events

        def together(path: str, body: Any, said: Said) -> Iterator[bytes]:
            asked_for.release()
            assert gate.wait(20)
            yield from events(path, body, said)

        served.events = together
        streams = [model.generate(asked(str(number))) for number in range(3)]
        for _ in streams:
            assert asked_for.acquire(timeout=20)
        gate.set()
        assert [text_of(list(one)) for one in streams] == ["Hello, world!"] * 3


def test_two_answers_that_one_thread_reads_in_turn_do_not_mix() -> None:
    with OPENAI.talking() as (served, model):
        answer(model)
        first = model.generate(asked())
        assert next(first).text == "Hello"
        served.faults.append(Fault(after=3, stalls=True))
        second = model.generate(asked())
        assert next(second).text == "Hello"
        list(first)  # its connection is given back, and is not that of the other
        assert served.stalled.wait(20)
        threading.Thread(target=second.cancel).start()
        assert list(second)[-1].finish_reason == "cancelled"


def test_what_a_listener_takes_is_not_the_time_of_the_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [time.monotonic()]
    with OPENAI.talking(between_tokens=5, timeout=8) as (_, model):
        answer(model)
        monkeypatch.setattr(starter, "soon", lambda start: None)  # it is read by who listens
        for name in ("monotonic", "perf_counter"):
            monkeypatch.setattr(time, name, lambda: now[0])
        heard = []
        for chunk in model.generate(asked()):
            heard.append(chunk)
            now[0] += 7
        assert text_of(heard) == "Hello, world!"
        assert heard[-1].usage is not None
        assert heard[-1].usage.total_s == pytest.approx(0, abs=1e-3)


def test_what_is_read_by_its_listener_may_be_waited_for_as_well() -> None:
    with OPENAI.talking() as (_, model):
        answer(model)
        stream = model.generate(asked())
        heard = [next(stream)]
        while stream.ready(20):
            if (chunk := next(stream, None)) is None:
                break
            heard.append(chunk)
        assert text_of(heard) == "Hello, world!"
        assert heard[-1].finish_reason == "stop"


def test_who_interrupts_a_listener_that_reads_may_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with OPENAI.talking() as (_, model):
        answer(model)
        stream = model.generate(asked())
        next(stream)
        progressed = deadlines.Deadlines.progressed

        def interrupt(self: Any) -> None:
            progressed(self)
            raise KeyboardInterrupt

        monkeypatch.setattr(deadlines.Deadlines, "progressed", interrupt)
        with pytest.raises(KeyboardInterrupt):
            next(stream)
        stream.cancel()
        [last] = list(stream)
        assert last.finish_reason == "cancelled"
        assert last.usage is not None


@pytest.mark.parametrize("counted", ['"x"', "-1", "-1e999", "1e999", "[2]", "9e30"])
def test_counts_that_are_none_are_estimated(counted: str) -> None:
    usage = f'"usage": {{"prompt_tokens": 1, "completion_tokens": {counted}}}'
    last = f'data: {{"choices": [{{"delta": {{}}, "finish_reason": "stop"}}], {usage}}}\n\n'
    with OPENAI.talking() as (served, model):
        served.faults.append(Fault(raw=last.encode(), after=0))
        usage_ = list(model.generate(asked("x" * 40)))[-1].usage
        assert (usage_.estimated, usage_.prompt_tokens, usage_.completion_tokens) == (True, 14, 0)


@pytest.mark.parametrize(
    "delta",
    ['"reasoning_content": 7', '"content": ["a"]', '"reasoning": {"a": 1}',
     '"tool_calls": [{"id": 7, "function": {"name": "f"}}]',
     '"tool_calls": [{"id": "c", "function": {"name": ["f"], "arguments": "{}"}}]'],
)  # fmt: skip
def test_what_is_no_text_is_a_broken_answer(delta: str) -> None:
    said = f'data: {{"choices": [{{"delta": {{{delta}}}, "finish_reason": "stop"}}]}}\n\n'
    with OPENAI.talking() as (served, model):
        served.faults.append(Fault(raw=said.encode(), after=0))
        with pytest.raises(BrokenStream, match="is not what the protocol has"):
            answer(model)


@every
def test_chunks_are_pushed(case: Case) -> None:
    with case.talking() as (_, model):
        heard: list[Chunk] = []
        over = threading.Event()

        def listen(chunk: Chunk) -> None:
            heard.append(chunk)
            if chunk.usage is not None:
                over.set()

        model.generate(asked(), on_chunk=listen)
        assert over.wait(20)
        assert text_of(heard) == "Hello, world!"


@every
def test_a_listener_that_fails_ends_its_own_answer(case: Case) -> None:
    with case.talking() as (_, model):

        def listen(chunk: Chunk) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            next(model.generate(asked(), on_chunk=listen))
        assert answer(model) == "Hello, world!"


@every
@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (Fault(400, "invalid_request_error"), RequestRefused, 7),
        (Fault(401, "authentication_error"), AuthenticationFailed, 6),
        (Fault(403, "permission_error"), AuthenticationFailed, 6),
        (Fault(404, "not_found_error"), NotFound, 3),
        (Fault(429, "rate_limit_error", headers={"retry-after": "7"}), RateLimited, 7),
        (Fault(500, "api_error"), Overloaded, 7),
        (Fault(503, body=b"<html><title>busy</title><p>nobody</html>"), Overloaded, 7),
        (Fault(529, "overloaded_error"), Overloaded, 7),
        (Fault(504), TimedOut, 7),
        (Fault(307, headers={"location": "http://elsewhere.example/"}), Unreachable, 6),
        (Fault(after=1), BrokenStream, 7),
        (Fault(after=0), BrokenStream, 7),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Fault) else "",
)
def test_what_goes_wrong_has_its_own_type(
    case: Case, fault: Fault, kind: type[LlmrrError], code: int
) -> None:
    with case.talking() as (served, model):
        served.faults.append(fault)
        with pytest.raises(kind) as caught:
            list(model.generate(asked()))
        assert type(caught.value) is kind
        assert caught.value.exit_code == code
        assert MODEL in caught.value.message
        assert case.provider in caught.value.message
        if fault.status and fault.status not in (307, 503):
            assert "it went wrong" in caught.value.message
            assert str(fault.status) in caught.value.message
        if fault.status == 503:
            assert "nobody" in caught.value.message
            assert "<" not in caught.value.message
        if kind is RateLimited:
            assert caught.value.retry_after == 7.0
        assert answer(model) == "Hello, world!"


@every
def test_a_wrong_key_is_refused_and_never_repeated(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "secret-not-shaped-like-any-key"
    monkeypatch.setenv(KEY_ENV, wrong)
    with case.talking() as (_, model):
        with pytest.raises(AuthenticationFailed) as caught:
            answer(model)  # the server repeats the key
        assert wrong not in caught.value.message
        assert "[key]" in caught.value.message
        assert caught.value.hint == f"export {KEY_ENV}=…"


@every
def test_a_missing_key_names_its_variable(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_ENV)
    with pytest.raises(Unreachable, match=f"{KEY_ENV} is not set") as caught, case.talking():
        pass
    assert type(caught.value) is Unreachable
    assert caught.value.hint == f"llmrr keys set {KEY_ENV}\nexport {KEY_ENV}=…"


@pytest.mark.parametrize("broken", ["two\nlines", "a space", "schlüssel"])
def test_a_key_that_no_header_holds_is_not_shown(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_ENV, broken)
    with pytest.raises(Unreachable, match=KEY_ENV) as caught, OPENAI.talking():
        pass
    assert broken not in caught.value.message


def test_a_providers_own_key_goes_to_no_stated_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with OPENAI.talking(api_key_env=None) as (served, model):
        with pytest.raises(AuthenticationFailed) as caught:
            answer(model)
        assert "authorization" not in served.last.headers
        assert "api_key_env" in caught.value.hint


def test_the_variable_of_the_address_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with OPENAI.server() as served:
        monkeypatch.setenv("OPENAI_BASE_URL", served.address + "/v1/")
        model = OPENAI.model(served, base_url=None, api_key_env=None)
        assert answer(model) == "Hello, world!"
        model.close()


def test_what_holds_a_key_does_not_print_it() -> None:
    from llmrr.engines.remote.keys import key_for

    with OPENAI.talking() as (served, model):
        headers, party = model._headers()
        shown = repr((headers, party, key_for(OPENAI.endpoint(served)), vars(model)))
        assert KEY in headers["authorization"]
        assert KEY not in shown


def test_further_headers_come_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_TOKEN", "opaque-value")
    with OPENAI.talking(headers_env={"X-Proxy": "PROXY_TOKEN"}) as (served, model):
        answer(model)
        assert served.last.headers["x-proxy"] == "opaque-value"
        served.faults.append(Fault(400, message="header opaque-value is odd"))
        with pytest.raises(RequestRefused) as caught:
            answer(model)
        assert "opaque-value" not in caught.value.message


@every
def test_a_cancelled_answer_ends_at_once_and_its_connection_is_closed(case: Case) -> None:
    with case.talking() as (served, model):
        served.faults.append(Fault(after=_events_before_text(case) + 1, stalls=True))
        stream = model.generate(asked())
        assert next(stream).text == "Hello"
        assert served.stalled.wait(20)
        threading.Thread(target=stream.cancel).start()
        [last] = list(stream)
        assert last.finish_reason == "cancelled"
        assert last.usage is not None
        assert last.usage.estimated is (case is not GOOGLE)  # which counts from the start
        assert served.gone.wait(20)
        stream.cancel()
        assert answer(model) == "Hello, world!"


@every
def test_cancelled_before_anything_came(case: Case) -> None:
    with case.talking() as (served, model):
        served.faults.append(Fault(after=0, stalls=True))
        stream = model.generate(asked())
        assert served.stalled.wait(20)
        assert not stream.ready(0)
        stream.cancel()
        [last] = list(stream)
        assert (last.finish_reason, last.text) == ("cancelled", "")
        assert stream.ready(0)


def test_cancelled_once_it_is_over_there_is_one_end() -> None:
    with OPENAI.talking() as (served, model):
        stream = model.generate(asked())
        for one in threading.enumerate():
            if one.name == "llmrr-remote":
                one.join(20)  # all of it is here, and nobody heard it
        stream.cancel()
        assert [one.finish_reason for one in stream] == [None, None, None, "stop"]
        assert list(stream) == []
        served.faults.append(Fault(429))
        broken = model.generate(asked())
        with pytest.raises(RateLimited):
            next(broken)
        broken.cancel()
        assert list(broken) == []


def test_cancelling_what_is_over_leaves_the_next_answer_alone() -> None:
    gate = threading.Event()
    with OPENAI.talking() as (served, model):
        first = model.generate(asked())
        list(first)
        events = served.events

        def paused(path: str, body: Any, said: Said) -> Iterator[bytes]:
            for number, event in enumerate(events(path, body, said)):
                if number == 2:
                    assert gate.wait(20)
                yield event

        served.events = paused
        second = model.generate(asked())
        assert next(second).text == "Hello"
        first.cancel()
        gate.set()
        assert text_of(list(second)) == ", world!"
        assert served.connections == 1


def test_a_pushed_answer_that_is_cancelled_says_so() -> None:
    with OPENAI.talking() as (served, model):
        served.faults.append(Fault(after=3, stalls=True))
        heard: list[Chunk] = []
        over = threading.Event()

        def listen(chunk: Chunk) -> None:
            heard.append(chunk)
            if chunk.usage is not None:
                over.set()

        stream = model.generate(asked(), on_chunk=listen)
        assert served.stalled.wait(20)
        stream.cancel()
        assert over.wait(20)
        assert heard[-1].finish_reason == "cancelled"


@every
@pytest.mark.parametrize(
    ("after", "limits", "message"),
    [
        (0, {"first_token": 0.2}, "did not begin to answer within 0.2 s"),
        (1, {"between_tokens": 0.2}, "then said nothing for 0.2 s"),
        (1, {"timeout": 0.3}, "did not end its answer within 0.3 s"),
    ],
)
def test_the_times_hold(case: Case, after: int, limits: dict[str, float], message: str) -> None:
    with case.talking(**limits) as (served, model):
        at = _events_before_text(case) + 1 if after else 0
        served.faults.append(Fault(after=at, stalls=True))
        began = time.monotonic()
        with pytest.raises(TimedOut, match=message) as caught:
            list(model.generate(asked()))
        assert time.monotonic() - began < 10
        assert next(iter(limits)) in caught.value.hint
        assert caught.value.transient


def test_a_server_that_only_keeps_the_connection_alive_does_not_answer() -> None:
    comments = b": still here\n\n" * 3
    with OPENAI.talking(first_token=0.3) as (served, model):
        # Pieces come, and none of them is a part of the answer.
        served.events = lambda path, body, said: _endless(served, comments)
        with pytest.raises(TimedOut, match="did not begin"):
            list(model.generate(asked()))


OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("before", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nx: ", b"y"),  # a header without end
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK, b"0"),  # the length of a chunk
        (OK + b"5;", b"x"),  # its extension
        (b"HTTP/1.1 500 No\r\ncontent-length: 60000\r\n\r\n", b"y"),
    ],
)
def test_the_times_hold_whatever_drips(
    before: bytes, drop: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "STEP", 0.01)
    late = pytest.raises(TimedOut, match="did not begin to answer")
    with dripping(before, drop, first_token=0.2) as model, late:
        list(model.generate(asked()))


def test_the_end_of_a_body_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "STEP", 0.01)
    said = b'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}\n\n'
    said += b"data: [DONE]\n\n"
    with dripping(OK + b"%x\r\n%s\r\n" % (len(said), said), b"0") as model:
        assert answer(model) == "a"


@contextmanager
def dripping(before: bytes, drop: bytes, **limits: float) -> Iterator[Any]:
    """A model of a server that begins so, and then sends this every 10 ms, until it ends."""
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            other, _ = listener.accept()
            with other:
                other.recv(1 << 16)
                other.sendall(before)
                while not over.wait(0.01):
                    other.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        engine = remote.named("openai")
        assert engine is not None
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        model = engine.load(Endpoint("openai", MODEL, base_url=url, **limits), Options())  # type: ignore[arg-type]
        yield model
        model.close()
        over.set()
    thread.join()


def test_nobody_is_there() -> None:
    with OPENAI.server() as served:
        gone = OPENAI.endpoint(served)
    engine = remote.named("openai")
    assert engine is not None
    model = engine.load(gone, Options())
    with pytest.raises(ConnectionFailed, match=f"at {model.where}: Connection refused$") as caught:
        answer(model)
    assert model.where in caught.value.hint
    assert caught.value.exit_code == 6
    assert caught.value.transient


def test_a_server_that_takes_no_more_connections() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = []
        for _ in range(8):  # until the system has no more room for those that wait
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(address)
        engine = remote.named("openai")
        assert engine is not None
        for limits, kind, message in (
            ({"connect": 0.2}, ConnectionFailed, "no connection within 0.2 s"),
            ({"timeout": 0.2}, TimedOut, "did not end its answer within 0.2 s"),
        ):
            url = f"http://127.0.0.1:{address[1]}/v1"
            model = engine.load(Endpoint("openai", "m", base_url=url, **limits), Options())
            with pytest.raises(kind, match=message):
                answer(model)
        for one in waiting:
            one.close()


def test_a_name_that_nobody_has() -> None:
    engine = remote.named("openai")
    assert engine is not None
    model = engine.load(Endpoint("openai", "m", base_url="http://nobody.invalid/v1"), Options())
    with pytest.raises(ConnectionFailed, match="cannot be reached"):
        answer(model)


def test_a_server_without_a_certificate_that_is_trusted(tmp_path: Any) -> None:
    with OPENAI.server() as served:  # it speaks no TLS at all
        url = served.address.replace("http:", "https:") + "/v1"
        model = OPENAI.model(served, base_url=url)
        with pytest.raises(Unreachable, match="no secure connection"):
            answer(model)


@every
def test_what_may_pass_is_tried_again_before_the_first_token(case: Case) -> None:
    again = {"retry-after": "0"}
    with case.talking(max_retries=2) as (served, model):
        served.faults += [Fault(429, headers=again), Fault(503, headers=again)]
        assert answer(model) == "Hello, world!"
        assert len(served.seen) == 3
        served.faults += [Fault(429, headers=again)] * 3
        with pytest.raises(RateLimited):
            answer(model)
        assert len(served.seen) == 6
        served.faults.append(Fault(400))
        with pytest.raises(RequestRefused):
            answer(model)
        assert len(served.seen) == 7


def test_vectors_are_tried_again_too() -> None:
    again = {"retry-after": "0"}
    with OPENAI.talking(max_retries=1) as (served, model):
        served.faults.append(Fault(503, headers=again))
        assert len(model.embed(["a"])) == 1
        served.faults += [Fault(503, headers=again)] * 2
        with pytest.raises(Overloaded):
            model.embed(["a"])
        assert len(served.seen) == 4


@pytest.mark.parametrize("after", [None, 2.0])
def test_how_long_it_waits(after: float | None) -> None:
    from llmrr.engines.remote import retry
    from llmrr.engines.remote.deadlines import Deadlines

    waited: list[float] = []

    def fail() -> None:
        raise RateLimited("no", retry_after=after)

    with pytest.raises(RateLimited):
        retry.run(fail, 8, Deadlines(Endpoint("openai", "m")), wait=waited.append)
    assert waited == ([2.0] * 8 if after else [0.5, 1, 2, 4, 8, 16, 30, 30])


@every
def test_what_an_answer_took_that_broke_off_is_guessed(case: Case) -> None:
    with case.talking() as (served, model):
        served.replies.append(Said(("x" * 400, "y")))
        served.faults.append(Fault(after=_events_before_text(case) + 1))
        with pytest.raises(BrokenStream) as caught:
            list(model.generate(asked()))
        usage = caught.value.usage
        assert isinstance(usage, Usage)
        assert usage.completion_tokens == 100
        assert usage.prompt_tokens > 0
        assert usage.estimated
        served.faults.append(Fault(500))
        with pytest.raises(Overloaded) as refused:
            list(model.generate(asked()))
        assert refused.value.usage is None


def test_what_was_said_of_a_call_counts_and_counts_once() -> None:
    said = Said((), calls=(("c", "weather", "x" * 404),), usage=False)
    with OPENAI.talking() as (served, model):
        served.replies += [said, said]
        assert list(model.generate(asked()))[-1].usage.completion_tokens == 101
        served.faults.append(Fault(after=4))  # before its end
        with pytest.raises(BrokenStream) as caught:
            list(model.generate(asked()))
        assert caught.value.usage.completion_tokens == 101


def test_nothing_is_tried_again_after_the_first_token() -> None:
    with OPENAI.talking(max_retries=2) as (served, model):
        served.faults.append(Fault(after=3))
        stream = model.generate(asked())
        with pytest.raises(BrokenStream):
            list(stream)
        assert len(served.seen) == 1


def test_a_pause_longer_than_the_whole_time_is_not_waited_for() -> None:
    with OPENAI.talking(max_retries=2, timeout=20) as (served, model):
        served.faults.append(Fault(429, headers={"retry-after": "3600"}))
        began = time.monotonic()
        with pytest.raises(RateLimited):
            answer(model)
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("after", "said"),
    [("30", "again in 30 s"), ("Fri, 02 Jan 2099 12:00:00 GMT", "not before 2099-01-02 ")],
)
def test_when_to_come_back(after: str, said: str) -> None:
    with OPENAI.talking() as (served, model):
        served.faults.append(Fault(429, headers={"retry-after": after}))
        with pytest.raises(RateLimited) as caught:
            answer(model)
    assert caught.value.hint.startswith(said)


def test_a_pause_is_broken_off_by_cancelling() -> None:
    with OPENAI.talking(max_retries=2, timeout=None) as (served, model):
        served.faults.append(Fault(429, headers={"retry-after": "3600"}))
        stream = model.generate(asked())
        stream.cancel()
        assert [chunk.finish_reason for chunk in stream] == ["cancelled"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"data: {nope\n\n", "holds what is no JSON: {nope"),
        (b"data: [1]\n\n", "holds no object"),
        (b'data: {"choices": 7}\n\n', "is not what the protocol has"),
        (b'data: {"choices": [{"delta": {"content": 3}}]}\n\n', "is not what the protocol has"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "holds what is no JSON"),
        (b": only a comment\n\n", "ended before its end"),
    ],
)
def test_a_stream_that_is_none(raw: bytes, message: str) -> None:
    with OPENAI.talking() as (served, model):
        served.faults.append(Fault(after=1, raw=raw))
        with pytest.raises(BrokenStream, match=message):
            list(model.generate(asked()))


def test_a_line_without_an_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from llmrr.engines.remote import events

    monkeypatch.setattr(events, "LARGEST_LINE", 1 << 20)
    with OPENAI.talking() as (served, model):
        served.faults.append(Fault(after=1, raw=b"data: " + b"x" * (3 << 20)))
        with pytest.raises(BrokenStream, match="a line of more than 1 MiB"):
            list(model.generate(asked()))


def test_what_the_provider_does_not_count_is_estimated() -> None:
    with OPENAI.talking() as (served, model):
        served.replies.append(Said(usage=False))
        usage = list(model.generate(asked("x" * 400)))[-1].usage
        assert usage.estimated
        assert usage.prompt_tokens == 104
        assert usage.completion_tokens == 4


@every
def test_a_closed_model_answers_nothing(case: Case) -> None:
    with case.talking() as (_, model):
        model.close()
        with pytest.raises(EngineFailed, match="was closed"):
            model.generate(asked())


@every
def test_numbers_below_one(case: Case) -> None:
    with case.talking() as (_, model), pytest.raises(LlmrrError, match="max_tokens is 0"):
        model.generate(asked(max_tokens=0))


@every
def test_options_of_local_models_are_refused(case: Case) -> None:
    engine = remote.named(case.engine)
    assert engine is not None
    with case.server() as served, pytest.raises(FeatureMissing, match=f"{case.provider} has no"):
        engine.load(case.endpoint(served), Options(kv_type="q8_0"))


def test_an_address_that_is_none() -> None:
    engine = remote.named("openai")
    assert engine is not None
    for wrong in ("ftp://host/v1", "nothing"):
        with pytest.raises(LlmrrError, match="no address of a server"):
            engine.load(Endpoint("openai", "m", base_url=wrong), Options())


@every
def test_images_and_tools_pass_through(case: Case) -> None:
    picture = Image(data=b"\x89PNG", media_type="image/png")
    tool = Tool("weather", "The weather.", {"type": "object", "properties": {"city": {}}})
    with case.talking() as (served, model):
        served.replies.append(
            Said(text=(), calls=(("call_1", "weather", '{"city": "Rome"}'),), finish="tool_calls")
        )
        request = Request(messages=(Message.of("user", "What?", picture),), tools=(tool,))
        chunks = list(model.generate(request))
        [call] = [call for chunk in chunks for call in chunk.tool_calls]
        assert (call.name, call.arguments.replace(" ", "")) == ("weather", '{"city":"Rome"}')
        told = [piece for chunk in chunks for piece in chunk.call_pieces]
        assert {(one.id, one.name) for one in told} <= {(call.id, call.name)}
        assert "".join(one.arguments for one in told) == (call.arguments if told else "")
        assert bool(told) == (case.engine not in ("google", "ollama", "vertex"))
        assert chunks[-1].finish_reason == "tool_calls"
        assert "iVBORw" in str(served.last.body) or b"\x89PNG" in str(served.last.body).encode()
        assert "weather" in str(served.last.body)
        later = (
            Message("user", "What?"),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "sunny", tool_call_id=call.id),
        )
        assert answer(model, Request(messages=later, tools=(tool,))) == "Hello, world!"
        assert "sunny" in str(served.last.body)


def test_a_call_that_was_cut_is_no_call_to_make() -> None:
    case = next(one for one in CASES if one.engine == "openai")
    calls = (("same", "weather", '{"city": "Rome"}'), ("same", "weather", '{"city": "Os'))
    with case.talking() as (served, model):
        served.replies.append(Said(text=(), calls=calls, finish="length"))
        chunks = list(model.generate(Request(messages=(Message("user", "Hi"),))))
    found = [call for chunk in chunks for call in chunk.tool_calls]
    assert [one.arguments for one in found] == [one[2] for one in calls]
    assert len({one.id for one in found}) == 2
    assert chunks[-1].finish_reason == "length"


def _events_before_text(case: Case) -> int:
    """How many events come before the first text."""
    said = Said()
    body = {"model": MODEL, "stream": True, "messages": []}
    paths = {
        "openai": "/v1/chat/completions", "ollama": "/api/chat", "azure": "/chat/completions",
        "openai-responses": "/v1/responses",
    }  # fmt: skip
    path = paths.get(case.engine, "")
    events = case.server().events(path, body, said)
    return next(number for number, event in enumerate(events) if b"Hello" in event)


def _endless(served: Any, piece: bytes) -> Iterator[bytes]:
    while not served.over.wait(0.02):
        yield piece


def test_broken_arguments_of_a_call_are_no_traceback() -> None:
    call = ToolCall("c1", "weather", '{"city": ')
    turns = (Message("user", "hi"), Message("assistant", "", tool_calls=(call,)))
    for case in CASES:
        if case.engine in ("anthropic", "google", "ollama"):
            wrong = pytest.raises(LlmrrError, match="call c1 of weather")
            with case.talking() as (_, model), wrong:
                model.generate(Request(messages=turns))


@pytest.mark.parametrize("signature", ["none", "5", "[" * 100_000])
def test_a_signature_that_is_none_is_no_traceback(signature: str) -> None:
    call = ToolCall("c1", "weather", "{}", f"anthropic:{signature}")
    case = next(one for one in CASES if one.engine == "anthropic")
    wrong = pytest.raises(LlmrrError, match="signature of the call c1 of weather is none")
    with case.talking() as (_, model), wrong:
        model.generate(Request(messages=(Message("assistant", "", tool_calls=(call,)),)))


def test_what_one_provider_signed_is_not_sent_to_another() -> None:
    call = ToolCall("c1", "weather", "{}", "other:opaque")
    turns = (Message("user", "hi"), Message("assistant", "", tool_calls=(call,)),
             Message("tool", "x", tool_call_id="c1"))  # fmt: skip
    for case in CASES:
        with case.talking() as (served, model):
            answer(model, Request(messages=turns))
            assert "opaque" not in str(served.last.body)


# -- the way there -----------------------------------------------------------------------------


class Proxy(OpenAIServer):
    """Takes the place of the server that a whole address names."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def knows(self, path: str, body: Any) -> bool:
        self.asked.append(path)
        return super().knows(path.removeprefix("http://provider.invalid"), body)

    def events(self, path: str, body: Any, said: Said) -> Iterator[bytes]:
        return super().events(path.removeprefix("http://provider.invalid"), body, said)


def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        far = OPENAI.model(proxy, base_url="http://provider.invalid/v1")
        assert answer(far) == "Hello, world!"
        assert proxy.asked == ["http://provider.invalid/v1/chat/completions"]
        near = OPENAI.model(proxy)  # this machine is asked directly
        assert answer(near) == "Hello, world!"
        assert proxy.asked[1] == "/v1/chat/completions"
        monkeypatch.setenv("no_proxy", "provider.invalid")
        alone = OPENAI.model(proxy, base_url="http://provider.invalid/v1")
        with pytest.raises(ConnectionFailed):
            answer(alone)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of this machine that nobody signed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    made = tmp_path_factory.mktemp("certificate") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(made),
         "-out", f"{made}.crt"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    made.write_text(made.read_text() + Path(f"{made}.crt").read_text())
    return made


def test_certificates_are_verified(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with OPENAI.server() as served:
        served.encrypt(certificate)
        model = OPENAI.model(served)
        with pytest.raises(Unreachable, match="certificate verify failed") as caught:
            answer(model)
        assert "SSL_CERT_FILE" in caught.value.hint
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusting = OPENAI.model(served)
        assert answer(trusting) == "Hello, world!"
        served.faults.append(Fault(after=3, stalls=True))
        stream = trusting.generate(asked())
        assert next(stream).text == "Hello"
        assert served.stalled.wait(20)
        stream.cancel()  # through TLS too
        assert [one.finish_reason for one in stream][-1] == "cancelled"
        assert served.gone.wait(20)


# -- connections that are kept -----------------------------------------------------------------


def test_a_kept_connection_that_was_closed_meanwhile_is_no_error() -> None:
    with OPENAI.talking() as (served, model):
        answer(model)
        served.faults.append(Fault(drops=True))
        assert answer(model) == "Hello, world!"
        assert len(served.seen) == 3


def test_a_connection_that_is_open_is_asked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[str] = []
    urlopen = connections.Pool.urlopen

    def noted(*args: Any, **named: Any) -> Any:
        opened.append(args[2])
        return urlopen(*args, **named)

    monkeypatch.setattr(connections.Pool, "urlopen", noted)
    with OPENAI.talking() as (served, model):
        for _ in range(3):
            assert answer(model) == "Hello, world!"
        assert len(opened) == served.connections < len(served.seen)


def test_no_more_connections_are_kept_than_may() -> None:
    kept = connections._Stack(1)
    made = [connections._Watched("127.0.0.1"), connections._Watched("127.0.0.1")]
    kept.put(None)
    kept.put(made[0])
    with pytest.raises(queue.Full):
        kept.put(made[1])
    assert kept.get() is made[0]
    with pytest.raises(queue.Empty):
        kept.get()


def test_what_comes_behind_an_answer_is_none_to_the_next_request() -> None:
    kept, made = connections._Stack(2), connections._Watched("127.0.0.1")
    here, there = socket.socketpair()
    with there:
        made.sock = here
        kept.put(made)
        assert kept.ready() is made
        kept.put(made)
        there.sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        assert kept.ready() is None
        assert made.sock is None  # it is closed


def test_what_comes_at_once_is_one_piece_where_nobody_sees_it_before_the_end() -> None:
    party = faults.Party("openai", "m")
    said = [{"choices": [{"index": 0, "delta": {"content": one}}]} for one in ("a", "b", "c")]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}

    def heard(*came: list[dict[str, Any]], whole: bool) -> list[str]:
        stream = RemoteStream(
            Endpoint("openai", "m"), replace(asked("hi"), whole=whole), party,
            lambda exchange, deadlines: (one for one in came), lambda: Chunks(party), None, True,
        )  # fmt: skip
        found: list[str] = []
        with suppress(LlmrrError):
            found.extend(one.text for one in stream)
        return found

    assert heard(said[:2], [said[2], end], whole=True) == ["ab", "c", ""]
    assert heard(said[:2], [said[2], end], whole=False) == ["a", "b", "c", ""]
    wrong = {"error": {"message": "no"}}
    assert heard([*said, wrong], whole=True) == ["abc"]  # what came before it is told


def test_a_new_connection_that_is_closed_without_an_answer_is_one() -> None:
    with OPENAI.talking() as (served, model):
        served.faults.append(Fault(drops=True))
        with pytest.raises(BrokenStream, match="broke off"):
            answer(model)
        assert len(served.seen) == 1


def test_as_many_vectors_as_texts() -> None:
    with OPENAI.talking() as (served, model):
        served.whole = lambda path, body, said: {"data": [{"index": 0, "embedding": [1.0]}]}
        with pytest.raises(BrokenStream, match="has 1 vectors for 2 texts"):
            model.embed(["a", "b"])
        served.whole = lambda path, body, said: {"data": 3}
        with pytest.raises(BrokenStream, match="is not what the protocol has"):
            model.embed(["a"])
        events = {"content-type": "text/event-stream"}
        served.faults.append(Fault(200, headers=events, body=b": nothing\n\n"))
        with pytest.raises(BrokenStream, match="holds nothing"):
            model.embed(["a"])


def test_many_that_are_cancelled_leave_nothing_behind() -> None:
    with OPENAI.talking() as (served, model):
        served.faults += [Fault(after=number % 5, stalls=True) for number in range(40)]
        streams = [model.generate(asked()) for _ in range(40)]
        for stream in streams:
            stream.cancel()
        assert [list(one)[-1].finish_reason for one in streams] == ["cancelled"] * 40
        served.faults.clear()  # what was cancelled before it was sent met none
        assert answer(model) == "Hello, world!"
    waiting = [one for one in threading.enumerate() if one.name == "llmrr-remote"]
    for one in waiting:
        one.join(20)
        assert not one.is_alive()


@pytest.mark.parametrize("before", [0, 1])
def test_sending_has_the_time_of_the_answer(before: int) -> None:
    large = Request(messages=(Message("user", "x" * (24 << 20)),))
    with OPENAI.talking(connect=0.02) as (served, model):
        for _ in range(before):  # on a kept connection
            answer(model)
        assert answer(model, large) == "Hello, world!"
        assert len(served.seen) == 1 + before
