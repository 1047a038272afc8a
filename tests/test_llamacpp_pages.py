"""Large pages for what was allocated."""

import ctypes
import mmap
import re
import threading
from pathlib import Path

import pytest

from llmrr.engines.llamacpp import pages

SIZE = 64 << 20


def in_large_pages(address: int) -> int:
    """Bytes in large pages of the memory in which an address lies."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(found[1], 16) <= address < int(found[2], 16)
        elif inside and line.startswith("AnonHugePages:"):
            return int(line.split()[1]) << 10
    return 0


def written() -> tuple[mmap.mmap, int]:
    """Memory that is in use, and where it is."""
    memory = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(b"\1" * SIZE)
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))


def test_what_is_allocated_meanwhile_comes_into_large_pages() -> None:
    _, address = written()
    if not pages.collapse([pages.Region(address, address + SIZE)]):
        pytest.skip("this kernel does not put pages together")
    with pages.large():
        memory, address = written()
    for thread in threading.enumerate():
        if thread.name == "pages":
            thread.join()
    assert in_large_pages(address) >= SIZE - (4 << 20)
    assert memory[0] == memory[SIZE - 1] == 1


def test_memory_that_is_gone_is_no_matter() -> None:
    assert not pages.collapse([pages.Region(1 << 46, (1 << 46) + SIZE)])


def test_where_there_is_no_list_of_memory_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pages, "_MAPS", tmp_path / "none")
    threads = threading.active_count()
    with pages.large():
        pass
    assert threading.active_count() == threads
