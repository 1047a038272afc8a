"""Print what llama.cpp allocates for a model: ``measure.py '{"path": …, "contexts": [{…}]}'``.

A process of its own, as llama.cpp may abort. Output: JSON, one object of bytes by part per context.
"""

import ctypes
import importlib.util
import json
import re
import sys
import types
from typing import Any

MEBIBYTE = 1024 * 1024
PARTS = {"CPU_Mapped model": "weights", "CPU model": "weights", "CPU_REPACK model": "repack"}
BUFFER = re.compile(r"(\w+) +(model|KV|RS|compute|output) buffer size = +([\d.]+) MiB")


def parts(log: str) -> dict[str, float]:
    """Bytes by part from the lines in which llama.cpp reports its buffers."""
    found: dict[str, float] = {}
    for device, kind, size in BUFFER.findall(log):
        part = "kv" if kind in ("KV", "RS") else PARTS.get(f"{device} {kind}", kind)
        found[part] = found.get(part, 0) + float(size) * MEBIBYTE
    return found


def main() -> None:
    # The package itself imports NumPy and more; the ctypes layer alone is enough.
    spec = importlib.util.find_spec("llama_cpp")
    assert spec is not None
    bare = types.ModuleType("llama_cpp")
    bare.__path__ = list(spec.submodule_search_locations or ())
    sys.modules["llama_cpp"] = bare
    import llama_cpp.llama_cpp as api

    job: dict[str, Any] = json.loads(sys.argv[1])
    lines: list[str] = []
    keep = api.llama_log_callback(lambda _, text, __: lines.append(text.decode(errors="replace")))
    api.llama_log_set(keep, ctypes.c_void_p(0))
    api.llama_backend_init()
    model_params = api.llama_model_default_params()
    model_params.n_gpu_layers = 0
    model = api.llama_model_load_from_file(job["path"].encode(), model_params)
    if not model:
        sys.exit("".join(lines))
    weights = parts("".join(lines))
    results = []
    for wanted in job["contexts"]:
        lines.clear()
        params = api.llama_context_default_params()
        slots = wanted.get("slots", 1)
        params.n_ctx = wanted.get("context", 4096) * slots
        params.n_batch = params.n_ubatch = wanted.get("batch", 512)
        params.n_seq_max = slots
        params.n_outputs_max = wanted.get("outputs", 0)
        params.flash_attn_type = int(wanted.get("flash_attention", True))
        params.kv_unified = params.swa_full = False
        params.type_k = params.type_v = {"f16": 1, "q8_0": 8}[wanted.get("kv_type", "f16")]
        context = api.llama_init_from_model(model, params)
        if not context:
            sys.exit("".join(lines))
        results.append(weights | parts("".join(lines)))
        api.llama_free(context)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
