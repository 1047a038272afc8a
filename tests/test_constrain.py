"""What a mask lets through fits the schema or the grammar, whatever is drawn."""

import gc
import json
import os
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from llmrr.engines import constrain
from llmrr.engines.constrain import Mask, Vocabulary, compile_constraint
from llmrr.errors import FeatureMissing, RequestRefused, UsageError

JSON_PIECES = (
    '{" "} ":" "," [" "] [] {} "a "name" name age tags true false null true, , : ": ", "} },{'
    " the and ing ion 12 19 20 2024 00 -1 0. 1e e+ .5 T0 :0 Z -0 @a .c"
    ' \\n \\u \\" \\\\ é ✓ 日本 🙂'
)
PIECES = [
    *JSON_PIECES.split(),
    *(f"{a}{b}" for a in "abcdenorst0123456789" for b in "aeiou019.-"),
]
EOS, BOS = 256 + len(PIECES), 257 + len(PIECES)


def make_vocabulary(eos: tuple[int, ...] = (EOS,)) -> Vocabulary:
    tokens = [bytes([i]) for i in range(256)] + [piece.encode() for piece in PIECES]
    tokens += [b"<eos>", b"<bos>"]
    return Vocabulary(tokens, eos, frozenset({EOS, BOS}), list)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return make_vocabulary()


STRING = {"type": "string", "maxLength": 8}


def thing(**properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


SCHEMAS = [
    thing(name=STRING, age={"type": "integer", "minimum": 0, "maximum": 150}),
    thing(tags={"type": "array", "items": STRING, "maxItems": 3}),
    thing(a=thing(b=thing(c={"type": "boolean"}))),
    {"type": "integer", "minimum": -7, "maximum": 12},
    {"type": "integer", "exclusiveMinimum": 99, "multipleOf": 7, "maximum": 10**6},
    {"type": "number", "minimum": 0.5, "exclusiveMaximum": 2},
    {"enum": ["red", "green", 3, None, {"a": [1]}]},
    {"const": "only this"},
    {"type": ["string", "null"], "maxLength": 5},
    {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3,5}$"},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "minLength": 3, "maxLength": 6},
    {"type": "array", "items": {"type": "integer", "maximum": 99}, "minItems": 2, "maxItems": 4},
    {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "null"}], "items": False},
    {"anyOf": [{"type": "boolean"}, thing(x={"type": "integer", "minimum": 1, "maximum": 9})]},
    {"allOf": [{"minimum": 3}, {"type": "integer"}, {"maximum": 30}]},
    {
        "$defs": {
            "tree": thing(
                value={"type": "integer", "minimum": 0, "maximum": 9},
                children={"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/tree"}},
            )
        },
        "$ref": "#/$defs/tree",
    },
    {
        "type": "object",
        "properties": {"a": STRING},
        "required": ["a"],
        "patternProperties": {"^n_[a-z]$": {"type": "integer", "maximum": 9}},
        "additionalProperties": False,
        "maxProperties": 3,
    },
    {"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 2},
]


def draw(mask: Mask, vocabulary: Vocabulary, random: np.random.Generator, most: int) -> str | None:
    """An answer by random logits; None where it was cut at ``most`` tokens."""
    answer, size = b"", len(vocabulary.tokens)
    for _ in range(most):
        if mask.finished:
            return answer.decode()
        logits = random.normal(scale=3, size=size).astype(np.float32)
        # A model of random weights would hardly ever end a string, a number or a list.
        logits[[ord(letter) for letter in '"]},.0']] += 4
        mask.apply(logits.ctypes.data, size)
        token = int(np.argmax(logits))
        assert np.isfinite(logits[token])
        assert mask.accept(token)
        if token in vocabulary.eos:
            return answer.decode()
        answer += vocabulary.tokens[token]
    return None


