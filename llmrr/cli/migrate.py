"""`llmrr migrate`: bring over what runs today, with a plan, a proof and a way back."""

from llmrr.cli import migrate_options, options, scanning
from llmrr.cli.options import group

migrate = group("Bring over what you run today: a plan, a proof, and a way back.")



@migrate.callback()
def _migrate() -> None:
    """Bring over what you run today: a plan, a proof, and a way back."""


# -- scan ------------------------------------------------------------------------------------------


@migrate.command("scan")
def scan(
    paths: migrate_options.Paths,
    kind: migrate_options.From = None,
    only: migrate_options.Only = None,
    skip: migrate_options.Skip = None,
    json: options.Json = False,
) -> None:
    """Find what other tools say of models, and what of it can be taken along.

    Files are told by their content, not by their names. Nothing is run, imported or fetched, and
    no key is repeated.
    """
    found = scanning.look(paths, kind, only or (), skip or (), json=json)
    scanning.finish(found, paths)


# -- plan ------------------------------------------------------------------------------------------

# -- apply, rollback, status -----------------------------------------------------------------------

# -- check, note, report ---------------------------------------------------------------------------

# -- validate, promote, demote ---------------------------------------------------------------------

# -- cache -----------------------------------------------------------------------------------------
