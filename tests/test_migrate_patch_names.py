"""The names that ``llmrr migrate plan --patch`` writes into code: those of ``llmrr.toml``."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from terminal import Typed

ASK = "client.chat.completions.create(model='{}', messages=[], temperature={})\n"
REPLACE = ("--replace", "openai:gpt-4o=builtin:mini")


def code(path: str, *asked: tuple[str, float], client: str = "OpenAI()") -> None:
    """Write code that asks these models with these temperatures."""
    lines = "".join(ASK.format(*one) for one in asked)
    Path(path).write_text(f"import os\nfrom openai import OpenAI\nclient = {client}\n{lines}")


def names(path: str = "app.py") -> list[str]:
    return re.findall(r"model='(.*?)'", Path(path).read_text())


def models() -> dict[str, str]:
    """The models of llmrr.toml, and where they are from."""
    found = tomllib.loads(Path("llmrr.toml").read_text())["models"]
    return {one["name"]: one["source"] for one in found}


def applied(typed: Typed, *args: str) -> None:
    seen = typed("migrate", "apply", *args)
    assert seen.code == 0, seen.err


def patched(typed: Typed, *args: str) -> str:
    """Apply the patch with git; what was told."""
    seen = typed("migrate", "plan", "--patch", *args)
    assert seen.code == 0, seen.err
    subprocess.run(["git", "apply", "-"], input=seen.out.encode(), check=True)
    return seen.err


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_code_asks_by_the_names_that_a_migration_gave(typed: Typed) -> None:
    code("app.py", ("gpt-4o", 0), ("gpt-4o-mini", 0))
    applied(typed, ".", *REPLACE, "--replace", "openai:gpt-4o-mini=builtin:mini")
    code("later.py", ("gpt-4o", 0))  # the same model, in a file that came since
    told = patched(typed, str(Path.cwd()))
    assert names() == ["gpt-4o", "gpt-4o-mini"] == list(models())
    assert names("later.py") == ["gpt-4o"] and "clash" not in told


def test_a_model_that_was_renamed_is_asked_by_that_name(typed: Typed) -> None:
    Path("llmrr.toml").write_text(
        'version = 1\n[[models]]\nname = "gpt-4o"\nsource = "openai:gpt-4o"\n'
        "params = {temperature = 0}\n"  # what the code asks, but not what was put in its place
    )
    code("app.py", ("gpt-4o", 0))
    applied(typed, "app.py", "--merge", *REPLACE)
    assert models() == {"gpt-4o": "openai:gpt-4o", "gpt-4o-2": "builtin:mini"}
    assert "clash" not in patched(typed, "app.py")
    assert names() == ["gpt-4o-2"]


def test_two_models_of_one_name_are_told_apart(typed: Typed) -> None:
    code("app.py", ("gpt-4o", 0))
    code("other.py", ("gpt-4o", 1))
    applied(typed, ".", *REPLACE)
    assert list(models()) == ["gpt-4o", "gpt-4o-2"]
    patched(typed, ".")
    assert (names(), names("other.py")) == (["gpt-4o"], ["gpt-4o-2"])


def test_the_last_migration_that_stands_says_it(typed: Typed) -> None:
    code("app.py", ("gpt-4o", 0))
    applied(typed, ".", *REPLACE)
    applied(typed, ".", "--merge")
    assert models() == {"gpt-4o": "builtin:mini", "gpt-4o-2": "openai:gpt-4o"}
    plan = ("migrate", "plan", "--patch", ".")
    assert "+client.chat.completions.create(model='gpt-4o-2'" in typed(*plan).out
    assert typed("migrate", "rollback").code == 0
    patched(typed, ".")
    assert names() == ["gpt-4o"]


def test_what_is_to_take_its_place_now_counts_first(typed: Typed) -> None:
    code("app.py", ("gpt-4o", 0))
    applied(typed, ".", *REPLACE)
    told = patched(typed, ".", "--replace", "openai:gpt-4o=ollama:tiny")
    assert names() == ["gpt-4o-2"]
    assert "clash: app.py:4: llmrr.toml has another gpt-4o: this one is gpt-4o-2" in told


@pytest.mark.parametrize("how", ["by hand", "renamed since", "another begun"])
def test_a_name_that_no_migration_gave_is_warned_of(typed: Typed, how: str) -> None:
    code("app.py", ("gpt-4o", 0))
    toml = Path("llmrr.toml")
    if how == "by hand":
        toml.write_text('version = 1\n[[models]]\nname = "gpt-4o"\nsource = "builtin:mini"\n')
    else:
        applied(typed, "app.py", *REPLACE)
    if how == "renamed since":
        toml.write_text(toml.read_text().replace('"gpt-4o"', '"mine"\ngroup = "gpt-4o"'))
    if how == "another begun":
        code("new.py", ("gpt-4o", 1))
        applied(typed, "new.py", "--force", *REPLACE)
    said = "llmrr.toml has another gpt-4o: this one is gpt-4o-2"
    found = typed("migrate", "plan", "--patch", "app.py", "--json").json
    assert {"code": "clash", "where": "app.py:4", "message": said} in found["warnings"]
    assert f"clash: app.py:4: {said}" in patched(typed, "app.py")
    assert names() == ["gpt-4o-2"]


def test_warnings_are_of_names_in_what_is_changed(typed: Typed) -> None:
    Path("llmrr.toml").write_text(
        'version = 1\n[[models]]\nname = "m"\nsource = "builtin:mini"\n'
        '[[models]]\nname = "claude-x"\nsource = "builtin:mini"\n'
    )
    code("app.py", ("m", 0))
    code("second.py", ("m", 1))
    code("adrift.py", ("n", 0), client="OpenAI(base_url=os.environ['WHERE'])")
    Path("other.py").write_text(
        "from anthropic import Anthropic\n"
        "Anthropic().messages.create(model='claude-x', max_tokens=9, messages=[])\n"
    )
    seen = typed("migrate", "plan", "--patch", ".", "--json").json["warnings"]
    assert {(one["code"], one["where"]) for one in seen if one["code"] != "not-patched"} == {
        ("address-unknown", "adrift.py:4"), ("clash", "app.py:4"), ("clash", "second.py:4"),
    }  # fmt: skip
