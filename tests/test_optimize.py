"""What the record of runs says, what the rules make of it, and what is changed by that."""

import time
import tomllib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import builders
import pytest
from fakes import FakeEngine
from hypothesis import given
from hypothesis import strategies as st
from terminal import Typed

from llmrr import config, database, journal, speeds, stats, trust
from llmrr.catalogue import identity_of
from llmrr.config import Setting
from llmrr.database import open_database
from llmrr.evaluate import scoring
from llmrr.optimize import alternatives, history, masks, proposals, report
from llmrr.optimize.alternatives import Measured
from llmrr.optimize.history import CacheUse, Counted, History, most_at_once
from llmrr.router import Router
from llmrr.stats import Run

NOON = datetime(2026, 3, 10, 12).timestamp()
NEAR, FAR = "file:./near.gguf", "openai:gpt-4o-mini"
TOML = """\
# ours
version = 1
strategy = "balanced"  # for now
preload = ["near"]

[[models]]
name = "near"
source = "file:./near.gguf"
weight = 0.5           # a guess

[[models]]
name = "far"
source = "openai:gpt-4o-mini"
options = { timeout = 30 }

[memory]
loading = "preload"
"""


def configure(text: str = TOML, path: Path | None = None) -> Path:
    path = path or Path("llmrr.toml").absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def a_run(model: str = "near", source: str = NEAR, **changes: object) -> Run:
    values: dict[str, object] = {
        "id": None, "at": time.time() - 3600, "model": model, "source": source,
        "engine": "llamacpp", "prompt_tokens": 10, "completion_tokens": 11, "first_token_s": 0.1,
        "total_s": 0.2, "finish_reason": "stop",
    } | changes  # fmt: skip
    return Run(**values)  # type: ignore[arg-type]


def far(**changes: object) -> Run:
    return a_run("far", FAR, **changes)


def record(*runs: Run) -> None:
    """Each a minute after the one before, so that no two are under way at once."""
    with closing(open_database()) as connection, database.transaction(connection):
        for number, run in enumerate(runs):
            stats.record(connection, replace(run, at=run.at - 60 * number))


def used(since: float = 0.0) -> History:
    with closing(open_database()) as connection:
        return history.read(connection, since)


# -- the facts ---------------------------------------------------------------------------------


def test_what_a_model_did() -> None:
    record(
        *[a_run(total_s=seconds, first_token_s=0.1) for seconds in (0.2, 0.3, 0.4)],
        a_run(error="TimedOut: near said nothing for 3 s", total_s=9.0, first_token_s=None),
        a_run(error="ContextOverflow: 9 tokens", total_s=9.0),
        a_run(finish_reason="cancelled", total_s=9.0),
        a_run(source="file:./before.gguf"),
        far(),
    )
    found = used().model("near", NEAR)
    assert found is not None
    assert (found.runs, found.successes, found.failures, found.judged) == (6, 3, 1, 4)
    assert found.success == 0.75
    assert found.mean_s == pytest.approx(0.3)
    assert found.p95_s == pytest.approx(0.39)
    assert (found.prompt_tokens, found.completion_tokens) == (10, 11)
    assert found.token_s == pytest.approx((0.1 + 0.2 + 0.3) / 30)
    assert used().runs == 8
    assert used().model("near", "file:./before.gguf") is not None
    assert used().model("far", NEAR) is None


def test_a_model_that_only_failed_has_no_latency() -> None:
    record(a_run(error="TimedOut: 3 s"), far(error="BadConfig: x"))
    near, remote = used().model("near", NEAR), used().model("far", FAR)
    assert near is not None
    assert remote is not None
    assert (near.success, near.mean_s, near.token_s) == (0.0, None, None)
    assert (remote.success, remote.runs) == (None, 1)


def test_only_what_is_recent_counts() -> None:
    with closing(open_database()) as connection:
        for at in (10.0, 20.0, 30.0):
            stats.record(connection, a_run(at=at))
    assert [used(since).runs for since in (0.0, 20.0, 30.5)] == [3, 2, 0]
    empty = used(99.0)
    assert (empty.models, empty.at_once, empty.peaks, empty.cache) == ((), 0, (), None)


