"""The hub: the real client against a server of its protocol, also when things go wrong."""

import dataclasses
import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hub_server import TOKEN, Hub

from llmrr import hub, paths
from llmrr.errors import (
    BadConfig,
    DamagedFile,
    DoesNotFit,
    LlmrrError,
    NotFound,
    Unreachable,
    UsageError,
)
from llmrr.hub import client, transfer

MEBIBYTE = 1 << 20
NAME = "owner/repo"


class Seals:
    """Remembers what was checked, for the length of a test."""

    def __init__(self) -> None:
        self.known: dict[Path, str] = {}

    def holds(self, path: Path, digest: str) -> bool:
        return self.known.get(path) == digest

    def note(self, path: Path, digest: str) -> None:
        self.known[path] = digest


class Made:
    """Told of what is written: the folder, whether it is there by that name, the inode."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool, int]] = []

    def partial(self, path: Path, status: os.stat_result) -> None:
        self.told.append(("partial", path.exists(), status.st_ino))

    def file(self, path: Path, status: os.stat_result, was: Path | None = None) -> None:
        self.told.append((path.parent.name, path.exists(), status.st_ino))


def noise(size: int, seed: int = 0) -> bytes:
    return hashlib.shake_128(str(seed).encode()).digest(size)


def fetched(*files: str, place: Path | None = None, **named: object) -> dict[str, Path]:
    """Fetch some files of the repository, or all, into the cache or a folder."""
    repository = hub.repository(NAME, token=named.get("token"))  # type: ignore[arg-type]
    wanted = [file for file in repository.files if not files or file.path in files]
    where: hub.Place = hub.CachePlace(Path("cache").absolute(), repository)
    if place is not None:
        where = hub.FolderPlace(place.absolute(), repository)
    named.setdefault("checked", Seals())
    return hub.download(repository, wanted, where, **named)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting is tested, and not waited for."""
    monkeypatch.setattr(client, "PAUSES_S", (0.0, 0.0, 0.0, 0.0))
    monkeypatch.setattr(transfer, "PAUSE_S", 0.0)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


# -- listing -----------------------------------------------------------------------------------


def test_a_repository_is_listed_at_its_commit(server: Hub) -> None:
    files = {"a.gguf": b"x" * 9, "config.json": "{}", **{f"d/{n}.txt": "t" for n in range(70)}}
    commit = server.add(NAME, files)
    found = hub.repository(NAME)
    assert (found.commit, found.revision) == (commit, "main")
    assert found.sizes == {name: len(content) for name, content in files.items()}
    by_path = {file.path: file.sha256 for file in found.files}
    assert by_path["a.gguf"] == hashlib.sha256(b"x" * 9).hexdigest()
    assert by_path["config.json"] is None


