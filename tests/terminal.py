"""Typing a command line in a test, with whatever is at the other end of stdin, stdout, stderr."""

import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from llmrr.cli.app import main


@dataclass(frozen=True)
class Seen:
    """What came of a command line."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Stream(io.TextIOWrapper):
    """A stream that says of itself whether it is a terminal."""

    def __init__(self, data: bytes = b"", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", write_through=True)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def fileno(self) -> int:
        raise OSError("this stream is no file")

    @property
    def text(self) -> str:
        return self.buffer.getvalue().decode()  # type: ignore[attr-defined]


class Typed:
    """``typed("run", "hello", stdin="…")`` runs a command line in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(
        self,
        *args: str,
        stdin: str | bytes | None = "",
        answers: str | None = None,
        out_terminal: bool = False,
        err_terminal: bool = False,
    ) -> Seen:
        """``stdin`` None is a terminal at which nobody types; ``answers`` is what is typed at one.
        """
        data = stdin.encode() if isinstance(stdin, str) else stdin or b""
        if answers is not None:
            data, stdin, err_terminal = answers.encode(), None, True
        out, err = Stream(terminal=out_terminal), Stream(terminal=err_terminal)
        with self.monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", Stream(data, terminal=stdin is None))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            code = main(list(args))
            return Seen(code, out.text, err.text)
