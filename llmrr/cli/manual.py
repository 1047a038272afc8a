"""Manual pages in the man(7) macros, made from the tree of commands, the table of settings and the
error tree. Pure, but for the import of every command."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from typer._click.core import Command, Context, Parameter
from typer.core import TyperGroup

from llmrr import __version__
from llmrr.cli import slash, tree
from llmrr.config import SETTINGS, Spec
from llmrr.errors import error_types

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "llmrr": (
        ('llmrr run "What is the capital of France?"', "Ask the built-in model."),
        ("llmrr pull qwen3:4b", "Fetch a real one; from then on it answers."),
        ('llmrr run -m ./model.gguf "Tell me a story."', "Ask a model file of your own."),
    ),
    "keys": (
        ("llmrr keys set OPENAI_API_KEY", "Ask for the key, without showing it."),
        ("printenv OPENAI_API_KEY | llmrr keys set OPENAI_API_KEY", "Keep what a variable holds."),
        ("llmrr keys list", "The names, and where each key lies."),
    ),
    "pull": (
        ("llmrr pull qwen3:4b", "A short name; the repository is told."),
        ("llmrr pull bartowski/Llama-3.2-3B-Instruct-GGUF", "The best quantization that fits."),
        ("llmrr pull owner/repo:Q4_K_M@v1.0", "A quantization, at a revision."),
        ("llmrr pull hf:owner/repo/model-q4.gguf", "One file (all parts of a split one)."),
        ("llmrr pull owner/repo --dry-run", "Files and bytes, and nothing else."),
    ),
    "search": (("llmrr search qwen coder", "The most downloaded first."),),
    "list": (
        ("llmrr list --all --sort size", "With what other tools hold, the largest first."),
        ("llmrr list 'qwen*' --json", "Those of that name, as JSON."),
    ),
    "show": (
        ("llmrr show ./model.gguf", "A file that is not installed."),
        ("llmrr show ./pytorch_model.bin", "What loading that pickle would import."),
        ("llmrr show qwen3:4b --modelfile > Modelfile", "To make it anew."),
    ),
    "fit": (
        ("llmrr fit owner/repo", "Every quantization, before any is fetched."),
        ("llmrr fit qwen3:4b --ctx-size 32768 --kv-type q8_0", "With these settings."),
    ),
    "rm": (("llmrr rm -y qwen3:4b", "Without being asked."),),
    "cp": (("llmrr cp qwen3:4b assistant", "Both names stand for the same file."),),
    "create": (
        ("llmrr create brief --from qwen3:4b -s 'Be brief.' -o temperature 0.2", "By options."),
        ("llmrr create pirate -f Modelfile", "By an Ollama Modelfile."),
    ),
    "import": (
        ("llmrr import ./model.gguf --name mine", "Where it lies."),
        ("llmrr import --from ollama", "All that Ollama holds, where it lies."),
        ("llmrr import --from folder ~/models --dry-run", "Only list what is there."),
        ("llmrr import qwen3--4b.tar", "What llmrr export wrote."),
    ),
    "export": (("llmrr export qwen3:4b -O /media/stick/qwen3.tar", "To carry it."),),
    "convert": (
        ("llmrr convert ./folder --to gguf -O model.gguf", "From Hugging Face's layout."),
        ("llmrr convert model.gguf --to gguf --quant Q4_K_M -O small.gguf", "To fewer bits."),
        ("llmrr convert legacy-model.pkl --config ./folder --to onnx --dry-run", "What it takes."),
    ),
    "prune": (("llmrr prune --dry-run", "What would be removed."),),
    "run": (
        ("llmrr run ./model.gguf why is the sky blue", "The model may stand before the prompt."),
        ('journalctl -b | llmrr run "what broke?" > report.md', "Text on stdin joins the prompt."),
        ('llmrr run -f a.py -f b.py "What differs?"', "Files are fenced with their names."),
        ('llmrr run -m openai:gpt-4o-mini -a photo.jpg "What is this?"', "An image."),
        (
            "llmrr run --schema 'name, age int, tags[]' --json \"Invent someone.\"",
            "The answer is JSON of that shape.",
        ),
        ('llmrr run -x "A shell line that counts files" | sh', "Only the code of the answer."),
        ('llmrr run -c "And in Spain?"', "Go on with the last conversation."),
        ("llmrr run --strategy quality-first --fallback builtin:mini hi", "Choose, and fall back."),
        ("llmrr run -- -5 plus 3", "A prompt that begins with a dash."),
        ('llmrr run -m anthropic:claude-sonnet-4-5 "Hello"', "Ask a provider; ANTHROPIC_API_KEY."),
        (
            "llmrr run -m openai:x -o base_url http://127.0.0.1:8080/v1 Hello",
            "A server of your own that speaks OpenAI's protocol.",
        ),
    ),
    "chat": (("llmrr chat ./model.gguf -s 'Answer in one sentence.'", "Begin a conversation."),),
    "optimize": (
        ("llmrr optimize", "What the runs of the last week say, and what they propose."),
        ("llmrr optimize --since 30d --write", "Look further back, and change the file."),
        ("llmrr config rollback", "Undo that."),
    ),
    "route": (
        ('llmrr route "Write a function that sorts"', "The models, and why this one."),
        ("llmrr route --strategy speed-priority --need code < prompt.txt", "As run would choose."),
        ("llmrr route -m chat --json hello | jq .rejected", "Within the group chat, as JSON."),
    ),
    "embed": (("llmrr embed -m ./model.gguf -f lines.txt > vectors.jsonl", "One vector a line."),),
    "logs": (("llmrr logs -q France --last 5", "The last five runs that mention France."),),
    "stats": (
        ("llmrr stats --since 7d --json", "The figures of a week."),
        ("llmrr stats --diagnose", "What keeps models from answering, too."),
    ),
    "completion": (
        ('eval "$(llmrr completion bash)"', "In ~/.bashrc; with zsh in ~/.zshrc."),
        ("llmrr completion fish > ~/.config/fish/completions/llmrr.fish", "For fish."),
    ),
    "doctor": (("llmrr doctor || echo broken", "Ends with 9 when something is broken."),),
}
OTHER_CODES = {
    0: "Done; also when the reader of a pipe has had enough.",
    70: "A bug in llmrr; a traceback is printed.",
    130: "Interrupted.",
}
ENVIRONMENT = {
    "LLMRR_HOME": "One folder for configuration, data and caches, in place of the usual ones.",
    "LLMRR_DEBUG": "When set, every error is printed with its traceback.",
    "HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME": "Where fetched models are kept, shared with "
    "all Hugging Face tools.",
    "HF_ENDPOINT": "The address of the hub, or of a mirror.",
    "HF_TOKEN": "For gated and private models.",
    "HF_HUB_OFFLINE": "With 1, on, yes or true, nobody is asked.",
    "OLLAMA_MODELS": "Where Ollama keeps its models.",
    "OLLAMA_HOST": "Where Ollama's server is asked for what is not on this disk.",
    "OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, AZURE_OPENAI_API_KEY, CO_API_KEY, ...":
    "The keys of the providers, each under the name that the provider's own client has for it. "
    "They come before those of env_file and of llmrr keys set.",
    "OPENAI_BASE_URL, ANTHROPIC_BASE_URL, AZURE_OPENAI_ENDPOINT": "Other addresses of these "
    "providers. Their keys go there too.",
    "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY": "Proxies on the way to providers.",
    "SSL_CERT_FILE": "The certificates that are trusted.",
    "FF_NEW_ROUTING": "With true, the strategy is quality-first where the call names none.",
    "FF_NEW_CACHING": "With true, answers are kept in the cache for an hour.",
    "FF_NEW_MODELS": "With true, one of the [[models]] llama-2-13b and mixtral-8x7b is chosen. A "
    "flag with one of these variables replaces what it does: see [flags] in llmrr.toml(5).",
    "LOCALAI_MODELS_PATH, MODELS_PATH": "Where LocalAI keeps its models.",
    "NO_COLOR": "When set, nothing is coloured and no progress is shown.",
    "VISUAL, EDITOR": "The program that llmrr config edit starts.",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A manual page: ``name`` and ``section`` make its file name."""

    name: str
    section: int
    body: tuple[str, ...]

    @property
    def file(self) -> str:
        """Where it lies below ``man/``."""
        return f"man{self.section}/{self.name}.{self.section}"

    def text(self, date: str) -> str:
        """The page in roff; ``date`` is that of the version."""
        title = f'.TH "{self.name.upper()}" "{self.section}" "{date}" "llmrr {__version__}"'
        note = '.\\" Generated from the commands and tables of llmrr; python -m llmrr.cli.docs'
        return "\n".join([note, title, *self.body]) + "\n"


