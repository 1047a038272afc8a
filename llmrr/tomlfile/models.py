"""The ``[[models]]`` of one file."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from llmrr import kinds, settings
from llmrr.tomlfile.reader import Reader, shown
from llmrr.tomlfile.stated import ConfiguredModel
from llmrr.tomltext import may_hold_secret, toml_text
from llmrr.types import Sampling

if TYPE_CHECKING:
    from llmrr.tomllayout import Place

# What of a [[models]] is about choosing.
_CHOOSING = ("priority", "weight", "tags", "group", "fallback", "resume", "quality", "cost")


def models_of(reader: Reader, entries: object) -> tuple[ConfiguredModel, ...] | None:
    """The ``[[models]]``, each name once."""
    if entries is None:
        return None
    if not isinstance(entries, list):
        written = "write [[models]]" if reader.is_file else 'models=[{"name": …, "source": …}]'
        reader.fail(("models",), "models is not a list of tables", written)
        return None
    found: dict[str, ConfiguredModel] = {}
    for index, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and not may_hold_secret("", name):
            reader.models[index] = name
        model = _model(reader, entry, ("models", index))
        if model is not None and model.name in found:
            reader.fail(
                ("models", index, "name"),
                f"the model name {model.name!r} stands here twice",
                "give one of them another name",
            )
        elif model is not None:
            found[model.name] = model
    return tuple(found.values())


def _model(reader: Reader, entry: object, place: "Place") -> ConfiguredModel | None:
    """One ``[[models]]``; None when it cannot be used."""
    before = len(reader.problems)
    own = reader.fields(entry, place, "models[]")
    if not isinstance(entry, dict):
        return None
    for name in ("name", "source"):
        if name not in entry:
            example = settings.spec(f"models[].{name}").example
            reader.fail(place, f"{shown(place)} has no {name}", f"add: {name} = {example}")
    inside = "models[].params", "models[].options"
    params = reader.fields(entry.get("params", {}), (*place, "params"), inside[0])
    options = reader.fields(entry.get("options", {}), (*place, "options"), inside[1])
    if len(reader.problems) > before:
        return None
    system = params.pop("system", None)
    _note_stray(reader, entry, place)
    source = _source(reader, own, options, place)
    if source is None:
        return None
    provider, rest = kinds.split_source(source)
    if not _options(reader, options, provider, place):
        return None
    return ConfiguredModel(
        name=str(own["name"]),
        source=source,
        provider=provider,
        path=kinds.file_path(rest, reader.folder) if provider == "file" else None,
        params=Sampling(**params),  # type: ignore[arg-type]
        system=None if system is None else str(system),
        options=options,
        file=reader.path,
        engine=own.get("engine"),  # type: ignore[arg-type]
        format=own.get("format"),  # type: ignore[arg-type]
        **{name: own[name] for name in _CHOOSING if name in own},  # type: ignore[arg-type]
    )


def _note_stray(reader: Reader, entry: Mapping[str, object], place: "Place") -> None:
    """Tell what a word of the original of llmrr is taken as."""
    for name, stray in settings.STRAY.items():
        if str(entry.get(name)) in stray:
            means = stray[str(entry[name])] or "what its files are"
            said = f"{shown((*place, name))} = {toml_text(entry[name])} is taken as {means}"
            reader.note((*place, name), said)


def _source(
    reader: Reader, own: Mapping[str, object], options: dict[str, object], place: "Place"
) -> str | None:
    """The source with its file and revision, which are options no longer; None, with a problem
    noted, where they do not go together."""
    source = str(own["source"])
    file, revision = (options.pop(name, None) for name in ("file", "revision"))
    provider, _ = kinds.split_source(source)
    try:
        if own.get("format") is not None and provider not in kinds.LOCAL_PROVIDERS:
            raise ValueError(f"a source of {provider}: has no format")
        return kinds.placed(
            source,
            None if file is None else str(file),
            None if revision is None else str(revision),
        )
    except ValueError as exc:
        reader.fail(place, f"{shown(place)}: {exc}")
        return None


def _options(reader: Reader, stated: Iterable[str], provider: str, place: "Place") -> bool:
    """Whether all options mean something to models of this provider; ``ollama`` is both here
    and elsewhere."""
    if provider == "ollama":
        return True
    here = provider in kinds.LOCAL_PROVIDERS
    wrong = [name for name in stated if (name in settings.REMOTE_OPTIONS) == here]
    for name in wrong:
        where = "run on this machine" if here else "run elsewhere"
        reader.fail(
            (*place, "options", name),
            f"{shown((*place, 'options', name))} has no effect: models of {provider}: {where}",
            f"take out {name}",
        )
    return not wrong
