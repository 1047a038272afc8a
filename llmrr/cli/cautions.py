"""What of the configuration will not work as it is stated, though nothing of it is wrong."""

from collections.abc import Iterator
from pathlib import Path

from llmrr import config as settings
from llmrr.config.agreeing import agree_line
from llmrr.errors import LlmrrError
from llmrr.kinds import LOCAL_PROVIDERS
from llmrr.router import Router
from llmrr.tomlfile import Problem


def of_use(file: Path | None) -> list[Problem]:
    """That of what is in effect here, or would be with this ``file`` as the project's. Raises
    ``BadConfig`` for what cannot be used."""
    found = settings.load() if file is None else settings.with_file(file)
    with Router(found) as router:
        return [
            *map(Problem, found.warnings), *_absent(router), *_untrusted(found), *_unserved(router)
        ]  # fmt: skip


def _absent(router: Router) -> Iterator[Problem]:
    """The models of the configuration that are not here."""
    found = router.config
    local = (model.name for model in found.models if model.provider in LOCAL_PROVIDERS)
    named = [(name, name) for name in local]
    for key in ("default_model", "preload", "cache.semantic.model"):
        value = found.value(key)
        each = value if isinstance(value, tuple) else filter(None, [value])
        named += [(f"{key} = {name}", str(name)) for name in each]
    for template in found.templates.values():
        if template.model and not router.selection.members(template.model):
            named.append((template.model, template.model))
    for label, name in named:
        try:
            router.resolve(name)
        except LlmrrError as error:
            yield Problem(f"{label}: {error.message}", error.hint)


def _untrusted(found: settings.Config) -> Iterator[Problem]:
    """What takes no effect before the user agrees."""
    for model in found.models:
        if said := found.untrusted(model.name):
            yield Problem(f"{said}, and nobody agreed to that", agree_line(model.file))
    for key in settings.ALERTS:
        setting = found.settings[f"alerts.{key}"]
        if setting.value is not None and not found.is_agreed(f"alerts.{key}"):
            said = f"{settings.of_alerts(key, setting.value)} ({setting.where})"
            hint = agree_line(str(setting.where))
            yield Problem(f"{said}, and nobody agreed to that", hint)


def _unserved(router: Router) -> Iterator[Problem]:
    """What ``llmrr serve`` would not begin with."""
    from llmrr.server import aliases, security

    found = router.config
    host = str(found.value("serve.host"))
    for error in (
        *security.refused(found, host), *aliases.wrong(found, aliases.installed(router))
    ):  # fmt: skip
        yield Problem(f"llmrr serve: {error.message}", error.hint)
