"""The tools of a request, as the model that is asked reads and writes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from llmrr.engines.calls.akin import reader
from llmrr.engines.calls.base import MORE, Begun, Found, Reading, Syntax
from llmrr.engines.calls.parsing import Parser
from llmrr.engines.text import first
from llmrr.errors import FeatureMissing, UsageError
from llmrr.types import Request, Tool

if TYPE_CHECKING:
    from llmrr.engines.calls.grammar import Rules

Schema = Mapping[str, Any] | bool


@dataclass(frozen=True)
class Offer:
    """Tools that may be called, or must be; ``choice`` is that of the request, ``syntax`` how a
    call is written, ``opened`` what of it the prompt has begun. Without tools it reads what the
    family writes around every answer."""

    syntax: Syntax
    tools: tuple[Tool, ...] = ()
    choice: str | None = None
    opened: str = ""

    @cached_property
    def by_name(self) -> Mapping[str, Tool]:
        """The tools by their names."""
        return {one.name: one for one in self.tools}

    def parser(self, stray: tuple[str, ...] = ()) -> Parser:
        """What reads one answer; ``stray`` is dropped behind calls."""
        return Parser(self.syntax, self.by_name, opened=self.opened, stray=stray)

    def needs(self, token: str) -> bool:
        """Must this control token reach what reads the calls?"""
        return reader(self.syntax).needs(token)

    @property
    def interrupting(self) -> tuple[str, ...]:
        """What begins the calls that end a block of reasoning which is not closed."""
        return reader(self.syntax).triggers if self.tools and self.syntax.interrupts else ()

    def call_in(self, thought: str, *, last: bool) -> tuple[int, bool] | None:
        """Where in what is thought a call of one of the tools begins, or with False may."""
        at = 0
        while found := first(thought[at:], self.interrupting):
            at += found[0]
            read = reader(self.syntax).read(thought[at:], self.by_name, last=last)
            if read is MORE:
                return at, False
            if any(name in self.by_name for name in _names(read)):
                return at, True
            at += 1
        return None

    @property
    def forced(self) -> tuple[Tool, ...]:
        """The tools of which one must be called; none where the model may answer itself."""
        if self.choice in (None, "auto"):
            return ()
        if self.choice == "required":
            return self.tools
        return (self.by_name[self.choice],) if self.choice else ()

    @property
    def strict(self) -> bool:
        """Was it promised that a call, where there is one, obeys the schema of its tool?"""
        return any(one.strict for one in self.tools)

    @property
    def lazy(self) -> bool:
        """Is there a grammar for a call that nobody asked for, once it begins?"""
        return bool(self.tools) and not self.constrains and self.syntax.lazy

    @property
    def constrains(self) -> bool:
        """Is there a grammar that the answer must follow?"""
        return bool(self.forced) or self.strict

    def grammar(self, rules: "Rules", schema: Schema | None, thoughts: "Thoughts") -> str:
        """The grammar of the answer in Lark. ``schema`` is that of an answer without calls."""
        answer = self._called(rules)
        if not self.forced:
            answer = self._free(rules, schema, answer)
        opening = self.syntax.opened
        if opening and not self.opened:
            answer = f"{rules.text(opening)} ({answer})"
        return rules.grammar(f"{_thought(rules, thoughts)} ({answer})")

    def begun(self, rules: "Rules") -> str:
        """The grammar of calls in Lark, from behind what they begin with."""
        return rules.grammar(self._called(rules, self.syntax.lead))

    def _called(self, rules: "Rules", written: str = "") -> str:
        """Calls, of which this much is ``written``."""
        several = not self.forced or self.choice == "required"
        more = self._one(rules) if several else None
        with rules.behind(written):
            return rules.add(self.syntax.calls(rules, self._one(rules), more))

    def _one(self, rules: "Rules") -> str:
        return rules.add(" | ".join(self.syntax.call(rules, tool) for tool in self.allowed))

    def _free(self, rules: "Rules", schema: Schema | None, called: str) -> str:
        """An answer or calls; words may stand before these, unless the answer has a form."""
        if schema is not None:
            return f"{self.syntax.words(rules, rules.json(schema))} | {called}"
        words = rules.without(self.syntax.triggers, self.syntax.leading)
        found = [self.syntax.words(rules, words), called]
        if before := self.syntax.before(rules):
            found.append(f"{before} {self._called(rules, self.syntax.lead)}")
        return " | ".join(found)

    @property
    def allowed(self) -> tuple[Tool, ...]:
        """The tools that a call may be of."""
        return self.forced or self.tools


def _names(read: Reading) -> Sequence[str]:
    """The tools that are called there."""
    if isinstance(read, Begun):
        return (read.name,)
    return [one.name for one in read.calls] if isinstance(read, Found) else ()


class Thoughts(NamedTuple):
    """What a grammar must let pass around what is thought, which itself it is not shown: the marks
    that begin it, where it may begin, and what stands behind it."""

    begin: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()


def _thought(rules: "Rules", thoughts: Thoughts) -> str:
    if not thoughts.behind:
        return ""
    behind = f"({' | '.join(rules.text(one) for one in thoughts.behind)})?"
    if not thoughts.begin:
        return behind
    return f"(({' | '.join(rules.text(one) for one in thoughts.begin)}) {behind})?"


def require(request: Request) -> None:
    """Raise ``UsageError`` for a choice among tools that cannot be made, and ``FeatureMissing`` for
    what excludes tools."""
    choice, names = request.tool_choice, [one.name for one in request.tools]
    if choice not in (None, "auto", "none") and not names:
        raise UsageError(f"tool_choice is {choice}, and there are no tools", "give tools")
    if choice not in (None, "auto", "none", "required") and choice not in names:
        raise UsageError(
            f"tool_choice names {choice}, and no tool has that name",
            f"the tools are {', '.join(names)}",
        )
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise UsageError(f"two tools are called {twice}", "give each a name of its own")
    if names and choice != "none" and request.sampling.grammar is not None:
        raise FeatureMissing(
            "a grammar and tools exclude each other: the grammar is for all of the answer",
            "leave out one of them",
        )


