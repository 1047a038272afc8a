"""Finding a process of this user that keeps models, and asking it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from llmrr.engines.base import Model
from llmrr.engines.resident import loads, places, talking
from llmrr.engines.resident.loads import Load
from llmrr.engines.resident.model import Leased, ResidentModel
from llmrr.engines.resident.talking import Connection, Facts, Lost
from llmrr.errors import DoesNotFit


def hold(load: Load, otherwise: Callable[[], Model]) -> ResidentModel | None:
    """The model in a process that has it, else in one that takes it; None where none does.
    ``otherwise`` loads it here, should that process end. Raises what loading it there raises."""
    found = places.sockets()
    if len(found) > 1:
        found = sorted(found, key=lambda place: not _has(place, load))
    for place in found:
        with suppress(OSError, Lost):
            if leased := _leased(place, load):
                return ResidentModel(leased, partial(_leased, place, load), otherwise)
    return None


def known(*, ours: bool = False) -> list[Facts]:
    """What each process says of itself and of the models that it has; with ``ours`` those that
    ``hold`` would ask."""
    found = []
    for place in places.sockets():
        with suppress(OSError, Lost), _open(place) as (connection, greeting):
            if not ours or _is_ours(greeting):
                found.append(_asked(connection, {"op": "status"}))
    return found


def alive() -> bool:
    """Whether a process is there that a run has left behind."""
    with suppress(OSError, Lost), _open(places.folder() / places.of(places.LEFT, 0)):
        return True
    return False


def unload(path: str) -> None:
    """Have the model that lies there leave every process, once nobody uses it."""
    for place in places.sockets():
        _told(place, {"op": "unload", "path": path})


def stop(*, servers: bool = False) -> list[int]:
    """End the process that a run has left behind, with ``servers`` those too, after the answers
    that are under way; return when they have ended, with their numbers."""
    wanted = [one for one in places.sockets() if servers or one.stem == places.LEFT]
    told = [_told(place, {"op": "stop"}, to_the_end=True) for place in wanted]
    return [answer["stopping"] for answer in told if "stopping" in answer]


# -- inside ------------------------------------------------------------------------------------


@contextmanager
def _open(place: Path) -> Iterator[tuple[Connection, Facts]]:
    """A connection, with what the other side says first. Raises ``OSError`` and ``Lost``."""
    connection = talking.connected(place)
    try:
        yield connection, _greeting(connection)
    finally:
        connection.close()


def _greeting(connection: Connection) -> Facts:
    if not connection.is_own():
        raise Lost("another user listens there")
    try:
        return connection.receive(talking.GREETING_S)
    except TimeoutError:
        raise Lost("it says nothing") from None


def _is_ours(greeting: Facts) -> bool:
    """Is it the same llmrr, and would it compute where this one does?"""
    same = greeting.get("by") == loads.identity()
    return same and greeting.get("environment") == loads.environment()


def _asked(connection: Connection, message: Facts) -> Facts:
    connection.send(message)
    try:
        return connection.receive(talking.GREETING_S)
    except TimeoutError:
        raise Lost("it does not answer") from None


def _told(place: Path, message: Facts, *, to_the_end: bool = False) -> Facts:
    """What it answers, nothing where it is not there; ``to_the_end`` waits until it has ended."""
    with suppress(OSError, Lost), _open(place) as (connection, _):
        answer = _asked(connection, message)
        with suppress(Lost):
            while to_the_end:
                connection.receive()
        return answer
    return {}


def _has(place: Path, load: Load) -> bool:
    with suppress(OSError, Lost), _open(place) as (connection, _):
        models = _asked(connection, {"op": "status"})["models"]
        return any(one["path"] == str(load.files.path) for one in models)
    return False


def _leased(place: Path, load: Load) -> Leased | None:
    """A connection over which the model is held; None where that process is not for us, or has no
    room for it. Raises ``OSError``, ``Lost`` and what loading raises."""
    connection = talking.connected(place)
    try:
        greeting = _greeting(connection)
        if greeting.get("by") != loads.identity():
            if place.stem == places.LEFT:  # of another version: its time is over
                connection.send({"op": "stop"})
        elif _is_ours(greeting):
            connection.send(load.message())
            answer = connection.receive()
            if "leased" in answer:
                return Leased(connection, answer["leased"])
            if (error := answer.get("error")) and not isinstance(
                told := talking.error_of(error), DoesNotFit
            ):
                raise told
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None
