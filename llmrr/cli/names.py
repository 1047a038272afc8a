"""Names of models for the completion of a shell: quick, quiet, and never an error."""


def model_names(incomplete: str) -> list[tuple[str, str]]:
    """The models whose name begins with ``incomplete``, each with its source. No file but the
    configuration is read: this runs at every TAB."""
    from contextlib import suppress

    from llmrr import config

    found = [("builtin:mini", "the small model that ships inside")]
    # A broken configuration must not print into the line that is being typed.
    with suppress(Exception):
        found = [(model.name, model.source) for model in config.load().models] + found
    return [(name, what) for name, what in found if name.startswith(incomplete)]
