"""What is wrong with a file, and with the files that it names."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import paths, tomlfile
from llmrr.config.files import is_there, user_file
from llmrr.errors import BadConfig, NotFound
from llmrr.tomlfile import Problem, TomlFile
from llmrr.tomltext import toml_text

if TYPE_CHECKING:
    from llmrr.tomllayout import Place


def check(path: Path) -> list[Problem]:
    """Everything that is wrong with a file, files that it names and that are missing included.

    ``NotFound`` for a file that is not there.
    """
    if not is_there(path):
        raise NotFound(f'there is no file "{path}"', "llmrr config check, for those in use")
    file = tomlfile.read(path)
    problems = [*file.problems, *stray(file)]
    problems += () if problems else _variables(file)
    for index, model in enumerate(file.models or ()):
        if model.path is not None and not paths.exists(model.path):
            said = f"the model {model.name!r} is not there: {model.path}"
            # Of a file in which a model cannot be used, the numbers are others.
            place: Place = () if file.problems else ("models", index, "source")
            problems.append(_missing(path, place, said, "put it there, or "))
    return problems


def _missing(path: Path, place: "Place", said: str, else_: str = "") -> Problem:
    line = tomlfile.line_of(path, place)
    where = tomlfile.in_line(path, line)
    return Problem(f"{said} ({where})", f"{else_}edit {where}", line)


def raise_first(problems: Sequence[Problem], *, told_by: str = ": llmrr config check") -> None:
    """Raise ``BadConfig`` for the first of them, if any; ``told_by`` says where the others are."""
    if problems:
        more = len(problems) - 1
        hint = [problems[0].hint, f"{more} more{told_by}" if more else ""]
        raise BadConfig(problems[0].message, "\n".join(filter(None, hint)))


def stray(file: TomlFile) -> Iterator[Problem]:
    """An ``env_file`` that a project reaches for outside of its folder."""
    found, stated = file.values.get("env_file", (None, None))
    if not isinstance(found, Path) or file.path.absolute() == user_file():
        return
    from llmrr import envfile

    if envfile.is_outside(found, file.path.parent):
        yield Problem(
            f"env_file = {toml_text(stated)} lies outside the folder of the project ({file.path})",
            f"a file inside it; your own llmrr.toml may name any: {user_file()}",
        )


def _variables(file: TomlFile) -> Iterator[Problem]:
    """What is wrong with the ``env_file``."""
    found, _ = file.values.get("env_file", (None, None))
    if not isinstance(found, Path):
        return
    from llmrr import envfile

    if not paths.exists(found):
        yield _missing(file.path, ("env_file",), f"the env_file is not there: {found}")
    try:
        envfile.read(found)
    except BadConfig as error:
        yield Problem(error.message, error.hint)