def test_a_mirror_that_says_no_sizes_is_asked_for_its_tree(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_server._Handler.blob", lambda self, file: {})
    commit = server.add(NAME, {f"{n}.txt": "t" * n for n in range(70)})
    assert hub.repository(NAME).sizes == {f"{n}.txt": n for n in range(70)}
    assert len(server.requests("GET", f"/tree/{commit}")) == 2  # it comes in pages


def test_names_that_leave_their_folder_are_left_out(server: Hub) -> None:
    evil = ("../evil", "/etc/evil", "a/../../b", "a\\b", "c:/d", "a//b", "./c")
    server.add(NAME, dict.fromkeys((*evil, "good", "a/good"), b"x"))
    assert list(hub.repository(NAME).sizes) == ["a/good", "good"]


def test_other_revisions(server: Hub) -> None:
    server.add(NAME, {"a.gguf": b"new"})
    commit = server.add(NAME, {"a.gguf": b"old one"}, revision="v1")
    assert hub.repository(NAME, "v1").sizes == {"a.gguf": 7}
    assert hub.repository(NAME, commit).commit == commit
    with pytest.raises(NotFound, match="no such revision") as caught:
        hub.repository(NAME, "v2")
    assert caught.value.hint == f"llmrr pull {NAME}@v1"
    assert caught.value.message.endswith("it has: main, v1")


@pytest.mark.parametrize("name", ["owner/rebo", "onwer/repo", "owner/repo-GGUF"])
def test_a_name_that_does_not_exist_leads_to_the_nearest(server: Hub, name: str) -> None:
    server.add(NAME, {"a.gguf": b"x"})
    server.add("owner/else", {"a.gguf": b"x"})
    with pytest.raises(NotFound, match=name) as caught:
        hub.repository(name)
    assert caught.value.hint == f"llmrr pull {NAME}"


def test_nothing_is_suggested_that_is_only_a_little_like_it(server: Hub) -> None:
    server.add("future/Next2-GGUF", {"a.gguf": b"x"})
    for name in ("nosuch/x", "secret/private-GGUF"):
        with pytest.raises(NotFound) as caught:
            hub.repository(name)
        assert caught.value.hint == f"llmrr search {name.partition('/')[2]}"
        assert "HF_TOKEN" in caught.value.message


@pytest.mark.parametrize("commit", ["../../x", "", "a/b", ".."])
def test_a_commit_that_would_leave_its_folder_is_refused(
    server: Hub, monkeypatch: pytest.MonkeyPatch, commit: str
) -> None:
    from types import SimpleNamespace

    api = client.api()
    monkeypatch.setattr("llmrr.hub.listing.api", lambda token: api)
    facts = SimpleNamespace(sha=commit or "..", siblings=())
    monkeypatch.setattr(type(api), "model_info", lambda *given, **named: facts)
    with pytest.raises(DamagedFile, match="a commit that is none"):
        hub.repository(NAME)
    with pytest.raises(UsageError, match="cannot be a revision"):
        hub.repository(NAME, "../v1")


def test_an_address_that_is_none(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("notaurl", "http://127.0.0.1:99999", "http://", "ftp://x"):
        monkeypatch.setenv("HF_ENDPOINT", wrong)
        with pytest.raises(BadConfig, match=f'HF_ENDPOINT is "{wrong}"'):
            hub.repository(NAME)
    # The client itself fails at its import, so before it is imported.
    done = subprocess.run(
        [sys.executable, "-m", "llmrr", "pull", NAME], capture_output=True, text=True, timeout=60,
        env={**os.environ, "HF_ENDPOINT": "http://127.0.0.1:99999"},
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (8, 2), done.stderr
    monkeypatch.setenv("HF_ENDPOINT", "http://me:sesame@127.0.0.1:9")
    with pytest.raises(Unreachable) as caught:
        hub.repository(NAME)
    assert "127.0.0.1:9" in caught.value.message
    assert "sesame" not in caught.value.message + caught.value.hint
    with pytest.raises(Unreachable):
        hub.search("anything")


def test_a_page_that_wants_a_login_is_no_answer(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = lambda self, *_: self.send(200, b"<html>", {})  # noqa: E731
    monkeypatch.setattr("hub_server._Handler.model", page)
    with pytest.raises(Unreachable, match="no answer of a hub"):
        hub.repository(NAME)


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (401, Unreachable)])
def test_a_mirror_that_gives_no_codes(server: Hub, status: int, kind: type[LlmrrError]) -> None:
    server.add(NAME, {"a.gguf": b"x"})
    server.fault("/revision/main", status=status, times=9)
    with pytest.raises(kind) as caught:
        hub.repository(NAME)
    assert "HF_TOKEN" in caught.value.message + caught.value.hint
    assert "try the same again later" not in caught.value.hint


@pytest.mark.parametrize("token", ["t\N{LATIN SMALL LETTER O WITH DIAERESIS}ken", "a b", "a\x07b"])
def test_a_token_that_is_none(server: Hub, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """Whatever the HTTP stack under the client makes of it, and wherever it comes from."""
    server.add(NAME, {"a.gguf": b"x"})
    with pytest.raises(UsageError, match="the token has characters"):
        hub.repository(NAME, token=token)
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UsageError, match="the token has characters"):
        hub.repository(NAME)
    assert server.seen == []


def test_what_is_no_name_is_told_without_asking(server: Hub) -> None:
    with pytest.raises(UsageError, match="no name of a repository"):
        hub.repository("a b")
    assert server.seen == []


def test_search(server: Hub) -> None:
    server.add("a/Tiny-GGUF", {"a.gguf": b"x"}, downloads=5)
    server.add("b/tiny-other", {"model.safetensors": b"x"}, downloads=9)
    server.add("c/large", {"a.gguf": b"x"}, downloads=99)
    found = hub.search("tiny", formats=("gguf",))
    assert [(one.id, one.downloads, one.tags) for one in found] == [("a/Tiny-GGUF", 5, ("gguf",))]
    assert [one.id for one in hub.search("tiny")] == ["b/tiny-other", "a/Tiny-GGUF"]
    assert len(hub.search("tiny", limit=1)) == 1


def test_offline_nobody_is_asked(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add(NAME, {"a.gguf": b"x"})
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Unreachable, match="offline"):
        hub.repository(NAME)
    assert server.seen == []


def test_a_hub_that_is_not_there(monkeypatch: pytest.MonkeyPatch, server: Hub) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        hub.repository(NAME)


# -- keys --------------------------------------------------------------------------------------


def test_gated_and_private_repositories_need_a_token(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(5000)}, gated=True)
    with pytest.raises(Unreachable, match="gated") as caught:
        fetched()
    assert f"{server.url}/{NAME}" in caught.value.hint
    assert fetched(token=TOKEN)["a.gguf"].read_bytes() == noise(5000)
    server.add(NAME, {"a.gguf": noise(5000)}, private=True)
    with pytest.raises(NotFound, match="or it is private"):
        hub.repository(NAME)
    assert hub.repository(NAME, token=TOKEN).sizes == {"a.gguf": 5000}


def test_a_wrong_token_is_refused_and_never_shown(server: Hub) -> None:
    server.add(NAME, {"a.gguf": b"x"})
    with pytest.raises(Unreachable, match="wants a token") as caught:
        hub.repository(NAME, token="hf_wrong")
    assert "hf_wrong" not in caught.value.message + caught.value.hint


def test_the_token_of_the_environment_goes_to_the_hub_and_nowhere_else(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    server.add(NAME, {"a.gguf": noise(5000)}, private=True)
    fetched()
    asked = {one.host.partition(":")[0]: one.authorization for one in server.seen}
    assert asked == {"127.0.0.1": f"Bearer {TOKEN}", "localhost": None}


# -- fetching ----------------------------------------------------------------------------------


def test_files_lie_as_the_client_lays_them(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import snapshot_download

    files = {"a.gguf": noise(3 * MEBIBYTE), "config.json": b"{}", "sub/b.txt": b"text"}
    server.add(NAME, files)
    ours, cache = fetched(), Path("cache").absolute()
    assert {name: path.read_bytes() for name, path in ours.items()} == files
    sent = server.sent
    theirs = Path(snapshot_download(NAME, cache_dir=cache, endpoint=server.url))
    assert server.sent == sent  # the client finds it complete
    assert {path: path.resolve() for path in ours.values()} == {
        theirs / name: (theirs / name).resolve() for name in files
    }
    offline = snapshot_download(NAME, cache_dir=cache, local_files_only=True)
    assert Path(offline) == theirs


def test_what_the_client_fetched_is_not_fetched_again(server: Hub) -> None:
    from huggingface_hub import snapshot_download

    server.add(NAME, {"a.gguf": noise(MEBIBYTE), "config.json": b"{}"})
    snapshot_download(NAME, cache_dir="cache", endpoint=server.url)
    sent, made = server.sent, Made()
    fetched(made=made)
    assert (server.sent, made.told) == (sent, [])


def test_a_folder_of_the_users(server: Hub) -> None:
    from huggingface_hub import snapshot_download

    files = {"a.gguf": noise(MEBIBYTE), "sub/b.txt": b"text"}
    server.add(NAME, files)
    ours = fetched(place=Path("models"))
    assert ours == {name: Path("models").absolute() / name for name in files}
    sent = server.sent
    snapshot_download(NAME, local_dir="models", endpoint=server.url)
    fetched(place=Path("models"))
    assert server.sent == sent
    ours["a.gguf"].write_bytes(b"changed")
    assert fetched(place=Path("models"))["a.gguf"].read_bytes() == files["a.gguf"]


def test_progress_never_goes_back_and_ends_at_the_size(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(3 * MEBIBYTE), "b.gguf": noise(100)})
    told: dict[str, list[int]] = {}
    fetched(arrived=lambda name, count: told.setdefault(name, []).append(count))
    assert told["a.gguf"] == sorted(told["a.gguf"])
    assert (told["a.gguf"][-1], told["b.gguf"][-1]) == (3 * MEBIBYTE, 100)


def test_the_disk_is_asked_first(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add(NAME, {"a.gguf": noise(5000)})
    monkeypatch.setattr(paths, "free_bytes", lambda path: 4000)
    with pytest.raises(DoesNotFit, match="are to be fetched"):
        fetched()
    assert server.sent == 0
    assert not list(Path("cache").rglob("*gguf*"))


def test_what_is_there_needs_no_room(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add(NAME, {"a.gguf": noise(5000)})
    fetched()
    monkeypatch.setattr(paths, "free_bytes", lambda path: 0)
    fetched()


# -- resuming ----------------------------------------------------------------------------------


def partial(name: str = "a.gguf") -> Path:
    repository = hub.repository(NAME)
    [file] = [one for one in repository.files if one.path == name]
    place = hub.CachePlace(Path("cache").absolute(), repository)
    path = place.partial(name, file.sha256 or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def asked_ranges(server: Hub) -> list[str | None]:
    return [one.range for one in server.seen if one.method == "GET" and "/cdn/" in one.path]


@pytest.mark.parametrize("left", ["{etag}.incomplete", "{etag}.1a2b3c4d.incomplete"])
def test_a_download_goes_on_where_it_was_killed(server: Hub, left: str) -> None:
    """The one name is that of 0.36 and ours, the other that of 2.4, which never comes back."""
    content = noise(5 * MEBIBYTE)
    server.add(NAME, {"a.gguf": content})
    path = partial()
    path.with_name(left.format(etag=path.name.partition(".")[0])).write_bytes(content[:4_000_000])
    assert fetched()["a.gguf"].read_bytes() == content
    assert asked_ranges(server) == ["bytes=4000000-"]
    assert server.sent == len(content) - 4_000_000
    assert not list(Path("cache").rglob("*.incomplete"))


def test_in_a_folder_too_it_goes_on(server: Hub) -> None:
    content = noise(3 * MEBIBYTE)
    server.add(NAME, {"sub/a.gguf": content})
    repository = hub.repository(NAME)
    place = hub.FolderPlace(Path("models").absolute(), repository)
    path = place.partial("sub/a.gguf", repository.files[0].sha256 or "")
    path.write_bytes(content[:2_000_000])
    assert fetched(place=Path("models"))["sub/a.gguf"].read_bytes() == content
    assert asked_ranges(server) == ["bytes=2000000-"]
    assert not list(Path("models").rglob("*.incomplete"))


def test_of_several_remains_the_largest_is_used_and_the_others_go(server: Hub) -> None:
    content = noise(MEBIBYTE)
    server.add(NAME, {"a.gguf": content})
    path = partial()
    path.write_bytes(content[:10])
    etag = path.name.partition(".")[0]
    for number, size in enumerate((1000, 5000, 300)):
        path.with_name(f"{etag}.{number:08x}.incomplete").write_bytes(content[:size])
    fetched()
    assert asked_ranges(server) == ["bytes=5000-"]
    assert not list(Path("cache").rglob("*.incomplete"))


@pytest.mark.parametrize("remains", [b"wrong" * 100, noise(MEBIBYTE) + b"too long"])
def test_wrong_remains_cost_time_and_nothing_else(server: Hub, remains: bytes) -> None:
    server.add(NAME, {"a.gguf": noise(MEBIBYTE)})
    partial().write_bytes(remains)
    assert fetched()["a.gguf"].read_bytes() == noise(MEBIBYTE)


def test_a_whole_partial_file_is_only_checked(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(MEBIBYTE)})
    partial().write_bytes(noise(MEBIBYTE))
    assert fetched()["a.gguf"].read_bytes() == noise(MEBIBYTE)
    assert server.sent == 0


def test_a_server_that_ignores_ranges(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(3 * MEBIBYTE)})
    partial().write_bytes(noise(3 * MEBIBYTE)[:2_000_000])
    server.fault("a.gguf", ignore_range=True)
    assert fetched()["a.gguf"].read_bytes() == noise(3 * MEBIBYTE)


def test_an_answer_that_breaks_off_is_taken_up_again(server: Hub) -> None:
    content = noise(6 * MEBIBYTE)
    server.add(NAME, {"a.gguf": content})
    for _ in range(3):
        server.fault("a.gguf", after=3 * MEBIBYTE // 2)
    assert fetched()["a.gguf"].read_bytes() == content
    assert server.sent < len(content) + 4 * MEBIBYTE


def test_one_that_always_breaks_off_ends_and_keeps_what_came(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(3 * MEBIBYTE)})
    server.fault("a.gguf", after=1000, times=1000)
    with pytest.raises(Unreachable, match=f"{NAME}/a.gguf") as caught:
        fetched()
    assert "run the same command again" in caught.value.hint
    server.faults.clear()
    assert fetched()["a.gguf"].read_bytes() == noise(3 * MEBIBYTE)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_overloaded_hub_is_asked_again(server: Hub, status: int) -> None:
    server.add(NAME, {"a.gguf": noise(5000)})
    server.fault("/revision/main", status=status, times=2)
    server.fault("a.gguf", status=status, times=2)
    assert fetched()["a.gguf"].read_bytes() == noise(5000)


def test_one_that_stays_overloaded_is_an_error(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(5000)})
    server.fault("/revision/main", status=429, times=100)
    with pytest.raises(Unreachable, match="429"):
        hub.repository(NAME)


def test_it_waits_no_longer_than_is_bearable() -> None:
    class Answer:
        status_code = 429
        headers = {"Retry-After": "3600"}  # noqa: RUF012

    class Refused(Exception):
        response = Answer()

    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise Refused

    with pytest.raises(Refused):
        client.patiently(call)
    assert len(calls) == 1


# -- checking ----------------------------------------------------------------------------------


def test_wrong_bytes_get_no_final_name(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(5000), "config.json": b'{"a": 1}'})
    for name in ("a.gguf", "config.json"):
        server.faults.clear()
        server.fault(name, garble=True, times=9)
        with pytest.raises(DamagedFile, match=f"what came of {NAME}/{name}"):
            fetched(name)
    server.faults.clear()
    assert not [path for path in Path("cache").rglob("*") if path.is_file() and path.stat().st_size]
    assert fetched()["a.gguf"].read_bytes() == noise(5000)


def test_wrong_bytes_once_are_fetched_again(server: Hub) -> None:
    content = noise(5000)
    server.add(NAME, {"a.gguf": content})
    partial().write_bytes(content[:1000])
    server.fault("a.gguf", garble=True)
    assert fetched()["a.gguf"].read_bytes() == content


def test_a_damaged_file_of_the_cache_is_replaced(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(5000)})
    path = fetched()["a.gguf"]
    path.resolve().write_bytes(noise(5000, seed=1))
    assert fetched()["a.gguf"].read_bytes() == noise(5000)


