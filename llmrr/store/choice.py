"""Which files of a repository are needed, and which of its quantizations fits here best. Pure, over
names and sizes: what the files really are is looked at when they have come.
"""

import re
import shlex
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from typing import NamedTuple

from llmrr.errors import DoesNotFit, NotFound, Unsupported, UsageError, nearest
from llmrr.formats import companions
from llmrr.hardware import Fit
from llmrr.store.content import PYTORCH, is_pickle
from llmrr.store.variants import gguf_variants, missing_parts, projector
from llmrr.types import Format

BESIDE = (".json", ".txt", ".model", ".jinja", ".tiktoken")
# Of full precision: twice the room, for no gain that can be measured.
FULL = frozenset({"F32", "F16", "BF16", "FP32", "FP16"})
PREFERRED = (Format.GGUF, Format.SAFETENSORS, Format.ONNX, Format.MLX, Format.PYTORCH)
# What sentence-transformers put behind a model: https://sbert.net, "1_Pooling", "2_Dense".
_MODULE = re.compile(r"\d+_\w+/(config\.json|model\.safetensors)")
_SHARDS = re.compile(r"(?P<stem>.+?)(-\d{5}-of-\d{5})?\.safetensors")
_ONNX = re.compile(
    r"(?P<role>model|decoder_model_merged|decoder_with_past_model|decoder_model|encoder_model)"
    r"[_-](?!merged\.)(?P<variant>[a-z0-9]+)\.onnx"
)


