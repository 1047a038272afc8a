"""Events out of a body that comes in pieces: server-sent events, lines of JSON, or one document."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from llmrr.engines.remote.faults import Party
from llmrr.errors import BrokenStream

LARGEST_LINE = 32 << 20  # bytes
_decode: Final = json.JSONDecoder().raw_decode

Event = dict[str, Any]


def events(party: Party, kind: str, blocks: Iterable[bytes]) -> Iterator[list[Event]]:
    """The JSON objects of a body whose content type is ``kind``, those that came at once together.
    What stands behind ``[DONE]`` is not read. Raises ``BrokenStream`` for what is no JSON object,
    or too long."""
    if "event-stream" in kind:
        return _objects(party, _server_sent(party, blocks))
    if "ndjson" in kind or "jsonl" in kind:
        return _objects(party, lines(party, blocks))
    return iter([[_object(party, _whole(party, blocks))]])


def lines(party: Party, blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines of a body, by the blocks that end them; CR, LF and CRLF end one."""
    rest: list[bytes] = []
    size = 0
    held = b""  # a CR whose LF may be in the next block
    for block in blocks:
        if held or b"\r" in block:
            block = held + block
            held = b"\r" if block.endswith(b"\r") else b""
            block = block.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, last = block.split(b"\n")
        if whole:
            whole[0] = b"".join((*rest, whole[0]))
            rest, size = [], 0
            yield whole
        if last:
            rest.append(last)
            size += len(last)
            if size > LARGEST_LINE:
                raise party.broken(f"has a line of more than {LARGEST_LINE >> 20} MiB")
    if rest:
        yield [b"".join(rest)]


def _server_sent(party: Party, blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The data of the events: https://html.spec.whatwg.org/multipage/server-sent-events.html. Their
    names are in the data of all protocols here."""
    data: list[bytes] = []
    size = 0
    for came in lines(party, blocks):
        found: list[bytes] = []
        for line in came:
            if line.startswith(b"data:"):
                piece = line[6:] if line[5:6] == b" " else line[5:]
                data.append(piece)
                size += len(piece)
                if size > LARGEST_LINE:
                    raise party.broken(f"has an event of more than {LARGEST_LINE >> 20} MiB")
            elif not line and data:
                found.append(b"\n".join(data))
                data, size = [], 0
                if found[-1].strip() == b"[DONE]":
                    yield found[:-1]
                    return
        yield found
    if data and (whole := b"\n".join(data)).strip() != b"[DONE]":
        yield [whole]  # some servers leave out the last empty line


def _whole(party: Party, blocks: Iterable[bytes]) -> bytes:
    found = bytearray()
    for block in blocks:
        found += block
        if len(found) > LARGEST_LINE:
            raise party.broken(f"has more than {LARGEST_LINE >> 20} MiB")
    return bytes(found)


def _objects(party: Party, texts: Iterable[list[bytes]]) -> Iterator[list[Event]]:
    """What comes before one that is none is told before that is."""
    for came in texts:
        found: list[Event] = []
        try:
            for text in came:
                if text and not text.isspace():
                    found.append(_object(party, text))
        except BrokenStream:
            yield found
            raise
        yield found


def _object(party: Party, text: bytes) -> Event:
    try:
        found = _parsed(str(text, "utf-8"))
        if b"\\ud" in text or b"\\uD" in text:
            found = _whole_characters(found)
    except (ValueError, RecursionError) as error:
        shown = text[:80].decode(errors="replace")
        raise party.broken(f"holds what is no JSON: {shown}") from error
    if not isinstance(found, dict):
        raise party.broken(f"holds no object: {text[:80].decode(errors='replace')}")
    return found


def _parsed(text: str) -> Any:
    """JSON. ``loads`` looks for space around it first, which takes as long as a short event."""
    try:
        found, end = _decode(text)
    except ValueError:
        end = -1
    return found if end == len(text) else json.loads(text)


def _whole_characters(found: Any) -> Any:
    """The same without halves of characters, which JSON can hold, and no file or screen can.

    >>> _whole_characters({"a": ["x\\ud800", 1]})
    {'a': ['x\ufffd', 1]}
    """
    if isinstance(found, str):
        return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(found, list):
        return [_whole_characters(one) for one in found]
    if isinstance(found, dict):
        return {_whole_characters(name): _whole_characters(one) for name, one in found.items()}
    return found
