"""Names of models for the completion of a shell: quick, quiet, and never an error."""


def model_names(incomplete: str) -> list[tuple[str, str]]:
    """The models whose name begins with ``incomplete``, each with what it is."""
    from contextlib import suppress

    from llmrr.router import Router

    # A broken configuration must not print into the line that is being typed.
    with suppress(Exception):
        router = Router(warn=lambda text: None)
        found = [(model.name, f"{model.format} {model.quant or ''}") for model in router.models()]
        return [(name, what.strip()) for name, what in found if name.startswith(incomplete)]
    return []
