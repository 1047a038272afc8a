"""Steps along a migration and along the shares of a flag: only on a proof, recorded, reversible."""

from pathlib import Path

import pytest
from terminal import Seen, Typed

from llmrr import config, journal, trust
from llmrr.database import open_database
from llmrr.migrate.validating import kept

TEXT = """\
# mine
version = 1
[[models]]
name = "small"  # here
source = "builtin:mini"
[[models]]
name = "old"
source = "openai:gpt-4o"
[migration]  # both
new = ["small"]
legacy = ["old"]
[flags.part]
rollout = 0.1
set = { strategy = "random" }
"""
FILE = "llmrr.toml"


@pytest.fixture(autouse=True)
def written() -> None:
    Path(FILE).write_text(TEXT)


def prove(*, passed: bool = True, new: str | None = None) -> None:
    """Record a validation of what stands in the file."""
    connection = open_database()
    bars = [{"name": "latency", "said": "latency is 3.00 times the old one's", "passed": passed}]
    facts = {"performance": {}, "passed": passed, "bars": bars}
    kept.record(connection, kept.of(facts, config.load(), new))
    connection.close()


def stepped(typed: Typed, *args: str, code: int = 0) -> Seen:
    found = typed("migrate", *args)
    assert found.code == code, found.err
    return found


def steps() -> list[kept.Step]:
    connection = open_database()
    found = kept.steps(connection)
    connection.close()
    return found


def test_a_whole_migration_up_and_down_again(typed: Typed) -> None:
    prove()
    seen = [stepped(typed, "promote").out.strip() for _ in range(4)]
    assert seen == [
        "migration: off -> legacy-primary", "migration: legacy-primary -> hybrid",
        "migration: hybrid -> new-primary", "migration: new-primary -> done",
    ]  # fmt: skip
    loaded = config.load()
    assert loaded.value("migration.mode") is None
    routed = typed("route", "hello", "--json").json
    assert [one["name"] for one in routed["candidates"]] == ["small"]
    assert [one["why"] for one in routed["rejected"]] == ["the flag migration-done leaves it out"]
    assert "nothing follows" in stepped(typed, "promote", code=1).err
    seen = [stepped(typed, "demote").out.strip() for _ in range(4)]
    assert seen[0] == "migration: done -> new-primary"
    assert seen[-1] == "migration: legacy-primary -> off"
    assert "nothing is before" in stepped(typed, "demote", code=1).err
    assert Path(FILE).read_text().startswith(TEXT)
    assert {one.name for one in config.load().flags if one.rollout} >= {"part"}


def test_one_line_changes_and_rollback_takes_it_back(typed: Typed) -> None:
    prove()
    stepped(typed, "promote")
    added = Path(FILE).read_text().replace('mode = "legacy-primary"\n', "")
    assert added == TEXT
    assert typed("config", "rollback").code == 0
    assert Path(FILE).read_text() == TEXT
    assert stepped(typed, "promote").out == "migration: off -> legacy-primary\n"


@pytest.mark.parametrize("up", [("promote",), ("promote", "--flag", "part")])
def test_without_a_proof_nothing_is_changed(typed: Typed, up: tuple[str, ...]) -> None:
    found = stepped(typed, *up, code=9)
    assert "not validated yet" in found.err and "llmrr migrate validate" in found.err
    prove(passed=False)
    assert "latency is 3.00 times" in stepped(typed, *up, code=9).err
    prove(new="old")
    assert "was of old" in stepped(typed, *up, code=9).err
    prove()
    Path(FILE).write_text(TEXT.replace("gpt-4o", "gpt-4"))
    assert "changed since" in stepped(typed, *up, code=9).err
    assert Path(FILE).read_text() == TEXT.replace("gpt-4o", "gpt-4") and not steps()


def test_comments_and_earlier_steps_do_not_spoil_a_proof(typed: Typed) -> None:
    prove(new="small")
    Path(FILE).write_text(f"# more\n{TEXT}")
    stepped(typed, "promote")
    stepped(typed, "promote")
    assert config.load().value("migration.mode") == "hybrid"


