"""Flags: when one is on, what it sets, and how that meets the call and the configuration."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import builders
import pytest
from fakes import FakeEngine
from terminal import Typed

from llmrr import config
from llmrr.errors import BadConfig, NotFound
from llmrr.flags import GUIDE, Flag
from llmrr.router import Router
from llmrr.routing.flags import NO_EFFECT, WEEK_S, Effect, active, draw_key, drawn
from llmrr.types import Message, Request

NOW = 1_800_000_000.0
HELLO = Request(messages=(Message("user", "hello"),))


def is_on(flag: Flag, key: str = "k", now: float = NOW, **environ: str) -> bool:
    found = active([flag._replace(strategy="random")], key, now, environ)
    assert (found.strategy == "random") == bool(found.acted)
    return bool(found.acted)


# -- when one is on ----------------------------------------------------------------------------


def test_a_share_is_stable_per_key_and_grows() -> None:
    keys = [f"user {number}" for number in range(4000)]
    shares = (0.0, 0.1, 0.25, 0.9, 1.0)
    inside = [
        {key for key in keys if is_on(Flag("new", rollout=share), key)} for share in shares
    ]
    for share, found in zip(shares, inside, strict=True):
        assert abs(len(found) / len(keys) - share) < 0.02
    assert all(small <= large for small, large in pairwise(inside))
    other = {key for key in keys if is_on(Flag("other", rollout=0.25), key)}
    assert abs(len(other & inside[2]) / len(keys) - 0.25 * 0.25) < 0.02  # of its own
    assert drawn("new", "\ud800") == drawn("new", "\ud800")


def test_the_key_is_the_user_or_how_the_conversation_began() -> None:
    begun = Request(messages=(Message("system", "Be brief."), Message("user", "hello")))
    later = Request(messages=(*begun.messages, Message("assistant", "hi"), Message("user", "so?")))
    assert draw_key(begun) == draw_key(later) == draw_key(HELLO) == "hello"
    assert (draw_key(later, "alice"), draw_key(Request(prompt="Once"))) == ("alice", "Once")
    assert draw_key(Request(tokens=(1, 2))) != draw_key(Request(tokens=(1, 3)))


def test_dates() -> None:
    flag = Flag("new", start=NOW, end=NOW + 10)
    moments = (NOW - 1, NOW, NOW + 9, NOW + 10)
    assert [is_on(flag, now=now) for now in moments] == [False, True, True, False]
    assert is_on(Flag("new", end=NOW + 1)) and not is_on(Flag("new", end=NOW))
    assert is_on(Flag("new")) and not is_on(Flag("new", start=NOW, rollout=0))


def test_weeks() -> None:
    flag = Flag("second", week=2, origin=NOW)
    weeks = [is_on(flag, now=NOW + at * WEEK_S) for at in (-1, 0, 0.99, 1, 5)]
    assert weeks == [False, False, False, True, True]


def test_a_schedule_of_shares() -> None:
    flag = Flag("new", schedule=((2, 0.5), (4, 0.0), (5, 1.0)), origin=NOW)
    keys = [f"user {number}" for number in range(1000)]
    shares = [
        sum(is_on(flag, key, NOW + week * WEEK_S) for key in keys) / len(keys)
        for week in (-1, 0, 1, 2.5, 3, 4, 30)
    ]
    assert [round(share, 1) for share in shares] == [0, 0, 0.5, 0.5, 0, 1, 1]


@pytest.mark.parametrize("word", ["true", "1", "YES", "on", " True "])
def test_a_variable_decides_alone(word: str) -> None:
    flag = Flag("new", env="FF_NEW", rollout=0.0, end=NOW - 1)
    assert is_on(flag, FF_NEW=word)
    assert not is_on(flag)


@pytest.mark.parametrize("word", ["false", "0", "No", "off"])
def test_a_variable_turns_off(word: str) -> None:
    assert not is_on(Flag("new", env="FF_NEW", rollout=1.0), FF_NEW=word)
    assert is_on(Flag("new", env="FF_NEW", rollout=1.0))
    assert is_on(Flag("new", env="FF_NEW", rollout=1.0), FF_NEW="")
    assert not is_on(Flag("new", env="FF_NEW"))


def test_a_value_that_is_neither_is_an_error_that_names_the_variable() -> None:
    with pytest.raises(BadConfig, match='FF_NEW = "maybe" is neither true nor false') as caught:
        is_on(Flag("new", env="FF_NEW"), FF_NEW="maybe")
    assert "FF_NEW=true" in caught.value.hint
    with pytest.raises(BadConfig) as caught:
        is_on(Flag("new", env="OPENAI_API_KEY"), OPENAI_API_KEY="sk-swordfish")
    assert "swordfish" not in f"{caught.value.message}{caught.value.hint}"


# -- what they set -----------------------------------------------------------------------------


def test_of_two_flags_the_later_one_holds() -> None:
    flags = [
        Flag("one", strategy="random", cache={"enabled": True}),
        Flag("two", strategy="adaptive", rollout=0.0),
        Flag("three", strategy="round-robin"),
        Flag("four"),
    ]
    found = active(flags, "k", NOW, {})
    assert (found.strategy, found.cache) == ("round-robin", {"enabled": True})
    assert [(one.name, dict(one.sets)) for one in found.acted] == [
        ("one", {"cache": {"enabled": True}}), ("three", {"strategy": "round-robin"})
    ]  # fmt: skip
    assert found.notes == (
        "the flags one and three both set strategy: three holds, the later one",
    )


def test_what_the_call_states_no_flag_sets() -> None:
    flags = [Flag("one", strategy="random", models=("a",), cache={"enabled": False})]
    found = active(flags, "k", NOW, {}, ["a"], {"strategy", "models"})
    assert found == Effect(cache={"enabled": False}, acted=found.acted)
    assert dict(found.acted[0].sets) == {"cache": {"enabled": False}}
    assert active(flags, "k", NOW, {}, ["a"], {"strategy", "models", "cache"}) == NO_EFFECT


def test_the_guides_variables() -> None:
    names = ["llama-2-13b", "mixtral-8x7b", "other"]
    every = {"FF_NEW_ROUTING": "true", "FF_NEW_CACHING": "true", "FF_NEW_MODELS": "true"}
    found = active(GUIDE, "k", NOW, every, names)
    assert found.strategy == "quality-first"
    assert found.models == ("llama-2-13b", "mixtral-8x7b")
    assert found.cache == {"enabled": True, "ttl": 3600}
    assert not found.notes
    assert active(GUIDE, "k", NOW, dict.fromkeys(every, "false"), names) == NO_EFFECT
    assert active(GUIDE, "k", NOW, {}, names) == NO_EFFECT


def test_models_that_are_not_there_are_told() -> None:
    some = active(GUIDE, "k", NOW, {"FF_NEW_MODELS": "1"}, ["mixtral-8x7b", "x"])
    assert some.models == ("mixtral-8x7b",)
    assert some.notes == (
        "the flag new-models (FF_NEW_MODELS=1) is for llama-2-13b, and no [[models]] is called so: "
        "only mixtral-8x7b of its models",
    )
    none = active(GUIDE, "k", NOW, {"FF_NEW_MODELS": "1"}, ["x"])
    assert (none.models, none.acted) == (None, ())
    assert "llama-2-13b, mixtral-8x7b" in none.notes[0]


# -- llmrr.toml --------------------------------------------------------------------------------

MODELS = "".join(f"[[models]]\nname = '{name}'\nsource = 'file:./tiny.gguf'\n" for name in "abc")


def configure(text: str, models: str = MODELS) -> Path:
    builders.tiny_llama(Path("tiny.gguf"))
    path = Path("llmrr.toml").absolute()
    path.write_text(f"version = 1\n{models}{text}\n")
    return path


def test_what_a_flag_may_state() -> None:
    configure(
        "[flags]\nstart = 2026-12-01\n"
        "[flags.all]\nrollout = 0.25\nstart = 2026-12-08T00:00:00Z\nend = '2027-01-31'\n"
        "env = 'FF_ALL'\nset = { strategy = 'quality-optimized', models = ['a'], cache = true }\n"
        "[flags.weekly]\nschedule = [{ week = 1, rollout = 0.1 }, { week = 2, rollout = 1 }]\n"
        "set = { cache = { ttl = 60 } }\n"
        "[flags.second]\nweek = 2\nset.cache = { enabled = false }"
    )
    loaded = config.load()
    assert 'the strategy "quality-optimized" is taken as quality-first' in loaded.warnings[0]
    assert "line 18)" in loaded.warnings[0]
    one, two, three, *guide = loaded.flags
    assert tuple(guide) == GUIDE
    assert (one.rollout, one.env, one.strategy) == (0.25, "FF_ALL", "quality-first")
    assert one.start == datetime(2026, 12, 8, tzinfo=UTC).timestamp()
    assert one.end == datetime(2027, 2, 1).timestamp()
    assert (one.models, one.cache) == (("a",), {"enabled": True})
    assert two.schedule == ((1, 0.1), (2, 1.0))
    assert two.origin == three.origin == datetime(2026, 12, 1).timestamp()
    assert (two.cache, three.cache) == ({"enabled": True, "ttl": 60}, {"enabled": False})


def test_a_flag_of_ones_own_replaces_the_guides() -> None:
    configure("[flags.routes]\nenv = 'FF_NEW_ROUTING'\nset = { strategy = 'random' }\n"
              "[flags.new-caching]\nrollout = 0.5\nset = { cache = false }")  # fmt: skip
    assert [flag.name for flag in config.load().flags] == ["routes", "new-caching", "new-models"]


@pytest.mark.parametrize(
    ("text", "said", "line", "hint"),
    [
        ("rollout = 1.5", "rollout = 1.5 is not a number from 0 to 1", 12, ""),
        ("rollout = '10%'", "is not a number", 12, ""),
        ("start = 2027-01-01\nend = 2026-01-01", "ends before it starts", 13, "later end"),
        ("start = 'soon'", 'start = "soon" is not a date', 12, "2026-12-01"),
        ("start = 07:32:00", "is not a date", 12, ""),
        ("end = 1", "is not a date", 12, ""),
        ("env = 'not a name'", "the name of an environment variable", 12, ""),
        ("week = 2", "counts weeks, and has no start", 12, "add start = "),
        ("week = 0\nstart = 2026-12-01", "a whole number from 1", 12, ""),
        ("schedule = [{ week = 1, rollout = 1 }]", "counts weeks, and has no start", 12, "start"),
        ("schedule = [{ week = 1 }]", "is not a list of { week, rollout }", 12, ""),
        ("schedule = [{ week = 1, rollout = 2 }]", "rollout = 2 is not a number from 0", 12, ""),
        ("schedule = [{ week = 2, rollout = 0 }, { week = 2, rollout = 1 }]",
         "week 2 comes after week 2", 12, ""),
        ("rollout = 1\nstart = 2026-12-01\nschedule = [{ week = 1, rollout = 1 }]",
         "a rollout and a schedule", 14, ""),
        ("week = 1\nstart = 2026-12-01\nschedule = [{ week = 1, rollout = 1 }]",
         "a week and a schedule", 14, ""),
        ("set = { strategy = 'quality-frist' }", "did you mean quality-first", 12, ""),
        ("set = { stratgy = 'random' }", "unknown key flags.x.set.stratgy", 12, "strategy?"),
        ("set = { models = ['a', 'bb'] }", "'x' names 'bb', and no [[models]]", 12, "mean b?"),
        ("set = { models = [] }", "'x' leaves no model", 12, ""),
        ("set = { cache = { tll = 5 } }", "unknown key tll; did you mean ttl?", 12, ""),
        ("set = { cache = { ttl = 0 } }", "flags.x.set.cache", 12, ""),
        ("set = { cache = 'yes' }", "flags.x.set.cache = \"yes\" is not true, false", 12, ""),
        ("set = 'random'", "is not a table", 12, ""),
        ("rolout = 1", "unknown key flags.x.rolout", 12, "rollout?"),
    ],
)  # fmt: skip
def test_what_is_refused_names_value_place_and_cure(
    text: str, said: str, line: int, hint: str
) -> None:
    configure(f"[flags.x]\n{text}")
    with pytest.raises(BadConfig) as caught:
        config.load()
    assert said in caught.value.message
    assert f"line {line})" in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ["flags = 1\n", "[flags]\nx = 1\n", "[flags]\nstart = 1\n"])
def test_flags_are_tables(text: str) -> None:
    Path("llmrr.toml").write_text(text)
    with pytest.raises(BadConfig, match="flags"):
        config.load()


def test_models_of_another_file() -> None:
    user = config.user_file()
    user.parent.mkdir(parents=True)
    user.write_text(f"{MODELS}[flags.x]\nset = {{ models = ['a'] }}\n")
    configure("", "[[models]]\nname = 'mine'\nsource = 'file:./tiny.gguf'\n")
    assert config.load().flags[0].models == ("a",)  # the project replaced what it names
    configure("[flags.y]\nset = { models = ['aa'] }", "")
    with pytest.raises(BadConfig, match="'y' names 'aa'") as caught:
        config.load()
    assert caught.value.hint == "did you mean a?"


def test_a_flag_of_the_project_comes_after_those_of_the_user() -> None:
    user = config.user_file()
    user.parent.mkdir(parents=True)
    user.write_text("[flags.x]\nset.strategy = 'random'\n[flags.y]\nset.strategy = 'adaptive'\n")
    configure("[flags.x]\nset.strategy = 'ensemble'")
    assert [flag.strategy for flag in config.load().flags[:2]] == ["adaptive", "ensemble"]


def test_a_flag_that_sets_nothing_is_told() -> None:
    configure("[flags.x]\nrollout = 0.5")
    assert "the flag 'x' sets nothing" in config.load().warnings[0]


def test_config_shows_flags(typed: Typed) -> None:
    configure("[flags.x]\nset = { strategy = 'random', cache = false }")
    shown = {one["key"]: one["value"] for one in typed("config", "show", "--json").json}
    assert shown["flags.x"] == 'strategy = "random", cache = { enabled = false }'


# -- on the way of a request -------------------------------------------------------------------


def test_a_flag_comes_before_the_configuration_and_after_the_call(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure("[flags.x]\nset = { strategy = 'random', models = ['b', 'c'] }",
              "strategy = 'adaptive'\n" + MODELS)  # fmt: skip
    monkeypatch.setenv("LLMRR_STRATEGY", "speed-priority")
    with Router() as router:
        found = router.route(HELLO)
        assert found.strategy == "random"
        assert {one.name for one in found.ranked} == {"b", "c"}
        assert {one.name: one.why for one in found.rejected} == {"a": "the flag x leaves it out"}
        assert found.facts()["flags"] == [
            {"name": "x", "why": "always", "set": {"strategy": "random", "models": ("b", "c")}}
        ]
        stated = router.route(HELLO, strategy="round-robin")
        assert stated.strategy == "round-robin"
        assert stated.facts()["flags"][0]["set"] == {"models": ("b", "c")}
        engine.replies = ["hi"]
        answer = router.run(HELLO, model="a")
        assert "".join(chunk.text for chunk in answer) == "hi"
        assert answer.model.name == "a"


def test_a_group_that_is_named_is_left_alone(engine: FakeEngine) -> None:
    models = MODELS.replace("source =", "group = 'g'\nsource =")
    configure("[flags.x]\nset = { strategy = 'round-robin', models = ['b'] }", models)
    with Router() as router:
        found = router.route(HELLO, model="g")
        assert (found.strategy, len(found.candidates), found.flags) == ("random", 3, NO_EFFECT)


def test_a_user_is_always_in_or_out(engine: FakeEngine) -> None:
    configure("[flags.x]\nrollout = 0.5\nset = { strategy = 'random' }")
    with Router() as router:
        for user in map(str, range(20)):
            prompts = [Request(prompt=str(number)) for number in range(5)]
            found = {router.route(one, user=user).strategy for one in prompts}
            assert found == {"random" if drawn("x", user) < 0.5 else "balanced"}


def test_what_a_flag_leaves_out_is_still_in_the_chain(engine: FakeEngine) -> None:
    configure("[flags.x]\nset = { models = ['b'] }", "fallback_chain = ['a']\n" + MODELS)
    with Router() as router:
        assert router.route(HELLO).asked == ("b", "a")
        assert router.route(HELLO, fallback=["c"]).asked == ("b", "c")
    configure("[flags.x]\nset = { models = ['b', 'c'] }")
    with Router() as router:
        assert set(router.route(HELLO).asked) == {"b", "c"}
        assert router.route(HELLO, need=["code"]).chosen is None
        with pytest.raises(NotFound, match="the flag x leaves it out"):
            router.run(HELLO, need=["code"])


def test_the_cache_that_a_flag_sets_reaches_every_request(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmrr.choosing.wishes import Moment, Wish

    configure("")
    monkeypatch.setenv("FF_NEW_CACHING", "true")
    with Router() as router:
        for wish in (Wish(), Wish(model="a")):
            chosen = router.selection.choose(HELLO, wish, Moment())
            assert chosen.flags.cache == {"enabled": True, "ttl": 3600}


def test_the_command_line_tells_which_flags_acted(
    typed: Typed, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = datetime.now() - timedelta(days=8)
    configure(f"[flags.slow]\nweek = 2\nstart = {begun.isoformat()}\nset.strategy = 'random'")
    monkeypatch.setenv("FF_NEW_ROUTING", "true")
    monkeypatch.setenv("FF_NEW_MODELS", "true")
    engine.replies = ["x", "y"]
    seen = typed("run", "--explain", "hello")
    assert 'flag new-routing (FF_NEW_ROUTING=true): strategy = "quality-first"' in seen.err
    assert "the flags slow and new-routing both set strategy: new-routing holds" in seen.err
    assert "is for llama-2-13b, mixtral-8x7b, and no [[models]] is called so" in seen.err
    monkeypatch.setenv("FF_NEW_ROUTING", "off")
    seen = typed("route", "hello")
    assert 'flag slow (in its time, week 2): strategy = "random"' in seen.out
    facts = typed("run", "--json", "hello").json["decision"]
    assert (facts["strategy"], facts["flags"][0]["name"]) == ("random", "slow")
    monkeypatch.setenv("FF_NEW_ROUTING", "perhaps")
    seen = typed("route", "hello")
    assert (seen.code, 'FF_NEW_ROUTING = "perhaps"' in seen.err) == (8, True)


def test_notes_are_told_once(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    configure("")
    monkeypatch.setenv("FF_NEW_MODELS", "true")
    told: list[str] = []
    with Router(warn=told.append) as router:
        for _ in range(3):
            router.route(HELLO)
    assert len(told) == 1


def test_what_makes_vectors_is_not_narrowed(engine: FakeEngine) -> None:
    configure("[flags.x]\nset = { models = ['b', 'c'] }")
    with Router() as router:
        assert len(router.route(HELLO, need=["embedding"]).candidates) == 3
        assert len(router.route(HELLO).candidates) == 2


def test_a_call_that_says_it_of_the_cache(engine: FakeEngine) -> None:
    configure("[flags.x]\nset = { cache = true }")
    engine.replies = ["hi", "ho"]
    with Router() as router:
        for stated, acted in ((None, ["x"]), (False, [])):
            answer = router.run(HELLO, cache=stated)
            list(answer)
            assert answer.decision is not None
            assert [one.name for one in answer.decision.flags.acted] == acted
