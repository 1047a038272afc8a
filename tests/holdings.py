"""What other tools leave on a disk, as they lay it out: tiny real GGUF files and folders."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builders import gguf_file

MEDIA = "application/vnd.ollama.image."
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def model_bytes(folder: Path, name: str = "tiny") -> bytes:
    """A GGUF file that says no more than its name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = gguf_file(folder / ".made.gguf", metadata={"general.name": name})
    raw = path.read_bytes()
    path.unlink()
    return raw


def model_file(path: Path, name: str = "tiny") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model_bytes(path.parent, name))
    return path


class OllamaStore:
    """Ollama's models folder. ``add`` takes layers by kind, bytes or text, and writes what Ollama
    would."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "manifests").mkdir(parents=True)
        (root / "blobs").mkdir()

    def blob(self, content: bytes | str, separator: str = "-") -> str:
        raw = content.encode() if isinstance(content, str) else content
        digest = hashlib.sha256(raw).hexdigest()
        (self.root / "blobs" / f"sha256{separator}{digest}").write_bytes(raw)
        return digest

    def layer(self, kind: str, content: bytes | str, separator: str = "-") -> dict[str, Any]:
        digest = self.blob(content, separator)
        size = len(content.encode() if isinstance(content, str) else content)
        return {"mediaType": MEDIA + kind, "digest": f"sha256:{digest}", "size": size}

    def add(
        self,
        name: str = "registry.ollama.ai/library/llama3.2/latest",
        layers: Sequence[tuple[str, bytes | str]] = (),
        config: Mapping[str, Any] | None = None,
        separator: str = "-",
    ) -> Path:
        raw = json.dumps(config or {"model_format": "gguf"})
        manifest = {
            "schemaVersion": 2,
            "config": self.layer("config", raw, separator),
            "layers": [self.layer(kind, content, separator) for kind, content in layers],
        }
        return self.manifest(name, json.dumps(manifest).encode())

    def manifest(self, name: str, raw: bytes) -> Path:
        path = self.root / "manifests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        return path


class HubCache:
    """The cache of the hub. ``add`` lays one file of a commit down as its client does: the content
    in blobs/, a link to it in snapshots/."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, repo: str) -> Path:
        return self.root / f"models--{repo.replace('/', '--')}"

    def add(
        self,
        repo: str,
        name: str,
        content: bytes,
        *,
        commit: str = COMMIT,
        main: bool = True,
        links: bool = True,
    ) -> Path:
        folder = self.folder(repo)
        path = folder / "snapshots" / commit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if main:
            (folder / "refs").mkdir(exist_ok=True)
            (folder / "refs" / "main").write_text(commit)
        if not links:
            path.write_bytes(content)
            return path
        blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(content)
        up = "/".join([".."] * (len(Path(name).parts) + 1))
        path.symlink_to(f"{up}/blobs/{blob.name}")
        return path


def safetensors_bytes(metadata: Mapping[str, str] | None = None) -> bytes:
    """One tensor of one number."""
    header: dict[str, Any] = {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    if metadata:
        header["__metadata__"] = dict(metadata)
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + bytes(4)


def safetensors_folder(path: Path, *, mlx: bool = False, shards: Sequence[str] = ()) -> Path:
    """A folder as Transformers or MLX writes it."""
    path.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    if mlx:
        config["quantization"] = {"group_size": 64, "bits": 4}
    (path / "config.json").write_text(json.dumps(config))
    (path / "tokenizer.json").write_text("{}")
    for name in shards or ("model.safetensors",):
        (path / name).write_bytes(safetensors_bytes())
    return path
