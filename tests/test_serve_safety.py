"""What the server refuses, and what it never does."""

import http.client
import json
import logging
import socket
import ssl
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from serving import ASKED, MINI, serving
from test_serve_queue import until

from llmrr import database, stats, trust
from llmrr.cluster import Replicas
from llmrr.config import check
from llmrr.config.agreeing import agreements
from llmrr.errors import BadConfig, LlmrrError
from llmrr.router import Router
from llmrr.server import connection, keyring, rays, reading, security, state
from llmrr.server.callers import Caller
from llmrr.server.keyring import hashed
from llmrr.server.refusals import KeyLimit
from llmrr.server.security import Security
from llmrr.tomlfile import KeyRules

KEY, OTHER = "a-key-of-the-team-1", "another-key-of-others-2"
CHAT = {"model": "small", "messages": ASKED, "max_tokens": 4}
KEYS = {
    "team": {"hash": hashed(KEY)},
    "others": {"hash": hashed(OTHER), "models": ["small"], "requests_per_minute": 100_000},
}
TWO = [{"name": "small", "source": "builtin:mini"}, {"name": "second", "source": "builtin:mini"}]


@pytest.fixture(scope="module")
def served():
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def locked():
    with serving(Router(models=TWO, serve={"keys": KEYS}), host="0.0.0.0") as found:
        yield found


# -- names and origins -----------------------------------------------------------------------------


