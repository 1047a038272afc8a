"""The small files in which Linux says what there is."""

from pathlib import Path


def text(path: Path) -> str:
    """What a file says; empty where it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def line(path: Path) -> str:
    """What a file of one line says."""
    return text(path).strip()


def numbers(text: str) -> dict[str, int]:
    """What a file says that has a name and a number in each line.

    >>> numbers("anon 4096\\nflags a b\\n")
    {'anon': 4096}
    """
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
