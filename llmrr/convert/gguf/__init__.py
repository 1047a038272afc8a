"""A model of Hugging Face as a GGUF file, without torch: an entry of the table of architectures
says where each tensor of the file comes from, and they are streamed there from the safetensors.

An architecture more is an ``Entry`` more, in a module of ``architectures``. Facts:
``convert_hf_to_gguf.py`` and ``src/models`` of llama.cpp, the models of transformers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmrr.convert.base import Check, Source, Step, Told, Wish
from llmrr.convert.gguf import architectures, checking, vocabulary
from llmrr.convert.gguf.encoding import FILE_TYPES
from llmrr.convert.gguf.entry import Entry
from llmrr.convert.gguf.metadata import general, loadable
from llmrr.convert.gguf.planning import Written, automatic, plan
from llmrr.convert.gguf.rows import CHUNK
from llmrr.convert.gguf.settings import Values
from llmrr.convert.gguf.weights import Reader, places
from llmrr.convert.gguf.writing import write_header, write_tensors
from llmrr.errors import Unsupported
from llmrr.formats import FolderFiles
from llmrr.formats.json_file import read_beside, table
from llmrr.formats.quantization import of_mlx, of_transformers
from llmrr.formats.tensors import Tensor
from llmrr.formats.transformers import pooling
from llmrr.types import Format

QUANTS = ("auto", *FILE_TYPES)
VERIFIED = "llmrr.verified"
TEXT_ONLY = "only the part for text is converted, without what sees or hears"


def step(source: Source, wish: Wish) -> Step:
    """The conversion of ``source`` to one GGUF file of the type ``wish.quant``: f32, f16, bf16,
    q8_0, or auto.

    Raises ``Unsupported`` for an architecture, tokenizer, type or configuration that cannot be
    converted, and for quantized weights; ``DamagedFile`` for tensors that are missing or have a
    wrong shape. What an earlier step has yet to write is looked at when it is there.
    """
    if wish.quant not in QUANTS:
        raise Unsupported(
            f"{wish.quant!r} is no type that weights are converted to",
            "one of " + ", ".join(QUANTS),
        )
    conversion = Conversion(source.settings, wish)
    found: Model | None = None
    if source.settings is not None:
        found = conversion.model(source.settings, source.tensors, str(source.path))
        conversion.vocabulary(source.settings, found)
    return Step(
        title=f"convert {source.path.name} to GGUF",
        format=Format.GGUF,
        is_folder=False,
        bytes=found.bytes if found else None,
        memory_bytes=found.memory_bytes if found else None,
        seconds=found.seconds if found else None,
        work=conversion.work,
        verify=conversion.verify,
        quant=found.quant if found else wish.quant,
        notes=found.notes if found else (),
    )


@dataclass(frozen=True, slots=True)
class Model:
    """What is known before any work: the tensors to write as ``quant``, empty where those of the
    source are not there yet."""

    entry: Entry
    raw: Mapping[str, Any]
    values: Values
    quant: str
    tensors: tuple[Written, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What llama.cpp does otherwise than the source."""
        found = tuple(said for note in self.entry.notes if (said := note(self.values)))
        return (*found, TEXT_ONLY) if self.values.table("text_config") else found

    @property
    def bytes(self) -> int | None:
        """The size of the file, without its vocabulary."""
        return sum(one.bytes for one in self.tensors) or None

    @property
    def memory_bytes(self) -> int | None:
        """Interpreter, numpy and the vocabulary (measured with 150,000 tokens), some chunks of
        numbers, and what is stored transposed."""
        if not self.tensors:
            return None
        swapped = (one for one in self.tensors if one.rule and one.rule.transposed)
        return (100 << 20) + 24 * CHUNK + 2 * max((4 * one.elements for one in swapped), default=0)

    @property
    def seconds(self) -> float | None:
        """Written and read back."""
        return None if self.bytes is None else 1 + self.bytes / RATES[self.quant]


# Bytes of the result in a second, check included, from bf16; two cores, files in the page cache.
RATES = {"f32": 500e6, "f16": 250e6, "bf16": 500e6, "q8_0": 80e6}


