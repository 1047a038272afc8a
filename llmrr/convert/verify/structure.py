"""The check "structure": the first layers of a model, computed from its safetensors in numpy and
from the GGUF file by llama.cpp, whichever of them was made of the other.

It proves names, layouts, permutations and what the metadata says of norms, positions and scales
without an engine for the source. The layers after the first ones are the same code with other
weights, which the check "tensors" compares.
"""

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr.convert.base import Check, Told
from llmrr.convert.products import one_thread
from llmrr.convert.threads import usable_threads
from llmrr.convert.verify.agreement import Agreement, blocks_of, of_blocks, of_vectors
from llmrr.convert.verify.forward.decoder import Pass
from llmrr.convert.verify.forward.design import Design
from llmrr.convert.verify.forward.families import design_of
from llmrr.convert.verify.forward.weights import Weights
from llmrr.convert.verify.truncated import write_first_layers
from llmrr.engines.llamacpp.computing import Computing, Job
from llmrr.errors import EngineFailed, Unsupported
from llmrr.formats import gguf
from llmrr.formats.gguf_header import Header, Scalar
from llmrr.formats.gguf_types import TENSOR_TYPES
from llmrr.formats.json_file import read_object
from llmrr.formats.source import FileSource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

NAME: Final = "structure"
MOST_LAYERS: Final = 8
PROMPTS: Final = 4
POSITIONS: Final = 64  # of each prompt
TOKENS: Final = 8192  # of the vocabulary, the first; the others are only more rows of one matrix
LENGTHS: Final = (1, 2, 3, 5, 9, 17, 33, 64)  # of the texts for an encoder
# A window is made so small that prompts reach beyond it, in the source and in proportion in the
# result, whose own may be wrong.
WINDOW: Final = 24
# The error (see ``Agreement``) at which the check fails, by the type of the weights. Right
# conversions of random models, a Llama 256 wide and a GPT-2, came out at most 3e-4 off in F32 (GELU
# is looked up in half precision), 8e-4 in F16, 6e-3 in BF16, 0.033 in Q8_0.
TOLERANCES: Final = {"F32": 5e-3, "F16": 1e-2, "BF16": 2e-2, "Q8_0": 5e-2}
# The same for the types whose weights both sides have as they are: llama.cpp rounds what it
# multiplies by them to 8 bits, in blocks of up to 256. A random Llama 256 wide came out at most
# 0.026 off in all types, the built-in model 0.018.
ROUNDED: Final = 0.15
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
    words = "the source in numpy and of the result in llama.cpp"
    return _check(
        weights, settings or weights.folder, parts, result.parent, TOLERANCES, words, told
    )


def check_rebuilt(source: Path, result: Path, told: Told) -> Check:
    """Compare the GGUF file ``source`` with the safetensors in the folder ``result`` that were made
    of it, as ``check`` does the other way round; the layers are written into ``result``."""
    weights = Weights(result)
    parts = gguf.read_parts(source)
    types = [TOLERANCES[one] for one in weights.types if one in TOLERANCES]
    least = max(types, default=0.0)
    known = (name for name, _, _ in TENSOR_TYPES.values())
    tolerances = {one: max(least, TOLERANCES.get(one, ROUNDED)) for one in known}
    words = "the result in numpy and of the source in llama.cpp"
    return _check(weights, result, parts, result, tolerances, words, told)


def _check(
    weights: Weights,
    settings: Path,
    parts: Sequence[Header],
    space: Path,
    tolerances: Mapping[str, float],
    words: str,
    told: Told,
) -> Check:
    try:
        design = design_of(_config(settings), weights.names)
        allowed = tolerance(parts, tolerances)
    except Unsupported as exc:
        return Check(NAME, True, f"structure is not verified: {exc.message}")
    if wrong := _stated(design, parts[0]):
        return Check(NAME, False, f"structure only: {wrong}")
    with tempfile.TemporaryDirectory(dir=space, prefix=".structure-") as scratch:
        try:
            with one_thread():
                found = _compared(design, weights, parts, Path(scratch) / "first.gguf", told)
        except EngineFailed as exc:
            return Check(NAME, False, f"structure only: {exc.message}")
    passed = found.sound and found.error <= allowed
    layers = design.enough(MOST_LAYERS)
    what = f"the first {layers} layers" if layers < len(design.layers) else f"all {layers} layers"
    detail = f"structure only, {what} of {words}: {found}"
    return Check(NAME, passed, f"{detail} ({allowed:g} is allowed)")


