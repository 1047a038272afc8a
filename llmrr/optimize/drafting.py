"""Proposals as a change of files: the texts, what differs, and writing it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from llmrr import config
from llmrr.errors import BadConfig, LlmrrError
from llmrr.optimize.proposals import Proposal
from llmrr.tomllayout import layout

WHAT: Final = "config optimize"  # in the journal: config rollback undoes it
_NO_END: Final = "\\ No newline at end of file"


class Draft(NamedTuple):
    """A file as it is and as it is to be; ``why`` is the evidence, by line of the new text."""

    path: Path
    before: str
    after: str
    why: Mapping[int, str]


def drafts(proposals: Sequence[Proposal]) -> tuple[Draft, ...]:
    """The files that the proposals change. Raises ``BadConfig`` where one of them cannot be changed
    so."""
    files = dict.fromkeys(one.file for one in proposals)
    return tuple(_draft(file, [one for one in proposals if one.file == file]) for file in files)


def diff(found: Iterable[Draft]) -> str:
    """What differs, as ``diff -u`` has it."""
    return "".join(f"{line}\n" for draft in found for line, _ in _lines(draft))


def annotated(found: Iterable[Draft]) -> Iterator[tuple[str, str]]:
    """The lines of the difference, each with the evidence for it, if it has any."""
    for draft in found:
        yield from _lines(draft)


def write(found: Sequence[Draft]) -> None:
    """Write them, all or none, as one entry of the journal. A project's file that the user trusts
    is trusted as it is then, too. Raises what ``journal.change`` does, and ``LlmrrError`` where one
    was changed in the meantime."""
    from llmrr import journal, trust

    for draft in found:
        trust.follow(draft.path, draft.before.encode(), draft.after.encode())
    with journal.change(WHAT) as change:
        for draft in found:
            if _read(draft.path) != draft.before:
                raise LlmrrError(
                    f"{draft.path} was changed by someone else in the meantime",
                    "llmrr optimize, to look at it again",
                )
        for draft in found:
            change.write(draft.path, draft.after)


def last_written() -> float:
    """When proposals were last written, and not undone (epoch seconds); 0 where never."""
    from llmrr import journal

    written = (one.at for one in journal.entries() if one.what == WHAT and one.state == "done")
    return max(written, default=0.0)


def _draft(file: Path, proposals: Sequence[Proposal]) -> Draft:
    before = _read(file)
    after = config.changed(file, before, [(one.place, one.new) for one in proposals])
    why: dict[int, str] = {}
    plain = after.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    found = layout(plain)
    for one in proposals:
        line = found.line(plain, one.place)
        if line is not None:
            why[line] = f"{why[line]}; {one.evidence}" if line in why else one.evidence
    return Draft(file, before, after, why)


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadConfig(f"cannot read {file}: {exc}", f"ls -l {file}") from exc


def _lines(draft: Draft) -> Iterator[tuple[str, str]]:
    from difflib import unified_diff

    name, number = str(draft.path), 0
    for line in unified_diff(_split(draft.before), _split(draft.after), name, name):
        why = ""
        if match := re.match(r"@@ -\d+(?:,\d+)? \+(\d+)", line):
            number = int(match[1]) - 1
        elif line[0] in "+ " and number >= 0 and not line.startswith("+++ "):
            number += 1
            why = draft.why.get(number, "") if line[0] == "+" else ""
        yield line.removesuffix("\n"), why
        if not line.endswith("\n"):
            yield _NO_END, ""


def _split(text: str) -> list[str]:
    """The lines, with their ends; what else Unicode ends a line with does not end one of TOML."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
