"""What a configuration says of all its models: the guide's keys, and those of ``llmrr.toml``."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmrr import settings
from llmrr.guide import RULES, snake
from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.terms import fields, naming, secrets
from llmrr.migrate.values import Prompt, Value, plain
from llmrr.strategies import STRATEGIES, STRAY

_CHAINS: Final = ("fallback_chain", "fallback_models", "fallbacks")
_STRATEGIES: Final = ("strategy", "routing_strategy", "load_balancing")
_PROMPTS: Final = ("templates", "prompts", "prompt_templates")
_READ: Final = frozenset({
    "models", "defaults", "default_config", "model_defaults", "default_options", "providers",
    "api_keys", "credentials", "name", "version", "description", "$schema", "schema", "debug",
    "log_level", "verbose", *_PROMPTS,
})  # fmt: skip
_DEEPEST: Final = 4


def read(table: Mapping[str, Value], known: Mapping[str, Model], findings: Findings) -> None:
    """Put what a table says beside its models where it belongs."""
    for name, value in table.items():
        ours = snake(name)
        if ours in _PROMPTS:
            _templates(value, known, findings)
        elif ours in _READ or value is None:
            continue
        elif ours in _CHAINS:
            _chain(name, value, known, findings)
        elif ours in _STRATEGIES and isinstance(value, str | dict):
            _strategy(name, value, findings)
        elif secrets.is_secret_field(name):
            _key(name, value, known, findings)
        else:
            _setting(name, value, findings)


def of_provider(table: Mapping[str, Value], provider: Value) -> dict[str, Value]:
    """What is said of a provider for all its models: its key, its address."""
    found: dict[str, Value] = {}
    for name in ("providers", "credentials", "apiKeys"):
        of_all = table.get(name)
        if not isinstance(of_all, dict) or not isinstance(provider, str):
            continue
        own = of_all.get(provider)
        if isinstance(own, dict):
            found.update(own)
        elif own is not None and name != "providers":
            found["apiKey"] = own
    return found


def _key(name: str, value: Value, known: Mapping[str, Model], findings: Findings) -> None:
    """One key for all models that have none."""
    for model in {id(one): one for one in known.values()}.values():
        if not model.options.get("api_key_env") and not naming.is_local(model.source):
            fields.api_key(model, value, findings, at=name)


def _chain(name: str, value: Value, known: Mapping[str, Model], findings: Findings) -> None:
    models = []
    for one in value if isinstance(value, list) else [value]:
        called = one.get("name", one.get("model")) if isinstance(one, dict) else one
        if isinstance(called, str) and called in known:
            models.append(known[called])
        else:
            text = called if isinstance(called, str) else "an entry"
            findings.warn("unresolved", f"{text} is none of the models", at=name)
    findings.chain(*models)
    if models:
        names = dict.fromkeys(one.name for one in models)
        findings.settings.setdefault("fallback_chain", list(names))


def _strategy(name: str, value: Value, findings: Findings) -> None:
    if isinstance(value, dict):
        value = value.get("type", value.get("strategy", value.get("name")))
    word = value.strip().lower().replace("_", "-") if isinstance(value, str) else ""
    ours = STRAY.get(word, word)
    if ours not in STRATEGIES:
        said = f"{value!r} is no strategy of llmrr" if isinstance(value, str) else "is none"
        findings.warn("strategy", said, at=name)
        return
    findings.settings["strategy"] = ours
    if ours != value:
        findings.warn("strategy", f"{value!r} is taken as {ours!r}", at=name)


def _templates(value: Value, known: Mapping[str, Model], findings: Findings) -> None:
    for name, one in value.items() if isinstance(value, dict) else ():
        model = None
        if isinstance(one, dict):
            model = known.get(str(one.get("model")))
            one = one.get("template", one.get("text", one.get("prompt")))
        if isinstance(one, Prompt):
            findings.template(name, one.text, model=model)
        elif isinstance(one, str) and one.strip():
            findings.template(name, one, model=model)
        elif one is not None:
            findings.warn("unresolved", "is no text that is known", at=name)


def _setting(name: str, value: Value, findings: Findings) -> None:
    for place, written, one in _leaves(snake(name), name, value, 0):
        rule = RULES.get(place)
        if rule is None and place in settings.plain_settings():
            _put(place, written, one, findings)
        elif rule is not None and rule.key is not None:
            converted = rule.convert(one)
            if converted is not None:
                _put(rule.key, written, converted, findings)
        elif rule is None:
            findings.warn("not-applied", f"{written} has no place in llmrr.toml", at=written)


def _leaves(
    place: str, written: str, value: Value, depth: int
) -> Iterator[tuple[str, str, Any]]:
    """What is stated below a key, as far down as somebody knows the name."""
    if isinstance(value, dict) and depth < _DEEPEST:
        prefixes = [*RULES, *settings.plain_settings()]
        if any(one.startswith(f"{place}.") for one in prefixes):
            for inner, one in value.items():
                yield from _leaves(f"{place}.{snake(inner)}", f"{written}.{inner}", one, depth + 1)
            return
    yield place, written, value


def _put(key: str, written: str, value: Value, findings: Findings) -> None:
    try:
        stated = plain(value)
        settings.spec(key).kind.parse(stated, findings.path.parent)
    except ValueError:
        findings.warn("wrong-type", f"{written} is not what {key} takes", at=written)
        return
    except KeyError:
        return
    findings.settings[key] = stated
