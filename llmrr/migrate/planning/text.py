"""The text of ``llmrr.toml``: a new one, or an existing one with what is missing in it. What is
there already stays as it is written, to the byte."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from llmrr import tomledit
from llmrr.errors import BadConfig
from llmrr.migrate.artefact import Model, Notice, unique
from llmrr.migrate.merging.chains import divided
from llmrr.migrate.merging.fitting import model_table, table_of
from llmrr.migrate.merging.setup import NAMING, Setup
from llmrr.migrate.scanning.reading import OURS
from llmrr.tomllayout import Place
from llmrr.tomltext import key_text, toml_text

_HEAD: Final = f"{OURS}; llmrr migrate rollback undoes it.\nversion = 1\n"


@dataclass(slots=True)
class Text:
    """What is written. ``names`` are the final names of the setup's models in it: of those that
    were there already, and of those that had to be renamed."""

    toml: str
    names: dict[str, str] = field(default_factory=dict)
    warnings: list[Notice] = field(default_factory=list)


class _Added(NamedTuple):
    """A table that is added to a family; without a name it is one of an array."""

    family: str
    name: str | None
    table: Mapping[str, Any]
    origin: str | None


def names_in(before: str | None, setup: Setup) -> dict[str, str]:
    """What each model of the setup is called in a text that has models already."""
    there = _tables(before, "models")
    found: dict[str, str] = {}
    taken = [str(one.get("name")) for one in there]
    taken += [str(one["group"]) for one in there if "group" in one]
    known: dict[str, list[str]] = {}
    for one in there:
        known.setdefault(_content(one), []).append(str(one.get("name")))
    for model in setup.models:
        same = known.get(_content(model_table(model)), [])
        if same:  # of several that are alike, each is one of those that are alike there
            found[model.name] = same.pop(same.index(model.name) if model.name in same else 0)
        else:
            found[model.name] = unique(model.name, (*taken, *found.values()))
    return found


def models_in(text: str | None) -> set[str]:
    """The names of the models in a text."""
    return {str(one.get("name")) for one in _tables(text, "models")}


def written(
    before: str | None, setup: Setup, names: Mapping[str, str],
    changes: Sequence[tuple[Place, Any]], stated: Sequence[str] = (),
) -> Text:  # fmt: skip
    """The text that holds the setup besides what ``before`` holds. ``changes`` are further values;
    ``stated`` are settings that the user asked for, which replace what is there.

    Raises ``BadConfig`` where the text is written in a way that cannot be added to.
    """
    found = Text(_HEAD if before is None else before, dict(names))
    there = models_in(before)
    new = [one for one in setup.models if names[one.name] not in there]
    new = _regrouped(new, before, names, found)
    following = divided(
        [one.name for one in setup.models] if before is None else [],
        [*_chains(before, names), *_new_chains(before, setup, names)],
    )
    found.warnings += [*_clashes(new, setup, names), *_cycles(following.cut, setup)]
    try:
        models = [_model(one, setup, names, following.own.get(one.name, ())) for one in new]
        found.toml = _added(found.toml, models, len(_tables(before, "models")))
        found.toml = _added(found.toml, _templates(before, setup, found))
        settings = dict(setup.settings)
        if following.chain is not None and "fallback_chain" not in settings:
            settings["fallback_chain"] = list(following.chain)
        wanted = [
            *_renamed(settings, names), *_followers(before, names, following.own), *changes,
        ]  # fmt: skip
        kept = _kept(before, wanted, stated, found)
        found.toml = tomledit.with_values(found.toml, kept)
    except tomledit.UnusualText as exc:
        raise BadConfig(
            f"{exc} is written in llmrr.toml in a way that cannot be added to",
            "write it as a table of its own, or --force for a new file",
        ) from exc
    return found


def _clashes(
    new: Iterable[Model], setup: Setup, names: Mapping[str, str]
) -> Iterator[Notice]:
    for one in new:
        if names[one.name] != one.name:
            yield clash(setup.origins.get(one.name, ""), one.name, names[one.name])


def clash(where: str, name: str, final: str) -> Notice:
    """That a model is not called as it would be but for what the file has."""
    return Notice("clash", where, f"llmrr.toml has another {name}: this one is {final}")


def _cycles(cut: Iterable[tuple[str, str]], setup: Setup) -> Iterator[Notice]:
    for head, name in cut:
        said = f"{head} falls back on {name}, and {name} on {head}: the first was kept"
        yield Notice("cycle", setup.origins.get(head, ""), said)


def _chains(before: str | None, names: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Who follows whom in the file as it is, as far as models of the setup are in it: what is added
    must not go round in a circle with that."""
    back = {new: old for old, new in names.items()}
    for one in _tables(before, "models"):
        listed = one.get("fallback")
        chain = [one.get("name"), *(listed if isinstance(listed, list) else [])]
        if len(chain) > 1:
            yield tuple(back.get(str(name), str(name)) for name in chain)


def _followers(
    before: str | None, names: Mapping[str, str], own: Mapping[str, Sequence[str]]
) -> Iterator[tuple[Place, Any]]:
    """The chains of models that are in the file already."""
    by_name = {names.get(head, head): rest for head, rest in own.items()}
    for at, one in enumerate(_tables(before, "models")):
        if rest := by_name.get(str(one.get("name"))):
            chain = dict.fromkeys(names.get(name, name) for name in rest)
            yield ("models", at, "fallback"), [name for name in chain if name != one.get("name")]


