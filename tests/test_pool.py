"""The pool: models are loaded once, lent, and unloaded by bytes; whatever runs stays."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrr.engines import Picked
from llmrr.errors import DamagedFile, DoesNotFit, EngineFailed, LlmrrError
from llmrr.pool import Held, MemoryUse, Pool, Rules, Wanted, evict, keeping
from llmrr.pool.deciding import plan

LONG = 20.0  # seconds that nothing here takes, unless it hangs
ALL = Rules(threshold=1.0, high=1.0)


class Model:
    """What is loaded."""

    def __init__(self, name: str) -> None:
        self.name, self.is_closed = name, threading.Event()

    def close(self) -> None:
        self.is_closed.set()


@dataclass
class World:
    """A machine whose memory holds what the pool's models need and nothing else."""

    limit: int = 100
    rules: Rules = ALL
    others: int = 0
    now: float = 0.0
    sizes: dict[str, int] = field(default_factory=dict)
    models: list[Model] = field(default_factory=list)
    loading: Callable[[str], None] = lambda name: None

    def __post_init__(self) -> None:
        self.pool = self.new()

    def new(self, **named: object) -> Pool:
        read = lambda held: MemoryUse(self.others + held, self.limit)  # noqa: E731
        kept: dict[str, object] = {"lives": False, "read": read, "clock": lambda: self.now, **named}
        return Pool(lambda: self.rules, **kept)  # type: ignore[arg-type]

    def wanted(self, name: str, *, remote: bool = False) -> Wanted:
        def load() -> Model:
            self.loading(name)
            self.models.append(Model(name))
            return self.models[-1]

        need = None if remote else lambda: self.sizes.get(name, 10)
        return Wanted(name, name, Picked(None, ""), load, need)  # type: ignore[arg-type]

    def use(self, *names: str) -> None:
        """Load and give back, in this order."""
        for name in names:
            self.now += 1
            self.pool.lease(self.wanted(name)).release()

    @property
    def loads(self) -> list[str]:
        return [one.name for one in self.models]

    @property
    def there(self) -> str:
        return "".join(sorted(self.pool.names))


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.pool.close()


def at_once(count: int, work: Callable[[int], object]) -> list[BaseException]:
    """Run in so many threads; what they raised."""
    raised: list[BaseException] = []

    def run(at: int) -> None:
        try:
            work(at)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(at,), daemon=True) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive(), "it hangs"
    return raised


def waits(pool: Pool) -> None:
    """Until a thread waits for a change of the pool."""
    deadline = time.monotonic() + LONG
    while not pool._changed._waiters:  # type: ignore[attr-defined]
        assert time.monotonic() < deadline
        time.sleep(0.001)


# -- decisions ---------------------------------------------------------------------------------

HELD = st.builds(
    Held, st.uuids(), st.just("m"), st.integers(0, 50), st.floats(0, 9), st.integers(0, 2)
)


@given(st.lists(HELD, max_size=8), st.integers(-10, 200))
def test_what_leaves_is_idle_enough_and_no_more_than_is_needed(
    held: list[Held], excess: int
) -> None:
    gone = evict(held, excess)
    freed = sum(one.bytes for one in gone)
    idle = [one for one in held if not one.leases]
    assert not any(one.leases for one in gone)
    if freed < excess:
        assert sum(one.bytes for one in idle) == freed
    else:
        assert all(freed - one.bytes < excess for one in gone)


@given(st.lists(HELD, max_size=6), st.integers(0, 80), st.integers(0, 60))
def test_a_plan_makes_room_or_says_that_there_is_none(
    held: list[Held], need: int, others: int
) -> None:
    use = MemoryUse(others + sum(one.bytes for one in held), 100)
    rules = Rules(threshold=0.8, high=0.9)
    made = plan(need, use, held, rules)
    left = use.used_bytes - sum(one.bytes for one in made.evicted)
    stays = {one.key for one in held if one.bytes} - {one.key for one in made.evicted}
    if made.refused:
        assert not made.evicted
        assert others > 90 or need + others > 90
    elif made.awaited:
        busy = {one.key for one in held if one.leases}
        assert {one.key for one in made.awaited} <= busy
    else:
        assert left + (need if stays else 0) <= 90


def test_without_figures_everything_is_loaded() -> None:
    assert plan(10**12, None, [Held("a", "a", 10**12, 0.0)], Rules()) == plan(0, None, [], Rules())


