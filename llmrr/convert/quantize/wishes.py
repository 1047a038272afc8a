"""What somebody wants of a quantization, read from the options of a wish."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmrr.convert.base import Wish
from llmrr.convert.quantize.table import COPY, QuantType, find, tensor_number
from llmrr.convert.threads import usable_threads
from llmrr.errors import NotFound, UsageError

MAX_TEXT_BYTES = 64 << 20  # of a text for calibration: a few hundred chunks say all that there is


@dataclass(frozen=True, slots=True)
class Asked:
    """A wish, checked. Tensor types are ggml's numbers; paths are known to be readable files."""

    kind: QuantType
    verify: bool
    threads: int
    imatrix: Path | None = None
    calibrate: Path | None = None
    save_imatrix: Path | None = None
    overrides: tuple[tuple[str, int], ...] = ()
    output_tensor_type: int | None = None
    token_embedding_type: int | None = None
    prune: tuple[int, ...] = ()
    keep_split: bool = False
    pure: bool = False
    allow_requantize: bool = False
    leave_output: bool = False

    @property
    def only_copy(self) -> bool:
        """Tensors stay what they are."""
        return self.kind is COPY


def asked(wish: Wish) -> Asked:
    """Read and check ``wish``. Raises ``UsageError`` and ``NotFound``."""
    options = {name: value for name, value in wish.options.items() if value is not None}
    found = Asked(
        kind=find(wish.quant),
        verify=wish.verify,
        threads=_threads(options),
        imatrix=_file(options, "imatrix"),
        calibrate=_file(options, "calibrate"),
        save_imatrix=_path(options, "save_imatrix"),
        overrides=_overrides(options),
        output_tensor_type=_type(options, "output_tensor_type"),
        token_embedding_type=_type(options, "token_embedding_type"),
        prune=_layers(options),
        keep_split=bool(options.get("keep_split")),
        pure=bool(options.get("pure")),
        allow_requantize=bool(options.get("allow_requantize")),
        leave_output=bool(options.get("leave_output")),
    )
    _agrees(found)
    return found


def _agrees(found: Asked) -> None:
    if found.imatrix and found.calibrate:
        raise UsageError(
            "an importance matrix is either given or computed, and both were asked for",
            "leave out --imatrix or --calibrate",
        )
    if found.save_imatrix and not found.calibrate:
        raise UsageError(
            "only an importance matrix that is computed can be saved", "add --calibrate TEXT"
        )
    if found.leave_output and found.output_tensor_type is not None:
        raise UsageError(
            "the output matrix cannot both be left as it is and get a type",
            "leave out --leave-output or --output-tensor-type",
        )
    if found.calibrate:
        size = found.calibrate.stat().st_size
        if not 0 < size <= MAX_TEXT_BYTES:
            raise UsageError(
                f"{found.calibrate} has {size} bytes, and a text of 1 to {MAX_TEXT_BYTES} is needed"
                " to calibrate with",
                "give a text of a few hundred thousand words",
            )


def _threads(options: Mapping[str, Any]) -> int:
    threads = options.get("threads", 0)
    if not isinstance(threads, int) or threads < 0:
        raise UsageError(f"{threads!r} is no number of threads", "--threads 4")
    return threads or usable_threads()


def _path(options: Mapping[str, Any], name: str) -> Path | None:
    return Path(options[name]) if name in options else None


def _file(options: Mapping[str, Any], name: str) -> Path | None:
    path = _path(options, name)
    if path is None or path.is_file():
        return path.absolute() if path else None
    raise NotFound(f"{path}, given as --{name}, is not a file that is there", f"ls -l {path}")


def _type(options: Mapping[str, Any], name: str) -> int | None:
    if name not in options:
        return None
    return tensor_number(str(options[name]), f"--{name.replace('_', '-')}")


def _overrides(options: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Pairs of pattern and type, or texts of both with a ``=`` between."""
    given: Sequence[tuple[str, str] | str] = options.get("overrides", ())
    pairs = [_pair(one) if isinstance(one, str) else one for one in given]
    for pattern, name in pairs:
        if not pattern or "\0" in pattern:
            raise UsageError(
                f"{pattern!r} cannot be a pattern of names of tensors, in {pattern}={name}",
                "--tensor-type attn_v=Q8_0",
            )
    return tuple((pattern, tensor_number(name, f"{pattern}={name}")) for pattern, name in pairs)


def _pair(text: str) -> tuple[str, str]:
    pattern, equals, name = text.rpartition("=")
    if not equals:
        raise UsageError(
            f"{text!r} is not a pattern of names of tensors and a type, with = between",
            "--tensor-type attn_v=Q8_0",
        )
    return pattern, name


def _layers(options: Mapping[str, Any]) -> tuple[int, ...]:
    given: Sequence[int] = options.get("prune_layers", ())
    for layer in given:
        if not isinstance(layer, int) or layer < 0:
            raise UsageError(f"{layer!r} is no number of a layer", "layers count from 0")
    return tuple(sorted(set(given)))
