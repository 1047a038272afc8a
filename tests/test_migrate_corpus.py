"""Real artefacts of other tools, where ``LLMRR_CORPUS`` names a folder of them: what
``expected.json`` says of some of them is found, and none of them is too much for a scan.

What is expected is partly prose, and a corpus grows: nine of ten have to be right, and what is not
is named. ``tests/bench/migrate_corpus.py`` prints the figures."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmrr.migrate.artefact import Artefact, Model
from llmrr.migrate.scanning import scan

CORPUS = Path(os.environ.get("LLMRR_CORPUS") or "/nowhere").absolute()
EXPECTED: dict[str, Any] = (
    json.loads((CORPUS / "expected.json").read_text()) if "LLMRR_CORPUS" in os.environ else {}
)
PARAMS = ("temperature", "max_tokens", "top_p", "top_k", "min_p", "repeat_penalty", "stop", "seed")
OPTIONS = ("context_size", "gpu_layers", "threads", "base_url", "api_version", "timeout",
           "max_retries", "file")  # fmt: skip

pytestmark = pytest.mark.skipif(not EXPECTED, reason="LLMRR_CORPUS names no corpus")


def test_what_is_expected_is_found() -> None:
    wrong = [f"{name}: {one}" for name in EXPECTED for one in _differences(name)]
    assert len({one.partition(": ")[0] for one in wrong}) <= len(EXPECTED) / 10, "\n".join(wrong)


def test_no_file_is_too_much() -> None:
    for path in sorted(CORPUS.rglob("*")):
        if path.is_file():
            assert not [one for one in scan([path]).artefacts if "bug" in (one.error or "")]


def test_the_whole_corpus_is_scanned_at_once() -> None:
    found = scan([CORPUS])
    assert {one.kind for one in found.artefacts} >= {one["kind"] for one in EXPECTED.values()}


def _differences(name: str) -> Iterator[str]:
    """What is not as it is expected of a file."""
    wanted = EXPECTED[name]
    found = [one for one in scan([CORPUS / name]).artefacts if one.kind == wanted["kind"]]
    if len(found) != 1:
        yield f"{len(found)} artefacts are {wanted['kind']}"
        return
    artefact, models = found[0], wanted.get("models", [])
    if len(artefact.models) != len(models):
        yield f"{len(artefact.models)} models, not {len(models)}"
        return
    for model, expected in zip(artefact.models, models, strict=True):
        yield from _of_model(model, expected)
    if bool(artefact.error) != ("error" in wanted):
        yield f"its error is {artefact.error}"
    formats = [one.format for one in artefact.templates]
    for prompt in wanted.get("prompts", []):
        if prompt.get("template_format", "braces") not in formats:
            yield f"no prompt is {prompt}"
    yield from (f"nothing says {prose!r}" for prose in wanted.get("warn", [])
                if not _is_said(prose, artefact))  # fmt: skip


def _of_model(model: Model, expected: dict[str, Any]) -> Iterator[str]:
    said = model.as_json()
    for names, table in (
        (("source", "name", "format"), said), (PARAMS, said["params"]), (OPTIONS, said["options"])
    ):  # fmt: skip
        for key in names:
            if key in expected and table.get(key) != expected[key]:
                yield f"{key} is {table.get(key)!r}, not {expected[key]!r}"
    key, named = expected.get("api_key", {}), said["options"].get("api_key_env")
    if key and named not in key.get("env_any", [key.get("env")]):
        yield f"the key is in {named}"


def _is_said(prose: str, artefact: Artefact) -> bool:
    """Whether a warning is about what the prose is about, or the thing is carried over."""
    words = re.findall(r"mmproj|\w*template|secret|autodetect|\w{5,}", prose.lower())[:1]
    texts = [f"{one.code} {one.where} {one.message}".lower() for one in artefact.warnings]
    texts += [str(one.options).lower() for one in artefact.models]
    return any(word in text for word in words for text in texts)
