"""The completion scripts in the real shells."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pseudo import Terminal, install

from llmrr.cli import tree


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


@pytest.fixture(autouse=True)
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{install(tmp_path / 'bin')}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    Path("llmrr.toml").write_text(
        'version = 1\n[[models]]\nname = "qwen3:4b"\nsource = "file:./qwen.gguf"\n'
        '[templates.qa]\ntemplate = "{input}"\n'
    )
    Path("notes and more.txt").write_text("x")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pro"], ["probe"]),
        (["config", "ro"], ["rollback"]),
        (["run", "--temp"], ["--template", "--temperature"]),
        (["run", "-m", "qw"], ["qwen3:4b"]),
        (["run", ""], ["qwen3:4b", "builtin:mini"]),
        (["run", "-m", "builtin:"], ["builtin:mini"]),
        (["run", "--think", "h"], ["high"]),
        (["run", "-f", ""], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["nosuch", ""], []),
        (["run", "-o", "gpu"], ["gpu_layers"]),
        (["run", "-o", "gpu_layers", "1", "-t", ""], ["qa"]),
    ],
)
def test_what_a_word_may_become(words: list[str], expected: list[str]) -> None:
    assert [value for value, _ in tree.complete(words)] == expected


def test_a_broken_configuration_is_silent() -> None:
    Path("llmrr.toml").write_text("this is no TOML")
    assert [value for value, _ in tree.complete(["run", "-m", ""])] == ["builtin:mini"]


@needs("bash")
def test_bash() -> None:
    with Terminal(["bash", "--norc", "--noprofile", "-i"], PS1="$ ", TERM="dumb") as shell:
        shell.type('eval "$(llmrr completion bash)"; echo re""ady\n')
        shell.expect("ready")
        shell.type("llmrr pro\t")
        shell.expect("llmrr probe ")
        shell.type("\x15llmrr run -m built\t")
        shell.expect("builtin:mini ")
        shell.type("\x15llmrr run -m builtin:m\t")
        shell.expect("builtin:mini ")
        shell.type("\x15llmrr run -f notes\t")
        shell.expect("notes\\ and\\ more.txt ")


@needs("zsh")
def test_zsh() -> None:
    with Terminal(["zsh", "-f", "-i"], PS1="$ ", TERM="dumb") as shell:
        shell.type('autoload -U compinit; compinit -u -D; eval "$(llmrr completion zsh)"\n')
        shell.type('echo re""ady\n')
        shell.expect("ready\r\n")
        shell.type("llmrr pro\t")
        shell.expect("llmrr probe ")
        shell.type("\x15llmrr run -m built\t")
        shell.expect("builtin:mini ")
        shell.type("\x15llmrr run -m builtin:m\t")
        shell.expect("builtin:mini ")
        shell.type("\x15llmrr run -f notes\t")
        shell.expect("notes\\ and\\ more.txt ")


@needs("zsh")
def test_zsh_completes_at_the_first_tab_from_a_folder_of_functions(tmp_path: Path) -> None:
    functions = tmp_path / "functions"
    functions.mkdir()
    script = subprocess.run(
        ["llmrr", "completion", "zsh"], capture_output=True, text=True, check=True
    ).stdout
    (functions / "_llmrr").write_text(script)
    with Terminal(["zsh", "-f", "-i"], PS1="$ ", TERM="dumb") as shell:
        shell.type(f"fpath=({functions} $fpath); autoload -U compinit; compinit -u -D\n")
        shell.type('echo re""ady\n')
        shell.expect("ready\r\n")
        shell.type("llmrr pro\t")
        shell.expect("llmrr probe ")


@needs("fish")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("llmrr pro", {"probe"}),
        ("llmrr run -m b", {"builtin:mini"}),
        ("llmrr run -m builtin:m", {"builtin:mini"}),
        ("llmrr run -f notes", {"notes and more.txt"}),
    ],
)
def test_fish(line: str, expected: set[str]) -> None:
    script = f'llmrr completion fish | source; complete -C "{line}"'
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], capture_output=True, text=True, timeout=30
    )
    assert {found.split("\t")[0] for found in done.stdout.splitlines()} == expected, done.stderr
