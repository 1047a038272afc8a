"""Files that look as if they were about language models and are not: told apart by their shape."""

import re
from typing import Any, Final

# Each is a set of keys that stand together at the top of such a file.
_SHAPES: Final = tuple(frozenset(one.split()) for one in (
    "apiVersion kind", "channels dependencies", "openapi paths", "swagger paths", "openapi info",
    "compilerOptions", "jobs on", "jobs True", "name dependencies version", "name scripts",
    "devDependencies", "lockfileVersion", "nbformat cells", "$schema definitions",
    "$schema properties", "tokenizer_class", "added_tokens_decoder", "add_bos_token",
    "architectures", "model_type vocab_size", "transformers_version", "learning_rate",
    "num_train_epochs", "per_device_train_batch_size", "micro_batch_size", "base_model datasets",
    "stage finetuning_type", "model-index", "id object created", "choices usage", "object data",
    "role content", "extends rules", "env rules", "extends plugins", "plugins presets", "repos",
    "stages script", "version updates", "include exclude files", "site_name nav",
    "resource_class jobs", "lc type id", "resourceType", "FORMAT VERSION", "quantization_config",
    "sd_model_checkpoint", "last_node_id nodes links", "weight_map", "split_special_tokens",
    "bos_token eos_token", "trainer optimizer", "optim dataset", "lr_scheduler_type", "max_steps",
    "lora_r", "dataset_path", "prompt completion", "instruction output", "swarm",
    "terraform_version", "AWSTemplateFormatVersion", "version volumes services", "services",
    "sources layers", "asar", "litellm_provider mode", "input_cost_per_token", "build-system",
    "tool project",
))  # fmt: skip

_FILE: Final = re.compile(
    r"[^\s:]{1,200}\.(?:jsonc?|ya?ml|toml|ini|py|[mc]?[jt]sx?|ipynb|env|md|txt|conf|cfg|xml|db)"
)


def is_foreign(shape: Any) -> bool:
    """Whether a parsed file is of another kind, whatever words are in it.

    >>> is_foreign({"apiVersion": "v1", "kind": "Deployment"}), is_foreign({"model": "gpt-4o"})
    (True, False)
    """
    if not isinstance(shape, dict):
        return False
    keys = {str(key) for key in shape}
    return any(one <= keys for one in _SHAPES)


def is_about_files(shape: Any) -> bool:
    """Whether it is a table by names of files: what is said of each is quoted, not set.

    >>> is_about_files({"a/b.json": {"models": []}, "c.yaml": {}}), is_about_files({"gpt-4.1": {}})
    (True, False)
    """
    if not isinstance(shape, dict) or len(shape) < 2:
        return False
    named = sum(bool(_FILE.fullmatch(str(key))) for key in shape)
    return named * 2 > len(shape)


def is_manifest(shape: Any) -> bool:
    """Whether it is a table of many models' prices or abilities, which nobody uses all.

    >>> is_manifest({str(at): {"mode": "chat"} for at in range(101)})
    True
    """
    entries = list(shape.values()) if isinstance(shape, dict) else shape
    if not isinstance(entries, list) or len(entries) <= 100:
        return False
    return sum(isinstance(one, dict) for one in entries) > 100
