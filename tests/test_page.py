"""The page at ``/``, asked over HTTP: its files, and the facts that it shows. What it does in a
browser is tried in ``test_page_in_browser.py``."""

import http.client
import json
import re
import shutil
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources
from urllib.parse import urlsplit

import fakes
import pytest
from serving import ASKED, MINI, Served, serving

from llmrr import alerts, database, stats
from llmrr.choosing.several import together
from llmrr.router import Router
from llmrr.server.keyring import hashed
from llmrr.server.page import files
from llmrr.server.recent import Recent
from llmrr.types import Request, Sampling

CHAT = "/v1/chat/completions"
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}  # as browsers have it


@pytest.fixture(scope="module")
def still() -> Iterator[Served]:
    """One for what needs neither a model nor a history."""
    with serving() as found:
        yield found


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(aliases={"gpt-4o": "small"}) as found:
        yield found


def test_the_files_are_served_with_what_keeps_them_safe(still):
    for path, name in files.TABLE.items():
        said = still.ask(path, headers=HTML)
        assert said.status == 200
        assert said.body == _file(name)
        assert said.headers["x-content-type-options"] == "nosniff"
        assert said.headers["referrer-policy"] == "no-referrer"
        assert said.headers["cache-control"] == "no-cache"
        policy = said.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        again = still.ask(path, headers={**HTML, "if-none-match": said.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
        assert still.ask(path, headers={**HTML, "if-none-match": '"x"'}).status == 200


def test_clients_of_ollama_see_at_the_same_place_that_it_is_up(still):
    said = still.ask("/", headers={"accept": "*/*"})
    assert (said.body, said.headers["vary"]) == (b"Ollama is running", "accept")
    assert still.ask("/", headers=HTML).headers["vary"] == "accept"


def _file(name: str) -> bytes:
    return resources.files("llmrr.server.page").joinpath("static", name).read_bytes()


def test_every_file_there_is_has_its_place_in_the_table():
    static = resources.files("llmrr.server.page") / "static"
    assert {one.name for one in static.iterdir()} == set(files.TABLE.values())


def test_the_page_names_only_files_of_its_own_and_has_no_script_or_style_in_it():
    named: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            said = dict(attrs)
            named.extend(said[key] for key in ("src", "href") if key in said)
            assert tag != "style" and "style" not in said
            assert tag != "script" or "src" in said
            assert not [key for key in said if key.startswith("on")]

    Reader().feed(_file("index.html").decode())
    assert named
    assert {one for one in named if not one.startswith("#")} <= set(files.TABLE)
    for name in files.TABLE.values():
        text = _file(name).decode()
        imports = re.findall(r'^import .* from "\./(.*)";', text, re.MULTILINE)
        assert {f"/page/{one}" for one in imports} <= set(files.TABLE)
        assert "innerHTML" not in text and "url(" not in text


@pytest.mark.parametrize("path", [
    "/page/", "/page/files.py", "/page/index.html", "/page/../service.py", "/page/%2e%2e/app.py",
    "/page/..%2fapp.py", "/page//etc/passwd", "/page/%2fetc%2fpasswd", "/page/style.css%00.js",
    "/page/static/app.js", "/page/..%5capp.py", "//etc/passwd", "/../etc/passwd",
    "/page/runs/../../etc/passwd", "/page/runs/x", "/page/runs/-1",
])  # fmt: skip
def test_no_path_of_a_request_is_one_of_a_file(still, path):
    where = urlsplit(still.url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert (answer.status, b"root:" in answer.read()) == (404, False)
    connection.close()


def test_what_goes_on_now(engine, monkeypatch):
    monkeypatch.setattr(fakes, "FakeStream", fakes.Endless)
    engine.replies = [""]
    with serving() as served:
        where = urlsplit(served.url)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
        connection.request("POST", CHAT, json.dumps({"messages": ASKED, "stream": True}))
        assert connection.getresponse().readline()
        during = served.ask("/page/live").json()
        (running,) = during["running"]
        assert (running["model"], running["state"]) == ("small", "writing")
        assert during["tokens"] >= running["tokens"] > 0 and running["seconds"] > 0
        (loaded,) = during["loaded"]
        assert (loaded["name"], loaded["busy"], during["busy"]) == ("small", 1, {"small": 1})
        assert loaded["bytes"] > 0 and loaded["idle_s"] is None and during["slots"] > 1
        assert (during["waiting"], during["status"], during["left_alone"]) == (0, "ok", [])
        assert served.ask("/page/live").json()["at"] > during["at"]
        connection.sock.close()
        connection.close()


def test_how_many_tokens_there_have_been(served):
    before = served.ask("/page/live").json()
    assert (before["tokens"], before["answered"], before["running"]) == (0, 0, [])
    usage = served.ask(CHAT, {"messages": ASKED}).json()["usage"]
    after = served.ask("/page/live").json()
    assert (after["tokens"], after["answered"]) == (usage["completion_tokens"], 1)


def test_why_a_model_answered_and_what_that_took():
    models = [{"name": "small", "source": "builtin:mini", "priority": 1},
              {"name": "other", "source": "builtin:mini", "priority": 2},
              {"name": "away", "source": "openai:gpt-4o-mini"}]  # fmt: skip
    with serving(Router(models=models)) as served:
        said = served.ask(CHAT, {"messages": ASKED, "strategy": "round-robin"}).json()
        found = served.ask(f"/page/answers/{said['id']}").json()
        assert found["ended"] and found["decision"]["strategy"] == "round-robin"
        assert found["decision"]["answered"] == found["model"] == said["system_fingerprint"]
        assert [one["name"] for one in found["decision"]["rejected"]] == ["away"]
        assert "OPENAI_API_KEY" in found["decision"]["rejected"][0]["why"]
        assert found["usage"]["completion_tokens"] == said["usage"]["completion_tokens"]
        assert (found["engine"], found["cost"], found["finish_reason"]) == ("llamacpp", 0, "stop")
        assert "capital" not in str(found)
        named = served.ask(CHAT, {"messages": ASKED, "model": "small"}).json()
        assert served.ask(f"/page/answers/{named['id']}").json()["model"] == "small"
        assert served.ask("/page/answers/chatcmpl-none").status == 404
        assert served.ask(CHAT, {"messages": ASKED, "strategy": "best"}).status == 400


def test_the_tokens_of_several_answers_are_counted_together():
    with Router(MINI) as router:
        requests = [
            Request(prompt=one, sampling=Sampling(max_tokens=3, ignore_eos=True)) for one in "ab"
        ]
        answer = together(lambda request: router.run(request, model="small"), requests)
        assert answer.tokens == 0
        for _ in answer:
            pass
        assert answer.tokens == 6


def test_only_the_last_answers_are_remembered():
    class Done:
        def add_done_callback(self, call): ...

    class Answer:
        answer, ended, done = None, True, Done()

    recent = Recent(most=2)
    for id in "abc":
        recent.note(id, Answer())
    assert [recent.facts(id) for id in "abc"] == [None, {"ended": True}, {"ended": True}]


def test_what_can_be_asked():
    models = [{"name": "small", "source": "builtin:mini", "group": "chat"},
              {"name": "away", "source": "openai:gpt-4o-mini", "group": "chat"}]  # fmt: skip
    with serving(Router(models=models), aliases={"gpt-4o": "away"}) as served:
        found = served.ask("/page/models").json()
    by_name = {one["name"]: one for one in found["models"]}
    assert {name: one["kind"] for name, one in by_name.items()} == {
        "auto": "auto", "small": "configured", "away": "configured", "chat": "group",
        "builtin:mini": "installed", "gpt-4o": "alias",
    }  # fmt: skip
    assert [name for name, one in by_name.items() if one["images"]] == [
        "auto", "away", "chat", "gpt-4o",
    ]  # fmt: skip
    assert [one["name"] for one in found["models"] if one["thinks"]] == [
        "auto", "away", "chat", "gpt-4o",
    ]  # fmt: skip
    assert found["strategy"] == "balanced"
    assert "round-robin" in [one["name"] for one in found["strategies"]]


def run(at: float, model: str = "small", **named: object) -> stats.Run:
    return stats.Run(None, at, model, "x:y", "llamacpp", **{
        "prompt_tokens": 4, "completion_tokens": 11, "first_token_s": 0.5, "total_s": 1.5, **named,
    })  # fmt: skip


def test_the_history_by_day_and_model(served):
    now = time.time()
    day = time.strftime("%Y-%m-%d", time.localtime(now))
    old = time.strftime("%Y-%m-%d", time.localtime(now - 86400))
    with database.open_database() as connection:
        for total in (1.0, 2.0, 3.0):
            stats.record(connection, run(now, total_s=total, cost=0.25))
        stats.record(connection, run(now, "other", error="TimedOut: too late"))
        stats.record(connection, run(now - 86400, "other"))
        stats.record(connection, run(now - 40 * 86400, "gone"))
        due = alerts.due(alerts.Rules(latency_ms=10), alerts.Facts(now, "small", latency_ms=20.0))
        alerts.record(connection, due)
    connection.close()
    found = served.ask("/page/history?days=2").json()
    assert (found["from"], found["today"]) == (old, day)
    assert [(one["day"], one["model"], one["runs"]) for one in found["days"]] == [
        (old, "other", 1), (day, "small", 3), (day, "other", 1),
    ]  # fmt: skip
    small = found["days"][1]
    assert small["total_median_s"] == 2.0 and small["total_p95_s"] == pytest.approx(2.9)
    assert small["cost"] == 0.75 and small["first_token_median_s"] == 0.5
    assert {one["model"]: one["errors"] for one in found["models"]} == {"small": 0, "other": 1}
    assert [one["message"] for one in found["alerts"]] == ["small took 20 ms, and may take 10 ms"]
    assert found["budgets"] == []
    assert served.ask("/page/history?days=1").json()["from"] == day


def test_the_budgets_are_among_the_history():
    with serving(Router(MINI, budgets={"daily": 2.0})) as served:
        (budget,) = served.ask("/page/history").json()["budgets"]
    assert (budget["budget"], budget["limit"], budget["spent"]) == ("daily", 2.0, 0.0)


@pytest.fixture
def telling() -> Iterator[Served]:
    with serving(Router({**MINI, "serve": {"log_requests": True}})) as found:
        yield found


def test_runs_are_listed_found_and_shown(telling):
    served = telling
    asked = served.ask(CHAT, {"messages": [{"role": "user", "content": "Hello " + "x" * 300}]})
    served.ask(CHAT, {"messages": ASKED, "temperature": 0})
    newest, oldest = served.ask("/page/runs").json()["runs"]
    assert newest["prompt"] == ASKED[0]["content"] and newest["model"] == "small"
    assert oldest["prompt"].startswith("Hello xxx") and len(oldest["prompt"]) == 160
    (found,) = served.ask("/page/runs?query=FRANCE").json()["runs"]
    whole = served.ask(f"/page/runs/{found['id']}").json()
    assert whole["answer"] == "The capital of France is Paris."
    assert served.ask(f"/page/runs/{oldest['id']}").json()["answer"] == (
        asked.json()["choices"][0]["message"]["content"]
    )
    assert [len(served.ask("/page/runs?last=1").json()["runs"])] == [1]
    for number in (99, 10**30, "9" * 5000):
        assert served.ask(f"/page/runs/{number}").status == 404


def test_words_that_were_not_kept_are_not_shown():
    with serving() as served:
        served.ask(CHAT, {"messages": ASKED})
        (one,) = served.ask("/page/runs").json()["runs"]
        assert one["prompt"] is None and one["completion_tokens"] > 0
        assert served.ask(f"/page/runs/{one['id']}").json()["answer"] is None


@pytest.mark.parametrize("query", ["days=0", "days=x", "days=367", "days=-1", "days=", "days=1e3",
                                   "days=" + "9" * 5000, "days=²"])  # fmt: skip
def test_a_wrong_number_of_days_is_told(still, query):
    from urllib.parse import quote

    said = still.ask("/page/history?" + quote(query, safe="="))
    assert (said.status, "days" in said.json()["error"]["message"]) == (400, True)


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def test_where_a_model_lies_is_for_who_may_manage(tmp_path):
    file = tmp_path / "model.gguf"
    shutil.copy(resources.files("llmrr.builtin") / "mini.gguf", file)
    keys = {
        "manager": {"hash": hashed(f"manager-{LETTERS}"), "may_manage": True},
        "guest": {"hash": hashed(f"guest-{LETTERS}")},
    }
    models = [{"name": "small", "source": f"file:{file}"}]
    with serving(Router(models=models, serve={"keys": keys})) as served:
        for who, is_told in (("manager", True), ("guest", False)):
            headers = {"authorization": f"Bearer {who}-{LETTERS}"}
            said = served.ask(CHAT, {"model": "small", "messages": ASKED}, headers=headers)
            for path in (f"/page/answers/{said.json()['id']}", "/page/models", "/page/runs/1"):
                found = served.ask(path, headers=headers)
                assert found.status == 200
                assert (str(tmp_path) in found.body.decode()) == is_told


def test_where_there_are_keys_the_files_take_none_and_facts_take_one(monkeypatch):
    monkeypatch.setenv("MANAGER_KEY", f"manager-{LETTERS}")
    monkeypatch.setenv("GUEST_KEY", f"guest-{LETTERS}")
    monkeypatch.setenv("SMALL_KEY", f"small-{LETTERS}")
    models = [{"name": "small", "source": "builtin:mini"},
              {"name": "other", "source": "builtin:mini"}]  # fmt: skip
    keys = {"manager": {"env": "MANAGER_KEY", "may_manage": True}, "guest": {"env": "GUEST_KEY"},
            "small": {"env": "SMALL_KEY", "models": ["small"]}}  # fmt: skip
    serve = {"keys": keys, "log_requests": True}
    router = Router(models=models, serve=serve, budgets={"daily": 2.0})
    with serving(router) as served:

        def ask(path, who, body=None):
            headers = {"authorization": f"Bearer {who}-{LETTERS}"} if who else {}
            return served.ask(path, body, headers=headers)

        assert {ask(path, None).status for path in files.TABLE} == {200}
        id = ask(CHAT, "manager", {"model": "other", "messages": ASKED}).json()["id"]
        facts = ["/page/live", "/page/models", "/page/history", "/page/runs", "/page/runs/1",
                 f"/page/answers/{id}"]  # fmt: skip
        assert {ask(path, None).status for path in facts} == {401}
        assert {ask(path, "manager").status for path in facts} == {200}
        assert ask("/page/runs/1", "manager").json()["prompt"] == ASKED[0]["content"]
        assert ask("/page/runs?query=capital", "manager").json()["runs"]
        assert [one["prompt"] for one in ask("/page/runs", "guest").json()["runs"]] == [None]
        assert ask("/page/runs/1", "guest").json()["answer"] is None
        assert ask("/page/runs?query=capital", "guest").status == 403
        assert ask("/page/runs", "small").json()["runs"] == []
        assert ask("/page/runs/1", "small").status == 404
        for path in ("/page/live", "/page/models", "/page/history"):
            said = ask(path, "small").body
            assert b"other" not in said and b"daily" not in said
        assert b"other" in ask("/page/live", "guest").body
