"""Files, folders and repositories to artefacts; whatever lies there, the scan goes on."""

import json
import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from planted import KEYS, assert_absent
from terminal import Typed

from llmrr.errors import DamagedFile, NotFound, UsageError
from llmrr.migrate import readers, scanning
from llmrr.migrate.artefact import Artefact, Findings
from llmrr.migrate.documents import Document
from llmrr.migrate.readers.base import Reader
from llmrr.migrate.scanning import Scan
from llmrr.migrate.scanning.reading import OURS

ROUTES = "model_list:\n  - model_name: a\n    litellm_params: {model: openai/gpt-4o}\n"
CODE = "from openai import OpenAI\nOpenAI().chat.completions.create(model='gpt-4o')\n"


def of_data(document: Document) -> Iterator[Artefact]:
    """A small reader of tables with ``model_list``."""
    shape = document.shape
    if not isinstance(shape, dict) or "model_list" not in shape:
        return
    if shape["model_list"] == "raise":
        raise KeyError(KEYS["openai"])
    findings = Findings(document.path, "litellm")
    for one in shape["model_list"]:
        model = findings.model("openai:gpt-4o", one["model_name"])
        model.params["temperature"] = 0.5
        if key := one.get("api_key"):
            findings.secrets.add(key)
            findings.warn("secret-in-clear", f"a key: {key}", 1)
    yield findings.artefact()


def of_code(document: Document) -> Iterator[Artefact]:
    if document.code and any(one.name == "create" for one in document.code.calls):
        findings = Findings(document.path, "openai-code")
        findings.model("openai:gpt-4o")
        yield findings.artefact()


def of_folder(real: Path, shown: Path) -> Iterable[Artefact]:
    if (real / "manifests").is_dir() and (real / "blobs").is_dir():
        return [Findings(shown, "ollama-store").artefact()]
    return []


def of_database(document: Document) -> Iterator[Artefact]:
    if document.data.startswith(b"SQLite format 3"):
        yield Findings(document.path, "response-cache").artefact()


def forced(document: Document) -> Iterable[Artefact]:
    if not isinstance(document.shape, dict):
        raise DamagedFile("it holds no table")
    return [Findings(document.path, "custom").artefact()]


SMALL = (
    Reader(("litellm",), of_data=of_data), Reader(("openai-code",), of_code=of_code),
    Reader(("ollama-store",), of_folder=of_folder),
    Reader(("response-cache",), of_data=of_database), Reader(("custom",), forced=forced),
)  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "READERS", SMALL)


def scan(*paths: str | Path, **named: object) -> Scan:
    return scanning.scan(paths, **named)  # type: ignore[arg-type]


def put(path: str, text: str | bytes) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def shown(found: Scan) -> list[str]:
    return [str(one.path) for one in found.artefacts]


def reasons(found: Scan) -> dict[str, str]:
    return {str(one.path): one.why for one in found.skipped}


def test_a_repository_in_the_order_of_its_paths() -> None:
    put("repo/b/routes.yaml", ROUTES)
    put("repo/b.yaml", ROUTES)
    put("repo/a.txt", ROUTES)
    put("repo/b/app.py", CODE)
    put("repo/README.md", ROUTES)
    found = scan("repo")
    assert shown(found) == ["repo/a.txt", "repo/b/app.py", "repo/b/routes.yaml", "repo/b.yaml"]
    assert (found.files, found.read, found.folders) == (5, 4, 2)
    assert scan("repo") == found


def test_paths_are_shown_as_they_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    file = put("repo/x/a.yaml", ROUTES)
    assert shown(scan(".")) == ["repo/x/a.yaml"]
    assert shown(scan("repo/x/../x/a.yaml")) == ["repo/x/../x/a.yaml"]
    assert shown(scan(file.resolve())) == [str(file.resolve())]
    monkeypatch.chdir("repo/x")
    assert shown(scan("..")) == ["../x/a.yaml"]


def test_what_is_given_twice_is_found_once() -> None:
    put("repo/a.yaml", ROUTES)
    assert shown(scan("repo", "repo/a.yaml")) == ["repo/a.yaml"]
    assert shown(scan("repo/a.yaml", "repo")) == ["repo/a.yaml"]


