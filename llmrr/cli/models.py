"""``llmrr list``: the models that can be run."""

from llmrr.cli import options, output, views
from llmrr.router import Router


def list_models(json: options.Json = False) -> None:
    """List the models that can be run.

    Those of llmrr.toml first, the built-in model last.
    """
    with Router(warn=output.note) as router:
        output.show(router.models(), views.models, as_json=json)
