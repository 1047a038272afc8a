"""Grammars of calls: what a model must write that has to call a tool, in Lark as llguidance has it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llmrr.engines.shapes import closed

_ANY = "/(.|\\n)*/"


class Rules:
    """Collects the rules of one grammar. ``controls`` are the control tokens of the model by their
    texts: a grammar names them by their number, as no text is one. ``form`` is how JSON is written.
    """

    def __init__(self, controls: Mapping[str, int], form: Mapping[str, Any]) -> None:
        self._controls, self._form = controls, form
        self._rules: list[str] = []
        self._written = ""  # what stands already where calls begin

    def text(self, literal: str) -> str:
        """This text, whatever of it are control tokens."""
        return " ".join(
            f"<[{self._controls[piece]}]>" if piece in self._controls else _quoted(piece)
            for piece in _pieces(literal, self._controls)
        ) or '""'

    def begin(self, literal: str) -> str:
        """The text that calls begin with, as far as it does not stand there yet."""
        return self.text(literal.removeprefix(self._written))

    @contextmanager
    def behind(self, written: str) -> Iterator[None]:
        """Make rules of calls whose beginning is ``written``."""
        self._written = written
        yield
        self._written = ""

    def json(self, schema: Mapping[str, Any] | bool) -> str:
        """A value that obeys a schema, without properties that it does not list."""
        whole = {**closed(schema)} if isinstance(schema, Mapping) else {}
        return self.add(f"%json {json.dumps({**whole, 'x-guidance': self._form})}")

    def until(self, end: str) -> str:
        """Any text up to ``end``, and that."""
        begin, *_ = _pieces(end, self._controls)
        if begin in self._controls:
            return f"{self.add(_ANY)} {self.text(end)}"
        rest = self.text(end.removeprefix(begin))
        return f"{self.add(_ANY, f'[suffix={_quoted(begin)}]')} {rest}"

    def without(self, marks: Iterable[str], leading: Iterable[str] = ()) -> str:
        """Any text in which none of ``marks`` stands, and that begins with none of ``leading``."""
        inside = [one for one in marks if one not in self._controls]
        refused = [f"/(.|\\n)*{_escaped(one)}(.|\\n)*/" for one in inside]
        refused += [f"/[ \\n]*{_escaped(one)}(.|\\n)*/" for one in leading]
        name = f"T{len(self._rules)}"
        self._rules.append(f"{name}: {' & ~'.join([_ANY, *refused])}")
        return name

    def add(self, body: str, attributes: str = "") -> str:
        """A rule of its own; its name."""
        name = f"r{len(self._rules)}"
        self._rules.append(f"{name}{attributes}: {body}")
        return name

    def grammar(self, start: str) -> str:
        """All of it."""
        return "\n".join([f"start: {start}", *self._rules, ""])


def listed(musts: Sequence[str], mays: Sequence[str], comma: str) -> str:
    """The Lark expression of ``musts`` and any of ``mays``, in their order, with commas between."""
    if musts:
        return f" {comma} ".join(musts) + "".join(f" ({comma} {one})?" for one in mays)
    if not mays:
        return '""'
    chains = [one + "".join(f" ({comma} {other})?" for other in mays[at + 1 :])
              for at, one in enumerate(mays)]  # fmt: skip
    return f"({' | '.join(chains)})?"


def _pieces(literal: str, controls: Mapping[str, int]) -> Iterable[str]:
    """The control tokens in a text and what stands between them."""
    while literal:
        places = [(at, -len(one), one) for one in controls if (at := literal.find(one)) >= 0]
        if not places:
            yield literal
            return
        at, _, found = min(places)
        if at:
            yield literal[:at]
        yield found
        literal = literal[at + len(found) :]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _escaped(text: str) -> str:
    """A text in a regular expression between slashes, as Rust reads it."""
    written = "".join(f"\\{one}" if one in ".+*?()|[]{}^$\\/&~" else one for one in text)
    return written.replace("\n", "\\n")
