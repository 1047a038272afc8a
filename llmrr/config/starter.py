"""The file to start from."""

from llmrr.settings import SETTINGS


def template_text() -> str:
    """A file to start from: every setting with its meaning, commented out."""
    from textwrap import wrap

    lines = [
        "# llmrr.toml. What it may hold: man llmrr.toml; what is in effect: llmrr config show.",
        "# To set something, take the # away, also that of the table's name above it.",
        "",
    ]
    table = ""
    for spec in SETTINGS:
        if spec.table != table:
            table = spec.table
            lines += ["", f"#{_header(table)}"]
        off = "" if spec.key == "version" else "#"
        lines += [*wrap(spec.doc, 100, initial_indent="# ", subsequent_indent="# ")]
        lines += [f"{off}{spec.leaf} = {spec.example}"]
    return "\n".join(lines) + "\n"


def _header(table: str) -> str:
    """The header line of a table in the starter file.

    >>> _header("models[]"), _header("models[].params"), _header("stats")
    ('[[models]]', '[models.params]', '[stats]')
    """
    table = table.replace("budgets.NAME", "budgets.assistant")  # the name of a model must be one
    return "[[models]]" if table == "models[]" else f"[{table.replace('[]', '')}]"