def test_what_was_checked_once_is_not_read_again(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add(NAME, {"a.gguf": noise(5000)})
    seals = Seals()
    fetched(checked=seals)
    monkeypatch.setattr("llmrr.hub.partial.Digest.of", lambda *_: pytest.fail("it was read"))
    fetched(checked=seals)


def refusing(name: str, start: bytes) -> None:
    assert (name, start) == ("a.gguf", noise(4096))
    raise DamagedFile("no")


def test_first_bytes_can_refuse_a_file(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(30 * MEBIBYTE)})

    with pytest.raises(DamagedFile, match="no"):
        fetched(look=refusing)
    assert server.sent < 30 * MEBIBYTE


def test_what_is_there_is_looked_at_like_what_comes(server: Hub) -> None:
    """A part of an earlier try, and what another client got."""
    server.add(NAME, {"a.gguf": noise(3 * MEBIBYTE)})
    begun = partial("a.gguf")
    begun.write_bytes(noise(3 * MEBIBYTE)[:MEBIBYTE])
    with pytest.raises(DamagedFile, match="no"):
        fetched(look=refusing)
    assert server.sent == 0
    fetched()
    assert server.sent < 3 * MEBIBYTE
    with pytest.raises(DamagedFile, match="no"):
        fetched(look=refusing)


