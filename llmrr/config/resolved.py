"""What is configured, once all that states something was read."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from llmrr.config.agreeing import secrets_of
from llmrr.config.files import user_file
from llmrr.errors import NotFound, nearest
from llmrr.flags import GUIDE, Flag
from llmrr.settings import Setting
from llmrr.strategies import Limits
from llmrr.tomlfile import ConfiguredModel, KeyRules, Template


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
    keys: Mapping[str, KeyRules] = MappingProxyType({})

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
        options: dict[str, Any] = {**model.options, **stated}
        found = " and ".join(secrets_of(model.source, options))
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
        return self._is_trusted(Path(setting.where))

    def untrusted_keys(self) -> tuple[Path, ...]:
        """The files that let somebody into the server, and that nobody has agreed to: those of a
        project."""
        files = {one.file for one in self.keys.values() if one.file in self.files}
        return tuple(one for one in files if one is not None and not self._is_trusted(one))

    def _is_trusted(self, file: Path) -> bool:
        if file in (self.named, user_file()):
            return True
        from llmrr import trust

        return trust.is_trusted(file)
