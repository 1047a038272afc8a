"""Command lines that start MLX's server, or ask a model with its tools, in scripts."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.launching.commands import launch, words_of
from llmrr.migrate.launching.launches import served
from llmrr.migrate.readers.transformers import tell_of_mlx
from llmrr.migrate.values import Call

_SCRIPTS: Final = frozenset({
    "", ".sh", ".bash", ".zsh", ".fish", ".command", ".service", ".mk", ".ps1", ".bat",
})  # fmt: skip
_MENTION: Final = re.compile(r"\bmlx[_-](?:lm|vlm)\b")
# What starts a program in Python.
_RUNS: Final = frozenset({
    "run", "Popen", "call", "check_call", "check_output", "system", "popen", "getoutput",
    "create_subprocess_exec", "create_subprocess_shell", "getstatusoutput", "spawn",
})  # fmt: skip
_OTHERS: Final = re.compile(r"(?i)llama[-_.]|vllm|kobold|ollama|litellm|sglang|\.gguf")
_LONGEST: Final = 4000  # characters of a command
_OTHER_WORK: Final = re.compile(r"mlx_(?:lm|vlm)[._](?:convert|lora|fuse|upload|manage|evaluate)")


def of_script(document: Document) -> Iterator[Artefact]:
    """The models that a shell script serves. One that starts other servers too is read as theirs
    (``server_commands``)."""
    text = document.text or ""
    if document.suffix not in _SCRIPTS or not _MENTION.search(text) or _OTHERS.search(text):
        return
    findings = Findings(document.path, "mlx-code")
    for line, command in _commands(text):
        _put(words_of(command), findings, line)
    if findings.models:
        tell_of_mlx(findings)
        yield findings.artefact()


def of_calls(calls: Iterable[Call], findings: Findings) -> None:
    """Those that code starts: ``subprocess.run(["mlx_lm.server", …])``."""
    for call in calls:
        if call.name not in _RUNS:
            continue
        first = call.args[0] if call.args else None
        if isinstance(first, str) and _MENTION.search(first):
            _put(words_of(first), findings, call.line)
        elif isinstance(first, list):
            words = [one for one in first if isinstance(one, str)]
            if len(words) == len(first) and any(_MENTION.search(one) for one in words):
                _put(words, findings, call.line)


def _put(words: list[str], findings: Findings, line: int) -> None:
    found = launch(words)
    if found is not None and found.program == "mlx" and (
        model := served(found, findings, None, line)
    ):  # fmt: skip
        model.engine, model.format = "mlx", "mlx"


def _commands(text: str) -> Iterator[tuple[int, str]]:
    """The commands that mention it, with the lines that they begin on."""
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        begun = begun if parts else number
        parts.append(line)
        if line.rstrip().endswith("\\"):
            continue
        command = "\n".join(parts)
        parts = []
        is_comment = command.lstrip().startswith(("#", "echo ", "REM "))
        if is_comment or len(command) > _LONGEST or _OTHER_WORK.search(command):
            continue
        if _MENTION.search(command):
            yield begun, re.sub(r"^\s*(?:ExecStart=|exec\s+|nohup\s+|@)", "", command)
