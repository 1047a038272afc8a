"""Texts to trees: JSON with comments, YAML, TOML, INI; Python, JavaScript and TypeScript.

``decoding``   bytes to a text
``sniffing``   which syntax a text is in, by its beginning; what is not worth parsing
``jsontext``   JSON, also with comments, trailing commas and the rest of JSON5
``yamltext``   YAML, with unknown tags and every size bounded
``initext``    INI as llama.cpp's presets have it
``propertiestext``  properties of Java
``notebook``   the code cells of a notebook
``component``  the scripts of a component of Vue, Svelte or Astro

Nothing is executed or rendered, and each parser is bounded in size, depth and time.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr.errors import DamagedFile
from llmrr.migrate.parsing import shapes
from llmrr.migrate.parsing.decoding import decoded
from llmrr.migrate.parsing.initext import Ini
from llmrr.migrate.parsing.sniffing import is_data, language, mentions_model, syntax
from llmrr.migrate.parsing.yamltext import TEMPLATE, Several

if TYPE_CHECKING:
    from llmrr.migrate.values import Code

__all__ = ["Ini", "Several", "decoded", "duplicates", "evaluated", "parsed"]

_TOML: Final = 500_000  # characters; tomllib is slow, and such files are small


def parsed(text: str, suffix: str) -> Any:
    """A dict or a list of a data file; None for what is none, for plain text, and for lines of
    JSON. Raises ``DamagedFile``."""
    try:
        found = _tree(text, suffix)
    except DamagedFile as error:
        # Prose may begin as data does; what is called data is damaged.
        if is_data(suffix) or error.message == TEMPLATE:
            raise
        return None
    if not isinstance(found, dict | list):
        return None
    if shapes.has_odd_numbers(text):
        shapes.write_out(found)
    return found


def duplicates(text: str, suffix: str) -> list[tuple[str, int]]:
    """Keys that stand twice in one table of a YAML, JSON or INI file, with the line of the second.
    """
    from llmrr.migrate.parsing import initext, jsontext, yamltext

    try:
        match syntax(text, suffix):
            case "json":
                return jsontext.duplicates(text)
            case "yaml":
                return yamltext.duplicates(text)
            case "ini":
                return initext.load(text).duplicates
    except DamagedFile:
        pass
    return []


def evaluated(
    text: str, suffix: str, path: Path, near: tuple[Path, Path] | None = None
) -> "Code | None":
    """The calls and names of a file of code; None for what is none, and for code that mentions
    nothing that a reader could want. ``near`` is where it lies, and the folder below which the
    modules that it imports are looked into. Raises ``DamagedFile``."""
    found = language(text, suffix)
    if found is None or not mentions_model(text, found):
        return None
    if found == "notebook":
        from llmrr.migrate.parsing import notebook

        return notebook.evaluated(text, path, near)
    if found == "component":
        from llmrr.migrate.parsing import component

        return component.evaluated(text, path, near)
    if found == "python":
        from llmrr.migrate import python

        return python.evaluate(text, path, near)
    from llmrr.migrate import javascript

    return javascript.evaluate(text, path, found, near)


def _tree(text: str, suffix: str) -> Any:
    from llmrr.migrate.parsing import initext, jsontext, propertiestext, yamltext

    match syntax(text, suffix):
        case "json":
            return jsontext.load(text)
        case "yaml":
            return yamltext.load(text)
        case "toml":
            return _toml(text)
        case "ini":
            found = initext.load(text)
            return found if found or found.head else None
        case "properties":
            return propertiestext.load(text)
    return None


def _toml(text: str) -> Any:
    import tomllib

    if len(text) > _TOML:
        raise DamagedFile(f"TOML of more than {_TOML:,} characters is not read", "")
    try:
        return shapes.without_dates(shapes.checked(tomllib.loads(text)))
    except RecursionError:
        raise DamagedFile("nested too deeply", "") from None
    except ValueError as exc:
        line = str(exc).rpartition("(at line ")[2].partition(",")[0]
        where = f" (line {line})" if line.isdigit() else ""
        raise DamagedFile(f"not TOML{where}", "") from None
