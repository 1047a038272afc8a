"""``llmrr probe`` and ``llmrr doctor``: this machine, and whether all is in place."""

from typing import Annotated

import typer

from llmrr.cli import options, output, preparing, views


def probe(json: options.Json = False) -> None:
    """Show what this machine is.

    Processor, memory and accelerators, as far as they tell; what is unknown is a dash, in JSON
    null.
    """
    from llmrr import hardware

    output.show(hardware.probe(thorough=True), views.hardware, as_json=json)


def doctor(
    install: Annotated[
        str | None,
        typer.Option(
            "--install", metavar="NAME",
            help="Prepare what some commands need: onnx-export, for convert --to onnx.",
            autocompletion=lambda: ["onnx-export"],
        ),
    ] = None,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Check the installation; name what mends it.

    Ends with exit code 9 when something is broken. With --install an environment is made that one
    command needs and that cannot stand beside the rest.
    """
    from llmrr import doctor as checks

    if install is not None:
        return output.show(preparing.prepare(install, yes=yes), preparing.lines, as_json=json)
    found = checks.checks()
    output.show(found, views.checks, as_json=json)
    checks.require(found)
