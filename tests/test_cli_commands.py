"""The commands around ``run``, and what is answered to those that do not exist."""

import json
from pathlib import Path

import pytest
from builders import gguf_file, tiny_llama
from fakes import FakeEngine
from terminal import Typed

import llmrr
from llmrr import config, doctor
from llmrr.cli import layout, neighbours, times, tree
from llmrr.errors import CheckFailed, UsageError


def test_version_and_help(typed: Typed) -> None:
    assert typed("--version").out == typed("-V").out == f"llmrr {llmrr.__version__}\n"
    help_ = typed()
    assert help_.code == 0
    assert all(name in help_.out for name in tree.visible())
    assert " ls " not in help_.out


@pytest.mark.parametrize("verb", sorted(neighbours.VERBS))
def test_verbs_of_the_neighbours(typed: Typed, verb: str) -> None:
    seen = typed(verb, "llama3.2")
    assert (seen.code, seen.out) == (2, "")
    assert "  hint: llmrr " in seen.err


def test_the_line_for_each_verb_is_one_that_parses(typed: Typed) -> None:
    for _, line in neighbours.VERBS.values():
        command = line.format(rest="run").split()[1]
        assert command in tree.COMMANDS or command.startswith("-")


def test_no_verb_hides_a_command() -> None:
    assert not set(neighbours.VERBS) & set(tree.COMMANDS)


def test_what_other_tools_call_the_commands_of_a_group(typed: Typed) -> None:
    for group, words in neighbours.GROUPED.items():
        commands = tree.root().commands[group].commands  # type: ignore[attr-defined]
        assert not set(words) & set(commands)
        for word, line in words.items():
            assert line.split()[1] == group and line.split()[2] in commands
            seen = typed(group, word, "serve.port", "80")
            known = line.format("LLMRR_SERVE__PORT")
            assert (seen.code, f"  hint: {known}\n" in seen.err) == (2, True)
    assert "hint: llmrr config --help" in typed("config", "foo").err


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["what is x"], "llmrr run 'what is x'"),
        (["what", "is", "x"], "llmrr run what is x"),
        (["generate", "a b"], "llmrr run 'a b'"),
        (["load", "./m.gguf"], "llmrr run -m ./m.gguf"),
        (["lst"], "llmrr list"),
        (["modls"], "llmrr list"),
        (["prbe", "-x"], "llmrr probe -x"),
        (["hello"], "llmrr run hello"),
        (["rnu", "hi"], "llmrr run hi"),
        (["chats", "hi"], "llmrr chat hi"),
        (["hlep"], "llmrr help"),
        (["run", "-m"], "llmrr run --help"),
        (["-y"], "llmrr --help"),
        (["migrate", "-y"], "llmrr migrate --help"),
        (["migrate", "apply", "-y"], "llmrr migrate apply --help"),
        (["migrate", "apply", ".", "--target"], "llmrr migrate apply --help"),
        (["logs", "search", "--target", "x"], "llmrr logs search --help"),
        (["keys", "rm", "--force=1", "A"], "llmrr keys rm --help"),
    ],
)
def test_the_line_that_does_it_here(typed: Typed, args: list[str], line: str) -> None:
    seen = typed(*args)
    assert (seen.code, seen.err.splitlines()[-1]) == (2, f"  hint: {line}")


@pytest.mark.parametrize(("args", "said"), [
    (["serve", "--port", "abc"], "'--port': 'abc' is not a whole number\n"),
    (["run", "--max-tokens", "few", "x"], "'few' is not a whole number\n"),
    (["run", "--temperature", "hot", "x"], "'hot' is not a number\n"),
])  # fmt: skip
def test_what_is_no_number_is_said_to_be_none(typed: Typed, args: list[str], said: str) -> None:
    seen = typed(*args)
    assert (seen.code, said in seen.err) == (2, True), seen.err


def test_one_token_is_one(typed: Typed, engine: FakeEngine) -> None:
    model = '[[models]]\nname = "{}"\nsource = "builtin:mini"\n'
    Path("llmrr.toml").write_text(model.format("a") + model.format("b"))
    assert "a prompt of about 1 token\n" in typed("route", "x").out


