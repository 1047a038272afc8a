"""LiteLLM: its proxy's configuration, its router, and code that calls it."""

import json
from pathlib import Path

import pytest
from reading import artefacts, codes, only, said, sources

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.merging.setup import combined
from llmrr.migrate.readers.litellm import READER
from llmrr.migrate.terms.litellm_names import PROVIDERS, named


def config(folder: Path, text: str, name: str = "config.yaml") -> Artefact:
    return only(READER, folder, name, text)


def one_model(params: str) -> str:
    return f"model_list:\n  - model_name: m\n    litellm_params: {{{params}}}\n"


def test_the_list_of_providers_is_whole() -> None:
    assert len(PROVIDERS) == 187


@pytest.mark.parametrize(
    ("params", "source", "base_url"),
    [
        ("model: openrouter/meta-llama/llama-3:free", "openrouter:meta-llama/llama-3:free", None),
        ("model: together_ai/openai/gpt-oss-20b", "together:openai/gpt-oss-20b", None),
        ("model: gemini/gemini-2.0-flash", "google:gemini-2.0-flash", None),
        ("model: ollama_chat/qwen2.5:7b", "ollama:qwen2.5:7b", None),
        ("model: text-completion-openai/gpt-3.5-turbo-instruct", "openai:gpt-3.5-turbo-instruct",
         None),
        ("model: azure/my-deployment, api_base: 'https://x.openai.azure.com/'",
         "azure:my-deployment", "https://x.openai.azure.com"),
        ("model: openai/mine, api_base: 'http://localhost:8000/v1'", "openai:mine",
         "http://localhost:8000/v1"),
        ("model: openai/mine, base_url: 'http://localhost:8000/v1'", "openai:mine",
         "http://localhost:8000/v1"),
        ("model: hosted_vllm/org/x, api_base: 'http://box:8000'", "openai:org/x",
         "http://box:8000"),
        ("model: lm_studio/x, api_base: 'http://localhost:1234/v1'", "openai:x",
         "http://localhost:1234/v1"),
        ("model: llamafile/x", "openai:x", "http://127.0.0.1:8080/v1"),
        ("model: claude-3-haiku", "anthropic:claude-3-haiku", None),
        ("model: anthropic.claude-3-sonnet-20240229-v1:0",
         "bedrock:anthropic.claude-3-sonnet-20240229-v1:0", None),
        ("model: gpt-4o", "openai:gpt-4o", None),
        ("model: org/x, custom_llm_provider: groq", "groq:org/x", None),
        ("model: huggingface/org/x", "huggingface:org/x", None),
        ("model: bedrock/converse/anthropic.claude-v2", "bedrock:anthropic.claude-v2", None),
        ("model: vertex_ai/gemini-1.5-pro", "vertex:gemini-1.5-pro", None),
    ],
)
def test_only_a_known_first_segment_is_a_provider(
    tmp_path: Path, params: str, source: str, base_url: str | None
) -> None:
    model = config(tmp_path, one_model(params)).models[0]
    assert (model.source, model.options.get("base_url")) == (source, base_url)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ("model: watsonx/ibm/granite", "unknown-provider"),
        ("model: mymodel", "unknown-provider"),
        ("model: hosted_vllm/x", "unsupported-source"),
        ("model: openai/*", "wildcard"),
        ("model: text-embedding-3-small", "embedding-model"),
        ("model: openai/dall-e-3", "other-role"),
        ("api_key: x", "no-model"),
    ],
)
def test_what_is_no_model_of_ours_is_said(tmp_path: Path, params: str, code: str) -> None:
    found = config(tmp_path, one_model(params))
    assert not found.models
    notice = next(one for one in found.warnings if one.code == code)
    assert notice.where.startswith(f"{tmp_path / 'config.yaml'}:2")


