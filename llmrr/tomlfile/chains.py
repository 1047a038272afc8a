"""What the chains, groups and weights of one file cannot be."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from llmrr import sides
from llmrr.errors import nearest
from llmrr.tomlfile.reader import Reader
from llmrr.tomlfile.stated import ConfiguredModel

if TYPE_CHECKING:
    from llmrr.tomllayout import Place

# The terms that [weights] weigh.
WEIGHTS = ("quality", "cost", "speed")


def check_chains(reader: Reader, models: tuple[ConfiguredModel, ...] | None) -> None:
    """What a chain, a group or the weights cannot be."""
    for place, message, hint in (*_chains(models or ()), *_plain_chain(reader, models)):
        reader.fail(place, message, hint)
    mode, new, legacy = (
        reader.values.get(f"migration.{leaf}", (None,))[0] for leaf in ("mode", *sides.SIDES)
    )
    for one in sides.wrong(mode, new, legacy, [model.name for model in models or ()]):  # type: ignore[arg-type]
        if models or (new and legacy and one.absent is None):  # else other files may tell
            reader.fail(("migration", one.leaf), one.message, one.hint)


def _chains(models: Sequence[ConfiguredModel]) -> "Iterator[tuple[Place, str, str]]":
    """What is wrong with the models' own chains and groups: place, message, hint."""
    names = {model.name for model in models}
    for index, model in enumerate(models):
        place = ("models", index, "fallback")
        for message, hint in strangers(f"fallback of {model.name!r}", model.fallback, models):
            yield place, message, hint
        if circle := _circle(model, models):
            yield place, f"the fallback goes round in a circle: {' -> '.join(circle)}", ""
        if model.group in names:
            yield (
                ("models", index, "group"),
                f"the group {model.group!r} has the name of a model",
                "give the group another name",
            )


def _plain_chain(
    reader: Reader, models: tuple[ConfiguredModel, ...] | None
) -> "Iterator[tuple[Place, str, str]]":
    chain, _ = reader.values.get("fallback_chain", (None, None))
    if isinstance(chain, tuple) and models:
        for message, hint in strangers("fallback_chain", chain, models):
            yield ("fallback_chain",), message, hint
    weights = [reader.values.get(f"weights.{name}", (None,))[0] for name in WEIGHTS]
    if all(weight == 0 for weight in weights):
        yield ("weights",), "[weights] are all zero", "give one of them a number above 0"


def strangers(
    what: str, named: Sequence[str], models: Sequence[ConfiguredModel]
) -> Iterator[tuple[str, str]]:
    """What to say of each name that is no model's: message, hint."""
    names = [model.name for model in models]
    listed = f"the models are {', '.join(names)}" if names else "add [[models]] of that name"
    for name in named:
        if name not in names:
            near = nearest(name, names)
            hint = f"did you mean {near}?" if near else listed
            yield f"{what} names {name!r}, and no [[models]] is called so", hint


def _circle(model: ConfiguredModel, models: Sequence[ConfiguredModel]) -> list[str] | None:
    """The way from a model over fallbacks back to it, told once: at the first model of it."""
    by_name = {one.name: one for one in models}
    ways = [[model.name, name] for name in model.fallback]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == model.name:
            order = list(by_name)
            return way if min(way, key=order.index) == model.name else None
        if way[-1] in by_name and way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, name] for name in by_name[way[-1]].fallback]
    return None
