"""From artefacts to a plan: merged, renamed, held against llmrr.toml, and written into it."""

import datetime
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from migrating import findings, kept, model, one, plan
from terminal import Typed

from llmrr import config
from llmrr.errors import BadConfig, DamagedFile, LlmrrError, NotFound, UsageError
from llmrr.migrate import planning
from llmrr.migrate.artefact import Artefact, Template
from llmrr.migrate.merging.setup import combined
from llmrr.migrate.planning import Plan, Wishes
from llmrr.migrate.planning.wishes import wanted
from llmrr.migrate.scanning import scan


def toml(found: Plan) -> dict[str, Any]:
    """What is written, parsed and valid."""
    Path("checked.toml").write_text(found.toml)
    assert [one for one in config.check(Path("checked.toml")) if "is not there" not in one.message
            ] == []
    Path("checked.toml").unlink()
    return tomllib.loads(found.toml.removeprefix("\ufeff"))


def codes(found: Plan) -> list[str]:
    return [one.code for one in found.warnings]


# -- many artefacts as one -------------------------------------------------------------------------


def test_the_same_model_twice_is_one() -> None:
    given = one("openai:gpt-4o", params={"temperature": 0.5}), one(
        "openai:gpt-4o", path="b.py", params={"temperature": 0.5})  # fmt: skip
    found = plan(*given)
    assert toml(found)["models"] == [
        {"name": "gpt-4o", "source": "openai:gpt-4o", "params": {"temperature": 0.5}}
    ]
    assert "# from app.py, b.py\n[[models]]\n" in found.toml
    assert codes(found) == []


@pytest.mark.parametrize(("env", "code", "left"), [
    ("MODEL_NAME=gpt-4o-mini\nOPENAI_API_KEY=sk-topsecret0123456789\n",
     "OpenAI()\nc.chat.completions.create(model=os.getenv('MODEL_NAME', 'gpt-4o-mini'), seed=1)",
     ["openai:gpt-4o-mini"]),
    ("AZURE_OPENAI_DEPLOYMENT=d\nAZURE_OPENAI_ENDPOINT=https://x.openai.azure.com\n"
     "AZURE_OPENAI_API_KEY=0123456789abcdef\nOPENAI_API_VERSION=2024-02-01\n",
     "AzureOpenAI(azure_endpoint=os.environ['AZURE_OPENAI_ENDPOINT'],"
     " api_version='2024-06-01')\nc.chat.completions.create(model='d', seed=1)", ["azure:d"]),
    ("LLM_MODEL=gpt-4o\nLLM_BASE_URL=https://proxy.example.org/v1\n",  # not what the code asks
     "OpenAI(base_url='https://api.openai.com/v1')\n"
     "c.chat.completions.create(model='gpt-4o', seed=1)", ["openai:gpt-4o"] * 2),
])  # fmt: skip
def test_what_code_reads_from_variables_is_one_model(env: str, code: str, left: list[str]) -> None:
    Path(".env").write_text(env)
    name = code.partition("(")[0]
    Path("app.py").write_text(f"import os\nfrom openai import {name}\nc = {code}\n")
    made = toml(planning.make(scan(["."]).found, Path("llmrr.toml")))
    assert [one["source"] for one in made["models"]] == left
    assert [one for one in made["models"] if one.get("params") == {"seed": 1}]
    if left == ["azure:d"]:
        assert made["models"][0]["options"]["api_version"] == "2024-06-01"
        assert made["models"][0]["options"]["base_url"].startswith("https://x.openai.azure.com")


def test_another_model_of_the_same_name_is_renamed_and_said() -> None:
    found = plan(one("openai:gpt-4o"), one("openai:gpt-4o", path="b.py", params={"seed": 4}))
    assert [each["name"] for each in toml(found)["models"]] == ["gpt-4o", "gpt-4o-2"]
    assert [(each.code, each.where) for each in found.warnings] == [("clash", "b.py")]


KEY_OPTION = {"api_key_env": "OPENAI_API_KEY"}


@pytest.mark.parametrize(("first", "second", "names"), [
    ({}, KEY_OPTION, ["gpt-4o"]), (KEY_OPTION, {}, ["gpt-4o"]),
    ({}, {"api_key_env": "OTHER_KEY"}, ["gpt-4o", "gpt-4o-2"]),
    *(({"base_url": "https://p.example/v1", **one}, {"base_url": "https://p.example/v1", **other},
       ["gpt-4o", "gpt-4o-2"]) for one, other in (({}, KEY_OPTION), (KEY_OPTION, {}))),
])  # fmt: skip
def test_the_key_that_is_asked_with_anyway_makes_no_other_model(
    first: dict[str, str], second: dict[str, str], names: list[str]
) -> None:
    found = plan(
        one("openai:gpt-4o", options=first), one("openai:gpt-4o", path="b.py", options=second)
    )
    assert [each["name"] for each in toml(found)["models"]] == names


def test_of_two_variables_that_may_hold_a_key_one_is_a_choice() -> None:
    stated = {"api_key_env": "GEMINI_API_KEY"}
    found = plan(one("google:g"), one("google:g", path="b.py", options=stated))
    assert len(toml(found)["models"]) == 2


def test_what_takes_the_place_of_several_is_there_once_beside_them() -> None:
    sources = [one("openai:a", path=f"{key}.py", options={"api_key_env": key}) for key in "XY"]
    sources.append(one("openai:a", path="z.py", params={"temperature": 0.5}))
    made = toml(plan(*sources, replace=(("openai:a", "builtin:mini"),), mode="hybrid"))
    assert made["migration"]["new"] == ["mini", "mini-2"]
    assert made["migration"]["legacy"] == ["a", "a-2", "a-3"]