@pytest.mark.parametrize(("headers", "status"), [
    ({"Host": "localhost"}, 200), ({"Host": "LOCALHOST.:9"}, 200), ({"Host": "[::1]:8313"}, 200),
    ({"Host": "127.0.0.1"}, 200),
    ({"Host": "evil.example"}, 403), ({"Host": "localhost.evil.example"}, 403),
    ({"Host": "127.0.0.1.evil.example"}, 403), ({"Host": "evil.example:8313"}, 403),
    ({"Host": ""}, 403), ({"Host": "user@localhost"}, 403),
    ({"Host": "localhost:80@evil.example"}, 403), ({"Host": "[::1]evil.example"}, 403),
    ({"Host": "localhost:evil"}, 403), ({"Host": "[::1"}, 403), ({"Host": "localhost:"}, 200),
    ({"Host": "localhost", "Origin": "http://localhost"}, 200),
    ({"Host": "localhost:80", "Origin": "http://localhost:3000"}, 403),
    ({"Host": "localhost", "Origin": "null"}, 403),
    ({"Host": "localhost", "Origin": "https://evil.example"}, 403),
    ({"Host": "localhost", "Sec-Fetch-Site": "cross-site"}, 403),
    ({"Host": "localhost", "Sec-Fetch-Site": "same-origin"}, 200),
    ({"Host": "localhost", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
])  # fmt: skip
def test_only_pages_of_its_own_may_ask(served, headers, status):
    said = served.ask("/health", headers=headers)
    assert said.status == status
    assert not any(name.startswith("access-control") for name in said.headers)


@pytest.mark.parametrize(("target", "host", "status"), [
    (b"http://localhost/health", b"evil.example", b"200"),
    (b"http://LOCALHOST:80/health", b"localhost", b"200"),
    (b"http://evil.example/health", b"localhost", b"403"),
    (b"http://localhost@evil.example/health", b"localhost", b"403"),
])  # fmt: skip
def test_a_target_that_is_a_whole_address_names_the_host(served, target, host, status):
    head = b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
    assert raw(served, head).split()[1] == status


@pytest.mark.parametrize("name", [b"Host", b"Origin"])
def test_of_two_names_none_is_chosen(served, name):
    twice = name + b": http://localhost\r\n" + name + b": http://evil.example\r\n"
    host = b"Host: localhost\r\n" * (name != b"Host")
    answer = raw(served, b"GET /health HTTP/1.1\r\nConnection: close\r\n" + host + twice + b"\r\n")
    assert answer.split()[1] == b"403" and b"there are two " + name in answer


def test_no_other_site_is_let_in_before_a_request(served):
    said = served.ask("/v1/chat/completions", method="OPTIONS", headers={
        "Origin": "https://evil.example", "Access-Control-Request-Method": "POST"
    })  # fmt: skip
    assert said.status == 403
    assert "access-control-allow-origin" not in said.headers


def test_other_names_are_those_that_the_configuration_lists():
    with serving(Router({**MINI, "serve": {"hosts": ["ai.example.org"]}})) as served:
        for host, status in (("ai.example.org", 200), ("x.example.org", 403), ("localhost", 200)):
            assert served.ask("/health", headers={"Host": host}).status == status


def test_pages_of_the_sites_that_are_listed_may_ask():
    site = "http://localhost:3000"
    settings = {"origins": [site + "/"], "keys": {"team": {"hash": hashed(KEY)}}}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-a"}
    with serving(Router({**MINI, "serve": settings})) as served:
        before = served.ask("/v1/models", method="OPTIONS", headers={"Origin": site, **asked})
        assert (before.status, before.headers["access-control-allow-headers"]) == (204, "x-a")
        assert before.headers["access-control-allow-origin"] == site
        for key, status in (("", 401), (KEY, 200)):
            said = served.ask("/v1/models", headers={
                "Origin": site, "Sec-Fetch-Site": "cross-site", "x-api-key": key
            })  # fmt: skip
            assert said.status == status
            assert said.headers["access-control-allow-origin"] == site
        other = served.ask("/v1/models", headers={"Origin": site + "0", "x-api-key": KEY})
        assert other.status == 403 and "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("site", ["*", "localhost", "http://*", "http://a/b", "null"])
def test_what_is_no_site_is_refused(site):
    with pytest.raises(BadConfig, match="is no site"):
        Router({**MINI, "serve": {"origins": [site]}})
    Path("llmrr.toml").write_text(f'[serve]\norigins = ["http://localhost:3000", "{site}"]\n')
    (problem,) = check(Path("llmrr.toml"))
    assert "is no site" in problem.message and "line 2" in problem.message


def test_a_projects_file_lets_no_site_ask_by_itself():
    Path("llmrr.toml").write_text('[serve]\norigins = ["https://a.example"]\n')
    with closing(Router()) as router, pytest.raises(BadConfig, match="nobody agreed"):
        Security(lambda: router.config, "127.0.0.1")
    assert agreements(Path("llmrr.toml"))[1] == ["pages of https://a.example may ask llmrr serve"]


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [
    {"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer  {KEY}"},
    {"x-api-key": KEY}, {"api-key": KEY},
    {"Authorization": "Bearer wrong-key-of-nobody", "x-api-key": KEY},
])  # fmt: skip
def test_a_key_is_taken_from_where_clients_send_it(locked, headers):
    assert locked.ask("/v1/chat/completions", CHAT, headers=headers).status == 200


def test_a_wrong_key_is_told_from_none(locked):
    for headers, words in (({}, "none came"), ({"x-api-key": "x"}, "none of this server's")):
        assert words in locked.ask("/v1/models", headers=headers).json()["error"]["message"]


@pytest.mark.parametrize("headers", [
    {}, {"Authorization": f"Bearer {KEY}x"}, {"Authorization": KEY}, {"x-api-key": ""},
    {"Authorization": f"Basic {KEY}"}, {"x-api-key": hashed(KEY)}, {"Authorization": "Bearer"},
])  # fmt: skip
def test_nobody_else_is_let_in_and_no_key_is_repeated(locked, headers):
    for path in ("/v1/chat/completions", "/nowhere", "/metrics"):
        said = locked.ask(path, CHAT if path.startswith("/v1") else None, headers=headers)
        assert said.status == 401
        assert said.headers["www-authenticate"] == "Bearer"
        assert KEY not in said.body.decode()
    assert locked.ask("/health", headers=headers).status == 200


def test_every_key_is_compared(monkeypatch):
    compared = []
    monkeypatch.setattr(keyring.hmac, "compare_digest", lambda a, b: compared.append(b) or a == b)
    digests = [hashed(key).removeprefix("sha256:") for key in (KEY, OTHER, KEY + OTHER)]
    found = keyring.Keyring((digest, Caller(digest)) for digest in digests)
    assert found.owner([(b"x-api-key", KEY.encode())]).name == digests[0]
    assert compared == digests


def test_a_model_that_is_for_others_is_one_that_there_is_not(locked):
    headers = {"x-api-key": OTHER}
    assert locked.ask("/v1/chat/completions", CHAT, headers=headers).status == 200
    for name in ("auto", None):
        body = {**CHAT, "model": name}
        assert locked.ask("/v1/chat/completions", body, headers=headers).status == 200
    said = [
        locked.ask("/v1/chat/completions", {**CHAT, "model": name}, headers=headers)
        for name in ("second", "absent")
    ]
    assert [one.status for one in said] == [404, 404]
    assert said[0].body.replace(b"second", b"absent") == said[1].body


def test_who_may_use_some_models_sees_no_others_and_no_response_of_another_key(locked):
    listed = locked.ask("/v1/models", headers={"x-api-key": OTHER}).json()["data"]
    assert {one["id"] for one in listed} == {"auto", "small"}
    said = locked.ask("/v1/embeddings", {"input": "x"}, headers={"x-api-key": OTHER})
    assert said.status == 400
    body = {"model": "small", "input": "Hello", "max_output_tokens": 16}
    made = locked.ask("/v1/responses", body, headers={"x-api-key": KEY}).json()["id"]
    for key, status in ((OTHER, 404), (KEY, 200)):
        assert locked.ask(f"/v1/responses/{made}", headers={"x-api-key": key}).status == status


@pytest.mark.parametrize("path", ["/api/show", "/api/generate", "/api/chat"])
def test_the_model_by_default_is_not_for_who_may_use_another(path):
    """The first of several is described, and unloaded, where none is named."""
    with serving(Router(models=TWO[::-1], serve={"keys": KEYS})) as served:
        headers, body = {"x-api-key": OTHER}, {"model": "auto", "keep_alive": 0}
        said = served.ask(path, body, headers=headers)
        assert said.status == 404 and b"second" not in said.body
        assert served.ask(path, {**body, "model": "small"}, headers=headers).status == 200
        assert served.ask(path, body, headers={"x-api-key": KEY}).status == 200


@pytest.mark.parametrize(("path", "body"), [
    ("/route", CHAT), ("/api/generate", {"model": "small"}), ("/api/chat", {"model": "small"}),
    ("/v1/embeddings", {"model": "small", "input": "x"}), ("/v1/messages/count_tokens", CHAT),
    ("/v1/responses/input_tokens", {"model": "small", "input": "x"}),
])  # fmt: skip
def test_whatever_takes_a_model_counts_as_a_request(path, body):
    keys = {"team": {"hash": hashed(KEY), "requests_per_minute": 1}}
    with serving(Router({**MINI, "serve": {"keys": keys}})) as served:
        said = [served.ask(path, body, headers={"x-api-key": KEY}) for _ in range(2)]
        assert [one.status for one in said] == [200, 429]
        assert int(said[1].headers["retry-after"]) > 0


def test_no_figure_names_a_model_of_others(monkeypatch):
    monkeypatch.setattr(state, "FRESH_S", 0.0)
    away = {"source": "openai:x", "options": {"base_url": "http://127.0.0.1:9/v1"}}
    stated = {"health": {"interval": 0.05}, "serve": {"keys": KEYS}}
    with serving(Router(models=[*TWO, {"name": "away", **away}], **stated)) as served:
        until(lambda: served.ask("/health").json()["status"] == "degraded")
        assert served.ask("/health").json()["failing"] == []  # it takes no key
        for name in ("second", "small", "auto"):
            said = served.ask(
                "/v1/chat/completions", {**CHAT, "model": name}, headers={"x-api-key": KEY}
            )
            assert said.status == 200
        whole, part = (
            served.ask("/metrics", headers={"x-api-key": key}).body.decode() for key in (KEY, OTHER)
        )
        assert all(f'model="{name}"' in whole for name in ("second", "away", "small"))
        assert 'model="small"' in part and "llmrr_queue_length" in part
        assert not any(f'"{name}"' in part for name in ("second", "away"))


@pytest.mark.parametrize(("rules", "uses", "what"), [
    (KeyRules(requests_per_minute=2), [0, 0], "2 requests a minute"),
    (KeyRules(tokens_per_minute=10), [10], "10 tokens a minute"),
    (KeyRules(tokens_per_day=10), [4, 7], "10 tokens a day"),
])  # fmt: skip
def test_a_key_may_use_so_much_and_again_when_time_has_passed(rules, uses, what):
    now = [0.0]
    caller = Caller("team", rules, lambda: now[0])
    for tokens in uses:
        caller.enter()
        caller.leave(tokens)
    with pytest.raises(KeyLimit, match=what) as refused:
        caller.enter()
    now[0] += refused.value.retry_after - 1.5
    with pytest.raises(KeyLimit):
        caller.enter()
    now[0] += 1.5
    caller.enter()


def test_a_key_may_have_so_many_requests_at_once():
    caller = Caller("team", KeyRules(concurrent=1))
    caller.enter()
    with pytest.raises(KeyLimit, match="1 requests at once"):
        caller.enter()
    caller.leave(0)
    caller.enter()


def test_what_a_key_has_used_of_its_day_outlives_the_server(served):
    """Also one that is killed: it is written down meanwhile. Servers of one user count together."""
    usage = served.ask("/v1/chat/completions", CHAT).json()["usage"]["total_tokens"]

    def router(daily):
        rules = {"hash": hashed(KEY), "tokens_per_day": daily}
        return Router({**MINI, "serve": {"keys": {"team": rules}}})

    def ask(one):
        return one.ask("/v1/chat/completions", CHAT, headers={"x-api-key": KEY}).status

    def used():
        with closing(database.open_database()) as connection:
            return float((database.recall(connection, "serve.day.team") or "0").split()[0])

    most = usage * 3 // 2
    with serving(router(most)) as one, serving(router(most)) as beside:
        assert ask(one) == 200
        until(lambda: used() > usage * 0.9)
        assert ask(beside) == 200
        until(lambda: used() > usage * 1.9)
        until(lambda: ask(beside) == 429)
    with serving(router(most)) as again:
        assert ask(again) == 429
    with serving(router(usage * 100)) as again:
        assert ask(again) == 200
    assert used() > usage * 2.9  # at its end, too


def test_what_a_key_has_used_up_is_a_429():
    rules = {"hash": hashed(KEY), "tokens_per_minute": 5}
    with serving(Router({**MINI, "serve": {"keys": {"team": rules}}})) as served:
        asked = [
            served.ask("/v1/chat/completions", CHAT, headers={"x-api-key": KEY}) for _ in "ab"
        ]
        assert [one.status for one in asked] == [200, 429]
        assert int(asked[1].headers["retry-after"]) >= 1


def test_a_key_may_come_from_a_variable(monkeypatch):
    monkeypatch.setenv("TEAM_KEY", KEY)
    with serving(variables=["TEAM_KEY"]) as served:
        assert served.ask("/v1/chat/completions", CHAT).status == 401
        assert served.ask("/v1/chat/completions", CHAT, headers={"x-api-key": KEY}).status == 200


@pytest.mark.parametrize(("named", "said"), [
    ({"host": "0.0.0.0"}, "no key that lets them in"), ({"host": "::"}, "no key"),
    ({"host": "192.0.2.1"}, "no key"), ({"variables": ["NOBODY_SET_THIS"]}, "holds no key"),
])  # fmt: skip
def test_a_server_that_others_can_reach_takes_keys(named, said):
    with pytest.raises(LlmrrError, match=said), serving(**named):
        pass


def test_a_file_that_is_no_longer_agreed_to_says_how_and_holds_once_it_is(monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("llmrr"), "propagate", True)
    monkeypatch.setattr(security, "AGAIN_S", 0.0)
    file = Path("llmrr.toml").absolute()
    text = f'[serve.keys.team]\nhash = "{hashed(KEY)}"\n'
    file.write_text(text)
    trust.trust(file)
    with closing(Router()) as router:
        holding = Security(lambda: router.config, "127.0.0.1")
        file.write_text(text + f'[serve.keys.new]\nhash = "{hashed(OTHER)}"\n')
        router.reload()
        for _ in range(3):
            assert set(holding.keyring().by_hash()) == {"team"}
        (record,) = [one for one in caplog.records if one.name == "llmrr.server"]
        assert record.levelname == "ERROR" and f"llmrr config trust {file}" in record.getMessage()
        trust.trust(file)
        assert set(holding.keyring().by_hash()) == {"team", "new"}


def test_each_reason_why_keys_are_refused_is_told_once(monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("llmrr"), "propagate", True)
    monkeypatch.setattr(security, "AGAIN_S", 0.0)
    file = Path("llmrr.toml").absolute()
    file.write_text("version = 1\n")
    with closing(Router()) as router:
        holding = Security(lambda: router.config, "127.0.0.1")
        file.write_text('[serve.keys.team]\nenv = "TEAM_KEY"\n')
        router.reload()
        for agreed in (False, True):
            if agreed:
                trust.trust(file)
            for _ in range(3):
                assert not holding.keyring()
        told = [one.getMessage() for one in caplog.records if one.name == "llmrr.server"]
        assert ["llmrr config trust" in told[0], "llmrr keys set TEAM_KEY" in told[1]] == [True] * 2
        assert len(told) == 2


def test_a_short_key_is_none_and_is_not_repeated():
    with pytest.raises(LlmrrError) as refused:
        hashed("short-secret")
    assert "short-secret" not in str(refused.value)


def test_that_replicas_count_alone_is_told():
    few, many = Replicas(1, 1), Replicas(1, 4)
    limited = [KeyRules(env="A"), KeyRules(env="B", requests_per_minute=9, concurrent=0)]
    said = rays._apart(limited, many)
    assert said is not None
    assert said.startswith("requests_per_minute, concurrent of keys are counted by each replica")
    assert "4 times as much" in said
    assert rays._apart(limited, few) is None
    assert rays._apart([KeyRules(env="A", tokens_per_day=9)], many) is None


# -- logs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asks", [False, True])
def test_what_is_logged_of_a_request(locked, caplog, asks):
    caplog.set_level(logging.INFO if asks else logging.ERROR, "llmrr.requests")
    caplog.set_level(logging.INFO, "llmrr.server")
    caplog.set_level(logging.INFO, "llmrr.access")  # the last one is that of what is caught
    path = "/v1/chat/completions?secret=query"
    sent = {**CHAT, "temprature": 1, "a secret field": 1}
    said = locked.ask(path, sent, headers={"x-api-key": KEY})
    locked.ask("/a%0Ab", headers={"x-api-key": "wrong-key-of-nobody"})
    until(lambda: "GET" in caplog.text)
    assert "team POST /v1/chat/completions 200" in caplog.text
    for hidden in (KEY, "wrong-key", "secret=query"):
        assert hidden not in caplog.text
    assert "GET /a%0Ab 401" in caplog.text
    assert (ASKED[0]["content"] in caplog.text) is asks
    assert caplog.text.count(said.headers["x-request-id"]) == 1 + 2 * asks
    assert "has fields that nobody knows: temprature (temperature?)\n" in caplog.text
    assert ("a secret field" in caplog.text) is asks


@pytest.mark.parametrize("streams, told", [(False, "499"), (True, "200")])
def test_that_a_client_has_left_is_logged(served, caplog, streams, told):
    caplog.set_level(logging.INFO, "llmrr.access")
    body = {"model": "small", "prompt": "a", "stream": streams, "ignore_eos": True, "n": 64,
            "max_tokens": 4000}  # fmt: skip
    where = urlsplit(served.url)
    with socket.create_connection((where.hostname, where.port), 30) as connection:
        data = json.dumps(body).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(data)}"
        connection.sendall(f"{head}\r\n\r\n".encode() + data)
        if streams:
            assert connection.recv(10)
        until(lambda: served.service.under_way)
    until(lambda: "POST" in caplog.text)
    assert f"POST /v1/completions {told} " in caplog.text
    assert caplog.text.rstrip().endswith("s, the client left")


