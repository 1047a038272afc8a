"""The server as a process: how it begins, what signals do to it, and what is left of it."""

import gc
import http.client
import json
import os
import plistlib
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from serving import ASKED
from serving import MINI as MODEL
from test_serve_queue import until

from llmrr import paths
from llmrr.engines.resident import places
from llmrr.errors import LlmrrError
from llmrr.router import Router
from llmrr.server import allocating, hosting
from llmrr.server.service import Service

MINI = '[[models]]\nname = "small"\nsource = "builtin:mini"\n[batching]\nmax_batch_size = 1\n'
LONG = {"model": "small", "prompt": "a", "n": 128, "stream": True, "ignore_eos": True}
CHAT = {"model": "small", "messages": ASKED, "max_tokens": 3}


class Process:
    """A server in a process of its own; ``said`` is its stderr as far as it has come."""

    def __init__(self, *flags: str, toml: str = MINI, **environment: str) -> None:
        Path("llmrr.toml").write_text(toml)
        command = [sys.executable, "-m", "llmrr", "serve", "--port", "0", *flags]
        root = Path(__file__).parents[1]
        self.popen = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            env={**os.environ, "PYTHONPATH": str(root), **environment},
        )  # fmt: skip
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        until(lambda: "listening on" in self.said or self.popen.poll() is not None)
        assert self.popen.poll() is None, self.said
        found = re.search(r"listening on http://([\d.]+):(\d+)", self.said)
        assert found is not None
        self.host, self.port = found[1], int(found[2])

    def _read(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self.said += line

    def open(self, path: str, body: object = None, **headers: str) -> http.client.HTTPConnection:
        """A connection on which a request was sent."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        data = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, data, headers)
        return connection

    def ask(self, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of a response."""
        connection = self.open(path, body, **headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
        return answer.status, found

    def end(self, *signals: int) -> int:
        """Send it signals, and wait for its end."""
        for one in signals:
            self.popen.send_signal(one)
        code = self.popen.wait(30)
        self._reader.join(30)
        return code


@contextmanager
def process(*flags: str, **named: Any) -> Iterator[Process]:
    """A server, which is killed at the end if it still runs."""
    found = Process(*flags, **named)
    try:
        yield found
    finally:
        found.popen.kill()
        found.end()
        found.popen.stderr.close()


@pytest.mark.parametrize(("sig", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_once_told_to_end_it_ends_what_is_under_way_and_takes_nothing_more(sig, code):
    with process() as served:
        connection = served.open("/v1/completions", {**LONG, "n": 8, "max_tokens": 40})
        answer = connection.getresponse()
        first = answer.readline()
        served.popen.send_signal(sig)
        rest = answer.read()
        assert first.startswith(b"data: ") and rest.endswith(b"data: [DONE]\n\n")
        assert rest.count(b'"finish_reason":"length"') == 8
        assert served.end() == code
        assert "Traceback" not in served.said
        with pytest.raises(ConnectionError):
            served.ask("/health")


@pytest.mark.parametrize(("flags", "signals"), [
    ([], [signal.SIGTERM, signal.SIGTERM]), ([], [signal.SIGINT, signal.SIGINT]),
    (["LLMRR_SERVE__DRAIN"], [signal.SIGTERM]),
])  # fmt: skip
def test_what_takes_too_long_is_stopped(flags, signals):
    with process(**dict.fromkeys(flags, "0.01")) as served:
        answer = served.open("/v1/completions", LONG).getresponse()
        assert answer.readline()
        if flags:
            served.popen.send_signal(signals[0])
            rest = answer.read()
            assert b"the server ends" in rest and b'"finish_reason":"stop"' not in rest
        else:
            served.popen.send_signal(signals[0])
            until(lambda: "ending: " in served.said)
        code = served.end(*signals[1:])
        limit = "0.01" if flags else "30"
        told = f" NOTICE ending: 1 answer under way, {limit} seconds at most; Ctrl-C again cuts it"
        *_, waits, stops = served.said.splitlines()
        assert waits.endswith(told) and stops.endswith(" NOTICE 1 answer is stopped"), served.said
        assert code == (130 if signal.SIGINT in signals else 0)
        assert "Traceback" not in served.said


def test_what_the_end_stops_is_a_503_and_no_failure_of_its_model():
    toml = MINI + "[breaker]\nfailures = 1\n[serve]\ndrain = 0.01\n"
    with process(toml=toml) as served:
        computed, waits = (
            served.open("/v1/completions", {**LONG, "stream": False}) for _ in range(2)
        )
        until(lambda: served.ask("/health")[1]["requests"] == 2)
        served.popen.send_signal(signal.SIGTERM)
        for connection in (computed, waits):
            answer = connection.getresponse()
            assert (answer.status, bool(answer.getheader("retry-after"))) == (503, True)
        assert served.end() == 0
    with process(toml=toml) as served:
        assert served.ask("/health")[1]["status"] == "ok"
        assert served.ask("/v1/chat/completions", CHAT)[0] == 200


@pytest.mark.parametrize("again", [False, True])
def test_the_end_waits_for_answers_to_runs_too(again):
    service, ready, ended, told = Service(Router(MODEL)), threading.Event(), threading.Event(), []
    server = hosting.server(service, ready.set, tell=told.append)
    server.lent = lambda: 0 if ended.is_set() else 2
    with closing(service), hosting.listener("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        assert ready.wait(30)
        server.handle_exit(signal.SIGTERM, None)
        until(lambda: told)
        assert thread.is_alive()
        if again:
            server.handle_exit(signal.SIGTERM, None)
        else:
            ended.set()
        thread.join(30)
        assert not thread.is_alive()
    waits = "ending: 2 answers under way, 30 seconds at most; Ctrl-C again cuts them"
    assert told == [waits, *["2 answers are stopped"] * again]


def test_a_file_that_changed_holds_and_a_bad_one_does_not():
    with process("--log-level", "info") as served:
        names = ("small", "second")
        for text, there in (
            (MINI, [200, 404]),
            (MINI + MINI.replace("small", "second").partition("[b")[0], [200, 200]),
            ("models = 3", [200, 200]),
            (MINI.replace("small", "second"), [404, 200]),
        ):
            Path("new.toml").write_text(text)
            Path("new.toml").replace("llmrr.toml")
            before = served.said.count("last good")
            served.popen.send_signal(signal.SIGHUP)

            def asked(wanted=there) -> bool:
                found = [
                    served.ask("/v1/chat/completions", {**CHAT, "model": name})[0] for name in names
                ]
                return found == wanted

            if text == "models = 3":
                until(lambda count=before: served.said.count("last good") > count)
            until(asked)


def test_what_a_changed_file_opens_and_what_waits_for_the_next_start_is_told_on_lines_of_one_form():
    own = paths.config_dir() / "llmrr.toml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(f'[serve.keys.team]\nhash = "sha256:{"0" * 64}"\n')
    changed = f'{MINI}[serve]\nport = 9\ndrain = "1h"\n'
    with process() as served:
        own.write_text("# nobody\n")
        for text in (changed + "log_requests = true\n", "models = 3\nx = 1\ny = 2\n", MINI):
            before = served.said.count("\n")
            Path("new.toml").write_text(text)
            Path("new.toml").replace("llmrr.toml")
            served.popen.send_signal(signal.SIGHUP)
            until(lambda count=before: served.said.count("\n") > count)
        served.end(signal.SIGTERM)
        for said in (
            "there is no key any more: everybody on this machine may ask now",
            'serve.drain = "1h" takes effect at the next start', "NOTICE listening on http://",
            "NOTICE the configuration is valid again", "more: llmrr config check)\n",
        ):
            assert said in served.said
        assert "serve.port" not in served.said  # the command line says it
        form = re.compile(r"\d{4}-\d\d-\d\d [\d:,]{12} (NOTICE|WARNING|ERROR) ")
        assert all(map(form.match, served.said.splitlines())), served.said


def test_kill_9_under_load_loses_what_was_in_flight_and_nothing_else():
    second = MINI.partition("[b")[0].replace("small", "second")
    toml = f'strategy = "least-loaded"\n{MINI}{second}'
    endless = {**LONG, "max_tokens": 3000}
    with process(toml=toml) as served:
        for _ in range(3):
            assert served.ask("/v1/chat/completions", {**CHAT, "model": "auto"})[0] == 200
        answers = [
            served.open("/v1/completions", {**endless, "model": name}).getresponse()
            for name in ("small", "second")
        ]
        waiting = [served.open("/v1/completions", {**endless, "model": "auto"}) for _ in "ab"]
        assert all(answer.readline() for answer in answers)
        assert in_table("runs") == 3
        served.popen.kill()
        served.end()
        for connection in waiting:
            connection.close()
    with closing(sqlite3.connect(paths.database_file())) as connection, connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        # Whether the kill left one depends on the moment: this one is there.
        left = ("small builtin:mini", served.popen.pid, time.time())
        connection.execute("INSERT INTO under_way (key, process, began) VALUES (?, ?, ?)", left)
    assert in_table("runs") == 3
    stale = places.folder() / places.of("serve", served.popen.pid)
    assert stale.exists() and left_in(paths.data_dir()) - {stale.name} == {"llmrr.db"}
    with process(toml=toml) as served:
        assert served.ask("/v1/chat/completions", {**CHAT, "model": "auto"})[0] == 200
        found = json.loads(llmrr("ps", "--json").stdout)
        assert [one["pid"] for one in found] == [served.popen.pid]
        assert not stale.exists()
        assert served.end(signal.SIGTERM) == 0
    assert (in_table("under_way"), in_table("runs")) == (0, 4)
    assert left_in(paths.data_dir()) == {"llmrr.db"}


def test_kill_9_loses_no_record_of_an_answer_that_was_given_whole():
    paths_of = ("/v1/completions", "/v1/completions", "/api/generate", "/v1/embeddings")
    given, lock = set[str](), threading.Lock()

    def client(number: int) -> None:
        path = paths_of[number % len(paths_of)]
        connection = http.client.HTTPConnection(served.host, served.port, timeout=60)
        with suppress(OSError, http.client.HTTPException):
            for turn in range(10**6):
                said = f"client {number} turn {turn}"
                body = {
                    "model": "small", "prompt": said, "input": said, "stream": number % 8 < 4,
                    "max_tokens": 1, "options": {"num_predict": 1},
                }  # fmt: skip
                connection.request("POST", path, json.dumps(body))
                answer = connection.getresponse()
                if answer.status == 200 and (text := answer.read()):
                    assert b"error" not in text
                    with lock:
                        given.add(said)

    toml = MINI.replace("size = 1", "size = 8") + "[serve]\nlog_requests = true\n"
    with process(toml=toml) as served:
        threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        until(lambda: len(given) > 200)
        served.popen.kill()
        for thread in threads:
            thread.join(60)
        served.end()
    with closing(sqlite3.connect(paths.database_file())) as connection:
        known = {said for (said,) in connection.execute("SELECT prompt FROM runs")}
    embedded = {said for said in given if int(said.split()[1]) % 4 == 3}
    assert embedded and not given - known
    assert len(known - given) <= 16  # what was in flight


def in_table(table: str) -> int:
    """How many rows there are."""
    with closing(sqlite3.connect(paths.database_file())) as connection:
        found: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return found


def left_in(folder: Path) -> set[str]:
    """What is no folder, below one."""
    return {one.name for one in folder.rglob("*") if not one.is_dir()}


def test_what_is_to_be_loaded_beforehand_is():
    with process(toml=MINI + '[memory]\nloading = "preload"\n') as served:
        connection = served.open("/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        assert "llmrr_loaded_models 1\n" in text


def test_keys_on_the_command_line_are_names_and_a_key_is_in_no_list_of_processes():
    key = "a-key-that-nobody-sees"
    with process("--host", "0.0.0.0", "--api-key-env", "TEAM_KEY", TEAM_KEY=key) as served:
        assert served.ask("/v1/chat/completions", CHAT)[0] == 401
        status, _ = served.ask("/v1/chat/completions", CHAT, Authorization=f"Bearer {key}")
        assert status == 200
        line = Path(f"/proc/{served.popen.pid}/cmdline")
        assert not line.exists() or key.encode() not in line.read_bytes()
        assert served.end(signal.SIGTERM) == 0
        assert key not in served.said


def llmrr(*words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a command line."""
    command = [sys.executable, "-m", "llmrr", *words]
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, env=environment, timeout=60
    )


@pytest.mark.parametrize(("words", "code", "said"), [
    (["--host", "0.0.0.0"], 8, "--api-key-env NAME"),
    (["--api-key-env", "sk-0123456789abcdefghij"], 2, "name of a key"),
    (["--api-key-env", "NOBODY_SET_THIS"], 6, "NOBODY_SET_THIS"),
    (["--unit", "upstart"], 2, "systemd or launchd"),
    (["-np", "4"], 2, "--parallel N"),
    (["--host", "no.such.host.invalid"], 1, "--host ADDRESS"),
    (["--timeout", "soon"], 2, "no time"), (["--log-level", "loud"], 2, "one of error"),
])  # fmt: skip
def test_what_cannot_begin_says_why(words, code, said):
    found = llmrr("serve", "--port", "0", *words)
    assert found.returncode == code and said in found.stderr
    assert "0123456789abcdefghij" not in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(("words", "toml", "code", "said"), [
    (["--host", "0.0.0.0"], "", 8, "--api-key-env NAME"),
    ([], '[serve]\nhost = "::"\n', 8, "--api-key-env NAME"),
    (["--alias", "x=nope"], "", 3, "the alias x"), (["--alias", "small=auto"], "", 2, "small"),
    (["--replicas", "2"], "", 2, "--ray"), (["--log-level", "loud"], "", 2, "one of error"),
    ([], '[serve]\norigins = ["https://a.example"]\n', 8, "config trust"),
    ([], "models = 3\n", 8, "models"),
])  # fmt: skip
def test_no_unit_is_made_of_what_cannot_begin(words, toml, code, said):
    Path("llmrr.toml").write_text(toml + ("" if "models" in toml else MINI))
    found = llmrr("serve", *words, "--unit", "systemd")
    assert (found.returncode, found.stdout) == (code, "") and said in found.stderr
    assert "Traceback" not in found.stderr


def test_a_unit_finds_its_keys_when_it_begins():
    found = llmrr("serve", "--host", "0.0.0.0", "--api-key-env", "LATER", "--unit", "systemd")
    assert found.returncode == 0 and "--api-key-env LATER" in found.stdout


def test_the_port_of_another_is_told():
    with socket.create_server(("127.0.0.1", 0)) as other:
        found = llmrr("serve", "--port", str(other.getsockname()[1]))
    assert found.returncode == 1 and "--port" in found.stderr


def test_the_port_of_ollama_may_be_of_another_server(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(hosting, "OLLAMA_PORT", other.getsockname()[1])
        with pytest.raises(LlmrrError) as caught:
            hosting.ollamas()
    assert "another llmrr serve or Ollama" in caught.value.message
    assert "llmrr ps" in caught.value.hint and "--ollama" in caught.value.hint


def test_units_run_this_llmrr_and_hold_no_secret(monkeypatch):
    monkeypatch.setenv("TEAM_KEY", "a-key-that-nobody-sees")
    words = ("--port", "9000", "--parallel", "4", "--ollama", "--alias", "gpt-4o=auto",
             "--api-key-env", "TEAM_KEY", "--log-level", "info")
    unit = llmrr("serve", *words, "--unit", "systemd").stdout
    started = f"{sys.executable} -m llmrr serve --port 9000 --ollama --alias gpt-4o=auto "
    started += "--parallel 4 --api-key-env TEAM_KEY --log-level info"
    assert f"ExecStart={started}\n" in unit
    assert "NoNewPrivileges=yes" in unit and "ProtectSystem=strict" in unit
    plist = llmrr("serve", *words, "--unit", "launchd").stdout
    assert plistlib.loads(plist.encode())["ProgramArguments"] == started.split()
    assert "nobody-sees" not in unit + plist


def test_a_unit_may_write_where_the_server_does(tmp_path, monkeypatch):
    """As systemd reads it: %% is a %, and a $ is one but in a command."""
    project = tmp_path / "100% of $HOME"
    (project / "sub").mkdir(parents=True)
    (project / "llmrr.toml").write_text(MINI)
    monkeypatch.chdir(project / "sub")
    unit = llmrr("serve", "--alias", "a$b=small", "--unit", "systemd").stdout
    found = dict(line.split("=", 1) for line in unit.splitlines() if line[:1].isalpha())
    assert found["WorkingDirectory"].replace("%%", "%") == str(project / "sub")
    written = {
        one.removeprefix("-").replace("%%", "%") for one in shlex.split(found["ReadWritePaths"])
    }
    own = {str(one) for one in (paths.config_dir(), paths.data_dir(), paths.cache_dir())}
    assert {str(project), *own} < written and all(Path(one).is_dir() for one in own)
    assert '"a$$b=small"' in found["ExecStart"]
    if shutil.which("systemd-analyze"):
        Path("llmrr.service").write_text(unit)
        command = ["systemd-analyze", "verify", "--man=no", "./llmrr.service"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert "llmrr.service" not in said.stderr  # what it does not know, or cannot read


@pytest.mark.parametrize("alias, code", [
    ("gpt-4o=nothing", 3), ("gpt-4o", 2), ("=small", 2), ("*-4o=builtin:mini", 2),
])  # fmt: skip
def test_an_alias_means_a_model_that_is_there(alias, code):
    done = llmrr("serve", "--port", "0", "--alias", alias)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def test_a_hash_stands_for_its_key_in_a_file():
    key = "a-key-for-a-file-42"
    line = llmrr("serve", "--hash-key", stdin=key + "\n").stdout
    Path("llmrr.toml").write_text(f"[serve.keys.team]\n{line}")
    assert llmrr("config", "check").returncode == 0
    refused = llmrr("serve", "--port", "0")
    assert refused.returncode == 8 and "llmrr config trust" in refused.stderr
    Path("llmrr.toml").write_text(f'[serve.keys.team]\nhash = "{key}"')
    assert llmrr("config", "check").returncode == 8


def test_the_collector_leaves_alone_what_was_loaded_before_requests():
    before = gc.get_threshold()
    try:
        allocating.settle()
        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold()[0] > before[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