def test_the_mode_says_what_a_model_is_for(tmp_path: Path) -> None:
    text = one_model("model: openai/x-embedder") + "    model_info: {mode: chat}\n"
    assert config(tmp_path, text).models
    text = one_model("model: openai/x") + "    model_info: {mode: rerank}\n"
    assert codes(config(tmp_path, text)) == {"other-role"}


def test_a_repeated_name_is_a_group_with_weights_and_order(tmp_path: Path) -> None:
    found = config(tmp_path, """
model_list:
  - {model_name: gpt, litellm_params: {model: azure/eu, api_base: "https://e", rpm: 100, order: 1}}
  - {model_name: gpt, litellm_params: {model: azure/us, api_base: "https://u", rpm: 300, order: 2}}
  - {model_name: alone, litellm_params: {model: gpt-4o, rpm: 10}}
""")
    assert [(one.name, one.group, one.weight, one.priority) for one in found.models] == [
        ("gpt-1", "gpt", 0.25, 1), ("gpt-2", "gpt", 0.75, 2), ("alone", None, None, None),
    ]  # fmt: skip


def test_a_weight_comes_before_limits(tmp_path: Path) -> None:
    found = config(tmp_path, """
model_list:
  - {model_name: a, litellm_params: {model: gpt-4, weight: 3, rpm: 1}}
  - {model_name: a, litellm_params: {model: gpt-4o, weight: 1, rpm: 9}}
""")
    assert [one.weight for one in found.models] == [0.75, 0.25]


CHAINS = """
model_list:
  - {model_name: a, litellm_params: {model: gpt-4o}}
  - {model_name: b, litellm_params: {model: gpt-4}}
  - {model_name: c, litellm_params: {model: claude-3-opus}}
"""


@pytest.mark.parametrize(
    "where",
    ["litellm_settings: {KEY}", "router_settings: {KEY}", "KEY"],
)
def test_fallbacks_are_read_wherever_they_stand(tmp_path: Path, where: str) -> None:
    text = CHAINS + where.replace("KEY", 'fallbacks: [{a: ["b", "c"]}, {b: [c]}]')
    assert config(tmp_path, text).fallbacks == (("a", "b", "c"), ("b", "c"))


def test_the_other_fallbacks(tmp_path: Path) -> None:
    text = CHAINS + "litellm_settings: {default_fallbacks: [c], fallbacks: [{a: [b]}]}\n"
    found = config(tmp_path, text)
    assert found.fallbacks == (("a", "b"),) and found.settings["fallback_chain"] == ["c"]
    found = config(tmp_path, CHAINS + "router_settings: {fallbacks: [b, c, gone]}\n")
    assert found.fallbacks == () and found.settings["fallback_chain"] == ["b", "c"]
    assert codes(found) == {"no-model"}
    for key in ("context_window_fallbacks", "content_policy_fallbacks"):
        found = config(tmp_path, f"{CHAINS}litellm_settings: {{{key}: [{{a: [b]}}]}}\n")
        assert found.fallbacks == (("a", "b"),)
        assert codes(found) == {"conditional-fallback"}


def test_a_group_falls_back_with_all_its_members(tmp_path: Path) -> None:
    found = config(tmp_path, CHAINS.replace("model_name: b", "model_name: a")
                   + "router_settings: {fallbacks: [{a: [c]}]}")  # fmt: skip
    assert found.fallbacks == (("a-1", "c"), ("a-2", "c"))


def test_a_fallback_to_nothing_is_said(tmp_path: Path) -> None:
    found = config(tmp_path, CHAINS + "router_settings: {fallbacks: [{a: [gone]}]}")
    assert not found.fallbacks
    assert "gone" in found.warnings[0].message


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("simple-shuffle", "random"), ("least-busy", "least-loaded"),
        ("latency-based-routing", "speed-priority"), ("cost-based-routing", "cost-optimized"),
        ("usage-based-routing-v2", "least-loaded"), ("provider-budget-routing", None),
    ],
)  # fmt: skip
def test_strategies(tmp_path: Path, theirs: str, ours: str | None) -> None:
    found = config(tmp_path, f"{CHAINS}router_settings: {{routing_strategy: {theirs}}}")
    assert found.settings.get("strategy") == ours
    assert ("strategy" in codes(found)) is (ours != "random")