@pytest.mark.parametrize("asks", [False, True])
def test_the_history_keeps_words_of_others_only_where_that_is_asked(asks):
    router = Router(models=TWO, serve={"log_requests": asks})
    with serving(router) as served:
        served.ask("/v1/chat/completions", {**CHAT, "temperature": 1})
    with closing(database.open_database()) as connection:
        [run] = stats.runs(connection)
    assert run.prompt == (ASKED[0]["content"] if asks else None)
    assert (run.answer is not None) is asks
    assert run.completion_tokens == 4


def test_a_decision_names_no_model_of_others(locked):
    said = locked.ask("/route", {"messages": ASKED}, headers={"x-api-key": OTHER})
    assert said.json()["asked"] == ["small"]
    assert b"second" not in said.body
    named = {"model": "second", "messages": ASKED}
    assert locked.ask("/route", named, headers={"x-api-key": OTHER}).status == 404


# -- bodies and heads ------------------------------------------------------------------------------


def raw(served, data, *, ends=False):
    """What comes back for bytes, until the server closes."""
    where = urlsplit(served.url)
    with socket.create_connection((where.hostname, where.port), 30) as sock:
        sock.sendall(data)
        if ends:
            sock.shutdown(socket.SHUT_WR)
        found = b""
        try:
            while piece := sock.recv(65536):
                found += piece
        except ConnectionResetError:
            pass
        return found


