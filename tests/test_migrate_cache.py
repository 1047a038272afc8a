"""What other tools kept: answers into the history, models adopted, and all of it taken out."""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terminal import Seen, Typed

from llmrr import paths, stats, summaries
from llmrr.database import open_database
from llmrr.errors import DamagedFile
from llmrr.migrate import caches
from llmrr.migrate.caches import answers, copying, finding, langchain, legacy
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import response_cache


def database(name: str, *statements: str | tuple[str, Iterable[Any]]) -> Path:
    """A database with what these make."""
    path = Path(name)
    connection = sqlite3.connect(path)
    for one in statements:
        if isinstance(one, str):
            connection.execute(one)
        else:
            connection.execute(one[0], tuple(one[1]))
    connection.commit()
    connection.close()
    return path


def cached(typed: Typed, *args: str | Path, code: int = 0) -> Seen:
    found = typed("migrate", "cache", *map(str, args))
    assert found.code == code, found.err
    return found


def history() -> list[stats.Run]:
    connection = open_database()
    found = stats.runs(connection)
    connection.close()
    return found


# -- LangChain ---------------------------------------------------------------------------------

FULL = ("CREATE TABLE full_llm_cache (prompt VARCHAR NOT NULL, llm VARCHAR NOT NULL, idx INTEGER "
        "NOT NULL, response VARCHAR, PRIMARY KEY (prompt, llm, idx))")  # fmt: skip
MD5 = ("CREATE TABLE full_md5_llm_cache (id VARCHAR PRIMARY KEY, prompt_md5 VARCHAR, llm VARCHAR, "
       "idx INTEGER, prompt VARCHAR, response VARCHAR)")  # fmt: skip
PUT = "INSERT INTO full_llm_cache VALUES (?, ?, ?, ?)"
OLD_KEY = "[('_type', 'openai'), ('max_tokens', 256), ('model_name', 'gpt-3.5-turbo-instruct'), " \
          "('stop', None), ('temperature', 0.7)]"  # fmt: skip


def node(*path: str, **kwargs: Any) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": list(path), "kwargs": kwargs}


