"""What a provider's answer means when it is no answer: from a status and a body to an error."""

import json
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from llmrr.engines.remote import hops
from llmrr.errors import (
    AuthenticationFailed,
    BrokenStream,
    ContentRefused,
    ContextOverflow,
    LlmrrError,
    NotFound,
    Overloaded,
    RateLimited,
    RequestRefused,
    TimedOut,
    Unreachable,
)

FEWEST = 8  # characters of a secret: shorter ones are words, as "none" for a server of one's own
LONGEST = 600  # characters of what a provider says
HIDDEN = "[key]"
_SHORT = 3600  # seconds: what is longer is told as a date

# Keys as the common providers write them, wherever they come from.
_KEY_LIKE = r"\b(sk-|hf_|gsk_|xai-|r8_|AIza|ghp_|github_pat_|AKIA|csk-|nvapi-|fw_)[\w-]{12,}"
_TOO_LONG = (
    r"(?i)maximum context|context[ _](length|window|size)|prompt is too long|too many tokens"
    r"|input token count|input is too long"
    r"|exceeds? (the )?(model'?s )?max(imum)?[ _](input|context)"
)
_REFUSED = r"(?i)content[ _-]?(filter|policy|management)|responsible ?ai|guardrail|safety"
_KEY_WRONG = r"(?i)api[ _]?key (not valid|invalid|expired)|invalid (api[ _]?key|x-api-key)"
_QUOTA = r"insufficient_quota|billing"

# The statuses of what errors inside a stream are called: Anthropic's, OpenAI's, Google's, AWS's.
_STATUSES = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402,
    "permission_error": 403, "not_found_error": 404, "request_too_large": 413,
    "rate_limit_error": 429, "rate_limit_exceeded": 429, "api_error": 500, "server_error": 500,
    "overloaded_error": 529, "timeout_error": 504, "insufficient_quota": 429,
    "INVALID_ARGUMENT": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429, "INTERNAL": 500, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}  # fmt: skip


