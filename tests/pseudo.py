"""Programs on a pseudo-terminal: what a person would type and see."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path


def install(folder: Path) -> Path:
    """A folder for PATH with an ``llmrr`` in it that runs the package under test."""
    folder.mkdir(exist_ok=True)
    script = folder / "llmrr"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m llmrr "$@"\n')
    script.chmod(0o755)
    return folder


class Terminal:
    """A program on a pseudo-terminal of 24 lines of 100 characters."""

    def __init__(self, command: Sequence[str], **environ: str) -> None:
        self.screen = b""
        self.seen = 0
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.master = master
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **environ},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.master, text.encode())

    def expect(self, text: str, seconds: float = 20) -> str:
        """Wait until ``text`` appears after what was expected before; what came until then."""
        end = time.monotonic() + seconds
        while True:
            at = self.screen.find(text.encode(), self.seen)
            if at >= 0:
                came = self.screen[self.seen : at].decode(errors="replace")
                self.seen = at + len(text.encode())
                return came
            left = end - time.monotonic()
            if left <= 0 or not self._read(left):
                rest = self.screen[self.seen :].decode(errors="replace")
                raise AssertionError(f"{text!r} did not appear, but: {rest!r}")

    def wait(self, seconds: float = 20) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self._read(0.05)
        while self._read(0.0):
            pass
        return self.process.wait(timeout=max(0.1, end - time.monotonic()))

    @property
    def rest(self) -> str:
        """What came after what was expected last."""
        return self.screen[self.seen :].decode(errors="replace")

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], seconds)
        try:
            data = os.read(self.master, 65536) if ready else b""
        except OSError:  # Linux says EIO when the other end is closed
            data = b""
        self.screen += data
        return bool(data)
