"""What people type who come from another tool: each is answered with the line that does it here.

Pure functions over the words of the command line.
"""

import re
import shlex
from collections.abc import Sequence
from difflib import get_close_matches

from llmrr import parameters, settings
from llmrr.errors import UsageError

REAL_MODEL = "llmrr pull qwen3:4b"

# verb: (what to say, the line that does it; {rest} is what followed the verb)
_LOADED = ("the first run loads it, and it stays for the next", "llmrr run -m {rest}")
_SERVED = ("that is called serve here", "llmrr serve")
_NOT_SHARED = ("llmrr publishes nothing and needs no account", "llmrr list")
_FETCHED = ("that is called pull here", "llmrr pull {rest}")
_REMOVED = ("that is called rm here", "llmrr rm {rest}")
_NAMED = ("that is called cp here", "llmrr cp {rest}")

VERBS: dict[str, tuple[str, str]] = {
    "get": _FETCHED,
    "download": _FETCHED,
    "install": _FETCHED,
    "load": _LOADED,
    "unload": ("that is called stop here", "llmrr stop {rest}"),
    "server": _SERVED,
    "start": _SERVED,
    "push": _NOT_SHARED,
    "key": ("that is called keys here", "llmrr keys --help"),
    "login": _NOT_SHARED,
    "signin": _NOT_SHARED,
    "logout": _NOT_SHARED,
    "tag": _NAMED,
    "copy": _NAMED,
    "alias": _NAMED,
    "delete": _REMOVED,
    "remove": _REMOVED,
    "uninstall": _REMOVED,
    "purge": ("that is called prune here", "llmrr prune"),
    "models": ("that is called list here", "llmrr list"),
    "inspect": ("that is called show here", "llmrr show {rest}"),
    "estimate": ("that is called fit here", "llmrr fit {rest}"),
    "generate": ("that is called run here", "llmrr run {rest}"),
    "ask": ("that is called run here", "llmrr run {rest}"),
    "prompt": ("that is called run here", "llmrr run {rest}"),
    "complete": ("that is called run here", "llmrr run {rest}"),
    "embeddings": ("that is called embed here", "llmrr embed {rest}"),
    "benchmark": ("that is called bench here", "llmrr bench {rest}"),
    "history": ("that is called logs here", "llmrr logs"),
    "info": ("that is called probe here", "llmrr probe"),
    "version": ("that is an option here", "llmrr --version"),
}

# What other tools call the commands of a group.
_CHANGED = "llmrr config edit changes llmrr.toml; for one command: {}=VALUE llmrr …"
_SHOWN = "llmrr config show"
GROUPED = {
    "config": {
        "set": _CHANGED, "add": _CHANGED, "unset": "llmrr config edit", "get": _SHOWN,
        "list": _SHOWN, "ls": _SHOWN, "view": _SHOWN, "validate": "llmrr config check",
        "undo": "llmrr config rollback",
    },
    "migrate": {
        "undo": "llmrr migrate rollback", "run": "llmrr migrate apply",
        "test": "llmrr migrate validate", "diff": "llmrr migrate plan",
    },
}  # fmt: skip

# The options of llama-bench, as those who know it type them for ``llmrr bench``.
LLAMA_BENCH = {
    "-m": "MODEL",
    "--model": "MODEL",
    "-p": "--prefill N",
    "--n-prompt": "--prefill N",
    "-n": "--decode N",
    "--n-gen": "--decode N",
    "-r": "--repeats N",
    "--repetitions": "--repeats N",
    "-t": "--threads N",
}

# The options of llama-server, vllm serve and litellm, as those who know them type them for
# ``llmrr serve``.
_EVERY_MODEL = "llmrr serve, which has every model of llmrr list, and clients name one"
_LLAMACPP = "LLMRR_ENGINES__LLAMACPP__{}=N llmrr serve".format  # or in llmrr.toml
SERVERS = {
    "-m": _EVERY_MODEL,
    "--model": _EVERY_MODEL,
    "-hf": _EVERY_MODEL,
    "--hf-repo": _EVERY_MODEL,
    "--models-dir": _EVERY_MODEL,
    "-a": "llmrr serve --alias NAME=MODEL",
    "--served-model-name": "llmrr serve --alias NAME=MODEL",
    "-np": "llmrr serve --parallel N",
    "--max-num-seqs": "llmrr serve --parallel N",
    "--draft": "llmrr serve --speculate N",
    "--draft-max": "llmrr serve --speculate N",
    "--api-key": "llmrr serve --api-key-env NAME",
    "--api-key-file": "[serve.keys.NAME]: llmrr config edit",
    "--workers": "llmrr serve --ray --replicas 1:4",
    "--num_workers": "llmrr serve --ray --replicas 1:4",
    "--data-parallel-size": "llmrr serve --ray --replicas 1:4",
    "-c": _LLAMACPP("CONTEXT_SIZE"),
    "--ctx-size": _LLAMACPP("CONTEXT_SIZE"),
    "--max-model-len": _LLAMACPP("CONTEXT_SIZE"),
    "-ngl": _LLAMACPP("GPU_LAYERS"),
    "--n-gpu-layers": _LLAMACPP("GPU_LAYERS"),
    "-t": _LLAMACPP("THREADS"),
    "--threads": _LLAMACPP("THREADS"),
    "--verbose": "llmrr serve --log-level debug",
    "-v": "llmrr serve --log-level debug",
}


