"""Which models and tasks this version of optimum-onnx exports: what ``supported.json`` holds, for
the versions that ``requirements.txt`` pins. Only what takes text and is part of transformers."""

from collections.abc import Callable
from typing import Any

TASKS = (
    "text-generation", "text2text-generation", "fill-mask", "text-classification",
    "token-classification", "question-answering", "multiple-choice",
)  # fmt: skip
ALSO = ("feature-extraction",)


def supported(say: Callable[[str, int, int], None] | None = None) -> dict[str, list[str]]:
    """Model types with their tasks, as optimum registers them."""
    import transformers
    from optimum.exporters.onnx import model_configs
    from optimum.exporters.onnx.config import (
        TextDecoderOnnxConfig,
        TextEncoderOnnxConfig,
        TextSeq2SeqOnnxConfig,
    )
    from optimum.exporters.tasks import TasksManager
    from packaging.version import Version
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    assert model_configs
    texts = (TextDecoderOnnxConfig, TextEncoderOnnxConfig, TextSeq2SeqOnnxConfig)
    version = Version(transformers.__version__)

    def fits(config: Any) -> bool:
        return version >= Version(str(config.MIN_TRANSFORMERS_VERSION)) and issubclass(
            config, texts
        )

    found: dict[str, list[str]] = {}
    for model, exporters in TasksManager._SUPPORTED_MODEL_TYPE.items():
        tasks = {task: made.func for task, made in exporters.get("onnx", {}).items()}
        kept = [
            task for task, config in tasks.items()
            if task.removesuffix("-with-past") in TASKS + ALSO and fits(config)
        ]  # fmt: skip
        if model in CONFIG_MAPPING_NAMES and any(
            task.removesuffix("-with-past") in TASKS for task in kept
        ):
            found[model] = sorted(kept)
    return dict(sorted(found.items()))