def test_folders_that_hold_nothing_of_the_users_are_left_and_told() -> None:
    for folder in ("node_modules/x", ".git", "__pycache__", "venv/lib", "dist", ".vscode", "build"):
        put(f"repo/{folder}/a.yaml", ROUTES)
    put("repo/venv/pyvenv.cfg", "home = /usr")
    put("repo/package.json", "{}")
    put("repo/other/build/a.yaml", ROUTES)
    found = scan("repo")
    assert shown(found) == ["repo/other/build/a.yaml"]
    assert reasons(found) == {
        "repo/.git": "version control", "repo/.vscode": "hidden folder",
        "repo/__pycache__": "cache", "repo/build": "build output", "repo/dist": "build output",
        "repo/node_modules": "dependencies", "repo/venv": "virtual environment",
    }  # fmt: skip
    assert shown(scan("repo/node_modules")) == ["repo/node_modules/x/a.yaml"]


def test_a_home_directory_is_searched_where_tools_keep_things() -> None:
    kept = (
        ".continue/config.yaml", ".config/aichat/config.yaml", ".config/io.datasette.llm/m.yaml",
        ".local/share/nomic.ai/GPT4All/a.yaml", ".lmstudio/presets/a.yaml", ".env/a.yaml",
        "Library/Application Support/io.datasette.llm/a.yaml", "work/.continue/a.yaml",
    )  # fmt: skip
    for name in (
        *kept, ".config/chromium/a.yaml", ".mozilla/a.yaml", ".cache/pip/a.yaml",
        "Library/Application Support/Slack/a.yaml", "Library/Mail/a.yaml", ".local/lib/a.yaml",
    ):  # fmt: skip
        put(f"home/{name}", ROUTES)
    found = scan("home")
    assert set(shown(found)) == {f"home/{name}" for name in kept}
    assert reasons(found)["home/.config/chromium"] == "not of a tool that is known"
    assert reasons(found)["home/.mozilla"] == "hidden folder"


def test_a_folder_that_a_reader_takes_is_not_walked() -> None:
    put("home/.ollama/models/manifests/x", ROUTES)
    put("home/.ollama/models/blobs/y.yaml", ROUTES)
    put("home/.ollama/models/z.yaml", ROUTES)
    put("home/.ollama/models/ask.py", CODE)
    put("home/.ollama/models/modeling_x.py", CODE)
    found = scan("home")
    assert [(str(one.path), one.kind) for one in found.artefacts] == [
        ("home/.ollama/models", "ollama-store"), ("home/.ollama/models/ask.py", "openai-code"),
    ]  # fmt: skip


def test_links_are_followed_only_to_files_of_the_same_folder() -> None:
    put("secret/a.yaml", ROUTES)
    put("repo/z.yaml", ROUTES)
    put("repo/.hidden/b.yaml", ROUTES)
    Path("repo/out.yaml").symlink_to("../secret/a.yaml")
    Path("repo/outer").symlink_to("../secret")
    Path("repo/again.yaml").symlink_to("z.yaml")
    Path("repo/inner.yaml").symlink_to(".hidden/b.yaml")
    Path("repo/broken").symlink_to("gone")
    Path("repo/self").symlink_to("self")
    Path("repo/.hidden/up").symlink_to("..")
    Path("repo/sub").mkdir()
    Path("repo/sub/loop").symlink_to("..")
    found = scan("repo")
    assert shown(found) == ["repo/inner.yaml", "repo/z.yaml"]
    assert reasons(found) == {
        "repo/.hidden": "hidden folder", "repo/broken": "broken link",
        "repo/out.yaml": "link out of the folder", "repo/outer": "link out of the folder",
        "repo/self": "link that leads in a circle",
        "repo/sub/loop": "link that leads in a circle",
    }  # fmt: skip
    Path("named.yaml").symlink_to("secret/a.yaml")
    assert shown(scan("named.yaml")) == ["named.yaml"]


def test_only_and_skip_are_globs() -> None:
    for name in ("a.yaml", "b.json", "tests/c.yaml", "src/d.yaml"):
        put(f"repo/{name}", ROUTES)
    assert shown(scan("repo", only=["*.json"])) == ["repo/b.json"]
    assert shown(scan("repo", only=["src/*"])) == ["repo/src/d.yaml"]
    found = scan("repo", skip=["tests/", "a.*"])
    assert shown(found) == ["repo/b.json", "repo/src/d.yaml"]
    assert reasons(found) == {"repo/tests": "left out"}