def test_retries_times_and_aliases(tmp_path: Path) -> None:
    found = config(tmp_path, CHAINS + """
litellm_settings: {num_retries: 2, request_timeout: 60, drop_params: true, set_verbose: false}
router_settings: {allowed_fails: 3, cooldown_time: 30, model_group_alias: {gpt: a, x: {model: b}}}
""")
    assert found.settings == {
        "retry.attempts": 3, "timeouts.total": 60, "breaker.failures": 3, "breaker.cooldown": 30,
    }  # fmt: skip
    assert [one.aliases for one in found.models] == [["gpt"], ["x"], []]
    assert not found.warnings


def test_parameters_and_what_a_model_costs(tmp_path: Path) -> None:
    found = config(tmp_path, """
model_list:
  - model_name: a
    litellm_params:
      {model: gpt-4o, temperature: 0.1, max_tokens: 20, timeout: 30, max_retries: 2, seed: 7,
       stop: END, organization: org-1, api_version: "2024-10-21"}
    model_info: {input_cost_per_token: 2.5e-06, output_cost_per_token: "0.00001"}
""")
    model = found.models[0]
    assert model.params == {"temperature": 0.1, "max_tokens": 20, "seed": 7, "stop": ["END"]}
    assert model.options == {
        "timeout": 30, "max_retries": 2, "organization": "org-1", "api_version": "2024-10-21",
    }  # fmt: skip
    assert model.cost == {"input": 2.5, "output": 10.0}


@pytest.mark.parametrize(
    "key", ["fake-key", "not-needed", "lm-studio", "a", "dummy", "EMPTY", "none", "sk-1234", "xxx",
            "API_KEY"],
)  # fmt: skip
def test_a_placeholder_is_no_key(tmp_path: Path, key: str) -> None:
    found = config(tmp_path, one_model(f"model: gpt-4o, api_key: {key}"))
    assert not found.models[0].options
    assert not found.warnings


def test_keys_are_named_and_never_repeated(tmp_path: Path) -> None:
    found = config(tmp_path, """
model_list:
  - {model_name: a, litellm_params: {model: gpt-4o, api_key: os.environ/MY_KEY}}
  - {model_name: b, litellm_params: {model: groq/x, api_key: 0a1b2c3d4e5f}}
  - {model_name: c, litellm_params: {model: bedrock/y, aws_secret_access_key: awsawsaws1}}
  - {model_name: d, litellm_params: {model: gpt-4, extra_headers: {Authorization: Bearer hdrhdr77}}}
general_settings: {master_key: mastermaster1, database_url: "postgres://u:pgpgpgpg@h/d"}
environment_variables: {OPENAI_API_KEY: envenvenv12, REDIS_PASSWORD: rediredi1}
litellm_settings: {cache: true, cache_params: {type: redis, password: cachecache9}}
""")
    assert found.models[0].options == {"api_key_env": "MY_KEY"}
    assert found.models[1].options == {"api_key_env": "GROQ_API_KEY"}
    text = said(found)
    for secret in ("0a1b2c3d", "awsaws", "hdrhdr", "mastermaster", "pgpgpg", "envenv", "rediredi",
                   "cachecache"):  # fmt: skip
        assert secret not in text
    assert {"secret-in-clear", "guard", "cache-setting", "proxy-setting"} <= codes(found)


def test_an_address_from_the_environment_is_not_known(tmp_path: Path) -> None:
    found = config(tmp_path, one_model("model: azure/d, api_base: os.environ/AZURE_API_BASE"))
    assert sources(found) == {"m": "azure:d"}
    assert codes(found) == {"unresolved"}