def test_names_that_a_person_gave_stay_two() -> None:
    found = findings("config.yaml", "litellm")
    for name in ("fast", "cheap"):
        model(found, "openai:gpt-4o-mini", name)
    names = [each["name"] for each in toml(plan(found.artefact()))["models"]]
    assert names == ["fast", "cheap"]


def test_the_same_under_another_name_elsewhere_is_one_and_said() -> None:
    found = plan(one("openai:gpt-4o"), one("openai:gpt-4o", "writer", "b.py"))
    assert [each["name"] for each in toml(found)["models"]] == ["gpt-4o"]
    assert codes(found) == ["alias"]


def test_order_of_sources_and_of_a_chain_is_kept() -> None:
    found = findings()
    z, a, m = (model(found, f"openai:{name}") for name in ("z", "a", "m"))
    found.chain(m, z, a)
    written = toml(plan(found.artefact()))
    assert [each["name"] for each in written["models"]] == ["z", "a", "m"]
    assert written["fallback_chain"] == ["m", "z", "a"]


def test_several_chains_are_the_models_own() -> None:
    found = findings()
    a, b, c = (model(found, f"openai:{name}") for name in "abc")
    found.chain(a, b)
    found.chain(b, c)
    written = toml(plan(found.artefact()))
    assert "fallback_chain" not in written
    assert [each.get("fallback") for each in written["models"]] == [["b"], ["c"], None]


def test_a_chain_that_leaves_out_a_model_is_not_for_all() -> None:
    found = findings()
    a, b, _ = (model(found, f"openai:{name}") for name in "abc")
    found.chain(a, b)
    written = toml(plan(found.artefact()))
    assert "fallback_chain" not in written
    assert written["models"][0]["fallback"] == ["b"]


def test_a_circle_is_cut_and_said() -> None:
    found = findings()
    a, b = (model(found, f"openai:{name}") for name in ("fast", "slow"))
    found.chain(a, b)
    found.chain(b, a)
    made = plan(found.artefact())
    assert [each.get("fallback") for each in toml(made)["models"]] == [["slow"], None]
    assert codes(made) == ["cycle"]


def test_a_chain_follows_renamed_models_and_groups() -> None:
    found = findings("config.yaml", "litellm")
    first, second, other = (
        model(found, f"openai:{name}", called)
        for name, called in (("x", "gpt-4"), ("y", "gpt-4-2"), ("z", "claude"))
    )
    first.group = second.group = "gpt-4"
    first.weight = 0.7
    found.chain(first, other)
    found.settings["fallback_chain"] = ["gpt-4", "claude"]
    written = toml(plan(found.artefact()))
    assert [(each["name"], each.get("group")) for each in written["models"]] == [
        ("gpt-4-1", "gpt-4"), ("gpt-4-2", "gpt-4"), ("claude", None),
    ]  # fmt: skip
    assert written["fallback_chain"] == ["gpt-4-1", "gpt-4-2", "claude"]


def test_two_keys_of_one_provider_get_two_variables() -> None:
    found = findings("config.yaml", "litellm")
    for name, key in (("a", "1"), ("b", "2"), ("c", "1"), ("d", None)):
        made = model(found, f"openai:{name}", options={"api_key_env": "OPENAI_API_KEY"})
        made.key = key
    made = plan(found.artefact())
    assert [each["options"]["api_key_env"] for each in toml(made)["models"]] == [
        "OPENAI_API_KEY", "OPENAI_API_KEY_2", "OPENAI_API_KEY", "OPENAI_API_KEY",
    ]  # fmt: skip
    assert codes(made) == ["key-guess"]


def test_a_literal_key_of_another_server_is_not_openais() -> None:
    found = findings("app.py", "openai-code")
    for name, address in (("qwen3", "https://llm.example/v1"), ("gpt-4o", None)):
        options = {"api_key_env": "OPENAI_API_KEY"} | ({"base_url": address} if address else {})
        model(found, f"openai:{name}", options=options).key = "1" if address else None
    made = plan(found.artefact())
    assert [each["options"]["api_key_env"] for each in toml(made)["models"]] == [
        "QWEN3_API_KEY", "OPENAI_API_KEY",
    ]  # fmt: skip
    assert codes(made) == ["key-guess"]


def test_one_model_under_two_keys_is_two() -> None:
    given = []
    for at, key in enumerate("12"):
        found = findings(f"{at}.py")
        made = model(found, "openai:gpt-4o", options={"api_key_env": "OPENAI_API_KEY"})
        made.key = key
        given.append(found.artefact())
    written = toml(plan(*given))
    assert [each["name"] for each in written["models"]] == ["gpt-4o", "gpt-4o-2"]


def test_an_alias_answers_as_a_group_and_a_second_one_is_said() -> None:
    found = findings("config.yaml", "llama-swap")
    made = model(found, "file:/m/qwen.gguf", "qwen")
    made.aliases = ["gpt-4", "gpt-3.5-turbo"]
    result = plan(found.artefact())
    assert toml(result)["models"][0]["group"] == "gpt-4"
    assert "alias" in codes(result)


def test_what_stands_for_nothing_is_dropped_silently() -> None:
    found = one("openai:x", params={"seed": -1, "max_tokens": None, "temperature": 0})
    assert toml(plan(found))["models"][0]["params"] == {"temperature": 0}
    assert codes(plan(found)) == []


