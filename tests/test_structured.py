"""Structured output through the engine: what a random-weights model says fits its schema."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import builders
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from test_constrain import SCHEMAS

from llmrr.engines.base import Options
from llmrr.engines.llamacpp import ENGINE
from llmrr.engines.llamacpp.model import LlamaModel
from llmrr.errors import FeatureMissing
from llmrr.types import Format, Message, ModelFiles, Request, Sampling

SLOTS = 16


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    path = builders.tiny_llama(tmp_path_factory.mktemp("m") / "tiny.gguf", context=512)
    loaded = ENGINE.load(ModelFiles(path, Format.GGUF), Options(slots=SLOTS, context_size=512))
    yield loaded
    loaded.close()


def asked(schema: object, seed: int) -> Request:
    sampling = Sampling(temperature=1.5, seed=seed, max_tokens=120, schema=schema)  # type: ignore[arg-type]
    return Request(messages=(Message("user", "hello"),), sampling=sampling)


def outcomes(model: LlamaModel, seeds: int) -> Counter[str]:
    """How many answers were valid, cut at max_tokens, or invalid."""
    counted: Counter[str] = Counter()
    for schema in SCHEMAS:
        validator = Draft202012Validator(schema, format_checker=FormatChecker())
        streams = [model.generate(asked(schema, seed)) for seed in range(seeds)]
        for stream in streams:
            chunks = list(stream)
            text = "".join(chunk.text for chunk in chunks)
            if chunks[-1].finish_reason == "length":
                counted["cut"] += 1
            else:
                counted["valid" if validator.is_valid(json.loads(text)) else "invalid"] += 1
    return counted


def test_random_answers_fit_their_schemas(model: LlamaModel) -> None:
    counted = outcomes(model, 8)
    assert counted["invalid"] == 0
    assert counted["valid"] > counted["cut"]


@pytest.mark.slow
def test_two_hundred_seeds_of_twenty_schemas_give_no_invalid_answer(model: LlamaModel) -> None:
    counted = outcomes(model, 200)
    assert counted.total() == 4000
    assert counted["invalid"] == 0


def test_what_cannot_be_enforced_is_refused_before_anything_is_computed(model: LlamaModel) -> None:
    with pytest.raises(FeatureMissing, match="uniqueItems"):
        model.generate(asked({"type": "array", "uniqueItems": True}, 1))


def test_a_grammar_holds_for_the_answer_and_not_for_reasoning_before_it(
    tmp_path: Path,
) -> None:
    template = "{% for m in messages %}{{ m.content }}{% endfor %}<think>\n"
    path = builders.tiny_llama(tmp_path / "thinks.gguf", template=template, context=512)
    model = ENGINE.load(ModelFiles(path, Format.GGUF), Options())
    try:
        end = model.tokenize("</think>")[0]
        sampling = Sampling(
            temperature=1.0, seed=1, max_tokens=200, grammar='root ::= "yes" | "no"',
            logit_bias={end: 5.0},
        )  # fmt: skip
        request = Request(messages=(Message("user", "hello"),), sampling=sampling)
        chunks = list(model.generate(request))
        assert "".join(chunk.text for chunk in chunks) in ("yes", "no")
        assert "".join(chunk.reasoning for chunk in chunks)
    finally:
        model.close()
