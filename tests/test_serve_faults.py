"""Clients that break in every way, for a minute and its rests; by hand for longer:
``serve_faults.py``."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent / "bench"


@pytest.mark.slow
def test_clients_that_break_in_every_way_leave_nothing_behind():
    command = [sys.executable, str(BENCH / "serve_faults.py"), "--seconds", "48"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert found.returncode == 0, found.stdout[-8000:] + found.stderr[-8000:]
