"""Fuzzing of all that ``llmrr migrate scan`` reads, with atheris, which is to be installed.

    python tests/bench/fuzz.py [--minutes 10] [--reader NAME] [--out FOLDER] [--seed N]
    python tests/bench/fuzz.py --again FILE...

Seeds are the files of the tests and, where ``LLMRR_CORPUS`` names one, of a corpus of real ones,
with a key planted into them. What is found lies in ``--out``, once per place in our code: an error
that escapes, a file that takes over a second of the processor, a key that comes out. ``--again``
tries such files without the tracing of coverage, which takes time itself.

An input is a byte that chooses the name of the file, and its content.
"""

import argparse
import importlib
import json
import os
import pkgutil
import random
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llmrr.migrate

sys.path.insert(0, str(Path(__file__).parents[1]))

SLOW = 1.0  # seconds of the processor
LONGEST = 20_000  # bytes of an input
IS_AGAIN = "--again" in sys.argv

if not IS_AGAIN:
    import atheris

    with atheris.instrument_imports(include=["llmrr.migrate"]):
        import fuzzing

        for one in pkgutil.walk_packages(llmrr.migrate.__path__, "llmrr.migrate."):
            importlib.import_module(one.name)  # also those that are imported where they are needed
else:
    import fuzzing

import test_migrate_fuzz  # noqa: E402  after what is traced
import test_migrate_planted  # noqa: E402


def seeds() -> Iterator[bytes]:
    """Inputs to begin with, each under the name that it has or one of its kind."""
    for name, text in test_migrate_planted.FILES.items():
        yield _input(name, test_migrate_planted.planted(text, fuzzing.KEY).encode())
    for tree in test_migrate_fuzz.SEEDS:
        yield _input("a.json", json.dumps(tree).encode())
    yield _input("a.py", test_migrate_fuzz.PYTHON.encode())
    yield _input("a.ts", test_migrate_fuzz.JAVASCRIPT.encode())
    for place in (os.environ.get("LLMRR_CORPUS"), Path(__file__).parents[1] / "data"):
        for file in sorted(Path(place).rglob("*")) if place else ():
            if file.is_file() and file.stat().st_size <= LONGEST:
                yield _input(file.name, file.read_bytes())


def _input(name: str, content: bytes) -> bytes:
    names = fuzzing.NAMES
    same = [at for at, one in enumerate(names) if one == name or (
        Path(name).suffix and Path(one).suffix == Path(name).suffix)]  # fmt: skip
    is_modelfile = "modelfile" in name.lower()
    at = names.index("Modelfile") if is_modelfile else same[0] if same else names.index("a")
    return bytes([at]) + content


_ENDS = (b"", b" {", b" [", b'"', b"'", b"`", b"\\", b"(", b": |", b"&a *a")