def _config(folder: Path) -> Mapping[str, Any]:
    return read_object(FileSource.of(folder / "config.json"))


def tolerance(
    parts: Sequence[Header], tolerances: Mapping[str, float] = TOLERANCES
) -> float:
    """The error that is allowed, by the coarsest type of the matrices. Raises ``Unsupported``."""
    types = {one.type_name for part in parts for one in part.tensors if len(one.dims) > 1}
    if unknown := types - tolerances.keys():
        raise Unsupported(f"weights of the type {min(unknown)} differ by more than a mistake would")
    found = max((tolerances[one] for one in types), default=tolerances["F32"])
    experts = parts[0].own("expert_count")
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
    pooling = None if design.causal else gguf.describe(parts).pooling or "mean"
    worst = Agreement(0.0, 0.0)
    for number, variant in enumerate(variants):
        told("comparing the first layers", number, len(variants))
        run = Pass(variant.design, weights)
        tokens = min(run.vocabulary, TOKENS)
        rows = tokens if pooling is None else None
        write_first_layers(parts, scratch, layers, variant.replaced, rows)
        if pooling is None:
            found = _logits(run, tokens, scratch)
        else:
            found = _vectors(run, pooling, scratch)
        scratch.unlink()
        if not found.sound:
            return found
        worst = max(worst, found, key=lambda one: one.error)
    told("comparing the first layers", len(variants), len(variants))
    return worst


def _variants(design: Design, layers: int, header: Header) -> Iterator[Variant]:
    architecture = header.text("general.architecture")
    cut = design.cut(layers, WINDOW)
    cut = replace(cut, scale=cut.scale * scale_lost(design, layers, f"{architecture}"))
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


def scale_lost(design: Design, layers: int, architecture: str) -> float:
    """llama.cpp tells by the number of layers that a Gemma is the one of 27 B parameters, whose
    attention is scaled by width / heads (``load_arch_hparams`` in its models/gemma2.cpp and
    gemma3.cpp); a cut one is scaled by the size of a head, as the others."""
    large = {"gemma2": 46, "gemma3": 62}.get(architecture)
    if len(design.layers) != large or layers == large:
        return 1.0
    return math.sqrt(design.width // design.heads / design.head)


def _logits(run: Pass, tokens: int, result: Path) -> Agreement:
    import numpy as np

    length = min(POSITIONS, run.design.context or POSITIONS)
    prompts = np.random.default_rng(0).integers(0, tokens, (PROMPTS, length))
    with Computing(job(result, prompts.tolist(), vocabulary=tokens)) as computing:
        hidden = run.hidden(prompts)
        return of_blocks(blocks_of(run.logits(hidden, tokens), computing.result()))


def _vectors(run: Pass, pooling: str, result: Path) -> Agreement:
    """Of an encoder, pooled as the result says."""
    import numpy as np

    longest = run.design.context or POSITIONS
    random = np.random.default_rng(0)
    texts = [random.integers(0, run.vocabulary, n) for n in LENGTHS if n <= longest]
    with Computing(job(result, [text.tolist() for text in texts], pooling=pooling)) as computing:
        reference = np.stack([_pooled(run.hidden(one[None])[0], pooling) for one in texts])
        return of_vectors(reference, computing.result())


def job(result: Path, prompts: Sequence[Sequence[int]], **wanted: Any) -> Job:
    """What llama.cpp computes of the file ``result`` while the source is computed here."""
    threads = max(1, usable_threads() - 1)  # one is at work on the source
    return Job(str(result), tuple(map(tuple, prompts)), threads, **wanted)


def _pooled(hidden: "Floats", how: str) -> "Floats":
    """One vector of length 1."""
    import numpy as np

    place = {"cls": 0, "last": -1}.get(how)
    one: Floats = hidden.mean(0) if place is None else hidden[place]
    return one / np.linalg.norm(one)