def test_errors_are_counted_by_what_they_have_in_common() -> None:
    record(
        *[a_run(error=f'TimedOut: near said nothing for {n}.5 s ("{n}")') for n in range(3)],
        far(error="TimedOut: far said nothing for 7 s ('x y')"),
        far(error="RateLimited: far has had 3 requests"),
        far(error="UsageError: a wrong value 3"),
        far(error="UsageError: a wrong value 4"),
    )
    assert used().errors == (
        Counted('TimedOut: "…" said nothing for # s ("…")', 4),
        Counted('RateLimited: "…" has had # requests', 1),
    )
    assert used().refused == (Counted("UsageError: a wrong value #", 2),)


def test_prompts_are_counted_by_how_they_begin() -> None:
    record(
        *[a_run(prompt=f"Summarise page {n} of 'Book {n}', please") for n in range(3)],
        *[a_run(prompt=f"summarise  page\n{n} of 'Z'; please") for n in range(1)],
        a_run(prompt="Why?"),
        a_run(prompt=None),
    )
    found = used()
    assert found.shapes == (Counted('summarise page # of "…", please', 3),)
    assert found.worded == 5


def test_words_that_were_not_kept_are_unknown(typed: Typed, engine: FakeEngine) -> None:
    record(a_run(), a_run())
    assert (used().shapes, used().worded) == ((), 0)
    assert "their words were not kept" in typed("optimize").out


def test_the_busiest_hours_are_local() -> None:
    with closing(open_database()) as connection:
        for hour, many in ((12, 3), (9, 2), (23, 1), (1, 1)):
            for _ in range(many):
                at = datetime(2026, 3, 10, hour, 59).timestamp()
                stats.record(connection, a_run(at=at))
    found = used()
    assert (found.hours[12], found.hours[9], sum(found.hours)) == (3, 2, 7)
    assert found.peaks == (12, 9, 1)


def test_how_many_at_once_counts_loading_too() -> None:
    with closing(open_database()) as connection:
        stats.record(connection, a_run(at=0.0, load_s=2.0, total_s=1.0))
        stats.record(connection, a_run(at=2.5, total_s=1.0))
        stats.record(connection, a_run(at=3.5, total_s=1.0))
    assert used().at_once == 2


def test_what_the_cache_did() -> None:
    row = history.Row("near", NEAR, 10.0, 0.0, 0.1, 0.2, 1, 2, "stop", None, None)
    rows = [
        row, row._replace(looked_up=True), row._replace(at=20.0, looked_up=True),
        row._replace(at=20.0, looked_up=True, cache="exact", total_s=0.0, model="other"),
    ]  # fmt: skip
    found = history.summed(rows, 0.0)
    assert found.cache == CacheUse(1, 3)
    assert (found.runs, [model.runs for model in found.models], found.at_once) == (4, [3], 2)
    assert history.summed(rows, 0.0, 15.0).cache == CacheUse(1, 2)
    assert history.summed(rows[:1], 0.0).cache is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=12))
def test_at_once_is_what_counting_finds(spans: list[tuple[int, int]]) -> None:
    known = [(begin, begin + length) for begin, length in spans]
    at = [sum(1 for begin, end in known if begin <= moment < end) for moment in range(31)]
    assert most_at_once(known) == max(at)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("HTTP 503 from https://api.example.com/v1/chat?x=1: overloaded",
         "HTTP # from <address>: overloaded"),
        ("no route to 10.0.0.7:8080 or host.example:443", "no route to <address> or <address>"),
        ("request req_0a9f81bc11 of 6ba7b810-9dad-11d1-80b4-00c04fd430c8 failed",
         "request <id> of <id> failed"),
        ("cannot open /home/me/model v2.gguf: it isn't there",
         "cannot open <path> v#.gguf: it isn't there"),
        ("the key of me@example.com is refused", "the key of <address> is refused"),
        ("at 0x7ffe12 3,000 of 4.5", "at <id> # of #"),
        ("`a b` and “c d”", '"…" and "…"'),
        ("plain words only", "plain words only"),
    ],
)  # fmt: skip
def test_what_varies_is_masked(text: str, pattern: str) -> None:
    assert masks.error_pattern(text) == pattern