# -- loading -----------------------------------------------------------------------------------


def test_threads_that_ask_for_the_same_model_load_it_once(world: World) -> None:
    world.loading = lambda name: waits(world.pool)
    leases: list[object] = []
    assert not at_once(16, lambda at: leases.append(world.pool.lease(world.wanted("a"))))
    assert world.loads == ["a"]
    assert len(leases) == 16
    assert world.pool.busy() == {"a": 16}


def test_a_load_that_fails_fails_for_all_who_wait_and_is_tried_anew(world: World) -> None:
    error = DamagedFile("cut", "get it again")

    def fails(name: str) -> None:
        waits(world.pool)
        raise error

    world.loading = fails
    raised = at_once(2, lambda at: world.use("a"))
    assert [(type(one), str(one)) for one in raised] == [(DamagedFile, "cut")] * 2
    assert raised[0] is not raised[1]
    assert all(isinstance(one, LlmrrError) and one.hint == "get it again" for one in raised)
    world.loading = lambda name: None
    world.use("a")
    assert world.there == "a"


def test_who_waits_for_a_load_that_was_interrupted_loads_it(world: World) -> None:
    first = threading.Event()

    def interrupted(name: str) -> None:
        if not first.is_set():
            first.set()
            waits(world.pool)
            raise KeyboardInterrupt

    world.loading = interrupted
    raised = at_once(2, lambda at: world.pool.lease(world.wanted("a")).release())
    assert [type(one) for one in raised] == [KeyboardInterrupt]
    assert world.there == "a"


def test_two_models_load_at_once_where_memory_holds_both(world: World) -> None:
    both = threading.Barrier(2)
    world.loading = lambda name: (both.wait(LONG), None)[1]
    assert not at_once(2, lambda at: world.use("ab"[at]))
    assert world.there == "ab"


def test_where_memory_holds_one_the_other_waits_for_its_end(world: World) -> None:
    world.sizes = {"a": 60, "b": 60}
    lease = world.pool.lease(world.wanted("a"))
    loaded = threading.Event()

    def other() -> None:
        world.pool.lease(world.wanted("b"), time.monotonic() + LONG).release()
        loaded.set()

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    waits(world.pool)
    assert not loaded.is_set()
    assert not world.models[0].is_closed.is_set()
    lease.release()
    assert loaded.wait(LONG)
    thread.join()
    assert world.models[0].is_closed.is_set()
    assert world.there == "b"


def test_a_wait_has_an_end_that_names_what_is_in_the_way(world: World) -> None:
    world.sizes = {"a": 60, "b": 60}
    with world.pool.lease(world.wanted("a")):
        raised = at_once(1, lambda at: world.pool.lease(world.wanted("b"), time.monotonic()))
    [error] = raised
    assert isinstance(error, DoesNotFit)
    assert error.exit_code == 5
    assert str(error) == (
        "b is not loaded: 0.0 MB of 0.0 MB of memory are in use (60%), it needs 0.0 MB, and "
        "[memory] high is 100%; loaded: a (0.0 MB, in use)"
    )


def test_nobody_waits_for_himself(world: World) -> None:
    world.sizes = {"a": 60, "b": 60}
    with world.pool.lease(world.wanted("a")), pytest.raises(DoesNotFit, match=r"a .*in use"):
        world.pool.lease(world.wanted("b"))
    world.use("b")
    assert world.there == "b"


def test_of_two_that_would_wait_for_each_other_one_is_told(world: World) -> None:
    world.sizes = {"a": 10, "b": 60, "x": 60, "y": 40}
    world.use("a", "b")
    both = threading.Barrier(2)
    refused: list[str] = []
    given: list[str] = []

    def work(at: int) -> None:
        own, other = ("a", "x") if at else ("b", "y")  # x needs the room of b, and y that of a
        with world.pool.lease(world.wanted(own)):
            both.wait(LONG)
            try:
                world.pool.lease(world.wanted(other), time.monotonic() + LONG).release()
                given.append(other)
            except DoesNotFit:
                refused.append(other)

    began = time.monotonic()
    assert not at_once(2, work)
    assert (len(refused), len(given)) == (1, 1)
    assert time.monotonic() - began < LONG


