"""Applying a plan, going on after a crash, and walking back to every byte and mode."""

import json
import os
import random
import signal
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from builders import tiny_llama
from holdings import OllamaStore
from migrating import findings, kept, model, one, plan, snapshot
from terminal import Typed
from test_kills import each_moment

from llmrr import config, journal, paths, trust
from llmrr.cli.app import main
from llmrr.database import open_database
from llmrr.errors import LlmrrError, NotFound
from llmrr.journal import locking
from llmrr.migrate import applying
from llmrr.migrate.applying import checklist, records
from llmrr.migrate.applying.records import Migration
from llmrr.migrate.artefact import Artefact
from llmrr.store import records as store

MINE = "# mine\r\nversion = 1\r\n[[models]]\r\nname = 'own'\r\nsource = 'builtin:mini'\r\n"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an llmrr.toml and a file of code."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("llmrr.toml").write_bytes(MINE.encode())
    Path("llmrr.toml").chmod(0o640)
    Path("app.py").write_text("code\n")
    return folder


@pytest.fixture
def ollama(tmp_path: Path) -> Artefact:
    """A store of Ollama with two models."""
    held = OllamaStore(tmp_path / "ollama")
    found = findings(str(held.root), "ollama-store")
    for seed, name in enumerate(("one", "two")):
        content = tiny_llama(tmp_path / "made.gguf", seed=seed).read_bytes()
        held.add(f"registry.ollama.ai/library/{name}/latest", [("model", content)])
        model(found, f"ollama:{name}:latest")
    return found.artefact()


def labels() -> list[str]:
    with closing(open_database()) as connection:
        return [each.label for each in store.entries(connection)]


def applied(*artefacts: Artefact, **named: bool) -> Migration:
    with closing(open_database()) as connection:
        return applying.apply(connection, plan(*artefacts), **named)


def undone(id: str | None = None, **named: bool) -> Migration:
    with closing(open_database()) as connection:
        return applying.undo(connection, id, **named)


def test_all_of_it_and_back(work: Path, ollama: Artefact) -> None:
    before = snapshot(work)
    found = applied(one("openai:a"), ollama, may_change=True)
    assert [(each.state, each.said) for each in found.steps] == [("done", "")] * 3
    assert set(snapshot(work)) == set(before)
    assert config.check(Path("llmrr.toml")) == []
    assert labels() == ["one:latest", "two:latest"]
    assert undone().state == "undone"
    assert snapshot(work) == before
    assert labels() == []
    with pytest.raises(NotFound, match="no migration to undo"):
        undone()


def test_what_was_there_before_stays(work: Path, ollama: Artefact, typed: Typed) -> None:
    assert typed("import", "--from", "ollama", str(ollama.path)).code == 0
    known = labels()
    applied(ollama, may_change=True)
    assert labels() == known
    undone()
    assert labels() == known


