"""Models that stay loaded between runs: used by the next one, replaced, lost, ended."""

import json
import math
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from builders import gguf_file, tiny_llama
from fakes import FakeEngine, reply
from terminal import Typed

from llmrr import packing
from llmrr.engines.base import Options
from llmrr.engines.resident import asking, loads, places, talking
from llmrr.engines.resident.loads import Load
from llmrr.engines.resident.model import ResidentModel
from llmrr.errors import (
    BrokenStream,
    ContextOverflow,
    DamagedFile,
    EngineFailed,
    InvalidRequest,
    LlmrrError,
    RateLimited,
)
from llmrr.pool import MemoryUse, Pool, Rules
from llmrr.router import Router
from llmrr.types import (
    CallPiece,
    Chunk,
    Format,
    Image,
    Message,
    ModelFiles,
    Request,
    Sampling,
    TokenLogprob,
    Tool,
    ToolCall,
    Usage,
)
from llmrr.warm.lending import Lending
from llmrr.warm.service import Service

MINI = "builtin:mini"
ASKED = Request((Message("user", "Hello"),), sampling=Sampling(temperature=0, max_tokens=8))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has much to do makes nobody give up in this process."""
    monkeypatch.setattr(talking, "GREETING_S", 60.0)


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


# -- what goes over the wire -----------------------------------------------------------------------


def test_a_request_arrives_as_it_was() -> None:
    request = Request(
        messages=(
            Message("system", "s"),
            Message.of("user", "what is ", Image(data=b"\x89PNG\0", detail="low"), "?"),
            Message(
                "assistant", "", tool_calls=(ToolCall("1", "f", '{"a": 1}', "sig"),), reasoning="Hm"
            ),
            Message("tool", "2", tool_call_id="1", name="f"),
            Message.of("user", Image(url="data:image/png;base64,AA==")),
        ),
        n=2, tokens=(1, 2), begun="So", tool_choice="f",
        tools=(Tool("f", "d", {"type": "object", "properties": {"a": {"enum": [1, None]}}}, True),),
        sampling=Sampling(
            temperature=0.0, stop=("a", "\ud800"), logit_bias={7: -1.5, -1: 2}, schema=False,
            ignore_eos=True, think="low", grammar="g", seed=0,
        ),
    )  # fmt: skip
    assert packing.request(json.loads(json.dumps(packing.facts(request)))) == request
    schema = replace(request, sampling=Sampling(schema={"b": 1, "a": [{"x": 1.5}]}))
    assert packing.request(json.loads(json.dumps(packing.facts(schema)))) == schema


def test_a_piece_of_an_answer_arrives_as_it_was() -> None:
    chunk = Chunk(
        index=1, text="é", reasoning="r", tokens=(1, 2), finish_reason="tool_calls",
        logprobs=(TokenLogprob("a", -0.5, (("a", -0.5), ("", -2.0))), TokenLogprob("", -1.0),
                  TokenLogprob.of((b"\xc3", b"a"), (-1.0, -2.0))),
        usage=Usage(1, 2, 3, first_token_s=0.0, tokens_per_s=4.5),
        tool_calls=(ToolCall("1", "f", "{}"),), stop="END",
        call_pieces=(CallPiece("1", "f"), CallPiece("1", "f", "{}", "sig")),
    )  # fmt: skip
    assert packing.chunk(json.loads(json.dumps(packing.facts(chunk)))) == chunk
    assert packing.chunk(packing.facts(Chunk())) == Chunk()


def test_every_field_of_what_is_sent_is_in_these_tests() -> None:
    """One that is added to the vocabulary needs its way back."""
    known = {
        Request: "messages prompt n sampling tokens tools tool_choice begun firm deadline whole",
        Message: "role content parts tool_calls tool_call_id name reasoning",
        Image: "url data media_type detail",
        Tool: "name description parameters strict",
        ToolCall: "id name arguments signature",
        CallPiece: "id name arguments signature",
        Chunk: "index text reasoning tokens logprobs finish_reason usage tool_calls stop"
        " call_pieces",
        TokenLogprob: "text logprob top spelled",
        Options: "context_size at_least slots most_slots crowded gpu_layers threads"
        " flash_attention kv_type mmap mlock lora chat_template mmproj prefix_cache prefix_disk"
        " speculate",
    }
    for kind, names in known.items():
        assert [one.name for one in fields(kind)] == names.split(), kind


def test_a_load_arrives_as_it_was() -> None:
    options = Options(
        context_size=512, gpu_layers=-1, threads=2, flash_attention="on", kv_type="q8_0",
        mmap=False, lora=((Path("/a.gguf"), 0.5),), chat_template="t", mmproj=Path("/m.gguf"),
    )  # fmt: skip
    load = Load("m", ModelFiles(Path("/x"), Format.GGUF), "llamacpp", options, None, True)
    assert loads.load_of(json.loads(json.dumps(load.message()))) == load


@pytest.mark.parametrize(
    "error",
    [
        ContextOverflow("too long", "cut it"), DamagedFile("broken"), InvalidRequest("n = -1"),
        RateLimited("slow", retry_after=2.5),
    ],
)  # fmt: skip
def test_an_error_arrives_as_it_was(error: LlmrrError) -> None:
    found = talking.error_of(json.loads(json.dumps(talking.error_facts(error))))
    assert (type(found), found.message, found.hint) == (type(error), error.message, error.hint)
    assert getattr(found, "retry_after", None) == getattr(error, "retry_after", None)


def test_what_is_no_error_of_ours_is_one_of_the_engine() -> None:
    found = talking.error_of(talking.error_facts(ZeroDivisionError("oh")))
    assert isinstance(found, EngineFailed)
    assert "ZeroDivisionError('oh')" in found.message


# -- a service, in this process --------------------------------------------------------------------


class Kept:
    """A service with a pool, as the process that is left behind has them."""

    def __init__(self, *, kind: str = places.LEFT, rules: Rules | None = None) -> None:
        self.stopped = threading.Event()
        self.use: MemoryUse | None = None
        self.pool = Pool(lambda: rules or Rules(), lives=False, read=lambda known: self.use)
        self.lending = Lending(self.pool, {"most_slots": 4}, keeps=True)
        self.service = Service(self.lending, kind, self.stopped.set, {"address": "here"})

    def close(self) -> None:
        self.service.close()
        self.pool.close()


@pytest.fixture
def kept(engine: FakeEngine) -> Iterator[Kept]:
    with closing(Kept()) as found:
        yield found


def load_of(path: Path, **named: Any) -> Load:
    keepalive = named.pop("keepalive", 300.0)
    files, is_stated = ModelFiles(path, Format.GGUF), named.pop("is_stated", False)
    return Load(path.stem, files, "fake", Options(**named), keepalive, is_stated)


def not_here() -> Any:
    raise AssertionError("it is loaded here")


def held(load: Load, otherwise: Callable[[], Any] = not_here) -> ResidentModel:
    found = asking.hold(load, otherwise)
    assert found is not None
    return found


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return gguf_file(tmp_path / "one.gguf")


def test_an_answer_comes_as_the_engine_gives_it(
    kept: Kept, engine: FakeEngine, tiny: Path
) -> None:
    engine.replies = [reply("a", ("reasoning", "b"), "c", notes=("told",), context_size=77)]
    with closing(held(load_of(tiny))) as model:
        stream = model.generate(ASKED)
        chunks = list(stream)
        assert (stream.notes, stream.context_size) == (("told",), 77)
        assert [one.text for one in chunks] == ["a", "", "c", ""]
        assert (chunks[1].reasoning, chunks[0].tokens) == ("b", (1,))
        usage = chunks[-1].usage
        assert usage is not None
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_s) == (7, 5, 1.5)
        assert usage.load_s < 0.5  # nobody waited for what the engine says
        assert model.embed(["ab"]) == [[2.0, 0.5]]
        assert model.tokenize("a") == [97]
        assert model.pieces([97, 195]) == [b"a", b"\xc3"]
        assert (model.info.architecture, model.threads) == ("llama", 3)
    assert engine.requests == [ASKED]
    assert len(engine.loads) == 1


def test_it_is_loaded_once_whatever_room_is_asked_for(
    kept: Kept, engine: FakeEngine, tiny: Path
) -> None:
    with closing(held(load_of(tiny))), closing(held(load_of(tiny, at_least=32768, most_slots=9))):
        assert [one.most_slots for _, one in engine.loads] == [4]
    until(lambda: not any(one.leases for one in kept.pool.held()))
    with closing(held(load_of(tiny, at_least=32768))), closing(held(load_of(tiny))):  # idle before
        assert [one.at_least for _, one in engine.loads] == [4096, 32768]
    with closing(held(load_of(tiny, context_size=99))):
        assert len(engine.loads) == 3


def test_a_file_that_changes_is_loaded_anew(kept: Kept, engine: FakeEngine, tiny: Path) -> None:
    held(load_of(tiny)).close()
    until(lambda: not any(one.leases for one in kept.pool.held()))
    fresh = gguf_file(tiny.with_name("new.gguf"), metadata={"general.name": "b"})
    fresh.replace(tiny)
    held(load_of(tiny)).close()
    assert len(engine.loads) == 2
    assert len(kept.pool.held()) == 1  # the one before has left


def test_several_threads_ask_one_model(kept: Kept, engine: FakeEngine, tiny: Path) -> None:
    engine.replies = [reply(*"abcde")] * 8
    with closing(held(load_of(tiny))) as model:
        streams = [model.generate(ASKED) for _ in range(8)]
        texts = ["".join(chunk.text for chunk in one) for one in reversed(streams)]
    assert texts == ["abcde"] * 8
    assert len(engine.loads) == 1


def test_chunks_are_pushed(kept: Kept, engine: FakeEngine, tiny: Path) -> None:
    engine.replies = [reply("a", "b"), reply("a", EngineFailed("broke")), reply("a", "b")]
    with closing(held(load_of(tiny))) as model:
        found: list[str] = []
        assert list(model.generate(ASKED, lambda chunk: found.append(chunk.text))) == []
        assert found == ["a", "b", ""]
        with pytest.raises(EngineFailed, match="broke"):
            list(model.generate(ASKED, lambda chunk: None))
        with pytest.raises(ZeroDivisionError):
            list(model.generate(ASKED, lambda chunk: 1 // 0))  # type: ignore[arg-type]


@pytest.mark.parametrize("when", ["at once", "later"])
def test_errors_of_the_engine_are_those_here(
    kept: Kept, engine: FakeEngine, tiny: Path, when: str
) -> None:
    error = ContextOverflow("the prompt has 9 tokens", "--ctx-size")
    engine.replies = [error if when == "at once" else reply("a", error), "again"]
    with closing(held(load_of(tiny))) as model:
        with pytest.raises(ContextOverflow, match="9 tokens") as caught:
            list(model.generate(ASKED))
        assert caught.value.hint == "--ctx-size"
        assert [one.text for one in model.generate(ASKED)] == ["again", ""]


def test_what_cannot_be_loaded_is_told(
    kept: Kept, engine: FakeEngine, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(place: ModelFiles, options: Options) -> Any:
        raise DamagedFile("no such tensor", "get it again")

    monkeypatch.setattr(engine, "load", load)
    with pytest.raises(DamagedFile, match="no such tensor"):
        asking.hold(load_of(tiny), not_here)
    assert kept.lending.is_idle


def test_where_there_is_no_room_there_the_run_loads_it_itself(
    kept: Kept, engine: FakeEngine, tiny: Path, tmp_path: Path
) -> None:
    kept.use = MemoryUse(99, 100)
    assert asking.hold(load_of(tiny), not_here) is None
    assert engine.loads == []


def test_a_second_model_takes_the_room_of_an_idle_one(
    kept: Kept, engine: FakeEngine, tiny: Path, tmp_path: Path
) -> None:
    other = gguf_file(tmp_path / "two.gguf")
    kept.use = MemoryUse(1, 1_000_000)
    held(load_of(tiny)).close()
    until(lambda: not any(one.leases for one in kept.pool.held()))
    kept.use = MemoryUse(850_000, 1_000_000)
    held(load_of(other)).close()
    assert [one.name for one in kept.pool.held()] == ["two"]


def test_a_model_stays_only_below_the_threshold_of_memory(
    kept: Kept, engine: FakeEngine, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmrr.pool.needs.bytes_of", lambda place, options: 300)
    for used, stays in ((500, True), (501, False)):
        kept.use = MemoryUse(used, 1000)
        assert kept.lending.has_room(load_of(tiny)) == stays


class Slow:
    """An answer that goes on once it is let."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()