def test_what_is_no_file_is_not_opened() -> None:
    put("repo/a.yaml", ROUTES)
    os.mkfifo("repo/pipe.yaml")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("repo/socket.yaml")
        found = scan("repo")
    assert shown(found) == ["repo/a.yaml"]
    assert reasons(found) == dict.fromkeys(("repo/pipe.yaml", "repo/socket.yaml"), "no plain file")
    for place in ("repo/pipe.yaml", "/dev/zero"):
        assert scan(place).artefacts[0].error == "no plain file"


def test_a_large_file_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, head in (("a.yaml", ROUTES.encode()), ("b.db", b"SQLite format 3\0")):
        with put(f"repo/{name}", head).open("r+b") as file:
            file.truncate(1_000_000_000)
    found = scan("repo")
    assert shown(found) == ["repo/b.db"]
    assert reasons(found) == {"repo/a.yaml": "larger than 8,000,000 bytes"}
    assert scan("repo/a.yaml").artefacts[0].kind == "none"


def test_minified_code_is_left() -> None:
    put("repo/app.js", "var openai=1;" * 10_000)
    assert reasons(scan("repo")) == {"repo/app.js": "minified bundle"}


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("half.json", b'{"model_list": [{"model_name": ', "not JSON: it ends too early (line 1)"),
        ("bomb.yaml", b"model: &a [x,x]\n" + b"".join(
            f"b{at}: &b{at} [{','.join([f'*b{at - 1}' if at else '*a'] * 9)}]\n".encode()
            for at in range(12)), "values, its aliases written out"),
        ("deep.json", b'{"model":' * 5000, "nested too deeply"),
        ("deep.yaml", b"model: " + b"[" * 5000, "nest"),
        ("jinja.yaml", b"{% if a %}\nmodel: x\n{% endif %}\n", "template"),
        ("old.py", b"import openai\nprint 'x'\n", "not Python 3"),
    ],
)
def test_a_damaged_file_is_listed_and_the_rest_is_read(name: str, data: bytes, why: str) -> None:
    put(f"repo/{name}", data)
    put("repo/good.yaml", ROUTES)
    found = scan("repo")
    assert shown(found) == ["repo/good.yaml"]
    assert [str(one.path) for one in found.unreadable] == [f"repo/{name}"]
    assert why in found.unreadable[0].why
    alone = scan(f"repo/{name}").artefacts
    assert [one.kind for one in alone] == ["none"] and why in (alone[0].error or "")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_other_encodings_are_read(encoding: str) -> None:
    put("repo/a.yaml", f"# é\n{ROUTES}".encode(encoding))
    assert shown(scan("repo")) == ["repo/a.yaml"]


def test_names_may_be_anything() -> None:
    for name in ("a\nb.yaml", "\x1b[31m.yaml", "-rf.yaml", "*.yaml", "é ü.yaml", " .yaml"):
        put(f"repo/{name}", ROUTES)
    Path(os.fsdecode(b"repo/\xff.yaml")).write_text(ROUTES)
    assert len(scan("repo").found) == 7


def test_what_the_system_refuses_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    put("repo/good.yaml", ROUTES)
    put("repo/locked.yaml", ROUTES)
    put("repo/vanished.yaml", ROUTES)
    put("repo/shut/a.yaml", ROUTES)
    real_open, real_list = os.open, os.scandir

    def opened(path: str, *rest: int) -> int:
        if "locked" in str(path):
            raise PermissionError(13, "Permission denied", path)
        if "vanished" in str(path):
            raise FileNotFoundError(2, "No such file or directory", path)
        return real_open(path, *rest)

    def listed(path: str) -> object:
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return real_list(path)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "scandir", listed)
    found = scan("repo")
    assert shown(found) == ["repo/good.yaml"]
    assert {str(one.path): one.why for one in found.unreadable} == {
        "repo/locked.yaml": "permission denied", "repo/shut": "permission denied",
        "repo/vanished.yaml": "no such file or directory",
    }  # fmt: skip
    assert scan("repo/locked.yaml").artefacts[0].error == "permission denied"


def test_very_deep_folders() -> None:
    put("repo/" + "d/" * 400 + "a.yaml", ROUTES)
    assert len(scan("repo").found) == 1