def test_help_is_also_a_word(typed: Typed) -> None:
    assert typed("help").out == typed("--help").out
    assert typed("help", "run").out == typed("run", "--help").out
    assert typed("help", "logs", "search").out == typed("logs", "search", "--help").out


def test_list(typed: Typed, engine: FakeEngine) -> None:
    Path("llmrr.toml").write_text(
        'version = 1\n[[models]]\nname = "mine"\nsource = "file:./tiny.gguf"\n'
        '[[models]]\nname = "lost"\nsource = "file:./absent.gguf"\n'
    )
    lines = typed("list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "mine", "lost", "builtin:mini"]
    assert typed("ls").out == typed("list").out


def test_embed(typed: Typed, engine: FakeEngine) -> None:
    Path("lines.txt").write_text("one\n\nthree\n")
    assert typed("embed", "hi").out == "[2.0, 0.5]\n"
    assert typed("embed", stdin="a\nbb\n").out == "[1.0, 0.5]\n[2.0, 0.5]\n"
    typed("embed", "-f", "lines.txt", "arg", "-o", "num_ctx", "64")
    assert engine.texts[-3:] == ["arg", "one", "three"]
    assert engine.loads[-1][1].context_size == 64
    assert "blank lines that were left out: 1" in typed("embed", "-f", "lines.txt").err
    assert typed("embed", "-f", "-", stdin="a\n").out == "[1.0, 0.5]\n"
    assert typed("embed").code == 2
    seen = typed("embed", "a", "", "b")
    assert (seen.code, seen.out) == (2, "")
    assert "text 2 is empty" in seen.err
    assert typed("embed", "hi", "-o", "temperature", "1").code == 2


def test_stats_and_logs(typed: Typed, engine: FakeEngine) -> None:
    for nothing in (("stats",), ("logs",), ("logs", "list"), ("logs", "search", "x")):
        seen = typed(*nothing)
        assert (seen.code, seen.out, "no run is recorded" in seen.err) == (1, "", True)
    engine.replies = ["Paris", "Madrid", "Rome", "Bern"]
    for country in ("France", "Spain", "Italy", "Switzerland"):
        typed("run", f"The capital of {country}?")
    assert typed("stats").out.splitlines()[1].split()[:2] == ["builtin:mini", "4"]
    shown = typed("logs").out
    assert "answer: Bern" in shown
    assert "Paris" not in shown
    assert "Paris" in typed("logs", "search", "france").out
    assert "answer: Paris" in typed("logs", "-q", "FRANCE").out
    assert len(typed("logs", "--last", "2", "--json").json) == 2
    assert typed("logs", "--since", "1h", "--json").json != []
    assert typed("logs", "--since", "2100-01-01", "--json").json == []
    assert typed("logs", "--since", "soon").code == 2
    unknown = typed("logs", "-q", "zzz")
    assert (unknown.code, unknown.out, 'contains "zzz"' in unknown.err) == (1, "", True)
    assert typed("stats", "--since", "2100-01-01").code == 1
    assert typed("stats", "--since", "2100-01-01", "--json").json["models"] == []
    assert len(typed("logs", "list").out.splitlines()) == 5


def test_logs_off_and_on(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["a", "b"]
    assert typed("logs", "off").code == 0
    typed("run", "secret")
    assert typed("logs", "on").code == 0
    typed("run", "open")
    assert [run["prompt"] for run in typed("logs", "--json").json] == [None, "open"]
    assert "(the words were not kept)" in typed("logs").out
    Path("llmrr.toml").write_text("version = 1\nlog_prompts = true\n")
    assert "but not here" in typed("logs", "off").err


def test_config(typed: Typed, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("llmrr.toml").write_text("version = 1\nlog_prompts = false\n")
    monkeypatch.setenv("LLMRR_DEFAULT_MODEL", "tiny.gguf")
    lines = {line.split()[0]: line.split() for line in typed("config", "show").out.splitlines()}
    assert lines["log_prompts"][1:3] == ["no", "project"]
    assert lines["default_model"][1:3] == ["tiny.gguf", "environment"]
    assert typed("config", "path").out == f"{config.user_file()}\n"
    assert typed("config", "check").out == "nothing is wrong\n"
    Path("llmrr.toml").write_text("version = 1\nlog_promts = 1\n[stats]\nretention = 'x'\n")
    wrong = typed("config", "check")
    assert wrong.code == 8
    assert "log_prompts" in wrong.out
    assert "retention" in wrong.out
    assert len(json.loads(typed("config", "check", "--json").out)) == 2
    assert f"2 things are wrong\n  hint: ${{EDITOR:-vi}} {Path.cwd()}/llmrr.toml\n" in wrong.err
    Path("other.toml").write_text("version = \n")
    other = typed("config", "check", "other.toml")
    assert "1 thing is wrong\n  hint: ${EDITOR:-vi} other.toml\n" in other.err
    assert "hint: edit other.toml, line 1\n" in other.out
    assert typed("config", "check", "absent.toml").code == 3
    config.user_file().parent.mkdir(parents=True)
    config.user_file().write_text("x = 1\n")
    assert "llmrr config edit" in typed("config", "check", str(config.user_file())).err
    assert typed("list").code == 8


def test_a_default_model_without_effect_is_told(typed: Typed, engine: FakeEngine) -> None:
    Path("llmrr.toml").write_text(
        'version = 1\ndefault_model = "builtin:mini"\n'
        '[[models]]\nname = "mine"\nsource = "file:./tiny.gguf"\n'
        '[templates.qa]\ntemplate = "{input}"\n'
    )
    engine.replies = ["a"]
    for words in (("config", "check"), ("config", "show"), ("run", "hi")):
        seen = typed(*words)
        assert (seen.code, (seen.out + seen.err).count("has no effect")) == (0, 1)
    where = str(Path.cwd() / "llmrr.toml")
    facts = {line["key"]: line["where"] for line in typed("config", "show", "--json").json}
    assert facts["models.mine"] == facts["templates.qa"] == where


def test_config_edit_and_rollback(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Path("editor.sh")
    script.write_text('#!/bin/sh\necho "log_prompts = false" >> "$1"\n')
    script.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(script.absolute()))
    config.user_file().parent.mkdir(parents=True)
    config.user_file().write_text("version = 1\n")
    assert typed("config", "edit").code == 0
    assert "log_prompts = false" in config.user_file().read_text()
    assert typed("config", "rollback").code == 0
    assert config.user_file().read_text() == "version = 1\n"
    assert typed("config", "rollback").code != 0


def test_config_edit_refuses_what_is_wrong(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Path("editor.sh")
    script.write_text('#!/bin/sh\necho "nonsense = 1" > "$1"\n')
    script.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(script.absolute()))
    seen = typed("config", "edit")
    assert (seen.code, seen.err.count("unknown key nonsense")) == (8, 1)
    assert not config.user_file().exists()
    monkeypatch.setenv("VISUAL", "/no/such/editor")
    assert typed("config", "edit").code == 3
    monkeypatch.setenv("VISUAL", "false")
    assert typed("config", "edit").code == 1


def test_an_editor_that_is_no_command_line(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", 'vi "')
    seen = typed("config", "edit")
    assert (seen.code, "llmrr: EDITOR='vi \"' cannot be read" in seen.err) == (2, True)


def test_completion(typed: Typed) -> None:
    assert "_LLMRR_COMPLETE" in typed("completion", "bash").out
    assert typed("completion", "tcsh").code == 2


def test_doctor(typed: Typed, engine: FakeEngine) -> None:
    rows = {check.name: check for check in doctor.checks()}
    assert list(rows) == list(doctor.LOOKS)
    broken = [check for check in rows.values() if check.ok is False]
    assert all(check.cure for check in broken)
    assert not any(check.cure for check in rows.values() if check.ok)
    Path("llmrr.toml").write_text("version = 1\ndefault_model = 'absent.gguf'\n")
    seen = typed("doctor")
    assert seen.code == 9
    assert any(line.startswith("broken  model") for line in seen.out.splitlines())


def test_doctor_names_the_edit_that_mends_the_default_model(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cure() -> str | None:
        return doctor.checks()[list(doctor.LOOKS).index("model")].cure

    config.user_file().parent.mkdir(parents=True)
    config.user_file().write_text('version = 1\ndefault_model = "zzz"\n')
    assert cure() == "llmrr config edit"
    Path("llmrr.toml").write_text('version = 1\ndefault_model = "absent.gguf"\n')
    assert cure() == f"${{EDITOR:-vi}} {Path('llmrr.toml').absolute()}"
    monkeypatch.setenv("LLMRR_DEFAULT_MODEL", "zzz")
    assert cure() == "unset LLMRR_DEFAULT_MODEL"
    Path("sub").mkdir()
    Path("tiny.gguf").rename("sub/m.gguf")
    monkeypatch.setenv("LLMRR_DEFAULT_MODEL", "./sub/m.gguf")
    assert cure() != "unset LLMRR_DEFAULT_MODEL"


def test_doctor_sees_a_damaged_builtin_model(engine: FakeEngine) -> None:
    Path("tiny.gguf").write_bytes(b"GGUF\0\0\0")
    assert doctor.checks()[2].ok is False


def test_a_check_that_is_broken_is_an_error() -> None:
    with pytest.raises(CheckFailed) as caught:
        doctor.require([doctor.Check("x", True, ""), doctor.Check("y", False, "gone", "mend y")])
    assert (caught.value.exit_code, caught.value.hint) == (9, "mend y")


def test_the_lines_of_a_cure_stand_below_each_other() -> None:
    from llmrr.cli import views

    check = doctor.Check("config", False, "broken", "first\nsecond")
    _, first, second = views.checks(layout.Page(), [check])
    assert (first.index("hint: first"), second.index("hint: second")) == (22, 22)


def test_times() -> None:
    assert times.parse(None) is None
    assert times.parse("2d", now=200_000.0) == 27_200.0
    assert times.parse("1970-01-02T00:00+00:00") == 86_400.0
    with pytest.raises(UsageError):
        times.parse("yesterday-ish")


def test_a_table_fits_its_page() -> None:
    page = layout.Page(width=12, unicode=True)
    lines = list(page.table(("A", "B"), [("x", 1), ("long name", 2000), (None, None)]))
    assert all(len(line) <= 12 for line in lines)
    assert lines[2].endswith("…")
    wide = list(layout.Page().table(("A", "B"), [("x", 1), ("y", 2000)]))
    assert wide == ["A      B", "x      1", "y  2,000"]


def test_a_table_on_a_terminal_is_cut_to_it(
    typed: Typed, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    assert max(map(len, typed("list", out_terminal=True).out.splitlines())) == 30
    assert max(map(len, typed("list").out.splitlines())) > 30


def test_a_page_of_ascii() -> None:
    page = layout.Page(unicode=False)
    assert (page.cell(None), page.bar(0.5, 4), page.cell(1234.5)) == ("-", "##", "1,234.50")


def test_models_by_their_file_are_no_commands(typed: Typed, tmp_path: Path) -> None:
    gguf_file(tmp_path / "m.gguf")
    assert typed("./m.gguf", "hello").err.endswith("hint: llmrr run ./m.gguf hello\n")


def test_probe_shows_each_gpu() -> None:
    from llmrr.cli import views
    from llmrr.hardware import Cpu, Gpu, Hardware, Memory

    gpu = Gpu("nvidia", "NVML", "H200", total_bytes=150_000_000_000, compute="9.0")
    machine = Hardware("linux", Cpu("x86_64", physical_cores=8), Memory(), (gpu,))
    lines = list(views.hardware(layout.Page(), machine))
    assert "cores         \N{EN DASH} of 8 usable" in lines
    assert lines[-1].split()[:5] == ["H200", "150.0", "GB", "\N{EN DASH}", "\N{EN DASH}"]


def test_the_bars_of_the_days() -> None:
    from llmrr.cli import stats_views
    from llmrr.summaries import DaySummary, ModelSummary

    model = ModelSummary("m", 3, 0, 1, 1, 1, None, None, None, None, None)
    days = (DaySummary("2026-01-01", 1, 0, 5), DaySummary("2026-01-02", 2, 0, 5))
    found = stats_views.History((model,), days)
    lines = list(stats_views.history(layout.Page(unicode=False), found))
    assert lines[-2:] == ["2026-01-01      1  ############", f"2026-01-02      2  {'#' * 24}"]


def test_of_a_template_what_is_not_shown_is_counted(typed: Typed) -> None:
    for lines, said in ((4, "… 1 more line: llmrr show "), (5, "… 2 more lines: llmrr show ")):
        tiny_llama(Path("t.gguf"), template="\n".join("abcde"[:lines]))
        assert said in typed("show", "./t.gguf").out
