"""What containers start and what is set for them: Dockerfiles, compose files, Kubernetes."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmrr.migrate.launching.commands import words_of
from llmrr.migrate.launching.shellscripts import Command, filled, joined
from llmrr.migrate.parsing.lines import Lines
from llmrr.migrate.parsing.shapes import tables

_DEEPEST: Final = 12
_MOST: Final = 500  # containers of a file
_PULLS: Final = re.compile(r"\bollama\s+(?:pull|run)\s|/api/pull\b")
_MODE: Final = re.compile(r":(?:(?:ro|rw|z|Z|cached|delegated|consistent),?)+$")


def built(text: str) -> Iterator[Command]:
    """What an image starts: its ``ENTRYPOINT`` with its ``CMD``; and what Ollama fetches for it."""
    own = {
        match[1]: match[2].strip().strip("\"'")
        for match in re.finditer(r"(?m)^ENV\s+([A-Za-z_]\w*)[= ]\s*(.+)$", text)
    }
    image = re.findall(r"(?m)^FROM\s+(?:--\S+\s+)?(\S+)", text)[-1]
    parts: dict[str, tuple[int, list[str]]] = {}
    for line, said in joined(text):
        match = re.match(r"(CMD|ENTRYPOINT|RUN)\s+(.+)", said)
        if match and match[1] == "RUN":
            if _PULLS.search(match[2]):
                yield line, ["sh", "-c", filled(match[2], dict(own))], own, {}
        elif match:
            parts[match[1]] = line, _exec_form(filled(match[2], dict(own)))
    words = [word for name in ("ENTRYPOINT", "CMD") for word in parts.get(name, (0, []))[1]]
    if parts:
        line = min(at for at, _ in parts.values())
        yield line, _in_image(image, words), own, {}


def composed(shape: Any, text: str) -> Iterator[Command]:
    """What the services of a compose file start."""
    for line, service in _services(shape, text):
        words = [*_words(service.get("entrypoint")), *_words(service.get("command"))]
        own = _environment(service.get("environment"))
        mounts = dict(_mounted(service.get("volumes")))
        words = [each for one in words for each in _filled(one)]
        yield line, _in_image(str(service.get("image") or "x"), words), own, mounts


def docker_models(shape: Any, text: str) -> Iterator[Command]:
    """The models that a compose file has Docker itself run, as llama.cpp, which runs them, would be
    given them."""
    for line, service in _services(shape, text):
        provider = service.get("provider")
        if isinstance(provider, dict) and provider.get("type") == "model":
            options = provider.get("options")
            yield from _by_docker(options, line)
    models = shape.get("models") if isinstance(shape, dict) and "services" in shape else None
    lines = Lines(text)
    for name, model in models.items() if isinstance(models, dict) else ():
        yield from _by_docker(model, lines.next(name, key=True) or 1)


def pods(shape: Any, text: str) -> Iterator[Command]:
    """What the containers of Kubernetes' objects start."""
    for line, container, outside in _containers(shape, text):
        own = _environment(container.get("env"))
        said = [*_words(container.get("command")), *_words(container.get("args"))]
        words = [filled(re.sub(r"\$\((\w+)\)", r"${\1}", one), dict(own)) for one in said]
        mounts = {
            str(one["mountPath"]): outside[str(one.get("name"))]
            for one in tables(container.get("volumeMounts"))
            if one.get("mountPath") and str(one.get("name")) in outside
        }
        yield line, _in_image(str(container.get("image") or "x"), words), own, mounts


