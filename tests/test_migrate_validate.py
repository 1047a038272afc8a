"""The old side against the new one: what is asked, what is measured, what it is held to."""

import json
import random
import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import builders
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_servers import OpenAIServer
from provider_servers import KEY, MODEL, Fault, Said
from terminal import Seen, Typed

from llmrr import config, pairs, paths, stats
from llmrr.database import open_database
from llmrr.errors import DamagedFile, NotFound, UsageError
from llmrr.migrate.validating import (
    addresses,
    bars,
    cases,
    figures,
    judging,
    kept,
    received,
    vectors,
)
from llmrr.migrate.validating.asking import Trial, order
from llmrr.migrate.validating.commands import CommandSystem
from llmrr.migrate.validating.systems import Reply

EASY = ("--no-similarity", "--max-latency-ratio", "1e9", "--max-tokens", "24")
CAPITALS = [
    ("What is the capital of France?", "The capital of France is Paris."),
    ("What is the capital of Italy?", "The capital of Italy is Rome."),
]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    monkeypatch.setenv("OLD_KEY", KEY)
    with OpenAIServer() as server:
        yield server


@pytest.fixture(autouse=True)
def small() -> None:
    """The new side."""
    toml().parent.mkdir(parents=True, exist_ok=True)
    toml().write_text("version = 1\n[[models]]\nname = 'small'\nsource = 'builtin:mini'\n")


def toml() -> Path:
    """The user's own file, which may send a key anywhere."""
    return config.user_file()


def program(text: str) -> str:
    """A command that runs this text, with ``said`` for what stdin holds."""
    Path("old.py").write_text(f"import sys, time\nsaid = sys.stdin.read()\n{text}\n")
    return f"{sys.executable} old.py"


CAREFUL = """
if not said.strip() or len(said) > 100000: sys.exit("refused")
print("The capital of France is Paris." if "France" in said else "Once upon a time.")
"""