@pytest.mark.parametrize(
    "piece", ["1", "a", "1a", "a-", ".", "/", "'", '"', "a.", "1:", "[:", "@a"]
)
def test_no_text_takes_long_to_mask(piece: str) -> None:
    """A word is not looked at from each of its letters: that would not end here."""
    masks.error_pattern(piece * 50_000)
    masks.shape(piece * 50_000)


@given(st.text(max_size=300))
def test_any_prompt_has_a_shape(text: str) -> None:
    assert len(masks.shape(text)) <= 7 * 30
    assert masks.shape(text) == masks.shape(text.upper().lower()) or not text.isascii()


# -- the rules ---------------------------------------------------------------------------------


def judged(*runs: Run, text: str = TOML, **changes: Any) -> proposals.Advice:
    """What the rules say of these runs; ``changes`` are of the facts."""
    configure(text)
    record(*runs)
    found = config.load()
    facts = replace(used(), **changes)
    return proposals.propose(facts, found, proposals.rules_of(found), {}, ())


def proposed(*runs: Run, text: str = TOML, **changes: Any) -> dict[str, object]:
    return {one.key: one.new for one in judged(*runs, text=text, **changes).proposals}


def failed(many: int) -> list[Run]:
    return [a_run(error=f"TimedOut: {number} s") for number in range(many)]


def test_weight_is_the_success_rate() -> None:
    advice = judged(*[a_run()] * 40, *failed(20), *[far()] * 20)
    [weight] = [one for one in advice.proposals if one.key == "models.near.weight"]
    assert (weight.old, weight.new, weight.rule) == (0.5, 0.667, "weight")
    assert weight.evidence == "40 of 60 runs succeeded: weight = success rate"
    assert "models.far.weight" not in {one.key for one in advice.proposals}  # it is 1 already


def test_a_model_that_never_succeeds_keeps_the_smallest_weight() -> None:
    advice = judged(*failed(30))
    [weight] = [one for one in advice.proposals if one.rule == "weight"]
    assert weight.new == 0.01
    assert "at least 0.01" in weight.evidence
    assert any("near never succeeded in 30 runs" in note for note in advice.notes)
    assert not [one for one in advice.proposals if one.rule == "priority"]


@pytest.mark.parametrize(
    ("seconds", "rules", "priority"),
    [(0.499, "", 1), (0.5, "", 2), (0.7, "", 2), (0.7, "[optimize]\nfast_ms = 701", 1)],
)
def test_priority_is_by_mean_latency(seconds: float, rules: str, priority: int) -> None:
    found = proposed(*[a_run(total_s=seconds)] * 20, text=TOML + rules)
    assert found["models.near.priority"] == priority


@pytest.mark.parametrize(
    ("patterns", "used", "new"),
    [(11, "balanced", "reliability-first"), (10, "balanced", None), (10, "random", "balanced"),
     (11, "reliability-first", None)],
)  # fmt: skip
def test_many_error_patterns_ask_for_reliability(
    patterns: int, used: str, new: str | None
) -> None:
    errors = tuple(Counted(f"pattern {chr(97 + at)}", 1) for at in range(patterns))
    text = TOML.replace('"balanced"', f'"{used}"')
    advice = judged(*[a_run()] * 20, text=text, errors=errors)
    found = {one.key: one for one in advice.proposals}
    assert (found["strategy"].new if "strategy" in found else None) == new
    if new is None:
        [note] = [note for note in advice.notes if note.startswith("strategy stays")]
        assert f"{patterns} error patterns in 20 runs" in note


def test_patterns_come_from_the_record() -> None:
    kinds = [f"TimedOut: {chr(97 + at) * 3} went wrong" for at in range(11)]
    found = proposed(*[a_run()] * 20, *[a_run(error=error) for error in kinds])
    assert found["strategy"] == "reliability-first"


