"""Conversion as programs call it: one call from a file or folder to another format, planned and
verified as ``llmrr convert`` does it."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from llmrr import paths
from llmrr.convert.base import Check, Step, Told, Wish
from llmrr.convert.planning import OPTIONS, plan
from llmrr.convert.running import Done, run
from llmrr.convert.source import open_source
from llmrr.errors import InvalidRequest, LlmrrError, nearest
from llmrr.types import Format

Place = str | PathLike[str]
Agree = bool | Callable[[str], bool]

_FLAGS = {"-O": "output", "--to": "format", "--no-verify": "verify=False",
          "--tensor-type": "overrides"}  # fmt: skip
_ARGUMENTS = ("input", "output", "format", "quant", "config", "verify", "progress")


@dataclass(frozen=True, slots=True)
class Converted:
    """What came of a conversion: where it is, its files (the one to open first), what was checked,
    and the seconds that it took. It stands for its path wherever one is taken."""

    path: Path
    files: tuple[Path, ...]
    format: Format
    quant: str | None
    bytes: int
    seconds: float
    verified: bool
    steps: tuple[str, ...]
    checks: tuple[Check, ...]

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)


class ModelConverter:
    """Converts models between formats, and quantizes them. ``agree`` is asked, with the text, for
    what a conversion must download or install first; True agrees to all of it."""

    def __init__(self, *, agree: Agree = False, progress: Told | None = None) -> None:
        self._agree, self._progress = agree, progress

    def convert(
        self,
        input: Place,
        output: Place,
        format: str = "gguf",
        *,
        quant: str = "auto",
        config: Place | None = None,
        verify: bool = True,
        progress: Told | None = None,
        **options: Any,
    ) -> Converted:
        """Make ``output`` in a format (gguf, onnx, mlx or safetensors) of the model at ``input``.

        ``quant`` is a type of the target; ``config`` is the folder with config.json and tokenizer,
        for weights that lie alone; ``options`` are those of ``llmrr convert``, as ``imatrix``.
        ``progress`` is told what is done, how much of it, and of how much.

        Raises ``Unsupported`` (as ``Unsupported model format '.pkl'``) before any work for what
        cannot be converted, ``CheckFailed`` for a result that is not its source (nothing is left of
        it then), and ``InvalidRequest`` for arguments that mean nothing.
        """
        steps, source = self.plan(
            input, output, format, quant=quant, config=config, verify=verify, **options
        )
        for step in steps:
            self._require_agreement(step)
        told = progress or self._progress or (lambda what, done, total: None)
        with _in_keywords():
            done = run(steps, source, _path("output", output), verify=verify, told=told)
        return _converted(done, steps[-1])

    def plan(
        self,
        input: Place,
        output: Place,
        format: str = "gguf",
        *,
        quant: str = "auto",
        config: Place | None = None,
        verify: bool = True,
        **options: Any,
    ) -> tuple[tuple[Step, ...], Path]:
        """The steps that ``convert`` would take, and the path that they begin with."""
        wanted = _format(format)
        _path("output", output)
        settings = None if config is None else _path("config", config)
        source = open_source(_path("input", input), settings)
        wish = Wish(wanted, quant or "auto", verify, _options(options))
        with _in_keywords():
            return plan(source, wish), source.path

    def _require_agreement(self, step: Step) -> None:
        if not step.asks:
            return
        agreed = self._agree(step.asks) if callable(self._agree) else self._agree
        if not agreed:
            raise LlmrrError(
                f"{step.title} needs your agreement: {step.asks}", "ModelConverter(agree=True)"
            )


@contextmanager
def _in_keywords() -> Iterator[None]:
    """Errors name the arguments of a call in place of the flags of the command line."""
    try:
        yield
    except LlmrrError as error:
        error.message, error.hint = map(in_keywords, (error.message, error.hint))
        error.args = (error.message, *error.args[1:])
        raise


def in_keywords(text: str) -> str:
    """Flags of ``llmrr convert`` as the arguments that they are here; other commands stay.

    >>> in_keywords("--quant TYPE, one of: Q4_K_M"), in_keywords("-O with another name")
    ('quant="TYPE", one of: Q4_K_M', 'output with another name')
    """
    if "llmrr " in text:
        return text
    for flag, name in _FLAGS.items():
        text = re.sub(rf"(?<!\S){flag}(?!\S)", name, text)
    return re.sub(r"(?<!\S)--([a-z][a-z-]*)(?: ([A-Z]+)\b)?", _keyword, text)


def _keyword(found: re.Match[str]) -> str:
    name = found[1].replace("-", "_")
    return f'{name}="{found[2]}"' if found[2] else name


def _converted(done: Done, last: Step) -> Converted:
    checks = tuple(check for _, _, checks in done.steps for check in checks)
    return Converted(
        done.path, done.files, last.format, last.quant, done.bytes,
        sum(seconds for _, seconds, _ in done.steps),
        all(checks for _, _, checks in done.steps),
        tuple(title for title, _, _ in done.steps), checks,
    )  # fmt: skip


def _path(name: str, given: object) -> Path:
    """A path as people write it. Raises ``InvalidRequest``."""
    if not isinstance(given, str | PathLike) or not fspath(given):
        raise InvalidRequest(f"{name} = {given!r} is no path", f'{name}="./model.gguf"')
    return paths.expanded(str(fspath(given)))


def _format(given: object) -> Format:
    words = [str(one) for one in Format if one is not Format.PYTORCH]
    word = given.lower().lstrip(".") if isinstance(given, str) else given
    if word in words:
        return Format(word)
    near = nearest(word, words) if isinstance(word, str) else None
    raise InvalidRequest(
        f"format = {given!r} is no format to convert to", f'format="{near or " or ".join(words)}"'
    )


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    known = {"base"}.union(*OPTIONS.values())
    for name in given:
        if name not in known:
            near = nearest(name, (*known, *_ARGUMENTS))
            hint = f"did you mean {near}?" if near else f"there are {', '.join(sorted(known))}"
            raise InvalidRequest(f"there is no argument {name!r}", hint)
    return {name: value for name, value in given.items() if value not in (None, False)}
