"""Tiny real decoders and encoders that onnxruntime runs, written as ONNX protobuf by ourselves: in
all the layouts in which people publish them, with the same random weights, so that all of them
say the same."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from backends import byte_tokenizer
from layouts import message

HEADS, WIDTH, HEAD, LAYERS, CONTEXT = 4, 32, 8, 2, 512
VOCABULARY = byte_tokenizer().get_vocab_size()
TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10,
         "bfloat16": 16}
MICROSOFT = "com.microsoft"
Size = int | str


def tensor(name: str, value: np.ndarray, *, outside: Mapping[str, object] | None = None) -> bytes:
    """A TensorProto with its numbers, or what lies ``outside`` (location, offset, length)."""
    fields: list[tuple[int, int | str | bytes]] = [(1, size) for size in value.shape]
    fields += [(2, TYPES[str(value.dtype)]), (8, name)]
    if outside is None:
        fields.append((9, value.tobytes()))
    else:
        fields += [(13, message((1, key), (2, str(one)))) for key, one in outside.items()]
        fields.append((14, 1))
    return message(*fields)


def port(name: str, kind: str, shape: Sequence[Size]) -> bytes:
    sizes = (message((1 if isinstance(size, int) else 2, size)) for size in shape)
    inside = message((1, TYPES[kind]), (2, message(*((1, size) for size in sizes))))
    return message((1, name), (2, message((1, inside))))


def attribute(name: str, value: int | bytes | Sequence[int]) -> bytes:
    if isinstance(value, bytes):  # a graph
        return message((1, name), (6, value), (20, 5))
    if isinstance(value, int):
        return message((1, name), (3, value % 2**64), (20, 2))
    return message((1, name), *((8, one % 2**64) for one in value), (20, 7))


@dataclass
class Graph:
    """Nodes in the order in which they were added."""

    prefix: str = ""
    nodes: list[bytes] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    def op(
        self, kind: str, *inputs: str, into: str | Sequence[str] = "", domain: str = "",
        **attributes: int | bytes | Sequence[int],
    ) -> str:  # fmt: skip
        outputs = [into] if isinstance(into, str) else list(into)
        outputs[0] = outputs[0] or f"{self.prefix}{kind}_{len(self.nodes)}"
        ports = [(1, one) for one in inputs] + [(2, one) for one in outputs]
        stated = [(5, attribute(name, value)) for name, value in attributes.items()]
        self.nodes.append(message(*ports, (4, kind), *stated, (7, domain)))
        return outputs[0]

    def weight(self, name: str, value: np.ndarray) -> str:
        self.weights[name] = value
        return name

    def ints(self, *values: int) -> str:
        name = "ints_" + "_".join(map(str, values))
        return self.weight(name, np.array(values, np.int64))

    def floats(self, value: float, kind: str) -> str:
        return self.weight(f"{kind}_{value}", np.array(value, kind))


def weights(kind: str = "float32", seed: int = 1) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) / np.sqrt(shape[0])).astype(kind)

    found = {"embed": draw(VOCABULARY, WIDTH) * 8, "places": draw(CONTEXT, WIDTH) * 12}
    for layer in range(LAYERS):
        for name in ("q", "k", "v", "o"):
            found[f"{layer}.{name}"] = draw(WIDTH, WIDTH)
        found[f"{layer}.up"], found[f"{layer}.down"] = draw(WIDTH, 64), draw(64, WIDTH)
    found["head"] = draw(WIDTH, VOCABULARY) * 2
    return {name: value.astype(kind) for name, value in found.items()}


def _body(
    graph: Graph, *, kind: str, past: bool, positions: bool, gqa: bool, causal: bool = True,
    logits: str = "logits", present: str = "present", forgets: bool = False, ports: str = "",
    ids: str = "input_ids", more: str = "", prunes: str = "", pooled: bool = False,
) -> None:  # fmt: skip
    """The layers: learned positions, attention, a feed-forward step; nothing is normalised."""
    op, ints = graph.op, graph.ints
    for name, value in weights(kind).items():
        graph.weight(name, value)
    cast = {"": "", "bfloat16": "16"}[ports]
    count = op("Gather", op("Shape", ids), ints(1), axis=0)
    all_keys = count
    if past:
        before = op("Gather", op("Shape", "past_key_values.0.key"), ints(2), axis=0)
        all_keys = op("Add", before, count)
    if gqa:
        all_keys = op("Gather", op("Shape", "attention_mask"), ints(1), axis=0)
    scalar_all = op("Squeeze", all_keys, ints(0))
    scalar_count = op("Squeeze", count, ints(0))
    zero, one = graph.weight("zero", np.array(0, np.int64)), graph.weight("one", np.array(1))
    first = op("Sub", scalar_all, scalar_count)
    own = op("Unsqueeze", op("Range", first, scalar_all, one), ints(0))
    places = "position_ids" if positions else own
    found = ids if ids == "inputs_embeds" else op("Gather", "embed", ids)
    hidden = op("Add", found, op("Gather", "places", places))
    if more:
        hidden = op("Add", hidden, more)
    split = ints(0, 0, HEADS, HEAD)
    forbidden = ""
    if not gqa:
        keys = op("Unsqueeze", op("Range", zero, scalar_all, one), ints(0))
        later = op("Greater", op("Unsqueeze", keys, ints(1)), op("Unsqueeze", places, ints(2)))
        masked = op("Equal", op("Unsqueeze", "attention_mask", ints(1)),
                    graph.weight("no", np.array(0, np.int64)))  # fmt: skip
        forbidden = op("Unsqueeze", op("Or", later, masked) if causal else masked, ints(1))
        if forgets:  # as if it had been traced for one token, which may see all
            forbidden = op("Unsqueeze", masked, ints(1))
    else:
        total = op("ReduceSum", "attention_mask", ints(1), keepdims=0)
        seqlens = op("Cast", op("Sub", total, one), to=6)
        everything = op("Cast", scalar_all, to=6)
    for layer in range(LAYERS):
        q, k, v = (op("MatMul", hidden, f"{layer}.{name}") for name in "qkv")
        old = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
        new = [f"{present}.{layer}.{part}" for part in ("key", "value")]
        if gqa:
            mixed = op("GroupQueryAttention", q, k, v, *old, seqlens, everything,
                       into=["", *new], domain=MICROSOFT,
                       num_heads=HEADS, kv_num_heads=HEADS)  # fmt: skip
        else:
            q, k, v = (op("Transpose", op("Reshape", one, split), perm=[0, 2, 1, 3])
                       for one in (q, k, v))  # fmt: skip
            if past and cast:
                k, v = (op("Concat", op("Cast", a, to=1), b, axis=2)
                        for a, b in zip(old, (k, v), strict=True))  # fmt: skip
                k, v = (op("Cast", op("Cast", a, to=16, into=b), to=1)
                        for a, b in zip((k, v), new, strict=True))  # fmt: skip
            elif past:
                k, v = (op("Concat", a, b, axis=2, into=c)
                        for a, b, c in zip(old, (k, v), new, strict=True))  # fmt: skip
            elif present:
                k, v = (op("Identity", a, into=c) for a, c in zip((k, v), new, strict=True))
            scores = op("MatMul", q, op("Transpose", k, perm=[0, 1, 3, 2]))
            scores = op("Div", scores, graph.floats(HEAD**0.5, kind))
            scores = op("Where", forbidden, graph.floats(-60000.0, kind), scores)
            mixed = op("Transpose", op("MatMul", op("Softmax", scores, axis=-1), v),
                       perm=[0, 2, 1, 3])  # fmt: skip
            mixed = op("Reshape", mixed, ints(0, 0, WIDTH))
        hidden = op("Add", hidden, op("MatMul", mixed, f"{layer}.o"))
        up = op("Tanh", op("MatMul", hidden, f"{layer}.up"))
        hidden = op("Add", hidden, op("MatMul", up, f"{layer}.down"))
    if prunes == "keep":  # logits of so many tokens at the end, of all for 0
        start = op("Unsqueeze", op("Neg", "num_logits_to_keep"), ints(0))
        hidden = op("Slice", hidden, start, ints(2**40), ints(1))
    elif prunes:
        hidden = op("Gather", hidden, graph.weight("end", np.array([-1])), axis=1)
        hidden = op("Squeeze", hidden, ints(1)) if prunes == "flat" else hidden
    if pooled:
        shares = op("Unsqueeze", op("Cast", "attention_mask", to=1), ints(2))
        total = op("ReduceSum", op("Mul", hidden, shares), ints(1), keepdims=0)
        op("Div", total, op("ReduceSum", shares, ints(1), keepdims=0), into=logits)
    elif logits == "last_hidden_state":
        op("Identity", hidden, into=logits)
    elif cast:
        op("Cast", op("MatMul", hidden, "head"), to=16, into=logits)
    else:
        op("MatMul", hidden, "head", into=logits)


def _proto(
    graph: Graph, inputs: Sequence[bytes], outputs: Sequence[bytes], path: Path, *,
    outside: str = "",
) -> Path:  # fmt: skip
    """Write a ModelProto; with ``outside`` the matrices go to files of these names in turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data, stored = dict.fromkeys(outside.split(), b""), []
    for number, (name, value) in enumerate(graph.weights.items()):
        place = None
        if outside and value.ndim == 2:
            file = list(data)[number % len(data)]
            place = {"location": file, "offset": len(data[file]), "length": value.nbytes}
            data[file] += value.tobytes()
        stored.append((5, tensor(name, value, outside=place)))
    whole = message(*((1, node) for node in graph.nodes), (2, "g"), *stored,
                    *((11, one) for one in inputs), *((12, one) for one in outputs))  # fmt: skip
    opsets = [(8, message((1, ""), (2, 17))), (8, message((1, MICROSOFT), (2, 1)))]
    path.write_bytes(message((1, 8), (2, "tests"), (7, whole), *opsets))
    for file, content in data.items():
        (path.parent / file).write_bytes(content)
    return path


