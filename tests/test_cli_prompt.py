"""What the words of a command line mean."""

import pytest

from llmrr.cli import prompt
from llmrr.errors import LlmrrError
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


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert prompt.clean("a\udcffb") == "a\N{REPLACEMENT CHARACTER}b"
