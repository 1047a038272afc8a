"""Damaged sources, for every converter that reads weights itself: each kind of damage has its own
error, ends with 4 and leaves nothing. (ONNX and MLX are converted by other tools, behind the same
readers.)"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import builders
import numpy as np
import pytest
from layouts import safetensors_file, torch_zip, write_json
from terminal import Typed

Tensors = dict[str, "np.ndarray[Any, Any]"]
DAMAGES = ("truncated", "missing", "shape", "nan", "outside")
SPOILT = "model.layers.1.mlp.down_proj.weight"  # in the second shard
IN_GGUF = "blk.1.ffn_down.weight"
IN_ADAPTER = "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"


@dataclass(frozen=True)
class Converter:
    """What is typed after ``convert``, and what each damage of its source is called."""

    command: tuple[str, ...]
    write: "Callable[[str, Tensors], None]"
    said: Mapping[str, str]


def of_builder(patch: pytest.MonkeyPatch) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metadata and tensors that the builder of a small Llama would write."""
    seen: dict[str, Any] = {}
    patch.setattr(builders, "gguf_file", lambda path, **parts: seen.update(parts))
    builders.tiny_llama(Path("unused"))
    patch.undo()
    return dict(seen["metadata"]), dict(seen["tensors"])


@pytest.fixture
def base(typed: Typed) -> Path:
    """A sound model, as GGUF and as a folder."""
    builders.tiny_llama(Path("tiny.gguf"))
    assert typed("convert", "tiny.gguf", "--to", "safetensors", "-O", "base").code == 0
    return Path("base")


def numbers(folder: Path) -> Tensors:
    """The tensors of a folder that was converted to float32."""
    from llmrr.convert.gguf.weights import places

    return {
        name: np.fromfile(place.path, "<f4", place.tensor.elements, offset=place.offset)
        .reshape(place.tensor.shape) for name, place in places(folder).items()
    }  # fmt: skip


def spoilt(damage: str, tensors: Tensors, name: str) -> Tensors:
    """The tensors with this damage, where it is one of tensors."""
    if damage == "missing":
        return {key: one for key, one in tensors.items() if key != name}
    if damage == "shape":
        return tensors | {name: np.concatenate([tensors[name]] * 2)}
    if damage == "nan":
        bad = tensors[name].copy()
        bad.flat[5] = np.nan
        return tensors | {name: bad}
    return tensors


def halves(tensors: Tensors) -> list[Tensors]:
    names = list(tensors)
    middle = next(n for n, name in enumerate(names) if ".layers.1." in name or "blk.1." in name)
    return [{name: tensors[name] for name in part} for part in (names[:middle], names[middle:])]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


# -- sources ---------------------------------------------------------------------------------------


def indexed(
    damage: str, tensors: Tensors, name: str, stem: str, ending: str,
    write: Callable[[Path, Tensors], None],
) -> None:  # fmt: skip
    """A model in two shards with an index, in ./source."""
    folder = Path("source")
    folder.mkdir()
    for one in Path("base").iterdir():
        if one.suffix != ".safetensors":
            (folder / one.name).write_bytes(one.read_bytes())
    files = [f"{stem}-{n:05d}-of-00002{ending}" for n in (1, 2)]
    where = {}
    for file, whole, part in zip(
        files, halves(tensors), halves(spoilt(damage, tensors, name)), strict=True
    ):
        write(folder / file, part)
        where |= dict.fromkeys(whole, file)
    if damage == "truncated":
        cut(folder / files[1])
    if damage == "outside":
        (folder / files[1]).rename(Path(files[1]))
        where = {key: one.replace(files[1], f"../{files[1]}") for key, one in where.items()}
    write_json(folder / f"{stem}{ending}.index.json", {"weight_map": where})


def shapes(tensors: Tensors) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {name: ("F32", one.shape) for name, one in tensors.items()}


def as_safetensors(path: Path, tensors: Tensors) -> None:
    safetensors_file(path, shapes(tensors))
    raw = b"".join(one.astype("<f4").tobytes() for one in tensors.values())
    path.write_bytes(path.read_bytes()[: -len(raw)] + raw)


def as_pickle(path: Path, tensors: Tensors) -> None:
    torch_zip(path, shapes(tensors), values={key: one.tobytes() for key, one in tensors.items()})


def folder(damage: str, tensors: Tensors) -> None:
    indexed(damage, tensors, SPOILT, "model", ".safetensors", as_safetensors)


def pickles(damage: str, tensors: Tensors) -> None:
    indexed(damage, tensors, SPOILT, "pytorch_model", ".bin", as_pickle)