def test_too_few_runs_propose_nothing_and_say_so() -> None:
    advice = judged(*[a_run(total_s=3.0)] * 19)
    assert advice.proposals == ()
    assert advice.notes == (
        "near: 19 runs to judge it by, fewer than 20: nothing is proposed",
        "far: 0 runs to judge it by, fewer than 20: nothing is proposed",
        "19 runs in all, fewer than 20: nothing is proposed for all models together",
    )
    assert proposed(a_run(), text=TOML + "[optimize]\nmin_runs = 20")["models.near.priority"] == 2


@pytest.mark.parametrize(
    ("rule", "key", "before", "after"),
    [
        ("min_runs = 21", "models.near.priority", 2, None),
        ("fast_ms = 800", "models.near.priority", 2, 1),
        ("error_patterns = 2", "strategy", None, "reliability-first"),
        ("hit_rate = 0.5", "cache.ttl", 5400, None),
        ("ttl_factor = 2", "cache.ttl", 5400, 7200),
        ("concurrency = 6", "memory.loading", "lazy", None),
    ],
)
def test_the_rules_are_settings(rule: str, key: str, before: object, after: object) -> None:
    runs = [a_run(total_s=0.7)] * 20
    errors = tuple(Counted(f"pattern {at}", 1) for at in "abc")
    facts: dict[str, Any] = {"errors": errors, "cache": CacheUse(11, 20), "at_once": 6}
    assert proposed(*runs, **facts).get(key) == before
    assert proposed(text=f"{TOML}[optimize]\n{rule}\n", **facts).get(key) == after


def test_when_a_model_is_slow_and_how_many_are_preloaded_are_settings() -> None:
    text = TOML.replace('preload = ["near"]', "preload = []")
    before = judged(*[a_run(total_s=0.7)] * 20, text=text)
    assert "preload" in {one.key for one in before.proposals}
    assert not any("llmrr eval near" in note for note in before.notes)
    after = judged(text=f"{text}[optimize]\nslow_ms = 600\npreload = 0\n")
    assert "preload" not in {one.key for one in after.proposals}
    [note] = [note for note in after.notes if "llmrr eval near" in note]
    assert "mean latency 700 ms of 20 runs, over 600 ms" in note


def test_runs_under_another_source_say_nothing() -> None:
    assert "models.near.priority" not in proposed(*[a_run(source="file:./old.gguf")] * 30)


def test_what_the_environment_sets_is_not_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRR_STRATEGY", "random")
    advice = judged(*[a_run()] * 20)
    assert "strategy" not in {one.key for one in advice.proposals}
    assert any("would have no effect" in note and "LLMRR_STRATEGY" in note for note in advice.notes)


def with_settings(**stated: object) -> config.Config:
    """The configuration with settings in use."""
    found = config.load()
    more = {key.replace("__", "."): Setting(value, "default") for key, value in stated.items()}
    return found._replace(settings=MappingProxyType({**found.settings, **more}))


def of_all(runs: Sequence[Run], changes: dict[str, Any], **stated: object) -> dict[str, object]:
    configure()
    record(*runs)
    found = with_settings(**stated)
    facts = replace(used(), **changes)
    advice = proposals.propose(facts, found, proposals.rules_of(found), {}, ())
    return {one.key: one.new for one in advice.proposals}


@pytest.mark.parametrize(
    ("cache", "stated", "ttl"),
    [
        (CacheUse(11, 20), {}, 5400),
        (CacheUse(12, 20), {}, None),
        (CacheUse(5, 19), {}, None),
        (None, {}, None),
        (CacheUse(0, 20), {"cache__enabled": False}, None),
        (CacheUse(0, 20), {"cache__ttl": None}, None),
        (CacheUse(0, 20), {"optimize__ttl_factor": 2.0}, 7200),
        (CacheUse(0, 20), {"cache__ttl": 0.3}, 0.45),
        (CacheUse(11, 20), {"optimize__hit_rate": 0.5}, None),
    ],
)
def test_a_cache_that_seldom_has_the_answer_keeps_it_longer(
    cache: CacheUse | None, stated: dict[str, object], ttl: float | None
) -> None:
    known = {"cache__enabled": True, "cache__ttl": 3600.0, **stated}
    found = of_all([a_run()] * 20, {"cache": cache}, **known)
    assert found.get("cache.ttl") == ttl


