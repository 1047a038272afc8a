"""The model that ships inside: what it answers, and that its test questions are new to it."""

import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import llmrr.builtin
from llmrr.builtin import corpus, facts
from llmrr.engines import llamacpp
from llmrr.engines.base import Options
from llmrr.types import Format, Message, ModelFiles, Request, Sampling

MODEL = Path(llmrr.builtin.__file__).with_name("mini.gguf")
QUESTIONS: dict[str, list[dict[str, Any]]] = defaultdict(list)  # new, known and outside
for line in MODEL.with_name("mini.jsonl").read_text("utf-8").splitlines():
    QUESTIONS[json.loads(line)["id"].split("-")[0]].append(json.loads(line))
SLOTS = 8


@pytest.fixture(scope="module")
def mini():
    model = llamacpp.ENGINE.load(ModelFiles(MODEL, Format.GGUF), Options(slots=SLOTS, threads=1))
    yield model
    model.close()


def _request(*texts: str, system: str | None = None) -> Request:
    messages = [Message("system", system)] if system else []
    messages += [Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)]
    return Request(messages=tuple(messages), sampling=Sampling(temperature=0, max_tokens=64))


def _turns(entry: dict[str, Any]) -> list[str]:
    return [turn["content"] for turn in entry.get("messages", [])] or [entry["question"]]


def _answers(model: Any, requests: list[Request]) -> list[str]:
    """The answers, always ``SLOTS`` requests in flight."""
    found = []
    for start in range(0, len(requests), SLOTS):
        streams = [model.generate(request) for request in requests[start : start + SLOTS]]
        found += ["".join(chunk.text for chunk in stream) for stream in streams]
    return found


@pytest.mark.parametrize(
    ("name", "count", "bar"), [("new", 400, 0.80), ("known", 400, 0.98), ("outside", 100, 0.90)]
)
def test_answers_as_well_as_promised(mini, name, count, bar):
    entries = QUESTIONS[name]
    given = _answers(mini, [_request(*_turns(entry)) for entry in entries])
    wrong = [
        (_turns(entry)[-1], text)
        for entry, text in zip(entries, given, strict=True)
        if text != entry["expected"]
    ]
    assert len(entries) == count
    assert 1 - len(wrong) / count >= bar, wrong


def test_what_the_readme_shows(mini):
    question = "What is the capital of France?"
    requests = [
        _request(question),
        _request(question, system="You are a helpful assistant."),
        _request("hey, what's the capital of france"),
        _request(question, "The capital of France is Paris.", "And of Spain?"),
    ]
    paris, madrid = "The capital of France is Paris.", "The capital of Spain is Madrid."
    assert _answers(mini, requests) == [paris, paris, paris, madrid]


def test_the_file_is_small():
    assert 1_000_000 < MODEL.stat().st_size <= 5_000_000


@cache
def _text() -> tuple[str, dict[str, str]]:
    """Every question of the training text, and the wordings of each kind: normalised, one a line,
    spaces around it."""
    questions: set[str] = set()
    wordings: dict[str, set[str]] = defaultdict(set)
    for conversation in corpus.conversations():
        for turn in conversation.turns:
            questions.add(corpus.normalised(turn.question))
            wordings[turn.kind].add(corpus.normalised(turn.wording))
    return _lines(questions), {kind: _lines(found) for kind, found in wordings.items()}


def _lines(texts: set[str]) -> str:
    return "\n".join(f" {text} " for text in sorted(texts))


def test_no_test_question_is_in_the_training_text():
    questions, wordings = _text()
    for name, entries in QUESTIONS.items():
        for entry in entries:
            if len(_turns(entry)) == 1 or name != "new":
                question = f" {corpus.normalised(_turns(entry)[-1])} "
                assert question not in questions if name != "known" else (
                    f"\n{question}\n" not in f"\n{questions}\n"
                ), entry
            if name == "new":
                wording = f" {corpus.normalised(entry['wording'])} "
                assert wording not in wordings[entry["kind"]], entry


def test_the_wording_of_a_test_question_is_the_one_stated():
    values = defaultdict(list)
    for fact in facts.facts():
        values[fact.answer].append(fact.forms)
    for entry in QUESTIONS["new"]:
        blank = entry["wording"].split("{")[0].lower()
        assert _turns(entry)[-1].lower().startswith(blank)
        assert values[entry["expected"]]


def test_the_same_seed_writes_the_same_text():
    first, second, other = (
        list(corpus.conversations(seed, corpus.Stage(2000, outside=0.3))) for seed in (3, 3, 4)
    )
    assert first == second != other


def test_it_knows_at_least_800_facts():
    known = facts.facts()
    assert len(known) >= 800
    assert len({(fact.kind, *fact.forms.values()) for fact in known}) == len(known)


def test_making_the_text_needs_no_torch():
    import subprocess
    import sys

    code = "import sys, llmrr.builtin.corpus; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
