"""Keys: where they are kept, looked up and never shown."""

import json
import os
import pty
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_servers import OpenAIServer
from provider_servers import KEY, MODEL, Fault
from terminal import Typed

from llmrr import config, envfile, keys, paths
from llmrr.engines.remote.keys import lookup
from llmrr.errors import BadConfig, Unreachable, UsageError

NAME = "FAR_KEY"
OTHER = "another-secret-0123456789"


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a keyring of the system's, whether or not the package is there."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    if "keyring" in sys.modules:
        from keyring.backends import null

        monkeypatch.setattr(sys.modules["keyring.core"], "_keyring_backend", null.Keyring())


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[tuple[str, str], str]]:
    """A backend of the real library that keeps in memory; what it holds."""
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    held: dict[tuple[str, str], str] = {}

    class Memory(KeyringBackend):  # type: ignore[misc]
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            if password == OTHER:
                raise RuntimeError(f"cannot keep {password}")
            held[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del held[service, username]

    monkeypatch.setattr(keyring.core, "_keyring_backend", Memory())
    yield held


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as served:
        yield served


def project(text: str, env: str | None = None) -> None:
    Path("llmrr.toml").write_text("version = 1\n" + text)
    if env is not None:
        Path(".env").write_text(env)


def far(served: OpenAIServer) -> str:
    options = f'{{ base_url = "{served.address}/v1", api_key_env = "{NAME}" }}'
    return f'[[models]]\nname = "far"\nsource = "openai:{MODEL}"\noptions = {options}\n'


def file() -> Path:
    return paths.data_dir() / "keys.json"


# -- the commands ------------------------------------------------------------------------------


def test_set_list_rm_in_a_file(typed: Typed) -> None:
    seen = typed("keys", "set", NAME, stdin=f"{KEY}\n")
    assert (seen.code, seen.out) == (0, "")
    assert seen.err == f"llmrr: {NAME} is kept in {file()}\n"
    assert stat.S_IMODE(file().stat().st_mode) == 0o600
    assert json.loads(file().read_text()) == {NAME: KEY}
    assert typed("keys", "list", "--json").json == [{"name": NAME, "where": str(file())}]
    listed = typed("keys", "list")
    assert NAME in listed.out
    assert KEY not in listed.out + listed.err
    assert typed("keys", "set", NAME, stdin=OTHER).code == 0
    assert keys.stored(NAME) == OTHER
    assert typed("keys", "rm", NAME).code == 0
    assert keys.stored(NAME) is None
    gone = typed("keys", "rm", NAME)
    assert (gone.code, "llmrr keys list" in gone.err) == (3, True)
    empty = typed("keys", "list", "--json")
    assert (empty.code, empty.json) == (0, [])


def test_no_copy_of_a_key_stays(typed: Typed) -> None:
    typed("keys", "set", NAME, stdin=KEY)
    typed("keys", "set", NAME, stdin=OTHER)
    typed("keys", "rm", NAME)
    for one in Path(os.environ["HOME"]).rglob("*"):
        content = one.read_bytes() if one.is_file() else b""
        assert KEY.encode() not in content
        assert OTHER.encode() not in content


@pytest.mark.parametrize(
    ("args", "stdin", "code", "said"),
    [
        (("set", NAME, KEY), "", 2, "a key is no argument"),
        (("set", NAME, f"-{KEY}"), "", 2, "a key is no argument"),
        (("set", NAME, "--", KEY), "", 2, "a key is no argument"),
        (("set", f"{NAME}={KEY}"), "", 2, "is that of an environment variable"),
        (("set", KEY), "", 2, "is that of an environment variable"),
        (("set", "hf_0123456789abcdefgh"), "", 2, "is that of an environment variable"),
        ((f"{NAME}={KEY}",), "", 2, "set, list or rm"),
        (("add", NAME, KEY), "", 2, "set, list or rm"),
        (("rm", KEY), "", 2, "is that of an environment variable"),
        (("set", NAME), f"{KEY} {KEY}", 2, "is no key"),
        (("set", NAME), f"{KEY}\n{KEY}", 2, "is no key"),
        (("set", NAME), f"{KEY}é".encode("latin1"), 2, "is no key"),
        (("set", NAME), "x" * (keys.LONGEST + 1), 2, "is no key"),
        (("set", NAME), " \n", 1, "no key was given"),
    ],
)
def test_what_is_refused_is_not_repeated(
    typed: Typed, args: tuple[str, ...], stdin: str | bytes, code: int, said: str
) -> None:
    seen = typed("keys", *args, stdin=stdin)
    assert (seen.code, seen.out) == (code, "")
    assert said in seen.err
    assert KEY not in seen.err
    assert "hf_0123" not in seen.err
    assert not file().exists()


def test_the_environment_is_said_to_come_first(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, OTHER)
    seen = typed("keys", "set", NAME, stdin=KEY)
    assert "comes before it" in seen.err
    assert OTHER not in seen.err


@pytest.mark.parametrize("typing", [f"{KEY}\n", "\x04"])
def test_what_is_typed_is_not_shown(typing: str) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "llmrr", "keys", "set", NAME],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        while b"not shown" not in shown:
            shown += os.read(ours, 1000)
        time.sleep(0.05)
        os.write(ours, typing.encode())
        while True:
            try:
                shown += os.read(ours, 1000)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert KEY.encode() not in shown
    assert process.returncode == (0 if KEY in typing else 1)
    assert keys.stored(NAME) == (KEY if KEY in typing else None)


