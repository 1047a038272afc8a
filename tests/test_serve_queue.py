"""The queue of the server: whose turn it is, and what is refused."""

import asyncio
import gc
import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from serving import ASKED, serving

from llmrr.router import Router
from llmrr.server import callers
from llmrr.server.queueing import REMOTE, Queue
from llmrr.server.service import Service
from llmrr.server.working import in_turn
from llmrr.types import Request

SMALL = frozenset(("small",))
LONG = {"model": "small", "prompt": "a", "max_tokens": 3000, "stream": True, "ignore_eos": True}


class Asking:
    """Requests to a queue, by name; ``said`` are those that were let through, in their order."""

    def __init__(self, room: dict[str, int]) -> None:
        self.queue, self.said = Queue(lambda place: room[place]), []

    def enter(self, name, places=SMALL, key="", units=1):
        return self.queue.enter(places, key, units, lambda: self.said.append(name))


def test_keys_take_turns_and_each_key_is_served_in_its_order():
    asking = Asking({"small": 1})
    first = asking.enter("first")
    tickets = {name: asking.enter(name, key=name[0]) for name in ("a1", "a2", "a3", "b1", "c1")}
    first.leave()
    while len(asking.said) < 6:
        tickets[asking.said[-1]].leave()
    assert asking.said == ["first", "a1", "b1", "c1", "a2", "a3"]


def test_a_request_counts_as_the_answers_that_it_wants_and_is_not_overtaken():
    asking = Asking({"small": 4})
    held = [asking.enter(name) for name in "abc"]
    asking.enter("four", units=4)
    asking.enter("later", key="other")
    held[0].leave()
    held[1].leave()
    assert asking.said == ["a", "b", "c"]
    held[2].leave()
    assert asking.said == ["a", "b", "c", "four"]


def test_more_answers_than_there_are_slots_are_let_through_alone():
    asking = Asking({"small": 2})
    ticket = asking.enter("many", units=100)
    asking.enter("next")
    assert asking.said == ["many"]
    ticket.leave()
    assert asking.said == ["many", "next"]


def test_who_leaves_the_queue_is_gone_at_once():
    asking = Asking({"small": 1})
    held, gone, last = asking.enter("held"), asking.enter("gone"), asking.enter("last")
    gone.leave()
    assert asking.queue.waiting == 1
    held.leave()
    assert asking.said == ["held", "last"]
    last.leave()
    last.leave()
    assert not asking.queue.waiting and not asking.queue.under_way()


def test_a_group_has_the_room_of_its_members_and_is_told_apart_once_it_is_decided():
    asking = Asking({"small": 1, "large": 1})
    both = frozenset(("small", "large"))
    one = asking.enter("one", both)
    asking.enter("two", both)
    asking.enter("three", both)
    asking.enter("four", SMALL)
    assert asking.said == ["one", "two"]
    one.narrow("large")
    one.leave()
    assert len(asking.said) == 3


def test_a_group_with_a_model_elsewhere_crowds_no_model_of_this_machine():
    asking = Asking({"small": 2, REMOTE: 100})
    mixed = frozenset(("small", REMOTE))
    tickets = [asking.enter(number, mixed) for number in range(50)]
    assert asking.said == [0, 1, 2, 3]  # none is decided yet
    tickets[0].narrow(REMOTE)
    assert asking.said == [0, 1, 2, 3, 4]
    for ticket in tickets[1:5]:
        ticket.narrow("small")
    assert asking.said == [0, 1, 2, 3, 4]  # two are computed, two wait inside
    named = [asking.enter(name) for name in "abc"]
    for ticket in tickets[1:5]:
        ticket.leave()
    assert asking.said[5:] == [5, "a", 6, "b"]  # they take turns
    tickets[5].narrow(REMOTE)
    tickets[6].narrow(REMOTE)
    assert asking.said[9:] == [7, 8]  # who named the model does not keep the group waiting
    named[0].leave()
    assert asking.said[11:] == ["c"]
    many = Asking({"small": 2, REMOTE: 100})
    ticket = many.enter("many", mixed, units=60)
    ticket.narrow("small")
    assert many.queue.busy(SMALL) == 2


def test_another_model_is_not_waited_for():
    asking = Asking({"small": 1, "large": 1})
    for name in "abc":
        asking.enter(name)
    asking.enter("other", frozenset(("large",)))
    assert asking.said == ["a", "other"]


def stalled(served, body=LONG):
    """A connection whose answer has begun."""
    where = urlsplit(served.url)
    connection = socket.create_connection((where.hostname, where.port), 30)
    data = json.dumps(body).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Length: {len(data)}\r\n\r\n"
    connection.sendall(head.encode() + data)
    return connection


