"""The database file: private, shared by processes, and honest about what it cannot do."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llmrr import database, paths
from llmrr.database import checked, schema
from llmrr.errors import DamagedFile, DoesNotFit, LlmrrError, Unsupported
from llmrr.migrate.scanning.searching import scan


def test_a_new_one_is_private_and_write_ahead() -> None:
    old = os.umask(0)
    try:
        connection = database.open_database()
        connection.execute("CREATE TABLE t (x)")
        files = list(paths.data_dir().iterdir())
    finally:
        os.umask(old)
    assert {file.name for file in files} == {"llmrr.db", "llmrr.db-wal", "llmrr.db-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(paths.data_dir().stat().st_mode) == 0o700
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (5000,)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.STEPS),)
    connection.close()


def test_opening_again_keeps_what_was_there() -> None:
    first = database.open_database()
    database.remember(first, "key", "value")
    second = database.open_database()
    assert database.recall(second, "key") == "value"
    database.remember(second, "key", None)
    assert database.recall(first, "key") is None
    first.close()
    second.close()


@pytest.mark.parametrize("do", [
    lambda: database.open_database().close(), lambda: scan([paths.data_dir()]),
    lambda: scan(paths.data_dir().iterdir()),
])  # fmt: skip
def test_the_locks_on_it_stay(do: Callable[[], object]) -> None:
    """Else another process that ends takes itself for the last one, and removes the -wal file that
    this one goes on writing to."""
    code = "from llmrr import database as d; c = d.open_database(); print(d.recall(c, 'key'))"
    first = database.open_database()
    for value in ("before", "after"):
        database.remember(first, "key", value)
        do()
        asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert asked.stdout.strip() == value, asked.stderr
    first.close()


def test_a_link_to_a_place_where_there_is_none_yet(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "folder" / "real.db")
    database.open_database(tmp_path / "link.db").close()
    assert stat.S_IMODE((tmp_path / "folder" / "real.db").stat().st_mode) == 0o600


def test_steps_run_once_each_from_where_the_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "db"
    database.open_database(path).close()
    steps = (*schema.STEPS, ("CREATE TABLE added (x)", "INSERT INTO added VALUES (1)"))
    monkeypatch.setattr(database, "STEPS", steps)
    for _ in range(2):
        connection = database.open_database(path)
        assert connection.execute("SELECT x FROM added").fetchall() == [(1,)]
        connection.close()


def test_a_step_that_fails_leaves_nothing_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "db"
    database.open_database(path).close()
    before = schema.STEPS
    monkeypatch.setattr(database, "STEPS", (*before, ("CREATE TABLE half (x)", "NONSENSE")))
    with pytest.raises(LlmrrError):
        database.open_database(path)
    monkeypatch.setattr(database, "STEPS", before)
    connection = database.open_database(path)
    assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'half'").fetchall() == []
    connection.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "db"
    connection = database.open_database(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(Unsupported, match=r"newer llmrr .*999") as caught:
        database.open_database(path)
    assert "upgrade" in caught.value.hint


OPENER = """
import sys
from llmrr import database
print("ready", flush=True)
sys.stdin.readline()
for round in range(20):
    connection = database.open_database()
    database.remember(connection, f"{sys.argv[1]}.{round}", "here")
    connection.close()
"""


def test_processes_that_start_at_once_all_get_in() -> None:
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for opener in openers:
        assert opener.stdout is not None
        assert opener.stdout.readline() == "ready\n"
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    for opener in openers:
        opener.communicate(timeout=60)
        assert opener.returncode == 0
    connection = database.open_database()
    assert connection.execute("SELECT count(*) FROM remembered").fetchone() == (80,)
    connection.close()


def test_the_switch_to_write_ahead_waits_for_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = sqlite3.connect(tmp_path / "db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        holder.execute("COMMIT" if len(waited) == 2 else "SELECT 1")

    monkeypatch.setattr(database.time, "sleep", sleep)
    connection = database.open_database(tmp_path / "db")
    assert len(waited) == 2
    connection.close()
    holder.close()


def test_a_place_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    for home in ("/dev/null/home", "/proc/1/home"):
        monkeypatch.setenv("LLMRR_HOME", home)
        with pytest.raises(LlmrrError, match="cannot use the database") as caught:
            database.open_database()
        assert "LLMRR_HOME" in caught.value.hint


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    with pytest.raises(LlmrrError, match="directory"):
        database.open_database(tmp_path)


@pytest.mark.parametrize("content", [b"not a database at all, but long enough" * 100, b"SQLite f"])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "db"
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match="is damaged") as caught:
        database.open_database(path)
    assert f"mv {path}" in caught.value.hint
    assert path.read_bytes() == content


def test_a_file_damaged_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "db"
    connection = database.open_database(path)
    for number in range(500):
        database.remember(connection, f"key {number}", "x" * 200)
    [root] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'remembered'")
    connection.close()
    content = bytearray(path.read_bytes())
    content[4096 * (root[0] - 1) : 4096 * root[0]] = b"\xee" * 4096
    path.write_bytes(content)
    connection = database.open_database(path)
    with pytest.raises(DamagedFile):
        database.recall(connection, "key 3")
    connection.close()


def test_a_full_disk(tmp_path: Path) -> None:
    connection = database.open_database(tmp_path / "db")
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DoesNotFit):
        database.remember(connection, "key", "x" * 100_000)
    with (
        pytest.raises(DoesNotFit),
        database.errors(),
        database.transaction(connection),
    ):
        connection.execute("INSERT INTO remembered VALUES ('a', ?)", ("x" * 100_000,))
    database.remember(connection, "key", "small")
    assert database.recall(connection, "key") == "small"
    connection.close()


def test_a_full_disk_says_so_of_the_file_system_too() -> None:
    with pytest.raises(DoesNotFit), database.errors(), Path("/dev/full").open("wb", 0) as full:
        full.write(b"x")


def test_a_lock_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    holder = database.open_database(tmp_path / "db")
    holder.execute("BEGIN IMMEDIATE")
    connection = database.open_database(tmp_path / "db")
    with pytest.raises(LlmrrError, match="stayed locked"):
        database.remember(connection, "key", "value")
    holder.execute("ROLLBACK")
    database.remember(connection, "key", "value")
    holder.close()
    connection.close()


def test_a_bug_of_ours_is_not_dressed_up(tmp_path: Path) -> None:
    connection = database.open_database(tmp_path / "db")
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError):
        database.recall(connection, "key")


def test_another_thread_may_use_it() -> None:
    connection = database.open_database()
    thread = threading.Thread(target=database.remember, args=(connection, "key", "value"))
    thread.start()
    thread.join()
    assert database.recall(connection, "key") == "value"
    connection.close()


def test_a_checked_file_is_known_until_it_changes(tmp_path: Path) -> None:
    connection = database.open_database()
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF")
    seen = model.stat()
    assert checked.verdict(connection, model, seen, by="x 1") is None
    checked.record(connection, model, seen, by="x 1", found="good")
    assert checked.verdict(connection, model, model.stat(), by="x 1") == "good"
    assert checked.verdict(connection, model, model.stat(), by="x 2") is None
    link = tmp_path / "link"
    link.symlink_to(model)
    assert checked.verdict(connection, link, link.stat(), by="x 1") == "good"
    os.utime(model, ns=(1, 1))
    assert checked.verdict(connection, model, model.stat(), by="x 1") is None
    connection.close()
