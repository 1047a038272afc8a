"""Makes the built-in model from nothing: ``python -m llmrr.builtin.recipe [--out FILE]``.

Writes the training text, trains a byte-level BPE and a Llama of about three million parameters on
the processor, evaluates it, and exports one GGUF. Needs the extra ``train``.
"""

import argparse
import copy
import json
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import tokenizers
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmrr.builtin import corpus, facts, trial

SPECIAL = ("<|begin|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
BEGIN, END, USER, ASSISTANT, SYSTEM = range(5)
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message.role == 'assistant' -%}<|assistant|>{{ message.content | trim }}<|end|>"
    "{%- elif message.role == 'system' -%}<|system|>{{ message.content | trim | lower }}<|end|>"
    "{%- else -%}<|user|>{{ message.content | trim | lower }}<|end|>{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the model; ``context`` is in tokens."""

    vocabulary: int = 4000
    width: int = 256
    layers: int = 3
    heads: int = 4
    heads_kv: int = 2
    feed_forward: int = 512
    context: int = 512
    rope_base: float = 10000.0
    epsilon: float = 1e-5

    @property
    def head(self) -> int:
        return self.width // self.heads


class Layer(nn.Module):
    """Attention and feed-forward, with the names that the tensors have in a GGUF."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        narrow = shape.heads_kv * shape.head
        self.attn_norm = nn.RMSNorm(shape.width, shape.epsilon)
        self.attn_q = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_k = nn.Linear(shape.width, narrow, bias=False)
        self.attn_v = nn.Linear(shape.width, narrow, bias=False)
        self.attn_output = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = nn.RMSNorm(shape.width, shape.epsilon)
        self.ffn_gate = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.ffn_up = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.ffn_down = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def attend(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        batch, length, _ = x.shape
        normed = self.attn_norm(x)
        query = self.attn_q(normed).view(batch, length, self.shape.heads, -1).transpose(1, 2)
        key = self.attn_k(normed).view(batch, length, self.shape.heads_kv, -1).transpose(1, 2)
        value = self.attn_v(normed).view(batch, length, self.shape.heads_kv, -1).transpose(1, 2)
        groups = self.shape.heads // self.shape.heads_kv
        # In float32: the gradient of attention in bfloat16 is three times as slow on a processor.
        mixed = F.scaled_dot_product_attention(
            _turned(query.float(), turn),
            _turned(key.float(), turn).repeat_interleave(groups, 1),
            value.float().repeat_interleave(groups, 1),
            is_causal=True,
        ).to(x.dtype)
        return x + self.attn_output(mixed.transpose(1, 2).reshape(batch, length, -1))

    def feed(self, x: Tensor) -> Tensor:
        normed = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(normed)) * self.ffn_up(normed))


class Mini(nn.Module):
    """The model; its output matrix is its embedding."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.blk = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.output_norm = nn.RMSNorm(shape.width, shape.epsilon)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.5 * shape.width**-0.5)
        for layer in self.blk:
            nn.init.zeros_(layer.attn_output.weight)
            nn.init.zeros_(layer.ffn_down.weight)
        steps = torch.arange(0, shape.head, 2, dtype=torch.float64) / shape.head
        angles = torch.outer(torch.arange(shape.context), shape.rope_base**-steps)
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)

    def forward(self, tokens: Tensor, wanted: Tensor) -> Tensor:
        """The last hidden states at the wanted places, normed; shape (places, width)."""
        length = tokens.shape[1]
        turn = (self.cos[:length].float(), self.sin[:length].float())
        x = self.token_embd(tokens)
        for layer in self.blk[:-1]:
            x = layer.feed(layer.attend(x, turn))
        last = self.blk[-1]
        return self.output_norm(last.feed(last.attend(x, turn)[wanted]))

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.token_embd.weight.T


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    # Pairs lie side by side, as llama.cpp's "llama" architecture turns them.
    cos, sin = turn
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


