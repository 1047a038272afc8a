"""What ``llmrr migrate scan`` finds in a corpus of real artefacts, by source, and how much of what
``expected.json`` says of them is right: ``python tests/bench/migrate_corpus.py FOLDER``.

A model is right when its source and every parameter that is expected of it are."""

import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from llmrr.migrate.artefact import Model
from llmrr.migrate.scanning import scan

OURS = {"system_prompt": "system"}


def is_right(model: Model, expected: dict[str, Any]) -> bool:
    """Whether a model is what was expected, in its flat form."""
    said = model.as_json()
    flat = {**said, **said["options"], **said["params"]}
    key = expected.get("api_key", {})
    keys = key.get("env_any", [key.get("env")] if key else [None])
    if key and said["options"].get("api_key_env") not in keys:
        return False
    rest = {OURS.get(name, name): value for name, value in expected.items() if name != "api_key"}
    return all(flat.get(name) == value for name, value in rest.items())


def main(folder: Path) -> None:
    begun = time.perf_counter()
    found = scan([folder])
    seconds = time.perf_counter() - begun
    expected = json.loads((folder / "expected.json").read_text())
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found.artefacts:
        row = counts[one.kind]
        row["artefacts"] += 1
        row["models"] += len(one.models)
        row["warnings"] += len(one.warnings)
        row["errors"] += bool(one.error)
        wanted = expected.get(str(one.path.relative_to(folder)))
        if wanted is not None and wanted["kind"] == one.kind:
            row["expected"] += len(wanted["models"])
            if len(wanted["models"]) == len(one.models):
                row["right"] += sum(map(is_right, one.models, wanted["models"]))
    heads = ("artefacts", "models", "expected", "right", "warnings", "errors")
    print("| source |", " | ".join(heads), "|\n|---|" + "---|" * len(heads))
    for kind, row in sorted(counts.items()):
        print(f"| {kind} |", " | ".join(str(row[name]) for name in heads), "|")
    total = sum(counts.values(), Counter[str]())
    print("| in all |", " | ".join(str(total[name]) for name in heads), "|")
    print(f"{found.files} files, {found.read} read, {len(found.unreadable)} unreadable,"
          f" {seconds:.2f} s")  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
