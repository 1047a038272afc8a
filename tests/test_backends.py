"""Several servers behind one name: looked at, chosen by their load, left out while they are down.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from provider_servers import KEY, MODEL
from serving import ANSWER, ASKED, serving

from llmrr.engines.remote import checking, hops
from llmrr.errors import ConnectionFailed
from llmrr.router import Router
from llmrr.server import circles, hosting
from llmrr.types import Endpoint, Message, Request

HELLO = Request(messages=(Message("user", "What is the capital of France?"),))


def behind(name: str, url: str, **named: Any) -> dict[str, Any]:
    return {"name": name, "source": "openai:loop", "options": {"base_url": f"{url}/v1"}, **named}


@pytest.mark.parametrize(("path", "body"), [
    ("/v1/chat/completions", {"messages": ASKED}),
    ("/v1/chat/completions", {"messages": ASKED, "stream": True}),
    ("/v1/embeddings", {"input": "Hello"}),
    ("/api/chat", {"messages": ASKED}),
])  # fmt: skip
@pytest.mark.parametrize("count", [1, 2])
def test_a_server_that_would_ask_itself_says_so(path, body, count):
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(Router(models=[]))) for _ in range(count)]
        for one, other in zip(servers, [*servers[1:], servers[0]], strict=True):
            one.service.router.update_config(models=[behind("loop", other.url)])
        said = servers[0].ask(path, {**body, "model": "loop"})
        text = said.body.decode()
        assert said.status == 508 and "is this server itself, or asks it in turn" in text
        assert "give the model another base_url" in text


def test_members_of_an_ensemble_are_asked_on_behalf_of_the_request_too():
    with serving(Router(models=[])) as first, serving(Router(models=[])) as second:
        models = [behind("a", second.url), {"name": "b", "source": "builtin:mini"}]
        first.service.router.update_config(models=models, strategy="ensemble")
        second.service.router.update_config(models=[behind("loop", first.url)])
        body = {"model": "auto", "messages": ASKED, "temperature": 0}
        said = first.ask("/v1/chat/completions", body)
        assert said.json()["choices"][0]["message"]["content"] == ANSWER
        assert said.json()["usage"]["prompt_tokens"] > 5
        said = first.ask("/v1/chat/completions", {**body, "stream": True})
        deltas = (one["choices"][0]["delta"] for one in said.events())
        assert "".join(one.get("content", "") for one in deltas) == ANSWER
        assert first.ask("/page/live").status == 200


def test_a_provider_is_not_told_through_whom_it_is_asked(monkeypatch):
    hops.enter("", "0" * 32)
    monkeypatch.setenv("OLLAMA_HOST", "")
    found = {
        one.provider: hops.headers(one)
        for one in (Endpoint("openai", "x"), Endpoint("ollama", "x"),
                    Endpoint("groq", "x", base_url="http://box/v1"))
    }  # fmt: skip
    assert found == {"openai": {}, "ollama": {hops.HEADER: "0" * 32},
                     "groq": {hops.HEADER: "0" * 32}}  # fmt: skip
    hops._through.set("")


def test_a_server_that_would_ask_itself_says_so_as_it_begins():
    with closing(hosting.listener("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        urls = [f"http://{host}:{port}" for host in ("localhost", "127.0.0.1", "[::1]", "0.0.0.0")]
        away = ["http://127.0.0.1:1", f"http://192.0.2.1:{port}"]
        models = [behind(f"m{index}", url) for index, url in enumerate([*urls, *away])]
        with Router(models=models) as router:
            said = list(circles.found(router, [listener]))
        assert [one.split()[2] for one in said] == ["m0", "m1", "m2", "m3"]


class Box:
    """A server that says what it is told to: a status and a body by path. ``asked`` are the paths,
    with the key that came along."""

    def __init__(self, answers: dict[str, tuple[int, bytes]] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("authorization")))
                status, body = outer.answers.get(self.path, (404, b""))
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                message = {"role": "assistant", "content": "boxed"}
                body = json.dumps({"choices": [
                    {"index": 0, "message": message, "finish_reason": "stop"}
                ]}).encode()  # fmt: skip
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.listener.daemon_threads = True
        self.thread = threading.Thread(target=self.listener.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self.listener.server_port}/v1"

    def __enter__(self) -> "Box":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown()
        self.listener.server_close()
        self.thread.join()


def endpoint(url: str) -> Endpoint:
    return Endpoint("openai", "x", url)


def model(name: str, url: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "source": f"openai:{MODEL}", "group": "all",
            "options": {"base_url": url, **more}}  # fmt: skip


SLOTS = b'{"status": "ok", "slots_idle": 1, "slots_processing": 3}'
VLLM = b'# HELP x\nvllm:num_requests_running{e="0"} 2.0\nvllm:num_requests_waiting{e="0"} 5.0\n'


@pytest.mark.parametrize(
    ("answers", "why", "busy"),
    [
        ({"/health": (200, b'{"status": "ok", "requests": 4}')}, "", 4),
        ({"/health": (200, SLOTS)}, "", 3),
        ({"/health": (200, b""), "/metrics": (200, VLLM)}, "", 7),
        ({"/health": (200, b'{"status":"ok"}')}, "", None),
        ({"/v1/models": (200, b"{}")}, "", None),
        ({}, "", None),  # it is there, and has neither
        ({"/health": (503, b'{"error": {"message": "Loading model"}}')},
         "/health says 503: Loading model", None),
        ({"/health": (401, b""), "/v1/models": (502, b"bad gateway")}, "/models says 502", None),
        ({"/v1/models": (401, b'{"error": {"message": "no such key"}}')},
         "/models says 401: no such key", None),
    ],
)  # fmt: skip
def test_what_a_check_finds(
    answers: dict[str, tuple[int, bytes]], why: str, busy: int | None
) -> None:
    with Box(answers) as box:
        found = checking.check(endpoint(box.url), 5.0)
    assert (found.why, found.is_late, found.busy) == (why, False, busy)


def test_a_server_that_is_not_there_and_one_that_says_nothing() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        late = checking.check(endpoint(f"http://127.0.0.1:{port}/v1"), 0.05)
    assert (late.is_late, "0.05 s" in late.why) == (True, True)
    found = checking.check(endpoint(f"http://127.0.0.1:{port}/v1"), 5.0)
    assert (found.why, found.is_late) == ("it refuses connections", False)


def test_a_check_sends_the_key_of_its_model_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOX_KEY", KEY)
    with Box() as box:
        checking.check(Endpoint("openai", "x", box.url, "BOX_KEY"), 5.0)
        checking.check(endpoint(box.url), 5.0)
    keys = [key for _, key in box.asked]
    assert keys == [f"Bearer {KEY}"] * 3 + [None] * 3


def test_only_servers_of_ones_own_are_looked_at() -> None:
    with Box() as box:
        named = [model("own", box.url), {"name": "far", "source": "openai:gpt-4o"},
                 {"name": "here", "source": "builtin:mini"}]  # fmt: skip
        with Router(models=named) as router:
            router._host.backends.look()
            assert [path for path, _ in box.asked] == ["/health", "/v1/models", "/metrics"]
            assert len(router._host.backends._known) == 1


@pytest.fixture
def two() -> Iterator[tuple[Box, Box, Router, Callable[[], None]]]:
    """Two servers behind one name, and what looks at them."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(Box()) for _ in range(2))
        named = [model("one", one.url), model("other", other.url)]
        router = stack.enter_context(
            Router(models=named, strategy="least-loaded", health={"timeout": 2.0})
        )
        yield one, other, router, router._host.backends.look


