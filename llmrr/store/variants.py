"""Which models the GGUF files of a repository or folder are, told by their names and sizes alone.

The names are people's habits: bartowski's ``Model-Q4_K_M.gguf``, unsloth's
``UD-Q4_K_XL/Model-UD-Q4_K_XL-00001-of-00003.gguf``, TheBloke's ``model.Q4_K_M.gguf``,
mradermacher's ``Model.i1-IQ1_S.gguf``, Qwen's ``model-q4_k_m-00001-of-00002.gguf``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from llmrr.formats.parts import PART, part_names

_LABEL = re.compile(
    r"""(?<![a-z0-9])(
        (?:UD-)?(?:
            Q[1-8]_K_(?:XXL|XL|XXS|XS|L|M|S|P) | Q[1-8]_K
          | Q4_0_[48]_[48] | Q[1-8]_[01]_L | Q[1-8]_[01]
          | IQ[1-8]_?(?:XXS|XS|NL_XL|NL|KSS|KS|KL|KT|K|S|M|L) | TQ[12]_0
          | MXFP4_MOE | MXFP4 | NVFP4 | BF16 | FP?16 | FP?32 | Q[1-8]
        )
    )(?![a-z0-9])""",
    re.IGNORECASE | re.VERBOSE,
)
# Files that belong to a model, or were used to make one.
_BESIDE = re.compile(r"(?<![a-z0-9])(lora|adapter|control[-_]vectors?|cvector)(?![a-z0-9])")
_PROJECTOR_TYPES = ("F16", "FP16", "BF16", "Q8_0", "F32", "FP32")


@dataclass(frozen=True, slots=True)
class Variant:
    """One model: ``tag`` is its quantization, or its path where several have that; ``files`` are
    its parts in order, ``bytes`` their sizes together, ``missing`` the names of absent parts."""

    tag: str
    files: tuple[str, ...]
    bytes: int
    missing: tuple[str, ...] = ()


def gguf_variants(sizes: Mapping[str, int]) -> tuple[Variant, ...]:
    """The models among files (path to bytes, slashes as on the hub), by path.

    >>> [v.tag for v in gguf_variants({"a-Q4_K_M.gguf": 5, "a-f16.gguf": 9, "mmproj-F16.gguf": 1})]
    ['F16', 'Q4_K_M']
    """
    groups: dict[str, dict[str, str]] = {}
    for name in sorted(sizes, key=str.lower):
        if is_model(name):
            stem, total = _split(name)
            groups.setdefault(stem, {})[name] = total
    labels = Counter(quant_label(stem) for stem in groups)
    return tuple(
        _variant(stem, _files(stem, parts), sizes, unique=labels[quant_label(stem)] == 1)
        for stem, parts in groups.items()
    )


def projector(sizes: Mapping[str, int]) -> str | None:
    """The image encoder (mmproj) to use among files: F16 before BF16, Q8_0 and F32.

    >>> projector({"mmproj-BF16.gguf": 2, "mmproj-F16.gguf": 2, "model-Q4_0.gguf": 9})
    'mmproj-F16.gguf'
    """

    def rank(name: str) -> tuple[int, str]:
        label = quant_label(name) or ""
        known = label in _PROJECTOR_TYPES
        return _PROJECTOR_TYPES.index(label) if known else len(_PROJECTOR_TYPES), name

    return min((name for name in sizes if is_projector(name)), key=rank, default=None)


def quant_label(name: str) -> str | None:
    """The quantization that a file's name states, in capitals; else what its folder's name states.

    >>> quant_label("BF16/model-00001-of-00002.gguf"), quant_label("phi-2-q4_0.gguf")
    ('BF16', 'Q4_0')
    >>> quant_label("Model-UD-Q4_K_XL.gguf"), quant_label("gemma-2b-it.gguf")
    ('UD-Q4_K_XL', None)
    """
    path = PurePosixPath(name)
    for text in (_split(path.name)[0], path.parent.name):
        if found := _LABEL.findall(text):
            return str(found[-1]).upper()
    return None


def stem(name: str) -> str:
    """A file's name without .gguf and the number of a part.

    >>> stem("sub/a-Q4_K_M-00001-of-00002.gguf")
    'a-Q4_K_M'
    """
    return _split(PurePosixPath(name).name)[0]


def plain_name(name: str) -> str:
    """What a file is called besides its quantization, its part and what it is: what the files of
    one model have in common, in small letters.

    >>> plain_name("Qwen2.5-VL-7B.mmproj-f16.gguf"), plain_name("sub/Qwen2.5-VL-7B-Q4_K_M.gguf")
    ('qwen2.5-vl-7b', 'qwen2.5-vl-7b')
    >>> plain_name("mmproj-model-f16.gguf")
    ''
    """
    words = _LABEL.sub("", stem(name)).lower().replace("mmproj", "")
    return re.sub(r"^[-_.]*(model)?[-_.]+|[-_.]+$|^model$", "", words)


def is_projector(name: str) -> bool:
    """Whether a file is an image or audio encoder."""
    base = PurePosixPath(name).name.lower()
    return base.endswith(".gguf") and "mmproj" in base


def encoder_of(
    model: str, variants: Sequence[Variant], sizes: Mapping[str, int | None]
) -> str | None:
    """The image encoder of a model among the files of its folder, all of whose models are
    ``variants``: the one named like it; one without a name is for a folder with one model."""
    plain = plain_name(model)
    images = {name: plain_name(name) for name in sizes if is_projector(name)}
    own = {name: 0 for name, words in images.items() if words and words in plain}
    alone = len({plain_name(other.files[0]) for other in variants}) == 1
    return projector(own) or (projector(dict.fromkeys(images, 0)) if alone else None)


def encoder_beside(path: Path) -> Path | None:
    """The image encoder that lies in the folder of a GGUF file and belongs to it, by its name."""
    names = [one.name for one in path.parent.iterdir()]
    sizes = dict.fromkeys((one for one in names if one.lower().endswith(".gguf")), 0)
    if not any(map(is_projector, sizes)):
        return None
    found = encoder_of(path.name, gguf_variants(sizes), sizes)
    return path.parent / found if found else None


def is_model(name: str) -> bool:
    """Whether a GGUF file is a model or a part of one, and nothing that goes with one: an encoder,
    an importance matrix, an adapter, a draft head, a vocabulary.

    >>> is_model("imatrix_unsloth.gguf"), is_model("Model-Q4_K_M-imatrix.gguf")
    (False, True)
    """
    base = PurePosixPath(name).name.lower()
    if not base.endswith(".gguf") or base.startswith((".", "imatrix", "mtp-", "ggml-vocab-")):
        return False
    # A model made with an importance matrix says so too, but it also has a quantization.
    if "imatrix" in base and not _LABEL.search(base):
        return False
    merged = "merged" in base
    return "mmproj" not in base and (merged or not _BESIDE.search(base))


def missing_parts(names: Iterable[str]) -> tuple[str, ...]:
    """The parts NAME-0000n-of-0000m.EXT that are not among files with some of the others."""
    present = set(names)
    found = (PART.fullmatch(name) for name in present)
    models = {(part["prefix"], part["count"], part["rest"]) for part in found if part}
    return tuple(sorted({name for one in models for name in part_names(*one)} - present))


def _variant(stem: str, files: tuple[str, ...], sizes: Mapping[str, int], unique: bool) -> Variant:
    return Variant(
        tag=(unique and quant_label(stem)) or stem,
        files=tuple(name for name in files if name in sizes),
        bytes=sum(sizes.get(name, 0) for name in files),
        missing=tuple(name for name in files if name not in sizes),
    )


def _split(name: str) -> tuple[str, str]:
    """The path without .gguf and the number of a part, and how many parts there are."""
    part = PART.fullmatch(name)
    if part and 1 <= int(part["number"]) <= int(part["count"]):
        return part["prefix"], part["count"]
    return name[:-5] if name.lower().endswith(".gguf") else name, ""


def _files(stem: str, parts: Mapping[str, str]) -> tuple[str, ...]:
    """All parts of a model in order, also those that are not there. Some repositories keep a
    model both whole and in parts: the whole one is taken."""
    first, total = min(parts.items(), key=lambda part: part[1])
    if not total:
        return (first,)
    return part_names(stem, total, first[-5:])
