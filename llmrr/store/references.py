"""What names a model on the hub. Pure, but for the address of the hub (``HF_ENDPOINT``)."""

import os
import re
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

from llmrr.errors import UsageError
from llmrr.kinds import split_source

_PAGES = ("resolve", "blob", "raw", "tree")  # owner/repo/PAGE/REVISION/path, as in a browser
_PART = r"[\w][\w.-]*"
_FILE = re.compile(rf"({_PART}/){{2,}}[^/:@]+\.gguf(@\S+)?")  # owner/repo/file.gguf


class HubReference(NamedTuple):
    """``owner/repo`` on the hub, and what of it: a quantization or variant (``tag``), or a file."""

    repo: str
    tag: str | None = None
    file: str | None = None
    revision: str | None = None

    @property
    def source(self) -> str:
        """As it is written.

        >>> HubReference("o/r", tag="Q4_K_M", revision="v1").source
        'huggingface:o/r:Q4_K_M@v1'
        """
        what = f"/{self.file}" if self.file else f":{self.tag}" if self.tag else ""
        return f"huggingface:{self.repo}{what}" + (f"@{self.revision}" if self.revision else "")

    @property
    def is_whole(self) -> bool:
        """Whether it names no part of the repository."""
        return self.tag is None and self.file is None


def hub_reference(text: str) -> HubReference | None:
    """Read a reference to the hub; None for what is none. Raises ``UsageError`` for one that cannot
    be read.

    >>> hub_reference("hf:o/r:q4_k_m"), hub_reference("o/r@v1")
    (HubReference(repo='o/r', tag='q4_k_m', file=None, revision=None), \
HubReference(repo='o/r', tag=None, file=None, revision='v1'))
    >>> hub_reference("https://huggingface.co/o/r/blob/main/sub/a.gguf?x=1").file
    'sub/a.gguf'
    >>> hub_reference("https://huggingface.co/o/r/tree/main/UD-Q4_K_XL").tag
    'UD-Q4_K_XL'
    >>> hub_reference("openai:gpt-4o") is None
    True
    """
    mirror = (os.environ.get("HF_ENDPOINT") or "").rstrip("/")
    if mirror and text.startswith(f"{mirror}/"):
        return _parse(text.removeprefix(f"{mirror}/"), text)
    if _FILE.fullmatch(text):  # also a path, but one that exists was looked for before
        return _parse(text, text)
    try:
        provider, rest = split_source(text)
    except ValueError:
        return None
    return _parse(rest, text) if provider == "huggingface" else None


def _parse(rest: str, text: str) -> HubReference:
    rest, *after = re.split("[?#]", rest)
    parts = [unquote(part) for part in rest.strip("/").split("/")]
    if parts[0] in ("datasets", "spaces", "api"):
        raise UsageError(f'"{text}" is no model: it is one of the {parts[0]} of the hub')
    if parts[0] == "models":
        parts = parts[1:]
    if len(parts) > 3 and parts[2] in _PAGES:
        revision, inside = parts[3], "/".join(parts[4:])
        repo = _repo("/".join(parts[:2]), text)
        found = HubReference(repo, revision=None if revision == "main" else revision)
        if parts[2] != "tree":
            return found._replace(file=inside or None)
        return found._replace(tag=inside or None)  # what lies in that folder
    if shown := parse_qs(after[0] if after else "").get("show_file_info"):
        return HubReference(_repo("/".join(parts[:2]), text), file=shown[0])
    rest, at, revision = "/".join(parts).partition("@")
    name, colon, tag = rest.partition(":")
    parts = name.split("/")
    file = "/".join(parts[2:]) or None
    if (colon and not tag) or (at and not revision) or (file and tag):
        raise _unreadable(text)
    tag = "" if tag.lower() == "latest" else tag
    return HubReference(_repo("/".join(parts[:2]), text), tag or None, file, revision or None)


def _repo(name: str, text: str) -> str:
    if not re.fullmatch(rf"{_PART}(/{_PART})?", name):
        raise _unreadable(text)
    return name


def _unreadable(text: str) -> UsageError:
    return UsageError(
        f'"{text}" cannot be read as a model of the hub',
        "owner/repo, owner/repo:QUANTIZATION, hf:owner/repo/file.gguf; each may end with @REVISION",
    )