def write_set(*lines: Any) -> str:
    Path("set.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return "set.jsonl"


def validated(typed: Typed, *args: str, code: int = 0) -> Seen:
    found = typed("migrate", "validate", *args)
    assert found.code == code, found.err
    return found


def test_the_builtin_set_by_a_command_has_the_pinned_shape(typed: Typed) -> None:
    found = validated(
        typed, "--old-command", program(CAREFUL), "--samples", "4", *EASY, "--json"
    ).json
    speed, sound = found["performance"], found["reliability"]
    assert {"old_avg", "new_avg", "improvement"} <= set(speed)
    assert speed["improvement"] == pytest.approx(1 - speed["new_avg"] / speed["old_avg"])
    assert found["accuracy"]["old_score"] is None
    assert (sound["old_error_rate"], sound["new_error_rate"]) == (0.0, 0.0)
    assert found["similarity"] is None and found["passed"] is True and found["samples"] == 4
    assert found["waived"] == ["similarity"]
    failed = {one["name"]: (one["old_failed"], one["new_failed"]) for one in sound["must_fail"]}
    assert failed == {
        "empty": (True, True), "missing": (True, True), "over-long": (True, True),
        "wrong type": (None, True),
    }  # fmt: skip
    assert sound["same_failures"] is True


def test_without_an_embedding_model_its_bar_is_not_met(typed: Typed) -> None:
    found = validated(
        typed, "--old-command", program(CAREFUL), "--samples", "2", "--max-tokens", "24",
        "--max-latency-ratio", "1e9", "--json", code=9,
    )  # fmt: skip
    assert found.json["similarity"] is None and found.json["passed"] is False
    assert found.json["lexical"]["similarity"] > 0
    assert "llmrr pull" in found.err and "--no-similarity" in found.err


def test_an_embedding_model_of_the_configuration_decides(
    typed: Typed, served: OpenAIServer
) -> None:
    with toml().open("a") as file:
        file.write(
            f"[[models]]\nname = 'vectors'\nsource = 'openai:{MODEL}'\ntags = ['embedding']\n"
            f"options = {{ base_url = '{served.address}/v1', api_key_env = 'OLD_KEY' }}\n"
        )
    asked = write_set({"prompt": CAPITALS[0][0]})
    args = ("--set", asked, "--samples", "2", "--max-latency-ratio", "1e9", "--json")
    same = validated(typed, "--old-command", program(f"print({CAPITALS[0][1]!r})"), *args).json
    assert same["similarity"] == pytest.approx(1.0) and same["similarity_by"] == "vectors"
    # Its vectors are (length, 1, 0): of lengths 31 and 1 the cosine is 0.729.
    other = validated(typed, "--old-command", program("print('x')"), *args, code=9)
    assert other.json["similarity"] == pytest.approx(0.729, abs=0.01)
    assert "similarity 0.7" in other.err and "below 0.8" in other.err
    validated(typed, "--old-command", program("print('x')"), *args, "--min-similarity", "0.7")


def test_an_answer_longer_than_the_context_of_the_vectors_is_compared_in_parts(
    typed: Typed
) -> None:
    builders.tiny_bert(Path("bert.gguf"), context=64)
    with toml().open("a") as file:
        file.write(f"[[models]]\nname = 'vectors'\ntags = ['embedding']\n"
                   f"source = 'file:{Path('bert.gguf').absolute()}'\n")  # fmt: skip
    long = program("print('some more words here ' * 300)")
    found = validated(
        typed, "--old-command", long, "--samples", "2", "--max-latency-ratio", "1e9",
        "--min-similarity", "0", "--set", write_set({"prompt": "Hi"}), "--json",
    ).json  # fmt: skip
    assert found["similarity"] is not None and found["similarity_by"] == "vectors"


@given(st.text(min_size=2))
def test_halves_are_all_of_a_text(text: str) -> None:
    found = vectors.halves(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(len(one) < len(text) for one in found)


def test_latency_and_errors_are_bars(typed: Typed) -> None:
    asked = write_set({"prompt": CAPITALS[0][0]})
    found = validated(
        typed, "--old-command", program(CAREFUL), "--set", asked, "--samples", "3",
        "--no-similarity", "--max-latency-ratio", "0", code=9,
    )  # fmt: skip
    assert "times the old one's" in found.err and "above 0" in found.err


def test_a_new_side_that_fails_more_often_does_not_pass(
    typed: Typed, served: OpenAIServer
) -> None:
    warm = Fault()  # what is asked first counts for nothing
    served.faults.extend([warm, *[Fault(400, "bad", f"no {KEY}")] * 2])
    new_side(served)
    args = ("--old-command", program("print('Hello, world!')"), "--samples", "4", "--set",
            write_set({"prompt": "Hi"}), *EASY)  # fmt: skip
    found = validated(typed, *args, "--json", code=9)
    assert found.json["reliability"]["new_error_rate"] == 0.5
    assert found.json["reliability"]["same_failures"] is False
    assert "50.0 % above 0.0 %" in found.err
    assert KEY not in found.out + found.err
    served.faults.extend([warm, *[Fault(400, "bad", "no")] * 2])
    page = validated(typed, *args, "--max-error-increase", "0.5", "-O", "report.md").out
    [said] = [line for line in page.splitlines() if "side fails at" in line]
    assert said.startswith("only the new side fails at: ")
    assert f"- {said}\n" in Path("report.md").read_text()


def test_no_breaker_holds_requests_back(typed: Typed, served: OpenAIServer) -> None:
    served.faults.extend([Fault(), *[Fault(500, "bad", "down")] * 8])
    new_side(served)
    found = validated(
        typed, "--old-command", program("print('Hello, world!')"), "--samples", "12", "--set",
        write_set({"prompt": "Hi"}), *EASY, "--json", code=9,
    )  # fmt: skip
    assert found.json["reliability"]["new_errors"] == 8 and len(served.seen) == 1 + 12


def new_side(server: OpenAIServer, more: str = "") -> None:
    toml().write_text(
        "version = 1\nretry = { initial_delay = 0.0, attempts = 1 }\n[[models]]\nname = 'fresh'\n"
        f"source = 'openai:{MODEL}'\n"
        f"options = {{ base_url = '{server.address}/v1', api_key_env = 'OLD_KEY' }}\n{more}"
    )


def test_the_samples_are_cycled_and_both_sides_are_asked_each(
    typed: Typed, served: OpenAIServer
) -> None:
    new_side(served)
    asked = write_set({"prompt": "one"}, {"prompt": "two", "system": "Be brief."}, {"prompt": None})
    seen = program("open('seen', 'a').write(said + chr(10)); print('Hello, world!')")
    validated(typed, "--old-command", seen, "--set", asked, "--samples", "5", *EASY, code=0)
    users = [one.body["messages"][-1]["content"] for one in served.seen]
    assert served.seen[0].body["max_tokens"] == 1  # on this machine: it may have a model to load
    assert users.pop(0) == "one" and served.seen.pop(0)
    assert sorted(users) == ["one", "one", "one", "two", "two"]
    assert served.seen[users.index("two")].body["messages"][0]["content"] == "Be brief."
    lines = Path("seen").read_text().split("\n")
    wanted = ["Be brief.", "Be brief.", "one", "one", "one", "two", "two"]
    assert sorted(filter(None, lines)) == wanted


def test_no_answer_is_a_kept_one(typed: Typed, served: OpenAIServer) -> None:
    new_side(served, "params = { temperature = 0 }\n[cache]\nenabled = true\n")
    asked = write_set({"prompt": "one"})
    validated(typed, "--old-command", program("print(1)"), "--set", asked, "--samples", "3", *EASY)
    assert len(served.seen) == 1 + 3


def test_accuracy_by_the_ways_of_matching(typed: Typed) -> None:
    asked = write_set(
        {"prompt": CAPITALS[0][0], "expected": "Paris"},
        {"prompt": CAPITALS[1][0], "expected": "^The capital", "kind": "regex"},
        {"prompt": "What is the capital of Spain?"},
    )
    found = validated(
        typed, "--old-command", program("print('Paris')"), "--set", asked, "--samples", "6", *EASY,
        "--json",
    ).json["accuracy"]  # fmt: skip
    assert (found["old_score"], found["new_score"], found["judged"]) == (0.5, 1.0, 4)
    assert found["by"] == "contains, regex"


def test_a_model_may_judge(typed: Typed, served: OpenAIServer) -> None:
    with toml().open("a") as file:
        file.write(
            f"[[models]]\nname = 'judge'\nsource = 'openai:{MODEL}'\n"
            f"options = {{ base_url = '{served.address}/v1', api_key_env = 'OLD_KEY' }}\n"
        )
    served.replies.extend([Said(("No.",)), Said(("Yes",))])
    found = validated(
        typed, "--old-command", program("print('Lyon')"), "--new", "small", "--judge", "judge",
        "--set", write_set({"prompt": CAPITALS[0][0], "expected": "Paris"}), "--samples", "5",
        *EASY, "--json",
    ).json["accuracy"]  # fmt: skip
    assert (found["old_score"], found["new_score"], found["by"]) == (0.0, 1.0, "judge")
    assert len(served.seen) == 2  # once for each answer


def test_a_judge_or_a_model_of_vectors_that_fails_loses_nothing_else(
    typed: Typed, served: OpenAIServer
) -> None:
    with toml().open("a") as file:
        file.write(
            f"[[models]]\nname = 'judge'\nsource = 'openai:{MODEL}'\n"
            f"options = {{ base_url = '{served.address}/v1', api_key_env = 'OLD_KEY' }}\n"
        )
    args = ("--old-command", program("print('Lyon')"), "--new", "small", "--samples", "2",
            "--max-latency-ratio", "1e9", "--max-tokens", "24", "--json",
            "--set", write_set({"prompt": CAPITALS[0][0], "expected": "Paris"}))  # fmt: skip
    served.faults.append(Fault(400, "bad", "not today"))
    served.replies.extend([Said(("No.",)), Said(("Yes",))])
    found = validated(typed, *args, "--judge", "judge", "--no-similarity").json["accuracy"]
    assert (found["old_score"], found["new_score"], found["judged"]) == (0.0, 1.0, 1)
    assert found["failed"] == 1 and "not today" in found["why"]
    served.faults.extend([Fault(), Fault(400, "bad", "not today")])
    seen = validated(typed, *args, "--embedding", "judge", code=9)
    assert seen.json["similarity"] is None and "not today" in seen.err
    served.faults.append(Fault(400, "bad", "not today"))
    assert "not today" in validated(typed, *args, "--embedding", "judge", code=7).out


def test_an_old_provider_by_our_engines(typed: Typed, served: OpenAIServer) -> None:
    with toml().open("a") as file:
        file.write(
            f"[[models]]\nname = 'before'\nsource = 'openai:{MODEL}'\n"
            f"cost = {{ input = 1, output = 1 }}\n"
            f"options = {{ base_url = '{served.address}/v1', api_key_env = 'OLD_KEY' }}\n"
            "[migration]\nnew = 'small'\nlegacy = 'before'\n"
        )
    args = ("--set", write_set({"prompt": "Hi"}), "--samples", "2", *EASY, "--json")
    found = validated(typed, *args).json  # the legacy side, as nothing else is stated
    assert (found["old"], found["new"]) == ("before", "small")
    assert found["cost"]["old"] > 0 and found["cost"]["new"] == 0
    assert found["performance"]["old_first_token"] is not None
    assert validated(typed, "--old", "before", *args).json["old"] == "before"


def test_any_address(typed: Typed, served: OpenAIServer) -> None:
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "{prompt}"}]})
    found = validated(
        typed, "--old-url", f"{served.address}/v1/chat/completions?secret=no", "--old-body", body,
        "--old-path", "$.choices[0].message.content", "--old-header", "Authorization=OLD_KEY",
        "--set", write_set({"prompt": 'say "hi"\n'}, {"prompt": 7}), "--samples", "1", *EASY,
        "--json",
    )  # fmt: skip
    contents = [one.body["messages"][0]["content"] for one in served.seen]
    assert contents.pop(0) == 'say "hi"\n'  # what is asked first, and counts for nothing
    assert sorted(contents, key=str) == [7, 'say "hi"\n']
    assert served.last.headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in found.out + found.err and "secret" not in found.out
    assert found.json["reliability"]["old_error_rate"] == 0.0