def test_who_waits_for_room_is_not_overtaken_for_ever(world: World) -> None:
    world.sizes = {"a": 60, "b": 60}
    order: list[str] = []
    lease = world.pool.lease(world.wanted("a"))

    def ask(name: str) -> None:
        with world.pool.lease(world.wanted(name), time.monotonic() + LONG):
            order.append(name)

    first = threading.Thread(target=ask, args=("b",), daemon=True)
    first.start()
    waits(world.pool)
    second = threading.Thread(target=ask, args=("a",), daemon=True)  # loaded, and wanted by b
    second.start()
    second.join(0.05)
    assert order == []
    lease.release()
    first.join(LONG)
    second.join(LONG)
    assert order == ["b", "a"]


# -- unloading ---------------------------------------------------------------------------------


def test_the_least_recently_used_leaves_for_as_many_bytes_as_are_needed(world: World) -> None:
    world.sizes = {"a": 30, "b": 30, "c": 30, "d": 40}
    world.use("a", "b", "c", "a", "d")
    assert world.there == "acd"
    world.use("b")
    assert world.there == "abd"
    assert [one.is_closed.is_set() for one in world.models] == [False, True, True, False, False]


def test_what_runs_stays_whatever_others_need(world: World) -> None:
    world.sizes = {"a": 40, "b": 40, "c": 40}
    with world.pool.lease(world.wanted("a")):
        world.use("b", "c")
        assert world.there == "ac"
        assert world.pool.unload_unused() == ["c"]
        assert world.there == "a"
        assert not world.models[0].is_closed.is_set()
    assert world.pool.unload_unused() == ["a"]


def test_above_the_threshold_what_is_idle_leaves(world: World) -> None:
    world.rules = Rules(threshold=0.5, high=0.9)
    world.sizes = {"a": 20, "b": 20, "c": 20}
    world.use("a", "b", "c")
    assert world.there == "bc"
    world.rules = world.rules._replace(auto_unload=False)
    world.use("a")
    assert world.there == "abc"
    assert world.pool.sweep() == []
    world.others = 35
    world.rules = world.rules._replace(auto_unload=True)
    assert world.pool.sweep() == ["b", "c", "a"]


def test_above_high_nothing_is_loaded(world: World) -> None:
    world.rules = Rules(threshold=0.5, high=0.9)
    world.use("a")
    world.others = 91
    with pytest.raises(DoesNotFit, match=r"\(101%\).* high is 90%; loaded: a"):
        world.use("b")
    world.others = 85
    world.use("b")
    assert world.there == "b"  # alone: its engine has measured it


def test_what_is_idle_for_long_leaves(world: World) -> None:
    world.rules = ALL._replace(unload_after=10.0)
    world.use("a", "b")
    lease = world.pool.lease(world.wanted("c"))
    world.pool.lease(world.wanted("far", remote=True)).release()
    world.now = 11.5
    assert world.pool.sweep() == ["a"]
    world.now = 50.0
    assert world.pool.unload_unused(45.0) == ["b"]
    assert world.there == "cfar"
    assert world.pool.sweep() == []
    assert world.there == "c"
    lease.release()
    assert world.pool.sweep() == []
    assert world.there == "c"


def test_a_living_process_unloads_by_itself(world: World) -> None:
    world.rules = ALL._replace(unload_after=0.02)
    pool = world.new(lives=True, clock=time.monotonic)
    lease = pool.lease(world.wanted("a"))
    assert not world.models[0].is_closed.wait(0.1)
    lease.release()
    assert world.models[0].is_closed.wait(LONG)
    deadline = time.monotonic() + LONG
    while _sweepers():  # the thread ends when nothing is left
        assert time.monotonic() < deadline
        time.sleep(0.005)
    pool.lease(world.wanted("a")).release()
    assert world.models[1].is_closed.wait(LONG)
    pool.close()


def test_a_process_that_ends_with_its_answer_has_no_such_thread(world: World) -> None:
    world.use("a")
    assert not _sweepers()
    world.pool.close(leave=True)
    assert not world.models[0].is_closed.is_set()


def test_a_pool_that_is_forgotten_ends_its_thread(world: World) -> None:
    world.rules = ALL._replace(interval=0.02, unload_after=1e6)
    pool = world.new(lives=True)
    pool.lease(world.wanted("a")).release()
    assert _sweepers()
    del pool
    deadline = time.monotonic() + LONG
    while _sweepers():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _sweepers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "llmrr-pool"]


