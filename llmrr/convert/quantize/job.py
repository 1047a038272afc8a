"""What the helper process is told to do, and how that travels to it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

MARK = "llmrr.verified"  # in the result's metadata: was it checked against its source?


@dataclass(frozen=True, slots=True)
class Job:
    """One call of ``llama_model_quantize``.

    ``source`` is the first file of the model, ``target`` the file to be written, or with
    ``keep_split`` what the names of its parts begin with; None for a dry run. Types are ggml's
    numbers, ``type`` is llama.cpp's ftype. ``calibrate`` is a text to compute an importance matrix
    over, ``supposed_imatrix`` a dry run as if there were one.
    """

    source: str
    target: str | None
    type: int
    threads: int
    only_copy: bool = False
    pure: bool = False
    keep_split: bool = False
    allow_requantize: bool = False
    leave_output: bool = False
    output_tensor_type: int | None = None
    token_embedding_type: int | None = None
    overrides: tuple[tuple[str, int], ...] = ()
    prune: tuple[int, ...] = ()
    metadata: Mapping[str, bool | int | str] = field(default_factory=dict)
    imatrix: str | None = None
    calibrate: str | None = None
    save_imatrix: str | None = None
    supposed_imatrix: bool = False

    def line(self) -> bytes:
        """As one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> "Job":
        """What ``line`` wrote."""
        values = json.loads(line)
        overrides = tuple((pattern, number) for pattern, number in values.pop("overrides"))
        return cls(**values | {"overrides": overrides, "prune": tuple(values["prune"])})
