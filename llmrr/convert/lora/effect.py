"""The check "effect": what the adapter changes in the logits of its base, or in the vectors of an
encoder.

Where the weights of the base are at hand, its first layers are computed in numpy with B A added to
their weights, and by llama.cpp from GGUF with the adapter. What is compared is the change, which is
small beside the logits themselves. A base that is GGUF already is run with the adapter and without.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr.convert.base import Check, Told, Wish
from llmrr.convert.gguf import Conversion as Whole
from llmrr.convert.gguf.encoding import STORED, floats
from llmrr.convert.gguf.planning import named
from llmrr.convert.gguf.weights import Place, Reader, places
from llmrr.convert.gguf.writing import write_header, write_tensors
from llmrr.convert.lora.base import CONFIG, Base
from llmrr.convert.lora.pairs import Pair
from llmrr.convert.lora.peft import Settings
from llmrr.convert.verify import structure
from llmrr.convert.verify.forward.decoder import Pass
from llmrr.convert.verify.forward.design import Design
from llmrr.convert.verify.forward.families import design_of
from llmrr.convert.verify.forward.weights import Weights
from llmrr.convert.verify.truncated import write_first_layers
from llmrr.errors import NotFound, Unsupported, UsageError
from llmrr.formats import gguf
from llmrr.formats.json_file import read_object
from llmrr.formats.source import FileSource
from llmrr.formats.tensors import Tensor
from llmrr.types import Format, ModelFiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

NAME: Final = "effect"
PROMPTS: Final = 2
POSITIONS: Final = 24  # of each prompt
# The error of the change as a share of the change, and how many times the error that the base has
# without an adapter it may be: what is computed from weights in half precision is a little off.
TOLERANCE: Final = 0.05
NOISE: Final = 4.0


@dataclass(frozen=True, slots=True)
class Compared:
    """The root mean squares of what the source changes, of what the result is off of that, and of
    what the result without an adapter is off."""

    change: float
    off: float
    noise: float


def check(
    base: Base, source: Path, pairs: Sequence[Pair], settings: Settings, target: Path, told: Told
) -> Check:
    """Compare what the adapter at ``target`` changes with what that at ``source`` does. Without
    weights of the base it passes, and the detail says that it is not verified."""
    told("comparing the effect", 0, 1)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".effect-") as scratch:
            if base.is_gguf:
                return _on_gguf(base.place, target)
            return _on_folder(base, source, pairs, settings, target, Path(scratch))
    except (Unsupported, NotFound, UsageError) as exc:
        return Check(NAME, True, f"effect is not verified: {exc.message}")
    finally:
        told("comparing the effect", 1, 1)


def _on_gguf(base: Path, adapter: Path) -> Check:
    import numpy as np

    plain, changed = (_result(base, lora) for lora in (None, adapter))
    off = _size(changed - plain)
    if not np.isfinite(changed).all() or not off:
        return Check(NAME, False, f"{base.name} answers with it as without, or with no numbers")
    return Check(
        NAME, True, f"{base.name} runs with it, and what it gives changes by {off:.2g} (spread "
        f"{plain.std():.2g}); what they should change by is not known without the base's weights",
    )  # fmt: skip


def _on_folder(
    base: Base, source: Path, pairs: Sequence[Pair], settings: Settings, target: Path, scratch: Path
) -> Check:
    weights = Weights(base.place)
    design = design_of(read_object(FileSource.of(base.place / CONFIG)), weights.names)
    layers = design.enough(structure.MOST_LAYERS)
    merged = _Merged(base, weights, source, pairs, settings, turned=design.turned)
    cut, adapter = _cut(base, target, layers, scratch)
    found = _compared(design, layers, weights, merged, cut, adapter)
    what = f"the first {layers} layers" if layers < len(design.layers) else f"all {layers} layers"
    if not found.change:
        return Check(NAME, True, f"effect is not verified: it changes nothing in {what}")
    detail = (
        f"{what} in numpy and in llama.cpp: what it gives changes by {found.change:.2g}, off by "
        f"{found.off:.2g}; without the adapter they are off by {found.noise:.2g}"
    )
    return Check(NAME, found.off <= max(TOLERANCE * found.change, NOISE * found.noise), detail)


def _compared(
    design: Design, layers: int, weights: Weights, merged: Weights, cut: Path, adapter: Path
) -> Compared:
    import numpy as np

    header = gguf.read_header(cut)
    lost = structure.scale_lost(design, layers, f"{header.text('general.architecture')}")
    design = replace(design.cut(layers), scale=design.scale * lost)
    tokens = _tokens(Pass(design, weights).vocabulary)
    pooling = gguf.describe([header]).pooling
    plain, changed = (_reference(Pass(design, one), tokens, pooling) for one in (weights, merged))
    found, with_it = (_result(cut, lora, tokens) for lora in (None, adapter))
    width = min(plain.shape[-1], found.shape[-1])
    plain, changed, found, with_it = (one[:, :width] for one in (plain, changed, found, with_it))
    if not np.isfinite(with_it).all():
        return Compared(_size(changed - plain), float("inf"), 0.0)
    off = (with_it - found) - (changed - plain)
    return Compared(_size(changed - plain), _size(off), _size(found - plain))


def _size(numbers: "Floats") -> float:
    """The root mean square."""
    import numpy as np

    return float(np.sqrt((numbers.astype(np.float64) ** 2).mean()))


def _tokens(vocabulary: int) -> "NDArray[np.int64]":
    import numpy as np

    return np.random.default_rng(0).integers(0, vocabulary, (PROMPTS, POSITIONS))


def _reference(run: Pass, tokens: "NDArray[np.int64]", pooling: str | None) -> "Floats":
    """Logits, a row for each position; of an encoder vectors, one for each prompt."""
    import numpy as np

    if not run.design.causal:
        return np.stack([_pooled(run.hidden(one[None])[0], pooling) for one in tokens])
    blocks = [block for _, block in run.logits(run.hidden(tokens))]
    whole: Floats = np.concatenate(blocks, -1)
    return whole.reshape(-1, whole.shape[-1])


def _pooled(hidden: "Floats", how: str | None) -> "Floats":
    """One vector of length 1, as the engine makes it."""
    import numpy as np

    place = {"cls": 0, "last": -1}.get(how or "mean")
    one: Floats = hidden.mean(0) if place is None else hidden[place]
    return one / np.linalg.norm(one)


def _result(
    path: Path, adapter: Path | None, tokens: "NDArray[np.int64] | None" = None
) -> "Floats":
    import numpy as np

    from llmrr.engines import llamacpp
    from llmrr.engines.base import Options

    options = Options(
        context_size=256, gpu_layers=0, kv_type="f32", flash_attention="off",
        lora=((adapter, 1.0),) if adapter else (),
    )  # fmt: skip
    with closing(llamacpp.ENGINE.load(ModelFiles(path, Format.GGUF), options)) as model:
        tokens = _tokens(model.vocab.size) if tokens is None else tokens
        if model.info.metadata.get(f"{model.info.architecture}.attention.causal") is False:
            return np.array(model.embed_tokens(tokens.tolist()), np.float32)
        return np.concatenate([model.logits(prompt.tolist()) for prompt in tokens])


def _cut(base: Base, target: Path, layers: int, scratch: Path) -> tuple[Path, Path]:
    """The first layers of the base and of the adapter, each as a GGUF file."""
    whole = Whole(base.place, Wish(Format.GGUF, verify=False))
    found = places(base.place)
    model = whole.model(base.place, (one.tensor for one in found.values()), str(base.place))
    kept = [one for one in model.tensors if _layer(one.name) < layers]
    long, short, adapter = (scratch / name for name in ("whole.gguf", "base.gguf", "lora.gguf"))
    write_header(long, base.entry.name, whole.metadata(base.place, model), kept)
    with Reader(found) as reader:
        write_tensors(long, kept, model.values, reader, lambda *_: None)
    write_first_layers(gguf.read_parts(long), short, layers, {})
    long.unlink()
    write_first_layers(gguf.read_parts(target), adapter, layers, {})
    return short, adapter


def _layer(name: str) -> int:
    parts = name.split(".")
    return int(parts[1]) if parts[0] == "blk" else -1


class _Merged(Weights):
    """The weights of a base with B A added. Raises ``Unsupported`` where those of the base are put
    together otherwise than the adapter's."""

    def __init__(
        self, base: Base, plain: Weights, source: Path, pairs: Sequence[Pair], settings: Settings,
        *, turned: bool,
    ) -> None:  # fmt: skip
        super().__init__(plain.path)
        self._adapter, self._settings, self._turned = places(source), settings, turned
        self._pairs = _by_weight(base, plain, pairs)

    def rows(self, name: str, numbers: "Sequence[int] | NDArray[np.int64]") -> "Floats":
        rows, pair = super().rows(name, numbers), self._pairs.get(name)
        return rows if pair is None else rows + self._delta(pair)[list(numbers)]

    def blocks(self, name: str, *part: Any, **more: Any) -> "Iterator[tuple[int, Floats]]":
        pair = self._pairs.get(name)
        added = None if pair is None or pair.is_table else self._delta(pair)
        for start, block in super().blocks(name, *part, **more):
            yield start, block if added is None else block + added[start : start + len(block)]

    def _delta(self, pair: Pair) -> "Floats":
        import numpy as np

        a, b = (_whole(self._adapter[one.name]) for one in (pair.a, pair.b))
        scale = np.float32(self._settings.alpha(pair.module) / pair.inner)
        added: Floats = scale * (b @ a)
        return added.T if pair.is_table or self._turned else added


def _whole(place: Place) -> "Floats":
    import numpy as np

    one = place.tensor
    return floats(np.fromfile(place.path, STORED[one.type], one.elements, offset=place.offset),
                  one.type).reshape(one.shape)  # fmt: skip


def _by_weight(base: Base, plain: Weights, pairs: Sequence[Pair]) -> Mapping[str, Pair]:
    """The pairs by the names that their weights have in the base."""
    parts = bool(base.values.table("text_config"))

    def stripped(names: Sequence[str]) -> dict[str, str]:
        tensors = [Tensor(name, "", (), 0) for name in names]
        found = named(base.entry, tensors, str(base.place), parts=parts)
        return {name: one.name for name, one in found.items()}

    there = stripped(plain.names)
    own = {f"{pair.module}.weight": pair for pair in pairs}
    found = {}
    for name, given in stripped(list(own)).items():
        if name not in there:
            raise Unsupported(f"{base.place} has no tensor {name[:99]!r} of its own")
        found[there[name]] = own[given]
    return found
