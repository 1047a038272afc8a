"""The main job as a user has it: processes, pipes, signals, with the real engine and model."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from llmrr import stats
from llmrr.database import open_database

QUESTION = "What is the capital of France?"
LLMRR = [sys.executable, "-m", "llmrr"]


def run(*arguments: str, **named: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [*LLMRR, *arguments], capture_output=True, text=True, timeout=120, **named
    )


def recorded() -> list[stats.Run]:
    with closing(open_database()) as connection:
        return stats.runs(connection)


def test_it_answers_with_nothing_configured() -> None:
    done = run("run", QUESTION, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (0, "The capital of France is Paris.\n")
    assert done.stderr.count("\n") == 1
    assert "builtin:mini" in done.stderr
    [kept] = recorded()
    assert (kept.prompt, kept.answer) == (QUESTION, "The capital of France is Paris.")


def test_it_answers_in_a_pipeline() -> None:
    done = run("run", "--json", input=QUESTION)
    answer = json.loads(done.stdout)
    assert answer["text"] == "The capital of France is Paris."
    assert answer["usage"]["completion_tokens"] > 0


def test_a_conversation_goes_on_in_another_process() -> None:
    run("run", QUESTION, stdin=subprocess.DEVNULL)
    done = run("run", "-c", "and of Spain?", stdin=subprocess.DEVNULL)
    assert "Madrid" in done.stdout


def test_two_processes_at_once_both_answer_and_are_both_recorded() -> None:
    both = [
        subprocess.Popen([*LLMRR, "run", QUESTION], stdin=subprocess.DEVNULL, stdout=-1, stderr=-1)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert said == [b"The capital of France is Paris.\n"] * 2
    assert len(recorded()) == 2


def test_ctrl_c_ends_an_answer_with_130_and_it_is_recorded() -> None:
    # No end of text and a context that is never full: it would go on for long.
    long = [*LLMRR, "run", "--raw", "-o", "ignore_eos", "true", "hello"]
    process = subprocess.Popen(long, stdin=subprocess.DEVNULL, stdout=-1, stderr=-1)
    assert process.stdout is not None
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"Traceback" not in error
    [kept] = recorded()
    assert (kept.finish_reason, kept.error) == ("cancelled", None)
    assert kept.completion_tokens > 0


def test_a_home_that_cannot_be_written_costs_one_warning() -> None:
    Path("file").write_text("")
    environment = {**os.environ, "LLMRR_HOME": str(Path("file").resolve())}
    done = run("run", QUESTION, stdin=subprocess.DEVNULL, env=environment)
    assert (done.returncode, done.stdout) == (0, "The capital of France is Paris.\n")
    assert done.stderr.count("nothing is recorded") == 1
