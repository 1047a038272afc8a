"""Alerts: when they are due, and where they go."""

import json
import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from fakes import FakeEngine, FakeStream
from terminal import Typed

from llmrr import alerts, config, stats, trust
from llmrr.alerts import Alert, Facts, Rules, due
from llmrr.choosing import delivery
from llmrr.database import open_database
from llmrr.errors import BadConfig, EngineFailed, LlmrrError
from llmrr.pool import MemoryUse, Pool
from llmrr.router import Router
from llmrr.types import Message, Request

HELLO = Request(messages=(Message("user", "hello"),))
ALL = Rules(2000, 0.05, 0.85)


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"latency_ms": 2000.0}, []),
        ({"latency_ms": 2000.1}, ["high-latency"]),
        ({"failed": 4, "runs": 9}, []),
        ({"failed": 9, "runs": 9}, []),
        ({"failed": 5, "runs": 5, "opens_at": 5}, ["high-error-rate"]),
        ({"failed": 1, "runs": 10}, ["high-error-rate"]),
        ({"failed": 1, "runs": 20}, []),
        ({"memory": 0.85}, []),
        ({"memory": 0.86}, ["high-memory"]),
        ({}, []),
        ({"latency_ms": 9e9, "failed": 50, "runs": 50, "memory": 1.0}, list(alerts.EVENTS)),
    ],
)
def test_what_is_above_its_limit_is_due(facts: dict[str, float], found: list[str]) -> None:
    assert [one.event for one in due(ALL, Facts(0.0, "m", **facts))] == found  # type: ignore[arg-type]
    assert due(Rules(), Facts(0.0, "m", **facts)) == []  # type: ignore[arg-type]


def test_an_alert_is_not_repeated_for_a_while() -> None:
    def alert(at: float, event: str = "high-latency", model: str = "m") -> Alert:
        return Alert(event, model, 1.0, 0.5, at, "x")

    with closing(open_database()) as connection:
        first = alert(1000.0)
        assert alerts.record(connection, [first, alert(1001.0)]) == [first]
        others = [alert(1002.0, model="n"), alert(1002.0, "high-memory")]
        assert alerts.record(connection, others) == others
        assert alerts.record(connection, [alert(1000 + alerts.QUIET_S - 1)]) == []
        late = alert(1000 + alerts.QUIET_S + 1)
        assert alerts.record(connection, [late]) == [late]
        assert alerts.recent(connection) == [first, *others, late]
        assert alerts.recent(connection, since=1200.0) == [late]
        # A clock that was set back silences nothing.
        assert alerts.record(connection, [alert(500.0)])


def test_figures_that_are_compared_are_told_apart() -> None:
    rules = Rules(0.25, 0.001, 0.85)
    found = due(rules, Facts(0.0, "m", 6.14, failed=1, runs=10, memory=0.9))
    assert [one.message for one in found] == [
        "m took 6.1 ms, and may take 0.25 ms",
        "1 of the last 10 runs of m failed, and 0.1% may",
        "90% of the memory is taken, and 85% may be",
    ]


def test_the_error_rate_is_that_of_a_models_last_runs() -> None:
    def run(at: float, model: str = "m", error: str | None = None) -> stats.Run:
        return stats.Run(None, at, model, "s", "e", error=error)

    now = 1e6
    with closing(open_database()) as connection:
        for _ in range(30):
            stats.record(connection, run(now - 90000, error="EngineFailed: long ago"))
        for _ in range(40):
            stats.record(connection, run(now - 50))
            stats.record(connection, run(now - 50, "other", "EngineFailed: x"))
        for error in ("EngineFailed: x", "TimedOut: y", "ContextOverflow: z", None):
            stats.record(connection, run(now - 1, error=error))
        assert alerts.outcomes(connection, "m", now) == (2, 43)
        for _ in range(60):
            stats.record(connection, run(now))
        assert alerts.outcomes(connection, "m", now) == (0, 50)


def test_retention_holds_for_alerts_and_metrics() -> None:
    with closing(open_database()) as connection:
        for at in (1000.0, 2e6):
            alerts.record(connection, [Alert("e", "m", None, None, at, "x")])
            connection.execute(
                "INSERT INTO metrics (at, event, value, labels) VALUES (?, 'e', 1, '{}')", (at,)
            )
        stats.prune(connection, 86400.0, now=2e6)
        assert [one.at for one in alerts.recent(connection)] == [2e6]
        assert connection.execute("SELECT at FROM metrics").fetchall() == [(2e6,)]


# -- in use ------------------------------------------------------------------------------------


