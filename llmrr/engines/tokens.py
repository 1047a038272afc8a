"""The tokenizer of a Hugging Face folder, read by the ``tokenizers`` library alone: text to tokens,
tokens to bytes, and which of them begin and end what a model writes."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr.engines import tokenizer_files
from llmrr.engines.spelling import Spelling
from llmrr.formats import FolderFiles
from llmrr.formats.json_file import read_beside, table
from llmrr.types import ModelInfo

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from llmrr.engines.constrain import Vocabulary

# What ends a turn, if it is a special token and the chat template writes it. (A template that
# writes <|end|> may end a channel with it and go on, so that one counts only where a
# configuration says so.)
TURN_ENDS: Final = (
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end_of_turn|>",
    "<|end_of_text|>", "<end_of_utterance>", "<|eot|>", "</s>",
)  # fmt: skip
# Where tokens that begin and end are stated, by id or by text.
SETTINGS: Final = (
    "generation_config.json", "config.json", "genai_config.json", "tokenizer_config.json",
)  # fmt: skip
MAX_TOKENS: Final = 1 << 22


class Tokens:
    """A tokenizer. Safe to call from several threads."""

    def __init__(
        self, tokenizer: "Tokenizer", info: ModelInfo, settings: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """``settings`` are the tables that may state token ids: generation_config.json,
        config.json, genai_config.json; and tokenizer_config.json, which states tokens."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._added = dict(tokenizer.get_added_tokens_decoder())
        self._pieces: dict[int, bytes] = {}
        self._spelling = Spelling.of(tokenizer)
        self._settings = settings
        self.size: int = tokenizer.get_vocab_size()
        self.bos = self._role("bos", info)
        before = tokenizer.encode("", add_special_tokens=True).ids[:1]
        self.adds_bos = info.add_bos if info.add_bos is not None else before == [self.bos]
        self.ends = self._ends(info)

    @classmethod
    def of(cls, folders: Sequence[Path], info: ModelInfo) -> "Tokens":
        """The tokenizer in the first of ``folders`` that has one, with what the configurations in
        all of them state. Raises ``NotFound`` naming what is missing, and ``DamagedFile``."""
        files = [FolderFiles(folder, depth=0) for folder in folders if folder.is_dir()]
        tokenizer = next((one for found in files if (one := tokenizer_files.read(found))), None)
        if tokenizer is None:
            raise tokenizer_files.missing(folders, files)
        settings = [found for name in SETTINGS for one in files
                    if (found := read_beside(one, name))]  # fmt: skip
        return cls(tokenizer, info, settings)

    def tokenize(self, text: str) -> list[int]:
        """Token ids, special tokens recognised where they are spelled out, none added."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def enclosed(self, text: str) -> list[int]:
        """Token ids with what the model was trained to see around a text: CLS and SEP, BOS, EOS."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=True).ids
        return ids

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for, special ones spelled out; none for an unknown one."""
        known = self._pieces.get(token)
        if known is None:
            if (added := self._added.get(token)) is not None:
                known = added.content.encode()
            else:
                known = self._spelling.bytes(self._tokenizer.id_to_token(token))
            self._pieces[token] = known
        return known

    def text(self, token: int | None) -> str:
        """A token as the vocabulary spells it; empty for None."""
        return "" if token is None else self._tokenizer.id_to_token(token) or ""

    def is_control(self, token: int) -> bool:
        """Is it one that plain text cannot hold?"""
        added = self._added.get(token)
        return bool(added is not None and added.special) or token in self.ends

    def is_end(self, token: int) -> bool:
        """Does it end a turn or the text?"""
        return token in self.ends

    @property
    def eos(self) -> int | None:
        """The token that templates call ``eos_token``."""
        return self._eos

    def vocabulary(self) -> "Vocabulary":
        """All of it, for constrained output."""
        from llmrr.engines.constrain import Vocabulary

        control = {token for token, added in self._added.items() if added.special}
        return Vocabulary(
            tokens=[self.piece(token) for token in range(self._highest + 1)],
            eos=self.ends,
            special=frozenset(control | set(self.ends)),
            tokenize=self._plainly,
        )

    @property
    def _highest(self) -> int:
        """Ids may have gaps: the highest is not one less than the count."""
        highest = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
        return min(int(highest), MAX_TOKENS)

    def _plainly(self, data: bytes) -> list[int]:
        """Bytes to tokens, special ones not recognised."""
        ids: list[int] = self._plain.encode(
            data.decode(errors="replace"), add_special_tokens=False
        ).ids
        return ids

    @cached_property
    def _plain(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        plain: Tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        plain.encode_special_tokens = True
        return plain

    # -- which tokens begin and end --------------------------------------------------------------

    def _role(self, role: str, info: ModelInfo) -> int | None:
        for one in self._settings:
            stated = one.get(f"{role}_token")
            text = stated.get("content") if isinstance(stated, dict) else stated
            if isinstance(text, str) and (token := self._tokenizer.token_to_id(text)) is not None:
                return int(token)
        found = info.special_tokens.get(role)
        return found if found is not None and self._tokenizer.id_to_token(found) else None

    def _ends(self, info: ModelInfo) -> tuple[int, ...]:
        """What ends an answer: every configuration counts, as each knows some of them."""
        self._eos = self._role("eos", info)
        found = {self._eos} if self._eos is not None else set()
        for one in self._settings:
            for inside in (one, table(one, "text_config"), table(one, "model")):
                stated = inside.get("eos_token_id")
                for token in stated if isinstance(stated, list) else [stated]:
                    if type(token) is int and token >= 0:
                        found.add(token)
        template = info.chat_template or ""
        for token, added in self._added.items():
            if added.special and added.content in TURN_ENDS and added.content in template:
                found.add(token)
        return tuple(sorted(found))