def environments(shape: Any, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The variables that are set for each container, "" for one whose value is elsewhere."""
    for line, service in _services(shape, text):
        yield line, _environment(service.get("environment"))
    for line, container, _ in _containers(shape, text):
        yield line, _environment(container.get("env"))
    lines = Lines(text)
    for entry in shape if isinstance(shape, list) else [shape]:
        if isinstance(entry, dict) and (given := _stored(entry)):
            yield lines.next(next(iter(given)), key=True) or 1, given


def _stored(entry: Mapping[Any, Any]) -> dict[str, str]:
    """The variables of a ``Secret`` or ``ConfigMap``, and of a file that holds nothing else."""
    if entry.get("kind") in ("Secret", "ConfigMap"):
        tables = [entry.get(name) for name in ("data", "stringData")]
    else:
        is_plain = all(re.fullmatch(r"[A-Z][A-Z0-9_]*", str(name)) for name in entry)
        tables = [entry] if is_plain else []
    given = {
        str(name): str(value) for table in tables if isinstance(table, dict)
        for name, value in table.items() if isinstance(value, str | int | float)
    }  # fmt: skip
    return {name: value for name, value in given.items() if "\n" not in value.strip()}


def _services(shape: Any, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    services = shape.get("services") if isinstance(shape, dict) else None
    lines = Lines(text)
    for name, service in services.items() if isinstance(services, dict) else ():
        line = lines.next(name, key=True) or 1
        if isinstance(service, dict):
            yield line, service


def _containers(
    shape: Any, text: str
) -> Iterator[tuple[int, Mapping[str, Any], dict[str, str]]]:
    """The containers of Kubernetes' objects, with the folders of the machine by their names."""
    lines, left = Lines(text), _MOST
    for entry in shape if isinstance(shape, list) else [shape]:
        if not isinstance(entry, dict) or not {"apiVersion", "kind"} <= entry.keys():
            continue
        for spec in _specs(entry, 0):
            outside = {
                str(one.get("name")): str(one["hostPath"].get("path"))
                for one in tables(spec.get("volumes")) if isinstance(one.get("hostPath"), dict)
            }
            for name in ("initContainers", "containers"):
                for container in tables(spec.get(name))[:left]:
                    left -= 1
                    image = container.get("image")
                    yield lines.next(image) or 1, container, outside


def _specs(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """Every table that lists containers."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        if isinstance(value.get("containers"), list):
            yield value
        for one in value.values():
            yield from _specs(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            yield from _specs(one, depth + 1)


def _by_docker(stated: Any, line: int) -> Iterator[Command]:
    named = stated.get("model") if isinstance(stated, dict) else None
    if not isinstance(named, str):
        return
    hub = re.match(r"(?i)(?:hf\.co|huggingface\.co)/(.+)", named)
    words = ["llama-server", *(("-hf", hub[1]) if hub else ("-dr", named))]
    if isinstance(size := stated.get("context_size"), int):
        words += ["-c", str(size)]
    flags = stated.get("runtime_flags")
    yield line, [*words, *(_words(flags) if isinstance(flags, list) else [])], {}, {}


def _mounted(volumes: Any) -> Iterator[tuple[str, str]]:
    """The folders that a container sees: inside, outside."""
    for one in volumes if isinstance(volumes, list) else []:
        if isinstance(one, dict):
            source, target = one.get("source"), one.get("target")
            if one.get("type") == "bind" and isinstance(source, str) and isinstance(target, str):
                yield target, source
            continue
        outside, colon, inside = _MODE.sub("", filled(str(one), {})).rpartition(":")
        if colon:
            yield inside, outside


def _in_image(image: str, words: list[str]) -> list[str]:
    """The words of a command as those of ``docker run``, so that the image says the program."""
    return ["docker", "run", image, *words]


def _filled(word: str) -> list[str]:
    """A word with its defaults: a variable that stands alone may be several."""
    found = filled(word, {})
    return words_of(found) if word.startswith("$") else [found]


def _exec_form(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return words_of(text)
    return [str(one) for one in found] if isinstance(found, list) else words_of(text)


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return words_of(value)
    return [str(one) for one in value] if isinstance(value, list) else []


def _environment(value: Any) -> dict[str, str]:
    """``{A: b}``, ``[A=b]`` or ``[{name: A, value: b}]``."""
    if isinstance(value, dict):
        return {str(key): _text(one) for key, one in value.items() if one is not None}
    found: dict[str, str] = {}
    for one in value if isinstance(value, list) else ():
        if isinstance(one, dict) and "name" in one:
            found[str(one["name"])] = _text(one.get("value"))
        elif not isinstance(one, dict):
            name, equals, said = str(one).partition("=")
            if equals:
                found[name] = said
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None or isinstance(value, dict | list) else str(value)