@pytest.mark.parametrize(
    ("params", "options", "code"),
    [
        ({"top_p": 3}, {}, "wrong-type"),
        ({"temperature": float("nan")}, {}, "wrong-type"),
        ({"stop": ["", "a"]}, {}, "wrong-type"),
        ({"mirostat": 2}, {}, "not-applied"),
        ({}, {"context_size": 4096}, "not-applied"),
        ({}, {"base_url": "ftp://x"}, "wrong-type"),
        ({}, {"timeout": "soon"}, "wrong-type"),
        ({"system": " "}, {}, "wrong-type"),
        ({"seed": 2**40}, {}, "wrong-type"),
    ],
)
def test_what_llmrr_toml_refuses_is_left_out_and_said(
    params: object, options: object, code: str
) -> None:
    found = plan(one("openai:x", params=params, options=options))
    assert toml(found)["models"] == [{"name": "x", "source": "openai:x"}]
    assert codes(found) == [code]


def test_a_file_and_a_revision_that_do_not_go_together_are_said() -> None:
    found = plan(one("huggingface:o/r:Q4_K_M", options={"file": "a.gguf"}))
    assert toml(found)["models"] == [{"name": "r", "source": "huggingface:o/r:Q4_K_M"}]
    assert codes(found) == ["not-applied"]


def test_a_source_that_is_none_leaves_the_model_out() -> None:
    for source in ("oci://x", "file:\0)"):
        found = plan(one("openai:a"), one(source, "b"))
        assert [each["name"] for each in toml(found)["models"]] == ["a"]
        assert codes(found) == ["unsupported-source"]


def test_templates_are_linked_kept_raw_and_once() -> None:
    found, other = findings(), findings("Modelfile", "ollama-modelfile")
    asked = model(found, "openai:a", "same")
    found.template("qa", "Q: {question}\nA:", model=asked)
    found.template("talk", messages=[("system", "Be {mood}."), ("user", "{input}")],
                   defaults={"mood": "kind", "none": "x"})  # fmt: skip
    told = model(other, "ollama:b", "same")
    other.template("qa", "{{ .System }} {{ .Prompt }}", format="go", model=told)
    written = toml(plan(found.artefact(), other.artefact()))["templates"]
    assert written == {
        "qa": {"template": "Q: {question}\nA:", "model": "same"},
        "talk": {"messages": [{"role": "system", "content": "Be {mood}."},
                              {"role": "user", "content": "{input}"}],
                 "defaults": {"mood": "kind"}},
        "qa-2": {"template": "{{ .System }} {{ .Prompt }}", "format": "go", "model": "same-2"},
    }  # fmt: skip


def test_a_template_with_a_role_that_is_none_is_left_out_and_said() -> None:
    found = findings()
    model(found, "openai:a")
    found.template("qa", messages=[("placeholder", "{history}")])
    made = plan(found.artefact())
    assert "templates" not in toml(made)
    assert codes(made) == ["wrong-type"]


def test_settings_are_taken_and_the_later_one_holds() -> None:
    found, other = findings(), findings("b.yaml", "litellm")
    model(found, "openai:a")
    found.settings |= {"strategy": "quality-optimized", "retry": {"attempts": 2}, "nonsense": 1}
    other.settings |= {"retry.attempts": 4, "timeouts.total": -1}
    made = plan(found.artefact(), other.artefact())
    written = toml(made)
    assert (written["strategy"], written["retry"]) == ("quality-first", {"attempts": 4})
    assert sorted(codes(made)) == ["clash", "not-applied", "strategy", "wrong-type"]


def test_the_default_of_another_tool_is_asked_first() -> None:
    found = findings("config.yaml", "aichat")
    for name in ("a", "b"):
        model(found, f"openai:{name}")
    found.settings["default_model"] = "b"
    written = toml(plan(found.artefact()))
    assert "default_model" not in written
    assert [each.get("priority") for each in written["models"]] == [None, 1]


# -- places ----------------------------------------------------------------------------------------


def test_paths_are_relative_to_the_file_that_is_written() -> None:
    for place in ("app/models/a.gguf", "models/b.gguf"):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).touch()
    Path("conf").mkdir()
    found = findings("app/src/main.py")
    for path in ("../models/a.gguf", "models/b.gguf", "models\\b.gguf", "/abs/c.gguf"):
        model(found, f"file:{path}", options={"mmproj": "models/b.gguf"})
    made = plan(found.artefact(), target="conf/llmrr.toml")
    written = toml(made)["models"]
    assert [each["source"] for each in written] == [
        "file:../app/models/a.gguf", "file:../models/b.gguf", "file:/abs/c.gguf",
    ]  # fmt: skip
    assert {each["options"]["mmproj"] for each in written} == {"../models/b.gguf"}
    assert [each.message for each in made.warnings] == ["c: there is no /abs/c.gguf here"]


@pytest.mark.parametrize(("stated", "written"), [(["b", "c"], ["b", "c"]), (["c"], ["c"])])
def test_a_chain_that_is_stated_for_all_models_is_so(stated: object, written: object) -> None:
    found = findings("llm.config.js", "custom")
    models = [model(found, f"openai:{name}") for name in ("a", "b", "c")]
    found.chain(*models[1:])
    found.settings["fallback_chain"] = stated
    made = toml(plan(found.artefact()))
    assert made["fallback_chain"] == written
    own = {each["name"]: each.get("fallback") for each in made["models"]}
    assert own == {"a": None, "b": ["c"] if stated == ["c"] else None, "c": None}
    Path("llmrr.toml").write_text('version = 1\nfallback_chain = ["x"]\n[[models]]\nname = "x"\n'
                                  'source = "openai:x"\n')  # fmt: skip
    again = plan(found.artefact())
    assert [each.get("fallback") for each in toml(again)["models"]] == [None, None, ["c"], None]