@pytest.mark.parametrize("header", [f"Authorization={KEY}", "Authorization", "A B=OLD_KEY"])
def test_a_literal_key_is_refused_and_not_repeated(typed: Typed, header: str) -> None:
    found = validated(typed, "--old-url", "http://127.0.0.1:9", "--old-header", header, code=2)
    assert KEY not in found.out + found.err


def test_a_key_that_is_missing_is_told_by_its_header(typed: Typed) -> None:
    found = validated(typed, "--old-url", "http://127.0.0.1:9", "--old-header", "X-Key=NO_SUCH",
                      code=6)  # fmt: skip
    assert "X-Key" in found.err


@pytest.mark.parametrize(
    "args",
    [
        (), ("--old", "a", "--shadow"), ("--old-body", "{}", "--old-command", "x"),
        ("--old-url", "ftp://x"), ("--old-url", "http://u:p@x"), ("--old-command", ""),
        ("--old-command", "'"), ("--old-url", "http://x", "--old-body", "{}"),
        ("--old-url", "http://x", "--old-body", "{prompt"), ("--shadow", "--history"),
        ("--old-url", "http://x", "--old-path", "a]["), ("--set", "x", "--history"),
        ("--old-url", "http://x:99999"),
    ],
)  # fmt: skip
def test_wishes_that_mean_nothing(typed: Typed, args: tuple[str, ...]) -> None:
    found = validated(typed, *args, code=2)
    assert "u:p" not in found.err


