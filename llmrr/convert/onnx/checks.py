"""What a comparison found, as sentences and a table, and whether it passed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llmrr.convert.base import Check
from llmrr.formats.messages import listed

LARGEST: Final = 1e-3  # difference in single precision, as a part of the largest number, at least:
LEAST_SCALE: Final = 10.0
# How much of the divergence of an unrelated result a result may have.
SHARE: Final = {"fp16": 0.05}
QUANTIZED: Final = 0.5
COSINE: Final = {"fp16": 0.99}


def checks(found: Mapping[str, Any], quant: str) -> Sequence[Check]:
    """The checks of one result."""
    compared = _outputs(found["outputs"], quant)
    return [_tensors(found["tensors"]), _tokens(found["tokens"]), *compared]


def _tensors(found: Mapping[str, Any]) -> Check:
    share = found["bytes"] / max(found["all_bytes"], 1)
    said = (
        f"{found['matched']} of {found['tensors']} tensors of the source ({share:.1%} of its "
        "bytes) are in the result, as they were or within a step of their quantization"
    )
    if found["unused"]:
        said += f"; not found: {listed(found['unused'])}"
    if found["unknown"]:
        said += f"; {len(found['unknown'])} of the result are of no tensor alone"
    if found["wrong"]:
        said = f"not what the source has: {listed(found['wrong'])}; {said}"
    return Check("tensors", not found["wrong"] and found["matched"] > 0, said)


def _tokens(found: Mapping[str, Any] | None) -> Check:
    if found is None:
        return Check("tokens", True, "not compared: there is no tokenizer that could be read alone")
    if found["differs"] is None:
        return Check("tokens", True, f"the same ids for all of {found['texts']} texts")
    return Check(
        "tokens", False,
        f"{found['differs']!r} became {found['ids']}…, where the source has {found['were']}…",
    )  # fmt: skip


def _outputs(found: Mapping[str, Any], quant: str) -> Iterator[Check]:
    if not found["compared"] or not found["finite"]:
        what = "of another shape, or no numbers" if not found["finite"] else "nothing to compare"
        yield Check("logits", False, f"what comes out of the result is {what}")
        return
    if quant == "fp32":
        yield _exact(found)
        return
    yield _close(found, quant)
    yield Check("quality", True, "against the source in single precision", _table(found, quant))


def _exact(found: Mapping[str, Any]) -> Check:
    allowed = LARGEST * max(LEAST_SCALE, found["scale"])
    steps = found["steps"] or 0.0
    passed = found["largest"] <= allowed and steps <= allowed
    if found["positions"]:
        passed = passed and found["same"] + found["ties"] == found["positions"]
    return Check("logits", passed, f"{_difference(found)}; {allowed:.2g} is allowed")


def _close(found: Mapping[str, Any], quant: str) -> Check:
    if found["kl_mean"] is None:
        least = COSINE.get(quant, QUANTIZED)
        passed = found["cosine"] >= least
        said = f"cosine at least {found['cosine']:.4f}; {least} is asked"
        return Check("logits", passed, said)
    said = f"{_difference(found)}; mean divergence {found['kl_mean']:.3g} nats"
    if not found["kl_other"]:
        return Check("logits", True, said)
    allowed = SHARE.get(quant, QUANTIZED) * found["kl_other"]
    passed = found["kl_mean"] <= max(allowed, 1e-6)
    return Check("logits", passed, f"{said}; {allowed:.3g} is allowed")


def _difference(found: Mapping[str, Any]) -> str:
    said = f"largest difference {found['largest']:.2g} of up to {found['scale']:.3g}"
    if found["positions"]:
        said += f"; the likeliest token is the same at {found['same']} of {found['positions']}"
    if found["ties"]:
        said += f", and as good as the same at {found['ties']}"
    if found["steps"] is not None:
        said += f"; with the past of a first step {found['steps']:.2g} from one step"
    return said


def _table(found: Mapping[str, Any], quant: str) -> tuple[Mapping[str, Any], ...]:
    was, now = found["was"], found["perplexity"]
    source: dict[str, Any] = {"model": "source, fp32"}
    result: dict[str, Any] = {"model": quant}
    if found["kl_mean"] is not None:
        source |= {"KL mean": 0.0, "KL max": 0.0, "same top": 1.0}
        result |= {
            "KL mean": _short(found["kl_mean"]), "KL max": _short(found["kl_max"]),
            "same top": round(found["same"] / found["positions"], 4),
        }  # fmt: skip
    if found["cosine"] is not None:
        source["cosine"], result["cosine"] = 1.0, round(found["cosine"], 5)
    if was and now:
        source |= {"perplexity": _short(was), "change": None}
        result |= {"perplexity": _short(now), "change": f"{now / was - 1:+.2%}"}
    return source, result


def _short(value: float) -> float:
    """
    >>> _short(0.000123456), _short(56575.749)
    (0.0001235, 56580.0)
    """
    return float(f"{value:.4g}")
