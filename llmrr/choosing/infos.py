"""What a model's file says of it, kept until the file changes: reading the header of one with a
large vocabulary takes a tenth of a second, and choosing looks at every model.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr import __version__, packing
from llmrr.database import checked
from llmrr.types import ModelInfo

if TYPE_CHECKING:
    import sqlite3

    Use = Callable[[Callable[[sqlite3.Connection], Any], str], Any]

_BY: Final = f"infos with templates of {__version__}"
_LOSS: Final = "what files say is read again each time"
# Long texts that nobody needs to choose.
_LONGEST: Final = 100_000  # characters of a chat template: nothing here renders a longer one
_LEFT_OUT: Final = ("templates", "imports", "unsafe", "license")


def inspect(path: Path, use: "Use") -> ModelInfo:
    """What ``looking.checked`` says, without licences and further templates. ``use`` is how the
    database is used, if it can be. Raises what ``looking.checked`` does."""
    if not path.is_file():
        return _looked_at(path)
    stat = path.stat()
    kept = use(lambda connection: checked.verdict(connection, path, stat, by=_BY), _LOSS)
    if kept is not None and (info := unpacked(kept)) is not None:
        return info
    info = _looked_at(path)
    text = packed(info)
    use(lambda connection: checked.record(connection, path, stat, by=_BY, found=text), _LOSS)
    return info


def _looked_at(path: Path) -> ModelInfo:
    from llmrr.store import looking

    return looking.checked(path)


def packed(info: ModelInfo) -> str:
    """As text."""
    facts = {name: value for name, value in asdict(info).items() if name not in _LEFT_OUT}
    if len(info.chat_template or "") > _LONGEST:
        del facts["chat_template"]
    return json.dumps(facts)


def unpacked(text: str) -> ModelInfo | None:
    """The inverse of ``packed``; None for a text that another version wrote."""
    try:
        return packing.info(json.loads(text))
    except (ValueError, KeyError, TypeError):
        return None
