"""From a command line to how fast models are: everything looked at first, every model measured,
speeds kept."""

import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from llmrr import bench as core
from llmrr import parameters
from llmrr.catalogue import identity_of, place
from llmrr.cli import offers, output, saving, transfer
from llmrr.cli.bench_views import Facts, facts
from llmrr.cli.layout import counted
from llmrr.engines import for_format
from llmrr.errors import ContextOverflow, LlmrrError, UsageError

if TYPE_CHECKING:
    from llmrr.bench import Figures, Wish
    from llmrr.hardware import Hardware
    from llmrr.router import Router
    from llmrr.store.records import Entry
    from llmrr.types import ModelInfo

PREFILL, DECODE = 512, 128  # tokens, as llama-bench has them
MOST_TOGETHER = 64


class Asked(NamedTuple):
    """What the command line states; None leaves ``prefill`` and ``decode`` to what fits."""

    models: Sequence[str | None]
    prefill: int | None = None
    decode: int | None = None
    concurrency: str = "1"
    repeats: int = 5
    threads: int | None = None
    context_size: int | None = None
    engine: str | None = None
    options: Sequence[Sequence[str]] = ()
    plot: str | None = None


class Subject(NamedTuple):
    """A model that is to be measured."""

    name: str
    asked: str | None
    entry: "Entry"
    info: "ModelInfo"


class Measured(NamedTuple):
    """A model with its figures, or why there are none."""

    subject: Subject
    figures: "Figures | None" = None
    error: LlmrrError | None = None


class Benched(NamedTuple):
    """What was measured, on which machine, and what came of it."""

    wish: "Wish"
    machine: "Hardware"
    models: tuple[Measured, ...]
    interrupted: bool = False


def bench(router: "Router", asked: Asked) -> Benched:
    """Measure every model, one after the other. One that fails does not keep the others from being
    measured; after Ctrl-C those remain that were complete. Raises ``UsageError``, ``NotFound``,
    ``Unsupported``, ``ContextOverflow`` before anything is measured, and where no model could be
    measured, the error of the first.
    """
    from llmrr import hardware

    together = _together(asked.concurrency)
    options = _options(asked)
    if asked.plot not in (None, "-"):
        saving.check_place(str(asked.plot))
    subjects = [_subject(router, name, asked.engine) for name in asked.models]
    wish = _wish(asked, subjects, options, together)
    machine = hardware.probe(thorough=True)
    measured: list[Measured] = []
    interrupted = False
    try:
        for one in subjects:
            measured.append(_measured(router, one, wish, asked, options))
    except KeyboardInterrupt:
        if not measured:
            raise
        interrupted = True
    errors = [one.error for one in measured if one.error]
    if len(errors) == len(measured):
        _raise(measured)
    return Benched(wish, machine, tuple(measured), interrupted)


def finish(found: Benched, asked: Asked, picture: Callable[[Facts], str]) -> None:
    """Write the picture where one is wanted; raise what kept a model from being measured, and
    ``KeyboardInterrupt`` where that ended it."""
    if asked.plot not in (None, "-"):
        saving.save(str(asked.plot), picture(facts(found)))
    if found.interrupted:
        raise KeyboardInterrupt
    _raise(found.models)


# -- what is asked -----------------------------------------------------------------------------


def _together(written: str) -> tuple[int, ...]:
    numbers = [part.strip() for part in written.split(",")]
    if not all(re.fullmatch("[0-9]{1,3}", one) and 1 <= int(one) <= MOST_TOGETHER
               for one in numbers):  # fmt: skip
        raise UsageError(
            f'--concurrency "{written}" is no list of numbers from 1 to {MOST_TOGETHER}',
            "--concurrency 1,4,8",
        )
    return tuple(dict.fromkeys(int(one) for one in numbers))


