"""Keeps files away from llama.cpp that would end the process.

Our own reader checks the header. What it lets through is loaded by a helper process the first
time, so that whatever still aborts there ends the helper and not the user's process. A file that
passed is remembered by path, size, time and inode, and neither is done again.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path

from llmrr import __version__, paths
from llmrr.engines.base import Options
from llmrr.engines.llamacpp.options import KV_TYPES
from llmrr.errors import BadConfig, DamagedFile, LlmrrError, NotFound, error_types

HELPER = "llmrr.engines.llamacpp.dryload"
_TIMEOUT = 120  # seconds


def check_once(path: Path, options: Options) -> None:
    """Return if the file may be given to llama.cpp with these options: some architectures abort
    with some types of cache, and adapters are tried with their model. Raises ``DamagedFile``,
    ``Unsupported``, ``BadConfig``."""
    from llmrr.database import checked, open_database

    if options.kv_type not in KV_TYPES:
        raise BadConfig(
            f'kv_type "{options.kv_type}" is not a type of the KV cache',
            f"one of: {', '.join(KV_TYPES)}",
        )
    setting = _setting(options)
    if path == paths.builtin_model() and setting == _setting(Options()):
        return  # what ships inside was checked when it was made
    status, checker = _status(path), _checker(setting, _others(path, options))
    # A database that cannot be used forgets; then everything is checked each time.
    with suppress(LlmrrError), closing(open_database()) as connection:
        if checked.verdict(connection, path, status, by=checker):
            return
    _check_headers(path, options)
    dry_load(path, *setting)
    with suppress(LlmrrError), closing(open_database()) as connection:
        checked.record(connection, path, status, by=checker, found="loads")


def check_encoder(path: Path, encoder: Path) -> None:
    """Return if the file is an image encoder that llama.cpp can be given for the model at ``path``,
    which is tried with an image. Raises ``DamagedFile``, ``Unsupported``, ``NotFound``."""
    from llmrr.database import checked, open_database
    from llmrr.formats import companions

    setting = ("--mmproj", str(encoder))
    status, checker = _status(encoder), _checker(setting, (path,))
    with suppress(LlmrrError), closing(open_database()) as connection:
        if checked.verdict(connection, encoder, status, by=checker):
            return
    companions.require(encoder, "mmproj")
    dry_load(path, *setting)
    with suppress(LlmrrError), closing(open_database()) as connection:
        checked.record(connection, encoder, status, by=checker, found="loads")


def _others(path: Path, options: Options) -> tuple[Path, ...]:
    """The files that belong to it: further parts, adapters."""
    adapters = tuple(adapter for adapter, _ in options.lora)
    if "-of-" not in path.name:
        return adapters
    from llmrr.formats import gguf

    return (*gguf.part_paths(path), *adapters)


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        said = f"{path} cannot be opened: {error.strerror}"
        raise NotFound(said, f"ls -l {path}", is_file=True) from error


def _check_headers(path: Path, options: Options) -> None:
    from llmrr.formats import companions, gguf
    from llmrr.formats.gguf_check import check_adapter

    gguf.check_file(path)
    for adapter, _ in options.lora:
        companions.require(adapter, "adapter")
        model = (one for part in gguf.read_parts(path) for one in part.tensors)
        check_adapter(gguf.read_header(adapter), model)


def dry_load(path: Path, *arguments: str) -> str:
    """Load a file in a helper process without its weights; what it printed (JSON, see there).

    Raises ``DamagedFile`` when the helper was ended by a signal, else what it says went wrong.
    """
    import subprocess

    # -P and our own folder alone: the working directory must not be imported from.
    package = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": package, "GGML_NO_BACKTRACE": "1"}
    command = [sys.executable, "-P", "-m", HELPER, str(path), *arguments]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DamagedFile(
            f"llama.cpp did not come to an end with {path.name} in {_TIMEOUT} s",
            "get the file again",
        ) from error
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.strip().splitlines()
    for kind in error_types():
        if said and said[0] == kind.__name__ and done.returncode == kind.exit_code:
            raise kind(*said[1:3])
    what = f"signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
    raise DamagedFile(
        f"llama.cpp breaks on {path.name} ({what}): {said[-1][:200] if said else 'no message'}",
        "the file is damaged or hostile; get it again from a source that you trust",
    )


def measure(path: Path, options: Options, context: int) -> dict[str, int]:
    """The bytes that llama.cpp would allocate beside the weights, exactly, from a dry load: ``kv``,
    ``output``, ``compute``. ``context`` is in tokens per sequence."""
    import json

    sizes = ("--context", str(context), "--slots", str(options.slots))
    found: dict[str, int] = json.loads(dry_load(path, *_setting(options), *sizes))
    return found


def _setting(options: Options) -> tuple[str, ...]:
    """The options that decide which code of llama.cpp runs, as arguments of the helper."""
    flash = "off" if options.flash_attention == "off" else "on"
    adapters = (word for adapter, _ in options.lora for word in ("--lora", str(adapter)))
    return ("--kv-type", options.kv_type, "--flash-attention", flash, *adapters)


def _checker(setting: Sequence[str], others: Sequence[Path]) -> str:
    """Which checker judged what: another version of llama.cpp may judge differently. The time of
    its folder stands for the version, which would take longer to look up."""
    spec = find_spec("llama_cpp")
    where = spec.submodule_search_locations if spec else None
    installed = Path(where[0]).stat().st_mtime_ns if where else 0
    beside = [(found.st_size, found.st_mtime_ns, found.st_ino) for found in map(_status, others)]
    return f"llmrr {__version__}, llama_cpp {installed}, {' '.join(setting)}, {beside}"
