"""What the server logs, and where to: a line for each thing, all of one form. Lines of requests
have no query strings and no bodies; what is asked and answered is logged for itself, where that is
wanted."""

import logging
from typing import Final

from llmrr.choosing.answering import Answer
from llmrr.errors import masked
from llmrr.protocols.base import Asked

requests: Final = logging.getLogger("llmrr.requests")
_server: Final = logging.getLogger("llmrr.server")
_notices: Final = logging.getLogger("llmrr.notices")
NOTICE: Final = 25  # what is told at every level, and is nothing wrong
_LONGEST: Final = 100_000  # characters of a line


class _Lines(logging.Formatter):
    """A message on one line, with nothing in it that a terminal would obey. Only a traceback has
    lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = masked(_plain(record.message.replace("\n", "; ")))
        return super().formatMessage(record)


def to_stderr(level: str) -> None:
    """Log from this level on."""
    logging.addLevelName(NOTICE, "NOTICE")
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(message)s"))
    for name in ("llmrr", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper())
    if level != "debug":  # it warns of every request that is none
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    _notices.setLevel(NOTICE)


def notice(text: str) -> None:
    """Tell something that is nothing wrong, at every level."""
    _notices.log(NOTICE, "%s", text)


def warn(text: str) -> None:
    """Tell something that should be mended."""
    _notices.warning("%s", text)


def ask(asks: bool) -> None:
    """From now on log what is asked and answered, or do not."""
    requests.setLevel(logging.INFO if asks else logging.ERROR)


def asked(id: str, request: Asked) -> None:
    """Log what is asked."""
    if requests.isEnabledFor(logging.INFO):
        requests.info("req_%s asks: %s", id, _line(request.body))


def left_out(id: str, request: Asked) -> None:
    """Log which names of fields are misspelt, as it seems: of others only the answer tells."""
    if (found := [one for one in request.left_out if one.endswith("?)")]) and _server.isEnabledFor(
        logging.INFO
    ):
        _server.info("req_%s has fields that nobody knows: %s", id, ", ".join(found))


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
    text = _plain(text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _plain(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
