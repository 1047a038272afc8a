"""Pickles: what they would import is told without unpickling them."""

import io
import os
import pickle
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from layouts import (
    CONFIG,
    llama_tensors,
    parameters,
    state_dict,
    torch_legacy,
    torch_zip,
    write_json,
)

from llmrr import formats
from llmrr.errors import DamagedFile, Unsupported
from llmrr.formats.pytorch import ALLOWED
from llmrr.types import Format, ModelInfo

TENSORS = llama_tensors(kind="F32")
NEEDED = ("collections.OrderedDict", "torch.FloatStorage", "torch._utils._rebuild_tensor_v2")
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Calls:
    """Pickled as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, Any]:
        return self.call


EVIL = pickle.dumps(Calls(os.system, "id"), 2)


def inspect(path: Path, raw: bytes) -> ModelInfo:
    path = path / "model.bin"
    path.write_bytes(raw)
    return formats.inspect(path)


@pytest.mark.parametrize(("write", "container"), [(torch_zip, "zip"), (torch_legacy, "legacy")])
def test_a_state_dict(tmp_path: Path, write: Any, container: str) -> None:
    path = write(tmp_path / "model.safetensors", TENSORS)
    info = formats.inspect(path)
    assert (info.format, info.quant, info.architecture) == (Format.PYTORCH, "fp32", "")
    assert (sorted(info.imports), info.unsafe) == (sorted(NEEDED), ())
    assert info.parameters == parameters(TENSORS)
    assert (info.layers, info.vocabulary) == (2, 128)
    assert info.weights["input"] == {"F32": 4 * 128 * 32}
    assert info.metadata["pytorch.container"] == container
    assert info.metadata["pytorch.protocol"] == 2
    assert formats.detect(path) is Format.PYTORCH


def test_a_folder_with_a_configuration(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", CONFIG)
    torch_zip(tmp_path / "pytorch_model.bin", TENSORS)
    (tmp_path / "training_args.bin").write_bytes(EVIL)
    info = formats.inspect(tmp_path)
    assert (info.format, info.architecture, info.unsafe) == (Format.PYTORCH, "llama", ())
    assert (info.heads_kv, info.parts) == ((2, 2), 1)
    assert formats.locate(tmp_path).path == tmp_path


def test_an_adapter(tmp_path: Path) -> None:
    write_json(tmp_path / "adapter_config.json", {"base_model_name_or_path": "org/base"})
    path = torch_zip(tmp_path / "adapter_model.bin", {"a.lora_A.weight": ("F32", (2, 4))})
    for place in (path, tmp_path):
        info = formats.inspect(place)
        assert (info.format, info.kind, info.parameters) == (Format.PYTORCH, "adapter", 8)
        assert info.metadata["base_model"] == "org/base"
        with pytest.raises(Unsupported, match="is a LoRA adapter for org/base"):
            formats.locate(place)


def test_parts_in_an_index(tmp_path: Path) -> None:
    names = list(TENSORS)
    places = {}
    for number in (1, 2):
        file = f"pytorch_model-{number:05d}-of-00002.bin"
        part = {name: TENSORS[name] for name in names[number - 1 :: 2]}
        torch_zip(tmp_path / file, part, data=EVIL if number == 2 else None)
        places |= dict.fromkeys(part, file)
    write_json(tmp_path / "pytorch_model.bin.index.json", {"weight_map": places})
    info = formats.inspect(tmp_path)
    assert (info.parts, info.unsafe) == (2, (f"{os.name}.system",))
    part = tmp_path / "pytorch_model-00002-of-00002.bin"
    part.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(Unsupported, match=r"00002-of-00002\.bin is a Git LFS pointer"):
        formats.inspect(tmp_path)
    part.unlink()
    with pytest.raises(DamagedFile, match="pytorch_model-00002-of-00002"):
        formats.inspect(tmp_path)


def test_a_storage_that_two_tensors_share_counts_once(tmp_path: Path) -> None:
    key = b"X\x01\0\0\0"
    raw = state_dict({"a": ("F32", (4, 4)), "b": ("F32", (4, 4))}).replace(key + b"1", key + b"0")
    info = formats.inspect(torch_zip(tmp_path / "a.pt", {"a": ("F32", (4, 4))}, data=raw))
    assert (info.parameters, info.tensor_types) == (16, {"F32": (1, 64)})


def test_a_storage_that_is_missing(tmp_path: Path) -> None:
    path = torch_zip(tmp_path / "a.pt", {}, data=state_dict({"a": ("F32", (4,))}))
    with pytest.raises(DamagedFile, match="the storage '0' is not in it"):
        formats.inspect(path)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol(tmp_path: Path, protocol: int) -> None:
    value = {"a": [1, 2.5, None, True, 2**70, "é", b"x", (1,), {3}], "b": io.BytesIO}
    info = inspect(tmp_path, pickle.dumps(value, protocol))
    assert info.format is Format.PYTORCH
    assert info.metadata["pytorch.container"] == "pickle"
    assert "_io.BytesIO" in info.unsafe
    for function in (os.system, eval, getattr, subprocess.Popen):
        name = f"{function.__module__}.{function.__name__}"
        assert inspect(tmp_path, pickle.dumps([Calls(function, "a")], protocol)).unsafe == (name,)


SYSTEM = ("os.system",)
HIDDEN = {
    "INST": (b"(S'id'\nios\nsystem\n.", SYSTEM),
    "OBJ": (b"(cos\nsystem\nS'id'\no.", SYSTEM),
    "GLOBAL without a mark": (b"cos\nsystem\n(S'id'\ntR.", SYSTEM),
    "something after it": (b"cos\nsystem\n(S'id'\ntR.and more", SYSTEM),
    "a mark of protocol 1": (b"\x80\x01cos\nsystem\n(S'id'\ntR.", SYSTEM),
    "memo": (
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x9400h\x00h\x01\x93\x8c\x02id\x85R.", SYSTEM),
    "PUT and GET": (b"S'os'\np7\n0S'system'\np9\n0\x80\x04g7\ng9\n\x93(S'id'\ntR.", SYSTEM),
    "escapes": (b"\x80\x04S'\\x6fs'\nV\\u0073ystem\n\x93(S'id'\ntR.", SYSTEM),
    "a text taken back": (b"\x80\x04(\x8c\x01x1\x8c\x02os\x8c\x06system\x93)R.", SYSTEM),
    "a doubled text": (b"\x80\x04\x8c\x05posix2\x93\x8c\x02id\x85R.", ("posix.posix",)),
    "a dotted name": (b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93)R.", ("torch.os.system",)),
    "a made-up name": (
        b"\x80\x04cbuiltins\nstr\n\x8c\x02os\x85R\x8c\x06system\x93\x8c\x02id\x85R.",
        ("builtins.str", "unknown")),
    "bytes as a name": (b"\x80\x04C\x02os\x8c\x06system\x93)R.", ("unknown",)),
    "an extension": (b"\x80\x02\x82\x05)R.", ("extension 5",)),
    "a large extension": (b"\x80\x02\x84\x05\x00\x01\x00)R.", ("extension 65541",)),
    "Python 2": (b"c__builtin__\neval\n(S'1'\ntR.", ("builtins.eval",)),
    "a second pickle": (pickle.dumps({"a": 1}, 2) + b"cos\nsystem\n(S'id'\ntR.", SYSTEM),
    "a second one, broken": (b"\x80\x04N.cos\nsystem\n(S'id'\ntR", SYSTEM),
    "two without marks": (pickle.dumps({"a": 1}, 0) + b"cos\nsystem\n(S'id'\ntR.", SYSTEM),
    "a pickle in a pickle": (pickle.dumps(Calls(pickle.loads, EVIL)), ("_pickle.loads",)),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "names"), HIDDEN.values(), ids=HIDDEN)
def test_what_is_hidden_is_found(tmp_path: Path, raw: bytes, names: tuple[str, ...]) -> None:
    info = inspect(tmp_path, raw)
    assert info.unsafe == names
    assert formats.detect(tmp_path / "model.bin") is Format.PYTORCH


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R\xff",  # no opcode
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R",  # no end
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R0000.",  # nothing on the stack
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85Rh\x09.",  # nothing in the memo
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85RIx\n.",  # no number
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85Ru.",  # no mark
    ],
)
def test_what_breaks_off_names_what_it_imports(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(DamagedFile, match=r"makes no sense .* before that it imports os\.system"):
        inspect(tmp_path, raw)


# -- archives ----------------------------------------------------------------------------------


def test_pickles_under_other_names_in_an_archive(tmp_path: Path) -> None:
    for name in ("archive/evil.pkl", "archive/notes.txt", "other/data.pkl"):
        path = torch_zip(tmp_path / "a.pt", {}, more={name: EVIL})
        assert formats.inspect(path).unsafe == (f"{os.name}.system",)


def changed(path: Path, change: Any) -> Path:
    """An archive with another writing of its members."""
    with zipfile.ZipFile(torch_zip(path, TENSORS)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        change(archive, members)
    return path


def test_the_order_and_case_of_members_do_not_matter(tmp_path: Path) -> None:
    def write(archive: zipfile.ZipFile, members: dict[str, bytes]) -> None:
        for name, raw in reversed(members.items()):
            archive.writestr(name.replace("data.pkl", "Data.PKL"), raw)

    info = formats.inspect(changed(tmp_path / "a.pt", write))
    assert info.parameters == parameters(TENSORS)


def test_packed_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(method: int) -> Any:
        return lambda archive, members: [
            archive.writestr(name, raw, method) for name, raw in members.items()
        ]

    path = changed(tmp_path / "a.pt", write(zipfile.ZIP_DEFLATED))
    assert formats.inspect(path).parameters == parameters(TENSORS)
    monkeypatch.setattr("llmrr.formats.archive.MAX_UNPACKED", 1000)
    with pytest.raises(Unsupported, match="unpacks to more than 1000 bytes"):
        formats.inspect(path)
    path = changed(tmp_path / "b.pt", write(zipfile.ZIP_BZIP2))
    with pytest.raises(Unsupported, match="packed in a way that is not read"):
        formats.inspect(path)


def test_a_member_that_lies_about_its_size_is_not_unpacked(tmp_path: Path) -> None:
    bomb = b"\x80\x02" + b"N0" * 10_000_000 + b"N."
    path = changed(
        tmp_path / "a.pt",
        lambda archive, _: archive.writestr("a/data.pkl", bomb, zipfile.ZIP_DEFLATED),
    )
    raw = path.read_bytes()
    entry = raw.index(b"PK\x01\x02")
    path.write_bytes(raw[: entry + 24] + b"\x01\0\0\0" + raw[entry + 28 :])
    with pytest.raises(Unsupported, match="unpacks to more than"):
        formats.inspect(path)


def test_large_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipfile.ZIP64_LIMIT", 50)  # writes everything as it does beyond 4 GB
    path = torch_zip(tmp_path / "a.pt", TENSORS)
    assert b"PK\x06\x06" in path.read_bytes()
    assert formats.inspect(path).parameters == parameters(TENSORS)


def patched(raw: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    at = raw.index(mark) + offset
    return raw[:at] + value + raw[at + len(value) :]


DAMAGE = {
    "cut off": lambda raw: raw[:-30],
    "something follows": lambda raw: raw + b"x",
    "something before": lambda raw: b"PK\x03\x04" + raw,
    "many members": lambda raw: patched(raw, b"PK\x05\x06", 10, b"\xff\xfe"),
    "a directory beyond the end": lambda raw: patched(raw, b"PK\x05\x06", 12, b"\xff\xff\x3f\0"),
    "a member elsewhere": lambda raw: patched(raw, b"PK\x01\x02", 42, b"\x07\0\0\0"),
    "another name": lambda raw: patched(raw, b"archive/data.pkl", 0, b"archive/date.pkl"),
    "members that overlap": lambda raw: patched(raw, b"PK\x01\x02", 20, b"\xff\xff\0\0"),
    "a directory that breaks off": lambda raw: patched(raw, b"PK\x01\x02", 0, b"XX"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_archives_that_are_not_sound(tmp_path: Path, damage: Any) -> None:
    path = torch_zip(tmp_path / "a.pt", TENSORS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Unsupported, match=r"a\.pt"):
        formats.inspect(path)


def test_two_members_of_one_name(tmp_path: Path) -> None:
    path = torch_zip(tmp_path / "a.pt", TENSORS, more={"archive/DATA.pkl": EVIL})
    with pytest.raises(DamagedFile, match="two of its members have one name"):
        formats.inspect(path)


def test_other_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("evil.pkl", EVIL)
    with pytest.raises(Unsupported, match="is a zip archive, not a model file"):
        formats.inspect(path)
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("storages"))
    with pytest.raises(Unsupported, match=r"tar archive; PyTorch before 0\.1\.10 wrote such"):
        formats.inspect(path)


def test_legacy_files_must_be_whole(tmp_path: Path) -> None:
    path = torch_legacy(tmp_path / "a.pt", TENSORS)
    raw = path.read_bytes()
    for length in range(15, raw.index(b"u.") - 1, 97):
        path.write_bytes(raw[:length])
        with pytest.raises(DamagedFile):
            formats.inspect(path)


def test_other_pickles_than_of_tensors(tmp_path: Path) -> None:
    joblib = b"\x80\x04cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81\x10\x00\x00."
    with pytest.raises(Unsupported, match="was written by joblib; unpickling it imports joblib"):
        inspect(tmp_path, joblib)
    with pytest.raises(Unsupported, match="zlib-compressed"):
        inspect(tmp_path, b"\x78\x9c\x01")


@pytest.mark.parametrize(
    "text",
    [b"hello, I am a text\n", b"I am\n", b"Notes.\n", b"0.5\n", b"cat\n", b"]\n", b"(a)\n", b"\n"],
)
def test_texts_are_no_pickles(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(DamagedFile, match="is not a model file"):
        inspect(tmp_path, text)


def test_what_is_allowed_runs_nothing() -> None:
    assert set(NEEDED) <= ALLOWED
    modules = {name.rpartition(".")[0] for name in ALLOWED}
    assert not modules & {"os", "posix", "nt", "subprocess", "sys", "pickle", "torch.hub"}
    assert not ALLOWED & {"builtins.eval", "builtins.exec", "builtins.getattr", "torch.load"}


def test_nothing_is_imported(tmp_path: Path) -> None:
    import sys

    before = set(sys.modules)
    inspect(tmp_path, b"\x80\x02cturtledemo\nrun\n)R.")
    assert "turtledemo" not in set(sys.modules) - before
