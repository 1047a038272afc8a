"""What came of a request, and the line that says so, in OpenAI's form of a batch's output.

https://platform.openai.com/docs/api-reference/batch/request-output
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from llmrr.batch.lines import Line

OK: Final = 200
PREFIX: Final = "batch_req_"

# What splits a line for those who read text by lines, though JSON may hold it as it is.
_SPLITS: Final = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}
_HEAD: Final = re.compile(
    rb'\{"id": "batch_req_(?P<input>[0-9a-f]{16})(?P<options>[0-9a-f]{8})_(?P<at>[0-9]{8,})", '
    rb'"custom_id": (?:null|"(?:[^"\\]|\\.)*"), '
    rb'"response": (?:null|\{"status_code": (?P<status>[0-9]+), )'
)


class Reply(NamedTuple):
    """What came of a request: a status with a body; or no ``status``, and why. ``is_lost`` where
    nobody could be asked, which is no matter of this line and never written; ``is_refused`` where
    what others are told has to say whether it is one."""

    status: int | None
    body: Mapping[str, Any] | None = None
    request_id: str = ""
    code: str = ""
    message: str = ""
    is_lost: bool = False
    is_refused: bool = False

    @property
    def is_answered(self) -> bool:
        """Whether it is what was asked for."""
        return self.status == OK


class Mark(NamedTuple):
    """What the lines of one output have in common: digests of the input and of the options. An
    input that comes as a stream has none: each of its lines has one of its own."""

    input: str | None
    options: str

    def of(self, line: Line) -> "Mark":
        """That of the answer to a line."""
        return self._replace(input=line.digest) if self.input is None else self

    def is_of(self, one: "Mark") -> bool:
        """Whether ``one``, of a line that is written, may belong to it."""
        return one.options == self.options and self.input in (None, one.input)

    def id(self, at: int) -> str:
        """The id of a line.

        >>> Mark("0123456789abcdef", "01234567").id(3)
        'batch_req_0123456789abcdef01234567_00000003'
        """
        return f"{PREFIX}{self.input}{self.options}_{at:08d}"


class Head(NamedTuple):
    """What the beginning of a written line says."""

    mark: Mark
    at: int
    is_answered: bool


def line(id: str, custom_id: str | None, reply: Reply) -> bytes:
    """A line of the output. ``head`` reads its beginning: the order of the keys is part of it."""
    response = error = None
    if reply.status is None:
        error = {"code": reply.code, "message": reply.message}
    else:
        status = {"status_code": reply.status, "request_id": reply.request_id}
        response = {**status, "body": reply.body}
    whole = {"id": id, "custom_id": custom_id, "response": response, "error": error}
    try:
        return json.dumps(whole, ensure_ascii=False).translate(_SPLITS).encode() + b"\n"
    except UnicodeEncodeError:  # half a character, which JSON may name and UTF-8 cannot
        return json.dumps(whole).encode() + b"\n"


def head(data: bytes) -> Head | None:
    """What a written line is; None for what is no line of ours, or not all of it.

    >>> mark = Mark("0123456789abcdef", "01234567")
    >>> written = line(mark.id(7), 'a"b', Reply(200, {"x": 1}, "r"))
    >>> head(written) == (mark, 7, True), head(written[:-1])
    (True, None)
    """
    found = _HEAD.match(data)
    if found is None or not data.endswith(b"}\n") or b"\0" in data:
        return None
    mark = Mark(found["input"].decode(), found["options"].decode())
    return Head(mark, int(found["at"]), found["status"] == str(OK).encode())
