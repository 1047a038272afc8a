"""What ``llmrr show`` and ``llmrr fit`` print: lines of text, and the facts of ``--json``. Pure."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from llmrr.cli.layout import Page, count, counted, size
from llmrr.cli.views import minute

if TYPE_CHECKING:
    from llmrr.description import Description, FitLine
    from llmrr.evaluate.scoring import Score
    from llmrr.hardware import Fit
    from llmrr.speeds import Speed

Facts = Mapping[str, Any]
TEMPLATE_LINES = 3


def description(found: "Description") -> Facts:
    """``llmrr show --json``: everything, flat, the file's own facts first among equals."""
    info = asdict(found.info)
    metadata = info.pop("metadata")
    recipe = asdict(found.recipe)
    recipe["params"] = {key: one for key, one in recipe["params"].items() if one is not None}
    return {
        "name": found.name,
        "source": found.source,
        "origin": found.source.partition(":")[0],
        "place": found.place,
        "path": found.path,
        **{key: one for key, one in info.items() if key != "name"},
        "title": found.info.name,
        "license": found.license,
        "bytes": found.bytes,
        "chat_template": found.chat_template,
        "sampling": {key: one for key, one in info["sampling"].items() if one is not None},
        "files": [{"path": path, "bytes": count, "digest": digest}
                  for path, count, digest in found.files],
        "digest": found.digest,
        "revision": found.revision,
        "added": found.added,
        "last_used": found.last_used,
        "recipe": recipe,
        "engines": [{"name": name, "missing": missing} for name, missing in found.engines],
        "holders": list(found.holders),
        "fit": fit_values(found.fit) if found.fit else None,
        "problem": found.problem,
        "quality": found.quality,
        "scores": [score_values(one) for one in found.scores],
        "speed": speed_values(found.speed) if found.speed else None,
        "metadata": metadata,
    }  # fmt: skip


def described(page: Page, facts: Facts) -> Iterator[str]:
    """``llmrr show``."""
    yield from page.facts(
        {
            "model": facts["name"],
            "title": facts["title"],
            "source": facts["source"],
            "path": facts["path"],
            "place": facts["place"],
            "format": " ".join(filter(None, (facts["format"], facts["kind"]))),
            "architecture": facts["architecture"],
            "parameters": count(facts["parameters"]),
            "quantization": facts["quant"],
            "size": size(facts["bytes"]),
            "context length": facts["context_length"],
            "embedding length": facts["embedding_length"],
            "layers": facts["layers"],
            "vocabulary": facts["vocabulary"],
            "tokenizer": " ".join(filter(None, (facts["tokenizer"], facts["pre_tokenizer"]))),
            "license": facts["license"],
            "digest": facts["digest"],
            "revision": facts["revision"],
            "added": minute(facts["added"]) if facts["added"] else None,
            "last used": minute(facts["last_used"]) if facts["last_used"] else None,
            "runs on": _engines(facts["engines"]),
            **({"quality": "; ".join(map(_score, facts["scores"]))} if facts["scores"] else {}),
            **({"speed": _speed(facts["speed"])} if facts["speed"] else {}),
            **({"cannot be run": facts["problem"]} if facts["problem"] else {}),
            "also held by": ", ".join(facts["holders"]),
            **({"fits here": _fits(facts["fit"])} if facts["fit"] else {}),
        }
    )
    yield from _section("TYPE", _types(page, facts["tensor_types"]))
    yield from _section("FILES", _files(facts["files"]))
    yield from _section("RECIPE", _recipe(facts["recipe"]))
    yield from _section("LOADING IT WOULD IMPORT", _imports(facts))
    yield from _section("CHAT TEMPLATE", _template(facts["chat_template"], facts["name"]))
    metadata = facts["metadata"].items()
    yield from _section("METADATA", (page.fitted(f"  {key}  {one}") for key, one in metadata))


def score_values(score: "Score") -> dict[str, Any]:
    """A score of ``show --json``; ``low`` and ``high`` bound the share with 95 % confidence."""
    low, high = score.interval
    return {
        "set": score.name, "sha256": score.sha256, "questions": score.questions,
        "of": score.whole, "correct": score.correct, "accuracy": score.accuracy,
        "low": low, "high": high, "at": score.at,
    }  # fmt: skip


def speed_values(speed: "Speed") -> dict[str, Any]:
    """A speed of ``show --json``."""
    found = asdict(speed)
    for known in ("model", "source", "identity", "quant"):
        del found[known]
    return found


def fit_facts(found: Iterable["FitLine"]) -> list[Facts]:
    """``llmrr fit --json``: null where nothing can be said."""
    return [
        {
            "name": one.name,
            "format": one.format,
            "runs": one.runs,
            "bytes": one.bytes,
            "recommended": one.recommended,
            "measured": one.measured,
            **(fit_values(one.fit) if one.fit else dict.fromkeys(("fits", "why"))),
        }
        for one in found
    ]


def fit_values(found: "Fit") -> dict[str, Any]:
    """A fit by name, with the sum of its buffers."""
    return {**{one.name: getattr(found, one.name) for one in fields(found)},
            "total_bytes": found.total_bytes}  # fmt: skip


