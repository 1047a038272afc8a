"""The models that are here: imported, named anew, removed, counted, carried to another machine."""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from builders import Tensor, gguf_file, tiny_bert, tiny_llama
from fakes import FakeEngine
from terminal import Typed

from llmrr import paths
from llmrr.database import open_database
from llmrr.store import archive, candidates, imports, locks, ownership, records
from llmrr.types import Message, Recipe, Sampling


@contextmanager
def database() -> Iterator[Any]:
    with closing(open_database()) as connection:
        yield connection


def installed() -> dict[str, records.Entry]:
    with database() as connection:
        return {entry.label: entry for entry in records.entries(connection)}


def owned() -> set[Path]:
    with database() as connection:
        return set(ownership.noted(connection))


@pytest.fixture
def model() -> Path:
    return tiny_llama(Path("tiny.Q8_0.gguf").absolute(), metadata={"general.file_type": 7})


# -- records -----------------------------------------------------------------------------------


def test_an_entry_is_read_as_it_was_written() -> None:
    entry = records.Entry(
        name="a/b", tag="Q4", path=Path("/m/a.gguf"), origin="file:/m/a.gguf",
        files=(records.StoredFile(Path("/m/a.gguf"), 5, "ab" * 32),), quant="Q4", bytes=5,
        recipe=Recipe(
            system="s", params=Sampling(temperature=0.0, stop=("a", "b"), seed=3),
            options={"flash_attention": "on", "lora": ((Path("/x"), 0.5),), "context_size": None,
                     "chat_template": "file:not read"},
            messages=(Message("user", "hi"),),
        ),
    )  # fmt: skip
    with database() as connection:
        written = records.add(connection, entry)
        assert written.added > 0
        assert records.entries(connection) == [written]
        assert records.get(connection, "A/B:q4") == written
        assert records.matching(connection, "a/b") == [written]
        assert records.matching(connection, "a/b:latest") == [written]
        records.touch(connection, "a/b:Q4", 9e9)
        assert records.latest(connection)[0].latest == 9e9
        records.remove(connection, written)
        assert records.entries(connection) == []


# -- import ------------------------------------------------------------------------------------


def test_a_file_is_installed_where_it_lies(
    typed: Typed, model: Path, engine: FakeEngine
) -> None:
    engine.replies = ["hi"]
    [line] = typed("import", str(model), "--json").json
    assert line == {
        "name": "tiny:Q8_0", "source": f"file:{model}", "format": "gguf",
        "bytes": model.stat().st_size, "path": str(model), "problem": None,
    }  # fmt: skip
    assert typed("run", "tiny", "hello").out == "hi\n"
    assert engine.loads[-1][0] == model
    assert owned() == set()
    assert typed("import", str(model)).code == 0  # the same again changes nothing
    assert list(installed()) == ["tiny:Q8_0"]


@pytest.mark.parametrize("way", ["--copy", "--hardlink", "--move"])
def test_ways_into_llmrrs_own_folder(typed: Typed, model: Path, way: str) -> None:
    content, inode = model.read_bytes(), model.stat().st_ino
    [line] = typed("import", str(model), way, "--name", "mine:v1", "--json").json
    there = Path(line["path"])
    assert there.read_bytes() == content
    assert there.is_relative_to(paths.models_dir())
    assert (there.stat().st_ino == inode) == (way != "--copy")
    assert model.exists() == (way != "--move")
    assert owned() == {there}
    assert typed("rm", "-y", "mine:v1", "--json").json[0]["deleted"] == [str(there)]
    assert model.exists() == (way != "--move")
    assert list(paths.models_dir().iterdir()) == []


def test_ways_exclude_each_other(typed: Typed, model: Path) -> None:
    assert typed("import", str(model), "--copy", "--move").code == 2
    assert typed("import", "--from", "ollama", "--copy").code == 2
    assert typed("import").code == 2
    assert typed("import", "--from", "folder").code == 2
    assert "did you mean ollama?" in typed("import", "--from", "olama").err