def _inputs(
    kind: str, *, past: bool, positions: bool, names: bool = True,
    sizes: Sequence[Size] = ("batch_size", "sequence_length"),
) -> list[bytes]:  # fmt: skip
    every = [sizes[0], "total_sequence_length" if past else sizes[1]]
    found = [port("input_ids", "int64", sizes), port("attention_mask", "int64", every)]
    if positions:
        found.append(port("position_ids", "int64", sizes))
    length = "past_sequence_length" if names else ""
    return found + (_caches("past_key_values", kind, length) if past else [])


def _caches(prefix: str, kind: str, length: str) -> list[bytes]:
    batch = "batch_size" if length else ""
    return [
        port(f"{prefix}.{layer}.{part}", kind, [batch, HEADS, length, HEAD])
        for layer in range(LAYERS)
        for part in ("key", "value")
    ]


def _logits(kind: str) -> bytes:
    return port("logits", kind, ["batch_size", "sequence_length", VOCABULARY])


def decoder(
    path: Path, *, kind: str = "float32", past: bool = True, present: bool = True,
    positions: bool = True, gqa: bool = False, outside: str = "", ports: str = "",
    forgets: bool = False, wants: str = "", names: bool = True, ids: str = "input_ids",
    more: str = "", prunes: str = "", sizes: Sequence[Size] = ("batch_size", "sequence_length"),
    silent: bool = False,
) -> Path:  # fmt: skip
    """One graph: with keys and values of the past or not. Its caches and logits are ``ports``,
    where that is another type; ``forgets``: that a token sees no later one; ``wants`` is an input
    more, ``more`` one that is added to the vectors; without ``names`` sizes that are not fixed
    have none. ``prunes``: logits for the last token alone, ``flat`` without an axis for tokens, or
    for as many as are asked for (``keep``). ``sizes`` are those of what goes in; ``silent``: those
    of the caches are said of what comes out alone."""
    graph = Graph()
    _body(graph, kind=kind, past=past, positions=positions, gqa=gqa, ports=ports, forgets=forgets,
          present="present" if present else "", ids=ids, more=more, prunes=prunes)  # fmt: skip
    kind = ports or kind
    outputs = [port("logits", kind, ["batch_size", VOCABULARY])] if prunes == "flat" else [
        _logits(kind)
    ]
    if present:
        outputs += _caches("present", kind, "total_sequence_length")
    inputs = _inputs(kind, past=past, positions=positions, names=names, sizes=sizes)
    if silent:
        inputs[-2 * LAYERS :] = [
            port(f"past_key_values.{layer}.{part}", kind, ["b", "h", "t", "d"])
            for layer in range(LAYERS) for part in ("key", "value")
        ]  # fmt: skip
    if prunes == "keep":
        inputs.append(port("num_logits_to_keep", "int64", []))
    if more:
        inputs.append(port(more, kind, ["batch_size", "sequence_length", WIDTH]))
    if ids == "inputs_embeds":
        inputs[0] = port(ids, kind, ["batch_size", "sequence_length", WIDTH])
    if wants:
        inputs.append(port(wants, "int64", [1]))
    return _proto(graph, inputs, outputs, path, outside=outside)


