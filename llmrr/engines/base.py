"""What an engine is: the seam between the router and whatever runs a model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from llmrr.types import Chunk, Endpoint, Feature, Format, ModelFiles, ModelInfo, Request

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

OnOffAuto = Literal["auto", "on", "off"]
Text = str | tuple[int, ...]  # or the ids of its tokens, to which nothing is added

CONTEXT_AT_LEAST = 4096  # tokens


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is loaded. ``None`` and ``"auto"`` leave the choice to the engine.

    ``context_size`` is in tokens per sequence, ``slots`` how many sequences at once; where requests
    meet, that may become ``most_slots``, as far as memory holds, with ``crowded`` from the
    beginning. ``gpu_layers`` is how many layers go to an accelerator (-1 is all), ``kv_type`` the
    type of the KV cache (f16, q8_0, …), ``lora`` adapter files with their scales, ``chat_template``
    a Jinja text that replaces the model's own, ``mmproj`` the file of its image encoder.
    ``at_least`` is the context taken, if it fits, without ``context_size``: several sequences begin
    with a part of it each, and grow. ``prefix_cache`` is how many bytes of computed beginnings of
    prompts are kept beside those that slots hold (by default some with ``crowded``, else none),
    ``prefix_disk`` whether these outlive the process, ``speculate`` how many tokens are guessed
    ahead (0 is none).
    """

    context_size: int | None = None
    at_least: int = CONTEXT_AT_LEAST
    slots: int = 1
    most_slots: int = 1
    crowded: bool = False
    gpu_layers: int | Literal["auto"] = "auto"
    threads: int | None = None
    flash_attention: OnOffAuto = "auto"
    kv_type: str = "f16"
    mmap: bool = True
    mlock: bool = False
    lora: tuple[tuple["Path", float], ...] = ()
    chat_template: str | None = None
    mmproj: "Path | None" = None
    prefix_cache: int | None = None
    prefix_disk: bool = False
    speculate: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What a model has to do now: its slots, how many are in use, how many sequences wait for one;
    and what it did since it was loaded: tokens of prompts that were computed and that were not,
    tokens generated, tokens guessed and guessed right; what is kept of prompts, and how often that
    was of use. ``context`` is how many tokens a sequence has room for, where one is open."""

    slots: int = 0
    busy: int = 0
    waiting: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    prefix_bytes: int = 0
    prefix_hits: int = 0
    context: int | None = None


class Footprint(NamedTuple):
    """The bytes that a loaded model takes, and how many of these lie on an accelerator."""

    total: int
    accelerator: int


class Stream(Iterator[Chunk], Protocol):
    """An answer under way. Not a bare generator: one cannot be closed from another thread."""

    notes: tuple[str, ...]  # what the user should know about how it was asked

    @property
    def progress(self) -> tuple[int, int]:
        """How many tokens of the prompt are computed, and how many it has."""

    @property
    def context_size(self) -> int | None:
        """Tokens of context per sequence, once it runs."""

    def ready(self, timeout: float) -> bool:
        """Wait at most so many seconds; will ``next`` return at once?"""

    def cancel(self) -> None:
        """Stop it, from any thread; its sequence is free within one step. Twice is allowed."""


class Model(Protocol):
    """A loaded model. Safe to call from several threads: the engine batches what is in flight."""

    @property
    def info(self) -> ModelInfo:
        """What its files say about it."""

    @property
    def where(self) -> str | None:
        """What computes: the CPU, an accelerator, a part of the layers on one."""

    @property
    def threads(self) -> int | None:
        """How many threads compute on the CPU, where that is known."""

    def generate(
        self, request: Request, on_chunk: Callable[[Chunk], None] | None = None
    ) -> Stream:
        """Start answering ``request``; with ``on_chunk`` chunks are pushed instead of iterated.

        Raises ``ContextOverflow`` for a prompt that does not fit and ``FeatureMissing`` for what
        the engine cannot do.
        """

    def embed(self, texts: Sequence[Text]) -> list[list[float]]:
        """One vector of ``info.embedding_length`` numbers per text, normalised to length 1."""

    def tokenize(self, text: str) -> list[int] | None:
        """The text's token ids, special tokens recognised; None where only a provider knows."""

    def pieces(self, tokens: Sequence[int]) -> list[bytes] | None:
        """The bytes that token ids stand for, special ones spelled out; None where only a provider
        knows."""

    def prompt_tokens(self, request: Request) -> list[int] | None:
        """The token ids that the model is given for a request, -1 for each position of an image;
        None where only a provider knows. Raises what ``generate`` does, but for their number."""

    def logits(self, tokens: Sequence[int]) -> "NDArray[np.float32]":
        """The logits after each token, shape (tokens, vocabulary), float32."""

    def close(self) -> None:
        """Free it, after what is in flight was cancelled. Twice is allowed."""


class Named(Protocol):
    """What every engine says of itself. What it cannot do is an error that names the engine and the
    feature."""

    name: str
    can: frozenset[Feature]

    def missing(self) -> str | None:
        """The exact command that installs what the engine needs, or None when it is ready."""


class Engine(Named, Protocol):
    """A backend on this machine."""

    formats: frozenset[Format]
    optional: bool  # not every installation of llmrr has what it needs

    def measure(self, place: ModelFiles, options: Options) -> Mapping[str, int]:
        """The bytes that it would allocate beside the weights, in main memory, without loading
        them: ``kv``, ``output``, ``compute``. Raises what ``load`` does."""

    def load(self, place: ModelFiles, options: Options) -> Model:
        """Open it. Raises ``DamagedFile``, ``Unsupported``, ``DoesNotFit``, ``EngineFailed``."""


class RemoteEngine(Named, Protocol):
    """A protocol that models elsewhere are asked by."""

    def load(self, place: Endpoint, options: Options) -> Model:
        """Be ready to ask; nothing is sent yet. Raises ``Unreachable`` for a missing key,
        ``BadConfig`` for an address that is none, ``FeatureMissing`` for an option that means
        nothing there."""
