"""Nothing is lost: what is deleted, moved, replaced or overwritten is llmrr's own, or what its user
asked for."""

import errno
import os
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from builders import tiny_llama
from fakes import FakeEngine
from holdings import HubCache
from hub_server import Hub
from layouts import decoder_graph, hf_folder, onnx_file
from terminal import Typed

from llmrr import paths
from llmrr.database import open_database
from llmrr.hub import transfer
from llmrr.store import imports, locks, ownership, records, removal

NAME = "acme/Tiny-GGUF"


@pytest.fixture
def model() -> Path:
    return tiny_llama(Path("tiny.gguf").absolute())


@pytest.fixture
def other() -> Path:
    return tiny_llama(Path("other.gguf").absolute(), seed=1)


def labels(typed: Typed) -> list[str]:
    return [line["name"] for line in typed("list", "--json").json][:-1]


def path_of(typed: Typed, name: str) -> Path:
    return Path(typed("show", name, "--json").json["path"])


def served(server: Hub, *models: Path, name: str = "tiny-F32.gguf", **revision: str) -> None:
    server.add(NAME, {name: models[0].read_bytes()}, **revision)


# -- one spelling ------------------------------------------------------------------------------


def test_homes_behind_links_and_relative_ones(
    typed: Typed, server: Hub, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(server, model)
    Path("big/cache").mkdir(parents=True)
    Path("big/llmrr").mkdir()
    Path("cache").symlink_to("big/cache")
    Path("home").symlink_to("big/llmrr")
    monkeypatch.setenv("HF_HUB_CACHE", str(Path("cache").absolute()))
    monkeypatch.setenv("LLMRR_HOME", "home")
    typed("pull", NAME)
    typed("import", str(model), "--copy", "--name", "copied")
    for name in ("copied", f"{NAME}:F32"):
        assert typed("show", name, "--json").json["place"] in ("llmrr", "huggingface")
    monkeypatch.setenv("HF_HUB_CACHE", "big/../cache")
    monkeypatch.setenv("LLMRR_HOME", str(Path("big/llmrr").absolute()))
    assert typed("prune", "-y").out == "nothing to remove\n"
    removed = typed("rm", "-y", "copied", f"{NAME}:F32", "--json").json
    assert [len(one["deleted"]) for one in removed] == [1, 1]
    assert not list(Path("big").rglob("*.gguf"))


# -- what llmrr wrote, and what it did not -----------------------------------------------------


def test_a_file_that_was_replaced_is_not_deleted(typed: Typed, server: Hub, model: Path) -> None:
    served(server, model)
    typed("pull", NAME, "--local-dir", "mine")
    mine = Path("mine/tiny-F32.gguf")
    content = mine.read_bytes()
    mine.unlink()
    mine.write_bytes(content)  # the same, and no longer what llmrr wrote
    [removed] = typed("rm", "-y", f"{NAME}:F32", "--json").json
    assert [one["why"] for one in removed["kept"]] == ["it is not llmrr's"]
    assert mine.exists()


def test_files_that_patterns_named_are_the_users(typed: Typed, server: Hub, model: Path) -> None:
    server.add(NAME, {"tiny-F32.gguf": model.read_bytes(), "README.md": b"# Tiny"})
    typed("pull", NAME, "--include", "*.md", "--local-dir", "mine")
    typed("pull", NAME, "--include", "*.md")
    assert typed("prune", "-y").out == "nothing to remove\n"
    assert Path("mine/README.md").read_bytes() == b"# Tiny"
    Path("other").mkdir()
    Path("other/README.md").write_bytes(b"mine")
    assert typed("pull", NAME, "--include", "*.md", "--local-dir", "other").code == 1
    assert Path("other/README.md").read_bytes() == b"mine"


def test_an_older_commit_with_the_same_file_keeps_nothing(
    typed: Typed, server: Hub, model: Path, other: Path
) -> None:
    server.add(NAME, {"tiny-F32.gguf": model.read_bytes(), "mmproj.gguf": other.read_bytes()})
    typed("pull", NAME)
    server.add(NAME, {"tiny-F32.gguf": other.read_bytes(), "mmproj.gguf": other.read_bytes()})
    typed("pull", NAME)
    found = {Path(one["path"]).name: one["bytes"] for one in typed("prune", "-y", "--json").json}
    assert sorted(found.values()) == [0, model.stat().st_size]  # a link, and the older weights
    assert len(list(paths.hub_cache_dir().rglob("snapshots/*/*"))) == 2
    [removed] = typed("rm", "-y", f"{NAME}:F32", "--json").json
    assert removed["freed_bytes"] == other.stat().st_size
    assert not list(paths.hub_cache_dir().glob("models--*"))


def test_what_another_tool_links_to_stays(typed: Typed, server: Hub, model: Path) -> None:
    served(server, model)
    typed("pull", NAME)
    blob = path_of(typed, f"{NAME}:F32").resolve()
    theirs = blob.parent.parent / "snapshots/theirs/tiny-F32.gguf"
    theirs.parent.mkdir()
    theirs.symlink_to(f"../../blobs/{blob.name}")
    [removed] = typed("rm", "-y", f"{NAME}:F32", "--json").json
    assert [one["why"] for one in removed["kept"]] == ["another snapshot has it too"]
    typed("prune", "-y")
    assert theirs.read_bytes() == model.read_bytes()


def test_what_was_in_the_cache_before_stays(typed: Typed, server: Hub, model: Path) -> None:
    served(server, model)
    HubCache(paths.hub_cache_dir()).add(NAME, "elsewhere.gguf", model.read_bytes())
    typed("pull", NAME)
    assert server.sent == 0 or not server.requests("GET", "resolve/main/tiny-F32.gguf")
    typed("rm", "-y", f"{NAME}:F32")
    typed("prune", "-y")
    assert len(list(paths.hub_cache_dir().rglob("elsewhere.gguf"))) == 1
    assert len(list(paths.hub_cache_dir().glob("models--*/blobs/*"))) == 1


def test_a_partial_download_of_an_older_client_stays(
    typed: Typed, server: Hub, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PAUSE_S", 0.0)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    served(server, model)
    blobs = paths.hub_folder(paths.hub_cache_dir(), NAME) / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{'ab' * 32}.incomplete").write_bytes(b"of another file")
    server.fault("tiny-F32.gguf", after=5000, times=99)
    assert typed("pull", NAME).code == 6
    assert len(list(blobs.iterdir())) == 2
    [gone] = typed("prune", "-y", "--json").json
    assert gone["why"] == "a download that broke off"
    assert [path.name for path in blobs.iterdir()] == [f"{'ab' * 32}.incomplete"]


# -- at the same time --------------------------------------------------------------------------


def test_what_is_asked_about_is_looked_at_again(typed: Typed, model: Path) -> None:
    """Between the question and the answer another command has come to need the files."""
    typed("import", str(model), "--copy", "--name", "mine")
    with closing(open_database()) as connection:
        [entry] = records.entries(connection)
        assert removal.plan(connection, [entry])[0].deleted == (entry.path,)
        typed("cp", "mine", "alias")
        [done] = removal.remove(connection, [entry])
        assert (done.deleted, done.kept[0][1]) == ((), "another model has it too")
        records.remove(connection, records.entries(connection)[0])
        agreed = removal.garbage(connection)
        assert [one.path for one in agreed] == [entry.path]
        records.add(connection, entry)
        assert removal.prune(connection, agreed) == []
        assert entry.path.exists()


def test_who_deletes_waits_for_who_notes(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--copy", "--name", "mine")
    with locks.settling():
        done = threading.Event()
        thread = threading.Thread(target=lambda: (removing(), done.set()))
        thread.start()
        assert not done.wait(0.3)
        assert list(paths.models_dir().rglob("*.gguf"))
    assert done.wait(30)
    assert not list(paths.models_dir().rglob("*.gguf"))


def removing() -> None:
    with closing(open_database()) as connection:
        removal.remove(connection, records.entries(connection))


def test_a_file_that_vanishes_while_others_come_is_fetched_again(
    typed: Typed, server: Hub, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrr.store import pull

    served(server, model)
    real, seen = pull._entry, []

    def removed_once(*given: object) -> records.Entry:
        entry = real(*given)  # type: ignore[arg-type]
        if not seen:
            entry.path.resolve().unlink()
        seen.append(entry.path)
        return entry

    monkeypatch.setattr(pull, "_entry", removed_once)
    assert typed("pull", NAME).code == 0
    assert len(seen) == 2
    assert path_of(typed, f"{NAME}:F32").read_bytes() == model.read_bytes()


# -- names -------------------------------------------------------------------------------------


def test_pull_does_not_take_the_name_of_another_model(
    typed: Typed, server: Hub, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrr.store import shortnames

    monkeypatch.setattr(shortnames, "SHORT_NAMES", {"tiny3": NAME})
    served(server, model)
    typed("create", "tiny3", "--from", str(model), "-s", "My precious system prompt.")
    seen = typed("pull", "tiny3")
    assert (seen.code, 'there is a model "tiny3" already' in seen.err) == (1, True)
    assert "llmrr cp tiny3 NAME" in seen.err
    assert "precious" in typed("show", "tiny3").out
    assert server.sent < model.stat().st_size
    typed("rm", "-y", "tiny3")
    assert typed("pull", "tiny3").out == "tiny3\n"
    assert typed("pull", "tiny3").out == "tiny3\n"
    assert typed("pull", "tiny3", "--quant", "F32").out == "tiny3:F32\n"
    assert typed("pull", "tiny3:F32").out == "tiny3:F32\n"
    assert typed("pull", f"{NAME}:F32", "--quant", "Q8_0").code == 2


def test_labels_that_look_alike_on_the_disk(typed: Typed, model: Path, other: Path) -> None:
    typed("import", str(model), "--copy", "--name", "a/b")
    typed("import", str(other), "--copy", "--name", "a--b")
    assert path_of(typed, "a/b").read_bytes() == model.read_bytes()
    assert path_of(typed, "a--b").read_bytes() == other.read_bytes()
    typed("rm", "-y", "a/b")
    assert path_of(typed, "a--b").exists()


def test_names_of_other_tools_are_counted_up(typed: Typed, model: Path) -> None:
    for folder in ("one", "two", "three", "four"):
        Path(folder).mkdir()
        (Path(folder) / "tiny.gguf").write_bytes(model.read_bytes())
        dry = typed("import", "--from", "folder", folder, "--dry-run", "--json").json[0]["name"]
        assert typed("import", "--from", "folder", folder, "--json").json[0]["name"] == dry
    assert labels(typed) == ["folder/tiny", "folder/tiny-2", "folder/tiny-3", "tiny"]


def test_names_that_cannot_be(typed: Typed, model: Path) -> None:
    long = "a" * 201
    for words in (("import", str(model), "--copy", "--name"), ("create", "--from", str(model))):
        assert typed(*words, long).code == 2
    assert typed("import", str(model), "--copy", "--name", "a" * 200).code == 0
    strange = Path(os.fsdecode(b"bad\xff.gguf"))
    strange.write_bytes(model.read_bytes())
    seen = typed("import", str(strange))
    assert (seen.code, "is not UTF-8" in seen.err) == (2, True)
    odd = Path("…….gguf")
    odd.write_bytes(model.read_bytes())
    assert "--name NAME" in typed("import", str(odd)).err
    assert typed("import", "~nosuchuser/x.gguf").code == 3
    assert typed("run", "-m", "~nosuchuser/x.gguf", "hi").code == 3


# -- imported again ----------------------------------------------------------------------------


def test_a_copy_after_a_reference_is_a_copy(typed: Typed, model: Path) -> None:
    typed("import", str(model))
    [line] = typed("import", str(model), "--copy", "--json").json
    assert Path(line["path"]).is_relative_to(paths.models_dir())
    model.unlink()
    assert not typed("list", "--json").json[0]["is_missing"]


def test_a_copy_after_a_hard_link_is_a_copy(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--hardlink")
    assert path_of(typed, "tiny").samefile(model)
    typed("import", str(model), "--copy")
    assert not path_of(typed, "tiny").samefile(model)
    typed("import", str(model), "--hardlink")
    assert path_of(typed, "tiny").samefile(model)
    assert len(list(paths.models_dir().iterdir())) == 1


@pytest.mark.parametrize("way", ["", "--copy", "--move", "--hardlink"])
def test_a_source_that_changed_does_not_take_the_place_of_what_it_was(
    typed: Typed, model: Path, other: Path, way: str
) -> None:
    """What was moved is nowhere else."""
    was = model.read_bytes()
    typed("import", str(model), "--move")
    other.replace(model)
    seen = typed("import", str(model), *filter(None, [way]))
    assert (seen.code, "llmrr rm tiny" in seen.err, model.exists()) == (1, True, True)
    assert path_of(typed, "tiny").read_bytes() == was
    assert typed("import", str(model), *filter(None, [way]), "--name", "anew").code == 0


def test_a_named_file_takes_no_neighbours_along(typed: Typed, model: Path) -> None:
    """They may be anything: in a folder of downloads, say."""
    folder = hf_folder(Path("made"), shards=3)
    downloads = Path("downloads")
    downloads.mkdir()
    others = ("tax.txt", "contacts.json", "other.safetensors", "other.onnx", "model.gguf")
    for name in others:
        (downloads / name).write_bytes((folder / "model-00001-of-00003.safetensors").read_bytes())
    one = downloads / "mine.safetensors"
    one.write_bytes((folder / "model-00002-of-00003.safetensors").read_bytes())
    graph = onnx_file(downloads / "model_q4.onnx", decoder_graph())
    for path in (one, graph):
        assert typed("import", str(path), "--move", "--name", path.stem).code == 0
        assert [file.name for file in path_of(typed, path.stem).parent.iterdir()] == [path.name]
    assert {path.name for path in downloads.iterdir()} == set(others)


@pytest.mark.parametrize(
    ("named", "others"),
    [
        ("model.fp16.safetensors", ("model.safetensors",)),
        ("adapter_model.safetensors", ("model.safetensors", "adapter_config.json")),
        ("mine.safetensors", ("else.safetensors",)),
        ("model.safetensors", ("model-Q8_0.gguf",)),
    ],
)
def test_of_a_folder_the_named_file_is_taken(
    typed: Typed, model: Path, named: str, others: tuple[str, ...]
) -> None:
    folder = hf_folder(Path("whole"))
    (folder / "model.safetensors").rename(folder / named)
    for other in others:
        (folder / other).write_bytes(model.read_bytes() if other.endswith(".gguf") else b"{}")
    weights = (folder / named).read_bytes()
    assert typed("import", str(folder / named), "--move", "--name", "mine").code == 0
    taken = typed("show", "mine", "--json").json
    assert Path(taken["files"][0]["path"]).read_bytes() == weights
    assert not (folder / named).exists()
    # What the others are configured by stays theirs.
    assert {"config.json", "tokenizer.json", *others} <= {one.name for one in folder.iterdir()}
    assert taken["tokenizer"]


def test_what_a_model_has_lost_a_part_of_is_not_replaced(typed: Typed) -> None:
    folder = hf_folder(Path("whole"), shards=3)
    typed("import", str(folder), "--move", "--name", "mine")
    shards = sorted(path_of(typed, "mine").glob("*.safetensors"))
    shards[1].unlink()
    hf_folder(Path("whole"))
    seen = typed("import", "whole", "--copy", "--name", "mine")
    assert (seen.code, shards[0].exists()) == (1, True)


def test_what_is_adopted_has_no_neighbours(typed: Typed) -> None:
    folder = hf_folder(Path("models/whole"))
    for name in ("thesis.txt", "train.py", "pytorch_model.bin", "optimizer.pt", "notes.json"):
        (folder / name).write_bytes(b"\x80\x02.")
    typed("import", "--from", "folder", "models")
    names = {Path(one["path"]).name for one in typed("show", "whole", "--json").json["files"]}
    assert names == {"model.safetensors", "config.json", "tokenizer.json"} | (
        names & {"tokenizer_config.json", "generation_config.json", "chat_template.jinja"}
    )


def test_of_a_folder_only_the_model_is_moved(typed: Typed) -> None:
    folder = hf_folder(Path("project"))
    for name in ("wedding.jpg", "diary.md", "key.pem", "notes.txt", "accounts.json", "LICENSE"):
        (folder / name).write_text("mine")
    typed("import", str(folder), "--copy", "--name", "copied")
    copied = {path.name for path in path_of(typed, "copied").iterdir()}
    assert "LICENSE" in copied
    assert not {"wedding.jpg", "diary.md", "key.pem", "notes.txt", "accounts.json"} & copied
    typed("rm", "-y", "copied")
    typed("import", str(folder), "--move")
    assert {path.name for path in folder.iterdir()} == {
        "wedding.jpg", "diary.md", "key.pem", "notes.txt", "accounts.json", "LICENSE"
    }  # fmt: skip


def test_what_cannot_be_deleted_keeps_its_model(
    typed: Typed, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed("import", str(model), "--copy")

    def refused(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refused)
        seen = typed("rm", "-y", "tiny")
    assert (seen.code, "cannot be deleted: Permission denied" in seen.err) == (1, True)
    assert labels(typed) == ["tiny"]
    assert typed("rm", "-y", "tiny").code == 0


def test_the_same_again_copies_nothing(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--copy")
    there = path_of(typed, "tiny")
    for way in ((), ("--copy",)):
        typed("import", str(model), *way)
        assert path_of(typed, "tiny") == there


def test_moving_what_was_copied_leaves_one(typed: Typed, model: Path) -> None:
    content = model.read_bytes()
    typed("import", str(model), "--copy")
    typed("import", str(model), "--move")
    assert not model.exists()
    assert path_of(typed, "tiny").read_bytes() == content


def test_moving_takes_nothing_from_others(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--name", "first")
    typed("create", "made", "--from", "first", "-s", "x")
    seen = typed("import", str(model), "--move", "--name", "second")
    assert (seen.code, "would miss it" in seen.err, model.exists()) == (1, True, True)
    seen = typed("import", str(model), "--move", "--name", "first")
    assert (seen.code, "made uses" in seen.err, model.exists()) == (1, True, True)
    path = HubCache(paths.hub_cache_dir()).add("o/r", "a.gguf", model.read_bytes())
    blob = path.resolve()
    for source, said in ((path, "is a link"), (blob, "belongs to huggingface")):
        seen = typed("import", str(source), "--move", "--name", "third")
        assert (seen.code, said in seen.err) == (1, True)
    assert blob.exists()


def test_a_copy_of_a_folder_has_all_that_belongs_to_it(typed: Typed) -> None:
    folder = hf_folder(Path("whole"))
    (folder / "LICENSE").write_text("MIT")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text("{}")
    (folder / "modules.json").write_text("[]")
    (folder / "model.fp16.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (folder / "evil.py").write_text("print()")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02.")
    typed("import", str(folder), "--copy", "--name", "copied")
    there = path_of(typed, "copied")
    names = {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()}
    assert {"LICENSE", "1_Pooling/config.json", "config.json", "model.safetensors"} <= names
    assert not {"evil.py", "pytorch_model.bin", "model.fp16.safetensors"} & names


def test_what_changed_while_it_was_copied_is_not_installed(
    typed: Typed, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = imports._taken

    def damaged(*given: object) -> records.StoredFile:
        file = real(*given)  # type: ignore[arg-type]
        file.path.write_bytes(b"nothing")
        return file

    monkeypatch.setattr(imports, "_taken", damaged)
    assert typed("import", str(model), "--copy").code == 4
    assert labels(typed) == []
    assert not list(paths.models_dir().iterdir())


# -- ownership ---------------------------------------------------------------------------------


def test_marks(model: Path) -> None:
    with closing(open_database()) as connection:
        ownership.note(connection, model, ownership.Mark.of(model.stat()))
        partial = Path("a.incomplete")
        partial.write_bytes(b"x")
        ownership.note(connection, partial, ownership.Mark(partial.stat().st_ino))
        marks = ownership.noted(connection)
        assert ownership.is_own(marks, model)
        partial.write_bytes(b"xyz")  # it grows
        assert ownership.is_own(marks, partial)
        os.utime(model, (1, 1))
        assert not ownership.is_own(marks, model)
        ownership.note(
            connection, model, ownership.Mark.of(model.stat()), instead_of=partial
        )
        assert list(ownership.noted(connection)) == [model]
        assert not ownership.is_own(marks, Path("never.gguf"))


def test_a_home_that_may_only_be_read(
    typed: Typed, other: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed("import", str(other), "--name", "mine")
    refused = PermissionError(13, "Permission denied")

    def opened(path: Path) -> None:
        raise refused

    monkeypatch.setattr("llmrr.database._opened", opened)
    engine.replies = ["hi"]
    seen = typed("run", "hello")
    assert (seen.out, engine.loads[-1][0]) == ("hi\n", other)
    assert "nothing is recorded" in seen.err
    assert labels(typed) == ["mine"]
    assert typed("rm", "-y", "mine").code == 1
    assert labels(typed) == ["mine"]