def train_tokenizer(vocabulary: int, seed: int) -> tokenizers.Tokenizer:
    """A byte-level BPE with GPT-2's splitting, which llama.cpp knows as ``gpt-2``."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_tokenizer_text(seed), trainer)
    return tokenizer


def _tokenizer_text(seed: int) -> Iterator[str]:
    # Names often enough that each becomes one token or two; the rest as people write it.
    for fact in facts.facts():
        for _ in range(20):
            yield fact.answer
            for names in fact.forms.values():
                yield from (f"of {name}" for name in names)
    for conversation in corpus.conversations(seed, corpus.Stage(30_000, seed=1)):
        for turn in conversation.turns:
            yield turn.question


def encode(
    tokenizer: tokenizers.Tokenizer, conversation: corpus.Conversation
) -> tuple[list[int], list[bool]]:
    """The tokens of a conversation, and which of them the model is to say."""
    tokens: list[int] = []
    said: list[bool] = []
    parts = [(SYSTEM, conversation.system)] if conversation.system else []
    for turn in conversation.turns:
        parts += [(USER, turn.question), (ASSISTANT, turn.answer)]
    for role, text in parts:
        assert text is not None
        ids = tokenizer.encode(text.strip(), add_special_tokens=False).ids
        tokens += [role, *ids, END]
        said += [False, *[role == ASSISTANT] * (len(ids) + 1)]
    return tokens, said


def batches(
    examples: Sequence[tuple[list[int], list[bool]]], size: int, rng: random.Random
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of about ``size`` tokens, of conversations of like length."""
    order = list(range(len(examples)))
    rng.shuffle(order)
    found: list[list[int]] = []
    for start in range(0, len(order), 8192):
        pool = sorted(order[start : start + 8192], key=lambda i: len(examples[i][0]))
        batch: list[int] = []
        for i in pool:
            if batch and (len(batch) + 1) * len(examples[i][0]) > size:
                found.append(batch)
                batch = []
            batch.append(i)
        found.append(batch)
    rng.shuffle(found)
    for batch in found:
        length = max(len(examples[i][0]) for i in batch)
        tokens = torch.full((len(batch), length), END)
        said = torch.zeros((len(batch), length), dtype=torch.bool)
        for row, i in enumerate(batch):
            ids, marks = examples[i]
            tokens[row, : len(ids)] = torch.tensor(ids)
            said[row, : len(ids)] = torch.tensor(marks)
        yield tokens, said