def test_owned_before_it_is_named(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(5000)})
    made = Made()
    where = fetched(made=made)["a.gguf"]
    inode, link = where.stat().st_ino, where.lstat().st_ino
    assert made.told == [
        ("partial", True, inode), ("blobs", False, inode), (where.parent.name, False, link),
    ]  # fmt: skip
    fetched(made=made)
    assert len(made.told) == 3


def test_a_file_of_the_users_is_not_overwritten(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(5000)})
    mine = Path("mine/a.gguf")
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    with pytest.raises(LlmrrError, match="another file than the hub has"):
        fetched(place=mine.parent)
    assert mine.read_bytes() == b"mine"
    mine.unlink()
    fetched(place=mine.parent)
    server.add(NAME, {"a.gguf": noise(5000, 1)})  # what the client noted may be brought up to date
    fetched(place=mine.parent)
    assert mine.read_bytes() == noise(5000, 1)


# -- at once -----------------------------------------------------------------------------------


def test_two_downloads_of_one_file_fetch_it_once(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(4 * MEBIBYTE)})
    server.fault("a.gguf", pause=0.0)
    repository, seals = hub.repository(NAME), Seals()
    results: list[dict[str, Path]] = []

    def work() -> None:
        place = hub.CachePlace(Path("cache").absolute(), repository)
        results.append(hub.download(repository, repository.files, place, checked=seals))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert server.sent == 4 * MEBIBYTE