def test_json_and_a_plain_list(tmp_path: Path) -> None:
    entries = [{"model_name": "a", "litellm_params": {"model": "gpt-4o"}}]
    assert sources(config(tmp_path, json.dumps({"model_list": entries}), "router.json")) == {
        "a": "openai:gpt-4o"
    }
    assert sources(config(tmp_path, json.dumps(entries), "list.json")) == {"a": "openai:gpt-4o"}


def test_what_is_included_is_read_from_its_folder_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "more.yaml").write_text(one_model("model: gpt-4o"))
    (tmp_path / "out.yaml").write_text(one_model("model: gpt-3.5-turbo"))
    (home / "link.yaml").symlink_to(tmp_path / "out.yaml")
    names = "[more.yaml, ../out.yaml, link.yaml, /etc/passwd, gone.yaml]"
    found = config(home, f"include: {names}\nlitellm_settings: {{}}")
    assert sources(found) == {"m": "openai:gpt-4o"}
    assert [one.code for one in found.warnings] == ["hub-reference"] * 4


def test_a_key_that_stands_twice_is_said(tmp_path: Path) -> None:
    found = config(tmp_path, CHAINS + "litellm_settings: {}\nlitellm_settings: {num_retries: 1}\n")
    assert "duplicate-key" in codes(found)
    assert found.settings == {"retry.attempts": 2}


def test_damage_is_said_and_not_raised(tmp_path: Path) -> None:
    for text in (
        "model_list: [{model_name: 1, litellm_params: {model: [a]}}]",
        "model_list: [{model_name: a, litellm_params: x}, 3]",
        "model_list: {a: 1}\nlitellm_settings: {fallbacks: 3}",
        "litellm_settings: {fallbacks: [a, {b: 3}], num_retries: many}\nmodel_list:\n",
        "router_settings: {routing_strategy: []}\nlitellm_settings: {fallbacks: [{a: 1}]}",
        "router_settings: [1]\nlitellm_settings: {default_fallbacks: x}",
    ):
        assert not config(tmp_path, text).models


def test_many_models_are_all_read(tmp_path: Path) -> None:
    text = "model_list:\n" + "".join(
        f"  - {{model_name: m{at}, litellm_params: {{model: gpt-4o, api_key: key{at:09}}}}}\n"
        for at in range(1500)
    )
    assert len(config(tmp_path, text).models) == 1500


CODE = '''
import os
from litellm import Router, completion
import litellm

KEY = os.getenv("ANTHROPIC_API_KEY")
answer = completion(model="anthropic/claude-3-haiku", messages=[{"role": "system", "content": "Hi"},
    {"role": "user", "content": f"Say {question}"}], temperature=0.2, max_tokens=100, api_key=KEY)
again = litellm.completion(model="anthropic/claude-3-haiku", messages=messages, temperature=0.2,
    max_tokens=100, api_key=KEY, stream=True)
litellm.acompletion("groq/llama3", fallbacks=["gpt-4o"], tools=tools, messages=[])
vector = litellm.embedding(model="text-embedding-3-small", input=[])
litellm.completion(model=name, messages=[])

router = Router(
    model_list=[
        {"model_name": "fast", "litellm_params": {"model": "azure/eu", "api_key": os.environ["A"],
            "api_base": "https://x.openai.azure.com"}},
        {"model_name": "slow", "litellm_params": {"model": "gpt-4o"}},
    ],
    fallbacks=[{"fast": ["slow"]}], routing_strategy="least-busy", num_retries=3,
)
router.completion(model="fast", messages=[])
'''


def test_code(tmp_path: Path) -> None:
    found = only(READER, tmp_path, "app.py", CODE)
    haiku, groq, backup, fast, _ = found.models
    assert haiku.source == "anthropic:claude-3-haiku"
    assert haiku.params == {"temperature": 0.2, "max_tokens": 100}
    assert found.templates[0].messages == (("system", "Hi"), ("user", "Say {question}"))
    assert haiku.options == {"api_key_env": "ANTHROPIC_API_KEY"}
    assert len(haiku.call_sites) == 2
    assert [groq.source, backup.source] == ["groq:llama3", "openai:gpt-4o"]
    assert (fast.name, fast.source, fast.options["api_key_env"]) == ("fast", "azure:eu", "A")
    assert fast.call_sites == [23]
    assert found.fallbacks == (("llama3", "gpt-4o"), ("fast", "slow"))
    assert found.settings == {"strategy": "least-loaded", "retry.attempts": 4}
    assert {"embedding-model", "unresolved", "tools"} <= codes(found)


