"""What a GGUF file computes, in a helper process: llama.cpp may break on a file that a conversion
got wrong, and what it takes is given back when the process ends.

``python -m llmrr.engines.llamacpp.computing`` takes a ``Job`` as one line of JSON on its input, and
writes float32 to its output: the logits of each prompt one after the other, or one vector of each.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, TYPE_CHECKING

from llmrr.errors import DoesNotFit, EngineFailed, FeatureMissing, LlmrrError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODULE = "llmrr.engines.llamacpp.computing"
GRANULE = 256  # tokens to which llama.cpp pads the memory of a sequence


@dataclass(frozen=True, slots=True)
class Job:
    """Prompts as token ids for the model at ``path``. ``pooling`` where vectors are wanted, by its
    name, else logits over ``vocabulary`` tokens."""

    path: str
    prompts: tuple[tuple[int, ...], ...]
    threads: int
    vocabulary: int = 0
    pooling: str | None = None


class Computing:
    """The helper at work; ``result`` waits for it. It ends with the block that it is used in."""

    def __init__(self, job: Job) -> None:
        # -P and our own folder alone: the working directory must not be imported from.
        environment = {
            "OMP_WAIT_POLICY": "passive",  # threads that wait do not spin
            **os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "GGML_NO_BACKTRACE": "1",
        }  # fmt: skip
        self._job = job
        self._said: IO[bytes] = TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, json.dumps(asdict(job))],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._said,
        )  # fmt: skip

    def result(self) -> "NDArray[np.float32]":
        """What came out, shape (positions of all prompts, vocabulary) or (prompts, size).

        Raises ``EngineFailed`` where llama.cpp refuses the file or breaks on it, ``DoesNotFit``
        where memory runs out, ``FeatureMissing`` where there is no llama.cpp.
        """
        import numpy as np

        assert self._process.stdout
        raw = self._process.stdout.read()
        code = self._process.wait()
        if code != 0:
            raise self._failure(code)
        rows = len(self._job.prompts) if self._job.pooling else sum(map(len, self._job.prompts))
        return np.frombuffer(raw, np.float32).reshape(rows, -1)

    def _failure(self, code: int) -> LlmrrError:
        self._said.seek(0)
        said = self._said.read(1 << 16).decode(errors="replace").strip().splitlines()
        if code == FeatureMissing.exit_code and said[-3:-2] == [FeatureMissing.__name__]:
            return FeatureMissing(*said[-2:])
        if code == -9:
            return DoesNotFit("llama.cpp was ended, as the system does when memory runs out")
        reason = said[-2] if code > 0 and len(said) > 2 else " ".join(said[-1:])[:200]
        what = f"signal {-code}" if code < 0 else f"exit {code}"
        return EngineFailed(f"llama.cpp does not run it ({what}): {reason or 'no message'}")

    def __enter__(self) -> "Computing":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._process.kill()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()
        self._said.close()


def compute(job: Job) -> None:
    """Write what the model makes of the prompts. Its weights stay in main memory, keys and values
    are float32 without flash attention: only the weights are rounded."""
    from llmrr.engines.base import Options
    from llmrr.engines.llamacpp import vectors
    from llmrr.engines.llamacpp.context import Context, Shape
    from llmrr.engines.llamacpp.loading import open_model

    model = open_model(Path(job.path), Options(gpu_layers=0))
    longest = -(-max(map(len, job.prompts)) // GRANULE) * GRANULE
    shape = Shape(longest, 1, job.threads, False, "f32", all_logits=job.pooling is None)
    if job.pooling is not None:
        # llama.cpp spreads a batch evenly over its sequences, and aborts where that leaves a rest.
        slots = min(vectors.AT_ONCE, len(job.prompts))
        pooled = vectors.pooling(job.pooling)
        shape = Shape(longest, slots, job.threads, False, "f32", pooled=pooled)
        found = vectors.embed(Context(model.pointer, shape), job.prompts, lambda: False)
        _write(found)
        return
    for prompt in job.prompts:
        context = Context(model.pointer, shape)
        _write(vectors.logits(context, prompt, job.vocabulary, lambda: False))


def _write(numbers: "Sequence[Sequence[float]] | NDArray[np.float32]") -> None:
    import numpy as np

    sys.stdout.buffer.write(np.ascontiguousarray(numbers, np.float32).data)


def main() -> int:
    """Run the helper; the exit status is the error's."""
    values = json.loads(sys.argv[1])
    values["prompts"] = tuple(map(tuple, values["prompts"]))
    try:
        compute(Job(**values))
    except LlmrrError as error:
        sys.stderr.write(f"{error.type}\n{error.message}\n{error.hint}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # at once: freeing all that memory is the system's business