def test_a_reader_that_breaks_is_survived_and_told() -> None:
    put("repo/bad.yaml", "model_list: raise\n")
    put("repo/good.yaml", ROUTES)
    found = scan("repo")
    assert shown(found) == ["repo/bad.yaml", "repo/good.yaml"]
    error = found.artefacts[0].error or ""
    assert error.startswith("this is a bug in llmrr: KeyError in test_migrate_scan.py:")
    assert_absent(error)


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("deploy.yaml", "apiVersion: v1\nkind: Pod\n", "not an LLM config: Kubernetes"),
        ("llm.yaml", "channels: [a]\ndependencies: [b]\n", "a conda environment"),
        ("c.yaml", "services:\n  a: {image: b}\n", "Docker Compose"),
        ("model.pkl", b"\x80\x04\x95\0\0", "Unsupported model format '.pkl'"),
        ("model.pth", b"PK\x03\x04\0\0", "Unsupported model format '.pth'"),
        ("cache.dat", b"\x80\x04\x95\0\0", "a pickle, which is never loaded"),
        ("m.gguf", b"GGUF\x03\0\0\0", "a GGUF model"),
        ("x.png", b"\x89PNG\r\n\x1a\n\0\0", "a picture"),
        ("empty.yaml", "", "empty"),
        ("notes.md", "# Title\n", "text without settings"),
        ("langchain.config.js", "import { resolve } from 'path';\nexport const config = {\n"
         "  internals: [/node/], entrypoints: {a: 'b'}, tsConfigPath: resolve('./t.json') };\n",
         "the settings of LangChain's own build"),
        ("app.py", "print(1)\n", "mentions no library or model"),
        ("docstore.json", '{"docstore/data": {}}', "LlamaIndex's stored documents"),
        ("a.json", '{"x": 1}', "of no tool known here"),
    ],
)  # fmt: skip
def test_a_named_file_that_is_none_says_what_it_seems(
    name: str, data: str | bytes, what: str
) -> None:
    put(name, data)
    found = scan(name)
    assert [one.kind for one in found.artefacts] == ["none"]
    assert what in (found.artefacts[0].error or "")
    assert found.found == ()


def test_a_kind_can_be_forced() -> None:
    put("a.json", '{"x": 1}')
    put("b.txt", "prose")
    assert [one.kind for one in scan("a.json", kind="custom").artefacts] == ["custom"]
    assert "it holds no table" in (scan("b.txt", kind="custom").artefacts[0].error or "")
    assert "cannot be read as litellm" in (scan("a.json", kind="litellm").artefacts[0].error or "")
    with pytest.raises(UsageError, match="litelm") as raised:
        scan("a.json", kind="litelm")
    assert "litellm" in raised.value.hint
    with pytest.raises(NotFound):
        scan("nowhere")


def test_packages_and_the_system_are_told() -> None:
    put("repo/package.json", '{"dependencies": {"openai": "^4"}}')
    put("repo/poetry.lock", '[[package]]\nname = "litellm"\nversion = "1"\n')
    put("repo/Dockerfile", "FROM python\n")
    put("repo/k8s.yaml", "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 2}\n")
    facts = scan("repo").as_json()
    assert [(one["name"], one["version"]) for one in facts["dependencies"]] == [
        ("openai", "^4"), ("litellm", "1"),
    ]  # fmt: skip
    assert [one["name"] for one in facts["system"]["deployment"]] == ["Docker", "Kubernetes"]


def test_the_command_prints_what_the_contract_has(typed: Typed) -> None:
    put("repo/a.yaml", ROUTES)
    done = typed("migrate", "scan", "repo", "--json")
    assert done.code == 0
    facts = json.loads(done.out)
    assert {"artefacts", "system", "dependencies", "skipped"} <= set(facts)
    artefact = facts["artefacts"][0]
    pinned = {"path", "kind", "models", "fallbacks", "templates", "warnings", "error"}
    assert pinned <= set(artefact)
    assert artefact["path"] == "repo/a.yaml" and artefact["kind"] == "litellm"
    assert artefact["models"][0] == {
        "name": "a", "source": "openai:gpt-4o", "params": {"temperature": 0.5}, "options": {},
    }  # fmt: skip


def test_the_command_ends_with_what_happened(typed: Typed) -> None:
    put("repo/a.txt", "nothing\n")
    put("model.pkl", b"\x80\x04\x95\0\0")
    assert typed("migrate", "scan", "repo").code == 1
    assert typed("migrate", "scan", "repo", "--json").code == 1
    done = typed("migrate", "scan", "model.pkl")
    assert done.code == 1 and "Unsupported model format '.pkl'" in done.err
    assert typed("migrate", "scan", "nowhere").code == 3
    assert typed("migrate", "scan").code == 2
    assert typed("migrate", "scan", "repo", "--from", "ollamma").code == 2


