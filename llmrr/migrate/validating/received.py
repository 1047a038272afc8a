"""What came back from an address: where the text is in it, whole or in the pieces of a stream."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from llmrr.errors import UsageError

Path = tuple[str, ...]

_STEP = re.compile(r"""\[\s*(?:'([^']*)'|"([^"]*)"|(\d+))\s*\]|\.?([^.\[\]]+)""")
_END: Final = "[DONE]"  # of OpenAI's stream


class Unread(Exception):
    """There is no text in an answer, and why."""


def steps(path: str) -> Path:
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


# Where the text usually is: chat completions, completions, Ollama's two, TGI, Anthropic, the rest.
USUAL: Final = tuple(map(steps, (
    "choices.0.message.content", "choices.0.text", "message.content", "response",
    "generated_text", "0.generated_text", "content.0.text", "text", "answer", "output", "content",
)))  # fmt: skip
# And in the pieces of a stream: OpenAI's two, Anthropic's, Ollama's two, TGI's, llama-server's.
PIECES: Final = tuple(map(steps, (
    "choices.0.delta.content", "choices.0.text", "delta.text", "delta", "message.content",
    "response", "token.text", "content", "text",
)))  # fmt: skip


def text_of(content: bytes, kind: str, path: Path | None) -> str:
    """The text of an answer of the type ``kind``; without a path where it usually is, and all of
    what is no JSON and does not say that it is. Raises ``Unread``.

    >>> text_of(b'{"choices": [{"text": "yes"}]}', "", None), text_of(b"plain", "text/plain", None)
    ('yes', 'plain')
    >>> text_of(b'{"response": "y", "done": false}\\n{"response": "es", "done": true}', "", None)
    'yes'
    """
    try:
        documents = [json.loads(content)]
    except (ValueError, RecursionError):
        documents = _pieces(content)
        if documents:
            return _joined(documents, path)
        if path is not None or "json" in kind or "event-stream" in kind:
            raise Unread("the answer is no JSON, or not the whole of it") from None
        if content[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
            raise Unread("the answer is a page of HTML") from None
        return content.decode(errors="replace")
    return _whole(documents[0], path)


def _whole(document: Any, path: Path | None) -> str:
    if path is None and isinstance(document, str):
        return document
    for one in USUAL if path is None else (path,):
        text = _text(_at(document, one))
        if text is not None:
            return text
    raise Unread(_why([document], path))


def _pieces(content: bytes) -> list[Any]:
    """The documents of a stream, a line or an event each; none where one of them is no JSON."""
    found = []
    for line in content.decode(errors="replace").splitlines():
        field, _, rest = line.partition(":")
        if field in ("event", "id", "retry", "") or not line.strip():
            continue
        text = rest.strip() if field == "data" else line
        if text == _END:
            continue
        try:
            found.append(json.loads(text))
        except (ValueError, RecursionError):
            return []
    return found


def _joined(documents: Sequence[Any], path: Path | None) -> str:
    """The text of all pieces. Raises ``Unread`` where none has any, or one is an error."""
    failed = [one for one in documents if isinstance(one, dict) and one.get("error")]
    for one in () if failed else (PIECES if path is None else (path,)):
        texts = [text for it in documents if (text := _text(_at(it, one))) is not None]
        if texts:
            return "".join(texts)
    raise Unread(_why(failed or documents, path))


def _why(documents: Sequence[Any], path: Path | None) -> str:
    document = documents[-1]
    error = document.get("error") if isinstance(document, dict) else None
    if error:
        said = error.get("message") if isinstance(error, dict) else None
        return f"the answer is an error: {said or json.dumps(error)}"
    keys = f", which has {', '.join(map(str, document))}" if isinstance(document, dict) else ""
    where = "where it usually is (--old-path says where)" if path is None else "at --old-path"
    return f"the answer{keys}, has no text {where}" if keys else f"the answer has no text {where}"


def _at(value: Any, path: Path) -> Any:
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
