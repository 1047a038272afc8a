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