def embedded(folder: Path, more: str = "") -> Path:
    """A graph that takes vectors, and one that makes them, as models of text and pictures have; a
    part of them under the name ``more``, as Gemma 3n has it."""
    graph = Graph()
    table = weights()["embed"]
    outputs = {"inputs_embeds": table * (0.75 if more else 1)} | ({more: table / 4} if more else {})
    for name, value in outputs.items():
        graph.op("Gather", graph.weight(f"{name}_table", value), "input_ids", into=name)
    _proto(graph, _inputs("float32", past=False, positions=False)[:1],
           [port(name, "float32", ["b", "s", WIDTH]) for name in outputs],
           folder / "onnx" / "embed_tokens.onnx")  # fmt: skip
    return decoder(folder / "onnx" / "decoder_model_merged.onnx", ids="inputs_embeds", more=more)


def merged(path: Path) -> Path:
    """Both graphs in one, as ``use_cache_branch`` says."""
    branches, whole = {}, Graph()
    for name, past in (("then_branch", True), ("else_branch", False)):
        graph = Graph(prefix=f"{name}_")
        _body(graph, kind="float32", past=past, positions=True, gqa=False,
              logits=f"{name}_logits", present=f"{name}_present")  # fmt: skip
        whole.weights |= graph.weights
        outputs = [port(f"{name}_logits", "float32", ["b", "s", VOCABULARY]),
                   *_caches(f"{name}_present", "float32", "t")]  # fmt: skip
        branches[name] = message(*((1, node) for node in graph.nodes), (2, name),
                                 *((12, one) for one in outputs))  # fmt: skip
    caches = [f"present.{n}.{part}" for n in range(LAYERS) for part in ("key", "value")]
    whole.op("If", "branch", into=["logits", *caches], **branches)  # type: ignore[arg-type]
    whole.nodes.insert(0, message((1, "use_cache_branch"), (1, "first"), (2, "branch"),
                                  (4, "Squeeze")))  # fmt: skip
    whole.weight("first", np.array([0], np.int64))
    inputs = [*_inputs("float32", past=True, positions=True), port("use_cache_branch", "bool", [1])]
    outputs = [_logits("float32"), *_caches("present", "float32", "t")]
    return _proto(whole, inputs, outputs, path)