def test_what_comes_before_a_break_is_kept_however_little(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(2 * MEBIBYTE)})
    server.fault("a.gguf", after=300_000, times=99)
    assert fetched()["a.gguf"].read_bytes() == noise(2 * MEBIBYTE)
    assert server.sent < 3 * MEBIBYTE


def test_who_waits_for_the_lock_is_told_how_far_it_is(server: Hub) -> None:
    from huggingface_hub.utils import WeakFileLock

    content = noise(MEBIBYTE)
    server.add(NAME, {"a.gguf": content})
    path = partial()
    path.write_bytes(content[:700])
    repository = hub.repository(NAME)
    place = hub.CachePlace(Path("cache").absolute(), repository)
    lock = place.lock("a.gguf", path.name.partition(".")[0])
    lock.parent.mkdir(parents=True)
    told: list[int] = []
    seen = threading.Event()

    def arrived(name: str, count: int) -> None:
        told.append(count)
        seen.set()

    with WeakFileLock(lock):
        waiting = threading.Thread(target=lambda: fetched(arrived=arrived))
        waiting.start()
        assert seen.wait(30)
    waiting.join(30)
    assert (told[0], told[-1]) == (700, MEBIBYTE)


def test_the_first_error_ends_all(server: Hub) -> None:
    server.add(NAME, {f"{n}.gguf": noise(1000, n) for n in range(20)})
    server.fault("7.gguf", status=404, times=99)
    with pytest.raises(LlmrrError):
        fetched(workers=4)