class Fuzz:
    """A run of it, and what it found."""

    def __init__(self, out: Path, reader: str | None) -> None:
        self.out, self.known = out, fuzzing.readers_of(reader)
        self.places: set[str] = set()
        self.words = [one.encode() for one in (
            *test_migrate_fuzz.FIELDS, *test_migrate_fuzz.WORDS, fuzzing.KEY)]  # fmt: skip

    def one(self, data: bytes) -> None:
        """Try an input."""
        if not data:
            return
        begun = time.process_time()
        try:
            said = tried(data, self.known)
        except Exception as error:
            self.tell("error", _place(error), data)
            return
        seconds = time.process_time() - begun
        if seconds > SLOW:
            self.tell("slow", f"{seconds:.0f}s", data)
        if fuzzing.leaked(data[1:], said):
            self.tell("leak", _around(said), data)

    def tell(self, what: str, place: str, data: bytes) -> None:
        """Keep an input, the first of its place."""
        if f"{what} {place}" in self.places:
            return
        self.places.add(f"{what} {place}")
        file = self.out / f"{what}-{len(self.places)}"
        file.write_bytes(data)
        print(f"FOUND {file} {what}: {place}", flush=True)

    def mutated(self, data: bytes, longest: int, seed: int) -> bytes:
        """A part of a tree or some lines changed by what we know of the formats, else any bytes."""
        chance = random.Random(seed)
        kind = chance.randrange(4)
        if kind == 0 and (new := self._of_tree(data, chance)) is not None:
            return new[:longest]
        if kind == 1:
            return self._of_lines(data, chance)[:longest]
        if kind == 2 and len(data) > 1:
            at = chance.randrange(1, len(data))
            return (data[:at] + chance.choice(self.words) + data[at + chance.choice((0, 8)):])[
                :longest]  # fmt: skip
        return bytes(atheris.Mutate(data, longest))

    def _of_tree(self, data: bytes, chance: random.Random) -> bytes | None:
        try:
            tree = json.loads(data[1:])
            places = list(test_migrate_fuzz.places(tree))
        except (ValueError, RecursionError, AttributeError):
            return None
        if not places:
            return None
        *way, last = chance.choice(places)
        node = tree
        for key in way:
            node = node[key]
        others: tuple[Any, ...] = (
            None, True, -1, 1e400, 10**400, "", [], {}, tree, chance.choice(self.words).decode(),
            [chance.choice(test_migrate_fuzz.SEEDS)], chance.choice(test_migrate_fuzz.SEEDS),
        )  # fmt: skip
        node[last] = chance.choice(others)
        try:
            return data[:1] + json.dumps(tree).encode()
        except ValueError:  # it holds itself
            return None

    def _of_lines(self, data: bytes, chance: random.Random) -> bytes:
        lines = data[1:].split(b"\n")
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                lines[at:at] = lines[min(at, other) : max(at, other)]
            case 1:
                del lines[at : at + chance.randrange(1, 5)]
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case _:
                lines[at] = b"  " * chance.randrange(4) + lines[at].strip() + chance.choice(_ENDS)
        return data[:1] + b"\n".join(lines)


def tried(data: bytes, known: Any) -> str:
    """All that is said of an input."""
    name = fuzzing.NAMES[data[0] % len(fuzzing.NAMES)]
    said = fuzzing.outcome(name, data[1:], known)
    if data[0] >= 224:
        said += fuzzing.of_folder(data[1:], known)
    return said


def _place(error: Exception) -> str:
    """Where in our code."""
    ours = [one for one in traceback.extract_tb(error.__traceback__) if "llmrr" in one.filename]
    at = ours[-1] if ours else traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(at.filename).name}:{at.lineno} {str(error)[:80]}"


def _around(said: str) -> str:
    at = said.index(fuzzing.KEY[4:])
    return said[max(0, at - 60) : at]


def again(files: list[Path]) -> None:
    for file in files:
        data, begun = file.read_bytes(), time.process_time()
        try:
            said = tried(data, fuzzing.readers_of(None))
            what = f"LEAK {_around(said)}" if fuzzing.leaked(data[1:], said) else "fine"
        except Exception:
            what = traceback.format_exc(limit=-4)
        print(f"{file}: {time.process_time() - begun:.2f} s: {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--reader")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=Path, nargs="+")
    given = parser.parse_args()
    if given.again:
        again(given.again)
        return
    begin = given.out / "corpus"
    begin.mkdir(parents=True, exist_ok=True)
    for at, one in enumerate(seeds()):
        (begin / f"seed-{at}").write_bytes(one)
        (begin / f"folder-{at}").write_bytes(bytes([224 + at % 32]) + one[1:])
    fuzz = Fuzz(given.out, given.reader)
    atheris.Setup(
        [sys.argv[0], f"-max_total_time={round(given.minutes * 60)}", f"-max_len={LONGEST}",
         f"-seed={given.seed}", "-timeout=30", "-rss_limit_mb=4096", "-print_final_stats=1",
         f"-artifact_prefix={given.out}/", str(begin)],
        fuzz.one, custom_mutator=fuzz.mutated,
    )  # fmt: skip
    atheris.Fuzz()  # which ends the process, with its own figures


if __name__ == "__main__":
    main()