def test_the_report_of_the_terminal(typed: Typed) -> None:
    put("repo/a.yaml", ROUTES)
    put("repo/half.json", '{"model": ')
    put("repo/node_modules/a.yaml", ROUTES)
    out = typed("migrate", "scan", "repo").out
    assert "repo/a.yaml  (litellm)\n  a  openai:gpt-4o  [temperature 0.5]\n" in out
    assert "not looked into: dependencies 1\n" in out
    assert "  repo/half.json: not JSON: it ends too early (line 1)\n" in out
    assert "1 artefact, 1 model, 0 warnings; 2 files seen, 2 of them read" in out


def test_no_planted_key_comes_out(typed: Typed) -> None:
    for at, key in enumerate(KEYS.values()):
        put(f"repo/{at}.yaml", f"model_list:\n- {{model_name: m, api_key: '{key}'}}\n")
        put(f"repo/{at}.json", f'{{"model": "x", "key": "{key}", ')
        put(f"repo/b{at}.yaml", f"model: *{key}\n")
        put(f"repo/c{at}.toml", f"model = {key}\n")
        put(f"repo/{at}.py", f"import openai\nopenai.api_key = '{key}\n")
    for more in ([], ["--json"]):
        done = typed("migrate", "scan", "repo", *more)
        assert done.code == 0 and len(done.out) > 1000
        assert_absent(done.out, done.err)
    for file in sorted(Path("repo").iterdir()):
        done = typed("migrate", "scan", str(file), "--json")
        assert_absent(done.out, done.err)


def test_nothing_is_written(typed: Typed) -> None:
    put("repo/a.db", b"")
    with sqlite3.connect("repo/a.db") as base:
        base.execute("create table x (y)")
    base.close()
    put("repo/a.py", CODE)
    before = {str(one): one.stat().st_mtime_ns for one in Path("repo").rglob("*")}
    typed("migrate", "scan", "repo")
    assert {str(one): one.stat().st_mtime_ns for one in Path("repo").rglob("*")} == before


def test_our_own_settings_are_none_of_another_tool(tmp_path: Path) -> None:
    text = '[[model_list]]\nmodel_name = "a"\n'
    (tmp_path / "llmrr.toml").write_text(text)
    (tmp_path / "new.toml").write_text(f"{OURS}; x\nversion = 1\n{text}")
    found = scan(tmp_path)
    assert found.artefacts == ()
    assert [(one.path.name, one.why) for one in found.skipped] == [
        ("llmrr.toml", "llmrr's own settings"), ("new.toml", "llmrr's own settings"),
    ]  # fmt: skip
    [named] = scan(tmp_path / "llmrr.toml").artefacts
    assert named.kind == "none" and "llmrr config check" in (named.error or "")
    [forced] = scan(tmp_path / "llmrr.toml", kind="custom").artefacts
    assert forced.kind == "custom"


def test_what_another_reader_knows_is_not_guessed_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def guess(document: Document) -> Iterator[Artefact]:
        found = Findings(document.path, "custom")
        found.confidence = 0.9
        yield found.artefact()

    monkeypatch.setattr(readers, "READERS", (Reader(("custom",), of_code=guess), *SMALL))
    (tmp_path / "a.py").write_text(CODE)
    (tmp_path / "b.py").write_text("import openai\nmodel = 'gpt-4o'\n")
    found = [(one.path.name, one.kind) for one in scan(tmp_path).artefacts]
    assert found == [("a.py", "openai-code"), ("b.py", "custom")]


def test_a_plan_tells_what_could_not_be_read(tmp_path: Path, typed: Typed) -> None:
    (tmp_path / "a.yaml").write_text(ROUTES)
    for number in range(22):
        (tmp_path / f"b{number:02}.yaml").write_text("model_list: [gpt-4o\n")
    shown = typed("migrate", "plan", str(tmp_path), "--json")
    told = [one["where"] for one in json.loads(shown.out)["warnings"]
            if one["code"] == "unreadable"]  # fmt: skip
    assert [Path(one).name for one in told] == [*(f"b{n:02}.yaml" for n in range(20)), ""]
    only = typed("migrate", "plan", str(tmp_path), "--skip", "*b??.yaml", "--skip", ".", "--json")
    assert json.loads(only.out)["warnings"] == []


def test_a_kind_that_there_is_not_is_told_by_the_real_ones(typed: Typed) -> None:
    said = typed("migrate", "scan", ".", "--from", "nonsense").err
    assert "litellm" in said and "none|" not in said and "|none" not in said
    assert "--from none" not in typed("migrate", "scan", ".", "--from", "non").err
