"""What of the server's facts whoever asks may see: where it takes keys, others ask it too."""

from llmrr.server import callers
from llmrr.server.refusals import Forbidden
from llmrr.server.whereabouts import has_path


def words() -> bool:
    """Whether what was said is for who asks: nobody else has a key, or his is to manage all."""
    caller = callers.current()
    return not caller.name or caller.rules.may_manage


def require_words() -> None:
    """Raise ``Forbidden`` where it is not."""
    if not words():
        raise Forbidden(
            "what others said is for a key that may manage the server",
            "[serve.keys.NAME] with may_manage = true",
        )


def source(text: str) -> str:
    """Where a model comes from; nothing where that is a file of a machine that others ask too."""
    return text if words() or not has_path(text) else ""


def everything() -> bool:
    """Whether all models are for who asks."""
    return not callers.current().rules.models


def model(name: str | None) -> bool:
    """Whether this one is; one that is not known yet is."""
    return name is None or callers.current().may_use(name)
