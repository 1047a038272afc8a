"""Options that the commands of ``llmrr migrate`` share."""

from typing import Annotated

import typer


def _kinds(incomplete: str) -> list[str]:
    """The kinds of artefact whose name begins so."""
    from llmrr.migrate.artefact import KINDS

    return [name for name in KINDS if name.startswith(incomplete)]


Paths = Annotated[
    list[str],
    typer.Argument(metavar="PATH", help="Files, folders, repositories or a home directory."),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="KIND", help="Read everything as this kind of file, such as litellm; "
        "custom goes by the names of fields.", autocompletion=_kinds,
    ),
]  # fmt: skip
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="GLOB", help="Look at files of this pattern alone. Repeatable."),
]
Skip = Annotated[
    list[str] | None,
    typer.Option("--skip", metavar="GLOB", help="Leave out files and folders of this pattern. "
                 "Repeatable."),
]  # fmt: skip
MaxLatency = Annotated[
    float | None,
    typer.Option("--max-latency", metavar="MS", min=0, help="An answer takes at most this long."),
]
MaxCost = Annotated[
    float | None,
    typer.Option("--max-cost", metavar="DOLLARS", min=0, help="1,000 tokens cost at most this."),
]
MinAvailability = Annotated[
    str | None,
    typer.Option("--min-availability", metavar="SHARE",
                 help="At least this share of the requests is answered: 99%, or 0.99."),
]  # fmt: skip
Throughput = Annotated[
    float | None,
    typer.Option("--throughput", metavar="N", min=0, help="At least so many requests a minute."),
]
Candidates = Annotated[
    list[str] | None,
    typer.Option("--candidates", metavar="REPO", help="A repository that could be used instead: "
                 "its size is told beside that of the installed models. Repeatable."),
]  # fmt: skip
Report = Annotated[
    str | None,
    typer.Option("--output", "-O", metavar="FILE", help="Write it into FILE, as Markdown, too."),
]
SomePaths = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PATH]...", help="Files, folders, repositories, or a home directory."),
]
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="FILE", help="What is written (default: ./llmrr.toml)."),
]
OnlyWhat = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="PATTERN",
        help="Only these paths, kinds of artefacts, or models. Repeatable.",
    ),
]
SkipWhat = Annotated[
    list[str] | None,
    typer.Option("--skip", metavar="PATTERN", help="Without these. Repeatable."),
]
Replace = Annotated[
    list[str] | None,
    typer.Option(
        "--replace", metavar="OLD=NEW",
        help="Another model in the place of one, as openai:gpt-4o=huggingface:owner/repo. "
        "Repeatable.",
    ),
]
AsFiles = Annotated[
    bool, typer.Option("--as-files", help="Name the files of Ollama's models, in place.")
]
NewStrategy = Annotated[
    str | None, typer.Option("--strategy", metavar="NAME", help="How a model is chosen.")
]
Mode = Annotated[
    str | None,
    typer.Option(
        "--mode", metavar="MODE",
        help="Run both sides: hybrid, new-primary or legacy-primary. New is what replaces another "
        "model, else what runs on this machine; the rest is legacy.",
    ),
]
Rollout = Annotated[
    str | None,
    typer.Option(
        "--rollout", metavar="SHARE",
        help="This share of the conversations goes to the new side, as 10%; the rest to the other.",
    ),
]
Adopt = Annotated[
    bool,
    typer.Option(
        "--adopt",
        help="Add flags for caching, ensembles, balancing and costs, a week after each other.",
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--start", metavar="DATE",
        help="The first day of week 1 for --adopt; without it caching is on at once, and each "
        "other flag waits for: llmrr migrate promote --flag NAME.",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="A warning is a failure: exit code 9.")
]
PlanFile = Annotated[
    str | None,
    typer.Option("--plan", metavar="FILE", help="Apply a plan that was kept with -O."),
]
KeepPlan = Annotated[
    str | None, typer.Option("--output", "-O", metavar="FILE", help="Keep the plan in FILE.")
]
Merge = Annotated[
    bool, typer.Option("--merge", help="Add to the llmrr.toml that is there.")
]
Overwrite = Annotated[
    bool, typer.Option("--force", help="Begin a new llmrr.toml where there is one.")
]
Patched = Annotated[
    str | None,
    typer.Option(
        "--patch", metavar="[serve|library]",
        help="Print differences of the code that was found, for git apply: OpenAI and LangChain "
        "ask a server (--serve-url), or plain calls in Python ask llmrr as a library.",
    ),
]
ServeUrl = Annotated[
    str | None,
    typer.Option(
        "--serve-url", metavar="URL",
        help="The address for --patch (default: http://127.0.0.1:8313/v1).",
    ),
]