def run_schemas(vocabulary: Vocabulary, seeds: int, most: int) -> tuple[list[str], int]:
    """The invalid answers, and how many were cut."""
    invalid, cut = [], 0
    for number, schema in enumerate(SCHEMAS):
        constraint = compile_constraint(vocabulary, schema)
        validator = Draft202012Validator(schema, format_checker=FormatChecker())
        for seed in range(seeds):
            answer = draw(constraint.new(), vocabulary, np.random.default_rng([number, seed]), most)
            if answer is None:
                cut += 1
            elif not validator.is_valid(json.loads(answer)):
                invalid.append(f"{schema}: {answer}")
    return invalid, cut


def test_random_answers_fit_their_schema(vocabulary):
    invalid, cut = run_schemas(vocabulary, seeds=5, most=120)
    assert invalid == []
    assert cut < 0.2 * 5 * len(SCHEMAS)


@pytest.mark.slow
def test_two_hundred_random_answers_fit_each_of_twenty_schemas(vocabulary):
    assert len(SCHEMAS) == 20
    invalid, cut = run_schemas(vocabulary, seeds=200, most=200)
    assert invalid == []
    assert cut < 0.2 * 200 * len(SCHEMAS)


def test_a_forbidden_token_changes_nothing(vocabulary):
    mask = compile_constraint(vocabulary, {"type": "boolean"}).new()
    assert not mask.accept(ord("x"))
    assert not mask.accept(EOS)
    assert not mask.accept(BOS)
    for letter in "true":
        assert not mask.finished
        assert mask.accept(ord(letter))
    assert mask.finished and mask.complete


def test_a_mask_forbids_by_minus_infinity_and_leaves_the_rest(vocabulary):
    size = len(vocabulary.tokens) + 6  # logits may be padded past the vocabulary
    logits = np.arange(size, dtype=np.float32)
    compile_constraint(vocabulary, {"type": "boolean"}).new().apply(logits.ctypes.data, size)
    allowed = set(np.flatnonzero(np.isfinite(logits)).tolist())
    assert {vocabulary.tokens[token] for token in allowed} == {b"t", b"f", b"true", b"false"}
    assert all(logits[token] == token for token in allowed)


def test_a_property_cannot_be_spelt_in_escapes(vocabulary):
    """Else "ag\\u0065" would be a further property for the grammar, and "age" for who reads it."""
    mask = compile_constraint(vocabulary, {"properties": {"age": {"type": "integer"}}}).new()
    for letter in '{"ag\\':
        assert mask.accept(ord(letter))
    assert not mask.accept(ord("u"))
    assert mask.accept(ord("n"))


def test_a_grammar_that_the_vocabulary_cannot_write_is_an_error():
    vocabulary = Vocabulary([b"a", b"<eos>"], (1,), frozenset({1}), list)
    mask = compile_constraint(vocabulary, grammar='root ::= "b"').new()
    logits = np.zeros(2, dtype=np.float32)
    with pytest.raises(RequestRefused):
        mask.apply(logits.ctypes.data, 2)


def test_an_integer_may_end_or_go_on(vocabulary):
    mask = compile_constraint(vocabulary, {"type": "integer"}).new()
    assert not mask.complete
    assert mask.accept(ord("7"))
    assert mask.complete and not mask.finished
    assert mask.accept(EOS)
    assert mask.finished


def test_sequences_of_one_constraint_are_apart(vocabulary):
    constraint = compile_constraint(vocabulary, {"enum": ["ab", "cd"]})
    one, other = constraint.new(), constraint.new()
    for letter in '"ab':
        assert one.accept(ord(letter))
    assert other.accept(ord('"')) and other.accept(ord("c"))
    assert not one.accept(ord("c"))


def test_a_model_without_an_end_token_still_finishes():
    mask = compile_constraint(make_vocabulary(eos=()), {"const": 1}).new()
    assert mask.accept(ord("1"))
    assert mask.finished


