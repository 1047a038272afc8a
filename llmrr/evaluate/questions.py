"""Sets of questions: a JSONL file, one JSON object a line.

=================  ===============================================================================
``question``       the text that is asked; also under ``prompt`` or ``input``
``messages``       in its place a conversation, ``[{"role", "content"}]``, the user's turn last
``system``         the system prompt
``raw``            true sends the question as it is, without the chat template
``expected``       what is right, or a list of which any one is; also under ``answer`` or ``ideal``
``choices``        the answers to choose from, shown with letters; ``expected`` is a letter, the
                   text of a choice, or its number from 0
``match``          exact, contains, regex, number, choice or json (see ``judging``)
``tolerance``      for ``number``: how far off is right, in its unit, or as "1%" of it
``subset``         true, for ``json``: the answer may have more keys
``schema``         a JSON Schema that the answer is held to
``max_tokens``     the longest answer
``params``         sampling parameters, by the names of ``-o``
``id``             what the question is called
=================  ===============================================================================

Without ``match`` it is ``choice`` where there are choices, ``json`` where an object is expected,
``number`` where a number is, else what the caller wants, or ``contains``. For ``json`` a list that
is expected stands in a list of its own. Other keys have no meaning here.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from llmrr import parameters
from llmrr.errors import DamagedFile, LlmrrError, UsageError, nearest
from llmrr.evaluate import patterns
from llmrr.evaluate.judging import MATCHES, Expected, Match, letter, numbers
from llmrr.types import Message, Request, Sampling

T = TypeVar("T")

ASKING = ("question", "prompt", "input", "messages")
ANSWERING = ("expected", "answer", "ideal")
ROLES = ("system", "user", "assistant")
CHOOSE = "Answer with the letter of the right choice."
MOST_CHOICES = 26


@dataclass(frozen=True, slots=True)
class Question:
    """A line of a set. ``shown`` is what is asked, for people; ``id`` is None where none is
    stated."""

    line: int
    id: str | None
    shown: str
    request: Request
    expected: Expected


@dataclass(frozen=True, slots=True)
class Prompt:
    """A line that need not say what is right. ``given`` is what stands where the question would,
    where that is no text to answer; ``request`` is None then."""

    line: int
    id: str | None
    shown: str
    request: Request | None
    expected: Expected | None = None
    given: Any = None


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions by the name of their file, and its SHA-256."""

    name: str
    path: Path
    sha256: str
    questions: tuple[Question, ...]
    whole: int = field(default=0)  # questions in the file


def parse(data: bytes, path: Path, name: str, match: Match | None = None) -> QuestionSet:
    """Read a set; ``match`` is how lines are judged that neither say so nor show it. Raises
    ``DamagedFile`` with the file and the line of what is wrong."""
    found = _read(data, path, lambda facts, line: _question(facts, line, match))
    digest = hashlib.sha256(data).hexdigest()
    return QuestionSet(name, path, digest, tuple(found), len(found))


def parse_prompts(data: bytes, path: Path, match: Match | None = None) -> tuple[Prompt, ...]:
    """Read a set of which a line may leave out what is right, and may ask what cannot be answered:
    null, an empty text, a number. ``kind`` stands for ``match`` too. Raises as ``parse`` does."""
    return tuple(_read(data, path, lambda facts, line: _prompt(facts, line, match)))


def _read(data: bytes, path: Path, of: Callable[[Mapping[str, Any], int], T]) -> list[T]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _bad(path, line, "is no UTF-8 text") from None
    found = []
    for number, line_ in enumerate(text.split("\n"), 1):
        if not line_.strip():
            continue
        try:
            found.append(of(_object(line_), number))
        except _Wrong as wrong:
            raise _bad(path, number, *wrong.args) from None
        except LlmrrError as error:
            raise _bad(path, number, f": {error.message}", error.hint) from None
    if not found:
        raise DamagedFile(f"{path} has no questions", 'a line: {"question": "…", "expected": "…"}')
    return found


class _Wrong(Exception):
    """What is wrong with a line, and perhaps what mends it."""


def _bad(path: Path, line: int, what: str, hint: str = "") -> DamagedFile:
    said = f"{path}, line {line}{'' if what.startswith(':') else ' '}{what}"
    return DamagedFile(said, hint or 'a line: {"question": "…", "expected": "…"}')


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        hint = "the set is JSONL: one object a line, no brackets around all" if text.lstrip()[
            :1
        ] == "[" else ""  # fmt: skip
        raise _Wrong(f"is no JSON: {error}", hint) from None
    except RecursionError:
        raise _Wrong("is nested too deeply") from None
    if not isinstance(found, dict):
        raise _Wrong("is no JSON object")
    return found


