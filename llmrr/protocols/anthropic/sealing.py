"""What was thought, in a signature: a client that does not want to see it sends it back all the
same, and the conversation goes on with it."""

import binascii
from base64 import b64decode, b64encode
from typing import Final

_LEAD: Final = "llmrr:"


def sealed(thought: str) -> str:
    """A signature of it.

    >>> opened(sealed("Let me see.")), opened("another server's")
    ('Let me see.', '')
    """
    return _LEAD + b64encode(thought.encode(errors="replace")).decode()


def is_sealed(signature: object) -> bool:
    """Whether it was made here."""
    return isinstance(signature, str) and signature.startswith(_LEAD)


def opened(signature: object) -> str:
    """What was thought; of what was not made here nothing."""
    if not isinstance(signature, str) or not is_sealed(signature):
        return ""
    try:
        return b64decode(signature.removeprefix(_LEAD), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
