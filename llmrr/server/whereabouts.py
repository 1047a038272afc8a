"""Where things lie on the server's machine, which is nothing for its clients."""

import re
from typing import Final

_ADDRESSES: Final = re.compile(r"\b(?:https?|wss?)://\S+|\b(?:GET|POST|PUT|PATCH|DELETE) /\S*")
_PATH: Final = re.compile(r"(?<![\w.)\]}/~])(?:~[\w-]*/|(?:file:/*)?/[\w.])|\b[A-Za-z]:\\")


def has_path(text: str) -> bool:
    """Whether a text names a file by its whole path; addresses, and what is served, are none.

    >>> has_path("/srv/a b.gguf is damaged"), has_path("ls -l ~/x"), has_path("file:///srv/x")
    (True, True, True)
    >>> has_path("http://host/v1 is away: GET /v1/models"), has_path("owner/repo, 3 tokens/s")
    (False, False)
    """
    return _PATH.search(_ADDRESSES.sub("", text)) is not None