class Hook(BaseHTTPRequestHandler):
    """Takes what is posted."""

    taken: list[tuple[str, object]]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append((self.path, json.loads(body)))
        self.send_response(self.status)
        self.send_header("Location", "file:///etc/passwd")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[tuple[str, type[Hook]]]:
    handler = type("Handler", (Hook,), {"taken": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def talks(engine: FakeEngine) -> FakeEngine:
    """1.5 seconds an answer, as it says."""
    engine.replies = ["hi"] * 20
    return engine


def own(text: str) -> None:
    """The user's own settings, which need no agreement."""
    config.user_file().parent.mkdir(parents=True, exist_ok=True)
    config.user_file().write_text(text)


def ask(times: int = 1) -> list[str]:
    told: list[str] = []
    with Router(warn=told.append) as router:
        for _ in range(times):
            with suppress(LlmrrError):
                assert list(router.run(HELLO, model="builtin:mini"))
    assert delivery.finish(10)
    return told


def raised() -> list[Alert]:
    with closing(open_database()) as connection:
        return alerts.recent(connection)


def test_alerts_are_off_until_one_is_set(talks: FakeEngine) -> None:
    own("version = 1\n")
    ask()
    assert raised() == []
    own("[alerts]\nlatency_ms = 1000\n")
    ask(3)
    (alert,) = raised()
    assert (alert.event, alert.model, alert.value, alert.limit) == (
        "high-latency", "builtin:mini", 1500.0, 1000.0
    )  # fmt: skip


def test_they_are_logged_and_told_where_a_person_is(
    talks: FakeEngine, typed: Typed, caplog: pytest.LogCaptureFixture
) -> None:
    said = "high-latency: builtin:mini took 1,500 ms, and may take 1,000 ms"
    cases = (("", False, False), ("--verbose", False, True), ("", True, True))
    for flag, terminal, told in cases:
        own("[alerts]\nlatency_ms = 1000\n")
        with closing(open_database()) as connection:
            connection.execute("DELETE FROM alerts")
        with caplog.at_level(logging.WARNING, logger="llmrr"):
            seen = typed("run", "-m", "builtin:mini", "hello", *flag.split(), err_terminal=terminal)
        assert (said in seen.err) == told
        assert said in caplog.text
        caplog.clear()
    seen = typed("stats")
    assert "high-latency" in seen.out
    assert typed("stats", "--json").json["alerts"][0]["value"] == 1500.0


def test_a_model_that_always_fails_is_told_of_before_its_breaker_is_quiet(
    engine: FakeEngine,
) -> None:
    Path("llmrr.toml").write_text(
        "[[models]]\nname = 'dead'\nsource = 'builtin:mini'\n[retry]\nattempts = 1\n"
    )
    own("[alerts]\nerror_rate = 0.01\n")
    with Router() as router:
        for _ in range(15):
            engine.replies = [EngineFailed("boom")]
            with suppress(LlmrrError):
                list(router.run(HELLO))
    assert [one.message for one in raised()] == ["5 of the last 5 runs of dead failed, and 1% may"]


def test_an_error_rate_over_several_processes(engine: FakeEngine) -> None:
    own("[alerts]\nerror_rate = 0.5\n[breaker]\nfailures = 1000\n")
    for at in range(12):
        engine.replies = [EngineFailed("boom")] if at else ["hi"]
        ask()
        assert bool(raised()) == (at >= 9)
    (alert,) = raised()
    assert alert.message == "9 of the last 10 runs of builtin:mini failed, and 50% may"


def test_memory_is_that_of_this_machine(talks: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pool, "use", lambda pool: MemoryUse(9, 10))
    own("[alerts]\nmemory = 0.8\n")
    ask(2)
    (alert,) = raised()
    assert (alert.event, alert.model, alert.value) == ("high-memory", "", 0.9)


def test_a_webhook_gets_what_happened_and_no_words(
    talks: FakeEngine, hook: tuple[str, type[Hook]]
) -> None:
    address, taken = hook
    own(f"[alerts]\nlatency_ms = 1000\nwebhook = '{address}/in?to=x'\n")
    ask(3)
    ((path, body),) = taken.taken
    assert path == "/in?to=x"
    assert isinstance(body, dict)
    assert set(body) == {"event", "model", "value", "limit", "at", "message"}
    assert body["event"] == "high-latency"


def test_a_webhook_that_fails_breaks_nothing(
    talks: FakeEngine, hook: tuple[str, type[Hook]]
) -> None:
    address, taken = hook
    taken.status = 302
    own(f"[alerts]\nlatency_ms = 1000\nwebhook = '{address}/secret-path'\n")
    (told,) = ask()
    assert told == f"the alert was not taken by {address}: status 302"
    assert len(taken.taken) == 1
    own("[alerts]\nlatency_ms = 1000\nwebhook = 'http://127.0.0.1:9/secret-path'\n")
    with closing(open_database()) as connection:
        connection.execute("DELETE FROM alerts")
    (told,) = ask()
    assert told.startswith("the alert could not be posted to http://127.0.0.1:9: ")
    assert "secret" not in told


def command(text: str) -> str:
    Path("act.py").write_text(text)
    return f"command = '{sys.executable} {Path('act.py').absolute()}'"


def test_a_command_gets_the_event_and_the_json(talks: FakeEngine) -> None:
    own("[alerts]\nlatency_ms = 1000\n" + command(
        "import os, sys\nopen('seen', 'a').write(os.environ['LLMRR_ALERT'] + sys.stdin.read())\n"
    ))  # fmt: skip
    assert ask(3) == []
    text = Path("seen").read_text()
    assert text.startswith("high-latency{")
    assert json.loads(text.removeprefix("high-latency"))["model"] == "builtin:mini"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("command = '/no/such/command x'", "cannot be run"),
        ("command = 'false'", "ended with 1"),
    ],
)
def test_a_command_that_fails_is_told_once(talks: FakeEngine, line: str, said: str) -> None:
    own(f"[alerts]\nlatency_ms = 1000\n{line}\n")
    (told,) = ask()
    assert said in told