@pytest.mark.parametrize(
    ("at_once", "loading", "preload", "wanted"),
    [
        (6, "preload", ("near",), {"memory.loading": "lazy"}),
        (6, "lazy", (), {}),
        (5, "lazy", (), {"memory.loading": "preload", "preload": ("near",)}),
        (5, "preload", ("near",), {}),
    ],
)
def test_many_at_once_load_lazily_and_few_preload(
    at_once: int, loading: str, preload: tuple[str, ...], wanted: dict[str, object]
) -> None:
    runs = [*[far()] * 30, *[a_run()] * 20]  # what answers elsewhere is not loaded here
    stated = {"memory__loading": loading, "preload": preload}
    found = of_all(runs, {"at_once": at_once}, **stated)
    about = {key: one for key, one in found.items() if key in stated or key == "memory.loading"}
    assert about == wanted


# -- a faster model ----------------------------------------------------------------------------


def score(name: str, correct: int, *, questions: int = 20, of: str = "a") -> scoring.Score:
    return scoring.Score(1.0, name, "s", "i", None, of, of, 20, questions, correct)


def speed(decode: float, *, prefill: float = 1000.0) -> speeds.Speed:
    return speeds.Speed(
        1.0, "m", "s", "i", None, "llamacpp", 2, 64, prefill, 64, decode, 0.1, 0.1, None
    )


SLOW = history.ModelUse("near", NEAR, 50, 50, 0, 2.0, 3.0, 100.0, 50.0, 0.5, 0.03)


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([Measured("b", "s:b", (score("b", 15),), speed(100.0))], "b"),
        ([Measured("b", "s:b", (score("b", 14),), speed(100.0))], None),  # not as good
        ([Measured("b", "s:b", (score("b", 15),), speed(20.0))], None),  # not as fast
        ([Measured("b", "s:b", (score("b", 20, of="other"),), speed(100.0))], None),
        ([Measured("b", "s:b", (score("b", 9, questions=10),), speed(100.0))], None),
        ([Measured("b", "s:b", (), speed(100.0))], None),
        ([Measured("b", "s:b", (score("b", 20),))], None),
        ([Measured("b", "s:b", (score("b", 15),), speed(100.0)),
          Measured("c", "s:c", (score("c", 16),), speed(200.0))], "c"),
        ([Measured("b", "s:b", (score("b", 15),), None, replace(SLOW, token_s=0.001))], "b"),
        ([Measured("b", "s:b", (score("b", 15),), speed(100.0), replace(SLOW, token_s=0.1))], None),
    ],
)  # fmt: skip
def test_the_fastest_of_those_that_are_as_good(others: list[Measured], found: str | None) -> None:
    slow = Measured("near", NEAR, (score("near", 15),))
    best = alternatives.faster(slow, SLOW, others, 20)
    assert (best.model.name if best else None) == found


def test_a_bench_of_both_must_agree() -> None:
    """Runs may be slow for the load of the machine; it would slow the other model, too."""
    other = Measured("b", "s:b", (score("b", 15),), speed(100.0))
    slow = Measured("near", NEAR, (score("near", 15),), speed(200.0))
    assert alternatives.faster(slow, SLOW, [other], 20) is None
    assert alternatives.faster(slow._replace(speed=speed(50.0)), SLOW, [other], 20) is not None


def measure(router: Router, name: str, correct: int, decode: float) -> None:
    """What ``eval`` and ``bench`` would keep."""
    entry = router.catalogue.entry(name)
    identity = identity_of(entry) or ""
    router.with_database(
        lambda connection: scoring.record(connection, replace(
            score(name, correct), source=entry.origin, identity=identity)), "")  # fmt: skip
    router.with_database(
        lambda connection: speeds.record(connection, replace(
            speed(decode), source=entry.origin, identity=identity)), "")  # fmt: skip


