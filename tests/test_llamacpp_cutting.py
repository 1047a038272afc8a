"""Long texts are cut into pieces, and have the tokens that they have as a whole."""

import random
from collections.abc import Iterator

import pytest

from llmrr.engines.llamacpp import api, cutting
from llmrr.engines.llamacpp.api import Vocab
from llmrr.engines.llamacpp.cutting import Cuts
from llmrr.engines.llamacpp.vocabulary import open_vocabulary
from llmrr.paths import builtin_model


@pytest.fixture(scope="module")
def vocab() -> Iterator[Vocab]:
    with open_vocabulary(builtin_model()) as found:
        yield found


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (api, cutting):
        monkeypatch.setattr(module, "PIECE", 20)


@pytest.mark.parametrize("add", [False, True])
def test_the_pieces_of_a_text_have_its_tokens(vocab: Vocab, short: None, add: bool) -> None:
    specials = sorted(vocab._cuts._specials)
    parts = [*specials * 3, *(one[:-1] for one in specials), *(one[1:] for one in specials),
             " ", "  ", "\n", "a word", "é", "日本", "<", "|>"]  # fmt: skip
    draw, pieces = random.Random(7), 0
    for _ in range(100):
        text = "".join(draw.choices(parts, k=80))
        pieces += len([*vocab._cuts.pieces(text)])
        assert vocab.tokenize(text, add_special=add) == vocab._tokenized(text, add, True)
    assert pieces > 500


def test_a_conversation_is_read_in_pieces_of_a_bounded_size(vocab: Vocab) -> None:
    pieces = [*vocab._cuts.pieces("<|user|>x<|assistant|>y" * 20_000)]
    assert len(pieces) > 20 and max(map(len, pieces)) < cutting.PIECE + 100


@pytest.mark.parametrize(("specials", "strips", "text", "cut"), [
    (["<a>"], [], "x" * 20 + "<a>y", "<a>y"),
    (["<a>"], ["<a>"], "x" * 19 + " <a>y<a>z", "<a>z"),  # it takes the space away
    (["<a>"], [], "x" * 19 + " <a>y", "<a>y"),
    (["ab", "xa"], [], "x" * 20 + "ab.ab", "ab"),  # one reaches over the place
    (["ab", "bcd"], [], "-" * 20 + "abcd.ab", "ab"),  # one takes its end
    (["a", "abc"], [], "-" * 20 + "abc", "abc"),
    ([], [], "x" * 50, "x" * 50),
])  # fmt: skip
def test_it_is_cut_where_nothing_reaches_over(
    short: None, specials: list[str], strips: list[str], text: str, cut: str
) -> None:
    pieces = [*Cuts(specials, strips).pieces(text)]
    assert "".join(pieces) == text and pieces[-1] == cut
