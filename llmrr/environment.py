"""Settings that come as text: ``LLMRR_…`` variables (two underscores go one table down), and the
values of the command line."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from llmrr import settings
from llmrr.errors import BadConfig, nearest
from llmrr.settings import Setting, Source, Spec
from llmrr.tomltext import complaint, is_secret, toml_text

PREFIX = "LLMRR_"
MIGRATION_MODE = "MIGRATION_MODE"  # known by this name before there was an llmrr
OVERRIDING = {"migration.mode": MIGRATION_MODE}  # what holds also over what a program states
NOT_SETTINGS = {"LLMRR_HOME", "LLMRR_DEBUG", "LLMRR_CORPUS", "LLMRR_ALERT"}
TRUTH = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


def read(environ: Mapping[str, str]) -> tuple[dict[str, Setting], tuple[str, ...]]:
    """The settings that the environment states, and a warning per name that sets nothing. An
    empty variable counts as not set."""
    found, warnings = {}, []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        key = name.removeprefix(PREFIX).lower().replace("__", ".")
        spec = settings.plain_settings().get(key)
        if spec is None or not spec.environment:
            warnings.append(_sets_nothing(name))
        elif environ[name]:
            found[key] = stated(spec, environ[name], "environment", name)
    if mode := environ.get(MIGRATION_MODE):
        spec = settings.spec("migration.mode")
        found[spec.key] = stated(spec, mode.strip(), "environment", MIGRATION_MODE)
    return found, tuple(warnings)


def variable(key: str) -> str:
    """The name of the variable that sets a key.

    >>> variable("engines.llamacpp.threads")
    'LLMRR_ENGINES__LLAMACPP__THREADS'
    """
    return PREFIX + key.upper().replace(".", "__")


def stated(spec: Spec, value: object, source: Source, where: str | None = None) -> Setting:
    """The setting that a value means; of a text, what it reads as. ``BadConfig`` when it is not
    what the setting expects."""
    why = ""
    for reading in _readings(value) if isinstance(value, str) else [value]:
        try:
            if is_secret(spec.leaf, value):
                raise ValueError
            return Setting(spec.kind.parse(reading, Path()), source, where, reading)
        except ValueError as exc:
            why = str(exc)
    said = complaint(
        spec.leaf, value, spec.kind.expected, why,
        named=where or spec.key, written=f" = {toml_text(value)}",
    )  # fmt: skip
    raise BadConfig(f"{said} ({source})", f"for example: {_example(spec, where)}")


def _sets_nothing(name: str) -> str:
    known = [variable(key) for key, spec in settings.plain_settings().items() if spec.environment]
    own = name.removeprefix(PREFIX)  # what all have in common makes none of them near
    near = nearest(own, [one.removeprefix(PREFIX) for one in (*known, *NOT_SETTINGS)])
    return f"the environment variable {name} sets nothing" + (
        f"; did you mean {PREFIX}{near}?" if near else ""
    )


def _example(spec: Spec, where: str | None) -> str:
    return f"{where}={spec.example}" if where else f"{spec.leaf} = {spec.example}"


def _readings(text: str) -> list[object]:
    """What a text may stand for, the most specific first.

    >>> _readings("4"), _readings("Yes"), _readings("f16")
    ([4, 4.0, '4'], [True, 'Yes'], ['f16'])
    >>> _readings('["a", "b"]')
    [['a', 'b'], '["a", "b"]']
    >>> _readings('{ a = "b" }')[0]
    {'a': 'b'}
    """
    readings: list[object] = [*_nested(text)]
    for number in (int, float):
        try:
            readings.append(number(text))
        except ValueError:
            continue
    if text.lower() in TRUTH:
        readings.append(TRUTH[text.lower()])
    return [*readings, text]


def _nested(text: str) -> Iterator[object]:
    """The list or the table that a text is, written as in ``llmrr.toml``."""
    if text.lstrip().startswith(("[", "{")):
        import tomllib

        with suppress(tomllib.TOMLDecodeError, RecursionError):
            yield tomllib.loads(f"value = {text.strip()}")["value"]
