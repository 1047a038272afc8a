"""How fast ``llmrr migrate scan`` and ``plan`` are on a repository of 10,000 files.

    python tests/bench/scan.py [FILES]

One file in twenty uses a model in code, one in fifty is a configuration of a tool; the rest is what
repositories hold: code, data, manifests, documents, bundles, dependencies.
"""

import sys
import tempfile
import time
from pathlib import Path

from llmrr.migrate import planning
from llmrr.migrate.scanning import scan

PLAIN_PY = "import json\nimport re\n\n" + "\n\n".join(
    f"def step_{at}(value, other=None):\n    \"\"\"A step.\"\"\"\n    if value is None:\n"
    f"        return other\n    return re.sub('a{at}', str(value), json.dumps(other))"
    for at in range(40)
)
PLAIN_TS = "import React from 'react';\n" + "\n".join(
    f"export function part{at}(props: {{a: number}}) {{ return props.a + {at}; }}"
    for at in range(60)
)
USES_PY = (
    "from openai import OpenAI\n\nclient = OpenAI()\n\n\ndef ask(text):\n"
    "    return client.chat.completions.create(model='gpt-4o-mini', temperature=0.2,\n"
    "        messages=[{'role': 'user', 'content': text}])\n\n\n" + PLAIN_PY
)
USES_TS = (
    "import { ChatOpenAI } from '@langchain/openai';\n"
    "export const llm = new ChatOpenAI({ model: 'gpt-4o', temperature: 0.1 });\n" + PLAIN_TS
)
LITELLM = "model_list:\n  - model_name: a\n    litellm_params:\n      model: openai/gpt-4o\n"
K8S = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndata:\n  a: b\n"


def contents(at: int) -> tuple[str, str]:
    """The ending and the text of file number ``at``."""
    if at % 20 == 0:
        return (".py", USES_PY) if at % 40 else (".ts", USES_TS)
    if at % 50 == 1:
        return ".yaml", LITELLM
    kinds = (
        (".py", PLAIN_PY), (".ts", PLAIN_TS), (".py", PLAIN_PY), (".tsx", PLAIN_TS),
        (".json", '{"a": [1, 2, 3], "model": {"b": "c"}}\n' * 1), (".md", "# Title\n\nText.\n"),
        (".yaml", K8S), (".js", PLAIN_TS), (".go", "package main\n"), (".css", "a { b: c }\n"),
    )  # fmt: skip
    return kinds[at % len(kinds)]


def build(root: Path, files: int) -> None:
    """Write the repository."""
    for at in range(files):
        folder = root / f"part{at % 97}" / f"inner{at % 13}"
        folder.mkdir(parents=True, exist_ok=True)
        ending, text = contents(at)
        (folder / f"file{at}{ending}").write_text(f"{text}\n// {at}" if ending == ".ts" else text)
    (root / "node_modules" / "x").mkdir(parents=True)
    (root / "node_modules" / "x" / "index.js").write_text(USES_TS)


def main(files: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        build(root, files)
        scan([root / "part0"])  # imports
        begin, worked = time.perf_counter(), time.process_time()
        found = scan([root])
        seconds, worked = time.perf_counter() - begin, time.process_time() - worked
        begin = time.perf_counter()
        plan = planning.make(found.artefacts, root / "llmrr.toml")
        planned = time.perf_counter() - begin
    print(
        f"{found.files} files in {seconds:.2f} s: {found.files / seconds:,.0f} a second, "
        f"{found.files / worked:,.0f} a second of the processor; "
        f"{len(found.found)} artefacts, {found.read} read"
    )
    models = plan.toml.count("[[models]]")
    print(f"a plan of {models} models from them in {planned:.2f} s besides")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