def pages() -> tuple[Page, ...]:
    """All of them: llmrr(1), one per command, llmrr.toml(5), llmrr-errors(7)."""
    root = tree.root()
    commands = [(name, root.commands[name]) for name in tree.visible()]
    return (
        Page("llmrr", 1, tuple(_overview(root, commands))),
        *(Page(f"llmrr-{name}", 1, tuple(_command(name, found))) for name, found in commands),
        Page("llmrr.toml", 5, tuple(_settings())),
        Page("llmrr-errors", 7, tuple(_errors())),
    )


def _overview(root: TyperGroup, commands: Sequence[tuple[str, Command]]) -> Iterator[str]:
    summary, described = _described(root)
    yield from (".SH NAME", f"llmrr \\- {roff(_lowered(summary))}", ".SH SYNOPSIS")
    yield from (".B llmrr", ".I COMMAND", "[options] [arguments]")
    yield from (".SH DESCRIPTION", roff(summary), *described)
    yield ".SH COMMANDS"
    for name, command in commands:
        yield from _item(f"{_bold(f'llmrr-{name}')}(1)", _described(command)[0])
    yield from (".SH OPTIONS", *_options(root, "llmrr"), *_examples("llmrr"))
    yield ".SH ENVIRONMENT"
    for variable, meaning in ENVIRONMENT.items():
        yield from _item(_bold(variable), meaning)
    settings = "LLMRR_ followed by the name of a setting sets it: see llmrr.toml(5)."
    yield from (".PP", roff(settings), ".SH EXIT STATUS", *_exit_codes())
    yield from _see_also("llmrr.toml(5)", "llmrr-errors(7)")