def test_the_same_engine_and_weights_are_refused(typed: Typed) -> None:
    for name in ("builtin:mini", "small"):
        found = validated(typed, "--old", name, code=2)
        assert "both sides are the same" in found.err and "llamacpp" in found.err
    shutil.copy(paths.builtin_model(), "copy.gguf")  # the same bytes in another place
    assert "both sides are the same" in validated(typed, "--old", "./copy.gguf", code=2).err


@pytest.mark.parametrize("command", ["llmrr run -m small", "llmrr run", "python -m llmrr run"])
def test_llmrr_itself_is_no_old_side(typed: Typed, command: str) -> None:
    assert "the same" in validated(typed, "--old-command", command, code=2).err


def test_the_same_remote_model_is_refused_by_either_way(
    typed: Typed, served: OpenAIServer
) -> None:
    options = f"{{ base_url = '{served.address}/v1/', api_key_env = 'OLD_KEY' }}"
    new_side(served, f"[[models]]\nname = 'too'\nsource = 'openai:{MODEL}'\n"
                     f"options = {options}\n")  # fmt: skip
    assert "the same" in validated(typed, "--old", "too", "--new", "fresh", code=2).err
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "{prompt}"}]})
    url = f"{served.address}/v1/chat/completions"
    assert "the same" in validated(typed, "--old-url", url, "--old-body", body, code=2).err
    assert not served.seen


