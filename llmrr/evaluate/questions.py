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
from typing import Any, TypeVar

from llmrr import parameters
from llmrr.errors import DamagedFile, LlmrrError, nearest
from llmrr.evaluate.expecting import ANSWERING, Wrong, expected_of, flag, missing, short
from llmrr.evaluate.judging import Expected, Match, letter
from llmrr.jsonflaws import flaw
from llmrr.types import Message, Request, Sampling

T = TypeVar("T")

ASKING = ("question", "prompt", "input", "messages")
ROLES = ("system", "user", "assistant")
KEYS = (
    *ASKING, *ANSWERING, "system", "raw", "choices", "match", "kind", "tolerance", "subset",
    "schema", "max_tokens", "params", "id",
)  # fmt: skip
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
    null, an empty text, a number. ``kind`` stands for ``match`` too. Raises as ``parse`` does, and
    for a key that is nearly one of these: a line without it would be asked, or judged, otherwise.
    """
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
        except Wrong as wrong:
            raise _bad(path, number, *wrong.args) from None
        except LlmrrError as error:
            raise _bad(path, number, f": {error.message}", error.hint) from None
    if not found:
        raise DamagedFile(f"{path} has no questions", 'a line: {"question": "…", "expected": "…"}')
    return found


def _bad(path: Path, line: int, what: str, hint: str = "") -> DamagedFile:
    said = f"{path}, line {line}{'' if what.startswith(':') else ' '}{what}"
    return DamagedFile(said, hint or 'a line: {"question": "…", "expected": "…"}')


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        hint = "the set is JSONL: one object a line, no brackets around all" if text.lstrip()[
            :1
        ] == "[" else ""  # fmt: skip
        raise Wrong(f"is no JSON: {flaw(error)}", hint) from None
    if not isinstance(found, dict):
        raise Wrong("is no JSON object")
    return found


def _question(facts: Mapping[str, Any], line: int, match: Match | None) -> Question:
    name, shown, request = _asked(facts)
    choices = tuple(_choices(facts.get("choices")))
    return Question(line, name, shown, request, expected_of(facts, choices, match))


def _prompt(facts: Mapping[str, Any], line: int, match: Match | None) -> Prompt:
    for key in facts:
        if key not in KEYS and (near := nearest(key, KEYS, 0.85)) is not None:
            raise Wrong(f'has a key "{key}", which is none', f'"{near}"')
    keys = [key for key in ASKING if key in facts]
    given = next((facts[key] for key in keys if facts[key] is not None), None)
    is_empty = isinstance(given, str) and not given.strip()
    if keys and (is_empty or not isinstance(given, str | list)):
        name = facts.get("id")
        shown = json.dumps(given) if is_empty else short(given)
        return Prompt(line, None if name is None else str(name), shown, None, given=given)
    name, shown, request = _asked(facts)
    if all(facts.get(key) is None for key in ANSWERING):
        return Prompt(line, name, shown, request)
    stated = facts if "match" in facts else {**facts, "match": facts.get("kind")}
    choices = tuple(_choices(facts.get("choices")))
    return Prompt(line, name, shown, request, expected_of(stated, choices, match))


def _asked(facts: Mapping[str, Any]) -> tuple[str | None, str, Request]:
    """What a line is called, what it asks, for people, and the request."""
    choices = tuple(_choices(facts.get("choices")))
    messages = tuple(_messages(facts, choices))
    raw = flag(facts, "raw")
    if raw and len(messages) > 1:
        raise Wrong("is raw, and has more than one message")
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
        raise Wrong(f"asks nothing: it has no {missing('question', facts)}")
    asked = facts[given[0]]
    turns = [Message("user", asked)] if isinstance(asked, str) else list(_turns(asked, given[0]))
    system = facts.get("system")
    if system is not None:
        if not isinstance(system, str):
            raise Wrong("has a system prompt that is no text")
        turns = [Message("system", system), *(one for one in turns if one.role != "system")]
    if not turns or turns[-1].role != "user" or not turns[-1].content.strip():
        raise Wrong("asks nothing: the last message is not the user's, or it is empty")
    yield from turns[:-1]
    listed = "\n".join(f"{letter(at)}. {choice}" for at, choice in enumerate(choices))
    last = turns[-1].content
    yield Message("user", f"{last}\n\n{listed}\n\n{CHOOSE}" if choices else last)


def _turns(found: Any, key: str) -> Iterator[Message]:
    if not isinstance(found, list):
        raise Wrong(f'has a "{key}" that is neither a text nor a list of messages')
    for turn in found:
        role, content = (
            (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (None, None)
        )
        if role not in ROLES or not isinstance(content, str):
            raise Wrong(f'has messages that are not {{"role", "content"}}: {short(turn)}')
        yield Message(role, content)


def _choices(found: Any) -> Iterator[str]:
    """A list of texts, or letters with texts, as an object or as the hub's data sets have them."""
    if found is None:
        return
    if isinstance(found, dict):
        found = found["text"] if isinstance(found.get("text"), list) else list(found.values())
    if not isinstance(found, list) or not 2 <= len(found) <= MOST_CHOICES:
        raise Wrong(f"has choices that are no list of 2 to {MOST_CHOICES}")
    for one in found:
        if not isinstance(one, str | int | float):
            raise Wrong(f"has a choice that is no text: {short(one)}")
        yield str(one)


def _sampling(facts: Mapping[str, Any]) -> Sampling:
    from llmrr.engines import schema

    params = facts.get("params") or {}
    if not isinstance(params, dict):
        raise Wrong("has params that are no object")
    known, found = parameters.known_options(), {}
    loading = parameters.fields_of("options")
    for key, value in {**params, "max_tokens": facts.get("max_tokens")}.items():
        if value is None:
            continue
        name = parameters.option_name(str(key))
        if name in loading:
            raise Wrong(f"has {key} among its params, which is no matter of one question")
        try:
            found[name] = known[name].parse(value, Path())
        except ValueError as error:
            why = str(error) or f"is not {known[name].expected}"
            raise Wrong(f"has {key} {short(value)}, which {why}") from None
    shape = facts.get("schema")
    if isinstance(shape, str):
        found["schema"] = schema.load(shape)
    elif isinstance(shape, dict | bool):
        found["schema"] = shape
    elif shape is not None:
        raise Wrong(f"has a schema that is none: {short(shape)}")
    return Sampling(**found)  # type: ignore[arg-type]
