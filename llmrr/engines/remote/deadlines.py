"""The times that an answer may take."""

import time

from llmrr.engines.remote.faults import Party
from llmrr.errors import TimedOut
from llmrr.types import Endpoint


class Deadlines:
    """What is left of the times of one answer, which must end by ``deadline`` too. ``begin`` starts
    an attempt, ``progressed`` says that a piece of the answer came."""

    def __init__(self, endpoint: Endpoint, deadline: float | None = None) -> None:
        self._endpoint = endpoint
        self._began = self._since = now = time.monotonic()
        self._total = own = endpoint.timeout
        self._is_rest = False  # had it much less than its own time?
        if deadline is not None:
            left = max(deadline - now, 0.0)
            self._is_rest = own is None or left < own - max(0.1 * own, _SLACK_S)
            self._total = left if own is None else min(own, left)
        self._talks = False

    @property
    def connect(self) -> float | None:
        """Seconds for a connection."""
        left, limit = self.left(), self._endpoint.connect
        return left if limit is None else limit if left is None else min(limit, left)

    @property
    def connect_limit(self) -> float:
        """Seconds that are set for a connection; 0 where none."""
        return self._endpoint.connect or 0.0

    def begin(self) -> None:
        """A new attempt: the first token may take its time again."""
        self._since, self._talks = time.monotonic(), False

    def progressed(self) -> None:
        """A piece of the answer is here."""
        self._since, self._talks = time.monotonic(), True

    def heard(self) -> None:
        """Whoever listens asks for the next piece: the time that it took for the last one is not
        the provider's."""
        now = time.monotonic()
        self._began += now - self._since
        self._since = now

    def left(self) -> float | None:
        """Seconds until the next limit, at least a millisecond; None without any."""
        now = time.monotonic()
        ends = [since + limit - now for since, limit, _ in self._limits() if limit is not None]
        return max(min(ends), 0.001) if ends else None

    def total_left(self) -> float | None:
        """Seconds until all must be over."""
        limit = self._total
        return None if limit is None else self._began + limit - time.monotonic()

    def passed(self) -> bool:
        """Is a limit behind us?"""
        now = time.monotonic()
        return any(limit is not None and now >= since + limit for since, limit, _ in self._limits())

    def error(self, party: Party) -> TimedOut:
        """The error for the limit that is behind us, or the next one."""
        now = time.monotonic()
        known = [(since + limit - now, limit, name) for since, limit, name in self._limits()
                 if limit is not None]  # fmt: skip
        _, limit, name = min(known, default=(0.0, 0.0, "timeout"))
        what = _WHAT[name]
        if name == "timeout" and self._is_rest:
            error = TimedOut(
                f"{party.name} {what} the {limit:.2g} s that were left of the whole time",
                "[timeouts] total of llmrr.toml allows more",
            )
            error.is_of_request = True  # no fault of who was asked last
            return error
        if name == "timeout":
            whole = self._endpoint.timeout or limit
            return TimedOut(f"{party.name} {what} {whole:g} s", "-o timeout SECONDS allows more")
        return TimedOut(
            f"{party.name} {what} {limit:g} s", f"[timeouts] {name} of llmrr.toml allows more"
        )

    def _limits(self) -> tuple[tuple[float, float | None, str], ...]:
        endpoint = self._endpoint
        step = (
            (self._since, endpoint.between_tokens, "between_tokens") if self._talks
            else (self._since, endpoint.first_token, "first_token")
        )  # fmt: skip
        return step, (self._began, self._total, "timeout")


_SLACK_S = 0.5  # what of a request's time may pass before a model is asked
_WHAT = {
    "first_token": "did not begin to answer within",
    "between_tokens": "began to answer, and then said nothing for",
    "timeout": "did not end its answer within",
}
