"""`llmrr migrate`: bring over what runs today, with a plan, a proof and a way back."""

from llmrr.cli import caching, proof
from llmrr.cli.options import group

migrate = group("Bring over what you run today: a plan, a proof, and a way back.")

# -- scan ------------------------------------------------------------------------------------------

# -- plan ------------------------------------------------------------------------------------------

# -- apply, rollback, status -----------------------------------------------------------------------

# -- check, note, report ---------------------------------------------------------------------------

# -- validate, promote, demote ---------------------------------------------------------------------

migrate.command()(proof.validate)
migrate.command()(proof.promote)
migrate.command()(proof.demote)

# -- cache -----------------------------------------------------------------------------------------

migrate.command()(caching.cache)
