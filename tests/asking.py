"""How tests ask a loaded model, and read what it answers."""

import threading
from collections.abc import Sequence

from llmrr.engines.local import LocalModel
from llmrr.types import Chunk, Request, Sampling

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"
LONG = "the capital of France is Paris and the capital of Spain is Madrid, said the world"


def raw(prompt: str, n: int = 1, **sampling: object) -> Request:
    """A prompt as it is, answered greedily."""
    stated = {"temperature": 0.0, "max_tokens": 12, "ignore_eos": True, **sampling}
    return Request(prompt=prompt, sampling=Sampling(**stated), n=n)  # type: ignore[arg-type]


def tokens_of(chunks: list[Chunk], index: int = 0) -> list[int]:
    """The tokens of one choice."""
    return [token for chunk in chunks if chunk.index == index for token in chunk.tokens]


def said(chunks: list[Chunk]) -> str:
    """The text of an answer."""
    return "".join(chunk.text for chunk in chunks)


def answers(model: LocalModel, requests: Sequence[Request]) -> list[list[int]]:
    """What so many callers at once are answered."""
    got: dict[int, list[int]] = {}

    def ask(number: int) -> None:
        got[number] = tokens_of(list(model.generate(requests[number])))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [got[number] for number in range(len(requests))]
