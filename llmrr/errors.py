"""The error tree. ``main`` catches it once and ends with the class's exit code.

LlmrrError                 1  nothing done
├── UsageError             2  the command line or a call is wrong
│   └── InvalidRequest     2  an argument of a call has the wrong type or value; a TypeError too
├── NotFound               3  a model, file, name or run that does not exist
│   └── NotInstalled       3  a model that is known, and has yet to be fetched
├── Unsupported            4  a format, architecture or feature nobody here handles
│   ├── FeatureMissing     4  the engine lacks it, or a package is not installed
│   └── DamagedFile        4  a file that is corrupt, truncated, hostile or foreign
├── DoesNotFit             5  memory, context, budget or disk
│   ├── ContextOverflow    5  the prompt is longer than the context
│   └── OverBudget         5  it would cost more than [budgets] allows
├── Unreachable            6  network, hub, or a key that is missing or refused
│   ├── ConnectionFailed     6  no connection to a provider
│   └── AuthenticationFailed 6  a provider refused the key
├── EngineFailed           7  the engine or provider broke while it worked
│   ├── RequestRefused     7  a provider found the request wrong, or its grammar leads nowhere
│   ├── ContentRefused     7  a provider does not answer this, for what it says
│   ├── RateLimited        7  too many requests, or too many tokens
│   ├── Overloaded         7  a provider has no capacity, or failed by itself
│   ├── TimedOut           7  a provider did not say anything in time
│   ├── BrokenStream       7  an answer broke off, or is not what the protocol has
│   └── BreakerOpen        7  a model is left alone for a while, for having failed
├── BadConfig              8  llmrr.toml, an environment variable or a setting
└── CheckFailed            9  a check that was asked for did not pass

A message is one sentence that names the wrong value and where it stood. The hint is the command
or edit that mends it.
"""

import errno
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

# How the common providers' keys look, strictly: much that is told are names of files. A text:
# compiled when first used.
_KEY = (
    r"(?<![\w-])(?:(sk-|AIza|github_pat_)(?=[\w-]*\d)[\w-]{12,}"
    r"|(hf_|gsk_|xai-|r8_|ghp_|AKIA)(?=\w*\d)[A-Za-z0-9]{16,})"
)


class LlmrrError(Exception):
    """Nothing was done: the user said no, nothing was found, or something would be overwritten."""

    exit_code = 1
    transient = False  # may pass by itself: trying again, or elsewhere, can help
    is_of_request = False  # says nothing of the model or its provider: another request may do
    model = ""  # which one failed, where that is known
    causes: "tuple[LlmrrError, ...]" = ()  # what kept each model from it, told in the message
    usage: object = None  # the ``types.Usage`` of an answer that had begun, a guess

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = masked(message), masked(hint)
        super().__init__(self.message)

    def add(self, where: str) -> None:
        """Say besides where the value stood."""
        self.message += f" ({where})"
        self.args = (self.message,)

    @property
    def type(self) -> str:
        """The name that ``--json`` prints and ``llmrr-errors(7)`` lists."""
        return type(self).__name__


class UsageError(LlmrrError):
    """The command line, or the arguments of a call, are wrong."""

    exit_code = 2
    is_of_request = True


class InvalidRequest(UsageError, TypeError):
    """An argument of a call of the library has the wrong type or value, or is unknown."""


class NotFound(LlmrrError):
    """A model, file, template or recorded run that does not exist."""

    exit_code = 3

    def __init__(self, message: str, hint: str = "", *, is_file: bool = False) -> None:
        super().__init__(message, hint)
        self.is_file = is_file  # one of a model, whose name means something


class NotInstalled(NotFound):
    """A model that is known, and has yet to be fetched with llmrr pull."""

    def __init__(self, message: str, hint: str = "", *, reference: str = "") -> None:
        super().__init__(message, hint)
        self.reference = reference  # what ``pull`` takes


class Unsupported(LlmrrError):
    """A format, architecture, tokenizer or type that nothing here handles."""

    exit_code = 4


class FeatureMissing(Unsupported):
    """The engine lacks the feature, or the package that brings it is not installed."""

    is_of_request = True
    param: str | None = None  # the field of a request that asked for it, where that is known


class DamagedFile(Unsupported):
    """The file is corrupt, truncated, hostile, or not what it claims to be."""


class DoesNotFit(LlmrrError):
    """It needs more memory, disk or budget than there is."""

    exit_code = 5


