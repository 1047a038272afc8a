"""What LiteLLM's router is told besides its models: chains, a strategy, retries, times."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llmrr.migrate.artefact import Findings, Model
from llmrr.migrate.parsing.lines import Lines
from llmrr.migrate.parsing.shapes import table
from llmrr.migrate.terms.withheld import withhold

Groups = Mapping[str, Sequence[Model]]

_STRATEGIES: Final = {
    "simple-shuffle": "random", "least-busy": "least-loaded",
    "latency-based-routing": "speed-priority", "usage-based-routing": "least-loaded",
    "usage-based-routing-v2": "least-loaded", "cost-based-routing": "cost-optimized",
}  # fmt: skip
_CONDITIONS: Final = {
    "context_window_fallbacks": "where a prompt is too long",
    "content_policy_fallbacks": "where the provider refuses the content",
}  # fmt: skip
_FALLBACKS: Final = ("fallbacks", "default_fallbacks", *_CONDITIONS)
# (theirs, ours): numbers that llmrr.toml has too. The first section that states one counts.
_NUMBERS: Final = (
    ("request_timeout", "timeouts.total"), ("timeout", "timeouts.total"),
    ("stream_timeout", "timeouts.first_token"), ("allowed_fails", "breaker.failures"),
    ("cooldown_time", "breaker.cooldown"), ("retry_after", "retry.initial_delay"),
)  # fmt: skip
_SPANS: Final = {
    "30d": "budgets.monthly", "31d": "budgets.monthly", "1mo": "budgets.monthly",
    "1d": "budgets.daily", "24h": "budgets.daily",
}  # fmt: skip
_NOISE: Final = frozenset({
    "drop_params", "set_verbose", "verbose", "json_logs", "modify_params", "telemetry",
    "suppress_debug_info", "turn_off_message_logging", "redact_user_api_key_info", "debug_level",
    "routing_strategy", "num_retries", "model_group_alias", "max_retries", "add_function_to_prompt",
    "model_list", "enable_pre_call_checks", "routing_strategy_args", "optional_pre_call_checks",
    "request_timeout", "timeout", "stream_timeout", "allowed_fails", "cooldown_time", "retry_after",
    *_FALLBACKS,
})  # fmt: skip
_GUARDS: Final = ("callback", "guardrail", "budget", "hook", "user", "team", "alert", "max_budget")


def settle_router(whole: dict[str, Any], groups: Groups, findings: Findings, lines: Lines) -> None:
    """Fill in chains and settings from all sections; the top level counts too, where people put
    them by mistake."""
    names = ("router_settings", "litellm_settings")
    sections = [table(whole.get(name)) for name in names]
    misplaced = {key: whole[key] for key in whole if key in _NOISE and key != "model_list"}
    for section in (*sections, misplaced):
        _alias(section.get("model_group_alias"), groups, findings, lines)
    for section in (*sections, misplaced):
        _chains(section, groups, findings, lines)
    _numbers((*sections, misplaced), findings, lines)
    _strategy((*sections, misplaced), findings, lines)
    budgeted = {key for section in sections for key in _budget(section, findings, lines)}
    for name, section in zip(names, sections, strict=True):
        kept = {key: one for key, one in section.items() if key not in budgeted}
        _rest(name, kept, findings, lines)
    _server(whole, findings, lines)


def _chains(
    section: Mapping[str, Any], groups: Groups, findings: Findings, lines: Lines
) -> None:
    """The chains of a section. Those with a condition are told."""
    for name, others in _pairs(section.get("fallbacks")):
        _chain(name, others, groups, findings, lines)
    for key, when in _CONDITIONS.items():
        for name, others in _pairs(section.get(key)):
            _chain(name, others, groups, findings, lines)
            findings.warn(
                "conditional-fallback", f"{name} fell back {when}; here, whenever it fails",
                lines.first(key, key=True), key,
            )  # fmt: skip
    if default := _texts(section.get("default_fallbacks")):
        _chain("*", default, groups, findings, lines)


def _chain(
    name: str, others: list[str], groups: Groups, findings: Findings, lines: Lines
) -> None:
    """A chain for every member of a group, or with ``*`` for all; a name that there is none of is
    told."""
    for one in (name, *others):
        if one in groups or one == "*":
            continue
        findings.warn(
            "no-model", f"a fallback names {one}, which is no model here", lines.first(one), one
        )
    members = [model for other in others for model in groups.get(other, ())]
    if name == "*" and members:
        names = dict.fromkeys(one.name for one in members)
        findings.settings.setdefault("fallback_chain", list(names))
    for model in groups.get(name, ()):
        findings.chain(model, *members)


def _pairs(value: Any) -> Iterator[tuple[str, list[str]]]:
    """``[{"a": ["b"]}]``, and ``{"a": ["b"]}``; a plain list is for all."""
    if isinstance(value, dict):
        value = [value]
    for entry in value if isinstance(value, list) else ():
        for name, others in table(entry).items():
            yield name, _texts(others)
    plain = _texts(value)
    if plain:
        yield "*", plain


def _alias(value: Any, groups: Groups, findings: Findings, lines: Lines) -> None:
    for alias, target in table(value).items():
        name = target.get("model") if isinstance(target, dict) else target
        if not isinstance(name, str) or name not in groups:
            findings.warn("no-model", f"{alias} stands for {name}, which is no model here",
                          lines.first(alias), alias)  # fmt: skip
            continue
        groups[name][0].aliases.append(alias)


def _numbers(
    sections: Sequence[Mapping[str, Any]], findings: Findings, lines: Lines
) -> None:  # fmt: skip
    for theirs, ours in _NUMBERS:
        for section in sections:
            value = section.get(theirs)
            number = _number(value)
            if number is not None and number > 0:
                findings.settings.setdefault(ours, number)
            elif value is not None and number is None:
                findings.warn(
                    "wrong-type", f"{theirs} is no number", lines.first(theirs, key=True), theirs
                )
    for section in sections:
        retries = _number(section.get("num_retries"))
        if retries is not None and retries >= 0:
            findings.settings.setdefault("retry.attempts", int(retries) + 1)


def _strategy(
    sections: Sequence[Mapping[str, Any]], findings: Findings, lines: Lines
) -> None:  # fmt: skip
    for section in sections:
        theirs = section.get("routing_strategy")
        if theirs is None:
            continue
        line = lines.first("routing_strategy", key=True)
        if isinstance(theirs, str) and theirs in _STRATEGIES:
            findings.settings.setdefault("strategy", _STRATEGIES[theirs])
            if _STRATEGIES[theirs] != "random":
                findings.warn("strategy", f"{theirs} is {_STRATEGIES[theirs]} here", line)
        else:
            findings.warn("strategy", f"{theirs} has no equivalent", line, "routing_strategy")


def _budget(section: Mapping[str, Any], findings: Findings, lines: Lines) -> tuple[str, ...]:
    """What may be spent in a day or a month; the keys that say so."""
    most, within = _number(section.get("max_budget")), section.get("budget_duration")
    ours = _SPANS.get(str(within))
    if ours is None or most is None or most <= 0:
        return ()
    findings.settings.setdefault(ours, most)
    if ours == "budgets.monthly" and within != "1mo":
        said = f"{within} is a month of the calendar here"
        line = lines.first("budget_duration", key=True)
        findings.warn("not-applied", said, line, "budget_duration")
    return "max_budget", "budget_duration"


def _rest(name: str, section: Mapping[str, Any], findings: Findings, lines: Lines) -> None:
    for key, value in section.items():
        if key in _NOISE or value in (None, False, "", [], {}):
            continue
        line = lines.first(key, key=True)
        if key.startswith(("cache", "redis")):
            findings.warn("cache-setting", f"{key}: answers are cached by [cache]", line, key)
        elif any(word in key for word in _GUARDS):
            findings.warn("guard", f"{key} stays with LiteLLM", line, key)
        else:
            findings.warn("not-applied", f"{key} has no place in llmrr.toml", line, key)
        withhold({key: value}, findings, line, at=name)


def _server(whole: dict[str, Any], findings: Findings, lines: Lines) -> None:
    """What guards and feeds the proxy; its keys are told and never kept."""
    for name in ("general_settings", "environment_variables"):
        for key, value in table(whole.get(name)).items():
            if value in (None, "", [], {}):
                continue
            line = lines.first(key, key=True)
            withhold({key: value}, findings, line, at=name)
            code = "guard" if "key" in key.lower() or "auth" in key.lower() else "proxy-setting"
            findings.warn(code, f"{key} is of the proxy", line, f"{name}.{key}")
    for key in whole:
        if key.startswith(("guardrail", "callback", "mcp_", "vector_store", "search_", "files_")):
            findings.warn("guard", f"{key} stays with LiteLLM", lines.first(key, key=True), key)
        elif key == "credential_list":
            withhold({key: whole[key]}, findings, lines.first(key, key=True), at="credential_list")


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    if found != found or found in (float("inf"), float("-inf")):
        return None
    return int(found) if found.is_integer() else found


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