def _command(name: str, command: Command) -> Iterator[str]:
    summary, described = _described(command)
    path = f"llmrr {name}"
    yield from (".SH NAME", f"llmrr\\-{roff(name)} \\- {roff(_lowered(summary))}", ".SH SYNOPSIS")
    yield from _synopsis(command, path)
    for sub, found in _subcommands(command):
        yield from (".br", *_synopsis(found, f"{path} {sub}"))
    yield from (".SH DESCRIPTION", roff(summary), *described)
    yield from _section("ARGUMENTS", _arguments(command, path))
    yield from _section("OPTIONS", _options(command, path))
    for sub, found in _subcommands(command):
        about, more = _described(found)
        yield from (f".SH {roff(path.upper())} {roff(sub.upper())}", roff(about), *more)
        yield from _arguments(found, f"{path} {sub}")
        yield from _options(found, f"{path} {sub}")
    if name == "chat":
        yield ".SH COMMANDS OF A CONVERSATION"
        for _, usage, text in slash.COMMANDS.values():
            yield from _item(_bold(usage), text)
    yield from _examples(name)
    yield from (".SH EXIT STATUS", "0 when done; the others are in", ".BR llmrr\\-errors (7).")
    yield from _see_also("llmrr(1)", "llmrr.toml(5)", "llmrr-errors(7)")


def _settings() -> Iterator[str]:
    yield from (".SH NAME", "llmrr.toml \\- the configuration of llmrr", ".SH DESCRIPTION")
    yield from _paragraphs(
        "llmrr.toml is looked for in the working directory and above it (the project's file), then "
        "in the user's configuration directory, which `llmrr config path` prints. A value comes "
        "from the first of these that states it: the command line, the environment, the project's "
        "file, the user's file, the default. `llmrr config show` prints which one did, "
        "`llmrr config check` what is wrong.\n\n"
        "In the environment a setting is LLMRR_ and its name in capitals, two underscores for each "
        "dot: LLMRR_LOG_PROMPTS, LLMRR_ENGINES__LLAMACPP__THREADS. A list of names is written as "
        "in the file, or with commas: LLMRR_FALLBACK_CHAIN='[\"one\", \"two\"]', or one,two. Those "
        "of models and templates are only in files. What a program states, as "
        "Router(strategy=…), comes where the command line does: over all of these. Over it are "
        "only MIGRATION_MODE and the variables of flags.\n\n"
        "An unknown key is an error that names the nearest known one.\n\n"
        "A process that goes on, as a chat or a program, reads a file that changed again: a "
        "request sees a change that is a second old. Where it cannot be used, the last good "
        "configuration stays in use, and a warning says why."
    )
    table = None
    for spec in SETTINGS:
        if spec.table != table:
            table = spec.table
            yield f".SH {roff(_heading(table))}"
        yield from _setting(spec)
    yield from (".SH EXAMPLE", ".nf", *map(roff, EXAMPLE_TOML.splitlines()), ".fi")
    yield from _see_also("llmrr(1)", "llmrr-config(1)")


EXAMPLE_TOML = """version = 1

strategy = "balanced"
fallback_chain = ["assistant", "small"]

[[models]]
name = "assistant"
source = "file:./models/assistant.gguf"
priority = 1
tags = ["chat", "code"]
params = { temperature = 0.7, max_tokens = 1000 }
options = { context_size = 8192 }

[[models]]
name = "small"
source = "builtin:mini"
priority = 2

[templates.qa]
template = "Context: {context}\\nQuestion: {input}"
"""


