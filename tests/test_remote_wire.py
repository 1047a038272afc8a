"""Answers as they come over a connection: ``engines.remote.wire``."""

import gzip
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http import client
from typing import Any

import pytest
from urllib3 import exceptions

from llmrr.engines.remote import wire


class Made:
    """A connection, as far as an answer needs one."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.closed = sock, False

    def close(self) -> None:
        self.closed = True


@contextmanager
def said(*pieces: bytes, ends: bool = False) -> Iterator[Any]:
    """A connection where these pieces have come; ``ends`` where it was closed behind them."""
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(5)
        for piece in pieces:
            there.sendall(piece)
        if ends:
            there.shutdown(socket.SHUT_WR)
        yield Made(here)


def read(made: Any) -> tuple[wire.Response, bytes]:
    response = wire.Response(made)
    body = b""
    while piece := response.read1():
        body += piece
    return response, body


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
COUNTED = OK + b"Content-Length: 5\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "ends", "kept"),
    [
        (COUNTED + b"hello", False, True),
        (OK + b"Connection: Close\r\nContent-Length: 5\r\n\r\nhello", False, False),
        (COUNTED + b"hello and more", False, False),
        (CHUNKED + b"2\r\nhe\r\n3;name=value\r\nllo\r\n0\r\n\r\n", False, True),
        (CHUNKED + b"5 \r\nhello\r\n0\r\nTrailer: x\r\n\r\n", False, True),
        (OK.replace(b"\r", b"") + b"Content-Length: 5\n\nhello", False, True),
        (OK + b"\r\nhello", True, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", False, False),
        (b"HTTP/1.0 200\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", False, True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + COUNTED + b"hello",
         False, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_how_an_answer_ends(answer: bytes, ends: bool, kept: bool, step: int) -> None:
    with said(*(answer[at : at + step] for at in range(0, len(answer), step)), ends=ends) as made:
        response, body = read(made)
    assert (response.status, body, response.closed, not made.closed) == (200, b"hello", True, kept)


def test_what_is_here_is_what_comes_without_waiting() -> None:
    with said(CHUNKED + b"2\r\nhe\r\n1\r\nl\r\n") as made:
        response = wire.Response(made)
        found = [(response.read1(), response.is_here) for _ in range(2)]
    assert found == [(b"he", True), (b"l", False)]


def test_an_answer_without_a_body() -> None:
    with said(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n") as made:
        response, body = read(made)
    assert (response.status, body, response.closed) == (204, b"", True)


def test_headers_in_any_case_told_twice_and_folded() -> None:
    head = b"retry-AFTER: 3\r\nX-Two: a\r\nx-two: b\r\nLong: one\r\n  two: three\r\n"
    with said(OK + head + b"Content-Length: 0\r\n\r\n") as made:
        found = wire.Response(made).headers
    assert (found["Retry-After"], found["X-TWO"], found["long"]) == ("3", "a, b", "one  two: three")


@pytest.mark.parametrize(
    ("name", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("X-GZIP", gzip.compress)],
)
def test_an_answer_that_is_packed_though_nobody_asked(name: str, pack: Any) -> None:
    text = b"hello" * 50_000
    packed = pack(text)
    head = f"Content-Encoding: {name}\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    with said(OK + head + packed) as made:
        _, body = read(made)
    assert body == text


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", client.RemoteDisconnected),
        (b"SSH-2.0-OpenSSH\r\n", client.BadStatusLine),
        (b"HTTP/1.1 2000 OK\r\n\r\n", client.BadStatusLine),
        (b"HTTP/1.1 200 OK\r\nContent-Le", exceptions.ProtocolError),
        (b"HTTP/1.1 200 " + b"x" * 140_000, client.HTTPException),
        (OK + b"a: b\r\n" * 20_000, client.HTTPException),
        (COUNTED + b"hell", exceptions.ProtocolError),
        (CHUNKED + b"5\r\nhell", exceptions.ProtocolError),
        (CHUNKED + b"-5\r\nhello\r\n", exceptions.ProtocolError),
        (CHUNKED + b"2\r\nhello\r\n0\r\n\r\n", exceptions.ProtocolError),
        (CHUNKED + b"5\r\nhello\r\n", exceptions.ProtocolError),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", exceptions.DecodeError),
    ],
)
def test_what_is_no_answer(answer: bytes, error: type[Exception]) -> None:
    with said(answer, ends=True) as made, pytest.raises(error):
        response, _ = read(made)
        assert not response.closed


def test_a_request_and_what_cannot_be_one() -> None:
    sent = wire.request("POST", "/v1", {"Host": "box", "host": "there", "X-A": "ä"}, b"{}")
    assert sent == (
        b"POST /v1 HTTP/1.1\r\ncontent-length: 2\r\nhost: there\r\nx-a: \xe4\r\n\r\n{}"
    )
    for name, value in (("x", "a\r\nb: c"), ("x\n", "a"), ("x:y", "a"), ("", "a"), ("x", "\u20ac")):
        with pytest.raises(ValueError):
            wire.request("POST", "/v1", {name: value}, b"")