def until(condition):
    """Wait until something holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(scope="module")
def narrow():
    stated = {"models": [{"name": "small", "source": "builtin:mini"}],
              "batching": {"max_batch_size": 1}, "serve": {"max_queue": 1}}  # fmt: skip
    with serving(Router(stated)) as found:
        yield found


def test_what_can_neither_begin_nor_wait_is_a_429_that_says_when(narrow):
    first = stalled(narrow)
    assert first.recv(9)
    second = stalled(narrow)
    until(lambda: narrow.service.queue.waiting == 1)
    threads = threading.active_count()
    said = narrow.ask("/v1/chat/completions", {"model": "small", "messages": ASKED})
    assert said.status == 429 and int(said.headers["retry-after"]) >= 1
    assert said.json()["error"]["code"] == "rate_limit_exceeded"
    assert threading.active_count() == threads
    first.close()
    assert second.recv(9)  # its turn has come
    second.close()
    until(lambda: not narrow.service.under_way)
    assert not narrow.service.queue.under_way()


def test_a_client_that_leaves_while_it_waits_holds_no_place(narrow):
    first = stalled(narrow)
    assert first.recv(9)
    second = stalled(narrow)
    until(lambda: narrow.service.queue.waiting == 1)
    second.close()
    until(lambda: narrow.service.queue.waiting == 0)
    assert len(narrow.service.under_way) == 1
    first.close()
    until(lambda: not narrow.service.under_way)


@pytest.mark.parametrize(("path", "asked"), [
    ("/v1/embeddings", {"input": "Hello"}),
    ("/v1/completions", {"prompt": "Hello", "echo": True, "logprobs": 1, "max_tokens": 0}),
])  # fmt: skip
def test_vectors_and_scores_wait_for_their_turn_too(narrow, path, asked, monkeypatch):
    opened = threading.Event()
    really = Service.open
    monkeypatch.setattr(Service, "open", lambda *args: opened.set() or really(*args))
    first = stalled(narrow)
    assert first.recv(9)
    with ThreadPoolExecutor(1) as pool:
        asked = {"model": "small", **asked}
        waits = pool.submit(narrow.ask, path, asked)
        until(lambda: narrow.service.queue.waiting == 1)
        assert narrow.ask(path, asked).status == 429
        assert not opened.is_set()
        first.close()
        assert waits.result().status == 200
    until(lambda: not narrow.service.queue.under_way())


def test_all_that_may_wait_are_answered(narrow):
    def ask(_):
        return narrow.ask("/v1/chat/completions", {"model": "small", "messages": ASKED}).status

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(16)))
    assert set(found) <= {200, 429} and found.count(200) >= 2
    assert not narrow.service.queue.under_way()


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_takes_too_long_is_stopped_and_that_is_said(stream):
    stated = {"models": [{"name": "small", "source": "builtin:mini"}],
              "serve": {"timeout": 0.5},
              "batching": {"max_batch_size": 1}}  # fmt: skip
    with serving(Router(stated)) as served:
        served.ask("/v1/completions", {**LONG, "max_tokens": 1})
        said = served.ask("/v1/completions", {**LONG, "n": 100, "stream": stream})
        error = said.events()[-1]["error"] if stream else said.json()["error"]
        assert said.status == (200 if stream else 504)
        assert "0.5 seconds" in error["message"]
        until(lambda: not served.service.under_way)


@pytest.mark.parametrize(("body", "status"), [
    ({"max_tokens": 9}, 400), ({"max_tokens": 8}, 200), ({}, 200),
    ({"messages": [{"role": "user", "content": "x" * 900}]}, 400),
])  # fmt: skip
def test_a_request_may_ask_for_so_many_tokens(body, status):
    serve = {"max_tokens": 8, "max_prompt_tokens": 100}
    stated = {"models": [{"name": "small", "source": "builtin:mini"}], "serve": serve}
    with serving(Router(stated)) as served:
        said = served.ask("/v1/chat/completions", {
            "model": "small", "messages": ASKED, "ignore_eos": True, **body
        })  # fmt: skip
        assert said.status == status
        if status == 200:
            assert said.json()["usage"]["completion_tokens"] == 8


def test_who_gives_up_as_its_turn_comes_takes_no_one_with_it(narrow):
    service = narrow.service

    async def ask() -> None:
        held = service.queue.enter(SMALL, "", 1, lambda: None)
        waits = asyncio.ensure_future(
            in_turn(service, "small", 1, lambda *_: None, lambda _: 0)
        )
        while not service.queue.waiting:
            await asyncio.sleep(0)
        waits.cancel()
        held.leave()
        with pytest.raises(asyncio.CancelledError):
            await waits

    asyncio.run(ask())
    assert not service.queue.under_way() and not service.queue.waiting


def test_vectors_that_nobody_waits_for_are_made_no_longer(narrow, caplog):
    router = narrow.service.router
    model = narrow.service.open("small", Request()).model
    made, begun, goes_on = [], threading.Event(), threading.Event()
    embed = model.embed

    def gated(texts):
        made.append(len(texts))
        begun.set()
        assert goes_on.wait(30)
        return embed(texts)

    model.embed = gated
    try:
        where = urlsplit(narrow.url)
        client = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
        body = json.dumps({"model": "small", "input": ["a"] * 500})
        client.request("POST", "/v1/embeddings", body)
        assert begun.wait(30)
        client.close()
        until(lambda: not callers.ANYONE.under_way)
        goes_on.set()
        until(lambda: not narrow.service.queue.under_way())
    finally:
        del model.embed
    assert len(made) == 1 and made[0] < 500
    gc.collect()
    assert "never retrieved" not in caplog.text
    found = router.embedded(["a", "b"] * 20, model="small").vectors
    assert found[:2] == [pytest.approx(one, abs=1e-5) for one in found[-2:]]
