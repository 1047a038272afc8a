"""The tokenizer of a Hugging Face folder, read by the ``tokenizers`` library alone: text to tokens,
tokens to bytes, and which of them begin and end what a model writes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr.errors import DamagedFile, NotFound
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
_BYTE: Final = re.compile(r"<0x([0-9A-Fa-f]{2})>")
# Where tokens that begin and end are stated, by id or by text.
SETTINGS: Final = (
    "generation_config.json", "config.json", "genai_config.json", "tokenizer_config.json",
)  # fmt: skip
MAX_FILE: Final = 1 << 28  # bytes of a tokenizer; the largest known have 35 MB
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
        self._spelling = _Spelling.of(tokenizer)
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
        tokenizer = next((one for found in files if (one := _read(found))), None)
        if tokenizer is None:
            raise _missing(folders, files)
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


class _Spelling:
    """How the bytes of a token are written in a vocabulary. By the kinds of decoders of
    https://huggingface.co/docs/tokenizers/api/decoders"""

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        self._kinds = {str(step.get("type")) for step in steps}
        self._steps = steps

    @classmethod
    def of(cls, tokenizer: "Tokenizer") -> "_Spelling":
        steps = list(_steps(tokenizer.decoder))
        if not steps and any(step.get("type") == "ByteLevel" for step in
                             _steps(tokenizer.pre_tokenizer)):  # fmt: skip
            steps = [{"type": "ByteLevel"}]
        return cls(steps)

    def bytes(self, token: str | None) -> bytes:
        if token is None:
            return b""
        if "ByteLevel" in self._kinds:
            alphabet = _ALPHABET
            try:
                return bytes([alphabet[character] for character in token])
            except KeyError:  # a token that was added as plain text
                return token.encode()
        if "ByteFallback" in self._kinds and (byte := _BYTE.fullmatch(token)):
            return bytes([int(byte[1], 16)])
        return self._text(token).encode(errors="replace")

    def _text(self, token: str) -> str:
        if not self._steps:
            return f" {token}"  # such tokens are words
        for step in self._steps:
            kind = step.get("type")
            if kind == "Replace":
                pattern = step.get("pattern")
                if isinstance(pattern, dict) and isinstance(pattern.get("String"), str):
                    token = token.replace(pattern["String"], str(step.get("content", "")))
            elif kind == "Metaspace":
                token = token.replace(str(step.get("replacement", "▁")), " ")
            elif kind == "WordPiece":
                prefix = str(step.get("prefix", "##"))
                continues = token.startswith(prefix)
                token = token.removeprefix(prefix) if continues else f" {token}"
            elif kind == "BPEDecoder":
                token = token.replace(str(step.get("suffix", "</w>")), " ")
        return token


def _steps(part: Any) -> Iterator[Mapping[str, Any]]:
    """The steps that a decoder or pre-tokenizer consists of, as tokenizer.json writes them."""
    if part is None:
        return
    stated = json.loads(part.__getstate__())
    waiting = [stated]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, dict):
            yield one
            waiting[:0] = [*one.get("decoders", ()), *one.get("pretokenizers", ())]


def _alphabet() -> dict[str, int]:
    """The bytes behind the characters of byte-level vocabularies: printable ones stand for
    themselves, the others for what comes after U+0100, as in GPT-2's ``bytes_to_unicode``."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(plain)]
    return {chr(byte): byte for byte in plain} | {
        chr(0x100 + place): byte for place, byte in enumerate(others)
    }


_ALPHABET: Final = _alphabet()


# -- files ---------------------------------------------------------------------------------------


def _read(files: FolderFiles) -> "Tokenizer | None":
    """The tokenizer of a folder: tokenizer.json, or the older files of GPT-2 and BERT."""
    from tokenizers import Tokenizer

    names = files.sizes
    if "tokenizer.json" in names:
        path = files.path / "tokenizer.json"
        with _damage(path):
            return Tokenizer.from_file(str(path))
    if {"vocab.json", "merges.txt"} <= names.keys():
        with _damage(files.path / "merges.txt"):
            return _byte_level(files)
    if "vocab.txt" in names:
        with _damage(files.path / "vocab.txt"):
            return _word_piece(files)
    return None


def _byte_level(files: FolderFiles) -> "Tokenizer":
    """GPT-2's: https://huggingface.co/openai-community/gpt2"""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocabulary, merges = models.BPE.read_file(
        str(files.path / "vocab.json"), str(files.path / "merges.txt")
    )
    found = Tokenizer(models.BPE(vocabulary, merges))
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    for token, special in _added(files):
        if found.token_to_id(token) is not None or not special:
            found.add_tokens([AddedToken(token, special=special, normalized=False)])
    return found


def _word_piece(files: FolderFiles) -> "Tokenizer":
    """BERT's: https://huggingface.co/google-bert/bert-base-uncased"""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    stated = read_beside(files, "tokenizer_config.json")
    vocabulary = models.WordPiece.read_file(str(files.path / "vocab.txt"))
    found = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    found.normalizer = normalizers.BertNormalizer(
        lowercase=stated.get("do_lower_case") is not False
    )
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    found.decoder = decoders.WordPiece()
    with suppress(KeyError):
        sep, cls = (("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
        found.post_processor = processors.BertProcessing(sep, cls)
    found.add_special_tokens([one for one in ("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]")
                              if one in vocabulary])  # fmt: skip
    return found


def _added(files: FolderFiles) -> Iterator[tuple[str, bool]]:
    """The tokens that the configuration adds, and whether they are special."""
    stated = read_beside(files, "tokenizer_config.json")
    for one in table(stated, "added_tokens_decoder").values():
        if isinstance(one, dict) and isinstance(one.get("content"), str):
            yield one["content"], bool(one.get("special"))
    for role in ("bos", "eos", "unk", "pad"):
        token = stated.get(f"{role}_token")
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            yield token, True
    yield "<|endoftext|>", True


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What ``tokenizers`` says of a file, as an error of ours."""
    if path.stat().st_size > MAX_FILE:
        raise DamagedFile(f"{path} is too large for a tokenizer", "download it again")
    try:
        yield
    except Exception as error:  # it raises bare Exception for everything
        said = " ".join(str(error).split())[:200]
        raise DamagedFile(f"{path} is no tokenizer: {said}", "download it again") from error


def _missing(folders: Sequence[Path], files: Sequence[FolderFiles]) -> NotFound:
    where = " or ".join(map(str, folders))
    other = next(
        (name for one in files for name in
         ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tekken.json",
          "tiktoken.model") if name in one.sizes), None,
    )  # fmt: skip
    said = f"there is no tokenizer.json in {where}"
    if other:
        said += f", and {other} alone cannot be read by this engine"
    hint = "put the tokenizer.json of the model's repository beside its weights"
    return NotFound(said, hint, is_file=True)