class Party(NamedTuple):
    """Who answers: for messages. ``key`` is what mends its key; ``secrets`` never appear
    in a message; ``hint`` is for when it cannot be reached; ``absent`` for a model that it has
    not; ``at`` is the host."""

    provider: str
    model: str
    key: str | None = None
    secrets: tuple[str, ...] = ()
    hint: str = ""
    absent: str = ""
    at: str = ""

    def __repr__(self) -> str:
        return f"Party({self.name})"

    def clean(self, text: str) -> str:
        """A text of the provider's on one line, bounded, without secrets."""
        for secret in self.secrets:
            if len(secret) >= FEWEST:
                text = text.replace(secret, HIDDEN)
        text = re.sub(_KEY_LIKE, HIDDEN, text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"

    @property
    def name(self) -> str:
        """The source.

        >>> Party("openai", "gpt-4o").name
        'openai:gpt-4o'
        """
        return f"{self.provider}:{self.model}"

    def broken(self, why: str) -> BrokenStream:
        """The error for an answer that cannot be read to its end."""
        return BrokenStream(f"{self.name}: the answer {self.clean(why)}", "try it again")


def of_status(
    party: Party, status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> LlmrrError:
    """The error for a status and what came with it."""
    document = _document(body)
    text = party.clean(said(document) or _plain(body))
    codes = " ".join(_codes(document))
    whole = f"{party.provider} {_VERBS.get(status, 'failed at')} {party.model} ({status})"
    whole += f": {text}" if text else ""
    after = retry_after(headers or {})
    if 300 <= status < 400:
        where = party.clean((headers or {}).get("location", "another address"))
        return Unreachable(
            f"{party.name}: redirected to {where}, which is not followed", "correct base_url"
        )
    if status in (401, 403) or re.search(_KEY_WRONG, f"{codes} {text}"):
        hint = party.key or 'options = { api_key_env = "NAME" }'
        return AuthenticationFailed(whole, hint)
    if status == 404:
        return NotFound(whole, party.absent or "correct the name of the model, or base_url")
    if status == 402 or (status == 429 and re.search(_QUOTA, f"{codes} {text}")):
        return RequestRefused(whole, f"look at the account at {party.provider}")
    if status == 429:
        wait = again_in(after) if after else "wait, or ask less at once"
        return RateLimited(whole, wait, retry_after=after)
    if status == hops.LOOP:
        where = f" at {party.at}" if party.at else ""
        return hops.Circular(
            f"{party.name}{where} is this server itself, or asks it in turn",
            "give the model another base_url, or the server another port, without [serve] ollama",
        )
    if status in (408, 504):
        return TimedOut(whole, "try it again")
    if status >= 500:
        return Overloaded(whole, "try it again, or another model", retry_after=after)
    if re.search(_TOO_LONG, f"{codes} {text}"):
        return ContextOverflow(whole, "shorten it, or use a model with a longer context")
    if re.search(_REFUSED, codes):
        return ContentRefused(whole, "say it in other words")
    return RequestRefused(whole, "")


def in_stream(party: Party, event: Mapping[str, Any]) -> LlmrrError:
    """The error for an event that says that an answer failed."""
    error = event.get("error")
    code = error.get("code") if isinstance(error, Mapping) else None
    names = [_STATUSES[name] for name in _codes(event) if name in _STATUSES]
    status = code if isinstance(code, int) and 400 <= code < 600 else next(iter(names), 500)
    return of_status(party, status, json.dumps(event).encode())


def said(document: Any) -> str:
    """The words of an error, in whatever form the provider has them.

    >>> said({"error": {"message": "no"}}), said({"detail": [{"loc": ["body", "n"], "msg": "bad"}]})
    ('no', 'body.n: bad')
    """
    if isinstance(document, str):
        return document
    if isinstance(document, list):
        return "; ".join(filter(None, map(said, document)))
    if not isinstance(document, Mapping):
        return ""
    if isinstance(document.get("loc"), list) and isinstance(document.get("msg"), str):
        return f"{'.'.join(map(str, document['loc']))}: {document['msg']}"
    for name in ("error", "message", "detail", "msg", "errors", "Message"):
        if text := said(document.get(name)):
            return text
    return ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, as the headers say it: RFC 9110, and OpenAI's milliseconds.

    >>> retry_after({"retry-after": "2"}), retry_after({"retry-after-ms": "1500"}), retry_after({})
    (2.0, 1.5, None)
    >>> retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})
    0.0
    """
    lower = {name.lower(): value for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(lower[name]) * unit
            return max(0.0, seconds) if math.isfinite(seconds) else None
        except (KeyError, ValueError):
            continue
    try:
        moment = parsedate_to_datetime(lower["retry-after"]).timestamp()
        return max(0.0, moment - time.time())
    except (KeyError, ValueError, TypeError):
        return None


def again_in(seconds: float) -> str:
    """When to come back.

    >>> again_in(2.5), again_in(1e300)
    ('again in 2.5 s', 'not today')
    """
    if seconds < _SHORT:
        return f"again in {seconds:g} s"
    try:
        moment = time.localtime(time.time() + seconds)
    except (OverflowError, ValueError, OSError):
        return "not today"
    return f"not before {time.strftime('%Y-%m-%d %H:%M', moment)}"


_VERBS = {400: "refuses the request to", 422: "refuses the request to", 404: "does not know",
          401: "refuses the key for", 403: "does not allow", 413: "refuses the request to",
          429: "limits", 529: "is overloaded for", 503: "is overloaded for"}  # fmt: skip


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _plain(body: bytes) -> str:
    """The text of an error page."""
    text = body.decode(errors="replace")
    return re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", text)


def _codes(document: Any) -> list[str]:
    """The words by which a provider names the kind of error."""
    if isinstance(document, list):
        return [code for one in document for code in _codes(one)]
    if not isinstance(document, Mapping):
        return []
    own = [str(document[name]) for name in ("code", "type", "status", "reason", "param")
           if isinstance(document.get(name), str)]  # fmt: skip
    inner = (document.get(name) for name in ("error", "innererror", "details"))
    return [*own, *(code for one in inner for code in _codes(one))]
