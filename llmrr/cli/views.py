"""What the facts of each command look like on a page: lines of text, pure."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypedDict

from llmrr.cli.layout import Page, counted, size

if TYPE_CHECKING:
    from pathlib import Path

    from llmrr.config import Config, Problem
    from llmrr.doctor import Check
    from llmrr.flags import Flag
    from llmrr.hardware import Hardware
    from llmrr.inventory import Installed
    from llmrr.stats import ConversationHead, Run
    from llmrr.types import ModelInfo


class SettingFacts(TypedDict):
    """A line of ``config show``."""

    key: str
    value: object
    source: str
    where: str | None


class ProblemFacts(TypedDict):
    """What is wrong, or only a ``warning``; ``line`` is None where it is of none."""

    message: str
    hint: str
    line: int | None
    warning: bool


def models(page: Page, found: Sequence["Installed"]) -> Iterator[str]:
    """``llmrr list``."""
    rows = [
        (m.name, m.format, m.quant, "missing" if m.is_missing else size(m.bytes),
         m.path if m.path and m.path.name else m.source or None)
        for m in found
    ]  # fmt: skip
    return page.table(("NAME", "FORMAT", "QUANT", "SIZE", "WHERE"), rows)


def model_facts(name: str, info: "ModelInfo") -> dict[str, object]:
    """``/show info`` of ``llmrr chat``."""
    return {
        "model": name,
        "architecture": info.architecture,
        "parameters": info.parameters,
        "quantization": info.quant,
        "context length": info.context_length,
        "embedding length": info.embedding_length,
        "size": size(info.bytes),
        "license": info.license,
    }


def hardware(page: Page, machine: "Hardware") -> Iterator[str]:
    """``llmrr probe``."""
    cpu, memory = machine.cpu, machine.memory
    cores = f"{page.cell(cpu.usable_cores)} of {page.cell(cpu.physical_cores)}"
    threads = f"{page.cell(cpu.usable_threads)} of {page.cell(cpu.logical_cores)}"
    yield from page.facts(
        {
            "system": f"{machine.system} {cpu.architecture}",
            "processor": cpu.name,
            "cores": f"{cores} usable",
            "threads": f"{threads} usable",
            "fast cores": cpu.performance_cores,
            "CPU limit": cpu.quota,
            "instructions": " ".join(cpu.features),
            "memory": size(memory.total_bytes),
            "available": size(memory.available_bytes),
            "memory limit": size(memory.limit_bytes),
            "swap": size(memory.swap_total_bytes),
        }
    )
    yield ""
    if not machine.gpus:
        yield "no GPU found"
        return
    header = ("GPU", "MEMORY", "FREE", "USABLE", "COMPUTE", "DRIVER", "SAID BY")
    rows = [
        (g.name or g.vendor, size(g.total_bytes), size(g.free_bytes), size(g.limit_bytes),
         g.compute, g.driver, g.source)
        for g in machine.gpus
    ]  # fmt: skip
    yield from page.table(header, rows)


def checks(page: Page, found: Iterable["Check"]) -> Iterator[str]:
    """``llmrr doctor``."""
    marks = {True: "ok", False: "broken", None: "note"}
    for check in found:
        yield f"{marks[check.ok]:<6}  {check.name:<12}  {check.detail}"
        for line in (check.cure or "").splitlines():
            yield f"{'':6}  {'':12}  hint: {line}"


def settings(page: Page, found: Sequence[SettingFacts]) -> Iterator[str]:
    """``llmrr config show``."""
    rows = [(s["key"], _written(page, s["value"]), _whence(s)) for s in found]
    return page.table(("KEY", "VALUE", "SOURCE"), rows)


def _written(page: Page, value: object) -> str:
    """A value as it is written: rounding would change what it says."""
    return f"{value:g}" if isinstance(value, float) else page.cell(value)


def setting_facts(config: "Config") -> list[SettingFacts]:
    """Every setting that has one value, then models, templates and budgets by name."""
    facts: list[SettingFacts] = [
        {"key": key, "value": _told(key, s.stated), "source": s.source, "where": s.where}
        for key, s in config.settings.items()
    ]
    for model in config.models:
        facts.append(_named(f"models.{model.name}", model.source, model.file))
    for name, template in config.templates.items():
        facts.append(_named(f"templates.{name}", " ".join(template.holes), template.file))
    for flag in config.flags:
        if flag.file is not None:
            facts.append(_named(f"flags.{flag.name}", _sets(flag), flag.file))
    for name, limits in config.budgets.items():
        stated = {key: one for key, one in limits._asdict().items() if one is not None}
        value = ", ".join(f"{key} = {one:g}" for key, one in stated.items())
        facts.append({"key": f"budgets.{name}", "value": value, "source": "file", "where": None})
    return facts


def _told(key: str, value: object) -> object:
    """A value as it may be shown: of a webhook the path is often a secret."""
    from llmrr.tomltext import host_of

    return f"{host_of(value)}/…" if key == "alerts.webhook" and isinstance(value, str) else value


def _sets(flag: "Flag") -> str:
    from llmrr.tomltext import toml_text

    return ", ".join(f"{name} = {toml_text(value)}" for name, value in flag.sets.items())


def _named(key: str, value: str, file: "Path") -> SettingFacts:
    return {"key": key, "value": value, "source": "file", "where": str(file)}


def _whence(facts: SettingFacts) -> str:
    return facts["source"] + (f" ({facts['where']})" if facts["where"] else "")


def problem_facts(
    problems: "Iterable[Problem]", warnings: "Iterable[Problem]"
) -> list[ProblemFacts]:
    """What ``llmrr config check`` prints: what is wrong, then what will not work as stated."""
    found = [(one, False) for one in problems] + [(one, True) for one in warnings]
    return [
        {"message": one.message, "hint": one.hint, "line": one.line, "warning": is_warning}
        for one, is_warning in found
    ]


def problems(page: Page, found: Sequence[ProblemFacts]) -> Iterator[str]:
    """``llmrr config check``."""
    for one in found:
        yield f"warning: {one['message']}" if one["warning"] else one["message"]
        yield from (f"  hint: {line}" for line in one["hint"].splitlines())
    if not found:
        yield "nothing is wrong"
    elif warned := sum(one["warning"] for one in found):
        yield counted(warned, "warning")


def conversations(page: Page, found: Sequence["ConversationHead"]) -> Iterator[str]:
    """``llmrr logs list``."""
    rows = [(head.cid, minute(head.last), head.turns, head.model, head.title) for head in found]
    return page.table(("ID", "LAST", "TURNS", "MODEL", "BEGINS"), rows)


def runs(page: Page, found: Sequence["Run"]) -> Iterator[str]:
    """``llmrr logs``: each run with its words."""
    for at, run in enumerate(found):
        if at:
            yield ""
        seconds = f"{run.total_s:.1f} s"
        tokens = f"{run.completion_tokens} tokens"
        if run.cache:
            tokens = f"cache: {run.cache}"
        heading = (f"# {run.id}", minute(run.at), run.model, tokens, seconds)
        yield "  ".join((*heading, *([run.conversation] if run.conversation else [])))
        if run.error:
            yield f"error: {run.error}"
        if run.prompt is None and run.answer is None:
            yield "(the words were not kept)"
        for speaker, text in (("system", run.system), ("user", run.prompt), ("answer", run.answer)):
            if text:
                yield f"{speaker}: {text}"


def minute(moment: float) -> str:
    """Local time to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def embeddings(
    model: str, texts: Sequence[str], vectors: Sequence[Sequence[float]]
) -> dict[str, object]:
    """``llmrr embed --json``."""
    pairs = zip(texts, vectors, strict=True)
    return {"model": model, "embeddings": [{"text": t, "embedding": v} for t, v in pairs]}
