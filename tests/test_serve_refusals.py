"""What a model cannot do is refused in so many words, or left out for everyone to see."""

from collections.abc import Iterator
from itertools import product

import builders
import pytest
from fakes import reply
from serving import ASKED, Served, serving

from llmrr.batch.items import Item
from llmrr.batch.local import How, LocalAsker
from llmrr.engines.prompting import prompted
from llmrr.engines.templates import CHATML, NO_SWITCH, Template
from llmrr.engines.thinking import thinks
from llmrr.protocols import anthropic, openai
from llmrr.protocols.fields import HINTS
from llmrr.protocols.openai.responses import response
from llmrr.router import Router
from llmrr.routing.candidate import UNKNOWN
from llmrr.server import anthropic_paths, openai_paths
from llmrr.server.service import OPTIONS
from llmrr.types import Message, Request, Sampling

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
THINKS = "{% for m in messages %}<think>{{ m.content }}{% endfor %}"
MODELS = [
    {"name": "plain", "source": "builtin:mini", "group": "both", "priority": 1},
    {"name": "thinker", "source": "builtin:mini", "group": "both", "priority": 2,
     "options": {"chat_template": THINKS}},
]  # fmt: skip


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(Router({"models": MODELS, "strategy": "quality-first"})) as found:
        yield found


@pytest.fixture
def scripted(engine) -> Iterator[Served]:
    """A server of the scripted engine."""
    with serving(Router({"models": [{"name": "small", "source": "builtin:mini"}]})) as found:
        yield found


# -- thinking --------------------------------------------------------------------------------------

