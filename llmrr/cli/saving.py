"""Files that a command writes, because its user named them."""

import errno
import os
import shlex

from llmrr import paths
from llmrr.errors import DoesNotFit, LlmrrError, NotFound


def check_place(path: str) -> None:
    """Raise what ``save`` would, as far as it can be known before there is anything to write."""
    import tempfile

    target = paths.user_path(path)
    if target.exists() and not (target.is_file() or target.is_dir()):
        return
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=target.resolve().parent):  # has no name, where Linux can
            pass
    except OSError as error:
        raise unwritable(path, error) from error


def save(path: str, text: str, *, private: bool = False) -> None:
    """Write a whole file or nothing, ``private`` where nobody else may read it. What is no plain
    file (a device, a pipe) is written to."""
    from llmrr.journal import files

    target = paths.user_path(path)
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
        else:
            place = target.resolve()
            files.replace(place, text.encode(), like=None if private else place)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(place: str, error: OSError) -> LlmrrError:
    """What the system said of a place that could not be written."""
    reason = error.strerror or str(error)
    folder = paths.user_path(place).parent
    if not folder.is_dir():
        said = f'"{place}" cannot be written: there is no folder "{folder}"'
        return NotFound(said, f"mkdir -p {shlex.quote(str(folder))}")
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DoesNotFit(f'"{place}" cannot be written: {reason}', "df -h")
    return LlmrrError(f'"{place}" cannot be written: {reason}', "-O with another file")