def test_the_tokenizer_is_made_once_and_goes_with_its_vocabulary():
    vocabulary = make_vocabulary()
    gc.collect()  # those of other tests
    before = len(constrain._tokenizers)
    compile_constraint(vocabulary, True)
    compile_constraint(vocabulary, {"type": "null"})
    assert len(constrain._tokenizers) == before + 1
    del vocabulary
    gc.collect()
    assert len(constrain._tokenizers) == before


@pytest.mark.parametrize(
    ("schema", "error", "words"),
    [
        ({"uniqueItems": True}, FeatureMissing, "uniqueItems"),
        ({"properties": {"a": {"not": {}}}}, FeatureMissing, "not"),
        ({"if": {}, "then": {}}, FeatureMissing, "if, then"),
        ({"contains": {}}, FeatureMissing, "contains"),
        ({"not": {}, "x-guidance": {"lenient": True}}, FeatureMissing, "not"),
        ({"oneOf": [{"type": "string"}, {"minLength": 1}]}, FeatureMissing, "oneOf"),
        ({"type": "string", "format": "zip"}, FeatureMissing, "format zip"),
        ({"type": "string", "pattern": "(?=a)"}, FeatureMissing, "look-around"),
        (
            {"properties": {"a": {}}, "minProperties": 1},
            FeatureMissing,
            "min/maxProperties only supported",
        ),
        ({"type": "text"}, UsageError, "Invalid type: text"),
        ({"$ref": "#/nowhere"}, UsageError, "/nowhere"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, UsageError, "Unsatisfiable"),
        (False, UsageError, "no answer"),
        ({"minimum": 10**400}, UsageError, "out of range"),
        ({"const": "\ud800"}, UsageError, "hex escape"),
    ],
)
def test_what_cannot_be_enforced_is_refused_by_name(vocabulary, schema, error, words):
    with pytest.raises(error) as raised:
        compile_constraint(vocabulary, schema)
    assert words in raised.value.message + raised.value.hint


@pytest.mark.parametrize(
    ("grammar", "words"),
    [
        ('root ::= "a', "line 1"),
        ("root ::= foo", "'foo'"),
        ('x ::= "a"', "root"),
        ("start: foo", "1(8)"),
        ("start: /[/", "unclosed"),
        ("", "root"),
        ("root ::= " + "(" * 100_000, "nested too deeply"),
    ],
)
def test_a_broken_grammar_says_where(vocabulary, grammar, words):
    with pytest.raises(UsageError) as raised:
        compile_constraint(vocabulary, grammar=grammar)
    assert words in raised.value.message


@pytest.mark.parametrize("grammar", ['root ::= "yes" | "no"', 'start: "yes" | "no"'])
def test_gbnf_and_lark_both_constrain(vocabulary, grammar):
    constraint = compile_constraint(vocabulary, grammar=grammar)
    answers = {
        draw(constraint.new(), vocabulary, np.random.default_rng(seed), 9) for seed in range(20)
    }
    assert answers == {"yes", "no"}


def test_one_of_the_two_is_given(vocabulary):
    with pytest.raises(UsageError):
        compile_constraint(vocabulary)
    with pytest.raises(UsageError):
        compile_constraint(vocabulary, {}, 'root ::= "a"')


# The source of llama.cpp, for instance vendor/llama.cpp inside llama-cpp-python's source package.
LLAMA_CPP = os.environ.get("LLMRR_LLAMA_CPP_SOURCE")


@pytest.mark.skipif(not LLAMA_CPP, reason="LLMRR_LLAMA_CPP_SOURCE names no source of llama.cpp")
def test_the_sample_grammars_of_llama_cpp_compile(vocabulary):
    grammars = sorted(Path(LLAMA_CPP or "", "grammars").glob("*.gbnf"))
    assert len(grammars) >= 8
    for path in grammars:
        mask = compile_constraint(vocabulary, grammar=path.read_text("utf-8")).new()
        answer = draw(mask, vocabulary, np.random.default_rng(0), 40)
        assert answer is None or answer.strip() or mask.complete
