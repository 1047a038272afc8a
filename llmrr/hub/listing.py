"""What the hub has: the files of a repository, and repositories by words."""

import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from llmrr.errors import DamagedFile, LlmrrError, NotFound, UsageError
from llmrr.hub.client import api, errors, patiently, reach

MAX_FILES = 20_000
SHOWN: Any = ("downloads", "likes", "lastModified", "gated", "tags", "gguf", "safetensors")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository. ``sha256`` is known of large ones (Git LFS)."""

    path: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit; ``revision`` is what was asked for (a branch, a tag, …), and
    ``license`` what its model card states (mit, llama3.2, other, …)."""

    id: str
    revision: str
    commit: str
    files: tuple[RemoteFile, ...]
    license: str | None = None

    @property
    def sizes(self) -> Mapping[str, int]:
        """Path: bytes."""
        return {file.path: file.size for file in self.files}


@dataclass(frozen=True, slots=True)
class Found:
    """A line of ``search``. ``parameters`` where the hub has read them off the files."""

    id: str
    downloads: int | None
    likes: int | None
    updated: str | None
    gated: bool
    parameters: int | None
    tags: tuple[str, ...]


def repository(name: str, revision: str | None = None, token: str | None = None) -> Repository:
    """List ``owner/repo``. Raises ``NotFound`` with the nearest name or revision that exists,
    ``Unreachable`` where the network or a key is missing."""
    wanted = revision or "main"
    if not _is_inside(wanted):
        raise UsageError(f'"{wanted}" cannot be a revision', "a branch, a tag or a commit")
    client = api(token)
    what = name if revision is None else f"{name}@{revision}"
    try:
        with errors(what):
            facts = patiently(
                lambda: client.model_info(name, revision=wanted, files_metadata=True)
            )
            commit = _folder_name(facts.sha or wanted, name)
            files = _siblings(facts) or patiently(lambda: _tree(client, name, commit))
    except NotFound as error:
        error.hint = _nearer(client, name, wanted, error) or error.hint
        raise
    return Repository(
        id=name,
        revision=wanted,
        commit=commit,
        files=tuple(file for file in files if _is_inside(file.path)),
        license=_license(facts),
    )


def _license(facts: Any) -> str | None:
    """The hub makes a tag of what a model card states."""
    tags = (str(tag) for tag in facts.tags or ())
    return next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), None)


def search(text: str, *, formats: tuple[str, ...] = (), limit: int = 20,
           token: str | None = None) -> list[Found]:  # fmt: skip
    """Repositories whose name has these words, the most downloaded first. ``formats`` are tags
    (gguf, mlx, onnx, safetensors) of which a repository needs one."""
    client = api(token)
    found: dict[str, Found] = {}
    with errors(f'a search for "{text}"'):
        reach()
        for tag in formats or (None,):
            models = client.list_models(
                search=text, filter=tag, sort="downloads", limit=limit, expand=[*SHOWN]
            )
            found |= {model.id: _found(model) for model in models}
    ranked = sorted(found.values(), key=lambda one: (-(one.downloads or 0), one.id))
    return ranked[:limit]


def _nearer(client: Any, name: str, revision: str, error: LlmrrError) -> str | None:
    """A better hint for what was not found; None where nothing is near. Of a revision the message
    tells what there is."""
    with suppress(Exception):  # it is only a hint
        if "revision" not in error.message:
            near = _nearest(client, name)
            return f"llmrr pull {near}" if near else None
        refs = client.list_repo_refs(name)
        known = [ref.name for ref in (*refs.branches, *refs.tags)]
        if known:
            from difflib import get_close_matches

            near = (get_close_matches(revision, known, n=1, cutoff=0.5) or known)[0]
            error.message += f"; it has: {', '.join(known[:10])}"
            return f"llmrr pull {shlex.quote(f'{name}@{near}')}"
    return None


def _nearest(client: Any, name: str) -> str | None:
    """The repository that was probably meant by ``owner/repo``: with a name like it, or with the
    same name of another owner."""
    from difflib import get_close_matches

    owner, _, own = name.rpartition("/")
    by_owner = [one.id for one in client.list_models(author=owner, limit=200)] if owner else []
    by_name = [one.id for one in client.list_models(search=own, sort="downloads", limit=20)]
    ids = {one.lower(): one for one in by_owner + by_name if one != name}
    close = get_close_matches(name.lower(), ids, n=1, cutoff=0.8)
    same = [one for one in ids if one.rpartition("/")[2] == own.lower()]
    return next((ids[one] for one in (*close, *same)), None)


def _folder_name(commit: str, name: str) -> str:
    """A commit becomes the name of a folder. Raises ``DamagedFile``."""
    if not re.fullmatch(r"\w[\w.-]*", commit, re.ASCII):
        raise DamagedFile(f"the hub gives {name} a commit that is none: {commit!r}")
    return commit


def _siblings(facts: Any) -> tuple[RemoteFile, ...]:
    """The files with their sizes; nothing where the server does not say them (some mirrors)."""
    siblings = list(facts.siblings or ())
    if any(one.size is None for one in siblings):
        return ()
    return tuple(_file(one.rfilename, one.size, one.lfs) for one in siblings)


def _tree(client: Any, name: str, commit: str) -> tuple[RemoteFile, ...]:
    tree = client.list_repo_tree(name, recursive=True, revision=commit)
    entries = (entry for entry, _ in zip(tree, range(MAX_FILES), strict=False))
    return tuple(
        _file(one.path, one.size, one.lfs) for one in entries if hasattr(one, "blob_id")
    )


def _file(path: str, size: int, lfs: Any) -> RemoteFile:
    if lfs is None:
        return RemoteFile(path, int(size))
    return RemoteFile(path, int(lfs.size or size), lfs.sha256)


def _is_inside(path: str) -> bool:
    """A path that stays in its folder, on any system: what a hostile listing names is left out."""
    parts = path.split("/")
    strange = {"", ".", ".."} & set(parts) or "\\" in path or ":" in parts[0] or "\0" in path
    return bool(path) and not strange


def _found(model: Any) -> Found:
    updated: datetime | None = model.last_modified
    safetensors, gguf = getattr(model, "safetensors", None), getattr(model, "gguf", None)
    parameters = getattr(safetensors, "total", None)
    if isinstance(gguf, Mapping):
        parameters = gguf.get("total", parameters)
    return Found(
        id=model.id,
        downloads=model.downloads,
        likes=model.likes,
        updated=updated.date().isoformat() if updated else None,
        gated=bool(model.gated),
        parameters=parameters,
        tags=tuple(model.tags or ()),
    )
