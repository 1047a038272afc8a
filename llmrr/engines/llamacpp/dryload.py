"""The helper process: load a GGUF file with no memory for its weights, and say what llama.cpp would
allocate beside them. ``python -m llmrr.engines.llamacpp.dryload FILE [--context N] …`` prints JSON:
bytes by kind, ``kv`` (the memory of the sequences), ``output`` and ``compute``. Exit 4 with the
reason when llama.cpp refuses the file."""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from llmrr.engines.base import CONTEXT_AT_LEAST, Options
from llmrr.engines.llamacpp.api import api, captured_log, set_fields
from llmrr.engines.llamacpp.context import Context, Shape
from llmrr.engines.llamacpp.loading import open_model, refusal
from llmrr.errors import LlmrrError

_INFO_LEVEL = 2
_BUFFER = re.compile(r" (?P<kind>output|compute) buffer size = +(?P<mib>[\d.]+) MiB")
# The buffers of these are not made in a dry load: reported as empty, with their size said apart.
_MEMORY = re.compile(r"^llama_(kv_cache|memory_recurrent): size = +(?P<mib>[\d.]+) MiB")


def buffers(log: Iterable[str]) -> dict[str, int]:
    """Bytes by kind, from llama.cpp's log.

    >>> buffers(["sched_reserve:        CPU compute buffer size =    15.50 MiB"])
    {'kv': 0, 'output': 0, 'compute': 16252928}
    """
    found = dict.fromkeys(("kv", "output", "compute"), 0)
    for line in log:
        if match := _BUFFER.search(line) or _MEMORY.search(line):
            kind = match.groupdict().get("kind") or "kv"
            found[kind] += round(float(match["mib"]) * 1024 * 1024)
    return found


def dry_load(path: Path, shape: Shape, context: int | None) -> dict[str, int]:
    """Load without memory and open a context of this shape, for ``context`` tokens, or for no more
    than the model was trained with. Raises what llama.cpp says."""
    binding = api()
    parameters = set_fields(
        binding.llama_model_default_params(),
        {"no_alloc": True, "load_mode": 0, "n_gpu_layers": 0},  # any other mode aborts
    )
    with captured_log(_INFO_LEVEL) as lines:
        model = binding.llama_model_load_from_file(str(path).encode(), parameters)
        if not model:
            raise refusal(path, lines)
        trained = binding.llama_model_n_ctx_train(model)
        Context(model, replace(shape, size=context or min(shape.size, max(trained, 1))))
        return buffers(lines)


def try_adapters(path: Path, adapters: Sequence[Path]) -> None:
    """Load the model with its weights and compute one token with these adapters on it."""
    model = open_model(path, Options(gpu_layers=0, lora=tuple((file, 1.0) for file in adapters)))
    context = Context(model.pointer, Shape(256, 1, 1, True))
    model.adapt(context.pointer)
    context.batch.add_one(0, 0, 0)
    context.decode()


def try_encoder(path: Path, encoder: Path) -> None:
    """Load the model with its weights, and compute a grey image on it."""
    from llmrr.engines.llamacpp.images import Encoder

    model = open_model(path, Options(gpu_layers=0))
    images = Encoder(encoder, model.pointer, 1, gpu=False)
    read = images.read(images.marker + "\n", [images.sample()])
    cells = sum(picture.cells for picture in read.pictures.values())
    context = Context(model.pointer, Shape(-(-(cells + 64) // 256) * 256, 1, 1, True))
    for position, picture in read.pictures.items():
        picture.compute(context, 0, position)


def main() -> int:
    """Run the helper; the exit status is the error's."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("--context", type=int)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--kv-type", default="f16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--flash-attention", choices=("on", "off"), default="on")
    parser.add_argument("--lora", type=Path, action="append", default=[], help="tried with weights")
    parser.add_argument("--mmproj", type=Path, help="tried with weights")
    given = parser.parse_args()
    shape = Shape(
        CONTEXT_AT_LEAST, given.slots, given.threads, given.flash_attention == "on", given.kv_type
    )
    try:
        if given.lora:
            try_adapters(given.path, given.lora)
        if given.mmproj:
            try_encoder(given.path, given.mmproj)
        found = dry_load(given.path, shape, given.context)
    except LlmrrError as error:
        sys.stderr.write(f"{error.type}\n{error.message}\n{error.hint}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