def test_the_file_of_variables_is_named_and_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("OPENAI_API_KEY=sk-topsecret0123456789\n")
    made = plan(one("openai:a"), findings(".env", "dotenv").artefact())
    assert toml(made)["env_file"] == ".env"
    assert "sk-t" not in planning.text_of(made)


def test_a_client_without_an_address_is_asked_where_the_variables_say() -> None:
    Path("app/src").mkdir(parents=True)
    Path("other").mkdir()
    Path("app/.env").write_text("OPENAI_BASE_URL=https://h.example/v1\n")
    Path("app/.env.example").write_text("OPENAI_BASE_URL=https://another.example/v1\n")
    given = [findings(path, "dotenv").artefact() for path in ("app/.env.example", "app/.env")]
    told = findings("app/e.yaml", "litellm")
    model(told, "openai:e")
    made = plan(
        one("openai:a", path="app/src/a.py"), one("openai:b", path="other/b.py"),
        one("openai:c", path="app/c.py", options={"base_url": "https://own.example/v1"}),
        one("anthropic:d", path="app/d.py"), told.artefact(),
        *given,
    )  # fmt: skip
    found = {each["name"]: each.get("options", {}).get("base_url") for each in toml(made)["models"]}
    assert found == {
        "a": "https://h.example/v1", "b": None, "c": "https://own.example/v1", "d": None, "e": None,
    }  # fmt: skip
    assert [each.where for each in made.warnings if each.code == "base-url-default"] == [
        "app/src/a.py"
    ]


def test_the_keys_of_a_file_in_another_folder_lie_where_they_do() -> None:
    from llmrr.migrate.scanning import scan

    Path("deep").mkdir()
    Path("deep/.env.local").write_text("OPENAI_API_KEY=sk-topsecret0123456789\nOPENAI_MODEL=gpt-4o\n")
    made = plan(*scan(["deep"]).artefacts)
    assert toml(made)["env_file"] == "deep/.env.local"
    assert codes(made) == []
    made = plan(*scan(["deep"]).artefacts, target="deep/llmrr.toml")
    assert codes(made) == []


def test_of_several_files_of_variables_the_one_that_is_needed_is_named() -> None:
    Path("deep").mkdir()
    Path("deep/.env").write_text("ANTHROPIC_API_KEY=x\n")
    Path(".env").write_text("PORT=1\n")
    given = [findings(path, "dotenv").artefact() for path in (".env", "deep/.env")]
    made = plan(one("anthropic:a"), *given)
    assert toml(made)["env_file"] == "deep/.env"
    assert codes(made) == []  # the other holds nothing that is needed


def test_another_key_of_the_same_name_is_said_without_its_value() -> None:
    Path("deep").mkdir()
    Path(".env").write_text("OPENAI_API_KEY=sk-first0123456789abcdef\nDEBUG=1\n")
    Path("deep/.env").write_text(
        "OPENAI_API_KEY=sk-second123456789abcdef\nANTHROPIC_API_KEY=sk-third\nDEBUG=0\n"
    )
    given = [findings(path, "dotenv").artefact() for path in (".env", "deep/.env")]
    made = plan(one("openai:a"), *given)
    assert toml(made)["env_file"] == ".env"
    [said] = [(each.code, each.where, each.message) for each in made.warnings]
    assert said[:2] == ("not-applied", "deep/.env")
    assert "another OPENAI_API_KEY than .env" in said[2]
    made = plan(one("openai:a"), one("anthropic:b"), one("groq:c"), *given)
    assert toml(made)["env_file"] == "deep/.env"
    Path(".env").write_text("OPENAI_API_KEY=sk-second123456789abcdef\nGROQ_API_KEY=gsk_x\n")
    [said] = [each.message for each in plan(
        one("openai:a"), one("anthropic:b"), one("groq:c"), *given).warnings]  # fmt: skip
    assert "ANTHROPIC_API_KEY stands here alone" in said and "OPENAI_API_KEY" not in said
    assert "sk-" not in planning.text_of(made)


def test_the_users_own_file_may_name_variables_anywhere(tmp_path: Path) -> None:
    Path(".env").write_text("OPENAI_API_KEY=x\n")
    own = config.user_file()
    own.parent.mkdir(parents=True, exist_ok=True)
    made = plan(one("openai:a"), findings(".env", "dotenv").artefact(), target=str(own))
    assert codes(made) == []
    assert tomllib.loads(made.toml)["env_file"] == str(Path(".env").absolute())
    own.write_text(made.toml)
    assert config.check(own) == []


@pytest.mark.parametrize("text", ["this is no file of variables\n", None])
def test_a_file_of_variables_that_cannot_be_used_is_said(text: str | None, tmp_path: Path) -> None:
    outside = tmp_path / "sub"
    outside.mkdir()
    Path(".env").write_text(text or "A=1\n")
    made = plan(one("openai:a"), findings(".env", "dotenv").artefact(),
                target="llmrr.toml" if text else "sub/llmrr.toml")  # fmt: skip
    assert "env_file" not in tomllib.loads(made.toml)
    assert codes(made) == ["not-applied"]


# -- the plan --------------------------------------------------------------------------------------


def test_twice_is_the_same_to_the_byte() -> None:
    given = one("openai:a", params={"temperature": 0.1}), one("file:x.gguf", path="b.py")
    assert planning.text_of(plan(*given)) == planning.text_of(plan(*given))
    assert plan(*given).id != plan(*given, strategy="random").id


def test_a_kept_plan_is_read_again_and_a_changed_one_is_not() -> None:
    made = plan(one("openai:a"))
    assert planning.read(Path(kept(made))) == made
    Path("plan.json").write_text(Path("plan.json").read_text().replace("openai:a", "openai:b"))
    with pytest.raises(DamagedFile, match="was changed since it was made"):
        planning.read(Path("plan.json"))
    Path("plan.json").write_text("[]")
    with pytest.raises(DamagedFile):
        planning.read(Path("plan.json"))
    with pytest.raises(NotFound):
        planning.read(Path("absent.json"))