def _question(facts: Mapping[str, Any], line: int, match: Match | None) -> Question:
    name, shown, request = _asked(facts)
    choices = tuple(_choices(facts.get("choices")))
    return Question(line, name, shown, request, _expected(facts, choices, match))


def _prompt(facts: Mapping[str, Any], line: int, match: Match | None) -> Prompt:
    keys = [key for key in ASKING if key in facts]
    given = next((facts[key] for key in keys if facts[key] is not None), None)
    is_empty = isinstance(given, str) and not given.strip()
    if keys and (is_empty or not isinstance(given, str | list)):
        name = facts.get("id")
        return Prompt(line, None if name is None else str(name), _short(given), None, given=given)
    name, shown, request = _asked(facts)
    if all(facts.get(key) is None for key in ANSWERING):
        return Prompt(line, name, shown, request)
    stated = facts if "match" in facts else {**facts, "match": facts.get("kind")}
    choices = tuple(_choices(facts.get("choices")))
    return Prompt(line, name, shown, request, _expected(stated, choices, match))


def _asked(facts: Mapping[str, Any]) -> tuple[str | None, str, Request]:
    """What a line is called, what it asks, for people, and the request."""
    choices = tuple(_choices(facts.get("choices")))
    messages = tuple(_messages(facts, choices))
    raw = _flag(facts, "raw")
    if raw and len(messages) > 1:
        raise _Wrong("is raw, and has more than one message")
    sampling = _sampling(facts)
    request = (
        Request(prompt=messages[0].content, sampling=sampling)
        if raw
        else Request(messages=messages, sampling=sampling)
    )
    name = facts.get("id")
    return None if name is None else str(name), messages[-1].content, request


# -- what is asked -----------------------------------------------------------------------------


def _messages(facts: Mapping[str, Any], choices: tuple[str, ...]) -> Iterator[Message]:
    given = [key for key in ASKING if facts.get(key) is not None]
    if not given:
        raise _Wrong(f"asks nothing: it has no {_missing('question', facts)}")
    asked = facts[given[0]]
    turns = [Message("user", asked)] if isinstance(asked, str) else list(_turns(asked, given[0]))
    system = facts.get("system")
    if system is not None:
        if not isinstance(system, str):
            raise _Wrong("has a system prompt that is no text")
        turns = [Message("system", system), *(one for one in turns if one.role != "system")]
    if not turns or turns[-1].role != "user" or not turns[-1].content.strip():
        raise _Wrong("asks nothing: the last message is not the user's, or it is empty")
    yield from turns[:-1]
    listed = "\n".join(f"{letter(at)}. {choice}" for at, choice in enumerate(choices))
    last = turns[-1].content
    yield Message("user", f"{last}\n\n{listed}\n\n{CHOOSE}" if choices else last)


