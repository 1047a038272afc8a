"""What the commands of the store print: lines of text, and the facts of ``--json``. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from llmrr.cli.layout import Page, size
from llmrr.cli.views import minute

if TYPE_CHECKING:
    from llmrr.cli.adoption import Adopted, Match
    from llmrr.description import Description, FitLine
    from llmrr.hardware import Fit
    from llmrr.store.removal import Garbage, Removal
    from llmrr.store.usage import Usage

Facts = Mapping[str, Any]
TEMPLATE_LINES = 3


def plan(page: Page, found: Facts) -> Iterator[str]:
    """``llmrr pull --dry-run``."""
    rows = [
        (file["path"], size(file["bytes"]), size(file["missing_bytes"])) for file in found["files"]
    ]
    total = (f"{len(rows)} files", size(found["bytes"]), size(found["missing_bytes"]))
    yield from page.table(("FILE", "SIZE", "TO FETCH"), [*rows, total])
    yield ""
    yield from page.facts({"name": found["name"], "from": found["source"], "to": found["path"]})


def pulled(page: Page, found: Facts) -> Iterator[str]:
    """``llmrr pull``, ``cp`` and ``create``: the name to run it by, or the files without one."""
    if found["name"] is not None:
        yield str(found["name"])
    else:
        yield from map(str, found["files"])


def found(page: Page, matches: Sequence["Match"]) -> Iterator[str]:
    """``llmrr search``."""
    header = ("NAME", "FORMATS", "PARAMETERS", "DOWNLOADS", "LIKES", "UPDATED", "HERE")
    rows = [
        (one.name, " ".join(one.formats), count(one.parameters), one.downloads, one.likes,
         one.updated, "gated" if one.gated else "runs" if one.runs else None)
        for one in matches
    ]  # fmt: skip
    return page.table(header, rows)


def adopted(page: Page, lines: Sequence["Adopted"]) -> Iterator[str]:
    """``llmrr import``: a name for what was installed, a reason for what was not."""
    rows = [
        (one.name or one.source, one.format, size(one.bytes), one.problem or str(one.path))
        for one in lines
    ]
    return page.table(("NAME", "FORMAT", "SIZE", "WHERE"), rows)


def exported(page: Page, facts: Facts) -> Iterator[str]:
    """``llmrr export``."""
    yield str(facts["path"])


def removal_facts(found: Iterable["Removal"]) -> list[Facts]:
    """``llmrr rm --json``."""
    return [
        {
            "name": one.entry.label,
            "freed_bytes": one.bytes,
            "deleted": list(one.deleted),
            "kept": [{"path": path, "why": why} for path, why in one.kept],
        }
        for one in found
    ]


def removed(page: Page, found: Sequence[Facts]) -> Iterator[str]:
    """``llmrr rm``."""
    for one in found:
        yield f"{one['name']}: {size(one['freed_bytes'])} freed, {len(one['deleted'])} files"
        for kept in one["kept"]:
            yield f"  stays: {kept['path']} ({kept['why']})"


def usage(page: Page, found: "Usage") -> Iterator[str]:
    """``llmrr df``."""
    rows = [(one.name, one.place, size(one.bytes), size(one.shared_bytes)) for one in found.models]
    yield from page.table(("MODEL", "PLACE", "SIZE", "SHARED"), rows)
    yield ""
    places = [
        (one.place, one.models, size(one.bytes), size(one.free_bytes), one.path)
        for one in found.places
    ]
    yield from page.table(("PLACE", "MODELS", "SIZE", "FREE", "WHERE"), places)
    yield ""
    yield f"{size(found.total_bytes)} in all"


def garbage_facts(found: Iterable["Garbage"]) -> list[Facts]:
    """``llmrr prune --json``."""
    return [
        {"path": one.path, "bytes": one.bytes, "why": one.why,
         "name": one.entry.label if one.entry else None}
        for one in found
    ]  # fmt: skip


def pruned(page: Page, found: Sequence[Facts]) -> Iterator[str]:
    """``llmrr prune``."""
    for one in found:
        yield f"{size(one['bytes'])}  {one['name'] or one['path']}: {one['why']}"
    yield f"{size(sum(one['bytes'] for one in found))} in all" if found else "nothing to remove"


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
        "bytes": found.bytes,
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
            "also held by": ", ".join(facts["holders"]),
            **({"fits here": _fits(facts["fit"])} if facts["fit"] else {}),
        }
    )
    yield from _section("TYPE", _types(page, facts["tensor_types"]))
    yield from _section("FILES", _files(facts["files"]))
    yield from _section("RECIPE", _recipe(facts["recipe"]))
    yield from _section("LOADING IT WOULD IMPORT", _imports(facts))
    yield from _section("CHAT TEMPLATE", _template(facts["chat_template"]))
    metadata = facts["metadata"].items()
    yield from _section("METADATA", (page.fitted(f"  {key}  {one}") for key, one in metadata))


def fit_facts(found: Iterable["FitLine"]) -> list[Facts]:
    """``llmrr fit --json``: null where nothing can be said."""
    return [
        {
            "name": one.name,
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
         size(one.get("host_bytes")), size(one.get("gpu_bytes")), _layers(one),
         one.get("largest_context"), one["fits"])
        for one in lines
    ]  # fmt: skip
    yield from page.table(header, rows)
    yield ""
    best = next((one for one in lines if one["recommended"]), None)
    why = f": {best['why'][0]}" if best and best["why"] else ""
    yield f"* {best['name']} is recommended{why}" if best else "none of them fits"


def count(number: int | None) -> str | None:
    """A number of parameters for people.

    >>> count(8_030_000_000), count(135_000_000), count(None)
    ('8.0B', '135.0M', None)
    """
    if number is None:
        return None
    for unit, power in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if number >= power:
            return f"{number / power:.1f}{unit}"
    return str(number)


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
            "GPU layers": _layers(one),
            "buffers": "measured by the engine" if one["measured"] else "computed",
        }
    )
    yield ""
    yield from one["why"]


def _of(needed: int, available: int | None) -> str | None:
    """Unknown where there is none."""
    return None if available is None else f"{size(needed)} of {size(available)}"


def _layers(one: Facts) -> str | None:
    return f"{one['gpu_layers']} of {one['layers'] + 1}" if one.get("layers") is not None else None


def _fits(one: Facts) -> str:
    largest = one["largest_context"]
    room = f", with a context of up to {largest:,} tokens" if largest else ""
    return f"{'yes' if one['fits'] else 'no'}{room}; {one['why'][0]}"


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
    if found["system"]:
        yield f"  system  {found['system']}"
    for key, one in {**found["params"], **found["options"]}.items():
        yield f"  {key}  {one}"
    for message in found["messages"]:
        yield f"  {message['role']}: {message['content']}"


def _imports(facts: Facts) -> Iterator[str]:
    for name in facts["imports"]:
        unsafe = " (nothing that tensors need)" if name in facts["unsafe"] else ""
        yield f"  {name}{unsafe}"


def _template(text: str | None) -> Iterator[str]:
    lines = (text or "").splitlines()
    yield from (f"  {line}" for line in lines[:TEMPLATE_LINES])
    if len(lines) > TEMPLATE_LINES:
        yield f"  … {len(lines) - TEMPLATE_LINES} lines more: llmrr show --template"