class Option(NamedTuple):
    """One way to have the model of a repository: ``weights``, the file to open first, and what is
    needed ``beside`` them; ``bytes`` are those of the weights."""

    format: Format
    tag: str
    weights: tuple[str, ...]
    beside: tuple[str, ...]
    bytes: int
    missing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called among others."""
        return self.tag or str(self.format)

    @property
    def files(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.weights, *self.beside)


class Choice(NamedTuple):
    """What was chosen, with the reason."""

    option: Option
    why: str


Weigh = Callable[[Option], Fit | None]


def options(sizes: Mapping[str, int], *, pickles: bool = False) -> tuple[Option, ...]:
    """Everything that could be taken of a repository; pickles only where they are wanted."""
    found = (*_gguf(sizes), *_safetensors(sizes), *_onnx(sizes))
    return (*found, *(_pickles(sizes) if pickles else ()))


def choose(found: Sequence[Option], repo: str, *, weigh: Weigh, runs: frozenset[Format]) -> Choice:
    """The best that fits among those that an engine here ``runs``. Raises ``NotFound`` where a part
    is missing, ``DoesNotFit`` when none of several fits."""
    order = sorted(PREFERRED, key=lambda one: one not in runs)
    format_ = next(one for one in order if any(option.format is one for option in found))
    same = [option for option in found if option.format is format_]
    whole = sorted((one for one in same if not one.missing), key=lambda one: -one.bytes)
    if not whole:
        raise NotFound(f"{repo} lacks {same[0].missing[0]}", "only its owner can mend that")
    if len(whole) > 1:
        return _best(whole, repo, weigh)
    [option] = whole
    return Choice(option, f"{option.name} is what there is")


def named_file(sizes: Mapping[str, int], repo: str, name: str) -> str:
    """The file that was named, in any case. Raises ``NotFound`` with the nearest."""
    exact = {path.lower(): path for path in sizes}
    if found := exact.get(name.lower()):
        return found
    near = nearest(name, sizes)
    raise NotFound(
        f'{repo} has no file "{name}"',
        f"llmrr pull {shlex.quote(f'hf:{repo}/{near}')}" if near else f"it has: {listed(sizes)}",
    )


def selected(
    sizes: Mapping[str, int], include: Sequence[str], exclude: Sequence[str]
) -> tuple[str, ...]:
    """The files that patterns select, as ``hf download`` reads them: ``*`` also matches ``/``, and
    a folder with ``/`` at its end stands for all in it."""

    def matches(path: str, patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(path, f"{one}*" if one.endswith("/") else one) for one in patterns)

    kept = [path for path in sizes if not include or matches(path, include)]
    return tuple(path for path in kept if not matches(path, exclude))


def refuse_pickles(names: Sequence[str], repo: str) -> None:
    """Raise ``Unsupported`` for files that could run code when they are loaded."""
    if bad := [name for name in names if is_pickle(name)]:
        what = f"{bad[0]} and {len(bad) - 1} more" if len(bad) > 1 else bad[0]
        raise Unsupported(
            f"{what} of {repo} may be pickles, which can run code when they are loaded",
            f"llmrr pull {repo} --allow-pickle",
        )


def nothing_found(sizes: Mapping[str, int], repo: str) -> Exception:
    """The error for a repository without a model that may be taken."""
    if any(map(is_pickle, sizes)):
        try:
            refuse_pickles(list(sizes), repo)
        except Unsupported as error:
            return error
    return NotFound(
        f"{repo} holds no model that is known here: it has {listed(sizes) or 'no files'}",
        f"llmrr pull {repo} --include PATTERN fetches any of them",
    )


def listed(names: Iterable[str]) -> str:
    """Some file names, for people."""
    some = sorted(names)
    return ", ".join(some[:8]) + (f" and {len(some) - 8} more" if len(some) > 8 else "")


def of_folder(
    sizes: Mapping[str, int], *, formats: Container[Format], pickles: bool = False
) -> list[Option]:
    """The model of these ``formats`` that a folder is; of its variants (fp16, q4) what they are
    made of. Several where it holds several. Beside it is only what belongs to it by its name."""
    found = [one for one in options(sizes, pickles=pickles) if one.format in formats]
    if len(found) > 1:
        found = [one for one in found if one.tag in ("", "fp32")] or found
    return [one._replace(beside=tuple(filter(_belongs, one.beside))) for one in found]


def _belongs(name: str) -> bool:
    return companions.is_configuration(name) or _MODULE.fullmatch(name) is not None


def named(found: Sequence[Option], repo: str, tag: str) -> Option:
    """The option of that tag, in any case. Raises ``NotFound`` listing those that there are."""
    wanted = tag.lower()
    matches = [option for option in found if option.tag.lower() == wanted]
    if not matches:  # the short form of a longer label, the name of a format, or a folder
        matches = [
            option for option in found
            if option.tag.lower().endswith(f"-{wanted}") or option.format == wanted
            or all(one.lower().startswith(f"{wanted}/") for one in option.weights)
            or re.search(rf"[-._]{re.escape(wanted)}(-\d{{5}}-of-\d{{5}})?\.gguf$",
                         option.weights[0].lower())
        ]  # fmt: skip
    if len(matches) == 1:
        return matches[0]
    tags = [option.name for option in found]
    if matches:
        names = ", ".join(option.name for option in matches)
        raise UsageError(f'"{tag}" means several of {repo}: {names}', "name one in full")
    near = max(tags, key=lambda one: SequenceMatcher(None, wanted, one.lower()).ratio())
    raise NotFound(f'{repo} has no "{tag}"; it has: {", ".join(tags)}', f"llmrr pull {repo}:{near}")


def _best(same: Sequence[Option], repo: str, weigh: Weigh) -> Choice:
    """The largest that fits, full precision aside; one that is wholly on a GPU before a larger one
    that is not. ``same`` is sorted, the largest first."""
    useful = [option for option in same if option.tag.upper() not in FULL] or list(same)
    second: Choice | None = None
    fit = None
    for option in useful:
        fit = weigh(option)
        if fit is None:
            return Choice(option, f"{option.name}: what it needs could not be computed")
        if fit.fits and (fit.gpu_available_bytes is None or fit.gpu_layers > fit.layers):
            return Choice(option, _best_words(option, fit, len(same)))
        if fit.fits and second is None:
            second = Choice(option, _best_words(option, fit, len(same)))
    if second is not None:
        return second
    smallest = useful[-1]
    raise DoesNotFit(
        f"none of the {len(same)} of {repo} fits: {smallest.name}, the smallest: "
        + "; ".join(fit.why if fit else ()),
        f"llmrr pull {repo}:{smallest.name} fetches it all the same",
    )


def _best_words(option: Option, fit: Fit, count: int) -> str:
    return (
        f"{option.name} is the best of {count} that fits: {fit.why[0]}, "
        f"with {fit.context:,} tokens of context"
    )


def _gguf(sizes: Mapping[str, int]) -> list[Option]:
    images = projector(sizes)
    beside = (images,) if images else ()
    return [
        Option(Format.GGUF, one.tag, one.files, beside, one.bytes, one.missing)
        for one in gguf_variants(sizes)
    ]


def _safetensors(sizes: Mapping[str, int]) -> list[Option]:
    """Sets of shards in the root: model.safetensors, its parts, and variants (model.fp16.…)."""
    sets: dict[str, list[str]] = {}
    for name in sorted(sizes):
        if "/" not in name and (match := _SHARDS.fullmatch(name)):
            sets.setdefault(match["stem"], []).append(name)
    models = {stem: names for stem, names in sets.items() if stem.split(".")[0] == "model"}
    if not models and sets:
        models = {"model": [name for names in sets.values() for name in names]}
    beside = beside_of(sizes, skip=".bin.index.json")
    return [
        _option(Format.SAFETENSORS, stem.partition(".")[2], names, beside, sizes)
        for stem, names in models.items()
    ]


def _onnx(sizes: Mapping[str, int]) -> list[Option]:
    """Graphs by folder and variant, each with its external data."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in sorted(sizes):
        folder, _, base = name.rpartition("/")
        if base.endswith(".onnx"):
            match = _ONNX.fullmatch(base)
            groups.setdefault((folder, match["variant"] if match else ""), []).append(name)
    found = []
    for (folder, variant), graphs in groups.items():
        merged = [name for name in graphs if "merged" in name]
        decoders = [name for name in graphs if "decoder" in name and name not in merged]
        graphs = [name for name in graphs if not (merged and name in decoders)]
        data = [one for one in sorted(sizes) for graph in graphs if is_data(one, graph)]
        plain = folder in ("", "onnx")
        tag = variant or ("fp32" if plain else folder.rpartition("/")[2])
        beside = beside_of(sizes) + (() if plain else beside_of(sizes, folder))
        found.append(_option(Format.ONNX, tag, [*graphs, *data], beside, sizes))
    return found


