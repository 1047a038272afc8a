"""Names of the old system: each is for a model that there is, and takes the name of none."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, cast

from llmrr.catalogue import BUILTIN
from llmrr.config import Config
from llmrr.errors import BadConfig, LlmrrError, NotFound, UsageError
from llmrr.router import Router
from llmrr.settings import Setting

ANY: Final = "*"  # the end of an alias of all names that begin so, and mean nothing else
AUTO: Final = "auto"  # leaves the choice to the router
_KEY: Final = "serve.aliases"


def of(config: Config) -> Mapping[str, str]:
    """What each of them stands for."""
    return cast("Mapping[str, str]", config.value(_KEY))


def of_pattern(stated: Mapping[str, str], name: str) -> str | None:
    """What the longest of the patterns that fit stands for.

    >>> of_pattern({"*": "a", "gpt-*": "b", "gpt-4*": "c"}, "gpt-4o"), of_pattern({"x*": "a"}, "y")
    ('c', None)
    """
    fit = (one for one in stated if one.endswith(ANY) and name.startswith(one[:-1]))
    longest = max(fit, key=len, default=None)
    return None if longest is None else stated[longest]


def names(config: Config, installed: Iterable[str]) -> Iterator[str]:
    """The names that mean a model or a group here, without ``auto`` and the aliases."""
    yield from configured(config)
    yield from installed
    yield BUILTIN


def configured(config: Config) -> Iterator[str]:
    """Those that the configuration gives."""
    for model in config.models:
        yield model.name
        if model.group is not None:
            yield model.group


def meant(name: str, known: frozenset[str]) -> str | None:
    """The model, or the group, of that name, which may lack the tag that it has, or have one that
    it lacks.

    >>> meant("a", frozenset(("a:latest",))), meant("b:latest", frozenset("b"))
    ('a:latest', 'b')
    """
    tries = (name, f"{name}:latest", name.removesuffix(":latest"))
    return next((one for one in tries if one in known), None)


def wrong(config: Config, installed: Iterable[str]) -> Iterator[LlmrrError]:
    """``NotFound`` for each alias of a model that there is not; ``UsageError``, of a file
    ``BadConfig``, for one that is the name of another model."""
    setting, known = config.settings[_KEY], frozenset(names(config, installed))
    own = {AUTO, *configured(config)}
    for alias, model in of(config).items():
        if alias.removesuffix(":latest") in own or alias in own:
            yield _taken(alias, model, setting)
        elif model != AUTO and not meant(model, known):
            where = "" if _is_flag(alias, setting) or not setting.where else f" ({setting.where})"
            yield NotFound(
                f'the alias {alias} stands for "{model}", and no model has this name here{where}',
                "llmrr list; a file or an address takes a name in [[models]], or by llmrr "
                "import --name",
            )


def installed(router: Router) -> list[str]:
    """The names of what is installed."""
    return [entry.label for entry in router.catalogue.entries()]


def hold(router: Router) -> None:
    """Raise what is ``wrong``; from now on a changed file of which something is, is refused."""

    def check(config: Config) -> None:
        for error in wrong(config, installed(router)):
            raise error

    check(router.config)
    router.require(check)


def _taken(alias: str, model: str, setting: Setting) -> BadConfig | UsageError:
    what = "leaves the choice to the router" if alias == AUTO else "is a model's own name here"
    said, hint = f"{alias} {what}, and cannot stand for {model}", "an alias of another name"
    if _is_flag(alias, setting):
        return UsageError(f"--alias {alias}={model}: {said}", hint)
    return BadConfig(f"[serve] aliases: {said} ({setting.where})", hint)


def _is_flag(alias: str, setting: Setting) -> bool:
    """Whether it comes from the command line, or a program, and not from a file."""
    return setting.source in ("code", "command line") and alias in cast(
        "Mapping[str, str]", setting.stated
    )
