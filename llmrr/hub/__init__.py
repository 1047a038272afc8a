"""The hub: the only part that uses ``huggingface_hub``.

``client`` sets it up and translates its errors, ``listing`` says what there is, ``ranges`` reads
headers of files without fetching them. ``downloads`` gets several files at once; ``transfer`` gets
one, through a ``partial`` file, into one of the ``places``, which are laid out as the client does
it.
"""

from llmrr.hub.client import endpoint, is_offline
from llmrr.hub.downloads import WORKERS, download, missing_bytes, require_space
from llmrr.hub.listing import Found, RemoteFile, Repository, nearest, repository, search
from llmrr.hub.places import CachePlace, FolderPlace, Place, free_bytes
from llmrr.hub.ranges import RangeSource, RemoteFiles
from llmrr.hub.transfer import Checked

__all__ = [
    "WORKERS", "CachePlace", "Checked", "FolderPlace", "Found", "Place", "RangeSource",
    "RemoteFile", "RemoteFiles", "Repository", "download", "endpoint", "free_bytes", "is_offline",
    "missing_bytes", "nearest", "repository", "require_space", "search",
]  # fmt: skip
