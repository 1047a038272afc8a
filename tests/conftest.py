"""What tests share: servers, engines, a command line."""

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import isolation
import pytest
from fakes import FakeEngine
from hub_server import Hub
from hypothesis import HealthCheck, settings
from terminal import Typed

# What a shell starts in the background ignores these, and so does all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# How fast an example comes or runs says nothing but how busy the machine is.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """Isolate the examples in the package too, which lie outside of this folder."""
    config.pluginmanager.register(isolation, "isolation")


BESIDES_MLX = ("mlx_lm", "torch", "transformers")  # what its tests need besides .[test]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what this environment cannot run."""
    for item in items if find_spec("ray") is None else ():
        if item.get_closest_marker("ray") is not None:
            item.add_marker(pytest.mark.skip(reason="ray is not installed"))
    absent = [one for one in BESIDES_MLX if find_spec(one) is None]
    for item in items if absent else ():
        if item.get_closest_marker("mlx") is not None:
            item.add_marker(pytest.mark.skip(reason=f"{absent[0]} is not installed"))


@pytest.fixture(autouse=True)
def without_mlx(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no marker mlx is the same whether mlx-lm is installed here or not."""
    if request.node.get_closest_marker("mlx") is None:
        from llmrr.engines.mlx import installed

        monkeypatch.setattr(installed, "_places", lambda package: [])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on loopback, in place of the real one, for the real client."""
    import huggingface_hub
    from huggingface_hub import constants

    with Hub() as served:
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        # The client read these when it was imported.
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", f"{os.environ['HF_HOME']}/token")
        yield served
        if close := getattr(huggingface_hub, "close_session", None):
            close()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeEngine:
    """A scripted engine in place of all others; ``builtin:mini`` and ``./tiny.gguf`` are files that
    it takes."""
    from builders import gguf_file

    from llmrr import engines, paths

    fake = FakeEngine()
    monkeypatch.setattr(engines, "ENGINES", (fake,))
    tiny = gguf_file(tmp_path / "tiny.gguf")
    monkeypatch.setattr(paths, "builtin_model", lambda: tiny)
    return fake


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """A command line that is typed: ``typed("run", "hello")``."""
    return Typed(monkeypatch, capsys)