class ContextOverflow(DoesNotFit):
    """The prompt and what is to be generated are longer than the model's context. ``tokens`` is how
    many ``what`` has, and ``limit`` how many fit, where that is known."""

    is_of_request = True
    what = "prompt"
    tokens: int | None = None
    limit: int | None = None


class OverBudget(DoesNotFit):
    """What [budgets] allows for a day or a month is spent, or would be with this request."""

    is_of_request = True


class Unreachable(LlmrrError):
    """The network, the hub or a provider cannot be reached, or a key is missing or refused."""

    exit_code = 6


class ConnectionFailed(Unreachable):
    """No connection to a provider could be made."""

    transient = True


class AuthenticationFailed(Unreachable):
    """A provider refused the key, or what it is allowed to do."""


class EngineFailed(LlmrrError):
    """The engine or the provider failed while it was loading or answering."""

    exit_code = 7


class RequestRefused(EngineFailed):
    """A provider refuses the request: a value is wrong, or the model lacks a feature."""

    is_of_request = True


class ContentRefused(EngineFailed):
    """A provider refuses to answer for what the prompt or the answer says."""

    is_of_request = True


class RateLimited(EngineFailed):
    """A provider has had too many requests or tokens from this key."""

    transient = True

    def __init__(
        self, message: str, hint: str = "", *, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after  # seconds, where the provider says it


class Overloaded(EngineFailed):
    """A provider has no capacity at the moment, or failed by itself."""

    transient = True

    def __init__(
        self, message: str, hint: str = "", *, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after  # seconds, where the provider says it


class TimedOut(EngineFailed):
    """A provider did not answer, or did not go on, within the time that is set."""

    transient = True


class BrokenStream(EngineFailed):
    """An answer broke off before its end, or is not what the provider's protocol has."""

    transient = True


class BreakerOpen(EngineFailed):
    """A model is not asked for a while, for having failed as often as [breaker] says. ``is_tried``
    where another request shows soon, or has shown by now, whether it may be again."""

    def __init__(self, message: str, hint: str = "", *, is_tried: bool = False) -> None:
        super().__init__(message, hint)
        self.is_tried = is_tried


class BadConfig(LlmrrError):
    """A configuration file or an environment variable holds something that cannot be used."""

    exit_code = 8
    is_of_request = True


class CheckFailed(LlmrrError):
    """A check that was asked for did not pass."""

    exit_code = 9


def error_types(root: type[LlmrrError] = LlmrrError) -> Iterator[type[LlmrrError]]:
    """Yield every class of the tree here, parents first, for the manual page: what the server adds
    is told by HTTP alone."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == __name__:
            yield from error_types(child)


def masked(text: str) -> str:
    """A text that is told, without what looks as the common providers' keys do, or stands before
    an @ in an address: wherever such a thing was written, it is not repeated.

    >>> masked('there is no model "sk-0123456789abcdef"'), masked("http://me:word@host/v1")
    ('there is no model "sk-…"', 'http://…@host/v1')
    """
    text = re.sub(_KEY, r"\1\2…", text)
    return re.sub(r"(?<=://)[^\s/@]+@", "…@", text)


def by_system(error: OSError) -> LlmrrError | None:
    """What the system refused to do with a file, and nobody on the way had better words for; None
    where it does not say which file."""
    if error.errno == errno.ENOENT and error.filename is None and _is_nowhere():
        return LlmrrError("the working directory is gone: relative paths mean nothing", "cd ~")
    if error.filename is None or error.errno is None:
        return None
    name = os.fsencode(error.filename).decode(errors="replace")
    said = f"{name if len(name) < 300 else name[:300] + '…'}: {error.strerror}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DoesNotFit(said, "df -h")
    return LlmrrError(said, f"ls -ld {shlex.quote(str(Path(name).parent))[:300]}")


def _is_nowhere() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def nearest(word: str, known: Iterable[str], cutoff: float = 0.65) -> str | None:
    """The known word that was probably meant; spelling in camelCase is no difference.

    >>> nearest("maxTokens", ["max_tokens", "min_p"]), nearest("xyz", ["max_tokens"])
    ('max_tokens', None)
    """
    from difflib import get_close_matches

    plain = {_plain(name): name for name in known}
    close = get_close_matches(_plain(word), plain, n=1, cutoff=cutoff)
    return plain[close[0]] if close else None


def _plain(word: str) -> str:
    return re.sub(r"[_-]", "", word).lower()
