"""Models in memory: loaded once, lent to requests, unloaded when nobody needs them or another one
needs their room."""

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from copy import copy

from llmrr.errors import DoesNotFit, EngineFailed, LlmrrError
from llmrr.pool import deciding, sweeping
from llmrr.pool.deciding import Held, MemoryUse, Rules
from llmrr.pool.entries import Claim, Entry, Lease, Wanted
from llmrr.pool.outlook import Outlook
from llmrr.pool.shelf import Shelf

REMOTE_KEPT = 64  # connections to as many models elsewhere are kept, where nobody uses them

_Work = list[Callable[[], None]]


class Pool:
    """The loaded models. Every method may be called from any thread.

    ``rules`` are asked for whenever they matter; ``lives`` is False in a process that ends with its
    answer, where nothing is unloaded for being idle. ``read`` says how full memory is where the
    models here need so many bytes.
    """

    def __init__(
        self,
        rules: Callable[[], Rules],
        *,
        lives: bool = True,
        read: Callable[[int], MemoryUse | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rules, self._lives, self._clock = rules, lives, clock
        self._read = read or _read
        self._outlook = Outlook(self._read, clock)
        self._shelf = Shelf()
        # Reentrant: a lease that is forgotten is released wherever the collector runs.
        self._changed = threading.Condition(threading.RLock())
        self._sweeper: threading.Event | None = None
        self.closings = 0  # how often it was closed

    # -- what there is -------------------------------------------------------------------------

    @property
    def names(self) -> frozenset[str]:
        """What the loaded models are called; one file may have several names."""
        return self._shelf.names

    @property
    def keys(self) -> list[Hashable]:
        """Of the models that are in memory or about to be."""
        with self._changed:
            return list(self._shelf.entries)

    def busy(self) -> Mapping[str, int]:
        """How many requests are under way at each model, by its name."""
        with self._changed:
            return dict(self._shelf.busy)

    def held(self) -> list[Held]:
        """The models of this machine that are in memory, with the bytes that they take."""
        with self._changed:
            local = self._shelf.local()
        for one in local:
            one.measure()
        with self._changed:
            return self._shelf.loaded()

    def loading(self) -> list[Held]:
        """The models of this machine that are about to be in memory."""
        with self._changed:
            return [one.held for one in self._shelf.local() if one.state == "loading"]

    def idle_bytes(self) -> int:
        """What could be free without interrupting anyone."""
        return sum(one.bytes for one in self.held() if not one.leases)

    def use(self) -> MemoryUse | None:
        """How full memory is; None where that is not known."""
        with self._changed:
            known = sum(one.bytes or 0 for one in self._shelf.local())
        return self._read(known)

    def refusals(self, wanted: Iterable[Wanted]) -> dict[str, DoesNotFit]:
        """Those of these models that ``lease`` would refuse now, by name: they are not here, and
        neither what is idle nor what runs leaves room for them once it has gone."""
        with self._changed:
            local, here = self._shelf.local(), set(self._shelf.entries)
        away = [one for one in wanted if one.need is not None and one.key not in here]
        if not away:
            return {}
        for one in local:
            one.measure()
        held = [one.held for one in local]
        needs = {one.name: one.need() if held and one.need else 0 for one in away}
        return self._outlook.refusals(needs, held, self.rules())

    # -- loading -------------------------------------------------------------------------------

    def lease(self, wanted: Wanted, until: float | None = None) -> Lease:
        """A model to be used, loaded if it is not. Where what runs takes its room, that is waited
        for ``until`` (by ``time.monotonic``).

        Raises ``DoesNotFit`` with the figures where there is no room, and what ``wanted.load`` does
        to everyone who waits for the same load.
        """
        claim, closings = Claim(wanted, until), self.closings
        try:
            while True:
                with self._changed:
                    if closings != self.closings:
                        raise _closed(wanted.name)
                    found = self._look(claim)
                if isinstance(found, Lease):
                    return found
                if isinstance(found, Entry):
                    break
                for work in found:
                    work()
        finally:
            if claim.entries:
                with self._changed:
                    self._shelf.unclaim(claim)
                    self._changed.notify_all()
        return self._load(found)

    def _look(self, claim: Claim) -> Lease | Entry | _Work:
        """A lease, an entry that is for the caller to load, or what is to be done before it is
        looked again: nothing after a wait."""
        wanted, shelf = claim.wanted, self._shelf
        entry = shelf.entries.get(wanted.key)
        if entry is not None and entry.state == "loading":
            return self._await_load(entry)
        if entry is not None and entry.claims and not shelf.is_mine(shelf.entries.values()):
            return self._wait(claim, None)  # who waits for its room comes first
        if entry is not None:
            return shelf.lend(self, entry, wanted.name)
        if wanted.need is None:
            idle = shelf.idle_remote()
            return self._drop(idle[: max(0, len(idle) + 1 - REMOTE_KEPT)]) or self._begin(claim)
        return self._room(claim)

    def _room(self, claim: Claim) -> Entry | _Work:
        """Room for a model that is not here: its entry, or what is to be done for it."""
        shelf, local = self._shelf, self._shelf.local()
        unknown: list[Claim | Entry] = [one for one in local if one.bytes is None]
        if local and claim.need is None:  # one alone is measured by its engine
            unknown.append(claim)
        if unknown:
            return [one.measure for one in unknown]
        held = [one.held for one in local]
        use = self._read(sum(one.bytes for one in held))
        decided = deciding.plan(claim.need or 0, use, held, self.rules())
        awaited = shelf.of(decided.awaited)
        if decided.refused or shelf.is_circular(awaited):
            raise self._refusal(claim, use)
        if awaited:
            shelf.claim(claim, awaited)
            return self._wait(claim, use)
        return self._drop(shelf.of(decided.evicted)) or self._begin(claim)

    def _begin(self, claim: Claim) -> Entry:
        entry = Entry(claim.wanted, self._clock(), claim.need)
        self._shelf.entries[claim.wanted.key] = entry
        return entry

    def _load(self, entry: Entry) -> Lease:
        try:
            model = entry.wanted.load()
        except BaseException as error:
            with self._changed:
                entry.error = error if isinstance(error, LlmrrError) else None
                self._shelf.forget(entry)
                self._changed.notify_all()
            raise
        with self._changed:
            if entry.state == "loading":
                entry.state, entry.model, entry.used = "loaded", model, self._clock()
                self._shelf.rename()
                if self._lives and self._sweeper is None and entry.is_local:
                    self._sweeper = sweeping.start(self)
                self._changed.notify_all()
                return self._shelf.lend(self, entry, entry.wanted.name)
        model.close()
        raise _closed(entry.wanted.name)

    def _await_load(self, entry: Entry) -> _Work:
        while entry.state == "loading":
            self._changed.wait()
        if entry.error is not None:
            raise copy(entry.error) from None
        return []

    def _wait(self, claim: Claim, use: MemoryUse | None) -> _Work:
        """For a change. Raises ``DoesNotFit`` once it is too late."""
        left = sweeping.LONGEST_S
        if claim.until is not None:
            left = min(left, claim.until - time.monotonic())
        if left <= 0:
            raise self._refusal(claim, use)
        self._changed.wait(left)
        return []

    def _refusal(self, claim: Claim, use: MemoryUse | None) -> DoesNotFit:
        held = [one.held for one in self._shelf.local()]
        use = use or self._read(sum(one.bytes for one in held))
        return deciding.refused(claim.wanted.name, claim.need, use, held, self.rules())

    # -- unloading -----------------------------------------------------------------------------

    def release(self, lease: Lease) -> None:
        """Take a lease back. Twice is allowed."""
        with self._changed:
            if self._shelf.take_back(lease, self._clock()):
                self._changed.notify_all()

    def keep(self, name: str, seconds: float | None) -> None:
        """Have the models of this name stay for so long without being used, in place of
        ``unload_after``; None takes that back, 0 unloads them as soon as nobody uses them."""
        with self._changed:
            found = [
                one for one in self._shelf.local() if name in one.names and one.keeps != seconds
            ]
            for one in found:
                one.keeps = seconds
            if found and self._sweeper is not None:  # it sleeps for as long as was due before
                self._sweeper.set()
                self._sweeper = sweeping.start(self)

    def expiry(self, held: Held) -> float | None:
        """In how many seconds a model is unloaded, if nobody uses it until then; None for never."""
        rules = self.rules()
        if not rules.auto_unload:
            return None
        since = held._replace(used=self._clock()) if held.leases else held
        return since.expires(rules.unload_after) - self._clock()

    def unload_unused(self, idle_s: float = 0.0) -> list[str]:
        """Unload the models of this machine that have been idle for so many seconds; their names.
        """
        return self.unload(
            lambda held: deciding.expired(
                [one._replace(keeps=None) for one in held], self._clock(), idle_s
            )
        )

    def sweep(self) -> list[str]:
        """Unload what has been idle for ``unload_after``, and above the threshold what is idle;
        their names. Nothing without ``auto_unload``."""
        rules = self.rules()
        if not rules.auto_unload:
            return []
        after = rules.unload_after
        names = self.unload(lambda held: deciding.expired(held, self._clock(), after))
        with self._changed:
            last = self._clock() - rules.unload_after
            work = self._drop([one for one in self._shelf.idle_remote() if one.used <= last])
        _do(work)
        if not self.held() or (use := self.use()) is None:
            return names
        excess = use.used_bytes - rules.threshold * use.limit_bytes
        return names + self.unload(lambda held: deciding.evict(held, excess))

    def close(self, *, leave: bool = False) -> None:
        """Unload everything, what is running too. ``leave`` is for a process that ends: the system
        frees a model faster than we could. Whoever waits for a model gets none; what is asked for
        later is loaded anew. Twice is allowed."""
        with self._changed:
            self.closings += 1
            if self._sweeper is not None:
                self._sweeper.set()
                self._sweeper = None
            work = self._drop(list(self._shelf.entries.values()), close=not leave)
        _do(work)
        with self._changed:
            while self._shelf.leaving:  # by others
                self._changed.wait()

    def unload(self, choose: Callable[[list[Held]], list[Held]]) -> list[str]:
        """Unload those of the models of this machine that are chosen, and idle; their names."""
        with self._changed:
            gone = [one for one in choose(self._shelf.loaded()) if not one.leases]
            work = self._drop(self._shelf.of(gone))
        _do(work)
        return [one.name for one in gone]

    def _drop(self, entries: Iterable[Entry], *, close: bool = True) -> _Work:
        """Take off the shelf. What is returned frees them, and is done without the lock."""
        work: _Work = []
        for one in entries:
            is_loaded = one.state == "loaded"
            self._shelf.forget(one)
            if is_loaded and close:
                one.state = "leaving"
                self._shelf.leaving.append(one)
                work.append(lambda one=one: self._free(one))  # type: ignore[misc]
        self._changed.notify_all()
        return work

    def _free(self, entry: Entry) -> None:
        assert entry.model is not None
        try:
            entry.model.close()
        finally:
            with self._changed:
                entry.state = "gone"
                self._shelf.leaving.remove(entry)
                self._changed.notify_all()

    def pause(self, stop: threading.Event) -> float | None:
        """Seconds until the thread that ``stop`` ends should sweep; None where it should end."""
        with self._changed:
            if self._sweeper is not stop:
                return None
            held = [one.held for one in self._shelf.local() if one.state != "leaving"]
            if not held:
                self._sweeper = None
                return None
            return deciding.due(held, self._clock(), self.rules())


def _do(work: _Work) -> None:
    for one in work:
        one()


def _closed(name: str) -> EngineFailed:
    return EngineFailed(f"{name} was closed while it was asked for")


def _read(held_bytes: int) -> MemoryUse | None:
    from llmrr.pool import memory

    return memory.read(held_bytes)
