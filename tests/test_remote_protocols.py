"""What each protocol makes of a request, and of an answer: the names of its values, its shapes."""

from typing import Any

import other_servers
import pytest
from provider_servers import KEY, MODEL, Fault, Said
from remote_cases import (
    ANTHROPIC,
    AZURE,
    CASES,
    COHERE,
    GOOGLE,
    KEY_ENV,
    OLLAMA,
    OPENAI,
    RESPONSES,
    Case,
    answer,
    asked,
)

from llmrr.engines import remote
from llmrr.engines.base import Options
from llmrr.engines.remote.providers import PROVIDERS
from llmrr.errors import ContentRefused, ContextOverflow, FeatureMissing, LlmrrError
from llmrr.kinds import LOCAL_PROVIDERS
from llmrr.kinds import PROVIDERS as SOURCES
from llmrr.types import (
    Endpoint,
    Feature,
    Image,
    Message,
    Request,
    Sampling,
    TokenLogprob,
    Tool,
    ToolCall,
)

every = pytest.mark.parametrize("case", CASES, ids=str)
SCHEMA = {
    "type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"],
    "additionalProperties": False,
}  # fmt: skip
ALL = {
    "temperature": 0.5, "top_k": 7, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.8,
    "repeat_penalty": 1.1, "frequency_penalty": 0.2, "presence_penalty": 0.3, "seed": 5,
    "stop": ("END",), "max_tokens": 50,
}  # fmt: skip


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)


def body(case: Case, request: Request, *replies: Said, **more: Any) -> Any:
    """What a server is sent for a request."""
    with case.talking(**more) as (served, model):
        served.replies += replies
        answer(model, request)
        return served.last.body


def test_every_provider_of_the_sources_is_known() -> None:
    assert set(PROVIDERS) == set(SOURCES) - (LOCAL_PROVIDERS - {"ollama"})


# -- values ------------------------------------------------------------------------------------

TAKEN = {
    OPENAI: {  # at another address than its own: what servers of one's own take
        "temperature": 0.5, "top_p": 0.9, "frequency_penalty": 0.2, "presence_penalty": 0.3,
        "seed": 5, "stop": ["END"], "max_tokens": 50, "top_k": 7, "min_p": 0.1, "typical_p": 0.8,
        "repeat_penalty": 1.1, "repetition_penalty": 1.1,
    },
    AZURE: {
        "temperature": 0.5, "top_p": 0.9, "frequency_penalty": 0.2, "presence_penalty": 0.3,
        "seed": 5, "stop": ["END"], "max_completion_tokens": 50,
    },
    ANTHROPIC: {
        "temperature": 0.5, "top_p": 0.9, "top_k": 7, "stop_sequences": ["END"], "max_tokens": 50,
    },
    GOOGLE: {
        "temperature": 0.5, "topP": 0.9, "topK": 7, "frequencyPenalty": 0.2, "seed": 5,
        "presencePenalty": 0.3, "stopSequences": ["END"], "maxOutputTokens": 50,
    },
    COHERE: {
        "temperature": 0.5, "p": 0.9, "k": 7, "frequency_penalty": 0.2, "presence_penalty": 0.3,
        "seed": 5, "stop_sequences": ["END"], "max_tokens": 50,
    },
    RESPONSES: {"temperature": 0.5, "top_p": 0.9, "max_output_tokens": 50},
    OLLAMA: {**ALL, "stop": ["END"], "num_predict": 50},
}  # fmt: skip
del TAKEN[OLLAMA]["max_tokens"]
LACKS = {
    OPENAI: set(),
    AZURE: {"top_k", "min_p", "typical_p", "repeat_penalty"},
    ANTHROPIC: {"min_p", "typical_p", "repeat_penalty", "frequency_penalty", "presence_penalty",
                "seed"},
    GOOGLE: {"min_p", "typical_p", "repeat_penalty"},
    COHERE: {"min_p", "typical_p", "repeat_penalty"},
    RESPONSES: set(ALL) - {"temperature", "top_p", "max_tokens"},
    OLLAMA: set(),
}  # fmt: skip
PLACES = {GOOGLE: "generationConfig", OLLAMA: "options"}


