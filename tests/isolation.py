"""Every test, and every example in a docstring, is alone: its own home and working folder, no
network, no settings of the person who runs it."""

import os
from pathlib import Path

import pytest

import llmrr

KEPT = {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV"}
KEPT_PREFIXES = ("COV", "PYTEST", "PYTHON", "CUDA", "OMP_")


@pytest.fixture(autouse=True)
def isolated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A clean environment; subprocesses that a test starts inherit it."""
    for name in list(os.environ):
        if name not in KEPT and not name.startswith(KEPT_PREFIXES):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LLMRR_HOME", str(home / "llmrr"))
    monkeypatch.setenv("HF_HOME", str(home / "huggingface"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("LLMRR_KEEPALIVE", "0")  # no process is left behind
    monkeypatch.setenv("TERM", "dumb")
    # The package under test, also for a subprocess that runs from another folder.
    package = str(Path(llmrr.__file__).resolve().parents[1])
    rest = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", f"{package}{os.pathsep}{rest}" if rest else package)
    monkeypatch.chdir(tmp_path)
