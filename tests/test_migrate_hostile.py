"""Files that mean harm to a scan: by their names, by what they hold, by how long they are."""

import os
import time
from pathlib import Path

import pytest
from terminal import Typed

from llmrr.migrate.scanning import scan


@pytest.mark.parametrize("name, text", [
    ("yarn.lock", "a@1:\n" + "  \n" * 20_000 + "x"),
    ("requirements.txt", "openai" + "[" * 50_000 + "\na" + " " * 50_000 + "(\n"),
    ("setup.cfg", "install_requires =\n" + " \n" * 50_000),
    ("Dockerfile", "FROM a\nCMD " + "gunicorn uvicorn pm2 " * 9_000),
])  # fmt: skip
def test_long_manifests_take_no_second(name: str, text: str) -> None:
    Path(name).write_text(text)
    begun = time.process_time()
    scan([name])
    assert time.process_time() - begun < 1


def test_the_names_of_files_make_no_lines_and_no_codes(typed: Typed) -> None:
    Path("here").mkdir()
    name = "a\n0 artefacts\x1b[31m\u202egpj.json"
    (Path("here") / name).write_text('{"provider": "openai", "model": "gpt-4o"}')
    (Path("here") / f"b{name}").write_text("{half")
    for more in ([], ["--json"], ["-O", "report.md"]):
        done = typed("migrate", "scan", "here", *more)
        assert done.code == 0
        assert "\x1b" not in done.out
        assert "\u202e" not in done.out or more == ["--json"]
        assert "\n0 artefacts" not in done.out
    assert "\n0 artefacts" not in Path("report.md").read_text()


def test_a_scan_survives_what_lies_in_a_folder() -> None:
    root = Path("tree")
    (root / "a").mkdir(parents=True)
    (root / "a" / "up").symlink_to("..")
    (root / "self").symlink_to("self")
    (root / "out").symlink_to("/etc")
    os.mkfifo(root / "pipe.json")
    for name in ("big.json", "big.py", "big.db"):
        (root / name).write_bytes(b"SQLite format 3\0" if name == "big.db" else b"openai")
        os.truncate(root / name, 1 << 30)
    texts = {
        "deep.json": '{"model":' * 100_000, "deep.py": "import openai\nx = " + "(" * 5000,
        "flow.yaml": "model: " + "[" * 50_000, "half.json": '{"model": [',
        "bomb.yaml": "model: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{chr(98 + at)}: &{chr(98 + at)} [{','.join(['*' + chr(97 + at)] * 9)}]\n"
            for at in range(12)),
    }  # fmt: skip
    for name, text in texts.items():
        (root / name).write_text(text)
    (root / "good.json").write_text('{"provider": "openai", "model": "gpt-4o"}')
    begun = time.process_time()
    found = scan([root])
    assert time.process_time() - begun < 3
    assert [one.path.name for one in found.artefacts] == ["good.json"]
    assert {one.path.name for one in found.unreadable} >= {"deep.json", "flow.yaml", "bomb.yaml"}
    assert {one.path.name for one in found.skipped} >= {"up", "self", "out", "pipe.json", "big.py"}