# -- by the client's chunk protocol ------------------------------------------------------------


def test_chunked_transfers_are_left_to_the_client_and_checked(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no server of that protocol here: its transfer is played, the rest is real."""
    import huggingface_hub

    content = noise(5000)
    server.add(NAME, {"a.gguf": content, "b.gguf": noise(5000, 1)})
    sent: list[bytes] = [content, b"wrong" * 1000]

    def transfer_by_chunks(repo: str, name: str, *, cache_dir: Path, **_: object) -> None:
        path = partial(name)
        path.with_name(path.name.removesuffix(".incomplete")).write_bytes(sent.pop(0))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", transfer_by_chunks)
    real = transfer._ask
    monkeypatch.setattr(
        transfer, "_ask", lambda *given: dataclasses.replace(real(*given), by_client=True)
    )
    assert fetched("a.gguf")["a.gguf"].read_bytes() == content
    assert server.sent == 0
    assert fetched("b.gguf")["b.gguf"].read_bytes() == noise(5000, 1)
    assert server.sent == 5000  # what came by chunks was wrong: the plain way is taken


def test_what_a_chunked_transfer_brought_is_looked_at(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    server.add(NAME, {"a.gguf": noise(5000)})

    def transfer_by_chunks(repo: str, name: str, *, cache_dir: Path, **_: object) -> None:
        content = partial(name).with_suffix("")
        content.write_bytes(noise(5000))
        link = content.parents[1] / "snapshots" / hub.repository(NAME).commit / name
        link.parent.mkdir(parents=True)
        link.symlink_to(content)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", transfer_by_chunks)
    real = transfer._ask
    monkeypatch.setattr(
        transfer, "_ask", lambda *given: dataclasses.replace(real(*given), by_client=True)
    )
    with pytest.raises(DamagedFile, match="no"):
        fetched(look=refusing)
    left = [path.name for path in Path("cache").rglob("*") if not path.is_dir()]
    assert all(name.endswith(".lock") for name in left), left


def test_a_chunked_transfer_that_fails_is_streamed(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("no such server")

    server.add(NAME, {"a.gguf": noise(5000)})
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", failing)
    real = transfer._ask
    monkeypatch.setattr(
        transfer, "_ask", lambda *given: dataclasses.replace(real(*given), by_client=True)
    )
    assert fetched()["a.gguf"].read_bytes() == noise(5000)


# -- ranges ------------------------------------------------------------------------------------


def test_parts_of_a_file_are_read_by_ranges(server: Hub) -> None:
    content = noise(9 * MEBIBYTE)
    server.add(NAME, {"a.gguf": content})
    source = hub.RemoteFiles(hub.repository(NAME)).source("a.gguf")
    assert (source.size, str(source)) == (len(content), f"{NAME}/a.gguf")
    assert source.read(0, 8) == content[:8]
    assert source.read(5_000_000, 70) == content[5_000_000:5_000_070]
    assert source.read(len(content) - 5, 70) == content[-5:]
    assert source.read(len(content) + 5, 70) == b""
    assert server.sent < 1000
    for at in range(0, 4 * MEBIBYTE, MEBIBYTE):  # who goes on reading gets more at once
        assert source.read(at, MEBIBYTE) == content[at : at + MEBIBYTE]
    assert len(asked_ranges(server)) == 5


def test_ranges_of_a_server_that_ignores_them(server: Hub) -> None:
    server.add(NAME, {"a.gguf": noise(3 * MEBIBYTE)})
    server.fault("a.gguf", ignore_range=True, times=9)
    source = hub.RemoteFiles(hub.repository(NAME)).source("a.gguf")
    assert source.read(2_000_000, 10) == noise(3 * MEBIBYTE)[2_000_000:2_000_010]
    with pytest.raises(NotFound):
        hub.RemoteFiles(hub.repository(NAME)).source("b.gguf")
