"""An environment of its own for the packages that cannot stand beside the user's."""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from .refusal import Refused

Say = Callable[[str, int, int], None]
# What pip says when it reaches nobody; it then goes on to say that no version was found.
UNREACHED = re.compile(
    r"connection|timed? ?out|name resolution|getaddrinfo|unreachable|SSLError|ProxyError", re.I
)
DOING = re.compile(
    r"(?P<verb>Collecting|Processing|Downloading|Using cached|Installing collected)\s*(?P<what>\S*)"
)


def create(say: Say, folder: str) -> None:
    """Make the empty environment, with pip."""
    import venv

    say("making an environment", 0, 1)
    try:
        venv.EnvBuilder(with_pip=True, symlinks=True).create(folder)
    except subprocess.CalledProcessError as exc:
        raise Refused(
            "failed", "Python makes no environment here: its ensurepip is missing or broken"
        ) from exc


def install(say: Say, requirements: str) -> None:
    """Install what the file ``requirements`` lists into the environment that runs this."""
    from pathlib import Path

    lines = Path(requirements).read_text(encoding="utf-8").splitlines()
    total = sum(1 for line in lines if line[:1].isalnum())
    command = [
        sys.executable, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
        "--no-cache-dir", "--only-binary", ":all:", "--progress-bar", "off", "-r", requirements,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    )  # fmt: skip
    tail: list[str] = []
    collected = 0
    for line in process.stdout or ():
        tail = [*tail[-200:], line.strip()]
        if found := DOING.match(line.strip()):
            collected += found["verb"] == "Collecting"
            say(_doing(found["verb"], found["what"]), min(collected, total), total)
    if process.wait():
        raise _refusal(tail)


def imports(say: Say, modules: Sequence[str]) -> None:
    """See that what was installed can be loaded."""
    for at, name in enumerate(modules):
        say(f"loading {name}", at, len(modules))
        try:
            import_module(name)
        except Exception as exc:
            raise Refused("failed", f"{name} was installed and cannot be loaded: {exc}") from exc


def _doing(verb: str, what: str) -> str:
    """
    >>> _doing("Downloading", "https://files.org/a/torch-2.13.0-cp311-none-any.whl")
    'fetching torch-2.13.0'
    >>> _doing("Collecting", "numpy==2.4.6"), _doing("Installing collected", "packages:")
    ('fetching numpy==2.4.6', 'installing')
    """
    if verb.startswith("Installing"):
        return "installing"
    name = what.rpartition("/")[2]
    return f"fetching {'-'.join(name.split('-')[:2]) if name.endswith('.whl') else name}"


def _refusal(tail: Sequence[str]) -> Refused:
    """The last complaint of pip, or that it reached nobody.

    >>> _refusal(["ERROR: No matching distribution found for x==1"]).message
    'pip: No matching distribution found for x==1'
    """
    complaints = [line.partition(":")[2].strip() for line in tail if line.startswith("ERROR:")]
    said = complaints[-1] if complaints else next((x for x in reversed(tail) if x), "it failed")
    unreached = any("Retrying" in line and UNREACHED.search(line) for line in tail)
    full = any("No space left" in line for line in tail)
    return Refused("room" if full else "network" if unreached else "failed", f"pip: {said}"[:400])
