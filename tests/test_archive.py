"""One model as one archive: carried to a machine without a network, and never trusted."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from builders import Tensor, gguf_file, tiny_llama
from fakes import FakeEngine
from holdings import OllamaStore
from layouts import decoder_graph, hf_folder, onnx_file
from terminal import Typed
from test_store import installed

from llmrr import paths
from llmrr.errors import Unsupported
from llmrr.store import archive, unpacking


@pytest.fixture
def model() -> Path:
    return tiny_llama(Path("tiny.Q8_0.gguf").absolute(), metadata={"general.file_type": 7})


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path) -> Path:
    store = OllamaStore(tmp_path / "ollama")
    store.add(layers=[("model", model.read_bytes()), ("system", "Be terse.")])
    monkeypatch.setenv("OLLAMA_MODELS", str(store.root))
    return store.root


def names_in(path: str) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def test_a_model_is_carried_to_another_machine(
    typed: Typed, model: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.replies = ["hi"]
    typed("import", str(model), "--name", "base:q8")
    typed("create", "me/mine:v2", "--from", "base", "-s", "Be kind.", "-o", "seed", "3")
    assert typed("export", "me/mine:v2").out.endswith("me--mine--v2.tar\n")
    assert names_in("me--mine--v2.tar") == [archive.MANIFEST, "tiny.Q8_0.gguf"]
    content = model.read_bytes()
    model.unlink()
    monkeypatch.setenv("LLMRR_HOME", str(Path("elsewhere").absolute()))
    [line] = typed("import", "me--mine--v2.tar", "--json").json
    assert line["name"] == "me/mine:v2"
    assert Path(line["path"]).read_bytes() == content
    assert typed("run", "me/mine", "hello").out == "hi\n"
    assert engine.requests[0].sampling.seed == 3
    assert typed("import", "me--mine--v2.tar", "--json").json == [line]  # it is there
    assert len(list(paths.models_dir().iterdir())) == 1
    assert os.fsencode(model) not in Path("me--mine--v2.tar").read_bytes()
    taken = tiny_llama(Path("other.gguf"), seed=5)
    typed("import", str(taken), "--name", "taken")
    assert typed("import", "me--mine--v2.tar", "--name", "taken").code == 1
    assert typed("import", "me--mine--v2.tar", "--name", "again").code == 0
    assert typed("rm", "-y", "me/mine").out.startswith("me/mine:v2: ")
    assert [path.name.rpartition("-")[0] for path in paths.models_dir().iterdir()] == ["again"]


def test_export_of_a_folder_and_of_blobs(typed: Typed, ollama: Path) -> None:
    typed("import", "--from", "ollama")
    typed("export", "llama3.2", "-O", "a.tar")
    [_, name] = names_in("a.tar")
    assert name.startswith("sha256-") and name.endswith(".gguf")
    typed("rm", "-y", "llama3.2")
    assert typed("import", "a.tar").code == 0
    assert installed()["llama3.2:latest"].recipe.system == "Be terse."
    assert typed("export", "llama3.2", "-O", "a.tar").code == 1  # it is there
    assert typed("export", "nothing").code == 3


def test_graphs_in_a_folder_of_their_own_keep_their_configuration(typed: Typed) -> None:
    folder = hf_folder(Path("whole"))
    (folder / "model.safetensors").unlink()
    (folder / "onnx").mkdir()
    onnx_file(folder / "onnx/model_fp16.onnx", decoder_graph())
    typed("import", str(folder / "onnx/model_fp16.onnx"), "--name", "graph")
    before = typed("show", "graph", "--json").json
    typed("export", "graph")
    assert "onnx/model_fp16.onnx" in names_in("graph.tar")
    typed("rm", "-y", "graph")
    assert typed("import", "graph.tar").code == 0
    after = typed("show", "graph", "--json").json
    known = ("architecture", "context_length", "tokenizer", "chat_template", "bytes")
    assert {key: after[key] for key in known} == {key: before[key] for key in known}
    assert after["architecture"]


def test_an_adapter_travels_with_its_model(typed: Typed, model: Path) -> None:
    Path("far").mkdir()
    adapter = gguf_file(
        Path("far/adapter.gguf"),
        metadata={"general.type": "adapter", "general.architecture": "llama"},
        tensors={"blk.0.attn_q.weight.lora_a": Tensor((8, 2), 0, bytes(64))},
    )
    typed("create", "tuned", "--from", str(model), "-o", "lora", str(adapter.absolute()))
    typed("export", "tuned")
    typed("rm", "-y", "tuned")
    typed("import", "tuned.tar")
    [(path, scale)] = installed()["tuned"].recipe.options["lora"]
    assert (path.read_bytes(), scale) == (adapter.read_bytes(), 1.0)
    assert path.is_relative_to(paths.models_dir())


def manifest(**changed: Any) -> dict[str, Any]:
    return {
        "llmrr": 1, "name": "evil", "tag": "", "main": "a.gguf", "format": "gguf",
        "origin": "file:/a", "revision": None, "digest": None, "recipe": None,
        "files": [["a.gguf", 3, "0" * 64]], **changed,
    }  # fmt: skip


def packed(
    facts: object, members: list[tuple[tarfile.TarInfo, bytes]], *, raw: bool = False
) -> Path:
    path = Path("evil.tar")
    with tarfile.open(path, "w") as tar:
        text = facts if isinstance(facts, bytes) else json.dumps(facts).encode()
        if not raw:
            info = tarfile.TarInfo(archive.MANIFEST)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


def member(name: str, content: bytes = b"abc", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


PICKLE = b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R."

HOSTILE: dict[str, tuple[object, list[tuple[tarfile.TarInfo, bytes]]]] = {
    "a path that climbs": (
        manifest(files=[["../../evil", 3, "0" * 64]]), [member("../../evil")],
    ),
    "an absolute path": (manifest(files=[["/tmp/evil", 3, "0" * 64]]), [member("/tmp/evil")]),
    "a path of another system": (manifest(files=[["c:\\x", 3, "0" * 64]]), [member("c:\\x")]),
    "a symbolic link": (
        manifest(), [member("a.gguf", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")],
    ),
    "a hard link": (
        manifest(), [member("a.gguf", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")],
    ),
    "a device": (manifest(), [member("a.gguf", b"", type=tarfile.CHRTYPE)]),
    "a folder": (manifest(), [member("a.gguf", b"", type=tarfile.DIRTYPE)]),
    "a file not on the list": (manifest(), [member("a.gguf"), member("b.gguf")]),
    "a file twice": (manifest(), [member("a.gguf"), member("a.gguf")]),
    "a file that is missing": (manifest(), []),
    "another size": (manifest(), [member("a.gguf", b"abcd")]),
    "another digest": (manifest(), [member("a.gguf")]),
    "a bomb": (manifest(files=[["a.gguf", 2**60, "0" * 64]]), [member("a.gguf")]),
    "a list of nothing": (manifest(files=[]), []),
    "a list of too much": (manifest(files=[[f"{n}", 0, "0" * 64] for n in range(10_001)]), []),
    "a main file that is not in it": (manifest(main="../b"), [member("a.gguf")]),
    "an adapter that is not in it": (
        manifest(recipe='{"options": {"lora": ["/etc/passwd"]}}'), [member("a.gguf")],
    ),
    "a recipe of nonsense": (manifest(recipe='{"params": {"temperature": "x"}}'), []),
    "options that do not exist": (manifest(recipe='{"options": {"x": 1}}'), []),
    "a list that is no list": ([1, 2], []),
    "a list that is no JSON": (b"\xff\xfe", []),
    "a list too deep": (b"[" * 100_000, []),
    "a revision that is none": (manifest(revision={"a": 1}), [member("a.gguf")]),
    "a system prompt that is none": (manifest(recipe='{"system": {"a": 1}}'), [member("a.gguf")]),
    "a message that is none": (manifest(recipe='{"messages": [["user", 5]]}'), [member("a.gguf")]),
    "halves of characters": (manifest(name="\\ud800"), [member("a.gguf")]),
    "a size without end": (manifest(files=[["a.gguf", 1e999, "0" * 64]]), [member("a.gguf")]),
    "a size that is no number": (manifest(files=[["a.gguf", "3", "0" * 64]]), [member("a.gguf")]),
    "a digest that is none": (manifest(files=[["a.gguf", 3, "x" * 64]]), [member("a.gguf")]),
    "a file that is also a folder": (
        manifest(files=[["a.gguf", 3, "0" * 64], ["a.gguf/b", 3, "0" * 64]]),
        [member("a.gguf"), member("a.gguf/b")],
    ),
    "files that differ in their case": (
        manifest(files=[["a.gguf", 3, "0" * 64], ["A.gguf", 3, "0" * 64]]),
        [member("a.gguf"), member("A.gguf")],
    ),
    "a part of a path that is too long": (
        manifest(files=[["x" * 256, 3, "0" * 64]], main=""), [member("x" * 256)],
    ),
    "its own list": (
        manifest(files=[[archive.MANIFEST, 3, "0" * 64]], main=""), [member(archive.MANIFEST)],
    ),
    "a sparse file": (manifest(), [member("a.gguf", type=tarfile.GNUTYPE_SPARSE)]),
    "another format than it says": (
        manifest(files=[["a.gguf", len(PICKLE), hashlib.sha256(PICKLE).hexdigest()]]),
        [member("a.gguf", PICKLE)],
    ),
    "a name that is none": (manifest(name="../x"), [member("a.gguf")]),
    "a later version": (manifest(llmrr=2), [member("a.gguf")]),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_are_refused(typed: Typed, case: str) -> None:
    facts, members = HOSTILE[case]
    packed(facts, members)
    before = sorted(Path().rglob("*"))
    seen = typed("import", "evil.tar")
    assert seen.code in (2, 4), seen.err
    assert installed() == {}
    assert sorted(Path().rglob("*")) == before
    assert not list(paths.models_dir().glob("*"))
    assert not Path("/tmp/evil").exists()


def test_other_archives_are_named(typed: Typed, model: Path) -> None:
    packed(None, [member("a.gguf")], raw=True)
    assert "not one of a model" in typed("import", "evil.tar").err
    with tarfile.open("z.tar.gz", "w:gz") as tar:
        tar.add(model, "a.gguf")
    assert "gzip" in typed("import", "z.tar.gz").err


def test_headers_that_claim_too_much_are_not_believed(typed: Typed) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**40
    Path("evil.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    seen = typed("import", "evil.tar")
    assert (seen.code, "Traceback" in seen.err) == (4, False)


def test_every_cut_of_an_archive_is_refused(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--name", "mine")
    typed("export", "mine")
    whole = Path("mine.tar").read_bytes()
    typed("rm", "-y", "mine")
    for length in range(0, len(whole) - 10240, len(whole) // 23):
        Path("cut.tar").write_bytes(whole[:length])
        seen = typed("import", "cut.tar")
        assert (seen.code, "Traceback" in seen.err) == (4, False), length
    assert installed() == {}
    assert not list(paths.models_dir().glob("*"))


def test_a_damaged_file_is_not_exported(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--copy", "--name", "mine")
    path = installed()["mine"].path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    seen = typed("export", "mine")
    assert (seen.code, "its digest is not the recorded one" in seen.err) == (4, True)
    assert not Path("mine.tar").exists()


def test_headers_of_other_kinds_are_refused(typed: Typed, model: Path) -> None:
    """What POSIX allows besides, and llmrr never writes: it can rename what follows."""
    with tarfile.open("evil.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(archive.MANIFEST)
        info.pax_headers = {"path": "other"}
        tar.addfile(info, io.BytesIO(b""))
    assert typed("import", "evil.tar").code == 4
    typed("import", str(model), "--name", "mine")
    typed("export", "mine")
    content = bytearray(Path("mine.tar").read_bytes())
    content[3] ^= 1  # of the name in the first header
    Path("mine.tar").write_bytes(content)
    assert "a header is damaged" in typed("import", "mine.tar", "--name", "x").err


def test_long_names_and_large_files_can_be_read(tmp_path: Path) -> None:
    name = "/".join(["folder" * 10] * 6) + "/a.gguf"
    info = tarfile.TarInfo(name)
    info.size = 9 << 30  # more than octal digits hold
    raw = info.tobuf(tarfile.GNU_FORMAT)
    assert unpacking._header(Path("x"), raw[-512:])[1] == 9 << 30
    assert unpacking._header(Path("x"), raw[:512])[2] == b"L"
    with pytest.raises(Exception, match="cut off"):
        whole = tmp_path / "a.tar"
        whole.write_bytes(raw)
        with whole.open("rb") as file:
            list(unpacking._members(whole, file))


def test_the_digest_and_the_origin_are_not_taken_on_trust(typed: Typed, model: Path) -> None:
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    facts = manifest(
        main="b.gguf", digest="ab" * 32, origin="ollama:secret",
        files=[["a.txt", 3, hashlib.sha256(b"abc").hexdigest()],
               ["b.gguf", model.stat().st_size, digest]],
    )  # fmt: skip
    packed(facts, [member("a.txt"), member("b.gguf", model.read_bytes())])
    assert typed("import", "evil.tar").code == 0
    assert installed()["evil"].digest == digest
    assert installed()["evil"].origin == f"file:{Path('evil.tar').absolute()}"


def test_a_model_in_an_archive_is_checked(typed: Typed, model: Path) -> None:
    cut = model.read_bytes()[:-500]
    facts = manifest(files=[["a.gguf", len(cut), hashlib.sha256(cut).hexdigest()]])
    packed(facts, [member("a.gguf", cut)])
    assert typed("import", "evil.tar").code == 4
    assert not list(paths.models_dir().glob("*"))


def test_the_built_in_model_is_carried_too(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed("create", "kind", "--from", "builtin:mini", "-s", "Be kind.")
    typed("export", "kind")
    monkeypatch.setenv("LLMRR_HOME", str(Path("elsewhere").absolute()))
    assert typed("import", "kind.tar").code == 0
    entry = installed()["kind"]
    assert entry.path.read_bytes() == paths.builtin_model().read_bytes()
    assert (entry.origin, entry.recipe.system) == (f"file:{Path('kind.tar').absolute()}",
                                                   "Be kind.")  # fmt: skip


def test_where_an_archive_is_written(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--name", "mine")
    assert typed("export", "mine", "-O", "-").code == 2
    seen = typed("export", "mine", "-O", "absent/d.tar")
    assert (seen.code, "mkdir -p" in seen.err) == (3, True)
    Path("folder").mkdir()
    assert typed("export", "mine", "-O", "folder").out.endswith("folder/mine.tar\n")
    long = "x" * 250 + ".tar"
    assert typed("export", "mine", "-O", long).code == 0
    Path(".llmrr-export.999999-0f3e0f3e").write_bytes(b"of a command that was killed")
    running = Path(f".llmrr-export.{os.getpid()}-0f3e0f3e")
    running.write_bytes(b"of one that is at work")
    typed("export", "mine")
    assert [path.name for path in Path().glob(".llmrr-export*")] == [running.name]


def test_the_same_weights_of_two_archives_lie_here_once(
    typed: Typed, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed("import", str(model), "--name", "base")
    typed("create", "brief", "--from", "base", "-s", "Be brief.")
    for name in ("base", "brief"):
        typed("export", name)
    monkeypatch.setenv("LLMRR_HOME", str(Path("elsewhere").absolute()))
    for name in ("base", "brief"):
        typed("import", f"{name}.tar")
    paths_of = [installed()[name].path for name in ("base", "brief")]
    assert paths_of[0] != paths_of[1]
    assert paths_of[0].samefile(paths_of[1])
    typed("rm", "-y", "base")
    assert paths_of[1].read_bytes() == model.read_bytes()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "train.py"])
def test_archives_hold_only_data(typed: Typed, name: str) -> None:
    folder = hf_folder(Path("whole"))
    typed("import", str(folder))
    typed("export", "whole")
    packed = unpacking.read(Path("whole.tar"))
    bad = packed.members[0]._replace(path=name)
    with pytest.raises(Unsupported, match=name):
        unpacking.require_data(packed._replace(members=(*packed.members, bad)))


def test_two_exports_to_one_file(
    typed: Typed, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed("import", str(model), "--name", "mine")
    real = archive._write

    def slow(raw: Any, *given: Any) -> None:
        real(raw, *given)
        Path("mine.tar").write_bytes(b"of the other")

    monkeypatch.setattr(archive, "_write", slow)
    seen = typed("export", "mine")
    assert (seen.code, "exists already" in seen.err) == (1, True)
    assert Path("mine.tar").read_bytes() == b"of the other"
    assert not list(Path().glob(".llmrr*"))
    assert typed("export", "mine", "-O", "absent/").code == 3


def test_what_is_gone_or_has_grown_is_not_exported(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--name", "mine")
    with model.open("ab") as file:
        file.write(b"more")
    seen = typed("export", "mine")
    assert (seen.code, "bytes, and" in seen.err) == (4, True)
    model.unlink()
    assert typed("export", "mine").code == 3
    assert not list(Path().glob("*.tar"))
    assert not list(Path().glob(".llmrr*"))
