"""What tells the files of a model from those that lay in their place before."""

import os
from pathlib import Path

from llmrr.engines.base import Options
from llmrr.types import ModelFiles


def of(files: ModelFiles, options: Options) -> tuple[object, ...]:
    """What is another when a model's files are: size, time and number of each, of a folder those of
    the files in it. None for one that cannot be got at."""
    paths = (files.path, *(path for path, _ in options.lora), options.mmproj)
    return tuple(_stamp(path) for path in paths if path is not None)


def _stamp(path: Path) -> object:
    try:
        if path.is_dir():
            inside = sorted(path.iterdir())
            return tuple((one.name, *_state(one.stat())) for one in inside if one.is_file())
        return _state(path.stat())
    except OSError:
        return None


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ino
