"""Markdown on a terminal while it is being written: what is complete is printed once and scrolls
away like any text, only the unfinished tail is drawn again.
"""

import re
from typing import Any

from llmrr.cli import output


class Markdown:
    """Draws an answer that grows."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = Console()
        # Redirected, stderr would lose the movements of the cursor that others write there.
        self.live: Any = Live(
            console=self.console, transient=True, refresh_per_second=12,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self.tail = ""

    def show(self, text: str) -> None:
        """Add text."""
        if not self.live.is_started:  # until then the line belongs to the progress of the prompt
            self.live.start()
        self.tail += output.safe(text)
        at = settled(self.tail)
        if at:
            self._print(self.tail[:at])
            self.tail = self.tail[at:]
        self.live.update(self._lines(self.tail))

    def end(self) -> None:
        """Print what is left."""
        self.live.update("")
        self.live.stop()
        if self.tail.strip():
            self._print(self.tail)
        self.tail = ""

    def _print(self, text: str) -> None:
        from rich.markdown import Markdown as Rendered

        self.console.print(Rendered(text))
        self.console.print()

    def _lines(self, text: str) -> Any:
        from rich.text import Text

        # A block taller than the window cannot be redrawn: only its last lines are shown.
        rows = text.splitlines()[-max(self.console.height - 2, 1) :]
        return Text("\n".join(rows))


def settled(text: str) -> int:
    """How much of ``text`` consists of complete blocks: up to the last blank line that is not
    inside a code fence and is not followed by what may continue a list.

    >>> settled("One.\\n\\nTwo")
    6
    >>> settled("```\\na\\n\\nb")
    0
    """
    at, fence, safe = 0, "", 0
    for line in text.splitlines(keepends=True):
        marker = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if marker and not fence:
            fence = marker[1]
        elif marker and marker[1].startswith(fence):
            fence = ""
        if not fence and _starts_block(line) and text[:at].endswith("\n\n"):
            safe = at
        at += len(line)
    return safe


def _starts_block(line: str) -> bool:
    # A list item or an indented line belongs to the list above: numbering would begin anew.
    return bool(line.strip()) and not re.match(r"\s|[-*+>|] |\d{1,9}[.)] ?|[-*+\d]$", line)
