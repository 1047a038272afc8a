"""Images for GGUF models that see, on tiny real models: what llama.cpp's own helper computes."""

import base64
import ctypes
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import builders
import pytest
import vision

from llmrr import Image, Message, Request, Router, Sampling
from llmrr.cli import app
from llmrr.engines.base import Options
from llmrr.engines.llamacpp import ENGINE
from llmrr.engines.llamacpp.context import Context, Shape
from llmrr.engines.llamacpp.images import Encoder
from llmrr.engines.llamacpp.loading import open_model
from llmrr.engines.llamacpp.model import LlamaModel
from llmrr.errors import DamagedFile, FeatureMissing, NotFound, Unsupported, UsageError
from llmrr.types import Chunk, Format, ModelFiles

RED, BLUE = Image(data=vision.png(255, 0, 0)), Image(data=vision.png(0, 0, 255))
KINDS = {"mlp": "llama", "qwen2vl_merger": "qwen2vl"}


def pair(folder: Path, kind: str = "mlp") -> tuple[Path, Path]:
    model = builders.tiny_llama(folder / "tiny.gguf", architecture=KINDS[kind])  # type: ignore[arg-type]
    return model, vision.encoder(folder / "mmproj.gguf", kind=kind)


def load(files: tuple[Path, Path], **options: object) -> LlamaModel:
    place = ModelFiles(files[0], Format.GGUF)
    return ENGINE.load(place, Options(mmproj=files[1], **options))  # type: ignore[arg-type]


@pytest.fixture(params=KINDS)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    return pair(tmp_path, request.param)


@pytest.fixture
def model(files: tuple[Path, Path]) -> Iterator[LlamaModel]:
    loaded = load(files)
    yield loaded
    loaded.close()


def ask(*parts: str | Image, **sampling: object) -> Request:
    own = {"temperature": 0.0, "max_tokens": 8, "ignore_eos": True, **sampling}
    stated = Sampling(**own)  # type: ignore[arg-type]
    return Request(messages=(Message.of("user", *parts),), sampling=stated)


def tokens(chunks: Sequence[Chunk]) -> list[int]:
    return [token for chunk in chunks for token in chunk.tokens]


def reference(files: tuple[Path, Path], model: LlamaModel, request: Request) -> list[int]:
    """What the likeliest tokens are where libmtmd's own helper reads the prompt."""
    import llama_cpp.mtmd_cpp as mtmd

    loaded = open_model(files[0], Options(gpu_layers=0))
    encoder = Encoder(files[1], loaded.pointer, 1, gpu=False)
    message = request.messages[0]
    text = model.template.prompt(
        (Message("user", "".join(one if isinstance(one, str) else encoder.marker
                                 for one in message.parts)),)
    ).text  # fmt: skip
    bitmaps = [encoder._bitmap(0, one.data or b"") for one in message.images]
    chunks = encoder._chunks(text, bitmaps)
    context = Context(loaded.pointer, Shape(256, 1, 1, False))
    reached = ctypes.c_int32()
    code = mtmd.mtmd_helper_eval_chunks(
        encoder._pointer, context.pointer, chunks.pointer, 0, 0, 512, True, ctypes.byref(reached)
    )
    assert code == 0
    found: list[int] = []
    row = -1
    while len(found) < 8:
        logits = (ctypes.c_float * model.vocab.size).from_address(context.logits(row))
        going_on = set(range(model.vocab.size)) - set(model.vocab.end_tokens)
        found.append(max(sorted(going_on), key=logits.__getitem__))
        context.batch.clear()
        row = context.batch.add_one(0, found[-1], reached.value + len(found) - 1)
        assert context.decode() == "done"
    context.close()
    encoder.close()
    return found


PROMPTS: dict[str, tuple[str | Image, ...]] = {
    "first": (RED, "What is it?"), "last": ("What is it?", RED, "\n"), "other": (BLUE, "What?"),
    "two": ("Compare ", RED, " with ", BLUE, ", please."), "twice": (RED, RED, "Same?"),
}  # fmt: skip


