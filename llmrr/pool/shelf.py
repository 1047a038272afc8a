"""The books of the pool: which models there are, who uses them. Everything here happens under the
pool's lock."""

import threading
from collections import Counter
from collections.abc import Hashable, Iterable

from llmrr.pool.deciding import Held
from llmrr.pool.entries import Claim, Entry, Lease, Releases


class Shelf:
    """The models of a pool, by key. ``leaving`` are those that are being freed; ``names`` is what
    the loaded ones are called, ``busy`` how many use each name; ``waiting`` are the threads that
    wait for room."""

    def __init__(self) -> None:
        self.entries: dict[Hashable, Entry] = {}
        self.leaving: list[Entry] = []
        self.busy: Counter[str] = Counter()
        self.names: frozenset[str] = frozenset()
        self.waiting: dict[int, Claim] = {}

    # -- what there is -------------------------------------------------------------------------

    def local(self) -> list[Entry]:
        """Those that take memory here, what is being loaded or freed too."""
        return [one for one in (*self.entries.values(), *self.leaving) if one.is_local]

    def loaded(self) -> list[Held]:
        """Those of this machine that are loaded."""
        return [one.held for one in self.local() if one.state == "loaded"]

    def of(self, held: Iterable[Held]) -> list[Entry]:
        """The entries behind a decision."""
        keys = {one.key for one in held}
        return [one for one in self.local() if one.wanted.key in keys]

    def idle_remote(self) -> list[Entry]:
        """Those elsewhere that nobody uses, the least recently used first."""
        idle = (one for one in self.entries.values() if not one.is_local and not one.held.leases)
        return sorted(idle, key=lambda one: one.used)

    # -- coming and going ----------------------------------------------------------------------

    def rename(self) -> None:
        """Note what the loaded models are called."""
        loaded = (one for one in self.entries.values() if one.state == "loaded")
        self.names = frozenset(name for one in loaded for name in one.names)

    def forget(self, entry: Entry) -> None:
        """Take a model off the books."""
        if self.entries.get(entry.wanted.key) is entry:
            del self.entries[entry.wanted.key]
        entry.state = "gone"
        self.rename()

    # -- leases --------------------------------------------------------------------------------

    def lend(self, pool: Releases, entry: Entry, name: str) -> Lease:
        """A lease of a loaded model."""
        assert entry.model is not None
        if name not in entry.names:
            entry.names.add(name)
            self.rename()
        lease = Lease(pool, entry, entry.model, name)
        entry.leases += 1
        entry.owners[threading.get_ident()] += 1
        self.busy[name] += 1
        return lease

    def take_back(self, lease: Lease, now: float) -> bool:
        """Is its model idle now? False also for a lease that was given back before."""
        thread, lease.thread = lease.thread, None
        if thread is None:
            return False
        entry = lease.entry
        entry.leases -= 1
        entry.used = now
        _less(entry.owners, thread)
        _less(self.busy, lease.name)
        return not entry.leases

    def is_mine(self, entries: Iterable[Entry]) -> bool:
        """Does this thread use one of them?"""
        mine = threading.get_ident()
        return any(mine in one.owners for one in entries)

    def is_circular(self, awaited: Iterable[Entry]) -> bool:
        """Would waiting for these have no end: does this thread use one of them, or does someone
        who does wait for what this thread uses?"""
        mine = threading.get_ident()
        users, seen = [user for one in awaited for user in one.owners], set[int]()
        while users:
            user = users.pop()
            if user == mine:
                return True
            if user not in seen and user in self.waiting:
                users += [other for one in self.waiting[user].entries for other in one.owners]
            seen.add(user)
        return False

    def claim(self, claim: Claim, awaited: list[Entry]) -> None:
        """Keep newcomers from what is waited for, which might never be idle else."""
        self.unclaim(claim)
        mine = threading.get_ident()
        for one in awaited:
            one.claims.add(mine)
        claim.entries, self.waiting[mine] = awaited, claim

    def unclaim(self, claim: Claim) -> None:
        """The wait is over."""
        mine = threading.get_ident()
        for one in claim.entries:
            one.claims.discard(mine)
        claim.entries = []
        self.waiting.pop(mine, None)


def _less(counter: "Counter[str] | Counter[int]", key: object) -> None:
    counter[key] -= 1  # type: ignore[index]
    if not counter[key]:  # type: ignore[index]
        del counter[key]
