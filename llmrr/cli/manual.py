"""Manual pages in the man(7) macros, made from the tree of commands, the table of settings and the
error tree. Pure, but for the import of every command."""

from collections.abc import Iterable, Iterator, Sequence

from typer._click.core import Command, Context, Parameter
from typer.core import TyperGroup

from llmrr.cli import slash, sources_page, tree
from llmrr.cli.manual_texts import ENVIRONMENT, EXAMPLE_TOML, EXAMPLES, OTHER_CODES
from llmrr.cli.roff import Page, bold, item, paragraphs, roff, see_also
from llmrr.config import SETTINGS, Spec
from llmrr.errors import error_types
from llmrr.migrate.codes import CODES


def pages() -> tuple[Page, ...]:
    """All of them: llmrr(1), one per command, llmrr.toml(5), llmrr-errors(7),
    llmrr-migrate-sources(7)."""
    root = tree.root()
    commands = [(name, root.commands[name]) for name in tree.visible()]
    return (
        Page("llmrr", 1, tuple(_overview(root, commands))),
        *(Page(f"llmrr-{name}", 1, tuple(_command(name, found))) for name, found in commands),
        Page("llmrr.toml", 5, tuple(_settings())),
        Page("llmrr-errors", 7, tuple(_errors())),
        sources_page.page(),
    )


def _overview(root: TyperGroup, commands: Sequence[tuple[str, Command]]) -> Iterator[str]:
    summary, described = _described(root)
    yield from (".SH NAME", f"llmrr \\- {roff(_lowered(summary))}", ".SH SYNOPSIS")
    yield from (".B llmrr", ".I COMMAND", "[options] [arguments]")
    yield from (".SH DESCRIPTION", roff(summary), *described)
    yield ".SH COMMANDS"
    for name, command in commands:
        yield from item(f"{bold(f'llmrr-{name}')}(1)", _described(command)[0])
    yield from (".SH OPTIONS", *_options(root, "llmrr"), *_examples("llmrr"))
    yield ".SH ENVIRONMENT"
    for variable, meaning in ENVIRONMENT.items():
        yield from item(bold(variable), meaning)
    settings = "LLMRR_ followed by the name of a setting sets it: see llmrr.toml(5)."
    yield from (".PP", roff(settings), ".SH EXIT STATUS", *_exit_codes())
    yield from see_also("llmrr.toml(5)", "llmrr-errors(7)")


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
            yield from item(bold(usage), text)
    yield from _examples(name)
    yield from (".SH EXIT STATUS", "0 when done; the others are in", ".BR llmrr\\-errors (7).")
    yield from see_also("llmrr(1)", "llmrr.toml(5)", "llmrr-errors(7)")


def _settings() -> Iterator[str]:
    yield from (".SH NAME", "llmrr.toml \\- the configuration of llmrr", ".SH DESCRIPTION")
    yield from paragraphs(
        "llmrr.toml is looked for in the working directory and above it (the project's file), then "
        "in the user's configuration directory, which `llmrr config path` prints. A value comes "
        "from the first of these that states it: the command line, the environment, the project's "
        "file, the user's file, the default. `llmrr config show` prints which one did, "
        "`llmrr config check` what is wrong.\n\n"
        "In the environment a setting is LLMRR_ and its name in capitals, two underscores for each "
        "dot: LLMRR_LOG_PROMPTS, LLMRR_ENGINES__LLAMACPP__THREADS. A list of names is written as "
        "in the file, or with commas: LLMRR_FALLBACK_CHAIN='[\"one\", \"two\"]', or one,two; a "
        "table as in the file. Those of models and templates are only in files. What a program "
        "states, as "
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
    yield from see_also("llmrr(1)", "llmrr-config(1)")


def _errors() -> Iterator[str]:
    yield from (".SH NAME", "llmrr\\-errors \\- what can go wrong, and the exit codes")
    yield ".SH DESCRIPTION"
    yield from paragraphs(
        "An error is one sentence with the value that was wrong, then a hint with the command or "
        "the edit that mends it, on stderr. With --json it is on stdout instead: an object "
        "{error: {type, message, hint, exit_code}}. LLMRR_DEBUG=1 adds the traceback."
    )
    yield from (".SH EXIT STATUS", *_exit_codes(), ".SH TYPES")
    for kind in error_types():
        about = " ".join((kind.__doc__ or "").split())
        yield from item(f"{bold(kind.__name__)} ({kind.exit_code})", about)
    yield ".SH WARNINGS OF A MIGRATION"
    yield roff("What llmrr migrate says of what cannot be taken along as it is, by its code.")
    for code, meaning in CODES.items():
        yield from item(bold(code), f"{meaning[:1].upper()}{meaning[1:]}.")
    yield from see_also("llmrr(1)")


def _exit_codes() -> Iterator[str]:
    codes = dict(OTHER_CODES)
    for kind in error_types():
        codes.setdefault(kind.exit_code, " ".join((kind.__doc__ or "").split()))
    for code, meaning in sorted(codes.items()):
        yield from item(bold(str(code)), meaning)


def _setting(spec: Spec) -> Iterator[str]:
    default = "" if spec.default is None else f" The default is {_toml(spec.default)}."
    yield from item(bold(spec.leaf), f"{spec.doc} Takes {spec.kind.expected}.{default}")
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
    return summary.strip(), tuple(paragraphs(rest, first=False))


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
        lines += item(f"\\fI{roff(name)}\\fR", getattr(param, "help", None) or "")
    return lines


def _options(command: Command, path: str) -> list[str]:
    lines: list[str] = []
    for param in _params(command, path, "option"):
        flags = ", ".join(bold(flag) for flag in sorted(param.opts, key=len))
        value = f" \\fI{roff(param.metavar)}\\fR" if param.metavar else ""
        lines += item(flags + value, (getattr(param, "help", None) or "") + _default(param))
    return lines


def _default(param: Parameter) -> str:
    default = param.default
    if isinstance(default, bool) or not isinstance(default, int | float | str) or default == "":
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
            yield from (".TP", roff(about), bold(line))


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")
