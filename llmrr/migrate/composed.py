"""Compose files: the commands of their services, and the models that Docker itself runs. Pure."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmrr.migrate.commands import words_of

# Where, the words, what is set for them, and the folders that a container sees: inside to outside.
Command = tuple[int, list[str], dict[str, str], dict[str, str]]

_LINE: Final = 20_000  # characters of a command
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_]\w*|\d)(?::?-([^{}]*))?\}|\$([A-Za-z_]\w*)|%(\w+)%")
_SHELL: Final = re.compile(r"(?:.*/)?(?:ba|z|da|a)?sh")
_NEXT: Final = re.compile(r"\n|&&|\|\||;|(?<![>&])&(?![>&\d])|\bthen\b|\bdo\b")
_MODE: Final = re.compile(r":(?:(?:ro|rw|z|Z|cached|delegated|consistent),?)+$")


def commands(shape: Any, text: str) -> Iterator[Command]:
    """What the services of a compose file start."""
    from llmrr.migrate.lines import Lines

    services = shape.get("services") if isinstance(shape, dict) else None
    if not isinstance(services, dict):
        return
    lines = Lines(text)
    for name, service in services.items():
        line = lines.next(name, key=True) or 1
        if isinstance(service, dict):
            yield from _service(service, line)
    models = shape.get("models")
    for name, model in models.items() if isinstance(models, dict) else ():
        line = lines.next(name, key=True) or 1
        if isinstance(model, dict) and isinstance(model.get("model"), str):
            yield line, _by_docker(model), {}, {}


def in_image(image: str, words: list[str]) -> list[str]:
    """The words of a command as those of ``docker run``, so that the image says the program."""
    return ["docker", "run", image, *words]


def filled(text: str, known: Mapping[str, str | None]) -> str:
    """A command with its variables, where the file says what they are; a default counts where it
    does not."""

    def one(match: re.Match[str]) -> str:
        name = match[1] or match[3] or match[4]
        value = known.get(name)
        if value is None and name not in known and match[2] is not None:
            value = match[2]
        return match[0] if value is None else value

    for _ in range(5):
        changed = _VARIABLE.sub(one, text)
        if changed == text or len(changed) > _LINE:
            break
        text = changed
    return text


def _service(service: Mapping[str, Any], line: int) -> Iterator[Command]:
    provider = service.get("provider")
    if isinstance(provider, dict):
        options = provider.get("options")
        if provider.get("type") == "model" and isinstance(options, dict) and isinstance(
            options.get("model"), str
        ):  # fmt: skip
            yield line, _by_docker(options), {}, {}
        return
    words = [*_words(service.get("entrypoint")), *_words(service.get("command"))]
    words = words_of(filled(" ".join(_quoted(words)), {}))
    own = _environment(service.get("environment"))
    mounted = dict(_mounted(service.get("volumes")))
    scripts = [*_scripts(words)]
    for one in scripts or [in_image(str(service.get("image") or "x"), words)]:
        yield line, one, dict(own), mounted


def _scripts(words: list[str]) -> Iterator[list[str]]:
    """The commands that a shell is given in one text."""
    if not words or not _SHELL.fullmatch(words[0]):
        return
    at = next((i for i, one in enumerate(words) if re.fullmatch(r"-\w*c", one)), None)
    if at is not None and at + 1 < len(words):
        for one in _NEXT.split(words[at + 1].replace("\\\n", " ")):
            plain = words_of(one)
            yield _pulled(plain) or plain


def _pulled(words: list[str]) -> list[str] | None:
    """The model that Ollama's server is asked to fetch, as the command for it."""
    if words[:1] != ["curl"] or not any(one.endswith("/api/pull") for one in words):
        return None
    for one in words:
        found = re.search(r"""["']?(?:name|model)["']?\s*:\s*["']?([\w./:-]+)""", one)
        if found and not one.startswith("http"):
            return ["ollama", "pull", found[1]]
    return None


def _by_docker(stated: Mapping[str, Any]) -> list[str]:
    """A model of Docker's runner as llama.cpp, which it is, would be given it."""
    named = str(stated["model"])
    hub = re.match(r"(?i)(?:hf\.co|huggingface\.co)/(.+)", named)
    words = ["llama-server", *(("-hf", hub[1]) if hub else ("-dr", named))]
    size = stated.get("context_size")
    words += ["-c", str(size)] if isinstance(size, int) else []
    flags = stated.get("runtime_flags")
    return [*words, *(_words(flags) if isinstance(flags, list) else [])]


def _mounted(volumes: Any) -> Iterator[tuple[str, str]]:
    for one in volumes if isinstance(volumes, list) else []:
        if isinstance(one, dict):
            source, target = one.get("source"), one.get("target")
            if one.get("type") == "bind" and isinstance(source, str) and isinstance(target, str):
                yield target, source
            continue
        outside, colon, inside = _MODE.sub("", filled(str(one), {})).rpartition(":")
        if colon:
            yield inside, outside


def _quoted(words: list[str]) -> list[str]:
    return [one if one.startswith("$") else shlex.quote(one) for one in words]


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return words_of(value)
    return [str(one) for one in value] if isinstance(value, list) else []


def _environment(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {str(key): str(one) for key, one in value.items() if one is not None}
    pairs = (str(one).partition("=") for one in value) if isinstance(value, list) else ()
    return {name: said for name, equals, said in pairs if equals}
