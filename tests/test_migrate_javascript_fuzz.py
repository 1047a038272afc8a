"""Whatever stands in a file, JavaScript's evaluation and its readers come back, with values that
can be walked."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrr.errors import DamagedFile
from llmrr.migrate.documents import Document
from llmrr.migrate.javascript import evaluate
from llmrr.migrate.readers import guide, node_llama_cpp
from llmrr.migrate.values import Call, Code, Value, inside

NAMES = st.sampled_from([
    "a", "b", "opts", "model", "this.x", "process.env.K", "x.y.z", "__dirname",
])  # fmt: skip
LITERALS = st.sampled_from([
    "1", "0.7", "'t'", "`t ${a} {b}`", "null", "true", "/r/", "1e400", "'\\u{110000}'", "'\\ud800'",
    "0x", "1n", "undefined", "[,]", "{...a}", "({[a]: 1})", "...", "'./m.gguf'",
])  # fmt: skip


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(st.sampled_from(["+", "||", "??", "&&", "*", "**", "<<", "===", ",", "in"]), pair)
        .map(lambda one: f"({one[1][0]} {one[0]} {one[1][1]})"),
        pair.map(lambda one: f"{{modelName: {one[0]}, apiKey: {one[1]}, models: [{one[0]}]}}"),
        pair.map(lambda one: f"{{modelPath: {one[0]}, contextSize: {one[1]}, ...{one[0]}}}"),
        pair.map(lambda one: f"[{one[0]}, ...{one[1]}]"),
        pair.map(lambda one: f"new OpenAI({one[0]}, {one[1]})"),
        pair.map(lambda one: f"(await {one[0]}.loadModel({{modelPath: {one[1]}}}))"),
        pair.map(lambda one: f"path.join({one[0]}, {one[1]})"),
        pair.map(lambda one: f"({one[0]} ? {one[1]} : {one[0]})"),
        pair.map(lambda one: f"({one[0]})[{one[1]}].trim().join({one[0]})"),
        inner.map(lambda one: f"`{{x}} ${{{one}}}`"), inner.map(lambda one: f"(() => {one})()"),
        inner.map(lambda one: f"parseInt({one})"), inner.map(lambda one: f"-{one}"),
        inner.map(lambda one: f"(({one}) as const)"),
        inner.map(lambda one: f"{one}.chat.create({one})"),
    )  # fmt: skip


EXPRESSIONS = st.recursive(st.one_of(NAMES, LITERALS), _larger, max_leaves=12)
STATEMENTS = st.lists(st.one_of(
    st.tuples(NAMES, EXPRESSIONS).map(lambda one: f"const {one[0]} = {one[1]};"),
    st.tuples(NAMES, EXPRESSIONS).map(lambda one: f"{one[0]} = {one[1]};"),
    st.tuples(NAMES, EXPRESSIONS)
    .map(lambda one: f"const {{{one[0]}: [b = {one[1]}]}} = {one[1]};"),
    EXPRESSIONS.map(lambda one: f"export default {one};"),
    EXPRESSIONS.map(lambda one: f"module.exports = {one};"),
    EXPRESSIONS.map(lambda one: f"class A {{ x = {one}; f(a) {{ return {one} }} }}"),
    EXPRESSIONS.map(lambda one: f"function b(a = {one}) {{ return {one} }} b();"),
    EXPRESSIONS.map(lambda one: f"for (const a of {one}) f({one});"),
    EXPRESSIONS.map(lambda one: f"opts.a = {one}; opts.push({one});"),
), min_size=1, max_size=6).map("\n".join)  # fmt: skip
IMPORTS = "import { getLlama, LlamaModel } from 'node-llama-cpp'; import OpenAI from 'openai';\n"


def walked(value: Value, depth: int = 0) -> Iterator[Value]:
    assert depth < 200
    for one in inside(value):
        yield one
        if isinstance(one, Call):
            for part in (*one.args, *one.fields.values(), one.receiver):
                yield from walked(part, depth + 1)


def check(text: str, dialect: str) -> None:
    try:
        code = evaluate(text, Path("a.js"), dialect)
    except DamagedFile:
        return
    assert isinstance(code, Code)
    for value in (*code.calls, *code.names.values(), *code.exports.values()):
        assert sum(1 for _ in walked(value)) < 50_000


@settings(max_examples=80, deadline=None)
@given(STATEMENTS, st.sampled_from(["javascript", "typescript", "tsx"]))
def test_code_is_evaluated(text: str, dialect: str) -> None:
    check(text, dialect)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["javascript", "typescript", "tsx"]))
def test_texts_are_harmless(text: str, dialect: str) -> None:
    check(text, dialect)


@settings(max_examples=60, deadline=None)
@given(STATEMENTS, st.data())
def test_half_written_code_is_harmless(text: str, data: st.DataObject) -> None:
    check(text[: data.draw(st.integers(0, len(text)))], "typescript")


@settings(max_examples=80, deadline=None)
@given(STATEMENTS)
def test_the_readers_come_back(text: str) -> None:
    document = Document(Path("a.ts"), (IMPORTS + text).encode(errors="replace"))
    for reader in (guide.READER, node_llama_cpp.READER):
        assert reader.of_code is not None
        for one in reader.of_code(document):
            assert all(model.as_json() for model in one.models)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["openai", "gpt-4", "hf:o/m", "./m.gguf", "local", "fallback", "sk-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "models", "modelName", "provider", "apiKey", "model", "modelPath", "config", "source",
        "contextSize", "strategy", "fallbackChain", "templates", "engine", "weight", "caching",
        "circuitBreaker", "providers", "quantization", "tags", "name", "timeout", "temperature",
    ]), inner, max_size=5), max_leaves=20,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_table_is_read(table: object) -> None:
    document = Document(Path("a.json"), json.dumps(table).encode())
    assert guide.READER.of_data is not None
    for one in guide.READER.of_data(document):
        assert all(model.as_json() for model in one.models)


@pytest.mark.parametrize("piece", [
    "{[(\n", "`${\n", "<a>\n", "a?b:\n", "x.y(\n", "async (\n", "const a=b=>\n", "if(a){\n",
    "a.b()\n.", "'a'+\n", "const {a,b}=c;\n", "x={...x,\n", "f(a,\n", "a=[a,a];\n",
])  # fmt: skip
@pytest.mark.parametrize("size", [30_000, pytest.param(150_000, marks=pytest.mark.slow)])
def test_long_files_are_bounded(piece: str, size: int) -> None:
    check(piece * (size // len(piece)), "typescript")


def test_a_text_that_the_parser_never_ends() -> None:
    with pytest.raises(DamagedFile):
        evaluate("``s:[``|0|'|\n``|s:b.m|\n|`", Path("a.tsx"), "tsx")
