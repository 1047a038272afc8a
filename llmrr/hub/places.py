"""Where a downloaded file belongs, laid out as the client does it, so that what either of them got
the other one finds.

The cache (https://huggingface.co/docs/huggingface_hub/guides/manage-cache): content by its ETag in
``blobs/``, links to it by path in ``snapshots/COMMIT/``, the commit of a branch in ``refs/``. A
folder of the user's: the files by path, with notes about them in ``.cache/huggingface/``.
"""

import os
import secrets
import shutil
from pathlib import Path
from typing import Any, Protocol

from llmrr.hub.listing import Repository


class Place(Protocol):
    """Where the files of one repository go. ``etag`` names a file's content."""

    def target(self, name: str) -> Path:
        """Where the file is when it is complete, as whoever reads it names it."""

    def content(self, name: str, etag: str) -> Path:
        """Where its bytes lie then."""

    def partial(self, name: str, etag: str) -> Path:
        """Where they are gathered. Only for the holder of the lock."""

    def lock(self, name: str, etag: str) -> Path:
        """The file whose lock the client takes to get this content."""

    def by_client(self) -> dict[str, Path]:
        """Where the client is told to put it, as it calls that."""

    def finish(self, name: str, etag: str) -> Path:
        """Its bytes are complete and checked: make ``target`` show them. Not under the lock, which
        the client takes for its notes."""

    def complete(self) -> None:
        """All files are there."""


class CachePlace:
    """The cache that the client and its tools share."""

    def __init__(self, root: Path, repository: Repository) -> None:
        folder = "--".join(["models", *repository.id.split("/")])
        self.folder = root / folder
        self.snapshot = self.folder / "snapshots" / repository.commit
        self._locks = root / ".locks" / folder
        self._repository = repository

    def target(self, name: str) -> Path:
        return self.snapshot.joinpath(*name.split("/"))

    def content(self, name: str, etag: str) -> Path:
        return self.folder / "blobs" / etag

    def partial(self, name: str, etag: str) -> Path:
        return self.folder / "blobs" / f"{etag}.incomplete"

    def lock(self, name: str, etag: str) -> Path:
        return self._locks / f"{etag}.lock"

    def by_client(self) -> dict[str, Path]:
        return {"cache_dir": self.folder.parent}

    def finish(self, name: str, etag: str) -> Path:
        content, target = self.content(name, etag), self.target(name)
        if target.exists():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            new.symlink_to(os.path.relpath(content, target.parent))
            new.replace(target)
        except OSError:  # a file system without links: the file itself lies in the snapshot
            content.replace(target)
        return target

    def complete(self) -> None:
        """Note the commit as the client does: what the branch pointed to when it was asked for."""
        revision, commit = self._repository.revision, self._repository.commit
        if revision != commit:
            ref = self.folder.joinpath("refs", *revision.split("/"))
            ref.parent.mkdir(parents=True, exist_ok=True)
            new = ref.with_name(f".{ref.name}.{secrets.token_hex(4)}")
            new.write_text(commit)
            new.replace(ref)


class FolderPlace:
    """A folder of the user's (``--local-dir``)."""

    def __init__(self, root: Path, repository: Repository) -> None:
        self.root, self._repository = root, repository

    def target(self, name: str) -> Path:
        return self.root.joinpath(*name.split("/"))

    def content(self, name: str, etag: str) -> Path:
        return self.target(name)

    def partial(self, name: str, etag: str) -> Path:
        found: Path = self._paths(name).incomplete_path(etag)
        return found

    def lock(self, name: str, etag: str) -> Path:
        return Path(self._paths(name).lock_path)

    def by_client(self) -> dict[str, Path]:
        return {"local_dir": self.root}

    def finish(self, name: str, etag: str) -> Path:
        from huggingface_hub._local_folder import write_download_metadata

        write_download_metadata(self.root, name, self._repository.commit, etag)
        return self.target(name)

    def complete(self) -> None:
        pass

    def _paths(self, name: str) -> Any:
        from huggingface_hub._local_folder import get_local_download_paths

        return get_local_download_paths(self.root, name)


def free_bytes(path: Path) -> int:
    """Room on the disk where ``path`` is or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
