"""What ``-a`` attaches: images by their content, texts, and what is neither."""

import os
import threading
from base64 import b64encode
from contextlib import closing
from pathlib import Path

import builders
import pytest
import vision
from fakes import FakeEngine
from openai_servers import OpenAIServer
from provider_servers import KEY, MODEL
from terminal import Typed

from llmrr import stats
from llmrr.cli import attaching
from llmrr.database import open_database
from llmrr.errors import DoesNotFit, FeatureMissing
from llmrr.router import Router
from llmrr.types import Feature, Image, Message, Request

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1"
SEES = ("-o", "mmproj", "tiny.gguf")  # as if its image encoder lay there
PICTURES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "image/gif": b"GIF89a\1\0\1\0",
    "image/webp": b"RIFF\x1a\n\0\0WEBPVP8 ",
}


@pytest.mark.parametrize("kind", PICTURES)
def test_an_image_is_known_by_its_content(typed: Typed, engine: FakeEngine, kind: str) -> None:
    Path("picture.txt").write_bytes(PICTURES[kind])
    engine.replies = ["a cat"]
    assert typed("run", *SEES, "-a", "picture.txt", "What is this?").out == "a cat\n"
    picture = Image(data=PICTURES[kind], media_type=kind)
    assert engine.requests[0].messages == (Message.of("user", picture, "What is this?"),)


def test_texts_are_appended_with_their_names(typed: Typed, engine: FakeEngine) -> None:
    Path("notes.png").write_bytes("\ufeffa naïve note\n".encode())
    Path("one.png").write_bytes(PNG)
    engine.replies = ["x"]
    seen = typed("run", *SEES, "Why?", "-a", "notes.png", "-a", "one.png")
    assert '"notes.png" holds text, and no image: it is sent as text' in seen.err
    assert "one.png" not in seen.err
    (turn,) = engine.requests[0].messages
    assert turn.content == "Why?\n\nnotes.png:\n```\na naïve note\n```"
    assert turn.images == (Image(data=PNG),)


def test_an_image_alone_is_gone_on_from_with_a_word(typed: Typed, engine: FakeEngine) -> None:
    Path("one.png").write_bytes(PNG)
    engine.replies = ["a cat", "yes"]
    typed("run", *SEES, "-a", "one.png")
    assert typed("run", "-c", "Sure?").code == 0
    said = [(turn.role, turn.content) for turn in engine.requests[1].messages]
    assert said == [("user", "(an image)"), ("assistant", "a cat"), ("user", "Sure?")]


def test_stdin_may_be_attached(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["x", "y", "z"]
    typed("run", *SEES, "-a", "-", "What?", stdin=PNG)
    assert engine.requests[0].messages[0].images == (Image(data=PNG),)
    typed("run", "-a", "-", "What?", stdin="a = 1\n")
    assert engine.requests[1].messages[0].content == "What?\n\nstdin:\n```\na = 1\n```"
    typed("run", *SEES, "-a", "-", stdin=PNG)
    assert engine.requests[2].messages == (Message.of("user", Image(data=PNG)),)
    assert typed("run", "-a", "-", "x", stdin=None).code == 2
    seen = typed("run", "-a", "-", "-f", "-", "x", stdin="y")
    assert (seen.code, "-f - and -a - both read stdin" in seen.err) == (2, True)


def test_images_go_to_the_last_turn_of_a_template(typed: Typed, engine: FakeEngine) -> None:
    Path("one.png").write_bytes(PNG)
    Path("llmrr.toml").write_text(
        "[templates.see]\nmessages = [{ role = 'user', content = 'a' }, "
        "{ role = 'assistant', content = 'b' }, { role = 'user', content = '{input}' }]\n"
        "[templates.be]\nmessages = [{ role = 'system', content = 'Be brief.' }]\n"
    )
    engine.replies = ["x", "y"]
    typed("run", *SEES, "-t", "see", "-a", "one.png", "what?")
    assert [bool(turn.images) for turn in engine.requests[0].messages] == [False, False, True]
    typed("run", *SEES, "-t", "be", "-a", "one.png")
    system, user = engine.requests[1].messages
    assert (system.content, user.content, user.images) == ("Be brief.", "", (Image(data=PNG),))


@pytest.mark.parametrize(
    ("content", "code", "said", "hint"),
    [
        (b"\0\1\2\3", 4, "neither an image of png, jpeg, gif, webp nor a text", "file it"),
        (b"caf\xe9", 4, "neither an image", "file it"),
        (b"%PDF-1.7\n", 4, '"it" is a PDF', "pdftotext it - | llmrr run -a -"),
        (b"BM\x36\0\0\0\0\0\0\0", 4, "a BMP image", "magick it image.png"),
        (b"II*\0", 4, "a TIFF image", "magick"),
        (b"\0\0\0\x18ftypheic", 4, "a HEIC image", "magick"),
        (b"\0\0\0\x18ftypavif", 4, "an AVIF image", "magick"),
        (b" \n", 4, '"it" is empty', "ls -l it"),
    ],
)
def test_what_is_neither(
    typed: Typed, engine: FakeEngine, content: bytes, code: int, said: str, hint: str
) -> None:
    Path("it").write_bytes(content)
    seen = typed("run", "-a", "it", "x")
    assert (seen.code, seen.out, engine.requests) == (code, "", [])
    assert said in seen.err
    assert f"hint: {hint}" in seen.err


def test_what_cannot_be_read(typed: Typed, engine: FakeEngine) -> None:
    seen = typed("run", "-a", "no.png", "x")
    assert (seen.code, 'the file "no.png" does not exist' in seen.err) == (3, True)
    Path("folder").mkdir()
    seen = typed("run", "-a", "folder", "x")
    assert (seen.code, "hint: -a folder/FILE" in seen.err) == (1, True)
    for address in ("https://", "http:/x.png", "https://a b/c.png"):
        assert typed("run", "-a", address, "x").code == 2
    Path("one.png").write_bytes(PNG)
    assert typed("run", "--raw", "-a", "one.png", "x").code == 2


def test_what_is_too_large(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DoesNotFit, match="larger than 20 MB"):
        attaching.read(["/dev/zero"], None)
    monkeypatch.setattr(attaching, "LARGEST", len(PNG))
    Path("one.png").write_bytes(PNG)
    assert attaching.read(["one.png"], None).images == (Image(data=PNG),)
    Path("one.png").write_bytes(PNG + b"\0")
    with pytest.raises(DoesNotFit):
        attaching.read(["one.png"], None)
    with pytest.raises(DoesNotFit, match='"stdin" is larger'):
        attaching.read(["-"], PNG + b"\0")


def test_a_pipe_is_read_as_a_file() -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_bytes, args=(PNG,))
    writer.start()
    assert attaching.read(["pipe"], None).images == (Image(data=PNG),)
    writer.join()