def refusal(args: Sequence[str], commands: Sequence[str]) -> UsageError:
    """The error for a first word that is no command, with the line to type instead.

    >>> refusal(["models"], ["list"]).hint
    'llmrr list'
    >>> refusal(["what is x"], ["list"]).hint
    "llmrr run 'what is x'"
    """
    word, *rest = args
    if word in VERBS:
        said, line = VERBS[word]
        following = shlex.join(rest) or _placeholder(word)
        return UsageError(
            f'there is no command "{word}": {said}', " ".join(line.format(rest=following).split())
        )
    prompting = rest and not rest[0].startswith("-")
    known = [*commands, *VERBS, "help"]
    swapped = [name for name in known if sorted(name) == sorted(word)]
    near = swapped or get_close_matches(word, known, n=1, cutoff=0.85 if prompting else 0.75)
    if not near and (prompting or re.search(r"\s", word)):
        said = f'"{word}" is no command; a prompt is given to run'
        return UsageError(said, f"llmrr run {shlex.join(args)}")
    if near:
        if near[0] in VERBS:
            return refusal([near[0], *rest], commands)
        return UsageError(f'there is no command "{word}"', shlex.join(["llmrr", near[0], *rest]))
    said = f'there is no command "{word}"; if it is a prompt, give it to run'
    return UsageError(said, f"llmrr run {shlex.join(args)}")


def no_such_option(
    args: Sequence[str], option: str, possibilities: Sequence[str] | None, help_line: str
) -> UsageError:
    """The error for an unknown option, where nothing better is known with the line that shows the
    options; a prompt that begins with ``-`` is answered with ``--``.

    >>> no_such_option(["run", "-5 plus 3"], "-5", None, "llmrr run --help").hint
    "llmrr run -- '-5 plus 3'"
    >>> no_such_option(["serve", "--draft=4"], "--draft", None, "llmrr serve --help").hint
    'llmrr serve --speculate N'
    """
    word = next((arg for arg in args if arg.startswith(option)), option)
    if re.search(r"\s", word) or re.match(r"-[\d.]", word):
        at = list(args).index(word)
        after = list(args[at + 1 :])
        # Options that follow the prompt must stand before the two dashes.
        moved = [*args[:at], *after, "--", word]
        kept = [*args[:at], "--", word, *after]
        words = moved if any(arg.startswith("-") for arg in after) else kept
        said = f'"{word}" begins with "-" and was read as an option; a prompt follows "--"'
        return UsageError(said, shlex.join(["llmrr", *words]))
    if args and args[0] == "bench" and option in LLAMA_BENCH:
        said = f'there is no option "{option}": that of llama-bench is called otherwise here'
        return UsageError(said, f"llmrr bench {LLAMA_BENCH[option]}")
    if args and args[0] == "serve" and (typed := word.partition("=")[0]) in SERVERS:
        said = f'there is no option "{typed}": llmrr serve has another way'
        return UsageError(said, SERVERS[typed])
    plain = option.lstrip("-").replace("-", "_").lower()
    name = parameters.FOREIGN.get(plain, plain)
    if args and args[0] in _OPTIONED and name in parameters.known_options():
        said = f'there is no option "{option}": it is set with -o'
        return UsageError(said, f"-o {name} VALUE")
    near = " or ".join(get_close_matches(option, possibilities or (), n=1, cutoff=0.0))
    said = f'there is no option "{option}"' + (f"; did you mean {near}?" if near else "")
    return UsageError(said, help_line)


def no_such_command(args: Sequence[str]) -> str | None:
    """The line to type for a word that no command of a group has; None where there is none.

    >>> no_such_command(["config", "get", "strategy"])
    'llmrr config show'
    >>> no_such_command(["config", "set", "serve.port", "80"])
    'llmrr config edit changes llmrr.toml; for one command: LLMRR_SERVE__PORT=VALUE llmrr …'
    """
    from llmrr import environment

    group, word, *rest = [*args, "", ""]
    line = GROUPED.get(group, {}).get(word)
    key = rest[0].partition("=")[0] if rest else ""
    known = settings.plain_settings()
    key = key if key in known and known[key].environment else "strategy"
    return line and line.format(environment.variable(key))


def extra_words(args: Sequence[str]) -> str | None:
    """The line to type for words too many; None where there is none.

    >>> extra_words(["pull", "owner/repo", "a.gguf"])
    'llmrr pull hf:owner/repo/a.gguf'
    >>> extra_words(["serve", "qwen3:4b"]) == SERVERS["-m"]
    True
    """
    if args and args[0] == "serve":
        return _EVERY_MODEL
    words = [arg for arg in args if not arg.startswith("-")]
    if len(words) == 3 and words[0] == "pull" and re.fullmatch(r"[\w.-]+/[\w.-]+", words[1]):
        return shlex.join(["llmrr", "pull", f"hf:{words[1]}/{words[2]}"])
    return None


_OPTIONED = ("run", "chat", "create", "embed", "bench")
_PROMPTING = ("generate", "ask", "prompt", "complete", "embeddings")


def _placeholder(verb: str) -> str:
    return '"…"' if verb in _PROMPTING else "MODEL"
