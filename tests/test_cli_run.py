"""``llmrr run``: from the words that are typed to what the engine is asked and what is printed."""

import errno
import stat
import sys
from pathlib import Path

import pytest
from builders import tiny_llama
from fakes import FakeEngine, reply
from terminal import Stream, Typed

from llmrr import errors, stats
from llmrr.cli import answers, app
from llmrr.database import open_database
from llmrr.types import Message


def test_an_answer_goes_to_stdout_and_the_model_to_stderr(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["Par", "unused"]
    seen = typed("run", "What is the capital", "of France?")
    assert (seen.code, seen.out) == (0, "Par\n")
    assert seen.err == (
        "llmrr: builtin:mini is the small built-in model; for a real one: "
        "llmrr pull qwen3:4b\n"
    )
    assert engine.requests[0].messages == (Message("user", "What is the capital of France?"),)


def test_the_first_word_is_the_model_when_it_names_one(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a", "b", "c"]
    assert typed("run", "tiny.gguf", "hello").err == ""
    assert typed("run", "-m", "tiny.gguf", "hello").err == ""
    assert typed("run", "hello tiny.gguf").code == 0
    said = [request.messages[0].content for request in engine.requests]
    assert said == ["hello", "hello", "hello tiny.gguf"]
    assert [path.name for path, _ in engine.loads] == ["tiny.gguf"] * 3


def test_the_model_alone_answers_what_comes_on_stdin(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["fine"]
    assert typed("run", "tiny.gguf", stdin="how are you\n").out == "fine\n"
    assert engine.requests[0].messages == (Message("user", "how are you"),)


def test_stdin_is_joined_to_the_prompt(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["x"]
    typed("run", "what broke?", stdin="line 1\nline 2\n")
    assert engine.requests[0].messages[-1].content == "what broke?\n\nline 1\nline 2"


def test_stdin_that_is_no_utf8_is_still_text(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["x"]
    assert typed("run", stdin=b"caf\xe9").code == 0
    assert engine.requests[0].messages[0].content == "caf\N{REPLACEMENT CHARACTER}"


def test_no_prompt_at_all_is_a_usage_error(typed: Typed, engine: FakeEngine) -> None:
    seen = typed("run")
    assert (seen.code, seen.out) == (2, "")
    assert "no prompt was given" in seen.err


def test_no_prompt_and_no_conversation_in_json(typed: Typed, engine: FakeEngine) -> None:
    assert typed("run", "--json", "tiny.gguf", stdin=None).json["error"]["exit_code"] == 2


def test_an_empty_prompt_or_model_is_none(typed: Typed, engine: FakeEngine) -> None:
    assert "no prompt was given" in typed("run", " ").err
    for command in ("run", "chat", "embed"):
        seen = typed(command, "-m", "", "hi")
        assert (seen.code, "hint: llmrr list" in seen.err) == (2, True)


def test_a_first_word_that_is_nearly_a_model_is_told(typed: Typed, engine: FakeEngine) -> None:
    Path("llmrr.toml").write_text(
        'version = 1\n[[models]]\nname = "assistant"\nsource = "file:./tiny.gguf"\n'
    )
    engine.replies = ["a"] * 4
    told = 'no model "assitant": taken as part of the prompt (did you mean assistant?)'
    assert told in typed("run", "assitant", "hi").err
    for words in (["assitant"], ["assitant hi"], ["-m", "tiny.gguf", "assitant", "hi"]):
        assert "did you mean" not in typed("run", *words).err


def test_a_first_word_that_is_nearly_an_installed_model_is_told(
    typed: Typed, engine: FakeEngine
) -> None:
    for name in ("someone/mymodel", "good"):
        typed("import", str(tiny_llama(Path("real.gguf"))), "--name", name)
    engine.replies = ["a"] * 9
    wrong = {"mymodel": "someone/mymodel", "good.guf": "good", "lama3.2": "llama3.2"}
    for word, meant in wrong.items():
        assert f"did you mean {meant}?" in typed("run", word, "hi").err, word
    for words in (["god", "is"], ["Why", "is"], ["1.", "Write"], ["a/b/c", "x"]):
        assert "did you mean" not in typed("run", *words).err, words
    seen = typed("run", "./good.guf", "hi")
    assert (seen.code, "good.guf does not exist" in seen.err) == (3, True)


def test_a_prompt_that_looks_like_an_option(typed: Typed, engine: FakeEngine) -> None:
    seen = typed("run", "-5 plus 3")
    assert seen.code == 2
    assert "hint: llmrr run -- '-5 plus 3'\n" in seen.err
    engine.replies = ["-2"]
    assert typed("run", "--", "-5 plus 3").out == "-2\n"
    seen = typed("run", "-5 plus 3", "--seed", "1")
    assert "hint: llmrr run --seed 1 -- '-5 plus 3'\n" in seen.err


def test_an_unknown_option_is_told_with_its_neighbour(typed: Typed, engine: FakeEngine) -> None:
    seen = typed("run", "--temprature", "1", "hello")
    assert seen.code == 2
    assert 'there is no option "--temprature"; did you mean --temperature?' in seen.err


def test_flags_and_options_reach_the_engine(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["x"]
    flags = ["--temperature", "0", "--top-p", "0.5", "--seed", "7", "--max-tokens", "9"]
    flags += ["--ctx-size", "512", "--think", "low"]
    options = ["-o", "top_k", "3", "-o", "num_ctx", "99", "-o", "ngl", "2", "-o", "stop", "END"]
    options += ["-o", "use_mmap", "false"]
    assert typed("run", *flags, *options, "-s", "Be brief.", "hi").code == 0
    sampling, (_, loading) = engine.requests[0].sampling, engine.loads[0]
    assert engine.requests[0].messages[0] == Message("system", "Be brief.")
    assert (sampling.temperature, sampling.top_p, sampling.seed) == (0, 0.5, 7)
    assert (sampling.max_tokens, sampling.top_k, sampling.stop) == (9, 3, ("END",))
    assert sampling.think == "low"
    assert (loading.context_size, loading.gpu_layers, loading.mmap) == (512, 2, False)


def test_files_are_fenced_with_their_names(typed: Typed, engine: FakeEngine) -> None:
    Path("a.py").write_text("x = 1\n")
    Path("b.txt").write_text("two\n")
    engine.replies = ["x"]
    assert typed("run", "-f", "a.py", "explain", "-f", "b.txt").code == 0
    expected = "explain\n\na.py:\n```\nx = 1\n```\n\nb.txt:\n```\ntwo\n```"
    assert engine.requests[0].messages[0].content == expected


def test_files_that_cannot_be_read_are_named(typed: Typed, engine: FakeEngine) -> None:
    Path("image.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Path("folder").mkdir()
    assert typed("run", "-f", "absent.txt", "x").code == 3
    seen = typed("run", "-f", "image.png", "x")
    assert seen.code == 4
    assert '"image.png" is no UTF-8 text' in seen.err
    seen = typed("run", "-f", "folder", "x")
    assert (seen.code, "hint: -f folder/FILE" in seen.err) == (1, True)
    Path("latin1.txt").write_bytes(b"caf\xe9")
    assert "latin1.txt > utf-8.txt" in typed("run", "-f", "latin1.txt", "x").err


def test_stdin_may_be_a_file(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["x"]
    typed("run", "-f", "-", "explain", stdin="a = 1\n")
    assert engine.requests[0].messages[0].content == "explain\n\nstdin:\n```\na = 1\n```"
    assert typed("run", "-f", "-", "explain", stdin=None).code == 2


def test_templates(typed: Typed, engine: FakeEngine) -> None:
    Path("llmrr.toml").write_text(
        "version = 1\n"
        '[templates.qa]\ntemplate = "Context: {context}\\nQ: {input}"\n'
        '[templates.say]\nmessages = [{ role = "system", content = "In {lang}." }]\n'
    )
    engine.replies = ["x", "y"]
    typed("run", "-t", "qa", "-P", "context", "sky", "colour?")
    typed("run", "-t", "say", "-P", "lang", "Latin", "hello")
    assert engine.requests[0].messages == (Message("user", "Context: sky\nQ: colour?"),)
    assert engine.requests[1].messages == (Message("system", "In Latin."), Message("user", "hello"))
    missing = typed("run", "-t", "qa", "colour?")
    assert (missing.code, "-P context VALUE" in missing.err) == (2, True)
    unknown = typed("run", "-t", "qaa", "x")
    assert (unknown.code, "hint: -t qa" in unknown.err) == (3, True)
    assert typed("run", "-P", "a", "b", "x").code == 2


def test_a_template_drops_no_words(typed: Typed, engine: FakeEngine) -> None:
    Path("llmrr.toml").write_text(
        "version = 1\n"
        '[templates.joke]\ntemplate = "Tell a joke."\n'
        '[templates.qa]\ntemplate = "Q: {input}"\n'
        '[templates.say]\nmessages = [{ role = "system", content = "Be brief." }]\n'
    )
    engine.replies = ["x"]
    seen = typed("run", "-t", "joke", "about", "cats")
    assert (seen.code, "takes no prompt: it has no hole {input}" in seen.err) == (2, True)
    assert typed("run", "-t", "qa", "-P", "input", "a", "b").code == 2
    assert typed("run", "-t", "say", "--raw", "b").code == 2
    assert typed("run", "-t", "joke").code == 0


def test_the_words_that_were_not_kept_cannot_be_continued(
    typed: Typed, engine: FakeEngine
) -> None:
    engine.replies = ["a", "b", "c"]
    typed("run", "one")
    typed("run", "-n", "two")
    seen = typed("run", "-c", "three")
    assert (seen.code, "words of the last conversation were not kept" in seen.err) == (3, True)
    assert "hint: llmrr logs on" in seen.err
    first, unkept = (head["cid"] for head in typed("logs", "list", "--json").json)
    assert typed("run", "--cid", unkept, "three").code == 3
    assert typed("run", "--cid", first, "three").code == 0


def test_raw_sends_the_text_as_it_is(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["x"]
    typed("run", "--raw", "Once upon")
    assert (engine.requests[0].prompt, engine.requests[0].messages) == ("Once upon", ())
    assert typed("run", "--raw", "-s", "Be brief.", "Once upon").code == 2


def test_the_first_code_block_only(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [reply("Here:\n```sh\n", "ls\n```\nbye"), "no code"]
    assert typed("run", "-x", "list files").out == "ls\n"
    seen = typed("run", "-x", "list files")
    assert (seen.code, seen.out) == (1, "")


def test_an_answer_in_a_file_is_whole_or_not_there(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [reply("half", KeyboardInterrupt()), "all"]
    assert typed("run", "-O", "out.txt", "x").code == 130
    assert [path.name for path in Path().iterdir()] == ["tiny.gguf"]
    Path("out.txt").write_text("old")
    Path("out.txt").chmod(0o640)
    seen = typed("run", "-O", "out.txt", "x")
    assert (seen.code, seen.out, Path("out.txt").read_text()) == (0, "", "all\n")
    assert stat.S_IMODE(Path("out.txt").stat().st_mode) == 0o640


def test_a_file_in_a_folder_that_is_not_there(typed: Typed, engine: FakeEngine) -> None:
    seen = typed("run", "-O", "no/such/out.txt", "x")
    assert (seen.code, "hint: mkdir -p no/such" in seen.err) == (3, True)
    assert typed("run", "-O", ".", "x").code == 1
    assert engine.requests == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_a_place_that_takes_no_file_is_known_before_the_answer(
    typed: Typed, engine: FakeEngine
) -> None:
    seen = typed("run", "-O", "/proc/x", "x")
    assert (seen.code, "there is no folder" in seen.err, engine.requests) == (1, False, [])


def test_a_dash_for_the_file_is_stdout(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["x"]
    assert typed("run", "-O", "-", "x").out == "x\n"


def test_json(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [reply(("reasoning", "hm"), "Pa", "ris")]
    answer = typed("run", "--json", "capital?").json
    assert (answer["text"], answer["reasoning"], answer["engine"]) == ("Paris", "hm", "fake")
    assert answer["usage"] == {
        "prompt_tokens": 7, "cached_tokens": 3, "completion_tokens": 5, "estimated": False
    }  # fmt: skip
    assert answer["finish_reason"] == "stop"


def test_reasoning_is_never_on_stdout(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [reply(("reasoning", "let me see"), "42")] * 4
    assert typed("run", "x").out == "42\n"
    assert "let me see" not in typed("run", "x").err
    assert "let me see" in typed("run", "x", err_terminal=True).err
    assert "let me see" not in typed("run", "--hide-thinking", "x", err_terminal=True).err


def test_reasoning_is_dimmed_on_a_terminal_with_colours(
    typed: Typed, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    engine.replies = [reply(("reasoning", "hm"), "42")] * 2
    assert "\x1b[2mhm\x1b[0m" in typed("run", "x", err_terminal=True).err
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in typed("run", "x", err_terminal=True).err


def test_control_characters_do_not_reach_a_terminal(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a\x1b]0;title\x07b\tc\n"] * 2
    assert typed("run", "x", out_terminal=True).out == "a]0;titleb\tc\n"
    assert typed("run", "x").out == "a\x1b]0;title\x07b\tc\n"


def test_an_interrupted_answer_ends_its_line(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [reply("half", KeyboardInterrupt())]
    seen = typed("run", "x")
    assert (seen.code, seen.out) == (130, "half\n")
    assert engine.streams[0].cancelled


def test_a_failure_in_mid_answer(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [reply("half", errors.EngineFailed("it broke", "try again"))]
    seen = typed("run", "x")
    assert (seen.code, seen.out) == (7, "half\n")
    assert "llmrr: it broke\n  hint: try again\n" in seen.err


def test_a_failure_as_json(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [errors.ContextOverflow("too long", "shorten it")]
    seen = typed("run", "--json", "x")
    assert seen.code == 5
    assert seen.json == {
        "error": {
            "type": "ContextOverflow", "message": "too long", "hint": "shorten it", "exit_code": 5,
        }
    }  # fmt: skip


def test_a_bug_has_a_traceback(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [ZeroDivisionError("oops")]
    seen = typed("run", "x")
    assert seen.code == 70
    assert "Traceback" in seen.err
    assert "ZeroDivisionError: oops" in seen.err


def test_a_traceback_on_demand(
    typed: Typed, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Traceback" not in typed("run", "-m", "absent", "x").err
    monkeypatch.setenv("LLMRR_DEBUG", "1")
    assert "Traceback" in typed("run", "-m", "absent", "x").err


def test_a_cut_answer_is_told_unless_the_limit_was_stated(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [reply("a", finish_reason="length")] * 4
    assert "cut after 5 tokens, the limit where none is stated" in typed("run", "x").err
    assert "cut" not in typed("run", "--max-tokens", "5", "x").err
    assert "cut" not in typed("run", "-o", "num_predict", "5", "x").err
    Path("llmrr.toml").write_text(
        'version = 1\n[[models]]\nname = "a"\nsource = "file:./tiny.gguf"\n'
        "params = { max_tokens = 5 }\n"
    )
    assert "cut at max_tokens = 5 of a; --max-tokens N" in typed("run", "x").err


@pytest.mark.parametrize("stated", [[], ["--max-tokens", "99"]])
def test_a_full_context_is_told(typed: Typed, engine: FakeEngine, stated: list[str]) -> None:
    engine.replies = [reply("a", finish_reason="length", context_size=13)]
    seen = typed("run", *stated, "x")
    assert "cut after 5 tokens: the context of 13 tokens is full; --ctx-size N" in seen.err


def test_a_full_context_that_is_the_largest_is_told(typed: Typed, engine: FakeEngine) -> None:
    tiny_llama(Path("small.gguf"), context=13)
    engine.replies = [reply("a", finish_reason="length", context_size=13)]
    seen = typed("run", "./small.gguf", "x")
    assert "13 tokens is full; small.gguf has no larger one" in seen.err
    assert "--ctx-size" not in seen.err


def test_an_answer_with_a_form_that_was_cut_is_an_error(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [reply('{"name"', finish_reason="length")] * 4
    cut = ("run", "--schema", "name", "--max-tokens", "5", "x")
    seen = typed(*cut)
    assert (seen.code, seen.out) == (5, '{"name"\n')
    assert "the answer is incomplete: it was cut at --max-tokens 5\n  hint: --max-" in seen.err
    assert typed("run", "--grammar", 'root ::= "a"', "x").code == 5
    document = typed(*cut, "--json")
    assert (document.code, document.json["finish_reason"]) == (5, "length")
    assert (typed(*cut, "-O", "out.json").code, Path("out.json").exists()) == (5, False)


def test_verbose_tells_notes_and_figures(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [reply("a", notes=("no chat template",))] * 2
    loud = typed("run", "--verbose", "x").err
    assert "no chat template" in loud
    assert "prompt 7 tokens (3 cached), answer 5 tokens, 4.0 tokens/s, context 4096" in loud
    assert "tokens/s" not in typed("run", "x").err


def test_a_conversation_goes_on(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["I am fine.", "Blue.", "Green."]
    typed("run", "-s", "Be brief.", "tiny.gguf", "How are you?")
    typed("run", "-c", "And the sky?")
    cid = typed("logs", "list", "--json").json[0]["cid"]
    typed("run", "--cid", cid, "-s", "Be long.", "And the grass?")
    assert [message.content for message in engine.requests[1].messages] == [
        "Be brief.", "How are you?", "I am fine.", "And the sky?",
    ]  # fmt: skip
    assert engine.requests[2].messages[0].content == "Be long."
    assert len(engine.requests[2].messages) == 6
    assert typed("run", "--cid", "nowhere", "x").code == 3


def test_a_conversation_goes_on_from_another_folder(
    typed: Typed, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.replies = ["a", "b"]
    Path("tiny.gguf").rename("other.gguf")
    typed("run", "-m", "other.gguf", "one")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert typed("run", "-c", "two").code == 0
    assert {path for path, _ in engine.loads} == {tmp_path / "other.gguf"}


def test_nothing_to_continue(typed: Typed, engine: FakeEngine) -> None:
    seen = typed("run", "-c", "x")
    assert (seen.code, "no conversation to continue" in seen.err) == (3, True)


def test_no_log_keeps_the_words_out(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["kept", "gone"]
    typed("run", "first")
    typed("run", "-n", "secret")
    kept, gone = stats.runs(open_database())
    assert (kept.prompt, kept.answer) == ("first", "kept")
    assert (gone.prompt, gone.answer, gone.completion_tokens) == (None, None, 5)


@pytest.mark.parametrize(
    "flag",
    [
        ("--temperature", "-1"), ("--temperature", "nan"), ("--top-p", "nan"), ("--seed", "-2"),
        ("--seed", "4294967296"), ("--max-tokens", "0"), ("--think", "x"),
    ],
)  # fmt: skip
def test_wrong_values_of_flags(typed: Typed, engine: FakeEngine, flag: tuple[str, str]) -> None:
    seen = typed("run", *flag, "x")
    assert (seen.code, flag[0] in seen.err) == (2, True)


def test_a_model_that_does_not_exist(typed: Typed, engine: FakeEngine) -> None:
    seen = typed("run", "-m", "absent", "x")
    assert (seen.code, "absent" in seen.err) == (3, True)


def test_schema_and_grammar(typed: Typed, engine: FakeEngine) -> None:
    Path("digits.lark").write_text("start: /[0-9]+/\n")
    engine.replies = ["{}", "1"]
    assert typed("run", "--schema", "name, age int", "x").code == 0
    assert typed("run", "--grammar", "digits.lark", "x").code == 0
    schema = engine.requests[0].sampling.schema
    assert isinstance(schema, dict)
    assert schema["properties"]["age"] == {"type": "integer"}
    assert engine.requests[1].sampling.grammar == "start: /[0-9]+/\n"
    engine.replies = ["a"]
    assert typed("run", "--grammar", 'root ::= "a"', "x").code == 0
    assert engine.requests[2].sampling.grammar == 'root ::= "a"'
    assert typed("run", "--schema", "a", "--grammar", "digits.lark", "x").code == 2
    assert typed("run", "--grammar", "absent.lark", "x").code == 3


def test_the_database_may_be_missing(
    typed: Typed, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").write_text("in the way")
    monkeypatch.setenv("LLMRR_HOME", str(Path("file").absolute()))
    engine.replies = ["still"]
    seen = typed("run", "tiny.gguf", "x")
    assert (seen.code, seen.out) == (0, "still\n")
    assert seen.err.count("nothing is recorded") == 1


def test_progress_of_a_long_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = Stream(terminal=True)
    monkeypatch.setattr("sys.stderr", screen)
    clock = iter([0.0, 0.5, 1.5])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    progress = answers.Progress()
    progress(10, 100)
    assert screen.text == ""
    progress(50, 100)
    assert "reading the prompt: 50 % of 100 tokens" in screen.text
    progress.clear()
    assert screen.text.endswith("\r\x1b[K")


class Full(Stream):
    """A terminal's other end, or a disk, that fails after one piece."""

    failure: BaseException = OSError(errno.ENOSPC, "No space left on device")

    def write(self, text: str) -> int:
        if "two" in text:
            raise self.failure
        return super().write(text)


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_an_answer_whose_printing_fails_is_recorded(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    engine.replies = [reply("one", "two", "three")]
    monkeypatch.setattr(Full, "failure", failure)
    monkeypatch.setattr(sys, "stdin", Stream())
    monkeypatch.setattr(sys, "stdout", Full())
    assert app.main(["run", "x"]) == (130 if isinstance(failure, KeyboardInterrupt) else 5)
    [run] = stats.runs(open_database())
    assert (run.finish_reason, run.answer) == ("cancelled", "onetwo")
    assert engine.streams[0].cancelled


def test_what_is_told_moves_no_terminal(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = [
        errors.UsageError("bad\x1b]0;evil\x07", "mend\x1b[2J\nthen \x9bagain"),
        reply("x", notes=("note\x1b[2J",)),
    ]
    seen = typed("run", "-m", "tiny.gguf", "x", err_terminal=True)
    assert seen.err == "llmrr: bad]0;evil\n  hint: mend[2J\n  hint: then again\n"
    assert typed("run", "-m", "tiny.gguf", "x", err_terminal=True).err == "llmrr: note[2J\n"


def test_json_holds_no_control_character(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a\x1b\x7f\x9b\n"]
    seen = typed("run", "--json", "x", out_terminal=True)
    assert "\\u001b\\u007f\\u009b\\n" in seen.out
    assert seen.json["text"] == "a\x1b\x7f\x9b\n"


def test_the_first_code_block_as_json(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["So:\n```sh\nls\n```\nDone.", "none"]
    assert typed("run", "--json", "-x", "how?").json["text"] == "ls\n"
    seen = typed("run", "--json", "-x", "how?")
    assert (seen.code, seen.json["error"]["exit_code"]) == (1, 1)


def test_values_of_neighbours_that_mean_not_stated(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["x"] * 4
    for args in (
        ["-o", "num_predict", "-1"], ["-o", "n_predict", "-2"], ["-o", "seed", "-1"],
        ["-o", "seed", "3", "--seed", "-1"],
    ):  # fmt: skip
        assert typed("run", *args, "x").code == 0
        assert engine.requests[-1].sampling.max_tokens is None
        assert engine.requests[-1].sampling.seed is None