CHAT_KEY = json.dumps(node(
    "langchain", "chat_models", "openai", "ChatOpenAI", model_name="gpt-4o", temperature=0.2,
    openai_api_key={"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]},
)) + "---[('stop', ['END'])]"  # fmt: skip
CHAT_PROMPT = json.dumps([
    node("langchain", "schema", "messages", "SystemMessage", content="Be brief."),
    node("langchain", "schema", "messages", "HumanMessage", content="Capital of France?"),
])  # fmt: skip
CHAT_ANSWER = json.dumps(node(
    "langchain", "schema", "output", "ChatGeneration", text="Paris.",
    message=node("langchain", "schema", "messages", "AIMessage", content="Paris."),
))  # fmt: skip


def test_langchain_old_and_new(typed: Typed) -> None:
    generation = json.dumps(node("langchain", "schema", "output", "Generation", text="Two"))
    path = database(
        ".langchain.db", FULL, MD5, (PUT, ("One?", OLD_KEY, 0, "bare text")),
        (PUT, ("One?", OLD_KEY, 1, generation)), (PUT, (CHAT_PROMPT, CHAT_KEY, 0, CHAT_ANSWER)),
        ("INSERT INTO full_md5_llm_cache VALUES ('x', 'y', ?, 0, 'Md5?', 'M')", (OLD_KEY,)),
        (PUT, ("null", OLD_KEY, 0, None)), (PUT, (b"\xff\x00", OLD_KEY, 0, b"\x00")),
    )  # fmt: skip
    before = path.read_bytes()
    found = cached(typed, path, "--json").json
    (one,) = found["caches"]
    assert (one["tool"], one["answers"], one["left"]) == (
        "langchain", 4, [{"why": "no text", "count": 2}]
    )  # fmt: skip
    runs = history()
    assert [(run.prompt, run.answer, run.model) for run in runs] == [
        ("One?", "bare text", "gpt-3.5-turbo-instruct"), ("One?", "Two", "gpt-3.5-turbo-instruct"),
        ("Capital of France?", "Paris.", "gpt-4o"), ("Md5?", "M", "gpt-3.5-turbo-instruct"),
    ]  # fmt: skip
    assert runs[2].system == "Be brief." and runs[0].source == "import:langchain"
    assert path.read_bytes() == before and not list(Path().glob("*-wal"))
    assert "not in [cache]: it does not say when it was answered" in one["notes"][0]


def test_what_a_key_of_langchain_says() -> None:
    assert langchain.facts_of(CHAT_KEY) == ("gpt-4o", {"temperature": 0.2, "stop": ["END"]})
    printed = {"lc": 1, "type": "not_implemented", "id": ["x", "ChatOllama"],
               "repr": "ChatOllama(model='llama3.1:8b', num_ctx=8192)"}  # fmt: skip
    key = json.dumps(printed) + "---[('stop', None)]"
    assert langchain.facts_of(key) == ("llama3.1:8b", {"num_ctx": 8192})
    evil = "[('model', __import__('os').system('touch pwned'))]"
    assert langchain.facts_of(evil) == (None, {})
    assert not Path("pwned").exists()


@given(st.text(), st.text(), st.text())
def test_no_row_of_langchain_is_an_exception(prompt: str, llm: str, response: str) -> None:
    found = langchain._row(prompt, llm, response)
    assert isinstance(found, answers.Answer | answers.Left)


# -- GPTCache, llm, the guide ------------------------------------------------------------------


def test_gptcache(typed: Typed) -> None:
    path = database(
        "sqlite.db",
        "CREATE TABLE gptcache_question (id INTEGER PRIMARY KEY, question TEXT,"
        " create_on TIMESTAMP, last_access TIMESTAMP, embedding_data BLOB, deleted INTEGER)",
        "CREATE TABLE gptcache_answer (id INTEGER PRIMARY KEY, question_id INTEGER, answer TEXT,"
        " answer_type INTEGER)",
        "INSERT INTO gptcache_question VALUES (1, 'Q1', '2024-01-05 10:00:00', NULL, x'80', 0)",
        "INSERT INTO gptcache_question VALUES (2, 'Q2', NULL, NULL, NULL, -1)",
        "INSERT INTO gptcache_answer VALUES (1, 1, 'A1', 0)",
        "INSERT INTO gptcache_answer VALUES (2, 2, 'A2', 0)",
        "INSERT INTO gptcache_answer VALUES (3, 1, 'aGk=', 1)",
        "INSERT INTO gptcache_answer VALUES (4, 9, 'A9', 0)",
    )  # fmt: skip
    found = cached(typed, path, "--json").json["caches"][0]
    assert {one["why"] for one in found["left"]} == {
        "deleted there", "a picture", "an answer without its question",
    }  # fmt: skip
    (run,) = history()
    assert (run.prompt, run.answer, run.at, run.model) == ("Q1", "A1", 1704448800.0, "")
    assert "which model answered is not always known" in found["notes"]


def test_the_pickle_of_a_folder_is_told_as_left(typed: Typed) -> None:
    Path("kept").mkdir()
    Path("kept/data_map.txt").write_bytes(b"\x80\x04N.")
    Path("kept/c.json").write_text(json.dumps({"responses": [
        {"input": "hi", "output": "ho", "modelName": "m", "created": "2020-01-01T00:00:00Z"}]}))
    assert "data_map.txt is a pickle" in cached(typed, "kept").out


def test_nothing_is_told_without_a_table(typed: Typed) -> None:
    Path("empty").mkdir()
    assert cached(typed, "empty", code=1).out == ""


def test_a_pickle_is_never_loaded(typed: Typed) -> None:
    Path("data_map.txt").write_bytes(b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.")
    assert "pickle" in cached(typed, "data_map.txt", code=1).err
    assert not Path("pwned").exists()


RESPONSES = ("CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, "
             "prompt_json TEXT, options_json TEXT, response TEXT, response_json TEXT, "
             "conversation_id TEXT, duration_ms INTEGER, datetime_utc TEXT{more})")  # fmt: skip


def test_llm_logs_old(typed: Typed) -> None:
    path = database(
        "logs.db", RESPONSES.format(more=""),
        "INSERT INTO responses VALUES ('a', 'gpt-4', 'Hi', 'S', NULL, '{}', 'Yo', NULL, 'c', 1500,"
        " '2024-01-05T10:00:00')",
        "INSERT INTO responses VALUES ('b', 'gpt-4', 'Hi', NULL, NULL, 'no', NULL, 1, 'c', 'x', 7)",
    )  # fmt: skip
    assert cached(typed, path, "--json").json["caches"][0]["answers"] == 1
    (run,) = history()
    assert (run.model, run.system, run.total_s, run.at) == ("gpt-4", "S", 1.5, 1704448800.0)


def test_llm_logs_new(typed: Typed) -> None:
    more = ", input_tokens INTEGER, output_tokens INTEGER"
    path = database(
        "logs.db", RESPONSES.format(more=more),
        "CREATE TABLE fragments (id INTEGER PRIMARY KEY, hash TEXT, content TEXT)",
        'CREATE TABLE prompt_fragments (response_id TEXT, fragment_id INTEGER, "order" INTEGER)',
        "CREATE TABLE messages (hash TEXT PRIMARY KEY, parent_hash TEXT, role TEXT)",
        "CREATE TABLE parts (id INTEGER PRIMARY KEY, message_hash TEXT, position INTEGER,"
        " type TEXT, tool_name TEXT, text TEXT, payload TEXT)",
        "CREATE TABLE turns (id TEXT PRIMARY KEY, thread_id TEXT, parent_message_hash TEXT,"
        " tip_message_hash TEXT, model TEXT, options_json TEXT, input_tokens INTEGER,"
        " output_tokens INTEGER, duration_ms INTEGER, datetime_utc TEXT)",
        "INSERT INTO fragments VALUES (1, 'h', 'A long file.')",
        "INSERT INTO prompt_fragments VALUES ('a', 1, 0)",
        "INSERT INTO responses VALUES ('a', 'm', 'Sum up', NULL, NULL, NULL, 'Short.', NULL, 'c',"
        " 9, '2026-01-05T10:00:00+00:00', 12, 3)",
        "INSERT INTO messages VALUES ('s', NULL, 'system'), ('u', 's', 'user'),"
        " ('t', 'u', 'assistant'), ('u2', 't', 'user'), ('t2', 'u2', 'assistant'),"
        " ('loop', 'loop', 'user')",
        "INSERT INTO parts VALUES (1, 's', 0, 'text', NULL, 'Be kind.', NULL),"
        " (2, 'u', 0, 'text', NULL, 'First', NULL), (3, 't', 0, 'reasoning', NULL, 'hm', NULL),"
        " (4, 't', 1, 'text', NULL, 'One.', NULL), (6, 't2', 0, 'text', NULL, 'Two.', NULL),"
        " (5, 'u2', 0, 'text', NULL, NULL,"
        """ '{"text_ref": [{"fragment": 1}, {"literal": " Why?"}]}')""",
        "INSERT INTO turns VALUES ('x', 'h', 'u', 't', 'm', '{\"temperature\": 1}', 5, 6, 700,"
        " '2026-02-01T00:00:00'), ('y', 'h', 'u2', 't2', 'm', NULL, 7, 8, 900, NULL),"
        " ('z', 'h', 'loop', 'loop', 'm', NULL, 7, 8, 900, NULL)",
    )  # fmt: skip
    found = cached(typed, path, "--json").json["caches"][0]
    assert (found["answers"], found["left"]) == (3, [{"why": "no text", "count": 1}])
    assert [(run.system, run.prompt, run.answer, run.prompt_tokens) for run in history()] == [
        (None, "A long file.\n\nSum up", "Short.", 12), ("Be kind.", "First", "One.", 5),
        ("Be kind.", "A long file. Why?", "Two.", 7),
    ]  # fmt: skip


def test_the_guides_json_in_and_its_new_shape_out(typed: Typed) -> None:
    Path("cache.json").write_text(json.dumps({
        "models": [{"name": "llama", "path": "./m/llama.gguf", "size": 9,
                    "lastAccess": "2024-01-05T10:00:00Z"},
                   {"name": "dialo", "path": "microsoft/DialoGPT", "size": 8,
                    "lastAccess": 1704448800000}],
        "responses": [{"input": "hi", "output": "hello", "modelName": "llama",
                       "created": 1704448801, "tokenCount": 2}, {"input": "x"}, 7],
    }))  # fmt: skip
    found = cached(typed, "cache.json", "--json").json
    assert found["version"] == "2.0.0"
    at = "2024-01-05T10:00:00+00:00"
    assert found["models"] == [
        {"id": "llama", "source": "./m/llama.gguf",
         "metadata": {"size": 9, "lastUsed": at, "format": "gguf"}},
        {"id": "dialo", "source": "microsoft/DialoGPT",
         "metadata": {"size": 8, "lastUsed": at, "format": None}},
    ]  # fmt: skip
    assert found["inference"] == [{
        "prompt": "hi", "response": "hello", "model": "llama",
        "timestamp": "2024-01-05T10:00:01+00:00", "tokens": 2,
    }]  # fmt: skip
    assert found["caches"][0]["left"] == [{"why": "no text", "count": 2}]


@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["models", "responses", "input", "output", "path", "size", "created"]),
        inner, max_size=4,
    ),
))  # fmt: skip
def test_no_json_is_an_exception(shape: Any) -> None:
    if legacy.fits(shape):
        list(legacy.rows(shape))
        legacy.models(shape)


