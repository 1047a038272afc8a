"""The lines of a file of variables, as ``envfile`` reads them, or those of them that it can."""

import re
from collections.abc import Mapping
from typing import Final

from llmrr import envfile
from llmrr.errors import BadConfig
from llmrr.migrate.artefact import Findings
from llmrr.migrate.documents import Document

_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=")


def is_of_variables(text: str) -> bool:
    """Whether nearly all lines are ``NAME=value``: a quoted value may go on over several."""
    stated = [line for line in text.splitlines()[:2000] if line.strip() and line.strip()[0] != "#"]
    fitting = sum(bool(_LINE.match(line)) for line in stated)
    return fitting > 0 and fitting >= 0.6 * len(stated)


def variables_of(document: Document, findings: Findings) -> Mapping[str, str]:
    """The variables; where a line cannot be read, those of the other lines."""
    data = (document.text or "").encode()
    try:
        return envfile.parsed(document.path, data)
    except BadConfig as error:
        found = re.search(r"line (\d+)", error.message)
        line = int(found[1]) if found else None
        findings.warn("syntax", "a line is not NAME=value, and llmrr refuses such a file", line)
    variables: dict[str, str] = {}
    for one in data.splitlines():
        try:
            variables.update(envfile.parsed(document.path, one))
        except BadConfig:
            continue
    return variables


def lines_of(text: str) -> dict[str, int]:
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if match := _LINE.match(line):
            found[match[1]] = number
    return found