@dataclass(frozen=True, slots=True)
class Conversion:
    """``settings`` is None where they lie beside the weights that an earlier step makes."""

    settings: Path | None
    wish: Wish

    def model(self, settings: Path, tensors: Iterable[Tensor], where: str) -> Model:
        """Everything that can be known without reading weights."""
        files = FolderFiles(settings, depth=0)
        raw = read_beside(files, "config.json")
        name = f"{settings / 'config.json'}"
        _refuse_quantized(raw, where)
        entry = architectures.find(raw, name)
        values = Values(raw, name, entry.defaults, entry.aliases)
        for check in entry.refused:
            if said := check(values):
                raise Unsupported(
                    f"{name} asks for {said}, which llama.cpp does not do for "
                    f"{entry.classes[0]}",
                    "llmrr convert --to onnx",
                )
        tensors = tuple(tensors)
        quant = automatic(tensors).lower() if self.wish.quant == "auto" else self.wish.quant
        planned = plan(entry, values, tensors, quant.upper(), where) if tensors else ()
        return Model(entry, raw, values, quant, planned)

    def vocabulary(self, settings: Path, model: Model) -> dict[str, Any]:
        """The keys tokenizer.*. Raises ``Unsupported`` for a tokenizer that llama.cpp lacks."""
        found = vocabulary.read(settings, model.values.whole("vocab_size"), model.entry.name)
        if model.entry.name == "gpt2" and _converses(model.raw):
            found.setdefault("tokenizer.chat_template", BETWEEN_TURNS)
        return found

    def metadata(self, settings: Path, model: Model) -> dict[str, Any]:
        """All keys of the file but general.architecture."""
        found = {
            **general(settings, model.raw, model.tensors, model.quant),
            **model.entry.hyperparameters(model.values),
            **_pooling(settings, model.entry),
            **self.vocabulary(settings, model),
            VERIFIED: self.wish.verify,
        }
        tokens = found.get("tokenizer.ggml.tokens", ())
        return found | {"general.name": loadable(found["general.name"], tokens)}

    def work(self, source: Path, target: Path, told: Told) -> None:
        """Write the file ``target`` from the weights at ``source``."""
        found = places(source)
        settings = self._settings(source)
        model = self.model(settings, (one.tensor for one in found.values()), str(source))
        write_header(target, model.entry.name, self.metadata(settings, model), model.tensors)
        with Reader(found) as reader:
            write_tensors(target, model.tensors, model.values, reader, told)

    def verify(self, source: Path, target: Path, told: Told) -> Sequence[Check]:
        """Compare ``target`` with what it was made from: the one place where checks are joined."""
        from llmrr.convert.verify import logits, structure, tokens

        found = places(source)
        settings = self._settings(source)
        model = self.model(settings, (one.tensor for one in found.values()), str(source))
        first = structure.check(source, target, told, settings=settings)
        return (
            checking.compare(target, model.tensors, model.values, found, told),
            tokens.check(settings, target, told),
            *logits.beside(first, source, target, told, settings),
        )

    def _settings(self, source: Path) -> Path:
        if self.settings is not None:
            return self.settings
        return source if source.is_dir() else source.parent


# GGUF's numbers, enum llama_pooling_type.
POOLING = {"mean": 1, "cls": 2, "last": 3}
# DialoGPT has no template: what was said stands one after the other, each with the end of a text.
BETWEEN_TURNS = "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"


def _pooling(settings: Path, entry: Entry) -> dict[str, Any]:
    """How one vector is made of many, where Sentence Transformers say it."""
    stated = pooling(FolderFiles(settings)) if entry.pools else None
    return {f"{entry.name}.pooling_type": POOLING[stated]} if stated in POOLING else {}


def _converses(raw: Mapping[str, Any]) -> bool:
    """Was this GPT-2 trained on conversations, as its configuration says?"""
    return bool(table(table(raw, "task_specific_params"), "conversational"))


def _refuse_quantized(raw: Mapping[str, Any], where: str) -> None:
    found = of_transformers(raw) or of_mlx(raw)
    if found:
        raise Unsupported(
            f"{where} is quantized ({found.label}), and only weights in full or half precision "
            "become GGUF",
            "convert the model that it was made from",
        )