def short_pickles(damage: str, tensors: Tensors) -> None:
    """A wrong shape is one that the storage is too small for, as no configuration is looked at."""

    def write(path: Path, part: Tensors) -> None:
        stated = shapes(part)
        values = {key: one.tobytes() for key, one in part.items()}
        if damage == "shape" and SPOILT in part:
            values[SPOILT] = values[SPOILT][: len(values[SPOILT]) // 2]
        torch_zip(path, stated, values=values)

    indexed(damage, tensors, SPOILT, "pytorch_model", ".bin", write)


def parts_of_gguf(damage: str, _: Tensors) -> None:
    """A GGUF model in two parts. An index has none; a name that is no part's stands for it: of
    which there are three, as the metadata says, and two."""
    with pytest.MonkeyPatch.context() as patch:
        metadata, tensors = of_builder(patch)
    place = Path("source")
    place.mkdir()
    one = tensors[IN_GGUF]
    if damage == "missing":
        del tensors[IN_GGUF]
    elif damage == "shape":
        tensors[IN_GGUF] = replace(one, dims=(one.dims[0], 2 * one.dims[1]), data=2 * one.data)
    elif damage == "nan":
        tensors[IN_GGUF] = replace(one, data=np.float32(np.nan).tobytes() + one.data[4:])
    count = 3 if damage == "outside" else 2
    for number, part in enumerate(halves(tensors)):
        path = place / f"m-{number + 1:05d}-of-{count:05d}.gguf"
        split = {
            "split.no": builders.Typed("u16", number),
            "split.count": builders.Typed("u16", count),
            "split.tensors.count": builders.Typed("i32", len(tensors)),
        }
        own = {**metadata, **split} if number == 0 else split
        builders.gguf_file(path, metadata=own, tensors=part)
        if number == 1 and damage == "truncated":
            cut(path)


def adapter(damage: str, tensors: Tensors) -> None:
    """A LoRA; of its files, the index is the only one that could name one outside: its base."""
    random = np.random.default_rng(1)
    found: Tensors = {}
    for name in ("model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"):
        rows, columns = tensors[f"{name}.weight"].shape
        for half, shape in (("A", (4, columns)), ("B", (rows, 4))):
            key = f"base_model.model.{name}.lora_{half}.weight"
            found[key] = random.normal(size=shape).astype(np.float32)
    path = Path("source/adapter_model.safetensors")
    as_safetensors(path, spoilt(damage, found, IN_ADAPTER))
    if damage == "truncated":
        cut(path)
    named = "../../elsewhere" if damage == "outside" else "./base"
    stated = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": named}
    write_json(path.with_name("adapter_config.json"), stated)


TWICE = "has the shape 128 by 128, where its configuration says 64 by 128"
CONVERTERS = {
    "safetensors to gguf": Converter(
        ("--to", "gguf"), folder,
        {
            "truncated": "model-00002-of-00002.safetensors",
            "missing": f"{SPOILT!r}, which its index has, is not in it",
            "shape": TWICE,
            "nan": "mlp.down_proj.weight holds NaN",
            "outside": "outside of its folder",
        },
    ),
    "pickles to safetensors": Converter(
        ("--to", "safetensors"), short_pickles,
        {
            "truncated": "pytorch_model-00002-of-00002.bin",
            "missing": f"{SPOILT!r}, which the index has, is not in it",
            "shape": "items of a storage with 8192",
            "nan": "has items that are not finite",
            "outside": "outside of its folder",
        },
    ),
    "pickles to gguf": Converter(
        ("--to", "gguf"), pickles,
        {
            "truncated": "pytorch_model-00002-of-00002.bin",
            "missing": f"{SPOILT!r}, which the index has, is not in it",
            "shape": TWICE,
            "nan": "has items that are not finite",
            "outside": "outside of its folder",
        },
    ),
    "gguf to safetensors": Converter(
        ("--to", "safetensors"), parts_of_gguf,
        {
            "truncated": "m-00002-of-00002.gguf",
            "missing": f"it lacks {IN_GGUF!r}",
            "shape": f"{IN_GGUF!r} has the shape 128 by 128, where its metadata says 64 by 128",
            "nan": "numbers that are not finite",
            "outside": "m-00003-of-00003.gguf",
        },
    ),
    "quantize": Converter(
        ("--to", "gguf", "--quant", "q4_0"), parts_of_gguf,
        {
            "truncated": "m-00002-of-00002.gguf",
            "missing": IN_GGUF,
            "shape": IN_GGUF,
            "nan": "not finite",
            "outside": "m-00003-of-00003.gguf",
        },
    ),
    "adapter": Converter(
        ("--to", "gguf"), adapter,
        {
            "truncated": "adapter_model.safetensors",
            "missing": "it lacks lora_B of 'model.layers.1.mlp.down_proj'",
            "shape": "is for a weight of 128 by 128, where the base has 64 by 128",
            "nan": "holds NaN",
            "outside": "--base DIR",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", CONVERTERS)
def test_damage_is_named_and_leaves_nothing(
    typed: Typed, base: Path, name: str, damage: str
) -> None:
    converter = CONVERTERS[name]
    converter.write(damage, numbers(base))
    before = sorted(Path().rglob("*"))
    seen = typed("convert", "source", *converter.command, "-O", "out", "--json")
    error = json.loads(seen.out)["error"]
    assert seen.code == error["exit_code"] == (3 if "--base" in converter.said[damage] else 4)
    assert converter.said[damage] in error["message"] + error["hint"]
    assert "Traceback" not in seen.err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("name", CONVERTERS)
def test_the_same_without_damage_is_converted(typed: Typed, base: Path, name: str) -> None:
    converter = CONVERTERS[name]
    converter.write("none", numbers(base))
    seen = typed("convert", "source", *converter.command, "-O", "out")
    assert seen.code == 0, seen.err
