"""Events out of a body that comes in pieces: server-sent events, lines of JSON, or one document."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from llmrr.engines.remote.faults import Party

LARGEST_LINE = 32 << 20  # bytes
_decode: Final = json.JSONDecoder().raw_decode

Event = dict[str, Any]


def events(party: Party, kind: str, blocks: Iterable[bytes]) -> Iterator[Event]:
    """The JSON objects of a body whose content type is ``kind``. What stands behind ``[DONE]`` is
    not read. Raises ``BrokenStream`` for what is no JSON object, or too long."""
    if "event-stream" in kind:
        return (_object(party, one) for one in _server_sent(party, blocks))
    if "ndjson" in kind or "jsonl" in kind:
        return (_object(party, one) for one in lines(party, blocks) if one.strip())
    return iter([_object(party, _whole(party, blocks))])


def lines(party: Party, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a body; CR, LF and CRLF end one."""
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
            yield b"".join((*rest, whole[0]))
            yield from whole[1:]
            rest, size = [], 0
        if last:
            rest.append(last)
            size += len(last)
            if size > LARGEST_LINE:
                raise party.broken(f"has a line of more than {LARGEST_LINE >> 20} MiB")
    if rest:
        yield b"".join(rest)


def _server_sent(party: Party, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The data of the events: https://html.spec.whatwg.org/multipage/server-sent-events.html. Their
    names are in the data of all protocols here."""
    data: list[bytes] = []
    size = 0
    for line in lines(party, blocks):
        if line.startswith(b"data:"):
            piece = line[6:] if line[5:6] == b" " else line[5:]
            data.append(piece)
            size += len(piece)
            if size > LARGEST_LINE:
                raise party.broken(f"has an event of more than {LARGEST_LINE >> 20} MiB")
        elif not line and data:
            whole = b"\n".join(data)
            if whole.strip() == b"[DONE]":
                return
            yield whole
            data, size = [], 0
    if data and (whole := b"\n".join(data)).strip() != b"[DONE]":
        yield whole  # some servers leave out the last empty line


def _whole(party: Party, blocks: Iterable[bytes]) -> bytes:
    found = bytearray()
    for block in blocks:
        found += block
        if len(found) > LARGEST_LINE:
            raise party.broken(f"has more than {LARGEST_LINE >> 20} MiB")
    return bytes(found)


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
