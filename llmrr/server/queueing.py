"""The queue before the models: how many sequences are computed at once, and whose turn is next.

Everything here is for the event loop: nothing is locked, and what waits holds no thread.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Final

Places = frozenset[str]  # the models that may take a request, by their gates' names

REMOTE: Final = ""  # the gate that all models elsewhere share
RETRY_AFTER_S: Final = 1.0  # where nothing says how long an answer takes
_KEPT: Final = 0.8  # of the past, in the mean time of an answer


class Ticket:
    """A request that waits, or is let through. ``leave`` it whenever it has ended, or is not wanted
    any more; twice is allowed."""

    def __init__(
        self, queue: "Queue", places: Places, key: str, units: int, go: Callable[[], None]
    ) -> None:
        self.places, self.key, self.units, self.go = places, key, units, go
        self.is_own = len(places) == 1
        self.is_through = self.has_left = False
        self._queue = queue

    def leave(self) -> None:
        """Free what it holds."""
        if not self.has_left:
            self.has_left = True
            self._queue.left(self)

    def narrow(self, place: str) -> None:
        """It has been decided which of its models takes it."""
        if self.is_through and not self.has_left and self.places != {place}:
            self._queue.moved(self, frozenset((place,)))


class Queue:
    """Lets through what there is room for, and the rest in turn: those for the same models by the
    keys that ask, round and round, and of one key as they came. ``room_of`` says how many sequences
    a gate takes at once.

    >>> queue, said = Queue(lambda place: 1), []
    >>> a, b, c, d = (queue.enter(frozenset("m"), key, 1, lambda name=name: said.append(name))
    ...               for key, name in [("x", "a"), ("x", "b"), ("x", "c"), ("y", "d")])
    >>> for one in (a, b, d):
    ...     one.leave()
    >>> said
    ['a', 'b', 'd', 'c']
    """

    def __init__(self, room_of: Callable[[str], int]) -> None:
        self._room_of = room_of
        self._under_way: Counter[Places] = Counter()
        self._own: Counter[Places] = Counter()  # of those that asked for one model alone
        self._waiting: OrderedDict[Places, OrderedDict[str, deque[Ticket]]] = OrderedDict()
        self.waiting = 0  # requests
        self.mean_s: float | None = None  # how long an answer takes
        self._is_closed = False

    def enter(self, places: Places, key: str, units: int, go: Callable[[], None]) -> Ticket:
        """Ask to be let through; ``go`` is called when it is time, perhaps at once. ``units`` are
        the sequences that are computed for it, counted as far as there is room for them at all."""
        ticket = Ticket(self, places, key, min(units, self.capacity(places)), go)
        if places not in self._waiting and self._has_room(places, ticket.units):
            self._admit(ticket)
        else:
            keys = self._waiting.setdefault(places, OrderedDict())
            keys.setdefault(key, deque()).append(ticket)
            self.waiting += 1
        return ticket

    def would_wait(self, places: Places, units: int) -> bool:
        """Whether a request would have to wait now."""
        units = min(units, self.capacity(places))
        return places in self._waiting or not self._has_room(places, units)

    def capacity(self, places: Places) -> int:
        """How many sequences these models compute at once."""
        return max(1, sum(map(self._room_of, places)))

    def busy(self, places: Places) -> int:
        """How many they may be computing now: those that may still go to another one count."""
        return sum(units for one, units in self._under_way.items() if one & places)

    def under_way(self) -> Mapping[Places, int]:
        """The sequences that are computed now."""
        return self._under_way

    def retry_after(self) -> float:
        """In how many seconds there may be room, by how long answers take."""
        if self.mean_s is None:
            return RETRY_AFTER_S
        at_once = max(1, sum(self._under_way.values()))
        return max(RETRY_AFTER_S, min(60.0, self.mean_s * (1 + self.waiting / at_once) / 2))

    def took(self, seconds: float) -> None:
        """Note how long an answer took."""
        kept = self.mean_s
        self.mean_s = seconds if kept is None else kept * _KEPT + seconds * (1 - _KEPT)

    def close(self) -> None:
        """Let nobody through any more."""
        self._is_closed = True

    # -- for tickets ---------------------------------------------------------------------------

    def left(self, ticket: Ticket) -> None:
        """A ticket is not wanted any more."""
        if ticket.is_through:
            self._free(ticket.places, ticket.units)
            if ticket.is_own:
                self._own[ticket.places] -= ticket.units
        else:
            keys = self._waiting[ticket.places]
            keys[ticket.key].remove(ticket)
            self._forget(ticket.places, ticket.key)
        self._go_on()

    def moved(self, ticket: Ticket, places: Places) -> None:
        """A ticket that was let through holds other places from now on."""
        self._free(ticket.places, ticket.units)
        ticket.places, ticket.units = places, min(ticket.units, self.capacity(places))
        self._under_way[places] += ticket.units
        self._go_on()

    # -- inside --------------------------------------------------------------------------------

    def _has_room(self, places: Places, units: int) -> bool:
        busy = self.busy(places)
        if not busy:  # nobody waits for more room than there may be by now
            return True
        taken = busy if len(places) > 1 else self._own[places]
        return taken + units <= self.capacity(places) and all(
            self._takes(one, units) for one in places
        )

    def _takes(self, place: str, units: int) -> bool:
        """Whether a gate takes what may go there. Of those that could go elsewhere, as many as it
        computes may wait behind it, on threads: who chooses sees how busy a model is, and may
        choose another one. They keep nobody out who asks for this one alone."""
        room, busy = self._room_of(place), self.busy(frozenset((place,)))
        return not busy or busy + min(units, room) <= 2 * room

    def _admit(self, ticket: Ticket) -> None:
        ticket.is_through = True
        self._under_way[ticket.places] += ticket.units
        if ticket.is_own:
            self._own[ticket.places] += ticket.units
        ticket.go()

    def _free(self, places: Places, units: int) -> None:
        self._under_way[places] -= units
        if not self._under_way[places]:
            del self._under_way[places]

    def _forget(self, places: Places, key: str) -> None:
        """One fewer waits, of a key that may have no other."""
        self.waiting -= 1
        keys = self._waiting[places]
        if not keys[key]:
            del keys[key]
        if not keys:
            del self._waiting[places]

    def _go_on(self) -> None:
        """Let through what there is room for now. Who was served goes to the end of its round."""
        for places in tuple(self._waiting):
            while places in self._waiting and not self._is_closed:
                keys = self._waiting[places]
                key = next(iter(keys))
                ticket = keys[key][0]
                if not self._has_room(places, ticket.units):
                    break
                keys[key].popleft()
                keys.move_to_end(key)
                self._waiting.move_to_end(places)
                self._forget(places, key)
                self._admit(ticket)
