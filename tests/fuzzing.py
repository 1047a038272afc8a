"""What a scan makes of any bytes, as one text, for the tests that feed it what nobody writes."""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from planted import KEYS

from llmrr.errors import DamagedFile, LlmrrError
from llmrr.migrate import planning, readers
from llmrr.migrate.artefact import Artefact
from llmrr.migrate.assessing import dependencies, system
from llmrr.migrate.documents import Document
from llmrr.migrate.parsing.sniffing import is_minified, language, may_mention_model
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.scanning import seeming

NAMES = (
    "a.json", "a.yaml", "a.toml", "a.ini", "Modelfile", ".env", "a.py", "a.js", "a.ts", "a.tsx",
    "a.ipynb", "openai.config.js", "a.sh", "a", "config.json", "package.json", "pyproject.toml",
    "requirements.txt", "docker-compose.yml", "Dockerfile", "Pipfile", "poetry.lock", "a.rmodel",
    "environment.yml", "generation_config.json", "tokenizer_config.json", "index.json", "a.txt",
)  # fmt: skip
KEY = KEYS["openai"]
# Where it stands so, no more of it than three characters may come out.
_PLANTED = re.compile(rf"(?<![\w\\-]){KEY}(?![\w-])")


def readers_of(module: str | None) -> tuple[Reader, ...]:
    """The readers that a module of ``readers`` holds; all of them for None."""
    if module is None:
        return readers.READERS
    held = vars(getattr(readers, module)).values()
    return tuple(one for one in readers.READERS if any(one is each for each in held))


def outcome(name: str, data: bytes, known: Iterable[Reader] = readers.READERS) -> str:
    """All that is said of a file: artefacts by every way in, packages, what it seems to be, and the
    plan. Raises what a reader raises, but what it may."""
    document = Document(Path(name), data)
    found = list(_found(document, known))
    said = [json.dumps(one.as_json(), ensure_ascii=False) for one in found]
    said += [seeming.seeming(document), str(document.problem)]
    said += [str(one) for one in (*dependencies.of(document), *system.of(document))]
    may_mention_model(data, document.suffix), is_minified(data, document.suffix)
    try:
        said.append(planning.text_of(planning.make(found, Path("/nowhere/llmrr.toml"))))
    except LlmrrError as error:
        said.append(str(error))
    return "\n".join(said)


def _found(document: Document, known: Iterable[Reader]) -> Iterator[Artefact]:
    is_code = document.text is not None and language(document.text, document.suffix) is not None
    for reader in known:
        if reader.of_data and not is_code:
            yield from reader.of_data(document)
        if reader.of_code and document.code is not None:
            yield from reader.of_code(document)
        if reader.forced:
            try:
                yield from reader.forced(document)
            except DamagedFile:
                continue


def of_folder(data: bytes, known: Iterable[Reader] = readers.READERS) -> str:
    """All that is said of a folder in which every file that tells of one holds these bytes."""
    with tempfile.TemporaryDirectory(dir=_QUICK) as place:
        root = Path(place)
        for name in _IN_FOLDERS:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        found: list[Artefact] = []
        for folder in (root, *(one for one in root.rglob("*") if one.is_dir())):
            for reader in known:
                if reader.of_folder:
                    found += reader.of_folder(folder, folder)
        return "\n".join(json.dumps(one.as_json(), ensure_ascii=False) for one in found)


_QUICK = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
_IN_FOLDERS = (
    "config.json", "generation_config.json", "tokenizer_config.json", "model.safetensors", "x.gguf",
    "model.safetensors.index.json", "adapter_config.json", "quantize_config.json",
    "special_tokens_map.json", "chat_template.json", "chat_template.jinja", "params.json",
    "manifests/registry.ollama.ai/library/a/latest", "blobs/sha256-" + "0" * 64,
    "models--a--b/refs/main", "models--a--b/snapshots/c/config.json",
    ".internal/user-concrete-model-default-config/a.json", "config-presets/a.preset.json",
    "GPT4All.ini", "models3.json", "models/a.yaml", "models/._gallery_a.yaml",
)  # fmt: skip


def leaked(data: bytes, said: str) -> bool:
    """Whether a planted key came out of bytes in which it stands as keys do, each time."""
    text = data.decode("utf-8", "replace")
    return text.count(KEY[4:]) == len(_PLANTED.findall(text)) > 0 and KEY[4:] in said
