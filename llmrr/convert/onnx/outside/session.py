"""An ONNX graph that is fed with token ids: whatever else it takes is made to go with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .refusal import Refused

TYPES = {"float": "float32", "float16": "float16", "int64": "int64", "int32": "int32",
         "bool": "bool"}  # fmt: skip
PAST, PRESENT = "past_key_values", "present"


class Graph:
    """One graph on the processor."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = {one.name: one for one in self.session.get_inputs()}
        self.outputs = [one.name for one in self.session.get_outputs()]

    @property
    def has_past(self) -> bool:
        """Whether keys and values of the past go in."""
        return any(name.startswith(PAST) for name in self.inputs)

    def run(
        self, ids: Any, given: Mapping[str, Any], past: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """All outputs for the token ids ``ids`` that follow ``past``, the outputs of a run before.
        """
        before = dict(past or {})
        seen = int(before.pop("seen", 0))
        feeds = {
            name: self._value(one, ids, given, before, seen) for name, one in self.inputs.items()
        }
        found = dict(zip(self.outputs, self.session.run(None, feeds), strict=True))
        # A merged decoder gives its cross attention only once.
        kept = {name: one for name, one in before.items() if name.startswith(PRESENT)}
        found |= {
            name: kept[name] for name, one in found.items()
            if name.startswith(PRESENT) and ".encoder." in name and name in kept
        }  # fmt: skip
        return {**found, "seen": seen + ids.shape[-1]}

    def _value(
        self, one: Any, ids: Any, given: Mapping[str, Any], before: Mapping[str, Any], seen: int
    ) -> Any:
        import numpy

        name, kind = one.name, TYPES.get(one.type[7:-1], "")
        length = ids.shape[-1]
        if name in given:
            return given[name].astype(kind)
        if name in ("input_ids", "decoder_input_ids"):
            return _ranked(ids, one).astype(kind)
        if name in ("attention_mask", "decoder_attention_mask"):
            return _ranked(numpy.ones((1, seen + length)), one).astype(kind)
        if name == "position_ids":
            return numpy.arange(seen, seen + length).reshape(1, -1).astype(kind)
        if name == "token_type_ids":
            return _ranked(numpy.zeros((1, length)), one).astype(kind)
        if name == "use_cache_branch":
            return numpy.array([bool(before)])
        if name.startswith(PAST):
            found = before.get(PRESENT + name.removeprefix(PAST))
            return found if found is not None else numpy.zeros(_empty(one.shape), kind)
        raise Refused("failed", f"the graph takes {name}, which no text has")


def _ranked(values: Any, one: Any) -> Any:
    """With as many dimensions as the graph wants: choices stand between batch and tokens."""
    return values if len(one.shape) == 2 else values[:, None, :].repeat(2, axis=1)


def _empty(shape: Any) -> list[int]:
    """
    >>> _empty(["batch_size", 8, "past_sequence_length", 64])
    [1, 8, 0, 64]
    """
    return [
        one if isinstance(one, int) else int("batch" in str(one)) for one in shape
    ]