def test_a_head_that_is_too_large_or_none_is_refused(served):
    assert b" 431 " in raw(served, b"GET / HTTP/1.1\r\nx: " + b"a" * 300_000)
    whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\nx: " + b"a" * 66_000 + b"\r\n\r\n"
    assert b" 431 " in raw(served, whole)
    assert b" 400 " in raw(served, b"\x16\x03\x01\x02\x00garbage\r\n\r\n")
    assert served.ask("/health").status == 200


def test_a_head_of_many_small_lines_is_too_large_too(served):
    lines = b"x: a\r\n" * 15_000
    assert b" 431 " in raw(served, b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n")


CHUNKS = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize("begin", [
    b"2\r\n{}\r\n0\r\n", b"2\r\n{}\r\n0\r\nx: ", b"2;",
])  # fmt: skip
def test_what_stands_around_a_body_has_a_bound(served, begin, monkeypatch):
    monkeypatch.setattr(connection, "GRACE_S", 30.0)
    where = urlsplit(served.url)
    with socket.create_connection((where.hostname, where.port), 30) as sock:
        sock.sendall(CHUNKS + b"\r\n" + begin)
        with pytest.raises(ConnectionError):
            for _ in range(200):
                sock.sendall(b"y: a\r\n" * 10_000 if begin.endswith(b"\n") else b"a" * 60_000)


def test_what_stands_behind_a_body_is_no_header(locked):
    """Who asks is known before a body comes, and not by what comes behind it."""
    body = b"POST /v1/models HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    key = b"X-Api-Key: " + KEY.encode() + b"\r\n"
    behind = raw(locked, body + b"Connection: close\r\n\r\n0\r\n" + key + b"\r\n")
    before = raw(locked, body + key + b"Connection: close\r\n\r\n0\r\n\r\n")
    assert (behind.split()[1], before.split()[1]) == (b"401", b"405")


def test_a_client_that_speaks_tls_is_refused(served):
    where = urlsplit(served.url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = socket.create_connection((where.hostname, where.port), 30)
    with sock, pytest.raises(OSError):
        context.wrap_socket(sock)
    assert served.ask("/health").status == 200


def test_who_takes_too_long_is_let_go(served, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_S", 0.2)
    monkeypatch.setattr(reading, "PIECE_S", 0.2)
    assert raw(served, b"") == b""
    assert raw(served, b"GET / HTT") == b""
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n"
    assert b" 408 " in raw(served, head + b"Connection: close\r\n\r\n{")


def test_what_is_answered_before_it_has_come_is_the_last_on_its_connection(served, monkeypatch):
    """Else whoever is refused, as without a key, holds a connection for as long as he likes."""
    monkeypatch.setattr(connection, "GRACE_S", 0.1)
    monkeypatch.setattr(connection, "LINGER_S", 0.3)
    where = urlsplit(served.url)
    head = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n"
    with socket.create_connection((where.hostname, where.port), 30) as sock:
        sock.sendall(head + b"x" * 100_000)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
        assert b" 404 " in answer

        def is_broken() -> bool:
            try:
                sock.sendall(b"x")
            except ConnectionError:
                return True
            return False

        until(is_broken)
    whole = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nxyz"
    with socket.create_connection((where.hostname, where.port), 30) as sock:
        for _ in range(2):  # what has come as a whole is no reason to end
            sock.sendall(whole)
            found = http.client.HTTPResponse(sock, method="POST")
            found.begin()
            assert (found.status, bool(found.read())) == (404, True)


def test_what_comes_soon_after_its_answer_ends_nothing(served):
    where = urlsplit(served.url)
    head = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n"
    with socket.create_connection((where.hostname, where.port), 30) as sock:
        for _ in range(3):
            sock.sendall(head)
            found = http.client.HTTPResponse(sock, method="POST")
            found.begin()
            assert (found.status, bool(found.read())) == (404, True)
            sock.sendall(b"xyz")
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
        assert b" 200 " in answer


@pytest.mark.parametrize("begin", [
    b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
    b"POST /nowhere HTTP/1.0\r\n",
    b"GET / HTTP/1.1\r\nx: " + b"a" * 300_000 + b"\r\n",
])  # fmt: skip
def test_who_still_sends_what_was_refused_reads_why(served, begin):
    where = urlsplit(served.url)
    with socket.create_connection((where.hostname, where.port), 30) as sock:
        sock.sendall(begin + b"Content-Length: 1000000\r\n\r\n")
        sock.recv(1, socket.MSG_PEEK)  # the answer is there
        for _ in range(10):
            sock.sendall(b"x" * 100_000)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
        assert answer.split()[1] in (b"404", b"431")
        assert b"connection: close" in answer


@pytest.mark.parametrize(("length", "rest"), [
    (b"Content-Length: 3", b"xyzGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"no chunk\r\n"),
])  # fmt: skip
def test_nothing_is_asked_behind_the_last_answer(served, monkeypatch, caplog, length, rest):
    monkeypatch.setattr(connection, "GRACE_S", 0.05)
    monkeypatch.setattr(connection, "LINGER_S", 1.0)
    where = urlsplit(served.url)
    caplog.set_level(logging.INFO)
    with socket.create_connection((where.hostname, where.port), 30) as sock:
        sock.sendall(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n")
        while sock.recv(65536):  # until it says no more
            pass
        sock.sendall(rest)

        def is_broken() -> bool:
            try:
                sock.sendall(b"x")
            except ConnectionError:
                return True
            return False

        until(is_broken)
    assert served.ask("/v1/models").status == 200  # what came before it was answered, if at all
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []
    assert "/health" not in caplog.text


def test_a_body_has_a_bound_whether_its_length_is_said_or_not():
    with serving(Router({**MINI, "serve": {"max_body": 1000}})) as served:
        body = json.dumps({**CHAT, "messages": [{"role": "user", "content": "x" * 2000}]}).encode()
        assert served.ask("/v1/chat/completions", raw=body, method="POST").status == 413
        head = (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n")  # fmt: skip
        chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        assert b" 413 " in raw(served, head + chunk)


@pytest.mark.parametrize("body", [
    b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"model": "small", "messages": [], "response_format": ' + b'{"a":' * 300 + b"1" + b"}" * 301,
    b'{"model": "small", "prompt": "a", "max_tokens": ' + b"9" * 5000 + b"}",
    b'{"model": "small", "prompt": "a", "temperature": NaN}',
    b'{"model": "small", "prompt": "a", "guided_json": "' + b"[" * 100_000 + b'"}',
])  # fmt: skip
def test_a_bomb_is_a_bad_request(served, body):
    assert served.ask("/v1/completions", raw=body, method="POST").status == 400


def test_as_many_connections_as_may_be_and_no_more():
    with serving(Router({**MINI, "serve": {"max_connections": 4}})) as served:
        where = urlsplit(served.url)
        held = [socket.create_connection((where.hostname, where.port), 30) for _ in range(4)]
        for one in held:
            one.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        assert served.ask("/health").status == 503
        for one in held:
            one.close()
        until(lambda: served.ask("/health").status == 200)


# -- no files, no addresses ------------------------------------------------------------------------


@pytest.fixture
def outside():
    """A server that nobody may ask; the requests that it got."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def listen():
            while True:
                try:
                    asked.append(listener.accept())
                except OSError:
                    return

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x", asked
        listener.shutdown(socket.SHUT_RDWR)


def test_no_path_is_opened_and_no_address_is_fetched(served, outside, tmp_path, monkeypatch):
    url, asked = outside
    secret = tmp_path / "secret.txt"
    secret.write_text("the words of a file")
    for place in (url, f"file://{secret}", str(secret), "http://169.254.169.254/latest"):
        image = {"type": "image_url", "image_url": {"url": place}}
        schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": place}}}
        for more in (
            {"messages": [{"role": "user", "content": [image]}]},
            {"response_format": schema},
            {"tools": [{"type": "function", "function": {
                "name": "f", "parameters": {"$ref": place}}}]},
            {"mmproj": place, "lora": [{"path": place}], "options": {"mmproj": place}},
            {"path": place, "chat_template": f"file:{place}", "template": place},
            {"base_url": place, "api_base": place, "model_path": place},
            {"model": place},
        ):  # fmt: skip
            said = served.ask("/v1/chat/completions", {**CHAT, **more})
            assert said.status < 500, (more, said.body)
            assert b"the words of a file" not in said.body
    assert asked == []
    for path in (f"/{secret}", f"/..%2f..{secret}", "/static/../../etc/passwd"):
        assert served.ask(path).status == 404
    assert Path(secret).read_text() == "the words of a file"
