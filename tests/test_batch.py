"""``llmrr batch``: every line is answered once, in its order, whatever happens meanwhile."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai_servers import OpenAIServer
from provider_servers import KEY, MODEL, Fault, Said
from terminal import Typed

from llmrr.batch import items, lines, ordering, replies
from llmrr.batch.endpoint import base_of
from llmrr.batch.items import Defaults, Item
from llmrr.batch.items import Fault as Wrong
from llmrr.batch.ledger import Ledger
from llmrr.batch.lines import Line
from llmrr.batch.replies import Mark, Reply
from llmrr.errors import DamagedFile, LlmrrError, UsageError

MARK = Mark("0123456789abcdef", "01234567")


class Echo(OpenAIServer):
    """Answers with what was said last, some of it late. ``gate``, if it is set, holds it back
    after so many answers."""

    def __init__(self) -> None:
        super().__init__()
        self.said: Counter[str] = Counter()
        self.held_after, self.gate = 1 << 30, threading.Event()
        self.late_s = 0.0

    def knows(self, path: str, body: Any) -> bool:
        return path == "/v1/responses" or super().knows(path, body)

    def whole(self, path: str, body: Any, said: Said) -> Any:
        if path == "/v1/embeddings":
            return super().whole(path, body, said)
        text = body["messages"][-1]["content"] if "messages" in body else body.get("prompt", "")
        self.said[str(text)] += 1
        if len(self.seen) > self.held_after:
            self.gate.wait(30)
        time.sleep(random.random() * self.late_s)
        return super().whole(path, body, Said((f"echo {text}",)))


class Dying(Echo):
    """Dies over the first line, once the second one is answered."""

    def whole(self, path: str, body: Any, said: Said) -> Any:
        if body["messages"][-1]["content"] != "r0":
            return super().whole(path, body, said)
        while not self.said["r1"]:
            time.sleep(0.001)
        self.faults.extend([Fault(drops=True)] * 100)
        self._listener.shutdown()
        self._listener.server_close()
        raise ConnectionResetError


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Echo]:
    monkeypatch.setenv("ECHO_KEY", KEY)
    monkeypatch.setenv("LLMRR_RETRY__INITIAL_DELAY", "0.001")
    with Echo() as server:
        yield server
        server.gate.set()


def request(name: str, text: str = "", **body: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text or name}]
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions",
            "body": {"model": MODEL, "messages": messages, **body}}  # fmt: skip


def write(path: Path, *rows: Mapping[str, Any] | bytes) -> Path:
    parts = [row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows]
    path.write_bytes(b"".join(parts))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def text_of(row: Mapping[str, Any]) -> str:
    return str(row["response"]["body"]["choices"][0]["message"]["content"])


@pytest.fixture
def batch(typed: Typed, echo: Echo, tmp_path: Path) -> Callable[..., Any]:
    """``llmrr batch in.jsonl out.jsonl`` over the echo."""

    def run(*more: str, **named: Any) -> Any:
        source, target = str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl")
        place = ("--url", f"{echo.address}/v1", "--api-key-env", "ECHO_KEY")
        return typed("batch", source, target, *place, *more, **named)

    return run


def test_answers_stand_in_the_order_of_the_lines(
    batch: Callable[..., Any], echo: Echo, tmp_path: Path
) -> None:
    echo.late_s = 0.01
    names = [f"request-{number}" for number in range(60)]
    write(tmp_path / "in.jsonl", *map(request, names))
    seen = batch("--parallel", "7", "--json")
    rows = read(tmp_path / "out.jsonl")
    assert seen.code == 0
    assert [row["custom_id"] for row in rows] == names
    assert [text_of(row) for row in rows] == [f"echo {name}" for name in names]
    assert len({row["id"] for row in rows}) == 60
    assert set(rows[0]) == {"id", "custom_id", "response", "error"}
    assert set(rows[0]["response"]) == {"status_code", "request_id", "body"}
    facts = seen.json
    assert (facts["lines"], facts["answered"], facts["failed"]) == (60, 60, 0)
    assert (facts["prompt_tokens"], facts["completion_tokens"]) == (660, 180)


def test_what_fails_is_a_line_too(batch: Callable[..., Any], tmp_path: Path) -> None:
    write(
        tmp_path / "in.jsonl",
        request("good"),
        b"{not json\n",
        request("hot", temperature=9),
        b'{"custom_id": "\xff"}\n',
        {**request("get"), "method": "GET"},
        {**request("files"), "url": "/v1/files"},
        {"custom_id": "none", "url": "/v1/completions"},
        b'[1, 2]\n',
        request("other", model="no-such-model"),
    )
    seen = batch("--json")
    rows = read(tmp_path / "out.jsonl")
    assert seen.code == 9
    assert [row["custom_id"] for row in rows] == [
        "good", None, "hot", None, "get", "files", "none", None, "other",
    ]  # fmt: skip
    codes = [row["error"] and row["error"]["code"] for row in rows]
    assert codes == [
        None, "invalid_json_line", None, "invalid_json_line", "invalid_method", "invalid_url",
        "missing_required_parameter", "invalid_json_line", None,
    ]  # fmt: skip
    statuses = [row["response"] and row["response"]["status_code"] for row in rows]
    assert statuses == [200, None, 400, None, None, None, None, None, 404]
    assert "must be from 0 to 2" in rows[2]["response"]["body"]["error"]["message"]
    assert rows[1]["error"]["message"].startswith("line 2: it is no JSON: column 2: ")
    assert (seen.json["failed"], "8 of 9 lines failed" in seen.err) == (8, True)


def test_failures_may_go_elsewhere(batch: Callable[..., Any], tmp_path: Path) -> None:
    rows = [request(f"r{n}", temperature=9 if n % 3 == 0 else 1) for n in range(9)]
    write(tmp_path / "in.jsonl", *rows)
    errors = tmp_path / "errors.jsonl"
    assert batch("--errors", str(errors)).code == 9
    assert [row["custom_id"] for row in read(errors)] == ["r0", "r3", "r6"]
    answers = [row["custom_id"] for row in read(tmp_path / "out.jsonl")]
    assert answers == ["r1", "r2", "r4", "r5", "r7", "r8"]


def test_the_same_command_answers_nothing_twice(
    batch: Callable[..., Any], echo: Echo, tmp_path: Path
) -> None:
    write(tmp_path / "in.jsonl", *(request(f"r{n}") for n in range(5)))
    assert batch().code == 0
    before = (tmp_path / "out.jsonl").read_bytes()
    again = batch("--json")
    assert (again.code, again.json["resumed"], again.json["answered"]) == (0, 5, 5)
    assert (tmp_path / "out.jsonl").read_bytes() == before
    assert max(echo.said.values()) == 1


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_torn_line_is_answered_anew(
    batch: Callable[..., Any], echo: Echo, tmp_path: Path, cut: int
) -> None:
    write(tmp_path / "in.jsonl", *(request(f"r{n}") for n in range(5)))
    batch()
    out = tmp_path / "out.jsonl"
    whole = out.read_bytes()
    start = len(b"".join(whole.splitlines(keepends=True)[:3]))
    out.write_bytes(whole[: start + cut] + b"\0" * (cut % 7))
    assert batch().code == 0
    assert [row["custom_id"] for row in read(out)] == [f"r{n}" for n in range(5)]
    assert [echo.said[f"r{n}"] for n in range(5)] == [1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("change", "said"),
    [("input", "another input"), ("options", "other options"), ("foreign", "something else"),
     ("text", "something else")],
)  # fmt: skip
def test_what_is_not_of_this_batch_is_left_alone(
    batch: Callable[..., Any], tmp_path: Path, change: str, said: str
) -> None:
    rows = [request(f"r{n}") for n in range(3)]
    write(tmp_path / "in.jsonl", *rows)
    batch()
    out = tmp_path / "out.jsonl"
    more = ("--max-tokens", "7") if change == "options" else ()
    if change == "input":
        write(tmp_path / "in.jsonl", *rows, request("r3"))
    if change == "foreign":
        write(out, {"mine": 1})
    if change == "text":
        out.write_text("notes without a newline")
    before = out.read_bytes()
    seen = batch(*more)
    assert (seen.code, said in seen.err, "--force" in seen.err) == (1, True, True)
    assert out.read_bytes() == before
    assert batch(*more, "--force").code == 0
    assert [row["custom_id"] for row in read(out)] == [f"r{n}" for n in range(len(rows))] + (
        ["r3"] if change == "input" else []
    )


def test_faults_that_pass_are_waited_out(
    batch: Callable[..., Any], echo: Echo, tmp_path: Path
) -> None:
    write(tmp_path / "in.jsonl", *(request(f"r{n}") for n in range(4)))
    echo.faults.extend([Fault(429)] * 9 + [Fault(503), Fault(drops=True)])
    assert batch("--parallel", "1").code == 0
    assert [text_of(row) for row in read(tmp_path / "out.jsonl")] == [
        f"echo r{n}" for n in range(4)
    ]


def test_a_server_that_is_not_there_makes_no_lines(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMRR_RETRY__ATTEMPTS", "1")
    write(tmp_path / "in.jsonl", *(request(f"r{n}") for n in range(100)))
    out = tmp_path / "out.jsonl"
    seen = typed("batch", str(tmp_path / "in.jsonl"), str(out), "--url", "http://127.0.0.1:9/v1")
    assert (seen.code, out.read_bytes()) == (6, b"")
    assert "stops after 0 lines" in seen.err


def test_a_line_that_nobody_could_be_asked_is_not_written_whatever_others_are(
    typed: Typed, echo: Echo, tmp_path: Path
) -> None:
    rows = [request(f"r{n}") for n in range(3)]
    source = str(write(tmp_path / "in.jsonl", rows[0], rows[1], b"no JSON\n", rows[2]))
    out = tmp_path / "out.jsonl"

    def run(server: Echo, *more: str) -> Any:
        place = ("--url", server.address, "--api-key-env", "ECHO_KEY", "--parallel", "2")
        return typed("batch", source, str(out), *place, *more)

    with Dying() as dying:
        seen = run(dying)
        assert (seen.code, "stops after 0 lines" in seen.err) == (6, True)
        assert (out.read_bytes(), dying.said["r1"]) == (b"", 1)
        assert (run(dying).code, out.read_bytes()) == (6, b"")  # nobody is asked at all
    assert run(echo, "--json").json["failed"] == 1  # and at another address
    assert [row["custom_id"] for row in read(out)] == ["r0", "r1", None, "r2"]
    assert [echo.said[f"r{n}"] for n in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("faults", [[Fault(502)], [Fault(drops=True)] * 2])
@pytest.mark.parametrize("health", [200, 502])
def test_a_proxy_without_a_server_behind_it_is_nobody(
    batch: Callable[..., Any], echo: Echo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    faults: list[Fault], health: int,
) -> None:  # fmt: skip
    def looked_at(handler: Any) -> None:
        handler._json(health, {})

    monkeypatch.setattr(echo._listener.RequestHandlerClass, "do_GET", looked_at, raising=False)
    monkeypatch.setenv("LLMRR_RETRY__ATTEMPTS", "1")
    write(tmp_path / "in.jsonl", *(request(f"r{n}") for n in range(4)))
    echo.faults.extend([Fault(), *faults])  # a kept connection that drops is no fault
    seen = batch("--parallel", "1")
    names = [row["custom_id"] for row in read(tmp_path / "out.jsonl")]
    if health == 200:  # then it was this line's own
        assert (seen.code, names) == (9, ["r0", "r1", "r2", "r3"])
        return
    assert (seen.code, names) == (6, ["r0"])
    echo.faults.clear()
    assert batch("--parallel", "1").code == 0
    assert [text_of(row) for row in read(tmp_path / "out.jsonl")] == [
        f"echo r{n}" for n in range(4)
    ]


def test_a_refused_key_stops_the_batch_and_is_not_told(
    batch: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_KEY", "sk-wrong-0123456789abcdef")
    write(tmp_path / "in.jsonl", request("one"), b"no JSON\n")
    seen = batch()
    assert seen.code == 6
    assert "sk-wrong-0123456789abcdef" not in seen.err
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_a_key_that_expires_costs_no_line(
    batch: Callable[..., Any], echo: Echo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMRR_RETRY__INITIAL_DELAY", "0.1")
    write(tmp_path / "in.jsonl", *(request(f"r{n}") for n in range(40)))
    echo.faults.extend([Fault(429)] + [Fault()] * 7 + [Fault(401)] * 60)
    seen = batch("--parallel", "8")  # an early line is asked again when later ones are answered
    before = {row["response"]["status_code"] for row in read(tmp_path / "out.jsonl")}
    assert (seen.code, before <= {200}) == (6, True)
    echo.faults.clear()
    assert batch().code == 0
    assert [text_of(row) for row in read(tmp_path / "out.jsonl")] == [
        f"echo r{n}" for n in range(40)
    ]


def test_what_a_key_may_not_is_told_by_its_line(
    batch: Callable[..., Any], echo: Echo, tmp_path: Path
) -> None:
    write(tmp_path / "in.jsonl", *(request(f"r{n}") for n in range(120)))
    echo.faults.extend([Fault(403), Fault()] * 40)
    echo.late_s = 0.02
    assert batch("--parallel", "48").code == 9
    statuses = Counter(row["response"]["status_code"] for row in read(tmp_path / "out.jsonl"))
    assert statuses == {200: 80, 403: 40}


def test_bodies_take_what_is_stated_for_all(
    batch: Callable[..., Any], echo: Echo, tmp_path: Path
) -> None:
    short = [
        {"prompt": "hello"},
        {"custom_id": "b", "messages": [{"role": "system", "content": "own"},
                                        {"role": "user", "content": "x"}], "seed": 5},
        {"input": ["a", "b"], "model": MODEL},
        {**request("d", stream=True, max_completion_tokens=3), "method": "POST"},
    ]  # fmt: skip
    write(tmp_path / "in.jsonl", *short)
    seen = batch("-m", MODEL, "-s", "Be brief.", "--seed", "7", "--max-tokens", "9",
                 "--parallel", "1")  # fmt: skip
    assert seen.code == 0
    hello, chat, vectors, own = (one.body for one in echo.seen)
    assert hello["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (hello["seed"], hello["max_tokens"], hello["model"]) == (7, 9, MODEL)
    assert (chat["messages"][0]["content"], chat["seed"]) == ("own", 5)
    assert vectors == {"input": ["a", "b"], "model": MODEL}
    assert ("stream" in own, own.get("max_tokens"), own["max_completion_tokens"]) == (
        False, None, 3,
    )  # fmt: skip
    ids = [row["custom_id"] for row in read(tmp_path / "out.jsonl")]
    assert ids == ["line-1", "b", "line-3", "d"]
    given = [row["response"]["request_id"] for row in read(tmp_path / "out.jsonl")]
    assert len({one for one in given if one.startswith("req_")}) == 4


def test_windows_lines_blank_lines_and_a_byte_order_mark(
    batch: Callable[..., Any], tmp_path: Path
) -> None:
    one, two = (json.dumps(request(name)).encode() for name in ("a", "é\u2028"))
    (tmp_path / "in.jsonl").write_bytes(
        b"\xef\xbb\xbf" + one + b"\r\n\r\n  \n" + two  # and no end of the last line
    )
    assert batch().code == 0
    text = (tmp_path / "out.jsonl").read_text()
    assert [json.loads(line)["custom_id"] for line in text.splitlines()] == ["a", "é\u2028"]


def test_half_a_character_is_written_as_it_was_read(
    batch: Callable[..., Any], tmp_path: Path
) -> None:
    row = b'{"custom_id": "\\ud83d", "messages": [{"role": "user", "content": "x"}]}\n'
    (tmp_path / "in.jsonl").write_bytes(row)
    assert batch("-m", MODEL).code == 0
    assert read(tmp_path / "out.jsonl")[0]["custom_id"] == "\ud83d"


def test_from_stdin_to_stdout(batch: Callable[..., Any], typed: Typed, echo: Echo) -> None:
    place = ("--url", echo.address, "--api-key-env", "ECHO_KEY")
    seen = typed("batch", "-", "-", *place, stdin=json.dumps(request("a")) + "\n")
    assert (seen.code, json.loads(seen.out)["custom_id"]) == (0, "a")
    assert typed("batch", "-", "-", "--json", *place).code == 2


@pytest.mark.parametrize("cut", [0, 1, 30, 200])
def test_stdin_is_gone_on_with(typed: Typed, echo: Echo, tmp_path: Path, cut: int) -> None:
    out, rows = tmp_path / "out.jsonl", [request(f"r{n}") for n in range(5)]
    more = ("--url", echo.address, "--api-key-env", "ECHO_KEY")

    def run(*asked: Mapping[str, Any], with_: tuple[str, ...] = ()) -> Any:
        text = "".join(json.dumps(one) + "\n" for one in asked)
        return typed("batch", "-", str(out), *more, *with_, stdin=text)

    assert run(*rows[:4]).code == 0
    whole = out.read_bytes()
    out.write_bytes(whole[: len(b"".join(whole.splitlines(keepends=True)[:3])) + cut])
    again = run(*rows, with_=("--json",))
    assert (again.code, again.json["resumed"], again.json["answered"]) == (0, 3, 5)
    assert [row["custom_id"] for row in read(out)] == [f"r{n}" for n in range(5)]
    assert [echo.said[f"r{n}"] for n in range(5)] == [1, 1, 1, 2, 1]
    before = out.read_bytes()
    for other in ([*rows[:2], request("r2", "else"), *rows[3:]], rows[:3]):
        seen = run(*other)
        assert (seen.code, "another input" in seen.err, "--force" in seen.err) == (1, True, True)
    assert "other options" in run(*rows, with_=("--max-tokens", "7")).err
    assert out.read_bytes() == before
    assert run(*rows, with_=("--force", "--json")).json["resumed"] == 0


def test_pipes_stand_for_files(
    typed: Typed, echo: Echo, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = json.dumps(request("a")) + "\n"
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    place = ("--url", echo.address, "--api-key-env", "ECHO_KEY")
    assert typed("batch", str(pipe), str(tmp_path / "out.jsonl"), *place).code == 0
    writer.join()
    assert [row["custom_id"] for row in read(tmp_path / "out.jsonl")] == ["a"]
    source = str(write(tmp_path / "in.jsonl", request("a")))
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    assert typed("batch", source, str(pipe), *place).code == 0
    reader.join()
    assert json.loads(got[0])["custom_id"] == "a"


def test_files_that_are_not_there(batch: Callable[..., Any], typed: Typed, tmp_path: Path) -> None:
    assert batch().code == 3
    source = str(write(tmp_path / "in.jsonl", request("a")))
    nowhere = str(tmp_path / "no" / "out.jsonl")
    seen = typed("batch", source, nowhere, "--url", "http://127.0.0.1:9")
    assert (seen.code, "mkdir -p" in seen.err) == (3, True)
    assert typed("batch", source, str(tmp_path), "--url", "http://127.0.0.1:9").code == 1


def test_an_id_that_comes_twice_is_answered_twice_and_told(
    batch: Callable[..., Any], tmp_path: Path
) -> None:
    write(tmp_path / "in.jsonl", request("a", "1"), request("b"), request("a", "2"))
    seen = batch()
    assert (seen.code, 'line 3 has the custom_id of line 1, "a"' in seen.err) == (0, True)
    rows = read(tmp_path / "out.jsonl")
    assert [text_of(row) for row in rows] == ["echo 1", "echo b", "echo 2"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\x1f\x8b\x08\x00", "gzip -dc"), (b"[\n{}\n]", "jq -c"),
     ('{"a": 1}\n'.encode("utf-16"), "iconv")],
)  # fmt: skip
def test_what_is_no_file_of_lines_is_told_with_what_makes_it_one(
    batch: Callable[..., Any], tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "in.jsonl").write_bytes(content)
    seen = batch()
    assert (seen.code, said in seen.err, (tmp_path / "out.jsonl").exists()) == (4, True, False)


def test_no_two_files_are_one(batch: Callable[..., Any], typed: Typed, tmp_path: Path) -> None:
    source = str(write(tmp_path / "in.jsonl", request("a")))
    assert typed("batch", source, source, "--url", "http://127.0.0.1:9").code == 2
    assert batch("--errors", str(tmp_path / "out.jsonl")).code == 2
    assert (tmp_path / "in.jsonl").read_bytes()


@pytest.mark.parametrize("more", [["--url", "ftp://x"], ["--api-key-env", "X"],
                                  ["--url", "http://me:secret-word@x/v1"]])  # fmt: skip
def test_what_makes_no_sense_is_refused(
    typed: Typed, tmp_path: Path, more: list[str]
) -> None:
    source = str(write(tmp_path / "in.jsonl", request("a")))
    seen = typed("batch", source, str(tmp_path / "out.jsonl"), *more)
    assert (seen.code, "secret-word" in seen.err) == (2, False)


def test_two_at_once_do_not_write_one_file(
    batch: Callable[..., Any], tmp_path: Path
) -> None:
    write(tmp_path / "in.jsonl", request("a"))
    ledger = Ledger(tmp_path / "out.jsonl", None, MARK)
    seen = batch()
    ledger.close()
    assert (seen.code, "another process" in seen.err) == (1, True)
    assert batch().code == 0


def spawn(tmp_path: Path, echo: Echo, *more: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "llmrr", "batch", str(tmp_path / "in.jsonl"),
         str(tmp_path / "out.jsonl"), "--url", echo.address, "--api-key-env", "ECHO_KEY",
         "--parallel", "4", *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "LLMRR_HOME": str(tmp_path / "home")},
    )  # fmt: skip


def test_a_kill_loses_and_repeats_no_line(echo: Echo, tmp_path: Path) -> None:
    rows = [request(f"r{n}", temperature=9 if n % 5 == 0 else 1) for n in range(120)]
    write(tmp_path / "in.jsonl", *rows)
    errors = tmp_path / "errors.jsonl"
    more = ("--errors", str(errors))
    for held_after in (20, 60):
        echo.gate.clear()
        echo.held_after = held_after
        process = spawn(tmp_path, echo, *more)
        out = tmp_path / "out.jsonl"
        while len(echo.seen) <= held_after + 2 or not out.stat().st_size:  # several are under way
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        echo.gate.set()
        assert 0 < len((tmp_path / "out.jsonl").read_bytes().splitlines()) < 96
    echo.held_after = 1 << 30
    process = spawn(tmp_path, echo, *more)
    process.communicate()
    assert process.returncode == 9  # those that are too hot
    failed, good = read(errors), read(tmp_path / "out.jsonl")
    assert [row["custom_id"] for row in failed] == [f"r{n}" for n in range(0, 120, 5)]
    assert [row["custom_id"] for row in good] == [f"r{n}" for n in range(120) if n % 5]
    assert [text_of(row) for row in good] == [f"echo {row['custom_id']}" for row in good]


@pytest.mark.parametrize(("sent", "code", "held"), [
    (signal.SIGINT, 130, 10), (signal.SIGTERM, 143, 10), (signal.SIGINT, 130, 0),
])  # fmt: skip
def test_what_is_ended_says_that_it_can_be_gone_on_with(
    echo: Echo, tmp_path: Path, sent: signal.Signals, code: int, held: int
) -> None:
    write(tmp_path / "in.jsonl", *(request(f"r{n}") for n in range(40)))
    echo.held_after = held
    process = spawn(tmp_path, echo)
    while len(echo.seen) <= held + 2:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(sent)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, b"the same command goes on" in said) == (code, True)
    assert b"Traceback" not in said
    echo.gate.set()
    process = spawn(tmp_path, echo)
    process.communicate()
    assert process.returncode == 0
    assert [row["custom_id"] for row in read(tmp_path / "out.jsonl")] == [
        f"r{n}" for n in range(40)
    ]


# -- the parts -------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    written=st.integers(0, 6), cut=st.integers(0, 400),
    fails=st.sets(st.integers(0, 5)), lost=st.booleans(),
)  # fmt: skip
def test_a_ledger_goes_on_behind_the_last_whole_line_without_a_gap(
    written: int, cut: int, fails: set[int], lost: bool
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        out, errors = Path(folder, "out"), Path(folder, "errors")

        def add(ledger: Ledger, at: int) -> None:
            reply = Reply(None, code="x") if at in fails else Reply(200, {"at": at})
            ledger.write(Line(at, at + 1, b""), f"r{at}", reply)

        ledger = Ledger(out, errors, MARK)
        for at in range(written):
            add(ledger, at)
        ledger.close()
        torn = errors if lost else out
        data = torn.read_bytes()
        torn.write_bytes(data[: max(0, len(data) - cut)])
        ledger = Ledger(out, errors, MARK)
        assert ledger.done.lines <= written
        for at in range(ledger.done.lines, 6):
            add(ledger, at)
        ledger.close()
        ledger = Ledger(out, errors, MARK)
        ledger.close()
        assert (ledger.done.lines, ledger.done.failed) == (6, len(fails))
        names = [row["custom_id"] for row in read(out)]
        assert names == [f"r{at}" for at in range(6) if at not in fails]


def test_a_line_may_not_be_longer_than_memory_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 100)
    monkeypatch.setattr(lines, "_BLOCK", 64)
    path = tmp_path / "in"
    path.write_bytes(b"a\n" + b"x" * 1000 + b"\nb\n" + b"y" * 500)
    extent = lines.measure(path)
    with path.open("rb") as file:
        found = list(lines.read(file, extent.size))
    assert found == [Line(0, 1, b"a"), Line(1, 2, None), Line(2, 3, b"b"), Line(3, 4, None)]
    assert extent.lines == 4
    wrong = items.parse(found[1])
    assert isinstance(wrong, Wrong)
    assert wrong.code == "line_too_long"


@given(st.binary(max_size=200))
def test_any_bytes_are_lines(data: bytes) -> None:
    import io

    found = list(lines.read(io.BytesIO(data), len(data)))
    assert [line.at for line in found] == list(range(len(found)))
    for line in found:
        assert isinstance(items.parse(line), Item | Wrong)


def test_what_is_appended_meanwhile_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"a\nb\n")
    extent = lines.measure(path)
    path.write_bytes(b"a\nb\nc\n")
    with path.open("rb") as file:
        assert [line.data for line in lines.read(file, extent.size)] == [b"a", b"b"]


def test_a_slow_thing_holds_only_a_bounded_number_behind_it() -> None:
    gate, begun = threading.Event(), threading.Semaphore(0)
    given: list[int] = []

    def things() -> Iterator[int]:
        for number in range(1000):
            given.append(number)
            yield number

    def work(number: int) -> int:
        begun.release()
        if number == 0:
            gate.wait(20)
        return number

    found = ordering.in_order(work, things(), 2)
    waiting = threading.Thread(target=lambda: got.extend(found))
    got: list[tuple[int, int]] = []
    waiting.start()
    for _ in range(2 * ordering.AHEAD):
        assert begun.acquire(timeout=20)
    assert len(given) == 2 * ordering.AHEAD
    gate.set()
    waiting.join(20)
    assert got == [(number, number) for number in range(1000)]


def test_deep_and_strange_json_is_a_fault_of_its_line() -> None:
    for text in ("[" * 100_000, '{"a": NaN}', '{"a": ' + "1" * 5000 + "}", "nul", ""):
        assert isinstance(items.parse(Line(0, 1, text.encode())), Wrong)


def test_defaults_of_responses_have_their_names() -> None:
    item = Item(0, 1, "a", items.RESPONSES, {"input": "x"})
    found = Defaults("m", "Be brief.", {"max_tokens": 5}).applied(item).body
    assert found == {
        "input": "x", "model": "m", "instructions": "Be brief.", "max_output_tokens": 5,
    }  # fmt: skip


def test_a_full_disk_leaves_no_part_of_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    ledger = Ledger(tmp_path / "out", None, MARK)
    ledger.write(Line(0, 1, b""), "a", Reply(200, {}))
    size = (tmp_path / "out").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, before[1]))
    try:
        with pytest.raises(LlmrrError, match="cannot be written") as caught:
            ledger.write(Line(1, 2, b""), "b", Reply(200, {}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heard)
    assert caught.value.exit_code == 5
    assert (tmp_path / "out").stat().st_size == size
    ledger.write(Line(1, 2, b""), "b", Reply(200, {}))
    ledger.close()
    assert [row["custom_id"] for row in read(tmp_path / "out")] == ["a", "b"]


def test_addresses() -> None:
    assert base_of("http://h:1/") == "http://h:1/v1"
    with pytest.raises(UsageError):
        base_of("h:1")
    with pytest.raises(DamagedFile):
        lines.require_text(b"\x1f\x8b", "x")
    assert replies.head(b"{}\n") is None


# -- here ------------------------------------------------------------------------------------------


def test_lines_are_answered_by_a_model_of_this_machine(typed: Typed, tmp_path: Path) -> None:
    def asked(country: str) -> dict[str, Any]:
        return request(country, f"What is the capital of {country}?", temperature=0)

    row = {"url": "/v1/completions", "body": {"prompt": ["The", "A"], "max_tokens": 3,
                                                "ignore_eos": True}}
    write(
        tmp_path / "in.jsonl", asked("France"), asked("Italy"), {"custom_id": "two", **row},
        request("hot", temperature=-1),
        {"custom_id": "responded", "url": "/v1/responses",
         "body": {"input": "What is the capital of France?", "temperature": 0}},
        {"custom_id": "vectors", "input": ["a", "b"]},
        {"messages": [{"role": "user", "content": "What is the capital of Spain?"}], "seed": 1,
         "temperature": 0, "custom_id": "Spain", "modle": "x"},
    )  # fmt: skip
    out = tmp_path / "out.jsonl"
    seen = typed("batch", str(tmp_path / "in.jsonl"), str(out), "-m", "builtin:mini", "--json")
    rows = {row["custom_id"]: row for row in read(out)}
    assert seen.code == 9
    for country, city in (("France", "Paris"), ("Italy", "Rome"), ("Spain", "Madrid")):
        assert text_of(rows[country]) == f"The capital of {country} is {city}."
    choices = rows["two"]["response"]["body"]["choices"]
    assert [one["index"] for one in choices] == [0, 1]
    assert rows["two"]["response"]["body"]["usage"]["completion_tokens"] == 6
    responded = rows["responded"]["response"]["body"]
    assert responded["output"][-1]["content"][0]["text"] == "The capital of France is Paris."
    assert len(rows["vectors"]["response"]["body"]["data"]) == 2
    assert rows["hot"]["response"]["status_code"] == 400
    assert "temperature" in rows["hot"]["response"]["body"]["error"]["message"]
    assert (seen.json["completion_tokens"] > 6, seen.json["failed"]) == (True, 1)
    assert "modle (model?) has no effect (line 7)" in seen.err


def test_options_of_sampling_and_of_loading(
    batch: Callable[..., Any], typed: Typed, echo: Echo, tmp_path: Path
) -> None:
    source = str(write(tmp_path / "in.jsonl", request("a")))
    assert batch("-o", "top_k", "3", "-o", "stop", "x").code == 0
    assert (echo.seen[-1].body["top_k"], echo.seen[-1].body["stop"]) == (3, ["x"])
    assert batch("-o", "num_ctx", "512", "--force").code == 2
    assert batch("-o", "schema", "{}", "--force").code == 2
    out = str(tmp_path / "here.jsonl")
    more = ("-m", "builtin:mini", "--engine", "llamacpp", "-o", "num_ctx", "512")
    assert typed("batch", source, out, *more, "--max-tokens", "3").code == 0


def test_a_model_that_is_not_here_is_told_once_or_by_its_line(
    typed: Typed, tmp_path: Path
) -> None:
    source = str(write(tmp_path / "in.jsonl", request("a", model="nowhere")))
    out = tmp_path / "out.jsonl"
    assert typed("batch", source, str(out), "-m", "nowhere").code == 3
    assert not out.exists()
    assert typed("batch", source, str(out)).code == 9
    assert read(out)[0]["response"]["status_code"] == 404


def test_lines_go_to_several_backends_and_one_that_falls_loses_none(
    typed: Typed, echo: Echo, tmp_path: Path
) -> None:
    from llmrr import config

    with Echo() as other:
        text = "version = 1\nstrategy = 'least-loaded'\n"
        for number, server in enumerate((echo, other)):
            text += (
                f'[[models]]\nname = "b{number}"\nsource = "openai:{MODEL}"\ngroup = "all"\n'
                f'options = {{ base_url = "{server.address}/v1", api_key_env = "ECHO_KEY" }}\n'
            )
        config.user_file().parent.mkdir(parents=True, exist_ok=True)
        config.user_file().write_text(text)
        write(tmp_path / "in.jsonl", *(request(f"r{n}", model="all") for n in range(60)))
        falls = threading.Thread(target=fall, args=(other,))
        falls.start()
        out = tmp_path / "out.jsonl"
        seen = typed("batch", str(tmp_path / "in.jsonl"), str(out), "--no-log")
        falls.join()
        assert seen.code == 0
        assert [row["custom_id"] for row in read(out)] == [f"r{n}" for n in range(60)]
        assert len(echo.seen) > len(other.seen) >= 8


@pytest.fixture
def backed(
    typed: Typed, echo: Echo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """``llmrr batch`` by a model of the configuration, which the echo is behind."""
    from llmrr import config

    monkeypatch.setenv("LLMRR_RETRY__ATTEMPTS", "1")
    config.user_file().parent.mkdir(parents=True, exist_ok=True)
    config.user_file().write_text(
        f'version = 1\n[[models]]\nname = "far"\nsource = "openai:{MODEL}"\n'
        f'options = {{ base_url = "{echo.address}/v1", api_key_env = "ECHO_KEY" }}\n'
    )
    write(tmp_path / "in.jsonl", *(request(f"r{n}", model="far") for n in range(5)))
    files = (str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl"))

    def run(parallel: int = 1) -> Any:
        return typed("batch", *files, "--no-log", "--no-cache", "--parallel", str(parallel))

    return run


def test_a_backend_that_is_left_alone_for_a_while_loses_no_line(
    backed: Callable[..., Any], echo: Echo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMRR_BREAKER__FAILURES", "2")
    monkeypatch.setenv("LLMRR_BREAKER__COOLDOWN", "3600")
    echo.faults.extend([Fault(500)] * 2)
    seen = backed()
    assert (seen.code, "the breaker of far is open" in seen.err) == (6, True)
    assert [row["custom_id"] for row in read(tmp_path / "out.jsonl")] == ["r0", "r1"]
    monkeypatch.setenv("LLMRR_BREAKER__COOLDOWN", "0.5")
    time.sleep(0.5)
    echo.late_s = 0.1
    seen = backed(3)
    assert seen.code == 9, seen.err
    assert [row["response"]["status_code"] for row in read(tmp_path / "out.jsonl")] == [
        503, 503, 200, 200, 200,
    ]  # fmt: skip


def test_an_answer_that_breaks_off_is_asked_for_again(
    backed: Callable[..., Any], echo: Echo, tmp_path: Path
) -> None:
    echo.faults.append(Fault(after=2))
    assert backed().code == 0
    assert len(echo.seen) == 6


def fall(server: Echo) -> None:
    """Stop listening once it has been asked a few times, and drop what is asked later."""
    while len(server.seen) < 8:
        time.sleep(0.002)
    server.faults.extend([Fault(drops=True)] * 1000)