@every
def test_values_have_the_protocols_names(case: Case) -> None:
    known = {name: value for name, value in ALL.items() if name not in LACKS[case]}
    sent = body(case, asked(**known))
    where = sent[PLACES[case]] if case in PLACES else sent
    assert {name: where.get(name) for name in TAKEN[case]} == TAKEN[case]
    rest = set(where) - set(TAKEN[case])
    assert rest <= {"model", "messages", "stream", "stream_options", "input", "store"}


@every
def test_what_is_lacking_is_refused_by_name(case: Case) -> None:
    assert len(TAKEN[case]) >= len(ALL) - len(LACKS[case])
    with case.talking() as (served, model):
        for name in LACKS[case] | {"grammar"}:
            value = ALL.get(name, 'root ::= "a"')
            with pytest.raises(FeatureMissing, match=f"{case.engine} has no {name}"):
                model.generate(asked(**{name: value}))
        assert served.seen == []


@every
def test_nothing_is_sent_that_nobody_stated(case: Case) -> None:
    sent = body(case, asked())
    plain = {"model", "messages", "stream", "stream_options", "contents", "input", "store"}
    assert set(sent) <= plain | {"max_tokens"}
    if case is not ANTHROPIC:
        assert "max_tokens" not in sent


def official(provider: str, request: Request, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The body of a call to a provider's own address."""
    from llmrr.engines.remote.openai import OpenAI

    return OpenAI(Endpoint(provider, "m")).call(request).body


def test_each_provider_has_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(provider: str, **sampling: Any) -> Any:
        found = official(provider, asked(**sampling), monkeypatch)
        known = ("model", "messages", "stream", "stream_options")
        return {name: value for name, value in found.items() if name not in known}

    assert sent("openai", max_tokens=5) == {"max_completion_tokens": 5}
    assert sent("groq", max_tokens=5) == {"max_tokens": 5}
    assert sent("mistral", seed=5) == {"random_seed": 5}
    assert sent("together", repeat_penalty=1.2) == {"repetition_penalty": 1.2}
    assert sent("fireworks", grammar="g") == {
        "response_format": {"type": "grammar", "grammar": "g"}
    }
    assert sent("deepseek", think="off") == {"thinking": {"type": "disabled"}}
    assert sent("openrouter", think="low") == {"reasoning": {"effort": "low"}}
    assert sent("openai", think="off") == {"reasoning_effort": "none"}
    assert sent("mistral", think="off") == {}  # it has no switch, and does not think
    assert "stream_options" not in official("mistral", asked(), monkeypatch)
    for provider, name in (("openai", "top_k"), ("deepseek", "schema"), ("perplexity", "seed"),
                           ("mistral", "think"), ("xai", "min_p")):  # fmt: skip
        value: Any = {"schema": SCHEMA, "think": "low"}.get(name, 1)
        with pytest.raises(FeatureMissing, match=f"{provider} has no {name}"):
            sent(provider, **{name: value})


# -- shapes, thoughts, probabilities -----------------------------------------------------------


@every
def test_a_schema(case: Case) -> None:
    sent = body(case, asked(schema=SCHEMA), Said(text=("Hello, world!",)))
    if case in (OPENAI, AZURE):
        shape = {"name": "answer", "schema": SCHEMA, "strict": True}
        assert sent["response_format"] == {"type": "json_schema", "json_schema": shape}
    elif case is ANTHROPIC:
        assert sent["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    elif case is GOOGLE:
        assert sent["generationConfig"] == {
            "responseMimeType": "application/json", "responseJsonSchema": SCHEMA
        }  # fmt: skip
    elif case is RESPONSES:
        shape = {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}
        assert sent["text"] == {"format": shape}
    elif case is COHERE:
        assert sent["response_format"] == {"type": "json_object", "json_schema": SCHEMA}
    else:
        assert sent["format"] == SCHEMA


@every
def test_any_json(case: Case) -> None:
    if case is ANTHROPIC:
        with case.talking() as (_, model), pytest.raises(FeatureMissing, match="without a schema"):
            model.generate(asked(schema=True))
        return
    sent = body(case, asked(schema=True))
    assert "json" in str(sent).lower()
    assert "schema" not in str(sent)
    assert body(case, asked(schema=False)) == body(case, asked())


@every
def test_thinking(case: Case) -> None:
    sent = body(case, asked(think="low", max_tokens=100))
    off = body(case, asked(think="off"))
    if case in (OPENAI, AZURE):
        assert (sent["reasoning_effort"], off["reasoning_effort"]) == ("low", "none")
    elif case is ANTHROPIC:
        assert sent["thinking"] == {"type": "enabled", "budget_tokens": 1024}
        assert (sent["max_tokens"], off["thinking"]) == (1124, {"type": "disabled"})
    elif case is GOOGLE:
        config = sent["generationConfig"]["thinkingConfig"]
        assert config == {"thinkingBudget": 1024, "includeThoughts": True}
        assert off["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 0
    elif case is RESPONSES:
        assert sent["reasoning"] == {"effort": "low", "summary": "auto"}
        assert off["reasoning"] == {"effort": "none"}
    elif case is COHERE:
        assert sent["thinking"] == {"type": "enabled", "token_budget": 1024}
        assert off["thinking"] == {"type": "disabled"}
    else:
        assert (sent["think"], off["think"]) == ("low", False)


@every
def test_thoughts_are_no_part_of_the_answer(case: Case) -> None:
    with case.talking() as (served, model):
        served.replies.append(Said(reasoning=("Let me", " see.")))
        chunks = list(model.generate(asked()))
    assert "".join(one.reasoning for one in chunks) == "Let me see."
    assert "".join(one.text for one in chunks) == "Hello, world!"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.thought_tokens == (None if case in (OLLAMA, COHERE) else 1)


@pytest.mark.parametrize("case", [OPENAI, AZURE, OLLAMA], ids=str)
@pytest.mark.parametrize(
    ("pieces", "thought", "text"),
    [
        (("<th", "ink>\nLet me", " see.</think>", "\n\nHello"), "Let me see.", "Hello"),
        (("<thin", "g> is no tag"), "", "<thing> is no tag"),
        (("So <think>", " is a tag"), "", "So <think> is a tag"),
        (("<think>Cut",), "Cut", ""),
    ],
)
def test_thoughts_that_a_server_leaves_in_the_text(
    case: Case, pieces: tuple[str, ...], thought: str, text: str
) -> None:
    with case.talking() as (served, model):
        served.replies.append(Said(text=pieces))
        chunks = list(model.generate(asked()))
    assert "".join(one.reasoning for one in chunks) == thought
    assert "".join(one.text for one in chunks) == text


@pytest.mark.parametrize("case", [OPENAI, RESPONSES, GOOGLE, OLLAMA], ids=str)
def test_probabilities(case: Case) -> None:
    with case.talking() as (served, model):
        served.replies.append(Said(logprobs=True))
        chunks = list(model.generate(asked(logprobs=2)))
    found = [one for chunk in chunks for one in chunk.logprobs]
    assert found[0] == TokenLogprob("Hello", -0.5, (("Hello", -0.5), ("x", -2.0)))
    assert len(found) == 3
    assert {"top_logprobs", "logprobs"} & set(str(served.last.body).replace("'", " ").split())


@pytest.mark.parametrize("case", [ANTHROPIC, COHERE], ids=str)
def test_no_probabilities(case: Case) -> None:
    with case.talking() as (_, model), pytest.raises(FeatureMissing, match="no logprobs"):
        model.generate(asked(logprobs=2))


@every
def test_an_answer_that_was_cut(case: Case) -> None:
    with case.talking() as (served, model):
        served.replies.append(Said(finish="length"))
        assert list(model.generate(asked()))[-1].finish_reason == "length"


@every
def test_several_answers_at_once(case: Case) -> None:
    request = Request(messages=(Message("user", "hi"),), n=2)
    with case.talking() as (_, model):
        if case in (ANTHROPIC, OLLAMA, COHERE, RESPONSES):
            with pytest.raises(FeatureMissing, match="several answers"):
                model.generate(request)
            return
        chunks = list(model.generate(request))
        for index in (0, 1):
            own = [one for one in chunks if one.index == index]
            assert "".join(one.text for one in own) == "Hello, world!"
            assert own[-1].finish_reason == "stop"


@every
def test_a_raw_prompt(case: Case) -> None:
    with case.talking() as (served, model):
        request = Request(prompt="Once")
        if case in (ANTHROPIC, GOOGLE, COHERE, RESPONSES):
            with pytest.raises(FeatureMissing, match="raw prompts"):
                model.generate(request)
            return
        assert answer(model, request) == "Hello, world!"
        assert served.last.body["prompt"] == "Once"
        assert "messages" not in served.last.body


@every
def test_the_system_prompt(case: Case) -> None:
    turns = (Message("system", "Be brief."), Message("user", "hi"), Message("assistant", "ho"),
             Message("user", "again"))  # fmt: skip
    sent = body(case, Request(messages=turns))
    if case is ANTHROPIC:
        assert sent["system"] == "Be brief."
        assert [one["role"] for one in sent["messages"]] == ["user", "assistant", "user"]
    elif case is GOOGLE:
        assert sent["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
        assert [one["role"] for one in sent["contents"]] == ["user", "model", "user"]
    elif case is RESPONSES:
        content = [{"type": "input_text", "text": "Be brief."}]
        assert sent["input"][0] == {"role": "system", "content": content}
        assert sent["input"][2]["content"][0]["type"] == "output_text"
    else:
        assert sent["messages"][0] == {"role": "system", "content": "Be brief."}


# -- images and tools --------------------------------------------------------------------------

PICTURE = Image(data=b"abc", media_type="image/png")  # YWJj in base64
FAR = Image(url="https://example.org/a.png")


@every
def test_images(case: Case) -> None:
    with case.talking() as (served, model):
        near = Request(messages=(Message.of("user", "What is ", PICTURE, "?"),))
        answer(model, near)
        sent = served.last.body
        turn = (sent.get("messages") or sent.get("contents") or sent["input"])[0]
        if case is RESPONSES:
            assert turn["content"][1]["image_url"] == "data:image/png;base64,YWJj"
        elif case in (OPENAI, AZURE, COHERE):
            assert turn["content"][1]["image_url"]["url"] == "data:image/png;base64,YWJj"
            assert [one["type"] for one in turn["content"]] == ["text", "image_url", "text"]
        elif case is ANTHROPIC:
            source = {"type": "base64", "media_type": "image/png", "data": "YWJj"}
            assert turn["content"][1] == {"type": "image", "source": source}
        elif case is GOOGLE:
            assert turn["parts"][1] == {"inlineData": {"mimeType": "image/png", "data": "YWJj"}}
        else:
            assert (turn["images"], turn["content"]) == (["YWJj"], "What is ?")
        far = Request(messages=(Message.of("user", FAR),))
        if case is OLLAMA:
            with pytest.raises(FeatureMissing, match="images by their address"):
                model.generate(far)
        else:
            answer(model, far)
            assert "https://example.org/a.png" in str(served.last.body)


TOOL = Tool("weather", "The weather.", {"type": "object", "properties": {"city": {}}})


@every
def test_the_result_of_a_tool_finds_its_call(case: Case) -> None:
    calls = (ToolCall("c1", "weather", '{"city": "Rome"}'), ToolCall("c2", "weather", "{}"))
    turns = (
        Message("user", "What?"), Message("assistant", "Let me see.", tool_calls=calls),
        Message("tool", "sunny", tool_call_id="c1"), Message("tool", "dry", tool_call_id="c2"),
    )  # fmt: skip
    sent = body(case, Request(messages=turns, tools=(TOOL,)))
    said = sent.get("messages") or sent.get("contents") or sent["input"]
    if case is RESPONSES:
        assert [one.get("call_id") for one in said] == [None, None, "c1", "c2", "c1", "c2"]
        assert said[4] == {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
    elif case in (OPENAI, AZURE, COHERE):
        assert [one["id"] for one in said[1]["tool_calls"]] == ["c1", "c2"]
        assert said[2] == {"role": "tool", "content": "sunny", "tool_call_id": "c1"}
    elif case is ANTHROPIC:
        assert [one["type"] for one in said[1]["content"]] == ["text", "tool_use", "tool_use"]
        assert said[1]["content"][1]["input"] == {"city": "Rome"}
        assert [one["tool_use_id"] for one in said[2]["content"]] == ["c1", "c2"]
    elif case is GOOGLE:
        assert said[1]["parts"][1]["functionCall"]["args"] == {"city": "Rome"}
        response = {"name": "weather", "response": {"result": "sunny"}}
        assert said[2]["parts"][0] == {"functionResponse": response}
        assert len(said[2]["parts"]) == 2
    else:
        assert said[1]["tool_calls"][0]["function"]["arguments"] == {"city": "Rome"}
        assert said[2] == {"role": "tool", "content": "sunny", "tool_name": "weather"}


@every
def test_hints_go_where_the_protocol_has_them(case: Case) -> None:
    turn = Message("user", "What?", ("What?", Image(data=b"1", detail="low")), name="Ann")
    strict = Tool(TOOL.name, TOOL.description, TOOL.parameters, strict=True)
    sent = body(case, Request(messages=(turn,), tools=(strict,)))
    if case in (OPENAI, AZURE):
        [said], [tool] = sent["messages"], sent["tools"]
        assert (said["name"], said["content"][1]["image_url"]["detail"]) == ("Ann", "low")
        assert tool["function"]["strict"] is True
    elif case is RESPONSES:
        [said], [tool] = sent["input"], sent["tools"]
        assert (said["content"][1]["detail"], tool["strict"]) == ("low", True)
    else:
        assert not any(word in str(sent) for word in ("Ann", "'low'", "strict"))


@every
@pytest.mark.parametrize("choice", ["auto", "none", "required", "weather"])
def test_which_tool_is_called(case: Case, choice: str) -> None:
    request = Request(messages=(Message("user", "hi"),), tools=(TOOL,), tool_choice=choice)
    if (case is OLLAMA and choice != "auto") or (case is COHERE and choice == "weather"):
        with case.talking() as (_, model), pytest.raises(FeatureMissing, match="tool_choice"):
            model.generate(request)
        return
    sent = body(case, request)
    wanted: Any = {
        "auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"},
        "weather": {"type": "tool", "name": "weather"},
    }  # fmt: skip
    if case is ANTHROPIC:
        assert sent["tool_choice"] == wanted[choice]
    elif case is GOOGLE:
        found = sent["toolConfig"]["functionCallingConfig"]
        modes = {"auto": "AUTO", "none": "NONE", "required": "ANY", "weather": "ANY"}
        assert found["mode"] == modes[choice]
        assert found.get("allowedFunctionNames") == (["weather"] if choice == "weather" else None)
    elif case is COHERE:
        assert sent.get("tool_choice") == (None if choice == "auto" else choice.upper())
    elif case is RESPONSES:
        assert sent["tool_choice"] == (
            {"type": "function", "name": "weather"} if choice == "weather" else choice
        )
    elif case is not OLLAMA:
        named = {"type": "function", "function": {"name": "weather"}}
        assert sent["tool_choice"] == (named if choice == "weather" else choice)


@pytest.mark.parametrize("case", [ANTHROPIC, GOOGLE], ids=str)
def test_what_a_provider_signed_goes_back(case: Case) -> None:
    with case.talking() as (served, model):
        served.replies.append(Said(
            text=(), reasoning=("Hm",), calls=(("c1", "weather", "{}"),), finish="tool_calls"
        ))  # fmt: skip
        chunks = list(model.generate(asked()))
        [call] = [one for chunk in chunks for one in chunk.tool_calls]
        answer(model, Request(messages=(
            Message("user", "hi"), Message("assistant", "", tool_calls=(call,)),
            Message("tool", "sunny", tool_call_id=call.id),
        )))  # fmt: skip
        sent = served.last.body
        if case is ANTHROPIC:
            first = sent["messages"][1]["content"][0]
            assert first == {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}
        else:
            assert sent["contents"][1]["parts"][0]["thoughtSignature"] == "c2ln"


@every
def test_an_engine_says_what_it_can(case: Case) -> None:
    engine = remote.named(case.engine)
    assert engine is not None
    assert {Feature.IMAGES, Feature.TOOLS, Feature.SCHEMA} <= engine.can
    assert (Feature.EMBEDDINGS in engine.can) is (case is not ANTHROPIC)
    assert engine.missing() is None


# -- vectors -----------------------------------------------------------------------------------


@every
def test_vectors(case: Case) -> None:
    with case.talking() as (served, model):
        if case is ANTHROPIC:
            with pytest.raises(FeatureMissing, match="anthropic has no embeddings"):
                model.embed(["a"])
            return
        texts = [f"{number:b}" for number in range(200)]
        vectors = model.embed(texts)
        assert len(vectors) == 200
        assert len(served.seen) == 3
        for text, vector in zip(texts, vectors, strict=True):
            assert vector[0] / vector[1] == pytest.approx(len(text))
            assert sum(one * one for one in vector) == pytest.approx(1)
        assert model.embed([]) == []
        if case in (OPENAI, RESPONSES, AZURE):
            model.embed([(5, 6), "a"])
            assert served.last.body["input"] == [[5, 6], "a"]
        else:
            with pytest.raises(FeatureMissing, match="no tokens by their ids"):
                model.embed(["a", (5, 6)])
        served.faults.append(Fault(404))
        with pytest.raises(LlmrrError, match="it went wrong"):
            model.embed(["a"])


# -- what only one of them has -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "finish"),
    [(OPENAI, "content_filter"), (RESPONSES, "content_filter"), (ANTHROPIC, "refusal"),
     (GOOGLE, "SAFETY")],
    ids=str,
)  # fmt: skip
def test_a_refusal(case: Case, finish: str) -> None:
    with case.talking() as (served, model):
        served.replies.append(Said(finish=finish))
        with pytest.raises(ContentRefused, match=MODEL):
            list(model.generate(asked()))


@pytest.mark.parametrize("case", [OPENAI, RESPONSES], ids=str)
def test_openai_refuses_in_words(case: Case) -> None:
    with case.talking() as (served, model):
        served.replies.append(Said(text=(), refusal="I cannot do that."))
        with pytest.raises(ContentRefused, match="I cannot do that"):
            list(model.generate(asked()))


def test_google_refuses_a_prompt() -> None:
    with GOOGLE.talking() as (served, model):
        raw = b'data: {"promptFeedback": {"blockReason": "SAFETY"}}\n\n'
        served.faults.append(Fault(after=0, raw=raw))
        with pytest.raises(ContentRefused, match="refuses the prompt: SAFETY"):
            list(model.generate(asked()))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (OPENAI, "This model's maximum context length is 8192 tokens."),
        (ANTHROPIC, "prompt is too long: 300000 tokens > 200000 maximum"),
        (GOOGLE, "The input token count (2000000) exceeds the maximum number of tokens allowed"),
        (OLLAMA, "the input length exceeds the context length"),
    ],
    ids=str,
)
def test_a_prompt_that_is_too_long(case: Case, message: str) -> None:
    with case.talking() as (served, model):
        served.faults.append(Fault(400, message=message))
        with pytest.raises(ContextOverflow, match=r"\(400\)"):
            list(model.generate(asked()))


@pytest.mark.parametrize(
    ("case", "raw", "kind"),
    [
        (OPENAI, b'data: {"error": {"message": "busy", "code": 503}}\n\n', "Overloaded"),
        (OPENAI, b'data: {"error": {"message": "slow down", "type": "rate_limit_error"}}\n\n',
         "RateLimited"),
        (ANTHROPIC, b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error",'
         b' "message": "Overloaded"}}\n\n', "Overloaded"),
        (GOOGLE, b'data: {"error": {"code": 429, "message": "quota", "status": "RESOURCE_'
         b'EXHAUSTED"}}\n\n', "RateLimited"),
        (RESPONSES, b'data: {"type": "error", "code": "server_error", "message": "oh"}\n\n',
         "Overloaded"),
        (RESPONSES, b'data: {"type": "response.failed", "response": {"status": "failed", "error":'
         b' {"code": "rate_limit_exceeded", "message": "oh"}}}\n\n', "RateLimited"),
        (COHERE, b'data: {"type": "message-end", "delta": {"finish_reason": "ERROR"}}\n\n',
         "BrokenStream"),
        (OLLAMA, b'{"error": "llama runner process has terminated"}\n', "Overloaded"),
    ],
)  # fmt: skip
def test_an_error_in_mid_answer(case: Case, raw: bytes, kind: str) -> None:
    with case.talking() as (served, model):
        served.faults.append(Fault(after=1, raw=raw))
        with pytest.raises(LlmrrError) as caught:
            list(model.generate(asked()))
        assert type(caught.value).__name__ == kind


def test_a_server_that_does_not_stream_is_heard_all_the_same() -> None:
    with OPENAI.talking() as (served, model):
        served.streams = lambda path, body: False
        assert answer(model) == "Hello, world!"


def test_azure_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    from llmrr.engines.remote.azure import Azure

    def path(url: str, version: str | None = None) -> str:
        endpoint = Endpoint("azure", "my model", base_url=url, api_version=version)
        return Azure(endpoint).call(asked()).path

    start = "/deployments/my%20model/chat/completions?api-version="
    assert path("https://x.openai.azure.com") == f"/openai{start}2024-10-21"
    assert path("https://x.openai.azure.com/openai", "2025-01-01") == f"{start}2025-01-01"
    assert path("https://x.openai.azure.com/openai/v1/") == "/chat/completions"
    engine = remote.named("azure")
    assert engine is not None
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    with pytest.raises(LlmrrError, match="azure:x has no address"):
        engine.load(Endpoint("azure", "x"), Options())


def test_options_that_a_provider_has_not() -> None:
    for case, name in ((OPENAI, "api_version"), (ANTHROPIC, "organization")):
        with pytest.raises(FeatureMissing, match=f"has no {name}"), case.talking(**{name: "x"}):
            pass
    with ANTHROPIC.talking(api_version="2024-01-01") as (served, model):
        answer(model)
        assert served.last.headers["anthropic-version"] == "2024-01-01"


def test_vertex_takes_a_token_for_a_project() -> None:
    from llmrr.engines.remote.google import Google

    base = "https://x-aiplatform.googleapis.com/v1/projects/p/locations/x/publishers/google"
    project = Google(Endpoint("vertex", "gemini", base_url=base))
    assert project.headers("t") == {"authorization": "Bearer t"}
    assert Google(Endpoint("vertex", "gemini")).headers("t") == {"x-goog-api-key": "t"}


@pytest.mark.parametrize(
    ("name", "calls"), [("text-embedding-005", 3), ("gemini-embedding-001", 20)]
)
def test_vectors_at_vertex(name: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)
    monkeypatch.setattr(other_servers, "MODEL", name)
    texts = ["a" * (1 + at) for at in range(20)]
    with other_servers.GoogleServer() as served:
        base = f"{served.address}/v1/projects/p/locations/x/publishers/google"
        place = Endpoint("vertex", name, base_url=base, api_key_env=KEY_ENV)
        engine = remote.named("google")
        assert engine is not None
        model = engine.load(place, Options())
        found = model.embed(texts)
        model.close()
        assert [round(one[0] / one[1]) for one in found] == [len(text) for text in texts]
        assert len(served.seen) == calls
        assert served.last.path.endswith(f"/publishers/google/models/{name}:predict")
        assert served.last.body["parameters"] == {"autoTruncate": False}


def test_ollama_takes_options_of_loading() -> None:
    engine = remote.named("ollama")
    assert engine is not None
    with OLLAMA.server() as served:
        for layers, wanted in ((-1, 999), (3, 3)):
            options = Options(context_size=4096, gpu_layers=layers, threads=2)
            model = engine.load(OLLAMA.endpoint(served), options)
            answer(model)
            sent = served.last.body["options"]
            assert sent == {"num_ctx": 4096, "num_gpu": wanted, "num_thread": 2}
            model.close()


def test_a_schema_that_is_not_strict() -> None:
    loose = {"type": "object", "properties": {"a": {"type": "string"}}}
    sent = body(OPENAI, asked(schema=loose))
    assert sent["response_format"]["json_schema"]["strict"] is False


def test_a_bias() -> None:
    sent = body(OPENAI, Request(
        messages=(Message("user", "hi"),), sampling=Sampling(logit_bias={5: -100.0})
    ))  # fmt: skip
    assert sent["logit_bias"] == {"5": -100.0}
