"""Models in memory: loaded once, lent to requests, unloaded when nobody needs them or another one
needs their room."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from copy import copy

from llmrr.errors import DoesNotFit, EngineFailed, LlmrrError
from llmrr.pool import deciding, sweeping
from llmrr.pool.deciding import Held, MemoryUse, Rules
from llmrr.pool.entries import Claim, Entry, Lease, Wanted

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
        self._rules, self._lives, self._clock = rules, lives, clock
        self._read = read or _read
        self._entries: dict[Hashable, Entry] = {}
        self._leaving: list[Entry] = []
        # Reentrant: a lease that is forgotten is released wherever the collector runs.
        self._changed = threading.Condition(threading.RLock())
        self._busy: Counter[str] = Counter()
        self._names: frozenset[str] = frozenset()
        self._sweeper: threading.Event | None = None

    # -- what there is -------------------------------------------------------------------------

    @property
    def names(self) -> frozenset[str]:
        """What the loaded models are called; one file may have several names."""
        return self._names

    def busy(self) -> Mapping[str, int]:
        """How many requests are under way at each model, by its name."""
        with self._changed:
            return dict(self._busy)

    def held(self) -> list[Held]:
        """The models of this machine that are in memory, with the bytes that they take."""
        with self._changed:
            local = self._local()
        for one in local:
            one.measure()
        with self._changed:
            return [one.held for one in self._local() if one.state == "loaded"]

    def idle_bytes(self) -> int:
        """What could be free without interrupting anyone."""
        return sum(one.bytes for one in self.held() if not one.leases)

    def use(self) -> MemoryUse | None:
        """How full memory is; None where that is not known."""
        with self._changed:
            known = sum(one.bytes or 0 for one in self._local())
        return self._read(known)

    # -- loading -------------------------------------------------------------------------------

    def lease(self, wanted: Wanted, until: float | None = None) -> Lease:
        """A model to be used, loaded if it is not. Where what runs takes its room, that is waited
        for ``until`` (by ``time.monotonic``).

        Raises ``DoesNotFit`` with the figures where there is no room, and what ``wanted.load`` does
        to everyone who waits for the same load.
        """
        claim = Claim(wanted, until)
        try:
            while True:
                with self._changed:
                    found = self._look(claim)
                if isinstance(found, Lease):
                    return found
                if isinstance(found, Entry):
                    break
                for work in found:
                    work()
        finally:
            self._unclaim(claim)
        return self._load(found)

    def _look(self, claim: Claim) -> Lease | Entry | _Work:
        """A lease, an entry that is for the caller to load, or what is to be done before."""
        wanted = claim.wanted
        while True:
            entry = self._entries.get(wanted.key)
            if entry is not None and entry.state == "loading":
                self._await_load(entry)
            elif entry is not None and entry.claims and not self._holds():
                self._wait(claim, None)  # who waits for its room comes first
            elif entry is not None:
                return self._leased(entry, wanted.name)
            elif wanted.need is None:
                old = self._idle_remote()
                return self._drop(old) if old else self._begin(claim)
            elif found := self._room(claim):
                return found

    def _room(self, claim: Claim) -> Entry | _Work | None:
        """Room for a model that is not here: its entry, or what is to be done for it, or None after
        something changed."""
        local = self._local()
        unknown: list[Claim | Entry] = [one for one in local if one.bytes is None]
        if local and claim.need is None:  # one alone is measured by its engine
            unknown.append(claim)
        if unknown:
            return [one.measure for one in unknown]
        held = [one.held for one in local]
        use = self._read(sum(one.bytes for one in held))
        decided = deciding.plan(claim.need or 0, use, held, self._rules())
        if decided.refused:
            raise self._refusal(claim, use)
        if decided.awaited:
            self._claim(claim, self._of(decided.awaited), use)
            self._wait(claim, use)
            return None
        return self._drop(self._of(decided.evicted)) or self._begin(claim)

    def _begin(self, claim: Claim) -> Entry:
        entry = self._entries[claim.wanted.key] = Entry(claim.wanted, self._clock())
        if claim.need is not None:
            entry.bytes = claim.need
        return entry

    def _load(self, entry: Entry) -> Lease:
        try:
            model = entry.wanted.load()
        except BaseException as error:
            with self._changed:
                entry.error = error if isinstance(error, LlmrrError) else None
                self._forget(entry)
            raise
        with self._changed:
            if entry.state == "loading":
                entry.state, entry.model, entry.used = "loaded", model, self._clock()
                self._rename()
                self._begin_sweeping()
                self._changed.notify_all()
                return self._leased(entry, entry.wanted.name)
        model.close()
        raise EngineFailed(f"{entry.wanted.name} was closed while it was loading")

    def _await_load(self, entry: Entry) -> None:
        while entry.state == "loading":
            self._changed.wait()
        if entry.error is not None:
            raise copy(entry.error) from None

    # -- leases --------------------------------------------------------------------------------

    def _leased(self, entry: Entry, name: str) -> Lease:
        assert entry.model is not None
        if name not in entry.names:
            entry.names.add(name)
            self._rename()
        lease = Lease(self, entry, entry.model, name)
        entry.leases += 1
        entry.owners[threading.get_ident()] += 1
        self._busy[name] += 1
        return lease

    def release(self, lease: Lease) -> None:
        """Take a lease back. Twice is allowed."""
        with self._changed:
            thread, lease.thread = lease.thread, None
            if thread is None:
                return
            entry = lease.entry
            entry.leases -= 1
            entry.used = self._clock()
            entry.owners -= Counter((thread,))
            self._busy[lease.name] -= 1
            if not self._busy[lease.name]:
                del self._busy[lease.name]
            if not entry.leases:
                self._changed.notify_all()

    def _holds(self) -> bool:
        """Does this thread use a model? Whoever waits for that one would wait for it in turn."""
        mine = threading.get_ident()
        return any(mine in one.owners for one in self._entries.values())

    def _claim(self, claim: Claim, awaited: list[Entry], use: MemoryUse | None) -> None:
        """Keep newcomers from what is waited for, which might never be idle else."""
        mine = threading.get_ident()
        if any(mine in one.owners for one in awaited):  # nobody else could end it
            raise self._refusal(claim, use)
        for one in awaited:
            one.claims.add(mine)
        claim.entries += awaited

    def _unclaim(self, claim: Claim) -> None:
        if claim.entries:
            with self._changed:
                for one in claim.entries:
                    one.claims.discard(threading.get_ident())
                self._changed.notify_all()

    def _wait(self, claim: Claim, use: MemoryUse | None) -> None:
        """For a change. Raises ``DoesNotFit`` once it is too late."""
        left = sweeping.LONGEST_S
        if claim.until is not None:
            left = min(left, claim.until - time.monotonic())
        if left <= 0:
            raise self._refusal(claim, use)
        self._changed.wait(left)

    # -- unloading -----------------------------------------------------------------------------

    def unload_unused(self, idle_s: float = 0.0) -> list[str]:
        """Unload the models of this machine that have been idle for so many seconds; their names.
        """
        with self._changed:
            gone = deciding.expired(self._loaded(), self._clock(), idle_s)
            work = self._drop(self._of(gone))
        return _done(work, gone)

    def sweep(self) -> list[str]:
        """Unload what has been idle for ``unload_after``, and above the threshold what is idle;
        their names. Nothing without ``auto_unload``."""
        rules = self._rules()
        if not rules.auto_unload:
            return []
        names = self.unload_unused(rules.unload_after)
        with self._changed:
            old = [one for one in self._entries.values() if not one.is_local and not one.held.leases
                   and self._clock() - one.used >= rules.unload_after]  # fmt: skip
            work = self._drop(old)
        _done(work, ())
        if not self.held() or (use := self.use()) is None:
            return names
        with self._changed:
            excess = use.used_bytes - rules.threshold * use.limit_bytes
            gone = deciding.evict(self._loaded(), excess)
            work = self._drop(self._of(gone))
        return names + _done(work, gone)

    def close(self, *, leave: bool = False) -> None:
        """Unload everything, what is running too. ``leave`` is for a process that ends: the system
        frees a model faster than we could. Twice is allowed."""
        with self._changed:
            if self._sweeper is not None:
                self._sweeper.set()
                self._sweeper = None
            work = self._drop(list(self._entries.values()), close=not leave)
        _done(work, ())
        with self._changed:
            while self._leaving:  # by others
                self._changed.wait()

    def _drop(self, entries: Iterable[Entry], *, close: bool = True) -> _Work:
        """Take out of the pool. What is returned frees them, and is done without the lock."""
        work: _Work = []
        for one in entries:
            is_loaded = one.state == "loaded"
            self._forget(one)
            if is_loaded and close:
                one.state = "leaving"
                self._leaving.append(one)
                work.append(lambda one=one: self._free(one))  # type: ignore[misc]
        return work

    def _free(self, entry: Entry) -> None:
        assert entry.model is not None
        try:
            entry.model.close()
        finally:
            with self._changed:
                entry.state = "gone"
                self._leaving.remove(entry)
                self._changed.notify_all()

    def _forget(self, entry: Entry) -> None:
        if self._entries.get(entry.wanted.key) is entry:
            del self._entries[entry.wanted.key]
        entry.state = "gone"
        self._rename()
        self._changed.notify_all()

    # -- inside; with the lock held ------------------------------------------------------------

    def _local(self) -> list[Entry]:
        return [one for one in (*self._entries.values(), *self._leaving) if one.is_local]

    def _loaded(self) -> list[Held]:
        return [one.held for one in self._local() if one.state == "loaded"]

    def _of(self, held: Iterable[Held]) -> list[Entry]:
        keys = {one.key for one in held}
        return [one for one in self._local() if one.wanted.key in keys]

    def _idle_remote(self) -> list[Entry]:
        """Connections that are too many, the least recently used."""
        idle = [one for one in self._entries.values() if not one.is_local and not one.held.leases]
        return sorted(idle, key=lambda one: one.used)[: max(0, len(idle) + 1 - REMOTE_KEPT)]

    def _rename(self) -> None:
        loaded = (one for one in self._entries.values() if one.state == "loaded")
        self._names = frozenset(name for one in loaded for name in one.names)

    def _refusal(self, claim: Claim, use: MemoryUse | None) -> DoesNotFit:
        held = [one.held for one in self._local()]
        use = use or self._read(sum(one.bytes for one in held))
        said = deciding.refusal(claim.wanted.name, claim.need, use, held, self._rules())
        return DoesNotFit(said, "wait for what is in use, or raise [memory] high in llmrr.toml")

    # -- the thread that unloads ---------------------------------------------------------------

    def _begin_sweeping(self) -> None:
        if self._lives and self._sweeper is None and self._local():
            self._sweeper = sweeping.start(self)

    def pause(self, stop: threading.Event) -> float | None:
        """Seconds until something may have been idle for long enough; None where nothing is left.
        """
        rules = self._rules()
        with self._changed:
            loaded = [one for one in self._local() if one.state != "leaving"]
            if self._sweeper is not stop:
                return None
            if not loaded:
                self._sweeper = None
                return None
            if not rules.auto_unload:
                return rules.interval
            now = self._clock()
            since = min(now if one.held.leases else one.used for one in loaded)
            return min(rules.interval, since + rules.unload_after - now)


def _done(work: _Work, gone: Iterable[Held]) -> list[str]:
    for one in work:
        one()
    return [one.name for one in gone]


def _read(held_bytes: int) -> MemoryUse | None:
    from llmrr.pool import memory

    return memory.read(held_bytes)
