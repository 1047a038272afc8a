"""Packages that a project names in its manifests and lock files, and what replaces them here. Pure.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from llmrr.errors import DamagedFile
from llmrr.migrate.documents import Document
from llmrr.migrate.parsing import parsed
from llmrr.migrate.terms.secrets import masked

LIBRARY: Final = "llmrr's library, or llmrr run"
# What a migration makes superfluous, by the normalised name of the package.
REPLACED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("openai", "anthropic", "cohere", "cohere-ai", "groq", "groq-sdk", "mistralai",
                     "google-generativeai", "google-genai", "together", "together-ai",
                     "replicate", "@anthropic-ai/sdk", "@mistralai/mistralai",
                     "@google/generative-ai", "@google/genai", "fireworks-ai"), LIBRARY),
    **dict.fromkeys(("langchain", "langchain-core", "langchain-community", "langchain-openai",
                     "langchain-anthropic", "langchain-ollama", "langchain-huggingface",
                     "langchain-groq", "langchain-mistralai", "langchain-google-genai",
                     "langgraph", "@langchain/core", "@langchain/openai", "@langchain/anthropic",
                     "@langchain/community", "@langchain/ollama", "@langchain/langgraph"),
                    "[templates] of llmrr.toml, and llmrr's library"),
    **dict.fromkeys(("llama-index", "llama-index-core", "llama-index-llms-openai",
                     "llama-index-llms-ollama", "llamaindex", "@llamaindex/openai"),
                    LIBRARY),
    **dict.fromkeys(("transformers", "ctransformers", "vllm", "auto-gptq", "autoawq", "exllamav2",
                     "text-generation", "optimum", "@xenova/transformers",
                     "@huggingface/transformers", "@huggingface/inference"), LIBRARY),
    **dict.fromkeys(("llama-cpp-python", "node-llama-cpp", "gpt4all", "mlx-lm", "mlx-vlm"),
                    LIBRARY),
    **dict.fromkeys(("ollama", "ollama-python", "ollama-js"),
                    "llmrr with ollama: sources"),
    **dict.fromkeys(("litellm", "llmlite", "portkey-ai", "aisuite"), "llmrr's router"),
    **dict.fromkeys(("gptcache", "langchain-redis"), "[cache] of llmrr.toml"),
    **dict.fromkeys(("llm", "aichat", "tgpt", "shell-gpt"), "llmrr run"),
    **dict.fromkeys(("ai", "@ai-sdk/openai", "@ai-sdk/anthropic"), "llmrr run"),
    **dict.fromkeys(("llm-runner-router",), "llmrr"),
}  # fmt: skip
_LARGEST_LOCK: Final = 4_000_000  # characters
_LONGEST: Final = 1_000  # characters of a line


class Dependency(NamedTuple):
    """A package that a file names. ``version`` is as it stands there; ``replaced_by`` is what does
    its work here; ``ecosystem`` is ``python`` or ``javascript``."""

    name: str
    version: str | None
    ecosystem: str
    file: Path
    replaced_by: str | None


def of(document: Document) -> list[Dependency]:
    """All the packages that a manifest or lock file names; none of another file. A version may be
    an address that holds a key: it is left out of it.

    >>> found = of(Document(Path("requirements.txt"), b"openai>=1.0\\nflask\\n"))
    >>> [(one.name, one.version, bool(one.replaced_by)) for one in found]
    [('openai', '>=1.0', True), ('flask', None, False)]
    """
    found = _reader(document.path.name)
    if found is None or document.text is None or len(document.text) > _LARGEST_LOCK:
        return []
    ecosystem, read = found
    try:
        pairs = list(read(document.text))
    except (DamagedFile, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return []  # a file that is not what its name says, or half written
    return [
        Dependency(masked(name), masked(version) if version else None, ecosystem, document.path,
                   replacement(name, ecosystem))
        for name, version in dict.fromkeys(pairs)
    ]  # fmt: skip


def is_manifest(name: str) -> bool:
    """Whether a file of this name lists packages.

    >>> is_manifest("package.json"), is_manifest("requirements-dev.txt"), is_manifest("a.json")
    (True, True, False)
    """
    return _reader(name) is not None


def replacement(name: str, ecosystem: str) -> str | None:
    """What does the work of a package here, or None."""
    plain = name.lower() if ecosystem == "javascript" else re.sub(r"[-_.]+", "-", name.lower())
    found = REPLACED.get(plain)
    if found is None and plain.startswith(("llama-index-llms-", "langchain-", "@langchain/")):
        found = REPLACED["langchain" if "langchain" in plain else "llama-index"]
    return found


def merged(found: Iterable[Dependency]) -> list[Dependency]:
    """Those that something here replaces, once for each manifest; a lock file, which lists what
    others brought in too, counts only where no manifest names them."""
    kept: dict[tuple[str, str], dict[Path, Dependency]] = {}
    for one in sorted(found, key=lambda each: "lock" in each.file.name):
        if one.replaced_by is None:
            continue
        there = kept.setdefault((one.ecosystem, one.name.lower()), {})
        known = there.get(one.file)
        if "lock" in one.file.name and there:
            continue
        if known is None or known.version is None:
            there[one.file] = one
    return [one for key in sorted(kept) for one in kept[key].values()]


_Pairs = Iterator[tuple[str, str | None]]
_Read = Callable[[str], _Pairs]


def _reader(name: str) -> tuple[str, _Read] | None:
    plain = name.lower()
    if plain in _BY_NAME:
        return _BY_NAME[plain]
    if re.fullmatch(r"(.*[-_.])?(requirements|constraints)([-_.].*)?\.(txt|in)", plain):
        return "python", _requirements
    if re.fullmatch(r"(conda|environment)([-_.].*)?\.ya?ml", plain):
        return "python", _conda
    return None


def _requirement(line: str) -> tuple[str, str | None] | None:
    """Name and version of a line of PEP 508.

    >>> _requirement('openai[datalib]>=1.2 ; python_version > "3.8"'), _requirement("-r more.txt")
    (('openai', '>=1.2'), None)
    """
    plain = re.split(r"(?:^|\s)#|;", line.split(" --hash")[0].rstrip("\\").strip())[0].strip()
    match = re.fullmatch(r"([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?:\(?([^()]*)\)?|@.*)", plain)
    if match is None:
        return None
    version = (match[2] or "").strip()
    if version and not re.match(r"[<>=!~^*\d@]", version):
        return None
    return match[1], version or None


def _requirements(text: str) -> _Pairs:
    for line in text.splitlines():
        if len(line) <= _LONGEST and (found := _requirement(line)):
            yield found


def _package_json(text: str) -> _Pairs:
    table = json.loads(text)
    for section in ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies"):
        yield from _named(table.get(section))


def _package_lock(text: str) -> _Pairs:
    table = json.loads(text)
    for path, one in (table.get("packages") or {}).items():
        if path.startswith("node_modules/") and isinstance(one, dict):
            yield path.rpartition("node_modules/")[2], one.get("version")
    if "packages" not in table:
        yield from _named(table.get("dependencies"))


def _yarn_lock(text: str) -> _Pairs:
    name = None
    for line in text.splitlines():
        if line and not line[0].isspace():
            head = re.match(r'"?(@?[^@\s"]+)@.*:\s*$', line[:_LONGEST])
            name = head[1] if head else None
        elif name and (version := re.match(r'\s+version:? "?([^"]+)', line[:_LONGEST])):
            yield name, version[1].strip()
            name = None


def _pnpm_lock(text: str) -> _Pairs:
    for match in re.finditer(r"^  '?/?(@?[^@'\s:()]+)@([^'\s:()]+)", text, re.MULTILINE):
        yield match[1], match[2]


def _toml(text: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(text)


def _pyproject(text: str) -> _Pairs:
    table = _toml(text)
    project, tool = table.get("project", {}), table.get("tool", {})
    lists = [project.get("dependencies"), *project.get("optional-dependencies", {}).values()]
    lists += [*table.get("dependency-groups", {}).values(), tool.get("uv", {}).get(
        "dev-dependencies"), *tool.get("pdm", {}).get("dev-dependencies", {}).values()]  # fmt: skip
    for lines in lists:
        for line in lines or ():
            if isinstance(line, str) and (found := _requirement(line)):
                yield found
    poetry = tool.get("poetry", {})
    groups = [one.get("dependencies") for one in poetry.get("group", {}).values()]
    for section in (poetry.get("dependencies"), poetry.get("dev-dependencies"), *groups):
        yield from (pair for pair in _named(section) if pair[0] != "python")


def _pipfile(text: str) -> _Pairs:
    table = _toml(text)
    for section in ("packages", "dev-packages"):
        yield from _named(table.get(section))


def _pipfile_lock(text: str) -> _Pairs:
    table = json.loads(text)
    for section in ("default", "develop"):
        yield from _named(table.get(section))


def _locked(text: str) -> _Pairs:
    for one in _toml(text).get("package", []):
        yield one["name"], one.get("version")


def _conda(text: str) -> _Pairs:
    table = parsed(text, ".yaml")
    for one in table["dependencies"] if isinstance(table, dict) else ():
        lines = one.get("pip", []) if isinstance(one, dict) else [one]
        for line in lines:
            name = str(line).rpartition("::")[2]
            if found := _requirement(re.sub(r"^([\w.-]+)=(?!=)", r"\1==", name)):
                yield found


def _setup_cfg(text: str) -> _Pairs:
    match = re.search(r"^install_requires\s*=((?:\n?[ \t]+[^\n]*)*)", text, re.MULTILINE)
    yield from _requirements(match[1]) if match else ()


def _named(section: object) -> _Pairs:
    """Entries of a table of names and versions, or of tables with a version."""
    for name, one in section.items() if isinstance(section, dict) else ():
        version = one.get("version") if isinstance(one, dict) else one
        yield str(name), version if isinstance(version, str) and version != "*" else None


_BY_NAME: Final[Mapping[str, tuple[str, _Read]]] = {
    "package.json": ("javascript", _package_json),
    "package-lock.json": ("javascript", _package_lock),
    "npm-shrinkwrap.json": ("javascript", _package_lock),
    "yarn.lock": ("javascript", _yarn_lock),
    "pnpm-lock.yaml": ("javascript", _pnpm_lock),
    "pyproject.toml": ("python", _pyproject),
    "poetry.lock": ("python", _locked),
    "uv.lock": ("python", _locked),
    "pdm.lock": ("python", _locked),
    "pipfile": ("python", _pipfile),
    "pipfile.lock": ("python", _pipfile_lock),
    "setup.cfg": ("python", _setup_cfg),
}