def test_a_command_that_fails_hangs_or_is_not_there(typed: Typed) -> None:
    asked = cases.Case("x", cases.asked("Hi"))
    said = CommandSystem(program("print('no', file=sys.stderr); sys.exit(3)"), 20).ask(asked)
    assert said.error == "exit code 3: no"
    assert CommandSystem(program(""), 20).ask(asked).error == "an empty answer"
    hangs = program(
        "import subprocess; subprocess.run([sys.executable, '-c', 'import time; time.sleep(99)'])"
    )
    assert CommandSystem(hangs, 0.5).ask(asked).error == "no answer within 0.5 s"
    assert "no-such-thing" in validated(typed, "--old-command", "/no-such-thing x", code=3).err
    words = CommandSystem(f"{program('print(said, sys.argv[1:])')} ';' $HOME 'a | b' \"|\" *", 20)
    assert words.ask(asked).text == "Hi [';', '$HOME', 'a | b', '|', '*']"
    Path("script").write_text("echo hi")
    assert "chmod +x" in validated(typed, "--old-command", "./script", code=3).err
    Path("script").chmod(0o755)
    assert "format" in validated(typed, "--old-command", "./script", code=3).err


@pytest.mark.parametrize("command", ["cat | a", "a>b", "a && b", "a; b"])
def test_what_is_for_a_shell_is_refused_with_the_command_for_one(
    typed: Typed, command: str
) -> None:
    found = validated(typed, "--old-command", command, code=2)
    assert "sh -c" in found.err and command in found.err


def test_an_address_that_fails(served: OpenAIServer) -> None:
    asked = cases.Case("x", cases.asked("Hi"))
    system = addresses.AddressSystem(served.address + "/v1/chat/completions", None, None, {}, 5)
    assert (system.ask(asked).error or "").startswith("status 401")
    gone = addresses.AddressSystem("http://127.0.0.1:9/x", None, None, {}, 5)
    assert "refused" in (gone.ask(asked).error or "")


def test_the_history_is_asked_once_each_newest_kept(typed: Typed, served: OpenAIServer) -> None:
    connection = open_database()
    for text in ("one", "two", "one", " "):
        stats.record(connection, stats.Run(None, 1.0, "m", "s", "e", prompt=text, system="Be."))
    assert [one.name for one in cases.of_history(connection, 9)] == ["two", "one"]
    connection.close()
    new_side(served)
    validated(typed, "--history", "--old-command", program("print(1)"), "--samples", "2", *EASY)
    assert {one.body["messages"][-1]["content"] for one in served.seen} == {"one", "two"}


def test_an_empty_history_is_told(typed: Typed) -> None:
    assert "no prompt" in validated(
        typed, "--history", "--old-command", program("print(1)"), code=3
    ).err


def test_shadow_compares_what_hybrid_mode_recorded(typed: Typed) -> None:
    connection = open_database()
    good = pairs.Outcome(True, "a", 5, 1.0, "The capital is Paris.")
    slow = pairs.Outcome(True, "b", 5, 2.0, "The capital is Paris.")
    silent = pairs.Outcome(True, "b", 5, 2.0)  # its words were not kept
    failed = pairs.Outcome(False, "a", error="Overloaded: no")
    kept_ = pairs.Outcome(True, "a", 5, None, "from the cache")
    for new, old in ((good, slow), (good, silent), (failed, slow), (kept_, slow), (good, None)):
        pair = pairs.Pair(1.0, "hybrid", "new", "What?", new, old)
        pairs.record(connection, pair)
    connection.close()
    found = validated(typed, "--shadow", *EASY, "--json", code=9).json
    assert found["samples"] == 4 and found["lexical"]["compared"] == 1
    assert found["performance"]["old_avg"] == 2.0 and found["performance"]["new_avg"] == 1.0
    assert found["performance"]["improvement"] == 0.5
    assert found["reliability"]["new_error_rate"] == pytest.approx(1 / 3)


