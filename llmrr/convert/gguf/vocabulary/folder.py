"""The tokenizer files of a Hugging Face folder, read once and within bounds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from llmrr.formats.json_file import parse_object, read_beside, read_object, table
from llmrr.formats.messages import damaged
from llmrr.formats.source import Files, FileSource, FolderFiles

MAX_TOKENIZER = 96 << 20  # Gemma's tokenizer.json has 33 MB, the largest vocabularies about 40
MAX_ITEMS = 6_000_000  # 580,000 merges as pairs and 262,000 tokens are 2.3 million
MAX_TEXT = 64 << 20
MODELS = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "source.spm")
RANKS = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n")  # tiktoken: a token in base64, its number


@dataclass(frozen=True)
class Added:
    """A token that was put beside the vocabulary: it is found in a text before anything else.

    ``normalized`` ones are looked for in the normalized text. ``strips`` are the sides on which it
    swallows spaces.
    """

    text: str
    special: bool
    normalized: bool = False
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False


@dataclass(frozen=True)
class Folder:
    """What the files of ``path`` say; each is read when it is first asked for.

    Reading raises ``DamagedFile`` for what is no JSON, too large, or of another shape.
    """

    path: Path

    @cached_property
    def files(self) -> Files:
        """Its files; those of hidden folders are left aside."""
        return FolderFiles(self.path, depth=1)

    def has(self, name: str) -> bool:
        """Is there such a file?"""
        return name in self.files.sizes

    @cached_property
    def tokenizer(self) -> dict[str, Any]:
        """tokenizer.json, an empty object where there is none."""
        if not self.has("tokenizer.json"):
            return {}
        source = self.files.source("tokenizer.json")
        if source.size > MAX_TOKENIZER:
            raise damaged(source, f"it has {source.size} bytes, where {MAX_TOKENIZER} are allowed")
        return parse_object(source.read(0, MAX_TOKENIZER), source, items=MAX_ITEMS)

    @cached_property
    def model(self) -> dict[str, Any]:
        """The model of tokenizer.json: its vocabulary, and how it is cut."""
        return table(self.tokenizer, "model")

    @cached_property
    def stated(self) -> dict[str, Any]:
        """tokenizer_config.json."""
        return read_beside(self.files, "tokenizer_config.json")

    @cached_property
    def special(self) -> dict[str, Any]:
        """special_tokens_map.json."""
        return read_beside(self.files, "special_tokens_map.json")

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json."""
        return read_beside(self.files, "config.json")

    @cached_property
    def generation(self) -> dict[str, Any]:
        """generation_config.json."""
        return read_beside(self.files, "generation_config.json")

    def vocabulary(self, name: str) -> dict[str, Any]:
        """A large JSON object: vocab.json."""
        source = self.files.source(name)
        if source.size > MAX_TOKENIZER:
            raise damaged(source, f"it has {source.size} bytes, where {MAX_TOKENIZER} are allowed")
        return parse_object(source.read(0, MAX_TOKENIZER), source, items=MAX_ITEMS)

    def lines(self, name: str) -> list[str]:
        """The lines of a text file: merges.txt, vocab.txt. Only a line feed ends one."""
        source = self.files.source(name)
        if source.size > MAX_TEXT:
            raise damaged(source, f"it has {source.size} bytes, where {MAX_TEXT} are allowed")
        try:
            text = source.read(0, MAX_TEXT).decode("utf-8-sig")
        except UnicodeDecodeError as exc:
            raise damaged(source, f"it is not UTF-8: {exc}") from exc
        found = [line.removesuffix("\r") for line in text.split("\n")]
        return found[:-1] if found[-1] == "" else found

    @cached_property
    def sentencepiece(self) -> FileSource | None:
        """The SentencePiece model, if there is one: a file of that name may be tiktoken's."""
        for name in MODELS:
            if self.has(name):
                source = self.files.source(name)
                assert isinstance(source, FileSource)
                if source.read(0, 1) == b"\n":  # the first piece of a ModelProto
                    return source
        return None

    @cached_property
    def tiktoken(self) -> str | None:
        """The name of a file of tiktoken's, which has ranks and no pattern."""
        for name in self.files.sizes:
            if name.endswith((".model", ".tiktoken")) and RANKS.match(
                self.files.source(name).read(0, 256)
            ):
                return name
        return None

    @cached_property
    def added(self) -> dict[int, Added]:
        """The tokens that were added, by id. tokenizer.json is what is run, so it goes before
        tokenizer_config.json, and that before added_tokens.json."""
        found: dict[int, Added] = {}
        if self.has("added_tokens.json"):
            source = self.files.source("added_tokens.json")
            for text, number in read_object(source).items():
                if type(number) is not int:
                    raise damaged(source, f"the id of {text[:99]!r} is {str(number)[:99]}")
                found[number] = Added(text, special=False)
        for key, entry in table(self.stated, "added_tokens_decoder").items():
            if key.isascii() and key.isdecimal() and len(key) < 10 and isinstance(entry, dict):
                self._note(found, int(key), entry)
        entries = self.tokenizer.get("added_tokens")
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and type(entry.get("id")) is int:
                self._note(found, entry["id"], entry)
        return found

    def _note(self, found: dict[int, Added], number: int, entry: Mapping[str, Any]) -> None:
        text = entry.get("content")
        if not isinstance(text, str):
            raise damaged(self.path, f"the added token {number} has no text")
        flags = ("normalized", "lstrip", "rstrip", "single_word")
        found[number] = Added(
            text, entry.get("special") is True, **{flag: entry.get(flag) is True for flag in flags}
        )
