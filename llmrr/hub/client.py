"""The real client, set up for this process, and what it says when something goes wrong.

Works with huggingface_hub 0.34 to 2: the three HTTP stacks under it differ, the functions used here
do not. Endpoint and offline mode are read when they are needed, as tests and long-lived processes
change them after the client has been imported.
"""

import json
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from llmrr import __version__
from llmrr.errors import BadConfig, DoesNotFit, LlmrrError, NotFound, Unreachable, UsageError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

DEFAULT_ENDPOINT = "https://huggingface.co"
ENDPOINT = f"export HF_ENDPOINT={DEFAULT_ENDPOINT}"
TIMEOUT_S = 10.0
CHUNK = 1 << 16  # bytes between two looks at Ctrl-C; what a broken connection costs
PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # where the hub does not say how long
LONGEST_PAUSE_S = 60.0
_TRUE = {"1", "ON", "YES", "TRUE"}
_STACKS = ("requests", "urllib3", "httpx", "httpcore")  # and httpx2, httpcore2


def endpoint() -> str:
    """The address of the hub, or of the mirror that ``HF_ENDPOINT`` names. Raises ``BadConfig``
    where that is no address."""
    stated = os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT
    try:
        parts = urlsplit(stated)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none
        sound = False
    if not sound:
        raise BadConfig(f'HF_ENDPOINT is "{_without_key(stated)}", which is no address', ENDPOINT)
    return stated.rstrip("/")


def address() -> str:
    """The same for people: without a name and a password in it."""
    return _without_key(endpoint())


def _without_key(text: str) -> str:
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)


