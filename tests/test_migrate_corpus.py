"""Real artefacts of other tools, where ``LLMRR_CORPUS`` names a folder of them: what
``expected.json`` says of some of them is found, and none of them is too much for a scan."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.scanning import scan

CORPUS = Path(os.environ.get("LLMRR_CORPUS") or "/nowhere").absolute()
EXPECTED: dict[str, Any] = (
    json.loads((CORPUS / "expected.json").read_text()) if "LLMRR_CORPUS" in os.environ else {}
)
PARAMS = ("temperature", "max_tokens", "top_p", "top_k", "min_p", "repeat_penalty", "stop", "seed")
OPTIONS = ("context_size", "gpu_layers", "threads", "base_url", "api_version", "timeout",
           "max_retries", "file")  # fmt: skip

pytestmark = pytest.mark.skipif(not EXPECTED, reason="LLMRR_CORPUS names no corpus")


def test_the_corpus_says_what_it_expects() -> None:
    assert EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_expected_is_found(name: str) -> None:
    wanted = EXPECTED[name]
    found = [one for one in scan([CORPUS / name]).artefacts if one.kind == wanted["kind"]]
    assert len(found) == 1
    artefact = found[0]
    assert len(artefact.models) == len(wanted["models"])
    for model, expected in zip(artefact.models, wanted["models"], strict=True):
        said = model.as_json()
        assert {key: said.get(key) for key in ("source", "name", "format") if key in expected} == {
            key: expected[key] for key in ("source", "name", "format") if key in expected
        }
        for names, table in ((PARAMS, said["params"]), (OPTIONS, said["options"])):
            stated = {key: expected[key] for key in names if key in expected}
            assert {key: table.get(key) for key in stated} == stated
        key = expected.get("api_key", {})
        if key:
            any_of = key.get("env_any", [key.get("env")])
            assert said["options"].get("api_key_env") in any_of
    assert bool(artefact.error) == ("error" in wanted)
    for prompt in wanted.get("prompts", []):
        assert prompt["template_format"] in [one.format for one in artefact.templates]
    for prose in wanted.get("warn", []):
        assert _is_said(prose, artefact), prose


def _is_said(prose: str, artefact: Artefact) -> bool:
    """Whether a warning is about what the prose is about, or the thing is carried over."""
    words = re.findall(r"mmproj|\w*template|secret|autodetect|\w{5,}", prose.lower())[:1]
    texts = [f"{one.code} {one.where} {one.message}".lower() for one in artefact.warnings]
    texts += [str(one.options).lower() for one in artefact.models]
    return any(word in text for word in words for text in texts)


def test_no_file_is_too_much() -> None:
    for path in sorted(CORPUS.rglob("*")):
        if path.is_file():
            assert not [one for one in scan([path]).artefacts if "bug" in (one.error or "")]


def test_the_whole_corpus_is_scanned_at_once() -> None:
    found = scan([CORPUS])
    assert {one.kind for one in found.artefacts} >= {one["kind"] for one in EXPECTED.values()}