# -- once, and back ----------------------------------------------------------------------------


def test_twice_is_once_and_undo_takes_it_out(typed: Typed) -> None:
    path = database("a.db", FULL, (PUT, ("One?", OLD_KEY, 0, "yes")))
    first = cached(typed, path, "--dry-run", "--json").json
    assert first["caches"][0]["answers"] == 1 and first["import"] is None and not history()
    made = cached(typed, path, "--json").json["import"]
    assert "--undo" not in cached(typed, path).out
    again = cached(typed, path, "--json").json
    assert [one["response"] for one in again["inference"]] == ["yes"]
    again = again["caches"][0]
    assert (again["answers"], again["known"], len(history())) == (0, 1, 1)
    assert cached(typed, "--undo", made).out == "taken out: 1 answer and 0 models\n"
    assert not history()
    cached(typed, "--undo", made, code=3)
    cached(typed, "--undo", made, path, code=2)
    cached(typed, code=2)
    assert paths.database_file().stat().st_mode & 0o777 == 0o600


def test_what_was_brought_counts_in_no_figure_and_stays(typed: Typed) -> None:
    Path("c.json").write_text(json.dumps({"responses": [
        {"input": "hi", "output": "ho", "modelName": "m", "created": "2020-01-01T00:00:00Z"}]}))
    cached(typed, "c.json")
    connection = open_database()
    assert summaries.summary(connection).runs == 0 and stats.last_used(connection) == {}
    assert stats.conversation(connection, None) is None
    stats.prune(connection, 60.0, now=time.time(), at_once=True)
    connection.close()
    assert len(history()) == 1
    assert "ho" in typed("logs").out


