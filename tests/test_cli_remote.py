"""Models that answer elsewhere, from the command line and the configuration."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from holdings import OllamaStore, model_bytes
from openai_servers import OpenAIServer
from other_servers import OllamaServer
from provider_servers import KEY, MODEL, Fault, Said
from terminal import Typed

from llmrr import config, paths, trust
from llmrr.engines.remote.keys import key_for
from llmrr.engines.remote.providers import PROVIDERS
from llmrr.errors import BadConfig
from llmrr.router import Router
from llmrr.types import Endpoint

SOURCE = f"openai:{MODEL}"


@pytest.fixture
def openai(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """A server that the variables of OpenAI's clients lead to."""
    with OpenAIServer() as served:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", served.address + "/v1")
        yield served


def write(text: str, path: Path | None = None) -> None:
    path = path or config.user_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("version = 1\n" + text)


def model_table(served: OpenAIServer, options: str = "") -> str:
    return (
        f'[[models]]\nname = "far"\nsource = "{SOURCE}"\n'
        f'params = {{ temperature = 0.5, system = "Be brief." }}\n'
        f'options = {{ base_url = "{served.address}/v1", api_key_env = "FAR_KEY"{options} }}\n'
    )


def test_run_asks_a_provider(openai: OpenAIServer, typed: Typed) -> None:
    seen = typed("run", "-m", SOURCE, "Hello")
    assert (seen.code, seen.out, seen.err) == (0, "Hello, world!\n", "")
    body = openai.last.body
    assert body == {
        "model": MODEL, "stream": True, "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "Hello"}],
    }  # fmt: skip
    assert openai.last.headers["authorization"] == f"Bearer {KEY}"
    assert openai.last.headers["user-agent"].startswith("llmrr/")


def test_who_cannot_be_reached_is_told_with_the_model_and_the_address(typed: Typed) -> None:
    table = '[[models]]\nname = "{0}"\nsource = "openai:small"\ngroup = "both"\noptions = {{ ' \
        'base_url = "http://127.0.0.1:{1}/v1" }}\n'
    write(f"{table.format('first', 1)}{table.format('second', 2)}[retry]\nattempts = 1\n")
    seen = typed("run", "-m", "both", "Hello")
    at, name = ("127.0.0.1:1", "first") if "(first)" in seen.err else ("127.0.0.1:2", "second")
    said = f"llmrr: openai:small cannot be reached at {at}: Connection refused ({name})\n"
    said += f"  hint: look at the network, at the server at {at}, or at base_url\n"
    assert (seen.code, seen.err[-len(said) :]) == (6, said), seen.err