def test_a_faster_installed_model_is_proposed(typed: Typed) -> None:
    builders.tiny_llama(Path("near.gguf"))
    builders.tiny_llama(Path("quick.gguf"), seed=2)
    configure(TOML.replace('name = "far"', 'name = "quick"\npriority = 2'))
    typed("import", "quick.gguf", "--name", "quick:v2")
    typed("cp", "quick:v2", "made")  # one with a recipe of its own has no source
    record(*[a_run(total_s=2.0)] * 30)
    with Router() as router:
        before = report.look(router, 0.0)
        assert any("llmrr eval near" in note for note in before.advice.notes)
        measure(router, "near", 15, 50.0)
        assert any("none is known" in note for note in report.look(router, 0.0).advice.notes)
        measure(router, "quick:v2", 16, 400.0)
        found = report.look(router, 0.0)
    [added] = [one for one in found.advice.proposals if one.rule == "faster"]
    source = "file:./quick.gguf"
    assert (added.key, added.new) == ("models.quick:v2", {"name": "quick:v2", "source": source})
    assert "mean latency 2,000 ms of 30 runs, over 1,000 ms" in added.evidence
    assert "80% of the same 20 questions right against 75%" in added.evidence
    assert "about 38 ms (by llmrr bench)" in added.evidence
    found.write()
    with Router() as router:
        assert router.config.models[-1].source == source
        assert router.resolve("quick:v2").path == Path("quick.gguf").absolute()
        # It is configured now, and not proposed again.
        assert "faster" not in {one.rule for one in report.look(router, 0.0).advice.proposals}


# -- the files ---------------------------------------------------------------------------------

HISTORY = [*[a_run()] * 18, *failed(2), *[far(total_s=0.8)] * 30]
AFTER = TOML.replace("0.5 ", "0.9 ").replace("# a guess\n", "# a guess\npriority = 1\n")
AFTER = AFTER.replace("= 30 }\n", "= 30 }\npriority = 2\n")


def test_the_difference_with_the_evidence(typed: Typed) -> None:
    path = configure()
    record(*HISTORY)
    seen = typed("optimize")
    assert seen.code == 0
    lines = seen.out.splitlines()
    at = lines.index(f"--- {path}")
    assert lines[at : at + 20] == [
        f"--- {path}",
        f"+++ {path}",
        "@@ -6,12 +6,14 @@",
        " [[models]]",
        ' name = "near"',
        ' source = "file:./near.gguf"',
        "-weight = 0.5           # a guess",
        "+weight = 0.9           # a guess  # 18 of 20 runs succeeded: weight = success rate",
        "+priority = 1                      # mean latency 200 ms of 18 runs, under 500 ms: "
        "priority 1",
        " ",
        " [[models]]",
        ' name = "far"',
        ' source = "openai:gpt-4o-mini"',
        " options = { timeout = 30 }",
        "+priority = 2                      # mean latency 800 ms of 30 runs, not under 500 ms: "
        "priority 2",
        " ",
        " [memory]",
        ' loading = "preload"',
        "",
        "strategy stays \"balanced\": 1 error pattern in 50 runs, not more than 10: balanced",
    ]
    assert path.read_text() == TOML
    assert "llmrr optimize --write" in seen.err


