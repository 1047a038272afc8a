"""The models of a server, for the runs of its user."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import cast

from llmrr.router import Router
from llmrr.server.service import OPTIONS
from llmrr.warm.lending import Lending
from llmrr.warm.service import Service


@contextmanager
def lent(
    router: Router, address: str, stop: Callable[[], None]
) -> Iterator[Callable[[], int]]:
    """While this lasts, ``llmrr run`` uses the models of this process, ``llmrr ps`` shows them, and
    ``llmrr stop --all`` calls ``stop``. Where no socket can be made, none of that. What this gives
    says how many answers to such runs are under way."""
    value = router.config.value
    most = cast(int, value("batching.max_batch_size")) if value("batching.enabled") else 1
    lending = Lending(router.pool, {**OPTIONS, "most_slots": most})
    with ExitStack() as stack:
        under_way: Callable[[], int] = int
        with suppress(OSError):
            service = Service(lending, "serve", stop, {"address": address})
            under_way = stack.enter_context(closing(service)).under_way
        yield under_way