def _new_chains(
    before: str | None, setup: Setup, names: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    """The chains of the setup, but for one that is for all models, in the file or by the setup."""
    there = document(before).get("fallback_chain")
    own = setup.settings.get("fallback_chain")
    for chain in setup.chains:
        is_for_all = there is None and list(chain) == own
        if not is_for_all and [names.get(one, one) for one in chain] != there:
            yield chain


def _regrouped(
    new: Sequence[Model], before: str | None, names: Mapping[str, str], found: Text
) -> list[Model]:
    """The models that are added, their groups under names that nothing else in the file has."""
    there = _tables(before, "models")
    taken = [str(one[key]) for one in there for key in ("name", "group") if key in one]
    final: dict[str, str] = {}
    for one in new:
        if one.group is not None and one.group not in final:
            final[one.group] = unique(one.group, (*taken, *names.values(), *final.values()))
            if final[one.group] != one.group:
                said = f"{one.group} is taken in llmrr.toml: the group is {final[one.group]}"
                found.warnings.append(Notice("clash", "llmrr.toml", said))
    return [replace(one, group=final[one.group]) if one.group else one for one in new]


def _model(
    model: Model, setup: Setup, names: Mapping[str, str], fallback: Iterable[str]
) -> _Added:
    named = replace(model, name=names[model.name])
    chain = tuple(dict.fromkeys(names[one] for one in fallback if names[one] != named.name))
    return _Added("models", None, model_table(named, chain), setup.origins.get(model.name))


def _templates(before: str | None, setup: Setup, found: Text) -> list[_Added]:
    there = document(before).get("templates", {})
    known = [json.dumps(one, sort_keys=True) for one in there.values()]
    taken, added = [*there], list[_Added]()
    for one in setup.templates:
        named = replace(one, model=found.names.get(one.model) if one.model else None)
        if json.dumps(table_of(named), sort_keys=True) in known:
            continue
        name = unique(one.name, taken)
        taken.append(name)
        origin = setup.origins.get(f"templates.{one.name}")
        if name != one.name:
            said = f"llmrr.toml has another template {one.name}: this one is {name}"
            found.warnings.append(Notice("clash", origin or "", said))
        added.append(_Added("templates", name, table_of(named), origin))
    return added


def _kept(
    before: str | None, wanted: Iterable[tuple[Place, Any]], stated: Sequence[str], found: Text
) -> list[tuple[Place, Any]]:
    """The values that are written: what the file says already stays, unless the user asked."""
    here, left = document(before), []
    for place, value in wanted:
        old = _at(here, place)
        key = ".".join(map(str, place))
        if old is None or key in stated:
            left.append((place, value))
        elif old != value:
            said = f"llmrr.toml says {key} = {toml_text(old)}, and that stays ({toml_text(value)})"
            found.warnings.append(Notice("clash", "llmrr.toml", said))
    return [(place, value) for place, value in left if _at(here, place) != value]


def _renamed(
    settings: Mapping[str, Any], names: Mapping[str, str]
) -> Iterator[tuple[Place, Any]]:
    """Settings by their places; those that name models, by their names in the file."""
    for key, value in settings.items():
        if key in NAMING and isinstance(value, list | tuple):
            value = [names.get(one, one) for one in value]
        elif key in NAMING:
            value = names.get(value, value)
        yield tuple(key.split(".")), value


def _added(text: str, tables: Sequence[_Added], there: int = 0) -> str:
    """The text with further tables of one family, as blocks of their own, or where the family is
    written inline, of which ``there`` are in its array, in line with them."""
    if not tables:
        return text
    try:
        return tomledit.with_tables(text, tables[0].family, "\n".join(map(_block, tables)))
    except tomledit.UnusualText:
        return tomledit.with_values(text, [
            ((one.family, there + number if one.name is None else one.name), one.table)
            for number, one in enumerate(tables)
        ])  # fmt: skip


def _block(added: _Added) -> str:
    is_array = added.name is None
    header = f"[[{added.family}]]" if is_array else f"[{added.family}.{key_text(added.name or '')}]"
    lines = [f"# from {_printable(added.origin)}"] if added.origin else []
    lines += [header, *(_line(key, one) for key, one in added.table.items())]
    return "\n".join(lines) + "\n"


def _line(key: str, value: object) -> str:
    if key == "template" and isinstance(value, str) and _is_plain(value):
        return f'{key} = """\n{value}"""'
    return f"{key_text(key)} = {toml_text(value)}"


def _is_plain(text: str) -> bool:
    """Whether a text of several lines can stand as it is."""
    return "\n" in text and not re.search(r"\\|\"\"\"|\"$|\r|[\x00-\x08\x0b-\x1f\x7f]", text)


def _printable(text: str) -> str:
    plain = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", "?", text)
    return plain if len(plain) <= 200 else f"{plain[:199]}…"


def document(text: str | None) -> dict[str, Any]:
    """A text of TOML, parsed."""
    import tomllib

    return tomllib.loads(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")) if text else {}


def _tables(text: str | None, family: str) -> list[dict[str, Any]]:
    found = document(text).get(family, [])
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _content(table: Mapping[str, Any]) -> str:
    """What a model is, whatever its name and group, and whoever follows it."""
    left = {key: one for key, one in table.items() if key not in ("name", "group", "fallback")}
    return json.dumps(left, sort_keys=True, default=str)


def _at(document: Mapping[str, Any], place: Place) -> Any:
    here: Any = document
    for part in place:
        if isinstance(here, list) and isinstance(part, int):
            here = here[part]
        else:
            here = here.get(part) if isinstance(here, dict) else None
    return here
