"""Where a downloaded file belongs, laid out as the client does it, so that what either of them got
the other one finds.

The cache (https://huggingface.co/docs/huggingface_hub/guides/manage-cache): content by its ETag in
``blobs/``, links to it by path in ``snapshots/COMMIT/``, the commit of a branch in ``refs/``. A
folder of the user's: the files by path, with notes about them in ``.cache/huggingface/``.
"""

import os
import secrets
from pathlib import Path
from typing import Any, Protocol

from llmrr import paths
from llmrr.errors import LlmrrError
from llmrr.hub.listing import Repository


class Made(Protocol):
    """Is told of what is written, from any thread. The statuses are those of ``lstat``."""

    def partial(self, path: Path, status: os.stat_result) -> None:
        """A file that grows."""

    def file(self, path: Path, status: os.stat_result, was: Path | None = None) -> None:
        """A file or link gets its final name now, in the place of a partial one, or has just got it
        from the client."""


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

    def guard(self, name: str) -> None:
        """Raise ``LlmrrError`` where writing the file would overwrite one of the user's. Not under
        the lock."""

    def finish(self, name: str, etag: str, made: Made) -> Path:
        """Its bytes are complete and checked: make ``target`` show them. Not under the lock, which
        the client takes for its notes."""

    def complete(self) -> None:
        """All files are there."""


class CachePlace:
    """The cache that the client and its tools share."""

    def __init__(self, root: Path, repository: Repository) -> None:
        self.folder = paths.hub_folder(root, repository.id)
        self.snapshot = self.folder / "snapshots" / repository.commit
        self._locks = root / ".locks" / self.folder.name
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

    def guard(self, name: str) -> None:
        pass

    def finish(self, name: str, etag: str, made: Made) -> Path:
        content, target = self.content(name, etag), self.target(name)
        if target.exists():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            new.symlink_to(os.path.relpath(content, target.parent))
        except OSError:  # a file system without links: the file itself lies in the snapshot
            made.file(target, content.lstat(), content)
            content.replace(target)
        else:
            made.file(target, new.lstat())
            new.replace(target)
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

    def guard(self, name: str) -> None:
        from huggingface_hub._local_folder import read_download_metadata

        target = self.target(name)
        # The client's note about a file does not count once the file was changed.
        if os.path.lexists(target) and read_download_metadata(self.root, name) is None:
            raise LlmrrError(
                f"{target} is there already, and is another file than the hub has",
                "move it away, or take another --local-dir",
            )

    def finish(self, name: str, etag: str, made: Made) -> Path:
        from huggingface_hub._local_folder import write_download_metadata

        write_download_metadata(self.root, name, self._repository.commit, etag)
        return self.target(name)

    def complete(self) -> None:
        pass

    def _paths(self, name: str) -> Any:
        from huggingface_hub._local_folder import get_local_download_paths

        return get_local_download_paths(self.root, name)