def is_offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` forbids to ask anybody."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE


def api(token: str | None = None) -> "HfApi":
    """The client; without ``token`` it takes the one that its own ``hf auth login`` stored.

    Raises ``Unreachable`` in offline mode and ``UsageError`` for a token that none can be.
    """
    if is_offline():
        raise offline_error()
    _prepare()
    from huggingface_hub import HfApi

    _check(token)

    return HfApi(endpoint(), token, library_name="llmrr", library_version=__version__)


def headers(token: str | None) -> dict[str, str]:
    """What every request carries. Raises ``UsageError`` for a token that none can be."""
    _prepare()
    from huggingface_hub.utils import build_hf_headers

    _check(token)
    made: dict[str, str] = build_hf_headers(
        token=token, library_name="llmrr", library_version=__version__
    )
    return made


def _check(token: str | None) -> None:
    """The HTTP stacks differ in what they make of letters that a header cannot hold."""
    from huggingface_hub import get_token

    text = token or get_token() or ""
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise UsageError(
            "the token has characters that no token has", "--token, HF_TOKEN, or hf auth login"
        )


def offline_error() -> Unreachable:
    """The error for what cannot be known without the network."""
    return Unreachable(
        "this is offline mode, and the hub would have to be asked",
        "llmrr list --all shows what is on this disk; else leave out --offline (HF_HUB_OFFLINE)",
    )


@cache
def _prepare() -> None:
    """Once: no progress bars and log lines of the client's own, and smaller steps."""
    endpoint()  # the client fails at its import where that is none
    from huggingface_hub import constants, logging
    from huggingface_hub.utils import disable_progress_bars

    if not os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS"):
        disable_progress_bars()
    logging.set_verbosity(logging.CRITICAL)
    # Ten megabytes otherwise: on a slow line half a minute in which Ctrl-C waits, and lost where
    # the connection breaks.
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK


def reach() -> None:
    """Raise what the client's HTTP stack does where nobody answers. Some functions of the client
    repeat that for half a minute before they say so."""
    from huggingface_hub.utils import get_session

    get_session().head(endpoint(), timeout=TIMEOUT_S)


@contextmanager
def errors(what: str, hint: str = "check the connection and try again") -> Iterator[None]:
    """Translate what the client, its HTTP stack and the file system raise. ``what`` was asked for:
    ``owner/repo``, or a file of it; the ``hint`` is for when nobody answers."""
    from huggingface_hub import errors as theirs

    try:
        yield
    except LlmrrError:
        raise
    except theirs.OfflineModeIsEnabled as exc:
        raise offline_error() from exc
    except theirs.LocalEntryNotFoundError as exc:  # the client's word for: nobody answered
        raise Unreachable(f"{address()} cannot be reached for {what}", hint) from exc
    except theirs.GatedRepoError as exc:
        raise Unreachable(
            f"{what} is gated: its authors want their conditions accepted first",
            f"accept them at {address()}/{_repository(what)}, then give a token: hf auth login, "
            "--token, or HF_TOKEN",
        ) from exc
    except theirs.RepositoryNotFoundError as exc:
        raise _absent(what) from exc
    except theirs.RevisionNotFoundError as exc:
        raise NotFound(f"{what} has no such revision", f"see {address()}/{what}") from exc
    except theirs.EntryNotFoundError as exc:
        raise NotFound(f"there is no file {what}", "llmrr pull --dry-run lists them") from exc
    except theirs.HFValidationError as exc:
        raise UsageError(f'"{what}" is no name of a repository', "owner/repo") from exc
    except theirs.HfHubHTTPError as exc:
        raise _answered(what, exc) from exc
    except Exception as exc:
        if translated := _failed(what, exc, hint):
            raise translated from exc
        raise


def patiently(call: Callable[[], T], stop: Callable[[], bool] = lambda: False) -> T:
    """Call again when the hub says that it is overloaded, as soon as it wants to be asked again."""
    for pause in PAUSES_S:
        try:
            return call()
        except Exception as exc:
            seconds = _asked_to_wait(exc, pause)
            if seconds is None or seconds > LONGEST_PAUSE_S or stop():
                raise
        time.sleep(seconds)
    return call()


def _asked_to_wait(exc: Exception, pause: float) -> float | None:
    """Seconds until it may be tried again; None where that would not help."""
    response = getattr(exc, "response", None)
    if getattr(response, "status_code", None) not in (429, 500, 502, 503, 504):
        return None
    after = str(response.headers.get("Retry-After", "")) if response is not None else ""
    return float(after) if after.isdecimal() else pause


def is_broken_off(exc: BaseException) -> bool:
    """Whether this is a connection that failed, and not an answer."""
    stack = type(exc).__module__.partition(".")[0].rstrip("2")
    answered = getattr(exc, "response", None) is not None
    return (stack in _STACKS or isinstance(exc, ConnectionError | TimeoutError)) and not answered


def _repository(what: str) -> str:
    return "/".join(what.partition("@")[0].split("/")[:2])


def _absent(what: str) -> NotFound:
    return NotFound(
        f"there is no {what} on {address()}, or it is private (then: --token or HF_TOKEN)",
        f"llmrr search {_repository(what).rpartition('/')[2]}",
    )


def _answered(what: str, exc: Any) -> LlmrrError:
    """What an HTTP status means."""
    status = getattr(getattr(exc, "response", None), "status_code", None)
    if status == 404:  # a mirror that does not say of what
        return _absent(what)
    if status in (401, 403):
        return Unreachable(
            f"the hub wants a token for {what}, and none that is valid was given ({status})",
            "give one: hf auth login, --token, or HF_TOKEN; how to get access is told at "
            f"{address()}/{_repository(what)}",
        )
    if status == 429:
        return Unreachable(
            f"the hub answers {what} with 429: too many requests from here",
            "wait some minutes and try again; with a token (HF_TOKEN) more are allowed",
        )
    return Unreachable(
        f"the hub answers {what} with {status or 'no status'}", "try the same again later"
    )


def _failed(what: str, exc: Exception, hint: str) -> LlmrrError | None:
    """What went wrong on the way, or on this disk; None for what is a bug."""
    import errno

    if isinstance(exc, json.JSONDecodeError):
        return Unreachable(
            f"{address()} answers {what} with something that is no answer of a hub",
            "a network that wants a login first, or HF_ENDPOINT: open the address in a browser",
        )
    if is_broken_off(exc):
        return Unreachable(f"{address()} cannot be reached for {what}: {_words(exc)}", hint)
    if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return DoesNotFit(f"no space left for {what}: {exc.strerror}", "llmrr df; llmrr prune")
    if isinstance(exc, OSError) and exc.errno is not None:
        place = exc.filename or what
        folder = shlex.quote(str(Path(place).parent))
        return LlmrrError(f"{place} cannot be written: {exc.strerror}", f"ls -ld {folder}")
    if isinstance(exc, OSError) or (isinstance(exc, ValueError) and "hf_xet" in str(exc)):
        return Unreachable(f"{what}: {_words(exc)}", "run the same command again")
    return None


def _words(exc: BaseException) -> str:
    """The first line of what an exception says, without objects and addresses in memory."""
    text = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
    text = re.sub(r"<[^>]*object at [^>]*>:? ?", "", _without_key(text))
    return text[:200] or type(exc).__name__
