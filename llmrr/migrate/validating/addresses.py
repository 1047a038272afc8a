"""The old side as any HTTP endpoint: a template of the body, and the path to the text in what comes
back."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

from llmrr.errors import Unreachable, UsageError, masked
from llmrr.jsonflaws import flaw
from llmrr.migrate.validating.cases import Case
from llmrr.migrate.validating.likeness import Likeness, place_of
from llmrr.migrate.validating.received import Unread, steps, text_of
from llmrr.migrate.validating.systems import LONGEST_ERROR, Reply, failed

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

HOLE: Final = "{prompt}"
MOST_BYTES: Final = 64 << 20  # of an answer
_PART: Final = 1 << 16


class AddressSystem:
    """Posts the body; an answer that is no success, or has no text at the path, is a failure.
    ``headers`` are names with the secrets that were looked up for them."""

    likenesses: Sequence[Likeness] = ()
    context: int | None = None

    def __init__(
        self, url: str, body: str | None, path: str | None, headers: Mapping[str, str],
        timeout_s: float,
    ) -> None:  # fmt: skip
        self._url, self._body = _checked(url), body or '{"prompt": "{prompt}"}'
        self._path = None if path is None else steps(path)
        self._headers = {"Content-Type": "application/json", "Accept": "*/*", **headers}
        self._timeout_s = timeout_s
        filled(self._body, "")

    @property
    def name(self) -> str:
        return masked(f"{self._url.scheme}://{self._url.netloc}{self._url.path}")

    @property
    def place(self) -> tuple[str, int]:
        """The host and the port; what means this machine is ``localhost``."""
        return place_of(self._url)

    def names(self, model: str) -> bool:
        """Whether the body, or the address, names a model."""
        return json.dumps(model) in self._body or model in self._url.path

    def prepare(self, case: Case) -> float:
        """Ask once, as what answers there may have to load its model. Raises ``Unreachable`` where
        nothing answers, or the key is refused."""
        found = self.ask(case)
        if found.cause is not None:
            raise found.cause
        return found.latency_s or 0.0

    def ask(self, case: Case) -> Reply:
        """Ask. What is no text is sent as it is, and a missing prompt as null."""
        from http.client import HTTPException

        body = filled(self._body, case.text).encode(errors="replace")
        began = time.perf_counter()
        try:
            status, kind, content = self._sent(body, began + self._timeout_s)
            taken = time.perf_counter() - began
            if not 200 <= status < 300:
                said = content[:200].decode(errors="replace").strip()
                said = f"status {status}: {said}"
                is_refused = status in (401, 403)
                return failed(said, began, cause=self._cause(said) if is_refused else None)
            text = text_of(content, kind, self._path)
        except TimeoutError:
            return failed(f"no answer within {self._timeout_s:g} s", began)
        except Unread as error:
            return failed(str(error), began)
        except (OSError, HTTPException) as error:
            said = f"{type(error).__name__}: {error}"
            return failed(said, began, cause=self._cause(said))
        return Reply(text, latency_s=taken) if text.strip() else failed("an empty answer", began)

    def _cause(self, said: str) -> Unreachable:
        said = masked(said)[:LONGEST_ERROR]
        return Unreachable(f"the old side, {self.name}: {said}", "llmrr migrate validate --help")

    def _sent(self, body: bytes, until: float) -> tuple[int, str, bytes]:
        """The status, the type and the content. A redirection is none of our business: it would
        carry keys elsewhere."""
        from http.client import HTTPConnection, HTTPSConnection

        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        connection = kind(str(self._url.hostname), self._url.port, timeout=self._timeout_s)
        query = f"?{self._url.query}" if self._url.query else ""
        try:
            connection.request("POST", (self._url.path or "/") + query, body, self._headers)
            return _received(connection, until)
        finally:
            connection.close()


def _received(connection: "HTTPConnection", until: float) -> tuple[int, str, bytes]:
    """All of an answer. Raises ``TimeoutError`` for one that does not end in time."""
    socket = connection.sock  # the connection lets go of it with the answer
    answer = connection.getresponse()
    parts, size = list[bytes](), 0
    while size < MOST_BYTES and (part := answer.read1(_PART)):
        parts.append(part)
        size += len(part)
        left = until - time.perf_counter()
        if left <= 0:
            raise TimeoutError
        if socket.fileno() >= 0:
            socket.settimeout(left)
    _require_whole(answer, size)
    return answer.status, answer.headers.get_content_type(), b"".join(parts)


def _require_whole(answer: "HTTPResponse", size: int) -> None:
    """Raise ``ConnectionError`` for an answer that ended before its end."""
    stated = answer.headers.get("Content-Length", "")
    if stated.isdecimal() and size < min(int(stated), MOST_BYTES):
        raise ConnectionError(f"the answer ended after {size:,} of {int(stated):,} bytes")


def filled(template: str, prompt: object) -> str:
    """The body with the prompt in it. In quotes the hole is a part of a text, and alone in them it
    is the prompt whatever its type; outside of quotes it is a JSON value. Raises ``UsageError`` for
    a template that is no JSON, or has no hole.

    >>> filled('{"q": "{prompt}"}', 'say "hi"'), filled('{"q": "Q: {prompt}"}', "why")
    ('{"q": "say \\\\"hi\\\\""}', '{"q": "Q: why"}')
    >>> filled('{"q": {prompt}}', None)
    '{"q": null}'
    """
    if HOLE not in template:
        raise UsageError(f"--old-body has no {HOLE}", '--old-body \'{"prompt": "{prompt}"}\'')
    try:
        return json.dumps(_with(json.loads(template), prompt), ensure_ascii=False)
    except (ValueError, RecursionError):
        pass
    found = template.replace(HOLE, json.dumps(prompt, ensure_ascii=False))
    try:
        json.loads(found)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"--old-body is no JSON: {flaw(error)}", '--old-body \'{"prompt": "{prompt}"}\''
        ) from None
    return found


def _with(value: Any, prompt: object) -> Any:
    if isinstance(value, str):
        if value == HOLE:
            return prompt
        return value.replace(HOLE, prompt if isinstance(prompt, str) else json.dumps(prompt))
    if isinstance(value, list):
        return [_with(one, prompt) for one in value]
    if isinstance(value, dict):
        return {name: _with(one, prompt) for name, one in value.items()}
    return value


def _checked(url: str) -> SplitResult:
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError:
        port, found = -1, SplitResult("", "", "", "", "")
    if found.scheme not in ("http", "https") or not found.hostname or port == -1:
        raise UsageError(f'--old-url "{url}" is no address', "--old-url http://127.0.0.1:8000/ask")
    if found.username is not None or found.password is not None:
        raise UsageError(
            "--old-url holds a password", "--old-header Authorization=NAME, a variable that has it"
        )
    return found
