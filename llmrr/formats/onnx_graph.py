"""What an ONNX file says of its graph: inputs and outputs, operators, weights and where they lie.

Messages: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Weights are passed over; subgraphs
are walked with the graph.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from llmrr.formats.messages import damaged
from llmrr.formats.protobuf import BYTES, Field, Reader
from llmrr.formats.source import Source
from llmrr.formats.tensors import BITS, Tensor

# onnx.TensorProto.DataType, by the names that safetensors has.
TYPES = {
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16",
    11: "F64", 12: "U32", 13: "U64", 14: "C64", 15: "C128", 16: "BF16", 17: "F8_E4M3",
    18: "F8_E4M3FNUZ", 19: "F8_E5M2", 20: "F8_E5M2FNUZ", 21: "U4", 22: "I4", 23: "F4",
    24: "F8_E8M0", 25: "U2", 26: "I2", 27: "F6_E2M3", 28: "F6_E3M2",
}  # fmt: skip
STRING = 8
MAX_DEPTH = 16  # of graphs in graphs
MAX_DIMENSIONS = 64
MAX_NAME = 4096
MAX_PORTS = 4096
MAX_OPERATORS = 4096
# Operators whose attributes matter: those with a graph or a tensor inside, and packed weights.
INSIDE = frozenset({"If", "Loop", "Scan", "SequenceMap", "Constant"})
# Which of the inputs are packed weights, and which are their scales, zero points and orders.
# https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
PACKED = {
    "MatMulNBits": ((1,), (2, 3, 4)),
    "MatMulBnb4": ((1,), (2,)),
    "GatherBlockQuantized": ((0,), (2, 3)),
    "QMoE": ((2, 5, 8), (3, 6, 9, 11, 12, 13)),
    "DequantizeLinear": ((), (1, 2)),
}


class External(NamedTuple):
    """Where a tensor lies that is not in the file; ``length`` None: as long as its shape."""

    location: str
    offset: int
    length: int | None


class Stored(NamedTuple):
    """A weight; ``external`` None: in the file."""

    tensor: Tensor
    external: External | None


class Packed(NamedTuple):
    """An operator on packed weights, with the names of these and of what goes with them."""

    operator: str
    bits: int
    weights: tuple[str, ...]
    companions: tuple[str, ...]


class Model(NamedTuple):
    """``inputs`` and ``outputs`` have a shape each, with None for what is not fixed; ``operators``
    counts the nodes of each kind, subgraphs and functions included."""

    ir_version: int
    producer: str
    opsets: Mapping[str, int]
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: Mapping[str, tuple[int | None, ...]]
    operators: Mapping[str, int]
    packed: tuple[Packed, ...]
    weights: tuple[Stored, ...]


def read_model(source: Source) -> Model:
    """Walk the ONNX file ``source``. Raises ``DamagedFile``."""
    return _Walk(source).model()


class _Walk:
    """What was found so far; initializers of subgraphs count as those of the graph."""

    def __init__(self, source: Source) -> None:
        self.source, self.reader = source, Reader(source)
        self.operators: Counter[str] = Counter()
        self.packed: list[Packed] = []
        self.weights: dict[str, Stored] = {}
        self.inputs: dict[str, tuple[int | None, ...]] = {}
        self.outputs: dict[str, tuple[int | None, ...]] = {}

    def model(self) -> Model:
        version, producer = 0, ""
        opsets: dict[str, int] = {}
        for field in self.reader.fields(0, self.source.size):
            if field.number == 1:
                version = field.value
            elif field.number == 2:
                producer = self.reader.text(field)
            elif field.number == 7:
                self._graph(field, 0)
            elif field.number == 8:
                parts = {part.number: part for part in self._inside(field)}
                domain = self.reader.text(parts[1]) if 1 in parts else ""
                opsets[domain] = parts[2].value if 2 in parts else 0
            elif field.number == 25:
                for part in self._inside(field):  # of a function, whose nodes are field 7
                    if part.number == 7:
                        self._node(part, 1)
        inputs = {name: shape for name, shape in self.inputs.items() if name not in self.weights}
        return Model(
            version, producer, opsets, inputs, self.outputs, self.operators,
            tuple(self.packed), tuple(self.weights.values()),
        )  # fmt: skip

    def _inside(self, field: Field) -> Iterator[Field]:
        return self.reader.fields(field.offset, field.offset + field.length)

    def _graph(self, graph: Field, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise damaged(self.source, "its graphs are nested too deeply")
        for field in self._inside(graph):
            if field.number == 1:
                self._node(field, depth)
            elif field.number == 5:
                self._tensor(field)
            elif field.number == 11 and depth == 0:
                self._port(field, self.inputs)
            elif field.number == 12 and depth == 0:
                self._port(field, self.outputs)

    def _node(self, node: Field, depth: int) -> None:
        inputs, attributes, operator, outputs = [], [], "", []
        for field in self._inside(node):
            if field.number == 4:
                operator = self.reader.text(field, MAX_NAME)
            elif field.number == 1:
                inputs.append(field)
            elif field.number == 2:
                outputs.append(field)
            elif field.number == 5:
                attributes.append(field)
        self.operators[operator] += 1
        if len(self.operators) > MAX_OPERATORS:
            raise damaged(self.source, f"it has more than {MAX_OPERATORS} kinds of operators")
        if operator in PACKED:
            names = [self.reader.text(field, MAX_NAME) for field in inputs[:16]]
            weights, others = (
                tuple(names[at] for at in places if at < len(names)) for places in PACKED[operator]
            )
            self.packed.append(Packed(operator, self._bits(attributes), weights, others))
        elif operator in INSIDE:
            name = self.reader.text(outputs[0], MAX_NAME) if outputs else ""
            for field in attributes:
                self._attribute(field, depth, name)

    def _attribute(self, attribute: Field, depth: int, name: str) -> None:
        """A tensor (5) or graphs (6, 11) inside; ``name`` is what a constant is called."""
        for field in self._inside(attribute):
            if field.number == 5 and field.wire == BYTES:
                self._tensor(field, name)
            elif field.number in (6, 11) and field.wire == BYTES:
                self._graph(field, depth + 1)

    def _bits(self, attributes: list[Field]) -> int:
        """The attribute ``bits`` of a packed weight, 4 where there is none."""
        for attribute in attributes:
            parts = {part.number: part for part in self._inside(attribute)}
            name = self.reader.text(parts[1], MAX_NAME) if 1 in parts else ""
            if name in ("bits", "expert_weight_bits") and 3 in parts:
                return parts[3].value
        return 4

    def _port(self, field: Field, ports: dict[str, tuple[int | None, ...]]) -> None:
        """A value that goes in or out: name (1), type (2) with tensor_type (1), shape (2)."""
        parts = {part.number: part for part in self._inside(field)}
        shape: list[int | None] = []
        at = parts.get(2)
        for number in (1, 2):
            inside = {part.number: part for part in self._inside(at)} if at else {}
            at = inside.get(number)
        for dimension in self._inside(at) if at else ():
            known = {part.number: part for part in self._inside(dimension)}
            size = known[1].value if 1 in known else 0
            shape.append(size if 0 < size < 2**31 else None)
        if 1 in parts and len(ports) < MAX_PORTS:
            ports[self.reader.text(parts[1], MAX_NAME)] = tuple(shape[:MAX_DIMENSIONS])

    def _tensor(self, field: Field, name: str = "") -> None:
        shape: list[int] = []
        kind, raw, elsewhere = 0, None, False
        outside: dict[str, str] = {}
        for part in self._inside(field):
            if part.number == 1:
                shape += self.reader.numbers(part)
            elif part.number == 2:
                kind = part.value
            elif part.number == 8:
                name = self.reader.text(part, MAX_NAME) or name
            elif part.number == 9:
                raw = part.length
            elif part.number == 13:
                outside |= self._pair(part)
            elif part.number == 14:
                elsewhere = part.value == 1
        if kind == STRING:
            return
        tensor = self._checked(name, kind, shape, None if elsewhere else raw)
        self.weights[name] = Stored(tensor, self._external(name, outside) if elsewhere else None)

    def _checked(self, name: str, kind: int, shape: list[int], raw: int | None) -> Tensor:
        if kind not in TYPES:
            raise damaged(self.source, f"{name[:99]!r} has the unknown type {kind}")
        if len(shape) > MAX_DIMENSIONS or any(size >= 2**48 for size in shape):
            raise damaged(self.source, f"{name[:99]!r} has an impossible shape")
        tensor = Tensor(name, TYPES[kind], tuple(shape), 0)
        size = -(-tensor.elements * BITS[tensor.type] // 8)
        if raw is not None and raw != size and BITS[tensor.type] != 6:
            raise damaged(
                self.source, f"{name[:99]!r} has {raw} bytes, where its shape needs {size}"
            )
        return tensor._replace(bytes=size)

    def _pair(self, field: Field) -> dict[str, str]:
        parts = {part.number: part for part in self._inside(field)}
        key, value = (self.reader.text(parts[n], MAX_NAME) if n in parts else "" for n in (1, 2))
        return {key: value}

    def _external(self, name: str, stated: Mapping[str, str]) -> External:
        """https://onnx.ai/onnx/repo-docs/ExternalData.html"""
        numbers = {key: stated.get(key, "") for key in ("offset", "length")}
        if not stated.get("location") or not all(
            not text or (text.isascii() and text.isdecimal() and len(text) < 19)
            for text in numbers.values()
        ):
            raise damaged(self.source, f"it does not say where {name[:99]!r} lies")
        length = int(numbers["length"]) if numbers["length"] else None
        return External(stated["location"], int(numbers["offset"] or 0), length)