def test_nothing_found_is_an_error() -> None:
    with pytest.raises(LlmrrError, match="nothing was found"):
        plan(Artefact(Path("x.yaml"), "none", error="not an LLM config"))


@pytest.mark.parametrize(
    ("only", "skip", "left"),
    [
        ((), (), ["a", "b", "c"]),
        (("*.yaml",), (), ["c"]),
        (("langchain-*",), (), ["a", "b"]),
        (("b",), (), ["b"]),
        ((), ("a", "c"), ["b"]),
        ((), ("sub*",), ["a", "b"]),
        (("app.py",), ("a",), ["b"]),
    ],
)
def test_only_and_skip(only: tuple[str, ...], skip: tuple[str, ...], left: list[str]) -> None:
    found, other = findings(), findings("sub/x.yaml", "litellm")
    for name in "ab":
        model(found, f"openai:{name}")
    model(other, "openai:c")
    given = wanted([found.artefact(), other.artefact()], Wishes(only=only, skip=skip))
    assert [each.name for each in combined(given, Path()).models] == left


def test_a_model_that_is_left_out_takes_no_keys_and_no_prompts_of_others() -> None:
    Path(".env").write_text("OPENAI_API_KEY=sk-topsecret0123456789\nOPENAI_MODEL=gpt-4o\n")
    [env] = scan([".env"]).found
    found = findings()
    first, _ = (model(found, f"openai:{name}") for name in "ab")
    found.templates += [Template("greet", "hi {name}"), Template("bye", "bye", model=first.name)]
    for wishes in ({"skip": ("a", "gpt-4o")}, {"only": ("b",)}):
        made = toml(plan(env, found.artefact(), **wishes))
        assert [each["name"] for each in made["models"]] == ["b"]
        assert made["env_file"] == ".env"
        assert list(made["templates"]) == ["greet"]
    assert "env_file" not in toml(plan(env, found.artefact(), skip=(".env",)))
    assert list(toml(plan(found.artefact(), skip=("a", "b")))["templates"]) == ["greet"]


def test_a_key_in_clear_is_told_with_one_variable() -> None:
    found = [one_key(file, key) for file, key in (("a.json", "k1"), ("b.json", "k2"))]
    said = [each.message for each in plan(*found).warnings]
    assert [text.rpartition("keys set ")[2].partition(")")[0] for text in said
            if "in clear" in text] == ["OPENAI_API_KEY", "OPENAI_API_KEY_2"]  # fmt: skip


def one_key(file: str, key: str) -> Artefact:
    """What a file with a key in clear is read as."""
    Path(file).write_text(
        '{"class_name": "openai_llm", "model": "gpt-4o", "api_key": "' + key * 16 + '"}'
    )
    return scan([file]).found[0]


def test_a_model_is_skipped_by_the_name_that_it_gets() -> None:
    Path("llmrr.toml").write_text('[[models]]\nname = "a"\nsource = "openai:z"\n')
    found = findings("b.py")
    first, second, third = (model(found, f"openai:{name}") for name in "abc")
    found.chain(first, second)
    found.settings["fallback_chain"] = [first.name, second.name, third.name]
    found.templates.append(Template("greet", "hi {name}", model=first.name))
    made = toml(plan(found.artefact(), skip=("a-2",)))
    assert [one["name"] for one in made["models"]] == ["a", "b", "c"]
    assert made["fallback_chain"] == ["b", "c"] and "templates" not in made
    with pytest.raises(LlmrrError, match="nothing was found"):
        plan(one("openai:a"), skip=("a-2",))


def test_another_model_takes_the_place_of_one() -> None:
    found = one("openai:gpt-4o", params={"temperature": 0.2}, options={
        "api_key_env": "OPENAI_API_KEY", "timeout": 5})  # fmt: skip
    made = plan(found, replace=(("openai:gpt-4o", "hf:o/r:Q4_K_M"),))
    assert toml(made)["models"] == [
        {"name": "gpt-4o", "source": "huggingface:o/r:Q4_K_M", "params": {"temperature": 0.2}}
    ]
    with pytest.raises(NotFound, match="openai:x"):
        plan(found, replace=(("openai:x", "hf:o/r"),))


def test_both_sides_run_beside_each_other() -> None:
    found = one("openai:gpt-4o", params={"seed": 1})
    made = toml(plan(found, replace=(("gpt-4o", "hf:o/new"),), mode="hybrid"))
    assert made["migration"] == {"mode": "hybrid", "new": ["new"], "legacy": ["gpt-4o"]}
    assert made["models"][0]["params"] == {"seed": 1}


@pytest.mark.parametrize("wishes", [{"mode": "new-primary"}, {"rollout": 1.0}])
def test_a_template_follows_the_sides(wishes: dict[str, Any], typed: Typed) -> None:
    found = findings()
    old = model(found, "openai:gpt-4o")
    found.templates.append(Template("greet", "hi {name}", model=old.name))
    first = plan(found.artefact())
    assert toml(first)["templates"]["greet"]["model"] == "gpt-4o"
    for text in (None, first.toml):  # a new file, and one that an earlier migration wrote
        if text is not None:
            Path("llmrr.toml").write_text(text)
        made = plan(found.artefact(), replace=(("gpt-4o", "builtin:mini"),), **wishes)
        assert toml(made)["templates"] == {"greet": {"template": "hi {name}"}}
    config.user_file().parent.mkdir(parents=True, exist_ok=True)
    config.user_file().write_text(made.toml)
    Path("llmrr.toml").unlink()
    seen = typed("run", "-t", "greet", "--param", "name", "you", "--json", "--max-tokens", "4")
    assert seen.json["model"] == "mini"


