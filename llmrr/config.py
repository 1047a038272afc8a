"""``llmrr.toml`` and what overrides it: load, show where each value came from, check and change.

Precedence: command line, environment, the project's file (found in the working directory or its
parents), the user's file, the default. The project's ``[[models]]`` replace the user's altogether,
so that a project decides alone who sees its prompts; templates of both are there.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from llmrr import environment, paths, settings, sides, tomlfile
from llmrr.errors import BadConfig, LlmrrError, NotFound, nearest
from llmrr.flags import GUIDE, Flag, joined, strangers
from llmrr.settings import SETTINGS, Setting, Source, Spec
from llmrr.strategies import Limits, strategy_warning
from llmrr.tomlfile import ConfiguredModel, Problem, Template
from llmrr.tomltext import toml_text
from llmrr.types import Message

if TYPE_CHECKING:
    from llmrr.journal import Entry
    from llmrr.tomllayout import Place

__all__ = [
    "FILE_NAME", "SETTINGS", "Config", "ConfiguredModel", "Problem", "Setting", "Spec", "Template",
    "changed", "check", "edit", "edit_line", "load", "over", "project_file", "read", "render",
    "rollback", "set_value", "settled", "template_text", "toml_text", "user_file",
]  # fmt: skip

FILE_NAME = "llmrr.toml"
_RANKS: tuple[Source, ...] = (
    "default", "user", "project", "environment", "code", "command line",
)  # fmt: skip


class Config(NamedTuple):
    """Everything that is configured, resolved. ``files`` are those that were read, strongest
    first; ``named`` is the one that a program named itself, which is trusted as the program is."""

    settings: Mapping[str, Setting]
    models: tuple[ConfiguredModel, ...]
    templates: Mapping[str, Template]
    warnings: tuple[str, ...]
    files: tuple[Path, ...]
    flags: tuple[Flag, ...] = GUIDE
    budgets: Mapping[str, Limits] = MappingProxyType({})
    named: Path | None = None

    def value(self, key: str) -> object:
        """The value in use of a setting, by its dotted key; ``KeyError`` for an unknown one."""
        return self.settings[key].value

    def engine_options(self, engine: str) -> dict[str, object]:
        """What ``[engines.NAME]`` states, as the fields of ``engines.base.Options``."""
        prefix = f"engines.{engine}."
        return {
            key.removeprefix(prefix): setting.value
            for key, setting in self.settings.items()
            if key.startswith(prefix) and setting.source != "default"
        }

    def model(self, name: str) -> ConfiguredModel | None:
        """The ``[[models]]`` of that name."""
        return next((model for model in self.models if model.name == name), None)

    def template(self, name: str) -> Template:
        """The ``[templates.NAME]`` of that name. Raises ``NotFound`` with the nearest."""
        if name in self.templates:
            return self.templates[name]
        near = nearest(name, self.templates)
        hint = f"-t {near}" if near else f"add [templates.{name}] with: llmrr config edit"
        raise NotFound(f'there is no template "{name}"', hint)

    def untrusted(self, name: str, stated: Mapping[str, object] = MappingProxyType({})) -> str:
        """What the user has yet to agree to before the model of that name is asked; empty where
        nothing. ``stated`` are the options of the call.

        A project's file sends no secret to an address of its choice by itself."""
        model = self.model(name)
        if model is None or model.file not in self.files:
            return ""
            return ""
        options: dict[str, Any] = {**model.options, **stated}
        secrets = [options.get("api_key_env"), *(options.get("headers_env") or {}).values()]
        found = " and ".join(filter(None, secrets))
        if "base_url" not in model.options or "base_url" in stated or not found:
            return ""
        if model.file in (self.named, user_file()):
            return ""
        from llmrr import trust

        if trust.is_trusted(model.file):
            return ""
        return f"{model.file} sends {found} to {model.options['base_url']}"

    def is_agreed(self, key: str) -> bool:
        """Whether a setting that runs or calls something may do so: it is the user's own, or he has
        agreed to the project's file."""
        setting = self.settings[key]
        if setting.source != "project" or setting.where is None:
            return True
        if Path(setting.where) == self.named:
            return True
        from llmrr import trust

        return trust.is_trusted(Path(setting.where))


