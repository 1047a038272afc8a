"""Ollama's store: manifests by name, and blobs by digest that the manifests share.

``manifests/HOST/NAMESPACE/MODEL/TAG`` is a Docker manifest whose layers name ``blobs/sha256-HEX``:
the GGUF file itself, and the prompt, parameters and messages around it. Read off ``server/`` and
``types/model/name.go`` of https://github.com/ollama/ollama.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from llmrr.errors import DamagedFile, LlmrrError, NotFound, nearest
from llmrr.modelfile.commands import ROLES
from llmrr.modelfile.stated import json_value, read_params
from llmrr.store.holders.base import (
    Holding,
    checked,
    descend,
    existing,
    is_folder,
    json_object,
    small_file,
    walk,
)
from llmrr.types import Message, Recipe

HOST, NAMESPACE, TAG = "registry.ollama.ai", "library", "latest"
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_KIND = "application/vnd.ollama.image."
_WEIGHTS = ("model", "projector", "adapter")


def roots() -> tuple[Path, ...]:
    """$OLLAMA_MODELS, the user's own store, and those of services: the installer's, the
    distributions', the snap's."""
    stated = os.environ.get("OLLAMA_MODELS", "").strip(" \"'")
    places = existing(
        *([Path(stated)] if stated else []),
        Path.home() / ".ollama" / "models",
        Path("/usr/share/ollama/.ollama/models"),
        Path("/var/lib/ollama/.ollama/models"),
        Path("/var/lib/ollama/models"),
        Path("/var/lib/ollama"),
        Path("/var/snap/ollama/common/models"),
    )
    return tuple(place for place in places if is_folder(place / "manifests"))


def holdings(root: Path) -> Iterator[Holding]:
    """The models of a store. Its Go templates are passed over: a GGUF file has its own."""
    if is_folder(root / "models" / "manifests"):
        root = root / "models"
    store = _Store(root)
    for manifest in _manifests(root):
        yield store.holding(manifest)


class Stored(NamedTuple):
    """A model of a store with what stands around it: the small layers by the ends of their media
    types (``template``, ``system``, ``params``), and ``config``; unreadable ones are left out.
    ``weights`` is the path of its blob from the root; ``kinds`` are those of all layers."""

    holding: Holding
    texts: Mapping[str, bytes]
    weights: Path | None
    kinds: frozenset[str]


def stored(root: Path) -> Iterator[Stored]:
    """The models of a store as they lie there, with the layers that ``holdings`` passes over."""
    store = _Store(root)
    for manifest in _manifests(root):
        held = store.holding(manifest)
        texts, kinds = store.texts(manifest)
        blob = held.path.relative_to(root) if held.path != manifest else None
        yield Stored(held, texts, blob, kinds)


def find(name: str) -> Holding:
    """The model NAME[:TAG], in capitals or not, straight from its manifest. Raises ``NotFound``
    with the nearest name."""
    for root in roots():
        if manifest := _manifest(root, name):
            return _Store(root).holding(manifest)
    manifests = [(one, root) for root in roots() for one in _manifests(root)]
    near = nearest(name, [_name(one, root).removesuffix(f":{TAG}") for one, root in manifests])
    raise NotFound(
        f'Ollama has no model "{name}" on this disk',
        f"did you mean ollama:{near}?" if near else "ollama list shows those that it has",
    )


class _Layer(NamedTuple):
    """``kind`` is the end of its media type; ``digest`` is in hex."""

    kind: str
    digest: str
    size: object


@dataclass(frozen=True, slots=True)
class _Store:
    """``seen`` keeps what each blob was found to be: many models share one."""

    root: Path
    seen: dict[Path, Holding] = field(default_factory=dict)

    def holding(self, manifest: Path) -> Holding:
        name = _name(manifest, self.root)
        found = Holding("ollama", name, f"ollama:{name}", manifest)
        try:
            table = json_object(manifest)
            layers = _layers(table, manifest)
            weights = [layer for kind in _WEIGHTS for layer in layers if layer.kind == kind]
            if not weights or weights[0].kind != "model":
                return replace(found, problem=self._without_weights(table, layers))
            return self._around(self._files(found, weights), layers, weights)
        except LlmrrError as exc:
            return replace(found, problem=exc.message)

    def texts(self, manifest: Path) -> tuple[dict[str, bytes], frozenset[str]]:
        """The small layers by their kinds, and the kinds of all."""
        found: dict[str, bytes] = {}
        try:
            table = json_object(manifest)
            layers = _layers(table, manifest)
        except LlmrrError:
            return {}, frozenset()
        config = _layer(table.get("config"), "config")
        for layer in [*layers, *([config] if config else [])]:
            if layer.kind not in (*_WEIGHTS, "draft", "tensor", "json", "license"):
                with suppress(LlmrrError):
                    found[layer.kind] = small_file(self._blob(layer)[0])
        return found, frozenset(layer.kind for layer in layers)

    def _files(self, found: Holding, weights: list[_Layer]) -> Holding:
        sizes = dict(self._blob(layer) for layer in weights)
        paths = tuple(sizes)
        if paths[0] not in self.seen:
            self.seen[paths[0]] = checked(replace(found, path=paths[0]))
        return replace(
            found,
            path=paths[0],
            files=paths,
            bytes=sum(sizes.values()),
            digest=weights[0].digest,
            format=self.seen[paths[0]].format,
            problem=self.seen[paths[0]].problem,
        )

    def _blob(self, layer: _Layer) -> tuple[Path, int]:
        """The blob of a layer and its size; old versions wrote the digest with a colon."""
        for name in (f"sha256-{layer.digest}", f"sha256:{layer.digest}"):
            path = self.root / "blobs" / name
            try:
                size = path.stat().st_size
            except OSError:
                continue
            if isinstance(layer.size, int) and size < layer.size:
                raise DamagedFile(f"{path} is incomplete: {size:,} of {layer.size:,} bytes")
            return path, size
        raise NotFound(f"its {layer.kind}, the blob sha256-{layer.digest[:12]}…, is missing")

    def _without_weights(self, table: Mapping[str, object], layers: Iterable[_Layer]) -> str:
        if any(layer.kind in ("tensor", "json") for layer in layers):
            return "it is kept as single tensors, which only Ollama reads"
        config = _layer(table.get("config"), "config")
        if config and json_object(self._blob(config)[0]).get("remote_model"):
            return "it runs in Ollama's cloud: its weights are not on this disk"
        return "its manifest names no model"

    def _around(self, found: Holding, layers: Iterable[_Layer], weights: list[_Layer]) -> Holding:
        """With what stands around the weights; what of that cannot be read is a warning."""
        recipe, warnings = Recipe(), list[str]()
        for layer in layers:
            if read := _READERS.get(layer.kind):
                try:
                    recipe, more = read(recipe, small_file(self._blob(layer)[0]), found.source)
                except LlmrrError as exc:
                    more = (exc.message,)
                warnings += more
        kinds = [layer.kind for layer in weights]
        adapters = [path for path, kind in zip(found.files, kinds, strict=True)
                    if kind == "adapter"]  # fmt: skip
        if adapters:
            lora = tuple((path, 1.0) for path in adapters)
            recipe = replace(recipe, options={**recipe.options, "lora": lora})
        return replace(found, recipe=recipe, warnings=tuple(warnings))


Read = tuple[Recipe, tuple[str, ...]]


def _system(recipe: Recipe, raw: bytes, _where: str) -> Read:
    text = raw.decode(errors="replace")
    return replace(recipe, system=text if text.strip() else None), ()


def _license(recipe: Recipe, raw: bytes, _where: str) -> Read:
    texts = (recipe.license, raw.decode(errors="replace").strip())
    return replace(recipe, license="\n\n".join(filter(None, texts)) or None), ()


def _params(recipe: Recipe, raw: bytes, where: str) -> Read:
    params, options, warnings = read_params(raw, where)
    return replace(recipe, params=params, options=options), warnings


def _messages(recipe: Recipe, raw: bytes, where: str) -> Read:
    """A JSON list of {role, content}."""
    try:
        turns: Any = json_value(raw)
        messages = tuple(Message(one["role"], one["content"]) for one in turns)
    except (TypeError, KeyError):
        return recipe, (f"its messages cannot be read ({where})",)
    if not all(one.role in ROLES and isinstance(one.content, str) for one in messages):
        return recipe, (f"its messages are not all of {', '.join(ROLES)} ({where})",)
    return replace(recipe, messages=messages), ()


_READERS = {
    "system": _system, "params": _params, "messages": _messages, "license": _license
}  # fmt: skip


def _layers(table: Mapping[str, object], manifest: Path) -> list[_Layer]:
    stated = table.get("layers") or []
    layers = [_layer(one) for one in stated] if isinstance(stated, list) else [None]
    if None in layers:
        raise DamagedFile(f"{manifest} is no manifest: it has layers without a sha256 digest")
    return [layer for layer in layers if layer is not None]


def _layer(stated: object, kind: str = "") -> _Layer | None:
    """None where the digest is not one: it becomes a part of a path."""
    if not isinstance(stated, dict):
        return None
    match = _DIGEST.fullmatch(str(stated.get("digest")))
    kind = kind or str(stated.get("mediaType")).removeprefix(_KIND)
    return _Layer(kind, match[1], stated.get("size")) if match else None


def _manifests(root: Path) -> Iterator[Path]:
    for folder in walk(root / "manifests", links=True):
        depth = len(folder.path.relative_to(root).parts)
        if depth >= 4:  # manifests, host, namespace, model
            yield from (folder.path / name for name in folder.sizes)


def _name(manifest: Path, root: Path) -> str:
    """As Ollama prints it, with its tag."""
    *parts, tag = manifest.relative_to(root / "manifests").parts
    if parts[0] == HOST:
        parts = parts[2:] if parts[1] == NAMESPACE else parts[1:]
    return f"{'/'.join(parts)}:{tag}"


def _manifest(root: Path, name: str) -> Path | None:
    """The manifest of a name, if there is one."""
    space, _, last = name.rpartition("/")
    model, _, tag = last.partition(":")
    spaces = space.split("/") if space else [NAMESPACE]
    parts = (*([HOST] if len(spaces) == 1 else []), *spaces, model, tag or TAG)
    if not all(_PART.fullmatch(part) for part in parts):
        return None
    path = descend(root / "manifests", parts)
    return None if path is None or is_folder(path) else path
