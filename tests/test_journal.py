"""Changes to files: whole or not at all, recorded, and walked back."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llmrr import journal, paths
from llmrr.errors import DoesNotFit, LlmrrError, NotFound
from llmrr.journal import locking

OLD, NEW = "old content\n" * 50, "new content\n" * 70


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with its content."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_a_change_is_made_recorded_and_undone(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(OLD)
    (tmp_path / "c").write_text("c")
    before = tree(tmp_path)
    with journal.change("config edit") as change:
        change.write(tmp_path / "a", NEW)
        change.write(tmp_path / "deep" / "er" / "b", b"\x00\xff")
        change.remove(tmp_path / "c")
        change.remove(tmp_path / "never")
    assert (tmp_path / "a").read_text() == NEW
    assert (tmp_path / "deep" / "er" / "b").read_bytes() == b"\x00\xff"
    assert not (tmp_path / "c").exists()
    [entry] = journal.entries()
    assert (entry.what, entry.kind, entry.state) == ("config edit", "config", "done")
    assert [file.path.name for file in entry.files] == ["a", "b", "c"]
    assert journal.undo().state == "undone"
    assert tree(tmp_path) == before
    assert not (tmp_path / "deep").exists()
    assert [entry.state for entry in journal.entries()] == ["undone"]


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    with journal.change("x") as change:
        change.write(tmp_path / "a", NEW)
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_mode_is_kept_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text(OLD)
    path.chmod(0o600)
    with journal.change("x") as change:
        change.write(path, NEW)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        change.remove(path)
    journal.undo()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o751)
    with journal.change("x") as change:
        change.write(path, NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o751


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with journal.change("x") as change:
            change.write(tmp_path / "a", NEW)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_the_record_is_private(tmp_path: Path) -> None:
    with journal.change("x") as change:
        change.write(tmp_path / "a", NEW)
    folder = paths.data_dir() / "journal"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir() if p.is_dir()} == {0o700}


def test_links_are_followed_and_stay_links(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "real"
    real.parent.mkdir()
    real.write_text(OLD)
    (tmp_path / "one").symlink_to("dotfiles/real")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "dangling").symlink_to("dotfiles/new")
    with journal.change("x") as change:
        change.write(tmp_path / "two", NEW)
        change.write(tmp_path / "dangling", NEW)
    assert real.read_text() == (tmp_path / "dotfiles" / "new").read_text() == NEW
    assert (tmp_path / "one").is_symlink()
    assert (tmp_path / "two").is_symlink()
    assert (tmp_path / "dangling").is_symlink()
    journal.undo()
    assert real.read_text() == OLD
    assert not (tmp_path / "dotfiles" / "new").exists()


def test_an_exception_walks_everything_back(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(OLD)
    with pytest.raises(KeyboardInterrupt), journal.change("x") as change:
        change.write(tmp_path / "a", "1")
        change.write(tmp_path / "a", "2")
        change.write(tmp_path / "new" / "b", "3")
        raise KeyboardInterrupt
    assert tree(tmp_path) == {"a": OLD}
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]
    assert journal.entries() == []


def test_an_exception_of_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(PermissionError), journal.change("x"):
        raise PermissionError("mine")


def test_one_file_written_twice_goes_back_to_the_first(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(OLD)
    with journal.change("x") as change:
        change.write(tmp_path / "a", "1")
        change.write(tmp_path / "a", "2")
    journal.undo()
    assert (tmp_path / "a").read_text() == OLD


def test_a_change_of_nothing_is_not_recorded() -> None:
    with journal.change("x"):
        pass
    assert journal.entries() == []
    with pytest.raises(LlmrrError, match="there is no change to undo"):
        journal.undo()


def test_undo_refuses_what_others_changed_and_touches_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(OLD)
    (tmp_path / "b").write_text(OLD)
    with journal.change("x") as change:
        change.write(tmp_path / "a", NEW)
        change.write(tmp_path / "b", NEW)
    (tmp_path / "a").write_text("someone else's")
    with pytest.raises(LlmrrError, match="was changed since") as caught:
        journal.undo()
    assert caught.value.exit_code == 1
    assert "--force" in caught.value.hint
    assert tree(tmp_path) == {"a": "someone else's", "b": NEW}
    journal.undo(force=True)
    assert tree(tmp_path) == {"a": OLD, "b": OLD}


def test_undo_refuses_when_a_file_was_removed_since(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(OLD)
    with journal.change("x") as change:
        change.write(tmp_path / "a", NEW)
    (tmp_path / "a").unlink()
    with pytest.raises(LlmrrError, match="was changed since"):
        journal.undo()
    journal.undo(force=True)
    assert (tmp_path / "a").read_text() == OLD


def test_undo_keeps_a_folder_that_others_use(tmp_path: Path) -> None:
    with journal.change("x") as change:
        change.write(tmp_path / "new" / "a", NEW)
    (tmp_path / "new" / "theirs").write_text("x")
    journal.undo()
    assert tree(tmp_path) == {"new/theirs": "x"}


def test_undo_goes_back_one_by_one_and_by_kind_or_id(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    for number in range(3):
        with journal.change("config edit") as change:
            change.write(path, str(number))
    with journal.change("save talk") as change:
        change.write(other, "talk")
    first, _second, _third, last = journal.entries()
    journal.undo(kind="config")
    assert (path.read_text(), other.read_text()) == ("1", "talk")
    with pytest.raises(LlmrrError, match="was changed since"):
        journal.undo(first.id)
    journal.undo(kind="config")
    assert path.read_text() == "0"
    journal.undo(last.id)
    assert not other.exists()
    journal.undo()
    assert not path.exists()
    with pytest.raises(NotFound, match="'nonsense'"):
        journal.undo("nonsense")
    with pytest.raises(LlmrrError, match="there is no migrate change to undo"):
        journal.undo(kind="migrate")


def test_an_entry_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    with journal.change("x") as change:
        change.write(tmp_path / "a", NEW)
    damaged = paths.data_dir() / "journal" / "20990101T000000.000000-0000"
    damaged.mkdir()
    (damaged / "entry.json").write_text("{")
    assert [entry.what for entry in journal.entries()] == ["x"]
    journal.undo()
    assert not (tmp_path / "a").exists()


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9")
    with journal.change("x") as change:
        change.write(path, NEW)
    assert journal.entries()[0].files[0].path == path
    journal.undo()
    assert not path.exists()


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text(OLD)
    for path in (tmp_path / "file" / "x", Path("/proc/1/x"), tmp_path):
        with pytest.raises(LlmrrError, match="cannot write") as caught, journal.change("x") as c:
            c.write(path, NEW)
        assert caught.value.hint
    assert tree(tmp_path) == {"file": OLD}
    assert journal.entries() == []
    monkeypatch.setenv("LLMRR_HOME", "/dev/null/home")
    with pytest.raises(LlmrrError, match="cannot write"), journal.change("x") as change:
        change.write(tmp_path / "file", NEW)
    assert tree(tmp_path) == {"file": OLD}
    assert journal.entries() == []


def test_a_full_disk_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text(OLD)
    real = os.fsync

    def full(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().parent == tmp_path:
            os.write(os.open("/dev/full", os.O_WRONLY), b"x")
        real(descriptor)

    with pytest.raises(DoesNotFit, match="no space left"), journal.change("x") as change:
        monkeypatch.setattr(os, "fsync", full)
        change.write(tmp_path / "a", NEW)
    monkeypatch.undo()
    assert tree(tmp_path) == {"a": OLD}


def test_only_one_process_changes_files_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys\nfrom llmrr import journal\n"
        "with journal.change('holder'):\n print('held', flush=True)\n sys.stdin.readline()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    monkeypatch.setattr(locking, "LOCK_S", 0.05)
    with pytest.raises(LlmrrError, match="another llmrr"), journal.change("x") as change:
        change.write(tmp_path / "a", NEW)
    holder.communicate("go\n", timeout=30)
    with journal.change("x") as change:
        change.write(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_text() == NEW


# Each child dies at its Nth call that touches the disk; what was done before it stays done.
KILLED = """
import os, signal, sys
from pathlib import Path
from llmrr import journal