def test_without_words_in_the_history_none_come(typed: Typed) -> None:
    Path("llmrr.toml").write_text("version = 1\nlog_prompts = false\n")
    path = database("a.db", FULL, (PUT, ("One?", OLD_KEY, 0, "yes")))
    assert "llmrr logs on" in cached(typed, path, code=1).err


# -- hostile -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE VIEW full_llm_cache AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 "
         "FROM n) SELECT x AS prompt, x AS llm, x AS idx, x AS response FROM n"],
        ["CREATE VIRTUAL TABLE full_llm_cache USING fts5(prompt, llm, idx, response)"],
        ["CREATE TABLE full_llm_cache (idx INT, llm TEXT, response TEXT, prompt TEXT AS "
         "(hex(zeroblob(100000000))) VIRTUAL)"],
        ["CREATE TABLE other (x)"],
        [],
    ],
)  # fmt: skip
def test_what_only_looks_like_a_store_is_none(typed: Typed, statements: list[str]) -> None:
    path = database("a.db", "CREATE TABLE z (x)", *statements)
    cached(typed, path, code=1)
    assert not history()


def test_rows_of_any_type_and_size(typed: Typed) -> None:
    long = "x" * 2_000_000
    path = database(
        "a.db", FULL.replace("NOT NULL", ""), "CREATE TABLE log (x)",
        "CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM full_llm_cache; END",
        (PUT, (1, 2.5, "x", None)), (PUT, ("Long?", OLD_KEY, 0, long)),
        (PUT, ("Good?", "[" * 100_000, 0, "yes")), (PUT, ("Deep?", "", 0, "[" * 100_000)),
    )  # fmt: skip
    found = cached(typed, path, "--json").json["caches"][0]
    assert {one["why"] for one in found["left"]} >= {
        "no text", "a text of more than 1,000,000 characters"
    }  # fmt: skip
    assert "Good?" in [run.prompt for run in history()]


