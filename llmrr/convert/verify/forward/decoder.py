"""The forward pass of a ``Design``: token ids in, hidden states and logits out."""

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from llmrr.convert.verify.forward import blocks
from llmrr.convert.verify.forward.design import Design, Experts, Layer
from llmrr.convert.verify.forward.weights import Weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Tokens = NDArray[np.int64]

FIRST_HEAD: Final = "{h}"


class Pass:
    """One design with its weights. Everything is float32, shaped (prompts, positions, …)."""

    def __init__(self, design: Design, weights: Weights) -> None:
        self.design = design
        self.weights = weights
        self._activation = blocks.activation(design.activation)

    @property
    def vocabulary(self) -> int:
        """How many tokens have a row in the table."""
        return self.weights.shape(f"{self.design.names['embed']}.weight")[0]

    def hidden(self, tokens: "Tokens") -> "Floats":
        """What stands after the last layer and its norm, shape (prompts, positions, width)."""
        x = self._embedded(tokens)
        for number, layer in enumerate(self.design.layers):
            x = self._layer(x, number, layer)
        return self._norm(x, "final_norm") if "final_norm" in self.design.names else x

    def logits(self, hidden: "Floats", most: int | None = None) -> "Iterator[tuple[int, Floats]]":
        """The logits in blocks of the vocabulary, or of its ``most`` first tokens, with the number
        of the first token of each; shape (prompts, positions, tokens of the block)."""
        import numpy as np

        design = self.design
        output = f"{design.names['output']}.weight"
        if design.tied or output not in self.weights:
            output = f"{design.names['embed']}.weight"
        bias = self._optional(f"{design.names['output']}.bias")
        for start, block in self.weights.blocks(output, most=most):
            found = hidden @ block.T * np.float32(design.logit_scale)
            if bias is not None:
                found += bias[start : start + len(block)]
            if cap := design.final_softcap:
                found = np.float32(cap) * np.tanh(found / np.float32(cap))
            yield start, found

    # -- what a layer consists of --------------------------------------------------------------

    def _embedded(self, tokens: "Tokens") -> "Floats":
        import numpy as np

        names = self.design.names
        numbers, places = np.unique(tokens, return_inverse=True)
        rows = self.weights.rows(f"{names['embed']}.weight", numbers)
        x: Floats = rows[places].reshape(*tokens.shape, -1) * np.float32(
            self.design.embedding_scale
        )
        if "positions" in names:
            x = x + self.weights.rows(f"{names['positions']}.weight", range(tokens.shape[-1]))
        if "types" in names and f"{names['types']}.weight" in self.weights:
            x = x + self.weights.rows(f"{names['types']}.weight", [0])
        return self._norm(x, "embed_norm") if "embed_norm" in names else x

    def _layer(self, x: "Floats", i: int, layer: Layer) -> "Floats":
        import numpy as np

        scale = np.float32(self.design.residual_scale)
        before = self._maybe(x, "attention_in", i)
        attended = self._maybe(self._attention(before, i, layer), "attention_out", i) * scale
        if self.design.parallel:
            both: Floats = x + attended + self._mlp(self._maybe(x, "mlp_in", i), i, layer) * scale
            return both
        x = self._maybe(x + attended, "attention_sum", i)
        fed = self._maybe(self._mlp(self._maybe(x, "mlp_in", i), i, layer), "mlp_out", i)
        return self._maybe(x + fed * scale, "mlp_sum", i)

    def _attention(self, x: "Floats", i: int, layer: Layer) -> "Floats":
        design = self.design
        q, k, v = self._queries(x, i)
        if design.query_norm == "whole":
            q, k = self._maybe(q, "q_norm", i), self._maybe(k, "k_norm", i)
        q, k, v = (one.reshape(*x.shape[:2], -1, design.head) for one in (q, k, v))
        if design.query_norm == "head":
            q, k = self._head_norm(q, "q_norm", i), self._head_norm(k, "k_norm", i)
        q, k, v = (one.swapaxes(1, 2) for one in (q, k, v))
        if layer.rope is not None:
            q, k = blocks.rotate(q, layer.rope), blocks.rotate(k, layer.rope)
        found = blocks.attend(
            q, k, v, scale=design.scale, causal=design.causal, window=layer.window,
            softcap=design.softcap,
        )  # fmt: skip
        return self._linear(found.swapaxes(1, 2).reshape(*x.shape[:2], -1), "o", i)

    def _queries(self, x: "Floats", i: int) -> "tuple[Floats, Floats, Floats]":
        """Queries, keys and values, shape (prompts, positions, heads x head)."""
        import numpy as np

        design = self.design
        if "qkv" not in design.names:
            return self._linear(x, "q", i), self._linear(x, "k", i), self._linear(x, "v", i)
        all_ = self._linear(x, "qkv", i)
        if design.fused == "grouped":
            shared = design.heads // design.heads_kv
            groups = all_.reshape(*x.shape[:2], design.heads_kv, shared + 2, design.head)
            parts = groups[..., :shared, :], groups[..., shared, :], groups[..., shared + 1, :]
            q, k, v = (one.reshape(*x.shape[:2], -1) for one in parts)
            return q, k, v
        ends = design.heads * design.head, (design.heads + design.heads_kv) * design.head
        q, k, v = np.split(all_, ends, -1)
        return q, k, v

    def _mlp(self, x: "Floats", i: int, layer: Layer) -> "Floats":
        if layer.experts is not None:
            return self._mixture(x, i, layer.experts)
        return self._feed(x, i, "")

    def _feed(self, x: "Floats", i: int, prefix: str) -> "Floats":
        """Up, the activation (of a gate beside it where there is one), and down."""
        import numpy as np

        names = self.design.names
        if f"{prefix}gate_up" in names:
            gate, up = np.split(self._linear(x, f"{prefix}gate_up", i), 2, -1)
            between = self._activation(gate) * up
        elif f"{prefix}gate" in names:
            gate = self._activation(self._linear(x, f"{prefix}gate", i))
            between = gate * self._linear(x, f"{prefix}up", i)
        else:
            between = self._activation(self._linear(x, f"{prefix}up", i))
        return self._linear(between, f"{prefix}down", i)

    def _mixture(self, x: "Floats", i: int, experts: Experts) -> "Floats":
        import numpy as np

        flat = x.reshape(-1, x.shape[-1])
        shares = blocks.softmax(self._linear(flat, "router", i))
        chosen = np.argsort(-shares, -1, kind="stable")[:, : experts.used]
        weights = np.take_along_axis(shares, chosen, -1)
        if experts.normalised:
            weights = weights / weights.sum(-1, keepdims=True)
        total = np.zeros_like(flat)
        for number in range(experts.count):
            rows, ranks = np.nonzero(chosen == number)
            if len(rows):
                fed = self._expert(flat[rows], i, number)
                total[rows] += fed * weights[rows, ranks][:, None]
        if "shared_up" in self.design.names:
            fed = self._feed(flat, i, "shared_")
            total += blocks.sigmoid(self._linear(flat, "shared_router", i)) * fed
        return total.reshape(x.shape)

    def _expert(self, x: "Floats", i: int, number: int) -> "Floats":
        gate, up = (self._linear(x, f"expert_{one}", i, e=number) for one in ("gate", "up"))
        return self._linear(self._activation(gate) * up, "expert_down", i, e=number)

    # -- weights -------------------------------------------------------------------------------

    def _linear(self, x: "Floats", role: str, i: int, e: int = 0) -> "Floats":
        import numpy as np

        name = self.design.names[role].format(i=i, e=e)
        matrix = f"{name}.weight"
        if self.design.turned:
            found: Floats = functools.reduce(np.add, (
                x[..., start : start + len(block)] @ block
                for start, block in self.weights.blocks(matrix)
            ))  # fmt: skip
        else:
            found = np.concatenate([x @ b.T for _, b in self.weights.blocks(matrix)], -1)
        bias = self._optional(f"{name}.bias")
        return found if bias is None else found + bias

    def _maybe(self, x: "Floats", role: str, i: int) -> "Floats":
        return self._norm(x, role, i) if role in self.design.names else x

    def _norm(self, x: "Floats", role: str, i: int = 0) -> "Floats":
        name = self.design.names[role].format(i=i)
        weight = self.weights.whole(f"{name}.weight")
        return self._normalised(x, weight, self._optional(f"{name}.bias"))

    def _head_norm(self, x: "Floats", role: str, i: int) -> "Floats":
        """A norm of each head, shape (prompts, positions, heads, head)."""
        import numpy as np

        if role not in self.design.names:
            return x
        name = self.design.names[role]
        if FIRST_HEAD not in name:
            return self._norm(x, role, i)
        each = [
            self.weights.whole(f"{name.format(i=i, h=h)}.weight") for h in range(x.shape[-2])
        ]
        return self._normalised(x, np.stack(each), None)

    def _normalised(self, x: "Floats", weight: "Floats", bias: "Floats | None") -> "Floats":
        design = self.design
        return blocks.normalise(
            x, weight + design.norm_offset, bias, kind=design.norm, epsilon=design.epsilon
        )

    def _optional(self, name: str) -> "Floats | None":
        """A vector where the model has it."""
        return self.weights.whole(name) if name in self.weights else None