def test_force_is_recorded(typed: Typed) -> None:
    found = stepped(typed, "promote", "--force")
    assert "without a validation" in found.out
    prove()
    step = stepped(typed, "promote", "--json").json
    assert step == {"subject": "migration", "before": "legacy-primary", "after": "hybrid",
                    "validation": 1, "forced": False}  # fmt: skip
    stepped(typed, "demote")
    assert [(one.after, one.forced, one.validation) for one in steps()] == [
        ("legacy-primary", True, None), ("hybrid", False, 1), ("legacy-primary", False, None),
    ]  # fmt: skip
    entries = {one.id for one in journal.entries()}
    assert all(one.entry in entries for one in steps())


def test_a_flag_goes_along_its_shares(typed: Typed) -> None:
    prove()
    said = [stepped(typed, "promote", "--flag", "part").out for _ in range(3)]
    assert [one.split("-> ")[1].strip() for one in said] == ["25%", "50%", "100%"]
    assert "nothing follows" in stepped(typed, "promote", "--flag", "part", code=1).err
    assert stepped(typed, "demote", "--flag", "part", "--to", "40%").out.endswith("-> 40%\n")
    assert stepped(typed, "demote", "--flag", "part").out.endswith("-> 25%\n")
    assert stepped(typed, "promote", "--flag", "part", "--to", "0.3").out.endswith("-> 30%\n")
    assert "migrate demote" in stepped(typed, "promote", "--flag", "part", "--to", "5%", code=2).err


@pytest.mark.parametrize("to", ["400%", "-1", "much", "nan"])
def test_a_share_that_is_none(typed: Typed, to: str) -> None:
    prove()
    assert to in stepped(typed, "promote", "--flag", "part", f"--to={to}", code=2).err


def test_status_and_report_tell_of_it(typed: Typed) -> None:
    prove(passed=False)
    stepped(typed, "promote", "--force")
    found = stepped(typed, "status", "--json").json
    assert found["validation"]["passed"] is False
    assert [one["after"] for one in found["promotions"]] == ["legacy-primary"]
    text = stepped(typed, "report").out
    assert "not passed" in text and "off to legacy-primary, forced" in text


def test_the_check_list_is_held_against_the_proof(typed: Typed) -> None:
    Path("app.py").write_text(
        "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model='gpt-4')\n"
    )
    stepped(typed, "apply", "app.py", "--merge")

    def done() -> dict[str, bool | None]:
        items = stepped(typed, "status", "--json").json["checklist"]
        return {one["id"]: one["done"] for one in items}

    assert not done()["validate"] and done()["phase-3-deployment"] is None
    prove()
    for _ in range(4):
        stepped(typed, "promote")
    assert done()["validate"] and done()["phase-3-deployment"]


def test_what_there_is_not(typed: Typed) -> None:
    prove()
    assert "did you mean" not in stepped(typed, "promote", "--flag", "zzz", code=3).err
    assert "--flag part" in stepped(typed, "promote", "--flag", "prt", code=3).err
    assert "--flag" in stepped(typed, "promote", "--to", "5%", code=2).err
    Path(FILE).write_text("version = 1\n[flags.s]\nstart = 2026-01-01\n"
                          "schedule = [{ week = 1, rollout = 0.1 }]\n")  # fmt: skip
    assert "no [migration]" in stepped(typed, "promote", code=3).err
    assert "schedule" in stepped(typed, "promote", "--flag", "s", code=2).err


def test_the_environment_decides_and_is_told(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove()
    monkeypatch.setenv("MIGRATION_MODE", "hybrid")
    assert "unset MIGRATION_MODE" in stepped(typed, "promote", code=8).err


def test_what_was_agreed_to_stays_so(typed: Typed) -> None:
    trust.trust(Path(FILE))
    prove()
    stepped(typed, "promote")
    assert trust.is_trusted(Path(FILE))
    stepped(typed, "demote")
    assert trust.is_trusted(Path(FILE))


def test_line_ends_are_kept(typed: Typed) -> None:
    Path(FILE).write_bytes(TEXT.replace("\n", "\r\n").encode())
    prove()
    for _ in range(4):
        stepped(typed, "promote")
    assert b"\n" not in Path(FILE).read_bytes().replace(b"\r\n", b"")