def encoder(
    path: Path, *, types: bool = True, pooled: bool = False,
    sizes: Sequence[Size] = ("batch_size", "sequence_length"),
) -> Path:  # fmt: skip
    """Hidden states of every token, each seeing all others; with token types or without, their
    mean as sentence-transformers has it if ``pooled``. ``sizes`` are those of what goes in."""
    graph = Graph()
    name = "sentence_embedding" if pooled else "last_hidden_state"
    _body(graph, kind="float32", past=False, positions=False, gqa=False, causal=False, present="",
          logits=name, pooled=pooled)  # fmt: skip
    inputs = _inputs("float32", past=False, positions=False, sizes=sizes)
    if types:
        inputs.append(port("token_type_ids", "int64", sizes))
    outputs = [port(name, "float32", ["b", WIDTH] if pooled else ["b", "s", WIDTH])]
    return _proto(graph, inputs, outputs, path)


def beside(folder: Path, *, template: str | None = None, **config: object) -> Path:
    """Configuration and tokenizer of the decoders."""
    folder.mkdir(parents=True, exist_ok=True)
    stated = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "vocab_size": VOCABULARY,
        "max_position_embeddings": CONTEXT, "bos_token_id": 0, "eos_token_id": 1, **config,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(stated))
    byte_tokenizer().save(str(folder / "tokenizer.json"))
    texts: dict[str, object] = {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": False}
    if template is not None:
        texts["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(texts))
    return folder


def reference(tokens: Sequence[int], kind: str = "float32") -> np.ndarray:
    """The logits of ``decoder`` in numpy, shape (tokens, vocabulary)."""
    w = {name: value.astype(np.float64) for name, value in weights(kind).items()}
    x = w["embed"][list(tokens)] + w["places"][: len(tokens)]
    later = np.triu(np.ones((len(tokens), len(tokens)), bool), 1)
    for layer in range(LAYERS):
        q, k, v = ((x @ w[f"{layer}.{name}"]).reshape(-1, HEADS, HEAD).transpose(1, 0, 2)
                   for name in "qkv")  # fmt: skip
        scores = np.where(later, -np.inf, q @ k.transpose(0, 2, 1) / HEAD**0.5)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (shares / shares.sum(-1, keepdims=True)) @ v
        x = x + mixed.transpose(1, 0, 2).reshape(len(tokens), WIDTH) @ w[f"{layer}.o"]
        x = x + np.tanh(x @ w[f"{layer}.up"]) @ w[f"{layer}.down"]
    return np.asarray(x @ w["head"])
