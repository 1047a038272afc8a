"""llama.cpp's ``convert_hf_to_gguf.py`` in a process of its own, for comparisons: its gguf package
and its warnings stay there. As a script it reads jobs from standard input, one JSON per line.

The vocabulary is a plain one of this file's own, as the models are random: ``set_vocab`` of the
script is overridden. ``LLMRR_LLAMA_CPP_SOURCE`` names the folder of llama.cpp's source.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# What the script asks for by names that configurations of today do not have.
OLDER = {
    "gpt2": {"n_ctx": 512},
    "gpt_neox": {"rotary_pct": 0.25},
    "nomic_bert": {
        "max_trained_positions": 2048, "n_positions": 2048, "causal": False, "prenorm": False,
        "activation_function": "swiglu", "qkv_proj_bias": False, "mlp_fc1_bias": False,
        "mlp_fc2_bias": False, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
    },
}  # fmt: skip


class Vendor:
    """The running worker."""

    def __init__(self, source: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, str(source)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def convert(self, folder: Path, target: Path, kind: str = "f32") -> Path:
        """Convert a model's folder; returns ``target``."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([str(folder), str(target), kind]) + "\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline().strip()
        assert said == "done", said or "the converter ended"
        return target

    def close(self) -> None:
        """End it."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def source() -> Path | None:
    """Where llama.cpp's source lies, if that is known."""
    stated = os.environ.get("LLMRR_LLAMA_CPP_SOURCE")
    return Path(stated) if stated and Path(stated, "convert_hf_to_gguf.py").is_file() else None


def _plain_vocabulary(model: Any) -> None:
    """Bytes, and tokens of no meaning up to the size of the table."""
    from builders import byte_tokenizer

    size = model.hparams["vocab_size"]
    tokens = byte_tokenizer(size)
    writer = model.gguf_writer
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens["tokenizer.ggml.tokens"])
    writer.add_token_types(tokens["tokenizer.ggml.token_type"].value)
    writer.add_token_merges(tokens["tokenizer.ggml.merges"])
    if "type_vocab_size" in model.hparams:
        writer.add_token_type_count(model.hparams["type_vocab_size"])


def _plain_tokenizer(folder: Path, size: int) -> None:
    """What the script looks into for some architectures."""
    vocabulary = {f"t{number}": number for number in range(size)}
    stated = {"model": {"type": "WordPiece", "vocab": vocabulary}, "added_tokens": []}
    (folder / "tokenizer.json").write_text(json.dumps(stated))


def _work(folder: str, target: str, kind: str) -> None:
    import convert_hf_to_gguf as script
    import torch

    types = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0"}
    with torch.inference_mode():
        hparams = script.ModelBase.load_hparams(Path(folder), False)
        _plain_tokenizer(Path(folder), hparams["vocab_size"])
        name = script.get_model_architecture(hparams, script.ModelType.TEXT)
        made = script.get_model_class(name)
        made.set_vocab = _plain_vocabulary
        if hparams.get("multi_query") and not hparams.get("new_decoder_architecture"):
            hparams["num_kv_heads"] = 1  # it takes the number as it stands
        hparams |= OLDER.get(hparams["model_type"], {})
        type_ = getattr(script.gguf.LlamaFileType, types[kind])
        made(Path(folder), type_, Path(target), hparams=hparams).write()


def _serve(llama_cpp: str) -> None:
    sys.path[:0] = [llama_cpp, f"{llama_cpp}/gguf-py"]
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        try:
            _work(*json.loads(line))
            said = "done"
        except Exception as exc:
            said = f"{type(exc).__name__}: {exc}".replace("\n", " ")
        answers.write(said + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
