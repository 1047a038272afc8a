"""``llmrr doctor --install``: an environment of its own for what cannot stand beside the rest."""

from collections.abc import Iterator
from typing import TypedDict

from llmrr import doctor
from llmrr.cli import output, transfer
from llmrr.cli.layout import Page, size
from llmrr.errors import LlmrrError


class Prepared(TypedDict):
    """What is there then; ``path`` is None where it is the environment that runs this."""

    name: str
    path: str | None
    bytes: int | None
    made: bool


def prepare(name: str, *, yes: bool) -> Prepared:
    """Make the environment, once the user has agreed. Raises ``LlmrrError`` when he has not, and
    what ``environment.build`` does."""
    from llmrr.convert.onnx import environment

    recipe = doctor.installable(name)
    found = environment.place(recipe)
    if found is not None and not found.own:
        return {"name": name, "path": None, "bytes": None, "made": False}
    if found is None:
        if not yes:
            output.note(environment.question(recipe))
            if not output.confirm("Make it?", default=True):
                raise LlmrrError("nothing was made", "")
        with transfer.work() as told:
            environment.build(told, recipe)
    files = (one for one in recipe.folder.rglob("*") if one.is_file() and not one.is_symlink())
    return {
        "name": name,
        "path": str(recipe.folder),
        "bytes": sum(one.stat().st_size for one in files),
        "made": found is None,
    }


def lines(page: Page, found: Prepared) -> Iterator[str]:
    """What is told of it."""
    if found["path"] is None:
        yield f"{found['name']} is in the environment of llmrr"
    else:
        yield f"{found['path']} ({size(found['bytes'])})"
