"""Names of repositories and of their files, as other tools write them."""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

_SCHEME: Final = re.compile(
    r"(?i)(?:hf|huggingface):/{0,2}|(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/"
)
_REPOSITORY: Final = re.compile(r"[\w][\w.-]*/[\w][\w.-]*", re.ASCII)
_CACHED: Final = re.compile(
    r"(?:^|[/\\])models--([^/\\]+)[/\\]snapshots[/\\]([^/\\]+)(?:[/\\](.+))?$"
)
_FILE: Final = re.compile(r"(?i).*\.(?:gguf|ggml|bin|safetensors|onnx|pth?|json|zip|task|tflite)")
# What stands for a name that the user was to fill in.
_HOLE: Final = re.compile(
    r"<[^<>]*>|\{\{.*\}\}|\$\{[^{}]*\}|\$\w+|%\w+%|__\w+__|\{\w+\}|(?i:your[-_ /]).*"
)


class Hub(NamedTuple):
    """A repository; ``quant``, ``file`` and ``revision`` are None where they are not stated."""

    repository: str
    quant: str | None = None
    file: str | None = None
    revision: str | None = None

    @property
    def source(self) -> str:
        """As ``llmrr.toml`` has it; the file and the revision are options beside it."""
        return f"huggingface:{self.repository}{f':{self.quant}' if self.quant else ''}"

    @property
    def options(self) -> dict[str, str]:
        """``file`` and ``revision``, where they are stated."""
        stated = {"file": self.file, "revision": self.revision}
        return {name: value for name, value in stated.items() if value}


def addressed(text: str) -> Hub | None:
    """What an address of the hub names: one with a scheme or the host; None for any other text.

    >>> addressed("huggingface://TheBloke/phi-2-GGUF/phi-2.Q8_0.gguf").options
    {'file': 'phi-2.Q8_0.gguf'}
    >>> addressed("https://huggingface.co/o/r/resolve/main/a/b.gguf?download=true")[2:]
    ('a/b.gguf', None)
    >>> addressed("hf.co/o/r:Q4_K_M").source, addressed("https://example.org/o/r")
    ('huggingface:o/r:Q4_K_M', None)
    """
    scheme = _SCHEME.match(text.strip())
    return _parts(text.strip()[scheme.end() :]) if scheme else None


def repository(text: str) -> Hub | None:
    """A plain ``owner/repo``, with what may follow it, or an address.

    >>> repository("org/model"), repository("./org/model"), repository("org/model/x.gguf").file
    (Hub(repository='org/model', quant=None, file=None, revision=None), None, 'x.gguf')
    """
    return addressed(text) or (None if text.startswith((".", "/", "~")) else _parts(text))


def cached(path: str) -> Hub | None:
    """The repository whose part of a hub cache a path leads into.

    >>> cached("/h/hub/models--o--r/snapshots/ab12/x.gguf")
    Hub(repository='o/r', quant=None, file='x.gguf', revision='ab12')
    """
    found = _CACHED.search(path)
    if found is None:
        return None
    file = found[3].replace("\\", "/").rstrip("/") if found[3] else None
    return Hub(found[1].replace("--", "/", 1), None, file or None, found[2])


_TO: Final = re.compile(r"(?i)path[-_/ ]to(?:[-_/ ]|$)")
_ANY_FILE: Final = re.compile(
    r"(?i)(?:your|my|the|some)?[-_ ]?(?:model|llm|weights|file|gguf|checkpoint|folder|dir)?s?"
    r"(?:[-_ ](?:file|name|dir|folder|path))?(?:\.\w+)?"
)


def is_hole(text: str) -> bool:
    """Whether a text is what a user was to replace by a name.

    >>> is_hole("<modelname>"), is_hole("/path/to/your/model.gguf"), is_hole("llama3.2")
    (True, True, False)
    >>> is_hole("/path/to/qwen2.5-7b-Q4_K_M.gguf")
    False
    """
    plain = text.strip()
    if _HOLE.fullmatch(plain):
        return True
    # A file with a name of its own is a model, in whichever folder it lies.
    last = re.split(r"[/\\]", plain.rstrip("/\\"))[-1]
    return bool(_TO.search(plain) and (last == "to" or _ANY_FILE.fullmatch(last)
                                       or _TO.search(last)))  # fmt: skip


def _parts(rest: str) -> Hub | None:
    rest = unquote(rest.partition("?")[0]).strip("/")
    rest, _, revision = rest.replace("#", "@").partition("@")
    pieces = rest.split("/")
    if len(pieces) > 4 and pieces[2] in ("resolve", "blob", "raw", "tree"):
        revision, pieces = revision or pieces[3], [*pieces[:2], *pieces[4:]]
    elif len(pieces) == 4 and pieces[2] == "tree":
        revision, pieces = revision or pieces[3], pieces[:2]
    repo, colon, tag = "/".join(pieces[:2]).partition(":")
    if not _REPOSITORY.fullmatch(repo) or ".." in rest:
        return None
    file = "/".join(pieces[2:]) or None
    if colon and _FILE.fullmatch(tag):
        tag, file = "", "/".join([tag, *pieces[2:]])
    return Hub(repo, tag or None, file, None if revision in ("", "main") else revision)


def gpu_format(source: str) -> str | None:
    """The format of a repository's weights that only engines for GPUs run, by its name.

    >>> gpu_format("huggingface:TheBloke/Mistral-7B-AWQ"), gpu_format("huggingface:a/b-GGUF")
    ('AWQ', None)
    """
    found = re.search(r"(?i)[-_](awq|gptq|exl2|exl3)(?:$|[-_:@/])", source)
    return found[1].upper() if found and source.startswith("huggingface:") else None