@pytest.fixture
def slow(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Slow:
    """The fake engine's answers wait before their second piece."""
    from fakes import FakeStream

    gate, before = Slow(), FakeStream.__next__

    def wait(self: FakeStream) -> Chunk:
        if len(self.steps) == 2 and not self.cancelled:
            gate.begun.set()
            while not (gate.go.is_set() or self.cancelled):
                time.sleep(0.005)
        return before(self)

    monkeypatch.setattr(FakeStream, "__next__", wait)
    return gate


def test_an_answer_is_cancelled(kept: Kept, engine: FakeEngine, tiny: Path, slow: Slow) -> None:
    engine.replies = [reply("a", "b"), "next"]
    with closing(held(load_of(tiny))) as model:
        stream = model.generate(ASKED)
        assert next(stream).text == "a"
        assert not stream.ready(0.05)
        assert kept.service.under_way() == 1
        stream.cancel()
        stream.cancel()
        assert [one.finish_reason for one in stream] == ["cancelled"]
        slow.go.set()
        assert [one.text for one in model.generate(ASKED)] == ["next", ""]
        until(lambda: kept.service.under_way() == 0)


def test_who_leaves_frees_model_and_answer(
    kept: Kept, engine: FakeEngine, tiny: Path, slow: Slow
) -> None:
    engine.replies = [reply("a", "b")]
    model = held(load_of(tiny))
    stream = model.generate(ASKED)
    assert next(stream).text == "a"
    del stream
    model.close()
    until(lambda: engine.streams[0].cancelled)
    until(lambda: not any(one.leases for one in kept.pool.held()))


def test_a_model_leaves_when_its_time_is_over(
    kept: Kept, engine: FakeEngine, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(held(load_of(tiny, keepalive=60.0))):
        assert kept.lending.expire() is None  # it is in use
        [facts] = kept.lending.models()
        assert (facts["in_use"], facts["until"]) == (1, None)
    until(lambda: not any(one.leases for one in kept.pool.held()))
    left = kept.lending.expire()
    assert left is not None
    assert 50 < left <= 60
    [facts] = kept.lending.models()
    assert 50 < facts["until"] - time.time() <= 60
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert kept.lending.expire() is None
    assert kept.lending.is_idle


@pytest.mark.parametrize(("keepalive", "stays"), [(0.0, False), (None, True)])
def test_none_and_for_ever(
    kept: Kept, engine: FakeEngine, tiny: Path, keepalive: float | None, stays: bool
) -> None:
    held(load_of(tiny, keepalive=keepalive)).close()
    until(lambda: not any(one.leases for one in kept.pool.held()))
    assert kept.lending.expire() is None
    assert bool(kept.pool.held()) == stays


def test_one_that_is_unloaded_in_use_leaves_afterwards(
    kept: Kept, engine: FakeEngine, tiny: Path
) -> None:
    engine.replies = ["a"]
    with closing(held(load_of(tiny))) as model:
        asking.unload(str(tiny))
        assert [one.text for one in model.generate(ASKED)] == ["a", ""]
    until(lambda: not any(one.leases for one in kept.pool.held()))
    kept.lending.expire()
    assert kept.pool.held() == []


def test_one_of_a_server_that_is_unloaded_in_use_leaves_afterwards(
    engine: FakeEngine, tiny: Path
) -> None:
    pool = Pool(Rules)
    lending = Lending(pool)
    with closing(pool), closing(Service(lending, "serve", lambda: None)):
        with closing(held(load_of(tiny))):
            assert lending.unload(str(tiny)) == 1
            assert len(pool.held()) == 1
        until(lambda: not pool.held())


@pytest.mark.parametrize(("keepalive", "is_stated", "keeps"), [
    (7200.0, True, 7200.0), (None, True, math.inf), (7200.0, False, None), (0.0, True, 0.0),
])  # fmt: skip
def test_a_server_keeps_a_model_as_long_as_is_stated(
    engine: FakeEngine, tiny: Path, keepalive: float | None, is_stated: bool, keeps: float | None
) -> None:
    pool = Pool(Rules)
    lending = Lending(pool)
    load = load_of(tiny, keepalive=keepalive, is_stated=is_stated)
    with closing(pool), closing(Service(lending, "serve", lambda: None)):
        held(load).close()
        until(lambda: lending.models() == [] if keeps == 0 else not lending._lent)
        assert [one.keeps for one in pool.held()] == ([keeps] if keeps != 0 else [])
        if keeps == math.inf:
            assert [one["until"] for one in lending.models()] == [None]


# -- who may ask, and whom -------------------------------------------------------------------------


def test_only_this_user_can_reach_it(kept: Kept) -> None:
    assert stat.S_IMODE(kept.service.place.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.service.place.parent.stat().st_mode) == 0o700


def test_a_folder_that_others_can_write_is_not_used(
    kept: Kept, engine: FakeEngine, tiny: Path
) -> None:
    folder = places.folder()
    folder.chmod(0o777)
    assert places.sockets() == []
    assert asking.hold(load_of(tiny), not_here) is None
    with pytest.raises(PermissionError, match="not this user's alone"):
        places.made()
    folder.chmod(0o700)
    link = folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(link)
    assert places.sockets() == []


def test_somebody_elses_process_is_not_spoken_with(
    kept: Kept, engine: FakeEngine, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talking, "_user_of", lambda connected: os.geteuid() + 1)
    assert asking.hold(load_of(tiny), not_here) is None
    assert engine.loads == []


def test_a_path_that_is_too_long_for_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("LLMRR_HOME", str(tmp_path / ("x" * 100)))
    short = places.folder()
    assert str(short).startswith("/tmp/llmrr-")
    assert len(os.fsencode(short / places.of("serve", 4_194_304))) <= 103
    monkeypatch.setenv("LLMRR_HOME", str(tmp_path / ("y" * 100)))
    assert places.folder() != short

    def nowhere() -> str:
        raise FileNotFoundError

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    assert places.sockets() == []
    assert asking.hold(load_of(tmp_path), not_here) is None


def test_the_runtime_directory_is_used_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    assert places.folder().parent.parent == Path(os.environ["LLMRR_HOME"])  # a home of its own
    monkeypatch.delenv("LLMRR_HOME")
    assert places.folder() == Path("/run/user/1/llmrr")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "not absolute")
    assert Path.home() in places.folder().parents


def test_another_version_is_told_to_end_and_not_used(
    kept: Kept, engine: FakeEngine, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, own = load_of(tiny), loads.identity()
    calls = iter([["0.0.1", "/elsewhere"]])
    monkeypatch.setattr(loads, "identity", lambda: next(calls, own))
    assert asking.hold(load, not_here) is None
    assert kept.stopped.wait(20)
    assert engine.loads == []


def test_another_version_of_a_server_goes_on(
    engine: FakeEngine, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Kept(kind="serve")) as server:
        load, own = load_of(tiny), loads.identity()
        calls = iter([["0.0.1", "/elsewhere"]])
        monkeypatch.setattr(loads, "identity", lambda: next(calls, own))
        assert asking.hold(load, not_here) is None
        assert asking.hold(load, not_here) is not None  # of this version now
        assert not server.stopped.is_set()


def test_one_that_computes_elsewhere_is_not_used(
    kept: Kept, engine: FakeEngine, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = loads.environment()
    calls = iter([{**theirs, "CUDA_VISIBLE_DEVICES": "1"}])
    monkeypatch.setattr(loads, "environment", lambda: next(calls, theirs))
    assert asking.hold(load_of(tiny), not_here) is None
    assert not kept.stopped.is_set()
    monkeypatch.undo()


def test_a_variable_that_decides_where_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = loads.environment()
    monkeypatch.setenv("GGML_NO_BACKTRACE", "1")
    monkeypatch.setenv("HOME", "/elsewhere")
    monkeypatch.setenv("KMP_BLOCKTIME", "200")  # as llama.cpp has it for what a process starts
    assert loads.environment() == before
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert loads.environment() != before


def test_other_files_at_the_same_place_are_not_used(
    kept: Kept, engine: FakeEngine, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrr.engines import stamps

    calls = iter([((1, 2, 3),)])  # as another mount, or another machine, has it there
    own = stamps.of
    monkeypatch.setattr(stamps, "of", lambda *given: next(calls, None) or own(*given))
    assert asking.hold(load_of(tiny), not_here) is None


def test_of_several_the_one_that_has_it_is_asked(
    kept: Kept, engine: FakeEngine, tiny: Path, tmp_path: Path
) -> None:
    other = gguf_file(tmp_path / "two.gguf")
    with closing(Kept(kind="serve")) as server:
        server.lending.lease(load_of(tiny)).release()
        held(load_of(tiny)).close()
        assert kept.pool.held() == []
        held(load_of(other)).close()  # nobody has it: the one that is there for runs
        assert [one.name for one in kept.pool.held()] == ["two"]


# -- what goes wrong on the way --------------------------------------------------------------------


def greeted() -> talking.Connection:
    connection = talking.connected(places.folder() / "run.sock")
    assert connection.receive(20)["by"] == loads.identity()
    return connection


@pytest.mark.parametrize(
    "sent",
    [b"\xff\xff\xff\xff", struct.pack(">I", 3) + b"{]x", struct.pack(">I", 2) + b"[]", b"\0\0"],
)
def test_what_is_no_message_ends_the_connection_alone(kept: Kept, sent: bytes) -> None:
    with closing(greeted()) as connection:
        connection._socket.sendall(sent)
        connection._socket.shutdown(socket.SHUT_WR)
        with pytest.raises(talking.Lost):
            connection.receive(20)
    with closing(greeted()) as connection:
        connection.send({"op": "status"})
        assert connection.receive(20)["models"] == []


@pytest.mark.parametrize(
    "message",
    [{}, {"op": "fly"}, {"op": "generate", "request": {}}, {"op": "lease"}, {"op": "embed"},
     {"op": "unload"}, {"op": "lease", "files": 7, "options": {"fly": 1}}],
)  # fmt: skip
def test_a_message_that_means_nothing_is_an_error(kept: Kept, message: dict[str, Any]) -> None:
    with closing(greeted()) as connection:
        connection.send({"op": "cancel"})  # of nothing
        connection.send(message)
        assert connection.receive(20)["error"]["type"] == "EngineFailed"


def test_a_socket_that_nobody_listens_at_is_taken_away(engine: FakeEngine, tiny: Path) -> None:
    folder = places.made()
    for name in ("run.sock", "serve-7.sock"):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(folder / name))
    assert asking.hold(load_of(tiny), not_here) is None
    assert asking.known() == []
    assert list(folder.iterdir()) == []


def test_a_file_that_is_no_socket_is_left_alone(engine: FakeEngine, tiny: Path) -> None:
    (places.made() / "run.sock").write_text("mine")
    assert asking.hold(load_of(tiny), not_here) is None


def test_one_that_says_nothing_is_not_waited_for(
    engine: FakeEngine, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talking, "GREETING_S", 0.05)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(places.made() / "run.sock"))
        mute.listen()
        assert asking.hold(load_of(tiny), not_here) is None


def test_a_process_that_ends_before_the_first_word_is_done_without(
    kept: Kept, engine: FakeEngine, tiny: Path, slow: Slow
) -> None:
    engine.replies = [reply("b"), reply("b")]
    model = held(load_of(tiny), lambda: engine.load(ModelFiles(tiny, Format.GGUF), Options()))
    stream = model.generate(ASKED)
    assert slow.begun.wait(20)
    kept.service.close()
    slow.go.set()
    assert "b" in "".join(one.text for one in stream)
    assert len(engine.loads) == 2
    engine.replies = ["again"]
    assert [one.text for one in model.generate(ASKED)] == ["again", ""]
    assert model.embed(["ab"]) == [[2.0, 0.5]]
    model.close()
    assert engine.asked[-1].closed


def test_a_process_that_ends_in_the_middle_is_an_error_that_may_pass(
    kept: Kept, engine: FakeEngine, tiny: Path, slow: Slow
) -> None:
    engine.replies = [reply("a", "b")]
    with closing(held(load_of(tiny))) as model:
        stream = model.generate(ASKED)
        assert next(stream).text == "a"
        kept.service.close()
        with pytest.raises(BrokenStream, match="ended while it answered") as caught:
            list(stream)
    assert isinstance(caught.value, EngineFailed)
    assert caught.value.transient


def test_a_service_goes_when_its_socket_does(kept: Kept) -> None:
    assert kept.service.is_there
    kept.service.place.unlink()
    assert not kept.service.is_there
    with closing(Kept()) as other:
        assert not kept.service.is_there
        kept.service.close()
        assert other.service.is_there  # it was not taken for its own


# -- the process that a run leaves behind ----------------------------------------------------------

RUN = ("run", "--no-cache", "--max-tokens", "20", "-m", MINI)
HEAVY = ("numpy", "llama_cpp", "huggingface_hub", "jinja2", "minijinja", "tokenizers", "llguidance",
         "onnxruntime", "mlx_lm", "starlette", "uvicorn", "asyncio", "yaml",
         "llmrr.engines.llamacpp.model", "llmrr.engines.rendering")  # fmt: skip


def llmrr(*words: str, keepalive: str = "60s", **named: Any) -> "subprocess.CompletedProcess[str]":
    """A command line in a process of its own, from which the modules are told that it loaded."""
    code = (
        "import sys\nfrom llmrr.cli.app import main\ncode = main(sys.argv[1:])\n"
        f"print('HEAVY', *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)"
    )
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *words], capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL, env={**os.environ, "LLMRR_KEEPALIVE": keepalive, **named},
    )  # fmt: skip