def test_shadow_without_pairs_is_told(typed: Typed) -> None:
    assert "no pair" in validated(typed, "--shadow", code=3).err


def test_the_report_is_markdown_with_plots(typed: Typed) -> None:
    answer = "The capital <b>of</b> France | is Paris."
    command = program(f"print({answer!r})")
    args = ("--old-command", command, "--set", write_set({"prompt": "a|b"}), "--samples", "3")
    validated(typed, *args, *EASY, "-O", "report.md")
    text = Path("report.md").read_text()
    assert text.startswith("# Validation: passed") and "waived" in text
    assert "```text" in text and "####" in text and "a\\|b" in text and answer in text
    assert validated(typed, *args, *EASY, "-O", "-").out.startswith("# Validation")


def test_it_is_recorded_with_the_configuration_but_without_answers(typed: Typed) -> None:
    validated(typed, "--old-command", program("print('a rare word: xyzzy')"), "--samples", "1",
              *EASY, "--set", write_set({"prompt": CAPITALS[0][0]}))  # fmt: skip
    connection = open_database()
    found = kept.last(connection)
    connection.close()
    assert found is not None and found.passed and found.facts["samples"] == 1
    assert "xyzzy" not in json.dumps(dict(found.facts))


@pytest.mark.parametrize(
    ("line", "said"),
    [("[1]", "no JSON object"), ('{"a": 1}', "asks nothing"), ("{", "no JSON"),
     ('{"prompt": "x", "expected": "y", "kind": "no"}', 'no match "no"')],
)  # fmt: skip
def test_a_set_that_is_wrong_names_its_line(typed: Typed, line: str, said: str) -> None:
    Path("bad.jsonl").write_text(f'{{"prompt": "x"}}\n{line}\n')
    found = validated(typed, "--set", "bad.jsonl", "--old-command", program("print(1)"), code=4)
    assert said in found.err and "line 2" in found.err


def test_a_set_that_is_not_there(typed: Typed) -> None:
    validated(typed, "--set", "none.jsonl", "--old-command", program("print(1)"), code=3)


# -- pure parts --------------------------------------------------------------------------------


def test_the_order_hangs_on_the_seed_alone() -> None:
    found = [order(cases.builtin(), 10, seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert sum(one.must_fail for one in found[0]) == 4 and len(found[0]) == 14


def test_figures_of_known_latencies() -> None:
    case = cases.Case("x", cases.asked("x"))
    trials = [Trial(case, Reply("a", None, 1.0), Reply("b", None, 2.0)),
              Trial(case, Reply("a", None, 3.0), Reply("b", None, 2.0)),
              Trial(case, Reply("a", None, 3.0), Reply(error="no", latency_s=9.0))]  # fmt: skip
    found = figures.performance(trials, seed=1)
    assert (found.old_avg, found.new_avg, found.improvement, found.ratio) == (2.0, 2.0, 0.0, 1.0)
    assert found.ratio_low is not None and found.ratio_high is not None
    assert found.ratio_low < 1.0 < found.ratio_high
    assert figures.performance(trials, seed=1) == found
    sound = figures.reliability(trials)
    assert sound.new_error_rate == pytest.approx(1 / 3) and sound.differing == ("x",)
    assert (sound.only_old, sound.only_new) == ((), ("x",))
    swapped = figures.reliability([Trial(one.case, one.new, one.old) for one in trials])
    assert (swapped.only_old, swapped.only_new) == (("x",), ())
    assert figures.performance([], seed=1).ratio is None


def test_the_bounds_hold_the_ratio() -> None:
    drawn = random.Random(3)
    known = [(drawn.uniform(1, 2), drawn.uniform(2, 3)) for _ in range(50)]
    low, high = figures.bootstrap(known, seed=0)
    ratio = sum(new for _, new in known) / sum(old for old, _ in known)
    assert low is not None and high is not None and low < ratio < high < low * 1.2


@given(st.text(), st.sampled_from(['{"p": "{prompt}"}', '{"p": {prompt}}', '["{prompt}"]']))
def test_every_prompt_goes_into_a_body_and_comes_out_again(prompt: str, template: str) -> None:
    found = json.loads(addresses.filled(template, prompt))
    assert prompt in (found.values() if isinstance(found, dict) else found)


@given(
    st.one_of(st.binary(), st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["a", "choices", "message", "content", "error", "text", "delta"]),
            inner, max_size=3,
        ),
    ).map(lambda one: f"{json.dumps(one)}\n{json.dumps(one)}".encode())),
    st.sampled_from(["", "application/json", "text/event-stream"]),
    st.one_of(st.none(), st.just(("a", "0", "b"))),
)  # fmt: skip
def test_no_answer_of_an_address_is_an_exception(
    content: bytes, kind: str, path: tuple[str, ...] | None
) -> None:
    with suppress(received.Unread):
        assert isinstance(received.text_of(content, kind, path), str)