def test_a_template_of_the_new_side_keeps_its_model() -> None:
    found = findings()
    new, _ = model(found, "file:x.gguf"), model(found, "openai:gpt-4o")
    found.templates.append(Template("greet", "hi {name}", model=new.name))
    made = toml(plan(found.artefact(), mode="hybrid"))
    assert made["templates"]["greet"]["model"] == "x"


def test_without_a_replacement_what_is_local_is_new() -> None:
    given = one("openai:gpt-4o"), one("file:x.gguf")
    made = toml(plan(*given, mode="legacy-primary"))
    assert (made["migration"]["new"], made["migration"]["legacy"]) == (["x"], ["gpt-4o"])
    with pytest.raises(UsageError, match="no new side"):
        plan(given[0], mode="hybrid")


def test_a_share_goes_to_the_new_side_and_the_rest_to_the_old() -> None:
    made = toml(plan(one("openai:gpt-4o"), one("file:x.gguf"), rollout=0.1))
    assert list(made["flags"].items()) == [
        ("migration-legacy", {"rollout": 1.0, "set": {"models": ["gpt-4o"]}}),
        ("migration", {"rollout": 0.1, "set": {"models": ["x"]}}),
    ]


def test_the_four_features_week_by_week_or_by_their_shares() -> None:
    flags = toml(plan(one("openai:a"), adopt=True, start=datetime.date(2026, 12, 1)))["flags"]
    assert flags.pop("start") == datetime.date(2026, 12, 1)
    assert [(name, each["week"]) for name, each in flags.items()] == [
        ("advanced-caching", 1), ("model-ensembles", 2), ("auto-scaling", 3),
        ("cost-optimization", 4),
    ]  # fmt: skip
    Path("llmrr.toml").write_text("[flags]\nstart = 2026-01-05\n")
    made = plan(one("openai:a"), adopt=True, start=datetime.date(2026, 12, 1))
    assert toml(made)["flags"]["start"] == datetime.date(2026, 1, 5)
    assert codes(made) == ["clash"]
    Path("llmrr.toml").unlink()
    flags = toml(plan(one("openai:a"), adopt=True))["flags"]
    assert [(name, each["rollout"]) for name, each in flags.items()] == [
        ("advanced-caching", 1.0), ("model-ensembles", 0.0), ("auto-scaling", 0.0),
        ("cost-optimization", 0.0),
    ]  # fmt: skip


def test_the_files_of_ollama_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from holdings import OllamaStore, model_bytes

    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "store"))
    store = OllamaStore(tmp_path / "store")
    store.add("registry.ollama.ai/library/tiny/latest", [("model", model_bytes(tmp_path))])
    made = plan(one("ollama:tiny"), one("ollama:absent"), as_files=True)
    sources = [each["source"] for each in toml(made)["models"]]
    assert sources[0].startswith(f"file:{tmp_path}/store/blobs/sha256-")
    assert sources[1] == "ollama:absent"
    assert codes(made) == ["incomplete"]


def test_the_file_of_a_store_that_was_seen_counts_first(tmp_path: Path) -> None:
    seen = one("ollama:tiny")
    (tmp_path / "blob").write_bytes(b"GGUF")
    seen.models[0].weights = str(tmp_path / "blob")
    made = plan(seen, as_files=True)
    assert toml(made)["models"][0]["source"] == f"file:{tmp_path}/blob"


def test_what_ollama_puts_around_its_files_comes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from builders import gguf_file
    from holdings import OllamaStore, model_bytes

    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "store"))
    image = gguf_file(tmp_path / "i.gguf", metadata={
        "general.architecture": "clip", "general.type": "mmproj"}).read_bytes()  # fmt: skip
    OllamaStore(tmp_path / "store").add("registry.ollama.ai/library/see/latest", [
        ("model", model_bytes(tmp_path)), ("projector", image), ("system", "Be brief."),
        ("params", '{"temperature": 0.5, "num_ctx": 2048, "stop": ["a"]}'),
    ])  # fmt: skip
    [found] = toml(plan(one("ollama:see", params={"temperature": 0}), as_files=True))["models"]
    assert found["params"] == {"temperature": 0, "stop": ["a"], "system": "Be brief."}
    assert found["options"]["context_size"] == 2048
    assert Path(found["options"]["mmproj"]).read_bytes() == image


def test_the_check_list_has_its_items_and_phases() -> None:
    found = plan(one("openai:a")).checklist
    assert len([each for each in found if not each.phase.startswith("phase")]) == 22
    assert len({each.phase for each in found if each.phase.startswith("phase")}) == 3
    assert len({each.id for each in found}) == len(found)
    done = {each.id: each.done for each in found}
    assert (done["identify-models"], done["configure"], done["train-team"]) == (True, False, None)


# -- an llmrr.toml that is there -------------------------------------------------------------------

MINE = """# mine\r
version = 1\r
strategy = "random"  # why not\r
\r
[[models]]\r
name = "gpt-4o"  # the good one\r
source = "openai:gpt-4o"\r
\r
# the server\r
[serve]\r
"""