def load(
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Read the files and the environment; ``overrides`` (dotted keys) are the command line's.

    Raises ``BadConfig`` for the first thing that cannot be used.
    """
    return settled(read(cwd, environ, overrides))


def read(
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    *,
    file: Path | None = None,
    files: bool = True,
) -> Config:
    """The same, for more to come on top of it: see ``settled``. ``file`` stands for the project's;
    without ``files`` none is read."""
    environ = os.environ if environ is None else environ
    user, project = user_file(), file or project_file(cwd)
    levels: list[tuple[Source, Path]] = [("user", user)] if files and _is_file(user) else []
    if files and project is not None and project != user:
        levels.append(("project", project))
    found = settings.defaults()
    models: tuple[ConfiguredModel, ...] = ()
    templates: dict[str, Template] = {}
    flags = GUIDE
    budgets: dict[str, tuple[Limits, Path]] = {}
    notes: tuple[str, ...] = ()
    for source, path in levels:
        level = tomlfile.read(path)
        _raise_first((*level.problems, *_stray(level)))
        for key, (value, stated) in level.values.items():
            found[key] = Setting(value, source, str(path), stated)
        models = models if level.models is None else level.models
        notes += level.notes
        templates |= level.templates
        flags = joined(flags, level.flags)
        budgets |= {name: (limits, path) for name, limits in level.budgets.items()}
    from_environment, warnings = environment.read(environ)
    found |= from_environment
    for key, stated in (overrides or {}).items():
        found[key] = environment.stated(settings.plain_spec(key), stated, "command line")
    paths_read = tuple(path for _source, path in reversed(levels))
    own, lost = _budgets_of(budgets, models)
    warnings = (*warnings, *notes, *lost)
    return Config(found, models, templates, warnings, paths_read, flags, own, file)


def over(config: Config, stated: tomlfile.TomlFile) -> Config:
    """What was read, with what a program states on top of it. Raises ``BadConfig`` for the first
    thing that cannot be used."""
    _raise_first(stated.problems)
    values = {
        key: Setting(value, "code", str(stated.path), raw)
        for key, (value, raw) in stated.values.items()
    }  # fmt: skip
    models = config.models if stated.models is None else stated.models
    templates = {**config.templates, **stated.templates}
    budgets, lost = _budgets_over(config.budgets, stated, models)
    return config._replace(
        settings={**config.settings, **values}, models=models, templates=templates,
        warnings=(*config.warnings, *stated.notes, *lost),
        flags=joined(config.flags, stated.flags), budgets=budgets,
    )  # fmt: skip


def settled(config: Config) -> Config:
    """What was read and stated as one, once that is seen to fit together. Raises ``BadConfig``."""
    found, models = dict(config.settings), config.models
    _require_weight(found)
    found["fallback_chain"], lost = _chain_of(found["fallback_chain"], models, config.files)
    found["migration.mode"], idle = _mode_of(found, models, config.files)
    strategy = found["strategy"]
    said = (
        _idle_default(found["default_model"], models, user_file()),
        strategy_warning(strategy.stated, strategy.where or strategy.source), lost, idle,
    )  # fmt: skip
    _require_models(config.flags, models, config.files)
    warnings = (*config.warnings, *filter(None, said))
    return config._replace(settings=MappingProxyType(found), warnings=warnings)


def user_file() -> Path:
    """The user's own ``llmrr.toml``, whether or not it exists."""
    return paths.config_dir() / FILE_NAME


def edit_line(path: Path) -> str:
    """The command line that edits a file of settings."""
    import shlex

    own = path.absolute() == user_file()
    return "llmrr config edit" if own else f"${{EDITOR:-vi}} {shlex.quote(str(path))}"


def project_file(cwd: Path | None = None) -> Path | None:
    """The nearest ``llmrr.toml`` in the working directory or above it, the user's own apart."""
    try:
        start = (cwd or Path()).absolute()
    except FileNotFoundError:  # the working directory was removed
        return None
    own = user_file()
    for folder in (start, *start.parents):
        path = folder / FILE_NAME
        if _is_file(path) and path != own:
            return path
    return None


def given_or_project(file: str | None) -> Path:
    """The file that is named, else the project's. Raises ``NotFound`` where there is none."""
    found = paths.expanded(file) if file is not None else project_file()
    if found is None:
        raise NotFound(f"there is no {FILE_NAME} here or above", "llmrr config trust FILE")
    return found


def render(template: Template, values: Mapping[str, object]) -> tuple[Message, ...] | str:
    """Fill the holes of a template: its messages, or its text.

    ``UsageError`` for a hole without a value, or a value without a hole; ``Unsupported`` for a
    template that is written in another format than braces.
    """
    prompt = template.prompt
    return prompt.format(values) if prompt.is_text else prompt.format_messages(values)


def check(path: Path) -> list[Problem]:
    """Everything that is wrong with a file, files that it names and that are missing included.

    ``NotFound`` for a file that is not there.
    """
    if not path.exists():
        raise NotFound(f'there is no file "{path}"', "llmrr config check, for those in use")
    file = tomlfile.read(path)
    problems = [*file.problems, *_stray(file)]
    problems += () if problems else _variables(file)
    for model in file.models or ():
        if model.path is not None and not model.path.exists():
            problems.append(
                Problem(
                    f"the model {model.name!r} is not there: {model.path} ({path})", f"edit {path}"
                )
            )
    return problems


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
    before = _content(path)
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
    before = _content(path)
    if before is not None:
        _raise_first(tomlfile.read(path, before).problems)
    text = "version = 1\n" if before is None else before.decode()
    content = changed(path, text, [(tuple(key.split(".")), value)]).encode()
    if content != before:
        _write(path, content, before, "config set")
    return path


def changed(path: Path, text: str, changes: "Sequence[tuple[Place, object]]") -> str:
    """The text of a file of settings with values changed, and everything else of it as it stands.
    Raises ``BadConfig`` where that cannot be, or would be no valid configuration."""
    from llmrr import tomledit

    try:
        found = tomledit.with_values(text, changes)
    except tomledit.UnusualText as exc:
        raise BadConfig(
            f"{exc} cannot be changed in {path}, which writes it in an unusual way",
            f"change it by hand: {edit_line(path)}",
        ) from exc
    _raise_first(tomlfile.read(path, found.encode()).problems)
    return found


def rollback(*, force: bool = False) -> "Entry":
    """Undo the last change that ``edit``, ``set_value`` or ``llmrr optimize`` made."""
    from llmrr import journal

    return journal.undo(kind="config", force=force)


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


def _raise_first(problems: tuple[Problem, ...]) -> None:
    if problems:
        more = len(problems) - 1
        hint = [problems[0].hint, f"{more} more: llmrr config check" if more else ""]
        raise BadConfig(problems[0].message, "\n".join(filter(None, hint)))


def _stray(file: tomlfile.TomlFile) -> Iterator[Problem]:
    """An ``env_file`` that a project reaches for outside of its folder."""
    found, stated = file.values.get("env_file", (None, None))
    if not isinstance(found, Path) or file.path.absolute() == user_file():
        return
    from llmrr import envfile

    if envfile.is_outside(found, file.path.parent):
        yield Problem(
            f"env_file = {toml_text(stated)} lies outside the folder of the project ({file.path})",
            f"a file inside it; your own llmrr.toml may name any: {user_file()}",
        )


def _variables(file: tomlfile.TomlFile) -> Iterator[Problem]:
    """What is wrong with the ``env_file``."""
    found, _ = file.values.get("env_file", (None, None))
    if not isinstance(found, Path):
        return
    from llmrr import envfile

    if not paths.exists(found):
        yield Problem(f"the env_file is not there: {found} ({file.path})", f"edit {file.path}")
    try:
        envfile.read(found)
    except BadConfig as error:
        yield Problem(error.message, error.hint)


def _idle_default(
    default: Setting, models: tuple[ConfiguredModel, ...], user: Path
) -> str | None:
    """The warning for a ``default_model`` beside ``[[models]]`` that a stronger file did not
    bring."""
    overruled = default.source == "user" and bool(models) and models[0].file != user
    if default.source == "default" or not models or overruled:
        return None
    where = f" ({default.where})" if default.where else ""
    said = f"default_model = {toml_text(default.stated)}{where} has no effect where there are"
    return f"{said} [[models]]: one of them answers"


def _require_weight(found: Mapping[str, Setting]) -> None:
    weights = [found[f"weights.{name}"] for name in tomlfile.WEIGHTS]
    if all(weight.value == 0 for weight in weights):
        where = next((weight.where for weight in weights if weight.where), None)
        said = f" ({where})" if where else ""
        raise BadConfig(
            f"the weights of quality, cost and speed are all zero{said}",
            "give one of [weights] a number above 0",
        )


def _chain_of(
    chain: Setting, models: tuple[ConfiguredModel, ...], files: tuple[Path, ...]
) -> tuple[Setting, str | None]:
    """The chain over the models that there are, with a warning of the others: the models of a
    project replace those that the user's own chain names, and those of a program both."""
    if not isinstance(chain.value, tuple):
        return chain, None
    names = {model.name for model in models}
    absent = [name for name in chain.value if name not in names]
    if not absent:
        return chain, None
    said = f"fallback_chain names {absent[0]!r}, and no [[models]] is called so"
    if not models or not _is_weaker(chain.source, models, files):
        near = nearest(absent[0], names)
        where = chain.where or chain.source
        hint = f"did you mean {near}?" if near else f"add [[models]] of that name to {where}"
        raise BadConfig(f"{said} ({where})", hint)
    kept = tuple(name for name in chain.value if name in names)
    left = chain._replace(value=kept) if kept else settings.defaults()["fallback_chain"]
    return left, f"{said} here: it is left out ({chain.where})"


def _source_of(models: tuple[ConfiguredModel, ...], files: tuple[Path, ...]) -> Source:
    file = models[0].file
    return "user" if file == user_file() else "project" if file in files else "code"


def _is_weaker(
    source: Source, models: tuple[ConfiguredModel, ...], files: tuple[Path, ...]
) -> bool:
    """Whether the models come from something stronger."""
    return _RANKS.index(source) < _RANKS.index(_source_of(models, files))


def _mode_of(
    found: Mapping[str, Setting], models: tuple[ConfiguredModel, ...], files: tuple[Path, ...]
) -> tuple[Setting, str | None]:
    """How the sides of ``[migration]`` run over the models that there are, with a warning where
    that is not at all: nobody names sides, or the models of a project replace the user's."""
    mode, new, legacy = (found[f"migration.{leaf}"] for leaf in ("mode", *sides.SIDES))
    off = settings.defaults()["migration.mode"]
    said = mode.where or mode.source
    if new.value is None and legacy.value is None and mode.source == "environment":
        written = f"{said} = {toml_text(mode.stated)}"
        return off, f"{written} has no effect: nothing names [migration] new and legacy"
    names = [model.name for model in models]
    for one in sides.wrong(mode.value, new.value, legacy.value, names):  # type: ignore[arg-type]
        setting = found[f"migration.{one.leaf}"]
        where = setting.where or setting.source
        foreign = bool(models) and _is_weaker(setting.source, models, files)
        if one.absent is None or not foreign:
            raise BadConfig(f"{one.message} ({where})", one.hint)
        idle = f"{one.message} here: there is no migration mode ({where})"
        return off, None if mode.value is None else idle
    return mode, None


def _require_models(
    flags: tuple[Flag, ...], models: tuple[ConfiguredModel, ...], files: tuple[Path, ...]
) -> None:
    """Raise ``BadConfig`` for a model that a flag names and that is none, unless the models of
    something stronger replaced it."""

    def rank(file: Path | None) -> int:
        return files.index(file) if file in files else -1

    names = [model.name for model in models]
    for flag in flags:
        replaced = bool(models) and rank(models[0].file) < rank(flag.file)
        for message, hint in () if replaced or flag.file is None else strangers(flag, names):
            raise BadConfig(f"{message} ({flag.file})", hint)

def _budgets_of(
    stated: Mapping[str, tuple[Limits, Path]], models: tuple[ConfiguredModel, ...]
) -> tuple[Mapping[str, Limits], list[str]]:
    """The budgets of the models that there are, with a warning of each other one: the models of a
    project replace those that the user's own file names."""
    names = {model.name for model in models}
    lost = []
    for name, (_limits, path) in stated.items():
        if name in names:
            continue
        said = f"[budgets.{name}] is of no model: no [[models]] is called {name!r}"
        if not models or models[0].file == path or path != user_file():
            near = nearest(name, names)
            hint = f"did you mean {near}?" if near else f"add [[models]] of that name to {path}"
            raise BadConfig(f"{said} ({path})", hint)
        lost.append(f"{said} here: it is left out ({path})")
    return {name: limits for name, (limits, _) in stated.items() if name in names}, lost


def _budgets_over(
    below: Mapping[str, Limits], stated: tomlfile.TomlFile, models: tuple[ConfiguredModel, ...]
) -> tuple[Mapping[str, Limits], list[str]]:
    """The budgets with those that a program states; what is of models that it replaced is left
    out, with a warning."""
    own, _ = _budgets_of({name: (one, stated.path) for name, one in stated.budgets.items()}, models)
    names = {model.name for model in models}
    lost = [
        f"[budgets.{name}] is left out: no [[models]] is called so any more ({stated.path})"
        for name in below if name not in names
    ]  # fmt: skip
    return {**{name: one for name, one in below.items() if name in names}, **own}, lost


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a parent that may not be looked into
        return False


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


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise BadConfig(f"cannot read {path}: {exc.strerror}") from exc


def _write(path: Path, content: bytes, before: bytes | None, what: str) -> None:
    from llmrr import journal

    with journal.change(what) as change:
        if _content(path) != before:
            raise LlmrrError(
                f"{path} was changed by someone else in the meantime", "look at it, and try again"
            )
        change.write(path, content)


def _discard(copy: Path) -> None:
    import shutil

    shutil.rmtree(copy.parent, ignore_errors=True)


def _header(table: str) -> str:
    """The header line of a table in the starter file.

    >>> _header("models[]"), _header("models[].params"), _header("stats")
    ('[[models]]', '[models.params]', '[stats]')
    """
    table = table.replace("budgets.NAME", "budgets.assistant")  # the name of a model must be one
    return "[[models]]" if table == "models[]" else f"[{table.replace('[]', '')}]"
