"""A result that another thread will have."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """What a function that runs on another thread will return. (``concurrent.futures`` has the same
    and takes several milliseconds to import, which a cold start would notice.)"""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._done = threading.Event()
        self._started = False
        self._error: BaseException | None = None
        self._result: T

    def run(self) -> None:
        """Run the function and keep what comes of it."""
        try:
            self._result = self._function()
        except BaseException as error:
            self._error = error
        self._done.set()

    def fail(self, error: BaseException) -> None:
        """It will not run."""
        self._error = error
        self._done.set()

    @property
    def is_done(self) -> bool:
        """Has it come to an end?"""
        return self._done.is_set()

    def result(self) -> T:
        """Wait for it; what it raised is raised here."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def start(self) -> "Later[T]":
        """Run it on a thread of its own, which does not keep the process alive; once."""
        if not self._started:
            self._started = True
            threading.Thread(target=self.run, daemon=True).start()
        return self
