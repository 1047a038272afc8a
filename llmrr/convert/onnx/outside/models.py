"""A model of transformers from a folder in which only data lies: config.json, safetensors and the
tokenizer. Nothing is looked up elsewhere, and no code or pickle of the folder is ever loaded."""

import json
from pathlib import Path
from typing import Any

from .refusal import Refused

LOCAL = {"local_files_only": True, "trust_remote_code": False}


def load(folder: str, task: str, dtype: str = "float32") -> Any:
    """The model for ``task``, with every weight from the files.

    Raises ``Refused`` for weights that are missing, or no numbers.
    """
    import torch
    import transformers
    from optimum.exporters.tasks import TasksManager

    transformers.utils.logging.set_verbosity_error()
    config = _config(folder)
    plain = task.removesuffix("-with-past")
    loader = TasksManager.get_model_class_for_task(plain, model_type=config.model_type)
    # In half precision the fused attention is written as one in single precision, with its weights.
    attention = {"attn_implementation": "eager"} if dtype == "float16" else {}
    try:
        model, told = loader.from_pretrained(
            folder, config=config, dtype=getattr(torch, dtype), use_safetensors=True,
            output_loading_info=True, **attention, **LOCAL,
        )  # fmt: skip
    except (KeyError, RuntimeError, ValueError) as exc:
        if "size mismatch" in str(exc) or "ignore_mismatched_sizes" in str(exc):
            raise Refused("damaged", _misshapen(folder, loader, config)) from exc
        raise
    missing = sorted(key for key in told["missing_keys"] if not _is_spare(key, plain))
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if missing[3:] else "")
        raise Refused("damaged", f"the weights lack {shown}, which {type(model).__name__} needs")
    for name, one in model.named_parameters():
        if not torch.isfinite(one).all():
            if dtype == "float16":
                raise Refused("unsupported", f"{name} has numbers that fp16 cannot hold")
            raise Refused("damaged", f"{name} has numbers that are none, or infinite")
    TasksManager.standardize_model_attributes(model, library_name="transformers")
    model.config.use_cache = task.endswith("-with-past")
    if config.model_type == "falcon" and config.new_decoder_architecture:
        # It caches keys and values for every head, where optimum expects those that are stored.
        model.config.num_kv_heads = config.num_attention_heads
    return model.eval()


def tokenizer(folder: str) -> Any:
    """The tokenizer as the source means it: its own tokenizer.json, else what transformers makes of
    the vocabulary, in Python; None where there is none."""
    from transformers import AutoTokenizer

    if (Path(folder) / "tokenizer.json").is_file():
        return fast(folder)
    try:
        return AutoTokenizer.from_pretrained(folder, use_fast=False, **LOCAL)
    except (OSError, ValueError, ImportError, TypeError, KeyError, AttributeError):
        return None


def fast(folder: str) -> Any:
    """tokenizer.json alone, as llmrr reads it; None where there is none."""
    from tokenizers import Tokenizer

    place = Path(folder) / "tokenizer.json"
    if not place.is_file():
        return None
    found = Tokenizer.from_file(str(place))
    found.no_truncation()
    found.no_padding()
    return found


def write_tokenizer(folder: str, target: str) -> bool:
    """Write the tokenizer.json that ``folder`` lacks; False where none can be made."""
    from transformers import AutoTokenizer

    try:
        made = AutoTokenizer.from_pretrained(folder, use_fast=True, **LOCAL)
    except (OSError, ValueError, ImportError, TypeError, KeyError, AttributeError):
        return False
    if not made.is_fast:
        return False
    made.backend_tokenizer.save(str(Path(target) / "tokenizer.json"))
    return True


def ids(tokenizer: Any, text: str) -> list[int]:
    """The token ids of ``text``, with the special ones around it."""
    encoded = tokenizer.encode(text)
    return list(encoded if isinstance(encoded, list) else encoded.ids)


def _config(folder: str) -> Any:
    from transformers import AutoConfig

    kept = json.loads((Path(folder) / "config.json").read_bytes())
    if "auto_map" in kept:
        raise Refused("failed", "config.json was to be given without auto_map")
    return AutoConfig.from_pretrained(folder, **LOCAL)


def _misshapen(folder: str, loader: Any, config: Any) -> str:
    """Which weight has another shape than ``config`` gives it; transformers says that of a layer
    without its name."""
    import torch
    from safetensors import safe_open

    with torch.device("meta"):
        named = loader.from_config(config).named_parameters()
        wanted = {name: list(one.shape) for name, one in named}
    for path in sorted(Path(folder).glob("*.safetensors")):
        with safe_open(str(path), "pt") as file:
            for key in file.keys():  # noqa: SIM118  it is no mapping
                shape = file.get_slice(key).get_shape()
                for name, other in wanted.items():
                    if _is_same(name, key) and list(shape) != other:
                        return f"{key} has the shape {shape}, and config.json makes it {other}"
    return "a weight has another shape than config.json says"


def _is_same(name: str, key: str) -> bool:
    """Whether two names are one, where the prefix of the inner model may be left out."""
    return name == key or name.endswith(f".{key}") or key.endswith(f".{name}")


def _is_spare(key: str, task: str) -> bool:
    """A pooler is made anew where an encoder was trained without; no vector comes from it."""
    return task == "feature-extraction" and "pooler." in key
