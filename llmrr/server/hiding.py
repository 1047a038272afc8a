"""What of an error a client is told: nothing of where things lie on the server's machine. That, and
what mends it, is for the log. What a client may do itself, it is told without flags of a command
line."""

import logging
from typing import Final

from llmrr.errors import DamagedFile, LlmrrError, NotFound, Unsupported
from llmrr.protocols import base
from llmrr.server import callers, remedies
from llmrr.server.aliases import AUTO
from llmrr.server.whereabouts import has_path

_LOG: Final = "the server's log says more"

logger = logging.getLogger("llmrr.server")


def told(error: BaseException) -> BaseException:
    """The error that a client may read in place of this one: of a model's file that it is damaged
    or missing, of a failure here no path of this machine. What is kept back is logged."""
    if not isinstance(error, LlmrrError):
        return error
    error = _named(error)
    message, hint = _message(error), remedies.over_http(error.hint)
    if message != error.message or (_is_ours(error) and has_path(hint)):
        hint = _LOG
        logger.error("%s failed: %s", _who(error), base.message_of(error))
    if (message, hint) == (error.message, error.hint):
        return error
    return _saying(error, message, hint)


def _named(error: LlmrrError) -> LlmrrError:
    """An engine does not know by which name its model is asked."""
    start, who = "the model ", _who(error)
    if not error.message.startswith(start) or error.message.startswith(f'{start}"'):
        return error
    return _saying(error, f"{who} {error.message.removeprefix(start)}", error.hint)


def _message(error: LlmrrError) -> str:
    if error.causes:
        message = error.message
        for cause in error.causes:
            message = message.replace(cause.message, _short(cause))
        return message
    if what := _of_file(error):
        return f"{_who(error)} cannot be used: {what}"
    if _is_ours(error) and has_path(error.message):
        return f"{_who(error)} cannot answer ({error.type})"
    return error.message


def _short(cause: LlmrrError) -> str:
    return _of_file(cause) or (cause.type if has_path(cause.message) else cause.message)


def _of_file(error: LlmrrError) -> str:
    if isinstance(error, DamagedFile):
        return "its file is damaged"
    is_file = isinstance(error, NotFound) and error.is_file
    return "its file is missing or cannot be read" if is_file else ""


def _is_ours(error: LlmrrError) -> bool:
    """Whether it is a failure here, or what a model is, whoever asks what."""
    is_of_model = isinstance(error, Unsupported) and not error.is_of_request
    return is_of_model or base.status_of(error) >= 500


def _who(error: LlmrrError) -> str:
    name = error.model or callers.visit().model
    return f'the model "{name}"' if name not in ("", AUTO) else "the model that was to answer"


def _saying(error: LlmrrError, message: str, hint: str) -> LlmrrError:
    """The same error in other words."""
    found = type(error).__new__(type(error))
    found.__dict__.update(error.__dict__)
    found.message, found.hint, found.args = message, hint, (message,)
    return found
