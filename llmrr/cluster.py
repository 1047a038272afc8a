"""A Ray cluster: the one that ``RAY_ADDRESS`` names, or one of this machine alone, for as long as
the process lives. The only user of ``ray`` itself; batches and the server bring their work there.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from llmrr.config import Config
from llmrr.config.files import user_file
from llmrr.errors import FeatureMissing, Unreachable, UsageError

INSTALL: Final = "pip install 'llmrr[ray]'"
MOST: Final = 1024  # replicas


class Replicas(NamedTuple):
    """How many there are, at least and at most, and what of a machine each of them takes."""

    least: int = 1
    most: int = 1
    cpus: float = 1.0
    gpus: float = 0.0

    @property
    def resources(self) -> dict[str, float]:
        """What one takes, in Ray's words."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}


def replicas(text: str | None, config: Config) -> Replicas:
    """``--replicas``: how many, or from how many to how many. What each takes is configured; else
    it is as many processors as its models have threads. Raises ``UsageError``."""
    found = re.fullmatch(r"(\d{1,4})(?::(\d{1,4}))?", text or "1")
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= least <= most <= MOST:
        raise UsageError(f'--replicas "{text}" is no number of replicas', "--replicas 1:4")
    cpus: Any = config.value("ray.cpus") or config.engine_options("llamacpp").get("threads") or 1
    gpus: Any = config.value("ray.gpus")
    return Replicas(least, most, float(cpus), float(gpus))


@contextmanager
def connected() -> Iterator[None]:
    """Ray, for as long as this lasts. Raises ``FeatureMissing`` where it is not installed, and
    ``Unreachable`` where the cluster cannot be reached."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that it is used
    ray = _ray()
    address = os.environ.get("RAY_ADDRESS")
    local = {} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    is_ours = not ray.is_initialized()
    try:
        if is_ours:
            ray.init(
                address=address or "local", log_to_driver=False, logging_level=logging.ERROR,
                runtime_env={"env_vars": _environment()}, **local,
            )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise Unreachable(
            f"no Ray cluster at {address or 'this machine'}: {said}", "ray status; ray start --head"
        ) from error
    try:
        yield
    finally:
        if is_ours:
            ray.shutdown()


def portable(config: Config) -> Config:
    """The configuration for a process on another machine: what the user agreed to here holds there
    too."""
    from llmrr import trust

    for file in config.files:
        if config.named is None and file != user_file() and trust.is_trusted(file):
            return config._replace(named=file)
    return config


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise FeatureMissing("Ray is not installed", INSTALL) from None
    return ray


def _environment() -> Mapping[str, str]:
    """What workers are told of ours: where models lie. No key: Ray shows it to whoever looks."""
    names = ("LLMRR_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "RAY_USAGE_STATS_ENABLED")
    return {name: os.environ[name] for name in names if name in os.environ}
