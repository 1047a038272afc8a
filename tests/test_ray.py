"""Batches and the server on a Ray cluster of two nodes, both on this machine."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from terminal import Typed

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]


def spawned(*args: str, cwd: Path, address: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "llmrr", *args], stderr=subprocess.PIPE, text=True, cwd=cwd,
        env={**os.environ, "RAY_ADDRESS": address},
    )  # fmt: skip


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two nodes with two processors each: the address of the first."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 2, "object_store_memory": 80 << 20}
    found = Cluster(
        initialize_head=True, head_node_args={**node, "include_dashboard": False}
    )
    try:
        found.add_node(**node)
        found.wait_for_nodes()
        yield found.address
    finally:
        found.shutdown()


@pytest.fixture
def on_cluster(cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The working folder has a configuration whose replicas do not share a node."""
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    monkeypatch.chdir(tmp_path)
    Path("llmrr.toml").write_text(
        'version = 1\nray = { cpus = 1.2 }\nengines.llamacpp.threads = 1\n'
        '[[models]]\nname = "small"\nsource = "builtin:mini"\n'
    )
    return cluster


def write(path: Path, count: int, **body: Any) -> list[str]:
    names = [f"r{number}" for number in range(count)]
    rows = [
        {"custom_id": name, "messages": [{"role": "user", "content": f"What is {name}?"}],
         "max_tokens": 8, "temperature": 0, **body}
        for name in names
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return names


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_batch_has_the_answers_of_one_machine_in_the_same_order(
    on_cluster: str, typed: Typed, tmp_path: Path
) -> None:
    names = write(Path("in.jsonl"), 150)
    with Path("in.jsonl").open("a") as file:
        file.write("no json\n")
    ray = typed("batch", "in.jsonl", "ray.jsonl", "--ray", "--replicas", "2", "--parallel", "4",
                "--json")  # fmt: skip
    assert (ray.code, ray.json["answered"], ray.json["failed"]) == (9, 150, 1), ray.err
    assert typed("batch", "in.jsonl", "here.jsonl").code == 9
    there, here = read(Path("ray.jsonl")), read(Path("here.jsonl"))
    assert [row["custom_id"] for row in there] == [*names, None]
    assert [row["id"] for row in there] == [row["id"] for row in here]

    def said(rows: list[dict[str, Any]]) -> list[str]:
        return [row["response"]["body"]["choices"][0]["message"]["content"] for row in rows[:-1]]

    assert said(there) == said(here)
    assert there[-1]["error"]["code"] == "invalid_json_line"


def test_a_killed_batch_goes_on(on_cluster: str, tmp_path: Path) -> None:
    names = write(Path("in.jsonl"), 400, max_tokens=40, ignore_eos=True)
    more = ("batch", "in.jsonl", "out.jsonl", "--ray", "--replicas", "2", "--parallel", "2")
    process = spawned(*more, cwd=tmp_path, address=on_cluster)
    out = Path("out.jsonl")
    while not (out.exists() and out.stat().st_size):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    done = out.read_bytes().count(b"\n")
    assert 0 < done < 400
    process = spawned(*more, cwd=tmp_path, address=on_cluster)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert f"{done:,} of them before" in said
    assert [row["custom_id"] for row in read(out)] == names


def workers(title: str) -> list[int]:
    """The processes of this test in which actors of a title live."""
    found, home = [], os.environ["LLMRR_HOME"]
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_replica = (place / "cmdline").read_bytes().startswith(title.encode())
            if is_replica and f"LLMRR_HOME={home}".encode() in (place / "environ").read_bytes():
                found.append(int(place.name))
    return found


def test_a_replica_that_dies_costs_no_line(on_cluster: str, tmp_path: Path) -> None:
    names = write(Path("in.jsonl"), 1000, max_tokens=40, ignore_eos=True)
    more = ("batch", "in.jsonl", "out.jsonl", "--ray", "--replicas", "2", "--parallel", "2")
    process = spawned(*more, cwd=tmp_path, address=on_cluster)
    out = Path("out.jsonl")
    while not (out.exists() and out.stat().st_size):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    while len(living := workers("ray::MapWorker")) < 2:  # one comes later than the other
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.kill(living[0], signal.SIGKILL)
    assert process.poll() is None
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert [row["custom_id"] for row in read(out)] == names


@contextmanager
def serving(*more: str, cwd: Path, address: str) -> Iterator[str]:
    process = spawned("serve", "--ray", "--port", "0", *more, cwd=cwd, address=address)
    assert process.stderr is not None
    try:
        line = next(one for one in process.stderr if "listening on" in one)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield line.rsplit(maxsplit=1)[1]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def computed(process: int) -> int:
    """The time of processors that it took, in ticks."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def ask(url: str, **body: Any) -> Any:
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    data = json.dumps({"model": "small", "messages": messages, "temperature": 0, **body}).encode()
    request = urllib.request.Request(f"{url}/v1/chat/completions", data)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def test_the_server_answers_and_streams_from_replicas(on_cluster: str, tmp_path: Path) -> None:
    with serving("--replicas", "2", cwd=tmp_path, address=on_cluster) as url:
        with ThreadPoolExecutor(8) as crew:
            found = list(crew.map(lambda _: json.loads(ask(url)), range(24)))
        texts = {one["choices"][0]["message"]["content"] for one in found}
        assert texts == {"The capital of France is Paris."}
        events = [line for line in ask(url, stream=True).split("\n") if line.startswith("data: ")]
        assert events[-1] == "data: [DONE]"
        pieces = [json.loads(one[6:])["choices"][0]["delta"] for one in events[:-1]]
        text = "".join(one.get("content") or "" for one in pieces)
        assert text == "The capital of France is Paris."
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(url, temperature="hot")
        assert refused.value.code == 400
        refused.value.close()
        replicas = workers("ray::ServeReplica")
        assert len(replicas) == 2
        before = [computed(one) for one in replicas]
        with ThreadPoolExecutor(8) as crew:
            list(crew.map(lambda _: ask(url, max_tokens=300, ignore_eos=True), range(32)))
        own = [computed(one) - then for one, then in zip(replicas, before, strict=True)]
        assert min(own) > sum(own) / 10  # both had their part of it
    with pytest.raises(OSError):
        ask(url)


def test_a_cluster_without_room_is_waited_for_until_interrupted(
    on_cluster: str, tmp_path: Path
) -> None:
    Path("llmrr.toml").write_text(
        Path("llmrr.toml").read_text().replace("cpus = 1.2", "cpus = 200.0")
    )
    process = spawned("serve", "--ray", "--port", "0", cwd=tmp_path, address=on_cluster)
    assert process.stderr is not None
    line = next((one for one in process.stderr if "waiting" in one), "")
    assert "replicas of 200 CPUs each, at least 1" in line
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130


def test_replicas_come_with_the_load(on_cluster: str, tmp_path: Path) -> None:
    with suppress(FileNotFoundError):
        Path("llmrr.toml").write_text(
            Path("llmrr.toml").read_text() + "[batching]\nmax_batch_size = 1\n"
        )
    with serving("--replicas", "1:2", cwd=tmp_path, address=on_cluster) as url:
        assert len(workers("ray::ServeReplica")) == 1
        over = threading.Event()

        def load() -> None:
            while not over.is_set():
                ask(url, max_tokens=200, ignore_eos=True)

        crew = [threading.Thread(target=load, daemon=True) for _ in range(6)]
        for one in crew:
            one.start()
        late = time.monotonic() + 120
        while (count := len(workers("ray::ServeReplica"))) < 2 and time.monotonic() < late:
            time.sleep(0.2)
        over.set()
        for one in crew:
            one.join(60)
        assert count == 2


def test_a_changed_configuration_comes_to_the_replicas(on_cluster: str, tmp_path: Path) -> None:
    file = Path("llmrr.toml")
    before = file.read_text()

    def names(url: str) -> set[str]:
        with urllib.request.urlopen(f"{url}/v1/models", timeout=60) as answer:
            return {one["id"] for one in json.loads(answer.read())["data"]}

    with serving(cwd=tmp_path, address=on_cluster) as url:
        assert "also" not in names(url)
        file.write_text(before + '[[models]]\nname = "also"\nsource = "builtin:mini"\n')
        late = time.monotonic() + 120
        while "also" not in names(url) and time.monotonic() < late:
            assert ask(url)
            time.sleep(0.2)
        assert "also" in names(url)
        file.write_text("nonsense = [")
        time.sleep(3)
        assert "also" in names(url)
        assert ask(url)


def test_keys_hold_on_replicas_and_a_client_that_leaves_frees_its_own(
    on_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "a-key-of-the-front-0123456789"
    monkeypatch.setenv("FRONT_KEY", key)  # of who starts it: the cluster does not have it
    headers = {"authorization": f"Bearer {key}"}
    with serving("--api-key-env", "FRONT_KEY", cwd=tmp_path, address=on_cluster) as url:
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(url)
        assert refused.value.code == 401
        refused.value.close()
        host = url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=60)
        body = {"model": "small", "prompt": "a", "max_tokens": 100_000, "stream": True,
                "ignore_eos": True}  # fmt: skip
        connection.request("POST", "/v1/completions", json.dumps(body), headers)
        response = connection.getresponse()
        assert response.readline()
        connection.sock.close()
        response.close()
        late = time.monotonic() + 30
        while time.monotonic() < late:
            with urllib.request.urlopen(f"{url}/health", timeout=60) as answer:
                if json.loads(answer.read())["requests"] == 0:
                    return
            time.sleep(0.1)
        pytest.fail("the answer is still under way")


@pytest.mark.parametrize("more", [["--replicas", "0"], ["--replicas", "3:2"],
                                  ["--replicas", "x"], ["--url", "http://x"]])  # fmt: skip
def test_what_makes_no_sense_is_refused(typed: Typed, more: list[str]) -> None:
    assert typed("batch", "in", "out", "--ray", *more).code == 2
