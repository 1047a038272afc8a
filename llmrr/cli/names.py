"""Names for the completion of a shell: quick, quiet, and never an error. Nothing but the
configuration and the database is read: this runs at every TAB."""

from contextlib import suppress


def model_names(incomplete: str) -> list[tuple[str, str]]:
    """The models whose name begins with ``incomplete``, each with its source."""
    from llmrr import config

    found = [("builtin:mini", "the small model that ships inside")]
    # What is broken must not print into the line that is being typed.
    with suppress(Exception):
        found = [*_installed(), *found]
    with suppress(Exception):
        models = config.load().models
        groups = dict.fromkeys(model.group for model in models if model.group)
        found = [(name, "a group of models") for name in groups] + found
        found = [(model.name, model.source) for model in models] + found
    return [(name, what) for name, what in found if name.startswith(incomplete)]


def _installed() -> list[tuple[str, str]]:
    from contextlib import closing

    from llmrr import paths
    from llmrr.database import open_database
    from llmrr.store import records

    if not paths.database_file().exists():
        return []
    with closing(open_database()) as connection:
        return [(entry.label, entry.origin) for entry in records.entries(connection)]


def template_names(incomplete: str) -> list[str]:
    """The templates whose name begins with ``incomplete``."""
    from llmrr import config

    with suppress(Exception):
        return [name for name in config.load().templates if name.startswith(incomplete)]
    return []


def option_names(incomplete: str) -> list[tuple[str, str]]:
    """The keys of ``-o`` that begin with ``incomplete``, each with what it takes."""
    from llmrr.parameters import known_options

    options = known_options().items()
    return [(name, kind.expected) for name, kind in options if name.startswith(incomplete)]


def engine_names(incomplete: str) -> list[str]:
    """The engines whose name begins with ``incomplete``."""
    from llmrr.engines import ENGINES, REMOTE

    known = [engine.name for engine in (*ENGINES, *REMOTE)]
    return [name for name in known if name.startswith(incomplete)]


def strategy_names(incomplete: str) -> list[tuple[str, str]]:
    """The strategies that begin with ``incomplete``."""
    from llmrr.strategies import STRATEGIES

    return [found for found in STRATEGIES.items() if found[0].startswith(incomplete)]


def need_words(incomplete: str) -> list[str]:
    """The needs that have a meaning, and the tags of the models."""
    from llmrr import config

    words = ["images", "tools", "schema", "grammar", "logprobs", "embedding"]
    with suppress(Exception):
        words += [tag for model in config.load().models for tag in model.tags]
    return sorted(word for word in dict.fromkeys(words) if word.startswith(incomplete))


def installed_names(incomplete: str) -> list[tuple[str, str]]:
    """The installed models whose name begins with ``incomplete``."""
    return [found for found in model_names(incomplete) if not found[0].startswith("builtin:")]


def tool_names(incomplete: str) -> list[str]:
    """The tools that ``import --from`` knows."""
    from llmrr.store.holders import HOLDERS

    return [name for name in HOLDERS if name.startswith(incomplete)]