def test_damaged_files_and_those_that_are_none(typed: Typed) -> None:
    path = database("a.db", FULL, *((PUT, (f"{n}?", OLD_KEY, 0, "y" * 500)) for n in range(200)))
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    Path("head.db").write_bytes(b"SQLite format 3\0")
    Path("text.json").write_text('{"a": 1}')
    Path("deep.json").write_text("{" + '"a":[' * 100_000)
    os.mkfifo("pipe")
    for name in ("head.db", "text.json", "deep.json", "pipe"):
        assert cached(typed, name, code=1).err
    good = database("good.db", FULL, (PUT, ("Fine?", OLD_KEY, 0, "yes")))
    found = cached(typed, path, good, "text.json", "--json").json["caches"]
    assert found[1]["answers"] == 1 and found[2]["error"]
    assert "no file" in cached(typed, "none.db", code=3).err


def left_open(folder: str, mode: str) -> Path:
    """A database as a program leaves it that was killed: its last rows lie beside it."""
    Path("other").mkdir(exist_ok=True)
    connection = sqlite3.connect("other/a.db", isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("PRAGMA cache_size = 1")
    connection.execute(FULL)
    connection.execute(PUT, ("Fine?", OLD_KEY, 0, "yes"))
    if mode == "DELETE":  # cut off in the middle of a change: its journal takes it back
        connection.execute("BEGIN")
        connection.execute("UPDATE full_llm_cache SET response = 'no'")
        connection.execute("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT "
                           "500) INSERT INTO full_llm_cache SELECT x, '', 0, hex(zeroblob(900)) "
                           "FROM n")  # fmt: skip
    shutil.copytree("other", folder)
    connection.close()
    Path(folder, "a.db-shm").unlink(missing_ok=True)
    return Path(folder, "a.db")


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_rows_that_lie_beside_the_file_are_read_from_a_copy(typed: Typed, mode: str) -> None:
    path = left_open("app", mode)
    before = {one.name: one.read_bytes() for one in path.parent.iterdir()}
    assert len(before) == 2
    Path("app").chmod(0o555)
    found = cached(typed, "app", "--json").json["caches"]
    assert [(one["answers"], "-wal" in "".join(one["notes"])) for one in found] == [(1, False)]
    assert [run.answer for run in history()] == ["yes"]
    assert {one.name: one.read_bytes() for one in path.parent.iterdir()} == before
    (scanned,) = response_cache.of_data(Document(path, path.read_bytes()))
    assert scanned.kind == "response-cache"


def test_a_log_that_is_too_large_to_be_copied_is_told(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = database("a.db", FULL, (PUT, ("Fine?", OLD_KEY, 0, "yes")))
    Path("a.db-wal").write_bytes(b"x")  # which is no log of it
    assert "-wal" not in cached(typed, path).out
    monkeypatch.setattr(copying.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert "-wal" in cached(typed, path).out


@given(st.binary(max_size=300))
def test_no_bytes_are_an_exception(content: bytes) -> None:
    path = Path("fuzz.db")
    path.write_bytes(b"SQLite format 3\0" + content)
    with suppress(DamagedFile), finding.store(path) as found:
        assert found is None or list(found.rows) is not None


# -- folders -----------------------------------------------------------------------------------


def test_a_folder_is_looked_through(typed: Typed) -> None:
    Path("app/deep/node_modules").mkdir(parents=True)
    database("app/deep/.langchain.db", FULL, (PUT, ("One?", OLD_KEY, 0, "yes")))
    database("app/deep/node_modules/x.db", FULL, (PUT, ("Two?", OLD_KEY, 0, "yes")))
    database("app/other.db", "CREATE TABLE t (x)")
    Path("app/loop").symlink_to(Path("app").resolve())
    found = cached(typed, "app", "--json").json["caches"]
    assert [one["path"].endswith("app/deep/.langchain.db") for one in found] == [True]
    Path("empty").mkdir()
    assert cached(typed, "empty", code=1).err


def hugging_face(root: Path) -> Path:
    """A cache with one model, and a half one."""
    snapshot = root / "models--org--tiny" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    shutil.copy(paths.builtin_model(), snapshot / "tiny.gguf")
    refs = root / "models--org--tiny" / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    return root


def test_models_are_adopted_where_they_lie_and_let_go(typed: Typed) -> None:
    root = hugging_face(Path("app/hub").absolute())
    assert cached(typed, root, "--dry-run", "--json").json["caches"][0]["models"][0]["is_new"]
    assert "tiny" not in typed("list").out
    found = cached(typed, "app", "--json").json
    (one,) = found["caches"]
    assert (one["tool"], len(one["models"])) == ("huggingface", 1) and one["bytes"] > 0
    assert "tiny" in typed("list").out
    assert cached(typed, root, "--json").json["caches"][0]["known"] == 1
    assert "0 answers and 1 model" in cached(typed, "--undo", found["import"]).out
    assert "tiny" not in typed("list").out and list(root.rglob("tiny.gguf"))


def test_folders_that_do_not_say_whose_they_are(typed: Typed) -> None:
    for name in ("own", "local", "lms/publisher/repo"):
        Path(name).mkdir(parents=True)
        shutil.copy(paths.builtin_model(), Path(name, "tiny.gguf"))
    Path("local/tiny.yaml").write_text("name: t\nparameters:\n  model: tiny.gguf\n")
    found = cached(typed, "own", "local", "--dry-run", "--json").json["caches"]
    assert [one["tool"] for one in found] == ["folder", "localai"]
    cached(typed, "lms", code=1)
    (one,) = cached(typed, "lms", "--from", "lmstudio", "--json").json["caches"]
    assert one["models"][0]["source"].startswith("lmstudio:publisher/repo")
    assert "no tool" in cached(typed, "lms", "--from", "nobody", code=1).err


# -- the reader --------------------------------------------------------------------------------


def test_scan_lists_a_store() -> None:
    path = database("a.db", FULL, (PUT, ("One?", OLD_KEY, 0, "yes")))
    (found,) = response_cache.of_data(Document(path, path.read_bytes()))
    assert found.kind == "response-cache" and found.warnings[0].code == "response-cache"
    Path("c.json").write_text(json.dumps({"responses": [{"input": "a", "output": "b"}]}))
    (found,) = response_cache.of_data(Document(Path("c.json"), Path("c.json").read_bytes()))
    assert found.kind == "response-cache"
    other = database("b.db", "CREATE TABLE t (x)")
    for path in (other, Path("none.txt")):
        data = path.read_bytes() if path.exists() else b"text"
        assert not list(response_cache.of_data(Document(path, data)))
        with pytest.raises(DamagedFile):
            list(response_cache.forced(Document(path, data)))


def test_undo_of_what_was_never_brought() -> None:
    connection = open_database()
    assert caches.undo(connection, "none") == (0, 0)
    connection.close()


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_answers_alone_are_no_setup_and_the_command_for_them_is_told(
    typed: Typed, command: str
) -> None:
    Path("my app").mkdir()
    path = database("my app/.langchain.db", FULL, (PUT, ("One?", OLD_KEY, 0, "yes")))
    found = typed("migrate", command, "my app")
    assert found.code == 1 and "only answers" in found.err
    assert f"llmrr migrate cache '{path.absolute()}'" in found.err
    assert not Path("llmrr.toml").exists()


def test_apply_brings_answers_and_rollback_takes_them_out(typed: Typed) -> None:
    Path("app").mkdir()
    Path("app/a.py").write_text(
        "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model='gpt-4o')\n"
    )
    database("app/.langchain.db", FULL, (PUT, ("One?", OLD_KEY, 0, "yes")))
    planned = typed("migrate", "plan", "app", "--json").json
    assert [one["do"] for one in planned["actions"]] == ["write-config", "import-cache"]
    assert "1 file with answers" in typed("migrate", "plan", "app").out
    assert typed("migrate", "apply", "app").code == 0
    assert [run.answer for run in history()] == ["yes"]
    assert typed("migrate", "rollback").code == 0
    assert not history() and not Path("llmrr.toml").exists()
