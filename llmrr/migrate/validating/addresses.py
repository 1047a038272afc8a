"""The old side as any HTTP endpoint: a template of the body, and the path to the text in what comes
back."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from llmrr.errors import UsageError, masked
from llmrr.migrate.validating.cases import Case
from llmrr.migrate.validating.likeness import Likeness
from llmrr.migrate.validating.systems import Reply, failed

HOLE: Final = "{prompt}"
MOST_BYTES: Final = 64 << 20  # of an answer
# Where the text usually is: chat completions, completions, Ollama's two, TGI, Anthropic, the rest.
USUAL: Final = (
    "choices.0.message.content", "choices.0.text", "message.content", "response",
    "generated_text", "0.generated_text", "content.0.text", "text", "answer", "output", "content",
)  # fmt: skip
_STEP = re.compile(r"""\[\s*(?:'([^']*)'|"([^"]*)"|(\d+))\s*\]|\.?([^.\[\]]+)""")


class AddressSystem:
    """Posts the body; an answer that is no success, or has no text at the path, is a failure.
    ``headers`` are names with the secrets that were looked up for them."""

    likenesses: Sequence[Likeness] = ()

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

    def prepare(self) -> None:
        """What is loaded there is its own matter."""

    def ask(self, case: Case) -> Reply:
        """Ask. What is no text is sent as it is, and a missing prompt as null."""
        from http.client import HTTPException

        body = filled(self._body, case.text).encode(errors="replace")
        began = time.perf_counter()
        try:
            status, content = self._sent(body)
        except TimeoutError:
            return failed(f"no answer within {self._timeout_s:g} s", began)
        except (OSError, HTTPException) as error:
            return failed(f"{type(error).__name__}: {error}", began)
        taken = time.perf_counter() - began
        if not 200 <= status < 300:
            said = content[:200].decode(errors="replace").strip()
            return failed(f"status {status}: {said}", began)
        text = found(content, self._path)
        if text is None:
            return failed("the answer has no text at --old-path", began)
        return Reply(text, latency_s=taken) if text.strip() else failed("an empty answer", began)

    def _sent(self, body: bytes) -> tuple[int, bytes]:
        """The status and the content. A redirection is none of our business: it would carry keys
        elsewhere."""
        from http.client import HTTPConnection, HTTPSConnection

        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        connection = kind(str(self._url.hostname), self._url.port, timeout=self._timeout_s)
        query = f"?{self._url.query}" if self._url.query else ""
        try:
            connection.request("POST", (self._url.path or "/") + query, body, self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read(MOST_BYTES)
        finally:
            connection.close()


def place_of(url: SplitResult) -> tuple[str, int]:
    """The host and the port of an address; what means this machine is ``localhost``.

    >>> place_of(urlsplit("http://127.0.0.1:1/x")), place_of(urlsplit("https://a.example"))
    (('localhost', 1), ('a.example', 443))
    """
    host = str(url.hostname)
    here = host in ("127.0.0.1", "::1", "0.0.0.0") or host.endswith(".localhost")
    return "localhost" if here else host, url.port or (443 if url.scheme == "https" else 80)


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
            f"--old-body is no JSON: {error}", '--old-body \'{"prompt": "{prompt}"}\''
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


def steps(path: str) -> tuple[str, ...]:
    """The keys and places of a path, dotted or as JSONPath writes them. Raises ``UsageError``.

    >>> steps("choices.0.message.content"), steps("$.choices[0]['a.b']")
    (('choices', '0', 'message', 'content'), ('choices', '0', 'a.b'))
    """
    rest, found = path.strip().removeprefix("$"), []
    while rest:
        match = _STEP.match(rest)
        if match is None:
            raise UsageError(f"--old-path {path!r} is no path", "--old-path choices.0.text")
        found.append(next(one for one in match.groups() if one is not None))
        rest = rest[match.end() :]
    return tuple(found)


def found(content: bytes, path: tuple[str, ...] | None) -> str | None:
    """The text in an answer; without a path where it usually is, and all of what is no JSON.

    >>> found(b'{"choices": [{"text": "yes"}]}', None), found(b"plain", None)
    ('yes', 'plain')
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return content.decode(errors="replace") if path is None else None
    if path is not None:
        return _text(_at(document, path))
    if isinstance(document, str):
        return document
    texts = (_text(_at(document, steps(one))) for one in USUAL)
    return next((one for one in texts if one is not None), None)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _text(value: Any) -> str | None:
    """A text, a number as it is written, or the parts of a content put together."""
    if isinstance(value, list):
        parts = [one.get("text") if isinstance(one, dict) else one for one in value]
        known = [one for one in parts if isinstance(one, str)]
        return "".join(known) if known else None
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return value if isinstance(value, str) else None


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