def test_other_code_and_other_files_are_left(tmp_path: Path) -> None:
    assert not artefacts(READER, tmp_path, "a.py", "from openai import OpenAI\ncompletion(model=1)")
    for text in ("model_list: [a, b]", "models: [{model: x}]", "[]", "services: {litellm: {}}"):
        assert not artefacts(READER, tmp_path, "a.yaml", text)


def test_an_unknown_prefix_is_part_of_the_name() -> None:
    assert named("meta-llama/Llama-3") == (None, "meta-llama/Llama-3")


def test_a_model_stands_where_it_is_named(tmp_path: Path) -> None:
    entry = "- litellm_params: {model: gpt-4o}\n  model_name: gpt-4o\n"
    found = config(tmp_path, f"model_list:\n{entry * 2}")
    assert [one.line for one in found.models] == [3, 5]


@pytest.mark.parametrize("name", ["gemini-3-pro-image-preview", "gemini-3.1-flash-image"])
def test_models_that_draw_are_left(tmp_path: Path, name: str) -> None:
    found = config(tmp_path, one_model(f"model: vertex_ai/{name}"))
    assert not found.models and "other-role" in codes(found)


def test_an_order_within_a_group_is_a_chain(tmp_path: Path) -> None:
    found = config(tmp_path, """
model_list:
  - {model_name: p, litellm_params: {model: openai/a, weight: 9, order: 1}}
  - {model_name: p, litellm_params: {model: openai/b, order: 1}}
  - {model_name: p, litellm_params: {model: openai/c, order: 2}}
  - {model_name: q, litellm_params: {model: openai/d}}
litellm_settings: {fallbacks: [{p: [q]}]}
""")
    made = combined([found], tmp_path)
    assert [(one.name, one.group) for one in made.models] == [
        ("p-1", "p"), ("p-2", "p"), ("p-3", None), ("q", None)
    ]  # fmt: skip
    assert made.chains == (("p-1", "p-3", "q"), ("p-2", "p-3", "q"), ("p-3", "q"))
    assert [one.weight for one in made.models[:2]] == [1.0, 0.0001]


def test_a_budget_of_a_month_is_ours(tmp_path: Path) -> None:
    text = ("model_list:\n- model_name: a\n  litellm_params: {model: openai/gpt-4o}\n"
            "litellm_settings: {max_budget: 100, budget_duration: SPAN}\n")  # fmt: skip
    for span, budgets in (("30d", {"budgets.monthly": 100}), ("1d", {"budgets.daily": 100})):
        found = only(READER, tmp_path, "a.yaml", text.replace("SPAN", span))
        assert found.settings == budgets and "guard" not in codes(found)
    found = only(READER, tmp_path, "a.yaml", text.replace("SPAN", "7d"))
    assert found.settings == {} and "guard" in codes(found)


def test_a_key_is_told_where_it_stands(tmp_path: Path) -> None:
    text = ("model_list:\n- model_name: a\n  litellm_params:\n    model: openai/gpt-4o\n\n"
            "    api_key: 0a1b2c3d4e5f\nlitellm_settings:\n  cache_params:\n"
            "    password: 9z8y7x6w5v\n")  # fmt: skip
    found = only(READER, tmp_path, "a.yaml", text)
    where = [one.where.partition("a.yaml:")[2] for one in found.warnings
             if one.code == "secret-in-clear"]  # fmt: skip
    assert where == ["6 api_key", "9 litellm_settings.cache_params.password"]
