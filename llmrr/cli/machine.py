"""``llmrr probe`` and ``llmrr doctor``: this machine, and whether all is in place."""

from llmrr.cli import options, output, views


def probe(json: options.Json = False) -> None:
    """Show what this machine is.

    Processor, memory and accelerators, as far as they tell; what is unknown is a dash, in JSON
    null.
    """
    from llmrr import hardware

    output.show(hardware.probe(thorough=True), views.hardware, as_json=json)


def doctor(json: options.Json = False) -> None:
    """Check the installation; name what mends it.

    Ends with exit code 9 when something is broken.
    """
    from llmrr import doctor as checks

    found = checks.checks()
    output.show(found, views.checks, as_json=json)
    checks.require(found)
