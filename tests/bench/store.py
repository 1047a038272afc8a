"""The store in figures: fetching against the client's own ``hf download``, what a kill costs, lists
of many models, large files, predictions against what llama.cpp allocates, many models of Ollama.

    python tests/bench/store.py [--rounds 5] [--only pull,resume,list,show,fit,ollama] [--mb 1000]

Whole processes, both sides of a pair in turn; medians, and the ratio of every pair.
"""

import argparse
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import builders
import shapes

from llmrr import hardware
from llmrr.formats import gguf

LLMRR = [sys.executable, "-m", "llmrr"]
HF = [str(Path(sys.executable).with_name("hf")), "download"]
TESTS = Path(__file__).resolve().parents[1]
REPO = "bench/large"


def timed(command: list[str], **environment: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return time.perf_counter() - began


def compared(name: str, ours: list[float], theirs: list[float], against: str) -> None:
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    middle = statistics.median
    print(
        f"{name}: {middle(ours):.3f} s against {middle(theirs):.3f} s ({against}); ratio "
        f"{middle(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f}), {len(ours)} pairs"
    )


def large(path: Path, size: int) -> Path:
    """A sound model that a tensor of zeros makes ``size`` bytes long."""
    rows = size // 4096 // 4
    filler = builders.Tensor((4096, rows), 0, b"")
    builders.tiny_llama(path)
    header = gguf.read_header(path)
    tensors = {"filler.weight": filler}
    builders.gguf_file(path, metadata={"general.architecture": "bench", "bench.block_count": 1,
                       "bench.embedding_length": 64, "bench.context_length": 64,
                       **builders.byte_tokenizer()}, tensors=tensors)  # fmt: skip
    assert header
    with path.open("r+b") as file:
        file.truncate(gguf.read_header(path).data_offset + 4096 * rows * 4)
    return path


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The hub server in a process of its own; its address."""
    server = subprocess.Popen(
        [sys.executable, str(TESTS / "hub_server.py"), str(folder)], stdout=-1, text=True
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.kill()
        server.wait()


def pull(folder: Path, rounds: int, megabytes: int) -> None:
    repo = folder / "hub" / REPO
    repo.mkdir(parents=True)
    file = large(repo / "large-Q8_0.gguf", megabytes * 1_000_000)
    ours, theirs = [], []
    with served(folder / "hub") as address:
        for number in range(rounds + 1):
            for side, command in ((theirs, [*HF, REPO, "--quiet"]), (ours, [*LLMRR, "pull", REPO])):
                home = folder / f"home-{number}-{len(side)}-{len(command)}"
                took = timed(command, HF_ENDPOINT=address, HF_HOME=str(home),
                             LLMRR_HOME=str(home / "llmrr"), HF_HUB_OFFLINE="0")  # fmt: skip
                side.append(took)
                subprocess.run(["rm", "-rf", str(home)], check=True)
    size = file.stat().st_size / 1e9
    compared(f"pull of {size:.2f} GB", ours[1:], theirs[1:], "hf download, which checks no digest")


def resume(folder: Path, rounds: int, megabytes: int) -> None:
    from hub_server import Hub

    file = large(folder / "resumed-Q8_0.gguf", megabytes * 1_000_000)
    again = []
    with Hub() as hub:
        hub.add(REPO, {"resumed-Q8_0.gguf": file})
        for number in range(rounds):
            home = folder / f"resumed-{number}"
            environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(home),
                           "LLMRR_HOME": str(home / "llmrr"), "HF_HUB_OFFLINE": "0"}  # fmt: skip
            sent = hub.sent
            process = subprocess.Popen([*LLMRR, "pull", REPO], env=environment, stderr=-1)
            while hub.sent - sent < file.stat().st_size * (number + 1) / (rounds + 1):
                time.sleep(0.001)
            process.kill()
            process.communicate()
            timed([*LLMRR, "pull", REPO], **environment)
            again.append(hub.sent - sent - file.stat().st_size)
            subprocess.run(["rm", "-rf", str(home)], check=True)
    print(f"resume after a kill, {file.stat().st_size / 1e9:.2f} GB: bytes sent twice, in MB: "
          + ", ".join(f"{count / 1e6:.1f}" for count in again))  # fmt: skip


def lists(folder: Path, rounds: int, megabytes: int) -> None:
    from contextlib import closing

    from llmrr.database import open_database
    from llmrr.store import records
    from llmrr.types import Format

    home = folder / "many"
    environment = {"LLMRR_HOME": str(home)}
    os.environ.update(environment)
    file = builders.tiny_llama(folder / "many.gguf")
    with closing(open_database()) as connection:
        for number in range(500):
            stored = (records.StoredFile(file, file.stat().st_size),)
            records.add(connection, records.Entry(
                f"owner/model-{number}", "Q4_K_M", file, f"huggingface:owner/model-{number}",
                stored, format=Format.GGUF, quant="Q4_K_M", bytes=file.stat().st_size,
            ))  # fmt: skip
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(timed([*LLMRR, "list"], **environment))
        theirs.append(timed([sys.executable, "-c", "pass"]))
    compared("list of 500 models", ours, theirs, "python -c pass")
    difference = statistics.median(a - b for a, b in zip(ours, theirs, strict=True))
    print(f"  + {difference:.3f} s")


def show(folder: Path, rounds: int, megabytes: int) -> None:
    file = shapes.model(folder / "shown.gguf", "llama-3.1-8b")
    with file.open("r+b") as raw:
        raw.truncate(40_000_000_000)
    os.environ["LLMRR_HOME"] = str(folder / "shown")
    took = [timed([*LLMRR, "show", str(file), "--json"]) for _ in range(rounds)]
    print(f"show of a sparse GGUF of 40 GB, 128,256 tokens: {statistics.median(took):.3f} s "
          f"({min(took):.2f} to {max(took):.2f})")  # fmt: skip


def fit(folder: Path, rounds: int, megabytes: int) -> None:
    wrong = []
    for name, quant in (("smollm2-135m", "Q4_K_M"), ("llama-500m", "Q8_0"),
                        ("qwen2.5-0.5b", "Q4_0"), ("gemma-3-1b", "Q4_K_M"),
                        ("llama-3.2-1b", "Q4_K_M"), ("qwen3-0.6b", "Q8_0"),
                        ("llama-3.1-8b", "Q4_K_M")):  # fmt: skip
        path = shapes.model(folder / f"{name}.gguf", name, quant)
        said = hardware.fit_one(gguf.inspect(path), hardware.probe())
        job = {"path": str(path), "contexts": [{"context": said.context, "outputs": 1,
                                                "flash_attention": False}]}  # fmt: skip
        done = subprocess.run([sys.executable, str(TESTS / "measure.py"), json.dumps(job)],
                              capture_output=True, text=True, check=True)  # fmt: skip
        [report] = json.loads(done.stdout)
        there = sum(report.values())
        wrong.append(said.total_bytes / there - 1)
        print(f"fit of {name} {quant}: said {said.total_bytes / 1e6:.1f} MB, llama.cpp allocates "
              f"{there / 1e6:.1f} MB: {wrong[-1]:+.2%}")  # fmt: skip
        path.unlink()
    print(f"  at most {max(map(abs, wrong)):.2%} off")


def ollama(folder: Path, rounds: int, megabytes: int) -> None:
    root = folder / "ollama"
    (root / "blobs").mkdir(parents=True)

    def layer(kind: str, content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (root / "blobs" / f"sha256-{digest}").write_bytes(content)
        return {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{digest}",
                "size": len(content)}  # fmt: skip

    for number in range(200):
        model = builders.tiny_llama(folder / "one.gguf", seed=number).read_bytes()
        manifest = root / f"manifests/registry.ollama.ai/library/model{number}/latest"
        manifest.parent.mkdir(parents=True)
        layers = [layer("model", model), layer("system", f"You are {number}.".encode())]
        config = layer("config", b'{"model_format": "gguf"}')
        manifest.write_text(json.dumps({"schemaVersion": 2, "config": config, "layers": layers}))
    took, size = [], sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    for number in range(rounds):
        home = folder / f"adopted-{number}"
        took.append(timed([*LLMRR, "import", "--from", "ollama", "--json"],
                          LLMRR_HOME=str(home), OLLAMA_MODELS=str(root)))  # fmt: skip
        taken = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    middle = f"{statistics.median(took):.3f} s ({min(took):.2f} to {max(took):.2f})"
    print(f"adoption of 200 models of Ollama, {size / 1e6:.0f} MB: {middle}; "
          f"on the disk {taken / 1e3:.0f} kB more")  # fmt: skip


WORK: dict[str, Callable[[Path, int, int], None]] = {
    "pull": pull, "resume": resume, "list": lists, "show": show, "fit": fit, "ollama": ollama,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--only", default=",".join(WORK))
    given = parser.parse_args()
    for name in re.split(r"[,\s]+", given.only):
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            os.chdir(folder)
            WORK[name](Path(folder), given.rounds, given.mb)


if __name__ == "__main__":
    main()
