"""What a process offers to the runs of its user: its models, over a socket. Plain threads: one for
each connection, and one for each answer that is under way."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from llmrr import packing
from llmrr.engines import stamps
from llmrr.engines.base import Stream
from llmrr.engines.resident import loads, places, talking
from llmrr.engines.resident.talking import Connection, Facts, Lost
from llmrr.errors import EngineFailed
from llmrr.types import Chunk
from llmrr.warm.lending import Lending, Lent

PROGRESS_EVERY: Final = 0.1  # seconds


class Service:
    """Answers on a socket until it is closed. ``kind`` is run or serve; ``about`` is told to who
    asks what is loaded; ``ended`` is what ``llmrr stop`` calls, from any thread."""

    def __init__(
        self, lending: Lending, kind: str, ended: Callable[[], None],
        about: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        self.lending, self._ended = lending, ended
        self.place = places.made() / places.of(kind, os.getpid())
        self._about = {"kind": kind, "pid": os.getpid(), "since": time.time(), **(about or {})}
        self._lock = threading.Lock()
        self._open: set[Visit] = set()
        self._listener = _bound(self.place)
        self._inode = self.place.lstat().st_ino
        threading.Thread(target=self._accept, name="llmrr-warm", daemon=True).start()

    @property
    def is_there(self) -> bool:
        """Whether its socket still is the one that was made."""
        try:
            return self.place.lstat().st_ino == self._inode
        except OSError:
            return False

    def close(self, *, wait_s: float = 0.0) -> None:
        """Take no more, and let answers go on for so many seconds. Twice is allowed."""
        if self.is_there:
            with suppress(OSError):
                self.place.unlink()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listener.close()
        until = time.monotonic() + wait_s
        while (left := self._visits()) and time.monotonic() < until:
            if not any(one.is_busy for one in left):
                break
            time.sleep(0.02)
        for visit in left:
            visit.connection.close()

    def _visits(self) -> "list[Visit]":
        with self._lock:
            return list(self._open)

    def under_way(self) -> int:
        """How many answers are."""
        return sum(one.is_busy for one in self._visits())

    def status(self) -> Facts:
        """What it is, and the models that it has."""
        return {**self._about, "models": self.lending.models()}

    def stop(self) -> None:
        """End the process."""
        self._ended()

    # -- inside --------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                if self._listener.fileno() < 0 or not self.is_there:
                    return
                time.sleep(0.05)  # no descriptor is free
                continue
            threading.Thread(target=self._serve, args=(Connection(accepted),), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        visit = Visit(self, connection)
        with self._lock:
            self._open.add(visit)
        try:
            if connection.is_own():
                visit.run()
        except Lost:
            pass
        finally:
            visit.end()
            with self._lock:
                self._open.discard(visit)
            connection.close()


class Visit:
    """One connection: a model that is held for it, and one request at a time."""

    def __init__(self, service: Service, connection: Connection) -> None:
        self._service, self.connection = service, connection
        self._lent: Lent | None = None
        self._stream: Stream | None = None
        self._telling: threading.Thread | None = None
        self._waited_s = 0.0  # for the model to be loaded, by who asks first

    @property
    def is_busy(self) -> bool:
        """Whether an answer is under way."""
        return self._telling is not None and self._telling.is_alive()

    def run(self) -> None:
        """Answer until the other side has gone. Raises ``Lost``."""
        self.connection.send({
            "by": loads.identity(), "environment": loads.environment(), "pid": os.getpid()
        })  # fmt: skip
        while True:
            message = self.connection.receive()
            op = message.get("op")
            if op == "cancel":
                if self._stream is not None:
                    self._stream.cancel()
                continue
            self._join()
            answer = self._answered(op, message)
            try:
                if answer is not None:
                    self.connection.send(answer)
            finally:
                if op == "stop":  # also for who does not wait for the answer
                    self._service.stop()

    def end(self) -> None:
        """The other side has gone: its answer is of no use, and its model free."""
        if self._stream is not None:
            self._stream.cancel()
        self._join()
        if self._lent is not None:
            self._lent.release()

    def _answered(self, op: object, message: Facts) -> Facts | None:
        try:
            if op == "status":
                return self._service.status()
            if op == "unload":
                return {"count": self._service.lending.unload(str(message["path"]))}
            if op == "stop":
                return {"stopping": os.getpid()}
            if op == "lease":
                return self._lease(message)
            return self._worked(op, message)
        except Exception as error:
            return {"error": talking.error_facts(error)}

    def _lease(self, message: Facts) -> Facts:
        load = loads.load_of(message)
        stamp = packing.facts(stamps.of(load.files, load.options))
        if stamp != message["stamp"] or self._lent is not None:
            return {"refused": "other files are there"}
        began = time.perf_counter()
        self._lent = self._service.lending.lease(load)
        self._waited_s = time.perf_counter() - began
        model = self._lent.lease.model
        return {
            "leased": {
                "info": packing.facts(model.info), "where": model.where, "threads": model.threads,
                "pid": os.getpid(),
            }
        }  # fmt: skip

    def _worked(self, op: object, message: Facts) -> Facts | None:
        if self._lent is None:
            raise EngineFailed("nothing is leased")
        model = self._lent.lease.model
        if op == "embed":
            texts = [one if isinstance(one, str) else tuple(one) for one in message["texts"]]
            return {"done": model.embed(texts)}
        if op == "tokenize":
            return {"done": model.tokenize(message["text"])}
        if op == "pieces":
            return {"done": packing.facts(model.pieces(message["tokens"]))}
        if op == "prompt_tokens":
            return {"done": model.prompt_tokens(packing.request(message["request"]))}
        if op != "generate":
            raise EngineFailed(f"there is no {op!r}")
        self._stream = stream = model.generate(packing.request(message["request"]))
        self.connection.send({"begun": stream.notes})
        self._telling = threading.Thread(target=self._tell, args=(stream,), daemon=True)
        self._telling.start()
        return None

    def _tell(self, stream: Stream) -> None:
        """Pass an answer on, on a thread of its own: this one may have to wait for who reads."""
        try:
            while not stream.ready(PROGRESS_EVERY):
                self.connection.send({"progress": stream.progress})
            for chunk in stream:
                self.connection.send(self._told(chunk, stream))
            self.connection.send({"end": True})
        except Lost:
            stream.cancel()
        except Exception as error:
            with suppress(Lost):
                self.connection.send({"error": talking.error_facts(error)})

    def _told(self, chunk: Chunk, stream: Stream) -> Facts:
        if chunk.usage is None:
            return {"chunk": packing.facts(chunk)}
        usage = replace(chunk.usage, load_s=min(chunk.usage.load_s, self._waited_s))
        self._waited_s = 0.0
        if self._lent is not None:
            self._service.lending.opened(self._lent, stream.context_size)
        told = packing.facts(replace(chunk, usage=usage))
        return {"chunk": told, "context": stream.context_size}

    def _join(self) -> None:
        if self._telling is not None:
            self._telling.join()
        self._telling = self._stream = None


def _bound(place: Path) -> socket.socket:
    """A socket that is listened at from the moment at which others can see it."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    hidden = place.with_name(f".{os.getpid()}")
    with suppress(OSError):
        hidden.unlink()
    try:
        made.bind(str(hidden))
        hidden.chmod(0o600)
        made.listen(64)
        hidden.rename(place)
    except BaseException:
        made.close()
        raise
    return made
