"""``llmrr chat``: what is typed, what is asked, what is kept."""

import json
from pathlib import Path

import pytest
from fakes import FakeEngine, reply
from terminal import Seen, Typed

from llmrr import errors, paths
from llmrr.cli import answers, asking, markdown, repl, session, slash
from llmrr.router import Router
from llmrr.types import Message


def chat(typed: Typed, *lines: str, args: tuple[str, ...] = ()) -> Seen:
    return typed("chat", *args, stdin="".join(f"{line}\n" for line in lines))


def said(engine: FakeEngine, at: int = -1) -> list[str]:
    return [f"{message.role}: {message.content}" for message in engine.requests[at].messages]


def test_a_conversation_remembers(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["Hello.", "Ann."]
    seen = chat(typed, "I am Ann", "who am I?", "/bye", "never sent")
    assert (seen.code, seen.out) == (0, "Hello.\nAnn.\n")
    assert said(engine) == ["user: I am Ann", "assistant: Hello.", "user: who am I?"]
    assert seen.err.count("built-in model") == 1
    assert len(engine.loads) == 1
    assert engine.loads[0][1].at_least == session.CONTEXT_AT_LEAST


def test_what_the_command_line_says_comes_first(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a", "b"]
    chat(typed, "next", args=("tiny.gguf", "hello", "-s", "Be brief.", "--seed", "3"))
    assert said(engine) == ["system: Be brief.", "user: hello", "assistant: a", "user: next"]
    assert engine.requests[0].sampling.seed == 3


def test_a_block_of_lines_is_one_message(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a"]
    chat(typed, '"""one', "/two", 'three"""')
    assert said(engine) == ["user: one\n/two\nthree"]


def test_run_without_a_prompt_on_a_terminal_is_a_conversation(
    typed: Typed, engine: FakeEngine
) -> None:
    assert typed("run", "tiny.gguf", stdin=None).code == 0


def test_a_conversation_is_one_in_the_record(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a", "b", "c"]
    chat(typed, "one", "two", "/clear", "three")
    assert [head["turns"] for head in typed("logs", "list", "--json").json] == [2, 1]
    assert said(engine) == ["user: three"]


def test_chat_continues(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a", "b"]
    chat(typed, "one", args=("-s", "Sys",))
    chat(typed, "two", args=("-c",))
    assert said(engine) == ["system: Sys", "user: one", "assistant: a", "user: two"]
    assert [head["turns"] for head in typed("logs", "list", "--json").json] == [2]


def test_settings(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a", "b"]
    seen = chat(
        typed, "/set parameter temperature 0.2", "/set parameter num_ctx 512", "/set system Sys",
        "/set think high", "/set verbose", "hi", "/set nothink", "/show parameters", "again",
    )  # fmt: skip
    assert seen.code == 0
    assert (engine.requests[0].sampling.temperature, engine.requests[0].sampling.think) == (
        0.2, "high",
    )  # fmt: skip
    assert engine.requests[1].sampling.think == "off"
    assert engine.loads[0][1].context_size == 512
    assert said(engine, 0) == ["system: Sys", "user: hi"]
    assert "tokens/s" in seen.err
    assert "temperature   0.2" in seen.out


def test_show(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a"]
    seen = chat(typed, "hi", "/show messages", "/show system", "/show info", "/show template")
    assert seen.err.count("llmrr:") == 1
    assert "user: hi\nassistant: a\n" in seen.out
    assert "architecture" in seen.out
    assert "no system prompt is set" in seen.out


def test_save_and_load(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a", "b"]
    chat(typed, "/system Sys", "one", "/save first-talk")
    seen = chat(typed, "/load first-talk", "two")
    assert said(engine) == ["system: Sys", "user: one", "assistant: a", "user: two"]
    assert "loaded 2 messages" in seen.err
    lost = chat(typed, "/load first")
    assert 'no conversation is saved as "first"' in lost.err
    assert "hint: /load first-talk" in lost.err


def test_a_damaged_conversation_is_told(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a"]
    chat(typed, "one", "/save x")
    saved = paths.data_dir() / "conversations" / "x.json"
    for text in ("{", "[]", '{"messages": [1]}', '{"messages": []}'):
        saved.write_text(text)
        seen = chat(typed, "/load x")
        assert (seen.code, "holds no conversation" in seen.err) == (4, True)


@pytest.mark.parametrize("name", ["../escape", "/etc/x", "", ".hidden", "a b"])
def test_names_that_could_leave_the_folder(typed: Typed, engine: FakeEngine, name: str) -> None:
    assert "/save NAME" in chat(typed, f"/save {name}").err


def test_the_model_can_be_changed(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a"]
    seen = chat(typed, "/model", "/model tiny.gguf", "/model absent", "hi")
    assert seen.out == "builtin:mini\na\n"
    assert "there is no model" in seen.err
    assert engine.loads[0][0].name == "tiny.gguf"


@pytest.mark.parametrize(
    ("typo", "meant"), [("/hlep", "/help"), ("/quti", "/quit"), ("/sve x", "/save"), ("/xyz", "/?")]
)
def test_an_unknown_command_names_the_nearest(
    typed: Typed, engine: FakeEngine, typo: str, meant: str
) -> None:
    assert f"hint: {meant}\n" in chat(typed, typo).err


@pytest.mark.parametrize("word", ["/bye", "/exit", "/quit"])
def test_the_end(typed: Typed, engine: FakeEngine, word: str) -> None:
    assert chat(typed, word, "never sent").code == 0
    assert engine.requests == []


def test_help_lists_every_command(typed: Typed, engine: FakeEngine) -> None:
    text = chat(typed, "/?").out
    assert all(f"/{name}" in text for name in slash.COMMANDS)


def test_ctrl_c_stops_the_answer_only(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [reply("half", KeyboardInterrupt()), "whole"]
    seen = chat(typed, "one", "two")
    assert (seen.code, seen.out) == (0, "half\nwhole\n")
    assert engine.streams[0].cancelled
    assert said(engine) == ["user: one", "assistant: half", "user: two"]


def test_a_failure_does_not_end_the_conversation_but_is_its_exit_code(
    typed: Typed, engine: FakeEngine
) -> None:
    engine.replies = [errors.ContextOverflow("too long", "shorten it"), "fine"]
    seen = chat(typed, "one", "two", "/nonsense")
    assert (seen.code, seen.out) == (5, "fine\n")
    assert "too long\n  hint: shorten it\n" in seen.err
    assert "lines that failed: 2" in seen.err
    assert said(engine) == ["user: two"]


def test_a_full_context_is_mended_by_clear(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a", errors.ContextOverflow("too long", "shorten it"), "b"]
    seen = chat(typed, "one", "two", "/clear", "two")
    assert (seen.code, seen.out) == (5, "a\nb\n")
    assert "too long\n  hint: /clear begins anew" in seen.err


def test_a_conversation_on_a_terminal_begins_with_its_model(
    typed: Typed, engine: FakeEngine
) -> None:
    seen = typed("chat", "tiny.gguf", stdin=None)
    assert (seen.code, seen.err) == (0, "llmrr: tiny.gguf answers; /? lists the commands\n")
    assert typed("chat", "-m", "absent", stdin=None).code == 3


def test_what_is_set_is_confirmed(typed: Typed, engine: FakeEngine) -> None:
    seen = chat(
        typed, "/set parameter num_ctx 512", "/set think", "/set quiet", "/set nohistory",
        "/show parameters",
    )  # fmt: skip
    assert seen.err.splitlines() == [
        "llmrr: context_size is 512", "llmrr: thinking is medium",
        "llmrr: tokens and timings are not told", "llmrr: what is said is not kept",
    ]  # fmt: skip
    assert seen.out == "think         medium\ncontext_size  512\n"
    assert chat(typed, "/show parameters").out == "no parameter is set\n"


def test_what_was_kept_is_private(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a"]
    chat(typed, "one", "/save x")
    saved = paths.data_dir() / "conversations" / "x.json"
    assert saved.is_file()
    assert saved.parent.stat().st_mode & 0o077 == 0


def test_read_message_strips_the_lines_of_the_quotes() -> None:
    lines = iter(['"""', "a", "", "b", '"""', "rest"])
    assert repl.read_message(lambda more: next(lines)) == "a\n\nb"


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("One.\n\nTwo", "One.\n\n"),
        ("One.\nstill one\n\n", ""),
        ("```\na\n\nb\n", ""),
        ("```\na\n\nb\n```\n\nText", "```\na\n\nb\n```\n\n"),
        ("1. a\n\n2. b\n\n", ""),
        ("- a\n\n  more\n\nText", "- a\n\n  more\n\n"),
        ("a\n\nb\n\nc", "a\n\nb\n\n"),
    ],
)
def test_markdown_is_printed_once_a_block_is_complete(text: str, done: str) -> None:
    assert text[: markdown.settled(text)] == done


def test_session_turns_begin_with_the_system_prompt(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a", "b"]
    chat(typed, "/system Sys", "one", "/system", "two")
    assert engine.requests[0].messages[0] == Message("system", "Sys")
    assert said(engine) == ["user: one", "assistant: a", "user: two"]


def test_a_model_is_remembered_by_what_finds_it_again(
    typed: Typed, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.replies = ["a", "b", "c"]
    Path("sub").mkdir()
    Path("tiny.gguf").rename("sub/m.gguf")
    Path("llmrr.toml").write_text(
        'version = 1\n[[models]]\nname = "mine"\nsource = "file:./sub/m.gguf"\n'
    )
    seen = chat(typed, "/model ./sub/m.gguf", "hi", "/save x", "/model")
    assert (seen.code, seen.out) == (0, "a\nm.gguf\n")
    kept = json.loads((paths.data_dir() / "conversations" / "x.json").read_text())
    assert kept["model"] == f"file:{Path('sub/m.gguf').absolute()}"
    chat(typed, "/save y", args=("-m", "sub/m.gguf"))
    chat(typed, "/model mine", "hi", "/save z")
    named = json.loads((paths.data_dir() / "conversations" / "z.json").read_text())
    assert named["model"] == "mine"
    monkeypatch.chdir("sub")
    seen = chat(typed, "/load y", "hi")
    assert (seen.code, seen.out) == (0, "c\n")


def test_what_is_typed_is_kept_only_as_long_as_that_is_wanted(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = asking.question(asking.Asked(), Router(), None)
    talk = session.begin(Router(), question, answers.Shown())
    typed_before = repl.history(talk.keeps)
    typed_before.append_string("first")
    slash.obey(talk, "/set nohistory")
    typed_before.append_string("secret")
    assert typed_before.get_strings() == ["first", "secret"]
    slash.obey(talk, "/set history")
    monkeypatch.setenv("LLMRR_LOG_PROMPTS", "false")
    silent = session.begin(Router(), question, answers.Shown())
    repl.history(silent.keeps).append_string("secret")
    unlogged = session.begin(Router(), question, answers.Shown(), log=False)
    repl.history(unlogged.keeps).append_string("secret")
    kept = (paths.data_dir() / "chat_history").read_text()
    assert ("first" in kept, "secret" in kept) == (True, False)


def test_a_place_that_takes_no_conversation_does_not_end_it(
    typed: Typed, engine: FakeEngine
) -> None:
    engine.replies = ["a", "b"]
    paths.data_dir().mkdir(parents=True)
    (paths.data_dir() / "conversations").write_text("in the way")
    seen = chat(typed, "one", "/save x", "two")
    assert (seen.code, seen.out) == (1, "a\nb\n")
    assert "llmrr: cannot write " in seen.err


def test_the_end_of_the_input_closes_a_block(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a"]
    assert chat(typed, '"""one', "two").out == "a\n"
    assert said(engine) == ["user: one\ntwo"]
    assert chat(typed, '"""').code == 0


def test_what_is_shown_moves_no_terminal(typed: Typed, engine: FakeEngine) -> None:
    seen = typed(
        "chat", stdin="/system a\x1b]0;evil\x07b\n/show system\n", out_terminal=True
    )  # fmt: skip
    assert seen.out == "a]0;evilb\n"


def test_a_parameter_can_be_taken_back(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a"]
    seen = chat(typed, "/set parameter seed 3", "/set parameter seed -1", "hi")
    assert engine.requests[0].sampling.seed is None
    assert "llmrr: seed is not set" in seen.err