def test_json(typed: Typed) -> None:
    path = configure()
    record(*HISTORY)
    found = typed("optimize", "--json", "--since", "1d").json
    assert set(found) >= {"since", "runs", "findings", "proposals", "diff"}
    assert (found["runs"], found["findings"]["at_once"]) == (50, 1)
    assert abs(found["since"] - (time.time() - 86400)) < 600
    assert found["proposals"][0] == {
        "key": "models.near.weight", "old": 0.5, "new": 0.9, "rule": "weight",
        "evidence": "18 of 20 runs succeeded: weight = success rate", "file": str(path),
    }  # fmt: skip
    assert [one["rule"] for one in found["proposals"]] == ["weight", "priority", "priority"]
    assert found["diff"].startswith(f"--- {path}\n+++ {path}\n@@ ")
    assert "  # mean latency" not in found["diff"]
    models = {one["model"]: one for one in found["findings"]["models"]}
    assert (models["near"]["success"], models["far"]["mean_s"]) == (0.9, pytest.approx(0.8))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_writing_and_undoing(typed: Typed, end: str, last: bool) -> None:
    before = TOML.replace("\n", end).removesuffix("" if last else end)
    path = configure(before)
    record(*HISTORY)
    seen = typed("optimize", "--write", "-y")
    assert (seen.code, seen.err) == (
        0, f"llmrr: {path} is changed; llmrr config rollback undoes it\n"
    )  # fmt: skip
    after = AFTER.replace("\n", end).removesuffix("" if last else end)
    assert path.read_bytes().decode() == after
    assert [entry.what for entry in journal.entries()] == ["config optimize"]
    again = typed("optimize", "--write", "-y")
    assert (again.code, again.err) == (0, "llmrr: there is nothing to change\n")
    assert typed("config", "rollback").err == f"llmrr: undone: config optimize ({path})\n"
    assert path.read_bytes().decode() == before


def test_the_difference_is_a_patch(typed: Typed, tmp_path: Path) -> None:
    import shutil
    import subprocess

    if shutil.which("patch") is None:
        pytest.skip("patch is not installed")
    path = configure(TOML.removesuffix("\n"))
    record(*HISTORY)
    found = typed("optimize", "--json").json["diff"]
    assert "\\ No newline at end of file\n" in found
    subprocess.run(["patch", "-s", str(path)], input=found.encode(), check=True)
    assert path.read_text() == AFTER.removesuffix("\n")


def test_it_asks_before_it_writes(typed: Typed) -> None:
    path = configure()
    record(*HISTORY)
    refused = typed("optimize", "--write", answers="n\n")
    assert refused.code == 1
    assert f"Make 3 changes to {path}?" in refused.err
    nobody = typed("optimize", "--write")
    assert nobody.code == 1
    assert "-y says yes" in nobody.err
    assert path.read_text() == TOML
    assert typed("optimize", "--write", answers="y\n").code == 0
    assert path.read_text() == AFTER


def test_the_file_of_the_models_is_changed(typed: Typed) -> None:
    """A project without models decides its strategy all the same."""
    own = configure(TOML.replace("file:./near", "file:/near"), config.user_file())
    project = configure('strategy = "random"\n')
    runs = [replace(run, source=run.source.replace("./", "/")) for run in HISTORY]
    record(*runs)
    before = own.read_text()
    assert typed("optimize", "--write", "-y").code == 0
    assert project.read_text() == 'strategy = "balanced"\n'
    assert own.read_text() == AFTER.replace("file:./near", "file:/near")
    assert len(journal.entries()) == 1
    assert typed("config", "rollback").code == 0
    assert (project.read_text(), own.read_text()) == ('strategy = "random"\n', before)


def test_models_in_one_line(typed: Typed) -> None:
    text = f"models = [{{ name = 'near', source = '{NEAR}' }}]\n[optimize]\n"
    text += "min_runs = 5\npreload = 0\n"
    path = configure(text)
    record(*[a_run()] * 4, *failed(1))
    assert typed("optimize", "--write", "-y").code == 0
    table = tomllib.loads(path.read_text())
    assert table["models"] == [{"name": "near", "source": NEAR, "weight": 0.8, "priority": 1}]
    assert path.read_text().count("\n") == 4


def test_a_trusted_file_stays_trusted(typed: Typed) -> None:
    path = configure()
    record(*HISTORY)
    trust.trust(path)
    assert typed("optimize", "--write", "-y").code == 0
    assert trust.is_trusted(path)
    typed("config", "rollback")
    assert trust.is_trusted(path)
    path.write_text(TOML + "# theirs\n")
    assert not trust.is_trusted(path)
    trust.trust(path)
    path.write_text(TOML)
    assert not trust.is_trusted(path)  # what was agreed to by name holds alone