def test_an_address_is_told_without_the_key_in_it(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:s3cret-word@127.0.0.1:1/v1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    seen = typed("run", "-m", SOURCE, "Hello")
    assert (seen.code, "at 127.0.0.1:1: Connection refused\n" in seen.err) == (6, True)
    assert "s3cret" not in seen.err


def test_the_model_may_stand_before_the_prompt(openai: OpenAIServer, typed: Typed) -> None:
    assert typed("run", SOURCE, "Hello", "there").out == "Hello, world!\n"
    assert openai.last.body["messages"][0]["content"] == "Hello there"


def test_json_says_who_answered_and_what_it_took(openai: OpenAIServer, typed: Typed) -> None:
    openai.replies.append(Said(reasoning=("Let me", " think.")))
    found = typed("run", "-m", SOURCE, "--json", "Hello").json
    assert (found["text"], found["reasoning"]) == ("Hello, world!", "Let me think.")
    assert (found["model"], found["engine"]) == (SOURCE, "openai")
    assert found["usage"] == {
        "prompt_tokens": 11, "cached_tokens": 4, "completion_tokens": 3, "estimated": False
    }  # fmt: skip
    assert found["timings"]["first_token_s"] > 0


def test_it_is_recorded_without_the_key(openai: OpenAIServer, typed: Typed) -> None:
    typed("run", "-m", SOURCE, "Hello")
    openai.faults.append(Fault(401, message=f"no: {KEY}"))
    failed = typed("run", "-m", SOURCE, "Hello")
    assert failed.code == 6
    assert KEY not in failed.out + failed.err
    assert "export OPENAI_API_KEY=…" in failed.err
    logged = typed("logs", "list", "--json").out + typed("logs", "--json").out
    assert SOURCE in logged
    for file in paths.data_dir().rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes()


def test_a_traceback_has_no_key(
    openai: OpenAIServer, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMRR_DEBUG", "1")
    openai.faults.append(Fault(401, message=f"no: {KEY}"))
    seen = typed("run", "-m", SOURCE, "Hello")
    assert "Traceback" in seen.err
    assert KEY not in seen.out + seen.err


@pytest.mark.parametrize(
    ("fault", "code", "kind"),
    [
        (Fault(400), 7, "RequestRefused"),
        (Fault(404), 3, "NotFound"),
        (Fault(429), 7, "RateLimited"),
        (Fault(400, "context_length_exceeded"), 7, "RequestRefused"),
        (Fault(400, message="maximum context length is 8192 tokens"), 5, "ContextOverflow"),
        (Fault(400, "content_filter"), 7, "ContentRefused"),
        (Fault(429, "insufficient_quota"), 7, "RequestRefused"),
        (Fault(402), 7, "RequestRefused"),
    ],
)
def test_errors_have_their_exit_codes(
    openai: OpenAIServer, typed: Typed, fault: Fault, code: int, kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("LLMRR_RETRY__ATTEMPTS", "1")
    openai.faults.append(fault)
    seen = typed("run", "-m", SOURCE, "--json", "Hello")
    error = seen.json["error"]
    if fault.code == "context_length_exceeded":
        kind, code = "ContextOverflow", 5
    assert (seen.code, error["type"]) == (code, kind)
    assert f"({fault.status})" in error["message"]


def test_a_missing_key(typed: Typed) -> None:
    seen = typed("run", "-m", "openai:gpt-4o-mini", "Hello")
    assert seen.code == 6
    assert "openai:gpt-4o-mini needs a key, and OPENAI_API_KEY is not set" in seen.err
    assert "export OPENAI_API_KEY=…" in seen.err


def test_options_of_the_command_line(openai: OpenAIServer, typed: Typed) -> None:
    seen = typed(
        "run", "-m", SOURCE, "-o", "base_url", openai.address + "/v1", "-o", "api_key_env",
        "OPENAI_API_KEY", "--temperature", "0.2", "--max-tokens", "5", "--seed", "7", "Hello",
    )  # fmt: skip
    assert seen.out == "Hello, world!\n"
    body = openai.last.body
    assert (body["temperature"], body["max_tokens"], body["seed"]) == (0.2, 5, 7)
    assert typed("run", "-o", "base_url", "http://127.0.0.1:1/v1", "Hello").code == 2
    assert typed("run", "-m", SOURCE, "-o", "num_gpu", "3", "Hello").code == 4
    assert typed("run", "-m", SOURCE, "-o", "base_url", "nothing", "Hello").code == 2


def test_a_model_of_the_configuration(
    openai: OpenAIServer, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.setenv("FAR_KEY", KEY)
    write(model_table(openai, ', organization = "org-1", timeout = 30, max_retries = 1'))
    openai.faults.append(Fault(503, headers={"retry-after": "0"}))
    seen = typed("run", "Hello")
    assert seen.out == "Hello, world!\n"
    said, again = seen.err.splitlines()
    assert said == "llmrr: model far (there is no other)"
    assert "far failed (Overloaded: " in again
    assert "it is asked again in" in again
    assert [one["role"] for one in openai.last.body["messages"]] == ["system", "user"]
    assert openai.last.body["temperature"] == 0.5
    assert "top_k" not in openai.last.body
    assert openai.last.headers["openai-organization"] == "org-1"
    [line, _] = typed("list", "--json").json
    assert (line["name"], line["origin"], line["is_missing"]) == ("far", "openai", False)
    assert line["path"] is None
    assert SOURCE in typed("list").out
    assert typed("config", "check").code == 0


def test_a_project_sends_a_key_only_where_the_user_agreed(
    openai: OpenAIServer, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    project = Path("llmrr.toml")
    write(model_table(openai), project)
    refused = typed("run", "-m", "far", "Hello")
    assert refused.code == 8
    assert "sends FAR_KEY to" in refused.err
    assert "llmrr config trust" in refused.err
    assert openai.seen == []
    assert typed("run", "-m", "far", "Hello", answers="n\n").code == 1
    assert typed("config", "trust").code == 0
    assert typed("run", "-m", "far", "Hello").out == "Hello, world!\n"
    project.write_text(project.read_text() + "# changed\n")
    assert typed("run", "-m", "far", "Hello").code == 8
    assert typed("run", "-m", "far", "Hello", answers="y\n").code == 0
    assert typed("run", "-m", "far", "Hello").code == 0
    assert len(openai.seen) == 3


@pytest.mark.parametrize("prefix", ["bedrock", "Bedrock"])
def test_a_project_has_no_request_signed_for_its_own_address(typed: Typed, prefix: str) -> None:
    write(
        f'[[models]]\nname = "far"\nsource = "{prefix}:anthropic.claude-3"\n'
        'options = { base_url = "http://127.0.0.1:9" }\n', Path("llmrr.toml"),
    )  # fmt: skip
    refused = typed("run", "-m", "far", "Hello")
    assert refused.code == 8
    assert "sends the keys of AWS that boto3 finds to http://127.0.0.1:9" in refused.err
    assert config.load().untrusted("far", {"base_url": "http://mine/v1"}) == ""
    assert typed("config", "trust").code == 0
    assert config.load().untrusted("far") == ""


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "bedrock"])
def test_no_other_provider_has_its_usual_key_sent_to_a_stated_address(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROVIDERS[provider].keys:
        monkeypatch.setenv(name, KEY)
    assert key_for(Endpoint(provider, "m", base_url="http://127.0.0.1:9")) is None

def test_trust_lists_what_is_agreed_to_and_asks(openai: OpenAIServer, typed: Typed) -> None:
    project = Path("llmrr.toml")
    alerts = '[alerts]\nwebhook = "https://hooks.example.org/T1/hunter2"\ncommand = "echo a b"\n'
    write(model_table(openai) + alerts, project)
    for args, answers, code in (
        ((), "n\n", 1), ((), "\n", 1), ((), "y\n", 0), (("-y",), None, 0), ((), None, 0),
    ):  # fmt: skip
        seen = typed("config", "trust", *args, answers=answers)
        assert seen.code == code
        assert f"'far' sends FAR_KEY to {openai.address}" in seen.err
        assert "posted to https://hooks.example.org\n" in seen.err
        assert "run echo a b" in seen.err
        assert trust.is_trusted(project) is (code == 0)
        assert ("trusted until" in seen.err) is (code == 0)


def test_what_was_read_of_a_file_is_read_again_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "_TICK_S", -60.0)  # keep also what is young
    path, new = tmp_path / "llmrr.toml", tmp_path / "new"
    path.write_text("a = 1")
    for content in ("a = 1", "b = 2"):
        new.write_text(content)
        new.replace(path)
        assert not trust.is_trusted(path)
        trust.trust(path)
        assert trust.is_trusted(path) and trust.is_trusted(path)
    trust.withdraw(path, b"b = 2")
    assert not trust.is_trusted(path)
    path.unlink()
    assert not trust.is_trusted(path)


def test_what_is_no_file_of_settings_is_not_trusted(typed: Typed, tmp_path: Path) -> None:
    stray = tmp_path / "passwd"
    stray.write_text("root:x:0:0:root:/root:/bin/sh\n")
    for path in (stray, tmp_path):
        seen = typed("config", "trust", "-y", str(path))
        assert (seen.code, trust.is_trusted(path)) == (8, False)
    assert typed("config", "trust", "-y", str(tmp_path / "none")).code == 3


def test_a_model_that_nobody_agreed_to_is_not_left_out_in_silence(
    openai: OpenAIServer, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    mini = '[[models]]\nname = "here"\nsource = "builtin:mini"\n'
    write(model_table(openai) + mini, Path("llmrr.toml"))
    seen = typed("run", "--max-tokens", "1", "Hello")
    assert seen.code == 0
    [said] = [line for line in seen.err.splitlines() if "is left out" in line]
    assert said.startswith("llmrr: far is left out: ")
    assert said.endswith("sends FAR_KEY to " + openai.address
                         + "/v1, and nobody agreed to that: llmrr config trust")
    checked = typed("config", "check")
    assert checked.code == 0
    assert "nobody agreed to that\n  hint: llmrr config trust " in checked.out
    typed("config", "trust")
    assert "left out" not in typed("run", "Hello").err
    assert "agreed" not in typed("config", "check").out


def test_what_needs_no_trust(openai: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    base = f'[[models]]\nname = "far"\nsource = "{SOURCE}"\n'
    for options, needs in (
        ('{ api_key_env = "FAR_KEY" }', False),
        (f'{{ base_url = "{openai.address}" }}', False),
        (f'{{ base_url = "{openai.address}", headers_env = {{ X-A = "FAR_KEY" }} }}', True),
    ):
        write(f"{base}options = {options}\n", Path("llmrr.toml"))
        assert bool(config.load().untrusted("far")) is needs
    found = config.load()
    assert found.untrusted("far", {"base_url": "http://mine/v1"}) == ""
    assert found.untrusted("nobody") == ""
    with Router() as router, pytest.raises(BadConfig, match="FAR_KEY"):
        router.open("far")


@pytest.mark.parametrize(
    "command",
    [
        ("show", SOURCE), ("fit", SOURCE), ("convert", SOURCE, "--to", "gguf"),
        ("cp", SOURCE, "mine"), ("create", "mine", "--from", SOURCE), ("export", SOURCE),
        ("rm", SOURCE), ("pull", SOURCE), ("show", SOURCE, "--modelfile"),
        ("show", SOURCE, "--template"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_needs_files_says_that_there_are_none(
    openai: OpenAIServer, typed: Typed, command: tuple[str, ...]
) -> None:
    seen = typed(*command)
    assert seen.code in (2, 3, 4)
    assert seen.err.count("llmrr: ") == 1
    assert SOURCE in seen.err
    assert openai.seen == []


def test_eval_asks_a_provider_too(openai: OpenAIServer, typed: Typed) -> None:
    Path("set.jsonl").write_text('{"prompt": "Say it.", "expected": "Hello, world!"}\n' * 3)
    seen = typed("eval", SOURCE, "--set", "set.jsonl", "--json", "--concurrency", "2")
    assert seen.code == 0, seen.err
    [one] = seen.json["models"]
    assert (one["correct"], one["questions"], one["source"]) == (3, 3, SOURCE)
    Path("text.txt").write_text("Some text.")
    perplexity = typed("eval", SOURCE, "--text", "text.txt")
    assert (perplexity.code, "only the provider knows" in perplexity.err) == (4, True)


def test_embed(openai: OpenAIServer, typed: Typed) -> None:
    found = typed("embed", "-m", SOURCE, "a", "bcd", "--json").json
    vectors = [one["embedding"] for one in found["embeddings"]]
    assert vectors[1] == pytest.approx([0.9486833, 0.3162278, 0.0])
    assert openai.last.body["input"] == ["a", "bcd"]


def test_chat(openai: OpenAIServer, typed: Typed) -> None:
    seen = typed("chat", "-m", SOURCE, stdin="Hello\nAgain\n")
    assert (seen.code, seen.out) == (0, "Hello, world!\nHello, world!\n")
    roles = [one["role"] for one in openai.last.body["messages"]]
    assert roles == ["user", "assistant", "user"]
    wrong = typed("chat", "-m", SOURCE, stdin="/show info\n")
    assert "nothing of it is on this machine" in wrong.err


def test_a_schema(openai: OpenAIServer, typed: Typed) -> None:
    openai.replies.append(Said(text=('{"age": 3}',)))
    seen = typed("run", "-m", SOURCE, "--schema", "age int", "Hello")
    assert json.loads(seen.out) == {"age": 3}
    shape = openai.last.body["response_format"]["json_schema"]
    assert shape["schema"]["properties"] == {"age": {"type": "integer"}}


def test_an_answer_that_ignores_its_schema(openai: OpenAIServer, typed: Typed) -> None:
    openai.replies.extend(Said(text=("I am 3.",)) for _ in range(3))
    asked = ("run", "-m", SOURCE, "--schema", "age int", "Hello")
    seen = typed(*asked)
    assert (seen.code, seen.out) == (7, "I am 3.\n")
    assert "does not fit the schema: it is no JSON" in seen.err
    document = typed(*asked, "--json")
    assert (document.code, document.json["text"]) == (7, "I am 3.")
    assert (typed(*asked, "-O", "out.json").code, Path("out.json").exists()) == (7, False)
    openai.replies.append(Said(text=('So:\n```json\n{"age": 3}\n```\n',)))
    assert typed(*asked, "-x").code == 0


def test_what_a_provider_lacks_is_said(
    openai: OpenAIServer, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments, name in (
        (("-o", "top_k", "3"), "top_k"),
        (("--grammar", 'root ::= "a"'), "grammar"),
    ):
        seen = typed("run", "-m", "groq:x", "-o", "api_key_env", "OPENAI_API_KEY", *arguments, "Hi")
        assert seen.code == 4
        assert f"groq has no {name}" in seen.err
    assert typed("run", "-m", SOURCE, "--engine", "llamacpp", "Hi").code == 4
    assert typed("run", "-m", SOURCE, "--engine", "opnai", "Hi").code == 2
    assert typed("run", "--engine", "openai", "Hi").code == 4


def test_verbose_tells_where(openai: OpenAIServer, typed: Typed) -> None:
    seen = typed("run", "-m", SOURCE, "--verbose", "Hello")
    assert "engine openai: openai speaks it; on 127.0.0.1:" in seen.err
    assert "prompt 11 tokens (4 cached), answer 3 tokens" in seen.err


def test_the_times_of_the_configuration_hold(openai: OpenAIServer, typed: Typed) -> None:
    write("[timeouts]\nfirst_token = 0.2\n[retry]\nattempts = 1\n")
    openai.faults.append(Fault(after=0, stalls=True))
    seen = typed("run", "-m", SOURCE, "Hello")
    assert seen.code == 7
    assert "did not begin to answer within 0.2 s" in seen.err
    openai.faults.append(Fault(after=0, stalls=True))
    seen = typed("run", "-m", SOURCE, "-o", "timeout", "0.1", "Hello")
    assert "did not end its answer within 0.1 s" in seen.err


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("file:./x.gguf", '{ base_url = "http://h/v1" }', "run on this machine"),
        ("builtin:mini", "{ timeout = 3 }", "run on this machine"),
        ("openai:x", "{ context_size = 8192 }", "run elsewhere"),
        ("openai:x", '{ base_url = "h/v1" }', "is not an address"),
        ("openai:x", '{ base_url = "http://user:secret@h/v1" }', "is not an address"),
        ("openai:x", '{ api_key_env = "not a name" }', "name of an environment variable"),
        ("openai:x", "{ timeout = 0 }", "is not a number above 0"),
        ("openai:x", "{ max_retries = -1 }", "whole number from 0"),
        ("openai:x", '{ headers_env = { "a b" = "C" } }', "no name of a header"),
        ("openai:x", '{ headers_env = { A = "c d" } }', "table of headers"),
        ("openai:x", '{ api_key = "sk-abcdefghijklmnop" }', "holds a key"),
    ],
)
def test_options_that_cannot_be(source: str, options: str, message: str) -> None:
    write(f'[[models]]\nname = "a"\nsource = "{source}"\noptions = {options}\n')
    with pytest.raises(BadConfig, match=message) as caught:
        config.load()
    assert "line 5" in caught.value.message


# -- Ollama ------------------------------------------------------------------------------------


def test_what_ollama_has_elsewhere_is_asked_at_its_server(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"ollama:{MODEL}"
    with OllamaServer() as served:
        monkeypatch.setattr(served, "key_of", lambda headers: KEY)  # it wants none
        monkeypatch.setenv("OLLAMA_HOST", served.address.removeprefix("http://"))
        seen = typed("run", "-m", source, "-o", "num_ctx", "8192", "-o", "top_k", "3", "Hello")
        assert (seen.code, seen.out) == (0, "Hello, world!\n")
        assert served.last.body["options"] == {"num_ctx": 8192, "top_k": 3}
        assert typed("run", "-m", source, "-o", "kv_type", "q8_0", "Hello").code == 4
        raw = typed("run", "-m", source, "--raw", "Hello")
        assert (raw.out, served.last.path) == ("Hello, world!\n", "/api/generate")
        missing = typed("run", "-m", "ollama:other", "Hello")
        assert (missing.code, "ollama pull other" in missing.err) == (3, True)
        assert typed("show", source).code == 3
    gone = typed("run", "-m", source, "Hello")
    assert gone.code == 6
    assert "ollama serve" in gone.err


def test_the_server_of_ollama_can_be_asked_for(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = OllamaStore(tmp_path / "ollama")
    store.add(layers=[("model", model_bytes(tmp_path))])
    monkeypatch.setenv("OLLAMA_MODELS", str(store.root))
    with OllamaServer() as served:
        monkeypatch.setattr(served, "key_of", lambda headers: KEY)
        monkeypatch.setattr(served, "knows", lambda path, body: "llama3.2" in body["model"])
        monkeypatch.setenv("OLLAMA_HOST", served.address)
        seen = typed("run", "-m", "ollama:llama3.2", "--engine", "ollama", "--json", "Hello")
        assert (seen.json["text"], seen.json["engine"]) == ("Hello, world!", "ollama")
        for line in ('engine = "ollama"', f'options = {{ base_url = "{served.address}" }}'):
            write(f'[[models]]\nname = "mine"\nsource = "ollama:llama3.2"\n{line}\n')
            assert typed("run", "-m", "mine", "Hello").out == "Hello, world!\n"
        assert len(served.seen) == 3