def train(
    model: Mini, tokenizer: tokenizers.Tokenizer, stage: corpus.Stage, options: argparse.Namespace
) -> None:
    """One pass over the text of a stage, or as many minutes as are given."""
    examples = [
        encode(tokenizer, conversation)
        for conversation in corpus.conversations(options.seed, stage)
    ]
    examples = [example for example in examples if len(example[0]) <= model.shape.context]
    total = sum(len(tokens) for tokens, _ in examples)
    print(f"{len(examples)} conversations, {total} tokens", flush=True)
    trainer = Trainer(model, options.threads)
    order = list(batches(examples, options.batch, random.Random(options.seed)))
    start = time.monotonic()
    seen = 0.0
    for step in range(len(order) // options.threads):
        group = order[step * options.threads : (step + 1) * options.threads]
        passed = (time.monotonic() - start) / 60
        done = max(seen / total, passed / options.minutes)
        if done >= 1:
            break
        warm, cool = min(1.0, (step + 1) / 50), min(1.0, (1 - done) / 0.6)
        loss = trainer.step(group, stage.rate * warm * cool)
        seen += sum(tokens.numel() for tokens, _ in group)
        if step % 50 == 0:
            speed = seen / (time.monotonic() - start)
            print(f"step {step} done {done:.3f} loss {loss:.4f} {speed:.0f} tokens/s", flush=True)
        if options.look and step % options.look == options.look - 1:
            report(model, tokenizer, 200)
            export(model, tokenizer, options.out)


class Trainer:
    """Takes steps: matrices in bfloat16, what is learned in float32.

    Each thread computes the gradient of a batch of its own, on one core: cores that share one
    operation wait for each other, which on a busy machine is most of the time.
    """

    def __init__(self, model: Mini, threads: int) -> None:
        self.model = model
        self.fast = copy.deepcopy(model).bfloat16()
        self.pool = ThreadPoolExecutor(threads)
        named = list(model.named_parameters())
        hidden = [p for name, p in named if p.dim() == 2 and "embd" not in name]
        others = [p for name, p in named if p.dim() != 2 or "embd" in name]
        self.optimizers = (
            torch.optim.Muon(hidden, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0),
        )

    def step(self, group: Sequence[tuple[Tensor, Tensor]], rate: float) -> float:
        """One step on the batches of a group; returns their mean loss."""
        said = sum(int(marks[:, 1:].sum()) for _, marks in group)
        found = list(self.pool.map(lambda batch: self.gradient(batch, said), group))
        for parameter, *parts in zip(
            self.model.parameters(), *(grads for _, grads in found), strict=True
        ):
            parameter.grad = sum((part.float() for part in parts), torch.zeros(()))
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
        with torch.no_grad():
            pairs = zip(self.fast.parameters(), self.model.parameters(), strict=True)
            for fast, parameter in pairs:
                fast.copy_(parameter)
        return sum(loss for loss, _ in found)

    def gradient(
        self, batch: tuple[Tensor, Tensor], count: int
    ) -> tuple[float, tuple[Tensor, ...]]:
        """The loss of a batch over ``count`` tokens in all, and its gradient."""
        tokens, said = batch
        states = self.fast(tokens[:, :-1], said[:, 1:])
        logits = self.fast.logits(states).float()
        loss = F.cross_entropy(logits, tokens[:, 1:][said[:, 1:]], reduction="sum") / count
        return loss.item(), torch.autograd.grad(loss, list(self.fast.parameters()))


@torch.no_grad()
def answers(
    model: Mini, tokenizer: tokenizers.Tokenizer, prompts: Sequence[Sequence[int]], limit: int = 40
) -> list[str]:
    """Greedy answers, computed in batches of equal length."""
    found = [""] * len(prompts)
    lengths = sorted({len(prompt) for prompt in prompts})
    for length in lengths:
        rows = [i for i, prompt in enumerate(prompts) if len(prompt) == length]
        tokens = torch.tensor([list(prompts[i]) for i in rows])
        for _ in range(limit):
            wanted = torch.zeros(tokens.shape, dtype=torch.bool)
            wanted[:, -1] = True
            best = model.logits(model(tokens, wanted)).argmax(-1, keepdim=True)
            tokens = torch.cat((tokens, best), 1)
            if (tokens[:, length:] == END).any(1).all():
                break
        for i, row in zip(rows, tokens[:, length:].tolist(), strict=True):
            found[i] = tokenizer.decode(row[: row.index(END)] if END in row else row)
    return found


def prompt(tokenizer: tokenizers.Tokenizer, messages: Sequence[tuple[str, str]]) -> list[int]:
    """The tokens of a conversation up to where the model is to answer."""
    roles = {"user": USER, "assistant": ASSISTANT, "system": SYSTEM}
    tokens: list[int] = []
    for role, text in messages:
        text = text.strip() if role == "assistant" else text.strip().lower()
        tokens += [roles[role], *tokenizer.encode(text, add_special_tokens=False).ids, END]
    return [*tokens, ASSISTANT]


def report(model: Mini, tokenizer: tokenizers.Tokenizer, count: int) -> dict[str, float]:
    """The share of exact answers to the trial questions, by set; prints some that fail."""
    sets = {
        "new": trial.questions(count),
        "known": [(turn.question, turn.answer) for turn in corpus.combinations(99, count)],
        "outside": [(question, facts.UNKNOWN) for question in trial.outside()],
    }
    scores = {}
    for name, questions in sets.items():
        prompts = [prompt(tokenizer, [("user", question)]) for question, _ in questions]
        given = answers(model, tokenizer, prompts)
        wrong = [
            (question, text)
            for (question, answer), text in zip(questions, given, strict=True)
            if text != answer
        ]
        scores[name] = 1 - len(wrong) / len(questions)
        print(f"{name}: {scores[name]:.4f}", *wrong[:25], sep="\n    ", flush=True)
    return scores


def export(model: Mini, tokenizer: tokenizers.Tokenizer, path: Path) -> None:
    """Write the GGUF, its matrices in Q8_0."""
    shape = model.shape
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("model")
    writer.add_name("llmrr mini")
    writer.add_basename("llmrr-mini")
    writer.add_description("Answers simple questions; trained by llmrr/builtin/recipe.py.")
    writer.add_license("mit")
    writer.add_languages(["en"])
    writer.add_float32("general.sampling.temp", 0.0)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads_kv)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    _add_tokenizer(writer, tokenizer)
    for name, tensor in model.state_dict().items():
        data = tensor.detach().float().numpy()
        if data.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, data.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def restore(model: Mini, path: Path) -> None:
    """Take the weights of a GGUF that ``export`` wrote."""
    tensors = {
        tensor.name: torch.tensor(gguf.quants.dequantize(tensor.data, tensor.tensor_type))
        for tensor in gguf.GGUFReader(path).tensors
    }
    model.load_state_dict(tensors)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: tokenizers.Tokenizer) -> None:
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([text for text, _ in vocabulary])
    writer.add_token_types(
        [gguf.TokenType.CONTROL if i < len(SPECIAL) else gguf.TokenType.NORMAL for _, i in vocabulary]
    )
    writer.add_token_merges(_merges(tokenizer))
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_eot_token_id(END)
    writer.add_pad_token_id(BEGIN)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _merges(tokenizer: tokenizers.Tokenizer) -> list[str]:
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]


def main() -> None:
    """Make the model."""
    parser = argparse.ArgumentParser(description="Train the built-in model and write its GGUF.")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("mini.gguf"))
    parser.add_argument("--minutes", type=float, default=60.0, help="at most this long for each stage")
    parser.add_argument("--start", type=Path, help="a GGUF of this recipe: take the last stage only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=2048, help="tokens in a batch of a thread")
    parser.add_argument("--look", type=int, default=0, help="evaluate after so many steps")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    shape = Shape()
    tokenizer = train_tokenizer(shape.vocabulary, options.seed)
    model = Mini(shape)
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    if options.start:
        restore(model, options.start)
    for stage in corpus.STAGES[-1:] if options.start else corpus.STAGES:
        train(model, tokenizer, stage, options)
        report(model, tokenizer, 400)
    export(model, tokenizer, options.out)
    print(f"{options.out}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
