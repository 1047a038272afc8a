"""Command lines that start a server of models, or ask one: which program, with which flags. Pure;
nothing is run, and no variable is filled in but those that the same file states.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from llmrr.migrate.launching.docker import behind_image, mounted

Program = Literal[
    "llama.cpp", "llama-cpp-python", "mlx", "vllm", "sglang", "tgi", "koboldcpp", "ollama",
    "litellm", "localai", "other",
]  # fmt: skip

_LLAMA = r"(?:ik[-_.]?)?llama[-_.]?(?:server|cli|run|completion|mtmd-cli|simple-chat|box)[\w.-]*"
# By the name of the file that is run.
_PROGRAMS: Final[tuple[tuple[str, Program], ...]] = (
    (_LLAMA, "llama.cpp"), (r"llamafile[\w.-]*|[\w.-]+\.llamafile", "llama.cpp"),
    (r"mlx_lm(?:\.(?:server|generate|chat))?|mlx[-_]openai[-_]server", "mlx"),
    (r"mlx_vlm(?:\.(?:server|generate|chat))?", "mlx"),
    (r"koboldcpp[\w.-]*", "koboldcpp"), (r"vllm", "vllm"), (r"ollama", "ollama"),
    (r"litellm", "litellm"), (r"text-generation-launcher", "tgi"), (r"local-?ai", "localai"),
    (r"whisper[-_.]?(?:server|cli)[\w.-]*|sd[-_]server[\w.-]*|sd|audiocpp_server|piper[\w.-]*"
     r"|stable-diffusion[\w.-]*|tts[-_]server[\w.-]*|infinity_emb|faster-whisper[\w.-]*", "other"),
)  # fmt: skip
_MODULES: Final[tuple[tuple[str, Program], ...]] = (
    (r"llama_cpp\.server", "llama-cpp-python"), (r"mlx_(?:lm|vlm)(?:\.\w+)*", "mlx"),
    (r"vllm(?:\.[\w.]+)?", "vllm"), (r"sglang\.launch_server", "sglang"),
)  # fmt: skip
# By the image that a container runs.
_IMAGES: Final[tuple[tuple[str, Program], ...]] = (
    (r".*llama[-_.]?cpp[-_]python.*", "llama-cpp-python"),
    (r".*(?:llama[-_.]?cpp|llama-swap|llama-server|ik_llama).*", "llama.cpp"),
    (r".*vllm.*", "vllm"), (r".*text-generation-inference.*", "tgi"), (r".*sglang.*", "sglang"),
    (r".*koboldcpp.*", "koboldcpp"), (r".*litellm.*", "litellm"),
    (r"(?:.*/)?local-?ai(?:[:@].*)?", "localai"),
)  # fmt: skip
_OF_TGI: Final = ("MODEL_ID", "REVISION", "QUANTIZE", "MAX_TOTAL_TOKENS", "NUM_SHARD")
_CONTAINERS: Final = frozenset({"docker", "podman", "nerdctl"})
_SHELLS: Final = frozenset({"sh", "bash", "zsh", "dash", "ash"})
_NUMBER: Final = re.compile(r"-(?:\d|\.\d)[\d.e+-]*|-")
_ASSIGNED: Final = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_GGUF: Final = re.compile(r"(?i)\S+\.gguf")
# Flags that take no value, where a word may follow.
_BARE: Final = frozenset({
    "slots", "metrics", "mlock", "embedding", "embeddings", "rerank", "reranking", "jinja",
    "verbose", "v", "cont-batching", "cb", "offline", "swa-full", "context-shift", "kv-unified",
    "log-disable", "props", "webui", "trust-remote-code", "enforce-eager", "usecublas", "usemmap",
    "usemlock", "d", "rm", "init", "it", "i", "t-tty", "privileged", "cpu-moe", "cmoe", "no-mmap",
    "no-warmup", "check-tensors", "use-default-chat-template", "enable-auto-tool-choice",
})  # fmt: skip
# What follows a flag that may stand alone.
_MAY: Final = {word: frozenset({"on", "off", "auto", "true", "false", "0", "1", "enabled",
                                "disabled"}) for word in ("flash-attn", "fa", "flash_attn")}
_SHORT: Final = {
    "m": "model", "c": "ctx-size", "ngl": "n-gpu-layers", "gpu-layers": "n-gpu-layers",
    "n": "n-predict", "predict": "n-predict", "t": "threads", "hf": "hf-repo", "hfr": "hf-repo",
    "hff": "hf-file", "b": "batch-size", "ub": "ubatch-size", "ctk": "cache-type-k",
    "ctv": "cache-type-v", "np": "parallel", "fa": "flash-attn", "a": "alias", "md": "model-draft",
    "s": "seed", "p": "prompt", "sys": "system-prompt", "ts": "tensor-split", "sm": "split-mode",
    "mg": "main-gpu", "mm": "mmproj", "mmu": "mmproj-url", "mu": "model-url", "ot":
    "override-tensor", "dev": "device", "tb": "threads-batch", "to": "timeout", "temperature":
    "temp", "hf-repo-draft": "hf-repo-draft", "hfd": "hf-repo-draft", "hfrd": "hf-repo-draft",
    "ngld": "n-gpu-layers-draft", "cd": "ctx-size-draft", "cmoe": "cpu-moe", "ncmoe": "n-cpu-moe",
    "cb": "cont-batching", "r": "reverse-prompt", "kvo": "kv-offload", "nkvo": "no-kv-offload",
    "hft": "hf-token", "dr": "docker-repo", "e": "escape", "v": "verbose",
    "embedding": "embeddings", "rerank": "reranking", "f": "file", "f16-kv": "memory-f16",
    "kvu": "kv-unified",
}  # fmt: skip
_SPLIT: Final = frozenset({"&&", "||", ";", "|", "&"})
_LONGEST: Final = 100_000  # characters of a command line
_MOST: Final = 5_000  # words of one


class Launch(NamedTuple):
    """A program with its ``flags`` under their long names (without dashes; a flag that stands
    twice is a list; one without a value is ``"true"``) and the ``words`` between them. ``mounts``
    are the folders that a container sees: inside to outside."""

    program: Program
    flags: Mapping[str, str | list[str]]
    words: tuple[str, ...] = ()
    mounts: Mapping[str, str] = {}

    def flag(self, *names: str) -> str | None:
        """The last value of the first of these flags that is stated."""
        for name in names:
            if name in self.flags:
                found = self.flags[name]
                return found if isinstance(found, str) else found[-1]
        return None


def words_of(text: str) -> list[str]:
    """The words of a command line; lines of comments, and the ends of continued lines, go.

    >>> words_of("# why\\nllama-server \\\\\\n -m 'a b.gguf'")
    ['llama-server', '-m', 'a b.gguf']
    >>> words_of(r"C:\\llama\\llama-server.exe -m it's")[0]
    'C:\\\\llama\\\\llama-server.exe'
    """
    kept = [line for line in text[:_LONGEST].splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", " ", "\n".join(kept) + "\n")
    joined = re.sub(r"[\^`][ \t]*\n", " ", joined)  # as cmd.exe and PowerShell continue a line
    is_windows = re.search(r"(?:^|[\s\"'])(?:[A-Za-z]:|\.\.?)\\|\w\\\w", joined)
    try:
        return shlex.split(joined.replace("\\", "\\\\") if is_windows else joined)
    except ValueError:
        return joined.replace('"', "").replace("'", "").split()


def launch(
    words: Sequence[str], environment: Mapping[str, str] | None = None, *, guess: bool = False
) -> Launch | None:
    """What a command line starts, or None. ``environment`` is what is stated beside it; llama.cpp
    takes ``LLAMA_ARG_…`` from there, below its flags. With ``guess``, any program that is given a
    GGUF file as llama.cpp is, is one.

    >>> launch(["sudo", "/opt/llama-server", "-m", "a.gguf", "-ngl", "-1"]).flags
    {'model': 'a.gguf', 'n-gpu-layers': '-1'}
    >>> launch("python -m mlx_lm.server --model org/x".split()).program
    'mlx'
    >>> launch("docker run -p 80:80 vllm/vllm-openai:v1 --model org/x".split()).flags
    {'model': 'org/x'}
    >>> launch(["make", "test"]) is None
    True
    """
    own = dict(environment or {})
    found = _program(list(words[:_MOST]), own, 0)
    if found is None and _is_like_llama(words, guess):
        found = "llama.cpp", _until(behind_image(list(words[1:_MOST]))), mounted(words)
    if found is None:
        return None
    program, rest, mounts = found
    flags, positional = _flags(rest, program)
    if program in ("llama.cpp", "tgi"):
        flags = {**_from_environment(own, program), **flags}
    return Launch(program, flags, positional, mounts)


def long_name(flag: str) -> str:
    """A flag of llama.cpp under its long name, from a short one or from a variable.

    >>> long_name("ngl"), long_name("LLAMA_ARG_CTX_SIZE"), long_name("top_p")
    ('n-gpu-layers', 'ctx-size', 'top-p')
    """
    if flag.startswith("LLAMA_ARG_"):
        flag = flag.removeprefix("LLAMA_ARG_").lower()
    plain = flag.replace("_", "-")
    return _SHORT.get(plain, plain)


def _program(
    words: list[str], own: dict[str, str], depth: int
) -> tuple[Program, list[str], dict[str, str]] | None:
    """The program among the words, what follows it, and what a container sees."""
    for at, word in enumerate(words[:200]):
        base = _base(word)
        rest = words[at + 1 :]
        if assigned := _ASSIGNED.fullmatch(word):
            own.setdefault(assigned[1], assigned[2])
        elif base in _SHELLS and depth < 3:
            inner = next((i for i, one in enumerate(rest) if re.fullmatch(r"-\w*c", one)), None)
            if inner is not None and inner + 1 < len(rest):
                return _program(words_of(rest[inner + 1]), own, depth + 1)
        elif base in _CONTAINERS and {"run", "exec"} & set(rest[:4]):
            return _contained(rest, own)
        elif re.fullmatch(r"python[\d.]*|pypy[\d.]*", base) and "-m" in rest[:4]:
            module = rest[rest.index("-m") + 1 :]
            if module and (known := _known(module[0], _MODULES)):
                return known, _until(module[1:]), {}
        elif known := _known(base, _PROGRAMS):
            return known, _until(rest), {}
        elif word in _SPLIT and at + 1 < len(words):
            return _program(rest, own, depth)
    return None


def _is_like_llama(words: Sequence[str], guess: bool) -> bool:
    """Whether a program that is not known by its name takes a model as llama.cpp's do; their old
    names (``./main``) are too common to say it alone."""
    if not words or not (guess or _base(words[0]) in ("main", "server", "llama")):
        return False
    return any(
        one in ("-hf", "--hf-repo") or (one in ("-m", "--model") and _GGUF.fullmatch(following))
        for one, following in pairwise(words)
    )


def _contained(
    words: list[str], own: dict[str, str]
) -> tuple[Program, list[str], dict[str, str]] | None:
    """What runs in a container: by the program that is named behind the image, else the image."""
    mounts = mounted(words)
    for at, word in enumerate(words):
        value = words[at + 1] if at + 1 < len(words) else ""
        name, equals, inline = word.partition("=")
        if name in ("-e", "--env"):
            if assigned := _ASSIGNED.fullmatch(inline if equals else value):
                own.setdefault(assigned[1], assigned[2])
        elif not word.startswith("-") and (at == 0 or words[at - 1] not in ("--name", "--network")):
            if known := _known(_base(word), _PROGRAMS):
                return known, _until(words[at + 1 :]), mounts
            if ("/" in word or ":" in word) and (known := _known(word, _IMAGES)):
                if words[at - 1] in ("-v", "--volume", "-p", "--publish", "--mount"):
                    continue
                rest = words[at + 1 :]
                if rest and re.fullmatch(r"python[\d.]*", _base(rest[0])):
                    asked = _program(rest, own, 1)
                    return asked and (asked[0], asked[1], mounts)
                if rest and (inner := _known(_base(rest[0]), _PROGRAMS)):
                    return inner, _until(rest[1:]), mounts
                return known, _until(rest), mounts
    return None


def _known(name: str, table: tuple[tuple[str, Program], ...]) -> Program | None:
    return next((which for pattern, which in table if re.fullmatch(pattern, name.lower())), None)


def _base(word: str) -> str:
    name = word.replace("\\", "/").rpartition("/")[2].lower()
    return name.removesuffix(".exe").removesuffix(".py")


def _until(words: list[str]) -> list[str]:
    """What belongs to one command of several, without what goes to files."""
    kept: list[str] = []
    for word in words:
        if word in _SPLIT or word.startswith((">", "2>", "<", "&>")):
            break
        kept.append(word)
    return kept


def _flags(
    words: Sequence[str], program: Program
) -> tuple[dict[str, str | list[str]], tuple[str, ...]]:
    flags: dict[str, str | list[str]] = {}
    positional: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("-") or _NUMBER.fullmatch(word):
            positional.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals:
            value = "true"
            if at < len(words) and _takes(name, words[at]):
                value, at = words[at], at + 1
        if program == "llama.cpp":
            name = long_name(name)
        known = flags.get(name)
        if known is None:
            flags[name] = value
        else:
            flags[name] = [*([known] if isinstance(known, str) else known), value]
    return flags, tuple(positional)


def _takes(name: str, following: str) -> bool:
    """Whether what follows a flag is its value."""
    if following.startswith("-") and not _NUMBER.fullmatch(following):
        return False
    if name in _MAY:
        return following.lower() in _MAY[name]
    return name not in _BARE


def _from_environment(own: Mapping[str, str], program: Program) -> dict[str, str | list[str]]:
    if program == "tgi":  # each of its flags can be a variable
        return {name.lower().replace("_", "-"): own[name] for name in _OF_TGI if name in own}
    return {long_name(name): value for name, value in own.items() if name.startswith("LLAMA_ARG_")}
