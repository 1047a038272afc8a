"""The hub: the only part that uses ``huggingface_hub``.

``client`` sets it up and translates its errors, ``listing`` says what there is, ``ranges`` reads
headers of files without fetching them. ``downloads`` gets several files at once; ``transfer`` gets
one, through a ``partial`` file, into one of the ``places``, which are laid out as the client does
it.
"""

from llmrr.hub.client import address, is_offline
from llmrr.hub.downloads import WORKERS, download, missing_bytes, present
from llmrr.hub.listing import Found, RemoteFile, Repository, repository, search
from llmrr.hub.partial import Stopped
from llmrr.hub.places import CachePlace, FolderPlace, Place
from llmrr.hub.ranges import RemoteFiles

__all__ = [
    "WORKERS", "CachePlace", "FolderPlace", "Found", "Place", "RemoteFile",
    "RemoteFiles", "Repository", "Stopped", "address", "download", "is_offline",
    "missing_bytes", "present", "repository", "search",
]  # fmt: skip
