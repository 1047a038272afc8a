"""The declarative table of settings: what may stand in ``llmrr.toml``, of which kind, what it is
by default and what it does. Validation, ``config show``, the starter file and the manual page
``llmrr.toml(5)`` are all made from ``SETTINGS``.

A key appears here together with the part that gives it effect.
"""

from collections.abc import Mapping
from pathlib import Path

from llmrr.errors import BadConfig, nearest
from llmrr.kinds import FILE, FLAG, KEEPALIVE, TEXT, Kind, whole
from llmrr.settings.base import Setting, Source, Spec
from llmrr.settings.models import ENGINES, KV_TYPES, MODELS, PLACING, REMOTE_OPTIONS, STRAY
from llmrr.settings.routing import ROUTING
from llmrr.settings.running import RUNNING
from llmrr.settings.serving import SERVING
from llmrr.strategies import CHAIN, DEFAULT_STRATEGY, NAMES, STRATEGIES, STRATEGY

__all__ = [
    "ENGINES", "KV_TYPES", "PLACING", "REMOTE_OPTIONS", "SETTINGS", "STRAY", "Setting", "Source",
    "Spec", "defaults", "plain_settings", "plain_spec", "spec",
]  # fmt: skip

def _version(value: object, folder: Path) -> object:
    if type(value) is int and value > 1:
        raise ValueError(f"{value} is the format of a newer llmrr than this one, which reads 1")
    return whole(1, 1).parse(value, folder)


VERSION = Kind("a whole number, as yet 1", _version)

SETTINGS: tuple[Spec, ...] = (
    Spec("version", VERSION, 1, "The version of this file's format.", "1"),
    Spec("strategy", STRATEGY, DEFAULT_STRATEGY,
         "Which of the [[models]] answers where none is named: "
         + "; ".join(f"{name}: {what}" for name, what in STRATEGIES.items()) + ".",
         '"quality-first"', True),
    Spec("fallback_chain", CHAIN, None,
         "What is asked, in this order, when the model that was chosen fails before its first "
         "word; of a group its other members come before it; unset, all others by priority. With "
         "false one model is asked, and no other.",
         '["assistant", "local"]', True),
    Spec("default_model", TEXT, None,
         "The model that answers when none is named, where there are no [[models]]; without it, "
         "the installed one that was used or added last.",
         '"qwen3:4b"', True),
    Spec("env_file", FILE, None,
         "A file of NAME=value lines where keys are looked up that are not in the environment, "
         "before those of llmrr keys set; relative to this file, and of a project's file inside "
         "its folder. Nothing else is taken from it.",
         '".env"', True),
    Spec("preload", NAMES, [],
         "The models that are loaded beforehand where [memory] loading is preload; without any, "
         "all [[models]].", '["assistant", "local"]', True),
    Spec("keepalive", KEEPALIVE, "5m",
         "How long a model stays loaded after llmrr run, chat or embed, in a process of its own "
         "that the next run uses, and that ends by itself: a time such as \"10m\", seconds, 0 for "
         "not at all, or -1 until llmrr stop. A model of llmrr serve that such a run has used "
         "stays as long, where this is set and [memory] auto_unload is true.",
         '"30m"', True),
    Spec("log_prompts", FLAG, True,
         "Whether prompts and answers are kept with the record of each run.", "false", True),
    *MODELS, *ROUTING, *RUNNING, *SERVING,
)  # fmt: skip

_BY_KEY = {setting.key: setting for setting in SETTINGS}
_REPEATED = ("models[].", "templates.NAME.", "flags.", "budgets.NAME.", "serve.keys.")


def spec(key: str) -> Spec:
    """The setting of that key; ``KeyError`` for an unknown one."""
    return _BY_KEY[key]


def plain_settings() -> Mapping[str, Spec]:
    """Those with one value each, by key: all but what is in ``[[models]]``, ``[templates]`` and
    ``[flags]``, ``[budgets.NAME]`` and ``[serve.keys.NAME]``."""
    return {key: setting for key, setting in _BY_KEY.items() if not key.startswith(_REPEATED)}


def plain_spec(key: str) -> Spec:
    """A setting of one value by its key; ``BadConfig`` with the nearest one for an unknown key."""
    known = plain_settings()
    if key not in known:
        near = nearest(key, known)
        raise BadConfig(
            f"unknown key {key}",
            f"did you mean {near}?" if near else "llmrr config show lists the settings",
        )
    return known[key]


def defaults() -> dict[str, Setting]:
    """Every setting of one value, as it is when nobody sets it."""
    return {
        key: Setting(
            None if spec.default is None else spec.kind.parse(spec.default, Path()),
            "default",
            None,
            spec.default,
        )
        for key, spec in plain_settings().items()
    }