def test_a_command_that_hangs_is_ended(talks: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "COMMAND_S", 0.1)
    own("[alerts]\nlatency_ms = 1000\n" + command("import time\ntime.sleep(60)\n"))
    began = time.monotonic()
    (told,) = ask()
    assert "was ended" in told
    assert time.monotonic() - began < 30


def test_a_command_of_an_alert_raises_none_itself(
    talks: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMRR_ALERT", "high-latency")
    own("[alerts]\nlatency_ms = 1000\n" + command("open('seen', 'w')\n"))
    assert ask() == []
    assert not Path("seen").exists()


def test_a_process_that_ends_still_delivers(tmp_path: Path) -> None:
    import subprocess

    own("[alerts]\nlatency_ms = 0.001\n" + command("open('seen', 'w').write('x')\n"))
    line = [sys.executable, "-m", "llmrr", "run", "-m", "builtin:mini", "--max-tokens", "1", "Hi"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "high-latency" not in done.stderr
    assert (tmp_path / "seen").read_text() == "x"


def test_a_webhook_that_hangs_holds_no_process(tmp_path: Path) -> None:
    import socket
    import subprocess

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        own(f"[alerts]\nlatency_ms = 0.001\nwebhook = 'http://127.0.0.1:{port}'\n")
        line = [sys.executable, "-m", "llmrr", "run", "-m", "builtin:mini", "Hi"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        silent.settimeout(10)
        taken, _ = silent.accept()  # it was asked, and never answered
        with taken:
            assert b"POST / HTTP/1.1" in taken.recv(1000)
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1


def test_a_project_runs_and_posts_nothing_before_the_user_agrees(
    talks: FakeEngine, hook: tuple[str, type[Hook]], typed: Typed
) -> None:
    address, taken = hook
    Path("llmrr.toml").write_text(
        f"[alerts]\nlatency_ms = 1000\nwebhook = '{address}/in'\n"
        + command("open('seen', 'w')\n").replace("act.py", "act.py one")
    )
    told = ask(2)
    assert [one.partition(" (")[0].rpartition("/")[2] for one in told] == [
        address.rpartition("/")[2], "act.py one"
    ]  # fmt: skip
    assert all("nobody agreed to that: llmrr config trust" in one for one in told)
    assert taken.taken == []
    assert not Path("seen").exists()
    assert len(raised()) == 1
    assert typed("config", "trust").code == 0
    assert trust.is_trusted(Path("llmrr.toml"))
    assert ask(2) == []
    assert len(taken.taken) == 1
    assert Path("seen").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("latency_ms = 0", "latency_ms = 0 is not a number above 0"),
        ("error_rate = 5", "is not a number from 0 to 1"),
        ("webhook = 'file:///etc/passwd'", "is not an address such as https://HOST/PATH"),
        ("webhook = 'https://user:word@example.org'", "is not an address"),
        ("command = ''", "is not a command line"),
        ("command = 'say \"x'", "the command cannot be read: No closing quotation"),
        ("command = ['x']", "is not a command line"),
        ("latency = 5", "did you mean latency_ms?"),
    ],
)
def test_what_alerts_cannot_be(line: str, said: str) -> None:
    Path("llmrr.toml").write_text(f"[alerts]\n{line}\n")
    with pytest.raises(BadConfig) as caught:
        config.load()
    assert said in f"{caught.value.message} {caught.value.hint}"
    assert "line 2" in caught.value.message


def test_what_the_cache_answers_has_no_latency() -> None:
    own("[alerts]\nlatency_ms = 1000\n")
    with Router() as router:
        for cache, count in (("exact", 0), (None, 1)):
            run = stats.Run(None, time.time(), "m", "s", "e", total_s=5.0, cache=cache)
            router.watch.after(run)
            assert len(raised()) == count


def test_an_answer_that_was_broken_off_has_no_latency(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    own("[alerts]\nlatency_ms = 1000\n")
    engine.replies = ["hi"]
    with Router() as router:
        answer = router.run(HELLO, model="builtin:mini")
        answer.close()
    assert isinstance(engine.streams[0], FakeStream)
    assert engine.streams[0].cancelled
    assert raised() == []
