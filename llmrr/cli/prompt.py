"""What the words of a command line mean: which is the model, what the prompt consists of. Pure
functions; reading files and stdin is done by ``asking``.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from llmrr.errors import LlmrrError
from llmrr.types import Image, Message


def split_words(
    words: Sequence[str], model: str | None, is_model: Callable[[str], bool]
) -> tuple[str | None, str | None]:
    """The model and the prompt among ``words``; None for what is not there.

    The first word is the model when it holds no space and ``is_model`` knows it; ``model``, from
    ``-m``, always wins.

    >>> split_words(["mini", "hello", "you"], None, {"mini"}.__contains__)
    ('mini', 'hello you')
    >>> split_words(["mini", "hello"], "other", {"mini"}.__contains__)
    ('other', 'mini hello')
    """
    rest = list(words)
    if model is None and rest and not re.search(r"\s", rest[0]) and is_model(rest[0]):
        model = rest.pop(0)
    return model, " ".join(rest) or None


def join_parts(
    prompt: str | None, files: Iterable[tuple[str, str]], stdin: str | None
) -> str | None:
    """Prompt, fenced files and what came on stdin, a blank line between; None without any.

    >>> join_parts("Why?", [], "error 5\\n")
    'Why?\\n\\nerror 5'
    """
    fenced = (fence(name, text) for name, text in files)
    parts = (prompt or "", *fenced, (stdin or "").rstrip("\n"))
    return "\n\n".join(part for part in parts if part.strip()) or None


def fence(name: str, text: str) -> str:
    """A file as a fenced block below its name; the fence is longer than any inside.

    >>> print(fence("a.txt", "hi\\n"))
    a.txt:
    ```
    hi
    ```
    """
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    ticks = "`" * (longest + 1)
    return f"{name}:\n{ticks}\n{text.rstrip()}\n{ticks}"


def code_block(text: str) -> str:
    """The content of the first fenced code block. Raises ``LlmrrError`` when there is none.

    >>> code_block("So:\\n```sh\\nls\\n```\\nDone.")
    'ls\\n'
    """
    lines = text.splitlines(keepends=True)
    for start, line in enumerate(lines):
        if opening := re.match(r" {0,3}(`{3,}|~{3,})[^`]*$", line):
            ticks = opening[1]
            # A fence is closed by one at least as long; one that is cut off runs to the end.
            closing = re.compile(rf" {{0,3}}{ticks[0]}{{{len(ticks)},}}\s*$")
            body = lines[start + 1 :]
            end = next((n for n, inner in enumerate(body) if closing.match(inner)), len(body))
            return "".join(body[:end])
    raise LlmrrError("the answer holds no code block", "run it without -x to see the answer")


def messages(
    prompt: str | None, system: str | None, rendered: tuple[Message, ...] | str | None = None
) -> tuple[Message, ...]:
    """The turns to send: the system prompt, then the rendered template, then the prompt."""
    turns = rendered if isinstance(rendered, tuple) else ()
    if isinstance(rendered, str):
        turns = (Message("user", rendered),)
    if system:
        turns = (Message("system", system), *(m for m in turns if m.role != "system"))
    return (*turns, Message("user", prompt)) if prompt else turns


def with_images(turns: tuple[Message, ...], images: tuple[Image, ...]) -> tuple[Message, ...]:
    """The turns with images before the text of the last one of the user."""
    if not images:
        return turns
    last = max((at for at, one in enumerate(turns) if one.role == "user"), default=len(turns))
    text = "".join(one.content for one in turns[last : last + 1])
    turn = Message.of("user", *images, *([text] if text else []))
    return (*turns[:last], turn, *turns[last + 1 :])


def clean(text: str) -> str:
    """Bytes of an argument that are no UTF-8 (surrogates in Python) become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
