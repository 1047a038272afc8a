"""The tokenizers library: what it raises becomes an error of ours here."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llmrr.errors import LlmrrError
from llmrr.formats.messages import damaged

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def tokenizer(made: Mapping[str, Any], where: object) -> "Tokenizer":
    """The tokenizer that ``made``, in the form of tokenizer.json, describes. Raises
    ``DamagedFile``."""
    from tokenizers import Tokenizer

    with errors(where):
        return Tokenizer.from_str(json.dumps(made, ensure_ascii=False))


@contextmanager
def errors(where: object) -> Iterator[None]:
    """Raise ``DamagedFile`` for what the library raises: bare exceptions, and where its Rust code
    panics (a pattern that takes too many steps) one that is no ``Exception``."""
    try:
        yield
    except BaseException as exc:
        panics = type(exc).__name__ == "PanicException"
        if isinstance(exc, LlmrrError) or not (panics or isinstance(exc, Exception)):
            raise
        raise damaged(where, f"the tokenizers library cannot use it: {str(exc)[:300]}") from exc
