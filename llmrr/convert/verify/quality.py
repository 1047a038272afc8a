"""The check "quality": how much worse a quantized model predicts than the one that it was made of.

Both read the built-in texts; of every prediction in the second half of each window the divergence
of the two distributions is taken, as ``llama-perplexity --kl-divergence`` does. It is information:
only a model that was destroyed fails.
"""

import math
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from llmrr.convert.base import Check, Told
from llmrr.convert.threads import patient
from llmrr.convert.verify.texts import TEXTS
from llmrr.types import Format, ModelFiles, ModelInfo

if TYPE_CHECKING:
    from llmrr.engines.llamacpp.model import LlamaModel
    from llmrr.evaluate import Comparison

    Vectors = Sequence[Sequence[float]]

NAME: Final = "quality"
# The mean divergence in nats from which on nothing of the model is left: guessing among 50,000
# tokens is 10 nats from a sure prediction. A model of random weights (4 layers, 256 wide) came out
# at most 0.95 away, in Q8_0, Q5_1, Q4_K_M, IQ4_XS, Q2_K, IQ2_XS and TQ2_0, the farthest.
DESTROYED: Final = 5.0
LEAST_COSINE: Final = 0.5  # of the vectors of one text
# Weights times tokens that are computed of each model: all texts up to 200 M weights, one window of
# them from 2 billion on. Two cores take 10 s for both sides of 135 M.
MOST_COMPUTED: Final = 1e12


def check(reference: Path, result: Path, told: Told) -> Check:
    """Compare the GGUF file ``result`` with ``reference``, of which it was quantized. They are
    loaded one after the other, and what the first one says is kept in a file beside ``result``.
    Raises what the engine does."""
    with closing(_opened(reference)) as source:
        if _makes_vectors(source.info):
            vectors = source.embed(TEXTS)
        else:
            return _of_predictions(source, result, told)
    with closing(_opened(result)) as model:
        return _of_vectors(vectors, model.embed(TEXTS))


def tokens_for(parameters: int | None) -> int:
    """How many tokens a model of so many weights is to read.

    >>> tokens_for(500_000_000), tokens_for(None)
    (2000, 1000000000000)
    """
    return round(MOST_COMPUTED / max(parameters or 1, 1))


def sample(tokens: Sequence[int], window: int, most: int) -> Sequence[int]:
    """Windows of the text, spread over it, with at most so many tokens; at least one.

    >>> sample(range(10), 2, 5), sample(range(10), 2, 1), sample(range(10), 2, 99)
    ([0, 1, 4, 5], [0, 1], range(0, 10))
    """
    if len(tokens) <= max(most, window):
        return tokens
    there, wanted = len(tokens) // window, max(1, most // window)
    starts = (place * there // wanted * window for place in range(wanted))
    return [token for start in starts for token in tokens[start : start + window]]


def _opened(path: Path) -> "LlamaModel":
    from llmrr.engines.base import Options
    from llmrr.engines.llamacpp import ENGINE

    with patient():
        return ENGINE.load(ModelFiles(path, Format.GGUF), Options())


def _makes_vectors(info: ModelInfo) -> bool:
    causal = info.metadata.get(f"{info.architecture}.attention.causal")
    return bool(info.pooling) or causal is False


def _of_predictions(reference: "LlamaModel", result: Path, told: Told) -> Check:
    from llmrr import evaluate
    from llmrr.evaluate.texts import WINDOW

    tokens = evaluate.text_tokens(reference, "\n\n".join(TEXTS))
    window = min(WINDOW, (reference.info.context_length or 2 * WINDOW) - 1)
    read = sample(tokens, window, tokens_for(reference.info.parameters))
    with tempfile.TemporaryDirectory(dir=result.parent, prefix=".quality-") as scratch:
        recording = evaluate.record_predictions(
            reference, read, Path(scratch) / "predictions", window=window,
            progress=lambda done, total: told("reading with the source", done, total),
        )  # fmt: skip
        reference.close()
        with closing(_opened(result)) as model:
            found = evaluate.compare_recorded(
                recording, model, lambda done, total: told("comparing predictions", done, total)
            )
    mean = found.divergence.mean
    return Check(
        NAME,
        math.isfinite(mean) and mean < DESTROYED and math.isfinite(found.ratio),
        f"KL divergence {mean:.4g} nats in the mean, the same first choice at"
        f" {found.divergence.same_top:.1%} of {found.divergence.tokens} positions, perplexity"
        f" {found.ratio - 1:+.2%}",
        tuple(_rows(found)),
    )


def _rows(found: "Comparison") -> list[dict[str, Any]]:
    apart = found.divergence
    return [
        {"of": "perplexity", "source": found.reference.value, "result": found.perplexity.value},
        {"of": "perplexity, ratio", "source": 1.0, "result": found.ratio},
        {"of": "KL divergence, mean", "source": 0.0, "result": apart.mean},
        {"of": "KL divergence, median", "source": 0.0, "result": apart.median},
        {"of": "KL divergence, 99 %", "source": 0.0, "result": apart.p99},
        {"of": "KL divergence, largest", "source": 0.0, "result": apart.maximum},
        {"of": "same first choice", "source": 1.0, "result": apart.same_top},
    ]


def _of_vectors(reference: "Vectors", result: "Vectors") -> Check:
    """Of an encoder: the cosine of the vectors of each text, which have length 1."""
    pairs = zip(reference, result, strict=True)
    cosines = sorted(sum(x * y for x, y in zip(one, other, strict=True)) for one, other in pairs)
    least, mean = cosines[0], sum(cosines) / len(cosines)
    return Check(
        NAME,
        least > LEAST_COSINE,
        f"the vectors of {len(cosines)} texts have a cosine of {mean:.4f} in the mean, {least:.4f}"
        " at least",
    )
