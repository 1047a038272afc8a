"""One process with torch, transformers and optimum for many jobs, for tests of the export: those
that the converter would start a process for, and models with what transformers computes of them.

As a script it reads jobs from standard input, one JSON per line, and answers as ``outside/main.py``
of the converter does.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llmrr.convert.onnx import process


class Worker:
    """The running process. ``before`` is called ahead of each job of the converter, with its name
    and what it is given."""

    def __init__(self) -> None:
        self.before: Callable[[str, dict[str, Any]], None] | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, python: Path, job: str, told: Any, *, isolated: bool = True, **given: Any) -> Any:
        """In place of ``process.run``."""
        if self.before is not None:
            self.before(job, given)
        return self.do(job, told, **given)

    def do(self, job: str, told: Any = None, **given: Any) -> Any:
        """Have a job done; raises what ``process.run`` does."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"job": job, **given}) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            said = json.loads(line)
            if "result" in said:
                return said["result"]
            if "error" in said:
                raise process.KINDS[said["error"]](said["message"])
            if told is not None:
                told(said["at"], said["done"], said["total"])
        raise AssertionError("the worker ended")

    def close(self) -> None:
        """End it."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


# -- in the process ------------------------------------------------------------------------------


def make(
    say: Any, folder: str, kind: str, values: dict[str, Any], model_class: str = "",
    dtype: str = "float32", shards: int = 1, pickled: str = "", tokenizer: str = "",
) -> None:  # fmt: skip
    """A random model of a configuration; in several files, or as a pickle of its state dict too.
    Its tokenizer is a tokenizer.json, or the tokenizer.model of the class ``tokenizer``."""
    import torch
    from checkpoints import bpe_tokenizer, checkpoint
    from transformers import AutoConfig, AutoModelForCausalLM

    place = Path(folder)
    place.mkdir(parents=True)
    config = AutoConfig.for_model(kind, **values)
    checkpoint(place, config, kind=dtype, model_class=model_class)
    for name in ("tokenizer.model", "tokenizer.json"):
        (place / name).unlink(missing_ok=True)
    if tokenizer:
        _sentencepiece(place, config.vocab_size, tokenizer)
    else:
        bpe_tokenizer(place, config.vocab_size)
    if shards > 1:
        size = (place / "model.safetensors").stat().st_size
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        (place / "model.safetensors").unlink()
        model.save_pretrained(folder, max_shard_size=size // shards)
    if pickled:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        torch.save(model.state_dict(), pickled)


def _sentencepiece(place: Path, size: int, kind: str) -> None:
    """BPE as Llama has it: white space as it stands, bytes for what is not known."""
    import io

    import sentencepiece
    from checkpoints import TEXT

    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([TEXT.strip()] * 20), model_writer=made, vocab_size=size,
        model_type="bpe", byte_fallback=True, character_coverage=1.0, hard_vocab_limit=False,
        normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
        allow_whitespace_only_pieces=True, minloglevel=2,
    )  # fmt: skip
    (place / "tokenizer.model").write_bytes(made.getvalue())
    told = {"tokenizer_class": kind, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (place / "tokenizer_config.json").write_text(json.dumps(told))


def spoil(say: Any, graph: str) -> None:
    """Change a weight of a graph."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(graph)
    one = max(
        (one for one in model.graph.initializer if one.data_type == 1),
        key=lambda one: len(one.raw_data),
    )
    numbers = numpy_helper.to_array(one) * 1.5
    one.CopyFrom(numpy_helper.from_array(numbers, one.name))
    onnx.save(model, graph)


def logits(say: Any, folder: str, ids: Sequence[int]) -> list[list[float]]:
    """What transformers computes in single precision, after each token."""
    from checkpoints import logits as computed

    found: list[list[float]] = computed(Path(folder), ids).tolist()
    return found


def greedy(say: Any, folder: str, ids: Sequence[int], count: int) -> list[int]:
    """The tokens that transformers' ``generate`` goes on with; none of them ends the text."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    made = model.generate(
        torch.tensor([list(ids)]), do_sample=False, max_new_tokens=count, min_new_tokens=count,
        pad_token_id=0,
    )  # fmt: skip
    found: list[int] = made[0, len(ids) :].tolist()
    return found


def vectors(say: Any, folder: str, texts: Sequence[Sequence[int]]) -> list[list[float]]:
    """The means of what an encoder gives for each text, of length 1."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    found = []
    with torch.no_grad():
        for ids in texts:
            mean = model(input_ids=torch.tensor([list(ids)])).last_hidden_state[0].mean(0)
            found.append((mean / mean.norm()).tolist())
    return found


OWN = {one.__name__: one for one in (make, spoil, logits, greedy, vectors)}


def _serve() -> None:
    from llmrr.convert.onnx.outside import main as outside
    from llmrr.convert.onnx.outside.refusal import Refused, translated

    answers, sys.stdout = sys.stdout, sys.stderr

    def send(**said: Any) -> None:
        answers.write(json.dumps(said) + "\n")
        answers.flush()

    def say(what: str, done: int, total: int) -> None:
        send(at=what, done=done, total=total)

    for line in sys.stdin:
        job = json.loads(line)
        name = job.pop("job")
        try:
            send(result=(OWN.get(name) or outside._job(name))(say, **job))
        except Refused as refused:
            send(error=refused.kind, message=refused.message)
        except Exception as error:
            kind, message = translated(error)
            send(error=kind, message=message)


if __name__ == "__main__":
    _serve()