def processes() -> list[dict[str, Any]]:
    return [one for one in asking.known() if one["kind"] == places.LEFT]


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def left() -> Iterator[None]:
    """What was left behind has ended after the test."""
    yield
    for one in processes():
        os.kill(one["pid"], signal.SIGKILL)


def loaded() -> dict[str, Any]:
    """The process that was left behind, once it has its model."""
    until(lambda: any(not it["loading"] for one in processes() for it in one["models"]))
    [found] = processes()
    return found


def test_the_second_run_uses_what_the_first_one_left(left: None) -> None:
    first = llmrr(*RUN, "--json", "What is the capital of France?")
    assert "numpy" not in first.stderr  # and yet it is cold
    assert "llmrr.engines.llamacpp.model" in first.stderr
    process = loaded()
    assert os.getsid(process["pid"]) == process["pid"]
    assert Path(f"/proc/{process['pid']}/cwd").readlink() == Path("/")
    for number in (0, 1, 2):
        assert Path(f"/proc/{process['pid']}/fd/{number}").readlink() == Path(os.devnull)
    second = llmrr(*RUN, "--json", "--verbose", "What is the capital of France?")
    assert second.stderr.splitlines()[-1] == "HEAVY"
    assert f"in process {process['pid']}" in second.stderr
    one, other = json.loads(first.stdout), json.loads(second.stdout)
    assert one["text"] == other["text"] == "The capital of France is Paris."
    assert (one["engine"], one["model"]) == (other["engine"], other["model"])
    assert one["timings"]["load_s"] > 5 * other["timings"]["load_s"]
    vectors = llmrr("embed", "-m", MINI, "a text")
    assert (vectors.returncode, vectors.stderr.splitlines()[-1]) == (0, "HEAVY")
    too_long = llmrr(*RUN, "-o", "num_ctx", "16", "word " * 50)
    assert (too_long.returncode, "context" in too_long.stderr) == (5, True)
    assert [one["pid"] for one in processes()] == [process["pid"]]
    ended = llmrr("stop", "--json")
    assert json.loads(ended.stdout)["ended"] == [process["pid"]]
    assert not is_alive(process["pid"])
    assert places.sockets() == []


