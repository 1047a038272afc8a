"""What models write, by the sources that ``data/transcripts.json`` names: of each the answer, and
the words, thoughts and calls that it is. Tools are called as those of the tests are."""

import json
from pathlib import Path
from typing import Any, NamedTuple

_DATA = Path(__file__).with_name("data") / "transcripts.json"


class Transcript(NamedTuple):
    """One of them; with a ``template`` its thoughts are told apart as that shows."""

    name: str
    family: str
    source: str
    written: str
    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    reasoning: str = ""
    template: str | None = None


def transcripts() -> list[Transcript]:
    """All of them."""
    return [
        Transcript(**{**one, "calls": tuple((name, given) for name, given in one.get("calls", ()))})
        for one in json.loads(_DATA.read_text("utf-8"))
    ]
