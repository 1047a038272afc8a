"""What comes out of the source (in PyTorch, single precision) and of the graphs, for the same
tokens: in one step, and in two with the past of the first."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from . import models
from .session import PRESENT, Graph

Say = Callable[[str, int, int], None]
Arrays = dict[str, Any]
PROMPTS, LENGTH, SHORTEST = 8, 48, 4


def compare(say: Say, source: str, target: Path, task: str, texts: Sequence[str]) -> dict[str, Any]:
    """Figures over all prompts; those that say nothing for this task are None.

    ``largest`` difference, ``scale`` (the largest number of the source), ``finite``; ``steps``, the
    largest difference between one step and two; of probabilities ``positions``, ``same`` (where
    both have the same likeliest one), ``ties`` (where the source's first two are as close as the
    difference), ``kl_mean``, ``kl_max``, ``kl_other`` (between the source at a position and either
    the source at the next one or no preference at all: what a result that has nothing to do with it
    would have); of texts ``perplexity`` and ``was``; ``cosine``, the smallest between vectors.
    """
    import torch

    model = models.load(source, task)
    found = _Figures(is_text=task.startswith("text-generation"))
    runner = _Pair(target) if task.startswith("text2text") else _Single(target)
    prompts = list(_prompts(source, model.config, texts))
    for at, prompt in enumerate(prompts):
        say("comparing what comes out", at, len(prompts))
        with torch.no_grad():
            wanted = runner.reference(model, prompt)
        whole, halves = runner.result(model.config, prompt)
        for name, got in whole.items():
            if name in wanted:
                found.add(name, wanted[name], got, prompt)
                if halves is not None and name in halves:
                    found.steps(got, halves[name])
    return found.told()


def _prompts(source: str, config: Any, texts: Sequence[str]) -> Iterator[list[int]]:
    """Token ids of texts, as far as the model has them; random ones where it has no tokenizer."""
    text = config.get_text_config()
    known = int(text.vocab_size)
    length = min(LENGTH, int(getattr(text, "max_position_embeddings", None) or LENGTH) - 4)
    tokenizer = models.tokenizer(source)
    count = 0
    for one in texts if tokenizer else ():
        ids = models.ids(tokenizer, one)[:length]
        if len(ids) >= SHORTEST and max(ids) < known and count < PROMPTS:
            count += 1
            yield ids
    for seed in range(count, PROMPTS):
        random = Random(seed)
        yield [random.randrange(3, known) for _ in range(length)]


class _Single:
    """A model that is one graph."""

    def __init__(self, target: Path) -> None:
        self.graph = Graph(target / "model.onnx")

    def reference(self, model: Any, prompt: list[int]) -> dict[str, Any]:
        import torch

        ids = torch.tensor([prompt])
        if len(self.graph.inputs["input_ids"].shape) == 3:
            ids = ids[:, None, :].repeat(1, 2, 1)
        return _arrays(model(input_ids=ids, attention_mask=torch.ones_like(ids), return_dict=True))

    def result(self, config: Any, prompt: list[int]) -> tuple[Arrays, Arrays | None]:
        import numpy

        ids = numpy.array([prompt])
        whole = self.graph.run(ids, {})
        if not self.graph.has_past:
            return whole, None
        half = len(prompt) // 2
        first = self.graph.run(ids[:, :half], {})
        return whole, _joined(first, self.graph.run(ids[:, half:], {}, _past(first)))


class _Pair:
    """An encoder and a decoder."""

    def __init__(self, target: Path) -> None:
        self.encoder = Graph(target / "encoder_model.onnx")
        names = ("decoder_model_merged.onnx", "decoder_model.onnx")
        self.decoder = Graph(next(target / name for name in names if (target / name).is_file()))

    def reference(self, model: Any, prompt: list[int]) -> dict[str, Any]:
        import torch

        ids = torch.tensor([prompt])
        answer = torch.tensor([_answer(model.config, prompt)])
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        return _arrays(model(**given, decoder_input_ids=answer, return_dict=True))

    def result(self, config: Any, prompt: list[int]) -> tuple[Arrays, Arrays | None]:
        import numpy

        ids = numpy.array([prompt])
        answer = numpy.array([_answer(config, prompt)])
        encoded = self.encoder.run(ids, {})["last_hidden_state"]
        given = {
            "encoder_hidden_states": encoded, "encoder_attention_mask": numpy.ones_like(ids),
        }  # fmt: skip
        whole = self.decoder.run(answer, given)
        if not self.decoder.has_past:
            return whole, None
        # The branch with a past was traced for one token at a time.
        first = self.decoder.run(answer[:, :-1], given)
        return whole, _joined(first, self.decoder.run(answer[:, -1:], given, _past(first)))


def _answer(config: Any, prompt: list[int]) -> list[int]:
    start = next(
        (one for key in ("decoder_start_token_id", "bos_token_id", "pad_token_id")
         if (one := getattr(config, key, None)) is not None), 0,
    )  # fmt: skip
    return [int(start), *prompt[: len(prompt) // 2]]


def _past(found: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in found.items() if name.startswith(PRESENT) or name == "seen"}


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """What two steps gave, token after token."""
    import numpy

    names = [name for name, one in first.items() if not name.startswith(PRESENT) and name != "seen"
             and one.ndim == 3]  # fmt: skip
    return {name: numpy.concatenate([first[name], second[name]], axis=1) for name in names}


def _arrays(outputs: Any) -> dict[str, Any]:
    import torch

    return {name: one.float().numpy() for name, one in outputs.items() if torch.is_tensor(one)}


class _Figures:
    """Sums over prompts."""

    def __init__(self, *, is_text: bool) -> None:
        self.is_text = is_text
        self.largest = self.scale = self.step = 0.0
        self.finite, self.has_steps = True, False
        self.same = self.ties = 0
        self.kl: list[float] = []
        self.others: list[list[float]] = []
        self.cosine: list[float] = []
        self.losses: list[tuple[float, float]] = []

    def add(self, name: str, wanted: Any, got: Any, prompt: list[int]) -> None:
        import numpy

        got = got.astype("float32")
        if got.shape != wanted.shape or not numpy.isfinite(got).all():
            self.finite = False
            return
        apart = float(abs(wanted - got).max())
        self.largest = max(self.largest, apart)
        self.scale = max(self.scale, float(abs(wanted).max()))
        wide, narrow = wanted.reshape(-1, wanted.shape[-1]), got.reshape(-1, got.shape[-1])
        if name == "logits" and wanted.shape[-1] > 1:
            self._probabilities(wide, narrow, apart, prompt)
        else:
            products = (wide * narrow).sum(-1)
            lengths = numpy.linalg.norm(wide, axis=-1) * numpy.linalg.norm(narrow, axis=-1)
            self.cosine += (products / numpy.maximum(lengths, 1e-12)).tolist()

    def _probabilities(self, wide: Any, narrow: Any, apart: float, prompt: list[int]) -> None:
        import numpy

        left, right = _log_softmax(wide), _log_softmax(narrow)
        self.kl += _divergence(left, right)
        others = numpy.roll(left, 1, axis=0), numpy.full_like(left, -math.log(left.shape[-1]))
        self.others.append([_mean(_divergence(left, one)) for one in others])
        equal = left.argmax(-1) == right.argmax(-1)
        first_two = numpy.sort(wide, axis=-1)[:, -2:]
        close = (first_two[:, 1] - first_two[:, 0]) <= 2 * apart
        self.same += int(equal.sum())
        self.ties += int((close & ~equal).sum())
        if self.is_text:
            at = numpy.arange(len(prompt) - 1)
            nexts = numpy.array(prompt[1:])
            self.losses += zip(
                (-left[at, nexts]).tolist(), (-right[at, nexts]).tolist(), strict=True
            )

    def steps(self, whole: Any, halves: Any) -> None:
        self.has_steps = True
        apart = abs(whole.astype("float32") - halves.astype("float32")).max()
        self.step = max(self.step, float(apart) if math.isfinite(apart) else math.inf)

    def told(self) -> dict[str, Any]:
        was, now = (
            math.exp(_mean([one[at] for one in self.losses])) if self.losses else None
            for at in (0, 1)
        )
        return {
            "largest": self.largest, "scale": self.scale, "finite": self.finite,
            "steps": self.step if self.has_steps else None,
            "positions": len(self.kl) or None, "same": self.same, "ties": self.ties,
            "kl_mean": _mean(self.kl) if self.kl else None, "kl_max": max(self.kl, default=None),
            "kl_other": max(map(_mean, zip(*self.others, strict=True)), default=None),
            "was": was, "perplexity": now,
            "cosine": min(self.cosine, default=None), "compared": len(self.kl) + len(self.cosine),
        }  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _divergence(left: Any, right: Any) -> list[float]:
    """Of Kullback and Leibler, in nats, row by row."""
    import numpy

    found: list[float] = (numpy.exp(left) * (left - right)).sum(-1).tolist()
    return found


def _log_softmax(values: Any) -> Any:
    import numpy

    shifted = values.astype("float64") - values.max(axis=-1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=-1, keepdims=True))
