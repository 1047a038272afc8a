"""The real program, with a real model, at the ends of real pipes and terminals."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from builders import tiny_llama
from pseudo import Terminal, install

LLMRR = [sys.executable, "-m", "llmrr"]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_llama(tmp_path / "tiny.gguf", context=4096)


def test_a_pipeline(tiny: Path) -> None:
    done = subprocess.run(
        [*LLMRR, "run", "tiny.gguf", "hello", "--max-tokens", "5"],
        input="world", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\n")
    assert "\x1b" not in done.stdout


def test_the_reader_of_a_pipe_goes_away(tiny: Path) -> None:
    command = [*LLMRR, "run", "tiny.gguf", "-o", "ignore_eos", "true", "--max-tokens", "2000"]
    process = subprocess.Popen(
        [*command, "hello"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == b""
    process.stderr.close()
    recorded = subprocess.run([*LLMRR, "logs", "--json"], capture_output=True, text=True)
    assert '"finish_reason": "cancelled"' in recorded.stdout


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["config", "show"]])
def test_a_closed_pipe_ends_quietly(args: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*LLMRR, *args], stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_behind_stdout(tiny: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*LLMRR, "run", "tiny.gguf", "hello", "--max-tokens", "3"],
            stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 5
    assert '"stdout" cannot be written: No space left on device' in done.stderr
    for args, code in ((["--max-tokens", "3"], 5), (["-m", "absent"], 3)):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*LLMRR, "run", "--json", "-m", "tiny.gguf", "hello", *args],
                stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True,
                timeout=60,
            )  # fmt: skip
        assert (done.returncode, done.stderr.count("llmrr: ")) == (code, 1)


def test_streams_that_are_closed(tiny: Path) -> None:
    line = f'exec "{sys.executable}" -m llmrr run tiny.gguf hello --max-tokens 3'
    for closed in ("<&- 2>&-", "</dev/null >&-"):
        done = subprocess.run(["sh", "-c", f"{line} {closed}"], capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_in_a_pipeline(tiny: Path) -> None:
    command = [*LLMRR, "run", "tiny.gguf", "-o", "ignore_eos", "true", "--max-tokens", "4000"]
    process = subprocess.Popen(
        [*command, "hello", "-O", "out.txt", "--verbose"], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err
    assert not Path("out.txt").exists()
    assert [path.name for path in Path().iterdir()] == ["tiny.gguf"]


def test_a_conversation_on_a_terminal(tiny: Path) -> None:
    command = [*LLMRR, "chat", "tiny.gguf", "--max-tokens", "3"]
    with Terminal(command, TERM="xterm", PROMPT_TOOLKIT_NO_CPR="1") as terminal:
        terminal.expect(">>>")
        terminal.type("hello\r")
        terminal.expect(">>>")
        terminal.type('"""\rtwo lines\r"""\r')
        terminal.expect(">>>")
        terminal.type("/show messages\r")
        terminal.expect("user: two lines")
        terminal.expect(">>>")
        terminal.type("\x03")
        terminal.expect("Ctrl-D ends")
        terminal.expect(">>>")
        terminal.type("\x04")
        assert terminal.wait() == 0
    assert "hello" in (Path(os.environ["LLMRR_HOME"]) / "data" / "chat_history").read_text()


def test_ctrl_c_stops_an_answer_and_not_the_conversation(tiny: Path) -> None:
    command = [*LLMRR, "chat", "tiny.gguf", "-o", "ignore_eos", "true"]
    with Terminal(command, TERM="xterm", PROMPT_TOOLKIT_NO_CPR="1") as terminal:
        terminal.expect(">>>")
        terminal.type("hello\r")
        time.sleep(1.5)
        terminal.type("\x03")
        terminal.expect("stopped")
        terminal.expect(">>>")
        terminal.type("/bye\r")
        assert terminal.wait() == 0


def test_ctrl_c_while_an_answer_comes_on_a_terminal(tiny: Path) -> None:
    command = [*LLMRR, "run", "tiny.gguf", "hello", "-o", "ignore_eos", "true"]
    with Terminal(command, TERM="xterm") as terminal:
        time.sleep(1.5)
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert "Traceback" not in terminal.rest


def test_no_colour_where_it_is_not_wanted(tiny: Path) -> None:
    command = [*LLMRR, "run", "tiny.gguf", "hello", "--max-tokens", "3"]
    with Terminal(command, TERM="xterm", NO_COLOR="1") as terminal:
        assert terminal.wait() == 0
        assert "\x1b" not in terminal.rest


def test_the_real_program_is_found_on_the_path(tmp_path: Path) -> None:
    script = install(tmp_path / "bin") / "llmrr"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("llmrr ")


def test_markdown_is_drawn_once_on_a_terminal(tmp_path: Path) -> None:
    script = tmp_path / "draw.py"
    script.write_text(
        "import time\n"
        "from llmrr.cli.markdown import Markdown\n"
        "text = '# Title\\n\\nSome **bold** text.\\n\\n- one\\n- two\\n\\n'\n"
        "text += '```py\\nx = 1\\n\\ny = 2\\n```\\n'\n"
        "screen = Markdown()\n"
        "for letter in text + '\\x1b]0;evil\\x07' + 'end':\n"
        "    screen.show(letter)\n"
        "    time.sleep(0.002)\n"
        "screen.end()\n"
    )
    with Terminal([sys.executable, str(script)], TERM="xterm") as terminal:
        assert terminal.wait() == 0
        shown = settled_screen(terminal.rest)
    assert [line for line in shown if "Title" in line] != []
    assert sum("one" in line for line in shown) == 1
    assert sum("y = 2" in line for line in shown) == 1
    assert "**" not in "".join(shown)
    assert "\x1b]0;" not in terminal.rest


def test_a_line_of_progress_is_erased_before_the_markdown(tmp_path: Path) -> None:
    script = tmp_path / "draw.py"
    script.write_text(
        "from llmrr.cli import answers, output\n"
        "from llmrr.cli.markdown import Markdown\n"
        "screen, progress = Markdown(), answers.Progress()\n"
        "progress.started -= 2\n"
        "progress(1, 4)\n"
        "progress(2, 4)\n"
        "progress.clear()\n"
        "screen.show('text')\n"
        "screen.end()\n"
    )
    with Terminal([sys.executable, str(script)], TERM="xterm") as terminal:
        assert terminal.wait() == 0
        line = "\r\x1b[Kreading the prompt: {} % of 4 tokens"
        assert terminal.rest.startswith(f"{line.format(25)}{line.format(50)}\r\x1b[K")
        assert "text" in terminal.rest


def settled_screen(text: str) -> list[str]:
    """The lines that are left on a terminal, by the few movements that rich makes."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[?0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.endswith("A") and part.startswith("\x1b"):
            row -= int(part[2:-1] or 1)
        elif part == "\x1b[2K":
            lines[row] = ""
        elif not part.startswith("\x1b"):
            line = lines[row].ljust(column)
            lines[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
    return lines