PIECES = [
    ('{"response": "a"}\n{"response": "b", "done": true}\n', "ab"),
    ('{"message": {"content": "a"}}\n{"message": {"content": ""}, "done": true}', "a"),
    ('data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n'
     'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]\n\n', "a"),
    ('event: content_block_delta\ndata: {"delta": {"type": "text_delta", "text": "a"}}\n\n', "a"),
    ("plain: text\nof two lines", "plain: text\nof two lines"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "text"), PIECES)
def test_a_stream_of_pieces_is_one_answer(content: str, text: str) -> None:
    assert received.text_of(content.encode(), "text/plain", None) == text


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        ('{"error": {"message": "no such model"}}', "application/json", "no such model"),
        ('{"response": "a"}\n{"error": "out of memory"}', "", "out of memory"),
        ('{"response": "hal', "application/json", "not the whole"),
        ("\n<!DOCTYPE html><p>log in</p>", "text/html", "page of HTML"),
        ('{"reply": {"words": 1}}', "", "has reply, has no text where it usually is"),
        ('{"response": "a"}\n{"respo', "application/x-ndjson", "not the whole"),
    ],
)
def test_an_answer_without_text_is_a_failure_and_says_why(
    content: str, kind: str, said: str
) -> None:
    with pytest.raises(received.Unread, match=said):
        received.text_of(content.encode(), kind, None)