def test_the_least_loaded_is_taken_counting_what_others_ask_of_it(
    two: tuple[Box, Box, Router, Callable[[], None]]
) -> None:
    one, other, router, look = two
    one.answers["/health"] = (200, b'{"requests": 3}')
    other.answers["/health"] = (200, b'{"requests": 1}')
    look()
    assert router.route(HELLO, model="all").chosen == "other"
    under_way = [router.run(HELLO, model="all", cache=False) for _ in range(5)]
    assert [answer.model.name for answer in under_way[:2]] == ["other"] * 2
    assert {answer.model.name for answer in under_way[2:]} == {"one", "other"}
    for answer in under_way:
        answer.close()


def test_a_server_that_is_down_is_left_out_and_comes_back(
    two: tuple[Box, Box, Router, Callable[[], None]]
) -> None:
    one, _, router, look = two
    one.answers["/health"] = (503, b"")
    look()
    decision = router.route(HELLO, model="all")
    assert decision.chosen == "other"
    assert [(bad.name, "is down: /health says 503" in bad.why) for bad in decision.rejected] == [
        ("one", True)
    ]
    with pytest.raises(ConnectionFailed, match="the server of one is down"):
        router.generate("x", model="one")
    one.answers["/health"] = (200, b"")
    look()
    assert router.generate("x", model="one").text == "boxed"