def test_what_is_there_stays_to_the_byte() -> None:
    Path("llmrr.toml").write_bytes(MINE.replace("[serve]", "[cache]").encode())
    found = findings()
    model(found, "openai:gpt-4o", params={"temperature": 0.5})
    model(found, "openai:new")
    found.settings |= {"strategy": "balanced", "retry.attempts": 2}
    found.template("qa", "{x}")
    made = plan(found.artefact())
    lines = made.toml.split("\n")
    assert all(line.endswith("\r") for line in lines[:-1])
    left = iter(lines)
    assert all(line in left for line in MINE.replace("[serve]", "[cache]").split("\n"))
    written = toml(made)
    assert [each["name"] for each in written["models"]] == ["gpt-4o", "gpt-4o-2", "new"]
    assert (written["strategy"], written["retry"]["attempts"]) == ("random", 2)
    assert codes(made) == ["clash", "clash"]


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_is_there_already_is_not_added_again(is_whole: bool) -> None:
    found = findings()
    first, second = (model(found, "openai:a", params={"seed": seed}) for seed in (3, 4))
    found.chain(first, second)
    found.template("qa", "One line:\n{input}", model=second)
    found.settings["retry.attempts"] = 2
    given = [found.artefact(), *([] if is_whole else [one("openai:b")])]
    made = plan(*given)
    Path("llmrr.toml").write_text(made.toml)
    again = plan(*given)
    assert again.toml == made.toml
    assert planning.difference(again) == []


def test_a_new_file_in_the_place_of_one() -> None:
    Path("llmrr.toml").write_text("this is = no toml [")
    with pytest.raises(BadConfig):
        plan(one("openai:a"))
    made = plan(one("openai:a"), overwrite=True)
    assert list(toml(made)) == ["version", "models"]


@pytest.mark.parametrize("before", [
    'models = [{ name = "x", source = "openai:x" }]\n',
    'models = [\r\n  { name = "x", source = "openai:x" }, # mine\r\n]\r\n[cache]\r\nttl = 5\r\n',
    "models = []\n[templates]\nq = { template = 'a {b}' }\n",
    "templates = { q = { template = 'a {b}' } }\nmodels = [] # none\n",
    "\ufeff# mine\ntemplates.q.template = 'a {b}'\n",
])  # fmt: skip
def test_what_is_written_inline_is_added_to_in_line(before: str) -> None:
    Path("llmrr.toml").write_bytes(before.encode())
    found = findings()
    model(found, "openai:a", params={"temperature": 0.5, "stop": ["x"]})
    model(found, "openai:b", "x")
    found.templates.append(Template("greet", "hi\n{name}", model="a"))
    made = plan(found.artefact())
    written = toml(made)
    names = [each["name"] for each in written["models"]]
    assert names == (["x", "a", "x-2"] if "openai:x" in before else ["a", "x"])
    assert written["templates"]["greet"] == {"template": "hi\n{name}", "model": "a"}
    assert ("q" in written["templates"]) == ("q" in before)
    assert made.toml.count("\r\n") == (made.toml.count("\n") if "\r" in before else 0)
    assert all(line in made.toml for line in ("# mine", "# none") if line in before)


def test_no_key_that_stands_there_is_shown() -> None:
    Path("llmrr.toml").write_text('api_key = "sk-0123456789abcdef0123456789"\n')
    made = plan(one("openai:a"), overwrite=True)
    assert "sk-01" not in "\n".join(planning.difference(made))


# -- anything --------------------------------------------------------------------------------------

_TEXT = st.text(max_size=12)
_VALUE = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _TEXT, st.lists(_TEXT))
_KEYS = st.sampled_from([
    "temperature", "max_tokens", "stop", "system", "seed", "context_size", "base_url", "timeout",
    "lora", "mmproj", "file", "revision", "api_key_env", "headers_env", "chat_template", "odd",
])  # fmt: skip


@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(
    st.lists(st.tuples(
        st.sampled_from(["openai:", "file:", "ollama:", "huggingface:", "bedrock:", "x:"]), _TEXT,
        _TEXT, st.dictionaries(_KEYS, _VALUE, max_size=4), st.dictionaries(_KEYS, _VALUE),
    ), min_size=1, max_size=5),
    st.lists(st.tuples(_TEXT, _TEXT, st.dictionaries(_TEXT, _TEXT, max_size=2)), max_size=3),
    st.dictionaries(st.sampled_from(
        ["strategy", "retry", "retry.attempts", "fallback_chain", "default_model", "preload", "?"]
    ), _VALUE),
)  # fmt: skip
def test_whatever_is_found_what_is_written_is_valid(
    models: list[Any], templates: list[Any], stated: dict[str, Any]
) -> None:
    found = findings("x.yaml", "custom")
    for prefix, rest, name, params, options in models:
        made = model(found, f"{prefix}{rest}", name or None, params=params, options=options)
        made.aliases, made.group, made.tags = [name, rest], rest or None, [name]
    for name, text, defaults in templates:
        found.template(name, text, defaults=defaults, model=found.models[0])
    found.chain(*found.models)
    found.chain(*reversed(found.models))
    found.settings |= stated
    target = Path("llmrr.toml")
    target.unlink(missing_ok=True)
    try:
        first = plan(found.artefact())
    except LlmrrError as error:
        assert "nothing was found" in error.message
        return
    toml(first)
    target.write_text(first.toml, encoding="utf-8")
    assert plan(found.artefact()).toml == first.toml


# -- the command -----------------------------------------------------------------------------------


def test_groups_and_chains_of_a_file_that_is_there_are_minded() -> None:
    Path("llmrr.toml").write_text(
        'version = 1\n[[models]]\nname = "a"\nsource = "openai:a"\ngroup = "chat"\n'
        'fallback = ["b"]\n[[models]]\nname = "b"\nsource = "openai:b"\n'
    )
    found = findings("config.yaml", "litellm")
    a, b, c = (model(found, f"openai:{name}", name) for name in "abc")
    c.group = "chat"
    found.chain(b, c)
    found.chain(c, a)
    made = plan(found.artefact())
    _, kept_b, added = toml(made)["models"]
    assert (kept_b["fallback"], added["name"], added["group"]) == (["c"], "c", "chat-2")
    assert codes(made) == ["clash", "cycle"]
    Path("llmrr.toml").write_text(made.toml)
    assert plan(found.artefact()).toml == made.toml