@pytest.mark.parametrize("which", PROMPTS)
def test_it_answers_as_with_the_helper_of_llama_cpp(
    files: tuple[Path, Path], model: LlamaModel, which: str
) -> None:
    request = ask(*PROMPTS[which])
    for _ in range(2):  # the second time the prompt is in memory already
        assert tokens(list(model.generate(request))) == reference(files, model, request)


def test_what_is_seen_counts(model: LlamaModel) -> None:
    said = {
        tuple(tokens(list(model.generate(ask(*parts)))))
        for parts in ((RED, "What?"), (BLUE, "What?"), ("What?",), (BLUE, RED, "What?"))
    }
    assert len(said) == 4


def test_an_image_in_memory_is_not_computed_again(model: LlamaModel) -> None:
    cached = []
    for image in (RED, RED, BLUE):
        usage = list(model.generate(ask(image, "two")))[-1].usage
        assert usage is not None
        cached.append(usage.cached_tokens)
    assert cached[0] == 0
    assert cached[1] >= cached[2] + 4  # positions of an image


def test_several_at_once_answer_as_alone(files: tuple[Path, Path]) -> None:
    alone = load(files)
    expected = {name: tokens(list(alone.generate(ask(*parts)))) for name, parts in PROMPTS.items()}
    expected["text"] = tokens(list(alone.generate(ask("What is it?", max_tokens=20))))
    alone.close()
    together = load(files, slots=4)
    streams = {name: together.generate(ask(*parts)) for name, parts in PROMPTS.items()}
    streams["text"] = together.generate(ask("What is it?", max_tokens=20))
    found: dict[str, list[int]] = {}
    threads = [
        threading.Thread(target=lambda name=name: found.update({name: tokens(list(streams[name]))}))
        for name in streams
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    together.close()
    assert found == expected


def test_cancelled_and_closed_while_an_image_waits(files: tuple[Path, Path]) -> None:
    model = load(files)
    stream = model.generate(ask(RED, "x" * 100, max_tokens=100))
    stream.cancel()
    last = list(stream)[-1]
    assert last.finish_reason in ("cancelled", "length", "stop")
    assert tokens(list(model.generate(ask(BLUE, "What?")))) == reference(
        files, model, ask(BLUE, "What?")
    )
    model.close()
    model.close()


def test_schema_and_several_choices(model: LlamaModel) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"],
              "additionalProperties": False}  # fmt: skip
    chunks = list(model.generate(ask(RED, "What?", schema=schema, max_tokens=60, ignore_eos=None)))
    assert json.loads("".join(chunk.text for chunk in chunks))["ok"] in (True, False)