def whole_request(one: socket.socket) -> None:
    """Read a request with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += one.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        body += one.recv(65_536)


@contextmanager
def speaking(*parts: bytes, wait: float = 0.0) -> Iterator[str]:
    """A server that sends these bytes to whoever comes, and waits after each."""
    listener, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        with suppress(OSError):
            while True:
                one, _ = listener.accept()
                with one, suppress(OSError):
                    whole_request(one)  # what is not read resets the connection
                    for part in parts:
                        one.sendall(part)
                        over.wait(wait)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/ask"
    over.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n"


def test_half_an_answer_and_one_that_never_ends_are_failures() -> None:
    asked = cases.Case("x", cases.asked("Hi"))
    with speaking(HEAD, b"only this") as url:
        found = addresses.AddressSystem(url, None, None, {}, 20).ask(asked)
    assert found.error == "ConnectionError: the answer ended after 9 of 100 bytes"
    with speaking(HEAD, *[b"."] * 90, wait=0.05) as url:
        found = addresses.AddressSystem(url, None, None, {}, 0.4).ask(asked)
    assert found.error == "no answer within 0.4 s" and (found.latency_s or 9) < 3


def test_an_old_side_that_answers_nothing_is_given_up(typed: Typed) -> None:
    fails = program("open('seen', 'a').write('x'); sys.exit('no key')")
    args = ("--old-command", fails, "--set", write_set({"prompt": "Hi"}), *EASY)
    found = validated(typed, *args, "--samples", "50", code=7)
    assert "answered none of 5 requests: exit code 1: no key" in found.err
    assert Path("seen").read_text() == "xxxxx"
    validated(typed, *args, "--samples", "4", code=9)


def test_an_old_side_that_is_not_there_is_not_asked_again(
    typed: Typed, served: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    asked = ("--set", write_set({"prompt": "Hi"}), *EASY, "--samples", "50")
    args = ("--old-url", f"http://127.0.0.1:{port}/ask", *asked)
    assert "ConnectionRefusedError" in validated(typed, *args, code=6).err
    new_side(served)
    before = served.seen[:]
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for seed in "012":  # whichever side would be first, and whatever would be asked first
        old = ("--old", "openai:gpt-4o", "--new", "fresh", *EASY, "--samples", "2", "--seed", seed)
        assert "OPENAI_API_KEY is not set" in validated(typed, *old, code=6).err
    assert served.seen == before
    monkeypatch.delenv("OLD_KEY")
    args = ("--old", "fresh", "--new", "builtin:mini", *asked)
    assert "OLD_KEY" in validated(typed, *args, code=6).err
    assert served.seen == before


@pytest.mark.parametrize(("more", "said"), [
    (0.5, "the error rate 50.0 % is 50.0 % above 0.0 %, and 0.0 % is allowed"),
    (0.0, "the error rate 0.0 % is that of the old side"),
    (-1.0, "the error rate 0.0 % is 100.0 % below 100.0 %"),
])  # fmt: skip
def test_a_bar_is_told_as_it_is(more: float, said: str) -> None:
    alike = judging.Alike(1.0, "e", None, None, None, None, 1)
    speed = figures.performance([
        Trial(cases.Case("a", cases.asked("Hi")), Reply("a", None, 1.0), Reply("b", None, 1.0))
    ], 0)  # fmt: skip
    sound = figures.reliability([])._replace(
        old_error_rate=max(-more, 0.0), new_error_rate=max(more, 0.0)
    )
    found = bars.held(bars.Bars(), alike, speed, sound)
    assert [one.said for one in found] == [
        "similarity 1.000 is at least 0.8", "latency is 1.00 times the old one's, at most 1.2", said
    ]  # fmt: skip


@pytest.mark.parametrize(("line", "near"), [
    ({"prompt": "x", "expcted": "y"}, '"expected"'), ({"prompt": "x", "subject": "y"}, None),
])  # fmt: skip
def test_a_key_of_a_set_that_is_nearly_one_is_refused(
    line: dict[str, str], near: str | None
) -> None:
    if near is None:  # the sets of others have more
        assert len(cases.of_set(json.dumps(line).encode(), Path("set"))) == 1
        return
    with pytest.raises(DamagedFile, match="line 1 has a key") as caught:
        cases.of_set(json.dumps(line).encode(), Path("set"))
    assert caught.value.hint == near


def test_what_is_over_long_is_for_each_side_and_asked_once(
    typed: Typed, served: OpenAIServer
) -> None:
    lengths = program("open('seen', 'a').write(f'{len(said)} '); print('Hello, world!')")
    found = validated(typed, "--old-command", lengths, "--samples", "8", *EASY, "--json").json
    read = sorted(map(int, Path("seen").read_text().split()))
    assert read[-1] == 12_000_000 and read[-2] < 100
    sound = found["reliability"]
    assert sorted(sound["only_new"]) == ["empty", "missing", "over-long"] and not sound["only_old"]
    assert sound["differing"] == sound["only_new"]
    assert found["performance"]["new_warm_up"] > 0 and found["performance"]["old_warm_up"] is None
    (over_long,) = (one for one in cases.builtin() if one.is_over_long)
    assert len(over_long.sized(512).text) == 2048
    named = cases.of_set(b'{"id": "over-long", "prompt": "x"}', Path("set"))[0]
    assert not named.must_fail and named.sized(512) == named


@given(st.text())
def test_a_path_is_read_or_refused(path: str) -> None:
    with suppress(UsageError):
        received.steps(path)


def test_a_history_without_words_is_not_found() -> None:
    connection = open_database()
    with pytest.raises(NotFound):
        cases.of_history(connection, 5)
    connection.close()
