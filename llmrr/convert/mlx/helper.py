"""The helper process of the MLX converter: see ``process``.

``mlx_lm.convert`` does the work. It is given a tokenizer that copies its files: the one that it
would load (transformers) may rewrite them, and runs code of the folder for some models.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from llmrr.convert.mlx import library
from llmrr.engines.mlx.complaints import said, translated
from llmrr.errors import Unsupported

Say = Callable[[Any], None]
EVERY: Final = 0.2  # seconds between two looks at how much is written


class Copied:
    """In place of a tokenizer: what ``mlx_lm.convert`` wants of it is that it is saved."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder, self._scratch = folder, scratch

    def save_pretrained(self, target: str | Path) -> None:
        """Copy its files; one that has no tokenizer.json gets one by transformers."""
        from llmrr.convert.mlx.staging import copy_tokenizer

        if not (self._folder / "tokenizer.json").is_file():
            self._make(Path(target))
        copy_tokenizer(self._folder, Path(target))

    def _make(self, target: Path) -> None:
        from transformers import AutoTokenizer

        from llmrr.convert.mlx.staging import copy_tokenizer

        copy_tokenizer(self._folder, self._scratch)  # without code beside it
        try:
            found = AutoTokenizer.from_pretrained(
                str(self._scratch), trust_remote_code=False, local_files_only=True
            )
        except Exception as error:  # whatever transformers or sentencepiece raise
            raise Unsupported(
                f"{self._folder} has no tokenizer.json, and transformers makes none of what it "
                f"has: {said(error)}",
                "put a tokenizer.json beside the weights",
            ) from error
        found.save_pretrained(target)


def convert(task: Mapping[str, Any], say: Say) -> None:
    """Write the MLX folder."""
    import mlx.core as mx

    utils, converter = library.module("utils"), library.module("convert")
    tokenizer = Copied(Path(task["settings"]), Path(task["scratch"]) / "tokenizer")

    def load(place: str | Path, **_: Any) -> tuple[Any, Copied, dict[str, Any]]:
        model, config = utils.load_model(Path(place), lazy=True)
        return model, tokenizer, config

    converter.load = load
    mx.save_safetensors = _marked(mx.save_safetensors, task["metadata"])
    target = Path(task["target"])
    arguments = {key: value for key, value in task["arguments"].items() if value is not None}
    with _watched(target, task["bytes"], say):
        converter.convert(task["staged"], mlx_path=target, **arguments)


def _marked(save: Callable[..., None], more: Mapping[str, str]) -> Callable[..., None]:
    """``mx.save_safetensors`` with more in the header's metadata."""

    def marked(
        file: Any, arrays: Any, metadata: Mapping[str, str] | None = None, **rest: Any
    ) -> None:
        save(file, arrays, metadata={**(metadata or {}), **more}, **rest)

    return marked


@contextmanager
def _watched(target: Path, total: int, say: Say) -> Iterator[None]:
    """Say, now and then, how much is written: MLX calculates what it writes while it does."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(EVERY):
            files = target.glob("*.safetensors")
            size = sum(file.stat().st_size for file in files)
            say({"told": ["writing", min(size, total), total]})

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(130)


def _task(name: str) -> Callable[[Mapping[str, Any], Say], Any]:
    if name == "convert":
        return convert
    if name == "compare":
        from llmrr.convert.mlx.compare import compare

        return compare
    from llmrr.convert.mlx.whole import logits

    return logits


def main() -> None:
    """Do the one task that stands on standard input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what mlx-lm prints is no answer
    lock = threading.Lock()

    def say(value: Any) -> None:
        with lock:
            answers.write(json.dumps(value) + "\n")
            answers.flush()

    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        result = _task(task["task"])(task, say)
    except Exception as error:
        if os.environ.get("LLMRR_DEBUG"):
            import traceback

            traceback.print_exc()
        known = translated(error)
        say({"error": [type(known).__name__, known.message, known.hint]})
        os._exit(1)
    say({"result": result})
    os._exit(0)  # MLX takes its time to free what the system frees at once


if __name__ == "__main__":
    main()