def _errors() -> Iterator[str]:
    yield from (".SH NAME", "llmrr\\-errors \\- what can go wrong, and the exit codes")
    yield ".SH DESCRIPTION"
    yield from _paragraphs(
        "An error is one sentence with the value that was wrong, then a hint with the command or "
        "the edit that mends it, on stderr. With --json it is on stdout instead: an object "
        "{error: {type, message, hint, exit_code}}. LLMRR_DEBUG=1 adds the traceback."
    )
    yield from (".SH EXIT STATUS", *_exit_codes(), ".SH TYPES")
    for kind in error_types():
        about = " ".join((kind.__doc__ or "").split())
        yield from _item(f"{_bold(kind.__name__)} ({kind.exit_code})", about)
    yield from _see_also("llmrr(1)")


def _exit_codes() -> Iterator[str]:
    codes = dict(OTHER_CODES)
    for kind in error_types():
        codes.setdefault(kind.exit_code, " ".join((kind.__doc__ or "").split()))
    for code, meaning in sorted(codes.items()):
        yield from _item(_bold(str(code)), meaning)


def _setting(spec: Spec) -> Iterator[str]:
    default = "" if spec.default is None else f" The default is {_toml(spec.default)}."
    yield from _item(_bold(spec.leaf), f"{spec.doc} Takes {spec.kind.expected}.{default}")
    yield from (".br", f"Example: {roff(f'{spec.leaf} = {spec.example}')}")


def _heading(table: str) -> str:
    if not table:
        return "SETTINGS AT THE TOP"
    first, _, rest = table.partition(".")
    return f"[[{first[:-2]}]] {rest}".strip() if first.endswith("[]") else f"[{table}]"


def _toml(value: object) -> str:
    from llmrr.config import toml_text

    return toml_text(value)


def _described(command: Command) -> tuple[str, tuple[str, ...]]:
    summary, _, rest = (command.help or "").partition("\n")
    return summary.strip(), tuple(_paragraphs(rest, first=False))


def _paragraphs(text: str, *, first: bool = True) -> Iterator[str]:
    for at, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if paragraph.strip():
            if at or not first:
                yield ".PP"
            yield roff(" ".join(paragraph.split()))


def _synopsis(command: Command, path: str) -> Iterator[str]:
    pieces = command.collect_usage_pieces(_context(command, path))
    yield f"\\fB{roff(path)}\\fR {roff(' '.join(pieces))}".rstrip()


def _context(command: Command, path: str) -> Context:
    return Context(command, info_name=path, help_option_names=["-h", "--help"])


def _subcommands(command: Command) -> Iterable[tuple[str, Command]]:
    return command.commands.items() if isinstance(command, TyperGroup) else ()


def _arguments(command: Command, path: str) -> list[str]:
    lines: list[str] = []
    for param in _params(command, path, "argument"):
        name = param.metavar or str(param.name).upper()
        lines += _item(f"\\fI{roff(name)}\\fR", getattr(param, "help", None) or "")
    return lines


def _options(command: Command, path: str) -> list[str]:
    lines: list[str] = []
    for param in _params(command, path, "option"):
        flags = ", ".join(_bold(flag) for flag in sorted(param.opts, key=len))
        value = f" \\fI{roff(param.metavar)}\\fR" if param.metavar else ""
        lines += _item(flags + value, (getattr(param, "help", None) or "") + _default(param))
    return lines


def _default(param: Parameter) -> str:
    default = param.default
    if default is None or isinstance(default, bool) or not isinstance(default, int | float | str):
        return ""
    return f" The default is {default}."


def _params(command: Command, path: str, kind: str) -> Iterator[Parameter]:
    for param in command.get_params(_context(command, path)):
        if param.param_type_name == kind and not getattr(param, "hidden", False):
            yield param


def _section(title: str, lines: list[str]) -> list[str]:
    return [f".SH {title}", *lines] if lines else []


def _examples(name: str) -> Iterator[str]:
    if name in EXAMPLES:
        yield ".SH EXAMPLES"
        for line, about in EXAMPLES[name]:
            yield from (".TP", roff(about), _bold(line))


def _see_also(*names: str) -> Iterator[str]:
    yield ".SH SEE ALSO"
    references = [re.fullmatch(r"(.+)(\(\d\))", name) for name in names]
    yield ",\n".join(f".BR {roff(m[1])} {m[2]}" for m in references if m).replace(",\n", " ,\n")


def _item(term: str, text: str) -> tuple[str, ...]:
    return (".TP", term, roff(text) or "\\&")


def _bold(text: str) -> str:
    return f"\\fB{roff(text)}\\fR"


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def roff(text: str) -> str:
    r"""Text as roff source: nothing in it is a request or an escape.

    >>> print(roff(".x --json C:\\n"))
    \&.x \-\-json C:\en
    """
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    escaped = escaped.replace("\N{HORIZONTAL ELLIPSIS}", "\\&...")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