@pytest.mark.parametrize(
    ("image", "error", "said"),
    [(Image(data=b"no image at all"), Unsupported, "image 1 is none that llama.cpp reads"),
     (Image(data=vision.png(1, 2, 3)[:40]), Unsupported, "image 1 cannot be decoded"),
     (Image(data=b"RIFF....WEBPVP8 "), Unsupported, "save it as PNG"),
     (Image(url="https://example.org/a.png"), FeatureMissing, "fetches no image: https"),
     (Image(url="data:image/png;base64,***"), UsageError, "holds no base64")],
)  # fmt: skip
def test_images_that_are_none(
    model: LlamaModel, image: Image, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        model.generate(ask(image, "What?"))
    assert said in str(caught.value) + str(getattr(caught.value, "hint", ""))
    assert tokens(list(model.generate(ask(RED, "What?"))))  # it lives


def test_an_image_as_an_address_of_its_own(model: LlamaModel) -> None:
    text = base64.b64encode(vision.png(255, 0, 0)).decode()
    same = Image(url=f"data:image/png;base64,{text}")
    assert tokens(list(model.generate(ask(same, "hi")))) == tokens(
        list(model.generate(ask(RED, "hi")))
    )


def test_a_marker_in_a_text_is_text(model: LlamaModel) -> None:
    said = "<__media__> <__image_0000000000000000__>"
    assert tokens(list(model.generate(ask(RED, said))))
    assert tokens(list(model.generate(ask(said))))


def test_encoders_that_are_none(files: tuple[Path, Path], tmp_path: Path) -> None:
    other = vision.encoder(tmp_path / "wide.gguf", width=96)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(files[1].read_bytes()[:2000])
    for path, error in ((other, DamagedFile), (broken, DamagedFile), (files[0], Unsupported),
                        (tmp_path / "none.gguf", NotFound)):  # fmt: skip
        model = load((files[0], path))
        with pytest.raises(error):
            model.generate(ask(RED, "What?"))
        assert tokens(list(model.generate(ask("What?"))))
        model.close()
    without = ENGINE.load(ModelFiles(files[0], Format.GGUF), Options())
    with pytest.raises(FeatureMissing, match=r"has no image encoder here"):
        without.generate(ask(RED, "What?"))
    without.close()


def test_a_prompt_of_images_that_does_not_fit(files: tuple[Path, Path]) -> None:
    model = load(files, context_size=24)
    with pytest.raises(Exception, match=r"the prompt has \d+ tokens, and the context"):
        model.generate(ask(*[RED] * 10, "What?"))
    model.close()


def test_the_router_gives_images_to_who_sees(tmp_path: Path) -> None:
    pair(tmp_path)
    blind = builders.tiny_llama(tmp_path / "blind.gguf")
    (Path.cwd() / "llmrr.toml").write_text(
        f"[[models]]\nname = 'blind'\nsource = 'file:{blind}'\npriority = 1\n"
        f"[[models]]\nname = 'sees'\nsource = 'file:{tmp_path}/tiny.gguf'\npriority = 2\n"
        f"[models.options]\nmmproj = '{tmp_path}/mmproj.gguf'\n"
    )
    with Router() as router:
        request = ask(RED, "What?")
        decision = router.route(request)
        assert decision.chosen == "sees"
        assert [(one.name, "images" in one.why) for one in decision.rejected] == [("blind", True)]
        answer = router.run(request)
        list(answer)
        assert answer.model.name == "sees"


def test_an_installed_model_brings_its_encoder(tmp_path: Path) -> None:
    model, encoder = pair(tmp_path)
    (tmp_path / "Modelfile").write_text(f"FROM {model}\nFROM {encoder}\n")
    assert app.main(["create", "seer", "-f", str(tmp_path / "Modelfile")]) == 0
    with Router() as router:
        answer = router.run(ask(RED, "What?"), model="seer")
        assert tokens(list(answer))


def test_an_encoder_that_lies_beside_a_model_is_found_by_its_name(tmp_path: Path) -> None:
    model, encoder = pair(tmp_path)
    model.rename(tmp_path / "seer-Q4_0.gguf")
    encoder.rename(tmp_path / "mmproj-seer-F16.gguf")
    builders.tiny_llama(tmp_path / "blind-Q4_0.gguf")
    with Router() as router:
        found = router.resolve(f"{tmp_path}/seer-Q4_0.gguf")
        assert found.mmproj == tmp_path / "mmproj-seer-F16.gguf"
        assert router.resolve(f"{tmp_path}/blind-Q4_0.gguf").mmproj is None
        answer = router.run(ask(RED, "What?"), model=f"{tmp_path}/seer-Q4_0.gguf")
        assert tokens(list(answer))
        with pytest.raises(FeatureMissing, match="takes no images"):
            router.run(ask(RED, "What?"), model=f"{tmp_path}/blind-Q4_0.gguf")
    assert app.main(["import", str(tmp_path / "seer-Q4_0.gguf"), "--name", "seer"]) == 0
    with Router() as router:
        assert tokens(list(router.run(ask(RED, "What?"), model="seer")))
