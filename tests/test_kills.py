"""What writes is killed at random moments: the store stays consistent, nothing half-written has a
final name, and the same command then ends its work."""

import hashlib
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from builders import tiny_llama
from hub_server import Hub
from terminal import Typed

from llmrr import paths
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
        assert folder.name == "mine"
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
        assert [path.name for path in out.parent.glob("*mine.tar*")] == ["mine.tar"]
        out.unlink()
    assert killer.hits > times / 4


def forget(typed: Typed, name: str) -> None:
    assert typed("rm", "-y", name).code == 0
