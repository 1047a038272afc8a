"""The tables of one file that the user names: ``[templates.NAME]``, ``[flags.NAME]``,
``[budgets.NAME]`` and ``[serve.keys.NAME]``."""

from llmrr import flags, settings
from llmrr.errors import nearest
from llmrr.flags import Flag
from llmrr.strategies import Limits, strategy_warning
from llmrr.tomlfile.chains import strangers
from llmrr.tomlfile.reader import Reader
from llmrr.tomlfile.stated import ConfiguredModel, KeyRules, Template
from llmrr.tomltext import is_secret, key_text
from llmrr.types import Message


def templates_of(reader: Reader, tables: object) -> dict[str, Template]:
    """The ``[templates.NAME]``."""
    if not isinstance(tables, dict):
        reader.fail(("templates",), "templates is not a table", "write [templates.NAME]")
        return {}
    found = ((name, _template(reader, name, table)) for name, table in tables.items())
    return {name: template for name, template in found if template is not None}


def _template(reader: Reader, name: str, table: object) -> Template | None:
    """One ``[templates.NAME]``; None when it cannot be used."""
    before = len(reader.problems)
    place = ("templates", name)
    own = reader.fields(table, place, "templates.NAME")
    if len(reader.problems) == before and ("template" in own) == ("messages" in own):
        reader.fail(
            place,
            f"the template {name!r} needs either a template or messages",
            'for example: template = "Translate: {input}"',
        )
    if len(reader.problems) > before:
        return None
    messages: tuple[tuple[str, str], ...] = own.get("messages", ())  # type: ignore[assignment]
    made = Template(
        name=name,
        template=own.get("template"),  # type: ignore[arg-type]
        messages=tuple(Message(role, content) for role, content in messages),
        defaults=own.get("defaults", {}),  # type: ignore[arg-type]
        model=own.get("model"),  # type: ignore[arg-type]
        format=str(own.get("format", "braces")),
        file=reader.path,
    )
    if made.format == "braces":
        _check_defaults(reader, made)
    return made


def _check_defaults(reader: Reader, template: Template) -> None:
    holes = template.holes
    for key in template.defaults:
        if key not in holes:
            near = nearest(key, holes)
            known = f"its holes are: {', '.join(holes) or 'none'}"
            said = f"the template {template.name!r} has no hole {{{key}}} for a default"
            hint = f"did you mean {near}?" if near else known
            reader.fail(("templates", template.name, "defaults", key), said, hint)


def flags_of(
    reader: Reader, tables: object, models: tuple[ConfiguredModel, ...] | None
) -> dict[str, Flag]:
    """The ``[flags.NAME]``; ``models`` are those of the same file."""
    if not isinstance(tables, dict):
        reader.fail(("flags",), "flags is not a table", "write [flags.NAME]")
        return {}
    origin = None
    if "start" in tables:
        origin = reader.value(settings.spec("flags.start"), tables["start"], ("flags", "start"))
    found = {name: _flag(reader, name, tables[name], origin, models) for name in tables
             if name != "start"}  # fmt: skip
    return {name: flag for name, flag in found.items() if flag is not None}


def _flag(
    reader: Reader, name: str, table: object, origin: object,
    models: tuple[ConfiguredModel, ...] | None,
) -> Flag | None:  # fmt: skip
    """One ``[flags.NAME]``; None when it cannot be used."""
    before, place = len(reader.problems), ("flags", name)
    own = reader.fields(table, place, "flags.NAME")
    if not isinstance(table, dict):
        return None
    sets = reader.fields(table.get("set", {}), (*place, "set"), "flags.NAME.set")
    if len(reader.problems) > before:
        return None
    start = own.get("start", origin)
    made = Flag(name, **own, **sets, origin=start, file=reader.path)  # type: ignore[arg-type]
    for key, message, hint in flags.problems(made):
        reader.fail((*place, key), message, hint)
    if models is not None:
        for message, hint in strangers(f"the flag {name!r}", made.models or (), models):
            reader.fail((*place, "set", "models"), message, hint)
    if not sets:
        reader.note((*place, "set", "strategy"), f"the flag {name!r} sets nothing")
    elif stray := strategy_warning(table["set"].get("strategy")):
        reader.note((*place, "set", "strategy"), stray)
    return made


def budgets_of(
    reader: Reader, table: object, models: tuple[ConfiguredModel, ...] | None
) -> dict[str, Limits]:
    """The ``[budgets.NAME]``, which are taken out of the table: what remains has one value
    each. The names are those of the ``[[models]]``, where the file has some."""
    if not isinstance(table, dict):
        return {}
    found = {}
    for name in [name for name, inside in table.items() if isinstance(inside, dict)]:
        place, inside = ("budgets", name), table.pop(name)
        if name in Limits._fields:
            hint = f"write {name} = NUMBER; a model of this name can have no budget of its own"
            reader.fail(place, f"budgets.{name} is the budget of all models, and no table", hint)
            continue
        own = reader.fields(inside, place, "budgets.NAME")
        found[name] = Limits(**{key: one for key, one in own.items() if key in Limits._fields})  # type: ignore[arg-type]
        if models is not None:
            for message, hint in strangers(f"[budgets.{key_text(name)}]", (name,), models):
                reader.fail(place, message, hint)
    return found


def keys_of(reader: Reader, table: object) -> dict[str, KeyRules]:
    """The ``[serve.keys.NAME]``, which are taken out of the table."""
    if not isinstance(table, dict) or "keys" not in table:
        return {}
    tables, above = table.pop("keys"), ("serve", "keys")
    if not isinstance(tables, dict):
        reader.fail(above, "serve.keys is not a table", "write [serve.keys.NAME]")
        return {}
    found = {}
    for name, inside in tables.items():
        place, before = (*above, name), len(reader.problems)
        own = reader.fields(inside, place, "serve.keys.NAME")
        if len(reader.problems) == before and not {"env", "hash"} & own.keys():
            reader.fail(
                place, f"the key {name!r} needs either env or hash",
                f'env = "{_variable(name)}", or the line that llmrr serve --hash-key prints',
            )  # fmt: skip
        if len(reader.problems) == before:
            found[name] = KeyRules(**own, file=reader.path)  # type: ignore[arg-type]
    return found


def _variable(name: str) -> str:
    return "LLMRR_KEY" if is_secret("", name) else f"{name.upper().replace('-', '_')}_KEY"
