"""What is generated: manual pages, completion scripts, the README's table of commands.

``python -m llmrr.cli.docs`` writes them into a source tree; a test compares.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from llmrr.cli import completion, manual, output, tree
from llmrr.errors import NotFound

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- commands -->", "<!-- /commands -->"


def generated(root: Path) -> Mapping[Path, str]:
    """Every generated file of the source tree at ``root`` with the content it should have."""
    date = release_date((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    files = {root / "man" / page.file: page.text(date) for page in manual.pages()}
    for shell, name in completion.FILES.items():
        files[root / "completions" / name] = completion.script(shell)
    readme = root / "README.md"
    files[readme] = with_table(readme.read_text(encoding="utf-8"), command_table())
    return files


def command_table() -> str:
    """The commands as a Markdown table."""
    rows = [f"| `llmrr {name}` | {entry.help} |" for name, entry in tree.visible().items()]
    return "\n".join(["| command | does |", "|---|---|", *rows])


def with_table(readme: str, table: str) -> str:
    """The README with the table between its markers. Raises ``NotFound`` without them."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise NotFound(f"README.md lacks {BEGIN} or {END}", "put both where the table belongs")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def release_date(changelog: str) -> str:
    """The date of the top version.

    >>> release_date("# Changelog\\n\\n## [0.2.0] - 2026-01-31\\n")
    '2026-01-31'
    """
    if found := re.search(r"^## \[[^\]]+\] - (\d{4}-\d{2}-\d{2})$", changelog, re.MULTILINE):
        return found[1]
    raise NotFound("CHANGELOG.md has no version with a date", "## [0.1.0] - 2026-01-31")


def write(root: Path) -> list[Path]:
    """Write what differs, remove manual pages that nothing makes any more; return what changed."""
    files = generated(root)
    changed = []
    for stale in {path for path in (root / "man").rglob("*.[1-9]")} - set(files):
        stale.unlink()
        changed.append(stale)
    for path, text in files.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    output.lines(str(path.relative_to(ROOT)) for path in write(ROOT))
