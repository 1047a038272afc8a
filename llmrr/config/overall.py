"""What is wrong with all that is in effect here."""

from pathlib import Path

from llmrr.config.checking import check
from llmrr.config.files import is_there, project_file, user_file
from llmrr.config.reading import load
from llmrr.errors import BadConfig
from llmrr.tomlfile import Problem


def check_here(alone: Path | None = None) -> dict[Path | None, list[Problem]]:
    """Everything that is wrong with one file ``alone``, or with each file in effect here; where
    that is nothing, what keeps these from being used together and with the environment, which is of
    no one file (None). Raises ``NotFound``."""
    if alone is not None:
        return {alone: check(alone)}
    user, project = user_file(), project_file()
    files = [one for one in (project, user) if one is not None and is_there(one)]
    found: dict[Path | None, list[Problem]] = {each: check(each) for each in files}
    if not any(found.values()):
        try:
            load()
        except BadConfig as error:
            found[None] = [Problem(error.message, error.hint)]
    return found