def test_the_command_shows_the_pinned_shape_and_a_difference(typed: Typed) -> None:
    Path("llm.json").write_text('{"_type": "openai", "model_name": "gpt-4", "temperature": 0.5}')
    found = typed("migrate", "plan", "llm.json", "--json").json
    assert {"id", "toml", "actions", "warnings", "checklist"} <= set(found)
    assert tomllib.loads(found["toml"])["models"][0]["source"] == "openai:gpt-4"
    called = [[str(Path("llm.json").resolve()), "langchain-legacy", "gpt-4", "gpt-4"]]
    assert found["actions"][0] == {
        "do": "write-config", "path": str(Path("llmrr.toml").absolute()),
        "detail": {"called": called},
    }  # fmt: skip
    assert typed("migrate", "plan", "llm.json", "--json").json == found
    seen = typed("migrate", "plan", "llm.json", "-O", "p.json")
    assert "+source = \"openai:gpt-4\"\n" in seen.out
    assert stat.S_IMODE(Path("p.json").stat().st_mode) == 0o600
    assert not Path("llmrr.toml").exists()
    assert typed("migrate", "apply", "--plan", "p.json", "--adopt").code == 2
    assert typed("migrate", "apply", "llm.json").code == 0
    assert typed("config", "check", "llmrr.toml").code == 0


def test_a_guess_counts_where_nothing_is_known_and_is_said() -> None:
    def guessed(path: str) -> Artefact:
        found = findings(path, "custom")
        model(found, "openai:guessed")
        found.confidence = 0.6
        return found.artefact()

    found = plan(one("openai:a"), guessed("x.ini"))
    assert [each["name"] for each in toml(found)["models"]] == ["a", "guessed"]
    assert [(each.code, each.where) for each in found.warnings] == [("guess", "x.ini")]


def test_what_a_cache_holds_is_the_model_that_code_asks() -> None:
    code = one("huggingface:org/m", "m", params={"temperature": 0.5})
    cache = findings("hub", "hf-cache")
    model(cache, "huggingface:org/m", "m", options={"revision": "a" * 40, "context_size": 1024})
    model(cache, "huggingface:org/m", "m-Q4", options={"file": "m-Q4.gguf"})
    for order in ((code, cache.artefact()), (cache.artefact(), code)):
        found = tomllib.loads(plan(*order).toml)["models"]
        assert {"name": "m", "source": "huggingface:org/m", "params": {"temperature": 0.5}} in found
        assert [one["options"] for one in found if "options" in one] == [{"file": "m-Q4.gguf"}]
        assert not plan(*order).warnings


def test_what_ollama_holds_is_the_model_that_code_asks() -> None:
    store = findings("models", "ollama-store")
    model(store, "ollama:llama3.2:latest", "llama3.2", params={"stop": ["<|eot_id|>"]})
    code = one("ollama:llama3.2", "chat", params={"temperature": 0})
    [found] = tomllib.loads(plan(code, store.artefact()).toml)["models"]
    assert found == {"name": "chat", "source": "ollama:llama3.2", "params": {"temperature": 0}}
    far = one("ollama:llama3.2", options={"base_url": "http://box:11434"})
    assert len(tomllib.loads(plan(far, store.artefact()).toml)["models"]) == 2


def test_a_length_of_training_is_no_wish_for_memory() -> None:
    for size, options in ((8192, {"context_size": 8192}), (131_072, None)):
        folder = findings("m", "transformers-dir")
        model(folder, "file:./m", "m", options={"context_size": size})
        [found] = tomllib.loads(plan(folder.artefact()).toml)["models"]
        assert found.get("options") == options
    [found] = tomllib.loads(plan(one("file:./m.gguf", options={"context_size": 131_072})).toml)[
        "models"]  # fmt: skip
    assert found["options"] == {"context_size": 131_072}


@pytest.mark.parametrize("address", ["http://127.0.0.1:8313/v1", "http://localhost:8313/v1/"])
def test_a_model_that_llmrr_serves_itself_is_left_out_and_said(address: str) -> None:
    found = findings("app.py")
    found.model("openai:a").options["base_url"] = address
    found.model("openai:b")
    setup = combined([found.artefact()], Path())
    assert [one.name for one in setup.models] == ["b"]
    assert [one.code for one in setup.warnings] == ["own-server"]


def test_so_is_one_at_the_address_that_the_user_names() -> None:
    found = findings("app.py")
    found.model("openai:a").options["base_url"] = "http://box:9/v1"
    assert not combined([found.artefact()], Path(), served="http://box:9/v1").models
    assert combined([found.artefact()], Path()).models


def test_weights_that_no_engine_runs_are_told() -> None:
    found = plan(one("huggingface:TheBloke/Mistral-7B-AWQ"), one("huggingface:a/Other-GGUF"))
    [said] = [each for each in found.warnings if each.code == "unsupported-source"]
    assert "AWQ" in said.message and "Mistral-7B-AWQ" in found.toml


def test_a_path_with_a_zero_byte_is_left_out() -> None:
    found = plan(one("file:a\0b", "x"), one("openai:gpt-4o"))
    assert "a\\u0000" not in found.toml and "openai:gpt-4o" in found.toml
    assert "unsupported-source" in [each.code for each in found.warnings]
