"""LocalAI's templates: Go texts in a YAML file, or names of ``.tmpl`` files beside it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from llmrr.errors import LlmrrError
from llmrr.migrate.artefact import Findings, Model
from llmrr.store.holders.base import small_file

_LARGEST: Final = 100_000  # bytes
_TEXTS: Final = (
    "chat", "chat_message", "completion", "edit", "function", "multimodal",
)  # fmt: skip
_NAME: Final = re.compile(r"[\w][\w. -]{0,150}")
_JINJA: Final = "use_tokenizer_template"


def put(
    model: Model, table: Mapping[str, Any], known: Mapping[str, str], folder: Path,
    findings: Findings,
) -> None:  # fmt: skip
    """The templates of a model, kept raw; ``known`` are texts by their names."""
    stated = table.get("template")
    if not isinstance(stated, dict):
        return
    found, missing = False, []
    for kind in _TEXTS:
        value = stated.get(kind)
        if not isinstance(value, str) or not value.strip():
            continue
        text = value if _is_inline(value) else _named(value.strip(), known, folder)
        if text is None:
            missing.append(f"{value.strip()[:80]}.tmpl ({kind})")
            continue
        found = True
        findings.template(f"{model.name}-{kind}", text, format="go", model=model)
    if missing:
        said = f"templates of Go that are not beside the file: {', '.join(missing)}"
        findings.warn("go-template", said, at=f"{model.name}.template")
    if found and stated.get(_JINJA) is not True:
        said = "its templates are of Go: they are kept raw, and the model's own template counts"
        findings.warn("go-template", said, at=f"{model.name}.template")


def _is_inline(value: str) -> bool:
    return "{{" in value or "\n" in value.strip() or not _NAME.fullmatch(value.strip())


def _named(name: str, known: Mapping[str, str], folder: Path) -> str | None:
    if name in known:
        return known[name]
    if not _NAME.fullmatch(name):
        return None
    path = folder / f"{name.removesuffix('.tmpl')}.tmpl"
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            return None
        return small_file(path, _LARGEST).decode(errors="replace")
    except (LlmrrError, OSError):
        return None
