"""Proposals that the server looks for by itself."""

import logging
import time
from pathlib import Path

import pytest

from llmrr import config, database, paths, stats
from llmrr.router import Router
from llmrr.server import optimizing
from llmrr.server.optimizing import Optimizing
from llmrr.stats import Run

TOML = """\
[[models]]
name = "small"   # ours
source = "builtin:mini"

[optimize]
every = "24h"
auto = AUTO
"""


def record(router, count=30):
    """Fast runs of the model, which the rules propose to prefer."""
    for number in range(count):
        stats.record(router.database, Run(
            id=None, at=time.time() - 60 * number, model="small", source="builtin:mini",
            engine="llamacpp", completion_tokens=1, first_token_s=0.01, total_s=0.02,
            finish_reason="stop",
        ))  # fmt: skip


def looked_ago(router, seconds):
    """Let the server have looked so long ago."""
    database.remember(router.database, optimizing._LAST, str(time.time() - seconds))


@pytest.mark.parametrize("auto", [False, True])
def test_what_is_proposed_is_written_down_and_applied_where_that_is_wanted(auto):
    file = Path("llmrr.toml")
    file.write_text(TOML.replace("AUTO", str(auto).lower()))
    before = file.read_text()
    with Router() as router:
        record(router)
        looked_ago(router, 90_000)
        looks = Optimizing(router)
        looks.tick()
        looks.wait()
    diff = paths.data_dir() / optimizing.FILE
    assert "+priority = 1" in diff.read_text()
    assert diff.stat().st_mode & 0o777 == 0o600
    assert ("priority = 1" in file.read_text()) is auto
    if auto:
        assert "# ours" in file.read_text()
        config.rollback()
        assert file.read_text() == before


@pytest.mark.parametrize("ago", [None, 1000])
def test_it_looks_only_when_that_is_due(ago):
    Path("llmrr.toml").write_text(TOML.replace("AUTO", "true"))
    with Router() as router:
        record(router)
        if ago is not None:
            looked_ago(router, ago)
        looks = Optimizing(router)
        looks.tick()
        looks.wait()
    assert not (paths.data_dir() / optimizing.FILE).exists()
    assert "priority" not in Path("llmrr.toml").read_text()


def test_a_file_that_is_broken_by_then_is_told_as_such(monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("llmrr"), "propagate", True)
    file = Path("llmrr.toml")
    file.write_text(TOML.replace("AUTO", "false"))
    with Router() as router:
        record(router)
        looked_ago(router, 90_000)
        assert router.config.model("small")  # read while it was whole
        file.write_text(file.read_text() + "weights = [")
        looks = Optimizing(router)
        looks.tick()
        looks.wait()
    (said,) = [one for one in caplog.records if one.name == "llmrr.server"]
    assert said.exc_info is None and "llmrr.toml" in said.getMessage()
    assert not (paths.data_dir() / optimizing.FILE).exists()


def test_without_every_it_never_looks():
    Path("llmrr.toml").write_text(TOML.replace('every = "24h"', "").replace("AUTO", "true"))
    with Router() as router:
        record(router)
        looked_ago(router, 90_000)
        looks = Optimizing(router)
        looks.tick()
        looks.wait()
    assert not (paths.data_dir() / optimizing.FILE).exists()
