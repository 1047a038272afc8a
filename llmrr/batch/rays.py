"""Lines that are answered on a Ray cluster, by Ray Data: replicas that each hold the models.

The lines lie in the cluster's object store, which spills to disk; each replica answers one block of
them after the other, several lines of a block at once. A replica that dies is replaced, and its
block asked anew. The blocks come back in their order.
"""

import logging
import pickle
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple

from llmrr.batch import job, ordering
from llmrr.batch.items import Defaults
from llmrr.batch.job import Outcome
from llmrr.batch.lines import Line
from llmrr.batch.local import How, LocalAsker
from llmrr.cluster import Replicas
from llmrr.config import Config

BLOCK: Final = 4  # lines of a block for each that is answered at once
_COLUMN: Final = "line"


class Spec(NamedTuple):
    """What a replica is made from: the configuration, what holds for all lines, and how many it
    answers at once."""

    config: Config
    how: How
    defaults: Defaults
    threads: int


def in_order(
    spec: Spec, replicas: Replicas, lines: Iterable[Line]
) -> Iterator[tuple[Line, Outcome]]:
    """Each line with what comes of it, in their order; Ray must be connected."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    blocks = [ray.put(block) for block in _blocks(iter(lines), BLOCK * spec.threads)]
    if not blocks:
        return
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    pool = ActorPoolStrategy(
        min_size=replicas.least, max_size=replicas.most, max_tasks_in_flight_per_actor=2
    )
    answered = ray.data.from_arrow_refs(blocks).map_batches(
        Replica, fn_constructor_args=(spec,), compute=pool, batch_size=None,
        batch_format="pyarrow", **replicas.resources,
    )  # fmt: skip
    for batch in answered.iter_batches(batch_size=None, batch_format="pyarrow"):
        for found in batch.column(_COLUMN).to_pylist():
            line, outcome = pickle.loads(found)
            yield line, outcome


class Replica:
    """Answers blocks of lines, on a worker of the cluster."""

    def __init__(self, spec: Spec) -> None:
        from llmrr.router import Router

        self._router = Router(spec.config).watch_backends()
        ask = LocalAsker(self._router, spec.how)
        self._work = partial(job.answered, ask=ask, defaults=spec.defaults)
        self._threads = spec.threads

    def __call__(self, block: Any) -> Any:
        """The block with what comes of its lines."""
        lines = [pickle.loads(one) for one in block.column(_COLUMN).to_pylist()]
        found = ordering.in_order(self._work, lines, self._threads, weight=job.weight)
        return _table([pickle.dumps((line._replace(data=b""), come)) for line, come in found])


def _blocks(lines: Iterator[Line], count: int) -> Iterator[Any]:
    while part := list(islice(lines, count)):
        yield _table([pickle.dumps(line) for line in part])


def _table(cells: list[bytes]) -> Any:
    import pyarrow

    return pyarrow.table({_COLUMN: pyarrow.array(cells, pyarrow.large_binary())})
