"""What the models of a repository take on this machine, from headers read by range requests."""

from contextlib import suppress

from llmrr import formats, hardware
from llmrr.errors import Unsupported
from llmrr.formats import gguf
from llmrr.formats.gguf_alike import read_alike
from llmrr.formats.gguf_header import Header
from llmrr.formats.source import Files
from llmrr.hardware import Fit, Hardware
from llmrr.store.choice import Option
from llmrr.store.looking import Subset
from llmrr.types import Format, ModelInfo


class Weighing:
    """Weighs the options of one repository. The first header is read whole, of the others only what
    differs. ``context`` and ``kv_type`` as ``hardware.fit`` takes them."""

    def __init__(
        self, files: Files, machine: Hardware, *, context: int | None = None,
        kv_type: str = "f16",
    ) -> None:  # fmt: skip
        self._files, self._machine = files, machine
        self._context, self._kv_type = context, kv_type
        self._known: dict[str, Header] = {}  # of the parts of the first one, by their place in it
        self._fits: dict[Option, Fit | None] = {}

    def __call__(self, option: Option) -> Fit | None:
        """What it takes, and whether that is there; None where its files do not say it. Raises
        ``Unreachable``, ``UsageError``."""
        if option not in self._fits:
            self._fits[option] = None
            with suppress(Unsupported):
                self._fits[option] = hardware.fit_one(
                    self.info(option), self._machine, context=self._context, kv_type=self._kv_type
                )
        return self._fits[option]

    def info(self, option: Option) -> ModelInfo:
        """What its files say about it. Raises what reading and ``formats`` raise."""
        if option.format is Format.GGUF:
            return gguf.describe([self._header(name, at) for at, name in enumerate(option.weights)])
        return formats.inspect(Subset(self._files, option.files))

    def _header(self, name: str, part: int) -> Header:
        source, key = self._files.source(name), str(part)
        if (known := self._known.get(key)) and (alike := read_alike(source, known)):
            return alike
        self._known[key] = gguf.read_header(source)
        return self._known[key]