def test_a_new_file_goes_again_and_nothing_else_came(tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    applied(one("openai:a"))
    assert set(snapshot(tmp_path)) - set(before) == {"llmrr.toml"}
    undone()
    assert snapshot(tmp_path) == before


def test_a_file_that_is_there_is_not_written_over(work: Path) -> None:
    before = snapshot(work)
    with pytest.raises(LlmrrError, match="is there already"):
        applied(one("openai:a"))
    assert snapshot(work) == before
    with closing(open_database()) as connection:
        assert records.migrations(connection) == []


def test_once_more_does_nothing_and_is_not_recorded(work: Path, ollama: Artefact) -> None:
    applied(one("openai:a"), ollama, may_change=True)
    with pytest.raises(LlmrrError, match="there is nothing to do"):
        applied(one("openai:a"), ollama, may_change=True)
    undone()
    assert Path("llmrr.toml").read_bytes() == MINE.encode()
    with closing(open_database()) as connection:
        assert len(records.migrations(connection)) == 1


def test_a_file_that_says_all_is_no_reason_where_a_model_is_to_be_entered(
    work: Path, ollama: Artefact
) -> None:
    Path("llmrr.toml").write_text(plan(ollama).toml)
    assert applied(ollama).state == "done"
    assert len(labels()) == 2


def test_a_plan_that_is_refused_tells_only_that(work: Path, typed: Typed) -> None:
    file = kept(plan(one("openai:a", params={"top_p": 7})), "../p.json")
    seen = typed("migrate", "apply", "--plan", file)
    assert (seen.code, "is there already" in seen.err, "top_p" in seen.err) == (1, True, False)


def test_one_at_a_time_and_only_one_wrote(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(one("openai:a"))
    monkeypatch.setattr(locking, "LOCK_S", 60.0)

    def apply(_: int) -> Migration | None:
        with closing(open_database()) as connection, suppress(LlmrrError):
            return applying.apply(connection, made, may_change=True)
        return None

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(apply, range(4)))
    [wrote] = filter(None, found)
    assert wrote.state == "done" and applying.has_written(wrote)
    monkeypatch.setattr(locking, "LOCK_S", 0.05)
    with (
        locking.alone(paths.data_dir() / "migrate.lock", "migrating"),
        pytest.raises(LlmrrError, match="another llmrr has been migrating"),
    ):
        undone(wrote.id)
    assert undone(wrote.id).state == "undone"
    assert Path("llmrr.toml").read_bytes() == MINE.encode()


def test_what_was_undone_is_told_as_it_is(work: Path, typed: Typed) -> None:
    Path("llmrr.toml").unlink()
    assert typed("migrate", "apply", "--plan", kept(plan(one("openai:a")))).code == 0
    assert "is gone, as it was before" in typed("migrate", "rollback").err
    assert not Path("llmrr.toml").exists()


def test_a_file_above_that_no_longer_counts_is_told(work: Path, typed: Typed) -> None:
    Path("sub").mkdir()
    Path("sub/app.py").write_text("from openai import OpenAI\n"
                                  "OpenAI().responses.create(model='gpt-4o')\n")  # fmt: skip
    shown = typed("migrate", "plan", "sub", "--target", "sub").out
    assert f"{work / 'llmrr.toml'} no longer counts in {work / 'sub'}" in shown
    assert "no longer counts" in typed("migrate", "apply", "sub", "--target", "sub").err
    assert "no longer counts" not in typed("migrate", "plan", "sub").out


def test_what_another_migration_was_built_on_goes_after_it(work: Path) -> None:
    first = applied(one("openai:a"), may_change=True)
    second = applied(one("openai:b"), may_change=True)
    with pytest.raises(LlmrrError, match="changed since") as caught:
        undone(first.id)
    assert f"rollback {second.id} first" in caught.value.hint
    undone(second.id)
    undone(first.id)
    assert Path("llmrr.toml").read_bytes() == MINE.encode()


def test_a_model_without_its_file_is_told_with_what_to_do(work: Path, typed: Typed) -> None:
    Path("llmrr.toml").unlink()
    file = kept(plan(one("file:./gone.gguf"), one("openai:a")))
    shown = typed("migrate", "apply", "--plan", file).err
    assert "no file yet: gone\n" in shown and "--skip NAME" in shown
    told = typed("config", "check")
    assert told.code == 8 and "gone.gguf" in told.out + told.err


@pytest.mark.parametrize("changed", ["app.py", "llmrr.toml"])
def test_a_plan_whose_files_were_changed_since_is_refused(work: Path, changed: str) -> None:
    made = plan(one("openai:a"))
    Path(changed).write_text("version = 1\n")
    with (
        closing(open_database()) as connection,
        pytest.raises(LlmrrError, match=f"changed since the plan was made: .*{changed}"),
    ):
        applying.apply(connection, made, may_change=True)


def test_what_was_changed_since_is_not_undone_unless_forced(work: Path) -> None:
    before = snapshot(work)
    applied(one("openai:a"), may_change=True)
    Path("llmrr.toml").write_text("version = 1  # by hand\n")
    with pytest.raises(LlmrrError, match=r"changed since the migration .*llmrr\.toml"):
        undone()
    assert Path("llmrr.toml").read_text() == "version = 1  # by hand\n"
    undone(force=True)
    assert snapshot(work) == before


def test_what_was_promoted_since_is_undone_too(work: Path) -> None:
    before = snapshot(work)
    applied(one("openai:a"), may_change=True)
    for what, refused in (("config promote", False), ("config set", True)):
        with journal.change(what) as change:
            change.write(Path("llmrr.toml"), f"version = 1  # {what}\n")
        with closing(open_database()) as connection:
            [found] = records.migrations(connection)
            assert bool(applying.changed_since(found)) is refused
    journal.undo(kind="config")
    undone()
    assert snapshot(work) == before


def test_what_was_written_is_trusted_until_it_is_undone(tmp_path: Path) -> None:
    given = one("openai:a", options={"base_url": "http://h/v1", "api_key_env": "K"})
    applied(given)
    assert trust.is_trusted(Path("llmrr.toml"))
    text = Path("llmrr.toml").read_text()
    undone()
    Path("llmrr.toml").write_text(text)
    assert not trust.is_trusted(Path("llmrr.toml"))


def test_what_came_from_elsewhere_is_not_trusted_by_being_added_to(work: Path) -> None:
    Path("llmrr.toml").write_text(
        'version = 1\n[[models]]\nname = "x"\nsource = "openai:x"\n'
        'options = { base_url = "http://evil/v1", api_key_env = "K" }\n'
    )
    applied(one("openai:a"), may_change=True)
    assert not trust.is_trusted(Path("llmrr.toml"))


def test_a_model_that_is_gone_is_skipped_and_said(work: Path, ollama: Artefact) -> None:
    made = plan(ollama)
    for blob in (ollama.path / "manifests").rglob("two/latest"):
        blob.unlink()
    with closing(open_database()) as connection:
        found = applying.apply(connection, made, may_change=True)
    assert [each.state for each in found.steps] == ["done", "done", "skipped"]
    assert "ollama:two" in found.steps[2].said


# -- the commands ----------------------------------------------------------------------------------


def test_a_kept_plan_is_applied_shown_and_undone(work: Path, typed: Typed) -> None:
    file = kept(plan(one("openai:a")), "../p.json")
    refused = typed("migrate", "apply", "--plan", file)
    assert (refused.code, "--merge" in refused.err) == (1, True)
    seen = typed("migrate", "apply", "--plan", file, "--merge", "--json")
    assert (seen.code, seen.json["state"]) == (0, "done")
    [shown] = typed("migrate", "status", "--json").json["migrations"]
    assert (shown["id"], shown["remaining"]) == (seen.json["id"], [])
    assert typed("migrate", "rollback", shown["id"]).code == 0
    assert Path("llmrr.toml").read_bytes() == MINE.encode()
    again = typed("migrate", "rollback", shown["id"])
    assert (again.code, "undone already" in again.err) == (1, True)


def test_warnings_fail_where_they_count(work: Path, typed: Typed) -> None:
    file = kept(plan(one("openai:a", params={"top_p": 7})), "../p.json")
    assert typed("migrate", "apply", "--plan", file, "--merge", "--strict").code == 9
    assert Path("llmrr.toml").read_bytes() == MINE.encode()


def test_the_check_list_is_ticked(typed: Typed) -> None:
    assert typed("migrate", "check", "no-such").code == 3
    typed("migrate", "check", "train-team", "--note", "done, sk-0123456789abcdef0123")
    [item] = [each for each in typed("migrate", "check", "--json").json
              if each["id"] == "train-team"]  # fmt: skip
    assert (item["done"], "sk-01" in item["how"]) == (True, False)
    typed("migrate", "check", "train-team", "--undo")
    done = {each["id"]: each["done"] for each in typed("migrate", "check", "--json").json}
    assert done["train-team"] is None


def test_one_item_is_printed_and_what_the_tool_ticks_stays(typed: Typed) -> None:
    seen = typed("migrate", "check", "train-team")
    assert seen.out.splitlines() == ["after:", "  [x] train-team             Train team on new"
                                     " system (ticked)"]  # fmt: skip
    said = typed("migrate", "check", "install", "--undo").err
    assert "install stays done: llmrr sees that" in said
    assert "stays done" not in typed("migrate", "check", "train-team", "--undo").err
    for wrong in ("nope", "instal"):
        assert "llmrr migrate check (without an item) lists" in typed("migrate", "check", wrong).err
    assert typed("migrate", "check", "--undo").code == 2


def test_a_note_and_a_report_are_told(typed: Typed) -> None:
    assert typed("migrate", "note", "issue", "Slow", "--impact", "all", "--json").json == {
        "kind": "issue", "description": "Slow", "impact": "all"}  # fmt: skip
    page = typed("migrate", "report").out
    assert "- [?] Train team on new system" in page and "- [x] Install" in page


def test_notes_are_in_the_report_with_the_figures_first(work: Path, typed: Typed) -> None:
    assert typed("migrate", "report").code == 1
    typed("migrate", "note", "decision", "Go local", "--rationale", "cost", "--outcome", "good")
    typed("migrate", "note", "issue", "Slow", "--resolution", "smaller")
    assert typed("migrate", "note", "issue", "x", "--rationale", "y").code == 2
    assert typed("migrate", "note", "thought", "x").code == 2
    applied(one("openai:a"), may_change=True)
    found = typed("migrate", "report", "--json").json
    assert list(found)[:2] == ["summary", "details"]
    summary = found["summary"]
    assert (summary["totalDecisions"], summary["totalIssues"]) == (1, 1)
    assert (summary["successRate"], summary["migrationDuration"] >= 0) == (1.0, True)
    [decision] = found["details"]["decisions"]
    assert decision.pop("timestamp")
    assert decision == {"description": "Go local", "rationale": "cost", "outcome": "good"}
    page = typed("migrate", "report").out
    assert "- Decisions: 1\n" in page
    assert "  - Resolution: smaller\n" in page
    assert "- [x] Migrate core model loading" in page


def test_the_list_follows_what_is_done(work: Path, typed: Typed) -> None:
    applied(one("openai:a"), may_change=True)
    done = {each["id"]: each["done"] for each in typed("migrate", "status", "--json").json[
        "checklist"]}  # fmt: skip
    assert set(done) == set(checklist.IDS)
    assert done["configure"] is done["phase-1-models"] is True
    assert done["phase-1-inference"] is done["alerts"] is False


# -- killed ----------------------------------------------------------------------------------------

TIMES = [6, pytest.param(100, marks=pytest.mark.slow)]


def as_before(work: Path, before: object, typed: Typed) -> None:
    """Whatever was done is undone, and nothing of it is left."""
    seen = typed("migrate", "rollback")
    assert seen.code in (0, 3), seen.err
    assert snapshot(work) == before
    assert labels() == []
    states = {each["state"] for each in typed("migrate", "status", "--json").json["migrations"]}
    assert states <= {"undone"}
    assert not trust.is_trusted(Path("llmrr.toml"))


def struck(words: list[str], delay: float) -> bool:
    """Run a command in a process of its own that is killed after a while; whether it was met."""
    if (process := os.fork()) == 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os._exit(main(words))
    time.sleep(delay)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


def lasting(words: list[str]) -> float:
    began = time.monotonic()
    assert main(words) == 0
    return time.monotonic() - began


@pytest.mark.parametrize("times", TIMES)
def test_apply_is_killed_at_random(
    work: Path, ollama: Artefact, typed: Typed, times: int
) -> None:
    before, drawn = snapshot(work), random.Random(0)
    words = ["migrate", "apply", "--merge", "--plan", kept(plan(one("openai:a"), ollama),
             "../p.json")]  # fmt: skip
    whole = lasting(words)
    as_before(work, before, typed)
    hits = 0
    for at in range(times):
        hits += struck(words, drawn.uniform(0, whole))
        if at % 2 and typed("migrate", "status", "--json").json["migrations"][-1]["remaining"]:
            assert typed("migrate", "apply").code == 0
            assert labels() == ["one:latest", "two:latest"]
        as_before(work, before, typed)
    assert hits > times / 4


@pytest.mark.parametrize("times", TIMES)
def test_rollback_is_killed_at_random(
    work: Path, ollama: Artefact, typed: Typed, times: int
) -> None:
    before, drawn = snapshot(work), random.Random(0)
    applied(one("openai:a"), ollama, may_change=True)
    whole = lasting(["migrate", "rollback"])
    hits = 0
    for _ in range(times):
        applied(one("openai:a"), ollama, may_change=True)
        hits += struck(["migrate", "rollback"], drawn.uniform(0, whole))
        as_before(work, before, typed)
    assert hits > times / 4


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", ["apply", "rollback"])
def test_killed_at_every_change_of_a_file(
    work: Path, ollama: Artefact, typed: Typed, what: str, step: int
) -> None:
    before = snapshot(work)
    made = kept(plan(one("openai:a"), ollama), "../p.json")
    apply = ["migrate", "apply", "--merge", "--plan", made]
    words = {"apply": apply, "rollback": ["migrate", "rollback"]}[what]
    if what == "rollback":
        typed(*apply)
    for _ in each_moment(words, step):
        as_before(work, before, typed)
        if what == "rollback":
            typed(*apply)
    as_before(work, before, typed)
    ours = [each for each in journal.entries() if each.kind == "migrate"]
    assert {each.state for each in ours} == {"undone"}


# -- secrets, and what cannot be written -----------------------------------------------------------

KEYS = ("sk-Zq8Rt5Uw3Xy7Ab1Cd9Ef", "Q7w2E9r4T6y1U8i3O5p0Q7w2E9r4T6y1", "kurz7pw")


def test_no_key_reaches_what_is_written_kept_or_said(
    tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repo").mkdir()
    monkeypatch.chdir(tmp_path / "repo")
    for at, key in enumerate(KEYS):
        Path(f"llm{at}.json").write_text(json.dumps({
            "_type": "openai", "model_name": f"m{at}", "openai_api_key": key,
            "openai_api_base": f"https://user:{key}@host/v1?api_key={key}",
            "model_kwargs": {"headers": {"Authorization": f"Bearer {key}"}},
        }))  # fmt: skip
    said = ""
    for words in (["plan", "."], ["plan", ".", "--json"], ["plan", ".", "-O", "../p.json"],
                  ["apply", "."], ["status"], ["status", "--json"], ["report"],
                  ["report", "--json"]):  # fmt: skip
        seen = typed("migrate", *words)
        assert seen.code == 0, seen.err
        said += seen.out + seen.err
    home = Path(os.environ["LLMRR_HOME"])
    kept_files = [each for each in home.rglob("*") if each.is_file()]
    written = [*kept_files, Path("llmrr.toml"), Path("../p.json")]
    for text in (said.encode(), *(each.read_bytes() for each in written)):
        assert not [key for key in KEYS if key[:4].encode() in text]
    assert [tomllib.loads(Path("llmrr.toml").read_text())["models"][0]["options"]["api_key_env"]]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_leaves_nothing_open(work: Path) -> None:
    work.chmod(0o500)
    try:
        with pytest.raises(LlmrrError, match="cannot write"):
            applied(one("openai:a"), may_change=True)
    finally:
        work.chmod(0o700)
    with closing(open_database()) as connection:
        assert records.unfinished(connection) is None


def test_a_write_that_fails_leaves_nothing_open(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(work)

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device", "llmrr.toml")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        with pytest.raises(LlmrrError):
            applied(one("openai:a"), may_change=True)
    assert snapshot(work) == before
    with closing(open_database()) as connection:
        assert records.unfinished(connection) is None
    assert applied(one("openai:a"), may_change=True).state == "done"