def test_a_lease_that_is_forgotten_is_given_back(world: World) -> None:
    lease = world.pool.lease(world.wanted("a"))
    lease.release()
    lease.release()
    kept = world.pool.lease(world.wanted("a"))
    assert world.pool.busy() == {"a": 1}
    del kept
    assert world.pool.busy() == {}
    assert world.pool.unload_unused() == ["a"]


def test_close_frees_what_runs_too_and_the_pool_goes_on(world: World) -> None:
    lease = world.pool.lease(world.wanted("a"))
    world.pool.close()
    world.pool.close()
    assert world.models[0].is_closed.is_set()
    lease.release()
    world.use("a")
    assert world.loads == ["a", "a"]


def test_what_is_closed_while_it_loads_is_freed_at_once(world: World) -> None:
    began, goes_on = threading.Event(), threading.Event()

    def slow(name: str) -> None:
        began.set()
        goes_on.wait(LONG)

    world.loading = slow
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            world.use("a")
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    assert began.wait(LONG)
    world.pool.close()
    goes_on.set()
    thread.join(LONG)
    assert [type(one) for one in raised] == [EngineFailed]
    assert world.models[0].is_closed.is_set()
    assert world.there == ""


def test_who_waits_for_room_when_the_pool_is_closed_gets_none(world: World) -> None:
    world.sizes = {"a": 60, "b": 60}
    lease = world.pool.lease(world.wanted("a"))
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            world.pool.lease(world.wanted("b"))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    waits(world.pool)
    world.pool.close()
    thread.join(LONG)
    assert [type(one) for one in raised] == [EngineFailed]
    assert world.there == ""
    lease.release()


def test_models_elsewhere_take_no_bytes_and_are_not_kept_without_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "REMOTE_KEPT", 3)
    world.others = 1000
    with ExitStack() as kept:
        kept.enter_context(world.pool.lease(world.wanted("z", remote=True)))
        for name in "abcde":
            world.now += 1
            world.pool.lease(world.wanted(name, remote=True)).release()
        assert world.there == "cdez"
    assert world.pool.held() == []


def test_many_threads_many_models_and_room_for_few(world: World) -> None:
    world.limit = 45
    sizes = {"a": 10, "b": 15, "c": 20, "d": 25, "e": 40}
    world.sizes = sizes
    pool = world.new(lives=True, clock=time.monotonic)
    world.rules = Rules(threshold=0.9, high=1.0, unload_after=0.001, interval=0.001)
    done: list[str] = []
    over: list[list[Held]] = []

    def work(at: int) -> None:
        for turn in range(40):
            name = "abcdef"[(at * 7 + turn * (1 + at % 5)) % 6]
            remote = name == "f"
            lease = pool.lease(world.wanted(name, remote=remote), time.monotonic() + LONG)
            model: Model = lease.model  # type: ignore[assignment]
            assert (model.name, model.is_closed.is_set()) == (name, False)
            held = pool.held()
            if sum(one.bytes for one in held) > world.limit:
                over.append(held)
            if turn % 7 == 0:
                pool.unload_unused()
            assert not model.is_closed.is_set()
            lease.release()
            done.append(name)

    assert at_once(24, work) == []
    assert len(done) == 24 * 40
    assert over == []
    assert pool.busy() == {}
    pool.close()
    assert all(one.is_closed.is_set() for one in world.models)


def test_what_would_be_refused_is_known_without_many_readings() -> None:
    readings: list[int] = []
    world = World(sizes={"a": 40, "b": 70})

    def read(held: int) -> MemoryUse:
        readings.append(held)
        return MemoryUse(world.others + held, world.limit)

    pool = world.new(read=read)
    a, b, far = world.wanted("a"), world.wanted("b"), world.wanted("far", remote=True)
    for _ in range(3):
        assert pool.refusals([a, b, far]) == {}
    assert readings == [0]
    with pool.lease(a):
        readings.clear()
        assert pool.refusals([a, b]) == {}  # b only has to wait
        world.others, world.now = 110, 2.0
        found = pool.refusals([a, b])
    assert list(found) == ["b"]
    assert "it needs 0.0 MB" in found["b"].message
    assert readings == [40, 40]
    world.others = 0
    assert pool.refusals([b]) == {}  # looked at anew before it is refused
