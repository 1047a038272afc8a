"""What is wrong with all that is in effect here."""

from pathlib import Path

from llmrr.config.checking import check
from llmrr.config.files import is_there, project_file, user_file
from llmrr.config.reading import load, with_file
from llmrr.errors import BadConfig
from llmrr.tomlfile import Problem


def check_here(alone: Path | None = None) -> dict[Path | None, list[Problem]]:
    """Everything that is wrong with one file ``alone``, or with each file in effect here; where
    that is nothing, what keeps these from being used together and with the environment, or the one
    from being used as the project's, which is of no one file (None). Raises ``NotFound``."""
    files = [one for one in (project_file(), user_file()) if one is not None and is_there(one)]
    found: dict[Path | None, list[Problem]] = {
        each: check(each) for each in (files if alone is None else [alone])
    }
    if not any(found.values()):
        try:
            load() if alone is None else with_file(alone)
        except BadConfig as error:
            found[None] = [Problem(error.message, error.hint)]
    return found