def _turns(found: Any, key: str) -> Iterator[Message]:
    if not isinstance(found, list):
        raise _Wrong(f'has a "{key}" that is neither a text nor a list of messages')
    for turn in found:
        role, content = (
            (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (None, None)
        )
        if role not in ROLES or not isinstance(content, str):
            raise _Wrong(f'has messages that are not {{"role", "content"}}: {_short(turn)}')
        yield Message(role, content)


def _choices(found: Any) -> Iterator[str]:
    """A list of texts, or letters with texts, as an object or as the hub's data sets have them."""
    if found is None:
        return
    if isinstance(found, dict):
        found = found["text"] if isinstance(found.get("text"), list) else list(found.values())
    if not isinstance(found, list) or not 2 <= len(found) <= MOST_CHOICES:
        raise _Wrong(f"has choices that are no list of 2 to {MOST_CHOICES}")
    for one in found:
        if not isinstance(one, str | int | float):
            raise _Wrong(f"has a choice that is no text: {_short(one)}")
        yield str(one)


def _sampling(facts: Mapping[str, Any]) -> Sampling:
    from llmrr.engines import schema

    params = facts.get("params") or {}
    if not isinstance(params, dict):
        raise _Wrong("has params that are no object")
    known, found = parameters.known_options(), {}
    loading = parameters.fields_of("options")
    for key, value in {**params, "max_tokens": facts.get("max_tokens")}.items():
        if value is None:
            continue
        name = parameters.option_name(str(key))
        if name in loading:
            raise _Wrong(f"has {key} among its params, which is no matter of one question")
        try:
            found[name] = known[name].parse(value, Path())
        except ValueError as error:
            why = str(error) or f"is not {known[name].expected}"
            raise _Wrong(f"has {key} {_short(value)}, which {why}") from None
    shape = facts.get("schema")
    if isinstance(shape, str):
        found["schema"] = schema.load(shape)
    elif isinstance(shape, dict | bool):
        found["schema"] = shape
    elif shape is not None:
        raise _Wrong(f"has a schema that is none: {_short(shape)}")
    return Sampling(**found)  # type: ignore[arg-type]


# -- what is right -----------------------------------------------------------------------------


def _expected(
    facts: Mapping[str, Any], choices: tuple[str, ...], default: Match | None
) -> Expected:
    key = next((one for one in ANSWERING if facts.get(one) is not None), None)
    if key is None:
        raise _Wrong(f"expects nothing: it has no {_missing('expected', facts)}")
    values = facts[key] if isinstance(facts[key], list) else [facts[key]]
    if not values:
        raise _Wrong(f'has an empty list as "{key}"')
    match = _match(facts.get("match"), values, bool(choices), default)
    if match == "choice" and not choices:
        raise _Wrong("is matched by choice, and has no choices")
    read = tuple(_value(match, one, choices) for one in values)
    tolerance = _tolerance(facts.get("tolerance"), read) if match == "number" else None
    return Expected(match, read, tolerance, choices, _flag(facts, "subset"))


def _match(
    stated: Any, values: list[Any], has_choices: bool, default: Match | None
) -> Match:
    if stated is not None:
        return match_named(stated)
    if has_choices:
        return "choice"
    if default is not None:
        return default
    if any(isinstance(one, dict | list) for one in values):
        return "json"
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        return "number"
    return "contains"


def match_named(name: Any) -> Match:
    """A way of matching by its name. Raises ``UsageError``."""
    for one in get_args(Match):
        if name == one:
            known: Match = one
            return known
    near = nearest(str(name), MATCHES)
    hint = f"did you mean {near}?" if near else f"one of {', '.join(MATCHES)}"
    raise UsageError(f'there is no match "{name}"', hint)


def _value(match: Match, value: Any, choices: tuple[str, ...]) -> Any:
    if match == "json":
        return _json(value)
    if match == "number":
        return _number(value)
    if match == "choice":
        return _index(value, choices)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Wrong(f"expects what is no text: {_short(value)}")
    text = str(value)
    if not text.strip() and match != "exact":
        raise _Wrong("expects an empty text, which is in every answer")
    if match == "regex" and (why := patterns.check(text)):
        raise _Wrong(f'expects "{_short(text)}", which is no pattern: {why}')
    return text


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value  # a JSON string


def _number(value: Any) -> float:
    """The number itself, or the last one of a text: "… #### 72"."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = numbers(value) if isinstance(value, str) else []
    if not found:
        raise _Wrong(f"expects what is no number: {_short(value)}")
    return found[-1]


def _index(value: Any, choices: tuple[str, ...]) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(choices):
        return value
    if isinstance(value, str):
        if value in choices:
            return choices.index(value)
        at = ord(value.upper()) - ord("A") if len(value) == 1 else -1
        if 0 <= at < len(choices):
            return at
    raise _Wrong(f"expects {_short(value)}, which is none of its choices")


def _tolerance(stated: Any, values: tuple[float, ...]) -> float | None:
    if stated is None:
        return None
    share = isinstance(stated, str) and stated.strip().endswith("%")
    try:
        found = float(stated.strip().rstrip("%")) if isinstance(stated, str) else float(stated)
    except (TypeError, ValueError):
        raise _Wrong(f"has a tolerance that is no number: {_short(stated)}") from None
    if not 0 <= found < float("inf"):
        raise _Wrong(f"has a tolerance below 0 or without end: {_short(stated)}")
    return found / 100 * max(abs(one) for one in values) if share else found


def _flag(facts: Mapping[str, Any], key: str) -> bool:
    value = facts.get(key)
    if value not in (None, True, False):
        raise _Wrong(f'has "{key}": {_short(value)}, which is neither true nor false')
    return bool(value)


def _missing(key: str, facts: Mapping[str, Any]) -> str:
    near = nearest(key, facts)
    return f'"{key}"' + (f'; did "{near}" mean it?' if near else "")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"