def test_a_name_that_is_taken(typed: Typed, model: Path) -> None:
    other = tiny_llama(Path("other.gguf"), seed=1)
    typed("import", str(model), "--name", "mine")
    for words in (("import", "other.gguf"), ("cp", str(other)), ("create", "--from", str(other))):
        at = ("--name",) if words[0] == "import" else ()
        seen = typed(*words, *at, "mine")
        assert (seen.code, 'a model "mine" already' in seen.err) == (1, True), words
    assert installed()["mine"].path == model
    assert typed("import", "other.gguf", "--name", "hf:x").code == 2


def test_what_is_no_model_is_not_installed(typed: Typed) -> None:
    Path("notes.txt").write_text("some notes")
    Path("evil.bin").write_bytes(b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R.")
    Path("cut.gguf").write_bytes(tiny_llama(Path("whole.gguf")).read_bytes()[:-9])
    for name, said in (("notes.txt", "not a model"), ("evil.bin", "pickle"), ("cut.gguf", "dama")):
        seen = typed("import", name)
        assert (seen.code, said in seen.err) == (4, True), name
    assert typed("import", "absent.gguf").code == 3
    assert installed() == {}


def test_a_dry_run_installs_nothing(typed: Typed, model: Path) -> None:
    [line] = typed("import", str(model), "--dry-run", "--json").json
    assert (line["name"], line["source"]) == ("tiny:Q8_0", f"file:{model}")
    assert installed() == {}


def test_a_folder_with_its_projector(typed: Typed) -> None:
    folder = Path("model")
    folder.mkdir()
    tiny_llama(folder / "a.gguf")
    gguf_file(folder / "mmproj-a.gguf", metadata={"general.architecture": "clip"})
    typed("import", "model", "--copy")
    assert [file.path.name for file in installed()["a"].files] == ["a.gguf", "mmproj-a.gguf"]
    tiny_llama(folder / "b.gguf", seed=1)
    seen = typed("import", "model")
    assert (seen.code, "2 models" in seen.err) == (2, True)
    lines = typed("import", "--from", "folder", "model", "--json").json
    assert [line["name"] for line in lines] == ["a", "b"]
    assert installed()["a"].path.is_relative_to(paths.models_dir())


def test_an_embedding_model_is_not_the_one_that_answers(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["hi"]
    tiny_bert(Path("bert.gguf"))
    typed("import", "bert.gguf")
    assert "builtin:mini" in typed("run", "hello").err


# -- adopted -----------------------------------------------------------------------------------


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of Ollama with one model, its system prompt and its parameters."""
    import hashlib

    root = Path("ollama").absolute()
    monkeypatch.setenv("OLLAMA_MODELS", str(root))

    def layer(kind: str, content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (root / "blobs").mkdir(parents=True, exist_ok=True)
        (root / "blobs" / f"sha256-{digest}").write_bytes(content)
        return {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{digest}",
                "size": len(content)}  # fmt: skip

    model = tiny_llama(Path("made.gguf")).read_bytes()
    layers = [
        layer("model", model), layer("system", b"Be terse."),
        layer("params", json.dumps({"temperature": 0.1, "num_ctx": 128, "stop": ["X"]}).encode()),
    ]  # fmt: skip
    manifest = root / "manifests/registry.ollama.ai/library/llama3.2/latest"
    manifest.parent.mkdir(parents=True)
    config = layer("config", b'{"model_format": "gguf"}')
    manifest.write_text(json.dumps({"schemaVersion": 2, "config": config, "layers": layers}))
    return root


def test_a_model_of_ollama_runs_where_it_lies(
    typed: Typed, ollama: Path, engine: FakeEngine
) -> None:
    engine.replies = ["one", "two"]
    assert typed("run", "ollama:llama3.2", "hello").out == "one\n"
    [line] = typed("import", "--from", "ollama", "--json").json
    assert (line["name"], line["source"]) == ("llama3.2:latest", "ollama:llama3.2:latest")
    assert typed("run", "llama3.2", "hello").out == "two\n"
    for request, (path, options) in zip(engine.requests, engine.loads, strict=True):
        assert path.is_relative_to(ollama)
        assert options.context_size == 128
        assert request.sampling.temperature == 0.1
        assert request.messages[0] == Message("system", "Be terse.")
    before = sorted(path for path in ollama.rglob("*"))
    removed = typed("rm", "-y", "llama3.2", "--json").json[0]
    assert (removed["freed_bytes"], removed["kept"][0]["why"]) == (0, "it is not llmrr's")
    assert sorted(path for path in ollama.rglob("*")) == before


def test_what_others_hold_is_listed_with_all(typed: Typed, ollama: Path) -> None:
    names = [line["name"] for line in typed("list", "--json").json]
    assert names == ["builtin:mini"]
    [held, _] = typed("list", "--all", "--json").json
    assert (held["name"], held["holder"], held["origin"]) == (
        "ollama:llama3.2:latest", "ollama", "ollama",
    )  # fmt: skip
    typed("import", "--from", "ollama")
    assert [line["holder"] for line in typed("list", "--all", "--json").json] == [None, None]


def test_what_vanishes_is_shown_as_missing(typed: Typed, ollama: Path, engine: FakeEngine) -> None:
    typed("import", "--from", "ollama")
    for blob in (ollama / "blobs").iterdir():
        blob.unlink()
    [line, _] = typed("list", "--json").json
    assert line["is_missing"]
    assert "missing" in typed("list").out
    seen = typed("run", "-m", "llama3.2", "hello")
    assert (seen.code, "are gone" in seen.err) == (3, True)
    engine.replies = ["hi"]
    assert typed("run", "hello").out == "hi\n"  # and it is no default
    assert [one["name"] for one in typed("prune", "-y", "--json").json] == ["llama3.2:latest"]
    assert installed() == {}


def test_adopted_twice_is_adopted_once(typed: Typed, ollama: Path, model: Path) -> None:
    typed("import", str(model), "--name", "llama3.2:latest")
    for _ in range(2):
        assert typed("import", "--from", "ollama", "--json").json[0]["name"] == (
            "ollama/llama3.2:latest"
        )
    assert len(installed()) == 2
    assert typed("import", "--from", "ollama", "--include", "qwen*").code == 1
    assert typed("import", "--from", "ollama", "--dry-run").code == 0


# -- other names -------------------------------------------------------------------------------


def test_an_alias_and_a_recipe_share_the_file(
    typed: Typed, model: Path, engine: FakeEngine
) -> None:
    engine.replies = ["1", "2"]
    typed("import", str(model), "--copy", "--name", "base")
    assert typed("cp", "base", "other").out == "other\n"
    made = typed("create", "brief", "--from", "other", "-s", "Be brief.", "-o", "temp", "0.2",
                 "-o", "num_ctx", "64")  # fmt: skip
    assert made.out == "brief\n"
    typed("create", "briefer", "--from", "brief", "-o", "top_k", "1")
    typed("run", "briefer", "hello")
    assert engine.requests[0].messages[0].content == "Be brief."
    assert engine.requests[0].sampling.temperature == 0.2
    assert engine.requests[0].sampling.top_k == 1
    assert engine.loads[0][1].context_size == 64
    typed("run", "briefer", "-s", "Be long.", "hello")
    assert engine.requests[1].messages[0].content == "Be long."
    usage = typed("df", "--json").json
    size = model.stat().st_size
    assert usage["total_bytes"] == size
    assert [one["bytes"] for one in usage["models"]] == [size] * 4
    assert usage["places"][0]["bytes"] == size
    # The bytes go with the last name.
    freed = [typed("rm", "-y", name, "--json").json[0]["freed_bytes"]
             for name in ("base", "other", "briefer", "brief")]  # fmt: skip
    assert freed == [0, 0, 0, size]


def test_several_are_removed_at_once(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--copy", "--name", "one")
    typed("cp", "one", "two")
    freed = [line["freed_bytes"] for line in typed("rm", "-y", "one", "two", "--json").json]
    assert freed == [0, model.stat().st_size]


def test_a_modelfile(typed: Typed, model: Path, engine: FakeEngine) -> None:
    engine.replies = ["hi"]
    Path("Modelfile").write_text(
        f'FROM {model.name}\nPARAMETER temperature 0.3\nPARAMETER stop "END"\n'
        'SYSTEM """You are terse.\nVery."""\nTEMPLATE {{ .Prompt }}\n'
        "MESSAGE user hi\nMESSAGE assistant yo\nPARAMETER mirostat 1\n"
    )
    seen = typed("create", "terse")  # the one of this folder, as Ollama does
    assert seen.out == "terse\n"
    assert "mirostat" in seen.err and "TEMPLATE" in seen.err
    typed("run", "terse", "hello")
    [request] = engine.requests
    assert [(one.role, one.content) for one in request.messages] == [
        ("system", "You are terse.\nVery."), ("user", "hi"), ("assistant", "yo"),
        ("user", "hello"),
    ]  # fmt: skip
    assert (request.sampling.temperature, request.sampling.stop) == (0.3, ("END",))
    written = typed("show", "terse", "--modelfile").out
    Path("Again").write_text(written)
    typed("create", "again", "-f", "Again")
    assert installed()["again"].recipe == installed()["terse"].recipe
    assert typed("create", "none", "-f", "Absent").code == 3
    Path("Bad").write_text("SYSTEM hi\n")
    assert typed("create", "none", "-f", "Bad").code == 8
    Path("Modelfile").unlink()
    assert typed("create", "none").code == 2


def test_a_modelfile_from_what_ollama_has(typed: Typed, ollama: Path) -> None:
    Path("Modelfile").write_text("FROM llama3.2\nSYSTEM Speak like a pirate.\n")
    assert typed("create", "pirate", "-f", "Modelfile").code == 0
    recipe = installed()["pirate"].recipe
    assert (recipe.system, recipe.params.temperature) == ("Speak like a pirate.", 0.1)
    Path("Modelfile").write_text("FROM qwen3:4b\n")
    seen = typed("create", "x", "-f", "Modelfile")
    assert (seen.code, "hint: llmrr pull qwen3:4b" in seen.err) == (3, True)
    Path("Modelfile").write_text("FROM unheard-of\n")
    assert typed("create", "x", "-f", "Modelfile").code == 3


def lora(path: Path, **metadata: Any) -> Path:
    return gguf_file(
        path,
        metadata={"general.type": "adapter", "general.architecture": "llama", **metadata},
        tensors={"blk.0.attn_q.weight.lora_a": Tensor((8, 2), 0, bytes(64))},
    )


def test_all_of_a_modelfile_is_kept(typed: Typed, model: Path) -> None:
    lora(Path("adapter.gguf"))
    gguf_file(Path("mmproj.gguf"), metadata={"general.architecture": "clip"})
    Path("My").write_text(
        f'FROM ./{model.name}\nFROM ./mmproj.gguf\nADAPTER ./adapter.gguf\n'
        'TEMPLATE """{{ .Prompt }}"""\nLICENSE """MIT\nand so on"""\n'
    )
    assert typed("create", "mine", "-f", "My").code == 0
    entry = installed()["mine"]
    assert {file.path.name for file in entry.files} == {
        model.name, "mmproj.gguf", "adapter.gguf",
    }  # fmt: skip
    assert (entry.recipe.template, entry.recipe.license) == ("{{ .Prompt }}", "MIT\nand so on")
    written = typed("show", "mine", "--modelfile").out
    assert f"FROM {model}\nFROM {Path('mmproj.gguf').absolute()}\n" in written
    Path("Again").write_text(written)
    typed("create", "again", "-f", "Again")
    assert installed()["again"].recipe == entry.recipe
    assert len(installed()["again"].files) == 3
    typed("import", str(model), "--move", "--name", "moved")
    assert "would miss it" in typed("import", str(model), "--move", "--name", "moved").err


def test_relative_adapters_and_own_templates(typed: Typed, model: Path) -> None:
    lora(Path("adapter.gguf"))
    Path("t.jinja").write_text("{{ messages[0].content }}!")
    typed("create", "mine", "--from", str(model), "-o", "lora", "adapter.gguf",
          "-o", "chat_template", "file:t.jinja")  # fmt: skip
    [(path, _)] = installed()["mine"].recipe.options["lora"]
    assert path == Path("adapter.gguf").absolute()
    assert typed("show", "mine", "--template").out == "{{ messages[0].content }}!\n"
    assert typed("show", "mine", "--json").json["chat_template"] == "{{ messages[0].content }}!"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PermissionError(13, "Permission denied", "/x/a.gguf"), 1),
        (OSError(28, "No space", "/x"), 5),
    ],
)
def test_what_the_system_refuses_is_told(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, error: OSError, code: int
) -> None:
    def refused(path: Path) -> None:
        raise error

    monkeypatch.setattr(candidates, "candidate", refused)
    seen = typed("import", "./a.gguf")
    assert (seen.code, seen.err.splitlines()[0]) == (
        code, f"llmrr: {error.filename}: {error.strerror}"
    )  # fmt: skip


def test_names_that_are_no_text(typed: Typed) -> None:
    name = os.fsdecode(b"./a\xff")
    for command in ("show", "fit", "import", "pull", "rm"):
        seen = typed(command, name)
        assert (seen.code, "Traceback" in seen.err) in ((2, False), (3, False)), seen.err
    assert typed("import", "/tmp/" + "0" * 300).code == 1


def test_a_path_where_nothing_is(typed: Typed, model: Path) -> None:
    for words in (("show",), ("run", "hello", "-m"), ("import",), ("pull",), ("fit",)):
        seen = typed(*words, "./tinny.Q8_0.gguf")
        assert (seen.code, f"did you mean {model}?" in seen.err) == (3, True), seen.err
    assert "did you mean" not in typed("show", "./zzz.gguf").err
    for name, hint in (
        ("gpt-4o", "openai:gpt-4o is that of the provider"), ("gpt-os", "llmrr pull gpt-oss"),
        ("claude-3", "anthropic:claude-3 is that of the provider"),
    ):  # fmt: skip
        assert f"  hint: {hint}\n" in typed("show", name).err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{% for", "cannot be read: unexpected 'end of template' (line 1)"),
        ("a\nb{{ x", "(line 2)"),
        ("{% if a %}" * 30_000, "RecursionError"),
        ("file:nosuch", "nosuch cannot be read"),
    ],
)
def test_a_template_that_is_broken(typed: Typed, model: Path, text: str, why: str) -> None:
    seen = typed("create", "mine", "--from", str(model), "-o", "chat_template", text)
    assert (seen.code, why in seen.err) == (2, True), seen.err
    assert installed() == {}


def test_a_damaged_model_is_given_no_other_name(typed: Typed, model: Path) -> None:
    Path("cut.gguf").write_bytes(model.read_bytes()[:-100])
    for words in (("cp", "./cut.gguf", "z"), ("create", "z", "--from", "./cut.gguf")):
        assert typed(*words).code == 4
    assert installed() == {}


def test_what_a_file_says_writes_nothing_to_a_terminal(typed: Typed) -> None:
    evil = "\x1b]0;owned\x07\x1b[31mred"
    tiny_llama(Path("evil.gguf"), metadata={"general.name": evil, "general.license": evil})
    for terminal in (False, True):
        assert "\x1b" not in typed("show", "evil.gguf", out_terminal=terminal).out
    assert typed("show", "evil.gguf", "--json").json["title"] == evil


def test_a_modelfile_names_what_is_there(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--move", "--name", "moved")
    assert f"FROM {installed()['moved'].path}\n" in typed("show", "moved", "--modelfile").out
    typed("create", "kind", "--from", "builtin:mini", "-s", "x")
    Path("Kind").write_text(typed("show", "kind", "--modelfile").out)
    assert typed("create", "again", "-f", "Kind").code == 0


def test_a_modelfile_without_from_beside_a_base(typed: Typed, model: Path) -> None:
    Path("Style").write_text('SYSTEM "Be brief."\n')
    assert typed("create", "brief", "-f", "Style", "--from", str(model)).code == 0
    assert installed()["brief"].recipe.system == "Be brief."
    piped = typed("create", "piped", "-f", "-", "--from", "brief", stdin="PARAMETER seed 4\n")
    assert piped.code == 0
    assert installed()["piped"].recipe.params.seed == 4
    Path("Style").write_text("FROM breif\n")
    seen = typed("create", "x", "-f", "Style")
    assert (seen.code, "did you mean brief?" in seen.err) == (3, True)


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("absent.gguf", 3, "absent.gguf does not exist"),
        ("tiny.Q8_0.gguf", 4, "is a model, and not a LoRA adapter"),
        ("peft", 4, "has to be a GGUF file"),
        ("text.txt", 4, "not a model"),
    ],
)
def test_adapters_are_looked_at_when_they_are_named(
    typed: Typed, model: Path, name: str, code: int, said: str
) -> None:
    from layouts import lora_folder

    lora_folder(Path("peft"))
    Path("text.txt").write_text("hello")
    Path("My").write_text(f"FROM {model}\nADAPTER ./{name}\n")
    for words in (("-f", "My"), ("--from", str(model), "-o", "lora", f"./{name}")):
        seen = typed("create", "mine", *words)
        assert (seen.code, said in seen.err) == (code, True), seen.err
    assert installed() == {}


def test_the_built_in_model_can_be_a_base(typed: Typed, engine: FakeEngine) -> None:
    engine.replies = ["hi"]
    assert typed("create", "mine", "--from", "builtin:mini", "-s", "Be kind.").code == 0
    assert typed("run", "mine", "hello").out == "hi\n"
    assert typed("rm", "-y", "mine").code == 0
    assert paths.builtin_model().exists()


def test_what_is_made_of_the_built_in_model_is_told_by_its_own_name(typed: Typed) -> None:
    typed("create", "mine", "--from", "builtin:mini", "-s", "Be kind.")
    assert typed("show", "mine", "--json").json["name"] == "mine"
    assert typed("fit", "mine", "--json").json[0]["name"] == "mine"
    line = typed("list", "--json").json[0]
    assert (line["bytes"], line["quant"]) == (paths.builtin_model().stat().st_size, "Q8_0")


def test_a_damaged_model_is_told_as_such(typed: Typed, model: Path) -> None:
    cut = Path("folder/cut.gguf")
    cut.parent.mkdir()
    cut.write_bytes(model.read_bytes()[:-100])
    facts = typed("show", str(cut), "--json").json
    assert (facts["engines"], facts["fit"]) == ([], None)
    assert "is damaged" in facts["problem"]
    assert "cannot be run" in typed("show", str(cut)).out
    assert typed("fit", str(cut)).code == 4
    seen = typed("import", "--from", "folder", "folder")
    assert (seen.code, seen.out, "is damaged" in seen.err) == (1, "", True)
    [listed] = typed("import", "--from", "folder", "folder", "--dry-run", "--json").json
    assert (listed["name"], "is damaged" in listed["problem"]) == (None, True)
    (cut.parent / "whole.gguf").write_bytes(model.read_bytes())
    lines = typed("import", "--from", "folder", "folder", "--json").json
    assert [(one["name"], one["problem"] and "damaged" in one["problem"]) for one in lines] == [
        (None, True), ("whole", None)
    ]  # fmt: skip


# -- removed -----------------------------------------------------------------------------------


def test_rm_asks(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--name", "mine")
    seen = typed("rm", "mine")
    assert (seen.code, "-y" in seen.err) == (1, True)
    assert typed("rm", "mine", answers="n\n").code == 1
    assert typed("rm", "mine", answers="\n").code == 1
    assert list(installed()) == ["mine"]
    assert typed("rm", "mine", answers="y\n").code == 0
    assert installed() == {}


def test_rm_of_what_is_not_there(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--name", "mine:a")
    typed("import", str(model), "--name", "mine:b")
    assert "did you mean mine:a" in typed("rm", "-y", "mime:a").err
    assert "several models" in typed("rm", "-y", "mine").err
    assert typed("rm", "-y", "builtin:mini").code == 2
    Path("llmrr.toml").write_text(
        f'version = 1\n[[models]]\nname = "conf"\nsource = "file:{model}"\n'
    )
    assert "llmrr.toml" in typed("rm", "-y", "conf").err
    assert len(installed()) == 2
    assert typed("rm", "--dry-run", "mine:a").code == 0
    assert len(installed()) == 2


def orphan(name: str = "lost") -> Path:
    """A copy whose command was killed before it noted the model."""
    source = tiny_llama(Path(f"{name}.gguf").absolute(), seed=7)
    with database() as connection:
        found = candidates.candidate(source)
        entry = imports.import_model(connection, found, how="copy", label=name)
        records.remove(connection, entry)
    return entry.path


def test_prune_takes_only_what_nobody_needs(typed: Typed, model: Path) -> None:
    typed("import", str(model), "--copy", "--name", "kept")
    kept = installed()["kept"].path
    blobs = paths.hub_cache_dir() / "models--o--r" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{'ab' * 32}.0f3e.incomplete").write_bytes(b"x" * 5000)
    (blobs / f"{'ab' * 32}.incomplete").write_bytes(b"older clients come back to this name")
    (blobs / ("cd" * 32)).write_bytes(b"of another tool")
    lost = orphan()
    remains = paths.models_dir() / ".gone.999999-abcdef01"
    remains.mkdir()
    (remains / "part.gguf").write_bytes(b"x" * 100)
    mine = paths.models_dir() / "mine"
    mine.mkdir()
    (mine / "a.gguf").write_bytes(b"put there by hand")
    dry = typed("prune", "--dry-run", "--json").json
    assert {Path(one["path"]) for one in dry} == {
        blobs / f"{'ab' * 32}.0f3e.incomplete", remains, lost,
    }  # fmt: skip
    assert remains.exists()
    assert typed("prune", "-y").code == 0
    assert not remains.exists() and not lost.parent.exists()
    assert len(list(blobs.iterdir())) == 2
    assert kept.exists() and mine.exists()
    assert typed("prune").out == "nothing to remove\n"


def test_prune_leaves_alone_what_is_being_added(typed: Typed) -> None:
    lost = orphan()
    with locks.adding():
        assert typed("prune", "-y", "--json").json == []
    assert lost.exists()
    assert len(typed("prune", "-y", "--json").json) == 1


def test_prune_asks(typed: Typed) -> None:
    lost = orphan()
    seen = typed("prune")
    assert (seen.code, "-y" in seen.err) == (1, True)
    assert typed("prune", answers="n\n").code == 1
    assert lost.exists()
    assert typed("prune", answers="y\n").code == 0
    assert not lost.exists()


# -- told --------------------------------------------------------------------------------------


def test_list_sorts_and_filters(typed: Typed, model: Path) -> None:
    tiny_llama(Path("big.gguf"), layers=4)
    typed("import", "big.gguf", "--name", "b/big")
    typed("import", str(model), "--name", "a-tiny")

    def names(*words: str) -> list[str]:
        return [line["name"] for line in typed("list", *words, "--json").json]

    assert names() == ["a-tiny", "b/big", "builtin:mini"]
    assert names("--sort", "size") == ["b/big", "a-tiny", "builtin:mini"]
    assert names("--sort", "added") == ["a-tiny", "b/big", "builtin:mini"]
    assert names("BIG") == ["b/big"]
    assert names("?-*") == ["a-tiny"]
    assert names("zzz") == []
    assert "did you mean" not in typed("list", "--sort", "sise").out
    assert typed("list", "--sort", "sise").code == 2


def test_show(typed: Typed, model: Path, engine: FakeEngine) -> None:
    typed("import", str(model), "--copy", "--name", "mine")
    typed("cp", "mine", "other")
    facts = typed("show", "mine", "--json").json
    assert facts["architecture"] == "llama"
    assert facts["place"] == "llmrr"
    assert facts["parameters"] > 10_000
    assert facts["context_length"] == 256
    assert facts["tensor_types"]["F32"][0] > 10
    assert facts["engines"] == [{"name": "fake", "missing": None}]
    assert facts["holders"] == ["other"]
    assert facts["fit"]["fits"] is True
    assert facts["files"][0]["bytes"] == model.stat().st_size
    assert facts["digest"] == facts["files"][0]["digest"] is not None
    assert facts["metadata"]["general.file_type"] == 7
    page = typed("show", "mine").out
    for words in ("parameters", "Q8_0", "CHAT TEMPLATE", "METADATA", "fits here"):
        assert words in page
    assert typed("show", "mine", "--template").out.startswith("{% for m in messages %}")
    assert typed("show", str(model)).code == 0
    assert typed("show", "builtin:mini", "--json").json["name"] == "builtin:mini"
    assert typed("show", "nothing").code == 3


def test_show_of_what_is_no_model_to_run(typed: Typed) -> None:
    Path("evil.pkl").write_bytes(b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R.")
    facts = typed("show", "./evil.pkl", "--json").json
    assert (facts["format"], facts["unsafe"]) == ("pytorch", ["posix.system"])
    assert "posix.system" in typed("show", "./evil.pkl").out
    adapter = gguf_file(
        Path("adapter.gguf"),
        metadata={"general.type": "adapter", "adapter.type": "lora",
                  "general.architecture": "llama", "adapter.lora.alpha": 1.0},
        tensors={"blk.0.attn_q.weight.lora_a": Tensor((8, 2), 0, bytes(64))},
    )  # fmt: skip
    assert typed("show", str(adapter), "--json").json["kind"] == "adapter"


def test_who_else_holds_it(typed: Typed, ollama: Path) -> None:
    typed("import", "--from", "ollama")
    entry = installed()["llama3.2:latest"]
    blob = paths.hub_cache_dir() / "models--o--r/blobs" / (entry.digest or "")
    blob.parent.mkdir(parents=True)
    blob.write_bytes(entry.path.read_bytes())
    link = blob.parent.parent / "snapshots/0123/a-Q4_0.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(f"../../blobs/{blob.name}")
    typed("cp", "llama3.2", "mine")
    assert typed("show", "llama3.2", "--json").json["holders"] == ["mine", "huggingface:o/r:Q4_0"]
    assert "also held by" in typed("show", "mine").out


def test_df_counts_shared_bytes_once(typed: Typed, ollama: Path, model: Path) -> None:
    typed("import", str(model), "--hardlink", "--name", "linked")
    typed("import", str(model), "--name", "there")
    usage = typed("df", "--json").json
    assert usage["total_bytes"] == model.stat().st_size
    assert {one["shared_bytes"] for one in usage["models"]} == {model.stat().st_size}
    everything = typed("df", "--all", "--json").json
    assert {place["place"] for place in everything["places"]} == {"llmrr", "folder", "ollama"}
    assert "in all" in typed("df").out


# -- when things go wrong ------------------------------------------------------------------------


def test_a_full_disk_while_importing(
    typed: Typed, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    seen = typed("import", str(model), "--copy")
    assert (seen.code, "are to be copied" in seen.err) == (5, True)
    assert typed("import", str(model)).code == 0


def test_ctrl_c_while_importing_leaves_nothing(
    typed: Typed, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(archive, "copy", interrupted)
    assert typed("import", str(model), "--copy").code == 130
    assert list(paths.models_dir().iterdir()) == []
    assert installed() == {}


def test_the_store_of_a_read_only_home(
    typed: Typed, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").write_text("")
    monkeypatch.setenv("LLMRR_HOME", str(Path("file").absolute()))
    seen = typed("import", str(model))
    assert (seen.code, "Traceback" in seen.err) == (1, False)
    assert typed("list").code == 0
    assert model.exists()


def test_what_was_killed_before_it_was_noted_is_taken_away_by_the_next(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_llama(Path("tiny.gguf"))
    words = ("import", "tiny.gguf", "--copy", "--name", "mine")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(records, "add", killed)
        assert typed(*words).code == 130
    [left] = paths.models_dir().iterdir()
    assert typed(*words).code == 0
    [folder] = paths.models_dir().iterdir()
    assert folder != left
    assert typed("list", "--json").json[0]["path"].startswith(str(folder))
