"""Calls of FunctionGemma and Gemma 4, which have tokens and a notation of their own."""

import re
from collections.abc import Collection, Mapping
from json import dumps
from typing import Any, Final

from llmrr.engines.calls.base import (
    ANY_OBJECT,
    MORE,
    NONE,
    Begun,
    Found,
    Reading,
    Step,
    Syntax,
    members,
    skip,
    value_of,
)
from llmrr.engines.calls.bodies import escaped
from llmrr.engines.calls.grammar import Rules, listed
from llmrr.engines.calls.schemas import inlined
from llmrr.engines.text import settled
from llmrr.types import Tool, ToolCall

_NAME = re.compile(r"\s*(?:call)?:([\w.-]{1,256})\{")
_PARTIAL = re.compile(r"\s*(c|ca|cal|call|(?:call)?:[\w.-]{0,256})?")
_BARE = re.compile(r"[^,{}\[\]]*")
_KEY = re.compile(r"[^:,{}\[\]]*")
_DEEPEST: Final = 32
_ENDLESS: Final = (float("inf"), -float("inf"))  # what 1e999 is; JSON has none


class Notation(Syntax):
    """``call:NAME{key:value,…}`` between two tokens, with strings between a third one."""

    def __init__(self, name: str, *, open: str, close: str, quote: str) -> None:
        self.name, self.signs = name, ((open,),)
        self.open, self.close, self.quote = open, close, quote
        self.triggers, self.lead = (open,), open
        self.following = (close,)
        self.marks = (open, close, quote)

    def read(self, text: str, tools: Mapping[str, Tool], *, last: bool) -> Reading:
        if text.startswith(self.close):
            return Found((), len(self.close))
        found = _NAME.match(text, len(self.open))
        if not found:
            partial = _PARTIAL.fullmatch(text, len(self.open))
            return MORE if partial and not last else NONE
        return Begun(found[1], found.end() - 1, Members(self))

    def value(self, text: str, at: int, depth: int) -> tuple[Any, int]:
        """The value that begins at ``at``, and where it ends. Raises ``IndexError`` where more must
        come, and ``ValueError``."""
        if depth > _DEEPEST:
            raise ValueError
        at = skip(text, at)
        if text.startswith(self.quote, at):
            return self._string(text, at)
        if text[at] == "{":
            return self._object(text, at, depth)
        if text[at] == "[":
            return self._array(text, at, depth)
        if self.quote.startswith(text[at:]):
            raise IndexError
        if text[at] == '"':  # as JSON has it
            return self._quoted(text, at)
        found = _BARE.match(text, at)
        assert found
        if found.end() == len(text):
            raise IndexError
        return _plain(found.group()), found.end()

    def _string(self, text: str, at: int) -> tuple[str, int]:
        begin = at + len(self.quote)
        end = text.find(self.quote, begin)
        if end < 0:
            raise IndexError
        return text[begin:end], end + len(self.quote)

    def _quoted(self, text: str, at: int) -> tuple[str, int]:
        found = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL).match(text, at)
        if not found:
            raise IndexError
        return str(value_of(found.group())), found.end()

    def _object(self, text: str, at: int, depth: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        at = skip(text, at + 1)
        while text[at] != "}":
            key, at = self.key(text, at)
            found[key], at = self.value(text, at, depth + 1)
            at = self.next(text, at, "}")
        return found, at + 1

    def key(self, text: str, at: int) -> tuple[str, int]:
        """The key that begins at ``at``, and where its value begins; raises as ``value`` does."""
        if text.startswith(self.quote, at):
            key, at = self._string(text, at)
        elif self.quote.startswith(text[at:]):
            raise IndexError
        else:
            found = _KEY.match(text, at)
            assert found
            key, at = found.group(), found.end()
        at = skip(text, at)
        if text[at] != ":":
            raise ValueError
        return key.strip().strip('"'), skip(text, at + 1)

    def _array(self, text: str, at: int, depth: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        at = skip(text, at + 1)
        while text[at] != "]":
            value, at = self.value(text, at, depth + 1)
            found.append(value)
            at = self.next(text, at, "]")
        return found, at + 1

    def next(self, text: str, at: int, end: str) -> int:
        """Behind the comma, or at the end."""
        at = skip(text, at)
        if text[at] == ",":
            return skip(text, at + 1)
        if text[at] != end:
            raise ValueError
        return at

    # -- what is written -----------------------------------------------------------------------

    def call(self, rules: Rules, tool: Tool) -> str:
        schema = inlined({**ANY_OBJECT, **tool.parameters}, tool.parameters)
        inside = self._object_rule(rules, schema, 0)
        end = rules.text(self.close)
        return f"{rules.begin(f'{self.open}call:{tool.name}')} {inside} {end}"

    def _object_rule(self, rules: Rules, schema: Mapping[str, Any], depth: int) -> str:
        required = [*(schema.get("required") or ())]
        others = [key for key in schema.get("properties") or {} if key not in required]
        each = [
            f"{rules.text(f'{key}:')} "
            + self._rule(rules, (schema.get("properties") or {}).get(key, {}), depth + 1)
            for key in (*required, *others)
        ]
        comma = rules.text(",")
        inner = listed(each[: len(required)], each[len(required) :], comma)
        return f"{rules.text('{')} {inner} {rules.text('}')}"

    def _rule(self, rules: Rules, schema: object, depth: int) -> str:
        """The rule of a value, as far as its kind goes."""
        about = schema if isinstance(schema, Mapping) else {}
        words = [about["const"]] if "const" in about else about.get("enum")
        if words:
            return f"({' | '.join(rules.text(self._of(one)) for one in words)})"
        choices = about.get("anyOf") or about.get("oneOf")
        if choices and depth < _DEEPEST:
            return f"({' | '.join(self._rule(rules, one, depth + 1) for one in choices)})"
        kinds = about.get("type") or ("string", "number", "boolean", "null")
        each = (kinds,) if isinstance(kinds, str) else kinds
        return f"({' | '.join(self._kind(rules, one, about, depth) for one in each)})"

    def _kind(self, rules: Rules, kind: str, about: Mapping[str, Any], depth: int) -> str:
        if kind == "object" and depth < _DEEPEST:
            return self._object_rule(rules, about, depth)
        if kind == "array" and depth < _DEEPEST:
            one = self._rule(rules, about.get("items"), depth + 1)
            many = f"({one} ({rules.text(',')} {one})*)?"
            return f"{rules.text('[')} {many} {rules.text(']')}"
        if kind in ("integer", "number", "boolean", "null"):
            return rules.json({**about, "type": kind})
        return f"{rules.text(self.quote)} {rules.until(self.quote)}"

    def _of(self, value: Any) -> str:
        """A value as it is written."""
        if isinstance(value, str):
            return f"{self.quote}{value}{self.quote}"
        if isinstance(value, dict):
            return f"{{{','.join(f'{key}:{self._of(one)}' for key, one in value.items())}}}"
        if isinstance(value, list):
            return f"[{','.join(map(self._of, value))}]"
        return dumps(value)

    def written(self, calls: Collection[ToolCall]) -> str:
        return "".join(
            f"{self.open}call:{one.name}{self._of(value_of(one.arguments or '{}'))}{self.close}"
            for one in calls
        )


class Members:
    """The keys and values of a call. A string among them is told while it comes, any other value
    once it is complete."""

    def __init__(self, notation: Notation) -> None:
        self._notation = notation
        self._before = ""  # what is told before the next key
        self._string = False  # one that is told while it comes

    def read(self, text: str, *, last: bool) -> Step:
        """What is certain of them."""
        parts: list[str] = []
        at = 0
        while True:
            if self._string:
                at = self._told(text, at, parts)
            try:
                if self._string:
                    raise IndexError
                piece, at = self._member(text, at)
            except IndexError:  # more must come
                return Step("".join(parts), len(text) if last else at)
            except ValueError:
                return Step("".join(parts), at, True)
            parts.append(piece)
            if piece == "}":
                return Step("".join(parts), at, True)

    def _told(self, text: str, at: int, parts: list[str]) -> int:
        """Tell of a string so much as is certain; where that ends."""
        quote = self._notation.quote
        end = text.find(quote, at)
        stop = end if end >= 0 else at + settled(text[at:], (quote,))
        self._string = end < 0
        parts.append(escaped(text[at:stop]) + ("" if self._string else '"'))
        return stop if self._string else end + len(quote)

    def _member(self, text: str, at: int) -> tuple[str, int]:
        """The next piece, and where it ends: a bracket, or a key with its value, of a string only
        the quote."""
        notation = self._notation
        if not self._before:
            self._before = "{"
            return "{", at + 1
        at = skip(text, at) if self._before == "{" else notation.next(text, at, "}")
        if text[at] == "}":
            return "}", at + 1
        key, at = notation.key(text, at)
        told = f"{'' if self._before == '{' else ', '}{dumps(key, ensure_ascii=False)}: "
        if text.startswith(notation.quote, at):
            self._string, piece, at = True, '"', at + len(notation.quote)
        else:
            value, at = notation.value(text, at, 1)
            piece = dumps(value, ensure_ascii=False, allow_nan=False)
        self._before = ","
        return told + piece, at


def _plain(written: str) -> Any:
    word = {"True": "true", "False": "false", "None": "null"}.get(written.strip(), written.strip())
    found = members(f'{{"": {word}}}')
    if found is None or list(found) != [""] or value_of(found[""]) in _ENDLESS:
        return written.strip()
    return value_of(found[""])


FUNCTION_GEMMA = Notation("functiongemma", open="<start_function_call>",
                          close="<end_function_call>", quote="<escape>")  # fmt: skip
GEMMA_4 = Notation("gemma-4", open="<|tool_call>", close="<tool_call|>", quote='<|"|>')