def is_data(name: str, graph: str) -> bool:
    """Weights that a graph keeps outside: model.onnx_data, model.onnx_data_1, model.onnx.data."""
    return re.fullmatch(rf"{re.escape(graph)}[._]data(_\d+)?", name) is not None


def _pickles(sizes: Mapping[str, int]) -> list[Option]:
    names = [name for name in sorted(sizes) if "/" not in name and name.endswith(PYTORCH)]
    weights = [name for name in names if name.startswith("pytorch_model")] or names
    beside = beside_of(sizes, skip=".safetensors.index.json")
    return [_option(Format.PYTORCH, "pytorch", weights, beside, sizes)] if weights else []


def beside_of(sizes: Mapping[str, int], folder: str = "", skip: str = "") -> tuple[str, ...]:
    """Configuration and tokenizer: the small files of data in a folder, and its chat templates."""
    prefix = f"{folder}/" if folder else ""
    names = (name for name in sorted(sizes) if name.startswith(prefix))
    return tuple(
        name
        for name in names
        if ("modules.json" in sizes and _MODULE.fullmatch(name))
        or (
            ("/" not in name.removeprefix(prefix) or "chat_templates/" in name)
            and (name.endswith(BESIDE) or companions.is_configuration(name))
            and not (skip and name.endswith(skip))
        )
    )


def _option(
    format_: Format, tag: str, names: Sequence[str], beside: tuple[str, ...],
    sizes: Mapping[str, int],
) -> Option:  # fmt: skip
    total = sum(sizes[name] for name in names)
    return Option(format_, tag, tuple(names), beside, total, missing_parts(names))
