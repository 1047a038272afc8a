"""Generated files are current, and what they say is well formed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer._click.core import Command
from typer.core import TyperGroup

import llmrr
from llmrr.cli import completion, docs, manual, tree

ROOT = Path(llmrr.__file__).resolve().parents[1]
in_source = pytest.mark.skipif(
    not (ROOT / "CHANGELOG.md").is_file(), reason="llmrr is installed: its source tree is not here"
)


def every_command() -> list[tuple[str, Command]]:
    found: list[tuple[str, Command]] = []
    for name, command in tree.root().commands.items():
        found.append((name, command))
        if isinstance(command, TyperGroup):
            found += [(f"{name} {sub}", inner) for sub, inner in command.commands.items()]
    return found


@in_source
def test_every_generated_file_is_current() -> None:
    stale = [
        str(path.relative_to(ROOT))
        for path, text in docs.generated(ROOT).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "python -m llmrr.cli.docs writes them"


@in_source
def test_no_manual_page_is_left_over() -> None:
    known = {page.file for page in manual.pages()}
    assert {str(path.relative_to(ROOT / "man")) for path in (ROOT / "man").rglob("*.*")} == known


@in_source
def test_the_changelog_begins_with_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    top = re.search(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert top is not None
    assert top[1] == llmrr.__version__


def test_the_table_says_what_the_commands_say() -> None:
    root = tree.root()
    for name, entry in tree.COMMANDS.items():
        assert (root.commands[name].help or "").splitlines()[0] == entry.help


def test_a_short_flag_has_one_meaning() -> None:
    meanings: dict[str, set[str]] = {}
    for _, command in every_command():
        for param in command.params:
            for flag in param.opts:
                if re.fullmatch(r"-\w", flag):
                    longest = max(param.opts, key=len)
                    meanings.setdefault(flag, set()).add(longest)
    assert {flag: names for flag, names in meanings.items() if len(names) > 1} == {}


def test_every_option_and_argument_is_explained() -> None:
    silent = [
        f"{name} {param.name}"
        for name, command in every_command()
        for param in command.params
        if not getattr(param, "help", None)
    ]
    assert silent == []


def test_manual_pages_name_every_option() -> None:
    pages = {page.name: page.text("2026-01-31") for page in manual.pages()}
    for name, command in every_command():
        if tree.COMMANDS[name.split()[0]].hidden:
            continue
        page = pages[f"llmrr-{name.split()[0]}"]
        for param in command.params:
            for flag in param.opts if param.param_type_name == "option" else ():
                assert manual.roff(flag) in page, f"{name} {flag}"


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_manual_pages_are_well_formed(tmp_path: Path) -> None:
    for page in manual.pages():
        path = tmp_path / f"{page.name}.{page.section}"
        path.write_text(page.text("2026-01-31"), encoding="utf-8")
        done = subprocess.run(
            ["mandoc", "-T", "lint", "-W", "warning", path], capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, "")


def test_the_help_of_every_command_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for name, _ in every_command():
        tree.invoke([*name.split(), "--help"])
        assert f"Usage: llmrr {name}" in capsys.readouterr().out


def test_the_table_of_commands_goes_between_its_markers() -> None:
    before = f"top\n{docs.BEGIN}\nold\n{docs.END}\nend\n"
    assert docs.with_table(before, "new") == f"top\n{docs.BEGIN}\nnew\n{docs.END}\nend\n"
    with pytest.raises(docs.NotFound):
        docs.with_table("no markers", "new")


def test_writing_removes_what_nothing_makes_any_more(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"{docs.BEGIN}\n{docs.END}\n")
    (tmp_path / "CHANGELOG.md").write_text("## [9.9.9] - 2026-01-31\n")
    (tmp_path / "man" / "man1").mkdir(parents=True)
    stale = tmp_path / "man" / "man1" / "llmrr-gone.1"
    stale.write_text("old")
    assert stale in docs.write(tmp_path)
    assert not stale.exists()
    assert docs.write(tmp_path) == []


def test_there_is_a_script_for_each_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(completion.FILES) == set(completion.SCRIPTS)
