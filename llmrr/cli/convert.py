"""``llmrr convert``: from one format to another, and to fewer bits."""

from typing import Annotated

import typer

from llmrr.cli import convert_views, converting, options, output, store_options
from llmrr.router import Router

To = Annotated[
    str,
    typer.Option(
        "--to", metavar="FORMAT", help="gguf, onnx, mlx or safetensors.",
        autocompletion=lambda: converting.TARGETS,
    ),
]
Result = Annotated[
    str | None,
    typer.Option(
        "--output", "-O", metavar="PATH",
        help="Write the result there (default: keep it as an installed model).",
    ),
]


def convert(
    source: store_options.NamedOrHub,
    to: To,
    quant: Annotated[
        str | None,
        typer.Option(
            "--quant", metavar="TYPE",
            help="Of GGUF f32, f16, bf16, q8_0, Q4_K_M, ...; of ONNX fp32, fp16, int8, q4; of MLX "
            "4bit, 8bit, mxfp4, ...; of safetensors f32, f16, bf16 (default: as fine as the "
            "source).",
        ),
    ] = None,
    output_path: Result = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME[:TAG]", help="What it is called when it is kept."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config", metavar="DIR",
            help="The folder with config.json and tokenizer, for weights that lie alone.",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="DIR",
            help="The model that a LoRA adapter is for (default: the one that it names, if it is "
            "here).",
        ),
    ] = None,
    imatrix: Annotated[
        str | None,
        typer.Option("--imatrix", metavar="FILE", help="Quantize GGUF by this importance matrix."),
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(
            "--calibrate", metavar="FILE", help="Compute the importance matrix from this text."
        ),
    ] = None,
    tensor_type: Annotated[
        list[str] | None,
        typer.Option(
            "--tensor-type", metavar="REGEX=TYPE",
            help="Quantize the tensors whose names match to this type. Repeatable.",
        ),
    ] = None,
    output_tensor_type: Annotated[
        str | None,
        typer.Option("--output-tensor-type", metavar="TYPE", help="The type of the output matrix."),
    ] = None,
    token_embedding_type: Annotated[
        str | None,
        typer.Option("--token-embedding-type", metavar="TYPE", help="That of the token table."),
    ] = None,
    pure: Annotated[
        bool, typer.Option("--pure", help="All matrices of one type, without mixtures.")
    ] = False,
    keep_split: Annotated[
        bool, typer.Option("--keep-split", help="As many files as the source has.")
    ] = False,
    allow_requantize: Annotated[
        bool,
        typer.Option("--allow-requantize", help="Also of what is quantized already; that loses."),
    ] = False,
    bits: Annotated[
        int | None,
        typer.Option("--bits", metavar="N", min=2, max=8, help="Of MLX: bits per weight."),
    ] = None,
    group_size: Annotated[
        int | None,
        typer.Option("--group-size", metavar="N", min=1, help="Weights that share a scale."),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option("--mode", metavar="MODE", help="Of MLX: affine, mxfp4, nvfp4 or mxfp8."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="TASK", help="Of ONNX: what the graph is for."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", min=1, help="How many threads quantize.")
    ] = None,
    no_verify: Annotated[
        bool,
        typer.Option("--no-verify", help="Do not check the result; its metadata will say so."),
    ] = False,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Convert a model to another format, or quantize it.

    One plan of several steps where it takes them, of which --dry-run prints bytes, memory and time.
    The result is checked against its source, by tokens, tensors and logits, before it gets its
    name; of one that fails nothing is left, and the exit code is 9.
    """
    asked = converting.Asked(
        source, to, quant, output_path, name, config, not no_verify, yes,
        dict(
            base=base, imatrix=imatrix, calibrate=calibrate, overrides=tensor_type,
            output_tensor_type=output_tensor_type, token_embedding_type=token_embedding_type,
            pure=pure, keep_split=keep_split, allow_requantize=allow_requantize, bits=bits,
            group_size=group_size, mode=mode, task=task, threads=threads,
        ),
    )  # fmt: skip
    with Router(warn=output.note) as router:
        found = converting.planned(router, asked)
        if dry_run:
            return output.show(converting.plan_facts(found), convert_views.plan, as_json=json)
        done = converting.carry_out(router, found, asked)
        output.show(done, convert_views.done, as_json=json)
