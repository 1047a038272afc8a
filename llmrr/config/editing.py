"""Changing a file of settings: through the journal, and only for what is valid."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmrr import environment, settings, tomlfile
from llmrr.config.checking import raise_first
from llmrr.config.files import FILE_NAME, content_of, edit_line, project_file, user_file
from llmrr.config.starter import template_text
from llmrr.errors import BadConfig, LlmrrError
from llmrr.tomlfile import Problem

if TYPE_CHECKING:
    from llmrr.journal.entry import Entry
    from llmrr.tomllayout import Place


def edit(
    run_editor: Callable[[Path], None],
    path: Path | None = None,
    *,
    again: Callable[[list[Problem]], bool] = lambda problems: False,
) -> Path:
    """Let the user edit a copy of a file (his own, when none is given), and put it in place once
    it is valid. ``again`` tells what is wrong, and asks whether to go on editing.

    Raises ``BadConfig`` for a text that was left invalid (it is kept, and the hint says where),
    ``LlmrrError`` when nothing was changed.
    """
    import tempfile

    path = path or user_file()
    before = content_of(path)
    original = template_text().encode() if before is None else before
    copy = Path(tempfile.mkdtemp(prefix="llmrr-")) / FILE_NAME
    copy.write_bytes(original)
    keep = False
    try:
        problems = _edited(copy, path, run_editor, again)
        content = copy.read_bytes()
        keep = content != original
        if not keep:
            raise LlmrrError(f"nothing was changed in {path}", "save the text in the editor")
        if problems:
            raise BadConfig(f"the text is not valid, and {path} is as it was")
        _write(path, content, before, "config edit")
        keep = False
    except LlmrrError as exc:
        if keep:
            exc.hint = f"{exc.hint}\nyour text is kept in {copy}".lstrip()
        raise
    finally:
        if not keep:
            _discard(copy)
    return path


def set_value(key: str, value: object, path: Path | None = None) -> Path:
    """Write one setting of one value into a file (the user's own, when none is given), keeping
    everything else of it as it stands; ``None`` takes the setting out."""
    path = path or user_file()
    spec = settings.plain_spec(key)
    if value is not None:
        environment.stated(spec, value, "command line")
    before = content_of(path)
    if before is not None:
        raise_first(tomlfile.read(path, before).problems)
    text = "version = 1\n" if before is None else before.decode()
    content = changed(path, text, [(tuple(key.split(".")), value)]).encode()
    if content != before:
        _write(path, content, before, "config set")
    return path


def changed(path: Path, text: str, changes: "Sequence[tuple[Place, object]]") -> str:
    """The text of a file of settings with values changed, and everything else of it as it stands.
    Raises ``BadConfig`` where that cannot be, or is or would be no valid configuration."""
    from llmrr import tomledit

    raise_first(tomlfile.read(path, text.encode()).problems)
    try:
        found = tomledit.with_values(text, changes)
    except tomledit.UnusualText as exc:
        raise BadConfig(
            f"{exc} cannot be changed in {path}, which writes it in an unusual way",
            f"change it by hand: {edit_line(path)}",
        ) from exc
    raise_first(tomlfile.read(path, found.encode()).problems)
    return found


def rollback(*, force: bool = False) -> "Entry":
    """Undo the last change that ``edit``, ``set_value`` or ``llmrr optimize`` made to the files in
    effect here; with ``force``, where there is none, the last to any. Raises ``LlmrrError``."""
    from llmrr import journal

    here = {path.resolve() for path in (user_file(), project_file()) if path is not None}
    left = [one for one in journal.entries() if one.kind == "config" and one.state != "undone"]
    own = [one for one in left if here.issuperset(file.path for file in one.files)]
    if left and not own and not force:
        last = ", ".join(str(file.path) for file in left[-1].files)
        raise LlmrrError(
            f"nothing to undo here: the last change was to {last}",
            "llmrr config rollback in its folder, or --force",
        )
    chosen = (own or left)[-1:]
    return journal.undo(*(one.id for one in chosen), kind="config", force=force)


def _edited(
    copy: Path,
    path: Path,
    run_editor: Callable[[Path], None],
    again: Callable[[list[Problem]], bool],
) -> tuple[Problem, ...]:
    """Run the editor until the copy is valid in the place of ``path``, or nobody wants to go on."""
    while True:
        run_editor(copy)
        problems = tomlfile.read(path, copy.read_bytes()).problems
        if not problems or not again(list(problems)):
            return problems


def _write(path: Path, content: bytes, before: bytes | None, what: str) -> None:
    from llmrr import journal

    with journal.change(what) as change:
        if content_of(path) != before:
            raise LlmrrError(
                f"{path} was changed by someone else in the meantime", "look at it, and try again"
            )
        change.write(path, content)


def _discard(copy: Path) -> None:
    import shutil

    shutil.rmtree(copy.parent, ignore_errors=True)
