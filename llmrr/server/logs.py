"""What the server logs, and where to. Lines of requests have no query strings and no bodies; what
is asked and answered is logged for itself, where that is wanted."""

import logging
from typing import Final

from llmrr.choosing.answering import Answer
from llmrr.protocols.base import Asked

requests: Final = logging.getLogger("llmrr.requests")
_LONGEST: Final = 100_000  # characters of a line


def to_stderr(level: str, *, asks: bool) -> None:
    """Log from this level on; with ``asks`` also what is asked and answered."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name in ("llmrr", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper())
    if level != "debug":  # it warns of every request that is none
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    requests.setLevel(logging.INFO if asks else logging.ERROR)


def asked(id: str, request: Asked) -> None:
    """Log what is asked."""
    if requests.isEnabledFor(logging.INFO):
        requests.info("req_%s asks: %s", id, _line(request.body))


def answered(id: str, answer: Answer | None) -> None:
    """Log what is answered."""
    if requests.isEnabledFor(logging.INFO):
        requests.info("req_%s is answered: %s", id, _line(answer.text if answer else None))


def _line(value: object) -> str:
    """A value on one line, whatever is in it.

    >>> _line("a\\nb")
    '"a\\\\nb"'
    """
    import json

    text = json.dumps(value, ensure_ascii=False, default=dict)
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