_THINKING = [
    (CHAT, {"messages": ASKED, "max_tokens": 2}, {"reasoning_effort": "low"}, "reasoning_effort"),
    (CHAT, {"messages": ASKED, "max_tokens": 2, "stream": True}, {"reasoning_effort": "high"},
     "reasoning_effort"),
    ("/v1/completions", {"prompt": "a", "max_tokens": 2}, {"reasoning_effort": "low"},
     "reasoning_effort"),
    (RESPONSES, {"input": "Hi", "max_output_tokens": 2}, {"reasoning": {"effort": "medium"}},
     "reasoning.effort"),
    (MESSAGES, {"messages": ASKED, "max_tokens": 2},
     {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
    (MESSAGES, {"messages": ASKED, "max_tokens": 2},
     {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
     "output_config.effort"),
    ("/v1/messages/count_tokens", {"messages": ASKED},
     {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
    ("/api/chat", {"messages": ASKED, "stream": False, "options": {"num_predict": 2}},
     {"think": True}, "think"),
    ("/api/generate", {"prompt": "Hi", "options": {"num_predict": 2}}, {"think": "high"}, "think"),
    ("/api/generate", {"prompt": "Hi", "raw": True, "options": {"num_predict": 2}},
     {"think": True}, "think"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "asks", "named"), _THINKING)
def test_a_model_that_cannot_think_is_not_asked_to(served, path, body, asks, named):
    said = served.ask(path, {**body, **asks, "model": "plain"})
    assert said.status == 400
    error = said.json()["error"]
    told = error if isinstance(error, str) else error["message"]
    assert told == f'the model "plain" does not support thinking: leave out {named}'
    if isinstance(error, dict) and "param" in error:
        assert (error["param"], error["code"]) == (named, "unsupported_parameter")
    for wish, name in ((asks, "thinker"), ({}, "plain")):
        assert served.ask(path, {**body, **wish, "model": name}).status == 200


def test_an_answer_that_was_kept_for_who_does_not_insist_is_none_for_who_does(served):
    sampling = Sampling(temperature=0.0, max_tokens=2, think="low")
    asked = Request((Message("user", ASKED[0]["content"]),), sampling=sampling)
    assert list(served.service.router.run(asked, model="plain", options=OPTIONS))
    body = {"model": "plain", "messages": ASKED, "temperature": 0, "max_tokens": 2}
    assert served.ask(CHAT, {**body, "reasoning_effort": "low"}).status == 400


@pytest.mark.parametrize(("path", "body"), [
    *((CHAT, {"messages": ASKED, "max_tokens": 2, "reasoning_effort": one})
      for one in ("none", "minimal")),
    (CHAT, {"messages": ASKED, "max_tokens": 2, "chat_template_kwargs": {"enable_thinking": True}}),
    (RESPONSES, {"input": "Hi", "max_output_tokens": 2, "reasoning": {"effort": "minimal"}}),
    *((MESSAGES, {"messages": ASKED, "max_tokens": 2, "thinking": {"type": one}})
      for one in ("adaptive", "disabled")),
    ("/api/chat", {"messages": ASKED, "think": False, "options": {"num_predict": 2}}),
])  # fmt: skip
def test_as_little_thought_as_may_be_can_be_had_of_every_model(served, path, body):
    assert served.ask(path, {**body, "model": "plain"}).status == 200


@pytest.mark.parametrize("name", ["both", "auto"])
def test_a_model_that_cannot_think_gives_way_to_one_that_can(served, name):
    body = {"model": name, "messages": ASKED, "max_tokens": 2, "strategy": "quality-first"}
    first = served.ask(CHAT, body)
    second = served.ask(CHAT, {**body, "reasoning_effort": "low"})
    assert [one.headers["x-llmrr-model"] for one in (first, second)] == ["plain", "thinker"]
    told = served.ask("/route", {**body, "reasoning_effort": "low"}).json()["rejected"]
    assert [(one["name"], one["why"]) for one in told] == [("plain", "it lacks thinking")]


def test_lines_of_a_batch_are_refused_as_a_server_does():
    with Router({"models": MODELS}) as router:
        body = {"model": "plain", "messages": ASKED, "max_tokens": 2, "reasoning_effort": "low"}
        ask = LocalAsker(router, How())
        assert ask(Item(0, 1, "a", CHAT, body)).status == 400
        assert ask(Item(0, 1, "a", CHAT, {**body, "model": "thinker"})).status == 200


def test_whoever_does_not_insist_is_told_in_a_note():
    asked = Request((Message("user", "Hi"),), sampling=Sampling(think="low"))
    assert prompted(asked, Template(CHATML), templated=True).notes == (NO_SWITCH,)


@pytest.mark.parametrize(("template", "can"), [
    ("{% if m.thinking %}", True), ("{{ '[THINK]' }}", True), ("{{ x.split('</think>') }}", True),
    ("{% if not reasoning_effort %}", True), ("{% if '/no_think' in system %}", True),
    ("{{ 'Let us think, reasoning step by step.' }}", False), (CHATML, False),
    ("{# <|no| thinking #}{{ m }} thinking", False), ("", False), ("{{ '}} thinking", False),
    *(pytest.param(start + piece * 50_000, False, id=f"many of {piece}")  # in no time
      for start, piece in (("", "{{"), ("", "{#"), ("{{ '", "\\'"))),
    ("{{ '" + "a\\", False), ("{{" * 9 + " reasoning", True),
])  # fmt: skip
def test_whether_a_template_says_that_its_model_thinks(template, can):
    assert thinks(template) is can


def test_what_is_shown_of_a_model_is_what_its_stated_template_can(served):
    said = {name: served.ask("/api/show", {"model": name}).json() for name in ("plain", "thinker")}
    assert [said[name]["capabilities"] for name in said] == [
        ["completion", "tools"], ["completion", "tools", "thinking"],
    ]  # fmt: skip
    assert said["thinker"]["template"] == THINKS
    everywhere = {"engines": {"llamacpp": {"chat_template": THINKS}}, "models": MODELS[:1]}
    with serving(Router(everywhere)) as other:
        shown = other.ask("/api/show", {"model": "plain"}).json()
        assert "thinking" in shown["capabilities"]
        assert shown["template"] == THINKS


# -- tools of other servers ------------------------------------------------------------------------

_FUNCTION = {"name": "f", "parameters": {"type": "object"}}
_HOSTED = [
    (CHAT, {"messages": ASKED, "max_tokens": 2}, {"type": "function", "function": _FUNCTION},
     ["web_search_preview", "code_interpreter"], {"type": "web_search_preview"}),
    (RESPONSES, {"input": "Hi", "max_output_tokens": 2}, {"type": "function", **_FUNCTION},
     ["file_search", "computer_use_preview"], {"type": "file_search"}),
    (MESSAGES, {"messages": ASKED, "max_tokens": 2},
     {"name": "f", "input_schema": {"type": "object"}},
     ["web_search_20250305", "bash_20250124"], {"type": "tool", "name": "bash_20250124"}),
]  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "body", "own", "kinds", "choice"), _HOSTED)
def test_tools_of_other_servers_are_left_out_and_told(
    scripted, engine, path, body, own, kinds, choice, stream
):
    engine.replies = [reply("Yes.")] * 2
    hosted = [{"type": one, "name": one} for one in kinds]
    body = {"model": "small", "stream": stream, **body}
    said = scripted.ask(path, {**body, "tools": [hosted[0], own, *hosted]})
    assert (said.status, said.headers["x-llmrr-left-out"]) == (200, ", ".join(kinds))
    assert [one.name for one in engine.requests[0].tools] == ["f"]
    assert "x-llmrr-left-out" not in scripted.ask(path, {**body, "tools": [own]}).headers
    for wrong in ({"tools": hosted}, {"tools": [*hosted, own], "tool_choice": choice}):
        assert scripted.ask(path, {**body, **wrong}).status == 400


def test_where_a_tool_that_is_wrong_stands_is_told_by_the_list_that_was_sent(served):
    for path, kind in ((CHAT, "web_search"), (MESSAGES, "web_search_20250305")):
        tools = [{"type": kind}, {"name": ""}]
        body = {"model": "plain", "messages": ASKED, "max_tokens": 2, "tools": tools}
        assert "tools[1]" in served.ask(path, body).json()["error"]["message"]


def test_what_else_anthropics_servers_have_is_told_too(scripted, engine):
    engine.replies = [reply("Yes.")]
    own = {"name": "f", "input_schema": {"type": "object"}}
    body = {"model": "small", "messages": ASKED, "max_tokens": 2, "mcp_servers": [{"name": "x"}]}
    said = scripted.ask(MESSAGES, {**body, "tools": [own], "output_config": {"effort": "high"}})
    assert said.headers["x-llmrr-left-out"] == "mcp_servers, output_config.effort"
    said = scripted.ask(MESSAGES, body)
    assert (said.status, "mcp_servers" in said.json()["error"]["message"]) == (400, True)


# -- what else is asked and cannot be had ----------------------------------------------------------


@pytest.mark.parametrize(("path", "body", "left"), [
    (CHAT, {"messages": ASKED, "max_tokens": 2, "mirostat": 2, "dry_multiplier": 0,
            "verbosity": "low", "metadata": {"a": "b"}, "store": False, "service_tier": "auto",
            "chat_template_kwargs": {"enable_thinking": False, "x": 1}},
     "mirostat, verbosity, chat_template_kwargs.x"),
    (CHAT, {"messages": ASKED, "max_tokens": 2, "mirostat\r\nx: y": 2}, "mirostat%0D%0Ax: y"),
    ("/v1/completions", {"prompt": ["a", "b"], "max_tokens": 2, "mirostat": 2,
                         "skip_special_tokens": True}, "mirostat"),
    (RESPONSES, {"input": "Hi", "max_output_tokens": 2, "mirostat": 2, "text": {
        "verbosity": "low"}}, "mirostat, text.verbosity"),
    (MESSAGES, {"messages": ASKED, "max_tokens": 2, "logprobs": True, "container": "x"},
     "logprobs, container"),
    ("/api/chat", {"messages": ASKED, "stream": False, "tool_choice": "none", "keep_alive": 1,
                   "options": {"num_predict": 2, "num_ctx": 64, "mirostat": 1, "num_keep": 0}},
     "tool_choice, options.mirostat"),
    ("/api/generate", {"prompt": "a", "stream": False, "system": "b", "raw": False,
                       "options": {"num_predict": 2, "tfs_z": 1}}, "options.tfs_z"),
    ("/v1/embeddings", {"input": "a", "user": "me", "input_type": "query"}, "input_type"),
    (CHAT, {"messages": ASKED, "max_tokens": 2, "temprature": 0, "topP": 1, "stop_": None,
            "x" * 41: 0}, "temprature (temperature?), topP (top_p?)"),
    (RESPONSES, {"input": "Hi", "max_output_token": 2, "max_output_tokens": 2},
     "max_output_token (max_output_tokens?)"),
    (MESSAGES, {"messages": ASKED, "max_tokens": 2, "sytem": "x"}, "sytem (system?)"),
    ("/api/chat", {"messages": ASKED, "stream": False, "optoins": {},
                   "options": {"num_predict": 2, "temperture": 0}},
     "optoins (options?), options.temperture (temperature?)"),
])  # fmt: skip
def test_what_has_no_effect_is_told(served, path, body, left):
    said = served.ask(path, {**body, "model": "plain"})
    assert (said.status, said.headers["x-llmrr-left-out"]) == (200, left)


@pytest.mark.parametrize(("path", "body", "schema"), [
    (CHAT, {"messages": ASKED}, openai_paths.CHAT),
    ("/v1/completions", {"prompt": "a"}, openai_paths.COMPLETION),
    (RESPONSES, {"input": "a"}, openai_paths.RESPONSE),
    (MESSAGES, {"messages": ASKED, "max_tokens": 2}, anthropic_paths.MESSAGES),
])  # fmt: skip
def test_nothing_that_the_published_document_has_is_left_out(path, body, schema):
    """Whatever is read of a body is looked for, also where it is not there."""
    parse = {CHAT: openai.chat, RESPONSES: response, MESSAGES: anthropic.messages}
    given = Told({**body, "model": "plain"})
    parse.get(path, openai.completion)(given)
    assert schema["properties"].keys() - given.asked <= HINTS


class Told(dict[str, object]):
    """A body that notes what is asked of it."""

    def __init__(self, body: dict[str, object]) -> None:
        super().__init__(body)
        self.asked: set[str] = set()

    def get(self, name: str, default: object = None) -> object:
        self.asked.add(name)
        return super().get(name, default)


@pytest.mark.parametrize(("path", "stated", "named"), [
    (CHAT, {"logit_bias": {"999999": 5}}, 'the model "plain" has no token 999999'),
    (CHAT, {"web_search_options": {}}, "web_search_options is not served here"),
    (MESSAGES, {"messages": [{"role": "user", "content": [
        {"type": "document", "citations": {"enabled": True},
         "source": {"type": "text", "media_type": "text/plain", "data": "a"}}]}]},
     "messages[0].content[0]: no answer here cites"),
    (MESSAGES, {"tools": [{"name": "f", "input_schema": {}}],
                "tool_choice": {"type": "tool", "name": "g"}}, "tool_choice names 'g'"),
    (MESSAGES, {"tool_choice": {"type": "any"}}, "there are no tools"),
])  # fmt: skip
def test_what_cannot_be_done_is_refused_in_words(served, path, stated, named):
    body = {"model": "plain", "messages": ASKED, "max_tokens": 2, **stated}
    said = served.ask(path, body)
    assert (said.status, named in said.json()["error"]["message"]) == (400, True)


def test_an_encoder_that_names_no_pooling_answers_nothing(tmp_path):
    path = builders.tiny_bert(tmp_path / "bare.gguf", pooling=0)
    models = [{"name": "bare", "source": f"file:{path}", "priority": 1}, MODELS[0]]
    with serving(Router({"models": models})) as served:
        ask = {"messages": ASKED, "max_tokens": 2}
        said = served.ask(CHAT, {**ask, "model": "bare"})
        assert (said.status, "makes vectors" in said.json()["error"]["message"]) == (400, True)
        told = served.ask("/route", ask).json()["rejected"]
        assert [(one["name"], "makes vectors" in one["why"]) for one in told] == [("bare", True)]
        shown = served.ask("/api/show", {"model": "bare"}).json()
        assert shown["capabilities"] == ["embedding"]


def test_where_no_model_can_it_is_the_request_that_is_wrong():
    two = [{**MODELS[0], "name": name, "group": "g"} for name in ("plain", "other")]
    models = [{"name": "gone", "source": "file:/gone.gguf"}, *two]
    thought = {"type": "enabled", "budget_tokens": 1024}
    body = {"messages": ASKED, "max_tokens": 2, "thinking": thought}
    with serving(Router({"models": models})) as served:
        for name, path in product(("auto", "g"), (MESSAGES, f"{MESSAGES}/count_tokens")):
            said = served.ask(path, {**body, "model": name})
            assert (said.status, said.json()["error"]["type"]) == (400, "invalid_request_error")
            assert "plain: it lacks thinking; other: it" in said.json()["error"]["message"]


def test_a_conversation_that_a_template_refuses_says_nothing_of_its_model():
    refuses = "{{ raise_exception('roles must alternate') }}"
    models = [{**MODELS[0], "options": {"chat_template": refuses}}]
    with serving(Router({"models": models})) as served:
        said = served.ask(CHAT, {"model": "plain", "messages": ASKED})
        told = said.json()["error"]["message"]
        assert (said.status, "roles must alternate" in told) == (400, True)
        router = served.service.router
        found = router.setup.selection.profiles.health(router.config.models)
        assert found.get("plain", UNKNOWN).last_error is None