def deadly(call):
    def dying(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)
    return dying

def change_files(moment):
    os.environ["LLMRR_HOME"] = str(Path(moment, "home"))
    with journal.change("config edit") as change:
        change.write(Path(moment, "work", "a"), "new content\\n" * 70)
        change.write(Path(moment, "work", "sub", "b"), "new content\\n" * 70)
        change.remove(Path(moment, "work", "c"))

# What the kernel was given survives a kill without being synced, and syncing takes long.
os.fsync, os.fchmod = deadly(lambda descriptor: None), deadly(os.fchmod)
Path.replace, Path.unlink, Path.mkdir = map(deadly, (Path.replace, Path.unlink, Path.mkdir))
for moment in sys.argv[1:]:
    if child := os.fork():
        end = os.waitpid(child, 0)[1]
        print(moment, end, flush=True)
        if end == 0:
            break
    else:
        left = int(moment)
        change_files(moment)
        os._exit(0)
"""


def test_a_kill_at_any_moment_leaves_old_or_new_and_a_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [tmp_path / str(moment) for moment in range(1, 120)]
    for moment in moments:
        (moment / "work").mkdir(parents=True)
        (moment / "work" / "a").write_text(OLD)
        (moment / "work" / "c").write_text(OLD)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    output = subprocess.run(
        [sys.executable, "-c", KILLED, *(moment.name for moment in moments)],
        timeout=60, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    ends = dict(line.split() for line in output.splitlines())
    states = set()
    for moment in moments[: len(ends)]:
        work = moment / "work"
        monkeypatch.setenv("LLMRR_HOME", str(moment / "home"))
        found = {name: text for name, text in tree(work).items() if "llmrr-" not in name}
        assert found["a"] in (OLD, NEW)
        assert found.get("c") in (OLD, None)
        assert found.get("sub/b") in (None, NEW)
        state = (found["a"] == NEW, "sub/b" in found, "c" not in found)
        states.add(state)
        if any(state):
            assert journal.undo(kind="config").what == "config edit"
            found = {name: text for name, text in tree(work).items() if "llmrr-" not in name}
            assert found == {"a": OLD, "c": OLD}
    # The moments did lie before, between and after the steps.
    assert states == {(False,) * 3, (True, False, False), (True, True, False), (True,) * 3}
    assert set(ends.values()) == {str(int(signal.SIGKILL)), "0"}


# The kernel kills it in the midst of writing what is longer than 4096 bytes.
CUT = """
import resource, signal, sys
from pathlib import Path
from llmrr import journal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
with journal.change("x") as change:
    change.write(Path("a"), "new content\\n" * 9000)
"""


def test_a_kill_in_the_midst_of_writing_leaves_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(OLD)
    cut = subprocess.run([sys.executable, "-c", CUT], timeout=60, check=False)
    assert cut.returncode == -signal.SIGXFSZ
    assert (tmp_path / "a").read_text() == OLD
    assert [entry.state for entry in journal.entries()] == ["open"]
    journal.undo()
    assert (tmp_path / "a").read_text() == OLD


def test_what_a_killed_process_left_is_swept_by_the_next_change(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(OLD)
    (tmp_path / ".a.llmrr-0123abcd").write_text("half")
    (tmp_path / ".a.llmrr-notes").write_text("someone's own")
    with journal.change("x") as change:
        change.write(tmp_path / "a", NEW)
    assert tree(tmp_path) == {"a": NEW, ".a.llmrr-notes": "someone's own"}