def test_a_file_that_nobody_trusts_stays_so(typed: Typed) -> None:
    path = configure()
    record(*HISTORY)
    assert typed("optimize", "--write", "-y").code == 0
    assert not trust.is_trusted(path)


def test_what_others_wrote_meanwhile_is_kept() -> None:
    path = configure()
    record(*HISTORY)
    with Router() as router:
        found = report.look(router, 0.0)
    path.write_text("# theirs\n")
    with pytest.raises(Exception, match="changed by someone else"):
        found.write()
    assert path.read_text() == "# theirs\n"
    assert journal.entries() == []


def test_nothing_to_look_at(typed: Typed) -> None:
    configure()
    seen = typed("optimize")
    assert (seen.code, seen.out) == (1, "")
    assert "no run is recorded in the last 7d" in seen.err
    assert "since 3h" in typed("optimize", "--since", "3h").err
    empty = typed("optimize", "--json")
    assert (empty.code, empty.json["runs"], empty.json["diff"]) == (0, 0, "")


def test_nothing_is_configured(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["Hello"]
    typed("run", "Hello there")
    seen = typed("optimize", "--write", "-y")
    assert seen.code == 1
    assert "1 run since" in seen.out
    assert "there are no [[models]]" in seen.err
    found = typed("optimize", "--json")
    assert (found.code, found.json["findings"]["models"][0]["runs"]) == (1, 1)


def test_the_window_is_a_setting(typed: Typed) -> None:
    configure(TOML + '[optimize]\nwindow = "1h"\n')
    record(a_run(at=time.time() - 7200))
    assert "in the last 1h" in typed("optimize").err
    assert typed("optimize", "--since", "3h").code == 0


def test_what_is_to_be_preloaded_is_written(typed: Typed) -> None:
    text = TOML.replace('preload = ["near"]\n', "").partition("\n[memory]")[0]
    path = configure(text)
    record(*HISTORY)
    assert typed("optimize", "--write", "-y").code == 0
    found = config.load()
    assert (found.value("memory.loading"), found.value("preload")) == ("preload", ("near",))
    assert 'strategy = "balanced"  # for now\npreload = ["near"]\n\n[[models]]' in path.read_text()
    assert path.read_text().endswith('\n\n[memory]\nloading = "preload"\n')
    typed("config", "rollback")
    assert path.read_text() == text


def test_many_runs_at_once_are_seen_in_the_record(typed: Typed) -> None:
    path = configure()
    record(*HISTORY)
    with closing(open_database()) as connection:
        for _ in range(6):
            stats.record(connection, far(total_s=0.8))
    seen = typed("optimize", "--write", "-y")
    assert '+loading = "lazy"  ' in seen.out
    assert "# at most 6 runs at once, more than 5: lazy" in seen.out
    assert path.read_text().endswith('[memory]\nloading = "lazy"\n')


def test_a_longer_ttl_is_written_once(typed: Typed) -> None:
    """What the cache did under the ttl before is no evidence against the new one."""
    path = configure(TOML + '\n[cache]\nttl = "1h"  # short\n')
    record(*HISTORY, *[far(total_s=0.8, looked_up=True)] * 12,
           *[far(total_s=0.0, looked_up=True, cache="exact")] * 8)  # fmt: skip
    found = typed("optimize", "--json").json
    assert found["findings"]["cache_hit_rate"] == 0.4
    [ttl] = [one for one in found["proposals"] if one["key"] == "cache.ttl"]
    assert (ttl["old"], ttl["new"]) == (3600.0, 5400)
    assert ttl["evidence"] == "the cache answered 8 of 20 runs, under 60%: ttl * 1.5"
    assert typed("optimize", "--write", "-y").code == 0
    assert path.read_text().endswith("ttl = 5400  # short\n")
    assert typed("optimize", "--json").json["proposals"] == []
    typed("config", "rollback")
    assert path.read_text().endswith('ttl = "1h"  # short\n')
    assert "cache.ttl" in {one["key"] for one in typed("optimize", "--json").json["proposals"]}