# -- who may be asked --------------------------------------------------------------------------


def test_a_model_without_images_says_so_before_it_is_loaded(
    typed: Typed, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("one.png").write_bytes(PNG)
    seen = typed("run", "-a", "one.png", "x")
    assert (seen.code, "it has no image encoder here" in seen.err) == (4, True)
    assert "hint: -o mmproj FILE" in seen.err
    seen = typed("run", *SEES, "-a", "https://example.org/b.jpg", "x")
    assert (seen.code, "fetches no image: https://example.org/b.jpg" in seen.err) == (4, True)
    monkeypatch.setattr(engine, "can", frozenset(Feature) - {Feature.IMAGES}, raising=False)
    for named in ((), ("-m", "./tiny.gguf")):
        seen = typed("run", *named, "-a", "one.png", "x")
        assert (seen.code, engine.loads) == (4, [])
        assert "takes no images: the fake engine has none of them" in seen.err
    with Router() as router, pytest.raises(FeatureMissing):
        router.run(Request(messages=(Message.of("user", "x", Image(data=PNG)),)))
    assert engine.loads == []


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> OpenAIServer:
    """A provider beside a model of this machine that comes before it."""
    monkeypatch.setenv("FAR_KEY", KEY)
    server = OpenAIServer()
    builders.tiny_llama(Path("tiny.gguf"))
    Path("llmrr.toml").write_text(
        "strategy = 'capability-match'\n"
        "[[models]]\nname = 'here'\nsource = 'file:./tiny.gguf'\npriority = 1\n"
        f"[[models]]\nname = 'far'\nsource = 'openai:{MODEL}'\npriority = 2\n"
        f"options = {{ base_url = '{server.address}/v1', api_key_env = 'FAR_KEY' }}\n"
    )
    return server


def test_a_model_here_that_sees(typed: Typed) -> None:
    builders.tiny_llama(Path("tiny.gguf"))
    vision.encoder(Path("mmproj.gguf"))
    Path("red").write_bytes(vision.png(255, 0, 0))
    named = ("-m", "./tiny.gguf", "-o", "mmproj", "mmproj.gguf", "--max-tokens", "3", "--json")
    seen = typed("run", *named, "-a", "red", "What is this?")
    assert (seen.code, seen.json["engine"]) == (0, "llamacpp")


def test_an_image_goes_where_images_are_taken(typed: Typed, far: OpenAIServer) -> None:
    Path("one.png").write_bytes(PNG)
    with far:
        assert typed("config", "trust").code == 0
        assert typed("route", "hello", "--json").json["model"] == "here"
        found = typed("route", "-a", "one.png", "hello", "--json").json
        assert (found["model"], found["needs"]["words"]) == ("far", ["images"])
        assert found["rejected"] == [{"name": "here", "why": "it lacks images"}]
        address = "http://example.org/b.jpg"
        answer = typed("run", "--json", "-a", "one.png", "-a", address, "What is this?").json
        assert answer["model"] == "far"
        (turn,) = far.last.body["messages"]
        inline = f"data:image/png;base64,{b64encode(PNG).decode()}"
        assert turn["content"] == [
            {"type": "image_url", "image_url": {"url": inline}},
            {"type": "image_url", "image_url": {"url": address}},
            {"type": "text", "text": "What is this?"},
        ]
    with closing(open_database()) as connection:
        assert [run.prompt for run in stats.runs(connection)] == ["What is this?"]
    assert b64encode(PNG).decode() not in typed("logs", "--json").out