def test_one_that_is_late_once_is_only_busy(
    two: tuple[Box, Box, Router, Callable[[], None]]
) -> None:
    _, _, router, _ = two
    backends, late = router._host.backends, checking.Condition("late", is_late=True)
    backends._note("http://a", ["a"], late, 0)
    assert not backends._known["http://a"].why
    backends._note("http://a", ["a"], late, 0)
    assert backends._known["http://a"].why


def test_a_request_that_finds_nobody_leaves_the_server_out_at_once() -> None:
    with Box() as gone, Box() as stays:
        named = [model("gone", gone.url), model("stays", stays.url)]
        told: list[str] = []
        with Router(
            models=[{**named[0], "priority": 1}, {**named[1], "priority": 2}], warn=told.append,
            strategy="capability-match", retry={"initial_delay": 30.0, "max_delay": 30.0},
        ) as router:  # fmt: skip
            router._host.backends.look()
            gone.listener.shutdown()
            gone.listener.server_close()
            assert router.generate("x").model == "stays"  # and nothing was waited for
            assert router.route(HELLO).rejected[0].name == "gone"
            assert any(text.startswith("gone is down") for text in told)


def test_the_thread_looks_by_itself_and_ends_with_the_router() -> None:
    with Box({"/health": (503, b"")}) as box:
        seen = threading.Event()
        router = Router(models=[model("a", box.url)], warn=lambda text: seen.set(),
                        health={"interval": 0.01})  # fmt: skip
        router.watch_backends().watch_backends()
        assert seen.wait(10)
        router.close()
        thread = router._host.backends._thread
        assert thread is not None
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def process(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """An ``llmrr serve`` of its own, and its address."""
    found = subprocess.Popen(
        [sys.executable, "-m", "llmrr", "serve", "--port", "0"], stderr=subprocess.PIPE, text=True,
        cwd=tmp_path, env={**os.environ, "LLMRR_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert found.stderr is not None
    try:
        line = next(one for one in found.stderr if "listening on" in one)
        yield found, line.rsplit(maxsplit=1)[1]
    finally:
        found.kill()
        found.communicate()


def test_no_request_is_lost_when_one_of_several_servers_is_killed(tmp_path: Path) -> None:
    """Two ``llmrr serve`` behind a third."""
    with process(tmp_path) as (killed, url), serving() as stays:
        named = [
            {"name": name, "source": "openai:builtin:mini", "group": "all",
             "options": {"base_url": f"{url}/v1"}}
            for name, url in (("killed", url), ("stays", stays.url))
        ]  # fmt: skip
        router = Router(models=named, strategy="least-loaded", retry={"initial_delay": 0.01})
        with serving(router) as front:

            def ask(_: int) -> tuple[int, str]:
                body = {"model": "all", "messages": ASKED, "temperature": 0.7, "max_tokens": 12}
                said = front.ask("/v1/chat/completions", body)
                return said.status, said.json().get("system_fingerprint", said.body)

            found: list[tuple[int, str]] = []
            with ThreadPoolExecutor(6) as crew:
                while {name for _, name in found} < {"killed", "stays"}:
                    found += crew.map(ask, range(6))
                later = [crew.submit(ask, number) for number in range(40)]
                later[0].result()
                killed.kill()
                found += [one.result() for one in later]
            assert router.route(HELLO, model="all").rejected[0].name == "killed"
    assert [one for one in found if one[0] != 200] == []
