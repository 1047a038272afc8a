"""Options that the commands share which keep models."""

from typing import Annotated

import typer

from llmrr.cli.names import model_names

Named = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A name from `llmrr list`, a source such as ollama:llama3.2, or a model file or "
        "folder.",
        autocompletion=model_names,
    ),
]
NamedOrHub = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A name from `llmrr list`, owner/repo of the hub, another source, or a model file or "
        "folder.",
        autocompletion=model_names,
    ),
]
NewName = Annotated[
    str | None,
    typer.Option(
        "--name", metavar="NAME[:TAG]",
        help="What it is called (default: by its file; of an archive, its own name).",
    ),
]
Quant = Annotated[
    str | None,
    typer.Option(
        "--quant", metavar="QUANT", help="Take this quantization or variant: Q4_K_M, fp16, ..."
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include", metavar="PATTERN", help="Only what matches, with * and ?. Repeatable."
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="PATTERN", help="Not what matches. Repeatable."),
]
Revision = Annotated[
    str | None,
    typer.Option("--revision", metavar="REVISION", help="A branch, a tag or a commit."),
]
LocalDir = Annotated[
    str | None,
    typer.Option("--local-dir", metavar="DIR", help="Fetch into this folder, not into the cache."),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        help="For gated and private models (better: HF_TOKEN, or hf auth login). Never stored.",
        show_default=False,
    ),
]
AllowPickle = Annotated[
    bool,
    typer.Option("--allow-pickle", help="Also fetch pickles, which are never loaded as they are."),
]
MaxWorkers = Annotated[
    int,
    typer.Option("--max-workers", metavar="N", min=1, max=64, help="So many files at once."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Ask nobody: only what is here already.")]
KvType = Annotated[
    str,
    typer.Option("--kv-type", metavar="TYPE", help="The type of the KV cache: f16, q8_0, ..."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a model of that name.")]
