"""The table by which SentencePiece normalizes characters, read as SentencePiece reads it.

A length, that many bytes of a double array (Darts-clone: https://github.com/s-yata/darts-clone),
then texts that each end in a zero byte. The array leads from the bytes of a character, or of
several, to the place of the text that stands for them.
"""

import struct

LEAF = 1 << 8
LABEL = 1 << 31 | 0xFF


class Charsmap:
    """One table. It is sound: what leads out of it is no entry."""

    def __init__(self, raw: bytes) -> None:
        size = int.from_bytes(raw[:4], "little")
        self.units = struct.unpack_from(f"<{min(size, len(raw) - 4) // 4}I", raw, 4)
        self.texts = raw[4 + size :]

    def normalize(self, text: str) -> str:
        """``text`` with the longest entry at each place replaced."""
        raw, found, at = text.encode(), bytearray(), 0
        while at < len(raw):
            length, place = self._longest(raw, at)
            if length:
                found += self.texts[place : self.texts.index(0, place)]
            else:
                length = _width(raw[at])
                found += raw[at : at + length]
            at += length
        return found.decode("utf-8", "replace")

    def _longest(self, raw: bytes, at: int) -> tuple[int, int]:
        """How many bytes the longest entry at ``at`` has, and where its text begins."""
        length = place = 0
        node = self._base(0)
        for number in range(at, len(raw)):
            node ^= raw[number]
            unit = self._unit(node)
            if raw[number] == 0 or unit & LABEL != raw[number]:
                break
            node ^= self._base(node)
            if unit & LEAF:
                length, place = number - at + 1, self._unit(node) & (1 << 31) - 1
        return (length, place) if place < len(self.texts) else (0, 0)

    def _unit(self, node: int) -> int:
        return self.units[node] if node < len(self.units) else 0

    def _base(self, node: int) -> int:
        unit = self._unit(node)
        return unit >> 10 << ((unit & 1 << 9) >> 6)


def _width(first: int) -> int:
    """The bytes of a character that begins with this one."""
    return 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
