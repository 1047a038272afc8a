"""Where things lie on the server's machine, which is nothing for its clients."""

import re
from typing import Any, Final

from llmrr.sides import SIDES

_ADDRESSES: Final = re.compile(r"\b(?:https?|wss?)://\S+|\b(?:GET|POST|PUT|PATCH|DELETE) /\S*")
_PATH: Final = re.compile(r"(?<![\w.)\]}/~])(?:~[\w-]*/|(?:file:/*)?/[\w.])|\b[A-Za-z]:\\")
_REASONS: Final = frozenset(("why", "error", *SIDES))  # of a side: why it failed
_HERE: Final = "a file here cannot be used: llmrr route on the server's machine says more"


def has_path(text: str) -> bool:
    """Whether a text names a file by its whole path; addresses, and what is served, are none.

    >>> has_path("/srv/a b.gguf is damaged"), has_path("ls -l ~/x"), has_path("file:///srv/x")
    (True, True, True)
    >>> has_path("http://host/v1 is away: GET /v1/models"), has_path("owner/repo, 3 tokens/s")
    (False, False)
    """
    return _PATH.search(_ADDRESSES.sub("", text)) is not None


def without_paths(facts: Any) -> Any:
    """The facts of a decision, whose reasons name no file.

    >>> found = without_paths({"rejected": [{"name": "a", "why": "/srv/a.gguf is damaged"}]})
    >>> found["rejected"][0]["why"].partition(":")[0]
    'a file here cannot be used'
    """
    if isinstance(facts, dict):
        return {
            key: _HERE if key in _REASONS and isinstance(one, str) and has_path(one)
            else without_paths(one)
            for key, one in facts.items()
        }  # fmt: skip
    return [*map(without_paths, facts)] if isinstance(facts, list) else facts
