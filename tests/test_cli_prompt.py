"""What the words of a command line mean."""

import pytest

from llmrr.cli import prompt
from llmrr.errors import LlmrrError, UsageError
from llmrr.types import Message


@pytest.mark.parametrize(
    ("words", "stated", "expected"),
    [
        (["mini", "hello"], None, ("mini", "hello")),
        (["mini", "hello", "there"], None, ("mini", "hello there")),
        (["mini"], None, ("mini", None)),
        (["mini hello"], None, (None, "mini hello")),
        (["hello", "mini"], None, (None, "hello mini")),
        (["mini", "hello"], "other", ("other", "mini hello")),
        ([], None, (None, None)),
        ([""], None, (None, None)),
    ],
)
def test_model_and_prompt(
    words: list[str], stated: str | None, expected: tuple[str | None, str | None]
) -> None:
    assert prompt.split_words(words, stated, lambda word: word == "mini") == expected


def test_prompt_files_and_stdin_are_joined_with_blank_lines() -> None:
    joined = prompt.join_parts("Why?", [("a.py", "x = 1\n")], "error\n")
    assert joined == "Why?\n\na.py:\n```\nx = 1\n```\n\nerror"


@pytest.mark.parametrize("stdin", [None, "", "\n", "  \n"])
def test_stdin_without_text_is_nothing(stdin: str | None) -> None:
    assert prompt.join_parts(" ", [], stdin) is None
    assert prompt.join_parts("Why?", [], stdin) == "Why?"
    assert prompt.join_parts(None, [], stdin) is None


def test_stdin_alone_is_the_prompt_and_keeps_its_indentation() -> None:
    assert prompt.join_parts(None, [], "  a\n b\n\n") == "  a\n b"


def test_a_fence_is_longer_than_those_inside() -> None:
    assert prompt.fence("x.md", "````\ncode\n````") == "x.md:\n`````\n````\ncode\n````\n`````"


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("a\n```py\nx\ny\n```\nb\n```\nz\n```", "x\ny\n"),
        ("~~~\n```\nx\n```\n~~~", "```\nx\n```\n"),
        ("````\n```\n````", "```\n"),
        ("```\ncut off", "cut off"),
        ("```\n```", ""),
    ],
)
def test_first_code_block(text: str, block: str) -> None:
    assert prompt.code_block(text) == block


def test_no_code_block_is_nothing_done() -> None:
    with pytest.raises(LlmrrError, match="no code block") as caught:
        prompt.code_block("inline ```x``` only")
    assert caught.value.exit_code == 1


def test_a_system_prompt_replaces_that_of_the_template() -> None:
    rendered = (Message("system", "old"), Message("user", "hi"))
    assert prompt.messages(None, "new", rendered) == (Message("system", "new"), rendered[1])


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        ("num_ctx", "context_size"),
        ("--ctx-size", "context_size"),
        ("n-gpu-layers", "gpu_layers"),
        ("-ngl", "gpu_layers"),
        ("num_predict", "max_tokens"),
        ("max_new_tokens", "max_tokens"),
        ("temp", "temperature"),
        ("top-k", "top_k"),
        ("repetition_penalty", "repeat_penalty"),
        ("num_thread", "threads"),
        ("cache-type-k", "kv_type"),
        ("flash-attn", "flash_attention"),
    ],
)
def test_names_of_the_neighbours(key: str, ours: str) -> None:
    assert prompt.option_name(key) == ours


def test_every_foreign_name_leads_to_an_option() -> None:
    assert set(prompt.FOREIGN.values()) <= set(prompt.known_options())
    assert not set(prompt.FOREIGN) & set(prompt.known_options())


def test_option_values_are_typed_and_stops_add_up() -> None:
    pairs = [("temperature", "0"), ("top_k", "5"), ("stop", "a"), ("stop", "1"), ("mmap", "no")]
    sampling, loading = prompt.read_options([*pairs, ("fa", "on"), ("gpu_layers", "auto")])
    assert sampling == {"temperature": 0.0, "top_k": 5, "stop": ("a", "1")}
    assert loading == {"mmap": False, "flash_attention": "on", "gpu_layers": "auto"}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("temperature", "hot", '-o temperature "hot" is not a number'),
        ("top_k", "1.5", '-o top_k "1.5" is not a whole number'),
        ("mmap", "maybe", '-o mmap "maybe" is not true or false'),
        ("kv_type", "q9", '-o kv_type "q9" is not one of'),
        ("num_ctx", "-1", '-o num_ctx "-1" is not a whole number'),
    ],
)
def test_a_wrong_value_is_named(key: str, value: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        prompt.read_options([(key, value)])
    assert caught.value.message.startswith(said)


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        prompt.read_options([("temprature", "1")])
    assert caught.value.hint == "-o temperature VALUE"


def test_flags_win_over_options_and_zero_is_stated() -> None:
    sampling = prompt.sampling({"temperature": 0.0, "seed": None}, {"temperature": 1.0, "seed": 3})
    assert (sampling.temperature, sampling.seed) == (0.0, 3)


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert prompt.clean("a\udcffb") == "a\N{REPLACEMENT CHARACTER}b"