def _options(asked: Asked) -> tuple[tuple[str, str], ...]:
    """The options of loading, those that are flags last."""
    flags = (("threads", asked.threads), ("context_size", asked.context_size))
    stated = [(name, str(value)) for name, value in flags if value is not None]
    return (*((key, value) for key, value in asked.options), *stated)


def _subject(router: "Router", name: str | None, engine: str | None) -> Subject:
    offers.require(router, name)
    resolved = router.resolve(name)
    if not resolved.stated:
        output.note(f"model {resolved.name} ({resolved.why})")
    info = router.info(name)
    files = place(resolved)
    for_format(files.format, resolved.name, engine or resolved.engine)  # or it says why not
    return Subject(resolved.name, name, router.catalogue.entry(name), info)


def _wish(
    asked: Asked,
    subjects: Sequence[Subject],
    options: Sequence[tuple[str, str]],
    together: tuple[int, ...],
) -> "Wish":
    """How much is read and written: as stated, else as llama-bench does, or less where the context
    of a model is smaller."""
    stated = parameters.read_loading(options).get("context_size")
    rooms = [
        (size - 1, one.name) for one in subjects
        if isinstance(size := stated or one.info.context_length, int)
    ]  # fmt: skip
    room, name = min(rooms, default=(None, ""))
    prefill = _number("--prefill", asked.prefill, PREFILL, room, name)
    decode = _number("--decode", asked.decode, DECODE, room, name)
    return core.Wish(prefill, decode, asked.repeats, together)


def _number(flag: str, stated: int | None, usual: int, room: int | None, name: str) -> int:
    """What a flag states, or what is usual; ``room`` is how many tokens fit beside the one that
    follows, None where that is not known."""
    wanted = usual if stated is None else stated
    if room is None or wanted <= room:
        return wanted
    said = (
        f"{wanted} tokens and the one that follows do not fit into the context of {name}, "
        + counted(room + 1, "token")
    )
    if stated is not None or room < 1:
        raise ContextOverflow(
            f"{flag}: {said}",
            f"{flag} {room} is the most" if room else "use a larger --ctx-size",
        )
    less = _power_below(room)
    output.note(f"{flag} {less}: {said}")
    return less


def _power_below(room: int) -> int:
    return 1 << (room.bit_length() - 1)


# -- one model ---------------------------------------------------------------------------------


def _measured(
    router: "Router",
    subject: Subject,
    wish: "Wish",
    asked: Asked,
    options: Sequence[tuple[str, str]],
) -> Measured:
    try:
        with transfer.work() as work:
            figures = core.measure(
                subject.asked, wish, engine=asked.engine, options=options,
                told=lambda what, done, of: work(f"{subject.name}: {what}", done, of),
            )  # fmt: skip
    except LlmrrError as error:
        return Measured(subject, error=error)
    _keep(router, subject, wish, figures)
    return Measured(subject, figures)


def _keep(router: "Router", subject: Subject, wish: "Wish", figures: "Figures") -> None:
    from llmrr import speeds

    speed = speeds.Speed(
        at=time.time(),
        model=subject.name,
        source=subject.entry.origin,
        identity=identity_of(subject.entry) or "",
        quant=subject.info.quant,
        engine=figures.engine,
        threads=figures.threads,
        prefill_tokens=wish.prefill,
        prefill_tokens_per_s=figures.prefill.mean,
        decode_tokens=wish.decode,
        decode_tokens_per_s=figures.decode.mean,
        first_token_s=figures.first_token_s.mean,
        load_s=figures.load_s.mean,
        peak_bytes=figures.peak_bytes,
    )
    router.with_database(
        lambda connection: speeds.record(connection, speed), "the speed is not kept"
    )


def _raise(models: Sequence[Measured]) -> None:
    """Raise the first error with the name of its model, after the others were told."""
    errors = [
        type(one.error)(f"{one.subject.name}: {one.error.message}", one.error.hint)
        for one in models if one.error
    ]  # fmt: skip
    for other in errors[1:]:
        output.problem(other)
    if errors:
        raise errors[0]
