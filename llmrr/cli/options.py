"""The options that commands share: one flag has one name, one meaning and one wording. Those of
keeping models are in ``store_options``, those of ``llmrr migrate`` in ``migrate_options``."""

from typing import Annotated, Any

import typer

from llmrr.cli.names import (
    engine_names,
    model_names,
    need_words,
    option_names,
    strategy_names,
    template_names,
)
from llmrr.errors import UsageError


def _a_name(model: str | None) -> str | None:
    if model is not None and not model.strip():
        raise UsageError("-m names no model: it is empty", "llmrr list")
    return model


def _a_time(value: str | None) -> str | None:
    from llmrr.kinds import KEEPALIVE, parse_keepalive

    try:
        parse_keepalive(value or "0")
    except ValueError:
        raise UsageError(
            f'--keepalive "{value}" is not {KEEPALIVE.expected}', "--keepalive 10m"
        ) from None
    return value


Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="The model: a name from `llmrr list`, a source such as builtin:mini or "
        "openai:gpt-4o-mini, or a GGUF file.",
        autocompletion=model_names,
        callback=_a_name,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL]...", help="The models (default: the one that answers by default).",
        show_default=False, autocompletion=model_names,
    ),
]  # fmt: skip
System = Annotated[
    str | None, typer.Option("--system", "-s", metavar="TEXT", help="The system prompt.")
]
Files = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="Add a text file, fenced with its name; - is stdin. Repeatable.",
    ),
]
Attachments = Annotated[
    list[str] | None,
    typer.Option(
        "--attach",
        "-a",
        metavar="FILE",
        help="Attach an image (PNG, JPEG, GIF, WebP) or a text file; an address of an image; - is "
        "stdin. Repeatable.",
    ),
]
TextFiles = Annotated[
    list[str] | None,
    typer.Option("--file", "-f", metavar="FILE", help="A file whose lines are texts. Repeatable."),
]
Tools = Annotated[
    list[str] | None,
    typer.Option(
        "--tool",
        metavar="FILE.py",
        help="Offer the functions of a Python file, which is run, as tools; each call is asked "
        "for, unless -y. Repeatable.",
    ),
]
Template = Annotated[
    str | None,
    typer.Option(
        "--template",
        "-t",
        metavar="NAME",
        help="Use [templates.NAME] of llmrr.toml.",
        autocompletion=template_names,
    ),
]
TemplateValues = Annotated[
    list[str] | None,
    typer.Option("--param", "-P", metavar="NAME VALUE", help="Fill {NAME} of the template."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY VALUE",
        help="Any sampling or loading option; Ollama's and llama.cpp's names are understood.",
        autocompletion=option_names,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-O",
        metavar="FILE",
        help="Write the answer to FILE, all of it or nothing; - is stdout.",
    ),
]
Continue = Annotated[
    bool, typer.Option("--continue", "-c", help="Continue the last conversation.")
]
Conversation = Annotated[
    str | None, typer.Option("--cid", metavar="ID", help="Continue the conversation with this id.")
]
Extract = Annotated[
    bool, typer.Option(
        "--extract", "-x", help="Print only the first code block of the answer, also in --json."
    ),
]
NoLog = Annotated[
    bool, typer.Option("--no-log", "-n", help="Do not record the prompt and the answer.")
]
MaxTokens = Annotated[
    int | None,
    typer.Option("--max-tokens", metavar="N", min=1, help="Stop after N tokens."),
]
Temperature = Annotated[
    float | None,
    typer.Option("--temperature", metavar="X", min=0.0, help="0 always takes the likeliest token."),
]
TopP = Annotated[
    float | None,
    typer.Option(
        "--top-p", metavar="X", min=0.0, max=1.0, help="Choose among the likeliest X of the mass."
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", help="Make the random choices repeatable; -1 is random."),
]
ContextSize = Annotated[
    int | None,
    typer.Option("--ctx-size", metavar="N", min=1, help="Context in tokens (default: as needed)."),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="NAME",
        help="Run it with this engine (default: the one for its format).",
        autocompletion=engine_names,
    ),
]
Keepalive = Annotated[
    str | None,
    typer.Option(
        "--keepalive", metavar="TIME",
        help="How long the model stays loaded for the next run: 10m, seconds, 0 for not at all, "
        "-1 until llmrr stop (default: `keepalive`); llmrr serve heeds it, too.",
        callback=_a_time,
    ),
]
Strategy = Annotated[
    str | None,
    typer.Option(
        "--strategy", metavar="NAME",
        help="How one of the [[models]] is chosen: balanced, quality-first, speed-priority, ...",
        autocompletion=strategy_names,
    ),
]
Fallback = Annotated[
    list[str] | None,
    typer.Option(
        "--fallback", metavar="MODEL",
        help="Ask this model where the others fail. Repeatable, in that order.",
        autocompletion=model_names,
    ),
]
Need = Annotated[
    list[str] | None,
    typer.Option(
        "--need", metavar="WORD",
        help="Only models that can do this: images, tools, schema, or a tag of theirs. With "
        "embedding, route shows where embed would go. Repeatable.",
        autocompletion=need_words,
    ),
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache", help="Ask anew, also where the answer to the same request was kept."
    ),
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Tell on stderr why this model, and why not the others.")
]
Schema = Annotated[
    str | None,
    typer.Option(
        "--schema",
        metavar="SCHEMA",
        help="Answer with JSON of this shape: a JSON Schema, a file, or 'name, age int, tags[]'.",
    ),
]
Grammar = Annotated[
    str | None,
    typer.Option(
        "--grammar",
        metavar="GRAMMAR",
        help="Answer by this grammar, a file (GBNF or Lark) or GBNF text.",
    ),
]
Raw = Annotated[
    bool, typer.Option("--raw", help="Send the text as it is, without the chat template.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NoStream = Annotated[
    bool, typer.Option("--no-stream", help="Print the answer when it is complete.")
]
ThinkLevel = Annotated[
    str | None,
    typer.Option(
        "--think",
        metavar="LEVEL",
        help="How much a reasoning model thinks: off, low, medium or high.",
        autocompletion=lambda: ["off", "low", "medium", "high"],
    ),
]
HideThinking = Annotated[
    bool, typer.Option("--hide-thinking", help="Do not show the reasoning on the terminal.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Tell context size, tokens and timings on stderr.")
]
Last = Annotated[int | None, typer.Option("--last", metavar="N", min=1, help="Only the last N.")]
Query = Annotated[
    str | None, typer.Option("--query", "-q", metavar="TEXT", help="Only those that contain TEXT.")
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Since then: 90m, 24h, 7d, or 2026-01-31."),
]


def kept(keepalive: str | None) -> dict[str, Any]:
    """The setting that --keepalive is, where it is given."""
    return {} if keepalive is None else {"keepalive": keepalive}


DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Ray = Annotated[
    bool,
    typer.Option(
        "--ray",
        help="Answer on a Ray cluster: the one of RAY_ADDRESS, else one of this machine alone.",
    ),
]
Replicas = Annotated[
    str | None,
    typer.Option(
        "--replicas", metavar="MIN:MAX",
        help="With --ray: how many replicas hold the models (default: 1).",
    ),
]
