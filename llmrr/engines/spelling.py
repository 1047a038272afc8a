"""How a vocabulary of the ``tokenizers`` library spells the bytes of its tokens."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BYTE: Final = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Spelling:
    """How the bytes of a token are written in a vocabulary. By the kinds of decoders of
    https://huggingface.co/docs/tokenizers/api/decoders"""

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        self._kinds = {str(step.get("type")) for step in steps}
        self._steps = steps

    @classmethod
    def of(cls, tokenizer: "Tokenizer") -> "Spelling":
        """That of a tokenizer."""
        steps = list(_steps(tokenizer.decoder))
        if not steps and any(step.get("type") == "ByteLevel" for step in
                             _steps(tokenizer.pre_tokenizer)):  # fmt: skip
            steps = [{"type": "ByteLevel"}]
        return cls(steps)

    def bytes(self, token: str | None) -> bytes:
        """What a token stands for; none for None."""
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
