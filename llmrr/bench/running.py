"""One model, measured in several processes, one after the other."""

from collections.abc import Sequence
from typing import Any

from llmrr.bench import process
from llmrr.bench.figures import Figures, Spread, Together
from llmrr.bench.job import Job, Wish
from llmrr.bench.measuring import Told
from llmrr.errors import LlmrrError


def measure(
    model: str | None,
    wish: Wish,
    *,
    engine: str | None = None,
    options: Sequence[tuple[str, str]] = (),
    told: Told = lambda what, done, of: None,
) -> Figures:
    """Measure a model. ``options`` are keys and values of loading, as ``-o`` takes them.

    Loads and first tokens are those of processes of their own, ``repeats`` and one before; prefill
    and decode are measured in one process, each number of sequences in another. Raises what the
    engine raises, and ``EngineFailed`` where it ends its process.
    """
    job = Job("start", model, engine, tuple(options), wish.prefill, wish.decode, wish.repeats)
    starts = [_start(job, number, told) for number in range(wish.repeats + 1)]
    speed = process.run(_of(job, 1), told)
    return Figures(
        engine=speed["engine"],
        where=speed["where"],
        threads=speed["threads"],
        context_size=speed["context_size"],
        prefill=Spread(tuple(speed["prefill"])),
        decode=Spread(tuple(speed["decode"])),
        first_token_s=Spread(tuple(one["first_token_s"] for one in starts[1:])),
        prompt_tokens=starts[0]["prompt_tokens"],
        load_s=Spread(tuple(one["load_s"] for one in starts[1:])),
        cold_load_s=starts[0]["load_s"],
        peak_bytes=speed["peak_bytes"],
        together=tuple(_together(job, count, told) for count in wish.together if count > 1),
    )


def _start(job: Job, number: int, told: Told) -> dict[str, Any]:
    told("load", number, job.repeats)
    return process.run(job, told)


def _together(job: Job, count: int, told: Told) -> Together:
    try:
        found = process.run(_of(job, count), told)
    except LlmrrError as error:
        raise type(error)(f"{count} at once: {error.message}", error.hint) from error
    return Together(count, Spread(tuple(found["decode"])), found["peak_bytes"])


def _of(job: Job, sequences: int) -> Job:
    return Job(
        "speed", job.model, job.engine, job.options, job.prefill, job.decode, job.repeats,
        sequences,
    )  # fmt: skip
