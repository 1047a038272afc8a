"""LocalAI's models folder: YAML files that describe models, and the files that they name.

The fields are those of ``core/config/model_config.go`` of https://github.com/mudler/LocalAI. Its
files may hold keys: what is not named below is never looked at, and no text of a file is repeated.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from llmrr.errors import DamagedFile, LlmrrError
from llmrr.modelfile.stated import read_stated, stated_in
from llmrr.store.holders.base import (
    Holding,
    checked,
    existing,
    is_folder,
    listed,
    of_folder,
    of_ggufs,
    own_files,
    small_file,
    tree,
)
from llmrr.store.variants import gguf_variants, stem
from llmrr.types import Recipe

LARGEST = 100_000  # bytes of a YAML file
# More of them could unfold into more than there is memory.
MOST_ALIASES = 30
DEEPEST = 50

# Beside those with llama in their names. Some take the id of a repository, which lies elsewhere.
_BY_REPOSITORY = {"vllm", "transformers", "mlx", "sglang", "exllama", "exllama2"}
_BACKENDS = {"", "gguf", *_BY_REPOSITORY}
_SAMPLING = (
    "temperature", "top_p", "top_k", "min_p", "typical_p", "max_tokens", "seed", "repeat_penalty",
    "frequency_penalty", "presence_penalty",
)  # fmt: skip
_BESIDE = {
    "context_size": "context_size",
    "threads": "threads",
    "gpu_layers": "gpu_layers",
    "mmap": "mmap",
    "mmlock": "mlock",
    "flash_attention": "flash_attention",
    "cache_type_k": "kv_type",
    "stopwords": "stop",
}
Table = Mapping[str, object]


def roots() -> tuple[Path, ...]:
    """$LOCALAI_MODELS_PATH, $MODELS_PATH, the launcher's folder and the installer's."""
    stated = [os.environ.get(name) for name in ("LOCALAI_MODELS_PATH", "MODELS_PATH")]
    return existing(
        *(Path(place) for place in stated if place),
        Path.home() / ".localai" / "models",
        Path("/usr/share/local-ai/models"),
    )


def holdings(root: Path) -> Iterator[Holding]:
    """What its YAML files describe, and the GGUF models that none of them names."""
    sizes = listed(root).sizes
    named: set[Path] = set()
    for file in (root / name for name in sizes if name.lower().endswith((".yaml", ".yml"))):
        try:
            tables = _tables(file)
        except LlmrrError as exc:
            yield Holding("localai", file.stem, f"file:{file}", file, problem=exc.message)
            continue
        for table in tables:
            named |= {path for path in [_lookup(root, _stated(table))] if path}
            if holding := _model(root, file, table):
                named.update(holding.files)
                yield holding
    loose = {name: size for name, size in sizes.items() if root / name not in named}
    yield from of_ggufs(
        "localai", root, loose, lambda one: (stem(one.files[0]), f"file:{root / one.files[0]}")
    )


def _tables(file: Path) -> list[Table]:
    """A file describes one model, or a list of them."""
    content = _yaml(file)
    tables = content if isinstance(content, list) else [content]
    return [table for table in tables if isinstance(table, dict)]


def _stated(table: Table) -> str:
    """The file of the model, as it is written; empty where none is."""
    parameters = table.get("parameters")
    return _text(parameters, "model") if isinstance(parameters, dict) else ""


def _yaml(file: Path) -> object:
    import yaml

    raw = small_file(file, LARGEST)
    try:
        _check(file, yaml.parse(raw, Loader=yaml.SafeLoader))
        content = yaml.safe_load(raw)
        json.dumps(content, ensure_ascii=False, default=str).encode()  # no rings, no half letters
    except yaml.MarkedYAMLError as exc:
        line = f", line {exc.problem_mark.line + 1}" if exc.problem_mark else ""
        raise DamagedFile(f"{file}{line}, is not YAML") from exc
    except (
        yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
        RecursionError,
    ) as exc:  # fmt: skip
        raise DamagedFile(f"{file} is not YAML that can be read") from exc
    return content


def _check(file: Path, events: Iterable[Any]) -> None:
    """Raise ``DamagedFile`` for a file that unfolds into too much, or takes too long to load."""
    import yaml

    aliases = depth = 0
    for event in events:
        aliases += isinstance(event, yaml.AliasEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if aliases > MOST_ALIASES or depth > DEEPEST:
            raise DamagedFile(f"{file} is YAML with too many aliases or levels")


def _model(root: Path, file: Path, table: Table) -> Holding | None:
    """None for what is no text model of this folder: another backend, a proxy, another YAML."""
    model, backend = _stated(table), _text(table, "backend").lower()
    if not model or ("llama" not in backend and backend not in _BACKENDS):
        return None
    path = _lookup(root, model)
    if path is None and backend in _BY_REPOSITORY:
        return None
    name = _text(table, "name")
    found = Holding(
        holder="localai",
        name=name if name.isprintable() and name.strip() else stem(model),
        source=f"file:{path or file}",
        path=path or file,
        problem=None if path else _why_not(root, model),
    )
    return _around(_weights(found) if path else found, root, file, table)


def _weights(found: Holding) -> Holding:
    """With the files of the model that lies at its path."""
    path = found.path
    if is_folder(path):
        sizes = own_files(tree(path, links=True))
        whole = of_folder("localai", path, sizes, found.name, found.source)
        return whole or replace(found, problem=f"{path.name} holds no model")
    sizes = dict(listed(path.parent).sizes)
    variants = gguf_variants({name: size or 0 for name, size in sizes.items()})
    parts = next((one.files for one in variants if path.name in one.files), ())
    group = {name: sizes[name] for name in parts}
    for split in of_ggufs("localai", path.parent, group, lambda _: (found.name, found.source)):
        return replace(split, source=f"file:{split.path}")
    return checked(replace(found, files=(path,), bytes=sizes[path.name] or 0))


def _around(found: Holding, root: Path, file: Path, table: Table) -> Holding:
    """With prompt, parameters, adapters and image encoder."""
    parameters: Any = table["parameters"]
    stated = {name: parameters[name] for name in _SAMPLING if name in parameters}
    stated |= {ours: table[theirs] for theirs, ours in _BESIDE.items() if theirs in table}
    params, options, warnings = read_stated(stated_in(stated, str(file)), set(stated))
    adapters, absent = _adapters(root, table)
    if adapters:
        options["lora"] = adapters
    image = _lookup(root, _text(table, "mmproj"))
    more = [*([image] if image else []), *(path for path, _scale in adapters)]
    template = table.get("template")
    if isinstance(template, dict) and set(template) - {"use_tokenizer_template"}:
        absent.append("its Go templates are not used: the model's own chat template is")
    system = _text(table, "system_prompt")
    return replace(
        found,
        files=(*found.files, *more),
        bytes=found.bytes + sum(_size(path) or 0 for path in more),
        recipe=Recipe(system if system.strip() else None, params, options),
        warnings=(*warnings, *(f"{said} ({file})" for said in absent)),
    )


def _adapters(root: Path, table: Table) -> tuple[tuple[tuple[Path, float], ...], list[str]]:
    """The adapters that are here with their scales, and what to say of the others."""
    many, scales = table.get("lora_adapters"), table.get("lora_scales")
    pairs = [(table.get("lora_adapter"), table.get("lora_scale"))]
    if isinstance(many, list):
        pairs += zip_longest(many, (scales if isinstance(scales, list) else [])[: len(many)])
    found, absent = [], []
    for name, scale in pairs:
        path = _lookup(root, name) if isinstance(name, str) else None
        if path:
            usable = type(scale) in (int, float) and scale
            found.append((path, float(scale) if usable else 1.0))  # type: ignore[arg-type]
        elif name:
            absent.append("an adapter that it names is not in the models folder")
    return tuple(found), absent


def _text(table: Table, key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _names(stated: str) -> tuple[str, ...]:
    """What a file is called here: for an address its last part or, as it once was, its MD5."""
    if "://" not in stated:
        return (stated,)
    last = stated.rpartition("/")[2].partition("@")[0]
    return last, hashlib.md5(stated.encode(), usedforsecurity=False).hexdigest()


def _within(root: Path, name: str) -> Path | None:
    """The path of a name; None for one that leads out of the folder."""
    path = Path(os.path.normpath(root / name))
    top = Path(os.path.normpath(root))
    return path if path != top and path.is_relative_to(top) else None


def _lookup(root: Path, stated: str) -> Path | None:
    """The file or folder in ``root`` that is meant, if it is there."""
    paths = [path for name in _names(stated) if name and (path := _within(root, name))]
    return next((path for path in paths if is_folder(path) or _size(path) is not None), None)


def _why_not(root: Path, model: str) -> str:
    name = _names(model)[0]
    if _within(root, name) is None:
        return "its file lies outside of the models folder"
    return f"{Path(name).name} is not in the models folder"


def _size(path: Path) -> int | None:
    return listed(path.parent).sizes.get(path.name)
