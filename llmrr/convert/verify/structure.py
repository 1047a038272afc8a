"""The check "structure": the first layers of a model, computed from its source in numpy and from
the GGUF file by llama.cpp.

It proves names, layouts, permutations and what the metadata says of norms, positions and scales
without an engine for the source. The layers after the first ones are the same code with other
weights, which the check "tensors" compares.
"""

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr.convert.base import Check, Told
from llmrr.convert.verify.agreement import Agreement, blocks_of, of_blocks, of_vectors
from llmrr.convert.verify.forward.decoder import Pass
from llmrr.convert.verify.forward.design import Design
from llmrr.convert.verify.forward.families import design_of
from llmrr.convert.verify.forward.weights import Weights
from llmrr.convert.verify.truncated import write_first_layers
from llmrr.errors import Unsupported
from llmrr.formats import gguf
from llmrr.formats.gguf_header import Header, Scalar
from llmrr.formats.json_file import read_object
from llmrr.formats.source import FileSource
from llmrr.types import Format, ModelFiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmrr.engines.llamacpp.model import LlamaModel

    Floats = NDArray[np.float32]

NAME: Final = "structure"
MOST_LAYERS: Final = 8
PROMPTS: Final = 4
POSITIONS: Final = 64  # of each prompt
LENGTHS: Final = (1, 2, 3, 5, 9, 17, 33, 64)  # of the texts for an encoder
# A window is made so small that prompts reach beyond it, in the source and in proportion in the
# result, whose own may be wrong.
WINDOW: Final = 24
# The error (see ``Agreement``) at which the check fails, by the type of the weights. Right
# conversions of random models, a Llama 256 wide and a GPT-2, came out at most 3e-4 off in F32 (GELU
# is looked up in half precision), 8e-4 in F16, 6e-3 in BF16, 0.033 in Q8_0.
TOLERANCES: Final = {"F32": 5e-3, "F16": 1e-2, "BF16": 2e-2, "Q8_0": 5e-2}
# Where rounding decides which experts are asked, a token that goes to others is far off: right
# conversions of a Qwen 3 with 6 random experts came out 0.032 off in BF16, 0.077 in Q8_0.
ROUTED: Final = 3
EPSILONS: Final = ("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon")


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to run both: what the source computes, and what is changed in the result for it."""

    design: Design
    replaced: Mapping[str, Scalar]


def check(source: Path, result: Path, told: Told, *, settings: Path | None = None) -> Check:
    """Compare the safetensors at ``source``, a file or folder, with the GGUF file ``result``.

    ``settings`` is the folder with config.json, where that is not the source's own. The layers are
    written once more, beside ``result``, for as long as this takes. What has no entry in
    ``forward.families`` passes, and the detail says that it is not verified. Raises
    ``DamagedFile`` for a source that lacks what its configuration asks for.
    """
    weights = Weights(source)
    parts = gguf.read_parts(result)
    try:
        design = design_of(_config(settings or weights.folder), weights.names)
        allowed = tolerance(parts)
    except Unsupported as exc:
        return Check(NAME, True, f"structure is not verified: {exc.message}")
    if wrong := _stated(design, parts[0]):
        return Check(NAME, False, f"structure only: {wrong}")
    with tempfile.TemporaryDirectory(dir=result.parent, prefix=".structure-") as scratch:
        found = _compared(design, weights, parts, Path(scratch) / "first.gguf", told)
    passed = found.sound and found.error <= allowed
    layers = design.enough(MOST_LAYERS)
    what = f"the first {layers} layers" if layers < len(design.layers) else f"all {layers} layers"
    detail = (
        f"structure only, {what} of the source in numpy and of the result in llama.cpp: {found}"
    )
    return Check(NAME, passed, f"{detail} ({allowed:g} is allowed)")


def _config(folder: Path) -> Mapping[str, Any]:
    return read_object(FileSource.of(folder / "config.json"))


def tolerance(parts: Sequence[Header]) -> float:
    """The error that is allowed, by the coarsest type of the matrices. Raises ``Unsupported``."""
    types = {one.type_name for part in parts for one in part.tensors if len(one.dims) > 1}
    if unknown := types - TOLERANCES.keys():
        raise Unsupported(f"weights of the type {min(unknown)} differ by more than a mistake would")
    found = max((TOLERANCES[one] for one in types), default=TOLERANCES["F32"])
    experts = parts[0].integer(f"{parts[0].text('general.architecture')}.expert_count")
    return found * (ROUTED if experts else 1)


def _stated(design: Design, header: Header) -> str | None:
    """What the metadata says otherwise than the source, where the numbers hardly show it."""
    architecture = header.text("general.architecture")
    for key in EPSILONS:
        found = header.number(f"{architecture}.{key}")
        if found is not None and not math.isclose(found, design.epsilon, rel_tol=1e-3):
            return f"{key} is {found:g}, and the source's is {design.epsilon:g}"
    return None


def _compared(
    design: Design, weights: Weights, parts: Sequence[Header], scratch: Path, told: Told
) -> Agreement:
    """The worst of all variants."""
    layers = design.enough(MOST_LAYERS)
    variants = list(_variants(design, layers, parts[0]))
    worst = Agreement(0.0, 0.0)
    for number, variant in enumerate(variants):
        told("comparing the first layers", number, len(variants))
        write_first_layers(parts, scratch, layers, variant.replaced)
        with closing(loaded(scratch, causal=design.causal)) as model:
            run = Pass(variant.design, weights)
            found = _logits(run, model) if design.causal else _vectors(run, model, parts[0])
        scratch.unlink()
        if not found.sound:
            return found
        worst = max(worst, found, key=lambda one: one.error)
    told("comparing the first layers", len(variants), len(variants))
    return worst


def _variants(design: Design, layers: int, header: Header) -> Iterator[Variant]:
    architecture = header.text("general.architecture")
    cut = design.cut(layers, WINDOW)
    cut = replace(cut, scale=cut.scale * _scale_lost(design, layers, f"{architecture}"))
    replaced: dict[str, Scalar] = {}
    key = f"{architecture}.attention.sliding_window"
    window = header.integer(key)
    if design.window and window:
        replaced[key] = max(1, round(WINDOW * window / design.window))
    yield Variant(cut, replaced)
    if design.has_long:
        key = f"{architecture}.rope.scaling.original_context_length"
        changed = {key: 1} if key in header.metadata else {}
        yield Variant(cut.long(), {**replaced, **changed})


def _scale_lost(design: Design, layers: int, architecture: str) -> float:
    """llama.cpp tells by the number of layers that a Gemma is the one of 27 B parameters, whose
    attention is scaled by width / heads (``load_arch_hparams`` in its models/gemma2.cpp and
    gemma3.cpp); a cut one is scaled by the size of a head, as the others."""
    large = {"gemma2": 46, "gemma3": 62}.get(architecture)
    if len(design.layers) != large or layers == large:
        return 1.0
    return math.sqrt(design.width // design.heads / design.head)


def loaded(path: Path, *, causal: bool = True) -> "LlamaModel":
    """In main memory and with a cache of float32, so that only the weights are rounded."""
    from llmrr.engines import llamacpp
    from llmrr.engines.base import Options

    size = 256 if causal else None
    options = Options(context_size=size, gpu_layers=0, kv_type="f32", flash_attention="off")
    return llamacpp.ENGINE.load(ModelFiles(path, Format.GGUF), options)


def _logits(run: Pass, model: "LlamaModel") -> Agreement:
    import numpy as np

    length = min(POSITIONS, run.design.context or POSITIONS)
    vocabulary = min(run.vocabulary, model.vocab.size)
    tokens = np.random.default_rng(0).integers(0, vocabulary, (PROMPTS, length))
    result = np.concatenate([model.logits(prompt.tolist()) for prompt in tokens])
    return of_blocks(blocks_of(run.logits(run.hidden(tokens)), result))


def _vectors(run: Pass, model: "LlamaModel", header: Header) -> Agreement:
    """Of an encoder, pooled as the result says; the mean where it says nothing."""
    import numpy as np

    longest = run.design.context or POSITIONS
    vocabulary = min(run.vocabulary, model.vocab.size)
    random = np.random.default_rng(0)
    texts = [random.integers(0, vocabulary, n) for n in LENGTHS if n <= longest]
    result = np.array(model.embed_tokens([text.tolist() for text in texts]), np.float32)
    reference = np.stack([_pooled(run.hidden(one[None])[0], model.info.pooling) for one in texts])
    return of_vectors(reference, result)


def _pooled(hidden: "Floats", how: str | None) -> "Floats":
    """One vector of length 1."""
    import numpy as np

    place = {"cls": 0, "last": -1}.get(how or "mean")
    one: Floats = hidden.mean(0) if place is None else hidden[place]
    return one / np.linalg.norm(one)