def test_nothing_is_left_where_nothing_is_to_be(left: None) -> None:
    assert llmrr(*RUN, "hi", keepalive="0").returncode == 0
    assert llmrr(*RUN, "--keepalive", "0", "hi").returncode == 0
    library = (
        "from llmrr import Router\n"
        "with Router() as router:\n    print(router.generate('hi', model='builtin:mini'))"
    )
    subprocess.run(
        [sys.executable, "-c", library], env={**os.environ, "LLMRR_KEEPALIVE": "60s"}, check=True,
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert llmrr(*RUN, "-o", "num_ctx", "16", "word " * 50).returncode == 5  # it failed
    assert not places.folder().exists()


def test_a_process_that_was_killed_is_replaced(left: None) -> None:
    assert llmrr(*RUN, "hi").returncode == 0
    first = loaded()["pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: not is_alive(first))
    assert len(places.sockets()) == 1  # nobody could take it away
    again = llmrr(*RUN, "hi")
    assert (again.returncode, "llmrr.engines.llamacpp.model" in again.stderr) == (0, True)
    assert loaded()["pid"] != first


def leave(model: Path, keepalive: float | None = 60.0) -> "subprocess.Popen[bytes]":
    """A process that leaves one behind for this model."""
    load = Load("m", ModelFiles(model, Format.GGUF), "llamacpp", Options(), keepalive)
    job = {"load": load.message(), "rules": Rules(), "most_slots": 2}
    code = (
        "import json, sys\nfrom llmrr.warm import leaving\n"
        "leaving.leave(json.loads(sys.argv[1]))"
    )
    return subprocess.Popen([sys.executable, "-c", code, json.dumps(job)])


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    from llmrr import paths

    return Path(shutil.copy(paths.builtin_model(), tmp_path / "mini.gguf"))


def test_of_two_that_begin_one_goes_on(left: None, mini: Path) -> None:
    for one in [leave(mini) for _ in range(4)]:
        assert one.wait(60) == 0
    process = loaded()["pid"]
    until(lambda: _here() == [process])


def _here() -> list[int]:
    """All that began to keep models in this home, and have not ended."""
    found = (one for one in Path("/proc").iterdir() if one.name.isdigit() and _keeps_here(one))
    return [number for one in found if is_alive(number := int(one.name))]


def _keeps_here(process: Path) -> bool:
    try:
        home = f"LLMRR_HOME={os.environ['LLMRR_HOME']}".encode()
        found = (process / "environ").read_bytes().split(b"\0")
        return home in found and b"llmrr.warm" in (process / "cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.parametrize("how", ["time", "SIGTERM", "socket", "home"])
def test_it_ends_by_itself(left: None, mini: Path, how: str) -> None:
    assert leave(mini, 0.5 if how == "time" else 60.0).wait(60) == 0
    until(processes)
    [found] = processes()
    if how == "SIGTERM":
        os.kill(found["pid"], signal.SIGTERM)
    if how == "socket":
        until(lambda: processes()[0]["models"])
        places.sockets()[0].unlink()
    if how == "home":
        until(lambda: processes()[0]["models"])
        shutil.rmtree(os.environ["LLMRR_HOME"])
    until(lambda: not is_alive(found["pid"]))
    assert places.sockets() == []


def test_what_cannot_be_loaded_is_not_kept(left: None, tmp_path: Path) -> None:
    broken = gguf_file(tmp_path / "broken.gguf")
    assert leave(broken).wait(60) == 0
    until((places.folder() / "run.lock").exists)
    until(lambda: not _here())
    assert places.sockets() == []


# -- the command line ------------------------------------------------------------------------------


def test_ps_shows_a_model_that_is_being_loaded(
    typed: Typed, kept: Kept, engine: FakeEngine, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, load = threading.Event(), engine.load
    monkeypatch.setattr(engine, "load", lambda *given: gate.wait(60) and load(*given))
    asking_for_it = threading.Thread(target=lambda: held(load_of(tiny, context_size=99)).close())
    asking_for_it.start()
    until(kept.pool.loading)
    [_, line] = typed("ps").out.splitlines()
    assert line.split()[:5] == ["one", "fake", "\u2013", "99", "loading"]
    [process] = typed("ps", "--json").json
    assert [(one["name"], one["loading"]) for one in process["models"]] == [("one", True)]
    assert typed("stop", "one").code == 3
    gate.set()
    asking_for_it.join()
    until(lambda: not any(one.leases for one in kept.pool.held()))
    [process] = typed("ps", "--json").json
    assert [(one["name"], one["loading"]) for one in process["models"]] == [("one", False)]


def test_ps_shows_what_a_first_run_has_left(typed: Typed, left: None, mini: Path) -> None:
    assert leave(mini).wait(60) == 0
    [model] = loaded()["models"]
    assert (model["context"], model["largest_context"]) == (None, 512)
    assert "up to 512" in typed("ps").out


def test_ps_and_stop(typed: Typed, kept: Kept, engine: FakeEngine, tiny: Path) -> None:
    held(load_of(tiny, context_size=99)).close()
    until(lambda: not any(one.leases for one in kept.pool.held()))
    [process] = typed("ps", "--json").json
    assert (process["kind"], process["pid"], process["address"]) == ("run", os.getpid(), "here")
    [model] = process["models"]
    assert (model["name"], model["engine"], model["path"]) == ("one", "fake", str(tiny))
    assert (model["context"], model["in_use"], model["loading"]) == (99, 0, False)
    assert model["until"] > time.time()
    [header, line] = typed("ps").out.splitlines()
    assert header.split()[:4] == ["NAME", "ENGINE", "SIZE", "CONTEXT"]
    assert "one" in line
    assert "in 5 minutes" in line
    seen = typed("stop", "two")
    assert (seen.code, 'no model "two" is loaded' in seen.err) == (3, True)
    assert typed("stop", "--all", "one").code == 2
    assert typed("stop", "./one.gguf", "--json").json == {"unloaded": ["one"], "ended": []}
    assert kept.pool.held() == []
    assert not kept.stopped.is_set()


def test_stop_where_nothing_is(typed: Typed) -> None:
    seen = typed("stop")
    assert (seen.code, seen.out) == (1, "")
    assert "no run has left a model loaded" in seen.err
    assert typed("ps", "--json").json == []


def test_run_uses_the_model_that_is_loaded(
    typed: Typed, kept: Kept, engine: FakeEngine, tmp_path: Path
) -> None:
    engine.replies = ["a", "b", "c"]
    assert typed("run", "-m", "tiny.gguf", "hi").out == "a\n"
    assert typed("run", "-m", "tiny.gguf", "--keepalive", "1h30m", "hi").out == "b\n"
    assert typed("chat", "-m", "tiny.gguf", stdin="hello\n").out == "c\n"
    # A conversation has it loaded anew, with room for all that will be said.
    assert [one.at_least for _, one in engine.loads] == [4096, 32768]
    engine.replies = ["d", "e"]
    assert typed("run", "-m", "tiny.gguf", "hi").out == "d\n"
    assert len(engine.loads) == 2
    with Router() as router:  # a program's own
        assert router.generate("hi", model="tiny.gguf").text == "e"
    assert len(engine.loads) == 3


def test_a_keepalive_that_is_no_time(typed: Typed, engine: FakeEngine) -> None:
    for command in ("run", "chat", "embed"):
        seen = typed(command, "-m", "tiny.gguf", "--keepalive", "soon", "hi")
        assert seen.code == 2
        assert '--keepalive "soon" is not a time such as "5m"' in seen.err


TWO = """version = 1
strategy = "speed-priority"
[[models]]
name = "one"
source = "file:./tiny.gguf"
[[models]]
name = "two"
source = "file:./other.gguf"
"""


def test_of_several_models_those_that_are_loaded_are_known(
    typed: Typed, kept: Kept, engine: FakeEngine, tmp_path: Path
) -> None:
    Path("llmrr.toml").write_text(TWO)
    for name in ("tiny.gguf", "other.gguf"):
        tiny_llama(tmp_path / name)
    engine.replies = ["a", "b"]
    assert typed("run", "-m", "two", "hi").out == "a\n"
    seen = typed("run", "--json", "hi").json
    loaded = {one["name"]: one["terms"]["loaded"] for one in seen["decision"]["candidates"]}
    assert loaded == {"one": False, "two": True}


def test_what_stays_loaded_counts_as_room_for_another(
    kept: Kept, engine: FakeEngine, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrr.pool import memory

    monkeypatch.setattr("llmrr.pool.needs.bytes_of", lambda place, options: 600)
    monkeypatch.setattr(memory, "read", lambda known: MemoryUse(950, 1000))
    held(load_of(tiny)).close()
    until(lambda: not any(one.leases for one in kept.pool.held()))
    with Router() as router:
        assert router.memory() == MemoryUse(950, 1000)
    with Router(warm=True) as router:
        assert router.memory() == MemoryUse(350, 1000)
    theirs = loads.environment()
    calls = iter([{**theirs, "CUDA_VISIBLE_DEVICES": "1"}])  # it would not be asked
    monkeypatch.setattr(loads, "environment", lambda: next(calls, theirs))
    with Router(warm=True) as router:
        assert router.memory() == MemoryUse(950, 1000)


def test_a_choice_among_several_imports_nothing_heavy(left: None, mini: Path) -> None:
    Path("llmrr.toml").write_text(TWO.replace("tiny", "mini").replace("other", "mini"))
    words = ("run", "--no-cache", "--max-tokens", "1", "hi")
    assert llmrr(*words).returncode == 0
    loaded()
    again = llmrr(*words)
    assert (again.returncode, again.stderr.splitlines()[-1]) == (0, "HEAVY")


# -- a server --------------------------------------------------------------------------------------


def test_a_run_uses_the_models_of_a_server(typed: Typed) -> None:
    pytest.importorskip("uvicorn")
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "llmrr", "serve", "--port", "0"],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            assert server.stderr is not None
            address = next(line for line in server.stderr if "listening on" in line).split()[-1]
            seen = typed("run", "--verbose", "--max-tokens", "1", "-m", MINI, "hi")
            assert f"in process {server.pid}" in seen.err
            [process] = typed("ps", "--json").json
            assert (process["kind"], process["address"]) == ("serve", address)
            assert [one["name"] for one in process["models"]] == [MINI]
            assert typed("run", "--keepalive", "-1", "-m", MINI, "-n", "1", "hi").code == 0
            until(lambda: typed("ps", "--json").json[0]["models"][0]["until"] is None)
            assert typed("run", "--keepalive", "0", "-m", MINI, "-n", "1", "hi").code == 0
            until(lambda: typed("ps", "--json").json[0]["models"] == [])
            assert typed("run", "-m", MINI, "-n", "1", "hi").code == 0
            seen = typed("stop")
            assert (seen.code, "no run has left a model loaded" in seen.err) == (1, True)
            until(lambda: typed("stop", MINI).out == f"{MINI}\n")  # once the run has let go of it
            assert typed("ps", "--json").json[0]["models"] == []
            seen = typed("stop", "--all", "--json")
            assert seen.json["ended"] == [server.pid]
            assert f"the server at {address} was ended (process {server.pid})\n" in seen.err
            assert server.wait(20) == 0
            assert places.sockets() == []
        finally:
            server.kill()
