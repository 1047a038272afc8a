"""What writes is killed at random moments: the store stays consistent, nothing half-written has a
final name, and the same command then ends its work."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from builders import tiny_llama
from hub_server import Hub
from layouts import torch_zip
from terminal import Typed
from test_convert_lora import adapter, halves

from llmrr import paths
from llmrr.cli.app import main
from llmrr.database import open_database
from llmrr.store import records, unpacking

LLMRR = [sys.executable, "-m", "llmrr"]
NAME = "acme/Tiny-GGUF"
TIMES = [5, pytest.param(50, marks=pytest.mark.slow)]


class Killer:
    """Runs a command and kills it at a random moment of the time that it takes."""

    def __init__(self, words: list[str]) -> None:
        self.words, self.whole, self.hits, self.random = words, 2.0, 0, Random(0)

    def strike(self) -> None:
        """Once. One that ends before is taken for how long the whole lasts."""
        process = subprocess.Popen([*LLMRR, *self.words], stdout=-1, stderr=-1)
        began = time.monotonic()
        try:
            _, error = process.communicate(timeout=self.random.uniform(0.2, 1) * self.whole)
            assert process.returncode == 0, error
            self.whole = time.monotonic() - began
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.hits += 1


def consistent(digests: set[str]) -> None:
    """Whatever has a final name is whole, and the store knows only what is there."""
    for blob in paths.hub_cache_dir().glob("models--*/blobs/*"):
        if not blob.name.endswith(".incomplete"):
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    for folder in paths.models_dir().glob("[!.]*"):
        for path in folder.rglob("*.gguf"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() in digests
    with closing(open_database()) as connection:
        for entry in records.entries(connection):
            assert not entry.is_missing
            assert entry.digest in (None, *digests)


@pytest.fixture
def model() -> Path:
    path = tiny_llama(Path("tiny.gguf").absolute(), layers=3, width=256, heads=4, feed_forward=1024)
    assert path.stat().st_size > 8_000_000
    return path


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("times", TIMES)
def test_pull(typed: Typed, server: Hub, model: Path, times: int) -> None:
    server.add(NAME, {"tiny-F32.gguf": model.read_bytes()})
    server.fault("tiny-F32.gguf", times=10**6, pause=0.002)
    words = ["pull", NAME]
    killer, digest = Killer(words), digest_of(model)
    for _ in range(times):
        killer.strike()
        consistent({digest})
        before = server.sent
        there = sum(one.stat().st_size for one in paths.hub_cache_dir().rglob("*.incomplete"))
        assert typed(*words).code == 0
        if there:  # what had come is not fetched again
            assert server.sent - before <= model.stat().st_size - there
        [entry, _] = typed("list", "--json").json
        assert Path(entry["path"]).read_bytes() == model.read_bytes()
        assert not list(paths.hub_cache_dir().rglob("*.incomplete"))
        forget(typed, f"{NAME}:F32")
    assert killer.hits > times / 4


@pytest.mark.parametrize("times", TIMES)
def test_import_by_copy(typed: Typed, model: Path, times: int) -> None:
    with model.open("r+b") as file:  # long enough to be met while it is copied
        file.truncate(100_000_000)
    words = ["import", str(model), "--copy", "--name", "mine"]
    killer, digest = Killer(words), digest_of(model)
    for _ in range(times):
        killer.strike()
        consistent({digest})
        assert typed(*words).code == 0
        [folder] = paths.models_dir().iterdir()
        assert folder.name.startswith("mine-")
        forget(typed, "mine")
    assert killer.hits > times / 4


@pytest.mark.parametrize("times", TIMES)
def test_export(typed: Typed, model: Path, times: int) -> None:
    with model.open("r+b") as file:
        file.truncate(100_000_000)
    typed("import", str(model), "--name", "mine")
    out = Path("mine.tar").absolute()
    words = ["export", "mine", "-O", str(out)]
    killer, digest = Killer(words), digest_of(model)
    for _ in range(times):
        killer.strike()
        consistent({digest})
        if out.exists():
            assert unpacking.read(out).bytes == model.stat().st_size
            out.unlink()
        assert typed(*words).code == 0
        out.unlink()
        assert [path.name for path in out.parent.iterdir()] == ["tiny.gguf"]
    assert killer.hits > times / 4


# -- at every change to the disk -----------------------------------------------------------------

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.mkdir", "os.truncate"}


def killed(at: int, words: list[str]) -> bool:
    """Run a command that is killed just before its change to the disk of this number; False when
    it has no more of them and came to its end."""
    if (process := os.fork()) == 0:
        left = at

        def hook(event: str, _: object) -> None:
            nonlocal left
            if event in CHANGES:
                left -= 1
                if left < 0:
                    os._exit(99)

        sys.addaudithook(hook)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os._exit(main(words))
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 99)
    return os.waitstatus_to_exitcode(status) == 99


def each_moment(words: list[str], step: int = 1) -> Iterator[int]:
    """Whatever is done between is done after a kill at the next change, or at each ``step``th."""
    at = 0
    while killed(at, words):
        yield at
        at += step
    assert at > 0


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
def test_moving_is_killed_at_every_change(
    typed: Typed, model: Path, monkeypatch: pytest.MonkeyPatch, far: bool
) -> None:
    if far:  # another disk: nothing can be linked
        monkeypatch.setattr("llmrr.store.imports._linked", lambda *given: False)
    content, words = model.read_bytes(), ["import", str(model), "--move", "--name", "mine"]
    for _ in each_moment(words):
        consistent({hashlib.sha256(content).hexdigest()})
        copies = [*paths.models_dir().glob("[!.]*/tiny.gguf"), model]
        assert content in [path.read_bytes() for path in copies if path.exists()]
        assert typed(*words).code == 0 or not model.exists()
        [entry] = [one for one in typed("list", "--json").json if one["name"] == "mine"]
        assert (Path(entry["path"]).read_bytes(), model.exists()) == (content, False)
        forget(typed, "mine")
        typed("prune", "-y")
        assert not list(paths.models_dir().iterdir())
        model.write_bytes(content)


def test_removing_is_killed_at_every_change(typed: Typed, server: Hub, model: Path) -> None:
    server.add(NAME, {"tiny-F32.gguf": model.read_bytes(), "mmproj-F16.gguf": model.read_bytes()})
    typed("pull", NAME)
    words = ["rm", "-y", f"{NAME}:F32"]
    for _ in each_moment(words):
        typed(*words)
        assert [line["name"] for line in typed("list", "--json").json] == ["builtin:mini"]
        typed("prune", "-y")
        assert [one.name for one in paths.hub_cache_dir().iterdir()] == [".locks"]
        typed("pull", NAME)


def test_pruning_is_killed_at_every_change(typed: Typed, server: Hub, model: Path) -> None:
    server.add(NAME, {"tiny-F32.gguf": model.read_bytes()})
    typed("pull", NAME)
    kept = digest_of(model)
    for at in each_moment(["prune", "-y"]):
        typed("prune", "-y")
        consistent({kept, digest_of(model)})
        blobs = {path.name for path in paths.hub_cache_dir().glob("models--*/blobs/*")}
        assert blobs == {digest_of(model)}
        assert typed("prune", "--json").json == []
        newer(server, model, at)
        typed("pull", NAME)
    newer(server, model, 99)


def newer(server: Hub, model: Path, seed: int) -> None:
    """Another commit, which leaves the one before to ``prune``."""
    content = tiny_llama(Path("newer.gguf"), seed=seed + 1).read_bytes()
    model.write_bytes(content)
    server.add(NAME, {"tiny-F32.gguf": content})


def forget(typed: Typed, name: str) -> None:
    assert typed("rm", "-y", name).code == 0


CONVERSIONS = {
    "pickle": ("model.pt", "safetensors", ("--config", "folder")),
    "from gguf": ("tiny.gguf", "safetensors", ()),
    "to gguf": ("folder", "gguf", ()),
    "quantize": ("tiny.gguf", "gguf", ("--quant", "Q5_K_M")),
    "adapter": ("adapter", "gguf", ("--base", "folder")),
}


@pytest.mark.parametrize("times", [1, pytest.param(25, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CONVERSIONS)
def test_convert(typed: Typed, name: str, times: int) -> None:
    tiny_llama(Path("tiny.gguf"), width=256, heads=4, feed_forward=512, kind="f16", context=600)
    assert typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "folder").code == 0
    adapter(halves({f"layers.{layer}.self_attn.q_proj": (256, 256) for layer in (0, 1)}))
    torch_zip(Path("model.pt"), {f"w{number}": ("F32", (64, 999)) for number in range(40)})
    source, to, options = CONVERSIONS[name]
    words = ["convert", source, "--to", to, *options, "-O"]
    assert typed(*words, "whole").code == 0
    expected = contents(Path("whole"))
    killer = Killer([*words, "out"])
    for _ in range(times):
        killer.strike()
        out = Path("out")
        if out.exists():  # it has its name: it was complete, and checked
            assert contents(out) == expected
            shutil.rmtree(out) if out.is_dir() else out.unlink()
    assert typed(*words, "out").code == 0
    assert contents(Path("out")) == expected
    assert not list(Path().glob(".llmrr-*"))
    assert not list((paths.data_dir() / "scratch").iterdir())


def contents(place: Path) -> dict[str, str]:
    """The digests of a file, or of those in a folder."""
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    return {str(one.relative_to(place)): digest_of(one) for one in files if one.is_file()}