def fits(page: Page, lines: Sequence[Facts]) -> Iterator[str]:
    """``llmrr fit``: one model with all its parts, several as a table."""
    if len(lines) == 1:
        yield from _one_fit(page, lines[0])
        return
    header = ("", "NAME", "SIZE", "MEMORY", "GPU", "LAYERS", "CONTEXT", "FITS")
    rows = [
        ("*" if one["recommended"] else " ", one["name"], size(one["bytes"]),
         size(one.get("host_bytes")), *_on_gpu(one), one.get("largest_context"), one["fits"])
        for one in lines
    ]  # fmt: skip
    yield from page.table(header, rows)
    yield ""
    best = next((one for one in lines if one["recommended"]), None)
    why = f": {best['why'][0]}" if best and best["why"] else ""
    yield f"* {best['name']} is recommended{why}" if best else "none of them fits"


def _one_fit(page: Page, one: Facts) -> Iterator[str]:
    if one["fits"] is None:
        yield from page.facts({"model": one["name"], "size": size(one["bytes"])})
        yield "its files do not say what it needs to run"
        return
    yield from page.facts(
        {
            "model": one["name"],
            "fits": one["fits"],
            "context": one["context"],
            "largest context": one["largest_context"],
            "weights": size(one["weights_bytes"]),
            "repacked weights": size(one["repack_bytes"]),
            "KV cache": size(one["kv_bytes"]),
            "compute buffers": size(one["compute_bytes"]),
            "output": size(one["output_bytes"]),
            "main memory": _of(one["host_bytes"], one["host_available_bytes"]),
            "GPU memory": _of(one["gpu_bytes"], one["gpu_available_bytes"]),
            "GPU layers": _on_gpu(one)[1],
            "buffers": "measured by the engine" if one["measured"] else "computed",
        }
    )
    yield ""
    yield from one["why"]
    if not one["runs"]:
        yield f"no engine here runs {one['format']} models"


def _of(needed: int, available: int | None) -> str | None:
    """Unknown where there is none."""
    return None if available is None else f"{size(needed)} of {size(available)}"


def _on_gpu(one: Facts) -> tuple[str | None, str | None]:
    """Memory and layers on GPUs; unknown where there are none."""
    if one.get("gpu_available_bytes") is None:
        return None, None
    return size(one["gpu_bytes"]), f"{one['gpu_layers']} of {one['layers'] + 1}"


def _fits(one: Facts) -> str:
    largest = one["largest_context"]
    room = f", with a context of up to {largest:,} tokens" if largest else ""
    return f"{'yes' if one['fits'] else 'no'}{room}; {one['why'][0]}"


def _score(one: Facts) -> str:
    part = "" if one["questions"] == one["of"] else f" of {one['of']:,}"
    many = f"{one['questions']:,}{part} question{'' if one['questions'] == 1 else 's'}"
    return f"{one['accuracy']:.2f} on {one['set']} ({many})"


def _speed(one: Facts) -> str:
    threads = "" if one["threads"] is None else f", {counted(one['threads'], 'thread')}"
    return (
        f"reads {one['prefill_tokens_per_s']:,.1f}, writes {one['decode_tokens_per_s']:,.1f} tokens"
        f" a second ({one['engine']}{threads})"
    )


def _engines(found: Sequence[Facts]) -> str:
    return ", ".join(
        one["name"] if one["missing"] is None else f"{one['name']} (first: {one['missing']})"
        for one in found
    )


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Lines below their title; nothing without any."""
    rows = list(lines)
    if rows:
        yield ""
        yield title
        yield from rows


def _types(page: Page, found: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    rows = [(f"  {name}", tensors, size(total)) for name, (tensors, total) in found.items()]
    yield from page.table(("  TYPE", "TENSORS", "SIZE"), rows) if rows else ()


def _files(found: Sequence[Facts]) -> Iterator[str]:
    for one in found:
        yield f"  {one['path']}  {size(one['bytes'])}  {one['digest'] or ''}".rstrip()


def _recipe(found: Facts) -> Iterator[str]:
    texts = {key: found[key] for key in ("system", "template") if found[key]}
    spoken = ((one["role"], one["content"]) for one in found["messages"])
    for key, one in (*texts.items(), *{**found["params"], **found["options"]}.items(), *spoken):
        first, *rest = _words(one).splitlines() or [""]
        yield f"  {key}  {first}"
        yield from (f"    {line}" for line in rest)


def _words(value: object) -> str:
    """A value of a recipe, for people: texts in a row, an adapter and its scale."""
    if isinstance(value, tuple | list):
        return ", ".join(
            f"{one[0]} (scale {one[1]:g})" if isinstance(one, tuple | list) else str(one)
            for one in value
        )
    return str(value)


def _imports(facts: Facts) -> Iterator[str]:
    for name in facts["imports"]:
        unsafe = " (nothing that tensors need)" if name in facts["unsafe"] else ""
        yield f"  {name}{unsafe}"


def _template(text: str | None, name: str) -> Iterator[str]:
    lines = (text or "").splitlines()
    yield from (f"  {line}" for line in lines[:TEMPLATE_LINES])
    if len(lines) > TEMPLATE_LINES:
        command = f"llmrr show {shlex.quote(name)} --template"
        yield f"  … {counted(len(lines) - TEMPLATE_LINES, 'more line')}: {command}"
