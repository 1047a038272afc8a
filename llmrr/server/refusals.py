"""What the server itself refuses."""

from llmrr.errors import LlmrrError, RateLimited, TimedOut, Unreachable


class QueueFull(RateLimited):
    """As many requests wait as may."""


class KeyLimit(RateLimited):
    """A key has used what it may."""


class TooSlow(TimedOut):
    """An answer takes longer than the server gives it, or a request does not arrive."""

    is_of_request = True


class Unauthorized(Unreachable):
    """There is no key, or none of this server's."""

    status = 401


class Forbidden(LlmrrError):
    """Whoever asks may not."""

    status = 403


class Draining(LlmrrError):
    """The server is about to end."""

    status = 503
    is_of_request = True
    retry_after = 5.0