# -- the file ----------------------------------------------------------------------------------


def test_a_file_that_others_can_read_is_refused(typed: Typed) -> None:
    typed("keys", "set", NAME, stdin=KEY)
    file().chmod(0o640)
    for args in (("list",), ("set", NAME), ("rm", NAME)):
        seen = typed("keys", *args, stdin=OTHER)
        assert seen.code == 6
        assert f"chmod 600 {file()}" in seen.err
    assert json.loads(file().read_text()) == {NAME: KEY}
    file().chmod(0o600)
    assert keys.stored(NAME) == KEY


def test_a_link_is_not_followed(typed: Typed, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text(json.dumps({NAME: KEY}))
    target.chmod(0o600)
    file().parent.mkdir(parents=True)
    file().symlink_to(target)
    for args in (("list",), ("set", NAME), ("rm", NAME)):
        seen = typed("keys", *args, stdin=OTHER)
        assert (seen.code, f"rm {file()}" in seen.err) == (6, True)
    assert file().is_symlink()
    assert json.loads(target.read_text()) == {NAME: KEY}


@pytest.mark.parametrize("content", ["", "[]", f'{{"{NAME}": 1, "x": "{KEY}"}}', f"{KEY}"])
def test_a_damaged_file(content: str) -> None:
    file().parent.mkdir(parents=True)
    file().write_text(content)
    file().chmod(0o600)
    with pytest.raises(Unreachable, match="damaged") as caught:
        keys.stored(NAME)
    assert KEY not in caught.value.message + caught.value.hint
    assert caught.value.__cause__ is None


def test_keys_set_at_once_are_all_kept() -> None:
    code = "import sys; from llmrr import keys; keys.keep(sys.argv[1], sys.argv[2])"
    names = [f"KEY_{number}" for number in range(4)]
    running = [subprocess.Popen([sys.executable, "-c", code, name, KEY]) for name in names]
    assert [one.wait(60) for one in running] == [0] * 4
    assert [one.name for one in keys.kept()] == names


# -- the keyring -------------------------------------------------------------------------------


def test_the_keyring_of_the_system(typed: Typed, ring: dict[tuple[str, str], str]) -> None:
    seen = typed("keys", "set", NAME, stdin=KEY)
    assert seen.err == f"llmrr: {NAME} is kept in the system's keyring\n"
    assert list(ring.values()) == [KEY]
    assert KEY not in file().read_text()
    assert typed("keys", "list", "--json").json == [{"name": NAME, "where": "keyring"}]
    assert keys.stored(NAME) == KEY
    assert typed("keys", "rm", NAME).code == 0
    assert ring == {}
    assert keys.stored(NAME) is None


def test_a_key_moves_from_the_file_into_the_keyring(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    keys.keep(NAME, KEY)
    ring = request.getfixturevalue("ring")
    assert keys.stored(NAME) == KEY
    keys.keep(NAME, "new-key")
    assert (list(ring.values()), keys.stored(NAME)) == (["new-key"], "new-key")
    assert KEY not in file().read_text()


def test_which_keyrings_keep_a_secret(
    monkeypatch: pytest.MonkeyPatch, ring: dict[tuple[str, str], str]
) -> None:
    from keyring import core
    from keyring.backends import chainer, fail, null

    memory = core._keyring_backend
    plain = type("PlaintextKeyring", (type(memory),), {})()
    chained = type("Chain", (chainer.ChainerBackend,), {"backends": [plain, memory]})()
    for backend, expected in (
        (fail.Keyring(), None), (null.Keyring(), None), (plain, None), (memory, memory),
        (chained, memory),
    ):  # fmt: skip
        monkeypatch.setattr(core, "_keyring_backend", backend)
        assert keys._backend() is expected


def test_what_a_keyring_says_is_left_out(
    typed: Typed, ring: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMRR_DEBUG", "1")
    seen = typed("keys", "set", NAME, stdin=OTHER)
    assert seen.code == 6
    assert "RuntimeError" in seen.err
    assert OTHER not in seen.err
    assert keys.kept() == []


def test_a_keyring_that_went_away(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    file().parent.mkdir(parents=True)
    file().write_text(json.dumps({NAME: None}))
    file().chmod(0o600)
    for seen in (typed("keys", "rm", NAME), typed("run", "-m", "openai:x", "-o", "api_key_env",
                                                  NAME, "Hello")):  # fmt: skip
        assert seen.code == 6
        assert "cannot be reached here" in seen.err
        assert f"llmrr keys set {NAME}" in seen.err


def test_the_keyring_is_imported_only_for_what_lies_there() -> None:
    code = (
        "import sys; from llmrr import keys; keys.stored('A'); keys.kept()\n"
        "print('keyring' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# -- looking up --------------------------------------------------------------------------------


def test_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    env = paths.real(Path(".env"))
    keys.keep(NAME, "kept")
    assert getattr(lookup(NAME, env), "secret", None) == "kept"
    env.write_text(f"{NAME}=")
    assert getattr(lookup(NAME, env), "secret", None) == "kept"
    env.write_text(f"{NAME}=filed")
    assert getattr(lookup(NAME, env), "secret", None) == "filed"
    monkeypatch.setenv(NAME, "stated")
    assert getattr(lookup(NAME, env), "secret", None) == "stated"
    assert "stated" not in repr(lookup(NAME, env))
    assert lookup("NOBODY", env) is None


def test_a_kept_key_is_sent(server: OpenAIServer, typed: Typed) -> None:
    config.user_file().parent.mkdir(parents=True)
    config.user_file().write_text("version = 1\n" + far(server))
    missing = typed("run", "-m", "far", "Hello")
    assert missing.code == 6
    assert f"{NAME} is not set" in missing.err
    assert f"llmrr keys set {NAME}" in missing.err
    typed("keys", "set", NAME, stdin=KEY)
    assert typed("run", "-m", "far", "Hello").out == "Hello, world!\n"
    server.faults.append(Fault(401, message=f"no: {KEY}"))
    refused = typed("run", "-m", "far", "Hello")
    assert refused.code == 6
    assert f"hint: llmrr keys set {NAME}" in refused.err
    assert KEY not in refused.err + typed("logs", "--json").out


def test_the_env_file_of_a_project(server: OpenAIServer, typed: Typed) -> None:
    project('env_file = ".env"\n' + far(server), f"export {NAME}='{KEY}' # mine\n")
    untrusted = typed("run", "-m", "far", "Hello")
    assert untrusted.code == 8
    assert "llmrr config trust" in untrusted.err
    assert server.seen == []
    assert typed("config", "trust").code == 0
    assert typed("run", "-m", "far", "Hello").out == "Hello, world!\n"
    assert server.last.headers["authorization"] == f"Bearer {KEY}"
    for args in (("config", "show"), ("config", "show", "--json"), ("config", "check"),
                 ("route", "Hello", "--json")):  # fmt: skip
        seen = typed(*args)
        assert (seen.code, KEY in seen.out + seen.err) == (0, False)
    for one in Path(os.environ["LLMRR_HOME"]).rglob("*"):
        assert not one.is_file() or KEY.encode() not in one.read_bytes()


def test_routing_knows_the_env_file(server: OpenAIServer, typed: Typed) -> None:
    two = far(server) + far(server).replace('"far"', '"near"')
    project('env_file = ".env"\n' + two, "")
    typed("config", "trust")
    rejected = typed("route", "Hello", "--json").json["rejected"]
    assert [f"{NAME} is not set" in one["why"] for one in rejected] == [True, True]
    Path(".env").write_text(f"{NAME}={KEY}\n")
    assert typed("route", "Hello", "--json").json["rejected"] == []


def test_an_env_file_says_no_address(server: OpenAIServer, typed: Typed) -> None:
    project('env_file = ".env"\n', f"OPENAI_BASE_URL={server.address}/v1\nLLMRR_STRATEGY=random\n")
    with pytest.raises(Unreachable, match="OPENAI_API_KEY is not set"):
        from llmrr.router import Router

        with Router() as router:
            router.open(f"openai:{MODEL}")
    assert config.load().value("strategy") != "random"
    assert server.seen == []


def test_a_project_reaches_for_nothing_outside(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside.env"
    outside.write_text(f"{NAME}={KEY}\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    Path("link.env").symlink_to(outside)
    for written in ("../outside.env", str(outside), "link.env", "a/../../outside.env"):
        project(f'env_file = "{written}"\n')
        with pytest.raises(BadConfig, match="outside the folder"):
            config.load()
        assert typed("config", "check").code == 8
    own = config.user_file()
    own.parent.mkdir(parents=True)
    Path("llmrr.toml").rename(own)
    own.write_text(f'version = 1\nenv_file = "{inner}/link.env"\n')
    assert config.load().value("env_file") == paths.real(outside)


def test_what_check_says_of_it(typed: Typed) -> None:
    project('env_file = ".env"\n')
    seen = typed("config", "check")
    assert (seen.code, "the env_file is not there" in seen.out) == (8, True)
    project('env_file = ".env"\n', f"A=1\n{KEY}\n")
    seen = typed("config", "check")
    assert (seen.code, "line 2 is not NAME=value" in seen.out) == (8, True)
    assert KEY not in seen.out + seen.err


# -- files of variables ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=x", "x"), ("A = x ", "x"), ("export A=x", "x"), ("\ufeffA=x\r\n", "x"),
        ("# A=y\n\nA=x # why", "x"), ("A=x#y", "x#y"), ("A=", ""), ("A= # why", ""),
        ("A='x # y' # why", "x # y"), ("A='x\\n'", "x\\n"), ('A="x\\n\\"y\\""', 'x\n"y"'),
        ("A=`x'y`", "x'y"), ('A="$HOME ${B} $(id)"', "$HOME ${B} $(id)"), ("A=$B", "$B"),
        ('B="two\nlines"\nA=x', "x"), ("A=x\nA=y", "y"), ("A=x=y", "x=y"), ("A", None),
        ("B=x", None), ("exportA=x", None), ("A.B-C=x", None), ('A="\\x"', "\\x"),
    ],
)  # fmt: skip
def test_how_a_variable_is_written(tmp_path: Path, text: str, value: str | None) -> None:
    path = tmp_path / "variables"
    path.write_bytes(text.encode())
    assert envfile.read(path).get("A") == value


@pytest.mark.parametrize("line", ["A: secret", "=secret", "A='secret", 'A="secret', "A='s'ecret",
                                  "1A=secret", "two secret=x", "-secret",
                                  "sk-secret", "A.secret"])  # fmt: skip
def test_a_malformed_line_is_named_but_not_shown(tmp_path: Path, line: str) -> None:
    path = tmp_path / "variables"
    path.write_text(f"B='1\n2'\n\n{line}\nC=3\n")
    with pytest.raises(BadConfig, match="line 4") as caught:
        envfile.read(path)
    assert "secret" not in caught.value.message + caught.value.hint


def test_what_is_no_file_of_variables(tmp_path: Path) -> None:
    assert envfile.read(tmp_path / "nothing") == {}
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"A=\xe9")
    (tmp_path / "large").write_bytes(b"A=x\n" * (envfile.LARGEST // 4 + 1))
    for name in ("pipe", "latin", "large", "."):
        with pytest.raises(BadConfig):
            envfile.read(tmp_path / name)


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "variables"
    for value in ("x", "longer", "y"):
        path.write_text(f"A={value}\n")
        assert envfile.read(path)["A"] == value


@given(st.text(alphabet="A=x'\"`\\# \n\texport$", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = dict(envfile._variables(Path("f"), text.encode()))
    except BadConfig as error:
        assert error.message.startswith("f, line ")
    else:
        assert all(value in text or "\\" in text for value in found.values())


def test_a_hostile_file_takes_no_time() -> None:
    for text in ("A=" + " " * 500_000 + "x", "A='" + "\\" * 500_000, 'A="' + "\\" * 500_001,
                 "A" * 900_000, " " * 900_000, "A='\n" * 1000):  # fmt: skip
        began = time.perf_counter()
        with suppress(BadConfig):
            dict(envfile._variables(Path("f"), text.encode()))
        assert time.perf_counter() - began < 2


def test_names_are_those_of_variables() -> None:
    for name in ("", "1A", "A-B", "A B", "Ä", "A\n"):
        with pytest.raises(UsageError):
            keys.keep(name, KEY)
